"""The instance is changed at the prompt, as the manifest allows it, and no secret is shown."""

import io
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from prompt_toolkit.history import FileHistory

from helpers import READ_ONE, SMALL
from warroom.azure.demo import ADELE_ID
from warroom.azure.scenarios import SCENARIOS
from warroom.demo import demo_instance
from warroom.terminal import display
from warroom.terminal.backend import SimulatedTenant
from warroom.terminal.completion import candidates
from warroom.terminal.desk import Desk
from warroom.terminal.keywords import KEYWORDS
from warroom.terminal.options import read_options
from warroom.terminal.prompt import history

Capture = pytest.CaptureFixture[str]
USAGE = "set takes PARAMETER=VALUE, each parameter once, and a value with spaces in quotes."


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """At the prompt of a war room with a small simulated tenant, printed as markdown."""
    monkeypatch.setenv("COLUMNS", "120")
    options = read_options([*SMALL, "--markdown"])
    console = display.open_console()
    with closing(SimulatedTenant(options, console)) as backend:
        yield Desk(options, backend, console, KEYWORDS)


def said(desk: Desk, capsys: Capture, *lines: str) -> str:
    """What lines print, and what is said of them, without the words for every tenant."""
    capsys.readouterr()
    desk.console.file = io.StringIO()
    desk.do_all(lines)
    printed = desk.console.file.getvalue() + capsys.readouterr().err
    return "".join(line for line in printed.splitlines(keepends=True) if not line.startswith("The tenant is"))


def test_values_are_read_by_the_types_of_the_manifest(desk: Desk, capsys: Capture) -> None:
    before = desk.room.params
    line = (
        "set authentication_type='device code' allow_response=TRUE client_id=x max_fetch=3 first_fetch=\"2  days\" "
        "fetch_risk_levels=high,LOW creds_certificate_identifier=AB tenant_id="
    )
    assert said(desk, capsys, line) == (
        "authentication_type is now Device Code.\n"
        "allow_response is now true.\n"
        "client_id is now ********.\n"
        "max_fetch is now 3.\n"
        "first_fetch is now 2  days.\n"
        "fetch_risk_levels is now high, low.\n"
        "creds_certificate_identifier is now AB.\n"
        "tenant_id is now empty.\n"
    )
    assert desk.room.params == {
        **before,
        "authentication_type": "Device Code",
        "allow_response": True,
        "client_id": {"identifier": "", "password": "x"},
        "max_fetch": "3",
        "first_fetch": "2  days",
        "fetch_risk_levels": ["high", "low"],
        "creds_certificate": {"identifier": "AB", "password": ""},
        "tenant_id": "",
    }


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("set allow_responses=true", "There is no parameter allow_responses. Did you mean allow_response?"),
        ("set Thumbprint=1", "There is no parameter Thumbprint. Did you mean creds_certificate_identifier?"),
        (
            "set creds_certificate=1",
            "There is no parameter creds_certificate. "
            "Did you mean creds_certificate_password or creds_certificate_identifier?",
        ),
        ("set allow_response=yes", "allow_response=yes cannot be used. There are: true, false."),
        ("set azure_cloud=dod", "azure_cloud=dod cannot be used. Did you mean US Government L5 (DoD)?"),
        (
            "set fetch_risk_levels=high,lo",
            "fetch_risk_levels=lo cannot be used. Did you mean low?",
        ),
        (
            "set max_fetch=3 client_secert=hush",
            "There is no parameter client_secert. Did you mean client_secret?",
        ),
        ('set client_secret="hush', USAGE),
        ("set client_secret=hush client_secret=hush", USAGE),
        ("set hush", USAGE),
    ],
)
def test_what_the_manifest_does_not_know_is_refused_whole_with_the_nearest_and_no_secret(
    line: str, problem: str, desk: Desk, capsys: Capture
) -> None:
    before = desk.room.params
    assert said(desk, capsys, line) == f"{problem}\n"
    assert desk.room.params == before


