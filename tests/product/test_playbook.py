"""The playbook uses only what the manifest has, and every way through it leads to its end."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from helpers import Row, declared_commands, text_of
from tools.package import NAME, ROOT

PLAYBOOKS = ROOT / "pack/Playbooks"
STEM = "playbook-Entra_ID_Risky_User_-_Investigate_and_Respond"
PLAYBOOK: Row = yaml.safe_load(text_of(PLAYBOOKS / f"{STEM}.yml"))
README = text_of(PLAYBOOKS / f"{STEM}_README.md")
COMMANDS = declared_commands()
TASKS: Row = PLAYBOOK["tasks"]
CALLS = {key: task for key, task in TASKS.items() if task["task"]["iscommand"]}


def context_paths() -> set[str]:
    return {output["contextPath"] for command in COMMANDS.values() for output in command.get("outputs", [])}


def strings(value: Any) -> Iterator[str]:
    """Every text in a value, a context path with its accessor joined."""
    if isinstance(value, dict):
        if "root" in value:
            yield f"{value['root']}.{value['accessor']}" if "accessor" in value else value["root"]
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    elif isinstance(value, str):
        yield value


def paths_read(pattern: str) -> set[str]:
    return {path for text in strings(PLAYBOOK) for path in re.findall(pattern, text)}


@pytest.mark.parametrize("key", CALLS, ids=lambda key: str(TASKS[key]["task"]["name"]))
def test_a_task_runs_a_command_of_the_manifest_with_arguments_it_has(key: str) -> None:
    brand, name = CALLS[key]["task"]["script"].split("|||")
    assert brand == NAME
    arguments = {argument["name"]: argument for argument in COMMANDS[name]["arguments"]}
    given = set(CALLS[key]["scriptarguments"])
    assert given <= set(arguments)
    assert {name for name, argument in arguments.items() if argument.get("required")} <= given


def test_a_task_runs_no_script_and_no_other_playbook() -> None:
    kinds = {task["type"] for task in TASKS.values()}
    assert kinds <= {"start", "title", "regular", "condition"}
    assert [key for key, task in TASKS.items() if "script" in task["task"] and key not in CALLS] == []


def test_every_context_path_is_one_of_the_manifest() -> None:
    known = context_paths()
    nodes = {path[:end] for path in known for end in range(len(path) + 1) if path[end : end + 1] in ("", ".")}
    assert paths_read(r"AzureRiskyUsers\.\w+(?:\.\w+)*") - nodes == set()


def test_the_inputs_are_those_that_the_tasks_read() -> None:
    assert paths_read(r"inputs\.(\w+)") == {entry["key"] for entry in PLAYBOOK["inputs"]}


def test_every_task_is_reached_and_leads_to_the_end() -> None:
    reached, waiting = set(), [PLAYBOOK["starttaskid"]]
    while waiting:
        key = waiting.pop()
        if key not in reached:
            reached.add(key)
            waiting += [target for targets in TASKS[key].get("nexttasks", {}).values() for target in targets]
    assert reached == set(TASKS)
    assert [task["task"]["name"] for task in TASKS.values() if not task.get("nexttasks")] == ["Done"]


@pytest.mark.parametrize(
    "key", [key for key, task in TASKS.items() if "conditions" in task], ids=lambda key: str(TASKS[key]["task"]["name"])
)
def test_every_answer_of_a_condition_leads_somewhere(key: str) -> None:
    answers = {condition["label"] for condition in TASKS[key]["conditions"]}
    assert set(TASKS[key]["nexttasks"]) == answers | {"#default#"}


def test_the_readme_lists_commands_inputs_and_outputs_as_they_are() -> None:
    commands = {task["task"]["script"].split("|||")[1] for task in CALLS.values()}
    assert set(re.findall(r"^- (azure-\S+)$", README, re.MULTILINE)) == commands
    rows = [tuple(cell.strip() for cell in line.split("|")[1:-1]) for line in README.splitlines() if line[:2] == "| "]
    shown = [tuple(cell.replace("\\", "") for cell in row) for row in rows]
    for entry in PLAYBOOK["inputs"]:
        default = next(strings(entry["value"]), "")
        assert (entry["key"], entry["description"], default, "Optional") in shown
    for output in PLAYBOOK["outputs"]:
        assert (output["contextPath"], output["description"], output["type"]) in shown


def test_the_readme_shows_a_picture_that_exists() -> None:
    (picture,) = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert (PLAYBOOKS / picture).read_bytes().startswith(b"\x89PNG")
