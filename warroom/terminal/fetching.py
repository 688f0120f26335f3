"""Lets the server fetch incidents again and again, and shows what came."""

import re
from itertools import zip_longest

from warroom.terminal.completion import Candidate
from warroom.terminal.desk import DONE, Desk, Misuse
from warroom.terminal.display import draw_incidents
from warroom.terminal.markdown import draw_markdown
from warroom.terminal.options import FETCH_HELP, FETCH_OPTIONS
from warroom.xsoar.nearest import did_you_mean
from warroom.xsoar.runner import WarRoom

NUMBER = re.compile("[0-9]{1,18}")
USAGE = "[--times N] [--every SECONDS]"


def read_numbers(rest: list[str]) -> dict[str, int]:
    """The numbers in `--times N --every N`. Raises: Misuse: there is anything else."""
    options = rest[::2]
    values = rest[1::2]
    numbers: dict[str, int] = {}
    pairs = zip_longest(options, values, fillvalue="")
    for option, value in pairs:
        name = option.removeprefix("--")
        is_option = option in FETCH_OPTIONS
        is_number = NUMBER.fullmatch(value) is not None
        is_first = name not in numbers
        understood = is_option and is_number and is_first
        if not understood:
            question = "" if is_option else did_you_mean(option, FETCH_OPTIONS)
            raise Misuse(f"fetch takes {USAGE}.{question}")
        numbers[name] = int(value)
    return numbers


def clock_time(room: WarRoom) -> str:
    """When a fetch was, where that is not simply now."""
    if room.clock is None:
        return ""
    moment = room.clock()
    return f" at {moment:%Y-%m-%d %H:%M:%S}"


def fetch_once(desk: Desk) -> int:
    """Let the server fetch once; show what came and which requests it took."""
    backend = desk.backend
    room = backend.room
    # Before the fetch, as from the first look on the room goes by the tenant's clock.
    arrivals = backend.watch_arrivals()
    before = backend.count_requests()
    run = room.fetch()
    desk.shown = run
    after = backend.count_requests()
    if run.failed or not desk.draws:
        return desk.show([run])
    time = clock_time(room)
    number = len(run.incidents)
    heading = f"### Fetch{time}, incidents: {number}"
    for face, total in after.items():
        used = total - before[face]
        heading += f", {face}: {used}"
    console = desk.console
    draw_markdown(heading, console)
    draw_incidents(run, arrivals, console)
    return DONE


def let_pass(desk: Desk, seconds: int) -> None:
    """Raises: Misuse: that is more than a clock can tell."""
    try:
        desk.backend.let_pass(seconds)
    except OverflowError:
        problem = f"No clock tells the time of a fetch {seconds} seconds later."
        raise Misuse(problem) from None


def usual_times(desk: Desk) -> int:
    options = desk.options
    if options.times is None:
        return desk.backend.usual_fetches
    return options.times


def follow_fetch(_: Desk, words: list[str]) -> list[Candidate]:
    """The options; after one of them comes a number."""
    *given, _word = words
    if given and given[-1] in FETCH_OPTIONS:
        return []
    return [Candidate(f"--{name}", text) for name, text in FETCH_HELP.items()]


def fetch(desk: Desk, rest: list[str]) -> int:
    """Fetch several times.

    Between two fetches the simulated tenant's time jumps; a real one is waited for.
    """
    room = desk.room
    numbers = read_numbers(rest)
    times = numbers.get("times", usual_times(desk))
    every = numbers.get("every", desk.options.every)
    codes = [DONE]
    for number in range(times):
        # Time also passes since the last fetch of an earlier line, which left a last run.
        if number > 0 or room.last_run:
            let_pass(desk, every)
        code = fetch_once(desk)
        codes.append(code)
    return max(codes)
