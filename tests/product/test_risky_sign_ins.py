"""The log of sign-ins: what is asked of it, how a sign-in ended in words, what a verdict on one sends and leads to."""

import re
from typing import Any

import pytest

import AzureRiskyUsers as aru  # noqa: N813 - the module bears the name of the integration
from helpers import (
    FLAGS,
    GRAPH,
    NOW,
    SIGN_INS,
    Fail,
    Row,
    Succeed,
    below_base,
    contents,
    demo_room,
    flags,
    ids,
    only_entry,
    request_id,
    shown,
    sign_in_by_device_code,
    typed,
)
from warroom.azure.demo import ADELE_ID
from warroom.azure.rows import stamp
from warroom.azure.server import Simulator
from warroom.azure.tenant import CLIENT_ID, Tenant
from warroom.xsoar.runner import WarRoom

GET = "azure-risky-sign-in-get"
COMPROMISED = "azure-risky-sign-ins-confirm-compromise"
SAFE, DISMISS = "azure-risky-sign-ins-confirm-safe", "azure-risky-sign-ins-dismiss"
KEY = "AzureRiskyUsers.RiskySignIn(val.id && val.id == obj.id)"
ACTION_KEY = "AzureRiskyUsers.RiskAction(val.id && val.id == obj.id && val.action && val.action == obj.action)"
FIRST, SECOND = "00000000-0000-4000-8001-000000000001", "00000000-0000-4000-8001-000000000002"  # of Adele
SINCE = "createdDateTime ge 2026-10-21T12:00:00Z"
RISKY = (
    "(riskState eq 'confirmedSafe' or riskState eq 'remediated' or riskState eq 'dismissed' or riskState eq 'atRisk'"
    " or riskState eq 'confirmedCompromised')"
)


def asked(simulator: Simulator) -> list[tuple[str, str, Any]]:
    """Method and path of every Graph request, with its query or its body."""
    return [
        (request.method, below_base(request), request.json if request.body else request.query)
        for request in simulator.graph_requests
    ]


def without_policies(row: Row) -> Row:
    """A sign-in as Graph shows it to those who may not read policies."""
    return {name: value for name, value in row.items() if name != "appliedConditionalAccessPolicies"}


# Lists and single sign-ins


def test_a_page_of_risky_sign_ins_is_asked_for_shown_and_kept(
    run: Succeed, tenant: Tenant, simulator: Simulator
) -> None:
    entry = only_entry(run(f"!{SIGN_INS} user_id={ADELE_ID} page_size=1"))
    query = {"$filter": f"userId eq '{ADELE_ID}' and {RISKY} and {SINCE}", "$orderby": "createdDateTime desc"}
    assert asked(simulator) == [("GET", "signIns", query | {"$top": "1"})]
    token = flags(entry)["RiskySignInListNextToken"]
    assert re.fullmatch(re.escape(f"{GRAPH}/v1.0/auditLogs/signIns?$filter=") + r".+skiptoken=\w+_1", token)
    assert entry["EntryContext"] == {
        FLAGS: {"RiskySignInListTruncated": True, "RiskySignInListNextToken": token},
        KEY: [without_policies(tenant.sign_ins[SECOND])],
    }
    heading = (
        "|Created Date Time|User Principal Name|Risk Level Aggregated|Risk State|Risk Event Types|Ip Address|City"
        "|Country|Outcome|Client App Used|Id|\n|---|---|---|---|---|---|---|---|---|---|---|\n"
    )
    assert entry["HumanReadable"] == (
        "### Risky Sign-ins List\n"
        "1 risky sign-in; more match. Continue with next_token.\n"
        f"{heading}"
        f"| 2026-11-19T09:54:00Z | adele.vance@contoso.example | medium | atRisk | Anonymous IP address "
        f"| 203.0.113.2 | Cusco | PE | Succeeded (0); Conditional Access satisfied | Browser | {SECOND} |\n"
        "\n### Risky Sign-ins List Token:\n|next_token|\n|---|\n"
        f"| {token} |\n"
    )
    assert shown(run(typed(SIGN_INS, next_token=token))) == (
        "### Risky Sign-ins List\n"
        "1 risky sign-in\n"
        f"{heading}"
        f"| 2026-11-18T07:36:00Z | adele.vance@contoso.example | low | atRisk | Unfamiliar sign-in properties "
        "| 203.0.113.1 | Rotterdam | NL | Interrupted (50074): MFA needed and not passed; Conditional Access not "
        f"satisfied | Browser | {FIRST} |\n"
    )


