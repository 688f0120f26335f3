"""Every line that the prompt's own help names, typed at a terminal, and what Tab offers there."""

import re
import sys
from pathlib import Path

import pytest

from helpers import SMALL
from screen import Typist, terminal
from warroom.azure.demo import ADELE_ID
from warroom.azure.scenarios import SCENARIOS
from warroom.azure.tenant import TENANT_ID
from warroom.terminal.help import EXAMPLES
from warroom.terminal.keywords import KEYWORDS
from warroom.terminal.session import GREETING
from warroom.xsoar.integration import MANIFEST
from warroom.xsoar.manifest import Manifest

PROGRAM = [sys.executable, "-m", "warroom", *SMALL]

DISMISSALS = [
    "!azure-risky-users-dismiss               Dismisses the risk of users, with that of all their past sign-ins.",
    "!azure-risky-service-principals-dismiss  Dismisses the risk of service principals.",
    "!azure-risky-sign-ins-dismiss            Dismisses the risk of sign-ins.",
]
# What the examples show first; their tables and times change from day to day.
SHOWN = {
    "!azure-risky-users-list risk_level=high limit=3": [
        "The tenant is simulated: nothing leaves this machine.",
        "Risky Users List:",
        "3 risky users; more match. Raise limit, or narrow the list, to see them.",
    ],
    "!azure-risky-user-investigate user=adele.vance@contoso.example": ["Adele Vance, adele.vance@contoso.example"],
    "context AzureRiskyUsers.Investigation.suggestion": ['"confirmCompromised"'],
    '!azure-risky-users-list updated_after="3 days"': ["Risky Users List:"],
    "help dismiss": DISMISSALS,
}


def check_before_anything_ran(typist: Typist) -> None:
    typist.wait_for_prompt(1)
    assert typist.screen.lines == [GREETING, "warroom>"]
    headings = [line for line in typist.run("help") if not line.startswith(" ")]
    usages = [f"{name} {keyword.takes}".strip() for name, keyword in KEYWORDS.items()]
    commands = [f"!{name}" for name in Manifest.read(MANIFEST).commands]
    assert headings == [*commands, *usages, "For example"]
    typist.complete("!azure-risky-user-get user=", "warroom> !azure-risky-user-get user=")
    typist.complete("dismiss", "warroom> dismiss", *(" ".join(line.split()) for line in DISMISSALS))
    typist.complete("histo", "warroom> history")


def check_examples(typist: Typist) -> None:
    assert set(SHOWN) == set(EXAMPLES)
    for example in EXAMPLES:
        shown = typist.run(example)
        assert shown[: len(SHOWN[example])] == SHOWN[example]


def check_names_and_choices(typist: Typist) -> None:
    """By any part of a name; what is given already is not offered again, and the platform's own come last."""
    listed = "!azure-risky-users-list"
    detections = "!azure-risky-users-risk-detections-list"
    typist.complete(
        "!detections",
        "warroom> !detections",
        f"{detections} Lists what Entra ID Protection has detected about users and their ...",
        "!azure-risky-service-principal-detections-list Lists what Entra ID Protection has detected about service "
        "principals.",
    )
    typist.complete(
        f"{listed} level",
        f"warroom> {listed} risk_level=",
        "risk_level= A comma-separated list of risk levels: only users at one of them.",
    )
    typist.complete(
        f"{listed} risk_level=high risk",
        f"warroom> {listed} risk_level=high risk_state=",
    )
    typist.complete(
        f"{listed} de",
        f"warroom> {listed} de",
        "is_deleted= Whether only deleted users (true) or only existing ones (false) are wanted; both without it.",
        "debug-mode= true shows the log as well.",
    )
    typist.complete(
        f"{listed} risk_level=high,",
        f"warroom> {listed} risk_level=high,",
        *("high,low", "high,medium", "high,hidden", "high,none"),
    )
    typist.complete(
        f"{listed} risk_state=confirmed",
        f"warroom> {listed} risk_state=confirmed",
        *("confirmedCompromised", "confirmedSafe"),
    )
    typist.complete(f"{listed} is_deleted=", f"warroom> {listed} is_deleted=", "true", "false")
    typist.complete(
        f"{listed} order_by=",
        f'warroom> {listed} order_by="riskLastUpdatedDateTime',
        '"riskLastUpdatedDateTime desc" The default.',
        '"riskLastUpdatedDateTime asc"',
    )
    typist.complete(
        f"{detections} risk_event_type=travel",
        f"warroom> {detections} risk_event_type=travel",
        *("impossibleTravel", "mcasImpossibleTravel", "unlikelyTravel"),
    )


