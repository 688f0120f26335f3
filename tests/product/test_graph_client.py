"""Reading Graph: pages, links that lead elsewhere, repeated requests, and what is said when Graph refuses."""

import random
import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any
from uuid import UUID

import pytest
from requests.adapters import HTTPAdapter

import AzureRiskyUsers as aru  # noqa: N813 - the module bears the name of the integration
from helpers import (
    BASE,
    COLLECTIONS_URL,
    FAILED,
    GRAPH,
    GRAPH_HOST,
    LIST,
    LOGIN_HOST,
    NOW,
    Fail,
    Row,
    Succeed,
    flags,
    ids,
    listed_rows,
    only_entry,
    request_id,
    sign_in_by_device_code,
    use_device_code,
)
from warroom.azure.rows import stamp
from warroom.azure.server import Simulator
from warroom.azure.tenant import CLIENT_ID, Tenant
from warroom.xsoar.entries import Run
from warroom.xsoar.runner import WarRoom
from warroom.xsoar.surroundings import led_to

NUMBER_OF_USERS = 1300
USERS_PATH = f"{BASE}riskyUsers"
USERS_URL = f"{COLLECTIONS_URL}riskyUsers"
OUT_OF_ORDER = "Graph is out of order. Try again later."
NO_CONNECTION = (
    "graph.microsoft.com was not reached: the connection failed or there was no answer in time. "
    "Check name resolution, firewall and proxy settings (ConnectionError)."
)
NO_JSON = (
    "Graph was not reached: what answered ({}) is no JSON object. "
    "A gateway, a proxy or a sign-in page of the network may stand between."
)


def user_id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012x}"


@pytest.fixture(scope="module")
def crowd() -> list[Row]:
    """Users, newest first."""
    tenant = Tenant(clock=NOW)
    moments = [stamp(NOW - timedelta(minutes=number)) for number in range(NUMBER_OF_USERS)]
    return [
        tenant.add_user(id=user_id(number), riskLastUpdatedDateTime=moment) for number, moment in enumerate(moments)
    ]


@pytest.fixture
def tenant(crowd: list[Row]) -> Tenant:
    return Tenant(clock=NOW, users={row["id"]: dict(row) for row in crowd})


@pytest.fixture
def chances(monkeypatch: pytest.MonkeyPatch, no_waiting: list[float]) -> list[tuple[float, float]]:
    """Between what each wait was chosen by chance, which here is always the least. No time passes but by waiting."""
    asked: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        asked.append((low, high))
        return low

    monkeypatch.setattr(random, "uniform", uniform)
    monkeypatch.setattr(time, "monotonic", lambda: sum(no_waiting))
    return asked


def numbers(run: Run) -> range:
    """The numbers of the users that a list gave, which have to come without a gap."""
    found = ids(listed_rows(run))
    first = int(found[0][-12:], 16) if found else 0
    assert found == [user_id(number) for number in range(first, first + len(found))]
    return range(first, first + len(found))


# Pages


@pytest.mark.parametrize(
    ("arguments", "tops", "rows"),
    [
        ("", ["50"], range(50)),
        ("limit=1", ["1"], range(1)),
        ("limit=500", ["500"], range(500)),
        ("limit=501", ["251"] * 2, range(501)),
        ("limit=1200", ["400"] * 3, range(1200)),
        ("limit=1300", ["434"] * 3, range(1300)),
        ("limit=5000", ["500"] * 3, range(1300)),
        ("page_size=50 page=9", ["450"], range(400, 450)),
        ("limit=50 page=9", ["450"], range(400, 450)),
        ("page_size=40 page=30", ["400"] * 3, range(1160, 1200)),
        ("page_size=100 page=13", ["434"] * 3, range(1200, 1300)),
        ("limit=30 page=40", ["400"] * 3, range(1170, 1200)),
        ("limit=100 page=14", ["467"] * 3, range(0)),
    ],
)
def test_rows_take_the_fewest_requests_whichever_page_they_stand_on(
    run: Succeed, simulator: Simulator, arguments: str, tops: list[str], rows: range
) -> None:
    assert numbers(run(f"{LIST} {arguments}")) == rows
    assert [request.query["$top"] for request in simulator.graph_requests] == tops


