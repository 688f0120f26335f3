"""The simulated tenant keeps Graph's and the sign-in service's rules, and refuses what it does not know."""

import base64
import json
import re
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote
from uuid import UUID

import jwt
import msal
import pytest
import requests
import trustme
from cryptography.hazmat.primitives import hashes
from dateutil import parser
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from helpers import BASE, COLLECTIONS_URL, GRAPH, IMDS, LOGIN, LOGIN_HOST, NOW, READ_SCOPES, Certificate, ids
from warroom.azure.cases import MIA_ID, RAVI_ID
from warroom.azure.demo import ADELE_ID, demo_tenant
from warroom.azure.entra import DEVICE_CODE
from warroom.azure.exchange import Answer, Recorded
from warroom.azure.graph import OPERATIONS
from warroom.azure.identity import APP_SERVICE_ENDPOINT, APP_SERVICE_HEADER
from warroom.azure.odata import ENTITY_TYPES, ENUMS, Row, filtered, ordered, ticks
from warroom.azure.rows import check_row, stamp
from warroom.azure.server import Simulator
from warroom.azure.tenant import (
    CLIENT_ID,
    CLIENT_SECRET,
    CLOUDS,
    COLLECTIONS,
    PERMISSIONS,
    TENANT_ID,
    XSOAR_CLIENT_ID,
    Tenant,
    shuffled,
)

PREFER = {"Prefer": "include-unknown-enum-members"}
BAD_REQUEST = (400, "BadRequest")
REQUEST_ID = "00000000-0000-0000-0000-0000000000aa"
READ_USERS, CHANGE_USERS = "IdentityRiskyUser.Read.All", "IdentityRiskyUser.ReadWrite.All"
READ_DETECTIONS = "IdentityRiskEvent.Read.All"
READ_WORKLOADS = "IdentityRiskyServicePrincipal.Read.All"
CHANGE_WORKLOADS = "IdentityRiskyServicePrincipal.ReadWrite.All"
READ_SIGN_INS = "AuditLog.Read.All"
CHANGE_SIGN_INS = "IdentityRiskEvent.ReadWrite.All"
SIGN_INS_URL, DIRECTORY_URL = f"{GRAPH}/v1.0/auditLogs/signIns", f"{GRAPH}/v1.0/users"
CROWD = demo_tenant(NOW, users=300, detections=400)


def session_to(simulator: Simulator, max_retries: Any = 0) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    for prefix in ("https://", "http://"):
        session.mount(prefix, simulator.adapter(max_retries))
    return session


class Caller:
    """Calls Graph with an app's token, as a client would."""

    def __init__(self, simulator: Simulator, session: requests.Session) -> None:
        self.simulator, self.session = simulator, session
        self.renew_token()

    def sign_in(self, **form: str) -> requests.Response:
        hosts = self.simulator.tenant.hosts
        usual = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        usual |= {"scope": f"https://{hosts.graph}/.default"}
        given = {name: value for name, value in (usual | form).items() if value != "(none)"}
        return self.session.post(f"https://{hosts.login}/{TENANT_ID}/oauth2/v2.0/token", data=given)

    def app_token(self) -> str:
        return str(self.sign_in().json()["access_token"])

    def renew_token(self) -> None:
        self.authorization = f"Bearer {self.app_token()}"

    def get(self, path: str, headers: dict[str, str] | None = None, **options: Any) -> requests.Response:
        url = path if path.startswith("https://") else f"{COLLECTIONS_URL}{path}"
        params = {f"${name}": value for name, value in options.items()}
        headers = PREFER | {"Authorization": self.authorization} | (headers or {})
        return self.session.get(url, params=params, headers=headers)

    def post(self, path: str, body: Any) -> requests.Response:
        url = path if path.startswith("https://") else f"{COLLECTIONS_URL}{path}"
        return self.session.post(url, json=body, headers={"Authorization": self.authorization})

    def judge(self, verdict: str, *request_ids: str) -> requests.Response:
        return self.post(f"{SIGN_INS_URL}/{verdict}", {"requestIds": list(request_ids)})

    def ids(self, path: str, **options: Any) -> list[str]:
        return ids(self.get(path, **options).json()["value"])

    def walk(self, path: str, **options: Any) -> list[list[str]]:
        """The ids of every page."""
        answer = self.get(path, **options)
        pages = []
        while True:
            pages.append(ids(answer.json()["value"]))
            if "@odata.nextLink" not in answer.json():
                return pages
            answer = self.get(answer.json()["@odata.nextLink"])


@pytest.fixture
def session(simulator: Simulator) -> Iterator[requests.Session]:
    with session_to(simulator) as session:
        yield session


@pytest.fixture
def caller(simulator: Simulator, session: requests.Session) -> Caller:
    return Caller(simulator, session)


def error_of(response: requests.Response) -> tuple[int, str, str]:
    error = response.json()["error"]
    return response.status_code, error["code"], error["message"]


def status_and_code(response: requests.Response) -> tuple[int, str]:
    """What an error says where its words are not Graph's own."""
    status, code, _ = error_of(response)
    return status, code


def refused_sign_in(response: requests.Response) -> tuple[int, str, list[int]]:
    return response.status_code, response.json()["error"], response.json()["error_codes"]


# The demo's rows


def test_the_demo_is_the_same_for_the_same_seed_and_moment() -> None:
    assert demo_tenant(NOW, users=60, detections=90) == demo_tenant(NOW, users=60, detections=90)
    assert demo_tenant(NOW, users=60, detections=90, seed=8) != demo_tenant(NOW, users=60, detections=90)


def test_the_demo_has_detections_even_without_a_crowd() -> None:
    demo = demo_tenant(NOW, users=0, detections=90)
    assert (ADELE_ID in demo.users, len(demo.detections)) == (True, 90)


def test_the_demo_has_the_number_of_rows_asked_for() -> None:
    assert (len(CROWD.users), len(CROWD.detections), len(CROWD.service_principals)) == (300, 400, 50)


@pytest.mark.parametrize("name", ENTITY_TYPES)
def test_every_row_of_the_demo_has_exactly_graphs_properties(name: str) -> None:
    collection, _, history = name.partition("/")
    rows = sum(CROWD.histories(collection).values(), []) if history else list(CROWD.store(collection).values())
    assert rows
    for row in rows:
        check_row(row, name)


def test_every_detection_belongs_to_a_user_and_bears_the_users_name() -> None:
    owners = [(row["userId"], row["userDisplayName"], row["userPrincipalName"]) for row in CROWD.detections.values()]
    known = {(row["id"], row["userDisplayName"], row["userPrincipalName"]) for row in CROWD.users.values()}
    assert set(owners) <= known


def test_the_newest_history_item_is_the_present_row() -> None:
    for user_id, row in CROWD.users.items():
        newest = CROWD.history[user_id][0]
        assert {name: newest[name] for name in row} == row


def test_histories_run_from_new_to_old() -> None:
    for items in (*CROWD.history.values(), *CROWD.service_principal_history.values()):
        moments = [ticks(item["riskLastUpdatedDateTime"]) for item in items]
        assert moments == sorted(moments, reverse=True)


def test_the_demo_has_the_odd_values_that_clients_must_bear() -> None:
    users, detections = CROWD.users.values(), CROWD.detections.values()
    fractions = {len(row["riskLastUpdatedDateTime"][19:-1].lstrip(".")) for row in users}
    assert fractions == set(range(8))
    assert any("'" in row["userPrincipalName"] for row in users)
    assert sum(row["isDeleted"] for row in users) > 5
    assert any(row["riskLevel"] == "hidden" for row in users)
    assert any(row["riskDetail"] in ENUMS["riskDetail"].later for row in users)
    assert min(sum(row["additionalInfo"] == odd for row in detections) for odd in (None, "[]")) > 5


def test_the_case_to_investigate_is_a_recent_and_growing_one() -> None:
    adele, items = CROWD.users[ADELE_ID], CROWD.history[ADELE_ID]
    assert (adele["userPrincipalName"], adele["riskLevel"], adele["riskState"]) == (
        "adele.vance@contoso.example",
        "high",
        "atRisk",
    )
    assert [(item["riskLevel"], item["activity"]["riskEventTypes"]) for item in items] == [
        ("high", ["leakedCredentials"]),
        ("medium", ["anonymizedIPAddress"]),
        ("low", ["unfamiliarFeatures"]),
    ]
    events = {row["riskEventType"] for row in CROWD.detections.values() if row["userId"] == ADELE_ID}
    assert events == {"unfamiliarFeatures", "anonymizedIPAddress", "leakedCredentials"}
    assert all(NOW - timedelta(days=3) < parser.isoparse(i["riskLastUpdatedDateTime"]) < NOW for i in items)


def sign_ins_of(user_id: str) -> list[Row]:
    """A user's, from old to new."""
    rows = [row for row in CROWD.sign_ins.values() if row["userId"] == user_id]
    return sorted(rows, key=lambda row: ticks(row["createdDateTime"]))


def tied_detections() -> dict[str, list[Row]]:
    """Those of the last 30 days that a sign-in is tied to, by its id."""
    tied: dict[str, list[Row]] = {}
    for row in CROWD.detections.values():
        if row["requestId"] and parser.isoparse(row["activityDateTime"]) > NOW - timedelta(days=30):
            tied.setdefault(row["requestId"], []).append(row)
    return tied


def test_the_log_has_the_sign_ins_of_the_detections_but_for_some_that_were_not_interactive() -> None:
    tied = tied_detections()
    risky = {row["id"] for row in CROWD.sign_ins.values() if row["riskState"] != "none"}
    missing = [detections for request_id, detections in tied.items() if request_id not in risky]
    assert risky <= set(tied)
    assert 0 < len(missing) < len(tied) / 10
    assert {row["riskEventType"] for detections in missing for row in detections} == {"unfamiliarFeatures"}


def test_a_sign_in_agrees_with_its_detections() -> None:
    agents = {"Linux": "Firefox 126.0", "Windows10": "Chrome 124.0.0", "MacOs": "Safari 17.5"}
    for request_id, detections in tied_detections().items():
        if request_id not in CROWD.sign_ins:
            continue
        row, first = CROWD.sign_ins[request_id], detections[0]
        for name in ("correlationId", "userId", "userDisplayName", "ipAddress", "riskState", "riskDetail"):
            assert row[name] == first[name]
        assert row["createdDateTime"] == first["activityDateTime"]
        assert row["userPrincipalName"] == first["userPrincipalName"].lower()
        assert row["riskEventTypes_v2"] == [detection["riskEventType"] for detection in detections]
        coordinates = {"altitude": None, **first["location"]["geoCoordinates"]}
        assert row["location"] == first["location"] | {"geoCoordinates": coordinates}
        device = row["deviceDetail"]
        browser, _, _ = device["browser"].partition(" ")
        assert (agents[device["operatingSystem"]], browser in first["additionalInfo"]) == (device["browser"], True)
        still_open = row["riskState"] in ("atRisk", "confirmedCompromised")
        assert (row["riskLevelAggregated"] == "none") is not still_open


def test_the_log_keeps_thirty_days() -> None:
    moments = [parser.isoparse(row["createdDateTime"]) for row in CROWD.sign_ins.values()]
    assert NOW - timedelta(days=30) < min(moments) < max(moments) <= NOW


def test_ordinary_sign_ins_bear_no_risk_and_come_from_where_their_user_is_usually() -> None:
    ordinary = [row for row in CROWD.sign_ins.values() if row["riskState"] == "none"]
    homes: dict[str, set[str]] = {}
    for row in ordinary:
        assert {row[name] for name in ("riskLevelDuringSignIn", "riskLevelAggregated", "riskDetail")} == {"none"}
        assert row["riskEventTypes_v2"] == []
        homes.setdefault(row["userId"], set()).add(row["ipAddress"])
    assert {len(addresses) for addresses in homes.values()} == {1}
    assert {row["status"]["errorCode"] for row in ordinary} == {0, 50126, 50074, 500121, 50053}
    assert len(homes) > 100


def test_adeles_sign_ins_are_ordinary_until_two_that_are_not() -> None:
    *ordinary, first, between, second, last = sign_ins_of(ADELE_ID)
    usual = [*ordinary, between, last]
    assert {(row["location"]["city"], row["ipAddress"]) for row in usual} == {("Utrecht", "192.0.2.14")}
    assert {row["deviceDetail"]["isManaged"] for row in usual} == {True}
    assert [
        (row["location"]["city"], row["status"]["errorCode"], row["riskEventTypes_v2"], row["riskLevelAggregated"])
        for row in (first, second)
    ] == [
        ("Rotterdam", 50074, ["unfamiliarFeatures"], "low"),
        ("Cusco", 0, ["anonymizedIPAddress"], "medium"),
    ]
    assert second["status"]["additionalDetails"] == "MFA requirement satisfied by claim in the token"
    assert len(ordinary) > 15


def test_ravis_alarm_is_a_false_one() -> None:
    *ordinary, alarm = sign_ins_of(RAVI_ID)
    assert (CROWD.users[RAVI_ID]["riskLevel"], CROWD.users[RAVI_ID]["riskState"]) == ("medium", "atRisk")
    assert {(row["ipAddress"], row["location"]["city"]) for row in (*ordinary, alarm)} == {("192.0.2.27", "Dublin")}
    assert {row["deviceDetail"]["displayName"] for row in ordinary} == {"CONTOSO-LT-0229"}
    (policy,) = alarm["appliedConditionalAccessPolicies"]
    assert (policy["enforcedGrantControls"], policy["result"], alarm["status"]["errorCode"]) == (["Mfa"], "success", 0)
    assert (alarm["riskEventTypes_v2"], alarm["deviceDetail"]["trustType"]) == (
        ["unfamiliarFeatures"],
        "Azure AD registered",
    )
    (detection,) = [row for row in CROWD.detections.values() if row["userId"] == RAVI_ID]
    info = {pair["Key"]: pair["Value"] for pair in json.loads(detection["additionalInfo"])}
    assert (info["riskReasons"], info["mitreTechniques"]) == (["UnfamiliarBrowser", "UnfamiliarDevice"], "T1078.004")


