"""Microsoft Graph's operations on a tenant: risk, sign-ins, directory. No sockets.

Stricter than the service: what the contract does not know is refused, never ignored.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote, unquote
from uuid import UUID, uuid5

from warroom.azure.entra import Entra
from warroom.azure.exchange import Answer, Json, Recorded
from warroom.azure.odata import (
    ENTITY_TYPES,
    BadRequestError,
    Row,
    boolean,
    page_size,
    selected,
)
from warroom.azure.tenant import (
    LOG_ROLES,
    POLICY_ROLES,
    READ_ROLES,
    SIGN_INS,
    WRITE_ROLES,
    Tenant,
    ids_name,
)

PREFERENCE = "include-unknown-enum-members"
SKIP_TOKEN = re.compile(r"[0-9a-f]{64}_([1-9][0-9]{0,8})")
NO_ID = str(UUID(int=0))
RISK = "identityProtection/"
LOGS = "auditLogs/"
DIRECTORY = ""
CHALLENGE = (
    'Bearer realm="",'
    ' authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize",'
    ' client_id="00000003-0000-0000-c000-000000000000"'
)

# ---- refusals


@dataclass(eq=False)
class RefusedError(Exception):
    """Ends a request with an error body."""

    status: int
    code: str
    message: str


USUAL_ERRORS: Mapping[int, tuple[str, str]] = {  # code and message, by HTTP status
    400: ("BadRequest", "Bad request."),
    401: (
        "InvalidAuthenticationToken",
        "Access token has expired or is not yet valid.",
    ),
    403: (
        "Forbidden",
        "You cannot perform the requested operation, required scopes are missing in"
        " the token.",
    ),
    404: ("ResourceNotFound", "The resource was not found."),
    429: ("TooManyRequests", "Too many requests."),
    500: ("InternalServerError", ""),
    503: ("serviceNotAvailable", ""),
}
UNKNOWN_ERROR = ("UnknownError", "")


def usual_refusal(status: int) -> RefusedError:
    code, message = USUAL_ERRORS.get(status, UNKNOWN_ERROR)
    return RefusedError(status, code, message)


def _unauthenticated(message: str) -> RefusedError:
    return RefusedError(401, "InvalidAuthenticationToken", message)


def _unlicensed() -> RefusedError:
    message = "Your tenant is not licensed for this feature."
    return RefusedError(403, "Forbidden", message)


def _not_premium() -> RefusedError:
    code = "Authentication_RequestFromNonPremiumTenantOrB2CTenant"
    message = "Neither tenant is B2C or tenant doesn't have premium license"
    return RefusedError(403, code, message)


def _denied() -> RefusedError:
    message = "Insufficient privileges to complete the operation."
    return RefusedError(403, "Authorization_RequestDenied", message)


def _lacks_permission(permission: str) -> RefusedError:
    code = "Authentication_MSGraphPermissionMissing"
    message = (
        f"Calling principal does not have required MSGraph permissions {permission}"
    )
    return RefusedError(403, code, message)


def _not_found(row_id: str) -> RefusedError:
    message = f"Resource '{row_id}' does not exist."
    return RefusedError(404, "ResourceNotFound", message)


def _no_account(name: str) -> RefusedError:
    message = (
        f"Resource '{name}' does not exist or one of its queried reference-property"
        " objects are not present."
    )
    return RefusedError(404, "Request_ResourceNotFound", message)


# ---- operations


def _fits(part: str, segment: str) -> bool:
    """Whether a path's segment can stand for a part of an operation's template.

    Graph matches names in any letter case. An id is not empty, nor is it a word of OData.
    """
    if part.startswith("{"):
        return segment != "" and not segment.startswith("$")
    return part.lower() == segment.lower()


class Operation(NamedTuple):
    """One of Graph's operations.

    kind: what Graph does. permissions: any one is enough.
    options: the query options it takes. folder: what the template lies below.
    delegated: the permissions for a user, where they are others than those for an app.
    """

    method: str
    template: str
    kind: str
    permissions: tuple[str, ...]
    options: tuple[str, ...] = ()
    folder: str = RISK
    delegated: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """Its path below the version of Graph."""
        return f"{self.folder}{self.template}"

    @property
    def collection(self) -> str:
        return self.template.partition("/")[0]

    @property
    def entities(self) -> str:
        """The key of the type of the objects it gives."""
        if "/history" in self.template:
            return f"{self.collection}/history"
        return self.collection

    @property
    def action(self) -> str:
        return self.template.partition("/")[2]

    def sufficient(self, of_user: bool) -> tuple[str, ...]:
        """The permissions of which a user's token, or an app's, needs any one."""
        if of_user and self.delegated:
            return self.delegated
        return self.permissions

    def roles(self) -> frozenset[str]:
        """The roles of which a user needs any one."""
        if self.method != "GET":
            return WRITE_ROLES
        return LOG_ROLES if self.folder == LOGS else READ_ROLES

    def refusal(self, of_user: bool) -> RefusedError:
        """What a token without a sufficient permission is told."""
        if self.folder == RISK:
            return usual_refusal(403)
        if self.folder == LOGS:
            least, *_ = self.sufficient(of_user)
            return _lacks_permission(least)
        return _denied()

    def keys(self, segments: list[str]) -> list[str] | None:
        """The ids in a path of this operation; None if it is no address of it."""
        parts = ["v1.0", *self.path.split("/")]
        if len(parts) != len(segments):
            return None
        keys = []
        for part, segment in zip(parts, segments, strict=True):
            if not _fits(part, segment):
                return None
            if part.startswith("{"):
                keys.append(segment)
        return keys


USER_READ = ("IdentityRiskyUser.Read.All",)
USER_WRITE = ("IdentityRiskyUser.ReadWrite.All",)
USER_HISTORY = USER_READ + USER_WRITE
DETECTION_READ = ("IdentityRiskEvent.Read.All",)
WORKLOAD_WRITE = ("IdentityRiskyServicePrincipal.ReadWrite.All",)
WORKLOAD_READ = ("IdentityRiskyServicePrincipal.Read.All", *WORKLOAD_WRITE)
SIGN_IN_READ = ("AuditLog.Read.All", "Directory.Read.All")
SIGN_IN_WRITE = ("IdentityRiskEvent.ReadWrite.All",)
POLICY_READ = frozenset(
    (
        "Policy.Read.All",
        "Policy.Read.ConditionalAccess",
        "Policy.ReadWrite.ConditionalAccess",
    )
)
LIST = ("$filter", "$select", "$top", "$orderby", "$skiptoken")
DIRECTORY_READ = (
    "User.ReadBasic.All",
    "User.Read.All",
    "User.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
)
DIRECTORY_LIST = ("$filter", "$select", "$top", "$skiptoken")
COUNTED_LIST = (*LIST, "$count")
COUNT = ("$filter",)
HISTORY = ("$select", "$top", "$skiptoken")
ONE = ("$select",)


def _sign_in_action(name: str) -> Operation:
    return Operation(
        "POST",
        f"signIns/{name}",
        "act",
        SIGN_IN_WRITE,
        folder=LOGS,
        delegated=USER_WRITE,
    )


OPERATIONS = (
    Operation("GET", "riskyUsers", "list", USER_READ, COUNTED_LIST),
    Operation("GET", "riskyUsers/$count", "count", USER_READ, COUNT),
    Operation("GET", "riskyUsers/{id}", "get", USER_READ, ONE),
    Operation("GET", "riskyUsers/{id}/history", "history", USER_HISTORY, HISTORY),
    Operation("GET", "riskyUsers/{id}/history/{item}", "item", USER_HISTORY, ONE),
    Operation("POST", "riskyUsers/confirmCompromised", "act", USER_WRITE),
    Operation("POST", "riskyUsers/confirmSafe", "act", USER_WRITE),
    Operation("POST", "riskyUsers/dismiss", "act", USER_WRITE),
    Operation("GET", "riskDetections", "list", DETECTION_READ, LIST),
    Operation("GET", "riskDetections/{id}", "get", DETECTION_READ, ONE),
    Operation("GET", "riskyServicePrincipals", "list", WORKLOAD_READ, COUNTED_LIST),
    Operation("GET", "riskyServicePrincipals/$count", "count", WORKLOAD_READ, COUNT),
    Operation("GET", "riskyServicePrincipals/{id}", "get", WORKLOAD_READ, ONE),
    Operation(
        "GET", "riskyServicePrincipals/{id}/history", "history", WORKLOAD_READ, HISTORY
    ),
    Operation(
        "GET", "riskyServicePrincipals/{id}/history/{item}", "item", WORKLOAD_READ, ONE
    ),
    Operation(
        "POST", "riskyServicePrincipals/confirmCompromised", "act", WORKLOAD_WRITE
    ),
    Operation("POST", "riskyServicePrincipals/dismiss", "act", WORKLOAD_WRITE),
    Operation("GET", "servicePrincipalRiskDetections", "list", DETECTION_READ, LIST),
    Operation("GET", "servicePrincipalRiskDetections/{id}", "get", DETECTION_READ, ONE),
    Operation("GET", "signIns", "list", SIGN_IN_READ, LIST, LOGS),
    Operation("GET", "signIns/{id}", "get", SIGN_IN_READ, ONE, LOGS),
    _sign_in_action("confirmCompromised"),
    _sign_in_action("confirmSafe"),
    _sign_in_action("dismiss"),
    Operation("GET", "users", "list", DIRECTORY_READ, DIRECTORY_LIST, DIRECTORY),
    Operation("GET", "users/{id}", "account", DIRECTORY_READ, ONE, DIRECTORY),
)


def _segments(path: str) -> list[str]:
    """The parts of a path, decoded only after the split, as an id may hold a slash.

    Slashes side by side count as one: some clients join addresses so.
    """
    _, *segments = re.sub("/+", "/", path).split("/")
    return [unquote(segment) for segment in segments]


def folder_of(path: str) -> str:
    """RISK or LOGS, if a path lies below it, else DIRECTORY."""
    _, folder, *_ = [*_segments(path), "", ""]
    for known in (RISK, LOGS):
        if known.lower() == f"{folder}/".lower():
            return known
    return DIRECTORY


class Address(NamedTuple):
    """What a path leads to. keys: the ids in it, in order."""

    operation: Operation
    keys: list[str]


def _addresses(segments: list[str]) -> list[Address]:
    """The operations that have an address, whatever their method."""
    addresses = []
    for operation in OPERATIONS:
        keys = operation.keys(segments)
        if keys is not None:
            addresses.append(Address(operation, keys))
    return addresses


def _find_address(method: str, path: str) -> Address:
    segments = _segments(path)
    addresses = _addresses(segments)
    for address in addresses:
        if address.operation.method == method:
            return address
    if addresses:
        message = "Specified HTTP method is not allowed for the request target."
        raise RefusedError(405, "Request_BadRequest", message)
    message = f"Resource not found for the segment '{segments[-1]}'."
    raise RefusedError(400, "BadRequest", message)


class Caller(NamedTuple):
    """Whose token a request bears. object_id: of the app or user."""

    object_id: str
    granted: frozenset[str]
    is_user: bool


class Call(NamedTuple):
    """A request for an operation. keys: the ids in its path.

    without: properties that the caller is not shown.
    """

    request: Recorded
    operation: Operation
    keys: list[str]
    caller: Caller
    without: frozenset[str]

    @property
    def collection(self) -> str:
        return self.operation.collection

    @property
    def row_id(self) -> str:
        return self.keys[0]

    @property
    def is_first_page(self) -> bool:
        return "$skiptoken" not in self.request.query

    @property
    def context_name(self) -> str:
        return f"{self.operation.folder}{self.collection}"

    @property
    def history_name(self) -> str:
        return f"{self.collection}('{self.row_id}')/history"

    def option(self, name: str) -> str | None:
        return self.request.query.get(name)


# ---- what a request may say


def _check_options(call: Call) -> None:
    unknown = list(call.request.repeated)
    for name in call.request.query:
        if name not in call.operation.options:
            unknown.append(name)
    if unknown:
        raise BadRequestError(
            f"The query option '{unknown[0]}' is unknown, repeated or not supported"
            " here."
        )


def _check_headers(request: Recorded) -> None:
    preference = request.headers.get("Prefer", PREFERENCE)
    if preference.strip() != PREFERENCE:
        raise BadRequestError(f"The preference '{preference}' is not supported.")
    try:
        UUID(request.headers.get("client-request-id", NO_ID))
    except ValueError as error:
        message = "The header client-request-id must be a GUID."
        raise BadRequestError(message) from error


def _ids(request: Recorded, name: str) -> list[str]:
    """The ids in an action's body, which holds nothing else."""
    content_type = request.headers.get("Content-Type", "")
    if content_type.partition(";")[0] != "application/json":
        message = "The content type must be application/json."
        raise RefusedError(415, "BadRequest", message)
    try:
        body = request.json
    except ValueError as error:
        raise BadRequestError("Unable to read JSON request payload.") from error
    has_only_ids = isinstance(body, dict) and set(body) == {name}
    ids = body[name] if has_only_ids else None
    if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
        raise BadRequestError(
            f"The request body must hold '{name}', a list of strings, and nothing else."
        )
    return ids


