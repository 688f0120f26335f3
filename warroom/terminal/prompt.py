"""The prompt itself: history, and completion as the library for prompts wants it."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from warroom.terminal.characters import harmless
from warroom.terminal.completion import Known, candidates, unfinished_word
from warroom.xsoar.parameters import may_hold_secret


class LineCompleter(Completer):
    """Completes the word before the cursor.

    know: gives what is known at the moment.
    """

    def __init__(self, know: Callable[[], Known]):
        self.know = know

    def get_completions(
        self,
        document: Document,
        complete_event: CompleteEvent,  # noqa: ARG002 - the base class's parameter
    ) -> Iterable[Completion]:
        known = self.know()
        word = unfinished_word(document.text_before_cursor)
        name, _, _ = word.partition("=")
        found = candidates(known, document.text, document.cursor_position)
        for text, description in found:
            # Of an argument that stands already only the value is shown.
            shown = text.removeprefix(f"{name}=") or text
            yield Completion(
                text,
                start_position=-len(word),
                display=harmless(shown),
                display_meta=harmless(description),
            )


def state_folder() -> Path:
    """Where the system keeps a user's state."""
    given = os.environ.get("XDG_STATE_HOME")
    folder = Path(given) if given else Path.home() / ".local" / "state"
    return folder / "warroom"


class DiscreetHistory(FileHistory):
    """Lines of earlier prompts, without those that may hold a secret."""

    def store_string(self, string: str) -> None:
        if not may_hold_secret(string):
            super().store_string(string)


def history() -> History:
    """Lines of earlier prompts; only in memory where nothing can be written."""
    folder = state_folder()
    path = folder / "history"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError:
        return InMemoryHistory()
    return DiscreetHistory(str(path))


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
