"""Lets the server fetch incidents again and again, and shows what came."""

from collections.abc import Callable
from datetime import datetime

from warroom.terminal.desk import DONE, Desk, Misuse
from warroom.terminal.display import draw_incidents
from warroom.terminal.markdown import draw_markdown
from warroom.terminal.options import FETCH_NUMBERS

USAGE = "[--times N] [--every SECONDS]"


def read_numbers(rest: list[str]) -> dict[str, int]:
    """The numbers in `--times N --every N`. Raises: Misuse: there is anything else."""
    numbers: dict[str, int] = {}
    words = iter(rest)
    for option in words:
        value = next(words, "")
        name = option.removeprefix("--")
        is_known = option.startswith("--") and name in FETCH_NUMBERS
        is_new = name not in numbers
        if not (is_known and is_new and value.isdecimal()):
            raise Misuse(f"fetch takes {USAGE}.")
        numbers[name] = int(value)
    return numbers


def clock_time(clock: Callable[[], datetime] | None) -> str:
    """When a fetch was, where that is not simply now."""
    if clock is None:
        return ""
    return f" at {clock():%Y-%m-%d %H:%M:%S}"


def used_requests(before: dict[str, int], after: dict[str, int]) -> list[str]:
    used = []
    for face, number in after.items():
        difference = number - before[face]
        used.append(f"{face}: {difference}")
    return used


def fetch_once(desk: Desk) -> int:
    """Let the server fetch once; show what came and which requests it took."""
    backend = desk.backend
    arrivals = backend.watch_arrivals()
    before = backend.count_requests()
    run = desk.room.fetch()
    if run.failed or desk.options.shape != "table":
        return desk.show([run])
    time = clock_time(desk.room.clock)
    number = len(run.incidents)
    used = used_requests(before, backend.count_requests())
    heading = ", ".join([f"### Fetch{time}, incidents: {number}", *used])
    draw_markdown(heading, desk.console)
    draw_incidents(run.incidents, arrivals, desk.console)
    return DONE


def fetch(desk: Desk, rest: list[str]) -> int:
    """Fetch several times.

    Between two fetches the simulated tenant's time jumps; a real one is waited for.
    """
    backend = desk.backend
    numbers = read_numbers(rest)
    times = numbers.get("times", desk.options.times)
    every = numbers.get("every", desk.options.every)
    if times is None:
        times = backend.usual_fetches
    codes = [DONE]
    for number in range(times):
        is_first = number == 0 and not desk.room.last_run
        if not is_first:
            backend.let_pass(every)
        code = fetch_once(desk)
        codes.append(code)
    return max(codes)
