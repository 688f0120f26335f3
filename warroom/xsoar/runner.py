"""Runs an integration's commands as the server does.

A line is read and checked against the manifest, `main()` runs once for each set of arguments
and again for each poll, and its entries go to the war room and into the context.
"""

import contextlib
import io
import re
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from warroom.xsoar.commandline import Args, CommandLineError, inserted, parse
from warroom.xsoar.context import ContextData, ContextError, read_path
from warroom.xsoar.entries import FETCH, TEST, Entry, Run, contents, error_entry
from warroom.xsoar.manifest import Manifest
from warroom.xsoar.nearest import did_you_mean
from warroom.xsoar.surroundings import (
    Destination,
    led_to,
    replaced,
    restored_environment,
)

POLLING_TIMEOUT = 600  # seconds, when the entry says nothing
SHOWN_OUTPUT = 200  # characters of what an integration wrote to standard output

BOOLEANS = ("true", "false")
GENERIC_CHOICES = {
    "raw-response": BOOLEANS,
    "ignore-outputs": BOOLEANS,
    "debug-mode": BOOLEANS,
    "auto-extract": ("none", "inline", "outOfBand"),
}


def instance_name(brand: str) -> str:
    return f"{brand}_instance_1"


def generic_choices(brand: str) -> dict[str, tuple[str, ...]]:
    """The values that the server's own arguments take, of those that take only some."""
    return {
        "using": (instance_name(brand),),
        "using-brand": (brand,),
        **GENERIC_CHOICES,
    }


class Invocation(NamedTuple):
    """What a line asks for: a command, to be run once with each set of arguments."""

    command: str
    argument_sets: list[Args]
    generic: dict[str, str]


def command_name(line: str) -> str:
    """The command that a line names, even if the line cannot be read."""
    words = line.split()
    if not words:
        return ""
    return words[0].lstrip("!")


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        accepted = ", ".join(choices)
        problem = f"{name}={value} cannot be used."
        question = did_you_mean(value, choices)
        raise CommandLineError(f"{problem} Accepted: {accepted}.{question}")


def extensions(extend_context: str, entry: Entry) -> Iterator[tuple[str, Any]]:
    """Key and value for each `key=path` of extend-context, read from the raw contents."""
    for part in extend_context.split("::"):
        if not part:
            continue
        key, _, path = part.partition("=")
        if not key or not path:
            usage = "extend-context takes key=path::key2=path2"
            raise ContextError(f"{usage}, not {part!r}")
        value = read_path(contents(entry), path)
        yield key, value


def schedule_of(run: Run) -> Entry:
    """The entry that asks for another run; empty if none does, and after an error."""
    if run.failed:
        return {}
    schedules = [entry for entry in run.entries if entry.get("PollingCommand")]
    return schedules[0] if schedules else {}


def polling_timeout(run: Run, schedule: Entry) -> int:
    """After how many seconds polling is given up; a typed execution-timeout wins."""
    typed = run.generic.get("execution-timeout")
    declared = schedule.get("Timeout")
    return int(typed or declared or POLLING_TIMEOUT)


def run_main(module: Any, call: Any) -> None:
    """Run the integration as the server's loop does; what it raises becomes an error entry."""
    module.demisto.call = call
    try:
        module.main()
    except SystemExit:
        pass
    except Exception:
        call.entries.append(error_entry(traceback.format_exc()))


