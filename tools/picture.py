"""Draws `docs/war-room.svg`: what a few commands show in the war room on a laptop.

`make picture` renews it. The commands run against the simulated tenant at a fixed moment, so
that the picture is the same in every run.
"""

import io
from contextlib import redirect_stdout

from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME

from tools.showcase import ADELE, open_room, open_simulator
from warroom.terminal import display
from warroom.xsoar.integration import PROJECT
from warroom.xsoar.runner import WarRoom

PICTURE = PROJECT / "docs/war-room.svg"
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


def show_lines(room: WarRoom, console: Console) -> None:
    """Types each line and shows what comes of it."""
    for line in LINES:
        console.print(f"{PROMPT} {line}\n")
        run = room.run(line)
        display.draw(run, console)
        console.print()


def draw() -> str:
    """The picture as SVG."""
    screen = Screen()
    console = recording_console(screen)
    with open_simulator() as simulator, redirect_stdout(screen):
        room = open_room(simulator, "Client Credentials")
        show_lines(room, console)
    return console.export_svg(
        title="War room",
        theme=SVG_EXPORT_THEME,
        code_format=TEMPLATE,
        font_aspect_ratio=ASPECT_RATIO,
        unique_id="war-room",
    )


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
