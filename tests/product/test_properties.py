"""Whatever stands in an argument changes nothing but its own literal, moments keep their instant, pages their rows."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import unquote
from uuid import UUID

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

import AzureRiskyUsers as aru  # noqa: N813 - the module bears the name of the integration
from helpers import (
    BASE,
    DETECTIONS,
    GET_COLLECTIONS,
    GRAPH,
    HISTORY_COLLECTIONS,
    NOW,
    PRINCIPAL_DETECTIONS,
    PRINCIPALS,
    READ_ONE,
    UPDATED,
    USERS,
    Row,
    base_of,
    demo_room,
    flags,
)
from warroom.azure.demo import demo_tenant
from warroom.azure.odata import BadRequestError, filtered, ticks
from warroom.azure.server import Simulator
from warroom.xsoar.runner import WarRoom

examples = settings(
    derandomize=True,
    deadline=None,
    max_examples=40,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(demo_tenant(NOW, users=40, detections=60)) as simulator:
        yield simulator


def signed_in_room(simulator: Simulator) -> WarRoom:
    """A war room that has its token already."""
    room = demo_room(simulator)
    assert not room.run(READ_ONE).failed
    return room


@pytest.fixture(scope="module")
def room(simulator: Simulator) -> WarRoom:
    """One war room for all examples of this file."""
    return signed_in_room(simulator)


class Sent(NamedTuple):
    """What one call of a command sent to Graph, as raw targets, and the texts of its error entries."""

    targets: list[str]
    queries: list[dict[str, str]]
    bodies: list[Any]
    errors: list[str]


def send(room: WarRoom, simulator: Simulator, command: str, **arguments: Any) -> Sent:
    """Call a command with arguments as they are, without the quoting of a command line."""
    simulator.requests.clear()
    declared = room.manifest.find(command)
    call = room.call(command, declared.complete(arguments))
    requests = simulator.requests
    assert {request.host for request in requests} <= {"graph.microsoft.com"}
    errors = [entry["Contents"] for entry in call.entries if entry["Type"] == aru.EntryType.ERROR]
    assert not any("Traceback" in text or "Error: " in text for text in errors), errors
    return Sent(
        [request.target for request in requests],
        [request.query for request in requests],
        [request.json for request in requests if request.body],
        errors,
    )


# Texts that mean something to OData, URLs, JSON, comma-separated lists, or nobody

HOSTILE = (
    "'", "''", "' or 'a' eq 'a", "a') or (id eq 'b", "\\'", "%27", "%2527", "&$top=999", "?$filter=", "#", "/", "..",
    "../riskDetections", "a/b", "a\\b", ";", "$top=1", "+", " ", "a b", "a+b", "a,b", '["a"]', '["a","b"]', "[", "[]",
    "[1]", "[null]", "{}", '{"a":1}', "\n", "\r\nX-Header: 1", "\x00", "\u2028", "\ufeff", "\u200b", "é", "İ", "ﬁ",
    "😀", "\ud7ff", "null", "true", "1", "0", "-1", "${a}", "{0}", "%s", "a" * 300, "'" * 40, "`", '"', "|", "<br>",
)  # fmt: skip
TEXTS = st.one_of(
    st.text(max_size=30),
    st.text(alphabet="'\"\\,;/?&#%+ ()[]{}$=.:\r\n\tab1é\u2028", max_size=20),
    st.sampled_from(HOSTILE),
    st.lists(st.sampled_from(HOSTILE), min_size=2, max_size=4).map("".join),
)
COMPARISON = re.compile(r"(\w+) (eq|ge|lt) ('(?:[^']|'')*'|[\w:.-]+)")
# User principal names, some with what needs escaping.
NAMES = st.text("aZé0'.-_!#^~+&$=", max_size=20).map(lambda text: f"a{text}@contoso.example")


def disjunction(condition: str, place: int) -> tuple[list[tuple[str, str, str]], int]:
    """The comparisons joined by `or` from a place on, and the place behind them."""
    group = []
    while True:
        match = COMPARISON.match(condition, place)
        assert match, condition[place:]
        name, operator, literal = match.groups()
        group.append((name, operator, literal[1:-1].replace("''", "'") if literal[0] == "'" else literal))
        place = match.end()
        if not condition.startswith(" or ", place):
            return group, place
        place += len(" or ")


def comparisons(condition: str) -> list[list[tuple[str, str, str]]]:
    """The groups that `and` joins, each the comparisons that `or` joins. A text of any other build is refused."""
    groups, place = [], 0
    while True:
        bracket = condition.startswith("(", place)
        place += bracket
        group, place = disjunction(condition, place)
        assert len(group) > 1 or not bracket
        if bracket:
            assert condition[place] == ")"
            place += 1
        groups.append(group)
        if place == len(condition):
            return groups
        assert condition.startswith(" and ", place)
        place += len(" and ")


def meant(value: str) -> list[str]:
    """The values that an argument of several values means."""
    return list(dict.fromkeys(str(item).strip() for item in aru.argToList(value)))


TEXT_ARGUMENTS = (
    (USERS, "riskyUsers", "user_id", "id"),
    (USERS, "riskyUsers", "user_principal_name", "userPrincipalName"),
    (USERS, "riskyUsers", "user_display_name", "userDisplayName"),
    (DETECTIONS, "riskDetections", "user_id", "userId"),
    (DETECTIONS, "riskDetections", "user_principal_name", "userPrincipalName"),
    (DETECTIONS, "riskDetections", "risk_event_type", "riskEventType"),
    (PRINCIPALS, "riskyServicePrincipals", "service_principal_id", "id"),
    (PRINCIPALS, "riskyServicePrincipals", "display_name", "displayName"),
    (PRINCIPAL_DETECTIONS, "servicePrincipalRiskDetections", "service_principal_id", "servicePrincipalId"),
    (PRINCIPAL_DETECTIONS, "servicePrincipalRiskDetections", "risk_event_type", "riskEventType"),
)


def parsed_by_graph(condition: str, resource: str) -> None:
    """Have the simulated Graph's own parser read a filter. Raises: BadRequestError."""
    filtered([], condition, resource)


