"""Build what an administrator installs: the unified integration file and the pack.

The unified file is the manifest's own text with script, image and description put in, so nothing is re-ordered or
re-quoted on the way. Nothing in it or in the pack depends on when or where it was built: two builds of one commit are
byte for byte the same.
"""

import base64
import json
import re
import struct
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

NAME = "AzureRiskyUsers"
ROOT = Path(__file__).resolve().parent.parent
UNIFIED_NAME = f"integration-{NAME}.yml"
PACK_NAME = f"{NAME}.zip"

IMAGE_SIZE = (120, 50)  # pixels: (width, height)
LARGEST_IMAGE = 10_240  # bytes
LONGEST_TEXT = 500  # characters, in a description of the manifest
LONGEST_PACK_DESCRIPTION = 150  # characters
ZIP_TIME = (
    1980,
    1,
    1,
    0,
    0,
    0,
)  # The earliest a zip can hold; a real one would differ from build to build.

MANIFEST_KEYS = (
    "commonfields",
    "name",
    "display",
    "category",
    "description",
    "configuration",
    "script",
    "fromversion",
)
SCRIPT_KEYS = ("script", "dockerimage", "commands")
METADATA_KEYS = ("name", "description", "currentVersion", "created", "marketplaces")

# The platform has these modules in the script's own namespace, so their imports may not reach it.
PLATFORM_IMPORT = re.compile(
    r"^(?:import demistomock as demisto|from CommonServer(?:User)?Python import \*)(?:[ \t]*#.*)?$",
    re.MULTILINE,
)
PLACEHOLDER = re.compile(r"^( *)script: '-'$")

# The fast reader, where PyYAML was built with it.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# What the kinds of content in a pack's folders are called in its metadata.
KINDS = {
    "Playbooks": "playbook",
    "Classifiers": "classifier",
    "IncidentTypes": "incidenttype",
    "IncidentFields": "incidentfield",
}


class BuildError(Exception):
    """The project cannot be built: says file, line and why."""

    def __init__(self, file: str, line: int, problem: str) -> None:
        super().__init__(f"{file}:{line}: {problem}")


def pairs(node: Any) -> Iterator[tuple[str | int, int, Any]]:
    """Key (or number), line (from 1) and node of everything directly in a YAML node."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key.value, key.start_mark.line + 1, value
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield number, value.start_mark.line + 1, value


@dataclass(frozen=True)
class Document:
    """A YAML or JSON file that remembers where its values stand."""

    file: str
    text: str

    @cached_property
    def value(self) -> Any:
        """Raises BuildError where the file cannot be read as YAML (which JSON is, too)."""
        try:
            return yaml.load(self.text, LOADER)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise BuildError(
                self.file, mark.line + 1 if mark else 1, str(error.problem)
            ) from error

    @cached_property
    def root(self) -> Any:
        return yaml.compose(self.text, LOADER)

    def line_of(self, *path: str | int) -> int:
        """The line (from 1) of the value at the path, or of the last step towards it that exists."""
        node, line = self.root, 1
        for step in path:
            found = next((pair for pair in pairs(node) if pair[0] == step), None)
            if not found:
                break
            _, line, node = found
        return line

    def error(self, problem: str, *path: str | int) -> BuildError:
        return BuildError(self.file, self.line_of(*path), problem)


@dataclass(frozen=True)
class Project:
    """The files a build is made of, read from one folder."""

    root: Path

    def text(self, file: str) -> str:
        return self.data(file).decode("utf-8")

    def data(self, file: str) -> bytes:
        """Raises BuildError when the file is missing."""
        try:
            return (self.root / file).read_bytes()
        except FileNotFoundError as error:
            raise BuildError(file, 1, "the file is missing") from error

    def document(self, file: str) -> Document:
        return Document(file, self.text(file))

    @cached_property
    def manifest(self) -> Document:
        return self.document(f"{NAME}.yml")

    @cached_property
    def metadata(self) -> Document:
        return self.document("pack/pack_metadata.json")

    @property
    def version(self) -> str:
        """The product's version; the pack's metadata is the one place it stands."""
        return str(self.metadata.value["currentVersion"])

    @property
    def notes_file(self) -> str:
        return f"pack/ReleaseNotes/{self.version.replace('.', '_')}.md"


# Checks: each yields what is wrong.


def check_keys(project: Project) -> Iterator[BuildError]:
    for document, path, keys in (
        (project.manifest, (), MANIFEST_KEYS),
        (project.manifest, ("script",), SCRIPT_KEYS),
        (project.metadata, (), METADATA_KEYS),
    ):
        value = document.value
        for step in path:
            value = value[step]
        if not isinstance(value, dict):
            yield document.error("a mapping belongs here", *path)
            return
        for key in keys:
            if not value.get(key):
                yield document.error(f"{key} is missing", *path, key)


def check_script(project: Project) -> Iterator[BuildError]:
    manifest = project.manifest
    if manifest.value["name"] != NAME:
        yield manifest.error(f"name is not {NAME}", "name")
    for number, command in enumerate(manifest.value["script"]["commands"]):
        if not command.get("name"):
            yield manifest.error(
                "a command without a name", "script", "commands", number
            )
    line = manifest.line_of("script", "script")
    if not PLACEHOLDER.match(manifest.text.splitlines()[line - 1]):
        yield manifest.error(
            "script.script has to be '-', the place the code is put in",
            "script",
            "script",
        )


def texts(
    value: Any, path: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every description in a manifest, with the path to it."""
    steps = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for step, inner in steps:
        if step in ("description", "additionalinfo") and isinstance(inner, str):
            yield (*path, step), inner
        else:
            yield from texts(inner, (*path, step))


