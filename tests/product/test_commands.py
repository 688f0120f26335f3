"""The commands that read: what is asked of Graph, what goes to context, what the war room shows."""

import json
import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

import pytest

import AzureRiskyUsers as aru  # noqa: N813 - the module bears the name of the integration
from helpers import (
    COLLECTIONS_URL,
    DETECTED,
    DETECTIONS,
    FLAGS,
    GET_COLLECTIONS,
    GRAPH,
    HISTORY_COLLECTIONS,
    LEVELS_ACCEPTED,
    LIST_COLLECTIONS,
    LISTED,
    NOW,
    PRINCIPAL_DETECTIONS,
    PRINCIPALS,
    SIGN_INS,
    STATES_ACCEPTED,
    UPDATED,
    USERS,
    Fail,
    Row,
    Succeed,
    base_of,
    below_base,
    collection_of,
    demo_room,
    flags,
    ids,
    only_entry,
    request_id,
    shown,
    typed,
)
from warroom.azure.demo import ADELE_ID, demo_tenant
from warroom.azure.server import Simulator
from warroom.azure.tenant import Tenant
from warroom.xsoar.commandline import parse
from warroom.xsoar.entries import Run
from warroom.xsoar.runner import WarRoom

LIST_NOUNS = {
    USERS: "risky users",
    DETECTIONS: "risk detections",
    PRINCIPALS: "risky service principals",
    PRINCIPAL_DETECTIONS: "service principal risk detections",
    SIGN_INS: "risky sign-ins",
}
CONTEXTS = {
    USERS: "RiskyUser",
    DETECTIONS: "RiskDetection",
    PRINCIPALS: "RiskyServicePrincipal",
    PRINCIPAL_DETECTIONS: "ServicePrincipalRiskDetection",
    SIGN_INS: "RiskySignIn",
}
CREATED = "createdDateTime"
ORDER_PROPERTIES = {
    USERS: UPDATED,
    PRINCIPALS: UPDATED,
    DETECTIONS: DETECTED,
    PRINCIPAL_DETECTIONS: DETECTED,
    SIGN_INS: CREATED,
}


def keyed(context: str) -> str:
    return f"AzureRiskyUsers.{context}(val.id && val.id == obj.id)"


def requested(simulator: Simulator) -> list[tuple[str, Row]]:
    """Path below BASE, and decoded query, of every Graph request, all of which have to be reads."""
    assert {request.method for request in simulator.graph_requests} <= {"GET"}
    return [(below_base(request), request.query) for request in simulator.graph_requests]


# Nothing shows that Graph can order service principals, so no order is asked for unbidden.
DEFAULT_ORDERS = {
    USERS: {"$orderby": f"{UPDATED} desc"},
    DETECTIONS: {"$orderby": f"{DETECTED} desc"},
    SIGN_INS: {"$orderby": f"{CREATED} desc"},
}
# Of the log, only risky sign-ins are asked for unbidden, and never without a bound.
RISKY_STATES = (
    "(riskState eq 'confirmedSafe' or riskState eq 'remediated' or riskState eq 'dismissed'"
    " or riskState eq 'atRisk' or riskState eq 'confirmedCompromised')"
)
SINCE = f"{CREATED} ge 2026-10-21T12:00:00Z"
DEFAULT_FILTERS = {SIGN_INS: {"$filter": f"{RISKY_STATES} and {SINCE}"}}
# What Graph shows only to those who may read policies.
POLICIES = "appliedConditionalAccessPolicies"


def details(row: Row) -> Row:
    return {pair["Key"]: pair["Value"] for pair in json.loads(row["additionalInfo"] or "[]")}


def to_the_second(time: str) -> str:
    return f"{time[:19]}Z"


def listed(tenant: Tenant, command: str, condition: str | None = None, order: str | None = None) -> list[Row]:
    """All rows of a list as they belong in context, in the order of the simulated tenant's own reckoning."""
    rows = tenant.listing(
        LIST_COLLECTIONS[command],
        condition or DEFAULT_FILTERS.get(command, {}).get("$filter"),
        order or DEFAULT_ORDERS.get(command, {}).get("$orderby"),
    )
    if command == SIGN_INS:
        return [{name: value for name, value in row.items() if name != POLICIES} for row in rows]
    return [row | {"additionalDetails": details(row)} for row in rows] if "additionalInfo" in rows[0] else rows


def kept(run: Run, command: str) -> Any:
    """The objects that a run of a list puts into context, None when the entry has no key for them."""
    return only_entry(run)["EntryContext"].get(keyed(CONTEXTS[command]))


# As the product's documentation shows them


def test_a_page_of_users_is_asked_for_shown_and_kept_as_documented(
    run: Succeed, tenant: Tenant, simulator: Simulator
) -> None:
    first, second = listed(tenant, USERS)[:2]
    entry = only_entry(run(f"!{USERS} page_size=2"))
    assert requested(simulator) == [("riskyUsers", {"$orderby": f"{UPDATED} desc", "$top": "2"})]
    token = flags(entry)["RiskyUserListNextToken"]
    assert re.fullmatch(
        re.escape(f"{COLLECTIONS_URL}riskyUsers?$orderby={UPDATED}%20desc&$top=2&$skiptoken=") + r"\w+_2", token
    )
    assert entry["EntryContext"] == {
        FLAGS: {"RiskyUserListTruncated": True, "RiskyUserListNextToken": token},
        keyed("RiskyUser"): [first, second],
    }
    assert entry["HumanReadable"] == (
        "### Risky Users List:\n"
        "2 risky users; more match. Continue with next_token.\n"
        "|Id|User Display Name|User Principal Name|Risk Level|Risk State|Risk Detail|Risk Last Updated Date Time|\n"
        "|---|---|---|---|---|---|---|\n"
        f"| {ADELE_ID} | Adele Vance | adele.vance@contoso.example | high | atRisk | none "
        f"| {to_the_second(first[UPDATED])} |\n"
        f"| {second['id']} | {second['userDisplayName']} | {second['userPrincipalName']} | {second['riskLevel']} "
        f"| {second['riskState']} | {second['riskDetail']} | {to_the_second(second[UPDATED])} |\n"
        "\n"
        "### Risky Users List Token:\n"
        "|next_token|\n"
        "|---|\n"
        f"| {token} |\n"
    )
    assert entry["Contents"] == {"value": [first, second], "@odata.nextLink": token}


def test_one_user_is_shown_and_kept_as_documented(run: Succeed, tenant: Tenant, simulator: Simulator) -> None:
    entry = only_entry(run("!azure-risky-user-get id=333"))
    assert requested(simulator) == [("riskyUsers/333", {})]
    assert entry["EntryContext"] == {keyed("RiskyUser"): tenant.users["333"]}
    assert entry["Contents"] == tenant.users["333"]
    assert entry["HumanReadable"] == (
        "### Found Risky User With ID: 333\n"
        "|Id|User Display Name|User Principal Name|Risk Level|Risk State|Risk Detail|Risk Last Updated Date Time|\n"
        "|---|---|---|---|---|---|---|\n"
        "| 333 | Yossi Israeli | yossi@test.com | none | remediated | User performed secured password reset "
        "| 2020-10-05T12:12:17Z |\n"
    )


def test_a_page_of_detections_is_shown_and_kept_as_documented(
    run: Succeed, tenant: Tenant, simulator: Simulator
) -> None:
    window = "detected_date_time_after=2021-06-01 detected_date_time_before=2021-07-01"
    entry = only_entry(run(f"!{DETECTIONS} limit=2 order_by='detectedDateTime asc' {window}"))
    condition = f"{DETECTED} ge 2021-06-01T00:00:00Z and {DETECTED} lt 2021-07-01T00:00:00Z"
    query = {"$filter": condition, "$orderby": f"{DETECTED} asc", "$top": "2"}
    assert requested(simulator) == [("riskDetections", query)]
    agent = {"additionalDetails": {"userAgent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/91.0"}}
    rows = [tenant.detections["555"] | agent, tenant.detections["888"] | agent]
    detected = [to_the_second(row[DETECTED]) for row in rows]
    assert entry["EntryContext"] == {FLAGS: {"RiskDetectionListTruncated": False}, keyed("RiskDetection"): rows}
    assert entry["Contents"] == {"value": rows}
    assert entry["HumanReadable"] == (
        "### Risk Detections List\n"
        "2 risk detections\n"
        "|Id|User Id|User Display Name|User Principal Name|Risk Detail|Risk Event Type|Risk Level|Risk State"
        "|Last Updated Date Time|Ip Address|Detected Date Time|Place|\n"
        "|---|---|---|---|---|---|---|---|---|---|---|---|\n"
        "| 555 | 777 | Shalev Israeli | ShalevI@test.com | User passed MFA required by risk-based policy "
        "| Unfamiliar sign-in properties | low | remediated | 2021-06-20T03:53:58Z | 1.1.1.1 "
        f"| {detected[0]} | Lviv, UA |\n"
        "| 888 | 999 | Svetlana Israeli | SvetlanaI@test.com | User passed MFA required by risk-based policy "
        "| Unfamiliar sign-in properties | low | remediated | 2021-06-27T19:19:44Z | 1.1.1.1 "
        f"| {detected[1]} | Lviv, UA |\n"
    )


def test_one_detection_is_shown_with_its_location_as_documented(
    run: Succeed, tenant: Tenant, simulator: Simulator
) -> None:
    entry = only_entry(run("!azure-risky-users-risk-detection-get id=6565"))
    row = tenant.detections["6565"] | {"additionalDetails": {}}
    assert requested(simulator) == [("riskDetections/6565", {})]
    assert entry["EntryContext"] == {keyed("RiskDetection"): row}
    assert entry["Contents"] == row
    assert entry["HumanReadable"] == (
        "### Found Risk Detection with ID: 6565\n"
        "|Id|User Id|User Display Name|User Principal Name|Risk Detail|Risk Event Type|Risk Level|Risk State"
        "|Ip Address|Detection Timing Type|Last Updated Date Time|Location"
        "|Activity Date Time|Detected Date Time|Request Id|\n"
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n"
        "| 6565 | 999 | Svetlana Israeli | SvetlanaI@test.com | User passed MFA required by risk-based policy "
        "| Unfamiliar sign-in properties | low | remediated | 3.3.3.3 | realtime | 2021-07-03T13:38:04Z "
        "| city: Lviv<br>state: L'vivs'ka Oblast'<br>countryOrRegion: UA"
        '<br>geoCoordinates: {"latitude": 49, "longitude": 24} '
        "| 2021-07-03T13:36:21Z | 2021-07-03T13:36:21Z | 00000000-0000-0000-0000-000000006565 |\n"
    )


def test_a_read_asks_for_newer_members_of_enumerations_and_names_itself(run: Succeed, simulator: Simulator) -> None:
    for line in (f"!{USERS}", "!azure-risky-user-get id=333", f"!azure-risky-user-history-list id={ADELE_ID}"):
        run(line)
    headers = [request.headers for request in simulator.graph_requests]
    assert {header["Prefer"] for header in headers} == {"include-unknown-enum-members"}
    assert len({header["client-request-id"] for header in headers}) == 3


