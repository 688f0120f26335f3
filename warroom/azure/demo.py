"""What stands in the demo tenant: recorded rows, the documentation's examples, one case to investigate, and a crowd."""

from __future__ import annotations

import json
import random
import time
import unicodedata
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from warroom.azure.odata import Row
from warroom.azure.tenant import (
    SUBJECTS,
    Tenant,
    history_item,
    offline_detection,
    push_history,
    safe_user,
    stamp,
)

TEST_DATA = Path(__file__).resolve().parent.parent.parent / "test_data"
SERVICE_PRINCIPALS = 50
LONGEST_AGO = 90 * 86_400  # seconds: how far back the crowd's risk goes

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
PLACES = (
    ("Rotterdam", "Zuid-Holland", "NL", 51.9225, 4.47917),
    ("Cusco", "Cusco", "PE", -13.53195, -71.96746),
    ("Osaka", "Osaka", "JP", 34.69374, 135.50218),
    ("Lviv", "L'vivs'ka Oblast'", "UA", 49.83826, 24.02324),
    ("Staten Island", "New York", "US", 40.59615, -74.16161),
)
AGENTS = (
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


class Outcome(NamedTuple):
    """A present state of risk, and how often it is met."""

    level: str
    state: str
    detail: str
    weight: int


OUTCOMES = (
    Outcome("high", "atRisk", "none", 14),
    Outcome("medium", "atRisk", "none", 18),
    Outcome("low", "atRisk", "none", 16),
    Outcome("hidden", "atRisk", "hidden", 4),
    Outcome("high", "confirmedCompromised", "adminConfirmedUserCompromised", 6),
    Outcome("none", "dismissed", "adminDismissedAllRiskForUser", 12),
    Outcome("none", "confirmedSafe", "adminConfirmedAccountSafe", 4),
    Outcome("none", "remediated", "userPerformedSecuredPasswordReset", 12),
    Outcome("none", "remediated", "userChangedPasswordOnPremises", 6),
    Outcome("none", "remediated", "microsoftRevokedSessions", 2),
)
SERVICE_PRINCIPAL_OUTCOMES = (
    Outcome("high", "atRisk", "none", 4),
    Outcome("medium", "atRisk", "none", 4),
    Outcome(
        "high", "confirmedCompromised", "adminConfirmedServicePrincipalCompromised", 1
    ),
    Outcome("none", "dismissed", "adminDismissedAllRiskForServicePrincipal", 2),
)


def _read(name: str) -> Any:
    return json.loads((TEST_DATA / name).read_text(encoding="utf-8"))


def _recorded() -> dict[str, list[Row]]:
    spec = _read("spec_examples.json")
    return {
        "riskyUsers": _read("risky_users.json")["value"] + spec["users"],
        "riskDetections": _read("risk_detections.json")["value"] + spec["detections"],
    }


def _events_of(tenant: Tenant, user_id: str) -> list[str]:
    return sorted(
        {
            row["riskEventType"]
            for row in tenant.detections.values()
            if row["userId"] == user_id
        }
    )


# ---- the case to investigate: signs of an intruder, two days old, growing worse

ADELE_ID = "00000000-0000-4000-8000-00000000ade1"
ADELE = {
    "userDisplayName": "Adele Vance",
    "userPrincipalName": "adele.vance@contoso.example",
}
ADELES_STORY = (  # riskEventType, level of detection and of the user from then on, hours ago, place
    ("unfamiliarFeatures", "low", 52.4, PLACES[0]),
    ("anonymizedIPAddress", "medium", 26.1, PLACES[1]),
    ("leakedCredentials", "high", 3.2, None),
)


def _add_investigation(tenant: Tenant) -> None:
    now, items = tenant.now(), list[Row]()
    row = safe_user(ADELE_ID) | ADELE | {"riskState": "atRisk"}
    for number, (event, level, hours, place) in enumerate(ADELES_STORY, 1):
        moment = now - timedelta(hours=hours)
        updated = stamp(moment + timedelta(minutes=2, microseconds=350_127))
        row = row | {"riskLevel": level, "riskLastUpdatedDateTime": updated}
        push_history(items, history_item(row, "riskyUsers", None, [event]))
        detection = offline_detection("riskyUsers", event, stamp(moment)) | _owner(
            row, "riskyUsers"
        )
        detection |= {
            "id": f"{0xADE1E0 + number:064x}",
            "riskLevel": level,
            "lastUpdatedDateTime": updated,
        }
        if place:
            detection |= _sign_in(
                number, "realtime", place, f"203.0.113.{number}", AGENTS[0]
            )
        tenant.detections[detection["id"]] = detection
    tenant.users[ADELE_ID], tenant.history[ADELE_ID] = row, items


def _add_directory(tenant: Tenant) -> None:
    for number in range(1, 4):
        user = safe_user(f"00000000-0000-4000-8000-0000000d1{number:03x}")
        tenant.directory[user["id"]] = user


@cache
def _ascii(name: str) -> str:
    """A name as user principal names allow it: no accents; apostrophes stay."""
    return (
        unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    )


def _owner(row: Row, resource_name: str) -> Row:
    return {
        name: row[own] for name, own in SUBJECTS[resource_name].owner_fields.items()
    }


def _sign_in(
    number: int, timing: str, place: tuple[Any, ...], address: str, agent: str
) -> Row:
    """What a detection has only if a sign-in is tied to it."""
    city, state, country, latitude, longitude = place
    coordinates = {"latitude": latitude, "longitude": longitude}
    reasons = ["UnfamiliarASN", "UnfamiliarBrowser", "UnfamiliarIP"]
    info = [
        {"Key": "riskReasons", "Value": reasons},
        {"Key": "userAgent", "Value": agent},
    ]
    return {
        "requestId": f"00000000-0000-4000-8001-{number:012x}",
        "correlationId": f"00000000-0000-4000-8002-{number:012x}",
        "detectionTimingType": timing,
        "activity": "signin",
        "ipAddress": address,
        "location": {
            "city": city,
            "state": state,
            "countryOrRegion": country,
            "geoCoordinates": coordinates,
        },
        "additionalInfo": json.dumps(
            [*info, {"Key": "alertUrl", "Value": None}], separators=(",", ":")
        ),
    }


class Crowd:
    """Generates users, service principals and detections, all from one seeded source of chance."""

    def __init__(self, tenant: Tenant, seed: int) -> None:
        self.tenant, self.chance = tenant, random.Random(seed)
        self.now = tenant.now().timestamp()
        self.sign_ins = 0x1000

    def add(self, users: int, detections: int) -> None:
        names = [self._add_user(number) for number in range(users)]
        self._detect("riskyUsers", names or list(self.tenant.users), detections)
        names = [
            self._add_service_principal(number) for number in range(SERVICE_PRINCIPALS)
        ]
        self._detect("riskyServicePrincipals", names, 2 * SERVICE_PRINCIPALS)

    def _guid(self) -> str:
        digits = f"{self.chance.getrandbits(128):032x}"
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"

    def _stamp(self, moment: float) -> str:
        """A moment in seconds since 1970 with 0 to 7 fractional digits, as the service has them."""
        whole, digits = int(moment), int(self.chance.random() * 8)
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
        return (
            f"{text}.{int((moment - whole) * 10**7):07d}"[
                : 20 + digits if digits else 19
            ]
            + "Z"
        )

    def _add_user(self, number: int) -> str:
        first = FIRST_NAMES[number % len(FIRST_NAMES)]
        last = LAST_NAMES[number // len(FIRST_NAMES) % len(LAST_NAMES)]
        row = {
            "id": self._guid(),
            "isDeleted": self.chance.random() < 0.06,
            "isProcessing": False,
            "userDisplayName": f"{first} {last}",
            "userPrincipalName": f"{_ascii(first)}.{_ascii(last)}{number}@{self.tenant.domain}",
        }
        return self._add_subject(
            "riskyUsers", row, OUTCOMES, (*SIGN_IN_EVENTS, *USER_EVENTS)
        )

    def _add_service_principal(self, number: int) -> str:
        row = {
            "id": self._guid(),
            "appId": self._guid(),
            "displayName": f"Contoso {('Payroll', 'Backup', 'Reporting')[number % 3]} Sync {number}",
            "isEnabled": self.chance.random() < 0.9,
            "isProcessing": False,
            "servicePrincipalType": "Application",
        }
        return self._add_subject(
            "riskyServicePrincipals",
            row,
            SERVICE_PRINCIPAL_OUTCOMES,
            SERVICE_PRINCIPAL_EVENTS,
        )

    def _add_subject(
        self,
        resource_name: str,
        row: Row,
        outcomes: tuple[Outcome, ...],
        events: tuple[str, ...],
    ) -> str:
        """Add a row with the history that led to it: at risk first, then what became of it."""
        outcome = self.chance.choices(
            outcomes, [outcome.weight for outcome in outcomes]
        )[0]
        moment = self.now - self.chance.random() * LONGEST_AGO
        items: list[Row] = []
        for level, state, detail, ago in self._steps(outcome):
            changes = {"riskLevel": level, "riskState": state, "riskDetail": detail}
            row = {
                **row,
                **changes,
                "riskLastUpdatedDateTime": self._stamp(moment - ago),
            }
            event_types = (
                self.chance.sample(events, 2) if detail in ("none", "hidden") else []
            )
            actor = self.tenant.signed_in_user if detail.startswith("admin") else None
            push_history(items, history_item(row, resource_name, actor, event_types))
        self.tenant.store(resource_name)[row["id"]] = row
        self.tenant.histories(resource_name)[row["id"]] = items
        return str(row["id"])

    def _steps(self, outcome: Outcome) -> Iterator[tuple[str, str, str, float]]:
        """The states up to the present one, oldest first, each with the seconds between it and the present one."""
        if self.chance.random() < 0.3:
            yield "low", "atRisk", "none", 86_400 * (3 + self.chance.random())
        if outcome.state != "atRisk":
            yield "medium", "atRisk", "none", 86_400 * (1 + self.chance.random())
        yield outcome.level, outcome.state, outcome.detail, 0.0

    def _detect(self, resource_name: str, owners: list[str], number: int) -> None:
        """Add detections in the order of no date; their events are those of the owner's history."""
        subject = SUBJECTS[resource_name]
        rows, histories = (
            self.tenant.store(resource_name),
            self.tenant.histories(resource_name),
        )
        store = self.tenant.store(subject.detection_resource)
        for _ in range(number):
            owner = self.chance.choice(owners)
            at_risk = [
                item for item in histories[owner] if item["activity"]["riskEventTypes"]
            ]
            item = self.chance.choice(at_risk or histories[owner])
            detection = self._detection(resource_name, item)
            store[detection["id"]] = (
                detection
                | _owner(rows[owner], resource_name)
                | _present_risk(item, rows[owner])
            )

    def _detection(self, resource_name: str, item: Row) -> Row:
        event = self.chance.choice(item["activity"]["riskEventTypes"] or ["generic"])
        updated = datetime.fromisoformat(
            item["riskLastUpdatedDateTime"][:19] + "+00:00"
        ).timestamp()
        detected = updated - 1 - self.chance.random() * 7200
        row = offline_detection(resource_name, event, self._stamp(detected))
        row |= {
            "id": f"{self.chance.getrandbits(256):064x}",
            "lastUpdatedDateTime": item["riskLastUpdatedDateTime"],
        }
        if resource_name == "riskyServicePrincipals":
            return row | {"id": row["id"][:52], "keyIds": [self._guid()]}
        if event in SIGN_IN_EVENTS:
            self.sign_ins += 1
            address = f"198.51.100.{self.chance.randrange(1, 255)}"
            place, agent = self.chance.choice(PLACES), self.chance.choice(AGENTS)
            row |= _sign_in(self.sign_ins, SIGN_IN_EVENTS[event], place, address, agent)
            if SIGN_IN_EVENTS[event] == "offline":
                row["activityDateTime"] = self._stamp(
                    detected - self.chance.random() * 86_400
                )
        return (
            row
            if event in SIGN_IN_EVENTS
            else row | {"additionalInfo": self.chance.choice((None, "[]"))}
        )


def _present_risk(item: Row, owner: Row) -> Row:
    """Risk that ended for the owner ended for the detection too; its level stays what it was when detected."""
    return {
        "riskLevel": item["riskLevel"],
        "riskState": owner["riskState"],
        "riskDetail": owner["riskDetail"],
    }


def demo_tenant(
    now: datetime | None = None,
    users: int = 1200,
    detections: int = 3000,
    seed: int = 7,
) -> Tenant:
    """Build a tenant with so many users and detections in all; what is recorded is always there.

    now: the moment at which the tenant's clock stands still. The same seed and `now` give the same rows.
    """
    tenant = Tenant() if now is None else Tenant(clock=now)
    for name, rows in _recorded().items():
        tenant.store(name).update((row["id"], row) for row in rows)
    for row in tenant.users.values():
        tenant.history[row["id"]] = [
            history_item(row, "riskyUsers", None, _events_of(tenant, row["id"]))
        ]
    _add_investigation(tenant)
    _add_directory(tenant)
    Crowd(tenant, seed).add(
        users - len(tenant.users), detections - len(tenant.detections)
    )
    return tenant
