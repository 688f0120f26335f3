"""One odd object among Graph's stops no fetch and no list: it is handed over as far as it can be, or left out."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import AzureRiskyUsers as aru  # noqa: N813 - the module bears the name of the integration
from helpers import DETECTIONS, NOW, USERS, Params, Row, Succeed, contents, ids, listed_rows, only_entry
from warroom.azure.server import Simulator
from warroom.xsoar.entries import Run
from warroom.xsoar.runner import WarRoom

Serve = Callable[..., None]  # the fixture `serve`

BOTH = ["Risk Detections", "Risky Users"]
TIMES = {"Risk Detections": "detectedDateTime", "Risky Users": "riskLastUpdatedDateTime"}
PREVIEW = "!azure-risky-users-fetch-preview"
DEEP = "[" * 100_000 + "]" * 100_000
JSON: Row = {"content_type": "application/json"}
HALF = "\ud83d"  # of a surrogate pair


def detection(name: Any, **fields: Any) -> Row:
    return {
        "id": name,
        "detectedDateTime": "2026-11-20T11:00:00Z",
        "riskLevel": "high",
        "riskState": "atRisk",
        "riskEventType": "leakedCredentials",
        "userPrincipalName": "noor@contoso.example",
        **fields,
    }


def user(name: Any, **fields: Any) -> Row:
    return {
        "id": name,
        "riskLastUpdatedDateTime": "2026-11-20T11:00:00Z",
        "riskLevel": "high",
        "riskState": "atRisk",
        "riskDetail": "none",
        "userPrincipalName": "noor@contoso.example",
        **fields,
    }


MAKERS = {"Risk Detections": detection, "Risky Users": user}


@pytest.fixture
def serve(simulator: Simulator) -> Serve:
    """Let Graph answer every request with these objects alone."""

    def answer(*rows: Any) -> None:
        simulator.faults.clear()
        simulator.fail_next(200, body={"value": list(rows)}, times=100_000)

    return answer


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def read_strictly(text: str) -> Any:
    """The content of a text that every reader of JSON can read and every encoding hold."""
    content = json.loads(text, parse_constant=refuse)
    json.dumps(content, ensure_ascii=False).encode()
    return content


def handed_over(run: Run) -> list[Row]:
    assert not run.failed, contents(run)
    return [read_strictly(new["rawJSON"]) for new in run.incidents]


def notes(run: Run) -> list[str]:
    return [line.removeprefix("info: ") for line in run.logs if line.startswith("info: ")]


# Times


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-11-20T11:00:00Z", "2026-11-20T11:00:00.0000000Z"),
        ("2026-11-20T11:00:00.25Z", "2026-11-20T11:00:00.2500000Z"),
        ("2026-11-20T9:00:00Z", "2026-11-20T09:00:00.0000000Z"),
        ("2026-11-20T13:00:00.1234567+02:00", "2026-11-20T11:00:00.1234567Z"),
        ("2026-11-20T05:30:00-05:30", "2026-11-20T11:00:00.0000000Z"),
        ("2026-11-20t11:00:00z", "2026-11-20T11:00:00.0000000Z"),
        ("2026-11-20T11:00Z", "2026-11-20T11:00:00.0000000Z"),
        ("2026-11-20T11:00:00", "2026-11-20T11:00:00.0000000Z"),
        (" 2026-11-20T11:00:00.123456789Z", "2026-11-20T11:00:00.1234567Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.0000000Z"),
        ("0001-01-01T00:00:00+01:00", ""),
        ("2026-13-40T25:61:00Z", ""),
        ("2026-02-30T11:00:00Z", ""),
        ("yesterday", ""),
        ("", ""),
        (None, ""),
        (1_795_172_400, ""),
        (float("nan"), ""),
        (True, ""),
        ([], ""),
        ({"dateTime": "2026-11-20T11:00:00Z"}, ""),
    ],
)
def test_a_time_counts_however_it_is_written_if_it_is_one(written: Any, read: str) -> None:
    assert aru.instant(written) == read


USELESS_TIMES = (None, 1_795_172_400, "2026-13-40T25:61:00Z", ["2026-11-20T11:00:00Z"])


@pytest.mark.parametrize("fetch_type", BOTH)
@pytest.mark.parametrize("time", USELESS_TIMES, ids=str)
@pytest.mark.parametrize("look_back", ["1", "10080"])
def test_an_object_without_a_time_comes_once_as_of_now_and_never_again(
    fetch_type: str, time: Any, look_back: str, war_room: WarRoom, instance: Params, serve: Serve
) -> None:
    instance |= {"fetch_types": [fetch_type], "look_back": look_back}
    make, name = MAKERS[fetch_type], TIMES[fetch_type]
    clock = NOW
    war_room.clock = lambda: clock
    serve(make("before"), make("odd", **{name: time}), make("after", **{name: "2026-11-20T11:30:00Z"}))
    run = war_room.fetch()
    assert ids(handed_over(run)) == ["odd", "before", "after"]
    assert run.incidents[0]["occurred"] == "2026-11-20T12:00:00.0000000Z"
    assert notes(run) == [f"[Fetch] {fetch_type}: 1 without a {name} that can be read are handed over as of now."]
    for _ in range(60):
        clock += timedelta(minutes=13)
        run = war_room.fetch()
        assert (handed_over(run), notes(run)) == ([], [])


def test_what_waits_without_a_time_is_not_lost(war_room: WarRoom, instance: Params, serve: Serve) -> None:
    instance["max_fetch"] = "2"
    rows = [detection(f"d{number}", detectedDateTime=None) for number in range(5)]
    serve(*rows, detection("dated"))
    brought = [ids(handed_over(war_room.fetch())) for _ in range(4)]
    assert sorted(sum(brought, [])) == ["d0", "d1", "d2", "d3", "d4", "dated"]
    assert [len(each) for each in brought] == [2, 2, 2, 0]


def test_a_list_that_is_sorted_here_bears_every_time(war_room: WarRoom, simulator: Simulator) -> None:
    def answer(*rows: Row) -> None:
        simulator.fail_next(200, body={"value": list(rows)})

    answer(
        user("u1", riskLastUpdatedDateTime=5),
        user("u2"),
        user("u3", riskLastUpdatedDateTime="2026-11-20T15:00:00+02:00"),
    )
    answer(user("u4", riskLastUpdatedDateTime="2026-11-20t12:00z"), user("u5", riskLastUpdatedDateTime=None))
    names = ",".join(f"u{number}" for number in range(16))
    assert ids(listed_rows(war_room.run(f"!{USERS} user_id={names}"))) == ["u3", "u4", "u2", "u1", "u5"]


# Ids


@pytest.mark.parametrize("fetch_type", BOTH)
def test_objects_without_an_id_come_once_each(
    fetch_type: str, war_room: WarRoom, instance: Params, serve: Serve
) -> None:
    instance["fetch_types"] = [fetch_type]
    make = MAKERS[fetch_type]
    without = make("")
    del without["id"]
    serve(without, make("", riskLevel="low"), make("", id=None), make("good"))
    run = war_room.fetch()
    assert len(handed_over(run)) == 4
    mirror_ids = [new["dbotMirrorId"] for new in run.incidents]
    assert "good" in mirror_ids
    assert len(set(mirror_ids)) == 4
    assert all(mirror_ids)
    assert handed_over(war_room.fetch()) == []


@pytest.mark.parametrize("fetch_type", BOTH)
def test_ids_that_hold_half_a_surrogate_pair_are_told_apart_and_written_as_escapes(
    fetch_type: str, war_room: WarRoom, instance: Params, serve: Serve
) -> None:
    instance["fetch_types"] = [fetch_type]
    make = MAKERS[fetch_type]
    serve(make(f"a{HALF}"), make("a\ude00"), make("a\U0001f600"), make(7))
    run = war_room.fetch()
    assert sorted(str(row["id"]) for row in handed_over(run)) == ["7", r"a\ud83d", r"a\ude00", "a\U0001f600"]
    assert sorted(new["dbotMirrorId"] for new in run.incidents) == ["7", r"a\ud83d", r"a\ude00", "a\U0001f600"]
    assert handed_over(war_room.fetch()) == []


# Levels and states


@pytest.mark.parametrize(
    ("level", "severity"), [(" high ", 3), (["high"], 0), (3, 0), ({}, 0), (None, 0), (True, 0), ("HIGH", 0)]
)
@pytest.mark.parametrize("fetch_type", BOTH)
def test_a_level_of_whatever_type_has_a_severity(
    fetch_type: str, level: Any, severity: int, war_room: WarRoom, instance: Params, serve: Serve
) -> None:
    instance["fetch_types"] = [fetch_type]
    odd = MAKERS[fetch_type]("odd", riskLevel=level, riskState=" atRisk")
    serve(odd)
    run = war_room.fetch()
    assert [new["severity"] for new in run.incidents] == [severity]
    assert handed_over(run)[0]["riskLevel"] == level
    assert handed_over(war_room.fetch()) == []


@pytest.mark.parametrize("state", [["atRisk"], {"atRisk": 1}, 4, None])
def test_a_user_whose_state_says_nothing_is_no_incident(
    state: Any, war_room: WarRoom, instance: Params, serve: Serve
) -> None:
    instance["fetch_types"] = ["Risky Users"]
    serve(user("odd", riskState=state), user("good"))
    assert ids(handed_over(war_room.fetch())) == ["good"]


# What is nested


INFOS = {
    "too deep to be read": (DEEP, {}),
    "deep": (
        '[{"Key": "a", "Value": ' + "[" * 30 + "]" * 30 + "}]",
        {"a": json.loads("[" * 18 + f'"{aru.TOO_DEEP}"' + "]" * 18)},
    ),
    "no numbers": (
        '[{"Key": "a", "Value": NaN}, {"Key": "b", "Value": [-Infinity, 1e999]}]',
        {"a": "nan", "b": ["-inf", "inf"]},
    ),
    "half a pair": (r'[{"Key": "a\ud83d", "Value": "\ud83d"}]', {r"a\ud83d": r"\ud83d"}),
    "an object, not a text": ({"Key": "a"}, {}),
}


@pytest.mark.parametrize(("info", "details"), INFOS.values(), ids=INFOS)
def test_whatever_additional_info_holds_fetch_list_and_get_have_what_can_be_had(
    info: Any, details: Row, war_room: WarRoom, run: Succeed, serve: Serve, simulator: Simulator
) -> None:
    odd, good = detection("0dd", additionalInfo=info), detection("good", additionalInfo="[]")
    serve(odd, good)
    rows = handed_over(war_room.fetch())
    assert {row["id"]: row["additionalDetails"] for row in rows} == {"0dd": details, "good": {}}
    listed = listed_rows(run(f"!{DETECTIONS} limit=2"))
    assert [row["additionalDetails"] for row in listed] == [details, {}]
    simulator.faults.clear()
    simulator.fail_next(200, body=odd)
    entry = only_entry(run("!azure-risky-users-risk-detection-get id=0dd"))
    assert read_strictly(json.dumps(entry))["Contents"]["additionalDetails"] == details


def test_an_answer_that_is_nested_too_deeply_to_be_read_is_an_error_of_ours(
    war_room: WarRoom, simulator: Simulator
) -> None:
    simulator.fail_next(200, body=f'{{"value": {DEEP}}}', **JSON)
    run = war_room.fetch()
    assert run.failed
    assert "What Graph answered is nested too deeply to be read." in contents(run)[0]


def test_a_number_of_too_many_digits_stops_nothing(run: Succeed, simulator: Simulator) -> None:
    body = f'{{"value": [{{"id": "u1", "x": {"9" * 5000}}}, {{"id": "u2", "x": 1}}]}}'
    simulator.fail_next(200, body=body, **JSON)
    rows = listed_rows(run(f"!{USERS}"))
    assert [(row["id"], row["x"]) for row in rows] == [("u1", None), ("u2", 1)]


# What is no object


NO_OBJECTS = (None, "text", 5, True, ["a"])


def test_what_is_no_object_among_good_ones_is_left_out_which_the_log_says(
    war_room: WarRoom, run: Succeed, instance: Params, serve: Serve
) -> None:
    instance["fetch_types"] = ["Risk Detections"]
    serve(detection("d1"), *NO_OBJECTS, detection("d2"))
    note = "[Graph] Of a page of 7, 5 were left out that are no risk detection, not even an object."
    fetched = war_room.fetch()
    assert sorted(ids(handed_over(fetched))) == ["d1", "d2"]
    assert notes(fetched) == [note]
    listed = run(f"!{DETECTIONS} limit=7")
    assert (ids(listed_rows(listed)), notes(listed)) == (["d1", "d2"], [note])
    previewed = run(PREVIEW)
    assert (sorted(row["dbotMirrorId"] for row in contents(previewed)[0]), notes(previewed)) == (["d1", "d2"], [note])


@pytest.mark.parametrize("lone", NO_OBJECTS, ids=str)
def test_what_is_no_object_stops_nothing_on_a_page_of_its_own(lone: Any, war_room: WarRoom, serve: Serve) -> None:
    serve(lone)
    assert handed_over(war_room.fetch()) == []


# The history


@pytest.mark.parametrize(
    "activity", [None, "text", [], {}, {"riskEventTypes": None}, {"riskEventTypes": "leakedCredentials"}, 5]
)
@pytest.mark.parametrize("command", ["risky-user-history-list", "risky-service-principal-history-list"])
def test_a_history_bears_whatever_activity_an_item_names(
    command: str, activity: Any, run: Succeed, simulator: Simulator
) -> None:
    items = [
        user("odd", activity=activity, riskLastUpdatedDateTime=5),
        user("good", activity={"riskEventTypes": [["x"], "generic"]}),
    ]
    simulator.fail_next(200, body={"value": items})
    listed = listed_rows(run(f"!azure-{command} id=333"))
    assert ids(listed) == ["odd", "good"]


# Anything


def test_an_object_that_says_nothing_becomes_this_incident(war_room: WarRoom, serve: Serve) -> None:
    serve({})
    (incident,) = war_room.fetch().incidents
    assert len(incident.pop("dbotMirrorId")) == 8
    assert incident == {
        "name": "unknown: unknown (unknown)",
        "occurred": "2026-11-20T12:00:00.0000000Z",
        "severity": 0,
        "rawJSON": '{"additionalDetails": {}, "fetchType": "Risk Detections"}',
    }
    assert handed_over(war_room.fetch()) == []


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
PROPERTIES = ("id", *TIMES.values(), "riskLevel", "riskState", "riskEventType", "riskDetail", "additionalInfo")
ODD = st.one_of(VALUES, st.dictionaries(st.sampled_from(PROPERTIES), VALUES), st.builds(dict, st.just(user("x"))))


@pytest.mark.parametrize("fetch_type", BOTH)
def test_whatever_stands_among_them_the_good_ones_come_and_all_of_them_once(
    fetch_type: str, war_room: WarRoom, instance: Params, simulator: Simulator
) -> None:
    instance["fetch_types"] = [fetch_type]
    make = MAKERS[fetch_type]

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(odd=st.lists(ODD, max_size=3))
    def tolerate(odd: list[Any]) -> None:
        war_room.last_run = {}
        simulator.faults.clear()
        body = json.dumps({"value": [make("first"), *odd, make("last")]})
        simulator.fail_next(200, body=body, times=99, **JSON)
        rows = handed_over(war_room.fetch())
        assert sorted(row["id"] for row in rows if row.get("id") in ("first", "last")) == ["first", "last"]
        assert handed_over(war_room.fetch()) == []
        assert not war_room.run(PREVIEW).failed
        assert not war_room.run(f"!{USERS}").failed
        assert not war_room.run(f"!{DETECTIONS}").failed

    tolerate()
