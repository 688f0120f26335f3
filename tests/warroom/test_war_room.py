"""The war room runs an integration from its module and manifest as the server does."""

import json
import os
import re
from datetime import datetime, timezone
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import Make, Row, text_of, texts
from warroom.demo import demo_instance
from warroom.xsoar.commandline import CommandLineError, parse, quoted
from warroom.xsoar.context import ContextData, ContextError
from warroom.xsoar.instance import load_instance
from warroom.xsoar.integration import MANIFEST, PROJECT
from warroom.xsoar.manifest import Manifest
from warroom.xsoar.nearest import did_you_mean, nearest
from warroom.xsoar.runner import WarRoom
from warroom.xsoar.surroundings import replaced


def echoed(room: WarRoom, line: str) -> Any:
    """The arguments that reach the code when this line is typed."""
    run = room.run(line)
    assert not run.failed, texts(run)
    return [json.loads(text) for text in texts(run)]


def test_the_platform_knows_neither_the_cloud_nor_the_terminal() -> None:
    modules = [text_of(path) for path in (PROJECT / "warroom/xsoar").rglob("*.py")]
    imported = {
        name for text in modules for name in re.findall(r"^ *(?:from|import) (warroom[.\w]*)", text, re.MULTILINE)
    }
    assert {name.rpartition(".")[0] for name in imported} == {"warroom.xsoar"}


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
    assert parse(line)[:3] == ("c", arguments, [])


@given(st.text())
def test_a_quoted_value_is_read_as_it_was(value: str) -> None:
    assert parse(f"!c a={quoted(value)} b=1")[1:3] == ({"a": value, "b": "1"}, [])


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
        ("!contoso-unknown", "there is no command contoso-unknown; help lists them."),
        ("!contoso-ehco", "there is no command contoso-ehco; help lists them. Did you mean contoso-echo?"),
        ("!rows", "there is no command rows; help lists them. Did you mean contoso-rows?"),
        ("!contoso-echo colour=red", "contoso-echo has no argument colour. It has: text, limit, level, ids."),
        (
            "!contoso-echo limits=5 debug=true colour=red",
            "contoso-echo has no argument colour, debug, limits. Did you mean debug-mode? Did you mean limit? "
            "It has: text, limit, level, ids.",
        ),
        ("!contoso-fault a=1", "contoso-fault has no argument a. It has: none."),
        ("!contoso-rows", "contoso-rows needs the argument count"),
        ("!contoso-rows count=", "contoso-rows needs the argument count"),
        ("!contoso-both", "contoso-both needs the arguments one, two"),
        ("!contoso-rows 3", "contoso-rows: '3' stands without an argument's name. It has: count."),
        (
            "!contoso-echo a b",
            "contoso-echo: 'b' stands without an argument's name. It has: text, limit, level, ids.",
        ),
        (
            "!contoso-echo a text=b",
            "contoso-echo: 'a' stands without an argument's name. It has: text, limit, level, ids.",
        ),
        ("!contoso-rows count=3 days", 'Quotes are missing: count="3 days"'),
        ("!contoso-rows count=3 whole days extend-context=a", 'Quotes are missing: count="3 whole days"'),
        (
            '!contoso-echo level=very high ids="x y" text=say C:\\dir',
            'Quotes are missing: level="very high" text="say C:\\\\dir"',
        ),
        ("!contoso-rows 3 count=5", "contoso-rows: '3' stands without an argument's name. It has: count."),
        (
            "!contoso-rows count=3 using-brand='Contoso' days",
            "contoso-rows: 'days' stands without an argument's name. It has: count.",
        ),
        ("!contoso-rows count='5' 3", "contoso-rows: '3' stands without an argument's name. It has: count."),
        (
            "!contoso-echo auto-extract=inlin",
            "auto-extract=inlin cannot be used. Accepted: none, inline, outOfBand. Did you mean inline?",
        ),
        ("!contoso-echo raw-response=yes", "raw-response=yes cannot be used. Accepted: true, false."),
        ("!contoso-echo using=other", "using=other cannot be used. Accepted: Contoso_instance_1."),
        (f"!contoso-echo execution-timeout={'9' * 5_000}", "execution-timeout takes a number of seconds"),
        (
            f"!contoso-echo text=${{A.[{'9' * 5_000}]}}",
            f"'A.[{'9' * 5_000}]' cannot be read: only names and [0] are, as in A.B.[0].c",
        ),
        ("!contoso-echo execution-timeout=soon", "execution-timeout takes a number of seconds"),
    ],
)
def test_what_the_server_refuses_runs_no_code(room: WarRoom, line: str, error: str) -> None:
    run = room.run(line)
    assert (texts(run), run.failed, run.logs) == ([error], True, [])


