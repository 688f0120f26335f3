"""What a measured process is told, and what it reports, each as one object of JSON."""

from typing import Any, TypedDict


class Job(TypedDict):
    """What to run, where the simulated tenant listens, and what the server keeps. at_most:
    how many fetches in a row are made, until one brings nothing. ahead: minutes by which the
    fetch's clock is ahead of the tenant's."""

    port: int
    command: str
    args: dict[str, str]
    params: dict[str, Any]
    context: dict[str, Any]
    last_run: dict[str, Any]
    at_most: int
    ahead: int


class Cost(TypedDict):
    """first: the moment of the first request. asked: seconds from then to the end. cpu:
    those of the processor. standins: those in which the platform's stand-ins were imported.
    peak: MiB."""

    first: float
    asked: float
    cpu: float
    standins: float
    peak: float


class Outcome(TypedDict):
    """The first entry's type, the rows that it tells of, or the incidents of a fetch, and
    what the server keeps."""

    type: int
    rows: int
    context: dict[str, Any]
    last_run: dict[str, Any]


class Report(Cost, Outcome):
    """What a job cost, and what came of it."""


def peak(status: str) -> float:
    """The most memory that a process had at once, in MiB, of the text of its status.

    What the operating system accounts for a child to its parent includes what it was before
    it became Python; this does not.
    """
    _, _, after = status.partition("VmHWM:")
    kibibytes = after.split()[0]
    return int(kibibytes) / 1024
