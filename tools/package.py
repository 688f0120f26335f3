"""Builds what an administrator installs: the unified integration file and the pack.

The unified file is the manifest's own text with script, image and description put in, so
nothing is re-ordered or re-quoted on the way. Nothing in it or in the pack depends on when or
where it was built: two builds of one commit are byte for byte the same.
"""

import base64
import json
import re
import struct
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import yaml

NAME = "AzureRiskyUsers"
ROOT = Path(__file__).resolve().parent.parent
UNIFIED_NAME = f"integration-{NAME}.yml"
PACK_NAME = f"{NAME}.zip"

# What a build is made of, by its place in the project.
SOURCE_FILE = f"{NAME}.py"
MANIFEST_FILE = f"{NAME}.yml"
DESCRIPTION_FILE = f"{NAME}_description.md"
IMAGE_FILE = f"{NAME}_image.png"
METADATA_FILE = "pack/pack_metadata.json"
NOTES_FOLDER = "pack/ReleaseNotes"
IGNORE_FILE = ".pack-ignore"  # what each file is spared of the vendor's checks

IMAGE_SIZE = (120, 50)  # pixels: (width, height)
LARGEST_IMAGE = 10_240  # bytes
LONGEST_TEXT = 500  # characters, in a description of the manifest
LONGEST_PACK_DESCRIPTION = 150  # characters

# The earliest that a zip can hold; a real time would differ from build to build.
ZIP_TIME = (1980, 1, 1, 0, 0, 0)
ZIP_MODE = 0o644 << 16  # The upper half is where a zip keeps the rights on a file.

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
DESCRIPTION_KEYS = ("description", "additionalinfo")

# The platform has these modules in the script's own namespace, so their imports may not reach it.
PLATFORM_IMPORT = re.compile(
    r"""
    ^(?:
        import[ ]demistomock[ ]as[ ]demisto
        | from[ ]CommonServer(?:User)?Python[ ]import[ ]\*
    )
    (?:[ \t]*\#.*)?$
    """,
    re.MULTILINE | re.VERBOSE,
)
PLACEHOLDER = re.compile(r"^ *script: '-'$")

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
VERSION = re.compile(r"\d+\.\d+\.\d+")
COMMAND_IN_NOTES = re.compile(r"\*\*\*([^*]+)\*\*\*")
IMAGE_IN_NOTES = re.compile(r"\*(demisto/[^*]+)\*")

# The fast reader, where PyYAML was built with it.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# What the kinds of content in a pack's folders are called in its metadata.
KINDS = {
    "Playbooks": "playbook",
    "Classifiers": "classifier",
    "IncidentTypes": "incidenttype",
    "IncidentFields": "incidentfield",
}

Key = str | int
Keys = tuple[Key, ...]
Json = dict[str, Any]


# Documents


class BuildError(Exception):
    """The project cannot be built: says file, line and why."""

    def __init__(self, file: str, line: int, problem: str) -> None:
        message = f"{file}:{line}: {problem}"
        super().__init__(message)


class Step(NamedTuple):
    """What stands directly in a YAML node: its key or number, where it begins, its own node."""

    key: Key
    beginning: Any  # a node
    node: Any

    @property
    def line(self) -> int:
        """From 1."""
        mark = self.beginning.start_mark
        return int(mark.line) + 1


def steps_from(node: Any) -> Iterator[Step]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield Step(key.value, key, value)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield Step(number, value, value)


def step_to(key: Key, node: Any) -> Step | None:
    for step in steps_from(node):
        if step.key == key:
            return step
    return None


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
            line = mark.line + 1 if mark else 1
            raise BuildError(self.file, line, str(error.problem)) from error

    @cached_property
    def root(self) -> Any:
        return yaml.compose(self.text, LOADER)

    def at(self, path: Keys) -> Any:
        value = self.value
        for key in path:
            value = value[key]
        return value

    def line_of(self, *path: Key) -> int:
        """The line (from 1) of a value, or of the last step towards it that exists."""
        node = self.root
        line = 1
        for key in path:
            step = step_to(key, node)
            if step is None:
                break
            line = step.line
            node = step.node
        return line

    def error(self, problem: str, *path: Key) -> BuildError:
        line = self.line_of(*path)
        return BuildError(self.file, line, problem)


# The project


