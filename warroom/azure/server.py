"""The HTTP face of the simulated tenant on this machine: Graph, sign-in, managed identity, and ordered faults.

Stricter than the service: what the contract does not know is refused, never ignored.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from uuid import UUID, uuid5

from requests import PreparedRequest, Response
from requests.adapters import DEFAULT_RETRIES, HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import select_proxy
from urllib3.util.retry import Retry

from warroom.azure.entra import APP_SERVICE_HOST, IMDS_HOST, Asked, Entra
from warroom.azure.odata import (
    RESOURCES,
    BadRequestError,
    Row,
    boolean,
    page_size,
    selected,
)
from warroom.azure.tenant import (
    ACTIONS,
    PERMISSIONS,
    READ_ROLES,
    WRITE_ROLES,
    Answer,
    Tenant,
)

PREFERENCE = "include-unknown-enum-members"
GRAPH_JSON = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
CHALLENGE = (
    'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize",'
    ' client_id="00000003-0000-0000-c000-000000000000"'
)
HTML = "<!DOCTYPE html><html><body>{}</body></html>"


@dataclass(frozen=True)
class Recorded:
    """One request as it came: `path` and `target` (path and query) raw, `query` and `form` decoded."""

    method: str
    host: str
    path: str
    query: dict[str, str]
    headers: CaseInsensitiveDict[str]
    body: bytes
    form: dict[str, str]
    target: str
    scheme: str
    number: int
    repeated: tuple[str, ...] = ()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Fault:
    """What happens to `times` requests of a face, after letting `after` pass.

    status 200 without a body means that the request is carried out, only its answer is delayed, truncated (half-way
    through the body) or dropped (the connection is closed without one); retry_after: seconds or an HTTP date.
    """

    status: int = 200
    times: int = 1
    after: int = 0
    host: str = "graph"
    retry_after: int | str | None = None
    body: Row | str | None = None
    content_type: str | None = None
    drop: bool = False
    truncate: bool = False
    delay_s: float = 0
    location: str | None = None


# ---- Graph


class GraphError(Exception):
    """Ends a Graph request with an error body."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(status, code, message)
        self.status, self.code, self.message = status, code, message


GRAPH_ERRORS: Mapping[int, tuple[str, str]] = {  # for forced faults
    400: ("BadRequest", "Bad request."),
    401: (
        "InvalidAuthenticationToken",
        "Access token has expired or is not yet valid.",
    ),
    403: (
        "Forbidden",
        "You cannot perform the requested operation, required scopes are missing in the token.",
    ),
    404: ("ResourceNotFound", "The resource was not found."),
    429: ("TooManyRequests", "Too many requests."),
    500: ("InternalServerError", ""),
    503: ("serviceNotAvailable", ""),
}
UNLICENSED = (403, "Forbidden", "Your tenant is not licensed for this feature.")
UNSCOPED = (403, *GRAPH_ERRORS[403])
NO_ROLE = (
    403,
    "Authorization_RequestDenied",
    "Insufficient privileges to complete the operation.",
)
THROTTLED = (429, *GRAPH_ERRORS[429])


class Operation(NamedTuple):
    """One of Graph's operations; any one of `permissions` is enough, `options` are the query options it takes."""

    method: str
    template: str
    resource: str
    handler: str
    permissions: tuple[str, ...]
    options: tuple[str, ...] = ()


_USER_READ, _USER_WRITE, _EVENT_READ, _SP_READ, _SP_WRITE = (
    (permission,) for permission in PERMISSIONS
)
_LIST = ("$filter", "$select", "$top", "$orderby", "$skiptoken")
_HISTORY = ("$select", "$top", "$skiptoken")


def _readable(
    name: str, permissions: tuple[str, ...], counted: tuple[str, ...] = ()
) -> tuple[Operation, ...]:
    return (
        Operation("GET", name, name, "_list", permissions, (*_LIST, *counted)),
        Operation("GET", f"{name}/{{id}}", name, "_get", permissions, ("$select",)),
    )


def _with_history(name: str, permissions: tuple[str, ...]) -> tuple[Operation, ...]:
    path, resource = f"{name}/{{id}}/history", f"{name}/history"
    return (
        Operation("GET", path, resource, "_list_history", permissions, _HISTORY),
        Operation(
            "GET",
            f"{path}/{{item}}",
            resource,
            "_get_history_item",
            permissions,
            ("$select",),
        ),
    )


