"""The pack fills its own fields and the platform's, of both kinds of incident, and they can be searched for."""

import configparser
import json
from pathlib import Path
from typing import Any

import pytest

from helpers import Row, text_of
from tools.package import ROOT
from warroom.azure.demo import ADELE_ID
from warroom.azure.odata import ENUMS
from warroom.azure.tenant import Tenant
from warroom.xsoar.runner import WarRoom

FIELDS_FOLDER = ROOT / "pack/IncidentFields"
FIELDS: dict[str, Row] = {path.name: json.loads(text_of(path)) for path in sorted(FIELDS_FOLDER.glob("*.json"))}
CLASSIFIERS = ROOT / "pack/Classifiers"
MAPPER: Row = json.loads(text_of(CLASSIFIERS / "classifier-mapper-incoming-AzureRiskyUsers.json"))
CLASSIFIER: Row = json.loads(text_of(CLASSIFIERS / "classifier-AzureRiskyUsers.json"))
TYPE = "Entra ID Risky User"
MAPPING: Row = MAPPER["mapping"][TYPE]["internalMapping"]
PREFIX = "Azure Risky Users "

# The platform's fields that are offered on every incident type, each with what fills it.
STANDARD = {
    "Alert ID": "Record ID",
    "Country Code": "Country",
    "Event ID": "Sign In Request ID",
    "Event Type": "Event Type",
    "Source IP": "Source IP",
    "Source Username": "User Principal Name",
    "State": "Risk State",
    "User Agent": "User Agent",
}

# Where each field's value stands in a detection and in a user, as far as such an object has it.
SOURCES = {
    "Record ID": ("id", "id"),
    "User ID": ("userId", "id"),
    "User Principal Name": ("userPrincipalName", "userPrincipalName"),
    "User Display Name": ("userDisplayName", "userDisplayName"),
    "Risk Level": ("riskLevel", "riskLevel"),
    "Risk State": ("riskState", "riskState"),
    "Risk Detail": ("riskDetail", "riskDetail"),
    "Last Updated": ("lastUpdatedDateTime", "riskLastUpdatedDateTime"),
    "Detected Time": ("detectedDateTime", None),
    "Activity Time": ("activityDateTime", None),
    "Event Type": ("riskEventType", None),
    "Detection Timing": ("detectionTimingType", None),
    "Source IP": ("ipAddress", None),
    "City": ("location.city", None),
    "Country": ("location.countryOrRegion", None),
    "User Agent": ("additionalDetails.userAgent", None),
    "Sign In Request ID": ("requestId", None),
}


def at(row: Any, path: str) -> Any:
    """The value at a path of names, or None where it ends early."""
    for name in path.split("."):
        row = row.get(name) if isinstance(row, dict) else None
    return row


def mapped(row: Row, source: Row) -> Any:
    """What the platform's mapper makes of a row: a path, or one and another for where it is empty."""
    if "simple" in source:
        return at(row, source["simple"])
    whole = source["complex"]
    (transformer,) = whole["transformers"]
    assert transformer["operator"] == "SetIfEmpty"
    default = transformer["args"]["defaultValue"]
    assert default["isContext"] is True
    return at(row, whole["root"]) or at(row, default["value"]["simple"])


def mapped_fields(row: Row) -> Row:
    return {name: mapped(row, source) for name, source in MAPPING.items()}


@pytest.fixture
def fetched(war_room: WarRoom, instance: Row) -> list[Row]:
    """What incidents of both kinds were made of."""
    instance |= {"fetch_types": ["Risk Detections", "Risky Users"], "first_fetch": "90 days", "max_fetch": "200"}
    rows = [json.loads(new["rawJSON"]) for new in war_room.fetch().incidents]
    assert {row["fetchType"] for row in rows} == {"Risk Detections", "Risky Users"}
    return rows


# What is filled


