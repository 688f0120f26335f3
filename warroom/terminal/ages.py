"""How long ago a time of a table was, in the words that the product uses beside its times."""

import re
from datetime import datetime, timedelta, timezone

from warroom.terminal.columns import TIMES, Column, kind

FRACTION = re.compile(r"\.\d+")
UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))  # seconds


def moment_of(time: str) -> datetime:
    """When a time of Graph's was, which is in UTC. Raises: ValueError: there is none such."""
    second = datetime.strptime(time[:19], "%Y-%m-%dT%H:%M:%S")
    fraction = FRACTION.match(time, 19)
    seconds = float(fraction[0]) if fraction else 0
    moment = second + timedelta(seconds=seconds)
    return moment.replace(tzinfo=timezone.utc)


def age(time: str, now: datetime) -> str:
    """How long ago a time was, in its largest unit; empty for none, or one to come.

    A name from outside may look like a time that there is not, and has no age either.
    """
    try:
        moment = moment_of(time)
    except ValueError:
        return ""
    seconds = (now - moment).total_seconds()
    if seconds < 0:
        return ""
    for length, unit in UNITS:
        if seconds >= length:
            return f"{int(seconds // length)} {unit} ago"
    return "just now"


def ages(column: Column, now: datetime) -> Column:
    """A column without a header that tells how long ago the times of another were."""
    _, *times = column
    return ["", *(age(time, now) for time in times)]


def first_times(columns: list[Column]) -> int | None:
    """Where the first column of times stands."""
    for place, column in enumerate(columns):
        if kind(column) == TIMES:
            return place
    return None
