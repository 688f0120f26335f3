"""Microsoft's metadata, as msgraph-sdk has it, beside the simulator's.

Compared are the properties of each entity with their types, the members of each enum, the
path and the query options of each operation, and the bodies of the actions.
"""

import re
from collections.abc import Iterable, Iterator
from enum import Enum
from importlib import import_module
from typing import Any, NamedTuple
from urllib.parse import unquote

from tools.judge.court import Court, Disagreement, graph_client, nothing, same
from tools.judge.judging import VERDICTS
from tools.judge.reading import attribute, capitalised
from warroom.azure.graph import OPERATIONS, Operation
from warroom.azure.odata import ENTITY_TYPES, ENUMS
from warroom.azure.tenant import ids_name

MODELS = "msgraph.generated.models"
SOME_ID = "00000000-0000-0000-0000-000000000001"
Names = frozenset[str]

# ---- what the simulator lacks, and why


class Lack(NamedTuple):
    """Properties of entities, or query options of operations, left out on purpose."""

    names: str
    where: str
    reason: str

    def explains(self, place: str, name: str) -> bool:
        """Whether it is about this name; `where` is a pattern for places."""
        if name not in self.names.split():
            return False
        match = re.fullmatch(self.where, place)
        return match is not None


LACKING_PROPERTIES = (
    Lack("history", "risky.*", "comes only by $expand"),
    Lack(
        "homeTenantId resourceTenantId servicePrincipalId servicePrincipalName"
        " userAgent authenticationAppDeviceDetails",
        "signIn",
        "of who signed in and with what the integration reads other properties",
    ),
)
# Of an account nothing is read but who it is.
NOT_WHOLE = ("user",)

LACKING_OPTIONS = (
    Lack("$expand $search $skip", ".*", "documented for none of these"),
    Lack(
        "$count",
        "(.*[dD]etections|auditLogs/.*|users)",
        "documented for risky users and service principals alone",
    ),
    Lack("$count $filter $orderby", ".*/history", "documented with $select alone"),
    Lack("$orderby", "users", "asks for ConsistencyLevel: eventual; nothing needs it"),
)
# Comes in links to the next page, which no client puts together.
ONLY_IN_LINKS = frozenset(("$skiptoken",))

# ---- properties and enums

ANNOTATIONS = frozenset(("@odata.type",))

PRIMITIVES = {
    "str": "String",
    "bool": "Boolean",
    "datetime.datetime": "DateTimeOffset",
}


def model(name: str) -> Any:
    """The client's class for a type of Graph's."""
    file = attribute(name)
    module = import_module(f"{MODELS}.{file}")
    return getattr(module, capitalised(name))


def is_enum(name: str) -> bool:
    return issubclass(model(name), Enum)


def simulated_type(hint: str) -> str:
    """What the simulator calls a type that the client writes so."""
    match = re.fullmatch(r"Optional\[(list\[)?([\w.]+)\]+", hint)
    if not match:
        return hint
    collection, name = match.groups()
    if name not in PRIMITIVES and not is_enum(name):
        return "Object"
    if collection:
        return "Collection"
    if name in PRIMITIVES:
        return PRIMITIVES[name]
    initial, rest = name[0], name[1:]
    return initial.lower() + rest


def properties_of(name: str) -> Names:
    """The client's properties of an entity."""
    create = model(name)
    fields = create().get_field_deserializers()
    return frozenset(fields) - ANNOTATIONS


def type_of(entity: str, name: str) -> str:
    """The type of a property that the client has."""
    field = model(entity).__dataclass_fields__[attribute(name)]
    return simulated_type(field.type)


async def properties_agree(_court: Court) -> None:
    for entity_type in ENTITY_TYPES.values():
        entity = entity_type.name
        ours = dict(entity_type.properties)
        unknown = ours.keys() - properties_of(entity)
        nothing(unknown)
        theirs = {name: type_of(entity, name) for name in ours}
        same(ours, theirs)


async def enums_agree(_court: Court) -> None:
    """Members and their order: it tells which ones came after the sentinel."""
    for name, enum in ENUMS.items():
        members = tuple(member.value for member in model(name))
        same(enum.members, members)


# ---- paths, query options and bodies


def builder_of_one(builder: Any) -> Any:
    """The client's builder of the requests for one object of a collection."""
    for name in dir(builder):
        if name.startswith("by_"):
            by_id = getattr(builder, name)
            return by_id(SOME_ID)
    raise Disagreement(f"{builder} has no objects")


def builder_of(operation: Operation) -> Any:
    """The client's builder of an operation's requests, found along its path."""
    builder: Any = graph_client()
    for segment in operation.path.split("/"):
        if segment.startswith("{"):
            builder = builder_of_one(builder)
        else:
            name = attribute(segment.removeprefix("$"))
            builder = getattr(builder, name)
    return builder


def plain(template: str) -> str:
    """A template of a path with nothing but the places of ids."""
    path = template.removeprefix("{+baseurl}/")
    without_options, _, _ = path.partition("{?")
    return re.sub(r"\{.*?\}", "{}", without_options)


def options_of(template: str) -> Names:
    """The query options of a template."""
    _, _, options = unquote(template).partition("{?")
    names = re.findall(r"[^,}]+", options)
    return frozenset(names)


async def operations_agree(_court: Court) -> None:
    for operation in OPERATIONS:
        template = builder_of(operation).url_template
        same(plain(operation.path), plain(template))
        ours = frozenset(operation.options) - ONLY_IN_LINKS
        unknown = ours - options_of(template)
        nothing(unknown)


async def bodies_agree(_court: Court) -> None:
    for verdict in VERDICTS:
        fields = verdict.body([]).get_field_deserializers()
        same(list(fields), [ids_name(verdict.collection)])


# ---- what the client has and the simulator lacks

Gap = tuple[str, str]  # a place and a name


def missing_properties() -> Iterator[Gap]:
    for entity_type in ENTITY_TYPES.values():
        entity = entity_type.name
        if entity not in NOT_WHOLE:
            missing = properties_of(entity) - entity_type.properties.keys()
            for name in missing:
                yield entity, name


def missing_options() -> Iterator[Gap]:
    for operation in OPERATIONS:
        template = builder_of(operation).url_template
        missing = options_of(template) - frozenset(operation.options)
        for name in missing:
            yield operation.path, name


def unexplained(gaps: list[Gap], lacks: Iterable[Lack]) -> list[Gap]:
    explained = set()
    for lack in lacks:
        for gap in gaps:
            if lack.explains(*gap):
                explained.add(gap)
    return sorted(set(gaps) - explained)


def idle(gaps: list[Gap], lacks: Iterable[Lack]) -> list[Gap]:
    """The names of lacks that explain no gap, each after where it would."""
    needless = []
    for lack in lacks:
        needed = {name for place, name in gaps if lack.explains(place, name)}
        for name in lack.names.split():
            if name not in needed:
                needless.append((lack.where, name))
    return needless


async def lacks_are_explained(_court: Court) -> None:
    """Each with a reason, and each reason by something that is lacking."""
    for found, lacks in (
        (missing_properties(), LACKING_PROPERTIES),
        (missing_options(), LACKING_OPTIONS),
    ):
        gaps = sorted(found)
        nothing(unexplained(gaps, lacks))
        nothing(idle(gaps, lacks))


CHECKS = {
    "knows the same properties": properties_agree,
    "knows the same enums": enums_agree,
    "knows the same paths and query options": operations_agree,
    "sends the same bodies": bodies_agree,
    "has more where that is explained, and nowhere else": lacks_are_explained,
}