@dataclass(frozen=True)
class Project:
    """The files a build is made of, read from one folder."""

    root: Path

    def data(self, file: str) -> bytes:
        """Raises BuildError when the file is missing."""
        try:
            return (self.root / file).read_bytes()
        except FileNotFoundError as error:
            raise BuildError(file, 1, "the file is missing") from error

    def text(self, file: str) -> str:
        data = self.data(file)
        return data.decode("utf-8")

    def lines(self, file: str) -> list[str]:
        text = self.text(file)
        return text.splitlines()

    def document(self, file: str) -> Document:
        text = self.text(file)
        return Document(file, text)

    @cached_property
    def manifest(self) -> Document:
        return self.document(MANIFEST_FILE)

    @cached_property
    def metadata(self) -> Document:
        return self.document(METADATA_FILE)

    @property
    def version(self) -> str:
        """The product's version; the pack's metadata is the one place it stands."""
        metadata = self.metadata.value
        return str(metadata["currentVersion"])

    @property
    def notes_file(self) -> str:
        stem = self.version.replace(".", "_")
        return f"{NOTES_FOLDER}/{stem}.md"

    @property
    def has_notes(self) -> bool:
        path = self.root / self.notes_file
        return path.is_file()


# Checks: each yields what is wrong.


def missing_keys(document: Document, path: Keys, keys: Keys) -> Iterator[BuildError]:
    value = document.at(path)
    if not isinstance(value, dict):
        yield document.error("a mapping belongs here", *path)
        return
    for key in keys:
        if not value.get(key):
            yield document.error(f"{key} is missing", *path, key)


def check_keys(project: Project) -> Iterator[BuildError]:
    yield from missing_keys(project.manifest, (), MANIFEST_KEYS)
    yield from missing_keys(project.manifest, ("script",), SCRIPT_KEYS)
    yield from missing_keys(project.metadata, (), METADATA_KEYS)


def check_name(project: Project) -> Iterator[BuildError]:
    manifest = project.manifest
    if manifest.value["name"] != NAME:
        yield manifest.error(f"name is not {NAME}", "name")


def check_commands(project: Project) -> Iterator[BuildError]:
    manifest = project.manifest
    path = ("script", "commands")
    for number, command in enumerate(manifest.at(path)):
        if not command.get("name"):
            yield manifest.error("a command without a name", *path, number)


def check_placeholder(project: Project) -> Iterator[BuildError]:
    manifest = project.manifest
    path = ("script", "script")
    lines = manifest.text.splitlines()
    line = lines[manifest.line_of(*path) - 1]
    if not PLACEHOLDER.match(line):
        problem = "script.script has to be '-', the place the code is put in"
        yield manifest.error(problem, *path)


def inner_values(value: Any) -> Iterable[tuple[Key, Any]]:
    if isinstance(value, dict):
        return value.items()
    if isinstance(value, list):
        return enumerate(value)
    return ()


def descriptions(value: Any, path: Keys = ()) -> Iterator[tuple[Keys, str]]:
    """Every description in a manifest, with the path to it."""
    for key, inner in inner_values(value):
        inner_path = (*path, key)
        if key in DESCRIPTION_KEYS and isinstance(inner, str):
            yield inner_path, inner
        else:
            yield from descriptions(inner, inner_path)


def too_long(text: str, longest: int) -> str:
    """What is wrong with the length of a description, or nothing."""
    length = len(text)
    if length <= longest:
        return ""
    return f"the description has {length} characters, {longest} are allowed"


def check_texts(project: Project) -> Iterator[BuildError]:
    manifest = project.manifest
    for path, text in descriptions(manifest.value):
        problem = too_long(text, LONGEST_TEXT)
        if problem:
            yield manifest.error(problem, *path)


def check_pack_description(project: Project) -> Iterator[BuildError]:
    metadata = project.metadata
    path = ("description",)
    problem = too_long(metadata.at(path), LONGEST_PACK_DESCRIPTION)
    if problem:
        yield metadata.error(problem, *path)


def size_text(size: tuple[int, ...]) -> str:
    return "x".join(map(str, size))


def image_problem(data: bytes) -> str:
    """What is wrong with the image, or nothing."""
    if not data.startswith(PNG_SIGNATURE):
        return "the image is not a PNG"
    size = struct.unpack(">II", data[16:24])
    if size != IMAGE_SIZE:
        needed = size_text(IMAGE_SIZE)
        return f"the image is {size_text(size)}, it has to be {needed}"
    if len(data) > LARGEST_IMAGE:
        return f"the image has {len(data)} bytes, {LARGEST_IMAGE} are allowed"
    return ""


