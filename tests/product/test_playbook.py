"""The playbook uses only what the manifest has, every way through it leads to an end, and its lines can be followed."""

import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations, pairwise
from typing import Any

import pytest
import yaml

import AzureRiskyUsers as aru  # noqa: N813 - the module bears the name of the integration
from helpers import Row, declared_commands, text_of
from tools.package import NAME, ROOT
from tools.workplan import PICTURE, Line, Point, boxes, draw, lines, note

PLAYBOOKS = ROOT / "pack/Playbooks"
STEM = "playbook-Entra_ID_Risky_User_-_Investigate_and_Respond"
PLAYBOOK: Row = yaml.safe_load(text_of(PLAYBOOKS / f"{STEM}.yml"))
README = text_of(PLAYBOOKS / f"{STEM}_README.md")
COMMANDS = declared_commands()
TASKS: Row = PLAYBOOK["tasks"]
ENDS = [
    "No user is given",
    "Nobody at risk has that name",
    "Who is meant is not known",
    "No risk is known",
    "The risk is settled already",
    "Left as it is",
    "Done",
    "The risk is still open",
]
CALLS = {key: task for key, task in TASKS.items() if task["task"]["iscommand"]}


def keeps(task: Row) -> bool:
    """Whether it runs a script, which here puts something into the context."""
    return "scriptName" in task["task"]


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


def test_a_task_runs_no_script_but_the_one_that_keeps_the_id_and_no_other_playbook() -> None:
    kinds = {task["type"] for task in TASKS.values()}
    assert kinds <= {"start", "title", "regular", "condition"}
    assert [key for key, task in TASKS.items() if "script" in task["task"] and key not in CALLS] == []
    scripts = [(task["task"]["scriptName"], task["scriptarguments"]["key"]) for task in TASKS.values() if keeps(task)]
    assert scripts == [("Set", {"simple": "InvestigatedUserID"})] * 2


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


def test_the_analyst_is_asked_in_the_codes_words_for_each_verdict() -> None:
    (question,) = [task["task"] for task in TASKS.values() if task["task"]["name"] == "What should become of the user?"]
    verdicts = {
        "Confirm compromised": aru.CONFIRM_USERS_COMPROMISED,
        "Confirm safe": aru.CONFIRM_USERS_SAFE,
        "Dismiss the risk": aru.DISMISS_USERS,
    }
    assert question["description"].splitlines() == [
        "Read the tables of the user, the history and the detections above, then choose. "
        "The default leaves everything as it is.",
        *(f"- {answer}: {action.meaning}" for answer, action in verdicts.items()),
    ]


# What it does