def test_links_to_next_pages_are_followed_byte_for_byte(run: Succeed, simulator: Simulator) -> None:
    for number in range(3):
        simulator.tenant.add_user(id=user_id(9000 + number), userPrincipalName="o'neil+1@contoso.example")
    line = '!azure-risky-users-list user_principal_name="o\'neil+1@contoso.example" page_size=1'
    links: list[str] = []
    for _ in range(3):
        token = f" next_token=`{links[-1]}`" if links else ""
        links.append(flags(only_entry(run(line + token)))["RiskyUserListNextToken"])
    assert [request.target for request in simulator.graph_requests[1:]] == [link[len(GRAPH) :] for link in links[:2]]
    assert "%27o%27%27neil%2B1%40contoso.example%27" in links[0]
    assert links[2] == ""


def test_links_are_followed_byte_for_byte_within_one_walk_too(run: Succeed, simulator: Simulator) -> None:
    links: list[str] = []

    def note(link: str) -> str:
        links.append(link)
        return link

    simulator.next_link_override = note
    assert numbers(run(f"{LIST} limit=1300 risk_state=atRisk")) == range(1300)
    assert [request.target for request in simulator.graph_requests[1:]] == [link[len(GRAPH) :] for link in links]


def test_every_read_asks_for_all_enum_members_and_bears_an_id_of_its_own(run: Succeed, simulator: Simulator) -> None:
    run(f"{LIST} limit=1300")
    requests = simulator.graph_requests
    assert len({UUID(request.headers["client-request-id"]) for request in requests}) == 3
    assert {request.headers["Prefer"] for request in requests} == {"include-unknown-enum-members"}
    assert {request.headers["Accept"] for request in requests} == {"application/json"}


def test_a_page_without_rows_does_not_end_the_walk(run: Succeed, simulator: Simulator) -> None:
    link = flags(only_entry(run(f"{LIST} page_size=2")))["RiskyUserListNextToken"]
    simulator.fail_next(200, body={"value": [], "@odata.nextLink": link})
    assert numbers(run(f"{LIST} limit=2")) == range(2, 4)


HOSTILE_LINKS = {
    "another host": "https://fabrikam.example/v1.0/identityProtection/riskyUsers?$skiptoken=x",
    "no encryption": f"http://graph.microsoft.com{USERS_PATH}?$skiptoken=x",
    "host as user name": f"https://graph.microsoft.com@fabrikam.example{USERS_PATH}?$skiptoken=x",
    "host as user name with port": f"https://graph.microsoft.com:443@fabrikam.example{USERS_PATH}?$skiptoken=x",
    "host as subdomain": f"https://graph.microsoft.com.fabrikam.example{USERS_PATH}?$skiptoken=x",
    "another port": f"https://graph.microsoft.com:8443{USERS_PATH}?$skiptoken=x",
    "backslash": f"https://fabrikam.example\\@graph.microsoft.com{USERS_PATH}?$skiptoken=x",
    "another cloud": f"https://graph.microsoft.us{USERS_PATH}?$skiptoken=x",
    "another collection": f"{COLLECTIONS_URL}riskDetections?$skiptoken=x",
    "dots": f"{USERS_URL}/../riskDetections?$skiptoken=x",
    "dots at the end": f"{USERS_URL}/..?$skiptoken=x",
    "encoded dots": f"{USERS_URL}/%2e%2e/riskDetections?$skiptoken=x",
    "longer name": f"{USERS_URL}X?$skiptoken=x",
    "an item": f"{USERS_URL}/{user_id(1)}?$skiptoken=x",
    "an action": f"{USERS_URL}/dismiss?$skiptoken=x",
    "another version": f"{GRAPH}/beta/identityProtection/riskyUsers?$skiptoken=x",
    "no query": USERS_URL,
    "relative": f"{USERS_PATH}?$skiptoken=x",
    "no scheme": f"//graph.microsoft.com{USERS_PATH}?$skiptoken=x",
    "space before": f" {USERS_URL}?$skiptoken=x",
}


@pytest.mark.parametrize("link", HOSTILE_LINKS.values(), ids=HOSTILE_LINKS)
def test_a_link_out_of_the_collection_is_refused_and_no_request_bears_the_token_there(
    run: Succeed, simulator: Simulator, link: str
) -> None:
    simulator.next_link_override = lambda _: link
    done = run(f"{LIST} limit=1300")
    assert numbers(done) == range(434)
    assert done.entries[1]["Contents"] == (
        "The list is incomplete: only 434 rows could be read. "
        f"Graph's link to the next page leads away from {USERS_URL}."
    )
    assert [request.target.split("?")[0] for request in simulator.requests[2:]] == [USERS_PATH]