def test_set_alone_lists_what_is_not_as_in_a_new_instance_with_secrets_masked(desk: Desk, capsys: Capture) -> None:
    lines = said(desk, capsys, "set max_fetch=3 azure_cloud='us government l5 (dod)' client_id=", "set").splitlines()
    assert [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[3:] if line.startswith("|")] == [
        ["Parameter", "Value", "In A New Instance"],
        ["authentication_type", "Client Credentials", "Device Code"],
        ["tenant_id", "00000000-0000-0000-0000-000000007e4a", ""],
        ["client_secret", "********", ""],
        ["azure_cloud", "US Government L5 (DoD)", "Worldwide"],
        ["max_fetch", "3", "50"],
    ]


def test_another_way_to_sign_in_keeps_what_was_set_beside_it(desk: Desk, capsys: Capture) -> None:
    said(desk, capsys, "set max_fetch=3 client_secret=x", "signin managed-identity")
    assert desk.room.params == {**demo_instance("Azure Managed Identities"), "max_fetch": "3"}


def completed(desk: Desk, line: str) -> dict[str, str]:
    """What may take the place of the last word, each with its description."""
    return dict(candidates(desk.known(), line, len(line)))


def test_names_and_known_values_are_completed(desk: Desk) -> None:
    assert completed(desk, "set allow") == {"allow_response=": "Allow response commands"}
    assert completed(desk, "set max_fetch=3 creds") == {
        "creds_certificate_identifier=": "Certificate Thumbprint",
        "creds_certificate_password=": "Private Key",
    }
    assert completed(desk, "set max_fetch=3 max") == {}
    assert list(completed(desk, "set allow_response=")) == ["allow_response=true", "allow_response=false"]
    assert list(completed(desk, "set azure_cloud=W")) == ["azure_cloud=Worldwide"]
    assert list(completed(desk, 'set authentication_type="D')) == ['authentication_type="Device Code"']


def test_scenarios_are_completed_with_what_they_are(desk: Desk) -> None:
    assert completed(desk, "scenario no-") == {
        name: SCENARIOS[name].explanation for name in ("no-permission", "no-licence")
    }
    assert list(completed(desk, "scenario ")) == list(SCENARIOS)
    assert completed(desk, "scenario p1 n") == {}


MISTYPED = (
    "Set client_secret=hush",
    "!set client_secret=hush",
    "! set client_secret = hush",
    "st creds_certificate_password=hush",
    "client_secret=hush",
    'set "Client Secret"=hush',
    "help\nset client_secret=hush",
)


def test_a_line_that_sets_something_stays_out_of_what_is_remembered(desk: Desk, capsys: Capture) -> None:
    assert said(desk, capsys, "set client_secret=hush", "history") == "client_secret is now ********.\nhistory\n"


def test_a_line_that_sets_something_stays_out_of_the_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    kept = history()
    for line in ("help", " set client_secret=hush", *MISTYPED, "settle", "help secret"):
        kept.append_string(line)
    assert isinstance(kept, FileHistory)
    assert list(kept.load_history_strings()) == ["help secret", "settle", "help"]


@pytest.mark.parametrize("line", MISTYPED)
def test_a_line_that_was_to_set_something_is_not_remembered(line: str, desk: Desk) -> None:
    desk.do_all([line])
    assert desk.lines == []


# What an error text advises of the instance can be followed where it is read

OFF = (
    "Response commands are off in this instance. Select 'Allow response commands' in its settings, "
    "then run !azure-risky-users-auth-start and sign in anew."
)
VERDICT = f"!azure-risky-users-confirm-safe user={ADELE_ID}"


def sign_in(desk: Desk, capsys: Capture) -> None:
    """Follow the instructions of a device code sign-in."""
    instructions = said(desk, capsys, "!azure-risky-users-auth-start")
    (code,) = re.findall(r"enter the code \*\*(\S+)\*\*", instructions)
    assert said(desk, capsys, f"approve {code}") == "At the browser: approved.\n"
    completed = said(desk, capsys, "!azure-risky-users-auth-complete")
    assert completed == "Authorization completed successfully.\n"


