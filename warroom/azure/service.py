"""The simulated tenant as a service: for any client that can be led to this machine."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from warroom.azure.authority import vouch_for
from warroom.azure.browser import HOST as BROWSER_HOST
from warroom.azure.exchange import Answer, Recorded, html_page
from warroom.azure.identity import APP_SERVICE, APP_SERVICE_HOST, IMDS_HOST
from warroom.azure.server import Handler, Port, Target
from warroom.azure.services import Services

THIS_MACHINE = ("localhost", "127.0.0.1")
HTTPS_PORT = 443

Log = Callable[[Recorded, int], object]


def _log_nothing(_request: Recorded, _status: int) -> None:
    """Log nothing."""


class _Entrance(NamedTuple):
    """What every connection to a service needs. hosts: those with TLS, by this context."""

    hosts: tuple[str, ...]
    context: ssl.SSLContext
    log: Log

    def wrapped(self, connection: socket.socket) -> ssl.SSLSocket:
        """The connection, on which TLS is spoken from now on."""
        return self.context.wrap_socket(connection, server_side=True)


class _ServiceHandler(Handler):
    """Takes requests for the service's hosts however a client is led here."""

    is_inside_tunnel = False

    def __init__(self, entrance: _Entrance, *connection: Any) -> None:
        self.entrance = entrance
        super().__init__(*connection)

    def log_answer(self, request: Recorded, answer: Answer) -> None:
        self.entrance.log(request, answer.status)

    @property
    def is_plain(self) -> bool:
        """Whether what comes now is not in TLS."""
        return self.server.scheme == "http" and not self.is_inside_tunnel

    # ---- what a request is for

    def _of_this_machine(self, path: str) -> Target:
        """An endpoint of the machine's identity, by the port's own name."""
        is_app_service = path.partition("?")[0] == APP_SERVICE.path
        host = APP_SERVICE_HOST if is_app_service else IMDS_HOST
        return Target("http", host, path)

    def _scheme(self, host: str) -> str:
        """That by which a host is meant where a request does not tell.

        The plain port takes all as if TLS had ended before it.
        """
        is_machine = host in (IMDS_HOST, APP_SERVICE_HOST)
        return "http" if is_machine and self.is_plain else "https"

    def _asked(self) -> Target:
        """What the request says of itself; the scheme is empty where it says nothing."""
        parts = urlsplit(self.path)
        if self.command == "CONNECT":
            return Target("https", self.path, "")
        if parts.scheme:  # A proxy is asked by the whole address.
            path = self.path.removeprefix(f"{parts.scheme}://{parts.netloc}")
            return Target(parts.scheme, parts.netloc, path or "/")
        scheme = self.headers.get("X-Forwarded-Proto", "")
        return Target(scheme, self.headers.get("Host", ""), self.path)

    def target(self) -> Target:
        scheme, host, path = self._asked()
        _, port = self.connection.getsockname()
        host = host.lower().removesuffix(f":{port}")
        if host in THIS_MACHINE:
            return self._of_this_machine(path)
        return Target(scheme or self._scheme(host), host, path)

    # ---- a proxy that leads nowhere else

    def _refuse_tunnel(self) -> None:
        self.close_connection = True
        page = html_page(403, "This proxy leads nowhere else.")
        self.log_answer(self.recorded(), page)
        content = str(page.body).encode()
        self.send_response(page.status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_CONNECT(self) -> None:  # noqa: N802 - the base class's way to name it
        """Go on in TLS on this connection, as the host that the client wants."""
        known = [f"{host}:{HTTPS_PORT}" for host in self.entrance.hosts]
        if not self.is_plain or self.path.lower() not in known:
            self._refuse_tunnel()
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.flush()
        self.request = self.entrance.wrapped(self.request)
        self.is_inside_tunnel = True
        self.close_connection = False
        self.setup()

    def finish(self) -> None:
        super().finish()
        if self.is_inside_tunnel:
            self.request.close()


class Service:
    """Services on two ports of 127.0.0.1, with TLS and without; a context manager.

    hosts: those with TLS. The plain port is a proxy too, of nothing but them and the
    machine's identity. ca: the file of the authority that vouches for them; it is gone in
    the end. log: is told each request, and the status of its answer.
    """

    def __init__(self, services: Services, log: Log = _log_nothing) -> None:
        hosts = services.tenant.hosts
        self.hosts = (hosts.login, hosts.graph, BROWSER_HOST)
        self._opened = ExitStack()
        folder = self._opened.enter_context(TemporaryDirectory(prefix="tenant-"))
        self.ca = Path(folder, "ca.pem")
        context = vouch_for((*self.hosts, *THIS_MACHINE), Path(folder))
        entrance = _Entrance(self.hosts, context, log)
        handler = partial(_ServiceHandler, entrance)
        self._https = Port(services, context, handler)
        self._http = Port(services, None, handler)

    @property
    def https_port(self) -> int:
        return self._https.number

    @property
    def http_port(self) -> int:
        return self._http.number

    def __enter__(self) -> Service:
        for port in (self._https, self._http):
            self._opened.enter_context(port)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opened.close()