@pytest.mark.parametrize("link", list(HOSTILE_LINKS.values())[:-1], ids=list(HOSTILE_LINKS)[:-1])
def test_a_next_token_out_of_the_collection_is_refused_before_any_request(
    error: Fail, simulator: Simulator, link: str
) -> None:
    assert error(f"{LIST} next_token=`{link}`") == (
        f'{FAILED}next_token="{link}" cannot be used. '
        f"Accepted: what an earlier call of this command gave, {USERS_URL}?...."
    )
    assert simulator.requests == []


def test_a_link_that_leads_back_ends_the_walk_with_a_warning(run: Succeed, simulator: Simulator) -> None:
    links: list[str] = []

    def first(link: str) -> str:
        links.append(link)
        return links[0]

    simulator.next_link_override = first
    done = run(f"{LIST} limit=1300")
    assert numbers(done) == range(868)
    assert done.entries[1]["Contents"] == (
        "The list is incomplete: only 868 rows could be read. "
        "Graph's link to the next page leads back to one that was already read."
    )
    assert len(simulator.graph_requests) == 2


# Tokens that end in the middle


def tokens(simulator: Simulator) -> list[int]:
    """Which of the tokens that were issued each Graph request bore, by number."""
    issued = list(simulator.entra.access_tokens)
    return [
        issued.index(request.headers["Authorization"].removeprefix("Bearer ")) for request in simulator.graph_requests
    ]


def test_a_token_that_is_refused_in_the_middle_of_a_walk_is_renewed_once(run: Succeed, simulator: Simulator) -> None:
    def revoke(link: str) -> str:
        if len(simulator.entra.access_tokens) == 1:
            simulator.entra.revoke_tokens()
        return link

    simulator.next_link_override = revoke
    assert numbers(run(f"{LIST} limit=1300")) == range(1300)
    assert tokens(simulator) == [0, 0, 1, 1]
    assert simulator.graph_requests[1].target == simulator.graph_requests[2].target
    run(f"{LIST} limit=1")
    assert tokens(simulator)[4:] == [1]


REFUSED_TWICE = (
    "Graph answered 401 InvalidAuthenticationToken: Access token has expired or is not yet valid. "
    "A new token was refused too. Check that application, tenant and cloud belong together. (request-id {})"
)


def test_a_new_token_that_is_refused_too_ends_in_a_clear_error(error: Fail, simulator: Simulator) -> None:
    simulator.fail_next(401, times=9)
    assert error(LIST) == FAILED + REFUSED_TWICE.format(request_id(simulator))
    assert tokens(simulator) == [0, 1]


# Pages that fail for good


ROWS_SO_FAR = "The list is incomplete: only {} rows could be read. "
GOOD_REASONS: dict[str, tuple[Row, str]] = {
    "500": ({"status": 500}, f"Graph answered 500 InternalServerError: no message. {OUT_OF_ORDER} (request-id {{}})"),
    "503": ({"status": 503}, f"Graph answered 503 serviceNotAvailable: no message. {OUT_OF_ORDER} (request-id {{}})"),
    "400": ({"status": 400}, "Graph answered 400 BadRequest: Bad request. (request-id {})"),
    "401": ({"status": 401}, REFUSED_TWICE),
    "unknown status": (
        {"status": 418, "body": {}, "content_type": "application/json"},
        "Graph answered 418 no code: no message. (request-id {})",
    ),
    "connection dropped": ({"drop": True}, NO_CONNECTION),
    "answer broken off": (
        {"truncate": True},
        "graph.microsoft.com was not reached: its answer broke off, twice (ChunkedEncodingError).",
    ),
    "HTML": ({"status": 200, "body": "<html>Sign in</html>"}, NO_JSON.format("200, text/html")),
    "HTML of a gateway": ({"status": 502, "body": "<html>Bad Gateway</html>"}, NO_JSON.format("502, text/html")),
    "nothing": ({"status": 200, "body": "", "content_type": "text/plain"}, NO_JSON.format("200, text/plain")),
    "half of JSON": (
        {"status": 200, "body": '{"value": [', "content_type": "application/json"},
        NO_JSON.format("200, application/json"),
    ),
    "endless JSON": (
        {"status": 200, "body": '{"value": ' * 100_000, "content_type": "application/json"},
        "What Graph answered is nested too deeply to be read.",
    ),
    "a strange kind": (
        {"status": 200, "body": "", "content_type": f"a\tb{'c' * 999}"},
        NO_JSON.format(f"200, a?b{'c' * 197}"),
    ),
    "no list": ({"status": 200, "body": {"value": None}}, "Graph's answer holds no list of risky users."),
    "redirect": (
        {"status": 302, "location": "https://fabrikam.example/"},
        "graph.microsoft.com was not reached: it answered with a redirect, which is not followed. "
        "A sign-in page of the network may stand between (TooManyRedirects).",
    ),
}


