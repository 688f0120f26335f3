"""What one command or fetch costs, and how that grows with what it reads.

The figures depend on the machine. Each run costs requests to Graph, time of the whole
process, memory, and time to its start. Where Python keeps bytecode, the compilation of the
integration, which the server makes each time, is not among it.
"""

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from tools.bench.runs import (
    FETCH,
    LIST,
    Case,
    Figures,
    Rounds,
    begin,
    differences,
    medians,
    report_of,
    rounds,
    signed_in,
)
from warroom.azure.demo import demo_tenant
from warroom.azure.rows import stamp
from warroom.azure.server import Simulator
from warroom.azure.tenant import Tenant
from warroom.demo import demo_instance

HEADING = """
{title:<26} requests  seconds  of CPU  peak MiB  to first request"""
ROW = (
    "  {name:<24} {requests:>8.0f} {seconds:>8.2f} {cpu:>7.3f} "
    "{peak:>9.1f} {start:>15.3f} s"
)
MORE = "  {name}: {cpu:+.1f} ms of CPU, {peak:+.1f} MiB"
PER_ROW = "  1,000 rows more, {name}: {cpu:.1f} ms of CPU, {peak:.2f} MiB"
RATIO = "  CPU of the card, against a list of as many detections: {ratio:.2f} times"


def print_rounds(title: str, runs: Rounds) -> None:
    """Prints the medians of each case."""
    heading = HEADING.format(title=title)
    print(heading)
    for name, each in runs.items():
        figures = medians(each)
        row = ROW.format(name=name, **figures._asdict())
        print(row)


def milliseconds(figures: Figures) -> float:
    return figures.cpu * 1000


def print_more(runs: Rounds, more: str, less: str) -> None:
    """Prints how much more one case costs than another."""
    figures = differences(runs[more], runs[less])
    line = MORE.format(
        name=f"{more}, against {less}",
        cpu=milliseconds(figures),
        peak=figures.peak,
    )
    print(line)


# The start of a command

STARTS = 9  # rounds
NEW, STORED = "a new token", "a stored token"


def print_start(simulator: Simulator) -> None:
    """Prints what a new token costs beside a stored one."""
    new = Case(simulator, LIST, {"limit": "1"})
    cases = {STORED: signed_in(new), NEW: new}
    runs = rounds(cases, STARTS)
    print_rounds("One row, by", runs)
    print_more(runs, NEW, STORED)


# Lists

SIZES = (50, 5_000, 50_000)  # rows
LISTS = 3  # rounds


def list_cases(simulator: Simulator) -> dict[str, Case]:
    one = signed_in(Case(simulator, LIST, {"limit": "1"}))
    cases = {}
    for rows in SIZES:
        args = {"limit": str(rows)}
        cases[f"{rows:,} rows"] = replace(one, args=args, rows=rows)
    return cases


def print_growth(runs: Rounds) -> None:
    """Prints what each thousand of rows adds, from one size to the next."""
    names = list(runs)
    for index in range(1, len(SIZES)):
        less, more = names[index - 1 : index + 1]
        thousands = (SIZES[index] - SIZES[index - 1]) / 1000
        figures = differences(runs[more], runs[less])
        line = PER_ROW.format(
            name=f"from {less} to {more}",
            cpu=milliseconds(figures) / thousands,
            peak=figures.peak / thousands,
        )
        print(line)


def print_lists(simulator: Simulator) -> None:
    cases = list_cases(simulator)
    runs = rounds(cases, LISTS)
    print_rounds("A list of", runs)
    print_growth(runs)


# The card of one user of whom there is much to tell

CASE = 500  # detections and sign-ins, one an hour
CARDS = 5  # rounds
USER_ID = "00000000-0000-4000-8000-0000000ca5e1"
DETAILS = [
    {"Key": "riskReasons", "Value": ["UnfamiliarASN", "UnfamiliarBrowser"]},
    {"Key": "userAgent", "Value": "Mozilla/5.0 (X11; Linux x86_64; rv:126.0)"},
    {"Key": "mitreTechniques", "Value": "T1078.004"},
]
RISK = {"riskState": "atRisk", "riskEventTypes_v2": ["unfamiliarFeatures"]}
DETECTIONS = "azure-risky-users-risk-detections-list"
ONE, MANY, CARD = "one detection", "its detections", "the card"


