"""azure-identity signs in, each way that the integration does."""

from datetime import datetime, timedelta, timezone
from threading import Timer
from typing import Any

import jwt
import requests
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import (
    CertificateCredential,
    ChainedTokenCredential,
    ClientSecretCredential,
    DeviceCodeCredential,
    ManagedIdentityCredential,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from tools.judge.court import (
    SCOPE,
    Court,
    environment,
    refused,
    same,
    secret_credential,
    within,
)
from warroom.azure.entra import DEVICE_CODE, DEVICE_LOGIN
from warroom.azure.identity import APP_SERVICE, APP_SERVICE_HEADER
from warroom.azure.tenant import CLIENT_ID, PERMISSIONS, TENANT_ID

USER_ASSIGNED = "00000000-0000-0000-0000-0000000001d0"
USER_PERMISSION = "IdentityRiskyUser.Read.All"
USER_SCOPE = f"https://graph.microsoft.com/{USER_PERMISSION}"
DISCOVERY = f"/{TENANT_ID}/v2.0/.well-known/openid-configuration"
HESITATION = 0.3  # seconds
DAY = timedelta(days=1)
CAPABLE = '{"access_token": {"xms_cc": {"values": ["CP1"]}}}'


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def same_roles(token: str) -> None:
    claims = claims_of(token)
    same(claims["roles"], sorted(PERMISSIONS))


# ---- by a secret


async def by_secret(court: Court) -> None:
    """With the capability that Graph's client declares, and the endpoints discovered."""
    token = secret_credential().get_token(SCOPE, enable_cae=True)
    same_roles(token.token)
    same(court.last.form["claims"], CAPABLE)
    paths = [request.path for request in court.services.requests]
    within(DISCOVERY, paths)


async def by_wrong_secret(_court: Court) -> None:
    credential = ClientSecretCredential(TENANT_ID, CLIENT_ID, "wrong")

    async def sign_in() -> None:
        credential.get_token(SCOPE)

    error = await refused(ClientAuthenticationError, sign_in)
    within("AADSTS7000215", error.message)


# ---- by a certificate


def self_signed(key: rsa.RSAPrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An application")])
    now = datetime.now(timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
        .sign(key, hashes.SHA256())
    )


def registered(court: Court, thumbprint: Any) -> bytes:
    """A key and its certificate, as PEM. The app's registration has the certificate."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    certificate = self_signed(key)
    public = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    digest = certificate.fingerprint(thumbprint).hex()
    court.app.certificates[digest] = public.decode()
    return private + public


def sign_in_by_certificate(pem: bytes, **options: Any) -> None:
    credential = CertificateCredential(
        TENANT_ID, CLIENT_ID, certificate_data=pem, **options
    )
    token = credential.get_token(SCOPE)
    same_roles(token.token)


async def by_certificate(court: Court) -> None:
    """By its thumbprint alone, and with the whole chain."""
    pem = registered(court, hashes.SHA1())
    sign_in_by_certificate(pem)
    sign_in_by_certificate(pem, send_certificate_chain=True)


# ---- by a device code


def answer_at_browser(user_code: str, answer: str) -> None:
    form = {"code": user_code, "answer": answer}
    requests.post(DEVICE_LOGIN, data=form, timeout=10)


def device_credential(answer: str) -> DeviceCodeCredential:
    """A credential whose person takes a moment, so that the client has to poll."""

    def prompt(_uri: str, user_code: str, _expires: datetime) -> None:
        person = Timer(HESITATION, answer_at_browser, (user_code, answer))
        person.start()

    return DeviceCodeCredential(CLIENT_ID, tenant_id=TENANT_ID, prompt_callback=prompt)


async def by_device_code(court: Court) -> None:
    """A person agrees, and the second token comes by the refresh token of the first."""
    credential = device_credential("approve")
    first = credential.get_token(USER_SCOPE, enable_cae=True)
    claims = claims_of(first.token)
    within(USER_PERMISSION, claims["scp"].split())
    same(court.grants, [DEVICE_CODE, DEVICE_CODE])
    court.entra.token_lifetime = 60  # too short to be kept
    credential.get_token(SCOPE, enable_cae=True)
    same(court.last.form["grant_type"], "refresh_token")


async def by_declined_device_code(_court: Court) -> None:
    credential = device_credential("decline")

    async def sign_in() -> None:
        credential.get_token(USER_SCOPE)

    error = await refused(ClientAuthenticationError, sign_in)
    within("AADSTS65004", error.message)


# ---- by the identity of a machine


def sign_in_by_machine() -> None:
    """By the identity of the system, and by one that a user assigned."""
    for client_id in (None, USER_ASSIGNED):
        machine = ManagedIdentityCredential(client_id=client_id)
        token = machine.get_token(SCOPE)
        same_roles(token.token)


async def by_managed_identity(court: Court) -> None:
    """By that of a virtual machine, which a chain of credentials probes for first."""
    sign_in_by_machine()
    chain = ChainedTokenCredential(ManagedIdentityCredential(), secret_credential())
    token = chain.get_token(SCOPE)
    same_roles(token.token)
    last_two = court.services.identity_requests[-2:]
    headers = [each.headers.get("Metadata") for each in last_two]
    same(headers, [None, "true"])


async def by_app_service(court: Court) -> None:
    port = court.service.http_port
    variables = {
        "IDENTITY_ENDPOINT": f"http://127.0.0.1:{port}{APP_SERVICE.path}",
        "IDENTITY_HEADER": APP_SERVICE_HEADER,
    }
    with environment(variables, ()):
        sign_in_by_machine()


CHECKS = {
    "signs in by secret": by_secret,
    "is told of a wrong secret": by_wrong_secret,
    "signs in by certificate": by_certificate,
    "signs in by device code": by_device_code,
    "is told that a person declined": by_declined_device_code,
    "signs in by managed identity of a virtual machine": by_managed_identity,
    "signs in by managed identity of App Service": by_app_service,
}