def test_the_four_commands_about_signing_in_say_what_is_documented(simulator: Simulator) -> None:
    room = demo_room(simulator, "Device Code")
    started = shown(room.run("!azure-risky-users-auth-start"))
    (flow,) = simulator.entra.flows.values()
    assert started == (
        "### Authorization instructions\n"
        "1. To sign in, use a web browser to open the page https://microsoft.com/devicelogin "
        f"and enter the code **{flow.user_code}** to authenticate.\n"
        "2. Run the !azure-risky-users-auth-complete command in the War Room."
    )
    simulator.entra.approve(flow.user_code)
    completed = only_entry(room.run("!azure-risky-users-auth-complete"))
    assert completed["Contents"] == "Authorization completed successfully."
    assert shown(room.run("!azure-risky-users-auth-test")).startswith("Success!\n")
    assert only_entry(room.run("!azure-risky-users-auth-reset"))["Contents"] == (
        "Authorization was reset successfully. Run !azure-risky-users-auth-start to start the authentication process."
    )
    assert set(room.integration_context) == {"sign_in_id"}


@pytest.mark.parametrize("command", LIST_COLLECTIONS)
def test_a_list_puts_graphs_properties_into_context_unchanged_and_complete(
    command: str, run: Succeed, tenant: Tenant
) -> None:
    rows = listed(tenant, command)
    entry = only_entry(run(f"!{command} limit=500"))
    assert entry["EntryContext"] == {
        FLAGS: {f"{CONTEXTS[command]}ListTruncated": False},
        keyed(CONTEXTS[command]): rows,
    }
    assert entry["Contents"] == {"value": rows}


def test_annotations_of_graph_stay_out_of_the_context(run: Succeed, simulator: Simulator) -> None:
    user = {"id": "1", "riskLevel": "high", "riskLevel@odata.type": "#x", "@odata.type": "#microsoft.graph.riskyUser"}
    for body in ({"value": [user]}, user | {"@odata.context": "c"}):
        simulator.fail_next(203, body=body)
    assert kept(run(f"!{USERS}"), USERS) == [{"id": "1", "riskLevel": "high"}]
    single = only_entry(run("!azure-risky-user-get id=1"))
    assert single["EntryContext"] == {keyed("RiskyUser"): {"id": "1", "riskLevel": "high"}}


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        (None, {}),
        ("", {}),
        ("[]", {}),
        ("not JSON", {}),
        ("5", {}),
        ('"text"', {}),
        ("[null, 1, [], {}]", {}),
        ('[{"Key": null, "Value": 1}, {"Value": 2}]', {}),
        ('[{"Key": "alertUrl"}]', {"alertUrl": None}),
        ('{"Key": "userAgent", "Value": "Mozilla"}', {"userAgent": "Mozilla"}),
        (
            '[{"Key": "riskReasons", "Value": ["UnfamiliarIP"]}, {"Key": "mitreTechniques", "Value": "T1078"}]',
            {"riskReasons": ["UnfamiliarIP"], "mitreTechniques": "T1078"},
        ),
    ],
)
def test_additional_details_are_what_additional_info_holds(info: str | None, expected: Row) -> None:
    assert aru.detection_to_context({"id": "1", "additionalInfo": info}) == {
        "id": "1",
        "additionalInfo": info,
        "additionalDetails": expected,
    }


def test_a_detection_without_additional_info_has_no_details() -> None:
    assert aru.detection_to_context({"id": "1"}) == {"id": "1", "additionalDetails": {}}


def test_tables_speak_an_analysts_words_and_the_context_graphs(run: Succeed, tenant: Tenant) -> None:
    tenant.arrive(id="d1", riskEventType="attackerinTheMiddle", userId="333", riskDetail="microsoftRevokedSessions")
    tenant.arrive(id="d2", riskEventType="somethingNew", userId="333", riskDetail="m365DAdminDismissedDetection")
    done = run(f"!{DETECTIONS} user_id=333")
    assert [line.split(" | ")[4:6] for line in shown(done).splitlines() if line.startswith("| d")] == [
        ["Microsoft revoked sessions", "Attacker in the Middle"],
        ["Microsoft Defender admin dismissed detection", "somethingNew"],
    ]
    assert [(row["riskDetail"], row["riskEventType"]) for row in kept(done, DETECTIONS)] == [
        ("microsoftRevokedSessions", "attackerinTheMiddle"),
        ("m365DAdminDismissedDetection", "somethingNew"),
    ]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("riskEventType", "authenticatorPhishing", "Suspicious MFA authentication approval"),
        ("riskEventType", "aiCompoundAccountRisk", "Unified risk signals"),
        ("riskEventType", "suspiciousAuthAppApproval", "Suspicious Authenticator app approval"),
        ("riskEventType", "attackerInTheMiddle", "Attacker in the Middle"),
        ("riskEventType", "NATIONSTATEIP", "Verified threat actor IP"),
        ("riskEventType", "SomethingNew", "SomethingNew"),
        ("riskDetail", "aiElevatedAccountRisk", "ID Protection elevated the user risk"),
        ("riskDetail", "AIConfirmedSignInSafe", "Microsoft Entra ID Protection assessed sign-in safe"),
        ("riskDetail", "unknownFutureValue", "unknownFutureValue"),
    ],
)
def test_a_value_of_any_case_is_shown_in_the_words_of_the_admin_centre(
    name: str, value: str, words: str, run: Succeed, simulator: Simulator
) -> None:
    simulator.fail_next(200, body={"value": [{"id": "d1", name: value}]})
    done = run(f"!{DETECTIONS}")
    assert shown(done).splitlines()[-1] == f"| d1 | {words} |"
    assert [row[name] for row in kept(done, DETECTIONS)] == [value]


def test_every_word_of_a_table_is_found_by_what_graph_calls_it() -> None:
    for name, words in (("riskEventType", aru.EVENT_WORDS), ("riskDetail", aru.DETAIL_WORDS)):
        assert {value: aru.word_for(name, value.upper()) for value in words} == words


DETECTION_GETS = ["azure-risky-users-risk-detection-get", "azure-risky-service-principal-detection-get"]
TECHNIQUE_1621 = "Multi-Factor Authentication Request Generation"
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:126.0) Gecko/20100101 Firefox/126.0"


def with_details(**details: Any) -> Row:
    """A detection whose additional info holds these."""
    info = json.dumps([{"Key": name, "Value": value} for name, value in details.items()])
    return {"id": "d1", "riskLevel": "high", "additionalInfo": info}


@pytest.mark.parametrize("command", DETECTION_GETS)
def test_a_detections_reasons_and_techniques_stand_in_words_behind_the_documented_columns(
    command: str, run: Succeed, simulator: Simulator
) -> None:
    details = {
        "riskReasons": ["UnfamiliarASN", "unfamiliarTenantIPSubnet", "SomethingNew", "UnfamiliarASN"],
        "mitreTechniques": "T1090.003,T1078,T1078",
        "userAgent": AGENT,
    }
    row = with_details(**details)
    simulator.fail_next(200, body=row)
    entry = only_entry(run(f"!{command} id=d1"))
    assert entry["Contents"] == row | {"additionalDetails": details}
    assert entry["HumanReadable"].splitlines()[1:] == [
        "|Id|Risk Level|Risk Reasons|Mitre Techniques|User Agent|",
        "|---|---|---|---|---|",
        "| d1 | high | unfamiliar ASN,<br>IP subnet unfamiliar to the tenant,<br>SomethingNew "
        f"| T1090.003 Proxy: Multi-hop Proxy,<br>T1078 Valid Accounts | {AGENT} |",
    ]


def test_every_technique_has_the_name_of_the_one_that_it_is_part_of() -> None:
    for technique, name in aru.TECHNIQUE_NAMES.items():
        parent, _, is_part = technique.partition(".")
        assert name.partition(": ")[0] == aru.TECHNIQUE_NAMES[parent]
        assert bool(is_part) == (": " in name)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("T1078.004", [("T1078.004", "Valid Accounts: Cloud Accounts")]),
        (" t1539 ,T9999,", [("T1539", "Steal Web Session Cookie"), ("T9999", "")]),
        (["T1621", None, 5, "T1110,T1621"], [("T1621", TECHNIQUE_1621), ("T1110", "Brute Force")]),
        (None, []),
        ("", []),
        ([], []),
        ({"T1078": "Valid Accounts"}, []),
        (1078, []),
    ],
)
def test_techniques_are_read_from_whatever_stands_in_their_place(value: Any, expected: list[tuple[str, str]]) -> None:
    row = aru.detection_to_context(with_details(mitreTechniques=value))
    assert aru.techniques(row) == [{"id": technique, "name": name} for technique, name in expected]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (["UnfamiliarEASId", "UNFAMILIARIP"], ["unfamiliar Exchange ActiveSync ID", "unfamiliar IP address"]),
        ("suspiciousIP, passwordSpray", ["suspicious IP address", "password spray"]),
        (["Other", {"Key": 1}, None], ["Other"]),
        (None, []),
        ({}, []),
    ],
)
def test_reasons_are_read_from_whatever_stands_in_their_place(value: Any, expected: list[str]) -> None:
    assert aru.risk_reasons(aru.detection_to_context(with_details(riskReasons=value))) == expected


def test_a_detection_without_details_has_no_reasons_and_no_techniques() -> None:
    row = aru.detection_to_context({"id": "d1"})
    assert (aru.risk_reasons(row), aru.techniques(row)) == ([], [])


@pytest.mark.parametrize("command", [command for command in LIST_COLLECTIONS if command != SIGN_INS])
@pytest.mark.parametrize("more", ["", " page_size=3"])
def test_a_list_without_rows_is_a_success_with_an_empty_table(command: str, more: str, run: Succeed) -> None:
    before, _ = TIME_ARGUMENTS[command]
    entry = only_entry(run(f"!{command} {before}=1999-12-31{more}"))
    context = CONTEXTS[command]
    expected: Row = {f"{context}ListTruncated": False} | ({f"{context}ListNextToken": ""} if more else {})
    assert entry["EntryContext"] == {FLAGS: expected}
    matches = re.escape(f"Nothing matches: {ORDER_PROPERTIES[command]} lt 1999-12-31T00:00:00Z")
    assert re.fullmatch(rf"### [\w ]+ List:?\n{matches}\n\*\*No entries\.\*\*\n", entry["HumanReadable"])
    assert entry["Contents"] == {"value": []}


@pytest.mark.parametrize("more", [" page=2", " page=2 page_size=50"])
def test_a_page_past_the_end_is_not_told_as_if_nothing_matched(more: str, run: Succeed) -> None:
    entry = only_entry(run(f"!{USERS} risk_level=high{more}"))
    assert entry["HumanReadable"] == ("### Risky Users List:\nNo rows here of: riskLevel eq 'high'\n**No entries.**\n")


def test_a_token_that_leads_to_no_rows_says_what_was_looked_for(run: Succeed, simulator: Simulator) -> None:
    link = f"{COLLECTIONS_URL}riskyUsers?$filter=riskLevel%20eq%20'high'&$skiptoken=x"
    simulator.fail_next(200, body={"value": []})
    entry = only_entry(run(typed(USERS, next_token=link)))
    assert entry["HumanReadable"] == ("### Risky Users List:\nNo rows here of: riskLevel eq 'high'\n**No entries.**\n")


BY_TYPE = [(DETECTIONS, "riskDetections"), (PRINCIPAL_DETECTIONS, "servicePrincipalRiskDetections")]
TRAVEL_REVERSED = "(riskEventType eq 'mcasImpossibleTravel' or riskEventType eq 'impossibleTravel')"
TRAVEL = "(riskEventType eq 'impossibleTravel' or riskEventType eq 'mcasImpossibleTravel')"