class Walk:
    """One way through the playbook, as the platform goes it; the commands it runs leave the context as it is.

    context: what the incident's context holds. fail: the commands that end in an error. choose: what the analyst
    answers. Remembers the tasks it came to, by name, and the arguments of every command.
    """

    def __init__(self, inputs: Row, context: Row, fail: str = "", choose: str = "#default#") -> None:
        self.context = {
            **context,
            "inputs": {"AskAnalyst": "no", "CompromiseEventTypes": "leakedCredentials", **inputs},
        }
        self.fail, self.choose = fail, choose
        self.tasks: list[str] = []
        self.calls: list[tuple[str, Row]] = []
        waiting, seen = [PLAYBOOK["starttaskid"]], set()
        while waiting:
            key = waiting.pop(0)
            if key not in seen:
                seen.add(key)
                self.tasks.append(TASKS[key]["task"]["name"])
                waiting += TASKS[key].get("nexttasks", {}).get(self.answer(TASKS[key]), [])

    @property
    def end(self) -> str:
        return self.tasks[-1]

    def users(self) -> set[str]:
        """The IDs that any command was told; the look-up by a name is told none."""
        told = [arguments.get(name) for _, arguments in self.calls for name in ("id", "user_id", "user")]
        return {value for value in told if value and value.lower() != NAME_OF_BOTH}

    def answer(self, task: Row) -> str:
        if task["type"] == "condition":
            return self.decide(task["conditions"]) if "conditions" in task else self.choose
        arguments = {name: self.argument(value) for name, value in task.get("scriptarguments", {}).items()}
        if keeps(task):
            self.context[arguments["key"]] = arguments["value"]
        if not task["task"]["iscommand"]:
            return "#none#"
        command = task["task"]["script"].split("|||")[1]
        self.calls.append((command, arguments))
        if command != self.fail:
            return "#none#"
        assert (task["continueonerror"], task["continueonerrortype"]) == (True, "errorPath")
        return "#error#"

    def decide(self, conditions: list[Row]) -> str:
        labels = [each["label"] for each in conditions if self.holds(each["condition"], {})]
        return labels[0] if labels else "#default#"

    def holds(self, groups: list[list[Row]], item: Row) -> bool:
        """Whether one comparison of each group is true."""
        return all(any(self.compare(each, item) for each in group) for group in groups)

    def compare(self, comparison: Row, item: Row) -> bool:
        left, right = (self.operand(comparison.get(side), item) for side in ("left", "right"))
        if comparison.get("ignorecase"):
            left, right = str(left or "").lower(), str(right or "").lower()
        known: dict[str, bool] = {
            "isEmpty": left in (None, "", []),
            "isNotEmpty": left not in (None, "", []),
            "isFalse": left is False,
            "isEqualString": left == right,
            "isNotEqualString": left != right,
            "isEqualNumber": str(left) == right,
            "inList": left in str(right).split(","),
        }
        return known[comparison["operator"]]

    def operand(self, side: Row | None, item: Row) -> Any:
        if side is None:
            return None
        if "complex" in side["value"]:
            return self.fetch(side["value"]["complex"])
        text = side["value"]["simple"]
        if not side.get("iscontext"):
            return text
        return item[text.split(".")[-1]] if text.startswith("AzureRiskyUsers.") else self.look_up(text)

    def argument(self, value: Row) -> Any:
        if "complex" in value:
            return self.fetch(value["complex"])
        path = re.fullmatch(r"\$\{(.+)\}", value["simple"])
        return self.look_up(path[1]) if path else value["simple"]

    def look_up(self, path: str) -> Any:
        value: Any = self.context
        for name in path.split("."):
            value = (value or {}).get(name)
        return value

    def fetch(self, value: Row) -> Any:
        rows = [row for row in self.look_up(value["root"]) or [] if self.holds(value["filters"], row)]
        found: Any = [row[value["accessor"]] for row in rows]
        for transformer in value.get("transformers", []):
            found = {"FirstArrayElement": found[0] if found else None, "count": len(found)}[transformer["operator"]]
        return found


GONE, ALIVE, NAME_OF_BOTH = "gone", "alive", "lena@contoso.com"
BY_ID = {"UserID": ALIVE, "UserPrincipalName": NAME_OF_BOTH}
BY_NAME = {"UserID": "", "UserPrincipalName": NAME_OF_BOTH}
CHANGES = ["azure-risky-users-confirm-compromise", "azure-risky-users-confirm-safe", "azure-risky-users-dismiss"]

CHOICES = dict(zip(["Confirm compromised", "Confirm safe", "Dismiss the risk"], CHANGES, strict=True))


def account(user_id: str, level: str = "medium", deleted: bool = False, **changes: Any) -> Row:
    row = {"id": user_id, "userPrincipalName": NAME_OF_BOTH, "riskLevel": level, "riskState": "atRisk"}
    return row | {"isDeleted": deleted} | changes


def detection(user_id: str) -> Row:
    row = {"id": f"d-{user_id}", "userId": user_id, "userPrincipalName": NAME_OF_BOTH, "riskState": "atRisk"}
    return row | {"riskEventType": "leakedCredentials"}


def context_of(*users: Row, detections: tuple[Row, ...] = ()) -> Row:
    return {"AzureRiskyUsers": {"RiskyUser": [*users], "RiskDetection": [*detections]}}


def test_where_an_id_is_given_a_namesake_is_neither_weighed_nor_acted_on() -> None:
    gone = account(GONE, level="high", deleted=True)
    walk = Walk(BY_ID, context_of(gone, account(ALIVE, level="low"), detections=(detection(GONE),)))
    assert walk.users() == {ALIVE}
    assert [name for name, _ in walk.calls if name in CHANGES] == ["azure-risky-users-dismiss"]


@pytest.mark.parametrize(("choice", "command"), CHOICES.items())
@pytest.mark.parametrize(
    ("inputs", "users"), [(BY_ID, [account(GONE, deleted=True), account(ALIVE)]), (BY_NAME, [account(ALIVE)])]
)
def test_what_the_analyst_chooses_is_done_to_the_account_that_is_meant(
    inputs: Row, users: list[Row], choice: str, command: str
) -> None:
    walk = Walk({**inputs, "AskAnalyst": "yes"}, context_of(*users), choose=choice)
    assert walk.users() == {ALIVE}
    changes = [call for call in walk.calls if call[0] in CHANGES]
    assert changes == [(command, {"user": ALIVE, "verify": "true"})]


