"""Graph's objects for ID Protection as the tenant keeps them: how each kind is made."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime, timezone

from warroom.azure.odata import ENTITY_TYPES, EntityType, Row, ticks

ITEM_NAMESPACE = uuid.UUID("00000000-0000-0000-0000-000000007e4a")
NONPREMIUM_EVENTS = frozenset(
    (
        "generic",
        "adminConfirmedUserCompromised",
        "anonymizedIPAddress",
        "investigationsThreatIntelligence",
        "leakedCredentials",
    )
)

# The members of riskEventTypes, which has not grown since; riskEventTypes_v2 is open.
EVENTS_AT_FIRST = frozenset(
    (
        "unlikelyTravel",
        "anonymizedIPAddress",
        "maliciousIPAddress",
        "unfamiliarFeatures",
        "malwareInfectedIPAddress",
        "suspiciousIPAddress",
        "leakedCredentials",
        "investigationsThreatIntelligence",
        "generic",
        "adminConfirmedUserCompromised",
        "mcasImpossibleTravel",
        "mcasSuspiciousInboxManipulationRules",
        "investigationsThreatIntelligenceSigninLinked",
        "maliciousIPAddressValidCredentialsBlockedIP",
    )
)
SUCCESS = {"errorCode": 0, "failureReason": "Other.", "additionalDetails": None}
UNKNOWN_DEVICE = {
    "deviceId": "",
    "displayName": "",
    "operatingSystem": "Windows10",
    "browser": "Edge 124.0.0",
    "isCompliant": False,
    "isManaged": False,
    "trustType": None,
}
OUTLOOK = {
    "appId": "9199bf20-a13f-4107-85dc-02114787ef48",
    "appDisplayName": "One Outlook Web",
    "resourceId": "00000002-0000-0ff1-ce00-000000000000",
    "resourceDisplayName": "Office 365 Exchange Online",
}
PLAIN_SIGN_IN: Row = {  # but for its id, its moment and its user
    **OUTLOOK,
    "ipAddress": "192.0.2.1",
    "location": None,
    "clientAppUsed": "Browser",
    "isInteractive": True,
    "status": SUCCESS,
    "deviceDetail": UNKNOWN_DEVICE,
    "conditionalAccessStatus": "notApplied",
    "appliedConditionalAccessPolicies": [],
    "riskLevelDuringSignIn": "none",
    "riskLevelAggregated": "none",
    "riskState": "none",
    "riskDetail": "none",
    "riskEventTypes": [],
    "riskEventTypes_v2": [],
}

WITHOUT_SIGN_IN = {  # of a detection that none is tied to
    "source": "IdentityProtection",
    "detectionTimingType": "offline",
    "activity": "user",
    "tokenIssuerType": "AzureAD",
    "additionalInfo": "[]",
    "requestId": None,
    "correlationId": None,
    "ipAddress": None,
    "location": None,
}


def stamp(moment: datetime, digits: int = 7) -> str:
    """A moment as Graph writes it, with 0 to 7 fractional digits."""
    text = moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    if not digits:
        return f"{text}Z"
    fraction = f"{moment.microsecond:06d}0"
    return f"{text}.{fraction[:digits]}Z"


def _check_moments(row: Row, entity_type: EntityType) -> None:
    for name, type_ in entity_type.properties.items():
        if type_ == "DateTimeOffset" and row[name] is not None:
            ticks(row[name])


def check_row(row: Row, collection: str) -> None:
    """Let a row pass. Raises: ValueError: it does not fit the collection's entity type."""
    entity_type = ENTITY_TYPES[collection]
    odd = set(row) ^ set(entity_type.properties)
    if odd:
        raise ValueError(f"{entity_type.name}: unknown or missing {sorted(odd)}")
    for name, enum in entity_type.enums().items():
        value = row[name]
        if value is not None and value not in enum.members:
            raise ValueError(f"{entity_type.name}.{name}: {value!r} is not a member")
    _check_moments(row, entity_type)


