"""No secret shows: not in an entry, not in an error, not in a line of any log."""

import json
import logging

import pytest

from helpers import OTHER_APP, Params, certificate_instance, private_pem, rsa_key
from warroom.azure.server import Simulator
from warroom.azure.tenant import CLIENT_ID, CLIENT_SECRET, App
from warroom.demo import demo_instance
from warroom.xsoar.instance import credentials, with_defaults
from warroom.xsoar.runner import WarRoom

PRIVATE_KEY = private_pem(rsa_key())
THUMBPRINT = "00112233445566778899aabbccddeeff00112233"

INSTANCES: dict[str, Params] = {
    "secret": demo_instance(),
    "certificate": with_defaults(certificate_instance(THUMBPRINT, PRIVATE_KEY.replace("\n", " "), OTHER_APP)),
    "device code": with_defaults(
        {"authentication_type": "Device Code", "client_id": credentials(CLIENT_ID), "allow_response": True}
    ),
    "managed identity": with_defaults({"authentication_type": "Azure Managed Identities"}),
}
FAULTS: list[Params] = [
    *({"status": status, "times": 9} for status in (400, 401, 403, 404, 429, 500, 503)),
    {"status": 429, "retry_after": 3600},
    {"status": 302, "location": "https://fabrikam.example/"},
    {"body": "<html>Sign in</html>"},
    {"body": {"value": ["a"]}},
    {"drop": True, "times": 9},
    {"truncate": True, "times": 9},
]
LINES = (
    "!azure-risky-users-list page_size=2",
    "!azure-risky-users-list limit=x",
    "!azure-risky-user-get id=x",
    "!azure-risky-users-risk-detections-list limit=2",
    "!azure-risky-users-dismiss user=adele.vance@contoso.example",
    "!azure-risky-users-auth-test",
)


class Observer:
    """Runs commands and keeps all that they say."""

    def __init__(self, war_room: WarRoom, simulator: Simulator) -> None:
        self.war_room, self.simulator = war_room, simulator
        self.texts: list[str] = []

    def run(self, line: str) -> None:
        run = self.war_room.run(line) if line.startswith("!") else self.war_room.run_test()
        self.texts += [json.dumps(entry) for entry in run.entries] + run.logs

    def sign_in(self, end: str) -> None:
        """Walk through device code; elsewhere its commands are refused."""
        self.run("!azure-risky-users-auth-start")
        self.run("!azure-risky-users-auth-complete")
        flows = list(self.simulator.entra.flows.values())
        if flows and flows[-1].state == "pending":
            getattr(self.simulator.entra, end)(flows[-1].user_code)
        self.run("!azure-risky-users-auth-complete")

    def walk_through(self) -> None:
        """Every way to sign in, to be refused, and to fail on the way."""
        for end in ("decline", "expire", "approve"):
            self.sign_in(end)
        for line in (*LINES, "the Test button"):
            self.run(line)
        for host in ("graph", "login", "identity"):
            self.fail(host)
        for code in (7000215, 700082, 90033):
            self.simulator.entra.fail(code)
            self.simulator.entra.revoke_tokens()
            self.run(LINES[0])
        self.run("!azure-risky-users-auth-reset")

    def fail(self, host: str) -> None:
        for fault in FAULTS:
            if host != "graph":
                self.simulator.entra.revoke_tokens()
            self.simulator.fail_next(face=host, **fault)
            self.run(LINES[0])
            self.simulator.faults.clear()


@pytest.fixture
def observer(war_room: WarRoom, simulator: Simulator) -> Observer:
    certificates = {THUMBPRINT: ""}
    simulator.tenant.apps[OTHER_APP] = App(OTHER_APP, certificates=certificates)
    return Observer(war_room, simulator)


def secrets_sent(simulator: Simulator) -> set[str]:
    """The tokens and codes that requests bore."""
    fields = [request.form.get(name) for request in simulator.requests for name in ("refresh_token", "device_code")]
    signatures = [request.headers.get("Authorization", "") for request in simulator.requests]
    return {secret for secret in (*fields, *(text.removeprefix("Bearer ") for text in signatures)) if secret}


def masked(text: str, registered: list[str]) -> str:
    for secret in registered:
        text = text.replace(secret, "<hidden>")
    return text


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("instance", INSTANCES.values(), ids=INSTANCES)
def test_no_secret_stands_in_an_entry_an_error_or_a_log_line(
    observer: Observer, registered: list[str], simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    observer.walk_through()
    sent = secrets_sent(simulator)
    assert len(sent) > 3
    assert sent - set(registered) == set()
    own = "\n".join(observer.texts)
    secrets = {*simulator.entra.access_tokens, *simulator.entra.refresh_tokens, *simulator.entra.flows}
    secrets |= {CLIENT_SECRET, *PRIVATE_KEY.splitlines()[1:-1]}
    assert [secret for secret in secrets if secret in own] == []
    assert "{'" not in own
    # What the libraries log passes the mask of the platform's log.
    libraries = masked(caplog.text, registered)
    assert [secret for secret in secrets if secret in libraries] == []
