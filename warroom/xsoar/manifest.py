"""What an integration's YAML declares, and what a typed line must keep to."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import yaml

from warroom.xsoar.commandline import (
    GENERIC,
    Args,
    CommandLineError,
    Typed,
    as_text,
    parse,
)
from warroom.xsoar.nearest import did_you_mean

CHECKBOX = 8  # types of an instance's parameters
CREDENTIALS = 9
SINGLE_SELECT = 15
MULTI_SELECT = 16

Declared = dict[
    str, Any
]  # a command, an argument or a parameter, in the YAML's own keys


def default_text(argument: Declared) -> str | None:
    if "defaultValue" not in argument:
        return None
    return as_text(argument["defaultValue"])


@dataclass(frozen=True)
class Argument:
    """An argument of a command, as the manifest declares it."""

    name: str
    description: str
    default: str | None
    choices: tuple[str, ...]
    is_required: bool
    is_array: bool
    is_hidden: bool
    is_positional: bool

    @classmethod
    def of(cls, declared: Declared) -> "Argument":
        get = declared.get
        choices = get("predefined", ())
        return cls(
            name=declared["name"],
            description=declared["description"],
            default=default_text(declared),
            choices=tuple(choices),
            is_required=get("required", False),
            is_array=get("isArray", False),
            is_hidden=get("hidden", False),
            is_positional=get("default", False),
        )


@dataclass(frozen=True)
class Command:
    """A command as the manifest declares it.

    arguments: by name. outputs: the descriptions by the paths in the context.
    """

    name: str
    description: str
    arguments: dict[str, Argument]
    outputs: dict[str, str]

    @classmethod
    def of(cls, declared: Declared) -> "Command":
        arguments = map(Argument.of, declared.get("arguments") or [])
        outputs = declared.get("outputs") or []
        return cls(
            name=declared["name"],
            description=declared["description"],
            arguments={argument.name: argument for argument in arguments},
            outputs={each["contextPath"]: each["description"] for each in outputs},
        )

    def shown_arguments(self) -> list[Argument]:
        arguments = self.arguments.values()
        return [argument for argument in arguments if not argument.is_hidden]

    def _shown_names(self) -> list[str]:
        return [argument.name for argument in self.shown_arguments()]

    def _its_arguments(self) -> str:
        known = ", ".join(self._shown_names()) or "none"
        return f"It has: {known}."

    def _check_generic_names(self, generic: dict[str, str]) -> None:
        unknown = sorted(set(generic) - set(GENERIC))
        if not unknown:
            return
        names = ", ".join(unknown)
        known = [*self._shown_names(), *GENERIC]
        problem = f"{self.name} has no argument {names}."
        for name in unknown:
            problem += did_you_mean(name, known)
        raise CommandLineError(f"{problem} {self._its_arguments()}")

    def _positional_name(self) -> str | None:
        for argument in self.arguments.values():
            if argument.is_positional:
                return argument.name
        return None

    def _refuse_positional(self, typed: Typed) -> NoReturn:
        if typed.unquoted:
            values = " ".join(typed.unquoted)
            raise CommandLineError(f"Quotes are missing: {values}")
        last = typed.positional[-1]
        problem = f"{self.name}: {last!r} stands without an argument's name."
        raise CommandLineError(f"{problem} {self._its_arguments()}")

    def _positional(self, typed: Typed) -> dict[str, str]:
        """The value that stands without a name, under the name it is for."""
        if not typed.positional:
            return {}
        value, *more = typed.positional
        name = self._positional_name()
        if name is None or more or name in typed.arguments:
            self._refuse_positional(typed)
        return {name: value}

    def read_arguments(self, typed: Typed) -> tuple[dict[str, str], dict[str, str]]:
        """The command's own arguments, and the server's. Raises: CommandLineError."""
        own = {}
        generic = {}
        given = self._positional(typed) | typed.arguments
        for name, value in given.items():
            if name in self.arguments:
                own[name] = value
            else:
                generic[name] = value
        self._check_generic_names(generic)
        return own, generic

    def _default_values(self) -> Args:
        values = {}
        for argument in self.arguments.values():
            if argument.default is not None:
                values[argument.name] = argument.default
        return values

    def complete(self, args: Args) -> Args:
        """The arguments with the manifest's defaults.

        Raises: CommandLineError: a required one is missing.
        """
        completed = self._default_values() | args
        missing = []
        for name, argument in self.arguments.items():
            is_empty = completed.get(name) in (None, "", [])
            if argument.is_required and is_empty:
                missing.append(name)
        if missing:
            plural = "s" if missing[1:] else ""
            names = ", ".join(missing)
            raise CommandLineError(f"{self.name} needs the argument{plural} {names}")
        return completed

    def elementwise(self, args: Args) -> list[Args]:
        """The arguments of each run.

        A list, which only `${path}` gives, runs the command once for each element where
        the argument takes none.
        """
        runs = [args]
        for name, value in args.items():
            is_array = self.arguments[name].is_array
            is_list = isinstance(value, list)
            if is_list and not is_array:
                runs = [run | {name: item} for run in runs for item in value]
        return runs


@cache
def load_yaml(text: str) -> Any:
    """A manifest's text as data, for reading only: the same text is parsed once."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(text, Loader=loader)  # noqa: S506 - both are safe loaders


