"""The simulated sign-in service: discovery, tokens, device code. No HTTP."""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from warroom.azure.aadsts import ERRORS, EntraError
from warroom.azure.assertions import check_assertion
from warroom.azure.exchange import Answer, Json, Recorded, html_page
from warroom.azure.keys import key_set, signed
from warroom.azure.tenant import App, Tenant

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
DEVICE_LOGIN = "https://microsoft.com/devicelogin"
ANY_TENANT = ("organizations", "common")
OIDC_SCOPES = frozenset(("openid", "profile", "email", "offline_access"))

Form = Mapping[str, str]
COMMON_FIELDS = frozenset(("grant_type", "client_id", "scope", "client_info", "claims"))
DEVICE_CODE_FIELDS = frozenset(("client_id", "scope", "claims"))
CLAIMED_TOKENS = frozenset(("access_token", "id_token", "userinfo"))
GRANT_FIELDS: Mapping[str, frozenset[str]] = {  # what else the form of a grant holds
    "client_credentials": frozenset(
        ("client_secret", "client_assertion", "client_assertion_type")
    ),
    DEVICE_CODE: frozenset(("device_code", "code")),
    "refresh_token": frozenset(("refresh_token",)),
}
# What a user's token bears though it was not asked for, if it was consented to. Entra puts
# in all of the resource; here the others stay out, so that tests can leave them out.
UNASKED = frozenset(("AuditLog.Read.All", "User.ReadBasic.All"))
FLOW_ENDS = {"declined": 65004, "expired": 70019, "redeemed": 54005}  # AADSTS numbers


@dataclass
class DeviceFlow:
    """A device code and what became of it.

    expires_at, polled_at: seconds since 1970.
    state: pending, approved, declined, expired or redeemed.
    """

    client_id: str
    scope: str
    user_code: str
    device_code: str = field(repr=False)
    expires_at: float
    state: str = "pending"
    polled_at: float = 0.0


@dataclass
class RefreshToken:
    """What a refresh token stands for, and the AADSTS error it earns once it is dead."""

    client_id: str
    scopes: tuple[str, ...]
    death: int | None = None


def _required(form: Form, name: str) -> str:
    value = form.get(name)
    if not value:
        raise EntraError(900144, f"'{name}'.")
    return value


def _refuse_unknown_fields(form: Form, known: frozenset[str]) -> None:
    unknown = set(form) - known
    if unknown:
        raise EntraError(9000411, ", ".join(sorted(unknown)))


def _is_claims_request(value: Any) -> bool:
    """Whether it is OpenID Connect's: by token, the claims that shall be in it.

    Each may come with conditions, as in {"access_token": {"xms_cc": {"values": ["CP1"]}}}.
    """
    if not isinstance(value, dict) or not set(value) <= CLAIMED_TOKENS:
        return False
    for claims in value.values():
        if not isinstance(claims, dict):
            return False
        if not all(each is None or isinstance(each, dict) for each in claims.values()):
            return False
    return True


def _check_claims(form: Form) -> None:
    """Let a form pass that asks for no claims, or for some in a form that can be read."""
    try:
        claims = json.loads(form.get("claims", "{}"))
    except ValueError as error:
        raise EntraError(9000410, str(error)) from error
    if not _is_claims_request(claims):
        raise EntraError(9000410, "The parameter 'claims' is no request for claims.")


