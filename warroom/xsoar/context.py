"""Context data as a war room keeps it: what commands add, and the paths under which it is read.

Where the platform's documentation leaves it open, this is chosen: an update merges keys into the item that is there; an
object that comes first stands as an object and becomes a list with the second one; a list stays a list even with one
item; what comes under a plain key is appended to what is there.
"""

import json
import re
from collections import defaultdict
from copy import deepcopy
from typing import Any

Data = dict[str, Any]

ENTRY_KEY = re.compile(r"([^\s().]+(?:\.[^\s().]+)*)(?:\((.+)\))?")
COMPARISON = re.compile(r"(?:val\.([\w.]+) && )?val\.([\w.]+) == obj\.\2")
PATH_STEP = re.compile(r"\.?\[(\d+)\]|(?:^|\.)([^.\[\](){}=\s]+)")


class ContextError(ValueError):
    """A context key or path that a war room cannot follow."""


class ContextData:
    """The context of one investigation."""

    def __init__(self, data: Data | None = None):
        self.data: Data = {} if data is None else data

    def add(self, entry_context: Data) -> None:
        """Take in an entry's context. Raises: ContextError: a key is not of a documented form."""
        # A copy, because what is merged in later must not show in the entry.
        for key, value in deepcopy(entry_context).items():
            path, condition = split_key(key)
            parent, name = self._place(path)
            parent[name] = (
                value
                if name not in parent
                else combined(parent[name], value, condition)
            )

    def put(self, path: str, value: Any) -> None:
        """Set what stands under a plain path."""
        parent, name = self._place(path)
        parent[name] = value

    def read(self, path: str) -> Any:
        """What stands under `A.B.c`, `A.B.[0].c` or `.`; None if nothing does."""
        return read_path(self.data, path)

    def _place(self, path: str) -> tuple[Data, str]:
        *parents, name = path.split(".")
        place = self.data
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise ContextError(
                    f"{path}: what stands under {parent} is no object that could hold {name}"
                )
        return place, name


def split_key(key: str) -> tuple[str, str]:
    """The path and the condition of `A.B(condition)`."""
    match = ENTRY_KEY.fullmatch(key)
    if not match:
        raise ContextError(f"{key!r} is not a context key")
    return match[1], match[2] or ""


def combined(old: Any, new: Any, condition: str) -> Any:
    """What becomes of the old value when a new one comes under a key with this condition."""
    if not condition:
        return as_list(old) + as_list(new)
    if condition == "true":
        return overwritten(old, new)
    merged = merge_by(compared_keys(condition), as_list(old), as_list(new))
    return (
        merged[0]
        if len(merged) == 1 and not isinstance(old, list) and not isinstance(new, list)
        else merged
    )


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def overwritten(old: Any, new: Any) -> Any:
    """The keys of `new` in place of those of every old item; without objects on both sides, `new` itself."""
    if not isinstance(new, dict) or not all(
        isinstance(item, dict) for item in as_list(old)
    ):
        return new
    items = [{**item, **new} for item in as_list(old)]
    return items if isinstance(old, list) else items[0]


def compared_keys(condition: str) -> tuple[str, ...]:
    """The keys that `val.a && val.a == obj.a && val.b && ...` compares."""
    found = [
        match
        for match in COMPARISON.finditer(condition)
        if match[1] in (None, match[2])
    ]
    if not found or " && ".join(match[0] for match in found) != condition:
        raise ContextError(f"{condition!r} does not compare keys of val and obj")
    return tuple(match[2] for match in found)


def merge_by(keys: tuple[str, ...], old: list[Any], new: list[Any]) -> list[Any]:
    """Old items updated by the new ones that have equal, non-empty values under all keys; the others added."""
    items = list(old)
    places: defaultdict[str, list[int]] = defaultdict(list)
    for place, item in enumerate(items):
        places[identity(item, keys)].append(place)
    for item in new:
        known = identity(item, keys)
        same = places[known] if known else []
        for place in same:
            items[place] = {**items[place], **item}
        if not same:
            same.append(len(items))
            items.append(item)
    return items


def identity(item: Any, keys: tuple[str, ...]) -> str:
    """The item's values under these keys as one text; empty if one of them is missing or empty."""
    values = [
        value_of(item, key) if key.isidentifier() else read_path(item, key)
        for key in keys
    ]
    return json.dumps(values) if all(values) else ""


def read_path(data: Any, path: str) -> Any:
    """What stands under the path in any JSON-like data; of a list, the list of what its items have there."""
    if path == ".":
        return data
    steps = list(PATH_STEP.finditer(path))
    if not steps or "".join(step[0] for step in steps) != path:
        raise ContextError(
            f"{path!r} cannot be read: only names and [0] are, as in A.B.[0].c"
        )
    for step in steps:
        data = item_at(data, int(step[1])) if step[1] else value_of(data, step[2])
    return data


def item_at(data: Any, index: int) -> Any:
    return data[index] if isinstance(data, list) and index < len(data) else None


def value_of(data: Any, name: str) -> Any:
    if isinstance(data, list):
        found = [item[name] for item in data if isinstance(item, dict) and name in item]
        return found or None
    return data.get(name) if isinstance(data, dict) else None