def test_one_sign_in_is_shown_and_kept(run: Succeed, tenant: Tenant, simulator: Simulator) -> None:
    entry = only_entry(run(f"!{GET} id={SECOND}"))
    row = without_policies(tenant.sign_ins[SECOND])
    assert asked(simulator) == [("GET", f"signIns/{SECOND}", {})]
    assert entry["EntryContext"] == {KEY: row}
    assert entry["Contents"] == row
    title, heading, _, line, _ = entry["HumanReadable"].split("\n")
    assert title == f"### Found Risky Sign-in with ID: {SECOND}"
    assert heading == (
        "|Created Date Time|User Principal Name|User Id|Risk Level Aggregated|Risk Level During Sign In|Risk State"
        "|Risk Detail|Risk Event Types|Ip Address|City|Country|Outcome|Client App Used|App Display Name"
        "|Resource Display Name|Device Detail|Id|"
    )
    assert line.split(" | ")[2:9] == [
        ADELE_ID,
        "medium",
        "medium",
        "atRisk",
        "none",
        "Anonymous IP address",
        "203.0.113.2",
    ]


def test_a_sign_in_without_risk_is_listed_only_where_it_is_asked_for(run: Succeed, tenant: Tenant) -> None:
    tenant.sign_ins.clear()
    plain = tenant.add_sign_in(userId=ADELE_ID)
    assert "Nothing matches" in shown(run(f"!{SIGN_INS}"))
    entry = only_entry(run(f"!{SIGN_INS} risk_state=none"))
    assert entry["EntryContext"][KEY] == [without_policies(plain)]


def test_the_log_is_never_asked_for_without_a_bound(run: Succeed, simulator: Simulator) -> None:
    run(typed(SIGN_INS, created_after="", risk_state=""))
    run(f"!{DISMISS} sign_in={SECOND} dry_run=true")
    assert [query["$filter"] for _, _, query in asked(simulator)] == [
        f"{RISKY} and {SINCE}",
        f"id eq '{SECOND}' and {SINCE}",
    ]


def test_no_address_and_no_country_does_not_mean_any(error: Fail, simulator: Simulator) -> None:
    accepted = {"ip_address": "at least one value", "country": "at least one value"}
    for name, forms in accepted.items():
        assert error(typed(SIGN_INS, **{name: ""})) == (
            f'Failed to execute {SIGN_INS}. {name}="" cannot be used. Accepted: {forms}.'
        )
    assert simulator.requests == []


def test_a_page_of_the_log_holds_up_to_a_thousand_rows(run: Succeed, tenant: Tenant, simulator: Simulator) -> None:
    for _ in range(1001):
        tenant.add_sign_in(userId=ADELE_ID, riskState="atRisk")
    number = sum(row["riskState"] != "none" for row in tenant.sign_ins.values())
    done = run(f"!{SIGN_INS} limit=2000")
    assert len(only_entry(done)["EntryContext"][KEY]) == number
    run(f"!{SIGN_INS} limit=1000")
    assert [query["$top"] for _, _, query in asked(simulator)] == ["1000", "1000", "1000"]


@pytest.mark.parametrize(
    ("arguments", "property_name"),
    [(f"user_id={ADELE_ID}", "userId"), ("user_principal_name=Adele.Vance@contoso.example", "userPrincipalName")],
)
def test_rows_of_another_user_are_refused_and_not_shown(
    arguments: str, property_name: str, error: Fail, tenant: Tenant, simulator: Simulator
) -> None:
    rows = [
        tenant.sign_ins[SECOND],
        tenant.sign_ins[FIRST] | {"userId": "other", "userPrincipalName": "o@contoso.example"},
    ]
    simulator.fail_next(200, body={"value": rows})
    assert error(f"!{SIGN_INS} {arguments}") == (
        f"Failed to execute {SIGN_INS}. Graph answered with another risky sign-in than was asked for: its "
        f"{property_name} is none of those that were named. The answer is not used."
    )


