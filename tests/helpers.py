"""What several test files use."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import KeySerializationEncryption
from cryptography.x509.oid import NameOID

import AzureRiskyUsers as aru  # noqa: N813 - the module bears the name of the integration
from warroom.azure.exchange import Recorded
from warroom.azure.server import Simulator
from warroom.azure.tenant import CLIENT_ID, TENANT_ID
from warroom.demo import demo_instance
from warroom.terminal.display import readable
from warroom.xsoar.commandline import Args
from warroom.xsoar.entries import Run
from warroom.xsoar.instance import credentials, with_defaults
from warroom.xsoar.integration import MANIFEST
from warroom.xsoar.runner import WarRoom
from warroom.xsoar.surroundings import Destination

Row = dict[str, Any]  # an object of JSON
Params = dict[str, Any]  # an instance's parameters
Succeed = Callable[[str], Run]  # the fixture `run`
Fail = Callable[[str], str]  # the fixture `error`
Make = Callable[..., WarRoom]  # the fixture `make`

NOW = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)

# Options of `warroom` for a simulated tenant that is made in no time.
SMALL = ("--users", "20", "--detections", "20")

# Addresses

GRAPH_HOST, LOGIN_HOST = "graph.microsoft.com", "login.microsoftonline.com"
GRAPH, LOGIN = f"https://{GRAPH_HOST}", f"https://{LOGIN_HOST}"
BASE, LOGS = "/v1.0/identityProtection/", "/v1.0/auditLogs/"
COLLECTIONS_URL = f"{GRAPH}{BASE}"
IMDS = "http://169.254.169.254/metadata/identity/oauth2/token"
READ_SCOPES = [f"{GRAPH}/IdentityRiskEvent.Read.All", f"{GRAPH}/IdentityRiskyUser.Read.All"]

# Commands

USERS, DETECTIONS = "azure-risky-users-list", "azure-risky-users-risk-detections-list"
PRINCIPALS = "azure-risky-service-principals-list"
PRINCIPAL_DETECTIONS = "azure-risky-service-principal-detections-list"
SIGN_INS = "azure-risky-sign-ins-list"
LIST_COLLECTIONS = {
    USERS: "riskyUsers",
    DETECTIONS: "riskDetections",
    PRINCIPALS: "riskyServicePrincipals",
    PRINCIPAL_DETECTIONS: "servicePrincipalRiskDetections",
    SIGN_INS: "signIns",
}
GET_COLLECTIONS = {
    "azure-risky-user-get": "riskyUsers",
    "azure-risky-users-risk-detection-get": "riskDetections",
    "azure-risky-service-principal-get": "riskyServicePrincipals",
    "azure-risky-service-principal-detection-get": "servicePrincipalRiskDetections",
    "azure-risky-sign-in-get": "signIns",
}
HISTORY_COLLECTIONS = {
    "azure-risky-user-history-list": "riskyUsers",
    "azure-risky-service-principal-history-list": "riskyServicePrincipals",
}
RESOURCES: list[aru.Resource] = [value for value in vars(aru).values() if isinstance(value, aru.Resource)]
LISTED = [resource for resource in RESOURCES if resource.context]  # all but the one that is looked up in
READABLE = [resource for resource in RESOURCES if not resource.owner]  # all but the histories
ACTIONS: list[aru.Action] = [value for value in vars(aru).values() if isinstance(value, aru.Action)]


def collection_of(resource: aru.Resource) -> str:
    """The resource's path, from the name of its collection on."""
    return resource.path.removeprefix("identityProtection/").removeprefix("auditLogs/")


LIST = f"!{USERS}"
READ_ONE = f"{LIST} limit=1"  # takes one request to Graph
FAILED = f"Failed to execute {USERS}. "
UPDATED, DETECTED = "riskLastUpdatedDateTime", "detectedDateTime"
LEVELS_ACCEPTED = "low, medium, high, hidden, none"
STATES_ACCEPTED = "none, confirmedSafe, remediated, dismissed, atRisk, confirmedCompromised"
FLAGS = "AzureRiskyUsers(true)"  # the key of what a list says of itself

# An application beside the simulated tenant's own.
OTHER_APP = "00000000-0000-0000-0000-00000000c12e"

# War rooms


def quick_room(module: Any, params: Args, simulator: Destination) -> WarRoom:
    """A war room for the integration, where it is always NOW and nothing is waited for."""
    return WarRoom(module, MANIFEST, params, simulator=simulator, clock=lambda: NOW, sleep=lambda _: None)


def demo_room(simulator: Simulator, sign_in: str = "Client Credentials", **changes: Any) -> WarRoom:
    """A quick room for the demo's instance, with changes to its parameters."""
    return quick_room(aru, demo_instance(sign_in) | changes, simulator)