@pytest.mark.parametrize(("how", "reason"), GOOD_REASONS.values(), ids=GOOD_REASONS)
def test_a_later_page_that_fails_for_good_leaves_the_rows_and_a_warning_that_says_why(
    run: Succeed, simulator: Simulator, no_waiting: list[float], how: Row, reason: str
) -> None:
    simulator.fail_next(after=1, times=99, **how)
    done = run(f"{LIST} limit=1300")
    warning = ROWS_SO_FAR.format(434) + reason.format(request_id(simulator))
    assert numbers(done) == range(434)
    assert flags(done.entries[0]) == {"RiskyUserListTruncated": True}
    assert [(entry["Type"], entry["Contents"], entry["HumanReadable"]) for entry in done.entries[1:]] == [
        (11, warning, warning)
    ]
    assert sum(no_waiting) < 120
    assert {request.host for request in simulator.requests} == {LOGIN_HOST, GRAPH_HOST}


@pytest.mark.parametrize(("how", "reason"), GOOD_REASONS.values(), ids=GOOD_REASONS)
def test_a_first_page_that_fails_for_good_is_an_error(
    error: Fail, war_room: WarRoom, simulator: Simulator, no_waiting: list[float], how: Row, reason: str
) -> None:
    simulator.fail_next(times=99, **how)
    assert error(f"{LIST} limit=1300") == FAILED + reason.format(request_id(simulator))
    assert sum(no_waiting) < 120
    assert war_room.context.read("AzureRiskyUsers") is None


def test_the_400_that_graph_gives_on_some_last_pages_leaves_all_rows(run: Succeed, simulator: Simulator) -> None:
    simulator.graph.last_page_400 = True
    done = run(f"{LIST} limit=5000")
    assert numbers(done) == range(1300)
    assert flags(done.entries[0]) == {"RiskyUserListTruncated": True}
    assert done.entries[1]["Contents"] == (
        "The list is incomplete: only 1,300 rows could be read. Graph answered 400 BadRequest: "
        f"The skip token is past the last page. (request-id {request_id(simulator)})"
    )


def test_a_redirect_carries_no_token_to_another_host(error: Fail, simulator: Simulator) -> None:
    for status in (301, 302, 303, 307, 308):
        simulator.fail_next(status, location="https://fabrikam.example/")
        assert "redirect" in error(LIST)
    assert {request.host for request in simulator.requests} == {LOGIN_HOST, GRAPH_HOST}


# Requests that are repeated


@pytest.mark.parametrize(
    ("how", "requests"),
    [
        ({"status": 429}, 2),
        ({"status": 500}, 2),
        ({"status": 502}, 2),
        ({"status": 503}, 2),
        ({"status": 504}, 2),
        ({"drop": True}, 2),
        ({"truncate": True}, 2),
        ({"status": 503, "times": 6}, 7),
        ({"drop": True, "times": 3}, 4),
    ],
)
@pytest.mark.usefixtures("no_waiting")
def test_a_fault_that_passes_goes_unnoticed(run: Succeed, simulator: Simulator, how: Row, requests: int) -> None:
    simulator.fail_next(**how)
    done = run(f"{LIST} limit=3")
    assert numbers(done) == range(3)
    assert len(simulator.graph_requests) == requests
    assert len(done.entries) == 1


@pytest.mark.parametrize("status", [400, 403, 404, 409, 501])
def test_what_would_fail_again_is_not_repeated(
    error: Fail, simulator: Simulator, no_waiting: list[float], status: int
) -> None:
    simulator.fail_next(status, times=9, body={"error": {"code": "Contoso", "message": "No."}})
    error(LIST)
    assert (len(simulator.graph_requests), no_waiting) == (1, [])


def test_in_an_outage_each_wait_is_longer_than_the_one_before(
    run: Succeed, simulator: Simulator, no_waiting: list[float]
) -> None:
    simulator.fail_next(503, times=5)
    run(LIST)
    assert [round(wait - 0.25) for wait in no_waiting] == [1, 2, 4, 8, 16]
    assert all(later > earlier for earlier, later in zip(no_waiting, no_waiting[1:], strict=False))


def test_a_request_that_fails_late_in_a_walk_is_repeated_as_at_its_start(
    run: Succeed, simulator: Simulator, no_waiting: list[float]
) -> None:
    no_waiting.append(0)
    simulator.fail_next(503, after=1, times=3)

    def note(link: str) -> str:
        no_waiting[0] = 200
        return link

    simulator.next_link_override = note
    assert numbers(run(f"{LIST} limit=1300")) == range(1300)
    assert [round(wait - 0.25) for wait in no_waiting[1:]] == [1, 2, 4]


