"""The demo tenant: recorded rows, the documentation's examples, one case, and a crowd."""

from __future__ import annotations

import json
import random
import time
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from warroom.azure.odata import TICKS_PER_SECOND, Row, ticks
from warroom.azure.rows import (
    history_item,
    offline_detection,
    push_history,
    safe_user,
    stamp,
)
from warroom.azure.tenant import SUBJECTS, Tenant

TEST_DATA = Path(__file__).resolve().parent.parent.parent / "test_data"
SERVICE_PRINCIPALS = 50
EPOCH = ticks("1970-01-01T00:00:00Z")
DAY = 86_400  # seconds
LONGEST_AGO = 90 * DAY  # how far back the crowd's risk goes

FIRST_NAMES = (
    "Noor",
    "Sean",
    "Mia",
    "Ravi",
    "Chiara",
    "Amaru",
    "Lena",
    "Tomás",
    "Aiko",
    "Pieter",
    "Zoë",
    "Omar",
)
LAST_NAMES = (
    "Haddad",
    "O'Brien",
    "Novak",
    "Iyer",
    "D'Angelo",
    "Quispe",
    "Vogel",
    "Silva",
    "Öztürk",
    "Farouk",
)
APP_NAMES = ("Payroll", "Backup", "Reporting")
USER_AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:126.0) Gecko/20100101 Firefox/126.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/124.0 Safari/537.36",
)
SIGN_IN_EVENTS = {  # riskEventType: detectionTimingType
    "unfamiliarFeatures": "realtime",
    "anonymizedIPAddress": "realtime",
    "unlikelyTravel": "offline",
    "passwordSpray": "offline",
    "maliciousIPAddress": "offline",
    "nationStateIP": "realtime",
    "newCountry": "nearRealtime",
}
USER_EVENTS = (
    "leakedCredentials",
    "anomalousUserActivity",
    "attackerinTheMiddle",
    "userReportedSuspiciousActivity",
)
SERVICE_PRINCIPAL_EVENTS = (
    "leakedCredentials",
    "suspiciousSignins",
    "maliciousApplication",
    "suspiciousAPITraffic",
)


class Place(NamedTuple):
    """Where a sign-in came from."""

    city: str
    state: str
    country: str
    latitude: float
    longitude: float

    def location(self) -> Row:
        """As Graph gives it."""
        coordinates = {"latitude": self.latitude, "longitude": self.longitude}
        return {
            "city": self.city,
            "state": self.state,
            "countryOrRegion": self.country,
            "geoCoordinates": coordinates,
        }


PLACES = (
    Place("Rotterdam", "Zuid-Holland", "NL", 51.9225, 4.47917),
    Place("Cusco", "Cusco", "PE", -13.53195, -71.96746),
    Place("Osaka", "Osaka", "JP", 34.69374, 135.50218),
    Place("Lviv", "L'vivs'ka Oblast'", "UA", 49.83826, 24.02324),
    Place("Staten Island", "New York", "US", 40.59615, -74.16161),
)


class RiskProfile(NamedTuple):
    """A present state of risk, and how often it is met."""

    level: str
    state: str
    detail: str
    weight: int


USER_PROFILES = (
    RiskProfile("high", "atRisk", "none", 14),
    RiskProfile("medium", "atRisk", "none", 18),
    RiskProfile("low", "atRisk", "none", 16),
    RiskProfile("hidden", "atRisk", "hidden", 4),
    RiskProfile("high", "confirmedCompromised", "adminConfirmedUserCompromised", 6),
    RiskProfile("none", "dismissed", "adminDismissedAllRiskForUser", 12),
    RiskProfile("none", "confirmedSafe", "adminConfirmedAccountSafe", 4),
    RiskProfile("none", "remediated", "userPerformedSecuredPasswordReset", 12),
    RiskProfile("none", "remediated", "userChangedPasswordOnPremises", 6),
    RiskProfile("none", "remediated", "microsoftRevokedSessions", 2),
)
SERVICE_PRINCIPAL_PROFILES = (
    RiskProfile("high", "atRisk", "none", 4),
    RiskProfile("medium", "atRisk", "none", 4),
    RiskProfile(
        "high", "confirmedCompromised", "adminConfirmedServicePrincipalCompromised", 1
    ),
    RiskProfile("none", "dismissed", "adminDismissedAllRiskForServicePrincipal", 2),
)


# ---- what is recorded


def _read(name: str) -> Any:
    text = (TEST_DATA / name).read_text(encoding="utf-8")
    return json.loads(text)