def test_mias_risk_ended_with_a_new_password() -> None:
    (risky,) = [row for row in sign_ins_of(MIA_ID) if row["riskState"] != "none"]
    settled = ("none", "remediated", "userPerformedSecuredPasswordReset")
    assert (risky["riskLevelDuringSignIn"], risky["riskEventTypes_v2"]) == (
        "medium",
        ["unfamiliarFeatures", "passwordSpray"],
    )
    assert (risky["riskLevelAggregated"], risky["riskState"], risky["riskDetail"]) == settled
    assert risk_of(CROWD.users[MIA_ID]) == settled
    assert [risk_of(item)[:2] for item in CROWD.history[MIA_ID]] == [
        ("none", "remediated"),
        ("high", "atRisk"),
        ("medium", "atRisk"),
    ]


def test_techniques_are_one_text_joined_by_commas() -> None:
    told = set()
    for row in CROWD.detections.values():
        for pair in json.loads(row["additionalInfo"] or "[]"):
            if pair["Key"] == "mitreTechniques":
                told.add((row["riskEventType"], pair["Value"]))
    assert ("anonymizedIPAddress", "T1090.003,T1078") in told
    assert ("unfamiliarFeatures", "T1078.004") in told


def test_some_account_without_risk_shares_its_name_with_a_risky_user() -> None:
    risky = {row["userDisplayName"] for row in CROWD.users.values()}
    names = [row["userDisplayName"] for row in CROWD.directory.values()]
    assert [name for name in names if name in risky] == ["Noor Haddad"]
    assert list(CROWD.directory)[:3] == [f"00000000-0000-4000-8000-0000000d100{number}" for number in (1, 2, 3)]


def test_a_row_with_an_unknown_property_or_member_is_refused() -> None:
    tenant = Tenant()
    with pytest.raises(ValueError, match="isGuest"):
        tenant.add_sign_in(isGuest=True)
    with pytest.raises(ValueError, match="isGuest"):
        tenant.add_user(isGuest=True)
    with pytest.raises(ValueError, match="hgih"):
        tenant.add_user(riskLevel="hgih")


# Moments, $filter, $orderby


