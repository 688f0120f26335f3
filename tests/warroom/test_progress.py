"""What a command is doing shows on one line of the terminal while it runs, and only there."""

import fcntl
import io
import os
import pty
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable

import pytest
from rich.console import Console

from helpers import LIST, NOW, SMALL, Make
from warroom.azure.demo import demo_tenant
from warroom.azure.server import Simulator
from warroom.demo import demo_instance
from warroom.terminal import progress
from warroom.terminal.backend import open_backend
from warroom.terminal.options import read_options
from warroom.terminal.progress import live_line
from warroom.xsoar.integration import MANIFEST, PROJECT, load_integration
from warroom.xsoar.runner import WarRoom

CLEARED = "\r\x1b[K"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal of 40 columns."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")
    return Terminal()


def live(terminal: Terminal) -> Callable[[str], None]:
    line = live_line(terminal)
    assert line is not None
    return line


def test_a_line_takes_the_place_of_the_one_before_and_is_cleared(terminal: Terminal) -> None:
    show = live(terminal)
    for text in ("page 1, 500 rows", "page 2, 1,000 rows", ""):
        show(text)
    assert terminal.getvalue() == f"{CLEARED}page 1, 500 rows{CLEARED}page 2, 1,000 rows{CLEARED}"


def test_a_line_stays_one_line_and_plays_nothing_with_the_terminal(terminal: Terminal) -> None:
    show = live(terminal)
    show("a\x1b[2J" + "b" * 99 + "\nc")
    assert terminal.getvalue() == f"{CLEARED}a\\x1b[2J{'b' * 31}"


def test_wide_characters_and_tabs_take_the_room_that_they_need(terminal: Terminal) -> None:
    show = live(terminal)
    for text in ("漢" * 30, "a\tb"):
        show(text)
    assert terminal.getvalue() == f"{CLEARED}{'漢' * 19}{CLEARED}a b"


def test_the_room_is_that_of_the_terminal_that_shows_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("COLUMNS", raising=False)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 20, 0, 0))
    with os.fdopen(theirs, "w") as file:
        show = live_line(file)
        assert show is not None
        show("a" * 99)
        shown = os.read(ours, 65536).decode()
        show("")
    os.close(ours)
    assert shown == f"{CLEARED}{'a' * 19}"


def test_the_seconds_are_counted_until_the_line_is_cleared(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "TICK", 0.01)
    moments = iter([100.0, 100.0, 103.5])
    monkeypatch.setattr(progress, "monotonic", lambda: next(moments, 112.0))
    show = live(terminal)
    show("page 12, 6,000 rows")
    counted = (
        f"{CLEARED}page 12, 6,000 rows{CLEARED}page 12, 6,000 rows (3 s so far){CLEARED}page 12, 6,000 rows (12 s "
    )
    while counted not in terminal.getvalue():
        time.sleep(0.01)
    show("")
    shown = terminal.getvalue()
    assert shown.endswith(f"(12 s so far){CLEARED}")
    time.sleep(0.05)
    assert terminal.getvalue() == shown


def test_what_the_platform_logs_of_its_own_is_not_shown(terminal: Terminal) -> None:
    show = live(terminal)
    for text in ("Command being called is fetch-incidents", "Setting integration context", ""):
        show(text)
    assert terminal.getvalue() == f"{CLEARED}fetch-incidents is running{CLEARED}"


def test_a_wait_for_a_real_tenant_is_seen(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "contoso-secret")
    instance = str(PROJECT / "warroom/instance.example.json")
    backend = open_backend(read_options(["--instance", instance]), Console())
    backend.let_pass(600)
    assert (waits, terminal.getvalue()) == ([600], f"{CLEARED}waiting 600 s{CLEARED}")


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_there_is_no_live_line_without_a_terminal_that_can_delete_one(
    monkeypatch: pytest.MonkeyPatch, kind: type[io.StringIO]
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert live_line(kind()) is None
    monkeypatch.setenv("TERM", "xterm")
    assert (live_line(kind()) is None) is (kind is io.StringIO)


def test_a_walk_shows_its_pages_and_the_wait_for_graph(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("time.sleep", lambda _: None)
    tenant = demo_tenant(NOW, users=20, detections=0)
    tenant.largest_page = 10
    with Simulator(tenant) as simulator:
        show = live(terminal)
        room = WarRoom(load_integration(), MANIFEST, demo_instance(), simulator=simulator, listener=show)
        simulator.fail_next(429, after=1, retry_after=2)
        assert not room.run(f"{LIST} limit=20").failed
    shown = terminal.getvalue().split(CLEARED)
    assert shown[-3:] == ["page 1, 10 rows", "Graph allows one request a second: waiting 2 s", ""]


def test_the_line_is_cleared_after_a_fault_too(make: Make, terminal: Terminal) -> None:
    room = make(listener=live(terminal))
    assert room.run("!contoso-fault").failed
    assert terminal.getvalue() == f"{CLEARED}running contoso-fault{CLEARED}"


def test_of_a_process_only_the_terminal_shows_the_line() -> None:
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "warroom", *SMALL, f"{LIST} limit=1"],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm"},
        check=True,
    )
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert f"{CLEARED}azure-risky-users-list is running{CLEARED}" in shown
    assert shown.endswith(CLEARED)
    assert b"\x1b" not in done.stdout
    assert b"is running" not in done.stdout


def test_where_the_errors_go_to_a_file_there_is_no_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "warroom", *SMALL, f"{LIST} limit=1"], cwd=PROJECT, capture_output=True, check=True
    )
    said = "The tenant is simulated: nothing leaves this machine. It is new in each call; --state FILE keeps it.\n"
    assert done.stderr.decode() == said