def test_the_reader_of_filters_here_refuses_what_is_not_built_so() -> None:
    assert comparisons("a eq 'x''y' and (b lt 2024-01-01T00:00:00Z or b eq true)") == [
        [("a", "eq", "x'y")],
        [("b", "lt", "2024-01-01T00:00:00Z"), ("b", "eq", "true")],
    ]
    for broken in ("", "a eq 'x' or'", "a eq 'x'y'", "(a eq 'x')", "a eq 'x' and ", "not (a eq 'x')", "a ne 'x'"):
        with pytest.raises((AssertionError, IndexError)):
            comparisons(broken)
    with pytest.raises(BadRequestError):
        parsed_by_graph("id eq 'x'y'", "riskyUsers")


@pytest.mark.parametrize(("command", "resource", "argument", "name"), TEXT_ARGUMENTS)
@examples
@given(value=TEXTS)
def test_a_text_in_a_filter_is_one_literal_and_nothing_else(
    command: str, resource: str, argument: str, name: str, value: str, room: WarRoom, simulator: Simulator
) -> None:
    sent = send(room, simulator, command, **{argument: value, "risk_level": "high"})
    if sent.errors:
        assert sent.targets == []
        assert argument in sent.errors[0]
        return
    orders = {"riskyUsers": "riskLastUpdatedDateTime desc", "riskDetections": "detectedDateTime desc"}
    (target,), (query,) = sent.targets, sent.queries
    assert target.partition("?")[0] == BASE + resource
    condition = query.pop("$filter")
    assert query == {**({"$orderby": orders[resource]} if resource in orders else {}), "$top": "50"}
    parsed_by_graph(condition, resource)
    own = [[(name, "eq", item) for item in meant(value)]] if value else []
    assert comparisons(condition) == [[("riskLevel", "eq", "high")], *own]


