"""`warroom serve` answers any client as Microsoft would, logs it without secrets, and leaves nothing behind."""

import json
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.client import HTTPConnection, HTTPSConnection, RemoteDisconnected
from pathlib import Path
from typing import IO, Any, NamedTuple

import pytest
import requests
from cryptography import x509
from requests.structures import CaseInsensitiveDict

from helpers import Row, ids
from warroom.azure.demo import ADELE_ID, demo_tenant
from warroom.azure.entra import DEVICE_CODE, DEVICE_LOGIN
from warroom.azure.exchange import Recorded
from warroom.azure.identity import APP_SERVICE_HEADER
from warroom.azure.service import Service
from warroom.azure.services import Services
from warroom.azure.tenant import CLIENT_ID, CLIENT_SECRET, TENANT_ID
from warroom.terminal.serving import log_line
from warroom.terminal.session import main

SMALL = ("--users", "30", "--detections", "20", "--seed", "3")
LOGIN_HOST, GRAPH_HOST = "login.microsoftonline.com", "graph.microsoft.com"
TOKEN_PATH = f"/{TENANT_ID}/oauth2/v2.0/token"
USERS_PATH = "/v1.0/identityProtection/riskyUsers"
SCOPE = "https://graph.microsoft.com/.default"
BY_SECRET = {
    "grant_type": "client_credentials",
    "client_id": CLIENT_ID,
    "client_secret": CLIENT_SECRET,
    "scope": SCOPE,
}
SIMULATED = "The tenant is simulated: nothing leaves this machine. It is new in each call; --state FILE keeps it.\n"


class Served(NamedTuple):
    """A running `warroom serve --json`, and the line that it printed."""

    process: subprocess.Popen[str]
    facts: Row
    log: IO[str]

    def logged(self) -> list[str]:
        """The lines that came since it was last asked."""
        return self.log.read().splitlines()

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(10)

    def proxied(self) -> requests.Session:
        """A session like that of any client with the variables of the guide in its environment."""
        session = requests.Session()
        session.trust_env = False
        proxy = f"http://127.0.0.1:{self.facts['http']}"
        session.proxies = {"https": proxy, "http": proxy}
        session.verify = self.facts["ca"]
        return session


@contextmanager
def serve(log: Path, *arguments: str, **options: Any) -> Iterator[Served]:
    command = [sys.executable, "-m", "warroom", "serve", *arguments, "--json", *SMALL]
    with (
        log.open("w") as stderr,
        log.open() as lines,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True, **options) as process,
    ):
        try:
            assert process.stdout is not None
            yield Served(process, json.loads(process.stdout.readline()), lines)
        finally:
            process.terminate()
            process.wait(10)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("log") / "log.txt") as served:
        yield served


@pytest.fixture
def served(running: Served) -> Served:
    """What is running, its log read up to now."""
    running.logged()
    return running


@pytest.fixture
def session(served: Served) -> Iterator[requests.Session]:
    with served.proxied() as session:
        yield session


@pytest.fixture
def token(session: requests.Session, served: Served) -> str:
    answer = session.post(f"https://{LOGIN_HOST}{TOKEN_PATH}", data=BY_SECRET)
    served.logged()
    return str(answer.json()["access_token"])


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


# What a client is told


def test_one_line_of_json_tells_a_client_what_it_needs(tmp_path: Path) -> None:
    with serve(tmp_path / "log.txt") as served:
        https, http, ca = (served.facts[name] for name in ("https", "http", "ca"))
        assert served.facts == {
            "https": https,
            "http": http,
            "ca": ca,
            "tenant_id": TENANT_ID,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
        }
        for port in (https, http):
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        assert Path(ca).parent.stat().st_mode & 0o077 == 0
        assert served.end(signal.SIGINT) == 0
        assert served.process.stdout is not None
        assert served.process.stdout.read() == ""


