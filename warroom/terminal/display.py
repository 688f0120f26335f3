"""Draws war room entries in a terminal, with nothing lost: columns that do not fit side by side go below each other."""

import json
import os
import re
import sys
from itertools import groupby
from typing import Any

from rich.box import ASCII2, ROUNDED
from rich.console import Console
from rich.table import Table
from rich.text import Text

from warroom.xsoar.entries import ERROR, Entry, Run, contents

WARNING = 11  # type of an entry
NO_TERMINAL = 200  # columns, where the output goes to a file or another program; COLUMNS changes it
NARROWEST = 12  # columns to which a cell's long words may be broken

STYLES = {ERROR: "red", WARNING: "yellow"}
SEVERITIES = (
    "unknown",
    "low",
    "medium",
    "high",
)  # of incidents, by the platform's number
LEVELS = {"high": "red", "medium": "yellow", "low": "green"}

# Values that are copied: ids, addresses, times, numbers.
UNBREAKABLE = re.compile(r"[0-9a-fA-F-]{8,}|\S+@\S+|https?://\S+|[\d:.TZ+-]+")
INLINE = re.compile(r"\*\*(?P<bold>.+?)\*\*|\[(?P<text>[^\]]+)\]\((?P<link>[^)\s]+)\)")
CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]"
)  # what a name could play with a terminal

Rows = list[list[str]]


def open_console() -> Console:
    """The terminal as wide as it is; a file or program gets wide lines and no colours. NO_COLOR is obeyed."""
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else NO_TERMINAL
    return Console(highlight=False, width=width)


def draw(run: Run, console: Console) -> None:
    """Draw each entry of a run, and with debug-mode its log."""
    for entry in run.entries:
        text = readable(entry, raw=run.flag("raw-response"))
        if text:
            draw_markdown(text, console, STYLES.get(entry["Type"], ""))
    if run.flag("debug-mode"):
        for line in run.logs:
            console.print(Text(line, style="dim"))


def readable(entry: Entry, *, raw: bool = False) -> str:
    """The text the war room shows for an entry; raw: its contents, whatever readable text there is."""
    if entry.get("HumanReadable") and not raw:
        return str(entry["HumanReadable"])
    value = contents(entry)
    if value is None or value == "":
        return ""
    return (
        value
        if isinstance(value, str)
        else json.dumps(value, indent=2, ensure_ascii=False)
    )


def draw_markdown(markdown: str, console: Console, style: str = "") -> None:
    """Draw markdown as the platform's helpers write it: headings, tables, bold words, links."""
    for is_table, lines in groupby(
        shown(markdown).rstrip("\n").split("\n"), lambda line: line.startswith("|")
    ):
        if is_table:
            draw_table([cells(line) for line in lines], console)
        else:
            for line in lines:
                # A word wider than the terminal, such as a link, is left to the terminal, which copies it whole.
                too_wide = any(len(word) > console.width for word in line.split())
                console.print(
                    prose(line, style), soft_wrap=too_wide or not console.is_terminal
                )


def shown(text: str) -> str:
    """A text without what plays with a terminal."""
    return CONTROL.sub(lambda match: repr(match[0])[1:-1], text)


def prose(line: str, style: str = "") -> Text:
    """One line of running text."""
    heading = re.match("#+ ", line)
    if heading:
        return Text(line[heading.end() :], style=style or "bold cyan")
    text = Text(style=style)
    end = 0
    for match in INLINE.finditer(line):
        text.append(line[end : match.start()])
        text.append(match["bold"] or linked(match["text"], match["link"]), style="bold")
        end = match.end()
    return text.append(line[end:])


def linked(text: str, link: str) -> str:
    return text if text == link else f"{text} ({link})"


def cells(line: str) -> list[str]:
    """The cells of a table's line, with line breaks and without the escapes of pipes and backticks."""
    parts = re.split(r"(?<!\\)\|", line.strip())[1:-1]
    return [
        re.sub(r"\\([|`])", r"\1", part.strip().replace("<br>", "\n")) for part in parts
    ]


