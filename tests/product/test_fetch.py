"""Detections and users become incidents: none lost, none twice, oldest first, whatever the service does meanwhile."""

import contextlib
import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import AzureRiskyUsers as aru  # noqa: N813 - the module bears the name of the integration
from helpers import (
    BASE,
    LEVELS_ACCEPTED,
    NOW,
    SMALL,
    STATES_ACCEPTED,
    Row,
    contents,
    ids,
    listed_rows,
    only_entry,
    shown,
    text_of,
)
from warroom.azure.arrivals import WAYS, Arrivals
from warroom.azure.demo import demo_tenant
from warroom.azure.rows import safe_user, stamp
from warroom.azure.server import Simulator
from warroom.azure.tenant import Order, Tenant, reversed_order, shuffled
from warroom.terminal.backend import RealTenant
from warroom.terminal.display import open_console
from warroom.terminal.options import read_options
from warroom.terminal.session import main, run_session
from warroom.xsoar.entries import Run
from warroom.xsoar.integration import PROJECT
from warroom.xsoar.runner import WarRoom
from warroom.xsoar.surroundings import led_to

Fetch = Callable[[], list[str]]  # the fixture `fetch`

SINCE = "2026-11-17T12:00:00Z"  # three days before NOW
ONLY_USERS = ["Risky Users"]
BOTH = ["Risk Detections", "Risky Users"]
PREVIEW = "!azure-risky-users-fetch-preview"
AD = "00000000-0000-0000-0000-0000000000ad"


