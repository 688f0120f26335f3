"""The war room at the command line: a prompt, or the lines given as arguments or on standard input."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import cached_property
from typing import Any, NamedTuple

from rich.console import Console

from warroom.terminal import display
from warroom.xsoar.commandline import GENERIC, CommandLineError, Manifest
from warroom.xsoar.context import ContextError
from warroom.xsoar.runner import (
    MANIFEST,
    Run,
    WarRoom,
    demo_instance,
    load_instance,
    load_integration,
)

DONE, FAILED, MISUSED = 0, 1, 2  # exit codes

SIGN_INS = {
    "client-credentials": "Client Credentials",
    "device-code": "Device Code",
    "managed-identity": "Azure Managed Identities",
}

ADELE = "adele.vance@contoso.example"  # somebody to investigate in the simulated tenant
DEMO = (
    "!azure-risky-users-auth-test",
    "!azure-risky-users-list limit=3 risk_state=atRisk",
    f"!azure-risky-user-get user_principal_name={ADELE}",
    f"!azure-risky-user-history-list user_principal_name={ADELE}",
    f"!azure-risky-users-risk-detections-list user_principal_name={ADELE}",
    "context AzureRiskyUsers.RiskyUser.[0]",
    f"!azure-risky-users-confirm-compromised user_principal_names={ADELE} dry_run=true",
    f"!azure-risky-users-confirm-compromised user_principal_names={ADELE} verify=true",
    f"!azure-risky-user-get user_principal_name={ADELE}",
)


FETCHES: dict[str, tuple[int | None, str]] = {
    "times": (None, "how often `fetch` fetches: 6, of a real instance 1"),
    "every": (
        600,
        "seconds from one fetch to the next, which pass at once in the simulated tenant: 600",
    ),
}


class Misuse(Exception):  # noqa: N818 - what a person did, not what went wrong
    """A line that the prompt does not understand."""


class Desk:
    """The person at the war room: does one line after another, in one investigation."""

    def __init__(self, options: argparse.Namespace, console: Console):
        self.options = options
        self.console = console
        self.open = ExitStack()

    @cached_property
    def manifest(self) -> Manifest:
        return Manifest.read(MANIFEST)

    @cached_property
    def simulator(self) -> Any:
        """The simulated tenant, started when it is first needed; None with a real instance."""
        if self.options.instance:
            return None
        from warroom.azure.demo import demo_tenant
        from warroom.azure.server import Simulator

        print("The tenant is simulated: nothing leaves this machine.", file=sys.stderr)
        made = {
            name: getattr(self.options, name)
            for name in ("users", "detections", "seed")
        }
        tenant = demo_tenant(**made)
        tenant.processing_reads = 1
        return self.open.enter_context(Simulator(tenant))

    @cached_property
    def room(self) -> WarRoom:
        params = self.options.instance or demo_instance()
        sleep = self.pass_time if self.simulator else time.sleep
        return WarRoom(
            load_integration(), MANIFEST, params, simulator=self.simulator, sleep=sleep
        )

    def pass_time(self, seconds: float) -> None:
        """Wait as the platform does before it polls, in simulated time."""
        self.console.print(f"({seconds:.0f} seconds later)", style="dim")

    @cached_property
    def arrivals(self) -> Any:
        """What happens in the simulated tenant between two fetches. From now on its time is the room's."""
        from warroom.azure.arrivals import Arrivals

        arrivals = Arrivals(self.room.simulator.tenant, self.options.seed)
        self.room.clock = arrivals.now
        return arrivals

    def let_pass(self, seconds: int) -> None:
        """Go on to the next fetch: by a jump of the simulated tenant's time, else by waiting."""
        if self.room.simulator is None:
            self.room.sleep(seconds)
        else:
            self.arrivals.go_on(seconds)

    def requests(self) -> dict[str, int]:
        """How many requests the simulated tenant has had; of a real one nothing is known."""
        simulator = self.room.simulator
        if simulator is None:
            return {}
        return {
            "Graph requests": len(simulator.graph_requests),
            "login requests": len(simulator.login_requests),
        }

    def do(self, line: str) -> int:
        """Do what a line says. Gives an exit code."""
        try:
            if line.startswith("!"):
                return self.show(self.room.rounds(line))
            word, *rest = line.split()
            return self._word(word).act(self, *rest) or DONE
        except (Misuse, CommandLineError, ContextError) as problem:
            print(problem, file=sys.stderr)
            return MISUSED
        except KeyboardInterrupt:
            print("Interrupted.", file=sys.stderr)
            return FAILED

    def _word(self, name: str) -> "Word":
        if name not in WORDS:
            raise Misuse(
                f"{name!r} is not understood: a command starts with !, and there are {', '.join(WORDS)}."
            )
        return WORDS[name]

    def show(self, runs: Iterator[Run]) -> int:
        """Show each run as it comes. Gives an exit code."""
        failed = False
        for run in runs:
            display.SHAPES[self.options.shape](run, self.console)
            failed = run.failed  # Nothing runs after a failed one.
        return FAILED if failed else DONE


