"""What is longer than the screen goes to a pager where a person sits at the terminal, and only there."""

import io
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from helpers import LIST, SMALL
from warroom.terminal import pager
from warroom.xsoar.integration import PROJECT

HEIGHT = 10


@pytest.fixture
def received(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that the pager writes what it gets to; a person sits at the terminal."""
    file = tmp_path / "paged"
    monkeypatch.setenv("PAGER", f"sh -c 'printf %s \"$LESS\" > {file}.less; cat > {file}'")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("LESS", raising=False)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    return file


def console() -> Console:
    return Console(
        file=io.StringIO(), width=20, height=HEIGHT, force_terminal=True, color_system="standard", highlight=False
    )


def shown(lines: int) -> str:
    """What is printed beside the pager when so many coloured lines are."""
    screen = console()
    with pager.paged(screen, None):
        for number in range(lines):
            screen.print(f"line {number}", style="red")
    text: str = screen.file.getvalue()  # type: ignore[attr-defined]
    return text


def red_lines(number: int) -> str:
    return "".join(f"\x1b[31mline {each}\x1b[0m\n" for each in range(number))


def test_what_fits_the_screen_is_printed_and_what_does_not_is_paged_with_its_colours(received: Path) -> None:
    assert (shown(HEIGHT - 1), received.exists()) == (red_lines(HEIGHT - 1), False)
    assert (shown(HEIGHT), received.read_text(encoding="utf-8")) == ("", red_lines(HEIGHT))
    assert received.with_suffix(".less").read_text(encoding="utf-8") == "-R"


@pytest.mark.parametrize("command", ["", " ", "contoso-no-such-pager", "less 'open"])
def test_without_a_pager_all_is_printed(command: str, received: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGER", command)
    assert shown(HEIGHT) == red_lines(HEIGHT)
    assert not received.exists()


@pytest.mark.parametrize(("has_less", "command"), [(True, ["less", "-R"]), (False, [])])
def test_the_usual_pager_is_less_that_shows_colours(
    has_less: bool, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PAGER", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}" if has_less else None)
    assert pager.pager_command() == command


@pytest.mark.parametrize("stream", ["stdin", "stdout"])
def test_nothing_is_paged_where_nobody_could_leave_the_pager(
    stream: str, received: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(getattr(sys, stream), "isatty", lambda: False)
    assert shown(HEIGHT) == red_lines(HEIGHT)
    assert not received.exists()


def test_a_pager_may_be_left_before_the_end(received: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGER", "true")
    assert (shown(5_000), received.exists()) == ("", False)


def test_with_a_pager_that_does_not_start_all_is_printed(received: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_program = received.with_suffix(".sh")
    no_program.write_text("cat\n", encoding="utf-8")
    no_program.chmod(0o700)
    monkeypatch.setenv("PAGER", str(no_program))
    assert shown(HEIGHT) == red_lines(HEIGHT)


def test_a_pager_gets_the_whole_text_though_it_is_interrupted(received: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt = "kill -INT $PPID; sleep 0.2"  # while more waits than a pipe holds
    monkeypatch.setenv("PAGER", f"sh -c 'sleep 0.2; {interrupt}; timeout 5 cat > {received}'")
    assert (shown(9_000), received.read_text(encoding="utf-8")) == ("", red_lines(9_000))
    with pytest.raises(KeyboardInterrupt):  # It is the person's again.
        signal.raise_signal(signal.SIGINT)


def at_terminal(*arguments: str) -> str:
    """What a terminal shows of `warroom`, with a pager that says so."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "PAGER": "sed s/^/paged:/"}
    command = [sys.executable, "-m", "warroom", *SMALL, *arguments]
    done = subprocess.Popen(command, cwd=PROJECT, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    output = b""
    while select.select([ours], [], [], 30)[0]:
        try:
            output += os.read(ours, 65536)
        except OSError:
            break
    os.close(ours)
    assert done.wait() == 0
    return output.decode()


def test_a_long_list_and_the_help_are_paged_and_the_story_of_an_alarm_is_not() -> None:
    listed = at_terminal(f"{LIST} limit=20")
    assert "\npaged:" in listed
    assert "azure-risky-users-list is running" in listed
    assert "paged:!azure-risky-users-auth-test" in at_terminal("help").replace("\x1b[1m", "").replace("\x1b[0m", "")
    assert "paged:" not in at_terminal("demo")