@dataclass
class WarRoom:
    """One investigation with one instance of one integration.

    module: the integration, imported or from `run_as_one_text`; used are its `main` and
    `demisto`, with a clock its `utc_now`, and with a simulator its `HttpSession`.
    manifest_path: the integration's YAML. params: the instance's parameters.
    simulator: where every request is led; without one, requests go where they say.
    context: what the investigation holds already.
    clock: gives the moment for the module's `utc_now`.
    sleep: waits for so many seconds before a command polls again.
    server_version: the platform's, as the integration may ask for it.
    context_store: keeps the instance's integration context (a ContextStore of the
    stand-in, or what reads and writes as one). War rooms that share one have their
    commands overlap.
    listener: is told each line that the integration logs, when it does, and then "" when
    the call is over.
    """

    module: Any
    manifest_path: Path | str
    params: Args
    simulator: Destination | None = field(default=None, kw_only=True)
    context: ContextData = field(default_factory=ContextData, kw_only=True)
    clock: Callable[[], datetime] | None = field(default=None, kw_only=True)
    sleep: Callable[[float], None] = field(default=time.sleep, kw_only=True)
    server_version: str = field(default="6.12.0", kw_only=True)
    context_store: Any = field(default=None, kw_only=True)
    listener: Callable[[str], None] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        self.manifest = Manifest.read(self.manifest_path)
        self.brand = self.manifest.brand
        self.instance_name = instance_name(self.brand)
        self.context_store = self.context_store or self.module.demisto.ContextStore()
        self.last_run: dict[str, Any] = {}

    @property
    def integration_context(self) -> Any:
        """What the instance's commands keep; a test may put anything there."""
        return self.context_store.content

    @integration_context.setter
    def integration_context(self, content: Any) -> None:
        self.context_store.content = content

    @property
    def context_version(self) -> int:
        """How often the integration context was written."""
        return int(self.context_store.version)

    def now(self) -> datetime:
        """The moment by the room's clock."""
        if self.clock is None:
            return datetime.now(timezone.utc)
        return self.clock()

    # One call of main()

    def _new_call(self, command: str, args: Args, is_debug: bool) -> Any:
        params = dict(self.params)
        call = self.module.demisto.Call(command, args, params, is_debug=is_debug)
        call.context_store = self.context_store
        call.last_run = self.last_run
        call.listener = self.listener
        call.server["version"] = self.server_version
        call.calling_context["context"] = {
            "IntegrationBrand": self.brand,
            "IntegrationInstance": self.instance_name,
            "ExecutedCommands": [{"moduleBrand": self.brand}],
        }
        return call

    @contextlib.contextmanager
    def _surroundings(self) -> Iterator[io.StringIO]:
        """What the server does around each call. Gives what is written to standard output."""
        output = io.StringIO()
        with contextlib.ExitStack() as stack:
            stack.enter_context(contextlib.redirect_stdout(output))
            stack.enter_context(restored_environment())
            if self.listener:
                stack.callback(self.listener, "")
            if self.clock:
                stack.enter_context(replaced(self.module, "utc_now", self.clock))
            if self.simulator:
                sessions = self.module.HttpSession
                stack.enter_context(led_to(self.simulator, sessions))
            yield output

    def call(self, command: str, args: Args, *, is_debug: bool = False) -> Any:
        """Run main() once as this command, with arguments as they are, and keep what is kept.

        Gives the `Call` of the stand-in, with all that the integration did.
        """
        call = self._new_call(command, args, is_debug)
        with self._surroundings() as output:
            run_main(self.module, call)
        written = output.getvalue()
        if written:
            # The server talks to the integration over standard output.
            shown = written[:SHOWN_OUTPUT]
            problem = f"The integration wrote to standard output: {shown!r}"
            call.entries.append(error_entry(problem))
        return call

    def run_test(self) -> Run:
        """Press the Test button."""
        call = self.call(TEST, {})
        return Run(TEST, call.entries, call.logs)

    def fetch(self) -> Run:
        """Let the server fetch once.

        What a failed fetch handed over, and left for the next one, is dropped.
        """
        call = self.call(FETCH, {})
        run = Run(FETCH, call.entries, call.logs, moment=self.now())
        if run.failed:
            return run
        if call.incidents is None:
            problem = "The fetch handed over nothing, not even an empty list."
            run.entries.append(error_entry(problem))
            return run
        self.last_run = call.last_run
        run.incidents = call.incidents
        return run

    # One line, from the prompt to the context

    def _check_generic(self, generic: dict[str, str]) -> None:
        choices = generic_choices(self.brand)
        for name, value in generic.items():
            if name in choices:
                check_choice(name, value, choices[name])
        timeout = generic.get("execution-timeout", "1")
        if not re.fullmatch("[1-9][0-9]{0,8}", timeout):
            raise CommandLineError("execution-timeout takes a number of seconds")

    def _read(self, line: str) -> Invocation:
        """What the line asks for. Raises: CommandLineError, ContextError."""
        typed = parse(line)
        command = self.manifest.find(typed.command)
        own, generic = command.read_arguments(typed)
        self._check_generic(generic)
        read = self.context.read
        values = {name: inserted(text, read) for name, text in own.items()}
        args = command.complete(values)
        argument_sets = command.elementwise(args)
        return Invocation(command.name, argument_sets, generic)

    def _keep(self, run: Run) -> None:
        """Take the entries into the context. Raises: ValueError: one cannot be taken."""
        ignores_outputs = run.flag("ignore-outputs")
        extend_context = run.generic.get("extend-context", "")
        for entry in run.entries:
            entry_context = entry.get("EntryContext")
            if entry_context and not ignores_outputs:
                self.context.add(entry_context)
            for key, value in extensions(extend_context, entry):
                self.context.put(key, value)

    def _run(self, invocation: Invocation) -> Run:
        command, _, generic = invocation
        run = Run(command, generic=generic, moment=self.now())
        is_debug = run.flag("debug-mode")
        for args in invocation.argument_sets:
            call = self.call(invocation.command, args, is_debug=is_debug)
            run.entries += call.entries
            run.logs += call.logs
        try:
            self._keep(run)
        except ValueError as problem:
            run.entries.append(error_entry(f"Context: {problem}"))
        return run

    def _run_scheduled(self, schedule: Entry, generic: dict[str, str]) -> Run:
        command = self.manifest.find(schedule["PollingCommand"])
        scheduled = schedule.get("PollingArgs", {})
        args = {}
        for name, value in scheduled.items():
            if name in command.arguments:
                args[name] = value
        return self._run(Invocation(command.name, [args], generic))

    def _polled(self, run: Run) -> Iterator[Run]:
        """The runs that schedules ask for, until one asks for no more, fails, or time is up.

        Time is counted by the waits alone. How much there is, the first schedule says,
        unless an execution-timeout was typed, which wins.
        """
        schedule = schedule_of(run)
        timeout = polling_timeout(run, schedule)
        waited = 0
        while schedule:
            wait = int(schedule["NextRun"])
            waited += wait
            if waited > timeout:
                problem = f"was given up after {timeout} seconds of polling."
                last_entry = error_entry(f"{run.command} {problem}")
                yield Run(run.command, [last_entry], generic=run.generic)
                return
            self.sleep(wait)
            run = self._run_scheduled(schedule, run.generic)
            yield run
            schedule = schedule_of(run)

    def rounds(self, line: str) -> Iterator[Run]:
        """Run one command line; give each round of a polling command as it comes."""
        try:
            invocation = self._read(line)
        except (CommandLineError, ContextError) as problem:
            yield Run(command_name(line), [error_entry(str(problem))])
            return
        run = self._run(invocation)
        yield run
        yield from self._polled(run)

    def run(self, line: str) -> Run:
        """Run one command line to its end; a command that polls is followed to its last round."""
        rounds = list(self.rounds(line))
        first = rounds[0]
        run = Run(first.command, generic=first.generic, moment=first.moment)
        for each in rounds:
            run.entries += each.entries
            run.logs += each.logs
        return run
