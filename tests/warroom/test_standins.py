"""The stand-ins keep the platform's recorded behaviour, and its rules more strictly than it does itself.

Marked `standin` is what would not hold with the platform's own library in the place of its stand-in.
"""

import ast
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

import CommonServerPython as csp  # noqa: N813 - the module is the platform's
import demistomock
from helpers import text_of
from warroom.xsoar.integration import PROJECT, run_as_one_text
from warroom.xsoar.surroundings import restored_environment

Case = dict[str, Any]
RECORDED: Case = json.loads(text_of(PROJECT / "test_data/commonserver_cases.json"))
CASES: list[Case] = RECORDED["cases"]
OUTCOMES = ("returns", "to_context", "to_results", "raises", "message", "exits", "entries", "logs", "environment_after")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
IMPORTS = "import demistomock as demisto  # noqa: F401\nfrom CommonServerPython import *  # noqa: F401\n"


@pytest.fixture
def restored() -> Iterator[None]:
    with restored_environment():
        yield


@pytest.fixture(autouse=True)
def call(monkeypatch: pytest.MonkeyPatch) -> demistomock.Call:
    """A fresh call, as each command gets one."""
    fresh = demistomock.Call(command="contoso-list")
    monkeypatch.setattr(demistomock, "call", fresh)
    return fresh


def outcome(case: Case) -> Case:
    """What comes of a recorded call itself."""
    arguments = dict(case["arguments"])
    if "header_transform" in case:
        arguments["headerTransform"] = getattr(csp, case["header_transform"])
    try:
        result = getattr(csp, case["function"])(**arguments)
        if isinstance(result, csp.CommandResults):
            return {"to_context": result.to_context()}
    except SystemExit as end:
        return {"exits": end.code}
    except Exception as error:
        return {"raises": type(error).__name__, "message": str(error)}
    return {"to_results": result.to_results()} if isinstance(result, csp.ScheduledCommand) else {"returns": result}


def replay(case: Case, call: demistomock.Call) -> Case:
    """What is made of a recorded call, in the recording's own terms."""
    before = case.get("environment", {})
    os.environ.update(before)
    vars(call).update(case.get("call", {}))
    after = outcome(case) | {"entries": call.entries, "logs": call.logs}
    after["environment_after"] = {name: os.environ[name] for name in before if name in os.environ}
    return {name: after[name] for name in OUTCOMES if after.get(name) or name in case}


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["function"])
def test_the_stand_in_does_what_the_platform_was_recorded_doing(case: Case, call: demistomock.Call) -> None:
    recorded = {name: case[name] for name in OUTCOMES if name in case}
    # As text: 1 is not True, and the order of an entry's keys counts.
    assert json.dumps(replay(case, call)) == json.dumps(recorded)


def test_every_name_that_is_kept_taken_is_one_of_the_platform() -> None:
    assert [name for name in RECORDED["names"] if name not in vars(csp)] == []


@pytest.mark.standin
def test_what_only_the_stand_in_has_is_private() -> None:
    own = {
        name
        for name, value in vars(csp).items()
        if not name.startswith("_") and getattr(value, "__module__", None) not in ("typing", "collections.abc")
    }
    installed_there = {"dateparser"}
    assert own - set(RECORDED["names"]) == installed_there


@pytest.mark.standin
def test_the_stand_in_offers_exactly_what_the_integration_uses_of_the_platform() -> None:
    tree = ast.parse(text_of(PROJECT / "AzureRiskyUsers.py"))
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert set(csp.__all__) - used == set()


# demisto


