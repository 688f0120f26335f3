"""Measures what a list costs: Graph requests, whole-process time, peak memory, and the start before the first request.

Each measured run is a process of its own that runs the integration as the server does; the simulated tenant stays in
this process, so that it is in no figure. `make bench` prints the table; the figures depend on the machine.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from datetime import datetime, timezone
from typing import Any, NamedTuple

from warroom.azure.demo import demo_tenant
from warroom.azure.server import Simulator
from warroom.demo import demo_instance
from warroom.xsoar.integration import PROJECT, STANDINS

SIZES = (50, 5_000, 50_000)  # rows
RUNS = 3  # of each; the median counts
IMPORTS = "import requests, msal"

CHILD = """
import json, sys, time
started = time.time()
import CommonServerPython
standins = time.time() - started
import demistomock, requests
import AzureRiskyUsers as integration
from warroom.azure.server import LoopbackAdapter
port, params, args = int(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])
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
cpu = time.process_time()
print(json.dumps({"first": first[0], "standins": standins, "cpu": cpu, "type": entry["Type"], "rows": rows}))
"""

# Of the process itself: what the operating system accounts for a child includes what it was before it became Python.
PEAK = """
with open("/proc/self/status") as status:
    print(next(line for line in status if line.startswith("VmHWM")).split()[1])
"""


class Figures(NamedTuple):
    """One run: seconds from start to end, those of the processor, MiB at the peak, seconds from the start to the first
    request without the stand-ins."""

    seconds: float
    cpu: float
    peak: float
    start: float


def measured(text: str, *arguments: str) -> tuple[list[str], float, float, float]:
    """Run Python text with arguments; return the lines it printed, when it began, its seconds, its peak in MiB."""
    environment = {**os.environ, "PYTHONPATH": f"{PROJECT}{os.pathsep}{STANDINS}"}
    began = time.time()
    command = [sys.executable, "-c", text + PEAK, *arguments]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    )
    *lines, peak = done.stdout.splitlines()
    return lines, began, time.time() - began, int(peak) / 1024


def listed(simulator: Simulator, params: dict[str, Any], rows: int) -> Figures:
    """Run one list of that many rows in a process of its own."""
    arguments = (
        str(simulator.port),
        json.dumps(params),
        json.dumps({"limit": str(rows)}),
    )
    output, began, seconds, peak = measured(CHILD, *arguments)
    report = json.loads(output[0])
    if report["type"] != 1 or report["rows"] != rows:
        raise SystemExit(f"a list of {rows} rows brought {report}")
    return Figures(
        seconds, report["cpu"], peak, report["first"] - began - report["standins"]
    )


def median(runs: list[Figures]) -> Figures:
    return Figures(*(statistics.median(figures) for figures in zip(*runs, strict=True)))


def main() -> None:
    params = demo_instance()
    imports = [measured(IMPORTS)[2:] for _ in range(RUNS + 1)][1:]
    print(
        f"{IMPORTS}: {statistics.median(seconds for seconds, _ in imports):.3f} s, ",
        end="",
    )
    print(f"{statistics.median(peak for _, peak in imports):.1f} MiB\n")
    print(
        f"{'rows':>7} {'Graph requests':>15} {'seconds':>9} {'of CPU':>7} {'peak MiB':>9} {'to first request':>18}"
    )
    results = {}
    with Simulator(
        demo_tenant(datetime.now(timezone.utc), users=max(SIZES) + 100)
    ) as simulator:
        for rows in SIZES:
            listed(simulator, params, rows)
            before = len(simulator.graph_requests)
            results[rows] = median(
                [listed(simulator, params, rows) for _ in range(RUNS)]
            )
            requests = (len(simulator.graph_requests) - before) / RUNS
            seconds, cpu, peak, start = results[rows]
            print(
                f"{rows:>7,} {requests:>15.0f} {seconds:>9.3f} {cpu:>7.3f} {peak:>9.1f} {start:>16.3f} s"
            )
    small, middle, large = (results[rows] for rows in SIZES)
    print(
        f"\nmemory per 1,000 rows: {(large.peak - small.peak) / (SIZES[2] - SIZES[0]) * 1000:.2f} MiB"
    )
    growth = (large.cpu - small.cpu) / (middle.cpu - small.cpu)
    print(
        f"CPU time of {SIZES[2]:,} rows against {SIZES[1]:,} (less that of {SIZES[0]}): {growth:.1f} times"
    )


if __name__ == "__main__":
    main()