@pytest.mark.parametrize(
    "arguments", [f"user_id={ADELE_ID}", "user_principal_name=adele.vance@contoso.example", f"sign_in={FIRST}"]
)
def test_a_token_of_another_list_shows_nothing_under_the_names_given_beside_it(
    arguments: str, run: Succeed, error: Fail, tenant: Tenant
) -> None:
    other = next(user for user in tenant.users if user != ADELE_ID)
    for _ in range(2):
        tenant.add_sign_in(userId=other, riskState="atRisk")
    page = only_entry(run(f"!{SIGN_INS} user_id={other} page_size=1"))
    token = flags(page)["RiskySignInListNextToken"]
    assert "is none of those that were named" in error(f"!{SIGN_INS} {arguments} next_token={token}")
    rest = only_entry(run(f"!{SIGN_INS} user_id={other} next_token={token}"))
    assert {row["userId"] for row in rest["EntryContext"][KEY]} == {other}


def test_policies_come_into_context_where_they_may_be_read(run: Succeed, tenant: Tenant) -> None:
    tenant.apps[CLIENT_ID].application_permissions |= {"Policy.Read.All"}
    (row,) = only_entry(run(f"!{SIGN_INS} sign_in={SECOND}"))["EntryContext"][KEY]
    assert row == tenant.sign_ins[SECOND]


# How a sign-in ended


def ended(code: Any, reason: Any = "Other.", access: Any = "notApplied") -> Row:
    return {"status": {"errorCode": code, "failureReason": reason}, "conditionalAccessStatus": access}


LOCKED = "Account is locked because user tried to sign in too many times with an incorrect user ID or password."
FROM_BAD_ADDRESS = "Sign-in was blocked because it came from an IP address with malicious activity."


@pytest.mark.parametrize(
    ("row", "outcome"),
    [
        (ended(0, access="success"), "Succeeded (0); Conditional Access satisfied"),
        (ended(0), "Succeeded (0); no Conditional Access applied"),
        (ended(50126), "Failed (50126): wrong user name or password; no Conditional Access applied"),
        (ended(500121, access=None), "Interrupted (500121): MFA denied, timed out or wrong"),
        (ended(53003, access="failure"), "Blocked (53003): by Conditional Access; Conditional Access not satisfied"),
        (ended(50173, access=None), "Session ended (50173): grant revoked"),
        (ended(65001, access=None), "Not set up (65001): consent missing"),
        (ended(50053, LOCKED, None), "Failed (50053): locked out after too many wrong passwords"),
        (ended(50053, FROM_BAD_ADDRESS, None), "Blocked (50053): malicious IP address, or certain risk"),
        (
            ended(50053, f"{LOCKED} Or, {FROM_BAD_ADDRESS}", None),
            "Failed (50053): locked out, or blocked for its IP address",
        ),
        (ended(50053, None, None), "Failed (50053): locked out, or blocked for its IP address"),
        (ended(99, "Something new.", "unknownFutureValue"), "Error (99): Something new."),
        (ended(99, None, None), "Error (99)"),
        (ended(99, 5, []), "Error (99): 5"),
        (ended(None), ""),
        (ended("50126"), ""),
        ({"status": None}, ""),
        ({"status": "odd"}, ""),
        ({}, ""),
    ],
)
def test_the_outcome_of_a_sign_in_is_told_in_words_with_its_number(row: Row, outcome: str) -> None:
    assert aru.sign_in_outcome(row) == outcome


def test_each_code_is_of_one_stage() -> None:
    codes = [code for meanings in aru.SIGN_IN_CODES.values() for code in meanings]
    assert sorted(aru.KNOWN_ENDS) == sorted(codes)
    assert {stage for stage in aru.SignInStage if aru.SIGN_IN_CODES.get(stage)} == set(aru.SignInStage)


@pytest.mark.parametrize(
    "odd",
    [
        {"status": [], "location": "Rotterdam", "riskEventTypes_v2": "newCountry", "deviceDetail": 5},
        {"status": {"errorCode": {}}, "location": [], "riskEventTypes_v2": [None, {}, "new"], "createdDateTime": None},
    ],
)
def test_a_sign_in_is_shown_whatever_its_properties_hold(odd: Row, run: Succeed, simulator: Simulator) -> None:
    row = {"id": SECOND, "userId": ADELE_ID} | odd
    simulator.fail_next(200, body={"value": [row]})
    simulator.fail_next(200, body=row)
    assert only_entry(run(f"!{SIGN_INS}"))["EntryContext"][KEY] == [row]
    assert only_entry(run(f"!{GET} id={SECOND}"))["EntryContext"][KEY] == row


