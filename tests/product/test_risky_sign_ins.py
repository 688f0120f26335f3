"""The log of sign-ins: how a sign-in ended, in words."""

from typing import Any

import pytest

import AzureRiskyUsers as aru  # noqa: N813 - the module bears the name of the integration
from helpers import Row

# How a sign-in ended


def ended(code: Any, reason: Any = "Other.", access: Any = "notApplied") -> Row:
    return {"status": {"errorCode": code, "failureReason": reason}, "conditionalAccessStatus": access}


LOCKED = "Account is locked because user tried to sign in too many times with an incorrect user ID or password."
FROM_BAD_ADDRESS = "Sign-in was blocked because it came from an IP address with malicious activity."


@pytest.mark.parametrize(
    ("row", "outcome"),
    [
        (ended(0, access="success"), "Succeeded (0); Conditional Access satisfied"),
        (ended(0), "Succeeded (0); no Conditional Access applied"),
        (ended(50126), "Failed (50126): wrong user name or password; no Conditional Access applied"),
        (ended(500121, access=None), "Interrupted (500121): MFA denied, timed out or wrong"),
        (ended(53003, access="failure"), "Blocked (53003): by Conditional Access; Conditional Access not satisfied"),
        (ended(50173, access=None), "Session ended (50173): grant revoked"),
        (ended(65001, access=None), "Not set up (65001): consent missing"),
        (ended(50053, LOCKED, None), "Failed (50053): locked out after too many wrong passwords"),
        (ended(50053, FROM_BAD_ADDRESS, None), "Blocked (50053): malicious IP address, or certain risk"),
        (
            ended(50053, f"{LOCKED} Or, {FROM_BAD_ADDRESS}", None),
            "Failed (50053): locked out, or blocked for its IP address",
        ),
        (ended(50053, None, None), "Failed (50053): locked out, or blocked for its IP address"),
        (ended(99, "Something new.", "unknownFutureValue"), "Error (99): Something new."),
        (ended(99, None, None), "Error (99)"),
        (ended(99, 5, []), "Error (99): 5"),
        (ended(None), ""),
        (ended("50126"), ""),
        ({"status": None}, ""),
        ({"status": "odd"}, ""),
        ({}, ""),
    ],
)
def test_the_outcome_of_a_sign_in_is_told_in_words_with_its_number(row: Row, outcome: str) -> None:
    assert aru.sign_in_outcome(row) == outcome


def test_each_code_is_of_one_stage() -> None:
    codes = [code for meanings in aru.SIGN_IN_CODES.values() for code in meanings]
    assert sorted(aru.KNOWN_ENDS) == sorted(codes)
    assert {stage for stage in aru.SignInStage if aru.SIGN_IN_CODES.get(stage)} == set(aru.SignInStage)
