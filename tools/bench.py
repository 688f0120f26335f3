"""Measures what a list costs: requests to Graph, time of the whole process, memory, start.

Each measured run is a process of its own that runs the integration as the server does; the
simulated tenant stays in this process, so that it is in no figure. `make bench` prints the
table; the figures depend on the machine.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from statistics import median
from typing import Any, NamedTuple

from warroom.azure.demo import demo_tenant
from warroom.azure.server import Simulator
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
port, params, args = json.loads(sys.argv[1])
first = []
class Adapter(LoopbackAdapter):
    def send(self, *request, **options):
        first.append(time.time())
        return super().send(*request, **options)
adapters = {}
def get_adapter(session, url):
    return adapters.setdefault(session, Adapter(port, max_retries=0))
integration.HttpSession.get_adapter = get_adapter
demistomock.call = demistomock.Call("azure-risky-users-list", args, params)
integration.main()
entry = demistomock.call.entries[0]
rows = len(entry["Contents"]["value"])
report = {"first": first[0], "standins": standins, "type": entry["Type"], "rows": rows}
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


def list_figures(port: int, params: dict[str, Any], rows: int) -> Figures:
    """Runs one list of that many rows in a process of its own."""
    args = {"limit": str(rows)}
    process = measured(CHILD, json.dumps([port, params, args]))
    report = json.loads(process.lines[0])
    if report["type"] != 1 or report["rows"] != rows:
        raise SystemExit(f"a list of {rows} rows brought {report}")
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
    params = demo_instance()
    for rows in SIZES:
        list_figures(simulator.port, params, rows)
        before = len(simulator.graph_requests)
        runs = []
        for _ in range(RUNS):
            figures = list_figures(simulator.port, params, rows)
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


def main() -> None:
    print_imports()
    now = datetime.now(timezone.utc)
    users = max(SIZES) + 100
    with Simulator(demo_tenant(now, users=users)) as simulator:
        results = print_lists(simulator)
    print_growth(*results)


if __name__ == "__main__":
    main()
