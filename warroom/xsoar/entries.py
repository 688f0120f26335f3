"""What a command sends to the war room: its entries, as the server gets them."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

TEST = "test-module"
FETCH = "fetch-incidents"

ERROR = 4  # types of an entry
WARNING = 11

Entry = dict[str, Any]


def error_entry(text: str) -> Entry:
    return {
        "Type": ERROR,
        "ContentsFormat": "text",
        "Contents": text,
        "EntryContext": None,
    }


def contents(entry: Entry) -> Any:
    """The entry's contents; those that are the text of JSON, as what the text says."""
    value = entry["Contents"]
    is_json = entry["ContentsFormat"] == "json"
    if is_json and isinstance(value, str):
        return json.loads(value)
    return value


@dataclass
class Run:
    """What came of one command line, and the server's own arguments it was run with.

    moment: when it was run, by the room's clock.
    """

    command: str
    entries: list[Entry] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)
    incidents: list[dict[str, Any]] = field(default_factory=list)
    generic: dict[str, str] = field(default_factory=dict)
    moment: datetime | None = None

    @property
    def failed(self) -> bool:
        """Whether there is an error entry; of the Test button, whether it says anything but ok."""
        if self.command == TEST:
            answers = [entry["Contents"] for entry in self.entries]
            return answers != ["ok"]
        types = [entry["Type"] for entry in self.entries]
        return ERROR in types

    def flag(self, name: str) -> bool:
        """Whether one of the server's own arguments is true."""
        value = self.generic.get(name, "")
        return value.lower() == "true"
