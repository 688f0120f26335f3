"""Measures what lists and a card cost, and how long commands wait that share one second.

A list costs requests to Graph, time of the whole process, memory, and time to its start; the
figures depend on the machine. For the waits the tenant allows one request a second, as
Graph does, and time passes for real, some minutes of it.

Each measured run is a process of its own that runs the integration as the server does; the
simulated tenant stays in this process, so that it is in no figure. `make bench` prints it
all.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from statistics import median
from typing import Any, NamedTuple

from warroom.azure.demo import demo_tenant
from warroom.azure.rows import stamp
from warroom.azure.server import Simulator
from warroom.azure.tenant import Tenant
from warroom.demo import demo_instance
from warroom.xsoar.integration import PROJECT, STANDINS

SIZES = (50, 5_000, 50_000)  # rows
RUNS = 3  # of each; the median counts
IMPORTS = "import requests, msal"
PYTHONPATH = f"{PROJECT}{os.pathsep}{STANDINS}"

CHILD = """
import json, sys, time
started = time.time()
import CommonServerPython
standins = time.time() - started
import demistomock, requests
import AzureRiskyUsers as integration
from warroom.azure.server import LoopbackAdapter
from warroom.xsoar.surroundings import led_to
port, command, params, args = json.loads(sys.argv[1])
first = []
class Adapter(LoopbackAdapter):
    def send(self, *request, **options):
        first.append(time.time())
        return super().send(*request, **options)
class Port:
    def adapter(self, *, carrier):
        return Adapter(port, carrier=carrier)
demistomock.call = demistomock.Call(command, args, params)
with led_to(Port(), integration.HttpSession):
    integration.main()
entry = demistomock.call.entries[0]
contents = entry["Contents"]
rows = len(contents["value"]) if "value" in contents else contents["detectionCount"]
report = {"first": first[0], "standins": standins, "type": entry["Type"], "rows": rows}
report["asked"] = time.time() - first[0]
print(json.dumps({**report, "cpu": time.process_time()}))
"""

# Asked of the process itself: what the operating system accounts for a child includes what it
# was before it became Python.
PRINT_PEAK = """
with open("/proc/self/status") as status:
    print(next(line for line in status if line.startswith("VmHWM")).split()[1])
