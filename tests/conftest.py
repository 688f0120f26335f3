"""What the tests share: a small tenant at a fixed moment, served on a socket, and a war room that leads to it."""

import copy
import time
from collections.abc import Iterator

import pytest

import AzureRiskyUsers as aru  # noqa: N813 - the module bears the name of the integration
import CommonServerPython as csp  # noqa: N813 - the module is the platform's
from helpers import NOW, Fail, Params, Succeed, contents, quick_room
from warroom.azure.demo import demo_tenant
from warroom.azure.server import Simulator
from warroom.azure.tenant import Tenant
from warroom.demo import demo_instance
from warroom.xsoar.entries import Run
from warroom.xsoar.runner import WarRoom

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
IDENTITIES = (
    "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",
    "IDENTITY_SERVER_THUMBPRINT",
    "IMDS_ENDPOINT",
    "MSI_ENDPOINT",
    "MSI_SECRET",
    "AZURE_POD_IDENTITY_AUTHORITY_HOST",
    "MSAL_FORCE_REGION",
)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the variables of this machine that requests, the platform's helpers and msal read."""
    for name in (*PROXIES, *map(str.lower, PROXIES), *CERTIFICATES, *IDENTITIES):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def fresh_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process of its own: the platform's library remembers the server's version for the life of one."""
    remembered = getattr(csp, "get_demisto_version", None)
    if remembered is not None:
        monkeypatch.setattr(csp, "get_demisto_version", type(remembered)())


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The secrets that the integration has the platform hide in its log, which hides nothing here."""
    secrets: list[str] = []
    monkeypatch.setattr(aru, "add_sensitive_log_strs", secrets.append)
    return secrets


@pytest.fixture
def tenant() -> Tenant:
    """The recorded rows and the documentation's, the case to investigate, and a crowd of generated ones."""
    return demo_tenant(NOW, users=40, detections=60)


@pytest.fixture
def simulator(tenant: Tenant) -> Iterator[Simulator]:
    with Simulator(tenant) as simulator:
        # Looked up at each request, so that the clock of `no_waiting` counts here too.
        simulator.throttle_clock = lambda: time.monotonic()
        yield simulator


@pytest.fixture(scope="session")
def crowded() -> Iterator[Simulator]:
    """A tenant with more than two of Graph's largest pages of everything, which no test may change."""
    with Simulator(demo_tenant(NOW, users=1250, detections=1250)) as simulator:
        yield simulator


@pytest.fixture(scope="session")
def demo() -> Params:
    return demo_instance()


@pytest.fixture
def instance(demo: Params) -> Params:
    """The instance's parameters, as the platform hands them over; a test may change them."""
    return copy.deepcopy(demo)


@pytest.fixture
def war_room(instance: Params, simulator: Simulator) -> WarRoom:
    return quick_room(aru, instance, simulator)


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of each wait, of which none is waited for: the clock that deadlines are read by jumps instead."""
    waits: list[float] = []
    real = time.monotonic
    monkeypatch.setattr(time, "sleep", waits.append)
    monkeypatch.setattr(time, "monotonic", lambda: real() + sum(waits))
    return waits


@pytest.fixture
def run(war_room: WarRoom) -> Succeed:
    """Run a command line that has to succeed."""

    def succeed(line: str) -> Run:
        done = war_room.run(line)
        assert not done.failed, contents(done)
        return done

    return succeed


@pytest.fixture
def error(war_room: WarRoom) -> Fail:
    """Run a command line that has to end in one error entry, its last, and give the text of that."""

    def fail(line: str) -> str:
        entries = war_room.run(line).entries
        assert [entry["Type"] == aru.EntryType.ERROR for entry in entries] == [False] * (len(entries) - 1) + [True]
        return str(entries[-1]["Contents"])

    return fail