def add_event(tenant: Tenant, hours: int) -> None:
    """Add a sign-in of that user, so many hours ago, and its detection."""
    moment = stamp(datetime.now(timezone.utc) - timedelta(hours=hours))
    place: dict[str, Any] = {
        "userId": USER_ID,
        "ipAddress": f"203.0.113.{hours % 50}",
    }
    sign_in = tenant.add_sign_in(createdDateTime=moment, **place, **RISK)
    tenant.arrive(
        detected=moment,
        activityDateTime=moment,
        riskEventType="unfamiliarFeatures",
        requestId=sign_in["id"],
        additionalInfo=json.dumps(DETAILS),
        **place,
    )


def case_tenant() -> Tenant:
    """A tenant with that user."""
    now = datetime.now(timezone.utc)
    tenant = Tenant(clock=now)
    tenant.add_user(id=USER_ID)
    for hours in range(1, CASE + 1):
        add_event(tenant, hours)
    return tenant


def card_cases(simulator: Simulator) -> dict[str, Case]:
    one = signed_in(Case(simulator, DETECTIONS, {"limit": "1"}))
    many = {"limit": str(CASE), "user_id": USER_ID}
    card = {"user": USER_ID}
    return {
        ONE: one,
        MANY: replace(one, args=many, rows=CASE),
        CARD: replace(
            one,
            command="azure-risky-user-investigate",
            args=card,
            rows=CASE,
        ),
    }


def print_card() -> None:
    """Prints what the card of one user costs, against the list of the same detections."""
    with Simulator(case_tenant()) as simulator:
        cases = card_cases(simulator)
        runs = rounds(cases, CARDS)
    print_rounds(f"A user, {CASE} detections", runs)
    print_more(runs, CARD, MANY)
    card = differences(runs[CARD], runs[ONE])
    detections = differences(runs[MANY], runs[ONE])
    ratio = card.cpu / detections.cpu
    print(RATIO.format(ratio=ratio))


# Fetches of a week with many detections

WEEK = 10_080  # minutes
DETECTED = 5_000
FETCHES = 5  # rounds
MOST = 200  # incidents of one fetch
UNTIL_QUIET = DETECTED // MOST + 2
AN_HOUR = 61  # minutes, after which a fetch looks back as far as the settings say
QUIET, BACKLOG = "nothing new", "a backlog"
LOOK_BACK = "nothing new, a week back"


def week_tenant() -> Tenant:
    """A tenant with a week of detections, at even distances."""
    now = datetime.now(timezone.utc)
    tenant = Tenant(clock=now)
    tenant.add_user(id=USER_ID)
    step = timedelta(minutes=WEEK) / (DETECTED + 1)
    for number in range(1, DETECTED + 1):
        moment = stamp(now - number * step)
        tenant.arrive(detected=moment, activityDateTime=moment, userId=USER_ID)
    return tenant


def fetching(simulator: Simulator, look_back: int) -> Case:
    """A first fetch, of the whole week."""
    given = {
        "first_fetch": "7 days",
        "look_back": str(look_back),
        "max_fetch": str(MOST),
    }
    params = demo_instance() | given
    return Case(simulator, FETCH, rows=MOST, params=params)


def caught_up(case: Case) -> Case:
    """The fetch after all those that bring something."""
    process = begin(replace(case, at_most=UNTIL_QUIET))
    report = report_of(process)
    return replace(
        case,
        rows=0,
        context=report["context"],
        last_run=report["last_run"],
    )


def fetch_cases(simulator: Simulator) -> dict[str, Case]:
    usual = fetching(simulator, 60)
    long = fetching(simulator, WEEK)
    return {
        QUIET: caught_up(usual),
        BACKLOG: signed_in(usual),
        LOOK_BACK: replace(caught_up(long), ahead=AN_HOUR),
    }


def print_fetches() -> None:
    """Prints what a fetch costs that finds nothing new, and what more behind it adds."""
    with Simulator(week_tenant()) as simulator:
        cases = fetch_cases(simulator)
        runs = rounds(cases, FETCHES)
    print_rounds(f"A fetch, {DETECTED:,} a week", runs)
    print_more(runs, BACKLOG, QUIET)
    print_more(runs, LOOK_BACK, QUIET)


def print_costs() -> None:
    now = datetime.now(timezone.utc)
    users = max(SIZES) + 100
    with Simulator(demo_tenant(now, users=users)) as simulator:
        print_start(simulator)
        print_lists(simulator)
    print_card()
    print_fetches()
