"""Commands of one instance that run side by side, in two processes for real: nothing of either is lost."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from helpers import READ_ONE, Row, user_code
from overlapping import PATIENCE, Stage, Worker
from warroom.azure.server import Simulator
from warroom.azure.tenant import CLIENT_ID
from warroom.demo import demo_instance
from warroom.xsoar.instance import credentials, with_defaults

FETCH = "fetch-incidents"
START, COMPLETE, RESET = (f"!azure-risky-users-auth-{name}" for name in ("start", "complete", "reset"))
SIGN_IN_ANEW = "Run !azure-risky-users-auth-start to sign in."
COMPLETED = ["Authorization completed successfully."]
OTHER_PERSON = "00000000-0000-0000-0000-00000000a11b"
DEVICE_CODE = with_defaults({"authentication_type": "Device Code", "client_id": credentials(CLIENT_ID)})


@pytest.fixture(scope="module")
def workers() -> Iterator[list[Worker]]:
    workers = [Worker(), Worker()]
    yield workers
    for worker in workers:
        worker.close()


@pytest.fixture
def stage(workers: list[Worker], simulator: Simulator) -> Iterator[Stage]:
    """An instance in which nobody has signed in, and whose tokens have to be renewed for each command."""
    simulator.entra.token_lifetime = 60
    stage = Stage(workers, simulator, DEVICE_CODE)
    yield stage
    stage.close()


class Kept(NamedTuple):
    """What the context holds about signing in."""

    access: list[str]
    refresh: list[str]
    user_code: str


def secrets(cache: Row, kind: str) -> list[str]:
    return [entry["secret"] for entry in cache.get(kind, {}).values()]


def kept(stage: Stage) -> Kept:
    context = stage.store.content
    cache = json.loads(context.get("token_cache") or "{}")
    flow = json.loads(context.get("device_flow") or "{}")
    return Kept(secrets(cache, "AccessToken"), secrets(cache, "RefreshToken"), flow.get("user_code", ""))


def newest(tokens: dict[str, Any], number: int = 1) -> list[str]:
    """The token that the simulator issued last, or the last but so many."""
    return [list(tokens)[-number]]


def sign_in(stage: Stage) -> None:
    stage.succeed(START)
    stage.simulator.entra.approve(user_code(stage.simulator))
    stage.succeed(COMPLETE)
    stage.simulator.requests.clear()


# A renewal, in a fetch or any other command, beside the commands of signing in


def test_a_device_code_begun_during_a_fetch_is_kept_and_so_is_what_the_fetch_renewed(stage: Stage) -> None:
    sign_in(stage)
    entra = stage.simulator.entra
    hold = stage.hold("login", after=1)
    fetch = stage.begin(FETCH)
    hold.wait()
    stage.succeed(START)
    hold.let_go()
    assert not fetch.result(PATIENCE).failed
    assert kept(stage) == Kept(newest(entra.access_tokens), newest(entra.refresh_tokens), user_code(stage.simulator))
    entra.approve(user_code(stage.simulator))
    assert stage.succeed(COMPLETE).contents == COMPLETED


def test_a_sign_in_completed_during_a_fetch_is_not_replaced_by_the_tokens_of_the_person_before(stage: Stage) -> None:
    sign_in(stage)
    entra = stage.simulator.entra
    hold = stage.hold("login", after=1)
    fetch = stage.begin(FETCH)
    hold.wait()
    stage.simulator.tenant.signed_in_user = OTHER_PERSON
    sign_in(stage)
    hold.let_go()
    assert not fetch.result(PATIENCE).failed
    assert kept(stage) == Kept(newest(entra.access_tokens), newest(entra.refresh_tokens), "")
    assert entra.access_tokens[kept(stage).access[0]]["oid"] == OTHER_PERSON


def test_a_reset_during_a_fetch_is_not_undone(stage: Stage) -> None:
    sign_in(stage)
    hold = stage.hold("login", after=1)
    fetch = stage.begin(FETCH)
    hold.wait()
    stage.succeed(RESET)
    hold.let_go()
    assert not fetch.result(PATIENCE).failed
    assert kept(stage) == Kept([], [], "")


@pytest.mark.parametrize("signed_in", [True, False], ids=["renewal", "first token"])
def test_an_applications_token_from_before_a_new_permission_does_not_come_back_after_the_reset(
    stage: Stage, signed_in: bool
) -> None:
    stage.params = demo_instance()
    entra, app = stage.simulator.entra, stage.simulator.tenant.apps[CLIENT_ID]
    everything = app.application_permissions
    app.application_permissions = everything - {"IdentityRiskyUser.ReadWrite.All"}
    if signed_in:
        stage.succeed(READ_ONE)
    entra.token_lifetime = 3599
    hold = stage.hold("login", after=1)
    fetch = stage.begin(FETCH)
    hold.wait()
    app.application_permissions = everything
    stage.succeed(RESET)
    hold.let_go()
    assert not fetch.result(PATIENCE).failed
    stage.succeed(READ_ONE)
    (token,) = kept(stage).access
    assert set(entra.access_tokens[token]["roles"]) == everything


def test_of_two_renewals_of_one_sign_in_the_one_stored_first_stays_and_goes_on_being_renewed(stage: Stage) -> None:
    sign_in(stage)
    entra = stage.simulator.entra
    hold = stage.hold("login", after=1)
    late = stage.begin(READ_ONE)
    hold.wait()
    stage.succeed(FETCH)
    renewed = Kept(newest(entra.access_tokens), newest(entra.refresh_tokens), "")
    assert kept(stage) == renewed
    hold.let_go()
    assert not late.result(PATIENCE).failed
    assert kept(stage) == renewed
    stage.succeed(READ_ONE)
    assert stage.simulator.login_requests[-1].form["refresh_token"] == renewed.refresh[0]


def test_a_sign_in_that_ended_during_a_command_is_followed_by_the_one_that_was_completed_meanwhile(
    stage: Stage,
) -> None:
    sign_in(stage)
    entra = stage.simulator.entra
    entra.kill_refresh_tokens()
    hold = stage.hold("login", after=1)
    fetch = stage.begin(FETCH)
    hold.wait()
    entra.token_lifetime = 3599
    sign_in(stage)
    completed = kept(stage)
    hold.let_go()
    assert not fetch.result(PATIENCE).failed
    assert kept(stage) == completed
    # With the token that is stored, and no request for one.
    assert stage.simulator.login_requests == []


def test_a_token_that_graph_refuses_gives_way_to_the_one_that_another_command_has_stored(stage: Stage) -> None:
    entra = stage.simulator.entra
    entra.token_lifetime = 3599
    sign_in(stage)
    entra.revoke_tokens()
    hold = stage.hold("graph")
    late = stage.begin(READ_ONE)
    hold.wait()
    stage.succeed(READ_ONE)
    renewed = kept(stage)
    stage.simulator.requests.clear()
    hold.let_go()
    assert not late.result(PATIENCE).failed
    assert (kept(stage), stage.simulator.login_requests) == (renewed, [])


# auth-start, auth-complete and auth-reset beside each other


@pytest.mark.parametrize("ends_first", ["winner", "other"])
def test_of_two_auth_completes_at_once_both_succeed_and_the_sign_in_is_kept(stage: Stage, ends_first: str) -> None:
    stage.succeed(START)
    entra = stage.simulator.entra
    entra.approve(user_code(stage.simulator))
    winners, others = stage.hold("login", after=1), stage.hold("login", after=1)
    winner = stage.begin(COMPLETE)
    winners.wait()
    other = stage.begin(COMPLETE, 1)
    others.wait()
    if ends_first == "winner":
        winners.let_go()
        winner.result(PATIENCE)
        others.let_go()
    else:
        stage.workers[1].has_read.clear()
        others.let_go()
        assert stage.workers[1].has_read.wait(PATIENCE)
        winners.let_go()
    assert [done.result(PATIENCE).contents for done in (winner, other)] == [COMPLETED, COMPLETED]
    assert kept(stage) == Kept(newest(entra.access_tokens), newest(entra.refresh_tokens), "")
    stage.succeed(READ_ONE)


def test_a_code_begun_during_an_auth_complete_stays_and_so_does_the_sign_in(stage: Stage) -> None:
    stage.succeed(START)
    entra = stage.simulator.entra
    entra.approve(user_code(stage.simulator))
    hold = stage.hold("login", after=1)
    complete = stage.begin(COMPLETE)
    hold.wait()
    stage.succeed(START)
    hold.let_go()
    assert complete.result(PATIENCE).contents == COMPLETED
    assert kept(stage) == Kept(newest(entra.access_tokens), newest(entra.refresh_tokens), user_code(stage.simulator))


def test_a_renewal_during_an_auth_complete_does_not_stand_in_the_way_of_the_new_person(stage: Stage) -> None:
    sign_in(stage)
    stage.succeed(START)
    stage.simulator.tenant.signed_in_user = OTHER_PERSON
    entra = stage.simulator.entra
    entra.approve(user_code(stage.simulator))
    hold = stage.hold("login", after=1)
    complete = stage.begin(COMPLETE)
    hold.wait()
    completed = Kept(newest(entra.access_tokens), newest(entra.refresh_tokens), "")
    stage.succeed(FETCH)
    hold.let_go()
    assert complete.result(PATIENCE).contents == COMPLETED
    assert kept(stage) == completed


@pytest.mark.parametrize("end", ["decline", "expire"])
def test_a_code_that_failed_takes_no_newer_one_with_it(stage: Stage, end: str) -> None:
    sign_in(stage)
    before = kept(stage)
    stage.succeed(START)
    getattr(stage.simulator.entra, end)(user_code(stage.simulator))
    hold = stage.hold("login", after=1)
    complete = stage.begin(COMPLETE)
    hold.wait()
    stage.succeed(START)
    hold.let_go()
    assert complete.result(PATIENCE).failed
    assert kept(stage) == before._replace(user_code=user_code(stage.simulator))


@pytest.mark.parametrize("then", [(), (START,)], ids=["alone", "and a new code"])
def test_a_reset_during_an_auth_complete_is_not_undone(stage: Stage, then: tuple[str, ...]) -> None:
    stage.succeed(START)
    stage.simulator.entra.approve(user_code(stage.simulator))
    hold = stage.hold("login", after=1)
    complete = stage.begin(COMPLETE)
    hold.wait()
    for line in (RESET, *then):
        stage.succeed(line)
    hold.let_go()
    assert complete.result(PATIENCE).contents == [
        "Failed to execute azure-risky-users-auth-complete. The sign-in was not kept: it was reset, or the settings "
        f"were changed, before it was complete. {SIGN_IN_ANEW}"
    ]
    assert kept(stage) == Kept([], [], user_code(stage.simulator) if then else "")


# Secrets


def test_what_overlaps_shows_no_token_code_or_person_and_has_each_hidden_in_the_log(stage: Stage) -> None:
    sign_in(stage)
    hold = stage.hold("login", after=1)
    late = stage.begin(READ_ONE)
    hold.wait()
    sign_in(stage)
    hold.let_go()
    assert not late.result(PATIENCE).failed
    entra = stage.simulator.entra
    shown = "\n".join(text for done in stage.done for text in done.texts)
    secrets = {*entra.access_tokens, *entra.refresh_tokens, *entra.flows}
    assert [secret for secret in (*secrets, stage.simulator.tenant.signed_in_user) if secret in shown] == []
    assert secrets - {secret for done in stage.done for secret in done.sensitive} == set()