def check_texts(project: Project) -> Iterator[BuildError]:
    manifest, metadata = project.manifest, project.metadata
    for path, text in texts(manifest.value):
        if len(text) > LONGEST_TEXT:
            yield manifest.error(
                f"the description has {len(text)} characters, {LONGEST_TEXT} are allowed",
                *path,
            )
    length = len(metadata.value["description"])
    if length > LONGEST_PACK_DESCRIPTION:
        problem = f"the description has {length} characters, {LONGEST_PACK_DESCRIPTION} are allowed"
        yield metadata.error(problem, "description")


def check_image(project: Project) -> Iterator[BuildError]:
    file = f"{NAME}_image.png"
    data = project.data(file)
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        yield BuildError(file, 1, "the image is not a PNG")
    elif (size := struct.unpack(">II", data[16:24])) != IMAGE_SIZE:
        yield BuildError(
            file,
            1,
            f"the image is {size[0]}x{size[1]}, it has to be {IMAGE_SIZE[0]}x{IMAGE_SIZE[1]}",
        )
    if len(data) > LARGEST_IMAGE:
        yield BuildError(
            file, 1, f"the image has {len(data)} bytes, {LARGEST_IMAGE} are allowed"
        )


def check_version(project: Project) -> Iterator[BuildError]:
    if not re.fullmatch(r"\d+\.\d+\.\d+", project.version):
        yield project.metadata.error(
            f"{project.version} is not a version like 1.0.0", "currentVersion"
        )
        return
    if not (project.root / project.notes_file).is_file():
        yield project.metadata.error(
            f"{project.version} has no notes in {project.notes_file}", "currentVersion"
        )
    for note in sorted((project.root / "pack/ReleaseNotes").glob("*.md")):
        if version_key(note.stem, "_") > version_key(project.version, "."):
            file = note.relative_to(project.root).as_posix()
            yield BuildError(
                file, 1, f"these notes are for a later version than {project.version}"
            )


def version_key(version: str, separator: str) -> list[int]:
    return [int(part) for part in version.split(separator) if part.isdigit()]


def check_notes(project: Project) -> Iterator[BuildError]:
    """The notes of this version name the integration, its commands and its image as the manifest does."""
    if not (project.root / project.notes_file).is_file():
        return
    manifest, notes = project.manifest.value, project.text(project.notes_file)
    allowed = {
        r"\*\*\*([^*]+)\*\*\*": {
            command["name"] for command in manifest["script"]["commands"]
        },
        r"\*(demisto/[^*]+)\*": {manifest["script"]["dockerimage"]},
    }
    for number, line in enumerate(notes.splitlines(), 1):
        for pattern, names in allowed.items():
            for name in set(re.findall(pattern, line)) - names:
                yield BuildError(
                    project.notes_file, number, f"the manifest does not have {name}"
                )
    if not re.search(
        rf"^##### (?:New: )?{re.escape(manifest['display'])}$", notes, re.MULTILINE
    ):
        yield BuildError(project.notes_file, 1, f"no heading for {manifest['display']}")


def check_names(project: Project) -> Iterator[BuildError]:
    display = project.manifest.value.get("display")
    if project.metadata.value["name"] != display:
        yield project.metadata.error(
            f"the name is not the manifest's display name, {display}", "name"
        )


CHECKS: tuple[Callable[[Project], Iterator[BuildError]], ...] = (
    check_keys,
    check_script,
    check_texts,
    check_image,
    check_version,
    check_notes,
    check_names,
)


# Building


def shipped_script(source: str) -> str:
    """The code as the platform runs it: without the imports it provides, every line on its old number."""
    return PLATFORM_IMPORT.sub("", source)