# Verdicts

ABSENCE = "The log holds interactive sign-ins of the last 30 days alone."
VERDICTS = [
    (COMPROMISED, "confirmCompromised", "high", "confirmedCompromised", "Risk level of sign-in and user becomes high."),
    (
        SAFE,
        "confirmSafe",
        "none",
        "confirmedSafe",
        "The sign-in's risk is closed, and its share of the user's risk is taken back.",
    ),
    (DISMISS, "dismiss", "none", "dismissed", "The risk of these sign-ins alone is closed."),
]


def row_of(item: str, action: str, status: str, reason: str = "", **known: str) -> Row:
    rest = {"action": action, "status": status, "reason": reason, "time": "2026-11-20T12:00:00Z"}
    return {"id": item} | known | rest


@pytest.mark.parametrize(("command", "action", "level", "state", "effect"), VERDICTS)
def test_a_verdict_sends_the_ids_in_one_body_and_says_what_it_leads_to(
    command: str, action: str, level: str, state: str, effect: str, run: Succeed, simulator: Simulator
) -> None:
    entry = only_entry(run(f"!{command} sign_in={FIRST},{SECOND}"))
    assert asked(simulator) == [("POST", f"signIns/{action}", {"requestIds": [FIRST, SECOND]})]
    rows = [row_of(item, action, "submitted") for item in (FIRST, SECOND)]
    assert entry["EntryContext"] == {ACTION_KEY: rows}
    assert entry["HumanReadable"] == (
        f"### {aru.pascalToSpace(action)}: 2 risky sign-in(s)\n"
        f"2 submitted. Graph applies this within minutes. {effect}\n"
        "|Id|Action|Status|\n|---|---|---|\n"
        f"| {FIRST} | {action} | submitted |\n| {SECOND} | {action} | submitted |\n"
    )
    row = only_entry(run(f"!{GET} id={FIRST}"))["Contents"]
    assert (row["riskLevelAggregated"], row["riskState"]) == (level, state)


@pytest.mark.parametrize(
    ("command", "action", "effect"), [(verdict[0], verdict[1], verdict[4]) for verdict in VERDICTS]
)
def test_a_dry_run_shows_the_sign_ins_and_changes_nothing(
    command: str, action: str, effect: str, run: Succeed, tenant: Tenant, simulator: Simulator
) -> None:
    plain = tenant.add_sign_in(userId=ADELE_ID)["id"]
    dismissed = tenant.add_sign_in(userId=ADELE_ID, riskState="dismissed")["id"]
    unknown = "00000000-0000-4000-8000-000000004711"
    entry = only_entry(run(f"!{command} sign_in={SECOND},{plain},{dismissed},{unknown} dry_run=true"))
    assert {method for method, _, _ in asked(simulator)} == {"GET"}
    adele = {"userPrincipalName": "adele.vance@contoso.example", "riskLevelAggregated": "none"}
    reasons = {
        (DISMISS, plain): "There is no risk to close, and Graph may refuse it",
        (DISMISS, dismissed): "The risk is settled already: nothing is left to close",
        (SAFE, dismissed): "The risk is settled already: nothing is left to close",
    }
    known = {
        SECOND: adele | {"riskLevelAggregated": "medium", "riskState": "atRisk"},
        plain: adele | {"riskState": "none"},
        dismissed: adele | {"riskState": "dismissed"},
    }
    rows = [row_of(item, action, "dry run", reasons.get((command, item), ""), **facts) for item, facts in known.items()]
    rows.append(row_of(unknown, action, "dry run", f"Graph knows no risk for this ID, and may refuse it. {ABSENCE}"))
    assert entry["EntryContext"] == {ACTION_KEY: rows}
    assert (
        shown(run(f"!{command} sign_in={SECOND} dry_run=true"))
        .splitlines()[1]
        .startswith(f"1 dry run. Nothing was changed. {effect}")
    )


@pytest.mark.parametrize(("command", "action", "level", "state"), [verdict[:4] for verdict in VERDICTS])
def test_verify_waits_until_the_verdict_has_taken_effect(
    command: str, action: str, level: str, state: str, run: Succeed, tenant: Tenant, simulator: Simulator
) -> None:
    tenant.processing_reads = 1
    done = run(f"!{command} sign_in={SECOND} verify=true")
    look = ("GET", "signIns", {"$filter": f"id eq '{SECOND}' and {SINCE}", "$top": "1000"})
    assert asked(simulator)[1:] == [look, look]
    known = {"userPrincipalName": "adele.vance@contoso.example", "riskLevelAggregated": level, "riskState": state}
    assert done.entries[-1]["EntryContext"] == {ACTION_KEY: [row_of(SECOND, action, "applied", **known)]}


