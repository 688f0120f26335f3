"""Client assertions: how an app signs in with a certificate."""

from __future__ import annotations

import base64
from typing import Any

import jwt
from cryptography.x509 import load_pem_x509_certificate

from warroom.azure.aadsts import EntraError
from warroom.azure.exchange import Json
from warroom.azure.tenant import App

# The header's name for the thumbprint: SHA-1 and SHA-256 of the certificate.
THUMBPRINTS = {"RS256": "x5t", "PS256": "x5t#S256"}
REQUIRED_CLAIMS = ["aud", "iss", "sub", "exp", "jti"]
CHECKED_CLAIMS = ("verify_exp", "verify_aud", "verify_nbf", "verify_iat")


def _thumbprint(header: Json) -> str:
    """That of the certificate an assertion names, in hex."""
    name = THUMBPRINTS[header["alg"]]
    encoded: str = header[name]
    padded = encoded.rstrip("=") + "=="  # Some clients leave the padding away.
    return base64.urlsafe_b64decode(padded).hex()


def _registered_key(app: App, thumbprint: str) -> str:
    """The PEM of a certificate. Raises: KeyError: the app has no such one."""
    for name, pem in app.certificates.items():
        digits = name.replace(":", "")
        if digits.lower() == thumbprint:
            return pem
    raise KeyError(thumbprint)


def _claims(assertion: str, pem: str, algorithm: str, token_endpoint: str) -> Json:
    """The claims of an assertion that is signed, in time and for this endpoint."""
    options: Any = dict.fromkeys(CHECKED_CLAIMS, True)
    options["require"] = REQUIRED_CLAIMS
    options["verify_signature"] = bool(pem)
    key: Any = pem
    if "BEGIN CERTIFICATE" in pem:
        certificate = load_pem_x509_certificate(pem.encode())
        key = certificate.public_key()
    return jwt.decode(
        assertion,
        key,
        algorithms=[algorithm],
        audience=token_endpoint,
        options=options,
    )


def check_assertion(assertion: str, app: App, token_endpoint: str) -> None:
    """Accept only an assertion of this app for this endpoint. Raises: EntraError."""
    try:
        header = jwt.get_unverified_header(assertion)
        pem = _registered_key(app, _thumbprint(header))
        claims = _claims(assertion, pem, header["alg"], token_endpoint)
    except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError) as error:
        raise EntraError(700024, str(error)) from error
    except (jwt.PyJWTError, KeyError, ValueError) as error:
        raise EntraError(700027, f"{type(error).__name__}: {error}") from error
    if not claims["iss"] == claims["sub"] == app.client_id:
        raise EntraError(700027, "Issuer and subject must be the client id.")
