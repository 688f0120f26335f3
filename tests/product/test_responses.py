"""The commands that change risk, what becomes of it, and what an instance is told it may do."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

import pytest

import AzureRiskyUsers as aru  # noqa: N813 - the module bears the name of the integration
from helpers import (
    BASE,
    LIST_COLLECTIONS,
    NOW,
    Fail,
    Row,
    Succeed,
    base_of,
    below_base,
    contents,
    demo_room,
    listed_rows,
    only_entry,
    sign_in_by_device_code,
)
from warroom.azure.demo import ADELE_ID
from warroom.azure.server import Simulator
from warroom.azure.tenant import CLIENT_ID, PERMISSIONS, Tenant
from warroom.xsoar.entries import Run
from warroom.xsoar.integration import MANIFEST
from warroom.xsoar.runner import WarRoom

ADELE = "adele.vance@contoso.example"
OTHER_ID, OTHER = "6513270e-269e-4d37-82a7-4de452e6b438", "noor.haddad0@contoso.example"
SEAN_ID = "6b0d549b-6f03-475a-8600-a35a099950d8"
UNKNOWN_ID = "00000000-0000-4000-8000-000000004711"
GUIDS = [str(UUID(int=number)) for number in range(61)]
DISMISS = "azure-risky-users-dismiss"
ACTION_KEY = "AzureRiskyUsers.RiskAction(val.id && val.id == obj.id && val.action && val.action == obj.action)"


class Response(NamedTuple):
    """One of the commands: what it sends, and the risk it leads to."""

    command: str
    resource: str
    action: str
    ids: str  # property of the body
    argument: str
    level: str
    state: str
    detail: str
    effect: str


RESPONSES = (
    Response(
        "azure-risky-users-confirm-compromise",
        "riskyUsers",
        "confirmCompromised",
        "userIds",
        "user",
        "high",
        "confirmedCompromised",
        "adminConfirmedUserCompromised",
        "Risk level becomes high. A later dismissal or confirmation as safe takes it back.",
    ),
    Response(
        "azure-risky-users-confirm-safe",
        "riskyUsers",
        "confirmSafe",
        "userIds",
        "user",
        "none",
        "confirmedSafe",
        "adminConfirmedAccountSafe",
        "The risk there is now is closed for good; new detections raise new risk.",
    ),
    Response(
        DISMISS,
        "riskyUsers",
        "dismiss",
        "userIds",
        "user",
        "none",
        "dismissed",
        "adminDismissedAllRiskForUser",
        "All risk is closed, that of past sign-ins too.",
    ),
    Response(
        "azure-risky-service-principals-confirm-compromise",
        "riskyServicePrincipals",
        "confirmCompromised",
        "servicePrincipalIds",
        "service_principal",
        "high",
        "confirmedCompromised",
        "adminConfirmedServicePrincipalCompromised",
        "Risk level becomes high. A later dismissal takes it back.",
    ),
    Response(
        "azure-risky-service-principals-dismiss",
        "riskyServicePrincipals",
        "dismiss",
        "servicePrincipalIds",
        "service_principal",
        "none",
        "dismissed",
        "adminDismissedAllRiskForServicePrincipal",
        "All risk is closed.",
    ),
)
KNOWN = ("userPrincipalName", "riskLevel", "riskState")  # of a user, in the rows of an action
MEANINGS = {
    "azure-risky-users-confirm-compromise": (
        "For a true positive: somebody else has the account or its password. Risk-based policies then block the user "
        "or ask for a new password; the password itself stays."
    ),
    "azure-risky-users-confirm-safe": (
        "For a false positive: what was flagged is the user's own, ordinary activity. Entra ID learns the user's "
        "habits anew, and similar events should no longer be flagged."
    ),
    DISMISS: (
        "For a benign true positive: what was flagged is real but harmless, such as a known test or an approved tool, "
        "or is handled elsewhere. Similar events are flagged again, the account is not made safe, and it cannot be "
        "undone."
    ),
    "azure-risky-service-principals-confirm-compromise": (
        "For a true positive: somebody else uses the service principal or has its credentials. The credentials "
        "themselves stay."
    ),
    "azure-risky-service-principals-dismiss": (
        "For what is no compromise: a false positive (no service principal can be confirmed as safe), what is real "
        "but harmless, or what is handled elsewhere. It cannot be undone."
    ),
}
BY_NAME = [response for response in RESPONSES if response.ids == "userIds"]
every_response = pytest.mark.parametrize("response", RESPONSES, ids=lambda response: response.command)
every_response_by_name = pytest.mark.parametrize("response", BY_NAME, ids=lambda response: response.command)


def sent_to_graph(simulator: Simulator) -> list[tuple[str, Any]]:
    """Path below BASE with the body, or the filter, of every Graph request."""
    return [
        (below_base(request), request.json if request.body else request.query.get("$filter", ""))
        for request in simulator.graph_requests
    ]


def posted(simulator: Simulator) -> list[list[str]]:
    """The ids of every action asked of Graph."""
    return [next(iter(request.json.values())) for request in simulator.graph_requests if request.method == "POST"]


def acted(entry: Row) -> list[Row]:
    """The rows that an action's entry puts into context, which puts in nothing else."""
    assert list(entry["EntryContext"]) == [ACTION_KEY]
    rows: list[Row] = entry["EntryContext"][ACTION_KEY]
    return rows


def statuses(entry: Row) -> dict[str, str]:
    return {row["id"]: row["status"] for row in acted(entry)}


def outcome(item: str, action: str, status: str, reason: str = "", **known: str) -> Row:
    rest = {"action": action, "status": status, "reason": reason, "time": "2026-11-20T12:00:00Z"}
    return {"id": item} | known | rest


def risky_ids(tenant: Tenant, number: int) -> list[str]:
    """So many users whom Graph lets one act on, added where there are too few."""
    ids = [user["id"] for user in tenant.users.values() if aru.is_guid(user["id"]) and not user["isDeleted"]]
    return [*ids, *(tenant.add_user()["id"] for _ in range(number - len(ids)))][:number]


def looks_before(response: Response) -> int:
    """How many requests go before an action on a few IDs: a dismissal of users tells what will not last."""
    return 1 if response.command == DISMISS else 0


def any_id(ids: Iterable[str]) -> str:
    """The filter for users with any of several IDs."""
    clauses = " or ".join(f"id eq '{item}'" for item in ids)
    return f"({clauses})"


def dismissal(ids: list[str], maximum: int = 9999) -> str:
    return f"!{DISMISS} user={','.join(ids)} max_users={maximum}"


# What is sent


@every_response
def test_an_action_sends_the_ids_in_one_body_and_says_what_it_leads_to(
    response: Response, run: Succeed, tenant: Tenant, simulator: Simulator
) -> None:
    rows_of_collection = tenant.store(response.resource).values()
    ids = [row["id"] for row in rows_of_collection if not row.get("isDeleted") and aru.is_guid(row["id"])][:2]
    entry = only_entry(run(f"!{response.command} {response.argument}={','.join(ids)}"))
    look = [("riskyUsers", any_id(ids))] * looks_before(response)
    assert sent_to_graph(simulator) == [*look, (f"{response.resource}/{response.action}", {response.ids: ids})]
    known: list[Row] = [{name: tenant.users[item][name] for name in KNOWN} if look else {} for item in ids]
    rows = [outcome(item, response.action, "submitted", **names) for item, names in zip(ids, known, strict=True)]
    assert acted(entry) == rows
    assert entry["Contents"] == rows
    noun = "risky user" if response.ids == "userIds" else "risky service principal"
    columns = "User Principal Name|Risk Level|Risk State|" if look else ""
    shown = ["".join(f" {value} |" for value in names.values()) for names in known]
    assert entry["HumanReadable"] == (
        f"### {aru.pascalToSpace(response.action)}: 2 {noun}(s)\n"
        f"2 submitted. Graph applies this within minutes. {response.effect}\n"
        f"|Id|{columns}Action|Status|\n"
        f"|---|{'---|' * len(known[0])}---|---|\n"
        f"| {ids[0]} |{shown[0]} {response.action} | submitted |\n"
        f"| {ids[1]} |{shown[1]} {response.action} | submitted |\n"
    )


