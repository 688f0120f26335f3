"""Microsoft Entra ID Protection for Cortex XSOAR: risky users and risk detections, read from Microsoft Graph.

    demisto.params() -> Settings -> HttpSession -> Authenticator -> GraphClient
    demisto.args()   -> COMMANDS[command](client, args) -> CommandResults -> war room and context

Graph's objects stay dicts with Graph's own property names from the wire to the context: they are the public contract.
Only `main`, `fetch`, `TokenStore` and `auth_reset` touch the platform; everything else takes and gives plain values.
"""

import demistomock as demisto  # noqa: F401
from CommonServerPython import *  # noqa: F401

# isort: split
import base64
import hashlib
import json
import re
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from enum import Enum
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import msal
import requests
import urllib3
from dateutil.relativedelta import relativedelta

# Constants

GRAPH_VERSION = "v1.0"
DEFAULT_LIMIT = 50  # rows
MAX_PAGE_SIZE = 500  # rows; Graph's upper bound of $top for these collections
MAX_COMPARISONS = 15  # in one $filter, Graph's usual bound
REQUEST_TIMEOUT = (
    5,
    30,
)  # seconds: (to connect, between two bytes of the answer)
IDENTITY_TIMEOUT = (
    2,
    10,
)  # seconds; the managed identity endpoint is on the machine itself or not there at all
RETRY_PERIOD = (
    90  # seconds from the command's start in which failed requests are repeated
)
WALK_PERIOD = 240  # seconds after which a walk over pages ends; the platform ends a command after five minutes
MAX_IDS = 60  # in one action (https://learn.microsoft.com/graph/api/riskyuser-dismiss)
VERIFY_INTERVAL = 30  # seconds between two looks at what became of an action
VERIFY_PERIOD = 900  # seconds after which an action that has not taken effect counts as failed
TOKEN_RESERVE = 300  # seconds a stored token must still be valid for

RISK_LEVELS = ("low", "medium", "high", "hidden", "none")
RISK_STATES = (
    "none",
    "confirmedSafe",
    "remediated",
    "dismissed",
    "atRisk",
    "confirmedCompromised",
)

Args = dict[str, Any]
Row = dict[str, Any]


# Errors: DemistoException is the platform's; main() shows those below as they are.
#
#   DemistoException
#   +-- SettingsError    the instance is not configured for what was asked
#   +-- ArgumentError    an argument cannot be read exactly; nothing was sent
#   +-- CommandFailed    a command did not do all that was asked, and shows what it did
#   +-- RequestError     a request did not bring what it was sent for
#       +-- SignInError  ... sent to the login service or the managed identity endpoint
#       +-- GraphError   ... sent to Graph


class SettingsError(DemistoException):
    """The instance's parameters do not suffice for what was asked."""


class ArgumentError(DemistoException):
    """An argument cannot be read exactly. Says which one, its value and what would be accepted."""

    def __init__(self, name: str, value: object, accepted: str):
        super().__init__(
            f'{name}="{str(value)[:200]}" cannot be used. Accepted: {accepted}.'
        )


class RequestError(DemistoException):
    """A request did not bring what it was sent for."""


class SignInError(RequestError):
    """No access token could be had. Keeps the AADSTS code where the login service gave one."""


class CommandFailed(DemistoException):
    """A command did not do all that was asked. `results` are the entries that show what it did, given back first."""

    def __init__(self, message: str, results: list[CommandResults]):
        super().__init__(message)
        self.results = results


class GraphError(RequestError):
    """Graph refused, could not be reached, or answered something that is not Graph's.

    Attributes: status (int, 0 without an HTTP answer), reason (what to do about it, else Graph's own message).
    """

    def __init__(self, message: str, status: int = 0, reason: str = ""):
        super().__init__(message)
        self.status = status
        self.reason = reason


# Settings


class SignIn(Enum):
    """How the instance signs in; the values are the manifest's option texts."""

    CLIENT_CREDENTIALS = "Client Credentials"
    DEVICE_CODE = "Device Code"
    MANAGED_IDENTITY = "Azure Managed Identities"


SIGN_IN_OPTIONS = (
    SignIn.DEVICE_CODE.value,
    SignIn.CLIENT_CREDENTIALS.value,
    SignIn.MANAGED_IDENTITY.value,
)


class Cloud(NamedTuple):
    """The hosts of one Microsoft cloud (https://learn.microsoft.com/graph/deployments)."""

    login: str
    graph: str


CLOUDS = {
    "Worldwide": Cloud(
        "https://login.microsoftonline.com", "https://graph.microsoft.com"
    ),
    "US Government L4 (GCC High)": Cloud(
        "https://login.microsoftonline.us", "https://graph.microsoft.us"
    ),
    "US Government L5 (DoD)": Cloud(
        "https://login.microsoftonline.us", "https://dod-graph.microsoft.us"
    ),
}


@dataclass(frozen=True)
class Settings:
    """One instance's parameters, checked."""

    sign_in: SignIn
    client_id: str = ""
    tenant_id: str = ""
    client_secret: str = field(default="", repr=False)
    thumbprint: str = ""
    private_key: str = field(default="", repr=False)
    managed_identity_client_id: str = ""
    cloud: Cloud = CLOUDS["Worldwide"]
    allow_response: bool = False
    fetch: Row = field(
        default_factory=dict, repr=False
    )  # as given; read where incidents are fetched

    @property
    def client_credential(self) -> str | dict[str, str]:
        """What the application proves itself with, as msal takes it: a secret, a certificate, or '' for neither."""
        if self.thumbprint and self.private_key:
            return {
                "thumbprint": self.thumbprint,
                "private_key": self.private_key,
            }
        return self.client_secret

    @property
    def binding(self) -> str:
        """A fingerprint of all sign-in settings: whatever was got with other ones is never used with these."""
        values = [
            str(getattr(self, name))
            for name in sorted(self.__dataclass_fields__)
            if name != "fetch"
        ]
        return hashlib.sha256(json.dumps(values).encode()).hexdigest()


REQUIRED_SETTINGS = {
    SignIn.CLIENT_CREDENTIALS: {
        "client_id": "Client ID",
        "tenant_id": "Tenant ID",
        "client_credential": "Client Secret (or Certificate Thumbprint and Private Key)",
    },
    SignIn.DEVICE_CODE: {"client_id": "Client ID"},
    SignIn.MANAGED_IDENTITY: {},
}


def read_settings(params: Args) -> Settings:
    """Return the settings that the instance's parameters mean.

    Raises: SettingsError: an option is unknown, a value unusable, or what the sign-in needs is missing (all is named).
    """
    certificate = params.get("creds_certificate") or {}
    settings = Settings(
        sign_in=SignIn(
            option(
                "Authentication Type",
                params.get("authentication_type"),
                SIGN_IN_OPTIONS,
            )
        ),
        client_id=credential(params.get("client_id")),
        tenant_id=(params.get("tenant_id") or "").strip(),
        client_secret=credential(params.get("client_secret")),
        thumbprint=re.sub("[: ]", "", certificate.get("identifier") or ""),
        private_key=pem_text(certificate.get("password") or ""),
        managed_identity_client_id=credential(
            params.get("managed_identities_client_id")
        ),
        cloud=CLOUDS[
            option("Azure Cloud", params.get("azure_cloud"), tuple(CLOUDS))
        ],
        allow_response=argToBoolean(params.get("allow_response") or False),
        fetch={name: params.get(name) for name in FETCH_PARAMETERS},
    )
    check_settings(settings)
    return settings


def check_settings(settings: Settings) -> None:
    """Raise SettingsError unless the settings suffice for their sign-in type."""
    needed = REQUIRED_SETTINGS[settings.sign_in]
    missing = [
        label for name, label in needed.items() if not getattr(settings, name)
    ]
    if missing:
        raise SettingsError(
            f"Sign-in with {settings.sign_in.value} also needs: {', '.join(missing)}."
        )
    if not re.fullmatch(r"[A-Za-z0-9.-]*", settings.tenant_id):
        raise SettingsError(
            f'Tenant ID "{settings.tenant_id}" is neither a GUID nor a domain name.'
        )
    if settings.client_secret and settings.thumbprint:
        raise SettingsError(
            "Both a Client Secret and a certificate are given. Empty the one that is not to be used."
        )
    if not re.fullmatch("([0-9A-Fa-f]{40})?", settings.thumbprint):
        raise SettingsError(
            "Certificate Thumbprint is not a SHA-1 thumbprint, which has 40 hexadecimal digits."
        )


def option(label: str, value: str | None, options: tuple[str, ...]) -> str:
    """Return the option that a selection parameter holds; the first, which is its default, when it is not filled."""
    if (value or options[0]) not in options:
        raise SettingsError(
            f'{label} "{value}" is unknown. Options: {", ".join(options)}.'
        )
    return value or options[0]


def pem_text(text: str) -> str:
    """Return a PEM key with the line breaks that the platform's password box turns into spaces."""
    blocks = re.findall(
        "(-----BEGIN [A-Z ]+-----)(.*?)(-----END [A-Z ]+-----)", text, re.DOTALL
    )
    return (
        "".join(
            "\n".join([begin, *body.split(), end, ""])
            for begin, body, end in blocks
        )
        or text
    )


def credential(value: Any) -> str:
    """Return the text of a credentials parameter, which older instances may hold as plain text."""
    text = value.get("password") if isinstance(value, dict) else value
    return (text or "").strip()


# HTTP


class BoundedRetry(urllib3.Retry):
    """Repeats failed requests after growing waits, never beyond `deadline` (a time.monotonic() value).

    Throttled requests count against the tenant's limit, so even the first repetition waits
    (https://learn.microsoft.com/graph/throttling). A Retry-After beyond the deadline ends the attempts at once.
    """

    def __init__(self, *, deadline: float, **rules: Any):
        super().__init__(**rules)
        self.deadline = deadline

    def new(self, **changes: Any) -> "BoundedRetry":
        return super().new(deadline=self.deadline, **changes)

    def get_backoff_time(self) -> float:
        return super().get_backoff_time() or 1.0

    def get_retry_after(self, response: Any) -> float | None:
        try:
            return super().get_retry_after(response)
        except urllib3.exceptions.InvalidHeader:
            return None

    def is_exhausted(self) -> bool:
        return (
            super().is_exhausted()
            or time.monotonic() + self.get_backoff_time() > self.deadline
        )

    def increment(self, *request: Any, **named: Any) -> Any:
        response = named.get("response")
        if (
            response is not None
            and time.monotonic() + (self.get_retry_after(response) or 0)
            > self.deadline
        ):
            reason = urllib3.exceptions.ResponseError(
                "asked to wait longer than a command may"
            )
            raise urllib3.exceptions.MaxRetryError(
                named["_pool"], str(response.url), reason
            )
        return super().increment(*request, **named)


class HttpSession(requests.Session):
    """One way to the network for Graph and the login service alike: certificates, proxy, time limits, retries.

    Handed to msal as well, so that both obey the same switches, and neither leaves the cloud (None: any host).
    Proxies come from the environment, which the platform's handle_proxy() has put in order. A redirect raises
    TooManyRedirects: nothing follows it, least of all a token or a secret.
    """

    def __init__(
        self,
        *,
        cloud: Cloud | None = None,
        verify: bool = True,
        timeout: tuple[int, int] = REQUEST_TIMEOUT,
        connects: int = 2,
    ):
        super().__init__()
        self.cloud = cloud
        self.verify = verify
        self.timeout = timeout
        self.started = time.monotonic()
        self.max_redirects = 0
        self.auth = unsigned
        adapter = requests.adapters.HTTPAdapter(
            max_retries=retry_rules(self.started + RETRY_PERIOD, connects)
        )
        for prefix in list(self.adapters):
            self.mount(prefix, adapter)
        if not verify:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

    def request(
        self, method: str, url: str, **options: Any
    ) -> requests.Response:  # type: ignore[override]
        # Said on every request: requests lets REQUESTS_CA_BUNDLE override a session's verify, and msal sets no timeout.
        options = {"verify": self.verify, "timeout": self.timeout, **options}
        try:
            return super().request(method, url, **options)
        except requests.exceptions.ChunkedEncodingError:
            # The body broke off after the headers, where urllib3 no longer repeats. Every request here may be repeated.
            return super().request(method, url, **options)

    def send(
        self, request: requests.PreparedRequest, **options: Any
    ) -> requests.Response:
        try:
            self.check_host(str(request.url))
            return super().send(request, **options)
        except requests.RequestException as error:
            error.request = request  # Not every error names it, and network_fault() wants the host.
            raise

    def check_host(self, url: str) -> None:
        """Raise InvalidURL for a host outside the cloud, whoever named it: msal goes where discovery sends it."""
        if self.cloud and not url.startswith(
            (f"{self.cloud.login}/", f"{self.cloud.graph}/")
        ):
            raise requests.exceptions.InvalidURL(
                "The host is none of the cloud's."
            )


def retry_rules(deadline: float, connects: int) -> BoundedRetry:
    """Return what is repeated and how often. Certificates that fail (`other`) fail again, so they are not retried."""
    return BoundedRetry(
        deadline=deadline,
        total=6,
        connect=connects,
        read=3,
        status=6,
        other=0,
        status_forcelist=(429, 500, 502, 503, 504),
        allowed_methods=None,
        backoff_factor=1,
        backoff_jitter=0.5,
        backoff_max=20,
        raise_on_status=False,
    )


