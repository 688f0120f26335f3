"""What `warroom` shows, completes, understands, and answers with as an exit code."""

import io
import json
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import combinations, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from helpers import LIST, LIST_COLLECTIONS, NOW, SMALL, Row, declared_commands, set_proxy, texts
from tools.docs import EXAMPLES, SIGN_INS, Stage, approve_waiting
from warroom.azure.demo import ADELE_ID, demo_tenant
from warroom.azure.server import Simulator
from warroom.demo import demo_instance
from warroom.terminal import display, keywords
from warroom.terminal.backend import RealTenant, SimulatedTenant
from warroom.terminal.characters import harmless, harmless_json
from warroom.terminal.desk import Desk
from warroom.terminal.keywords import KEYWORDS
from warroom.terminal.markdown import blocks, draw_markdown
from warroom.terminal.options import read_options
from warroom.terminal.session import main, run_session
from warroom.terminal.tables import PART, Table, wrapped
from warroom.xsoar.entries import Run
from warroom.xsoar.integration import MANIFEST, PROJECT, load_integration
from warroom.xsoar.runner import WarRoom

# Drawing

TABLE = (
    "### Users\n|Id|Name|Risk Level|\n|---|---|---|\n"
    "| 00000000-0000-0000-0000-000000000001 | Zoë \\| O'Brien<br>\\`quoted\\` | high |\n"
)


def drawn(markdown: str, width: int = 80, **options: Any) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False, **options)
    draw_markdown(markdown, console)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def test_a_table_is_drawn_with_its_escapes_and_breaks_resolved() -> None:
    lines = [line.split() for line in drawn(TABLE).splitlines()]
    assert lines[0] == ["Users"]
    assert lines[2] == ["|", "Id", "|", "Name", "|", "Risk", "Level", "|"]
    assert lines[4:6] == [
        ["|", "00000000-0000-0000-0000-000000000001", "|", "Zoë", "|", "O'Brien", "|", "high", "|"],
        ["|", "|", "`quoted`", "|", "|"],
    ]


# What only the terminal knows of: incidents that were fetched, of which it has seen some arrive.
ARRIVED = "with delay"

LISTS = [f"!{command} limit=8" for command in LIST_COLLECTIONS]


def example_lines(stage: Stage) -> Iterator[tuple[WarRoom, str]]:
    """A line for each example in the documentation, and longer lists, each with the room to type it in."""
    for command, examples in EXAMPLES.items():
        room = stage.rooms[SIGN_INS.get(command, "Client Credentials")]
        for arguments in examples:
            yield room, f"!{command} {arguments.format_map(stage.ids)}"
    for line in LISTS:
        yield stage.rooms["Client Credentials"], line


def fetched(room: WarRoom) -> list[Table]:
    """The tables of incidents, as they are drawn of a real and of the simulated tenant."""
    incidents = room.fetch().incidents
    arrivals = {incidents[0]["dbotMirrorId"]: ARRIVED}
    return [display.incident_table(incidents, known) for known in ({}, arrivals)]


@pytest.fixture(scope="module")
def shown_blocks() -> list[Table | list[str]]:
    """The tables and running texts of every command of the manifest, and the tables of a fetch."""
    found: list[Table | list[str]] = []
    with Simulator(demo_tenant(NOW, users=40, detections=60)) as simulator:
        stage = Stage(simulator)
        for room, line in example_lines(stage):
            for text in texts(room.run(line)):
                found += blocks(text)
            approve_waiting(simulator)
        found += fetched(stage.rooms["Client Credentials"])
    return found


@pytest.fixture(scope="module")
def shown_tables(shown_blocks: list[Table | list[str]]) -> list[Table]:
    return [block for block in shown_blocks if isinstance(block, Table)]


WIDTHS = range(40, 241)
DETECTION_ID = "57f90b64320895fe10dd0c7c71fde5043ca25f56a789e18394ef7dc21fac015f"
MARGIN = 4  # characters that a frame and what stands beside a cell take of a line


def joined(parts: Iterable[str]) -> str:
    """Texts without the breaks between and in them."""
    return "".join("".join(parts).split())


def read_columns(lines: list[str]) -> list[str]:
    """What stands in each column of a table that is drawn with a frame, and last what goes through all of them."""
    edges = [place for place, character in enumerate(lines[0]) if character == "+"]
    body = [line for line in lines if line.startswith("|")]
    through = [line for line in body if any(line[edge] != "|" for edge in edges)]
    beside = [line for line in body if line not in through]
    columns = [joined(line[left + 1 : right] for line in beside) for left, right in pairwise(edges)]
    return [*columns, joined(line[1:-1] for line in through)]


