"""What can be typed at the prompt beside the integration's commands."""

from collections.abc import Callable

from rich.text import Text

from warroom.demo import demo_instance
from warroom.terminal.desk import DONE, Desk, Keyword, Misuse, no_word, only_word
from warroom.terminal.display import as_json
from warroom.terminal.fetching import USAGE as FETCH_USAGE
from warroom.terminal.fetching import fetch
from warroom.terminal.help import show_help
from warroom.terminal.options import FETCH_OPTIONS
from warroom.terminal.prompt import Followers
from warroom.xsoar.manifest import Manifest

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
    path = only_word(rest) or "."
    value = desk.room.context.read(path)
    text = as_json(value)
    print(text, file=desk.console.file)


def press_test(desk: Desk, rest: list[str]) -> int:
    no_word(rest)
    run = desk.room.run_test()
    return desk.show([run])


def choose_sign_in(desk: Desk, rest: list[str]) -> None:
    name = only_word(rest)
    desk.start_simulator()
    if name not in SIGN_INS:
        known = ", ".join(SIGN_INS)
        raise Misuse(f"signin takes one of {known}.")
    sign_in = SIGN_INS[name]
    desk.room.params = demo_instance(sign_in)
    desk.console.print(f"The instance now signs in by {sign_in}.")


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


def demonstrate(desk: Desk, rest: list[str]) -> int:
    """Do a tour of lines, each shown as it would be typed."""
    no_word(rest)
    desk.start_simulator()
    desk.room.params = {**desk.room.params, **ALARMS}
    codes = [DONE]
    for line in TOUR:
        typed = Text.assemble("\n", ("warroom>", "bold green"), f" {line}")
        desk.console.print(typed)
        code = desk.do(line)
        codes.append(code)
    return max(codes)


def leave(_: Desk, rest: list[str]) -> None:
    no_word(rest)
    raise EOFError


KEYWORDS = {
    "help": Keyword(
        takes="[COMMAND]",
        help="Lists the commands, or the arguments of one.",
        act=show_help,
    ),
    "context": Keyword(
        takes="[PATH]",
        help="Prints the context, or what stands under a path such as A.B.[0].c.",
        act=show_context,
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
    ),
    "signin": Keyword(
        takes="WAY",
        help=f"Changes how the instance signs in: {', '.join(SIGN_INS)}.",
        act=choose_sign_in,
    ),
    "approve": Keyword(
        takes="CODE",
        help="Enters the code of a device code sign-in at the browser.",
        act=approve,
    ),
    "decline": Keyword(
        takes="CODE",
        help="Declines that sign-in.",
        act=decline,
    ),
    "demo": Keyword(
        takes="",
        help="Shows an alarm, what is behind it, and the verdict.",
        act=demonstrate,
    ),
    "quit": Keyword(
        takes="",
        help="Leaves.",
        act=leave,
    ),
}


def followers(manifest: Manifest) -> Followers:
    """Each keyword with the words that may follow it."""
    follow: Followers = {name: [] for name in KEYWORDS}
    follow["help"] = [f"!{name}" for name in manifest.commands]
    follow["signin"] = list(SIGN_INS)
    follow["fetch"] = FETCH_OPTIONS
    return follow