OPERATIONS = (
    *_readable("riskyUsers", _USER_READ, ("$count",)),
    *_with_history("riskyUsers", _USER_READ + _USER_WRITE),
    *_readable("riskDetections", _EVENT_READ),
    *_readable("riskyServicePrincipals", _SP_READ + _SP_WRITE, ("$count",)),
    *_with_history("riskyServicePrincipals", _SP_READ + _SP_WRITE)[:1],
    *_readable("servicePrincipalRiskDetections", _EVENT_READ),
    *(
        Operation(
            "POST",
            f"{name}/{action}",
            name,
            "_act",
            _USER_WRITE if name == "riskyUsers" else _SP_WRITE,
        )
        for name, action in ACTIONS
    ),
)


class Graph:
    """Microsoft Graph's ID Protection operations on a tenant.

    last_page_400: the last page still has a nextLink, and that link is answered 400.
    """

    def __init__(self, tenant: Tenant, entra: Entra) -> None:
        self.tenant, self.entra = tenant, entra
        self.last_page_400 = False

    def answer(self, request: Recorded) -> Answer:
        """Carry out one request. Raises: GraphError."""
        self.tenant.begin_request()
        segments = [unquote(segment) for segment in request.path.split("/")[1:]]
        operation = _operation(request.method, segments)
        caller = self._authorised(request, operation)
        try:
            _check_request(request, operation)
            handler: Callable[[Operation, Recorded, list[str]], Answer] = getattr(
                self, operation.handler
            )
            return handler(operation, request, [*segments[2:], str(caller["oid"])])
        except BadRequestError as error:
            raise GraphError(400, "BadRequest", str(error)) from error

    def _authorised(self, request: Recorded, operation: Operation) -> Row:
        """The claims of a token that may do this."""
        claims = self._claims(request.headers.get("Authorization", ""))
        granted = claims.get("roles") or claims.get("scp", "").split()
        if not set(granted) & set(operation.permissions):
            raise GraphError(*UNSCOPED)
        roles = READ_ROLES if operation.method == "GET" else WRITE_ROLES
        if "scp" in claims and not self.tenant.user_roles & roles:
            raise GraphError(*NO_ROLE)
        if not (
            self.tenant.is_licensed(operation.resource.partition("/")[0])
            or self.tenant.hide_unlicensed
        ):
            raise GraphError(*UNLICENSED)
        return claims

    def _claims(self, authorization: str) -> Row:
        scheme, _, token = authorization.partition(" ")
        try:
            if scheme != "Bearer" or not token:
                raise ValueError("Access token is empty.")
            claims = self.entra.claims(token)
        except KeyError as error:
            message = "CompactToken validation failed with reason code: 80049228."
            raise GraphError(401, "InvalidAuthenticationToken", message) from error
        except ValueError as error:
            raise GraphError(401, "InvalidAuthenticationToken", str(error)) from error
        if claims["aud"] != f"https://{self.tenant.hosts.graph}":
            message = "Access token validation failure. Invalid audience."
            raise GraphError(401, "InvalidAuthenticationToken", message)
        return claims

    # ---- handlers; `names` are the path's segments from the collection on, then the caller's object id

    def _list(self, operation: Operation, request: Recorded, _: list[str]) -> Answer:
        query, name = request.query, operation.resource
        anew = "$skiptoken" not in query
        rows = self.tenant.listing(
            name, query.get("$filter"), query.get("$orderby"), anew
        )
        count = (
            {"@odata.count": len(rows)}
            if boolean(query.get("$count"), "$count") and anew
            else {}
        )
        body, page = self._page(operation, request, rows, f"identityProtection/{name}")
        self.tenant.seen(name, page)
        return Answer(200, body | count)

    def _list_history(
        self, operation: Operation, request: Recorded, names: list[str]
    ) -> Answer:
        items = self._history(names)
        body, _ = self._page(
            operation, request, items, f"{names[0]}('{names[1]}')/history"
        )
        return Answer(200, body)

    def _history(self, names: list[str]) -> list[Row]:
        self._row(names[0], names[1])
        return self.tenant.licensed(
            names[0], self.tenant.histories(names[0]).get(names[1], [])
        )

    def _get(self, operation: Operation, request: Recorded, names: list[str]) -> Answer:
        row = self._row(names[0], names[1])
        self.tenant.seen(names[0], [row])
        (row,) = self.tenant.licensed(names[0], [row])
        return self._entity(operation, request, row, f"identityProtection/{names[0]}")

    def _get_history_item(
        self, operation: Operation, request: Recorded, names: list[str]
    ) -> Answer:
        item = next(
            (item for item in self._history(names) if item["id"] == names[3]), None
        )
        if item is None:
            raise _not_found(names[3])
        return self._entity(
            operation, request, item, f"{names[0]}('{names[1]}')/history"
        )

    def _act(self, _: Operation, request: Recorded, names: list[str]) -> Answer:
        collection, action, caller = names
        ids = _ids(request, ACTIONS[collection, action].ids)
        self.tenant.act(collection, action, ids, caller)
        return Answer(204, None)

    def _row(self, collection: str, row_id: str) -> Row:
        row = self.tenant.store(collection).get(row_id)
        if row is None:
            raise _not_found(row_id)
        return row

    # ---- envelopes

    def _context(self, name: str) -> str:
        return f"https://{self.tenant.hosts.graph}/v1.0/$metadata#{name}"

    def _entity(
        self, operation: Operation, request: Recorded, row: Row, name: str
    ) -> Answer:
        select = request.query.get("$select")
        shown = _shown([row], operation.resource, select, request)[0]
        suffix = f"({select})" if select else ""
        return Answer(
            200, {"@odata.context": self._context(f"{name}{suffix}/$entity")} | shown
        )

    def _page(
        self, operation: Operation, request: Recorded, rows: list[Row], name: str
    ) -> tuple[Row, list[Row]]:
        """One page's body, and the rows it shows."""
        asked = page_size(request.query.get("$top"))
        top = min(asked, self.tenant.largest_page)
        select, start = request.query.get("$select"), self._start(request)
        if self.last_page_400 and start >= len(rows) and start:
            raise BadRequestError("The skip token is past the last page.")
        page = rows[start : start + top]
        body: Row = {
            "@odata.context": self._context(f"{name}({select})" if select else name)
        }
        if start + top < len(rows) or self.last_page_400:
            body["@odata.nextLink"] = (
                f"https://{self.tenant.hosts.graph}{_linked(request, start + len(page))}"
            )
        return body | {"value": _shown(page, operation.resource, select, request)}, page

    def _start(self, request: Recorded) -> int:
        """Where the page begins. A link counts only as it was handed out: same options, same encoding."""
        token = request.query.get("$skiptoken")
        if token is None:
            return 0
        offset = re.fullmatch(r"[0-9a-f]{64}_([1-9][0-9]{0,8})", token)
        if not offset or request.target != _linked(request, int(offset[1])):
            raise BadRequestError("The skip token is not valid for this request.")
        return int(offset[1])


