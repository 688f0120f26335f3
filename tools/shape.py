"""Measures how the code reads, and fails where a figure goes past what was agreed.

A file can be short and still be slow to read, when each of its lines holds several thoughts.
So lines and statements are weighed, not only counted: in nodes of Python's syntax tree, all
that `ast.walk` finds. `python -m tools.shape` judges the whole project, part by part;
`python -m tools.shape FILE ...` shows the figures of any files, beside the limits of the
integration's module.
"""

import ast
import statistics
import sys
from ast import iter_child_nodes, walk
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
WORST = 5  # places named for a figure that is too high

# Their functions have the platform's names, and so its parameters.
PLATFORM_SIGNATURES = ("CommonServerPython.py", "demistomock.py")

Node = ast.AST
Statement = ast.stmt
Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
LOOPS = (ast.For, ast.AsyncFor, ast.While)
CONTEXTS = (ast.With, ast.AsyncWith)
BLOCKS = (ast.If, *LOOPS, *CONTEXTS, ast.Try, ast.Match)


# The places of a file that are weighed: functions, statements and lines


class Place(NamedTuple):
    """A place of the code, and where a reader finds it."""

    name: str
    code: Any


def body(function: Function) -> list[Statement]:
    """The statements of a function, without its docstring."""
    docstring = ast.get_docstring(function, clean=False)
    if docstring is None:
        return function.body
    return function.body[1:]


def outer_functions(node: Node) -> Iterator[Function]:
    """The functions and methods below a node; one inside another is part of the outer one."""
    for child in iter_child_nodes(node):
        if isinstance(child, Function):
            yield child
        else:
            yield from outer_functions(child)


@cache
def functions(path: Path) -> list[Place]:
    """The functions of a file that do anything."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    places = []
    for function in outer_functions(tree):
        if body(function):
            name = f"{path.name}:{function.lineno} {function.name}"
            places.append(Place(name, function))
    return places


def nodes(statements: list[Statement]) -> Iterator[Node]:
    """All nodes of some statements, with those of the statements inside them."""
    for statement in statements:
        yield from walk(statement)


def statements(path: Path) -> Iterator[Place]:
    for name, function in functions(path):
        for node in nodes(body(function)):
            if isinstance(node, Statement):
                yield Place(f"{name}, line {node.lineno}", node)


def lines(path: Path) -> Iterator[Place]:
    text = path.read_text(encoding="utf-8")
    numbered = enumerate(text.splitlines(), 1)
    for number, line in numbered:
        name = f"{path.name}, line {number}"
        yield Place(name, line)


def own_signatures(path: Path) -> list[Place]:
    """The functions of a file, if it is free to choose their parameters."""
    if path.name in PLATFORM_SIGNATURES:
        return []
    return functions(path)


def names_defined(node: Node) -> list[str]:
    """The names that a statement of a module gives a meaning."""
    if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [each.id for each in node.targets if isinstance(each, ast.Name)]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    return []


def names_bound_inside(node: Node) -> set[str]:
    """The names that mean something else inside: parameters and local variables."""
    bound = set()
    for each in walk(node):
        if isinstance(each, ast.arg):
            bound.add(each.arg)
        if isinstance(each, ast.Name) and not isinstance(each.ctx, ast.Load):
            bound.add(each.id)
    return bound


def names_used(node: Node) -> set[str]:
    """The names of the module that a definition uses."""
    used = set()
    for each in walk(node):
        if isinstance(each, ast.Name):
            used.add(each.id)
    return used - names_bound_inside(node)


class Meeting(NamedTuple):
    """A definition, and the names that are defined only after it."""

    node: Node
    later: set[str]


def meetings(path: Path) -> Iterator[Place]:
    """The functions and classes of a file, each with what comes after it."""
    definitions = ast.parse(path.read_text(encoding="utf-8")).body
    for position, node in enumerate(definitions):
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            after = definitions[position + 1 :]
            later = {name for each in after for name in names_defined(each)}
            place = f"{path.name}:{node.lineno} {node.name}"
            yield Place(place, Meeting(node, later))


# What one place weighs


def one(_: Any) -> int:
    return 1


def body_nodes(function: Function) -> int:
    statements = body(function)
    return len(list(nodes(statements)))


def body_lines(function: Function) -> int:
    statements = body(function)
    first_line = statements[0].lineno
    last_line = statements[-1].end_lineno
    assert last_line is not None  # Only nodes made by hand lack it.
    return last_line - first_line + 1


def own_nodes(node: Node) -> int:
    """The nodes of a statement without those of the statements inside it."""
    number = 1
    for child in iter_child_nodes(node):
        if not isinstance(child, Statement):
            number += own_nodes(child)
    return number


def own_parameters(function: Function) -> int:
    """The parameters a caller sees: `self` and `cls` are none."""
    taken = function.args
    number = 0
    for argument in (
        *taken.posonlyargs,
        *taken.args,
        *taken.kwonlyargs,
        taken.vararg,
        taken.kwarg,
    ):
        if argument and argument.arg not in ("self", "cls"):
            number += 1
    return number


def names_met_too_early(meeting: Meeting) -> int:
    """How many names a definition uses that are defined only after it."""
    used = names_used(meeting.node)
    too_early = used & meeting.later
    return len(too_early)


def maximum_parameters(function: Function) -> int:
    """The parameters of a function, or of one inside it that takes more."""
    maximum = 0
    for node in walk(function):
        if isinstance(node, Function):
            maximum = max(maximum, own_parameters(node))
    return maximum


def own_blocks(statement: Statement) -> Iterator[list[Statement]]:
    for name in ("body", "orelse", "finalbody"):
        yield getattr(statement, name, [])
    for name in ("handlers", "cases"):
        for part in getattr(statement, name, []):
            yield part.body


def is_elif(statement: Statement, block: list[Statement]) -> bool:
    if not isinstance(statement, ast.If):
        return False
    if block is not statement.orelse:
        return False
    return len(block) == 1 and isinstance(block[0], ast.If)


def inner_blocks(statement: Statement) -> Iterator[list[Statement]]:
    """The blocks one level inside. An `elif` is no deeper than its `if`."""
    for block in own_blocks(statement):
        if is_elif(statement, block):
            yield from inner_blocks(block[0])
        else:
            yield block


def depth(block: list[Statement]) -> int:
    """How many blocks stand inside each other where they go deepest."""
    deepest = 0
    for statement in block:
        deeper = map(depth, inner_blocks(statement))
        level = int(isinstance(statement, BLOCKS))
        deepest = max(deepest, level + max(deeper))
    return deepest


def body_depth(function: Function) -> int:
    statements = body(function)
    return depth(statements)


# One figure for many weights


class Weight(NamedTuple):
    """What one place weighs: an amount, shared out over so many lines."""

    name: str
    amount: int
    lines: int  # 1, where the amount is not shared out over lines

    @property
    def value(self) -> float:
        return self.amount / self.lines


def values(weights: list[Weight]) -> list[float]:
    """The single values, lowest first."""
    return sorted(weight.value for weight in weights)


def mean(weights: list[Weight]) -> float:
    amount = sum(weight.amount for weight in weights)
    lines = sum(weight.lines for weight in weights)
    return amount / lines


def median(weights: list[Weight]) -> float:
    return statistics.median(values(weights))


def ninth_decile(weights: list[Weight]) -> float:
    index = len(weights) * 9 // 10
    return values(weights)[index]


def largest(weights: list[Weight]) -> float:
    return values(weights)[-1]


class Measure(NamedTuple):
    """How a figure is made, and its limit in the integration's module."""

    name: str
    limit: float
    places: Callable[[Path], Iterable[Place]]
    amount: Callable[[Any], int]
    summary: Callable[[list[Weight]], float]
    lines: Callable[[Any], int] = one

    def weights(self, paths: list[Path]) -> Iterator[Weight]:
        for path in paths:
            for name, code in self.places(path):
                amount = self.amount(code)
                yield Weight(name, amount, self.lines(code))


