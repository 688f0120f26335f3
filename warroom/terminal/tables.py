"""Lays out tables for a terminal of any width: no character is lost, no line too wide.

A table of several rows begins with its times and ends with its ids. The columns stand side by
side where no cell is wrapped onto more than a few lines: with the ids among them, else with
those below each row. Where it must be, a cell goes on in the next line within a word, but only
where a reader expects it, as after the @ of a name or the date of a time.

Where that does not fit either, each row is a section with its headers to the left and their
values to the right. A value with a word too wide for that stands below its header, and only
a word wider than the terminal is broken anywhere.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from itertools import zip_longest
from typing import NamedTuple

from rich.cells import cell_len, chop_cells
from rich.text import Text

from warroom.terminal.ages import age, ages, first_times
from warroom.terminal.columns import IDS, TIME, Column, in_order, kind
from warroom.terminal.meaning import style_of

BORDER = 3  # characters between a header and its value
INDENT = "  "  # of a value below its header
NARROWEST = 10  # characters a line, below which no table is laid out

HEADER = "bold"  # styles
FRAME = "dim"
AGE = "dim"  # which has no header

# Words and parts of words, with what stands before them.
WORD = re.compile(r"\s*\S+")
PART = re.compile(
    r"""\s*(?:
        \d{4}-\d\d-\d\dT(?=\d)  # the date of a time
        |\d\d:\d\d:\d\d\S*
        |\S+?(?:
            [@.:_/-]+(?=\S)
            |(?<=[a-z]{6})(?=[A-Z])  # within confirmedSafe, not within atRisk
            |(?=\s|$)
        )
    )""",
    re.VERBOSE,
)
Words = re.Pattern[str]

Cells = list[str]


class Frame(NamedTuple):
    """The characters of a table's frame; a rule's are its ends, its line and its crossings.
    `pad` stands beside each of a cell's sides."""

    vertical: str
    top: str
    middle: str
    bottom: str
    pad: str = " "

    @property
    def border(self) -> int:
        """How many characters stand between two cells."""
        return 1 + 2 * len(self.pad)

    def room(self, columns: int, width: int) -> int:
        """How many characters of a line are left for what stands in the columns."""
        return width - 1 - columns * self.border

    def inner_width(self, widths: list[int]) -> int:
        """How wide a cell is that goes through all columns."""
        return sum(widths) + (len(widths) - 1) * self.border


ASCII = Frame("|", "+-++", "+-++", "+-++")
ROUNDED = Frame("│", "╭─┬╮", "├─┼┤", "╰─┴╯")


# Wrapping


def widest(texts: Iterable[str]) -> int:
    return max(map(cell_len, texts), default=0)


def longest_word(texts: Iterable[str], words: Words = WORD) -> int:
    """The width of the widest word, in characters of the terminal."""
    found = words.findall(" ".join(texts))
    return widest(word.lstrip() for word in found)


def _pieces(line: str, width: int, words: Words) -> Iterator[str]:
    """The words with what stands before them; those wider than that in several pieces."""
    for word in words.findall(line):
        if cell_len(word) <= width:
            yield word
            continue
        letters = word.lstrip()
        gap = word.removesuffix(letters)
        first, *others = chop_cells(letters, width)
        yield gap + first
        yield from others


def wrapped(line: str, width: int, words: Words = WORD) -> list[str]:
    """The line in lines of at most so many characters, broken between words if possible."""
    if cell_len(line) <= width:
        return [line]
    lines = [""]
    for piece in _pieces(line, width, words):
        longer = lines[-1] + piece
        if cell_len(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(piece.lstrip())
    return [each for each in lines if each]


def wrapped_cell(cell: str, width: int, words: Words = WORD) -> list[str]:
    """The lines of a cell, which may have breaks of its own."""
    lines = []
    for line in cell.split("\n"):
        lines += wrapped(line, width, words) or [""]
    return lines


def least_width(texts: Iterable[str], most_lines: int, words: Words = WORD) -> int:
    """How wide a column has to be for no line of it to be wrapped onto more lines than that."""
    lines = set("\n".join(texts).split("\n"))
    if most_lines == 1:
        return max(map(cell_len, lines))
    width = longest_word(lines, words)
    for line in lines:
        while len(wrapped(line, width, words)) > most_lines:
            width += 1
    return width


def shared_out(spare: int, choices: list[list[int]]) -> list[int]:
    """The widths of columns when so many characters are left to share out.

    choices: the widths with which a row has the fewest lines, one more and so on; the last
    of them fit. From the left, each column that can has its cells on fewer lines.
    """
    *wider, widths = choices
    for wanted in reversed(wider):
        for column, width in enumerate(wanted):
            more = width - widths[column]
            if more <= spare:
                widths = [*widths[:column], width, *widths[column + 1 :]]
                spare -= more
    return widths


# Lines


def styled(header: str, cell: str) -> str:
    return style_of(header, cell) if header else AGE


def padded(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text))


def rule(characters: str, widths: list[int], pad: str) -> Text:
    left, line, crossing, right = tuple(characters)
    bars = [line * (width + 2 * len(pad)) for width in widths]
    return Text(left + crossing.join(bars) + right, style=FRAME)


