"""What goes wrong in a scenario, what the product says of it, and that `normal` undoes all of it."""

from collections.abc import Callable

import pytest

from helpers import LIST, NOW, READ_ONE, SMALL, contents, demo_room, listed_rows, shown, texts, use_device_code
from warroom.azure.demo import demo_tenant
from warroom.azure.scenarios import NORMAL, SCENARIOS, Stage
from warroom.azure.server import Simulator
from warroom.terminal.options import read_options
from warroom.terminal.session import main
from warroom.xsoar.integration import PROJECT
from warroom.xsoar.runner import WarRoom

DETECTIONS = "!azure-risky-users-risk-detections-list limit=1"
FAILED = "Failed to execute azure-risky-users-list. "
WAITING = "debug: Graph allows one request a second: waiting 2 s"


@pytest.fixture
def stage(simulator: Simulator, no_waiting: list[float]) -> Stage:
    """The demo tenant in pages of ten rows, without waits."""
    simulator.tenant.largest_page = 10
    simulator.sleep = no_waiting.append
    return Stage(simulator)


@pytest.fixture
def room(stage: Stage) -> WarRoom:
    """A room whose instance has signed in before anything goes wrong."""
    room = demo_room(stage.simulator)
    assert not room.run(READ_ONE).failed
    return room


def error_in(room: WarRoom, line: str = READ_ONE) -> str:
    """The text of the error with which a line ends, without the id of the request."""
    run = room.run(line)
    assert run.failed
    text, *_ = str(contents(run)[-1]).split(" (request-id")
    return text


@pytest.mark.parametrize(
    ("name", "error"),
    [
        (
            "no-permission",
            "Graph answered 403 Forbidden: You cannot perform the requested operation, required scopes are missing in "
            "the token. Permission missing: the application needs the application permission "
            "IdentityRiskyUser.Read.All, with admin consent. Once it is granted, run !azure-risky-users-auth-reset, "
            "which drops the stored token.",
        ),
        (
            "no-licence",
            "Graph answered 403 Forbidden: Your tenant is not licensed for this feature. Licence missing: the tenant "
            "needs Microsoft Entra ID P2.",
        ),
        (
            "p1",
            "Graph answered 403 Forbidden: Your tenant is not licensed for this feature. Licence missing: the tenant "
            "needs Microsoft Entra ID P2.",
        ),
        (
            "expired-secret",
            "Sign-in failed. AADSTS7000222: The provided client secret keys are expired. App "
            "'00000000-0000-0000-0000-00000000c11e'. The client secret has expired. Create a new one in the app "
            "registration and enter its Value.",
        ),
    ],
)
def test_what_the_tenant_lacks_is_told_at_once_until_all_is_normal_again(
    name: str, error: str, stage: Stage, room: WarRoom
) -> None:
    stage.play(name)
    assert error_in(room) == FAILED + error
    stage.play(NORMAL)
    assert not room.run(READ_ONE).failed


def test_without_a_licence_there_are_no_detections_and_with_p1_hidden_ones(stage: Stage, room: WarRoom) -> None:
    stage.play("no-licence")
    assert error_in(room, DETECTIONS) == (
        "Failed to execute azure-risky-users-risk-detections-list. Graph answered 403 Forbidden: Your tenant is not "
        "licensed for this feature. Licence missing: the tenant needs Microsoft Entra ID P1 or P2."
    )
    stage.play("p1")
    (row,) = listed_rows(room.run(DETECTIONS))
    assert (row["riskLevel"], row["riskDetail"]) == ("hidden", "hidden")


def test_a_person_who_signs_in_has_lost_the_permissions_too(stage: Stage) -> None:
    room = demo_room(stage.simulator)
    use_device_code(room)
    stage.play("no-permission")
    assert not room.run("!azure-risky-users-auth-start").failed
    (flow,) = stage.simulator.entra.flows.values()
    stage.simulator.entra.approve(flow.user_code)
    assert error_in(room, "!azure-risky-users-auth-complete").startswith(
        "Failed to execute azure-risky-users-auth-complete. Sign-in failed. AADSTS65001: The user or administrator has "
        "not consented to use the application."
    )


def test_a_throttled_list_is_whole_at_one_request_a_second(
    stage: Stage, room: WarRoom, no_waiting: list[float]
) -> None:
    expected = shown(room.run(f"{LIST} limit=40"))
    no_waiting.clear()
    stage.simulator.requests.clear()
    stage.play("throttled")
    assert shown(room.run(f"{LIST} limit=40")) == expected
    # The first page comes at once, or after the wait for the one request before it.
    assert len(stage.simulator.graph_requests) in (5, 6)
    assert all(1 <= wait < 2 for wait in no_waiting)


def test_busy_lets_the_list_come_slowly_and_says_what_is_waited_for(stage: Stage, room: WarRoom) -> None:
    expected = shown(room.run(f"{LIST} limit=20"))
    stage.play("busy")
    run = room.run(f"{LIST} limit=20")
    assert shown(run) == expected
    assert WAITING in run.logs


