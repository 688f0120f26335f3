"""Graph's metadata for ID Protection and its query options: types, $filter, $orderby, $select. No HTTP, no data."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from functools import lru_cache
from operator import eq, ge, gt, le, lt, ne
from typing import Any, NamedTuple, NoReturn

Row = dict[str, Any]
Predicate = Callable[[Row], "bool | None"]

DEFAULT_TOP = 20  # rows a page
LARGEST_TOP = 500  # rows a page
MOST_OR_CLAUSES = 15
TICKS_PER_SECOND = 10_000_000  # .NET ticks, 100 ns each


class BadRequestError(Exception):
    """Graph's answer 400; the text is Graph's message."""


class EnumType(NamedTuple):
    """An evolvable enum: `later` members read as the sentinel unless the caller prefers to see them."""

    known: tuple[str, ...]
    later: tuple[str, ...] = ()
    sentinel: str = "unknownFutureValue"


def _enum(
    known: str, later: str = "", sentinel: str = "unknownFutureValue"
) -> EnumType:
    return EnumType((*known.split(), sentinel), tuple(later.split()), sentinel)


ENUMS: Mapping[str, EnumType] = {
    "riskLevel": _enum("low medium high hidden none"),
    "riskState": _enum(
        "none confirmedSafe remediated dismissed atRisk confirmedCompromised"
    ),
    "riskDetail": _enum(
        "none adminGeneratedTemporaryPassword userPerformedSecuredPasswordChange userPerformedSecuredPasswordReset"
        " adminConfirmedSigninSafe aiConfirmedSigninSafe userPassedMFADrivenByRiskBasedPolicy"
        " adminDismissedAllRiskForUser adminConfirmedSigninCompromised hidden adminConfirmedUserCompromised",
        "m365DAdminDismissedDetection adminConfirmedServicePrincipalCompromised"
        " adminDismissedAllRiskForServicePrincipal userChangedPasswordOnPremises adminDismissedRiskForSignIn"
        " adminConfirmedAccountSafe microsoftRevokedSessions",
    ),
    "riskDetectionTimingType": _enum("notDefined realtime nearRealtime offline"),
    "activityType": _enum("signin user", "servicePrincipal"),
    "tokenIssuerType": _enum(
        "AzureAD ADFederationServices",
        "AzureADBackupAuth ADFederationServicesMFAAdapter NPSExtension",
        "UnknownFutureValue",
    ),
}


class Resource(NamedTuple):
    """An entity type: its properties with their types, and those that $filter takes."""

    type: str
    properties: Mapping[str, str]
    filterable: frozenset[str] = frozenset()
    countable: bool = False

    def enums(self) -> list[tuple[str, EnumType]]:
        return [
            (name, ENUMS[type_])
            for name, type_ in self.properties.items()
            if type_ in ENUMS
        ]


def _properties(**names_by_type: str) -> dict[str, str]:
    return {
        name: type_ for type_, names in names_by_type.items() for name in names.split()
    }


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_RISK = {"riskLevel": "riskLevel", "riskState": "riskState", "riskDetail": "riskDetail"}
_USER = _RISK | _properties(
    String="id userDisplayName userPrincipalName",
    Boolean="isDeleted isProcessing",
    DateTimeOffset="riskLastUpdatedDateTime",
)
_SERVICE_PRINCIPAL = _RISK | _properties(
    String="id appId displayName servicePrincipalType",
    Boolean="isEnabled isProcessing",
    DateTimeOffset="riskLastUpdatedDateTime",
)
_DETECTION = _RISK | _properties(
    String="id requestId correlationId riskEventType source ipAddress additionalInfo",
    DateTimeOffset="activityDateTime detectedDateTime lastUpdatedDateTime",
    Object="location",
    riskDetectionTimingType="detectionTimingType",
    activityType="activity",
    tokenIssuerType="tokenIssuerType",
)
_HISTORY = _properties(String="initiatedBy", Object="activity")

RESOURCES: Mapping[str, Resource] = {
    "riskyUsers": Resource(
        "riskyUser", _USER, frozenset(_USER) - {"isProcessing"}, countable=True
    ),
    "riskyUsers/history": Resource(
        "riskyUserHistoryItem", _USER | _HISTORY | _properties(String="userId")
    ),
    "riskDetections": Resource(
        "riskDetection",
        _DETECTION | _properties(String="userId userDisplayName userPrincipalName"),
        _names(
            "id requestId riskEventType riskLevel riskState riskDetail userId userDisplayName userPrincipalName"
            " activityDateTime detectedDateTime lastUpdatedDateTime"
        ),
    ),
    "riskyServicePrincipals": Resource(
        "riskyServicePrincipal",
        _SERVICE_PRINCIPAL,
        _names("id displayName riskLevel riskState riskLastUpdatedDateTime"),
        countable=True,
    ),
    "riskyServicePrincipals/history": Resource(
        "riskyServicePrincipalHistoryItem", _SERVICE_PRINCIPAL | _HISTORY
    ),
    "servicePrincipalRiskDetections": Resource(
        "servicePrincipalRiskDetection",
        _DETECTION
        | _properties(
            String="appId servicePrincipalId servicePrincipalDisplayName",
            Object="keyIds",
        ),
        _names(
            "id requestId servicePrincipalId riskEventType riskLevel riskState"
            " activityDateTime detectedDateTime lastUpdatedDateTime"
        ),
    ),
}

_MOMENT = (
    r"(\d{4})-(\d\d)-(\d\d)T(%s):(\d\d):(\d\d)(?:\.(\d{1,7}))?(?:Z|([+-])(\d\d):(\d\d))"
)
_STORED_MOMENT = re.compile(_MOMENT % r"\d\d?")  # recorded rows have hours of one digit


@lru_cache(maxsize=1 << 19)
def ticks(text: str) -> int:
    """Return a stored date and time as .NET ticks, exact to Graph's seven digits. Raises: ValueError."""
    match = _STORED_MOMENT.fullmatch(text)
    if not match:
        raise ValueError(f"not a DateTimeOffset: {text!r}")
    year, month, day, hour, minute, second = map(int, match.group(1, 2, 3, 4, 5, 6))
    fraction, sign, *offset = match.group(7, 8, 9, 10)
    minutes = hour * 60 + minute
    if sign:
        minutes -= int(f"{sign}1") * (int(offset[0]) * 60 + int(offset[1]))
    seconds = ((date(year, month, day).toordinal() - 1) * 1440 + minutes) * 60 + second
    return seconds * TICKS_PER_SECOND + int((fraction or "").ljust(7, "0"))


