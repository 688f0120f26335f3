"""What an integration's YAML declares, as the server reads it."""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from warroom.xsoar.commandline import GENERIC, Args, CommandLineError, Typed, as_text


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
