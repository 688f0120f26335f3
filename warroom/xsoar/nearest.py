"""Which of the names that are known a mistyped one may have meant."""

import re
from collections import Counter
from collections.abc import Iterable
from difflib import SequenceMatcher

BOUNDARY = re.compile(r"[\W_]+|(?<=[a-z])(?=[A-Z])")  # between the parts of a name
# How alike two names are, from 0 to 1.
NEAR = 0.66  # from here on one may have been meant
ABBREVIATED = 0.85  # each part that was typed is a part of the name
EXCESSIVE = 0.66  # each part of the name was typed, and others
SAME_DISTANCE = 0.05  # names as near as that to the nearest are named beside it
MOST = 3  # names in a question
LONGEST = 200  # characters typed; whatever is longer is no name, but pasted
NEGATION = re.compile("(?:not|non|no|un)(.*)")  # at the beginning of a part


def parts(name: str) -> Counter[str]:
    """The parts of `risk-level`, `risk_level` or `riskLevel`, in lower case."""
    lower = [part.lower() for part in BOUNDARY.split(name)]
    return Counter(filter(None, lower))


def ratio(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other).ratio()


def least_likeness(parts_typed: list[str], parts_named: list[str]) -> float:
    """How alike that part is which is least like one of the other name."""
    best = []
    for typed in parts_typed:
        ratios = [ratio(typed, named) for named in parts_named]
        best.append(max(ratios))
    return min(best)


def is_negated(parts_typed: list[str], name_parts: Counter[str]) -> bool:
    """Whether a part says the opposite of one of the name: unsafe, or not."""
    for part in parts_typed:
        negation = NEGATION.fullmatch(part)
        if negation and (not negation[1] or negation[1] in name_parts):
            return True
    return False


def likeness(typed: str, name: str) -> float:
    """How alike two names are.

    Compared is what they do not have in common: the commands of an integration begin
    alike, so that each is like every other.
    """
    typed_parts = parts(typed)
    name_parts = parts(name)
    only_typed = list((typed_parts - name_parts).elements())
    only_named = list((name_parts - typed_parts).elements())
    if not typed_parts or not name_parts:
        return 0.0
    if typed_parts == name_parts:
        return 1.0
    if not only_typed:
        return ABBREVIATED
    if is_negated(only_typed, name_parts):
        return 0.0
    if not only_named:
        return EXCESSIVE
    rest_typed = "-".join(only_typed)
    rest_named = "-".join(only_named)
    part_by_part = ABBREVIATED * least_likeness(only_typed, only_named)
    return max(ratio(rest_typed, rest_named), part_by_part)


def nearest(typed: str, names: Iterable[str]) -> list[str]:
    """The few names that may have been meant, the likeliest first; none if none is near."""
    if len(typed) > LONGEST:
        return []
    likenesses = {name: likeness(typed, name) for name in names}
    best = max(likenesses.values(), default=0.0)
    least = max(NEAR, best - SAME_DISTANCE)
    near = []
    for name, alike in likenesses.items():
        if alike >= least:
            near.append((-alike, len(name), name))
    near.sort()
    return [name for *_, name in near[:MOST]]


def either(names: list[str]) -> str:
    """`a`, `a or b`, or `a, b or c`."""
    *others, last = names
    if not others:
        return last
    listed = ", ".join(others)
    return f"{listed} or {last}"


def did_you_mean(typed: str, names: Iterable[str]) -> str:
    """The question which name was meant, after a space; empty if none is near."""
    near = nearest(typed, names)
    if not near:
        return ""
    return f" Did you mean {either(near)}?"
