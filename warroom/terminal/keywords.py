"""What can be typed at the prompt beside the integration's commands."""

import sys
from collections.abc import Callable
from functools import partial

from rich.text import Text

from warroom.demo import IDENTITY, demo_instance
from warroom.terminal import pager
from warroom.terminal.changing import (
    change_instance,
    follow_scenarios,
    follow_settings,
    play_scenario,
)
from warroom.terminal.characters import harmless
from warroom.terminal.completion import Candidate, context_paths, path_candidates
from warroom.terminal.desk import DONE, Desk, Keyword, Misuse, no_word, only_word
from warroom.terminal.display import as_json
from warroom.terminal.fetching import USAGE as FETCH_USAGE
from warroom.terminal.fetching import fetch, follow_fetch
from warroom.terminal.help import follow_help, show_help
from warroom.terminal.serving import serve
from warroom.xsoar.nearest import did_you_mean
from warroom.xsoar.surroundings import replaced

SIGN_INS = {
    "client-credentials": "Client Credentials",
    "device-code": "Device Code",
    "managed-identity": "Azure Managed Identities",
}

ADELE = "adele.vance@contoso.example"  # somebody to investigate in the simulated tenant
# The alarm, what is behind it, the verdict, and whether that took effect.
TOUR = (
    "fetch --times 1",
    f"!azure-risky-user-investigate user={ADELE}",
    f"!azure-risky-users-confirm-compromise user={ADELE} verify=true",
    f"!azure-risky-user-get user={ADELE}",
)
# What the instance fetches meanwhile.
ALARMS = {"first_fetch": "4 hours", "fetch_risk_levels": ["high"]}


def show_context(desk: Desk, rest: list[str]) -> None:
    """Print what stands under a path; null, and the nearest path, where nothing does."""
    path = only_word(rest) or "."
    value = desk.room.context.read(path)
    text = as_json(value)
    pager.show(f"{text}\n", desk.console)
    if value is not None:
        return
    paths = list(context_paths(desk.room.context.data, path))
    if path in paths:
        return  # The value that stands there is null.
    question = did_you_mean(path, paths)
    notice = harmless(f"Nothing stands under {path}.{question}")
    print(notice, file=sys.stderr)


def follow_context(desk: Desk, words: list[str]) -> list[Candidate]:
    path, *more = words
    if more:
        return []
    data = desk.backend.context.data
    return path_candidates(data, desk.manifest, path)


def help_paged(desk: Desk, rest: list[str]) -> None:
    with desk.paging():
        show_help(desk, rest)


def press_test(desk: Desk, rest: list[str]) -> int:
    no_word(rest)
    run = desk.room.run_test()
    return desk.show([run])


def choose_sign_in(desk: Desk, rest: list[str]) -> None:
    name = only_word(rest)
    desk.start_simulator()
    if name not in SIGN_INS:
        known = ", ".join(SIGN_INS)
        question = did_you_mean(name, SIGN_INS)
        raise Misuse(f"signin takes one of {known}.{question}")
    sign_in = SIGN_INS[name]
    demo = demo_instance(sign_in)
    identity = {name: demo[name] for name in IDENTITY}
    desk.room.params = {**desk.room.params, **identity}
    desk.console.print(f"The instance now signs in by {sign_in}.")


def follow_sign_in(_: Desk, words: list[str]) -> list[Candidate]:
    if words[1:]:
        return []
    return [Candidate(way, text) for way, text in SIGN_INS.items()]


def answer_sign_in(answer: Callable[[str], None], code: str) -> None:
    try:
        answer(code)
    except KeyError:
        raise Misuse(f"No sign-in waits for the code {code!r}.") from None


def approve(desk: Desk, rest: list[str]) -> None:
    """Enter the code of a device code sign-in at the browser, and agree."""
    code = only_word(rest)
    entra = desk.simulator().entra
    answer_sign_in(entra.approve, code)
    desk.console.print("At the browser: approved.")


