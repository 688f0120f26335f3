"""The war room runs any integration from its module and manifest; a small one of its own shows that here."""

import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from rich.console import Console

from warroom import __main__ as war_room_main
from warroom.azure.demo import demo_tenant
from warroom.azure.server import Simulator
from warroom.terminal import display
from warroom.terminal.prompt import candidates
from warroom.xsoar.commandline import CommandLineError, Manifest, parse
from warroom.xsoar.context import ContextData, ContextError
from warroom.xsoar.runner import (
    MANIFEST,
    PROJECT,
    Run,
    WarRoom,
    demo_instance,
    load_instance,
    load_integration,
    run_as_one_text,
)

INTEGRATION = """
import demistomock as demisto
from CommonServerPython import *
import itertools

def utc_now(): raise AssertionError("the clock is not set")

def echo(args): return CommandResults("Contoso.Echo", "id", {"id": "1", **args}, readable_output=json.dumps(args))
def rows(args):
    found = [{"id": str(number), "a": {"b": number}} for number in range(int(args["count"]))]
    return CommandResults("Contoso.Row", "id", found, readable_output=f"{len(found)} rows")
def remember(args):
    context = get_integration_context()
    set_integration_context({"count": str(int(context.get("count", 0)) + 1)})
    return "before: " + context.get("count", "nothing")
def wait(args):
    left = int(args["left"])
    schedule = ScheduledCommand("contoso-wait", 30, {"left": str(left - 1), "own": "x"}, args.get("timeout"))
    text = f"{sorted(args)} {left}"
    return CommandResults(readable_output=text, scheduled_command=schedule if left else None)
def change(args):
    os.environ["CONTOSO"] = "changed"
    return f"{os.environ['CONTOSO']} {os.environ.pop('FABRIKAM')}"
def fault(args): raise KeyError("no such thing")
def refuse(args): return_error("refused")
def write(args): sys.stdout.write("oops")
def debug(args): return str(demisto.is_debug)
def moment(args): return utc_now().isoformat()
def test(args): return "ok" if demisto.params()["url"] == "https://contoso.example" else "wrong url"
def fetch(args):
    last = demisto.getLastRun().get("number", 0)
    demisto.setLastRun({"number": last + 1})
    if demisto.params().get("silent"): return None
    demisto.incidents([{"name": f"incident {last}"}])
    if last == demisto.params().get("fails_at"): return_error("cannot go on")

COMMANDS = {"contoso-echo": echo, "contoso-rows": rows, "contoso-remember": remember, "contoso-wait": wait,
            "contoso-change": change, "contoso-fault": fault, "contoso-refuse": refuse, "contoso-write": write,
            "contoso-moment": moment, "contoso-debug": debug, "test-module": test, "fetch-incidents": fetch}

def main():
    demisto.debug(f"running {demisto.command()}")
    if demisto.command() in COMMANDS:
        result = COMMANDS[demisto.command()](demisto.args())
        if result is not None: return_results(result)

if __name__ == "builtins":
    main()
"""

YAML = """
commonfields: {id: Contoso, version: -1}
configuration:
- {name: url, type: 0, display: URL, defaultvalue: https://contoso.example}
- {name: insecure, type: 8, display: Trust, defaultvalue: 'true'}
- {name: secret, type: 9, displaypassword: Secret}
- {name: kinds, type: 16, display: Kinds, defaultvalue: 'a,b'}
script:
  commands:
  - name: contoso-echo
    description: Gives back its arguments.
    arguments:
    - {name: text, default: true, description: Any text.}
    - {name: limit, defaultValue: '50', description: A number.}
    - {name: level, auto: PREDEFINED, predefined: [low, very high], description: A level.}
    - {name: ids, isArray: true, predefined: [one, two], description: Ids.}
  - name: contoso-rows
    description: Gives rows.
    arguments: [{name: count, required: true, description: How many.}]
  - name: contoso-wait
    description: Polls.
    polling: true
    arguments:
    - {name: left, required: true, description: Rounds.}
    - {name: timeout, hidden: true, description: Seconds.}
  - {name: contoso-remember, description: Counts.}
  - {name: contoso-change, description: Changes the environment.}
  - {name: contoso-fault, description: Has a fault.}
  - {name: contoso-refuse, description: Refuses.}
  - {name: contoso-write, description: Writes to standard output.}
  - {name: contoso-debug, description: Tells whether it is being debugged.}
  - {name: contoso-moment, description: Tells the time.}
"""

