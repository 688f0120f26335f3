"""Draws markdown as the platform's helpers write it: headings, tables, bold words, links."""

import re
import sys
from collections.abc import Iterator
from datetime import datetime
from itertools import groupby

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from warroom.terminal.characters import harmless
from warroom.terminal.tables import ASCII, ROUNDED, Cells, Table

TAB = 4  # characters

HEADING_STYLE = "bold cyan"

WORD = re.compile(r"\S+")
HEADING = re.compile("#+ ")
INLINE = re.compile(r"\*\*(?P<bold>.+?)\*\*|\[(?P<text>[^\]]+)\]\((?P<link>[^)\s]+)\)")
CELL_BORDER = re.compile(r"(?<!\\)\|")
RULE = re.compile(r"\|(?:\s*:?-+:?\s*\|)+\s*")
TABLE_LINE = re.compile(r"\|.*(?<!\\)\|\s*")
CELL_ESCAPE = re.compile(r"\\([|`])")


# Running text


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


def line_starts(line: str, width: int) -> list[int]:
    """At which words to break a line, for no part but that of a longer word to be wider."""
    starts = [0]
    for word in WORD.finditer(line):
        end = word.end()
        first = starts[-1]
        if word.start() > first and cell_len(line[first:end]) > width:
            starts.append(word.start())
    return starts[1:]


def draw_line(line: Text, console: Console) -> None:
    """Draw a line of running text, wrapped only for a terminal."""
    if not console.is_terminal:
        console.print(line, soft_wrap=True)
        return
    starts = line_starts(line.plain, console.width)
    for part in line.divide(starts):
        part.rstrip()
        # A word wider than the terminal is left to the terminal, which copies it whole.
        console.print(part, soft_wrap=True)


def draw_plain(text: str, console: Console, style: str = "") -> None:
    """Draw a text as it is, whatever its characters mean in markdown."""
    spaced = harmless(text).expandtabs(TAB)
    for line in spaced.rstrip("\n").split("\n"):
        draw_line(Text(line, style=style), console)


# Tables


def cell_text(part: str) -> str:
    text = part.strip()
    lines = text.replace("<br>", "\n").expandtabs(TAB)
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


def begins_with_border(line: str) -> bool:
    return line.startswith("|")


def blocks(markdown: str) -> Iterator[Table | list[str]]:
    """The tables of a text, and the lines of running text between them."""
    text = harmless(markdown)
    all_lines = text.rstrip("\n").split("\n")
    for has_border, group in groupby(all_lines, begins_with_border):
        lines = list(group)
        if has_border and is_table(lines):
            headers, _, *rows = map(cells, lines)  # the second line is the rule
            yield Table(headers, rows)
        else:
            yield lines


def draw_table(table: Table, console: Console, now: datetime | None = None) -> None:
    """Draw a table; now: for how long ago its times were, which only a person is told."""
    told_now = now if console.is_terminal else None
    can_draw = sys.stdout.isatty() and console.encoding.startswith("utf")
    frame = ROUNDED if can_draw else ASCII
    lines = table.lines(console.width, frame, told_now)
    console.print(*lines, sep="\n", soft_wrap=True)


def draw_markdown(
    markdown: str,
    console: Console,
    style: str = "",
    now: datetime | None = None,
) -> None:
    """Draw running text and tables; style: of the running text. now: see `draw_table`."""
    for block in blocks(markdown):
        if isinstance(block, Table):
            draw_table(block, console, now)
            continue
        for line in block:
            text = prose(line.expandtabs(TAB), style)
            draw_line(text, console)
