"""What may stand at the cursor of a line.

Commands, their arguments and the values of those, keywords and what may follow them.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from warroom.terminal.findings import Finding, findings, found_values, properties_of
from warroom.xsoar.commandline import GENERIC, quoted, unescaped
from warroom.xsoar.context import PATH_STEP, ContextError, Data, read_path, value_of
from warroom.xsoar.manifest import Argument, Command, Manifest
from warroom.xsoar.runner import generic_choices

# A word of a line, of which the quotes may still be open.
WORD = re.compile(
    r"""(?=\S)(?:[\w-]+=)?(?:"(?:\\.|[^"\\])*"?|'(?:\\.|[^'\\])*'?|`[^`]*`?)?\S*""",
    re.DOTALL,
)
PART = re.compile(r"(?<=[\W_])(?=[^\W_])|(?<=[a-z])(?=[A-Z])")  # where one begins
INDEX = re.compile(r"\.?\[\d+\]")
PROPERTY = re.compile(r"\b[a-z]+(?:[A-Z][a-z]+)+\b")
NO_MATCH = 3  # a rank, of which the least is best


class Candidate(NamedTuple):
    """What may take the place of the word before the cursor."""

    text: str
    description: str = ""


# Gives what may follow a keyword, for the words between it and the cursor; the last of
# them, which may be empty, is the one to be completed.
Follow = Callable[[list[str]], Iterable[Candidate]]


class Known(NamedTuple):
    """All that is known when a line is completed.

    keywords: what each means. followers: what may follow it. data: where values of
    arguments are looked for, the latest first.
    """

    manifest: Manifest
    keywords: Mapping[str, str]
    followers: Mapping[str, Follow]
    data: list[Data]


# Words


def words_of(text: str) -> list[str]:
    """The words of the text before the cursor, of which the last one is unfinished."""
    matches = list(WORD.finditer(text))
    words = [match[0] for match in matches]
    ends = [match.end() for match in matches]
    if ends[-1:] != [len(text)]:
        words.append("")
    return words


def unfinished_word(text: str) -> str:
    return words_of(text)[-1]


def first_sentence(text: str) -> str:
    sentence, stop, _ = text.partition(". ")
    return sentence + stop.rstrip()


# Finding


def rank(text: str, word: str) -> int:
    """0: the text begins with the word. 1: one of its parts does. 2: it holds the word."""
    lower = word.lower()
    whole = text.lower()
    if whole.startswith(lower):
        return 0
    for match in PART.finditer(text):
        if whole.startswith(lower, match.start()):
            return 1
    if lower in whole:
        return 2
    return NO_MATCH


def found(candidates: Iterable[Candidate], word: str) -> list[Candidate]:
    """The candidates that a word finds best, each text once."""
    name = word.lstrip("!")
    by_text: dict[str, Candidate] = {}
    for candidate in candidates:
        by_text.setdefault(candidate.text, candidate)
    ranks = {text: rank(text.lstrip("!"), name) for text in by_text}
    best = min(ranks.values(), default=NO_MATCH)
    if best == NO_MATCH:
        return []
    texts = [text for text, each in ranks.items() if each == best]
    return [by_text[text] for text in texts]


# The first word


def first_words(known: Known, word: str) -> list[Candidate]:
    """Commands, and what can be typed without a `!`."""
    commands = [
        Candidate(f"!{command.name}", first_sentence(command.description))
        for command in known.manifest.commands.values()
    ]
    if word.startswith("!"):
        return found(commands, word)
    keywords = [Candidate(name, text) for name, text in known.keywords.items()]
    return found([*commands, *keywords], word)


# Names of arguments


def argument_text(argument: Argument) -> str:
    text = first_sentence(argument.description)
    return f"Required. {text}" if argument.is_required else text


def names_in(words: list[str]) -> set[str]:
    """The names of the arguments that are given by these words."""
    names = set()
    for word in words:
        name, equals, _ = word.partition("=")
        if equals:
            names.add(name)
    return names


def argument_names(command: Command, given: list[str], word: str) -> list[Candidate]:
    """Those that are not given yet, and last the server's own."""
    taken = names_in(given)
    own = {each.name: argument_text(each) for each in command.shown_arguments()}
    generic = {name: first_sentence(text) for name, text in GENERIC.items()}
    names = []
    for group in (own, generic):
        free = [name for name in group if name not in taken]
        offered = [Candidate(f"{name}=", group[name]) for name in free]
        names += found(offered, word)
    return names


# Values of arguments


def orders(argument: Argument) -> Iterator[Candidate]:
    """The orders of rows that a description names, where the manifest lists none."""
    if argument.name != "order_by":
        return
    for name in PROPERTY.findall(argument.description):
        yield Candidate(f"{name} desc", "Newest first.")
        yield Candidate(f"{name} asc", "Oldest first.")


