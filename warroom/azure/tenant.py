"""The fake tenant: users, detections, service principals, apps, and the rules by which their risk changes. No HTTP."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, NamedTuple

from warroom.azure.odata import (
    LARGEST_TOP,
    RESOURCES,
    BadRequestError,
    Row,
    matching,
    ordered,
    ticks,
)

TENANT_ID = "00000000-0000-0000-0000-000000007e4a"
CLIENT_ID = "00000000-0000-0000-0000-00000000c11e"
CLIENT_SECRET = "contoso~demo~secret"
XSOAR_CLIENT_ID = "ec854987-95fa-4c8f-8056-768dd0f409ac"  # public client named in the product's documentation
MOST_IDS = 60  # ids an action takes
MOST_WALKS = 8  # page walks whose rows are kept between requests

READ_ROLES = frozenset(
    ("Global Reader", "Security Reader", "Security Operator", "Security Administrator")
)
WRITE_ROLES = frozenset(("Security Administrator",))
PERMISSIONS = (
    "IdentityRiskyUser.Read.All",
    "IdentityRiskyUser.ReadWrite.All",
    "IdentityRiskEvent.Read.All",
    "IdentityRiskyServicePrincipal.Read.All",
    "IdentityRiskyServicePrincipal.ReadWrite.All",
)
NONPREMIUM_EVENTS = frozenset(
    (
        "generic",
        "adminConfirmedUserCompromised",
        "anonymizedIPAddress",
        "investigationsThreatIntelligence",
        "leakedCredentials",
    )
)


class Cloud(NamedTuple):
    """The hosts of one national cloud."""

    login: str
    graph: str


CLOUDS: Mapping[str, Cloud] = {
    "Worldwide": Cloud("login.microsoftonline.com", "graph.microsoft.com"),
    "US Government L4 (GCC High)": Cloud(
        "login.microsoftonline.us", "graph.microsoft.us"
    ),
    "US Government L5 (DoD)": Cloud(
        "login.microsoftonline.us", "dod-graph.microsoft.us"
    ),
}


class Answer(NamedTuple):
    """What a simulated service replies; a dict body is sent as JSON, None as no body at all."""

    status: int
    body: Row | str | None
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed


@dataclass
class App:
    """An app registration. certificates: thumbprint (hex, SHA-1 or SHA-256) to PEM; "" leaves signatures unverified."""

    client_id: str
    secrets: set[str] = field(default_factory=set, repr=False)
    certificates: dict[str, str] = field(default_factory=dict)
    application_permissions: set[str] = field(default_factory=lambda: set(PERMISSIONS))
    delegated_permissions: set[str] = field(
        default_factory=lambda: {*PERMISSIONS, "User.Read"}
    )
    public_client: bool = True


class Subject(NamedTuple):
    """Where the rows of a risky thing live, and how detections name it."""

    rows: str
    history: str
    detections: str
    detection_resource: str
    owner_fields: Mapping[str, str]  # detection property -> the subject's own


SUBJECTS: Mapping[str, Subject] = {
    "riskyUsers": Subject(
        "users",
        "history",
        "detections",
        "riskDetections",
        {
            "userId": "id",
            "userDisplayName": "userDisplayName",
            "userPrincipalName": "userPrincipalName",
        },
    ),
    "riskyServicePrincipals": Subject(
        "service_principals",
        "service_principal_history",
        "service_principal_detections",
        "servicePrincipalRiskDetections",
        {
            "servicePrincipalId": "id",
            "servicePrincipalDisplayName": "displayName",
            "appId": "appId",
        },
    ),
}
STORES: Mapping[str, str] = {
    **{name: subject.rows for name, subject in SUBJECTS.items()},
    **{subject.detection_resource: subject.detections for subject in SUBJECTS.values()},
}


class Action(NamedTuple):
    """An action's body property and what becomes of the risk; `event` is the detection it leaves."""

    ids: str
    changes: Row
    event: str | None = None


def _action(
    ids: str, level: str, state: str, detail: str, event: str | None = None
) -> Action:
    return Action(
        ids, {"riskLevel": level, "riskState": state, "riskDetail": detail}, event
    )