def test_a_namesakes_state_does_not_settle_the_risk_of_the_id() -> None:
    gone = account(GONE, deleted=True, riskState="dismissed")
    assert Walk(BY_ID, context_of(gone, account(ALIVE, level="high"))).end != "The risk is settled already"


def test_an_id_without_a_record_has_no_known_risk_whatever_is_known_of_a_namesake() -> None:
    walk = Walk(BY_ID, context_of(account(GONE, level="high"), detections=(detection(GONE),)))
    assert (walk.end, walk.users()) == ("No risk is known", {ALIVE})


def test_an_id_is_kept_anew_where_an_earlier_run_left_another() -> None:
    context = context_of(account(GONE, level="high"), account(ALIVE, level="low"))
    assert Walk(BY_ID, {**context, "InvestigatedUserID": GONE}).users() == {ALIVE}


def test_a_name_is_asked_for_in_the_way_that_finds_every_spelling_and_every_namesake() -> None:
    walk = Walk(BY_NAME, context_of(account(ALIVE)))
    # As id: a display name, which user takes too, would be found and then be nobody's user principal name.
    assert walk.calls[0] == ("azure-risky-user-get", {"id": NAME_OF_BOTH})


def test_the_name_of_one_living_account_stands_for_its_id_however_it_is_spelled() -> None:
    inputs = {"UserPrincipalName": NAME_OF_BOTH.title()}
    other = account("other", userPrincipalName="other@contoso.com")
    walk = Walk(inputs, context_of(other, account(ALIVE, level="high"), detections=(detection("other"),)))
    assert walk.users() == {ALIVE}
    assert ("azure-risky-users-confirm-compromise", {"user": ALIVE, "verify": "true"}) in walk.calls


@pytest.mark.parametrize(
    "users",
    [
        [account(GONE, level="high", deleted=True), account(ALIVE, level="high")],
        [account(ALIVE, level="low"), account(GONE, level="low", deleted=True)],
        [account(ALIVE, level="high"), account("another", level="high")],
        [account(GONE, level="high", deleted=True)],
        [account(ALIVE, level="high", isDeleted=None)],
    ],
    ids=["deleted and living", "living and deleted", "two living", "only a deleted one", "not told whether deleted"],
)
def test_a_name_that_is_not_one_living_accounts_is_left_to_the_analyst(users: list[Row]) -> None:
    walk = Walk(BY_NAME, context_of(*users))
    assert walk.tasks[-2:] == ["Find out which account is meant", "Who is meant is not known"]
    assert walk.users() == set()


def test_a_name_without_risk_ends_the_playbook_whatever_is_known_of_others() -> None:
    walk = Walk(BY_NAME, context_of(account("other", userPrincipalName="other@contoso.com")))
    assert (walk.end, walk.users()) == ("Nobody at risk has that name", set())


@pytest.mark.parametrize(
    ("ask", "level", "choice", "command"),
    [
        ("no", "high", "", CHANGES[0]),
        ("no", "low", "", CHANGES[2]),
        *[("yes", "high", choice, command) for choice, command in CHOICES.items()],
    ],
)
def test_a_change_that_fails_is_looked_after_by_hand_and_the_risk_read_once_more(
    ask: str, level: str, choice: str, command: str
) -> None:
    inputs = {**BY_ID, "AskAnalyst": ask}
    gone = account(GONE, deleted=True, riskState="dismissed")
    walk = Walk(inputs, context_of(gone, account(ALIVE, level=level)), fail=command, choose=choice)
    ends = ["Look after the change by hand", "Get the user's risk again", "Has the state changed?"]
    assert walk.tasks[-4:] == [*ends, "The risk is still open"]
    assert [command for command, _ in walk.calls[-2:]] == [command, "azure-risky-user-get"]


def test_nothing_but_the_look_up_goes_by_a_name() -> None:
    (asks,) = [key for key, task in CALLS.items() if "PrincipalName" in str(task["scriptarguments"])]
    named = {key for key, task in TASKS.items() if any("PrincipalName" in text for text in strings(task))}
    assert names(named - {asks}) == {"What is given of the user?", "Whose name is it?", "Go by the ID of that account"}


def test_the_readme_lists_commands_inputs_and_outputs_as_they_are() -> None:
    commands = {task["task"]["script"].split("|||")[1] for task in CALLS.values()}
    assert set(re.findall(r"^- (azure-\S+)$", README, re.MULTILINE)) == commands
    assert re.findall(r"### Scripts\n\n- (\S+)\n\n", README) == ["Set"]
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