@pytest.mark.parametrize(
    ("sent", "entries"),
    [
        ("text", [{"Type": 1, "ContentsFormat": "text", "Contents": "text"}]),
        (None, [{"Type": 1, "ContentsFormat": "text", "Contents": "None"}]),
        (b"bytes", [{"Type": 1, "ContentsFormat": "text", "Contents": "bytes"}]),
        ({"a": 1}, [{"Type": 1, "ContentsFormat": "json", "Contents": '{"a": 1}'}]),
        ({"Contents": [], "ContentsFormat": "json"}, [{"Contents": [], "ContentsFormat": "json"}]),
        (["a", 2], [{"Type": 1, "ContentsFormat": "text", "Contents": text} for text in ("a", "2")]),
    ],
)
def test_results_become_entries_as_on_the_platform(sent: Any, entries: list[Case], call: demistomock.Call) -> None:
    demistomock.results(sent)
    assert call.entries == entries


def test_an_entry_that_is_no_json_is_refused() -> None:
    with pytest.raises(demistomock.PlatformRuleError, match="an entry cannot be sent as JSON"):
        demistomock.results({"Contents": object(), "ContentsFormat": "json"})


def test_the_test_button_has_no_integration_context(call: demistomock.Call) -> None:
    call.command = "test-module"
    with pytest.raises(demistomock.PlatformRuleError, match="no integration context"):
        csp.get_integration_context()
    with pytest.raises(demistomock.PlatformRuleError, match="no integration context"):
        csp.set_integration_context({})


@pytest.mark.parametrize("value", [1, None, {"nested": "text"}, True])
def test_an_integration_context_value_that_is_no_string_is_refused(value: Any) -> None:
    with pytest.raises(demistomock.PlatformRuleError, match="must be a string"):
        csp.set_integration_context({"valid_until": value})


def test_the_integration_context_is_replaced_and_counted(call: demistomock.Call) -> None:
    csp.set_integration_context({"old": "1"})
    csp.set_integration_context({"new": "2"})
    assert csp.get_integration_context(with_version=True) == {"context": {"new": "2"}, "version": 2}
    assert call.context_store.content == {"new": "2"}


def test_a_stale_version_of_the_integration_context_is_refused() -> None:
    version = csp.get_integration_context(with_version=True)["version"]
    csp.set_integration_context({"meanwhile": "1"})
    with pytest.raises(ValueError, match="stale"):
        csp.set_integration_context({"mine": "2"}, version=version)


def test_an_old_server_has_an_integration_context_without_versions(call: demistomock.Call) -> None:
    call.server["version"] = "5.5.0"
    csp.set_integration_context({"a": "1"}, version=99)
    assert csp.get_integration_context(with_version=True) == {"a": "1"}
    assert csp.get_integration_context_with_version() == ({"a": "1"}, -1)


def test_the_integration_context_comes_with_the_version_to_write_it_by() -> None:
    csp.set_integration_context({"a": "1"})
    assert csp.get_integration_context_with_version() == ({"a": "1"}, 1)
    assert csp.get_integration_context_with_version(sync=False) == ({"a": "1"}, -1)


def test_a_value_that_is_no_string_may_stay_in_the_integration_context_and_not_come_into_it(
    call: demistomock.Call,
) -> None:
    call.context_store.content = {"valid_until": 1}
    csp.set_integration_context({"valid_until": 1, "new": "2"})
    assert csp.get_integration_context() == {"valid_until": 1, "new": "2"}
    with pytest.raises(demistomock.PlatformRuleError, match="must be a string"):
        csp.set_integration_context({"valid_until": 2})