def at_most(rest: tuple[str, ...], number: int) -> str:
    """The one word that may follow, or nothing. Raises: Misuse: more than that follows."""
    if len(rest) > number:
        raise Misuse(f"{' '.join(rest)!r} is more than can follow here.")
    return rest[0] if rest else ""


def show_help(desk: Desk, *rest: str) -> None:
    name = at_most(rest, 1).lstrip("!")
    lines = command_help(desk.manifest, name) if name else overview(desk.manifest)
    for heading, text in lines:
        desk.console.print(f"[bold]{heading}[/bold]", markup=True)
        desk.console.print(f"    {text}", markup=False)


def overview(manifest: Manifest) -> Iterator[tuple[str, str]]:
    yield from (
        (f"!{command.name}", command.description)
        for command in manifest.commands.values()
    )
    yield from (
        (f"{name} {word.takes}".strip(), word.help) for name, word in WORDS.items()
    )


def command_help(manifest: Manifest, name: str) -> Iterator[tuple[str, str]]:
    command = manifest.find(name)
    yield f"!{command.name}", command.description
    yield from (
        (argument, argument_help(command.arguments[argument]))
        for argument in command.shown_arguments()
    )
    yield "Every command also takes", ", ".join(GENERIC)


def argument_help(rule: dict[str, Any]) -> str:
    notes = {
        "Required.": rule.get("required"),
        f"One of: {', '.join(rule.get('predefined', []))}.": rule.get("predefined"),
        f"Default: {rule.get('defaultValue')}.": rule.get("defaultValue"),
    }
    return " ".join(
        [rule["description"], *(note for note, applies in notes.items() if applies)]
    )


def show_context(desk: Desk, *rest: str) -> None:
    value = desk.room.context.read(at_most(rest, 1) or ".")
    print(json.dumps(value, indent=2, ensure_ascii=False), file=desk.console.file)


def press_test(desk: Desk, *rest: str) -> int:
    at_most(rest, 0)
    return desk.show(iter([desk.room.run_test()]))


def fetch(desk: Desk, *rest: str) -> int:
    """Fetch again and again. Between two fetches the simulated tenant's time jumps on; a real one is waited for."""
    chosen = {name: getattr(desk.options, name) for name in FETCHES} | read_fetches(
        rest
    )
    times = (
        (1 if desk.room.simulator is None else 6)
        if chosen["times"] is None
        else chosen["times"]
    )
    codes = [DONE]
    for number in range(times):
        if number or desk.room.last_run:
            desk.let_pass(chosen["every"])
        codes.append(fetch_once(desk))
    return max(codes)


def read_fetches(rest: tuple[str, ...]) -> dict[str, int]:
    """The numbers in `--times N --every N`. Raises: Misuse: there is anything else."""
    given = dict(zip(rest[::2], rest[1::2], strict=False))
    options = {f"--{name}": name for name in FETCHES}
    if (
        2 * len(given) != len(rest)
        or set(given) - set(options)
        or not all(map(str.isdecimal, given.values()))
    ):
        raise Misuse(f"fetch takes {WORDS['fetch'].takes}.")
    return {options[option]: int(number) for option, number in given.items()}


def fetch_once(desk: Desk) -> int:
    """Let the server fetch once, and show what came and which requests it took."""
    ways = desk.arrivals.ways if desk.room.simulator else {}
    before = desk.requests()
    run = desk.room.fetch()
    if run.failed or desk.options.shape != "table":
        return desk.show(iter([run]))
    used = [
        f"{face}: {number - before[face]}" for face, number in desk.requests().items()
    ]
    moment = f" at {desk.room.clock():%Y-%m-%d %H:%M:%S}" if desk.room.clock else ""
    heading = f"### Fetch{moment}, incidents: {len(run.incidents)}"
    display.draw_markdown(", ".join([heading, *used]), desk.console)
    display.draw_incidents(run.incidents, ways, desk.console)
    return DONE


def answer_sign_in(choice: str) -> Callable[..., None]:
    """Play the person at the browser, who enters a code and approves or declines."""

    def answer(desk: Desk, *rest: str) -> None:
        code = at_most(rest, 1)
        entra = simulated(desk).entra
        try:
            getattr(entra, choice)(code)
        except KeyError:
            raise Misuse(f"No sign-in waits for the code {code!r}.") from None
        desk.console.print(f"At the browser: {choice}d.")

    return answer


