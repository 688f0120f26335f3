"""Graph's metadata for risk and sign-ins, and its query options. No HTTP, no data."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from functools import lru_cache
from operator import eq, ge, gt, le, lt, ne
from typing import Any, NamedTuple, NoReturn

Row = dict[str, Any]  # one of Graph's objects
Predicate = Callable[[Row], "bool | None"]

MAX_OR_CLAUSES = 15
TICKS_PER_SECOND = 10_000_000  # .NET ticks, 100 ns each
SECONDS_PER_DAY = 86_400
LARGEST_OFFSET = 14 * 60  # of a time zone from UTC, in minutes


class BadRequestError(Exception):
    """Graph's answer 400; the text is Graph's message."""


# ---- types


class EnumType(NamedTuple):
    """An evolvable enum.

    known: members that everybody sees, among them the sentinel. later: members that read
    as the sentinel unless the caller prefers to see them.
    """

    known: tuple[str, ...]
    later: tuple[str, ...] = ()
    sentinel: str = "unknownFutureValue"

    @property
    def members(self) -> tuple[str, ...]:
        return self.known + self.later


def _enum(
    known: str, later: str = "", sentinel: str = "unknownFutureValue"
) -> EnumType:
    at_first = (*known.split(), sentinel)
    return EnumType(at_first, tuple(later.split()), sentinel)


ENUMS: Mapping[str, EnumType] = {
    "riskLevel": _enum("low medium high hidden none"),
    "riskState": _enum(
        "none confirmedSafe remediated dismissed atRisk confirmedCompromised"
    ),
    "riskDetail": _enum(
        "none adminGeneratedTemporaryPassword userPerformedSecuredPasswordChange"
        " userPerformedSecuredPasswordReset adminConfirmedSigninSafe"
        " aiConfirmedSigninSafe userPassedMFADrivenByRiskBasedPolicy"
        " adminDismissedAllRiskForUser adminConfirmedSigninCompromised hidden"
        " adminConfirmedUserCompromised",
        "m365DAdminDismissedDetection adminConfirmedServicePrincipalCompromised"
        " adminDismissedAllRiskForServicePrincipal userChangedPasswordOnPremises"
        " adminDismissedRiskForSignIn adminConfirmedAccountSafe"
        " microsoftRevokedSessions",
    ),
    "riskDetectionTimingType": _enum("notDefined realtime nearRealtime offline"),
    "activityType": _enum("signin user", "servicePrincipal"),
    "conditionalAccessStatus": _enum("success failure notApplied"),
    "tokenIssuerType": _enum(
        "AzureAD ADFederationServices",
        "AzureADBackupAuth ADFederationServicesMFAAdapter NPSExtension",
        "UnknownFutureValue",
    ),
}


EQUALITY = frozenset(("eq", "ne"))
ORDER = frozenset(("eq", "ne", "gt", "ge", "lt", "le"))
ONLY_EQUAL = frozenset(("eq",))
BEGINNING = frozenset(("eq", "startswith"))


class PageSizes(NamedTuple):
    """The rows a page without $top, and the most that $top may ask for."""

    usual: int = 20
    largest: int = 500


class EntityType(NamedTuple):
    """What the objects of a collection are: their properties by name, each with its type.

    filters: the operators that $filter takes, by property, or by a path into one.
    paths: the types of those paths.
    usual_order: that of the rows without $orderby; None is the one in which they came.
    ordered_by_id: whether $orderby takes `id` beside the dates.
    ignores_case: whether texts are equal to $filter's whatever their letter case.
    """

    name: str
    properties: Mapping[str, str]
    filters: Mapping[str, frozenset[str]] = {}
    paths: Mapping[str, str] = {}
    page_sizes: PageSizes = PageSizes()
    usual_order: str | None = None
    ordered_by_id: bool = True
    ignores_case: bool = False

    def enums(self) -> dict[str, EnumType]:
        """The properties that are enums."""
        enums = {}
        for name, type_ in self.properties.items():
            if type_ in ENUMS:
                enums[name] = ENUMS[type_]
        return enums


def _properties(**names_by_type: str) -> dict[str, str]:
    properties: dict[str, str] = {}
    for type_, names in names_by_type.items():
        properties |= dict.fromkeys(names.split(), type_)
    return properties


def _usual_filters(
    properties: Mapping[str, str], names: str
) -> dict[str, frozenset[str]]:
    """Any comparison of dates, equality of everything else."""
    filters = {}
    for name in names.split():
        filters[name] = ORDER if properties[name] == "DateTimeOffset" else EQUALITY
    return filters


def _filters(operators: frozenset[str], names: str) -> dict[str, frozenset[str]]:
    return dict.fromkeys(names.split(), operators)


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
_USER_DETECTION = _DETECTION | _properties(
    String="userId userDisplayName userPrincipalName"
)
_WORKLOAD_DETECTION = _DETECTION | _properties(
    String="appId servicePrincipalId servicePrincipalDisplayName", Collection="keyIds"
)
_ACCOUNT = _properties(String="id displayName userPrincipalName")
_HISTORY = _properties(String="initiatedBy", Object="activity")
_SIGN_IN = _properties(
    String="id correlationId userId userPrincipalName userDisplayName appId"
    " appDisplayName resourceId resourceDisplayName ipAddress clientAppUsed",
    DateTimeOffset="createdDateTime",
    Boolean="isInteractive",
    Object="status deviceDetail location appliedConditionalAccessPolicies",
    Collection="riskEventTypes riskEventTypes_v2",
    conditionalAccessStatus="conditionalAccessStatus",
    riskLevel="riskLevelDuringSignIn riskLevelAggregated",
    riskState="riskState",
    riskDetail="riskDetail",
)
_SIGN_IN_PATHS = _properties(
    String="location/city location/state location/countryOrRegion"
    " deviceDetail/browser deviceDetail/operatingSystem",
    Int32="status/errorCode",
)
# Clients ask for createdDateTime gt and lt too, though le and ge alone are documented.
_SIGN_IN_FILTERS = {
    **_filters(
        ONLY_EQUAL,
        "id userId appId clientAppUsed conditionalAccessStatus correlationId"
        " resourceDisplayName resourceId riskDetail riskLevelAggregated"
        " riskLevelDuringSignIn riskState riskEventTypes riskEventTypes_v2"
        " status/errorCode",
    ),
    **_filters(
        BEGINNING,
        "userPrincipalName userDisplayName appDisplayName ipAddress location/city"
        " location/state location/countryOrRegion deviceDetail/browser"
        " deviceDetail/operatingSystem",
    ),
    "createdDateTime": ORDER - {"ne"},
}

ENTITY_TYPES: Mapping[str, EntityType] = {  # by collection
    "users": EntityType(
        "user",
        _ACCOUNT,
        _filters(ONLY_EQUAL, "id")
        | _filters(BEGINNING, "displayName userPrincipalName"),
        ignores_case=True,
    ),
    "signIns": EntityType(
        "signIn",
        _SIGN_IN,
        _SIGN_IN_FILTERS,
        _SIGN_IN_PATHS,
        PageSizes(usual=1000, largest=1000),
        usual_order="createdDateTime desc",
        ordered_by_id=False,
    ),
    "riskyUsers": EntityType(
        "riskyUser",
        _USER,
        _usual_filters(
            _USER,
            "id userDisplayName userPrincipalName isDeleted riskLevel riskState"
            " riskDetail riskLastUpdatedDateTime",
        ),
    ),
    "riskyUsers/history": EntityType(
        "riskyUserHistoryItem", _USER | _HISTORY | _properties(String="userId")
    ),
    "riskDetections": EntityType(
        "riskDetection",
        _USER_DETECTION,
        _usual_filters(
            _USER_DETECTION,
            "id requestId riskEventType riskLevel riskState riskDetail"
            " userId userDisplayName userPrincipalName"
            " activityDateTime detectedDateTime lastUpdatedDateTime",
        ),
    ),
    "riskyServicePrincipals": EntityType(
        "riskyServicePrincipal",
        _SERVICE_PRINCIPAL,
        _usual_filters(
            _SERVICE_PRINCIPAL,
            "id displayName riskLevel riskState riskLastUpdatedDateTime",
        ),
    ),
    "riskyServicePrincipals/history": EntityType(
        "riskyServicePrincipalHistoryItem", _SERVICE_PRINCIPAL | _HISTORY
    ),
    "servicePrincipalRiskDetections": EntityType(
        "servicePrincipalRiskDetection",
        _WORKLOAD_DETECTION,
        _usual_filters(
            _WORKLOAD_DETECTION,
            "id requestId servicePrincipalId riskEventType riskLevel riskState"
            " activityDateTime detectedDateTime lastUpdatedDateTime",
        ),
    ),
}


def unknown_property(name: str, entity_type: EntityType) -> str:
    """Graph's words for a property that the type does not have."""
    type_name = f"microsoft.graph.{entity_type.name}"
    return f"Could not find a property named '{name}' on type '{type_name}'."