Make = Callable[..., WarRoom]


@pytest.fixture(scope="module")
def module() -> ModuleType:
    return run_as_one_text(INTEGRATION)


@pytest.fixture(scope="module")
def manifest_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("manifest") / "Contoso.yml"
    path.write_text(YAML, encoding="utf-8")
    return path


@pytest.fixture
def make(module: ModuleType, manifest_path: Path) -> Make:
    def made(**options: Any) -> WarRoom:
        params = {"url": "https://contoso.example", **options.pop("params", {})}
        return WarRoom(module, manifest_path, params, sleep=lambda _: None, **options)

    return made


@pytest.fixture
def room(make: Make) -> WarRoom:
    return make()


def said(run: Run) -> list[str]:
    """What the entries of a run say."""
    return [display.readable(entry) for entry in run.entries]


def echoed(room: WarRoom, line: str) -> Any:
    """The arguments that reach the code when this line is typed."""
    run = room.run(line)
    assert not run.failed, said(run)
    return [json.loads(text) for text in said(run)]


# The command line


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        ("!c", {}),
        ("  !c   a=1\n b=2 ", {"a": "1", "b": "2"}),
        ("!c a=", {"a": ""}),
        ("!c a=''", {"a": ""}),
        ('!c a="x y" b=\'x "y" z\'', {"a": "x y", "b": 'x "y" z'}),
        (r'!c a="x\ny\t\"z\"\\ \:\,"', {"a": 'x\ny\t"z"\\ :,'}),
        (r'!c a="C:\dir"', {"a": r"C:\dir"}),
        (r"!c a=x\ny", {"a": r"x\ny"}),
        (r'!c a=`{"x": "\n"}`', {"a": r'{"x": "\n"}'}),
        ("!c a=O'Brien b=x=y", {"a": "O'Brien", "b": "x=y"}),
        ('!c a="two\nlines"', {"a": "two\nlines"}),
    ],
)
def test_a_line_is_read_as_the_server_reads_it(line: str, arguments: dict[str, str]) -> None:
    assert parse(line) == ("c", arguments, [])


def test_a_bare_value_is_positional_even_with_a_quoted_equals_sign() -> None:
    assert parse('!c first "a=b" https://x/?y=z').positional == ["first", "a=b", "https://x/?y=z"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("c a=1", "starts with !"),
        ("!", "starts with !"),
        ('!c a="x', "quotes do not match"),
        ('!c a="x"y', "quotes do not match"),
        ("!c a=1 a=2", "given twice"),
    ],
)
def test_a_line_that_cannot_be_read_is_refused(line: str, why: str) -> None:
    with pytest.raises(CommandLineError, match=why):
        parse(line)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("!contoso-unknown", "there is no command contoso-unknown; help lists them"),
        ("!contoso-echo colour=red", "contoso-echo has no argument colour. It has: text, limit, level, ids."),
        ("!contoso-rows", "contoso-rows needs the argument count"),
        ("!contoso-rows count=", "contoso-rows needs the argument count"),
        ("!contoso-rows 3", "contoso-rows: '3' stands without an argument's name"),
        ("!contoso-echo a b", "contoso-echo: 'b' stands without an argument's name"),
        ("!contoso-echo a text=b", "contoso-echo: 'a' stands without an argument's name"),
        ("!contoso-echo raw-response=yes", "raw-response=yes cannot be used. Accepted: true, false."),
        ("!contoso-echo using=other", "using=other cannot be used. Accepted: Contoso_instance_1."),
        ("!contoso-echo execution-timeout=soon", "execution-timeout takes a number of seconds"),
    ],
)
def test_what_the_server_refuses_runs_no_code(room: WarRoom, line: str, error: str) -> None:
    run = room.run(line)
    assert (said(run), run.failed, run.logs) == ([error], True, [])