@every_response_by_name
def test_names_are_resolved_before_anything_is_changed(
    response: Response, run: Succeed, tenant: Tenant, simulator: Simulator
) -> None:
    entry = only_entry(run(f"!{response.command} user={OTHER_ID},{ADELE},Sean.Haddad1@contoso.example"))
    names = f"(userPrincipalName eq '{ADELE}' or userPrincipalName eq 'Sean.Haddad1@contoso.example')"
    ids = {OTHER_ID, ADELE_ID, SEAN_ID}
    (*looks, (path, body)) = sent_to_graph(simulator)
    in_lower_case = "userPrincipalName eq 'sean.haddad1@contoso.example'"
    look = [("riskyUsers", f"id eq '{OTHER_ID}'")] * looks_before(response)
    assert looks == [("riskyUsers", names), ("riskyUsers", in_lower_case), *look]
    assert (path, set(body)) == (f"riskyUsers/{response.action}", {"userIds"})
    assert (body["userIds"][0], set(body["userIds"])) == (OTHER_ID, ids)
    adele = {"userPrincipalName": ADELE, "riskLevel": "high", "riskState": "atRisk"}
    sean = {
        "userPrincipalName": "sean.haddad1@contoso.example",
        "riskLevel": "high",
        "riskState": "atRisk",
    }
    other = {name: tenant.users[OTHER_ID][name] for name in KNOWN} if look else {}
    by_id = {row["id"]: row for row in acted(entry)}
    assert by_id == {
        OTHER_ID: outcome(OTHER_ID, response.action, "submitted", **other),
        SEAN_ID: outcome(SEAN_ID, response.action, "submitted", **sean),
        ADELE_ID: outcome(ADELE_ID, response.action, "submitted", **adele),
    }
    assert tenant.users[ADELE_ID]["isProcessing"]


def test_a_user_given_twice_is_acted_on_once(run: Succeed, simulator: Simulator) -> None:
    ids = f"{ADELE_ID},{ADELE_ID.upper()}"
    run(f"!{DISMISS} user={ids},{ADELE},{ADELE.title()} max_users=2")
    assert posted(simulator) == [[ADELE_ID]]


def test_many_names_are_resolved_by_fifteen(run: Succeed, tenant: Tenant, simulator: Simulator) -> None:
    users = [tenant.users[user_id] for user_id in risky_ids(tenant, 20)]
    names = ",".join(user["userPrincipalName"] for user in users)
    run(f"!{DISMISS} user={names}")
    assert [text.count(" eq ") for path, text in sent_to_graph(simulator)[:-1]] == [15, 5]
    assert [set(ids) for ids in posted(simulator)] == [{user["id"] for user in users}]


@every_response_by_name
@pytest.mark.parametrize("names", [f"{ADELE},nobody@contoso.example", "nobody@contoso.example"])
def test_an_unknown_name_stops_everything(
    response: Response, names: str, error: Fail, tenant: Tenant, simulator: Simulator
) -> None:
    what = {
        "confirmCompromised": "neither a risky user nor an account of the directory has that name",
        "confirmSafe": "no risky user has that name, so there is no risk to close",
        "dismiss": "no risky user has that name, so there is no risk to close",
    }[response.action]
    shown = names.replace(",", ", ")
    assert error(f"!{response.command} user={OTHER_ID},{names}") == (
        f'Failed to execute {response.command}. user="{shown}" cannot be used. Accepted: names of one '
        f"account each. nobody@contoso.example: {what}. Nothing was changed."
    )
    assert posted(simulator) == []
    assert not tenant.users[ADELE_ID]["isProcessing"]


def test_a_name_that_several_have_is_refused_with_their_ids(error: Fail, tenant: Tenant, simulator: Simulator) -> None:
    namesake = tenant.add_user(userPrincipalName=ADELE)["id"]
    message = error(f"!{DISMISS} user={ADELE}")
    found = "; ".join(user_id for user_id in tenant.users if user_id in (ADELE_ID, namesake))
    assert message == (
        f'Failed to execute {DISMISS}. user="{ADELE}" cannot be used. Accepted: names of one account each. '
        f"{ADELE}: 2 users have that name ({found}). Give an ID. Nothing was changed."
    )
    assert posted(simulator) == []


@every_response_by_name
def test_the_name_of_a_deleted_account_is_refused_with_its_id(
    response: Response, error: Fail, tenant: Tenant, simulator: Simulator
) -> None:
    tenant.users[ADELE_ID]["isDeleted"] = True
    assert error(f"!{response.command} user={ADELE}") == (
        f'Failed to execute {response.command}. user="{ADELE}" cannot be used. Accepted: names of one account each. '
        f"{ADELE}: that account is deleted ({ADELE_ID}, deleted). Give its ID to act on it. Nothing was changed."
    )
    assert posted(simulator) == []


def test_a_living_account_of_the_directory_is_named_beside_a_deleted_one(
    error: Fail, tenant: Tenant, simulator: Simulator
) -> None:
    tenant.users[ADELE_ID]["isDeleted"] = True
    account = next(iter(tenant.directory.values()))
    account["userPrincipalName"] = ADELE
    message = error(f"!azure-risky-users-confirm-compromise user={ADELE}")
    assert message.endswith(
        f"{ADELE}: 2 users have that name ({account['id']}; {ADELE_ID}, deleted). Give an ID. Nothing was changed."
    )
    assert posted(simulator) == []


@pytest.mark.parametrize(("deleted", "is_deleted"), [("true", True), ("True", True), ("false", False), (None, False)])
def test_a_switch_that_graph_sends_as_a_text_means_what_it_says(
    deleted: Any, is_deleted: bool, war_room: WarRoom, simulator: Simulator
) -> None:
    foreign(simulator, user_row(ADELE, ADELE_ID) | {"isDeleted": deleted})
    assert war_room.run(f"!{DISMISS} user={ADELE}").failed is is_deleted


def test_two_states_of_one_account_refuse_the_whole_command(error: Fail, simulator: Simulator) -> None:
    foreign(simulator, user_row(ADELE, ADELE_ID), user_row(ADELE, ADELE_ID) | {"isDeleted": True})
    assert error(f"!{DISMISS} user={ADELE}") == (
        f"Failed to execute {DISMISS}. Graph answered with two states of {ADELE_ID}. The answer is not used."
    )
    assert posted(simulator) == []


# Answers that name others


def foreign(simulator: Simulator, *rows: Row) -> None:
    """Let Graph's next answer hold these rows, whatever it was asked for."""
    simulator.fail_next(200, body={"value": list(rows)})


def user_row(name: Any, row_id: str = OTHER_ID) -> Row:
    return {"id": row_id, "userPrincipalName": name, "riskState": "atRisk", "isDeleted": False}


OTHERS: list[Any] = ["bob@contoso.example", f"x{ADELE}", f"{ADELE}x", None, "", 7, ["a"]]
NOT_USED = (
    "Graph answered with another risky user than was asked for: its userPrincipalName is none of those that were "
    "named. The answer is not used."
)


@every_response_by_name
@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("options", ["", " dry_run=true", " max_users=1"])
def test_one_row_of_another_name_refuses_the_whole_command(
    response: Response, name: Any, options: str, error: Fail, simulator: Simulator
) -> None:
    foreign(simulator, user_row(ADELE, ADELE_ID), user_row(name))
    assert error(f"!{response.command} user={ADELE}{options}") == f"Failed to execute {response.command}. {NOT_USED}"
    assert posted(simulator) == []


def test_a_row_without_a_name_is_nobody_called_none(error: Fail, simulator: Simulator) -> None:
    foreign(simulator, user_row(None))
    assert error(f"!{DISMISS} user=None@contoso.example") == f"Failed to execute {DISMISS}. {NOT_USED}"
    assert posted(simulator) == []


@pytest.mark.parametrize("row_id", [None, "", "*", "../x", OTHER, f" {OTHER_ID}", 7, [OTHER_ID]])
def test_a_row_without_a_guid_refuses_the_whole_command(row_id: Any, error: Fail, simulator: Simulator) -> None:
    foreign(simulator, user_row(ADELE) | {"id": row_id})
    assert error(f"!{DISMISS} user={ADELE}") == (
        f"Failed to execute {DISMISS}. Graph answered with an object whose id is no GUID. The answer is not used."
    )
    assert posted(simulator) == []


def test_a_name_is_the_same_in_any_case_and_in_no_other_way(run: Succeed, tenant: Tenant, simulator: Simulator) -> None:
    tenant.users[ADELE_ID]["userPrincipalName"] = ADELE.title()
    run(f"!{DISMISS} user={ADELE.title()}")
    assert posted(simulator) == [[ADELE_ID]]


def test_the_same_row_twice_is_one_user(run: Succeed, simulator: Simulator) -> None:
    row = user_row(ADELE, ADELE_ID)
    foreign(simulator, row, row)
    run(f"!{DISMISS} user={ADELE} max_users=1")
    assert posted(simulator) == [[ADELE_ID]]


