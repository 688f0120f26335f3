"""What the integration context keeps of a sign-in: how it is written beside others, and read however it was damaged."""

import json
import math
from base64 import urlsafe_b64encode
from typing import Any

import pytest

import AzureRiskyUsers as aru  # noqa: N813 - the module bears the name of the integration
from demistomock import ContextStore
from helpers import (
    FAILED,
    READ_ONE,
    Fail,
    Params,
    Row,
    Succeed,
    contents,
    sign_in_by_device_code,
    use_device_code,
    user_code,
)
from warroom.azure.aadsts import ERRORS
from warroom.azure.server import Simulator
from warroom.xsoar.runner import WarRoom

START, COMPLETE, RESET = (f"!azure-risky-users-auth-{name}" for name in ("start", "complete", "reset"))
SIGN_IN_ANEW = "Run !azure-risky-users-auth-start to sign in."
NOBODY = f"Nobody has signed in for this instance yet. {SIGN_IN_ANEW}"
NOT_STARTED = f"Failed to execute azure-risky-users-auth-complete. No sign-in has been started. {SIGN_IN_ANEW}"
BUSY = "Too many commands write to the integration context at once. Try again."
OTHERS: Row = {"contoso": "kept", "numbers": 5, "list": [1, {"a": None}]}
VENDORS = {
    "access_token": "contoso-leftover-token",
    "valid_until": 9999999999,
    "current_refresh_token": "contoso-leftover-refresh",
    "device_code": "contoso-leftover-code",
}


def stored(room: WarRoom, name: str) -> Any:
    """The JSON that the context holds as a text."""
    return json.loads(room.integration_context[name])


def secrets(cache: Row) -> list[str]:
    """The access and refresh tokens of a token cache."""
    return [entry["secret"] for kind in ("AccessToken", "RefreshToken") for entry in cache.get(kind, {}).values()]


def newest_tokens(simulator: Simulator) -> list[str]:
    entra = simulator.entra
    return [list(entra.access_tokens)[-1], list(entra.refresh_tokens)[-1]]


# Each write is about its own part


def test_each_command_writes_its_own_part_and_keeps_the_others(war_room: WarRoom, simulator: Simulator) -> None:
    use_device_code(war_room)
    simulator.entra.token_lifetime = 60
    fingerprint = aru.read_settings(war_room.params).credentials_fingerprint
    war_room.integration_context = {**OTHERS, **VENDORS}

    def context_after(line: str) -> Row:
        assert not war_room.run(line).failed
        return dict(war_room.integration_context)

    started = context_after(START)
    assert started == {**OTHERS, "binding": fingerprint, "device_flow": started["device_flow"]}
    assert stored(war_room, "device_flow")["user_code"] == user_code(simulator)

    war_room.integration_context.update(VENDORS)
    simulator.entra.approve(user_code(simulator))
    completed = context_after(COMPLETE)
    own = {name: completed[name] for name in ("token_cache", "sign_in_id")}
    assert completed == {**OTHERS, "binding": fingerprint, **own}
    assert secrets(stored(war_room, "token_cache")) == newest_tokens(simulator)

    started = context_after(START)
    assert started == {**completed, "device_flow": started["device_flow"]}

    renewed = context_after(READ_ONE)
    assert renewed == {**started, "token_cache": renewed["token_cache"]}
    assert secrets(stored(war_room, "token_cache")) == newest_tokens(simulator)

    simulator.entra.decline(user_code(simulator))
    assert war_room.run(COMPLETE).failed
    assert war_room.integration_context == {**completed, "token_cache": renewed["token_cache"]}

    reset = context_after(RESET)
    assert reset == {**OTHERS, "sign_in_id": reset["sign_in_id"]}
    assert reset["sign_in_id"] != completed["sign_in_id"]


def test_a_command_that_renews_nothing_writes_nothing(run: Succeed, war_room: WarRoom) -> None:
    run(READ_ONE)
    version = war_room.context_version
    run(READ_ONE)
    run("!azure-risky-users-auth-test")
    assert war_room.context_version == version


