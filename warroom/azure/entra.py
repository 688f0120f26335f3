"""The fake sign-in service: discovery, tokens, device code, managed identity. No HTTP."""

from __future__ import annotations

import base64
import itertools
import json
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jwt
from cryptography.x509 import load_pem_x509_certificate

from warroom.azure.odata import Row
from warroom.azure.tenant import Answer, App, Tenant

APP_SERVICE_HOST = "127.0.0.1:41741"
APP_SERVICE_ENDPOINT = (
    f"http://{APP_SERVICE_HOST}/msi/token"  # for the variable IDENTITY_ENDPOINT
)
IMDS_HOST = "169.254.169.254"
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
ANY_TENANT = ("organizations", "common")
OIDC_SCOPES = frozenset(("openid", "profile", "email", "offline_access"))

ERRORS: Mapping[int, tuple[int, str, str]] = {  # AADSTS number: HTTP status, error, text
    7000215: (401, "invalid_client", "Invalid client secret provided. Ensure the secret being sent in the request is"
              " the client secret value, not the client secret ID, for a secret added to the app."),
    7000222: (401, "invalid_client", "The provided client secret keys are expired."),
    7000218: (401, "invalid_client", "The request body must contain the following parameter: 'client_assertion' or"
              " 'client_secret'."),
    700025: (401, "invalid_client", "Client is public so neither 'client_assertion' nor 'client_secret' should be"
             " presented."),
    700027: (401, "invalid_client", "Client assertion failed signature validation."),
    700024: (401, "invalid_client", "Client assertion is not within its valid time range."),
    700016: (400, "unauthorized_client", "Application was not found in the directory."),
    7000112: (400, "unauthorized_client", "Application is disabled."),
    90002: (400, "invalid_request", "Tenant not found. Check to make sure you have the correct tenant ID and are"
            " signing into the correct cloud."),
    9001023: (400, "invalid_request", "The grant type is not supported over the /common or /organizations endpoints."),
    900144: (400, "invalid_request", "The request body lacks a parameter."),
    9000411: (400, "invalid_request", "The request is not properly formatted: a parameter is unknown or repeated."),
    70003: (400, "unsupported_grant_type", "The app requested an unsupported grant type."),
    70011: (400, "invalid_scope", "The provided request must include a 'scope' input parameter that is valid."),
    500011: (400, "invalid_resource", "The resource principal was not found in the tenant."),
    65001: (400, "invalid_grant", "The user or administrator has not consented to use the application."),
    65004: (400, "authorization_declined", "The user declined to consent to access the app."),
    90094: (400, "invalid_grant", "An administrator must grant the application's permissions."),
    70016: (400, "authorization_pending", "OAuth 2.0 device flow error. Authorization is pending. Continue polling."),
    70018: (400, "bad_verification_code", "Bad or unknown device code."),
    70019: (400, "expired_token", "The device code has expired. Start the sign-in again."),
    54005: (400, "invalid_grant", "OAuth2 Authorization code was already redeemed."),
    70000: (400, "invalid_grant", "The provided refresh token is not valid."),
    70008: (400, "invalid_grant", "The refresh token has expired."),
    70043: (400, "invalid_grant", "The refresh token has expired or is invalid due to sign-in frequency checks."),
    700082: (400, "invalid_grant", "The refresh token has expired due to inactivity."),
    50173: (400, "invalid_grant", "The provided grant has expired due to it being revoked, a fresh token is needed."),
    50076: (400, "interaction_required", "You must use multi-factor authentication."),
    50079: (400, "interaction_required", "You must enroll in multi-factor authentication."),
    53003: (400, "access_denied", "Access has been blocked by Conditional Access policies."),
    50034: (400, "invalid_grant", "The user account does not exist in the directory."),
    50057: (400, "invalid_grant", "The user account is disabled."),
    50105: (400, "invalid_grant", "The signed in user is not assigned to a role for the application."),
    50196: (400, "invalid_grant", "A client loop was detected: too many identical requests."),
    90033: (503, "temporarily_unavailable", "A transient error has occurred. Please try again."),
}  # fmt: skip