def risk(level: str, state: str, detail: str = "none") -> Row:
    """The three properties that say how someone's risk stands."""
    return {"riskLevel": level, "riskState": state, "riskDetail": detail}


def safe_user(user_id: str) -> Row:
    """A user without any risk."""
    name = f"user.{user_id[-4:]}"
    return {
        "id": user_id,
        "userDisplayName": name,
        "userPrincipalName": f"{name}@contoso.example",
        "isDeleted": False,
        "isProcessing": False,
        "riskLastUpdatedDateTime": None,
        **risk("none", "none"),
    }


def account(row: Row) -> Row:
    """A risky user as the directory shows the account."""
    return {
        "id": row["id"],
        "displayName": row["userDisplayName"],
        "userPrincipalName": row["userPrincipalName"],
    }


def user_at_risk(user_id: str, moment: str) -> Row:
    return {
        **safe_user(user_id),
        "riskLastUpdatedDateTime": moment,
        **risk("medium", "atRisk"),
    }


def offline_detection(collection: str, event: str, moment: str) -> Row:
    """A detection that no sign-in is tied to, high and at risk, still without id and owner.

    collection: that of its owner.
    """
    row = {
        **WITHOUT_SIGN_IN,
        "riskEventType": event,
        "activityDateTime": moment,
        "detectedDateTime": moment,
        "lastUpdatedDateTime": moment,
        **risk("high", "atRisk"),
    }
    if collection == "riskyServicePrincipals":
        row["activity"] = "servicePrincipal"
        row["keyIds"] = []
    return row


def history_item(
    row: Row, collection: str, initiated_by: str | None, event_types: Iterable[str]
) -> Row:
    """A history item for the present state of a user or service principal."""
    detail = None if row["riskDetail"] == "none" else row["riskDetail"]
    item = {
        **row,
        "initiatedBy": initiated_by,
        "activity": {"riskEventTypes": list(event_types), "detail": detail},
    }
    if collection == "riskyUsers":
        return item | {"userId": row["id"]}
    name = f"{row['id']} {row['riskLastUpdatedDateTime']}"
    return item | {"id": str(uuid.uuid5(ITEM_NAMESPACE, name))}


def push_history(items: list[Row], item: Row) -> None:
    """Put an item first.

    Only the newest item bears the user's id; older ones add their time in ticks to it.
    """
    if items and "userId" in item:
        moment = ticks(items[0]["riskLastUpdatedDateTime"])
        items[0]["id"] = f"{item['userId']}{moment}"
    items.insert(0, item)


def old_event_types(event_types: Iterable[str]) -> list[str]:
    """Event types as riskEventTypes has them."""
    return [
        event if event in EVENTS_AT_FIRST else "unknownFutureValue"
        for event in event_types
    ]


def sign_in(row_id: str, user: Row, moment: str) -> Row:
    """A sign-in of a user that succeeded and bears no risk.

    user: as a list of risky users gives it. The log holds its name in lower case.
    """
    return {
        **PLAIN_SIGN_IN,
        "id": row_id,
        "correlationId": row_id,
        "createdDateTime": moment,
        "userId": user["id"],
        "userPrincipalName": user["userPrincipalName"].lower(),
        "userDisplayName": user["userDisplayName"],
    }


def _plain_event(event: str) -> str:
    if event in NONPREMIUM_EVENTS:
        return event
    return "generic"


def _hidden_sign_in(row: Row) -> Row:
    event_types = [_plain_event(event) for event in row["riskEventTypes_v2"]]
    return {
        **row,
        "riskLevelDuringSignIn": "hidden",
        "riskLevelAggregated": "hidden",
        "riskDetail": "hidden",
        "riskEventTypes": old_event_types(event_types),
        "riskEventTypes_v2": event_types,
    }


def hidden(row: Row) -> Row:
    """The row as those see it who have no licence for more."""
    if "riskLevelAggregated" in row:
        return _hidden_sign_in(row)
    masked = {**row, "riskLevel": "hidden", "riskDetail": "hidden"}
    event = row.get("riskEventType")
    if event is not None:
        masked["riskEventType"] = _plain_event(event)
    return masked