def decline(desk: Desk, rest: list[str]) -> None:
    """Enter the code of a device code sign-in at the browser, and refuse."""
    code = only_word(rest)
    entra = desk.simulator().entra
    answer_sign_in(entra.decline, code)
    desk.console.print("At the browser: declined.")


def follow_codes(desk: Desk, words: list[str]) -> list[Candidate]:
    """The codes of the sign-ins that wait for an answer."""
    if words[1:]:
        return []
    codes = desk.backend.waiting_codes()
    return [Candidate(code) for code in codes]


def do_typed(desk: Desk, line: str) -> int:
    """Do a line, shown as it would be typed."""
    typed = Text.assemble("\n", ("warroom>", "bold green"), f" {line}")
    desk.console.print(typed)
    return desk.do(line)


def demonstrate(desk: Desk, rest: list[str]) -> int:
    """Do a tour of lines."""
    no_word(rest)
    desk.start_simulator()
    desk.room.params = {**desk.room.params, **ALARMS}
    with replaced(desk, "pages", False):  # A story is told without a stop.
        return max(map(partial(do_typed, desk), TOUR), default=DONE)


def clear(desk: Desk, rest: list[str]) -> None:
    no_word(rest)
    desk.console.clear()


def show_history(desk: Desk, rest: list[str]) -> None:
    no_word(rest)
    for line in desk.lines:
        print(harmless(line), file=desk.console.file)


def leave(_: Desk, rest: list[str]) -> None:
    no_word(rest)
    raise EOFError


KEYWORDS = {
    "help": Keyword(
        takes="[COMMAND | WORD ...]",
        help="Lists the commands, the arguments of one, or what has the words in it.",
        act=help_paged,
        follow=follow_help,
    ),
    "context": Keyword(
        takes="[PATH]",
        help="Prints the context, or what stands under a path such as A.B.[0].c.",
        act=show_context,
        follow=follow_context,
    ),
    "test": Keyword(
        takes="",
        help="Presses the instance's Test button.",
        act=press_test,
    ),
    "fetch": Keyword(
        takes=FETCH_USAGE,
        help="Lets the server fetch incidents again and again.",
        act=fetch,
        follow=follow_fetch,
    ),
    "signin": Keyword(
        takes="WAY",
        help=f"Changes how the instance signs in: {', '.join(SIGN_INS)}.",
        act=choose_sign_in,
        follow=follow_sign_in,
    ),
    "set": Keyword(
        takes="[PARAMETER=VALUE ...]",
        help="Changes the instance, or lists what differs from a new one.",
        act=change_instance,
        follow=follow_settings,
        reads_text=True,
    ),
    "scenario": Keyword(
        takes="[NAME]",
        help="Lets something go wrong in the simulated tenant, or lists what can.",
        act=play_scenario,
        follow=follow_scenarios,
    ),
    "approve": Keyword(
        takes="CODE",
        help="Enters the code of a device code sign-in at the browser.",
        act=approve,
        follow=follow_codes,
    ),
    "decline": Keyword(
        takes="CODE",
        help="Declines that sign-in.",
        act=decline,
        follow=follow_codes,
    ),
    "serve": Keyword(
        takes="",
        help="Serves the simulated tenant to any client, until Ctrl-C.",
        act=serve,
    ),
    "demo": Keyword(
        takes="",
        help="Shows an alarm, what is behind it, and the verdict.",
        act=demonstrate,
    ),
    "history": Keyword(
        takes="",
        help="Prints the lines of this session.",
        act=show_history,
    ),
    "clear": Keyword(
        takes="",
        help="Clears the screen.",
        act=clear,
    ),
    "quit": Keyword(
        takes="",
        help="Leaves.",
        act=leave,
    ),
    "exit": Keyword(
        takes="",
        help="Leaves too.",
        act=leave,
    ),
}
