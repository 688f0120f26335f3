"""A war room that shows the same in every run: documentation is written from it."""

from datetime import datetime, timezone

from warroom.azure.demo import demo_tenant
from warroom.azure.server import Simulator
from warroom.demo import demo_instance
from warroom.xsoar.integration import MANIFEST, load_integration
from warroom.xsoar.runner import WarRoom

NOW = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
ADELE = "adele.vance@contoso.example"  # the user to investigate
FEW_INCIDENTS = {"max_fetch": "3"}  # enough to show what one looks like


def moment() -> datetime:
    return NOW


def pass_no_time(_: float) -> None:
    """What polls goes on at once."""


def open_simulator() -> Simulator:
    """The simulated tenant as it is at that moment."""
    tenant = demo_tenant(NOW)
    return Simulator(tenant)


def open_room(simulator: Simulator, sign_in: str) -> WarRoom:
    """A war room at that moment, whose instance signs in to the simulated tenant."""
    module = load_integration()
    params = demo_instance(sign_in) | FEW_INCIDENTS
    return WarRoom(
        module,
        MANIFEST,
        params,
        simulator=simulator,
        clock=moment,
        sleep=pass_no_time,
    )