# ---- moments

_MOMENT = (
    r"(?P<date>\d{4}-\d\d-\d\d)T(?P<clock>\d\d:\d\d:\d\d)"
    r"(?:\.(?P<fraction>\d{1,7}))?(?:Z|(?P<sign>[+-])(?P<zone>\d\d:\d\d))"
)


def _minute_of_day(text: str) -> int:
    """Read hours and minutes. Raises: ValueError: no day has such a minute."""
    hours, minutes = (int(number) for number in text.split(":"))
    if hours > 23 or minutes > 59:
        raise ValueError(f"no such time: {text!r}")
    return hours * 60 + minutes


def _second_of_day(clock: str) -> int:
    minutes, _, seconds = clock.rpartition(":")
    if int(seconds) > 59:
        raise ValueError(f"no such time: {clock!r}")
    return _minute_of_day(minutes) * 60 + int(seconds)


def _zone_seconds(match: re.Match[str]) -> int:
    """How far the zone is ahead of UTC. Raises: ValueError: .NET takes no such offset."""
    if not match["zone"]:
        return 0
    distance = _minute_of_day(match["zone"])
    if distance > LARGEST_OFFSET:
        raise ValueError(f"no such offset: {match['zone']!r}")
    if match["sign"] == "-":
        return -60 * distance
    return 60 * distance