def grid_line(texts: Cells, styles: Cells, frame: Frame) -> Text:
    """One line through all columns; the texts are as wide as these."""
    vertical, pad = frame.vertical, frame.pad
    line = Text()
    for text, style in zip(texts, styles, strict=True):
        line.append(f"{vertical}{pad}", FRAME)
        line.append(f"{text}{pad}", style)
    return line.append(vertical, FRAME)


def beside_header(
    header: str, cell: str, widths: tuple[int, int], vertical: str
) -> Iterator[Text]:
    """The lines of a header and, to the right of it, its value."""
    header_width, value_width = widths
    labels = wrapped_cell(header, header_width)
    values = wrapped_cell(cell, value_width)
    for label, value in zip_longest(labels, values, fillvalue=""):
        line = Text()
        line.append(padded(label, header_width), HEADER)
        line.append(f" {vertical}", FRAME)
        line.append(f" {value}", styled(header, cell))
        line.rstrip()
        yield line


def with_age(line: Text, cell: str, width: int, now: datetime | None) -> Text:
    """The line of a value, with how long ago that was if it is a time and there is room."""
    if now is None or not TIME.fullmatch(cell):
        return line
    text = f" {age(cell, now)}"
    if line.cell_len + cell_len(text) <= width:
        line.append(text, AGE)
    return line


def below_header(header: str, cell: str, width: int) -> Iterator[Text]:
    """The lines of a header and, below it, its value."""
    for label in wrapped_cell(header, width):
        yield Text(label, style=HEADER)
    for value in wrapped_cell(cell, width - len(INDENT)):
        yield Text(INDENT + value, style=styled(header, cell))


def labelled(columns: list[Column]) -> list[Cells]:
    """For each row, the values of the columns behind their headers, but for empty ones."""
    if not columns:
        return []

    headers, *rows = zip(*columns, strict=True)
    texts = []
    for row in rows:
        pairs = zip(headers, row, strict=True)
        filled = [f"{header}: {value}" for header, value in pairs if value]
        texts.append(filled)
    return texts


def beside_each_other(texts: Cells) -> str:
    return "  ".join(texts)


class Layout(NamedTuple):
    """A way to have columns side by side: whether the ids stand below each row, where a cell
    may be wrapped, onto how many lines, and what stands beside a cell's sides."""

    ids_below: bool
    words: Words
    most_lines: int
    pad: str = " "


# From the best to the narrowest.
LAYOUTS = (
    Layout(ids_below=False, words=WORD, most_lines=3),
    Layout(ids_below=True, words=WORD, most_lines=3),
    Layout(ids_below=True, words=PART, most_lines=5),
    Layout(ids_below=True, words=PART, most_lines=5, pad=""),
)
# A row that stands alone reads better as a list than with its cells wrapped.
ALONE = (Layout(ids_below=False, words=WORD, most_lines=1),)


@dataclass(frozen=True)
class Grid:
    """Columns side by side, with what stands below each of their rows, in a frame."""

    columns: list[Column]
    below: list[Cells]
    layout: Layout
    frame: Frame

    @cached_property
    def widest_words(self) -> list[int]:
        return [longest_word(column, self.layout.words) for column in self.columns]

    def least_widths(self, lines: int) -> list[int]:
        """How wide each column has to be for so many lines in a cell."""
        words = self.layout.words
        return [least_width(column, lines, words) for column in self.columns]

    def with_ages(self, width: int, now: datetime) -> "Grid":
        """The same with how long ago its first times were, if that takes no room from the rest."""
        place = first_times(self.columns)
        if place is None:
            return self
        column = ages(self.columns[place], now)
        if not any(column):
            return self
        taken = widest(column) + self.frame.border
        if self.widths(width - taken) != self.widths(width):
            return self
        columns = [*self.columns[: place + 1], column, *self.columns[place + 1 :]]
        return replace(self, columns=columns)

    def widths(self, width: int) -> list[int]:
        """How wide the columns are; empty if that does not fit."""
        room = self.frame.room(len(self.columns), width)
        if not self.columns or sum(self.widest_words) > room:
            return []

        choices = []
        for lines in range(1, self.layout.most_lines + 1):
            widths = self.least_widths(lines)
            choices.append(widths)
            spare = room - sum(widths)
            if spare >= 0:
                shared = shared_out(spare, choices)
                return self.widened(shared, room)
        return []

    def widened(self, widths: list[int], room: int) -> list[int]:
        """The widths with which, if there is room, no id below a row is broken, or better no
        header parted from its id, or better all stand in one line."""
        together = list(map(beside_each_other, self.below))
        apart = [text for texts in self.below for text in texts]
        inner = self.frame.inner_width(widths)
        spare = room - sum(widths)
        *others, last = widths
        for wanted in (widest(together), widest(apart), longest_word(apart)):
            missing = max(wanted - inner, 0)
            if missing <= spare:
                return [*others, last + missing]
        return widths

    @property
    def has_rules(self) -> bool:
        """Whether a rule parts the rows: where it would not be seen where one begins."""
        has_breaks = any("\n" in cell for column in self.columns for cell in column)
        return has_breaks or any(self.below)

    def row_lines(
        self, cells: Cells, styles: Cells, widths: list[int]
    ) -> Iterator[Text]:
        """The lines of a row, as many as its highest cell has."""
        words = self.layout.words
        columns = [
            wrapped_cell(cell, width, words)
            for cell, width in zip(cells, widths, strict=True)
        ]
        for texts in zip_longest(*columns, fillvalue=""):
            full = list(map(padded, texts, widths))
            yield grid_line(full, styles, self.frame)

    def below_lines(self, texts: Cells, widths: list[int]) -> Iterator[Text]:
        """The lines of what stands below a row: one where all fits, else one for each."""
        inner = self.frame.inner_width(widths)
        text = beside_each_other(texts)
        if cell_len(text) > inner:
            text = "\n".join(texts)
        for line in wrapped_cell(text, inner) if text else ():
            yield grid_line([padded(line, inner)], [FRAME], self.frame)

    def lines(self, widths: list[int]) -> Iterator[Text]:
        frame = self.frame
        middle = rule(frame.middle, widths, frame.pad)
        has_rules = self.has_rules
        headers, *rows = map(list, zip(*self.columns, strict=True))
        header_styles = [HEADER] * len(widths)
        yield rule(frame.top, widths, frame.pad)
        yield from self.row_lines(headers, header_styles, widths)
        for number, (row, below) in enumerate(zip(rows, self.below, strict=True)):
            if number == 0 or has_rules:
                yield middle
            styles = list(map(styled, headers, row))
            yield from self.row_lines(list(row), styles, widths)
            yield from self.below_lines(below, widths)
        yield rule(frame.bottom, widths, frame.pad)