ENUMERATED = (
    (USERS, "risk_level", aru.RISK_LEVELS),
    (USERS, "risk_state", aru.RISK_STATES),
    (USERS, "is_deleted", ("true", "false")),
    (USERS, "order_by", ("riskLastUpdatedDateTime desc", "riskLastUpdatedDateTime asc", "riskLastUpdatedDateTime")),
    (DETECTIONS, "risk_state", aru.RISK_STATES),
    (DETECTIONS, "order_by", ("detectedDateTime desc",)),
)
NUMBER_ARGUMENTS = tuple((command, name) for command in (USERS, DETECTIONS) for name in ("limit", "page", "page_size"))
MOMENT_ARGUMENTS = ((USERS, "updated_after"), (USERS, "updated_before"), (DETECTIONS, "detected_date_time_after"))


@pytest.mark.parametrize(("command", "argument", "accepted"), ENUMERATED)
@examples
@given(value=TEXTS.filter(bool))
def test_a_text_that_is_no_member_is_refused(
    command: str, argument: str, accepted: tuple[str, ...], value: str, room: WarRoom, simulator: Simulator
) -> None:
    if set(meant(value)) <= set(accepted) and meant(value):
        return
    sent = send(room, simulator, command, **{argument: value})
    assert (len(sent.errors), sent.targets) == (1, [])
    assert argument in sent.errors[0]


@pytest.mark.parametrize(("command", "argument"), [*NUMBER_ARGUMENTS, *MOMENT_ARGUMENTS])
@examples
@given(value=TEXTS.filter(lambda value: value and not re.search("[0-9]", value)))
def test_a_text_without_a_digit_is_no_number_and_no_moment(
    command: str, argument: str, value: str, room: WarRoom, simulator: Simulator
) -> None:
    sent = send(room, simulator, command, **{argument: value})
    assert (len(sent.errors), sent.targets) == (1, [])
    assert argument in sent.errors[0]


@pytest.mark.parametrize("command", [USERS, DETECTIONS])
@examples
@given(value=TEXTS.filter(bool), before=st.sampled_from(("", "https://", GRAPH)))
def test_no_text_makes_next_token_lead_elsewhere(
    command: str, value: str, before: str, room: WarRoom, simulator: Simulator
) -> None:
    sent = send(room, simulator, command, next_token=before + value)
    assert (len(sent.errors), sent.targets) == (1, [])


PATHS_BY_ID = (
    *((command, f"{collection}/{{}}") for command, collection in GET_COLLECTIONS.items()),
    *((command, f"{collection}/{{}}/history") for command, collection in HISTORY_COLLECTIONS.items()),
)


@pytest.mark.parametrize(("command", "path"), PATHS_BY_ID)
@examples
@given(value=TEXTS.filter(bool))
@example(value="..")
@example(value=" . ")
@example(value="%2e%2e")
@example(value="a/../../riskDetections")
def test_an_id_is_one_segment_of_the_path_whatever_it_holds(
    command: str, path: str, value: str, room: WarRoom, simulator: Simulator
) -> None:
    sent = send(room, simulator, command, id=value)
    if not sent.targets:
        assert not re.fullmatch("(?=.*[0-9])[0-9A-Za-z_-]{1,128}", value.strip())
        assert len(sent.errors) == 1
        return
    (target,) = sent.targets
    segments = target.removeprefix(base_of(path.partition("/")[0])).split("/")
    assert [unquote(segment) for segment in segments] == [
        value.strip() if part == "{}" else part for part in path.split("/")
    ]
    assert sent.queries == [{}]
    assert re.fullmatch(r"[\w.~%/-]+", target, re.ASCII)


@examples
@given(names=st.lists(NAMES, min_size=1, max_size=20))
def test_names_to_resolve_are_literals_and_unknown_ones_change_nothing(
    names: list[str], room: WarRoom, simulator: Simulator
) -> None:
    sent = send(room, simulator, "azure-risky-users-dismiss", user=names)
    assert len(sent.errors) == 1
    assert sent.bodies == []
    found = []
    for query in sent.queries:
        assert set(query) == {"$filter", "$top"}
        (group,) = comparisons(query["$filter"])
        assert len(group) <= 15
        found += group
    once = list({name.lower(): name for name in names}.values())
    again = dict.fromkeys(name.lower() for name in once if name != name.lower())
    assert found == [("userPrincipalName", "eq", name) for name in (*once, *again)]