def read_sections(lines: list[str]) -> list[str]:
    """The headers and the values of a table that is drawn with the one beside or above the other."""
    border = min((line.index(" |") for line in lines if " |" in line), default=-1)
    headers, values = "", ""
    for line in lines:
        if set(line) <= set("-+"):
            continue
        if line[border : border + 2] == " |":
            headers += line[:border]
            values += line[border + 2 :]
        elif line.startswith("  "):
            values += line
        else:
            headers += line
    return [joined(headers), joined(values)]


def is_whole(table: Table, lines: list[str]) -> bool:
    """Whether each character of a table stands where it belongs in what was drawn."""
    table = table.in_order
    columns = list(zip(table.headers, *table.rows, strict=True))
    if lines[0].startswith("+"):
        *beside, through = read_columns(lines)
        ids = columns[len(beside) :]
        rows = zip(*[column[1:] for column in ids], strict=True)
        below = [f"{column[0]}: {value}" for row in rows for column, value in zip(ids, row, strict=True) if value]
        return beside == [joined(column) for column in columns[: len(beside)]] and through == joined(below)
    sections = [joined(table.headers) * len(table.rows), joined(cell for row in table.rows for cell in row)]
    return read_sections(lines) == sections


def runs(parts: list[str]) -> Iterator[str]:
    """What may stand in one line of a word that has these parts."""
    for start, end in combinations(range(len(parts) + 1), 2):
        yield "".join(parts[start:end])


def laid_out(table: Table, width: int) -> list[str]:
    return [line.plain for line in table.lines(width)]


def test_every_command_shows_what_is_drawn_here(shown_tables: list[Table]) -> None:
    assert set(EXAMPLES) == set(declared_commands())
    assert len(shown_tables) > len(EXAMPLES)
    assert {len(table.rows) > 1 for table in shown_tables} == {True, False}


def test_no_width_loses_a_character_of_a_table_or_draws_beyond_the_edge(shown_tables: list[Table]) -> None:
    lost, beyond, broken = [], [], []
    for table in shown_tables:
        words = {word for row in table.rows for cell in row for word in cell.split()}
        expected = {run for word in words for run in runs(PART.findall(word))}
        expected |= {word for header in table.headers for word in f"{header}: {header}".split()}
        for width in WIDTHS:
            lines = laid_out(table, width)
            if not is_whole(table, lines):
                lost.append((width, table.headers))
            if max(map(cell_len, lines)) > width:
                beyond.append((width, table.headers))
            if all(cell_len(word) <= width - MARGIN for word in words):
                drawn_words = {word.strip("+|-") for word in " ".join(lines).replace("|", " ").split()}
                broken += [(width, word) for word in drawn_words - {word.strip("+|-") for word in expected} if word]
    assert (lost, beyond) == ([], [])
    # A word is broken only where a reader expects it, or where the terminal is narrower.
    assert broken == []


def test_no_width_loses_a_character_of_running_text(shown_blocks: list[Table | list[str]]) -> None:
    text = "\n".join(line for block in shown_blocks if not isinstance(block, Table) for line in block)
    longest = max(map(len, text.split()))
    in_full = joined(drawn(text, 1000))
    for width in range(40, 241, 10):
        narrow = drawn(text, width, force_terminal=True, color_system=None)
        assert joined(narrow) == in_full
        assert max(map(cell_len, narrow.splitlines())) <= max(width, longest)


@given(st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" ")), st.integers(2, 30))
def test_wrapping_keeps_every_character_of_any_script_in_the_width(line: str, width: int) -> None:
    lines = wrapped(line, width)
    assert joined(lines) == joined([line])
    assert max(map(cell_len, lines), default=0) <= width


def test_columns_stand_side_by_side_while_no_cell_is_wrapped_onto_more_than_three_lines() -> None:
    table = Table(["No", "Detail"], [["1", "one two three four five six"], ["2", "none"]])
    assert laid_out(table, 19) == [
        "+----+------------+",
        "| No | Detail     |",
        "+----+------------+",
        "| 1  | one two    |",
        "|    | three four |",
        "|    | five six   |",
        "| 2  | none       |",
        "+----+------------+",
    ]
    # Up to five, and without spaces beside them, before each row is a section.
    assert laid_out(table, 12) == [
        "+--+-------+",
        "|No|Detail |",
        "+--+-------+",
        "|1 |one two|",
        "|  |three  |",
        "|  |four   |",
        "|  |five   |",
        "|  |six    |",
        "|2 |none   |",
        "+--+-------+",
    ]
    assert laid_out(table, 11) == [
        "No     | 1",
        "Detail",
        "  one two",
        "  three",
        "  four five",
        "  six",
        "-------+---",
        "No     | 2",
        "Detail",
        "  none",
    ]


