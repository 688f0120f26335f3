"""msgraph-sdk reads what there is: lists, pages, single objects, history."""

import re
from collections.abc import Callable, Iterable, Iterator
from operator import ge, gt, le, lt
from typing import Any, NamedTuple

from kiota_abstractions.base_request_configuration import RequestConfiguration
from msgraph import GraphServiceClient
from msgraph_core.tasks.page_iterator import PageIterator

from tools.judge.court import Check, Court, graph_client, nothing, same, within
from warroom.azure.odata import Row
from warroom.azure.tenant import Tenant

PREFER = ("Prefer", "include-unknown-enum-members")
HIGH = "riskLevel eq 'high' and riskState eq 'atRisk'"
LATER = "microsoftRevokedSessions"
COMPARISONS = {"gt": gt, "ge": ge, "lt": lt, "le": le}
NEWEST_FIRST = "riskLastUpdatedDateTime desc"


class Collection(NamedTuple):
    """A collection as the client has it, and as the simulator's tenant does.

    rows: of the tenant. page: a size that takes some pages, but not many.
    """

    name: str
    builder: Callable[[GraphServiceClient], Any]
    one: str
    rows: Callable[[Tenant], dict[str, Row]]
    page: int = 15

    def item(self, client: GraphServiceClient, row_id: str) -> Any:
        """The builder of requests for one object."""
        builder = self.builder(client)
        by_id = getattr(builder, self.one)
        return by_id(row_id)


RISKY_USERS = Collection(
    "riskyUsers",
    lambda client: client.identity_protection.risky_users,
    "by_risky_user_id",
    lambda tenant: tenant.users,
)
RISKY_SERVICE_PRINCIPALS = Collection(
    "riskyServicePrincipals",
    lambda client: client.identity_protection.risky_service_principals,
    "by_risky_service_principal_id",
    lambda tenant: tenant.service_principals,
    page=2,
)
COLLECTIONS = (
    RISKY_USERS,
    RISKY_SERVICE_PRINCIPALS,
    Collection(
        "riskDetections",
        lambda client: client.identity_protection.risk_detections,
        "by_risk_detection_id",
        lambda tenant: tenant.detections,
    ),
    Collection(
        "servicePrincipalRiskDetections",
        lambda client: client.identity_protection.service_principal_risk_detections,
        "by_service_principal_risk_detection_id",
        lambda tenant: tenant.service_principal_detections,
        page=2,
    ),
    Collection(
        "signIns",
        lambda client: client.audit_logs.sign_ins,
        "by_sign_in_id",
        lambda tenant: tenant.sign_ins,
        page=15,
    ),
    Collection(
        "users",
        lambda client: client.users,
        "by_user_id",
        lambda tenant: tenant.accounts,
    ),
)


# ---- requests


def configuration(builder: Any, **options: Any) -> RequestConfiguration[Any]:
    """The configuration of a list with these query options."""
    kind = type(builder)
    parameters = getattr(kind, f"{kind.__name__}GetQueryParameters")
    return RequestConfiguration(query_parameters=parameters(**options))


def with_later_members(request: RequestConfiguration[Any]) -> RequestConfiguration[Any]:
    """The request, which prefers to see each member of an enum."""
    request.headers.add(*PREFER)
    return request


async def everything(client: GraphServiceClient, collection: Collection) -> list[Any]:
    """All objects of a collection, by way of the client's own iterator over pages."""
    builder = collection.builder(client)
    request = with_later_members(configuration(builder, top=collection.page))
    first = await builder.get(request)
    same(len(first.value), collection.page)
    walk = PageIterator(first, client.request_adapter)
    walk.headers.add(*PREFER)  # set_headers() fails in this release
    found: list[Any] = []

    def keep(each: Any) -> bool:
        found.append(each)
        return True

    await walk.iterate(keep)
    return found


# ---- how a row becomes an object


def attribute(name: str) -> str:
    """What the client calls a property."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def capitalised(name: str) -> str:
    """What the client calls a type."""
    initial, rest = name[0], name[1:]
    return initial.upper() + rest


class Unread(NamedTuple):
    """A value that did not get into the client's object, by the kind of that object."""

    kind: str
    name: str
    value: Any


Pair = tuple[Any, Row]  # one of the client's objects, and the row that it was


def inner_pairs(pair: Pair) -> Iterator[Pair]:
    """The objects inside one, each with what it was."""
    found, row = pair
    for name, value in row.items():
        read = getattr(found, attribute(name), None)
        if read is None:
            continue
        if isinstance(value, dict):
            yield read, value
        elif isinstance(value, list):
            pairs = zip(read, value, strict=False)
            yield from (each for each in pairs if isinstance(each[1], dict))


def is_read(read: Any, value: Any) -> bool:
    if isinstance(value, list):
        return len(read or []) == len(value)
    return value is None or read is not None


def unread(pair: Pair) -> Iterator[Unread]:
    """What the client has not read of a row: unknown properties, members and types."""
    found, row = pair
    kind = type(found).__name__
    for name, value in found.additional_data.items():
        if not name.startswith("@odata."):
            yield Unread(kind, name, value)
    for name, value in row.items():
        read = getattr(found, attribute(name), None)
        if not is_read(read, value):
            yield Unread(kind, name, value)
    for inner in inner_pairs(pair):
        yield from unread(inner)


