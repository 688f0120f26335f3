"""msgraph-sdk meets errors: as its own typed ones, and by its own retries."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, NamedTuple

from kiota_http.middleware import retry_handler
from msgraph import GraphServiceClient
from msgraph.generated.models.o_data_errors.o_data_error import ODataError

from tools.judge.court import Check, Court, graph_client, refused, same, within
from tools.judge.reading import configuration
from warroom.azure.graph import usual_refusal

Call = Callable[[GraphServiceClient], Any]
RETRIES = 3  # of the client, by its defaults
UNKNOWN_ID = "00000000-0000-0000-0000-00000000dead"


class Refusal(NamedTuple):
    """A request that Graph refuses. prepare: makes the tenant do so."""

    status: int
    code: str
    words: str
    call: Call
    prepare: Callable[[Court], object] = str


# ---- requests that are refused


def list_users(client: GraphServiceClient, **options: Any) -> Any:
    builder = client.identity_protection.risky_users
    return builder.get(configuration(builder, **options))


def list_wrongly(client: GraphServiceClient) -> Any:
    return list_users(client, filter="riskLevel eq 'severe'")


def get_unknown(client: GraphServiceClient) -> Any:
    users = client.identity_protection.risky_users
    return users.by_risky_user_id(UNKNOWN_ID).get()


def without_permissions(court: Court) -> None:
    court.app.application_permissions.clear()


def without_licence(court: Court) -> None:
    court.tenant.licence = "Free"


def with_forced(status: int) -> Callable[[Court], None]:
    def prepare(court: Court) -> None:
        court.services.fail_next(status, times=RETRIES + 1)

    return prepare


REFUSALS = {
    "400": Refusal(400, "BadRequest", "Invalid filter clause", list_wrongly),
    "401": Refusal(
        401, "InvalidAuthenticationToken", "expired", list_users, with_forced(401)
    ),
    "403 without permission": Refusal(
        403, "Forbidden", "required scopes", list_users, without_permissions
    ),
    "403 without licence": Refusal(
        403, "Forbidden", "not licensed", list_users, without_licence
    ),
    "404": Refusal(404, "ResourceNotFound", UNKNOWN_ID, get_unknown),
    "429": Refusal(429, "TooManyRequests", "Too many", list_users, with_forced(429)),
    "500": Refusal(500, "InternalServerError", "", list_users, with_forced(500)),
    "503": Refusal(503, "serviceNotAvailable", "", list_users, with_forced(503)),
}


# ---- how the client waits


@contextmanager
def waits() -> Iterator[list[float]]:
    """The seconds of each wait of the client's retries, none of which is waited for."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    usual = retry_handler.asyncio
    retry_handler.asyncio = SimpleNamespace(sleep=sleep)
    try:
        yield waited
    finally:
        retry_handler.asyncio = usual


# ---- checks


def is_told(refusal: Refusal) -> Check:
    async def check(court: Court) -> None:
        """The client's error has Graph's code, words and the id of the request."""
        refusal.prepare(court)
        client = graph_client()
        with waits():
            error = await refused(ODataError, lambda: refusal.call(client))
        same(error.response_status_code, refusal.status)
        same(error.error.code, refusal.code)
        within(refusal.words, error.error.message)
        inner = error.error.inner_error
        same((inner.request_id, inner.client_request_id), court.last_ids)

    return check


def retries(status: int) -> Check:
    async def check(court: Court) -> None:
        """As often as by default, after as many seconds as Graph names."""
        court.services.fail_next(status, times=RETRIES, retry_after=7)
        with waits() as waited:
            page = await list_users(graph_client(), top=1)
        same(len(page.value), 1)
        same(waited, [7] * RETRIES)

    return check


async def keeps_within_the_limits(court: Court) -> None:
    """The rates that Graph allows, of which ID Protection's comes without Retry-After."""
    court.services.throttle = 1
    client = graph_client()
    await list_users(client, top=1)
    with waits():
        error = await refused(ODataError, lambda: list_users(client, top=1))
    usual = usual_refusal(429)
    same(error.error.code, usual.code)
    same(error.response_headers.get("Retry-After"), None)


CHECKS = {
    **{f"is told of {name}": is_told(each) for name, each in REFUSALS.items()},
    **{f"tries again after {status}": retries(status) for status in (429, 503)},
    "is throttled": keeps_within_the_limits,
}