FIRST_WAITS = {429: 1.05, 503: 1}  # where the answer asks for none


def date(seconds: float) -> str:
    """An HTTP date so many seconds from now."""
    return format_datetime(datetime.now(timezone.utc) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        (7, 7),
        ("7", 7),
        ("Tue, 03 Nov 2026 12:00:00 GMT", 0),
        ("Tue, 03 Nov 99999999999 12:00:00 GMT", 0),
        ("soon", 0),
        ("inf", 0),
        ("nan", 0),
        ("-5", 0),
        ("1.5", 0),
        (0, 0),
        ("", 0),
    ],
)
@pytest.mark.usefixtures("chances")
@pytest.mark.parametrize("status", [429, 503])
def test_a_retry_after_is_obeyed_where_it_can_be_read(
    run: Succeed, simulator: Simulator, no_waiting: list[float], status: int, retry_after: int | str, seconds: float
) -> None:
    simulator.fail_next(status, retry_after=retry_after)
    run(LIST)
    assert no_waiting == [seconds or FIRST_WAITS[status]]


@pytest.mark.parametrize("status", [429, 503])
def test_a_retry_after_may_be_a_date(run: Succeed, simulator: Simulator, no_waiting: list[float], status: int) -> None:
    simulator.fail_next(status, retry_after=date(30))
    run(LIST)
    (wait,) = no_waiting
    assert 20 < wait <= 30


@pytest.mark.parametrize("retry_after", [3600, date(3600), "9" * 40], ids=["seconds", "date", "huge"])
def test_an_hours_retry_after_is_not_obeyed_and_told(
    error: Fail, simulator: Simulator, no_waiting: list[float], retry_after: int | str
) -> None:
    simulator.fail_next(429, times=9, retry_after=retry_after)
    assert error(LIST) == (
        f"{FAILED}Graph answered 429 TooManyRequests: Too many requests. "
        "Graph allows one request a second for the whole tenant, shared by all its applications. Try again later. "
        f"Retry-After: {retry_after}. (request-id {request_id(simulator)})"
    )
    assert (len(simulator.graph_requests), no_waiting) == (1, [])


@pytest.mark.parametrize("status", [429, 503])
def test_of_a_retry_after_of_thousands_of_digits_only_the_beginning_is_told(
    error: Fail, simulator: Simulator, no_waiting: list[float], status: int
) -> None:
    simulator.fail_next(status, times=9, retry_after="9" * 5000)
    text = error(LIST)
    assert f"Retry-After: {'9' * 200}. (request-id {request_id(simulator)})" in text
    assert "9" * 201 not in text
    assert (len(simulator.graph_requests), no_waiting) == (1, [])


# One request a second, for all that ask


@pytest.mark.usefixtures("chances")
def test_after_the_first_429_a_walk_keeps_to_one_request_a_second(
    run: Succeed, simulator: Simulator, no_waiting: list[float]
) -> None:
    simulator.throttle = 1
    assert numbers(run(f"{LIST} limit=5000 page_size=500 page=3")) == range(1000, 1300)
    assert no_waiting == pytest.approx([1.05, 1.05])
    assert len(simulator.graph_requests) == 4


def test_waits_after_refusals_stay_near_two_seconds_and_hang_on_chance(
    run: Succeed, simulator: Simulator, no_waiting: list[float], chances: list[tuple[float, float]]
) -> None:
    simulator.fail_next(429, times=5)
    run(LIST)
    assert no_waiting == pytest.approx([1.05, *[1.5] * 4])
    assert set(chances) == {(1.05, 1.5), (1.5, 2.2), (2.4, 2.6)}


def test_a_walk_alone_is_as_fast_as_graph_allows(
    run: Succeed, tenant: Tenant, simulator: Simulator, no_waiting: list[float], chances: list[tuple[float, float]]
) -> None:
    tenant.largest_page = 10
    simulator.throttle = 1
    run(f"{LIST} limit=100")
    assert no_waiting == pytest.approx([1.05] * 9)
    assert set(chances) == {(1.05, 1.5), (1.05, 1.3)}


def test_a_walk_that_is_not_alone_leaves_every_other_second_for_a_while(
    run: Succeed, tenant: Tenant, simulator: Simulator, no_waiting: list[float], chances: list[tuple[float, float]]
) -> None:
    tenant.largest_page = 10
    simulator.fail_next(429, after=1)
    simulator.fail_next(429, after=2)
    run(f"{LIST} limit=150")
    assert no_waiting == pytest.approx([1.05] * 4 + [2.4] * 7 + [1.05] * 4)
    assert len(chances) == 16


