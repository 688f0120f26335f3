"""What the instance's parameters mean, and which are refused before anything is sent."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest

import AzureRiskyUsers as aru  # noqa: N813 - the module bears the name of the integration
from helpers import Params, certificate_instance, refused
from warroom.azure.server import Simulator
from warroom.azure.tenant import CLIENT_ID, CLIENT_SECRET, TENANT_ID
from warroom.xsoar.instance import credentials, with_defaults

THUMBPRINT = "00112233445566778899AABBCCDDEEFF00112233"
KEY = "-----BEGIN PRIVATE KEY-----\nAAAA\nBBBB\n-----END PRIVATE KEY-----\n"
GCC_HIGH = "US Government L4 (GCC High)"


SECRET_SETTINGS = aru.Settings(
    sign_in=aru.SignIn.CLIENT_CREDENTIALS, client_id=CLIENT_ID, tenant_id=TENANT_ID, client_secret=CLIENT_SECRET
)


def test_the_settings_are_what_the_parameters_say(instance: Params) -> None:
    assert aru.read_settings(instance) == SECRET_SETTINGS


def test_every_parameter_of_sign_in_is_read(instance: Params) -> None:
    changes = {
        "azure_cloud": GCC_HIGH,
        "allow_response": True,
        "managed_identities_client_id": credentials("00000000-0000-0000-0000-0000000001d0"),
    }
    assert aru.read_settings({**instance, **changes}) == replace(
        SECRET_SETTINGS,
        cloud=aru.Cloud("https://login.microsoftonline.us", "https://graph.microsoft.us"),
        allow_response=True,
        managed_identity_client_id="00000000-0000-0000-0000-0000000001d0",
    )


@pytest.mark.parametrize("name", ["client_id", "client_secret"])
def test_credentials_stored_as_plain_text_by_an_older_version_are_still_read(instance: Params, name: str) -> None:
    assert aru.read_settings({**instance, name: instance[name]["password"]}) == SECRET_SETTINGS


@pytest.mark.parametrize("name", ["client_id", "client_secret"])
def test_spaces_around_what_was_pasted_do_not_count(instance: Params, name: str) -> None:
    assert aru.read_settings({**instance, name: credentials(f" {instance[name]['password']}\n")}) == SECRET_SETTINGS


NEEDED_FOR_A_SECRET = "Client ID, Tenant ID, Client Secret (or Certificate Thumbprint and Private Key)"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"authentication_type": "Client Credentials"},
            f"Sign-in with Client Credentials also needs: {NEEDED_FOR_A_SECRET}.",
        ),
        (
            {"authentication_type": "Client Credentials", "client_id": credentials(CLIENT_ID), "tenant_id": " "},
            "Sign-in with Client Credentials also needs: "
            "Tenant ID, Client Secret (or Certificate Thumbprint and Private Key).",
        ),
        (
            certificate_instance(THUMBPRINT, ""),
            "Sign-in with Client Credentials also needs: Client Secret (or Certificate Thumbprint and Private Key).",
        ),
        (
            certificate_instance("", KEY),
            "Sign-in with Client Credentials also needs: Client Secret (or Certificate Thumbprint and Private Key).",
        ),
        ({"authentication_type": "Device Code"}, "Sign-in with Device Code also needs: Client ID."),
        ({}, "Sign-in with Device Code also needs: Client ID."),
    ],
)
@pytest.mark.parametrize("command", ["azure-risky-users-list", "azure-risky-users-auth-start"])
def test_all_settings_that_a_sign_in_lacks_are_named_at_once_before_any_request(
    instance: Params,
    simulator: Simulator,
    error: Callable[[str], str],
    params: Params,
    message: str,
    command: str,
) -> None:
    instance.clear()
    instance.update(with_defaults(params))
    assert error(f"!{command}") == f"Failed to execute {command}. {message}"
    assert simulator.requests == []


def test_a_managed_identity_needs_no_setting() -> None:
    params = {"authentication_type": "Azure Managed Identities"}
    assert aru.read_settings(params) == aru.Settings(sign_in=aru.SignIn.MANAGED_IDENTITY)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"authentication_type": "Password"},
            'Authentication Type "Password" is unknown. '
            "Options: Device Code, Client Credentials, Azure Managed Identities.",
        ),
        (
            {"azure_cloud": "China"},
            'Azure Cloud "China" is unknown. Options: Worldwide, US Government L4 (GCC High), US Government L5 (DoD).',
        ),
        ({"tenant_id": "contoso.example/x"}, 'Tenant ID "contoso.example/x" is neither a GUID nor a domain name.'),
        ({"tenant_id": "contoso example"}, 'Tenant ID "contoso example" is neither a GUID nor a domain name.'),
        (
            {"creds_certificate": {"identifier": THUMBPRINT, "password": KEY}},
            "Both a Client Secret and a certificate are given. Empty the one that is not to be used.",
        ),
    ],
)
def test_an_unusable_setting_is_refused_and_named(instance: Params, changes: Params, message: str) -> None:
    assert refused(aru.SettingsError, aru.read_settings, {**instance, **changes}) == message


LEFT_OVER: Params = {
    "client_secret": credentials(CLIENT_SECRET),
    "creds_certificate": {"identifier": "no thumbprint", "password": "no key"},
}


@pytest.mark.parametrize(
    ("params", "sign_in"),
    [
        ({"authentication_type": "Device Code", "client_id": credentials(CLIENT_ID)}, aru.SignIn.DEVICE_CODE),
        ({"authentication_type": "Azure Managed Identities", "tenant_id": "no tenant"}, aru.SignIn.MANAGED_IDENTITY),
    ],
)
def test_what_another_sign_in_left_behind_is_not_looked_at(params: Params, sign_in: aru.SignIn) -> None:
    assert aru.read_settings({**LEFT_OVER, **params}).sign_in is sign_in


def test_a_key_that_was_left_without_its_thumbprint_is_no_certificate(instance: Params) -> None:
    settings = aru.read_settings({**instance, "creds_certificate": {"identifier": "", "password": "no key"}})
    assert (settings.has_certificate, settings.client_credential) == (False, CLIENT_SECRET)


@pytest.mark.parametrize("given", [THUMBPRINT, THUMBPRINT.lower(), "00:11:22:33:44:55:66:77:88:99:" + THUMBPRINT[20:]])
def test_a_thumbprint_is_taken_as_windows_and_openssl_write_it(given: str) -> None:
    read = aru.read_settings(certificate_instance(given, KEY)).client_credential
    assert isinstance(read, dict)
    assert (read["thumbprint"].upper(), read["private_key"]) == (THUMBPRINT, KEY)


@pytest.mark.parametrize("given", [THUMBPRINT[:-1], THUMBPRINT + "00", "G" * 40, THUMBPRINT[:24] * 2 + THUMBPRINT[:16]])
def test_a_thumbprint_that_is_no_sha1_is_refused_without_showing_the_key(given: str) -> None:
    expected = "Certificate Thumbprint is not a SHA-1 thumbprint, which has 40 hexadecimal digits."
    assert refused(aru.SettingsError, aru.read_settings, certificate_instance(given, KEY)) == expected


@pytest.mark.parametrize(
    "given",
    [
        KEY,
        KEY.replace("\n", " "),
        KEY.replace("\n", "\r\n"),
        f"  {KEY}  ",
        KEY.rstrip(),
    ],
)
def test_a_key_keeps_or_regains_its_line_breaks(given: str) -> None:
    assert aru.read_settings(certificate_instance(THUMBPRINT, given)).private_key == KEY


def test_a_key_beside_its_certificate_regains_its_line_breaks() -> None:
    both = "-----BEGIN CERTIFICATE-----\nCCCC\n-----END CERTIFICATE-----\n" + KEY
    assert aru.pem_text(both.replace("\n", " ")) == both


def test_what_is_no_pem_is_left_as_it_is() -> None:
    assert aru.pem_text("no key at all") == "no key at all"


def test_no_secret_stands_in_the_settings_representation() -> None:
    shown = repr(aru.read_settings(certificate_instance(THUMBPRINT, KEY))) + repr(SECRET_SETTINGS)
    assert CLIENT_SECRET not in shown
    assert "AAAA" not in shown


CHANGED: dict[str, Any] = {
    "sign_in": aru.SignIn.DEVICE_CODE,
    "client_id": "00000000-0000-0000-0000-00000000c12e",
    "tenant_id": "contoso.example",
    "client_secret": "contoso~other~secret",
    "thumbprint": THUMBPRINT,
    "private_key": KEY,
    "managed_identity_client_id": "00000000-0000-0000-0000-0000000001d0",
    "cloud": aru.CLOUDS[GCC_HIGH],
    "allow_response": True,
}


def test_each_changed_setting_changes_the_fingerprint_of_stored_tokens() -> None:
    assert set(CHANGED) == {field.name for field in fields(aru.Settings)} - {"verify", "use_proxy", "fetch"}
    changed = [replace(SECRET_SETTINGS, **{name: value}) for name, value in CHANGED.items()]
    fingerprints = {settings.credentials_fingerprint for settings in [SECRET_SETTINGS, *changed]}
    assert len(fingerprints) == len(CHANGED) + 1


def test_an_update_keeps_the_sign_in_that_was_stored_before_it() -> None:
    settings = aru.Settings(sign_in=aru.SignIn.DEVICE_CODE, client_id="client", tenant_id="contoso.example")
    fingerprint = "8423f9c7cdc12368a2450cb8958f7a41617f62ee781381a8dcc7bb479671804b"
    assert settings.credentials_fingerprint == fingerprint


def test_what_does_not_sign_in_has_no_part_in_the_fingerprint() -> None:
    others = replace(SECRET_SETTINGS, verify=False, use_proxy=True, fetch=aru.read_fetch_settings({}))
    assert others.credentials_fingerprint == SECRET_SETTINGS.credentials_fingerprint


def test_the_same_settings_have_the_same_fingerprint_and_it_tells_none_of_them(instance: Params) -> None:
    fingerprint = aru.read_settings(instance).credentials_fingerprint
    assert fingerprint == SECRET_SETTINGS.credentials_fingerprint
    assert len(fingerprint) == 64
    assert not {CLIENT_SECRET, CLIENT_ID, TENANT_ID} & set(fingerprint.split())


@pytest.mark.parametrize(
    ("given", "meant"), [(True, True), ("true", True), (False, False), ("false", False), (None, False), ("", False)]
)
def test_a_check_box_may_hold_a_text(instance: Params, given: Any, meant: bool) -> None:
    assert aru.read_settings({**instance, "allow_response": given}).allow_response is meant
