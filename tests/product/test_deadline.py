"""A command ends in time, wherever an answer drips byte by byte."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme

import AzureRiskyUsers as aru  # noqa: N813 - the module bears the name of the integration
from helpers import FAILED, GRAPH_HOST, LIST, LOGIN_HOST, READ_ONE, Fail, contents, flags, ids, listed_rows
from warroom.azure.server import Simulator
from warroom.azure.tenant import Tenant
from warroom.xsoar.instance import with_defaults
from warroom.xsoar.runner import WarRoom

PERIOD = 0.5  # seconds that a command has here
OUT_OF_TIME = (
    "{} was not reached: its answer had not come in full when the command had taken as long as it may. "
    "Try again later, or ask for less (OutOfTime)."
)


@pytest.fixture(autouse=True)
def periods(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Commands that have no longer than PERIOD; what each of their sessions was given."""
    given: list[float] = []

    class ShortSession(aru.HttpSession):
        def __init__(self, *, period: float = PERIOD, **options: Any) -> None:
            super().__init__(period=period, **options)
            given.append(period)

    monkeypatch.setattr(aru, "HttpSession", ShortSession)
    return given


@pytest.fixture
def drip(simulator: Simulator) -> Callable[..., None]:
    """Have the answers of a host take far longer than PERIOD, a byte at a time."""

    def let(**how: Any) -> None:
        simulator.fail_next(drip_s=0.02, times=99, **how)

    return let


@pytest.fixture(autouse=True)
def in_time() -> Iterator[None]:
    """Fails where the time that a test took is not of PERIOD's order: its drips last half a minute and more."""
    started = time.monotonic()
    yield
    assert time.monotonic() - started < 10 * PERIOD


@pytest.mark.parametrize("drips_head", [False, True], ids=["body", "headers"])
@pytest.mark.parametrize(
    ("face", "after", "text"),
    [
        ("login", 0, f"Sign-in failed. {OUT_OF_TIME.format(LOGIN_HOST)}"),
        ("login", 1, f"Sign-in failed. {OUT_OF_TIME.format(LOGIN_HOST)}"),
        ("graph", 0, OUT_OF_TIME.format(GRAPH_HOST)),
    ],
    ids=["discovery", "token", "Graph"],
)
def test_a_command_ends_in_time_however_slowly_an_answer_drips(
    error: Fail, drip: Callable[..., None], face: str, after: int, text: str, drips_head: bool
) -> None:
    drip(face=face, after=after, drips_head=drips_head)
    assert error(LIST) == FAILED + text


def test_the_refusals_of_graph_may_drip_too(error: Fail, drip: Callable[..., None]) -> None:
    drip(status=403)
    assert error(LIST) == FAILED + OUT_OF_TIME.format(GRAPH_HOST)


@pytest.mark.parametrize("drips_head", [False, True], ids=["body", "headers"])
def test_a_managed_identity_that_drips_is_given_up_with_the_command(
    error: Fail, war_room: WarRoom, periods: list[float], drip: Callable[..., None], drips_head: bool
) -> None:
    war_room.params = with_defaults({"authentication_type": "Azure Managed Identities"})
    drip(face="identity", drips_head=drips_head)
    assert error(LIST) == (
        f"{FAILED}No managed identity answered. This sign-in type works only where the integration runs on an Azure "
        "resource that has a managed identity (OutOfTime)."
    )
    whole, rest = periods
    assert 0 < rest < whole == PERIOD


def test_an_action_that_drips_may_have_been_made(war_room: WarRoom, tenant: Tenant, drip: Callable[..., None]) -> None:
    drip(drips_head=True)
    user_id = next(iter(tenant.users))
    results, _ = war_room.run(f"!azure-risky-users-confirm-compromise user={user_id}").entries
    (row,) = results["Contents"]
    assert (row["status"], row["reason"].endswith(OUT_OF_TIME.format(GRAPH_HOST))) == ("unknown", True)


def test_a_list_that_drips_in_the_middle_shows_the_rows_so_far(
    war_room: WarRoom, tenant: Tenant, drip: Callable[..., None]
) -> None:
    tenant.largest_page = 10
    drip(after=1)
    done = war_room.run(f"{LIST} limit=30")
    warning = f"The list is incomplete: only 10 rows could be read. {OUT_OF_TIME.format(GRAPH_HOST)}"
    assert not done.failed
    assert len(ids(listed_rows(done))) == 10
    assert flags(done.entries[0]) == {"RiskyUserListTruncated": True}
    assert contents(done)[1:] == [warning]


def test_after_the_end_nothing_is_sent(monkeypatch: pytest.MonkeyPatch, simulator: Simulator) -> None:
    session = aru.HttpSession(period=0)
    monkeypatch.setattr(session, "get_adapter", lambda _: simulator.adapter())
    with pytest.raises(aru.TooLate) as caught:
        session.get(f"https://{GRAPH_HOST}/")
    assert aru.network_fault(caught.value) == (
        f"{GRAPH_HOST} was not reached: the command had taken as long as it may. Nothing was sent (TooLate)."
    )
    assert simulator.requests == []


