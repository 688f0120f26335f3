"""What is typed after the `!`, read as the server reads it."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

Args = dict[str, Any]

# The server's own arguments, which every command takes and no integration sees.
GENERIC = {
    "using": "The instance to run the command on.",
    "using-brand": "The integration to run the command on.",
    "raw-response": "true shows the answer as it came in place of the readable text.",
    "extend-context": (
        "key=path::key2=path2 puts parts of the answer into the context; "
        "the path . is all of it."
    ),
    "ignore-outputs": "true leaves the command's outputs out of the context.",
    "auto-extract": "none, inline or outOfBand; nothing is extracted here.",
    "debug-mode": "true shows the log as well.",
    "execution-timeout": "Seconds after which a command that polls is given up.",
}

COMMAND = re.compile(r"\s*!([\w-]+)(?=\s|$)")
ARGUMENT = re.compile(
    r"""\s+(?:(?P<name>[\w-]+)=|(?![\w-]+=))(?:
        "(?P<double>(?:\\.|[^"\\])*)"
      | '(?P<single>(?:\\.|[^'\\])*)'
      | `(?P<literal>[^`]*)`
      | (?P<bare>[^\s"'`]\S*)
      | (?P<nothing>(?<==))
    )(?=\s|$)""",
    re.VERBOSE | re.DOTALL,
)
ESCAPE = re.compile(r"""\\([ntr"'\\^:, ])""")
CONTROL = {"n": "\n", "t": "\t", "r": "\r"}
INSERTION = re.compile(r"\$\{([^}]*)\}")
BARE = re.compile(r"[^\s\"'`\\]+")  # a value that needs no quotes
ESCAPES = str.maketrans(
    {"\\": r"\\", '"': r"\"", "\n": r"\n", "\t": r"\t", "\r": r"\r"}
)


class CommandLineError(ValueError):
    """The server would refuse this line before any code runs."""


class Typed(NamedTuple):
    """One command line, read: named and positional values, all still as text.

    unquoted: `name=value` of each value of several words that may lack its quotes, with
    them.
    """

    command: str
    arguments: dict[str, str]
    positional: list[str]
    unquoted: list[str]


def _unescaped(match: re.Match[str]) -> str:
    return CONTROL.get(match[1], match[1])


def unescaped(text: str) -> str:
    """What is meant by a text between quotes."""
    return ESCAPE.sub(_unescaped, text)


def quoted(value: str) -> str:
    """A value as it is typed, in quotes if it needs them."""
    if BARE.fullmatch(value):
        return value
    escaped = value.translate(ESCAPES)
    return f'"{escaped}"'


def _unquoted(match: re.Match[str]) -> str:
    for quotes in ("double", "single"):
        text = match[quotes]
        if text is not None:
            return unescaped(text)
    return match["literal"] or match["bare"] or ""


def _add_argument(typed: Typed, match: re.Match[str]) -> None:
    name = match["name"]
    value = _unquoted(match)
    if name is None:
        typed.positional.append(value)
        return
    if name in typed.arguments:
        raise CommandLineError(f"the argument {name} is given twice")
    typed.arguments[name] = value


def _arguments(rest: str) -> Iterator[re.Match[str]]:
    """Each argument of what follows a command. Raises: CommandLineError."""
    rest = rest.rstrip()
    while rest:
        match = ARGUMENT.match(rest)
        if not match:
            raise CommandLineError(f"the quotes do not match here: {rest.strip()!r}")
        yield match
        rest = rest[match.end() :]


def _unquoted_values(matches: Iterable[re.Match[str]]) -> list[str]:
    """Each value without quotes that words without a name follow, in quotes with them."""
    values: list[tuple[str, list[str]]] = []
    words: list[str] = []
    for match in matches:
        if not match["bare"]:
            words = []  # What follows here belongs to no value.
        elif match["name"]:
            words = [match["bare"]]
            values.append((match["name"], words))
        elif words:
            words.append(match["bare"])
    shown = []
    for name, words in values:
        if len(words) > 1:
            value = " ".join(words)
            shown.append(f"{name}={quoted(value)}")
    return shown


def parse(line: str) -> Typed:
    """Read `!command name=value "a positional value"`. Raises: CommandLineError."""
    start = COMMAND.match(line)
    if not start:
        problem = "a command starts with ! and its name, this does not"
        raise CommandLineError(f"{problem}: {line.strip()!r}")
    matches = list(_arguments(line[start.end() :]))
    typed = Typed(start[1], {}, [], _unquoted_values(matches))
    for match in matches:
        _add_argument(typed, match)
    return typed


def as_text(value: Any) -> str:
    """A context value as the server writes it into an argument."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def inserted(value: str, read: Callable[[str], Any]) -> Any:
    """The value with each `${path}` replaced by what stands in the context there.

    A path that stands alone may lead to a list and then gives one; all else is text, which
    is empty for an empty list and where nothing stands.
    """
    alone = INSERTION.fullmatch(value)
    if not alone:
        return INSERTION.sub(lambda match: as_text(read(match[1])), value)
    content = read(alone[1])
    if content is None or content == []:
        return ""
    if isinstance(content, list):
        return [as_text(item) for item in content]
    return as_text(content)
