"""What Tab offers at each place of a line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from helpers import LIST, SMALL, Row, Succeed
from warroom.terminal import display
from warroom.terminal.backend import RealTenant, SimulatedTenant
from warroom.terminal.completion import Candidate, Known, candidates
from warroom.terminal.desk import Desk
from warroom.terminal.findings import shown_data
from warroom.terminal.keywords import KEYWORDS
from warroom.terminal.options import read_options
from warroom.terminal.prompt import LineCompleter
from warroom.xsoar.commandline import parse
from warroom.xsoar.context import ContextData
from warroom.xsoar.entries import Run
from warroom.xsoar.integration import MANIFEST
from warroom.xsoar.manifest import Manifest
from warroom.xsoar.runner import WarRoom

ADELE, MIA = "adele.vance@contoso.example", "mia@contoso.example"
CONTEXT = {
    "AzureRiskyUsers": {
        "RiskyUser": [
            {"id": "1", "userPrincipalName": ADELE, "userDisplayName": "Vance, Adele", "riskLevel": "high"},
            {"id": "2", "userPrincipalName": MIA, "userDisplayName": "Mia Conti", "riskLevel": "low"},
            {"id": "3", "userPrincipalName": "x\x1b[2J", "userDisplayName": "${A.b}", "riskLevel": None},
        ],
        "RiskDetection": {"id": "d", "userId": "2", "userDisplayName": "Mia Conti", "requestId": "s"},
        "RiskySignIn": {"id": "t", "ipAddress": "203.0.113.2", "location": {"countryOrRegion": "PE"}},
        "RiskyServicePrincipal": {"id": "p", "displayName": "Payroll"},
    }
}
GENERIC = [
    *("using=", "using-brand=", "raw-response=", "extend-context=", "ignore-outputs=", "auto-extract="),
    *("debug-mode=", "execution-timeout="),
]


def known(manifest: Path | str, *data: Row) -> Known:
    keywords = {"help": "Lists.", "signin": "Changes.", "quit": "Leaves."}
    followers = {"signin": lambda _: [Candidate("device-code"), Candidate("managed-identity")]}
    return Known(Manifest.read(manifest), keywords, followers, list(data))


def texts(known: Known, line: str) -> list[str]:
    """What is offered at the place of the `|` in a line, or else at its end."""
    before, _, after = line.partition("|")
    return [candidate.text for candidate in candidates(known, before + after, len(before))]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        # The beginning finds best, then the beginning of a part, then any place.
        ("!contoso-e", ["!contoso-echo"]),
        ("!echo", ["!contoso-echo"]),
        ("!ECHO", ["!contoso-echo"]),
        ("echo", ["!contoso-echo"]),
        ("mem", ["!contoso-remember"]),
        ("he", ["help"]),
        ("!he", []),
        ("si", ["signin"]),
        ("w", ["!contoso-wait", "!contoso-write"]),
        ("!contoso-unknown", []),
        ("!contoso-unknown x", []),
        ("help !contoso", []),
        # Keywords
        ("signin ", ["device-code", "managed-identity"]),
        ("signin identity", ["managed-identity"]),
        ("signin device-code ", ["managed-identity"]),
        ("nonsense ", []),
        # Names of arguments, the platform's last
        ("!contoso-echo ", ["text=", "limit=", "level=", "ids=", *GENERIC]),
        ("!contoso-echo t", ["text=", "execution-timeout="]),
        ("!contoso-echo text=a t", ["limit=", "execution-timeout="]),
        ("!contoso-echo limit=1 | text=a", ["level=", "ids=", *GENERIC]),
        ("!contoso-echo limit=1 | text='a ids=2'", ["level=", "ids=", *GENERIC]),
        ("!contoso-echo limit=1 using=x level=low ids=1 text=a ", [name for name in GENERIC if name != "using="]),
        ("!contoso-wait ", ["left=", *GENERIC]),
        ("!contoso-echo raw", ["raw-response="]),
        ("!contoso-echo outputs", ["ignore-outputs="]),
        # Values
        ("!contoso-echo level=", ["level=low", 'level="very high"']),
        ("!contoso-echo level=h", ['level="very high"']),
        ("!contoso-echo level='ve", ['level="very high"']),
        ('!contoso-echo level="very h', ['level="very high"']),
        ('!contoso-echo level="very high"', []),
        ("!contoso-echo level=l|ow", ["level=low"]),
        ("!contoso-echo limit=", ["limit=50"]),
        ("!contoso-echo text=", []),
        ("!contoso-wait timeout=", []),
        ("!contoso-echo unknown=", []),
        ("!contoso-echo ids=two,o", ["ids=two,one"]),
        ("!contoso-echo ids=two,", ["ids=two,one"]),
        ('!contoso-echo ids="two, o', ["ids=two,one"]),
        ("!contoso-echo debug-mode=", ["debug-mode=true", "debug-mode=false"]),
        ("!contoso-echo auto-extract=line", ["auto-extract=inline"]),
        ("!contoso-echo using=", ["using=Contoso_instance_1"]),
        ("!contoso-echo using-brand=", ["using-brand=Contoso"]),
    ],
)
def test_a_word_is_completed_by_any_part_of_what_may_stand_there(
    line: str, offered: list[str], manifest_path: Path
) -> None:
    assert texts(known(manifest_path), line) == offered


def test_an_empty_line_offers_every_command_and_keyword_with_its_first_sentence(manifest_path: Path) -> None:
    offered = candidates(known(manifest_path), "", 0)
    assert offered[0] == ("!contoso-echo", "Gives back its arguments.")
    assert offered[-3:] == [("help", "Lists."), ("signin", "Changes."), ("quit", "Leaves.")]


def test_descriptions_are_the_first_sentence_of_the_manifests() -> None:
    real = known(MANIFEST)
    assert candidates(real, "!users-dismiss", 14) == [
        ("!azure-risky-users-dismiss", "Dismisses the risk of users, with that of all their past sign-ins.")
    ]
    assert candidates(real, "!azure-risky-user-investigate ", 30)[:2] == [
        (
            "user=",
            "Required. The user: the object ID, the user principal name (UPN) or the display name, in full.",
        ),
        ("days=", "How many days of sign-ins to read, from 1 to 90."),
    ]
    assert candidates(real, "!azure-risky-users-dismiss verify=", 34) == [
        ("verify=true", ""),
        ("verify=false", "The default."),
    ]


REAL = [
    ("detections", ["!azure-risky-users-risk-detections-list", "!azure-risky-service-principal-detections-list"]),
    ("!azure-risky-users-list level=", []),
    ("!azure-risky-users-list level", ["risk_level="]),
    ("!azure-risky-users-list order_by=", [f'order_by="riskLastUpdatedDateTime {way}"' for way in ("desc", "asc")]),
    ("!azure-risky-sign-ins-list order_by=", [f'order_by="createdDateTime {way}"' for way in ("desc", "asc")]),
    (
        "!azure-risky-users-risk-detections-list order_by=",
        [
            f'order_by="{name} {way}"'
            for name in ("detectedDateTime", "activityDateTime", "lastUpdatedDateTime")
            for way in ("desc", "asc")
        ],
    ),
    (
        "!azure-risky-users-risk-detections-list risk_event_type=leaked",
        ["risk_event_type=leakedCredentials"],
    ),
    (
        "!azure-risky-users-risk-detections-list risk_event_type=leakedCredentials,inbox",
        [
            f"risk_event_type=leakedCredentials,{name}"
            for name in ("mcasSuspiciousInboxManipulationRules", "suspiciousInboxForwarding")
        ],
    ),
    ("!azure-risky-users-list risk_state=confirmed", ["risk_state=confirmedCompromised", "risk_state=confirmedSafe"]),
    # What was found: of the user, of a detection, of a sign-in, of a service principal
    ("!azure-risky-user-get id=", ["id=1", "id=2", "id=3"]),
    ("!azure-risky-user-history-list id=", ["id=1", "id=2", "id=3"]),
    ("!azure-risky-users-risk-detection-get id=", ["id=d"]),
    ("!azure-risky-sign-in-get id=", ["id=t"]),
    ("!azure-risky-service-principal-history-list id=", ["id=p"]),
    ("!azure-risky-user-get user=", [f"user={ADELE}", f"user={MIA}", "user=1", "user=2", "user=3"]),
    ("!azure-risky-user-get user=vance", [f"user={ADELE}"]),
    ("!azure-risky-users-dismiss user=1,m", [f"user=1,{MIA}"]),
    ("!azure-risky-sign-ins-dismiss sign_in=", ["sign_in=t", "sign_in=s"]),
    ("!azure-risky-sign-ins-list country=", ["country=PE"]),
    ("!azure-risky-sign-ins-list ip_address=", ["ip_address=203.0.113.2"]),
    ("!azure-risky-service-principals-dismiss service_principal=", ["service_principal=p"]),
    ("!azure-risky-service-principals-list display_name=", ["display_name=Payroll"]),
    (
        "!azure-risky-users-list user_display_name=",
        [r'user_display_name="[\"Vance, Adele\"]"', 'user_display_name="Mia Conti"'],
    ),
    (
        '!azure-risky-users-list user_display_name="Mia Conti,v',
        [r'user_display_name="[\"Mia Conti\", \"Vance, Adele\"]"'],
    ),
    (r'!azure-risky-users-list user_display_name="[\"Mia Conti\", v', []),
    ("!azure-risky-users-auth-test id=", []),
]


@pytest.mark.parametrize(("line", "offered"), REAL)
def test_values_are_those_declared_and_those_found_so_far(line: str, offered: list[str]) -> None:
    assert texts(known(MANIFEST, CONTEXT), line) == offered


def test_a_value_says_whose_it_is() -> None:
    assert candidates(known(MANIFEST, CONTEXT), "!azure-risky-user-get user=", 27)[:3] == [
        (f"user={ADELE}", "Vance, Adele, high"),
        (f"user={MIA}", "Mia Conti, low"),
        ("user=1", f"Vance, Adele, {ADELE}, high"),
    ]


def test_what_was_shown_last_comes_before_the_context() -> None:
    row = {"userId": "9", "userPrincipalName": "zoe@contoso.example", "fetchType": "Risk Detections", "id": "e"}
    entry = {"Type": 1, "EntryContext": {"AzureRiskyUsers.RiskyUser(val.id && val.id == obj.id)": [{"id": "8"}]}}
    run = Run("c", [entry], incidents=[{"rawJSON": json.dumps(row)}, {"name": "of something else"}])
    latest = known(MANIFEST, shown_data(run), CONTEXT)
    assert texts(latest, "!azure-risky-user-get id=") == ["id=8", "id=1", "id=2", "id=3", "id=9"]
    assert texts(latest, "!azure-risky-users-risk-detection-get id=") == ["id=e", "id=d"]


def test_every_offered_order_is_one_that_graph_takes(run: Succeed) -> None:
    real = known(MANIFEST)
    offered = {
        name: texts(real, f"!{name} order_by=")
        for name, command in real.manifest.commands.items()
        if "order_by" in command.arguments
    }
    assert {name: len(orders) for name, orders in offered.items()} == {
        "azure-risky-users-list": 2,
        "azure-risky-users-risk-detections-list": 6,
        "azure-risky-service-principals-list": 2,
        "azure-risky-service-principal-detections-list": 6,
        "azure-risky-sign-ins-list": 2,
    }
    for name, orders in offered.items():
        for order in orders:
            run(f"!{name} limit=1 {order}")


def test_a_name_like_a_list_is_offered_as_a_list_of_this_name() -> None:
    context = {"rows": [{"userPrincipalName": "[a]"}]}
    offered = texts(known(MANIFEST, context), "!azure-risky-users-list user_principal_name=")
    assert offered == [r'user_principal_name="[\"[a]\"]"']


@given(st.lists(st.text(min_size=1), min_size=1, max_size=3))
def test_an_offered_value_is_read_as_the_value_that_was_found(names: list[str]) -> None:
    rows = [{"userPrincipalName": name} for name in names]
    for argument in ("user_principal_name", "user"):
        command = "azure-risky-users-list" if argument == "user_principal_name" else "azure-risky-user-get"
        for text in texts(known(MANIFEST, {"rows": rows}), f"!{command} {argument}="):
            value = parse(f"!{command} {text}").arguments[argument]
            items = json.loads(value) if value.startswith("[") and value not in names else [value]
            assert set(items) <= set(names)


# What follows a keyword


@pytest.fixture
def desk() -> Desk:
    options = read_options([*SMALL])
    console = display.open_console()
    return Desk(options, SimulatedTenant(options, console), console, KEYWORDS)


PATHS = ContextData({"A": {"B": [{"id": "1", "x": {"y": 1}}, {"id": "2", "z z": 3}], "T": True}})


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("context ", ["A", "A.B", "A.B.id", "A.B.x", "A.B.x.y", "A.T"]),
        ("context y", ["A.B.x.y"]),
        ("context A.B.[", ["A.B.[0]", "A.B.[1]"]),
        ("context A.B.[0].", ["A.B.[0].id", "A.B.[0].x", "A.B.[0].x.y"]),
        ("context A.B.[7].", []),
        ("context A.B ", []),
        ("help dismiss", [f"!azure-risky-{what}-dismiss" for what in ("users", "service-principals", "sign-ins")]),
        ("help !users-dis", ["!azure-risky-users-dismiss"]),
        ("signin ", ["client-credentials", "device-code", "managed-identity"]),
        ("signin device-code ", []),
        ("fetch ", ["--times", "--every"]),
        ("fetch --times ", []),
        ("fetch --times 3 ", ["--every"]),
        ("fetch ev", ["--every"]),
        ("approve ", []),
        ("quit ", []),
    ],
)
def test_each_keyword_offers_what_may_follow_it(line: str, offered: list[str], desk: Desk) -> None:
    desk.backend.context.data = PATHS.data
    assert texts(desk.known(), line) == offered


def test_a_path_has_the_description_of_the_manifest(desk: Desk) -> None:
    desk.backend.context.data = {"AzureRiskyUsers": {"RiskyUser": [{"id": "1"}]}}
    assert candidates(desk.known(), "context AzureRiskyUsers.RiskyUser.[0].i", 39) == [
        ("AzureRiskyUsers.RiskyUser.[0].id", "The object ID of the user.")
    ]


def test_a_code_that_waits_for_the_browser_is_offered_until_it_is_answered(desk: Desk) -> None:
    try:
        desk.do_all(["signin device-code", "!azure-risky-users-auth-start"])
        (code,) = texts(desk.known(), "approve ")
        assert desk.do_all([f"approve {code}"]) == 0
        assert texts(desk.known(), "decline ") == []
    finally:
        desk.backend.close()


def test_the_first_tab_does_not_start_the_tenant(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert texts(desk.known(), LIST) != []
    assert texts(desk.known(), "context ") == texts(desk.known(), "approve ") == []
    assert capsys.readouterr().err == ""


def test_what_a_command_showed_can_be_asked_on(room: WarRoom) -> None:
    desk = Desk(read_options([]), RealTenant(room), display.open_console(), KEYWORDS)
    desk.do_all(["!contoso-rows count=2 ignore-outputs=true"])
    assert desk.known().data == [{"Contoso.Row": [{"id": "0", "a": {"b": 0}}, {"id": "1", "a": {"b": 1}}]}, {}]
    desk.do_all(["fetch"])
    assert desk.known().data == [{"": [{}]}, {}]


# As the prompt shows it

Complete = Callable[[str], list[tuple[str, int, str, str]]]


@pytest.fixture
def complete(manifest_path: Path) -> Complete:
    """What the prompt inserts, from where on, and what it shows of it, and beside."""
    keywords = known(manifest_path)._replace(
        followers={"signin": lambda _: [Candidate("way\u202e", "one\x1b[2J")]},
    )
    completer = LineCompleter(lambda: keywords)

    def completed(line: str) -> list[tuple[str, int, str, str]]:
        found = completer.get_completions(Document(line), CompleteEvent())
        return [(each.text, each.start_position, each.display_text, each.display_meta_text) for each in found]

    return completed


def test_a_value_is_shown_without_its_argument_and_takes_the_place_of_the_word(complete: Complete) -> None:
    assert complete("!contoso-echo level=ve") == [('level="very high"', -8, '"very high"', "")]
    assert complete("!contoso-echo lev") == [("level=", -3, "level=", "A level.")]
    assert complete("echo") == [("!contoso-echo", -4, "!contoso-echo", "Gives back its arguments.")]


def test_a_completion_is_shown_with_its_characters_spelled_out(complete: Complete) -> None:
    assert complete("signin w") == [("way\u202e", -1, r"way\u202e", r"one\x1b[2J")]