@pytest.mark.parametrize(("command", "collection"), BY_TYPE)
@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("Leaked credentials", "riskEventType eq 'leakedCredentials'"),
        (" LEAKEDCREDENTIALS,leaked Credentials", "riskEventType eq 'leakedCredentials'"),
        ("AttackerInTheMiddle", "riskEventType eq 'attackerinTheMiddle'"),
        ("impossible travel", TRAVEL),
        ("mcasImpossibleTravel, Impossible travel", TRAVEL_REVERSED),
        (
            "Possible attempt to access Primary Refresh Token (PRT),New country",
            "(riskEventType eq 'attemptedPrtAccess' or riskEventType eq 'newCountry')",
        ),
    ],
)
def test_an_event_type_is_named_by_graphs_name_or_by_its_title_in_any_case(
    value: str, sent: str, command: str, collection: str, run: Succeed, simulator: Simulator
) -> None:
    done = run(typed(command, risk_event_type=value))
    assert [(path, query["$filter"]) for path, query in requested(simulator)] == [(collection, sent)]
    assert "known event type" not in shown(done)


FORMS = 'event types by Graph\'s names or in the words of a table, such as leakedCredentials or "Leaked credentials"'


@pytest.mark.parametrize("command", [DETECTIONS, PRINCIPAL_DETECTIONS])
@pytest.mark.parametrize(
    ("value", "question"),
    [
        ("leakedCredential", '; did you mean "leakedCredentials"'),
        ("leaked_credentials", '; did you mean "leakedCredentials"'),
        ("Leaked credential", '; did you mean "leakedCredentials"'),
        ("Imposible travel", '; did you mean "impossibleTravel" or "mcasImpossibleTravel"'),
        ("Stolen credentials", ""),
        ("a'b", ""),
        ("T1078.004", ""),
    ],
)
def test_a_misspelt_event_type_and_what_can_be_no_name_are_refused(
    value: str, question: str, command: str, error: Fail, simulator: Simulator
) -> None:
    assert error(typed(command, risk_event_type=value)) == (
        f'Failed to execute {command}. risk_event_type="{value}" cannot be used. Accepted: {FORMS}{question}.'
    )
    assert simulator.requests == []


def test_a_new_event_type_is_asked_for_as_it_is_and_the_list_says_that_nobody_knows_it(
    run: Succeed, tenant: Tenant, simulator: Simulator
) -> None:
    tenant.arrive(id="d1", userId="333", riskEventType="contosoOddity")
    done = run(f"!{DETECTIONS} risk_event_type='contosoOddity,newCountry,somethingNew,contosoOddity' user_id=333")
    asked = ("contosoOddity", "newCountry", "somethingNew")
    types = " or ".join(f"riskEventType eq '{name}'" for name in asked)
    assert [query["$filter"] for _, query in requested(simulator)] == [f"userId eq '333' and ({types})"]
    assert ids(kept(done, DETECTIONS)) == ["d1"]
    assert shown(done).splitlines()[1:3] == [
        "1 risk detection",
        "No known event type, and asked for as it is given: contosoOddity, somethingNew",
    ]


def misspelt(word: str) -> Iterator[str]:
    """A word with one letter missing, added, changed or swapped with the next."""
    for place in range(len(word)):
        before, letter, after = word[:place], word[place], word[place + 1 :]
        yield before + after
        yield f"{before}x{letter}{after}"
        yield f"{before}x{after}"
        yield before + after[:1] + letter + after[1:]


def test_one_wrong_letter_is_a_misspelling_and_another_types_name_is_not() -> None:
    others = {
        name: {word: types for word, types in aru.TYPES_BY_WORD.items() if name not in types}
        for name in aru.EVENT_WORDS
    }
    alike = {
        name: get_close_matches(name.lower(), words, n=1, cutoff=aru.MISSPELLING) for name, words in others.items()
    }
    assert alike == dict.fromkeys(aru.EVENT_WORDS, [])
    for name in set(aru.EVENT_WORDS) - {"generic"}:
        unasked = [text for text in misspelt(name) if text.lower() != name.lower() and not aru.did_you_mean(text)]
        assert unasked == []


ONE_USER = (
    "one object ID (GUID), one user principal name such as adele.vance@contoso.com, or one display name such as "
    "Adele Vance"
)
NO_USERS = [
    "",
    "*",
    "Anna*",
    "333",
    "null",
    "None",
    "${incident.user}",
    '["anna@contoso.com"]',
    "['Anna', 'Ben']",
    "'Anna Alvarez'",
    "a@b.c,d@e.f",
    "a@b.c, Anna Alvarez",
    "Anna Alvarez,Ben Brandt",
    "Anna Alvarez, Ben Brandt, Carla Costa",
    ", Anna",
    "Anna;Ben",
    f"{ADELE_ID},{ADELE_ID}",
    "<b>x</b>@y",
    "../Anna",
    "CONTOSO\\anna",
    "@contoso.com",
    "Anna\nAlvarez",
    "Anna\u200bAlvarez",
    "Anna\u200cAlvarez",
    "\u0639\u0644\u06cc\u200c",
]


@pytest.mark.parametrize("command", ["azure-risky-user-get", "azure-risky-user-history-list"])
@pytest.mark.parametrize("value", NO_USERS)
def test_what_names_no_single_user_is_refused_and_no_all_clear(
    command: str, value: str, war_room: WarRoom, simulator: Simulator
) -> None:
    entry = only_entry(war_room.call(command, {"user": value or " "}))
    assert entry["Contents"] == f'Failed to execute {command}. user="{value}" cannot be used. Accepted: {ONE_USER}.'
    assert simulator.requests == []


@pytest.mark.parametrize(
    "name",
    [
        "'t Hooft, Gerard",
        "'s Gravesande",
        "O'Brien, Pat",
        "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627",
        "\u05e8\u05d5\u05e0\u05d9",
    ],
)
def test_a_display_name_of_any_people_finds_the_user(
    name: str, run: Succeed, tenant: Tenant, simulator: Simulator
) -> None:
    row = tenant.change_user(ADELE_ID, userDisplayName=name)
    literal = name.replace("'", "''")
    spellings = list(dict.fromkeys([literal, literal.lower()]))
    texts = " or ".join(f"userDisplayName eq '{each}'" for each in spellings)
    assert only_entry(run(typed("azure-risky-user-get", user=name)))["Contents"] == row
    assert [query["$filter"] for _, query in requested(simulator)] == [f"({texts})" if spellings[1:] else texts]
    by_name = only_entry(run(typed(USERS, user_display_name=json.dumps([name]))))
    assert by_name["Contents"] == {"value": [row]}


def test_an_id_in_the_place_of_a_name_finds_the_user(run: Succeed) -> None:
    adele = only_entry(run(f"!azure-risky-user-get id={ADELE_ID}"))["Contents"]
    assert only_entry(run(f"!azure-risky-user-get user={ADELE_ID.upper()}"))["Contents"] == adele
    assert only_entry(run(f"!azure-risky-user-get id={ADELE_ID.upper()}"))["Contents"] == adele


def test_raw_response_is_graphs_answer_and_can_be_kept_elsewhere(
    run: Succeed, war_room: WarRoom, tenant: Tenant
) -> None:
    run(f"!{USERS} risk_level=high raw-response=true ignore-outputs=true extend-context=Mine=value::All=.")
    rows = [row for row in listed(tenant, USERS) if row["riskLevel"] == "high"]
    assert war_room.context.data == {"Mine": rows, "All": {"value": rows}}


# What each argument asks of Graph

USER_DEFAULTS = {"$orderby": f"{UPDATED} desc", "$top": "50"}
DETECTION_DEFAULTS = {"$orderby": f"{DETECTED} desc", "$top": "50"}
RISK_CONDITIONS = {
    "risk_state=atRisk": "riskState eq 'atRisk'",
    "risk_state=confirmedSafe,none,remediated": (
        "(riskState eq 'confirmedSafe' or riskState eq 'none' or riskState eq 'remediated')"
    ),
    "risk_state='dismissed, confirmedCompromised'": "(riskState eq 'dismissed' or riskState eq 'confirmedCompromised')",
    "risk_level=high": "riskLevel eq 'high'",
    "risk_level=hidden,none": "(riskLevel eq 'hidden' or riskLevel eq 'none')",
    "risk_level=low,medium,high": "(riskLevel eq 'low' or riskLevel eq 'medium' or riskLevel eq 'high')",
    "risk_level=low,low": "riskLevel eq 'low'",
    "risk_level=high risk_state=atRisk": "riskState eq 'atRisk' and riskLevel eq 'high'",
    "risk_level=high,low risk_state=atRisk,none": (
        "(riskState eq 'atRisk' or riskState eq 'none') and (riskLevel eq 'high' or riskLevel eq 'low')"
    ),
}
TIME_CONDITIONS = {  # typed as after=..., before=...; {0} is the property
    "after=2024-02-27T04:49:26.257525Z": "{0} ge 2024-02-27T04:49:26.257525Z",
    "before=2022-06-09T23:00:44.7420905Z": "{0} lt 2022-06-09T23:00:44.7420905Z",
    "after=2024-11-20T12:00:00.000Z": "{0} ge 2024-11-20T12:00:00.000Z",
    "after=2024-02-27": "{0} ge 2024-02-27T00:00:00Z",
    "after=2024-02-27T04:49:26+02:00": "{0} ge 2024-02-27T02:49:26Z",
    "before=2024-02-27T04:49:26": "{0} lt 2024-02-27T04:49:26Z",
    "after='5 hours'": "{0} ge 2026-11-20T07:00:00Z",
    "after='1 days'": "{0} ge 2026-11-19T12:00:00Z",
    "after='1 day'": "{0} ge 2026-11-19T12:00:00Z",
    "before='10 days'": "{0} lt 2026-11-10T12:00:00Z",
    "before='5 months ago'": "{0} lt 2026-06-20T12:00:00Z",
    "after='45 minutes'": "{0} ge 2026-11-20T11:15:00Z",
    "after='3 weeks'": "{0} ge 2026-10-30T12:00:00Z",
    "after='1 year'": "{0} ge 2025-11-20T12:00:00Z",
    "after='10 days' before='2 hours'": "{0} ge 2026-11-10T12:00:00Z and {0} lt 2026-11-20T10:00:00Z",
}
LONG_ID = "00000000-0000-4000-8000-00000000ade1"
ANNA_OR_YOSSI = "(userDisplayName eq 'Anna Alvarez' or userDisplayName eq 'Yossi Israeli')"
OWN_CONDITIONS = [
    (USERS, f"user_id={LONG_ID}", f"id eq '{LONG_ID}'"),
    (USERS, "user_id=333,999", "(id eq '333' or id eq '999')"),
    (USERS, """user_id='["333","999"]'""", "(id eq '333' or id eq '999')"),
    (USERS, "user_principal_name=yossi@test.com", "userPrincipalName eq 'yossi@test.com'"),
    (USERS, "user_principal_name=o'neil@contoso.example", "userPrincipalName eq 'o''neil@contoso.example'"),
    (USERS, """user_principal_name="a' or 'a' eq 'a" """, "userPrincipalName eq 'a'' or ''a'' eq ''a'"),
    (USERS, "user_display_name='Anna Alvarez,Yossi Israeli'", ANNA_OR_YOSSI),
    (USERS, """user_display_name='["Vance, Adele"]'""", "userDisplayName eq 'Vance, Adele'"),
    (USERS, "is_deleted=true", "isDeleted eq true"),
    (USERS, "is_deleted=false", "isDeleted eq false"),
    (USERS, "is_deleted=false user_id=333 risk_level=low", "riskLevel eq 'low' and id eq '333' and isDeleted eq false"),
    (DETECTIONS, "user_id=333,999", "(userId eq '333' or userId eq '999')"),
    (DETECTIONS, "user_principal_name=o'neil@contoso.example", "userPrincipalName eq 'o''neil@contoso.example'"),
    (DETECTIONS, "risk_event_type=leakedCredentials", "riskEventType eq 'leakedCredentials'"),
    (DETECTIONS, "risk_event_type=one,two", "(riskEventType eq 'one' or riskEventType eq 'two')"),
    (PRINCIPALS, "service_principal_id=1,2", "(id eq '1' or id eq '2')"),
    (PRINCIPALS, "display_name='Contoso Payroll Sync 3'", "displayName eq 'Contoso Payroll Sync 3'"),
    (PRINCIPAL_DETECTIONS, "service_principal_id=1", "servicePrincipalId eq '1'"),
    (PRINCIPAL_DETECTIONS, "risk_event_type=suspiciousSignins", "riskEventType eq 'suspiciousSignins'"),
]
SIGN_IN_CONDITIONS = {
    "sign_in=1,2": f"(id eq '1' or id eq '2') and {RISKY_STATES} and {SINCE}",
    f"user_id={LONG_ID.upper()}": f"userId eq '{LONG_ID}' and {RISKY_STATES} and {SINCE}",
    "user_principal_name=Adele.Vance@Contoso.example,Mia.O'Neil@contoso.example": (
        "(userPrincipalName eq 'adele.vance@contoso.example' or userPrincipalName eq 'mia.o''neil@contoso.example')"
        f" and {RISKY_STATES} and {SINCE}"
    ),
    "ip_address=203.0.113.2,2001:DB8:0:0::0007": (
        f"(ipAddress eq '203.0.113.2' or ipAddress eq '2001:db8::7') and {RISKY_STATES} and {SINCE}"
    ),
    "ip_address=::ffff:203.0.113.2,::FFFF:CB00:7102": f"ipAddress eq '203.0.113.2' and {RISKY_STATES} and {SINCE}",
    "country=nl,PE": (
        f"(location/countryOrRegion eq 'NL' or location/countryOrRegion eq 'PE') and {RISKY_STATES} and {SINCE}"
    ),
    "risk_level=high,low": (
        f"(riskLevelAggregated eq 'high' or riskLevelAggregated eq 'low') and {RISKY_STATES} and {SINCE}"
    ),
    "risk_state=none": f"riskState eq 'none' and {SINCE}",
    "risk_state=AtRisk,dismissed": f"(riskState eq 'atRisk' or riskState eq 'dismissed') and {SINCE}",
    "created_after=2026-11-01": f"{RISKY_STATES} and {CREATED} ge 2026-11-01T00:00:00Z",
    "created_after='3 days' created_before='2 hours'": (
        f"{RISKY_STATES} and {CREATED} ge 2026-11-17T12:00:00Z and {CREATED} le 2026-11-20T10:00:00Z"
    ),
    "created_before='2 days' country=PE risk_state=atRisk": (
        f"location/countryOrRegion eq 'PE' and riskState eq 'atRisk' and {SINCE} and {CREATED} le 2026-11-18T12:00:00Z"
    ),
}