@pytest.mark.parametrize(("command", "action"), [verdict[:2] for verdict in VERDICTS])
def test_a_verdict_on_a_sign_in_that_the_log_does_not_hold_is_told_why_it_cannot_be_seen(
    command: str, action: str, war_room: WarRoom, tenant: Tenant
) -> None:
    # As Graph may accept a sign-in that was not interactive.
    del tenant.sign_ins[SECOND]
    results, _ = war_room.run(f"!{command} sign_in={SECOND} verify_until=2026-11-20T11:00:00Z").entries
    rows = [row_of(SECOND, action, "not applied", f"Graph knows no risk for this ID. {ABSENCE}")]
    assert results["EntryContext"] == {ACTION_KEY: rows}


def test_sixty_sign_ins_go_in_one_request_and_more_have_to_be_allowed(
    run: Succeed, error: Fail, tenant: Tenant, simulator: Simulator
) -> None:
    rows = [tenant.add_sign_in(userId=ADELE_ID, riskState="atRisk")["id"] for _ in range(61)]
    named = ",".join(rows)
    assert error(f"!{DISMISS} sign_in={named}") == (
        f'Failed to execute {DISMISS}. max_sign_ins="60" cannot be used. Accepted: at least 61, the number of those to '
        "be changed. Try dry_run=true first."
    )
    run(f"!{DISMISS} sign_in={named} max_sign_ins=61")
    assert [body["requestIds"] for _, _, body in asked(simulator)] == [rows[:60], rows[60:]]


def test_one_refused_sign_in_does_not_hold_up_the_others(war_room: WarRoom, tenant: Tenant) -> None:
    plain = tenant.add_sign_in(userId=ADELE_ID)["id"]
    done = war_room.run(f"!{DISMISS} sign_in={FIRST},{plain},{SECOND}")
    rows = done.entries[0]["EntryContext"][ACTION_KEY]
    assert {row["id"]: row["status"] for row in rows} == {FIRST: "submitted", plain: "refused", SECOND: "submitted"}
    assert f"These requestIds do not exist in your tenant or they are not risky: {plain}." in str(rows)


@pytest.mark.parametrize("value", ["adele.vance@contoso.example", "333", "a/b"])
def test_what_is_no_guid_names_no_sign_in(value: str, error: Fail, simulator: Simulator) -> None:
    assert error(f"!{DISMISS} sign_in={value}") == (
        f'Failed to execute {DISMISS}. sign_in="{value}" cannot be used. Accepted: object IDs (GUIDs).'
    )
    assert simulator.requests == []


# What Graph refuses


def permission_missing(permission: str, kind: str = "application") -> str:
    hint = "Once it is granted, run !azure-risky-users-auth-reset, which drops the stored token."
    return f"Permission missing: the application needs the {kind} permission {permission}, with admin consent. {hint}"


def test_a_missing_permission_to_read_and_to_judge_is_named(
    error: Fail, war_room: WarRoom, tenant: Tenant, simulator: Simulator
) -> None:
    tenant.apps[CLIENT_ID].application_permissions -= {"AuditLog.Read.All", "IdentityRiskEvent.ReadWrite.All"}
    assert error(f"!{SIGN_INS}") == (
        f"Failed to execute {SIGN_INS}. Graph answered 403 Authentication_MSGraphPermissionMissing: Calling principal "
        f"does not have required MSGraph permissions AuditLog.Read.All {permission_missing('AuditLog.Read.All')} "
        f"(request-id {request_id(simulator)})"
    )
    done = war_room.run(f"!{DISMISS} sign_in={SECOND}")
    (row,) = done.entries[0]["EntryContext"][ACTION_KEY]
    assert permission_missing("IdentityRiskEvent.ReadWrite.All") in row["reason"]


