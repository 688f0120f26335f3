"""The demo's sign-in log: the sign-ins behind the detections, and ordinary ones."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import cache
from typing import NamedTuple

from warroom.azure.chance import Chance
from warroom.azure.odata import Row
from warroom.azure.rows import (
    ITEM_NAMESPACE,
    OUTLOOK,
    SUCCESS,
    old_event_types,
    sign_in,
    stamp,
)
from warroom.azure.tenant import LEVELS, Tenant, is_open

DAY = 86_400  # seconds
DAYS_KEPT = 30  # by the log
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:126.0) Gecko/20100101 Firefox/126.0"
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/124.0 Safari/537.36"
SAFARI = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15"
    " (KHTML, like Gecko) Version/17.5 Safari/605.1.15"
)
USER_AGENTS = (FIREFOX, CHROME)
SIGN_IN_EVENTS = {  # riskEventType: detectionTimingType
    "unfamiliarFeatures": "realtime",
    "anonymizedIPAddress": "realtime",
    "unlikelyTravel": "offline",
    "passwordSpray": "offline",
    "maliciousIPAddress": "offline",
    "nationStateIP": "realtime",
    "newCountry": "nearRealtime",
}
TECHNIQUES = {  # of MITRE ATT&CK, by riskEventType, where they are not the usual one
    "unfamiliarFeatures": "T1078.004",
    "anonymizedIPAddress": "T1090.003,T1078",
    "passwordSpray": "T1110.003",
}
REASONS = ("UnfamiliarASN", "UnfamiliarBrowser", "UnfamiliarIP")


# ---- where a sign-in comes from


class Place(NamedTuple):
    """Where a sign-in came from."""

    city: str
    state: str
    country: str
    latitude: float
    longitude: float

    def location(self) -> Row:
        """As Graph gives it of a detection."""
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


def logged_location(location: Row | None) -> Row | None:
    """A detection's location as the log gives it."""
    if location is None:
        return None
    coordinates = {"altitude": None, **location["geoCoordinates"]}
    return location | {"geoCoordinates": coordinates}


class TiedSignIn(NamedTuple):
    """A sign-in with signs of risk. reasons: why it was found unfamiliar."""

    number: int
    event: str
    place: Place
    address: str
    user_agent: str
    reasons: tuple[str, ...] = REASONS

    @property
    def timing(self) -> str:
        return SIGN_IN_EVENTS[self.event]

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
        info = [
            {"Key": "riskReasons", "Value": self.reasons},
            {"Key": "userAgent", "Value": self.user_agent},
            {"Key": "alertUrl", "Value": None},
            {"Key": "mitreTechniques", "Value": TECHNIQUES.get(self.event, "T1078")},
        ]
        return json.dumps(info, separators=(",", ":"))


class Device(NamedTuple):
    """What someone signs in with. name, trust: none where the directory knows it not."""

    system: str
    browser: str
    name: str = ""
    trust: str | None = None

    def detail(self) -> Row:
        """As Graph gives it."""
        is_managed = self.trust == "Azure AD joined"
        device_id = str(uuid.uuid5(ITEM_NAMESPACE, self.name)) if self.name else ""
        return {
            "deviceId": device_id,
            "displayName": self.name,
            "operatingSystem": self.system,
            "browser": self.browser,
            "isCompliant": is_managed,
            "isManaged": is_managed,
            "trustType": self.trust,
        }


DEVICES: Mapping[str, Device] = {  # by user agent
    FIREFOX: Device("Linux", "Firefox 126.0"),
    CHROME: Device("Windows10", "Chrome 124.0.0"),
    SAFARI: Device("MacOs", "Safari 17.5"),
}


# ---- how it ended


Outcome = Row  # what the log tells of the end of a sign-in


def _outcome(
    status: Row, access: str = "notApplied", policy: str = "", control: str = ""
) -> Outcome:
    """How a sign-in ended, by the one policy that applied if there was any."""
    outcome = {"status": status, "conditionalAccessStatus": access}
    if not policy:
        return outcome | {"appliedConditionalAccessPolicies": []}
    applied = {
        "id": str(uuid.uuid5(ITEM_NAMESPACE, policy)),
        "displayName": policy,
        "enforcedGrantControls": [control],
        "enforcedSessionControls": [],
        "result": access,
    }
    return outcome | {"appliedConditionalAccessPolicies": [applied]}


