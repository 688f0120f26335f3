"""The README says what the manifest and real runs say."""

import re

import pytest

from tools import docs

README = docs.README.read_text(encoding="utf-8")


def test_the_readmes_generated_parts_are_what_manifest_and_runs_give_now() -> None:
    assert docs.renewed(README) == README, "make docs renews it"


def test_a_readme_without_its_markers_is_not_overwritten() -> None:
    with pytest.raises(ValueError, match="substring not found"):
        docs.renewed(README.replace("<!-- end of commands -->", ""))


def test_no_example_shows_a_token_or_a_secret() -> None:
    assert re.findall(r"eyJ[\w-]+\.|Bearer |client_secret=|refresh_token", README) == []


def test_every_example_but_the_refusal_that_is_meant_succeeds() -> None:
    refusals = re.findall(r"^> (Failed to execute .*)$", README, re.MULTILINE)
    assert refusals == [
        "Failed to execute azure-risky-users-dismiss. 1 of 2 IDs were not accepted; the table tells why."
    ]
