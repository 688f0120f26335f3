"""What a command sends to the war room: entries, as the server gets them."""

import json
from dataclasses import dataclass, field
from typing import Any

FETCH = "fetch-incidents"


TEST = "test-module"


ERROR = 4  # type of an entry


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
    return (
        json.loads(value)
        if entry["ContentsFormat"] == "json" and isinstance(value, str)
        else value
    )