def test_defaults_come_from_the_manifest_and_every_value_is_text(room: WarRoom) -> None:
    assert echoed(room, "!contoso-echo hello") == [{"text": "hello", "limit": "50"}]
    assert echoed(room, "!contoso-echo limit=7 text=hello") == [{"text": "hello", "limit": "7"}]


def test_generic_arguments_stay_away_from_the_code(room: WarRoom) -> None:
    line = (
        "!contoso-echo using=Contoso_instance_1 using-brand=Contoso raw-response=true extend-context=A=id "
        "ignore-outputs=true auto-extract=inline debug-mode=true execution-timeout=60"
    )
    assert echoed(room, line) == [{"limit": "50"}]


# Context values in arguments


def test_context_values_are_put_in_as_text(make: Make) -> None:
    room = make(context={"A": {"n": 5, "yes": True, "o": {"k": "v"}, "text": 'say "hi" b=2'}})
    line = '!contoso-echo text="${A.n} ${A.yes} ${A.o} ${A.missing}." level=${A.text}'
    assert echoed(room, line) == [{"text": '5 true {"k": "v"} .', "level": 'say "hi" b=2', "limit": "50"}]


def test_a_list_from_context_stays_a_list_for_an_array_argument(make: Make) -> None:
    room = make(context={"A": [{"id": "1"}, {"id": 2}]})
    assert echoed(room, "!contoso-echo ids=${A.id}") == [{"ids": ["1", "2"], "limit": "50"}]


def test_a_list_from_context_runs_another_argument_once_for_each_element(make: Make) -> None:
    room = make(context={"A": [{"id": "1"}, {"id": "2"}]})
    assert echoed(room, "!contoso-echo ${A.id}") == [{"text": "1", "limit": "50"}, {"text": "2", "limit": "50"}]


def test_an_empty_list_from_context_is_an_empty_value(make: Make) -> None:
    assert echoed(make(context={"A": []}), "!contoso-echo ${A}") == [{"text": "", "limit": "50"}]


def test_a_context_path_that_cannot_be_followed_is_an_error(room: WarRoom) -> None:
    run = room.run("!contoso-echo ${A=val.x}")
    assert (said(run), run.failed) == (["'A=val.x' cannot be read: only names and [0] are, as in A.B.[0].c"], True)


# Context


def added(*entry_contexts: dict[str, Any]) -> dict[str, Any]:
    data = ContextData()
    for entry_context in entry_contexts:
        data.add(entry_context)
    return data.data


BY_ID = "A.B(val.id && val.id == obj.id)"
BY_BOTH = "A(val.x && val.x == obj.x && val.y && val.y == obj.y)"