# ---- pages


class _Page(NamedTuple):
    """The rows of a page, and where the next begins, if there is one."""

    rows: list[Row]
    next_offset: int | None


def _options(request: Recorded) -> str:
    """The query without its skip token, each option with an ampersand after it."""
    options = []
    for name, value in request.query.items():
        if name != "$skiptoken":
            quoted = quote(value, safe="")
            options.append(f"{name}={quoted}&")
    return "".join(options)


def _linked(request: Recorded, offset: int) -> str:
    """The path and query of the page at an offset, with a skip token bound to both.

    The client must follow the link byte for byte: `_offset` compares it with this.
    """
    options = _options(request)
    bound = f"{request.path}&{options}{offset}"
    digest = hashlib.sha256(bound.encode())
    token = f"{digest.hexdigest()}_{offset}"
    return f"{request.path}?{options}$skiptoken={token}"


def _offset(request: Recorded) -> int:
    """Where the page begins.

    The client must follow a link byte for byte as it was handed out: the same options in
    the same order and encoding. Raises: BadRequestError: it did not.
    """
    token = request.query.get("$skiptoken")
    if token is None:
        return 0
    match = SKIP_TOKEN.fullmatch(token)
    offset = int(match[1]) if match else 0
    if not offset or request.target != _linked(request, offset):
        raise BadRequestError("The skip token is not valid for this request.")
    return offset


