"""Runs an integration's commands as the server does: what is typed, the manifest's checks, main(), entries, context."""

import contextlib
import importlib
import io
import json
import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from warroom.xsoar.commandline import Args, CommandLineError, Manifest, inserted, parse
from warroom.xsoar.context import ContextData, ContextError, read_path

STANDINS = Path(__file__).parent / "standins"
PROJECT = Path(__file__).parent.parent.parent
MANIFEST = PROJECT / "AzureRiskyUsers.yml"

FETCH = "fetch-incidents"
TEST = "test-module"
ERROR = 4  # type of an entry
POLLING_TIMEOUT = 600  # seconds, when the entry says nothing

Entry = dict[str, Any]


@dataclass
class Run:
    """What came of one command line: its entries as the server gets them, and what stood beside them."""

    command: str
    entries: list[Entry] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)
    incidents: list[dict[str, Any]] = field(default_factory=list)
    generic: dict[str, str] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether there is an error entry; of the Test button, whether it says anything but ok."""
        if self.command == TEST:
            return [entry["Contents"] for entry in self.entries] != ["ok"]
        return any(entry["Type"] == ERROR for entry in self.entries)

    def flag(self, name: str) -> bool:
        return self.generic.get(name, "").lower() == "true"


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
        call = self._call(TEST, {})
        return Run(TEST, call.entries, call.logs)

    def fetch(self) -> Run:
        """Let the server fetch once. What a failed fetch handed over and left for the next one is dropped."""
        call = self._call(FETCH, {})
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
            call = self._call(command, args, is_debug=run.flag("debug-mode"))
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

    def _call(self, command: str, args: Args, *, is_debug: bool = False) -> Any:
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


def error_entry(text: str) -> Entry:
    return {
        "Type": ERROR,
        "ContentsFormat": "text",
        "Contents": text,
        "EntryContext": None,
    }


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


def contents(entry: Entry) -> Any:
    """The entry's contents; those that are the text of JSON, as what the text says."""
    value = entry["Contents"]
    return (
        json.loads(value)
        if entry["ContentsFormat"] == "json" and isinstance(value, str)
        else value
    )


@contextlib.contextmanager
def restored_environment() -> Iterator[None]:
    before = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Set an attribute for a while; one that was only inherited is inherited again afterwards."""
    own = vars(owner).get(name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if own is None:
            delattr(owner, name)
        else:
            setattr(owner, name, own)


@contextlib.contextmanager
def led_to(simulator: Any, session_class: Any) -> Iterator[None]:
    """Lead the requests of these sessions to the simulator, each with the retries of the adapter it was meant for."""
    from warroom.azure.server import LoopbackAdapter

    loopbacks: dict[Any, Any] = {}
    original = session_class.get_adapter

    def get_adapter(session: Any, url: str) -> Any:
        meant = original(session, url)
        if meant not in loopbacks:
            loopbacks[meant] = LoopbackAdapter(
                simulator.port, max_retries=meant.max_retries
            )
        return loopbacks[meant]

    with replaced(session_class, "get_adapter", get_adapter):
        try:
            yield
        finally:
            for loopback in loopbacks.values():
                loopback.close()


def load_integration() -> ModuleType:
    """Import the integration with the stand-ins in the platform's place."""
    for folder in (str(STANDINS), str(PROJECT)):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    return importlib.import_module("AzureRiskyUsers")


def load_instance(path: Path | str, manifest_path: Path | str = MANIFEST) -> Args:
    """The parameters of the instance that a JSON file describes; {"env": "NAME"} stands for that environment variable.

    Raises: ValueError: the file is no JSON object, a name is not the manifest's, or a variable is not set.
    """
    given = json.loads(
        Path(path).read_text(encoding="utf-8"), object_hook=_from_environment
    )
    if not isinstance(given, dict):
        raise ValueError(f"{path}: a JSON object of parameters is needed")
    return with_defaults(given, manifest_path)


def with_defaults(given: Args, manifest_path: Path | str = MANIFEST) -> Args:
    """Parameters as the server hands them over: those not given as the manifest has them."""
    defaults = Manifest.read(manifest_path).default_parameters()
    unknown = sorted(set(given) - set(defaults))
    if unknown:
        raise ValueError(
            f"unknown parameters: {', '.join(unknown)}; there are {', '.join(defaults)}"
        )
    return {**defaults, **given}


def _from_environment(value: dict[str, Any]) -> Any:
    if set(value) != {"env"}:
        return value
    if value["env"] not in os.environ:
        raise ValueError(f"the environment variable {value['env']} is not set")
    return os.environ[value["env"]]


def demo_instance(sign_in: str = "Client Credentials") -> Args:
    """An instance of the simulated tenant's demo application."""
    from warroom.azure.tenant import CLIENT_ID, CLIENT_SECRET, TENANT_ID

    given = {
        "authentication_type": sign_in,
        "client_id": credentials(CLIENT_ID),
        "tenant_id": TENANT_ID,
        "client_secret": credentials(CLIENT_SECRET),
    }
    return with_defaults(given)


def credentials(password: str) -> dict[str, str]:
    """A parameter of the credentials type whose user name is hidden."""
    return {"identifier": "", "password": password}


PLATFORM_IMPORT = re.compile(
    r"^(?:import demistomock as demisto|from CommonServer(?:User)?Python import \*)[ \t]*(?:#.*)?$",
    re.MULTILINE,
)


def run_as_one_text(integration: str, **call: Any) -> ModuleType:
    """Run library and integration as the server does: one text, one namespace, no file, called `builtins`.

    call: fields of the `Call` that this first run executes. The module returned can be given to a WarRoom.
    Raises: NameError: the integration gave a name of the library another meaning.
    """
    module = ModuleType("builtins")
    demisto = ModuleType("demisto")
    exec((STANDINS / "demistomock.py").read_text(encoding="utf-8"), vars(demisto))
    vars(demisto)["call"] = demisto.Call(**call)
    vars(module)["demisto"] = demisto
    library = (STANDINS / "CommonServerPython.py").read_text(encoding="utf-8")
    text = f"{library}\n_library = dict(globals())\n{integration}"
    code = compile(PLATFORM_IMPORT.sub("", text), "<string>", "exec", dont_inherit=True)
    with contextlib.suppress(SystemExit):
        exec(code, vars(module))
    rebound = [
        name
        for name, value in vars(module).pop("_library").items()
        if vars(module).get(name) is not value
    ]
    if rebound:
        raise NameError(
            f"the integration binds names of the platform's library anew: {', '.join(sorted(rebound))}"
        )
    return module