@examples
@given(texts=st.lists(TEXTS, max_size=3), name=NAMES)
def test_what_is_neither_an_id_nor_a_name_sends_nothing(
    texts: list[str], name: str, room: WarRoom, simulator: Simulator
) -> None:
    assume(not any("@" in text for text in texts))
    sent = send(room, simulator, "azure-risky-users-dismiss", user=[*texts, name, "*"])
    assert len(sent.errors) == 1
    assert sent.targets == []


@examples
@given(guids=st.lists(st.uuids(), min_size=1, max_size=20))
def test_ids_to_act_on_go_into_the_body_and_nowhere_else(
    guids: list[UUID], room: WarRoom, simulator: Simulator
) -> None:
    ids = [str(guid).upper() for guid in guids]
    sent = send(room, simulator, "azure-risky-users-confirm-safe", user=ids)
    assert set(sent.targets) == {f"{BASE}riskyUsers/confirmSafe"}
    assert [set(body) for body in sent.bodies] == [{"userIds"}] * len(sent.bodies)
    assert sent.bodies[0]["userIds"] == list(dict.fromkeys(item.lower() for item in ids))


# Moments


def offset_text(minutes: int, colon: str) -> str:
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}{colon}{abs(minutes) % 60:02d}"


@settings(examples, max_examples=400)
@given(
    moment=st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29)),
    fraction=st.text("0123456789", max_size=7),
    zone=st.one_of(st.sampled_from(("", "Z")), st.integers(-14 * 60, 14 * 60)),
    colon=st.booleans(),
)
def test_a_moment_keeps_its_instant(moment: datetime, fraction: str, zone: str | int, colon: bool) -> None:
    offset = zone if isinstance(zone, str) else offset_text(zone, ":" if colon else "")
    text = moment.isoformat()[:19] + (f".{fraction}" if fraction else "") + offset
    literal = aru.datetime_literal("updated_after", text)
    minutes = zone if isinstance(zone, int) else 0
    instant = moment.replace(microsecond=0) - timedelta(minutes=minutes)
    assert literal == instant.isoformat() + (f".{fraction}" if fraction else "") + "Z"
    assert ticks(literal) == ticks(instant.isoformat() + "Z") + int(fraction.ljust(7, "0"))


