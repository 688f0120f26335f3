"""The simulated tenant: who is in it, what it allows, and how risk changes. No HTTP."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

from warroom.azure.odata import (
    ENTITY_TYPES,
    BadRequestError,
    Row,
    check_moments,
    filtered,
    ordered,
    ticks,
)
from warroom.azure.rows import (
    account,
    check_row,
    hidden,
    history_item,
    offline_detection,
    push_history,
    risk,
    sign_in,
    stamp,
    user_at_risk,
)

TENANT_ID = "00000000-0000-0000-0000-000000007e4a"
CLIENT_ID = "00000000-0000-0000-0000-00000000c11e"
CLIENT_SECRET = "contoso~demo~secret"
NEW_CLIENT_SECRET = "contoso~new~secret"  # once the other one has expired
# The public client that the product's documentation names.
XSOAR_CLIENT_ID = "ec854987-95fa-4c8f-8056-768dd0f409ac"
MAX_IDS = 60  # in one action
MAX_WALKS = 8  # over pages, whose rows are kept between requests
LARGEST_PAGE = max(
    entity_type.page_sizes.largest for entity_type in ENTITY_TYPES.values()
)
SIGN_INS = "signIns"
SIGN_IN_FILTER_AGE = timedelta(days=90)  # of the earliest moment that it may name

READ_ROLES = frozenset(
    ("Global Reader", "Security Reader", "Security Operator", "Security Administrator")
)
LOG_ROLES = READ_ROLES | {"Reports Reader"}
POLICY_ROLES = frozenset(
    (
        "Global Reader",
        "Security Reader",
        "Security Administrator",
        "Conditional Access Administrator",
    )
)
WRITE_ROLES = frozenset(("Security Administrator",))
PERMISSIONS = (
    "IdentityRiskyUser.Read.All",
    "IdentityRiskyUser.ReadWrite.All",
    "IdentityRiskEvent.Read.All",
    "IdentityRiskEvent.ReadWrite.All",
    "IdentityRiskyServicePrincipal.Read.All",
    "IdentityRiskyServicePrincipal.ReadWrite.All",
    "User.ReadBasic.All",
    "AuditLog.Read.All",
)

# ---- hosts and apps


class Hosts(NamedTuple):
    """The hosts of one national cloud."""

    login: str
    graph: str


CLOUDS: Mapping[str, Hosts] = {
    "Worldwide": Hosts("login.microsoftonline.com", "graph.microsoft.com"),
    "US Government L4 (GCC High)": Hosts(
        "login.microsoftonline.us", "graph.microsoft.us"
    ),
    "US Government L5 (DoD)": Hosts(
        "login.microsoftonline.us", "dod-graph.microsoft.us"
    ),
}


@dataclass
class App:
    """An app registration.

    certificates: PEM by thumbprint (hex, SHA-1 or SHA-256); "" leaves signatures
    unverified.
    """

    client_id: str
    secrets: set[str] = field(default_factory=set, repr=False)
    expired_secrets: set[str] = field(default_factory=set, repr=False)
    certificates: dict[str, str] = field(default_factory=dict)
    application_permissions: set[str] = field(default_factory=lambda: set(PERMISSIONS))
    delegated_permissions: set[str] = field(
        default_factory=lambda: {*PERMISSIONS, "User.Read"}
    )
    public_client: bool = True


def _default_apps() -> dict[str, App]:
    own_app = App(CLIENT_ID, {CLIENT_SECRET})
    xsoar_app = App(XSOAR_CLIENT_ID, application_permissions=set())
    return {CLIENT_ID: own_app, XSOAR_CLIENT_ID: xsoar_app}


def _default_identities() -> dict[str, set[str]]:
    return {
        "": set(PERMISSIONS),
        "00000000-0000-0000-0000-0000000001d0": set(PERMISSIONS),
    }


# ---- who is at risk, and what an action does to it


class Subject(NamedTuple):
    """How actions and detections name those who are at risk.

    ids: the property of an action's body. detections: the collection that holds their
    detections.
    owner_properties: a detection's properties, each with the subject's own.
    """

    ids: str
    detections: str
    owner_properties: Mapping[str, str]

    def owner(self, row: Row) -> Row:
        """What a detection says of its owner."""
        owner = {}
        for name, own in self.owner_properties.items():
            owner[name] = row[own]
        return owner


SUBJECTS: Mapping[str, Subject] = {
    "riskyUsers": Subject(
        "userIds",
        "riskDetections",
        {
            "userId": "id",
            "userDisplayName": "userDisplayName",
            "userPrincipalName": "userPrincipalName",
        },
    ),
    "riskyServicePrincipals": Subject(
        "servicePrincipalIds",
        "servicePrincipalRiskDetections",
        {
            "servicePrincipalId": "id",
            "servicePrincipalDisplayName": "displayName",
            "appId": "appId",
        },
    ),
}
COLLECTIONS = (*SUBJECTS, *(subject.detections for subject in SUBJECTS.values()))
PARTLY_HIDDEN = ("riskDetections", SIGN_INS)  # without P2
WORKLOAD_COLLECTIONS = ("riskyServicePrincipals", "servicePrincipalRiskDetections")


class RiskChange(NamedTuple):
    """What becomes of the risk by an action.

    leaves_detection: with the detail as its event type.
    """

    level: str
    state: str
    detail: str
    leaves_detection: bool = False

    @property
    def properties(self) -> Row:
        return risk(self.level, self.state, self.detail)

    @property
    def event_types(self) -> list[str]:
        if self.leaves_detection:
            return [self.detail]
        return []


ACTIONS: Mapping[tuple[str, str], RiskChange] = {
    ("riskyUsers", "confirmCompromised"): RiskChange(
        "high",
        "confirmedCompromised",
        "adminConfirmedUserCompromised",
        leaves_detection=True,
    ),
    ("riskyUsers", "confirmSafe"): RiskChange(
        "none", "confirmedSafe", "adminConfirmedAccountSafe"
    ),
    ("riskyUsers", "dismiss"): RiskChange(
        "none", "dismissed", "adminDismissedAllRiskForUser"
    ),
    ("riskyServicePrincipals", "confirmCompromised"): RiskChange(
        "high",
        "confirmedCompromised",
        "adminConfirmedServicePrincipalCompromised",
        leaves_detection=True,
    ),
    ("riskyServicePrincipals", "dismiss"): RiskChange(
        "none", "dismissed", "adminDismissedAllRiskForServicePrincipal"
    ),
    (SIGN_INS, "confirmCompromised"): RiskChange(
        "high", "confirmedCompromised", "adminConfirmedSigninCompromised"
    ),
    (SIGN_INS, "confirmSafe"): RiskChange(
        "none", "confirmedSafe", "adminConfirmedSigninSafe"
    ),
    (SIGN_INS, "dismiss"): RiskChange(
        "none", "dismissed", "adminDismissedRiskForSignIn"
    ),
}
OPEN_STATES = ("atRisk", "confirmedCompromised")
LEVELS = ("none", "hidden", "low", "medium", "high")  # from least to most


def ids_name(collection: str) -> str:
    """The property of an action's body that holds the ids."""
    if collection == SIGN_INS:
        return "requestIds"
    return SUBJECTS[collection].ids


