"""The demo's cases to investigate, each with what the sign-in log tells of its user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

from warroom.azure.odata import Row
from warroom.azure.rows import (
    history_item,
    offline_detection,
    push_history,
    risk,
    safe_user,
    stamp,
)
from warroom.azure.sign_in_log import (
    DEVICES,
    FIREFOX,
    MFA_BY_CLAIM,
    MFA_DONE,
    MFA_NEEDED,
    PLACES,
    SAFARI,
    Device,
    Habit,
    Outcome,
    Place,
    SignInLog,
    TiedSignIn,
    tied_sign_in,
)
from warroom.azure.tenant import SUBJECTS, Tenant

ADELE_ID = "00000000-0000-4000-8000-00000000ade1"
RAVI_ID = "00000000-0000-4000-8000-000000004a71"
MIA_ID = "00000000-0000-4000-8000-0000000031a0"
NOTICED_AFTER = timedelta(minutes=2, microseconds=350_127)
UTRECHT = Place("Utrecht", "Utrecht", "NL", 52.09083, 5.12222)
DUBLIN = Place("Dublin", "Dublin", "IE", 53.34399, -6.26719)
MALMO = Place("Malmö", "Skåne", "SE", 55.60587, 13.00073)


class Chapter(NamedTuple):
    """A detection of a case; `level` is also the user's from then on.

    hours_ago: when it was detected. sign_in: the one that it is tied to, if any, which
    was so many hours earlier.
    """

    number: int
    event: str
    level: str
    hours_ago: float
    sign_in: TiedSignIn | None = None
    earlier: float = 0


class Ending(NamedTuple):
    """How the risk of a case ended."""

    state: str
    detail: str
    hours_ago: float


class Case(NamedTuple):
    """A user, what is usual for the user, and the signs of something unusual.

    first_detection: the number that the ids of its detections begin from.
    outcomes: how the sign-ins of its detections ended, by their numbers.
    device: what those sign-ins were done with, if the directory knows it.
    """

    user_id: str
    name: str
    habit: Habit
    first_detection: int
    story: Sequence[Chapter]
    outcomes: Mapping[int, Outcome]
    device: Device | None = None
    ending: Ending | None = None

    def user(self) -> Row:
        alias = self.name.lower().replace(" ", ".")
        names = {
            "userDisplayName": self.name,
            "userPrincipalName": f"{alias}@contoso.example",
        }
        return safe_user(self.user_id) | names


# Signs of an intruder, two days old, growing worse.
ADELE = Case(
    ADELE_ID,
    "Adele Vance",
    Habit(
        UTRECHT,
        "192.0.2.14",
        Device("Windows10", "Edge 124.0.0", "CONTOSO-LT-0412", "Azure AD joined"),
    ),
    0xADE1E0,
    (
        Chapter(
            1,
            "unfamiliarFeatures",
            "low",
            52.4,
            TiedSignIn(1, "unfamiliarFeatures", PLACES[0], "203.0.113.1", FIREFOX),
        ),
        Chapter(
            2,
            "anonymizedIPAddress",
            "medium",
            26.1,
            TiedSignIn(2, "anonymizedIPAddress", PLACES[1], "203.0.113.2", FIREFOX),
        ),
        Chapter(3, "leakedCredentials", "high", 3.2),
    ),
    {1: MFA_NEEDED, 2: MFA_BY_CLAIM},
)
# A false alarm: a new computer, in the usual place, with the second factor.
RAVI = Case(
    RAVI_ID,
    "Ravi Menon",
    Habit(
        DUBLIN,
        "192.0.2.27",
        Device("Windows10", "Edge 124.0.0", "CONTOSO-LT-0229", "Azure AD joined"),
    ),
    0x4A7100,
    (
        Chapter(
            1,
            "unfamiliarFeatures",
            "medium",
            20.5,
            TiedSignIn(
                11,
                "unfamiliarFeatures",
                DUBLIN,
                "192.0.2.27",
                SAFARI,
                ("UnfamiliarBrowser", "UnfamiliarDevice"),
            ),
        ),
    ),
    {11: MFA_DONE},
    DEVICES[SAFARI]._replace(name="CONTOSO-MB-0031", trust="Azure AD registered"),
)
# A guessed password, which the user has changed since.
SPRAYED = TiedSignIn(21, "unfamiliarFeatures", PLACES[3], "203.0.113.88", FIREFOX)
MIA = Case(
    MIA_ID,
    "Mia Lindqvist",
    Habit(
        MALMO,
        "192.0.2.41",
        Device("MacOs", "Safari 17.5", "CONTOSO-MB-0107", "Azure AD joined"),
    ),
    0x31A000,
    (
        Chapter(1, "unfamiliarFeatures", "medium", 150.2, SPRAYED),
        Chapter(
            2,
            "passwordSpray",
            "high",
            147.0,
            SPRAYED._replace(event="passwordSpray"),
            earlier=3.2,
        ),
    ),
    {21: MFA_NEEDED},
    ending=Ending("remediated", "userPerformedSecuredPasswordReset", 143.5),
)
CASES = (ADELE, RAVI, MIA)


class Telling:
    """Puts a case into a tenant."""

    def __init__(self, tenant: Tenant, case: Case) -> None:
        self.tenant = tenant
        self.case = case
        self.user = case.user()
        self.items: list[Row] = []
        self.detections: list[Row] = []

    def _moment(self, hours_ago: float, later: timedelta = timedelta(0)) -> str:
        return stamp(self.tenant.now() - timedelta(hours=hours_ago) + later)

    def _change_user(self, changes: Row, event_types: list[str]) -> None:
        self.user = {**self.user, **changes}
        item = history_item(self.user, "riskyUsers", None, event_types)
        push_history(self.items, item)

    def _detection(self, chapter: Chapter) -> Row:
        number = self.case.first_detection + chapter.number
        moment = self._moment(chapter.hours_ago)
        row = {
            **offline_detection("riskyUsers", chapter.event, moment),
            **SUBJECTS["riskyUsers"].owner(self.user),
            "id": f"{number:064x}",
            "riskLevel": chapter.level,
            "lastUpdatedDateTime": self.user["riskLastUpdatedDateTime"],
        }
        if chapter.sign_in is None:
            return row
        activity = self._moment(chapter.hours_ago + chapter.earlier)
        return {**row, **chapter.sign_in.properties(), "activityDateTime": activity}

    def _tell_chapter(self, chapter: Chapter) -> None:
        moment = self._moment(chapter.hours_ago, NOTICED_AFTER)
        changes = risk(chapter.level, "atRisk") | {"riskLastUpdatedDateTime": moment}
        self._change_user(changes, [chapter.event])
        self.detections.append(self._detection(chapter))

    def _tell_ending(self, ending: Ending) -> None:
        moment = self._moment(ending.hours_ago)
        how = {"riskState": ending.state, "riskDetail": ending.detail}
        changes = {"riskLevel": "none", "riskLastUpdatedDateTime": moment}
        self._change_user(how | changes, [])
        for row in self.detections:
            row |= how | {"lastUpdatedDateTime": moment}

    def _log_sign_ins(self, log: SignInLog) -> None:
        tied: dict[str, list[Row]] = {}
        for row in self.detections:
            if row["requestId"]:
                tied.setdefault(row["requestId"], []).append(row)
        outcomes = self.case.outcomes.values()
        device = self.case.device or DEVICES[FIREFOX]
        for detections, outcome in zip(tied.values(), outcomes, strict=True):
            log.add(tied_sign_in(detections, outcome, device))

    def tell(self, log: SignInLog) -> None:
        """Add the user with a history, the detections, and a month of sign-ins."""
        log.add_working_days(self.user, self.case.habit)
        for chapter in self.case.story:
            self._tell_chapter(chapter)
        if self.case.ending:
            self._tell_ending(self.case.ending)
        for row in self.detections:
            self.tenant.detections[row["id"]] = row
        self.tenant.put("riskyUsers", self.user, self.items)
        self._log_sign_ins(log)


def add_cases(tenant: Tenant, log: SignInLog) -> None:
    for case in CASES:
        Telling(tenant, case).tell(log)
