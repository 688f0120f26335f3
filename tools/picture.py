"""Draws the pictures of the war room on a laptop: a list with a card, and the demo.

`make picture` renews them. The commands run against the simulated tenant at a fixed moment,
so that the pictures are the same in every run.
"""

import io
from collections.abc import Callable
from contextlib import closing, redirect_stdout
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME

from tools.showcase import ADELE, NOW, open_room, open_simulator
from warroom.terminal import display
from warroom.terminal.backend import SimulatedTenant
from warroom.terminal.desk import Desk
from warroom.terminal.keywords import KEYWORDS
from warroom.terminal.options import read_options
from warroom.xsoar.integration import PROJECT

DOCS = PROJECT / "docs"
COLUMNS, ROWS = 120, 60  # of the terminal; longer output makes the picture longer
ASPECT_RATIO = 0.602  # width to height of a character in the template's first two fonts
PROMPT = "[bold green]warroom>[/bold green]"

LINES = (
    "!azure-risky-users-list risk_level=high risk_state=atRisk limit=2",
    f"!azure-risky-user-investigate user={ADELE}",
)

# Rich fills in a template. Its own has the fonts come from a server; this one takes what is there.
TEMPLATE = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
  font-family: Menlo, "DejaVu Sans Mono", Consolas, monospace;
  font-size: {char_height}px;
  line-height: {line_height}px;
}}
.{unique_id}-title {{ font-family: sans-serif; font-size: 18px; font-weight: bold; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix" xml:space="preserve">
{matrix}
</g>
</g>
</svg>
"""


class Screen(io.StringIO):
    """A place to print to that passes for a terminal."""

    def isatty(self) -> bool:
        return True


def recording_console(screen: Screen) -> Console:
    """A console that is the same whatever terminal and environment this runs in."""
    return Console(
        file=screen,
        record=True,
        width=COLUMNS,
        height=ROWS,
        highlight=False,
        force_terminal=True,
        color_system="truecolor",
        no_color=False,
        legacy_windows=False,
    )


def show_lines(console: Console) -> None:
    """Types each line and shows what comes of it."""
    with open_simulator() as simulator:
        room = open_room(simulator, "Client Credentials")
        for line in LINES:
            console.print(f"{PROMPT} {line}\n")
            run = room.run(line)
            display.draw(run, console)
            console.print()


def show_demo(console: Console) -> None:
    """Shows what `make demo` does."""
    options = read_options(["demo"])
    with closing(SimulatedTenant(options, console, NOW)) as backend:
        desk = Desk(options, backend, console, KEYWORDS)
        desk.do_all(options.lines)


class Picture(NamedTuple):
    """A picture of a terminal. name: its file's, without the ending."""

    name: str
    title: str
    show: Callable[[Console], None]

    @property
    def path(self) -> Path:
        return DOCS / f"{self.name}.svg"

    def draw(self) -> str:
        """The picture as SVG."""
        screen = Screen()
        console = recording_console(screen)
        with redirect_stdout(screen):
            self.show(console)
        return console.export_svg(
            title=self.title,
            theme=SVG_EXPORT_THEME,
            code_format=TEMPLATE,
            font_aspect_ratio=ASPECT_RATIO,
            unique_id=self.name,
        )


PICTURES = (
    Picture("war-room", "War room", show_lines),
    Picture("demo", "make demo", show_demo),
)


if __name__ == "__main__":
    for picture in PICTURES:
        picture.path.write_text(picture.draw(), encoding="utf-8")
