"""The process that is measured: runs one command, or fetches, as the server does.

Reads a `Job` and prints a `Report`.
"""

import importlib
import json
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import ModuleType
from typing import Any

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter

import demistomock
from tools.bench.report import Cost, Job, Outcome, Report, peak
from warroom.azure.loopback import LoopbackAdapter
from warroom.xsoar.surroundings import led_to, replaced


class Port:
    """Leads requests to the simulated tenant, and notes when they leave."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.moments: list[float] = []

    def adapter(self, *, carrier: HTTPAdapter) -> HTTPAdapter:
        moments = self.moments

        class Noting(LoopbackAdapter):
            def send(
                self, request: PreparedRequest, *args: Any, **options: Any
            ) -> Response:
                moments.append(time.time())
                return super().send(request, *args, **options)

        return Noting(self.port, carrier=carrier)


def run(integration: ModuleType, job: Job) -> demistomock.Call:
    """Run the job to its end; returns its last call."""
    last_run = job["last_run"]
    store = demistomock.ContextStore()
    store.content = job["context"]
    for _ in range(job["at_most"]):
        call = demistomock.Call(job["command"], job["args"], job["params"])
        call.context_store = store
        call.last_run = last_run
        demistomock.call = call
        integration.main()
        last_run = call.last_run
        if not call.incidents:
            break
    return call


def run_ahead(integration: ModuleType, job: Job) -> demistomock.Call:
    """Run the job by its clock."""
    ahead = timedelta(minutes=job["ahead"])

    def utc_now() -> datetime:
        return datetime.now(timezone.utc) + ahead

    with replaced(integration, "utc_now", utc_now):
        return run(integration, job)


def rows_of(call: demistomock.Call) -> int:
    """How many rows an entry tells of, or how many incidents a fetch brought."""
    if call.incidents is not None:
        return len(call.incidents)
    contents = call.entries[0]["Contents"]
    if not isinstance(contents, dict):
        return 0
    if "value" in contents:
        return len(contents["value"])
    return int(contents["detectionCount"])


def outcome_of(call: demistomock.Call) -> Outcome:
    return Outcome(
        type=call.entries[0]["Type"],
        rows=rows_of(call),
        context=call.context_store.content,
        last_run=call.last_run,
    )


def cost_since(first: float, standins: float) -> Cost:
    """What this process has cost, now that all is done."""
    status = Path("/proc/self/status").read_text()
    return Cost(
        first=first,
        asked=time.time() - first,
        cpu=time.process_time(),
        standins=standins,
        peak=peak(status),
    )


def main() -> None:
    job: Job = json.load(sys.stdin)
    started = time.time()
    importlib.import_module("CommonServerPython")
    standins = time.time() - started
    integration = importlib.import_module("AzureRiskyUsers")
    port = Port(job["port"])
    with led_to(port, integration.HttpSession):
        call = run_ahead(integration, job)
    first = port.moments[0]
    cost = cost_since(first, standins)
    report = Report(**cost, **outcome_of(call))
    print(json.dumps(report))


if __name__ == "__main__":
    main()
