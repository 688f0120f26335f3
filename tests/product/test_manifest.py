"""Manifest, code and README say the same, and nothing that playbooks rely on has gone from them."""

import json
import re
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest

import AzureRiskyUsers as aru  # noqa: N813 - the module bears the name of the integration
import demistomock
from helpers import (
    DETECTIONS,
    PRINCIPAL_DETECTIONS,
    PRINCIPALS,
    SIGN_INS,
    UPDATED,
    USERS,
    Row,
    collection_of,
    declared_commands,
    declared_manifest,
    text_of,
)
from tools.package import ROOT
from tools.validate import POLICIES
from warroom.azure.demo import ADELE_ID
from warroom.azure.server import Simulator
from warroom.azure.tenant import CLIENT_ID, Tenant
from warroom.demo import demo_instance
from warroom.xsoar.integration import MANIFEST
from warroom.xsoar.manifest import Manifest
from warroom.xsoar.runner import WarRoom

DECLARED = declared_manifest()
COMMANDS = declared_commands()
PARAMETERS: dict[str, Row] = {parameter["name"]: parameter for parameter in DECLARED["configuration"]}
ACTIONS = {
    action.command: action
    for action in (
        aru.CONFIRM_USERS_COMPROMISED,
        aru.CONFIRM_USERS_SAFE,
        aru.DISMISS_USERS,
        aru.CONFIRM_PRINCIPALS_COMPROMISED,
        aru.DISMISS_PRINCIPALS,
        aru.CONFIRM_SIGN_INS_COMPROMISED,
        aru.CONFIRM_SIGN_INS_SAFE,
        aru.DISMISS_SIGN_INS,
    )
}
LISTS = {
    USERS: aru.RISKY_USERS,
    DETECTIONS: aru.RISK_DETECTIONS,
    PRINCIPALS: aru.RISKY_SERVICE_PRINCIPALS,
    PRINCIPAL_DETECTIONS: aru.SERVICE_PRINCIPAL_DETECTIONS,
    SIGN_INS: aru.RISKY_SIGN_INS,
}
HISTORIES = {
    "azure-risky-user-history-list": aru.RISKY_USER_HISTORY,
    "azure-risky-service-principal-history-list": aru.SERVICE_PRINCIPAL_HISTORY,
}
GETS = {
    "azure-risky-user-get": aru.RISKY_USERS,
    "azure-risky-users-risk-detection-get": aru.RISK_DETECTIONS,
    "azure-risky-service-principal-get": aru.RISKY_SERVICE_PRINCIPALS,
    "azure-risky-service-principal-detection-get": aru.SERVICE_PRINCIPAL_DETECTIONS,
    "azure-risky-sign-in-get": aru.RISKY_SIGN_INS,
}
INVESTIGATE = "azure-risky-user-investigate"
DEVICE_CODE_ONLY = {"azure-risky-users-auth-start", "azure-risky-users-auth-complete"}


def arguments(command: str) -> dict[str, Row]:
    return {argument["name"]: argument for argument in COMMANDS[command].get("arguments") or []}


def outputs(command: str) -> dict[str, str]:
    """The types of a command's outputs, by their path."""
    return {output["contextPath"]: output["type"] for output in COMMANDS[command].get("outputs") or []}


# Commands


def test_the_manifest_declares_exactly_the_commands_that_there_are() -> None:
    assert [*COMMANDS] == [*dict.fromkeys(COMMANDS)]
    assert set(COMMANDS) == set(aru.COMMANDS) - {"test-module"}
    assert len(COMMANDS) == len(DECLARED["script"]["commands"])


def test_the_test_button_and_the_fetch_are_no_commands_of_the_manifest() -> None:
    assert {"test-module", "fetch-incidents"} & set(COMMANDS) == set()
    assert DECLARED["script"]["isfetch"] is True


def test_only_the_actions_are_marked_as_harmful_and_as_polling() -> None:
    assert {name for name, command in COMMANDS.items() if command.get("execution")} == set(ACTIONS)
    assert {name for name, command in COMMANDS.items() if command.get("polling")} == set(ACTIONS)
    assert [name for name, command in COMMANDS.items() if command.get("deprecated")] == []