def test_calls_that_share_a_context_see_what_the_other_wrote_and_none_can_change_it_unwritten(
    call: demistomock.Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    csp.set_integration_context({"a": "1"})
    read, version = csp.get_integration_context_with_version()
    monkeypatch.setattr(demistomock, "call", demistomock.Call(context_store=call.context_store))
    assert csp.get_integration_context_with_version() == (read, version)
    read["a"] = "2"
    assert csp.get_integration_context() == {"a": "1"}
    csp.set_integration_context(read, version=version)
    with pytest.raises(ValueError, match="stale"):
        csp.set_integration_context(read, version=version)


def test_the_last_run_belongs_to_the_fetch(call: demistomock.Call) -> None:
    call.last_run = {"time": "1"}
    assert demistomock.getLastRun() == {}
    with pytest.raises(demistomock.PlatformRuleError, match="only for fetch-incidents"):
        demistomock.setLastRun({"time": "2"})
    with pytest.raises(demistomock.PlatformRuleError, match="only for fetch-incidents"):
        demistomock.incidents([])


def test_a_fetch_hands_over_incidents_and_a_last_run(call: demistomock.Call) -> None:
    call.command = "fetch-incidents"
    demistomock.incidents([{"name": "a"}])
    demistomock.setLastRun({"time": "2"})
    assert (call.incidents, demistomock.getLastRun()) == ([{"name": "a"}], {"time": "2"})
    assert call.entries == [{"Type": 1, "ContentsFormat": "json", "Contents": '[{"name": "a"}]'}]


def test_a_last_run_that_is_no_json_is_refused(call: demistomock.Call) -> None:
    call.command = "fetch-incidents"
    with pytest.raises(demistomock.PlatformRuleError, match="the last run cannot be sent as JSON"):
        demistomock.setLastRun({"ids": {1, 2}})


def test_log_lines_are_kept_for_tests(call: demistomock.Call) -> None:
    demistomock.debug("asked", 2)
    demistomock.error("refused")
    assert call.logs == ["debug: asked 2", "error: refused"]


# The library


@pytest.mark.standin
def test_the_stand_in_masks_nothing_so_that_a_test_sees_what_is_logged(call: demistomock.Call) -> None:
    csp.add_sensitive_log_strs("contoso-token")
    with pytest.raises(SystemExit):
        csp.return_error("contoso-token")
    assert call.logs == ["info: Full Integration Log:\ncontoso-token"]


def test_return_error_shows_the_traceback_only_when_debugging(call: demistomock.Call) -> None:
    call.is_debug = True
    try:
        raise ValueError("inner")
    except ValueError:
        with pytest.raises(SystemExit):
            csp.return_error("outer")
    assert call.entries[0]["Contents"].startswith("outer\n\nTraceback")


def test_a_very_long_error_is_cut_in_the_middle(call: demistomock.Call) -> None:
    with pytest.raises(SystemExit):
        csp.return_error("a" * 30_000 + "b" * 30_000)
    cut = "...This error body was truncated..."
    assert call.entries[0]["Contents"] == "a" * 25_000 + cut + "b" * 25_000


def test_results_that_are_objects_go_before_plain_ones(call: demistomock.Call) -> None:
    csp.return_results(["first", csp.CommandResults(readable_output="second"), {"a": 3}])
    assert [entry.get("HumanReadable") or entry["Contents"] for entry in call.entries] == [
        "second",
        "first",
        '{"a": 3}',
    ]


@pytest.mark.standin
@pytest.mark.parametrize("name", ["relationships", "indicators_timeline", "execution_metrics"])
def test_what_was_not_recorded_of_command_results_is_refused(name: str) -> None:
    arguments: Case = {name: None}
    with pytest.raises(TypeError, match=name):
        csp.CommandResults(**arguments)


class Indicator:
    """Something that says of itself what goes into the context, as the platform's indicators do."""

    def __init__(self, **context: Any) -> None:
        self.context = context

    def to_context(self) -> Case:
        return self.context


def test_indicators_go_into_the_context_as_lists_before_the_outputs() -> None:
    indicators = [
        Indicator(IP={"Address": "192.0.2.1"}),
        Indicator(IP={"Address": "192.0.2.2"}, DBotScore={"Score": 0}),
    ]
    results = csp.CommandResults("Contoso.Row", outputs=[1], readable_output="t", indicators=indicators)
    assert results.to_context()["EntryContext"] == {
        "IP": [{"Address": "192.0.2.1"}, {"Address": "192.0.2.2"}],
        "DBotScore": [{"Score": 0}],
        "Contoso.Row": [1],
    }


def test_an_indicator_cannot_stand_beside_indicators() -> None:
    with pytest.raises(ValueError, match="^indicators is DEPRECATED, use only indicator$"):
        csp.CommandResults(indicators=[Indicator()], indicator=Indicator())


def test_a_schedule_goes_into_the_entry_as_text_and_never_below_ten_seconds() -> None:
    schedule = csp.ScheduledCommand("contoso-list", 1, {"polling": True}, timeout_in_seconds=60)
    entry = csp.CommandResults(readable_output="waiting", scheduled_command=schedule).to_context()
    assert {key: entry[key] for key in list(entry)[9:]} == {
        "PollingCommand": "contoso-list",
        "NextRun": "10",
        "PollingArgs": {"polling": True},
        "Timeout": "60",
        "PollingItemsRemaining": 0,
    }


@pytest.mark.parametrize("version", ["5.5.0", "6.1.0", "8.3.0"])
def test_the_library_takes_a_schedule_whatever_the_servers_version(version: str, call: demistomock.Call) -> None:
    call.server["version"] = version
    assert csp.ScheduledCommand.supports_polling()
    assert csp.ScheduledCommand("contoso-list", 30).to_results()["NextRun"] == "30"


def test_an_error_reads_as_its_message() -> None:
    error = csp.DemistoException("no", res=1)
    assert (str(error), error.res, error.exception) == ("no", 1, None)


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES + CERTIFICATES:
        monkeypatch.setenv(name, "proxy.contoso.example:3128")


@pytest.mark.usefixtures("proxied")
def test_without_the_proxy_parameter_the_environment_loses_its_proxies() -> None:
    assert csp.handle_proxy() == {}
    assert not [name for name in PROXIES if name in os.environ]
    assert os.environ["REQUESTS_CA_BUNDLE"] == os.environ["CURL_CA_BUNDLE"] == "proxy.contoso.example:3128"


@pytest.mark.usefixtures("proxied")
@pytest.mark.parametrize("name", ["insecure", "unsecure"])
def test_trusting_any_certificate_takes_the_bundles_out_of_the_environment(name: str, call: demistomock.Call) -> None:
    call.params = {name: True}
    csp.handle_proxy()
    assert not [name for name in CERTIFICATES if name in os.environ]


@pytest.mark.usefixtures("proxied")
def test_proxies_come_from_the_environment_with_a_scheme(call: demistomock.Call) -> None:
    call.params = {"proxy": True}
    address = "http://proxy.contoso.example:3128"
    assert csp.handle_proxy() == {"http": address, "https": address}


# One text in one namespace


def test_library_and_integration_share_one_namespace_without_a_file() -> None:
    module = run_as_one_text(IMPORTS + "def main(): demisto.results([__name__, '__file__' in globals()])\nmain()\n")
    assert [entry["Contents"] for entry in module.demisto.call.entries] == ["builtins", "False"]


def test_the_integration_starts_under_the_name_that_the_server_gives_it() -> None:
    text = IMPORTS + "def main(): return_error(demisto.command())\nif __name__ in ('__main__', 'builtins'): main()\n"
    module = run_as_one_text(text, command="contoso-list")
    assert [entry["Contents"] for entry in module.demisto.call.entries] == ["contoso-list"]


@pytest.mark.parametrize(
    "statement",
    ["import datetime", "from urllib.parse import urljoin", "logger = None or 1", "class Common: pass", "json = {}"],
)
def test_binding_a_name_of_the_platform_anew_is_refused(statement: str) -> None:
    with pytest.raises(NameError, match="binds names of the platform's library anew"):
        run_as_one_text(f"{IMPORTS}{statement}\n")


def test_what_the_server_cannot_compile_is_not_compiled_here() -> None:
    with pytest.raises(SyntaxError):
        run_as_one_text(IMPORTS + "from __future__ import annotations\n")


def test_the_real_integration_runs_as_one_text() -> None:
    module = run_as_one_text(text_of(PROJECT / "AzureRiskyUsers.py"), command="unknown")
    error = "Failed to execute unknown. NotImplementedError: Command unknown is not implemented."
    assert [entry["Contents"] for entry in module.demisto.call.entries] == [error]