SECONDS = {"minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}


@settings(examples, max_examples=200)
@given(
    number=st.integers(0, 9999),
    unit=st.sampled_from([*SECONDS]),
    plural=st.sampled_from(("", "s")),
    end=st.sampled_from(("", " ago")),
)
def test_a_time_ago_is_that_long_before_now(number: int, unit: str, plural: str, end: str) -> None:
    literal = aru.parse_moment(f"{number} {unit}{plural}{end}", NOW)
    then = NOW - timedelta(seconds=number * SECONDS[unit])
    assert literal == then.isoformat()[:19] + "Z"


NEIGHBOURS = st.datetimes(datetime(2024, 1, 1, 9, 59, 59), datetime(2024, 1, 1, 10, 0, 1))


@settings(examples, max_examples=300)
@given(st.lists(st.tuples(NEIGHBOURS, st.integers(0, 7)), min_size=2, max_size=6))
def test_moments_are_put_in_the_order_of_time_even_with_hours_of_one_digit(moments: list[tuple[datetime, int]]) -> None:
    texts = [f"{moment.isoformat()[:19]}.{moment.microsecond:06d}0"[: 20 + digits] for moment, digits in moments]
    moment_of = {f"{text.rstrip('.')}Z".replace("T09", "T9"): ticks(f"{text.rstrip('.')}Z") for text in texts}
    ordered = sorted(moment_of, key=aru.instant)
    assert [moment_of[text] for text in ordered] == sorted(moment_of.values())


# Pages


LARGEST = 7  # rows of a page where Graph gives small ones, so that small lists have several
NEWEST_FIRST = f"{UPDATED} desc"
USER_ORDERS = st.sampled_from((NEWEST_FIRST, f"{UPDATED} asc"))


@pytest.fixture
def small_pages(simulator: Simulator) -> Iterator[None]:
    """Graph gives small pages, whatever is asked for."""
    usual = simulator.tenant.largest_page
    simulator.tenant.largest_page = LARGEST
    yield
    simulator.tenant.largest_page = usual


def all_users(simulator: Simulator, order: str = NEWEST_FIRST) -> list[Row]:
    """All users as the simulated tenant itself puts them in order."""
    return simulator.tenant.listing("riskyUsers", None, order)


def read_rows(room: WarRoom, simulator: Simulator, **arguments: Any) -> tuple[list[Any], int, Row]:
    """The rows of a call of the users list, the number of its requests, and its flags."""
    simulator.requests.clear()
    (entry,) = room.call(USERS, {name: str(value) for name, value in arguments.items()}).entries
    assert entry["Type"] == aru.EntryType.NOTE, entry["Contents"]
    return entry["Contents"]["value"], len(simulator.requests), flags(entry)


@pytest.mark.usefixtures("small_pages")
@settings(examples, max_examples=150)
@given(limit=st.integers(1, 60), page=st.integers(1, 9), order=USER_ORDERS)
def test_limit_and_page_give_the_slice_with_the_fewest_requests(
    limit: int, page: int, order: str, room: WarRoom, simulator: Simulator
) -> None:
    rows, requests, flags = read_rows(room, simulator, limit=limit, page=page, order_by=order)
    whole, stop = all_users(simulator, order), limit * page
    assert rows == whole[stop - limit : stop]
    assert flags == {"RiskyUserListTruncated": stop < len(whole)}
    assert requests <= -(-min(stop, len(whole)) // LARGEST) + (stop > len(whole))
    if stop <= len(whole):
        assert requests == -(-stop // LARGEST)


@pytest.fixture(scope="module")
def crowded_room(crowded: Simulator) -> WarRoom:
    return signed_in_room(crowded)


def check_pages_by_token(room: WarRoom, simulator: Simulator, size: int, page: int) -> None:
    """Read a page and those that its tokens lead to: from its first row on, every row comes once."""
    whole, start = all_users(simulator), size * (page - 1)
    rows, requests, flags = read_rows(room, simulator, page_size=size, page=page)
    assert rows[:size] == whole[start : start + size]
    # A page that no number of whole requests ends at is given up to the end of the last request.
    assert len(rows) < size + max(requests, 1)
    while flags["RiskyUserListNextToken"]:
        more, requests, flags = read_rows(room, simulator, next_token=flags["RiskyUserListNextToken"])
        assert (bool(more), requests) == (True, 1)
        rows += more
    assert flags == {"RiskyUserListNextToken": "", "RiskyUserListTruncated": False}
    assert rows == whole[start:]


@settings(examples, max_examples=75)
@given(size=st.integers(1, 50), page=st.integers(1, 9))
def test_a_page_of_one_request_and_the_tokens_after_it_give_every_row_once(
    size: int, page: int, room: WarRoom, simulator: Simulator
) -> None:
    check_pages_by_token(room, simulator, size, page)


@settings(examples, max_examples=12)
@given(size=st.integers(250, 500), page=st.integers(1, 6))
@example(size=500, page=2)
@example(size=499, page=3)
def test_a_page_of_several_requests_and_the_tokens_after_it_give_every_row_once(
    size: int, page: int, crowded_room: WarRoom, crowded: Simulator
) -> None:
    check_pages_by_token(crowded_room, crowded, size, page)


@pytest.mark.usefixtures("small_pages")
@settings(examples, max_examples=60)
@given(
    picked=st.lists(st.integers(0, 39), min_size=16, max_size=40, unique=True),
    limit=st.integers(1, 45),
    page=st.integers(1, 3),
)
def test_values_split_over_requests_give_the_slice_of_one_list(
    picked: list[int], limit: int, page: int, room: WarRoom, simulator: Simulator
) -> None:
    ids = [list(simulator.tenant.users)[number] for number in picked]
    rows, _, flags = read_rows(room, simulator, user_id=",".join(ids), limit=limit, page=page)
    whole = [row for row in all_users(simulator) if row["id"] in ids]
    assert rows == whole[limit * (page - 1) : limit * page]
    assert flags == {"RiskyUserListTruncated": limit * page < len(whole)}