def test_an_action_is_called_in_the_manifest_as_it_calls_itself_again() -> None:
    handlers = {name: aru.COMMANDS[name].__name__ for name in ACTIONS}
    assert handlers == {
        "azure-risky-users-confirm-compromise": "risky_users_confirm_compromise",
        "azure-risky-users-confirm-safe": "risky_users_confirm_safe",
        "azure-risky-users-dismiss": "risky_users_dismiss",
        "azure-risky-service-principals-confirm-compromise": "service_principals_confirm_compromise",
        "azure-risky-service-principals-dismiss": "service_principals_dismiss",
        "azure-risky-sign-ins-confirm-compromise": "risky_sign_ins_confirm_compromise",
        "azure-risky-sign-ins-confirm-safe": "risky_sign_ins_confirm_safe",
        "azure-risky-sign-ins-dismiss": "risky_sign_ins_dismiss",
    }


def test_a_command_names_a_policy_exactly_where_its_arguments_call_for_one() -> None:
    """The vendor's validator goes by the names of arguments, whatever a command does, and spares what lists or gets."""
    policies = json.loads(text_of(ROOT / POLICIES))["policies"]
    due = {
        name: [policy["name"] for policy in policies if set(policy["arguments"]) & set(arguments(name))]
        for name in {*ACTIONS, INVESTIGATE}
    }
    of_users = {name for name, action in ACTIONS.items() if action.resource is aru.RISKY_USERS} | {INVESTIGATE}
    assert {name for name, due_policies in due.items() if due_policies} == of_users
    named = {name: command["compliantpolicies"] for name, command in COMMANDS.items() if "compliantpolicies" in command}
    assert named == dict.fromkeys(of_users, ["User Soft Remediation"])
    assert all(set(named[name]) <= set(due[name]) for name in of_users)


@pytest.mark.parametrize("command", ACTIONS)
def test_an_actions_description_says_which_verdict_it_is_in_the_codes_words(command: str) -> None:
    # The first sentence stands alone in the list of commands.
    _, *rest = re.split(r"(?<=\.) ", COMMANDS[command]["description"], maxsplit=1)
    assert rest == [f"{ACTIONS[command].meaning} Graph applies the change within minutes."]


def test_every_description_is_a_sentence() -> None:
    described = {
        **{name: command["description"] for name, command in COMMANDS.items()},
        **{
            f"{command} {name}": argument["description"]
            for command in COMMANDS
            for name, argument in arguments(command).items()
        },
        **{
            f"{name} {output['contextPath']}": output["description"]
            for name, command in COMMANDS.items()
            for output in command.get("outputs") or []
        },
        **{name: rule["additionalinfo"] for name, rule in PARAMETERS.items() if "additionalinfo" in rule},
        "integration": DECLARED["description"],
    }
    sentence = re.compile(r"\S.*\S\.", re.DOTALL)
    assert [name for name, text in described.items() if not sentence.fullmatch(text)] == []


# Arguments: what is declared is what is read


class Recording(dict[str, Any]):
    """Arguments or parameters that remember which of them were read."""

    def __init__(self, values: Row):
        super().__init__(values)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.read.add(name)
        return super().get(name, default)


@pytest.fixture
def room(war_room: WarRoom, tenant: Tenant) -> WarRoom:
    """A tenant that has everything a context path can lead to, and a war room for it."""
    told = [{"Key": "mitreTechniques", "Value": "T1078"}, {"Key": "riskReasons", "Value": ["UnfamiliarIP"]}]
    info = json.dumps([*told, {"Key": "userAgent", "Value": "Mozilla/5.0"}])
    place = tenant.detections["6565"]["location"]
    for rows in (tenant.detections, tenant.service_principal_detections):
        next(iter(rows.values())).update(additionalInfo=info, location=place)
    policies = tenant.sign_ins[tied_to(tenant)]["appliedConditionalAccessPolicies"]
    next(iter(tenant.sign_ins.values())).update(appliedConditionalAccessPolicies=policies)
    tenant.apps[CLIENT_ID].application_permissions |= {"Policy.Read.All"}
    return war_room


def tied_to(tenant: Tenant) -> str:
    """The id of Adele's first risky sign-in, to which a policy applied."""
    return str(next(row["requestId"] for row in tenant.detections.values() if row["userId"] == ADELE_ID))


def first_id(tenant: Tenant, resource: aru.Resource) -> str:
    rows = tenant.store(collection_of(resource).partition("/")[0])
    return next(row_id for row_id in rows if aru.is_guid(row_id) or "etection" in resource.path)


