"""Spells out the characters of a text that would act on a terminal, or show nothing.

Names come from outside: an escape sequence in one could hide or forge what stands on the
screen, a direction mark could turn it around, and two names could differ by nothing that is
seen. Letters of every script, combining marks and emoji stay as they are. Joiners and
variation selectors draw nothing of their own, so an emoji made of several shows as these.
"""

import json
import re
from collections.abc import Callable

UNSEEN = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters, but for tab and line break
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f"  # joiners, breaks, directions
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\ud800-\udfff"  # halves of characters, which no output can take
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"  # tags
    "]"
)

Match = re.Match[str]


def _as_escape(match: Match) -> str:
    number = ord(match[0])
    if number > 0xFFFF:
        return f"\\U{number:08x}"
    if number > 0xFF:
        return f"\\u{number:04x}"
    return f"\\x{number:02x}"


def _as_json_escape(match: Match) -> str:
    quoted = json.dumps(match[0])
    return quoted.strip('"')


def _spelled_out(text: str, spell: Callable[[Match], str]) -> str:
    if text.isascii() and text.isprintable():
        return text
    return UNSEEN.sub(spell, text)


def harmless(text: str) -> str:
    r"""The text with each such character as its escape, `\u202e`."""
    return _spelled_out(text, _as_escape)


def harmless_json(text: str) -> str:
    """The text of JSON with each such character as JSON's own escape: it means the same."""
    return _spelled_out(text, _as_json_escape)