def time_arguments(command: str, arguments: str) -> str:
    prefix = "updated" if ORDER_PROPERTIES[command] == UPDATED else "detected_date_time"
    return re.sub("(after|before)=", rf"{prefix}_\1=", arguments)


def conditions(command: str) -> dict[str, str]:
    """What can be typed after a list command, each with the $filter it has to become."""
    if command == SIGN_INS:
        return SIGN_IN_CONDITIONS
    times = {
        time_arguments(command, typed): text.format(ORDER_PROPERTIES[command])
        for typed, text in TIME_CONDITIONS.items()
    }
    own = {arguments: text for owner, arguments, text in OWN_CONDITIONS if owner == command}
    return {**RISK_CONDITIONS, **times, **own}


def test_the_conditions_have_every_filter_of_every_collection() -> None:
    declared = {(collection_of(resource), argument) for resource in LISTED for argument in resource.filters}
    compared = {
        (collection, argument)
        for command, collection in LIST_COLLECTIONS.items()
        for arguments in conditions(command)
        for argument in parse(f"!{command} {arguments}").arguments
    }
    assert compared == declared


@pytest.mark.parametrize("command", LIST_COLLECTIONS)
def test_each_argument_becomes_exactly_its_filter(
    command: str, run: Succeed, tenant: Tenant, simulator: Simulator
) -> None:
    expected = conditions(command)
    found = {arguments: kept(run(f"!{command} {arguments}"), command) or [] for arguments in expected}
    sent = dict(zip(expected, requested(simulator), strict=True))
    order = DEFAULT_ORDERS.get(command, {})
    assert sent == {
        arguments: (LIST_COLLECTIONS[command], {"$filter": condition, **order, "$top": "50"})
        for arguments, condition in expected.items()
    }
    for arguments, condition in expected.items():
        matching = tenant.listing(LIST_COLLECTIONS[command], condition, order.get("$orderby"))[:50]
        assert ids(found[arguments]) == ids(matching)


SUBJECT_ORDERS = [f"{UPDATED}{direction}" for direction in (" desc", " asc")]
SIGN_IN_ORDERS = [f"{CREATED}{direction}" for direction in (" desc", " asc", "")]
DETECTION_ORDERS = [
    f"{name}{direction}"
    for name in (DETECTED, "activityDateTime", "lastUpdatedDateTime")
    for direction in (" desc", " asc", "")
]


@pytest.mark.parametrize("command", LIST_COLLECTIONS)
def test_an_order_is_sent_as_given(command: str, run: Succeed, tenant: Tenant, simulator: Simulator) -> None:
    orders = {UPDATED: SUBJECT_ORDERS, DETECTED: DETECTION_ORDERS, CREATED: SIGN_IN_ORDERS}[ORDER_PROPERTIES[command]]
    filters = DEFAULT_FILTERS.get(command, {})
    found = [kept(run(typed(command, order_by=order, limit="7")), command) for order in orders]
    assert requested(simulator) == [
        (LIST_COLLECTIONS[command], {**filters, "$orderby": order, "$top": "7"}) for order in orders
    ]
    expected = [listed(tenant, command, order=order)[:7] for order in orders]
    assert [ids(rows) for rows in found] == [ids(rows) for rows in expected]


@pytest.mark.parametrize("command", LIST_COLLECTIONS)
@pytest.mark.parametrize("arguments", ["", 'risk_level="" risk_state="" limit="" page="" page_size="" next_token=""'])
def test_without_arguments_the_first_fifty_rows_come_newest_first_where_graph_can_order(
    command: str, arguments: str, run: Succeed, tenant: Tenant, simulator: Simulator
) -> None:
    done = run(f"!{command} {arguments}")
    query = {**DEFAULT_FILTERS.get(command, {}), **DEFAULT_ORDERS.get(command, {}), "$top": "50"}
    assert requested(simulator) == [(LIST_COLLECTIONS[command], query)]
    assert kept(done, command) == listed(tenant, command)[:50]


def test_a_single_value_of_old_still_means_what_it_meant(run: Succeed, tenant: Tenant) -> None:
    done = run(f"!{USERS} risk_level=high risk_state=atRisk")
    expected = [row for row in listed(tenant, USERS) if (row["riskLevel"], row["riskState"]) == ("high", "atRisk")]
    assert kept(done, USERS) == expected
    assert expected


@pytest.mark.parametrize(
    ("line", "path", "query"),
    [
        (
            f'!{USERS} risk_level=high updated_after="5 hours"',
            "riskyUsers",
            USER_DEFAULTS | {"$filter": f"riskLevel eq 'high' and {UPDATED} ge 2026-11-20T07:00:00Z"},
        ),
        (
            f'!{USERS} updated_after="1 days"',
            "riskyUsers",
            USER_DEFAULTS | {"$filter": f"{UPDATED} ge 2026-11-19T12:00:00Z"},
        ),
        (
            f'!{USERS} updated_after="1 day"',
            "riskyUsers",
            USER_DEFAULTS | {"$filter": f"{UPDATED} ge 2026-11-19T12:00:00Z"},
        ),
        (
            f"!{DETECTIONS} detected_date_time_after=2026-10-11T12:00:00.000Z",
            "riskDetections",
            DETECTION_DEFAULTS | {"$filter": f"{DETECTED} ge 2026-10-11T12:00:00.000Z"},
        ),
        (
            f"!{DETECTIONS} detected_date_time_after=2026-10-11T12:00:00.1234567Z",
            "riskDetections",
            DETECTION_DEFAULTS | {"$filter": f"{DETECTED} ge 2026-10-11T12:00:00.1234567Z"},
        ),
        (f"!{USERS}", "riskyUsers", USER_DEFAULTS),
        (f"!{DETECTIONS}", "riskDetections", DETECTION_DEFAULTS),
        ("!azure-risky-user-get id=333", "riskyUsers/333", {}),
        ("!azure-risky-users-risk-detection-get id=6565", "riskDetections/6565", {}),
    ],
)
def test_public_playbooks_calls_work_as_they_stand(
    line: str, path: str, query: Row, run: Succeed, simulator: Simulator
) -> None:
    run(line)
    assert requested(simulator) == [(path, query)]


def test_what_playbooks_read_stands_where_they_look(run: Succeed, war_room: WarRoom, tenant: Tenant) -> None:
    run(f"!{USERS} limit=2")
    run(f"!{DETECTIONS} limit=2")
    for command, name in ((USERS, "userPrincipalName"), (USERS, "riskState"), (DETECTIONS, "riskEventType")):
        path = f"AzureRiskyUsers.{CONTEXTS[command]}.{name}"
        assert war_room.context.read(path) == [row[name] for row in listed(tenant, command)[:2]]


def test_a_user_read_again_replaces_what_the_context_had_of_that_user(
    run: Succeed, war_room: WarRoom, tenant: Tenant
) -> None:
    run(f"!{USERS} user_id={ADELE_ID}")
    tenant.change_user(ADELE_ID, riskLevel="low")
    run(f"!azure-risky-user-get id={ADELE_ID}")
    assert war_room.context.read("AzureRiskyUsers.RiskyUser") == [tenant.users[ADELE_ID]]


# Which rows: limit, page, page_size

ROW_RANGES = [  # arguments, rows, $top, requests
    ("limit=1", (0, 1), 1, 1),
    ("limit=1200", (0, 1200), 400, 3),
    ("limit=500", (0, 500), 500, 1),
    ("limit=501", (0, 501), 251, 2),
    ("limit=999999", (0, 1250), 500, 3),
    ("limit=50 page=9", (400, 450), 450, 1),
    ("page=3", (100, 150), 150, 1),
    ("limit=7 page=2", (7, 14), 14, 1),
    ("limit=100 page=13", (1200, 1250), 434, 3),
    ("limit=100 page=14", (1250, 1250), 467, 3),
    ("limit=600 page=2", (600, 1200), 400, 3),
    ("page_size=500", (0, 500), 500, 1),
    ("page_size=20", (0, 20), 20, 1),
    ("page_size=20 limit=5", (0, 20), 20, 1),
    ("page_size=20 page=3", (40, 60), 60, 1),
    ("page_size=20 page=3 limit=7", (40, 60), 60, 1),
    ("page_size=500 page=2", (500, 1000), 500, 2),
    ("page_size=500 page=3", (1000, 1250), 500, 3),
    ("page_size=500 page=4", (1250, 1250), 500, 3),
]