def test_a_person_is_told_the_delegated_permission_for_a_verdict(simulator: Simulator) -> None:
    room = demo_room(simulator, "Device Code", allow_response=True)
    sign_in_by_device_code(room, simulator)
    assert not room.run(f"!{SIGN_INS}").failed
    done = room.run(f"!{DISMISS} sign_in={SECOND}")
    assert not done.failed
    rows = {row["capability"]: row for row in room.run("!azure-risky-users-auth-test").entries[0]["Contents"]}
    assert rows["Change risk of sign-ins"] == {
        "capability": "Change risk of sign-ins",
        "permission": "IdentityRiskyUser.ReadWrite.All",
        "token": "has it",
        "result": "permitted (not tried)",
        "error": "",
    }


def test_a_device_code_asks_for_nothing_more_and_reads_the_log_once_it_was_consented_to(
    tenant: Tenant, simulator: Simulator
) -> None:
    room = demo_room(simulator, "Device Code")
    tenant.apps[CLIENT_ID].delegated_permissions -= {"AuditLog.Read.All"}
    room.run("!azure-risky-users-auth-start")
    (start,) = [request for request in simulator.login_requests if request.path.endswith("devicecode")]
    assert "AuditLog" not in start.form["scope"]
    simulator.entra.approve(next(iter(simulator.entra.flows.values())).user_code)
    room.run("!azure-risky-users-auth-complete")
    (message,) = contents(room.run(f"!{SIGN_INS}"))
    assert "the delegated permission AuditLog.Read.All, with admin consent." in message
    tenant.apps[CLIENT_ID].delegated_permissions |= {"AuditLog.Read.All"}
    sign_in_by_device_code(room, simulator)
    assert not room.run(f"!{SIGN_INS}").failed


@pytest.mark.parametrize(
    ("held", "message", "advice"),
    [
        (
            {"AuditLog.Read.All"},
            "No.",
            "The token does hold the permission AuditLog.Read.All; Graph says no more. Some tenants need "
            "Directory.Read.All too.",
        ),
        (
            {"AuditLog.Read.All", "Directory.Read.All"},
            "No.",
            "The token does hold the permission AuditLog.Read.All; Graph says no more.",
        ),
        (
            {"AuditLog.Read.All"},
            "Neither tenant is B2C or tenant doesn't have premium license.",
            "Licence missing: the tenant needs Microsoft Entra ID P1 or P2. Some tenants need Directory.Read.All too.",
        ),
    ],
)
def test_a_refusal_all_the_same_names_what_some_tenants_need_too(
    held: set[str], message: str, advice: str, error: Fail, tenant: Tenant, simulator: Simulator
) -> None:
    tenant.apps[CLIENT_ID].application_permissions = held
    simulator.fail_next(403, body={"error": {"code": "Odd", "message": message}})
    assert error(f"!{SIGN_INS}") == (
        f"Failed to execute {SIGN_INS}. Graph answered 403 Odd: {message} {advice} (request-id {request_id(simulator)})"
    )


def test_a_bound_too_far_back_is_told_how_far_the_log_reaches(error: Fail, simulator: Simulator) -> None:
    assert error(f"!{SIGN_INS} created_after='6 months'") == (
        f"Failed to execute {SIGN_INS}. Graph answered 400 BadRequest: Invalid filter clause The log holds the last 30 "
        f"days, and Graph refuses to look for more than about 90. (request-id {request_id(simulator)})"
    )


def test_what_is_refused_for_coming_too_often_is_told_with_the_logs_own_limit(
    error: Fail, simulator: Simulator
) -> None:
    simulator.fail_next(429, retry_after=9999)
    assert error(f"!{SIGN_INS}") == (
        f"Failed to execute {SIGN_INS}. Graph answered 429 TooManyRequests: Too many requests. Graph allows an "
        "application five requests in ten seconds for its logs. Try again later. Retry-After: 9999. "
        f"(request-id {request_id(simulator)})"
    )


def test_a_sixth_request_waits_as_long_as_the_log_says(
    tenant: Tenant, simulator: Simulator, war_room: WarRoom, no_waiting: list[float]
) -> None:
    simulator.throttle = 1
    tenant.largest_page = 1
    rows = [tenant.add_sign_in(userId=ADELE_ID, riskState="atRisk", createdDateTime=stamp(NOW)) for _ in range(6)]
    done = war_room.run(f"!{SIGN_INS} limit=6")
    assert ids(only_entry(done)["EntryContext"][KEY]) == ids(rows)
    assert [request.query.get("$top") for request in simulator.graph_requests] == ["6"] * 7
    assert 9 < max(no_waiting) <= 10
