"""The figures of how the code reads are what they are said to be."""

from pathlib import Path
from textwrap import dedent

import pytest

from tools import shape
from tools.shape import Part, Weight, figures

Sample = dict[str, float]

GREETING = dedent('''
    """A module."""


    class Host:
        def greeting(self, name, *, loud=False):
            """Greets a guest."""
            if loud:
                return name.upper()
            elif not name:
                return ""
            return name
''')
# The statements: if (and its test: 3 nodes), return name.upper() (6), if (5), return "" (2), return name (3).
GREETING_FIGURES = {
    "nodes per body line": 19 / 5,
    "nodes per statement": 19 / 5,
    "statement, ninth decile": 6,
    "statement, largest": 6,
    "lines per body, median": 5,
    "body, ninth decile": 5,
    "body, longest": 5,
    "parameters": 2,
    "nested blocks": 1,
    "columns": len("    def greeting(self, name, *, loud=False):"),
    "names met too early": 0,
}


def part(folder: Path, code: str, name: str = "sample.py", **looser: float) -> Part:
    path = folder / name
    path.write_text(dedent(code).lstrip(), encoding="utf-8")
    return Part(name, [path], {name.replace("_", " "): limit for name, limit in looser.items()})


def measured(folder: Path, code: str, name: str = "sample.py") -> Sample:
    return {figure.name: figure.value for figure in figures(part(folder, code, name))}


def test_each_figure_is_counted_in_nodes_lines_and_columns(tmp_path: Path) -> None:
    assert measured(tmp_path, GREETING) == GREETING_FIGURES


def test_a_file_without_functions_weighs_nothing_but_its_columns(tmp_path: Path) -> None:
    expected = {**dict.fromkeys(GREETING_FIGURES, 0), "columns": len("LIMIT = 50")}
    assert measured(tmp_path, "LIMIT = 50\n") == expected


def test_a_function_that_has_only_a_docstring_is_not_counted(tmp_path: Path) -> None:
    silent = '\n\ndef silent(first, second, third):\n    """Does nothing."""\n'
    assert measured(tmp_path, GREETING + silent) == GREETING_FIGURES


def test_a_function_inside_another_is_part_of_it(tmp_path: Path) -> None:
    code = """
        def outer(first):
            def inner(first, second, *others, **named):
                return first
            return inner
    """
    # inner: def and its four parameters (6 nodes); its return (3); the outer return (3).
    assert measured(tmp_path, code) == {
        "nodes per body line": 12 / 3,
        "nodes per statement": 12 / 3,
        "statement, ninth decile": 6,
        "statement, largest": 6,
        "lines per body, median": 3,
        "body, ninth decile": 3,
        "body, longest": 3,
        "parameters": 4,
        "nested blocks": 0,
        "columns": len("    def inner(first, second, *others, **named):"),
        "names met too early": 0,
    }


def test_figures_of_several_functions_are_taken_over_all_of_them(tmp_path: Path) -> None:
    bodies = [f"def f{lines}():\n" + "    pass\n" * lines for lines in (1, 2, 3, 4, 5, 6, 7, 8, 9, 30)]
    expected = {
        **dict.fromkeys(GREETING_FIGURES, 0),
        "nodes per body line": 1,
        "nodes per statement": 1,
        "statement, ninth decile": 1,
        "statement, largest": 1,
        "lines per body, median": 5.5,
        "body, ninth decile": 30,
        "body, longest": 30,
        "columns": len("def f30():"),
        "names met too early": 0,
    }
    assert measured(tmp_path, "".join(bodies)) == expected