@pytest.mark.parametrize("command", [USERS, DETECTIONS])
def test_a_range_of_rows_takes_the_fewest_requests(command: str, crowded: Simulator) -> None:
    rows, room = listed(crowded.tenant, command), demo_room(crowded)
    for arguments, row_range, top, requests in ROW_RANGES:
        crowded.requests.clear()
        done = room.run(f"!{command} {arguments}")
        assert (kept(done, command) or []) == rows[slice(*row_range)], arguments
        sent = [(path, query["$top"]) for path, query in requested(crowded)]
        assert (arguments, sent) == (arguments, [(LIST_COLLECTIONS[command], str(top))] * requests)
        is_cut = flags(only_entry(done))[f"{CONTEXTS[command]}ListTruncated"]
        assert (arguments, is_cut) == (arguments, row_range[1] < 1250)


def test_a_page_of_detections_far_out_is_reached() -> None:
    tenant = demo_tenant(NOW, users=40, detections=3000)
    with Simulator(tenant) as simulator:
        done = demo_room(simulator).run(f"!{DETECTIONS} limit=3 page=900")
        assert kept(done, DETECTIONS) == listed(tenant, DETECTIONS)[2697:2700]
        assert len(requested(simulator)) == 6
        assert shown(done).startswith(
            "### Risk Detections List\n3 risk detections; more match. Raise limit, or narrow the list, to see them.\n"
            "Current page size: 3\nShowing page 900 out others that may exist\n|Id|"
        )


def test_page_size_goes_up_to_five_hundred(run: Succeed, error: Fail, simulator: Simulator) -> None:
    run(f"!{USERS} page_size=500")
    assert [query["$top"] for _, query in requested(simulator)] == ["500"]
    assert error(f"!{USERS} page_size=501") == (
        f'Failed to execute {USERS}. page_size="501" cannot be used. Accepted: a whole number from 1 to 500.'
    )


@pytest.mark.parametrize("command", LIST_COLLECTIONS)
def test_a_list_cut_by_limit_says_so_and_a_whole_one_does_not(command: str, run: Succeed, tenant: Tenant) -> None:
    number, flag = len(listed(tenant, command)), f"{CONTEXTS[command]}ListTruncated"
    cut, whole = run(f"!{command} limit={number - 1}"), run(f"!{command} limit={number}")
    assert [flags(only_entry(done)) for done in (cut, whole)] == [{flag: True}, {flag: False}]
    assert [shown(done).splitlines()[1] for done in (cut, whole)] == [
        f"{number - 1} {LIST_NOUNS[command]}; more match. Raise limit, or narrow the list, to see them.",
        f"{number} {LIST_NOUNS[command]}",
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("limit=2 page=5", ["Current page size: 2", "Showing page 5 out others that may exist"]),
        ("limit=9 page_size=7 page=2", ["Current page size: 7", "Showing page 2 out others that may exist"]),
    ],
)
def test_a_later_page_of_detections_says_which_it_is(arguments: str, expected: list[str], run: Succeed) -> None:
    assert shown(run(f"!{DETECTIONS} {arguments}")).splitlines()[2:4] == expected


@pytest.mark.parametrize("arguments", ["limit=2", "limit=2 page=1", "page_size=2", "page_size=2 page=1"])
def test_the_first_page_which_the_platform_asks_for_unbidden_has_no_number(arguments: str, run: Succeed) -> None:
    title, count, headers = shown(run(f"!{DETECTIONS} {arguments}")).splitlines()[:3]
    assert (title, count[:29], headers[:4]) == ("### Risk Detections List", "2 risk detections; more match", "|Id|")


# next_token


@pytest.mark.parametrize("command", LIST_COLLECTIONS)
@pytest.mark.parametrize("size", [1, 7, 40, 60, 500])
def test_a_loop_over_next_token_sees_every_row_once_and_ends(
    command: str, size: int, run: Succeed, war_room: WarRoom, tenant: Tenant, simulator: Simulator
) -> None:
    rows, flag = listed(tenant, command), f"AzureRiskyUsers.{CONTEXTS[command]}ListNextToken"
    pages = [run(f"!{command} page_size={size}")]
    while war_room.context.read(flag):
        pages.append(run(f"!{command} next_token=${{{flag}}}"))
    assert [kept(page, command) for page in pages] == [rows[at : at + size] for at in range(0, len(rows), size)]
    assert war_room.context.read(flag) == ""
    assert len(requested(simulator)) == len(pages)
    truncated = [flags(only_entry(page))[f"{CONTEXTS[command]}ListTruncated"] for page in pages]
    assert truncated == [True] * (len(pages) - 1) + [False]
    assert war_room.context.read(f"AzureRiskyUsers.{CONTEXTS[command]}") == rows


def test_filter_and_order_travel_in_the_next_token(run: Succeed, war_room: WarRoom, tenant: Tenant) -> None:
    run(f"!{USERS} page_size=2 risk_state=atRisk order_by='{UPDATED} asc'")
    done = run(f"!{USERS} next_token=${{AzureRiskyUsers.RiskyUserListNextToken}}")
    assert kept(done, USERS) == listed(tenant, USERS, "riskState eq 'atRisk'", f"{UPDATED} asc")[2:4]
    assert war_room.context.read("AzureRiskyUsers.RiskyUserListNextToken").endswith("_4")


def test_a_next_token_is_sent_exactly_as_it_was_given(
    run: Succeed, war_room: WarRoom, tenant: Tenant, simulator: Simulator
) -> None:
    names = [row["userPrincipalName"] for row in tenant.users.values() if "'" in row["userPrincipalName"]][:2]
    run(typed(USERS, page_size="1", user_principal_name=",".join(names)))
    token = war_room.context.read("AzureRiskyUsers.RiskyUserListNextToken")
    assert "%27%27" in token
    run(typed(USERS, next_token=token))
    assert simulator.graph_requests[-1].target == token.removeprefix(GRAPH)


def test_a_list_of_thousands_shows_the_first_thousand_and_keeps_all(crowded: Simulator) -> None:
    rows = listed(crowded.tenant, USERS)
    room = demo_room(crowded)
    cut, whole = only_entry(room.run(f"!{USERS} limit=1001")), only_entry(room.run(f"!{USERS} limit=1000"))
    assert cut["Contents"]["value"] == cut["EntryContext"][keyed("RiskyUser")] == rows[:1001]
    title, count, note, headers, rule, *lines = cut["HumanReadable"].splitlines()
    assert (title, count, note) == (
        "### Risky Users List:",
        "1,001 risky users; more match. Raise limit, or narrow the list, to see them.",
        "The table shows the first 1,000 of 1,001 rows; context holds all.",
    )
    assert [line.split(" | ")[0] for line in lines] == [f"| {row['id']}" for row in rows[:1000]]
    assert whole["HumanReadable"].splitlines()[1:] == [
        count.replace("1,001", "1,000"),
        headers,
        rule,
        *lines,
    ]


def test_the_last_page_shows_no_token_and_pages_beside_a_token_are_not_numbered(
    run: Succeed, war_room: WarRoom
) -> None:
    run(f"!{DETECTIONS} page_size=40")
    last = shown(run(f"!{DETECTIONS} next_token=${{AzureRiskyUsers.RiskDetectionListNextToken}} page=1"))
    assert last.startswith("### Risk Detections List\n20 risk detections\n|Id|User Id|")
    assert "Token" not in last
    assert war_room.context.read("AzureRiskyUsers.RiskDetectionListNextToken") == ""


def test_a_list_by_limit_leaves_an_older_token_alone(run: Succeed, war_room: WarRoom) -> None:
    run(f"!{USERS} page_size=2")
    token = war_room.context.read("AzureRiskyUsers.RiskyUserListNextToken")
    run(f"!{USERS} limit=2")
    assert war_room.context.read("AzureRiskyUsers.RiskyUserListNextToken") == token != ""


# What a table shows of a time and of a place


@pytest.mark.parametrize(
    ("time", "cell"),
    [
        ("2026-11-20T11:47:03.1234567Z", "2026-11-20T11:47:03Z"),
        ("2026-11-20T11:47:03.9Z", "2026-11-20T11:47:03Z"),
        ("2026-11-20T11:47:03Z", "2026-11-20T11:47:03Z"),
        ("2026-11-20T11:47:03.5+02:00", "2026-11-20T11:47:03.5+02:00"),
        ("2026-11-20T11:47:03.12345678Z", "2026-11-20T11:47:03.12345678Z"),
        ("soon", "soon"),
        (5, "5"),
    ],
)
def test_a_table_shows_times_to_the_second_and_the_context_as_they_came(
    time: Any, cell: str, run: Succeed, simulator: Simulator
) -> None:
    row = {"id": "1", UPDATED: time}
    simulator.fail_next(200, body={"value": [row]})
    simulator.fail_next(200, body=row)
    listing, single = only_entry(run(f"!{USERS}")), only_entry(run("!azure-risky-user-get id=1"))
    for entry in (listing, single):
        assert entry["HumanReadable"].endswith(f"|Id|Risk Last Updated Date Time|\n|---|---|\n| 1 | {cell} |\n")
    assert listing["EntryContext"][keyed("RiskyUser")] == [single["EntryContext"][keyed("RiskyUser")]] == [row]


@pytest.mark.parametrize(
    ("location", "place"),
    [
        ({"city": "Lviv", "countryOrRegion": "UA", "state": "x"}, "Lviv, UA"),
        ({"city": "Lviv", "countryOrRegion": None}, "Lviv"),
        ({"city": "", "countryOrRegion": "UA"}, "UA"),
        ({"city": 5, "countryOrRegion": ["UA"]}, ""),
        (None, ""),
        ("Lviv", ""),
    ],
)
def test_a_list_of_detections_shows_city_and_country(
    location: Any, place: str, run: Succeed, simulator: Simulator
) -> None:
    simulator.fail_next(200, body={"value": [{"id": "1", "location": location}]})
    header, cell = ("|Place|", f" {place} |") if place else ("|", "")
    assert shown(run(f"!{DETECTIONS}")).splitlines()[-3::2] == [f"|Id{header}", f"| 1 |{cell}"]


# What is refused, before anything is sent