def test_defaults_come_from_the_manifest_and_every_value_is_text(room: WarRoom) -> None:
    assert echoed(room, "!contoso-echo hello") == [{"text": "hello", "limit": "50"}]
    assert echoed(room, "!contoso-echo limit=7 text=hello") == [{"text": "hello", "limit": "7"}]


def test_generic_arguments_stay_away_from_the_code(room: WarRoom) -> None:
    line = (
        "!contoso-echo using=Contoso_instance_1 using-brand=Contoso raw-response=true extend-context=A=id "
        "ignore-outputs=true auto-extract=inline debug-mode=true execution-timeout=60"
    )
    assert echoed(room, line) == [{"limit": "50"}]


# The nearest name

COMMANDS = [
    "azure-users-list",
    "azure-users-get",
    "azure-user-history-list",
    "azure-users-dismiss",
    "azure-apps-dismiss",
]


@pytest.mark.parametrize(
    ("typed", "names", "near"),
    [
        ("azure-users-lits", COMMANDS, ["azure-users-list"]),
        ("azure-user-list", COMMANDS, ["azure-users-list", "azure-user-history-list"]),
        ("azure-users-dismis", COMMANDS, ["azure-users-dismiss"]),
        ("dismiss", COMMANDS, ["azure-apps-dismiss", "azure-users-dismiss"]),
        ("azure-users-list", ["!azure-users-list", "!azure-users-risk-list"], ["!azure-users-list"]),
        ("azure-users-block", COMMANDS, []),
        ("azure-users-get-all", COMMANDS, ["azure-users-get"]),
        ("risklevel", ["risk_level", "risk_state"], ["risk_level"]),
        ("level", ["risk_level", "risk_state"], ["risk_level"]),
        ("hihg", ["low", "medium", "high"], ["high"]),
        ("atrisk", ["atRisk", "remediated"], ["atRisk"]),
        ("confirmed", ["confirmedSafe", "confirmedCompromised", "none"], ["confirmedSafe", "confirmedCompromised"]),
        ("red", ["low", "medium", "high"], []),
        ("a", ["a-1", "a-2", "a-3", "a-4"], ["a-1", "a-2", "a-3"]),
        ("confirmed-unsafe", ["confirmed-safe"], []),
        ("notAtRisk", ["atRisk", "remediated"], []),
        ("non-interactive", ["interactive", "nonInteractive"], ["nonInteractive"]),
        ("notation", ["notations"], ["notations"]),
        ("azure-" * 33 + "ab", ["azure"], ["azure"]),
        ("azure-" * 33 + "abc", ["azure"], []),
        ("", ["low"], []),
        ("low", [], []),
    ],
)
def test_a_mistyped_name_is_known_by_what_it_shares_with_no_other(
    typed: str, names: list[str], near: list[str]
) -> None:
    assert nearest(typed, names) == near


@pytest.mark.parametrize(
    ("typed", "question"),
    [
        ("a", " Did you mean a-1, a-2 or a-3?"),
        ("2", " Did you mean a-2?"),
        ("1", " Did you mean a-1 or b-1?"),
        ("x", ""),
    ],
)
def test_the_question_names_each_of_the_nearest(typed: str, question: str) -> None:
    assert did_you_mean(typed, ["a-1", "a-2", "a-3", "b-1"]) == question


# Context values in arguments


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (False, "false"), ({}, "{}"), ("", ""), (None, ""), ([], "")],
)
def test_a_path_that_stands_alone_loses_no_value(make: Make, value: Any, text: str) -> None:
    room = make(context=ContextData({"A": value}))
    assert echoed(room, "!contoso-echo text=${A}") == [{"text": text, "limit": "50"}]


def test_context_values_are_put_in_as_text(make: Make) -> None:
    room = make(context=ContextData({"A": {"n": 5, "yes": True, "o": {"k": "v"}, "text": 'say "hi" b=2'}}))
    line = '!contoso-echo text="${A.n} ${A.yes} ${A.o} ${A.missing}." level=${A.text}'
    assert echoed(room, line) == [{"text": '5 true {"k": "v"} .', "level": 'say "hi" b=2', "limit": "50"}]


def test_a_list_from_context_stays_a_list_for_an_array_argument(make: Make) -> None:
    room = make(context=ContextData({"A": [{"id": "1"}, {"id": 2}]}))
    assert echoed(room, "!contoso-echo ids=${A.id}") == [{"ids": ["1", "2"], "limit": "50"}]


def test_a_list_from_context_runs_another_argument_once_for_each_element(make: Make) -> None:
    room = make(context=ContextData({"A": [{"id": "1"}, {"id": "2"}]}))
    assert echoed(room, "!contoso-echo ${A.id}") == [{"text": "1", "limit": "50"}, {"text": "2", "limit": "50"}]


