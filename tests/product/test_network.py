"""Over real sockets with TLS: certificates, proxies, .netrc."""

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme

import AzureRiskyUsers as aru  # noqa: N813 - the module bears the name of the integration
from helpers import FAILED, GRAPH_HOST, LOGIN_HOST, READ_ONE, Fail, Succeed, set_proxy, unset_proxy
from warroom.azure.server import Simulator
from warroom.azure.tenant import Tenant
from warroom.xsoar.runner import WarRoom

UNTRUSTED = (
    "{} was not reached: its certificate is not trusted. If a proxy with a certificate of its own stands between, add "
    "that certificate to the engine or server, or select 'Trust any certificate (not secure)' (SSLError)."
)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A certificate authority that this machine does not know."""
    return trustme.CA()


@pytest.fixture(scope="module")
def bundle(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The file of certificates by which its servers are trusted."""
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


@pytest.fixture(scope="module")
def other_bundle(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Certificates of an authority that has nothing to do with the servers."""
    path = tmp_path_factory.mktemp("other") / "ca.pem"
    trustme.CA().cert_pem.write_to_path(path)
    return str(path)


def served(tenant: Tenant, authority: trustme.CA, *hosts: str) -> Simulator:
    """A simulator that shows a certificate for these hosts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*hosts).configure_cert(context)
    return Simulator(tenant, ssl_context=context)


Routes = dict[tuple[str, int], int]


@pytest.fixture
def routes(monkeypatch: pytest.MonkeyPatch) -> Routes:
    """Where connections to a host and port really lead: to this port of this machine. To anywhere else, none leads."""
    ports: Routes = {}
    look_up = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, *options: Any, **named: Any) -> Any:
        host.encode("idna")  # as the real one does, which raises what this may raise
        if host == "127.0.0.1":
            return look_up(host, port, *options, **named)
        if (host, port) not in ports:
            raise socket.gaierror(host)
        return look_up("127.0.0.1", ports[host, port], *options, **named)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return ports


@pytest.fixture
def simulator(tenant: Tenant, authority: trustme.CA, routes: Routes) -> Iterator[Simulator]:
    """Both hosts, with certificates, where the names of the real ones lead."""
    with served(tenant, authority, LOGIN_HOST, GRAPH_HOST) as simulator:
        routes.update({(LOGIN_HOST, 443): simulator.port, (GRAPH_HOST, 443): simulator.port})
        yield simulator


@pytest.fixture
def war_room(war_room: WarRoom) -> WarRoom:
    """One whose requests go out by themselves."""
    war_room.simulator = None
    return war_room


def hosts(simulator: Simulator) -> list[str]:
    return [request.host for request in simulator.requests]


# Certificates


def test_the_login_hosts_unknown_certificate_is_refused(error: Fail, simulator: Simulator) -> None:
    assert error(READ_ONE) == f"{FAILED}Sign-in failed. {UNTRUSTED.format(LOGIN_HOST)}"
    assert simulator.requests == []


@pytest.fixture
def graph_of_another(tenant: Tenant, routes: Routes, simulator: Simulator) -> Iterator[Simulator]:
    """A Graph whose certificate is of an authority that is not in the bundle."""
    with served(tenant, trustme.CA(), GRAPH_HOST) as graph:
        graph.entra = graph.graph.entra = simulator.entra
        routes[GRAPH_HOST, 443] = graph.port
        yield graph