def call_arguments(command: str, tenant: Tenant) -> Row:
    """Arguments that let a command run to its end."""
    if command == INVESTIGATE:
        return {"user": ADELE_ID}
    if command in GETS or command in HISTORIES:
        return {"id": first_id(tenant, (GETS | HISTORIES)[command])}
    if command in ACTIONS:
        action = ACTIONS[command]
        return {action.argument: first_id(tenant, action.resource), "dry_run": "true"}
    return {}


def calls(command: str, tenant: Tenant) -> Iterator[Row]:
    """The calls that together read every argument of a command."""
    yield call_arguments(command, tenant)
    if command in ACTIONS:
        action = ACTIONS[command]
        yield {action.argument: first_id(tenant, action.resource), "verify_until": "2026-11-20T12:15:00Z"}


def read_by(command: str, room: WarRoom, tenant: Tenant) -> set[str]:
    """The names of all arguments that a command reads, in calls that succeed where the sign-in takes them."""
    read = set()
    for given in calls(command, tenant):
        recording = Recording(given)
        done = room.call(command, recording)
        errors = [entry["Contents"] for entry in done.entries if entry["Type"] == aru.EntryType.ERROR]
        assert bool(errors) is (command in DEVICE_CODE_ONLY), errors
        read |= recording.read
    return read


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_reads_exactly_the_arguments_it_declares(command: str, room: WarRoom, tenant: Tenant) -> None:
    read = read_by(command, room, tenant)
    if command in HISTORIES:
        # A list's own arguments are read there too; a history has one order and is too short for pages.
        read -= {"page", "page_size", "next_token", "order_by"}
    assert read == set(arguments(command))