def test_a_look_at_what_became_of_an_id_trusts_no_other_row(war_room: WarRoom, simulator: Simulator) -> None:
    rounds = war_room.rounds(f"!{DISMISS} user={ADELE_ID} verify=true")
    next(rounds)
    foreign(simulator, user_row(ADELE, OTHER_ID) | {"riskState": "dismissed"})
    (entry,) = next(rounds).entries
    assert entry["HumanReadable"] == (
        "Graph answered with another risky user than was asked for: its id is none of those that were named. "
        "The answer is not used. Looking again in 30 seconds."
    )


# Accounts without a risk record


def test_an_account_without_risk_is_found_in_the_directory(run: Succeed, tenant: Tenant, simulator: Simulator) -> None:
    account = next(iter(tenant.directory.values()))
    name = account["userPrincipalName"]
    entry = only_entry(run(f"!azure-risky-users-confirm-compromise user={name}"))
    assert [(request.path, request.query) for request in simulator.graph_requests[:-1]] == [
        (f"{BASE}riskyUsers", {"$filter": f"userPrincipalName eq '{name}'", "$top": "500"}),
        (
            "/v1.0/users",
            {"$filter": f"userPrincipalName eq '{name}'", "$select": "id,userPrincipalName,displayName"},
        ),
    ]
    assert posted(simulator) == [[account["id"]]]
    known = {"userPrincipalName": name, "displayName": account["userDisplayName"]}
    assert acted(entry) == [outcome(account["id"], "confirmCompromised", "submitted", **known)]


def test_an_account_without_risk_shows_in_a_dry_run_as_such(run: Succeed, tenant: Tenant) -> None:
    account = next(iter(tenant.directory.values()))
    entry = only_entry(run(f"!azure-risky-users-confirm-compromise user={account['userPrincipalName']} dry_run=true"))
    known = {"userPrincipalName": account["userPrincipalName"], "displayName": account["userDisplayName"]}
    assert acted(entry) == [
        outcome(account["id"], "confirmCompromised", "dry run", "an account without any risk so far", **known)
    ]


@pytest.mark.parametrize("response", BY_NAME[1:], ids=lambda response: response.command)
def test_there_is_no_risk_to_close_of_an_account_without_a_record(
    response: Response, error: Fail, tenant: Tenant, simulator: Simulator
) -> None:
    name = next(iter(tenant.directory.values()))["userPrincipalName"]
    assert error(f"!{response.command} user={name}").endswith(
        f"{name}: no risky user has that name, so there is no risk to close. Nothing was changed."
    )
    assert [request.path for request in simulator.graph_requests] == [f"{BASE}riskyUsers"]


def test_a_directory_that_may_not_be_asked_is_told_with_the_permission(
    error: Fail, tenant: Tenant, simulator: Simulator
) -> None:
    tenant.apps[CLIENT_ID].application_permissions -= {"User.ReadBasic.All"}
    name = next(iter(tenant.directory.values()))["userPrincipalName"]
    message = error(f"!azure-risky-users-confirm-compromise user={name}")
    start, _, request_id = message.partition(" (request-id ")
    assert start == (
        f"Failed to execute azure-risky-users-confirm-compromise. No living risky user has the name {name}, and "
        "the directory could not be used. An object ID works without it. Nothing was changed. Graph answered 403 "
        "Authorization_RequestDenied: Insufficient privileges to complete the operation. Permission missing: the "
        "application needs the application permission User.ReadBasic.All, with admin consent. Once it is granted, run "
        "!azure-risky-users-auth-reset, which drops the stored token."
    )
    assert request_id
    assert posted(simulator) == []


def test_one_account_of_another_name_refuses_the_whole_command(
    error: Fail, tenant: Tenant, simulator: Simulator
) -> None:
    account = next(iter(tenant.directory.values()))
    simulator.fail_next(200, after=1, body={"value": [{"id": OTHER_ID, "userPrincipalName": "bob@contoso.example"}]})
    message = error(f"!azure-risky-users-confirm-compromise user={account['userPrincipalName']}")
    assert "Graph answered with another account than was asked for" in message
    assert posted(simulator) == []


# What is refused at the door


@every_response
@pytest.mark.parametrize(
    "value",
    ["*", "../../x", "..", "333", "Adele Vance", "me", "%2e%2e", f"{ADELE_ID}/history", f"{{{ADELE_ID}}}", "a@"],
)
def test_what_is_neither_an_id_nor_a_name_is_refused(
    response: Response, value: str, error: Fail, simulator: Simulator
) -> None:
    accepted = "object IDs (GUIDs)" + (" and user principal names" if response in BY_NAME else "")
    assert error(f'!{response.command} {response.argument}="{ADELE_ID},{value}"') == (
        f'Failed to execute {response.command}. {response.argument}="{value}" cannot be used. Accepted: {accepted}.'
    )
    assert simulator.requests == []


@pytest.mark.parametrize("response", RESPONSES[3:], ids=lambda response: response.command)
def test_service_principals_have_no_user_principal_names(response: Response, error: Fail, simulator: Simulator) -> None:
    assert error(f"!{response.command} service_principal={ADELE}") == (
        f'Failed to execute {response.command}. service_principal="{ADELE}" cannot be used. '
        "Accepted: object IDs (GUIDs)."
    )
    assert simulator.requests == []


@every_response
@pytest.mark.parametrize("name", ["dry_run", "verify"])
@pytest.mark.parametrize("value", ["", " ", None])
def test_an_empty_switch_is_refused_and_never_means_for_real(
    response: Response, name: str, value: str | None, war_room: WarRoom, simulator: Simulator
) -> None:
    entry = only_entry(war_room.call(response.command, {response.argument: ADELE_ID, name: value}))
    assert entry["Contents"] == (
        f'Failed to execute {response.command}. {name}="{value}" cannot be used. Accepted: true, false.'
    )
    assert simulator.requests == []


def test_names_that_cannot_all_be_looked_up_stop_everything(error: Fail, tenant: Tenant, simulator: Simulator) -> None:
    simulator.fail_next(403, after=1)
    names = ",".join(user["userPrincipalName"] for user in list(tenant.users.values())[:16])
    assert "Graph answered 403 Forbidden" in error(f"!{DISMISS} user={names}")
    assert posted(simulator) == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("user=[]", 'user="[]" cannot be used. Accepted: at least one value.'),
        (f"user={ADELE_ID},,", 'user="" cannot be used. Accepted: a text that is not empty, of visible characters.'),
        (f"user={ADELE_ID} dry_run=maybe", 'dry_run="maybe" cannot be used. Accepted: true, false.'),
        (f"user={ADELE_ID} verify=1", 'verify="1" cannot be used. Accepted: true, false.'),
        (f"user={ADELE_ID} max_users=0", 'max_users="0" cannot be used. Accepted: a whole number from 1 up.'),
        (f"user={ADELE_ID} max_users=all", 'max_users="all" cannot be used. Accepted: a whole number from 1 up.'),
        (
            f"user={ADELE_ID},{OTHER_ID},a@b.example max_users=2",
            'max_users="2" cannot be used. Accepted: at least 3, the number of those to be changed. '
            "Try dry_run=true first.",
        ),
        (f"user={ADELE_ID} verify_until=soon", f'verify_until="soon" cannot be used. Accepted: {aru.MOMENT_FORMS}.'),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_sent(
    arguments: str, text: str, error: Fail, simulator: Simulator
) -> None:
    assert error(f"!{DISMISS} {arguments}") == f"Failed to execute {DISMISS}. {text}"
    assert simulator.requests == []


@every_response
@pytest.mark.parametrize("value", ["", None, []])
def test_nobody_is_not_everybody(response: Response, value: Any, war_room: WarRoom, simulator: Simulator) -> None:
    entry = only_entry(war_room.call(response.command, {response.argument: value}))
    start = f'Failed to execute {response.command}. {response.argument}="'
    assert entry["Contents"].startswith(start)
    assert simulator.requests == []


@pytest.mark.parametrize(
    ("command", "argument", "maximum"),
    [(response.command, response.argument, "max_users") for response in BY_NAME]
    + [(response.command, response.argument, "max_service_principals") for response in RESPONSES[3:]],
)
def test_more_than_sixty_have_to_be_allowed(
    command: str, argument: str, maximum: str, error: Fail, simulator: Simulator
) -> None:
    message = error(f"!{command} {argument}={','.join(GUIDS)}")
    assert message.startswith(f'Failed to execute {command}. {maximum}="60" cannot be used. Accepted: at least 61, ')
    assert simulator.requests == []


# Many ids


