"""What `help` says."""

from collections.abc import Iterator

from rich.text import Text

from warroom.terminal.desk import Desk, only_word
from warroom.xsoar.commandline import GENERIC
from warroom.xsoar.manifest import Argument, Command


def argument_help(argument: Argument) -> str:
    notes = [argument.description]
    if argument.is_required:
        notes.append("Required.")
    if argument.choices:
        choices = ", ".join(argument.choices)
        notes.append(f"One of: {choices}.")
    if argument.default:
        notes.append(f"Default: {argument.default}.")
    return " ".join(notes)


def command_help(command: Command) -> Iterator[tuple[str, str]]:
    """A heading and its text for the command, and for each of its arguments."""
    heading = f"!{command.name}"
    yield heading, command.description
    for argument in command.shown_arguments():
        text = argument_help(argument)
        yield argument.name, text
    generic = ", ".join(GENERIC)
    yield "Every command also takes", generic


def overview(desk: Desk) -> Iterator[tuple[str, str]]:
    """A heading and its text for each command, and for all else that can be typed."""
    commands = desk.manifest.commands
    for command in commands.values():
        heading = f"!{command.name}"
        yield heading, command.description
    for name, keyword in desk.keywords.items():
        usage = f"{name} {keyword.takes}"
        yield usage.strip(), keyword.help


def show_help(desk: Desk, rest: list[str]) -> None:
    word = only_word(rest)
    name = word.lstrip("!")
    if name:
        command = desk.manifest.find(name)
        topics = command_help(command)
    else:
        topics = overview(desk)
    console = desk.console
    for heading, text in topics:
        title = Text(heading, style="bold")
        console.print(title)
        indented = Text(f"    {text}")
        console.print(indented)
