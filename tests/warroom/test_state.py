"""What one call of `warroom` has changed is there in the next one, if it is asked for."""

import json
import re
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from helpers import NOW, READ_ONE, SMALL, Row, demo_room
from warroom.azure.demo import ADELE_ID
from warroom.azure.server import Simulator
from warroom.azure.snapshot import STORES, Origin, restored_tenant, taken
from warroom.terminal import state
from warroom.terminal.session import main

IS_SIMULATED = "The tenant is simulated: nothing leaves this machine."
CONFIRM = f"!azure-risky-users-confirm-compromise user={ADELE_ID}"
ONE = f"!azure-risky-user-get id={ADELE_ID}"

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state.json"


@pytest.fixture
def call(file: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    """Calls `warroom` with a small tenant that is kept; the exit code, and what was printed and said."""

    def called(*lines: str) -> tuple[int, str, str]:
        code = main([*SMALL, "--markdown", "--state", str(file), *lines])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return called


def test_a_verdict_and_the_context_are_there_in_later_calls(file: Path, call: Call) -> None:
    said = f"{IS_SIMULATED} It is kept in {file}.\n"
    code, printed, error = call(CONFIRM)
    assert (code, error) == (0, said)
    assert "\n1 submitted. " in printed
    # As in Entra, a verdict takes its time: the first read still shows what was before.
    assert " | high | atRisk | none | " in call(ONE)[1]
    assert " | high | confirmedCompromised | Admin confirmed user compromised | " in call(ONE)[1]
    assert call("context AzureRiskyUsers.RiskyUser.riskState") == (0, '"confirmedCompromised"\n', said)


def test_a_sign_in_with_a_device_code_goes_on_from_call_to_call(call: Call) -> None:
    assert call("signin device-code")[0] == 0
    (code,) = re.findall(r"enter the code \*\*(\S+)\*\*", call("!azure-risky-users-auth-start")[1])
    assert call(f"approve {code}")[0] == 0
    assert call("!azure-risky-users-auth-complete")[1] == "Authorization completed successfully.\n"
    assert call(READ_ONE)[0] == 0


def test_nothing_that_an_earlier_call_fetched_comes_again(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    found: list[str] = []
    moments: list[str] = []
    for _ in range(3):
        assert main([*SMALL, "--state", str(file), "set first_fetch='20 years'", "fetch --times 2"]) == 0
        printed = capsys.readouterr().out
        found += re.findall(r"\b[0-9a-f]{64}\b", printed)
        moments += re.findall(r"Fetch at (\S+ \S+),", printed)
    assert len(found) == len(set(found)) > 20
    # The tenant's time goes on, ten minutes a fetch.
    assert len(moments) == 6
    assert moments == sorted(set(moments))


def test_what_happens_in_a_later_call_is_not_what_happened_before(file: Path, call: Call) -> None:
    happened = []
    known: set[str] = set()
    for _ in range(2):
        call("fetch --times 3")
        rows = json.loads(file.read_text(encoding="utf-8"))["tenant"]["rows"]["detections"]["changed"]
        new = [row for row_id, row in rows.items() if row_id not in known]
        happened.append([(row["userId"], row["riskLevel"], row["riskEventType"]) for row in new])
        known |= set(rows)
    first, second = happened
    assert min(len(first), len(second)) > 2
    assert not set(first) <= set(second)


def test_a_scenario_is_played_on_until_a_call_names_another(call: Call) -> None:
    call("scenario no-licence")
    assert "Licence missing" in call(READ_ONE)[1]
    assert call("--scenario", "normal", READ_ONE)[0] == 0
    assert call("scenario")[1].startswith("normal (played now)\n")
    call("--scenario", "p1", "scenario")
    assert "\np1 (played now)\n" in call("scenario")[1]


@pytest.mark.parametrize("back", [["--scenario", "normal"], ["scenario normal"]])
def test_a_scenario_of_an_earlier_call_leaves_no_trace_when_it_is_over(back: list[str], call: Call) -> None:
    assert "Permission missing" in call("--scenario", "no-permission", READ_ONE)[1]
    assert call(*back, READ_ONE)[0] == 0
    assert call(READ_ONE)[0] == 0


def test_parameters_are_kept_but_for_what_may_be_secret(file: Path, call: Call) -> None:
    assert call("set max_fetch=3 client_secret=hush")[2].endswith("Not kept, as it may be secret: client_secret.\n")
    kept = file.read_text(encoding="utf-8")
    assert "hush" not in kept
    assert json.loads(kept)["room"]["params"] == {"max_fetch": "3"}
    call("set client_secret=contoso~new~secret")
    secret = {"identifier": "", "password": "contoso~new~secret"}
    assert json.loads(file.read_text(encoding="utf-8"))["room"]["params"] == {"max_fetch": "3", "client_secret": secret}
    assert file.stat().st_mode & 0o077 == 0


def test_what_changes_nothing_and_starts_nothing_writes_no_file(file: Path, call: Call) -> None:
    assert call("help")[2] == ""
    assert not file.exists()


# The tenant


def changed_simulator() -> tuple[Simulator, Origin]:
    """A tenant in which something of everything has happened."""
    origin = Origin(NOW.isoformat(), 20, 20, 7)
    simulator = Simulator(origin.make())
    tenant = simulator.tenant
    tenant.processing_reads = 1
    tenant.arrive(surfaces_at=NOW + timedelta(hours=1))
    tenant.arrive(after_requests=3)
    tenant.add_user(userDisplayName="Zoë")
    tenant.add_sign_in()
    del tenant.sign_ins[next(iter(tenant.sign_ins))]
    return simulator, origin


def test_a_tenant_comes_out_of_its_file_as_it_went_in() -> None:
    simulator, origin = changed_simulator()
    with simulator:
        room = demo_room(simulator)
        in_directory = next(iter(simulator.tenant.directory))
        for line in (READ_ONE, CONFIRM, f"!azure-risky-users-confirm-compromise user={in_directory}", READ_ONE):
            assert not room.run(line).failed
        snapshot = json.loads(json.dumps(taken(simulator, origin)))
    tenant = restored_tenant(snapshot)
    assert {name: getattr(tenant, name) for name in STORES} == {
        name: getattr(simulator.tenant, name) for name in STORES
    }
    assert (tenant.kept(), tenant.clock) == (simulator.tenant.kept(), NOW)
    assert in_directory in {key[1] for key, *_ in tenant.kept()["processing"]} | set(tenant.users)
    with Simulator(tenant) as again:
        again.entra.go_on_from(snapshot["signed_in"])
        assert json.loads(json.dumps(taken(again, origin))) == snapshot


# The file

FOREIGN = ["[]", "[" * 100_000, "{}", "{", "text", '{"format": "The state of a simulated war room, version 1"}']


@pytest.mark.parametrize("text", FOREIGN)
def test_a_file_that_is_none_of_ours_is_refused_and_left_alone(
    text: str, file: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        call(READ_ONE)
    assert ended.value.code == 2
    refusal = f"warroom: error: argument --state: {file} is no file that --state has written\n"
    assert capsys.readouterr().err.endswith(refusal)
    assert file.read_text(encoding="utf-8") == text


def test_a_file_of_bytes_and_a_folder_that_there_is_not_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\x00")
    for path, why in {
        tmp_path / "bytes": f"{tmp_path}/bytes is no file that --state has written",
        tmp_path / "none/state": f"there is no folder {tmp_path}/none",
    }.items():
        with pytest.raises(SystemExit):
            main(["--state", str(path), READ_ONE])
        assert capsys.readouterr().err.endswith(f"argument --state: {why}\n")


SPOILT = [
    {"tenant": {"to_come": {"processing": 3}}},
    {"tenant": {"origin": 5}},
    {"scenario": "of a later version"},
    {"room": {"params": {"of_a_later_version": "1"}}},
]


@pytest.mark.parametrize("changes", SPOILT)
def test_a_file_of_ours_that_was_spoilt_is_refused_and_left_alone(changes: Row, file: Path, call: Call) -> None:
    call(READ_ONE)
    kept = json.loads(file.read_text(encoding="utf-8"))
    for part, change in changes.items():
        kept[part] = kept[part] | change if isinstance(change, dict) else change
    spoilt = json.dumps(kept)
    file.write_text(spoilt, encoding="utf-8")
    code, printed, error = call(READ_ONE)
    assert (code, printed) == (2, "")
    assert error.endswith(f"{file} cannot be gone on from\n")
    assert file.read_text(encoding="utf-8") == spoilt


def test_an_empty_file_is_a_new_one(file: Path, call: Call) -> None:
    file.touch()
    assert call(READ_ONE)[0] == 0
    assert json.loads(file.read_text(encoding="utf-8"))["format"] == state.FORMAT


def test_another_tenant_than_the_one_that_is_kept_is_refused(
    file: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    call(READ_ONE)
    assert main(["--state", str(file), READ_ONE]) == 0
    with pytest.raises(SystemExit):
        main(["--state", str(file), "--users", "30", READ_ONE])
    assert capsys.readouterr().err.endswith(f"warroom: error: the tenant in {file} has --users 20\n")


def test_a_file_that_is_written_is_whole_at_any_moment(file: Path) -> None:
    texts = [letter * 300_000 for letter in "ab"]
    state.replace_text(file, texts[0])
    seen = set()

    def write(text: str) -> None:
        for _ in range(40):
            state.replace_text(file, text)

    writers = [threading.Thread(target=write, args=[text]) for text in texts]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        seen.add(file.read_text(encoding="utf-8"))
    assert seen <= set(texts)
    assert list(file.parent.iterdir()) == [file]


def test_what_another_call_kept_meanwhile_is_not_lost_in_silence(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = state.State.read(str(file)), state.State.read(str(file))
    theirs.write({"scenario": "p1"})
    ours.write({"scenario": "normal"})
    assert json.loads(file.read_text(encoding="utf-8"))["scenario"] == "normal"
    said = capsys.readouterr().err
    assert said == f"{file} was written by another call meanwhile, whose changes are lost.\n"


def test_where_nothing_can_be_kept_the_call_fails(file: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.replace", fail)
    code, _, error = call(READ_ONE)
    assert (code, error.splitlines()[-1]) == (1, "Nothing was kept: no space left")
    assert list(file.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("lines", "said"),
    [([READ_ONE], f"{IS_SIMULATED} It is new in each call; --state FILE keeps it.\n"), (["help"], "")],
)
def test_without_a_file_a_call_says_that_its_tenant_is_new(
    lines: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*SMALL, *lines]) == 0
    assert capsys.readouterr().err == said