MOMENT_FORMS = (
    'ISO 8601 such as 2024-02-27T04:49:26.257525Z or 2024-02-27, "27 Feb 2024", seconds or milliseconds since 1970, '
    '"now", or a time ago such as "10 days", "2 hours", "24h"'
)
NUMBER, ANY_TEXT, OBJECT_ID = (
    "a whole number from 1 up",
    "a text that is not empty, of visible characters",
    "an object ID, such as a GUID",
)
UPDATED_ORDERS = f"{UPDATED} desc, {UPDATED} asc, {UPDATED}"
DETECTED_ORDERS = ", ".join(DETECTION_ORDERS)
TIME_ARGUMENTS = {
    USERS: ("updated_before", "updated_after"),
    PRINCIPALS: ("updated_before", "updated_after"),
    DETECTIONS: ("detected_date_time_before", "detected_date_time_after"),
    PRINCIPAL_DETECTIONS: ("detected_date_time_before", "detected_date_time_after"),
    SIGN_INS: ("created_before", "created_after"),
}
BAD_MOMENTS = (
    "days",
    "jan",
    "24:00",
    "-1 days",
    "1.5 days",
    "10 decades",
    "2024-02-27T25:00:00Z",
    "2024-02-27T04:49:26.1234567890Z",
    "999999 years",
    "2024-02-27Z",
    "2024-02-27, 2024-02-28",
    "0001-01-01T00:00:00+14:00",
)
BAD_NUMBERS = ("0", "-1", "1.0", "1e3", "ten", "0x10", "٣", "1,000", "9999999999")
BAD_TEXTS = {  # as typed: the value at fault
    ",": "",
    "a,,b": "",
    "a\nb": "a\nb",
    "x,a\tb": "a\tb",
    "\x00": "\x00",
    "a\u2028b": "a\u2028b",
}
BAD_SIZES = ("0", "501", "x", "-3", "1.5")
BAD_ADDRESSES = ("203.0.113", "203.0.113.7/24", "203.0.113.007", "example.com", "2001:db8::g", "fe80::1%eth0")
BAD_COUNTRIES = ("NLD", "Netherlands", "N", "N1", "Ñu")
BAD_LEVELS = ("hgih", "High.", "1", "unknownFutureValue", "low;high")
BAD_STATES = ("risk", "hidden", "at risk", "'")
BAD_UPDATED_ORDERS = ("id", f"{UPDATED} down", f"{UPDATED}  desc", f"{UPDATED[1:]} desc", f"{UPDATED} desc,id")
BAD_DETECTED_ORDERS = ("id", f"{UPDATED} desc", f"{DETECTED} desc&$top=1")
REFUSED = [
    *((command, name, BAD_MOMENTS, MOMENT_FORMS) for command in LIST_COLLECTIONS for name in TIME_ARGUMENTS[command]),
    *((command, name, BAD_NUMBERS, NUMBER) for command in LIST_COLLECTIONS for name in ("limit", "page")),
    *(
        (command, "page_size", BAD_SIZES, "a whole number from 1 to 500")
        for command in LIST_COLLECTIONS
        if command != SIGN_INS
    ),
    (SIGN_INS, "page_size", ("0", "1001", "x"), "a whole number from 1 to 1000"),
    (SIGN_INS, "ip_address", BAD_ADDRESSES, "IP addresses such as 203.0.113.7 or 2001:db8::7"),
    (SIGN_INS, "country", BAD_COUNTRIES, "codes of two letters, such as NL"),
    (SIGN_INS, "order_by", ("id", f"{CREATED} down", UPDATED), ", ".join(SIGN_IN_ORDERS)),
    *((command, "risk_level", BAD_LEVELS, LEVELS_ACCEPTED) for command in LIST_COLLECTIONS),
    *((command, "risk_state", BAD_STATES, STATES_ACCEPTED) for command in LIST_COLLECTIONS),
    *((command, "order_by", BAD_UPDATED_ORDERS, UPDATED_ORDERS) for command in (USERS, PRINCIPALS)),
    *((command, "order_by", BAD_DETECTED_ORDERS, DETECTED_ORDERS) for command in (DETECTIONS, PRINCIPAL_DETECTIONS)),
    (USERS, "is_deleted", ("yes", "T", "1"), "true, false"),
    *((command, "limit", BAD_NUMBERS, NUMBER) for command in ("azure-risky-user-history-list",)),
]


@pytest.mark.parametrize(("command", "name", "values", "accepted"), REFUSED)
def test_an_argument_that_cannot_be_read_is_refused_by_name_before_anything_is_sent(
    command: str, name: str, values: tuple[str, ...], accepted: str, error: Fail, simulator: Simulator
) -> None:
    owner = {"id": "333"} if command.endswith("history-list") else {}
    assert [error(typed(command, **{name: value}, **owner)) for value in values] == [
        f'Failed to execute {command}. {name}="{value}" cannot be used. Accepted: {accepted}.' for value in values
    ]
    assert simulator.requests == []


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (USERS, "user_principal_name"),
        (USERS, "user_display_name"),
        (DETECTIONS, "user_principal_name"),
        (DETECTIONS, "risk_event_type"),
        (PRINCIPALS, "display_name"),
        (PRINCIPAL_DETECTIONS, "risk_event_type"),
        (SIGN_INS, "user_principal_name"),
    ],
)
def test_empty_values_and_control_characters_in_a_text_are_refused(
    command: str, name: str, error: Fail, simulator: Simulator
) -> None:
    messages = [error(typed(command, **{name: value})) for value in BAD_TEXTS]
    assert messages == [
        f'Failed to execute {command}. {name}="{refused}" cannot be used. Accepted: {ANY_TEXT}.'
        for refused in BAD_TEXTS.values()
    ]
    assert simulator.requests == []


@pytest.mark.parametrize(
    ("command", "name"),
    [(USERS, "user_id"), (USERS, "risk_level"), (DETECTIONS, "risk_event_type"), (SIGN_INS, "user_id")],
)
def test_a_list_without_values_is_refused_and_does_not_mean_everybody(
    command: str, name: str, error: Fail, simulator: Simulator
) -> None:
    message = error(typed(command, **{name: "[]"}))
    assert message == f'Failed to execute {command}. {name}="[]" cannot be used. Accepted: at least one value.'
    assert simulator.requests == []


@pytest.mark.parametrize("command", LIST_COLLECTIONS)
@pytest.mark.parametrize(
    ("after", "before", "start", "end"),
    [
        ("2024-02-28", "2024-02-27", "2024-02-28T00:00:00Z", "2024-02-27T00:00:00Z"),
        ("2024-02-27", "2024-02-27T00:00:00.000Z", "2024-02-27T00:00:00Z", "2024-02-27T00:00:00.000Z"),
        ("2 hours", "3 hours", "2026-11-20T10:00:00Z", "2026-11-20T09:00:00Z"),
        ("2024-02-27T00:00:00.0000001Z", "2024-02-27", "2024-02-27T00:00:00.0000001Z", "2024-02-27T00:00:00Z"),
    ],
)
def test_moments_that_contradict_each_other_are_refused(
    command: str, after: str, before: str, start: str, end: str, error: Fail, simulator: Simulator
) -> None:
    end_name, start_name = TIME_ARGUMENTS[command]
    assert error(typed(command, **{start_name: after, end_name: before})) == (
        f'Failed to execute {command}. {start_name}="{start}" cannot be used. '
        f'Accepted: a moment before {end_name}="{end}".'
    )
    assert simulator.requests == []


FOREIGN_LINKS = (
    "2",
    f"{COLLECTIONS_URL}{{other}}?$top=1",
    "http://graph.microsoft.com{base}{own}?$top=1",
    "https://graph.microsoft.com.evil.example{base}{own}?$top=1",
    "https://evil.example{base}{own}?$top=1",
    "https://graph.microsoft.us{base}{own}?$top=1",
    "https://graph.microsoft.com@evil.example{base}{own}?$top=1",
    "https://graph.microsoft.com:444{base}{own}?$top=1",
    f"{GRAPH}{{base}}{{own}}/../{{other}}?$top=1",
    f"{GRAPH}{{base}}{{own}}/333?$top=1",
    "https://graph.microsoft.com/beta/identityProtection/{own}?$top=1",
    "//graph.microsoft.com{base}{own}?$top=1",
    "{own}?$top=1",
)


@pytest.mark.parametrize("command", LIST_COLLECTIONS)
def test_a_next_token_that_leads_elsewhere_is_refused(command: str, error: Fail, simulator: Simulator) -> None:
    own = LIST_COLLECTIONS[command]
    other = "riskDetections" if own == "riskyUsers" else "riskyUsers"
    tokens = [link.format(own=own, other=other, base=base_of(own)) for link in FOREIGN_LINKS]
    assert [error(typed(command, next_token=token)) for token in tokens] == [
        f'Failed to execute {command}. next_token="{token}" cannot be used. '
        f"Accepted: what an earlier call of this command gave, {GRAPH}{base_of(own)}{own}?...."
        for token in tokens
    ]
    assert simulator.requests == []


@pytest.mark.parametrize("token", [" ", 0, False, {}])
def test_a_next_token_that_is_no_link_never_lists_from_the_start_again(
    token: Any, war_room: WarRoom, simulator: Simulator
) -> None:
    (entry,) = war_room.call(USERS, {"next_token": token}).entries
    shown_token = str(token).strip()
    assert entry["Contents"] == (
        f'Failed to execute {USERS}. next_token="{shown_token}" cannot be used. '
        f"Accepted: what an earlier call of this command gave, {COLLECTIONS_URL}riskyUsers?...."
    )
    assert simulator.requests == []


def test_an_empty_page_that_a_next_token_leads_to_is_followed_to_the_rows_behind_it(
    run: Succeed, tenant: Tenant, simulator: Simulator
) -> None:
    first = only_entry(run(typed(USERS, page_size="2")))
    link = first["Contents"]["@odata.nextLink"]
    simulator.fail_next(200, body={"value": [], "@odata.nextLink": link})
    entry = only_entry(run(typed(USERS, next_token=f"{COLLECTIONS_URL}riskyUsers?$skiptoken=empty")))
    assert entry["Contents"]["value"] == listed(tenant, USERS)[2:4]


@pytest.mark.parametrize("page", ["2", "02", " 2 "])
def test_a_page_beside_a_next_token_is_refused(page: str, error: Fail, simulator: Simulator) -> None:
    message = error(typed(USERS, next_token=f"{COLLECTIONS_URL}riskyUsers?$skiptoken=1", page=page))
    assert message == (
        f'Failed to execute {USERS}. page="{page}" cannot be used. '
        "Accepted: no page beside next_token, which leads to a page itself."
    )
    assert simulator.requests == []


NOUNS = {
    "azure-risky-user-get": "risky user",
    "azure-risky-users-risk-detection-get": "risk detection",
    "azure-risky-service-principal-get": "risky service principal",
    "azure-risky-service-principal-detection-get": "service principal risk detection",
    "azure-risky-sign-in-get": "risky sign-in",
}
ABSENCES = {"azure-risky-sign-in-get": "The log holds interactive sign-ins of the last 30 days alone. "}


@pytest.mark.parametrize("command", [*GET_COLLECTIONS, *HISTORY_COLLECTIONS])
@pytest.mark.parametrize("value", [".", "..", "..."])
def test_an_id_that_no_path_can_hold_is_refused(command: str, value: str, error: Fail, simulator: Simulator) -> None:
    text = f'id="{value}" cannot be used. Accepted: {OBJECT_ID}.'
    assert error(typed(command, id=value)) == f"Failed to execute {command}. {text}"
    assert simulator.requests == []


@pytest.mark.parametrize("command", [command for command in GET_COLLECTIONS if command != "azure-risky-user-get"])
def test_a_blank_id_is_refused(command: str, error: Fail, simulator: Simulator) -> None:
    assert error(typed(command, id=" ")) == f'Failed to execute {command}. id="" cannot be used. Accepted: {OBJECT_ID}.'
    assert simulator.requests == []


@pytest.mark.parametrize("command", ["azure-risky-user-get", "azure-risky-user-history-list"])
@pytest.mark.parametrize(("arguments", "value"), [({}, ""), ({"id": ""}, ""), ({"id": "1", "user": "a@b"}, "1, a@b")])
def test_a_user_is_named_in_exactly_one_way(
    command: str, arguments: dict[str, str], value: str, error: Fail, simulator: Simulator
) -> None:
    assert error(typed(command, **arguments)) == (
        f'Failed to execute {command}. id / user="{value}" cannot be used. Accepted: exactly one of them.'
    )
    assert simulator.requests == []


@pytest.mark.parametrize("command", ["azure-risky-user-get", "azure-risky-user-history-list"])
@pytest.mark.parametrize("argument", ["id", "user"])
def test_a_blank_name_or_id_is_refused(command: str, argument: str, error: Fail, simulator: Simulator) -> None:
    assert f'{argument}="' in error(typed(command, **{argument: "  "}))
    assert simulator.requests == []