"""

IMPORTS_COST = "{imports}: {seconds:.3f} s, {peak:.1f} MiB\n"
HEADINGS = "   rows  Graph requests   seconds  of CPU  peak MiB   to first request"
ROW = (
    "{rows:>7,} {requests:>15.0f} {seconds:>9.3f} {cpu:>7.3f} "
    "{peak:>9.1f} {start:>16.3f} s"
)
GROWTH = """
memory per 1,000 rows: {memory:.2f} MiB
CPU time of {large:,} rows against {middle:,} (less that of {small}): {times:.1f} times"""


# One request a second for all: pages, of rows, that walks of it have; seconds after which one
# row is asked for during a walk; trials of that.
PAGE = 20
ALONE, DURING, SIDE_BY_SIDE = 20, 50, 60
BEGINNING = 5
TRIALS = 10

WALK_ALONE = "one walk of {pages} pages: {seconds:.1f} s, Graph requests: {requests}"
ONE_ROW = "one row during a walk of {pages} pages: median {median:.1f} s, longest {longest:.1f} s"
TWO_WALKS = (
    "two walks of {pages} pages side by side: {rows} rows, {seconds:.0f} s, "
    "Graph requests: {requests}"
)


class Process(NamedTuple):
    """What came of a run of Python: its output, when it began, its seconds, its peak in MiB."""

    lines: list[str]
    began: float
    seconds: float
    peak: float


def measured(text: str, argument: str = "") -> Process:
    """Runs Python text."""
    began = time.time()
    done = subprocess.run(
        [sys.executable, "-c", text + PRINT_PEAK, argument],
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        capture_output=True,
        text=True,
        check=True,
    )
    seconds = time.time() - began
    *lines, peak = done.stdout.splitlines()
    return Process(lines, began, seconds, int(peak) / 1024)


def medians(runs: Iterable[Iterable[float]]) -> list[float]:
    """The median of each figure of some runs."""
    columns = zip(*runs, strict=True)
    return list(map(median, columns))


def print_imports() -> None:
    """Prints what the packages cost that the integration needs. The first run does not count."""
    costs = []
    for _ in range(RUNS + 1):
        process = measured(IMPORTS)
        costs.append((process.seconds, process.peak))
    seconds, peak = medians(costs[1:])
    cost = IMPORTS_COST.format(
        imports=IMPORTS,
        seconds=seconds,
        peak=peak,
    )
    print(cost)


class Figures(NamedTuple):
    """A list: seconds from start to end, those of the processor, MiB at the peak, and seconds
    from the start to the first request without those of the stand-ins."""

    seconds: float
    cpu: float
    peak: float
    start: float


LIST = "azure-risky-users-list"


def figures_of(port: int, command: str, args: dict[str, str], rows: int) -> Figures:
    """Runs one command, which has to bring that many rows, in a process of its own."""
    process = measured(CHILD, json.dumps([port, command, demo_instance(), args]))
    report = json.loads(process.lines[0])
    if report["type"] != 1 or report["rows"] != rows:
        raise SystemExit(f"{command} with {args} brought {report}")
    ready = process.began + report["standins"]
    return Figures(
        seconds=process.seconds,
        cpu=report["cpu"],
        peak=process.peak,
        start=report["first"] - ready,
    )


class Result(NamedTuple):
    """What a list of so many rows costs: requests to Graph, and the medians of its figures."""

    rows: int
    requests: float
    seconds: float
    cpu: float
    peak: float
    start: float


def list_results(simulator: Simulator) -> Iterator[Result]:
    """Measures a list of each size, after one that does not count."""
    for rows in SIZES:
        args = {"limit": str(rows)}
        figures_of(simulator.port, LIST, args, rows)
        before = len(simulator.graph_requests)
        runs = []
        for _ in range(RUNS):
            figures = figures_of(simulator.port, LIST, args, rows)
            runs.append(figures)
        requests = len(simulator.graph_requests) - before
        yield Result(rows, requests / RUNS, *medians(runs))


def print_lists(simulator: Simulator) -> list[Result]:
    print(HEADINGS)
    results = []
    for result in list_results(simulator):
        line = ROW.format_map(result._asdict())
        print(line)
        results.append(result)
    return results


def print_growth(small: Result, middle: Result, large: Result) -> None:
    """Prints how memory and time grow with the number of rows."""
    rows = large.rows - small.rows
    memory = large.peak - small.peak
    more_time = large.cpu - small.cpu
    less_time = middle.cpu - small.cpu
    growth = GROWTH.format(
        memory=memory / rows * 1000,
        large=large.rows,
        middle=middle.rows,
        small=small.rows,
        times=more_time / less_time,
    )
    print(growth)


# One user of whom there is much to tell: detections and sign-ins, one an hour.
CASE = 500
PAIRS = 5  # of runs, side by side, so that both meet the same machine
USER_ID = "00000000-0000-4000-8000-0000000ca5e1"
DETAILS = [
    {"Key": "riskReasons", "Value": ["UnfamiliarASN", "UnfamiliarBrowser"]},
    {"Key": "userAgent", "Value": "Mozilla/5.0 (X11; Linux x86_64; rv:126.0)"},
    {"Key": "mitreTechniques", "Value": "T1078.004"},
]
COMMANDS = {
    "one detection": ("azure-risky-users-risk-detections-list", {"limit": "1"}, 1),
    "500 detections": (
        "azure-risky-users-risk-detections-list",
        {"limit": str(CASE), "user_id": USER_ID},
        CASE,
    ),
    "the card": ("azure-risky-user-investigate", {"user": USER_ID}, CASE),
}
CARD = """
CPU time of the card of {case} detections and {case} sign-ins: {card:.3f} s
against a list of {case} detections: {times:.2f} times (less that of one detection: {net:.2f})"""


def case_tenant() -> Tenant:
    """A tenant with that user."""
    now = datetime.now(timezone.utc)
    tenant = Tenant(clock=now)
    tenant.add_user(id=USER_ID)
    for hours in range(1, CASE + 1):
        moment = stamp(now - timedelta(hours=hours))
        place: dict[str, Any] = {
            "userId": USER_ID,
            "ipAddress": f"203.0.113.{hours % 50}",
        }
        risk = {"riskState": "atRisk", "riskEventTypes_v2": ["unfamiliarFeatures"]}
        sign_in = tenant.add_sign_in(createdDateTime=moment, **place, **risk)
        tenant.arrive(
            detected=moment,
            activityDateTime=moment,
            riskEventType="unfamiliarFeatures",
            requestId=sign_in["id"],
            additionalInfo=json.dumps(DETAILS),
            **place,
        )
    return tenant


def card_figures(simulator: Simulator) -> dict[str, float]:
    """The CPU time of each of those commands: medians of runs one after another."""
    runs = []
    for _ in range(PAIRS + 1):
        costs = []
        for command in COMMANDS.values():
            figures = figures_of(simulator.port, *command)
            costs.append(figures.cpu)
        runs.append(costs)
    # The first does not count.
    return dict(zip(COMMANDS, medians(runs[1:]), strict=True))


def print_card() -> None:
    """Prints what the card of one user costs, against the list of the same detections."""
    with Simulator(case_tenant()) as simulator:
        one, many, card = card_figures(simulator).values()
    line = CARD.format(
        case=CASE,
        card=card,
        times=card / many,
        net=(card - one) / (many - one),
    )
    print(line)


Child = subprocess.Popen[str]


def begin_list(simulator: Simulator, rows: int) -> Child:
    """Starts a list of so many rows in a process of its own."""
    args = {"limit": str(rows)}
    argument = json.dumps([simulator.port, LIST, demo_instance(), args])
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, argument],
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        stdout=subprocess.PIPE,
        text=True,
    )


def report_of(process: Child) -> dict[str, Any]:
    output, _ = process.communicate()
    report: dict[str, Any] = json.loads(output)
    return report


def throttled(simulator: Simulator) -> Simulator:
    """The simulator with one request a second, as if nobody had asked before."""
    simulator.throttle = 1
    simulator.requests.clear()
    return simulator


def print_walk_alone(simulator: Simulator) -> None:
    process = begin_list(simulator, ALONE * PAGE)
    report = report_of(process)
    line = WALK_ALONE.format(
        pages=ALONE,
        seconds=report["asked"],
        requests=len(simulator.graph_requests),
    )
    print(line)


def seconds_for_one_row(simulators: list[Simulator]) -> list[float]:
    """How long one row takes that is asked for during a walk, of each of some tenants."""
    walks = [begin_list(simulator, DURING * PAGE) for simulator in simulators]
    time.sleep(BEGINNING)
    lists = [begin_list(simulator, 1) for simulator in simulators]
    reports = [report_of(process) for process in lists]
    for walk in walks:
        walk.kill()
        walk.communicate()
    return [report["asked"] for report in reports]


def print_one_row(simulators: list[Simulator]) -> None:
    seconds = seconds_for_one_row(simulators)
    line = ONE_ROW.format(
        pages=DURING,
        median=median(seconds),
        longest=max(seconds),
    )
    print(line)


def print_two_walks(simulator: Simulator) -> None:
    walks = [begin_list(simulator, SIDE_BY_SIDE * PAGE) for _ in range(2)]
    reports = [report_of(walk) for walk in walks]
    rows = [str(report["rows"]) for report in reports]
    line = TWO_WALKS.format(
        pages=SIDE_BY_SIDE,
        rows=" and ".join(rows),
        seconds=max(report["asked"] for report in reports),
        requests=len(simulator.graph_requests),
    )
    print(line)


def print_waits() -> None:
    """Prints how the commands of one tenant get along with one request a second."""
    print("\nWith one request a second for the whole tenant:")
    now = datetime.now(timezone.utc)
    tenant = demo_tenant(now, users=(SIDE_BY_SIDE + 1) * PAGE)
    tenant.largest_page = PAGE
    with ExitStack() as stack:
        simulators = []
        for _ in range(TRIALS):
            simulator = stack.enter_context(Simulator(tenant))
            simulators.append(throttled(simulator))
        print_walk_alone(simulators[0])
        print_one_row(simulators)
        print_two_walks(throttled(simulators[0]))


def main() -> None:
    print_imports()
    now = datetime.now(timezone.utc)
    users = max(SIZES) + 100
    with Simulator(demo_tenant(now, users=users)) as simulator:
        results = print_lists(simulator)
    print_growth(*results)
    print_card()
    print_waits()


if __name__ == "__main__":
    main()