@lru_cache(maxsize=1 << 19)
def ticks(text: str) -> int:
    """A date and time as .NET ticks, exact to seven digits.

    Raises: ValueError: it is none.
    """
    match = re.fullmatch(_MOMENT, text)
    if not match:
        raise ValueError(f"not a DateTimeOffset: {text!r}")
    day = date.fromisoformat(match["date"])
    days = day.toordinal() - 1
    clock = _second_of_day(match["clock"])
    seconds = days * SECONDS_PER_DAY + clock - _zone_seconds(match)
    fraction = match["fraction"] or ""
    return seconds * TICKS_PER_SECOND + int(fraction.ljust(7, "0"))


# ---- $filter: its comparisons

_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": eq,
    "ne": ne,
    "gt": gt,
    "ge": ge,
    "lt": lt,
    "le": le,
}
# After the literal comes nothing that would make it longer, such as the x in trueX or the
# quote in 'a'b'.
_PROPERTY = r"(?P<property>[A-Za-z]\w*(?:/[A-Za-z]\w*)?)"
_QUOTED = r"'(?P<String>(?:[^']|'')*)'"
_COMPARISON = re.compile(
    rf"{_PROPERTY} +(?P<operator>eq|ne|gt|ge|lt|le) +(?:"
    rf"(?P<DateTimeOffset>{_MOMENT})|(?P<Boolean>true|false)|(?P<Int32>-?\d{{1,10}})"
    rf"|(?:microsoft\.graph\.(?P<enum>\w+))?{_QUOTED})(?![\w'.-])"
)
_BEGINNING = re.compile(rf"starts[Ww]ith\( *{_PROPERTY} *, *{_QUOTED} *\)")
_ANY = re.compile(
    r"(?P<property>[A-Za-z]\w*)/any\( *(?P<element>[A-Za-z]\w*) *:"
    rf" *(?P=element) +eq +{_QUOTED} *\)"
)