def block(text: str, indent: int) -> str:
    """A literal YAML block of the text."""
    lines = (" " * indent + line if line else "" for line in text.splitlines())
    return "|\n" + "\n".join(lines)


def unified(project: Project) -> str:
    """The text of the unified file, read back and compared before it is handed out."""
    manifest, source = project.manifest, project.text(f"{NAME}.py")
    script = shipped_script(source)
    lines = manifest.text.splitlines()
    at = manifest.line_of("script", "script") - 1
    indent = len(lines[at]) - len(lines[at].lstrip())
    lines[at] = f"{' ' * indent}script: {block(script, indent + 2)}"
    image = base64.b64encode(project.data(f"{NAME}_image.png")).decode("ascii")
    lines.append(f"image: data:image/png;base64,{image}")
    lines.append(
        f"detaileddescription: {block(project.text(f'{NAME}_description.md'), 2)}"
    )
    text = "\n".join(lines) + "\n"
    compare(project, text, script)
    return text


def compare(project: Project, text: str, script: str) -> None:
    """Raises BuildError unless the unified text holds exactly the manifest, the script and the description."""
    try:
        compile(script, f"{NAME}.py", "exec")
    except SyntaxError as error:
        raise BuildError(f"{NAME}.py", error.lineno or 1, error.msg) from error
    loaded = Document(UNIFIED_NAME, text).value
    expected = {
        **project.manifest.value,
        "detaileddescription": project.text(f"{NAME}_description.md"),
    }
    expected["script"] = {**expected["script"], "script": script}
    loaded.pop("image")
    for key, value in expected.items():
        if loaded.get(key) != value:
            raise BuildError(
                UNIFIED_NAME, 1, f"{key} did not come back as it was put in"
            )


def pack_sources(project: Project) -> dict[str, bytes]:
    """The pack's own files, by their name in the pack, without the vendor tools' dot files."""
    pack = project.root / "pack"
    files = sorted(
        file
        for file in pack.rglob("*")
        if file.is_file() and not file.name.startswith(".")
    )
    return {file.relative_to(pack).as_posix(): file.read_bytes() for file in files}


def content_item(value: dict[str, Any]) -> dict[str, Any]:
    identity = value.get("id") or value["commonfields"]["id"]
    return {
        "id": identity,
        "name": value["name"],
        "description": value.get("description", ""),
    }


def content_items(
    project: Project, sources: dict[str, bytes]
) -> dict[str, list[dict[str, Any]]]:
    """What the pack holds, by kind, as the marketplace page lists it."""
    manifest = project.manifest.value
    items = {"integration": [{**content_item(manifest), "name": manifest["display"]}]}
    for name, data in sources.items():
        folder = name.split("/")[0]
        if folder in KINDS and not name.endswith(".md"):
            document = Document(f"pack/{name}", data.decode("utf-8"))
            items.setdefault(KINDS[folder], []).append(content_item(document.value))
    return items


def pack_metadata(project: Project, sources: dict[str, bytes]) -> bytes:
    """The pack's metadata with what a server wants to know besides."""
    metadata = {
        **project.metadata.value,
        "id": NAME,
        "display_name": project.metadata.value["name"],
        "serverMinVersion": project.manifest.value["fromversion"],
        "contentItems": content_items(project, sources),
    }
    return json.dumps(metadata, indent=4, sort_keys=True).encode("utf-8") + b"\n"


def pack_files(project: Project) -> dict[str, bytes]:
    """What goes into the pack. A server reads each file of a content folder as content, so their READMEs stay out."""
    sources = pack_sources(project)
    return {
        **{
            name: data
            for name, data in sources.items()
            if not name.endswith("_README.md")
        },
        "metadata.json": pack_metadata(project, sources),
        f"Integrations/{UNIFIED_NAME}": unified(project).encode("utf-8"),
    }


def write_zip(path: Path, files: dict[str, bytes]) -> None:
    """Stored, not compressed: what a compressor makes of the same bytes differs between its versions."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, ZIP_TIME)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)


def build(root: Path, dist: Path) -> list[Path]:
    """Write the unified file and the pack to dist; give back their paths.

    Raises BuildError for the first thing that is wrong, before anything is written.
    """
    project = Project(root)
    for check in CHECKS:
        for problem in check(project):
            raise problem
    files = pack_files(project)
    dist.mkdir(parents=True, exist_ok=True)
    built = [dist / UNIFIED_NAME, dist / PACK_NAME]
    built[0].write_bytes(files[f"Integrations/{UNIFIED_NAME}"])
    write_zip(built[1], files)
    return built


def main() -> int:
    try:
        built = build(ROOT, ROOT / "dist")
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    for path in built:
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
