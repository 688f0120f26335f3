"""Changes the instance, and what goes wrong in the simulated tenant."""

from collections.abc import Iterator

from rich.text import Text

from warroom.azure.scenarios import SCENARIOS
from warroom.terminal.characters import harmless
from warroom.terminal.completion import Candidate
from warroom.terminal.desk import Desk, Misuse, only_word
from warroom.terminal.markdown import draw_plain, draw_table
from warroom.terminal.tables import Table
from warroom.xsoar.commandline import CommandLineError, parse, quoted
from warroom.xsoar.parameters import (
    changed,
    differences,
    offered,
    settings,
    shown,
)

USAGE = (
    "set takes PARAMETER=VALUE, each parameter once, and a value with spaces in quotes."
)
HEADERS = ["Parameter", "Value", "In A New Instance"]


def list_differences(desk: Desk) -> None:
    """Show in what the instance differs from a new one."""
    manifest, params = desk.manifest, desk.room.params
    new = manifest.default_parameters()
    rows = []
    for setting in differences(manifest, params):
        texts = (setting.name, shown(setting, params), shown(setting, new))
        rows.append(list(map(harmless, texts)))
    draw_table(Table(HEADERS, rows), desk.console)


def typed_settings(text: str) -> dict[str, str]:
    """The values by their names. Raises: Misuse: it is something else, which is not told,
    as it may be a secret."""
    try:
        typed = parse(f"!set {text}")
    except CommandLineError:
        raise Misuse(USAGE) from None
    if typed.positional:
        raise Misuse(USAGE)
    return typed.arguments


def change_instance(desk: Desk, rest: list[str]) -> None:
    """Change parameters of the instance; without any, show which differ from the default."""
    (text,) = rest
    typed = typed_settings(text)
    if not typed:
        list_differences(desk)
        return
    room = desk.room
    room.params = changed(desk.manifest, room.params, typed)
    known = settings(desk.manifest)
    for name in typed:
        value = shown(known[name], room.params)
        line = f"{name} is now {value}." if value else f"{name} is now empty."
        draw_plain(line, desk.console)


def follow_settings(desk: Desk, words: list[str]) -> Iterator[Candidate]:
    """The names that are not given yet, or the values that the last one may have."""
    *given, word = words
    taken = {each.partition("=")[0] for each in given}
    for name, setting in settings(desk.manifest).items():
        if name in taken:
            continue
        if not word.startswith(f"{name}="):
            yield Candidate(f"{name}=", setting.label)
            continue
        for choice in setting.choices:
            yield Candidate(f"{name}={quoted(choice)}")


def list_scenarios(desk: Desk, played: str) -> None:
    for name, scenario in SCENARIOS.items():
        mark = " (played now)" if name == played else ""
        title = Text.assemble((name, "bold"), (mark, "dim"))
        desk.console.print(title)
        draw_plain(f"    {scenario.explanation}", desk.console)


def follow_scenarios(_: Desk, words: list[str]) -> list[Candidate]:
    if words[1:]:
        return []
    return [Candidate(name, each.explanation) for name, each in SCENARIOS.items()]


def play_scenario(desk: Desk, rest: list[str]) -> None:
    """Play a scenario in the simulated tenant; without a name, list them."""
    name = only_word(rest)
    stage = desk.stage()
    if not name:
        list_scenarios(desk, stage.name)
        return
    if name not in SCENARIOS:
        offering = offered(name, SCENARIOS)
        raise Misuse(f"There is no scenario {name}.{offering}")
    stage.play(name)
    draw_plain(f"{name}: {SCENARIOS[name].explanation}", desk.console)