MEASURES = (
    Measure("nodes per body line", 8, functions, body_nodes, mean, body_lines),
    Measure("nodes per statement", 12, statements, own_nodes, mean),
    Measure("statement, ninth decile", 22, statements, own_nodes, ninth_decile),
    Measure("statement, largest", 60, statements, own_nodes, largest),
    Measure("lines per body, median", 6, functions, body_lines, median),
    Measure("body, ninth decile", 20, functions, body_lines, ninth_decile),
    Measure("body, longest", 35, functions, body_lines, largest),
    Measure("parameters", 5, own_signatures, maximum_parameters, largest),
    Measure("nested blocks", 3, functions, body_depth, largest),
    Measure("columns", 100, lines, len, largest),
    Measure("names met too early", 0, meetings, names_met_too_early, largest),
)


class Figure(NamedTuple):
    """A figure beside its limit, and the places that weigh most of those above it."""

    name: str
    value: float
    limit: float
    heaviest: list[Weight]

    @property
    def too_high(self) -> bool:
        return self.value > self.limit


def value_of(weight: Weight) -> float:
    return weight.value


def figure(measure: Measure, paths: list[Path], limit: float) -> Figure:
    weights = list(measure.weights(paths))
    if not weights:
        return Figure(measure.name, 0, limit, [])
    value = measure.summary(weights)
    above = [weight for weight in weights if weight.value > limit]
    heaviest = sorted(above, key=value_of, reverse=True)
    return Figure(measure.name, value, limit, heaviest[:WORST])


# The parts of the project


class Part(NamedTuple):
    """Files that are measured together; looser: limits that differ from the module's."""

    name: str
    paths: list[Path]
    looser: dict[str, float]


def figures(part: Part) -> Iterator[Figure]:
    """Every figure of a part."""
    for measure in MEASURES:
        limit = part.looser.get(measure.name, measure.limit)
        yield figure(measure, part.paths, limit)


def python_files(folder: str) -> list[Path]:
    paths = Path(ROOT, folder).rglob("*.py")
    return sorted(paths)


LOOSER: dict[str, float] = {"nodes per body line": 9, "nodes per statement": 13}
PARTS = (
    Part("AzureRiskyUsers.py", [ROOT / "AzureRiskyUsers.py"], {}),
    Part("warroom/", python_files("warroom"), LOOSER),
    Part("tools/", python_files("tools"), LOOSER),
)


def show(each: Figure) -> None:
    """Prints a figure, and where it is too high, what makes it so."""
    line = f"  {each.name:24} {each.value:6.1f}  at most {each.limit:5.1f}"
    if not each.too_high:
        print(line)
        return
    print(line, " TOO HIGH")
    for weight in each.heaviest:
        print(f"      {weight.value:6.1f}  {weight.name}")


def main(file_names: list[str]) -> int:
    """Prints the figures; 1 when one of them is too high, else 0."""
    given = [Part(name, [Path(name)], {}) for name in file_names]
    code = 0
    for part in given or PARTS:
        print(part.name)
        for each in figures(part):
            show(each)
            code |= each.too_high
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
