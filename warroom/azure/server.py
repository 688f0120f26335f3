"""The simulated tenant's hosts on a port of this machine."""

from __future__ import annotations

import json
import re
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase, RawIOBase
from types import TracebackType
from typing import Any, NamedTuple, cast
from urllib.parse import parse_qsl, urlsplit

from requests.adapters import DEFAULT_RETRIES, HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.util.retry import Retry

from warroom.azure.exchange import Answer, Recorded
from warroom.azure.faults import JSON_TYPE, Fault
from warroom.azure.loopback import LoopbackAdapter
from warroom.azure.services import Services
from warroom.azure.tenant import Tenant

__all__ = ["Fault", "LoopbackAdapter", "Recorded", "Simulator"]

LONGEST_LINE = 65536
FORM_TYPE = "application/x-www-form-urlencoded"
DIAGNOSTIC = '{"ServerInfo":{"DataCenter":"Contoso","Slice":"E","Ring":"5"}}'


class _Decoded(NamedTuple):
    """Names and values of a query or form, and the names that came more than once."""

    values: dict[str, str]
    repeated: tuple[str, ...]


def _decoded(text: str) -> _Decoded:
    pairs = parse_qsl(text, keep_blank_values=True)
    names = [name for name, _ in pairs]
    repeated = [name for name in dict(pairs) if names.count(name) > 1]
    return _Decoded(dict(pairs), tuple(repeated))


def _content(answer: Answer) -> bytes:
    if answer.body is None:
        return b""
    if isinstance(answer.body, str):
        return answer.body.encode()
    return json.dumps(answer.body).encode()


class _Dripping(RawIOBase):
    """Sends one byte after another, with a wait before each."""

    def __init__(self, connection: socket.socket, wait: Callable[[], object]) -> None:
        self.connection = connection
        self.wait = wait

    def write(self, content: Any) -> int:
        for byte in content:
            self.wait()
            self.connection.sendall(bytes([byte]))
        return len(content)


class MalformedError(Exception):
    """A request that HTTP does not know; the text says in what."""


class Target(NamedTuple):
    """What a request is for, whatever port it came to. path: with the query, raw."""

    scheme: str
    host: str
    path: str