def unknown_property(name: str, resource: Resource) -> str:
    """Graph's words for a property that the type does not have."""
    return f"Could not find a property named '{name}' on type 'microsoft.graph.{resource.type}'."


# ---- $filter

_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": eq,
    "ne": ne,
    "gt": gt,
    "ge": ge,
    "lt": lt,
    "le": le,
}
_COMPARISON = re.compile(
    r"(?P<property>[A-Za-z]\w*) +(?P<operator>eq|ne|gt|ge|lt|le) +(?:"
    rf"(?P<DateTimeOffset>{_MOMENT % '[0-2][0-9]'})|(?P<Boolean>true|false)"
    r"|(?:microsoft\.graph\.(?P<enum>\w+))?'(?P<String>(?:[^']|'')*)')(?![\w'.])"
)
_AND, _OR, _NOT = (
    re.compile(r" +and +"),
    re.compile(r" +or +"),
    re.compile(r"not *(?=\()"),
)


def _invalid(reason: str) -> BadRequestError:
    return BadRequestError(f"Invalid filter clause: {reason}")


class _Clause(NamedTuple):
    holds: Predicate
    or_clauses: int = 1


def _not(clause: _Clause) -> _Clause:
    def holds(row: Row) -> bool | None:
        inner = clause.holds(row)
        return None if inner is None else not inner

    return _Clause(holds, clause.or_clauses)