def test_a_sign_in_that_an_earlier_version_stored_goes_on(
    run: Succeed, war_room: WarRoom, simulator: Simulator
) -> None:
    use_device_code(war_room)
    simulator.entra.token_lifetime = 60
    sign_in_by_device_code(war_room, simulator)
    # The keys of the first version.
    war_room.integration_context["device_flow"] = "{}"
    del war_room.integration_context["sign_in_id"]
    run(READ_ONE)
    assert set(war_room.integration_context) == {"binding", "token_cache", "device_flow"}
    assert secrets(stored(war_room, "token_cache")) == newest_tokens(simulator)


def test_changed_settings_drop_the_sign_in_of_the_others_with_the_first_write(
    run: Succeed, war_room: WarRoom, simulator: Simulator
) -> None:
    use_device_code(war_room)
    sign_in_by_device_code(war_room, simulator)
    run(START)
    old = war_room.integration_context
    use_device_code(war_room, allow_response=True)
    run(START)
    started = war_room.integration_context
    assert set(started) == {"binding", "sign_in_id", "device_flow"}
    assert started["binding"] != old["binding"]
    assert stored(war_room, "device_flow")["user_code"] == user_code(simulator)


# Another command writes in between


class Interrupted(ContextStore):
    """A context to which another command always writes between a command's reading and its writing, `times` times."""

    def __init__(self, content: Row, times: int) -> None:
        super().__init__()
        self.content = content
        self.times = times

    def write(self, content: Row, version: int) -> None:
        if self.times:
            self.times -= 1
            super().write({**self.content, f"other {self.times}": "kept"}, -1)
        super().write(content, version)


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("line", [READ_ONE, RESET, START])
def test_a_write_that_another_came_before_is_made_again_from_what_that_one_left(war_room: WarRoom, line: str) -> None:
    if line == START:
        use_device_code(war_room)
    war_room.context_store = Interrupted({**OTHERS}, 3)
    assert not war_room.run(line).failed
    own = {READ_ONE: {"binding", "token_cache"}, RESET: {"sign_in_id"}, START: {"binding", "device_flow"}}
    assert set(war_room.integration_context) == {*OTHERS, "other 0", "other 1", "other 2", *own[line]}


def test_a_context_too_busy_to_write_is_told_and_costs_a_renewal_nothing(
    run: Succeed, war_room: WarRoom, no_waiting: list[float]
) -> None:
    war_room.context_store = Interrupted({}, 99)
    run(READ_ONE)
    assert no_waiting == [aru.WRITE_PAUSE] * aru.WRITE_ATTEMPTS
    assert contents(war_room.run(RESET)) == [f"Failed to execute azure-risky-users-auth-reset. {BUSY}"]
    use_device_code(war_room)
    assert contents(war_room.run(START)) == [f"Failed to execute azure-risky-users-auth-start. {BUSY}"]
    assert set(war_room.integration_context) == {f"other {number}" for number in range(69, 99)}


def test_a_server_without_versions_keeps_a_sign_in_all_the_same(
    run: Succeed, war_room: WarRoom, simulator: Simulator
) -> None:
    war_room.server_version = "5.5.0"
    war_room.integration_context = {**OTHERS, **VENDORS}
    use_device_code(war_room)
    sign_in_by_device_code(war_room, simulator)
    run(READ_ONE)
    assert set(war_room.integration_context) == {*OTHERS, "binding", "sign_in_id", "token_cache"}
    assert simulator.login_requests == []


def test_a_code_that_is_used_up_without_another_command_being_seen_is_refused_after_some_seconds(
    run: Succeed, error: Fail, war_room: WarRoom, simulator: Simulator, no_waiting: list[float]
) -> None:
    use_device_code(war_room)
    run(START)
    simulator.entra.approve(user_code(simulator))
    (flow,) = simulator.entra.flows.values()
    flow.state = "redeemed"
    assert error(COMPLETE) == (
        "Failed to execute azure-risky-users-auth-complete. Sign-in failed. AADSTS54005: OAuth2 Authorization code was "
        f"already redeemed. The code was used already. {SIGN_IN_ANEW}"
    )
    assert no_waiting == [1] * (aru.COMPLETION_LOOKS - 1)
    assert set(war_room.integration_context) == {"binding"}


# A damaged store