@pytest.mark.parametrize(("number", "sizes"), [(60, [60]), (61, [60, 1]), (600, [60] * 10)])
def test_sixty_ids_go_in_one_request(
    number: int, sizes: list[int], run: Succeed, tenant: Tenant, simulator: Simulator
) -> None:
    ids = risky_ids(tenant, number)
    entry = only_entry(run(dismissal(ids)))
    assert [len(part) for part in posted(simulator)] == sizes
    assert len(simulator.graph_requests) == len(sizes)
    assert [item for part in posted(simulator) for item in part] == ids
    assert statuses(entry) == dict.fromkeys(ids, "submitted")


@pytest.mark.parametrize("culprit", ["deleted", "unknown"])
def test_one_refused_user_does_not_hold_up_fifty_nine_others(
    culprit: str, war_room: WarRoom, tenant: Tenant, simulator: Simulator
) -> None:
    ids, tenant.processing_reads = risky_ids(tenant, 60), 1
    if culprit == "deleted":
        tenant.users[ids[20]]["isDeleted"] = True
    else:
        del tenant.users[ids[20]]
    results, error = war_room.run(dismissal(ids)).entries
    assert statuses(results) == {item: "refused" if item == ids[20] else "submitted" for item in ids}
    (refused,) = [row for row in acted(results) if row["status"] == "refused"]
    reason = f"These userIds do not exist in your tenant or they are not risky: {ids[20]}."
    assert refused["reason"].startswith(f"Graph answered 400 BadRequest: {reason} (request-id ")
    assert "59 submitted, 1 refused" in results["HumanReadable"]
    assert (results["Type"], error["Type"]) == (aru.EntryType.NOTE, aru.EntryType.ERROR)
    assert error["Contents"] == (f"Failed to execute {DISMISS}. 1 of 60 IDs were not accepted; the table tells why.")
    assert {user_id for user_id in ids if user_id in tenant.users and tenant.users[user_id]["isProcessing"]} == {
        item for item in ids if item != ids[20]
    }
    assert len(posted(simulator)) <= 13


def test_a_refusal_whose_message_is_no_text_still_shows_what_was_changed(
    war_room: WarRoom, tenant: Tenant, simulator: Simulator
) -> None:
    ids = risky_ids(tenant, 30)
    simulator.fail_next(409, body={"error": {"code": "X", "message": {"a": 1}}})
    results, error = war_room.run(dismissal(ids)).entries
    assert statuses(results) == dict.fromkeys(ids, "refused")
    assert error["Contents"] == (f"Failed to execute {DISMISS}. 30 of 30 IDs were not accepted; the table tells why.")


@pytest.mark.parametrize(
    "body",
    ["[" * 100_000, '{"error": ' * 100_000, '{"error": {"message": {"a": ["b"]}}}', '{"error": "text"}', "NaN", "\x00"],
    ids=["nested", "nested objects", "object", "text", "NaN", "zero"],
)
@pytest.mark.parametrize("status", [403, 418])
def test_an_answer_that_nobody_foresaw_never_loses_the_record(
    body: str, status: int, war_room: WarRoom, tenant: Tenant, simulator: Simulator
) -> None:
    ids = risky_ids(tenant, 180)
    simulator.fail_next(status, after=1, body=body)
    results, error = war_room.run(dismissal(ids)).entries
    assert [row["status"] for row in acted(results)][:60] == ["submitted"] * 60
    assert {row["status"] for row in acted(results)[60:120]} <= {"refused", "unknown"}
    assert [row["status"] for row in acted(results)][120:] == ["not tried"] * 60
    assert error["Contents"] == f"Failed to execute {DISMISS}. 120 of 180 IDs were not accepted; the table tells why."


@every_response
def test_a_refused_action_does_not_speak_of_an_effect(
    response: Response, war_room: WarRoom, simulator: Simulator
) -> None:
    simulator.fail_next(403, after=looks_before(response))
    results, _ = war_room.run(f"!{response.command} {response.argument}={OTHER_ID}").entries
    assert results["HumanReadable"].splitlines()[1] == "1 refused. Nothing was changed."


@pytest.mark.usefixtures("no_waiting")
def test_an_unknown_outcome_does_not_speak_of_an_effect_either(war_room: WarRoom, simulator: Simulator) -> None:
    simulator.fail_next(503, after=1, times=99)
    results, _ = war_room.run(f"!{DISMISS} user={OTHER_ID}").entries
    assert results["HumanReadable"].splitlines()[1] == (
        "1 unknown. Look at the state of those that are unknown before trying again."
    )


def test_six_hundred_users_with_one_refused_take_ten_requests_and_what_the_refusal_needs(
    war_room: WarRoom, tenant: Tenant, simulator: Simulator
) -> None:
    ids = risky_ids(tenant, 600)
    tenant.users[ids[100]]["isDeleted"] = True
    results, _ = war_room.run(dismissal(ids)).entries
    assert statuses(results) == {item: "refused" if item == ids[100] else "submitted" for item in ids}
    assert len(posted(simulator)) <= 10 + 12


@pytest.mark.parametrize(
    ("fault", "status", "reason"),
    [
        ({"status": 403}, "refused", "Graph answered 403 Forbidden: "),
        (
            {"status": 503, "times": 99},
            "unknown",
            "Graph failed; the change may or may not have been made. Graph answered 503 serviceNotAvailable: ",
        ),
        (
            {"drop": True, "times": 99},
            "unknown",
            "No answer of Graph's came; the change may or may not have been made. "
            "graph.microsoft.com was not reached: ",
        ),
        ({"status": 429, "times": 999}, "refused", "Graph answered 429 TooManyRequests: "),
        (
            {"status": 203, "body": "<html>Sign in</html>"},
            "unknown",
            "No answer of Graph's came; the change may or may not have been made. "
            "What answered (203, text/html) was not Graph. ",
        ),
        ({"status": 302, "location": "https://evil.example/"}, "unknown", "No answer of Graph's came; "),
    ],
)
@pytest.mark.usefixtures("no_waiting")
def test_a_fault_in_the_middle_is_told_for_each_id(
    fault: Row, status: str, reason: str, war_room: WarRoom, tenant: Tenant, simulator: Simulator
) -> None:
    ids = risky_ids(tenant, 180)
    simulator.fail_next(after=1, **fault)
    results, error = war_room.run(dismissal(ids)).entries
    assert statuses(results) == {
        item: "submitted" if number < 60 else status if number < 120 else "not tried" for number, item in enumerate(ids)
    }
    reasons = [row["reason"] for row in acted(results)]
    assert [text.startswith(reason) for text in reasons[60:120]] == [True] * 60
    assert set(reasons[:60]) == {""}
    assert set(reasons[120:]) == {"An earlier request failed"}
    assert "120 of 180 IDs were not accepted" in error["Contents"]


def test_a_passing_fault_is_outlived(
    no_waiting: list[float], run: Succeed, tenant: Tenant, simulator: Simulator
) -> None:
    ids = risky_ids(tenant, 61)
    simulator.fail_next(503, after=1, times=2)
    entry = only_entry(run(dismissal(ids)))
    assert statuses(entry) == dict.fromkeys(ids, "submitted")
    assert [len(part) for part in posted(simulator)] == [60, 1, 1, 1]
    assert len(no_waiting) == 2


def test_a_token_refused_in_the_middle_is_renewed(run: Succeed, tenant: Tenant, simulator: Simulator) -> None:
    simulator.fail_next(401, after=1)
    ids = risky_ids(tenant, 120)
    entry = only_entry(run(dismissal(ids)))
    assert statuses(entry) == dict.fromkeys(ids, "submitted")


def test_a_missing_write_permission_is_named(war_room: WarRoom, tenant: Tenant) -> None:
    tenant.apps[CLIENT_ID].application_permissions -= {"IdentityRiskyUser.ReadWrite.All"}
    results, _ = war_room.run(f"!{DISMISS} user={ADELE_ID}").entries
    (row,) = acted(results)
    assert row["status"] == "refused"
    assert (
        "Permission missing: the application needs the application permission IdentityRiskyUser.ReadWrite.All, "
        "with admin consent."
    ) in row["reason"]


# What will not last


