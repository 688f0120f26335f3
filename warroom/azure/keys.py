"""The key that the sign-in service signs its tokens with."""

from __future__ import annotations

from functools import cache

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from warroom.azure.exchange import Json

KEY_ID = "contoso"


@cache
def _private_key() -> rsa.RSAPrivateKey:
    """Made when it is first needed, and kept: it takes a while."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def signed(claims: Json) -> str:
    """The claims as a token."""
    return jwt.encode(claims, _private_key(), "RS256", headers={"kid": KEY_ID})


def key_set(issuer: str) -> Json:
    """What those need who check a token's signature (a JWK set).

    issuer: whose tokens the key is for.
    """
    public_key = _private_key().public_key()
    numbers = RSAAlgorithm.to_jwk(public_key, as_dict=True)
    key = {
        "kty": "RSA",
        "use": "sig",
        "kid": KEY_ID,
        "n": numbers["n"],
        "e": numbers["e"],
        "issuer": issuer,
    }
    return {"keys": [key]}