def check_image(project: Project) -> Iterator[BuildError]:
    data = project.data(IMAGE_FILE)
    problem = image_problem(data)
    if problem:
        yield BuildError(IMAGE_FILE, 1, problem)


def numbers_of(version: str) -> list[int]:
    numbers = re.findall(r"\d+", version)
    return list(map(int, numbers))


def check_version(project: Project) -> Iterator[BuildError]:
    metadata = project.metadata
    version = project.version
    path = ("currentVersion",)
    if not VERSION.fullmatch(version):
        yield metadata.error(f"{version} is not a version like 1.0.0", *path)
    elif not project.has_notes:
        yield metadata.error(f"{version} has no notes in {project.notes_file}", *path)


def check_later_notes(project: Project) -> Iterator[BuildError]:
    version = project.version
    folder = project.root / NOTES_FOLDER
    for path in sorted(folder.glob("*.md")):
        if numbers_of(path.stem) > numbers_of(version):
            file = f"{NOTES_FOLDER}/{path.name}"
            problem = f"these notes are for a later version than {version}"
            yield BuildError(file, 1, problem)


def unknown_names(line: str, script: Json) -> Iterator[str]:
    """The commands and images in a line of notes that are not those of the manifest."""
    commands = [command["name"] for command in script["commands"]]
    for name in COMMAND_IN_NOTES.findall(line):
        if name not in commands:
            yield name
    for name in IMAGE_IN_NOTES.findall(line):
        if name != script["dockerimage"]:
            yield name


def check_notes(project: Project) -> Iterator[BuildError]:
    """The notes of this version name the commands and the image as the manifest does."""
    file = project.notes_file
    script = project.manifest.at(("script",))
    lines = project.lines(file)
    for number, line in enumerate(lines, 1):
        for name in unknown_names(line, script):
            problem = f"the manifest does not have {name}"
            yield BuildError(file, number, problem)


def check_notes_heading(project: Project) -> Iterator[BuildError]:
    file = project.notes_file
    display = project.manifest.at(("display",))
    lines = project.lines(file)
    headings = {f"##### {display}", f"##### New: {display}"}
    if headings.isdisjoint(lines):
        yield BuildError(file, 1, f"no heading for {display}")


def check_pack_name(project: Project) -> Iterator[BuildError]:
    metadata = project.metadata
    display = project.manifest.at(("display",))
    if metadata.value["name"] != display:
        problem = f"the name is not the manifest's display name, {display}"
        yield metadata.error(problem, "name")


CHECKS: tuple[Callable[[Project], Iterator[BuildError]], ...] = (
    check_keys,
    check_name,
    check_commands,
    check_placeholder,
    check_texts,
    check_pack_description,
    check_image,
    check_version,
    check_later_notes,
    check_notes,
    check_notes_heading,
    check_pack_name,
)


# The unified file

UNIFIED = """\
{manifest}
image: data:image/png;base64,{image}
detaileddescription: {description}
"""


def shipped_script(source: str) -> str:
    """The code as the platform runs it: without the imports it provides, line for line."""
    return PLATFORM_IMPORT.sub("", source)


def indented(line: str, indent: int) -> str:
    if not line:
        return line
    return " " * indent + line


def block(text: str, indent: int) -> str:
    """A literal YAML block of the text."""
    lines = ["|"]
    for line in text.splitlines():
        lines.append(indented(line, indent))
    return "\n".join(lines)


def with_script(manifest: Document, script: str) -> str:
    """The manifest's text with the script in its place."""
    lines = manifest.text.splitlines()
    index = manifest.line_of("script", "script") - 1
    indent = lines[index].index("script")
    value = block(script, indent + 2)
    lines[index] = indented(f"script: {value}", indent)
    return "\n".join(lines)


def check_compiles(script: str) -> None:
    """Raises BuildError, with the line, when the code is no Python."""
    try:
        compile(script, SOURCE_FILE, "exec")
    except SyntaxError as error:
        line = error.lineno or 1
        raise BuildError(SOURCE_FILE, line, error.msg) from error