def _linked(request: Recorded, offset: int) -> str:
    """The path and query of the page at an offset, with a skip token bound to both."""
    options = [
        f"{name}={quote(value, safe='')}"
        for name, value in request.query.items()
        if name != "$skiptoken"
    ]
    digest = hashlib.sha256(
        "&".join((request.path, *options, str(offset))).encode()
    ).hexdigest()
    return f"{request.path}?{'&'.join((*options, f'$skiptoken={digest}_{offset}'))}"


def _operation(method: str, segments: list[str]) -> Operation:
    matching = [
        operation for operation in OPERATIONS if _fits(operation.template, segments)
    ]
    if not matching:
        raise GraphError(
            400, "BadRequest", f"Resource not found for the segment '{segments[-1]}'."
        )
    operation = next(
        (operation for operation in matching if operation.method == method), None
    )
    if operation is None:
        message = "Specified HTTP method is not allowed for the request target."
        raise GraphError(405, "Request_BadRequest", message)
    return operation


def _fits(template: str, segments: list[str]) -> bool:
    parts = ["v1.0", "identityProtection", *template.split("/")]
    if len(parts) != len(segments):
        return False
    return all(
        part == segment or (part[0] == "{" and segment)
        for part, segment in zip(parts, segments, strict=True)
    )