DEEP = "[" * 100_000
DAMAGED: dict[str, Any] = {
    "no object": [],
    "text": "text",
    "nothing": None,
    "number": 5,
    "a number as cache": {"token_cache": 5},
    "nothing as cache": {"token_cache": None},
    "an object as cache": {"token_cache": {"AccessToken": {}}},
    "empty text": {"token_cache": ""},
    "half of JSON": {"token_cache": "{"},
    "no JSON": {"token_cache": "text"},
    "a list": {"token_cache": "[]"},
    "a number": {"token_cache": "5"},
    "null": {"token_cache": "null"},
    "deep nesting": {"token_cache": DEEP},
    "deep nesting of objects": {"token_cache": '{"AccessToken":' * 50_000},
    "an unknown type": {"token_cache": '{"contoso": {"a": {"secret": "x"}}}'},
    "entries in a list": {"token_cache": '{"AccessToken": []}'},
    "an entry that is no object": {"token_cache": '{"AccessToken": {"a": 5}}'},
    "an entry without secret": {"token_cache": '{"AccessToken": {"a": {"expires_on": "9999999999"}}}'},
    "an entry without end": {"token_cache": '{"AccessToken": {"a": {"secret": "x"}}}'},
    "surrogates": {"token_cache": '{"AccessToken": {"a": {"secret": "\\ud800", "expires_on": "9999999999"}}}'},
    "a lone surrogate": {"token_cache": "\ud800", "device_flow": "\ud800"},
    "a number as flow": {"device_flow": 5},
    "a list as flow": {"device_flow": "[1]"},
    "a flow without a code": {"device_flow": '{"user_code": "A", "verification_uri": "https://contoso.example"}'},
    "deep nesting as flow": {"device_flow": DEEP},
    "a binding of another kind": {"binding": ["x"], "sign_in_id": {"a": 1}, "token_cache": "{}"},
}


def damaged(case: str, params: Params) -> Any:
    """A damaged context, bound to the instance where it is an object."""
    content = DAMAGED[case]
    if not isinstance(content, dict):
        return content
    return {"binding": aru.read_settings(params).credentials_fingerprint, **OTHERS, **content}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_store_counts_as_empty_and_is_mended_by_the_first_write(
    run: Succeed, error: Fail, war_room: WarRoom, simulator: Simulator, case: str
) -> None:
    war_room.integration_context = damaged(case, war_room.params)
    run(READ_ONE)
    assert secrets(stored(war_room, "token_cache")) == list(simulator.entra.access_tokens)

    use_device_code(war_room)
    war_room.integration_context = damaged(case, war_room.params)
    assert error(READ_ONE) == f"{FAILED}{NOBODY}"
    assert error(COMPLETE) == NOT_STARTED
    sign_in_by_device_code(war_room, simulator)
    run(READ_ONE)
    assert secrets(stored(war_room, "token_cache")) == newest_tokens(simulator)


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_store_can_always_be_reset(run: Succeed, war_room: WarRoom, case: str) -> None:
    content = damaged(case, war_room.params)
    war_room.integration_context = content
    run(RESET)
    others = OTHERS if isinstance(content, dict) else {}
    assert war_room.integration_context == {**others, "sign_in_id": war_room.integration_context["sign_in_id"]}


MISSING = object()
WRONG: tuple[object, ...] = (
    MISSING,
    None,
    True,
    0,
    5,
    -1.5,
    math.inf,
    math.nan,
    "",
    "\ud800",
    "a\nb",
    "ключ",
    [],
    [1],
    {},
    {"a": 1},
)