def test_an_empty_list_from_context_is_an_empty_value(make: Make) -> None:
    assert echoed(make(context=ContextData({"A": []})), "!contoso-echo ${A}") == [{"text": "", "limit": "50"}]


def test_a_context_path_that_cannot_be_followed_is_an_error(room: WarRoom) -> None:
    run = room.run("!contoso-echo ${A=val.x}")
    assert (texts(run), run.failed) == (["'A=val.x' cannot be read: only names and [0] are, as in A.B.[0].c"], True)


# Context


def added(*entry_contexts: Row) -> Row:
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
def test_entries_add_to_the_context_by_their_keys(entry_contexts: list[Any], context: Row) -> None:
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
    assert (run.failed, texts(run)[0]) == (True, "1 rows")


# Running


def test_the_integration_context_lasts_from_command_to_command(room: WarRoom) -> None:
    assert [texts(room.run("!contoso-remember")) for _ in range(2)] == [["before: nothing"], ["before: 1"]]
    assert room.integration_context == {"count": "2"}


def test_the_environment_is_as_before_after_a_command(room: WarRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FABRIKAM", "there")
    before = dict(os.environ)
    assert texts(room.run("!contoso-change")) == ["changed there"]
    assert dict(os.environ) == before


def test_the_code_is_told_of_debug_mode(room: WarRoom) -> None:
    assert texts(room.run("!contoso-debug")) + texts(room.run("!contoso-debug debug-mode=true")) == ["False", "True"]


def test_an_exception_becomes_an_error_entry_with_its_traceback(room: WarRoom) -> None:
    run = room.run("!contoso-fault")
    assert run.failed
    assert texts(run)[0].endswith("KeyError: 'no such thing'\n")


def test_return_error_ends_the_command_and_fails_the_run(room: WarRoom) -> None:
    run = room.run("!contoso-refuse")
    assert (texts(run), run.failed) == (["refused"], True)


def test_writing_to_standard_output_is_an_error(room: WarRoom, capsys: pytest.CaptureFixture[str]) -> None:
    run = room.run("!contoso-write")
    assert (texts(run), run.failed) == (["The integration wrote to standard output: 'oops'"], True)
    assert capsys.readouterr().out == ""


def test_the_clock_can_be_set(make: Make) -> None:
    room = make(clock=lambda: datetime(2026, 5, 11, tzinfo=timezone.utc))
    assert texts(room.run("!contoso-moment")) == ["2026-05-11T00:00:00+00:00"]


def test_log_lines_come_with_the_run(room: WarRoom) -> None:
    assert room.run("!contoso-echo").logs == ["debug: running contoso-echo"]


def test_the_test_button_is_happy_with_ok_alone(make: Make) -> None:
    good, bad = make().run_test(), make(params={"url": "x"}).run_test()
    assert (texts(good), good.failed, texts(bad), bad.failed) == (["ok"], False, ["wrong url"], True)


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
    assert texts(run) == ["The fetch handed over nothing, not even an empty list."]


def test_a_polling_command_is_followed_with_its_declared_arguments(make: Make) -> None:
    waits: list[float] = []
    room = make()
    room.sleep = waits.append
    assert texts(room.run("!contoso-wait left=2")) == ["['left'] 2", "['left'] 1", "['left'] 0"]
    assert waits == [30, 30]


@pytest.mark.parametrize("limit", ["timeout=40", "timeout=900 execution-timeout=40"])
def test_polling_is_given_up_in_the_end(room: WarRoom, limit: str) -> None:
    run = room.run(f"!contoso-wait left=9 {limit}")
    assert texts(run)[2:] == ["contoso-wait was given up after 40 seconds of polling."]
    assert run.failed


def test_the_last_word_of_a_given_up_command_knows_the_servers_arguments(room: WarRoom) -> None:
    *_, last = room.rounds("!contoso-wait left=9 timeout=40 raw-response=true")
    assert (last.failed, last.generic) == (True, {"raw-response": "true"})


def test_an_attribute_that_was_none_is_none_again() -> None:
    owner = ModuleType("owner")
    vars(owner)["clock"] = None
    with replaced(owner, "clock", "other"):
        assert vars(owner)["clock"] == "other"
    assert vars(owner)["clock"] is None


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
        ('{"url": {"env": 5}}', "not 5"),
        ('{"url": {"env": null}}', "not None"),
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
    example = json.loads(text_of(PROJECT / "warroom/instance.example.json"))
    assert set(example) <= set(Manifest.read(MANIFEST).parameters)
    assert set(demo_instance()) == set(Manifest.read(MANIFEST).parameters)