SETTLED = "The risk is settled already: nothing is left to close"
DELETED = "The account is deleted: only Microsoft's support can close its risk"
COMPOUNDED = "Defender raises this risk, also over a linked account: it returns until the attack there is over"
SAFE, COMPROMISED = "azure-risky-users-confirm-safe", "azure-risky-users-confirm-compromise"
CAVEATS: list[tuple[Row, dict[str, str]]] = [
    ({}, {}),
    ({"riskState": "dismissed", "riskLevel": "none"}, {DISMISS: SETTLED, SAFE: SETTLED}),
    ({"riskState": "remediated"}, {DISMISS: SETTLED, SAFE: SETTLED}),
    ({"riskState": "confirmedSafe"}, {DISMISS: SETTLED, SAFE: SETTLED}),
    ({"riskLevel": "none"}, {DISMISS: SETTLED, SAFE: SETTLED}),
    ({"riskState": "confirmedCompromised"}, {}),
    ({"riskLevel": "hidden"}, {}),
    ({"isDeleted": True}, {DISMISS: DELETED}),
    ({"isDeleted": "true", "riskDetail": "aiElevatedAccountRisk"}, {DISMISS: DELETED}),
    ({"isDeleted": True, "riskState": "dismissed"}, {DISMISS: SETTLED, SAFE: SETTLED}),
    ({"riskDetail": "aiElevatedAccountRisk"}, {DISMISS: COMPOUNDED}),
    ({"riskDetail": "AIElevatedAccountRisk"}, {DISMISS: COMPOUNDED}),
    ({"riskDetail": "aiConfirmedSigninSafe"}, {}),
]


def at_risk(**changes: Any) -> Row:
    """A row of Graph's for Adele, who is at risk unless changed."""
    row = {"id": ADELE_ID, "userPrincipalName": ADELE, "riskLevel": "high", "riskState": "atRisk", "riskDetail": "none"}
    return row | changes


def known_of(row: Row) -> Row:
    return {name: row[name] for name in KNOWN}


def answer_with(simulator: Simulator, *rows: Row) -> None:
    """Have the next request answered with these rows."""
    simulator.fail_next(200, body={"value": list(rows)})


@pytest.mark.parametrize("command", [DISMISS, SAFE, COMPROMISED])
@pytest.mark.parametrize(("changes", "reasons"), CAVEATS)
def test_a_dry_run_tells_of_each_user_whether_the_verdict_will_do_what_is_expected(
    changes: Row, reasons: dict[str, str], command: str, run: Succeed, simulator: Simulator
) -> None:
    row = at_risk(**changes)
    answer_with(simulator, row)
    (told,) = acted(only_entry(run(f"!{command} user={ADELE_ID} dry_run=true")))
    (action,) = [response.action for response in RESPONSES if response.command == command]
    assert told == outcome(ADELE_ID, action, "dry run", reasons.get(command, ""), **known_of(row))
    assert len(simulator.graph_requests) == 1


@pytest.mark.parametrize(("changes", "reasons"), CAVEATS)
def test_a_dismissal_by_id_tells_what_will_not_last_for_one_request_more(
    changes: Row, reasons: dict[str, str], run: Succeed, simulator: Simulator
) -> None:
    row = at_risk(**changes)
    answer_with(simulator, row)
    entry = only_entry(run(f"!{DISMISS} user={ADELE_ID},{OTHER_ID}"))
    ids = [ADELE_ID, OTHER_ID]
    assert sent_to_graph(simulator) == [("riskyUsers", any_id(ids)), ("riskyUsers/dismiss", {"userIds": ids})]
    assert acted(entry) == [
        outcome(ADELE_ID, "dismiss", "submitted", reasons.get(DISMISS, ""), **known_of(row)),
        outcome(OTHER_ID, "dismiss", "submitted"),
    ]


@pytest.mark.parametrize(("command", "reason"), [(DISMISS, SETTLED), (SAFE, SETTLED), (COMPROMISED, "")])
def test_what_will_not_last_is_told_of_a_name_without_another_request(
    command: str, reason: str, run: Succeed, tenant: Tenant, simulator: Simulator
) -> None:
    tenant.change_user(ADELE_ID, riskLevel="none", riskState="remediated")
    (row,) = acted(only_entry(run(f"!{command} user={ADELE}")))
    assert (row["status"], row["reason"]) == ("submitted", reason)
    assert [request.method for request in simulator.graph_requests] == ["GET", "POST"]


@pytest.mark.parametrize(
    ("row", "reason"), [({"riskState": "dismissed"}, SETTLED), ({"riskLevel": "none"}, SETTLED), ({}, "")]
)
def test_a_dry_run_tells_that_a_service_principals_risk_is_settled(
    row: Row, reason: str, run: Succeed, simulator: Simulator
) -> None:
    answer_with(simulator, {"id": ADELE_ID, "displayName": "Payroll", "riskLevel": "high", "riskState": "atRisk"} | row)
    dry_run = "azure-risky-service-principals-dismiss service_principal"
    (told,) = acted(only_entry(run(f"!{dry_run}={ADELE_ID} dry_run=true")))
    assert (told["status"], told["reason"]) == ("dry run", reason)


def test_a_refusal_is_told_after_what_was_to_be_expected(
    war_room: WarRoom, tenant: Tenant, simulator: Simulator
) -> None:
    tenant.users[ADELE_ID]["isDeleted"] = True
    results, _ = war_room.run(f"!{DISMISS} user={ADELE_ID}").entries
    (row,) = acted(results)
    assert row["status"] == "refused"
    assert row["reason"].startswith(f"{DELETED}. Graph answered 400 BadRequest: ")
    assert [request.method for request in simulator.graph_requests] == ["GET", "POST"]
    assert results["HumanReadable"].splitlines()[1] == "1 refused. Nothing was changed."


@pytest.mark.parametrize(("number", "looks"), [(15, 1), (16, 0)])
def test_more_than_one_request_can_look_at_are_dismissed_at_once_and_told_of_the_dry_run(
    number: int, looks: int, run: Succeed, tenant: Tenant, simulator: Simulator
) -> None:
    ids = risky_ids(tenant, number)
    entry = only_entry(run(dismissal(ids)))
    assert [request.method for request in simulator.graph_requests] == ["GET"] * looks + ["POST"]
    advice = "More than 15 IDs are not looked up first; dry_run=true tells which dismissals will not last."
    assert entry["HumanReadable"].splitlines()[1] == " ".join(
        [
            f"{number} submitted. Graph applies this within minutes. All risk is closed, that of past sign-ins too.",
            *([] if looks else [advice]),
        ]
    )
    assert statuses(entry) == dict.fromkeys(ids, "submitted")


def test_who_may_not_read_dismisses_all_the_same_and_is_told_so(
    run: Succeed, tenant: Tenant, simulator: Simulator
) -> None:
    tenant.apps[CLIENT_ID].application_permissions -= {"IdentityRiskyUser.Read.All"}
    entry = only_entry(run(f"!{DISMISS} user={ADELE_ID}"))
    assert posted(simulator) == [[ADELE_ID]]
    assert len(simulator.graph_requests) == 2
    assert acted(entry) == [outcome(ADELE_ID, "dismiss", "submitted")]
    assert (
        entry["HumanReadable"]
        .splitlines()[1]
        .startswith(
            "1 submitted. Graph applies this within minutes. All risk is closed, that of past sign-ins too. "
            "Whether the change will last could not be looked up first. Graph answered 403 Forbidden: "
        )
    )


@pytest.mark.parametrize(
    "rows",
    [
        [at_risk(id=OTHER_ID, riskState="dismissed")],
        [at_risk(), at_risk(riskState="dismissed")],
        [at_risk(id=None)],
    ],
    ids=["another's", "two states", "no ID"],
)
def test_what_was_not_asked_for_says_nothing_of_a_dismissal(
    rows: list[Row], run: Succeed, simulator: Simulator
) -> None:
    answer_with(simulator, *rows)
    entry = only_entry(run(f"!{DISMISS} user={ADELE_ID}"))
    assert posted(simulator) == [[ADELE_ID]]
    assert acted(entry) == [outcome(ADELE_ID, "dismiss", "submitted")]
    assert "could not be looked up first" in entry["HumanReadable"]


