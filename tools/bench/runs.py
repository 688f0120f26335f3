"""Runs what is measured, each time in a process of its own, and compares it in pairs."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any, NamedTuple, cast

from tools.bench.report import Job, Report
from warroom.azure.server import Simulator
from warroom.demo import demo_instance
from warroom.xsoar.integration import PROJECT, STANDINS

PYTHONPATH = f"{PROJECT}{os.pathsep}{STANDINS}"
LIST = "azure-risky-users-list"
FETCH = "fetch-incidents"

Process = subprocess.Popen[str]


@dataclass(frozen=True)
class Case:
    """Something to run: a command, how many rows it has to bring, and what the server keeps
    of the runs before; without a context, no token is stored."""

    simulator: Simulator
    command: str
    args: dict[str, str] = field(default_factory=dict)
    rows: int = 1
    params: dict[str, Any] = field(default_factory=demo_instance)
    context: dict[str, Any] = field(default_factory=dict)
    last_run: dict[str, Any] = field(default_factory=dict)
    at_most: int = 1
    ahead: int = 0


class Figures(NamedTuple):
    """What a run cost: requests to Graph, seconds from start to end, those of the processor,
    MiB at the peak, and seconds from the start to the first request, without those of the
    stand-ins."""

    requests: float
    seconds: float
    cpu: float
    peak: float
    start: float


# One run


def job_of(case: Case) -> Job:
    return Job(
        port=case.simulator.port,
        command=case.command,
        args=case.args,
        params=case.params,
        context=case.context,
        last_run=case.last_run,
        at_most=case.at_most,
        ahead=case.ahead,
    )


def begin(case: Case) -> Process:
    """Starts a case in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tools.bench.child"],
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    stdin = cast(Any, process.stdin)
    json.dump(job_of(case), stdin)
    stdin.close()
    process.stdin = None
    return process


def report_of(process: Process) -> Report:
    """What a process reports at its end."""
    output, _ = process.communicate()
    if not output:
        raise SystemExit("A measured process reported nothing.")
    report: Report = json.loads(output)
    return report


def checked(report: Report, case: Case) -> Report:
    """The report, if it is the one that the case has to bring."""
    if report["type"] != 1 or report["rows"] != case.rows:
        brought = f"type {report['type']}, rows {report['rows']}"
        raise SystemExit(f"{case.command} with {case.args} brought {brought}")
    return report


def figures_of(case: Case) -> Figures:
    """Runs a case."""
    before = len(case.simulator.graph_requests)
    began = time.time()
    process = begin(case)
    report = checked(report_of(process), case)
    ended = time.time()
    return Figures(
        requests=len(case.simulator.graph_requests) - before,
        seconds=ended - began,
        cpu=report["cpu"],
        peak=report["peak"],
        start=report["first"] - began - report["standins"],
    )


def signed_in(case: Case) -> Case:
    """The case with the token stored that a run of it got."""
    process = begin(case)
    report = checked(report_of(process), case)
    return replace(case, context=report["context"])


# Runs in turn


Rounds = dict[str, list[Figures]]


def rounds(cases: Mapping[str, Case], count: int) -> Rounds:
    """Runs all cases in turn, so many times, after one round that does not count."""
    runs: Rounds = {name: [] for name in cases}
    for _ in range(count + 1):
        for name, case in cases.items():
            figures = figures_of(case)
            runs[name].append(figures)
    return {name: each[1:] for name, each in runs.items()}


def medians(runs: Iterable[Figures]) -> Figures:
    """The median of each figure."""
    columns = zip(*runs, strict=True)
    return Figures(*map(median, columns))


def differences(more: list[Figures], less: list[Figures]) -> Figures:
    """How much more one thing costs than another: the medians of the rounds' differences."""
    pairs = []
    for one, other in zip(more, less, strict=True):
        pair = [a - b for a, b in zip(one, other, strict=True)]
        pairs.append(Figures(*pair))
    return medians(pairs)
