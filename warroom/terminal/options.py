"""What the command line of `warroom` takes."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from warroom.azure.scenarios import SCENARIOS
from warroom.terminal.characters import harmless
from warroom.terminal.state import State
from warroom.xsoar.commandline import Args
from warroom.xsoar.instance import load_instance

DESCRIPTION = (
    "The war room at the command line: "
    "a prompt, or the lines given as arguments or on standard input."
)

SHAPE_HELP = {
    "markdown": "print the readable text as the server gets it",
    "json": "print the entries exactly as the server gets them",
}
TENANT_DEFAULTS = {
    "users": 1200,
    "detections": 3000,
    "seed": 7,
}
FETCH_HELP = {
    "times": "how often `fetch` fetches: 6, of a real instance 1",
    "every": (
        "seconds from one fetch to the next, "
        "which pass at once in the simulated tenant: 600"
    ),
}
FETCH_OPTIONS = [f"--{name}" for name in FETCH_HELP]
EVERY = 600  # seconds


@dataclass(frozen=True)
class Options:
    """The command line, read. times: None is as often as usual for the tenant.

    scenario: what is played in the simulated tenant at first; None is what an earlier
    call has kept, or that all is normal. state: where the tenant is kept.
    """

    lines: list[str]
    shape: str
    instance: Args | None
    users: int
    detections: int
    seed: int
    times: int | None
    every: int
    scenario: str | None = None
    state: State | None = None


def instance_file(path: str) -> Args:
    """The parameters in an instance's file, as argparse wants them read."""
    try:
        return load_instance(Path(path))
    except (OSError, ValueError) as problem:
        text = harmless(str(problem))
        raise argparse.ArgumentTypeError(text) from problem


def state_file(path: str) -> State:
    """The state in a file, as argparse wants it read."""
    try:
        return State.read(path)
    except (OSError, ValueError) as problem:
        text = harmless(str(problem))
        raise argparse.ArgumentTypeError(text) from problem


def whole_number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number")
    return int(text)


def add_lines(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "lines",
        nargs="*",
        metavar="LINE",
        help="what would be typed; without any, a prompt opens",
    )


def add_instance(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--instance",
        type=instance_file,
        metavar="FILE",
        help="a JSON file with the parameters of a real instance",
    )


def add_shapes(parser: argparse.ArgumentParser) -> None:
    group = parser.add_mutually_exclusive_group()
    for name, text in SHAPE_HELP.items():
        group.add_argument(
            f"--{name}",
            dest="shape",
            action="store_const",
            const=name,
            default="table",
            help=text,
        )


def add_scenario(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scenario",
        choices=SCENARIOS,
        metavar="NAME",
        help="what is played in the simulated tenant; `warroom scenario` lists them",
    )


def add_state(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--state",
        type=state_file,
        metavar="FILE",
        help="keeps the simulated tenant and the context from one call to the next",
    )


def add_number(
    parser: argparse.ArgumentParser, name: str, text: str, default: int | None
) -> None:
    parser.add_argument(
        f"--{name}",
        type=whole_number,
        metavar="N",
        default=default,
        help=text,
    )


def new_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="warroom",
        description=DESCRIPTION,
        epilog="`warroom help` lists the lines.",
    )
    add_lines(parser)
    add_shapes(parser)
    add_instance(parser)
    for name, default in TENANT_DEFAULTS.items():
        add_number(parser, name, f"of the simulated tenant: {default}", default)
    add_scenario(parser)
    add_state(parser)
    add_number(parser, "times", FETCH_HELP["times"], None)
    add_number(parser, "every", FETCH_HELP["every"], EVERY)
    return parser


def other_tenant(options: Options) -> str:
    """What is wrong with options that ask for another tenant than the one that is kept."""
    if options.state is None or not options.state.kept:
        return ""
    origin = options.state.kept["tenant"].get("origin")
    if not isinstance(origin, dict):  # What is wrong with the file is told later.
        return ""
    for name, default in TENANT_DEFAULTS.items():
        asked = getattr(options, name)
        if asked not in (default, origin.get(name)):
            return f"the tenant in {options.state.path} has --{name} {origin.get(name)}"
    return ""


def read_options(arguments: list[str] | None) -> Options:
    """The options among these arguments, or else those of this process.

    Raises: SystemExit: they cannot be used.
    """
    parser = new_parser()
    options = parser.parse_args(arguments)
    for name in ("scenario", "state"):
        if options.instance is not None and getattr(options, name) is not None:
            parser.error(f"--{name} is only for the simulated tenant")
    read = Options(**vars(options))
    other = other_tenant(read)
    if other:
        parser.error(other)
    return read