def test_an_answer_that_took_its_time_is_not_waited_for_as_long_again(
    run: Succeed, tenant: Tenant, simulator: Simulator, no_waiting: list[float], chances: list[tuple[float, float]]
) -> None:
    tenant.largest_page = 10
    simulator.sleep = no_waiting.append
    simulator.fail_next(429, after=1)
    simulator.fail_next(delay_s=0.75, times=9)
    run(f"{LIST} limit=50")
    assert no_waiting == pytest.approx([1.05, 0.75, 0.3, 0.75, 0.3, 0.75, 0.3, 0.75])
    assert len(chances) == 5


def test_after_an_outage_the_pace_counts_from_the_repetition(
    run: Succeed, tenant: Tenant, simulator: Simulator, no_waiting: list[float], chances: list[tuple[float, float]]
) -> None:
    tenant.largest_page = 10
    simulator.fail_next(429, after=1)
    simulator.fail_next(503)
    run(f"{LIST} limit=30")
    assert no_waiting == pytest.approx([1.05, 1, 1.05])
    assert len(chances) == 3


def test_a_refusal_is_waited_out_as_long_as_a_walk_may_last(
    error: Fail, simulator: Simulator, no_waiting: list[float]
) -> None:
    simulator.fail_next(429, times=999)
    assert "Graph answered 429 TooManyRequests" in error(LIST)
    assert 235 < sum(no_waiting) <= 240
    assert len(simulator.graph_requests) == len(no_waiting) + 1


def test_after_a_final_429_the_next_request_of_the_command_waits_too(
    war_room: WarRoom, simulator: Simulator, no_waiting: list[float]
) -> None:
    instance = aru.build_instance(aru.read_settings(war_room.params), persistent=False)
    simulator.fail_next(429, retry_after=3600)
    with led_to(simulator, aru.HttpSession):
        with pytest.raises(aru.GraphError):
            instance.client.first_page(aru.RISKY_USERS, {})
        assert no_waiting == []
        instance.client.first_page(aru.RISKY_USERS, {})
    (wait,) = no_waiting
    assert 0.9 < wait < 1.5


@pytest.mark.usefixtures("no_waiting")
def test_a_long_wait_and_each_page_before_the_last_is_told_in_the_log(run: Succeed, simulator: Simulator) -> None:
    simulator.fail_next(429, retry_after=7)
    simulator.fail_next(503, times=2, after=1)
    simulator.fail_next(drop=True, times=2)
    done = run(f"{LIST} limit=1300")
    told = [line for line in done.logs if "ntegration context" not in line]
    assert told[1:] == [
        "debug: Graph allows one request a second: waiting 7 s",
        "debug: page 1, 434 rows",
        "debug: The answer was 503: waiting 2 s",
        "debug: There was no answer: waiting 4 s",
        "debug: There was no answer: waiting 8 s",
        "debug: page 2, 868 rows",
    ]


def test_a_walk_that_is_not_throttled_never_waits(run: Succeed, no_waiting: list[float]) -> None:
    run(f"{LIST} limit=1300")
    assert no_waiting == []


def test_a_graph_that_never_answers_is_given_up_within_two_minutes(
    error: Fail, simulator: Simulator, no_waiting: list[float]
) -> None:
    simulator.sleep = no_waiting.append
    simulator.fail_next(drop=True, delay_s=30, times=99)
    assert error(LIST) == FAILED + NO_CONNECTION
    assert sum(no_waiting) <= 125