@pytest.mark.parametrize(
    ("lines", "blocks"),
    [
        ("pass", 0),
        ("if a:\n    pass\nelif b:\n    pass\nelif c:\n    pass", 1),
        ("if a:\n    pass\nelif b:\n    if c:\n        pass", 2),
        ("if a:\n    pass\nelse:\n    for b in c:\n        pass", 2),
        ("for a in b:\n    pass\nelse:\n    if a:\n        pass", 2),
        ("try:\n    pass\nexcept OSError:\n    while a:\n        with b:\n            pass", 3),
        ("try:\n    pass\nfinally:\n    if a:\n        pass", 2),
        ("match a:\n    case 1:\n        pass\n    case 2:\n        if b:\n            pass", 2),
        ("def inner():\n    if a:\n        pass", 1),
    ],
)
def test_nested_blocks_are_counted_where_they_go_deepest(tmp_path: Path, lines: str, blocks: int) -> None:
    code = "def sample():\n" + "".join(f"    {line}\n" for line in lines.splitlines())
    assert measured(tmp_path, code)["nested blocks"] == blocks


@pytest.mark.parametrize(("name", "parameters"), [("sample.py", 6), ("CommonServerPython.py", 0)])
def test_the_platforms_own_signatures_are_not_judged(tmp_path: Path, name: str, parameters: int) -> None:
    code = "def tableToMarkdown(a, b, /, c, *, d, e, f):\n    pass\n"
    assert measured(tmp_path, code, name)["parameters"] == parameters


def test_the_five_heaviest_places_above_a_limit_are_named_heaviest_first(tmp_path: Path) -> None:
    widths = (101, 100, 103, 102, 101, 105, 104)
    *_, columns, _ = figures(part(tmp_path, "".join("#" * width + "\n" for width in widths)))
    worst = {6: 105, 7: 104, 3: 103, 4: 102, 1: 101}
    places = [Weight(f"sample.py, line {line}", width, 1) for line, width in worst.items()]
    assert columns == ("columns", 105, 100, places)
    assert columns.too_high


def test_a_limit_that_is_reached_is_kept_and_a_part_may_have_a_looser_one(tmp_path: Path) -> None:
    code = "#" * 101
    strict, loose = part(tmp_path, code), part(tmp_path, code, columns=101)
    assert [figure.name for figure in figures(strict) if figure.too_high] == ["columns"]
    assert [figure.name for figure in figures(loose) if figure.too_high] == []


def test_figures_are_printed_and_one_that_is_too_high_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample = part(tmp_path, GREETING + "#" * 101).paths[0]
    assert shape.main([str(sample)]) == 1
    assert capsys.readouterr().out == (
        f"{sample}\n"
        "  nodes per body line         3.8  at most   8.0\n"
        "  nodes per statement         3.8  at most  12.0\n"
        "  statement, ninth decile     6.0  at most  22.0\n"
        "  statement, largest          6.0  at most  60.0\n"
        "  lines per body, median      5.0  at most   6.0\n"
        "  body, ninth decile          5.0  at most  20.0\n"
        "  body, longest               5.0  at most  35.0\n"
        "  parameters                  2.0  at most   5.0\n"
        "  nested blocks               1.0  at most   3.0\n"
        "  columns                   101.0  at most 100.0  TOO HIGH\n"
        "       101.0  sample.py, line 12\n"
        "  names met too early         0.0  at most   0.0\n"
    )


def test_nothing_fails_when_every_figure_is_within_its_limit(tmp_path: Path) -> None:
    assert shape.main([str(part(tmp_path, GREETING).paths[0])]) == 0


def test_every_python_file_outside_the_tests_is_judged() -> None:
    judged = {path for each in shape.PARTS for path in each.paths}
    folders = ("warroom", "tools")
    expected = {path for folder in folders for path in (shape.ROOT / folder).rglob("*.py")}
    assert judged == expected | {shape.ROOT / "AzureRiskyUsers.py"}


def test_a_name_that_is_defined_only_later_is_met_too_early(tmp_path: Path) -> None:
    code = """
        def first(later):
            return later + second(LIMIT)

        def second(number):
            return number

        LIMIT = 50

        def later():
            return first(LIMIT)
    """
    # first uses second and LIMIT; its own parameter is no name of the module.
    assert measured(tmp_path, code)["names met too early"] == 2
