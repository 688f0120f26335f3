"""A session at the terminal, from the command line to the exit code."""

import sys
from collections.abc import Iterable
from contextlib import closing

from rich.console import Console

from warroom.terminal.backend import Backend, open_backend
from warroom.terminal.desk import DONE, FAILED, MISUSED, Desk
from warroom.terminal.display import open_console
from warroom.terminal.keywords import KEYWORDS
from warroom.terminal.options import Options, read_options
from warroom.terminal.prompt import LineCompleter, prompted
from warroom.terminal.state import StateError

GREETING = (
    "A command starts with !, Tab completes it, help lists them all, quit leaves."
)


def typed_lines(desk: Desk) -> Iterable[str]:
    """The lines given as arguments, or else those typed at the terminal, or piped in."""
    given = desk.options.lines
    if given:
        return given
    if not sys.stdin.isatty():
        return sys.stdin
    print(GREETING)
    completer = LineCompleter(desk.known)
    return prompted(completer)


def run_session(options: Options, backend: Backend, console: Console) -> int:
    """Do what is typed, to its end. Gives the exit code of `main`."""
    desk = Desk(options, backend, console, KEYWORDS)
    lines = typed_lines(desk)
    return desk.do_all(lines)


def keep(backend: Backend) -> int:
    """Keep what was changed. Gives an exit code."""
    try:
        backend.keep()
    except OSError as problem:
        print(f"Nothing was kept: {problem}", file=sys.stderr)
        return FAILED
    return DONE


def main(arguments: list[str] | None = None) -> int:
    """Run the war room.

    Gives 2 only if the prompt did not understand a line, else 1 if there was an error
    entry, as also a `!` line has that the server refuses, or an interruption, else 0.
    """
    options = read_options(arguments)
    console = open_console()
    with closing(open_backend(options, console)) as backend:
        try:
            code = run_session(options, backend, console)
            return max(code, keep(backend))
        except StateError as problem:
            print(problem, file=sys.stderr)
            return MISUSED