_COMPROMISED = (
    "adminConfirmedUserCompromised",
    "adminConfirmedServicePrincipalCompromised",
)
ACTIONS: Mapping[tuple[str, str], Action] = {
    ("riskyUsers", "confirmCompromised"): _action(
        "userIds", "high", "confirmedCompromised", _COMPROMISED[0], _COMPROMISED[0]
    ),
    ("riskyUsers", "confirmSafe"): _action(
        "userIds", "none", "confirmedSafe", "adminConfirmedAccountSafe"
    ),
    ("riskyUsers", "dismiss"): _action(
        "userIds", "none", "dismissed", "adminDismissedAllRiskForUser"
    ),
    ("riskyServicePrincipals", "confirmCompromised"): _action(
        "servicePrincipalIds",
        "high",
        "confirmedCompromised",
        _COMPROMISED[1],
        _COMPROMISED[1],
    ),
    ("riskyServicePrincipals", "dismiss"): _action(
        "servicePrincipalIds",
        "none",
        "dismissed",
        "adminDismissedAllRiskForServicePrincipal",
    ),
}


@dataclass
class _Processing:
    """An accepted action whose effect is still to be seen, after `reads` more reads of its row."""

    action: Action
    initiated_by: str
    reads: int


@dataclass
class _Arrival:
    """A detection not yet to be seen: until a moment of the tenant's clock, or for a number of requests."""

    row: Row
    at: datetime | None
    after_request: int


def stamp(moment: datetime, digits: int = 7) -> str:
    """Return a moment as Graph writes it, with 0 to 7 fractional digits."""
    text = moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f"{moment.microsecond:06d}0"[:digits]
    return f"{text}.{fraction}Z" if fraction else f"{text}Z"


def checked(row: Row, resource_name: str) -> Row:
    """The row itself, if it has exactly the resource's properties and only members of its enums."""
    resource = RESOURCES[resource_name]
    odd = set(row) ^ set(resource.properties)
    if odd:
        raise ValueError(f"{resource.type}: unknown or missing {sorted(odd)}")
    for name, enum in resource.enums():
        if row[name] is not None and row[name] not in enum.known + enum.later:
            raise ValueError(f"{resource.type}.{name}: {row[name]!r} is not a member")
    return row


def history_item(
    row: Row, resource_name: str, initiated_by: str | None, event_types: Iterable[str]
) -> Row:
    """A history item for the present state of a user or service principal."""
    detail = None if row["riskDetail"] == "none" else row["riskDetail"]
    item = {
        **row,
        "initiatedBy": initiated_by,
        "activity": {"riskEventTypes": list(event_types), "detail": detail},
    }
    if resource_name == "riskyUsers":
        return item | {"userId": row["id"]}
    return item | {
        "id": str(
            uuid.uuid5(
                uuid.UUID(TENANT_ID), f"{row['id']} {row['riskLastUpdatedDateTime']}"
            )
        )
    }


def push_history(items: list[Row], item: Row) -> None:
    """Put an item first. Only a user's newest item bears his id; older ones add their time in ticks."""
    if items and "userId" in item:
        items[0]["id"] = f"{item['userId']}{ticks(items[0]['riskLastUpdatedDateTime'])}"
    items.insert(0, item)


def _default_apps() -> dict[str, App]:
    return {
        CLIENT_ID: App(CLIENT_ID, {CLIENT_SECRET}),
        XSOAR_CLIENT_ID: App(XSOAR_CLIENT_ID, application_permissions=set()),
    }


def _default_identities() -> dict[str, set[str]]:
    return {
        "": set(PERMISSIONS),
        "00000000-0000-0000-0000-0000000001d0": set(PERMISSIONS),
    }


def _real_time() -> datetime:
    return datetime.now(timezone.utc)


# ---- orders in which a tenant may hand out its rows


def as_asked(rows: list[Row]) -> list[Row]:
    return rows


def shuffled(rows: list[Row]) -> list[Row]:
    """The same rows always come in the same disorder."""

    def by_hash(row: Row) -> bytes:
        return hashlib.sha256(row["id"].encode()).digest()

    return sorted(rows, key=by_hash)


def reversed_order(rows: list[Row]) -> list[Row]:
    """What is asked for from old to new comes from new to old."""
    return rows[::-1]


