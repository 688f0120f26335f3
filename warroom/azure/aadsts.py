"""The sign-in service's errors, by the number after AADSTS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple


class ErrorKind(NamedTuple):
    """How an error is answered."""

    status: int
    error: str
    text: str


_TEXTS: Mapping[tuple[int, str], Mapping[int, str]] = {  # by HTTP status and error
    (401, "invalid_client"): {
        7000215: "Invalid client secret provided. Ensure the secret being sent in the"
        " request is the client secret value, not the client secret ID, for a secret"
        " added to the app.",
        7000222: "The provided client secret keys are expired.",
        7000218: "The request body must contain the following parameter:"
        " 'client_assertion' or 'client_secret'.",
        700025: "Client is public so neither 'client_assertion' nor 'client_secret'"
        " should be presented.",
        700027: "Client assertion failed signature validation.",
        700024: "Client assertion is not within its valid time range.",
    },
    (400, "unauthorized_client"): {
        700016: "Application was not found in the directory.",
        7000112: "Application is disabled.",
    },
    (400, "invalid_request"): {
        90002: "Tenant not found. Check to make sure you have the correct tenant ID and"
        " are signing into the correct cloud.",
        9001023: "The grant type is not supported over the /common or /organizations"
        " endpoints.",
        900144: "The request body lacks a parameter.",
        9000410: "Malformed JSON.",
        9000411: "The request is not properly formatted: a parameter is unknown or"
        " repeated.",
    },
    (400, "unsupported_grant_type"): {
        70003: "The app requested an unsupported grant type.",
    },
    (400, "invalid_scope"): {
        70011: "The provided request must include a 'scope' input parameter that is"
        " valid.",
    },
    (400, "invalid_resource"): {
        500011: "The resource principal was not found in the tenant.",
    },
    (400, "authorization_declined"): {
        65004: "The user declined to consent to access the app.",
    },
    (400, "authorization_pending"): {
        70016: "OAuth 2.0 device flow error. Authorization is pending. Continue"
        " polling.",
    },
    (400, "bad_verification_code"): {
        70018: "Bad or unknown device code.",
    },
    (400, "expired_token"): {
        70019: "The device code has expired. Start the sign-in again.",
    },
    (400, "invalid_grant"): {
        65001: "The user or administrator has not consented to use the application.",
        90094: "An administrator must grant the application's permissions.",
        54005: "OAuth2 Authorization code was already redeemed.",
        70000: "The provided refresh token is not valid.",
        70008: "The refresh token has expired.",
        70043: "The refresh token has expired or is invalid due to sign-in frequency"
        " checks.",
        700082: "The refresh token has expired due to inactivity.",
        50173: "The provided grant has expired due to it being revoked, a fresh token"
        " is needed.",
        50034: "The user account does not exist in the directory.",
        50057: "The user account is disabled.",
        50105: "The signed in user is not assigned to a role for the application.",
        50196: "A client loop was detected: too many identical requests.",
    },
    (400, "interaction_required"): {
        50076: "You must use multi-factor authentication.",
        50079: "You must enroll in multi-factor authentication.",
    },
    (400, "access_denied"): {
        53003: "Access has been blocked by Conditional Access policies.",
    },
    (503, "temporarily_unavailable"): {
        90033: "A transient error has occurred. Please try again.",
    },
}
ERRORS: Mapping[int, ErrorKind] = {
    code: ErrorKind(status, error, text)
    for (status, error), texts in _TEXTS.items()
    for code, text in texts.items()
}


@dataclass(eq=False)
class EntraError(Exception):
    """Ends a request with an AADSTS error.

    detail: follows its text. error: stands in place of the usual one.
    """

    code: int
    detail: str = ""
    error: str = ""