def unsigned(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Leave a request as it is. An auth that does nothing keeps requests from signing with a .netrc file."""
    return request


NETWORK_FAULTS: tuple[tuple[type[Exception], str], ...] = (
    (
        requests.exceptions.SSLError,
        "its certificate is not trusted. If a proxy with a certificate of its own stands between, add that certificate "
        "to the engine or server, or select 'Trust any certificate (not secure)'",
    ),
    (requests.exceptions.ProxyError, "the proxy refused. Check 'Use system proxy settings' and the server's proxy"),
    (requests.exceptions.ConnectTimeout, "no connection was made in time. Check firewall and proxy settings"),
    (requests.exceptions.TooManyRedirects, "it answered with a redirect, which is not followed. A sign-in page of the "
     "network may stand between"),
    (requests.exceptions.InvalidURL, "it is no host of the instance's cloud. Nothing was sent"),
    (requests.exceptions.ChunkedEncodingError, "its answer broke off, twice"),
    (requests.exceptions.RequestException, "the connection failed or there was no answer in time. Check name "
     "resolution, firewall and proxy settings"),
)  # fmt: skip


def network_fault(error: requests.RequestException) -> str:
    """Return what happened on the way to a host and what to do about it. Never quotes the URL's query or a body."""
    host = (
        urlsplit(getattr(error.request, "url", "") or "").hostname or "The host"
    )
    meaning = next(
        text for kind, text in NETWORK_FAULTS if isinstance(error, kind)
    )
    return f"{host} was not reached: {meaning} ({type(error).__name__})."


# Signing in


class TokenStore:
    """msal's token cache, a pending device code and a copy of the last fetch's state, kept in the integration context.

    What was stored under other settings, or by other software, is not used and goes with the first write. Under the
    Test button the platform has no integration context (persistent=False): nothing is read or kept.
    """

    def __init__(self, binding: str, *, persistent: bool = True):
        self.binding = binding
        self.persistent = persistent
        self.cache = msal.SerializableTokenCache()
        self.device_flow: Row = {}
        self.last_run = "{}"
        stored = get_integration_context() if persistent else {}
        if stored.get("binding") == binding:
            self.load(stored)

    def load(self, stored: Row) -> None:
        """Take over what `save` wrote; unreadable text counts as nothing stored."""
        try:
            self.cache.deserialize(stored.get("token_cache"))
            self.device_flow = json.loads(stored.get("device_flow") or "{}")
            self.last_run = stored.get("last_run") or "{}"
        except ValueError:
            self.cache, self.device_flow = msal.SerializableTokenCache(), {}
        self.mask()

    def save(self) -> None:
        """Write everything, as text, in place of whatever was there."""
        self.mask()
        if self.persistent:
            set_integration_context(
                {
                    "binding": self.binding,
                    "token_cache": self.cache.serialize(),
                    "device_flow": json.dumps(self.device_flow),
                    "last_run": self.last_run,
                }
            )

    def mask(self) -> None:
        """Have the platform's own log hide every token and code."""
        kinds = msal.TokenCache.CredentialType
        entries = [
            entry
            for kind in (
                kinds.ACCESS_TOKEN,
                kinds.REFRESH_TOKEN,
                kinds.ID_TOKEN,
            )
            for entry in self.cache.search(kind)
        ]
        for secret in [entry["secret"] for entry in entries] + [
            self.device_flow.get("device_code")
        ]:
            if secret:
                add_sensitive_log_strs(secret)

    def access_tokens(self) -> list[Row]:
        """Return the cached access tokens, as msal keeps them."""
        return list(
            self.cache.search(msal.TokenCache.CredentialType.ACCESS_TOKEN)
        )

    def valid_access_token(self) -> str:
        """Return a token that holds for five more minutes, or ''."""
        earliest = time.time() + TOKEN_RESERVE
        return next(
            (
                entry["secret"]
                for entry in self.access_tokens()
                if int(entry["expires_on"]) > earliest
            ),
            "",
        )

    def forget_access_tokens(self) -> None:
        """Drop the access tokens; a refresh token stays."""
        for entry in self.access_tokens():
            self.cache.remove_at(entry)


class Authenticator:
    """Gives access tokens for Graph. Its kinds differ in `acquire`, which asks msal and returns msal's answer."""

    def __init__(
        self, settings: Settings, session: HttpSession, store: TokenStore
    ):
        self.settings = settings
        self.session = session
        self.store = store
        self.current = ""  # A token that is too short-lived to be stored still serves this command.

    def token(self) -> str:
        """Return a token: the stored one while it is valid, without any request, otherwise a new one.

        Raises: SignInError: there is none to be had.
        """
        self.current = (
            self.current or self.store.valid_access_token() or self.renew()
        )
        return self.current

    def renew(self) -> str:
        """Return a new token, whatever is stored. Raises: SignInError: there is none to be had."""
        self.store.forget_access_tokens()
        answer = ask_login(self.acquire)
        if "access_token" not in answer:
            raise self.refusal(answer)
        self.store.save()
        self.current = str(answer["access_token"])
        return self.current

    def acquire(self) -> Row:
        """Ask for a token. Returns msal's answer: a dict with access_token, or with error and its description."""
        raise NotImplementedError

    def refusal(self, answer: Row) -> SignInError:
        """Return the error that an answer without a token means."""
        return sign_in_error(answer)

    def granted(self) -> set[str] | None:
        """Return the permissions that the present token carries, by its own claims; None for an opaque token."""
        claims = token_claims(self.token())
        return (
            None
            if claims is None
            else {*claims.get("roles", ()), *str(claims.get("scp", "")).split()}
        )

    def start(self) -> Row:
        """Begin an interactive sign-in. Only device code has one."""
        raise SettingsError(
            f"This instance signs in with {self.settings.sign_in.value}, which needs no "
            "!azure-risky-users-auth-start or !azure-risky-users-auth-complete. Nothing was changed."
        )

    complete = start

    @property
    def after_consent(self) -> str:
        """What to do for a permission to reach the token, once it is granted."""
        return "Once it is granted, run !azure-risky-users-auth-reset, which drops the stored token."

    @property
    def delegated(self) -> bool:
        """Whether a person has signed in, whose roles count beside the application's permissions."""
        return self.settings.sign_in is SignIn.DEVICE_CODE

    def application(
        self, kind: Callable[..., Any], tenant: str, **options: Any
    ) -> Any:
        """Return an msal application that uses this session and cache; building one costs a discovery request."""
        options = {"token_cache": self.store.cache, **options}
        authority = f"{self.settings.cloud.login}/{tenant}"
        return kind(
            self.settings.client_id,
            authority=authority,
            http_client=self.session,
            instance_discovery=False,
            **options,
        )


class ClientCredentials(Authenticator):
    """The application signs in as itself, with its secret or its certificate."""

    def acquire(self) -> Row:
        if self.settings.private_key:
            check_private_key(self.settings.private_key)
        # False: msal would otherwise let an environment variable choose another login host.
        application = self.application(
            msal.ConfidentialClientApplication,
            self.settings.tenant_id,
            client_credential=self.settings.client_credential,
            azure_region=False,
        )
        answer: Row = application.acquire_token_for_client(
            [f"{self.settings.cloud.graph}/.default"]
        )
        return answer


def check_private_key(pem: str) -> None:
    """Raise SettingsError unless msal can sign with this key; its own errors would not name the setting."""
    # Imported here, because it takes long and only certificates need it.
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import (
        load_pem_private_key,
    )

    try:
        usable = isinstance(
            load_pem_private_key(pem.encode(), password=None), RSAPrivateKey
        )
    except (TypeError, ValueError):
        usable = False
    if not usable:
        raise SettingsError(
            "Private Key cannot be used. It has to be an RSA key in PEM form without a passphrase."
        )


READ_PERMISSIONS = ("IdentityRiskEvent.Read.All", "IdentityRiskyUser.Read.All")
RESPONSE_PERMISSIONS = (
    "IdentityRiskyUser.ReadWrite.All",
    "IdentityRiskyServicePrincipal.ReadWrite.All",
)
SIGN_IN_ANEW = "Run !azure-risky-users-auth-start to sign in."
DECLINED = f"The sign-in was declined in the browser. {SIGN_IN_ANEW}"
TOO_LATE = (
    f"The code has expired before the sign-in was finished. {SIGN_IN_ANEW}"
)
DEVICE_CODE_ANSWERS = {
    "authorization_pending": "The sign-in is not finished yet. Enter the code on the page that "
    "!azure-risky-users-auth-start named, then run !azure-risky-users-auth-complete again.",
    "slow_down": "The sign-in is not finished yet, and the login service asks for patience. Wait ten seconds, then run "
    "!azure-risky-users-auth-complete again.",
    "authorization_declined": DECLINED,
    "access_denied": DECLINED,
    "expired_token": TOO_LATE,
    "code_expired": TOO_LATE,
}
PENDING = ("authorization_pending", "slow_down")


class DeviceCode(Authenticator):
    """A person signs in with a browser; the refresh token is kept for the commands that follow.

    Source: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code
    """

    @property
    def scopes(self) -> list[str]:
        """The delegated permissions asked for; msal adds offline_access, which brings the refresh token."""
        permissions = READ_PERMISSIONS + (
            RESPONSE_PERMISSIONS if self.settings.allow_response else ()
        )
        return [
            f"{self.settings.cloud.graph}/{permission}"
            for permission in permissions
        ]

    @property
    def after_consent(self) -> str:
        return (
            f"{SIGN_IN_ANEW} For more than reading users and detections, first select 'Allow response commands' in "
            "the instance."
        )

    def public_application(self, **options: Any) -> Any:
        tenant = self.settings.tenant_id or "organizations"
        return self.application(msal.PublicClientApplication, tenant, **options)

    def acquire(self) -> Row:
        if not any(
            self.store.cache.search(msal.TokenCache.CredentialType.ACCOUNT)
        ):
            raise SignInError(
                f"Nobody has signed in for this instance yet. {SIGN_IN_ANEW}"
            )
        application = self.public_application()
        answer: Row | None = application.acquire_token_silent_with_error(
            self.scopes, application.get_accounts()[0]
        )
        return answer or {}

    def refusal(self, answer: Row) -> SignInError:
        ended = not answer or answer.get("error") == "invalid_grant"
        return sign_in_error(
            answer, f"The sign-in has ended. {SIGN_IN_ANEW}" if ended else ""
        )

    def start(self) -> Row:
        """Ask for a code to enter in the browser. Returns msal's flow: user_code, verification_uri and more."""
        flow = ask_login(
            lambda: self.public_application().initiate_device_flow(self.scopes)
        )
        if "user_code" not in flow:
            raise sign_in_error(flow)
        self.store.device_flow = flow
        self.store.save()
        return flow

    def complete(self) -> Row:
        """Ask once whether the person has finished. Returns msal's answer. Raises: SignInError: not, and why not."""
        flow = self.store.device_flow
        if not flow:
            raise SignInError(f"No sign-in has been started. {SIGN_IN_ANEW}")
        # A cache of its own, so that whoever was signed in before is forgotten on success, and only then.
        cache = msal.SerializableTokenCache()
        answer = ask_login(lambda: self.poll(flow, cache))
        if answer.get("error") in PENDING:
            raise SignInError(DEVICE_CODE_ANSWERS[answer["error"]])
        self.store.device_flow = {}
        if "access_token" in answer:
            self.store.cache = cache
        self.store.save()
        if "access_token" not in answer:
            raise sign_in_error(
                answer,
                DEVICE_CODE_ANSWERS.get(answer.get("error", ""), SIGN_IN_ANEW),
            )
        return answer

    def poll(self, flow: Row, cache: msal.SerializableTokenCache) -> Row:
        """Ask the login service once. msal would ask without end if it were told to wait 0 seconds between."""
        patient = {**flow, "interval": max(int(flow.get("interval") or 0), 1)}
        application = self.public_application(token_cache=cache)
        answer: Row = application.acquire_token_by_device_flow(
            patient, exit_condition=lambda _: True
        )
        return answer


class ManagedIdentity(Authenticator):
    """The Azure machine that runs the integration signs in as itself; no proxy may stand between.

    Source: https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
    """

    def acquire(self) -> Row:
        session = HttpSession(timeout=IDENTITY_TIMEOUT, connects=0)
        session.trust_env = False
        client_id = self.settings.managed_identity_client_id
        identity = (
            msal.UserAssignedManagedIdentity(client_id=client_id)
            if client_id
            else msal.SystemAssignedManagedIdentity()
        )
        client = msal.ManagedIdentityClient(
            identity, http_client=session, token_cache=self.store.cache
        )
        try:
            answer: Row = client.acquire_token_for_client(
                resource=self.settings.cloud.graph
            )
        except (
            requests.RequestException,
            ValueError,
        ) as error:  # ValueError: another cloud's machine, or a web page
            raise SignInError(
                "No managed identity answered. This sign-in type works only where the integration runs on an Azure "
                f"resource that has a managed identity ({type(error).__name__})."
            ) from error
        return answer

    def refusal(self, answer: Row) -> SignInError:
        return sign_in_error(
            answer,
            "Check that this managed identity is assigned to the machine of the integration.",
        )


AUTHENTICATORS = {
    SignIn.CLIENT_CREDENTIALS: ClientCredentials,
    SignIn.DEVICE_CODE: DeviceCode,
    SignIn.MANAGED_IDENTITY: ManagedIdentity,
}

# What to do about the login service's commonest refusals, by AADSTS number
# (https://learn.microsoft.com/entra/identity-platform/reference-error-codes).
SIGN_IN_HINTS: tuple[tuple[tuple[int, ...], str], ...] = (
    (
        (7000215,),
        "The client secret is wrong. Enter the secret's Value, not its Secret ID.",
    ),
    (
        (7000222,),
        "The client secret has expired. Create a new one in the app registration and enter its Value.",
    ),
    (
        (700027,),
        "The certificate is not one of the app registration's, or the private key does not belong to it.",
    ),
    ((700024,), "The clock of the machine that runs the integration is wrong."),
    (
        (7000218,),
        "For device code, allow public client flows in the app registration (Authentication).",
    ),
    (
        (700016, 70001),
        "The tenant does not know this application. Check Client ID and Tenant ID.",
    ),
    ((7000112,), "The application is disabled in the tenant."),
    ((90002, 900021, 900023), "The tenant was not found. Check Tenant ID."),
    (
        (90038, 900382, 500011, 650057, 50001),
        "Application, tenant and cloud do not belong together.",
    ),
    (
        (65001, 90094),
        "An administrator has to grant consent to the application's permissions.",
    ),
    (
        (700082, 70008, 70043, 50173, 54005),
        "The stored sign-in has expired or was revoked.",
    ),
    (
        (50076, 50079, 53000, 53003, 530032),
        "A Conditional Access policy or multifactor sign-in stands in the way.",
    ),
    (
        (50034, 50057, 50105),
        "The account is missing, disabled, or not assigned to the application.",
    ),
    (
        (50196, 90055, 90033, 50033, 90006),
        "The login service is busy. Try again in some minutes.",
    ),
)


def ask_login(acquire: Callable[[], Row]) -> Row:
    """Return what msal answers.

    Raises: SignInError: the login service could not be reached, is down, or what answered is not the login service.
    """
    try:
        return acquire()
    except requests.RequestException as error:
        raise SignInError(f"Sign-in failed. {network_fault(error)}") from error
    except msal.exceptions.MsalServiceError as error:
        raise SignInError(
            f"Sign-in failed. The login service is out of order ({error}). Try again later."
        ) from error
    except (
        AttributeError,
        LookupError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        # In one of these ways msal stumbles over an answer that is no JSON, or not the JSON it expects.
        raise sign_in_error(discovery_answer(error)) from error


def discovery_answer(error: Exception) -> Row:
    """Return the login service's words from the text of msal's error, which buries them in the one it replaced."""
    found = re.search(r"AADSTS\d+[^\"\\]*", str(error.__context__))
    return {
        "error_description": found.group() if found else NOT_THE_LOGIN_SERVICE
    }


NOT_THE_LOGIN_SERVICE = (
    "What answered is not the Microsoft login service. "
    "A proxy or a sign-in page of the network may stand between."
)


def sign_in_error(answer: Row, hint: str = "") -> SignInError:
    """Return the error for an answer without a token: the first line of the description, and what to do about it."""
    description = str(
        answer.get("error_description") or answer.get("error") or ""
    )
    text = (
        f"{description.splitlines()[0].split(' Trace ID:')[0].rstrip('. ')}."
        if description
        else ""
    )
    code = re.search(r"AADSTS(\d+)", description)
    known = next(
        (
            words
            for codes, words in SIGN_IN_HINTS
            if code and int(code.group(1)) in codes
        ),
        "",
    )
    return SignInError(
        " ".join(
            part for part in ("Sign-in failed.", text, known, hint) if part
        )
    )


def token_claims(token: str) -> Row | None:
    """Return what an access token says of itself, or None when it cannot be read. Its signature is Graph's business."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(
            base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        )
    except (IndexError, ValueError):
        return None
    return claims if isinstance(claims, dict) else None


class BearerAuth(requests.auth.AuthBase):
    """Signs a request just before it leaves."""

    def __init__(self, token: str):
        self.token = token

    def __call__(
        self, request: requests.PreparedRequest
    ) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request


# Dates and filters (OData)

ISO_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:T([0-9]{2}:[0-9]{2})(:[0-9]{2})?(\.[0-9]{1,7})?(Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
RELATIVE_TIME = re.compile(
    r"([0-9]{1,6}) *(minute|hour|day|week|month|year)s?(?: +ago)?",
    re.IGNORECASE,
)
MOMENT_FORMS = 'ISO 8601 such as 2024-02-27T04:49:26.257525Z or 2024-02-27, or a time ago such as "10 days", "2 hours"'


def utc_now() -> datetime:
    """Return the present moment; the one clock that dates are read by."""
    return datetime.now(timezone.utc)


def now_literal(later: int = 0) -> str:
    """Return the OData literal for the present moment, or for one that many seconds later."""
    return f"{utc_now() + relativedelta(seconds=later):%Y-%m-%dT%H:%M:%SZ}"


def moment_literal(name: str, value: Any) -> str:
    """Return the OData literal for a moment given in ISO 8601 or as a time ago, in UTC, fraction as it was given.

    Raises: ArgumentError: it is neither.
    """
    text = str(value).strip()
    try:
        return relative_moment(text) or iso_moment(text)
    except (ValueError, OverflowError) as error:
        raise ArgumentError(name, value, MOMENT_FORMS) from error


def relative_moment(text: str) -> str:
    """Return the literal for "3 days", "1 month ago", ... (months and years by the calendar), or ''."""
    found = RELATIVE_TIME.fullmatch(text)
    if not found:
        return ""
    span: Row = {f"{found.group(2).lower()}s": int(found.group(1))}
    # isoformat, because strftime writes a year before 1000 with three digits.
    return f"{(utc_now() - relativedelta(**span)).isoformat()[:19]}Z"


def iso_moment(text: str) -> str:
    """Return the literal for an ISO 8601 time; without a zone it is UTC. Raises: ValueError: it is none."""
    found = ISO_TIME.fullmatch(text)
    if not found:
        raise ValueError("not ISO 8601")
    day, minute, second, fraction, zone = found.groups()
    if fraction and not second:
        raise ValueError("a fraction needs seconds")
    moment = datetime.strptime(
        f"{day}T{minute or '00:00'}{second or ':00'}{zone or 'Z'}",
        "%Y-%m-%dT%H:%M:%S%z",
    ).astimezone(timezone.utc)
    # The fraction is carried as text, because datetime holds six digits and Graph seven.
    return f"{moment.isoformat()[:19]}{fraction or ''}Z"


def moment_order(moment: Any) -> tuple[str, str]:
    """Return a key that sorts UTC times by time, whatever the length of their fractions.

    Graph itself sends times with hours of one digit; what is no text sorts before every time.
    """
    whole, _, fraction = (
        re.sub("T([0-9]):", r"T0\1:", str(moment or ""))
        .rstrip("Z")
        .partition(".")
    )
    return whole, fraction.ljust(7, "0")


def choice(allowed: Iterable[str]) -> Callable[[str, Any], str]:
    """Return a reader of arguments that takes exactly the allowed texts."""
    options = tuple(allowed)

    def read(name: str, value: Any) -> str:
        if value not in options:
            raise ArgumentError(name, value, ", ".join(options))
        return str(value)

    return read


def whole_number(
    args: Args, name: str, default: int, most: int | None = None
) -> int:
    """Return an argument that has to be a whole number from 1 up to `most`; the default when it is not given.

    Raises: ArgumentError: it is anything else.
    """
    value = default if args.get(name) in (None, "") else args.get(name)
    text = str(value).strip()
    if not re.fullmatch("[0-9]{1,9}", text) or not 1 <= int(text) <= (
        most or 10**9
    ):
        raise ArgumentError(
            name,
            value,
            f"a whole number from 1 to {most}"
            if most
            else "a whole number from 1 up",
        )
    return int(text)


class Filter(NamedTuple):
    """How one command argument becomes comparisons of $filter; `literal` reads one value or raises ArgumentError."""

    property: str
    operator: str
    literal: Callable[[str, Any], str]

    def asked(self, args: Args, name: str) -> bool:
        """Tell whether an argument is given. '' is no text to match, and left out it would match everything."""
        return given(args, name) or (
            self.literal is text_literal and args.get(name) is not None
        )

    def comparisons(self, name: str, value: Any) -> list[str]:
        # A bound is one moment: of two, either one would do, which nobody means.
        items = argToList(value) if self.operator == "eq" else [value]
        if not items:
            raise ArgumentError(name, value, "at least one value")
        literals = dict.fromkeys(self.literal(name, item) for item in items)
        return [
            f"{self.property} {self.operator} {literal}" for literal in literals
        ]


def enum_literal(members: Iterable[str]) -> Callable[[str, Any], str]:
    """Return a reader that quotes a member of a Graph enumeration."""
    read = choice(members)
    return lambda name, value: f"'{read(name, value)}'"


def text_literal(name: str, value: Any) -> str:
    """Return any text as an OData string. Raises: ArgumentError: it is empty or holds control characters."""
    text = str(value).strip()
    if not text.isprintable() or not text:
        raise ArgumentError(
            name, value, "a text that is not empty and has no line breaks"
        )
    return "'" + text.replace("'", "''") + "'"


def given(args: Args, name: str) -> bool:
    """Tell whether an argument is given. The platform passes '' for one that a playbook leaves open."""
    return args.get(name) not in (None, "", [])


def build_filters(filters: dict[str, Filter], args: Args) -> list[str]:
    """Return the $filter texts that the arguments ask for ([''] for none); their rows together are the answer.

    The longest list of values is split where it does not fit one request.
    Raises: ArgumentError: an argument cannot be read, two contradict each other, or two lists are too long together.
    """
    clauses = {
        name: row.comparisons(name, args[name])
        for name, row in filters.items()
        if row.asked(args, name)
    }
    refuse_empty_window(filters, clauses)
    longest = max(clauses, key=lambda name: len(clauses[name]), default="")
    others = sum(
        len(comparisons)
        for name, comparisons in clauses.items()
        if name != longest
    )
    if others >= MAX_COMPARISONS:
        raise ArgumentError(
            longest,
            args[longest],
            f"at most {MAX_COMPARISONS} values in all beside another long list",
        )
    parts = batches(clauses.get(longest, []), MAX_COMPARISONS - others)
    return [
        " and ".join(
            any_of(group)
            for group in {**clauses, longest: part}.values()
            if group
        )
        for part in parts
    ]


def batches(items: list[str], size: int) -> list[list[str]]:
    """Return a list in pieces of at most `size`; one empty piece for an empty list."""
    return [
        items[start : start + size] for start in range(0, len(items) or 1, size)
    ]


def any_of(comparisons: list[str]) -> str:
    """Return one clause that holds where any of the comparisons does."""
    return (
        comparisons[0]
        if len(comparisons) == 1
        else f"({' or '.join(comparisons)})"
    )


def refuse_empty_window(
    filters: dict[str, Filter], clauses: dict[str, list[str]]
) -> None:
    """Raise ArgumentError where the moment to begin with is not before the one to end with."""
    bounds = {
        filters[name].operator: (name, texts[0].split()[-1])
        for name, texts in clauses.items()
        if texts
    }
    if "ge" not in bounds or "lt" not in bounds:
        return
    (after, start), (before, end) = bounds["ge"], bounds["lt"]
    if moment_order(start) >= moment_order(end):
        raise ArgumentError(after, start, f'a moment before {before}="{end}"')


# Graph


def path_segment(name: str, value: Any) -> str:
    """Return an id as one segment of a path, whatever characters it holds.

    Raises: ArgumentError: it is empty, or dots only, which a path cannot hold.
    """
    text = str(value or "").strip()
    if not text.strip("."):
        raise ArgumentError(name, text, "an object ID")
    return quote(text, safe="")


def without_annotations(row: Row) -> Row:
    """Return Graph's own properties of an object, without OData's."""
    return {name: value for name, value in row.items() if "@odata." not in name}


class Needs(NamedTuple):
    """What Graph wants of a caller, by its own names (https://learn.microsoft.com/graph/permissions-reference)."""

    read: str
    write: str
    licence: str
    write_reads: bool = (
        False  # whether Graph lets the write permission read as well
    )

    def permission(self, *, write: bool) -> str:
        return self.write if write else self.read


class Resource(NamedTuple):
    """One collection of identityProtection: what Graph understands there, and how the war room shows it."""

    path: str
    noun: str
    context: str  # below AzureRiskyUsers
    list_title: str
    columns: tuple[str, ...]
    needs: Needs
    item_title: str = ""
    item_columns: tuple[
        str, ...
    ] = ()  # of a single object, where they are not those of the list
    filters: dict[str, Filter] = {}
    orders: tuple[str, ...] = ()
    default_order: str = ""  # '' where nothing shows that Graph can order
    key: tuple[str, ...] = ("id",)  # what tells its objects apart in context
    options: tuple[str, ...] = ("$filter", "$orderby", "$top")
    owner: str = ""  # the property that names whose object it is, where path has room for an id
    shape: Callable[[Row], Row] = (
        without_annotations  # from Graph's object to context
    )
    view: Callable[[Row], Row] = dict  # from context to table
    numbered_pages: bool = False

    def of(self, owner_id: str) -> "Resource":
        """Return the collection of one owner's objects. Raises: ArgumentError: the id cannot be part of a path."""
        path = self.path.format(path_segment("id", owner_id))
        return self._replace(
            path=path,
            shape=lambda row: {**self.shape(row), self.owner: owner_id},
        )


class Page(NamedTuple):
    """One answer of a list: rows, and the address of the rest ('' on the last page)."""

    rows: list[Row]
    next_link: str


class GraphClient:
    """Reads the identityProtection collections of Graph, one request at a time.

    The service allows one request a second for the whole tenant (https://learn.microsoft.com/graph/throttling-limits).
    Requests are sent at once until the first refusal for that reason, and a second apart from then on.
    """

    def __init__(
        self, session: HttpSession, authenticator: Authenticator, graph: str
    ):
        self.session = session
        self.authenticator = authenticator
        self.base = f"{graph}/{GRAPH_VERSION}/identityProtection"
        self.throttled = False

    def item(self, resource: Resource, item_id: str) -> Row:
        """Return one object. Raises: GraphError: it does not exist, or as for `pages`."""
        return self.get(
            resource,
            f"{self.collection(resource)}/{path_segment('id', item_id)}",
        )

    def pages(
        self, resource: Resource, query: Row, next_link: str = ""
    ) -> Iterator[Page]:
        """Yield the pages of a list, from the first or from next_link on; a page is asked for when it is wanted.

        Raises: RequestError: a page cannot be had, or its link leads elsewhere or in a circle.
        """
        page = (
            self.next_page(resource, next_link)
            if next_link
            else self.first_page(resource, query)
        )
        seen = {next_link}
        yield page
        while page.next_link:
            if page.next_link in seen:
                raise GraphError(
                    "Graph's link to the next page leads back to one that was already read."
                )
            if time.monotonic() - self.session.started > WALK_PERIOD:
                raise GraphError(
                    f"Reading on was stopped after {WALK_PERIOD} seconds, before the platform would."
                )
            seen.add(page.next_link)
            page = self.next_page(resource, page.next_link)
            yield page

    def act(self, action: "Action", ids: list[str]) -> None:
        """Ask Graph to change the risk of the objects with these ids, which it does within minutes.

        Raises: GraphError: Graph refuses, and then nothing is changed; SignInError: as for `get`.
        """
        url = f"{self.collection(action.resource)}/{action.path}"
        response = self.signed(
            "POST", url, {"json": {action.ids_property: ids}}
        )
        # Graph accepts with an empty body; a success with a body comes from something that stands between.
        if not response.ok or response.content:
            raise self.refusal(
                response, json_object(response), action.resource, write=True
            )

    def first_page(self, resource: Resource, query: Row) -> Page:
        """Return the first page of a list. Raises: GraphError, SignInError: as for `get`."""
        return self.read_page(
            resource, self.get(resource, self.collection(resource), query)
        )

    def next_page(self, resource: Resource, next_link: str) -> Page:
        """Return the page a link leads to, which is sent as it was given: a token rewritten may skip rows.

        Raises: GraphError: the link leads out of this very collection, or as for `get`. SignInError: as for `get`.
        """
        if not self.leads_into(resource, next_link):
            raise GraphError(
                f"Graph's link to the next page leads away from {self.collection(resource)}."
            )
        return self.read_page(resource, self.get(resource, next_link))

    def leads_into(self, resource: Resource, link: str) -> bool:
        """Tell whether a link asks for a page of this collection, on this Graph, over https."""
        return link.lower().startswith(f"{self.collection(resource)}?".lower())

    def read_page(self, resource: Resource, answer: Row) -> Page:
        rows = answer.get("value")
        if not isinstance(rows, list) or not all(
            isinstance(row, dict) for row in rows
        ):
            raise GraphError(
                f"Graph's answer holds no list of {resource.noun}s."
            )
        return Page(
            [resource.shape(row) for row in rows],
            str(answer.get("@odata.nextLink") or ""),
        )

    def collection(self, resource: Resource) -> str:
        """Return the address of a collection."""
        return f"{self.base}/{resource.path}"

    def get(
        self, resource: Resource, url: str, query: Row | None = None
    ) -> Row:
        """Return the object that Graph answers.

        Raises: GraphError: Graph refuses or is not reached, or its answer is none. SignInError: there is no token.
        """
        response = self.signed("GET", url, {"params": query})
        answer = json_object(response)
        if not response.ok:
            raise self.refusal(response, answer, resource)
        return answer

    def signed(self, method: str, url: str, content: Row) -> requests.Response:
        """Return Graph's answer to a signed request; a token that is refused is renewed once."""
        response = self.send(method, url, content, self.authenticator.token())
        if response.status_code == 401:
            response = self.send(
                method, url, content, self.authenticator.renew()
            )
        return response

    def send(
        self, method: str, url: str, content: Row, token: str
    ) -> requests.Response:
        if self.throttled:
            time.sleep(1)
        # Prefer keeps Graph from replacing newer enum members by unknownFutureValue
        # (https://learn.microsoft.com/graph/best-practices-concept). Links to next pages do not carry it.
        headers = {
            "Accept": "application/json",
            "Prefer": "include-unknown-enum-members",
            "client-request-id": str(uuid.uuid4()),
        }
        try:
            response = self.session.request(
                method, url, headers=headers, auth=BearerAuth(token), **content
            )
        except requests.RequestException as error:
            raise GraphError(network_fault(error)) from error
        retries = getattr(response.raw, "retries", None)
        self.throttled |= any(
            attempt.status == 429 for attempt in getattr(retries, "history", ())
        )
        return response

    def refusal(
        self,
        response: requests.Response,
        answer: Row,
        resource: Resource,
        *,
        write: bool = False,
    ) -> GraphError:
        """Return the error for an answer that is a refusal: Graph's code, message and request id, and what to do."""
        error = answer["error"] if isinstance(answer.get("error"), dict) else {}
        code, reason = (
            error.get("code") or "no code",
            error.get("message") or "no message.",
        )
        request_id = response.headers.get("request-id", "unknown")
        status = response.status_code
        advice = (
            self.forbidden(reason, resource.needs, write=write)
            if status == 403
            else ADVICE.get(status, "")
        )
        if "Retry-After" in response.headers:
            advice += f" Retry-After: {response.headers['Retry-After']}."
        text = f"Graph answered {status} {code}: {reason} {advice}".strip()
        return GraphError(
            f"{text} (request-id {request_id})", status, advice or reason
        )

    def forbidden(self, reason: str, needs: Needs, *, write: bool) -> str:
        """Return which of the three causes a 403 has: licence, permission, or the role of the person signed in."""
        if "licen" in reason.lower() or "premium" in reason.lower():
            return f"Licence missing: the tenant needs {needs.licence}."
        lacking = self.lacks_permission(needs, write=write)
        if self.authenticator.delegated and not lacking:
            return f"Role missing: the person who signed in needs the role {WRITE_ROLE if write else READ_ROLES}."
        if self.authenticator.granted() is not None and not lacking:
            return f"The token does hold the permission {needs.permission(write=write)}; Graph says no more."
        kind = "delegated" if self.authenticator.delegated else "application"
        return (
            f"Permission missing: the application needs the {kind} permission {needs.permission(write=write)}, with "
            f"admin consent. {self.authenticator.after_consent}"
        )

    def lacks_permission(self, needs: Needs, *, write: bool) -> bool:
        """Tell whether the token's own claims lack what a read or a write needs. An opaque token is trusted."""
        granted = self.authenticator.granted()
        sufficient = {
            needs.permission(write=write),
            *([needs.write] if needs.write_reads else []),
        }
        return granted is not None and not granted & sufficient


READ_ROLES = "Security Reader, Security Operator, Security Administrator or Global Reader"
WRITE_ROLE = "Security Administrator"
ADVICE = {
    401: "A new token was refused too. Check that application, tenant and cloud belong together.",
    429: "Graph allows one request a second for the whole tenant, shared by all its applications. Try again later.",
    **dict.fromkeys(
        (500, 502, 503, 504), "Graph is out of order. Try again later."
    ),
}


def json_object(response: requests.Response) -> Row:
    """Return the JSON object of an answer. Raises: GraphError: it is none, as when a gateway answers in HTML."""
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if isinstance(answer, dict):
        return answer
    kind = response.headers.get("Content-Type", "nothing")
    raise GraphError(
        f"Graph was not reached: what answered ({response.status_code}, {kind}) is no JSON object. "
        "A gateway, a proxy or a sign-in page of the network may stand between.",
        response.status_code,
    )


# Resources: what the war room and $filter need to know of each collection, one row each.

# What the Entra admin centre calls Graph's event types, an open set: what is not here is shown as it comes
# (https://learn.microsoft.com/entra/id-protection/concept-identity-protection-risks).
EVENT_WORDS = {
    "adminConfirmedServicePrincipalCompromised": "Admin confirmed service principal compromised",
    "adminConfirmedUserCompromised": "Admin confirmed user compromised",
    "anomalousServicePrincipalActivity": "Anomalous service principal activity",
    "anomalousToken": "Anomalous token",
    "anomalousUserActivity": "Anomalous user activity",
    "anonymizedIPAddress": "Anonymous IP address",
    "attackerinTheMiddle": "Attacker in the middle",
    "attemptedPrtAccess": "Possible attempt to access Primary Refresh Token",
    "generic": "Additional risk detected",
    "impossibleTravel": "Impossible travel",
    "investigationsThreatIntelligence": "Microsoft Entra threat intelligence",
    "investigationsThreatIntelligenceSigninLinked": "Microsoft Entra threat intelligence (sign-in)",
    "leakedCredentials": "Leaked credentials",
    "maliciousApplication": "Malicious application",
    "maliciousIPAddress": "Malicious IP address",
    "maliciousIPAddressValidCredentialsBlockedIP": "Blocked malicious IP address with valid credentials",
    "malwareInfectedIPAddress": "Malware-linked IP address",
    "mcasFinSuspiciousFileAccess": "Mass access to sensitive files",
    "mcasImpossibleTravel": "Impossible travel",
    "mcasSuspiciousInboxManipulationRules": "Suspicious inbox manipulation rules",
    "nationStateIP": "Verified threat actor IP",
    "newCountry": "New country",
    "passwordSpray": "Password spray",
    "riskyIPAddress": "Activity from anonymous IP address",
    "suspiciousAPITraffic": "Suspicious API traffic",
    "suspiciousApplication": "Suspicious application",
    "suspiciousBrowser": "Suspicious browser",
    "suspiciousIPAddress": "Suspicious IP address",
    "suspiciousInboxForwarding": "Suspicious inbox forwarding",
    "suspiciousSendingPatterns": "Suspicious sending patterns",
    "suspiciousSignins": "Suspicious sign-ins",
    "tokenIssuerAnomaly": "Token issuer anomaly",
    "unfamiliarFeatures": "Unfamiliar sign-in properties",
    "unlikelyTravel": "Atypical travel",
    "userReportedSuspiciousActivity": "User reported suspicious activity",
}
# riskDetail says how a risk ended (https://learn.microsoft.com/graph/api/resources/riskdetection).
DETAIL_WORDS = {
    "adminConfirmedAccountSafe": "Admin confirmed account safe",
    "adminConfirmedServicePrincipalCompromised": "Admin confirmed service principal compromised",
    "adminConfirmedSigninCompromised": "Admin confirmed sign-in compromised",
    "adminConfirmedSigninSafe": "Admin confirmed sign-in safe",
    "adminConfirmedUserCompromised": "Admin confirmed user compromised",
    "adminDismissedAllRiskForServicePrincipal": "Admin dismissed all risk for service principal",
    "adminDismissedAllRiskForUser": "Admin dismissed all risk for user",
    "adminDismissedRiskForSignIn": "Admin dismissed risk for sign-in",
    "adminGeneratedTemporaryPassword": "Admin generated temporary password",
    "aiConfirmedSigninSafe": "AI confirmed sign-in safe",
    "m365DAdminDismissedDetection": "Microsoft Defender admin dismissed detection",
    "microsoftRevokedSessions": "Microsoft revoked sessions",
    "userChangedPasswordOnPremises": "User changed password on premises",
    "userPassedMFADrivenByRiskBasedPolicy": "User passed MFA required by risk-based policy",
    "userPerformedSecuredPasswordChange": "User performed secured password change",
    "userPerformedSecuredPasswordReset": "User performed secured password reset",
}
WORDS = {"riskEventType": EVENT_WORDS, "riskDetail": DETAIL_WORDS}

RISK_COLUMNS = (
    "riskLevel",
    "riskState",
    "riskDetail",
    "riskLastUpdatedDateTime",
)
USER_COLUMNS = ("id", "userDisplayName", "userPrincipalName", *RISK_COLUMNS)
PRINCIPAL_COLUMNS = (
    "id",
    "displayName",
    "appId",
    "servicePrincipalType",
    "isEnabled",
    *RISK_COLUMNS,
)
HISTORY_COLUMNS = (
    "riskLastUpdatedDateTime",
    "riskLevel",
    "riskState",
    "riskDetail",
    "riskEventTypes",
    "initiatedBy",
)
EVENT_COLUMNS = ("riskDetail", "riskEventType", "riskLevel", "riskState")
DETECTION_COLUMNS = (
    "id",
    "userId",
    "userDisplayName",
    "userPrincipalName",
    *EVENT_COLUMNS,
)
PRINCIPAL_DETECTION_COLUMNS = (
    "id",
    "servicePrincipalId",
    "servicePrincipalDisplayName",
    "appId",
    *EVENT_COLUMNS,
)

RISK_FILTERS = {
    "risk_state": Filter("riskState", "eq", enum_literal(RISK_STATES)),
    "risk_level": Filter("riskLevel", "eq", enum_literal(RISK_LEVELS)),
}
UPDATED_FILTERS = {
    "updated_after": Filter("riskLastUpdatedDateTime", "ge", moment_literal),
    "updated_before": Filter("riskLastUpdatedDateTime", "lt", moment_literal),
}
DETECTED_FILTERS = {
    "detected_date_time_after": Filter(
        "detectedDateTime", "ge", moment_literal
    ),
    "detected_date_time_before": Filter(
        "detectedDateTime", "lt", moment_literal
    ),
}
DETECTION_ORDERS = (
    "detectedDateTime",
    "activityDateTime",
    "lastUpdatedDateTime",
)
P2, WORKLOAD_PREMIUM = (
    "Microsoft Entra ID P2",
    "Microsoft Entra Workload ID Premium",
)
USER_NEEDS = Needs(
    "IdentityRiskyUser.Read.All", "IdentityRiskyUser.ReadWrite.All", P2
)
DETECTION_NEEDS = Needs(
    "IdentityRiskEvent.Read.All",
    "IdentityRiskEvent.ReadWrite.All",
    "Microsoft Entra ID P1 or P2",
)
PRINCIPAL_NEEDS = Needs(
    "IdentityRiskyServicePrincipal.Read.All",
    "IdentityRiskyServicePrincipal.ReadWrite.All",
    WORKLOAD_PREMIUM,
    True,
)


def detection_shape(row: Row) -> Row:
    """Return a detection for context: Graph's properties untouched, and additionalInfo's contents as an object."""
    return {
        **without_annotations(row),
        "additionalDetails": additional_details(row.get("additionalInfo")),
    }


def additional_details(info: Any) -> Row:
    """Return {Key: Value} of the JSON list of such pairs that Graph puts in a string; {} where there is none."""
    try:
        pairs = json.loads(info)
    except (TypeError, ValueError):
        return {}
    pairs = pairs if isinstance(pairs, list) else [pairs]
    return {
        str(pair["Key"]): pair.get("Value")
        for pair in pairs
        if isinstance(pair, dict) and pair.get("Key")
    }


def history_view(row: Row) -> Row:
    """Return a history item with the parts of its activity as columns, and who caused it."""
    activity = row.get("activity") or {}
    events = [
        EVENT_WORDS.get(event, event)
        for event in activity.get("riskEventTypes") or ()
    ]
    return {
        **row,
        "riskEventTypes": events,
        "initiatedBy": row.get("initiatedBy") or "the system",
    }


RISKY_USERS = Resource(
    path="riskyUsers",
    noun="risky user",
    context="RiskyUser",
    list_title="Risky Users List:",
    columns=USER_COLUMNS,
    item_title="Found Risky User With ID: {id}",
    filters={
        **RISK_FILTERS,
        **UPDATED_FILTERS,
        "user_id": Filter("id", "eq", text_literal),
        "user_principal_name": Filter("userPrincipalName", "eq", text_literal),
        "is_deleted": Filter("isDeleted", "eq", choice(("true", "false"))),
    },
    orders=("riskLastUpdatedDateTime",),
    default_order="riskLastUpdatedDateTime desc",
    needs=USER_NEEDS,
)

RISKY_USER_HISTORY = Resource(
    path="riskyUsers/{}/history",
    noun="history item",
    context="RiskyUserHistory",
    list_title="Risky User History",
    columns=HISTORY_COLUMNS,
    key=("userId", "riskLastUpdatedDateTime"),
    options=(),
    owner="userId",
    view=history_view,
    needs=USER_NEEDS,
)

RISK_DETECTIONS = Resource(
    path="riskDetections",
    noun="risk detection",
    context="RiskDetection",
    list_title="Risk Detections List",
    columns=(*DETECTION_COLUMNS, "lastUpdatedDateTime", "ipAddress"),
    item_title="Found Risk Detection with ID: {id}",
    item_columns=(
        *DETECTION_COLUMNS,
        "ipAddress",
        "detectionTimingType",
        "lastUpdatedDateTime",
        "location",
    ),
    filters={
        **RISK_FILTERS,
        **DETECTED_FILTERS,
        "user_id": Filter("userId", "eq", text_literal),
        "user_principal_name": Filter("userPrincipalName", "eq", text_literal),
        "risk_event_type": Filter("riskEventType", "eq", text_literal),
    },
    orders=DETECTION_ORDERS,
    default_order="detectedDateTime desc",
    needs=DETECTION_NEEDS,
    shape=detection_shape,
    numbered_pages=True,
)

RISKY_SERVICE_PRINCIPALS = Resource(
    path="riskyServicePrincipals",
    noun="risky service principal",
    context="RiskyServicePrincipal",
    list_title="Risky Service Principals List",
    columns=PRINCIPAL_COLUMNS,
    item_title="Found Risky Service Principal with ID: {id}",
    filters={
        **RISK_FILTERS,
        **UPDATED_FILTERS,
        "service_principal_id": Filter("id", "eq", text_literal),
        "display_name": Filter("displayName", "eq", text_literal),
    },
    orders=("riskLastUpdatedDateTime",),
    needs=PRINCIPAL_NEEDS,
)

SERVICE_PRINCIPAL_HISTORY = Resource(
    path="riskyServicePrincipals/{}/history",
    noun="history item",
    context="RiskyServicePrincipalHistory",
    list_title="Risky Service Principal History",
    columns=HISTORY_COLUMNS,
    key=("servicePrincipalId", "riskLastUpdatedDateTime"),
    options=(),
    owner="servicePrincipalId",
    view=history_view,
    needs=PRINCIPAL_NEEDS,
)

SERVICE_PRINCIPAL_DETECTIONS = Resource(
    path="servicePrincipalRiskDetections",
    noun="service principal risk detection",
    context="ServicePrincipalRiskDetection",
    list_title="Service Principal Risk Detections List",
    columns=(*PRINCIPAL_DETECTION_COLUMNS, "lastUpdatedDateTime", "ipAddress"),
    item_title="Found Service Principal Risk Detection with ID: {id}",
    item_columns=(
        *PRINCIPAL_DETECTION_COLUMNS,
        "ipAddress",
        "keyIds",
        "lastUpdatedDateTime",
        "location",
    ),
    filters={
        **RISK_FILTERS,
        **DETECTED_FILTERS,
        "service_principal_id": Filter(
            "servicePrincipalId", "eq", text_literal
        ),
        "risk_event_type": Filter("riskEventType", "eq", text_literal),
    },
    orders=DETECTION_ORDERS,
    needs=DETECTION_NEEDS._replace(licence=WORKLOAD_PREMIUM),
    shape=detection_shape,
    numbered_pages=True,
)

# Lists


class Window(NamedTuple):
    """Which rows of a list are asked for: `start` to `stop`.

    Under page_size and next_token (`by_page`) pages are given whole, and the token of the following one with them.
    """

    start: int
    stop: int
    page: int
    by_page: bool

    @property
    def top(self) -> int:
        """The $top that brings all rows up to `stop` with the fewest requests, and no more rows than needed."""
        requests_needed = -(-self.stop // MAX_PAGE_SIZE)
        return -(-self.stop // requests_needed)


def read_window(args: Args) -> Window:
    """Return the rows that limit, page and page_size ask for. Raises: ArgumentError: one cannot be read."""
    size = limit = whole_number(args, "limit", DEFAULT_LIMIT)
    if given(args, "page_size"):
        size = whole_number(args, "page_size", limit, MAX_PAGE_SIZE)
    page = whole_number(args, "page", 1)
    return Window(
        (page - 1) * size, page * size, page, given(args, "page_size")
    )


class Listing(NamedTuple):
    """What came of a list: rows, where the rest is, whether there is a rest, and why reading on failed, if it did."""

    rows: list[Row]
    next_link: str
    more: bool
    failure: RequestError | None


def collect(pages: Iterator[Page], window: Window) -> Listing:
    """Return the rows of a window, reading no page beyond it.

    Raises: RequestError: not even the first page came. A later failure is told in the listing, with the rows so far.
    """
    rows: list[Row] = []
    passed, next_link, failure = 0, None, None
    try:
        for page in pages:
            # Under by_page a row that is cut off would be lost: the next token begins behind it.
            stop = (
                len(page.rows)
                if window.by_page
                else max(window.stop - passed, 0)
            )
            rows += page.rows[max(window.start - passed, 0) : stop]
            passed, next_link = passed + len(page.rows), page.next_link
            if passed >= window.stop:
                break
    except RequestError as error:
        if next_link is None:
            raise
        failure = error
    cut = passed > window.stop and not window.by_page
    return Listing(rows, next_link or "", bool(next_link) or cut, failure)


def collect_split(
    walks: list[Iterator[Page]], window: Window, order: str
) -> Listing:
    """Return the rows of a window over several lists that are one list to the caller, in the order asked for."""
    listings: list[Listing] = []
    for pages in walks:
        try:
            listings.append(collect(pages, window._replace(start=0)))
        except RequestError as error:
            if not listings:
                raise
            listings.append(Listing([], "", True, error))
        if listings[-1].failure:
            break
    name, _, way = order.partition(" ")
    rows = [row for listing in listings for row in listing.rows]
    rows.sort(
        key=lambda row: moment_order(row.get(name)), reverse=way == "desc"
    )
    more = any(listing.more for listing in listings) or len(rows) > window.stop
    return Listing(
        rows[window.start : window.stop], "", more, listings[-1].failure
    )


def list_resource(
    client: GraphClient, resource: Resource, args: Args
) -> list[CommandResults]:
    """Return a collection's rows that the arguments ask for, as a table and context.

    Raises: ArgumentError: an argument cannot be read; nothing was sent. RequestError: not even the first page came.
    """
    window = read_window(args)
    order = read_order(resource, args)
    filters = build_filters(resource.filters, args)
    if given(args, "next_token"):
        listing = follow_token(client, resource, args)
        window = window._replace(page=0, by_page=True)
    elif len(filters) == 1:
        listing = collect(
            client.pages(
                resource, build_query(resource, filters[0], order, window)
            ),
            window,
        )
    elif window.by_page:
        raise ArgumentError(
            "page_size",
            args["page_size"],
            f"nothing beside more than {MAX_COMPARISONS} values to match",
        )
    else:
        queries = [
            build_query(resource, text, order, window) for text in filters
        ]
        listing = collect_split(
            [client.pages(resource, query) for query in queries], window, order
        )
    return [
        listing_results(resource, listing, window),
        *incomplete_warning(listing),
    ]


def build_query(
    resource: Resource, filter_text: str, order: str, window: Window
) -> Row:
    """Return the query options to send, of those that the collection understands."""
    query = {"$filter": filter_text, "$orderby": order, "$top": str(window.top)}
    return {
        name: text
        for name, text in query.items()
        if text and name in resource.options
    }


def follow_token(
    client: GraphClient, resource: Resource, args: Args
) -> Listing:
    """Return the page that next_token leads to; filters, order and size of the call it came from travel in it.

    Raises: ArgumentError: it leads anywhere else, where this instance's access token must not go.
    """
    token = str(args["next_token"]).strip()
    if not client.leads_into(resource, token):
        accepted = f"what an earlier call of this command gave, {client.collection(resource)}?..."
        raise ArgumentError("next_token", token, accepted)
    if whole_number(args, "page", 1) > 1:
        raise ArgumentError(
            "page",
            args["page"],
            "no page beside next_token, which leads to a page itself",
        )
    return collect(
        client.pages(resource, {}, token), Window(0, 1, 1, by_page=True)
    )


def read_order(resource: Resource, args: Args) -> str:
    """Return the $orderby asked for, or the default. Raises: ArgumentError: the collection has no such order."""
    orders = [
        f"{name}{way}"
        for name in resource.orders
        for way in (" desc", " asc", "")
    ]
    return (
        choice(orders)("order_by", args["order_by"])
        if given(args, "order_by")
        else resource.default_order
    )


def listing_results(
    resource: Resource, listing: Listing, window: Window
) -> CommandResults:
    """Return a list's entry: its table, what is said above it, and context with the list's flags."""
    flags: Row = {f"{resource.context}ListTruncated": listing.more}
    tables = [
        table(
            resource.list_title,
            resource,
            listing.rows,
            listing_notes(resource, listing, window),
        )
    ]
    if window.by_page:
        flags[f"{resource.context}ListNextToken"] = listing.next_link
    if window.by_page and listing.next_link:
        title = f"{resource.list_title.rstrip(':')} Token:"
        tables.append(
            tableToMarkdown(
                title, {"next_token": listing.next_link}, headers=["next_token"]
            )
        )
    outputs: Row = {"AzureRiskyUsers(true)": flags}
    if listing.rows:
        outputs[context_path(resource)] = listing.rows
    raw = {"value": listing.rows} | (
        {"@odata.nextLink": listing.next_link} if listing.next_link else {}
    )
    return CommandResults(
        outputs=outputs, readable_output="\n".join(tables), raw_response=raw
    )


def context_path(resource: Resource) -> str:
    """Return where a collection's objects go in context, and by what those that are there already are known."""
    known = " && ".join(
        f"val.{name} && val.{name} == obj.{name}" for name in resource.key
    )
    return f"AzureRiskyUsers.{resource.context}({known})"


def listing_notes(resource: Resource, listing: Listing, window: Window) -> str:
    """Return what is said between title and table."""
    notes = []
    if resource.numbered_pages and window.page:
        notes.append(f"Current page size: {window.stop - window.start}")
        notes.append(f"Showing page {window.page} out others that may exist")
    if listing.more and not listing.failure:
        way = (
            "Continue with next_token."
            if window.by_page
            else "Raise limit, or narrow the list, to see them."
        )
        notes.append(
            f"**More match than the {len(listing.rows)} shown here.** {way}"
        )
    return "\n".join(notes)


def incomplete_warning(listing: Listing) -> list[CommandResults]:
    """Return the warning that reading on failed, if it did."""
    if not listing.failure:
        return []
    text = f"The list is incomplete: only the {len(listing.rows)} rows above could be read. {listing.failure}"
    return [
        CommandResults(
            readable_output=text,
            raw_response=text,
            entry_type=EntryType.WARNING,
        )
    ]


def table(
    title: str,
    resource: Resource,
    rows: list[Row],
    notes: str = "",
    *,
    single: bool = False,
) -> str:
    """Return objects as the war room's table, known values in words; a column that is empty everywhere is left out."""
    columns = (single and resource.item_columns) or resource.columns
    return markdown(
        title,
        [in_words(resource.view(row), columns) for row in rows],
        columns,
        notes,
    )


def markdown(
    title: str, rows: list[Row], columns: tuple[str, ...], notes: str = ""
) -> str:
    """Return rows as the platform's table, under columns named after their properties."""
    return tableToMarkdown(
        title,
        rows,
        headers=list(columns),
        headerTransform=pascalToSpace,
        removeNull=True,
        metadata=notes or None,
    )


def in_words(row: Row, columns: Iterable[str]) -> Row:
    """Return the columns of a row, with what an analyst calls Graph's terms where that is known."""
    return {
        name: WORDS.get(name, {}).get(str(row.get(name)), row.get(name))
        for name in columns
    }


# Single objects


def get_resource(
    client: GraphClient, resource: Resource, args: Args
) -> CommandResults:
    """Return one object of a collection. Raises: GraphError: it does not exist (the id is named), or no answer came."""
    item_id = str(args.get("id") or "").strip()
    try:
        row = resource.shape(client.item(resource, item_id))
    except GraphError as error:
        raise unknown_id(resource, item_id, error) from error
    return item_results(resource, [row], resource.item_title.format(id=item_id))


def unknown_id(
    resource: Resource, item_id: str, error: GraphError
) -> GraphError:
    """Return a 404 with the id that is unknown; another error as it is."""
    if error.status != 404:
        return error
    return GraphError(
        f'There is no {resource.noun} with the ID "{item_id}". {error}',
        error.status,
        error.reason,
    )


def item_results(
    resource: Resource, rows: list[Row], title: str
) -> CommandResults:
    """Return the entry for single objects: one as it is, several as a list."""
    return CommandResults(
        outputs_prefix=f"AzureRiskyUsers.{resource.context}",
        outputs_key_field=list(resource.key),
        outputs=rows[0] if len(rows) == 1 else rows,
        readable_output=table(title, resource, rows, single=True),
    )


def matching(
    client: GraphClient, resource: Resource, argument: str, values: list[str]
) -> list[Row]:
    """Return all objects that one of a collection's filters finds for any of the values.

    Raises: ArgumentError: a value cannot be used. RequestError: not all of them could be read.
    """
    filters = (
        build_filters(resource.filters, {argument: values}) if values else []
    )
    walks = [
        client.pages(resource, {"$filter": text, "$top": str(MAX_PAGE_SIZE)})
        for text in filters
    ]
    return [row for pages in walks for page in pages for row in page.rows]


def exactly_one(args: Args, *names: str) -> tuple[str, str]:
    """Return name and value of the one argument that is given. Raises: ArgumentError: none is, or several are."""
    found = [
        (name, str(args[name]).strip()) for name in names if given(args, name)
    ]
    if len(found) != 1:
        raise ArgumentError(
            " / ".join(names),
            ", ".join(value for _, value in found),
            "exactly one of them",
        )
    return found[0]


# Actions


class Action(NamedTuple):
    """A change of risk that Graph makes for a list of ids."""

    command: str
    resource: Resource
    path: str
    ids_property: str  # of the request's body
    id_filter: (
        str  # the resource's filter for ids; with an s, the command's argument
    )
    max_argument: str
    state: str  # the riskState it leads to
    effect: str


CONFIRM_USERS_COMPROMISED = Action(
    command="azure-risky-users-confirm-compromised",
    resource=RISKY_USERS,
    path="confirmCompromised",
    ids_property="userIds",
    id_filter="user_id",
    max_argument="max_users",
    state="confirmedCompromised",
    effect="Risk level becomes high. A later dismissal or confirmation as safe takes it back.",
)
CONFIRM_USERS_SAFE = CONFIRM_USERS_COMPROMISED._replace(
    command="azure-risky-users-confirm-safe",
    path="confirmSafe",
    state="confirmedSafe",
    effect="The risk there is now is closed for good; new detections raise new risk.",
)
DISMISS_USERS = CONFIRM_USERS_COMPROMISED._replace(
    command="azure-risky-users-dismiss",
    path="dismiss",
    state="dismissed",
    effect="All risk is closed, that of past sign-ins too. This cannot be undone.",
)
CONFIRM_PRINCIPALS_COMPROMISED = CONFIRM_USERS_COMPROMISED._replace(
    command="azure-risky-service-principals-confirm-compromised",
    resource=RISKY_SERVICE_PRINCIPALS,
    ids_property="servicePrincipalIds",
    id_filter="service_principal_id",
    max_argument="max_service_principals",
    effect="Risk level becomes high. A later dismissal takes it back.",
)
DISMISS_PRINCIPALS = CONFIRM_PRINCIPALS_COMPROMISED._replace(
    command="azure-risky-service-principals-dismiss",
    path="dismiss",
    state="dismissed",
    effect="All risk is closed. This cannot be undone.",
)


class Outcome(NamedTuple):
    """What became of one id: submitted, refused, not tried, or unknown when no answer came."""

    status: str
    reason: str = ""


def respond(client: GraphClient, action: Action, args: Args) -> CommandResults:
    """Submit an action for the ids and names that the arguments hold, or look at what became of an earlier one.

    Names are resolved first; one that is unknown stops everything before anything is changed.
    Raises: ArgumentError, SettingsError, RequestError: nothing was changed. CommandFailed: not all ids were accepted.
    """
    if given(args, "verify_ids"):
        return verify(client, action, args)
    dry_run, look_again = flag(args, "dry_run"), flag(args, "verify")
    ids, names = (
        ids_in(args, f"{action.id_filter}s"),
        texts(args, "user_principal_names"),
    )
    check_number(action, args, ids + names, dry_run=dry_run)
    if not dry_run:
        require_response(client)
    known = by_id(resolve(client, names))
    if dry_run:
        known |= by_id(matching(client, action.resource, action.id_filter, ids))
        outcomes = {
            item: expected_outcome(known, item) for item in [*ids, *known]
        }
        return action_results(
            action, known, outcomes, f"Nothing was changed. {action.effect}"
        )
    outcomes = submit(client, action, list(dict.fromkeys([*ids, *known])))
    results = action_results(
        action,
        known,
        outcomes,
        f"Graph applies this within minutes. {action.effect}",
    )
    failed = sum(outcome.status != "submitted" for outcome in outcomes.values())
    if failed:
        raise CommandFailed(
            f"{failed} of {len(outcomes)} IDs were not accepted; the table tells why.",
            [results],
        )
    return scheduled(results, action, list(outcomes)) if look_again else results


def by_id(rows: list[Row]) -> dict[str, Row]:
    """Return objects by their id, in the lower case in which ids are compared here: a GUID's case means nothing."""
    return {str(row["id"]).lower(): row for row in rows}


def flag(args: Args, name: str) -> bool:
    """Return an argument that has to be true or false; false when it is not given. Raises: ArgumentError."""
    return (
        choice(("true", "false"))(name, str(args.get(name) or "false").lower())
        == "true"
    )


def texts(args: Args, name: str) -> list[str]:
    """Return the values of a comma-separated argument, each once in any case. Raises: ArgumentError: one is empty."""
    values = [str(value).strip() for value in argToList(args.get(name))]
    if args.get(name) not in (None, "") and not values:
        raise ArgumentError(name, args[name], "at least one value")
    for value in values:
        text_literal(name, value)
    return list({value.lower(): value for value in values}.values())


def ids_in(args: Args, name: str) -> list[str]:
    """Return the ids of a comma-separated argument in lower case, each once. Raises: ArgumentError: one is empty."""
    return [value.lower() for value in texts(args, name)]


def check_number(
    action: Action, args: Args, targets: list[str], *, dry_run: bool
) -> None:
    """Raise ArgumentError when nobody is named, or more than the command may change."""
    most = whole_number(args, action.max_argument, MAX_IDS)
    if not targets:
        raise ArgumentError(
            f"{action.id_filter}s", "", "at least one ID or name"
        )
    if len(targets) > most and not dry_run:
        accepted = f"at least {len(targets)}, the number of those to be changed. Try dry_run=true first"
        raise ArgumentError(action.max_argument, most, accepted)


def require_response(client: GraphClient) -> None:
    """Raise SettingsError where a person signed in without asking for write permissions."""
    if (
        client.authenticator.delegated
        and not client.authenticator.settings.allow_response
    ):
        raise SettingsError(
            "Response commands are off in this instance. Select 'Allow response commands' in its "
            "settings, then run !azure-risky-users-auth-start and sign in anew."
        )


def resolve(client: GraphClient, names: list[str]) -> list[Row]:
    """Return the one risky user that each name means. Raises: ArgumentError: a name means nobody, or several users."""
    rows = matching(client, RISKY_USERS, "user_principal_name", names)
    found = Counter(str(row.get("userPrincipalName")).lower() for row in rows)
    unclear = [name for name in names if found[name.lower()] != 1]
    if unclear:
        accepted = "names for which Graph knows exactly one risky user; otherwise use IDs. Nothing was changed"
        raise ArgumentError(
            "user_principal_names", ", ".join(unclear), accepted
        )
    return rows


def expected_outcome(known: dict[str, Row], item: str) -> Outcome:
    """Return what a dry run tells of an id."""
    return Outcome(
        "dry run",
        ""
        if item in known
        else "Graph knows no risk for this ID, and may refuse it",
    )


def submit(
    client: GraphClient, action: Action, ids: list[str]
) -> dict[str, Outcome]:
    """Return what became of each id. A batch that Graph refuses for its ids is halved until the culprits are alone,
    which takes fewer requests than trying one by one. Any other failure ends the attempts."""
    outcomes = dict.fromkeys(ids, Outcome("not tried"))
    waiting = batches(ids, MAX_IDS)
    while waiting and time.monotonic() - client.session.started < WALK_PERIOD:
        part = waiting.pop(0)
        outcome, about_ids = submit_batch(client, action, part)
        if about_ids and len(part) > 1:
            waiting = batches(part, -(-len(part) // 2)) + waiting
            continue
        outcomes.update(dict.fromkeys(part, outcome))
        if outcome.status != "submitted" and not about_ids:
            break
    return outcomes


def submit_batch(
    client: GraphClient, action: Action, ids: list[str]
) -> tuple[Outcome, bool]:
    """Return what became of one request, and whether a failure was due to its ids."""
    try:
        client.act(action, ids)
    except GraphError as error:
        answered = 0 < error.status < 500
        reason = (
            str(error)
            if answered
            else f"No answer came; the change may or may not have been made. {error}"
        )
        return Outcome(
            "refused" if answered else "unknown", reason
        ), error.status in (
            400,
            404,
        )
    except SignInError as error:
        return Outcome("not tried", str(error)), False
    return Outcome("submitted"), False


ACTION_COLUMNS = (
    "id",
    "userPrincipalName",
    "displayName",
    "riskLevel",
    "riskState",
    "action",
    "status",
    "reason",
)


def action_results(
    action: Action,
    known: dict[str, Row],
    outcomes: dict[str, Outcome],
    said: str = "",
) -> CommandResults:
    """Return the entry for an action: a row for each id, with what is known of the object behind it."""
    time_of_action = now_literal()
    rows = [
        {
            "id": item,
            **{
                name: known[item][name]
                for name in ACTION_COLUMNS[1:5]
                if name in known.get(item, {})
            },
            "action": action.path,
            **outcome._asdict(),
            "time": time_of_action,
        }
        for item, outcome in outcomes.items()
    ]
    counts = Counter(outcome.status for outcome in outcomes.values())
    notes = (
        ", ".join(f"{number} {status}" for status, number in counts.items())
        + f". {said}"
    )
    title = (
        f"{pascalToSpace(action.path)}: {len(rows)} {action.resource.noun}(s)"
    )
    return CommandResults(
        outputs_prefix="AzureRiskyUsers.RiskAction",
        outputs_key_field=["id", "action"],
        outputs=rows,
        readable_output=markdown(title, rows, ACTION_COLUMNS, notes.strip()),
    )


def scheduled(
    results: CommandResults, action: Action, ids: list[str], until: str = ""
) -> CommandResults:
    """Return the entry with the order to look again later, which the platform carries out."""
    if not is_demisto_version_ge("6.2.0"):
        results.readable_output = f"{results.readable_output}\n{NO_POLLING}"
        return results
    results.scheduled_command = ScheduledCommand(
        command=action.command,
        next_run_in_seconds=VERIFY_INTERVAL,
        args={
            "verify_ids": ",".join(ids),
            "verify_until": until or now_literal(VERIFY_PERIOD),
        },
        timeout_in_seconds=VERIFY_PERIOD + 2 * VERIFY_INTERVAL,
    )
    return results


NO_POLLING = "This server cannot look again by itself, which needs version 6.2. List the IDs to see their state."


def verify(client: GraphClient, action: Action, args: Args) -> CommandResults:
    """Return the state of each id once all have the state the action leads to, or the order to look again.

    Raises: CommandFailed: they have not when the time is up. RequestError: the state could not be read.
    """
    ids, until = ids_in(args, "verify_ids"), str(args.get("verify_until") or "")
    known = by_id(matching(client, action.resource, action.id_filter, ids))
    outcomes = {
        item: verified_outcome(action, known.get(item, {})) for item in ids
    }
    waiting = sum(outcome.status != "applied" for outcome in outcomes.values())
    if waiting and moment_order(now_literal()) < moment_order(until):
        text = (
            f"{len(ids) - waiting} of {len(ids)} changes have taken effect. "
            f"Looking again in {VERIFY_INTERVAL} seconds."
        )
        return scheduled(
            CommandResults(readable_output=text), action, ids, until
        )
    results = action_results(action, known, outcomes)
    if waiting:
        raise CommandFailed(
            f"{waiting} of {len(ids)} changes have not taken effect; the table shows which.",
            [results],
        )
    return results


def verified_outcome(action: Action, row: Row) -> Outcome:
    """Return whether an object has the state that the action leads to."""
    if row.get("isProcessing") or row.get("riskState") != action.state:
        return Outcome(
            "not applied",
            "Graph is still processing it" if row.get("isProcessing") else "",
        )
    return Outcome("applied")


# Fetching incidents
#
# A detection is dated by when it was detected, but surfaces later, and several share one instant. So each fetch asks
# again for all that was detected since a floor, which stays `look_back` behind what was handed over, and remembers
# what it handed over above the floor. Whatever surfaces within look_back is therefore seen, and nothing twice.


@dataclass(frozen=True)
class FetchSettings:
    """What is fetched, checked. `since` is where the very first fetch begins, `look_back` is in minutes."""

    since: str
    max_fetch: int
    look_back: int
    sources: tuple[str, ...]
    levels: tuple[str, ...]
    states: tuple[str, ...]
    event_types: tuple[str, ...]


FETCH_TYPES = ("Risk Detections", "Risky Users")
FETCH_PARAMETERS = (
    "isFetch",
    "first_fetch",
    "max_fetch",
    "look_back",
    "fetch_types",
    "fetch_risk_levels",
    "fetch_risk_states",
    "fetch_event_types",
)
MAX_FETCH = 200  # incidents in one fetch
MAX_LOOK_BACK = 10_080  # minutes, a week
MAX_KNOWN = 10_000  # objects remembered per type; above it, the overlap with earlier fetches shrinks
CLOCK_TOLERANCE = (
    5  # minutes by which this machine's clock may be ahead of Graph's
)
SEVERITIES = {
    "low": 1,
    "medium": 2,
    "high": 3,
}  # the platform's numbers; other levels count as unknown, 0
AT_RISK = ("atRisk", "confirmedCompromised")


def read_fetch_settings(params: Args) -> FetchSettings:
    """Return what the fetch parameters mean; defaults where an older instance has none. Raises: ArgumentError."""
    return FetchSettings(
        since=moment_literal(
            "first_fetch", params.get("first_fetch") or "3 days"
        ),
        max_fetch=whole_number(params, "max_fetch", 50, MAX_FETCH),
        look_back=whole_number(params, "look_back", 60, MAX_LOOK_BACK),
        sources=choices(params, "fetch_types", FETCH_TYPES) or FETCH_TYPES[:1],
        levels=choices(params, "fetch_risk_levels", RISK_LEVELS),
        states=choices(params, "fetch_risk_states", RISK_STATES),
        event_types=tuple(argToList(params.get("fetch_event_types"))),
    )


def choices(args: Args, name: str, options: tuple[str, ...]) -> tuple[str, ...]:
    """Return the options that a parameter of several values holds. Raises: ArgumentError: one is unknown."""
    return tuple(
        dict.fromkeys(
            choice(options)(name, value) for value in argToList(args.get(name))
        )
    )


Place = tuple[
    tuple[str, str], str
]  # in the order of fetching: a time as moment_order has it, and a mark
END: Place = (("9999-12-31T23:59:59", ""), "")


class Track:
    """How far one type has been fetched, kept as text from fetch to fetch.

    Everything up to `floor` (time, mark) is done with. `known` tells of what was handed over above it: its mark and
    a record that begins with its time.
    """

    def __init__(self, text: str, since: str):
        stored = json.loads(text or "{}")
        self.floor: tuple[str, str] = tuple(stored.get("floor") or (since, ""))
        self.known: dict[str, str] = stored.get("known") or {}

    def text(self) -> str:
        return json.dumps({"floor": self.floor, "known": self.known})

    def below(self, moment: Any, mark: str) -> bool:
        """Tell whether an object of that time is done with."""
        floor, last_mark = self.floor
        return (moment_order(moment), mark) <= (moment_order(floor), last_mark)

    def raise_floor(self, moment: str, mark: str = "") -> None:
        if not self.below(moment, mark):
            self.floor = (moment, mark)

    def bound(self, limit: Place) -> None:
        """Forget the oldest objects beyond MAX_KNOWN, and count them as done with by raising the floor over them.

        Only those before `limit`: the floor must not pass over an object that is still to be handed over.
        """
        places = sorted(
            (moment_order(record.split()[0]), mark)
            for mark, record in self.known.items()
        )
        for _, mark in [
            place for place in places[:-MAX_KNOWN] if place < limit
        ]:
            self.raise_floor(self.known.pop(mark).split()[0], mark)


class Detections:
    """Risk detections as incidents: each once."""

    resource = RISK_DETECTIONS
    time = "detectedDateTime"

    def filters(self, fetch: FetchSettings) -> Args:
        """Return the list arguments that select what is fetched."""
        values = {
            "risk_level": fetch.levels,
            "risk_state": fetch.states,
            "risk_event_type": fetch.event_types,
        }
        return {name: list(texts) for name, texts in values.items() if texts}

    def mark(self, row: Row) -> str:
        """Return what an object is remembered by: short, since thousands may be."""
        return hashlib.sha256(str(row["id"]).encode()).hexdigest()[:16]

    def place(self, row: Row) -> Place:
        return moment_order(row.get(self.time)), self.mark(row)

    def wanted(self, row: Row, track: Track, _: FetchSettings) -> bool:
        """Tell whether an object is an incident that has not been handed over."""
        mark = self.mark(row)
        return mark not in track.known and not track.below(
            row.get(self.time), mark
        )

    def settle(self, row: Row, track: Track) -> None:
        """Take note of an object that is no incident."""

    def record(self, row: Row) -> str:
        """Return what is remembered of an object."""
        return moment_text(row.get(self.time))

    def forget(self, track: Track) -> None:
        """Drop what is below the floor, where it will not be asked for again."""
        track.known = {
            mark: record
            for mark, record in track.known.items()
            if not track.below(record, mark)
        }

    def name(self, row: Row) -> str:
        event = str(row.get("riskEventType"))
        return f"{EVENT_WORDS.get(event, event)}: {row.get('userPrincipalName')} ({row.get('riskLevel')})"


class Users(Detections):
    """Risky users as incidents: when one comes to be at risk or confirmed compromised, and when the level rises.

    Remembered are the users at risk, with state and level; one that is not remembered was not at risk.
    """

    resource = RISKY_USERS
    time = "riskLastUpdatedDateTime"

    def filters(self, _: FetchSettings) -> Args:
        """Return no filters: to see a user come back, one has to see him go, so all states and levels are read."""
        return {}

    def mark(self, row: Row) -> str:
        return str(row["id"])

    def wanted(self, row: Row, track: Track, fetch: FetchSettings) -> bool:
        state, level = str(row.get("riskState")), str(row.get("riskLevel"))
        _, old_state, old_level = track.known.get(
            self.mark(row), "- - -"
        ).split()
        worse = state != old_state or SEVERITIES.get(level, 0) > SEVERITIES.get(
            old_level, 0
        )
        selected = level in (fetch.levels or (level,)) and state in (
            fetch.states or (state,)
        )
        return (
            state in AT_RISK
            and worse
            and selected
            and not track.below(row.get(self.time), self.mark(row))
        )

    def settle(self, row: Row, track: Track) -> None:
        track.known.pop(self.mark(row), None)
        if row.get("riskState") in AT_RISK:
            track.known[self.mark(row)] = self.record(row)

    def record(self, row: Row) -> str:
        return f"{moment_text(row.get(self.time))} {row.get('riskState')} {row.get('riskLevel')}"

    def forget(self, track: Track) -> None:
        """Drop nothing: users at risk stay remembered whatever the time."""

    def name(self, row: Row) -> str:
        return f"Risky user: {row.get('userPrincipalName')} is {row.get('riskState')} ({row.get('riskLevel')})"


SOURCES: dict[str, Detections] = dict(
    zip(FETCH_TYPES, (Detections(), Users()), strict=True)
)


def fetch_incidents(
    client: GraphClient, fetch: FetchSettings, last_run: Row
) -> tuple[Row, list[Row], list[str]]:
    """Return the next run's state, the incidents of this one, oldest first, and notes on what could not be read.

    Raises: ArgumentError: too many event types. RequestError: not even the first page of a type came.
    """
    incidents: list[Row] = []
    notes: list[str] = []
    next_run = dict(last_run)
    for position, name in enumerate(fetch.sources):
        room = -(
            -(fetch.max_fetch - len(incidents))
            // (len(fetch.sources) - position)
        )
        track = Track(last_run.get(name, ""), fetch.since)
        rows, failure = (
            fetch_rows(client, SOURCES[name], fetch, track, room)
            if room
            else ([], None)
        )
        incidents += [incident(SOURCES[name], name, row) for row in rows]
        notes += [str(failure)] if failure else []
        next_run[name] = track.text()
    return next_run, incidents, notes


def fetch_rows(
    client: GraphClient,
    source: Detections,
    fetch: FetchSettings,
    track: Track,
    room: int,
) -> tuple[list[Row], RequestError | None]:
    """Return up to `room` objects that are incidents, oldest first, move the track past them, and say what failed."""
    started = utc_now() - relativedelta(minutes=CLOCK_TOLERANCE)
    reading = read_open(client, source, fetch, track, room)
    waiting = sorted(reading.rows, key=source.place)
    for row in waiting[:room]:
        track.known[source.mark(row)] = source.record(row)
    # All before this is done with: it was read, and what was to be handed over of it has been.
    limit = min([reading.reached, *map(source.place, waiting[room:])])
    reached = datetime.strptime(limit[0][0], "%Y-%m-%dT%H:%M:%S").replace(
        tzinfo=timezone.utc
    )
    behind = min(reached, started) - relativedelta(minutes=fetch.look_back)
    track.raise_floor(f"{behind:%Y-%m-%dT%H:%M:%SZ}")
    source.forget(track)
    track.bound(limit)
    return waiting[:room], reading.failure


class Reading(NamedTuple):
    """What a walk from the floor brought: incidents not yet handed over, the place before which all was read, and why
    it broke off, if it did."""

    rows: list[Row]
    reached: Place
    failure: RequestError | None


def read_open(
    client: GraphClient,
    source: Detections,
    fetch: FetchSettings,
    track: Track,
    room: int,
) -> Reading:
    """Read on from the floor until there are enough incidents to hand over; to the end, if Graph's order is none.

    An object that a later page shows again is what that page says. Raises: RequestError: not even the first page came.
    """
    found: dict[str, Row] = {}
    reached: Place | None = None
    try:
        for page, reached in walk(client, source, fetch, track):
            for row in page.rows:
                if source.wanted(row, track, fetch):
                    found[source.mark(row)] = row
                else:
                    found.pop(source.mark(row), None)
                    source.settle(row, track)
            if (
                page.next_link
                and sum(source.place(row) < reached for row in found.values())
                >= room
            ):
                return Reading(list(found.values()), reached, None)
    except RequestError as error:
        if reached is None:
            raise
        return Reading(list(found.values()), reached, error)
    return Reading(list(found.values()), END, None)


def walk(
    client: GraphClient, source: Detections, fetch: FetchSettings, track: Track
) -> Iterator[tuple[Page, Place]]:
    """Yield each page from the floor on, with the place before which all has been read.

    A link counts rows: when one of those read leaves or moves on, another slips over the page's edge, unread. So where
    times rise as asked for, what follows is asked for anew, from the newest time on. Where they fall, Graph's order is
    none, and links lead through everything.
    """
    floor = since = track.floor[0]
    ordered = again = True
    while again:
        again, times = False, list[tuple[str, str]]()
        for page in client.pages(
            source.resource, fetch_query(source, fetch, since)
        ):
            moments = [moment_order(row.get(source.time)) for row in page.rows]
            times += moments
            if ordered and times != sorted(times):
                ordered, again, since = False, since != floor, floor
            elif (
                ordered
                and max(moments[:1], [moment_order(since)]) < moments[-1:]
            ):
                again, since = (
                    bool(page.next_link),
                    moment_text(".".join(moments[-1])),
                )
            yield page, (moment_order(since), "")
            if (
                again
                and time.monotonic() - client.session.started < WALK_PERIOD
            ):
                break


def fetch_query(source: Detections, fetch: FetchSettings, since: str) -> Row:
    """Return the query for everything since a moment. Raises: ArgumentError: too many values for one request."""
    filters = build_filters(source.resource.filters, source.filters(fetch))
    if len(filters) > 1:
        most = (
            f"at most {MAX_COMPARISONS} event types, levels and states in all"
        )
        raise ArgumentError(
            "fetch_event_types", ", ".join(fetch.event_types), most
        )
    return {
        "$filter": " and ".join(
            filter(None, (f"{source.time} ge {since}", filters[0]))
        ),
        "$orderby": f"{source.time} asc",
        "$top": str(MAX_PAGE_SIZE),
    }


def moment_text(moment: Any) -> str:
    """Return a time of Graph's in the form that $filter and the platform take, with seven digits of a second."""
    whole, fraction = moment_order(moment)
    return f"{whole}.{fraction}Z"


def incident(source: Detections, fetch_type: str, row: Row) -> Row:
    """Return an object as the platform's incident."""
    return {
        "name": source.name(row),
        "occurred": moment_text(row.get(source.time)),
        "severity": SEVERITIES.get(str(row.get("riskLevel")), 0),
        "rawJSON": json.dumps({**row, "fetchType": fetch_type}),
        "dbotMirrorId": str(row["id"]),
    }


# What an instance may do


class Capability(NamedTuple):
    """One thing an instance may be able to do."""

    name: str
    resource: Resource
    write: bool = False


ESSENTIAL_CAPABILITIES = (
    Capability("Read risky users", RISKY_USERS),
    Capability("Read risk detections", RISK_DETECTIONS),
)
OTHER_CAPABILITIES = (
    Capability("Read risky service principals", RISKY_SERVICE_PRINCIPALS),
    Capability(
        "Read service principal detections", SERVICE_PRINCIPAL_DETECTIONS
    ),
    Capability("Change risk of users", RISKY_USERS, write=True),
    Capability(
        "Change risk of service principals",
        RISKY_SERVICE_PRINCIPALS,
        write=True,
    ),
)


def examine(client: GraphClient, capability: Capability) -> Row:
    """Return a capability's row: what it needs, whether the token has it, what a read of one row brought ("works", or
    what is missing), and under `error` Graph's whole refusal."""
    resource, write = capability.resource, capability.write
    token = token_ability(client, resource.needs, write=write)
    error = None if write else read_failure(client, resource)
    read = error.reason or str(error) if error else "works"
    return {
        "capability": capability.name,
        "permission": resource.needs.permission(write=write),
        "token": token,
        "result": write_ability(client, resource, token) if write else read,
        "error": str(error or ""),
    }


def read_failure(client: GraphClient, resource: Resource) -> GraphError | None:
    """Return why Graph does not give a row, or None when it does. Raises: GraphError: Graph was not reached at all."""
    try:
        client.first_page(resource, {"$top": "1"})
    except GraphError as error:
        if not error.status:
            raise
        return error
    return None


def token_ability(client: GraphClient, needs: Needs, *, write: bool) -> str:
    """Return whether the token's own claims hold a permission."""
    if client.authenticator.granted() is None:
        return "opaque"
    return (
        "lacks it" if client.lacks_permission(needs, write=write) else "has it"
    )


def write_ability(client: GraphClient, resource: Resource, token: str) -> str:
    """Return what the token tells of an action, which cannot be tried without changing something."""
    try:
        require_response(client)
    except SettingsError as error:
        return str(error)
    return {
        "has it": "permitted (not tried)",
        "lacks it": client.forbidden("", resource.needs, write=True),
        "opaque": "unknown: the token cannot be read, and an action cannot be tried",
    }[token]


# Commands: each takes the client and the command's arguments, and gives back what the war room shows.


def test_module(client: GraphClient, _: Args) -> str:
    """Return "ok" when Graph answers for users and detections, and to a fetch if the instance fetches."""
    if client.authenticator.delegated:
        raise SettingsError(
            "The Test button cannot test a Device Code sign-in, which the platform keeps from it. In the War Room, run "
            "!azure-risky-users-auth-start, follow its instructions, run !azure-risky-users-auth-complete, then "
            "!azure-risky-users-auth-test."
        )
    rows = [
        examine(client, capability) for capability in ESSENTIAL_CAPABILITIES
    ]
    if any(row["error"] for row in rows):
        raise RequestError(all_errors(rows))
    if argToBoolean(
        client.authenticator.settings.fetch.get("isFetch") or False
    ):
        fetch = read_fetch_settings(client.authenticator.settings.fetch)
        fetch_incidents(client, replace(fetch, max_fetch=1), {})
    return "ok"


def auth_test(client: GraphClient, _: Args) -> CommandResults:
    """Return "Success!" and what the instance may do, each shown by a read of one row and the token's claims.

    Raises: CommandFailed: risky users or risk detections cannot be read. SignInError: there is no token.
    """
    rows = [
        examine(client, capability)
        for capability in ESSENTIAL_CAPABILITIES + OTHER_CAPABILITIES
    ]
    essential = rows[: len(ESSENTIAL_CAPABILITIES)]
    report = markdown(
        "What this instance may do",
        rows,
        ("capability", "permission", "token", "result"),
    )
    if any(row["error"] for row in essential):
        raise CommandFailed(
            all_errors(essential),
            [CommandResults(readable_output=report, raw_response=rows)],
        )
    return CommandResults(
        readable_output=f"Success!\n{report}", raw_response=rows
    )


def all_errors(rows: list[Row]) -> str:
    """Return the refusals in rows of `examine`, each once."""
    return "\n".join(
        dict.fromkeys(row["error"] for row in rows if row["error"])
    )


def auth_start(client: GraphClient, _: Args) -> CommandResults:
    """Return the instructions for signing in with a browser."""
    flow = client.authenticator.start()
    return CommandResults(
        readable_output="### Authorization instructions\n"
        f"1. To sign in, use a web browser to open the page {flow['verification_uri']} "
        f"and enter the code **{flow['user_code']}** to authenticate.\n"
        "2. Run the !azure-risky-users-auth-complete command in the War Room."
    )


def auth_complete(client: GraphClient, _: Args) -> str:
    """Finish what auth_start began. Raises: SignInError: the person has not finished, declined, or was too late."""
    client.authenticator.complete()
    return "Authorization completed successfully."


def auth_reset(client: GraphClient, _: Args) -> str:
    """Forget everything that was stored about signing in."""
    set_integration_context({})
    if not client.authenticator.delegated:
        return "Authorization was reset successfully. The next command signs in anew."
    return (
        "Authorization was reset successfully. "
        "Run !azure-risky-users-auth-start to start the authentication process."
    )


def risky_users_list(client: GraphClient, args: Args) -> list[CommandResults]:
    """Return the risky users that the arguments ask for."""
    return list_resource(client, RISKY_USERS, args)


def risky_user_get(client: GraphClient, args: Args) -> CommandResults:
    """Return one risky user by id, or those with a user principal name; for a name, no risk is an answer."""
    argument, value = exactly_one(args, "id", "user_principal_name")
    if argument == "id":
        return get_resource(client, RISKY_USERS, args)
    rows = matching(client, RISKY_USERS, argument, [value])
    if not rows:
        return no_risk_known(value)
    return item_results(
        RISKY_USERS, rows, f"Found Risky User With Name: {value}"
    )


def no_risk_known(name: str) -> CommandResults:
    """Return the entry that says that a name is not among the risky users."""
    return CommandResults(
        readable_output=f"Graph knows no risk for {name}: there is no risky user of that name.",
        raw_response=[],
    )


def risky_user_history_list(
    client: GraphClient, args: Args
) -> CommandResults | list[CommandResults]:
    """Return how a user's risk came to be what it is, for an id or a user principal name."""
    argument, value = exactly_one(args, "id", "user_principal_name")
    if argument == "id":
        return history_list(client, RISKY_USER_HISTORY, args)
    rows = matching(client, RISKY_USERS, argument, [value])
    if not rows:
        return no_risk_known(value)
    if len(rows) > 1:
        raise ArgumentError(
            argument, value, f"an id: {len(rows)} risky users have that name"
        )
    return history_list(
        client, RISKY_USER_HISTORY, {**args, "id": rows[0]["id"]}
    )


def history_list(
    client: GraphClient, resource: Resource, args: Args
) -> list[CommandResults]:
    """Return the history of the object with an id. Raises: GraphError: it does not exist, or no answer came."""
    item_id = str(args.get("id") or "").strip()
    try:
        return list_resource(client, resource.of(item_id), args)
    except GraphError as error:
        raise unknown_id(resource, item_id, error) from error


def risk_detections_list(
    client: GraphClient, args: Args
) -> list[CommandResults]:
    """Return the risk detections that the arguments ask for."""
    return list_resource(client, RISK_DETECTIONS, args)


def risk_detection_get(client: GraphClient, args: Args) -> CommandResults:
    """Return one risk detection."""
    return get_resource(client, RISK_DETECTIONS, args)


def risky_service_principals_list(
    client: GraphClient, args: Args
) -> list[CommandResults]:
    """Return the risky service principals that the arguments ask for."""
    return list_resource(client, RISKY_SERVICE_PRINCIPALS, args)


def risky_service_principal_get(
    client: GraphClient, args: Args
) -> CommandResults:
    """Return one risky service principal."""
    return get_resource(client, RISKY_SERVICE_PRINCIPALS, args)


def risky_service_principal_history_list(
    client: GraphClient, args: Args
) -> list[CommandResults]:
    """Return how a service principal's risk came to be what it is."""
    return history_list(client, SERVICE_PRINCIPAL_HISTORY, args)


def service_principal_detections_list(
    client: GraphClient, args: Args
) -> list[CommandResults]:
    """Return the risk detections of service principals that the arguments ask for."""
    return list_resource(client, SERVICE_PRINCIPAL_DETECTIONS, args)


def service_principal_detection_get(
    client: GraphClient, args: Args
) -> CommandResults:
    """Return one risk detection of a service principal."""
    return get_resource(client, SERVICE_PRINCIPAL_DETECTIONS, args)


def risky_users_confirm_compromised(
    client: GraphClient, args: Args
) -> CommandResults:
    """Tell Graph that accounts are in an attacker's hands."""
    return respond(client, CONFIRM_USERS_COMPROMISED, args)


def risky_users_confirm_safe(client: GraphClient, args: Args) -> CommandResults:
    """Tell Graph that accounts are not in an attacker's hands."""
    return respond(client, CONFIRM_USERS_SAFE, args)


def risky_users_dismiss(client: GraphClient, args: Args) -> CommandResults:
    """Have Graph close all risk of accounts."""
    return respond(client, DISMISS_USERS, args)


def service_principals_confirm_compromised(
    client: GraphClient, args: Args
) -> CommandResults:
    """Tell Graph that service principals are in an attacker's hands."""
    return respond(client, CONFIRM_PRINCIPALS_COMPROMISED, args)


def service_principals_dismiss(
    client: GraphClient, args: Args
) -> CommandResults:
    """Have Graph close all risk of service principals."""
    return respond(client, DISMISS_PRINCIPALS, args)


def fetch_preview(client: GraphClient, _: Args) -> CommandResults:
    """Return what the next fetch would bring, without moving anything."""
    fetch = read_fetch_settings(client.authenticator.settings.fetch)
    last_run = json.loads(client.authenticator.store.last_run)
    _, incidents, notes = fetch_incidents(client, fetch, last_run)
    first = (
        []
        if last_run
        else [
            "No earlier fetch is known here: this is what the first one would bring."
        ]
    )
    columns = ("name", "occurred", "severity", "dbotMirrorId")
    title = f"The next fetch would bring {len(incidents)} incident(s)"
    return CommandResults(
        readable_output=markdown(
            title, incidents, columns, "\n".join(first + notes)
        ),
        raw_response=incidents,
    )


def fetch(client: GraphClient) -> None:
    """Hand new incidents over to the platform, and keep how far that came."""
    settings = read_fetch_settings(client.authenticator.settings.fetch)
    next_run, incidents, notes = fetch_incidents(
        client, settings, demisto.getLastRun()
    )
    for note in notes:
        demisto.info(
            f"[Fetch] Reading broke off; the next fetch goes on from there. {note}"
        )
    # A command cannot read the last run, so the preview gets a copy.
    client.authenticator.store.last_run = json.dumps(next_run)
    client.authenticator.store.save()
    demisto.setLastRun(next_run)
    demisto.incidents(incidents)


# Entry point

COMMANDS: dict[str, Callable[[GraphClient, Args], Any]] = {
    "test-module": test_module,
    "azure-risky-users-auth-test": auth_test,
    "azure-risky-users-auth-start": auth_start,
    "azure-risky-users-auth-complete": auth_complete,
    "azure-risky-users-auth-reset": auth_reset,
    "azure-risky-users-list": risky_users_list,
    "azure-risky-user-get": risky_user_get,
    "azure-risky-user-history-list": risky_user_history_list,
    "azure-risky-users-risk-detections-list": risk_detections_list,
    "azure-risky-users-risk-detection-get": risk_detection_get,
    "azure-risky-service-principals-list": risky_service_principals_list,
    "azure-risky-service-principal-get": risky_service_principal_get,
    "azure-risky-service-principal-history-list": risky_service_principal_history_list,
    "azure-risky-service-principal-detections-list": service_principal_detections_list,
    "azure-risky-service-principal-detection-get": service_principal_detection_get,
    "azure-risky-users-confirm-compromised": risky_users_confirm_compromised,
    "azure-risky-users-confirm-safe": risky_users_confirm_safe,
    "azure-risky-users-dismiss": risky_users_dismiss,
    "azure-risky-service-principals-confirm-compromised": service_principals_confirm_compromised,
    "azure-risky-service-principals-dismiss": service_principals_dismiss,
    "azure-risky-users-fetch-preview": fetch_preview,
}


def build_client(
    settings: Settings, session: HttpSession, *, persistent: bool
) -> GraphClient:
    """Return a client that signs in as the settings say."""
    store = TokenStore(settings.binding, persistent=persistent)
    authenticator = AUTHENTICATORS[settings.sign_in](settings, session, store)
    return GraphClient(session, authenticator, settings.cloud.graph)


def main() -> None:
    command = demisto.command()
    demisto.debug(f"Command being called is {command}")
    try:
        if command not in COMMANDS and command != "fetch-incidents":
            raise NotImplementedError(f"Command {command} is not implemented.")
        params = demisto.params()
        settings = read_settings(params)
        handle_proxy()
        session = HttpSession(
            cloud=settings.cloud,
            verify=not argToBoolean(params.get("insecure") or False),
        )
        client = build_client(
            settings, session, persistent=command != "test-module"
        )
        if command == "fetch-incidents":
            fetch(client)
        else:
            return_results(COMMANDS[command](client, demisto.args()))
    except Exception as error:
        for result in getattr(error, "results", ()):
            return_results(result)
        # Of an error that is not ours, the class tells more than the text: a bare KeyError reads 'value'.
        text = (
            str(error)
            if isinstance(error, DemistoException)
            else f"{type(error).__name__}: {error}"
        )
        return_error(f"Failed to execute {command}. {text}")


if __name__ in ("__main__", "__builtin__", "builtins"):
    main()
