"""Microsoft Entra ID Protection for Cortex XSOAR: risky users, detections and sign-ins.

    demisto.params() -> Settings -> HttpSession -> Authenticator -> GraphClient
    demisto.args()   -> COMMANDS[command](instance, args) -> CommandResults

Graph's objects stay dicts with Graph's own property names, from the wire to the
context: they are the public contract. Only `main`, `run_command`, `fetch_command` and, for
the sign-in, `read_context` and `update_context` read or write the platform's state. The
platform's helpers (argToList, tableToMarkdown and so on) are used throughout.

Each section uses only those before it: errors, arguments, words, settings, http,
sign-in, odata, graph client, resources, lists and single objects, users, actions, cases,
evidence, investigation, last run, fetch, access checks, commands, entry point.

A sign-in is two things here. In settings and in the section of that name it is how the
instance comes by a token; elsewhere it is a row of Graph's log, somebody's attempt.
"""

# The platform's names come first, so that ours win.
import demistomock as demisto  # noqa: F401
from CommonServerPython import *  # noqa: F401

# isort: split
import base64
import contextlib
import dataclasses
import difflib
import email.utils
import functools
import hashlib
import http.client
import io
import ipaddress
import json
import math
import random
import re
import socket
import ssl
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from enum import Enum
from itertools import pairwise, starmap
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import requests
import urllib3
from dateutil.relativedelta import relativedelta

Args = dict[str, Any]  # a command's arguments, or an instance's parameters
Json = dict[str, Any]  # an object of JSON
Row = dict[str, Any]  # an object of Graph's, under Graph's own property names

# ==== Errors ==================================================================
#
#   DemistoException        the platform's; main shows its kinds by their message alone,
#                           and any other exception with its class
#   +-- SettingsError       the instance is not configured for what was asked
#   +-- ArgumentError       an argument cannot be read exactly; nothing was sent
#   +-- CommandFailed       a command did not do all that was asked, and shows what it did
#   +-- LastRunError        what an earlier fetch left cannot be gone on from
#   +-- ContextBusyError    the integration context could not be written
#   +-- RequestError        a request did not bring what it was sent for
#       +-- SignInError     ... sent to the login service or the managed identity endpoint
#       +-- GraphError      ... sent to Graph


class SettingsError(DemistoException):
    """The instance's parameters do not suffice for what was asked."""


class ArgumentError(DemistoException):
    """An argument cannot be read exactly: says which, its value and what is accepted."""

    def __init__(self, name: str, value: object, accepted: str):
        shown = str(value)[:200]
        super().__init__(
            f'{name}="{shown}" cannot be used. Accepted: {accepted}.'
        )


class CommandFailed(DemistoException):
    """A command did not do all that was asked.

    Attributes: results (entries that show what it did do, to be shown before the error).
    """

    def __init__(self, message: str, results: list[CommandResults]):
        super().__init__(message)
        self.results = results


class LastRunError(DemistoException):
    """What an earlier fetch left cannot be gone on from."""

    def __init__(self, reason: str):
        super().__init__(
            f"The last run of this instance {reason}. To let its fetches begin anew, press "
            'Reset the "last run" timestamp in the settings of the instance; what they '
            "brought since the first fetch time may come again then."
        )


class ContextBusyError(DemistoException):
    """The integration context could not be written, since other commands wrote to it each
    time; nothing was stored."""


class RequestError(DemistoException):
    """A request did not bring what it was sent for."""


class SignInError(RequestError):
    """A sign-in did not bring an access token (yet). The text has the AADSTS code, where
    there is one."""


class GraphError(RequestError):
    """Graph refused, could not be reached, or answered something that is not Graph's.

    Attributes: status (None when no answer of Graph's came), summary (a short sentence for
    a table: what to do about it, else Graph's own message), was_sent (False where surely
    no request left this machine).
    """

    def __init__(
        self,
        message: str,
        status: int | None = None,
        summary: str = "",
        *,
        was_sent: bool = True,
    ):
        super().__init__(message)
        self.status = status
        self.summary = summary or message
        self.was_sent = was_sent


# ==== Arguments ===============================================================
#
# Readers of arguments and parameters. Each gives back exactly what was meant or raises
# ArgumentError; nothing is dropped, widened or guessed.
#
# A playbook passes '' for an argument that it leaves open, so '' is mostly the same as
# not given. Where that would act on more objects than were meant, it is refused: see
# `text_values` (an empty list) and `Filter.empty_is_error`.


RISK_LEVELS = ("low", "medium", "high", "hidden", "none")

RISK_STATES = (
    "none",
    "confirmedSafe",
    "remediated",
    "dismissed",
    "atRisk",
    "confirmedCompromised",
)

# Of these, those of risk that is open, that is settled, and that there is or was.
OPEN_STATES = ("atRisk", "confirmedCompromised")
SETTLED_STATES = ("confirmedSafe", "dismissed", "remediated")
STATES_BUT_NONE = tuple(state for state in RISK_STATES if state != "none")

SEVERITIES = {"low": 1, "medium": 2, "high": 3}  # the platform's; 0 is unknown

# Turns one value into text; the name is for the error when it cannot be read.
Reader = Callable[[str, Any], str]


def given(args: Args, name: str) -> bool:
    """Tell whether an argument is given: a playbook passes '' for one it leaves open."""
    return args.get(name) not in (None, "", [])


def one_of(allowed: Iterable[str]) -> Reader:
    """Make a reader that accepts the allowed texts in any case, and gives them back as
    they are spelled here."""
    options = {text.lower(): text for text in allowed}

    def read(name: str, value: Any) -> str:
        option = options.get(str(value).strip().lower())
        if option is None:
            raise ArgumentError(name, value, ", ".join(options.values()))
        return option

    return read


def choices(args: Args, name: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
    """Return the options that an argument of several values holds, each once."""
    read = one_of(allowed)
    values = argToList(args.get(name))
    options = [read(name, value) for value in values]
    return tuple(dict.fromkeys(options))


true_or_false = one_of(("true", "false"))


def flag(args: Args, name: str) -> bool:
    """Return an argument that has to be true or false; false when it is not given.

    An empty one is refused: an empty dry_run of a playbook must not mean "for real".
    """
    value = args.get(name, "false")
    return true_or_false(name, value) == "true"


LARGEST_NUMBER = 999_999_999  # nine digits


def whole_number(
    args: Args, name: str, default: int, maximum: int | None = None
) -> int:
    """Return an argument that has to be a whole number from 1 to `maximum`."""
    if args.get(name) in (None, ""):
        return default

    text = str(args[name]).strip()
    is_number = re.fullmatch("[0-9]{1,9}", text)
    largest = LARGEST_NUMBER if maximum is None else maximum
    if is_number and 1 <= int(text) <= largest:
        return int(text)

    upper_bound = "up" if maximum is None else f"to {maximum}"
    accepted = f"a whole number from 1 {upper_bound}"
    raise ArgumentError(name, args[name], accepted)


# What joins or parts letters that are not Latin, within names such as Persian ones.
JOINER = re.compile("(?<=[^\x00-\xff])[\u200c\u200d](?=[^\x00-\xff])")


def is_visible(text: str) -> bool:
    """Tell whether every character of a text is seen, or shapes the letters around it."""
    return JOINER.sub("", text).isprintable()


def text_value(name: str, value: Any) -> str:
    """Return a text that Graph can match; an empty one would match everything."""
    text = str(value).strip()
    if not text or not is_visible(text):
        raise ArgumentError(
            name, value, "a text that is not empty, of visible characters"
        )

    return text


def text_values(args: Args, name: str) -> list[str]:
    """Return the values of a comma-separated argument, each once whatever its case (as it
    was written last)."""
    if args.get(name) in (None, ""):
        return []

    # An empty list comes from a look-up that found nobody. That is not "not given".
    values = argToList(args[name])
    if not values:
        raise ArgumentError(name, args[name], "at least one value")

    texts = [text_value(name, value) for value in values]
    last_spellings = {text.lower(): text for text in texts}
    return list(last_spellings.values())


def exactly_one(args: Args, *names: str) -> tuple[str, str]:
    """Return name and value of the one argument that is given among several."""
    values = {}
    for name in names:
        if given(args, name):
            values[name] = str(args[name]).strip()
    if len(values) == 1:
        ((name, value),) = values.items()
        return name, value

    shown = ", ".join(values.values())
    raise ArgumentError(" / ".join(names), shown, "exactly one of them")


# Objects that can be changed have GUIDs. Of detections the form is open (most have 64
# hexadecimal digits), but no id is without a digit, as names, None and null are.
GUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
OBJECT_ID = re.compile("(?=.*[0-9])[0-9A-Za-z_-]{1,128}")
# One character of a user principal name: none that means a list, a path or a wildcard. A
# quote in front means a name in quotes.
NAME_CHARACTER = r"""[^\s@*/\\?%"<>()\[\]{}|;:,]"""
USER_PRINCIPAL_NAME = re.compile(
    rf"(?!'){NAME_CHARACTER}+@[\w.-]*\w", re.UNICODE
)


def is_guid(text: str) -> bool:
    return GUID.fullmatch(text) is not None


def is_user_principal_name(text: str) -> bool:
    return USER_PRINCIPAL_NAME.fullmatch(text) is not None


def object_id(name: str, value: Any) -> str:
    """Return an id. A name or a path in its place is refused: it would find nobody, which
    reads as an all-clear."""
    text = str(value or "").strip()
    if not OBJECT_ID.fullmatch(text):
        raise ArgumentError(name, text, "an object ID, such as a GUID")

    return text.lower() if is_guid(text) else text


def guid(name: str, value: Any) -> str:
    """Return an id of an object that is known to have a GUID, in lower case: its case
    means nothing."""
    text = str(value).strip()
    if not is_guid(text):
        raise ArgumentError(name, text, "object IDs (GUIDs)")
    return text.lower()


# Times: a *literal* is one as OData writes it; an *instant* is a literal with all seven
# digits of a second, so that instants compare as text.

MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
WEEKDAYS = (
    *("Monday", "Tuesday", "Wednesday", "Thursday", "Friday"),
    *("Saturday", "Sunday"),
)


def spellings(names: Iterable[str]) -> str:
    """Return a pattern of names, each in full or by its first three letters."""
    patterns = [f"{name[:3]}(?:{name[3:]})?" for name in names]
    return "|".join(patterns)


# The pieces of a date. Groups bear the same names in all shapes.
YEAR = "(?P<year>[0-9]{4})"
MONTH = "(?P<month>[0-9]{1,2})"
DAY = "(?P<day>[0-9]{1,2})"
MONTH_NAME = f"(?P<month>{spellings(MONTHS)})"
WEEKDAY = f"(?:(?P<weekday>{spellings(WEEKDAYS)}),? )?"
# Beside a month's name, 1030 may be a time of the day.
YEAR_OF_NAME = "(?P<year>(?:19|20)[0-9]{2})"
DAY_OF_NAME = f"{DAY}(?:st|nd|rd|th)?"
# Where the year stands last, only these tell the day from the month.
DAY_ABOVE_12 = "(?P<day>1[3-9]|2[0-9]|3[01])"
MONTH_TO_12 = "(?P<month>0?[1-9]|1[0-2])"
DAY_TO_12 = "(?P<day>0?[1-9]|1[0-2])"
SAME_MONTH = "(?P<month>(?P=day))"
# What stands between the parts of a date, and the same again.
MARK = "(?P<mark>[-/.])"
SAME = "(?P=mark)"
BASIC_DAY = f"{YEAR}(?P<month>[0-9]{{2}})(?P<day>[0-9]{{2}})"

# The pieces of a time of the day.
HOUR_1_OR_2 = "(?P<hour>[0-9]{1,2})"
BASIC_HOUR = "(?P<hour>[0-9]{2})"
MINUTE = "(?P<minute>[0-9]{2})"
SECOND = "(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,9}))?"
HALF = "(?: ?(?P<half>[ap])m)?"  # of the day
CLOCK = f"{HOUR_1_OR_2}(?::{MINUTE}(?::{SECOND})?)?{HALF}"

# The sign is meant as written, also after UTC or GMT. Other names, as IST, mean several
# zones; one in brackets only explains the offset before it.
OFFSET = (
    "(?P<sign>[+-])(?P<offset_hours>[01]?[0-9]|2[0-3])"
    "(?::?(?P<offset_minutes>[0-5][0-9]))?"
)
EXPLANATION = r"(?: \([^()0-9]+\))?"
UTC_NAME = "(?:UTC?|GMT)"
ZONE = f"(?: ?(?:Z|{UTC_NAME}|(?:{UTC_NAME} ?)?{OFFSET}{EXPLANATION}))?"

# 10:00-11:30, 10 -11 and 10 am -11 may be ranges. A minus begins an offset only after
# seconds, after minutes and a space, or where a T says that all is ISO.
NO_RANGE = "(?![0-9]+(?::[0-9]+)?-|[0-9]+ -|[0-9:]+ ?[ap]m ?-)"
BEFORE_CLOCK = f"(?:T|,? (?:at )?{NO_RANGE})"
# After a date that is not ISO, a lone number need not be the hour.
NOT_HOUR_ALONE = "(?=[0-9]+(?::| ?[ap]m))"
ISO_CLOCK = f"(?:{BEFORE_CLOCK}{CLOCK}{ZONE})?"
PLAIN_CLOCK = f"(?:{BEFORE_CLOCK}{NOT_HOUR_ALONE}{CLOCK}{ZONE})?"

# A date and time, with one meaning each. A text has to have one of these shapes whole.
MOMENT_SHAPES = (
    # 2024-02-27T04:49:26.257525Z, 2024/2/7 4:49 +02:00
    f"{YEAR}{MARK}{MONTH}{SAME}{DAY}{ISO_CLOCK}",
    # 20240227, 20240227 04:49
    f"{BASIC_DAY}{PLAIN_CLOCK}",
    # 20240227T044926Z
    f"{BASIC_DAY}T{BASIC_HOUR}(?:{MINUTE}(?:{SECOND})?)?{ZONE}",
    # 20240227044926
    f"{BASIC_DAY}{BASIC_HOUR}{MINUTE}{SECOND}{ZONE}",
    # 27 Feb 2024, 27-Feb-2024 04:49 GMT
    f"{DAY_OF_NAME}(?P<mark>[- /]){MONTH_NAME}{SAME}{YEAR_OF_NAME}{PLAIN_CLOCK}",
    # February 27, 2024 4:49 PM, Feb 27 2024 04:49:26 GMT+0300 (Arabian Standard Time)
    f"{MONTH_NAME} {DAY_OF_NAME},? {YEAR_OF_NAME}{PLAIN_CLOCK}",
    # Feb 27 04:49:26 UTC 2024
    f"{MONTH_NAME} {DAY} {NO_RANGE}{NOT_HOUR_ALONE}{CLOCK}{ZONE} {YEAR_OF_NAME}",
    # 2024-Feb-27
    f"{YEAR_OF_NAME}(?P<mark>[- /]){MONTH_NAME}{SAME}{DAY}{PLAIN_CLOCK}",
    # 27/02/2024
    f"{DAY_ABOVE_12}{MARK}{MONTH_TO_12}{SAME}{YEAR}{PLAIN_CLOCK}",
    # 2/27/2024, 4:49:26 PM
    f"{MONTH_TO_12}{MARK}{DAY_ABOVE_12}{SAME}{YEAR}{PLAIN_CLOCK}",
    # 02/02/2024
    f"{DAY_TO_12}{MARK}{SAME_MONTH}{SAME}{YEAR}{PLAIN_CLOCK}",
)
ISO_SHAPE = MOMENT_SHAPES[0]


def shape_match(shape: str, text: str) -> re.Match[str] | None:
    """Return how a whole text has a shape, if it does; a weekday may stand before it."""
    # Compiled when it is used first (re keeps it): all of them take 20 ms.
    return re.fullmatch(f"{WEEKDAY}{shape}", text, re.IGNORECASE | re.ASCII)


# Seconds, also with a fraction, or milliseconds.
EPOCH_TIME = re.compile(
    r"(?P<seconds>[0-9]{10})(?P<fraction>[0-9]{3}|\.[0-9]{1,9})?"
)

# What a time ago is told in. There is no "m": it may mean minutes or months.
TIME_UNITS = {
    "seconds": ("second", "seconds", "sec", "secs", "s"),
    "minutes": ("minute", "minutes", "min", "mins"),
    "hours": ("hour", "hours", "hr", "hrs", "h"),
    "days": ("day", "days", "d"),
    "weeks": ("week", "weeks", "wk", "wks", "w"),
    "months": ("month", "months"),
    "years": ("year", "years", "yr", "yrs", "y"),
}
UNIT_OF = {word: unit for unit, words in TIME_UNITS.items() for word in words}
PART_OF_SPAN = r"([0-9]{1,6}) *([a-z]+)"
BETWEEN_PARTS = r"(?: *,)? *(?:(?<=[ ,])and +)?"
TIME_AGO = re.compile(
    f"(?:{PART_OF_SPAN}{BETWEEN_PARTS})+?(?: *ago)?", re.IGNORECASE
)

MOMENT_FORMS = (
    'ISO 8601 such as 2024-02-27T04:49:26.257525Z or 2024-02-27, "27 Feb 2024", '
    'seconds or milliseconds since 1970, "now", '
    'or a time ago such as "10 days", "2 hours", "24h"'
)


def utc_now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(timezone.utc)


def seconds_text(moment: datetime) -> str:
    """Return a UTC moment to the second, without a zone."""
    # isoformat, because strftime writes a year before 1000 with three digits.
    return moment.replace(tzinfo=None).isoformat(timespec="seconds")


def seconds_literal(moment: datetime) -> str:
    """Return the OData literal of a UTC moment, to the second."""
    return f"{seconds_text(moment)}Z"


def now_literal(seconds_later: int = 0) -> str:
    """Return the OData literal of the present moment, or of one some seconds later."""
    moment = utc_now() + timedelta(seconds=seconds_later)
    return seconds_literal(moment)


def fraction_literal(moment: datetime, fraction: str) -> str:
    """Return the OData literal of a UTC second and the digits of its fraction.

    The fraction is carried as text, cut to Graph's seven digits: datetime holds six.
    """
    if not fraction:
        return seconds_literal(moment)
    return f"{seconds_text(moment)}.{fraction[:7]}Z"


def position(names: Iterable[str], name: str) -> int:
    """Return the place, from 0, of a name given by its first three letters at least."""
    short_names = [each[:3] for each in names]
    return short_names.index(name[:3].title())


def month_number(month: str) -> int:
    return int(month) if month.isdigit() else position(MONTHS, month) + 1


def hour_of_day(hour: int, half: str) -> int:
    """Return an hour as of 24. Raises ValueError: no half of a day has it."""
    if not half:
        return hour
    if not 1 <= hour <= 12:
        raise ValueError("neither before nor after noon")

    hours_before = 12 if half.lower() == "p" else 0
    return hours_before + hour % 12


def number_in(parts: dict[str, str], name: str) -> int:
    """Return the number that a group of a shape matched; 0 for none."""
    return int(parts[name] or 0)


def zone_offset(parts: dict[str, str]) -> timedelta:
    """Return how far a zone is ahead of UTC; a time without one is in UTC."""
    hours = number_in(parts, "offset_hours")
    minutes = number_in(parts, "offset_minutes")
    offset = timedelta(hours=hours, minutes=minutes)
    if parts["sign"] == "-":
        return -offset
    return offset


def literal_of(match: re.Match[str]) -> str:
    """Return the literal of a match of one of MOMENT_SHAPES.

    Raises ValueError, OverflowError: there is no such time.
    """
    # A shape has only some of the groups.
    parts = defaultdict(str, match.groupdict(default=""))
    year = number_in(parts, "year")
    month = month_number(parts["month"])
    date = datetime(year, month, number_in(parts, "day"))
    moment = date.replace(
        hour=hour_of_day(number_in(parts, "hour"), parts["half"]),
        minute=number_in(parts, "minute"),
        second=number_in(parts, "second"),
    )

    weekday = parts["weekday"]
    if weekday and position(WEEKDAYS, weekday) != date.weekday():
        raise ValueError("the date is of another weekday")

    in_utc = moment - zone_offset(parts)
    return fraction_literal(in_utc, parts["fraction"])


def epoch_literal(match: re.Match[str]) -> str:
    """Return the literal of a match of EPOCH_TIME."""
    seconds = int(match["seconds"])
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    fraction = match["fraction"] or ""
    digits = fraction.lstrip(".")
    return fraction_literal(moment, digits)


def moment_ago(text: str, now: datetime) -> datetime:
    """Return the moment a span of time ago, as "1 hour 30 minutes".

    Raises ValueError: a unit is unknown, has two meanings or comes twice.
    """
    span: dict[str, Any] = {}
    for number, word in re.findall(PART_OF_SPAN, text, re.IGNORECASE):
        unit = UNIT_OF.get(word.lower())
        if unit is None or unit in span:
            raise ValueError("no unit of time with one meaning")
        span[unit] = int(number)

    # Not timedelta: a month ago is a month of the calendar.
    return now - relativedelta(**span)


def parse_moment(text: str, now: datetime) -> str:
    """Return the OData literal of a moment. Raises ValueError, OverflowError: none is
    meant, or more than one may be."""
    words = " ".join(text.split())
    if words.lower() == "now":
        return seconds_literal(now)
    if TIME_AGO.fullmatch(words):
        return seconds_literal(moment_ago(words, now))

    epoch_time = EPOCH_TIME.fullmatch(words)
    if epoch_time:
        return epoch_literal(epoch_time)

    for shape in MOMENT_SHAPES:
        match = shape_match(shape, words)
        if match:
            return literal_of(match)

    raise ValueError("no moment, or several")


# What to write instead of forms that are often met and refused.
SPAN_PARTS = f"(?:[0-9]+ *[a-z]+{BETWEEN_PARTS})*?"
REFUSED_FORMS: tuple[tuple[str, str], ...] = (
    (
        f"{SPAN_PARTS}(?P<number>[0-9]+) *m(?:on?)?{BETWEEN_PARTS}{SPAN_PARTS}(?: *ago)?",
        '"{number} minutes" or "{number} months"; else ',
    ),
    (
        "(today|yesterday|tomorrow|last .*|next .*|this .*)",
        'a date, or a time ago such as "24 hours"; that is, ',
    ),
    (
        "(?![0-9]{4})[0-9/.-]+( [0-9]+:.*)?",
        "the year first, then month and day, as in ",
    ),
    (
        "[0-9]{4}-.*(/| - | to ).*|.* [0-9]{1,2}(:[0-9]{2})* ?([ap]m)? ?- ?[0-9].*",
        "one moment and no range; that is, ",
    ),
    (
        r".*:[0-9]{2} ?(?!(?:[ap]m|utc?|gmt|z)$)[a-z]{1,5} ?([+-].*)?",
        'a zone as an offset such as "+02:00"; that is, ',
    ),
)


def accepted_moments(text: str) -> str:
    """Return what to write instead of a text that has no meaning, or more than one."""
    # The start tells; over a long text a pattern might take its time.
    start = text[:200]
    for pattern, advice in REFUSED_FORMS:
        match = re.fullmatch(pattern, start, re.IGNORECASE)
        if match:
            return advice.format(**match.groupdict()) + MOMENT_FORMS

    return MOMENT_FORMS


def datetime_literal(name: str, value: Any) -> str:
    """Return the OData literal, in UTC, of a moment: ISO 8601, a date that has one
    meaning, an epoch, or a time ago."""
    text = str(value).strip()
    try:
        return parse_moment(text, utc_now())
    except (ValueError, OverflowError) as error:
        raise ArgumentError(name, value, accepted_moments(text)) from error


# As Graph writes a time; whatever else is ISO 8601 is read as an argument is.
GRAPH_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,7})?Z"
)


def graph_time_literal(text: str) -> str:
    """Return the OData literal of a time that was received. Raises ValueError,
    OverflowError, TypeError: it is none."""
    if GRAPH_TIME.fullmatch(text):
        datetime.fromisoformat(text[:19])
        return text

    # Hours of one digit (T9:15:00Z) come in exports of Graph's objects.
    iso_time = shape_match(ISO_SHAPE, text.strip())
    if not iso_time:
        raise ValueError("not ISO 8601")
    return literal_of(iso_time)


def instant(value: Any) -> str:
    """Write a time with seven digits of a second, in UTC, so that times compare as text.

    What is no time becomes '', which sorts before all times.
    """
    try:
        literal = graph_time_literal(value)
    except (TypeError, ValueError, OverflowError):
        return ""

    whole, _, fraction = literal.rstrip("Z").partition(".")
    return f"{whole}.{fraction:0<7}Z"


# ==== Words ===================================================================
#
# What Graph's values are called in the admin centre and in tables: event types, details
# and states of risk, reasons and techniques of a detection, and how a sign-in of the log
# ended.


# What the Entra admin centre calls Graph's event types, an open set: what is not here is
# shown as it comes. suspiciousAuthAppApproval is met, but documented nowhere
# (https://learn.microsoft.com/entra/id-protection/concept-identity-protection-risks).
EVENT_WORDS = {
    "adminConfirmedServicePrincipalCompromised": "Admin confirmed service principal compromised",
    "adminConfirmedUserCompromised": "Admin confirmed user compromised",
    "aiCompoundAccountRisk": "Unified risk signals",
    "anomalousServicePrincipalActivity": "Anomalous service principal activity",
    "anomalousToken": "Anomalous token",
    "anomalousUserActivity": "Anomalous user activity",
    "anonymizedIPAddress": "Anonymous IP address",
    "attackerinTheMiddle": "Attacker in the Middle",
    "attemptedPrtAccess": "Possible attempt to access Primary Refresh Token (PRT)",
    "authenticatorPhishing": "Suspicious MFA authentication approval",
    "generic": "Additional risk detected",
    "impossibleTravel": "Impossible travel",
    "investigationsThreatIntelligence": "Microsoft Entra threat intelligence",
    "investigationsThreatIntelligenceSigninLinked": "Microsoft Entra threat intelligence (sign-in)",
    "leakedCredentials": "Leaked credentials",
    "maliciousApplication": "Malicious application",
    "maliciousIPAddress": "Malicious IP address",
    "maliciousIPAddressValidCredentialsBlockedIP": (
        "Blocked malicious IP address with valid credentials"
    ),
    "malwareInfectedIPAddress": "Malware-linked IP address",
    "mcasFinSuspiciousFileAccess": "Mass access to sensitive files",
    "mcasImpossibleTravel": "Impossible travel",
    "mcasSuspiciousInboxManipulationRules": "Suspicious inbox manipulation rules",
    "nationStateIP": "Verified threat actor IP",
    "newCountry": "New country",
    "passwordSpray": "Password spray",
    "riskyIPAddress": "Activity from anonymous IP address",
    "suspiciousAPITraffic": "Suspicious API traffic",
    "suspiciousApplication": "Suspicious application",
    "suspiciousAuthAppApproval": "Suspicious Authenticator app approval",
    "suspiciousBrowser": "Suspicious browser",
    "suspiciousIPAddress": "Suspicious IP address",
    "suspiciousInboxForwarding": "Suspicious inbox forwarding",
    "suspiciousSendingPatterns": "Suspicious sending patterns",
    "suspiciousSignins": "Suspicious sign-ins",
    "tokenIssuerAnomaly": "Token issuer anomaly",
    "unfamiliarFeatures": "Unfamiliar sign-in properties",
    "unlikelyTravel": "Atypical travel",
    "userReportedSuspiciousActivity": "User reported suspicious activity",
}

# riskDetail says how a risk ended
# (https://learn.microsoft.com/graph/api/resources/riskdetection).
DETAIL_WORDS = {
    "adminConfirmedAccountSafe": "Admin confirmed account safe",
    "adminConfirmedServicePrincipalCompromised": "Admin confirmed service principal compromised",
    "adminConfirmedSigninCompromised": "Admin confirmed sign-in compromised",
    "adminConfirmedSigninSafe": "Admin confirmed sign-in safe",
    "adminConfirmedUserCompromised": "Admin confirmed user compromised",
    "adminDismissedAllRiskForServicePrincipal": "Admin dismissed all risk for service principal",
    "adminDismissedAllRiskForUser": "Admin dismissed all risk for user",
    "adminDismissedRiskForSignIn": "Admin dismissed risk for sign-in",
    "adminGeneratedTemporaryPassword": "Admin generated temporary password",
    "aiConfirmedSigninSafe": "Microsoft Entra ID Protection assessed sign-in safe",
    "aiElevatedAccountRisk": "ID Protection elevated the user risk",
    "m365DAdminDismissedDetection": "Microsoft Defender admin dismissed detection",
    "microsoftRevokedSessions": "Microsoft revoked sessions",
    "userChangedPasswordOnPremises": "User changed password on premises",
    "userPassedMFADrivenByRiskBasedPolicy": "User passed MFA required by risk-based policy",
    "userPerformedSecuredPasswordChange": "User performed secured password change",
    "userPerformedSecuredPasswordReset": "User performed secured password reset",
}

# What follows "the user is".
STATE_WORDS = {
    "none": "without risk",
    "atRisk": "at risk",
    "confirmedCompromised": "confirmed compromised",
    "confirmedSafe": "confirmed safe",
    "dismissed": "dismissed",
    "remediated": "remediated",
}

# Why a detection was made, of additionalInfo.
REASON_WORDS = {
    "passwordSpray": "password spray",
    "suspiciousIP": "suspicious IP address",
    "UnfamiliarASN": "unfamiliar ASN",
    "UnfamiliarBrowser": "unfamiliar browser",
    "UnfamiliarDevice": "unfamiliar device",
    "UnfamiliarEASId": "unfamiliar Exchange ActiveSync ID",
    "UnfamiliarIP": "unfamiliar IP address",
    "UnfamiliarLocation": "unfamiliar location",
    "UnfamiliarTenantIPsubnet": "IP subnet unfamiliar to the tenant",
}

# The techniques that detections are known to name (https://attack.mitre.org/techniques/).
TECHNIQUE_NAMES = {
    "T1078": "Valid Accounts",
    "T1078.004": "Valid Accounts: Cloud Accounts",
    "T1090": "Proxy",
    "T1090.003": "Proxy: Multi-hop Proxy",
    "T1110": "Brute Force",
    "T1110.001": "Brute Force: Password Guessing",
    "T1110.003": "Brute Force: Password Spraying",
    "T1114": "Email Collection",
    "T1114.003": "Email Collection: Email Forwarding Rule",
    "T1539": "Steal Web Session Cookie",
    "T1564": "Hide Artifacts",
    "T1564.008": "Hide Artifacts: Email Hiding Rules",
    "T1589": "Gather Victim Identity Information",
    "T1589.001": "Gather Victim Identity Information: Credentials",
    "T1621": "Multi-Factor Authentication Request Generation",
}


def by_lower_case(words: dict[str, str]) -> dict[str, str]:
    """Return words under Graph's names in lower case: Graph itself has spelled some in
    two ways."""
    return {name.lower(): text for name, text in words.items()}


WORDS = {
    "riskEventType": by_lower_case(EVENT_WORDS),
    "riskDetail": by_lower_case(DETAIL_WORDS),
    "riskReasons": by_lower_case(REASON_WORDS),
}


def word_for(property_name: str, value: Any) -> Any:
    """Return what an analyst calls a value of Graph's, in whatever case it comes, or the
    value where that is unknown."""
    words = WORDS.get(property_name, {})
    return words.get(str(value).lower(), value)


def event_words(values: Iterable[Any]) -> list[Any]:
    """Return what an analyst calls each of some event types."""
    return [word_for("riskEventType", value) for value in values]


def to_the_second(value: Any) -> Any:
    """Return a time of Graph's without the fraction of a second; what is no such time, as
    it comes."""
    text = str(value)
    return f"{text[:19]}Z" if GRAPH_TIME.fullmatch(text) else value


def shown_value(property_name: str, value: Any) -> Any:
    """Return what a table shows of a value of Graph's."""
    if property_name.endswith("DateTime"):
        return to_the_second(value)
    return word_for(property_name, value)


def columns_in_words(row: Row, columns: Iterable[str]) -> Row:
    """Return the columns of a row, with what a table shows of their values."""
    return {name: shown_value(name, row.get(name)) for name in columns}


def types_by_word() -> dict[str, list[str]]:
    """Return the event types that each word means, in lower case: Graph's name of one, or
    a title, which several may share."""
    types: dict[str, list[str]] = defaultdict(list)
    for name, title in EVENT_WORDS.items():
        types[name.lower()].append(name)
        types[title.lower()].append(name)
    return dict(types)


TYPES_BY_WORD = types_by_word()
EVENT_TYPE_FORMS = (
    "event types by Graph's names or in the words of a table, such as leakedCredentials "
    'or "Leaked credentials"'
)
# How alike a word and a misspelling of it are. No two of the words are as much as 0.9
# alike unless they mean the same, so a new name is not taken for a misspelling; one with a
# letter missing, added, changed or swapped is (but of "generic", which is too short).
MISSPELLING = 0.9


def did_you_mean(text: str) -> str:
    """Return the end of a sentence that asks for the event types which a misspelt text may
    mean; '' where it resembles none."""
    similar = difflib.get_close_matches(
        text.lower(), TYPES_BY_WORD, n=1, cutoff=MISSPELLING
    )
    if not similar:
        return ""

    (word,) = similar
    meant = [f'"{name}"' for name in TYPES_BY_WORD[word]]
    return f"; did you mean {' or '.join(meant)}"


def event_types(name: str, value: Any) -> list[str]:
    """Return the event types that a value means, by Graph's names. The set is open: a
    name that nobody knows is taken as it is.

    Raises ArgumentError: it is a known one misspelt, or can be no name.
    """
    text = text_value(name, value)
    known = TYPES_BY_WORD.get(text.lower())
    if known:
        return known

    question = did_you_mean(text)
    if question or not re.fullmatch("[0-9A-Za-z_]+", text):
        raise ArgumentError(name, value, EVENT_TYPE_FORMS + question)
    return [text]


def unknown_event_types(values: Iterable[Any]) -> list[str]:
    """Return the values that are neither a known event type nor its title, each once."""
    texts = [str(value).strip() for value in values]
    unknown = [text for text in texts if text.lower() not in TYPES_BY_WORD]
    return list(dict.fromkeys(unknown))


class SignInStage(Enum):
    """How far a sign-in came, each by the word that its outcome begins with."""

    SUCCEEDED = "Succeeded"
    UNPROVEN = "Failed"  # The password was not proven.
    INTERRUPTED = "Interrupted"  # It was, and a further step was wanted.
    BLOCKED = "Blocked"  # It was, and access was refused.
    ENDED = "Session ended"  # A session or grant came to its end: no attack.
    NOT_SET_UP = "Not set up"  # Something is wrong with the application.


# The codes of sign-ins that are met in the log; what is not here is shown with Graph's own
# reason (https://learn.microsoft.com/entra/identity-platform/reference-error-codes).
SIGN_IN_CODES = {
    SignInStage.SUCCEEDED: {0: ""},
    SignInStage.UNPROVEN: {
        50034: "account not in this directory",
        50053: "locked out, or blocked for its IP address",
        50056: "no password",
        50057: "account disabled",
        50064: "credentials could not be checked",
        50126: "wrong user name or password",
        51004: "account not in this directory",
        80012: "outside the hours allowed on premises",
    },
    SignInStage.INTERRUPTED: {
        50055: "password expired",
        50072: "has to register for MFA",
        50074: "MFA needed and not passed",
        50076: "MFA needed and not passed",
        50079: "has to register for MFA",
        50088: "limit of MFA by phone reached",
        50097: "device has to prove itself",
        50125: "has to reset the password or to register",
        50129: "device has to be joined",
        50140: 'asked whether to "keep me signed in"',
        50144: "password expired on premises",
        50158: "external challenge not passed",
        50187: "device has to prove itself",
        50199: "asked to confirm the application",
        500121: "MFA denied, timed out or wrong",
    },
    SignInStage.BLOCKED: {
        50105: "user not assigned to the application",
        50131: "by Conditional Access or for suspicious activity",
        50135: "password has to be changed because of the account's risk",
        53000: "device not compliant",
        53001: "device not joined to the domain",
        53002: "application not approved",
        53003: "by Conditional Access",
        53004: "has to register for MFA, which the risk forbids",
        53011: "for risk in the home tenant",
        530034: "delegated administrator, for risk in the home tenant",
        530035: "by security defaults",
    },
    SignInStage.ENDED: {
        50058: "no session for a silent sign-in",
        50078: "MFA expired",
        50089: "sign-in took too long",
        50132: "password changed or session revoked",
        50133: "password changed",
        50173: "grant revoked",
        70043: "by sign-in frequency",
        700082: "refresh token unused for too long",
    },
    SignInStage.NOT_SET_UP: {
        65001: "consent missing",
        65004: "consent declined",
        90094: "an administrator has to consent",
        500011: "resource unknown in the tenant",
        700016: "application unknown in the tenant",
    },
}

CONDITIONAL_ACCESS_WORDS = {
    "success": "Conditional Access satisfied",
    "failure": "Conditional Access not satisfied",
    "notApplied": "no Conditional Access applied",
}


class SignInEnd(NamedTuple):
    """How a sign-in ended: the stage that it came to (None for a code that is not known
    here), and what its code means, '' for a success."""

    code: int
    stage: SignInStage | None
    meaning: str

    def text(self) -> str:
        """Return the end in words, with the number of its code."""
        word = "Error"
        if self.stage:
            word = self.stage.value

        stage = f"{word} ({self.code})"
        if not self.meaning:
            return stage
        return f"{stage}: {self.meaning}"


KNOWN_ENDS = {
    code: SignInEnd(code, stage, meaning)
    for stage, meanings in SIGN_IN_CODES.items()
    for code, meaning in meanings.items()
}

# One code of two meanings, which mostly the reason tells apart.
LOCKED_OR_BLOCKED = 50053
LOCKED_OUT = KNOWN_ENDS[LOCKED_OR_BLOCKED]._replace(
    meaning="locked out after too many wrong passwords"
)
BLOCKED_BY_ADDRESS = SignInEnd(
    LOCKED_OR_BLOCKED,
    SignInStage.BLOCKED,
    "malicious IP address, or certain risk",
)


def lock_out_or_block(reason: str) -> SignInEnd:
    """Return which of the two meanings a reason tells; some texts name both."""
    lower = reason.lower()
    is_block = "blocked" in lower
    is_lock_out = "too many" in lower

    if is_block == is_lock_out:
        return KNOWN_ENDS[LOCKED_OR_BLOCKED]
    if is_block:
        return BLOCKED_BY_ADDRESS
    return LOCKED_OUT