DETECTIONS = Table(
    ["Id", "User Principal Name", "Risk State", "Detected Date Time", "Subject"],
    [
        [DETECTION_ID, "adele.vance@contoso.example", "atRisk", "2026-11-20T11:47:03Z", ADELE_ID],
        ["333", "mia@contoso.example", "confirmedCompromised", "2026-11-20T09:00:00Z", ""],
    ],
)


def test_what_happened_is_told_in_the_order_of_an_analysts_questions() -> None:
    headers = ["Id", "User Id", "User Display Name", "Risk Detail", "Risk Event Type", "Risk Level", "Risk State"]
    headers += ["Last Updated Date Time", "Ip Address", "Detected Date Time", "Place"]
    row = ["333", ADELE_ID, "Adele", "none", "Leaked credentials", "high", "atRisk"]
    row += ["2026-11-20T11:47:03Z", "203.0.113.2", "2026-11-20T11:45:03Z", "Cusco, PE"]
    lines = laid_out(Table(headers, [row, row]), 300)
    first_line = [cell.strip() for cell in lines[1].strip("|").split("|")]
    assert first_line == [
        *("Detected Date Time", "Risk Event Type", "Risk Level", "Risk State", "Ip Address", "Place"),
        *("User Display Name", "Risk Detail", "Last Updated Date Time"),
        *("Id", "User Id"),
    ]


def test_times_come_first_and_ids_last_among_the_columns_or_below_each_row() -> None:
    rule = "+----------------------+-----------------------------+----------------------+"
    id_rule, subject_rule = "-" * 66, "-" * 38
    wide_rule = f"{rule}{id_rule}+{subject_rule}+"
    assert laid_out(DETECTIONS, 200) == [
        wide_rule,
        f"| Detected Date Time   | User Principal Name         | Risk State           | {'Id':64} | {'Subject':36} |",
        wide_rule,
        f"| 2026-11-20T11:47:03Z | adele.vance@contoso.example | atRisk               | {DETECTION_ID} | {ADELE_ID} |",
        f"| 2026-11-20T09:00:00Z | mia@contoso.example         | confirmedCompromised | {'333':64} | {'':36} |",
        wide_rule,
    ]
    assert laid_out(DETECTIONS, 100) == [
        rule,
        "| Detected Date Time   | User Principal Name         | Risk State           |",
        rule,
        "| 2026-11-20T11:47:03Z | adele.vance@contoso.example | atRisk               |",
        f"| Id: {DETECTION_ID}      |",
        f"| Subject: {ADELE_ID}                             |",
        rule,
        "| 2026-11-20T09:00:00Z | mia@contoso.example         | confirmedCompromised |",
        "| Id: 333                                                                   |",
        rule,
    ]
    assert laid_out(DETECTIONS, 60) == [
        "+----------------------+-----------------+-------------+",
        "| Detected Date Time   | User Principal  | Risk State  |",
        "|                      | Name            |             |",
        "+----------------------+-----------------+-------------+",
        "| 2026-11-20T11:47:03Z | adele.vance@    | atRisk      |",
        "|                      | contoso.example |             |",
        "| Id:                                                  |",
        "| 57f90b64320895fe10dd0c7c71fde5043ca25f56a789e18394ef |",
        "| 7dc21fac015f                                         |",
        f"| Subject: {ADELE_ID}        |",
        "+----------------------+-----------------+-------------+",
        "| 2026-11-20T09:00:00Z | mia@contoso.    | confirmed   |",
        "|                      | example         | Compromised |",
        "| Id: 333                                              |",
        "+----------------------+-----------------+-------------+",
    ]


def test_all_ids_of_a_row_stand_in_one_line_where_there_is_room() -> None:
    together = f"| Id: {DETECTION_ID}  Subject: {ADELE_ID} |"
    assert [together in laid_out(DETECTIONS, width) for width in (len(together) - 1, len(together))] == [False, True]


@pytest.mark.parametrize("width", [120, 200])
def test_a_list_of_detections_stands_side_by_side(width: int, shown_tables: list[Table]) -> None:
    several = [table for table in shown_tables if len(table.rows) > 1]
    lists = [table for table in several if "Detected Date Time" in table.headers]
    assert {laid_out(table, width)[0][0] for table in lists} == {"+"}


