"""Stands in for the object that Cortex XSOAR hands to an integration under the name `demisto`.

One `Call` holds everything about the running command; whoever runs a command puts a fresh one
in `call`. It is stricter than the platform: what the platform would ignore, lose or store
wrongly raises `PlatformRuleError`.
"""

import copy
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

FETCH = "fetch-incidents"
TEST = "test-module"


class PlatformRuleError(Exception):
    """The integration did something that the platform does not allow or does not keep."""


def _server() -> dict[str, Any]:
    return {"version": "6.12.0", "buildNumber": "1000000", "platform": "xsoar"}


def _calling_context() -> dict[str, Any]:
    return {"integration": True, "context": {}}


class ContextStore:
    """An instance's integration context, as the server keeps it for all of its commands.

    Commands that overlap share one. content: what the last write left, or anything else
    that a test puts there. version: how often it was written.
    """

    def __init__(self) -> None:
        self.content: Any = {}
        self.version = 0
        self._lock = threading.Lock()

    def read(self) -> dict[str, Any]:
        """A copy of the content, and its version."""
        with self._lock:
            content = copy.deepcopy(self.content)
            return {"context": content, "version": self.version}

    def write(self, content: dict[str, Any], version: int) -> None:
        """Replace the content.

        Raises: ValueError: `version` is neither the current one nor -1.
        """
        with self._lock:
            if version not in (-1, self.version):
                stale = f"version {version} of the integration context is stale"
                raise ValueError(f"{stale}, it is at {self.version}")
            self.content = copy.deepcopy(content)
            self.version += 1


@dataclass
class Call:
    """One running command: what it is given, what it keeps, what it gives back.

    listener: is told each line of the log when it is written.
    """

    command: str = ""
    args: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    context_store: ContextStore = field(default_factory=ContextStore)
    last_run: dict[str, Any] = field(default_factory=dict)
    server: dict[str, Any] = field(default_factory=_server)
    calling_context: dict[str, Any] = field(default_factory=_calling_context)
    is_debug: bool = False
    entries: list[dict[str, Any]] = field(default_factory=list)
    incidents: list[dict[str, Any]] | None = None
    logs: list[str] = field(default_factory=list)
    listener: Callable[[str], None] | None = None


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


def _log(level: str, parts: tuple[Any, ...]) -> None:
    text = " ".join(map(str, parts))
    call.logs.append(f"{level}: {text}")
    if call.listener:
        call.listener(text)


def debug(*parts: Any) -> None:
    _log("debug", parts)


def info(*parts: Any) -> None:
    _log("info", parts)


def error(*parts: Any) -> None:
    _log("error", parts)


def _check_json(value: Any, name: str) -> None:
    """Raises: PlatformRuleError: the value cannot be sent as JSON, as the platform does."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as problem:
        text = f"{name} cannot be sent as JSON: {problem}"
        raise PlatformRuleError(text) from problem


def _note(contents_format: str, contents: str) -> dict[str, Any]:
    return {"Type": 1, "ContentsFormat": contents_format, "Contents": contents}


def _entry(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        is_entry = "Contents" in value and "ContentsFormat" in value
        return value if is_entry else _note("json", json.dumps(value))
    if isinstance(value, bytes):
        return _note("text", value.decode())
    return _note("text", str(value))


def results(value: Any) -> None:
    """Send one entry, or one for each element of a list."""
    items = value if isinstance(value, list) else [value]
    for item in items:
        entry = _entry(item)
        _check_json(entry, "an entry")
        call.entries.append(entry)


def _only_in_fetch(name: str) -> None:
    if call.command != FETCH:
        raise PlatformRuleError(f"{name} is only for {FETCH}, this is {call.command!r}")


def _not_in_test() -> None:
    if call.command == TEST:
        problem = "has no integration context, neither to read nor to write"
        raise PlatformRuleError(f"the Test button {problem}")


def incidents(new: list[dict[str, Any]]) -> None:
    """Hand over the incidents of one fetch; an empty list says that all is well."""
    _only_in_fetch("incidents")
    _check_json(new, "incidents")
    call.incidents = new
    results(_note("json", json.dumps(new)))


def getLastRun() -> dict[str, Any]:
    """What the last successful fetch left; empty in any other command."""
    if call.command != FETCH:
        return {}
    return copy.deepcopy(call.last_run)


def setLastRun(last_run: dict[str, Any]) -> None:
    _only_in_fetch("setLastRun")
    _check_json(last_run, "the last run")
    call.last_run = copy.deepcopy(last_run)


def getIntegrationContextVersioned(
    refresh: bool = False,  # noqa: ARG001 - one store, always fresh
) -> dict[str, Any]:
    _not_in_test()
    return call.context_store.read()


def getIntegrationContext() -> Any:
    return getIntegrationContextVersioned()["context"]


def _check_context(context: dict[str, Any]) -> None:
    """Raises: PlatformRuleError: there is something new that is no string."""
    kept = getIntegrationContext()
    before = kept if isinstance(kept, dict) else {}
    for key, value in context.items():
        are_strings = isinstance(key, str) and isinstance(value, str)
        was_there = key in before and before[key] == value
        if not are_strings and not was_there:
            problem = f"{key!r} must be a string with a string, not {type(value)}"
            raise PlatformRuleError(f"integration context: {problem}")


def setIntegrationContextVersioned(
    context: dict[str, Any],
    version: int,
    sync: bool = False,  # noqa: ARG001
) -> None:
    """Replace the integration context.

    Raises: ValueError: `version` is neither the current one nor -1.
    """
    _not_in_test()
    _check_context(context)
    call.context_store.write(context, version)


def setIntegrationContext(context: dict[str, Any]) -> None:
    """Replace the whole integration context, whatever its version."""
    setIntegrationContextVersioned(context, -1)