@pytest.mark.parametrize(
    ("entry_contexts", "context"),
    [
        ([{BY_ID: {"id": 1}}], {"A": {"B": {"id": 1}}}),
        ([{BY_ID: {"id": 1, "a": 1}}, {BY_ID: {"id": 1, "b": 2}}], {"A": {"B": {"id": 1, "a": 1, "b": 2}}}),
        ([{BY_ID: {"id": 1}}, {BY_ID: {"id": 2}}], {"A": {"B": [{"id": 1}, {"id": 2}]}}),
        ([{BY_ID: [{"id": 1, "a": 1}]}, {BY_ID: {"id": 1, "a": 2}}], {"A": {"B": [{"id": 1, "a": 2}]}}),
        ([{BY_ID: [{"id": 1}]}, {BY_ID: [{"id": 2}, {"id": 1, "a": 1}]}], {"A": {"B": [{"id": 1, "a": 1}, {"id": 2}]}}),
        ([{BY_ID: [{"n": 1}]}, {BY_ID: [{"n": 1}]}], {"A": {"B": [{"n": 1}, {"n": 1}]}}),
        (
            [{BY_BOTH: [{"x": 1, "y": 1}]}, {BY_BOTH: [{"x": 1, "y": 2}, {"x": 1, "y": 1, "z": 3}]}],
            {"A": [{"x": 1, "y": 1, "z": 3}, {"x": 1, "y": 2}]},
        ),
        ([{BY_BOTH: [{"x": 1, "y": ""}]}] * 2, {"A": [{"x": 1, "y": ""}] * 2}),
        ([{"A.B": {"id": 1}}, {"A.B": {"id": 1}}], {"A": {"B": [{"id": 1}, {"id": 1}]}}),
        ([{"A.T": "x"}, {"A.T": "y"}], {"A": {"T": ["x", "y"]}}),
        ([{"A(true)": {"T": "x"}}, {"A(true)": {"T": "y", "U": 1}}], {"A": {"T": "y", "U": 1}}),
        ([{BY_ID: [{"id": 1}]}, {"A(true)": {"T": "x"}}], {"A": {"B": [{"id": 1}], "T": "x"}}),
        ([{"A(true)": {"T": "x"}, BY_ID: [{"id": 1}]}], {"A": {"T": "x", "B": [{"id": 1}]}}),
        ([{"A": [{"x": 1}, {"x": 2}]}, {"A(true)": {"y": 3}}], {"A": [{"x": 1, "y": 3}, {"x": 2, "y": 3}]}),
    ],
)
def test_entries_add_to_the_context_by_their_keys(entry_contexts: list[Any], context: dict[str, Any]) -> None:
    assert added(*entry_contexts) == context


def test_an_update_leaves_the_entry_it_came_from_alone() -> None:
    first = {BY_ID: [{"id": 1, "a": 1}]}
    added(first, {BY_ID: [{"id": 1, "a": 2}]})
    assert first == {BY_ID: [{"id": 1, "a": 1}]}


@pytest.mark.parametrize("key", ["A.B(val.id > 3)", "A.B(", "A..B", "A(val.x && val.x == obj.y)"])
def test_a_context_key_of_another_form_is_refused(key: str) -> None:
    with pytest.raises(ContextError):
        added({"A.B": [{"id": 1}]}, {key: {"id": 1}}, {key: {"id": 1}})


def test_a_value_cannot_stand_below_a_list() -> None:
    with pytest.raises(ContextError, match="no object"):
        added({"A.B": [1]}, {"A.B.C": 2})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("A.B.c", [1, 2]),
        ("A.B.[1].c", 2),
        ("A.B[0]", {"c": 1}),
        ("A.B.[9].c", None),
        ("A.B.e", None),
        ("A.x-y", "z"),
        ("A.none.deeper", None),
        (".", {"A": {"B": [{"c": 1}, {"c": 2}, {"d": 3}], "x-y": "z"}}),
    ],
)
def test_context_is_read_by_path(path: str, value: Any) -> None:
    data = ContextData({"A": {"B": [{"c": 1}, {"c": 2}, {"d": 3}], "x-y": "z"}})
    assert data.read(path) == value


def test_commands_merge_into_one_context(room: WarRoom) -> None:
    room.run("!contoso-rows count=2")
    room.run("!contoso-rows count=1")
    assert room.context.data == {"Contoso": {"Row": [{"id": "0", "a": {"b": 0}}, {"id": "1", "a": {"b": 1}}]}}


def test_ignored_outputs_stay_out_of_the_context_but_extensions_come_in(room: WarRoom) -> None:
    room.run("!contoso-rows count=2 ignore-outputs=true extend-context=Numbers=a.b::All=.")
    rows = [{"id": "0", "a": {"b": 0}}, {"id": "1", "a": {"b": 1}}]
    assert room.context.data == {"Numbers": [0, 1], "All": rows}


