"""Runs pip, and shows at a terminal what it is doing, on one line; elsewhere pip is quiet.

`python tools/install.py ...` takes what `pip install` takes, for the Python that runs it. It
needs nothing that is not in a new environment.
"""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable

PIP = (sys.executable, "-m", "pip", "install", "--disable-pip-version-check")
CLEARED = "\r\x1b[K"  # to the start of the line, and delete to its end
TICK = 1.0  # seconds


def show(line: str) -> None:
    """Let a line take the place of the last one, as far as there is room."""
    width = shutil.get_terminal_size().columns - 1
    sys.stdout.write(CLEARED + line[:width])
    sys.stdout.flush()


def tick(last: Callable[[], str], is_over: threading.Event) -> None:
    """Show the last line, with the seconds so far, until all is over."""
    start = time.monotonic()
    while not is_over.wait(TICK):
        seconds = time.monotonic() - start
        show(f"{seconds:.0f} s: {last()}")


def install_in_sight(arguments: list[str]) -> int:
    """Show each second what pip printed last. Gives pip's exit code.

    If pip fails, all that it printed is shown.
    """
    printed = [""]
    is_over = threading.Event()
    ticking = threading.Thread(target=tick, args=[lambda: printed[-1], is_over])
    ticking.start()
    command = [*PIP, "--progress-bar=off", *arguments]
    pipe, with_it = subprocess.PIPE, subprocess.STDOUT
    with subprocess.Popen(command, stdout=pipe, stderr=with_it, text=True) as pip:
        for line in pip.stdout or ():
            printed.append(line.strip())
    is_over.set()
    ticking.join()
    show("")
    if pip.returncode:
        print(*printed, sep="\n")
    return pip.returncode


def main(arguments: list[str]) -> int:
    if sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        return install_in_sight(arguments)
    return subprocess.call([*PIP, "--quiet", *arguments])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