class Clock:
    """The one clock of tenant and integration."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **span: float) -> None:
        self.now += timedelta(**span)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tenant(clock: Clock) -> Tenant:
    """A tenant in which nothing has happened yet."""
    return Tenant(clock=clock)


@pytest.fixture
def room(war_room: WarRoom, clock: Clock) -> WarRoom:
    war_room.clock = clock
    return war_room


def incident_ids(incidents: list[Row]) -> list[str]:
    return [new["dbotMirrorId"] for new in incidents]


@pytest.fixture
def fetch(room: WarRoom) -> Fetch:
    """Fetch once, which has to succeed, and give the ids of the incidents as handed over."""

    def succeed() -> list[str]:
        run = room.fetch()
        assert not run.failed, contents(run)
        return incident_ids(run.incidents)

    return succeed


@pytest.fixture
def client(instance: Row, simulator: Simulator) -> Iterator[aru.GraphClient]:
    """A client of the instance as it is at the start of the test, led to the simulator."""
    with led_to(simulator, aru.HttpSession):
        yield aru.build_instance(aru.read_settings(instance), persistent=False).client


def known(last_run: Row, fetch_type: str = "Risk Detections") -> dict[str, aru.Remembered]:
    """What is remembered of one type."""
    return aru.read_cursor(last_run[fetch_type], SINCE, aru.SOURCES[fetch_type].key_of).known


class ForgetfulFetches:
    """Fetches of an instance that remembers few objects, one after another."""

    def __init__(self, client: aru.GraphClient, instance: Row, clock: Clock, remembered: int) -> None:
        self.client, self.clock = client, clock
        self.settings = replace(
            aru.read_fetch_settings(instance), max_detections=remembered, max_users=remembered, since=SINCE
        )
        self.last_run: Row = {}

    def __call__(self) -> list[str]:
        fetched = aru.fetch_incidents(self.client, self.settings, self.last_run, self.clock())
        self.last_run = fetched.next_run
        return incident_ids(fetched.incidents)

    def known(self) -> dict[str, aru.Remembered]:
        return known(self.last_run)


def messages(run: Run) -> list[str]:
    """What the entries say; of an error in a fetch, which the platform shows with its traceback, the last line."""
    return [text.strip().rpartition("\nException: ")[2] for text in contents(run)]


def raw(run: Run) -> list[Row]:
    return [json.loads(new["rawJSON"]) for new in run.incidents]


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def detect(tenant: Tenant, *names: str, **fields: Any) -> None:
    """Let detections occur, one minute apart, the last of them a minute ago."""
    for position, name in enumerate(names):
        tenant.arrive(**{"id": name, "detected": ago(minutes=len(names) - position), **fields})


def detect_hourly(tenant: Tenant) -> None:
    """Let detections d0 to d5 occur, an hour apart."""
    for number in range(6):
        tenant.arrive(id=f"d{number}", detected=ago(hours=9 - number))


def add_users_hourly(tenant: Tenant) -> None:
    """Let users u0 to u5 come to be at risk, an hour apart."""
    for number in range(6):
        tenant.add_user(id=f"u{number}", riskLastUpdatedDateTime=stamp(ago(hours=9 - number)))


# What an incident is


def test_a_detection_becomes_this_incident(room: WarRoom, tenant: Tenant) -> None:
    tenant.add_user(id=AD)
    info = '[{"Key":"userAgent","Value":"contoso"},{"Key":"riskReasons","Value":["UnfamiliarASN"]}]'
    row = tenant.arrive(id="d1", detected="2026-11-20T11:02:03.5Z", riskLevel="medium", additionalInfo=info)
    details = {"userAgent": "contoso", "riskReasons": ["UnfamiliarASN"]}
    (incident,) = room.fetch().incidents
    assert json.loads(incident.pop("rawJSON")) == {
        **row,
        "additionalDetails": details,
        "fetchType": "Risk Detections",
    }
    assert incident == {
        "name": "Leaked credentials: user.00ad@contoso.example (medium)",
        "occurred": "2026-11-20T11:02:03.5000000Z",
        "severity": 2,
        "dbotMirrorId": "d1",
    }


def test_a_user_at_risk_becomes_this_incident(room: WarRoom, tenant: Tenant, instance: Row) -> None:
    instance["fetch_types"] = ONLY_USERS
    row = tenant.add_user(id=AD, riskLevel="high", riskLastUpdatedDateTime="2026-11-20T11:02:03Z")
    (incident,) = room.fetch().incidents
    assert json.loads(incident.pop("rawJSON")) == {**row, "fetchType": "Risky Users"}
    assert incident == {
        "name": "Risky user: user.00ad@contoso.example is atRisk (high)",
        "occurred": "2026-11-20T11:02:03.0000000Z",
        "severity": 3,
        "dbotMirrorId": AD,
    }


@pytest.mark.parametrize(
    ("level", "severity"),
    [("high", 3), ("medium", 2), ("low", 1), ("hidden", 0), ("none", 0), ("unknownFutureValue", 0), (None, 0)],
)
def test_the_severity_is_the_level_and_unknown_for_a_level_that_says_nothing(
    level: str | None, severity: int, room: WarRoom, tenant: Tenant
) -> None:
    detect(tenant, "d1", riskLevel=level)
    assert [new["severity"] for new in room.fetch().incidents] == [severity]


def test_an_event_type_without_words_is_named_as_graph_names_it(room: WarRoom, tenant: Tenant) -> None:
    tenant.add_user(id=AD)
    detect(tenant, "d1", riskEventType="contosoOddity")
    assert [new["name"] for new in room.fetch().incidents] == ["contosoOddity: user.00ad@contoso.example (high)"]


# What is asked for


def test_the_first_fetch_asks_for_the_last_three_days_in_order_and_in_large_pages(
    fetch: Fetch, simulator: Simulator
) -> None:
    assert fetch() == []
    (request,) = simulator.graph_requests
    assert (request.method, request.path) == ("GET", f"{BASE}riskDetections")
    assert request.query == {
        "$filter": "detectedDateTime ge 2026-11-17T12:00:00Z",
        "$orderby": "detectedDateTime asc",
        "$top": "500",
    }


def test_users_are_asked_for_by_their_last_change_whatever_is_selected(
    fetch: Fetch, simulator: Simulator, instance: Row
) -> None:
    instance |= {"fetch_types": ONLY_USERS, "fetch_risk_levels": ["high"], "first_fetch": "2026-11-01T00:00:00Z"}
    assert fetch() == []
    (request,) = simulator.graph_requests
    assert request.path == f"{BASE}riskyUsers"
    assert request.query == {
        "$filter": "riskLastUpdatedDateTime ge 2026-11-01T00:00:00Z",
        "$orderby": "riskLastUpdatedDateTime asc",
        "$top": "500",
    }


def test_filters_are_graphs_to_apply(fetch: Fetch, simulator: Simulator, instance: Row, tenant: Tenant) -> None:
    instance |= {
        "first_fetch": "12 hours",
        "fetch_risk_levels": ["high", "medium"],
        "fetch_risk_states": "atRisk",
        "fetch_event_types": "leakedCredentials, passwordSpray",
    }
    for name, changes in {
        "selected": {},
        "low": {"riskLevel": "low"},
        "done": {"riskState": "dismissed"},
        "other": {"riskEventType": "newCountry"},
    }.items():
        detect(tenant, name, **changes)
    assert fetch() == ["selected"]
    assert simulator.graph_requests[0].query["$filter"] == (
        "detectedDateTime ge 2026-11-20T00:00:00Z and riskState eq 'atRisk' and "
        "(riskLevel eq 'high' or riskLevel eq 'medium') and "
        "(riskEventType eq 'leakedCredentials' or riskEventType eq 'passwordSpray')"
    )


def test_no_filters_mean_everything(fetch: Fetch, instance: Row, tenant: Tenant) -> None:
    instance |= {"fetch_risk_levels": [], "fetch_risk_states": "", "fetch_event_types": None}
    for position, level in enumerate(aru.RISK_LEVELS):
        tenant.arrive(id=level, detected=ago(hours=9 - position), riskLevel=level, riskState="remediated")
    assert fetch() == list(aru.RISK_LEVELS)


FETCH_PARAMETERS = (
    "isFetch",
    "first_fetch",
    "max_fetch",
    "look_back",
    "fetch_types",
    "fetch_risk_levels",
    "fetch_risk_states",
    "fetch_event_types",
    "fetch_admin_confirmations",
)


@pytest.mark.parametrize("empty", ["missing", None, ""])
def test_an_instance_from_before_these_parameters_fetches_with_their_defaults(
    empty: str | None, fetch: Fetch, instance: Row, tenant: Tenant, simulator: Simulator
) -> None:
    for name in FETCH_PARAMETERS:
        instance.pop(name, None)
        instance.update({} if empty == "missing" else {name: empty})
    detect(tenant, *(f"d{number:02}" for number in range(51)))
    assert fetch() == [f"d{number:02}" for number in range(50)]
    assert simulator.graph_requests[0].query["$filter"] == "detectedDateTime ge 2026-11-17T12:00:00Z"


UP_TO_200 = "a whole number from 1 to 200"
REFUSED = [
    ("max_fetch", "0", UP_TO_200),
    ("max_fetch", "201", UP_TO_200),
    ("max_fetch", "-1", UP_TO_200),
    ("max_fetch", "many", UP_TO_200),
    ("max_fetch", "1.5", UP_TO_200),
    ("look_back", "an hour", "a whole number from 1 to 10080"),
    ("look_back", "0", "a whole number from 1 to 10080"),
    ("look_back", "10081", "a whole number from 1 to 10080"),
    ("first_fetch", "jan", aru.MOMENT_FORMS),
    ("first_fetch", "3 fortnights", aru.MOMENT_FORMS),
    ("fetch_types", "Sign-ins", "Risk Detections, Risky Users"),
    ("fetch_risk_levels", "severe", LEVELS_ACCEPTED),
    (
        "fetch_risk_states",
        "lost",
        STATES_ACCEPTED,
    ),
]


@pytest.mark.parametrize(("name", "value", "accepted"), REFUSED)
def test_a_parameter_that_cannot_be_used_is_named_before_anything_is_sent(
    name: str, value: str, accepted: str, room: WarRoom, instance: Row, simulator: Simulator
) -> None:
    instance[name] = value
    problem = f'{name}="{value}" cannot be used. Accepted: {accepted}.'
    assert messages(room.fetch()) == [f"Failed to execute fetch-incidents. {problem}"]
    assert messages(room.run(PREVIEW)) == [f"Failed to execute azure-risky-users-fetch-preview. {problem}"]
    assert simulator.requests == []


@pytest.mark.parametrize("maximum", ["1", "200", 200])
def test_one_to_two_hundred_incidents_may_be_asked_for(
    maximum: Any, fetch: Fetch, instance: Row, tenant: Tenant
) -> None:
    instance["max_fetch"] = maximum
    detect(tenant, *(f"d{number:03}" for number in range(201)))
    assert fetch() == [f"d{number:03}" for number in range(int(maximum))]


def test_more_event_types_than_one_request_takes_are_refused_by_name(
    room: WarRoom, instance: Row, simulator: Simulator
) -> None:
    instance["fetch_event_types"] = events = ", ".join(f"contoso{number:02}" for number in range(16))
    accepted = "at most 15 event types, levels and states in all"
    assert messages(room.fetch()) == [
        f'Failed to execute fetch-incidents. fetch_event_types="{events[:200]}" cannot be used. Accepted: {accepted}.'
    ]
    assert simulator.requests == []


def test_a_type_that_is_named_twice_is_fetched_once(fetch: Fetch, instance: Row, tenant: Tenant) -> None:
    instance["fetch_types"] = "Risk Detections,Risk Detections"
    detect(tenant, "d1")
    assert fetch() == ["d1"]


# Each once


def test_a_quiet_fetch_costs_one_request_to_graph_and_none_to_the_login_service(
    fetch: Fetch, simulator: Simulator, tenant: Tenant, clock: Clock
) -> None:
    detect(tenant, "d1", "d2")
    assert fetch() == ["d1", "d2"]
    clock.advance(minutes=1)
    simulator.requests.clear()
    assert fetch() == []
    assert [request.path for request in simulator.requests] == [f"{BASE}riskDetections"]


def test_incidents_come_oldest_first(fetch: Fetch, tenant: Tenant) -> None:
    for name, detected in {
        "third": "2026-11-20T10:00:00.0000001Z",
        "first": "2026-11-20T09:15:00Z",
        "second": "2026-11-20T10:00:00Z",
    }.items():
        tenant.arrive(id=name, detected=detected)
    assert fetch() == ["first", "second", "third"]


def test_hours_of_one_digit_are_filled_up_and_put_in_order(room: WarRoom, simulator: Simulator, tenant: Tenant) -> None:
    detect(tenant, "d1", "d2")
    later, earlier = tenant.detections.values()
    odd = [later | {"detectedDateTime": "2026-11-20T10:15:00Z"}, earlier | {"detectedDateTime": "2026-11-20T9:15:00Z"}]
    simulator.fail_next(body={"value": odd}, times=2)
    assert [(new["dbotMirrorId"], new["occurred"]) for new in room.fetch().incidents] == [
        ("d2", "2026-11-20T09:15:00.0000000Z"),
        ("d1", "2026-11-20T10:15:00.0000000Z"),
    ]


def test_what_was_detected_before_the_first_fetch_reaches_back_stays_away(fetch: Fetch, tenant: Tenant) -> None:
    detect(tenant, "old", detected=ago(days=3, seconds=1))
    detect(tenant, "just", detected=ago(days=3))
    assert fetch() == ["just"]


def test_a_thousand_detections_of_one_instant_come_over_twenty_fetches_each_once(
    fetch: Fetch, tenant: Tenant, clock: Clock
) -> None:
    for number in range(1000):
        tenant.arrive(id=f"d{number}", detected=ago(hours=5))
    fetched = []
    for _ in range(20):
        fetched.append(fetch())
        clock.advance(minutes=1)
    assert [len(part) for part in fetched] == [50] * 20
    assert {name for part in fetched for name in part} == {f"d{number}" for number in range(1000)}
    assert fetch() == []


def test_a_backlog_comes_in_order_over_the_next_fetches(
    fetch: Fetch, tenant: Tenant, clock: Clock, instance: Row
) -> None:
    instance["max_fetch"] = "3"
    detect(tenant, *(f"d{number}" for number in range(8)))
    assert fetch() == ["d0", "d1", "d2"]
    clock.advance(minutes=1)
    tenant.arrive(id="new", detected=clock.now)
    assert [fetch() for _ in range(3)] == [["d3", "d4", "d5"], ["d6", "d7", "new"], []]


def test_a_detection_that_surfaces_after_fifty_nine_minutes_comes_once(
    fetch: Fetch, tenant: Tenant, clock: Clock
) -> None:
    tenant.arrive(id="late", detected=NOW, surfaces_at=NOW + timedelta(minutes=59))
    fetched = []
    for minute in range(0, 180):
        if minute % 10 == 0:
            tenant.arrive(id=f"d{minute}", detected=clock.now)
        fetched += [(minute, name) for name in fetch()]
        clock.advance(minutes=1)
    expected = [(minute, f"d{minute}") for minute in range(0, 180, 10)]
    assert fetched == sorted([*expected, (59, "late")])


def test_a_clock_that_is_five_minutes_ahead_loses_nothing(
    fetch: Fetch, tenant: Tenant, clock: Clock, room: WarRoom
) -> None:
    room.clock = lambda: clock.now + timedelta(minutes=5)
    tenant.arrive(id="late", detected=NOW, surfaces_at=NOW + timedelta(minutes=60))
    clock.advance(minutes=59, seconds=59)
    assert fetch() == []
    clock.advance(seconds=1)
    assert fetch() == ["late"]


def test_a_longer_look_back_waits_longer(fetch: Fetch, tenant: Tenant, clock: Clock, instance: Row) -> None:
    instance["look_back"] = "1440"
    tenant.arrive(id="late", detected=NOW, surfaces_at=NOW + timedelta(minutes=1440))
    for _ in range(24):
        assert fetch() == []
        clock.advance(hours=1)
    assert fetch() == ["late"]


def test_a_fetch_that_the_platform_never_took_in_comes_again(room: WarRoom, tenant: Tenant) -> None:
    detect(tenant, "d1", "d2")
    before = room.last_run
    first = room.fetch().incidents
    room.last_run = before
    assert room.fetch().incidents == first


def test_detections_that_arrive_while_a_fetch_is_under_way_come_once(
    fetch: Fetch, tenant: Tenant, clock: Clock
) -> None:
    tenant.largest_page = 2
    detect(tenant, *(f"d{number}" for number in range(6)))
    for name, span in {"among": {"minutes": 5, "seconds": 30}, "now": {}}.items():
        tenant.arrive(id=name, detected=ago(**span), after_requests=2)
    first = fetch()
    clock.advance(minutes=1)
    assert sorted(first + fetch()) == ["among", "d0", "d1", "d2", "d3", "d4", "d5", "now"]


def test_a_detection_that_leaves_the_filter_hides_no_other_behind_the_edge_of_a_page(
    fetch: Fetch, tenant: Tenant, instance: Row
) -> None:
    tenant.largest_page = 2
    instance["fetch_risk_states"] = ["atRisk"]
    detect_hourly(tenant)
    gone = tenant.detections["d0"]
    tenant.before_request(2, lambda: gone.update(riskState="remediated"))
    assert fetch() == [f"d{number}" for number in range(6)]


# What goes wrong on the way


@pytest.fixture
def broken(simulator: Simulator, tenant: Tenant, no_waiting: list[float]) -> Simulator:
    """Six detections on pages of two, of which only the first page can be had; repair: `faults.clear()`."""
    assert no_waiting == []
    tenant.largest_page = 2
    detect_hourly(tenant)
    simulator.fail_next(500, times=1000, after=1)
    return simulator


def test_a_page_that_fails_half_way_hands_over_what_came_and_goes_on_there_next_time(
    broken: Simulator, room: WarRoom, fetch: Fetch
) -> None:
    run = room.fetch()
    assert incident_ids(run.incidents) == ["d0", "d1"]
    (note,) = [line for line in run.logs if line.startswith("info: ")]
    assert note.startswith(
        "info: [Fetch] Risk Detections: reading broke off; the next fetch goes on from there. "
        "Graph answered 500 InternalServerError"
    )
    broken.faults.clear()
    broken.requests.clear()
    assert fetch() == ["d2", "d3", "d4", "d5"]
    assert broken.graph_requests[0].query["$filter"] == "detectedDateTime ge 2026-11-20T04:00:00Z"


def test_a_first_page_that_fails_is_an_error_and_moves_nothing(broken: Simulator, room: WarRoom, fetch: Fetch) -> None:
    broken.faults[0].after = 0
    run = room.fetch()
    assert run.failed
    assert (run.incidents, room.last_run) == ([], {})
    broken.faults.clear()
    assert fetch() == ["d0", "d1", "d2", "d3", "d4", "d5"]


@pytest.mark.parametrize(("refused", "brought"), [(BOTH[0], ["u1"]), (BOTH[1], ["d1"])])
def test_where_one_type_is_refused_the_other_comes_and_the_log_says_why(
    refused: str, brought: list[str], room: WarRoom, tenant: Tenant, instance: Row, simulator: Simulator, fetch: Fetch
) -> None:
    instance |= {"fetch_types": BOTH, "first_fetch": "12 hours"}
    tenant.add_user(id="u1", riskLastUpdatedDateTime=stamp(ago(hours=11, minutes=58)))
    tenant.arrive(id="d1", detected=ago(hours=11, minutes=58))
    simulator.fail_next(403, after=BOTH.index(refused))
    run = room.fetch()
    assert incident_ids(run.incidents) == brought
    (note,) = [line for line in run.logs if line.startswith("info: ")]
    assert note.startswith(
        f"info: [Fetch] {refused} could not be read and wait for a later fetch. Graph answered 403 Forbidden: "
    )
    room.clock = lambda: NOW + timedelta(hours=6)  # First fetch time still means what it meant at the first fetch.
    assert sorted(brought + fetch()) == ["d1", "u1"]


def test_where_every_type_is_refused_the_first_refusal_is_the_error_and_nothing_moves(
    room: WarRoom, instance: Row, simulator: Simulator, tenant: Tenant
) -> None:
    instance["fetch_types"] = BOTH
    tenant.licence = "Free"
    run = room.fetch()
    assert "Licence missing: the tenant needs Microsoft Entra ID P1 or P2." in contents(run)[0]
    assert len(simulator.graph_requests) == 2
    assert room.last_run == {}


def test_a_tenant_with_p1_has_its_detections_fetched_and_is_told_by_the_test_button_what_it_lacks(
    room: WarRoom, tenant: Tenant, instance: Row, fetch: Fetch
) -> None:
    instance |= {"fetch_types": BOTH, "isFetch": True}
    detect(tenant, "d1", "d2")
    tenant.licence = "P1"
    assert fetch() == ["d1", "d2"]
    (text,) = messages(room.run_test())
    assert "Licence missing: the tenant needs Microsoft Entra ID P2." in text
    tenant.licence = "P2"
    assert fetch() == list(tenant.users)


@pytest.mark.parametrize("order", [shuffled, reversed_order])
@pytest.mark.parametrize("page_size", [5, 500])
def test_nothing_is_lost_where_graph_keeps_to_no_order(
    order: Order,
    page_size: int,
    fetch: Fetch,
    tenant: Tenant,
    instance: Row,
    clock: Clock,
) -> None:
    tenant.largest_page = page_size
    instance["max_fetch"] = "20"
    names = [f"d{number:02}" for number in range(60)]
    for number, name in enumerate(names):
        tenant.arrive(id=name, detected=ago(hours=70 - number))
    tenant.order = order
    fetched = []
    for _ in range(3):
        fetched += fetch()
        clock.advance(minutes=1)
    assert fetched == names
    assert fetch() == []


@pytest.mark.parametrize("order", [shuffled, reversed_order])
def test_nothing_is_lost_where_disorder_and_a_failure_come_together(
    order: Order,
    broken: Simulator,
    tenant: Tenant,
    fetch: Fetch,
) -> None:
    tenant.largest_page = 10
    for number in range(34):
        tenant.arrive(id=f"older{number}", detected=ago(hours=60 - number))
    tenant.order = order
    first = fetch()
    assert len(first) == 10
    broken.faults.clear()
    assert sorted(first + fetch()) == sorted(tenant.detections)


def test_nothing_is_lost_where_a_first_page_only_seems_to_be_in_order(fetch: Fetch, tenant: Tenant) -> None:
    tenant.largest_page = 3
    detect_hourly(tenant)
    order = ["d0", "d2", "d3", "d5", "d4", "d1"]
    tenant.order = lambda rows: sorted(rows, key=lambda row: order.index(row["id"]))
    assert fetch() == ["d0", "d1", "d2", "d3", "d4", "d5"]


@pytest.mark.parametrize("seed", range(8))
def test_whatever_goes_wrong_on_a_real_connection_each_comes_once(
    seed: int,
    room: WarRoom,
    simulator: Simulator,
    tenant: Tenant,
    clock: Clock,
    instance: Row,
    no_waiting: list[float],
) -> None:
    chance, fetched = random.Random(seed), list[str]()
    instance["max_fetch"] = str(chance.randint(1, 9))
    tenant.largest_page = chance.randint(1, 6)
    troubles: list[Row] = [{"drop": True}, {"truncate": True}, {"status": 429}, {"status": 503}, {"status": 500}]
    for number in range(30):
        delay = timedelta(minutes=chance.randint(0, 60))
        tenant.arrive(id=f"d{number}", detected=clock.now, surfaces_at=clock.now + delay)
        clock.advance(minutes=chance.choice((0, 0, 1, 7)))
        if chance.random() < 0.4:
            simulator.fail_next(**chance.choice(troubles), times=chance.choice((1, 50)), after=chance.randint(0, 3))
        if chance.random() < 0.7:
            fetched += incident_ids(room.fetch().incidents)
            simulator.faults.clear()
    clock.advance(minutes=60)
    for _ in range(31):
        fetched += incident_ids(room.fetch().incidents)
    assert sorted(fetched) == sorted(f"d{number}" for number in range(30))
    assert room.fetch().incidents == []
    assert no_waiting


# Time


@pytest.mark.parametrize("retry_after", [None, 80, 3600])
def test_a_fetch_that_is_only_throttled_ends_in_time_and_moves_nothing(
    retry_after: int | None, room: WarRoom, simulator: Simulator, no_waiting: list[float]
) -> None:
    simulator.fail_next(429, times=10_000, retry_after=retry_after)
    run = room.fetch()
    assert run.failed
    assert room.last_run == {}
    assert sum(no_waiting) <= aru.PAGING_PERIOD


def test_a_long_walk_ends_before_the_platform_ends_it_and_goes_on_next_time(
    room: WarRoom,
    simulator: Simulator,
    tenant: Tenant,
    instance: Row,
    no_waiting: list[float],
) -> None:
    tenant.largest_page = 2
    instance["max_fetch"] = "200"
    for number in range(600):
        tenant.arrive(id=f"d{number}", detected=ago(hours=1))
    simulator.throttle = 1
    run = room.fetch()
    (note,) = [line for line in run.logs if line.startswith("info: ")]
    assert note.endswith("Reading on was stopped after 240 seconds, before the platform would.")
    assert len(run.incidents) == 200
    assert sum(no_waiting) < aru.PAGING_PERIOD + 10
    again = room.fetch().incidents
    assert len(again) == 200
    assert not set(incident_ids(again)) & set(incident_ids(run.incidents))


def test_a_long_walk_of_one_type_leaves_the_other_its_first_page(
    room: WarRoom, simulator: Simulator, tenant: Tenant, instance: Row, no_waiting: list[float]
) -> None:
    instance |= {"fetch_types": BOTH, "max_fetch": "200"}
    tenant.largest_page = 2
    for number in range(600):
        tenant.arrive(id=f"d{number}", detected=ago(hours=1))
    tenant.add_user(id="u1", riskLastUpdatedDateTime=stamp(ago(days=1)))
    simulator.throttle = 1
    run = room.fetch()
    assert not run.failed
    assert sum(no_waiting) > aru.PAGING_PERIOD - 10  # The rest of the time passed for real.
    assert set(incident_ids(run.incidents)[:100]) <= set(tenant.detections)
    assert set(incident_ids(run.incidents)[100:]) == set(tenant.users)


# What is remembered


def test_the_last_run_is_text_and_forgets_what_can_no_longer_come(
    room: WarRoom, tenant: Tenant, clock: Clock, instance: Row
) -> None:
    instance["fetch_types"] = BOTH
    detect(tenant, *(f"d{number}" for number in range(30)))
    room.fetch()
    assert sorted(room.last_run) == BOTH
    assert all(isinstance(text, str) for text in room.last_run.values())
    assert len(known(room.last_run)) == 25
    clock.advance(minutes=90)
    for _ in range(2):
        room.fetch()
    assert known(room.last_run) == {}


@pytest.mark.parametrize("page_size", [2, 500])
@pytest.mark.parametrize("apart", [0, 1, 120])
def test_little_memory_loses_nothing_and_repeats_nothing(
    page_size: int, apart: int, client: aru.GraphClient, tenant: Tenant, instance: Row, clock: Clock
) -> None:
    tenant.largest_page = page_size
    instance["max_fetch"] = "4"
    fetch = ForgetfulFetches(client, instance, clock, remembered=5)
    names = [f"d{number:02}" for number in range(30)]
    for number, name in enumerate(names):
        tenant.arrive(id=name, detected=ago(hours=70) + timedelta(minutes=apart * number))
    fetched = []
    for _ in range(12):
        fetched += fetch()
        seconds = {each.second for each in fetch.known().values()}
        assert len(fetch.known()) <= 5 or len(seconds) == 1  # Those of one second are told apart by memory alone.
    assert sorted(fetched) == names


def test_little_memory_does_not_pass_over_what_could_not_be_read(
    broken: Simulator, client: aru.GraphClient, tenant: Tenant, instance: Row, clock: Clock
) -> None:
    fetch = ForgetfulFetches(client, instance, clock, remembered=1)
    tenant.order = reversed_order
    assert fetch() == ["d4", "d5"]
    broken.faults.clear()
    assert fetch() == ["d0", "d1", "d2", "d3"]


def test_little_memory_repeats_no_user_who_did_not_change(
    client: aru.GraphClient, tenant: Tenant, instance: Row, clock: Clock
) -> None:
    instance["fetch_types"] = ONLY_USERS
    fetch = ForgetfulFetches(client, instance, clock, remembered=3)
    for number in range(6):
        tenant.add_user(id=f"u{number}", riskLastUpdatedDateTime=stamp(ago(minutes=30 - number)))
    assert [fetch() for _ in range(3)] == [[f"u{number}" for number in range(6)], [], []]


# The Test button and the preview


def test_the_test_button_tries_a_fetch_of_an_instance_that_fetches(
    room: WarRoom, instance: Row, simulator: Simulator, tenant: Tenant
) -> None:
    instance["isFetch"] = True
    detect(tenant, "d1", "d2")
    assert messages(room.run_test()) == ["ok"]
    assert [request.query.get("$filter") for request in simulator.graph_requests] == [
        None,
        None,
        "detectedDateTime ge 2026-11-17T12:00:00Z",
    ]
    assert room.last_run == {}
    assert incident_ids(room.fetch().incidents) == ["d1", "d2"]


@pytest.mark.parametrize("fetches", [None, "", False, "false"])
def test_the_test_button_tries_no_fetch_of_an_instance_that_fetches_nothing(
    fetches: object, room: WarRoom, instance: Row, simulator: Simulator
) -> None:
    instance |= {"isFetch": fetches, "max_fetch": "0"}
    assert messages(room.run_test()) == ["ok"]
    assert len(simulator.graph_requests) == 2


@pytest.mark.parametrize(("name", "value", "accepted"), REFUSED)
def test_the_test_button_names_the_parameter_that_cannot_be_used(
    name: str, value: str, accepted: str, room: WarRoom, instance: Row
) -> None:
    instance |= {"isFetch": True, name: value}
    problem = f'{name}="{value}" cannot be used. Accepted: {accepted}.'
    assert messages(room.run_test()) == [f"Failed to execute test-module. {problem}"]


def test_the_preview_shows_the_newest_that_the_settings_select_and_moves_nothing(
    room: WarRoom, tenant: Tenant, instance: Row, simulator: Simulator
) -> None:
    instance |= {"fetch_types": BOTH, "max_fetch": "3", "fetch_risk_levels": ["high"]}
    tenant.add_user(id=AD, riskLevel="high", riskLastUpdatedDateTime=stamp(ago(minutes=2, seconds=30)))
    tenant.add_user(id="calm", riskLevel="low", riskLastUpdatedDateTime=stamp(ago(minutes=2)))
    tenant.add_user(id="safe", riskLevel="high", riskState="dismissed", riskLastUpdatedDateTime=stamp(ago(minutes=1)))
    detect(tenant, *(f"d{number}" for number in range(5)))
    detect(tenant, "low", riskLevel="low")
    detect(tenant, "old", detected=ago(days=3, seconds=1))
    handed_over = room.fetch().incidents
    before = room.last_run
    simulator.requests.clear()
    entry = only_entry(room.run(PREVIEW))
    assert [request.query for request in simulator.graph_requests] == [
        {
            "$filter": f"detectedDateTime ge {SINCE} and riskLevel eq 'high'",
            "$orderby": "detectedDateTime desc",
            "$top": "500",
        },
        {
            "$filter": f"riskLastUpdatedDateTime ge {SINCE}",
            "$orderby": "riskLastUpdatedDateTime desc",
            "$top": "500",
        },
    ]
    assert incident_ids(entry["Contents"]) == ["d4", "d3", AD]
    assert incident_ids(handed_over) == ["d0", "d1", AD]
    assert entry["Contents"][2] == handed_over[2]
    assert room.last_run == before


@pytest.mark.parametrize("order", [shuffled, reversed_order])
def test_the_preview_shows_the_newest_where_graph_keeps_to_no_order(
    order: Order, room: WarRoom, tenant: Tenant, instance: Row
) -> None:
    instance["max_fetch"] = "3"
    tenant.largest_page = 4
    detect(tenant, *(f"d{number:02}" for number in range(20)))
    tenant.order = order
    assert incident_ids(only_entry(room.run(PREVIEW))["Contents"]) == ["d19", "d18", "d17"]


def test_the_preview_says_that_it_is_incomplete(
    room: WarRoom, tenant: Tenant, simulator: Simulator, no_waiting: list[float]
) -> None:
    assert no_waiting == []
    tenant.largest_page = 2
    detect(tenant, *(f"d{number}" for number in range(6)))
    simulator.fail_next(500, times=1000, after=1)
    entry = only_entry(room.run(PREVIEW))
    assert incident_ids(entry["Contents"]) == ["d5", "d4"]
    assert "\nIncomplete: not all could be read. Graph answered 500 InternalServerError" in entry["HumanReadable"]


def test_the_preview_says_that_it_knows_of_no_earlier_fetch(room: WarRoom, tenant: Tenant) -> None:
    tenant.add_user(id=AD)
    tenant.arrive(id="d1", detected="2026-11-20T11:00:00Z")
    heading = (
        "Newest first, since 2026-11-17T12:00:00Z, at most 50. "
        "Which of them were handed over already is not known here.\n"
    )
    first = shown(room.run(PREVIEW))
    assert first == (
        "### The fetch settings select 1 incident(s)\n"
        f"{heading}"
        "|Name|Occurred|Severity|Dbot Mirror Id|\n"
        "|---|---|---|---|\n"
        "| Leaked credentials: user.00ad@contoso.example (high) | 2026-11-20T11:00:00.0000000Z | 3 | d1 |\n"
    )
    room.fetch()
    assert shown(room.run(PREVIEW)) == first
    tenant.detections.clear()
    assert shown(room.run(PREVIEW)) == (f"### The fetch settings select 0 incident(s)\n{heading}**No entries.**\n")


def test_the_preview_names_the_event_types_that_nobody_knows(room: WarRoom, instance: Row) -> None:
    instance["fetch_event_types"] = "newThing,Password spray"
    assert shown(room.run(PREVIEW)) == (
        "### The fetch settings select 0 incident(s)\n"
        "Newest first, since 2026-11-17T12:00:00Z, at most 50. "
        "Which of them were handed over already is not known here.\n"
        "No known event type, and asked for as it is given: newThing\n"
        "**No entries.**\n"
    )


def test_a_reset_of_the_sign_in_moves_neither_fetch_nor_preview(room: WarRoom, tenant: Tenant, fetch: Fetch) -> None:
    detect(tenant, "d1", "d2")
    assert fetch() == ["d1", "d2"]
    before = only_entry(room.run(PREVIEW))["Contents"]
    assert not room.run("!azure-risky-users-auth-reset").failed
    assert fetch() == []
    assert only_entry(room.run(PREVIEW))["Contents"] == before


def test_a_quiet_fetch_writes_nothing_about_the_sign_in(room: WarRoom, tenant: Tenant, fetch: Fetch) -> None:
    detect(tenant, "d1")
    assert fetch() == ["d1"]
    version = room.context_version
    assert fetch() == []
    assert room.context_version == version


# A last run that stays small


def test_a_fetch_that_brings_nothing_leaves_the_last_run_as_it_is_but_for_one_in_an_hour(
    room: WarRoom, tenant: Tenant, clock: Clock, instance: Row
) -> None:
    instance |= {"fetch_types": BOTH, "max_fetch": "200"}
    detect(tenant, *(f"d{number}" for number in range(30)))
    add_users_hourly(tenant)
    assert len(room.fetch().incidents) == 37
    written = []
    for minute in range(1, 181):
        clock.advance(minutes=1)
        before = room.last_run
        assert room.fetch().incidents == []
        if room.last_run is not before:
            assert room.last_run != before
            written.append(minute)
    assert written == [60, 120, 180]


def test_of_the_last_run_only_what_moved_changes(room: WarRoom, tenant: Tenant, clock: Clock, instance: Row) -> None:
    instance |= {"fetch_types": BOTH, "max_fetch": "200"}
    detect(tenant, *(f"d{number}" for number in range(30)))
    add_users_hourly(tenant)
    room.fetch()
    before = {fetch_type: json.loads(text) for fetch_type, text in room.last_run.items()}
    clock.advance(minutes=1)
    tenant.arrive(id="new", detected=clock.now)
    assert incident_ids(room.fetch().incidents) == ["new"]
    after = {fetch_type: json.loads(text) for fetch_type, text in room.last_run.items()}
    assert after["Risky Users"] == before["Risky Users"]
    added = after["Risk Detections"]["known"].removeprefix(before["Risk Detections"]["known"])
    assert len(added) == 14
    assert after["Risk Detections"] == {
        **before["Risk Detections"],
        "known": before["Risk Detections"]["known"] + added,
    }


def full_cursor(fetch_type: str, number: int) -> aru.Cursor:
    """A cursor with so many objects, over as many seconds as they may have."""
    source = aru.SOURCES[fetch_type]
    known = {}
    for count in range(number):
        second = aru.packed_second(aru.instant(stamp(ago(seconds=499 * count))))
        row = {"id": f"{AD}{count}", "riskState": "confirmedCompromised", "riskLevel": "high"}
        known[source.key(row)] = source.remembered(row, second)
    time = aru.instant(stamp(NOW))
    return aru.Cursor(time, known, deep_read=time, open_from=time, passed_key="0" * 64)


def test_the_largest_last_run_stays_below_a_megabyte_and_is_read_as_it_was_written() -> None:
    full = {BOTH[0]: full_cursor(BOTH[0], aru.MAX_DETECTIONS), BOTH[1]: full_cursor(BOTH[1], aru.MAX_USERS)}
    assert [len(cursor.known) for cursor in full.values()] == [15_000, 50_000]
    last_run = {fetch_type: aru.write_cursor(cursor) for fetch_type, cursor in full.items()}
    assert len(json.dumps(last_run)) < 1_000_000
    for fetch_type, cursor in full.items():
        assert aru.read_cursor(last_run[fetch_type], SINCE, aru.SOURCES[fetch_type].key_of) == cursor


def test_fifty_thousand_users_at_risk_who_change_harmlessly_are_no_news(
    client: aru.GraphClient, tenant: Tenant, instance: Row, clock: Clock
) -> None:
    instance["fetch_types"] = ONLY_USERS
    fetch = ForgetfulFetches(client, instance, clock, remembered=aru.MAX_USERS)
    last_run = {BOTH[1]: aru.write_cursor(full_cursor(BOTH[1], aru.MAX_USERS))}
    fetch.last_run = last_run
    for count in (0, 1, aru.MAX_USERS - 1):
        row = {"id": f"{AD}{count}", "riskState": "confirmedCompromised", "riskLevel": "high"}
        tenant.add_user(**row, riskDetail="hidden", riskLastUpdatedDateTime=stamp(NOW))
    assert fetch() == []
    assert len(known(fetch.last_run, BOTH[1])) == aru.MAX_USERS


@pytest.mark.parametrize(
    ("time", "kept"),
    [
        ("2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z"),
        ("2026-11-20T11:00:00.9999999Z", "2026-11-20T11:00:00Z"),
        ("2054-01-09T13:37:03Z", "2054-01-09T13:37:03Z"),
        ("2054-01-09T13:37:04Z", "2054-01-09T13:37:03Z"),
        ("1999-12-31T23:59:59Z", "2020-01-01T00:00:00Z"),
        ("0001-01-01T00:00:00Z", "2020-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59.9999999Z", "2054-01-09T13:37:03Z"),
    ],
)
def test_a_time_is_kept_to_the_second_over_thirty_four_years(time: str, kept: str) -> None:
    packed = aru.packed_second(aru.instant(time))
    assert (len(packed), aru.unpacked_second(packed)) == (5, aru.instant(kept))


@given(st.lists(st.datetimes(datetime(2020, 1, 1), datetime(2054, 1, 1)), min_size=2, max_size=2))
def test_packed_seconds_compare_as_the_seconds_do(moments: list[datetime]) -> None:
    first, second = (aru.packed_second(aru.instant(f"{moment:%Y-%m-%dT%H:%M:%S}Z")) for moment in moments)
    whole = [moment.replace(microsecond=0) for moment in moments]
    assert (first < second, first == second) == (whole[0] < whole[1], whole[0] == whole[1])


# What surfaces late


def week_of_detections(tenant: Tenant, number: int) -> None:
    """Let so many detections occur over the last week."""
    for count in range(number):
        tenant.arrive(id=f"w{count}", detected=ago(minutes=10_000 * (count + 1) / number))


def test_a_week_of_look_back_is_read_once_an_hour_and_what_is_recent_with_every_fetch(
    fetch: Fetch, tenant: Tenant, clock: Clock, instance: Row, simulator: Simulator
) -> None:
    instance |= {"look_back": "10080", "first_fetch": "8 days", "max_fetch": "200"}
    tenant.largest_page = 10
    week_of_detections(tenant, 200)
    assert len(fetch()) == 200
    requests = []
    for _ in range(181):
        simulator.requests.clear()
        assert fetch() == []
        requests.append(len(simulator.graph_requests))
        clock.advance(minutes=1)
    assert [minute for minute, number in enumerate(requests) if number > 1] == [60, 120, 180]
    assert set(requests[:60]) == {1}
    assert requests[60] > 20


@pytest.mark.parametrize("delay", [0, 1, 59, 60, 61, 119, 120, 121, 600, 10_079, 10_080])
def test_what_surfaces_within_an_hour_comes_at_once_and_what_surfaces_later_within_one_more(
    delay: int, fetch: Fetch, tenant: Tenant, clock: Clock, instance: Row
) -> None:
    instance["look_back"] = "10080"
    fetch()
    clock.advance(minutes=7)
    surfaces = clock.now + timedelta(minutes=delay)
    tenant.arrive(id="late", detected=clock.now, surfaces_at=surfaces)
    while clock.now < surfaces:
        assert fetch() == []
        clock.now = min(clock.now + timedelta(minutes=1 + delay // 60), surfaces)
    while not (brought := fetch()):
        clock.advance(minutes=1)
    assert brought == ["late"]
    assert clock.now - surfaces <= timedelta(minutes=0 if delay <= 60 else 60)
    assert fetch() == []


def test_what_surfaces_within_an_hour_comes_at_once_where_the_clock_is_five_minutes_ahead(
    fetch: Fetch, tenant: Tenant, clock: Clock, room: WarRoom, instance: Row
) -> None:
    instance["look_back"] = "10080"
    room.clock = lambda: clock.now + timedelta(minutes=5)
    fetch()
    tenant.arrive(id="late", detected=NOW - timedelta(minutes=59), surfaces_at=NOW + timedelta(minutes=1))
    clock.advance(minutes=59)
    assert fetch() == ["late"]


@pytest.mark.parametrize("pause", [61, 130, 300, 1440])
def test_after_a_pause_of_the_fetches_nothing_is_missing(
    pause: int, fetch: Fetch, tenant: Tenant, clock: Clock, instance: Row
) -> None:
    instance["look_back"] = "120"
    fetch()
    for minute in range(pause):
        tenant.arrive(id=f"d{minute}", detected=clock.now, surfaces_at=clock.now + timedelta(minutes=minute % 120))
        clock.advance(minutes=1)
    clock.advance(minutes=120)
    brought = sum((fetch() for _ in range(-(-pause // 50))), [])
    assert sorted(brought) == sorted(f"d{minute}" for minute in range(pause))
    assert fetch() == []


def test_a_clock_that_is_set_back_keeps_no_fetch_from_looking_back(
    fetch: Fetch, tenant: Tenant, clock: Clock, instance: Row
) -> None:
    instance["look_back"] = "1440"
    fetch()
    clock.advance(hours=-3)
    tenant.arrive(id="late", detected=clock.now - timedelta(hours=10))
    assert fetch() == ["late"]


def test_a_backlog_is_gone_on_with_where_it_was_left(
    fetch: Fetch, tenant: Tenant, instance: Row, simulator: Simulator
) -> None:
    instance |= {"look_back": "10080", "first_fetch": "8 days", "max_fetch": "50"}
    tenant.largest_page = 10
    week_of_detections(tenant, 200)
    requests = []
    for _ in range(4):
        assert len(fetch()) == 50
        requests.append(len(simulator.graph_requests))
        simulator.requests.clear()
    assert fetch() == []
    assert max(requests) <= 7


# An administrator's confirmation

CONFIRMED = "adminConfirmedUserCompromised"
CONFIRM = f"!azure-risky-users-confirm-compromise user={AD}"


@pytest.fixture
def confirmed(room: WarRoom, tenant: Tenant, instance: Row, clock: Clock, fetch: Fetch) -> Tenant:
    """A user at risk who was fetched and then confirmed compromised by this integration."""
    instance |= {"fetch_types": BOTH, "allow_response": True}
    tenant.add_user(id=AD, riskLastUpdatedDateTime=stamp(ago(minutes=9)))
    assert fetch() == [AD]
    assert not room.run(CONFIRM).failed
    clock.advance(minutes=1)
    tenant.begin_request()
    return tenant


def test_our_own_confirmation_is_no_news(confirmed: Tenant, fetch: Fetch, room: WarRoom, clock: Clock) -> None:
    assert [row["riskEventType"] for row in confirmed.detections.values()] == [CONFIRMED]
    assert confirmed.users[AD]["riskDetail"] == CONFIRMED
    for _ in range(3):
        assert fetch() == []
        clock.advance(hours=7)
    assert only_entry(room.run(PREVIEW))["Contents"] == []
    listed = room.run("!azure-risky-users-risk-detections-list")
    assert ids(listed_rows(listed)) == list(confirmed.detections)


@pytest.mark.parametrize(
    "asked", [{"fetch_admin_confirmations": True}, {"fetch_event_types": f"leakedCredentials, {CONFIRMED}"}]
)
def test_a_confirmation_is_fetched_by_those_who_ask_for_it(
    asked: Row, confirmed: Tenant, fetch: Fetch, instance: Row
) -> None:
    instance |= asked
    assert fetch() == [*confirmed.detections, AD]
    assert fetch() == []


def test_a_user_nobody_knew_to_be_at_risk_who_is_confirmed_is_no_news(
    room: WarRoom, tenant: Tenant, instance: Row, fetch: Fetch
) -> None:
    instance |= {"fetch_types": BOTH}
    tenant.directory[AD] = safe_user(AD)
    assert not room.run(CONFIRM).failed
    tenant.begin_request()
    assert tenant.users[AD]["riskState"] == "confirmedCompromised"
    assert fetch() == []


def test_what_happens_to_a_confirmed_user_later_is_news(
    confirmed: Tenant, fetch: Fetch, room: WarRoom, clock: Clock
) -> None:
    assert fetch() == []
    clock.advance(minutes=1)
    confirmed.arrive(id="d1", detected=clock.now, userId=AD)
    assert fetch() == ["d1"]
    clock.advance(minutes=1)
    confirmed.change_user(AD, riskState="atRisk", riskLevel="high", riskDetail="none")
    assert states(room.fetch()) == ["atRisk (high)"]


@pytest.mark.parametrize("by_admin", [True, False])
def test_a_level_that_rises_is_news_unless_by_the_confirmation_itself(
    confirmed: Tenant, fetch: Fetch, room: WarRoom, clock: Clock, by_admin: bool
) -> None:
    confirmed.change_user(AD, riskLevel="medium")
    assert fetch() == []
    clock.advance(minutes=1)
    confirmed.change_user(AD, riskLevel="high", riskDetail=CONFIRMED if by_admin else "none")
    assert states(room.fetch()) == ([] if by_admin else ["confirmedCompromised (high)"])


# States of earlier versions, and what is no state


def first_version_tenant(tenant: Tenant, *, one_instant: bool) -> None:
    """The tenant in which test_data/first_version_last_runs.json was recorded: six detections, six users."""
    for number in range(6):
        detected = ago(hours=2) if one_instant else ago(minutes=60 - 10 * number)
        updated = stamp(ago(minutes=59 - 10 * number))
        level = ("low", "medium", "high")[number % 3]
        tenant.arrive(id=f"d{number}", detected=detected)
        tenant.add_user(id=f"{AD[:-2]}0{number}", riskLastUpdatedDateTime=updated, riskLevel=level)


@pytest.mark.parametrize("version", ["first", "second"])
@pytest.mark.parametrize(
    ("recorded", "one_instant"),
    [("plain", False), ("overflow", True)],  # overflow: it remembered two, and forgot some of one instant
)
def test_a_state_of_an_earlier_version_is_taken_over_without_loss_or_repeat(
    version: str, recorded: str, one_instant: bool, room: WarRoom, tenant: Tenant, instance: Row, fetch: Fetch
) -> None:
    instance |= {"fetch_types": BOTH, "max_fetch": "8"}
    first_version_tenant(tenant, one_instant=one_instant)
    state = json.loads(text_of(PROJECT / f"test_data/{version}_version_last_runs.json"))[recorded]
    room.last_run = state["last_run"]
    rest = {*tenant.detections, *tenant.users} - set(state["handed_over"])
    assert sorted(fetch()) == sorted(rest)
    assert fetch() == []
    assert [json.loads(text)["version"] for text in room.last_run.values()] == [3, 3]


HOW_TO_RESET = (
    'To let its fetches begin anew, press Reset the "last run" timestamp in the settings of the instance; '
    "what they brought since the first fetch time may come again then."
)
GOOD_STATE = {
    "floor": "2026-11-20T10:00:00.0000000Z",
    "known": "",
    "deep_read": "",
    "open_from": "",
    "passed_key": "",
    "passed_over": False,
    "version": 3,
}
DAMAGED: dict[str, Any] = {
    "a text": "2026-11-20T10:00:00Z",
    "a list": ["2026-11-20T10:00:00Z"],
    "a number": 5,
    "no JSON": {"Risk Detections": "2026-11-20T10:00:00Z"},
    "cut off": {"Risk Detections": json.dumps(GOOD_STATE)[:-9]},
    "deep": {"Risk Detections": "[" * 100_000},
    "an object": {"Risk Detections": GOOD_STATE},
    "a time alone": {"Risk Detections": 1_795_172_400},
    "JSON of a number": {"Risk Detections": "5"},
    "JSON of a list": {"Risk Detections": "[]"},
    "JSON of another shape": {"Risk Detections": '{"time": "2026-11-20T10:00:00Z", "ids": []}'},
    "no version's": {"Risk Detections": '{"version": "two"}'},
    "first: floor": {"Risk Detections": '{"floor": "x", "known": {}}'},
    "first: records": {"Risk Detections": '{"known": {"0ad52e338662c923": 5}}'},
    "first: keys": {"Risk Detections": '{"known": {"xyz": "2026-11-20T10:00:00Z"}}'},
    "second: nothing": {"Risk Detections": '{"version": 2}'},
    "second: records": {
        "Risk Detections": '{"version": 2, "floor": "2026-11-20T10:00:00Z", "passed_key": "", "known": {"00": []}}'
    },
}
BAD_VALUES: Row = {"floor": "", "known": "12345", "deep_read": None, "open_from": "soon", "passed_key": []}
for name, value in BAD_VALUES.items():
    DAMAGED[f"third: {name}"] = {"Risk Detections": json.dumps({**GOOD_STATE, name: value})}


@pytest.mark.parametrize("last_run", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_last_run_is_an_error_that_says_how_to_reset_it(
    last_run: Any, room: WarRoom, simulator: Simulator
) -> None:
    room.last_run = last_run
    assert messages(room.fetch()) == [
        f"Failed to execute fetch-incidents. The last run of this instance cannot be read. {HOW_TO_RESET}"
    ]
    assert simulator.requests == []


def test_a_last_run_from_the_future_is_an_error_and_no_silence(room: WarRoom, tenant: Tenant, fetch: Fetch) -> None:
    detect(tenant, "d1")
    assert fetch() == ["d1"]
    room.last_run = json.loads(json.dumps(room.last_run).replace("2026-11-2", "2027-11-2"))
    assert messages(room.fetch()) == [
        f"Failed to execute fetch-incidents. The last run of this instance lies in the future. {HOW_TO_RESET}"
    ]


@pytest.mark.parametrize("version", [4, 99])
def test_a_last_run_of_a_later_version_is_called_that(version: int, room: WarRoom, simulator: Simulator) -> None:
    room.last_run = {"Risk Detections": json.dumps({"version": version, "other": 1})}
    assert messages(room.fetch()) == [
        "Failed to execute fetch-incidents. The last run of this instance was left by a later version of the "
        f"integration. {HOW_TO_RESET}"
    ]
    assert simulator.requests == []


@pytest.mark.parametrize("last_run", [None, {}, [], "", {"Risk Detections": ""}, {"time": "2026-11-20T10:00:00Z"}])
def test_a_last_run_that_says_nothing_of_a_type_lets_it_begin(
    last_run: Any, room: WarRoom, tenant: Tenant, fetch: Fetch
) -> None:
    detect(tenant, "d1")
    room.last_run = last_run
    assert fetch() == ["d1"]


KEPT = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from((*GOOD_STATE, "x")), inner),
    max_leaves=12,
)


@given(kept=KEPT, good=st.sampled_from(sorted(GOOD_STATE)))
def test_no_last_run_whatever_is_an_error_of_python(kept: Any, good: str) -> None:
    key_of = aru.SOURCES["Risk Detections"].key_of
    for text in (kept, json.dumps(kept), json.dumps({**GOOD_STATE, good: kept})):
        with contextlib.suppress(aru.LastRunError):
            aru.read_cursor(text, SINCE, key_of)


# Users

STORY: list[tuple[str, str, list[str]]] = [  # a state and a level, and what the next fetch brings
    ("atRisk", "low", ["atRisk (low)"]),
    ("atRisk", "low", []),
    ("atRisk", "medium", ["atRisk (medium)"]),
    ("atRisk", "low", []),
    ("atRisk", "high", ["atRisk (high)"]),
    ("confirmedCompromised", "high", ["confirmedCompromised (high)"]),
    ("confirmedCompromised", "hidden", []),
    ("dismissed", "none", []),
    ("remediated", "none", []),
    ("atRisk", "low", ["atRisk (low)"]),
    ("confirmedSafe", "none", []),
    ("atRisk", "low", ["atRisk (low)"]),
    ("confirmedCompromised", "high", ["confirmedCompromised (high)"]),
    ("atRisk", "high", ["atRisk (high)"]),
]


def states(run: Run) -> list[str]:
    return [f"{row['riskState']} ({row['riskLevel']})" for row in raw(run)]


def test_a_user_is_an_incident_on_coming_to_be_at_risk_and_when_the_level_rises(
    room: WarRoom, tenant: Tenant, instance: Row, clock: Clock
) -> None:
    instance["fetch_types"] = ONLY_USERS
    tenant.add_user(id=AD, riskState="none", riskLevel="none")
    assert room.fetch().incidents == []
    for state, level, brought in STORY:
        clock.advance(hours=7)
        tenant.change_user(AD, riskState=state, riskLevel=level)
        assert [states(room.fetch()) for _ in range(2)] == [brought, []]


def test_another_change_of_a_user_at_risk_is_no_incident(
    fetch: Fetch, tenant: Tenant, instance: Row, clock: Clock
) -> None:
    instance["fetch_types"] = ONLY_USERS
    tenant.add_user(id=AD)
    assert fetch() == [AD]
    for change in ({"riskDetail": "aiConfirmedSigninSafe"}, {"isProcessing": True}, {"isDeleted": True}):
        clock.advance(days=10)
        tenant.change_user(AD, **change)
        assert fetch() == []


def test_levels_and_states_are_selected_here_for_users_so_that_a_rise_into_them_is_seen(
    room: WarRoom, tenant: Tenant, instance: Row, clock: Clock
) -> None:
    instance |= {"fetch_types": ONLY_USERS, "fetch_risk_levels": ["high", "medium"], "fetch_risk_states": ["atRisk"]}
    tenant.add_user(id=AD, riskLevel="low")
    brought = []
    for state, level in [("atRisk", "low"), ("atRisk", "medium"), ("confirmedCompromised", "high"), ("atRisk", "high")]:
        clock.advance(minutes=1)
        tenant.change_user(AD, riskState=state, riskLevel=level)
        brought.append(states(room.fetch()))
    assert brought == [[], ["atRisk (medium)"], [], ["atRisk (high)"]]


def test_a_user_who_changes_while_a_fetch_is_under_way_hides_no_other(
    fetch: Fetch, tenant: Tenant, instance: Row
) -> None:
    tenant.largest_page = 2
    instance["fetch_types"] = ONLY_USERS
    add_users_hourly(tenant)
    tenant.before_request(2, lambda: tenant.change_user("u0", riskState="dismissed"))
    assert fetch() == ["u1", "u2", "u3", "u4", "u5"]


def test_both_types_share_what_one_fetch_may_bring(room: WarRoom, tenant: Tenant, instance: Row, clock: Clock) -> None:
    instance |= {"fetch_types": BOTH, "max_fetch": "4"}
    add_users_hourly(tenant)
    detect(tenant, *(f"d{number}" for number in range(3)))
    brought = []
    for _ in range(4):
        brought.append(incident_ids(room.fetch().incidents))
        clock.advance(minutes=1)
    assert brought == [["d0", "d1", "u0", "u1"], ["d2", "u2", "u3", "u4"], ["u5"], []]


def test_a_type_that_gets_no_share_keeps_the_beginning_of_the_first_fetch(
    fetch: Callable[[], list[str]], tenant: Tenant, instance: Row, clock: Clock
) -> None:
    instance |= {"fetch_types": BOTH, "max_fetch": "1", "first_fetch": "12 hours"}
    tenant.add_user(id="u1", riskLastUpdatedDateTime=stamp(ago(hours=11, minutes=58)))
    tenant.add_user(id="u2", riskState="none", riskLevel="none", riskLastUpdatedDateTime=stamp(ago(days=9)))
    for number in range(4):
        tenant.arrive(id=f"d{number}", detected=ago(hours=1), userId="u2")
    brought = []
    for _ in range(6):
        brought += fetch()
        clock.advance(minutes=1)
    assert sorted(brought) == ["d0", "d1", "d2", "d3", "u1"]


def test_where_there_is_room_for_one_the_types_take_turns(
    fetch: Fetch, tenant: Tenant, instance: Row, clock: Clock
) -> None:
    instance |= {"fetch_types": BOTH, "max_fetch": "1"}
    add_users_hourly(tenant)
    detect(tenant, *(f"d{number}" for number in range(8)))
    brought = []
    for _ in range(15):
        brought += fetch()
        clock.advance(minutes=1)
    turns = [name for number in range(6) for name in (f"d{number}", f"u{number}")]
    assert brought == [*turns, "d6", "d7"]


def test_a_type_that_has_news_again_does_not_wait_for_the_other(
    fetch: Fetch, tenant: Tenant, instance: Row, clock: Clock
) -> None:
    instance |= {"fetch_types": BOTH, "max_fetch": "1"}
    tenant.add_user(id=AD, riskState="none", riskLevel="none", riskLastUpdatedDateTime=stamp(ago(hours=1)))
    brought = []
    for number in range(4):
        detect(tenant, f"d{number}")
        brought.append(fetch())
        clock.advance(minutes=1)
    assert brought == [["d0"], ["d1"], ["d2"], ["d3"]]


# The war room's own fetches


def test_fetches_one_after_another_show_what_came_and_what_it_took(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    assert main(["fetch", "--times", "9", *SMALL]) == 0
    shown = capsys.readouterr().out
    headings = re.findall("^Fetch at [0-9: -]{19}, incidents: ([0-9]+), (.*)$", shown, re.MULTILINE)
    assert [used for _, used in headings] == [
        "Graph requests: 1, login requests: 2",
        *["Graph requests: 1, login requests: 0"] * 8,
    ]
    fetched = re.findall("[0-9a-f]{64}", shown)
    assert len(set(fetched)) == len(fetched) == sum(int(number) for number, _ in headings)
    assert {way for way in WAYS if f"| {way} " in shown} == set(WAYS)


def test_the_same_seed_lets_the_same_detections_arrive() -> None:
    played = []
    for _ in range(2):
        tenant = demo_tenant(NOW, users=20, detections=20)
        arrivals = Arrivals(tenant, 7)
        for _ in range(9):
            arrivals.go_on(600)
            tenant.begin_request()
        played.append((arrivals.ways, tenant.detections))
    assert played[0] == played[1]
    assert set(played[0][0].values()) == set(WAYS)


@pytest.mark.parametrize("way", WAYS)
def test_whichever_way_detections_arrive_none_is_later_than_an_hour(way: str) -> None:
    chance = random.Random(7)
    for arrival in (arrival for _ in range(50) for arrival in WAYS[way](chance, 600)):
        assert 0 <= arrival.surfaces <= 3600 + arrival.detected
        assert arrival.detected <= 0


def test_the_prompt_takes_the_same_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch --every 60 --times 2", "fetch --times 1", *SMALL]) == 0
    moments = [datetime.fromisoformat(text) for text in re.findall("Fetch at ([0-9: -]{19})", capsys.readouterr().out)]
    assert [later - moments[0] for later in moments] == [timedelta(seconds=seconds) for seconds in (0, 60, 660)]


@pytest.mark.parametrize(
    "line", ["fetch 3", "fetch --times", "fetch --times x", "fetch --often 3", "fetch --times 1 2"]
)
def test_a_fetch_that_is_not_understood_is_misuse(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([line, *SMALL]) == 2
    assert "fetch takes [--times N] [--every SECONDS].\n" in capsys.readouterr().err


def test_between_fetches_of_a_real_instance_time_is_waited_for(
    room: WarRoom, capsys: pytest.CaptureFixture[str]
) -> None:
    waits: list[float] = []
    incident = {"name": "Contoso \x1b[2J", "occurred": "2026-11-20T11:00:00Z", "severity": 2, "dbotMirrorId": "d1"}
    room.simulator, room.clock, room.sleep = None, None, waits.append
    room.fetch = lambda: Run("fetch-incidents", incidents=[incident])  # type: ignore[method-assign]
    options = read_options(["fetch --times 3 --every 7", "fetch"])
    assert run_session(options, RealTenant(room), open_console()) == 0
    assert waits == [7, 7]
    row = "| 2026-11-20T11:00:00Z | medium   | Contoso \\x1b[2J | d1 |"
    lines = capsys.readouterr().out.splitlines()
    assert lines.count("Fetch, incidents: 1") == lines.count(row) == 4


def test_a_fetch_may_be_shown_as_the_platform_gets_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", "fetch --times 1", *SMALL]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert [sorted(new) for new in json.loads(entry["Contents"])] == [
        ["dbotMirrorId", "name", "occurred", "rawJSON", "severity"]
    ] * len(json.loads(entry["Contents"]))


def test_event_types_to_fetch_are_named_by_graphs_names_or_by_their_titles(
    fetch: Fetch, instance: Row, simulator: Simulator
) -> None:
    instance["fetch_event_types"] = "Leaked credentials,impossible travel, IMPOSSIBLETRAVEL, contosoOddity"
    fetch()
    asked = ("leakedCredentials", "impossibleTravel", "mcasImpossibleTravel", "contosoOddity")
    types = " or ".join(f"riskEventType eq '{name}'" for name in asked)
    (request,) = simulator.graph_requests
    assert request.query["$filter"] == f"detectedDateTime ge 2026-11-17T12:00:00Z and ({types})"


@pytest.mark.parametrize(
    ("value", "question"), [("leaked credential", '; did you mean "leakedCredentials"'), ("stolen credentials", "")]
)
def test_a_misspelt_event_type_to_fetch_is_refused(
    value: str, question: str, room: WarRoom, instance: Row, simulator: Simulator
) -> None:
    instance["fetch_event_types"] = f"newCountry, {value}"
    assert messages(room.fetch()) == [
        f'Failed to execute fetch-incidents. fetch_event_types="{value}" cannot be used. Accepted: event types by '
        'Graph\'s names or in the words of a table, such as leakedCredentials or "Leaked credentials"'
        f"{question}."
    ]
    assert simulator.requests == []