def _invalid(reason: str) -> BadRequestError:
    return BadRequestError(f"Invalid filter clause: {reason}")


def _text_literal(text: str) -> str:
    return text.replace("''", "'")


def _boolean_literal(text: str) -> bool:
    return text == "true"


def _moment_literal(text: str) -> int:
    try:
        return ticks(text)
    except ValueError as error:
        raise _invalid(f"'{text}' is not a valid DateTimeOffset.") from error


_LITERALS: Mapping[str, Callable[[str], object]] = {
    "String": _text_literal,
    "Boolean": _boolean_literal,
    "Int32": int,
    "DateTimeOffset": _moment_literal,
}


def _enum_literal(text: str, type_: str) -> str:
    if text not in ENUMS[type_].members:
        reason = f"The string '{text}' is not a valid enumeration type constant."
        raise _invalid(reason)
    return text


def _incompatible(type_: str, operator: str) -> BadRequestError:
    return _invalid(
        "A binary operator with incompatible types was detected."
        f" Found operand type 'Edm.{type_}' for operator kind '{operator}'."
    )


def _enum_text(comparison: re.Match[str], type_: str) -> str | None:
    """The text of a literal that can be one of this enum: quoted, of no other enum."""
    if comparison["enum"] in (None, type_):
        return comparison["String"]
    return None


def _plain_text(comparison: re.Match[str], type_: str) -> str | None:
    """The text of a literal of this type, which is no enum."""
    if type_ not in _LITERALS or comparison["enum"]:
        return None
    return comparison[type_]


def _literal(comparison: re.Match[str], type_: str) -> object:
    """The literal as a value of the property's type.

    Raises: BadRequestError: it is of another type.
    """
    is_enum = type_ in ENUMS
    text = _enum_text(comparison, type_) if is_enum else _plain_text(comparison, type_)
    if text is None:
        raise _incompatible(type_, comparison["operator"])
    if is_enum:
        return _enum_literal(text, type_)
    return _LITERALS[type_](text)


def _filterable_type(name: str, entity_type: EntityType) -> str:
    """The type of a property or path. Raises: BadRequestError: $filter does not take it."""
    types = {**entity_type.properties, **entity_type.paths}
    if name not in types:
        raise _invalid(unknown_property(name, entity_type))
    if name not in entity_type.filters:
        reason = f"The property '{name}' cannot be used in the $filter query option."
        raise _invalid(reason)
    return types[name]


def _check_operator(name: str, operator: str, entity_type: EntityType) -> None:
    if operator not in entity_type.filters[name]:
        raise _invalid(f"The operator '{operator}' is not supported for '{name}'.")


def _reader(name: str) -> Callable[[Row], Any]:
    """What gives a row's value of a property, or of a path into one."""
    outer, _, inner = name.partition("/")
    if not inner:
        return lambda row: row[outer]
    return lambda row: (row[outer] or {}).get(inner)


def _holds(
    name: str, convert: Callable[[Any], Any], test: Callable[[Any], bool]
) -> Predicate:
    """The predicate that tests a row's value once converted, and is null for null."""
    read = _reader(name)

    def holds(row: Row) -> bool | None:
        value = read(row)
        if value is None:
            return None
        return test(convert(value))

    return holds


def _as_is(value: object) -> object:
    return value


def _conversion(type_: str, entity_type: EntityType) -> Callable[[Any], Any]:
    """What makes a row's values of a type comparable."""
    if type_ == "DateTimeOffset":
        return ticks
    if type_ == "String" and entity_type.ignores_case:
        return str.casefold
    return _as_is


def _compared(comparison: re.Match[str], entity_type: EntityType) -> Predicate:
    name, operator = comparison["property"], comparison["operator"]
    type_ = _filterable_type(name, entity_type)
    if type_ == "Collection":
        raise _incompatible(type_, operator)
    literal = _literal(comparison, type_)
    _check_operator(name, operator, entity_type)
    compare = _OPERATORS[operator]
    convert = _conversion(type_, entity_type)
    if type_ == "String":
        literal = convert(literal)
    return _holds(name, convert, lambda value: compare(value, literal))