# ---- what a caller sees of a row


def _without_later_detail(activity: Row) -> Row:
    """A history item's activity without later enum members."""
    details = ENTITY_TYPES["riskyUsers"].enums()["riskDetail"]
    if activity["detail"] in details.later:
        return activity | {"detail": details.sentinel}
    return activity


def _without_later_members(row: Row, entities: str) -> Row:
    """The row with the sentinel in place of later enum members."""
    known = dict(row)
    entity_type = ENTITY_TYPES[entities]
    for name, enum in entity_type.enums().items():
        if row.get(name) in enum.later:
            known[name] = enum.sentinel
    if entities.endswith("/history") and "activity" in row:
        known["activity"] = _without_later_detail(row["activity"])
    return known


def _shown(call: Call, rows: list[Row]) -> list[Row]:
    """The chosen properties; later enum members only for those who prefer to see them."""
    entities = call.operation.entities
    names = selected(call.option("$select"), entities)
    shown = []
    for row in rows:
        chosen = {name: row[name] for name in names if name not in call.without}
        shown.append(chosen)
    if "Prefer" in call.request.headers:
        return shown
    return [_without_later_members(row, entities) for row in shown]


class Graph:
    """Answers for the tenant's Graph host.

    last_page_400: the last page still has a nextLink, and that link is answered 400.
    """

    def __init__(self, tenant: Tenant, entra: Entra) -> None:
        self.tenant = tenant
        self.entra = entra
        self.last_page_400 = False

    @property
    def root(self) -> str:
        return f"https://{self.tenant.hosts.graph}"

    # ---- errors

    def request_ids(self, request: Recorded) -> tuple[str, str]:
        """The ids of an answer.

        The client's own is echoed; if it sent none, both are equal.
        """
        namespace = UUID(self.tenant.tenant_id)
        name = f"request {request.number}"
        request_id = str(uuid5(namespace, name))
        client_request_id = request.headers.get("client-request-id", request_id)
        return request_id, client_request_id

    def refuse(self, request: Recorded, refusal: RefusedError) -> Answer:
        request_id, client_request_id = self.request_ids(request)
        inner_error = {
            "date": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()),
            "request-id": request_id,
            "client-request-id": client_request_id,
        }
        error = {
            "code": refusal.code,
            "message": refusal.message,
            "innerError": inner_error,
        }
        headers = {}
        if refusal.status == 401:
            headers["WWW-Authenticate"] = CHALLENGE
        return Answer(refusal.status, {"error": error}, headers)

    # ---- who may do it

    def _claims(self, authorization: str) -> Json:
        scheme, _, token = authorization.partition(" ")
        if scheme != "Bearer" or not token:
            raise _unauthenticated("Access token is empty.")
        try:
            claims = self.entra.claims(token)
        except KeyError as error:
            message = "CompactToken validation failed with reason code: 80049228."
            raise _unauthenticated(message) from error
        except ValueError as error:
            raise _unauthenticated(str(error)) from error
        if claims["aud"] != self.root:
            raise _unauthenticated("Access token validation failure. Invalid audience.")
        return claims

    def _check_licence(self, operation: Operation) -> None:
        tenant = self.tenant
        if tenant.is_licensed(operation.collection):
            return
        if operation.folder == LOGS:
            raise _not_premium()
        if not tenant.hide_unlicensed:
            raise _unlicensed()

    def _caller(self, request: Recorded) -> Caller:
        authorization = request.headers.get("Authorization", "")
        claims = self._claims(authorization)
        scopes: str = claims.get("scp", "")
        granted = claims.get("roles") or scopes.split()
        return Caller(claims["oid"], frozenset(granted), is_user=bool(scopes))

    def _authorised(self, request: Recorded, operation: Operation) -> Caller:
        """The caller, who may do this."""
        caller = self._caller(request)
        if not caller.granted & set(operation.sufficient(caller.is_user)):
            raise operation.refusal(caller.is_user)
        needs_role = caller.is_user and operation.folder != DIRECTORY
        if needs_role and not self.tenant.user_roles & operation.roles():
            raise _denied()
        self._check_licence(operation)
        return caller

    def _without(self, caller: Caller, collection: str) -> frozenset[str]:
        """The properties of a collection's rows that a caller is not shown."""
        if collection != SIGN_INS:
            return frozenset()
        is_admitted = not caller.is_user or self.tenant.user_roles & POLICY_ROLES
        if is_admitted and caller.granted & POLICY_READ:
            return frozenset()
        return frozenset(("appliedConditionalAccessPolicies",))

    # ---- envelopes

    def _context(self, call: Call, name: str, suffix: str = "") -> str:
        select = call.option("$select")
        choice = f"({select})" if select else ""
        return f"{self.root}/v1.0/$metadata#{name}{choice}{suffix}"

    def _entity(self, call: Call, row: Row, name: str) -> Answer:
        (shown,) = _shown(call, [row])
        context = self._context(call, name, "/$entity")
        body = {"@odata.context": context, **shown}
        return Answer(200, body)

    def _start(self, call: Call, number: int) -> int:
        """Where a page begins among so many rows."""
        start = _offset(call.request)
        if self.last_page_400 and start and start >= number:
            raise BadRequestError("The skip token is past the last page.")
        return start

    def _size(self, call: Call) -> int:
        """The most rows that a page may have."""
        asked = page_size(call.option("$top"), call.operation.entities)
        return min(asked, self.tenant.largest_page)

    def _page(self, call: Call, rows: list[Row]) -> _Page:
        size = self._size(call)
        start = self._start(call, len(rows))
        page = rows[start:][:size]
        end = start + len(page)
        if end < len(rows) or self.last_page_400:
            return _Page(page, end)
        return _Page(page, None)

    def _page_body(self, call: Call, page: _Page, name: str) -> Json:
        body: Json = {
            "@odata.context": self._context(call, name),
            "value": _shown(call, page.rows),
        }
        if page.next_offset is None:
            return body
        address = _linked(call.request, page.next_offset)
        return body | {"@odata.nextLink": f"{self.root}{address}"}

    # ---- operations

    def _row(self, call: Call) -> Row:
        row = self.tenant.store(call.collection).get(call.row_id)
        if row is None:
            raise _not_found(call.row_id)
        return row

    def _list(self, call: Call) -> Answer:
        collection = call.collection
        rows = self.tenant.listing(
            collection,
            call.option("$filter"),
            call.option("$orderby"),
            anew=call.is_first_page,
        )
        counted = boolean(call.option("$count"), "$count")
        page = self._page(call, rows)
        body = self._page_body(call, page, call.context_name)
        if counted and call.is_first_page:
            body["@odata.count"] = len(rows)
        self.tenant.seen(collection, page.rows)
        return Answer(200, body)

    def _count(self, call: Call) -> Answer:
        rows = self.tenant.listing(call.collection, call.option("$filter"), None)
        number = str(len(rows))
        return Answer(200, number, {"Content-Type": "text/plain"})

    def _get(self, call: Call) -> Answer:
        collection = call.collection
        tenant = self.tenant
        row = self._row(call)
        tenant.seen(collection, [row])
        (visible,) = tenant.licensed(collection, [row])
        return self._entity(call, visible, call.context_name)

    def _get_account(self, call: Call) -> Answer:
        """An account of the directory by its id or its name, in any letter case."""
        wanted = call.row_id.casefold()
        for row in self.tenant.accounts.values():
            names = row["id"].casefold(), row["userPrincipalName"].casefold()
            if wanted in names:
                return self._entity(call, row, call.context_name)
        raise _no_account(call.row_id)

    def _history(self, call: Call) -> list[Row]:
        self._row(call)
        collection = call.collection
        histories = self.tenant.histories(collection)
        items = histories.get(call.row_id, [])
        return self.tenant.licensed(collection, items)

    def _list_history(self, call: Call) -> Answer:
        items = self._history(call)
        page = self._page(call, items)
        body = self._page_body(call, page, call.history_name)
        return Answer(200, body)

    def _get_history_item(self, call: Call) -> Answer:
        _, item_id = call.keys
        for item in self._history(call):
            if item["id"] == item_id:
                return self._entity(call, item, call.history_name)
        raise _not_found(item_id)

    def _act(self, call: Call) -> Answer:
        collection = call.collection
        ids = _ids(call.request, ids_name(collection))
        action = call.operation.action
        self.tenant.act(collection, action, ids, call.caller.object_id)
        return Answer(204, None)

    def _carry_out(self, call: Call) -> Answer:
        handlers = {
            "list": self._list,
            "count": self._count,
            "get": self._get,
            "history": self._list_history,
            "item": self._get_history_item,
            "act": self._act,
            "account": self._get_account,
        }
        handler = handlers[call.operation.kind]
        try:
            _check_options(call)
            _check_headers(call.request)
            return handler(call)
        except BadRequestError as error:
            raise RefusedError(400, "BadRequest", str(error)) from error

    def answer(self, request: Recorded) -> Answer:
        """Carry out one request, or say why not."""
        self.tenant.begin_request()
        try:
            operation, keys = _find_address(request.method, request.path)
            caller = self._authorised(request, operation)
            without = self._without(caller, operation.collection)
            call = Call(request, operation, keys, caller, without)
            return self._carry_out(call)
        except RefusedError as refusal:
            return self.refuse(request, refusal)