def check_what_was_found(typist: Typist) -> None:
    shown = typist.run("!azure-risky-users-list user_id=333 ignore-outputs=true")
    assert shown[:2] == ["Risky Users List:", "1 risky user"]
    typist.complete("!azure-risky-user-get id=33", "warroom> !azure-risky-user-get id=333")
    typist.complete(
        "!azure-risky-users-dismiss user=adele",
        "warroom> !azure-risky-users-dismiss user=adele.vance@contoso.example",
    )
    path = "AzureRiskyUsers.Investigation.suggestion"
    typist.complete(
        "context suggest",
        f"warroom> context {path}",
        f"{path} The suggested verdict: confirmCompromised, confirmSafe, dismiss, lookClo...",
    )
    assert typist.run("context AzureRiskyUsers.RiskyUser.[0].id") == [f'"{ADELE_ID}"']


def start_device_code(typist: Typist) -> str:
    (code,) = re.findall(r"enter the code (\S+?)\.? ", " ".join(typist.run("!azure-risky-users-auth-start")) + " ")
    return str(code)


def check_keywords(typist: Typist) -> None:
    assert typist.run("test") == ["ok"]
    typist.complete(
        "fetch --",
        "warroom> fetch --",
        "--times how often `fetch` fetches: 6, of a real instance 1",
        "--every seconds from one fetch to the next, which pass at once in the simulated tenant: 600",
    )
    assert typist.run("fetch --times 1")[0].startswith("Fetch at ")
    typist.complete("signin code", "warroom> signin device-code", "device-code Device Code")
    assert typist.run("signin device-code") == ["The instance now signs in by Device Code."]
    for keyword, answer in (("decline", "declined"), ("approve", "approved")):
        code = start_device_code(typist)
        typist.complete(f"{keyword} ", f"warroom> {keyword} {code}")
        assert typist.run(f"{keyword} {code}") == [f"At the browser: {answer}."]
    assert typist.run("signin client-credentials") == ["The instance now signs in by Client Credentials."]
    assert typist.run("set max_fetch=3") == ["max_fetch is now 3."]
    explained = f"no-licence {SCENARIOS['no-licence'].explanation}"
    typist.complete("scenario lic", "warroom> scenario no-licence", explained)
    assert typist.run("scenario normal") == [f"normal: {SCENARIOS['normal'].explanation}"]
    assert [line for line in typist.run("demo") if line.startswith("warroom> ")][0] == "warroom> fetch --times 1"
    assert f"  export AZURE_TENANT_ID={TENANT_ID}" in typist.interrupt("serve", "AZURE_CLIENT_SECRET")


def check_mistakes(typist: Typist) -> None:
    assert typist.run("!azure-risky-users-lits") == [
        "there is no command azure-risky-users-lits; help lists them. Did you mean azure-risky-users-list?"
    ]
    assert typist.run("!azure-risky-user-get usr=333") == [
        "azure-risky-user-get has no argument usr. Did you mean user? It has: id, user."
    ]
    assert typist.run("!azure-risky-user-investigate days=3") == [
        "azure-risky-user-investigate needs the argument user"
    ]
    assert typist.run("!azure-risky-user-get 333") == [
        "azure-risky-user-get: '333' stands without an argument's name. It has: id, user."
    ]
    assert typist.run("!azure-risky-users-list updated_after=3 days") == ['Quotes are missing: updated_after="3 days"']
    assert typist.run("!azure-risky-users-list risk_level=hihg")[-1] == "risk_level=hihg: Did you mean high?"
    assert typist.run("hlep")[-1].endswith("Did you mean help?")
    assert typist.run("context AzureRiskyUsers.RiskyUsr") == [
        "null",
        "Nothing stands under AzureRiskyUsers.RiskyUsr. Did you mean AzureRiskyUsers.RiskyUser?",
    ]


def test_every_line_that_help_names_can_be_typed_and_completed_at_a_terminal(tmp_path: Path) -> None:
    with terminal(PROGRAM, tmp_path) as typist:
        check_before_anything_ran(typist)
        check_examples(typist)
        check_names_and_choices(typist)
        check_what_was_found(typist)
        check_keywords(typist)
        check_mistakes(typist)
        assert typist.run("history") == [line for line in typist.typed if not line.startswith("set ")]
        assert typist.run("clear") == []
        assert [line for line in typist.screen.lines if line] == ["warroom>"]
        assert typist.leave("exit") == 2
        first_words = {line.split()[0] for line in [*typist.typed, "exit", "quit"]}
        assert set(KEYWORDS) <= first_words


@pytest.mark.parametrize("keys", ["quit\r", "\x04"])
def test_the_prompt_is_left_with_exit_status_0(keys: str, tmp_path: Path) -> None:
    with terminal(PROGRAM, tmp_path) as typist:
        typist.wait_for_prompt(1)
        typist.type(keys)
        assert typist.process.wait(10) == 0