def _status(code: int, reason: str, details: str | None = None) -> Row:
    return {"errorCode": code, "failureReason": reason, "additionalDetails": details}


def _success(details: str) -> Row:
    return SUCCESS | {"additionalDetails": details}


_MFA = ("MFA for all", "Mfa")
PLAIN_SUCCESS = _outcome(SUCCESS)
MFA_BY_CLAIM = _outcome(
    _success("MFA requirement satisfied by claim in the token"), "success", *_MFA
)
MFA_DONE = _outcome(_success("MFA completed in Azure AD"), "success", *_MFA)
WRONG_PASSWORD = _outcome(
    _status(50126, "Error validating credentials due to invalid username or password.")
)
LOCKED_OUT = _outcome(
    _status(
        50053,
        "Account is locked because user tried to sign in too many times with an"
        " incorrect user ID or password.",
    )
)
MALICIOUS_ADDRESS = _outcome(
    _status(
        50053,
        "Sign-in was blocked because it came from an IP address with malicious"
        " activity.",
    )
)
MFA_NEEDED = _outcome(
    _status(50074, "Strong Authentication is required."), "failure", *_MFA
)
MFA_FAILED = _outcome(
    _status(
        500121,
        "Authentication failed during strong authentication request.",
        "MFA denied; user declined the authentication",
    ),
    "failure",
    *_MFA,
)
BLOCKED = _outcome(
    _status(
        53003,
        "Access has been blocked by Conditional Access policies. The access policy"
        " does not allow token issuance.",
    ),
    "failure",
    "Block unknown countries",
    "Block",
)
RISKY_OUTCOMES = (
    PLAIN_SUCCESS,
    MFA_BY_CLAIM,
    MFA_BY_CLAIM,
    MFA_NEEDED,
    MFA_FAILED,
    BLOCKED,
    MALICIOUS_ADDRESS,
)
ORDINARY_OUTCOMES = (
    *(MFA_BY_CLAIM, MFA_BY_CLAIM, MFA_BY_CLAIM, MFA_DONE, PLAIN_SUCCESS) * 5,
    WRONG_PASSWORD,
    WRONG_PASSWORD,
    LOCKED_OUT,
    MFA_NEEDED,
    MFA_FAILED,
)
TEAMS = {
    "appId": "1fec8e78-bce4-4aaf-ab1b-5451cc387264",
    "appDisplayName": "Microsoft Teams",
    "resourceId": "cc15fd57-2c6c-4117-a88c-83b1d56b4bbe",
    "resourceDisplayName": "Microsoft Teams Services",
    "clientAppUsed": "Mobile Apps and Desktop clients",
}
APPS = (OUTLOOK, OUTLOOK, TEAMS)


# ---- the sign-in behind detections


def _user_agent(detection: Row) -> str:
    info = json.loads(detection["additionalInfo"] or "[]")
    for pair in info:
        if pair["Key"] == "userAgent":
            return str(pair["Value"])
    return CHROME


def _highest(levels: Iterable[str]) -> str:
    return max(levels, key=LEVELS.index)


def _level_at_once(detections: Sequence[Row]) -> str:
    """What was thought of a sign-in while it lasted."""
    at_once = []
    for row in detections:
        if row["detectionTimingType"] != "offline":
            # Of risk that ended, the detection may not tell any more how high it was.
            level = row["riskLevel"]
            at_once.append("medium" if level == "none" else level)
    return _highest(at_once or ["none"])


def _level_at_last(detections: Sequence[Row]) -> str:
    still_open = [row["riskLevel"] for row in detections if is_open(row)]
    return _highest(still_open or ["none"])


def _risk_of(detections: Sequence[Row]) -> Row:
    event_types = [row["riskEventType"] for row in detections]
    return {
        "riskLevelDuringSignIn": _level_at_once(detections),
        "riskLevelAggregated": _level_at_last(detections),
        "riskState": detections[0]["riskState"],
        "riskDetail": detections[0]["riskDetail"],
        "riskEventTypes": old_event_types(event_types),
        "riskEventTypes_v2": event_types,
    }