@pytest.mark.parametrize("fault", [{"times": 999}, {"retry_after": 200}], ids=["again and again", "for long"])
def test_a_look_that_is_refused_for_coming_too_often_does_not_hold_up_a_dismissal(
    fault: Row, run: Succeed, simulator: Simulator, no_waiting: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    invoke_action = aru.GraphClient.invoke_action

    def with_better_luck(*arguments: Any) -> None:
        simulator.faults.clear()
        invoke_action(*arguments)

    monkeypatch.setattr(aru.GraphClient, "invoke_action", with_better_luck)
    simulator.fail_next(429, **fault)
    entry = only_entry(run(f"!{DISMISS} user={ADELE_ID}"))
    assert posted(simulator) == [[ADELE_ID]]
    assert acted(entry) == [outcome(ADELE_ID, "dismiss", "submitted")]
    assert "could not be looked up first. Graph answered 429 TooManyRequests" in entry["HumanReadable"]
    assert sum(no_waiting) < 20


def test_an_action_itself_is_repeated_as_long_as_ever_after_a_hurried_look(
    run: Succeed, simulator: Simulator, no_waiting: list[float]
) -> None:
    simulator.fail_next(429, times=60, after=1)
    entry = only_entry(run(f"!{DISMISS} user={ADELE_ID}"))
    assert statuses(entry) == {ADELE_ID: "submitted"}
    assert sum(no_waiting) > 60


# Dry run


@every_response
def test_a_dry_run_shows_who_would_be_affected_and_changes_nothing(
    response: Response, run: Succeed, tenant: Tenant, simulator: Simulator
) -> None:
    row = next(iter(tenant.store(response.resource).values()))
    entry = only_entry(run(f"!{response.command} {response.argument}={row['id']},{UNKNOWN_ID} dry_run=true"))
    assert sent_to_graph(simulator) == [(response.resource, f"(id eq '{row['id']}' or id eq '{UNKNOWN_ID}')")]
    shown = {name: row[name] for name in aru.TARGET_COLUMNS if name in row}
    rows = [
        outcome(row["id"], response.action, "dry run", **shown),
        outcome(UNKNOWN_ID, response.action, "dry run", "Graph knows no risk for this ID, and may refuse it"),
    ]
    assert acted(entry) == rows
    name_column = "User Principal Name" if response.ids == "userIds" else "Display Name"
    title, notes, meaning, *table = entry["HumanReadable"].splitlines()
    assert (notes, meaning) == (f"2 dry run. Nothing was changed. {response.effect}", MEANINGS[response.command])
    assert table == [
        f"|Id|{name_column}|Risk Level|Risk State|Action|Status|Reason|",
        "|---|---|---|---|---|---|---|",
        f"| {row['id']} | {row.get('userPrincipalName') or row['displayName']} | {row['riskLevel']} "
        f"| {row['riskState']} | {response.action} | dry run |  |",
        f"| {UNKNOWN_ID} |  |  |  | {response.action} | dry run | Graph knows no risk for this ID, and may refuse it |",
    ]
    assert title.endswith("2 risky user(s)" if response.ids == "userIds" else "2 risky service principal(s)")


def test_a_dry_run_resolves_names_as_the_real_run_would(run: Succeed, error: Fail, simulator: Simulator) -> None:
    entry = only_entry(run(f"!{DISMISS} user={ADELE} dry_run=true"))
    adele = {"userPrincipalName": ADELE, "riskLevel": "high", "riskState": "atRisk"}
    assert acted(entry) == [outcome(ADELE_ID, "dismiss", "dry run", **adele)]
    assert "cannot be used" in error(f"!{DISMISS} user=nobody@contoso.example dry_run=true")
    assert posted(simulator) == []


def test_a_dry_run_may_show_more_than_a_run_may_change(run: Succeed, tenant: Tenant, simulator: Simulator) -> None:
    ids = risky_ids(tenant, 61)
    entry = only_entry(run(f"!{DISMISS} user={','.join(ids)} dry_run=true"))
    assert statuses(entry) == dict.fromkeys(ids, "dry run")
    assert posted(simulator) == []


# Device code

DeviceRoom = Callable[[bool], WarRoom]  # the fixture `device_room`


@pytest.fixture
def device_room(simulator: Simulator) -> DeviceRoom:
    """Makes a war room whose instance was signed in by a person, with or without response commands."""

    def signed_in(allow_response: bool) -> WarRoom:
        room = demo_room(simulator, "Device Code", allow_response=allow_response)
        sign_in_by_device_code(room, simulator)
        return room

    return signed_in


@every_response
def test_device_code_without_response_commands_refuses_them(
    response: Response, device_room: DeviceRoom, simulator: Simulator
) -> None:
    entry = only_entry(device_room(False).run(f"!{response.command} {response.argument}={ADELE_ID}"))
    assert entry["Contents"] == (
        f"Failed to execute {response.command}. Response commands are off in this instance. Select 'Allow response "
        "commands' in its settings, then run !azure-risky-users-auth-start and sign in anew."
    )
    assert simulator.requests == []


def test_device_code_with_response_commands_asks_for_the_permissions_and_acts(
    device_room: DeviceRoom, simulator: Simulator
) -> None:
    room = device_room(True)
    (flow,) = simulator.entra.flows.values()
    assert {scope.rpartition("/")[2] for scope in flow.scope.split()} >= {
        "IdentityRiskyUser.ReadWrite.All",
        "IdentityRiskyServicePrincipal.ReadWrite.All",
    }
    assert not room.run(f"!{DISMISS} user={ADELE_ID}").failed
    look = ("riskyUsers", f"id eq '{ADELE_ID}'")
    assert sent_to_graph(simulator) == [look, ("riskyUsers/dismiss", {"userIds": [ADELE_ID]})]


def test_device_code_without_response_commands_does_not_ask_for_their_permissions(
    device_room: DeviceRoom, simulator: Simulator
) -> None:
    device_room(False)
    (flow,) = simulator.entra.flows.values()
    assert "ReadWrite" not in flow.scope


def test_a_dry_run_needs_no_permission_to_change(device_room: DeviceRoom, simulator: Simulator) -> None:
    assert not device_room(False).run(f"!{DISMISS} user={ADELE_ID} dry_run=true").failed
    assert posted(simulator) == []


def test_a_person_without_the_role_to_change_is_told_which(device_room: DeviceRoom, tenant: Tenant) -> None:
    tenant.user_roles = {"Security Reader"}
    results, _ = device_room(True).run(f"!{DISMISS} user={ADELE_ID}").entries
    (row,) = acted(results)
    assert "Role missing: the person who signed in needs the role Security Administrator." in row["reason"]


# What becomes of it


def test_verify_looks_again_until_the_change_has_taken_effect(
    war_room: WarRoom, tenant: Tenant, simulator: Simulator
) -> None:
    tenant.processing_reads = 2
    first, *waits, last = war_room.rounds(f"!{DISMISS} user={OTHER_ID},{ADELE} verify=true")
    entry = only_entry(first)
    assert statuses(entry) == {OTHER_ID: "submitted", ADELE_ID: "submitted"}
    schedule = {
        "PollingCommand": DISMISS,
        "NextRun": "30",
        "PollingArgs": {"user": f"{OTHER_ID},{ADELE_ID}", "verify_until": "2026-11-20T12:15:00Z"},
        "Timeout": "960",
    }
    assert {name: entry[name] for name in schedule} == schedule
    assert [entry["HumanReadable"] for run in waits for entry in run.entries] == [
        "2 of 2 changes have not taken effect; the table shows which. Looking again in 30 seconds."
    ] * len(waits)
    assert [entry["PollingArgs"] for run in waits for entry in run.entries] == [schedule["PollingArgs"]] * len(waits)
    assert waits
    (end,) = last.entries
    assert "PollingCommand" not in end
    dismissed = {"riskLevel": "none", "riskState": "dismissed"}
    assert acted(end) == [
        outcome(OTHER_ID, "dismiss", "applied", userPrincipalName=OTHER, **dismissed),
        outcome(ADELE_ID, "dismiss", "applied", userPrincipalName=ADELE, **dismissed),
    ]
    assert end["HumanReadable"].startswith("### Dismiss: 2 risky user(s)\n2 applied.")
    # The first two were for the name and for what would not last.
    reads = [text for path, text in sent_to_graph(simulator) if path == "riskyUsers"][2:]
    assert reads == [f"(id eq '{OTHER_ID}' or id eq '{ADELE_ID}')"] * (len(waits) + 1)
    assert len(posted(simulator)) == 1
    rows = war_room.context.read("AzureRiskyUsers.RiskAction")
    assert [row["status"] for row in rows] == ["applied", "applied"]


@every_response
def test_verify_knows_each_action_by_the_state_it_leads_to(response: Response, run: Succeed, tenant: Tenant) -> None:
    row_id = next(row["id"] for row in tenant.store(response.resource).values() if row["riskState"] == "atRisk")
    tenant.processing_reads = 1
    done = run(f"!{response.command} {response.argument}={row_id} verify=true")
    assert statuses(done.entries[-1]) == {row_id: "applied"}
    assert acted(done.entries[-1])[0]["riskState"] == response.state


def test_verify_says_when_the_change_has_not_taken_effect_in_time(
    instance: Row, tenant: Tenant, simulator: Simulator
) -> None:
    tenant.processing_reads = 10_000
    waits: list[float] = []
    room = WarRoom(
        aru,
        MANIFEST,
        instance,
        simulator=simulator,
        clock=lambda: NOW + timedelta(seconds=sum(waits)),
        sleep=waits.append,
    )
    *_, last = room.rounds(f"!{DISMISS} user={ADELE_ID} verify=true")
    results, error = last.entries
    (row,) = acted(results)
    assert (row["status"], row["reason"], row["riskState"]) == ("not applied", "Graph is still processing it", "atRisk")
    assert error["Contents"] == (
        f"Failed to execute {DISMISS}. 1 of 1 changes have not taken effect; the table shows which."
    )
    assert waits == [30] * 30


def test_a_failed_look_says_why_and_ends_the_waiting(war_room: WarRoom, tenant: Tenant, simulator: Simulator) -> None:
    tenant.processing_reads = 10
    simulator.fail_next(403, after=2)
    *_, last = war_room.rounds(f"!{DISMISS} user={ADELE_ID} verify=true")
    entry = only_entry(last)
    assert entry["Contents"].startswith(f"Failed to execute {DISMISS}. Graph answered 403 Forbidden: ")
    assert len(simulator.graph_requests) == 3


@pytest.mark.usefixtures("no_waiting")
def test_a_look_that_fails_for_a_cause_that_may_pass_is_repeated(war_room: WarRoom, simulator: Simulator) -> None:
    simulator.fail_next(503, after=2, times=7)
    _, failed, last = war_room.rounds(f"!{DISMISS} user={ADELE_ID} verify=true")
    entry = only_entry(failed)
    assert entry["HumanReadable"].startswith("Graph answered 503 serviceNotAvailable: ")
    assert entry["HumanReadable"].endswith(" Looking again in 30 seconds.")
    assert statuses(only_entry(last)) == {ADELE_ID: "applied"}


def test_a_change_of_somebody_who_is_not_seen_is_not_applied(war_room: WarRoom, simulator: Simulator) -> None:
    room = f"!{DISMISS} user={UNKNOWN_ID} verify_until=2026-11-20T11:00:00Z"
    results, error = war_room.run(room).entries
    assert acted(results) == [outcome(UNKNOWN_ID, "dismiss", "not applied", "Graph knows no risk for this ID")]
    assert error["Contents"].endswith("1 of 1 changes have not taken effect; the table shows which.")
    assert posted(simulator) == []


def test_more_than_sixty_are_looked_at_until_the_change_has_taken_effect(
    war_room: WarRoom, tenant: Tenant, simulator: Simulator
) -> None:
    ids = risky_ids(tenant, 61)
    _, *_, last = war_room.rounds(f"{dismissal(ids, maximum=61)} verify=true")
    assert statuses(only_entry(last)) == dict.fromkeys(ids, "applied")
    assert [len(each) for each in posted(simulator)] == [60, 1]


@pytest.mark.parametrize("until", ["", "2026-11-20T12:10:00Z"])
def test_a_look_takes_ids_alone_and_a_moment(until: str, war_room: WarRoom, simulator: Simulator) -> None:
    name = OTHER if until else OTHER_ID
    entry = only_entry(war_room.call(DISMISS, {"user": name, "verify_until": until}))
    at_fault = f'user="{OTHER}"' if until else 'verify_until=""'
    assert entry["Contents"].startswith(f"Failed to execute {DISMISS}. {at_fault} cannot be used. Accepted: ")
    assert simulator.requests == []


@pytest.mark.parametrize(
    ("status", "body"), [(302, ""), (304, ""), (200, '{"value": null}'), (200, "<html>Sign in</html>")]
)
def test_only_an_empty_success_counts_as_submitted(
    status: int, body: str, war_room: WarRoom, simulator: Simulator
) -> None:
    simulator.fail_next(status, after=1, body=body)
    results = war_room.run(f"!{DISMISS} user={OTHER_ID}").entries[0]
    assert statuses(results) == {OTHER_ID: "unknown"}


def test_nothing_is_looked_at_again_when_an_id_was_refused(war_room: WarRoom, tenant: Tenant) -> None:
    tenant.users[OTHER_ID]["isDeleted"] = True
    results, error = war_room.run(f"!{DISMISS} user={OTHER_ID},{ADELE_ID} verify=true").entries
    assert statuses(results) == {OTHER_ID: "refused", ADELE_ID: "submitted"}
    assert "PollingCommand" not in results | error


@every_response
def test_an_action_leads_to_its_documented_risk_with_a_history_item(
    response: Response, run: Succeed, tenant: Tenant
) -> None:
    row_id = next(row["id"] for row in tenant.store(response.resource).values() if row["riskState"] == "atRisk")
    kind = "user" if response.ids == "userIds" else "service-principal"
    run(f"!{response.command} {response.argument}={row_id}")
    row = run(f"!azure-risky-{kind}-get id={row_id}").entries[0]["Contents"]
    risk = {"riskLevel": response.level, "riskState": response.state, "riskDetail": response.detail}
    assert {name: row[name] for name in risk} == risk
    newest = listed_rows(run(f"!azure-risky-{kind}-history-list id={row_id} limit=1"))[0]
    assert {name: newest[name] for name in risk} == risk
    assert newest["initiatedBy"]
    detections = {
        "user": f"!azure-risky-users-risk-detections-list user_id={row_id} limit=1",
        "service-principal": f"!azure-risky-service-principal-detections-list service_principal_id={row_id} limit=1 "
        "order_by='detectedDateTime desc'",
    }
    found = listed_rows(run(detections[kind]))
    events = [detection["riskEventType"] for detection in found if detection["riskEventType"] == response.detail]
    assert events == ([response.detail] if response.action == "confirmCompromised" else [])


def test_a_user_without_risk_can_be_confirmed_compromised_and_is_waited_for(run: Succeed, tenant: Tenant) -> None:
    user_id = next(iter(tenant.directory))
    tenant.processing_reads = 0
    done = run(f"!azure-risky-users-confirm-compromise user={user_id} verify=true")
    (row,) = acted(done.entries[-1])
    assert (row["status"], row["riskState"]) == ("applied", "confirmedCompromised")


# What an instance is told it may do

READ_USERS, READ_DETECTIONS = "Read risky users", "Read risk detections"
READ_PRINCIPALS, READ_PRINCIPAL_DETECTIONS = "Read risky service principals", "Read service principal detections"
READ_SIGN_INS, LOOK_UP_USERS = "Read risky sign-ins", "Look up users in the directory"
CHANGE_USERS, CHANGE_PRINCIPALS = "Change risk of users", "Change risk of service principals"
CHANGE_SIGN_INS = "Change risk of sign-ins"
CAPABILITIES = {  # the permission of each, in the order of the rows
    READ_USERS: "IdentityRiskyUser.Read.All",
    READ_DETECTIONS: "IdentityRiskEvent.Read.All",
    READ_PRINCIPALS: "IdentityRiskyServicePrincipal.Read.All",
    READ_PRINCIPAL_DETECTIONS: "IdentityRiskEvent.Read.All",
    READ_SIGN_INS: "AuditLog.Read.All",
    LOOK_UP_USERS: "User.ReadBasic.All",
    CHANGE_USERS: "IdentityRiskyUser.ReadWrite.All",
    CHANGE_PRINCIPALS: "IdentityRiskyServicePrincipal.ReadWrite.All",
    CHANGE_SIGN_INS: "IdentityRiskEvent.ReadWrite.All",
}
ESSENTIAL = {READ_USERS, READ_DETECTIONS}
CHANGES = {CHANGE_USERS, CHANGE_PRINCIPALS, CHANGE_SIGN_INS}
WORKS = ("has it", "works")
ALLOWED = ("has it", "permitted (not tried)")

Results = dict[str, tuple[str, str]]  # what the token says and what came of it, by capability


def examined(results: Results) -> list[Row]:
    """The rows of auth-test, where all is well but for these results."""
    well = {capability: ALLOWED if capability in CHANGES else WORKS for capability in CAPABILITIES}
    return [
        {"capability": capability, "permission": CAPABILITIES[capability], "token": token, "result": result}
        for capability, (token, result) in (well | results).items()
    ]


def diagnosis(run: Run) -> list[Row]:
    """The rows of auth-test as a run's first entry holds them, without Graph's whole refusals."""
    rows = run.entries[0]["Contents"]
    return [{name: value for name, value in row.items() if name != "error"} for row in rows]


def results_of(run: Run, capabilities: Iterable[str]) -> Results:
    """What a run of auth-test says of some capabilities."""
    found = {row["capability"]: (row["token"], row["result"]) for row in diagnosis(run)}
    return {capability: found[capability] for capability in capabilities}


def unasked(permission: str) -> str:
    return (
        f"Permission missing: the application needs the application permission {permission}, with admin consent. "
        "Once it is granted, run !azure-risky-users-auth-reset, which drops the stored token."
    )


def unlicensed(licence: str) -> str:
    return f"Licence missing: the tenant needs {licence}."


def test_auth_test_shows_a_row_for_each_capability(run: Succeed, simulator: Simulator) -> None:
    done = run("!azure-risky-users-auth-test")
    assert [(request.path, request.query) for request in simulator.graph_requests] == [
        *((f"{base_of(collection)}{collection}", {"$top": "1"}) for collection in LIST_COLLECTIONS.values()),
        ("/v1.0/users", {"$top": "1"}),
    ]
    assert diagnosis(done) == examined({})
    lines = [
        f"| {capability} | {permission} | has it | {'permitted (not tried)' if capability in CHANGES else 'works'} |"
        for capability, permission in CAPABILITIES.items()
    ]
    assert done.entries[0]["HumanReadable"] == "\n".join(
        [
            "Success!",
            "### What this instance may do",
            "|Capability|Permission|Token|Result|",
            "|---|---|---|---|",
            *lines,
            "",
        ]
    )
    assert done.entries[0]["EntryContext"] == {}


@pytest.mark.parametrize(
    ("missing", "results", "fails"),
    [
        (
            ["IdentityRiskyUser.Read.All", "IdentityRiskyUser.ReadWrite.All"],
            {
                READ_USERS: ("lacks it", unasked("IdentityRiskyUser.Read.All")),
                CHANGE_USERS: ("lacks it", unasked("IdentityRiskyUser.ReadWrite.All")),
            },
            False,
        ),
        (
            ["IdentityRiskEvent.Read.All"],
            {
                READ_DETECTIONS: ("lacks it", unasked("IdentityRiskEvent.Read.All")),
                READ_PRINCIPAL_DETECTIONS: ("lacks it", unasked("IdentityRiskEvent.Read.All")),
            },
            False,
        ),
        (
            ["IdentityRiskyServicePrincipal.Read.All", "IdentityRiskyServicePrincipal.ReadWrite.All"],
            {
                READ_PRINCIPALS: ("lacks it", unasked("IdentityRiskyServicePrincipal.Read.All")),
                CHANGE_PRINCIPALS: ("lacks it", unasked("IdentityRiskyServicePrincipal.ReadWrite.All")),
            },
            False,
        ),
        (
            ["IdentityRiskyUser.ReadWrite.All"],
            {CHANGE_USERS: ("lacks it", unasked("IdentityRiskyUser.ReadWrite.All"))},
            False,
        ),
        (
            list(PERMISSIONS),
            {capability: ("lacks it", unasked(permission)) for capability, permission in CAPABILITIES.items()},
            True,
        ),
    ],
)
def test_auth_test_names_each_missing_permission_and_fails_only_where_neither_users_nor_detections_can_be_read(
    missing: list[str], results: Results, fails: bool, war_room: WarRoom, tenant: Tenant
) -> None:
    tenant.apps[CLIENT_ID].application_permissions -= set(missing)
    done = war_room.run("!azure-risky-users-auth-test")
    assert diagnosis(done) == examined(results)
    assert done.failed is fails
    assert done.entries[0]["HumanReadable"].startswith("### What" if fails else "Success!\n### What")
    expected = [text for capability, (_, text) in results.items() if capability in ESSENTIAL and fails]
    errors = contents(done)[1:]
    assert len(errors) == fails
    for text in expected:
        assert text in errors[0]
        assert "Graph answered 403 Forbidden: You cannot perform the requested operation" in errors[0]
        assert "(request-id " in errors[0]


@pytest.mark.parametrize(
    ("state", "results"),
    [
        ({"licence": "P1"}, {READ_USERS: ("has it", unlicensed("Microsoft Entra ID P2"))}),
        (
            {"licence": "Free"},
            {
                READ_USERS: ("has it", unlicensed("Microsoft Entra ID P2")),
                READ_DETECTIONS: ("has it", unlicensed("Microsoft Entra ID P1 or P2")),
                READ_SIGN_INS: (
                    "has it",
                    f"{unlicensed('Microsoft Entra ID P1 or P2')} Some tenants need Directory.Read.All too.",
                ),
            },
        ),
        (
            {"workload_licence": False},
            {
                READ_PRINCIPALS: ("has it", unlicensed("Microsoft Entra Workload ID Premium")),
                READ_PRINCIPAL_DETECTIONS: ("has it", unlicensed("Microsoft Entra Workload ID Premium")),
            },
        ),
    ],
)
def test_auth_test_tells_a_missing_licence_from_a_permission(
    state: Row, results: Results, war_room: WarRoom, tenant: Tenant
) -> None:
    vars(tenant).update(state)
    done = war_room.run("!azure-risky-users-auth-test")
    assert diagnosis(done) == examined(results)
    assert done.failed is (READ_DETECTIONS in results)


def test_auth_test_shows_what_works_beside_what_gives_an_odd_answer(war_room: WarRoom, simulator: Simulator) -> None:
    simulator.fail_next(200, after=2, body={"value": None})
    done = war_room.run("!azure-risky-users-auth-test")
    odd = ("has it", "Graph's answer holds no list of risky service principals.")
    assert diagnosis(done) == examined({READ_PRINCIPALS: odd})
    assert not done.failed


def test_auth_test_tells_an_opaque_token_as_such(run: Succeed, simulator: Simulator) -> None:
    simulator.entra.opaque_tokens = True
    read, write = ("opaque", "works"), ("opaque", "unknown: the token cannot be read, and an action cannot be tried")
    expected = {capability: write if capability in CHANGES else read for capability in CAPABILITIES}
    assert diagnosis(run("!azure-risky-users-auth-test")) == examined(expected)


def test_auth_test_tells_of_response_commands_that_are_off(device_room: DeviceRoom) -> None:
    off = (
        "lacks it",
        "Response commands are off in this instance. Select 'Allow response commands' in its settings, then run "
        "!azure-risky-users-auth-start and sign in anew.",
    )
    done = device_room(False).run("!azure-risky-users-auth-test")
    assert results_of(done, CHANGES) == dict.fromkeys(CHANGES, off)
    assert not done.failed


def test_auth_test_tells_a_missing_role_under_device_code(device_room: DeviceRoom, tenant: Tenant) -> None:
    room = device_room(True)
    tenant.user_roles = set()
    done = room.run("!azure-risky-users-auth-test")
    role = (
        "Role missing: the person who signed in needs the role Security Reader, Security Operator, Security "
        "Administrator or Global Reader."
    )
    assert results_of(done, ESSENTIAL) == dict.fromkeys(ESSENTIAL, ("has it", role))
    assert done.failed


def test_auth_test_names_a_delegated_permission_as_such(device_room: DeviceRoom) -> None:
    done = device_room(False).run("!azure-risky-users-auth-test")
    token, result = results_of(done, [READ_PRINCIPALS])[READ_PRINCIPALS]
    permission = "the delegated permission IdentityRiskyServicePrincipal.Read.All, with admin consent."
    assert (token, permission in result) == ("lacks it", True)


def test_the_test_button_takes_exactly_two_reads(war_room: WarRoom, simulator: Simulator) -> None:
    assert contents(war_room.run_test()) == ["ok"]
    assert [(request.method, request.path, request.query) for request in simulator.graph_requests] == [
        ("GET", f"{BASE}riskyUsers", {"$top": "1"}),
        ("GET", f"{BASE}riskDetections", {"$top": "1"}),
    ]


@pytest.mark.parametrize("missing", ["IdentityRiskyUser.Read.All", "IdentityRiskEvent.Read.All"])
def test_the_test_button_is_content_with_one_of_both_reads_and_logs_what_is_missing(
    missing: str, war_room: WarRoom, tenant: Tenant
) -> None:
    tenant.apps[CLIENT_ID].application_permissions -= {missing}
    done = war_room.run_test()
    assert contents(done) == ["ok"]
    (line,) = [line for line in done.logs if "[Test]" in line]
    assert line.startswith("info: [Test] Not all can be read. Graph answered 403 Forbidden: ")
    assert f"needs the application permission {missing}, with admin consent." in line


def test_the_test_button_fails_where_neither_can_be_read(war_room: WarRoom, tenant: Tenant) -> None:
    tenant.licence = "Free"
    entry = only_entry(war_room.run_test())
    assert entry["Type"] == aru.EntryType.ERROR
    assert entry["Contents"].startswith("Failed to execute test-module. Graph answered 403 Forbidden: ")
    assert unlicensed("Microsoft Entra ID P2") in entry["Contents"]
    assert unlicensed("Microsoft Entra ID P1 or P2") in entry["Contents"]


def test_the_test_button_explains_what_to_run_for_a_device_code(simulator: Simulator) -> None:
    room = demo_room(simulator, "Device Code")
    entry = only_entry(room.run_test())
    assert [name in entry["Contents"] for name in ("-auth-start", "-auth-complete", "-auth-test")] == [True] * 3
    assert simulator.requests == []