FORM_FIELDS: Mapping[
    str, frozenset[str]
] = {  # grant_type: what its form holds beside client_id, scope, client_info
    "client_credentials": frozenset(
        ("client_secret", "client_assertion", "client_assertion_type")
    ),
    DEVICE_CODE: frozenset(("device_code", "code")),
    "refresh_token": frozenset(("refresh_token",)),
}


class SignInError(Exception):
    """Ends a request with an AADSTS error; `detail` follows its text."""

    def __init__(self, code: int, detail: str = "", error: str | None = None) -> None:
        super().__init__(code, detail)
        self.code, self.detail, self.error = code, detail, error


class Asked(NamedTuple):
    """A request as the sign-in service sees it."""

    method: str
    path: str
    query: Mapping[str, str]
    form: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass
class DeviceFlow:
    """A device code and what became of it: pending, approved, declined, expired or redeemed."""

    client_id: str
    scope: str
    user_code: str
    device_code: str = field(repr=False)
    expires_at: float  # seconds since 1970
    state: str = "pending"
    polled_at: float = 0.0


@dataclass
class RefreshToken:
    """What a refresh token stands for, and the AADSTS error it earns once it is dead."""

    client_id: str
    scopes: tuple[str, ...]
    death: int | None = None


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unsigned_jwt(claims: Row) -> str:
    parts = ({"typ": "JWT", "alg": "RS256", "kid": "contoso"}, claims)
    encoded = (
        _base64url(json.dumps(part, separators=(",", ":")).encode()) for part in parts
    )
    return ".".join((*encoded, _base64url(b"contoso")))


