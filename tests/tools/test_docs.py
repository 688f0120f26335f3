"""The documentation says what the manifest and real runs say, and its links lead somewhere."""

import re
from pathlib import Path

import pytest

from helpers import text_of
from tools import docs, picture
from tools.docs import PAGES, README, REFERENCE, Page
from warroom.xsoar.commandline import parse
from warroom.xsoar.integration import MANIFEST, PROJECT
from warroom.xsoar.manifest import Manifest

CALL = re.compile(r"^\s*(?:warroom> )?(!azure-[^\n]*)$|`([^`\n]*!azure-[^`\n]*)`", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
COMMANDS = Manifest.read(MANIFEST).commands


def calls_in(text: str) -> list[str]:
    """Every call of a command, in a block of code or in a line."""
    found = [block or inline for block, inline in CALL.findall(text)]
    return [re.sub(r".*'(!azure-[^']*)'.*", r"\1", call) for call in found]


def anchors(text: str) -> set[str]:
    """What a link may name after `#`, as GitHub makes it of the headings."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().replace(" ", "-").lower() for heading in headings}


# What is generated


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path.name)
def test_the_generated_parts_are_what_manifest_and_runs_give_now(page: Page) -> None:
    assert page.renewed(docs.read_manifest()) == text_of(page.path), "make docs renews it"


@pytest.mark.parametrize("marker", ["<!-- parameters: written by make docs -->", "<!-- end of commands -->"])
def test_a_page_without_one_of_its_markers_is_not_renewed(marker: str, tmp_path: Path) -> None:
    copy = tmp_path / "commands.md"
    copy.write_text(text_of(REFERENCE).replace(marker, ""), encoding="utf-8")
    (parts,) = [page.parts for page in PAGES if page.path == REFERENCE]
    with pytest.raises(ValueError, match=f"^There is no {marker}$"):
        Page(copy, parts).renewed(docs.read_manifest())


def test_a_command_without_an_example_is_named() -> None:
    manifest = {"script": {"commands": [{"name": "azure-new", "description": "Does something new."}]}}
    with pytest.raises(ValueError, match=r"^tools/docs\.py has no example of azure-new$"):
        docs.command_sections(manifest)


def test_no_example_shows_a_token_or_a_secret() -> None:
    assert re.findall(r"eyJ[\w-]+\.|Bearer |client_secret=|refresh_token", text_of(REFERENCE)) == []


def test_every_example_but_the_refusal_that_is_meant_succeeds() -> None:
    refusals = re.findall(r"^> (Failed to execute .*)$", text_of(REFERENCE), re.MULTILINE)
    assert refusals == [
        "Failed to execute azure-risky-users-dismiss. 1 of 2 IDs were not accepted; the table tells why."
    ]


@pytest.mark.parametrize("terminal", ["dumb", "xterm-256color"])
@pytest.mark.parametrize("shown", picture.PICTURES, ids=lambda shown: shown.name)
def test_a_picture_is_what_the_war_room_shows_now_in_any_terminal(
    shown: picture.Picture, terminal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", terminal)
    assert shown.draw() == text_of(shown.path), "make picture renews it"


@pytest.mark.parametrize("shown", picture.PICTURES, ids=lambda shown: shown.name)
def test_a_picture_asks_no_other_host_for_anything(shown: picture.Picture) -> None:
    addresses = re.findall(r"""https?://[^"'\s<)]+|url\([^)]*\)""", text_of(shown.path))
    assert {re.sub(r"-\d+\)$", ")", address) for address in addresses} == {
        "http://www.w3.org/2000/svg",
        f"url(#{shown.name}-line)",
        f"url(#{shown.name}-clip-terminal)",
    }


# What is said of commands


def test_the_reference_has_a_heading_for_each_command_and_no_other() -> None:
    headings = re.findall(r"^#+ `?(azure-[\w-]+)`?\s*$", text_of(REFERENCE), re.MULTILINE)
    assert headings == list(COMMANDS)


def test_the_readme_names_each_command_in_a_line_of_its_own() -> None:
    names = re.findall(r"^\| \[`(azure-[\w-]+)`\]", text_of(README), re.MULTILINE)
    assert names == list(COMMANDS)


def test_every_call_is_one_the_manifest_takes() -> None:
    manifest, wrong = Manifest.read(MANIFEST), {}
    given_calls = calls_in(text_of(README)) + calls_in(text_of(REFERENCE))
    for call in given_calls:
        try:
            typed = parse(call)
            command = manifest.find(typed.command)
            given, _ = command.read_arguments(typed)
            if given:  # a bare command is its name
                command.complete(dict(given))
        except ValueError as problem:
            wrong[call] = str(problem)
    assert wrong == {}
    assert {parse(call).command for call in given_calls} == set(COMMANDS)


# The front page and its links


def test_the_readme_is_a_front_page() -> None:
    assert len(text_of(README).splitlines()) <= 160


def test_every_link_of_the_readme_leads_to_a_file_and_a_heading_that_exist() -> None:
    broken = []
    for link in LINK.findall(text_of(README)):
        path, _, anchor = link.partition("#")
        target = PROJECT / (path or "README.md")
        if not target.is_file() or (anchor and anchor not in anchors(text_of(target))):
            broken.append(link)
    assert broken == []


def test_the_reference_links_to_nothing_that_the_pack_does_not_ship() -> None:
    links = [link for link in LINK.findall(text_of(REFERENCE)) if not link.startswith(("https://", "#"))]
    assert links == []