@pytest.mark.parametrize("extension", ["Numbers", "=a", "`N=.={val}`"])
def test_an_extension_that_cannot_be_followed_is_an_error(room: WarRoom, extension: str) -> None:
    run = room.run(f"!contoso-rows count=1 extend-context={extension}")
    assert (run.failed, said(run)[0]) == (True, "1 rows")


# Running


def test_the_integration_context_lasts_from_command_to_command(room: WarRoom) -> None:
    assert [said(room.run("!contoso-remember")) for _ in range(2)] == [["before: nothing"], ["before: 1"]]
    assert room.integration_context == {"count": "2"}


def test_the_environment_is_as_before_after_a_command(room: WarRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FABRIKAM", "there")
    before = dict(os.environ)
    assert said(room.run("!contoso-change")) == ["changed there"]
    assert dict(os.environ) == before


def test_the_code_is_told_of_debug_mode(room: WarRoom) -> None:
    assert said(room.run("!contoso-debug")) + said(room.run("!contoso-debug debug-mode=true")) == ["False", "True"]


def test_an_exception_becomes_an_error_entry_with_its_traceback(room: WarRoom) -> None:
    run = room.run("!contoso-fault")
    assert run.failed
    assert said(run)[0].endswith("KeyError: 'no such thing'\n")


def test_return_error_ends_the_command_and_fails_the_run(room: WarRoom) -> None:
    run = room.run("!contoso-refuse")
    assert (said(run), run.failed) == (["refused"], True)


def test_writing_to_standard_output_is_an_error(room: WarRoom, capsys: pytest.CaptureFixture[str]) -> None:
    run = room.run("!contoso-write")
    assert (said(run), run.failed) == (["The integration wrote to standard output: 'oops'"], True)
    assert capsys.readouterr().out == ""


def test_the_clock_can_be_set(make: Make) -> None:
    room = make(clock=lambda: datetime(2026, 5, 11, tzinfo=timezone.utc))
    assert said(room.run("!contoso-moment")) == ["2026-05-11T00:00:00+00:00"]


def test_log_lines_come_with_the_run(room: WarRoom) -> None:
    assert room.run("!contoso-echo").logs == ["debug: running contoso-echo"]


def test_the_test_button_is_happy_with_ok_alone(make: Make) -> None:
    good, bad = make().run_test(), make(params={"url": "x"}).run_test()
    assert (said(good), good.failed, said(bad), bad.failed) == (["ok"], False, ["wrong url"], True)


def test_a_fetch_goes_on_from_the_last_one(room: WarRoom) -> None:
    fetched = [room.fetch().incidents for _ in range(2)]
    assert fetched == [[{"name": "incident 0"}], [{"name": "incident 1"}]]


def test_a_failed_fetch_leaves_nothing_behind(make: Make) -> None:
    room = make(params={"fails_at": 1})
    room.fetch()
    run = room.fetch()
    assert (run.failed, run.incidents, room.last_run) == (True, [], {"number": 1})


def test_a_fetch_must_hand_over_a_list(make: Make) -> None:
    run = make(params={"silent": True}).fetch()
    assert said(run) == ["The fetch handed over nothing, not even an empty list."]


def test_a_polling_command_is_followed_with_its_declared_arguments(make: Make) -> None:
    waits: list[float] = []
    room = make()
    room.sleep = waits.append
    assert said(room.run("!contoso-wait left=2")) == ["['left'] 2", "['left'] 1", "['left'] 0"]
    assert waits == [30, 30]


@pytest.mark.parametrize("limit", ["timeout=40", "timeout=900 execution-timeout=40"])
def test_polling_is_given_up_in_the_end(room: WarRoom, limit: str) -> None:
    run = room.run(f"!contoso-wait left=9 {limit}")
    assert said(run)[2:] == ["contoso-wait was given up after 40 seconds of polling."]
    assert run.failed


# Instances


def test_an_instance_has_the_manifests_defaults(manifest_path: Path, tmp_path: Path) -> None:
    (tmp_path / "i.json").write_text('{"url": "https://fabrikam.example"}', encoding="utf-8")
    assert load_instance(tmp_path / "i.json", manifest_path) == {
        "url": "https://fabrikam.example",
        "insecure": True,
        "secret": {"identifier": "", "password": ""},
        "kinds": ["a", "b"],
    }


def test_secrets_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "contoso-secret")
    secret = load_instance(PROJECT / "warroom/instance.example.json")["client_secret"]
    assert secret == {"identifier": "", "password": "contoso-secret"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"colour": 1}', "unknown parameters: colour"),
        ('{"url": {"env": "CONTOSO_MISSING"}}', "CONTOSO_MISSING is not set"),
        ("[]", "JSON object"),
        ("{", "Expecting"),
    ],
)
def test_an_instance_file_that_cannot_be_used_is_refused(
    text: str, why: str, manifest_path: Path, tmp_path: Path
) -> None:
    (tmp_path / "i.json").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=why):
        load_instance(tmp_path / "i.json", manifest_path)