def check_read_back(text: str, manifest: Json, script: str, description: str) -> None:
    """Raises BuildError unless the unified text holds exactly what was put in."""
    unified = Document(UNIFIED_NAME, text).value
    expected = {
        **manifest,
        "script": {**manifest["script"], "script": script},
        "detaileddescription": description,
    }
    for key, value in expected.items():
        if unified.get(key) != value:
            problem = f"{key} did not come back as it was put in"
            raise BuildError(UNIFIED_NAME, 1, problem)


def unified_text(project: Project) -> str:
    """The text of the unified file, read back and compared before it is handed out."""
    manifest = project.manifest
    script = shipped_script(project.text(SOURCE_FILE))
    check_compiles(script)
    image = base64.b64encode(project.data(IMAGE_FILE))
    description = project.text(DESCRIPTION_FILE)
    text = UNIFIED.format(
        manifest=with_script(manifest, script),
        image=image.decode("ascii"),
        description=block(description, 2),
    )
    check_read_back(text, manifest.value, script, description)
    return text


# The pack


def pack_sources(project: Project) -> dict[str, bytes]:
    """The pack's own files by their name in it; of dot files the one that others need."""
    pack = project.root / "pack"
    sources = {}
    for path in sorted(pack.rglob("*")):
        is_kept = path.name == IGNORE_FILE or not path.name.startswith(".")
        if path.is_file() and is_kept:
            name = path.relative_to(pack).as_posix()
            sources[name] = path.read_bytes()
    return sources


def content_item(value: Json) -> Json:
    identity = value.get("id") or value["commonfields"]["id"]
    return {
        "id": identity,
        "name": value["name"],
        "description": value.get("description", ""),
    }


def kind_of(name: str) -> str:
    """The kind of a file of the pack, or nothing when it is no content."""
    if name.endswith(".md"):
        return ""
    folder = name.split("/")[0]
    return KINDS.get(folder, "")


def content_documents(sources: dict[str, bytes]) -> Iterator[tuple[str, Document]]:
    """The files of the pack that are content, each with its kind."""
    for name, data in sources.items():
        kind = kind_of(name)
        if kind:
            text = data.decode("utf-8")
            yield kind, Document(f"pack/{name}", text)


def content_items(manifest: Json, sources: dict[str, bytes]) -> dict[str, list[Json]]:
    """What the pack holds, by kind, as the marketplace page lists it."""
    shown_name = {"name": manifest["display"]}
    items = {"integration": [content_item(manifest) | shown_name]}
    for kind, document in content_documents(sources):
        item = content_item(document.value)
        items.setdefault(kind, []).append(item)
    return items


def pack_metadata(project: Project, sources: dict[str, bytes]) -> bytes:
    """The pack's metadata with what a server wants to know besides."""
    own = project.metadata.value
    manifest = project.manifest.value
    metadata = {
        **own,
        "id": NAME,
        "display_name": own["name"],
        "serverMinVersion": manifest["fromversion"],
        "contentItems": content_items(manifest, sources),
    }
    text = json.dumps(metadata, indent=4, sort_keys=True)
    return f"{text}\n".encode()


def pack_files(project: Project) -> dict[str, bytes]:
    """What goes into the pack.

    A server reads each file of a content folder as content, so their READMEs stay out.
    """
    sources = pack_sources(project)
    readmes = {name for name in sources if name.endswith("_README.md")}
    files = {name: sources[name] for name in sources if name not in readmes}
    return {
        **files,
        "metadata.json": pack_metadata(project, sources),
        f"Integrations/{UNIFIED_NAME}": unified_text(project).encode(),
    }


def write_zip(path: Path, files: dict[str, bytes]) -> None:
    """Stored, not compressed: what compressors make of the same bytes differs."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, ZIP_TIME)
            entry.external_attr = ZIP_MODE
            archive.writestr(entry, data)


def build(root: Path, dist: Path) -> list[Path]:
    """Writes the unified file and the pack to dist; gives back their paths.

    Raises BuildError for the first thing that is wrong, before anything is written.
    """
    project = Project(root)
    for check in CHECKS:
        for problem in check(project):
            raise problem
    files = pack_files(project)
    unified, pack = dist / UNIFIED_NAME, dist / PACK_NAME
    dist.mkdir(parents=True, exist_ok=True)
    unified.write_bytes(files[f"Integrations/{UNIFIED_NAME}"])
    write_zip(pack, files)
    return [unified, pack]


def main() -> int:
    try:
        built = build(ROOT, ROOT / "dist")
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    for path in built:
        size = path.stat().st_size
        print(f"{path.relative_to(ROOT)}: {size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