def _event_types(tenant: Tenant, user_id: str) -> list[str]:
    """Those of a user's detections."""
    event_types = set()
    for row in tenant.detections.values():
        if row["userId"] == user_id:
            event_types.add(row["riskEventType"])
    return sorted(event_types)


def _add_recorded(tenant: Tenant) -> None:
    examples = _read("spec_examples.json")
    detections = _read("risk_detections.json")["value"]
    for row in detections + examples["detections"]:
        tenant.detections[row["id"]] = row
    users = _read("risky_users.json")["value"]
    for user in users + examples["users"]:
        event_types = _event_types(tenant, user["id"])
        item = history_item(user, "riskyUsers", None, event_types)
        tenant.put("riskyUsers", user, [item])


def _add_directory(tenant: Tenant) -> None:
    for number in range(1, 4):
        user = safe_user(f"00000000-0000-4000-8000-0000000d1{number:03x}")
        tenant.directory[user["id"]] = user


# ---- what a detection has only if a sign-in is tied to it


class TiedSignIn(NamedTuple):
    """A sign-in with signs of risk."""

    number: int
    timing: str
    place: Place
    address: str
    user_agent: str

    def properties(self) -> Row:
        """What it adds to its detection."""
        digits = f"{self.number:012x}"
        return {
            "requestId": f"00000000-0000-4000-8001-{digits}",
            "correlationId": f"00000000-0000-4000-8002-{digits}",
            "detectionTimingType": self.timing,
            "activity": "signin",
            "ipAddress": self.address,
            "location": self.place.location(),
            "additionalInfo": self._additional_info(),
        }

    def _additional_info(self) -> str:
        reasons = ["UnfamiliarASN", "UnfamiliarBrowser", "UnfamiliarIP"]
        info = [
            {"Key": "riskReasons", "Value": reasons},
            {"Key": "userAgent", "Value": self.user_agent},
            {"Key": "alertUrl", "Value": None},
        ]
        return json.dumps(info, separators=(",", ":"))


# ---- the case to investigate: signs of an intruder, two days old, growing worse

ADELE_ID = "00000000-0000-4000-8000-00000000ade1"
ADELE = {
    "userDisplayName": "Adele Vance",
    "userPrincipalName": "adele.vance@contoso.example",
}
NOTICED_AFTER = timedelta(minutes=2, microseconds=350_127)


class Chapter(NamedTuple):
    """A detection of the case; `level` is also the user's from then on."""

    number: int
    event: str
    level: str
    hours_ago: float
    place: Place | None


ADELES_STORY = (
    Chapter(1, "unfamiliarFeatures", "low", 52.4, PLACES[0]),
    Chapter(2, "anonymizedIPAddress", "medium", 26.1, PLACES[1]),
    Chapter(3, "leakedCredentials", "high", 3.2, None),
)


def _case_sign_in(chapter: Chapter) -> Row:
    if chapter.place is None:
        return {}
    number = chapter.number
    address = f"203.0.113.{number}"
    sign_in = TiedSignIn(number, "realtime", chapter.place, address, USER_AGENTS[0])
    return sign_in.properties()


def _case_detection(chapter: Chapter, moment: datetime, user: Row) -> Row:
    subject = SUBJECTS["riskyUsers"]
    number = 0xADE1E0 + chapter.number
    return {
        **offline_detection("riskyUsers", chapter.event, stamp(moment)),
        **subject.owner(user),
        "id": f"{number:064x}",
        "riskLevel": chapter.level,
        "lastUpdatedDateTime": user["riskLastUpdatedDateTime"],
        **_case_sign_in(chapter),
    }


def _add_case(tenant: Tenant) -> None:
    user = safe_user(ADELE_ID) | ADELE
    items: list[Row] = []
    for chapter in ADELES_STORY:
        moment = tenant.now() - timedelta(hours=chapter.hours_ago)
        user = {
            **user,
            "riskLevel": chapter.level,
            "riskState": "atRisk",
            "riskLastUpdatedDateTime": stamp(moment + NOTICED_AFTER),
        }
        item = history_item(user, "riskyUsers", None, [chapter.event])
        push_history(items, item)
        detection = _case_detection(chapter, moment, user)
        tenant.detections[detection["id"]] = detection
    tenant.put("riskyUsers", user, items)


# ---- the crowd


@cache
def _ascii(name: str) -> str:
    """A name as user principal names allow it: no accents; apostrophes stay."""
    decomposed = unicodedata.normalize("NFKD", name)
    return decomposed.encode("ascii", "ignore").decode().lower()


