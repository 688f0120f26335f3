"""What `make dist` builds, and what it refuses to build."""

import json
import re
import shutil
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from helpers import Row, text_of
from tools import image, validate
from tools.package import NAME, ROOT, UNIFIED_NAME, BuildError, build, shipped_script

MANIFEST = f"{NAME}.yml"
IMAGE = f"{NAME}_image.png"
DESCRIPTION = f"{NAME}_description.md"
METADATA = "pack/pack_metadata.json"
VERSION = str(json.loads(text_of(ROOT / METADATA))["currentVersion"])
NOTES = f"pack/ReleaseNotes/{VERSION.replace('.', '_')}.md"

Change = Callable[[str, str, str], None]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what a build is made of."""
    for file in (f"{NAME}.py", MANIFEST, IMAGE, DESCRIPTION):
        shutil.copy(ROOT / file, tmp_path / file)
    shutil.copytree(ROOT / "pack", tmp_path / "pack")
    return tmp_path


@pytest.fixture
def change(project: Path) -> Change:
    """Replace a text that stands in a file of the copy."""

    def replace(file: str, old: str, new: str) -> None:
        text = text_of(project / file)
        assert old in text
        (project / file).write_text(text.replace(old, new, 1), encoding="utf-8")

    return replace


def refusal(project: Path) -> str:
    """Why the build is refused; nothing may have been written."""
    with pytest.raises(BuildError) as caught:
        build(project, project / "dist")
    assert not (project / "dist").exists()
    return str(caught.value)


def line_with(project: Path, file: str, text: str) -> int:
    lines = text_of(project / file).splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def manifest_of(project: Path) -> Row:
    manifest: Row = yaml.safe_load(text_of(project / MANIFEST))
    return manifest


def unified(project: Path) -> Row:
    value: Row = yaml.safe_load(text_of(build(project, project / "dist")[0]))
    return value


# What is built


def test_two_builds_are_byte_for_byte_the_same(project: Path) -> None:
    first = [path.read_bytes() for path in build(project, project / "first")]
    for file in project.rglob("*"):
        if file.is_file():
            file.touch()
    assert [path.read_bytes() for path in build(project, project / "second")] == first


def test_the_unified_file_is_the_manifest_with_script_image_and_description(project: Path) -> None:
    manifest = manifest_of(project)
    manifest["script"]["script"] = shipped_script(text_of(project / f"{NAME}.py"))
    manifest["detaileddescription"] = text_of(project / DESCRIPTION)
    built = unified(project)
    assert built.pop("image").startswith("data:image/png;base64,iVBOR")
    assert built == manifest


def test_the_shipped_script_differs_from_the_source_only_in_the_platforms_imports(project: Path) -> None:
    source = text_of(project / f"{NAME}.py").splitlines()
    shipped = unified(project)["script"]["script"].splitlines()
    changed = [(old.split("  #")[0], new) for old, new in zip(source, shipped, strict=True) if old != new]
    assert changed == [("import demistomock as demisto", ""), ("from CommonServerPython import *", "")]


def test_only_whole_lines_of_the_platforms_imports_are_taken_out() -> None:
    kept = "from CommonServerPython import CommandResults\nx = 'import demistomock as demisto'\n"
    assert shipped_script(f"from CommonServerUserPython import *  # noqa\n{kept}") == f"\n{kept}"


def test_the_pack_holds_the_unified_file_and_all_its_own_files(project: Path) -> None:
    file, pack = build(project, project / "dist")
    with zipfile.ZipFile(pack) as archive:
        names = set(archive.namelist())
        assert archive.read(f"Integrations/{UNIFIED_NAME}") == file.read_bytes()
        assert archive.read("README.md") == (project / "pack/README.md").read_bytes()
    own = {path.relative_to(project / "pack").as_posix() for path in (project / "pack").rglob("*") if path.is_file()}
    expected = {name for name in own if not name.endswith("_README.md")} - {".secrets-ignore"}
    assert ".pack-ignore" in expected
    assert names == expected | {"metadata.json", f"Integrations/{UNIFIED_NAME}"}


def test_the_packs_metadata_lists_what_it_holds(project: Path) -> None:
    with zipfile.ZipFile(build(project, project / "dist")[1]) as archive:
        metadata = json.loads(archive.read("metadata.json"))
    manifest = manifest_of(project)
    assert metadata["currentVersion"] == VERSION
    assert metadata["serverMinVersion"] == manifest["fromversion"]
    assert metadata["contentItems"]["integration"] == [
        {"id": NAME, "name": manifest["display"], "description": manifest["description"]}
    ]
    assert len(metadata["contentItems"].get("playbook", [])) == len(list((project / "pack/Playbooks").glob("*.yml")))


# What is refused: every refusal names file and line.


def test_a_manifest_that_is_not_yaml_is_refused(project: Path, change: Change) -> None:
    change(MANIFEST, "category: ", "category: : ")
    line = line_with(project, MANIFEST, "category: : ")
    assert refusal(project).startswith(f"{MANIFEST}:{line}: mapping values are not allowed ")


def test_a_manifest_without_a_key_it_needs_is_refused(project: Path, change: Change) -> None:
    change(MANIFEST, "  dockerimage: ", "  dockerimages: ")
    line = line_with(project, MANIFEST, "script:")
    assert refusal(project) == f"{MANIFEST}:{line}: dockerimage is missing"


def test_a_command_without_a_name_is_refused(project: Path, change: Change) -> None:
    change(MANIFEST, "- name: azure-risky-user-get\n    description", "- description")
    line = line_with(project, MANIFEST, "  - description: Shows one user's risk.")
    assert refusal(project) == f"{MANIFEST}:{line}: a command without a name"


def test_code_in_the_manifest_is_refused(project: Path, change: Change) -> None:
    change(MANIFEST, "  script: '-'", "  script: pass")
    line = line_with(project, MANIFEST, "  script: pass")
    assert refusal(project) == f"{MANIFEST}:{line}: script.script has to be '-', the place the code is put in"


def test_an_over_long_description_is_refused(project: Path, change: Change) -> None:
    change(MANIFEST, "The object ID of the user.", "A" * 501)
    line = line_with(project, MANIFEST, "A" * 501)
    assert refusal(project) == f"{MANIFEST}:{line}: the description has 501 characters, 500 are allowed"


def test_an_over_long_description_of_the_pack_is_refused(project: Path, change: Change) -> None:
    text = json.loads(text_of(project / METADATA))["description"]
    change(METADATA, text, "A" * 151)
    line = line_with(project, METADATA, "A" * 151)
    assert refusal(project) == f"{METADATA}:{line}: the description has 151 characters, 150 are allowed"


@pytest.mark.parametrize("file", [MANIFEST, IMAGE, DESCRIPTION, f"{NAME}.py", METADATA])
def test_a_missing_file_is_refused(project: Path, file: str) -> None:
    (project / file).unlink()
    assert refusal(project) == f"{file}:1: the file is missing"


def png(width: int, height: int, size: int = 0) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return data.ljust(size, b"\0")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"GIF89a", "the image is not a PNG"),
        (png(50, 120), "the image is 50x120, it has to be 120x50"),
        (png(120, 50, 10_241), "the image has 10241 bytes, 10240 are allowed"),
    ],
    ids=["not-a-png", "wrong-size", "too-large"],
)
def test_a_wrong_image_is_refused(project: Path, data: bytes, problem: str) -> None:
    (project / IMAGE).write_bytes(data)
    assert refusal(project) == f"{IMAGE}:1: {problem}"


def test_code_that_does_not_compile_is_refused(project: Path) -> None:
    source = project / f"{NAME}.py"
    lines = text_of(source).count("\n")
    source.write_text(text_of(source) + "def broken(:\n", encoding="utf-8")
    assert refusal(project) == f"{NAME}.py:{lines + 1}: invalid syntax"


def test_a_version_without_notes_is_refused(project: Path, change: Change) -> None:
    change(METADATA, f'"currentVersion": "{VERSION}"', '"currentVersion": "99.0.0"')
    line = line_with(project, METADATA, "99.0.0")
    assert refusal(project) == f"{METADATA}:{line}: 99.0.0 has no notes in pack/ReleaseNotes/99_0_0.md"


def test_a_version_of_another_form_is_refused(project: Path, change: Change) -> None:
    change(METADATA, f'"currentVersion": "{VERSION}"', '"currentVersion": "1.0"')
    line = line_with(project, METADATA, '"1.0"')
    assert refusal(project) == f"{METADATA}:{line}: 1.0 is not a version like 1.0.0"


def test_notes_for_a_later_version_are_refused(project: Path) -> None:
    shutil.copy(project / NOTES, project / "pack/ReleaseNotes/99_0_0.md")
    problem = f"these notes are for a later version than {VERSION}"
    assert refusal(project) == f"pack/ReleaseNotes/99_0_0.md:1: {problem}"


def test_notes_that_name_another_image_are_refused(project: Path) -> None:
    image = manifest_of(project)["script"]["dockerimage"]
    with (project / NOTES).open("a", encoding="utf-8") as notes:
        notes.write(f"- Runs in *{image}0*.\n")
    line = line_with(project, NOTES, f"{image}0")
    assert refusal(project) == f"{NOTES}:{line}: the manifest does not have {image}0"


def test_notes_that_name_an_unknown_command_are_refused(project: Path) -> None:
    with (project / NOTES).open("a", encoding="utf-8") as notes:
        notes.write("- Added ***azure-risky-users-forgive***.\n")
    line = line_with(project, NOTES, "forgive")
    assert refusal(project) == f"{NOTES}:{line}: the manifest does not have azure-risky-users-forgive"


def test_notes_for_another_integration_are_refused(project: Path, change: Change) -> None:
    change(NOTES, "Azure Risky Users", "Risky Contoso Users")
    assert refusal(project) == f"{NOTES}:1: no heading for Azure Risky Users"


def test_a_pack_of_another_name_is_refused(project: Path, change: Change) -> None:
    change(METADATA, '"name": "Azure Risky Users"', '"name": "Risky Contoso Users"')
    line = line_with(project, METADATA, "Risky Contoso Users")
    assert refusal(project) == f"{METADATA}:{line}: the name is not the manifest's display name, Azure Risky Users"


# The vendor's checks and the image


def test_the_vendors_tree_holds_every_file_of_the_integration(tmp_path: Path) -> None:
    validate.write_base(ROOT, tmp_path)
    validate.write_tree(ROOT, tmp_path)
    files = {path.name for path in (tmp_path / validate.INTEGRATION).iterdir()}
    assert files == {f"{NAME}.py", MANIFEST, DESCRIPTION, IMAGE, "README.md"}
    readme = (tmp_path / validate.INTEGRATION / "README.md").read_bytes()
    assert readme == (ROOT / "docs/commands.md").read_bytes()
    assert (tmp_path / validate.PACK / "README.md").read_bytes() == (ROOT / "pack/README.md").read_bytes()
    policies = json.loads(text_of(tmp_path / "Config/compliant_policies.json"))["policies"]
    assert [policy["name"] for policy in policies if "user" in policy["arguments"]] == [
        "User Soft Remediation",
        "User Hard Remediation",
    ]


def test_the_vendors_lists_approve_what_the_metadata_says() -> None:
    metadata = json.loads(text_of(ROOT / METADATA))
    approved = {name: value["approved_list"] for name, value in validate.CONFIG.items()}
    assert metadata["categories"] == approved["approved_categories.json"]
    assert metadata["useCases"] == approved["approved_usecases.json"]
    assert metadata["tags"] == approved["approved_tags.json"]["common"]


@pytest.mark.parametrize(
    ("code", "runs"),
    [("IN100", True), ("GR103", False), ("DO103", False), ("DO104", True), ("PA124", False), ("PA125", True)],
)
def test_a_validator_is_left_out_by_its_code_or_its_letters(code: str, runs: bool) -> None:
    assert (validate.left_out(code) is None) is runs


def test_the_versions_of_the_image_are_those_of_the_manifests_image() -> None:
    manifest = manifest_of(ROOT)
    constraints = text_of(ROOT / "test_data/image_constraints.txt")
    assert re.findall(r"demisto/\S+", constraints) == [manifest["script"]["dockerimage"]]


def test_only_the_images_python_will_do() -> None:
    assert image.is_python(sys.executable) is (sys.version_info[:2] == (3, 12))
    assert image.is_python("no-such-program") is False


def test_without_the_images_python_it_is_said_and_nothing_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert image.main() == 0
    assert capsys.readouterr().out == (
        "NOT RUN with the versions of the XSOAR image: there is no Python 3.12 on this machine.\n"
    )