def test_a_person_is_told_the_same_in_words() -> None:
    command = [sys.executable, "-m", "warroom", "serve", *SMALL]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(20)]
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    told = dict(line.split(maxsplit=1) for line in lines[2:9])
    https, http, ca = told["https"].split(",")[0], told["http"].split(",")[0], told["ca"].strip()
    assert told["hosts"].strip() == f"{LOGIN_HOST}, {GRAPH_HOST}, microsoft.com"
    assert [told[name].strip() for name in ("tenant_id", "client_id", "client_secret")] == [
        TENANT_ID,
        CLIENT_ID,
        CLIENT_SECRET,
    ]
    assert https != http
    assert [line.strip() for line in lines if "export" in line] == [
        f"export HTTPS_PROXY=http://{http} HTTP_PROXY=http://{http}",
        f"export SSL_CERT_FILE={ca} REQUESTS_CA_BUNDLE={ca} CURL_CA_BUNDLE={ca}",
        f"export AZURE_TENANT_ID={TENANT_ID}",
        f"export AZURE_CLIENT_ID={CLIENT_ID}",
        f"export AZURE_CLIENT_SECRET={CLIENT_SECRET}",
    ]


def test_the_certificate_is_for_microsofts_hosts_and_for_this_machine(served: Served) -> None:
    context = ssl.create_default_context(cafile=served.facts["ca"])
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    with (
        socket.create_connection(("127.0.0.1", served.facts["https"]), timeout=5) as connection,
        context.wrap_socket(connection, server_hostname=GRAPH_HOST) as secured,
    ):
        certificate = x509.load_der_x509_certificate(secured.getpeercert(binary_form=True) or b"")
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [LOGIN_HOST, GRAPH_HOST, "microsoft.com", "localhost"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]


def test_the_options_make_the_tenant_that_the_war_room_has(session: requests.Session, token: str) -> None:
    answer = session.get(f"https://{GRAPH_HOST}{USERS_PATH}", params={"$top": "500"}, headers=bearer(token))
    assert ids(answer.json()["value"]) == list(demo_tenant(users=30, detections=20, seed=3).users)


# How a client gets there


def to_https_port(served: Served, host: str) -> tuple[str, dict[str, str]]:
    return f"https://127.0.0.1:{served.facts['https']}", {"Host": host}


def to_http_port(served: Served, host: str) -> tuple[str, dict[str, str]]:
    return f"http://127.0.0.1:{served.facts['http']}", {"Host": host}


def to_http_port_by_name(served: Served, host: str) -> tuple[str, dict[str, str]]:
    return f"http://localhost:{served.facts['http']}", {"Host": f"{host.upper()}:{served.facts['http']}"}


@pytest.mark.parametrize("way", [to_https_port, to_http_port, to_http_port_by_name])
def test_every_port_signs_a_client_in_and_lists(
    served: Served, way: Callable[[Served, str], tuple[str, dict[str, str]]]
) -> None:
    ca = served.facts["ca"]
    with requests.Session() as session:
        address, headers = way(served, LOGIN_HOST)
        signed_in = session.post(address + TOKEN_PATH, data=BY_SECRET, headers=headers, verify=ca)
        address, headers = way(served, GRAPH_HOST)
        headers |= bearer(signed_in.json()["access_token"])
        page = session.get(f"{address}{USERS_PATH}?$top=1", headers=headers, verify=ca).json()
    assert page["@odata.context"] == f"https://{GRAPH_HOST}/v1.0/$metadata#identityProtection/riskyUsers"
    assert len(page["value"]) == 1
    assert page["@odata.nextLink"].startswith(f"https://{GRAPH_HOST}{USERS_PATH}?$top=1&$skiptoken=")


def test_a_client_by_way_of_the_proxy_pages_to_the_end(session: requests.Session, token: str, served: Served) -> None:
    address = f"https://{GRAPH_HOST}{USERS_PATH}?$top=20"
    rows: list[Row] = []
    while address:
        page = session.get(address, headers=bearer(token)).json()
        rows += page["value"]
        address = page.get("@odata.nextLink", "")
    assert len(rows) == 30
    first, second = served.logged()
    assert first == f"GET {GRAPH_HOST} {USERS_PATH}?$top=20 200"
    assert second.startswith(f"GET {GRAPH_HOST} {USERS_PATH}?$top=20&$skiptoken=")


def test_graph_is_not_served_without_tls_to_who_asks_for_that(session: requests.Session, token: str) -> None:
    assert session.get(f"http://{GRAPH_HOST}{USERS_PATH}", headers=bearer(token)).status_code == 421