# Many values


def test_more_values_than_a_filter_takes_are_split_over_requests(
    run: Succeed, tenant: Tenant, simulator: Simulator
) -> None:
    names = [row["userPrincipalName"] for row in tenant.users.values()]
    assert len(names) == 40
    done = run(typed(USERS, user_principal_name=",".join(names)))
    assert [query["$filter"].count(" eq ") for _, query in requested(simulator)] == [15, 15, 10]
    assert {query["$top"] for _, query in requested(simulator)} == {"50"}
    assert kept(done, USERS) == listed(tenant, USERS)
    assert flags(only_entry(done)) == {"RiskyUserListTruncated": False}


@pytest.mark.parametrize(("number", "requests"), [(15, 1), (16, 2), (30, 2), (31, 3)])
def test_a_filter_takes_fifteen_values(
    number: int, requests: int, run: Succeed, tenant: Tenant, simulator: Simulator
) -> None:
    ids = list(tenant.users)[:number]
    done = run(typed(USERS, user_id=",".join(ids)))
    assert len(requested(simulator)) == requests
    assert [row["id"] for row in kept(done, USERS)] == [row["id"] for row in listed(tenant, USERS) if row["id"] in ids]


@pytest.mark.parametrize(
    ("arguments", "direction", "rows", "top"),
    [
        ("limit=5", "desc", (0, 5), "5"),
        ("limit=5 page=3", "desc", (10, 15), "15"),
        (f"limit=7 order_by='{UPDATED} asc'", "asc", (0, 7), "7"),
        ("limit=40", "desc", (0, 40), "40"),
        ("limit=39", "desc", (0, 39), "39"),
    ],
)
def test_limit_and_order_hold_over_split_requests(
    arguments: str, direction: str, rows: tuple[int, int], top: str, run: Succeed, tenant: Tenant, simulator: Simulator
) -> None:
    done = run(f"{typed(USERS, user_id=','.join(tenant.users))} {arguments}")
    assert kept(done, USERS) == listed(tenant, USERS, order=f"{UPDATED} {direction}")[slice(*rows)]
    assert {query["$top"] for _, query in requested(simulator)} == {top}
    assert flags(only_entry(done)) == {"RiskyUserListTruncated": rows[1] < 40}


def test_the_other_filters_count_against_what_fits_beside_them(
    run: Succeed, tenant: Tenant, simulator: Simulator
) -> None:
    ids = list(tenant.users)[:16]
    done = run(typed(USERS, user_id=",".join(ids), risk_level="low,medium,high", updated_after="1 year"))
    counts = [len(re.findall(" (?:eq|ge) ", query["$filter"])) for _, query in requested(simulator)]
    assert counts == [15, 9]
    after = f"{UPDATED} ge 2025-11-20T12:00:00Z"
    chosen = listed(tenant, USERS, f"(riskLevel eq 'low' or riskLevel eq 'medium' or riskLevel eq 'high') and {after}")
    assert kept(done, USERS) == [row for row in chosen if row["id"] in ids]


def test_two_long_lists_at_once_are_refused(error: Fail, simulator: Simulator) -> None:
    many = ",".join(map(str, range(15)))
    message = error(typed(DETECTIONS, user_id=many, risk_event_type=many))
    assert message.startswith(f'Failed to execute {DETECTIONS}. user_id="0,1,2')
    assert message.endswith("cannot be used. Accepted: at most 14 values in the other arguments, which now have 15.")
    assert simulator.requests == []


def test_pages_of_more_values_than_a_filter_takes_are_refused(error: Fail, simulator: Simulator) -> None:
    message = error(typed(USERS, user_id=",".join(map(str, range(16))), page_size="5"))
    assert message == (
        f'Failed to execute {USERS}. page_size="5" cannot be used. '
        "Accepted: nothing beside more than 15 values to match."
    )
    assert simulator.requests == []


def test_a_split_request_that_fails_leaves_the_rows_of_those_before(
    no_waiting: list[float], run: Succeed, tenant: Tenant, simulator: Simulator
) -> None:
    simulator.fail_next(403, after=1)
    first, warning = run(typed(USERS, user_id=",".join(tenant.users))).entries
    ids = list(tenant.users)[:15]
    assert first["EntryContext"] == {
        FLAGS: {"RiskyUserListTruncated": True},
        keyed("RiskyUser"): [row for row in listed(tenant, USERS) if row["id"] in ids],
    }
    assert warning["Type"] == aru.EntryType.WARNING
    assert warning["HumanReadable"].startswith(
        "The list is incomplete: only 15 rows could be read. Graph answered 403 Forbidden: "
    )
    assert no_waiting == []


# One user


def test_a_user_is_found_by_name(run: Succeed, tenant: Tenant, simulator: Simulator) -> None:
    user = next(row for row in tenant.users.values() if "'" in row["userPrincipalName"])
    name = user["userPrincipalName"]
    entry = only_entry(run(typed("azure-risky-user-get", user=name)))
    condition = "userPrincipalName eq '" + name.replace("'", "''") + "'"
    assert requested(simulator) == [("riskyUsers", {"$filter": condition, "$top": "500"})]
    assert entry["EntryContext"] == {keyed("RiskyUser"): user}
    assert entry["Contents"] == user
    assert entry["HumanReadable"].startswith(f"### Found Risky User With Name: {name}\n|Id|User Display Name|")


def test_two_users_of_one_name_are_both_shown(run: Succeed, tenant: Tenant) -> None:
    old = tenant.add_user(id="old", userPrincipalName="twin@contoso.example", isDeleted=True)
    new = tenant.add_user(id="new", userPrincipalName="twin@contoso.example")
    entry = only_entry(run("!azure-risky-user-get user=twin@contoso.example"))
    assert entry["EntryContext"] == {keyed("RiskyUser"): [old, new]}


ADELES = {  # how Adele Vance is named, and the filter that asks for her
    "adele.vance@contoso.example": "userPrincipalName eq 'adele.vance@contoso.example'",
    "Adele.VANCE@contoso.example": (
        "(userPrincipalName eq 'Adele.VANCE@contoso.example' or userPrincipalName eq 'adele.vance@contoso.example')"
    ),
    " Adele Vance ": "(userDisplayName eq 'Adele Vance' or userDisplayName eq 'adele vance')",
}


@pytest.mark.parametrize("name", ADELES)
def test_one_request_finds_a_user_by_name_as_it_is_written_and_in_lower_case(
    name: str, run: Succeed, tenant: Tenant, simulator: Simulator
) -> None:
    entry = only_entry(run(typed("azure-risky-user-get", user=name)))
    assert requested(simulator) == [("riskyUsers", {"$filter": ADELES[name], "$top": "500"})]
    assert entry["EntryContext"] == {keyed("RiskyUser"): tenant.users[ADELE_ID]}
    assert entry["HumanReadable"].startswith(f"### Found Risky User With Name: {name.strip()}\n|Id|User Display Name|")
    history = only_entry(run(typed("azure-risky-user-history-list", user=name)))
    assert history["Contents"] == {"value": tenant.history[ADELE_ID]}
    assert requested(simulator)[1:] == [
        ("riskyUsers", {"$filter": ADELES[name], "$top": "500"}),
        (f"riskyUsers/{ADELE_ID}/history", {}),
    ]


@pytest.mark.parametrize("name", ["Vance, Adele", "Zoë O'Neil-Strauß (Contoso)", "李小龙", "adele"])
def test_a_display_name_is_sent_as_one_literal(name: str, run: Succeed, tenant: Tenant, simulator: Simulator) -> None:
    user = tenant.add_user(userDisplayName=name)
    done = run(typed("azure-risky-user-get", user=name))
    literals = [f"userDisplayName eq '{each}'" for each in dict.fromkeys([name, name.lower()])]
    condition = " or ".join(literals).replace("O'N", "O''N").replace("o'n", "o''n")
    assert requested(simulator) == [
        ("riskyUsers", {"$filter": f"({condition})" if len(literals) > 1 else condition, "$top": "500"})
    ]
    assert only_entry(done)["Contents"] == user


@pytest.mark.parametrize("command", ["azure-risky-user-get", "azure-risky-user-history-list"])
def test_a_display_name_that_several_have_is_refused_with_each_of_them(
    command: str, error: Fail, tenant: Tenant, simulator: Simulator
) -> None:
    for row_id, name, is_deleted in (("id1", "a@x.example", True), ("id2", "b@x.example", False), ("id3", None, None)):
        tenant.add_user(id=row_id, userPrincipalName=name, userDisplayName="Twin", isDeleted=is_deleted)
    assert error(f"!{command} user=Twin") == (
        f'Failed to execute {command}. user="Twin" cannot be used. Accepted: an ID, since 3 risky users have that '
        "name: id1 (a@x.example, deleted); id2 (b@x.example, not deleted); id3 (None, not known whether deleted)."
    )
    assert len(requested(simulator)) == 1


def no_risk(name: str, property_name: str) -> str:
    return (
        f'Graph knows no risk for "{name}": no risky user has exactly this {property_name}, as it is written here or '
        "in lower case. A look-up by object ID does not depend on the spelling."
    )


NEWEST = ("riskyUsers", {"$orderby": f"{UPDATED} desc", "$top": "500"})


@pytest.mark.parametrize("command", ["azure-risky-user-get", "azure-risky-user-history-list"])
@pytest.mark.parametrize(
    ("name", "property_name"),
    [("nobody@contoso.example", "userPrincipalName"), ("Xerxes Quux", "userDisplayName")],
)
def test_a_name_without_risk_is_an_answer(
    command: str, name: str, property_name: str, run: Succeed, war_room: WarRoom, simulator: Simulator
) -> None:
    entry = only_entry(run(typed(command, user=name)))
    assert entry["HumanReadable"] == no_risk(name, property_name)
    assert entry["Contents"] == []
    assert war_room.context.data == {}
    assert requested(simulator)[1:] == [NEWEST]


@pytest.mark.parametrize(
    ("name", "property_name"),
    [
        ("adele.vanse@contoso.example", "userPrincipalName"),
        ("adele.vance@contoso.com", "userPrincipalName"),
        ("vance_adele@contoso.example", "userPrincipalName"),
        ("Vance, Adele", "userDisplayName"),
        ("ADELE VANCE", "userDisplayName"),
        ("Adelle Vance", "userDisplayName"),
        ("Vance", "userDisplayName"),
    ],
)
def test_a_misspelled_name_is_answered_with_the_nearest(
    name: str, property_name: str, run: Succeed, tenant: Tenant, simulator: Simulator
) -> None:
    entry = only_entry(run(typed("azure-risky-user-get", user=name)))
    assert requested(simulator)[1:] == [NEWEST]
    assert entry["HumanReadable"] == no_risk(name, property_name) + (
        f" The nearest names among the {len(tenant.users)} risky users updated last: "
        "Adele Vance (adele.vance@contoso.example)."
    )


def test_an_answer_does_not_wait_long_for_the_nearest_names(
    run: Succeed, simulator: Simulator, no_waiting: list[float]
) -> None:
    simulator.fail_next(429, times=999, after=1)
    assert shown(run("!azure-risky-user-get user='Adle Vance'")).endswith(" does not depend on the spelling.")
    assert sum(no_waiting) < 20