def default_value(parameter: Declared) -> Any:
    """A parameter's default, as the server hands it over."""
    text = parameter.get("defaultvalue", "")
    kind = parameter["type"]
    if kind == CHECKBOX:
        return text == "true"
    if kind == CREDENTIALS:
        return {"identifier": "", "password": text}
    if kind == MULTI_SELECT:
        return [choice for choice in text.split(",") if choice]
    return text


@dataclass(frozen=True)
class Manifest:
    """What the war room needs of an integration's YAML."""

    brand: str
    commands: dict[str, Command]
    parameters: dict[str, Declared] = field(repr=False)

    @classmethod
    def read(cls, path: Path | str) -> "Manifest":
        text = Path(path).read_text(encoding="utf-8")
        content = load_yaml(text)
        parameters = content["configuration"]
        commands = map(Command.of, content["script"]["commands"])
        return cls(
            brand=content["commonfields"]["id"],
            commands={command.name: command for command in commands},
            parameters={parameter["name"]: parameter for parameter in parameters},
        )

    @property
    def outputs(self) -> dict[str, str]:
        """What the commands put under each path of the context."""
        outputs = {}
        for command in self.commands.values():
            outputs.update(command.outputs)
        return outputs

    def find(self, name: str) -> Command:
        if name in self.commands:
            return self.commands[name]
        question = did_you_mean(name, self.commands)
        problem = f"there is no command {name}; help lists them."
        raise CommandLineError(f"{problem}{question}")

    def default_parameters(self) -> Args:
        """What a new instance has before anybody fills it in."""
        return {name: default_value(rule) for name, rule in self.parameters.items()}


def unlisted(argument: Argument, value: str) -> list[str]:
    """The items of a value that are none of the argument's choices, if it has any."""
    choices = argument.choices
    if not choices:
        return []
    items = value.split(",") if argument.is_array else [value]
    names = map(str.strip, items)
    return [name for name in names if name not in choices]


def questions(argument: Argument, value: str) -> Iterator[str]:
    """For each item that is no choice, which choice was meant, if one is near."""
    for item in unlisted(argument, value):
        question = did_you_mean(item, argument.choices)
        if question:
            yield f"{argument.name}={item}:{question}"


def mistyped_choices(manifest: Manifest, line: str) -> list[str]:
    """For each value that the manifest does not list, which of those that it does was meant.

    The server lets such values through, so that the integration judges them.
    """
    asked: list[str] = []
    with suppress(CommandLineError):
        typed = parse(line)
        command = manifest.find(typed.command)
        own, _ = command.read_arguments(typed)
        for name, value in own.items():
            argument = command.arguments[name]
            asked += questions(argument, value)
    return asked