class Server(ThreadingHTTPServer):
    """Where a handler's requests come from, and who answers them."""

    daemon_threads = True
    block_on_close = False
    services: Services
    scheme = "http"
    has_ended = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Show a defect, but stay silent of a client that breaks off.

        One that does not trust the certificate does so with an SSLError.
        """
        _, error, _ = sys.exc_info()
        if not isinstance(error, ConnectionError | ssl.SSLError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """Hands the requests of a connection to the services, and sends what they answer."""

    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def handle_one_request(self) -> None:
        """Serve a request; one that is malformed is refused, and ends the connection."""
        try:
            super().handle_one_request()
        except MalformedError as problem:
            self.send_error(HTTPStatus.BAD_REQUEST, str(problem))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Log nothing."""

    def log_answer(self, request: Recorded, answer: Answer) -> None:
        """Log nothing."""

    def target(self) -> Target:
        """What the request is for. Its own scheme may stand in a header: see loopback.py."""
        scheme = self.headers.get("X-Forwarded-Proto", self.server.scheme)
        host = self.headers.get("Host", "")
        return Target(scheme, host.lower(), self.path)

    def _read_exactly(self, length: str, base: int = 10) -> bytes:
        """So many bytes. Raises: MalformedError: it is no number, or the client breaks off."""
        if not re.fullmatch("[0-9A-Fa-f]{1,8}", length):
            raise MalformedError("Invalid length")
        number = int(length, base)
        content = self.rfile.read(number)
        if len(content) < number:
            raise MalformedError("Incomplete body")
        return content

    def _read_chunks(self) -> Iterator[bytes]:
        """The body of a client that did not know its length beforehand."""
        while True:
            size, _, _ = self.rfile.readline(LONGEST_LINE).partition(b";")
            chunk = self._read_exactly(size.strip().decode("latin-1"), 16)
            if not chunk:
                break
            yield chunk
            self.rfile.readline(LONGEST_LINE)
        while self.rfile.readline(LONGEST_LINE).strip():
            """What may follow are headers, of which none means anything here."""

    def _body(self) -> bytes:
        if "Transfer-Encoding" in self.headers:
            return b"".join(self._read_chunks())
        return self._read_exactly(self.headers.get("Content-Length", "0"))

    def recorded(self) -> Recorded:
        """The request, with a number of its own. Raises: MalformedError."""
        try:
            return self._recorded()
        except ValueError as problem:  # of a number, an address, or a form's text
            raise MalformedError("Bad Request") from problem

    def _recorded(self) -> Recorded:
        headers = CaseInsensitiveDict(self.headers.items())
        body = self._body()
        is_form = headers.get("Content-Type", "").startswith(FORM_TYPE)
        form = _decoded(body.decode() if is_form else "")
        target = self.target()
        parts = urlsplit(target.path)
        query = _decoded(parts.query)
        number = next(self.server.services.numbers)
        return Recorded(
            method=self.command,
            host=target.host,
            path=parts.path,
            query=query.values,
            headers=headers,
            body=body,
            form=form.values,
            target=target.path,
            scheme=target.scheme,
            number=number,
            repeated=query.repeated + form.repeated,
        )

    def _send_headers(self, request: Recorded, answer: Answer) -> None:
        request_id, client_request_id = self.server.services.request_ids(request)
        headers = {
            "Content-Type": JSON_TYPE,
            "request-id": request_id,
            "client-request-id": client_request_id,
            "x-ms-ags-diagnostic": DIAGNOSTIC,
            **answer.headers,
        }
        if answer.status != 204:
            headers["Content-Length"] = str(len(_content(answer)))
        if self.close_connection:
            # Otherwise a client may send its next request into a connection that ends.
            headers["Connection"] = "close"
        self.send_response(answer.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _drip(self, seconds: float) -> None:
        """Let what follows come byte by byte, to the end of the connection."""
        services = self.server.services
        file = _Dripping(self.connection, lambda: services.sleep(seconds))
        self.wfile.flush()
        self.wfile = cast(BufferedIOBase, file)

    def _serve(self) -> None:
        services = self.server.services
        request = self.recorded()
        if self.server.has_ended:  # The connection is older than that.
            self.close_connection = True
            return
        answer, fault = services.take(request)
        self.log_answer(request, answer)
        if fault.delay_s:
            services.sleep(fault.delay_s)
        if fault.drop or fault.truncate or fault.drip_s:
            self.close_connection = True
        if fault.drop:
            return
        if fault.drips_head:
            self._drip(fault.drip_s)
        self._send_headers(request, answer)
        content = _content(answer)
        if fault.truncate:
            content = content[: len(content) // 2]
        if fault.drip_s:
            self._drip(fault.drip_s)
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - the base class's names


class Port:
    """A port of 127.0.0.1 that leads to services; a context manager.

    ssl_context: serves TLS with its certificate. handler: what becomes of a connection.
    """

    def __init__(
        self,
        services: Services,
        ssl_context: ssl.SSLContext | None = None,
        handler: Callable[..., Handler] = Handler,
    ) -> None:
        self._server = Server(("127.0.0.1", 0), handler)
        self._server.services = services
        if ssl_context:
            self._serve_tls(ssl_context)

    def _serve_tls(self, context: ssl.SSLContext) -> None:
        self._server.scheme = "https"
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )

    def __enter__(self) -> Port:
        serving = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.02},
            daemon=True,
        )
        serving.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.has_ended = True
        self._server.shutdown()
        self._server.server_close()

    @property
    def number(self) -> int:
        return int(self._server.server_address[1])

    @property
    def scheme(self) -> str:
        return self._server.scheme


class Simulator(Services):
    """The tenant's services on 127.0.0.1; a context manager.

    ssl_context: serves TLS with its certificate.
    """

    def __init__(
        self, tenant: Tenant, *, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        super().__init__(tenant)
        self._port = Port(self, ssl_context)

    def __enter__(self) -> Simulator:
        self._port.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._port.__exit__(kind, error, trace)

    @property
    def port(self) -> int:
        return self._port.number

    def adapter(
        self,
        max_retries: Retry | int | None = DEFAULT_RETRIES,
        carrier: HTTPAdapter | None = None,
    ) -> LoopbackAdapter:
        """A new adapter for `requests` that leads here, by way of the carrier if given."""
        return LoopbackAdapter(self.port, max_retries, self._port.scheme, carrier)
