"""Draws markdown as the platform's helpers write it: headings, tables, bold words, links.

Nothing is lost: the columns of a table that do not fit side by side go below each other, and
what is to be copied is never broken.
"""

import re
import sys
from collections.abc import Iterable
from itertools import chain, groupby
from typing import Any

from rich.box import ASCII2, ROUNDED
from rich.console import Console
from rich.table import Table
from rich.text import Text

NARROWEST = 12  # characters to which a cell's long words may be broken
BORDER = 3  # characters between two cells

HEADING_STYLE = "bold cyan"
LEVELS = {"high": "red", "medium": "yellow", "low": "green"}

# Values that are copied: ids, addresses, times, numbers.
UNBREAKABLE = re.compile(r"[0-9a-fA-F-]{8,}|\S+@\S+|https?://\S+|[\d:.TZ+-]+")
HEADING = re.compile("#+ ")
INLINE = re.compile(r"\*\*(?P<bold>.+?)\*\*|\[(?P<text>[^\]]+)\]\((?P<link>[^)\s]+)\)")
CELL_BORDER = re.compile(r"(?<!\\)\|")
RULE = re.compile(r"\|(?:\s*:?-+:?\s*\|)+\s*")
TABLE_LINE = re.compile(r"\|.*(?<!\\)\|\s*")
CELL_ESCAPE = re.compile(r"\\([|`])")
# What a name could play with a terminal.
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")

Cells = list[str]


def _spelled_out(match: re.Match[str]) -> str:
    character = match[0]
    return repr(character).strip("'")


def harmless(text: str) -> str:
    """A text without what plays with a terminal."""
    return CONTROL.sub(_spelled_out, text)


# Running text


def longest_word(texts: Iterable[str]) -> int:
    text = " ".join(texts)
    words = text.split()
    lengths = map(len, words)
    return max(lengths, default=0)


def strong_text(match: re.Match[str]) -> str:
    """The words of **bold**, or of a link and where it leads."""
    bold, text, link = match.groups()
    if bold:
        return str(bold)
    if text == link:
        return str(text)
    return f"{text} ({link})"


def prose(line: str, style: str = "") -> Text:
    """One line of running text, its marks shown as styles."""
    heading = HEADING.match(line)
    if heading:
        start = heading.end()
        title = line[start:]
        return Text(title, style=style or HEADING_STYLE)
    text = Text(style=style)
    end = 0
    for match in INLINE.finditer(line):
        start = match.start()
        plain = line[end:start]
        strong = strong_text(match)
        text.append(plain)
        text.append(strong, style="bold")
        end = match.end()
    return text.append(line[end:])


def draw_prose(lines: Iterable[str], console: Console, style: str) -> None:
    for line in lines:
        # A word wider than the terminal is left to the terminal, which copies it whole.
        width = longest_word([line])
        too_wide = width > console.width
        soft_wrap = too_wide or not console.is_terminal
        text = prose(line, style)
        console.print(text, soft_wrap=soft_wrap)


# Tables


def cell_text(part: str) -> str:
    text = part.strip()
    lines = text.replace("<br>", "\n")
    return CELL_ESCAPE.sub(r"\1", lines)


def cells(line: str) -> Cells:
    """The cells of a table's line, with line breaks and without escapes."""
    stripped = line.strip()
    parts = CELL_BORDER.split(stripped)
    inner = parts[1:-1]  # a line begins and ends with a border
    texts = map(cell_text, inner)
    return list(texts)


def is_table(lines: list[str]) -> bool:
    """Whether lines that begin with a border are a table, and not only look like one."""
    if len(lines) < 2 or not RULE.fullmatch(lines[1]):
        return False
    are_closed = [TABLE_LINE.fullmatch(line) is not None for line in lines]
    counts = {len(cells(line)) for line in lines}
    return all(are_closed) and len(counts) == 1


def width_of(word: str) -> int:
    length = len(word)
    if UNBREAKABLE.fullmatch(word):
        return length
    return min(length, NARROWEST)