def test_the_nearest_names_are_three_at_most_the_nearest_first() -> None:
    names = ["Anna Bergman", "Anna Bergmann", None, "Hanna Bergmann", "Zoe Ziegler", "Anna Berg", "Anna Bergmann"]
    rows = [{"userDisplayName": name, "userPrincipalName": f"u{at}@x.example"} for at, name in enumerate(names)]
    assert aru.nearest_names("anna bergmann", rows) == [
        "Anna Bergmann (u1@x.example)",
        "Anna Bergmann (u6@x.example)",
        "Hanna Bergmann (u3@x.example)",
    ]
    assert aru.nearest_names("U2@y.example", rows)[0] == "u2@x.example"
    assert aru.nearest_names("!!", rows) == aru.nearest_names("anna", []) == []


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("fault", [{"status": 403}, {"status": 200, "body": {"value": 5}}, {"drop": True}])
def test_a_suggestion_that_fails_leaves_the_answer(fault: dict[str, Any], run: Succeed, simulator: Simulator) -> None:
    simulator.fail_next(after=1, times=9, **fault)
    entry = only_entry(run("!azure-risky-user-get user='ADELE VANCE'"))
    assert entry["HumanReadable"] == no_risk("ADELE VANCE", "userDisplayName")
    assert entry["Contents"] == []


def test_a_display_name_that_graph_compares_loosely_is_not_taken_for_another(error: Fail, simulator: Simulator) -> None:
    simulator.fail_next(200, body={"value": [{"id": "1", "userDisplayName": "Adele Vance (old)"}]})
    assert error("!azure-risky-user-get user='Adele Vance'") == (
        "Failed to execute azure-risky-user-get. Graph answered with another risky user than was asked for: its "
        "userDisplayName is none of those that were named. The answer is not used."
    )


@pytest.mark.parametrize("command", GET_COLLECTIONS)
def test_an_unknown_id_is_an_error_that_names_it(command: str, error: Fail, simulator: Simulator) -> None:
    message = error(f"!{command} id=4711")
    assert requested(simulator) == [(f"{GET_COLLECTIONS[command]}/4711", {})]
    assert message == (
        f'Failed to execute {command}. There is no {NOUNS[command]} with the ID "4711". {ABSENCES.get(command, "")}'
        f"Graph answered 404 ResourceNotFound: Resource '4711' does not exist. (request-id {request_id(simulator)})"
    )


# History


def test_a_users_history_is_shown_and_kept(run: Succeed, tenant: Tenant, simulator: Simulator) -> None:
    entry = only_entry(run(f"!azure-risky-user-history-list id={ADELE_ID}"))
    assert requested(simulator) == [(f"riskyUsers/{ADELE_ID}/history", {})]
    rows = tenant.history[ADELE_ID]
    times = [to_the_second(row[UPDATED]) for row in rows]
    key = f"val.userId && val.userId == obj.userId && val.{UPDATED} && val.{UPDATED} == obj.{UPDATED}"
    assert entry["EntryContext"] == {
        FLAGS: {"RiskyUserHistoryListTruncated": False},
        f"AzureRiskyUsers.RiskyUserHistory({key})": rows,
    }
    assert entry["Contents"] == {"value": rows}
    assert entry["HumanReadable"] == (
        "### Risky User History\n"
        "3 history items\n"
        "|Risk Last Updated Date Time|Risk Level|Risk State|Risk Detail|Risk Event Types|Initiated By|\n"
        "|---|---|---|---|---|---|\n"
        f"| {times[0]} | high | atRisk | none | Leaked credentials | the system |\n"
        f"| {times[1]} | medium | atRisk | none | Anonymous IP address | the system |\n"
        f"| {times[2]} | low | atRisk | none | Unfamiliar sign-in properties | the system |\n"
    )


def test_a_history_is_found_by_name_and_names_who_changed_it(
    run: Succeed, tenant: Tenant, simulator: Simulator
) -> None:
    tenant.change_user(ADELE_ID, initiated_by="actor", riskState="dismissed", riskDetail="adminDismissedAllRiskForUser")
    done = run("!azure-risky-user-history-list user=adele.vance@contoso.example limit=1")
    condition = {"$filter": "userPrincipalName eq 'adele.vance@contoso.example'", "$top": "500"}
    assert requested(simulator) == [("riskyUsers", condition), (f"riskyUsers/{ADELE_ID}/history", {})]
    assert shown(done) == (
        "### Risky User History\n"
        "1 history item; more match. Raise limit, or narrow the list, to see them.\n"
        "|Risk Last Updated Date Time|Risk Level|Risk State|Risk Detail|Initiated By|\n"
        "|---|---|---|---|---|\n"
        f"| {to_the_second(tenant.users[ADELE_ID][UPDATED])} | high | dismissed | Admin dismissed all risk for user "
        "| actor |\n"
    )
    assert flags(only_entry(done)) == {"RiskyUserHistoryListTruncated": True}


@pytest.mark.parametrize("row_id", [None, "", 5, "../x"])
def test_a_row_without_an_id_has_no_history(row_id: Any, error: Fail, simulator: Simulator) -> None:
    row = {"id": row_id, "userPrincipalName": "adele.vance@contoso.example"}
    simulator.fail_next(200, body={"value": [row]})
    assert error("!azure-risky-user-history-list user=adele.vance@contoso.example") == (
        "Failed to execute azure-risky-user-history-list. Graph answered with an object that has no id. "
        "The answer is not used."
    )


def test_the_history_of_an_ambiguous_name_is_refused(error: Fail, tenant: Tenant, simulator: Simulator) -> None:
    name = "twin@contoso.example"
    ids = [tenant.add_user(userPrincipalName=name, isDeleted=False)["id"] for _ in range(2)]
    assert error(f"!azure-risky-user-history-list user={name}") == (
        f'Failed to execute azure-risky-user-history-list. user="{name}" cannot be used. Accepted: an ID, since 2 '
        f"risky users have that name: {ids[0]} ({name}, not deleted); {ids[1]} ({name}, not deleted)."
    )
    assert len(requested(simulator)) == 1


OWNERS = {
    "azure-risky-user-history-list": "risky user",
    "azure-risky-service-principal-history-list": "risky service principal",
}


@pytest.mark.parametrize("command", OWNERS)
def test_the_history_of_an_unknown_id_is_an_error_that_says_who_is_unknown(
    command: str, error: Fail, simulator: Simulator
) -> None:
    message = error(f"!{command} id=4711")
    assert requested(simulator) == [(f"{HISTORY_COLLECTIONS[command]}/4711/history", {})]
    assert message == (
        f'Failed to execute {command}. There is no {OWNERS[command]} with the ID "4711". '
        f"Graph answered 404 ResourceNotFound: Resource '4711' does not exist. (request-id {request_id(simulator)})"
    )


@pytest.mark.parametrize(("limit", "rows", "requests"), [("", 50, 3), (" limit=20", 20, 1), (" limit=100", 63, 4)])
def test_a_long_history_is_followed_up_to_limit(
    limit: str, rows: int, requests: int, run: Succeed, tenant: Tenant, simulator: Simulator
) -> None:
    for number in range(60):
        tenant.change_user(ADELE_ID, riskLastUpdatedDateTime=f"2026-11-20T11:{number:02d}:00Z")
    entry = only_entry(run(f"!azure-risky-user-history-list id={ADELE_ID}{limit}"))
    assert entry["Contents"]["value"] == tenant.history[ADELE_ID][:rows]
    assert len(requested(simulator)) == requests
    assert flags(entry) == {"RiskyUserHistoryListTruncated": rows < 63}


def test_reading_a_history_twice_keeps_each_item_once(run: Succeed, war_room: WarRoom, tenant: Tenant) -> None:
    for _ in range(2):
        run(f"!azure-risky-user-history-list id={ADELE_ID}")
    assert war_room.context.read("AzureRiskyUsers.RiskyUserHistory") == tenant.history[ADELE_ID]


# Service principals


def test_service_principals_are_shown_as_a_list(run: Succeed, tenant: Tenant) -> None:
    row = listed(tenant, PRINCIPALS)[0]
    words = aru.DETAIL_WORDS.get(row["riskDetail"], row["riskDetail"])
    enabled = str(row["isEnabled"]).lower()
    assert shown(run(f"!{PRINCIPALS} limit=1")) == (
        "### Risky Service Principals List\n"
        "1 risky service principal; more match. Raise limit, or narrow the list, to see them.\n"
        "|Id|Display Name|App Id|Service Principal Type|Is Enabled|Risk Level|Risk State|Risk Detail"
        "|Risk Last Updated Date Time|\n"
        "|---|---|---|---|---|---|---|---|---|\n"
        f"| {row['id']} | {row['displayName']} | {row['appId']} | Application | {enabled} | {row['riskLevel']} "
        f"| {row['riskState']} | {words} | {to_the_second(row[UPDATED])} |\n"
    )


@pytest.mark.parametrize(
    ("command", "title"),
    [
        ("azure-risky-service-principal-get", "### Found Risky Service Principal with ID: {}\n|Id|Display Name|"),
        (
            "azure-risky-service-principal-detection-get",
            "### Found Service Principal Risk Detection with ID: {}\n|Id|Service Principal Id|",
        ),
    ],
)
def test_one_object_of_a_workload_is_shown_and_kept(
    command: str, title: str, run: Succeed, tenant: Tenant, simulator: Simulator
) -> None:
    row = next(iter(tenant.store(GET_COLLECTIONS[command]).values()))
    entry = only_entry(run(f"!{command} id={row['id']}"))
    extra = {"additionalDetails": details(row)} if "additionalInfo" in row else {}
    context = "ServicePrincipalRiskDetection" if extra else "RiskyServicePrincipal"
    assert requested(simulator) == [(f"{GET_COLLECTIONS[command]}/{row['id']}", {})]
    assert entry["EntryContext"] == {keyed(context): row | extra}
    assert entry["HumanReadable"].startswith(title.format(row["id"]))


def test_a_service_principals_history_says_whose_it_is(run: Succeed, tenant: Tenant, simulator: Simulator) -> None:
    row_id, items = next(iter(tenant.service_principal_history.items()))
    entry = only_entry(run(f"!azure-risky-service-principal-history-list id={row_id}"))
    assert requested(simulator) == [(f"riskyServicePrincipals/{row_id}/history", {})]
    keys = ("servicePrincipalId", UPDATED)
    key = " && ".join(f"val.{name} && val.{name} == obj.{name}" for name in keys)
    assert entry["EntryContext"] == {
        FLAGS: {"RiskyServicePrincipalHistoryListTruncated": False},
        f"AzureRiskyUsers.RiskyServicePrincipalHistory({key})": [
            item | {"servicePrincipalId": row_id} for item in items
        ],
    }
    assert entry["HumanReadable"].startswith(
        f"### Risky Service Principal History\n{len(items)} history items\n|Risk Last Updated Date Time|"
    )


def test_one_user_among_five_thousand_and_the_detections_of_that_user_take_two_requests() -> None:
    with Simulator(demo_tenant(NOW, users=5000, detections=60)) as simulator:
        room = demo_room(simulator)
        room.run("!azure-risky-user-get user=adele.vance@contoso.example")
        done = room.run(f"!{DETECTIONS} user_principal_name=adele.vance@contoso.example")
        assert {row["userId"] for row in kept(done, DETECTIONS)} == {ADELE_ID}
        assert [path for path, _ in requested(simulator)] == ["riskyUsers", "riskDetections"]


def test_a_gateways_404_does_not_say_that_there_is_no_such_user(error: Fail, simulator: Simulator) -> None:
    simulator.fail_next(404, body="<html>Not here</html>")
    assert error(f"!azure-risky-user-get id={ADELE_ID}").startswith(
        "Failed to execute azure-risky-user-get. Graph was not reached: what answered (404, "
    )