def moment_of(text: str) -> Decimal:
    """Seconds since 1970, by a reading of its own."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    date, _, clock = whole.partition("T")
    seconds = parser.isoparse(f"{date}T{clock}Z").timestamp()
    return Decimal(int(seconds)) + (Decimal(f"0.{fraction}") if fraction else 0)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("2026-05-11T08:00:00Z", "2026-05-11T08:00:00.0000001Z"),
        ("2026-05-11T08:00:00.0000006Z", "2026-05-11T08:00:00.5Z"),
        ("2026-05-11T23:59:59.9999999Z", "2026-05-12T00:00:00Z"),
        ("2026-05-11T00:00:00+14:00", "2026-05-10T10:00:01Z"),
        ("2026-05-11T09:59:59+02:00", "2026-05-11T08:00:00Z"),
    ],
)
def test_moments_compare_to_the_seventh_digit_and_across_offsets(earlier: str, later: str) -> None:
    assert ticks(earlier) < ticks(later)


IMPOSSIBLE_MOMENTS = (
    "2026-02-30T00:00:00Z",
    "2026-05-11T24:00:00Z",
    "2026-05-11T29:99:99Z",
    "2026-05-11T08:99:00Z",
    "2026-05-11T08:00:60Z",
    "2026-05-11T08:00:00+25:00",
    "2026-05-11T08:00:00-14:01",
    "2026-05-11T08:00:00+02:60",
)


@pytest.mark.parametrize("moment", IMPOSSIBLE_MOMENTS)
def test_a_moment_that_cannot_be_is_refused_in_a_filter_and_as_a_row(
    caller: Caller, tenant: Tenant, moment: str
) -> None:
    answer = caller.get("riskDetections", filter=f"detectedDateTime ge {moment}")
    refused = f"Invalid filter clause: '{moment}' is not a valid DateTimeOffset."
    assert error_of(answer) == (400, "BadRequest", refused)
    with pytest.raises(ValueError, match="time|offset|day"):
        tenant.arrive(detected=moment)


def test_ticks_are_dotnets() -> None:
    assert ticks("2026-05-11T07:42:19.3350127Z") == 639140821393350127


Promise = tuple[str, Callable[[Row], bool]]
BOUND = "2026-10-01T10:11:12.5Z"
COMPARISONS: list[Promise] = [
    ("riskLevel eq 'high'", lambda row: row["riskLevel"] == "high"),
    ("riskLevel ne microsoft.graph.riskLevel'none'", lambda row: row["riskLevel"] != "none"),
    ("riskState eq 'atRisk'", lambda row: row["riskState"] == "atRisk"),
    ("isDeleted eq true", lambda row: row["isDeleted"]),
    ("userDisplayName eq 'Sean O''Brien'", lambda row: row["userDisplayName"] == "Sean O'Brien"),
    (f"riskLastUpdatedDateTime ge {BOUND}", lambda row: moment_of(row["riskLastUpdatedDateTime"]) >= moment_of(BOUND)),
    (f"riskLastUpdatedDateTime lt {BOUND}", lambda row: moment_of(row["riskLastUpdatedDateTime"]) < moment_of(BOUND)),
]


def both_or_either(parts: tuple[Promise, Promise], word: str) -> Promise:
    (left, left_holds), (right, right_holds) = parts
    if word == "and":
        return f"({left}) and ({right})", lambda row: left_holds(row) and right_holds(row)
    return f"({left}) or ({right})", lambda row: left_holds(row) or right_holds(row)


def negated(part: Promise) -> Promise:
    return f"not ({part[0]})", lambda row: not part[1](row)


EXPRESSIONS = st.recursive(
    st.sampled_from(COMPARISONS),
    lambda inner: st.one_of(
        st.builds(both_or_either, st.tuples(inner, inner), st.sampled_from(("and", "or"))), st.builds(negated, inner)
    ),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(EXPRESSIONS)
def test_a_filter_keeps_the_rows_a_plain_comparison_keeps(expression: Promise) -> None:
    text, holds = expression
    rows = list(CROWD.users.values())
    assert filtered(rows, text, "riskyUsers") == [row for row in rows if holds(row)]


def test_and_binds_closer_than_or() -> None:
    rows = list(CROWD.users.values())
    text = "riskLevel eq 'low' or riskLevel eq 'high' and isDeleted eq true"
    kept = [row for row in rows if row["riskLevel"] == "low" or (row["riskLevel"] == "high" and row["isDeleted"])]
    assert filtered(rows, text, "riskyUsers") == kept


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("riskLevel eq 'low'", []),
        ("not (riskLevel eq 'low')", []),
        ("riskLevel ne 'low'", []),
        ("riskLevel eq 'low' or isDeleted eq true", ["333"]),
        ("riskLevel eq 'low' and isDeleted eq true", []),
        ("not (riskLevel eq 'low' and isDeleted eq false)", ["333"]),
    ],
)
def test_a_row_for_which_the_filter_is_null_is_left_out(text: str, kept: list[str]) -> None:
    row = {"id": "333", "riskLevel": None, "isDeleted": True}
    assert [row["id"] for row in filtered([row], text, "riskyUsers")] == kept


UNKNOWN = "Could not find a property named '{}' on type 'microsoft.graph.riskDetection'."
INCOMPATIBLE = (
    "A binary operator with incompatible types was detected. Found operand type 'Edm.{}' for operator kind '{}'."
)


@pytest.mark.parametrize(
    ("filter_text", "reason"),
    [
        ("createdDateTime ge 2026-05-01T00:00:00Z", UNKNOWN.format("createdDateTime")),
        ("RiskLevel eq 'high'", UNKNOWN.format("RiskLevel")),
        ("ipAddress eq '203.0.113.77'", "The property 'ipAddress' cannot be used in the $filter query option."),
        ("riskLevel eq 'hgih'", "The string 'hgih' is not a valid enumeration type constant."),
        ("riskLevel eq microsoft.graph.riskState'atRisk'", INCOMPATIBLE.format("riskLevel", "eq")),
        ("riskLevel eq true", INCOMPATIBLE.format("riskLevel", "eq")),
        ("riskLevel gt 'low'", "The operator 'gt' is not supported for 'riskLevel'."),
        ("userId ge '333'", "The operator 'ge' is not supported for 'userId'."),
        ("detectedDateTime ge '2026-05-01T00:00:00Z'", INCOMPATIBLE.format("DateTimeOffset", "ge")),
    ],
)
def test_a_filter_graph_would_not_take_is_refused(caller: Caller, filter_text: str, reason: str) -> None:
    answer = caller.get("riskDetections", filter=filter_text)
    assert error_of(answer) == (400, "BadRequest", f"Invalid filter clause: {reason}")


@pytest.mark.parametrize(
    ("filter_text", "place"),
    [
        ("detectedDateTime ge 2026-05-01", " at position 0"),
        ("detectedDateTime ge 2026-05-01T9:00:00Z", " at position 0"),
        ("riskLevel eq 'high", " at position 0"),
        ("riskLevel eq high", " at position 0"),
        ("riskLevel eq 'high' and", " at position 19"),
        ("riskLevel eq 'high' or or riskLevel eq 'low'", " at position 23"),
        ("(riskLevel eq 'high'", " at position 20"),
        ("not riskLevel eq 'high'", " at position 0"),
        ("contains(userId,'3')", " at position 0"),
        ("riskLevel%20eq%20'high'", ": character '%' is not valid at position 9"),
        ("", " at position 0"),
    ],
)
def test_a_filter_that_is_not_odata_is_refused_with_the_place(caller: Caller, filter_text: str, place: str) -> None:
    answer = caller.get("riskDetections", filter=filter_text)
    message = f"Invalid filter clause: Syntax error{place} in '{filter_text}'."
    assert error_of(answer) == (400, "BadRequest", message)


def test_fifteen_comparisons_may_be_joined_by_or_and_sixteen_may_not(caller: Caller) -> None:
    chain = [f"id eq '{number}'" for number in range(16)]
    assert caller.get("riskyUsers", filter=" or ".join(chain[:15])).status_code == 200
    refused = (
        "Too many child clauses specified in search filter expression containing 'OR' operators: 16. Max allowed: 15."
    )
    answer = caller.get("riskyUsers", filter=f"({' or '.join(chain[:9])}) or {' or '.join(chain[9:])}")
    assert error_of(answer) == (400, "BadRequest", refused)


def test_a_quote_within_a_literal_is_doubled(caller: Caller, tenant: Tenant) -> None:
    tenant.add_user(id="777-o", userPrincipalName="sean.o'brien@contoso.example")
    assert caller.ids("riskyUsers", filter="userPrincipalName eq 'sean.o''brien@contoso.example'") == ["777-o"]


SIGN_IN_PROMISES: list[Promise] = [
    (f"id eq '{next(iter(CROWD.sign_ins))}'", lambda row: row["id"] == next(iter(CROWD.sign_ins))),
    ("location/countryOrRegion eq 'PE'", lambda row: row["location"]["countryOrRegion"] == "PE"),
    ("startsWith(location/city,'St')", lambda row: row["location"]["city"].startswith("St")),
    ("startswith(ipAddress, '198.51')", lambda row: row["ipAddress"].startswith("198.51")),
    ("status/errorCode eq 50126", lambda row: row["status"]["errorCode"] == 50126),
    ("deviceDetail/browser eq 'Firefox 126.0'", lambda row: row["deviceDetail"]["browser"] == "Firefox 126.0"),
    ("riskState eq 'atRisk' or riskState eq 'dismissed'", lambda row: row["riskState"] in ("atRisk", "dismissed")),
    ("conditionalAccessStatus eq 'failure'", lambda row: row["conditionalAccessStatus"] == "failure"),
    ("riskEventTypes_v2/any(t: t eq 'newCountry')", lambda row: "newCountry" in row["riskEventTypes_v2"]),
    ("riskEventTypes/any(t:t eq 'unknownFutureValue')", lambda row: "unknownFutureValue" in row["riskEventTypes"]),
    ("not (status/errorCode eq 0)", lambda row: row["status"]["errorCode"] != 0),
    ("userPrincipalName eq 'adele.vance@contoso.example'", lambda row: row["userId"] == ADELE_ID),
    ("userPrincipalName eq 'Adele.Vance@contoso.example'", lambda _: False),
    ("createdDateTime ge 2026-11-01T00:00:00Z", lambda row: row["createdDateTime"] >= "2026-11-01"),
    ("createdDateTime le 2026-11-01T00:00:00Z", lambda row: row["createdDateTime"] < "2026-11-01"),
    ("createdDateTime gt 2026-11-01T00:00:00Z", lambda row: row["createdDateTime"] > "2026-11-01"),
    ("createdDateTime lt 2026-11-01T00:00:00Z", lambda row: row["createdDateTime"] < "2026-11-01"),
]


@pytest.mark.parametrize(("text", "holds"), SIGN_IN_PROMISES, ids=[text for text, _ in SIGN_IN_PROMISES])
def test_the_log_is_filtered_by_what_lies_within_a_property_too(text: str, holds: Callable[[Row], bool]) -> None:
    rows = list(CROWD.sign_ins.values())
    kept = [row for row in rows if holds(row)]
    assert filtered(rows, text, "signIns") == kept
    assert ("Adele.Vance" in text) is (kept == [])


def test_a_sign_in_from_no_known_place_is_from_no_country(caller: Caller, tenant: Tenant) -> None:
    tenant.sign_ins.clear()
    tenant.add_sign_in(location=None)
    for text in ("location/countryOrRegion eq 'NL'", "not (location/countryOrRegion eq 'NL')"):
        assert caller.ids(SIGN_INS_URL, filter=text) == []


NO_FILTER = "The property '{}' cannot be used in the $filter query option."


@pytest.mark.parametrize(
    ("filter_text", "reason"),
    [
        ("isInteractive eq true", NO_FILTER.format("isInteractive")),
        ("appliedConditionalAccessPolicies eq 'x'", NO_FILTER.format("appliedConditionalAccessPolicies")),
        ("signInEventTypes/any(t: t eq 'interactiveUser')", UNKNOWN.format("signInEventTypes")),
        ("location/street eq 'x'", UNKNOWN.format("location/street")),
        ("riskState ne 'none'", "The operator 'ne' is not supported for 'riskState'."),
        ("createdDateTime ne 2026-11-01T00:00:00Z", "The operator 'ne' is not supported for 'createdDateTime'."),
        ("startsWith(userId,'3')", "The operator 'startswith' is not supported for 'userId'."),
        ("riskEventTypes_v2 eq 'newCountry'", INCOMPATIBLE.format("Collection", "eq")),
        ("ipAddress/any(t: t eq 'x')", "The property 'ipAddress' is no collection."),
        ("status/errorCode eq '0'", INCOMPATIBLE.format("Int32", "eq")),
        ("status/errorCode ne 0", "The operator 'ne' is not supported for 'status/errorCode'."),
        ("createdDateTime ge '2026-11-01T00:00:00Z'", INCOMPATIBLE.format("DateTimeOffset", "ge")),
    ],
)
def test_a_filter_that_the_log_would_not_take_is_refused(caller: Caller, filter_text: str, reason: str) -> None:
    answer = caller.get(SIGN_INS_URL, filter=filter_text)
    message = f"Invalid filter clause: {reason}".replace("graph.riskDetection", "graph.signIn")
    assert error_of(answer) == (400, "BadRequest", message)


def test_the_log_is_not_asked_for_what_lies_more_than_ninety_days_back(caller: Caller) -> None:
    bound, earlier = NOW - timedelta(days=90), NOW - timedelta(days=90, seconds=1)
    assert caller.get(SIGN_INS_URL, filter=f"createdDateTime ge {stamp(bound)}").status_code == 200
    answer = caller.get(SIGN_INS_URL, filter=f"createdDateTime ge {stamp(earlier)}")
    assert error_of(answer) == (400, "BadRequest", "Invalid filter clause")
    quoted = f"userDisplayName eq 'x {stamp(earlier)}'"
    assert caller.get(SIGN_INS_URL, filter=quoted).status_code == 200


@pytest.mark.parametrize(
    "filter_text",
    [
        "userPrincipalName eq 'PRIYA.RAMAN@contoso.example'",
        "displayName eq 'priya raman'",
        "startsWith(displayName,'PRI')",
        "startswith(userPrincipalName,'Priya')",
    ],
)
def test_the_directory_compares_names_in_any_letter_case(caller: Caller, filter_text: str) -> None:
    (account,) = caller.get(DIRECTORY_URL, filter=filter_text).json()["value"]
    assert account == {
        "id": "00000000-0000-4000-8000-0000000d1007",
        "displayName": "Priya Raman",
        "userPrincipalName": "priya.raman@contoso.example",
    }


@pytest.mark.parametrize("filter_text", ["startswith(id,'0')", "displayName ne 'x'"])
def test_the_directory_takes_only_filters_that_need_no_special_header(caller: Caller, filter_text: str) -> None:
    assert status_and_code(caller.get(DIRECTORY_URL, filter=filter_text)) == BAD_REQUEST


@pytest.mark.parametrize("key", ["00000000-0000-4000-8000-0000000d1007", "Priya.Raman@contoso.example"])
def test_an_account_is_read_by_id_or_name(caller: Caller, key: str) -> None:
    assert caller.get(f"{DIRECTORY_URL}/{key}", select="displayName").json() == {
        "@odata.context": f"{GRAPH}/v1.0/$metadata#users(displayName)/$entity",
        "displayName": "Priya Raman",
    }


def test_the_directory_is_paged_to_the_end(caller: Caller, tenant: Tenant) -> None:
    pages = caller.walk(DIRECTORY_URL, top=30)
    assert [len(page) for page in pages[:-1]] == [30] * (len(pages) - 1)
    assert [row_id for page in pages for row_id in page] == list(tenant.accounts)
    assert len(pages) > 1


def test_an_account_that_is_unknown_or_deleted_is_not_found(caller: Caller, tenant: Tenant) -> None:
    deleted = next(row["id"] for row in tenant.users.values() if row["isDeleted"])
    for key in ("nobody", deleted):
        message = f"Resource '{key}' does not exist or one of its queried reference-property objects are not present."
        assert error_of(caller.get(f"{DIRECTORY_URL}/{key}")) == (404, "Request_ResourceNotFound", message)


def test_order_is_by_moment_with_nulls_least_and_ties_as_they_came() -> None:
    moments = ["2022-09-09T09:59:27Z", "2022-09-09T10:00:00Z", None, "2022-09-09T09:59:27.0000000Z"]
    rows = [{"id": str(number), "riskLastUpdatedDateTime": moment} for number, moment in enumerate(moments)]
    orders = {
        "riskLastUpdatedDateTime": ["2", "0", "3", "1"],
        "riskLastUpdatedDateTime desc": ["1", "0", "3", "2"],
        "riskLastUpdatedDateTime desc,id desc": ["1", "3", "0", "2"],
    }
    assert {text: [row["id"] for row in ordered(rows, text, "riskyUsers")] for text in orders} == orders


@pytest.mark.parametrize("order", ["riskLevel", "riskLastUpdatedDateTime down", "nothing", "riskLastUpdatedDateTime,"])
def test_an_order_graph_would_not_take_is_refused(caller: Caller, order: str) -> None:
    assert status_and_code(caller.get("riskyUsers", orderby=order)) == BAD_REQUEST


# Pages, envelopes, options


@pytest.mark.parametrize("top", [1, 7, 39, 40, 500])
def test_a_walk_gives_every_row_once_in_order(caller: Caller, tenant: Tenant, top: int) -> None:
    pages = caller.walk("riskyUsers", top=top, orderby="riskLastUpdatedDateTime desc")
    rows = sorted(tenant.users.values(), key=lambda row: moment_of(row["riskLastUpdatedDateTime"]), reverse=True)
    assert sum(pages, []) == [row["id"] for row in rows]
    assert [len(page) for page in pages[:-1]] == [top] * (len(pages) - 1)


def test_a_page_may_be_smaller_than_asked_for(caller: Caller, tenant: Tenant) -> None:
    tenant.largest_page = 15
    assert [len(page) for page in caller.walk("riskyUsers", top=500)] == [15, 15, 10]
    assert [len(page) for page in caller.walk("riskyUsers", top=14)] == [14, 14, 12]


def test_a_page_has_twenty_rows_unless_told_otherwise(caller: Caller) -> None:
    assert len(caller.ids("riskDetections")) == 20


def test_a_page_of_the_log_has_a_thousand_sign_ins_newest_first(caller: Caller, tenant: Tenant) -> None:
    tenant.sign_ins.clear()
    moments = [stamp(NOW - timedelta(minutes=number)) for number in (*range(500, 1001), *range(500))]
    rows = [tenant.add_sign_in(createdDateTime=moment) for moment in moments]
    newest_first = ids(sorted(rows, key=lambda row: ticks(row["createdDateTime"]), reverse=True))
    assert caller.walk(SIGN_INS_URL) == [newest_first[:1000], newest_first[1000:]]
    assert caller.ids(SIGN_INS_URL, top=1000, orderby="createdDateTime asc") == newest_first[:0:-1]
    refused = "The limit of '1000' for Top query has been exceeded. The value from the incoming request is '1001'."
    assert error_of(caller.get(SIGN_INS_URL, top=1001)) == (400, "BadRequest", refused)


@pytest.mark.parametrize("order", ["id", "userPrincipalName", "createdDateTime,id"])
def test_the_log_is_ordered_by_time_alone(caller: Caller, order: str) -> None:
    assert status_and_code(caller.get(SIGN_INS_URL, orderby=order)) == BAD_REQUEST


@pytest.mark.parametrize("top", ["0", "501", "-1", "ten", "", "1.5"])
def test_a_page_has_one_to_five_hundred_rows(caller: Caller, top: str) -> None:
    assert status_and_code(caller.get("riskyUsers", top=top)) == BAD_REQUEST


def test_a_link_is_followed_only_as_it_was_handed_out(caller: Caller) -> None:
    link = caller.get("riskyUsers", top=7, filter="isDeleted eq false").json()["@odata.nextLink"]
    assert re.fullmatch(
        re.escape(f"{COLLECTIONS_URL}riskyUsers?$top=7&$filter=isDeleted%20eq%20false&$skiptoken=") + "[0-9a-f]{64}_7",
        link,
    )
    tampered = (
        link.replace("$top=7", "$top=8"),
        link.replace("false", "true"),
        link.replace("_7", "_14"),
        link.replace("%20", "+"),
        link.replace("$", "%24"),
        re.sub(".filter=[^&]*&", "", link),
    )
    refused = (400, "BadRequest", "The skip token is not valid for this request.")
    assert [error_of(caller.get(url)) for url in tampered] == [refused] * len(tampered)
    assert caller.get(link.replace("riskyUsers", "riskDetections")).status_code == 400
    assert caller.get(link).status_code == 200


def test_a_collection_is_counted_on_the_first_page_only(caller: Caller) -> None:
    first = caller.get("riskyUsers", top=30, count="true").json()
    second = caller.get(first["@odata.nextLink"]).json()
    assert (first["@odata.count"], "@odata.count" in second, len(second["value"])) == (40, False, 10)


def test_select_gives_the_chosen_properties(caller: Caller) -> None:
    assert caller.get("riskyUsers/333", select="id,riskState").json() == {
        "@odata.context": f"{GRAPH}/v1.0/$metadata#identityProtection/riskyUsers(id,riskState)/$entity",
        "id": "333",
        "riskState": "remediated",
    }
    unknown = "Could not find a property named 'isGuest' on type 'microsoft.graph.riskyUser'."
    refused = f"Parsing OData Select and Expand failed: {unknown}"
    assert error_of(caller.get("riskyUsers/333", select="id,isGuest")) == (400, "BadRequest", refused)


def test_an_entity_is_bare_and_names_its_context(caller: Caller, tenant: Tenant) -> None:
    context = {"@odata.context": f"{GRAPH}/v1.0/$metadata#identityProtection/riskDetections/$entity"}
    assert caller.get("riskDetections/6565").json() == context | tenant.detections["6565"]


@pytest.mark.parametrize(
    "address",
    [
        f"{SIGN_INS_URL}?$count=true",
        f"{SIGN_INS_URL}?$skip=5",
        f"{SIGN_INS_URL}/$count",
        f"{DIRECTORY_URL}/$value",
        "riskyUsers?$expand=history",
        "riskyUsers?$search=x",
        "riskyUsers?$skip=5",
        "riskyUsers?top=5",
        "riskyUsers?$top=5&$top=5",
        "riskyUsers?$count=yes",
        "riskDetections?$count=true",
        "servicePrincipalRiskDetections?$count=true",
        "riskyUsers/333?$top=5",
        "riskyUsers/333/history?$filter=riskLevel%20eq%20'low'",
        "riskyUsers/333/history?$orderby=id",
        "riskyUsers/333/nothing",
        "riskyUsers/",
        "riskyUsers/$value",
        "riskyUsers/$count?$top=5",
        "riskyUsers/$count?$filter=riskLevel%20eq%20'odd'",
        "riskyUsers/333/history/$count",
        "riskDetections/$count",
        "servicePrincipalRiskDetections/$count",
        "riskySignIns",
    ],
)
def test_an_address_or_option_graph_does_not_have_is_refused(caller: Caller, address: str) -> None:
    assert status_and_code(caller.get(address)) == BAD_REQUEST


@pytest.mark.parametrize(
    "address",
    [
        "/V1.0/IDENTITYPROTECTION/RISKYUSERS/Id-1",
        "/v1.0/identityprotection/riskyusers/Id-1",
        "/v1.0//identityProtection/riskyUsers/Id-1",
        "//v1.0/identityProtection///riskyUsers//Id-1",
    ],
)
def test_a_name_in_a_path_is_known_in_any_letter_case_and_after_any_number_of_slashes(
    caller: Caller, tenant: Tenant, address: str
) -> None:
    user = tenant.add_user(id="Id-1")
    context = {"@odata.context": f"{GRAPH}/v1.0/$metadata#identityProtection/riskyUsers/$entity"}
    assert caller.get(f"{GRAPH}{address}").json() == context | user
    assert error_of(caller.get(f"{GRAPH}{address.lower()}")) == (
        404,
        "ResourceNotFound",
        "Resource 'id-1' does not exist.",
    )


def test_histories_and_actions_are_found_in_any_letter_case_too(caller: Caller) -> None:
    history = f"riskyUsers/{ADELE_ID}/history"
    assert caller.get(f"RiskyUsers/{ADELE_ID}/History").json() == caller.get(history).json()
    answer = caller.post("riskyusers/confirmcompromised", {"userIds": [ADELE_ID]})
    assert (answer.status_code, caller.get(f"riskyUsers/{ADELE_ID}").json()["riskState"]) == (
        204,
        "confirmedCompromised",
    )


def test_a_link_is_of_the_path_that_was_asked(caller: Caller, tenant: Tenant) -> None:
    pages = caller.walk(f"{GRAPH}/v1.0//identityprotection/RiskyUsers", top=15)
    assert sum(pages, []) == list(tenant.users)


@pytest.mark.parametrize("collection", ["riskyUsers", "riskyServicePrincipals"])
def test_a_collection_that_can_be_counted_gives_its_number_as_plain_text(
    caller: Caller, tenant: Tenant, collection: str
) -> None:
    rows = tenant.store(collection).values()
    at_risk = sum(row["riskState"] == "atRisk" for row in rows)
    whole = caller.get(f"{collection}/$count")
    part = caller.get(f"{collection}/$count", filter="riskState eq 'atRisk'")
    assert (whole.status_code, whole.headers["Content-Type"], whole.text) == (200, "text/plain", str(len(rows)))
    assert (part.status_code, part.text) == (200, str(at_risk))


def test_a_method_the_address_does_not_have_is_refused(caller: Caller) -> None:
    assert status_and_code(caller.post("riskyUsers", {})) == (405, "Request_BadRequest")
    assert status_and_code(caller.get("riskyServicePrincipals/confirmSafe")) == (404, "ResourceNotFound")
    assert status_and_code(caller.post("riskyServicePrincipals/confirmSafe", {})) == (405, "Request_BadRequest")


@pytest.mark.parametrize("headers", [{"Prefer": "odata.maxpagesize=5"}, {"client-request-id": "mine"}])
def test_a_header_with_a_value_graph_does_not_know_is_refused(caller: Caller, headers: dict[str, str]) -> None:
    assert status_and_code(caller.get("riskyUsers", headers=headers)) == BAD_REQUEST


@pytest.mark.parametrize("user_id", ["a/b", "a%2Fb", "O'Neil & co", "a?b#c", "ü ö", "confirmSafe", "a\nb"])
def test_an_id_is_one_decoded_segment(caller: Caller, tenant: Tenant, user_id: str) -> None:
    tenant.add_user(id=user_id)
    answer = caller.get(f"riskyUsers/{quote(user_id, safe='')}")
    assert (answer.status_code, answer.json()["id"]) == (200, user_id)


def test_an_unknown_id_is_not_found(caller: Caller) -> None:
    for collection in COLLECTIONS:
        answer = caller.get(f"{collection}/nobody")
        assert error_of(answer) == (404, "ResourceNotFound", "Resource 'nobody' does not exist.")


def test_there_are_the_operations_of_the_contract_and_no_others() -> None:
    assert sorted(f"{operation.method} {operation.path}" for operation in OPERATIONS) == [
        "GET auditLogs/signIns",
        "GET auditLogs/signIns/{id}",
        "GET identityProtection/riskDetections",
        "GET identityProtection/riskDetections/{id}",
        "GET identityProtection/riskyServicePrincipals",
        "GET identityProtection/riskyServicePrincipals/$count",
        "GET identityProtection/riskyServicePrincipals/{id}",
        "GET identityProtection/riskyServicePrincipals/{id}/history",
        "GET identityProtection/riskyServicePrincipals/{id}/history/{item}",
        "GET identityProtection/riskyUsers",
        "GET identityProtection/riskyUsers/$count",
        "GET identityProtection/riskyUsers/{id}",
        "GET identityProtection/riskyUsers/{id}/history",
        "GET identityProtection/riskyUsers/{id}/history/{item}",
        "GET identityProtection/servicePrincipalRiskDetections",
        "GET identityProtection/servicePrincipalRiskDetections/{id}",
        "GET users",
        "GET users/{id}",
        "POST auditLogs/signIns/confirmCompromised",
        "POST auditLogs/signIns/confirmSafe",
        "POST auditLogs/signIns/dismiss",
        "POST identityProtection/riskyServicePrincipals/confirmCompromised",
        "POST identityProtection/riskyServicePrincipals/dismiss",
        "POST identityProtection/riskyUsers/confirmCompromised",
        "POST identityProtection/riskyUsers/confirmSafe",
        "POST identityProtection/riskyUsers/dismiss",
    ]


def test_later_enum_members_are_shown_only_to_those_who_prefer_them(caller: Caller, tenant: Tenant) -> None:
    tenant.change_user("333", riskDetail="microsoftRevokedSessions")
    address = f"{COLLECTIONS_URL}riskyUsers/333"
    headers = {"Authorization": caller.authorization}
    assert caller.get(address).json()["riskDetail"] == "microsoftRevokedSessions"
    assert caller.session.get(address, headers=headers).json()["riskDetail"] == "unknownFutureValue"
    item = caller.session.get(f"{address}/history", headers=headers).json()["value"][0]
    assert (item["riskDetail"], item["activity"]) == (
        "unknownFutureValue",
        {"riskEventTypes": [], "detail": "unknownFutureValue"},
    )


def test_every_answer_has_ids_and_the_clients_own_is_echoed(caller: Caller) -> None:
    own = caller.get("riskyUsers/nobody", headers={"client-request-id": REQUEST_ID})
    without = caller.get("riskyUsers")
    assert (own.headers["client-request-id"], UUID(own.headers["request-id"]).version) == (REQUEST_ID, 5)
    assert without.headers["client-request-id"] == without.headers["request-id"] != own.headers["request-id"]
    assert "Date" in own.headers
    inner = own.json()["error"]["innerError"]
    assert (inner["request-id"], inner["client-request-id"]) == (own.headers["request-id"], REQUEST_ID)


def test_history_is_read_whole_and_by_item(caller: Caller, tenant: Tenant) -> None:
    items = tenant.history[ADELE_ID]
    assert caller.get(f"riskyUsers/{ADELE_ID}/history").json() == {
        "@odata.context": f"{GRAPH}/v1.0/$metadata#riskyUsers('{ADELE_ID}')/history",
        "value": [{name: item[name] for name in ENTITY_TYPES["riskyUsers/history"].properties} for item in items],
    }
    context = {"@odata.context": f"{GRAPH}/v1.0/$metadata#riskyUsers('{ADELE_ID}')/history/$entity"}
    assert caller.get(f"riskyUsers/{ADELE_ID}/history/{items[2]['id']}").json() == context | items[2]
    assert caller.walk(f"riskyUsers/{ADELE_ID}/history", top=2) == [[items[0]["id"], items[1]["id"]], [items[2]["id"]]]


def test_a_sign_in_is_read_by_its_id(caller: Caller, tenant: Tenant) -> None:
    row = tenant.add_sign_in(id="0d9e8c1a-55b7-4f6c-8a2d-9b1e3c7f4a00", userId=ADELE_ID)
    answer = caller.get(f"{GRAPH}/v1.0/auditlogs/signins/{row['id']}").json()
    policies = row.pop("appliedConditionalAccessPolicies")
    context = {"@odata.context": f"{GRAPH}/v1.0/$metadata#auditLogs/signIns/$entity"}
    assert (answer, policies) == (context | row, [])
    assert (row["userPrincipalName"], row["status"]["errorCode"]) == ("adele.vance@contoso.example", 0)
    assert error_of(caller.get(f"{SIGN_INS_URL}/{ADELE_ID}")) == (
        404,
        "ResourceNotFound",
        f"Resource '{ADELE_ID}' does not exist.",
    )


def test_workload_identities_are_listed_read_and_have_history(caller: Caller, tenant: Tenant) -> None:
    row_id = next(iter(tenant.service_principals))
    assert len(caller.ids("riskyServicePrincipals", top=500)) == 50
    assert caller.get(f"riskyServicePrincipals/{row_id}").json()["id"] == row_id
    assert caller.ids(f"riskyServicePrincipals/{row_id}/history") == [
        item["id"] for item in tenant.service_principal_history[row_id]
    ]
    item = tenant.service_principal_history[row_id][-1]
    context = {"@odata.context": f"{GRAPH}/v1.0/$metadata#riskyServicePrincipals('{row_id}')/history/$entity"}
    assert caller.get(f"riskyServicePrincipals/{row_id}/history/{item['id']}").json() == context | item
    assert caller.get(f"riskyServicePrincipals/{row_id}/history/nothing").status_code == 404
    detections = tenant.service_principal_detections.values()
    owned = [row["id"] for row in detections if row["servicePrincipalId"] == row_id]
    question = {"filter": f"servicePrincipalId eq '{row_id}'", "top": 500}
    assert caller.ids("servicePrincipalRiskDetections", **question) == owned


# Tokens, permissions, roles, licences


@pytest.mark.parametrize(
    ("authorization", "message"),
    [
        ("", "Access token is empty."),
        ("Basic abc", "Access token is empty."),
        ("Bearer forged", "CompactToken validation failed with reason code: 80049228."),
    ],
)
def test_a_request_without_a_good_token_is_refused(caller: Caller, authorization: str, message: str) -> None:
    answer = caller.get("riskyUsers", headers={"Authorization": authorization})
    assert error_of(answer) == (401, "InvalidAuthenticationToken", message)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer realm=")


def test_tokens_end_by_age_and_by_revocation(caller: Caller, simulator: Simulator) -> None:
    simulator.entra.token_lifetime = 0
    caller.renew_token()
    message = "Access token has expired or is not yet valid."
    assert error_of(caller.get("riskyUsers")) == (401, "InvalidAuthenticationToken", message)
    simulator.entra.token_lifetime = 3599
    caller.renew_token()
    simulator.entra.revoke_tokens()
    message = "Lifetime validation failed, the token is expired."
    assert error_of(caller.get("riskyUsers")) == (401, "InvalidAuthenticationToken", message)
    caller.renew_token()
    assert caller.get("riskyUsers").status_code == 200


def test_a_token_of_another_audience_is_refused(caller: Caller, simulator: Simulator) -> None:
    simulator.entra.claims(caller.authorization.partition(" ")[2])["aud"] = "https://management.azure.com"
    assert status_and_code(caller.get("riskyUsers")) == (401, "InvalidAuthenticationToken")


NEEDED = {
    "riskyUsers": {READ_USERS},
    "riskyUsers/$count": {READ_USERS},
    "riskyUsers/333/history": {READ_USERS, CHANGE_USERS},
    "riskDetections": {READ_DETECTIONS},
    "riskyServicePrincipals": {READ_WORKLOADS, CHANGE_WORKLOADS},
    "riskyServicePrincipals/$count": {READ_WORKLOADS, CHANGE_WORKLOADS},
    "servicePrincipalRiskDetections": {READ_DETECTIONS},
}


@pytest.mark.parametrize("path", NEEDED)
def test_a_read_takes_exactly_the_permissions_of_the_contract(caller: Caller, tenant: Tenant, path: str) -> None:
    enough = set()
    for permission in PERMISSIONS:
        tenant.apps[CLIENT_ID].application_permissions = {permission}
        caller.renew_token()
        answer = caller.get(path)
        if answer.status_code == 200:
            enough.add(permission)
        else:
            message = "You cannot perform the requested operation, required scopes are missing in the token."
            assert error_of(answer) == (403, "Forbidden", message)
    assert enough == NEEDED[path]


def test_a_token_without_any_permission_is_issued_and_refused_by_graph(caller: Caller, tenant: Tenant) -> None:
    tenant.apps[CLIENT_ID].application_permissions = set()
    caller.renew_token()
    answer = caller.get("riskyUsers")
    assert status_and_code(answer) == (403, "Forbidden")


def test_an_action_takes_the_write_permission(caller: Caller, tenant: Tenant) -> None:
    tenant.apps[CLIENT_ID].application_permissions = set(PERMISSIONS) - {CHANGE_USERS}
    caller.renew_token()
    assert status_and_code(caller.post("riskyUsers/dismiss", {"userIds": ["333"]})) == (403, "Forbidden")
    tenant.apps[CLIENT_ID].application_permissions = {CHANGE_USERS}
    caller.renew_token()
    assert caller.post("riskyUsers/dismiss", {"userIds": ["333"]}).status_code == 204


def grant(caller: Caller, tenant: Tenant, *permissions: str) -> None:
    """Let the caller go on with these permissions alone."""
    tenant.apps[CLIENT_ID].application_permissions = set(permissions)
    caller.renew_token()


MISSING = "Calling principal does not have required MSGraph permissions {}"
MISSING_CODE = "Authentication_MSGraphPermissionMissing"


def test_the_log_is_read_with_one_of_two_permissions(caller: Caller, tenant: Tenant) -> None:
    enough = set()
    for permission in (*PERMISSIONS, "Directory.Read.All", "Directory.ReadWrite.All"):
        grant(caller, tenant, permission)
        answer = caller.get(SIGN_INS_URL)
        if answer.status_code == 200:
            enough.add(permission)
        else:
            assert error_of(answer) == (403, MISSING_CODE, MISSING.format(READ_SIGN_INS))
    assert enough == {READ_SIGN_INS, "Directory.Read.All"}


def test_an_app_and_a_person_need_different_permissions_for_a_verdict_on_a_sign_in(
    caller: Caller, simulator: Simulator, tenant: Tenant
) -> None:
    first, second = (tenant.add_sign_in()["id"] for _ in range(2))
    grant(caller, tenant, CHANGE_USERS)
    assert error_of(caller.judge("confirmSafe", first)) == (403, MISSING_CODE, MISSING.format(CHANGE_SIGN_INS))
    grant(caller, tenant, CHANGE_SIGN_INS)
    assert caller.judge("confirmSafe", first).status_code == 204
    for permission in (CHANGE_SIGN_INS, CHANGE_USERS):
        token = signed_in_by_device_code(caller.session, simulator, permission)["access_token"]
        caller.authorization = f"Bearer {token}"
        answer = caller.judge("confirmSafe", second)
        if permission == CHANGE_USERS:
            assert answer.status_code == 204
        else:
            assert error_of(answer) == (403, MISSING_CODE, MISSING.format(CHANGE_USERS))


@pytest.mark.parametrize(
    ("role", "read", "write"),
    [
        ("Reports Reader", 200, 403),
        ("Security Operator", 200, 403),
        ("Security Administrator", 200, 204),
        ("Conditional Access Administrator", 403, 403),
    ],
)
def test_a_person_needs_a_role_for_the_log_too(
    caller: Caller, simulator: Simulator, tenant: Tenant, role: str, read: int, write: int
) -> None:
    tenant.user_roles = {role}
    token = signed_in_by_device_code(caller.session, simulator, READ_USERS, CHANGE_USERS)["access_token"]
    caller.authorization = f"Bearer {token}"
    sign_in = tenant.add_sign_in()["id"]
    assert (caller.get(SIGN_INS_URL).status_code, caller.judge("confirmSafe", sign_in).status_code) == (read, write)


def test_policies_are_shown_only_to_those_who_may_read_policies(
    caller: Caller, simulator: Simulator, tenant: Tenant
) -> None:
    name, permission = "appliedConditionalAccessPolicies", "Policy.Read.ConditionalAccess"
    sign_in = tenant.add_sign_in()["id"]
    address = f"{SIGN_INS_URL}/{sign_in}"
    shown = {}
    for policy in ("Policy.Read.All", permission, "Policy.ReadWrite.ConditionalAccess", READ_USERS):
        grant(caller, tenant, READ_SIGN_INS, policy)
        shown[policy] = name in caller.get(address).json()
    assert [policy for policy in shown if not shown[policy]] == [READ_USERS]
    assert sorted(caller.get(address, select=f"id,{name}").json()) == ["@odata.context", "id"]
    tenant.apps[XSOAR_CLIENT_ID].delegated_permissions |= {permission}
    for role, is_shown in (("Security Reader", True), ("Security Operator", False)):
        tenant.user_roles = {role}
        token = signed_in_by_device_code(caller.session, simulator, permission)["access_token"]
        answer = caller.get(address, headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, name in answer.json()) == (200, is_shown)


def test_without_a_premium_licence_there_is_no_log(caller: Caller, tenant: Tenant) -> None:
    tenant.licence, tenant.hide_unlicensed = "Free", True
    assert error_of(caller.get(SIGN_INS_URL)) == (
        403,
        "Authentication_RequestFromNonPremiumTenantOrB2CTenant",
        "Neither tenant is B2C or tenant doesn't have premium license",
    )


def test_under_p1_the_risk_of_a_sign_in_is_hidden_but_for_its_state(caller: Caller, tenant: Tenant) -> None:
    tenant.licence = "P1"
    events = ["newCountry", "leakedCredentials"]
    sign_in = tenant.add_sign_in(riskState="atRisk", riskLevelDuringSignIn="low", riskEventTypes_v2=events)["id"]
    row = caller.get(f"{SIGN_INS_URL}/{sign_in}").json()
    hidden = ("riskLevelDuringSignIn", "riskLevelAggregated", "riskDetail")
    assert ([row[name] for name in hidden], row["riskState"]) == (["hidden"] * 3, "atRisk")
    assert row["riskEventTypes_v2"] == row["riskEventTypes"] == ["generic", "leakedCredentials"]
    assert caller.ids(SIGN_INS_URL, filter="riskLevelDuringSignIn eq 'low'") == []


@pytest.mark.parametrize(
    ("licence", "path", "status"),
    [
        ("P2", "riskyUsers", 200),
        ("P1", "riskyUsers", 403),
        ("P1", "riskDetections", 200),
        ("Free", "riskDetections", 403),
    ],
)
def test_each_licence_opens_what_it_covers(
    caller: Caller, tenant: Tenant, licence: str, path: str, status: int
) -> None:
    tenant.licence = licence
    answer = caller.get(path)
    assert answer.status_code == status
    if status == 403:
        assert error_of(answer) == (403, "Forbidden", "Your tenant is not licensed for this feature.")


def test_under_p1_premium_detections_are_generic_and_levels_hidden(caller: Caller, tenant: Tenant) -> None:
    tenant.licence = "P1"
    premium, plain = caller.get("riskDetections/6565").json(), caller.get("riskDetections", top=500).json()["value"]
    assert (premium["riskEventType"], premium["riskLevel"], premium["riskDetail"]) == ("generic", "hidden", "hidden")
    assert {row["riskEventType"] for row in plain} == {"generic", "anonymizedIPAddress", "leakedCredentials"}
    assert caller.ids("riskDetections", filter="riskLevel eq 'high'") == []


def risk_of(row: Row) -> tuple[str, str, str]:
    return row["riskLevel"], row["riskState"], row["riskDetail"]


def test_unlicensed_rows_are_refused_or_else_hidden(caller: Caller, tenant: Tenant) -> None:
    tenant.workload_licence = False
    assert status_and_code(caller.get("servicePrincipalRiskDetections")) == (403, "Forbidden")
    tenant.hide_unlicensed, tenant.licence = True, "Free"
    assert {risk_of(row)[::2] for row in caller.get("riskyUsers", top=500).json()["value"]} == {("hidden", "hidden")}
    assert {row["riskLevel"] for row in caller.get("riskyServicePrincipals").json()["value"]} == {"hidden"}


# Signing in as an app


def test_an_apps_token_says_what_it_may(caller: Caller) -> None:
    answer = caller.sign_in().json()
    payload = answer.pop("access_token").split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    assert answer == {"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599}
    assert (claims["aud"], claims["appid"], claims["tid"], claims["idtyp"]) == (GRAPH, CLIENT_ID, TENANT_ID, "app")
    assert (claims["roles"], claims["exp"] - claims["iat"]) == (sorted(PERMISSIONS), 3599)


@pytest.mark.parametrize(
    ("form", "refused"),
    [
        ({"client_secret": "wrong"}, (401, "invalid_client", [7000215])),
        ({"client_secret": ""}, (401, "invalid_client", [7000218])),
        ({"client_secret": "(none)"}, (401, "invalid_client", [7000218])),
        ({"client_id": "nobody"}, (400, "unauthorized_client", [700016])),
        ({"client_id": "(none)"}, (400, "invalid_request", [900144])),
        ({"scope": f"{GRAPH}/IdentityRiskyUser.Read.All"}, (400, "invalid_scope", [70011])),
        ({"scope": "https://graph.microsoft.us/.default"}, (400, "invalid_resource", [500011])),
        ({"grant_type": "password"}, (400, "unsupported_grant_type", [70003])),
        ({"resource": GRAPH}, (400, "invalid_request", [9000411])),
        ({"claims": ""}, (400, "invalid_request", [9000410])),
        ({"claims": "{"}, (400, "invalid_request", [9000410])),
        ({"claims": "[]"}, (400, "invalid_request", [9000410])),
        ({"claims": '{"xms_cc":{"values":["CP1"]}}'}, (400, "invalid_request", [9000410])),
        ({"claims": '{"access_token":["xms_cc"]}'}, (400, "invalid_request", [9000410])),
        ({"claims": '{"access_token":{"xms_cc":"CP1"}}'}, (400, "invalid_request", [9000410])),
    ],
)
def test_a_sign_in_with_something_wrong_is_refused(
    caller: Caller, form: dict[str, str], refused: tuple[int, str, list[int]]
) -> None:
    assert refused_sign_in(caller.sign_in(**form)) == refused


def test_a_sign_in_error_has_entras_shape(caller: Caller) -> None:
    body = caller.sign_in(client_secret="wrong").json()
    assert sorted(body) == [
        "correlation_id",
        "error",
        "error_codes",
        "error_description",
        "error_uri",
        "timestamp",
        "trace_id",
    ]
    lines = body["error_description"].split("\r\n")
    assert [line.partition(":")[0] for line in lines] == ["AADSTS7000215", "Trace ID", "Correlation ID", "Timestamp"]
    assert CLIENT_SECRET not in str(body)


def test_an_unknown_tenant_is_not_found(session: requests.Session) -> None:
    document = session.get(f"{LOGIN}/fabrikam.example/v2.0/.well-known/openid-configuration")
    assert refused_sign_in(document) == (400, "invalid_tenant", [90002])
    token = session.post(f"{LOGIN}/fabrikam.example/oauth2/v2.0/token", data={"grant_type": "client_credentials"})
    assert refused_sign_in(token) == (400, "invalid_request", [90002])


def test_the_discovery_document_names_the_tenant_by_its_id(session: requests.Session) -> None:
    document = session.get(f"{LOGIN}/contoso.example/v2.0/.well-known/openid-configuration").json()
    assert document["token_endpoint"] == f"{LOGIN}/{TENANT_ID}/oauth2/v2.0/token"
    assert document["issuer"] == f"{LOGIN}/{TENANT_ID}/v2.0"
    assert document["jwks_uri"] == f"{LOGIN}/{TENANT_ID}/discovery/v2.0/keys"


def test_a_token_is_signed_with_the_key_that_the_discovery_document_leads_to(
    caller: Caller, session: requests.Session
) -> None:
    discovery = session.get(f"{LOGIN}/{TENANT_ID}/v2.0/.well-known/openid-configuration").json()
    (key,) = session.get(discovery["jwks_uri"]).json().pop("keys")
    facts = {name: key[name] for name in ("kty", "use", "issuer")}
    assert facts == {"kty": "RSA", "use": "sig", "issuer": discovery["issuer"]}
    assert sorted(set(key) - set(facts)) == ["e", "kid", "n"]
    token = caller.app_token()
    assert jwt.get_unverified_header(token) == {"alg": "RS256", "kid": key["kid"], "typ": "JWT"}
    assert jwt.decode(token, jwt.PyJWK(key).key, ["RS256"], audience=GRAPH)["appid"] == CLIENT_ID
    forged = token[:-8] + "AAAAAAAA"
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(forged, jwt.PyJWK(key).key, ["RS256"], audience=GRAPH)


def test_the_keys_of_an_unknown_tenant_are_not_found(session: requests.Session) -> None:
    keys = session.get(f"{LOGIN}/fabrikam.example/discovery/v2.0/keys")
    assert refused_sign_in(keys) == (400, "invalid_tenant", [90002])


def test_a_parameter_that_comes_twice_is_refused(session: requests.Session, simulator: Simulator) -> None:
    data = [("grant_type", "client_credentials"), ("grant_type", "client_credentials")]
    answer = session.post(f"{LOGIN}/{TENANT_ID}/oauth2/v2.0/token", data=data)
    assert refused_sign_in(answer) == (400, "invalid_request", [9000411])
    assert simulator.requests[-1].repeated == ("grant_type",)


def test_the_login_host_knows_only_itself(session: requests.Session) -> None:
    (metadata,) = session.get(f"{LOGIN}/common/discovery/instance").json()["metadata"]
    assert metadata == {
        "preferred_network": LOGIN_HOST,
        "preferred_cache": LOGIN_HOST,
        "aliases": [LOGIN_HOST],
    }


def confidential(session: requests.Session, credential: Any) -> msal.ConfidentialClientApplication:
    return msal.ConfidentialClientApplication(
        CLIENT_ID,
        credential,
        authority=f"{LOGIN}/{TENANT_ID}",
        http_client=session,
        instance_discovery=False,
    )


def test_msal_signs_in_by_secret(session: requests.Session) -> None:
    answer = confidential(session, CLIENT_SECRET).acquire_token_for_client([f"{GRAPH}/.default"])
    assert sorted(answer) == ["access_token", "expires_in", "ext_expires_in", "token_source", "token_type"]


CAPABLE = '{"access_token": {"xms_cc": {"values": ["CP1"]}}}'


def test_msal_may_say_what_the_client_is_capable_of(session: requests.Session, simulator: Simulator) -> None:
    common = {"http_client": session, "instance_discovery": False, "client_capabilities": ["CP1"]}
    app = msal.ConfidentialClientApplication(CLIENT_ID, CLIENT_SECRET, authority=f"{LOGIN}/{TENANT_ID}", **common)
    assert "access_token" in app.acquire_token_for_client([f"{GRAPH}/.default"])
    person = msal.PublicClientApplication(XSOAR_CLIENT_ID, authority=f"{LOGIN}/organizations", **common)
    flow = person.initiate_device_flow(READ_SCOPES)
    simulator.entra.approve(flow["user_code"])
    assert "refresh_token" in person.acquire_token_by_device_flow(flow, exit_condition=lambda _: True)
    (account,) = person.get_accounts()
    assert "access_token" in person.acquire_token_silent(READ_SCOPES, account, force_refresh=True)
    posted = [request for request in simulator.login_requests if request.method == "POST"]
    assert [request.form.get("grant_type", "(device code)") for request in posted] == [
        "client_credentials",
        "(device code)",
        DEVICE_CODE,
        "refresh_token",
    ]
    assert [request.form["claims"] for request in posted] == [CAPABLE] * 4


def test_a_device_code_is_not_given_for_claims_that_cannot_be_read(session: requests.Session) -> None:
    form = {"client_id": XSOAR_CLIENT_ID, "scope": READ_SCOPES[0], "claims": "CP1"}
    answer = session.post(f"{LOGIN}/{TENANT_ID}/oauth2/v2.0/devicecode", data=form)
    assert refused_sign_in(answer) == (400, "invalid_request", [9000410])


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    return Certificate()


def test_msal_signs_in_by_certificate(session: requests.Session, tenant: Tenant, certificate: Certificate) -> None:
    sha1, sha256 = (certificate.thumbprint(algorithm) for algorithm in (hashes.SHA1(), hashes.SHA256()))
    tenant.apps[CLIENT_ID].certificates = {sha1: certificate.public_key(), sha256: certificate.pem}
    for name in ({"thumbprint": sha1}, {"public_certificate": certificate.pem}):
        app = confidential(session, {"private_key": certificate.private_key} | name)
        assert "access_token" in app.acquire_token_for_client([f"{GRAPH}/.default"])


def test_an_assertion_of_another_key_is_refused(
    session: requests.Session, tenant: Tenant, certificate: Certificate
) -> None:
    thumbprint = certificate.thumbprint(hashes.SHA1())
    app = confidential(session, {"private_key": Certificate().private_key, "thumbprint": thumbprint})
    tenant.apps[CLIENT_ID].certificates = {thumbprint: certificate.pem}
    assert app.acquire_token_for_client([f"{GRAPH}/.default"])["error_codes"] == [700027]
    tenant.apps[CLIENT_ID].certificates = {thumbprint: ""}
    other = confidential(session, {"private_key": certificate.private_key, "thumbprint": thumbprint})
    assert "access_token" in other.acquire_token_for_client([f"{GRAPH}/.default"])


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"aud": f"{LOGIN}/fabrikam.example/oauth2/v2.0/token"}, 700027),
        ({"iss": "nobody"}, 700027),
        ({"sub": "nobody"}, 700027),
        ({"exp": 1}, 700024),
        ({"jti": None}, 700027),
    ],
)
def test_an_assertion_with_a_wrong_claim_is_refused(
    caller: Caller, tenant: Tenant, certificate: Certificate, claims: Row, code: int
) -> None:
    thumbprint = certificate.x509.fingerprint(hashes.SHA1())
    tenant.apps[CLIENT_ID].certificates = {thumbprint.hex(): certificate.pem}
    good = {"aud": f"{LOGIN}/{TENANT_ID}/oauth2/v2.0/token", "iss": CLIENT_ID, "sub": CLIENT_ID, "jti": "1"}
    wrong = {name: value for name, value in (good | {"exp": time.time() + 600} | claims).items() if value is not None}
    header = {"x5t": base64.urlsafe_b64encode(thumbprint).decode()}
    answer = caller.sign_in(
        client_secret="(none)",
        client_assertion_type="urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        client_assertion=jwt.encode(wrong, certificate.private_key, "RS256", header),
    )
    assert answer.json()["error_codes"] == [code]


# Device code


def public(session: requests.Session, client_id: str = XSOAR_CLIENT_ID) -> msal.PublicClientApplication:
    authority = f"{LOGIN}/organizations"
    return msal.PublicClientApplication(client_id, authority=authority, http_client=session, instance_discovery=False)


def poll(app: msal.PublicClientApplication, flow: Row) -> Row:
    answer: Row = app.acquire_token_by_device_flow({"device_code": flow["device_code"]}, exit_condition=lambda _: True)
    return answer


def test_msal_signs_in_by_device_code_and_refreshes(session: requests.Session, simulator: Simulator) -> None:
    app = public(session)
    flow = app.initiate_device_flow(READ_SCOPES)
    assert (poll(app, flow)["error"], flow["interval"], flow["expires_in"]) == ("authorization_pending", 5, 900)
    simulator.entra.approve(flow["user_code"])
    signed_in = poll(app, flow)
    assert signed_in["scope"].split() == [*READ_SCOPES, "openid", "profile"]
    (account,) = app.get_accounts()
    assert account["username"] == "analyst@contoso.example"
    assert app.acquire_token_silent(READ_SCOPES, account)["access_token"] == signed_in["access_token"]
    refreshed = app.acquire_token_silent(READ_SCOPES, account, force_refresh=True)
    assert len({signed_in[name] for name in ("access_token", "refresh_token")} & set(map(str, refreshed.values()))) == 0
    answer = session.get(
        f"{COLLECTIONS_URL}riskyUsers", headers={"Authorization": f"Bearer {refreshed['access_token']}"}
    )
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("end", "error"), [("decline", "authorization_declined"), ("expire", "expired_token"), ("approve", "invalid_grant")]
)
def test_a_device_code_ends_declined_expired_or_used(
    session: requests.Session, simulator: Simulator, end: str, error: str
) -> None:
    app = public(session)
    flow = app.initiate_device_flow(READ_SCOPES)
    getattr(simulator.entra, end)(flow["user_code"])
    if end == "approve":
        poll(app, flow)
    assert poll(public(session), flow)["error"] == error
    with pytest.raises(KeyError):
        simulator.entra.approve(flow["user_code"])


def test_a_device_code_expires_by_itself(session: requests.Session, simulator: Simulator) -> None:
    simulator.entra.device_code_lifetime = 0
    app = public(session)
    assert poll(app, app.initiate_device_flow(READ_SCOPES))["error_codes"] == [70019]


def test_scopes_are_of_this_clouds_graph(session: requests.Session) -> None:
    answer = public(session).initiate_device_flow(["https://graph.microsoft.us/IdentityRiskEvent.Read.All"])
    assert answer["error_codes"] == [500011]


def signed_in_by_device_code(session: requests.Session, simulator: Simulator, *permissions: str) -> Row:
    app = public(session)
    flow = app.initiate_device_flow([f"{GRAPH}/{permission}" for permission in permissions])
    simulator.entra.approve(flow["user_code"])
    return poll(app, flow)


def test_all_that_was_consented_to_can_be_asked_for_at_once(session: requests.Session, simulator: Simulator) -> None:
    answer = signed_in_by_device_code(session, simulator, ".default")
    claims = simulator.entra.claims(answer["access_token"])
    assert claims["scp"].split() == sorted([*PERMISSIONS, "User.Read"])
    assert (claims["idtyp"], claims["oid"]) == ("user", simulator.tenant.signed_in_user)


def test_a_token_also_bears_some_that_was_not_asked_for_but_consented_to(
    session: requests.Session, simulator: Simulator, tenant: Tenant
) -> None:
    def scopes() -> list[str]:
        answer = signed_in_by_device_code(session, simulator, READ_USERS)
        return list(simulator.entra.claims(answer["access_token"])["scp"].split())

    assert scopes() == [READ_SIGN_INS, READ_USERS, "User.ReadBasic.All"]
    tenant.apps[XSOAR_CLIENT_ID].delegated_permissions -= {READ_SIGN_INS}
    assert scopes() == [READ_USERS, "User.ReadBasic.All"]


def test_a_refresh_cannot_widen_what_was_consented_to(
    session: requests.Session, simulator: Simulator, tenant: Tenant
) -> None:
    token = signed_in_by_device_code(session, simulator, READ_USERS)["refresh_token"]
    tenant.apps[XSOAR_CLIENT_ID].delegated_permissions = {READ_USERS}
    form = {"grant_type": "refresh_token", "client_id": XSOAR_CLIENT_ID, "refresh_token": token}
    address = f"{LOGIN}/organizations/oauth2/v2.0/token"
    assert session.post(address, data=form).status_code == 200
    wider = session.post(address, data=form | {"scope": f"{GRAPH}/{CHANGE_USERS}"})
    assert refused_sign_in(wider) == (400, "invalid_grant", [65001])
    foreign = session.post(address, data=form | {"client_id": CLIENT_ID})
    assert refused_sign_in(foreign) == (400, "invalid_grant", [70000])


def test_an_early_poll_can_be_slowed_down(session: requests.Session, simulator: Simulator) -> None:
    simulator.entra.slow_down = True
    app = public(session)
    flow = app.initiate_device_flow(READ_SCOPES)
    assert [poll(app, flow)["error"] for _ in range(2)] == ["authorization_pending", "slow_down"]


def test_the_interval_is_never_less_than_a_second(session: requests.Session, simulator: Simulator) -> None:
    simulator.entra.interval = 0
    assert public(session).initiate_device_flow(READ_SCOPES)["interval"] == 1


def test_a_device_code_is_for_its_own_app_and_a_public_one(
    session: requests.Session, simulator: Simulator, tenant: Tenant
) -> None:
    tenant.apps[CLIENT_ID].public_client = False
    flow = public(session, CLIENT_ID).initiate_device_flow(READ_SCOPES)
    simulator.entra.approve(flow["user_code"])
    assert poll(public(session, CLIENT_ID), flow)["error_codes"] == [7000218]
    assert poll(public(session), flow)["error_codes"] == [70018]
    assert poll(public(session), {"device_code": "made up"})["error_codes"] == [70018]


def test_a_permission_that_was_not_consented_to_is_refused(
    session: requests.Session, simulator: Simulator, tenant: Tenant
) -> None:
    tenant.apps[XSOAR_CLIENT_ID].delegated_permissions = {"IdentityRiskEvent.Read.All"}
    app = public(session)
    flow = app.initiate_device_flow(READ_SCOPES)
    simulator.entra.approve(flow["user_code"])
    assert poll(app, flow)["error_codes"] == [65001]


@pytest.mark.parametrize(
    ("role", "read", "write"),
    [
        ("Security Reader", 200, 403),
        ("Security Operator", 200, 403),
        ("Global Reader", 200, 403),
        ("Security Administrator", 200, 204),
        ("User Administrator", 403, 403),
    ],
)
def test_a_person_needs_a_role_beside_the_permission(
    caller: Caller, simulator: Simulator, tenant: Tenant, role: str, read: int, write: int
) -> None:
    tenant.user_roles = {role}
    token = signed_in_by_device_code(caller.session, simulator, READ_USERS, CHANGE_USERS)["access_token"]
    caller.authorization = f"Bearer {token}"
    answers = caller.get("riskyUsers"), caller.post("riskyUsers/dismiss", {"userIds": ["333"]})
    assert [answer.status_code for answer in answers] == [read, write]
    if read == 403:
        message = "Insufficient privileges to complete the operation."
        assert error_of(answers[0]) == (403, "Authorization_RequestDenied", message)


@pytest.mark.parametrize("code", [700082, 50173])
def test_a_dead_refresh_token_says_how_it_died(session: requests.Session, simulator: Simulator, code: int) -> None:
    old = signed_in_by_device_code(session, simulator, READ_USERS)["refresh_token"]
    simulator.entra.kill_refresh_tokens(code)
    form = {"grant_type": "refresh_token", "client_id": XSOAR_CLIENT_ID, "refresh_token": old}
    answer = session.post(f"{LOGIN}/organizations/oauth2/v2.0/token", data=form)
    assert refused_sign_in(answer) == (400, "invalid_grant", [code])


def test_an_app_cannot_sign_in_without_naming_its_tenant(session: requests.Session) -> None:
    form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    answer = session.post(f"{LOGIN}/organizations/oauth2/v2.0/token", data=form)
    assert refused_sign_in(answer) == (400, "invalid_request", [9001023])


def test_the_form_of_each_grant_holds_nothing_else(session: requests.Session) -> None:
    form = {"grant_type": DEVICE_CODE, "client_id": CLIENT_ID, "device_code": "1", "client_secret": CLIENT_SECRET}
    answer = session.post(f"{LOGIN}/{TENANT_ID}/oauth2/v2.0/token", data=form)
    assert refused_sign_in(answer) == (400, "invalid_request", [9000411])


# Managed identity


def machine_identity(session: requests.Session, client_id: str = "") -> Row:
    chosen: Any = msal.SystemAssignedManagedIdentity()
    if client_id:
        chosen = msal.UserAssignedManagedIdentity(client_id=client_id)
    client = msal.ManagedIdentityClient(chosen, http_client=session)
    answer: Row = client.acquire_token_for_client(resource=GRAPH)
    return answer


def test_msal_signs_in_by_managed_identity(caller: Caller, tenant: Tenant) -> None:
    assigned = next(filter(None, tenant.identities))
    for answer in (machine_identity(caller.session), machine_identity(caller.session, assigned)):
        caller.authorization = f"Bearer {answer['access_token']}"
        assert caller.get("riskyUsers").status_code == 200


def test_a_machine_has_only_its_own_identities(session: requests.Session, tenant: Tenant) -> None:
    not_found = {"error": "invalid_request", "error_description": "Identity not found"}
    assert machine_identity(session, "nobody") == not_found
    tenant.identities.clear()
    assert machine_identity(session) == not_found


def test_the_metadata_service_gives_numbers_as_strings(session: requests.Session) -> None:
    query = {"api-version": "2018-02-01", "resource": GRAPH}
    answer = session.get(IMDS, params=query, headers={"Metadata": "true"}).json()
    numbers = {name: type(answer[name]) for name in ("expires_in", "expires_on", "not_before")}
    assert (set(numbers.values()), answer["resource"], answer["refresh_token"]) == ({str}, GRAPH, "")


@pytest.mark.parametrize(
    ("query", "headers", "error"),
    [
        ({}, {}, "bad_request_102"),
        ({}, {"Metadata": "true", "X-Forwarded-For": "203.0.113.1"}, "bad_request_102"),
        ({"resource": f"{GRAPH}/.default"}, {"Metadata": "true"}, "invalid_request"),
        ({"api-version": "2017-01-01"}, {"Metadata": "true"}, "invalid_request"),
        ({"client_id": "", "object_id": ""}, {"Metadata": "true"}, "invalid_request"),
        ({"scope": "x"}, {"Metadata": "true"}, "invalid_request"),
    ],
)
def test_the_metadata_service_is_strict(
    session: requests.Session, query: dict[str, str], headers: dict[str, str], error: str
) -> None:
    usual = {"api-version": "2018-02-01", "resource": GRAPH}
    answer = session.get(IMDS, params=usual | query, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_msal_signs_in_at_app_service(
    session: requests.Session, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", APP_SERVICE_ENDPOINT)
    monkeypatch.setenv("IDENTITY_HEADER", APP_SERVICE_HEADER)
    assert sorted(machine_identity(session)) == ["access_token", "expires_in", "resource", "token_source", "token_type"]
    monkeypatch.setenv("IDENTITY_HEADER", "wrong")
    assert machine_identity(session)["error_description"].startswith("401, ")
    assert [request.path for request in simulator.identity_requests] == ["/msi/token"] * 2


# Actions


ACTION_CASES = [
    ("riskyUsers", "confirmCompromised", "userIds", ("high", "confirmedCompromised", "adminConfirmedUserCompromised")),
    ("riskyUsers", "confirmSafe", "userIds", ("none", "confirmedSafe", "adminConfirmedAccountSafe")),
    ("riskyUsers", "dismiss", "userIds", ("none", "dismissed", "adminDismissedAllRiskForUser")),
    (
        "riskyServicePrincipals",
        "confirmCompromised",
        "servicePrincipalIds",
        ("high", "confirmedCompromised", "adminConfirmedServicePrincipalCompromised"),
    ),
    (
        "riskyServicePrincipals",
        "dismiss",
        "servicePrincipalIds",
        ("none", "dismissed", "adminDismissedAllRiskForServicePrincipal"),
    ),
]


@pytest.mark.parametrize(("collection", "action", "name", "risk"), ACTION_CASES)
def test_an_action_changes_the_risk_and_leaves_a_history_item(
    caller: Caller, simulator: Simulator, collection: str, action: str, name: str, risk: tuple[str, str, str]
) -> None:
    row_id = ADELE_ID if collection == "riskyUsers" else next(iter(simulator.tenant.service_principals))
    before = caller.get(f"{collection}/{row_id}/history").json()["value"]
    answer = caller.post(f"{collection}/{action}", {name: [row_id]})
    assert (answer.status_code, answer.content) == (204, b"")
    row = caller.get(f"{collection}/{row_id}").json()
    after = caller.get(f"{collection}/{row_id}/history").json()["value"]
    caller_id = simulator.entra.claims(caller.authorization.partition(" ")[2])["oid"]
    assert (risk_of(row), row["isProcessing"], row["riskLastUpdatedDateTime"]) == (risk, False, stamp(NOW))
    assert (risk_of(after[0]), after[0]["initiatedBy"], len(after)) == (risk, caller_id, len(before) + 1)
    assert [risk_of(item) for item in after[1:]] == [risk_of(item) for item in before]


def test_the_newest_history_item_has_the_users_id_and_older_ones_add_their_time(caller: Caller) -> None:
    before = caller.ids(f"riskyUsers/{ADELE_ID}/history")
    caller.post("riskyUsers/dismiss", {"userIds": [ADELE_ID]})
    after = caller.ids(f"riskyUsers/{ADELE_ID}/history")
    moment = ticks(stamp(NOW - timedelta(hours=3.2) + timedelta(minutes=2, microseconds=350_127)))
    assert (before[0], after) == (ADELE_ID, [ADELE_ID, f"{ADELE_ID}{moment}", *before[1:]])


def test_confirming_a_compromise_leaves_a_detection_of_the_user(caller: Caller) -> None:
    event = "adminConfirmedUserCompromised"
    caller.post("riskyUsers/confirmCompromised", {"userIds": [ADELE_ID]})
    left = caller.get("riskDetections", filter=f"riskEventType eq '{event}' and detectedDateTime eq {stamp(NOW)}")
    (detection,) = left.json()["value"]
    assert UUID(detection.pop("id")).version == 5
    assert detection == {
        **dict.fromkeys(("requestId", "correlationId", "ipAddress", "location")),
        **dict.fromkeys(("activityDateTime", "detectedDateTime", "lastUpdatedDateTime"), stamp(NOW)),
        "userId": ADELE_ID,
        "userDisplayName": "Adele Vance",
        "userPrincipalName": "adele.vance@contoso.example",
        "riskEventType": event,
        "riskLevel": "high",
        "riskState": "confirmedCompromised",
        "riskDetail": event,
        "detectionTimingType": "offline",
        "activity": "user",
        "source": "IdentityProtection",
        "tokenIssuerType": "AzureAD",
        "additionalInfo": "[]",
    }


def test_confirming_a_compromise_leaves_a_detection_of_the_service_principal(caller: Caller, tenant: Tenant) -> None:
    row_id, row = next(iter(tenant.service_principals.items()))
    caller.post("riskyServicePrincipals/confirmCompromised", {"servicePrincipalIds": [row_id]})
    left = caller.get(
        "servicePrincipalRiskDetections",
        filter=f"servicePrincipalId eq '{row_id}' and detectedDateTime eq {stamp(NOW)}",
        select="servicePrincipalId,servicePrincipalDisplayName,appId,riskEventType,riskState,riskDetail,activity,keyIds",
    )
    assert left.json()["value"] == [
        {
            "servicePrincipalId": row_id,
            "servicePrincipalDisplayName": row["displayName"],
            "appId": row["appId"],
            "riskEventType": "adminConfirmedServicePrincipalCompromised",
            "riskState": "confirmedCompromised",
            "riskDetail": "adminConfirmedServicePrincipalCompromised",
            "activity": "servicePrincipal",
            "keyIds": [],
        }
    ]


def test_an_actions_effect_is_seen_only_after_some_reads(caller: Caller, tenant: Tenant) -> None:
    tenant.processing_reads = 2
    caller.post("riskyUsers/dismiss", {"userIds": [ADELE_ID]})
    states = []
    for read in (f"riskyUsers/{ADELE_ID}", "riskyUsers/333", f"riskyUsers?$filter=id eq '{ADELE_ID}'"):
        body = caller.get(read).json()
        row = body.get("value", [body])[0]
        states.append((row["riskState"], row["isProcessing"]))
    states += [(row["riskState"], row["isProcessing"]) for row in [caller.get(f"riskyUsers/{ADELE_ID}").json()]]
    assert states == [("atRisk", True), ("remediated", False), ("atRisk", True), ("dismissed", False)]
    assert len(tenant.history[ADELE_ID]) == 4


def sign_in_risk(row: Row) -> tuple[str, str, str, str]:
    return row["riskLevelDuringSignIn"], row["riskLevelAggregated"], row["riskState"], row["riskDetail"]


@pytest.fixture
def risky(tenant: Tenant) -> tuple[Row, Row]:
    """The only sign-in of a user at risk, and its detection."""
    user = tenant.add_user(id="u-1", riskLevel="medium")
    sign_in = tenant.add_sign_in(
        userId=user["id"], riskLevelDuringSignIn="low", riskLevelAggregated="medium", riskState="atRisk"
    )
    detection = tenant.arrive(userId=user["id"], requestId=sign_in["id"], riskLevel="medium", detected=NOW)
    tenant.clock = NOW + timedelta(minutes=5)
    return sign_in, detection


SIGN_IN_VERDICTS = [
    (
        "confirmCompromised",
        ("low", "high", "confirmedCompromised", "adminConfirmedSigninCompromised"),
        ("high", "atRisk", "adminConfirmedSigninCompromised"),
    ),
    (
        "confirmSafe",
        ("low", "none", "confirmedSafe", "adminConfirmedSigninSafe"),
        ("none", "confirmedSafe", "adminConfirmedSigninSafe"),
    ),
    (
        "dismiss",
        ("low", "none", "dismissed", "adminDismissedRiskForSignIn"),
        ("none", "dismissed", "adminDismissedRiskForSignIn"),
    ),
]


@pytest.mark.parametrize(("verdict", "of_sign_in", "of_user"), SIGN_IN_VERDICTS)
def test_a_verdict_on_a_sign_in_changes_it_its_detections_and_its_user(
    caller: Caller,
    simulator: Simulator,
    risky: tuple[Row, Row],
    verdict: str,
    of_sign_in: tuple[str, ...],
    of_user: tuple[str, ...],
) -> None:
    sign_in, detection = risky
    answer = caller.judge(verdict, sign_in["id"])
    assert (answer.status_code, answer.content) == (204, b"")
    assert sign_in_risk(caller.get(f"{SIGN_INS_URL}/{sign_in['id']}").json()) == of_sign_in
    after = caller.get(f"riskDetections/{detection['id']}").json()
    assert (risk_of(after), after["lastUpdatedDateTime"]) == (
        ("medium", *of_sign_in[2:]),
        stamp(NOW + timedelta(minutes=5)),
    )
    assert risk_of(caller.get("riskyUsers/u-1").json()) == of_user
    newest, *_ = caller.get("riskyUsers/u-1/history").json()["value"]
    caller_id = simulator.entra.claims(caller.authorization.partition(" ")[2])["oid"]
    assert (risk_of(newest), newest["initiatedBy"]) == (of_user, caller_id)


def test_other_detections_keep_the_user_at_risk_after_a_verdict_on_a_sign_in(
    caller: Caller, tenant: Tenant, risky: tuple[Row, Row]
) -> None:
    sign_in, _ = risky
    tenant.arrive(userId="u-1", riskLevel="low", detected=NOW)
    caller.judge("dismiss", sign_in["id"])
    assert risk_of(caller.get("riskyUsers/u-1").json()) == ("low", "atRisk", "none")


def test_a_verdict_can_be_passed_on_a_sign_in_without_risk_but_for_a_dismissal(caller: Caller, tenant: Tenant) -> None:
    account = list(tenant.directory)[-1]
    plain, other = (tenant.add_sign_in(userId=account)["id"] for _ in range(2))
    refused = f"These requestIds do not exist in your tenant or they are not risky: {plain}."
    assert error_of(caller.judge("dismiss", plain)) == (400, "BadRequest", refused)
    assert caller.judge("confirmSafe", plain).status_code == 204
    assert caller.get(f"{SIGN_INS_URL}/{plain}").json()["riskState"] == "confirmedSafe"
    assert caller.get(f"riskyUsers/{account}").status_code == 404
    assert caller.judge("confirmCompromised", other).status_code == 204
    assert risk_of(caller.get(f"riskyUsers/{account}").json()) == (
        "high",
        "atRisk",
        "adminConfirmedSigninCompromised",
    )


def test_one_unknown_request_id_refuses_the_whole_verdict(caller: Caller, risky: tuple[Row, Row]) -> None:
    sign_in, _ = risky
    refused = "These requestIds do not exist in your tenant or they are not risky: nothing."
    assert error_of(caller.judge("confirmSafe", sign_in["id"], "nothing")) == (400, "BadRequest", refused)
    assert caller.get(f"{SIGN_INS_URL}/{sign_in['id']}").json()["riskState"] == "atRisk"
    assert status_and_code(caller.post(f"{SIGN_INS_URL}/dismiss", {"userIds": [sign_in["id"]]})) == BAD_REQUEST


def test_a_verdict_on_a_sign_in_is_seen_only_after_some_reads(
    caller: Caller, tenant: Tenant, risky: tuple[Row, Row]
) -> None:
    sign_in, _ = risky
    tenant.processing_reads = 1
    caller.judge("dismiss", sign_in["id"])
    states = [caller.get(f"{SIGN_INS_URL}/{sign_in['id']}").json()["riskState"] for _ in range(2)]
    assert states == ["atRisk", "dismissed"]


@pytest.mark.parametrize(
    ("verdict", "level", "state", "detail"),
    [
        ("dismiss", "none", "dismissed", "adminDismissedAllRiskForUser"),
        ("confirmSafe", "none", "confirmedSafe", "adminConfirmedAccountSafe"),
        ("confirmCompromised", "medium", "confirmedCompromised", "adminConfirmedUserCompromised"),
    ],
)
def test_a_verdict_on_a_user_settles_what_was_open_of_the_user(
    caller: Caller, tenant: Tenant, risky: tuple[Row, Row], verdict: str, level: str, state: str, detail: str
) -> None:
    sign_in, detection = risky
    settled = tenant.add_sign_in(userId="u-1", riskState="remediated")
    others = tenant.add_sign_in(userId=ADELE_ID, riskState="atRisk")
    caller.post(f"riskyUsers/{verdict}", {"userIds": ["u-1"]})
    assert sign_in_risk(caller.get(f"{SIGN_INS_URL}/{sign_in['id']}").json()) == ("low", level, state, detail)
    assert risk_of(caller.get(f"riskDetections/{detection['id']}").json()) == ("medium", state, detail)
    states = [caller.get(f"{SIGN_INS_URL}/{row['id']}").json()["riskState"] for row in (settled, others)]
    assert states == ["remediated", "atRisk"]


def test_an_action_on_a_user_without_risk_has_no_reads_to_wait_for(caller: Caller, tenant: Tenant) -> None:
    tenant.processing_reads = 1
    user_id = next(iter(tenant.directory))
    caller.post("riskyUsers/confirmCompromised", {"userIds": [user_id]})
    assert caller.get(f"riskyUsers/{user_id}").json()["riskState"] == "confirmedCompromised"


def test_only_a_compromise_can_be_confirmed_of_a_user_without_risk(caller: Caller, tenant: Tenant) -> None:
    user_id = next(iter(tenant.directory))
    refused = f"These userIds do not exist in your tenant or they are not risky: {user_id}."
    assert error_of(caller.post("riskyUsers/dismiss", {"userIds": [user_id]})) == (400, "BadRequest", refused)
    assert caller.get(f"riskyUsers/{user_id}").status_code == 404
    assert caller.post("riskyUsers/confirmCompromised", {"userIds": ["nobody"]}).status_code == 400
    assert caller.post("riskyUsers/confirmCompromised", {"userIds": [user_id]}).status_code == 204
    assert caller.get(f"riskyUsers/{user_id}").json()["riskState"] == "confirmedCompromised"


def test_one_id_that_is_unknown_or_deleted_refuses_the_whole_action(caller: Caller, tenant: Tenant) -> None:
    deleted = next(row["id"] for row in tenant.users.values() if row["isDeleted"])
    answer = caller.post("riskyUsers/dismiss", {"userIds": [ADELE_ID, deleted, "nobody"]})
    refused = f"These userIds do not exist in your tenant or they are not risky: {deleted}, nobody."
    assert error_of(answer) == (400, "BadRequest", refused)
    assert caller.get(f"riskyUsers/{ADELE_ID}").json()["riskState"] == "atRisk"


@pytest.mark.parametrize(
    "body",
    [
        {"userIds": []},
        {"userIds": [ADELE_ID, ADELE_ID]},
        {"userIds": ADELE_ID},
        {"userIds": [333]},
        {"userids": [ADELE_ID]},
        {"userIds": [ADELE_ID], "comment": "x"},
        [ADELE_ID],
    ],
)
def test_an_action_with_another_body_is_refused(caller: Caller, body: Any) -> None:
    assert status_and_code(caller.post("riskyUsers/dismiss", body)) == BAD_REQUEST


def test_sixty_ids_fit_one_action_and_one_more_does_not(caller: Caller, tenant: Tenant) -> None:
    *ids, surplus = [tenant.add_user()["id"] for _ in range(61)]
    refused = "The property 'userIds' must hold 1 to 60 different ids."
    assert error_of(caller.post("riskyUsers/dismiss", {"userIds": [*ids, surplus]})) == (400, "BadRequest", refused)
    assert caller.post("riskyUsers/dismiss", {"userIds": ids}).status_code == 204
    assert {caller.get(f"riskyUsers/{row_id}").json()["riskState"] for row_id in ids[::20]} == {"dismissed"}


def test_an_action_must_be_json(caller: Caller) -> None:
    headers = {"Authorization": caller.authorization}
    answer = caller.session.post(f"{COLLECTIONS_URL}riskyUsers/dismiss", data={"userIds": ADELE_ID}, headers=headers)
    assert answer.status_code == 415


# Arrivals and changes


def test_a_detection_surfaces_when_its_time_has_come(caller: Caller, tenant: Tenant) -> None:
    late = tenant.arrive(detected=NOW, surfaces_at=NOW + timedelta(minutes=30))
    assert (late["detectedDateTime"], tenant.waiting) == (stamp(NOW), 1)
    question = {"filter": f"detectedDateTime ge {stamp(NOW)}"}
    assert caller.ids("riskDetections", **question) == []
    assert caller.get(f"riskDetections/{late['id']}").status_code == 404
    tenant.clock = NOW + timedelta(minutes=30)
    assert (caller.ids("riskDetections", **question), tenant.waiting) == ([late["id"]], 0)


def test_a_detection_can_surface_between_the_pages_of_a_walk(caller: Caller, tenant: Tenant) -> None:
    tenant.detections.clear()
    first, second = (tenant.arrive(detected=NOW)["id"] for _ in range(2))
    newer = tenant.arrive(detected=NOW + timedelta(seconds=1), after_requests=1)["id"]
    assert caller.walk("riskDetections", top=1, orderby="detectedDateTime desc") == [[first], [first], [second]]
    assert newer in caller.ids("riskDetections")


def test_many_detections_can_share_one_instant(caller: Caller, tenant: Tenant) -> None:
    tenant.detections.clear()
    ids = [tenant.arrive(detected="2026-11-20T11:59:59.1234567Z", riskLevel="low")["id"] for _ in range(45)]
    assert sum(caller.walk("riskDetections", filter="detectedDateTime ge 2026-11-20T11:59:59.1234567Z"), []) == ids
    assert caller.ids("riskDetections", filter="detectedDateTime gt 2026-11-20T11:59:59.1234567Z") == []


def test_something_can_happen_just_before_a_request(caller: Caller, tenant: Tenant) -> None:
    tenant.detections.clear()
    first, second = (tenant.arrive(detected=NOW)["id"] for _ in range(2))
    tenant.before_request(2, lambda: tenant.detections.pop(second))
    assert [caller.ids("riskDetections") for _ in range(3)] == [[first, second], [first], [first]]


def test_two_things_can_happen_before_one_request(caller: Caller, tenant: Tenant) -> None:
    first, second, *others = tenant.detections
    tenant.before_request(1, lambda: tenant.detections.pop(first))
    tenant.before_request(1, lambda: tenant.detections.pop(second))
    assert caller.ids("riskDetections", top=500) == others


def test_order_can_be_made_unreliable(caller: Caller, tenant: Tenant) -> None:
    right = caller.ids("riskDetections", top=500, orderby="detectedDateTime")
    tenant.order = shuffled
    odd = caller.ids("riskDetections", top=500, orderby="detectedDateTime")
    assert (sorted(odd), odd != right) == (sorted(right), True)


def test_a_changed_user_moves_in_a_walk_and_has_a_new_history_item(caller: Caller, tenant: Tenant) -> None:
    tenant.change_user("333", riskLevel="high", riskState="atRisk", riskDetail="none", event_types=["newCountry"])
    assert caller.ids("riskyUsers", top=1, orderby="riskLastUpdatedDateTime desc") == ["333"]
    levels = [
        (item["riskLevel"], item["activity"]["riskEventTypes"])
        for item in caller.get("riskyUsers/333/history").json()["value"]
    ]
    assert levels == [("high", ["newCountry"]), ("none", [])]


# Hosts, faults, throttling


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_cloud_has_its_own_hosts_and_no_others(cloud: str) -> None:
    tenant = Tenant(cloud=cloud)
    with Simulator(tenant) as simulator, session_to(simulator) as session:
        caller = Caller(simulator, session)
        root = f"https://{tenant.hosts.graph}/v1.0/identityProtection/riskyUsers"
        assert caller.get(root).json() == {
            "@odata.context": f"https://{tenant.hosts.graph}/v1.0/$metadata#identityProtection/riskyUsers",
            "value": [],
        }
        foreign = {host for names in CLOUDS.values() for host in names} - set(tenant.hosts)
        assert {session.get(f"https://{host}/").status_code for host in foreign} == {421}
        assert session.get(root.replace("https", "http")).status_code == 421
        assert len(simulator.requests) == 3 + len(foreign)


def test_a_request_is_recorded_as_it_came(caller: Caller, simulator: Simulator) -> None:
    caller.get("riskyUsers/a%2Fb", select="id,riskLevel")
    recorded = simulator.graph_requests[-1]
    assert (recorded.method, recorded.host, recorded.scheme) == ("GET", "graph.microsoft.com", "https")
    assert recorded.path == f"{BASE}riskyUsers/a%2Fb"
    assert recorded.target == f"{recorded.path}?%24select=id%2CriskLevel"
    assert (recorded.query, recorded.form, recorded.body) == ({"$select": "id,riskLevel"}, {}, b"")
    assert recorded.headers["prefer"] == "include-unknown-enum-members"
    assert simulator.login_requests[0].form["client_id"] == CLIENT_ID


def test_faults_happen_in_order_and_only_as_often_as_asked(caller: Caller, simulator: Simulator) -> None:
    simulator.fail_next(429, retry_after=7, after=1)
    simulator.fail_next(503, times=2)
    simulator.fail_next(500, face="login")
    answers = [caller.get("riskyUsers") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 429, 503, 503, 200]
    assert error_of(answers[1]) == (429, "TooManyRequests", "Too many requests.")
    assert answers[1].headers["Retry-After"] == "7"
    assert [caller.sign_in().status_code for _ in range(2)] == [500, 200]


def test_an_action_whose_answer_is_lost_was_carried_out(caller: Caller, simulator: Simulator) -> None:
    simulator.fail_next(drop=True)
    with pytest.raises(requests.ConnectionError):
        caller.post("riskyUsers/dismiss", {"userIds": [ADELE_ID]})
    assert caller.get(f"riskyUsers/{ADELE_ID}").json()["riskState"] == "dismissed"


def test_a_fault_nobody_knows_is_refused(simulator: Simulator) -> None:
    with pytest.raises(ValueError, match="mail"):
        simulator.fail_next(500, face="mail")
    with pytest.raises(TypeError):
        simulator.fail_next(500, retries=3)


def test_a_defect_of_the_simulator_is_seen(
    caller: Caller, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: Recorded) -> Answer:
        raise AssertionError("a defect")

    monkeypatch.setattr(simulator.graph, "answer", fail)
    with pytest.raises(requests.ConnectionError):
        caller.get("riskyUsers")
    assert "AssertionError: a defect" in capsys.readouterr().err


@pytest.mark.parametrize("breach", [BrokenPipeError, ConnectionResetError, ssl.SSLError])
def test_a_client_that_breaks_off_is_no_defect(
    caller: Caller,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    breach: type[OSError],
) -> None:
    def lose(_: Recorded) -> Answer:
        raise breach

    monkeypatch.setattr(simulator.graph, "answer", lose)
    with pytest.raises(requests.ConnectionError):
        caller.get("riskyUsers")
    assert capsys.readouterr().err == ""


def test_the_tenant_takes_one_request_a_second_and_counts_those_it_refused(
    caller: Caller, simulator: Simulator
) -> None:
    simulator.throttle, moments = 1, iter((0.0, 0.5, 1.4, 2.4, 3.4))
    simulator.throttle_clock = lambda: next(moments)
    answers = [caller.get("riskyUsers") for _ in range(3)]
    simulator.retry_after = 10
    simulator.throttle = 0.5
    answers += [caller.get("riskyUsers") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429, 429, 200, 429]
    assert [answer.headers.get("Retry-After") for answer in answers] == [None, None, None, None, "10"]


def test_the_logs_take_five_requests_in_ten_seconds_beside_those_of_id_protection(
    caller: Caller, simulator: Simulator
) -> None:
    simulator.throttle, moments = 1, iter((0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 9.9, 10.5))
    simulator.throttle_clock = lambda: next(moments)
    answers = [caller.get(f"{GRAPH}/v1.0//AuditLogs/signIns", top=1) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert error_of(answers[-1])[:2] == (429, "UnknownError")
    assert [answer.headers.get("Retry-After") for answer in answers] == [None] * 5 + ["10"]
    assert [caller.get(path).status_code for path in ("riskyUsers", "riskyUsers", DIRECTORY_URL)] == [200, 429, 200]
    assert [caller.get(SIGN_INS_URL).status_code for _ in range(2)] == [429, 200]


def test_the_loopback_keeps_the_retries_it_was_given(simulator: Simulator) -> None:
    retries = Retry(total=2, status_forcelist=[503], allowed_methods=None)
    with session_to(simulator, max_retries=retries) as session:
        caller = Caller(simulator, session)
        simulator.fail_next(503, times=2)
        assert caller.get("riskyUsers").status_code == 200
        assert len(simulator.graph_requests) == 3


def test_the_loopback_sends_by_way_of_the_carrier_it_was_given(simulator: Simulator) -> None:
    carried: list[str] = []

    class Carrier(HTTPAdapter):
        def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
            carried.append(str(request.url))
            return super().send(request, *args, **kwargs)

    with requests.Session() as session:
        session.mount("https://", simulator.adapter(carrier=Carrier()))
        answer = session.get(f"{COLLECTIONS_URL}riskyUsers?a=1")
    assert carried == [f"http://127.0.0.1:{simulator.port}{BASE}riskyUsers?a=1"]
    assert answer.url == f"{COLLECTIONS_URL}riskyUsers?a=1"


@pytest.mark.parametrize("drips_head", [False, True], ids=["body", "all of it"])
def test_an_answer_may_come_byte_by_byte(caller: Caller, simulator: Simulator, drips_head: bool) -> None:
    waits: list[float] = []
    simulator.sleep = waits.append
    simulator.fail_next(drip_s=7, drips_head=drips_head)
    dripped = caller.get("riskyUsers/333")
    assert dripped.json()["id"] == "333"
    assert set(waits) == {7}
    assert (len(waits) > len(dripped.content)) is drips_head
    assert len(waits) >= len(dripped.content)
    assert caller.get("riskyUsers/333").json() == dripped.json()
    assert set(waits) == {7}


def test_an_answer_over_the_loopback_bears_the_address_that_was_meant(caller: Caller) -> None:
    answer = caller.get("riskyUsers", top=1)
    assert (answer.url, answer.request.url) == (f"{COLLECTIONS_URL}riskyUsers?%24top=1",) * 2


def test_the_loopback_tells_of_the_proxy_that_was_meant(caller: Caller, simulator: Simulator) -> None:
    caller.session.get(f"{COLLECTIONS_URL}riskyUsers", proxies={"https": "http://proxy.contoso.example:3128"})
    assert simulator.requests[-1].headers["X-Loopback-Proxy"] == "http://proxy.contoso.example:3128"
    caller.get("riskyUsers")
    assert "X-Loopback-Proxy" not in simulator.requests[-1].headers


def test_the_hosts_are_served_over_tls_to_those_who_trust_them(tenant: Tenant, tmp_path: Any) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with Simulator(tenant, ssl_context=context) as simulator, session_to(simulator) as session:
        with pytest.raises(requests.exceptions.SSLError):
            session.get(f"{COLLECTIONS_URL}riskyUsers")
        session.verify = str(tmp_path / "ca.pem")
        assert Caller(simulator, session).get("riskyUsers/333").json()["id"] == "333"


def test_a_walk_is_arranged_once_while_nothing_changes(caller: Caller, tenant: Tenant) -> None:
    arranged: list[int] = []

    def noted(rows: list[Row]) -> list[Row]:
        arranged.append(len(rows))
        return rows

    tenant.order = noted
    existing = sum(not row["isDeleted"] for row in tenant.users.values())
    caller.walk("riskyUsers", top=5, filter="isDeleted eq false", orderby="riskLastUpdatedDateTime desc")
    assert arranged == [existing]
    link = caller.get("riskyUsers", top=5).json()["@odata.nextLink"]
    tenant.change_user("333", riskLevel="low")
    caller.get(link)
    assert arranged == [existing, 40, 40]


def test_rows_can_be_changed_by_hand_between_requests(caller: Caller, tenant: Tenant) -> None:
    question = {"filter": "id eq '333' and riskLevel eq 'high'"}
    before = caller.ids("riskyUsers", **question)
    tenant.users["333"]["riskLevel"] = "high"
    assert (before, caller.ids("riskyUsers", **question)) == ([], ["333"])