def tied_sign_in(detections: Sequence[Row], outcome: Outcome, device: Device) -> Row:
    """The sign-in that one or more detections are tied to."""
    first = detections[0]
    user = first | {"id": first["userId"]}
    return {
        **sign_in(first["requestId"], user, first["activityDateTime"]),
        **outcome,
        **_risk_of(detections),
        "correlationId": first["correlationId"],
        "ipAddress": first["ipAddress"],
        "location": logged_location(first["location"]),
        "deviceDetail": device.detail(),
    }


# ---- how someone signs in day by day


class Habit(NamedTuple):
    """From where and with what a user signs in."""

    place: Place
    address: str
    device: Device


@cache
def _usual(habit: Habit) -> Row:
    return {
        "ipAddress": habit.address,
        "location": logged_location(habit.place.location()),
        "deviceDetail": habit.device.detail(),
    }


class SignInLog:
    """Fills a tenant's log from a seeded source of its own."""

    def __init__(self, tenant: Tenant, seed: int) -> None:
        self.tenant = tenant
        self.chance = Chance(f"sign-ins {seed}")
        self.now = tenant.now().timestamp()

    def add(self, row: Row) -> None:
        self.tenant.sign_ins[row["id"]] = row

    def _id(self) -> str:
        """A GUID; those of sign-ins end so."""
        return f"{self.chance.guid()[:-2]}00"

    def add_ordinary(self, user: Row, habit: Habit, moment: float) -> None:
        """Add a sign-in without risk. moment: in seconds since 1970."""
        chance = self.chance
        self.add(
            {
                **sign_in(self._id(), user, chance.stamp(moment)),
                **chance.choice(ORDINARY_OUTCOMES),
                **chance.choice(APPS),
                **_usual(habit),
                "correlationId": chance.guid(),
            }
        )

    def _working_days(self) -> Iterator[float]:
        """The moments, about now's time of day, of the working days that the log keeps."""
        for days_ago in range(DAYS_KEPT - 1, 0, -1):
            moment = self.now - days_ago * DAY
            if time.gmtime(moment).tm_wday < 5:
                yield moment

    def add_working_days(self, user: Row, habit: Habit) -> None:
        """Add what someone does day by day."""
        for moment in self._working_days():
            self.add_ordinary(user, habit, moment + self.chance.below(7200))

    # ---- everybody

    def _recent_detections(self) -> dict[str, list[Row]]:
        """The detections tied to sign-ins that the log may have kept, by request id."""
        earliest = stamp(self.tenant.now() - timedelta(days=DAYS_KEPT), digits=0)
        recent: dict[str, list[Row]] = {}
        for row in self.tenant.detections.values():
            if row["requestId"] and row["activityDateTime"] > earliest:
                recent.setdefault(row["requestId"], []).append(row)
        return recent

    def _is_interactive(self, detections: Sequence[Row]) -> bool:
        """Whether the log has the sign-in at all; it has only interactive ones."""
        events = {row["riskEventType"] for row in detections}
        return events != {"unfamiliarFeatures"} or self.chance.happens(0.8)

    def add_tied(self) -> None:
        """Add the sign-ins of the detections that have none yet."""
        for request_id, detections in self._recent_detections().items():
            if request_id in self.tenant.sign_ins:
                continue
            if self._is_interactive(detections):
                outcome = self.chance.choice(RISKY_OUTCOMES)
                user_agent = _user_agent(detections[0])
                device = DEVICES.get(user_agent, DEVICES[CHROME])
                self.add(tied_sign_in(detections, outcome, device))

    def _habit(self, number: int) -> Habit:
        place = PLACES[number % len(PLACES)]
        device = Device(
            "Windows10",
            "Edge 124.0.0",
            f"CONTOSO-{number:04d}",
            self.chance.choice(("Azure AD joined", "Azure AD registered")),
        )
        return Habit(place, f"192.0.2.{64 + number % 128}", device)

    def add_ordinary_days(self, users: Iterable[Row], at_most: int = 3) -> None:
        """Add a few sign-ins of each user."""
        for number, user in enumerate(users):
            habit = self._habit(number)
            for _ in range(1 + int(self.chance.below(at_most))):
                moment = self.now - self.chance.below(DAYS_KEPT * DAY)
                self.add_ordinary(user, habit, moment)