@dataclass(frozen=True)
class Table:
    """A table of texts; a row has as many as there are headers, and these may have breaks."""

    headers: Cells
    rows: list[Cells]

    @cached_property
    def longest_words(self) -> tuple[int, int]:
        """How wide the widest word is among the headers, and among the values."""
        values = [cell for row in self.rows for cell in row]
        return longest_word(self.headers), longest_word(values)

    @cached_property
    def longest_line(self) -> int:
        """How wide the widest line is among the values."""
        lines = [line for row in self.rows for cell in row for line in cell.split("\n")]
        return max(map(cell_len, lines), default=0)

    def list_widths(self, width: int) -> tuple[int, int]:
        """How wide headers and values are beside each other."""
        header_word, value_word = self.longest_words
        beside_values = width - BORDER - value_word
        if beside_values < header_word:
            # Some value goes below its header whatever the widths are.
            beside_values = max(header_word, width // 2)
        in_full = max(map(cell_len, self.headers))
        widest = width - BORDER - 1
        header_width = min(in_full, beside_values, widest)
        rest = width - BORDER - header_width
        return header_width, min(rest, self.longest_line)

    def _list(self, width: int, frame: Frame, now: datetime | None) -> Iterator[Text]:
        widths = self.list_widths(width)
        header_width, value_width = widths
        _, line, crossing, _ = tuple(frame.middle)
        between = line * (header_width + 1) + crossing + line * (value_width + 1)
        for number, row in enumerate(self.rows):
            if number > 0:
                yield Text(between, style=FRAME)
            for header, cell in zip(self.headers, row, strict=True):
                if longest_word([cell]) <= value_width:
                    lines = beside_header(header, cell, widths, frame.vertical)
                    yield from (with_age(line, cell, width, now) for line in lines)
                else:
                    yield from below_header(header, cell, width)

    @cached_property
    def in_order(self) -> "Table":
        """The table as it is read: one of several rows with times first and ids last."""
        if len(self.rows) < 2:
            return self
        columns = in_order(self.columns)
        headers, *rows = map(list, zip(*columns, strict=True))
        return Table(headers, rows)

    @property
    def columns(self) -> list[Column]:
        return list(zip(self.headers, *self.rows, strict=True))

    def grid(self, layout: Layout, frame: Frame) -> Grid:
        """The columns side by side, the ids among them or below."""
        framed = frame._replace(pad=layout.pad)
        nothing_below: list[Cells] = [[] for _ in self.rows]
        if not layout.ids_below:
            return Grid(self.columns, nothing_below, layout, framed)

        ids = [column for column in self.columns if kind(column) == IDS]
        beside = [column for column in self.columns if kind(column) != IDS]
        below = labelled(ids) or nothing_below
        return Grid(beside, below, layout, framed)

    def lines(
        self, width: int, frame: Frame = ASCII, now: datetime | None = None
    ) -> Iterator[Text]:
        """The table as lines for a terminal with so many characters a line.

        now: for telling how long ago times were, where there is room to spare.
        """
        table = self.in_order
        for layout in LAYOUTS if len(self.rows) > 1 else ALONE:
            grid = table.grid(layout, frame)
            widths = grid.widths(width)
            if widths and now is not None:
                grid = grid.with_ages(width, now)
                widths = grid.widths(width)
            if widths:
                return grid.lines(widths)
        return table._list(max(width, NARROWEST), frame, now)