def test_a_single_row_keeps_its_order() -> None:
    table = Table(DETECTIONS.headers, DETECTIONS.rows[:1])
    assert [line.split(" | ")[0].rstrip() for line in laid_out(table, 120)] == DETECTIONS.headers


@pytest.mark.parametrize(
    ("header", "values", "is_id"),
    [
        ("Id", ["1", "x"], True),
        ("id", ["1", "x"], True),
        ("User Id", ["", ""], True),
        ("userId", ["1", "x"], True),
        ("Paid", ["1", "x"], False),
        ("Initiated By", ["the system", ADELE_ID], False),
        ("Initiated By", ["", ADELE_ID.upper()], True),
        ("Initiated By", ["", ""], False),
        ("Hash", ["0" * 64, "f" * 32], True),
        ("Hash", ["0" * 31, "f" * 32], False),
    ],
)
def test_an_id_is_known_by_its_header_or_its_form(header: str, values: list[str], is_id: bool) -> None:
    rows = [[value, "later"] for value in values]
    assert Table([header, "Other"], rows).in_order.headers == (["Other", header] if is_id else [header, "Other"])


@pytest.mark.parametrize(
    ("word", "lines"),
    [
        ("2026-11-20T11:47:03.1234567Z", ["2026-11-20T", "11:47:03.1234567Z"]),
        ("adele.vance@contoso.example", ["adele.vance@", "contoso.example"]),
        ("confirmedCompromised", ["confirmed", "Compromised"]),
        ("198.51.100.104", ["198.51.100.104"]),
        ("https://contoso.example/a/b_c", ["https://contoso.", "example/a/b_c"]),
    ],
)
def test_a_word_that_has_to_go_on_in_the_next_line_is_broken_where_a_reader_expects_it(
    word: str, lines: list[str]
) -> None:
    assert wrapped(word, 17, PART) == lines
    assert wrapped("atRisk", 6, PART) == ["atRisk"]


def test_a_value_too_wide_to_stand_beside_its_header_stands_below_it() -> None:
    table = Table(["Id", "Risk Level"], [["00000000-0000-4000-8000-00000000ade1", "high"]])
    assert laid_out(table, 40) == ["Id", "  00000000-0000-4000-8000-00000000ade1", "Risk Level | high"]
    assert laid_out(table, 30) == [
        "Id",
        "  00000000-0000-4000-8000-0000",
        "  0000ade1",
        "Risk Level | high",
    ]


def test_what_is_spare_takes_the_most_columns_out_of_wrapping() -> None:
    table = Table(["Number", "Name", "State"], [["1", "Adele Vance", "at risk"], ["2", "Mia", "none"]])
    assert [laid_out(table, width)[3] for width in (26, 30, 34)] == [
        "| 1      | Adele | at    |",
        "| 1      | Adele | at risk |",
        "| 1      | Adele Vance | at risk |",
    ]


@pytest.mark.parametrize("width", [50, 60, 80])
def test_an_id_stays_whole_beside_a_header_of_many_words(width: int) -> None:
    user_id = "00000000-0000-4000-8000-00000000ade1"
    text = drawn(f"|Id|Risk Last Updated Date Time|\n|---|---|\n| {user_id} | {'words ' * 20}|\n", width)
    assert user_id in text
    assert text.split().count("words") == 20


@pytest.mark.parametrize("width", [24, 80])
def test_an_address_is_shown_as_it_is(width: int) -> None:
    assert "2001:db8:a:b:c:d:e:f" in drawn("|Address|\n|---|\n| 2001:db8:a:b:c:d:e:f |\n", width)


def test_a_single_wide_row_is_drawn_as_a_list() -> None:
    table = f"|Id|Risk Detail|Location|\n|---|---|---|\n| 555 | {'words ' * 9}| {'more ' * 9}|\n"
    assert [line.split(" | ")[0].strip() for line in drawn(table).splitlines()] == ["Id", "Risk Detail", "Location"]


@pytest.mark.parametrize(
    "text",
    [
        "cat log\n| grep foo\nends\n",
        "| a pipe |\n| and another |\n",
        "|A|B|\n|---|---|\n| 1 | 2 | 3 |\n",
        "|A|B|\n|---|\n| 1 | 2 |\n",
        "|A|B\n|---|---\n| 1 | 2\n",
        "|A|\n| 1 |\n|---|\n",
    ],
)
def test_what_only_looks_like_a_table_is_running_text(text: str) -> None:
    assert drawn(text) == text


def test_running_text_loses_its_marks_but_not_its_words() -> None:
    assert drawn("## Steps\n1. Open [here](https://x/y) or [https://x](https://x), enter **AB C**.\n[red]\n") == (
        "Steps\n1. Open here (https://x/y) or https://x, enter AB C.\n[red]\n"
    )