def draw_table(table: Rows, console: Console) -> None:
    """Draw header, rule and rows in the first layout that fits; what is to be copied is broken in none of them."""
    headers, rows = table[0], table[2:]
    columns = list(zip(headers, *rows, strict=True))
    # A row that stands alone reads better as a list than with its cells wrapped.
    widths = [
        widest(column) if len(rows) == 1 else narrowest(column) for column in columns
    ]
    labels = max(len(word) for header in headers for word in header.split() or [""])
    if sum(widths) + 3 * len(widths) + 1 <= console.width:
        console.print(side_by_side(headers, rows, widths), soft_wrap=False)
    elif labels + 3 + (width := max(map(narrowest, columns))) <= console.width:
        console.print(below_each_other(headers, rows, width), soft_wrap=False)
    else:
        lines = [
            f"{header}: {cell}"
            for row in rows
            for header, cell in zip(headers, row, strict=True)
        ]
        console.print(*lines, sep="\n", markup=False, soft_wrap=True)


def narrowest(column: tuple[str, ...]) -> int:
    """How narrow a column can get: no id, address, time or number is broken, other words may be."""
    words = [word for cell in column for word in cell.split()]
    fixed = [len(word) for word in words if UNBREAKABLE.fullmatch(word)]
    loose = [min(len(word), NARROWEST) for word in words]
    return max([*fixed, *loose, 1])


def widest(column: tuple[str, ...]) -> int:
    """How wide a column has to be for no line of it to be wrapped."""
    return max(len(line) for cell in column for line in cell.split("\n"))


def side_by_side(headers: list[str], rows: Rows, widths: list[int]) -> Table:
    """The table as it is meant: a column for each header."""
    table = new_table(show_lines=any("\n" in cell for row in rows for cell in row))
    for header, width in zip(headers, widths, strict=True):
        table.add_column(Text(header, style="bold"), overflow="fold", min_width=width)
    for row in rows:
        table.add_row(*(value(cell) for cell in row))
    return table


def below_each_other(headers: list[str], rows: Rows, width: int) -> Table:
    """Two columns, headers and values, with a section for each row."""
    table = new_table(show_header=False, show_edge=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold", min_width=width)
    for row in rows:
        for header, cell in zip(headers, row, strict=True):
            table.add_row(Text(header), value(cell))
        table.add_section()
    return table


def new_table(**options: Any) -> Table:
    return Table(
        box=ROUNDED if sys.stdout.isatty() else ASCII2, border_style="dim", **options
    )


def value(cell: str) -> Text:
    return Text(cell, style=LEVELS.get(cell, ""))


def draw_incidents(
    incidents: list[dict[str, Any]], ways: dict[str, str], console: Console
) -> None:
    """Draw a table of incidents. ways: how a detection arrived, by its id, where that is known."""
    if not incidents:
        return
    headers = ["Occurred", "Severity", "Name", "Id", *(["Arrived"] if ways else [])]
    rows = [incident_cells(incident, ways)[: len(headers)] for incident in incidents]
    draw_table([headers, [], *rows], console)


def incident_cells(incident: dict[str, Any], ways: dict[str, str]) -> list[str]:
    source_id = str(incident.get("dbotMirrorId", ""))
    cells = [
        incident.get("occurred", ""),
        SEVERITIES[incident.get("severity", 0)],
        incident["name"],
        source_id,
    ]
    return [shown(str(cell)) for cell in [*cells, ways.get(source_id, "before")]]


def print_markdown(run: Run, console: Console) -> None:
    """Print what the entries say exactly as the server gets it."""
    for entry in run.entries:
        print(readable(entry, raw=run.flag("raw-response")), file=console.file)


def print_json(run: Run, console: Console) -> None:
    """Print the entries exactly as the server gets them."""
    print(json.dumps(run.entries, indent=2, ensure_ascii=False), file=console.file)


SHAPES = {"table": draw, "markdown": print_markdown, "json": print_json}
