"""How long commands of one tenant wait, with one request a second for all, as Graph has it.

Time passes for real, some minutes of it.
"""

import time
from contextlib import ExitStack
from datetime import datetime, timezone
from statistics import median

from tools.bench.runs import LIST, Case, Process, begin, checked, report_of
from warroom.azure.demo import demo_tenant
from warroom.azure.server import Simulator

# Rows of a page; pages that walks of it have; seconds after which one row is asked for
# during a walk; trials of that.
PAGE = 20
ALONE, DURING, SIDE_BY_SIDE = 10, 50, 20
BEGINNING = 5
TRIALS = 10

WALK_ALONE = "  one walk of {pages} pages: {seconds:.1f} s, Graph requests: {requests}"
ONE_ROW = "  one row during a walk of {pages} pages: median {median:.1f} s, longest {longest:.1f} s"
TWO_WALKS = (
    "  two walks of {pages} pages side by side: {seconds:.0f} s, "
    "Graph requests: {requests}"
)


def throttled(simulator: Simulator) -> Simulator:
    """The simulator with one request a second, as if nobody had asked before."""
    simulator.throttle = 1
    simulator.requests.clear()
    return simulator


def list_of(simulator: Simulator, rows: int) -> Case:
    args = {"limit": str(rows)}
    return Case(simulator, LIST, args, rows)


def seconds_of(processes: list[Process], case: Case) -> list[float]:
    """How long each of some processes asked that run this case, at their end."""
    reports = [report_of(process) for process in processes]
    return [checked(report, case)["asked"] for report in reports]


def print_walk_alone(simulator: Simulator) -> None:
    walk = list_of(simulator, ALONE * PAGE)
    process = begin(walk)
    [seconds] = seconds_of([process], walk)
    line = WALK_ALONE.format(
        pages=ALONE,
        seconds=seconds,
        requests=len(simulator.graph_requests),
    )
    print(line)


def seconds_for_one_row(simulators: list[Simulator]) -> list[float]:
    """How long one row takes that is asked for during a walk, of each of some tenants."""
    walks = [list_of(simulator, DURING * PAGE) for simulator in simulators]
    rows = [list_of(simulator, 1) for simulator in simulators]
    walking = [begin(walk) for walk in walks]
    time.sleep(BEGINNING)
    asking = [begin(row) for row in rows]
    seconds = seconds_of(asking, rows[0])
    for process in walking:
        process.kill()
        process.communicate()
    return seconds


def print_one_row(simulators: list[Simulator]) -> None:
    seconds = seconds_for_one_row(simulators)
    line = ONE_ROW.format(
        pages=DURING,
        median=median(seconds),
        longest=max(seconds),
    )
    print(line)


def print_two_walks(simulator: Simulator) -> None:
    walk = list_of(simulator, SIDE_BY_SIDE * PAGE)
    processes = [begin(walk) for _ in range(2)]
    seconds = seconds_of(processes, walk)
    line = TWO_WALKS.format(
        pages=SIDE_BY_SIDE,
        seconds=max(seconds),
        requests=len(simulator.graph_requests),
    )
    print(line)


def print_waits() -> None:
    """Prints how the commands of one tenant get along with one request a second."""
    print("\nWith one request a second for the whole tenant:")
    now = datetime.now(timezone.utc)
    tenant = demo_tenant(now, users=(DURING + 1) * PAGE)
    tenant.largest_page = PAGE
    with ExitStack() as stack:
        simulators = []
        for _ in range(TRIALS):
            simulator = stack.enter_context(Simulator(tenant))
            simulators.append(throttled(simulator))
        print_walk_alone(simulators[0])
        print_one_row(simulators)
        print_two_walks(throttled(simulators[0]))
