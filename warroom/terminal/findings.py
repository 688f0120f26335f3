"""What was found so far, as values of arguments: whose it is, and where it is named."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from warroom.terminal.characters import harmless
from warroom.xsoar.commandline import INSERTION
from warroom.xsoar.context import Data, split_key
from warroom.xsoar.entries import Run
from warroom.xsoar.manifest import Argument, Command


class Finding(NamedTuple):
    """An object that a command brought. kind: what it is, by its name in the context."""

    kind: str
    row: Data


class Property(NamedTuple):
    """Where values of an argument stand: in objects of a kind, or of "" any kind."""

    kind: str
    name: str


USER_IDS = (Property("RiskyUser", "id"), Property("", "userId"))
USER_NAMES = (Property("", "userPrincipalName"),)
PRINCIPAL_IDS = (
    Property("RiskyServicePrincipal", "id"),
    Property("", "servicePrincipalId"),
)
PROPERTIES = {
    # A display name may be that of several users.
    "user": (*USER_NAMES, *USER_IDS),
    "user_id": USER_IDS,
    "user_principal_name": USER_NAMES,
    "user_display_name": (Property("", "userDisplayName"),),
    "service_principal": PRINCIPAL_IDS,
    "service_principal_id": PRINCIPAL_IDS,
    "display_name": (
        Property("RiskyServicePrincipal", "displayName"),
        Property("", "servicePrincipalDisplayName"),
    ),
    "sign_in": (Property("RiskySignIn", "id"), Property("RiskDetection", "requestId")),
    "ip_address": (Property("", "ipAddress"),),
    "country": (Property("", "countryOrRegion"),),
}
OWNERS = {  # of a history, which is asked for by the id of its owner
    "RiskyUserHistory": USER_IDS,
    "RiskyUser": USER_IDS,
    "RiskyServicePrincipalHistory": PRINCIPAL_IDS,
    "RiskyServicePrincipal": PRINCIPAL_IDS,
}
INCIDENTS_OF = {  # kinds, by what the incidents that are fetched say of themselves
    "Risk Detections": "RiskDetection",
    "Risky Users": "RiskyUser",
}
# What tells a reader whose value it is.
TELLING = (
    "userDisplayName",
    "displayName",
    "servicePrincipalDisplayName",
    "userPrincipalName",
    "riskEventType",
    "riskLevel",
)


def findings(value: Any, kind: str = "") -> Iterator[Finding]:
    """Every object in JSON-like data, the outer one first."""
    if isinstance(value, list):
        for item in value:
            yield from findings(item, kind)
    if isinstance(value, dict):
        yield Finding(kind, value)
        for name, inner in value.items():
            _, _, last_name = name.rpartition(".")
            yield from findings(inner, last_name)


def shown_data(run: Run) -> Data:
    """What a run showed, whether or not it went into the context."""
    data: Data = {}
    for entry in run.entries:
        entry_context = entry.get("EntryContext") or {}
        for key, value in entry_context.items():
            path, _ = split_key(key)
            data[path] = value
    for incident in run.incidents:
        row = json.loads(incident.get("rawJSON", "{}"))
        kind = INCIDENTS_OF.get(row.get("fetchType"), "")
        data.setdefault(kind, []).append(row)
    return data


def properties_of(command: Command, argument: Argument) -> Iterable[Property]:
    """Where values of an argument stand; of `id`, as the command's outputs tell."""
    if argument.name != "id":
        return PROPERTIES.get(argument.name, ())
    for path in command.outputs:
        *_, kind, name = f".{path}".split(".")
        if name == "id":
            return OWNERS.get(kind, [Property(kind, name)])
    return ()


def typed_value(value: Any) -> str:
    """A value as text; empty if it acts on a terminal, or stands for another value."""
    if not isinstance(value, str):
        return ""
    acts = harmless(value) != value
    if acts or INSERTION.search(value):
        return ""
    return value


def telling(row: Data, value: str) -> str:
    """What a reader knows an object by, beside this value of it."""
    texts = []
    for name in TELLING:
        text = str(row.get(name) or "")
        if text not in ("", value):
            texts.append(text)
    return ", ".join(texts)


def found_values(
    found: Iterable[Finding], where: Property
) -> Iterator[tuple[str, str]]:
    """Each value that stands there, and what tells whose it is."""
    for kind, row in found:
        is_meant = where.kind in ("", kind)
        value = typed_value(row.get(where.name))
        if is_meant and value:
            yield value, telling(row, value)