def all_read(objects: Iterable[Any], rows: dict[str, Row]) -> None:
    """Raises: Disagreement: the client lacks something of the rows."""
    problems: list[Unread] = []
    for each in objects:
        problems += unread((each, rows[each.id]))
    nothing(problems)


# ---- checks


def rows_shown(court: Court, collection: Collection) -> dict[str, Row]:
    """The rows of a collection, of which the app may see every property from now on."""
    court.app.application_permissions.add("Policy.Read.All")
    return collection.rows(court.tenant)


def reads_all(collection: Collection) -> Check:
    async def check(court: Court) -> None:
        rows = rows_shown(court, collection)
        found = await everything(graph_client(), collection)
        ids = [each.id for each in found]
        same(sorted(ids), sorted(rows))
        all_read(found, rows)

    return check


def reads_one(collection: Collection) -> Check:
    async def check(court: Court) -> None:
        rows = rows_shown(court, collection)
        row_id, *_ = rows
        item = collection.item(graph_client(), row_id)
        request = configuration(item)
        found = await item.get(with_later_members(request))
        all_read([found], rows)

    return check


async def narrows(_court: Court) -> None:
    """Filter, order, select and count, together."""
    builder = RISKY_USERS.builder(graph_client())
    request = configuration(
        builder,
        filter=HIGH,
        orderby=[NEWEST_FIRST],
        select=["id", "riskLevel", "riskLastUpdatedDateTime"],
        count=True,
        top=3,
    )
    page = await builder.get(request)
    rows = page.value
    moments = [row.risk_last_updated_date_time for row in rows]
    same(moments, sorted(moments, reverse=True))
    same([row.risk_level.value for row in rows], ["high"] * 3)
    same([row.user_principal_name for row in rows], [None] * 3)
    count = builder.count
    request = configuration(count, filter=HIGH)
    number = await count.get(request)
    same(page.odata_count, number)


def compares(operator: str, holds: Callable[[Any, Any], bool]) -> Check:
    async def check(_court: Court) -> None:
        """Of all rows those, and only those, whose moments compare so as the client reads them.

        It reads six digits of Graph's seven, so the moment compared with is a whole second.
        """
        builder = RISKY_USERS.builder(graph_client())
        everybody = (await builder.get(configuration(builder, top=500))).value
        moments = sorted(row.risk_last_updated_date_time for row in everybody)
        middle = moments[len(moments) // 2].replace(microsecond=0)
        request = configuration(
            builder,
            filter=f"riskLastUpdatedDateTime {operator} {middle:%Y-%m-%dT%H:%M:%SZ}",
            top=500,
        )
        page = await builder.get(request)
        found = sorted(row.risk_last_updated_date_time for row in page.value)
        same(found, [moment for moment in moments if holds(moment, middle)])

    return check


async def finds_a_quoted_name(court: Court) -> None:
    """A quote inside a text of $filter is written twice."""
    user_id, *_ = court.tenant.users
    court.tenant.change_user(user_id, userDisplayName="Miriam O'Hara")
    builder = RISKY_USERS.builder(graph_client())
    request = configuration(builder, filter="userDisplayName eq 'Miriam O''Hara'")
    page = await builder.get(request)
    same([row.id for row in page.value], [user_id])


async def hides_later_members(court: Court) -> None:
    """Without the preference a member that came later is the sentinel, which is known."""
    user_id, *_ = court.tenant.users
    court.tenant.change_user(user_id, riskDetail=LATER)
    item = RISKY_USERS.item(graph_client(), user_id)
    hidden = await item.get()
    same(hidden.risk_detail.value, "unknownFutureValue")
    request = configuration(item)
    shown = await item.get(with_later_members(request))
    same(shown.risk_detail.value, LATER)


def reads_history(
    collection: Collection,
) -> Check:
    async def check(court: Court) -> None:
        histories = court.tenant.histories(collection.name)
        owner = next(iter(histories))
        builder = collection.item(graph_client(), owner).history
        request = configuration(builder)
        page = await builder.get(with_later_members(request))
        items = {item["id"]: item for item in histories[owner]}
        same([each.id for each in page.value], list(items))
        all_read(page.value, items)

    return check


async def tells_of_itself(court: Court) -> None:
    """What the client sends of itself by default is taken, and its own id comes back."""
    builder = RISKY_USERS.builder(graph_client())
    await builder.get()
    headers = court.last.headers
    within("graph-python/", headers["SdkVersion"])
    _, client_request_id = court.last_ids
    same(client_request_id, headers["client-request-id"])


CHECKS = {
    "sends its telemetry": tells_of_itself,
    **{f"reads all {each.name}": reads_all(each) for each in COLLECTIONS},
    **{f"reads one of {each.name}": reads_one(each) for each in COLLECTIONS},
    "filters, orders, selects and counts": narrows,
    **{
        f"compares moments by {name}": compares(name, each)
        for name, each in COMPARISONS.items()
    },
    "finds a name with a quote in it": finds_a_quoted_name,
    "reads members that came later": hides_later_members,
    "reads history of users": reads_history(RISKY_USERS),
    "reads history of service principals": reads_history(RISKY_SERVICE_PRINCIPALS),
}