@pytest.mark.parametrize(
    ("entry", "shown"),
    [
        (
            {"ContentsFormat": "text", "Contents": "a\t**no** [mark](http://x)"},
            "a   **no** [mark](http://x)",
        ),
        ({"ContentsFormat": "json", "Contents": {"a": "**b**"}}, '{\n  "a": "**b**"\n}'),
        ({"ContentsFormat": "markdown", "Contents": "**a mark**"}, "a mark"),
    ],
)
def test_only_markdown_loses_its_marks(entry: Row, shown: str) -> None:
    console = Console(file=io.StringIO(), width=80, highlight=False)
    display.draw(Run("c", [{"Type": 1, **entry}]), console)
    assert console.file.getvalue() == f"{shown}\n"  # type: ignore[attr-defined]


@pytest.mark.parametrize(("kind", "colour"), [(4, "\x1b[31m"), (11, "\x1b[33m")])
def test_errors_are_red_and_warnings_yellow_where_colours_are_shown(
    kind: int, colour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    console = Console(file=io.StringIO(), force_terminal=True, color_system="standard")
    display.draw(Run("c", [{"Type": kind, "ContentsFormat": "text", "Contents": "careful"}]), console)
    assert console.file.getvalue().startswith(f"{colour}careful")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({"HumanReadable": "text", "Contents": {"a": 1}, "ContentsFormat": "json"}, "text"),
        ({"HumanReadable": None, "Contents": {"a": 1}, "ContentsFormat": "json"}, '{\n  "a": 1\n}'),
        ({"Contents": '{"a": 1}', "ContentsFormat": "json"}, '{\n  "a": 1\n}'),
        ({"HumanReadable": None, "Contents": None, "ContentsFormat": "json"}, ""),
    ],
)
def test_an_entry_shows_its_readable_text_or_else_its_contents(entry: Row, text: str) -> None:
    assert display.readable(entry) == text


def test_a_raw_response_shows_the_contents_in_place_of_the_text() -> None:
    entry = {"HumanReadable": "text", "Contents": {"a": 1}, "ContentsFormat": "json"}
    assert display.readable(entry, raw=True) == '{\n  "a": 1\n}'


@pytest.mark.parametrize(
    ("severity", "word"),
    [(0, "unknown"), (0.5, "informational"), (1, "low"), (2, "medium"), (3, "high"), (4, "critical")],
)
def test_every_severity_of_the_platform_has_its_word(severity: float, word: str) -> None:
    assert display.incident_cells({"name": "i", "severity": severity})[1] == word


# Characters that act on a terminal, or show nothing

# Of the formatting characters, these are signs of a script that are seen.
SIGNS = {*map(chr, range(0x600, 0x606)), "\u06dd", "\u070f", "\u0890", "\u0891", "\u08e2", "\U000110bd", "\U000110cd"}
INVISIBLE = [
    *map(chr, (0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0)),
    *map(chr, range(0x2060, 0x2070)),
    *map(chr, range(0xFE00, 0xFE10)),
    *map(chr, range(0xE0000, 0xE1000)),
]
ACTING = [
    character
    for character in map(chr, range(sys.maxunicode + 1))
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in SIGNS | {"\t", "\n"}
]
WRITTEN = "Zoë Ze\u0308 שָׁלוֹם مُحَمَّد नमस्ते 山田 ไทย 👩🏽 🇩🇪 \ufffd \u00a0\u3000\u0600"


def test_every_character_that_acts_or_is_not_seen_is_spelled_out() -> None:
    assert len(ACTING) > 2000
    left = [character for character in [*ACTING, *INVISIBLE] if not harmless(character).startswith("\\")]
    assert left == []
    assert [harmless(character) for character in "\r\x9b\u202e\U000e0041\ud800"] == [
        r"\x0d",
        r"\x9b",
        r"\u202e",
        r"\U000e0041",
        r"\ud800",
    ]


def test_what_is_written_in_any_script_stays_as_it_is() -> None:
    assert harmless(WRITTEN) == harmless_json(WRITTEN) == WRITTEN
    assert harmless("two\nlines\tand a tab") == "two\nlines\tand a tab"


def test_json_means_the_same_with_its_characters_spelled_out() -> None:
    value = {"names": [*ACTING, WRITTEN], "\u202e": "\r\n\t\\"}
    text = display.as_json(value)
    assert json.loads(text) == value
    assert set(ACTING) & set(text) == set()


