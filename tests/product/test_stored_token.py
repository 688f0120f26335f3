"""Which stored token is used: what msal would answer with, or none. msal is not asked, so it is compared with here."""

import json
import math
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import msal
import pytest

import AzureRiskyUsers as aru  # noqa: N813 - the module bears the name of the integration
from helpers import GRAPH, LOGIN, LOGIN_HOST, OTHER_APP, READ_ONE, READ_SCOPES, Params, Row, sign_in_by_device_code
from warroom.azure.server import Simulator
from warroom.azure.tenant import CLIENT_ID, CLIENT_SECRET, TENANT_ID
from warroom.demo import demo_instance
from warroom.xsoar.instance import credentials, with_defaults
from warroom.xsoar.runner import WarRoom

USER_ASSIGNED = "00000000-0000-0000-0000-0000000001d0"
OTHER_TENANT = "00000000-0000-0000-0000-00000000f00d"


class Offline:
    """The network as msal sees it here: it learns the tenant's addresses, and no more."""

    def get(self, url: str, **_: Any) -> Any:
        tenant, found, _rest = url.removeprefix(f"{LOGIN}/").partition("/v2.0/.well-known/")
        if not found:
            raise LookupError(url)
        address = f"{LOGIN}/{tenant}/oauth2/v2.0"
        body = {
            "authorization_endpoint": f"{address}/authorize",
            "token_endpoint": f"{address}/token",
            "issuer": f"{LOGIN}/{tenant}/v2.0",
        }
        return SimpleNamespace(status_code=200, text=json.dumps(body), headers={})

    def post(self, url: str, **_: Any) -> Any:
        raise LookupError(url)


OPTIONS: Row = {"http_client": Offline(), "instance_discovery": False}
MACHINE = {"authentication_type": "Azure Managed Identities"}
INSTANCES: dict[str, Params] = {
    "a secret": demo_instance(),
    "device code": with_defaults({"authentication_type": "Device Code", "client_id": credentials(CLIENT_ID)}),
    "device code in a tenant": with_defaults(
        {"authentication_type": "Device Code", "client_id": credentials(CLIENT_ID), "tenant_id": TENANT_ID}
    ),
    "the machine's identity": with_defaults(MACHINE),
    "a named identity": with_defaults({**MACHINE, "managed_identities_client_id": credentials(USER_ASSIGNED)}),
}
# What msal compares and the integration leaves to the fingerprint of the settings: words of msal's own, and a
# tenant that is known only by what is not its id.
LEFT_TO_THE_FINGERPRINT = {
    "device code": {"realm"},
    "the machine's identity": {"client_id", "environment", "realm"},
    "a named identity": {"environment", "realm"},
}


def asking_msal(kind: str, cache: msal.TokenCache) -> Callable[[], Any]:
    """How msal is asked for a token that this kind of instance wants, with this cache."""
    if kind == "a secret":
        secret = msal.ConfidentialClientApplication(
            CLIENT_ID, CLIENT_SECRET, f"{LOGIN}/{TENANT_ID}", token_cache=cache, **OPTIONS
        )
        return lambda: secret.acquire_token_for_client([f"{GRAPH}/.default"])
    if "identity" in kind:
        identity = msal.SystemAssignedManagedIdentity()
        if kind == "a named identity":
            identity = msal.UserAssignedManagedIdentity(client_id=USER_ASSIGNED)
        machine = msal.ManagedIdentityClient(identity, http_client=Offline(), token_cache=cache)
        return lambda: machine.acquire_token_for_client(resource=GRAPH)
    tenant = TENANT_ID if kind == "device code in a tenant" else "organizations"
    person = msal.PublicClientApplication(CLIENT_ID, authority=f"{LOGIN}/{tenant}", token_cache=cache, **OPTIONS)
    return lambda: person.acquire_token_silent(READ_SCOPES, person.get_accounts()[0])


class Msal:
    """What msal would answer with, of any text of a cache."""

    def __init__(self, kind: str) -> None:
        self.cache = msal.SerializableTokenCache()
        self.ask = asking_msal(kind, self.cache)

    def token(self, text: str) -> str | None:
        try:
            self.cache.deserialize(text)
            answer = self.ask() or {}
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            return None
        return answer.get("access_token")


class Ours:
    """What a command would use, of any text of a cache."""

    def __init__(self, kind: str) -> None:
        settings = aru.read_settings(INSTANCES[kind])
        self.store = aru.IntegrationStore("", persistent=False)
        self.signs_in = aru.AUTHENTICATORS[settings.sign_in](settings, aru.HttpSession(), self.store)

    def token(self, text: str) -> str | None:
        self.store.entries = aru.read_token_cache(text)
        return self.signs_in.stored_token()


@pytest.fixture(params=INSTANCES)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def cache(war_room: WarRoom, simulator: Simulator, kind: str) -> Row:
    """The cache that a sign-in of this kind leaves."""
    war_room.params = INSTANCES[kind]
    if kind.startswith("device code"):
        sign_in_by_device_code(war_room, simulator)
    assert not war_room.run(READ_ONE).failed
    stored: Row = json.loads(war_room.integration_context["token_cache"])
    return stored


