"""What is typed after the `!`, read as the server reads it, and checked against the integration's manifest."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

Args = dict[str, Any]

# The server's own arguments, which every command takes and no integration sees.
GENERIC = {
    "using": "The instance to run the command on.",
    "using-brand": "The integration to run the command on.",
    "raw-response": "true shows the answer as it came in place of the readable text.",
    "extend-context": "key=path::key2=path2 puts parts of the answer into the context; the path . is all of it.",
    "ignore-outputs": "true leaves the command's outputs out of the context.",
    "auto-extract": "none, inline or outOfBand; nothing is extracted here.",
    "debug-mode": "true shows the log as well.",
    "execution-timeout": "Seconds after which a command that polls is given up.",
}

COMMAND = re.compile(r"\s*!([\w-]+)(?=\s|$)")
ARGUMENT = re.compile(
    r"""\s+(?:(?P<name>[\w-]+)=|(?![\w-]+=))(?:
        "(?P<double>(?:\\.|[^"\\])*)"
      | '(?P<single>(?:\\.|[^'\\])*)'
      | `(?P<literal>[^`]*)`
      | (?P<bare>[^\s"'`]\S*)
      | (?P<nothing>(?<==))
    )(?=\s|$)""",
    re.VERBOSE | re.DOTALL,
)
ESCAPE = re.compile(r"""\\([ntr"'\\^:, ])""")
CONTROL = {"n": "\n", "t": "\t", "r": "\r"}
INSERTION = re.compile(r"\$\{([^}]*)\}")


class CommandLineError(ValueError):
    """The server would refuse this line before any code runs."""


class Typed(NamedTuple):
    """One command line, read: named and positional values, all still as text."""

    command: str
    arguments: dict[str, str]
    positional: list[str]


def parse(line: str) -> Typed:
    """Read `!command name=value "a positional value"`. Raises: CommandLineError."""
    start = COMMAND.match(line)
    if not start:
        raise CommandLineError(
            f"a command starts with ! and its name, this does not: {line.strip()!r}"
        )
    typed = Typed(start[1], {}, [])
    rest = line[start.end() :].rstrip()
    while rest:
        match = ARGUMENT.match(rest)
        if not match:
            raise CommandLineError(f"the quotes do not match here: {rest.strip()!r}")
        _take(typed, match)
        rest = rest[match.end() :]
    return typed


def _take(typed: Typed, match: re.Match[str]) -> None:
    name, value = match["name"], _unquoted(match)
    if name is None:
        typed.positional.append(value)
    elif name in typed.arguments:
        raise CommandLineError(f"the argument {name} is given twice")
    else:
        typed.arguments[name] = value


def _unquoted(match: re.Match[str]) -> str:
    quoted = match["double"] if match["double"] is not None else match["single"]
    if quoted is not None:
        return ESCAPE.sub(_unescaped, quoted)
    return match["literal"] or match["bare"] or ""


def _unescaped(match: re.Match[str]) -> str:
    return CONTROL.get(match[1], match[1])


def inserted(value: str, read: Callable[[str], Any]) -> Any:
    """The value with each `${path}` replaced; one that stands alone gives the list it leads to, all else is text."""
    alone = INSERTION.fullmatch(value)
    if alone:
        found = read(alone[1]) or ""
        return (
            [as_text(item) for item in found]
            if isinstance(found, list)
            else as_text(found)
        )
    return INSERTION.sub(lambda match: as_text(read(match[1])), value)


def as_text(value: Any) -> str:
    """A context value as the server writes it into an argument."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True)
class Command:
    """A command as the manifest declares it; its arguments by name, in the manifest's own keys."""

    name: str
    description: str
    arguments: dict[str, dict[str, Any]]

    def read_arguments(self, typed: Typed) -> tuple[dict[str, str], dict[str, str]]:
        """The command's own arguments and the server's generic ones. Raises: CommandLineError."""
        given = {**self._positional(typed), **typed.arguments}
        unknown = sorted(set(given) - set(self.arguments) - set(GENERIC))
        if unknown:
            known = ", ".join(self.shown_arguments()) or "none"
            raise CommandLineError(
                f"{self.name} has no argument {', '.join(unknown)}. It has: {known}."
            )
        own = {name: value for name, value in given.items() if name in self.arguments}
        return own, {
            name: value for name, value in given.items() if name not in self.arguments
        }

    def complete(self, args: Args) -> Args:
        """The arguments with the manifest's defaults. Raises: CommandLineError: a required one is missing."""
        declared = self.arguments.items()
        whole = {
            **{
                name: as_text(rule["defaultValue"])
                for name, rule in declared
                if "defaultValue" in rule
            },
            **args,
        }
        missing = [
            name
            for name, rule in declared
            if rule.get("required") and whole.get(name) in (None, "", [])
        ]
        if missing:
            raise CommandLineError(
                f"{self.name} needs the argument {', '.join(missing)}"
            )
        return whole

    def elementwise(self, args: Args) -> list[Args]:
        """One set of arguments for each run: a list for an argument that takes none runs once per element."""
        runs = [args]
        for name, value in args.items():
            if isinstance(value, list) and not self.arguments[name].get("isArray"):
                runs = [{**run, name: item} for run in runs for item in value]
        return runs

    def shown_arguments(self) -> list[str]:
        return [name for name, rule in self.arguments.items() if not rule.get("hidden")]

    def _positional(self, typed: Typed) -> dict[str, str]:
        if not typed.positional:
            return {}
        name = next(
            (name for name, rule in self.arguments.items() if rule.get("default")), None
        )
        if name is None or len(typed.positional) > 1 or name in typed.arguments:
            raise CommandLineError(
                f"{self.name}: {typed.positional[-1]!r} stands without an argument's name"
            )
        return {name: typed.positional[0]}


@dataclass(frozen=True)
class Manifest:
    """What the war room needs of an integration's YAML."""

    brand: str
    commands: dict[str, Command]
    parameters: dict[str, dict[str, Any]] = field(repr=False)

    @classmethod
    def read(cls, path: Path | str) -> "Manifest":
        content = loaded(Path(path).read_text(encoding="utf-8"))
        commands = [_command(declared) for declared in content["script"]["commands"]]
        parameters = {
            parameter["name"]: parameter for parameter in content["configuration"]
        }
        return cls(
            content["commonfields"]["id"],
            {command.name: command for command in commands},
            parameters,
        )

    def find(self, name: str) -> Command:
        if name not in self.commands:
            raise CommandLineError(f"there is no command {name}; help lists them")
        return self.commands[name]

    def default_parameters(self) -> Args:
        """What a new instance has before anybody fills it in."""
        declared = {
            name: rule.get("defaultvalue", "") for name, rule in self.parameters.items()
        }
        return {
            name: _parameter(self.parameters[name]["type"], value)
            for name, value in declared.items()
        }


@cache
def loaded(text: str) -> Any:
    """A manifest's text as data, for reading only: the same text is parsed once."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(text, Loader=loader)  # noqa: S506 - both are safe loaders


CHECKBOX, CREDENTIALS, MULTI_SELECT = 8, 9, 16  # parameter types of the manifest


def _parameter(kind: int, default: str) -> Any:
    if kind == CHECKBOX:
        return default == "true"
    if kind == CREDENTIALS:
        return {"identifier": "", "password": default}
    return (
        [part for part in default.split(",") if part]
        if kind == MULTI_SELECT
        else default
    )


def _command(declared: dict[str, Any]) -> Command:
    arguments = {
        argument["name"]: argument for argument in declared.get("arguments") or []
    }
    return Command(declared["name"], declared["description"], arguments)