def test_response_commands_that_are_off_are_switched_on_as_the_error_says(desk: Desk, capsys: Capture) -> None:
    said(desk, capsys, "signin device-code")
    sign_in(desk, capsys)
    refusal = said(desk, capsys, VERDICT)
    assert refusal == f"Failed to execute azure-risky-users-confirm-safe. {OFF}\n"
    assert said(desk, capsys, "set allow_response=true") == "allow_response is now true.\n"
    sign_in(desk, capsys)
    assert "\n1 submitted. " in said(desk, capsys, VERDICT)
    assert desk.simulator().tenant.users[ADELE_ID]["isProcessing"] is True


@pytest.mark.parametrize(
    ("spoil", "advice", "follow"),
    [
        (
            "set client_id= client_secret=",
            "Sign-in with Client Credentials also needs: "
            "Client ID, Client Secret (or Certificate Thumbprint and Private Key).",
            "set client_id=00000000-0000-0000-0000-00000000c11e client_secret=contoso~demo~secret",
        ),
        (
            "set tenant_id='contoso example'",
            'Tenant ID "contoso example" is neither a GUID nor a domain name.',
            "set tenant_id=contoso.example",
        ),
        (
            "set creds_certificate_identifier=AB creds_certificate_password=key",
            "Both a Client Secret and a certificate are given. Empty the one that is not to be used.",
            "set creds_certificate_identifier= creds_certificate_password=",
        ),
        (
            "set creds_certificate_identifier=AB creds_certificate_password=key client_secret=",
            "Certificate Thumbprint is not a SHA-1 thumbprint, which has 40 hexadecimal digits.",
            "set creds_certificate_identifier= creds_certificate_password= client_secret=contoso~demo~secret",
        ),
        (
            f"set creds_certificate_identifier={'0' * 40} creds_certificate_password=key client_secret=",
            "Private Key cannot be used. It has to be an RSA key in PEM form without a passphrase.",
            "set creds_certificate_identifier= creds_certificate_password= client_secret=contoso~demo~secret",
        ),
        (
            "set client_id=00000000-0000-0000-0000-000000000bad",
            "The tenant does not know this application. Check Client ID and Tenant ID.",
            "set client_id=00000000-0000-0000-0000-00000000c11e",
        ),
        (
            "set client_secret=wrong",
            "The client secret is wrong. Enter the secret's Value, not its Secret ID.",
            "set client_secret=contoso~demo~secret",
        ),
        (
            "set tenant_id=fabrikam.example",
            "The tenant was not found. Check Tenant ID.",
            "set tenant_id=contoso.example",
        ),
        (
            "set azure_cloud='US Government L4 (GCC High)'",
            "What answered is not the Microsoft login service. "
            "A proxy or a sign-in page of the network may stand between.",
            "set azure_cloud=Worldwide",
        ),
    ],
)
def test_what_an_error_says_of_the_instance_is_mended_at_the_prompt(
    spoil: str, advice: str, follow: str, desk: Desk, capsys: Capture
) -> None:
    said(desk, capsys, spoil)
    refusal = said(desk, capsys, READ_ONE)
    assert refusal.startswith("Failed to execute azure-risky-users-list. ")
    assert refusal.endswith(f"{advice}\n")
    said(desk, capsys, follow)
    assert said(desk, capsys, READ_ONE).startswith("### Risky Users List:\n")


# Leaving


def test_an_interruption_while_a_piped_line_is_waited_for_ends_the_lines(desk: Desk, capsys: Capture) -> None:
    def piped() -> Iterator[str]:
        yield "set max_fetch=7"
        raise KeyboardInterrupt

    assert desk.do_all(piped()) == 1
    assert capsys.readouterr().err.splitlines()[-1] == "Interrupted."
    assert desk.room.params["max_fetch"] == "7"


# Time


def test_a_fetch_that_no_clock_could_tell_of_is_refused(desk: Desk, capsys: Capture) -> None:
    seconds = 10**17
    printed = said(desk, capsys, f"fetch --times 2 --every {seconds}")
    assert printed.splitlines()[-1] == f"No clock tells the time of a fetch {seconds} seconds later."