NASTY = "Zoë\x1b[2J\x9b31m\r\x07\u202e\u200b\u2028\U000e0041\ud800|end"
SPELLED_OUT = r"Zoë\x1b[2J\x9b31m\x0d\x07\u202e\u200b\u2028\U000e0041\ud800"


@pytest.mark.parametrize("shape", ["table", "markdown", "json"])
def test_no_name_acts_on_the_terminal_in_any_form(shape: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = read_options([*SMALL, *([] if shape == "table" else [f"--{shape}"])])
    console = display.open_console()
    with closing(SimulatedTenant(options, console)) as backend:
        tenant = backend.simulator.tenant
        tenant.users["333"]["userDisplayName"] = NASTY
        for detection in tenant.detections.values():
            detection["userPrincipalName"] = NASTY
        desk = Desk(options, backend, console, KEYWORDS)
        lines = ["!azure-risky-user-get id=333", "!azure-risky-user-get id=333 raw-response=true", "context ."]
        assert desk.do_all([*lines, "fetch --times 1"]) == 0
        assert desk.do_all(["help x\u202e\x1b[2J\ud800"]) == 2
    printed = capsys.readouterr()
    assert set(ACTING) & set(printed.out + printed.err) == set()
    assert printed.out.count("end") >= 4
    assert r"has x\u202e\x1b[2J\ud800 in it;" in printed.err


@pytest.mark.parametrize(
    "draw",
    [
        lambda console: draw_markdown(f"|Name|\n|---|\n| {NASTY} |\n", console),
        lambda console: draw_markdown(f"### {NASTY}", console),
        lambda console: display.draw(Run("c", logs=[NASTY], generic={"debug-mode": "true"}), console),
        lambda console: display.draw_incidents(Run("c", incidents=[{"name": NASTY}]), {}, console),
    ],
    ids=["a table", "a heading", "a log line", "incidents"],
)
def test_what_is_drawn_shows_the_characters_that_would_act(draw: Callable[[Console], None]) -> None:
    console = Console(file=io.StringIO(), width=120, highlight=False)
    draw(console)
    assert SPELLED_OUT in console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("shape", ["table", "markdown", "json"])
def test_what_is_piped_has_no_colours_whatever_the_environment_wants(
    shape: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "CLICOLOR_FORCE"):
        monkeypatch.setenv(name, "1")
    form = [] if shape == "table" else [f"--{shape}"]
    assert main([*SMALL, *form, LIST, "help", "fetch --times 1", "nonsense"]) == 2
    printed = capsys.readouterr()
    assert "\x1b" not in printed.out + printed.err


@pytest.mark.parametrize("is_terminal", [True, False])
def test_an_encoding_without_a_character_gets_its_escape(is_terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    output = io.BytesIO()
    file = io.TextIOWrapper(output, encoding="ascii", write_through=True)
    monkeypatch.setattr(file, "isatty", lambda: is_terminal)
    monkeypatch.setattr(sys, "stdout", file)
    monkeypatch.setenv("TERM", "dumb")
    draw_markdown("Zoë\n|Name|\n|---|\n| 山田 |\n", display.open_console())
    lines = output.getvalue().decode("ascii").splitlines()
    assert lines == [r"Zo\xeb", "+------+", "| Name |", "+------+", r"| \u5c71\u7530 |", "+------+"]


# The command `warroom`

CommandLine = Callable[..., int]  # the fixture `warroom`


@pytest.fixture
def warroom(room: WarRoom) -> CommandLine:
    """Runs `warroom` with the small integration in the place of the real one."""

    def run(*arguments: str) -> int:
        options = read_options(list(arguments))
        return run_session(options, RealTenant(room), display.open_console())

    return run


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (["!contoso-echo"], 0),
        (["!contoso-refuse"], 1),
        (["!contoso-refuse", "!contoso-echo"], 1),
        (["!contoso-unknown"], 1),
        (["nonsense"], 2),
        (["help", "help contoso-echo", "context", "context A.b", "test", "fetch"], 0),
        (["help unknown"], 2),
        (["context A B"], 2),
        (["context A=b"], 2),
        (["quit", "!contoso-refuse"], 0),
        (["exit", "!contoso-refuse"], 0),
        (["history", "clear", "help gives back"], 0),
        (["history now"], 2),
        (["clear now"], 2),
    ],
)
def test_the_exit_code_tells_errors_and_misuse_apart(warroom: CommandLine, lines: list[str], code: int) -> None:
    assert warroom(*lines) == code