# Over sockets with TLS, and before an answer begins


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """An authority that requests trusts."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    return authority


@pytest.mark.parametrize("drips_head", [False, True], ids=["body", "headers"])
def test_an_encrypted_answer_that_drips_is_given_up(tenant: Tenant, authority: trustme.CA, drips_head: bool) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with Simulator(tenant, ssl_context=context) as simulator:
        simulator.fail_next(drip_s=0.02, drips_head=drips_head)
        with pytest.raises(aru.OutOfTime):
            aru.HttpSession().get(f"https://127.0.0.1:{simulator.port}/", headers={"Host": GRAPH_HOST})


class Dripper:
    """Listens on a port; whoever connects gets the beginning of an answer, byte by byte, and no end of it."""

    def __init__(self, beginning: bytes) -> None:
        self.beginning = beginning
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.socket.accept()
                threading.Thread(target=self.drip, args=(client,), daemon=True).start()

    def drip(self, client: socket.socket) -> None:
        wait = threading.Event().wait
        with suppress(OSError), client:
            for byte in chain(self.beginning, repeat(ord("x"))):
                client.sendall(bytes([byte]))
                wait(0.02)


@pytest.fixture
def dripper() -> Iterator[Callable[[bytes], Dripper]]:
    opened: list[Dripper] = []

    def begin(beginning: bytes) -> Dripper:
        opened.append(Dripper(beginning))
        return opened[-1]

    yield begin
    for each in opened:
        each.socket.close()


def test_a_proxy_that_drips_is_given_up(
    war_room: WarRoom, error: Fail, dripper: Callable[[bytes], Dripper], monkeypatch: pytest.MonkeyPatch
) -> None:
    war_room.simulator = None
    war_room.params["proxy"] = True
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{dripper(b'HTTP/1.1 200 OK').port}")
    assert error(READ_ONE) == f"{FAILED}Sign-in failed. {OUT_OF_TIME.format(LOGIN_HOST)}"


@pytest.mark.parametrize("beginning", [b"", b"\x16\x03\x03\x40\x00"], ids=["no TLS", "an endless record"])
def test_a_handshake_that_drips_is_given_up(dripper: Callable[[bytes], Dripper], beginning: bytes) -> None:
    with pytest.raises(requests.RequestException):
        aru.HttpSession(connect_retries=0).get(f"https://127.0.0.1:{dripper(beginning).port}/")


# Before a connection stands


@pytest.fixture
def dead_port() -> Iterator[int]:
    """A port where connecting comes to no end: nobody accepts, and the one place to wait in is taken."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, socket.socket() as waiting:
        waiting.connect(listener.getsockname())
        yield listener.getsockname()[1]


Lead = Callable[..., None]


@pytest.fixture
def lead(monkeypatch: pytest.MonkeyPatch) -> Lead:
    """Have a host have several addresses: as many as ports of this machine are given."""
    look_up = socket.getaddrinfo

    def to(host: str, *ports: int) -> None:
        def getaddrinfo(name: str, port: int, *options: Any, **named: Any) -> list[Any]:
            if name != host:
                return look_up(name, port, *options, **named)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", each)) for each in ports]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    return to


def test_a_host_that_is_never_reached_is_given_up_however_many_addresses_it_has(
    war_room: WarRoom, error: Fail, dead_port: int, lead: Lead
) -> None:
    war_room.simulator = None
    lead(LOGIN_HOST, *[dead_port] * 16)
    assert error(READ_ONE) == f"{FAILED}Sign-in failed. {OUT_OF_TIME.format(LOGIN_HOST)}"


def test_all_addresses_of_a_host_are_given_up_together(
    monkeypatch: pytest.MonkeyPatch, dead_port: int, lead: Lead
) -> None:
    monkeypatch.setattr(aru, "CONNECT_PERIOD", 0.2)
    lead(GRAPH_HOST, *[dead_port] * 16)
    with pytest.raises(requests.exceptions.ConnectTimeout) as caught:
        aru.HttpSession(timeout=(1, 1), connect_retries=0, period=60).get(f"https://{GRAPH_HOST}/")
    assert not aru.was_sent(caught.value)


def test_addresses_that_are_never_reached_leave_time_to_those_after_them(
    monkeypatch: pytest.MonkeyPatch, tenant: Tenant, dead_port: int, lead: Lead
) -> None:
    monkeypatch.setattr(aru, "CONNECT_PERIOD", 0.4)
    with Simulator(tenant) as simulator:
        lead(GRAPH_HOST, dead_port, dead_port, dead_port, simulator.port)
        aru.HttpSession(connect_retries=0, period=60).get(f"http://{GRAPH_HOST}/")
        assert [request.host for request in simulator.requests] == [GRAPH_HOST]
