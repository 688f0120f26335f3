"""An instance's parameters as a person types them: each a name and a text.

A credentials parameter with a user name of its own has two names, with `_identifier` and
`_password` at the end; any other stands for its password alone.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from warroom.xsoar.commandline import Args, CommandLineError, as_text
from warroom.xsoar.manifest import (
    CHECKBOX,
    CREDENTIALS,
    MULTI_SELECT,
    SINGLE_SELECT,
    Declared,
    Manifest,
)
from warroom.xsoar.nearest import did_you_mean, either, nearest

IDENTIFIER, PASSWORD = "identifier", "password"
MASK = "********"
BOOLEANS = ("true", "false")
# Of a line that sets parameters, or was to: its first word, or the name of a secret.
SETS = re.compile(r"^\W*set\b|(?:secret|password)\s*=", re.IGNORECASE | re.MULTILINE)


class Setting(NamedTuple):
    """What can be typed of a parameter. part: of its credentials, which; else empty."""

    name: str
    declared: Declared
    part: str = ""

    @property
    def parameter(self) -> str:
        return str(self.declared["name"])

    @property
    def is_secret(self) -> bool:
        return self.part == PASSWORD

    @property
    def label(self) -> str:
        """What stands above it in the platform's form."""
        get = self.declared.get
        label = get("displaypassword") if self.is_secret else get("display")
        return str(label or self.parameter)

    @property
    def choices(self) -> tuple[str, ...]:
        """The values that it may have; none where it takes any text."""
        if self.declared["type"] == CHECKBOX:
            return BOOLEANS
        return tuple(self.declared.get("options", ()))

    def value_in(self, params: Args) -> Any:
        value = params.get(self.parameter)
        if self.part and isinstance(value, dict):
            return value.get(self.part, "")
        return value


def _settings_of(declared: Declared) -> Iterator[Setting]:
    name = declared["name"]
    if declared["type"] != CREDENTIALS:
        yield Setting(name, declared)
        return
    if declared.get("hiddenusername"):
        yield Setting(name, declared, PASSWORD)
        return
    for part in (IDENTIFIER, PASSWORD):
        yield Setting(f"{name}_{part}", declared, part)


def settings(manifest: Manifest) -> dict[str, Setting]:
    """What can be typed of an instance, by name."""
    found = {}
    for declared in manifest.parameters.values():
        for setting in _settings_of(declared):
            found[setting.name] = setting
    return found


def may_hold_secret(line: str) -> bool:
    """Whether a line of the prompt sets parameters, and so is not to be remembered.

    So does one in which set is mistyped, or that was pasted as one of several.
    """
    return SETS.search(line) is not None


# Reading


def offered(word: str, known: Iterable[str]) -> str:
    """A sentence, after a space, that offers the nearest of the known texts, or else all."""
    texts = list(known)
    return did_you_mean(word, texts) or f" There are: {', '.join(texts)}."


def _chosen(setting: Setting, text: str) -> str:
    """The choice that a text is, in any case. Raises: CommandLineError: it is none."""
    by_lower_case = {choice.lower(): choice for choice in setting.choices}
    choice = by_lower_case.get(text.strip().lower())
    if choice is None:
        offering = offered(text, setting.choices)
        raise CommandLineError(f"{setting.name}={text} cannot be used.{offering}")
    return choice


def _flag(setting: Setting, text: str) -> bool:
    return _chosen(setting, text) == "true"


def _several(setting: Setting, text: str) -> list[str]:
    texts = filter(None, map(str.strip, text.split(",")))
    return [_chosen(setting, each) for each in texts]


def _any_text(_: Setting, text: str) -> str:
    return text


READERS: dict[int, Callable[[Setting, str], Any]] = {
    CHECKBOX: _flag,
    SINGLE_SELECT: _chosen,
    MULTI_SELECT: _several,
}


def _find(known: dict[str, Setting], name: str) -> Setting:
    setting = known.get(name)
    if setting is not None:
        return setting
    by_label = {each.label: each.name for each in known.values()}
    of_labels = [by_label[label] for label in nearest(name, by_label)]
    question = did_you_mean(name, known)
    if of_labels and not question:
        question = f" Did you mean {either(of_labels)}?"
    offering = question or offered(name, known)
    raise CommandLineError(f"There is no parameter {name}.{offering}")


def changed(manifest: Manifest, params: Args, typed: dict[str, str]) -> Args:
    """The parameters with what was typed, a text by each name.

    Raises: CommandLineError: a name or a value is not the manifest's. It tells no secret.
    """
    known = settings(manifest)
    result = dict(params)
    for name, text in typed.items():
        setting = _find(known, name)
        read = READERS.get(setting.declared["type"], _any_text)
        value = read(setting, text)
        if setting.part:
            value = {**result[setting.parameter], setting.part: text}
        result[setting.parameter] = value
    return result


# Showing


def shown(setting: Setting, params: Args) -> str:
    """The value as it may be shown: a secret only as that there is one."""
    value = setting.value_in(params)
    if setting.is_secret:
        return MASK if value else ""
    if isinstance(value, list):
        return ", ".join(value)
    return as_text(value)


def differences(manifest: Manifest, params: Args) -> list[Setting]:
    """What is not as in a new instance."""
    new = manifest.default_parameters()
    return [
        setting
        for setting in settings(manifest).values()
        if setting.value_in(params) != setting.value_in(new)
    ]