class Entra:
    """Answers for the tenant's login host and for this machine's managed identity.

    token_lifetime: seconds. opaque_tokens: access tokens without readable claims.
    slow_down: answer a pending poll that comes within the interval with slow_down.
    interval, device_code_lifetime: seconds. identity_header: for the variable IDENTITY_HEADER.
    """

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.token_lifetime = 3599
        self.opaque_tokens = False
        self.slow_down = False
        self.interval = 5
        self.device_code_lifetime = 900
        self.identity_header = "00000000-0000-0000-0000-0000000000ad"
        self.flows: dict[str, DeviceFlow] = {}
        self.access_tokens: dict[str, Row] = {}
        self.refresh_tokens: dict[str, RefreshToken] = {}
        self.revoked: set[str] = set()
        self._forced: list[int] = []
        self._numbers = itertools.count(1)
        self._grants: Mapping[str, Callable[[Asked, App], Row]] = {
            "client_credentials": self._client_credentials,
            DEVICE_CODE: self._device_code,
            "refresh_token": self._refresh,
        }

    # ---- what a test or a person does

    def approve(self, user_code: str) -> None:
        self._flow_by(user_code).state = "approved"

    def decline(self, user_code: str) -> None:
        self._flow_by(user_code).state = "declined"

    def expire(self, user_code: str) -> None:
        self._flow_by(user_code).state = "expired"

    def _flow_by(self, user_code: str) -> DeviceFlow:
        """The open flow of a user code. Raises: KeyError: no such code waits for an answer."""
        waiting = (
            flow
            for flow in self.flows.values()
            if flow.user_code == user_code and flow.state == "pending"
        )
        flow = next(waiting, None)
        if flow is None:
            raise KeyError(user_code)
        return flow

    def revoke_tokens(self) -> None:
        """Make Graph refuse every access token issued so far."""
        self.revoked.update(self.access_tokens)

    def kill_refresh_tokens(self, code: int = 700082) -> None:
        """Make every refresh token issued so far fail with an AADSTS number."""
        for token in self.refresh_tokens.values():
            token.death = ERRORS[code] and code

    def fail(self, code: int, times: int = 1) -> None:
        """Make the next token requests fail with an AADSTS number of the table."""
        self._forced += [code] * (ERRORS[code] and times)

    def app_token(self, client_id: str) -> str:
        """An access token of an app, as if it had signed in."""
        permissions = self.tenant.apps[client_id].application_permissions
        return str(self._issue_to_app(client_id, permissions)["access_token"])

    # ---- routes

    def login(self, asked: Asked) -> Answer:
        """Answer a request to the login host."""
        try:
            return self._login(asked)
        except SignInError as failure:
            return self.refusal(failure.code, failure.detail, failure.error)

    def _login(self, asked: Asked) -> Answer:
        if (asked.method, asked.path) == ("GET", "/common/discovery/instance"):
            return Answer(200, self._instance_metadata())
        tenant, _, rest = asked.path.strip("/").partition("/")
        routes: Mapping[tuple[str, str], Callable[[Asked, str], Row]] = {
            ("GET", "v2.0/.well-known/openid-configuration"): self._discovery,
            ("POST", "oauth2/v2.0/token"): self._token,
            ("POST", "oauth2/v2.0/devicecode"): self._start_device_flow,
        }
        if (asked.method, rest) not in routes:
            return Answer(
                404,
                "<!DOCTYPE html><html><body>Not Found</body></html>",
                {"Content-Type": "text/html"},
            )
        return Answer(200, routes[asked.method, rest](asked, tenant))

    def refusal(self, code: int, detail: str = "", error: str | None = None) -> Answer:
        """The error body for an AADSTS number; `error` replaces the usual one."""
        status, usual_error, text = ERRORS[code]
        now, trace_id = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime()), self._guid()
        lines = (
            f"AADSTS{code}: {text} {detail}".rstrip(),
            f"Trace ID: {trace_id}",
            f"Correlation ID: {trace_id}",
            f"Timestamp: {now}",
        )
        body = {
            "error": error or usual_error,
            "error_description": "\r\n".join(lines),
            "error_codes": [code],
        }
        body |= {"timestamp": now, "trace_id": trace_id, "correlation_id": trace_id}
        return Answer(
            status,
            body
            | {"error_uri": f"https://{self.tenant.hosts.login}/error?code={code}"},
        )

    def _guid(self) -> str:
        return str(
            uuid.uuid5(uuid.UUID(self.tenant.tenant_id), f"entra {next(self._numbers)}")
        )

    def _instance_metadata(self) -> Row:
        host = self.tenant.hosts.login
        alias = {"preferred_network": host, "preferred_cache": host, "aliases": [host]}
        endpoint = f"https://{host}/{self.tenant.tenant_id}/v2.0/.well-known/openid-configuration"
        return {
            "tenant_discovery_endpoint": endpoint,
            "api-version": "1.1",
            "metadata": [alias],
        }

    def _realm(self, tenant: str, error: str | None = None) -> str:
        """The tenant as endpoints name it. Raises: SignInError: this login host knows no such tenant."""
        if tenant in ANY_TENANT:
            return tenant
        if tenant not in (self.tenant.tenant_id, self.tenant.domain):
            raise SignInError(90002, f"Tenant '{tenant}'.", error)
        return self.tenant.tenant_id

    def _discovery(self, _: Asked, tenant: str) -> Row:
        base = (
            f"https://{self.tenant.hosts.login}/{self._realm(tenant, 'invalid_tenant')}"
        )
        issuer_tenant = "{tenantid}" if tenant in ANY_TENANT else self.tenant.tenant_id
        return {
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
            "issuer": f"https://{self.tenant.hosts.login}/{issuer_tenant}/v2.0",
            "jwks_uri": f"{base}/discovery/v2.0/keys",
        }

    # ---- tokens

    def _token(self, asked: Asked, tenant: str) -> Row:
        if self._forced:
            raise SignInError(self._forced.pop(0))
        grant_type = _required(asked.form, "grant_type")
        if grant_type not in self._grants:
            raise SignInError(70003, grant_type)
        unknown = (
            set(asked.form)
            - FORM_FIELDS[grant_type]
            - {"grant_type", "client_id", "scope", "client_info"}
        )
        if unknown:
            raise SignInError(9000411, ", ".join(sorted(unknown)))
        if self._realm(tenant) in ANY_TENANT and grant_type == "client_credentials":
            raise SignInError(9001023)
        return self._grants[grant_type](asked, self._app(asked.form))

    def _app(self, form: Mapping[str, str]) -> App:
        client_id = _required(form, "client_id")
        if client_id not in self.tenant.apps:
            raise SignInError(700016, f"Application '{client_id}'.")
        return self.tenant.apps[client_id]

    def _issue(self, client_id: str, claims: Row) -> Row:
        """An access token and how long it lasts."""
        now = int(time.time())
        claims = {
            "aud": f"https://{self.tenant.hosts.graph}",
            "iss": f"https://sts.windows.net/{self.tenant.tenant_id}/",
            "iat": now,
            "nbf": now,
            "exp": now + self.token_lifetime,
            "appid": client_id,
            "tid": self.tenant.tenant_id,
            "uti": self._guid(),
            "ver": "1.0",
        } | claims
        token = (
            f"opaque-{claims['uti']}" if self.opaque_tokens else _unsigned_jwt(claims)
        )
        self.access_tokens[token] = claims
        return {
            "token_type": "Bearer",
            "expires_in": self.token_lifetime,
            "ext_expires_in": self.token_lifetime,
            "access_token": token,
        }

    def _issue_to_app(self, client_id: str, permissions: Iterable[str]) -> Row:
        roles = {"roles": sorted(permissions)} if permissions else {}
        object_id = str(uuid.uuid5(uuid.UUID(self.tenant.tenant_id), client_id))
        return self._issue(
            client_id, {"idtyp": "app", "oid": object_id, "sub": object_id} | roles
        )

    def _client_credentials(self, asked: Asked, app: App) -> Row:
        scope = _required(asked.form, "scope")
        if not scope.endswith("/.default") or " " in scope:
            raise SignInError(70011, f"The scope '{scope}' is not valid.")
        if scope != f"https://{self.tenant.hosts.graph}/.default":
            raise SignInError(
                500011, f"The resource principal named '{scope[: -len('/.default')]}'."
            )
        self._check_credential(asked.form, app)
        return self._issue_to_app(app.client_id, app.application_permissions)

    def _check_credential(self, form: Mapping[str, str], app: App) -> None:
        if "client_assertion" in form:
            if form.get("client_assertion_type") != JWT_BEARER:
                raise SignInError(900144, "client_assertion_type")
            _check_assertion(form["client_assertion"], app, self._token_endpoint())
        elif not form.get("client_secret"):
            raise SignInError(7000218)
        elif form["client_secret"] not in app.secrets:
            raise SignInError(7000215, f"App '{app.client_id}'.")

    def _token_endpoint(self) -> str:
        return f"https://{self.tenant.hosts.login}/{self.tenant.tenant_id}/oauth2/v2.0/token"

    def claims(self, token: str) -> Row:
        """What Graph knows of an access token. Raises: KeyError: never issued here; ValueError: no longer valid."""
        claims = self.access_tokens[token]
        if token in self.revoked:
            raise ValueError("Lifetime validation failed, the token is expired.")
        if claims["exp"] <= time.time():
            raise ValueError("Access token has expired or is not yet valid.")
        return claims

    # ---- device code

    def _start_device_flow(self, asked: Asked, tenant: str) -> Row:
        self._realm(tenant)
        unknown = set(asked.form) - {"client_id", "scope"}
        if unknown:
            raise SignInError(9000411, ", ".join(sorted(unknown)))
        app, scope, number = (
            self._app(asked.form),
            _required(asked.form, "scope"),
            next(self._numbers),
        )
        self._permissions(scope)
        flow = DeviceFlow(
            app.client_id,
            scope,
            f"CODE{number:05d}",
            self._guid(),
            time.time() + self.device_code_lifetime,
        )
        self.flows[flow.device_code] = flow
        page = "https://microsoft.com/devicelogin"
        return {
            "user_code": flow.user_code,
            "device_code": flow.device_code,
            "verification_uri": page,
            "expires_in": self.device_code_lifetime,
            "interval": max(1, self.interval),  # msal would poll without a pause at 0
            "message": f"To sign in, use a web browser to open the page {page} and enter the code {flow.user_code}"
            " to authenticate.",
        }

    def _device_code(self, asked: Asked, app: App) -> Row:
        flow = self.flows.get(_required(asked.form, "device_code"))
        if flow is None or flow.client_id != app.client_id:
            raise SignInError(70018)
        if not app.public_client:
            raise SignInError(7000218)
        self._check_flow(flow)
        answer = self._issue_to_user(asked, app, tuple(flow.scope.split()))
        flow.state = "redeemed"
        return answer

    def _check_flow(self, flow: DeviceFlow) -> None:
        """Let only an approved flow pass."""
        too_early = self.slow_down and time.time() < flow.polled_at + self.interval
        flow.polled_at = time.time()
        if flow.state == "pending" and flow.expires_at <= time.time():
            flow.state = "expired"
        if flow.state == "pending":
            raise SignInError(70016, error="slow_down" if too_early else None)
        ends = {"declined": 65004, "expired": 70019, "redeemed": 54005}
        if flow.state in ends:
            raise SignInError(ends[flow.state])

    def _permissions(self, scope: str) -> set[str]:
        """The permissions that scopes name. Raises: SignInError: one is of another resource than this Graph."""
        resource = f"https://{self.tenant.hosts.graph}/"
        for part in scope.split():
            if "/" in part and not part.startswith(resource):
                raise SignInError(
                    500011, f"The resource principal named '{part.rpartition('/')[0]}'."
                )
        return {part.rpartition("/")[2] for part in scope.split()} - OIDC_SCOPES

    def _issue_to_user(self, asked: Asked, app: App, scopes: tuple[str, ...]) -> Row:
        wanted = self._permissions(" ".join(scopes))
        missing = wanted - app.delegated_permissions - {".default"}
        if missing:
            raise SignInError(
                65001, f"Application '{app.client_id}': {', '.join(sorted(missing))}."
            )
        granted = app.delegated_permissions if ".default" in wanted else wanted
        oid = self.tenant.signed_in_user
        answer = self._issue(
            app.client_id,
            {"idtyp": "user", "oid": oid, "sub": oid, "scp": " ".join(sorted(granted))},
        )
        answer["scope"] = " ".join(
            scope for scope in scopes if scope != "offline_access"
        )
        return answer | self._companions(asked, app, scopes)

    def _companions(self, asked: Asked, app: App, scopes: tuple[str, ...]) -> Row:
        """What comes with a delegated access token: refresh token, id_token and client_info, as asked for."""
        companions: Row = {}
        if "offline_access" in scopes:
            companions["refresh_token"] = f"refresh-{self._guid()}"
            self.refresh_tokens[companions["refresh_token"]] = RefreshToken(
                app.client_id, scopes
            )
        if "openid" in scopes:
            companions["id_token"] = _unsigned_jwt(self._id_claims(app.client_id))
        if asked.form.get("client_info") == "1":
            info = {"uid": self.tenant.signed_in_user, "utid": self.tenant.tenant_id}
            companions["client_info"] = _base64url(json.dumps(info).encode())
        return companions

    def _id_claims(self, client_id: str) -> Row:
        now, user = int(time.time()), self.tenant.signed_in_user
        who = {
            "sub": user,
            "oid": user,
            "name": "An Analyst",
            "preferred_username": f"analyst@{self.tenant.domain}",
        }
        issuer = f"https://{self.tenant.hosts.login}/{self.tenant.tenant_id}/v2.0"
        times = {"iat": now, "nbf": now, "exp": now + max(self.token_lifetime, 600)}
        return (
            who
            | times
            | {
                "aud": client_id,
                "iss": issuer,
                "tid": self.tenant.tenant_id,
                "ver": "2.0",
            }
        )

    def _refresh(self, asked: Asked, app: App) -> Row:
        token = self.refresh_tokens.get(_required(asked.form, "refresh_token"))
        if token is None or token.client_id != app.client_id:
            raise SignInError(70000)
        if token.death:
            raise SignInError(token.death)
        if not app.public_client:
            raise SignInError(7000218)
        return self._issue_to_user(
            asked, app, tuple(asked.form.get("scope", "").split()) or token.scopes
        )

    # ---- managed identity

    def machine(self, asked: Asked) -> Answer:
        """Answer for the instance metadata service of a virtual machine (numbers are strings there)."""
        if (asked.method, asked.path) != ("GET", "/metadata/identity/oauth2/token"):
            return Answer(404, {"error": "not_found", "error_description": "Not found"})
        if (
            asked.headers.get("Metadata") != "true"
            or "X-Forwarded-For" in asked.headers
        ):
            return _identity_error(
                "bad_request_102", "Required metadata header not specified"
            )
        problem = self._identity_problem(
            asked.query, "2018-02-01", ("client_id", "object_id", "msi_res_id")
        )
        if problem:
            return _identity_error("invalid_request", problem)
        answer = self._identity_token(asked.query)
        expires_in = str(answer["expires_in"])
        return Answer(
            200,
            answer
            | {
                "refresh_token": "",
                "expires_in": expires_in,
                "ext_expires_in": expires_in,
            },
        )

    def app_service(self, asked: Asked) -> Answer:
        """Answer for the identity endpoint of App Service and Functions."""
        if asked.headers.get("X-IDENTITY-HEADER") != self.identity_header:
            return Answer(
                401,
                {
                    "statusCode": 401,
                    "message": "The X-IDENTITY-HEADER is missing or wrong.",
                },
            )
        selectors = ("client_id", "object_id", "principal_id", "mi_res_id")
        problem = self._identity_problem(asked.query, "2019-08-01", selectors)
        if problem or (asked.method, asked.path) != ("GET", "/msi/token"):
            return Answer(400, {"statusCode": 400, "message": problem or "Not found"})
        answer = self._identity_token(asked.query)
        return Answer(200, {name: answer[name] for name in APP_SERVICE_ANSWER})

    def _identity_problem(
        self, query: Mapping[str, str], version: str, selectors: tuple[str, ...]
    ) -> str | None:
        """What is wrong with a request for a managed identity's token."""
        chosen = [name for name in selectors if name in query]
        if set(query) - {"api-version", "resource", *selectors} or len(chosen) > 1:
            return "Unknown or contradictory parameters"
        if query.get("api-version") != version:
            return "Invalid api-version"
        if query.get("resource") != f"https://{self.tenant.hosts.graph}":
            return f"AADSTS500011: The resource principal named {query.get('resource')} was not found in the tenant"
        known = "client_id" in chosen or not chosen
        return (
            None
            if known and query.get("client_id", "") in self.tenant.identities
            else "Identity not found"
        )

    def _identity_token(self, query: Mapping[str, str]) -> Row:
        client_id = query.get("client_id", "")
        answer = self._issue_to_app(
            client_id or "system-assigned", self.tenant.identities[client_id]
        )
        now = int(time.time())
        times = {"expires_on": str(now + self.token_lifetime), "not_before": str(now)}
        return answer | times | {"resource": query["resource"], "client_id": client_id}


