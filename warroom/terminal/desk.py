"""Where one line after another is done and its outcome shown."""

import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import NamedTuple, NoReturn

from rich.console import Console

from warroom.azure.scenarios import Stage
from warroom.azure.server import Simulator
from warroom.terminal import display, pager
from warroom.terminal.backend import Backend, SimulatedTenant
from warroom.terminal.characters import harmless
from warroom.terminal.completion import Candidate, Known
from warroom.terminal.findings import shown_data
from warroom.terminal.options import Options
from warroom.xsoar.commandline import CommandLineError
from warroom.xsoar.context import ContextError
from warroom.xsoar.entries import Run, contents
from warroom.xsoar.manifest import Manifest, mistyped_choices
from warroom.xsoar.nearest import did_you_mean
from warroom.xsoar.parameters import may_hold_secret
from warroom.xsoar.runner import WarRoom

DONE = 0  # exit codes
FAILED = 1
MISUSED = 2


class Misuse(Exception):  # noqa: N818 - what a person did, not what went wrong
    """A line that the prompt does not understand."""


def interrupted() -> int:
    """Say so. Gives an exit code."""
    print("Interrupted.", file=sys.stderr)
    return FAILED


def follow_nothing(_: "Desk", __: list[str]) -> list[Candidate]:
    return []


class Keyword(NamedTuple):
    """What can be typed without a `!`.

    takes: what may follow it. act: is given the words that do follow, and gives an exit
    code or None. It raises EOFError to leave, and Misuse. follow: gives what may follow,
    for the words that do, of which the last one is unfinished.
    reads_text: whether it is given what follows as the one text that was typed.
    """

    takes: str
    help: str
    act: Callable[["Desk", list[str]], int | None]
    follow: Callable[["Desk", list[str]], Iterable[Candidate]] = follow_nothing
    reads_text: bool = False


class Desk:
    """The place of the person at the war room, in one investigation.

    lines: what was typed so far, but for what may hold a secret. shown: the run that was
    shown last.
    pages: whether what is longer than the screen goes to a pager.
    """

    def __init__(
        self,
        options: Options,
        backend: Backend,
        console: Console,
        keywords: Mapping[str, Keyword],
    ):
        self.options = options
        self.backend = backend
        self.console = console
        self.keywords = keywords
        self.lines: list[str] = []
        self.shown = Run("")
        self.pages = True

    @property
    def room(self) -> WarRoom:
        return self.backend.room

    @property
    def manifest(self) -> Manifest:
        return self.backend.manifest

    @property
    def draws(self) -> bool:
        """Whether runs are drawn, rather than printed as the server gets them."""
        return self.options.shape == "table"

    def stage(self) -> Stage:
        """Where scenarios are played. Raises: Misuse: the instance is a real one."""
        if isinstance(self.backend, SimulatedTenant):
            return self.backend.stage
        problem = "That is only for the simulated tenant; this instance is a real one."
        raise Misuse(problem)

    def simulator(self) -> Simulator:
        """The simulator, started. Raises: Misuse: the instance is a real one."""
        return self.stage().simulator

    def start_simulator(self) -> None:
        """Start what only the simulated tenant has.

        Raises: Misuse: the instance is a real one.
        """
        self.simulator()

    def paging(self) -> AbstractContextManager[None]:
        """Where what is printed at once, and longer than the screen, goes to a pager."""
        if not self.draws or not self.pages:
            return nullcontext()
        return pager.paged(self.console, self.backend.listener)

    def show(self, runs: Iterable[Run]) -> int:
        """Show each run as it comes. Gives an exit code."""
        show = display.SHAPES[self.options.shape]
        code = DONE
        for run in runs:
            with self.paging():
                show(run, self.console)
            self.shown = run
            if run.failed:
                code = FAILED
        return code

    def known(self) -> Known:
        """What is known for completing a line."""
        helps = {}
        followers = {}
        for name, keyword in self.keywords.items():
            helps[name] = keyword.help
            followers[name] = partial(keyword.follow, self)
        data = [shown_data(self.shown), self.backend.context.data]
        return Known(self.manifest, helps, followers, data)

    def _keyword(self, name: str) -> Keyword:
        if name in self.keywords:
            return self.keywords[name]
        commands = [f"!{command}" for command in self.manifest.commands]
        question = did_you_mean(name, [*self.keywords, *commands])
        known = ", ".join(self.keywords)
        problem = f"{name!r} is not understood"
        raise Misuse(
            f"{problem}: a command starts with !, and there are {known}.{question}"
        )

    def _ask_back(self, line: str) -> None:
        """Name the choices that a refused line may have meant, unless that was done."""
        texts = [str(contents(entry)) for entry in self.shown.entries]
        if any("did you mean" in text.lower() for text in texts):
            return
        for question in mistyped_choices(self.manifest, line):
            print(harmless(question), file=sys.stderr)

    def _run(self, line: str) -> int:
        rounds = self.room.rounds(line)
        code = self.show(rounds)
        if code:
            self._ask_back(line)
        return code

    def _do(self, line: str) -> int:
        if line.startswith("!"):
            return self._run(line)
        name, *rest = line.split()
        keyword = self._keyword(name)
        if keyword.reads_text:
            rest = [line.lstrip().removeprefix(name)]
        return keyword.act(self, rest) or DONE

    def do(self, line: str) -> int:
        """Do what a line says. Gives an exit code."""
        try:
            return self._do(line)
        except (Misuse, CommandLineError, ContextError) as problem:
            text = harmless(str(problem))
            print(text, file=sys.stderr)
            return MISUSED
        except KeyboardInterrupt:
            return interrupted()

    def remember(self, line: str) -> None:
        if not may_hold_secret(line):
            self.lines.append(line)

    def do_all(self, lines: Iterable[str]) -> int:
        """Do the lines, up to one that leaves, or an interruption while one is waited for.

        Gives the worst of the exit codes.
        """
        codes = [DONE]
        try:
            for line in map(str.strip, lines):
                if line:
                    self.remember(line)
                    codes.append(self.do(line))
        except EOFError:
            pass
        except KeyboardInterrupt:
            codes.append(interrupted())
        return max(codes)


def raise_for_rest(rest: list[str]) -> NoReturn:
    words = " ".join(rest)
    raise Misuse(f"{words!r} is more than can follow here.")


def only_word(rest: list[str]) -> str:
    """The one word that may follow, or nothing. Raises: Misuse: more than that follows."""
    if len(rest) > 1:
        raise_for_rest(rest)
    return "".join(rest)


def no_word(rest: list[str]) -> None:
    """Raises: Misuse: a word follows."""
    if rest:
        raise_for_rest(rest)