def test_the_example_instance_names_parameters_of_the_manifest() -> None:
    example = json.loads((PROJECT / "warroom/instance.example.json").read_text(encoding="utf-8"))
    assert set(example) <= set(Manifest.read(MANIFEST).parameters)
    assert set(demo_instance()) == set(Manifest.read(MANIFEST).parameters)


# Drawing

TABLE = (
    "### Users\n|Id|Name|Risk Level|\n|---|---|---|\n"
    "| 00000000-0000-0000-0000-000000000001 | Zoë \\| O'Brien<br>\\`quoted\\` | high |\n"
)


def drawn(markdown: str, width: int = 80, **options: Any) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False, **options)
    display.draw_markdown(markdown, console)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def test_a_table_is_drawn_with_its_escapes_and_breaks_resolved() -> None:
    lines = [line.split() for line in drawn(TABLE).splitlines()]
    assert lines[0] == ["Users"]
    assert lines[2] == ["|", "Id", "|", "Name", "|", "Risk", "Level", "|"]
    assert lines[4:6] == [
        ["|", "00000000-0000-0000-0000-000000000001", "|", "Zoë", "|", "O'Brien", "|", "high", "|"],
        ["|", "|", "`quoted`", "|", "|"],
    ]


@pytest.mark.parametrize("width", [20, 50, 80, 120, 200])
def test_nothing_is_lost_at_any_width_and_ids_stay_whole(width: int) -> None:
    values = ["b6b4a2b0c1d2e3f4" * 4, "zoe.obrien@contoso.example", "2026-05-11T07:42:19.3350127Z", "high", "a" * 70]
    table = f"|{'|'.join('ABCDE')}|\n|---|---|---|---|---|\n| {' | '.join(values)} |\n"
    text = drawn(table, width)
    assert all(value in text for value in values[:4])
    assert text.count("a") - "".join(values[:4]).count("a") == 70


def test_a_name_cannot_play_with_the_terminal() -> None:
    assert "Zo\\x1b[2J\\u2028\\r" in drawn("|Name|\n|---|\n| Zo\x1b[2J\u2028\r |\n")


def test_a_single_wide_row_is_drawn_as_a_list() -> None:
    table = f"|Id|Risk Detail|Location|\n|---|---|---|\n| 555 | {'words ' * 9}| {'more ' * 9}|\n"
    assert [line.split(" | ")[0].strip() for line in drawn(table).splitlines()] == ["Id", "Risk Detail", "Location"]


def test_running_text_loses_its_marks_but_not_its_words() -> None:
    assert drawn("## Steps\n1. Open [here](https://x/y) or [https://x](https://x), enter **AB C**.\n[red]\n") == (
        "Steps\n1. Open here (https://x/y) or https://x, enter AB C.\n[red]\n"
    )