def choose_sign_in(desk: Desk, *rest: str) -> None:
    way = at_most(rest, 1)
    simulated(desk)
    if way not in SIGN_INS:
        raise Misuse(f"signin takes one of {', '.join(SIGN_INS)}.")
    desk.room.params = demo_instance(SIGN_INS[way])
    desk.console.print(f"The instance now signs in by {SIGN_INS[way]}.")


def simulated(desk: Desk) -> Any:
    """The simulator. Raises: Misuse: the instance is a real one."""
    if desk.simulator is None:
        raise Misuse(
            "That is only for the simulated tenant; this instance is a real one."
        )
    return desk.simulator


def demonstrate(desk: Desk, *rest: str) -> int:
    """Do a tour of lines, each shown as it would be typed."""
    at_most(rest, 0)
    simulated(desk)
    codes = [DONE]
    for line in DEMO:
        desk.console.print(f"\n[bold green]warroom>[/bold green] {line}", markup=True)
        codes.append(desk.do(line))
    return max(codes)


def leave(_: Desk, *rest: str) -> None:
    at_most(rest, 0)
    raise EOFError


class Word(NamedTuple):
    """What can be typed without a `!`."""

    takes: str
    help: str
    act: Callable[..., int | None]


WORDS = {
    "help": Word(
        "[COMMAND]", "Lists the commands, or the arguments of one.", show_help
    ),
    "context": Word(
        "[PATH]",
        "Prints the context, or what stands under a path such as A.B.[0].c.",
        show_context,
    ),
    "test": Word("", "Presses the instance's Test button.", press_test),
    "fetch": Word(
        "[--times N] [--every SECONDS]",
        "Lets the server fetch incidents again and again.",
        fetch,
    ),
    "signin": Word(
        "WAY",
        f"Changes how the instance signs in: {', '.join(SIGN_INS)}.",
        choose_sign_in,
    ),
    "approve": Word(
        "CODE",
        "Enters the code of a device code sign-in at the browser.",
        answer_sign_in("approve"),
    ),
    "decline": Word("CODE", "Declines that sign-in.", answer_sign_in("decline")),
    "demo": Word("", "Shows some of it all.", demonstrate),
    "quit": Word("", "Leaves.", leave),
}


def read_options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="warroom", description=__doc__, epilog="`warroom help` lists the lines."
    )
    parser.add_argument(
        "lines",
        nargs="*",
        metavar="LINE",
        help="what would be typed; without any, a prompt opens",
    )
    shape = parser.add_mutually_exclusive_group()
    for name, text in {
        "markdown": "print the readable text",
        "json": "print the entries",
    }.items():
        help_text = f"{text} exactly as the server gets it"
        shape.add_argument(
            f"--{name}",
            dest="shape",
            action="store_const",
            const=name,
            default="table",
            help=help_text,
        )
    parser.add_argument(
        "--instance",
        type=instance,
        metavar="FILE",
        help="a JSON file with the parameters of a real instance",
    )
    for name, default in {"users": 1200, "detections": 3000, "seed": 7}.items():
        parser.add_argument(
            f"--{name}",
            type=whole_number,
            default=default,
            metavar="N",
            help=f"of the simulated tenant: {default}",
        )
    for name, (usual, text) in FETCHES.items():
        parser.add_argument(
            f"--{name}", type=whole_number, default=usual, metavar="N", help=text
        )
    return parser.parse_args(argv)


def instance(path: str) -> dict[str, Any]:
    """The parameters in an instance's file, as argparse wants them read."""
    try:
        return load_instance(path)
    except (OSError, ValueError) as problem:
        raise argparse.ArgumentTypeError(str(problem)) from problem


def whole_number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number")
    return int(text)


def typed_lines(desk: Desk) -> Iterator[str]:
    """Lines from the arguments, or else from the terminal, or from what is piped in."""
    if desk.options.lines:
        yield from desk.options.lines
    elif sys.stdin.isatty():
        from warroom.terminal.prompt import LineCompleter, prompted

        print(
            "A command starts with !, Tab completes it, help lists them all, quit leaves."
        )
        yield from prompted(LineCompleter(desk.manifest, following(desk.manifest)))
    else:
        yield from sys.stdin


def following(manifest: Manifest) -> dict[str, list[str]]:
    """The words of the prompt, each with what may follow it."""
    follow = {
        "help": [f"!{name}" for name in manifest.commands],
        "signin": list(SIGN_INS),
        "fetch": [f"--{name}" for name in FETCHES],
    }
    return {name: follow.get(name, []) for name in WORDS}


def main(argv: list[str] | None = None) -> int:
    """Run the war room; gives 1 if there was an error entry, 2 if a line was not understood, else 0."""
    desk = Desk(read_options(argv), display.open_console())
    codes = [DONE]
    with desk.open, suppress(EOFError):
        for line in filter(None, map(str.strip, typed_lines(desk))):
            codes.append(desk.do(line))
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