def test_graphs_unknown_certificate_is_refused(
    error: Fail,
    simulator: Simulator,
    graph_of_another: Simulator,
    bundle: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    assert error(READ_ONE) == FAILED + UNTRUSTED.format(GRAPH_HOST)
    assert hosts(simulator) == [LOGIN_HOST, LOGIN_HOST]
    assert graph_of_another.requests == []


def test_a_certificate_for_another_name_is_refused(
    error: Fail, tenant: Tenant, authority: trustme.CA, routes: Routes, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    with served(tenant, authority, "fabrikam.example") as simulator:
        routes[LOGIN_HOST, 443] = simulator.port
        assert error(READ_ONE) == f"{FAILED}Sign-in failed. {UNTRUSTED.format(LOGIN_HOST)}"
        assert simulator.requests == []


def test_any_certificate_is_accepted_where_the_instance_says_so(
    run: Succeed, war_room: WarRoom, simulator: Simulator, graph_of_another: Simulator
) -> None:
    war_room.params["insecure"] = True
    run(READ_ONE)
    assert hosts(simulator) + hosts(graph_of_another) == [LOGIN_HOST, LOGIN_HOST, GRAPH_HOST]


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_any_certificate_is_accepted_beside_a_bundle_of_the_platforms(
    run: Succeed,
    war_room: WarRoom,
    simulator: Simulator,
    other_bundle: str,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    monkeypatch.setenv(variable, other_bundle)
    war_room.params["insecure"] = True
    run(READ_ONE)
    assert hosts(simulator) == [LOGIN_HOST, LOGIN_HOST, GRAPH_HOST]


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_session_that_trusts_any_certificate_is_not_overruled_by_a_bundle(
    simulator: Simulator, other_bundle: str, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, other_bundle)
    assert aru.HttpSession(verify=False).get(f"https://{GRAPH_HOST}/").status_code == 400
    assert hosts(simulator) == [GRAPH_HOST]


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_bundle_of_the_platforms_is_honoured_for_login_and_graph(
    run: Succeed, simulator: Simulator, bundle: str, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, bundle)
    run(READ_ONE)
    assert hosts(simulator) == [LOGIN_HOST, LOGIN_HOST, GRAPH_HOST]


NO_CERTIFICATES = (
    f"{FAILED}Sign-in failed. {LOGIN_HOST} was not reached: the file of certificates that REQUESTS_CA_BUNDLE or "
    "CURL_CA_BUNDLE names on the engine or server cannot be read or holds none. Nothing was sent "
    "(CertificatesNotFound)."
)


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_bundle_that_is_not_there_is_named_as_the_cause(
    error: Fail, simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, str(tmp_path / "none.pem"))
    assert error(READ_ONE) == NO_CERTIFICATES
    assert simulator.requests == []


BROKEN = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@pytest.mark.usefixtures("routes")
@pytest.mark.parametrize("held", ["", "No certificate.\n", BROKEN], ids=["empty", "text", "broken"])
def test_a_bundle_without_certificates_is_named_as_the_cause(
    error: Fail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: str
) -> None:
    (tmp_path / "ca.pem").write_text(held)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    assert error(READ_ONE) == NO_CERTIFICATES


@pytest.mark.usefixtures("simulator")
def test_a_directory_of_certificates_is_taken_for_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
    assert type(failure_of()) is requests.exceptions.SSLError


def test_a_host_whose_name_leads_nowhere_is_named(
    error: Fail, simulator: Simulator, routes: Routes, no_waiting: list[float]
) -> None:
    routes.clear()
    assert error(READ_ONE) == (
        f"{FAILED}Sign-in failed. {LOGIN_HOST} was not reached: the connection failed or there was no answer in time. "
        "Check name resolution, firewall and proxy settings (ConnectionError)."
    )
    assert len(no_waiting) == 2
    assert simulator.requests == []


# Proxies


def pipe(source: socket.socket, sink: socket.socket) -> None:
    """Pass on what comes, until nothing more does."""
    with source, sink:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            return


class Proxy:
    """A proxy that notes where it is asked to lead, and leads to one port whatever it is asked."""

    def __init__(self, port: int, answer: str = "200 Connection established") -> None:
        self.port, self.answer = port, answer
        self.connections: list[str] = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.serve, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.socket.getsockname()[1]}"

    def serve(self) -> None:
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.lead, args=(client,), daemon=True).start()

    def lead(self, client: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            more = client.recv(4096)
            if not more:
                return
            head += more
        self.connections.append(head.decode().split(" HTTP/")[0])
        client.sendall(f"HTTP/1.1 {self.answer}\r\n\r\n".encode())
        if not self.answer.startswith("200"):
            client.close()
            return
        server = socket.create_connection(("127.0.0.1", self.port))
        threading.Thread(target=pipe, args=(client, server), daemon=True).start()
        pipe(server, client)


@pytest.fixture
def proxy(simulator: Simulator, bundle: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A proxy that the environment names, as the platform's server does."""
    proxy = Proxy(simulator.port)
    set_proxy(monkeypatch, proxy.url)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    yield proxy
    proxy.socket.close()


def test_login_and_graph_go_through_the_proxy_and_nowhere_else(
    run: Succeed, war_room: WarRoom, simulator: Simulator, proxy: Proxy, routes: Routes
) -> None:
    del routes[LOGIN_HOST, 443], routes[GRAPH_HOST, 443]
    war_room.params["proxy"] = True
    run(READ_ONE)
    assert proxy.connections == [f"CONNECT {LOGIN_HOST}:443", f"CONNECT {GRAPH_HOST}:443"]
    assert hosts(simulator) == [LOGIN_HOST, LOGIN_HOST, GRAPH_HOST]


@pytest.mark.parametrize("variable", ["ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("scheme", ["http://", ""])
def test_a_proxy_for_everything_is_used_where_the_instance_says_so(
    run: Succeed,
    war_room: WarRoom,
    simulator: Simulator,
    proxy: Proxy,
    routes: Routes,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    scheme: str,
) -> None:
    del routes[LOGIN_HOST, 443], routes[GRAPH_HOST, 443]
    unset_proxy(monkeypatch)
    monkeypatch.setenv(variable, proxy.url.replace("http://", scheme))
    war_room.params["proxy"] = True
    run(READ_ONE)
    assert proxy.connections == [f"CONNECT {LOGIN_HOST}:443", f"CONNECT {GRAPH_HOST}:443"]
    assert hosts(simulator) == [LOGIN_HOST, LOGIN_HOST, GRAPH_HOST]


def test_without_the_proxy_setting_neither_does_though_the_variables_are_set(
    run: Succeed, simulator: Simulator, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(variable, proxy.url)
    run(READ_ONE)
    assert proxy.connections == []
    assert hosts(simulator) == [LOGIN_HOST, LOGIN_HOST, GRAPH_HOST]


def test_a_proxy_that_refuses_is_named_as_the_cause(
    error: Fail, war_room: WarRoom, simulator: Simulator, proxy: Proxy, no_waiting: list[float]
) -> None:
    proxy.answer = "407 Proxy Authentication Required"
    war_room.params["proxy"] = True
    assert error(READ_ONE) == (
        f"{FAILED}Sign-in failed. {LOGIN_HOST} was not reached: the proxy refused. "
        "Check 'Use system proxy settings' and the server's proxy (ProxyError)."
    )
    assert simulator.requests == []
    assert sum(no_waiting) < 120


@pytest.mark.parametrize(
    "address",
    [
        "http://",
        "ftp://proxy.contoso.example",
        "http://proxy.contoso.example:port",
        "http://[::1",
        "socks5://proxy.contoso.example",
        f"http://{'a' * 70}.example:8080",
        "http://éé..x:1",
    ],
)
def test_a_proxy_that_cannot_be_used_is_named_as_the_cause(
    error: Fail,
    war_room: WarRoom,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    address: str,
) -> None:
    monkeypatch.setenv("ALL_PROXY", address)
    war_room.params["proxy"] = True
    assert error(READ_ONE) == (
        f"{FAILED}Sign-in failed. {LOGIN_HOST} was not reached: the address of the server's proxy is wrong, or of a "
        "kind that cannot be used here. Check 'Use system proxy settings' and the server's proxy. Nothing was sent "
        "(ProxyNotUsable)."
    )
    assert simulator.requests == []


@pytest.mark.usefixtures("routes")
@pytest.mark.parametrize("address", [f"http://{'a' * 70}.example:8080", "http://éé..x:1"])
def test_a_proxy_with_a_malformed_name_is_named_at_graph_too(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    set_proxy(monkeypatch, address)
    error = failure_of(use_proxy=True)
    assert (type(error), aru.was_sent(error)) == (aru.ProxyNotUsable, False)


# What surely was not sent


def failure_of(*, use_proxy: bool = False, **options: Any) -> requests.RequestException:
    """The error with which a request to Graph ends."""
    session = aru.HttpSession(**options)
    session.use_proxy = use_proxy
    with pytest.raises(requests.RequestException) as caught:
        session.post(f"https://{GRAPH_HOST}/")
    return caught.value


@pytest.mark.usefixtures("no_waiting", "simulator")
def test_a_request_surely_was_not_sent_without_a_connection(
    routes: Routes, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.answer = "407 Proxy Authentication Required"
    refused = failure_of(use_proxy=True)
    routes.clear()
    no_connection = failure_of()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/none.pem")
    no_bundle = failure_of()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/dev/null")
    empty_bundle = failure_of()
    other_cloud = failure_of(cloud=aru.CLOUDS["US Government L5 (DoD)"])
    errors = [refused, no_connection, no_bundle, empty_bundle, other_cloud, failure_of(period=0)]
    assert [(type(error).__name__, aru.was_sent(error)) for error in errors] == [
        ("ProxyError", False),
        ("ConnectionError", False),
        ("CertificatesNotFound", False),
        ("CertificatesNotFound", False),
        ("InvalidURL", False),
        ("TooLate", False),
    ]


@pytest.mark.usefixtures("no_waiting")
def test_a_request_surely_was_not_sent_to_a_host_that_is_not_trusted(simulator: Simulator) -> None:
    error = failure_of()
    assert (type(error), aru.was_sent(error)) == (requests.exceptions.SSLError, False)
    assert simulator.requests == []


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("fault", [{"drop": True}, {"truncate": True}], ids=["no answer", "half an answer"])
def test_a_request_may_have_been_sent_where_any_of_its_attempts_was(
    simulator: Simulator, routes: Routes, bundle: str, monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any]
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    take = simulator.take

    def take_once(request: Any) -> Any:
        routes.clear()
        return take(request)

    monkeypatch.setattr(simulator, "take", take_once)
    simulator.fail_next(**fault)
    error = failure_of()
    assert (type(error), aru.was_sent(error)) == (requests.exceptions.ConnectionError, True)


@pytest.mark.parametrize("reachable", [True, False])
@pytest.mark.usefixtures("no_waiting")
def test_an_error_of_graph_tells_whether_anything_was_sent(
    war_room: WarRoom,
    simulator: Simulator,
    routes: Routes,
    bundle: str,
    monkeypatch: pytest.MonkeyPatch,
    reachable: bool,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    instance = aru.build_instance(aru.read_settings(war_room.params), persistent=False)
    simulator.fail_next(drop=True, times=9)
    if not reachable:
        del routes[GRAPH_HOST, 443]
    with pytest.raises(aru.GraphError) as caught:
        instance.client.invoke_action(aru.RISKY_USERS, "dismiss", {"userIds": []})
    assert (caught.value.status, caught.value.was_sent) == (None, reachable)


# .netrc


def test_a_netrc_file_never_signs_a_request(
    run: Succeed, simulator: Simulator, bundle: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(
        f"machine {LOGIN_HOST} login adele password contoso\nmachine {GRAPH_HOST} login adele password contoso\n"
    )
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    run(READ_ONE)
    schemes = [request.headers.get("Authorization", "none").split()[0] for request in simulator.requests]
    assert schemes == ["none", "none", "Bearer"]