def is_open(row: Row) -> bool:
    """Whether the risk of a user, sign-in or detection still stands."""
    return row["riskState"] in OPEN_STATES


@dataclass
class _Processing:
    """An accepted action whose effect is seen after `reads` more reads of its row."""

    change: RiskChange
    initiated_by: str
    reads: int


# ---- when and in which order rows are seen


@dataclass
class _Arrival:
    """A detection that is seen from a moment on, and only after a request.

    last_missed: the number of the last request that does not see it.
    """

    row: Row
    moment: datetime | None
    last_missed: int


Order = Callable[[list[Row]], list[Row]]


def as_asked(rows: list[Row]) -> list[Row]:
    """Rows in the order that $orderby asks for."""
    return rows


def _hash_of_id(row: Row) -> bytes:
    row_id: str = row["id"]
    return hashlib.sha256(row_id.encode()).digest()


def shuffled(rows: list[Row]) -> list[Row]:
    """Rows in disorder, the same each time."""
    return sorted(rows, key=_hash_of_id)


def reversed_order(rows: list[Row]) -> list[Row]:
    """Rows from new to old where they were asked for from old to new."""
    return rows[::-1]


def _real_time() -> datetime:
    return datetime.now(timezone.utc)


@dataclass
class Tenant:
    """The tenant's state, in Graph's own rows by id (histories: newest first).

    apps: by client id. identities: the permissions of this machine's managed identities,
    by client id; "" is the system-assigned one.
    sign_ins: the interactive ones, by id.
    directory: users without risk, by id, who can still be confirmed compromised.
    licence: "P2", "P1" or "Free". workload_licence: whether service principals are covered.
    hide_unlicensed: without a licence rows come with hidden values instead of an error;
    both were seen.
    user_roles: those of the user who signs in by device code.
    clock: a fixed moment, or a callable that gives one.
    processing_reads: how many reads of a row still show the old values after an action;
    a row that comes by the action shows with the next request.
    order: gives the order in which rows come; takes them as $orderby asks for them.
    largest_page: no page has more rows, whatever $top asks for.
    answered_requests: how many Graph has answered. It never sees those that were throttled
    or answered by a fault instead, so they do not count.
    """

    users: dict[str, Row] = field(default_factory=dict)
    detections: dict[str, Row] = field(default_factory=dict)
    history: dict[str, list[Row]] = field(default_factory=dict)
    sign_ins: dict[str, Row] = field(default_factory=dict)
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
    order: Order = as_asked
    largest_page: int = LARGEST_PAGE
    answered_requests: int = 0
    _processing: dict[tuple[str, str], _Processing] = field(
        default_factory=dict, repr=False
    )
    _arrivals: list[_Arrival] = field(default_factory=list, repr=False)
    _happenings: dict[int, list[Callable[[], object]]] = field(
        default_factory=dict, repr=False
    )
    _listings: dict[tuple[object, ...], list[Row]] = field(
        default_factory=dict, repr=False
    )
    _ids: int = 0

    @property
    def hosts(self) -> Hosts:
        return CLOUDS[self.cloud]

    def now(self) -> datetime:
        if isinstance(self.clock, datetime):
            return self.clock
        return self.clock()

    def timestamp(self) -> str:
        """The present time as Graph writes it."""
        return stamp(self.now())

    @property
    def accounts(self) -> dict[str, Row]:
        """The directory's users, with or without risk, by id. Those deleted are gone."""
        everybody = self.users | self.directory
        return {
            row_id: account(row)
            for row_id, row in everybody.items()
            if not row["isDeleted"]
        }

    def store(self, collection: str) -> dict[str, Row]:
        """The rows of a collection, by id."""
        if collection == "users":
            return self.accounts
        stores = {
            "riskyUsers": self.users,
            "riskDetections": self.detections,
            "riskyServicePrincipals": self.service_principals,
            "servicePrincipalRiskDetections": self.service_principal_detections,
            SIGN_INS: self.sign_ins,
        }
        return stores[collection]

    def histories(self, collection: str) -> dict[str, list[Row]]:
        """The history of each row of a collection, newest item first, by the row's id."""
        histories = {
            "riskyUsers": self.history,
            "riskyServicePrincipals": self.service_principal_history,
        }
        return histories[collection]

    def new_id(self) -> str:
        self._ids += 1
        namespace = uuid.UUID(self.tenant_id)
        return str(uuid.uuid5(namespace, str(self._ids)))

    def touch(self) -> None:
        """Say that rows have changed, so that later pages of a walk show it."""
        self._listings.clear()

    # ---- changing

    def put(self, collection: str, row: Row, history: list[Row]) -> None:
        """Add a row with its history, newest item first."""
        row_id = row["id"]
        self.store(collection)[row_id] = row
        self.histories(collection)[row_id] = history
        self.touch()

    def _change(
        self,
        collection: str,
        row_id: str,
        changes: Row,
        initiated_by: str | None,
        event_types: Iterable[str],
    ) -> Row:
        row = self.store(collection)[row_id]
        update = {"riskLastUpdatedDateTime": self.timestamp(), **changes}
        check_row(row | update, collection)
        row |= update
        item = history_item(row, collection, initiated_by, event_types)
        items = self.histories(collection).setdefault(row_id, [])
        push_history(items, item)
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
        """Change a risky user's row and add to the history.

        It happens at the tenant's time unless riskLastUpdatedDateTime is given.
        """
        return self._change("riskyUsers", user_id, changes, initiated_by, event_types)

    def add_user(self, **fields: Any) -> Row:
        """Add a user at risk with one history item; what is not given is plain."""
        row_id = fields.get("id") or self.new_id()
        row = user_at_risk(row_id, self.timestamp()) | fields
        check_row(row, "riskyUsers")
        item = history_item(row, "riskyUsers", None, [])
        self.put("riskyUsers", row, [item])
        return row

    def _new_detection_id(self) -> str:
        name = self.new_id()
        return hashlib.sha256(name.encode()).hexdigest()

    def _user(self, user_id: str | None) -> Row:
        """The user with an id, or else the first one."""
        if user_id is not None:
            return self.users[user_id]
        if not self.users:
            return self.add_user()
        return next(iter(self.users.values()))

    def arrive(
        self,
        *,
        detected: datetime | str | None = None,
        surfaces_at: datetime | None = None,
        after_requests: int = 0,
        **fields: Any,
    ) -> Row:
        """Add a detection, of the first user unless `userId` says another.

        It is hidden before `surfaces_at` on the tenant's clock, and from the next
        `after_requests` requests that Graph answers, be it with an error such as 401.
        """
        if not isinstance(detected, str):
            detected = stamp(detected or self.now())
        row = offline_detection("riskyUsers", "leakedCredentials", detected)
        row["id"] = self._new_detection_id()
        user = self._user(fields.get("userId"))
        row |= SUBJECTS["riskyUsers"].owner(user)
        row |= fields
        check_row(row, "riskDetections")
        if surfaces_at is None and not after_requests:
            self.detections[row["id"]] = row
        else:
            last_missed = self.answered_requests + after_requests
            self._arrivals.append(_Arrival(row, surfaces_at, last_missed))
        self.touch()
        return row

    def add_sign_in(self, **fields: Any) -> Row:
        """Add a sign-in, of the first user at risk unless `userId` says another.

        What is not given is plain: it succeeds now, without risk, from no known place.
        """
        user = self.directory.get(fields.get("userId", ""))
        if user is None:
            user = self._user(fields.get("userId"))
        row = sign_in(self.new_id(), user, self.timestamp()) | fields
        check_row(row, SIGN_INS)
        self.sign_ins[row["id"]] = row
        self.touch()
        return row

    @property
    def waiting(self) -> int:
        """How many detections have not surfaced yet."""
        return len(self._arrivals)

    # ---- actions

    def _may_act(self, collection: str, change: RiskChange, row_id: str) -> bool:
        row = self.store(collection).get(row_id)
        if row is not None and collection == SIGN_INS:
            return change.state != "dismissed" or is_open(row)
        if row is not None:
            return not row.get("isDeleted")
        if collection != "riskyUsers" or not change.leaves_detection:
            return False
        return row_id in self.directory

    def _check_ids(self, collection: str, change: RiskChange, ids: list[str]) -> None:
        name = ids_name(collection)
        distinct = len(set(ids)) == len(ids)
        if not distinct or not 1 <= len(ids) <= MAX_IDS:
            raise BadRequestError(
                f"The property '{name}' must hold 1 to {MAX_IDS} different ids."
            )
        refused = []
        for row_id in ids:
            if not self._may_act(collection, change, row_id):
                refused.append(row_id)
        if refused:
            raise BadRequestError(
                f"These {name} do not exist in your tenant or they are not risky:"
                f" {', '.join(refused)}."
            )

    def act(
        self, collection: str, action: str, ids: list[str], initiated_by: str
    ) -> None:
        """Accept an action for all of the ids or none.

        Raises: KeyError: there is no such action. BadRequestError: there are none, too
        many, or the same one twice; or one is unknown, deleted, a user without risk for
        an action other than confirming a compromise, or a sign-in without any to dismiss.
        """
        change = ACTIONS[collection, action]
        self._check_ids(collection, change, ids)
        rows = self.store(collection)
        for row_id in ids:
            row = rows.get(row_id)
            reads = 0  # of a row that is not there yet, and so cannot be read
            if row is not None:
                reads = self.processing_reads
            if row is not None and collection != SIGN_INS:
                row["isProcessing"] = True
            processing = _Processing(change, initiated_by, reads)
            self._processing[collection, row_id] = processing
        self.touch()

    def _leave_detection(self, collection: str, owner: Row, change: RiskChange) -> None:
        subject = SUBJECTS[collection]
        row = offline_detection(collection, change.detail, self.timestamp())
        row |= subject.owner(owner)
        row |= change.properties
        row["id"] = self.new_id()
        check_row(row, subject.detections)
        detections = self.store(subject.detections)
        detections[row["id"]] = row

    def _close_detections(self, rows: list[Row], change: RiskChange) -> None:
        """Let a verdict settle detections. Their levels stay, as Graph leaves them."""
        for row in rows:
            row |= {
                "riskState": change.state,
                "riskDetail": change.detail,
                "lastUpdatedDateTime": self.timestamp(),
            }

    def _settle_sign_in(self, row: Row, change: RiskChange) -> None:
        """Let a verdict settle a sign-in. What was thought during it stays."""
        row |= {"riskState": change.state, "riskDetail": change.detail}
        if change.level == "none":
            row["riskLevelAggregated"] = "none"

    def _open_detections(self, user_id: str) -> list[Row]:
        return [
            row
            for row in self.detections.values()
            if row["userId"] == user_id and is_open(row)
        ]

    def _settle_all_of_user(self, user_id: str, change: RiskChange) -> None:
        """Let a verdict on a user settle what is open of the user."""
        self._close_detections(self._open_detections(user_id), change)
        for row in self.sign_ins.values():
            if row["userId"] == user_id and is_open(row):
                self._settle_sign_in(row, change)

    def _user_risk_left(self, user: Row, change: RiskChange) -> Row:
        """A user's risk after a verdict on a sign-in: what other detections leave of it."""
        if change.level == "high":
            return risk("high", "atRisk", change.detail)
        left = [row["riskLevel"] for row in self._open_detections(user["id"])]
        if not left:
            return change.properties
        highest = max(left, key=LEVELS.index)
        level = min(highest, user["riskLevel"], key=LEVELS.index)
        return risk(level, user["riskState"], user["riskDetail"])

    def _settle_user_of_sign_in(self, user_id: str, processing: _Processing) -> None:
        """Let a verdict on a sign-in change the risk of its user, if it does."""
        change = processing.change
        if change.level == "high" and user_id in self.directory:
            self.users[user_id] = self.directory.pop(user_id)
        user = self.users.get(user_id)
        if user is None or user["isDeleted"]:
            return
        if change.level == "none" and not is_open(user):
            return
        changes = self._user_risk_left(user, change)
        if changes != {name: user[name] for name in changes}:
            self._change("riskyUsers", user_id, changes, processing.initiated_by, [])

    def _judge_sign_in(self, row_id: str, processing: _Processing) -> None:
        change = processing.change
        row = self.sign_ins[row_id]
        row["riskLevelAggregated"] = change.level
        self._settle_sign_in(row, change)
        linked = [
            detection
            for detection in self.detections.values()
            if detection["requestId"] == row_id
        ]
        self._close_detections(linked, change)
        self._settle_user_of_sign_in(row["userId"], processing)
        self.touch()

    def _take_effect(
        self, collection: str, row_id: str, processing: _Processing
    ) -> None:
        change = processing.change
        if collection == SIGN_INS:
            self._judge_sign_in(row_id, processing)
            return
        if row_id not in self.store(collection):
            self.users[row_id] = self.directory.pop(row_id)
        if collection == "riskyUsers":
            self._settle_all_of_user(row_id, change)
        changes = change.properties | {"isProcessing": False}
        row = self._change(
            collection, row_id, changes, processing.initiated_by, change.event_types
        )
        if change.leaves_detection:
            self._leave_detection(collection, row, change)

    # ---- from one process to the next

    def kept(self) -> dict[str, Any]:
        """What has begun and is not seen yet, as JSON."""
        processing = [
            [list(key), list(each.change), each.initiated_by, each.reads]
            for key, each in self._processing.items()
        ]
        arrivals = [
            [each.row, each.moment and each.moment.isoformat(), each.last_missed]
            for each in self._arrivals
        ]
        return {
            "processing": processing,
            "arrivals": arrivals,
            "answered_requests": self.answered_requests,
            "ids": self._ids,
        }

    def go_on_from(self, kept: Mapping[str, Any]) -> None:
        """Take over what `kept` gave."""
        for (collection, row_id), change, initiated_by, reads in kept["processing"]:
            processing = _Processing(RiskChange(*change), initiated_by, reads)
            self._processing[collection, row_id] = processing
        for row, moment, last_missed in kept["arrivals"]:
            surfaces_at = moment and datetime.fromisoformat(moment)
            self._arrivals.append(_Arrival(row, surfaces_at, last_missed))
        self.answered_requests = kept["answered_requests"]
        self._ids = kept["ids"]
        self.touch()

    # ---- requests

    def before_request(self, number: int, happen: Callable[[], object]) -> None:
        """Let something happen just before a Graph request is answered.

        number: which one from now, the next being 1. Of the same request, what was asked
        for first happens first.
        """
        due = self.answered_requests + number
        self._happenings.setdefault(due, []).append(happen)

    def _is_due(self, arrival: _Arrival) -> bool:
        if self.answered_requests <= arrival.last_missed:
            return False
        if arrival.moment is None:
            return True
        return arrival.moment <= self.now()

    def _surface_arrivals(self) -> None:
        for arrival in list(self._arrivals):
            if self._is_due(arrival):
                self._arrivals.remove(arrival)
                self.detections[arrival.row["id"]] = arrival.row
                self.touch()

    def _finish_processing(self) -> None:
        for key, processing in list(self._processing.items()):
            if processing.reads <= 0:
                del self._processing[key]
                self._take_effect(*key, processing)

    def begin_request(self) -> None:
        """Count one Graph request, and let happen what is due before it is answered."""
        self.answered_requests += 1
        self._surface_arrivals()
        self._finish_processing()
        for happen in self._happenings.pop(self.answered_requests, []):
            happen()
            self.touch()

    # ---- reading

    def is_licensed(self, collection: str) -> bool:
        """Whether the licences cover a collection at all.

        P1 covers detections and sign-ins, in part hidden.
        """
        if collection == "users":
            return True
        if collection in WORKLOAD_COLLECTIONS:
            return self.workload_licence
        if self.licence == "P1":
            return collection in PARTLY_HIDDEN
        return self.licence == "P2"

    def _shows_everything(self, collection: str) -> bool:
        if collection in PARTLY_HIDDEN:
            return self.licence == "P2"
        return self.is_licensed(collection)

    def licensed(self, collection: str, rows: list[Row]) -> list[Row]:
        """The rows as the licence lets them be seen."""
        if self._shows_everything(collection):
            return rows
        return [hidden(row) for row in rows]

    def _arranged(
        self, collection: str, filter_text: str | None, orderby: str | None
    ) -> list[Row]:
        stored = self.store(collection).values()
        rows = self.licensed(collection, list(stored))
        if filter_text is not None:
            rows = self._filtered(rows, filter_text, collection)
        if orderby is None:
            orderby = ENTITY_TYPES[collection].usual_order
        if orderby is not None:
            rows = ordered(rows, orderby, collection)
        return self.order(rows)

    def _filtered(self, rows: list[Row], text: str, collection: str) -> list[Row]:
        kept = filtered(rows, text, collection)
        if collection == SIGN_INS:
            earliest = self.now() - SIGN_IN_FILTER_AGE
            check_moments(text, ticks(stamp(earliest)))
        return kept

    def listing(
        self,
        collection: str,
        filter_text: str | None,
        orderby: str | None,
        anew: bool = True,
    ) -> list[Row]:
        """The rows that match, in order.

        anew=False (a later page) may reuse the rows its walk began with, until `touch()`.
        """
        rows = self.store(collection)
        walk = (collection, filter_text, orderby, len(rows))
        known = self._listings.get(walk)
        if known is not None and not anew:
            return known
        if len(self._listings) >= MAX_WALKS:
            self._listings.clear()
        arranged = self._arranged(collection, filter_text, orderby)
        self._listings[walk] = arranged
        return arranged

    def seen(self, collection: str, rows: Iterable[Row]) -> None:
        """Note that these rows were read."""
        if not self._processing:
            return
        for row in rows:
            processing = self._processing.get((collection, row["id"]))
            if processing:
                processing.reads -= 1