@pytest.mark.parametrize("address", ["https://graph.microsoft.us/", "https://contoso.example/", "https://localhost/"])
def test_the_proxy_leads_nowhere_else(session: requests.Session, served: Served, address: str) -> None:
    with pytest.raises(requests.exceptions.ProxyError, match="403 Forbidden"):
        session.get(address)
    host = address.split("/")[2]
    assert served.logged() == [f"CONNECT {host}:443 403"]


def test_a_certificate_of_nobody_known_is_not_trusted(session: requests.Session) -> None:
    session.verify = True
    with pytest.raises(requests.exceptions.SSLError):
        session.get(f"https://{GRAPH_HOST}/")


@pytest.mark.parametrize("address", ["http://169.254.169.254", "http://127.0.0.1:{http}", "http://localhost:{http}"])
def test_the_machines_identity_is_served_by_its_own_address_and_by_the_ports(
    session: requests.Session, served: Served, address: str
) -> None:
    session.proxies = session.proxies if "169" in address else {}
    machine = address.format(**served.facts)
    query = {"api-version": "2018-02-01", "resource": f"https://{GRAPH_HOST}"}
    path = "/metadata/identity/oauth2/token"
    answer = session.get(f"{machine}{path}", params=query, headers={"Metadata": "true"})
    assert answer.json()["resource"] == f"https://{GRAPH_HOST}"
    shown = "api-version=2018-02-01&resource=https%3A%2F%2Fgraph.microsoft.com"
    assert served.logged() == [f"GET 169.254.169.254 {path}?{shown} 200"]


def test_the_identity_of_an_app_service_is_served_too(served: Served) -> None:
    query = {"api-version": "2019-08-01", "resource": f"https://{GRAPH_HOST}"}
    headers = {"X-IDENTITY-HEADER": APP_SERVICE_HEADER}
    answer = requests.get(f"http://127.0.0.1:{served.facts['http']}/msi/token", params=query, headers=headers)
    assert answer.json()["resource"] == f"https://{GRAPH_HOST}"


def answered(served: Served, request: bytes) -> bytes:
    """What a port without TLS says to these bytes, the last that the client sends."""
    with socket.create_connection(("127.0.0.1", served.facts["http"]), timeout=5) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


TO_LOGIN = f"POST {TOKEN_PATH} HTTP/1.1\r\nHost: {LOGIN_HOST}\r\nContent-Type: application/x-www-form-urlencoded\r\n"


@pytest.mark.parametrize(
    ("request_text", "reason"),
    [
        (f"{TO_LOGIN}Content-Length: many\r\n\r\n", "Invalid length"),
        (f"{TO_LOGIN}Content-Length: -1\r\n\r\n", "Invalid length"),
        (f"{TO_LOGIN}Content-Length: 9\r\n\r\na=b", "Incomplete body"),
        (f"{TO_LOGIN}Content-Length: 1\r\n\r\n\xff", "Bad Request"),
        (f"{TO_LOGIN}Transfer-Encoding: chunked\r\n\r\nmany\r\n", "Invalid length"),
        (f"{TO_LOGIN}Transfer-Encoding: chunked\r\n\r\n3\r\na=b\r\n", "Invalid length"),
        (f"GET http://[ HTTP/1.1\r\nHost: {LOGIN_HOST}\r\n\r\n", "Bad Request"),
        ("CONNECT a.example:443 HTTP/1.1\r\nContent-Length: many\r\n\r\n", "Invalid length"),
    ],
)
def test_what_is_no_request_is_refused_without_a_word_in_the_log(
    served: Served, request_text: str, reason: str
) -> None:
    answer = answered(served, request_text.encode("latin-1"))
    assert answer.startswith(f"HTTP/1.1 400 {reason}\r\n".encode())
    assert served.logged() == []


def test_a_body_in_chunks_is_read_whole_and_the_next_request_after_it(session: requests.Session, token: str) -> None:
    users = f"https://{GRAPH_HOST}{USERS_PATH}"
    body = json.dumps({"userIds": [ADELE_ID]}).encode()
    pieces = iter([body[:9], body[9:]])
    headers = {**bearer(token), "Content-Type": "application/json"}
    assert session.post(f"{users}/dismiss", data=pieces, headers=headers).status_code == 204
    for _ in range(2):  # As in Entra, the first read shows what was before.
        shown = session.get(f"{users}/{ADELE_ID}", headers=bearer(token)).json()
    assert shown["riskState"] == "dismissed"


# A person at the browser


