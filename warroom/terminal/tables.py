"""Lays out tables for a terminal of any width: no character is lost, no line too wide.

The columns stand side by side where no word has to be broken for that and no cell wrapped
onto more than a few lines. Else each row is a section with its headers to the left and their
values to the right. A value with a word too wide for that stands below its header, and only
a word wider than the terminal goes on in the next line.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from typing import NamedTuple

from rich.cells import cell_len, chop_cells
from rich.text import Text

MOST_LINES = 3  # onto which a cell is wrapped where the columns stand side by side
BORDER = 3  # characters between two cells
INDENT = "  "  # of a value below its header
NARROWEST = 10  # characters a line, below which no table is laid out

HEADER = "bold"  # styles
FRAME = "dim"
LEVELS = {"high": "red", "medium": "yellow", "low": "green"}

WORD = re.compile(r"\s*\S+")

Cells = list[str]


class Frame(NamedTuple):
    """The characters of a table's frame; a rule's are its ends, its line and its crossings."""

    vertical: str
    top: str
    middle: str
    bottom: str


ASCII = Frame("|", "+-++", "+-++", "+-++")
ROUNDED = Frame("│", "╭─┬╮", "├─┼┤", "╰─┴╯")


# Wrapping


def longest_word(texts: Iterable[str]) -> int:
    """The width of the widest word, in characters of the terminal."""
    words = " ".join(texts).split()
    return max(map(cell_len, words), default=0)


def _pieces(line: str, width: int) -> Iterator[str]:
    """The words with what stands before them; those wider than that in several pieces."""
    for word in WORD.findall(line):
        if cell_len(word) <= width:
            yield word
            continue
        letters = word.lstrip()
        gap = word.removesuffix(letters)
        first, *others = chop_cells(letters, width)
        yield gap + first
        yield from others


def wrapped(line: str, width: int) -> list[str]:
    """The line in lines of at most so many characters, broken between words if possible."""
    if cell_len(line) <= width:
        return [line]
    lines = [""]
    for piece in _pieces(line, width):
        longer = lines[-1] + piece
        if cell_len(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(piece.lstrip())
    return [each for each in lines if each]


def wrapped_cell(cell: str, width: int) -> list[str]:
    """The lines of a cell, which may have breaks of its own."""
    lines = []
    for line in cell.split("\n"):
        lines += wrapped(line, width) or [""]
    return lines


def least_width(texts: Iterable[str], most_lines: int) -> int:
    """How wide a column has to be for no line of it to be wrapped onto more lines than that."""
    lines = set("\n".join(texts).split("\n"))
    if most_lines == 1:
        return max(map(cell_len, lines))
    width = longest_word(lines)
    for line in lines:
        while len(wrapped(line, width)) > most_lines:
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


def styled(cell: str) -> str:
    return LEVELS.get(cell, "")


def padded(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text))


def rule(characters: str, widths: list[int]) -> Text:
    left, line, crossing, right = tuple(characters)
    bars = [line * (width + BORDER - 1) for width in widths]
    return Text(left + crossing.join(bars) + right, style=FRAME)


def grid_line(texts: Cells, styles: Cells, vertical: str) -> Text:
    """One line through all columns; the texts are as wide as these."""
    line = Text()
    for text, style in zip(texts, styles, strict=True):
        line.append(f"{vertical} ", FRAME)
        line.append(f"{text} ", style)
    return line.append(vertical, FRAME)


def grid_row(
    cells: Cells, styles: Cells, widths: list[int], vertical: str
) -> Iterator[Text]:
    """The lines of a row, as many as its highest cell has."""
    columns = list(map(wrapped_cell, cells, widths))
    for texts in zip_longest(*columns, fillvalue=""):
        full = list(map(padded, texts, widths))
        yield grid_line(full, styles, vertical)


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
        line.append(f" {value}", styled(cell))
        line.rstrip()
        yield line


def below_header(header: str, cell: str, width: int) -> Iterator[Text]:
    """The lines of a header and, below it, its value."""
    for label in wrapped_cell(header, width):
        yield Text(label, style=HEADER)
    for value in wrapped_cell(cell, width - len(INDENT)):
        yield Text(INDENT + value, style=styled(cell))


@dataclass(frozen=True)
class Table:
    """A table of texts; a row has as many as there are headers, and these may have breaks."""

    headers: Cells
    rows: list[Cells]

    @cached_property
    def least_widths(self) -> list[list[int]]:
        """For one line in a cell, for two and so on: how wide each column has to be."""
        columns = list(zip(self.headers, *self.rows, strict=True))
        # A row that stands alone reads better as a list than with its cells wrapped.
        most_lines = MOST_LINES if len(self.rows) > 1 else 1
        numbers = range(1, most_lines + 1)
        return [[least_width(column, each) for column in columns] for each in numbers]

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

    @cached_property
    def has_breaks(self) -> bool:
        return any("\n" in cell for row in self.rows for cell in row)

    def grid_widths(self, width: int) -> list[int]:
        """How wide the columns are side by side; empty if that does not fit."""
        borders = BORDER * len(self.headers) + 1
        for number, widths in enumerate(self.least_widths, start=1):
            spare = width - borders - sum(widths)
            if spare >= 0:
                choices = self.least_widths[:number]
                return shared_out(spare, choices)
        return []

    def _grid(self, widths: list[int], frame: Frame) -> Iterator[Text]:
        middle = rule(frame.middle, widths)
        header_styles = [HEADER] * len(widths)
        yield rule(frame.top, widths)
        yield from grid_row(self.headers, header_styles, widths, frame.vertical)
        for number, row in enumerate(self.rows):
            if number == 0 or self.has_breaks:
                yield middle
            styles = list(map(styled, row))
            yield from grid_row(row, styles, widths, frame.vertical)
        yield rule(frame.bottom, widths)

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

    def _list(self, width: int, frame: Frame) -> Iterator[Text]:
        widths = self.list_widths(width)
        header_width, value_width = widths
        _, line, crossing, _ = tuple(frame.middle)
        between = line * (header_width + 1) + crossing + line * (value_width + 1)
        for number, row in enumerate(self.rows):
            if number > 0:
                yield Text(between, style=FRAME)
            for header, cell in zip(self.headers, row, strict=True):
                if longest_word([cell]) <= value_width:
                    yield from beside_header(header, cell, widths, frame.vertical)
                else:
                    yield from below_header(header, cell, width)

    def lines(self, width: int, frame: Frame = ASCII) -> Iterator[Text]:
        """The table as lines for a terminal with so many characters a line."""
        grid = self.grid_widths(width)
        if grid:
            return self._grid(grid, frame)
        return self._list(max(width, NARROWEST), frame)
