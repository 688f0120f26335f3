"""The permissions that the code, Graph's operations and the documentation name are the same."""

import re

import AzureRiskyUsers as aru  # noqa: N813 - the module bears the name of the integration
from helpers import (
    ACTIONS,
    GET_COLLECTIONS,
    HISTORY_COLLECTIONS,
    LIST_COLLECTIONS,
    READABLE,
    RESOURCES,
    collection_of,
    text_of,
)
from warroom.azure.graph import OPERATIONS
from warroom.xsoar.integration import PROJECT

REFERENCE = PROJECT / "docs/commands.md"
DESCRIPTION = PROJECT / "AzureRiskyUsers_description.md"
CHECKS = (*aru.ESSENTIAL_CHECKS, *aru.OTHER_CHECKS)
CONNECTION = {f"azure-risky-users-auth-{word}" for word in ("test", "start", "complete", "reset")}
WHAT_THERE_IS = {"azure-risky-users-fetch-preview", "azure-risky-user-investigate"}
NEEDS_NONE_OF_ITS_OWN = {"test-module", *CONNECTION, *WHAT_THERE_IS}


NOT_USED = {"users/{id}"}


def accepted(method: str, *, of_user: bool = False) -> dict[str, set[str]]:
    """The permissions of which Graph takes any one, by the path of each operation that gives or changes objects."""
    operations = [each for each in OPERATIONS if each.kind != "count" and each.path not in NOT_USED]
    return {each.path: set(each.sufficient(of_user)) for each in operations if each.method == method}


# What Graph takes


def test_the_permissions_to_read_are_those_that_graph_accepts() -> None:
    known: dict[str, set[str]] = {}
    for resource in READABLE:
        enough = resource.permissions.sufficient(write=False)
        known[resource.path] = enough
        if resource.context:
            known[f"{resource.path}/{{id}}"] = enough
    without_histories = {
        template: permissions for template, permissions in accepted("GET").items() if "/history" not in template
    }
    assert known == without_histories


def test_the_permissions_to_read_a_history_are_those_that_graph_accepts() -> None:
    histories = [resource for resource in RESOURCES if resource.owner]
    known = {resource.path.format("{id}"): resource.permissions.sufficient(write=False) for resource in histories}
    assert known == {
        template: permissions for template, permissions in accepted("GET").items() if template.endswith("/history")
    }


def test_the_permissions_to_change_are_those_that_graph_accepts_of_an_application_and_of_a_person() -> None:
    permissions = {f"{action.resource.path}/{action.path}": action.resource.permissions for action in ACTIONS}
    of_apps = {path: each.sufficient(write=True) for path, each in permissions.items()}
    of_persons = {path: each.for_person().sufficient(write=True) for path, each in permissions.items()}
    assert (of_apps, of_persons) == (accepted("POST"), accepted("POST", of_user=True))
    assert of_apps != of_persons


# What an instance is told


def test_auth_test_checks_every_collection_and_every_kind_of_change() -> None:
    assert {check.resource.path for check in CHECKS if not check.write} == {resource.path for resource in READABLE}
    assert {check.resource.path for check in CHECKS if check.write} == {action.resource.path for action in ACTIONS}


# What the documentation says


def permissions_needed() -> dict[str, str]:
    """The permission to ask for, by command: of both kinds where a person needs another than an application."""
    permissions = {collection_of(resource): resource.permissions for resource in READABLE}
    collections = LIST_COLLECTIONS | GET_COLLECTIONS | HISTORY_COLLECTIONS
    reads = {command: permissions[path].needed(write=False) for command, path in collections.items()}
    return reads | {action.command: to_change(action.resource.permissions) for action in ACTIONS}


def to_change(permissions: aru.GraphPermissions) -> str:
    needed, of_person = permissions.needed(write=True), permissions.for_person().needed(write=True)
    return needed if needed == of_person else f"{needed} (application), {of_person} (delegated)"


def test_the_reference_names_the_permission_of_each_command() -> None:
    rows = re.findall(r"^\| (`azure-.*?) \| ((?:Identity|AuditLog).*?) \|", text_of(REFERENCE), re.MULTILINE)
    documented = [(command, permission) for cell, permission in rows for command in re.findall("`(azure-.*?)`", cell)]
    assert {command for command, _ in documented} == set(aru.COMMANDS) - NEEDS_NONE_OF_ITS_OWN
    assert sorted(documented) == sorted(permissions_needed().items())


def test_the_setup_text_names_every_permission_and_no_other() -> None:
    named = re.findall(r"^\| .* \| ((?:Identity|User|AuditLog).+) \|$", text_of(DESCRIPTION), re.MULTILINE)
    reads = {check.resource.permissions.needed(write=False) for check in CHECKS if not check.write}
    changes = {to_change(check.resource.permissions) for check in CHECKS if check.write}
    assert sorted(named) == sorted(reads | changes)
