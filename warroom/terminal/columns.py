"""Puts the columns of a table in an order for reading: times, then the others, ids last.

Of what happened, the rest of the order is that of an analyst's questions: when, what, how
bad, from where.
"""

import re
from collections.abc import Sequence

ID_HEADER = re.compile(r"id|(?:.*[a-z\s])?Id")
ID = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32,}", re.IGNORECASE
)
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S*")

TIMES, OTHERS, IDS = range(3)

Column = Sequence[str]  # the header and the values below it


def all_match(pattern: re.Pattern[str], values: Column) -> bool:
    """Whether there are values at all, and each that is not empty has that shape."""
    filled = list(filter(None, values))
    return bool(filled) and all(map(pattern.fullmatch, filled))


def kind(column: Column) -> int:
    header, *values = column
    if ID_HEADER.fullmatch(header) or all_match(ID, values):
        return IDS
    return TIMES if all_match(TIME, values) else OTHERS


# The headers of what happened, as the integration names them.
EVENT_HEADERS = ("Risk Event Type", "Risk Event Types")
EVENT_ORDER = (
    "Created Date Time",
    "Detected Date Time",
    "Risk Last Updated Date Time",
    *EVENT_HEADERS,
    "Risk Level",
    "Risk Level Aggregated",
    "Risk State",
    "Ip Address",
    "Place",
    "City",
    "Country",
)


def event_rank(column: Column) -> int:
    """Where a column stands in a table of what happened."""
    header = column[0]
    if header in EVENT_ORDER:
        return EVENT_ORDER.index(header)
    rank = len(EVENT_ORDER)
    return rank + 1 if kind(column) == IDS else rank


def in_order(columns: Sequence[Column]) -> list[Column]:
    """The columns as they are to be read; of one kind, in the order in which they are given."""
    headers = {column[0] for column in columns}
    if headers.isdisjoint(EVENT_HEADERS):
        return sorted(columns, key=kind)
    return sorted(columns, key=event_rank)