def places(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The way to each value below an object, to the object itself too."""
    below = value.items() if isinstance(value, dict) else ()
    return [path, *(place for key, inner in below for place in places(inner, (*path, key)))]


def with_wrong(value: Row, place: tuple[str, ...], wrong: object) -> Row:
    """A copy of an object in which one place holds something else, or nothing."""
    key, *rest = place
    inner = with_wrong(value[key], tuple(rest), wrong) if rest else wrong
    return {**{name: kept for name, kept in value.items() if name != key}, **({} if inner is MISSING else {key: inner})}


@pytest.mark.parametrize("dead", [False, True], ids=["a sign-in", "an ended sign-in"])
def test_no_wrong_value_in_a_stored_sign_in_is_a_fault_of_python(
    war_room: WarRoom, simulator: Simulator, dead: bool
) -> None:
    use_device_code(war_room)
    simulator.entra.token_lifetime = 60
    sign_in_by_device_code(war_room, simulator)
    if dead:
        simulator.entra.kill_refresh_tokens()
    context = war_room.integration_context
    cache = {"cache": stored(war_room, "token_cache")}
    errors: set[str] = set()
    for place in places(cache)[1:]:
        for wrong in WRONG:
            text = json.dumps(with_wrong(cache, place, wrong).get("cache"))
            war_room.integration_context = {**context, "token_cache": text}
            run = war_room.run(READ_ONE)
            errors.update(contents(run) if run.failed else ())
    ended = f"{FAILED}Sign-in failed. The sign-in has ended. {SIGN_IN_ANEW}"
    refused = (
        f"{FAILED}Sign-in failed. AADSTS700082: {ERRORS[700082].text} The stored sign-in has expired or was revoked. "
        f"The sign-in has ended. {SIGN_IN_ANEW}"
    )
    assert errors == {f"{FAILED}{NOBODY}", ended, *([refused] if dead else ())}


@pytest.mark.parametrize(
    "claims", [b'{"roles": 5}', b'{"roles": [[], {}], "scp": {"a": 1}}', b"[1]", b"5", b"[" * 40_000]
)
def test_a_stored_token_whose_claims_are_odd_has_no_permission(
    run: Succeed, error: Fail, war_room: WarRoom, simulator: Simulator, claims: bytes
) -> None:
    run(READ_ONE)
    cache = stored(war_room, "token_cache")
    (entry,) = cache["AccessToken"].values()
    genuine = simulator.entra.access_tokens[entry["secret"]]
    entry["secret"] = f"e30.{urlsafe_b64encode(claims).decode()}.e30"
    simulator.entra.access_tokens[entry["secret"]] = {**genuine, "roles": []}
    war_room.integration_context["token_cache"] = json.dumps(cache)
    assert "Permission missing: the application needs the application permission" in error(READ_ONE)


# A code's answer


ANSWER = {
    "user_code": "CODE00001",
    "device_code": "contoso-device-code",
    "verification_uri": "https://microsoft.com/devicelogin",
    "expires_in": 900,
    "interval": 5,
}
NO_NUMBERS: tuple[Any, ...] = ("soon", None, [], math.inf)
ODD_ANSWERS: dict[str, Row] = {
    **{f"no {name}": {key: ANSWER[key] for key in ANSWER if key != name} for name in list(ANSWER)[:3]},
    **{f"{name} is a number": {**ANSWER, name: 5} for name in list(ANSWER)[:3]},
    **{f"{name} is empty": {**ANSWER, name: ""} for name in list(ANSWER)[:3]},
    **{f"{name} is {value!r}": {**ANSWER, name: value} for name in list(ANSWER)[3:] for value in NO_NUMBERS},
    "expires_in is beyond all time": {**ANSWER, "expires_in": 10**400},
    "device_code has a surrogate": {**ANSWER, "device_code": "\ud800"},
}


@pytest.mark.parametrize("answer", ODD_ANSWERS.values(), ids=ODD_ANSWERS)
def test_an_odd_answer_to_auth_start_is_a_clear_error_and_stores_nothing(
    error: Fail, war_room: WarRoom, simulator: Simulator, answer: Row
) -> None:
    use_device_code(war_room)
    simulator.fail_next(200, face="login", after=1, body=answer)
    assert error(START) == (
        "Failed to execute azure-risky-users-auth-start. Sign-in failed. What answered is not the Microsoft login "
        "service. A proxy or a sign-in page of the network may stand between."
    )
    assert war_room.integration_context == {}


@pytest.mark.parametrize("name", ["expires_in", "interval"])
def test_an_answer_to_auth_start_may_leave_out_its_times(
    run: Succeed, war_room: WarRoom, simulator: Simulator, name: str
) -> None:
    use_device_code(war_room)
    simulator.fail_next(200, face="login", after=1, body={key: ANSWER[key] for key in ANSWER if key != name})
    run(START)
    assert stored(war_room, "device_flow")["device_code"] == "contoso-device-code"


def test_an_account_of_another_cloud_is_nobody(error: Fail, war_room: WarRoom, simulator: Simulator) -> None:
    use_device_code(war_room)
    simulator.entra.token_lifetime = 60
    sign_in_by_device_code(war_room, simulator)
    cache = stored(war_room, "token_cache")
    (account,) = cache["Account"].values()
    account["environment"] = "login.microsoftonline.us"
    war_room.integration_context["token_cache"] = json.dumps(cache)
    assert error(READ_ONE) == f"{FAILED}{NOBODY}"
