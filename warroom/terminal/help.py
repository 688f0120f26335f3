"""What `help` says."""

from collections.abc import Iterable, Iterator

from rich.text import Text

from warroom.terminal.completion import Candidate, first_sentence
from warroom.terminal.desk import Desk, Misuse
from warroom.xsoar.commandline import GENERIC
from warroom.xsoar.manifest import Argument, Command
from warroom.xsoar.nearest import did_you_mean

Topic = tuple[str, str]  # a heading and its text

INDENT = "    "
EXAMPLES = (
    "!azure-risky-users-list risk_level=high limit=3",
    "!azure-risky-user-investigate user=adele.vance@contoso.example",
    "context AzureRiskyUsers.Investigation.suggestion",
    '!azure-risky-users-list updated_after="3 days"',
    "help dismiss",
)


def argument_help(argument: Argument) -> str:
    notes = [argument.description]
    if argument.is_required:
        notes.append("Required.")
    if argument.choices:
        choices = ", ".join(argument.choices)
        notes.append(f"One of: {choices}.")
    if argument.default:
        notes.append(f"Default: {argument.default}.")
    return " ".join(notes)


def command_help(command: Command) -> Iterator[Topic]:
    """A heading and its text for the command, and for each of its arguments."""
    heading = f"!{command.name}"
    yield heading, command.description
    for argument in command.shown_arguments():
        text = argument_help(argument)
        yield argument.name, text
    generic = ", ".join(GENERIC)
    yield "Every command also takes", generic


def topics_of(desk: Desk) -> Iterator[Topic]:
    """A heading and its text for each command, and for all else that can be typed."""
    commands = desk.manifest.commands
    for command in commands.values():
        heading = f"!{command.name}"
        yield heading, command.description
    for name, keyword in desk.keywords.items():
        usage = f"{name} {keyword.takes}"
        yield usage.strip(), keyword.help


def overview(desk: Desk) -> Iterator[Topic]:
    yield from topics_of(desk)
    yield "For example", "\n".join(EXAMPLES)


def show_topics(desk: Desk, topics: Iterable[Topic]) -> None:
    console = desk.console
    for heading, text in topics:
        title = Text(heading, style="bold")
        console.print(title)
        for line in Text(text).wrap(console, console.width - len(INDENT)):
            console.print(Text(INDENT) + line)


def has_all(text: str, words: list[str]) -> bool:
    lower = text.lower()
    return all(word.lower() in lower for word in words)


def found_topics(desk: Desk, words: list[str]) -> list[Topic]:
    """What has all the words in its heading or text, first what has them in its heading."""
    wanted = [word.lstrip("!") for word in words]
    named = []
    described = []
    for heading, text in topics_of(desk):
        topic = (heading, text)
        if has_all(heading, wanted):
            named.append(topic)
        elif has_all(f"{heading} {text}", wanted):
            described.append(topic)
    return [*named, *described]


def show_found(desk: Desk, topics: list[Topic]) -> None:
    """A line for each topic."""
    width = max(len(heading) for heading, _ in topics)
    for heading, text in topics:
        line = Text(heading.ljust(width), style="bold")
        sentence = first_sentence(text)
        line.append(f"  {sentence}", style="not bold")
        desk.console.print(line, no_wrap=True, overflow="ellipsis")


def show_help(desk: Desk, rest: list[str]) -> None:
    """All there is; a command in full; or what has the words, a line each.

    Raises: Misuse: nothing has them.
    """
    if not rest:
        show_topics(desk, overview(desk))
        return
    words = " ".join(rest)
    command = desk.manifest.commands.get(words.lstrip("!"))
    if command is not None:
        show_topics(desk, command_help(command))
        return
    topics = found_topics(desk, rest)
    if not topics:
        known = [*desk.keywords, *desk.manifest.commands]
        question = did_you_mean(words, known)
        raise Misuse(f"Nothing here has {words} in it; help lists all.{question}")
    show_found(desk, topics)


def follow_help(desk: Desk, _: list[str]) -> list[Candidate]:
    commands = desk.manifest.commands.values()
    return [
        Candidate(f"!{command.name}", first_sentence(command.description))
        for command in commands
    ]
