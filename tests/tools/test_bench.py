"""What is measured is a process of its own that does what it should, compared in pairs."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from helpers import DETECTIONS, USERS
from tools.bench.costs import fetching, print_more, print_rounds
from tools.bench.report import peak
from tools.bench.runs import Case, Figures, begin, checked, differences, figures_of, medians, report_of, signed_in
from tools.bench.waits import list_of, seconds_of, throttled
from warroom.azure.server import Simulator
from warroom.azure.tenant import Tenant

STATUS = "Name:\tpython\nVmPeak:\t  90000 kB\nVmHWM:\t   47104 kB\nVmRSS:\t   40000 kB\n"
# Of one command that costs 1, 2 and 30 ms, in a machine that grows ever slower, and one that costs ten more.
LESS = [Figures(1, 5, cpu, 47, 1) for cpu in (0.001, 0.002, 0.030)]
MORE = [Figures(3, 6, cpu, 49, 2) for cpu in (0.011, 0.012, 0.040)]


@pytest.fixture
def now() -> datetime:
    return datetime.now(timezone.utc)


@pytest.fixture
def current(now: datetime) -> Iterator[Simulator]:
    """A tenant of today with two detections of one user, of one and of three hours ago."""
    tenant = Tenant(clock=now)
    tenant.add_user()
    for hours in (1, 3):
        tenant.arrive(detected=now - timedelta(hours=hours))
    with Simulator(tenant) as simulator:
        yield simulator


def test_the_peak_is_the_most_memory_and_not_the_most_addresses() -> None:
    assert peak(STATUS) == 46


def test_the_medians_are_of_each_figure_and_the_differences_of_each_pair() -> None:
    assert medians(LESS) == Figures(1, 5, 0.002, 47, 1)
    assert differences(MORE, LESS) == pytest.approx(Figures(2, 1, 0.01, 2, 1))


def test_what_does_not_pair_is_not_compared() -> None:
    with pytest.raises(ValueError, match="zip"):
        differences(MORE[1:], LESS)


def test_figures_are_printed_under_their_headings(capsys: pytest.CaptureFixture[str]) -> None:
    print_rounds("A list of", {"50 rows": LESS, "60 rows": MORE})
    print_more({"50 rows": LESS, "60 rows": MORE}, "60 rows", "50 rows")
    assert capsys.readouterr().out == (
        "\n"
        "A list of                  requests  seconds  of CPU  peak MiB  to first request\n"
        "  50 rows                         1     5.00   0.002      47.0           1.000 s\n"
        "  60 rows                         3     6.00   0.012      49.0           2.000 s\n"
        "  60 rows, against 50 rows: +10.0 ms of CPU, +2.0 MiB\n"
    )


def test_a_run_brings_its_rows_and_is_measured(current: Simulator) -> None:
    case = Case(current, DETECTIONS, {"limit": "2"}, rows=2)
    figures = figures_of(case)
    assert figures.requests == 1
    assert 0 < figures.start < figures.seconds
    assert 0 < figures.cpu < figures.seconds
    assert 10 < figures.peak < 200


def test_a_run_that_brings_something_else_is_no_figure(current: Simulator) -> None:
    case = Case(current, DETECTIONS, {"limit": "2"}, rows=3)
    with pytest.raises(SystemExit, match=r"risk-detections-list with .*limit.* brought type 1, rows 2"):
        figures_of(case)
    with pytest.raises(SystemExit, match="reported nothing"):
        figures_of(replace(case, args={"limit": "none"}))


def test_a_case_that_is_signed_in_asks_for_no_token(current: Simulator) -> None:
    case = signed_in(Case(current, USERS, {"limit": "1"}))
    assert len(current.login_requests) == 2
    figures_of(case)
    assert len(current.login_requests) == 2


def bound_of(filter_text: str) -> datetime:
    """The moment from which on a filter asks."""
    literal = filter_text.rpartition(" ")[2]
    return datetime.fromisoformat(literal.replace("Z", "+00:00"))


def test_a_fetch_goes_on_from_the_one_before_and_looks_back_once_an_hour(current: Simulator, now: datetime) -> None:
    first = replace(fetching(current, 10_080), at_most=3)
    report = checked(report_of(begin(first)), replace(first, rows=0))
    assert len(current.graph_requests) == 2
    current.requests.clear()
    again = replace(first, rows=0, last_run=report["last_run"], context=report["context"])
    for ahead in (0, 61):
        assert figures_of(replace(again, ahead=ahead)).requests == 1
    soon, hour_later = (request.query["$filter"] for request in current.graph_requests)
    assert timedelta(hours=2) <= now - bound_of(soon) < timedelta(hours=3)
    assert timedelta(days=6, hours=22) <= now - bound_of(hour_later) < timedelta(days=7, hours=3)


def test_a_walk_has_as_many_seconds_as_it_makes_requests_but_one(current: Simulator) -> None:
    current.tenant.add_user()
    current.tenant.add_user()
    current.tenant.largest_page = 1
    figures_of(list_of(current, 1))
    case = list_of(throttled(current), 3)
    [seconds] = seconds_of([begin(case)], case)
    assert seconds > 2
    assert len(current.graph_requests) >= 3
