"""What `warroom` shows, completes, understands, and answers with as an exit code."""

import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from helpers import LIST, SMALL, Row, set_proxy
from warroom.azure.demo import demo_tenant
from warroom.azure.server import Simulator
from warroom.demo import demo_instance
from warroom.terminal import display, keywords
from warroom.terminal.backend import RealTenant, SimulatedTenant
from warroom.terminal.desk import Desk
from warroom.terminal.keywords import KEYWORDS
from warroom.terminal.markdown import draw_markdown
from warroom.terminal.options import read_options
from warroom.terminal.prompt import candidates
from warroom.terminal.session import main, run_session
from warroom.xsoar.entries import Run
from warroom.xsoar.integration import MANIFEST, PROJECT, load_integration
from warroom.xsoar.manifest import Manifest
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


@pytest.mark.parametrize("width", [20, 50, 80, 120, 200])
def test_nothing_is_lost_at_any_width_and_ids_stay_whole(width: int) -> None:
    values = ["b6b4a2b0c1d2e3f4" * 4, "zoe.obrien@contoso.example", "2026-05-11T07:42:19.3350127Z", "high", "a" * 70]
    table = f"|{'|'.join('ABCDE')}|\n|---|---|---|---|---|\n| {' | '.join(values)} |\n"
    text = drawn(table, width)
    assert all(value in text for value in values[:4])
    assert text.count("a") - "".join(values[:4]).count("a") == 70


HISTORY = (  # as the command draws it for somebody
    "|Risk Last Updated Date Time|Risk Level|Risk State|Risk Event Types|Initiated By|\n|---|---|---|---|---|\n"
    "| 2026-11-20T08:50:00.3501270Z | high | atRisk | Leaked credentials | the system |\n"
    "| 2026-11-19T09:56:00.3501270Z | medium | atRisk | Anonymous IP address,<br>Password spray | the system |\n"
    "| 2026-11-18T07:38:00.3501270Z | low | atRisk | Unfamiliar sign-in properties | the system |\n"
)


def squeezed(text: str) -> str:
    """A text without the frame of a table and without breaks, its characters in order of the alphabet."""
    return "".join(sorted(re.sub(r"[\s|+=-]", "", text)))


def test_no_width_cuts_a_table_off_at_the_right() -> None:
    as_a_table = squeezed(drawn(HISTORY, 240))
    as_a_list = squeezed(drawn(HISTORY, 40))  # repeats the headers for each row
    tables = {width: drawn(HISTORY, width) for width in range(40, 241)}
    assert [width for width, table in tables.items() if max(map(len, table.splitlines())) > width] == []
    assert [width for width, table in tables.items() if squeezed(table) not in (as_a_table, as_a_list)] == []


@pytest.mark.parametrize("width", [50, 60, 80])
def test_an_id_stays_whole_beside_a_header_of_many_words(width: int) -> None:
    user_id = "00000000-0000-4000-8000-00000000ade1"
    text = drawn(f"|Id|Risk Last Updated Date Time|\n|---|---|\n| {user_id} | {'words ' * 20}|\n", width)
    assert user_id in text
    assert text.split().count("words") == 20


@pytest.mark.parametrize("width", [20, 80])
def test_an_address_is_shown_as_it_is(width: int) -> None:
    assert "2001:db8:a:b:c:d:e:f" in drawn("|Address|\n|---|\n| 2001:db8:a:b:c:d:e:f |\n", width)


def test_a_name_cannot_play_with_the_terminal() -> None:
    assert "Zo\\x1b[2J\\u2028\\r" in drawn("|Name|\n|---|\n| Zo\x1b[2J\u2028\r |\n")


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


# Completion


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("!contoso-e", ["!contoso-echo"]),
        ("he", ["help"]),
        ("help !contoso-ro", ["!contoso-rows"]),
        ("help !contoso-rows ", []),
        ("!contoso-echo t", ["text="]),
        ("!contoso-echo text=a t", []),
        ("!contoso-wait t", []),
        ("!contoso-echo raw", ["raw-response="]),
        ("!contoso-echo level=", ["level=low", 'level="very high"']),
        ("!contoso-echo level=l", ["level=low"]),
        ("!contoso-echo ids=two,o", ["ids=two,one"]),
        ("!contoso-unknown x", []),
    ],
)
def test_tab_completes_commands_arguments_and_values(text: str, expected: list[str], manifest_path: Path) -> None:
    words = {"help": ["!contoso-rows"], "quit": []}
    assert candidates(Manifest.read(manifest_path), words, text) == expected


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
    assert printed.err == "The tenant is simulated: nothing leaves this machine.\n"
    expected = [
        "warroom> !azure-risky-users-list",
        "Found Risky User With Name: adele.vance@contoso.example",
        "Leaked credentials",
        '"userPrincipalName": "adele.vance@contoso.example"',
        "1 dry run. Nothing was changed.",
        "1 submitted.",
        "(30 seconds later)",
        "1 applied.",
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