def narrowest(column: Iterable[str]) -> int:
    """How narrow a table's column can get, in characters.

    No id, address, time or number is broken; other words may be.
    """
    text = " ".join(column)
    words = text.split()
    widths = map(width_of, words)
    return max(widths, default=1)


def widest(column: Iterable[str]) -> int:
    """How wide a table's column has to be, in characters, for no line of it to be wrapped."""
    text = "\n".join(column)
    lines = text.split("\n")
    lengths = map(len, lines)
    return max(lengths)


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
    every_cell = chain.from_iterable(rows)
    text = "".join(every_cell)
    has_breaks = "\n" in text
    table = new_table(show_lines=has_breaks)
    for header, width in zip(headers, widths, strict=True):
        label = Text(header, style="bold")
        table.add_column(label, overflow="fold", width=width)
    for row in rows:
        values = map(styled, row)
        table.add_row(*values)
    return table


def below_each_other(
    headers: Cells, rows: list[Cells], widths: tuple[int, int]
) -> Table:
    """Two columns, headers and values, with a section for each row.

    widths: the most that a header takes, and the least that a value takes.
    """
    header_width, value_width = widths
    table = new_table(show_header=False, show_edge=False, pad_edge=False)
    table.add_column(style="bold", max_width=header_width)
    table.add_column(overflow="fold", min_width=value_width)
    for row in rows:
        for header, cell in zip(headers, row, strict=True):
            label = Text(header)
            value = styled(cell)
            table.add_row(label, value)
        table.add_section()
    return table


def draw_lines(headers: Cells, rows: list[Cells], console: Console) -> None:
    """Each cell on a line of its own, to be wrapped by the terminal."""
    for row in rows:
        for header, cell in zip(headers, row, strict=True):
            line = Text(f"{header}: {cell}")  # a str would lose :a: to an emoji
            console.print(line, soft_wrap=True)


def shared_out(spare: int, widths: list[int], wanted: list[int]) -> list[int]:
    """Widths of columns that also take what is spare, from the left, as far as they can use it.

    The exact widths are given to the drawing library: left to choose between a least and a
    most, it draws tables wider than the terminal, and cuts them off there.
    """
    wider = []
    for width, most in zip(widths, wanted, strict=True):
        more = min(spare, most - width)
        wider.append(width + more)
        spare -= more
    return wider


def fitting_table(headers: Cells, rows: list[Cells], width: int) -> Table | None:
    """The first layout that is no wider than the terminal; width: its characters a line."""
    columns = list(zip(headers, *rows, strict=True))
    # A row that stands alone reads better as a list than with its cells wrapped.
    measure = widest if len(rows) == 1 else narrowest
    widths = list(map(measure, columns))
    borders = BORDER * len(widths) + 1
    needed = borders + sum(widths)
    if needed <= width:
        wider = shared_out(width - needed, widths, list(map(widest, columns)))
        return side_by_side(headers, rows, wider)
    value_widths = map(narrowest, columns)
    value_width = max(value_widths)
    header_width = width - BORDER - value_width
    if header_width >= longest_word(headers):
        return below_each_other(headers, rows, (header_width, value_width))
    return None


def draw_table(headers: Cells, rows: list[Cells], console: Console) -> None:
    table = fitting_table(headers, rows, console.width)
    if table is None:
        draw_lines(headers, rows, console)
    else:
        console.print(table, soft_wrap=False)


def begins_with_border(line: str) -> bool:
    return line.startswith("|")


def draw_table_lines(lines: list[str], console: Console) -> None:
    table = [cells(line) for line in lines]
    headers = table[0]
    rows = table[2:]  # after the rule
    draw_table(headers, rows, console)


def draw_markdown(markdown: str, console: Console, style: str = "") -> None:
    """Draw running text and tables; style: of the running text."""
    text = harmless(markdown)
    all_lines = text.rstrip("\n").split("\n")
    for has_border, group in groupby(all_lines, begins_with_border):
        lines = list(group)
        if has_border and is_table(lines):
            draw_table_lines(lines, console)
        else:
            draw_prose(lines, console, style)
