"""Puts the columns of a table in an order for reading: times, then the others, ids last."""

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


def in_order(columns: Sequence[Column]) -> list[Column]:
    """The columns of each kind in the order in which they are given."""
    return sorted(columns, key=kind)
