"""The demo tenant: recorded rows, the documentation's examples, cases, and a crowd."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from warroom.azure.cases import ADELE_ID, add_cases
from warroom.azure.chance import Chance
from warroom.azure.odata import TICKS_PER_SECOND, Row, ticks
from warroom.azure.rows import (
    history_item,
    offline_detection,
    push_history,
    safe_user,
)
from warroom.azure.sign_in_log import (
    DAY,
    PLACES,
    SIGN_IN_EVENTS,
    USER_AGENTS,
    SignInLog,
    TiedSignIn,
)
from warroom.azure.tenant import SUBJECTS, Tenant

__all__ = ["ADELE_ID", "SIGN_IN_EVENTS", "USER_EVENTS", "Crowd", "demo_tenant"]

TEST_DATA = Path(__file__).resolve().parent.parent.parent / "test_data"
SERVICE_PRINCIPALS = 50
EPOCH = ticks("1970-01-01T00:00:00Z")
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
# Noor Haddad is also the name of the first of the crowd.
ACCOUNT_NAMES = ("Noor Haddad", "Grace Okafor", "Jonas Weber", "Priya Raman")
APP_NAMES = ("Payroll", "Backup", "Reporting")
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


@cache
def _ascii(name: str) -> str:
    """A name as user principal names allow it: no accents; apostrophes stay."""
    decomposed = unicodedata.normalize("NFKD", name)
    return decomposed.encode("ascii", "ignore").decode().lower()


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
    """Add accounts without risk, some with names of their own."""
    for number in range(1, 4 + len(ACCOUNT_NAMES)):
        user = safe_user(f"00000000-0000-4000-8000-0000000d1{number:03x}")
        tenant.directory[user["id"]] = user
    named = list(tenant.directory.values())[3:]
    for user, name in zip(named, ACCOUNT_NAMES, strict=True):
        alias = _ascii(name).replace(" ", ".")
        user["userDisplayName"] = name
        user["userPrincipalName"] = f"{alias}@{tenant.domain}"


# ---- the crowd


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


class CrowdChance(Chance):
    """A seeded source of chance that also draws how someone's risk came about."""

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
        self.chance = CrowdChance(seed)
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
            event,
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

    def add_users(self, users: int, detections: int) -> list[str]:
        """Add both, and give the users' ids."""
        user_ids = [self._add_user(number) for number in range(users)]
        owners = user_ids or list(self.tenant.users)
        self._add_detections(USERS, owners, detections)
        return user_ids

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

    The recorded ones and those of the cases always stay and count among them; a crowd makes
    up the rest.
    now: the moment at which the tenant's clock stands still; without one it is the real one.
    The same seed and `now` give the same rows.
    """
    tenant = Tenant()
    if now:
        tenant.clock = now
    log = SignInLog(tenant, seed)
    _add_recorded(tenant)
    add_cases(tenant, log)
    _add_directory(tenant)
    missing_users = users - len(tenant.users)
    missing_detections = detections - len(tenant.detections)
    crowd = Crowd(tenant, seed)
    user_ids = crowd.add_users(missing_users, missing_detections)
    crowd.add_workloads()
    log.add_tied()
    some = [tenant.users[user_id] for user_id in user_ids[::3]]
    present = [user for user in some if not user["isDeleted"]]
    log.add_ordinary_days([*tenant.directory.values(), *present])
    return tenant
