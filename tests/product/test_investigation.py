"""One command tells the whole case of a user: who, why, since when, from where, what now."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest

import AzureRiskyUsers as aru  # noqa: N813 - the module bears the name of the integration
from helpers import NOW, Fail, Row, Succeed, contents, demo_room, only_entry, shown, text_of, typed
from warroom.azure.cases import ADELE_ID, MIA_ID, RAVI_ID
from warroom.azure.rows import stamp
from warroom.azure.server import Simulator
from warroom.azure.tenant import CLIENT_ID, Tenant
from warroom.xsoar.integration import PROJECT
from warroom.xsoar.runner import WarRoom

CARDS = PROJECT / "test_data/cards"
INVESTIGATE = "azure-risky-user-investigate"
ACCOUNT_ID = "00000000-0000-4000-8000-0000000d1001"  # without any risk
NOBODY = "00000000-0000-4000-8000-00000000dead"
OTHER_ID = "00000000-0000-4000-8000-0000000ca5e1"
HOME, ABROAD = "192.0.2.77", "203.0.113.77"


def line(user: str, **arguments: str) -> str:
    return typed(INVESTIGATE, user=user, **arguments)


def card(name: str) -> str:
    """A card as an analyst has to see it."""
    return text_of(CARDS / f"{name}.md").rstrip("\n")


def seen(run: Succeed, user: str, **arguments: str) -> str:
    return shown(run(line(user, **arguments))).rstrip("\n")


def investigation(run: Succeed, user: str, **arguments: str) -> Row:
    """What the investigation puts into context of itself."""
    entry = only_entry(run(line(user, **arguments)))
    context: Row = entry["EntryContext"][aru.INVESTIGATION]
    return context


def hours_ago(hours: float) -> str:
    return stamp(NOW - timedelta(hours=hours))


def requests_of(simulator: Simulator) -> list[tuple[str, Row]]:
    """Path and query of each request to Graph."""
    return [(request.path.removeprefix("/v1.0/"), request.query) for request in simulator.graph_requests]


# The whole card


def test_leaked_credentials_and_a_foreign_sign_in_are_shown_as_a_compromise(run: Succeed) -> None:
    assert seen(run, ADELE_ID) == card("leaked_credentials")


def test_a_new_device_in_a_known_network_with_mfa_is_shown_as_a_false_alarm(run: Succeed) -> None:
    assert seen(run, RAVI_ID) == card("false_alarm")


def test_a_risk_that_a_new_password_settled_asks_for_no_verdict(run: Succeed) -> None:
    assert seen(run, MIA_ID) == card("settled")


def test_an_account_without_a_record_of_risk_is_shown_with_its_sign_ins(run: Succeed) -> None:
    assert seen(run, ACCOUNT_ID) == card("without_risk")


def test_with_the_licence_p1_the_card_says_what_it_hides(run: Succeed, tenant: Tenant) -> None:
    tenant.licence = "P1"
    assert seen(run, ADELE_ID) == card("licence_p1")


def test_without_the_permission_for_sign_ins_the_rest_stands(run: Succeed, tenant: Tenant) -> None:
    tenant.apps[CLIENT_ID].application_permissions.discard("AuditLog.Read.All")
    assert seen(run, ADELE_ID) == card("without_sign_ins")


def test_of_600_detections_the_newest_500_are_read_and_the_card_says_so(run: Succeed, tenant: Tenant) -> None:
    tenant.add_user(id=OTHER_ID, userDisplayName="Kai Berg", userPrincipalName="kai.berg@contoso.example")
    for number in range(600):
        tenant.arrive(
            userId=OTHER_ID,
            riskEventType="unlikelyTravel",
            riskLevel="low",
            detected=hours_ago(1 + number),
            activityDateTime=hours_ago(1 + number),
        )
    assert seen(run, OTHER_ID) == card("600_detections")


# What is asked for

USER_FILTER = {"$filter": f"userId eq '{ADELE_ID}'", "$orderby": "detectedDateTime desc", "$top": "500"}
SIGN_IN_FILTER = {
    "$filter": f"userId eq '{ADELE_ID}' and createdDateTime ge 2026-10-21T12:00:00Z",
    "$orderby": "createdDateTime desc",
    "$top": "1000",
}
REST = [
    (f"identityProtection/riskyUsers/{ADELE_ID}/history", {}),
    ("identityProtection/riskDetections", USER_FILTER),
    ("auditLogs/signIns", SIGN_IN_FILTER),
]


def test_an_id_takes_four_requests(run: Succeed, simulator: Simulator) -> None:
    run(line(ADELE_ID))
    assert requests_of(simulator) == [(f"identityProtection/riskyUsers/{ADELE_ID}", {}), *REST]


@pytest.mark.parametrize(
    ("user", "clause"),
    [
        ("adele.vance@contoso.example", "userPrincipalName eq 'adele.vance@contoso.example'"),
        (
            "Adele.Vance@contoso.example",
            "(userPrincipalName eq 'Adele.Vance@contoso.example' or "
            "userPrincipalName eq 'adele.vance@contoso.example')",
        ),
        ("Adele Vance", "(userDisplayName eq 'Adele Vance' or userDisplayName eq 'adele vance')"),
    ],
)
def test_a_name_takes_four_requests(user: str, clause: str, run: Succeed, simulator: Simulator) -> None:
    run(line(user))
    named = {"$filter": clause, "$top": "500"}
    assert requests_of(simulator) == [("identityProtection/riskyUsers", named), *REST]


def test_days_say_how_far_back_sign_ins_are_read(run: Succeed, simulator: Simulator) -> None:
    run(line(ADELE_ID, days="7"))
    query = requests_of(simulator)[-1][1]
    assert query["$filter"] == f"userId eq '{ADELE_ID}' and createdDateTime ge 2026-11-13T12:00:00Z"


def test_without_sign_ins_three_requests_are_enough(run: Succeed, simulator: Simulator) -> None:
    found = investigation(run, ADELE_ID, sign_ins="false")
    assert requests_of(simulator) == [(f"identityProtection/riskyUsers/{ADELE_ID}", {}), *REST[:2]]
    assert (found["signInCount"], found["notLookedAt"]) == (0, ["Sign-ins: not asked for"])


@pytest.mark.parametrize(
    ("user", "directory_clause"),
    [
        (ACCOUNT_ID, f"id eq '{ACCOUNT_ID}'"),
        ("user.1001@contoso.example", "userPrincipalName eq 'user.1001@contoso.example'"),
        ("User.1001", "displayName eq 'User.1001'"),
    ],
)
def test_an_account_without_risk_takes_four_requests_too(
    user: str, directory_clause: str, run: Succeed, simulator: Simulator
) -> None:
    run(line(user))
    directory = {"$filter": directory_clause, "$top": "500", "$select": "id,userPrincipalName,displayName"}
    asked = requests_of(simulator)
    paths = [path for path, _ in asked]
    assert paths[1:] == ["users", "identityProtection/riskDetections", "auditLogs/signIns"]
    del directory["$top"]
    assert asked[1] == ("users", directory)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"days": "0"}, 'days="0" cannot be used. Accepted: a whole number from 1 to 90.'),
        ({"days": "91"}, 'days="91" cannot be used. Accepted: a whole number from 1 to 90.'),
        ({"days": "3 days"}, 'days="3 days" cannot be used. Accepted: a whole number from 1 to 90.'),
        ({"sign_ins": "maybe"}, 'sign_ins="maybe" cannot be used. Accepted: true, false.'),
        ({"user": "a,b"}, f'user="a,b" cannot be used. Accepted: {aru.ONE_USER}.'),
        ({"user": "333"}, f'user="333" cannot be used. Accepted: {aru.ONE_USER}.'),
    ],
)
def test_what_cannot_be_read_is_refused_before_anything_is_sent(
    arguments: dict[str, str], problem: str, error: Fail, simulator: Simulator
) -> None:
    text = error(typed(INVESTIGATE, **{"user": ADELE_ID, **arguments}))
    assert text == f"Failed to execute {INVESTIGATE}. {problem}"
    assert not simulator.graph_requests


# Who is meant


def test_a_name_of_nobody_is_an_error_that_offers_the_nearest(error: Fail, simulator: Simulator) -> None:
    text = error(line("Adele Vanse"))
    assert text == (
        f'Failed to execute {INVESTIGATE}. Graph knows no risk for "Adele Vanse": no risky user has exactly this '
        "userDisplayName, as it is written here or in lower case. A look-up by object ID does not depend on the "
        "spelling. The nearest names among the 40 risky users updated last: "
        "Adele Vance (adele.vance@contoso.example). No account of the directory has it either."
    )
    assert len(simulator.graph_requests) == 3


MIXED = {"userDisplayName": "Kai Berg", "userPrincipalName": "Kai.Berg@contoso.example"}


@pytest.mark.parametrize("name", ["kai.berg@contoso.example", "kai berg", "KAI BERG"])
def test_a_risky_user_is_found_whatever_the_case_of_the_name(
    name: str, run: Succeed, tenant: Tenant, simulator: Simulator
) -> None:
    tenant.add_user(id=OTHER_ID, **MIXED)
    tenant.directory[OTHER_ID] = tenant.users[OTHER_ID]
    found = investigation(run, name)
    assert (found["userId"], found["riskState"], found["notLookedAt"]) == (OTHER_ID, "atRisk", [])
    assert [path for path, _ in requests_of(simulator)] == [
        "identityProtection/riskyUsers",
        "users",
        f"identityProtection/riskyUsers/{OTHER_ID}",
        f"identityProtection/riskyUsers/{OTHER_ID}/history",
        "identityProtection/riskDetections",
        "auditLogs/signIns",
    ]


def test_an_account_without_risk_is_found_whatever_the_case_of_the_name(run: Succeed, tenant: Tenant) -> None:
    tenant.add_user(id=OTHER_ID, **MIXED)
    tenant.directory[OTHER_ID] = tenant.users.pop(OTHER_ID)
    text = seen(run, "kai.berg@contoso.example")
    assert "Entra ID Protection has no record of risk for this account." in text


def test_an_id_of_nobody_is_an_error(error: Fail, simulator: Simulator) -> None:
    assert error(line(NOBODY)) == (
        f"Failed to execute {INVESTIGATE}. No risky user and no account of the directory has the ID {NOBODY}."
    )
    assert len(simulator.graph_requests) == 2


def test_a_display_name_of_several_lists_them(error: Fail, tenant: Tenant, simulator: Simulator) -> None:
    for number in (1, 2):
        name = f"kai.berg{number}@contoso.example"
        user_id = f"00000000-0000-4000-8000-0000000ca5e{number}"
        tenant.add_user(id=user_id, userDisplayName="Kai Berg", userPrincipalName=name, isDeleted=number == 2)
    assert error(line("Kai Berg")) == (
        f'Failed to execute {INVESTIGATE}. user="Kai Berg" cannot be used. Accepted: an ID, since 2 risky users have '
        "that name: 00000000-0000-4000-8000-0000000ca5e1 (kai.berg1@contoso.example, not deleted); "
        "00000000-0000-4000-8000-0000000ca5e2 (kai.berg2@contoso.example, deleted)."
    )
    assert len(simulator.graph_requests) == 1


# What goes to context


def test_the_whole_case_goes_to_context(run: Succeed) -> None:
    entry = only_entry(run(line(ADELE_ID)))
    expected = json.loads(text_of(CARDS / "leaked_credentials.json"))
    assert entry["EntryContext"] == expected
    assert entry["Contents"] == expected[aru.INVESTIGATION]


def test_only_addresses_of_detections_are_handed_to_what_may_block_them(run: Succeed) -> None:
    context = only_entry(run(line(ADELE_ID)))["EntryContext"]
    assert [each["Address"] for each in context[aru.IP]] == ["203.0.113.2", "203.0.113.1"]
    assert [each["address"] for each in context[aru.INVESTIGATION]["ipAddresses"]] == [
        "203.0.113.2",
        "203.0.113.1",
        "192.0.2.14",
    ]


def test_an_account_without_risk_is_an_account_of_the_platform_too(run: Succeed) -> None:
    context = only_entry(run(line(ACCOUNT_ID)))["EntryContext"]
    assert set(context) == {aru.INVESTIGATION, aru.ACCOUNT}
    assert context[aru.ACCOUNT] == {
        "ID": ACCOUNT_ID,
        "Type": "Entra ID",
        "Username": "user.1001@contoso.example",
        "DisplayName": "user.1001",
        "RiskLevel": None,
    }


def test_the_addresses_that_a_user_is_known_by_are_not_handed_to_what_may_block_them(run: Succeed) -> None:
    context = only_entry(run(line(RAVI_ID)))["EntryContext"]
    assert [each["address"] for each in context[aru.INVESTIGATION]["ipAddresses"]] == ["192.0.2.27"]
    assert aru.IP not in context


def test_a_level_of_risk_does_not_outlast_the_risk(war_room: WarRoom, tenant: Tenant) -> None:
    war_room.run(line(ADELE_ID))
    assert war_room.context.read("Account.RiskLevel") == "HIGH"
    tenant.change_user(ADELE_ID, riskState="dismissed", riskLevel="none")
    war_room.run(line(ADELE_ID))
    assert war_room.context.read("Account.RiskLevel") is None


def test_two_investigations_of_one_user_are_one_in_context(war_room: WarRoom) -> None:
    for _ in range(2):
        war_room.run(line(ADELE_ID))
    assert war_room.context.read("AzureRiskyUsers.Investigation.userId") == ADELE_ID
    assert war_room.context.read("Account.ID") == ADELE_ID


# What cannot be had


@pytest.mark.parametrize(
    ("after", "unread"),
    [(1, "History"), (2, "Detections"), (3, "Sign-ins")],
)
def test_a_part_that_fails_is_named_and_the_rest_stands(
    after: int, unread: str, run: Succeed, simulator: Simulator
) -> None:
    simulator.fail_next(status=400, after=after)
    found = investigation(run, ADELE_ID)
    assert found["notLookedAt"] == [f"{unread}: Bad request."]
    counts = {"History": (3, 23), "Detections": (0, 23), "Sign-ins": (3, 0)}
    assert (found["detectionCount"], found["signInCount"]) == counts[unread]


def test_where_not_even_the_user_can_be_asked_for_it_is_an_error(error: Fail, simulator: Simulator) -> None:
    simulator.fail_next(status=400)
    assert error(line(ADELE_ID)).startswith(f"Failed to execute {INVESTIGATE}. Graph answered 400 ")
    assert len(simulator.graph_requests) == 1


def test_rows_of_somebody_else_are_not_used(run: Succeed, simulator: Simulator) -> None:
    stranger = {"id": "1", "userId": MIA_ID, "riskState": "atRisk"}
    simulator.fail_next(status=200, after=2, body={"value": [stranger]})
    found = investigation(run, ADELE_ID)
    assert found["detectionCount"] == 0
    assert found["notLookedAt"] == [
        "Detections: Graph answered with another risk detection than was asked for: its userId is none of those "
        "that were named. The answer is not used."
    ]


def test_what_is_no_time_left_for_is_named(run: Succeed, simulator: Simulator, no_waiting: list[float]) -> None:
    simulator.tenant.before_request(1, lambda: no_waiting.append(aru.PAGING_PERIOD + 1))
    found = investigation(run, ADELE_ID)
    stopped = "Reading on was stopped after 240 seconds, before the platform would."
    assert found["notLookedAt"] == [f"{part}: {stopped}" for part in ("History", "Detections", "Sign-ins")]
    assert len(simulator.graph_requests) == 1


def test_an_id_can_be_investigated_without_risky_users_and_directory(run: Succeed, tenant: Tenant) -> None:
    permissions = tenant.apps[CLIENT_ID].application_permissions
    permissions -= {"IdentityRiskyUser.Read.All", "User.ReadBasic.All"}
    found = investigation(run, ADELE_ID)
    consent = "with admin consent. Once it is granted, run !azure-risky-users-auth-reset, which drops the stored token."
    needed = "Permission missing: the application needs the application permission"
    assert found["notLookedAt"] == [
        f"Risk of the user: {needed} IdentityRiskyUser.Read.All, {consent}",
        f"Directory: {needed} User.ReadBasic.All, {consent}",
    ]
    assert (found["userId"], found["riskLevel"], found["suggestion"]) == (ADELE_ID, None, "confirmCompromised")


def test_where_nothing_can_be_read_no_all_clear_is_given(run: Succeed, tenant: Tenant) -> None:
    permissions = tenant.apps[CLIENT_ID].application_permissions
    permissions -= {"IdentityRiskyUser.Read.All", "IdentityRiskEvent.Read.All", "AuditLog.Read.All"}
    found = investigation(run, ADELE_ID)
    assert found["suggestion"] == "lookCloser"
    assert "look closer: not all of the risk could be read." in seen(run, ADELE_ID)


@pytest.mark.parametrize("permission", ["IdentityRiskyUser.Read.All", "IdentityRiskEvent.Read.All"])
def test_of_a_settled_risk_that_is_read_in_part_no_all_clear_is_given(
    permission: str, run: Succeed, tenant: Tenant
) -> None:
    tenant.apps[CLIENT_ID].application_permissions.discard(permission)
    assert investigation(run, MIA_ID)["suggestion"] == "lookCloser"


@pytest.mark.parametrize(
    ("state", "name"), [({"riskState": "suspended"}, "suspended"), ({"riskState": None}, "None"), ({}, "None")]
)
def test_a_state_that_is_not_known_is_no_all_clear(state: Row, name: str, run: Succeed, simulator: Simulator) -> None:
    row = {"id": MIA_ID, "riskLevel": "high", "riskDetail": "none", **state}
    simulator.fail_next(status=200, body={**row, "riskLastUpdatedDateTime": hours_ago(2)})
    text = seen(run, MIA_ID)
    assert f"Risk high, in an unknown state ({name}) since 2026-11-20T10:00:00Z (2 h ago)." in text
    assert "**Suggestion:** look closer: the facts are few or weak." in text


# What is suggested, and why


class Story:
    """What happens to one user, in hours before now."""

    def __init__(self, tenant: Tenant):
        self.tenant = tenant

    def user(self, **fields: Any) -> None:
        names = {"userDisplayName": "Kai Berg", "userPrincipalName": "kai.berg@contoso.example"}
        self.tenant.add_user(id=OTHER_ID, **names, **fields)

    def usual(self, number: int, address: str = HOME) -> None:
        """So many sign-ins from home, the newest nine days ago."""
        for each in range(number):
            self.sign_in(216 + 10 * each, address)

    def sign_in(self, hours: float, address: str = HOME, code: int = 0, **fields: Any) -> str:
        status = {"errorCode": code, "failureReason": "Other.", "additionalDetails": None, **fields.pop("status", {})}
        row = self.tenant.add_sign_in(
            userId=OTHER_ID, createdDateTime=hours_ago(hours), ipAddress=address, status=status, **fields
        )
        return str(row["id"])

    def detection(self, event: str, hours: float, **fields: Any) -> None:
        time = hours_ago(hours)
        known = {"riskLevel": "medium", "detectionTimingType": "realtime", "activityDateTime": time, **fields}
        self.tenant.arrive(userId=OTHER_ID, riskEventType=event, detected=time, **known)

    def risky(self, event: str, hours: float, address: str = ABROAD, code: int = 0, **fields: Any) -> None:
        """A sign-in with a detection."""
        risk = {"riskState": "atRisk", "riskLevelAggregated": "medium", "riskEventTypes_v2": [event]}
        item_id = self.sign_in(hours, address, code, **risk, **fields)
        self.detection(event, hours, requestId=item_id, ipAddress=address)


@pytest.fixture
def story(tenant: Tenant) -> Story:
    story = Story(tenant)
    story.user(riskLevel="medium")
    return story


def facts(run: Succeed) -> set[tuple[str, str, int]]:
    """The facts found, without those that only inform."""
    reasons = investigation(run, OTHER_ID)["reasons"]
    return {(each["text"], each["direction"], each["weight"]) for each in reasons if each["weight"]}


UNFAMILIAR = ("Unfamiliar sign-in properties, detected in real time", "compromised", 5)
KNOWN = ("The same IP address signed in 6 times a week or more before", "safe", 20)
MANAGED = ("The device is managed and compliant", "safe", 20)
MFA = ("MFA was passed", "safe", 20)
PASSED: dict[str, Any] = {"status": {"additionalDetails": "MFA completed in Azure AD"}}
OWN_DEVICE: dict[str, Any] = {
    "deviceDetail": {
        "deviceId": "d1",
        "displayName": "LT-1",
        "operatingSystem": "Windows10",
        "browser": "Edge 124.0.0",
        "isCompliant": True,
        "isManaged": True,
        "trustType": "Azure AD joined",
    }
}


def test_a_known_address_a_managed_device_and_mfa_speak_for_a_false_alarm(run: Succeed, story: Story) -> None:
    story.usual(6)
    story.risky("unfamiliarFeatures", 1, HOME, **PASSED, **OWN_DEVICE)
    assert facts(run) == {UNFAMILIAR, KNOWN, MANAGED, MFA}
    assert investigation(run, OTHER_ID)["suggestion"] == "confirmSafe"


def test_one_fact_against_a_compromise_is_not_enough(run: Succeed, story: Story) -> None:
    story.usual(6)
    story.risky("unfamiliarFeatures", 1, HOME)
    assert facts(run) == {UNFAMILIAR, KNOWN}
    assert investigation(run, OTHER_ID)["suggestion"] == "lookCloser"


def test_what_holds_for_one_risky_sign_in_alone_speaks_against_nothing(run: Succeed, story: Story) -> None:
    story.usual(6)
    story.risky("unfamiliarFeatures", 1, HOME, **PASSED, **OWN_DEVICE)
    story.risky("unfamiliarFeatures", 2, ABROAD)
    assert facts(run) == {("Unfamiliar sign-in properties, 2 times, detected in real time", "compromised", 5)}
    assert investigation(run, OTHER_ID)["suggestion"] == "lookCloser"


def test_what_holds_for_each_risky_sign_in_speaks_against_a_compromise(run: Succeed, story: Story) -> None:
    story.usual(6)
    for hours in (1, 2):
        story.risky("unfamiliarFeatures", hours, HOME, **PASSED, **OWN_DEVICE)
    twice = ("Unfamiliar sign-in properties, 2 times, detected in real time", "compromised", 5)
    assert facts(run) == {twice, KNOWN, MANAGED, MFA}
    assert investigation(run, OTHER_ID)["suggestion"] == "confirmSafe"


@pytest.mark.parametrize("sign_in", [NOBODY, None])
def test_a_detection_whose_sign_in_is_not_seen_is_no_false_alarm(
    sign_in: str | None, run: Succeed, story: Story
) -> None:
    story.usual(6)
    story.risky("unfamiliarFeatures", 1, HOME, **PASSED, **OWN_DEVICE)
    story.detection("unfamiliarFeatures", 2, requestId=sign_in, ipAddress=ABROAD)
    assert investigation(run, OTHER_ID)["suggestion"] == "lookCloser"


@pytest.mark.parametrize("after", [1, 2])
def test_without_history_or_detections_nothing_is_a_false_alarm(
    after: int, run: Succeed, story: Story, simulator: Simulator
) -> None:
    story.usual(6)
    story.risky("unfamiliarFeatures", 1, HOME, **PASSED, **OWN_DEVICE)
    simulator.fail_next(status=400, after=after)
    assert investigation(run, OTHER_ID)["suggestion"] == "lookCloser"


@pytest.mark.parametrize("level", ["high", "hidden"])
def test_what_graph_rates_high_or_hides_is_no_false_alarm(level: str, run: Succeed, story: Story) -> None:
    story.usual(6)
    story.risky("unfamiliarFeatures", 1, HOME, **PASSED, **OWN_DEVICE)
    story.tenant.change_user(OTHER_ID, riskLevel=level)
    assert investigation(run, OTHER_ID)["suggestion"] == "lookCloser"


def test_a_risk_without_any_open_detection_is_no_false_alarm(run: Succeed, story: Story) -> None:
    story.usual(6)
    story.sign_in(1, HOME, riskState="atRisk", **PASSED, **OWN_DEVICE)
    assert facts(run) == {KNOWN, MANAGED, MFA}
    assert investigation(run, OTHER_ID)["suggestion"] == "lookCloser"


def test_what_an_attacker_did_before_the_first_detection_makes_no_address_known(run: Succeed, story: Story) -> None:
    for hours in range(2, 160, 20):
        story.sign_in(hours, ABROAD)
    story.risky("unfamiliarFeatures", 1, ABROAD)
    assert facts(run) == {UNFAMILIAR}


def test_later_sign_ins_do_not_make_an_address_known(run: Succeed, story: Story) -> None:
    story.usual(6)
    story.risky("unfamiliarFeatures", 2000, HOME)
    assert facts(run) == {UNFAMILIAR}


def met_by(*controls: str) -> list[Row]:
    """Policies of Conditional Access, of which one demanded controls and was met."""
    policy = {"id": NOBODY, "displayName": "MFA for all", "enforcedSessionControls": []}
    return [{**policy, "enforcedGrantControls": list(controls), "result": "success"}]


@pytest.mark.parametrize(
    "details",
    [
        "MFA requirement satisfied by claim in the token",
        "MFA requirement skipped due to remembered device",
        "MFA requirement skipped due to location",
    ],
)
def test_mfa_by_a_claim_in_the_token_or_skipped_is_no_proof(details: str, run: Succeed, story: Story) -> None:
    story.tenant.apps[CLIENT_ID].application_permissions.add("Policy.Read.All")
    status = {"additionalDetails": details}
    story.risky("unfamiliarFeatures", 1, status=status, appliedConditionalAccessPolicies=met_by("Mfa"))
    assert facts(run) == {UNFAMILIAR}


@pytest.mark.parametrize(("controls", "found"), [(["Mfa"], {MFA}), (["Mfa", "CompliantDevice"], set())])
def test_a_policy_proves_mfa_where_it_demanded_nothing_else(
    controls: list[str], found: set[tuple[str, str, int]], run: Succeed, story: Story
) -> None:
    story.tenant.apps[CLIENT_ID].application_permissions.add("Policy.Read.All")
    story.risky("unfamiliarFeatures", 1, appliedConditionalAccessPolicies=met_by(*controls))
    assert facts(run) == {UNFAMILIAR} | found


@pytest.mark.parametrize("event", ["anomalousToken", "AttackerInTheMiddle", "authenticatorPhishing", "nationStateIP"])
def test_mfa_proves_nothing_where_a_token_may_be_stolen_or_a_person_tricked(
    event: str, run: Succeed, story: Story
) -> None:
    story.risky(event, 1, **PASSED)
    assert MFA not in facts(run)
    assert ("A risky sign-in succeeded", "neither", 0) in {
        (each["text"], each["direction"], each["weight"]) for each in investigation(run, OTHER_ID)["reasons"]
    }


def test_what_the_licence_hides_is_never_taken_for_a_false_alarm(run: Succeed, story: Story) -> None:
    story.usual(6)
    story.risky("generic", 1, HOME, **PASSED, **OWN_DEVICE)
    assert investigation(run, OTHER_ID)["suggestion"] == "lookCloser"


def test_a_detection_that_is_not_known_here_is_never_taken_for_a_false_alarm(run: Succeed, story: Story) -> None:
    story.usual(6)
    story.risky("somethingNew", 1, HOME, **PASSED, **OWN_DEVICE)
    assert investigation(run, OTHER_ID)["suggestion"] == "lookCloser"


@pytest.mark.parametrize("event", ["leakedCredentials", "nationStateIP", "attackerinTheMiddle", "attemptedPrtAccess"])
def test_a_very_strong_detection_is_enough(event: str, run: Succeed, story: Story) -> None:
    story.detection(event, 1)
    assert investigation(run, OTHER_ID)["suggestion"] == "confirmCompromised"


@pytest.mark.parametrize(
    ("code", "suggestion"), [(0, "confirmCompromised"), (53003, "lookCloser"), (50126, "lookCloser")]
)
def test_a_strong_detection_is_enough_where_somebody_got_in(
    code: int, suggestion: str, run: Succeed, story: Story
) -> None:
    story.risky("passwordSpray", 1, code=code)
    assert investigation(run, OTHER_ID)["suggestion"] == suggestion


def test_a_strong_detection_that_several_facts_speak_against_needs_a_closer_look(run: Succeed, story: Story) -> None:
    story.usual(6)
    story.risky("passwordSpray", 1, HOME, **PASSED, **OWN_DEVICE)
    found = investigation(run, OTHER_ID)
    assert found["suggestion"] == "lookCloser"
    assert "look closer: the facts disagree." in seen(run, OTHER_ID)


def test_refused_requests_for_mfa_before_one_that_was_granted_are_strong(run: Succeed, story: Story) -> None:
    for minutes in (5, 10, 15):
        story.sign_in(1 + minutes / 60, ABROAD, 500121)
    story.risky("unfamiliarFeatures", 1)
    fatigue = ("3 requests for MFA failed before one was granted", "compromised", 50)
    assert facts(run) == {UNFAMILIAR, fatigue}
    assert investigation(run, OTHER_ID)["suggestion"] == "confirmCompromised"


def settle(story: Story, hours: float, state: str = "remediated") -> None:
    """All risk of the user was settled, so many hours ago."""
    story.tenant.change_user(OTHER_ID, riskLastUpdatedDateTime=hours_ago(hours), riskState=state, riskLevel="none")


@pytest.mark.parametrize(
    ("state", "hours", "suggestion"),
    [("none", 1, "lookCloser"), ("remediated", 9, "lookCloser"), ("dismissed", 1, "none")],
)
def test_requests_for_mfa_count_without_risk_unless_it_was_settled_since(
    state: str, hours: float, suggestion: str, run: Succeed, story: Story
) -> None:
    settle(story, hours, state)
    for minutes in (5, 10, 15):
        story.sign_in(2 + minutes / 60, ABROAD, 500121)
    story.sign_in(2, ABROAD)
    assert investigation(run, OTHER_ID)["suggestion"] == suggestion


def test_a_sign_in_at_risk_is_no_all_clear(run: Succeed, story: Story) -> None:
    settle(story, 5)
    story.sign_in(1, ABROAD, riskState="atRisk")
    assert investigation(run, OTHER_ID)["suggestion"] == "lookCloser"


def test_codes_mistyped_at_home_say_nothing(run: Succeed, story: Story) -> None:
    story.usual(6)
    for minutes in (5, 10, 15):
        story.sign_in(100 + minutes / 60, HOME, 500121)
    story.sign_in(100, HOME)
    story.risky("unfamiliarFeatures", 1)
    assert facts(run) == {UNFAMILIAR}


@pytest.mark.parametrize(("address", "hours"), [(HOME, 1), (ABROAD, 3)])
def test_refused_requests_from_elsewhere_or_long_before_say_nothing(
    address: str, hours: float, run: Succeed, story: Story
) -> None:
    for minutes in (5, 10, 15):
        story.sign_in(hours + minutes / 60, address, 500121)
    story.risky("unfamiliarFeatures", 1)
    assert facts(run) == {UNFAMILIAR}


def test_a_further_step_of_a_risky_attempt_is_who_got_in(run: Succeed, story: Story) -> None:
    story.risky("passwordSpray", 1, code=50074, correlationId=NOBODY)
    story.sign_in(0.9, ABROAD, correlationId=NOBODY)
    found = investigation(run, OTHER_ID)
    assert found["suggestion"] == "confirmCompromised"
    assert "A risky sign-in succeeded" in {each["text"] for each in found["reasons"]}
    steps = [(each["text"], each["outcome"]) for each in found["timeline"] if each["kind"] == "signIn"]
    assert steps == [
        ("Further step of a risky sign-in", "Succeeded (0); no Conditional Access applied"),
        ("Password spray", "Interrupted (50074): MFA needed and not passed; no Conditional Access applied"),
    ]


def test_a_sign_in_at_risk_is_not_said_to_be_without_risk(run: Succeed, story: Story) -> None:
    item_id = story.sign_in(1, ABROAD, riskState="atRisk")
    outcome = "Succeeded (0); no Conditional Access applied"
    sign_ins = [each for each in events(run, OTHER_ID) if each[0] == "signIn"]
    assert sign_ins == [("signIn", "Risky sign-in", outcome, item_id)]


def test_what_only_a_sign_in_names_counts(run: Succeed, story: Story, simulator: Simulator) -> None:
    story.usual(6)
    story.risky("nationStateIP", 1, HOME, **PASSED, **OWN_DEVICE)
    simulator.fail_next(status=400, after=2)
    assert ("Verified threat actor IP", "compromised", 100) in facts(run)
    simulator.fail_next(status=400, after=2)
    assert investigation(run, OTHER_ID)["suggestion"] == "confirmCompromised"


def test_a_protocol_without_mfa_counts(run: Succeed, story: Story) -> None:
    story.risky("unfamiliarFeatures", 1, clientAppUsed="IMAP4")
    legacy = ("A risky sign-in succeeded by a protocol without MFA", "compromised", 20)
    assert facts(run) == {UNFAMILIAR, legacy}


def place(country: str) -> Row:
    coordinates = {"latitude": 1.5, "longitude": 2.5, "altitude": None}
    return {"city": "X", "state": "X", "countryOrRegion": country, "geoCoordinates": coordinates}


def test_a_country_without_usual_sign_ins_counts_only_where_there_are_enough_of_those(
    run: Succeed, story: Story
) -> None:
    story.risky("unfamiliarFeatures", 1, location=place("PE"))
    for each in range(4):
        story.sign_in(100 + each, location=place("NL"))
    assert facts(run) == {UNFAMILIAR}
    story.sign_in(99, location=place("NL"))
    foreign = ("A risky sign-in succeeded from PE, a country of no usual sign-in", "compromised", 20)
    assert facts(run) == {UNFAMILIAR, foreign}


@pytest.mark.parametrize(("hours", "together"), [(24, True), (24.01, False)])
def test_different_detections_within_a_day_count_as_one_attack(
    hours: float, together: bool, run: Succeed, story: Story
) -> None:
    story.detection("newCountry", 1)
    story.detection("unlikelyTravel", 1 + hours)
    compound = ("Atypical travel and New country within 24 hours of each other", "compromised", 20)
    assert (compound in facts(run)) == together


def test_two_detections_that_bear_one_title_are_not_of_different_types(run: Succeed, story: Story) -> None:
    story.detection("impossibleTravel", 1)
    story.detection("mcasImpossibleTravel", 2)
    assert {weight for _, _, weight in facts(run)} == {5}


def test_one_sign_in_found_risky_at_once_and_later_counts(run: Succeed, story: Story) -> None:
    story.risky("unfamiliarFeatures", 1)
    (item_id,) = (row["id"] for row in story.tenant.sign_ins.values() if row["userId"] == OTHER_ID)
    story.detection("unfamiliarFeatures", 1, requestId=item_id, detectionTimingType="offline")
    found = facts(run)
    assert ("One sign-in was found risky at once and again later", "compromised", 20) in found


def test_several_unfamiliar_properties_count(run: Succeed, story: Story) -> None:
    reasons = ["UnfamiliarASN", "UnfamiliarIP", "UnfamiliarDevice"]
    info = json.dumps([{"Key": "riskReasons", "Value": reasons}])
    story.detection("unfamiliarFeatures", 1, additionalInfo=info)
    assert facts(run) == {UNFAMILIAR, ("3 or more properties of the sign-in were unfamiliar", "compromised", 10)}


def test_settled_detections_do_not_count(run: Succeed, story: Story) -> None:
    story.detection("leakedCredentials", 1, riskState="remediated", riskLevel="none")
    assert facts(run) == set()
    assert investigation(run, OTHER_ID)["suggestion"] == "lookCloser"


@pytest.mark.parametrize(("hours", "suggestion"), [(1, "dismiss"), (3, "confirmCompromised")])
def test_a_remedy_since_the_newest_detection_leads_to_dismissal(
    hours: float, suggestion: str, run: Succeed, story: Story
) -> None:
    story.detection("leakedCredentials", 2)
    story.tenant.change_user(
        OTHER_ID, riskLastUpdatedDateTime=hours_ago(hours), riskDetail="userPerformedSecuredPasswordChange"
    )
    found = investigation(run, OTHER_ID)
    assert found["suggestion"] == suggestion


def test_a_remedy_does_not_lead_to_dismissal_where_somebody_had_got_in(run: Succeed, story: Story) -> None:
    story.risky("leakedCredentials", 2)
    story.tenant.change_user(
        OTHER_ID, riskLastUpdatedDateTime=hours_ago(1), riskDetail="userPerformedSecuredPasswordChange"
    )
    assert investigation(run, OTHER_ID)["suggestion"] == "lookCloser"


REMEDIED_ONLY = "look closer: it was remedied, but somebody had got in, or may have."


def remedy(story: Story, hours: float) -> None:
    """The user set a new password, so many hours ago."""
    detail = "userPerformedSecuredPasswordChange"
    story.tenant.change_user(OTHER_ID, riskLastUpdatedDateTime=hours_ago(hours), riskDetail=detail)


def test_a_remedy_does_not_lead_to_dismissal_where_a_sign_in_is_not_in_the_log(run: Succeed, story: Story) -> None:
    story.detection("passwordSpray", 2, requestId=NOBODY)
    remedy(story, 1)
    unlogged = "A risky sign-in may have succeeded: not in the log that was read"
    text = seen(run, OTHER_ID)
    assert f"**Suggestion:** {REMEDIED_ONLY}" in text
    assert f"- {unlogged}, 2026-11-20T10:00:00Z (2 h ago): for information" in text


def test_a_remedy_does_not_lead_to_dismissal_where_the_log_was_not_read(run: Succeed, story: Story) -> None:
    story.detection("leakedCredentials", 2)
    remedy(story, 1)
    assert investigation(run, OTHER_ID, sign_ins="false")["suggestion"] == "lookCloser"


def test_a_remedy_between_an_activity_and_its_detection_remedies_nothing(run: Succeed, story: Story) -> None:
    story.detection("leakedCredentials", 2, activityDateTime=hours_ago(30))
    remedy(story, 20)
    assert investigation(run, OTHER_ID)["suggestion"] == "confirmCompromised"


def test_what_was_detected_at_no_known_time_is_not_remedied(run: Succeed, simulator: Simulator, story: Story) -> None:
    remedy(story, 1)
    row = {"id": "1", "userId": OTHER_ID, "riskState": "atRisk", "riskEventType": "leakedCredentials"}
    simulator.fail_next(status=200, after=2, body={"value": [row]})
    assert investigation(run, OTHER_ID)["suggestion"] == "confirmCompromised"


def test_that_no_sign_in_succeeded_is_said_of_the_log_alone(run: Succeed, story: Story) -> None:
    story.risky("passwordSpray", 1, code=53003)
    for number in (1, 2):
        story.detection("unlikelyTravel", 40, requestId=f"{NOBODY[:-1]}{number}")
    reasons = investigation(run, OTHER_ID)["reasons"]
    assert [each["text"] for each in reasons if not each["weight"]] == [
        "No risky sign-in of the log succeeded",
        "2 risky sign-ins may have succeeded: not in the log that was read",
    ]


@pytest.mark.parametrize(("remedied", "suggestion"), [(False, "none"), (True, "dismiss")])
def test_a_confirmed_compromise_is_dismissed_once_it_is_remedied(
    remedied: bool, suggestion: str, run: Succeed, story: Story
) -> None:
    story.risky("adminConfirmedUserCompromised", 2)
    state = {"riskState": "confirmedCompromised", "riskDetail": "adminConfirmedUserCompromised"}
    story.tenant.change_user(OTHER_ID, riskLastUpdatedDateTime=hours_ago(2), **state)
    if remedied:
        remedy = {**state, "riskDetail": "adminGeneratedTemporaryPassword"}
        story.tenant.change_user(OTHER_ID, riskLastUpdatedDateTime=hours_ago(1), **remedy)
    assert investigation(run, OTHER_ID)["suggestion"] == suggestion


def test_of_a_deleted_account_no_verdict_is_suggested_or_offered(run: Succeed, story: Story) -> None:
    story.detection("leakedCredentials", 1)
    story.tenant.change_user(OTHER_ID, isDeleted=True)
    text = seen(run, OTHER_ID)
    assert "**Suggestion:** no verdict: the account is deleted, and Entra ID Protection accepts none for it." in text
    assert "The account is deleted." in text
    assert "### Next" not in text


def test_the_name_of_a_deleted_user_may_be_that_of_another_by_now(run: Succeed, story: Story) -> None:
    story.tenant.change_user(OTHER_ID, isDeleted=True)
    assert investigation(run, "Kai Berg")["notLookedAt"] == ["Directory: whether a newer account has the same name"]
    assert investigation(run, OTHER_ID)["notLookedAt"] == []


# What happened, and what to do


def events(run: Succeed, user: str) -> list[tuple[str, str, str, str]]:
    """Kind, text, outcome and id of each event."""
    timeline = investigation(run, user)["timeline"]
    return [(each["kind"], each["text"], each["outcome"], each["id"]) for each in timeline]


def test_a_sign_in_that_is_not_in_the_log_is_said_to_be_missing_there(run: Succeed, story: Story) -> None:
    story.detection("unfamiliarFeatures", 1, requestId=NOBODY)
    outcome = "not in the log of interactive sign-ins"
    assert ("signIn", "Unfamiliar sign-in properties", outcome, NOBODY) in events(run, OTHER_ID)


def test_a_log_that_was_read_in_part_is_not_said_to_lack_an_older_sign_in(run: Succeed, story: Story) -> None:
    story.detection("unfamiliarFeatures", 200, requestId=NOBODY)
    timeline = investigation(run, OTHER_ID, days="7")["timeline"]
    assert [each["outcome"] for each in timeline if each["id"] == NOBODY] == [
        "before the part of the log that was read"
    ]


def test_a_log_that_was_not_read_is_not_said_to_lack_a_sign_in(run: Succeed, story: Story, tenant: Tenant) -> None:
    tenant.apps[CLIENT_ID].application_permissions.discard("AuditLog.Read.All")
    story.detection("unfamiliarFeatures", 1, requestId=NOBODY)
    assert ("signIn", "Unfamiliar sign-in properties", "", NOBODY) in events(run, OTHER_ID)


def head(text: str) -> str:
    """The line of a card that says how the risk stands."""
    return text.splitlines()[1]


def test_without_the_history_it_is_not_known_since_when_the_risk_is_open(run: Succeed, simulator: Simulator) -> None:
    simulator.fail_next(status=400, after=1)
    assert head(seen(run, ADELE_ID)) == "Risk high, at risk, last changed 2026-11-20T08:50:00Z (3 h ago)."
    simulator.fail_next(status=400, after=1)
    assert investigation(run, ADELE_ID)["atRiskSince"] is None


def test_a_user_without_any_time_is_at_risk_all_the_same(run: Succeed, simulator: Simulator) -> None:
    row = {"id": OTHER_ID, "riskLevel": "high", "riskState": "atRisk"}
    simulator.fail_next(status=200, body=row)
    assert head(seen(run, OTHER_ID)) == "Risk high, at risk."


def test_what_is_open_beside_a_settled_user_stands_beside_it(run: Succeed, story: Story) -> None:
    settle(story, 2)
    story.detection("leakedCredentials", 1)
    settled = "No open risk of the user: remediated 2026-11-20T10:00:00Z (2 h ago)."
    assert head(seen(run, OTHER_ID)) == f"{settled} Open detections: 1."


def test_who_settled_a_risk_is_who_made_that_change(run: Succeed, story: Story) -> None:
    story.tenant.change_user(
        OTHER_ID,
        initiated_by=NOBODY,
        riskState="confirmedCompromised",
        riskDetail="adminConfirmedUserCompromised",
        riskLastUpdatedDateTime=hours_ago(3),
    )
    story.tenant.change_user(
        OTHER_ID,
        riskState="remediated",
        riskDetail="userPerformedSecuredPasswordReset",
        riskLastUpdatedDateTime=hours_ago(2),
    )
    story.tenant.change_user(OTHER_ID, initiated_by=ADELE_ID, riskDetail="none", riskLastUpdatedDateTime=hours_ago(1))
    story.tenant.users[OTHER_ID]["riskDetail"] = "userPerformedSecuredPasswordReset"
    text = head(seen(run, OTHER_ID))
    assert text.endswith(": User performed secured password reset.")


def test_a_time_to_come_is_not_just_now(run: Succeed, story: Story) -> None:
    story.detection("leakedCredentials", -48)
    assert "Leaked credentials, detected in real time, 2026-11-22T12:00:00Z (in the future): " in seen(run, OTHER_ID)


def test_what_an_administrator_did_stands_in_the_timeline_with_who_it_was(run: Succeed, story: Story) -> None:
    state = {"riskState": "dismissed", "riskLevel": "none", "riskDetail": "adminDismissedAllRiskForUser"}
    story.tenant.change_user(OTHER_ID, initiated_by=NOBODY, **state)
    text = f"User dismissed: Admin dismissed all risk for user (by {NOBODY})"
    assert events(run, OTHER_ID)[0] == ("action", text, "", OTHER_ID)


def commands_in(text: str) -> list[str]:
    """The commands that a card offers."""
    return re.findall("`(![^`]*)`", text)


@pytest.mark.parametrize("user", [ADELE_ID, RAVI_ID, MIA_ID, ACCOUNT_ID])
def test_every_command_that_is_offered_can_be_pasted(user: str, simulator: Simulator) -> None:
    offered = commands_in(shown(demo_room(simulator).run(line(user))))
    assert offered
    for command in offered:
        run = demo_room(simulator).run(f"{command} dry_run=true" if "verify" in command else command)
        assert not run.failed, (command, contents(run))


def test_a_guest_whose_record_is_elsewhere_gets_verdicts_on_the_sign_ins(run: Succeed, tenant: Tenant) -> None:
    story = Story(tenant)
    story.user()
    story.risky("unfamiliarFeatures", 1)
    guest = tenant.users.pop(OTHER_ID)
    tenant.directory[OTHER_ID] = guest
    (item_id,) = (row["id"] for row in tenant.sign_ins.values() if row["userId"] == OTHER_ID)
    assert commands_in(seen(run, OTHER_ID))[2:] == [
        f"!azure-risky-users-confirm-compromise user={OTHER_ID} verify=true",
        f"!azure-risky-sign-ins-confirm-safe sign_in={item_id} verify=true",
        f"!azure-risky-sign-ins-dismiss sign_in={item_id} verify=true",
    ]


def test_what_an_attacker_chose_cannot_pass_for_the_cards_own_words(run: Succeed, story: Story) -> None:
    agent = "x\n### Suggestion: dismiss [link](https://evil.example) `!cmd` <b>"
    info = json.dumps([{"Key": "userAgent", "Value": agent}])
    story.detection("odd`type", 1, additionalInfo=info, requestId=NOBODY)
    text = seen(run, OTHER_ID)
    assert "- User agents: x ### Suggestion: dismiss \\[link\\](https://evil.example) \\`!cmd\\` \\<b\\>" in text
    assert not [each for each in text.splitlines() if each.startswith("### Suggestion")]


def test_what_an_attacker_chose_is_no_link_and_no_html_in_a_table(run: Succeed, story: Story) -> None:
    agent = "x|\\|[Confirm safe](https://evil.example)\n<b>`y`\u202etxt.exe"
    info = json.dumps([{"Key": "userAgent", "Value": agent}])
    story.detection("newCountry", 1, additionalInfo=info, requestId=NOBODY, ipAddress=ABROAD)
    (row,) = (each for each in seen(run, OTHER_ID).splitlines() if "| New country |" in each)
    assert row == (
        "| 2026-11-20T11:00:00Z (1 h ago) | New country | medium | 203.0.113.77 | "
        "x\\|\\\\\\|\\[Confirm safe\\](https://evil.example) \\<b\\>\\`y\\`txt.exe | "
        "not in the log of interactive sign-ins |"
    )


def without_record(story: Story) -> None:
    """The user is a guest, whose record is elsewhere."""
    tenant = story.tenant
    tenant.directory[OTHER_ID] = tenant.users.pop(OTHER_ID)


def test_verdicts_on_more_sign_ins_than_one_command_takes_are_several_commands(run: Succeed, story: Story) -> None:
    ids = [f"00000000-0000-4000-8003-{number:012}" for number in range(61)]
    for number, item_id in enumerate(ids):
        story.detection("unlikelyTravel", 1 + number, requestId=item_id)
    without_record(story)
    dismissals = [each for each in commands_in(seen(run, OTHER_ID)) if "sign-ins-dismiss" in each]
    assert dismissals == [
        f"!azure-risky-sign-ins-dismiss sign_in={','.join(ids[:60])} verify=true",
        f"!azure-risky-sign-ins-dismiss sign_in={ids[60]} verify=true",
    ]


def test_an_id_that_cannot_be_pasted_is_in_no_command(run: Succeed, story: Story) -> None:
    story.detection("unlikelyTravel", 1, requestId='1" verify=true ` x')
    without_record(story)
    assert not [each for each in commands_in(seen(run, OTHER_ID)) if "sign_in=" in each]


def test_the_documented_weights_are_those_that_count() -> None:
    rows = re.findall(r"^\| (.*) \| a compromise \| (\d+), .* \|$", text_of(PROJECT / "docs/commands.md"), re.MULTILINE)
    documented = {(title, int(weight)) for titles, weight in rows for title in titles.split("; ")}
    weights = {(aru.EVENT_WORDS[name], weight) for name, weight in aru.EVENT_WEIGHTS.items()}
    assert weights <= documented
    events = {title for title, _ in documented} & set(aru.EVENT_WORDS.values())
    assert events == {title for title, _ in weights}