def known_values(
    known: Known, command: Command, argument: Argument
) -> Iterator[Candidate]:
    """Values that are declared, were found so far, or are the default."""
    for choice in argument.choices:
        is_default = choice == argument.default
        yield Candidate(choice, "The default." if is_default else "")
    if argument.choices:
        return
    objects: list[Finding] = [each for data in known.data for each in findings(data)]
    for where in properties_of(command, argument):
        for value, telling in found_values(objects, where):
            yield Candidate(value, telling)
    yield from orders(argument)
    if argument.default:
        yield Candidate(argument.default, "The default.")


def value_candidates(known: Known, command: Command, name: str) -> Iterable[Candidate]:
    argument = command.arguments.get(name)
    if argument is not None:
        return known_values(known, command, argument)
    choices = generic_choices(known.manifest.brand)
    return [Candidate(choice) for choice in choices.get(name, ())]


def content_of(value: str) -> str | None:
    """What stands in a value whose quotes may still be open; None: they are closed."""
    quote = value[:1]
    if not quote or quote not in "\"'`":
        return value
    content = value[1:]
    if content.endswith(quote):
        return None
    return content if quote == "`" else unescaped(content)


def list_value(items: list[str]) -> str:
    """The text of a list; in JSON where an item holds a comma, or the first is like JSON."""
    if items[0].startswith("[") or any("," in item for item in items):
        return json.dumps(items, ensure_ascii=False)
    return ",".join(items)


def argument_values(known: Known, command: Command, word: str) -> Iterator[Candidate]:
    """The argument with each value that it may take; of a list, with each further item."""
    name, _, value = word.partition("=")
    content = content_of(value)
    if content is None:
        return
    argument = command.arguments.get(name)
    is_list = argument is not None and argument.is_array
    if is_list and content.startswith("["):
        return  # JSON is not completed: its commas may stand within items.
    *kept, item = content.split(",") if is_list else [content]
    kept = [each.strip() for each in kept]
    offered = value_candidates(known, command, name)
    for text, description in found(offered, item.strip()):
        if text not in kept:
            whole = list_value([*kept, text]) if is_list else text
            yield Candidate(f"{name}={quoted(whole)}", description)


# Paths of the context


def paths_below(value: Any, start: str) -> Iterator[tuple[str, Any]]:
    """Every path of names from a value on, and what stands there."""
    items = value if isinstance(value, list) else [value]
    objects = [item for item in items if isinstance(item, dict)]
    names = dict.fromkeys(name for each in objects for name in each)
    for name in filter(PATH_STEP.fullmatch, names):
        path = f"{start}.{name}" if start else name
        inner = value_of(value, name)
        yield path, inner
        yield from paths_below(inner, path)


def indexes(path: str, value: Any, word: str) -> Iterator[str]:
    """The path of each item of a list, where the word goes that far."""
    opened = f"{path}.["
    if isinstance(value, list) and word.startswith(opened):
        for number, _ in enumerate(value):
            yield f"{opened}{number}]"


def context_paths(data: Data, word: str) -> Iterator[str]:
    """Every path from the last index of the word on. Raises: ContextError."""
    start = word[: word.rfind("]") + 1]
    base = read_path(data, start or ".")
    for path, value in paths_below(base, start):
        yield path
        yield from indexes(path, value, word)


def path_candidates(data: Data, manifest: Manifest, word: str) -> list[Candidate]:
    """The paths of a context, with what the manifest says of them."""
    paths: list[str] = []
    with suppress(ContextError):
        paths += context_paths(data, word)
    outputs = manifest.outputs
    offered = []
    for path in paths:
        plain = INDEX.sub("", path)
        description = outputs.get(plain, "")
        sentence = first_sentence(description)
        offered.append(Candidate(path, sentence))
    return offered


# The line


def after_command(
    known: Known, before: list[str], after: list[str], word: str
) -> list[Candidate]:
    first, *given = before
    command = known.manifest.commands.get(first.lstrip("!"))
    if command is None:
        return []
    if "=" in word:
        return list(argument_values(known, command, word))
    return argument_names(command, [*given, *after], word)


def after_keyword(known: Known, before: list[str], word: str) -> list[Candidate]:
    first, *given = before
    follow = known.followers.get(first)
    if follow is None:
        return []
    offered = follow([*given, word])
    free = [candidate for candidate in offered if candidate.text not in given]
    return found(free, word)


def candidates(known: Known, line: str, cursor: int) -> list[Candidate]:
    """What may take the place of the word that ends at the cursor, the likeliest first."""
    *before, word = words_of(line[:cursor])
    after = words_of(line[cursor:])
    if not before:
        return first_words(known, word)
    if before[0].startswith("!"):
        return after_command(known, before, after, word)
    return after_keyword(known, before, word)
