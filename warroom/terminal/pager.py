"""Shows what is longer than the screen in a pager, where a person sits at the terminal."""

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator

from rich.console import Console

from warroom.terminal.progress import Listener, telling

USUAL = "less -R"


def pager_command() -> list[str]:
    """The words of $PAGER, or of the usual one; none where there is no such program."""
    given = os.environ.get("PAGER", USUAL)
    try:
        words = shlex.split(given)
    except ValueError:
        return []
    if not words or shutil.which(words[0]) is None:
        return []
    return words


def is_interactive() -> bool:
    is_dumb = os.environ.get("TERM") == "dumb"
    return sys.stdin.isatty() and sys.stdout.isatty() and not is_dumb


@contextlib.contextmanager
def without_interruption() -> Iterator[None]:
    """Where Ctrl-C is the pager's alone to understand."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def page(text: str, command: list[str]) -> None:
    """Show a text in a pager, which a person may leave before its end.

    Raises: OSError: the pager cannot be started.
    """
    environment = {"LESS": "-R", **os.environ}  # for a $PAGER that is less alone
    pager = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        env=environment,
        text=True,
        errors="backslashreplace",
    )
    with without_interruption(), contextlib.suppress(BrokenPipeError):
        pager.communicate(text)


def show(text: str, console: Console) -> None:
    """Print a text, or page it if it has more lines than the screen."""
    is_long = text.count("\n") >= console.height
    command = pager_command() if is_long and is_interactive() else []
    if command:
        with contextlib.suppress(OSError):
            page(text, command)
            return
    console.file.write(text)
    console.file.flush()


@contextlib.contextmanager
def paged(console: Console, listener: Listener | None) -> Iterator[None]:
    """Show at once what is printed meanwhile, where somebody looks at it."""
    if not is_interactive():
        yield
        return
    with telling(listener, "drawing"), console.capture() as captured:
        yield
    show(captured.get(), console)