def test_every_request_has_a_time_limit(run: Succeed, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = []
    send = HTTPAdapter.send

    def note(adapter: Any, request: Any, **options: Any) -> Any:
        limits.append(options["timeout"])
        return send(adapter, request, **options)

    monkeypatch.setattr(HTTPAdapter, "send", note)
    run(LIST)
    assert limits == [(5, 30)] * 3


def test_a_long_walk_is_ended_before_the_platform_would_end_it(
    run: Succeed, simulator: Simulator, no_waiting: list[float]
) -> None:
    def note(link: str) -> str:
        no_waiting.append(130)
        return link

    simulator.next_link_override = note
    done = run(f"{LIST} limit=1300")
    assert numbers(done) == range(868)
    assert done.entries[1]["Contents"] == (
        ROWS_SO_FAR.format(868) + "Reading on was stopped after 240 seconds, before the platform would."
    )


# Refusals


READS = {
    "azure-risky-users-list": "IdentityRiskyUser.Read.All",
    f"azure-risky-user-get id={user_id(1)}": "IdentityRiskyUser.Read.All",
    f"azure-risky-user-history-list id={user_id(1)}": "IdentityRiskyUser.Read.All",
    "azure-risky-users-risk-detections-list": "IdentityRiskEvent.Read.All",
    "azure-risky-users-risk-detection-get id=x1": "IdentityRiskEvent.Read.All",
    "azure-risky-service-principals-list": "IdentityRiskyServicePrincipal.Read.All",
    "azure-risky-service-principal-detections-list": "IdentityRiskEvent.Read.All",
}
LICENCES = {
    "azure-risky-users-list": "Microsoft Entra ID P2",
    "azure-risky-users-risk-detections-list": "Microsoft Entra ID P1 or P2",
    "azure-risky-service-principals-list": "Microsoft Entra Workload ID Premium",
    "azure-risky-service-principal-detections-list": "Microsoft Entra Workload ID Premium",
}
NOT_SCOPED = (
    "Graph answered 403 Forbidden: "
    "You cannot perform the requested operation, required scopes are missing in the token."
)
GRANT_IT = "with admin consent. Once it is granted, run !azure-risky-users-auth-reset, which drops the stored token."


def failure(command: str, text: str, simulator: Simulator) -> str:
    return f"Failed to execute {command.split()[0]}. {text} (request-id {request_id(simulator)})"


@pytest.mark.parametrize("opaque", [False, True], ids=["readable token", "opaque token"])
@pytest.mark.parametrize(("command", "permission"), READS.items())
def test_a_missing_permission_of_the_application_is_named(
    error: Fail, simulator: Simulator, command: str, permission: str, opaque: bool
) -> None:
    simulator.entra.opaque_tokens = opaque
    simulator.tenant.apps[CLIENT_ID].application_permissions = set()
    text = f"{NOT_SCOPED} Permission missing: the application needs the application permission {permission}, {GRANT_IT}"
    assert error(f"!{command}") == failure(command, text, simulator)


@pytest.mark.parametrize(("command", "licence"), LICENCES.items())
def test_a_missing_licence_is_named(error: Fail, simulator: Simulator, command: str, licence: str) -> None:
    simulator.tenant.licence, simulator.tenant.workload_licence = "Free", False
    text = (
        "Graph answered 403 Forbidden: Your tenant is not licensed for this feature. "
        f"Licence missing: the tenant needs {licence}."
    )
    assert error(f"!{command}") == failure(command, text, simulator)


@pytest.fixture
def signed_in(war_room: WarRoom, simulator: Simulator) -> None:
    """A person has signed in with device code."""
    use_device_code(war_room)
    sign_in_by_device_code(war_room, simulator)


@pytest.mark.usefixtures("signed_in")
@pytest.mark.parametrize("command", ["azure-risky-users-list", "azure-risky-users-risk-detections-list"])
def test_a_missing_role_of_the_person_is_named(error: Fail, simulator: Simulator, command: str) -> None:
    simulator.tenant.user_roles = {"Helpdesk Administrator"}
    text = (
        "Graph answered 403 Authorization_RequestDenied: Insufficient privileges to complete the operation. "
        "Role missing: the person who signed in needs the role Security Reader, Security Operator, "
        "Security Administrator or Global Reader."
    )
    assert error(f"!{command}") == failure(command, text, simulator)


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (401, "A new token was refused too. Check that application, tenant and cloud belong together."),
        (500, "Graph is out of order. Try again later."),
    ],
)
@pytest.mark.usefixtures("no_waiting")
def test_a_refusal_without_a_body_says_what_to_do(status: int, advice: str, error: Fail, simulator: Simulator) -> None:
    simulator.fail_next(status, body="", times=99)
    message, _, request_id = error(LIST).partition(" (request-id ")
    assert (message, bool(request_id)) == (f"{FAILED}Graph answered {status} no code: no message. {advice}", True)


@pytest.mark.usefixtures("signed_in")
def test_a_missing_permission_of_a_person_is_named_as_a_delegated_one(error: Fail, simulator: Simulator) -> None:
    command = "azure-risky-service-principals-list"
    text = (
        f"{NOT_SCOPED} Permission missing: the application needs the delegated permission "
        "IdentityRiskyServicePrincipal.Read.All, with admin consent. Once it is granted: Run "
        "!azure-risky-users-auth-start to sign in. What changes risk, and service principals, need 'Allow response "
        "commands' in the instance before."
    )
    assert error(f"!{command}") == failure(command, text, simulator)