def _check_request(request: Recorded, operation: Operation) -> None:
    """Refuse query options, preferences and request ids that the operation does not know."""
    unknown = [
        *request.repeated,
        *(name for name in request.query if name not in operation.options),
    ]
    if unknown:
        raise BadRequestError(
            f"The query option '{unknown[0]}' is unknown, repeated or not supported here."
        )
    preferences = [
        part.strip() for part in request.headers.get("Prefer", PREFERENCE).split(",")
    ]
    if preferences != [PREFERENCE]:
        raise BadRequestError(
            f"The preference '{request.headers['Prefer']}' is not supported."
        )
    try:
        UUID(request.headers.get("client-request-id", str(UUID(int=0))))
    except ValueError as error:
        raise BadRequestError("The header client-request-id must be a GUID.") from error


def _ids(request: Recorded, name: str) -> list[str]:
    if request.headers.get("Content-Type", "").partition(";")[0] != "application/json":
        raise GraphError(
            415, "BadRequest", "The content type must be application/json."
        )
    try:
        body = request.json
    except ValueError as error:
        raise BadRequestError("Unable to read JSON request payload.") from error
    ids = body.get(name) if isinstance(body, dict) and set(body) == {name} else None
    if not isinstance(ids, list) or not all(isinstance(row_id, str) for row_id in ids):
        raise BadRequestError(
            f"The request body must hold '{name}', a list of strings, and nothing else."
        )
    return ids


def _not_found(row_id: str) -> GraphError:
    return GraphError(404, "ResourceNotFound", f"Resource '{row_id}' does not exist.")


def _shown(
    rows: list[Row], resource_name: str, select: str | None, request: Recorded
) -> list[Row]:
    """The chosen properties; later enum members only for those who prefer to see them."""
    resource = RESOURCES[resource_name]
    names = selected(select, resource)
    shown = [{name: row[name] for name in names} for row in rows]
    if "Prefer" not in request.headers:
        enums = [(name, enum) for name, enum in resource.enums() if name in names]
        for row in shown:
            row.update(
                (name, enum.sentinel) for name, enum in enums if row[name] in enum.later
            )
            if resource_name.endswith("/history") and "activity" in names:
                row["activity"] = _without_later_detail(row["activity"])
    return shown


def _without_later_detail(activity: Row) -> Row:
    enum = dict(RESOURCES["riskyUsers"].enums())["riskDetail"]
    return activity | (
        {"detail": enum.sentinel} if activity["detail"] in enum.later else {}
    )


# ---- the server


