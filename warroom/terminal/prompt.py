"""The prompt itself: history, and completion of commands, arguments and values from the manifest."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from warroom.xsoar.commandline import GENERIC, CommandLineError
from warroom.xsoar.manifest import Manifest


class LineCompleter(Completer):
    """Completes the word before the cursor. words: what can stand first without a `!`, and what may follow it."""

    def __init__(self, manifest: Manifest, words: dict[str, list[str]]):
        self.manifest = manifest
        self.words = words

    def get_completions(
        self,
        document: Document,
        complete_event: CompleteEvent,  # noqa: ARG002
    ) -> Iterable[Completion]:
        text = document.text_before_cursor
        for candidate in candidates(self.manifest, self.words, text):
            yield Completion(candidate, start_position=-len(last_word(text)))


def last_word(text: str) -> str:
    return "" if not text or text[-1].isspace() else text.split()[-1]


def candidates(manifest: Manifest, words: dict[str, list[str]], text: str) -> list[str]:
    """What the last word of a line may become."""
    before = text[: len(text) - len(last_word(text))].split()
    if not before:
        options = [f"!{name}" for name in manifest.commands] + list(words)
    elif before[0].startswith("!"):
        options = argument_options(manifest, before, last_word(text))
    else:
        options = words.get(before[0], []) if len(before) == 1 else []
    return [option for option in options if option.startswith(last_word(text))]


def argument_options(manifest: Manifest, before: list[str], word: str) -> list[str]:
    """Values once the argument is named, else the arguments that are not there yet."""
    try:
        command = manifest.find(before[0].lstrip("!"))
    except CommandLineError:
        return []
    name, equals, value = word.partition("=")
    if equals:
        rule = command.arguments.get(name, {})
        first = value[: value.rfind(",") + 1] if rule.get("isArray") else ""
        return [
            f"{name}={first}{quoted(option)}" for option in rule.get("predefined", [])
        ]
    given = {part.partition("=")[0] for part in before[1:]}
    return [
        f"{option}="
        for option in [*command.shown_arguments(), *GENERIC]
        if option not in given
    ]


def quoted(value: str) -> str:
    return f'"{value}"' if " " in value else value


def history() -> History:
    """Lines of earlier prompts, where the system keeps a user's state; only in memory where nothing can be written."""
    folder = (
        Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
        / "warroom"
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "history").touch(mode=0o600)
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(folder / "history"))


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
