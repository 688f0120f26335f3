"""Context data as a war room keeps it: what commands add, and the paths under which it is read.

Where the platform's documentation leaves it open, this is chosen: an update merges keys into
the item that is there; an object that comes first stands as an object and becomes a list with
the second one; a list stays a list even with one item; what comes under a plain key is
appended to what is there.
"""

import json
import re
from collections import defaultdict
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

Data = dict[str, Any]
Places = defaultdict[str, list[int]]  # where items stand in a list, by their identity

ENTRY_KEY = re.compile(r"([^\s().]+(?:\.[^\s().]+)*)(?:\((.+)\))?")
COMPARISON = re.compile(r"(?:val\.([\w.]+) && )?val\.([\w.]+) == obj\.\2")
PATH_STEP = re.compile(r"\.?\[([0-9]{1,9})\]|(?:^|\.)([^.\[\](){}=\s]+)")


class ContextError(ValueError):
    """A context key or path that a war room cannot follow."""


# Reading


def path_steps(path: str) -> list[re.Match[str]]:
    steps = list(PATH_STEP.finditer(path))
    understood = "".join(step[0] for step in steps)
    if not steps or understood != path:
        advice = "only names and [0] are, as in A.B.[0].c"
        raise ContextError(f"{path!r} cannot be read: {advice}")
    return steps


def item_at(data: Any, index: int) -> Any:
    if isinstance(data, list) and index < len(data):
        return data[index]
    return None


def value_of(data: Any, name: str) -> Any:
    if isinstance(data, dict):
        return data.get(name)
    if not isinstance(data, list):
        return None
    values = []
    for item in data:
        if isinstance(item, dict) and name in item:
            values.append(item[name])
    return values or None


def read_path(data: Any, path: str) -> Any:
    """What stands under `A.B.c`, `A.B.[0].c` or `.` in JSON-like data; None if nothing does.

    Of a list, a name gives the list of what its items have there.
    """
    if path == ".":
        return data
    for step in path_steps(path):
        index, name = step.groups()
        data = value_of(data, name) if index is None else item_at(data, int(index))
    return data


# Merging


def split_key(key: str) -> tuple[str, str]:
    """The path and the condition of `A.B(condition)`."""
    match = ENTRY_KEY.fullmatch(key)
    if not match:
        raise ContextError(f"{key!r} is not a context key")
    path, condition = match.groups()
    return path, condition or ""


def as_list(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    return [value]


def overwritten(old: Any, new: Any) -> Any:
    """The keys of `new` in place of every old item's; `new` itself unless all are objects."""
    items = as_list(old)
    are_objects = [isinstance(item, dict) for item in [new, *items]]
    if not all(are_objects):
        return new
    updated = [item | new for item in items]
    if isinstance(old, list):
        return updated
    return updated[0]


def compared_keys(condition: str) -> tuple[str, ...]:
    """The keys that `val.a && val.a == obj.a && val.b && ...` compares."""
    keys = []
    understood = []
    for match in COMPARISON.finditer(condition):
        tested, compared = match.groups()
        if tested in (None, compared):
            keys.append(compared)
            understood.append(match[0])
    if not keys or " && ".join(understood) != condition:
        raise ContextError(f"{condition!r} does not compare keys of val and obj")
    return tuple(keys)


def key_value(item: Any, key: str) -> Any:
    # Most keys are a single name, which needs no parsing.
    if key.isidentifier():
        return value_of(item, key)
    return read_path(item, key)


def identity(item: Any, keys: tuple[str, ...]) -> str:
    """The item's values under these keys as one text; empty if one is missing or empty."""
    values = []
    for key in keys:
        value = key_value(item, key)
        if not value:
            return ""
        values.append(value)
    return json.dumps(values)


def places_by_identity(items: list[Any], keys: tuple[str, ...]) -> Places:
    """Where each identity stands; items without one are left out, as they equal no other."""
    places: Places = defaultdict(list)
    for place, item in enumerate(items):
        item_id = identity(item, keys)
        if item_id:
            places[item_id].append(place)
    return places


def merge_by(keys: tuple[str, ...], old: list[Any], new: list[Any]) -> list[Any]:
    """Old items updated by the new ones that have equal values under all keys; others added.

    An item without a value under one of the keys equals no other.
    """
    merged = list(old)
    places = places_by_identity(old, keys)
    for item in new:
        item_id = identity(item, keys)
        same = places[item_id] if item_id else []
        for place in same:
            merged[place] = merged[place] | item
        if same:
            continue
        if item_id:
            end = len(merged)
            places[item_id].append(end)
        merged.append(item)
    return merged


def combined(old: Any, new: Any, condition: str) -> Any:
    """What becomes of the old value when a new one comes under a key with this condition."""
    if not condition:
        return as_list(old) + as_list(new)
    if condition == "true":
        return overwritten(old, new)
    keys = compared_keys(condition)
    merged = merge_by(keys, as_list(old), as_list(new))
    was_list = isinstance(old, list) or isinstance(new, list)
    if was_list or len(merged) > 1:
        return merged
    return merged[0]


@dataclass
class ContextData:
    """The context of one investigation."""

    data: Data = field(default_factory=dict)

    def read(self, path: str) -> Any:
        """What stands under the path; None if nothing does. Raises: ContextError."""
        return read_path(self.data, path)

    def _parent_of(self, path: str) -> tuple[Data, str]:
        """The object that holds what stands under the path, made if need be, and its name there."""
        *steps, name = path.split(".")
        parent = self.data
        for step in steps:
            parent = parent.setdefault(step, {})
            if not isinstance(parent, dict):
                problem = (
                    f"what stands under {step} is no object that could hold {name}"
                )
                raise ContextError(f"{path}: {problem}")
        return parent, name

    def put(self, path: str, value: Any) -> None:
        """Set what stands under a plain path."""
        parent, name = self._parent_of(path)
        parent[name] = value

    def add(self, entry_context: Data) -> None:
        """Take in an entry's context. Raises: ContextError: a key is of no documented form."""
        # A copy, because what is merged in later must not show in the entry.
        added = deepcopy(entry_context)
        for key, new in added.items():
            path, condition = split_key(key)
            parent, name = self._parent_of(path)
            if name in parent:
                old = parent[name]
                new = combined(old, new, condition)
            parent[name] = new
