"""Shows what a run brought: drawn for a terminal, or as the server gets it.

However it is shown, what could act on a terminal is spelled out.
"""

import json
import os
import sys
from collections.abc import Mapping
from io import TextIOWrapper
from typing import Any

from rich.console import Console

from warroom.terminal.characters import harmless, harmless_json
from warroom.terminal.markdown import draw_markdown, draw_plain, draw_table
from warroom.terminal.tables import Cells, Table
from warroom.xsoar.entries import ERROR, WARNING, Entry, Run, contents

# Characters a line where the output goes to a file or program; COLUMNS changes it.
NO_TERMINAL = 200

STYLES = {ERROR: "red", WARNING: "yellow"}
SEVERITIES = {  # by the platform's number
    0: "unknown",
    0.5: "informational",
    1: "low",
    2: "medium",
    3: "high",
    4: "critical",
}

INCIDENT_HEADERS = ["Occurred", "Severity", "Name", "Id"]
ARRIVED_BEFORE = "before"  # shown of an incident whose arrival was not watched

Incident = dict[str, Any]


def open_console() -> Console:
    """The terminal as wide as it is; a file or program gets wide lines and no colours.

    NO_COLOR is obeyed. What the encoding has no character for is shown as its escape.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    is_terminal = sys.stdout.isatty()
    columns = os.environ.get("COLUMNS", "")
    states_width = columns.isdecimal() and int(columns) > 0
    has_width = states_width or (is_terminal and not columns)
    width = None if has_width else NO_TERMINAL
    # None leaves it to the environment: TERM=dumb has no colours either.
    colours = None if is_terminal else False
    return Console(highlight=False, width=width, force_terminal=colours)


def as_json(value: Any) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return harmless_json(text)


def readable(entry: Entry, *, raw: bool = False) -> str:
    """The text the war room shows for an entry; raw: its contents, whatever text there is."""
    text = entry.get("HumanReadable")
    if text and not raw:
        return str(text)
    value = contents(entry)
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return as_json(value)


def is_markdown(entry: Entry, *, raw: bool) -> bool:
    """Whether the text that is shown for an entry is markdown."""
    is_readable = bool(entry.get("HumanReadable")) and not raw
    return is_readable or entry["ContentsFormat"] == "markdown"


def draw(run: Run, console: Console) -> None:
    """Draw each entry of a run, and with debug-mode its log."""
    raw = run.flag("raw-response")
    for entry in run.entries:
        text = readable(entry, raw=raw)
        style = STYLES.get(entry["Type"], "")
        if not text:
            continue
        if is_markdown(entry, raw=raw):
            draw_markdown(text, console, style, run.moment)
        else:
            draw_plain(text, console, style)
    if run.flag("debug-mode"):
        for line in run.logs:
            draw_plain(line, console, "dim")


def print_markdown(run: Run, console: Console) -> None:
    """Print what the entries say as the server gets it."""
    raw = run.flag("raw-response")
    for entry in run.entries:
        text = readable(entry, raw=raw)
        print(harmless(text), file=console.file)


def print_json(run: Run, console: Console) -> None:
    """Print the entries exactly as the server gets them."""
    print(as_json(run.entries), file=console.file)


SHAPES = {"table": draw, "markdown": print_markdown, "json": print_json}


def incident_cells(incident: Incident) -> Cells:
    severity = incident.get("severity", 0)
    values = (
        incident.get("occurred", ""),
        SEVERITIES[severity],
        incident["name"],
        incident.get("dbotMirrorId", ""),
    )
    return [harmless(str(value)) for value in values]


def incident_table(incidents: list[Incident], arrivals: Mapping[str, str]) -> Table:
    """A table of incidents.

    arrivals: how a detection arrived, by its id; empty where nothing is known of that.
    """
    headers = list(INCIDENT_HEADERS)
    rows = [incident_cells(incident) for incident in incidents]
    if arrivals:
        headers.append("Arrived")
        for row in rows:
            arrival = arrivals.get(row[-1], ARRIVED_BEFORE)
            row.append(arrival)
    return Table(headers, rows)


def draw_incidents(run: Run, arrivals: Mapping[str, str], console: Console) -> None:
    """Draw the incidents that a fetch brought, if any; arrivals: see `incident_table`."""
    if run.incidents:
        table = incident_table(run.incidents, arrivals)
        draw_table(table, console, run.moment)
