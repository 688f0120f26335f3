"""The colours of a table tell good from bad, and times how long ago they were, to a person alone."""

import io

import pytest
from rich.console import Console

from helpers import NOW
from warroom.terminal import display
from warroom.terminal.meaning import style_of
from warroom.terminal.tables import Table
from warroom.xsoar.entries import Run


@pytest.mark.parametrize(
    ("header", "styles"),
    [
        ("Risk Level", {"high": "red", "medium": "yellow", "low": "green", "none": "", "hidden": "", "": ""}),
        ("Risk Level Aggregated", {"high": "red"}),
        ("Level", {"medium": "yellow"}),
        ("Severity", {"critical": "bold red", "high": "red", "informational": ""}),
        (
            "Risk State",
            {"confirmedCompromised": "bold red", "atRisk": "yellow", "dismissed": "green", "none": ""},
        ),
        ("Risk State", {"remediated": "green", "confirmedSafe": "green"}),
        ("Status", {"applied": "green", "not applied": "red", "refused": "red", "submitted": "yellow"}),
        ("Status", {"unknown": "yellow", "not tried": "red", "dry run": "dim"}),
        ("Outcome", {"Succeeded (0)": "red", "Blocked (53003): by Conditional Access": "green", "Failed (50126)": ""}),
        ("Result", {"works": "green", "permitted (not tried)": "green", "Licence missing: P2.": "red", "": ""}),
        ("User Display Name", {"high": "", "applied": ""}),
    ],
)
def test_values_have_the_colours_of_what_they_mean(header: str, styles: dict[str, str]) -> None:
    assert {cell: style_of(header, cell) for cell in styles} == styles


TIMES = Table(
    ["Name", "Detected Date Time", "Risk Level"],
    [
        ["Adele", "2026-11-20T11:59:30Z", "high"],
        ["Mia", "2026-11-20T11:01:00.1234567Z", "low"],
        ["Zoë", "2026-11-19T13:00:00Z", "none"],
        ["Sean", "2026-08-22T00:00:00Z", ""],
        ["Lena", "2026-11-20T12:00:01Z", ""],
        ["Omar", "", ""],
    ],
)


def plain(table: Table, width: int) -> list[str]:
    return [line.plain for line in table.lines(width, now=NOW)]


def test_how_long_ago_it_was_stands_beside_the_first_times_where_there_is_room() -> None:
    lines = [
        "+------------------------------+------------+-------+------------+",
        "| Detected Date Time           |            | Name  | Risk Level |",
        "+------------------------------+------------+-------+------------+",
        "| 2026-11-20T11:59:30Z         | just now   | Adele | high       |",
        "| 2026-11-20T11:01:00.1234567Z | 58 min ago | Mia   | low        |",
        "| 2026-11-19T13:00:00Z         | 23 h ago   | Zoë   | none       |",
        "| 2026-08-22T00:00:00Z         | 90 d ago   | Sean  |            |",
        "| 2026-11-20T12:00:01Z         |            | Lena  |            |",
        "|                              |            | Omar  |            |",
        "+------------------------------+------------+-------+------------+",
    ]
    assert plain(TIMES, len(lines[0])) == lines
    assert plain(TIMES, len(lines[0]) - 1) == [line.plain for line in TIMES.lines(len(lines[0]) - 1)]


def test_how_long_ago_it_was_stands_behind_the_time_of_a_single_row() -> None:
    # Seven columns do not fit side by side, so each is a line.
    headers = ["Detected Date Time", "Last Updated Date Time", "Detail"]
    table = Table(headers, [["2026-11-20T09:00:00Z", "", "word " * 12]])
    assert plain(table, 60)[0] == "Detected Date Time     | 2026-11-20T09:00:00Z 3 h ago"
    assert plain(table, 52)[0] == "Detected Date Time     | 2026-11-20T09:00:00Z"


@pytest.mark.parametrize("name", ["2026-13-45T99:99:99Z", "2026-02-30T00:00:00Z", "0000-01-01T00:00:00Z"])
@pytest.mark.parametrize("width", [80, 20])
def test_a_name_like_a_time_that_there_is_not_is_drawn_without_an_age(name: str, width: int) -> None:
    table = Table(["User Display Name", "Risk Level", "Risk State"], [[name, "high", "atRisk"]])
    assert plain(table, width) == [line.plain for line in table.lines(width)]


MARKDOWN = "|Risk Level|Detected Date Time|\n|---|---|\n| high | 2026-11-20T09:00:00Z |\n"
ENTRY = {"Type": 1, "ContentsFormat": "text", "Contents": "", "HumanReadable": MARKDOWN}


@pytest.mark.parametrize("is_terminal", [True, False])
def test_only_a_person_at_a_terminal_is_told_how_long_ago(is_terminal: bool) -> None:
    screen = Console(file=io.StringIO(), width=80, force_terminal=is_terminal, color_system=None)
    display.draw(Run("c", [ENTRY], moment=NOW), screen)
    assert ("3 h ago" in screen.file.getvalue()) is is_terminal  # type: ignore[attr-defined]


def test_colours_and_ages_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    screen = Console(file=io.StringIO(), width=80, force_terminal=True, color_system="standard", highlight=False)
    display.draw(Run("c", [ENTRY], moment=NOW), screen)
    row = screen.file.getvalue().splitlines()[3]  # type: ignore[attr-defined]
    bar = "\x1b[2m| \x1b[0m"
    assert row == f"{bar}\x1b[31mhigh       \x1b[0m{bar}2026-11-20T09:00:00Z {bar}\x1b[2m3 h ago \x1b[0m\x1b[2m|\x1b[0m"