@dataclass
class Tenant:
    """The tenant's state, in Graph's own rows by id (histories: newest first), and what it allows.

    clock: a fixed moment, or a callable that gives one.
    identities: managed identities of this machine by client id ("" is the system-assigned one), with permissions.
    directory: users without risk, by id, who can still be confirmed compromised.
    processing_reads: how many reads of a row still show the old values and isProcessing after an action.
    hide_unlicensed: without a licence rows come with hidden values instead of an error; both were seen.
    order: gives the order in which rows come; it takes them as $orderby asks for them.
    largest_page: no page has more rows, whatever $top asks for.
    """

    users: dict[str, Row] = field(default_factory=dict)
    detections: dict[str, Row] = field(default_factory=dict)
    history: dict[str, list[Row]] = field(default_factory=dict)
    service_principals: dict[str, Row] = field(default_factory=dict)
    service_principal_history: dict[str, list[Row]] = field(default_factory=dict)
    service_principal_detections: dict[str, Row] = field(default_factory=dict)
    apps: dict[str, App] = field(default_factory=_default_apps)
    identities: dict[str, set[str]] = field(default_factory=_default_identities)
    directory: dict[str, Row] = field(default_factory=dict)
    tenant_id: str = TENANT_ID
    domain: str = "contoso.example"
    cloud: str = "Worldwide"
    licence: str = "P2"
    workload_licence: bool = True
    hide_unlicensed: bool = False
    user_roles: set[str] = field(default_factory=lambda: {"Security Administrator"})
    signed_in_user: str = "00000000-0000-0000-0000-00000000a11a"
    clock: datetime | Callable[[], datetime] = _real_time
    processing_reads: int = 0
    order: Callable[[list[Row]], list[Row]] = as_asked
    largest_page: int = LARGEST_TOP
    requests: int = 0
    _processing: dict[tuple[str, str], _Processing] = field(
        default_factory=dict, repr=False
    )
    _arrivals: list[_Arrival] = field(default_factory=list, repr=False)
    _listings: dict[tuple[object, ...], list[Row]] = field(
        default_factory=dict, repr=False
    )
    _happenings: dict[int, Callable[[], object]] = field(
        default_factory=dict, repr=False
    )
    _made: int = 0

    @classmethod
    def empty(cls, **fields: Any) -> Tenant:
        return cls(**fields)

    @property
    def hosts(self) -> Cloud:
        return CLOUDS[self.cloud]

    def now(self) -> datetime:
        return self.clock if isinstance(self.clock, datetime) else self.clock()

    def store(self, resource_name: str) -> dict[str, Row]:
        """The rows of a resource, by id."""
        rows: dict[str, Row] = getattr(self, STORES[resource_name])
        return rows

    def histories(self, resource_name: str) -> dict[str, list[Row]]:
        items: dict[str, list[Row]] = getattr(self, SUBJECTS[resource_name].history)
        return items

    def new_id(self) -> str:
        self._made += 1
        return str(uuid.uuid5(uuid.UUID(self.tenant_id), str(self._made)))

    # ---- reading

    def begin_request(self) -> None:
        """Count one Graph request and let happen what is due: late detections surface, actions take effect."""
        self.requests += 1
        due = [arrival for arrival in self._arrivals if self._is_due(arrival)]
        for arrival in due:
            self._arrivals.remove(arrival)
            self.detections[arrival.row["id"]] = arrival.row
        done = [
            key for key, processing in self._processing.items() if processing.reads <= 0
        ]
        for resource_name, row_id in done:
            self._take_effect(resource_name, row_id)
        if due or done:
            self.touch()
        happen = self._happenings.pop(self.requests, None)
        if happen:
            happen()
            self.touch()

    def before_request(self, number: int, happen: Callable[[], object]) -> None:
        """Let something happen just before the Graph request with that number from now is answered."""
        self._happenings[self.requests + number] = happen

    def touch(self) -> None:
        """Let later pages of a walk be arranged anew: rows were changed."""
        self._listings.clear()

    def _is_due(self, arrival: _Arrival) -> bool:
        return self.requests > arrival.after_request and (
            arrival.at is None or arrival.at <= self.now()
        )

    def listing(
        self,
        resource_name: str,
        filter_text: str | None,
        order: str | None,
        anew: bool = True,
    ) -> list[Row]:
        """The rows that match, in order. `anew=False` (a later page) reuses the walk's rows while nothing changed."""
        rows = self.store(resource_name)
        key = (resource_name, filter_text, order, len(rows))
        if anew or key not in self._listings:
            if len(self._listings) >= MOST_WALKS:
                self.touch()
            self._listings[key] = self._arranged(
                resource_name, list(rows.values()), filter_text, order
            )
        return self._listings[key]

    def _arranged(
        self,
        resource_name: str,
        rows: list[Row],
        filter_text: str | None,
        order: str | None,
    ) -> list[Row]:
        rows = self.licensed(resource_name, rows)
        if filter_text is not None:
            rows = matching(rows, filter_text, resource_name)
        if order is not None:
            rows = ordered(rows, order, RESOURCES[resource_name])
        return self.order(rows)

    def is_licensed(self, resource_name: str) -> bool:
        """Whether the tenant's licences cover a resource at all (detections: P1 with hidden values)."""
        if "ervicePrincipal" in resource_name:
            return self.workload_licence
        return self.licence == "P2" or (
            self.licence == "P1" and resource_name == "riskDetections"
        )

    def licensed(self, resource_name: str, rows: list[Row]) -> list[Row]:
        """The rows as the licence lets them be seen."""
        full = self.is_licensed(resource_name) and not (
            resource_name == "riskDetections" and self.licence != "P2"
        )
        return rows if full else [_hidden(row) for row in rows]

    def seen(self, resource_name: str, rows: Iterable[Row]) -> None:
        """Note that these rows were read."""
        if self._processing:
            for row in rows:
                processing = self._processing.get((resource_name, row["id"]))
                if processing:
                    processing.reads -= 1

    # ---- changing

    def act(
        self, resource_name: str, action_name: str, ids: list[str], initiated_by: str
    ) -> None:
        """Accept an action for all of the ids or none. Raises: BadRequestError: too many, or one unknown or deleted."""
        action = ACTIONS[resource_name, action_name]
        if not 1 <= len(ids) <= MOST_IDS or len(set(ids)) < len(ids):
            raise BadRequestError(
                f"The property '{action.ids}' must hold 1 to {MOST_IDS} different ids."
            )
        refused = [
            row_id for row_id in ids if not self._may_act(resource_name, action, row_id)
        ]
        if refused:
            unknown = ", ".join(refused)
            raise BadRequestError(
                f"These {action.ids} do not exist in your tenant or they are not risky: {unknown}."
            )
        for row_id in ids:
            if row_id in self.store(resource_name):
                self.store(resource_name)[row_id]["isProcessing"] = True
            self._processing[resource_name, row_id] = _Processing(
                action, initiated_by, self.processing_reads
            )
        self.touch()

    def _may_act(self, resource_name: str, action: Action, row_id: str) -> bool:
        row = self.store(resource_name).get(row_id)
        if row is None:
            return (
                bool(action.event)
                and resource_name == "riskyUsers"
                and row_id in self.directory
            )
        return not row.get("isDeleted")

    def _take_effect(self, resource_name: str, row_id: str) -> None:
        processing = self._processing.pop((resource_name, row_id))
        if row_id not in self.store(resource_name):
            self.users[row_id] = self.directory.pop(row_id)
        event_types = [processing.action.event] if processing.action.event else []
        changes = processing.action.changes | {"isProcessing": False}
        self._change(
            resource_name, row_id, changes, processing.initiated_by, event_types
        )
        if processing.action.event:
            subject, row = SUBJECTS[resource_name], self.store(resource_name)[row_id]
            owner = {name: row[own] for name, own in subject.owner_fields.items()}
            detection = offline_detection(
                resource_name, processing.action.event, stamp(self.now())
            )
            detection |= owner | processing.action.changes | {"id": self.new_id()}
            self.store(subject.detection_resource)[detection["id"]] = checked(
                detection, subject.detection_resource
            )

    def _change(
        self,
        resource_name: str,
        row_id: str,
        changes: Row,
        initiated_by: str | None,
        event_types: Iterable[str],
    ) -> Row:
        row = self.store(resource_name)[row_id]
        row.update(
            checked(
                {**row, "riskLastUpdatedDateTime": stamp(self.now()), **changes},
                resource_name,
            )
        )
        items = self.histories(resource_name).setdefault(row_id, [])
        push_history(items, history_item(row, resource_name, initiated_by, event_types))
        self.touch()
        return row

    def change_user(
        self,
        user_id: str,
        *,
        initiated_by: str | None = None,
        event_types: Iterable[str] = (),
        **changes: Any,
    ) -> Row:
        """Change a risky user's row (at the tenant's time unless riskLastUpdatedDateTime is given) and his history."""
        return self._change("riskyUsers", user_id, changes, initiated_by, event_types)

    def change_service_principal(
        self,
        row_id: str,
        *,
        initiated_by: str | None = None,
        event_types: Iterable[str] = (),
        **changes: Any,
    ) -> Row:
        return self._change(
            "riskyServicePrincipals", row_id, changes, initiated_by, event_types
        )

    def add_user(self, **fields: Any) -> Row:
        """Add a user at risk with one history item; what is not given gets a plain value."""
        row = safe_user(fields.get("id") or self.new_id())
        risk = {
            "riskLevel": "medium",
            "riskState": "atRisk",
            "riskLastUpdatedDateTime": stamp(self.now()),
        }
        return self._add("riskyUsers", row | risk | fields)

    def add_service_principal(self, **fields: Any) -> Row:
        row_id = fields.get("id") or self.new_id()
        row = {
            "id": row_id,
            "appId": row_id,
            "displayName": "Contoso App",
            "servicePrincipalType": "Application",
        }
        row |= {
            "isEnabled": True,
            "isProcessing": False,
            "riskLastUpdatedDateTime": stamp(self.now()),
        }
        row |= {"riskLevel": "medium", "riskState": "atRisk", "riskDetail": "none"}
        return self._add("riskyServicePrincipals", row | fields)

    def _add(self, resource_name: str, row: Row) -> Row:
        self.store(resource_name)[row["id"]] = checked(row, resource_name)
        self.histories(resource_name)[row["id"]] = [
            history_item(row, resource_name, None, [])
        ]
        self.touch()
        return row

    def arrive(
        self,
        *,
        detected: datetime | str | None = None,
        surfaces_at: datetime | None = None,
        after_requests: int = 0,
        **fields: Any,
    ) -> Row:
        """Add a detection, of the first user unless `userId` says another.

        It is hidden before `surfaces_at` on the tenant's clock, and to the next `after_requests` answered requests.
        """
        moment = (
            detected if isinstance(detected, str) else stamp(detected or self.now())
        )
        row = offline_detection("riskyUsers", "leakedCredentials", moment) | {
            "id": self._detection_id()
        }
        row |= self._owner(fields) | fields
        arrival = _Arrival(
            checked(row, "riskDetections"), surfaces_at, self.requests + after_requests
        )
        if surfaces_at is None and not after_requests:
            self.detections[row["id"]] = row
        else:
            self._arrivals.append(arrival)
        self.touch()
        return row

    def _owner(self, fields: Row) -> Row:
        user = (
            self.users[fields["userId"]]
            if "userId" in fields
            else next(iter(self.users.values()), None)
        )
        user = user or self.add_user()
        return {
            name: user[own] for name, own in SUBJECTS["riskyUsers"].owner_fields.items()
        }

    def _detection_id(self) -> str:
        return hashlib.sha256(self.new_id().encode()).hexdigest()

    @property
    def waiting(self) -> int:
        """How many detections have not surfaced yet."""
        return len(self._arrivals)