def _seconds(text: str) -> int:
    """A stored moment in whole seconds since 1970."""
    since_1970 = ticks(text) - EPOCH
    return since_1970 // TICKS_PER_SECOND


class Kind(NamedTuple):
    """What the risk of users, or of service principals, may be.

    id_length: the digits of a detection's id.
    """

    collection: str
    profiles: Sequence[RiskProfile]
    event_types: Sequence[str]
    id_length: int


USERS = Kind("riskyUsers", USER_PROFILES, (*SIGN_IN_EVENTS, *USER_EVENTS), id_length=64)
WORKLOADS = Kind(
    "riskyServicePrincipals",
    SERVICE_PRINCIPAL_PROFILES,
    SERVICE_PRINCIPAL_EVENTS,
    id_length=52,
)


class Step(NamedTuple):
    """A state on the way to the present one, and how many seconds before that."""

    level: str
    state: str
    detail: str
    ago: float


class Chance(random.Random):
    """A seeded source of chance that also draws what Graph's rows hold."""

    def happens(self, probability: float) -> bool:
        return self.random() < probability

    def below(self, bound: float) -> float:
        return self.random() * bound

    def hex_digits(self, number: int) -> str:
        bits = self.getrandbits(4 * number)
        return f"{bits:0{number}x}"

    def guid(self) -> str:
        digits = self.hex_digits(32)
        parts = (
            digits[:8],
            digits[8:12],
            f"4{digits[13:16]}",
            f"8{digits[17:20]}",
            digits[20:],
        )
        return "-".join(parts)

    def stamp(self, moment: float) -> str:
        """A moment in seconds since 1970, with 0 to 7 fractional digits."""
        digits = int(self.below(8))
        whole = int(moment)
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
        if not digits:
            return f"{text}Z"
        tenths_of_microseconds = int((moment - whole) * 10**7)
        fraction = f"{tenths_of_microseconds:07d}"
        return f"{text}.{fraction[:digits]}Z"

    def profile(self, kind: Kind) -> RiskProfile:
        weights = [profile.weight for profile in kind.profiles]
        (profile,) = self.choices(kind.profiles, weights)
        return profile

    def steps(self, profile: RiskProfile) -> Iterator[Step]:
        """The states up to the present one, oldest first."""
        if self.happens(0.3):
            days_ago = 3 + self.random()
            yield Step("low", "atRisk", "none", days_ago * DAY)
        if profile.state != "atRisk":
            days_ago = 1 + self.random()
            yield Step("medium", "atRisk", "none", days_ago * DAY)
        yield Step(profile.level, profile.state, profile.detail, 0)