def _junction(clauses: list[_Clause], decisive: bool) -> Predicate:
    """Join by `or` (True decides) or `and` (False decides); null is neither, as in SQL."""

    def holds(row: Row) -> bool | None:
        results = [clause.holds(row) for clause in clauses]
        if decisive in results:
            return decisive
        return None if None in results else not decisive

    return holds


def _or(clauses: list[_Clause]) -> _Clause:
    count = sum(clause.or_clauses for clause in clauses)
    if count > MOST_OR_CLAUSES:
        raise BadRequestError(
            "Too many child clauses specified in search filter expression containing 'OR' operators:"
            f" {count}. Max allowed: {MOST_OR_CLAUSES}."
        )
    return _Clause(_junction(clauses, True), count)


def _and(clauses: list[_Clause]) -> _Clause:
    return _Clause(_junction(clauses, False))


class _FilterParser:
    """Recursive descent over `or`, `and`, `not (…)`, parentheses and comparisons."""

    def __init__(self, text: str, resource: Resource) -> None:
        self.text, self.resource, self.position = text, resource, 0

    def parse(self) -> Predicate:
        clause = self._chain(_OR, _or, lambda: self._chain(_AND, _and, self._term))
        if self.position != len(self.text):
            self._fail()
        return clause.holds

    def _accept(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        match = pattern.match(self.text, self.position)
        if match:
            self.position = match.end()
        return match

    def _chain(
        self,
        word: re.Pattern[str],
        join: Callable[[list[_Clause]], _Clause],
        part: Callable[[], _Clause],
    ) -> _Clause:
        clauses = [part()]
        while self._accept(word):
            clauses.append(part())
        return join(clauses) if len(clauses) > 1 else clauses[0]

    def _term(self) -> _Clause:
        if self._accept(_NOT):
            return _not(self._term())
        if self._accept(re.compile(r"\( *")):
            clause = self._chain(_OR, _or, lambda: self._chain(_AND, _and, self._term))
            if not self._accept(re.compile(r" *\)")):
                self._fail()
            return clause
        comparison = self._accept(_COMPARISON)
        return (
            _Clause(_compare(comparison, self.resource)) if comparison else self._fail()
        )

    def _fail(self) -> NoReturn:
        odd = re.search(r"[^\w\s().,:'+$/@-]", self.text[self.position :])
        if odd:
            place = f"character '{odd[0]}' is not valid at position {self.position + odd.start()}"
            raise _invalid(f"Syntax error: {place} in '{self.text}'.")
        raise _invalid(f"Syntax error at position {self.position} in '{self.text}'.")


def _compare(comparison: re.Match[str], resource: Resource) -> Predicate:
    name, operator = comparison["property"], comparison["operator"]
    type_ = resource.properties.get(name)
    if type_ is None:
        raise _invalid(f"{unknown_property(name, resource)}")
    if name not in resource.filterable:
        raise _invalid(
            f"The property '{name}' cannot be used in the $filter query option."
        )
    literal = _literal(comparison, type_)
    if type_ != "DateTimeOffset" and operator not in ("eq", "ne"):
        raise _invalid(f"The operator '{operator}' is not supported for '{name}'.")
    return _comparer(
        name,
        _OPERATORS[operator],
        literal,
        ticks if type_ == "DateTimeOffset" else None,
    )


def _comparer(
    name: str,
    compare: Callable[[Any, Any], bool],
    literal: Any,
    convert: Callable[[str], int] | None,
) -> Predicate:
    def holds(row: Row) -> bool | None:
        value = row[name]
        if value is None:
            return None
        return compare(convert(value) if convert else value, literal)

    return holds


def _literal(comparison: re.Match[str], type_: str) -> object:
    """The literal as a value of the property's type; a literal of another type is refused."""
    if (
        type_ in ENUMS
        and comparison["enum"] in (None, type_)
        and comparison["String"] is not None
    ):
        return _enum_member(comparison["String"], type_)
    text: str | None = (
        comparison[type_] if type_ in ("String", "Boolean", "DateTimeOffset") else None
    )
    if text is None or comparison["enum"]:
        raise _invalid(
            "A binary operator with incompatible types was detected."
            f" Found operand type 'Edm.{type_}' for operator kind '{comparison['operator']}'."
        )
    return {
        "String": _unquoted,
        "Boolean": "true".__eq__,
        "DateTimeOffset": _moment_literal,
    }[type_](text)


def _unquoted(text: str) -> str:
    return text.replace("''", "'")


def _moment_literal(text: str) -> int:
    try:
        return ticks(text)
    except ValueError as error:
        raise _invalid(f"'{text}' is not a valid DateTimeOffset.") from error


def _enum_member(text: str, type_: str) -> str:
    if text not in ENUMS[type_].known + ENUMS[type_].later:
        raise _invalid(f"The string '{text}' is not a valid enumeration type constant.")
    return text


@lru_cache(maxsize=256)
def _parsed_filter(text: str, resource_name: str) -> Predicate:
    return _FilterParser(text, RESOURCES[resource_name]).parse()


def matching(rows: Iterable[Row], text: str, resource_name: str) -> list[Row]:
    """The rows for which a $filter holds; rows for which it is null are left out. Raises: BadRequestError."""
    holds = _parsed_filter(text, resource_name)
    return [row for row in rows if holds(row)]


# ---- the other options


def ordered(rows: list[Row], text: str, resource: Resource) -> list[Row]:
    """The rows in the order of $orderby (dates and `id` only), nulls as the least. Raises: BadRequestError."""
    keys = [_order_key(part.strip(), resource) for part in text.split(",")]
    for name, descending in reversed(keys):
        convert: Callable[[str], Any] = (
            ticks if resource.properties[name] == "DateTimeOffset" else str
        )
        rows = sorted(rows, key=_order_value(name, convert), reverse=descending)
    return rows


def _order_value(
    name: str, convert: Callable[[str], Any]
) -> Callable[[Row], tuple[bool, Any]]:
    def value(row: Row) -> tuple[bool, Any]:
        return (False, None) if row[name] is None else (True, convert(row[name]))

    return value


def _order_key(part: str, resource: Resource) -> tuple[str, bool]:
    name, _, direction = part.partition(" ")
    if name not in resource.properties:
        raise BadRequestError(
            f"Invalid orderby clause: {unknown_property(name, resource)}"
        )
    if direction not in ("", "asc", "desc"):
        raise BadRequestError(
            f"Invalid orderby clause: Syntax error at position {len(name) + 1} in '{part}'."
        )
    if name != "id" and resource.properties[name] != "DateTimeOffset":
        raise BadRequestError(
            f"Invalid orderby clause: The property '{name}' cannot be used in $orderby."
        )
    return name, direction == "desc"


def selected(text: str | None, resource: Resource) -> tuple[str, ...]:
    """The property names of $select; all of the resource's without one. Raises: BadRequestError."""
    if text is None:
        return tuple(resource.properties)
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in resource.properties:
            raise BadRequestError(
                f"Parsing OData Select and Expand failed: {unknown_property(name, resource)}"
            )
    return names


def page_size(text: str | None) -> int:
    """The rows a page for $top, 1 to 500; 20 without one. Raises: BadRequestError."""
    if text is None:
        return DEFAULT_TOP
    if not re.fullmatch(r"[0-9]{1,9}", text) or text == "0":
        raise BadRequestError(
            f"Invalid value '{text}' for $top query option found. It must be a positive integer."
        )
    if int(text) > LARGEST_TOP:
        raise BadRequestError(
            f"The limit of '{LARGEST_TOP}' for Top query has been exceeded."
            f" The value from the incoming request is '{text}'."
        )
    return int(text)


def boolean(text: str | None, option: str) -> bool:
    if text not in (None, "true", "false"):
        raise BadRequestError(
            f"Invalid value '{text}' for {option} query option found. It must be true or false."
        )
    return text == "true"