MISSING = object()
WRONG: tuple[Any, ...] = (
    *(MISSING, None, True, 0, 5, -1.5, 9e99, math.inf, math.nan, "", "\ud800", "a\nb", "ключ", [], [1], {}, {"a": 1}),
    *("x", OTHER_APP, OTHER_TENANT, "organizations", "login.microsoftonline.us", "RefreshToken", "ADFS"),
    *("https://graph.microsoft.us/.default", "https://graph.microsoft.us", READ_SCOPES[0], "User.Read openid"),
    *("0", "1700000000", "9999999999", "soon"),
)


def with_wrong(value: Row, place: tuple[str, ...], wrong: Any) -> Row:
    """A copy of an object in which one place holds something else, or nothing."""
    key, *rest = place
    copy = dict(value)
    if rest:
        copy[key] = with_wrong(value[key], tuple(rest), wrong)
    elif wrong is MISSING:
        del copy[key]
    else:
        copy[key] = wrong
    return copy


def places(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The way to each value below an object."""
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield (*path, key)
        yield from places(inner, (*path, key))


def test_a_stored_token_is_used_only_where_msal_would_use_it(cache: Row, kind: str) -> None:
    ours, msals = Ours(kind), Msal(kind)
    (entry,) = cache["AccessToken"].values()
    text = json.dumps(cache)
    assert ours.token(text) == msals.token(text) == entry["secret"]

    used = refused = 0
    soon = str(int(time.time()) + 200)
    for place in places(cache):
        if place[0] == "AccessToken" and place[-1] in LEFT_TO_THE_FINGERPRINT.get(kind, ()):
            continue
        for wrong in (*WRONG, soon):
            text = json.dumps(with_wrong(cache, place, wrong))
            token = ours.token(text)
            assert token in (None, msals.token(text)), (place, wrong)
            used += token is not None
            refused += token is None
    assert min(used, refused) > 50


# One entry each that is no token of this instance's, and that it therefore does not use.
FOREIGN: dict[str, Row] = {
    "expired": {"expires_on": "1700000000"},
    "of another client": {"client_id": OTHER_APP},
    "of another tenant": {"realm": OTHER_TENANT},
    "of another cloud": {"environment": "login.microsoftonline.us"},
    "of another account": {"home_account_id": "0.0"},
    "of another resource": {"target": "https://graph.microsoft.us/.default"},
    "of fewer permissions": {"target": READ_SCOPES[0]},
    "of no permission": {"target": None},
}


@pytest.mark.parametrize("kind", ["a secret", "device code in a tenant"], indirect=True)
@pytest.mark.parametrize("case", FOREIGN)
def test_a_stored_token_that_is_not_this_instances_is_never_sent(
    war_room: WarRoom, simulator: Simulator, cache: Row, kind: str, case: str
) -> None:
    ((key, entry),) = cache["AccessToken"].items()
    foreign = {**entry, **FOREIGN[case], "secret": "contoso-foreign-token"}
    war_room.integration_context["token_cache"] = json.dumps({**cache, "AccessToken": {key: foreign}})
    simulator.requests.clear()
    assert not war_room.run(READ_ONE).failed, kind
    (request,) = simulator.graph_requests
    assert request.headers["Authorization"] == f"Bearer {list(simulator.entra.access_tokens)[-1]}"
    assert [login.host for login in simulator.login_requests] == [LOGIN_HOST] * 2
    assert "foreign" not in json.dumps(war_room.integration_context)


@pytest.mark.parametrize("kind", ["device code"], indirect=True)
def test_scopes_that_the_login_service_tells_by_their_permissions_are_those_asked_for(cache: Row, kind: str) -> None:
    ((key, entry),) = cache["AccessToken"].items()
    short = {**entry, "target": "IdentityRiskEvent.Read.All identityriskyuser.read.all openid profile"}
    assert Ours(kind).token(json.dumps({**cache, "AccessToken": {key: short}})) == entry["secret"]


@pytest.mark.parametrize("kind", ["device code"], indirect=True)
def test_the_token_of_one_person_is_not_used_where_two_have_signed_in(cache: Row, kind: str) -> None:
    ((key, account),) = cache["Account"].items()
    two = {key: account, "other": {**account, "home_account_id": "0.0"}}
    assert Ours(kind).token(json.dumps({**cache, "Account": two})) is None


def test_the_cache_is_read_by_msals_own_names() -> None:
    names = msal.TokenCache.CredentialType
    assert (aru.ACCESS_TOKEN, aru.REFRESH_TOKEN, aru.ID_TOKEN, aru.SIGNED_IN_ACCOUNT, aru.APP_METADATA) == (
        names.ACCESS_TOKEN,
        names.REFRESH_TOKEN,
        names.ID_TOKEN,
        names.ACCOUNT,
        names.APP_METADATA,
    )
    assert msal.TokenCache.AuthorityType.MSSTS == aru.ENTRA
