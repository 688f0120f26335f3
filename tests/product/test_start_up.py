"""What a command loads: msal only for a new token, since it takes long to import."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes

from helpers import USERS, Certificate, Params, Row, certificate_instance, user_code
from warroom.azure.server import Simulator
from warroom.azure.tenant import CLIENT_ID
from warroom.demo import demo_instance
from warroom.xsoar.instance import credentials, with_defaults
from warroom.xsoar.integration import PROJECT, STANDINS

CHILD = """
import json, sys
import demistomock
import AzureRiskyUsers as integration
from warroom.azure.loopback import LoopbackAdapter
from warroom.xsoar.surroundings import led_to
port, params, context, command, args = json.loads(sys.argv[1])
class Port:
    def adapter(self, *, carrier):
        return LoopbackAdapter(port, carrier=carrier)
call = demistomock.call = demistomock.Call(command, args, params)
call.context_store.content = context
with led_to(Port(), integration.HttpSession):
    integration.main()
loaded = [name for name in ("cryptography", "msal") if name in sys.modules]
print(json.dumps([call.entries, call.context_store.content, loaded]))
"""
USER_ASSIGNED = "00000000-0000-0000-0000-0000000001d0"


class Instance:
    """An instance whose commands are processes of their own, as the server's are."""

    def __init__(self, simulator: Simulator, params: Params) -> None:
        self.simulator = simulator
        self.params = params
        self.context: Row = {}

    def loaded_by(self, command: str, **args: str) -> list[str]:
        """Run a command, which has to succeed; returns which of the two libraries it loaded."""
        call = [self.simulator.port, self.params, self.context, command, args]
        child = subprocess.run(
            [sys.executable, "-c", CHILD, json.dumps(call)],
            env={**os.environ, "PYTHONPATH": f"{PROJECT}{os.pathsep}{STANDINS}"},
            capture_output=True,
            check=True,
        )
        loaded: list[str]
        entries, self.context, loaded = json.loads(child.stdout)
        assert [entry["Type"] for entry in entries] == [1], entries
        return loaded

    def hosts_asked(self) -> list[str]:
        hosts = [request.host for request in self.simulator.requests]
        self.simulator.requests.clear()
        return hosts


def managed_identity(client_id: str) -> Params:
    given: dict[str, Any] = {"authentication_type": "Azure Managed Identities"}
    return with_defaults({**given, "managed_identities_client_id": credentials(client_id)})


COLD: dict[str, list[str]] = {
    "a secret": ["msal"],
    "a certificate": ["cryptography", "msal"],
    "the machine's identity": ["msal"],
    "a named identity": ["msal"],
}


def params_of(kind: str, simulator: Simulator) -> Params:
    if kind == "a secret":
        return demo_instance()
    if kind == "a certificate":
        certificate = Certificate()
        thumbprint = certificate.thumbprint(hashes.SHA1())
        simulator.tenant.apps[CLIENT_ID].certificates[thumbprint.lower()] = certificate.pem
        return with_defaults(certificate_instance(thumbprint, certificate.private_key))
    return managed_identity(USER_ASSIGNED if kind == "a named identity" else "")


@pytest.mark.parametrize("kind", COLD)
def test_msal_is_loaded_for_a_new_token_and_not_for_a_stored_one(simulator: Simulator, kind: str) -> None:
    instance = Instance(simulator, params_of(kind, simulator))
    assert instance.loaded_by(USERS, limit="1") == COLD[kind]
    assert len(instance.hosts_asked()) > 1
    assert instance.loaded_by(USERS, limit="1") == []
    assert instance.hosts_asked() == ["graph.microsoft.com"]


def test_msal_is_loaded_to_sign_in_with_a_code_and_not_for_the_commands_after_it(simulator: Simulator) -> None:
    params = with_defaults({"authentication_type": "Device Code", "client_id": credentials(CLIENT_ID)})
    instance = Instance(simulator, params)
    assert instance.loaded_by("azure-risky-users-auth-start") == ["msal"]
    simulator.entra.approve(user_code(simulator))
    assert instance.loaded_by("azure-risky-users-auth-complete") == ["msal"]
    instance.hosts_asked()
    assert instance.loaded_by(USERS, limit="1") == []
    assert instance.hosts_asked() == ["graph.microsoft.com"]
    assert instance.loaded_by("azure-risky-users-auth-reset") == []
