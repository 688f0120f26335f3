"""The three ways to sign in, from one command to the next, and what is said when they fail."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import AzureRiskyUsers as aru  # noqa: N813 - the module bears the name of the integration
from helpers import (
    COLLECTIONS_URL,
    FAILED,
    GRAPH,
    IMDS,
    LIST,
    LOGIN,
    LOGIN_HOST,
    OTHER_APP,
    READ_ONE,
    READ_SCOPES,
    Certificate,
    Fail,
    Params,
    Succeed,
    only_entry,
    private_pem,
    set_proxy,
    sign_in_by_device_code,
    use_device_code,
    user_code,
)
from warroom.azure.aadsts import ERRORS
from warroom.azure.identity import APP_SERVICE_ENDPOINT, APP_SERVICE_HEADER
from warroom.azure.server import Recorded, Simulator
from warroom.azure.tenant import CLIENT_ID, CLIENT_SECRET, CLOUDS, TENANT_ID, XSOAR_CLIENT_ID, App
from warroom.xsoar.instance import credentials, with_defaults
from warroom.xsoar.runner import WarRoom

SIGN_IN_ANEW = "Run !azure-risky-users-auth-start to sign in."
NOT_THE_LOGIN_SERVICE = (
    "What answered is not the Microsoft login service. A proxy or a sign-in page of the network may stand between."
)
USER_ASSIGNED = "00000000-0000-0000-0000-0000000001d0"
DISCOVERY = ("GET", f"{LOGIN}/{TENANT_ID}/v2.0/.well-known/openid-configuration")
TOKEN = ("POST", f"{LOGIN}/{TENANT_ID}/oauth2/v2.0/token")
LIST_REQUEST = ("GET", f"{COLLECTIONS_URL}riskyUsers")
IDENTITY = ("GET", IMDS)


def addresses(simulator: Simulator) -> list[tuple[str, str]]:
    """Method and address of each request since the last look."""
    requests = [(request.method, f"{request.scheme}://{request.host}{request.path}") for request in simulator.requests]
    simulator.requests.clear()
    return requests


def bearer(request: Recorded) -> str:
    scheme, _, token = request.headers["Authorization"].partition(" ")
    assert scheme == "Bearer"
    return token


def use_managed_identity(war_room: WarRoom, client_id: str = "", **changes: Any) -> None:
    """Make the instance sign in as the machine."""
    given = {"authentication_type": "Azure Managed Identities", **changes}
    war_room.params = with_defaults({**given, "managed_identities_client_id": credentials(client_id)})


# Client credentials


def test_client_credentials_take_a_discovery_and_a_token_request(run: Succeed, simulator: Simulator) -> None:
    run(READ_ONE)
    assert [request.form for request in simulator.login_requests] == [
        {},
        {
            "client_id": CLIENT_ID,
            "grant_type": "client_credentials",
            "client_info": "1",
            "client_secret": CLIENT_SECRET,
            "scope": f"{GRAPH}/.default",
        },
    ]
    assert [bearer(request) for request in simulator.graph_requests] == list(simulator.entra.access_tokens)
    assert addresses(simulator) == [DISCOVERY, TOKEN, LIST_REQUEST]


def test_a_command_whose_token_is_still_valid_makes_no_login_request(run: Succeed, simulator: Simulator) -> None:
    run(READ_ONE)
    addresses(simulator)
    run(READ_ONE)
    run("!azure-risky-users-risk-detections-list limit=1")
    assert [host for _, host in addresses(simulator)] == [
        LIST_REQUEST[1],
        LIST_REQUEST[1].replace("riskyUsers", "riskDetections"),
    ]


@pytest.mark.parametrize(("lifetime", "requests"), [(290, 3), (330, 1)])
def test_a_token_is_used_while_it_holds_for_five_minutes(
    run: Succeed, simulator: Simulator, lifetime: int, requests: int
) -> None:
    simulator.entra.token_lifetime = lifetime
    run(READ_ONE)
    addresses(simulator)
    run(READ_ONE)
    assert len(addresses(simulator)) == requests


def test_the_secret_is_never_stored_and_the_token_is(run: Succeed, war_room: WarRoom, simulator: Simulator) -> None:
    run(READ_ONE)
    stored = json.dumps(war_room.integration_context)
    assert CLIENT_SECRET not in stored
    (token,) = simulator.entra.access_tokens
    assert token in stored


LEFTOVERS = {
    "access_token": "contoso-leftover-token",
    "valid_until": "9999999999",
    "current_refresh_token": "contoso-leftover-refresh",
    "device_code": "contoso-leftover-code",
    "binding": "0" * 64,
    "token_cache": '{"AccessToken": {"a": {"secret": "contoso-leftover-token", "expires_on": "9999999999"}}}',
}


def test_what_other_software_left_in_the_context_is_not_used_and_goes_with_the_first_write(
    run: Succeed, war_room: WarRoom, simulator: Simulator
) -> None:
    war_room.integration_context = dict(LEFTOVERS)
    run(READ_ONE)
    assert [bearer(request) for request in simulator.graph_requests] == list(simulator.entra.access_tokens)
    assert set(war_room.integration_context) == {"binding", "token_cache"}
    assert "leftover" not in json.dumps(war_room.integration_context)


def test_the_test_button_signs_in_anew_and_keeps_nothing(war_room: WarRoom, simulator: Simulator) -> None:
    for _ in range(2):
        assert not war_room.run_test().failed
        assert [address for _, address in addresses(simulator)][:2] == [DISCOVERY[1], TOKEN[1]]
    assert war_room.integration_context == {}


OTHER_SECRET = "contoso~other~secret"
CHANGES: dict[str, Params] = {
    "secret": {"client_secret": credentials(OTHER_SECRET)},
    "tenant": {"tenant_id": "contoso.example"},
    "client id": {"client_id": credentials(OTHER_APP)},
    "allow_response": {"allow_response": True},
    "sign-in type": {"authentication_type": "Azure Managed Identities"},
    "cloud": {"azure_cloud": "US Government L4 (GCC High)"},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_setting_never_uses_a_token_got_with_another(
    run: Succeed, war_room: WarRoom, simulator: Simulator, change: str
) -> None:
    run(READ_ONE)
    old = bearer(simulator.graph_requests[0])
    addresses(simulator)
    simulator.tenant.apps[CLIENT_ID].secrets.add(OTHER_SECRET)
    simulator.tenant.apps[OTHER_APP] = App(OTHER_APP, {CLIENT_SECRET})
    war_room.params.update(CHANGES[change])
    simulator.tenant.cloud = war_room.params["azure_cloud"]
    run(READ_ONE)
    assert bearer(simulator.requests[-1]) != old
    assert old not in json.dumps(war_room.integration_context)
    run(READ_ONE)
    assert bearer(simulator.requests[-1]) == bearer(simulator.requests[-2])


def test_a_wrong_new_secret_is_refused_though_a_valid_token_is_stored(
    run: Succeed, error: Fail, war_room: WarRoom, simulator: Simulator
) -> None:
    run(READ_ONE)
    war_room.params["client_secret"] = credentials("contoso~wrong~secret")
    addresses(simulator)
    assert "AADSTS7000215" in error(READ_ONE)
    assert addresses(simulator) == [DISCOVERY, TOKEN]


def test_a_command_without_need_of_graph_makes_no_request(run: Succeed, simulator: Simulator) -> None:
    run("!azure-risky-users-auth-reset")
    assert simulator.requests == []


# Certificates


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    return Certificate()


def use_certificate(war_room: WarRoom, thumbprint: str, key: str) -> None:
    war_room.params["client_secret"] = credentials("")
    war_room.params["creds_certificate"] = {"identifier": thumbprint, "password": key}


def test_a_certificate_signs_in_with_a_key_whose_line_breaks_became_spaces(
    run: Succeed, war_room: WarRoom, simulator: Simulator, certificate: Certificate
) -> None:
    thumbprint = certificate.thumbprint(hashes.SHA1())
    simulator.tenant.apps[CLIENT_ID].certificates[thumbprint.lower()] = certificate.pem
    use_certificate(war_room, thumbprint, certificate.private_key.replace("\n", " "))
    run(READ_ONE)
    assert set(simulator.login_requests[1].form) == {
        "client_id",
        "grant_type",
        "client_info",
        "scope",
        "client_assertion",
        "client_assertion_type",
    }
    assert addresses(simulator) == [DISCOVERY, TOKEN, LIST_REQUEST]
    assert certificate.private_key[40:80] not in json.dumps(war_room.integration_context)


def test_a_certificate_that_the_application_does_not_have_is_refused_by_code_and_with_advice(
    error: Fail, war_room: WarRoom, certificate: Certificate
) -> None:
    thumbprint = certificate.thumbprint(hashes.SHA1()).lower()
    use_certificate(war_room, thumbprint, certificate.private_key)
    assert error(READ_ONE) == (
        f"{FAILED}Sign-in failed. AADSTS700027: Client assertion failed signature validation. "
        f"KeyError: '{thumbprint}'. "
        "The certificate is not one of the app registration's, or the private key does not belong to it."
    )


def test_a_secret_signs_in_beside_a_key_that_was_left_without_its_thumbprint(
    run: Succeed, war_room: WarRoom, simulator: Simulator
) -> None:
    war_room.params["creds_certificate"] = {"identifier": "", "password": "no key"}
    run(READ_ONE)
    assert simulator.login_requests[1].form["client_secret"] == CLIENT_SECRET


UNUSABLE_KEYS = {
    "no PEM": "garbage",
    "garbage in PEM": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    "elliptic curve": private_pem(ec.generate_private_key(ec.SECP256R1())),
    "encrypted": private_pem(
        ec.generate_private_key(ec.SECP256R1()), serialization.BestAvailableEncryption(b"contoso")
    ),
    "not ASCII": "ключ",
}


@pytest.mark.parametrize("key", UNUSABLE_KEYS.values(), ids=UNUSABLE_KEYS)
def test_a_key_that_cannot_sign_is_refused_in_the_words_of_the_settings_before_any_request(
    error: Fail, war_room: WarRoom, simulator: Simulator, key: str
) -> None:
    use_certificate(war_room, "0" * 40, key)
    assert error(READ_ONE) == (
        f"{FAILED}Private Key cannot be used. It has to be an RSA key in PEM form without a passphrase."
    )
    assert simulator.requests == []


# Device code


DEVICE_CODE_REQUEST = ("POST", f"{LOGIN}/organizations/oauth2/v2.0/devicecode")
ANY_DISCOVERY = ("GET", f"{LOGIN}/organizations/v2.0/.well-known/openid-configuration")
ANY_TOKEN = ("POST", f"{LOGIN}/organizations/oauth2/v2.0/token")
READ_SCOPE = f"{' '.join(READ_SCOPES)} offline_access openid profile"
WRITE_SCOPE = f"{GRAPH}/IdentityRiskyUser.ReadWrite.All {GRAPH}/IdentityRiskyServicePrincipal.ReadWrite.All"


@pytest.mark.parametrize("client_id", [CLIENT_ID, XSOAR_CLIENT_ID])
def test_device_code_signs_in_in_two_commands_and_asks_only_for_what_reading_needs(
    run: Succeed, war_room: WarRoom, simulator: Simulator, client_id: str
) -> None:
    use_device_code(war_room, client_id=credentials(client_id))
    entry = only_entry(run("!azure-risky-users-auth-start"))
    code = user_code(simulator)
    assert entry["HumanReadable"] == (
        "### Authorization instructions\n"
        "1. To sign in, use a web browser to open the page https://microsoft.com/devicelogin "
        f"and enter the code **{code}** to authenticate.\n"
        "2. Run the !azure-risky-users-auth-complete command in the War Room."
    )
    form = simulator.requests[-1].form
    assert (form["client_id"], sorted(form["scope"].split())) == (
        client_id,
        sorted(READ_SCOPE.split()),
    )
    assert addresses(simulator) == [ANY_DISCOVERY, DEVICE_CODE_REQUEST]

    simulator.entra.approve(code)
    entry = only_entry(run("!azure-risky-users-auth-complete"))
    assert entry["Contents"] == "Authorization completed successfully."
    assert addresses(simulator) == [ANY_DISCOVERY, ANY_TOKEN]

    entry = only_entry(run("!azure-risky-users-auth-test"))
    assert entry["HumanReadable"].startswith("Success!")
    assert simulator.login_requests == []


def test_write_permissions_are_asked_for_only_where_the_instance_allows_them(
    run: Succeed, war_room: WarRoom, simulator: Simulator
) -> None:
    use_device_code(war_room, allow_response=True)
    run("!azure-risky-users-auth-start")
    scopes = f"{READ_SCOPE} {WRITE_SCOPE}"
    assert sorted(simulator.requests[-1].form["scope"].split()) == sorted(scopes.split())


COMPLETE = "!azure-risky-users-auth-complete"
COMPLETE_FAILED = "Failed to execute azure-risky-users-auth-complete. "


def test_four_ways_not_to_be_signed_in_yet_are_told_apart(
    run: Succeed, error: Fail, war_room: WarRoom, simulator: Simulator
) -> None:
    use_device_code(war_room)
    assert error(COMPLETE) == f"{COMPLETE_FAILED}No sign-in has been started. {SIGN_IN_ANEW}"
    run("!azure-risky-users-auth-start")
    assert error(COMPLETE) == (
        f"{COMPLETE_FAILED}The sign-in is not finished yet. Enter the code on the page that "
        "!azure-risky-users-auth-start named, then run !azure-risky-users-auth-complete again."
    )
    simulator.entra.decline(user_code(simulator))
    assert error(COMPLETE) == (
        f"{COMPLETE_FAILED}Sign-in failed. AADSTS65004: The user declined to consent to access the app. "
        f"The sign-in was declined in the browser. {SIGN_IN_ANEW}"
    )
    run("!azure-risky-users-auth-start")
    simulator.entra.expire(user_code(simulator))
    assert error(COMPLETE) == (
        f"{COMPLETE_FAILED}Sign-in failed. AADSTS70019: The device code has expired. Start the sign-in again. "
        f"The code has expired before the sign-in was finished. {SIGN_IN_ANEW}"
    )
    assert error(COMPLETE) == f"{COMPLETE_FAILED}No sign-in has been started. {SIGN_IN_ANEW}"


def test_each_auth_complete_asks_once_and_a_pending_code_can_still_be_approved(
    run: Succeed, error: Fail, war_room: WarRoom, simulator: Simulator
) -> None:
    use_device_code(war_room)
    run("!azure-risky-users-auth-start")
    addresses(simulator)
    error(COMPLETE)
    assert addresses(simulator) == [ANY_DISCOVERY, ANY_TOKEN]
    simulator.entra.slow_down = True
    assert error(COMPLETE) == (
        f"{COMPLETE_FAILED}The sign-in is not finished yet, and the login service asks for patience. "
        "Wait ten seconds, then run !azure-risky-users-auth-complete again."
    )
    simulator.entra.approve(user_code(simulator))
    run(COMPLETE)
    run(READ_ONE)


def test_a_command_before_any_sign_in_says_what_to_run_and_asks_nobody(
    error: Fail, war_room: WarRoom, simulator: Simulator
) -> None:
    use_device_code(war_room)
    assert error(READ_ONE) == f"{FAILED}Nobody has signed in for this instance yet. {SIGN_IN_ANEW}"
    assert simulator.requests == []


def test_an_expired_token_is_renewed_with_the_refresh_token_which_rotates(
    run: Succeed, war_room: WarRoom, simulator: Simulator
) -> None:
    use_device_code(war_room)
    simulator.entra.token_lifetime = 60
    sign_in_by_device_code(war_room, simulator)
    for _ in range(3):
        newest = list(simulator.entra.refresh_tokens)[-1]
        run(READ_ONE)
        assert simulator.login_requests[-1].form == {
            "client_id": CLIENT_ID,
            "grant_type": "refresh_token",
            "client_info": "1",
            "refresh_token": newest,
            "scope": READ_SCOPE,
        }
        assert addresses(simulator) == [ANY_DISCOVERY, ANY_TOKEN, LIST_REQUEST]
    stored = json.dumps(war_room.integration_context)
    assert [token in stored for token in simulator.entra.refresh_tokens] == [False, False, False, True]


@pytest.mark.parametrize("code", [700082, 50173, 70043, 70008])
def test_a_dead_refresh_token_says_to_sign_in_again(
    error: Fail, war_room: WarRoom, simulator: Simulator, code: int
) -> None:
    use_device_code(war_room)
    simulator.entra.token_lifetime = 60
    sign_in_by_device_code(war_room, simulator)
    simulator.entra.kill_refresh_tokens(code)
    assert error(READ_ONE) == (
        f"{FAILED}Sign-in failed. AADSTS{code}: {ERRORS[code].text} "
        f"The stored sign-in has expired or was revoked. The sign-in has ended. {SIGN_IN_ANEW}"
    )
    simulator.entra.token_lifetime = 3599
    sign_in_by_device_code(war_room, simulator)
    assert not war_room.run(READ_ONE).failed


def test_reset_leaves_nothing_behind(run: Succeed, error: Fail, war_room: WarRoom, simulator: Simulator) -> None:
    use_device_code(war_room)
    sign_in_by_device_code(war_room, simulator)
    run("!azure-risky-users-auth-start")
    war_room.integration_context.update(LEFTOVERS)
    entry = only_entry(run("!azure-risky-users-auth-reset"))
    assert entry["Contents"] == (
        "Authorization was reset successfully. Run !azure-risky-users-auth-start to start the authentication process."
    )
    assert set(war_room.integration_context) == {"sign_in_id"}
    assert error(READ_ONE) == f"{FAILED}Nobody has signed in for this instance yet. {SIGN_IN_ANEW}"
    assert error(COMPLETE) == f"{COMPLETE_FAILED}No sign-in has been started. {SIGN_IN_ANEW}"


@pytest.mark.parametrize("end", ["decline", "expire"])
def test_a_second_sign_in_that_fails_keeps_the_first(
    run: Succeed, error: Fail, war_room: WarRoom, simulator: Simulator, end: str
) -> None:
    use_device_code(war_room)
    sign_in_by_device_code(war_room, simulator)
    run("!azure-risky-users-auth-start")
    run(READ_ONE)
    getattr(simulator.entra, end)(user_code(simulator))
    error(COMPLETE)
    addresses(simulator)
    run(READ_ONE)
    assert addresses(simulator) == [LIST_REQUEST]


def test_a_second_sign_in_that_succeeds_forgets_the_first(war_room: WarRoom, simulator: Simulator) -> None:
    use_device_code(war_room)
    sign_in_by_device_code(war_room, simulator)
    simulator.tenant.signed_in_user = "00000000-0000-0000-0000-00000000a11b"
    sign_in_by_device_code(war_room, simulator)
    stored = json.dumps(war_room.integration_context)
    assert [token in stored for token in simulator.entra.refresh_tokens] == [False, True]


def test_an_application_without_public_client_flows_is_told_so(
    run: Succeed, error: Fail, war_room: WarRoom, simulator: Simulator
) -> None:
    simulator.tenant.apps[CLIENT_ID].public_client = False
    use_device_code(war_room)
    run("!azure-risky-users-auth-start")
    simulator.entra.approve(user_code(simulator))
    assert error(COMPLETE) == (
        f"{COMPLETE_FAILED}Sign-in failed. AADSTS7000218: {ERRORS[7000218].text} "
        f"For device code, allow public client flows in the app registration (Authentication). {SIGN_IN_ANEW}"
    )


def test_the_test_button_explains_device_code_and_touches_no_context(war_room: WarRoom, simulator: Simulator) -> None:
    use_device_code(war_room)
    sign_in_by_device_code(war_room, simulator)
    before = dict(war_room.integration_context)
    entry = only_entry(war_room.run_test())
    assert entry["Contents"] == (
        "Failed to execute test-module. The Test button cannot test a Device Code sign-in, which the platform keeps "
        "from it. In the War Room, run !azure-risky-users-auth-start, follow its instructions, "
        "run !azure-risky-users-auth-complete, then !azure-risky-users-auth-test."
    )
    assert war_room.integration_context == before
    assert simulator.requests == []


@pytest.mark.parametrize("use", [use_managed_identity, lambda _: None], ids=["managed identity", "secret"])
@pytest.mark.parametrize("command", ["azure-risky-users-auth-start", "azure-risky-users-auth-complete"])
def test_device_codes_commands_are_refused_under_another_sign_in_and_destroy_nothing(
    run: Succeed,
    error: Fail,
    war_room: WarRoom,
    simulator: Simulator,
    use: Callable[[WarRoom], None],
    command: str,
) -> None:
    use(war_room)
    run(READ_ONE)
    addresses(simulator)
    before, version = dict(war_room.integration_context), war_room.context_version
    assert error(f"!{command}") == (
        f"Failed to execute {command}. This instance signs in with {war_room.params['authentication_type']}, which "
        "needs no !azure-risky-users-auth-start or !azure-risky-users-auth-complete. Nothing was changed."
    )
    assert (war_room.integration_context, war_room.context_version) == (before, version)
    assert simulator.requests == []


# Managed identity


@pytest.mark.parametrize(
    ("client_id", "selector"), [("", {}), (USER_ASSIGNED, {"client_id": USER_ASSIGNED})], ids=["system", "user"]
)
def test_a_managed_identity_asks_the_machine_and_nobody_else(
    run: Succeed, war_room: WarRoom, simulator: Simulator, client_id: str, selector: dict[str, str]
) -> None:
    use_managed_identity(war_room, client_id)
    run(READ_ONE)
    (request,) = simulator.identity_requests
    assert request.query == {"api-version": "2018-02-01", "resource": GRAPH, **selector}
    assert request.headers["Metadata"] == "true"
    assert addresses(simulator) == [IDENTITY, LIST_REQUEST]
    run(READ_ONE)
    assert addresses(simulator) == [LIST_REQUEST]


def test_a_managed_identity_of_app_service_is_found_by_its_variables(
    run: Succeed, war_room: WarRoom, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", APP_SERVICE_ENDPOINT)
    monkeypatch.setenv("IDENTITY_HEADER", APP_SERVICE_HEADER)
    use_managed_identity(war_room)
    run(READ_ONE)
    assert addresses(simulator) == [("GET", APP_SERVICE_ENDPOINT), LIST_REQUEST]


def test_a_managed_identity_is_never_asked_through_a_proxy_and_graph_is(
    run: Succeed, war_room: WarRoom, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_proxy(monkeypatch, "http://proxy.contoso.example:8080")
    use_managed_identity(war_room, proxy=True)
    run(READ_ONE)
    assert [request.headers.get("X-Loopback-Proxy") for request in simulator.requests] == [
        None,
        "http://proxy.contoso.example:8080",
    ]


def test_a_machine_without_a_managed_identity_says_so_within_seconds(
    error: Fail, war_room: WarRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:9")
    war_room.simulator = None
    use_managed_identity(war_room)
    started = time.monotonic()
    assert error(READ_ONE) == (
        f"{FAILED}No managed identity answered. This sign-in type works only where the integration runs on an Azure "
        "resource that has a managed identity (ConnectionError)."
    )
    assert time.monotonic() - started < 2
    assert aru.IDENTITY_TIMEOUT[0] <= 5


@pytest.mark.parametrize("status", [200, 404])
def test_the_metadata_service_of_another_cloud_is_no_managed_identity(
    error: Fail, war_room: WarRoom, simulator: Simulator, status: int
) -> None:
    simulator.fail_next(status, face="identity", body="<html>Not Found</html>")
    use_managed_identity(war_room)
    assert error(READ_ONE) == (
        f"{FAILED}No managed identity answered. This sign-in type works only where the integration runs on an Azure "
        "resource that has a managed identity (JSONDecodeError)."
    )


def test_an_identity_that_the_machine_does_not_have_is_told_so(error: Fail, war_room: WarRoom) -> None:
    use_managed_identity(war_room, "00000000-0000-0000-0000-0000000001d9")
    assert error(READ_ONE) == (
        f"{FAILED}Sign-in failed. Identity not found. "
        "Check that this managed identity is assigned to the machine of the integration."
    )


# What is said when the login service refuses or is not there


# https://learn.microsoft.com/entra/identity-platform/reference-error-codes
CODES = (
    *(7000215, 7000222, 7000218, 700027, 700024, 700016, 7000112, 70001, 90002, 900021, 90038, 900382, 65001, 90094),
    *(500011, 650057, 50001, 70008, 700082, 70043, 50173, 50076, 50079, 53003, 53000, 530032, 50034, 50057, 50105),
    *(50196, 90055, 90033, 50033, 90006),
)
TRACE = "Trace ID: 00000000-0000-0000-0000-00000000007d\r\nCorrelation ID: 0\r\nTimestamp: 2026-11-20 12:00:00Z"


def error_of_refusal(error: Fail, simulator: Simulator, description: str) -> str:
    """The error of a command whose token request is refused in these words."""
    simulator.fail_next(401, face="login", after=1, body={"error": "invalid_client", "error_description": description})
    return error(READ_ONE)


@pytest.mark.parametrize("code", CODES)
def test_a_refusal_keeps_its_code_and_says_what_to_do(error: Fail, simulator: Simulator, code: int) -> None:
    message = error_of_refusal(error, simulator, f"AADSTS{code}: It is like that.\r\n{TRACE}")
    start = f"{FAILED}Sign-in failed. AADSTS{code}: It is like that. "
    assert message.startswith(start)
    assert len(message) > len(start) + 20


@pytest.mark.parametrize("line_break", ["\r\n", " "])
def test_a_refusal_is_shown_without_the_noise_of_its_trace(error: Fail, simulator: Simulator, line_break: str) -> None:
    description = f"AADSTS7000222: It is like that.\r\n{TRACE}".replace("\r\n", line_break)
    assert error_of_refusal(error, simulator, description) == (
        f"{FAILED}Sign-in failed. AADSTS7000222: It is like that. "
        "The client secret has expired. Create a new one in the app registration and enter its Value."
    )


def test_a_refusal_without_a_known_code_is_shown_as_it_is(error: Fail, simulator: Simulator) -> None:
    simulator.fail_next(400, face="login", after=1, body={"error": "invalid_scope"})
    assert error(READ_ONE) == f"{FAILED}Sign-in failed. invalid_scope."


def test_an_unknown_tenant_is_named_with_its_code(error: Fail, war_room: WarRoom, simulator: Simulator) -> None:
    war_room.params["tenant_id"] = "fabrikam.example"
    assert error(READ_ONE) == (
        f"{FAILED}Sign-in failed. AADSTS90002: {ERRORS[90002].text} Tenant 'fabrikam.example'. "
        "The tenant was not found. Check Tenant ID."
    )
    assert addresses(simulator) == [(DISCOVERY[0], DISCOVERY[1].replace(TENANT_ID, "fabrikam.example"))]


@pytest.mark.parametrize("after", [0, 1], ids=["discovery", "token"])
def test_a_login_service_that_is_down_is_asked_again_and_then_named(
    error: Fail, simulator: Simulator, no_waiting: list[float], after: int
) -> None:
    simulator.fail_next(503, face="login", after=after, times=99)
    assert error(READ_ONE) == (
        f"{FAILED}Sign-in failed. The login service is out of order (HTTP Error: 503). Try again later."
    )
    assert len(no_waiting) == 6
    assert no_waiting == sorted(no_waiting)
    assert sum(no_waiting) < 120


def test_a_login_service_that_was_down_for_a_moment_goes_unnoticed(
    run: Succeed, simulator: Simulator, no_waiting: list[float]
) -> None:
    simulator.fail_next(503, face="login", times=2)
    simulator.fail_next(503, face="login", after=1)
    run(READ_ONE)
    assert len(no_waiting) == 3


PORTAL = "<html><body>Please sign in to the guest network</body></html>"
STRANGE_ANSWERS = {
    "HTML": PORTAL,
    "nothing": "",
    "half of JSON": '{"token_type": "Bearer", "access_to',
    "a list": "[]",
    "null": "null",
    "an object of something else": '{"welcome": true}',
}


@pytest.mark.parametrize("status", [200, 203])
@pytest.mark.parametrize("body", STRANGE_ANSWERS.values(), ids=STRANGE_ANSWERS)
def test_a_captive_portal_in_place_of_discovery_is_recognised(
    error: Fail, simulator: Simulator, body: str, status: int
) -> None:
    simulator.fail_next(status, face="login", body=body)
    assert error(READ_ONE) == f"{FAILED}Sign-in failed. {NOT_THE_LOGIN_SERVICE}"


@pytest.mark.parametrize("body", list(STRANGE_ANSWERS.values())[:-1], ids=list(STRANGE_ANSWERS)[:-1])
def test_a_captive_portal_in_place_of_a_token_is_recognised(error: Fail, simulator: Simulator, body: str) -> None:
    simulator.fail_next(200, face="login", after=1, body=body)
    assert error(READ_ONE) == f"{FAILED}Sign-in failed. {NOT_THE_LOGIN_SERVICE}"


@pytest.mark.parametrize("token", ["a\nX: y", "\u00e9", "", None, 5, {"a": 1}])
def test_a_token_that_no_header_can_carry_is_neither_sent_nor_shown(
    error: Fail, simulator: Simulator, token: Any
) -> None:
    answer = {"token_type": "Bearer", "expires_in": 3599, "access_token": token}
    simulator.fail_next(200, face="login", after=1, body=json.dumps(answer))
    assert error(READ_ONE).startswith(f"{FAILED}Sign-in failed. ")
    assert simulator.graph_requests == []


@pytest.mark.parametrize("missing", ["refresh_token", "id_token", "client_info"])
def test_a_sign_in_that_cannot_last_does_not_replace_one_that_can(
    run: Succeed, error: Fail, war_room: WarRoom, simulator: Simulator, missing: str
) -> None:
    use_device_code(war_room)
    sign_in_by_device_code(war_room, simulator)
    before = dict(war_room.integration_context)
    run("!azure-risky-users-auth-start")
    answer = {"token_type": "Bearer", "access_token": "x", "expires_in": 3599, "scope": "a b", "refresh_token": "y"}
    answer.pop(missing, None)
    simulator.fail_next(200, face="login", after=1, body=json.dumps(answer))
    assert error("!azure-risky-users-auth-complete").endswith(NOT_THE_LOGIN_SERVICE)
    assert war_room.integration_context["token_cache"] == before["token_cache"]
    run(READ_ONE)


def test_a_captive_portal_in_place_of_a_device_code_is_recognised(
    error: Fail, war_room: WarRoom, simulator: Simulator
) -> None:
    use_device_code(war_room)
    simulator.fail_next(200, face="login", after=1, body=PORTAL)
    assert error("!azure-risky-users-auth-start") == (
        f"Failed to execute azure-risky-users-auth-start. Sign-in failed. {NOT_THE_LOGIN_SERVICE}"
    )


@pytest.mark.parametrize("after", [0, 1], ids=["discovery", "token"])
def test_a_login_host_that_redirects_is_not_followed(error: Fail, simulator: Simulator, after: int) -> None:
    simulator.fail_next(302, face="login", after=after, location="https://fabrikam.example/")
    assert error(READ_ONE) == (
        f"{FAILED}Sign-in failed. login.microsoftonline.com was not reached: it answered with a redirect, which is "
        "not followed. A sign-in page of the network may stand between (TooManyRedirects)."
    )
    assert {request.host for request in simulator.requests} == {LOGIN_HOST}


@pytest.mark.parametrize(
    ("how", "meaning"),
    [
        (
            {"drop": True},
            "the connection failed or there was no answer in time. Check name resolution, firewall and proxy settings "
            "(ConnectionError)",
        ),
        ({"truncate": True}, "its answer broke off, twice (ChunkedEncodingError)"),
    ],
)
def test_a_login_host_that_does_not_answer_is_named(
    error: Fail, simulator: Simulator, no_waiting: list[float], how: dict[str, bool], meaning: str
) -> None:
    simulator.fail_next(face="login", times=99, **how)
    assert error(READ_ONE) == f"{FAILED}Sign-in failed. login.microsoftonline.com was not reached: {meaning}."
    assert sum(no_waiting) < 120


# Clouds


@pytest.mark.parametrize("cloud", CLOUDS)
def test_every_request_of_an_instance_stays_in_its_cloud(war_room: WarRoom, simulator: Simulator, cloud: str) -> None:
    simulator.tenant.cloud = cloud
    hosts = CLOUDS[cloud]
    war_room.params["azure_cloud"] = cloud
    assert not war_room.run(f"{LIST} limit=1000").failed
    assert [request.host for request in simulator.requests] == [hosts.login, hosts.login, hosts.graph]
    assert simulator.requests[1].form["scope"] == f"https://{hosts.graph}/.default"
    simulator.requests.clear()

    use_device_code(war_room, azure_cloud=cloud)
    sign_in_by_device_code(war_room, simulator)
    assert not war_room.run(READ_ONE).failed
    assert {request.host for request in simulator.requests} == {hosts.graph}
    simulator.requests.clear()

    use_managed_identity(war_room, azure_cloud=cloud)
    assert not war_room.run(READ_ONE).failed
    assert [request.host for request in simulator.requests] == ["169.254.169.254", hosts.graph]
    assert simulator.requests[0].query["resource"] == f"https://{hosts.graph}"


@pytest.mark.parametrize(
    "host",
    ["https://login.contoso.example", "https://login.microsoftonline.us", "https://login.microsoftonline.com:444"],
)
def test_the_secret_goes_to_no_host_that_a_discovery_answer_names(error: Fail, simulator: Simulator, host: str) -> None:
    endpoints = dict.fromkeys(("authorization_endpoint", "token_endpoint"), f"{host}/{TENANT_ID}/oauth2/v2.0/x")
    simulator.fail_next(200, face="login", body={**endpoints, "issuer": f"{host}/{TENANT_ID}/v2.0"})
    name = host.removeprefix("https://").partition(":")[0]
    assert error(READ_ONE) == (
        f"{FAILED}Sign-in failed. {name} was not reached: it is no host of the instance's cloud. Nothing was sent "
        "(InvalidURL)."
    )
    assert addresses(simulator) == [DISCOVERY]


def test_a_token_too_short_lived_to_be_stored_serves_its_whole_command(run: Succeed, simulator: Simulator) -> None:
    simulator.entra.token_lifetime = 200
    run("!azure-risky-users-auth-test")
    assert [request for request in addresses(simulator) if request in (DISCOVERY, TOKEN)] == [DISCOVERY, TOKEN]
    run(READ_ONE)
    assert addresses(simulator) == [DISCOVERY, TOKEN, LIST_REQUEST]
