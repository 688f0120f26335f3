"""A program at a terminal: what is typed to it, and what it then shows."""

import codecs
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

SIZE = (50, 120)  # rows and columns of the terminal
STDIN = 0
PATIENCE = 20  # seconds, far more than anything takes

SEQUENCE = re.compile(r"\x1b\[(?P<numbers>[?\d;]*)(?P<kind>[A-Za-z])|(?P<character>[^\x1b])", re.DOTALL)
PROMPT_SHOWN, PROMPT_LEFT = "\x1b[?2004h", "\x1b[?2004l"  # pasting is asked for while there is a prompt


class Screen:
    """What stands on a terminal with room for any number of lines of any length."""

    def __init__(self) -> None:
        self.rows: list[list[str]] = [[]]
        self.row = self.column = 0

    def _go(self, row: int, column: int) -> None:
        self.row, self.column = max(row, 0), max(column, 0)
        self.rows += [[] for _ in range(self.row - len(self.rows) + 1)]

    def _erase(self) -> None:
        del self.rows[self.row][self.column :]

    def _write(self, character: str) -> None:
        moves = {"\n": (self.row + 1, self.column), "\r": (self.row, 0), "\b": (self.row, self.column - 1)}
        if character in moves:
            self._go(*moves[character])
        elif character.isprintable():
            line = self.rows[self.row]
            line += " " * (self.column + 1 - len(line))
            line[self.column] = character
            self.column += 1

    def _control(self, kind: str, numbers: str) -> None:
        count = int(numbers) if numbers.isdecimal() else 1
        moves = {"A": (-count, 0), "B": (count, 0), "C": (0, count), "D": (0, -count)}
        if kind in moves:
            down, right = moves[kind]
            self._go(self.row + down, self.column + right)
        elif kind == "H":
            self._go(0, 0)
        elif kind == "K":
            self._erase()
        elif kind == "J":
            if numbers == "2":
                self.rows, self.row, self.column = [[]], 0, 0
            self._erase()
            del self.rows[self.row + 1 :]
        else:
            assert kind in "mhln", f"a control sequence that this screen does not know: {numbers}{kind}"

    def show(self, text: str) -> None:
        for match in SEQUENCE.finditer(text):
            if match["kind"]:
                self._control(match["kind"], match["numbers"])
            else:
                self._write(match["character"])

    @property
    def lines(self) -> list[str]:
        return ["".join(row).rstrip() for row in self.rows]


class Typist:
    """Types at the prompt of `warroom`, and reads the screen."""

    def __init__(self, terminal: int, process: "subprocess.Popen[bytes]"):
        self.terminal = terminal
        self.process = process
        self.screen = Screen()
        self.decoder = codecs.getincrementaldecoder("utf-8")()
        self.sent = ""
        self.typed: list[str] = []

    def _read(self) -> None:
        ready, _, _ = select.select([self.terminal], [], [], PATIENCE)
        assert ready, "nothing comes any more; there is\n" + "\n".join(self.screen.lines)
        text = self.decoder.decode(os.read(self.terminal, 65536))
        self.sent += text
        self.screen.show(text)

    def wait(self, arrived: Callable[[], bool]) -> None:
        """Read on until this is so."""
        deadline = time.monotonic() + PATIENCE
        while not arrived():
            assert time.monotonic() < deadline, "\n".join(self.screen.lines)
            self._read()

    def wait_for_prompt(self, number: int) -> None:
        """Read on until the prompt stands there for the so manieth time, with nothing behind it."""

        def is_there() -> bool:
            left = self.sent.count(PROMPT_LEFT)
            line = self.screen.lines[self.screen.row]
            return self.sent.count(PROMPT_SHOWN) - left == 1 and left + 1 == number and line == "warroom>"

        self.wait(is_there)

    @property
    def prompts(self) -> int:
        return self.sent.count(PROMPT_SHOWN)

    def type(self, keys: str) -> None:
        os.write(self.terminal, keys.encode())

    def run(self, line: str) -> list[str]:
        """Type a line; give what is then shown, up to the next prompt."""
        number = self.prompts
        start = self.screen.row + 1
        self.typed.append(line)
        self.type(f"{line}\r")
        self.wait_for_prompt(number + 1)
        rows = self.screen.lines
        return rows[start : self.screen.row]

    def interrupt(self, line: str, text: str) -> list[str]:
        """Type a line, and Ctrl-C when that text is shown; give what is shown up to the next prompt."""
        number = self.prompts
        start = self.screen.row + 1
        self.typed.append(line)
        self.type(f"{line}\r")
        self.wait(lambda: any(text in row for row in self.screen.lines[start:]))
        self.type("\x03")
        self.wait_for_prompt(number + 1)
        return self.screen.lines[start : self.screen.row]

    def complete(self, line: str, *expected: str) -> None:
        """Type the beginning of a line and Tab; wait until the screen shows just this from there on; drop the line.

        expected: the line as it then stands, and the rows of the offer, with single spaces.
        """
        number = self.prompts
        start = self.screen.row
        self.type(f"{line}\t")
        self.wait(lambda: [" ".join(row.split()) for row in self.screen.lines[start:] if row] == list(expected))
        self.type("\x03")
        self.wait_for_prompt(number + 1)

    def leave(self, line: str) -> int:
        """Type a line that ends the program; give its exit status."""
        self.type(f"{line}\r")
        return self.process.wait(PATIENCE)


def take_terminal() -> None:
    """Make the terminal this process's own, which Ctrl-C then reaches."""
    fcntl.ioctl(STDIN, termios.TIOCSCTTY, 0)


@contextmanager
def terminal(command: list[str], folder: Path) -> Iterator[Typist]:
    """A program that was started at a terminal of its own. folder: where it keeps its state."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", *SIZE, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    screen = {"TERM": "xterm", "NO_COLOR": "1", "PAGER": "", "PROMPT_TOOLKIT_NO_CPR": "1"}
    settings = {**screen, "XDG_STATE_HOME": str(folder)}
    process = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**kept, **settings},
        start_new_session=True,
        preexec_fn=take_terminal,
    )
    os.close(theirs)
    try:
        yield Typist(ours, process)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
