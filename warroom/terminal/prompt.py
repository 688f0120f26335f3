"""The prompt itself: history, and completion of commands, arguments and values."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from warroom.terminal.characters import harmless
from warroom.xsoar.commandline import GENERIC
from warroom.xsoar.manifest import Command, Manifest

# What can stand first without a `!`, and what may follow it.
Followers = dict[str, list[str]]


def quoted(value: str) -> str:
    return f'"{value}"' if " " in value else value


def value_options(command: Command, name: str, value: str) -> list[str]:
    """The argument with each value that it may take."""
    argument = command.arguments.get(name)
    if argument is None:
        return []
    # Of a list, the items before the last comma stand already.
    kept = value[: value.rfind(",") + 1] if argument.is_array else ""
    start = f"{name}={kept}"
    return [start + quoted(choice) for choice in argument.choices]


def name_options(command: Command, typed: list[str]) -> list[str]:
    """The arguments that are not there yet."""
    own = [argument.name for argument in command.shown_arguments()]
    given = {word.partition("=")[0] for word in typed}
    return [f"{name}=" for name in [*own, *GENERIC] if name not in given]


def argument_options(manifest: Manifest, before: list[str], word: str) -> list[str]:
    """Values once the argument is named, else names of arguments."""
    first, *typed = before
    command = manifest.commands.get(first.lstrip("!"))
    if command is None:
        return []
    name, equals, value = word.partition("=")
    if equals:
        return value_options(command, name, value)
    return name_options(command, typed)


def last_word(text: str) -> str:
    if not text or text[-1].isspace():
        return ""
    return text.split()[-1]


def options_after(
    manifest: Manifest, followers: Followers, before: list[str], word: str
) -> list[str]:
    """What may stand where `word` stands, behind the words before it."""
    if not before:
        commands = [f"!{name}" for name in manifest.commands]
        return [*commands, *followers]
    first, *more = before
    if first.startswith("!"):
        return argument_options(manifest, before, word)
    if more:
        return []
    return followers.get(first, [])


def candidates(manifest: Manifest, followers: Followers, text: str) -> list[str]:
    """What the last word of a line may become."""
    word = last_word(text)
    before = text.removesuffix(word).split()
    options = options_after(manifest, followers, before, word)
    return [option for option in options if option.startswith(word)]


class LineCompleter(Completer):
    """Completes the word before the cursor."""

    def __init__(self, manifest: Manifest, followers: Followers):
        self.manifest = manifest
        self.followers = followers

    def get_completions(
        self,
        document: Document,
        complete_event: CompleteEvent,  # noqa: ARG002 - the base class's parameter
    ) -> Iterable[Completion]:
        text = document.text_before_cursor
        start = -len(last_word(text))
        for candidate in candidates(self.manifest, self.followers, text):
            shown = harmless(candidate)
            yield Completion(candidate, start_position=start, display=shown)


def state_folder() -> Path:
    """Where the system keeps a user's state."""
    given = os.environ.get("XDG_STATE_HOME")
    folder = Path(given) if given else Path.home() / ".local" / "state"
    return folder / "warroom"


def history() -> History:
    """Lines of earlier prompts; only in memory where nothing can be written."""
    folder = state_folder()
    path = folder / "history"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(path))


def prompted(completer: LineCompleter, **options: Any) -> Iterator[str]:
    """Line after line as typed, until the end of input. Ctrl-C drops the line."""
    session: PromptSession[str] = PromptSession(
        "warroom> ",
        completer=completer,
        history=history(),
        complete_while_typing=False,
        **options,
    )
    while True:
        try:
            yield session.prompt()
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
