"""Shows on one line of the terminal what a command is doing, while it runs."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from time import monotonic
from typing import TextIO

from rich.cells import cell_len, set_cell_size

from warroom.terminal.characters import harmless

CLEARED = "\r\x1b[K"  # to the start of the line, and delete to its end
CALLED = "Command being called is "  # how an integration's log begins
# What the platform's library logs, which tells nobody what is waited for.
PLATFORM = ("Setting integration context", "Updating integration context")
TICK = 1.0  # seconds
USUAL_WIDTH = 80  # columns of a terminal that does not tell

Listener = Callable[[str], None]


def told(log_line: str) -> str:
    """What the first line of a text of the log tells a person who waits."""
    first, *_ = log_line.splitlines() or [""]
    if first.startswith(CALLED):
        return f"{first.removeprefix(CALLED)} is running"
    return first


def width_of(terminal: TextIO) -> int:
    """Its columns; COLUMNS changes it, as it does for what is printed.

    Asked is this terminal, as what is printed may go to a file.
    """
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    with contextlib.suppress(OSError):
        size = os.get_terminal_size(terminal.fileno())
        return size.columns or USUAL_WIDTH
    return USUAL_WIDTH


def beginning(text: str, cells: int) -> str:
    """As much of a text as so many cells of a terminal hold; a wide character takes two."""
    if cell_len(text) <= cells:
        return text
    return set_cell_size(text, max(cells, 0)).rstrip()


class LiveLine:
    """A line of a terminal that shows only what it was told last, and for how long by now."""

    def __init__(self, terminal: TextIO):
        self.terminal = terminal
        self._text = ""
        self._since = 0.0
        self._lock = threading.Lock()
        self._is_over = threading.Event()

    def _draw(self) -> None:
        """Show the text, as far as there is room."""
        seconds = int(monotonic() - self._since)
        waited = f" ({seconds} s so far)" if self._text and seconds else ""
        room = width_of(self.terminal) - 1  # a full line would move on to the next
        spelled = harmless(self._text).expandtabs(1)
        shown = beginning(spelled + waited, room)
        self.terminal.write(f"{CLEARED}{shown}")
        self.terminal.flush()

    def _tick(self, is_over: threading.Event) -> None:
        """Count the seconds, to the end of what is waited for."""
        while not is_over.wait(TICK):
            with self._lock:
                if not is_over.is_set():
                    self._draw()

    def _start_ticking(self) -> None:
        self._is_over = threading.Event()
        ticking = threading.Thread(target=self._tick, args=[self._is_over], daemon=True)
        ticking.start()

    def __call__(self, text: str) -> None:
        """Show what a text tells, if anything; "" clears the line."""
        if text.startswith(PLATFORM):
            return
        with self._lock:
            begins = bool(text) and not self._text
            self._text = told(text)
            self._since = monotonic()
            self._draw()
            if not text:
                self._is_over.set()
        if begins:
            self._start_ticking()


def live_line(file: TextIO) -> Listener | None:
    """A live line, where the file is a terminal that can delete a line."""
    is_dumb = os.environ.get("TERM") == "dumb"
    if is_dumb or not file.isatty():
        return None
    return LiveLine(file)


@contextlib.contextmanager
def telling(listener: Listener | None, text: str) -> Iterator[None]:
    """Tell what is done meanwhile, where anybody listens."""
    if listener is None:
        yield
        return
    listener(text)
    try:
        yield
    finally:
        listener("")