@pytest.mark.parametrize(
    "arguments",
    [["--users", "many"], ["--seed", "-1"], ["--markdown", "--json"], ["--unknown"], ["--instance", "none"]],
)
def test_options_that_cannot_be_used_exit_with_2(warroom: CommandLine, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        warroom(*arguments)
    assert ended.value.code == 2


def test_markdown_prints_the_readable_text_exactly(warroom: CommandLine, capsys: pytest.CaptureFixture[str]) -> None:
    warroom("--markdown", "!contoso-echo text='[red]**x**'")
    assert capsys.readouterr().out == '{"limit": "50", "text": "[red]**x**"}\n'


def test_json_prints_the_entries_exactly(warroom: CommandLine, capsys: pytest.CaptureFixture[str]) -> None:
    warroom("--json", "!contoso-rows count=1 raw-response=true")
    row = {"id": "0", "a": {"b": 0}}
    assert json.loads(capsys.readouterr().out) == [
        {
            "Type": 1,
            "ContentsFormat": "json",
            "Contents": [row],
            "HumanReadable": "1 rows",
            "EntryContext": {"Contoso.Row(val.id && val.id == obj.id)": [row]},
            "IndicatorTimeline": [],
            "IgnoreAutoExtract": False,
            "Note": False,
            "Relationships": [],
        }
    ]


def test_lines_may_be_piped_in(
    warroom: CommandLine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("!contoso-rows count=2\n\ncontext Contoso.Row.id\nquit\n"))
    assert warroom() == 0
    assert capsys.readouterr().out == '2 rows\n[\n  "0",\n  "1"\n]\n'


def test_help_names_an_arguments_values_and_default(warroom: CommandLine, capsys: pytest.CaptureFixture[str]) -> None:
    warroom("help !contoso-echo")
    assert capsys.readouterr().out.splitlines()[:8] == [
        "!contoso-echo",
        "    Gives back its arguments.",
        "text",
        "    Any text.",
        "limit",
        "    A number. Default: 50.",
        "level",
        "    A level. One of: low, very high.",
    ]


def test_help_finds_by_words_in_names_before_those_in_descriptions(
    warroom: CommandLine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    assert warroom("help TIME", "help !contoso re", "help standard output") == 0
    assert capsys.readouterr().out.splitlines() == [
        "fetch [--times N] [--every SECONDS]  Lets the server fetch incidents again and again.",
        "!contoso-moment                      Tells the time.",
        "!contoso-remember  Counts.",
        "!contoso-refuse    Refuses.",
        "!contoso-choose    Refuses what is chosen.",
        "!contoso-write  Writes to standard output.",
    ]


def test_what_help_finds_takes_a_line_each_however_narrow_the_terminal(
    warroom: CommandLine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    warroom("help contoso moment", "help time fetch")
    assert capsys.readouterr().out.splitlines() == [
        "!contoso-moment  Tells the ti…",
        "fetch [--times N] [--every SE…",
    ]


def test_help_that_finds_nothing_names_the_nearest(warroom: CommandLine, capsys: pytest.CaptureFixture[str]) -> None:
    assert warroom("help contoso-ehco", "help nothing at all") == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        "Nothing here has contoso-ehco in it; help lists all. Did you mean contoso-echo?",
        "Nothing here has nothing at all in it; help lists all.",
    ]


def test_history_is_what_was_typed_and_clear_writes_no_text(
    warroom: CommandLine, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ["!contoso-echo text='a  b\x1b'", "context Nothing", "clear", "history"]
    warroom("--markdown", *lines)
    output = ['{"limit": "50", "text": "a  b\\u001b"}', "null"]
    assert capsys.readouterr().out.splitlines() == [*output, lines[0].replace("\x1b", r"\x1b"), *lines[1:]]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("hlep", "Did you mean help?"),
        ("contoso-echo text=a", "Did you mean !contoso-echo?"),
        ("nonsense", "quit, exit."),
        ("context Contoso.Rows", "Nothing stands under Contoso.Rows. Did you mean Contoso.Row?"),
        ("context Other", "Nothing stands under Other."),
        ("fetch --time 3", "fetch takes [--times N] [--every SECONDS]. Did you mean --times?"),
        (f"fetch --times {'9' * 5_000}", "fetch takes [--times N] [--every SECONDS]."),
        ("fetch --times many", "fetch takes [--times N] [--every SECONDS]."),
        ("!contoso-choose level=very level=high", ""),
        ("!contoso-choose level=hig", "level=hig: Did you mean very high?"),
        ("!contoso-choose level=other", ""),
        ("!contoso-choose level=hig why='did you mean'", ""),
        ("!contoso-choose ids=one,tow,other", "ids=tow: Did you mean two?"),
    ],
)
def test_a_mistyped_word_gets_the_nearest(
    line: str, problem: str, warroom: CommandLine, capsys: pytest.CaptureFixture[str]
) -> None:
    warroom("!contoso-rows count=1", line)
    not_understood = "is not understood: a command starts with !, and there are"
    error = capsys.readouterr().err.strip()
    assert error == problem or (not_understood in error and error.endswith(f" {problem}"))


def test_of_null_that_stands_in_the_context_it_is_not_said_that_nothing_does(
    warroom: CommandLine, capsys: pytest.CaptureFixture[str]
) -> None:
    warroom("!contoso-rows count=1 extend-context=Contoso.Null=missing", "context Contoso.Null")
    printed = capsys.readouterr()
    assert (printed.out.splitlines()[-1], printed.err) == ("null", "")


def test_help_shows_brackets_as_they_are(
    warroom: CommandLine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KEYWORDS, "help", KEYWORDS["help"]._replace(takes="[word]"))
    warroom("help")
    assert "help [word]" in capsys.readouterr().out.splitlines()


def test_debug_mode_shows_the_log(warroom: CommandLine, capsys: pytest.CaptureFixture[str]) -> None:
    warroom("!contoso-rows count=1 debug-mode=true")
    assert capsys.readouterr().out == "1 rows\ndebug: running contoso-rows\n"


# The real integration and the simulated tenant


def test_the_demo_investigates_a_user_and_ends_with_the_changed_state(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", *SMALL]) == 0
    printed = capsys.readouterr()
    new = "It is new in each call; --state FILE keeps it."
    assert printed.err == f"The tenant is simulated: nothing leaves this machine. {new}\n"
    expected = [
        "warroom> fetch --times 1",
        "Leaked credentials: adele.vance@contoso.example (high)",
        "warroom> !azure-risky-user-investigate",
        "Suggestion: confirm compromised",
        "1 submitted.",
        "(30 seconds later)",
        "1 applied.",
        "warroom> !azure-risky-user-get",
        "Admin confirmed user compromised",
    ]
    places = [printed.out.find(text) for text in expected]
    assert places == sorted(places)
    assert places[0] > 0


def test_the_demo_shows_brackets_as_they_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(keywords, "TOUR", ["context Nothing[word]"])
    main(["demo", *SMALL])
    assert "warroom> context Nothing[word]" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    "lines",
    [
        ["signin client-credentials", "test", "!azure-risky-users-auth-test"],
        ["signin managed-identity", "test", "!azure-risky-users-auth-test"],
    ],
)
def test_every_sign_in_can_be_walked_through(lines: list[str]) -> None:
    assert main([*lines, *SMALL]) == 0


@pytest.mark.parametrize(("answer", "code"), [("approve", 0), ("decline", 1)])
def test_the_person_at_the_browser_is_played_at_the_prompt(
    answer: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def lines() -> Iterator[str]:
        yield "signin device-code"
        yield "!azure-risky-users-auth-start"
        code_to_enter = re.findall("enter the code (\\S+)", capsys.readouterr().out)[0]
        yield f"{answer} {code_to_enter}"
        yield "!azure-risky-users-auth-complete"

    options = read_options([*SMALL])
    console = display.open_console()
    with closing(SimulatedTenant(options, console)) as backend:
        desk = Desk(options, backend, console, KEYWORDS)
        assert desk.do_all(lines()) == code


def test_a_mistyped_way_to_sign_in_gets_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    main(["signin devicecode", *SMALL])
    assert capsys.readouterr().err.splitlines()[-1] == (
        "signin takes one of client-credentials, device-code, managed-identity. Did you mean device-code?"
    )


@pytest.mark.parametrize("line", ["signin nobody", "approve X", "approve", "quit now"])
def test_a_word_that_cannot_be_followed_is_misuse(line: str) -> None:
    assert main([line, *SMALL]) == 2


def test_a_real_instance_has_no_simulated_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "contoso-secret")
    instance = str(PROJECT / "warroom/instance.example.json")
    assert main(["--instance", instance, "approve X"]) == 2


def test_a_proxy_in_the_environment_does_not_come_between_integration_and_simulator(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_proxy(monkeypatch, "http://127.0.0.1:9")
    module = load_integration()
    with Simulator(demo_tenant(users=5, detections=5)) as simulator:
        room = WarRoom(module, MANIFEST, {**demo_instance(), "proxy": True}, simulator=simulator)
        assert not room.run(LIST).failed
    assert "get_adapter" not in vars(module.HttpSession)