def _begins(call: re.Match[str], entity_type: EntityType) -> Predicate:
    name = call["property"]
    type_ = _filterable_type(name, entity_type)
    _check_operator(name, "startswith", entity_type)
    convert = _conversion(type_, entity_type)
    beginning = convert(_text_literal(call["String"]))
    return _holds(name, convert, lambda value: value.startswith(beginning))


def _has_any(call: re.Match[str], entity_type: EntityType) -> Predicate:
    name = call["property"]
    type_ = _filterable_type(name, entity_type)
    if type_ != "Collection":
        raise _invalid(f"The property '{name}' is no collection.")
    wanted = _text_literal(call["String"])
    return _holds(name, _as_is, lambda values: wanted in values)


# ---- $filter: what joins them

_AND = re.compile(r" +and +")
_OR = re.compile(r" +or +")
_NOT = re.compile(r"not *(?=\()")
_OPEN = re.compile(r"\( *")
_CLOSE = re.compile(r" *\)")
_ODD_CHARACTER = re.compile(r"[^\w\s().,:'+$/@-]")


class _Clause(NamedTuple):
    """A part of a $filter.

    or_clauses: how many it counts for within an enclosing `or`. An `and` counts as one,
    whatever is in it: the limit is on the children of an `or`.
    """

    holds: Predicate
    or_clauses: int = 1


def _not(clause: _Clause) -> _Clause:
    def holds(row: Row) -> bool | None:
        inner = clause.holds(row)
        if inner is None:
            return None
        return not inner

    return _Clause(holds, clause.or_clauses)


def _junction(clauses: list[_Clause], decisive: bool) -> Predicate:
    """Join by `or` (True decides) or `and` (False decides); null is neither, as in SQL."""

    def holds(row: Row) -> bool | None:
        results = [clause.holds(row) for clause in clauses]
        if decisive in results:
            return decisive
        if None in results:
            return None
        return not decisive

    return holds


def _or(clauses: list[_Clause]) -> _Clause:
    if len(clauses) == 1:
        return clauses[0]
    count = sum(clause.or_clauses for clause in clauses)
    if count > MAX_OR_CLAUSES:
        raise BadRequestError(
            "Too many child clauses specified in search filter expression containing"
            f" 'OR' operators: {count}. Max allowed: {MAX_OR_CLAUSES}."
        )
    return _Clause(_junction(clauses, True), count)


def _and(clauses: list[_Clause]) -> _Clause:
    if len(clauses) == 1:
        return clauses[0]
    return _Clause(_junction(clauses, False))


_TERMS = (
    (_BEGINNING, _begins),
    (_ANY, _has_any),
    (_COMPARISON, _compared),
)