def test_where_another_application_has_every_second_the_error_says_so(stage: Stage, room: WarRoom) -> None:
    stage.play("busy")
    stage.simulator.throttle_clock = lambda: 0.0  # the other application's
    assert error_in(room) == (
        f"{FAILED}Graph answered 429 TooManyRequests: Too many requests. Graph allows one request a second for the "
        "whole tenant, shared by all its applications. Try again later."
    )


def test_slow_answers_are_waited_for_and_a_list_that_takes_too_long_is_said_to_be_incomplete(
    stage: Stage, room: WarRoom, no_waiting: list[float]
) -> None:
    stage.simulator.tenant.largest_page = 1
    stage.play("slow")
    expected = "Reading on was stopped after 240 seconds, before the platform would."
    for _ in range(21):
        stage.simulator.tenant.add_user()
    run = room.run(f"{LIST} limit=100")
    assert set(no_waiting) == {4}
    assert expected in texts(run)[-1]


def test_a_flaky_graph_changes_nothing_of_what_is_shown(stage: Stage, room: WarRoom) -> None:
    expected = shown(room.run(f"{LIST} limit=40"))
    stage.simulator.requests.clear()
    stage.play("flaky")
    run = room.run(f"{LIST} limit=40")
    assert shown(run) == expected
    assert "debug: The answer was 504: waiting 2 s" in run.logs
    assert len(stage.simulator.graph_requests) == 8  # for four pages


def state_of(simulator: Simulator) -> list[object]:
    """All that scenarios change."""
    tenant = simulator.tenant
    apps = [vars(app) for app in tenant.apps.values()]
    return [
        *(dict(app) for app in apps),
        *(tenant.identities, tenant.licence, tenant.workload_licence),
        *(simulator.throttle, simulator.is_taken, dict(simulator.faults.habits)),
    ]


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name != NORMAL])
def test_each_scenario_changes_something_that_the_next_one_undoes(name: str) -> None:
    with Simulator(demo_tenant(NOW, users=0, detections=0)) as simulator:
        stage = Stage(simulator)
        before = state_of(simulator)
        stage.play(name)
        assert (stage.name, state_of(simulator) == before) == (name, False)
        stage.play("no-licence" if name != "no-licence" else "p1")
        stage.play(NORMAL)
        assert (stage.name, state_of(simulator)) == (NORMAL, before)


# At the command line and at the prompt

Say = Callable[..., tuple[int, str, str]]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Runs `warroom` with a small tenant; the exit code, and what was printed and said."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main([*arguments, *SMALL])
        printed = capsys.readouterr()
        said = [line for line in printed.err.splitlines() if not line.startswith("The tenant is simulated")]
        return code, printed.out, "\n".join(said)

    return run


def test_every_scenario_is_listed_with_its_explanation(say: Say) -> None:
    lines = []
    for name, scenario in SCENARIOS.items():
        mark = " (played now)" if name == "p1" else ""
        lines += [f"{name}{mark}", f"    {scenario.explanation}"]
    assert say("scenario p1", "scenario") == (
        0,
        "\n".join([f"p1: {SCENARIOS['p1'].explanation}", *lines, ""]),
        "",
    )


def test_a_scenario_is_played_from_the_command_line_until_the_prompt_undoes_it(say: Say) -> None:
    code, printed, _ = say("--scenario", "no-licence", READ_ONE, "scenario normal", READ_ONE, "--markdown")
    assert code == 1
    assert "Licence missing: the tenant needs Microsoft Entra ID P2." in printed
    assert printed.index("Licence missing") < printed.index("normal: All is well") < printed.index("Risky Users List")


def test_the_new_secret_that_an_expired_one_asks_for_can_be_entered(say: Say) -> None:
    lines = ("scenario expired-secret", READ_ONE, "set client_secret=contoso~new~secret", READ_ONE)
    code, printed, _ = say(*lines, "--markdown")
    assert code == 1
    assert printed.index("and enter its Value.") < printed.index("client_secret is now ********.")
    assert printed.index("client_secret is now ********.") < printed.index("### Risky Users List")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("scenario expired", "There is no scenario expired. Did you mean expired-secret?"),
        ("scenario p1 p1", "'p1 p1' is more than can follow here."),
        ("scenario x", f"There is no scenario x. There are: {', '.join(SCENARIOS)}."),
    ],
)
def test_a_scenario_that_there_is_not_is_refused_with_the_nearest(line: str, said: str, say: Say) -> None:
    assert say(line) == (2, "", said)


def test_a_real_instance_plays_no_scenario(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "contoso-secret")
    instance = ["--instance", str(PROJECT / "warroom/instance.example.json")]
    assert main([*instance, "scenario p1"]) == 2
    assert capsys.readouterr().err == "That is only for the simulated tenant; this instance is a real one.\n"
    with pytest.raises(SystemExit) as ended:
        read_options([*instance, "--scenario", "p1"])
    assert ended.value.code == 2
    assert "--scenario is only for the simulated tenant" in capsys.readouterr().err