def joined_sentences(*sentences: str) -> str:
    """Return sentences as one text; '' among them is none."""
    return " ".join(filter(None, sentences))


def object_in(row: Row, name: str) -> Json:
    """Return the object that a property holds; {} where it holds none."""
    value = row.get(name)
    if isinstance(value, dict):
        return value
    return {}


def list_in(row: Row, name: str) -> list[Any]:
    """Return the list that a property holds; [] where it holds none."""
    value = row.get(name)
    if isinstance(value, list):
        return value
    return []


def error_code(sign_in: Row) -> Any:
    """Return the code that a sign-in of the log ended with: 0 is success, None is that
    Graph tells none."""
    return object_in(sign_in, "status").get("errorCode")


def sign_in_end(row: Row) -> SignInEnd | None:
    """Return how a sign-in of the log ended; None where Graph tells no code."""
    code = error_code(row)
    if not isinstance(code, int):
        return None

    told = object_in(row, "status").get("failureReason")
    reason = str(told or "")
    if code == LOCKED_OR_BLOCKED:
        return lock_out_or_block(reason)
    unknown_end = SignInEnd(code, None, reason)
    return KNOWN_ENDS.get(code, unknown_end)


def sign_in_outcome(row: Row) -> str:
    """Return how a sign-in of the log ended, in words, with the number of its code and
    what Conditional Access had to do with it; '' where Graph tells no code."""
    end = sign_in_end(row)
    if end is None:
        return ""

    access = str(row.get("conditionalAccessStatus"))
    words = CONDITIONAL_ACCESS_WORDS.get(access)
    parts = [end.text(), words]
    return "; ".join(filter(None, parts))


# ==== Settings ================================================================
#
# An instance's parameters: how it signs in, to which cloud, and what it fetches.


class SignIn(Enum):
    """How the instance signs in; the values are the manifest's option texts.

    The names of class and members stand in the fingerprint of stored sign-ins, as those of
    Cloud do: to rename one would end them all.
    """

    CLIENT_CREDENTIALS = "Client Credentials"
    DEVICE_CODE = "Device Code"
    MANAGED_IDENTITY = "Azure Managed Identities"


# Here, in CLOUDS and in FETCH_TYPES, the first is the default.
SIGN_IN_OPTIONS = (
    SignIn.DEVICE_CODE.value,
    SignIn.CLIENT_CREDENTIALS.value,
    SignIn.MANAGED_IDENTITY.value,
)


class Cloud(NamedTuple):
    """The hosts of one Microsoft cloud (https://learn.microsoft.com/graph/deployments)."""

    login: str
    graph: str


CLOUDS = {
    "Worldwide": Cloud(
        login="https://login.microsoftonline.com",
        graph="https://graph.microsoft.com",
    ),
    "US Government L4 (GCC High)": Cloud(
        login="https://login.microsoftonline.us",
        graph="https://graph.microsoft.us",
    ),
    "US Government L5 (DoD)": Cloud(
        login="https://login.microsoftonline.us",
        graph="https://dod-graph.microsoft.us",
    ),
}

FETCH_TYPES = ("Risk Detections", "Risky Users")
MAX_FETCH = 200  # incidents in one fetch
MAX_LOOK_BACK = 10_080  # minutes, a week
# Of a detection the event type, of a user the detail.
CONFIRMED_BY_ADMIN = "adminConfirmedUserCompromised"
# Objects that are remembered; beyond that, the oldest are forgotten (see Cursor.trim).
MAX_DETECTIONS = 15_000
MAX_USERS = 50_000


@dataclass(frozen=True)
class FetchSettings:
    """The fetch parameters, checked.

    since: the literal of where the very first fetch begins. look_back: minutes in which a
    detection may surface late. event_types: Graph's names, also unknown ones.
    admin_confirmations: whether what an administrator confirmed is fetched too.
    max_detections, max_users: no parameters; how many are remembered, so that none is
    handed over twice.
    """

    since: str
    max_fetch: int
    look_back: int
    fetch_types: tuple[str, ...]
    levels: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    event_types: tuple[str, ...] = ()
    admin_confirmations: bool = False
    max_detections: int = MAX_DETECTIONS
    max_users: int = MAX_USERS


def read_fetch_settings(params: Args) -> FetchSettings:
    """Return what the fetch parameters mean; an older instance may have none of them."""
    first_fetch = params.get("first_fetch") or "3 days"
    since = datetime_literal("first_fetch", first_fetch)
    max_fetch = whole_number(params, "max_fetch", 50, MAX_FETCH)
    look_back = whole_number(params, "look_back", 60, MAX_LOOK_BACK)
    fetch_types = choices(params, "fetch_types", FETCH_TYPES)
    levels = choices(params, "fetch_risk_levels", RISK_LEVELS)
    states = choices(params, "fetch_risk_states", RISK_STATES)

    wanted_types = [
        event_type
        for each in argToList(params.get("fetch_event_types"))
        for event_type in event_types("fetch_event_types", each)
    ]
    confirmations = argToBoolean(
        params.get("fetch_admin_confirmations") or False
    )
    by_name = CONFIRMED_BY_ADMIN in wanted_types

    return FetchSettings(
        since=since,
        max_fetch=max_fetch,
        look_back=look_back,
        fetch_types=fetch_types or FETCH_TYPES[:1],
        levels=levels,
        states=states,
        event_types=tuple(wanted_types),
        admin_confirmations=confirmations or by_name,
    )


# Marks a setting that has no influence on the token. One that is not marked counts, so to
# forget the mark costs a sign-in too many and never a token too old.
NOT_SIGN_IN = {"affects_sign_in": False}


@dataclass(frozen=True)
class Settings:
    """One instance's parameters, checked. `fetch` is None for a command that does not
    read the fetch parameters."""

    sign_in: SignIn
    client_id: str = ""
    tenant_id: str = ""
    client_secret: str = field(default="", repr=False)
    thumbprint: str = ""
    private_key: str = field(default="", repr=False)
    managed_identity_client_id: str = ""
    cloud: Cloud = CLOUDS["Worldwide"]
    allow_response: bool = False  # decides what a device code asks for
    verify: bool = field(default=True, metadata=NOT_SIGN_IN)
    use_proxy: bool = field(default=False, metadata=NOT_SIGN_IN)
    fetch: FetchSettings | None = field(default=None, metadata=NOT_SIGN_IN)

    @property
    def has_certificate(self) -> bool:
        """Whether there is a certificate. A key that was left without its thumbprint is
        none."""
        return bool(self.thumbprint and self.private_key)

    @property
    def client_credential(self) -> str | dict[str, str]:
        """What the application proves itself with, as msal takes it: a secret, a
        certificate, or '' for neither."""
        if self.has_certificate:
            return {
                "thumbprint": self.thumbprint,
                "private_key": self.private_key,
            }
        return self.client_secret

    @property
    def credentials_fingerprint(self) -> str:
        """A digest of all that influences the token. A sign-in that was stored under
        another digest is not used, so the order by name is part of it too."""
        counted = [
            each.name
            for each in dataclasses.fields(self)
            if each.metadata.get("affects_sign_in", True)
        ]

        values = [str(getattr(self, name)) for name in sorted(counted)]
        text = json.dumps(values)
        return hashlib.sha256(text.encode()).hexdigest()


# Attributes of Settings that must not be empty, each with its label in the form.
REQUIRED_SETTINGS = {
    SignIn.CLIENT_CREDENTIALS: {
        "client_id": "Client ID",
        "tenant_id": "Tenant ID",
        "client_credential": "Client Secret (or Certificate Thumbprint and Private Key)",
    },
    SignIn.DEVICE_CODE: {"client_id": "Client ID"},
    SignIn.MANAGED_IDENTITY: {},
}


def check_required(settings: Settings) -> None:
    """Raise SettingsError where the sign-in type needs more than there is; all of it is
    named."""
    required = REQUIRED_SETTINGS[settings.sign_in]
    missing = [
        label for name, label in required.items() if not getattr(settings, name)
    ]
    if missing:
        labels = ", ".join(missing)
        raise SettingsError(
            f"Sign-in with {settings.sign_in.value} also needs: {labels}."
        )


def check_tenant_id(tenant_id: str) -> None:
    """Raise SettingsError unless the text can name a tenant; none at all is fine here."""
    if not re.fullmatch(r"[A-Za-z0-9.-]*", tenant_id):
        raise SettingsError(
            f'Tenant ID "{tenant_id}" is neither a GUID nor a domain name.'
        )


def check_client_credential(settings: Settings) -> None:
    """Raise SettingsError unless it is clear what the application proves itself with."""
    if settings.client_secret and settings.thumbprint:
        raise SettingsError(
            "Both a Client Secret and a certificate are given. "
            "Empty the one that is not to be used."
        )

    if not re.fullmatch("([0-9A-Fa-f]{40})?", settings.thumbprint):
        raise SettingsError(
            "Certificate Thumbprint is not a SHA-1 thumbprint, "
            "which has 40 hexadecimal digits."
        )


def check_settings(settings: Settings) -> None:
    """Raise SettingsError unless the settings suffice for their sign-in type. What
    another type has left behind is not looked at."""
    check_required(settings)
    if settings.sign_in is not SignIn.MANAGED_IDENTITY:
        check_tenant_id(settings.tenant_id)
    if settings.sign_in is SignIn.CLIENT_CREDENTIALS:
        check_client_credential(settings)


def option(label: str, value: str | None, options: tuple[str, ...]) -> str:
    """Return the option that a selection holds; the first one is the default."""
    selected = value or options[0]
    if selected not in options:
        raise SettingsError(
            f'{label} "{value}" is unknown. Options: {", ".join(options)}.'
        )

    return selected


PEM_BLOCK = re.compile(
    "(-----BEGIN [A-Z ]+-----)(.*?)(-----END [A-Z ]+-----)", re.DOTALL
)


def pem_block(match: re.Match[str]) -> str:
    begin, body, end = match.groups()
    lines = [begin, *body.split(), end, ""]
    return "\n".join(lines)


def pem_text(text: str) -> str:
    """Return a PEM key with its line breaks: a password box turns them into spaces."""
    blocks = [pem_block(match) for match in PEM_BLOCK.finditer(text)]
    return "".join(blocks) or text


def credential(params: Args, name: str) -> str:
    """Return a credentials parameter, which older instances may hold as plain text."""
    value = params.get(name)
    text = value.get("password") if isinstance(value, dict) else value
    return (text or "").strip()


def read_sign_in_settings(params: Args) -> Settings:
    """Return what the parameters say of the sign-in; the rest is left at its defaults.

    Raises SettingsError: an option is unknown, a value is unusable, or what the sign-in
    needs is missing (all of it is named).
    """
    cloud_text = params.get("azure_cloud")
    type_text = params.get("authentication_type")
    cloud_option = option("Azure Cloud", cloud_text, tuple(CLOUDS))
    type_option = option("Authentication Type", type_text, SIGN_IN_OPTIONS)

    certificate = params.get("creds_certificate") or {}
    thumbprint = certificate.get("identifier") or ""
    private_key = certificate.get("password") or ""
    tenant_id = params.get("tenant_id") or ""
    client_secret = credential(params, "client_secret")
    identity = credential(params, "managed_identities_client_id")
    settings = Settings(
        sign_in=SignIn(type_option),
        client_id=credential(params, "client_id"),
        tenant_id=tenant_id.strip(),
        client_secret=client_secret,
        thumbprint=re.sub("[: ]", "", thumbprint),
        private_key=pem_text(private_key),
        managed_identity_client_id=identity,
        cloud=CLOUDS[cloud_option],
    )

    check_settings(settings)
    return settings


def read_settings(params: Args, *, with_fetch: bool = False) -> Settings:
    """Return the settings that the instance's parameters mean.

    with_fetch: whether to read the fetch parameters, which other commands do not need.
    Raises as `read_sign_in_settings` does. ArgumentError: a fetch parameter is unusable.
    """
    # What is wrong with the sign-in is told before what is wrong with the rest.
    settings = read_sign_in_settings(params)
    return replace(
        settings,
        allow_response=argToBoolean(params.get("allow_response") or False),
        verify=not argToBoolean(params.get("insecure") or False),
        use_proxy=argToBoolean(params.get("proxy") or False),
        fetch=read_fetch_settings(params) if with_fetch else None,
    )


# ==== HTTP ====================================================================
#
# The one way to the network, under every request to Graph and to the login service. None
# outlives the command or goes to a host that was not meant, and a failure is told in words
# that say what to do.


# Seconds: to connect to one address, and between two bytes of the answer.
REQUEST_TIMEOUT = (5, 30)
CONNECT_PERIOD = 20  # seconds for all addresses of a host together
# Seconds from the command's start after which nothing more is sent or read; the platform
# ends a command after 300.
COMMAND_PERIOD = 270
# Seconds from a request's first failure; one that fails later is not repeated.
OUTAGE_PERIOD = 60
FIRST_WAIT = 1.0  # seconds before the first repetition
LEAST_TOLD_WAIT = 1.5  # seconds

RETRY_RULES = {
    "total": 6,
    "read": 3,
    "status": 6,
    "other": 0,  # Certificates that fail will fail again.
    "allowed_methods": None,  # A POST to Graph sets a state: twice is once.
    "backoff_factor": 1,  # seconds
    "backoff_jitter": 0.5,  # seconds
    "backoff_max": 20,  # seconds
    "raise_on_status": False,  # Graph's own words are wanted, not urllib3's.
}

OUTAGES = (500, 502, 503, 504)
TOO_MANY_REQUESTS = 429


def pause(seconds: float, reason: str) -> None:
    """Wait, if there is anything to wait for. A wait that a person would notice is told in
    the server's log."""
    if seconds <= 0:
        return

    if seconds >= LEAST_TOLD_WAIT:
        demisto.debug(f"{reason}: waiting {seconds:.0f} s")
    # The vendor's linter refuses a bare variable here.
    time.sleep(float(seconds))


def retry_after(response: Any) -> float:
    """Return the seconds that an answer asks to wait, which may be infinite; 0 where it
    asks for nothing that can be read."""
    text = str(response.headers.get("Retry-After") or "").strip()
    if re.fullmatch("[0-9]+", text):
        # Not int, which refuses more than 4,300 digits.
        return float(text)

    try:
        moment = email.utils.parsedate_to_datetime(text).timestamp()
    except (OverflowError, TypeError, ValueError):
        return 0

    return max(moment - time.time(), 0)


class BoundedRetry(urllib3.Retry):
    """Repeats failed requests after growing waits, never for long.

    deadline: a value of time.monotonic(), the command's end. outage_end: another, the end
    of the repetitions of one request; None until it has failed. The attempts end where no
    time is left for the next wait (is_exhausted), and at once where the answer asks for a
    longer one (increment).
    """

    def __init__(
        self,
        *,
        deadline: float,
        outage_end: float | None = None,
        **rules: Any,
    ):
        super().__init__(**rules)
        self.deadline = deadline
        self.outage_end = outage_end

    @property
    def end(self) -> float:
        """When the last repetition may begin."""
        if self.outage_end is None:
            return min(self.deadline, time.monotonic() + OUTAGE_PERIOD)
        return self.outage_end

    def new(self, **changes: Any) -> "BoundedRetry":
        """Copy the rules, as urllib3 does at each failure."""
        return super().new(
            deadline=self.deadline, outage_end=self.end, **changes
        )

    def get_backoff_time(self) -> float:
        return super().get_backoff_time() or FIRST_WAIT

    def is_too_long(self, seconds: float) -> bool:
        """Tell whether a wait that begins now would end too late."""
        return time.monotonic() + seconds > self.end

    def is_exhausted(self) -> bool:
        return super().is_exhausted() or self.is_too_long(
            self.get_backoff_time()
        )

    def sleep(self, response: Any = None) -> None:
        asked = 0.0 if response is None else retry_after(response)
        happened = "There was no answer"
        if response is not None:
            happened = f"The answer was {response.status}"
        pause(asked or self.get_backoff_time(), happened)

    def increment(self, *request: Any, **named: Any) -> Any:
        """Count an attempt; end the attempts where the answer asks to wait too long.

        urllib3 then hands over that answer as it is, since `raise_on_status` is off. The
        error that ends them tells how all attempts failed (see `was_sent`).
        """
        response = named.get("response")
        if response is not None and self.is_too_long(retry_after(response)):
            raise urllib3.exceptions.MaxRetryError(
                named["_pool"], str(response.url)
            )

        try:
            return super().increment(*request, **named)
        except urllib3.exceptions.MaxRetryError as ended:
            failures = [attempt.error for attempt in self.history]
            failures.append(named.get("error"))
            ended.failures = failures  # type: ignore[attr-defined]
            raise


def time_until(end: float) -> float:
    """Return the seconds until an end, a value of time.monotonic(). Raises TimeoutError
    when it is reached."""
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError("The time is up.")
    return left


class BoundedReader(io.RawIOBase):
    """What a socket receives until a deadline.

    Its timeout alone counts from byte to byte, so that an answer which comes byte by byte
    would never end.
    """

    def __init__(self, receiver: socket.socket, deadline: float):
        self.receiver = receiver
        self.deadline = deadline
        self.file = receiver.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = time_until(self.deadline)
        timeout = self.receiver.gettimeout()
        limit = left if timeout is None else min(left, timeout)
        self.receiver.settimeout(limit)
        return self.file.readinto(buffer)

    def close(self) -> None:
        self.file.close()
        super().close()


class BoundedAnswer(http.client.HTTPResponse):
    """An answer, or a proxy's, that is read until a deadline, its headers included."""

    def __init__(
        self,
        receiver: socket.socket,
        *options: Any,
        deadline: float,
        **named: Any,
    ):
        super().__init__(receiver, *options, **named)
        self.fp.close()
        self.fp = io.BufferedReader(BoundedReader(receiver, deadline))


Address = tuple[str, int]  # an IP address and a port


def look_up(host: str, port: int) -> list[Address]:
    """Return the addresses of a host, the one to try first first.

    Raises OSError where there is none, LocationParseError for what can be no host's name.
    """
    family = urllib3.util.connection.allowed_gai_family()
    try:
        found = socket.getaddrinfo(
            host.strip("[]"), port, family, socket.SOCK_STREAM
        )
    except UnicodeError:
        raise urllib3.exceptions.LocationParseError(host) from None

    return [(str(address[0]), int(address[1])) for *_, address in found]


def connect_to_any(
    addresses: list[Address], end: float, limit: float, options: Any
) -> socket.socket:
    """Connect to the first of some addresses that lets itself be reached.

    end: a value of time.monotonic(), when the last has been tried. limit: seconds for each.
    options: of the socket. Each gets its share of the time, so that one which never answers
    leaves some to those after it. Raises OSError, the last one's.
    """
    failure = OSError("There is no address.")
    for tried, address in enumerate(addresses):
        share = time_until(end) / (len(addresses) - tried)
        try:
            return urllib3.util.connection.create_connection(
                address, min(limit, share), socket_options=options
            )
        except OSError as error:
            failure = error

    raise failure


def connect(connection: Any, deadline: float) -> socket.socket:
    """Connect to the host of a connection of urllib3's. Raises OSError."""
    addresses = look_up(connection.host, connection.port)
    end = min(deadline, time.monotonic() + CONNECT_PERIOD)
    limit = connection.timeout
    receiver = connect_to_any(addresses, end, limit, connection.socket_options)

    # What is set here holds for the TLS handshake.
    left = time_until(deadline)
    receiver.settimeout(min(limit, left))
    return receiver


# Other pools are for SOCKS proxies, which are spoken to in order to connect.
PLAIN_POOLS = (urllib3.HTTPConnectionPool, urllib3.HTTPSConnectionPool)


def bounded_pool(pool: Any, deadline: float) -> Any:
    """Return a kind of urllib3's connection pools, made such that it connects and reads
    answers until a deadline."""

    class Connection(pool.ConnectionCls):  # type: ignore[misc]
        timeout: float

        def _new_conn(self) -> Any:
            """Connect. urllib3 would give the whole limit to each address of a host, and
            again at each repetition."""
            try:
                self.timeout = min(self.timeout, time_until(deadline))
                if pool not in PLAIN_POOLS:
                    return super()._new_conn()
                return connect(self, deadline)
            except TimeoutError as error:
                raise urllib3.exceptions.ConnectTimeoutError(
                    self, str(error)
                ) from error
            except OSError as error:
                raise urllib3.exceptions.NewConnectionError(
                    self, str(error)
                ) from error

        def response_class(self, *options: Any, **named: Any) -> BoundedAnswer:
            return BoundedAnswer(*options, deadline=deadline, **named)

    class Pool(pool):  # type: ignore[misc]
        ConnectionCls = Connection

    return Pool


@functools.lru_cache
def check_certificates(path: str) -> None:
    """Raise OSError where a file of certificates cannot be read or holds none.

    Found out while connecting, it would be told as a host that is not trusted.
    """
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)


class BoundedAdapter(requests.adapters.HTTPAdapter):
    """Sends requests, through a proxy too, and reads their answers, all until a deadline."""

    def __init__(self, deadline: float, retries: BoundedRetry):
        self.deadline = deadline
        super().__init__(max_retries=retries)

    def bound(self, manager: urllib3.PoolManager) -> None:
        """Bound the pools that a manager will make."""
        pools = manager.pool_classes_by_scheme
        manager.pool_classes_by_scheme = {
            scheme: bounded_pool(pool, self.deadline)
            for scheme, pool in pools.items()
        }

    def init_poolmanager(self, *sizes: Any, **options: Any) -> None:
        super().init_poolmanager(*sizes, **options)
        self.bound(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        is_known = proxy in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **options)
        if not is_known:
            self.bound(manager)
        return manager

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Set a pool's certificates, its own or those of a file that is good."""
        super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]
        if verify is not True and conn.ca_certs:
            check_certificates(conn.ca_certs)


class TooLate(requests.exceptions.Timeout):
    """The command's time was up before a request."""


class OutOfTime(requests.exceptions.Timeout):
    """The command's time was up before an answer had come in full."""


class ProxyNotUsable(requests.exceptions.ProxyError):
    """The address of a proxy in the environment is no address of one."""


class CertificatesNotFound(requests.exceptions.RequestException):
    """The file of certificates that the environment names cannot be read or holds none."""


