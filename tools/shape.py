"""Measures how the code reads, and fails where a figure goes past what was agreed.

A file can be short and still be slow to read, when each of its lines holds several thoughts.
So the lines and statements are weighed, not only counted: in nodes of Python's syntax tree,
all that `ast.walk` finds. `make test` runs this; `python -m tools.shape FILE ...` shows the
figures of any files, beside the limits of the integration's module.
"""

import ast
import statistics
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
WORST = 5  # offenders named for a figure that is too high

Function = ast.FunctionDef | ast.AsyncFunctionDef
BLOCKS = (
    ast.If,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.With,
    ast.AsyncWith,
    ast.Try,
    ast.Match,
)


class Limits(NamedTuple):
    """The figures that a part of the code must not go past."""

    nodes_per_line: float = 8.0
    nodes_per_statement: float = 12.0
    statement_p90: float = 22.0
    longest_statement: float = 60.0
    body_median: float = 6.0
    body_p90: float = 20.0
    longest_body: float = 35.0
    parameters: float = 5.0
    nesting: float = 3.0
    columns: float = 100.0


class Part(NamedTuple):
    """Files that are measured together."""

    name: str
    paths: tuple[Path, ...]
    limits: Limits


# Their functions have the platform's names, and so its parameters.
PLATFORM_SIGNATURES = ("CommonServerPython.py", "demistomock.py")


@dataclass(frozen=True)
class Weight:
    """What one place of the code weighs, in the unit of its figure."""

    value: float
    place: str


@dataclass(frozen=True)
class Measured:
    """One function: its lines, what these weigh, and its statements one by one."""

    name: str
    body_lines: int
    nodes: int
    parameters: int
    nesting: int
    statements: tuple[Weight, ...]


@dataclass(frozen=True)
class Figure:
    """One figure of a part beside its limit, and the places that weigh most."""

    name: str
    value: float
    limit: float
    heaviest: tuple[Weight, ...]

    @property
    def too_high(self) -> bool:
        return self.value > self.limit


def measured_functions(path: Path) -> list[Measured]:
    """Return the functions and methods of a file; one inside another counts as part of it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [
        measured_function(function, path.name) for function in outer_functions(tree)
    ]


def outer_functions(node: ast.AST) -> Iterator[Function]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function):
            yield child
        else:
            yield from outer_functions(child)


def measured_function(function: Function, file_name: str) -> Measured:
    body = body_without_docstring(function)
    name = f"{file_name}:{function.lineno} {function.name}"
    foreign = file_name in PLATFORM_SIGNATURES
    return Measured(
        name=name,
        body_lines=lines_spanned(body),
        nodes=sum(len(list(ast.walk(statement))) for statement in body),
        parameters=0 if foreign else most_parameters(function),
        nesting=deepest_block(body),
        statements=tuple(weighed_statements(body, name)),
    )


def body_without_docstring(function: Function) -> list[ast.stmt]:
    has_docstring = ast.get_docstring(function, clean=False) is not None
    return function.body[1:] if has_docstring else function.body


def lines_spanned(body: list[ast.stmt]) -> int:
    if not body:
        return 0
    last_line = body[-1].end_lineno or 0
    return last_line - body[0].lineno + 1


def most_parameters(function: Function) -> int:
    """Return how many parameters it or a function inside it takes, not counting self and cls."""
    functions = [node for node in ast.walk(function) if isinstance(node, Function)]
    return max(number_of_parameters(each.args) for each in functions)


def number_of_parameters(arguments: ast.arguments) -> int:
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    variadic = [each for each in (arguments.vararg, arguments.kwarg) if each]
    return len([each for each in named + variadic if each.arg not in ("self", "cls")])


def deepest_block(body: Iterable[ast.stmt]) -> int:
    """Return how many blocks stand inside each other; an `elif` is no deeper than its `if`."""
    return max((depth_of(statement) for statement in body), default=0)


def depth_of(statement: ast.stmt) -> int:
    own = int(isinstance(statement, BLOCKS))
    return own + max(
        (deepest_block(inner) for inner in inner_blocks(statement)), default=0
    )


def inner_blocks(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    """Yield the blocks one level inside; of an `elif`, what is inside it instead."""
    for block in own_blocks(statement):
        is_elif = (
            isinstance(statement, ast.If)
            and block is statement.orelse
            and len(block) == 1
        )
        if is_elif and isinstance(block[0], ast.If):
            yield from inner_blocks(block[0])
        else:
            yield block


def own_blocks(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        yield getattr(statement, name, [])
    for handler in getattr(statement, "handlers", []):
        yield handler.body
    for case in getattr(statement, "cases", []):
        yield case.body


def weighed_statements(body: list[ast.stmt], name: str) -> Iterator[Weight]:
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.stmt):
                yield Weight(own_nodes(node), f"{name}, line {node.lineno}")


def own_nodes(node: ast.AST) -> int:
    """Return the nodes of a statement without those of the statements inside it."""
    inner = [
        child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.stmt)
    ]
    return 1 + sum(own_nodes(child) for child in inner)


def line_widths(path: Path) -> Iterator[Weight]:
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        yield Weight(len(line), f"{path.name}, line {number}")


def figures(part: Part) -> list[Figure]:
    """Return every figure of a part. The heaviest places are those above the figure's limit."""
    functions = [each for path in part.paths for each in measured_functions(path)]
    functions = [each for each in functions if each.body_lines]
    limits = part.limits
    lines = sum(each.body_lines for each in functions)
    nodes = sum(each.nodes for each in functions)
    density = [Weight(each.nodes / each.body_lines, each.name) for each in functions]
    statements = [weight for each in functions for weight in each.statements]
    bodies = [Weight(each.body_lines, each.name) for each in functions]
    parameters = [Weight(each.parameters, each.name) for each in functions]
    nesting = [Weight(each.nesting, each.name) for each in functions]
    columns = [width for path in part.paths for width in line_widths(path)]
    return [
        figure("nodes per body line", nodes / lines, limits.nodes_per_line, density),
        figure(
            "nodes per statement",
            mean(statements),
            limits.nodes_per_statement,
            statements,
        ),
        figure(
            "  ninth decile", ninth_decile(statements), limits.statement_p90, statements
        ),
        figure("  largest", largest(statements), limits.longest_statement, statements),
        figure("lines per body, median", median(bodies), limits.body_median, bodies),
        figure("  ninth decile", ninth_decile(bodies), limits.body_p90, bodies),
        figure("  largest", largest(bodies), limits.longest_body, bodies),
        figure("parameters", largest(parameters), limits.parameters, parameters),
        figure("nested blocks", largest(nesting), limits.nesting, nesting),
        figure("columns", largest(columns), limits.columns, columns),
    ]