def _base64url(part: Json) -> str:
    text = json.dumps(part, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


class Entra:
    """Answers for the tenant's login host.

    Tokens and device codes age by real time, not by the tenant's clock.
    token_lifetime, interval, device_code_lifetime: seconds.
    opaque_tokens: access tokens have no readable claims.
    slow_down: a pending poll that comes within the interval is answered with slow_down.
    flows: by device code. access_tokens: the claims by token. refresh_tokens: what each
    stands for, by token. revoked: the access tokens that Graph refuses from now on.
    """

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.token_lifetime = 3599
        self.opaque_tokens = False
        self.slow_down = False
        self.interval = 5
        self.device_code_lifetime = 900
        self.flows: dict[str, DeviceFlow] = {}
        self.access_tokens: dict[str, Json] = {}
        self.refresh_tokens: dict[str, RefreshToken] = {}
        self.revoked: set[str] = set()
        self._forced: list[int] = []
        self._number = 0

    # ---- what a test or a person does

    def _end_flow(self, user_code: str, state: str) -> None:
        """Raises: KeyError: no such code waits for an answer."""
        for flow in self.flows.values():
            if flow.user_code == user_code and flow.state == "pending":
                flow.state = state
                return
        raise KeyError(user_code)

    def approve(self, user_code: str) -> None:
        self._end_flow(user_code, "approved")

    def decline(self, user_code: str) -> None:
        self._end_flow(user_code, "declined")

    def expire(self, user_code: str) -> None:
        self._end_flow(user_code, "expired")

    def revoke_tokens(self) -> None:
        """Make Graph refuse every access token issued so far."""
        self.revoked.update(self.access_tokens)

    def kill_refresh_tokens(self, code: int = 700082) -> None:
        """Make every refresh token issued so far fail with an AADSTS number."""
        if code not in ERRORS:
            raise KeyError(code)
        for token in self.refresh_tokens.values():
            token.death = code

    def fail(self, code: int, times: int = 1) -> None:
        """Make the next token requests fail with an AADSTS number."""
        if code not in ERRORS:
            raise KeyError(code)
        self._forced += [code] * times

    def app_token(self, client_id: str) -> str:
        """An access token of an app, as if it had signed in."""
        app = self.tenant.apps[client_id]
        answer = self.issue_to_app(client_id, app.application_permissions)
        return str(answer["access_token"])

    # ---- from one process to the next

    def kept(self) -> Json:
        """Who is signed in and who is about to, as JSON."""
        flows = [asdict(flow) for flow in self.flows.values()]
        refresh_tokens = {
            name: asdict(token) for name, token in self.refresh_tokens.items()
        }
        return {
            "number": self._number,
            "flows": flows,
            "refresh_tokens": refresh_tokens,
            "access_tokens": self.access_tokens,
            "revoked": sorted(self.revoked),
        }

    def go_on_from(self, kept: Json) -> None:
        """Take over what `kept` gave."""
        self._number = kept["number"]
        for fields in kept["flows"]:
            flow = DeviceFlow(**fields)
            self.flows[flow.device_code] = flow
        for name, fields in kept["refresh_tokens"].items():
            scopes = tuple(fields["scopes"])
            token = RefreshToken(**(fields | {"scopes": scopes}))
            self.refresh_tokens[name] = token
        self.access_tokens.update(kept["access_tokens"])
        self.revoked.update(kept["revoked"])

    # ---- names and addresses

    def _next_number(self) -> int:
        self._number += 1
        return self._number

    def _guid(self) -> str:
        namespace = uuid.UUID(self.tenant.tenant_id)
        number = self._next_number()
        return str(uuid.uuid5(namespace, f"entra {number}"))

    def _address(self, path: str) -> str:
        return f"https://{self.tenant.hosts.login}/{path}"

    def _graph(self) -> str:
        return f"https://{self.tenant.hosts.graph}"

    def _realm(self, segment: str, error: str = "") -> str:
        """The tenant as endpoints name it.

        segment: the part of the path that names it. Raises: EntraError: this login host
        knows no such tenant.
        """
        if segment in ANY_TENANT:
            return segment
        if segment not in (self.tenant.tenant_id, self.tenant.domain):
            raise EntraError(90002, f"Tenant '{segment}'.", error)
        return self.tenant.tenant_id

    def _instance_metadata(self) -> Json:
        host = self.tenant.hosts.login
        alias = {"preferred_network": host, "preferred_cache": host, "aliases": [host]}
        realm = self.tenant.tenant_id
        document = self._address(f"{realm}/v2.0/.well-known/openid-configuration")
        return {
            "tenant_discovery_endpoint": document,
            "api-version": "1.1",
            "metadata": [alias],
        }

    def _issuer(self, realm: str) -> str:
        """Whose tokens the endpoints of a realm give; a pattern where it is open."""
        name = "{tenantid}" if realm in ANY_TENANT else realm
        return self._address(f"{name}/v2.0")

    def _discovery(self, segment: str) -> Json:
        realm = self._realm(segment, "invalid_tenant")
        return {
            "token_endpoint": self._address(f"{realm}/oauth2/v2.0/token"),
            "authorization_endpoint": self._address(f"{realm}/oauth2/v2.0/authorize"),
            "device_authorization_endpoint": self._address(
                f"{realm}/oauth2/v2.0/devicecode"
            ),
            "issuer": self._issuer(realm),
            "jwks_uri": self._address(f"{realm}/discovery/v2.0/keys"),
        }

    def _keys(self, segment: str) -> Json:
        realm = self._realm(segment, "invalid_tenant")
        return key_set(self._issuer(realm))

    # ---- access tokens

    def _issue(self, client_id: str, claims: Json) -> Json:
        """An access token and how long it lasts."""
        now = int(time.time())
        claims = {
            "aud": self._graph(),
            "iss": f"https://sts.windows.net/{self.tenant.tenant_id}/",
            "iat": now,
            "nbf": now,
            "exp": now + self.token_lifetime,
            "appid": client_id,
            "tid": self.tenant.tenant_id,
            "uti": self._guid(),
            "ver": "1.0",
            **claims,
        }
        token = signed(claims)
        if self.opaque_tokens:
            token = f"opaque-{claims['uti']}"
        self.access_tokens[token] = claims
        return {
            "token_type": "Bearer",
            "expires_in": self.token_lifetime,
            "ext_expires_in": self.token_lifetime,
            "access_token": token,
        }

    def issue_to_app(self, client_id: str, permissions: Collection[str]) -> Json:
        """An access token for an app or a managed identity."""
        namespace = uuid.UUID(self.tenant.tenant_id)
        object_id = str(uuid.uuid5(namespace, client_id))
        claims: Json = {"idtyp": "app", "oid": object_id, "sub": object_id}
        if permissions:
            claims["roles"] = sorted(permissions)
        return self._issue(client_id, claims)

    def claims(self, token: str) -> Json:
        """What Graph knows of an access token.

        Raises: KeyError: it was never issued here; ValueError: it is no longer valid.
        """
        claims = self.access_tokens[token]
        if token in self.revoked:
            raise ValueError("Lifetime validation failed, the token is expired.")
        if claims["exp"] <= time.time():
            raise ValueError("Access token has expired or is not yet valid.")
        return claims

    # ---- an app by its own credential

    def _app(self, form: Form) -> App:
        client_id = _required(form, "client_id")
        if client_id not in self.tenant.apps:
            raise EntraError(700016, f"Application '{client_id}'.")
        return self.tenant.apps[client_id]

    def _check_credential(self, form: Form, app: App) -> None:
        secret, assertion = form.get("client_secret"), form.get("client_assertion")
        if assertion is not None:
            if form.get("client_assertion_type") != JWT_BEARER:
                raise EntraError(900144, "client_assertion_type")
            endpoint = self._address(f"{self.tenant.tenant_id}/oauth2/v2.0/token")
            check_assertion(assertion, app, endpoint)
        elif not secret:
            raise EntraError(7000218)
        elif secret in app.expired_secrets:
            raise EntraError(7000222, f"App '{app.client_id}'.")
        elif secret not in app.secrets:
            raise EntraError(7000215, f"App '{app.client_id}'.")

    def _client_credentials(self, form: Form, app: App) -> Json:
        scope = _required(form, "scope")
        resource = scope.removesuffix("/.default")
        if resource == scope or " " in scope:
            raise EntraError(70011, f"The scope '{scope}' is not valid.")
        if resource != self._graph():
            raise EntraError(500011, f"The resource principal named '{resource}'.")
        self._check_credential(form, app)
        return self.issue_to_app(app.client_id, app.application_permissions)

    # ---- a user by device code

    def _permissions(self, scope: str) -> set[str]:
        """The permissions that scopes name.

        Raises: EntraError: one is of another resource than this Graph.
        """
        permissions = set()
        for part in scope.split():
            resource, slash, permission = part.rpartition("/")
            if slash and not part.startswith(f"{self._graph()}/"):
                detail = f"The resource principal named '{resource}'."
                raise EntraError(500011, detail)
            permissions.add(permission)
        return permissions - OIDC_SCOPES

    def _start_device_flow(self, form: Form, segment: str) -> Json:
        self._realm(segment)
        _refuse_unknown_fields(form, DEVICE_CODE_FIELDS)
        _check_claims(form)
        app = self._app(form)
        scope = _required(form, "scope")
        number = self._next_number()
        self._permissions(scope)
        flow = DeviceFlow(
            app.client_id,
            scope,
            user_code=f"CODE{number:05d}",
            device_code=self._guid(),
            expires_at=time.time() + self.device_code_lifetime,
        )
        self.flows[flow.device_code] = flow
        return {
            "user_code": flow.user_code,
            "device_code": flow.device_code,
            "verification_uri": DEVICE_LOGIN,
            "expires_in": self.device_code_lifetime,
            "interval": max(1, self.interval),  # msal would poll without a pause at 0
            "message": "To sign in, use a web browser to open the page"
            f" {DEVICE_LOGIN} and enter the code {flow.user_code} to authenticate.",
        }

    def _check_flow(self, flow: DeviceFlow) -> None:
        """Let only an approved flow pass."""
        now = time.time()
        too_early = now < flow.polled_at + self.interval
        flow.polled_at = now
        if flow.state == "pending" and flow.expires_at <= now:
            flow.state = "expired"
        if flow.state == "pending" and self.slow_down and too_early:
            raise EntraError(70016, error="slow_down")
        if flow.state == "pending":
            raise EntraError(70016)
        if flow.state in FLOW_ENDS:
            raise EntraError(FLOW_ENDS[flow.state])

    def _id_claims(self, client_id: str) -> Json:
        now = int(time.time())
        user = self.tenant.signed_in_user
        realm = self.tenant.tenant_id
        return {
            "sub": user,
            "oid": user,
            "name": "An Analyst",
            "preferred_username": f"analyst@{self.tenant.domain}",
            "iat": now,
            "nbf": now,
            "exp": now + max(self.token_lifetime, 600),
            "aud": client_id,
            "iss": self._issuer(realm),
            "tid": realm,
            "ver": "2.0",
        }

    def _companions(self, form: Form, app: App, scopes: tuple[str, ...]) -> Json:
        """What comes with a user's access token, as asked for."""
        companions: Json = {}
        if "offline_access" in scopes:
            token = f"refresh-{self._guid()}"
            self.refresh_tokens[token] = RefreshToken(app.client_id, scopes)
            companions["refresh_token"] = token
        if "openid" in scopes:
            companions["id_token"] = signed(self._id_claims(app.client_id))
        if form.get("client_info") == "1":
            info = {"uid": self.tenant.signed_in_user, "utid": self.tenant.tenant_id}
            companions["client_info"] = _base64url(info)
        return companions

    def _granted(self, app: App, scopes: tuple[str, ...]) -> set[str]:
        """The permissions that a user's token bears: those asked for, and some besides.

        Raises: EntraError: one was not consented to.
        """
        permissions = self._permissions(" ".join(scopes))
        if ".default" in permissions:
            permissions = permissions - {".default"} | app.delegated_permissions
        missing = permissions - app.delegated_permissions
        if missing:
            names = ", ".join(sorted(missing))
            raise EntraError(65001, f"Application '{app.client_id}': {names}.")
        return permissions | app.delegated_permissions & UNASKED

    def _issue_to_user(self, form: Form, app: App, scopes: tuple[str, ...]) -> Json:
        permissions = self._granted(app, scopes)
        user = self.tenant.signed_in_user
        claims = {
            "idtyp": "user",
            "oid": user,
            "sub": user,
            "scp": " ".join(sorted(permissions)),
        }
        access = self._issue(app.client_id, claims)
        shown = [scope for scope in scopes if scope != "offline_access"]
        return {
            **access,
            "scope": " ".join(shown),
            **self._companions(form, app, scopes),
        }

    def _device_code(self, form: Form, app: App) -> Json:
        flow = self.flows.get(_required(form, "device_code"))
        if flow is None or flow.client_id != app.client_id:
            raise EntraError(70018)
        if not app.public_client:
            raise EntraError(7000218)
        self._check_flow(flow)
        answer = self._issue_to_user(form, app, tuple(flow.scope.split()))
        flow.state = "redeemed"
        return answer

    def _refresh(self, form: Form, app: App) -> Json:
        token = self.refresh_tokens.get(_required(form, "refresh_token"))
        if token is None or token.client_id != app.client_id:
            raise EntraError(70000)
        if token.death:
            raise EntraError(token.death)
        if not app.public_client:
            raise EntraError(7000218)
        scopes = tuple(form.get("scope", "").split())
        return self._issue_to_user(form, app, scopes or token.scopes)

    # ---- requests

    def _token(self, form: Form, segment: str) -> Json:
        if self._forced:
            raise EntraError(self._forced.pop(0))
        grants = {
            "client_credentials": self._client_credentials,
            DEVICE_CODE: self._device_code,
            "refresh_token": self._refresh,
        }
        grant_type = _required(form, "grant_type")
        if grant_type not in grants:
            raise EntraError(70003, grant_type)
        _refuse_unknown_fields(form, COMMON_FIELDS | GRANT_FIELDS[grant_type])
        _check_claims(form)
        realm = self._realm(segment)
        if realm in ANY_TENANT and grant_type == "client_credentials":
            raise EntraError(9001023)
        return grants[grant_type](form, self._app(form))

    def _routed(self, request: Recorded) -> Answer:
        if request.repeated:
            raise EntraError(9000411)
        address = f"{request.method} {request.path}"
        if address == "GET /common/discovery/instance":
            return Answer(200, self._instance_metadata())
        segment, _, rest = request.path.strip("/").partition("/")
        match f"{request.method} {rest}":
            case "GET v2.0/.well-known/openid-configuration":
                return Answer(200, self._discovery(segment))
            case "GET discovery/v2.0/keys":
                return Answer(200, self._keys(segment))
            case "POST oauth2/v2.0/token":
                return Answer(200, self._token(request.form, segment))
            case "POST oauth2/v2.0/devicecode":
                return Answer(200, self._start_device_flow(request.form, segment))
        return html_page(404, "Not Found")

    def refuse(self, refusal: EntraError) -> Answer:
        """The answer with an AADSTS error."""
        code, detail = refusal.code, refusal.detail
        status, usual_error, text = ERRORS[code]
        now = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime())
        trace_id = self._guid()
        lines = (
            f"AADSTS{code}: {text} {detail}".rstrip(),
            f"Trace ID: {trace_id}",
            f"Correlation ID: {trace_id}",
            f"Timestamp: {now}",
        )
        body = {
            "error": refusal.error or usual_error,
            "error_description": "\r\n".join(lines),
            "error_codes": [code],
            "timestamp": now,
            "trace_id": trace_id,
            "correlation_id": trace_id,
            "error_uri": self._address(f"error?code={code}"),
        }
        return Answer(status, body)

    def answer(self, request: Recorded) -> Answer:
        """Answer a request to the login host."""
        try:
            return self._routed(request)
        except EntraError as refusal:
            return self.refuse(refusal)
