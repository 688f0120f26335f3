"""Whatever order, delay, tie, throttling, failure or restart: fetches lose nothing and repeat nothing.

Hypothesis plays histories of a tenant and of the fetches against it, and keeps its own account of what they owe. The
requests go straight to the simulated Graph, without a socket, so that a run tries many histories; test_fetch.py has the
real way. `HYPOTHESIS_PROFILE=thorough pytest tests/product/test_fetch_model.py` tries thousands more.
"""

import json
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from io import BytesIO
from types import SimpleNamespace
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import requests
from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from requests.structures import CaseInsensitiveDict
from urllib3.response import HTTPResponse
from urllib3.util.retry import RequestHistory, Retry

import AzureRiskyUsers as aru  # noqa: N813 - the module bears the name of the integration
from helpers import GRAPH, Row
from warroom.azure.entra import Entra
from warroom.azure.exchange import Answer, Recorded
from warroom.azure.graph import Graph
from warroom.azure.odata import ticks
from warroom.azure.rows import stamp
from warroom.azure.tenant import CLIENT_ID, Tenant, as_asked, reversed_order

START = datetime(2026, 11, 20, 9, tzinfo=timezone.utc)
SINCE = "2026-11-19T09:00:00Z"
HOUR = timedelta(hours=1)
LEVELS = ("low", "medium", "high", "hidden")
STATES = ("atRisk", "confirmedCompromised", "remediated", "dismissed")

quick = settings(
    deadline=None, suppress_health_check=list(HealthCheck), max_examples=200, stateful_step_count=20, derandomize=True
)
settings.register_profile("quick", quick)
settings.register_profile("thorough", quick, max_examples=5000, stateful_step_count=30, derandomize=False)
HISTORIES = settings.get_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

# What meets one attempt of a request: an answer, throttling, an outage, an answer that is lost on the way; all but the
# first are repeated. The last two last to the end of the fetch.
ATTEMPTS = ("answer", "429", "503", "lost")
LASTING = ("500", "unreachable")


def response(answer: Answer, history: list[RequestHistory]) -> requests.Response:
    body = json.dumps(answer.body).encode()
    made = requests.Response()
    made.status_code = answer.status
    made.raw = HTTPResponse(BytesIO(body), preload_content=False, retries=Retry(history=tuple(history)))
    return made


class Wire:
    """Stands in for the client's HttpSession: what repeats there on an error is repeated here.

    before: called before each attempt with its number, for what happens in the tenant meanwhile.
    troubles: what meets the attempts, in their order; those after have an answer.
    """

    def __init__(self, tenant: Tenant, troubles: list[str], before: Callable[[int], None]) -> None:
        entra = Entra(tenant)
        self.graph = Graph(tenant, entra)
        self.authorization = f"Bearer {entra.app_token(CLIENT_ID)}"
        self.troubles, self.before = troubles, before
        self.started = float("inf")
        self.attempts, self.answers, self.lasting = 0, 0, ""
        self.served: list[Row] = []

    def request(
        self, method: str, url: str, *, headers: dict[str, str], auth: Any, params: dict[str, str] | None = None
    ) -> requests.Response:
        assert auth is not None
        sent = f"{url}?{urlencode(params)}" if params else url
        history = []
        while True:
            signed = headers | {"Authorization": self.authorization}
            met, answer = self.attempt(sent, CaseInsensitiveDict(signed))
            if met not in ATTEMPTS[1:]:
                break
            status = int(met) if met.isdecimal() else None
            history.append(RequestHistory(method, sent, None, status, None))
        if met == "unreachable":
            raise requests.ConnectionError(method)
        return response(answer, history)

    def attempt(self, sent: str, headers: CaseInsensitiveDict[str]) -> tuple[str, Answer]:
        self.before(self.attempts)
        met = self.lasting or (self.troubles[self.attempts] if self.attempts < len(self.troubles) else "answer")
        self.attempts += 1
        if met in LASTING:
            self.lasting = met
        answer = Answer(500, {"error": {"code": "InternalServerError", "message": ""}})
        if met in ("answer", "lost"):
            answer = self.answer(sent, headers)
        if met == "answer":
            self.answers += 1
            self.served += answer.body["value"] if isinstance(answer.body, dict) else []
        return met, answer

    def answer(self, sent: str, headers: CaseInsensitiveDict[str]) -> Answer:
        parts = urlsplit(sent)
        query = dict(parse_qsl(parts.query))
        target = f"{parts.path}?{parts.query}"
        recorded = Recorded("GET", parts.netloc, parts.path, query, headers, b"", {}, target, "https", 0)
        return self.graph.answer(recorded)


