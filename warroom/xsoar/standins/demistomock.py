"""Stands in for the object that Cortex XSOAR hands to an integration under the name `demisto`.

One `Call` holds everything about the running command; whoever runs a command puts a fresh one in `call`.
It is stricter than the platform: what the platform would ignore, lose or store wrongly raises `PlatformRuleError`.
"""

import copy
import json
from dataclasses import dataclass, field
from typing import Any

FETCH = "fetch-incidents"
TEST = "test-module"


class PlatformRuleError(Exception):
    """The integration did something that the platform does not allow or does not keep."""


@dataclass
class Call:
    """One running command: what it is given, what it keeps, what it gives back."""

    command: str = ""
    args: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    integration_context: dict[str, str] = field(default_factory=dict)
    context_version: int = 0
    last_run: dict[str, Any] = field(default_factory=dict)
    server: dict[str, Any] = field(
        default_factory=lambda: {
            "version": "6.12.0",
            "buildNumber": "1000000",
            "platform": "xsoar",
        }
    )
    calling_context: dict[str, Any] = field(
        default_factory=lambda: {"integration": True, "context": {}}
    )
    is_debug: bool = False
    entries: list[dict[str, Any]] = field(default_factory=list)
    incidents: list[dict[str, Any]] | None = None
    logs: list[str] = field(default_factory=list)
    sensitive: list[str] = field(default_factory=list)


call = Call()


def __getattr__(name: str) -> Any:
    """The two attributes of the platform's object that are values and not functions."""
    if name == "callingContext":
        return call.calling_context
    if name == "is_debug":
        return call.is_debug
    raise AttributeError(f"demisto has no {name!r} here")


def params() -> dict[str, Any]:
    return call.params


def args() -> dict[str, Any]:
    return call.args


def command() -> str:
    return call.command


def demistoVersion() -> dict[str, Any]:
    return call.server


def debug(*parts: Any) -> None:
    _log("debug", parts)


def info(*parts: Any) -> None:
    _log("info", parts)


def error(*parts: Any) -> None:
    _log("error", parts)


def _log(level: str, parts: tuple[Any, ...]) -> None:
    call.logs.append(f"{level}: " + " ".join(map(str, parts)))


def results(value: Any) -> None:
    """Send one entry, or one for each element of a list."""
    for item in value if isinstance(value, list) else [value]:
        call.entries.append(_json_safe(_entry(item), "an entry"))


def _entry(value: Any) -> dict[str, Any]:
    if isinstance(value, dict) and "Contents" in value and "ContentsFormat" in value:
        return value
    if isinstance(value, dict):
        return {"Type": 1, "ContentsFormat": "json", "Contents": json.dumps(value)}
    text = value.decode() if isinstance(value, bytes) else str(value)
    return {"Type": 1, "ContentsFormat": "text", "Contents": text}


def incidents(new: list[dict[str, Any]]) -> None:
    """Hand over the incidents of one fetch; an empty list says that all is well."""
    _only_in_fetch("incidents")
    call.incidents = _json_safe(new, "incidents")
    results({"Type": 1, "ContentsFormat": "json", "Contents": json.dumps(new)})


def getLastRun() -> dict[str, Any]:
    """What the last successful fetch left; empty in any other command."""
    return copy.deepcopy(call.last_run) if call.command == FETCH else {}


def setLastRun(last_run: dict[str, Any]) -> None:
    _only_in_fetch("setLastRun")
    call.last_run = copy.deepcopy(_json_safe(last_run, "the last run"))


def getIntegrationContext() -> dict[str, str]:
    _not_in_test()
    return dict(call.integration_context)


def setIntegrationContext(context: dict[str, str]) -> None:
    """Replace the whole integration context."""
    _not_in_test()
    for key, value in context.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise PlatformRuleError(
                f"integration context: {key!r} must be a string with a string, not {type(value)}"
            )
    call.integration_context = dict(context)
    call.context_version += 1


def getIntegrationContextVersioned(refresh: bool = False) -> dict[str, Any]:  # noqa: ARG001 - one store, always fresh
    return {"context": getIntegrationContext(), "version": call.context_version}


def setIntegrationContextVersioned(
    context: dict[str, str],
    version: int,
    sync: bool = False,  # noqa: ARG001
) -> None:
    """Replace the integration context if `version` is the current one, or -1. Raises: ValueError: it is stale."""
    if version not in (-1, call.context_version):
        raise ValueError(
            f"version {version} of the integration context is stale, it is at {call.context_version}"
        )
    setIntegrationContext(context)


def _not_in_test() -> None:
    if call.command == TEST:
        raise PlatformRuleError(
            "the Test button has no integration context, neither to read nor to write"
        )


def _only_in_fetch(name: str) -> None:
    if call.command != FETCH:
        raise PlatformRuleError(f"{name} is only for {FETCH}, this is {call.command!r}")


def _json_safe(value: Any, what: str) -> Any:
    """Return `value` as it is: the platform sends it as JSON, so it must be able to."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as problem:
        raise PlatformRuleError(
            f"{what} cannot be sent as JSON: {problem}"
        ) from problem
    return value