def _hidden(row: Row) -> Row:
    masked = {**row, "riskLevel": "hidden", "riskDetail": "hidden"}
    if "riskEventType" in row and row["riskEventType"] not in NONPREMIUM_EVENTS:
        masked["riskEventType"] = "generic"
    return masked


def safe_user(user_id: str) -> Row:
    """A user without any risk."""
    name = f"user.{user_id[-4:]}"
    row: Row = {
        "id": user_id,
        "userDisplayName": name,
        "userPrincipalName": f"{name}@contoso.example",
    }
    row |= {"isDeleted": False, "isProcessing": False, "riskLastUpdatedDateTime": None}
    return row | {"riskLevel": "none", "riskState": "none", "riskDetail": "none"}


def offline_detection(resource_name: str, event: str, moment: str) -> Row:
    """A detection that no sign-in is tied to, high and at risk, still without id and owner."""
    names = ("requestId", "correlationId", "ipAddress", "location")
    row: Row = dict.fromkeys(names) | {
        "riskEventType": event,
        "source": "IdentityProtection",
    }
    row |= {
        "riskLevel": "high",
        "riskState": "atRisk",
        "riskDetail": "none",
        "detectionTimingType": "offline",
    }
    row |= dict.fromkeys(
        ("activityDateTime", "detectedDateTime", "lastUpdatedDateTime"), moment
    )
    row |= {"additionalInfo": "[]", "activity": "user", "tokenIssuerType": "AzureAD"}
    return (
        row
        if resource_name == "riskyUsers"
        else row | {"activity": "servicePrincipal", "keyIds": []}
    )