def test_every_field_is_filled_and_no_other_but_the_platforms() -> None:
    own = {field["name"] for field in FIELDS.values()}
    assert set(MAPPING) == own | set(STANDARD)
    assert own == {f"{PREFIX}{name}" for name in SOURCES}


def test_every_field_has_a_value_where_the_object_has_one(fetched: list[Row]) -> None:
    for row in fetched:
        is_user = row["fetchType"] == "Risky Users"
        expected = {name: at(row, paths[is_user] or "") for name, paths in SOURCES.items()}
        own = {f"{PREFIX}{name}": value for name, value in expected.items()}
        standard = {name: expected[source] for name, source in STANDARD.items()}
        assert mapped_fields(row) == own | standard


def test_every_field_of_both_kinds_is_filled_at_least_once(fetched: list[Row]) -> None:
    filled: dict[str, set[str]] = {"Risk Detections": set(), "Risky Users": set()}
    for row in fetched:
        values = mapped_fields(row)
        filled[row["fetchType"]] |= {name for name, value in values.items() if value not in (None, "")}
    of_users = {name for name, (_, path) in SOURCES.items() if path}
    assert filled == {
        "Risk Detections": set(MAPPING),
        "Risky Users": {f"{PREFIX}{name}" for name in of_users}
        | {name for name, source in STANDARD.items() if source in of_users},
    }


def test_a_user_at_risk_fills_these_fields(fetched: list[Row], tenant: Tenant) -> None:
    row = next(row for row in fetched if row["id"] == ADELE_ID)
    values = {name: value for name, value in mapped_fields(row).items() if value is not None}
    assert values == {
        "Azure Risky Users Record ID": ADELE_ID,
        "Azure Risky Users User ID": ADELE_ID,
        "Azure Risky Users User Principal Name": "adele.vance@contoso.example",
        "Azure Risky Users User Display Name": "Adele Vance",
        "Azure Risky Users Risk Level": "high",
        "Azure Risky Users Risk State": "atRisk",
        "Azure Risky Users Risk Detail": "none",
        "Azure Risky Users Last Updated": tenant.users[ADELE_ID]["riskLastUpdatedDateTime"],
        "Alert ID": ADELE_ID,
        "Source Username": "adele.vance@contoso.example",
        "State": "atRisk",
    }


def test_both_kinds_become_incidents_of_the_one_type() -> None:
    assert (CLASSIFIER["defaultIncidentType"], CLASSIFIER["keyTypeMap"], list(MAPPER["mapping"])) == (TYPE, {}, [TYPE])


# What can be done with it


@pytest.mark.parametrize("file", FIELDS)
def test_a_field_can_be_searched_for_and_belongs_to_the_type(file: str) -> None:
    field = FIELDS[file]
    name = field["name"].replace(" ", "")
    assert (field["cliName"], field["id"]) == (name.lower(), f"incident_{name.lower()}")
    assert (field["unsearchable"], field["associatedToAll"], field["associatedTypes"]) == (False, False, [TYPE])


def test_the_vendors_check_against_searching_is_waived_for_these_fields_alone() -> None:
    ignored = configparser.ConfigParser()
    ignored.read(Path(ROOT / "pack/.pack-ignore"), encoding="utf-8")
    waived = {section.removeprefix("file:"): dict(ignored[section]) for section in ignored.sections()}
    assert waived == {file: {"ignore": "IF115"} for file in FIELDS}


@pytest.mark.parametrize(
    ("name", "enum"),
    [
        ("Risk Level", "riskLevel"),
        ("Risk State", "riskState"),
        ("Detection Timing", "riskDetectionTimingType"),
    ],
)
def test_a_field_of_a_closed_enum_offers_its_members_and_none(name: str, enum: str) -> None:
    (field,) = [field for field in FIELDS.values() if field["name"] == f"{PREFIX}{name}"]
    assert (field["type"], sorted(field["selectValues"])) == ("singleSelect", sorted(["", *ENUMS[enum].known]))
    assert not ENUMS[enum].later