def test_the_instance_has_exactly_the_parameters_that_are_read(room: WarRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = Recording(demo_instance() | {"isFetch": True})
    monkeypatch.setattr(demistomock, "params", lambda: recording)
    assert not room.run("!azure-risky-users-list").failed
    assert not room.fetch().failed
    assert not room.run_test().failed
    platforms_own = {
        "incidentType",  # the server gives it to what is fetched
        "incidentFetchInterval",  # the server keeps to it
    }
    other_name = {"unsecure"}  # the platform's library looks for it beside insecure
    assert recording.read - other_name == set(PARAMETERS) - platforms_own


def test_arguments_are_lists_exactly_where_several_values_are_taken() -> None:
    several = {
        "user_id",
        "user_principal_name",
        "user_display_name",
        "risk_event_type",
        "risk_state",
        "risk_level",
        "service_principal_id",
        "display_name",
        "user",
        "service_principal",
        "sign_in",
        "ip_address",
        "country",
    }
    lists = {
        (command, name) for command in COMMANDS for name, rule in arguments(command).items() if rule.get("isArray")
    }
    # These are about one user.
    single = {("azure-risky-user-get", "user"), ("azure-risky-user-history-list", "user"), (INVESTIGATE, "user")}
    assert lists == {(command, name) for command in COMMANDS for name in arguments(command) if name in several} - single


def test_every_filter_of_a_list_is_an_argument_and_the_other_way_round() -> None:
    common = {"limit", "page", "page_size", "next_token", "order_by"}
    declared = {command: set(arguments(command)) - common for command in LISTS}
    assert declared == {command: set(resource.filters) for command, resource in LISTS.items()}


def test_offered_values_are_the_codes() -> None:
    allowed = {
        "risk_level": set(aru.RISK_LEVELS),
        "risk_state": set(aru.RISK_STATES),
        "risk_event_type": set(aru.EVENT_WORDS),
    }
    flags = dict.fromkeys(("is_deleted", "dry_run", "verify", "sign_ins"), {"true", "false"})
    orders = {f"{UPDATED} {way}" for way in ("asc", "desc")}
    ordered_by_update = {command for command, resource in LISTS.items() if UPDATED in resource.orders}
    offered = {
        (command, name): set(rule["predefined"])
        for command in COMMANDS
        for name, rule in arguments(command).items()
        if "predefined" in rule
    }
    assert offered == {
        (command, name): (allowed | flags | {"order_by": orders})[name]
        for command in COMMANDS
        for name in arguments(command)
        if name in allowed | flags or (name == "order_by" and command in ordered_by_update)
    }
    assert {
        rule.get("auto")
        for command in COMMANDS
        for rule in arguments(command).values()
        if rule.get("predefined") is not None
    } == {"PREDEFINED"}


def test_offered_settings_are_the_codes() -> None:
    offered = {name: rule["options"] for name, rule in PARAMETERS.items() if "options" in rule}
    assert {name: set(options) for name, options in offered.items()} == {
        "authentication_type": {kind.value for kind in aru.SignIn},
        "azure_cloud": set(aru.CLOUDS),
        "fetch_types": set(aru.FETCH_TYPES),
        "fetch_risk_levels": set(aru.RISK_LEVELS),
        "fetch_risk_states": set(aru.RISK_STATES),
    }
    assert set(aru.SIGN_IN_OPTIONS) == {kind.value for kind in aru.SignIn}


def test_defaults_are_the_codes() -> None:
    expected = {"limit": str(aru.DEFAULT_LIMIT), "dry_run": "false", "verify": "false", "page": "1"}
    expected |= dict.fromkeys(("max_users", "max_service_principals", "max_sign_ins"), str(aru.MAX_IDS))
    expected |= {"days": str(aru.DEFAULT_DAYS), "sign_ins": "true"}
    expected["created_after"] = aru.RISKY_SIGN_INS.filters["created_after"].default
    declared = {
        (command, name): rule["defaultValue"]
        for command in COMMANDS
        for name, rule in arguments(command).items()
        if "defaultValue" in rule
    }
    orders = {
        (command, "order_by"): resource.default_order for command, resource in LISTS.items() if resource.default_order
    }
    assert declared == orders | {
        (command, name): expected[name] for command, name in declared if (command, name) not in orders
    }
    assert {name for _, name in declared} == {"order_by", *expected}


def test_defaults_of_settings_are_the_codes() -> None:
    without = aru.read_fetch_settings({})
    with_defaults = aru.read_fetch_settings(Manifest.read(MANIFEST).default_parameters())
    assert (with_defaults.max_fetch, with_defaults.look_back) == (without.max_fetch, without.look_back)
    assert (with_defaults.fetch_types, with_defaults.levels) == (without.fetch_types, without.levels)
    defaults = {name: rule.get("defaultvalue") for name, rule in PARAMETERS.items()}
    assert defaults["authentication_type"] == aru.option("", None, aru.SIGN_IN_OPTIONS)
    assert defaults["azure_cloud"] == aru.option("", None, tuple(aru.CLOUDS))
    assert {defaults[name] for name in ("insecure", "proxy", "allow_response")} == {"false"}


# The form of an instance


def test_the_form_asks_how_to_sign_in_then_for_what_that_needs_then_how_to_fetch() -> None:
    names = list(PARAMETERS)
    kinds = {"Connect": "signing in", "Collect": "fetching"}
    assert [*dict.fromkeys(kinds[rule["section"]] for rule in PARAMETERS.values())] == ["signing in", "fetching"]
    assert DECLARED["sectionorder"] == [*kinds]
    assert names[:6] == [
        "authentication_type",
        "client_id",
        "tenant_id",
        "client_secret",
        "creds_certificate",
        "managed_identities_client_id",
    ]
    fetching = [name for name, rule in PARAMETERS.items() if rule["section"] == "Collect"]
    assert fetching[:4] == ["isFetch", "incidentType", "incidentFetchInterval", "fetch_types"]


def test_of_signing_in_what_most_leave_alone_comes_last_and_is_folded_away() -> None:
    folded = [name for name, rule in PARAMETERS.items() if rule["section"] == "Connect" and rule.get("advanced")]
    assert folded == [name for name, rule in PARAMETERS.items() if rule["section"] == "Connect"][-len(folded) :]
    assert [name for name in folded if PARAMETERS[name]["required"]] == []


def test_every_parameter_is_explained_and_the_recommended_way_to_sign_in_first() -> None:
    assert [name for name, rule in PARAMETERS.items() if not rule.get("additionalinfo")] == []
    ways = PARAMETERS["authentication_type"]["options"]
    explained = re.findall("|".join(ways), PARAMETERS["authentication_type"]["additionalinfo"])
    assert explained == ways == ["Client Credentials", "Device Code", "Azure Managed Identities"]
    assert "Client Credentials (recommended)" in PARAMETERS["authentication_type"]["additionalinfo"]


# Outputs


CONTEXTS = {
    **{name: resource.context for name, resource in (LISTS | HISTORIES | GETS).items()},
    **dict.fromkeys(ACTIONS, "RiskAction"),
    INVESTIGATE: "Investigation",
}
# A case brings the objects that it rests on under their usual paths, and the platform's own.
BESIDE = {
    INVESTIGATE: (
        *(f"AzureRiskyUsers.{name}" for name in ("RiskyUser", "RiskyUserHistory", "RiskDetection", "RiskySignIn")),
        "Account",
        "IP",
    )
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_writes_only_below_its_own_context_path(command: str) -> None:
    context = CONTEXTS.get(command, "-")
    flags = {f"AzureRiskyUsers.{context}ListTruncated": "Boolean"} if command in LISTS | HISTORIES else {}
    flags |= {f"AzureRiskyUsers.{context}ListNextToken": "String"} if command in LISTS else {}
    places = "|".join([f"AzureRiskyUsers.{context}", *BESIDE.get(command, ())])
    below = re.compile(rf"({places})\.\w+(\.\w+)*")
    assert {path: kind for path, kind in outputs(command).items() if not below.fullmatch(path)} == flags
    assert (outputs(command) == {}) is (command not in CONTEXTS)


def leads_somewhere(path: str, data: Any) -> bool:
    """Whether anything stands under a path, be it null."""
    if not path:
        return True
    if isinstance(data, list):
        return any(leads_somewhere(path, item) for item in data)
    name, _, rest = path.partition(".")
    return isinstance(data, dict) and name in data and leads_somewhere(rest, data[name])


def write_everything(command: str, room: WarRoom, tenant: Tenant) -> Any:
    """What stands in context after calls of a command that make it write all it can."""
    extra = {"limit": "500", "page_size": "500"} if command in LISTS else {}
    for given in (call_arguments(command, tenant), *([call_arguments(command, tenant) | extra] if extra else ())):
        line = " ".join([f"!{command}", *(f"{name}={value}" for name, value in given.items())])
        assert not room.run(line).failed
    return room.context.data


@pytest.mark.parametrize("command", CONTEXTS)
def test_every_declared_output_is_written_and_every_written_one_declared(
    command: str, room: WarRoom, tenant: Tenant
) -> None:
    data = write_everything(command, room, tenant)
    assert [path for path in outputs(command) if not leads_somewhere(path, data)] == []
    written = data["AzureRiskyUsers"][CONTEXTS[command]]
    rows = written if isinstance(written, list) else [written]
    prefix = f"AzureRiskyUsers.{CONTEXTS[command]}."
    declared = {path.removeprefix(prefix).split(".")[0] for path in outputs(command) if path.startswith(prefix)}
    assert {name for row in rows for name in row} == declared


# What playbooks rely on; their owners cannot be asked, so none of this may go

USER_OUTPUTS = {
    "id": "String",
    "userDisplayName": "String",
    "userPrincipalName": "String",
    "riskLevel": "String",
    "riskState": "String",
    "riskLastUpdatedDateTime": "Date",
    "isDeleted": "Boolean",
    "isProcessing": "Boolean",
    "riskDetail": "String",
}
DETECTION_OUTPUTS = {
    "id": "String",
    "userId": "String",
    "userDisplayName": "String",
    "userPrincipalName": "String",
    "riskDetail": "String",
    "riskEventType": "String",
    "riskLevel": "String",
    "riskState": "String",
    "ipAddress": "String",
    "source": "String",
    "detectionTimingType": "String",
    "lastUpdatedDateTime": "Date",
    "location": "String",
    "activity": "String",
    "activityDateTime": "Date",
    "additionalInfo": "String",
    "correlationId": "String",
    "detectedDateTime": "Date",
    "requestId": "String",
    "tokenIssuerType": "String",
}
OLD_ARGUMENTS: dict[str, dict[str, str | None]] = {  # with their defaults
    "azure-risky-users-auth-test": {},
    "azure-risky-users-auth-start": {},
    "azure-risky-users-auth-complete": {},
    "azure-risky-users-auth-reset": {},
    "azure-risky-users-list": {
        "risk_state": None,
        "limit": "50",
        "page": None,
        "page_size": None,
        "next_token": None,
        "risk_level": None,
        "order_by": "riskLastUpdatedDateTime desc",
        "updated_before": None,
        "updated_after": None,
    },
    "azure-risky-user-get": {"id": None},
    "azure-risky-users-risk-detections-list": {
        "limit": "50",
        "page": "1",
        "risk_state": None,
        "risk_level": None,
        "detected_date_time_before": None,
        "detected_date_time_after": None,
        "order_by": "detectedDateTime desc",
    },
    "azure-risky-users-risk-detection-get": {"id": None},
}
OLD_OUTPUTS = {
    "azure-risky-users-list": {f"RiskyUser.{name}": kind for name, kind in USER_OUTPUTS.items()}
    | {"RiskyUserListNextToken": "String"},
    "azure-risky-user-get": {f"RiskyUser.{name}": kind for name, kind in USER_OUTPUTS.items()},
    "azure-risky-users-risk-detections-list": {
        f"RiskDetection.{name}": kind for name, kind in DETECTION_OUTPUTS.items()
    },
    "azure-risky-users-risk-detection-get": {f"RiskDetection.{name}": kind for name, kind in DETECTION_OUTPUTS.items()},
}
OLD_VALUES = {
    ("azure-risky-users-list", "risk_state"): ("atRisk", "confirmedCompromised", "remediated", "dismissed"),
    ("azure-risky-users-list", "risk_level"): ("low", "medium", "high"),
    ("azure-risky-users-list", "order_by"): ("riskLastUpdatedDateTime desc", "riskLastUpdatedDateTime asc"),
    ("azure-risky-users-risk-detections-list", "risk_state"): (
        "atRisk",
        "confirmedCompromised",
        "remediated",
        "dismissed",
        "confirmedSafe",
    ),
    ("azure-risky-users-risk-detections-list", "risk_level"): ("low", "medium", "high"),
}
TEXT, CHECKBOX, CREDENTIALS, SELECTION = 0, 8, 9, 15  # parameter types
OLD_PARAMETERS = {
    "client_id": CREDENTIALS,
    "authentication_type": SELECTION,
    "tenant_id": TEXT,
    "client_secret": CREDENTIALS,
    "managed_identities_client_id": CREDENTIALS,
    "proxy": CHECKBOX,
    "insecure": CHECKBOX,
}


def test_the_integration_has_the_name_that_playbooks_call_it_by() -> None:
    assert (DECLARED["commonfields"]["id"], DECLARED["name"]) == ("AzureRiskyUsers", "AzureRiskyUsers")
    assert DECLARED["script"]["dockerimage"] == "demisto/crypto:1.0.0.11658507"


@pytest.mark.parametrize("command", OLD_ARGUMENTS)
def test_a_command_of_old_keeps_its_arguments_and_their_defaults(command: str) -> None:
    old = OLD_ARGUMENTS[command]
    assert {name: arguments(command).get(name, {"defaultValue": "gone"}).get("defaultValue") for name in old} == old


@pytest.mark.parametrize("command", OLD_ARGUMENTS)
def test_a_command_of_old_needs_nothing_it_did_not_need(command: str) -> None:
    required = {name for name, rule in arguments(command).items() if rule.get("required")}
    assert required == ({"id"} if command == "azure-risky-users-risk-detection-get" else set())


@pytest.mark.parametrize("command", OLD_OUTPUTS)
def test_a_command_of_old_keeps_its_outputs(command: str) -> None:
    old = {f"AzureRiskyUsers.{path}": kind for path, kind in OLD_OUTPUTS[command].items()}
    assert {path: outputs(command).get(path) for path in old} == old


def test_values_that_were_offered_still_are() -> None:
    gone = {
        place: set(values) - set(arguments(place[0])[place[1]]["predefined"]) for place, values in OLD_VALUES.items()
    }
    assert gone == dict.fromkeys(OLD_VALUES, set())


def test_an_instance_of_old_keeps_its_parameters() -> None:
    assert {name: PARAMETERS[name]["type"] for name in OLD_PARAMETERS} == OLD_PARAMETERS
    assert {
        name for name, rule in PARAMETERS.items() if rule["type"] == CREDENTIALS and rule.get("hiddenusername")
    } == {
        "client_id",
        "client_secret",
        "managed_identities_client_id",
    }
    assert PARAMETERS["authentication_type"]["defaultvalue"] == "Device Code"
    # Managed identities need no client ID, so only the way to sign in is required.
    assert [name for name, rule in PARAMETERS.items() if rule.get("required")] == ["authentication_type"]


def test_an_instance_of_old_signs_in_with_what_it_has(simulator: Simulator, instance: Row) -> None:
    old = {name: value for name, value in instance.items() if name in OLD_PARAMETERS}
    moment = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
    room = WarRoom(aru, MANIFEST, old, simulator=simulator, clock=lambda: moment)
    room.integration_context = {
        "access_token": "old",
        "valid_until": "9999999999",
        "current_refresh_token": "old",
        "device_code": "old",
    }
    assert not room.run("!azure-risky-users-list").failed
    assert {"access_token", "valid_until", "current_refresh_token", "device_code"} & set(
        room.integration_context
    ) == set()
    assert [request.headers["Authorization"] for request in simulator.graph_requests] != ["Bearer old"]
