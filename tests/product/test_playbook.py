"""The playbook uses only what the manifest has, every way through it leads to an end, and its lines can be followed."""

import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations, pairwise
from typing import Any

import pytest
import yaml

from helpers import Row, declared_commands, text_of
from tools.package import NAME, ROOT
from tools.workplan import PICTURE, Line, Point, boxes, draw, lines, note

PLAYBOOKS = ROOT / "pack/Playbooks"
STEM = "playbook-Entra_ID_Risky_User_-_Investigate_and_Respond"
PLAYBOOK: Row = yaml.safe_load(text_of(PLAYBOOKS / f"{STEM}.yml"))
README = text_of(PLAYBOOKS / f"{STEM}_README.md")
COMMANDS = declared_commands()
TASKS: Row = PLAYBOOK["tasks"]
ENDS = ["No user is given", "No risk is known", "The risk is settled already", "Left as it is", "Done"]
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


def operators(value: Any) -> Iterator[tuple[str, str]]:
    """Each comparison's operator, with the text or path it compares with."""
    if isinstance(value, dict):
        if "left" in value:
            yield value["operator"], next(strings(value.get("right", "")))
        for inner in value.values():
            yield from operators(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from operators(inner)


def test_an_input_that_is_a_list_is_compared_as_a_comma_separated_text() -> None:
    lists = {f"inputs.{entry['key']}" for entry in PLAYBOOK["inputs"] if "comma-separated" in entry["description"]}
    compared = {(operator, right) for operator, right in operators(PLAYBOOK) if right in lists}
    assert compared == {("inList", path) for path in lists} != set()
    assert "in" not in {operator for operator, _ in operators(PLAYBOOK)}


def test_every_task_is_reached_and_leads_to_an_end_that_says_what_came_of_it() -> None:
    reached, waiting = set(), [PLAYBOOK["starttaskid"]]
    while waiting:
        key = waiting.pop()
        if key not in reached:
            reached.add(key)
            waiting += [target for targets in TASKS[key].get("nexttasks", {}).values() for target in targets]
    assert reached == set(TASKS)
    assert [task["task"]["name"] for task in TASKS.values() if not task.get("nexttasks")] == ENDS


@pytest.mark.parametrize(
    "key", [key for key, task in TASKS.items() if "conditions" in task], ids=lambda key: str(TASKS[key]["task"]["name"])
)
def test_every_answer_of_a_condition_leads_somewhere(key: str) -> None:
    answers = {condition["label"] for condition in TASKS[key]["conditions"]}
    assert set(TASKS[key]["nexttasks"]) == answers | {"#default#"}


def names(keys: set[str]) -> set[str]:
    return {TASKS[key]["task"]["name"] for key in keys}


def test_nothing_is_changed_without_asking_unless_the_inputs_say_so() -> None:
    (key,) = [key for key, task in TASKS.items() if task["task"]["name"] == "May it be settled without asking?"]
    ask = {"operator": "isEqualString", "ignorecase": True, "right": {"value": {"simple": "no"}}}
    ask["left"] = {"value": {"simple": "inputs.AskAnalyst"}, "iscontext": True}
    demands = {answer["label"]: answer["condition"] for answer in TASKS[key]["conditions"]}
    assert {label: [ask] in demand for label, demand in demands.items()} == {"compromised": True, "harmless": True}
    changing = {key for key, task in CALLS.items() if "user" in task["scriptarguments"]}
    ways = {
        other: {target for way in task.get("nexttasks", {}).values() for target in way} for other, task in TASKS.items()
    }
    leading = {other for other, targets in ways.items() if targets & changing}
    assert names(leading) == {"Compromised", "Harmless", "What should become of the user?"}
    assert [*TASKS[key]["nexttasks"]] == ["compromised", "harmless", "#default#"]


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


# Its picture


BOXES = boxes(PLAYBOOK)
LINES = list(lines(PLAYBOOK))


def test_no_task_lies_on_another() -> None:
    apart = [
        one.right < other.left or other.right < one.left or one.bottom < other.top or other.bottom < one.top
        for one, other in combinations(BOXES.values(), 2)
    ]
    assert all(apart)


def test_every_line_leads_downwards() -> None:
    heights = [[point.y for point in line.points] for line in LINES]
    assert heights == [sorted(each) for each in heights]
    assert all(line.points[0].y < line.points[-1].y for line in LINES)


def pieces() -> Iterator[tuple[Point, Point]]:
    """The lines, cut wherever another one may meet them."""
    columns = sorted({point.x for line in LINES for point in line.points})
    rows = sorted({point.y for line in LINES for point in line.points})
    for line in LINES:
        for start, end in pairwise(line.points):
            left, right = sorted((start.x, end.x))
            stops = [Point(x, y) for x in columns for y in rows if left <= x <= right and start.y <= y <= end.y]
            yield from pairwise(stops)


def test_no_line_runs_through_a_task() -> None:
    for start, end in pieces():
        middle = Point((start.x + end.x) // 2, (start.y + end.y) // 2)
        on = [box for box in BOXES.values() if box.left <= middle.x <= box.right and box.top < middle.y < box.bottom]
        assert on == []


def ways() -> dict[Point, set[Point]]:
    """Where a reader may go from each point: down, or to the side either way."""
    steps: dict[Point, set[Point]] = defaultdict(set)
    for start, end in pieces():
        steps[start].add(end)
        if start.y == end.y:
            steps[end].add(start)
    return steps


@pytest.mark.parametrize(
    "key", [key for key, task in TASKS.items() if "nexttasks" in task], ids=lambda key: f"task {key}"
)
def test_who_follows_the_lines_from_a_task_comes_only_to_those_that_follow_it(key: str) -> None:
    steps, reached = ways(), set()
    waiting = [line.points[0] for line in LINES if line.source == key]
    while waiting:
        point = waiting.pop()
        if point not in reached:
            reached.add(point)
            waiting += steps[point]
    found = {other for other, box in BOXES.items() if Point(box.centre, box.top) in reached}
    follow: list[Line] = [line for line in LINES if line.source == key]
    assert names(found) == names({line.target for line in follow})


def test_the_readmes_show_the_picture_of_the_playbook_as_it_is() -> None:
    (picture,) = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert (PLAYBOOKS / picture).resolve() == PICTURE
    data = PICTURE.read_bytes()
    assert (data.startswith(b"\x89PNG"), note(draw(PLAYBOOK)) in data) == (True, True)
