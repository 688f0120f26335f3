"""Runs an integration's commands as the server does: what is typed, the manifest's checks, main(), entries, context."""

import contextlib
import io
import re
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from warroom.xsoar.commandline import Args, CommandLineError, inserted, parse
from warroom.xsoar.context import ContextData, ContextError, read_path
from warroom.xsoar.entries import FETCH, TEST, Entry, Run, contents, error_entry
from warroom.xsoar.manifest import Manifest
from warroom.xsoar.surroundings import led_to, replaced, restored_environment

POLLING_TIMEOUT = 600  # seconds, when the entry says nothing


@dataclass
class WarRoom:
    """One investigation with one instance of one integration.

    module: the integration, imported (or from `run_as_one_text`): its `main`, `demisto`, and with a simulator its
    `HttpSession`. params: the instance's parameters. simulator: serves every request, else they go where they say.
    context: context data to begin with. clock: gives the moment for the module's `utc_now`.
    """

    module: Any
    manifest_path: Path | str
    params: Args
    simulator: Any = field(default=None, kw_only=True)
    context: Any = field(default=None, kw_only=True)
    clock: Callable[[], datetime] | None = field(default=None, kw_only=True)
    sleep: Callable[[float], None] = field(default=time.sleep, kw_only=True)
    server_version: str = field(default="6.12.0", kw_only=True)

    def __post_init__(self) -> None:
        self.manifest = Manifest.read(self.manifest_path)
        self.context = ContextData(self.context)
        self.integration_context: dict[str, str] = {}
        self.context_version = 0
        self.last_run: dict[str, Any] = {}
        self.instance = f"{self.manifest.brand}_instance_1"

    def run(self, line: str) -> Run:
        """Run one command line to its end; a command that polls is followed to the end of its schedule."""
        rounds = list(self.rounds(line))
        entries = [entry for each in rounds for entry in each.entries]
        logs = [log for each in rounds for log in each.logs]
        return Run(rounds[0].command, entries, logs, generic=rounds[0].generic)

    def rounds(self, line: str) -> Iterator[Run]:
        """The same, each run of a polling command as it comes."""
        command = line.split(maxsplit=1)[0].lstrip("!") if line.strip() else ""
        try:
            command, generic, sets = self._read(line)
        except (CommandLineError, ContextError) as problem:
            yield Run(command, [error_entry(str(problem))])
            return
        run = self._run(command, sets, generic)
        yield run
        yield from self._polled(run)

    def run_test(self) -> Run:
        """Press the Test button."""
        call = self.call(TEST, {})
        return Run(TEST, call.entries, call.logs)

    def fetch(self) -> Run:
        """Let the server fetch once. What a failed fetch handed over and left for the next one is dropped."""
        call = self.call(FETCH, {})
        run = Run(FETCH, call.entries, call.logs)
        if call.incidents is None and not run.failed:
            run.entries.append(
                error_entry("The fetch handed over nothing, not even an empty list.")
            )
        if not run.failed:
            self.last_run = call.last_run
            run.incidents = call.incidents
        return run

    def _read(self, line: str) -> tuple[str, dict[str, str], list[Args]]:
        """Command, generic arguments and the arguments of each run that the line asks for."""
        typed = parse(line)
        command = self.manifest.find(typed.command)
        own, generic = command.read_arguments(typed)
        self._check_generic(generic)
        values = {
            name: inserted(value, self.context.read) for name, value in own.items()
        }
        return command.name, generic, command.elementwise(command.complete(values))

    def _check_generic(self, generic: dict[str, str]) -> None:
        allowed = {
            "using": (self.instance,),
            "using-brand": (self.manifest.brand,),
            "auto-extract": ("none", "inline", "outOfBand"),
            **dict.fromkeys(
                ("raw-response", "ignore-outputs", "debug-mode"), ("true", "false")
            ),
        }
        for name, value in generic.items():
            if name in allowed and value not in allowed[name]:
                raise CommandLineError(
                    f"{name}={value} cannot be used. Accepted: {', '.join(allowed[name])}."
                )
        if not re.fullmatch("[1-9][0-9]*", generic.get("execution-timeout", "1")):
            raise CommandLineError("execution-timeout takes a number of seconds")

    def _run(self, command: str, sets: list[Args], generic: dict[str, str]) -> Run:
        run = Run(command, generic=generic)
        for args in sets:
            call = self.call(command, args, is_debug=run.flag("debug-mode"))
            run.entries += call.entries
            run.logs += call.logs
        run.entries += self._keep(run)
        return run

    def _keep(self, run: Run) -> list[Entry]:
        """Take the entries into the context; what cannot be taken comes back as an error entry."""
        try:
            for entry in run.entries:
                if not run.flag("ignore-outputs"):
                    self.context.add(entry.get("EntryContext") or {})
                for key, value in extended(
                    run.generic.get("extend-context", ""), entry
                ):
                    self.context.put(key, value)
        except ValueError as problem:
            return [error_entry(f"Context: {problem}")]
        return []

    def _polled(self, run: Run) -> Iterator[Run]:
        """The runs that a run's schedule asks for, until one asks for no more, fails, or the first one's time is up."""
        schedule, waited = scheduled(run), 0
        timeout = int(
            run.generic.get("execution-timeout")
            or schedule.get("Timeout")
            or POLLING_TIMEOUT
        )
        while schedule:
            waited += int(schedule["NextRun"])
            if waited > timeout:
                yield Run(
                    run.command,
                    [
                        error_entry(
                            f"{run.command} was given up after {timeout} seconds of polling."
                        )
                    ],
                )
                return
            self.sleep(int(schedule["NextRun"]))
            command = self.manifest.find(schedule["PollingCommand"])
            args = {
                name: value
                for name, value in schedule.get("PollingArgs", {}).items()
                if name in command.arguments
            }
            run = self._run(command.name, [args], run.generic)
            schedule = scheduled(run)
            yield run

    def call(self, command: str, args: Args, *, is_debug: bool = False) -> Any:
        """Run main() once as this command, and keep what the server keeps."""
        demisto = self.module.demisto
        demisto.call = call = demisto.Call(
            command, args, dict(self.params), is_debug=is_debug
        )
        call.integration_context, call.context_version = (
            self.integration_context,
            self.context_version,
        )
        call.last_run = self.last_run
        call.server["version"] = self.server_version
        call.calling_context["context"] = {
            "IntegrationBrand": self.manifest.brand,
            "IntegrationInstance": self.instance,
            "ExecutedCommands": [{"moduleBrand": self.manifest.brand}],
        }
        with self._surroundings(call):
            self._main(call)
        self.integration_context, self.context_version = (
            call.integration_context,
            call.context_version,
        )
        return call

    def _main(self, call: Any) -> None:
        try:
            self.module.main()
        except SystemExit:
            pass
        except Exception:
            call.entries.append(error_entry(traceback.format_exc()))

    @contextlib.contextmanager
    def _surroundings(self, call: Any) -> Iterator[None]:
        """What the server does around each call. Standard output is its own channel: nothing may be written there."""
        written = io.StringIO()
        with contextlib.ExitStack() as stack:
            stack.enter_context(contextlib.redirect_stdout(written))
            stack.enter_context(restored_environment())
            if self.clock:
                stack.enter_context(replaced(self.module, "utc_now", self.clock))
            if self.simulator:
                stack.enter_context(led_to(self.simulator, self.module.HttpSession))
            yield
        if written.getvalue():
            call.entries.append(
                error_entry(
                    f"The integration wrote to standard output: {written.getvalue()[:200]!r}"
                )
            )


def scheduled(run: Run) -> Entry:
    """The entry that asks for another run; none after an error."""
    return next(
        (
            entry
            for entry in run.entries
            if entry.get("PollingCommand") and not run.failed
        ),
        {},
    )


def extended(extension: str, entry: Entry) -> Iterator[tuple[str, Any]]:
    """Key and value for each `key=path` of an extend-context argument, read from the entry's raw contents."""
    for part in filter(None, extension.split("::")):
        key, equals, path = part.partition("=")
        if not (key and equals and path):
            raise ContextError(
                f"extend-context takes key=path::key2=path2, not {part!r}"
            )
        yield key, read_path(contents(entry), path)
