"""Keeps a simulated tenant and its investigation in a file, from one call to the next.

The file is JSON. It holds no secret but the simulated tenant's public ones and the tokens
that it issued.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warroom.azure.tenant import CLIENT_ID, CLIENT_SECRET, NEW_CLIENT_SECRET
from warroom.demo import demo_instance
from warroom.xsoar.commandline import Args
from warroom.xsoar.runner import WarRoom

FORMAT = "The state of a simulated war room, version 1"
PARTS = {"format": str, "tenant": dict, "room": dict, "scenario": str, "ways": dict}
PUBLIC = ("", CLIENT_ID, CLIENT_SECRET, NEW_CLIENT_SECRET)

Kept = dict[str, Any]


class StateError(ValueError):
    """A file that holds no state of a war room, or one that cannot be read."""


@contextmanager
def reading(state: "State | None") -> Iterator[None]:
    """Raises: StateError: what the file keeps is not what was written."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        if state is None or not state.kept:
            raise
        raise StateError(f"{state.path} cannot be gone on from") from problem


# The file


def read_kept(path: Path, text: str) -> Kept:
    """What a file's text keeps; nothing if it is empty. Raises: StateError."""
    if not text:
        return {}
    try:
        kept = json.loads(text)
    except (RecursionError, ValueError):
        kept = None
    types = {}
    if isinstance(kept, dict):
        types = {name: type(value) for name, value in kept.items()}
    if types != PARTS or kept["format"] != FORMAT:
        raise StateError(f"{path} is no file that --state has written")
    return dict(kept)


def text_in(path: Path) -> str:
    """A file's text; empty where there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as problem:
        raise StateError(f"{path} is no file that --state has written") from problem


def replace_text(path: Path, text: str) -> None:
    """Let the file have this text, at once for whoever reads it meanwhile."""
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


@dataclass
class State:
    """A file of state as it was read. kept: empty where nothing is kept yet."""

    path: Path
    text: str
    kept: Kept

    @classmethod
    def read(cls, name: str) -> "State":
        """Raises: StateError, OSError: the file cannot be one."""
        path = Path(name).resolve()
        if not path.parent.is_dir():
            raise StateError(f"there is no folder {path.parent}")
        text = text_in(path)
        return cls(path, text, read_kept(path, text))

    def write(self, kept: Kept) -> None:
        """Keep this from now on. Raises: OSError."""
        if text_in(self.path) != self.text:
            print(
                f"{self.path} was written by another call meanwhile, whose changes are lost.",
                file=sys.stderr,
            )
        self.text = json.dumps(kept | {"format": FORMAT})
        replace_text(self.path, self.text)


# The investigation


def is_public(value: Any) -> bool:
    """Whether a parameter may stand in a file: a secret only if it is the simulated tenant's."""
    return not isinstance(value, dict) or value.get("password") in PUBLIC


def changed_parameters(params: Args) -> Args:
    """What differs from the demo's instance, without secrets; what is left out is said."""
    demo = demo_instance()
    changed = {name: value for name, value in params.items() if value != demo[name]}
    secret = [name for name, value in changed.items() if not is_public(value)]
    if secret:
        names = ", ".join(secret)
        print(f"Not kept, as it may be secret: {names}.", file=sys.stderr)
    return {name: value for name, value in changed.items() if name not in secret}


def kept_room(room: WarRoom) -> Kept:
    """What a war room keeps, as JSON."""
    return {
        "params": changed_parameters(room.params),
        "context": room.context.data,
        "integration_context": room.integration_context,
        "last_run": room.last_run,
    }


def restore_room(room: WarRoom, kept: Kept) -> None:
    """Raises: KeyError: it is of an instance with other parameters."""
    unknown = kept["params"].keys() - room.params.keys()
    if unknown:
        raise KeyError(*unknown)
    room.params = room.params | kept["params"]
    room.context.data = kept["context"]
    room.integration_context = kept["integration_context"]
    room.last_run = kept["last_run"]