def unsigned(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Leave a request as it is: without an auth, requests would sign from a .netrc file."""
    return request


class HttpSession(requests.Session):
    """One way to the network for Graph and the login service alike: certificates, proxy,
    time limits, retries.

    msal is handed it too, so that both obey the same switches. `cloud` holds the only
    hosts that it reaches; None allows any. A redirect raises TooManyRedirects: nothing
    follows it, least of all a token or a secret.

    period: seconds from now, after which nothing is sent or read any more.

    Attributes: use_proxy (whether the proxies of the environment are used; the platform's
    handle_proxy() puts them in order, but leaves ALL_PROXY where there are to be none).
    """

    def __init__(
        self,
        *,
        cloud: Cloud | None = None,
        verify: bool = True,
        timeout: tuple[int, int] = REQUEST_TIMEOUT,
        connect_retries: int = 2,
        period: float = COMMAND_PERIOD,
    ):
        super().__init__()
        self.cloud = cloud
        self.verify = verify
        self.use_proxy = True
        self.timeout = timeout
        self.started = time.monotonic()
        self.deadline = self.started + period
        self.max_redirects = 0
        self.auth = unsigned

        self.mount_retries(connect_retries)
        if not verify:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

    def adapter(self, **rules: Any) -> BoundedAdapter:
        retries = BoundedRetry(
            deadline=self.deadline, **{**RETRY_RULES, **rules}
        )
        return BoundedAdapter(self.deadline, retries)

    def mount_retries(self, connect_retries: int) -> None:
        """Repeat failed requests, and failed connections so many times, to any host. What
        Graph refuses for coming too often is left to its client."""
        usual = self.adapter(
            connect=connect_retries,
            status_forcelist=(TOO_MANY_REQUESTS, *OUTAGES),
        )
        for prefix in list(self.adapters):
            self.mount(prefix, usual)

        if self.cloud:
            to_graph = self.adapter(
                connect=connect_retries,
                status_forcelist=OUTAGES,
                respect_retry_after_header=False,
            )
            self.mount(f"{self.cloud.graph}/", to_graph)

    def time_left(self) -> float:
        """Return the seconds until the command's end."""
        return max(self.deadline - time.monotonic(), 0)

    def merge_environment_settings(self, *request: Any) -> Any:
        settings = super().merge_environment_settings(*request)
        if not self.use_proxy:
            settings["proxies"] = {}
        return settings

    def request(  # type: ignore[override]
        self, method: str, url: str, **options: Any
    ) -> requests.Response:
        # Said on every request: requests lets REQUESTS_CA_BUNDLE override a session's
        # verify, and msal sets no timeout.
        options = {"verify": self.verify, "timeout": self.timeout, **options}
        try:
            return super().request(method, url, **options)
        except requests.exceptions.ChunkedEncodingError:
            # The body broke off after the headers, where urllib3 repeats no more.
            return self.request_again(method, url, options)

    def request_again(
        self, method: str, url: str, options: Json
    ) -> requests.Response:
        try:
            return super().request(method, url, **options)
        except requests.RequestException as error:
            error.is_second = True  # type: ignore[attr-defined]
            raise

    def check_host(self, url: str) -> None:
        """Raise InvalidURL for a host outside the cloud.

        msal takes addresses from a discovery answer, which could name any host.
        """
        if not self.cloud:
            return
        if not url.startswith((f"{self.cloud.login}/", f"{self.cloud.graph}/")):
            raise requests.exceptions.InvalidURL(
                "The host is none of the cloud's."
            )

    def check_time(self) -> None:
        """Raise TooLate when the command's time is up."""
        if not self.time_left():
            raise TooLate("No request is sent any more.")

    def deliver(
        self, request: requests.PreparedRequest, options: Json
    ) -> requests.Response:
        """Send a request to a host that is allowed. Raises RequestException of the kind
        that tells what happened."""
        limits = [min(limit, self.time_left()) for limit in options["timeout"]]
        try:
            return super().send(
                request, **{**options, "timeout": tuple(limits)}
            )
        except (
            requests.exceptions.InvalidSchema,
            requests.exceptions.InvalidURL,
            urllib3.exceptions.LocationValueError,
        ):
            # The request's own URL is good. msal would take these, which are ValueErrors
            # too, for a wrong answer.
            raise ProxyNotUsable from None
        except requests.RequestException:
            if not self.time_left():
                raise OutOfTime from None
            raise
        except OSError:
            raise CertificatesNotFound from None

    def send(
        self, request: requests.PreparedRequest, **options: Any
    ) -> requests.Response:
        try:
            self.check_host(str(request.url))
            self.check_time()
            return self.deliver(request, options)
        except requests.RequestException as error:
            # Not every error names its request, and the error text names its host.
            error.request = request
            raise


# From the special to the general: the first that fits is told.
NETWORK_FAULTS: tuple[tuple[type[Exception], str], ...] = (
    (
        TooLate,
        "the command had taken as long as it may. Nothing was sent",
    ),
    (
        OutOfTime,
        "its answer had not come in full when the command had taken as long as it may. Try "
        "again later, or ask for less",
    ),
    (
        CertificatesNotFound,
        "the file of certificates that REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names on the "
        "engine or server cannot be read or holds none. Nothing was sent",
    ),
    (
        requests.exceptions.SSLError,
        "its certificate is not trusted. If a proxy with a certificate of its own stands "
        "between, add that certificate to the engine or server, or select 'Trust any "
        "certificate (not secure)'",
    ),
    (
        ProxyNotUsable,
        "the address of the server's proxy is wrong, or of a kind that cannot be used here. "
        "Check 'Use system proxy settings' and the server's proxy. Nothing was sent",
    ),
    (
        requests.exceptions.ProxyError,
        "the proxy refused. Check 'Use system proxy settings' and the server's proxy",
    ),
    (
        requests.exceptions.ConnectTimeout,
        "no connection was made in time. Check firewall and proxy settings",
    ),
    (
        requests.exceptions.TooManyRedirects,
        "it answered with a redirect, which is not followed. A sign-in page of the network "
        "may stand between",
    ),
    (
        requests.exceptions.InvalidURL,
        "it is no host of the instance's cloud. Nothing was sent",
    ),
    (
        requests.exceptions.ChunkedEncodingError,
        "its answer broke off, twice",
    ),
    (
        requests.exceptions.RequestException,
        "the connection failed or there was no answer in time. Check name resolution, "
        "firewall and proxy settings",
    ),
)


def network_fault(error: requests.RequestException) -> str:
    """Say what happened on the way to a host and what to do about it.

    Neither the URL's query nor a body is quoted: they may hold names or secrets.
    """
    url = getattr(error.request, "url", None)
    host = urlsplit(url or "").hostname or "The host"
    meaning, *_ = [
        text for kind, text in NETWORK_FAULTS if isinstance(error, kind)
    ]
    name = type(error).__name__
    return f"{host} was not reached: {meaning} ({name})."


NEVER_SENT = (
    TooLate,
    CertificatesNotFound,
    ProxyNotUsable,
    requests.exceptions.InvalidURL,
)
# urllib3's errors before a connection stands. Where a connection to a proxy fails later,
# it is another one.
NOT_CONNECTED = (
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ProxyError,
)


def is_before_sending(failure: Exception | None) -> bool:
    """Tell whether an attempt failed before the request left."""
    if isinstance(failure, urllib3.exceptions.SSLError):
        return isinstance(failure.args[0], ssl.SSLCertVerificationError)
    return isinstance(failure, NOT_CONNECTED)


def was_sent(error: requests.RequestException) -> bool:
    """Tell whether a request may have left this machine: False only where surely none of
    its attempts did."""
    if getattr(error, "is_second", False):
        return True
    if isinstance(error, NEVER_SENT):
        return False

    ended = error.args[0] if error.args else None
    failures = getattr(ended, "failures", [None])
    return not all(is_before_sending(failure) for failure in failures)


# ==== Sign-in =================================================================
#
# How the instance comes by an access token: three kinds of it, by way of msal, and the
# store that keeps tokens and a pending device code from command to command.


TOKEN_RESERVE = 300  # seconds a stored token must still be valid for
# Seconds, as REQUEST_TIMEOUT: the managed identity endpoint is on the machine itself, or
# nowhere.
IDENTITY_TIMEOUT = (2, 10)
# Of one write of the integration context, and the seconds between two. One attempt fails
# only where another command wrote.
WRITE_ATTEMPTS = 10
WRITE_PAUSE = 0.1
# Looks at the store, a second apart, for a sign-in that another command completes.
COMPLETION_LOOKS = 6

# What msal's cache holds, by the names that all of Microsoft's libraries give it.
ACCESS_TOKEN = "AccessToken"
REFRESH_TOKEN = "RefreshToken"
ID_TOKEN = "IdToken"
SIGNED_IN_ACCOUNT = "Account"
APP_METADATA = "AppMetadata"
SECRET_TYPES = (ACCESS_TOKEN, REFRESH_TOKEN, ID_TOKEN)
# What a new token is got with. Access tokens are not: msal would answer with one.
RENEWAL_TYPES = (REFRESH_TOKEN, ID_TOKEN, SIGNED_IN_ACCOUNT, APP_METADATA)

ENTRA = "MSSTS"  # the authority_type of an account

# A cache of msal's as it is stored: entries by type, and by a key of msal's own.
CachedEntries = dict[str, dict[str, Json]]

# msal has no error of its own for JSON that is not what it expects; these are the ones it
# was seen to stumble with.
STUMBLES = (
    AttributeError,
    LookupError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
)

# What a sign-in has to have to be of use after its first token has expired.
LASTING_TYPES = (SIGNED_IN_ACCOUNT, REFRESH_TOKEN)

# What to do about the login service's commonest refusals, by AADSTS number
# (https://learn.microsoft.com/entra/identity-platform/reference-error-codes).
LOGIN_HINTS: tuple[tuple[tuple[int, ...], str], ...] = (
    (
        (7000215,),
        "The client secret is wrong. Enter the secret's Value, not its Secret ID.",
    ),
    (
        (7000222,),
        "The client secret has expired. Create a new one in the app registration and enter "
        "its Value.",
    ),
    (
        (700027,),
        "The certificate is not one of the app registration's, or the private key does not "
        "belong to it.",
    ),
    (
        (700024,),
        "The clock of the machine that runs the integration is wrong.",
    ),
    (
        (7000218,),
        "For device code, allow public client flows in the app registration "
        "(Authentication).",
    ),
    (
        (700016, 70001),
        "The tenant does not know this application. Check Client ID and Tenant ID.",
    ),
    (
        (7000112,),
        "The application is disabled in the tenant.",
    ),
    (
        (90002, 900021, 900023),
        "The tenant was not found. Check Tenant ID.",
    ),
    (
        (90038, 900382, 500011, 650057, 50001),
        "Application, tenant and cloud do not belong together.",
    ),
    (
        (65001, 90094),
        "An administrator has to grant consent to the application's permissions.",
    ),
    (
        (700082, 70008, 70043, 50173),
        "The stored sign-in has expired or was revoked.",
    ),
    (
        (54005,),
        "The code was used already.",
    ),
    (
        (50076, 50079, 53000, 53003, 530032),
        "A Conditional Access policy or multifactor sign-in stands in the way.",
    ),
    (
        (50034, 50057, 50105),
        "The account is missing, disabled, or not assigned to the application.",
    ),
    (
        (50196, 90055, 90033, 50033, 90006),
        "The login service is busy. Try again in some minutes.",
    ),
)

NOT_THE_LOGIN_SERVICE = (
    "What answered is not the Microsoft login service. "
    "A proxy or a sign-in page of the network may stand between."
)


def msal_library() -> Any:
    """Return msal."""
    # Imported here, because it takes long and only a new token needs it.
    import msal

    return msal


def first_sentence(description: str) -> str:
    """Return the first line of an error description as a sentence, without its trace id."""
    if not description:
        return ""

    line = description.splitlines()[0]
    words, _, _ = line.partition(" Trace ID:")
    return f"{words.rstrip('. ')}."


def hint_for(description: str) -> str:
    """Return what to do about the AADSTS number in a description, '' for an unknown one."""
    match = re.search(r"AADSTS(\d+)", description)
    if not match:
        return ""

    number = int(match.group(1))
    for numbers, hint in LOGIN_HINTS:
        if number in numbers:
            return hint

    return ""


def sign_in_error(description: str, advice: str = "") -> SignInError:
    """Make the error for an answer without a token: the first line of its description,
    what to do about its AADSTS number, and further advice."""
    text = joined_sentences(
        "Sign-in failed.",
        first_sentence(description),
        hint_for(description),
        advice,
    )
    return SignInError(text)


def description_of(answer: Json) -> str:
    """Return the login service's own words about an answer without a token."""
    words = answer.get("error_description") or answer.get("error")
    return str(words or "")


def buried_description(error: Exception) -> str:
    """Return the login service's words from an error of msal's.

    msal reads the tenant's addresses first (discovery). Where that is refused, it raises
    an error while it handles another one, whose text holds the answer.
    """
    match = re.search(r"AADSTS\d+[^\"\\]*", str(error.__context__))
    return match.group() if match else NOT_THE_LOGIN_SERVICE


def ask_login(acquire: Callable[[], Json]) -> Json:
    """Return what msal answers.

    Raises SignInError: the login service could not be reached, is down, or what answered
    is not the login service.
    """
    try:
        return acquire()
    except requests.RequestException as error:
        # None, here and below: msal's and requests' errors quote what was sent.
        raise SignInError(f"Sign-in failed. {network_fault(error)}") from None
    except msal_library().exceptions.MsalServiceError as error:
        raise SignInError(
            f"Sign-in failed. The login service is out of order ({error}). Try again later."
        ) from None
    except STUMBLES as error:
        raise sign_in_error(buried_description(error)) from None


def has_ended(answer: Json) -> bool:
    """Tell whether an answer says that nothing more comes of a refresh token or a code.

    msal says nothing at all when it has no refresh token left.
    """
    return not answer or answer.get("error") == "invalid_grant"


def token_claims(token: str) -> Json | None:
    """Return what an access token says of itself, None when it cannot be read.

    The signature is not checked: Graph does that.
    """
    try:
        payload = token.split(".")[1]
        # Base64 wants the padding that tokens leave out.
        padding = "=" * (-len(payload) % 4)
        claims = json.loads(base64.urlsafe_b64decode(payload + padding))
    except (IndexError, RecursionError, ValueError):
        return None

    return claims if isinstance(claims, dict) else None


class BearerAuth(requests.auth.AuthBase):
    """Signs a request just before it leaves."""

    def __init__(self, token: str):
        self.token = token

    def __call__(
        self, request: requests.PreparedRequest
    ) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request


# What the vendor's integration leaves in the integration context. It is bound to no
# settings, so it is not used.
VENDOR_KEYS = (
    "access_token",
    "valid_until",
    "current_refresh_token",
    "device_code",
)
SECRET_KEYS = ("token_cache", "device_flow")
SIGN_IN_KEYS = ("binding", "sign_in_id", *SECRET_KEYS)
# Of a cached entry: msal makes its key from them, and sends some in headers.
KEY_TEXTS = ("home_account_id", "environment", "client_id", "realm", "target")
# Of a device code's answer: what the person and msal need.
FLOW_TEXTS = ("user_code", "device_code", "verification_uri")


def is_plain_text(value: Any) -> bool:
    """Tell whether a value is text that a header can carry: visible ASCII and spaces."""
    return isinstance(value, str) and bool(re.fullmatch("[ -~]+", value))


def stored_text(context: Json, key: str) -> str:
    """Return a text of the integration context, '' for what is missing or no text."""
    value = context.get(key)
    return value if isinstance(value, str) else ""


def without_keys(context: Json, keys: tuple[str, ...]) -> Json:
    return {key: value for key, value in context.items() if key not in keys}


def is_key_text(value: Any) -> bool:
    """Tell whether msal can make a part of its key from a value: from none too."""
    return value in (None, "") or is_plain_text(value)


def check_cached_entry(credential_type: str, entry: Json) -> None:
    """Raise one of STUMBLES for an entry that msal or this module could not read."""
    readable = [is_key_text(entry.get(name)) for name in KEY_TEXTS]
    if credential_type in SECRET_TYPES:
        readable.append(is_plain_text(entry["secret"]))
        readable.append(entry["credential_type"] == credential_type)
    if credential_type == SIGNED_IN_ACCOUNT:
        readable.append(entry.get("authority_type") == ENTRA)
    if not all(readable):
        raise ValueError("An entry of the token cache cannot be read.")

    if credential_type == ACCESS_TOKEN:
        int(entry["expires_on"])
    if credential_type == REFRESH_TOKEN:
        int(entry.get("last_modification_time", "0"))


def read_token_cache(text: str) -> CachedEntries:
    """Return what the text of msal's token cache holds. One that msal could not work
    with, however it was damaged, counts as empty."""
    try:
        cache: CachedEntries = json.loads(text)
        for credential_type, entries in cache.items():
            for entry in entries.values():
                check_cached_entry(credential_type, entry)
    except STUMBLES:
        return {}

    return cache


def is_device_flow(flow: Json) -> bool:
    """Tell whether an answer holds all that signing in with a code takes."""
    return all(is_plain_text(flow.get(name)) for name in FLOW_TEXTS)


def read_device_flow(context: Json) -> Json:
    """Return the pending device code, as msal gave it; {} where there is none, or none
    that can be read."""
    try:
        flow = json.loads(stored_text(context, "device_flow"))
    except (RecursionError, ValueError):
        return {}

    is_usable = isinstance(flow, dict) and is_device_flow(flow)
    return flow if is_usable else {}


def without_device_flow(context: Json, flow: Json) -> Json:
    """Return a context without this device code; it may hold a newer one."""
    stored = read_device_flow(context)
    is_this = stored.get("device_code") == flow["device_code"]
    return without_keys(context, ("device_flow",)) if is_this else context


def read_context() -> tuple[Json, Any]:
    """Return the newest integration context and its version, by which a write is refused
    once another one was made. What is no object counts as empty."""
    context, version = get_integration_context_with_version()
    return context if isinstance(context, dict) else {}, version


def update_context(change: Callable[[Json], Json]) -> bool:
    """Write what `change` makes of the newest integration context, and tell whether there
    was anything to write.

    Commands of an instance overlap. Where another one writes between this one's reading
    and writing, the platform refuses by the version (ValueError), and `change` is asked
    again, about what the other one left. Servers before 6.0.0 have no versions.
    Raises ContextBusyError: that happened each time.
    """
    for _ in range(WRITE_ATTEMPTS):
        context, version = read_context()
        changed = change(context)
        if changed == context:
            return False

        try:
            set_integration_context(changed, version=version)
        except ValueError:
            pause(WRITE_PAUSE, "Another command writes too")
        else:
            return True

    raise ContextBusyError(
        "Too many commands write to the integration context at once. Try again."
    )


class StoredSignIn(NamedTuple):
    """What tells a stored sign-in from those before and after it, as it stands in the
    integration context; '' is what is missing or no text."""

    # The fingerprint of the settings. The key keeps its first name, so that an earlier
    # sign-in stays valid.
    binding: str
    sign_in_id: str  # random; renewed by each completed sign-in and each reset
    token_cache: str  # msal's, renewed with each new token


def stored_sign_in(context: Json) -> StoredSignIn:
    """Return the sign-in that stands in an integration context."""
    values = [stored_text(context, key) for key in StoredSignIn._fields]
    return StoredSignIn(*values)


class IntegrationStore:
    """msal's token cache and a pending device code, kept in the integration context.

    What was stored under other settings, or by the vendor's integration, is not used and
    goes with the first write; whatever else stands in the context stays. Each write
    changes only what it is about. Under the Test button the platform has no integration
    context (persistent=False): nothing is read or kept.

    Attributes: known (the sign-in as it was read last), entries and device_flow (what it
    means; where a command has renewed it, what that brought).
    """

    def __init__(
        self, credentials_fingerprint: str, *, persistent: bool = True
    ):
        self.credentials_fingerprint = credentials_fingerprint
        self.persistent = persistent
        self.read()

    # What is kept

    def read(self) -> None:
        """Take over what is stored now, and mask it in the log."""
        context: Json = {}
        if self.persistent:
            context, _ = read_context()

        self.known = stored_sign_in(context)
        is_ours = self.known.binding == self.credentials_fingerprint
        own = context if is_ours else {}
        token_cache = stored_text(own, "token_cache")
        self.entries = read_token_cache(token_cache)
        self.device_flow = read_device_flow(own)
        self.mask_secrets()

    def has_changed(self) -> bool:
        """Read anew, and tell whether another command has renewed the sign-in, reset it
        or completed another one."""
        before = self.known
        self.read()
        return self.known != before

    def mask_secrets(self) -> None:
        """Have the platform's own log hide every token and code."""
        for credential_type in SECRET_TYPES:
            for entry in self.cached(credential_type):
                add_sensitive_log_strs(entry["secret"])
        if self.device_flow:
            add_sensitive_log_strs(self.device_flow["device_code"])

    def cached(self, credential_type: str) -> list[Json]:
        """Return the entries of one type, as msal keeps them."""
        entries = self.entries.get(credential_type, {})
        return list(entries.values())

    def valid_access_tokens(self) -> list[Json]:
        """Return the access tokens that hold for TOKEN_RESERVE."""
        earliest_end = time.time() + TOKEN_RESERVE
        return [
            entry
            for entry in self.cached(ACCESS_TOKEN)
            if int(entry["expires_on"]) > earliest_end
        ]

    def has_account(self) -> bool:
        """Tell whether a person has signed in."""
        return bool(self.cached(SIGNED_IN_ACCOUNT))

    def renewable_cache(self) -> Any:
        """Return a cache of msal's with what is kept to get a new token with."""
        cache = msal_library().SerializableTokenCache()
        for credential_type in RENEWAL_TYPES:
            for entry in self.cached(credential_type):
                cache.modify(credential_type, entry, entry)
        return cache

    def take_over(self, cache: Any) -> str:
        """Hold what a cache of msal's holds; returns its text."""
        text: str = cache.serialize()
        self.entries = json.loads(text)
        return text

    # How it is written

    def update(self, change: Callable[[Json], Json]) -> bool:
        """Mask what is new in the log, and write a change (see update_context)."""
        self.mask_secrets()
        return update_context(change) if self.persistent else False

    def bound(self, context: Json) -> Json:
        """Return a context for these settings: without the sign-in of other settings, and
        without what the vendor's integration left."""
        is_ours = (
            stored_text(context, "binding") == self.credentials_fingerprint
        )
        unused = VENDOR_KEYS if is_ours else VENDOR_KEYS + SECRET_KEYS
        kept = without_keys(context, unused)
        return {**kept, "binding": self.credentials_fingerprint}

    def save_renewal(self, cache: Any) -> None:
        """Write the tokens of a cache of msal's in place of those that they renew; where
        these are no longer the ones stored, write nothing.

        A reset or another sign-in that came between wins. So does another command's
        renewal: its refresh token may be the newest in the store, or have been renewed
        again, and ours comes from an older one. Nothing is lost by dropping ours, since
        Entra keeps the other valid: a refresh token is not revoked by its use
        (https://learn.microsoft.com/entra/identity-platform/refresh-tokens). The tokens
        still serve this command, and so they do where the store is too busy.
        """
        token_cache = self.take_over(cache)

        def renewed(context: Json) -> Json:
            if stored_sign_in(context) != self.known:
                return context
            return {**self.bound(context), "token_cache": token_cache}

        try:
            self.update(renewed)
        except ContextBusyError as error:
            demisto.debug(f"The new token is not stored. {error}")

    def save_device_flow(self, flow: Json) -> None:
        """Write a code in place of an earlier one; who is signed in stays so."""
        self.device_flow = flow
        device_flow = json.dumps(flow)
        self.update(
            lambda context: {**self.bound(context), "device_flow": device_flow}
        )

    def remove_device_flow(self, flow: Json) -> None:
        """Forget a code. One that was begun after it stays."""
        self.update(lambda context: without_device_flow(context, flow))

    def save_sign_in(self, flow: Json, cache: Any) -> bool:
        """Write a completed sign-in, which is in a cache of msal's, in place of the one
        that was read, and forget its code. Returns False, and writes nothing, where
        another one was completed since then, or a reset made."""
        completed = {
            "token_cache": self.take_over(cache),
            "sign_in_id": str(uuid.uuid4()),
        }

        def signed_in(context: Json) -> Json:
            # Tokens that were renewed meanwhile are those of the person before.
            if stored_sign_in(context)[:2] != self.known[:2]:
                return context
            bound = self.bound(context)
            return {**without_device_flow(bound, flow), **completed}

        return self.update(signed_in)

    def clear(self) -> None:
        """Forget everything about signing in. The new id keeps commands under way from
        bringing it back."""
        sign_in_id = str(uuid.uuid4())
        everything = VENDOR_KEYS + SIGN_IN_KEYS
        self.update(
            lambda context: {
                **without_keys(context, everything),
                "sign_in_id": sign_in_id,
            }
        )


def has_scope(granted: list[str], scope: str) -> bool:
    """Tell whether a scope was granted; both in lower case, since case means nothing.
    The login service may answer with its last part only, the permission."""
    _, _, permission = scope.rpartition("/")
    return scope in granted or permission in granted


class Authenticator:
    """Gives access tokens for Graph.

    Its kinds supply `scopes`, as msal takes them, and `acquire`, which asks msal and
    returns msal's answer: a dict with access_token, or with error and its description.
    Kinds without a browser refuse `start` and `complete`.

    Attributes: current_token (of this command), cache (msal's, of the new token).
    """

    # What to do for a permission to reach the token, once it is granted.
    consent_hint = (
        "Once it is granted, run !azure-risky-users-auth-reset, "
        "which drops the stored token."
    )

    def __init__(
        self, settings: Settings, session: HttpSession, store: IntegrationStore
    ):
        self.settings = settings
        self.session = session
        self.store = store
        # A token too short-lived to be taken from the store still serves this command.
        self.current_token: str | None = None
        self.cache: Any = None

    @property
    def delegated(self) -> bool:
        """Whether tokens are a person's (delegated), whose roles count beside the
        permissions."""
        return self.settings.sign_in is SignIn.DEVICE_CODE

    def msal_application(
        self,
        kind: Callable[..., Any],
        tenant: str,
        token_cache: Any = None,
        **options: Any,
    ) -> Any:
        """Return an msal application that uses this session, and the cache of the new
        token unless another is given.

        Building one costs a discovery request, so it is built only for a new token.
        """
        return kind(
            self.settings.client_id,
            authority=f"{self.settings.cloud.login}/{tenant}",
            http_client=self.session,
            # The cloud is known, so its hosts need not be looked up with Microsoft.
            instance_discovery=False,
            token_cache=token_cache or self.cache,
            **options,
        )

    @property
    def scopes(self) -> list[str]:
        raise NotImplementedError

    def acquire(self) -> Json:
        raise NotImplementedError

    def refusal(self, answer: Json) -> SignInError:
        """Make the error that an answer without a token means."""
        return sign_in_error(description_of(answer))

    def ask(self) -> Json:
        """Return what msal answers about a new token."""
        self.cache = self.store.renewable_cache()
        return ask_login(self.acquire)

    def noted_fields(self) -> Json:
        """Return what msal notes of each token that this instance signs in for. The tenant
        is among it where it is given by its id; msal has to ask for the id otherwise."""
        fields = {
            "client_id": self.settings.client_id,
            "environment": self.settings.cloud.login.removeprefix("https://"),
        }
        tenant_id = self.settings.tenant_id
        return {**fields, "realm": tenant_id} if is_guid(tenant_id) else fields

    def account_ids(self) -> set[str | None]:
        """Return the accounts whose token may be used; None is the application itself."""
        return {None}

    def is_own(self, entry: Json) -> bool:
        """Tell whether a stored token is of this instance's client, tenant, cloud and
        account, and has the scopes asked for. So says the fingerprint it was stored under;
        but it is as good as a password, so what msal would look at is looked at too."""
        noted = self.noted_fields()
        same = [
            str(entry.get(name)).lower() == noted[name].lower()
            for name in noted
        ]
        account_id = entry.get("home_account_id", "")
        granted = (entry.get("target") or "").lower().split()
        return (
            all(same)
            and {account_id} == self.account_ids()
            and all(has_scope(granted, scope.lower()) for scope in self.scopes)
        )

    def stored_token(self) -> str | None:
        """Return the store's token, if there is one that is valid and this instance's."""
        for entry in self.store.valid_access_tokens():
            if self.is_own(entry):
                return str(entry["secret"])

        return None

    def other_stored_token(self) -> str | None:
        """Return the store's token where it is valid and not the one in use."""
        token = self.stored_token()
        return None if token == self.current_token else token

    def new_token(self) -> str:
        """Return a new token, and keep it. Raises SignInError: there is none.

        Where the sign-in has ended, another command may have renewed it meanwhile, or a
        person may have signed in anew: then that one counts.
        """
        answer = self.ask()
        if has_ended(answer) and self.store.has_changed():
            token = self.other_stored_token()
            if token:
                return token
            answer = self.ask()

        if "access_token" not in answer:
            raise self.refusal(answer)
        if not is_plain_text(answer["access_token"]):
            raise sign_in_error(NOT_THE_LOGIN_SERVICE)

        self.store.save_renewal(self.cache)
        return str(answer["access_token"])

    def renew(self) -> str:
        """Return another token than the one in use: the one that another command has
        stored meanwhile, else a new one. Raises SignInError: there is none."""
        self.store.read()
        self.current_token = self.other_stored_token() or self.new_token()
        return self.current_token

    def token(self) -> str:
        """Return a token: the stored one while it is valid, without any request,
        otherwise a new one. Raises SignInError: there is none to be had."""
        if not self.current_token:
            self.current_token = self.stored_token()
        return self.current_token or self.renew()

    def token_permissions(self) -> set[str] | None:
        """Return the permissions in the token's own claims; None for an opaque token."""
        claims = token_claims(self.token())
        if claims is None:
            return None

        roles = claims.get("roles")
        application = map(str, roles) if isinstance(roles, list) else ()
        delegated = str(claims.get("scp", "")).split()
        return {*application, *delegated}

    def start(self) -> Json:
        raise self.not_interactive()

    def complete(self) -> None:
        raise self.not_interactive()

    def not_interactive(self) -> SettingsError:
        """Make the error for commands that only a sign-in with a browser has."""
        return SettingsError(
            f"This instance signs in with {self.settings.sign_in.value}, which needs no "
            "!azure-risky-users-auth-start or !azure-risky-users-auth-complete. "
            "Nothing was changed."
        )


def check_private_key(pem: str) -> None:
    """Raise SettingsError unless msal can sign with this key; msal's own errors would not
    name the setting."""
    # Imported here, because it takes long and only certificates need it.
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import (
        load_pem_private_key,
    )

    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (TypeError, ValueError):
        key = None

    if not isinstance(key, RSAPrivateKey):
        raise SettingsError(
            "Private Key cannot be used. "
            "It has to be an RSA key in PEM form without a passphrase."
        )


class ClientCredentials(Authenticator):
    """The application signs in as itself, with its secret or its certificate."""

    @property
    def scopes(self) -> list[str]:
        return [f"{self.settings.cloud.graph}/.default"]

    def acquire(self) -> Json:
        if self.settings.has_certificate:
            check_private_key(self.settings.private_key)

        application = self.msal_application(
            msal_library().ConfidentialClientApplication,
            self.settings.tenant_id,
            client_credential=self.settings.client_credential,
            # msal would otherwise let an environment variable choose another login host.
            azure_region=False,
        )
        answer: Json = application.acquire_token_for_client(self.scopes)
        return answer


READ_DETECTIONS = "IdentityRiskEvent.Read.All"
READ_USERS = "IdentityRiskyUser.Read.All"
WRITE_USERS = "IdentityRiskyUser.ReadWrite.All"
WRITE_PRINCIPALS = "IdentityRiskyServicePrincipal.ReadWrite.All"
READ_PERMISSIONS = (READ_DETECTIONS, READ_USERS)
RESPONSE_PERMISSIONS = (WRITE_USERS, WRITE_PRINCIPALS)
SIGN_IN_ANEW = "Run !azure-risky-users-auth-start to sign in."
NOBODY = f"Nobody has signed in for this instance yet. {SIGN_IN_ANEW}"
NOT_KEPT = (
    "The sign-in was not kept: it was reset, or the settings were changed, before it was "
    f"complete. {SIGN_IN_ANEW}"
)
DECLINED = f"The sign-in was declined in the browser. {SIGN_IN_ANEW}"

TOO_LATE = (
    f"The code has expired before the sign-in was finished. {SIGN_IN_ANEW}"
)

PENDING_ANSWERS = {
    "authorization_pending": (
        "The sign-in is not finished yet. Enter the code on the page that "
        "!azure-risky-users-auth-start named, then run !azure-risky-users-auth-complete "
        "again."
    ),
    "slow_down": (
        "The sign-in is not finished yet, and the login service asks for patience. Wait ten "
        "seconds, then run !azure-risky-users-auth-complete again."
    ),
}

FINAL_ANSWERS = {
    "authorization_declined": DECLINED,
    "access_denied": DECLINED,
    "expired_token": TOO_LATE,
    "code_expired": TOO_LATE,
}


def check_lasting(cache: Any) -> None:
    """Raise SignInError unless the sign-in in a cache of msal's names a person and can be
    renewed. It would otherwise take the place of one that can."""
    stored = read_token_cache(cache.serialize())
    for credential_type in LASTING_TYPES:
        if not stored.get(credential_type):
            raise sign_in_error(NOT_THE_LOGIN_SERVICE)


class DeviceCode(Authenticator):
    """A person signs in with a browser; the refresh token is kept for later commands.

    Source: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code
    """

    consent_hint = (
        f"Once it is granted: {SIGN_IN_ANEW} What changes risk, and service principals, "
        "need 'Allow response commands' in the instance before."
    )

    @property
    def scopes(self) -> list[str]:
        """The delegated permissions asked for; msal adds offline_access, which brings the
        refresh token."""
        response = RESPONSE_PERMISSIONS if self.settings.allow_response else ()
        permissions = READ_PERMISSIONS + response
        return [
            f"{self.settings.cloud.graph}/{permission}"
            for permission in permissions
        ]

    def public_application(self, **options: Any) -> Any:
        tenant = self.settings.tenant_id or "organizations"
        return self.msal_application(
            msal_library().PublicClientApplication, tenant, **options
        )

    def account_ids(self) -> set[str | None]:
        """Return the accounts that have signed in to this cloud."""
        environment = self.noted_fields()["environment"]
        return {
            account.get("home_account_id")
            for account in self.store.cached(SIGNED_IN_ACCOUNT)
            if account.get("environment") == environment
        }

    def acquire(self) -> Json:
        if not self.store.has_account():
            raise SignInError(NOBODY)

        application = self.public_application()
        # Only those of this cloud.
        accounts = application.get_accounts()
        if not accounts:
            raise SignInError(NOBODY)

        answer = application.acquire_token_silent_with_error(
            self.scopes, accounts[0]
        )
        return answer or {}

    def refusal(self, answer: Json) -> SignInError:
        advice = ""
        if has_ended(answer):
            advice = f"The sign-in has ended. {SIGN_IN_ANEW}"
        return sign_in_error(description_of(answer), advice)

    def start(self) -> Json:
        """Ask for a code to enter in the browser, and keep it. Returns msal's flow:
        user_code, verification_uri and more."""
        flow = ask_login(
            lambda: self.public_application().initiate_device_flow(self.scopes)
        )
        if not is_device_flow(flow):
            raise sign_in_error(description_of(flow) or NOT_THE_LOGIN_SERVICE)

        self.store.save_device_flow(flow)
        return flow

    def poll_once(self, flow: Json, cache: Any) -> Json:
        """Ask whether the person has finished. Returns msal's answer."""
        application = self.public_application(token_cache=cache)
        # msal would ask without end if it were told to wait 0 seconds between.
        code = {"device_code": flow["device_code"], "interval": 1}
        answer: Json = application.acquire_token_by_device_flow(
            code,
            exit_condition=lambda _: True,  # One round only.
        )
        return answer

    def keep(self, flow: Json, cache: Any) -> None:
        """Store a completed sign-in, unless another command has completed one since.
        Raises SignInError: a reset, or a change of the settings, came between."""
        if self.store.save_sign_in(flow, cache):
            return

        # Another command came first: one that completed a sign-in too, or a reset.
        self.store.read()
        if not self.store.has_account():
            raise SignInError(NOT_KEPT)

    def was_completed_elsewhere(self, looks: int) -> bool:
        """Tell whether another command has completed a sign-in since this one began,
        looking so many times, a second apart."""
        known_id = self.store.known.sign_in_id
        for look in range(looks):
            if look:
                time.sleep(1)
            self.store.read()
            if self.store.known.sign_in_id != known_id:
                return self.store.has_account()

        return False

    def complete(self) -> None:
        """Take over the sign-in if the person has finished.

        Raises SignInError: the person has not, and why not.
        """
        flow = self.store.device_flow
        if not flow:
            raise SignInError(f"No sign-in has been started. {SIGN_IN_ANEW}")

        # A cache of its own: who was signed in before is forgotten on success only.
        cache = msal_library().SerializableTokenCache()
        answer = ask_login(lambda: self.poll_once(flow, cache))
        if "access_token" in answer:
            check_lasting(cache)
            self.keep(flow, cache)
            return

        error = str(answer.get("error"))
        if error in PENDING_ANSWERS:
            raise SignInError(PENDING_ANSWERS[error])
        # A code brings tokens once only, and the command that got them may not have
        # stored them yet.
        looks = COMPLETION_LOOKS if has_ended(answer) else 1
        if self.was_completed_elsewhere(looks):
            return

        self.store.remove_device_flow(flow)
        advice = FINAL_ANSWERS.get(error, SIGN_IN_ANEW)
        raise sign_in_error(description_of(answer), advice)


class ManagedIdentity(Authenticator):
    """The Azure machine that runs the integration signs in as itself; no proxy may stand
    between.

    Source: https://learn.microsoft.com/entra/identity/managed-identities-azure-resources,
    "How to use managed identities on an Azure VM to acquire an access token".
    """

    @property
    def scopes(self) -> list[str]:
        """What Entra calls the resource."""
        return [self.settings.cloud.graph]

    def noted_fields(self) -> Json:
        """Return the identity that is named. For the machine's own, and for tenant and
        cloud of both, msal notes words of its own."""
        client_id = self.settings.managed_identity_client_id
        return {"client_id": client_id} if client_id else {}

    def acquire(self) -> Json:
        session = HttpSession(
            timeout=IDENTITY_TIMEOUT,
            connect_retries=0,
            period=self.session.time_left(),
        )
        session.trust_env = False
        client = msal_library().ManagedIdentityClient(
            self.identity(), http_client=session, token_cache=self.cache
        )
        [graph] = self.scopes
        try:
            answer: Json = client.acquire_token_for_client(resource=graph)
        except (requests.RequestException, ValueError) as error:
            # ValueError: what answered sent no JSON, such as the metadata service of
            # another provider, or a web page.
            raise SignInError(
                "No managed identity answered. This sign-in type works only where the "
                "integration runs on an Azure resource that has a managed identity "
                f"({type(error).__name__})."
            ) from None

        return answer

    def identity(self) -> Any:
        """Return the identity that is meant: the machine's own, unless one is named."""
        client_id = self.settings.managed_identity_client_id
        if not client_id:
            return msal_library().SystemAssignedManagedIdentity()
        return msal_library().UserAssignedManagedIdentity(client_id=client_id)

    def refusal(self, answer: Json) -> SignInError:
        return sign_in_error(
            description_of(answer),
            "Check that this managed identity is assigned to the machine of the integration.",
        )


AUTHENTICATORS = {
    SignIn.CLIENT_CREDENTIALS: ClientCredentials,
    SignIn.DEVICE_CODE: DeviceCode,
    SignIn.MANAGED_IDENTITY: ManagedIdentity,
}


# ==== OData ===================================================================
#
# From the arguments of a command to texts of $filter.


MAX_COMPARISONS = 15  # in one $filter, Graph's usual bound


class Comparison(NamedTuple):
    """One comparison of a $filter, with the literal as OData writes it."""

    property_name: str
    operator: str
    literal: str

    def text(self) -> str:
        return f"{self.property_name} {self.operator} {self.literal}"


def itself(_: str, value: Any) -> list[Any]:
    """Return the one value that a value means."""
    return [value]


class Filter(NamedTuple):
    """How one command argument becomes comparisons of $filter.

    read_literal: reads one value. empty_is_error: whether '' is refused. An empty user id
    is mostly a look-up of a playbook that found nothing, and left out it would list
    everybody; an empty choice means "any". meanings: gives the values that one in an
    analyst's words means, and raises ArgumentError under the argument's name. default:
    what is asked for where nothing is given.
    """

    property_name: str
    operator: str
    read_literal: Reader
    empty_is_error: bool = False
    meanings: Callable[[str, Any], list[Any]] = itself
    default: str = ""

    def asked(self, args: Args, name: str) -> Any:
        """Return the value that is asked for; None for none."""
        value = args.get(name)
        if self.empty_is_error or given(args, name):
            return value
        return self.default or None

    def values(self, value: Any) -> list[Any]:
        """Return the values of an argument. Only "eq" takes several: a bound is one
        moment, since of two that are joined by "or" the wider one always wins."""
        return argToList(value) if self.operator == "eq" else [value]

    def comparisons(self, name: str, value: Any) -> list[Comparison]:
        """Return the comparisons of which any has to hold."""
        values = self.values(value)
        if not values:
            raise ArgumentError(name, value, "at least one value")

        literals = [
            self.read_literal(name, meaning)
            for each in values
            for meaning in self.meanings(name, each)
        ]
        return [
            Comparison(self.property_name, self.operator, literal)
            for literal in dict.fromkeys(literals)
        ]


# The comparisons of each argument that is given; of one argument, any has to hold.
Conditions = dict[str, list[Comparison]]


def text_literal(name: str, value: Any) -> str:
    """Return any text as an OData string."""
    escaped = text_value(name, value).replace("'", "''")
    return f"'{escaped}'"


def id_literal(name: str, value: Any) -> str:
    """Return an id as an OData string."""
    return f"'{object_id(name, value)}'"


def lower_case_literal(name: str, value: Any) -> str:
    """Return a text as an OData string in lower case."""
    return text_literal(name, value).lower()


def address_text(text: str) -> str:
    """Return an IP address in the one form that it has as a text: one of version 4 without
    the prefix with which some logs write it as one of version 6.

    Raises ValueError: it is none, or has a zone, which only one machine understands.
    """
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.scope_id:
        raise ValueError("an address with a zone")
    return str(address.ipv4_mapped or address)


def address_literal(name: str, value: Any) -> str:
    """Return an IP address as an OData string."""
    text = text_value(name, value)
    try:
        address = address_text(text)
    except ValueError:
        accepted = "IP addresses such as 203.0.113.7 or 2001:db8::7"
        raise ArgumentError(name, value, accepted) from None
    return f"'{address}'"


def country_literal(name: str, value: Any) -> str:
    """Return a country's code as an OData string, in capitals."""
    text = text_value(name, value)
    if not re.fullmatch("[A-Za-z]{2}", text):
        raise ArgumentError(name, value, "codes of two letters, such as NL")
    return f"'{text.upper()}'"


def text_filter(property_name: str) -> Filter:
    return Filter(property_name, "eq", text_literal, empty_is_error=True)


def id_filter(property_name: str) -> Filter:
    return Filter(property_name, "eq", id_literal, empty_is_error=True)


def event_type_filter(property_name: str) -> Filter:
    return text_filter(property_name)._replace(meanings=event_types)


def enum_filter(property_name: str, members: Iterable[str]) -> Filter:
    read = one_of(members)
    return Filter(
        property_name, "eq", lambda name, value: f"'{read(name, value)}'"
    )


class Bound(NamedTuple):
    """One end of a window of time, and the argument that gave it."""

    argument: str
    literal: str


def find_bound(conditions: Conditions, *operators: str) -> Bound | None:
    for argument, comparisons in conditions.items():
        if comparisons[0].operator in operators:
            return Bound(argument, comparisons[0].literal)

    return None


def refuse_empty_window(conditions: Conditions) -> None:
    """Raise ArgumentError where the moment to begin with is not before the one to end
    with."""
    start = find_bound(conditions, "ge")
    end = find_bound(conditions, "lt", "le")
    if not start or not end:
        return
    if instant(start.literal) < instant(end.literal):
        return

    accepted = f'a moment before {end.argument}="{end.literal}"'
    raise ArgumentError(start.argument, start.literal, accepted)


def batches(items: list[Any], size: int) -> list[list[Any]]:
    """Return a list in pieces of at most `size`."""
    starts = range(0, len(items), size)
    return [items[start : start + size] for start in starts]


def split_longest(conditions: Conditions, asked: Args) -> list[Conditions]:
    """Split the longest list of values so that each part fits one request; there is
    always at least one part, if only an empty one. Raises ArgumentError: the others alone
    do not fit; asked holds the values, given or by default."""
    if not conditions:
        return [{}]

    counts = {name: len(each) for name, each in conditions.items()}
    longest = max(counts, key=counts.__getitem__)
    others = sum(counts.values()) - counts[longest]
    if others >= MAX_COMPARISONS:
        accepted = (
            f"at most {MAX_COMPARISONS - 1} values in the other arguments, which now "
            f"have {others}"
        )
        raise ArgumentError(longest, asked[longest], accepted)

    parts = batches(conditions[longest], MAX_COMPARISONS - others)
    return [{**conditions, longest: part} for part in parts]


def any_of(comparisons: list[Comparison]) -> str:
    """Return the clause that holds where any of the comparisons does."""
    texts = [comparison.text() for comparison in comparisons]
    if len(texts) == 1:
        return texts[0]
    return f"({' or '.join(texts)})"


def all_of(conditions: Conditions) -> str:
    """Return the $filter that holds where every argument's clause does."""
    clauses = [any_of(comparisons) for comparisons in conditions.values()]
    return " and ".join(clauses)


def build_filters(filters: dict[str, Filter], args: Args) -> list[str]:
    """Return the $filter texts that the arguments ask for; [''] for none.

    Where the values do not fit one request there are several: their rows together are the
    answer. Raises ArgumentError: an argument cannot be read, two contradict each other,
    or two lists are too long together.
    """
    asked: Args = {}
    conditions: Conditions = {}
    for name, each in filters.items():
        value = each.asked(args, name)
        if value is not None:
            asked[name] = value
            conditions[name] = each.comparisons(name, value)

    refuse_empty_window(conditions)
    return [all_of(part) for part in split_longest(conditions, asked)]


# ==== Graph client ============================================================
#
# First the types that describe a collection, then the client that reads and changes one:
# it paces requests, follows pages, and says what to do about a refusal.


GRAPH_VERSION = "v1.0"
MAX_PAGE_SIZE = 500  # rows; Graph's upper bound of $top for most collections
# Seconds in which pages are read and batches submitted; the platform ends a command after
# 300.
PAGING_PERIOD = 240
# Seconds in which a request is repeated whose answer a command can do without.
HURRY_PERIOD = 15
READ_ROLES = "Security Reader, Security Operator, Security Administrator or Global Reader"
WRITE_ROLE = "Security Administrator"
OUT_OF_ORDER = "Graph is out of order. Try again later."

ADVICE = {
    401: (
        "A new token was refused too. "
        "Check that application, tenant and cloud belong together."
    ),
    500: OUT_OF_ORDER,
    502: OUT_OF_ORDER,
    503: OUT_OF_ORDER,
    504: OUT_OF_ORDER,
}


ONE_A_SECOND_FOR_ALL = (
    "Graph allows one request a second for the whole tenant, shared by all its "
    "applications. Try again later."
)


class GraphPermissions(NamedTuple):
    """What Graph wants of a caller, by its own names
    (https://learn.microsoft.com/graph/permissions-reference).

    delegated_write: what a person needs in place of `write`, where it is another.
    write_includes_read: whether Graph lets the write permission read as well. higher:
    others that it lets read. beside: what it has been seen to want beside `read`.
    """

    read: str
    write: str = ""
    licence: str = ""
    write_includes_read: bool = False
    higher: tuple[str, ...] = ()
    delegated_write: str = ""
    beside: str = ""

    def for_person(self) -> "GraphPermissions":
        """Return what Graph wants of a person who is signed in."""
        return self._replace(write=self.delegated_write or self.write)

    def hint(self, *, write: bool) -> str:
        """Say what else may be missing where Graph refuses all the same."""
        if write or not self.beside:
            return ""
        return f"Some tenants need {self.beside} too."

    def needed(self, *, write: bool) -> str:
        """Return the permission to ask an administrator for."""
        return self.write if write else self.read

    def sufficient(self, *, write: bool) -> set[str]:
        """Return the permissions of which any one is enough."""
        if write:
            return {self.write}
        if self.write_includes_read:
            return {self.read, self.write, *self.higher}
        return {self.read, *self.higher}


MAX_NESTING = 20  # levels of an object, more than Graph's own have
TOO_DEEP = "(nested too deeply)"


def well_formed(text: str) -> str:
    """Return a text with every half of a surrogate pair as an escape: no encoding holds
    one."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def strict(value: Any, levels: int = MAX_NESTING) -> Any:
    """Return a value of JSON as every reader of JSON takes it.

    NaN and infinities become text, halves of surrogate pairs escapes, and what is nested
    deeper than so many levels TOO_DEEP.
    """
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if not isinstance(value, (dict, list)):
        return value
    if not levels:
        return TOO_DEEP

    below = levels - 1
    if isinstance(value, list):
        return [strict(each, below) for each in value]
    return {
        well_formed(name): strict(each, below) for name, each in value.items()
    }


def without_annotations(row: Row) -> Row:
    """Return Graph's own properties of an object, without OData's."""
    return {name: value for name, value in row.items() if "@odata." not in name}


class Resource(NamedTuple):
    """One collection of Graph's: what Graph understands there, and how the war room shows
    it."""

    path: str  # with {} where the id of its objects' owner goes
    noun: str  # in the singular
    permissions: GraphPermissions
    # Its name in context, below AzureRiskyUsers; '' for one that is only looked up in.
    context: str = ""
    list_title: str = ""
    columns: tuple[str, ...] = ()
    properties: tuple[str, ...] = ()  # asked for; none for all
    item_title: str = ""
    item_columns: tuple[str, ...] = ()  # where they are not those of the list
    filters: dict[str, Filter] = {}  # by argument
    orders: tuple[str, ...] = ()  # accepted for order_by; Graph may refuse them
    # Sent unasked; '' where nothing shows that Graph can order.
    default_order: str = ""
    key: tuple[str, ...] = ("id",)  # what tells its objects apart in context
    # The query options that Graph understands there.
    options: tuple[str, ...] = ("$filter", "$orderby", "$top")
    largest_page: int = MAX_PAGE_SIZE  # rows
    # Of the filters, those that Graph is not trusted with: each row of a list has to bear one
    # of the values that were asked for.
    checked_filters: tuple[str, ...] = ()
    # Of the filters, those whose defaults hold where objects are looked up by another one.
    lookup_filters: tuple[str, ...] = ()
    absence: str = ""  # why an ID may be unknown though it exists
    refused_filter: str = ""  # why a $filter may be refused (400)
    too_often: str = (
        ONE_A_SECOND_FOR_ALL  # what a refusal for that reason tells
    )
    owner: str = ""  # the property that says whose object it is
    owner_noun: str = ""
    # Shapes an object of Graph's for context, and one of context for the table.
    to_context: Callable[[Row], Row] = without_annotations
    to_table: Callable[[Row], Row] = dict
    numbered_pages: bool = False  # whether the heading tells page and size

    def for_owner(self, owner_id: str) -> "Resource":
        """Return the collection of one owner's objects, shaped as before, each with the
        owner's id.

        Raises ArgumentError: the id cannot be part of a path.
        """
        path = self.path.format(object_id("id", owner_id))
        owned = {self.owner: owner_id}
        return self._replace(
            path=path, to_context=lambda row: {**self.to_context(row), **owned}
        )


class Page(NamedTuple):
    """One answer of a list: rows as they go to context, and the address of the rest (''
    on the last page). `failure` (why no more could be read) is set in the section on
    lists."""

    rows: list[Row]
    next_link: str
    failure: RequestError | None = None


def error_details(answer: Json) -> Json:
    """Return code and message of Graph's error; {} where there is none."""
    error = answer.get("error")
    return error if isinstance(error, dict) else {}


LONGEST_HEADER = 200  # characters shown of one
LONGEST_MESSAGE = 1_000  # characters shown of one


def shown_header(response: requests.Response, name: str, missing: str) -> str:
    """Return the start of a header's value, with ? for what cannot be printed."""
    value = response.headers.get(name)
    if value is None:
        return missing

    start = value[:LONGEST_HEADER]
    return "".join(
        character if character.isprintable() else "?" for character in start
    )


def error_text(details: Json, name: str, missing: str) -> str:
    """Return a text of Graph's error. Older services of Microsoft send an object with the
    text as its value."""
    value = details.get(name)
    if isinstance(value, dict):
        value = value.get("value")
    if not isinstance(value, str):
        return missing
    return value[:LONGEST_MESSAGE] or missing


def retry_after_advice(response: requests.Response) -> str:
    seconds = shown_header(response, "Retry-After", "")
    return f"Retry-After: {seconds}." if seconds else ""


def objects_among(values: list[Any], noun: str) -> list[Row]:
    """Return the objects of a page; what is none is left out, which the log says."""
    rows = [value for value in values if isinstance(value, dict)]
    left_out = len(values) - len(rows)
    if left_out:
        demisto.info(
            f"[Graph] Of a page of {len(values)}, {left_out} were left out that are no "
            f"{noun}, not even an object."
        )

    return rows


SOMETHING_BETWEEN = (
    "A gateway, a proxy or a sign-in page of the network may stand between."
)


def described_answer(response: requests.Response) -> str:
    """Return what an error tells of an answer that it does not quote: status and type."""
    kind = shown_header(response, "Content-Type", "nothing")
    return f"{response.status_code}, {kind}"


def finite_number(text: str) -> float | None:
    """Return a number; None for one that is too large for a float."""
    number = float(text)
    return number if math.isfinite(number) else None


def whole_number_or_none(digits: str) -> int | None:
    """Return a whole number; None where Python refuses one of so many digits."""
    try:
        return int(digits)
    except ValueError:
        return None


def parsed_json(response: requests.Response) -> Any:
    """Return the JSON of an answer, with null for numbers that JSON cannot hold: the
    platform could not send them on. Raises ValueError, RecursionError: it cannot be read."""
    return response.json(
        parse_int=whole_number_or_none,
        parse_float=finite_number,
        parse_constant=lambda _: None,
    )


def json_object(response: requests.Response) -> Json:
    """Return the JSON object of an answer. Raises GraphError: it is none, as when a
    gateway answers in HTML."""
    try:
        answer = parsed_json(response)
    except RecursionError:
        raise GraphError(
            "What Graph answered is nested too deeply to be read."
        ) from None
    except ValueError:
        answer = None

    if isinstance(answer, dict):
        return answer

    raise GraphError(
        f"Graph was not reached: what answered ({described_answer(response)}) is no JSON object. "
        f"{SOMETHING_BETWEEN}"
    )


def refused_answer(response: requests.Response) -> Json:
    """Return the JSON object of a refusal, {} for one without a body. Raises GraphError:
    it comes from something that stands between."""
    return json_object(response) if response.content else {}


def is_among(value: Any, in_lower_case: set[str]) -> bool:
    """Tell whether a text of Graph's is one of some texts, whatever its case; no value at
    all is none of them."""
    # Not casefold, which takes strasse for straße: another account.
    return isinstance(value, str) and value.lower() in in_lower_case


def check_rows(
    resource: Resource,
    rows: list[Row],
    property_name: str,
    values: Iterable[str],
) -> None:
    """Raise GraphError unless every object has one of the values that were asked for.

    A looser comparison of Graph's, or a filter that was lost on the way, would otherwise
    lead to somebody whom nobody named.
    """
    in_lower_case = {value.lower() for value in values}
    for row in rows:
        if not is_among(row.get(property_name), in_lower_case):
            raise GraphError(
                f"Graph answered with another {resource.noun} than was asked for: its "
                f"{property_name} is none of those that were named. The answer is not used."
            )


# Seconds from one request to the next, each from and to. What keeps several commands from
# asking at the same moments again and again is chance.
PACE = (1.05, 1.3)
SHARED_PACE = (2.4, 2.6)
FIRST_BACK_OFF = (1.05, 1.5)
LATER_BACK_OFF = (1.5, 2.2)
SHARED_TURNS = 8  # requests
ONE_A_SECOND = "Graph allows one request a second"


def was_repeated(response: requests.Response) -> bool:
    """Tell whether the session sent this request more than once. urllib3 keeps the
    attempts on the answer."""
    retries = getattr(response.raw, "retries", None)
    return bool(getattr(retries, "history", ()))


class Pacer:
    """Says when the next request to Graph may leave.

    The service allows one request a second for the whole tenant, mostly names no time to
    wait and counts the requests it refuses
    (https://learn.microsoft.com/graph/throttling-limits). Requests are sent at once until
    the first refusal for that reason, and a second apart from then on. A refusal that
    comes all the same tells that others ask too: for some requests, every other second is
    left to them. Otherwise the first of two commands would take every one.

    latest_start: a value of time.monotonic(), after which no request is repeated.
    """

    def __init__(self, latest_start: float):
        self.latest_start = latest_start
        self.start = float("-inf")  # of the last request
        self.next_start = float("-inf")
        self.is_pacing = False
        self.refusals = 0  # in a row
        self.shared_turns = 0  # to come

    def note(self, *, refused: bool) -> None:
        """Count an answer."""
        if not refused:
            self.refusals = 0
            self.shared_turns = max(self.shared_turns - 1, 0)
            return

        if self.is_pacing:
            self.shared_turns = SHARED_TURNS
        self.is_pacing = True
        self.refusals += 1

    def interval(self) -> float:
        """Return the seconds from the last request to the next."""
        if self.refusals > 1:
            return random.uniform(*LATER_BACK_OFF)
        if self.refusals:
            return random.uniform(*FIRST_BACK_OFF)
        if self.shared_turns:
            return random.uniform(*SHARED_PACE)
        if self.is_pacing:
            return random.uniform(*PACE)
        return 0

    def has_to_repeat(self, response: requests.Response) -> bool:
        """Take in an answer; tell whether its request is to be sent again. One that asks
        for a longer wait than there is time for is final."""
        refused = response.status_code == TOO_MANY_REQUESTS
        self.note(refused=refused)
        now = time.monotonic()
        start = now if was_repeated(response) else self.start
        self.next_start = start + self.interval()
        if not refused:
            return False

        asked = retry_after(response)
        repetition = now + asked if asked else self.next_start
        if repetition > self.latest_start:
            return False

        self.next_start = repetition
        return True

    def await_turn(self) -> None:
        """Wait until the next request may leave."""
        pause(self.next_start - time.monotonic(), ONE_A_SECOND)
        self.start = time.monotonic()


class GraphClient:
    """Reads and changes the collections of Graph, one request at a time.

    Its methods raise GraphError where Graph refuses, is not reached or answers something
    that is not Graph's, and SignInError where there is no token.
    """

    def __init__(
        self, session: HttpSession, authenticator: Authenticator, graph_url: str
    ):
        self.session = session
        self.authenticator = authenticator
        self.base_url = f"{graph_url}/{GRAPH_VERSION}"
        self.pacer = Pacer(session.started + PAGING_PERIOD)

    @contextlib.contextmanager
    def hurry(self) -> Iterator[None]:
        """Give up soon, within the block, on what Graph refuses for coming too often: the
        time is left to what the command is for."""
        latest_start = self.pacer.latest_start
        soon = time.monotonic() + HURRY_PERIOD
        self.pacer.latest_start = min(soon, latest_start)
        try:
            yield
        finally:
            self.pacer.latest_start = latest_start

    def collection_url(self, resource: Resource) -> str:
        return f"{self.base_url}/{resource.path}"

    def send_once(
        self, method: str, url: str, token: str, content: Json
    ) -> requests.Response:
        """Return the answer to a request, sent when it is its turn."""
        # Prefer keeps Graph from replacing newer enum members by unknownFutureValue
        # (https://learn.microsoft.com/graph/best-practices-concept). Links to next pages
        # do not carry it.
        headers = {
            "Accept": "application/json",
            "Prefer": "include-unknown-enum-members",
            "client-request-id": str(uuid.uuid4()),
        }
        auth = BearerAuth(token)

        self.pacer.await_turn()
        try:
            return self.session.request(
                method, url, headers=headers, auth=auth, **content
            )
        except requests.RequestException as error:
            fault = network_fault(error)
            # None: the error quotes the URL, whose $filter may hold a name.
            raise GraphError(fault, was_sent=was_sent(error)) from None

    def send(
        self, method: str, url: str, token: str, content: Json
    ) -> requests.Response:
        """Return the answer to a request, which is sent again while Graph refuses it for
        coming too often and there is time."""
        response = self.send_once(method, url, token, content)
        while self.pacer.has_to_repeat(response):
            response = self.send_once(method, url, token, content)
        return response

    def send_authorized(
        self, method: str, url: str, **content: Any
    ) -> requests.Response:
        """Return the answer to a signed request; a token that is refused is renewed once."""
        token = self.authenticator.token()
        response = self.send(method, url, token, content)
        if response.status_code != 401:
            return response

        new_token = self.authenticator.renew()
        return self.send(method, url, new_token, content)

    def permissions_of(self, resource: Resource) -> GraphPermissions:
        """Return what Graph wants of this caller: an application, or a person."""
        if self.authenticator.delegated:
            return resource.permissions.for_person()
        return resource.permissions

    def missing_permission(self, resource: Resource, *, write: bool) -> str:
        """Say which permission to add."""
        permissions = self.permissions_of(resource)
        kind = "delegated" if self.authenticator.delegated else "application"
        return (
            f"Permission missing: the application needs the {kind} permission "
            f"{permissions.needed(write=write)}, with admin consent. "
            f"{self.authenticator.consent_hint}"
        )

    def lacks_permission(self, resource: Resource, *, write: bool) -> bool:
        """Tell whether the token's own claims show that it lacks what is needed. An
        opaque token shows nothing."""
        granted = self.authenticator.token_permissions()
        if granted is None:
            return False
        permissions = self.permissions_of(resource)
        return not granted & permissions.sufficient(write=write)

    def explain_held(
        self, permissions: GraphPermissions, *, write: bool
    ) -> str:
        """Say which permission a refused application holds."""
        granted = self.authenticator.token_permissions() or set()
        sufficient = permissions.sufficient(write=write)
        held, *_ = sorted(granted & sufficient)
        text = f"The token does hold the permission {held}; Graph says no more."
        if permissions.beside in granted:
            return text

        return joined_sentences(text, permissions.hint(write=write))

    def explain_forbidden(
        self, message: str, resource: Resource, *, write: bool
    ) -> str:
        """Say which cause a 403 has: licence, permission, or the role of the person
        signed in. Graph's own message tells only the first."""
        permissions = self.permissions_of(resource)
        lower = message.lower()
        tells_licence = "licen" in lower or "premium" in lower
        if tells_licence and permissions.licence:
            missing = (
                f"Licence missing: the tenant needs {permissions.licence}."
            )
            return joined_sentences(missing, permissions.hint(write=write))
        if self.lacks_permission(resource, write=write):
            return self.missing_permission(resource, write=write)
        if self.authenticator.delegated:
            roles = WRITE_ROLE if write else READ_ROLES
            return f"Role missing: the person who signed in needs the role {roles}."

        # An opaque token tells nothing, and a missing permission is the usual cause.
        if self.authenticator.token_permissions() is None:
            return self.missing_permission(resource, write=write)
        return self.explain_held(permissions, write=write)

    def advice(
        self, status: int, message: str, resource: Resource, *, write: bool
    ) -> str:
        """Say what to do about a refusal; '' where Graph's own message has to suffice."""
        if status == 403:
            return self.explain_forbidden(message, resource, write=write)
        if status == TOO_MANY_REQUESTS:
            return resource.too_often
        if status == 400 and "filter" in message.lower():
            return resource.refused_filter
        return ADVICE.get(status, "")

    def refusal(
        self,
        response: requests.Response,
        answer: Json,
        resource: Resource,
        *,
        write: bool,
    ) -> GraphError:
        """Make the error for a refusal: Graph's code, message and request id, what to do."""
        details = error_details(answer)
        code = error_text(details, "code", "no code")
        message = error_text(details, "message", "no message.")

        status = response.status_code
        advice = self.advice(status, message, resource, write=write)
        wait_advice = retry_after_advice(response)
        words = joined_sentences(message, advice, wait_advice)

        request_id = shown_header(response, "request-id", "unknown")
        text = f"Graph answered {status} {code}: {words}"
        summary = joined_sentences(advice or message, wait_advice)
        return GraphError(f"{text} (request-id {request_id})", status, summary)

    def get(
        self, resource: Resource, url: str, query: Json | None = None
    ) -> Json:
        """Return the object that Graph answers."""
        response = self.send_authorized("GET", url, params=query)
        if response.ok:
            return json_object(response)

        answer = refused_answer(response)
        raise self.refusal(response, answer, resource, write=False)

    def get_item(self, resource: Resource, item_id: str) -> Row:
        """Return one object as it goes to context."""
        segment = object_id("id", item_id)
        url = f"{self.collection_url(resource)}/{segment}"
        row = self.get(resource, url)
        check_rows(resource, [row], "id", [item_id])
        return resource.to_context(strict(row))

    def read_page(self, resource: Resource, answer: Json) -> Page:
        """Return the page in an answer, its rows as they go to context."""
        values: Any = answer.get("value")
        if not isinstance(values, list):
            raise GraphError(
                f"Graph's answer holds no list of {resource.noun}s."
            )

        next_link = answer.get("@odata.nextLink")
        rows = objects_among(values, resource.noun)
        shaped = [resource.to_context(strict(row)) for row in rows]
        return Page(shaped, str(next_link or ""))

    def first_page(self, resource: Resource, query: Json) -> Page:
        """Return the first page of a list."""
        answer = self.get(resource, self.collection_url(resource), query)
        return self.read_page(resource, answer)

    def leads_into(self, resource: Resource, link: str) -> bool:
        """Tell whether a link asks for a page of this collection, on this Graph, by
        https."""
        prefix = f"{self.collection_url(resource)}?"
        return link.lower().startswith(prefix.lower())

    def next_page(self, resource: Resource, next_link: str) -> Page:
        """Return the page a link leads to, which is sent as it was given: one that was
        rewritten may skip rows."""
        if not self.leads_into(resource, next_link):
            collection = self.collection_url(resource)
            raise GraphError(
                f"Graph's link to the next page leads away from {collection}."
            )

        return self.read_page(resource, self.get(resource, next_link))

    def is_late(self) -> bool:
        """Tell whether the command has used up the time in which it may go on asking."""
        return time.monotonic() - self.session.started > PAGING_PERIOD

    def check_paging_period(self) -> None:
        """Raise GraphError when it is too late to read another page."""
        if self.is_late():
            raise GraphError(
                f"Reading on was stopped after {PAGING_PERIOD} seconds, "
                "before the platform would."
            )

    def pages_from(self, resource: Resource, page: Page) -> Iterator[Page]:
        """Yield a page and those that follow it; each is asked for when it is wanted.

        Raises GraphError too where a link leads elsewhere or in a circle, or reading has
        taken as long as it may.
        """
        yield page
        number = 1
        rows = len(page.rows)
        seen_links = set[str]()
        while page.next_link:
            if page.next_link in seen_links:
                raise GraphError(
                    "Graph's link to the next page leads back to one that was already read."
                )

            demisto.debug(f"page {number}, {rows:,} rows")
            seen_links.add(page.next_link)
            self.check_paging_period()
            page = self.next_page(resource, page.next_link)
            number += 1
            rows += len(page.rows)
            yield page

    def pages(self, resource: Resource, query: Json) -> Iterator[Page]:
        """Yield the pages of a list from the first on."""
        first_page = self.first_page(resource, query)
        yield from self.pages_from(resource, first_page)

    def pages_at(self, resource: Resource, next_link: str) -> Iterator[Page]:
        """Yield the pages of a list from the one that a link leads to."""
        page = self.next_page(resource, next_link)
        yield from self.pages_from(resource, page)

    def invoke_action(
        self, resource: Resource, action: str, body: Json
    ) -> None:
        """Ask Graph to change something about a collection's objects.

        Graph accepts with an empty answer and changes it within minutes; where it
        refuses, nothing is changed. Where the GraphError was_sent and has no status, or
        one from 500 on, the change may have been made.
        """
        url = f"{self.collection_url(resource)}/{action}"
        response = self.send_authorized("POST", url, json=body)
        if not response.ok:
            answer = refused_answer(response)
            raise self.refusal(response, answer, resource, write=True)

        # Graph's success has no body; response.ok holds for a redirect too.
        if response.status_code >= 300 or response.content:
            raise GraphError(
                f"What answered ({described_answer(response)}) was not Graph. {SOMETHING_BETWEEN}"
            )


class Instance(NamedTuple):
    """What a command is given to work with."""

    settings: Settings
    client: GraphClient
    authenticator: Authenticator
    store: IntegrationStore


# ==== Resources ===============================================================
#
# What the war room and $filter need to know of each collection, one row each. Titles are
# those of the product's description, to the letter.


RISK_COLUMNS = (
    "riskLevel",
    "riskState",
    "riskDetail",
    "riskLastUpdatedDateTime",
)

USER_COLUMNS = ("id", "userDisplayName", "userPrincipalName", *RISK_COLUMNS)

PRINCIPAL_COLUMNS = (
    "id",
    "displayName",
    "appId",
    "servicePrincipalType",
    "isEnabled",
    *RISK_COLUMNS,
)

HISTORY_COLUMNS = (
    "riskLastUpdatedDateTime",
    "riskLevel",
    "riskState",
    "riskDetail",
    "riskEventTypes",
    "initiatedBy",
)

EVENT_COLUMNS = ("riskDetail", "riskEventType", "riskLevel", "riskState")

DETECTION_COLUMNS = (
    "id",
    "userId",
    "userDisplayName",
    "userPrincipalName",
    *EVENT_COLUMNS,
)

# What detection_to_table adds.
ADDITIONAL_COLUMNS = ("riskReasons", "mitreTechniques", "userAgent")

PRINCIPAL_DETECTION_COLUMNS = (
    "id",
    "servicePrincipalId",
    "servicePrincipalDisplayName",
    "appId",
    *EVENT_COLUMNS,
)

# Beside the columns of the product's description, which keep their order: what an analyst
# asks next. `place` is made of location (see detection_to_table), which a single detection
# shows in full.
LATER_COLUMNS = ("detectedDateTime", "place")
LATER_ITEM_COLUMNS = ("activityDateTime", "detectedDateTime", "requestId")

# Of a sign-in, what sign_in_to_table adds and what goes with it.
SIGN_IN_COLUMNS = (
    "riskEventTypes",
    "ipAddress",
    "city",
    "country",
    "outcome",
    "clientAppUsed",
)

RISK_FILTERS = {
    "risk_state": enum_filter("riskState", RISK_STATES),
    "risk_level": enum_filter("riskLevel", RISK_LEVELS),
}

UPDATED_FILTERS = {
    "updated_after": Filter("riskLastUpdatedDateTime", "ge", datetime_literal),
    "updated_before": Filter("riskLastUpdatedDateTime", "lt", datetime_literal),
}

DETECTED_FILTERS = {
    "detected_date_time_after": Filter(
        "detectedDateTime", "ge", datetime_literal
    ),
    "detected_date_time_before": Filter(
        "detectedDateTime", "lt", datetime_literal
    ),
}

DETECTION_ORDERS = (
    "detectedDateTime",
    "activityDateTime",
    "lastUpdatedDateTime",
)

WORKLOAD_PREMIUM = "Microsoft Entra Workload ID Premium"

USER_PERMISSIONS = GraphPermissions(
    read=READ_USERS,
    write=WRITE_USERS,
    licence="Microsoft Entra ID P2",
)

USER_HISTORY_PERMISSIONS = USER_PERMISSIONS._replace(write_includes_read=True)

DETECTION_PERMISSIONS = GraphPermissions(
    read=READ_DETECTIONS,
    write="IdentityRiskEvent.ReadWrite.All",
    licence="Microsoft Entra ID P1 or P2",
)

SIGN_IN_PERMISSIONS = GraphPermissions(
    read="AuditLog.Read.All",
    write="IdentityRiskEvent.ReadWrite.All",
    licence="Microsoft Entra ID P1 or P2",
    higher=("Directory.Read.All",),
    delegated_write=WRITE_USERS,
    beside="Directory.Read.All",
)

# Graph wants more of some callers, so the higher permissions count too
# (https://learn.microsoft.com/graph/api/user-list).
DIRECTORY_PERMISSIONS = GraphPermissions(
    read="User.ReadBasic.All",
    higher=(
        "User.Read.All",
        "User.ReadWrite.All",
        "Directory.Read.All",
        "Directory.ReadWrite.All",
    ),
)

PRINCIPAL_PERMISSIONS = GraphPermissions(
    read="IdentityRiskyServicePrincipal.Read.All",
    write=WRITE_PRINCIPALS,
    licence=WORKLOAD_PREMIUM,
    write_includes_read=True,
)

PRINCIPAL_DETECTION_PERMISSIONS = DETECTION_PERMISSIONS._replace(
    licence=WORKLOAD_PREMIUM
)


def additional_details(info: Any) -> Json:
    """Return {Key: Value} of the JSON list of such pairs, or the one pair, that Graph
    puts in a string; {} where there is none."""
    try:
        content = strict(json.loads(info))
    except (TypeError, ValueError, RecursionError):
        return {}

    pairs = content if isinstance(content, list) else [content]
    details = {}
    for pair in pairs:
        if isinstance(pair, dict) and pair.get("Key"):
            details[str(pair["Key"])] = pair.get("Value")

    return details


def detection_to_context(row: Row) -> Row:
    """Return a detection with additionalInfo's contents as an object beside it."""
    details = additional_details(row.get("additionalInfo"))
    return {**without_annotations(row), "additionalDetails": details}


def texts_in(value: Any) -> list[str]:
    """Return the texts of a list, or of one text joined by commas, each once; of anything
    else there are none."""
    values = value if isinstance(value, list) else [value]
    texts = []
    for each in values:
        if isinstance(each, str):
            texts += each.split(",")

    stripped = [text.strip() for text in texts]
    return list(dict.fromkeys(filter(None, stripped)))


def risk_reasons(row: Row) -> list[str]:
    """Return why a detection was made, in words."""
    reasons = texts_in(row["additionalDetails"].get("riskReasons"))
    return [word_for("riskReasons", each) for each in reasons]


def techniques(row: Row) -> list[Json]:
    """Return id and name of the MITRE ATT&CK techniques of a detection; the name is '' for
    one that is not among TECHNIQUE_NAMES."""
    ids = texts_in(row["additionalDetails"].get("mitreTechniques"))
    return [
        {"id": each, "name": TECHNIQUE_NAMES.get(each, "")}
        for each in dict.fromkeys(map(str.upper, ids))
    ]


def technique_text(technique: Json) -> str:
    """Return id and name of a technique as a table shows them."""
    return f"{technique['id']} {technique['name']}".strip()


def text_of(row: Row, name: str) -> str:
    """Return a property that is a text, in one line; '' where it is none."""
    value = row.get(name)
    return " ".join(value.split()) if isinstance(value, str) else ""


def place_of(row: Row) -> str:
    """Return city and country of an object's location, as far as they are known."""
    location = object_in(row, "location")
    names = ("city", "countryOrRegion")
    texts = [text_of(location, name) for name in names]
    return ", ".join(filter(None, texts))


def detection_to_table(row: Row) -> Row:
    """Return a detection with its place, and what additionalInfo tells an analyst, as
    columns."""
    return {
        **row,
        "place": place_of(row),
        "riskReasons": risk_reasons(row),
        "mitreTechniques": list(map(technique_text, techniques(row))),
        "userAgent": row["additionalDetails"].get("userAgent"),
    }


def sign_in_to_table(row: Row) -> Row:
    """Return a sign-in with its event types, place and outcome as columns."""
    location = object_in(row, "location")
    return {
        **row,
        "riskEventTypes": event_words(list_in(row, "riskEventTypes_v2")),
        "city": location.get("city"),
        "country": location.get("countryOrRegion"),
        "outcome": sign_in_outcome(row),
    }


def history_event_types(row: Row) -> list[Any]:
    """Return the event types of a history item; none where they are no list."""
    return list_in(object_in(row, "activity"), "riskEventTypes")


def history_to_table(row: Row) -> Row:
    """Return a history item with its event types as a column, and who caused it."""
    return {
        **row,
        "riskEventTypes": event_words(history_event_types(row)),
        "initiatedBy": row.get("initiatedBy") or "the system",
    }


RISKY_USERS = Resource(
    path="identityProtection/riskyUsers",
    noun="risky user",
    context="RiskyUser",
    list_title="Risky Users List:",
    columns=USER_COLUMNS,
    permissions=USER_PERMISSIONS,
    item_title="Found Risky User With ID: {id}",
    filters={
        **RISK_FILTERS,
        **UPDATED_FILTERS,
        "user_id": id_filter("id"),
        "user_principal_name": text_filter("userPrincipalName"),
        "user_display_name": text_filter("userDisplayName"),
        "is_deleted": Filter("isDeleted", "eq", one_of(("true", "false"))),
    },
    orders=("riskLastUpdatedDateTime",),
    default_order="riskLastUpdatedDateTime desc",
)

# The tenant's accounts, with or without risk.
DIRECTORY_USERS = Resource(
    path="users",
    noun="account",
    permissions=DIRECTORY_PERMISSIONS,
    properties=("id", "userPrincipalName", "displayName"),
    # Named as those of risky users.
    filters={
        "id": id_filter("id"),
        "user_principal_name": text_filter("userPrincipalName"),
        "user_display_name": text_filter("displayName"),
    },
    options=("$filter", "$select"),
)

RISKY_USER_HISTORY = Resource(
    path="identityProtection/riskyUsers/{}/history",
    noun="history item",
    context="RiskyUserHistory",
    list_title="Risky User History",
    columns=HISTORY_COLUMNS,
    permissions=USER_HISTORY_PERMISSIONS,
    key=("userId", "riskLastUpdatedDateTime"),
    options=(),
    owner="userId",
    owner_noun="risky user",
    to_table=history_to_table,
)

RISK_DETECTIONS = Resource(
    path="identityProtection/riskDetections",
    noun="risk detection",
    context="RiskDetection",
    list_title="Risk Detections List",
    columns=(
        *DETECTION_COLUMNS,
        "lastUpdatedDateTime",
        "ipAddress",
        *LATER_COLUMNS,
    ),
    permissions=DETECTION_PERMISSIONS,
    item_title="Found Risk Detection with ID: {id}",
    item_columns=(
        *DETECTION_COLUMNS,
        "ipAddress",
        "detectionTimingType",
        "lastUpdatedDateTime",
        "location",
        *ADDITIONAL_COLUMNS,
        *LATER_ITEM_COLUMNS,
    ),
    filters={
        **RISK_FILTERS,
        **DETECTED_FILTERS,
        "user_id": id_filter("userId"),
        "user_principal_name": text_filter("userPrincipalName"),
        "risk_event_type": event_type_filter("riskEventType"),
    },
    orders=DETECTION_ORDERS,
    default_order="detectedDateTime desc",
    to_context=detection_to_context,
    to_table=detection_to_table,
    numbered_pages=True,
)

RISKY_SERVICE_PRINCIPALS = Resource(
    path="identityProtection/riskyServicePrincipals",
    noun="risky service principal",
    context="RiskyServicePrincipal",
    list_title="Risky Service Principals List",
    columns=PRINCIPAL_COLUMNS,
    permissions=PRINCIPAL_PERMISSIONS,
    item_title="Found Risky Service Principal with ID: {id}",
    filters={
        **RISK_FILTERS,
        **UPDATED_FILTERS,
        "service_principal_id": id_filter("id"),
        "display_name": text_filter("displayName"),
    },
    orders=("riskLastUpdatedDateTime",),
)

SERVICE_PRINCIPAL_HISTORY = Resource(
    path="identityProtection/riskyServicePrincipals/{}/history",
    noun="history item",
    context="RiskyServicePrincipalHistory",
    list_title="Risky Service Principal History",
    columns=HISTORY_COLUMNS,
    permissions=PRINCIPAL_PERMISSIONS,
    key=("servicePrincipalId", "riskLastUpdatedDateTime"),
    options=(),
    owner="servicePrincipalId",
    owner_noun="risky service principal",
    to_table=history_to_table,
)

SERVICE_PRINCIPAL_DETECTIONS = Resource(
    path="identityProtection/servicePrincipalRiskDetections",
    noun="service principal risk detection",
    context="ServicePrincipalRiskDetection",
    list_title="Service Principal Risk Detections List",
    columns=(
        *PRINCIPAL_DETECTION_COLUMNS,
        "lastUpdatedDateTime",
        "ipAddress",
        *LATER_COLUMNS,
    ),
    permissions=PRINCIPAL_DETECTION_PERMISSIONS,
    item_title="Found Service Principal Risk Detection with ID: {id}",
    item_columns=(
        *PRINCIPAL_DETECTION_COLUMNS,
        "ipAddress",
        "keyIds",
        "lastUpdatedDateTime",
        "location",
        *ADDITIONAL_COLUMNS,
        *LATER_ITEM_COLUMNS,
    ),
    filters={
        **RISK_FILTERS,
        **DETECTED_FILTERS,
        "service_principal_id": id_filter("servicePrincipalId"),
        "risk_event_type": event_type_filter("riskEventType"),
    },
    orders=DETECTION_ORDERS,
    to_context=detection_to_context,
    to_table=detection_to_table,
    numbered_pages=True,
)


# The log holds interactive sign-ins of all kinds. A list of it asks for those with risk; one
# that is asked for by its id may have none.
RISKY_SIGN_INS = Resource(
    path="auditLogs/signIns",
    noun="risky sign-in",
    context="RiskySignIn",
    list_title="Risky Sign-ins List",
    columns=(
        "createdDateTime",
        "userPrincipalName",
        "riskLevelAggregated",
        "riskState",
        *SIGN_IN_COLUMNS,
        "id",
    ),
    permissions=SIGN_IN_PERMISSIONS,
    item_title="Found Risky Sign-in with ID: {id}",
    item_columns=(
        "createdDateTime",
        "userPrincipalName",
        "userId",
        "riskLevelAggregated",
        "riskLevelDuringSignIn",
        "riskState",
        "riskDetail",
        *SIGN_IN_COLUMNS,
        "appDisplayName",
        "resourceDisplayName",
        "deviceDetail",
        "id",
    ),
    filters={
        "sign_in": id_filter("id"),
        "user_id": id_filter("userId"),
        # The log holds names in lower case, and Graph minds the case.
        "user_principal_name": text_filter("userPrincipalName")._replace(
            read_literal=lower_case_literal
        ),
        "ip_address": text_filter("ipAddress")._replace(
            read_literal=address_literal
        ),
        "country": text_filter("location/countryOrRegion")._replace(
            read_literal=country_literal
        ),
        "risk_level": enum_filter("riskLevelAggregated", RISK_LEVELS),
        "risk_state": enum_filter("riskState", RISK_STATES)._replace(
            default=",".join(STATES_BUT_NONE)
        ),
        # Graph keeps 30 days, and takes too long where no bound is given.
        "created_after": Filter(
            "createdDateTime", "ge", datetime_literal, default="30 days"
        ),
        "created_before": Filter("createdDateTime", "le", datetime_literal),
    },
    orders=("createdDateTime",),
    default_order="createdDateTime desc",
    to_table=sign_in_to_table,
    largest_page=1000,
    checked_filters=("sign_in", "user_id", "user_principal_name"),
    lookup_filters=("created_after",),
    absence="The log holds interactive sign-ins of the last 30 days alone.",
    refused_filter=(
        "The log holds the last 30 days, and Graph refuses to look for more than about 90."
    ),
    too_often=(
        "Graph allows an application five requests in ten seconds for its logs. Try again "
        "later."
    ),
)


# ==== Lists and single objects ================================================
#
# What the commands that list and get have in common: the arguments of a list, its pages,
# and table, notes and context; last, look-ups of all objects that have one of some values.


DEFAULT_LIMIT = 50  # rows


def quotient_rounded_up(number: int, divisor: int) -> int:
    return -(-number // divisor)


class RowRange(NamedTuple):
    """Which rows of a list are asked for, by position: from `start` up to `stop`, which
    is not among them.

    whole_pages: whether rows beyond `stop` on the last page read are given too. That is
    so under page_size, where next_token leads past that page: a row cut off from it would
    be on no page at all.
    """

    start: int
    stop: int
    whole_pages: bool = False
    largest_page: int = MAX_PAGE_SIZE

    @property
    def size(self) -> int:
        return self.stop - self.start

    @property
    def page_number(self) -> int:
        """The number of this range among ranges of its size, from 1."""
        return self.stop // self.size

    @property
    def top(self) -> int:
        """The $top that spreads all rows up to `stop` evenly over the fewest requests."""
        requests_needed = quotient_rounded_up(self.stop, self.largest_page)
        return quotient_rounded_up(self.stop, requests_needed)

    def part_of(self, rows: list[Row], position: int) -> list[Row]:
        """Return what is asked for of a page whose first row has that position."""
        first = max(self.start - position, 0)
        if self.whole_pages:
            return rows[first:]

        last = max(self.stop - position, 0)
        return rows[first:last]


class ListResult(NamedTuple):
    """What came of a list: rows, the address of the rest, whether more rows match, and
    why reading on failed, if it did."""

    rows: list[Row]
    next_link: str
    more: bool
    failure: RequestError | None = None


def read_row_range(resource: Resource, args: Args) -> RowRange:
    """Return the rows that limit, page and page_size ask for; page_size goes before
    limit."""
    limit = whole_number(args, "limit", DEFAULT_LIMIT)
    largest_page = resource.largest_page
    size = whole_number(args, "page_size", limit, largest_page)

    page_number = whole_number(args, "page", 1)
    stop = page_number * size
    start = stop - size
    by_page = given(args, "page_size")
    return RowRange(start, stop, by_page, largest_page)


def read_order(resource: Resource, args: Args) -> str:
    """Return the $orderby that is asked for, or the collection's default."""
    if not given(args, "order_by"):
        return resource.default_order

    directions = (" desc", " asc", "")
    orders = [
        name + direction for name in resource.orders for direction in directions
    ]
    return one_of(orders)("order_by", args["order_by"])


def build_query(
    resource: Resource, filter_text: str, order: str, top: int
) -> Json:
    """Return the query options to send, of those that the collection understands."""
    options = {
        "$filter": filter_text,
        "$orderby": order,
        "$top": str(top),
        "$select": ",".join(resource.properties),
    }
    return {
        name: text
        for name, text in options.items()
        if text and name in resource.options
    }


def until_failure(pages: Iterator[Page]) -> Iterator[Page]:
    """Yield pages; a failure after the first ends them with an empty page that tells it."""
    last_page = None
    try:
        for page in pages:
            last_page = page
            yield page
    except RequestError as error:
        if last_page is None:
            raise
        yield Page([], last_page.next_link, error)


def collect(pages: Iterator[Page], row_range: RowRange) -> ListResult:
    """Return the rows of a range, reading no page beyond it.

    Raises RequestError: not even the first page came. A later failure is told in the
    result, beside the rows so far.
    """
    rows: list[Row] = []
    position = 0
    # There is always a first page; this one is for the type checker.
    page = Page([], "")
    for page in until_failure(pages):
        rows += row_range.part_of(page.rows, position)
        position += len(page.rows)
        if position >= row_range.stop:
            break

    # The page is now the last one; after a failure, the empty one with the link that
    # could not be followed.
    was_cut = position > row_range.stop and not row_range.whole_pages
    more = was_cut or page.next_link != ""
    return ListResult(rows, page.next_link, more, page.failure)


def collect_or_failure(
    pages: Iterator[Page], row_range: RowRange
) -> ListResult:
    """Like `collect`, but an immediate failure becomes an empty result too: the rows of
    the lists before are worth showing."""
    try:
        return collect(pages, row_range)
    except RequestError as error:
        return ListResult([], "", more=True, failure=error)


def sorted_rows(rows: list[Row], order: str) -> list[Row]:
    """Return rows in the order of an $orderby by time; as they are where there is none."""
    name, _, direction = order.partition(" ")
    if not name:
        return rows

    newest_first = direction == "desc"
    return sorted(
        rows, key=lambda row: instant(row.get(name)), reverse=newest_first
    )


def collect_split(
    lists: list[Iterator[Page]], row_range: RowRange, order: str
) -> ListResult:
    """Return the rows of a range over several lists that are one list to the caller. Only
    an immediate failure of the first list is raised.

    What precedes the range may stand in any of them, so each is read from its start.
    """
    from_start = row_range._replace(start=0)
    first, *others = lists
    results = [collect(first, from_start)]
    for pages in others:
        if results[-1].failure:
            break
        results.append(collect_or_failure(pages, from_start))

    rows = [row for result in results for row in result.rows]
    in_order = sorted_rows(rows, order)
    is_cut = len(rows) > row_range.stop
    return ListResult(
        rows=in_order[row_range.start : row_range.stop],
        next_link="",
        more=is_cut or any(result.more for result in results),
        failure=results[-1].failure,
    )


class ListRequest(NamedTuple):
    """What the arguments of a list ask for. `next_token` is None unless a page is asked
    for by the token that the page before gave. `unknown_types`: event types that are asked
    for as they are given, since nobody knows them."""

    next_token: str | None
    row_range: RowRange
    order: str
    filters: list[str]
    unknown_types: list[str]


MANY_VALUES = f"nothing beside more than {MAX_COMPARISONS} values to match"


def read_next_token(args: Args) -> str | None:
    """Return the token of the page that is asked for; None for no token."""
    if not given(args, "next_token"):
        return None
    return str(args["next_token"]).strip()


def refuse_page_beside_token(request: ListRequest, args: Args) -> None:
    if request.row_range.page_number > 1:
        accepted = "no page beside next_token, which leads to a page itself"
        raise ArgumentError("page", args["page"], accepted)


def read_unknown_types(resource: Resource, args: Args) -> list[str]:
    """Return the event types that are asked for and that nobody knows."""
    if "risk_event_type" not in resource.filters:
        return []
    return unknown_event_types(argToList(args.get("risk_event_type")))


def read_list_request(resource: Resource, args: Args) -> ListRequest:
    """Read all arguments of a list; beside next_token too, what cannot be used is
    refused."""
    request = ListRequest(
        next_token=read_next_token(args),
        row_range=read_row_range(resource, args),
        order=read_order(resource, args),
        filters=build_filters(resource.filters, args),
        unknown_types=read_unknown_types(resource, args),
    )
    if request.next_token is not None:
        refuse_page_beside_token(request, args)
        return request

    # Rows of several lists are put in order when all are there, so none has a token.
    if len(request.filters) > 1 and request.row_range.whole_pages:
        raise ArgumentError("page_size", args["page_size"], MANY_VALUES)
    return request


def read_list(
    client: GraphClient, resource: Resource, request: ListRequest
) -> ListResult:
    """Read the rows that are asked for, by as few requests as can be."""
    order = request.order
    top = request.row_range.top
    queries = [
        build_query(resource, text, order, top) for text in request.filters
    ]
    lists = [client.pages(resource, query) for query in queries]

    if len(lists) == 1:
        return collect(lists[0], request.row_range)
    return collect_split(lists, request.row_range, order)


# The first page that has rows at all, whole: Graph may send an empty one with a link.
ONE_PAGE = RowRange(0, 1, whole_pages=True)


def follow_token(
    client: GraphClient, resource: Resource, token: str
) -> ListResult:
    """Return the page that next_token leads to; filters, order and size of the call it
    came from travel in it.

    Raises ArgumentError: it leads anywhere else, where the access token must not go.
    """
    if not client.leads_into(resource, token):
        collection = client.collection_url(resource)
        accepted = (
            f"what an earlier call of this command gave, {collection}?..."
        )
        raise ArgumentError("next_token", token, accepted)

    return collect(client.pages_at(resource, token), ONE_PAGE)


def page_notes(resource: Resource, request: ListRequest) -> list[str]:
    """Return what the product's description wants above a numbered page, to the letter.
    The first page has no note: the platform sends page=1 where nobody asked for a page."""
    row_range = request.row_range
    if not resource.numbered_pages or row_range.page_number == 1:
        return []

    return [
        f"Current page size: {row_range.size}",
        f"Showing page {row_range.page_number} out others that may exist",
    ]


def unknown_type_notes(unknown_types: list[str]) -> list[str]:
    """Return the note that names the event types that nobody knows, if there are any."""
    if not unknown_types:
        return []
    shown = ", ".join(unknown_types)
    return [f"No known event type, and asked for as it is given: {shown}"]


CONTINUE = "Continue with next_token."
NARROW = "Raise limit, or narrow the list, to see them."


def filter_of(link: str) -> str:
    """Return the $filter that travels in a link, '' for none."""
    query = parse_qs(urlsplit(link).query)
    return "".join(query.get("$filter", []))


def no_rows_notes(
    result: ListResult, filters: list[str], *, from_start: bool
) -> list[str]:
    """Return the note that says what was looked for, where no row came.

    from_start: whether that was all there is, and not a later page of it.
    """
    looked_for = [text for text in filters if text]
    if result.rows or not looked_for:
        return []

    is_all = from_start and not result.failure
    lead = "Nothing matches" if is_all else "No rows here of"
    return [f"{lead}: {text}" for text in looked_for]


def counted(number: int, noun: str) -> str:
    nouns = noun if number == 1 else f"{noun}s"
    return f"{number:,} {nouns}"


def what_is_left(result: ListResult, *, with_token: bool) -> str:
    """Return how the count of a list's rows goes on, '' where they are all there are."""
    if result.failure:
        return "; not all could be read."
    if not result.more:
        return ""

    advice = CONTINUE if with_token else NARROW
    return f"; more match. {advice}"


MAX_TABLE_ROWS = 1_000  # nobody reads more, and the war room slows down


def count_notes(
    resource: Resource, result: ListResult, *, with_token: bool
) -> list[str]:
    """Return the notes that say how many rows there are, whether more match, and whether
    the table shows them all. An empty table tells the number itself."""
    number = len(result.rows)
    left = what_is_left(result, with_token=with_token)
    notes = []
    if number or left:
        notes.append(f"{counted(number, resource.noun)}{left}")
    if number > MAX_TABLE_ROWS:
        notes.append(
            f"The table shows the first {MAX_TABLE_ROWS:,} of {number:,} rows; "
            "context holds all."
        )

    return notes


def token_table(resource: Resource, next_link: str) -> str:
    """Return the table that shows the token of the following page, if there is one."""
    if not next_link:
        return ""

    title = f"{resource.list_title.rstrip(':')} Token:"
    row = {"next_token": next_link}
    return "\n" + tableToMarkdown(title, row, headers=["next_token"])


def context_path(resource: Resource) -> str:
    """Return where a collection's objects go in context.

    The condition is the platform's (outputs_key_field makes the same): an object that is
    there, `val`, is replaced by a new one, `obj`, that has the same key.
    """
    same = [f"val.{name} && val.{name} == obj.{name}" for name in resource.key]
    condition = " && ".join(same)
    return f"AzureRiskyUsers.{resource.context}({condition})"


def list_context(resource: Resource, rows: list[Row], flags: Json) -> Json:
    """Return what goes into context: the list's flags, and its rows."""
    outputs: Json = {}
    if rows:
        outputs[context_path(resource)] = rows
    # The condition "true" lets the platform merge the flags into the one object there is.
    outputs["AzureRiskyUsers(true)"] = flags
    return outputs


def raw_list(result: ListResult) -> Json:
    """Return a list in the shape of Graph's answer, its rows as in context."""
    if not result.next_link:
        return {"value": result.rows}
    return {"value": result.rows, "@odata.nextLink": result.next_link}


def incomplete_warning(result: ListResult) -> CommandResults:
    """Return the warning that reading on failed."""
    text = (
        f"The list is incomplete: only {len(result.rows):,} rows could be read. "
        f"{result.failure}"
    )
    return CommandResults(
        readable_output=text, raw_response=text, entry_type=EntryType.WARNING
    )


def markdown_table(
    title: str,
    rows: list[Json],
    columns: tuple[str, ...],
    notes: Iterable[str] = (),
) -> str:
    """Return rows as the platform's table, under columns named after their properties;
    one that is empty everywhere is left out."""
    return tableToMarkdown(
        title,
        rows,
        headers=list(columns),
        headerTransform=pascalToSpace,
        removeNull=True,
        metadata="\n".join(notes) or None,
    )


def resource_table(
    title: str,
    resource: Resource,
    rows: list[Row],
    notes: Iterable[str] = (),
    columns: tuple[str, ...] = (),
) -> str:
    """Return objects as the war room's table, with notes between title and table."""
    columns = columns or resource.columns
    shown = [columns_in_words(resource.to_table(row), columns) for row in rows]
    return markdown_table(title, shown, columns, notes)


def list_entries(
    resource: Resource,
    result: ListResult,
    notes: list[str],
    *,
    with_token: bool,
) -> list[CommandResults]:
    """Return a list's entry, and a warning where reading on failed.

    with_token: whether the token of the following page is given.
    """
    flags: Json = {f"{resource.context}ListTruncated": result.more}
    counts = count_notes(resource, result, with_token=with_token)
    readable = resource_table(
        resource.list_title,
        resource,
        result.rows[:MAX_TABLE_ROWS],
        counts + notes,
    )
    if with_token:
        flags[f"{resource.context}ListNextToken"] = result.next_link
        readable += token_table(resource, result.next_link)

    entry = CommandResults(
        outputs=list_context(resource, result.rows, flags),
        readable_output=readable,
        raw_response=raw_list(result),
    )
    if not result.failure:
        return [entry]

    return [entry, incomplete_warning(result)]


def check_answer(resource: Resource, args: Args, rows: list[Row]) -> None:
    """Raise GraphError where a row is of nobody who was asked for, as far as the collection
    is to be checked for that."""
    for argument in resource.checked_filters:
        if not given(args, argument):
            continue

        values = argToList(args[argument])
        texts = [str(each).strip() for each in values]
        property_name = resource.filters[argument].property_name
        check_rows(resource, rows, property_name, texts)


def list_resource(
    client: GraphClient, resource: Resource, args: Args
) -> list[CommandResults]:
    """Return a collection's rows that the arguments ask for, as a table and context.

    Raises ArgumentError: an argument cannot be read; nothing was sent. RequestError: not
    even the first page came, or a row was not asked for.
    """
    request = read_list_request(resource, args)
    if request.next_token is not None:
        result = follow_token(client, resource, request.next_token)
        check_answer(resource, args, result.rows)
        filters = [filter_of(request.next_token)]
        notes = no_rows_notes(result, filters, from_start=False)
        return list_entries(resource, result, notes, with_token=True)

    result = read_list(client, resource, request)
    check_answer(resource, args, result.rows)
    is_first = request.row_range.start == 0
    notes = page_notes(resource, request)
    notes += unknown_type_notes(request.unknown_types)
    notes += no_rows_notes(result, request.filters, from_start=is_first)
    with_token = request.row_range.whole_pages
    return list_entries(resource, result, notes, with_token=with_token)


def naming_unknown_id(
    error: GraphError, noun: str, item_id: str, absence: str = ""
) -> GraphError:
    """Return a 404 with the id that is unknown, and why it may be; another error as it
    is."""
    if error.status != 404:
        return error
    unknown = f'There is no {noun} with the ID "{item_id}".'
    text = joined_sentences(unknown, absence, str(error))
    return GraphError(text, error.status, error.summary)


def item_results(
    resource: Resource, rows: list[Row], title: str
) -> CommandResults:
    """Return the entry for single objects: one as it is, several as a list."""
    return CommandResults(
        outputs_prefix=f"AzureRiskyUsers.{resource.context}",
        outputs_key_field=list(resource.key),
        outputs=rows[0] if len(rows) == 1 else rows,
        readable_output=resource_table(
            title, resource, rows, columns=resource.item_columns
        ),
    )


def read_item(client: GraphClient, resource: Resource, item_id: str) -> Row:
    """Return one object of a collection, as it goes to context. Raises GraphError: none
    has the id (it is named), or no answer came."""
    try:
        return client.get_item(resource, item_id)
    except GraphError as error:
        raise naming_unknown_id(
            error, resource.noun, item_id, resource.absence
        ) from error


def get_resource(
    client: GraphClient, resource: Resource, args: Args
) -> CommandResults:
    """Return one object of a collection as a table and context. Raises as `read_item`
    does."""
    item_id = str(args.get("id") or "").strip()
    row = read_item(client, resource, item_id)
    title = resource.item_title.format(id=item_id)
    return item_results(resource, [row], title)


def read_matches(
    client: GraphClient, resource: Resource, argument: str, values: list[str]
) -> list[Row]:
    """Return all objects that one of a collection's filters finds for any of the values.

    Raises ArgumentError: a value cannot be used. RequestError: not all could be read, or
    one that came was not asked for.
    """
    if not values:
        return []

    rows: list[Row] = []
    names = (argument, *resource.lookup_filters)
    filters = {name: resource.filters[name] for name in names}
    for text in build_filters(filters, {argument: values}):
        query = build_query(resource, text, "", resource.largest_page)
        for page in client.pages(resource, query):
            rows += page.rows

    property_name = resource.filters[argument].property_name
    check_rows(resource, rows, property_name, values)
    return rows


def find_all(
    client: GraphClient, resource: Resource, argument: str, values: list[str]
) -> list[Row]:
    """Return all objects that one of a collection's filters finds for any of the values,
    compared without regard to case. Raises as `read_matches` does."""
    rows = read_matches(client, resource, argument, values)
    property_name = resource.filters[argument].property_name
    found = {row[property_name].lower() for row in rows}
    missing = [value for value in values if value.lower() not in found]

    # Graph may mind the case: what has capitals and was not found is asked for without.
    again = [value.lower() for value in missing if value != value.lower()]
    others = read_matches(client, resource, argument, again)
    return rows + others


# ==== Users ===================================================================
#
# One user, named by object ID, user principal name or display name.


# A directory's display names may hold nearly anything. Left out is what means a list, a
# path, a wildcard, a template or a name in quotes (as 't Hooft is not); a comma stands as
# in "Vance, Adele", and only once.
DISPLAY_NAME = re.compile(
    r"""(?=.*[^\W\d_])(?!'.*'$)(?![\[,])(?:[^@*?%/\\<>{}"`;,]|, (?!.*,))+"""
)
NOTHING = ("null", "none", "undefined")  # written for no value at all
ONE_USER = (
    "one object ID (GUID), one user principal name such as adele.vance@contoso.com, or "
    "one display name such as Adele Vance"
)


def is_display_name(text: str) -> bool:
    if not is_visible(text) or text.lower() in NOTHING:
        return False
    return DISPLAY_NAME.fullmatch(text) is not None


class NamedUser(NamedTuple):
    """How a command names one user: by which argument, with which text, and `by`, the
    filter of risky users that finds it or, for an object ID, "id"."""

    argument: str
    text: str
    by: str

    @property
    def property_name(self) -> str:
        """The property of a risky user that has to be the text."""
        if self.by == "id":
            return self.by
        return RISKY_USERS.filters[self.by].property_name


def named_user(argument: str, value: Any) -> NamedUser:
    """Return who is meant by a text, by its form.

    Raises ArgumentError: it has none of the three, or names several. It would find
    nobody, which reads as an all-clear.
    """
    text = str(value).strip()
    if is_guid(text):
        return NamedUser(argument, text, "id")
    if is_user_principal_name(text):
        return NamedUser(argument, text, "user_principal_name")
    if is_display_name(text):
        return NamedUser(argument, text, "user_display_name")

    raise ArgumentError(argument, text, ONE_USER)


def read_user(args: Args) -> NamedUser:
    """Return who is meant by `user`, or by `id`, which may hold an id that is no GUID, or
    a user principal name."""
    argument, value = exactly_one(args, "id", "user")
    if argument == "id" and not is_user_principal_name(value):
        return NamedUser(argument, value, "id")
    return named_user(argument, value)


def find_users(client: GraphClient, user: NamedUser) -> list[Row]:
    """Return the risky users that are meant, in one request: none or several for a name.

    A name is looked for as it is written and in lower case, since Graph may mind the
    case. Raises ArgumentError: the id is none. GraphError: nobody has the id (it is
    named), or another came than was asked for. RequestError: not all could be read.
    """
    if user.by == "id":
        return [read_item(client, RISKY_USERS, user.text)]

    variants = [user.text, user.text.lower()]
    return read_matches(client, RISKY_USERS, user.by, variants)


def id_of(row: Row) -> str:
    """Return an object's id. Raises GraphError: it has none."""
    item_id = row.get("id")
    if isinstance(item_id, str) and OBJECT_ID.fullmatch(item_id):
        return item_id
    raise GraphError(
        "Graph answered with an object that has no id. The answer is not used."
    )


DELETION_WORDS = {"True": "deleted", "False": "not deleted"}


def described_user(row: Row) -> str:
    """Return what tells a user from others of the same name."""
    item_id = id_of(row)
    name = row.get("userPrincipalName")
    is_deleted = str(row.get("isDeleted"))
    deletion = DELETION_WORDS.get(is_deleted, "not known whether deleted")
    return f"{item_id} ({name}, {deletion})"


def only_user(user: NamedUser, rows: list[Row]) -> Row:
    """Return the one user among those that were found for a name.

    Raises ArgumentError: they are several, each of whom is described.
    """
    by_id = {id_of(row): row for row in rows}
    if len(by_id) > 1:
        described = "; ".join(map(described_user, by_id.values()))
        accepted = (
            f"an ID, since {len(by_id)} risky users have that name: {described}"
        )
        raise ArgumentError(user.argument, user.text, accepted)

    (row,) = by_id.values()
    return row


MAX_SUGGESTIONS = 3
# From 0 to 1. One letter in four may differ; what is less alike is mostly somebody else.
LEAST_LIKENESS = 0.75


def name_words(name: str) -> list[str]:
    """Return the words of a name, or of what stands before the @ of one, in lower case."""
    local_part, _, _ = name.partition("@")
    return re.findall(r"[^\W_]+", local_part.lower())


def spoken_names(row: Row) -> set[str]:
    """Return what a user may be called: the words of display name and user principal
    name, in either direction and each alone."""
    spoken = set[str]()
    for name in ("userDisplayName", "userPrincipalName"):
        words = name_words(text_of(row, name))
        forwards = " ".join(words)
        backwards = " ".join(reversed(words))
        spoken |= {forwards, backwards, *words}

    return spoken - {""}


def full_name(row: Row) -> str:
    display_name = text_of(row, "userDisplayName")
    principal_name = text_of(row, "userPrincipalName")
    if display_name and principal_name:
        return f"{display_name} ({principal_name})"
    return display_name or principal_name


def nearest_names(text: str, rows: list[Row]) -> list[str]:
    """Return the users whose names are most like a text, the nearest first."""
    by_spoken = defaultdict[str, list[str]](list)
    for row in rows:
        for spoken in spoken_names(row):
            by_spoken[spoken].append(full_name(row))

    # The same users may come under several names.
    count = len(by_spoken) or 1
    wanted = " ".join(name_words(text))
    near = difflib.get_close_matches(wanted, by_spoken, count, LEAST_LIKENESS)
    names = []
    for spoken in near:
        names += by_spoken[spoken]

    distinct = list(dict.fromkeys(names))
    return distinct[:MAX_SUGGESTIONS]


def nearest_sentence(client: GraphClient, text: str) -> str:
    """Return a sentence with the names nearest to one that nobody has, '' for none. It
    is worth one request, and neither an error nor a long wait where that fails."""
    newest = RISKY_USERS.default_order
    query = build_query(RISKY_USERS, "", newest, RISKY_USERS.largest_page)
    try:
        with client.hurry():
            rows = client.first_page(RISKY_USERS, query).rows
    except RequestError:
        return ""

    names = nearest_names(text, rows)
    if not names:
        return ""
    return (
        f"The nearest names among the {len(rows)} risky users updated last: "
        f"{', '.join(names)}."
    )


def no_risk_known(client: GraphClient, user: NamedUser) -> str:
    """Say that a name is not among the risky users, how it was looked for, and what is
    like it: a name that was misspelled is no all-clear."""
    text = (
        f'Graph knows no risk for "{user.text}": no risky user has exactly this '
        f"{user.property_name}, as it is written here or in lower case. "
        "A look-up by object ID does not depend on the spelling."
    )
    return joined_sentences(text, nearest_sentence(client, user.text))


# ==== Actions =================================================================
#
# What changes risk. The ids and names of a command are read, each name is resolved to one
# id, what is known against the change is looked up, the ids are submitted in batches, and
# with verify the platform has the command look again until all took effect.


MAX_IDS = 60  # in one request (https://learn.microsoft.com/graph/api/riskyuser-dismiss)
VERIFY_INTERVAL = 30  # seconds between two looks at what became of an action
# Seconds after which an action without effect counts as failed.
VERIFY_PERIOD = 900


def is_true(value: Any) -> bool:
    """Tell whether a value of Graph's is true, or says so as a text."""
    return str(value).lower() == "true"


def is_deleted(row: Row) -> bool:
    return is_true(row.get("isDeleted"))


def has_record(row: Row) -> bool:
    """Tell whether Graph keeps a risk of an object: a mere account has no riskState."""
    return "riskState" in row


def is_settled(row: Row) -> bool:
    """Tell whether an object has no risk that could be closed."""
    return (
        row.get("riskState") in SETTLED_STATES or row.get("riskLevel") == "none"
    )


def is_compounded(row: Row) -> bool:
    """Tell whether the risk is one that is told to Graph again and again
    (https://learn.microsoft.com/entra/id-protection/concept-unified-risk)."""
    return str(row.get("riskDetail")).lower() == "aielevatedaccountrisk"


def is_without_risk(row: Row) -> bool:
    """Tell whether an object never had any risk."""
    return row.get("riskState") == "none"


class Caveat(NamedTuple):
    """Why an action on some objects has no effect, or none that lasts."""

    applies: Callable[[Row], bool]
    reason: str


NO_RISK = Caveat(
    is_without_risk, "There is no risk to close, and Graph may refuse it"
)
SETTLED = Caveat(
    is_settled, "The risk is settled already: nothing is left to close"
)
DELETED = Caveat(
    is_deleted,
    "The account is deleted: only Microsoft's support can close its risk",
)
COMPOUNDED = Caveat(
    is_compounded,
    "Defender raises this risk, also over a linked account: it returns until the attack "
    "there is over",
)


class TargetKind(NamedTuple):
    """What an action is for, and how a command names it."""

    resource: Resource
    ids_property: str  # of the request's body
    argument: str  # that names the objects
    max_argument: str
    id_filter: str  # the collection's filter for ids
    has_names: bool  # whether objects have names that are theirs alone

    @property
    def accepted(self) -> str:
        """What names an object."""
        if self.has_names:
            return "object IDs (GUIDs) and user principal names"
        return "object IDs (GUIDs)"


USER_TARGETS = TargetKind(
    resource=RISKY_USERS,
    ids_property="userIds",
    argument="user",
    max_argument="max_users",
    id_filter="user_id",
    has_names=True,
)

PRINCIPAL_TARGETS = TargetKind(
    resource=RISKY_SERVICE_PRINCIPALS,
    ids_property="servicePrincipalIds",
    argument="service_principal",
    max_argument="max_service_principals",
    id_filter="service_principal_id",
    has_names=False,
)

SIGN_IN_TARGETS = TargetKind(
    resource=RISKY_SIGN_INS,
    ids_property="requestIds",
    argument="sign_in",
    max_argument="max_sign_ins",
    id_filter="sign_in",
    has_names=False,
)


class Action(NamedTuple):
    """A change of risk that Graph makes for a list of ids.

    needs_record: whether only an object with a risk record is changed by its name. An
    account without one can be confirmed compromised: another tool found it to be.
    looks_first: whether those who are named by ID are looked up before the change, so that
    caveats are told of them too.
    """

    command: str
    kind: TargetKind
    path: str  # below the collection
    state: str  # the riskState that it leads to
    # Which verdict it is, when Microsoft wants it and what it does not do
    # (https://learn.microsoft.com/entra/id-protection/howto-identity-protection-risk-feedback).
    meaning: str
    effect: str  # on the risk, in a sentence for the analyst
    needs_record: bool = True
    caveats: tuple[Caveat, ...] = ()  # the first that applies is told
    looks_first: bool = False

    def caveat(self, row: Row) -> str:
        """Say why the action will not do to an object what is expected of it; '' where it
        will, as far as is known."""
        reasons = [each.reason for each in self.caveats if each.applies(row)]
        return reasons[0] if reasons else ""

    @property
    def resource(self) -> Resource:
        return self.kind.resource

    @property
    def argument(self) -> str:
        return self.kind.argument


CONFIRM_USERS_COMPROMISED = Action(
    command="azure-risky-users-confirm-compromise",
    kind=USER_TARGETS,
    path="confirmCompromised",
    state="confirmedCompromised",
    meaning=(
        "For a true positive: somebody else has the account or its password. Risk-based "
        "policies then block the user or ask for a new password; the password itself stays."
    ),
    effect=(
        "Risk level becomes high. "
        "A later dismissal or confirmation as safe takes it back."
    ),
    needs_record=False,
)

CONFIRM_USERS_SAFE = Action(
    command="azure-risky-users-confirm-safe",
    kind=USER_TARGETS,
    path="confirmSafe",
    state="confirmedSafe",
    meaning=(
        "For a false positive: what was flagged is the user's own, ordinary activity. "
        "Entra ID learns the user's habits anew, and similar events should no longer be "
        "flagged."
    ),
    effect="The risk there is now is closed for good; new detections raise new risk.",
    caveats=(SETTLED,),
)

DISMISS_USERS = Action(
    command="azure-risky-users-dismiss",
    kind=USER_TARGETS,
    path="dismiss",
    state="dismissed",
    meaning=(
        "For a benign true positive: what was flagged is real but harmless, such as a known "
        "test or an approved tool, or is handled elsewhere. Similar events are flagged "
        "again, the account is not made safe, and it cannot be undone."
    ),
    effect="All risk is closed, that of past sign-ins too.",
    caveats=(SETTLED, DELETED, COMPOUNDED),
    looks_first=True,
)

CONFIRM_PRINCIPALS_COMPROMISED = Action(
    command="azure-risky-service-principals-confirm-compromise",
    kind=PRINCIPAL_TARGETS,
    path="confirmCompromised",
    state="confirmedCompromised",
    meaning=(
        "For a true positive: somebody else uses the service principal or has its "
        "credentials. The credentials themselves stay."
    ),
    effect="Risk level becomes high. A later dismissal takes it back.",
)

DISMISS_PRINCIPALS = Action(
    command="azure-risky-service-principals-dismiss",
    kind=PRINCIPAL_TARGETS,
    path="dismiss",
    state="dismissed",
    meaning=(
        "For what is no compromise: a false positive (no service principal can be confirmed "
        "as safe), what is real but harmless, or what is handled elsewhere. It cannot be "
        "undone."
    ),
    effect="All risk is closed.",
    caveats=(SETTLED,),
)


CONFIRM_SIGN_INS_COMPROMISED = Action(
    command="azure-risky-sign-ins-confirm-compromise",
    kind=SIGN_IN_TARGETS,
    path="confirmCompromised",
    state="confirmedCompromised",
    meaning=(
        "For a true positive: it was somebody else who signed in, or tried to. Risk-based "
        "policies then block the user or ask for a new password; the password itself stays."
    ),
    effect="Risk level of sign-in and user becomes high.",
)

CONFIRM_SIGN_INS_SAFE = Action(
    command="azure-risky-sign-ins-confirm-safe",
    kind=SIGN_IN_TARGETS,
    path="confirmSafe",
    state="confirmedSafe",
    meaning=(
        "For a false positive: it was the user's own, ordinary sign-in. Similar sign-ins "
        "should no longer be flagged."
    ),
    effect="The sign-in's risk is closed, and its share of the user's risk is taken back.",
    caveats=(SETTLED,),
)

DISMISS_SIGN_INS = Action(
    command="azure-risky-sign-ins-dismiss",
    kind=SIGN_IN_TARGETS,
    path="dismiss",
    state="dismissed",
    meaning=(
        "For a benign true positive: the risk is real but harmless, such as that of a known "
        "test or an approved tool, or is handled elsewhere. Similar sign-ins are flagged "
        "again."
    ),
    effect="The risk of these sign-ins alone is closed.",
    caveats=(NO_RISK, SETTLED),
)


class ActionRequest(NamedTuple):
    """Whom an action is for (ids in lower case, and names), and how it is carried out.

    maximum: how many may be changed. verify: whether to look again until it took effect.
    """

    action: Action
    ids: list[str]
    names: list[str]
    maximum: int
    dry_run: bool
    verify: bool


SUBMITTED = "submitted"
REFUSED = "refused"
UNKNOWN = "unknown"  # The change may or may not have been made.
NOT_TRIED = "not tried"
DRY_RUN = "dry run"
APPLIED = "applied"
NOT_APPLIED = "not applied"


class ActionOutcome(NamedTuple):
    """What became of one id: one of the statuses above, and why, where there is a reason."""

    status: str
    reason: str = ""


# By id in lower case: the case of a GUID means nothing.
ActionOutcomes = dict[str, ActionOutcome]
KnownRows = dict[str, Row]
# What is known of the object behind an id, in the action's table and context.
TARGET_COLUMNS = (
    "userPrincipalName",
    "displayName",
    "riskLevel",
    "riskLevelAggregated",
    "riskState",
)
ACTION_COLUMNS = ("id", *TARGET_COLUMNS, "action", "status", "reason")


def target(action: Action, text: str) -> str:
    """Return an id in lower case, since the case of a GUID means nothing, or a name as it
    is. Raises ArgumentError: it is neither."""
    if is_guid(text):
        return text.lower()
    if action.kind.has_names and is_user_principal_name(text):
        return text
    raise ArgumentError(action.argument, text, action.kind.accepted)


def read_targets(action: Action, args: Args) -> list[str]:
    """Return the ids and names of those whom an action is for. Raises ArgumentError: one
    is neither, or there is none."""
    texts = text_values(args, action.argument)
    if not texts:
        raise ArgumentError(action.argument, "", action.kind.accepted)
    return [target(action, text) for text in texts]


def check_number(request: ActionRequest, number: int) -> None:
    """Raise ArgumentError where more are to be changed than the command may change."""
    if number > request.maximum and not request.dry_run:
        raise ArgumentError(
            request.action.kind.max_argument,
            request.maximum,
            f"at least {number}, the number of those to be changed. "
            "Try dry_run=true first",
        )


def read_action_request(action: Action, args: Args) -> ActionRequest:
    """Return what is asked for. Raises ArgumentError where it cannot be read, nobody is
    named, or more than the command may change."""
    targets = read_targets(action, args)
    ids = [each for each in targets if is_guid(each)]
    names = [each for each in targets if not is_guid(each)]
    request = ActionRequest(
        action=action,
        ids=ids,
        names=names,
        maximum=whole_number(args, action.kind.max_argument, MAX_IDS),
        dry_run=flag(args, "dry_run"),
        verify=flag(args, "verify"),
    )

    check_number(request, len(targets))
    return request


def response_is_allowed(settings: Settings) -> bool:
    """Tell whether the instance may change anything, as far as its settings say.

    Device code asks for write permissions only if "Allow response commands" is selected;
    an application has the permissions it was granted, whatever is selected.
    """
    by_device_code = settings.sign_in is SignIn.DEVICE_CODE
    return settings.allow_response or not by_device_code


RESPONSE_IS_OFF = (
    "Response commands are off in this instance. Select 'Allow response commands' "
    "in its settings, then run !azure-risky-users-auth-start and sign in anew."
)


def rows_by_id(rows: Iterable[Row]) -> KnownRows:
    """Return objects by id, each once. Raises GraphError: one has no GUID, or two with one
    id are not the same."""
    known: KnownRows = {}
    for row in rows:
        item_id = str(row.get("id")).lower()
        if not is_guid(item_id):
            raise GraphError(
                "Graph answered with an object whose id is no GUID. The answer is not used."
            )
        if known.setdefault(item_id, row) != row:
            raise GraphError(
                f"Graph answered with two states of {item_id}. The answer is not used."
            )

    return known


def find_by_id(
    client: GraphClient, action: Action, ids: list[str]
) -> KnownRows:
    """Return the objects with some ids, as far as Graph knows them. Raises RequestError:
    not all could be read, or one that came was not asked for."""
    rows = find_all(client, action.resource, action.kind.id_filter, ids)
    return rows_by_id(rows)


# The objects of each name, by the name as it was given.
Namesakes = dict[str, KnownRows]


def find_namesakes(
    client: GraphClient, resource: Resource, names: list[str]
) -> Namesakes:
    """Return the objects that have each of the names, whatever its case."""
    rows = find_all(client, resource, "user_principal_name", names)
    return {
        name: rows_by_id(
            row
            for row in rows
            if row["userPrincipalName"].lower() == name.lower()
        )
        for name in names
    }


def find_accounts(client: GraphClient, names: list[str]) -> Namesakes:
    """Return the accounts of the directory that have each of the names.

    Raises GraphError: the directory could not be read, or answered with others; object
    ids work without it.
    """
    try:
        return find_namesakes(client, DIRECTORY_USERS, names)
    except GraphError as error:
        shown = ", ".join(names)
        raise GraphError(
            f"No living risky user has the name {shown}, and the directory could not be "
            f"used. An object ID works without it. Nothing was changed. {error}",
            error.status,
        ) from None


def id_and_state(item_id: str, row: Row) -> str:
    return f"{item_id}, deleted" if is_deleted(row) else item_id


def objection(action: Action, name: str, namesakes: KnownRows) -> str:
    """Say why a name cannot be acted on; '' where it means one living account."""
    ids = "; ".join(starmap(id_and_state, namesakes.items()))
    if len(namesakes) > 1:
        return (
            f"{name}: {len(namesakes)} users have that name ({ids}). Give an ID"
        )
    if any(is_deleted(row) for row in namesakes.values()):
        return (
            f"{name}: that account is deleted ({ids}). Give its ID to act on it"
        )

    if namesakes:
        return ""
    if action.needs_record:
        return (
            f"{name}: no risky user has that name, so there is no risk to close"
        )
    return f"{name}: neither a risky user nor an account of the directory has that name"


def without_living(found: Namesakes) -> list[str]:
    """Return the names that no living risky user has."""
    return [
        name
        for name, namesakes in found.items()
        if all(is_deleted(row) for row in namesakes.values())
    ]


def with_accounts(client: GraphClient, found: Namesakes) -> Namesakes:
    """Return the namesakes with those of the directory, where no living one is known."""
    unknown = without_living(found)
    if not unknown:
        return found

    accounts = find_accounts(client, unknown)
    return {
        name: {**accounts.get(name, {}), **namesakes}
        for name, namesakes in found.items()
    }


def resolve_names(client: GraphClient, request: ActionRequest) -> KnownRows:
    """Return the user that each name means, by id: a risky user, else for an action that
    needs no risk record an account of the directory.

    Raises ArgumentError: a name means nobody, several users, or one who was deleted.
    RequestError: Graph could not be asked, or answered with others. Nothing was changed.
    """
    action = request.action
    found = find_namesakes(client, RISKY_USERS, request.names)
    if not action.needs_record:
        found = with_accounts(client, found)

    objections = [
        objection(action, name, namesakes) for name, namesakes in found.items()
    ]
    texts = "; ".join(filter(None, objections))
    if texts:
        shown = ", ".join(request.names)
        accepted = f"names of one account each. {texts}. Nothing was changed"
        raise ArgumentError(action.argument, shown, accepted)

    known: KnownRows = {}
    for namesakes in found.values():
        known.update(namesakes)
    return known


def unknown_id_reason(action: Action, consequence: str = "") -> str:
    """Say that Graph told nothing of an ID, what follows, and why that may be."""
    text = f"Graph knows no risk for this ID{consequence}"
    absence = action.resource.absence
    return f"{text}. {absence}" if absence else text


def dry_run_outcome(action: Action, row: Row) -> ActionOutcome:
    """Return what would become of an object; `row` is {} for one that Graph does not
    know."""
    if has_record(row):
        return ActionOutcome(DRY_RUN, action.caveat(row))
    if action.needs_record or not row:
        reason = unknown_id_reason(action, ", and may refuse it")
        return ActionOutcome(DRY_RUN, reason)

    return ActionOutcome(DRY_RUN, "an account without any risk so far")


def target_columns(row: Row) -> Row:
    """Return what an action's table tells of an object, as far as it is known."""
    return {name: row[name] for name in TARGET_COLUMNS if name in row}


def counted_statuses(outcomes: ActionOutcomes) -> str:
    """Return how many ids have each status, as in "2 submitted, 1 refused"."""
    statuses = [outcome.status for outcome in outcomes.values()]
    numbers = Counter(statuses)
    parts = [f"{number} {status}" for status, number in numbers.items()]
    return ", ".join(parts)


def action_results(
    action: Action, known: KnownRows, outcomes: ActionOutcomes, note: str = ""
) -> CommandResults:
    """Return the entry for an action: a row for each id, with what is known of it."""
    now = now_literal()
    rows = [
        {
            "id": item_id,
            **target_columns(known.get(item_id, {})),
            "action": action.path,
            **outcome._asdict(),
            "time": now,
        }
        for item_id, outcome in outcomes.items()
    ]

    action_name = pascalToSpace(action.path)
    title = f"{action_name}: {len(rows)} {action.resource.noun}(s)"
    notes = f"{counted_statuses(outcomes)}. {note}".strip()
    table = markdown_table(title, rows, ACTION_COLUMNS, [notes])
    return CommandResults(
        outputs_prefix="AzureRiskyUsers.RiskAction",
        outputs_key_field=["id", "action"],
        outputs=rows,
        readable_output=table,
    )


def dry_run_action(
    client: GraphClient, request: ActionRequest
) -> CommandResults:
    """Return whom an action would change."""
    action = request.action
    named = resolve_names(client, request)
    identified = find_by_id(client, action, request.ids)
    known = named | identified
    ids = dict.fromkeys([*request.ids, *known])

    outcomes = {
        item_id: dry_run_outcome(action, known.get(item_id, {}))
        for item_id in ids
    }
    note = f"Nothing was changed. {action.effect}\n{action.meaning}"
    return action_results(action, known, outcomes, note)


def count_other_than(status: str, outcomes: ActionOutcomes) -> int:
    """Return how many ids have another status."""
    others = [each for each in outcomes.values() if each.status != status]
    return len(others)


def halves(ids: list[str]) -> list[list[str]]:
    larger_half = quotient_rounded_up(len(ids), 2)
    return batches(ids, larger_half)


class Submission(NamedTuple):
    """What became of one request, and whether Graph refused it because of its ids."""

    outcome: ActionOutcome
    blames_ids: bool = False

    @property
    def may_go_on(self) -> bool:
        """Whether other batches are worth sending: so too where only these ids were
        refused."""
        return self.blames_ids or self.outcome.status == SUBMITTED


def failed_outcome(error: GraphError) -> ActionOutcome:
    """Tell a refusal, and a request that never left, from one that may have been carried
    out."""
    if not error.was_sent:
        return ActionOutcome(NOT_TRIED, str(error))
    if error.status is not None and error.status < 500:
        return ActionOutcome(REFUSED, str(error))

    cause = (
        "No answer of Graph's came" if error.status is None else "Graph failed"
    )
    reason = f"{cause}; the change may or may not have been made. {error}"
    return ActionOutcome(UNKNOWN, reason)


def submit_batch(
    client: GraphClient, action: Action, ids: list[str]
) -> Submission:
    """Ask Graph for the change, and tell what became of the request.

    Whatever happens is told in the outcome: the record of what was changed before must
    not be lost.
    """
    body = {action.kind.ids_property: ids}
    try:
        client.invoke_action(action.resource, action.path, body)
    except GraphError as error:
        # Graph answers so for all ids when one of them is unknown or cannot be changed.
        blames_ids = error.status in (400, 404)
        return Submission(failed_outcome(error), blames_ids)
    except SignInError as error:
        return Submission(ActionOutcome(NOT_TRIED, str(error)))
    except Exception as error:
        reason = f"The change may or may not have been made. {type(error).__name__}: {error}"
        return Submission(ActionOutcome(UNKNOWN, reason))

    return Submission(ActionOutcome(SUBMITTED))


NO_TIME_LEFT = f"The command had no time left after {PAGING_PERIOD} seconds"
AFTER_A_FAILURE = "An earlier request failed"


def submit_ids(
    client: GraphClient, action: Action, ids: list[str]
) -> ActionOutcomes:
    """Submit ids in batches, and return what became of each.

    A batch that Graph refuses for its ids is halved until the culprits are alone, which
    takes fewer requests than trying one by one. Any other failure ends the attempts.
    """
    outcomes = dict.fromkeys(ids, ActionOutcome(NOT_TRIED, NO_TIME_LEFT))
    waiting = batches(ids, MAX_IDS)
    while waiting and not client.is_late():
        batch = waiting.pop(0)
        submission = submit_batch(client, action, batch)
        if submission.blames_ids and len(batch) > 1:
            waiting = [*halves(batch), *waiting]
            continue

        outcomes.update(dict.fromkeys(batch, submission.outcome))
        if not submission.may_go_on:
            not_tried = ActionOutcome(NOT_TRIED, AFTER_A_FAILURE)
            for each in waiting:
                outcomes.update(dict.fromkeys(each, not_tried))
            break

    return outcomes


def with_next_look(
    results: CommandResults, action: Action, ids: list[str], until: str
) -> CommandResults:
    """Add to an entry the order to look again: the platform runs the command once more,
    with these arguments (polling).

    until: the moment after which what has not taken effect counts as failed.
    """
    results.scheduled_command = ScheduledCommand(
        command=action.command,
        next_run_in_seconds=VERIFY_INTERVAL,
        args={action.argument: ",".join(ids), "verify_until": until},
        timeout_in_seconds=VERIFY_PERIOD + 2 * VERIFY_INTERVAL,
    )
    return results


# What is said above the table of an action, by the status of at least one id.
ACTION_NOTES = {
    SUBMITTED: "Graph applies this within minutes.",
    UNKNOWN: "Look at the state of those that are unknown before trying again.",
}


def action_note(action: Action, outcomes: ActionOutcomes) -> str:
    """Return what follows from an action, as far as something does."""
    statuses = {outcome.status for outcome in outcomes.values()}
    notes = [
        note for status, note in ACTION_NOTES.items() if status in statuses
    ]
    if SUBMITTED in statuses:
        notes.append(action.effect)

    return " ".join(notes) or "Nothing was changed."


TOO_MANY_TO_LOOK_AT = (
    f"More than {MAX_COMPARISONS} IDs are not looked up first; dry_run=true tells which "
    "dismissals will not last."
)
NOT_LOOKED_AT = "Whether the change will last could not be looked up first."


def look_first(
    client: GraphClient, request: ActionRequest
) -> tuple[KnownRows, str]:
    """Return what is known of those who are named by ID, where the action looks first and
    one request is enough, and a note where it was not done.

    Raises nothing: an action may be allowed where reading is not. Nor does a look that
    Graph refuses for coming too often hold up the action for long.
    """
    action = request.action
    if not action.looks_first or not request.ids:
        return {}, ""
    if len(request.ids) > MAX_COMPARISONS:
        return {}, TOO_MANY_TO_LOOK_AT

    try:
        with client.hurry():
            known = find_by_id(client, action, request.ids)
        return known, ""
    except RequestError as error:
        return {}, f"{NOT_LOOKED_AT} {error}"


def with_caveats(
    action: Action, known: KnownRows, outcomes: ActionOutcomes
) -> ActionOutcomes:
    """Return outcomes with what was to be expected of each before its own reason."""
    told = {}
    for item_id, outcome in outcomes.items():
        caveat = action.caveat(known.get(item_id, {}))
        reasons = filter(None, [caveat, outcome.reason])
        told[item_id] = outcome._replace(reason=". ".join(reasons))

    return told


def submit_action(
    client: GraphClient, request: ActionRequest
) -> CommandResults:
    """Have Graph change all that are named, and tell what became of each."""
    action = request.action
    known = resolve_names(client, request)
    ids = list(dict.fromkeys([*request.ids, *known]))
    check_number(request, len(ids))
    looked_at, look_note = look_first(client, request)
    known |= looked_at
    outcomes = submit_ids(client, action, ids)

    told = with_caveats(action, known, outcomes)
    note = f"{action_note(action, outcomes)} {look_note}"
    results = action_results(action, known, told, note)
    failed = count_other_than(SUBMITTED, outcomes)
    if failed:
        raise CommandFailed(
            f"{failed} of {len(ids)} IDs were not accepted; the table tells why.",
            [results],
        )

    if not request.verify:
        return results

    until = now_literal(VERIFY_PERIOD)
    return with_next_look(results, action, ids, until)


def verified_outcome(action: Action, row: Row) -> ActionOutcome:
    """Return whether an object, {} for an unknown one, has the state that the action
    leads to."""
    if not row:
        return ActionOutcome(NOT_APPLIED, unknown_id_reason(action))
    if is_true(row.get("isProcessing")):
        return ActionOutcome(NOT_APPLIED, "Graph is still processing it")
    if row.get("riskState") != action.state:
        return ActionOutcome(NOT_APPLIED)

    return ActionOutcome(APPLIED)


def verification(
    client: GraphClient, action: Action, ids: list[str]
) -> CommandResults:
    """Return the state of each id, all of which have the state the action leads to.

    Raises CommandFailed: they have not. RequestError: the state could not be read.
    """
    known = find_by_id(client, action, ids)
    outcomes = {
        each: verified_outcome(action, known.get(each, {})) for each in ids
    }
    results = action_results(action, known, outcomes)
    not_applied = count_other_than(APPLIED, outcomes)
    if not_applied:
        raise CommandFailed(
            f"{not_applied} of {len(ids)} changes have not taken effect; "
            "the table shows which.",
            [results],
        )

    return results


def may_pass(error: GraphError) -> bool:
    """Tell whether a later look may succeed where this one failed."""
    if error.status in (None, TOO_MANY_REQUESTS):
        return True
    return error.status >= 500


def verify_action(
    client: GraphClient, action: Action, args: Args
) -> CommandResults:
    """Return the state of each id once all have the state the action leads to, or the
    order to look again; so too where a look failed for a cause that may pass.

    Raises as `verification` does, when the time is up. ArgumentError: an argument cannot
    be read.
    """
    targets = read_targets(action, args)
    ids = [guid(action.argument, each) for each in targets]
    until = datetime_literal("verify_until", args["verify_until"])
    try:
        return verification(client, action, ids)
    except CommandFailed as failed:
        error: Exception = failed
    except GraphError as refused:
        if not may_pass(refused):
            raise
        error = refused

    if instant(now_literal()) >= instant(until):
        raise error

    text = f"{error} Looking again in {VERIFY_INTERVAL} seconds."
    return with_next_look(
        CommandResults(readable_output=text), action, ids, until
    )


def run_action(
    instance: Instance, action: Action, args: Args
) -> CommandResults:
    """Submit an action for ids and names, try it out, or look at what became of one.

    Names are resolved first; one that is unknown stops everything before a change. Raises
    ArgumentError, SettingsError, RequestError: nothing was changed. CommandFailed: not
    all ids were accepted. Looking at an earlier action raises as `verify_action` does.
    """
    if args.get("verify_until") is not None:
        return verify_action(instance.client, action, args)

    request = read_action_request(action, args)
    if request.dry_run:
        return dry_run_action(instance.client, request)

    if not response_is_allowed(instance.settings):
        raise SettingsError(RESPONSE_IS_OFF)
    return submit_action(instance.client, request)


# ==== Cases ===================================================================
#
# All that Graph knows of one user, read by four requests; by up to six where the directory
# spells a name otherwise than it was looked for.


DEFAULT_DAYS = 30  # how long Graph keeps sign-ins
MAX_DAYS = 90  # further back, Graph refuses to look


def grouped(rows: Iterable[Row], name: str) -> dict[str, list[Row]]:
    """Return objects by a property, in their order; those without it are left out."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if row.get(name):
            groups.setdefault(str(row[name]), []).append(row)

    return groups


def seconds_between(earlier: str, later: str) -> float:
    """Return the seconds between two instants; infinity where one is no time."""
    if not earlier or not later:
        return math.inf
    start = datetime.fromisoformat(earlier[:19])
    end = datetime.fromisoformat(later[:19])

    return (end - start).total_seconds()


CLOSED_STATES = ("none", *SETTLED_STATES)


def is_open(row: Row) -> bool:
    """Tell whether a risk is neither settled nor remedied. A state that is not known, or
    that Graph does not tell, may be open; an account has none."""
    return "riskState" in row and row["riskState"] not in CLOSED_STATES


def with_other_steps(sign_ins: list[Row], log: list[Row]) -> list[Row]:
    """Return sign-ins of a log with the other steps of the same attempts, in its order."""
    attempts = grouped(sign_ins, "correlationId")
    # A step may bear no correlationId; the objects are the log's own.
    given = set(map(id, sign_ins))

    return [
        row
        for row in log
        if str(row.get("correlationId")) in attempts or id(row) in given
    ]


# The parts of a case, as they are called where one could not be looked at.
RISK = "Risk of the user"
DIRECTORY = "Directory"
HISTORY = "History"
DETECTIONS = "Detections"
SIGN_INS = "Sign-ins"


class Case(NamedTuple):
    """What could be read of one user; the lists are newest first.

    user: the risky user, or the account, which has no riskState. history: how the risk
    changed. unread: the parts above that could not be read at all. not_looked_at: what is
    missing, and why. read_at and log_from, from where the log was read: instants.
    """

    user: Row
    history: list[Row]
    detections: list[Row]
    sign_ins: list[Row]
    unread: list[str]
    not_looked_at: list[str]
    read_at: str
    log_from: str

    @property
    def user_id(self) -> str:
        return str(self.user["id"])

    @property
    def has_record(self) -> bool:
        return has_record(self.user)

    def risky_sign_ins(self) -> list[Row]:
        """Return the sign-ins that have or had risk, or that a detection belongs to."""
        detected = grouped(self.detections, "requestId")

        return [
            row
            for row in self.sign_ins
            if row.get("riskState") not in (None, "none")
            or str(row.get("id")) in detected
        ]

    def attempts(self) -> list[Row]:
        """Return the risky sign-ins, and the other steps of the same attempts."""
        return with_other_steps(self.risky_sign_ins(), self.sign_ins)


class InvestigationRequest(NamedTuple):
    """Whom to investigate, and how many days of sign-ins to read; 0 for none."""

    user: NamedUser
    days: int


def read_investigation_request(args: Args) -> InvestigationRequest:
    """Return what is asked for. Raises ArgumentError: it cannot be read."""
    user = named_user("user", args.get("user") or "")
    days = whole_number(args, "days", DEFAULT_DAYS, MAX_DAYS)
    sign_ins = args.get("sign_ins") or "true"
    if true_or_false("sign_ins", sign_ins) == "false":
        days = 0

    return InvestigationRequest(user, days)


class Subject(NamedTuple):
    """The user to investigate: a risky user, or an account. unread, not_looked_at: what
    could not be read about who it is, as in a case."""

    user: Row
    unread: list[str]
    not_looked_at: list[str]


def not_read(name: str, error: RequestError) -> str:
    """Return the line that says what could not be read, and why."""
    reason = error.summary if isinstance(error, GraphError) else str(error)
    return f"{name}: {reason}"


def account_to_user(account: Row) -> Row:
    """Return an account of the directory under the names of a risky user's properties."""
    return {
        "id": id_of(account),
        "userPrincipalName": account.get("userPrincipalName"),
        "userDisplayName": account.get("displayName"),
    }


def no_account(client: GraphClient, user: NamedUser) -> RequestError:
    """Return the error that says that nobody is meant, and how that was found out."""
    if user.by == "id":
        text = f"No risky user and no account of the directory has the ID {user.text}."
        return RequestError(text)

    return RequestError(
        f"{no_risk_known(client, user)} No account of the directory has it either."
    )


def account_of(client: GraphClient, user: NamedUser) -> Subject:
    """Return the account of the directory that is meant; where the directory cannot be
    asked, an id alone.

    Raises ArgumentError: several have the name. RequestError: nobody has it, or the
    directory cannot be asked for it.
    """
    try:
        accounts = read_matches(client, DIRECTORY_USERS, user.by, [user.text])
    except GraphError as error:
        if user.by != "id":
            raise
        note = not_read(DIRECTORY, error)
        return Subject({"id": user.text.lower()}, [DIRECTORY], [note])

    if not accounts:
        raise no_account(client, user)
    users = [account_to_user(account) for account in accounts]
    return Subject(only_user(user, users), [], [])


def subject_of_record(user: NamedUser, record: Row) -> Subject:
    """Return the risky user of a record. Its name may have passed on to a newer account,
    where it is that of a deleted one."""
    notes = []
    if is_deleted(record) and user.by != "id":
        notes = [f"{DIRECTORY}: whether a newer account has the same name"]
    return Subject({"riskState": None, **record}, [], notes)


def is_spelled_otherwise(user: NamedUser, account: Row) -> bool:
    """Tell whether the directory spells a name in none of the ways that `find_users`
    looks for."""
    spellings = (user.text, user.text.lower())
    return user.by != "id" and account.get(user.property_name) not in spellings


def record_or_account(client: GraphClient, user: NamedUser) -> Subject:
    """Return the risky user or the account that is meant by an id or a name that no risky
    user has.

    The directory minds no case, so that the account that it finds may yet be a risky user
    by another spelling. Raises as `account_of` does.
    """
    subject = account_of(client, user)
    if not is_spelled_otherwise(user, subject.user):
        return subject
    user_id = str(subject.user["id"])
    try:
        record = read_item(client, RISKY_USERS, user_id)
    except GraphError as error:
        if error.status == 404:
            return subject
        raise

    return subject_of_record(user, record)


def find_subject(client: GraphClient, user: NamedUser) -> Subject:
    """Return the risky user who is meant, else the account.

    Where risky users may not be read, for want of a licence or permission, the rest is
    still worth a look. Raises as `account_of` does.
    """
    try:
        rows = find_users(client, user)
    except GraphError as error:
        if error.status == 404:
            return account_of(client, user)
        if error.status != 403:
            raise
        account, unread, notes = account_of(client, user)
        refusal = not_read(RISK, error)
        return Subject(account, [RISK, *unread], [refusal, *notes])

    if rows:
        return subject_of_record(user, only_user(user, rows))
    return record_or_account(client, user)


class Part(NamedTuple):
    """A list of a case: what it is called, and how its newest rows are asked for."""

    name: str
    resource: Resource
    order: str
    query: Json


class PartRows(NamedTuple):
    """The rows of a part, newest first, and what is missing of it, '' for nothing."""

    name: str
    rows: list[Row]
    missing: str = ""

    @property
    def is_unread(self) -> bool:
        return bool(self.missing) and not self.rows


def history_part(user_id: str) -> Part:
    resource = RISKY_USER_HISTORY.for_owner(user_id)
    return Part(HISTORY, resource, "riskLastUpdatedDateTime desc", {})


def list_part(name: str, resource: Resource, args: Args) -> Part:
    """Return the part that a list's arguments ask for."""
    order = resource.default_order
    (filter_text,) = build_filters(resource.filters, args)
    query = build_query(resource, filter_text, order, resource.largest_page)
    return Part(name, resource, order, query)


def read_part(client: GraphClient, part: Part, user_id: str) -> PartRows:
    """Read a part by one request. A failure is told, not raised: the rest of the case is
    worth showing."""
    try:
        client.check_paging_period()
        result = collect(client.pages(part.resource, part.query), ONE_PAGE)
        if result.failure:
            raise result.failure
        check_rows(part.resource, result.rows, "userId", [user_id])
    except RequestError as error:
        return PartRows(part.name, [], not_read(part.name, error))

    rows = sorted_rows(result.rows, part.order)
    missing = f"{part.name}: all but the newest {len(rows)}"
    return PartRows(part.name, rows, missing if result.more else "")


def read_history(client: GraphClient, user: Row) -> PartRows:
    """Read how a user's risk changed; an account without risk has no history."""
    if not has_record(user):
        return PartRows(HISTORY, [])
    user_id = str(user["id"])
    return read_part(client, history_part(user_id), user_id)


def read_detections(client: GraphClient, user_id: str) -> PartRows:
    """Read what was detected, however long ago: risk may have been open for months."""
    part = list_part(DETECTIONS, RISK_DETECTIONS, {"user_id": user_id})
    return read_part(client, part, user_id)


def whole_log() -> Resource:
    """Return the collection of all sign-ins: what is usual tells as much as what is
    risky."""
    names = ("user_id", "created_after")
    filters = {name: RISKY_SIGN_INS.filters[name] for name in names}
    return RISKY_SIGN_INS._replace(noun="sign-in", filters=filters)


def read_sign_ins(client: GraphClient, user_id: str, days: int) -> PartRows:
    """Read the log of some days, risky or not."""
    if not days:
        return PartRows(SIGN_INS, [], f"{SIGN_INS}: not asked for")
    args = {"user_id": user_id, "created_after": f"{days} days"}
    return read_part(client, list_part(SIGN_INS, whole_log(), args), user_id)


def log_start(sign_ins: PartRows, days: int) -> str:
    """Return the instant from where the log was read: so many days ago, or the oldest
    sign-in that was read where older ones were left out."""
    if sign_ins.rows and sign_ins.missing:
        return instant(sign_ins.rows[-1].get("createdDateTime"))
    return instant(now_literal(-86_400 * days))


def read_case(client: GraphClient, request: InvestigationRequest) -> Case:
    """Read what Graph knows of a user. Raises as `find_subject` does."""
    subject = find_subject(client, request.user)
    user_id = str(subject.user["id"])
    history = read_history(client, subject.user)
    detections = read_detections(client, user_id)
    sign_ins = read_sign_ins(client, user_id, request.days)
    parts = (history, detections, sign_ins)
    unread = [part.name for part in parts if part.is_unread]
    missing = [part.missing for part in parts if part.missing]

    return Case(
        user=subject.user,
        history=history.rows,
        detections=detections.rows,
        sign_ins=sign_ins.rows,
        unread=subject.unread + unread,
        not_looked_at=subject.not_looked_at + missing,
        read_at=instant(now_literal()),
        log_from=log_start(sign_ins, request.days),
    )


# ==== Evidence ================================================================
#
# What speaks for a compromise in a case, and what against it. A suggestion comes with its
# reasons, and nothing acts on it.


VERY_STRONG = 100
STRONG = 50
MEDIUM = 20
WEAK = 10
VERY_WEAK = 5
NO_WEIGHT = 0

STRENGTHS = {
    VERY_STRONG: "very strong",
    STRONG: "strong",
    MEDIUM: "medium",
    WEAK: "weak",
    VERY_WEAK: "very weak",
}

# How much a detection says by itself. After what Microsoft writes of each
# (https://learn.microsoft.com/entra/id-protection/concept-risk-detection-types) and the
# public weights of https://github.com/briandelmsft/STAT-Function, in five steps.
EVENT_WEIGHTS = {
    "adminConfirmedUserCompromised": VERY_STRONG,
    "attackerinTheMiddle": VERY_STRONG,
    "attemptedPrtAccess": VERY_STRONG,
    "leakedCredentials": VERY_STRONG,
    "nationStateIP": VERY_STRONG,
    "aiCompoundAccountRisk": STRONG,
    "authenticatorPhishing": STRONG,
    "maliciousIPAddressValidCredentialsBlockedIP": STRONG,
    "mcasSuspiciousInboxManipulationRules": STRONG,
    "passwordSpray": STRONG,  # raised only where the password was right
    "suspiciousAuthAppApproval": STRONG,
    "suspiciousInboxForwarding": STRONG,
    "userReportedSuspiciousActivity": STRONG,
    "anonymizedIPAddress": VERY_WEAK,
    "impossibleTravel": VERY_WEAK,
    "mcasImpossibleTravel": VERY_WEAK,
    "newCountry": VERY_WEAK,
    "unfamiliarFeatures": VERY_WEAK,
    "unlikelyTravel": VERY_WEAK,
}
# What is not listed may be anything: so may "generic", which a licence hides.
OTHER_EVENT_WEIGHT = MEDIUM
WEIGHT_OF = {name.lower(): weight for name, weight in EVENT_WEIGHTS.items()}

# Microsoft does not count a passed MFA against these: a stolen token or a tricked person
# passes it too.
MFA_PROVES_NOTHING = {
    "anomaloustoken",
    "attackerinthemiddle",
    "attemptedprtaccess",
    "authenticatorphishing",
    "investigationsthreatintelligence",
    "investigationsthreatintelligencesigninlinked",
    "nationstateip",
    "suspiciousauthappapproval",
    "tokenissueranomaly",
}

# Values of riskDetail that say that the password was replaced, or the sessions ended.
REMEDIES = (
    "adminGeneratedTemporaryPassword",
    "microsoftRevokedSessions",
    "userChangedPasswordOnPremises",
    "userPerformedSecuredPasswordChange",
    "userPerformedSecuredPasswordReset",
)

TIMING_WORDS = {
    "realtime": "in real time",
    "nearRealtime": "in near real time",
    "offline": "offline",
}

# Protocols that know no MFA, by how Graph's name for them begins.
LEGACY_CLIENTS = (
    *("authenticated smtp", "autodiscover", "exchange", "imap", "mapi"),
    *("other clients", "pop", "smtp"),
)

MFA_FAILED = 500121
MFA_PASSED = ("mfa completed", "mfa successfully completed")
MFA_FATIGUE = 3  # denied or ignored requests before one is granted
FATIGUE_PERIOD = 3_600  # seconds
CLOSE_PERIOD = (
    86_400  # seconds within which different detections count as one attack
)
KNOWN_ADDRESS = 5  # sign-ins from an IP address before it counts as known
# Seconds. What an attacker did before the first detection is not what is usual.
QUIET_PERIOD = 7 * 86_400
MANY_REASONS = 3


def words_for(event_types: Iterable[Any]) -> str:
    """Return event types in words, each once."""
    words = map(str, event_words(event_types))
    return ", ".join(dict.fromkeys(words))


def happened(row: Row) -> str:
    """Return the instant of a sign-in, or of what was detected; '' where it is unknown."""
    return (
        instant(row.get("createdDateTime"))
        or instant(row.get("activityDateTime"))
        or instant(row.get("detectedDateTime"))
    )


class Evidence(NamedTuple):
    """What counts of a case: risk that is settled does not.

    detections and sign_ins: those whose risk is open, and what only a sign-in tells to
    have been detected. usual: sign-ins that succeeded without any risk. log: all sign-ins
    since the user's risk was settled. remedies: items of the history that tell of a remedy
    after the newest of the detections.
    """

    detections: list[Row]
    sign_ins: list[Row]
    usual: list[Row]
    log: list[Row]
    remedies: list[Row]

    @property
    def unexplained(self) -> list[Row]:
        """The detections that no sign-in of the log belongs to."""
        logged = grouped(self.sign_ins, "id")

        return [
            row
            for row in self.detections
            if str(row.get("requestId")) not in logged
        ]

    @property
    def unlogged(self) -> list[Row]:
        """The detections of sign-ins that the log, as far as it was read, does not have:
        nobody knows how those ended."""
        return [row for row in self.unexplained if row.get("requestId")]

    @property
    def known(self) -> list[Row]:
        """The usual sign-ins of long before the first one with open risk."""
        first = min(map(happened, self.sign_ins), default="")

        return [
            row
            for row in self.usual
            if QUIET_PERIOD <= seconds_between(happened(row), first) < math.inf
        ]

    @property
    def own_addresses(self) -> dict[str, int]:
        """The IP addresses that the user is known by, each with its sign-ins."""
        by_address = grouped(self.known, "ipAddress")
        return {
            address: len(rows)
            for address, rows in by_address.items()
            if len(rows) >= KNOWN_ADDRESS
        }

    @property
    def event_types(self) -> set[str]:
        """The event types of the detections, in lower case."""
        return {
            str(row.get("riskEventType")).lower() for row in self.detections
        }

    @property
    def succeeded(self) -> list[Row]:
        """The sign-ins with open risk that let somebody in."""
        return [row for row in self.sign_ins if error_code(row) == 0]


NEVER = "9999"  # after all instants


def noticed(row: Row) -> str:
    """Return the instant of what was detected, or of its detection, whichever is later;
    '' where neither is known."""
    return max(happened(row), instant(row.get("detectedDateTime")))


def remedies_since(history: list[Row], detections: list[Row]) -> list[Row]:
    """Return the items of a history that tell of a remedy after all of some detections;
    none where it is not known when one of them was."""
    times = list(map(noticed, detections))
    if "" in times:
        return []
    newest = max(times, default=NEVER)

    return [
        item
        for item in history
        if item.get("riskDetail") in REMEDIES
        and instant(item.get("riskLastUpdatedDateTime")) > newest
    ]


def usual_sign_ins(case: Case) -> list[Row]:
    """Return the sign-ins that succeeded and never had any risk."""
    risky = grouped(case.attempts(), "id")

    return [
        row
        for row in case.sign_ins
        if error_code(row) == 0 and str(row.get("id")) not in risky
    ]


def has_open_risk(sign_in: Row) -> bool:
    """Tell whether a sign-in has a risk that is open. Null tells of none."""
    return bool(sign_in.get("riskState")) and is_open(sign_in)


def sign_ins_at_risk(case: Case, detections: list[Row]) -> list[Row]:
    """Return the sign-ins whose risk is open, or that one of the detections belongs to;
    and the other steps of these attempts, since only one step may bear the risk."""
    detected = grouped(detections, "requestId")
    at_risk = [
        row
        for row in case.sign_ins
        if has_open_risk(row) or str(row.get("id")) in detected
    ]

    return with_other_steps(at_risk, case.sign_ins)


def unsettled_log(case: Case) -> list[Row]:
    """Return the sign-ins since the user's risk was settled; all, where it was not."""
    if case.user.get("riskState") not in SETTLED_STATES:
        return case.sign_ins
    settled = instant(case.user.get("riskLastUpdatedDateTime"))
    return [row for row in case.sign_ins if happened(row) > settled]


def as_detection(sign_in: Row, event_type: str) -> Row:
    """Return what a sign-in itself says was detected, as a detection."""
    return {
        **sign_in,
        "requestId": sign_in.get("id"),
        "riskEventType": event_type,
        "riskLevel": sign_in.get("riskLevelAggregated"),
        "additionalDetails": {},
    }


def told_by_sign_ins(case: Case) -> list[Row]:
    """Return what only the log says was detected in sign-ins with open risk: detections
    may be unread, cut off or late."""
    told = grouped(case.detections, "requestId")

    return [
        as_detection(row, str(event_type))
        for row in filter(has_open_risk, case.sign_ins)
        if str(row.get("id")) not in told
        for event_type in list_in(row, "riskEventTypes_v2")
    ]


def evidence_of(case: Case) -> Evidence:
    """Return what counts of a case."""
    detections = list(filter(is_open, case.detections))
    detections += told_by_sign_ins(case)

    return Evidence(
        detections=detections,
        sign_ins=sign_ins_at_risk(case, detections),
        usual=usual_sign_ins(case),
        log=unsettled_log(case),
        remedies=remedies_since(case.history, detections),
    )


COMPROMISED = "compromised"
SAFE = "safe"
HANDLED = "handled"  # real, and remedied by now
NEITHER = "neither"  # worth knowing

DIRECTIONS = {
    COMPROMISED: "for a compromise",
    SAFE: "against a compromise",
    HANDLED: "remedied since",
    NEITHER: "for information",
}


class Fact(NamedTuple):
    """One reason for a suggestion: what it is, what it speaks for (one of DIRECTIONS),
    how strongly (one of STRENGTHS), and when it was, as an instant."""

    text: str
    direction: str
    weight: int
    time: str


Facts = Iterator[Fact]


def newest_of(rows: list[Row], text: str, direction: str, weight: int) -> Facts:
    """A fact that some sign-ins or detections bear out, dated by the newest; none where
    there are none."""
    for row in rows[:1]:
        time = happened(row)
        yield Fact(text, direction, weight, time)


def event_text(event_type: str, rows: list[Row]) -> str:
    """Say what was detected, how often, and how."""
    parts = [words_for([event_type])]
    if len(rows) > 1:
        parts.append(f"{len(rows)} times")

    timing = str(rows[0].get("detectionTimingType"))
    if timing in TIMING_WORDS:
        parts.append(f"detected {TIMING_WORDS[timing]}")
    return ", ".join(parts)


def event_facts(evidence: Evidence) -> Facts:
    """Each type of detection."""
    by_type = grouped(evidence.detections, "riskEventType")

    for event_type, rows in by_type.items():
        text = event_text(event_type, rows)
        weight = WEIGHT_OF.get(event_type.lower(), OTHER_EVENT_WEIGHT)
        yield from newest_of(rows, text, COMPROMISED, weight)


def attack_words(rows: Iterable[Row]) -> str:
    """Return the types of some detections in words, as in "Leaked credentials"."""
    words = [words_for([row.get("riskEventType")]) for row in rows]
    distinct = dict.fromkeys(words)
    return " and ".join(distinct)


def are_one_attack(later: Row, earlier: Row) -> bool:
    """Tell whether two detections are of different types, and close in time."""
    if attack_words([later]) == attack_words([earlier]):
        return False
    seconds = seconds_between(happened(earlier), happened(later))
    return seconds <= CLOSE_PERIOD


def compound_facts(evidence: Evidence) -> Facts:
    """Detections of different types that came close together, which Microsoft counts as
    more than their sum
    (https://learn.microsoft.com/entra/id-protection/concept-unified-risk)."""
    in_order = sorted(evidence.detections, key=happened, reverse=True)

    for later, earlier in pairwise(in_order):
        if are_one_attack(later, earlier):
            words = attack_words((earlier, later))
            text = f"{words} within 24 hours of each other"
            yield from newest_of([later], text, COMPROMISED, MEDIUM)
            return


def was_found_twice(rows: list[Row]) -> bool:
    """Tell whether detections of one sign-in were made at once and again later."""
    timings = grouped(rows, "detectionTimingType")
    return "realtime" in timings and "offline" in timings


def found_twice_facts(evidence: Evidence) -> Facts:
    """A sign-in that was found risky at once, and again when it was looked at later."""
    by_sign_in = grouped(evidence.detections, "requestId")
    found = [rows[0] for rows in by_sign_in.values() if was_found_twice(rows)]
    text = "One sign-in was found risky at once and again later"
    return newest_of(found, text, COMPROMISED, MEDIUM)


def number_before(sign_in: Row, others: list[Row]) -> int:
    """Return how many sign-ins were made in the hour before another."""
    end = happened(sign_in)
    spans = [seconds_between(happened(row), end) for row in others]
    before = [span for span in spans if 0 <= span <= FATIGUE_PERIOD]
    return len(before)


def fatigue_facts(evidence: Evidence) -> Facts:
    """A person who was asked for MFA until they gave in. From an address of their own
    they mistype a code themselves."""
    failed = [row for row in evidence.log if error_code(row) == MFA_FAILED]
    granted = [row for row in evidence.log if error_code(row) == 0]
    by_address = grouped(failed, "ipAddress")
    foreign = by_address.keys() - evidence.own_addresses

    for sign_in in granted:
        address = str(sign_in.get("ipAddress"))
        if address not in foreign:
            continue
        number = number_before(sign_in, by_address[address])
        if number >= MFA_FATIGUE:
            text = f"{number} requests for MFA failed before one was granted"
            yield from newest_of([sign_in], text, COMPROMISED, STRONG)
            return


def is_by_legacy_client(sign_in: Row) -> bool:
    client = str(sign_in.get("clientAppUsed"))
    return client.lower().startswith(LEGACY_CLIENTS)


def legacy_facts(evidence: Evidence) -> Facts:
    """A risky sign-in by a protocol that knows no MFA."""
    rows = list(filter(is_by_legacy_client, evidence.succeeded))
    text = "A risky sign-in succeeded by a protocol without MFA"
    return newest_of(rows, text, COMPROMISED, MEDIUM)


def country_of(row: Row) -> str:
    return str(object_in(row, "location").get("countryOrRegion") or "")


def foreign_facts(evidence: Evidence) -> Facts:
    """A risky sign-in from a country that no usual one came from."""
    if len(evidence.usual) < KNOWN_ADDRESS:
        return
    usual = {"", *map(country_of, evidence.usual)}
    rows = [row for row in evidence.succeeded if country_of(row) not in usual]

    for row in rows[:1]:
        text = f"A risky sign-in succeeded from {country_of(row)}, a country of no usual sign-in"
        yield from newest_of([row], text, COMPROMISED, MEDIUM)


def unfamiliar_facts(evidence: Evidence) -> Facts:
    """A sign-in of which nearly everything is new."""
    rows = [
        row
        for row in evidence.detections
        if len(risk_reasons(row)) >= MANY_REASONS
    ]
    text = f"{MANY_REASONS} or more properties of the sign-in were unfamiliar"

    return newest_of(rows, text, COMPROMISED, WEAK)


def facts_of_each(
    sign_ins: list[Row], holds: Callable[[Row], bool], text: str
) -> Facts:
    """A fact against a compromise, where it holds for each of some sign-ins: the only one
    that it does not hold for may be the attacker's."""
    if all(map(holds, sign_ins)):
        yield from newest_of(sign_ins, text, SAFE, MEDIUM)


def known_address_facts(evidence: Evidence) -> Facts:
    """IP addresses of risky sign-ins that the user is known by."""
    own = evidence.own_addresses
    used = [str(row.get("ipAddress")) for row in evidence.sign_ins]
    number = min((own.get(address, 0) for address in used), default=0)
    if number:
        text = f"The same IP address signed in {number} times a week or more before"
        yield from newest_of(evidence.sign_ins, text, SAFE, MEDIUM)


def is_managed(sign_in: Row) -> bool:
    device = object_in(sign_in, "deviceDetail")
    is_compliant = is_true(device.get("isCompliant"))
    return is_compliant and is_true(device.get("isManaged"))


def managed_device_facts(evidence: Evidence) -> Facts:
    """Risky sign-ins by devices of the organisation's own."""
    text = "The device is managed and compliant"
    return facts_of_each(evidence.sign_ins, is_managed, text)


def asked_for_mfa(policy: Any) -> bool:
    """Tell whether a Conditional Access policy required MFA and nothing else, and was
    met: of two controls, one may be enough."""
    if not isinstance(policy, dict) or policy.get("result") != "success":
        return False
    controls = list_in(policy, "enforcedGrantControls")
    names = [str(control).lower() for control in controls]

    return names == ["mfa"]


def passed_mfa(sign_in: Row) -> bool:
    """Tell whether MFA was passed in this very sign-in. A claim in the token, which may
    be stolen, is no proof, nor is MFA that was skipped."""
    status = object_in(sign_in, "status")
    details = str(status.get("additionalDetails") or "").lower()
    if details:
        return details.startswith(MFA_PASSED)
    policies = list_in(sign_in, "appliedConditionalAccessPolicies")

    return any(map(asked_for_mfa, policies))


def mfa_facts(evidence: Evidence) -> Facts:
    """MFA that was passed in the risky sign-ins, where that proves anything."""
    if evidence.event_types & MFA_PROVES_NOTHING:
        return iter(())
    return facts_of_each(evidence.succeeded, passed_mfa, "MFA was passed")


def outcome_facts(evidence: Evidence) -> Facts:
    """Whether a risky sign-in let somebody in."""
    if evidence.succeeded:
        text = "A risky sign-in succeeded"
        return newest_of(evidence.succeeded, text, NEITHER, NO_WEIGHT)
    text = "No risky sign-in of the log succeeded"

    return newest_of(evidence.sign_ins, text, NEITHER, NO_WEIGHT)


def unlogged_facts(evidence: Evidence) -> Facts:
    """Risky sign-ins of which nobody knows how they ended."""
    number = len(grouped(evidence.unlogged, "requestId"))
    sign_ins = "A risky sign-in" if number == 1 else f"{number} risky sign-ins"
    text = f"{sign_ins} may have succeeded: not in the log that was read"

    return newest_of(evidence.unlogged, text, NEITHER, NO_WEIGHT)


def remedy_facts(evidence: Evidence) -> Facts:
    """A remedy since the newest detection."""
    for item in evidence.remedies[:1]:
        text = str(word_for("riskDetail", item.get("riskDetail")))
        time = instant(item.get("riskLastUpdatedDateTime"))
        yield Fact(text, HANDLED, STRONG, time)


FACT_FINDERS: tuple[Callable[[Evidence], Facts], ...] = (
    event_facts,
    compound_facts,
    found_twice_facts,
    fatigue_facts,
    legacy_facts,
    foreign_facts,
    unfamiliar_facts,
    known_address_facts,
    managed_device_facts,
    mfa_facts,
    remedy_facts,
    outcome_facts,
    unlogged_facts,
)


def find_facts(evidence: Evidence) -> list[Fact]:
    """Return all that speaks for or against a compromise, the strongest first."""
    facts = [fact for find in FACT_FINDERS for fact in find(evidence)]
    return sorted(facts, key=lambda fact: fact.weight, reverse=True)


class Assessment(NamedTuple):
    """What a suggestion is made from."""

    case: Case
    evidence: Evidence
    facts: list[Fact]

    def weights(self, direction: str) -> list[int]:
        return [
            fact.weight for fact in self.facts if fact.direction == direction
        ]

    def strongest(self, direction: str) -> int:
        return max(self.weights(direction), default=0)


def nothing_is_open(assessment: Assessment) -> bool:
    """Neither the user nor a detection nor a sign-in has a risk that is open."""
    evidence = assessment.evidence
    open_rows = evidence.detections + evidence.sign_ins
    return not (is_open(assessment.case.user) or open_rows)


def risk_is_unknown(assessment: Assessment) -> bool:
    """No risk is open as far as could be read, and that was not far enough."""
    unread = assessment.case.unread
    return nothing_is_open(assessment) and (
        RISK in unread or DETECTIONS in unread
    )


def speaks_without_risk(assessment: Assessment) -> bool:
    """No risk is open, and yet a fact speaks for a compromise."""
    return (
        nothing_is_open(assessment)
        and assessment.strongest(COMPROMISED) > NO_WEIGHT
    )


def cannot_be_judged(assessment: Assessment) -> bool:
    """Graph takes no verdict on an account that is deleted."""
    return is_deleted(assessment.case.user)


def is_confirmed(assessment: Assessment) -> bool:
    """An administrator has confirmed the compromise."""
    return assessment.case.user.get("riskState") == "confirmedCompromised"


def is_remedied(assessment: Assessment) -> bool:
    """There was a remedy since the newest detection."""
    return bool(assessment.evidence.remedies)


def may_have_got_in(assessment: Assessment) -> bool:
    """A risky sign-in succeeded, or it is not known how all of them ended."""
    evidence = assessment.evidence
    missing = assessment.case.not_looked_at or evidence.unlogged
    return bool(evidence.succeeded or missing)


def is_handled(assessment: Assessment) -> bool:
    """It was remedied, and nobody had got in or an administrator looked at it."""
    if not is_remedied(assessment):
        return False
    return is_confirmed(assessment) or not may_have_got_in(assessment)


def facts_disagree(assessment: Assessment) -> bool:
    """What speaks for a compromise does not stand alone."""
    strongest = assessment.strongest(COMPROMISED)
    against = assessment.weights(SAFE)

    return strongest < VERY_STRONG and len(against) > 1


def is_compromised(assessment: Assessment) -> bool:
    """A very strong fact, or a strong one and somebody who got in."""
    strongest = assessment.strongest(COMPROMISED)
    let_in = bool(assessment.evidence.succeeded)
    return strongest >= VERY_STRONG or (strongest >= STRONG and let_in)


def is_seen_whole(assessment: Assessment) -> bool:
    """All could be read, and each detection belongs to a sign-in of the log."""
    missing = assessment.case.not_looked_at or assessment.evidence.unexplained
    return not missing


def is_rated_high(assessment: Assessment) -> bool:
    """Graph rates the user or a detection as high, or the licence hides how."""
    rows = [assessment.case.user, *assessment.evidence.detections]
    levels = [row.get("riskLevel") for row in rows]
    return "high" in levels or "hidden" in levels


def may_be_false_alarm(assessment: Assessment) -> bool:
    """All is seen, there is something to explain, and it is nothing grave."""
    if is_rated_high(assessment) or not is_seen_whole(assessment):
        return False
    return NO_WEIGHT < assessment.strongest(COMPROMISED) <= WEAK


def is_false_alarm(assessment: Assessment) -> bool:
    """Only weak facts speak for a compromise, and two or more against it."""
    if not may_be_false_alarm(assessment):
        return False
    against = assessment.weights(SAFE)
    for_it = assessment.weights(COMPROMISED)
    outweighs = sum(against) > sum(for_it)

    return outweighs and len(against) > 1


NO_VERDICT = "none"
LOOK_CLOSER = "lookCloser"
CONFIRM_COMPROMISED = "confirmCompromised"
CONFIRM_SAFE = "confirmSafe"
DISMISS = "dismiss"


class Rule(NamedTuple):
    """A suggestion, when it is made, and the sentence that says so."""

    holds: Callable[[Assessment], bool]
    suggestion: str
    sentence: str


# The first that holds.
RULES = (
    Rule(
        risk_is_unknown,
        LOOK_CLOSER,
        "look closer: not all of the risk could be read.",
    ),
    Rule(
        speaks_without_risk,
        LOOK_CLOSER,
        "look closer: no risk is open, and yet a fact speaks for a compromise.",
    ),
    Rule(nothing_is_open, NO_VERDICT, "no verdict: no risk is open."),
    Rule(
        cannot_be_judged,
        NO_VERDICT,
        "no verdict: the account is deleted, and Entra ID Protection accepts none for it.",
    ),
    Rule(
        is_handled,
        DISMISS,
        "dismiss: it was remedied since the newest detection.",
    ),
    Rule(
        is_confirmed,
        NO_VERDICT,
        "no further verdict: the compromise is confirmed. Reset the password and "
        "revoke the sessions, then dismiss.",
    ),
    Rule(
        is_false_alarm,
        CONFIRM_SAFE,
        "confirm safe: only weak facts speak for a compromise, several against it.",
    ),
    Rule(
        is_remedied,
        LOOK_CLOSER,
        "look closer: it was remedied, but somebody had got in, or may have.",
    ),
    Rule(facts_disagree, LOOK_CLOSER, "look closer: the facts disagree."),
    Rule(
        is_compromised,
        CONFIRM_COMPROMISED,
        "confirm compromised: the facts are strong.",
    ),
    Rule(
        lambda _: True,
        LOOK_CLOSER,
        "look closer: the facts are few or weak.",
    ),
)


def rule_for(assessment: Assessment) -> Rule:
    return next(rule for rule in RULES if rule.holds(assessment))


# ==== Investigation ===========================================================
#
# A case as a card for the analyst, and as context for the next task.


INVESTIGATION = (
    "AzureRiskyUsers.Investigation(val.userId && val.userId == obj.userId)"
)
ACCOUNT = "Account(val.ID && val.ID == obj.ID)"
IP = "IP(val.Address && val.Address == obj.Address)"
# Rows of the card's tables; context holds all.
MAX_EVENTS = 25
MAX_ADDRESSES = 10
MAX_USUAL = 10

# The timeline: one row for each sign-in with risk, for each detection without a sign-in,
# and for each change of the user's risk.

SIGN_IN_EVENT = "signIn"
DETECTION_EVENT = "detection"
HISTORY_EVENT = "history"
ACTION_EVENT = "action"
NOT_IN_LOG = "not in the log of interactive sign-ins"
BEFORE_LOG = "before the part of the log that was read"


class Place(NamedTuple):
    """Where a sign-in or a detection came from; None for what is unknown."""

    ipAddress: Any = None  # noqa: N815 - as in context
    city: Any = None
    countryOrRegion: Any = None  # noqa: N815 - as in context


NOWHERE = Place()


def origin(row: Row) -> Place:
    location = object_in(row, "location")

    return Place(
        ipAddress=row.get("ipAddress"),
        city=location.get("city"),
        countryOrRegion=location.get("countryOrRegion"),
    )


class Event(NamedTuple):
    """One row of the timeline. client and outcome are '' where there are none."""

    time: Any
    kind: str
    text: str
    level: Any
    id: Any
    place: Place = NOWHERE
    client: str = ""
    outcome: str = ""

    def to_context(self) -> Json:
        """Return the event as it goes to context, with its place beside the rest."""
        row = self._asdict()
        del row["place"]
        return {**row, **self.place._asdict()}


def highest_level(rows: Iterable[Row]) -> Any:
    """Return the highest riskLevel of some objects; None of none."""
    levels = [row.get("riskLevel") for row in rows]
    return max(
        levels, key=lambda level: SEVERITIES.get(str(level), 0), default=None
    )


def device_text(sign_in: Row) -> str:
    """Return what a sign-in was made with, as in "Firefox 126.0, Linux, managed"."""
    device = object_in(sign_in, "deviceDetail")
    texts = [device.get("browser"), device.get("operatingSystem")]
    if is_true(device.get("isManaged")):
        texts.append("managed")

    shown = [str(text) for text in texts if text]
    client = str(sign_in.get("clientAppUsed") or "")
    return ", ".join(shown) or client


def user_agents(detections: Iterable[Row]) -> list[str]:
    """Return the user agents of detections, each once."""
    agents = [
        object_in(row, "additionalDetails").get("userAgent")
        for row in detections
    ]
    texts = [agent for agent in agents if isinstance(agent, str) and agent]

    return list(dict.fromkeys(texts))


def text_of_sign_in(sign_in: Row) -> str:
    """Say what a sign-in is of which no event type is known."""
    if sign_in.get("riskState") in (None, "none"):
        return "Further step of a risky sign-in"
    return "Risky sign-in"


def logged_event(sign_in: Row, detections: list[Row], otherwise: str) -> Event:
    """Return the event of a sign-in of the log, with its detections. otherwise: its text
    where no event type is known."""
    event_types = [row.get("riskEventType") for row in detections]
    event_types += list_in(sign_in, "riskEventTypes_v2")
    level = highest_level(detections) or sign_in.get("riskLevelAggregated")

    return Event(
        time=sign_in.get("createdDateTime"),
        kind=SIGN_IN_EVENT,
        text=words_for(event_types) or otherwise,
        level=level,
        id=sign_in.get("id"),
        place=origin(sign_in),
        client=device_text(sign_in),
        outcome=sign_in_outcome(sign_in),
    )


def detection_event(detections: list[Row], outcome: str = "") -> Event:
    """Return the event of detections of one activity, of which nothing else is known."""
    newest = detections[0]
    activity = newest.get("activityDateTime")
    request_id = newest.get("requestId")
    event_types = [row.get("riskEventType") for row in detections]
    agents = user_agents(detections)
    event = Event(
        time=activity or newest.get("detectedDateTime"),
        kind=SIGN_IN_EVENT if request_id else DETECTION_EVENT,
        text=words_for(event_types),
        level=highest_level(detections),
        id=request_id or newest.get("id"),
    )

    return event._replace(
        place=origin(newest),
        client=agents[0] if agents else "",
        outcome=outcome,
    )


def state_words(user: Row) -> str:
    """Say how a user's risk stands."""
    state = str(user.get("riskState"))
    return STATE_WORDS.get(state, f"in an unknown state ({state})")


def cause_of(item: Row) -> str:
    """Return what changed a user's risk: a detail that settles it, else event types."""
    detail = item.get("riskDetail")
    if detail in (None, "none"):
        return words_for(history_event_types(item))
    return str(word_for("riskDetail", detail))


def history_text(item: Row) -> str:
    """Say how the user's risk stood after a change, and what or who caused it."""
    text = f"User {state_words(item)}"
    cause = cause_of(item)
    if cause:
        text += f": {cause}"

    actor = item.get("initiatedBy")
    if actor:
        text += f" (by {actor})"
    return text


def history_event(item: Row) -> Event:
    """Return the event of a change of the user's risk."""
    by_person = item.get("initiatedBy")

    return Event(
        time=item.get("riskLastUpdatedDateTime"),
        kind=ACTION_EVENT if by_person else HISTORY_EVENT,
        text=history_text(item),
        level=item.get("riskLevel"),
        id=item.get("id"),
    )


def logged_events(case: Case) -> list[Event]:
    """Return an event for each sign-in of the log that has risk or detections, and for the
    other steps of the same attempts."""
    detections = grouped(case.detections, "requestId")

    events = []
    for row in case.attempts():
        detected = detections.get(str(row.get("id")), [])
        event = logged_event(row, detected, text_of_sign_in(row))
        events.append(event)

    return events


def unlogged_outcome(case: Case, detections: list[Row]) -> str:
    """Say why it is not known how a sign-in ended that the log does not have."""
    if SIGN_INS in case.unread:
        return ""
    time = happened(detections[0])
    if time and time < case.log_from:
        return BEFORE_LOG
    return NOT_IN_LOG


def unlogged_events(case: Case) -> list[Event]:
    """Return an event for each sign-in that is known by its detections alone."""
    logged = grouped(case.sign_ins, "id")
    by_sign_in = grouped(case.detections, "requestId")

    return [
        detection_event(rows, unlogged_outcome(case, rows))
        for request_id, rows in by_sign_in.items()
        if request_id not in logged
    ]


def other_events(case: Case) -> list[Event]:
    """Return an event for each detection without a sign-in."""
    others = [row for row in case.detections if not row.get("requestId")]
    return [detection_event([row]) for row in others]


def usual_events(case: Case) -> list[Event]:
    """Return events of the newest sign-ins, none of which has any risk."""
    newest = case.sign_ins[:MAX_USUAL]
    return [logged_event(row, [], "Sign-in without risk") for row in newest]


def timeline(case: Case) -> list[Event]:
    """Return all events of a case, newest first; of one without any risk, the newest
    sign-ins."""
    events = [
        *logged_events(case),
        *unlogged_events(case),
        *other_events(case),
        *map(history_event, case.history),
    ]
    events = events or usual_events(case)

    return sorted(
        events,
        key=lambda event: instant(event.time),
        reverse=True,
    )


class KnownAddress(NamedTuple):
    """What is known of an IP address: place, first and last instant, and numbers."""

    address: str
    city: Any
    countryOrRegion: Any  # noqa: N815 - as in context
    firstSeen: str  # noqa: N815
    lastSeen: str  # noqa: N815
    detections: int
    signIns: int  # noqa: N815


def known_address(
    address: str, detections: list[Row], sign_ins: list[Row]
) -> KnownAddress:
    """Return what detections and sign-ins from an IP address tell of it."""
    rows = [*detections, *sign_ins]
    times = list(map(happened, rows))
    place = origin(rows[0])

    return KnownAddress(
        address=address,
        city=place.city,
        countryOrRegion=place.countryOrRegion,
        firstSeen=min(times),
        lastSeen=max(times),
        detections=len(detections),
        signIns=len(sign_ins),
    )


def known_addresses(case: Case) -> list[KnownAddress]:
    """Return the IP addresses of a case: those with detections first, then the ones seen
    last."""
    detections = grouped(case.detections, "ipAddress")
    sign_ins = grouped(case.sign_ins, "ipAddress")
    found = []
    for address in detections | sign_ins:
        detected = detections.get(address, [])
        signed_in = sign_ins.get(address, [])
        known = known_address(address, detected, signed_in)
        found.append(known)

    by_time = sorted(found, key=attrgetter("lastSeen"), reverse=True)
    return sorted(by_time, key=lambda each: each.detections == 0)


def technique_rows(case: Case) -> list[Json]:
    """Return id and name of the MITRE ATT&CK techniques of a case, each once."""
    by_id = {}
    for row in case.detections:
        for technique in techniques(row):
            by_id[technique["id"]] = technique

    return [by_id[each] for each in sorted(by_id)]


def at_risk_since(case: Case) -> Any:
    """Return since when the risk has been open, as Graph writes it; None where it is not
    open, or where only the history, which could not be read, would tell."""
    if is_open(case.user) and HISTORY in case.unread:
        return None
    times = []
    for item in case.history:
        if not is_open(item):
            break
        times.append(item.get("riskLastUpdatedDateTime"))
    if is_open(case.user):
        times = times or [case.user.get("riskLastUpdatedDateTime")]
        return times[-1]

    detected = [
        row.get("detectedDateTime") for row in case.detections if is_open(row)
    ]
    return detected[-1] if detected and not case.has_record else None


# The card.


AGO_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def ago(seconds: float) -> str:
    """Return how long ago something was, in its largest unit. Clocks may differ by some
    seconds."""
    if seconds <= -60:
        return "in the future"
    for length, unit in AGO_UNITS:
        if seconds >= length:
            return f"{int(seconds // length)} {unit} ago"
    return "just now"


def when(case: Case, time: Any) -> str:
    """Return a time to the second, and how long ago that was; '' for no time."""
    moment = instant(time)
    if not moment:
        return ""
    seconds = seconds_between(moment, case.read_at)

    return f"{to_the_second(moment)} ({ago(seconds)})"


def printable(text: Any) -> str:
    """Return a text in one line, without what cannot be seen, such as what turns the
    direction of reading round."""
    one_line = " ".join(str(text).split())
    return "".join(filter(str.isprintable, one_line))


def plain_cell(text: Any) -> str:
    """Return a text of Graph's as one that a cell shows as it is. The platform's table
    itself sees to pipes and backticks."""
    return re.sub(r"([\\*\[\]<>])", r"\\\1", printable(text))


def plain(text: Any) -> str:
    """Return a text of Graph's as one that markdown shows as it is: a name or an event may
    be chosen by an attacker."""
    return plain_cell(text).replace("`", "\\`")


def name_of(user: Row) -> str:
    """Return display name and user principal name, else the id."""
    names = [
        user.get("userDisplayName"),
        user.get("userPrincipalName"),
    ]
    shown = [plain(name) for name in names if name]

    return ", ".join(shown) or str(user["id"])


def settled_by(case: Case) -> str:
    """Return the end of a sentence that tells what settled or confirmed a risk, and by
    whom; '' where that is unknown."""
    detail = case.user.get("riskDetail")
    if detail in (None, "none"):
        return ""

    text = plain(word_for("riskDetail", detail))
    by_detail = grouped(case.history, "riskDetail")
    for item in by_detail.get(str(detail), [])[:1]:
        actor = item.get("initiatedBy")
        if actor:
            text += f", by {plain(actor)}"
    return f": {text}"


def since_when(case: Case) -> str:
    """Say since when a risk has been open; where that is not known, when it changed."""
    since = when(case, at_risk_since(case))
    if since:
        return f" since {since}"
    changed = when(case, case.user.get("riskLastUpdatedDateTime"))
    return f", last changed {changed}" if changed else ""


def open_sentence(case: Case) -> str:
    """Say how a risk that is open stands, and since when."""
    level = plain(case.user.get("riskLevel"))
    state = plain(state_words(case.user))
    since = since_when(case)
    cause = settled_by(case)
    return f"Risk {level}, {state}{since}{cause}."


def settled_sentence(case: Case) -> str:
    """Say what became of a risk, and when."""
    words = state_words(case.user)
    changed = case.user.get("riskLastUpdatedDateTime")
    cause = settled_by(case)
    return f"No open risk of the user: {words} {when(case, changed)}{cause}."


def record_sentence(case: Case) -> str:
    """Say how the risk in a user's record stands."""
    if is_open(case.user):
        return open_sentence(case)
    return settled_sentence(case)


def user_sentence(case: Case) -> str:
    """Say how a user's risk stands, as far as that is known."""
    if RISK in case.unread:
        return "The risk of the user could not be read."
    if not case.has_record:
        return "Entra ID Protection has no record of risk for this account."
    if is_deleted(case.user):
        return f"{record_sentence(case)} The account is deleted."

    return record_sentence(case)


def risk_sentence(case: Case) -> str:
    """Say how a user's risk stands, and whether detections are open without it."""
    sentence = user_sentence(case)
    number = len(list(filter(is_open, case.detections)))
    if is_open(case.user) or not number:
        return sentence
    return f"{sentence} Open detections: {number}."


def reason_line(case: Case, fact: Fact) -> str:
    """Return a reason as the card shows it."""
    text = plain(fact.text)
    time = when(case, fact.time)
    weighed = DIRECTIONS[fact.direction]
    if fact.weight:
        weighed = f"{STRENGTHS[fact.weight]}, {weighed}"

    return f"- {text}, {time}: {weighed}"


def event_row(case: Case, event: Event) -> Json:
    """Return an event as the card's table shows it."""
    place = [str(each) for each in event.place if each]
    origin_text = ", ".join(place)

    return {
        "when": when(case, event.time),
        "what": plain_cell(event.text),
        "level": event.level,
        "from": plain_cell(origin_text),
        "with": plain_cell(event.client),
        "outcome": plain_cell(event.outcome),
    }


TIMELINE_COLUMNS = ("when", "what", "level", "from", "with", "outcome")


def card_table(
    title: str, rows: list[Json], columns: tuple[str, ...], total: int
) -> str:
    """Return a table of the card; '' where it would be empty."""
    if not rows:
        return ""
    notes = []
    if total > len(rows):
        notes = [f"The first {len(rows)} of {total}; context holds all."]

    return markdown_table(title, rows, columns, notes).rstrip()


def timeline_table(case: Case, events: list[Event]) -> str:
    rows = [event_row(case, event) for event in events[:MAX_EVENTS]]
    title = "Timeline, newest first"
    return card_table(title, rows, TIMELINE_COLUMNS, len(events))


def address_line(case: Case, known: KnownAddress) -> Json:
    """Return an IP address as the card's table shows it."""
    first_seen = when(case, known.firstSeen)
    last_seen = when(case, known.lastSeen)
    shown = known._replace(firstSeen=first_seen, lastSeen=last_seen)
    return shown._asdict()


def address_table(case: Case, addresses: list[KnownAddress]) -> str:
    shown = addresses[:MAX_ADDRESSES]
    rows = [address_line(case, each) for each in shown]
    columns = KnownAddress._fields
    return card_table("From where", rows, columns, len(addresses))


def all_reasons(case: Case) -> list[str]:
    """Return why the detections of a case were made, each reason once, in words."""
    reasons = [each for row in case.detections for each in risk_reasons(row)]
    return list(dict.fromkeys(reasons))


def with_what(case: Case) -> list[str]:
    """Return the lines that tell user agents, techniques and risk reasons."""
    found = {
        "User agents": user_agents(case.detections),
        "ATT&CK techniques": list(map(technique_text, technique_rows(case))),
        "Risk reasons": all_reasons(case),
    }

    return [
        f"- {name}: {'; '.join(map(plain, texts))}"
        for name, texts in found.items()
        if texts
    ]


class Verdict(NamedTuple):
    """A verdict that an analyst can give, on a user or else on single sign-ins."""

    suggestion: str
    title: str
    of_user: Action
    of_sign_ins: Action


VERDICTS = (
    Verdict(
        CONFIRM_COMPROMISED,
        "Confirm compromised",
        CONFIRM_USERS_COMPROMISED,
        CONFIRM_SIGN_INS_COMPROMISED,
    ),
    Verdict(
        CONFIRM_SAFE,
        "Confirm safe",
        CONFIRM_USERS_SAFE,
        CONFIRM_SIGN_INS_SAFE,
    ),
    Verdict(DISMISS, "Dismiss", DISMISS_USERS, DISMISS_SIGN_INS),
)


def open_sign_in_ids(evidence: Evidence) -> list[str]:
    """Return the ids of sign-ins whose risk is open, logged or not; what has not the form
    of an id could not be pasted."""
    ids = grouped(evidence.detections, "requestId")
    return list(filter(OBJECT_ID.fullmatch, ids))


def is_to_be_given(assessment: Assessment, verdict: Verdict) -> bool:
    """Tell whether a verdict would change anything. Where no risk is open, only another
    tool's finding may call for one."""
    if is_deleted(assessment.case.user):
        return False
    if verdict.suggestion == CONFIRM_COMPROMISED:
        return not is_confirmed(assessment)

    return not nothing_is_open(assessment)


class Offer(NamedTuple):
    """A command that gives a verdict, ready to be pasted, and the action that it is."""

    command: str
    action: Action


def offers(assessment: Assessment, verdict: Verdict) -> list[Offer]:
    """Return the command that gives a verdict, none where there is none to give; several
    where it is on more sign-ins than one command takes.

    To close the risk of a user Graph needs a record of it. Without one, as for guests,
    that of the sign-ins can be closed.
    """
    case = assessment.case
    if not is_to_be_given(assessment, verdict):
        return []
    action = verdict.of_user
    if case.has_record or not action.needs_record:
        command = f"!{action.command} user={case.user_id} verify=true"
        return [Offer(command, action)]

    action = verdict.of_sign_ins
    sign_ins = open_sign_in_ids(assessment.evidence)
    command = f"!{action.command} sign_in={{}} verify=true"

    return [
        Offer(command.format(",".join(ids)), action)
        for ids in batches(sign_ins, MAX_IDS)
    ]


def offer_line(case: Case, verdict: Verdict, offer: Offer, mark: str) -> str:
    """Return a verdict's line: the command, when it fits, and what stands against it."""
    text = joined_sentences(
        offer.action.meaning, offer.action.caveat(case.user)
    )
    return f"- {verdict.title}{mark}: `{offer.command}`. {text}"


def verdict_lines(assessment: Assessment, suggestion: str) -> list[str]:
    """Return a line for each verdict that Graph would take, the suggested one first."""
    lines: list[str] = []
    for verdict in VERDICTS:
        is_suggested = verdict.suggestion == suggestion
        mark = " (suggested)" if is_suggested else ""
        offered = [
            offer_line(assessment.case, verdict, offer, mark)
            for offer in offers(assessment, verdict)
        ]
        lines = offered + lines if is_suggested else lines + offered

    return lines


def look_lines(assessment: Assessment, suggestion: str) -> list[str]:
    """Return the commands that show more of the user."""
    if suggestion != LOOK_CLOSER:
        return []
    user_id = assessment.case.user_id

    return [
        f"- Look closer: `!azure-risky-sign-ins-list user_id={user_id}`, "
        f"`!azure-risky-users-risk-detections-list user_id={user_id}`"
    ]


def bullet_section(title: str, lines: list[str]) -> str:
    """Return a heading and lines below it; '' where there are none."""
    if not lines:
        return ""
    return "\n".join([f"### {title}", *lines])


class Findings(NamedTuple):
    """All that a card shows and context holds."""

    assessment: Assessment
    rule: Rule
    events: list[Event]
    addresses: list[KnownAddress]


def findings_of(case: Case) -> Findings:
    """Return what follows from a case."""
    evidence = evidence_of(case)
    assessment = Assessment(case, evidence, find_facts(evidence))

    return Findings(
        assessment, rule_for(assessment), timeline(case), known_addresses(case)
    )


def suggestion_section(findings: Findings) -> str:
    assessment = findings.assessment
    lines = [f"**Suggestion:** {findings.rule.sentence}"]
    for fact in assessment.facts:
        lines.append(reason_line(assessment.case, fact))

    return "\n".join(lines)


def next_section(findings: Findings) -> str:
    assessment = findings.assessment
    suggestion = findings.rule.suggestion
    lines = look_lines(assessment, suggestion) + verdict_lines(
        assessment, suggestion
    )
    return bullet_section("Next", lines)


def missing_section(case: Case) -> str:
    lines = [f"- {plain(line)}" for line in case.not_looked_at]
    return bullet_section("Not looked at", lines)


def head_section(case: Case) -> str:
    return f"### {name_of(case.user)}\n{risk_sentence(case)}"


def card(findings: Findings) -> str:
    """Return a case as markdown: who, what is suggested and why, what happened when, from
    where and with what, what to do next, and what could not be looked at."""
    case = findings.assessment.case
    sections = [
        head_section(case),
        suggestion_section(findings),
        timeline_table(case, findings.events),
        address_table(case, findings.addresses),
        bullet_section("With what", with_what(case)),
        next_section(findings),
        missing_section(case),
    ]

    return "\n\n".join(filter(None, sections))


USER_PROPERTIES = (
    *("userPrincipalName", "userDisplayName"),
    *("riskLevel", "riskState", "riskDetail"),
)


def user_context(case: Case) -> Json:
    """Return what the investigation says of the user."""
    user = {name: case.user.get(name) for name in USER_PROPERTIES}
    since = at_risk_since(case)
    return {"userId": case.user_id, **user, "atRiskSince": since}


def summary_context(case: Case) -> Json:
    """Return what the investigation sums up."""
    return {
        "userAgents": user_agents(case.detections),
        "mitreTechniques": technique_rows(case),
        "detectionCount": len(case.detections),
        "signInCount": len(case.sign_ins),
        "notLookedAt": case.not_looked_at,
    }


def investigation_context(findings: Findings) -> Json:
    """Return the investigation as it goes to context."""
    assessment = findings.assessment
    reasons = [fact._asdict() for fact in assessment.facts]
    events = [event.to_context() for event in findings.events]
    addresses = [each._asdict() for each in findings.addresses]

    return {
        **user_context(assessment.case),
        "suggestion": findings.rule.suggestion,
        "reasons": reasons,
        "timeline": events,
        "ipAddresses": addresses,
        **summary_context(assessment.case),
    }


# The platform's own objects, which its generic playbooks take.


PLATFORM_LEVELS = {"low": "LOW", "medium": "MEDIUM", "high": "HIGH"}


def without_nothing(row: Json) -> Json:
    """Return an object without the values that are not there."""
    return {
        name: value
        for name, value in row.items()
        if value not in (None, "", {}, [])
    }


def account_context(user: Row) -> Json:
    """Return a user as the platform's Account. The platform may keep what an Account had
    before, so that a risk that is no more has to be told as null."""
    account = {
        "ID": user["id"],
        "Type": "Entra ID",
        "Username": user.get("userPrincipalName"),
        "DisplayName": user.get("userDisplayName"),
    }
    level = PLATFORM_LEVELS.get(str(user.get("riskLevel")))

    return {**without_nothing(account), "RiskLevel": level}


def coordinates(row: Row) -> str:
    """Return "latitude:longitude", '' where they are unknown."""
    location = object_in(row, "location")
    point = object_in(location, "geoCoordinates")
    latitude = point.get("latitude")
    longitude = point.get("longitude")
    if latitude is None or longitude is None:
        return ""

    return f"{latitude}:{longitude}"


def ip_context(address: str, row: Row) -> Json:
    """Return the IP address of a detection as the platform's IP."""
    place = origin(row)
    geo = {
        "Location": coordinates(row),
        "Country": place.countryOrRegion,
        "Description": place.city,
    }

    return without_nothing({"Address": address, "Geo": without_nothing(geo)})


def ip_contexts(assessment: Assessment) -> list[Json]:
    """Return the IP addresses of the detections. Those of sign-ins without risk are left
    out, and those that the user is known by: what blocks IP addresses would lock the
    user's own."""
    by_address = grouped(assessment.case.detections, "ipAddress")
    own = assessment.evidence.own_addresses

    return [
        ip_context(address, rows[0])
        for address, rows in by_address.items()
        if address not in own
    ]


def object_contexts(case: Case) -> Json:
    """Return the objects of a case under their usual paths."""
    record = [case.user] if case.has_record else []

    return {
        context_path(RISKY_USERS): record,
        context_path(RISKY_USER_HISTORY): case.history,
        context_path(RISK_DETECTIONS): case.detections,
        context_path(RISKY_SIGN_INS): case.risky_sign_ins(),
    }


def case_context(findings: Findings) -> Json:
    """Return all that a case puts into context."""
    case = findings.assessment.case
    outputs = {
        INVESTIGATION: investigation_context(findings),
        **object_contexts(case),
        ACCOUNT: account_context(case.user),
        IP: ip_contexts(findings.assessment),
    }

    return without_nothing(outputs)


def investigate(client: GraphClient, args: Args) -> CommandResults:
    """Return what is known of one user as a card and as context.

    Raises ArgumentError: an argument cannot be read, or the user is nobody or several.
    RequestError: not even the user could be asked for.
    """
    request = read_investigation_request(args)
    case = read_case(client, request)
    findings = findings_of(case)
    outputs = case_context(findings)

    return CommandResults(
        outputs=outputs,
        readable_output=card(findings),
        raw_response=outputs[INVESTIGATION],
    )


# ==== Last run ================================================================
#
# How far each type was fetched, and what is remembered of it, as one text: a head in JSON,
# and in it 14 characters for each object. So 50,000 users and 15,000 detections stay below
# a megabyte.


STATE_VERSION = 3
END_OF_TIME = instant("9999-12-31T23:59:59.9999999Z")

# In the order of ASCII, so that what is written with them compares as text.
DIGITS = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
FIRST_SECOND = datetime(2020, 1, 1)  # and 34 years on
LAST_SECOND = len(DIGITS) ** 5 - 1
REMEMBERED_STATES = ("", *OPEN_STATES)
SEVERITY_COUNT = 4  # of the platform's, from 0
PACKED_LENGTH = 14  # characters of one object
PACKED_OBJECTS = re.compile("(?:[-0-9A-Z_a-z]{5}[-0-9A][-0-9A-Z_a-z]{8})*")


class Remembered(NamedTuple):
    """What is remembered of an object: its second, packed, and of a user also the state
    and the severity."""

    second: str
    state: str = ""
    severity: int = 0


def packed_second(time: str) -> str:
    """Return the second of an instant in five characters that compare as text.

    What lies outside the years that they hold becomes the first or the last second.
    """
    span = datetime.fromisoformat(time[:19]) - FIRST_SECOND
    seconds = int(span.total_seconds())
    number = min(max(seconds, 0), LAST_SECOND)
    text = ""
    for _ in range(5):
        number, digit = divmod(number, len(DIGITS))
        text = DIGITS[digit] + text

    return text


def unpacked_second(text: str) -> str:
    """Return the instant at which a packed second began."""
    number = 0
    for digit in text:
        number = number * len(DIGITS) + DIGITS.index(digit)

    moment = FIRST_SECOND + timedelta(seconds=number)
    return instant(seconds_literal(moment))


def short_key(digest: bytes) -> str:
    """Return the eight characters that a digest is remembered by."""
    return base64.urlsafe_b64encode(digest[:6]).decode()


def packed(key: str, remembered: Remembered) -> str:
    """Return an object's 14 characters: second, state with severity, key."""
    state_number = REMEMBERED_STATES.index(remembered.state)
    number = state_number * SEVERITY_COUNT + remembered.severity
    kind = DIGITS[number]
    return f"{remembered.second}{kind}{key}"


def unpacked(text: str) -> tuple[str, Remembered]:
    """Return the key of an object and what is remembered of it."""
    second, kind, key = text[:5], text[5], text[6:]
    number = DIGITS.index(kind)
    state_number, severity = divmod(number, SEVERITY_COUNT)
    state = REMEMBERED_STATES[state_number]
    return key, Remembered(second, state, severity)


@dataclass
class Cursor:
    """How far one type has been fetched.

    floor: the instant before which all is done with. known: what was handed over or noted
    from there on, by key. deep_read: when everything from the floor on was last begun to
    be read; '' for never. open_from: the instant from which the last fetch left something
    unread or waiting; '' for nothing.
    passed_key: '', except after a state of the first version, until the floor rises: then
    the floor's own instant is done with up to this key. passed_over: whether the last
    fetch had no room for this type.
    """

    floor: str
    known: dict[str, Remembered]
    deep_read: str = ""
    open_from: str = ""
    passed_key: str = ""
    passed_over: bool = False

    def is_past(self, time: str, key: str) -> bool:
        """Tell whether an object lies where all is done with."""
        return (time, key) <= (self.floor, self.passed_key)

    def remember(self, key: str, remembered: Remembered) -> None:
        self.known[key] = remembered

    def forget(self, key: str) -> None:
        self.known.pop(key, None)

    def forget_before(self, second: str) -> None:
        """Forget all that is older than a packed second."""
        self.known = {
            key: each
            for key, each in self.known.items()
            if each.second >= second
        }

    def advance(self, floor: str) -> None:
        """Raise the floor; it never falls."""
        if floor > self.floor:
            self.floor = floor
            self.passed_key = ""

    def trim(self, number: int, limit: str) -> None:
        """Keep about so many objects, the newest, and raise the floor to the oldest kept,
        if that lies above it.

        Never above `limit`, from where on objects still wait to be handed over. All of
        the oldest second are kept, so that the floor need not tell them apart.
        """
        seconds = sorted(each.second for each in self.known.values())
        if len(seconds) <= number:
            return

        oldest_kept = min(seconds[-number], packed_second(limit))
        floor = min(unpacked_second(oldest_kept), limit)
        self.advance(floor)
        self.forget_before(oldest_kept)


def write_cursor(cursor: Cursor) -> str:
    """Return a cursor as the text that is kept from fetch to fetch; the same for the
    same."""
    objects = sorted(starmap(packed, cursor.known.items()))
    state = {
        "version": STATE_VERSION,
        **vars(cursor),
        "known": "".join(objects),
    }
    return json.dumps(state)


def checked_instant(value: Any) -> str:
    """Return an instant that was kept. Raises ValueError: it is none."""
    time = instant(value)
    if not time:
        raise ValueError("not a time")
    return time


def checked_text(value: Any) -> str:
    """Return a text that was kept. Raises ValueError: it is none."""
    if not isinstance(value, str):
        raise ValueError("not a text")
    return value


def optional_instant(value: Any) -> str:
    """Return an instant that was kept, or ''. Raises ValueError: it is neither."""
    return value if value == "" else checked_instant(value)


def read_known(text: str) -> dict[str, Remembered]:
    """Return what is remembered, by key. Raises ValueError: it was not written so."""
    if not PACKED_OBJECTS.fullmatch(text):
        raise ValueError("not what is remembered")

    starts = range(0, len(text), PACKED_LENGTH)
    objects = [text[start : start + PACKED_LENGTH] for start in starts]
    return dict(map(unpacked, objects))


def third_version_cursor(state: Json) -> Cursor:
    """Return the cursor of a state that `write_cursor` kept."""
    return Cursor(
        floor=checked_instant(state["floor"]),
        known=read_known(state["known"]),
        deep_read=optional_instant(state["deep_read"]),
        open_from=optional_instant(state["open_from"]),
        passed_key=checked_text(state["passed_key"]),
        passed_over=bool(state["passed_over"]),
    )


def earlier_record(time: Any, state: str = "", level: str = "") -> Remembered:
    """Return what an earlier version remembered of an object."""
    if state not in REMEMBERED_STATES:
        raise ValueError("not a state")
    second = packed_second(checked_instant(time))
    return Remembered(second, state, SEVERITIES.get(level, 0))


# Turns the key that the first two versions had for an object into today's.
KeyOf = Callable[[str], str]


def second_version_cursor(state: Json, key_of: KeyOf) -> Cursor:
    """Take over a state of the second version: its records were lists."""
    known = {}
    for key, record in state["known"].items():
        known[key_of(key)] = earlier_record(*record)

    floor = checked_instant(state["floor"])
    passed_key = checked_text(state["passed_key"])
    return Cursor(floor, known, passed_key=passed_key)


def first_version_cursor(state: Json, since: str, key_of: KeyOf) -> Cursor:
    """Take over a state of the first version, so that nothing comes again.

    Its floor was a time with a key, its records were texts joined by spaces.
    """
    floor, passed_key = state.get("floor") or (since, "")
    records = state.get("known") or {}
    known = {}
    for key, record in records.items():
        parts = record.split()
        known[key_of(key)] = earlier_record(*parts)

    passed_key = checked_text(passed_key)
    return Cursor(checked_instant(floor), known, passed_key=passed_key)


def read_state(state: Json, since: str, key_of: KeyOf) -> Cursor:
    """Return the cursor that some version kept. Raises LastRunError: a later one did;
    any other error: none did."""
    version = state.get("version", 1)
    if version == STATE_VERSION:
        return third_version_cursor(state)
    if version == 2:
        return second_version_cursor(state, key_of)
    if version == 1 and set(state) <= {"floor", "known"}:
        return first_version_cursor(state, since, key_of)

    if version > STATE_VERSION:
        raise LastRunError("was left by a later version of the integration")
    raise ValueError("no version's")


def read_cursor(text: Any, since: str, key_of: KeyOf) -> Cursor:
    """Return how far a type was fetched, as `write_cursor` kept it; None or '' for not at
    all. Raises LastRunError."""
    if text in (None, ""):
        return Cursor(instant(since), {})

    try:
        return read_state(json.loads(text), since, key_of)
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise LastRunError("cannot be read") from error


# ==== Fetch ===================================================================
#
# A detection is dated by when it was detected, but surfaces later, and several share one
# instant. So each fetch asks again for what it has read already, and remembers what it
# handed over. Whatever surfaces within look_back is therefore seen, and nothing twice.
#
# Every fetch reads the last two hours. A deep one, once an hour, reads everything since
# the floor, which only a deep one raises: to look_back before its own beginning. So what
# lies below the floor was read when it could no longer surface late. And what surfaces
# within an hour of its time comes with the next fetch: if it was too late for the last
# deep one, which is an hour ago at most, then its time lies less than two hours back.
#
# Two rules, both learnt from lost rows. A page proves that Graph kept the order only if
# its last time is later than its first: equal times prove nothing, and times that fall
# raise OrderIgnored. The moment before which all was read moves only on such proof. Asked
# for all since 08:00, a page 09:00, 09:00, 09:05 proves that what came before 09:05 is
# read; a page 09:00, 09:00, 09:00 proves nothing: were the order ignored, 08:59 could
# still come.


CLOCK_TOLERANCE = 5  # minutes this machine may be ahead of Graph
DEEP_INTERVAL = 60  # minutes from one deep fetch to the next
RECENT = 2 * DEEP_INTERVAL  # minutes that every fetch reads


def property_text(row: Row, name: str) -> str:
    """Return a property of any type as text, without spaces around it; '' where there is
    none."""
    value = row.get(name)
    return "" if value is None else str(value).strip()


def shown_text(row: Row, name: str) -> str:
    """Return a property as the name of an incident shows it."""
    return property_text(row, name) or "unknown"


def severity_of(row: Row) -> int:
    """Return the severity of an object's level, as the platform counts."""
    return SEVERITIES.get(property_text(row, "riskLevel"), 0)


def identity(row: Row) -> str:
    """Return an object's id, or all of an object that has none."""
    return property_text(row, "id") or json.dumps(row, sort_keys=True)


class Source:
    """One type of object that becomes incidents: detections or users.

    keeps_past: whether an object stays remembered when the floor has risen above it.
    """

    resource: Resource
    time_property: str
    keeps_past: bool

    def time(self, row: Row) -> str:
        """Return an object's instant; '' where it has none that can be read."""
        return instant(row.get(self.time_property))

    def earlier_key(self, row: Row) -> str:
        """Return what the first two versions remembered an object by."""
        raise NotImplementedError

    def key_of(self, earlier_key: str) -> str:
        """Return today's key for an earlier one."""
        raise NotImplementedError

    def key(self, row: Row) -> str:
        """Return what an object is remembered by: short, since many thousands are."""
        return self.key_of(self.earlier_key(row))

    def remembered(self, row: Row, second: str) -> Remembered:
        """Return what is remembered of an object of that packed second."""
        raise NotImplementedError

    def is_new(
        self, row: Row, before: Remembered | None, fetch: FetchSettings
    ) -> bool:
        """Tell whether an object is an incident, given what was remembered of it."""
        raise NotImplementedError

    def is_remembered(self, row: Row, before: Remembered | None) -> bool:
        """Tell whether an object that is no incident now is to be remembered all the
        same."""
        raise NotImplementedError

    def max_remembered(self, fetch: FetchSettings) -> int:
        """Return how many objects are remembered."""
        raise NotImplementedError

    def name(self, row: Row) -> str:
        """Return the incident's name."""
        raise NotImplementedError

    def filters(self, fetch: FetchSettings) -> Args:
        """Return the list arguments that select what is read."""
        raise NotImplementedError


class DetectionSource(Source):
    """Risk detections as incidents: each once, but for those that only record what an
    administrator confirmed."""

    resource = RISK_DETECTIONS
    time_property = "detectedDateTime"
    keeps_past = False

    def earlier_key(self, row: Row) -> str:
        digest = hashlib.sha256(identity(row).encode())
        return digest.hexdigest()[:16]

    def key_of(self, earlier_key: str) -> str:
        return short_key(bytes.fromhex(earlier_key))

    def remembered(self, _: Row, second: str) -> Remembered:
        return Remembered(second)

    def is_new(
        self, row: Row, before: Remembered | None, fetch: FetchSettings
    ) -> bool:
        event_type = property_text(row, "riskEventType")
        if event_type == CONFIRMED_BY_ADMIN and not fetch.admin_confirmations:
            return False
        return before is None

    def is_remembered(self, _: Row, before: Remembered | None) -> bool:
        return before is not None

    def max_remembered(self, fetch: FetchSettings) -> int:
        return fetch.max_detections

    def name(self, row: Row) -> str:
        event = word_for("riskEventType", shown_text(row, "riskEventType"))
        user = shown_text(row, "userPrincipalName")
        return f"{event}: {user} ({shown_text(row, 'riskLevel')})"

    def filters(self, fetch: FetchSettings) -> Args:
        values = {
            "risk_level": fetch.levels,
            "risk_state": fetch.states,
            "risk_event_type": fetch.event_types,
        }
        return {name: list(texts) for name, texts in values.items() if texts}


def is_selected(user: Row, fetch: FetchSettings) -> bool:
    """Tell whether incidents are wanted for a user of this level and state."""
    level = property_text(user, "riskLevel")
    if fetch.levels and level not in fetch.levels:
        return False
    return not fetch.states or property_text(user, "riskState") in fetch.states


class UserSource(Source):
    """Risky users as incidents: when one comes to be at risk or confirmed compromised,
    unless by an administrator, and when the level rises.

    Remembered are the users at risk; one who is not remembered counts as not at risk
    before.
    """

    resource = RISKY_USERS
    time_property = "riskLastUpdatedDateTime"
    keeps_past = True

    def earlier_key(self, row: Row) -> str:
        return identity(row)

    def key_of(self, earlier_key: str) -> str:
        digest = hashlib.sha256(earlier_key.encode())
        return short_key(digest.digest())

    def remembered(self, row: Row, second: str) -> Remembered:
        state = property_text(row, "riskState")
        return Remembered(second, state, severity_of(row))

    def is_new(
        self, row: Row, before: Remembered | None, fetch: FetchSettings
    ) -> bool:
        state = property_text(row, "riskState")
        if state not in OPEN_STATES or not is_selected(row, fetch):
            return False

        by_admin = property_text(row, "riskDetail") == CONFIRMED_BY_ADMIN
        if by_admin and not fetch.admin_confirmations:
            return False
        if before and state == before.state:
            return severity_of(row) > before.severity
        return True

    def is_remembered(self, row: Row, _: Remembered | None) -> bool:
        return property_text(row, "riskState") in OPEN_STATES

    def max_remembered(self, fetch: FetchSettings) -> int:
        return fetch.max_users

    def name(self, row: Row) -> str:
        user = shown_text(row, "userPrincipalName")
        state = shown_text(row, "riskState")
        return f"Risky user: {user} is {state} ({shown_text(row, 'riskLevel')})"

    def filters(self, _: FetchSettings) -> Args:
        # None: to see a user come back, one has to see the user go.
        return {}


SOURCES: dict[str, Source] = {
    "Risk Detections": DetectionSource(),
    "Risky Users": UserSource(),
}


def minutes_before(now: datetime, minutes: int) -> str:
    """Return the instant, to the second, so many minutes before a moment."""
    return instant(seconds_literal(now - timedelta(minutes=minutes)))


def needs_deep_fetch(cursor: Cursor, now: datetime) -> bool:
    """Tell whether the last deep fetch is an interval ago, or was never, or the clock was
    set back since."""
    interval_ago = minutes_before(now, DEEP_INTERVAL)
    return not interval_ago < cursor.deep_read <= minutes_before(now, 0)


def start_of_fetch(cursor: Cursor, now: datetime) -> str:
    """Return the instant from which a fetch reads: the floor if it is a deep one, or else
    what is recent, and what an earlier fetch left open."""
    if needs_deep_fetch(cursor, now):
        return cursor.floor

    recent = minutes_before(now, RECENT + CLOCK_TOLERANCE)
    start = min(recent, cursor.open_from or END_OF_TIME)
    return max(start, cursor.floor)


class OrderIgnored(Exception):  # noqa: N818 - no error: there is another way
    """Graph's rows fall in time, against what was asked for.

    Attributes: rows (those of the page that showed it, which are worth handing over).
    """

    def __init__(self, rows: list[Row]):
        super().__init__()
        self.rows = rows


class ReadPage(NamedTuple):
    """A page of what a fetch reads, and the instant before which all has been read by
    then; it falls back to the floor once the order proves to be ignored."""

    rows: list[Row]
    complete_before: str


def fetch_clauses(source: Source, fetch: FetchSettings) -> list[str]:
    """Return the clauses that select what is fetched, beside its time."""
    filters = build_filters(source.resource.filters, source.filters(fetch))
    if len(filters) > 1:
        event_types = ", ".join(fetch.event_types)
        accepted = (
            f"at most {MAX_COMPARISONS} event types, levels and states in all"
        )
        raise ArgumentError("fetch_event_types", event_types, accepted)

    return [text for text in filters if text]


def short_literal(time: str) -> str:
    """Return the OData literal of an instant, without the zeros that end its fraction."""
    return re.sub(r"\.?0*Z$", "Z", time)


def fetch_query(
    source: Source, fetch: FetchSettings, since: str, direction: str = "asc"
) -> Json:
    """Return the query for everything since an instant. Raises ArgumentError where there
    are too many values for one request."""
    since_clause = f"{source.time_property} ge {short_literal(since)}"
    clauses = [since_clause, *fetch_clauses(source, fetch)]
    return {
        "$filter": " and ".join(clauses),
        "$orderby": f"{source.time_property} {direction}",
        "$top": str(source.resource.largest_page),
    }


def pages_until_proof(
    client: GraphClient, source: Source, fetch: FetchSettings, since: str
) -> Generator[ReadPage, None, str]:
    """Yield pages from an instant on, up to and with the first whose last time is later
    than its first: the proof of order. Returns that last time, from which to ask anew, or
    END_OF_TIME when nothing follows.

    While all rows have one instant, asking anew would bring the same: there links lead
    on.
    """
    newest = since
    query = fetch_query(source, fetch, since)
    for page in client.pages(source.resource, query):
        times = list(filter(None, map(source.time, page.rows)))
        in_order = sorted([newest, *times])
        if in_order != [newest, *times]:
            raise OrderIgnored(page.rows)

        if not page.next_link:
            yield ReadPage(page.rows, END_OF_TIME)
            return END_OF_TIME

        newest = in_order[-1]
        if times and times[0] < newest:
            yield ReadPage(page.rows, newest)
            return newest
        yield ReadPage(page.rows, since)

    # Never reached, as the last page has no link; for the type checker.
    return END_OF_TIME


def rising_pages(
    client: GraphClient, source: Source, fetch: FetchSettings, floor: str
) -> Iterator[ReadPage]:
    """Yield the pages of all since the floor by asking anew from the newest time on,
    again and again. Raises OrderIgnored where they do not rise in time."""
    since = yield from pages_until_proof(client, source, fetch, floor)
    while since < END_OF_TIME:
        client.check_paging_period()
        since = yield from pages_until_proof(client, source, fetch, since)


def read_pages(
    client: GraphClient, source: Source, fetch: FetchSettings, floor: str
) -> Iterator[ReadPage]:
    """Yield the pages of all since the floor.

    A link counts rows: when one of those read leaves or moves on, another slips over the
    page's edge, unread. So what follows a page is asked for anew, from its newest time
    on. Where Graph keeps to no order, links lead through everything, and nothing is
    proven before the last.
    """
    try:
        yield from rising_pages(client, source, fetch, floor)
    except OrderIgnored as ignored:
        yield ReadPage(ignored.rows, floor)
        query = fetch_query(source, fetch, floor)
        for page in client.pages(source.resource, query):
            complete_before = floor if page.next_link else END_OF_TIME
            yield ReadPage(page.rows, complete_before)


class NewObjects:
    """Sorts out what a fetch reads: the new objects by key, and of the others a note in
    the cursor.

    undated: the packed second that an object without a time is remembered under.
    """

    def __init__(
        self, source: Source, fetch: FetchSettings, cursor: Cursor, undated: str
    ):
        self.source = source
        self.fetch = fetch
        self.cursor = cursor
        self.undated = undated
        self.rows: dict[str, Row] = {}

    def remember(self, row: Row) -> None:
        """Note an object in the cursor."""
        time = self.source.time(row)
        second = packed_second(time) if time else self.undated
        key = self.source.key(row)
        remembered = self.source.remembered(row, second)
        self.cursor.remember(key, remembered)

    def is_past(self, row: Row) -> bool:
        """Tell whether an object lies where all is done with; one without a time does
        not."""
        time = self.source.time(row)
        earlier_key = self.source.earlier_key(row)
        return time != "" and self.cursor.is_past(time, earlier_key)

    def take(self, row: Row) -> None:
        """Take in an object; of one that came before, its newer state counts."""
        if self.is_past(row):
            return

        key = self.source.key(row)
        before = self.cursor.known.get(key)
        if self.source.is_new(row, before, self.fetch):
            self.rows[key] = row
            return

        self.rows.pop(key, None)
        if self.source.is_remembered(row, before):
            self.remember(row)
        else:
            self.cursor.forget(key)

    def number_before(self, time: str) -> int:
        """Return how many new objects are older, or have no time."""
        older = [
            row for row in self.rows.values() if self.source.time(row) < time
        ]
        return len(older)

    def sort_key(self, row: Row) -> tuple[str, str]:
        return self.source.time(row), self.source.earlier_key(row)

    def oldest_first(self) -> list[Row]:
        """Return the new objects, before all others those without a time."""
        return sorted(self.rows.values(), key=self.sort_key)


class Reading(NamedTuple):
    """How far a fetch read one type: the instant before which all was read, and why
    reading broke off, if it did."""

    complete_before: str
    failure: RequestError | None


def read_new(client: GraphClient, new: NewObjects, start: str) -> Reading:
    """Read on from an instant until a fetch has enough new objects, or to the end.

    Raises RequestError where not even the first page came.
    """
    complete_before: str | None = None
    try:
        for page in read_pages(client, new.source, new.fetch, start):
            complete_before = page.complete_before
            for row in page.rows:
                new.take(row)
            if new.number_before(complete_before) >= new.fetch.max_fetch:
                break
    except RequestError as error:
        if complete_before is None:
            raise
        return Reading(complete_before, error)

    return Reading(complete_before or start, None)


def next_full_hour(now: datetime) -> str:
    """Return the packed second of the next full hour."""
    hour = now.replace(minute=0, second=0)
    return packed_second(minutes_before(hour, -60))


class Handover(NamedTuple):
    """What one fetch hands over of one type, and why reading broke off, if it did.

    refused: whether not even the first page came.
    """

    rows: list[Row]
    failure: RequestError | None = None
    refused: bool = False


def move_cursor(
    source: Source,
    fetch: FetchSettings,
    cursor: Cursor,
    limit: str,
    now: datetime,
) -> None:
    """Note in a cursor how far a fetch came, and forget what it need not know any more.

    limit: the instant before which all was read, and what was new of it handed over.
    """
    if needs_deep_fetch(cursor, now):
        given_up = minutes_before(now, fetch.look_back + CLOCK_TOLERANCE)
        cursor.advance(min(limit, given_up))
        cursor.deep_read = minutes_before(now, 0)
    cursor.open_from = "" if limit == END_OF_TIME else limit

    # The floor comes first: what lies below it need not be counted.
    if not source.keeps_past:
        floor = packed_second(cursor.floor)
        cursor.forget_before(floor)
    cursor.trim(source.max_remembered(fetch), limit)


def fetch_source(
    client: GraphClient,
    source: Source,
    fetch: FetchSettings,
    cursor: Cursor,
    now: datetime,
) -> Handover:
    """Return the new objects to hand over, and move the cursor past them.

    Raises RequestError where not even the first page came; the cursor stays then.
    """
    # What has no time comes with every fetch, or who knows when: it is remembered as long
    # as it comes, and written anew not with every fetch but once an hour.
    new = NewObjects(source, fetch, cursor, undated=next_full_hour(now))
    start = start_of_fetch(cursor, now)
    reading = read_new(client, new, start)
    in_order = new.oldest_first()
    handed_over = in_order[: fetch.max_fetch]
    waiting = in_order[fetch.max_fetch :]
    for row in handed_over:
        new.remember(row)

    waiting_times = [source.time(row) for row in waiting]
    done_before = min([reading.complete_before, *waiting_times])
    limit = max(start, done_before)
    move_cursor(source, fetch, cursor, limit, now)
    return Handover(handed_over, reading.failure)


def to_incident(fetch_type: str, row: Row, now: datetime) -> Json:
    """Return an object as an incident, under the platform's keys; one without a time
    occurred now."""
    source = SOURCES[fetch_type]
    raw = {**row, "fetchType": fetch_type}
    return {
        "name": source.name(row),
        "occurred": source.time(row) or minutes_before(now, 0),
        "severity": severity_of(row),
        "rawJSON": json.dumps(raw, allow_nan=False),
        "dbotMirrorId": property_text(row, "id") or source.key(row),
    }


def undated_note(fetch_type: str, rows: list[Row]) -> str:
    """Say how many objects that are handed over have no time; '' for none."""
    source = SOURCES[fetch_type]
    undated = [row for row in rows if not source.time(row)]
    if not undated:
        return ""

    return (
        f"{fetch_type}: {len(undated)} without a {source.time_property} that can be read "
        "are handed over as of now."
    )


def failure_note(fetch_type: str, handover: Handover) -> str:
    """Say that a type could not be read, or not to the end; '' where it could."""
    if handover.refused:
        return f"{fetch_type} could not be read and wait for a later fetch. {handover.failure}"
    if handover.failure:
        return (
            f"{fetch_type}: reading broke off; the next fetch goes on from there. "
            f"{handover.failure}"
        )

    return ""


class Fetched(NamedTuple):
    """What a fetch brought: the state for the next one by type, incidents, oldest first
    of each type, notes for the log, and why a type could not be read, or not to the
    end."""

    next_run: Json
    incidents: list[Json]
    notes: list[str]
    failures: list[RequestError]

    def plus(
        self, fetch_type: str, cursor: Cursor, handover: Handover, now: datetime
    ) -> "Fetched":
        """Return this with what came of one more type."""
        incidents = [to_incident(fetch_type, row, now) for row in handover.rows]
        notes = [
            undated_note(fetch_type, handover.rows),
            failure_note(fetch_type, handover),
        ]

        return Fetched(
            {**self.next_run, fetch_type: write_cursor(cursor)},
            self.incidents + incidents,
            self.notes + list(filter(None, notes)),
            self.failures + list(filter(None, [handover.failure])),
        )


def fetch_share(
    client: GraphClient,
    source: Source,
    fetch: FetchSettings,
    cursor: Cursor,
    now: datetime,
) -> Handover:
    """Return what `fetch_source` does, or nothing: with the reason where not even the
    first page came, and without one where there is no room for this type."""
    cursor.passed_over = not fetch.max_fetch
    if cursor.passed_over:
        return Handover([])

    try:
        return fetch_source(client, source, fetch, cursor, now)
    except RequestError as error:
        return Handover([], error, refused=True)


def check_floor(cursor: Cursor, fetch: FetchSettings, now: datetime) -> None:
    """Raise LastRunError where all up to a moment to come counts as done with: nothing
    would be fetched until then. A first fetch may be meant to begin later."""
    latest = minutes_before(now, -CLOCK_TOLERANCE)
    if cursor.floor > max(latest, instant(fetch.since)):
        raise LastRunError("lies in the future")


def read_cursors(
    last_run: Any, fetch: FetchSettings, now: datetime
) -> dict[str, Cursor]:
    """Return how far each type was fetched, first those that the last fetch had no room
    for. Raises LastRunError."""
    if not isinstance(last_run, dict):
        raise LastRunError("cannot be read")

    cursors = {}
    for fetch_type in fetch.fetch_types:
        text = last_run.get(fetch_type)
        key_of = SOURCES[fetch_type].key_of
        cursors[fetch_type] = read_cursor(text, fetch.since, key_of)
        check_floor(cursors[fetch_type], fetch, now)

    passed_over = [name for name in cursors if cursors[name].passed_over]
    return {name: cursors[name] for name in (*passed_over, *cursors)}


def fetch_incidents(
    client: GraphClient, fetch: FetchSettings, last_run: Any, now: datetime
) -> Fetched:
    """Fetch every type. Of what is left of max_fetch each may bring an equal share: of 5,
    the first type up to 3, and if it brings 1, the second up to 4. Where there is room
    for one only, they take turns.

    Raises ArgumentError where there are too many event types, LastRunError, and
    RequestError where nothing could be read.
    """
    cursors = read_cursors(last_run, fetch, now)
    fetched = Fetched(last_run, [], [], [])
    refused = 0
    for position, (fetch_type, cursor) in enumerate(cursors.items()):
        types_left = len(cursors) - position
        remaining = fetch.max_fetch - len(fetched.incidents)
        share = quotient_rounded_up(remaining, types_left)
        its_fetch = replace(fetch, max_fetch=share)
        source = SOURCES[fetch_type]
        handover = fetch_share(client, source, its_fetch, cursor, now)
        refused += handover.refused
        # A type without a share, or that was refused, is noted too: where it begins must
        # not move with the clock.
        fetched = fetched.plus(fetch_type, cursor, handover, now)

    if refused == len(cursors):
        raise fetched.failures[0]
    return fetched


class Preview(NamedTuple):
    """Incidents, newest first, and why not all could be read, if so."""

    incidents: list[Json]
    failure: RequestError | None = None


def are_falling(times: list[str]) -> bool:
    """Tell whether times prove that Graph gives the newest first."""
    first, last = times[:1], times[-1:]
    newest_first = sorted(times, reverse=True)
    return first > last and times == newest_first


def newest_selected(
    client: GraphClient, source: Source, fetch: FetchSettings
) -> Handover:
    """Return the newest objects that would be incidents if nothing were known, among all
    since the first fetch's beginning.

    All of those are read where Graph does not give the newest first.
    """
    query = fetch_query(source, fetch, instant(fetch.since), direction="desc")
    selected: list[Row] = []
    times: list[str] = []
    failure = None
    for page in until_failure(client.pages(source.resource, query)):
        failure = page.failure
        times += filter(None, map(source.time, page.rows))
        selected += [
            row for row in page.rows if source.is_new(row, None, fetch)
        ]
        if len(selected) >= fetch.max_fetch and are_falling(times):
            break

    newest_first = sorted(selected, key=source.time, reverse=True)
    shown = newest_first[: fetch.max_fetch]
    return Handover(shown, failure)


def preview_incidents(
    client: GraphClient, fetch: FetchSettings, now: datetime
) -> Preview:
    """Return what the fetch settings select, newest first and at most as many as one
    fetch brings, whether or not they were handed over already."""
    incidents: list[Json] = []
    failures = []
    for fetch_type in fetch.fetch_types:
        source = SOURCES[fetch_type]
        handover = newest_selected(client, source, fetch)
        incidents += [
            to_incident(fetch_type, row, now) for row in handover.rows
        ]
        failures.append(handover.failure)

    newest_first = sorted(incidents, key=itemgetter("occurred"), reverse=True)
    shown = newest_first[: fetch.max_fetch]
    failure = next(filter(None, failures), None)
    return Preview(shown, failure)


# ==== Access checks ===========================================================
#
# What the instance may do, found out by reading one row of each collection; of changes, by
# the token alone.


class AccessCheck(NamedTuple):
    """One thing an instance may be able to do."""

    name: str
    resource: Resource
    write: bool = False

    def permission(self, client: GraphClient) -> str:
        """Return the permission to ask an administrator for."""
        permissions = client.permissions_of(self.resource)
        return permissions.needed(write=self.write)


ESSENTIAL_CHECKS = (
    AccessCheck("Read risky users", RISKY_USERS),
    AccessCheck("Read risk detections", RISK_DETECTIONS),
)

OTHER_CHECKS = (
    AccessCheck("Read risky service principals", RISKY_SERVICE_PRINCIPALS),
    AccessCheck(
        "Read service principal detections", SERVICE_PRINCIPAL_DETECTIONS
    ),
    AccessCheck("Read risky sign-ins", RISKY_SIGN_INS),
    AccessCheck("Look up users in the directory", DIRECTORY_USERS),
    AccessCheck("Change risk of users", RISKY_USERS, write=True),
    AccessCheck(
        "Change risk of service principals",
        RISKY_SERVICE_PRINCIPALS,
        write=True,
    ),
    AccessCheck("Change risk of sign-ins", RISKY_SIGN_INS, write=True),
)

HAS_PERMISSION = "has it"
LACKS_PERMISSION = "lacks it"
OPAQUE_TOKEN = "opaque"


class Access(NamedTuple):
    """What a check found, as the war room shows it.

    token: whether the token's own claims hold the permission. result: "works", or what is
    missing. error: Graph's whole refusal, '' for none.
    """

    capability: str
    permission: str
    token: str
    result: str
    error: str


ACCESS_COLUMNS = ("capability", "permission", "token", "result")


def token_access(client: GraphClient, check: AccessCheck) -> str:
    """Tell whether the token's own claims hold what a check needs."""
    if client.authenticator.token_permissions() is None:
        return OPAQUE_TOKEN

    if client.lacks_permission(check.resource, write=check.write):
        return LACKS_PERMISSION

    return HAS_PERMISSION


def read_access(
    client: GraphClient, resource: Resource, *, reached: bool
) -> GraphError | None:
    """Read one row. Returns why that failed, None when it did not.

    Raises GraphError: no answer came, and Graph was not reached before either.
    """
    try:
        client.first_page(resource, {"$top": "1"})
    except GraphError as error:
        if error.status is None and not reached:
            raise
        return error

    return None


def write_access(instance: Instance, check: AccessCheck, token: str) -> str:
    """Say what the token tells of a change, which cannot be tried without making it."""
    if not response_is_allowed(instance.settings):
        return RESPONSE_IS_OFF
    if token == OPAQUE_TOKEN:
        return (
            "unknown: the token cannot be read, and an action cannot be tried"
        )
    if token == LACKS_PERMISSION:
        return instance.client.missing_permission(check.resource, write=True)

    return "permitted (not tried)"


def check_access(
    instance: Instance, check: AccessCheck, *, reached: bool
) -> Access:
    """Find out about one thing: by a read of one row, or for a change by the token alone.

    reached: whether Graph has answered before. Raises GraphError where it does not now
    either, and SignInError where there is no token.
    """
    client = instance.client
    token = token_access(client, check)
    permission = check.permission(client)
    access = Access(check.name, permission, token, "works", "")
    if check.write:
        return access._replace(result=write_access(instance, check, token))

    refusal = read_access(client, check.resource, reached=reached)
    if refusal:
        return access._replace(result=refusal.summary, error=str(refusal))
    return access


def check_all(
    instance: Instance, checks: Iterable[AccessCheck], *, reached: bool = False
) -> list[Access]:
    """Find out about several things. Raises as `check_access` does."""
    found: list[Access] = []
    for check in checks:
        was_reached = reached or bool(found)
        found.append(check_access(instance, check, reached=was_reached))

    return found


def all_errors(found: list[Access]) -> str:
    """Return the refusals, each once."""
    errors = dict.fromkeys(access.error for access in found if access.error)
    return "\n".join(errors)


def nothing_works(found: list[Access]) -> bool:
    """Tell whether all was refused. A tenant with P1 may read detections and not users,
    and is of use."""
    return all(access.error for access in found)


# ==== Commands ================================================================
#
# Each is given the instance and the command's arguments, and gives back what the war room
# shows.


def try_fetch(client: GraphClient, fetch: FetchSettings) -> None:
    """Fetch as if for the first time, one object of each type, and hand over none. Raises
    as `fetch_incidents` does, and RequestError where one type cannot be read."""
    smallest_fetch = replace(fetch, max_fetch=len(fetch.fetch_types))
    fetched = fetch_incidents(client, smallest_fetch, {}, utc_now())
    if fetched.failures:
        raise fetched.failures[0]


def test_module(instance: Instance, _: Args) -> str:
    """Return "ok" when Graph answers for users or for detections, and to a fetch if the
    instance fetches. What it refuses is told in the log."""
    if instance.authenticator.delegated:
        raise SettingsError(
            "The Test button cannot test a Device Code sign-in, which the platform keeps "
            "from it. In the War Room, run !azure-risky-users-auth-start, follow its "
            "instructions, run !azure-risky-users-auth-complete, then "
            "!azure-risky-users-auth-test."
        )

    essential = check_all(instance, ESSENTIAL_CHECKS)
    errors = all_errors(essential)
    if nothing_works(essential):
        raise RequestError(errors)
    if errors:
        demisto.info(f"[Test] Not all can be read. {errors}")
    if instance.settings.fetch:
        try_fetch(instance.client, instance.settings.fetch)
    return "ok"


def auth_test(instance: Instance, _: Args) -> CommandResults:
    """Return "Success!" and what the instance may do.

    Raises CommandFailed: neither risky users nor risk detections can be read.
    SignInError: there is no token.
    """
    essential = check_all(instance, ESSENTIAL_CHECKS)
    others = check_all(instance, OTHER_CHECKS, reached=True)
    rows = [access._asdict() for access in essential + others]
    report = markdown_table("What this instance may do", rows, ACCESS_COLUMNS)

    if nothing_works(essential):
        results = CommandResults(readable_output=report, raw_response=rows)
        raise CommandFailed(all_errors(essential), [results])

    return CommandResults(
        readable_output=f"Success!\n{report}", raw_response=rows
    )


def auth_start(instance: Instance, _: Args) -> CommandResults:
    """Return the instructions for signing in with a browser."""
    flow = instance.authenticator.start()
    return CommandResults(
        readable_output="### Authorization instructions\n"
        f"1. To sign in, use a web browser to open the page {flow['verification_uri']} "
        f"and enter the code **{flow['user_code']}** to authenticate.\n"
        "2. Run the !azure-risky-users-auth-complete command in the War Room."
    )


def auth_complete(instance: Instance, _: Args) -> str:
    """Finish what auth_start began. Raises SignInError: the person has not finished,
    declined, or was too late."""
    instance.authenticator.complete()
    return "Authorization completed successfully."


def auth_reset(instance: Instance, _: Args) -> str:
    """Forget everything that was stored about signing in."""
    instance.store.clear()
    if not instance.authenticator.delegated:
        return "Authorization was reset successfully. The next command signs in anew."

    return (
        "Authorization was reset successfully. "
        "Run !azure-risky-users-auth-start to start the authentication process."
    )


def risky_users_list(instance: Instance, args: Args) -> list[CommandResults]:
    """Return the risky users that the arguments ask for."""
    return list_resource(instance.client, RISKY_USERS, args)


def no_risk_entry(client: GraphClient, user: NamedUser) -> CommandResults:
    text = no_risk_known(client, user)
    return CommandResults(readable_output=text, raw_response=[])


def risky_user_get(instance: Instance, args: Args) -> CommandResults:
    """Return one risky user, or all of a user principal name; of a name, no risk is an
    answer. Raises ArgumentError: several have the display name."""
    user = read_user(args)
    if user.by == "id":
        return get_resource(instance.client, RISKY_USERS, {"id": user.text})

    rows = find_users(instance.client, user)
    if not rows:
        return no_risk_entry(instance.client, user)
    if user.by == "user_display_name":
        rows = [only_user(user, rows)]

    title = f"Found Risky User With Name: {user.text}"
    return item_results(RISKY_USERS, rows, title)


def history_list(
    client: GraphClient, resource: Resource, item_id: str, args: Args
) -> list[CommandResults]:
    """Return the history of the object with an id. Raises GraphError: none has the id (it
    is named), or no answer came."""
    try:
        return list_resource(client, resource.for_owner(item_id), args)
    except GraphError as error:
        raise naming_unknown_id(error, resource.owner_noun, item_id) from error


def risky_user_history_list(
    instance: Instance, args: Args
) -> CommandResults | list[CommandResults]:
    """Return how a user's risk came to be what it is, for an id or a name."""
    client = instance.client
    user = read_user(args)
    if user.by == "id":
        return history_list(client, RISKY_USER_HISTORY, user.text, args)

    rows = find_users(client, user)
    if not rows:
        return no_risk_entry(client, user)

    user_id = id_of(only_user(user, rows))
    return history_list(client, RISKY_USER_HISTORY, user_id, args)


def risky_user_investigate(instance: Instance, args: Args) -> CommandResults:
    """Return all that is known of one user."""
    return investigate(instance.client, args)


def risk_detections_list(
    instance: Instance, args: Args
) -> list[CommandResults]:
    """Return the risk detections that the arguments ask for."""
    return list_resource(instance.client, RISK_DETECTIONS, args)


def risk_detection_get(instance: Instance, args: Args) -> CommandResults:
    """Return one risk detection."""
    return get_resource(instance.client, RISK_DETECTIONS, args)


def risky_service_principals_list(
    instance: Instance, args: Args
) -> list[CommandResults]:
    """Return the risky service principals that the arguments ask for."""
    return list_resource(instance.client, RISKY_SERVICE_PRINCIPALS, args)


def risky_service_principal_get(
    instance: Instance, args: Args
) -> CommandResults:
    """Return one risky service principal."""
    return get_resource(instance.client, RISKY_SERVICE_PRINCIPALS, args)


def risky_service_principal_history_list(
    instance: Instance, args: Args
) -> list[CommandResults]:
    """Return how a service principal's risk came to be what it is."""
    item_id = str(args.get("id") or "").strip()
    return history_list(
        instance.client, SERVICE_PRINCIPAL_HISTORY, item_id, args
    )


def service_principal_detections_list(
    instance: Instance, args: Args
) -> list[CommandResults]:
    """Return the risk detections of service principals that the arguments ask for."""
    return list_resource(instance.client, SERVICE_PRINCIPAL_DETECTIONS, args)


def service_principal_detection_get(
    instance: Instance, args: Args
) -> CommandResults:
    """Return one risk detection of a service principal."""
    return get_resource(instance.client, SERVICE_PRINCIPAL_DETECTIONS, args)


def risky_sign_ins_list(instance: Instance, args: Args) -> list[CommandResults]:
    """Return the risky sign-ins that the arguments ask for."""
    return list_resource(instance.client, RISKY_SIGN_INS, args)


def risky_sign_in_get(instance: Instance, args: Args) -> CommandResults:
    """Return one sign-in, with or without risk."""
    return get_resource(instance.client, RISKY_SIGN_INS, args)


def risky_users_confirm_compromise(
    instance: Instance, args: Args
) -> CommandResults:
    """Tell Graph that accounts are in an attacker's hands."""
    return run_action(instance, CONFIRM_USERS_COMPROMISED, args)


def risky_users_confirm_safe(instance: Instance, args: Args) -> CommandResults:
    """Tell Graph that accounts are not in an attacker's hands."""
    return run_action(instance, CONFIRM_USERS_SAFE, args)


def risky_users_dismiss(instance: Instance, args: Args) -> CommandResults:
    """Have Graph close all risk of accounts."""
    return run_action(instance, DISMISS_USERS, args)


def service_principals_confirm_compromise(
    instance: Instance, args: Args
) -> CommandResults:
    """Tell Graph that service principals are in an attacker's hands."""
    return run_action(instance, CONFIRM_PRINCIPALS_COMPROMISED, args)


def service_principals_dismiss(
    instance: Instance, args: Args
) -> CommandResults:
    """Have Graph close all risk of service principals."""
    return run_action(instance, DISMISS_PRINCIPALS, args)


def risky_sign_ins_confirm_compromise(
    instance: Instance, args: Args
) -> CommandResults:
    """Tell Graph that sign-ins were an attacker's."""
    return run_action(instance, CONFIRM_SIGN_INS_COMPROMISED, args)


def risky_sign_ins_confirm_safe(
    instance: Instance, args: Args
) -> CommandResults:
    """Tell Graph that sign-ins were the users' own."""
    return run_action(instance, CONFIRM_SIGN_INS_SAFE, args)


def risky_sign_ins_dismiss(instance: Instance, args: Args) -> CommandResults:
    """Have Graph close the risk of sign-ins."""
    return run_action(instance, DISMISS_SIGN_INS, args)


def fetch_settings_of(instance: Instance) -> FetchSettings:
    """Return what an instance fetches. Raises SettingsError: it was not read."""
    if instance.settings.fetch is None:
        raise SettingsError("This instance's fetch parameters were not read.")
    return instance.settings.fetch


def fetch_preview(instance: Instance, _: Args) -> CommandResults:
    """Return what the fetch settings select, without moving anything."""
    settings = fetch_settings_of(instance)
    preview = preview_incidents(instance.client, settings, utc_now())
    incidents = preview.incidents

    since = short_literal(instant(settings.since))
    notes = [
        f"Newest first, since {since}, at most {settings.max_fetch}. "
        "Which of them were handed over already is not known here."
    ]
    unknown_types = unknown_event_types(settings.event_types)
    notes += unknown_type_notes(unknown_types)
    if preview.failure:
        notes.append(f"Incomplete: not all could be read. {preview.failure}")

    columns = ("name", "occurred", "severity", "dbotMirrorId")
    title = f"The fetch settings select {len(incidents)} incident(s)"
    table = markdown_table(title, incidents, columns, notes)
    return CommandResults(readable_output=table, raw_response=incidents)


def fetch_command(instance: Instance) -> None:
    """Hand new incidents over to the platform, and keep how far that came."""
    settings = fetch_settings_of(instance)
    last_run = demisto.getLastRun() or {}
    fetched = fetch_incidents(instance.client, settings, last_run, utc_now())
    for note in fetched.notes:
        demisto.info(f"[Fetch] {note}")

    # The platform keeps what it has.
    if fetched.next_run != last_run:
        demisto.setLastRun(fetched.next_run)
    demisto.incidents(fetched.incidents)


# ==== Entry point =============================================================
#
# From a command's name to its function, and from the parameters to an instance.


FETCH = "fetch-incidents"
TEST = "test-module"
FETCHING = (FETCH, "azure-risky-users-fetch-preview")

COMMANDS: dict[str, Callable[[Instance, Args], Any]] = {
    "test-module": test_module,
    "azure-risky-users-auth-test": auth_test,
    "azure-risky-users-auth-start": auth_start,
    "azure-risky-users-auth-complete": auth_complete,
    "azure-risky-users-auth-reset": auth_reset,
    "azure-risky-users-list": risky_users_list,
    "azure-risky-user-get": risky_user_get,
    "azure-risky-user-history-list": risky_user_history_list,
    "azure-risky-user-investigate": risky_user_investigate,
    "azure-risky-users-risk-detections-list": risk_detections_list,
    "azure-risky-users-risk-detection-get": risk_detection_get,
    "azure-risky-service-principals-list": risky_service_principals_list,
    "azure-risky-service-principal-get": risky_service_principal_get,
    "azure-risky-service-principal-history-list": risky_service_principal_history_list,
    "azure-risky-service-principal-detections-list": service_principal_detections_list,
    "azure-risky-service-principal-detection-get": service_principal_detection_get,
    "azure-risky-users-confirm-compromise": risky_users_confirm_compromise,
    "azure-risky-users-confirm-safe": risky_users_confirm_safe,
    "azure-risky-users-dismiss": risky_users_dismiss,
    "azure-risky-service-principals-confirm-compromise": (
        service_principals_confirm_compromise
    ),
    "azure-risky-service-principals-dismiss": service_principals_dismiss,
    "azure-risky-sign-ins-list": risky_sign_ins_list,
    "azure-risky-sign-in-get": risky_sign_in_get,
    "azure-risky-sign-ins-confirm-compromise": risky_sign_ins_confirm_compromise,
    "azure-risky-sign-ins-confirm-safe": risky_sign_ins_confirm_safe,
    "azure-risky-sign-ins-dismiss": risky_sign_ins_dismiss,
    "azure-risky-users-fetch-preview": fetch_preview,
}


def uses_fetch_settings(command: str, params: Args) -> bool:
    """Tell whether a command reads the fetch parameters: a fetch, its preview, and the
    Test button of an instance that fetches."""
    if command == TEST:
        return bool(argToBoolean(params.get("isFetch") or False))
    return command in FETCHING


def build_instance(settings: Settings, *, persistent: bool) -> Instance:
    """Return what a command is given, signing in as the settings say.

    persistent: whether a sign-in is kept from command to command.
    """
    session = HttpSession(cloud=settings.cloud, verify=settings.verify)
    session.use_proxy = settings.use_proxy
    store = IntegrationStore(
        settings.credentials_fingerprint, persistent=persistent
    )

    kind = AUTHENTICATORS[settings.sign_in]
    authenticator = kind(settings, session, store)
    client = GraphClient(session, authenticator, settings.cloud.graph)
    return Instance(settings, client, authenticator, store)


def run_command(command: str, params: Args, args: Args) -> None:
    """Run a command as its instance's parameters say, and hand over what it returns.
    Raises what the command does."""
    with_fetch = uses_fetch_settings(command, params)
    settings = read_settings(params, with_fetch=with_fetch)
    handle_proxy()
    instance = build_instance(settings, persistent=command != TEST)
    if command == FETCH:
        fetch_command(instance)
        return

    results = COMMANDS[command](instance, args)
    return_results(results)


def main() -> None:
    """Run the command that the platform asks for, and tell what went wrong."""
    command = demisto.command()
    demisto.debug(f"Command being called is {command}")
    try:
        if command not in COMMANDS and command != FETCH:
            raise NotImplementedError(f"Command {command} is not implemented.")
        run_command(command, demisto.params(), demisto.args())
    except Exception as error:
        if isinstance(error, CommandFailed):
            return_results(error.results)

        # Of an error that is not ours the class tells more than the text: a bare KeyError
        # reads 'value'.
        is_ours = isinstance(error, DemistoException)
        text = str(error) if is_ours else f"{type(error).__name__}: {error}"
        return_error(f"Failed to execute {command}. {text}")


if __name__ in ("__main__", "__builtin__", "builtins"):
    main()