def started_flow(session: requests.Session) -> Row:
    form = {"client_id": CLIENT_ID, "scope": f"{SCOPE} openid"}
    started: Row = session.post(f"https://{LOGIN_HOST}/{TENANT_ID}/oauth2/v2.0/devicecode", data=form).json()
    return started


def redeemed(session: requests.Session, flow: Row) -> Row:
    form = {"grant_type": DEVICE_CODE, "client_id": CLIENT_ID, "device_code": flow["device_code"]}
    answer: Row = session.post(f"https://{LOGIN_HOST}{TOKEN_PATH}", data=form).json()
    return answer


def test_a_device_code_is_entered_at_the_page_it_names(session: requests.Session, served: Served) -> None:
    flow = started_flow(session)
    page = session.get(flow["verification_uri"])
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html")
    assert 'name="code"' in page.text
    code = flow["user_code"].lower()
    assert session.post(DEVICE_LOGIN, data={"code": f" {code} ", "answer": "approve"}).status_code == 200
    assert redeemed(session, flow)["token_type"] == "Bearer"
    assert flow["user_code"] not in "".join(served.logged())


def test_a_declined_device_code_signs_nobody_in(session: requests.Session) -> None:
    flow = started_flow(session)
    assert session.post(DEVICE_LOGIN, data={"code": flow["user_code"], "answer": "decline"}).status_code == 200
    assert redeemed(session, flow)["error"] == "authorization_declined"


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"code": "<b>", "answer": "approve"}, 404),
        ({"answer": "approve"}, 404),
        ({"code": "CODE00001"}, 400),
        ({"code": "CODE00001", "answer": "maybe"}, 400),
        ([("code", "A"), ("code", "B"), ("answer", "approve")], 400),
    ],
)
def test_what_is_no_answer_to_a_code_is_refused(session: requests.Session, form: Any, status: int) -> None:
    answer = session.post(DEVICE_LOGIN, data=form)
    assert answer.status_code == status
    assert "<b>" not in answer.text


@pytest.mark.parametrize(("method", "path", "status"), [("PUT", "/devicelogin", 400), ("GET", "/", 404)])
def test_the_page_for_codes_has_no_other_use(session: requests.Session, method: str, path: str, status: int) -> None:
    assert session.request(method, f"https://microsoft.com{path}").status_code == status


# The log


def test_each_request_is_a_line_without_its_token_or_secret(session: requests.Session, served: Served) -> None:
    login = f"https://{LOGIN_HOST}{TOKEN_PATH}"
    token = session.post(login, data=BY_SECRET).json()["access_token"]
    session.post(login, data=BY_SECRET | {"client_secret": "mistyped"})
    users = f"https://{GRAPH_HOST}{USERS_PATH}"
    session.get(f"{users}/{ADELE_ID}?$select=id", headers=bearer(token))
    session.get(users)
    session.get(f"{users}?access_token={token}&$top=1", headers=bearer(token))
    session.post(f"{users}/dismiss", json={"userIds": []}, headers=bearer(token))
    assert served.logged() == [
        f"POST {LOGIN_HOST} {TOKEN_PATH} 200",
        f"POST {LOGIN_HOST} {TOKEN_PATH} 401",
        f"GET {GRAPH_HOST} {USERS_PATH}/{ADELE_ID}?$select=id 200",
        f"GET {GRAPH_HOST} {USERS_PATH} 401",
        f"GET {GRAPH_HOST} {USERS_PATH}?access_token=***&$top=1 400",
        f"POST {GRAPH_HOST} {USERS_PATH}/dismiss 400",
    ]


REQUEST = Recorded("GET", "a.example", "/", {}, CaseInsensitiveDict(), b"", {}, "/", "https", 1)


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("/a?$skiptoken=ab_1&$filter=id%20eq%20'1'", "/a?$skiptoken=ab_1&$filter=id%20eq%20'1'"),
        ("/a?client_secret=s3", "/a?client_secret=***"),
        ("/a?client%5Fsecret=s3&b=c%20d", "/a?client%5Fsecret=***&b=c%20d"),
        ("/a?Client_Assertion=s3&password=s3&code=s3", "/a?Client_Assertion=***&password=***&code=***"),
        ("/a?b=1;client_secret=s3", "/a?b=1;client_secret=***"),
        ("/a?refresh_token=s3&refresh_token=s3", "/a?refresh_token=***&refresh_token=***"),
        ("/a\x1b[2J\u009b?b", "/a\\x1b[2J\\x9b?b"),
    ],
)
def test_a_line_of_the_log_hides_secrets_and_what_would_act_on_a_terminal(target: str, shown: str) -> None:
    assert log_line(replace(REQUEST, target=target), 200) == f"GET a.example {shown} 200"


