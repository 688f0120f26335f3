"""What several test files use."""

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from warroom.terminal.display import readable
from warroom.xsoar.commandline import Args
from warroom.xsoar.entries import Run
from warroom.xsoar.integration import MANIFEST
from warroom.xsoar.runner import WarRoom
from warroom.xsoar.surroundings import Destination

NOW = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)

# Options of `warroom` for a simulated tenant that is made in no time.
SMALL = ("--users", "20", "--detections", "20")

Make = Callable[..., WarRoom]


def quick_room(module: Any, params: Args, simulator: Destination) -> WarRoom:
    """A war room for the integration, where it is always NOW and nothing is waited for."""
    return WarRoom(module, MANIFEST, params, simulator=simulator, clock=lambda: NOW, sleep=lambda _: None)


def texts(run: Run) -> list[str]:
    """What the entries of a run say."""
    return [readable(entry) for entry in run.entries]