APP_SERVICE_ANSWER = (
    "access_token",
    "expires_on",
    "resource",
    "token_type",
    "client_id",
)


def _identity_error(error: str, text: str) -> Answer:
    return Answer(400, {"error": error, "error_description": text})


def _required(form: Mapping[str, str], name: str) -> str:
    if not form.get(name):
        raise SignInError(900144, f"'{name}'.")
    return form[name]


# ---- client assertions

THUMBPRINTS = {
    "RS256": "x5t",
    "PS256": "x5t#S256",
}  # SHA-1 and SHA-256 of the certificate


def _check_assertion(assertion: str, app: App, token_endpoint: str) -> None:
    """Accept only an assertion of this app for this endpoint. Raises: SignInError."""
    try:
        header = jwt.get_unverified_header(assertion)
        encoded = header[THUMBPRINTS[header["alg"]]]
        thumbprint = base64.urlsafe_b64decode(encoded.rstrip("=") + "==").hex()
        certificates = {
            name.replace(":", "").lower(): pem for name, pem in app.certificates.items()
        }
        claims = _assertion_claims(
            assertion, certificates[thumbprint], header["alg"], token_endpoint
        )
    except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError) as error:
        raise SignInError(700024, str(error)) from error
    except (jwt.PyJWTError, KeyError, ValueError) as error:
        raise SignInError(700027, f"{type(error).__name__}: {error}") from error
    if not claims["iss"] == claims["sub"] == app.client_id:
        raise SignInError(700027, "Issuer and subject must be the client id.")


def _assertion_claims(
    assertion: str, pem: str, algorithm: str, token_endpoint: str
) -> dict[str, Any]:
    options: Any = {
        "require": ["aud", "iss", "sub", "exp", "jti"],
        "verify_signature": bool(pem),
    }
    if not pem:
        options |= dict.fromkeys(
            ("verify_exp", "verify_aud", "verify_nbf", "verify_iat"), True
        )
    key: Any = (
        load_pem_x509_certificate(pem.encode()).public_key()
        if "BEGIN CERTIFICATE" in pem
        else pem
    )
    return jwt.decode(
        assertion, key, algorithms=[algorithm], audience=token_endpoint, options=options
    )