def test_a_line_of_the_log_hides_who_is_named_in_the_address_of_a_proxys_request() -> None:
    assert log_line(replace(REQUEST, host="me:s3@a.example"), 421) == "GET ***@a.example / 421"


# The end


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("usual", [signal.SIG_DFL, signal.SIG_IGN])
def test_it_ends_cleanly_when_it_is_interrupted(tmp_path: Path, number: int, usual: Any) -> None:
    def as_in_a_script() -> None:
        """A shell has what it runs in the background ignore Ctrl-C."""
        signal.signal(signal.SIGINT, usual)

    log = tmp_path / "log.txt"
    with serve(log, preexec_fn=as_in_a_script) as served, served.proxied() as session:
        session.get(f"https://{GRAPH_HOST}/")  # which leaves a connection open
        began = time.monotonic()
        assert served.end(number) == 0
        assert time.monotonic() - began < 3
        assert not Path(served.facts["ca"]).parent.exists()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", served.facts["https"]), timeout=5)
    assert log.read_text() == f"{SIMULATED}GET {GRAPH_HOST} / 400\n"


def test_it_ends_cleanly_when_its_terminal_is_closed(tmp_path: Path) -> None:
    with serve(tmp_path / "log.txt") as served:
        assert served.end(signal.SIGHUP) == 0
        assert not Path(served.facts["ca"]).parent.exists()


def test_it_goes_on_without_its_terminal_where_that_is_asked_for(tmp_path: Path) -> None:
    def as_nohup_does() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with serve(tmp_path / "log.txt", preexec_fn=as_nohup_does) as served, served.proxied() as session:
        served.process.send_signal(signal.SIGHUP)
        assert session.get(f"https://{GRAPH_HOST}/").status_code == 400
        assert served.end(signal.SIGTERM) == 0


def test_a_connection_that_outlasts_the_service_changes_nothing_more() -> None:
    services = Services(demo_tenant(users=20, detections=10))
    with Service(services) as service:
        context = ssl.create_default_context(cafile=str(service.ca))
        connections = (
            HTTPConnection("127.0.0.1", service.http_port, timeout=5),
            HTTPSConnection("127.0.0.1", service.https_port, timeout=5, context=context),
        )
        for connection in connections:
            connection.request("GET", USERS_PATH, headers={"Host": GRAPH_HOST})
            assert connection.getresponse().read()
    for connection in connections:
        connection.request("GET", USERS_PATH, headers={"Host": GRAPH_HOST})
        with pytest.raises(RemoteDisconnected):
            connection.getresponse()
        connection.close()
    assert len(services.requests) == 2


def test_the_war_room_goes_on_with_what_clients_have_changed(tmp_path: Path) -> None:
    line = f"!azure-risky-user-get id={ADELE_ID}"
    with serve(tmp_path / "log.txt", line) as served, served.proxied() as session:
        token = session.post(f"https://{LOGIN_HOST}{TOKEN_PATH}", data=BY_SECRET).json()["access_token"]
        dismiss = f"https://{GRAPH_HOST}{USERS_PATH}/dismiss"
        assert session.post(dismiss, json={"userIds": [ADELE_ID]}, headers=bearer(token)).status_code == 204
        assert session.get(f"https://{GRAPH_HOST}{USERS_PATH}/{ADELE_ID}", headers=bearer(token)).ok
        assert served.end(signal.SIGINT) == 0
        assert served.process.stdout is not None
        (entry,) = json.loads(served.process.stdout.read())
    assert entry["Contents"]["riskState"] == "dismissed"


def test_only_the_simulated_tenant_can_be_served(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    instance = tmp_path / "my.instance.json"
    instance.write_text('{"client_id": {"identifier": "a"}}')
    assert main(["serve", "--instance", str(instance)]) == 2
    assert capsys.readouterr().err == "That is only for the simulated tenant; this instance is a real one.\n"
    assert main(["serve now"]) == 2