@pytest.mark.parametrize(("kind", "colour"), [(4, "\x1b[31m"), (11, "\x1b[33m")])
def test_errors_are_red_and_warnings_yellow_where_colours_are_shown(
    kind: int, colour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    console = Console(file=io.StringIO(), force_terminal=True, color_system="standard")
    display.draw(Run("c", [{"Type": kind, "ContentsFormat": "text", "Contents": "careful"}]), console)
    assert console.file.getvalue().startswith(f"{colour}careful")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({"HumanReadable": "text", "Contents": {"a": 1}, "ContentsFormat": "json"}, "text"),
        ({"HumanReadable": None, "Contents": {"a": 1}, "ContentsFormat": "json"}, '{\n  "a": 1\n}'),
        ({"Contents": '{"a": 1}', "ContentsFormat": "json"}, '{\n  "a": 1\n}'),
        ({"HumanReadable": None, "Contents": None, "ContentsFormat": "json"}, ""),
    ],
)
def test_an_entry_shows_its_readable_text_or_else_its_contents(entry: dict[str, Any], text: str) -> None:
    assert display.readable(entry) == text


def test_a_raw_response_shows_the_contents_in_place_of_the_text() -> None:
    entry = {"HumanReadable": "text", "Contents": {"a": 1}, "ContentsFormat": "json"}
    assert display.readable(entry, raw=True) == '{\n  "a": 1\n}'


# Completion


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("!contoso-e", ["!contoso-echo"]),
        ("he", ["help"]),
        ("help !contoso-ro", ["!contoso-rows"]),
        ("help !contoso-rows ", []),
        ("!contoso-echo t", ["text="]),
        ("!contoso-echo text=a t", []),
        ("!contoso-wait t", []),
        ("!contoso-echo raw", ["raw-response="]),
        ("!contoso-echo level=", ["level=low", 'level="very high"']),
        ("!contoso-echo level=l", ["level=low"]),
        ("!contoso-echo ids=two,o", ["ids=two,one"]),
        ("!contoso-unknown x", []),
    ],
)
def test_tab_completes_commands_arguments_and_values(text: str, expected: list[str], manifest_path: Path) -> None:
    words = {"help": ["!contoso-rows"], "quit": []}
    assert candidates(Manifest.read(manifest_path), words, text) == expected


# The command `warroom`


