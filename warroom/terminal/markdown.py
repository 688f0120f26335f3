"""Draws markdown as the platform's helpers write it: headings, tables, bold words, links.

Nothing is lost: the columns of a table that do not fit side by side go below each other, and
what is to be copied is never broken.
"""

import re
import sys
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from rich.box import ASCII2, ROUNDED
from rich.console import Console
from rich.table import Table
from rich.text import Text

NARROWEST = 12  # columns to which a cell's long words may be broken
BORDER = 3  # columns between two cells

LEVELS = {"high": "red", "medium": "yellow", "low": "green"}

# Values that are copied: ids, addresses, times, numbers.
UNBREAKABLE = re.compile(r"[0-9a-fA-F-]{8,}|\S+@\S+|https?://\S+|[\d:.TZ+-]+")
HEADING = re.compile("#+ ")
INLINE = re.compile(r"\*\*(?P<bold>.+?)\*\*|\[(?P<text>[^\]]+)\]\((?P<link>[^)\s]+)\)")
CELL_BORDER = re.compile(r"(?<!\\)\|")
CELL_ESCAPE = re.compile(r"\\([|`])")
# What a name could play with a terminal.
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")

Cells = list[str]


def harmless(text: str) -> str:
    """A text without what plays with a terminal."""
    return CONTROL.sub(_spelled_out, text)


def _spelled_out(match: re.Match[str]) -> str:
    return repr(match[0]).strip("'")


# Running text


def longest_word(texts: Iterable[str]) -> int:
    text = " ".join(texts)
    lengths = map(len, text.split())
    return max(lengths, default=0)


def prose(line: str, style: str = "") -> Text:
    """One line of running text, its marks shown as styles."""
    heading = HEADING.match(line)
    if heading:
        return Text(line[heading.end() :], style=style or "bold cyan")
    text = Text(style=style)
    end = 0
    for match in INLINE.finditer(line):
        plain = line[end : match.start()]
        strong = match["bold"] or link_text(match["text"], match["link"])
        text.append(plain)
        text.append(strong, style="bold")
        end = match.end()
    return text.append(line[end:])


def link_text(text: str, link: str) -> str:
    if text == link:
        return text
    return f"{text} ({link})"


def draw_prose(lines: Iterable[str], console: Console, style: str) -> None:
    for line in lines:
        # A word wider than the terminal is left to the terminal, which copies it whole.
        too_wide = longest_word([line]) > console.width
        soft_wrap = too_wide or not console.is_terminal
        console.print(prose(line, style), soft_wrap=soft_wrap)


# Tables


def cells(line: str) -> Cells:
    """The cells of a table's line, with line breaks and without escapes."""
    parts = CELL_BORDER.split(line.strip())
    inner = parts[1:-1]
    return [cell_text(part) for part in inner]


def cell_text(part: str) -> str:
    text = part.strip()
    lines = text.replace("<br>", "\n")
    return CELL_ESCAPE.sub(r"\1", lines)


def narrowest(column: Iterable[str]) -> int:
    """How narrow a column can get.

    No id, address, time or number is broken; other words may be.
    """
    width = 1
    for cell in column:
        for word in cell.split():
            length = len(word)
            is_fixed = UNBREAKABLE.fullmatch(word)
            needed = length if is_fixed else min(length, NARROWEST)
            width = max(width, needed)
    return width


def widest(column: Iterable[str]) -> int:
    """How wide a column has to be for no line of it to be wrapped."""
    text = "\n".join(column)
    lines = text.split("\n")
    return max(map(len, lines))


def styled(cell: str) -> Text:
    style = LEVELS.get(cell, "")
    return Text(cell, style=style)


def new_table(**options: Any) -> Table:
    box = ASCII2
    if sys.stdout.isatty():
        box = ROUNDED
    return Table(box=box, border_style="dim", **options)


def side_by_side(headers: Cells, rows: list[Cells], widths: list[int]) -> Table:
    """The table as it is meant: a column for each header."""
    texts = ["".join(row) for row in rows]
    has_breaks = any("\n" in text for text in texts)
    table = new_table(show_lines=has_breaks)
    columns = zip(headers, widths, strict=True)
    for header, width in columns:
        label = Text(header, style="bold")
        table.add_column(label, overflow="fold", min_width=width)
    for row in rows:
        table.add_row(*map(styled, row))
    return table


def below_each_other(headers: Cells, rows: list[Cells], width: int) -> Table:
    """Two columns, headers and values, with a section for each row."""
    table = new_table(show_header=False, show_edge=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold", min_width=width)
    for row in rows:
        for header, cell in zip(headers, row, strict=True):
            table.add_row(Text(header), styled(cell))
        table.add_section()
    return table


def draw_lines(headers: Cells, rows: list[Cells], console: Console) -> None:
    """Each cell on a line of its own, to be wrapped by the terminal."""
    for row in rows:
        for header, cell in zip(headers, row, strict=True):
            line = f"{header}: {cell}"
            console.print(line, markup=False, soft_wrap=True)


def draw_table(headers: Cells, rows: list[Cells], console: Console) -> None:
    """Draw the table in the first layout that fits."""
    columns = list(zip(headers, *rows, strict=True))
    # A row that stands alone reads better as a list than with its cells wrapped.
    measure = widest if len(rows) == 1 else narrowest
    widths = [measure(column) for column in columns]
    borders = BORDER * len(widths) + 1
    if sum(widths) + borders <= console.width:
        table = side_by_side(headers, rows, widths)
        console.print(table, soft_wrap=False)
        return
    labels_width = longest_word(headers)
    values_width = max(map(narrowest, columns))
    if labels_width + BORDER + values_width <= console.width:
        table = below_each_other(headers, rows, values_width)
        console.print(table, soft_wrap=False)
        return
    draw_lines(headers, rows, console)


def is_table_line(line: str) -> bool:
    return line.startswith("|")


def draw_markdown(markdown: str, console: Console, style: str = "") -> None:
    """Draw running text and tables; style: of the running text."""
    text = harmless(markdown).rstrip("\n")
    for is_table, lines in groupby(text.split("\n"), is_table_line):
        if is_table:
            table = [cells(line) for line in lines]
            headers = table[0]
            rows = table[2:]  # after the rule
            draw_table(headers, rows, console)
        else:
            draw_prose(lines, console, style)