def use_device_code(room: WarRoom, **changes: Any) -> None:
    """Make the instance sign in with device code."""
    given = {"authentication_type": "Device Code", "client_id": credentials(CLIENT_ID), **changes}
    room.params = with_defaults(given)


def user_code(simulator: Simulator) -> str:
    """The code that the person has to enter, of the sign-in that was started last."""
    return list(simulator.entra.flows.values())[-1].user_code


def sign_in_by_device_code(room: WarRoom, simulator: Simulator) -> None:
    """Walk through device code to its good end, and forget the requests of it."""
    assert not room.run("!azure-risky-users-auth-start").failed
    simulator.entra.approve(user_code(simulator))
    assert not room.run("!azure-risky-users-auth-complete").failed
    simulator.requests.clear()


def certificate_instance(thumbprint: str, private_key: str, client_id: str = CLIENT_ID) -> Params:
    """What is filled in for an instance that signs in with a certificate."""
    return {
        "authentication_type": "Client Credentials",
        "client_id": credentials(client_id),
        "tenant_id": TENANT_ID,
        "creds_certificate": {"identifier": thumbprint, "password": private_key},
    }


def typed(command: str, **arguments: str) -> str:
    """A command line with every value quoted."""
    values = {name: value.replace("\\", "\\\\").replace('"', '\\"') for name, value in arguments.items()}
    return " ".join([f"!{command}", *(f'{name}="{value}"' for name, value in values.items())])


# The environment

PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")


def set_proxy(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Name a proxy in the environment, as the platform's server does."""
    for name in PROXY_VARIABLES:
        monkeypatch.setenv(name, url)


def unset_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name)


# Keys and certificates

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def private_pem(key: PrivateKey, encryption: KeySerializationEncryption | None = None) -> str:
    """A private key as its file holds it."""
    how = encryption or serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how).decode()


def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Certificate:
    """A certificate of an application and its key, as their owner has them and as they are registered."""

    def __init__(self) -> None:
        key = rsa_key()
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "contoso.example")])
        start = datetime(2026, 1, 1)
        builder = x509.CertificateBuilder(name, name, key.public_key(), 1, start, start + timedelta(days=365))
        self.private_key = private_pem(key)
        self.x509 = builder.sign(key, hashes.SHA256())
        self.pem = self.x509.public_bytes(serialization.Encoding.PEM).decode()

    def thumbprint(self, algorithm: hashes.HashAlgorithm) -> str:
        return self.x509.fingerprint(algorithm).hex().upper()

    def public_key(self) -> str:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.x509.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


# What a run gave


def texts(run: Run) -> list[str]:
    """What the entries of a run say."""
    return [readable(entry) for entry in run.entries]


def contents(run: Run) -> list[Any]:
    """The contents of a run's entries: of an error, its text."""
    return [entry["Contents"] for entry in run.entries]


def only_entry(run: Run) -> Row:
    (entry,) = run.entries
    return entry


def shown(run: Run) -> str:
    """What the one entry of a run shows."""
    return str(only_entry(run)["HumanReadable"])


def flags(entry: Row) -> Row:
    """What a list says of itself in context."""
    return dict(entry["EntryContext"][FLAGS])


def listed_rows(run: Run) -> list[Row]:
    """The rows that a list gave, which may have come to an early end."""
    return list(run.entries[0]["Contents"]["value"])


def ids(rows: Iterable[Row]) -> list[str]:
    return [row["id"] for row in rows]


# What the simulated services recorded


def below_base(request: Recorded) -> str:
    """The path of a Graph request, without what all of its service begin with."""
    return request.path.removeprefix(BASE).removeprefix(LOGS)


def base_of(collection: str) -> str:
    """What the paths of a collection begin with."""
    return LOGS if collection == "signIns" else BASE


def request_id(simulator: Simulator) -> str:
    """The request-id that Graph's last answer bore."""
    return simulator.request_ids(simulator.graph_requests[-1])[0]


# Files


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def declared_manifest() -> Row:
    """The integration's manifest, as it stands in its file."""
    manifest: Row = yaml.safe_load(text_of(MANIFEST))
    return manifest


def declared_commands() -> dict[str, Row]:
    """The commands of the manifest, by their names."""
    return {command["name"]: command for command in declared_manifest()["script"]["commands"]}


# Pure calls


def refused(kind: type[Exception], call: Callable[..., Any], *arguments: Any) -> str:
    """The text of the error with which a call is refused."""
    with pytest.raises(kind) as caught:
        call(*arguments)
    return str(caught.value)