class Simulator:
    """The tenant's hosts on 127.0.0.1, told apart by the Host header; a context manager.

    throttle: requests a second for the tenant, throttled ones counted too; None is unlimited.
    retry_after: seconds named on those 429s; None, as with ID Protection, names none.
    next_link_override: gives the link to hand out in place of the right one.
    sleep: waits the seconds by which a fault delays an answer.
    """

    def __init__(
        self, tenant: Tenant, *, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        self.tenant, self.entra = tenant, Entra(tenant)
        self.graph = Graph(tenant, self.entra)
        self.requests: list[Recorded] = []
        self.faults: list[Fault] = []
        self.throttle: float | None = None
        self.retry_after: int | None = None
        self.throttle_clock: Callable[[], float] = time.monotonic
        # Not time.sleep: that belongs to the client's waits, which tests replace.
        self.sleep: Callable[[float], object] = threading.Event().wait
        self.next_link_override: Callable[[str], str] | None = None
        self.numbers = itertools.count(1)
        self._free_at = float("-inf")
        self._lock = threading.Lock()
        self.server = _Server(("127.0.0.1", 0), _Handler)
        self.server.simulator = self
        self.is_tls = ssl_context is not None
        if ssl_context:
            self.server.socket = ssl_context.wrap_socket(
                self.server.socket, server_side=True, do_handshake_on_connect=False
            )

    def __enter__(self) -> Simulator:
        threading.Thread(
            target=self.server.serve_forever,
            kwargs={"poll_interval": 0.02},
            daemon=True,
        ).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])

    @property
    def last_page_400(self) -> bool:
        return self.graph.last_page_400

    @last_page_400.setter
    def last_page_400(self, value: bool) -> None:
        self.graph.last_page_400 = value

    @property
    def graph_requests(self) -> list[Recorded]:
        return [
            request
            for request in self.requests
            if request.host == self.tenant.hosts.graph
        ]

    @property
    def login_requests(self) -> list[Recorded]:
        return [
            request
            for request in self.requests
            if request.host == self.tenant.hosts.login
        ]

    @property
    def identity_requests(self) -> list[Recorded]:
        return [
            request
            for request in self.requests
            if request.host in (IMDS_HOST, APP_SERVICE_HOST)
        ]

    def fail_next(self, status: int = 200, **how: Any) -> None:
        """Add a fault (the fields of Fault) for the requests to come; those of one face happen in order."""
        fault = Fault(status, **how)
        if fault.host not in ("graph", "login", "identity"):
            raise ValueError(fault.host)
        self.faults.append(fault)

    def face(self, request: Recorded) -> str | None:
        """Which service a request is for; None if none of this tenant's cloud, or not by its scheme."""
        hosts = self.tenant.hosts
        faces = {
            ("https", hosts.login): "login",
            ("https", hosts.graph): "graph",
            ("http", IMDS_HOST): "identity",
            ("http", APP_SERVICE_HOST): "identity",
        }
        return faces.get((request.scheme, request.host))

    def take(self, request: Recorded) -> tuple[Answer, Fault]:
        """Record a request and answer it, with the fault that is due, if any."""
        with self._lock:
            self.requests.append(request)
            face = self.face(request)
            if face is None:
                return Answer(
                    421,
                    HTML.format("Misdirected Request"),
                    {"Content-Type": "text/html"},
                ), Fault()
            fault = self._due_fault(face)
            genuine = fault.status == 200 and fault.body is None
            answer = (
                self._genuine(face, request)
                if genuine
                else self._forced(face, request, fault)
            )
        return self._relinked(answer), fault

    def _due_fault(self, face: str) -> Fault:
        fault = next((fault for fault in self.faults if fault.host == face), None)
        if fault is None:
            return Fault()
        if fault.after:
            fault.after -= 1
            return Fault()
        fault.times -= 1
        if fault.times <= 0:
            self.faults.remove(fault)
        return fault

    def _forced(self, face: str, request: Recorded, fault: Fault) -> Answer:
        headers = {
            "Content-Type": fault.content_type
            or ("text/html" if isinstance(fault.body, str) else GRAPH_JSON)
        }
        optional = {"Retry-After": fault.retry_after, "Location": fault.location}
        headers |= {
            name: str(value) for name, value in optional.items() if value is not None
        }
        if face == "graph" and fault.status == 401:
            headers["WWW-Authenticate"] = CHALLENGE
        if fault.body is not None or 300 <= fault.status < 400:
            return Answer(fault.status, fault.body, headers)
        return Answer(
            fault.status, self._forced_body(face, request, fault.status), headers
        )

    def _forced_body(self, face: str, request: Recorded, status: int) -> Row:
        if face == "graph":
            code, message = GRAPH_ERRORS.get(status, ("UnknownError", ""))
            return self._error_body(request, code, message)
        return {
            "error": "temporarily_unavailable",
            "error_description": "AADSTS90033: A transient error has occurred.",
        }

    def _genuine(self, face: str, request: Recorded) -> Answer:
        if face == "graph":
            return self._graph_answer(request)
        if request.repeated:
            return self.entra.refusal(9000411)
        asked = Asked(
            request.method, request.path, request.query, request.form, request.headers
        )
        if face == "login":
            return self.entra.login(asked)
        return (
            self.entra.machine(asked)
            if request.host == IMDS_HOST
            else self.entra.app_service(asked)
        )

    def _graph_answer(self, request: Recorded) -> Answer:
        try:
            self._admit()
            return self.graph.answer(request)
        except GraphError as failure:
            headers = {"WWW-Authenticate": CHALLENGE} if failure.status == 401 else {}
            if failure.status == 429 and self.retry_after is not None:
                headers["Retry-After"] = str(self.retry_after)
            return Answer(
                failure.status,
                self._error_body(request, failure.code, failure.message),
                headers,
            )

    def _admit(self) -> None:
        """Let a request into the tenant's bucket. Raises: GraphError: too soon after the last, admitted or not."""
        if self.throttle:
            now, free_at = self.throttle_clock(), self._free_at
            self._free_at = now + 1 / self.throttle
            if now < free_at:
                raise GraphError(*THROTTLED)

    def _error_body(self, request: Recorded, code: str, message: str) -> Row:
        request_id, client_request_id = self.request_ids(request)
        inner = {
            "date": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()),
            "request-id": request_id,
        }
        inner["client-request-id"] = client_request_id
        return {"error": {"code": code, "message": message, "innerError": inner}}

    def request_ids(self, request: Recorded) -> tuple[str, str]:
        """The ids of an answer; the client's own is echoed, and both are equal if it sent none."""
        request_id = str(
            uuid5(UUID(self.tenant.tenant_id), f"request {request.number}")
        )
        return request_id, request.headers.get("client-request-id", request_id)

    def _relinked(self, answer: Answer) -> Answer:
        if (
            self.next_link_override
            and isinstance(answer.body, dict)
            and "@odata.nextLink" in answer.body
        ):
            link = self.next_link_override(answer.body["@odata.nextLink"])
            return answer._replace(body=answer.body | {"@odata.nextLink": link})
        return answer

    def adapter(self, max_retries: Retry) -> HTTPAdapter:
        """A transport that leads every request here, with these retries."""
        return LoopbackAdapter(self.port, max_retries=max_retries)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    simulator: Simulator

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent when a client goes away in the middle."""


def _decoded(text: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Names and values of a query or form, and the names that came more than once."""
    pairs = parse_qsl(text, keep_blank_values=True)
    values = dict(pairs)
    names = [name for name, _ in pairs]
    return values, tuple(name for name in values if names.count(name) > 1)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Log nothing."""

    def _serve(self) -> None:
        request = self._recorded()
        answer, fault = self.server.simulator.take(request)
        if fault.delay_s:
            self.server.simulator.sleep(fault.delay_s)
        if fault.drop:
            self.close_connection = True
            return
        self._send(request, answer, truncate=fault.truncate)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - the base class's names

    def _recorded(self) -> Recorded:
        simulator, parts = self.server.simulator, urlsplit(self.path)
        headers = CaseInsensitiveDict(self.headers.items())
        body = self.rfile.read(int(headers.get("Content-Length", 0)))
        query, repeated = _decoded(parts.query)
        is_form = headers.get("Content-Type", "").startswith(
            "application/x-www-form-urlencoded"
        )
        form, repeated_fields = _decoded(body.decode()) if is_form else ({}, ())
        scheme = headers.get(
            "X-Forwarded-Proto", "https" if simulator.is_tls else "http"
        )
        number = next(simulator.numbers)
        sent = (
            self.command,
            headers.get("Host", "").lower(),
            parts.path,
            query,
            headers,
            body,
            form,
            self.path,
        )
        return Recorded(*sent, scheme, number, repeated + repeated_fields)

    def _send(self, request: Recorded, answer: Answer, *, truncate: bool) -> None:
        text = (
            answer.body
            if isinstance(answer.body, str | None)
            else json.dumps(answer.body)
        )
        content = (text or "").encode()
        request_id, client_request_id = self.server.simulator.request_ids(request)
        headers = {
            "Content-Type": GRAPH_JSON,
            "request-id": request_id,
            "client-request-id": client_request_id,
        }
        headers |= {
            "x-ms-ags-diagnostic": '{"ServerInfo":{"DataCenter":"Contoso","Slice":"E","Ring":"5"}}'
        }
        self.send_response(answer.status)
        for name, value in (headers | answer.headers).items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if truncate else content)
        self.close_connection |= truncate


class LoopbackAdapter(HTTPAdapter):
    """Sends every request to the simulator's port, with the host, scheme and proxy it was meant for in headers."""

    def __init__(
        self,
        port: int,
        max_retries: Retry | int | None = DEFAULT_RETRIES,
        scheme: str = "http",
    ) -> None:
        super().__init__(max_retries=max_retries)
        self.origin = f"{scheme}://127.0.0.1:{port}"

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        meant = urlsplit(str(request.url))
        there = request.copy()
        there.url = self.origin + request.path_url
        there.headers.update({"Host": meant.netloc, "X-Forwarded-Proto": meant.scheme})
        proxy = select_proxy(str(request.url), kwargs.pop("proxies", None))
        if proxy:
            there.headers["X-Loopback-Proxy"] = proxy
        response = super().send(there, *args, **kwargs)
        response.request, response.url = request, str(request.url)
        return response