class Conditions(NamedTuple):
    """What holds for a whole history. ahead: minutes by which the integration's clock is wrong. pace: seconds from
    request to request."""

    max_fetch: int
    page_size: int
    look_back: int
    ahead: int
    newest_first: bool
    levels: tuple[str, ...]
    pace: int


# To the end of what is seen at once, and beyond.
MINUTES = st.one_of(st.integers(0, 60), st.sampled_from((50, 59, 60, 60, 60, 61, 120, 179, 600, 1440)))

CONDITIONS = st.builds(
    Conditions,
    max_fetch=st.integers(1, 4),
    page_size=st.integers(1, 4),
    look_back=st.sampled_from((1, 10, 60, 180, 1440)),
    ahead=st.integers(-10, 5),
    newest_first=st.booleans(),
    levels=st.sampled_from(((), (), ("high", "medium"))),
    pace=st.sampled_from((0, 1, 20)),
)


class Appearance(NamedTuple):
    """What a detection or a change of a user is dated, and when it can first be seen."""

    dated: datetime
    surfaces: datetime

    def is_owed(self, now: datetime) -> bool:
        """Whether a complete fetch has to see it: if it surfaced within an hour, at once; or else an hour later."""
        return self.surfaces - self.dated <= HOUR or now - self.surfaces >= HOUR


