"""Shows on one line of the terminal what a command is doing, while it runs."""

import os
import shutil
from collections.abc import Callable
from typing import TextIO

from warroom.terminal.characters import harmless

CLEARED = "\r\x1b[K"  # to the start of the line, and delete to its end


class LiveLine:
    """A line of a terminal that shows only what it was told last."""

    def __init__(self, terminal: TextIO):
        self.terminal = terminal

    def __call__(self, text: str) -> None:
        """Show the first line of a text, as far as there is room; "" clears the line."""
        first, *_ = text.splitlines() or [""]
        size = shutil.get_terminal_size()
        room = size.columns - 1  # a full line would move on to the next
        shown = harmless(first)[:room]
        self.terminal.write(f"{CLEARED}{shown}")
        self.terminal.flush()


def live_line(file: TextIO) -> Callable[[str], None] | None:
    """A live line, where the file is a terminal that can delete a line."""
    is_dumb = os.environ.get("TERM") == "dumb"
    if is_dumb or not file.isatty():
        return None
    return LiveLine(file)
