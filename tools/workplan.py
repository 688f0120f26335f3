"""Draws the playbook as its tasks lie in the work plan; `make picture` renews the picture.

The picture is a PNG, as the vendor wants it, made by librsvg's program from an SVG. The PNG
says of which SVG it is, so that a test sees when it is out of date.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

import yaml

from tools.package import ROOT

NAME = "Entra_ID_Risky_User_-_Investigate_and_Respond"
PLAYBOOK = ROOT / f"pack/Playbooks/playbook-{NAME}.yml"
PICTURE = ROOT / f"pack/doc_files/{NAME}.png"
RENDERER = "rsvg-convert"

# In units of the work plan.
BOX_WIDTH, BOX_HEIGHT = 380, 100
BEND = 50  # from a task's lower edge to where its lines turn
MARGIN = 50
HALF_LETTER = 7  # from the middle of a name to its baseline
LABEL_RISE = 20  # of a label above the task its line leads to

SCALE = 0.6  # pixels a unit
KEYWORD = "Digest of the SVG"
PNG_HEADER = 33  # bytes: the signature, and the chunk that comes first in every PNG

COLOURS = {  # by the kind of a task
    "start": "#d9f0df",
    "title": "#e4e6ee",
    "condition": "#fff2d6",
    "regular": "#e2f0fb",
}

ANSWERS = {"#default#": "otherwise", "#error#": "on error"}

Json = dict[str, Any]


class Point(NamedTuple):
    x: int
    y: int


class Box(NamedTuple):
    """Where a task lies."""

    left: int
    top: int

    @property
    def bottom(self) -> int:
        return self.top + BOX_HEIGHT

    @property
    def right(self) -> int:
        return self.left + BOX_WIDTH

    @property
    def centre(self) -> int:
        return self.left + BOX_WIDTH // 2


class Line(NamedTuple):
    """The way from a task to one that follows. label: which answer it stands for."""

    source: str
    label: str
    target: str
    points: tuple[Point, ...]


def read_playbook() -> Json:
    playbook: Json = yaml.safe_load(PLAYBOOK.read_text(encoding="utf-8"))
    return playbook


# Where everything lies


def boxes(playbook: Json) -> dict[str, Box]:
    """The place of each task, by its number."""
    places = {}
    for number, task in playbook["tasks"].items():
        position = json.loads(task["view"])["position"]
        places[number] = Box(position["x"], position["y"])
    return places


def route(source: Box, target: Box) -> tuple[Point, ...]:
    """Down from one task, across, and down to the other, as the work plan draws it."""
    turn = source.bottom + BEND
    return (
        Point(source.centre, source.bottom),
        Point(source.centre, turn),
        Point(target.centre, turn),
        Point(target.centre, target.top),
    )


def lines(playbook: Json) -> Iterator[Line]:
    places = boxes(playbook)
    for number, task in playbook["tasks"].items():
        for label, targets in task.get("nexttasks", {}).items():
            for target in targets:
                points = route(places[number], places[target])
                yield Line(number, label, target, points)


# The drawing


def path_of(line: Line) -> str:
    points = [f"{x},{y}" for x, y in line.points]
    corners = " ".join(points)
    return f'<polyline points="{corners}" class="line" marker-end="url(#arrow)"/>'


def label_of(line: Line) -> str:
    """What stands at the end of a line that is one of several answers."""
    if line.label == "#none#":
        return ""
    text = ANSWERS.get(line.label, line.label)
    end = line.points[-1]
    place = f'x="{end.x}" y="{end.y - LABEL_RISE}"'
    return f'<text {place} class="label">{escape(text)}</text>'


def task_of(task: Json, box: Box) -> str:
    kind = task["type"]
    name = task["task"]["name"] or "Start"
    radius = BOX_HEIGHT // 2 if kind == "condition" else 8
    size = f'width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="{radius}"'
    baseline = box.top + BOX_HEIGHT // 2 + HALF_LETTER
    return (
        f'<rect x="{box.left}" y="{box.top}" {size} class="task" fill="{COLOURS[kind]}"/>'
        f'<text x="{box.centre}" y="{baseline}" class="name">{escape(name)}</text>'
    )


TEMPLATE = """\
<svg viewBox="{left} {top} {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
text {{ font-family: "DejaVu Sans", sans-serif; text-anchor: middle; }}
.name {{ font-size: 20px; fill: #16253d; }}
.label {{ font-size: 18px; fill: #1f6fa8; stroke: #fafbfd; stroke-width: 8px;
  paint-order: stroke; }}
.task {{ stroke: #16253d; stroke-width: 2px; }}
.line {{ stroke: #6d7788; stroke-width: 2px; fill: none; }}
</style>
<defs><marker id="arrow" markerWidth="8" markerHeight="8" refX="8" refY="4" orient="auto">
<path d="M 0 0 L 8 4 L 0 8 z" fill="#6d7788"/></marker></defs>
<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="#fafbfd"/>
{content}
</svg>
"""


def content(playbook: Json, places: dict[str, Box]) -> Iterator[str]:
    ways = list(lines(playbook))
    yield from map(path_of, ways)
    yield from map(label_of, ways)
    for number, box in places.items():
        yield task_of(playbook["tasks"][number], box)


def extent(places: Iterable[Box]) -> Box:
    """The upper left corner of all that is drawn."""
    left = min(box.left for box in places)
    top = min(box.top for box in places)
    return Box(left - MARGIN, top - MARGIN)


def draw(playbook: Json) -> str:
    """The picture as SVG."""
    places = boxes(playbook)
    left, top = extent(places.values())
    right = max(box.right for box in places.values())
    bottom = max(box.bottom for box in places.values())
    return TEMPLATE.format(
        left=left,
        top=top,
        width=right + MARGIN - left,
        height=bottom + MARGIN - top,
        content="\n".join(filter(None, content(playbook, places))),
    )


# The picture


def number(value: int) -> bytes:
    """A number as a PNG holds it."""
    return value.to_bytes(4, "big")


def chunk(kind: bytes, data: bytes) -> bytes:
    """A part of a PNG."""
    length = number(len(data))
    content = kind + data
    checksum = number(zlib.crc32(content))
    return length + content + checksum


def note(svg: str) -> bytes:
    """What a PNG says of the SVG it was made from."""
    digest = hashlib.sha256(svg.encode())
    text = f"{KEYWORD}\0{digest.hexdigest()}"
    return chunk(b"tEXt", text.encode())


def rendered(svg: str) -> bytes:
    """The picture as PNG."""
    command = [RENDERER, f"--zoom={SCALE}"]
    png = subprocess.check_output(command, input=svg.encode())
    header = png[:PNG_HEADER]
    rest = png[PNG_HEADER:]
    return header + note(svg) + rest


def main() -> int:
    if shutil.which(RENDERER) is None:
        print(f"The playbook is not drawn: there is no {RENDERER} on this machine.")
        return 1
    svg = draw(read_playbook())
    PICTURE.write_bytes(rendered(svg))
    return 0


if __name__ == "__main__":
    sys.exit(main())