@pytest.mark.parametrize(
    ("command", "noun"),
    [
        ("azure-risky-user-get", "risky user"),
        ("azure-risky-users-risk-detection-get", "risk detection"),
        ("azure-risky-service-principal-get", "risky service principal"),
        ("azure-risky-service-principal-detection-get", "service principal risk detection"),
    ],
)
def test_what_is_not_there_is_named(error: Fail, simulator: Simulator, command: str, noun: str) -> None:
    text = (
        f'There is no {noun} with the ID "{user_id(9999)}". '
        f"Graph answered 404 ResourceNotFound: Resource '{user_id(9999)}' does not exist."
    )
    assert error(f"!{command} id={user_id(9999)}") == failure(command, text, simulator)


ODD_BODIES: dict[str, Any] = {
    "no error": {"value": []},
    "error as text": {"error": "gone"},
    "error as list": {"error": ["gone"]},
    "error of nothing": {"error": {"code": None, "message": None}},
}


@pytest.mark.parametrize("body", ODD_BODIES.values(), ids=ODD_BODIES)
def test_a_refusal_of_odd_shape_is_told_without_its_body(error: Fail, simulator: Simulator, body: Row) -> None:
    simulator.fail_next(400, body=body)
    assert error(LIST) == f"{FAILED}Graph answered 400 no code: no message. (request-id {request_id(simulator)})"


ODD_MESSAGES: dict[str, tuple[Any, str]] = {
    "nothing": (None, "no message."),
    "an object": ({"lang": "en", "value": "Not today."}, "Not today."),
    "an object without text": ({"value": {"a": 1}}, "no message."),
    "a list": (["Not", "today."], "no message."),
    "a number": (1, "no message."),
    "very long": ("a" * 100_000, "a" * 1000),
}


@pytest.mark.parametrize(("message", "told"), ODD_MESSAGES.values(), ids=ODD_MESSAGES)
def test_a_403_whose_message_is_odd_is_told_readably(
    error: Fail, simulator: Simulator, message: Any, told: str
) -> None:
    simulator.fail_next(403, body={"error": {"code": message, "message": message}})
    text = (
        f"Graph answered 403 {told if told != 'no message.' else 'no code'}: {told} The token does hold the permission "
        "IdentityRiskyUser.Read.All; Graph says no more."
    )
    assert error(LIST) == failure("azure-risky-users-list", text, simulator)


NO_NUMBERS = '{"value": [{"id": "a", "x": NaN, "y": -Infinity, "z": 1e999, "é": "\\ud83d\\ude00"}]}'


def test_numbers_that_json_does_not_have_are_null(run: Succeed, simulator: Simulator) -> None:
    simulator.fail_next(200, body=NO_NUMBERS, content_type="application/json")
    assert listed_rows(run(LIST)) == [{"id": "a", "x": None, "y": None, "z": None, "é": "\U0001f600"}]


def test_a_refusal_for_no_lack_of_permission_is_not_said_to_be_one(error: Fail, simulator: Simulator) -> None:
    simulator.fail_next(403, body={"error": {"code": "Forbidden", "message": "Not today."}})
    text = (
        "Graph answered 403 Forbidden: Not today. The token does hold the permission IdentityRiskyUser.Read.All; "
        "Graph says no more."
    )
    assert error(LIST) == failure("azure-risky-users-list", text, simulator)


def test_of_two_permissions_that_would_do_the_one_that_the_token_holds_is_named(
    error: Fail, simulator: Simulator, tenant: Tenant
) -> None:
    tenant.apps[CLIENT_ID].application_permissions = {"IdentityRiskyServicePrincipal.ReadWrite.All"}
    simulator.fail_next(403, body={"error": {"code": "Forbidden", "message": "Not today."}})
    command = "azure-risky-service-principals-list"
    text = (
        "Graph answered 403 Forbidden: Not today. "
        "The token does hold the permission IdentityRiskyServicePrincipal.ReadWrite.All; Graph says no more."
    )
    assert error(f"!{command}") == failure(command, text, simulator)


def test_auth_test_asks_no_further_where_graph_is_not_reached(
    error: Fail, simulator: Simulator, no_waiting: list[float]
) -> None:
    simulator.fail_next(drop=True, times=99)
    assert error("!azure-risky-users-auth-test") == f"Failed to execute azure-risky-users-auth-test. {NO_CONNECTION}"
    assert {request.path for request in simulator.graph_requests} == {USERS_PATH}
    assert sum(no_waiting) < 120