def figure(name: str, value: float, limit: float, weights: list[Weight]) -> Figure:
    above = [weight for weight in weights if weight.value > limit]
    heaviest = sorted(above, key=lambda weight: weight.value, reverse=True)
    return Figure(name, value, limit, tuple(heaviest[:WORST]))


def mean(weights: list[Weight]) -> float:
    return statistics.mean(weight.value for weight in weights)


def median(weights: list[Weight]) -> float:
    return statistics.median(weight.value for weight in weights)


def ninth_decile(weights: list[Weight]) -> float:
    values = sorted(weight.value for weight in weights)
    return values[len(values) * 9 // 10]


def largest(weights: list[Weight]) -> float:
    return max(weight.value for weight in weights)


def parts() -> list[Part]:
    """Return the code that is held to limits, part by part."""
    looser = Limits(nodes_per_line=9, nodes_per_statement=13)
    return [
        Part("AzureRiskyUsers.py", (ROOT / "AzureRiskyUsers.py",), Limits()),
        Part("warroom/", python_files(ROOT / "warroom"), looser),
        Part("tools/", python_files(ROOT / "tools"), looser),
    ]


def python_files(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(folder.rglob("*.py")))


def report(part: Part) -> Iterator[str]:
    """Yield the lines that show a part's figures, and where one is too high, what makes it so."""
    yield part.name
    for each in figures(part):
        verdict = "TOO HIGH" if each.too_high else ""
        line = (
            f"  {each.name:24} {each.value:6.1f}  at most {each.limit:5.1f}  {verdict}"
        )
        yield line.rstrip()
        if each.too_high:
            yield from (
                f"      {weight.value:6.1f}  {weight.place}" for weight in each.heaviest
            )


def main(arguments: list[str]) -> int:
    """Print the figures. Returns 1 when one of them is too high."""
    given = [Part(name, (Path(name),), Limits()) for name in arguments]
    shown = given or parts()
    for part in shown:
        print("\n".join(report(part)))
    return int(any(each.too_high for part in shown for each in figures(part)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