@pytest.fixture
def warroom(make: Make, manifest_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs `warroom` with the small integration in the place of the real one."""
    room = make()
    monkeypatch.setattr(war_room_main, "MANIFEST", manifest_path)
    monkeypatch.setattr(war_room_main.Desk, "room", room)

    def run(*arguments: str) -> int:
        return war_room_main.main(list(arguments))

    return run


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (["!contoso-echo"], 0),
        (["!contoso-refuse"], 1),
        (["!contoso-refuse", "!contoso-echo"], 1),
        (["!contoso-unknown"], 1),
        (["nonsense"], 2),
        (["help", "help contoso-echo", "context", "context A.b", "test", "fetch"], 0),
        (["help unknown"], 2),
        (["context A B"], 2),
        (["context A=b"], 2),
        (["quit", "!contoso-refuse"], 0),
    ],
)
def test_the_exit_code_tells_errors_and_misuse_apart(warroom: Callable[..., int], lines: list[str], code: int) -> None:
    assert warroom(*lines) == code


@pytest.mark.parametrize(
    "arguments",
    [["--users", "many"], ["--seed", "-1"], ["--markdown", "--json"], ["--unknown"], ["--instance", "none"]],
)
def test_options_that_cannot_be_used_exit_with_2(warroom: Callable[..., int], arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        warroom(*arguments)
    assert ended.value.code == 2


def test_markdown_prints_the_readable_text_exactly(
    warroom: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    warroom("--markdown", "!contoso-echo text='[red]**x**'")
    assert capsys.readouterr().out == '{"limit": "50", "text": "[red]**x**"}\n'


def test_json_prints_the_entries_exactly(warroom: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    warroom("--json", "!contoso-rows count=1 raw-response=true")
    row = {"id": "0", "a": {"b": 0}}
    assert json.loads(capsys.readouterr().out) == [
        {
            "Type": 1,
            "ContentsFormat": "json",
            "Contents": [row],
            "HumanReadable": "1 rows",
            "EntryContext": {"Contoso.Row(val.id && val.id == obj.id)": [row]},
            "IndicatorTimeline": [],
            "IgnoreAutoExtract": False,
            "Note": False,
            "Relationships": [],
        }
    ]


def test_lines_may_be_piped_in(
    warroom: Callable[..., int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("!contoso-rows count=2\n\ncontext Contoso.Row.id\nquit\n"))
    assert warroom() == 0
    assert capsys.readouterr().out == '2 rows\n[\n  "0",\n  "1"\n]\n'


def test_help_names_an_arguments_values_and_default(
    warroom: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    warroom("help !contoso-echo")
    assert capsys.readouterr().out.splitlines()[:8] == [
        "!contoso-echo",
        "    Gives back its arguments.",
        "text",
        "    Any text.",
        "limit",
        "    A number. Default: 50.",
        "level",
        "    A level. One of: low, very high.",
    ]


def test_debug_mode_shows_the_log(warroom: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    warroom("!contoso-rows count=1 debug-mode=true")
    assert capsys.readouterr().out == "1 rows\ndebug: running contoso-rows\n"


# The real integration and the simulated tenant

SMALL = ("--users", "20", "--detections", "20")


def test_the_demo_investigates_a_user_and_ends_with_the_changed_state(capsys: pytest.CaptureFixture[str]) -> None:
    assert war_room_main.main(["demo", *SMALL]) == 0
    shown = capsys.readouterr()
    assert shown.err == "The tenant is simulated: nothing leaves this machine.\n"
    told = [
        "warroom> !azure-risky-users-list",
        "Found Risky User With Name: adele.vance@contoso.example",
        "Leaked credentials",
        '"userPrincipalName": "adele.vance@contoso.example"',
        "1 dry run. Nothing was changed.",
        "1 submitted.",
        "(30 seconds later)",
        "1 applied.",
        "Admin confirmed user compromised",
    ]
    places = [shown.out.find(text) for text in told]
    assert places == sorted(places)
    assert places[0] > 0


@pytest.mark.parametrize(
    "lines",
    [
        ["signin client-credentials", "test", "!azure-risky-users-auth-test"],
        ["signin managed-identity", "test", "!azure-risky-users-auth-test"],
    ],
)
def test_every_sign_in_can_be_walked_through(lines: list[str]) -> None:
    assert war_room_main.main([*lines, *SMALL]) == 0


@pytest.mark.parametrize(("answer", "code"), [("approve", 0), ("decline", 1)])
def test_the_person_at_the_browser_is_played_at_the_prompt(
    answer: str, code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def typed() -> Iterator[str]:
        yield "signin device-code"
        yield "!azure-risky-users-auth-start"
        user_code = re.findall("enter the code (\\S+)", capsys.readouterr().out)[0]
        yield f"{answer} {user_code}"
        yield "!azure-risky-users-auth-complete"

    monkeypatch.setattr(war_room_main, "typed_lines", lambda _: typed())
    assert war_room_main.main([*SMALL]) == code


@pytest.mark.parametrize("line", ["signin nobody", "approve X", "approve", "quit now"])
def test_a_word_that_cannot_be_followed_is_misuse(line: str) -> None:
    assert war_room_main.main([line, *SMALL]) == 2


def test_a_real_instance_has_no_simulated_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "contoso-secret")
    instance = str(PROJECT / "warroom/instance.example.json")
    assert war_room_main.main(["--instance", instance, "approve X"]) == 2


def test_a_proxy_in_the_environment_does_not_come_between_integration_and_simulator(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    module = load_integration()
    with Simulator(demo_tenant(users=5, detections=5)) as simulator:
        room = WarRoom(module, MANIFEST, {**demo_instance(), "proxy": True}, simulator=simulator)
        assert not room.run("!azure-risky-users-list").failed
    assert "get_adapter" not in vars(module.HttpSession)