class History(RuleBasedStateMachine):
    """A tenant, its clock, and fetches with one instance's settings. Subclasses say what happens and what is owed."""

    fetch_type = ""

    def begin(self, given: Conditions) -> None:
        self.clock, self.pace = START, timedelta(seconds=given.pace)
        self.look_back = timedelta(minutes=given.look_back)
        self.tenant = Tenant(clock=lambda: self.clock)
        self.tenant.order = reversed_order if given.newest_first else as_asked
        self.tenant.largest_page = given.page_size
        self.last_run: Row = {}
        self.fetch_settings = aru.FetchSettings(
            since=SINCE,
            max_fetch=given.max_fetch,
            look_back=given.look_back,
            fetch_types=(self.fetch_type,),
            levels=given.levels,
        )
        self.ahead = timedelta(minutes=given.ahead)

    def keep_order(self) -> None:
        """Be a tenant whose rows may move from page to page while a fetch is under way.

        Nobody could find them all if Graph had no order, or if more of them than a page holds had one time.
        """
        self.tenant.order = as_asked
        self.tenant.largest_page += 1

    @rule(seconds=st.sampled_from((1, 30, 60, 600, 3600)))
    def time_passes(self, seconds: int) -> None:
        self.clock += timedelta(seconds=seconds)

    @rule(
        troubles=st.lists(st.sampled_from(ATTEMPTS + LASTING), max_size=6),
        meanwhile=st.lists(st.tuples(st.integers(1, 5), st.integers(0, 9), st.integers(0, 9)), max_size=3),
        crashes=st.integers(0, 5).map(lambda number: number == 0),
    )
    def fetch(self, troubles: list[str], meanwhile: list[tuple[int, int, int]], crashes: bool) -> None:
        """Fetch once. meanwhile: (before which attempt, and two numbers to choose by) of what happens in the tenant."""
        self.try_fetch(troubles, meanwhile, crashes)

    @rule(minutes=st.integers(1, 59), times=st.integers(1, 9))
    def fetch_regularly(self, minutes: int, times: int) -> None:
        for _ in range(times):
            self.clock += timedelta(minutes=minutes)
            self.try_fetch([], [])

    def try_fetch(self, troubles: list[str], meanwhile: list[tuple[int, int, int]], crashes: bool = False) -> Wire:
        def before(attempt: int) -> None:
            self.clock += self.pace if attempt else timedelta()
            for number, *choices in meanwhile:
                if number == attempt:
                    self.happen(*choices)

        self.remember_start()
        wire = Wire(self.tenant, troubles, before)
        signed_in: Any = SimpleNamespace(token=lambda: "")
        client = aru.GraphClient(wire, signed_in, GRAPH)  # type: ignore[arg-type]
        try:
            outcome = aru.fetch_incidents(client, self.fetch_settings, self.last_run, self.clock + self.ahead)
        except aru.RequestError:
            assert wire.lasting
            assert not wire.answers
        else:
            if not crashes:
                self.persist(wire, outcome)
        return wire

    def persist(self, wire: Wire, fetched: aru.Fetched) -> None:
        next_run, incidents, notes, failures = fetched
        assert wire.answers
        assert len(incidents) <= self.fetch_settings.max_fetch
        assert [ticks(new["occurred"]) for new in incidents] == sorted(ticks(new["occurred"]) for new in incidents)
        assert bool(notes) == bool(failures) == bool(wire.lasting)
        assert all(isinstance(text, str) for text in next_run.values())
        self.last_run = json.loads(json.dumps(next_run))
        complete = not notes and len(incidents) < self.fetch_settings.max_fetch
        self.account([json.loads(new["rawJSON"]) for new in incidents], wire.served, complete)

    def teardown(self) -> None:
        """Let everything surface, fetch until nothing more can come, and settle the account."""
        self.clock += self.look_back
        for _ in range(-(-self.number() // self.fetch_settings.max_fetch) + 1):
            self.try_fetch([], [])
        self.check_account()
        self.clock += self.look_back + 2 * HOUR + timedelta(minutes=21)
        self.try_fetch([], [])
        assert self.try_fetch([], []).attempts == 1

    # What a subclass adds

    def happen(self, first: int, second: int) -> None:
        """Let something happen in the tenant while a fetch is under way."""

    def remember_start(self) -> None:
        """Note what a fetch that begins now cannot miss."""

    def account(self, handed: list[Row], served: list[Row], complete: bool) -> None:
        """Enter what a fetch handed over; a complete one had room for more and read to the end."""

    def check_account(self) -> None:
        """Find nothing owed."""

    def number(self) -> int:
        """How many incidents may still come."""
        return 0


class Detections(History):
    """Detections occur, surface up to look_back later, and may leave the filter while a fetch is under way."""

    fetch_type = "Risk Detections"

    @initialize(
        given=CONDITIONS,
        behind=st.lists(st.integers(0, 20), max_size=8),
        small_memory=st.sampled_from((0, 0, 3, 6)),
        changing=st.booleans(),
    )
    def begin_detections(self, given: Conditions, behind: list[int], small_memory: int, changing: bool) -> None:
        """behind: hours ago, before the first fetch. small_memory: so many are remembered, and then none comes late.

        changing: detections leave the filter; see keep_order.
        """
        self.begin(given)
        self.made: dict[str, Appearance] = {}
        self.handed: Counter[str] = Counter()
        self.resolved: set[str] = set()
        self.certain: set[str] = set()
        self.small_memory, self.changing = bool(small_memory), changing
        if small_memory:
            self.fetch_settings = replace(self.fetch_settings, max_detections=small_memory)
        if changing:
            self.keep_order()
            self.fetch_settings = replace(self.fetch_settings, states=("atRisk",))
        for hours in behind:
            detected = START - timedelta(hours=hours, minutes=1)
            self.arrive(detected, detected, hours)

    def arrive(self, detected: datetime, surfaces: datetime, number: int) -> None:
        if self.changing:
            detected += timedelta(microseconds=len(self.made))
        text = stamp(detected, 7 if self.changing else (0, 3, 7)[number % 3])
        row = self.tenant.arrive(detected=text, surfaces_at=surfaces, riskLevel=LEVELS[number % 4])
        self.made[row["id"]] = Appearance(detected, surfaces)

    @rule(
        number=st.integers(1, 3),
        ago=MINUTES,
        delay=MINUTES,
        spread=st.sampled_from((0, 0, 1, 7)),
        choices=st.integers(0, 9),
    )
    def occur(self, number: int, ago: int, delay: int, spread: int, choices: int) -> None:
        """ago, delay: minutes between detection and now, and between it and surfacing; spread: between several."""
        for position in range(number):
            detected = self.clock - min(self.look_back, timedelta(minutes=ago + spread * position))
            late = min(self.look_back, timedelta(minutes=delay))
            if self.small_memory:
                detected, late = self.clock, timedelta()
            self.arrive(detected, max(self.clock, detected + late), choices + position)
        self.clock += timedelta(seconds=1)

    def happen(self, first: int, second: int) -> None:
        if self.changing and first % 2:
            self.resolve(second)
        else:
            self.arrive(self.clock, self.clock, second)
            self.clock += timedelta(seconds=1)

    def resolve(self, number: int) -> None:
        rows = list(self.tenant.detections.values())
        if rows:
            row = rows[number % len(rows)]
            row["riskState"] = "remediated"
            self.tenant.touch()
            self.resolved.add(row["id"])

    def matching(self) -> set[str]:
        levels = self.fetch_settings.levels or LEVELS
        rows = self.tenant.detections.values()
        return {row["id"] for row in rows if row["riskLevel"] in levels and row["id"] not in self.resolved}

    def remember_start(self) -> None:
        self.tenant.begin_request()
        self.certain = {name for name in self.matching() if self.made[name].is_owed(self.clock)}

    def account(self, handed: list[Row], _: list[Row], complete: bool) -> None:
        self.handed.update(row["id"] for row in handed)
        assert set(self.handed.values()) <= {1}
        if complete:
            assert self.certain - self.resolved <= set(self.handed)

    def check_account(self) -> None:
        assert not self.tenant.waiting
        assert self.matching() <= set(self.handed)
        event(f"detections handed over: {min(50, 10 * (len(self.handed) // 10))} or more")

    def number(self) -> int:
        return len(self.made) - len(self.handed)


class Users(History):
    """Users come to be at risk, rise, fall, leave and come back, also while a fetch is under way."""

    fetch_type = "Risky Users"

    @initialize(given=CONDITIONS, users=st.integers(1, 6), changing=st.booleans())
    def begin_users(self, given: Conditions, users: int, changing: bool) -> None:
        """changing: users change while a fetch is under way; see keep_order."""
        self.begin(given)
        self.changing = changing
        if changing:
            self.keep_order()
        self.seen: dict[str, Row] = {}  # the newest state that was handed over or that was none to hand over
        self.ids = [f"00000000-0000-0000-0000-{number:012}" for number in range(users)]
        self.changes = 0
        self.unchanged: dict[str, Row] = {}
        self.changed: dict[str, Appearance] = {}
        for number, user_id in enumerate(self.ids):
            dated = START - timedelta(hours=2, seconds=number)
            self.tenant.add_user(id=user_id, riskLastUpdatedDateTime=stamp(dated))
            self.changed[user_id] = Appearance(dated, dated)

    @rule(who=st.integers(0, 5), what=st.integers(0, 15), ago=st.sampled_from((0, 0, 1, 60, 61, 120, 600, 1440)))
    def change(self, who: int, what: int, ago: int) -> None:
        """ago: minutes since the change that is only seen now."""
        user = self.tenant.users[self.ids[who % len(self.ids)]]
        before = datetime.fromisoformat(user["riskLastUpdatedDateTime"][:19] + "+00:00")
        dated = self.clock - min(self.look_back, timedelta(minutes=ago))
        self.changes += 1
        dated = max(dated, before + timedelta(seconds=1)) + timedelta(microseconds=self.changes * self.changing)
        self.clock = max(self.clock, dated)
        self.changed[user["id"]] = Appearance(dated, self.clock)
        state, level = STATES[what // 4], LEVELS[what % 4]
        self.tenant.change_user(user["id"], riskLastUpdatedDateTime=stamp(dated), riskState=state, riskLevel=level)

    def happen(self, first: int, second: int) -> None:
        if self.changing:
            self.change(first, second, 0)

    def remember_start(self) -> None:
        users = self.tenant.users.items()
        self.unchanged = {name: dict(row) for name, row in users if self.changed[name].is_owed(self.clock)}

    def owed(self, row: Row) -> bool:
        """Whether a user's state is one to hand over, after what was seen of that user before."""
        before = self.seen.get(row["id"], {})
        severity = {"low": 1, "medium": 2, "high": 3}
        risen = severity.get(row["riskLevel"], 0) > severity.get(before.get("riskLevel", ""), 0)
        at_risk = row["riskState"] in ("atRisk", "confirmedCompromised")
        selected = row["riskLevel"] in (self.fetch_settings.levels or LEVELS)
        return at_risk and selected and (row["riskState"] != before.get("riskState") or risen)

    def account(self, handed: list[Row], served: list[Row], complete: bool) -> None:
        due: dict[str, Row] = {}
        for row in served:
            due.pop(row["id"], None)
            if self.owed(row):
                due[row["id"]] = row
            else:
                self.seen[row["id"]] = row
        for row in handed:
            state = {name: value for name, value in row.items() if name != "fetchType"}
            assert due.pop(row["id"]) == state
            self.seen[row["id"]] = state
        if complete:
            still = [row for user_id, row in self.unchanged.items() if self.tenant.users[user_id] == row]
            assert not [row for row in still if self.owed(row)]

    def check_account(self) -> None:
        assert not [row for row in self.tenant.users.values() if self.owed(row)]
        event(f"changes of users: {min(30, 10 * (self.changes // 10))} or more")

    def number(self) -> int:
        return len(self.ids)


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)


def test_every_detection_is_handed_over_exactly_once() -> None:
    run_state_machine_as_test(Detections, settings=HISTORIES)


def test_every_user_who_comes_to_be_at_risk_or_rises_is_handed_over_exactly_once() -> None:
    run_state_machine_as_test(Users, settings=HISTORIES)
