"""The server runs its library and the integration as one text, in one namespace, without a file of its own."""

import ast
import re
from collections.abc import Iterator
from types import ModuleType

import pytest

import CommonServerPython as csp  # noqa: N813 - the module is the platform's
from helpers import contents, quick_room, text_of
from warroom.azure.demo import ADELE_ID
from warroom.azure.server import Simulator
from warroom.demo import demo_instance
from warroom.xsoar.integration import PROJECT, run_as_one_text
from warroom.xsoar.runner import WarRoom

TEXT = text_of(PROJECT / "AzureRiskyUsers.py")
TREE = ast.parse(TEXT)


@pytest.fixture(scope="module")
def module() -> ModuleType:
    return run_as_one_text(TEXT)


@pytest.fixture
def one_text_room(module: ModuleType, simulator: Simulator) -> WarRoom:
    return quick_room(module, demo_instance(), simulator)


def test_the_first_run_happens_while_the_text_is_read() -> None:
    module = run_as_one_text(TEXT, command="azure-risky-users-list", params={"authentication_type": "Device Code"})
    (entry,) = module.demisto.call.entries
    assert entry["Type"] == csp.EntryType.ERROR
    assert entry["Contents"] == (
        "Failed to execute azure-risky-users-list. Sign-in with Device Code also needs: Client ID."
    )


@pytest.mark.parametrize(
    "line",
    [
        "!azure-risky-users-auth-test",
        "!azure-risky-users-list page_size=2",
        "!azure-risky-users-list user_principal_name=adele.vance@contoso.example updated_after='5 hours'",
        "!azure-risky-user-get id=333",
        "!azure-risky-user-history-list user=adele.vance@contoso.example",
        "!azure-risky-users-risk-detections-list limit=2",
        "!azure-risky-users-risk-detection-get id=6565",
        f"!azure-risky-users-confirm-safe user={ADELE_ID},00000000-0000-4000-8000-000000004711",
        "!azure-risky-users-list limit=x",
    ],
)
def test_one_text_gives_the_entries_that_separate_modules_give(
    line: str, one_text_room: WarRoom, war_room: WarRoom, simulator: Simulator
) -> None:
    simulator.numbers = iter([0] * 99)  # so that both get the same request ids
    apart = war_room.run(line).entries
    simulator.tenant.users["333"]["isProcessing"] = False
    assert one_text_room.run(line).entries == apart
    assert apart


def test_fetching_and_the_test_button_work_in_one_text(one_text_room: WarRoom) -> None:
    assert contents(one_text_room.run_test()) == ["ok"]
    one_text_room.params["isFetch"] = True
    assert not one_text_room.fetch().failed


def test_an_action_is_followed_to_its_end_in_one_text(one_text_room: WarRoom) -> None:
    done = one_text_room.run("!azure-risky-users-dismiss user=adele.vance@contoso.example verify=true")
    assert [row["status"] for row in done.entries[-1]["Contents"]] == ["applied"]


def bound(tree: ast.Module) -> Iterator[str]:
    """The names that a text binds in its own namespace."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


def imported(tree: ast.Module) -> dict[str, str]:
    """The names that a text imports at its top, each with where it comes from."""
    names: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.Import):
            names |= {part.asname or part.name.partition(".")[0]: part.name for part in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {part.asname or part.name: f"{node.module}.{part.name}" for part in node.names}
    return names


def test_no_name_of_the_library_is_given_another_meaning() -> None:
    taken = {name for name in vars(csp) if not name.startswith("__")}
    assert taken & set(bound(TREE)) == set()
    run_as_one_text(TEXT)  # refuses imports that mean something else under a name of the library


def test_no_name_is_bound_twice() -> None:
    names = [*bound(TREE), *(name for name in imported(TREE) if name != "*")]
    assert [name for name in dict.fromkeys(names) if names.count(name) > 1] == []


def test_the_text_can_stand_behind_another() -> None:
    # A __future__ import has to come first in a text, and this one does not.
    assert "__future__" not in {node.module for node in ast.walk(TREE) if isinstance(node, ast.ImportFrom)}


def test_there_is_no_file_to_look_at_and_no_standard_output_to_write_to() -> None:
    names = {node.id for node in ast.walk(TREE) if isinstance(node, ast.Name)}
    attributes = {node.attr for node in ast.walk(TREE) if isinstance(node, ast.Attribute)}
    assert names & {"__file__", "__path__", "__spec__", "print", "input", "open", "exec", "eval", "globals"} == set()
    assert attributes & {"stdout", "stderr", "argv", "exit"} == set()


def test_the_two_lines_that_the_packager_takes_out_are_the_only_ones_of_their_kind() -> None:
    platform = re.findall(r"^(?:import|from) (?:demistomock|CommonServer).*$", TEXT, re.MULTILINE)
    assert [line.partition("  #")[0] for line in platform] == [
        "import demistomock as demisto",
        "from CommonServerPython import *",
    ]


def test_main_runs_under_the_names_that_the_servers_use() -> None:
    last = TREE.body[-1]
    assert isinstance(last, ast.If)
    assert ast.unparse(last) == "if __name__ in ('__main__', '__builtin__', 'builtins'):\n    main()"