class Crowd:
    """Generates users, service principals and detections, all from one seeded source."""

    def __init__(self, tenant: Tenant, seed: int) -> None:
        self.tenant = tenant
        self.chance = Chance(seed)
        self.now = tenant.now().timestamp()
        self.sign_ins = 0x1000

    # ---- who is at risk

    def _add_user(self, number: int) -> str:
        first = FIRST_NAMES[number % len(FIRST_NAMES)]
        position = number // len(FIRST_NAMES)
        last = LAST_NAMES[position % len(LAST_NAMES)]
        alias = f"{_ascii(first)}.{_ascii(last)}{number}"
        domain = self.tenant.domain
        row = {
            "id": self.chance.guid(),
            "isDeleted": self.chance.happens(0.06),
            "isProcessing": False,
            "userDisplayName": f"{first} {last}",
            "userPrincipalName": f"{alias}@{domain}",
        }
        return self._add_subject(USERS, row)

    def _add_workload(self, number: int) -> str:
        name = APP_NAMES[number % len(APP_NAMES)]
        row = {
            "id": self.chance.guid(),
            "appId": self.chance.guid(),
            "displayName": f"Contoso {name} Sync {number}",
            "isEnabled": self.chance.happens(0.9),
            "isProcessing": False,
            "servicePrincipalType": "Application",
        }
        return self._add_subject(WORKLOADS, row)

    def _history_item(self, kind: Kind, row: Row) -> Row:
        """The item for a state, with what or who brought it about."""
        collection = kind.collection
        detail = row["riskDetail"]
        if detail in ("none", "hidden"):
            event_types = self.chance.sample(kind.event_types, 2)
            return history_item(row, collection, None, event_types)
        if detail.startswith("admin"):
            actor = self.tenant.signed_in_user
            return history_item(row, collection, actor, [])
        return history_item(row, collection, None, [])

    def _add_subject(self, kind: Kind, row: Row) -> str:
        """Add a row with the history that led to it. Gives its id."""
        chance = self.chance
        profile = chance.profile(kind)
        updated = self.now - chance.below(LONGEST_AGO)
        items: list[Row] = []
        for step in chance.steps(profile):
            row = {
                **row,
                "riskLevel": step.level,
                "riskState": step.state,
                "riskDetail": step.detail,
                "riskLastUpdatedDateTime": chance.stamp(updated - step.ago),
            }
            item = self._history_item(kind, row)
            push_history(items, item)
        self.tenant.put(kind.collection, row, items)
        return str(row["id"])

    # ---- what was detected

    def _cause(self, kind: Kind, owner: Row) -> Row:
        """An item of the owner's history, one with event types if there is any."""
        histories = self.tenant.histories(kind.collection)
        items = histories[owner["id"]]
        eventful = []
        for item in items:
            if item["activity"]["riskEventTypes"]:
                eventful.append(item)
        return self.chance.choice(eventful or items)

    def _sign_in(self, event: str) -> TiedSignIn:
        self.sign_ins += 1
        number = self.chance.randrange(1, 255)
        place = self.chance.choice(PLACES)
        user_agent = self.chance.choice(USER_AGENTS)
        return TiedSignIn(
            self.sign_ins,
            SIGN_IN_EVENTS[event],
            place,
            f"198.51.100.{number}",
            user_agent,
        )

    def _details(self, kind: Kind, event: str, detected: float) -> Row:
        """What else a detection has; the activity of an offline one was earlier."""
        chance = self.chance
        if kind is WORKLOADS:
            return {"keyIds": [chance.guid()]}
        if event not in SIGN_IN_EVENTS:
            return {"additionalInfo": chance.choice((None, "[]"))}
        sign_in = self._sign_in(event)
        if sign_in.timing != "offline":
            return sign_in.properties()
        activity = chance.stamp(detected - chance.below(DAY))
        return sign_in.properties() | {"activityDateTime": activity}

    def _detection(self, kind: Kind, item: Row) -> Row:
        """A detection that led to a history item, still without its owner."""
        chance = self.chance
        event_types = item["activity"]["riskEventTypes"]
        event = chance.choice(event_types or ["generic"])
        updated = item["riskLastUpdatedDateTime"]
        detected = _seconds(updated) - 1 - chance.below(7200)
        moment = chance.stamp(detected)
        digits = chance.hex_digits(64)
        return {
            **offline_detection(kind.collection, event, moment),
            "id": digits[: kind.id_length],
            "lastUpdatedDateTime": updated,
            **self._details(kind, event, detected),
        }

    def _add_detections(self, kind: Kind, owners: list[str], number: int) -> None:
        """Add detections, in the order of no date, that fit the histories of owners."""
        subject = SUBJECTS[kind.collection]
        rows = self.tenant.store(kind.collection)
        detections = self.tenant.store(subject.detections)
        for _ in range(number):
            owner = rows[self.chance.choice(owners)]
            item = self._cause(kind, owner)
            detection = {
                **self._detection(kind, item),
                **subject.owner(owner),
                # Risk that ended for the owner ended here too.
                "riskLevel": item["riskLevel"],
                "riskState": owner["riskState"],
                "riskDetail": owner["riskDetail"],
            }
            detections[detection["id"]] = detection

    # ---- all of it

    def add_users(self, users: int, detections: int) -> None:
        user_ids = [self._add_user(number) for number in range(users)]
        owners = user_ids or list(self.tenant.users)
        self._add_detections(USERS, owners, detections)

    def add_workloads(self) -> None:
        numbers = range(SERVICE_PRINCIPALS)
        owners = [self._add_workload(number) for number in numbers]
        self._add_detections(WORKLOADS, owners, 2 * SERVICE_PRINCIPALS)


def demo_tenant(
    now: datetime | None = None,
    users: int = 1200,
    detections: int = 3000,
    seed: int = 7,
) -> Tenant:
    """Build a tenant with so many users and detections at least.

    The recorded ones and those of the case always stay and count among them; a crowd makes
    up the rest.
    now: the moment at which the tenant's clock stands still; without one it is the real one.
    The same seed and `now` give the same rows.
    """
    tenant = Tenant()
    if now:
        tenant.clock = now
    _add_recorded(tenant)
    _add_case(tenant)
    _add_directory(tenant)
    missing_users = users - len(tenant.users)
    missing_detections = detections - len(tenant.detections)
    crowd = Crowd(tenant, seed)
    crowd.add_users(missing_users, missing_detections)
    crowd.add_workloads()
    return tenant