class _FilterParser:
    """Recursive descent over `or`, `and`, `not (…)`, parentheses and comparisons."""

    def __init__(self, text: str, entity_type: EntityType) -> None:
        self.text = text
        self.entity_type = entity_type
        self.position = 0

    def parse(self) -> Predicate:
        clause = self._disjunction()
        if self.position < len(self.text):
            self._fail()
        return clause.holds

    def _disjunction(self) -> _Clause:
        clauses = [self._conjunction()]
        while self._accept(_OR):
            clauses.append(self._conjunction())
        return _or(clauses)

    def _conjunction(self) -> _Clause:
        clauses = [self._term()]
        while self._accept(_AND):
            clauses.append(self._term())
        return _and(clauses)

    def _term(self) -> _Clause:
        if self._accept(_NOT):
            return _not(self._term())
        if self._accept(_OPEN):
            return self._rest_of_parenthesis()
        for pattern, predicate in _TERMS:
            match = self._accept(pattern)
            if match:
                return _Clause(predicate(match, self.entity_type))
        return self._fail()

    def _rest_of_parenthesis(self) -> _Clause:
        clause = self._disjunction()
        if not self._accept(_CLOSE):
            self._fail()
        return clause

    def _accept(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        match = pattern.match(self.text, self.position)
        if match:
            self.position = match.end()
        return match

    def _fail(self) -> NoReturn:
        odd = _ODD_CHARACTER.search(self.text, self.position)
        if odd:
            place = f"character '{odd[0]}' is not valid at position {odd.start()}"
            raise _invalid(f"Syntax error: {place} in '{self.text}'.")
        raise _invalid(f"Syntax error at position {self.position} in '{self.text}'.")


@lru_cache(maxsize=256)
def _parsed_filter(text: str, collection: str) -> Predicate:
    return _FilterParser(text, ENTITY_TYPES[collection]).parse()


def filtered(rows: Iterable[Row], text: str, collection: str) -> list[Row]:
    """The rows for which a $filter holds; rows for which it is null are left out.

    Raises: BadRequestError.
    """
    holds = _parsed_filter(text, collection)
    return [row for row in rows if holds(row)]


def check_moments(text: str, earliest: int) -> None:
    """Let a $filter pass that names no moment before one, in ticks.

    Raises: BadRequestError: it names one, or one that cannot be.
    """
    unquoted = re.sub(_QUOTED, "''", text)
    for moment in re.finditer(_MOMENT, unquoted):
        if _moment_literal(moment[0]) < earliest:
            raise BadRequestError("Invalid filter clause")


# ---- the other options


class _OrderKey(NamedTuple):
    """One part of $orderby: a property, how its values compare, and the direction."""

    name: str
    convert: Callable[[str], Any]
    descending: bool

    def value(self, row: Row) -> tuple[bool, Any]:
        """What rows are sorted by; null is the least."""
        value = row[self.name]
        if value is None:
            return False, None
        return True, self.convert(value)


def _can_order(name: str, entity_type: EntityType) -> bool:
    if name == "id":
        return entity_type.ordered_by_id
    return entity_type.properties[name] == "DateTimeOffset"


def _order_key(part: str, entity_type: EntityType) -> _OrderKey:
    """Read a part of $orderby, of which only dates and `id` are taken."""
    name, _, direction = part.partition(" ")
    problem = ""
    if name not in entity_type.properties:
        problem = unknown_property(name, entity_type)
    elif direction not in ("", "asc", "desc"):
        problem = f"Syntax error at position {len(name) + 1} in '{part}'."
    elif not _can_order(name, entity_type):
        problem = f"The property '{name}' cannot be used in $orderby."
    if problem:
        raise BadRequestError(f"Invalid orderby clause: {problem}")
    return _OrderKey(name, str if name == "id" else ticks, direction == "desc")


def ordered(rows: list[Row], text: str, collection: str) -> list[Row]:
    """The rows in the order of $orderby. Raises: BadRequestError."""
    entity_type = ENTITY_TYPES[collection]
    keys = [_order_key(part.strip(), entity_type) for part in text.split(",")]
    for key in reversed(keys):
        rows = sorted(rows, key=key.value, reverse=key.descending)
    return rows


def selected(text: str | None, collection: str) -> tuple[str, ...]:
    """The property names of $select; all of them without one. Raises: BadRequestError."""
    entity_type = ENTITY_TYPES[collection]
    if text is None:
        return tuple(entity_type.properties)
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in entity_type.properties:
            problem = unknown_property(name, entity_type)
            raise BadRequestError(f"Parsing OData Select and Expand failed: {problem}")
    return names


def page_size(text: str | None, collection: str) -> int:
    """The rows a page for $top, or without one. Raises: BadRequestError."""
    usual, largest = ENTITY_TYPES[collection].page_sizes
    if text is None:
        return usual
    if not re.fullmatch(r"[0-9]{1,9}", text) or text == "0":
        raise BadRequestError(
            f"Invalid value '{text}' for $top query option found."
            " It must be a positive integer."
        )
    if int(text) > largest:
        raise BadRequestError(
            f"The limit of '{largest}' for Top query has been exceeded."
            f" The value from the incoming request is '{text}'."
        )
    return int(text)


def boolean(text: str | None, option: str) -> bool:
    """What a query option says; False without it. Raises: BadRequestError."""
    if text not in (None, "true", "false"):
        raise BadRequestError(
            f"Invalid value '{text}' for {option} query option found."
            " It must be true or false."
        )
    return text == "true"
