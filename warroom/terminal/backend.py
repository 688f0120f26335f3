"""What stands behind the instance of a war room: a real tenant, or the simulated one."""

import sys
import time
from contextlib import ExitStack
from datetime import datetime
from functools import cached_property, partial

from rich.console import Console

from warroom.azure.arrivals import Arrivals
from warroom.azure.demo import demo_tenant
from warroom.azure.scenarios import Stage
from warroom.azure.server import Simulator
from warroom.demo import demo_instance
from warroom.terminal.options import Options
from warroom.terminal.progress import Listener, live_line, telling
from warroom.xsoar.context import ContextData
from warroom.xsoar.integration import MANIFEST, load_integration
from warroom.xsoar.manifest import Manifest
from warroom.xsoar.runner import WarRoom


def wait(listener: Listener | None, seconds: float) -> None:
    """Let real time pass, which a person at the terminal sees."""
    with telling(listener, f"waiting {seconds:.0f} s"):
        time.sleep(seconds)


class RealTenant:
    """A tenant in Microsoft's cloud, of which the war room knows no more than the integration."""

    usual_fetches = 1

    def __init__(self, room: WarRoom):
        self.room = room

    @property
    def listener(self) -> Listener | None:
        return self.room.listener

    @property
    def manifest(self) -> Manifest:
        return self.room.manifest

    @property
    def context(self) -> ContextData:
        return self.room.context

    def let_pass(self, seconds: int) -> None:
        """Wait."""
        self.room.sleep(seconds)

    def watch_arrivals(self) -> dict[str, str]:
        """Nothing is known of how detections arrive."""
        return {}

    def count_requests(self) -> dict[str, int]:
        """Nothing is known of the requests that arrive."""
        return {}

    def waiting_codes(self) -> list[str]:
        """Nothing is known of sign-ins under way."""
        return []

    def close(self) -> None:
        """Nothing was opened."""


class SimulatedTenant:
    """The tenant on this machine, started when it is first needed."""

    usual_fetches = 6

    def __init__(self, options: Options, console: Console, now: datetime | None = None):
        """now: the moment at which the tenant's clock stands still; else it is the real one."""
        self.options = options
        self.console = console
        self.now = now
        self.manifest = Manifest.read(MANIFEST)
        self.context = ContextData()
        self.listener = live_line(sys.stderr)
        self._opened = ExitStack()

    @cached_property
    def stage(self) -> Stage:
        """Where the scenario is played that the options name, and those that follow it."""
        simulator = self._start()
        stage = Stage(simulator)
        stage.play(self.options.scenario)
        return stage

    @property
    def simulator(self) -> Simulator:
        return self.stage.simulator

    def _start(self) -> Simulator:
        print(
            "The tenant is simulated: nothing leaves this machine.",
            file=sys.stderr,
        )
        with telling(self.listener, "making the tenant"):
            tenant = demo_tenant(
                self.now,
                users=self.options.users,
                detections=self.options.detections,
                seed=self.options.seed,
            )
        tenant.processing_reads = 1
        simulator = Simulator(tenant)
        return self._opened.enter_context(simulator)

    def _skip(self, seconds: float) -> None:
        """Only say how long the platform would wait before it polls; no time passes."""
        self.console.print(f"({seconds:.0f} seconds later)", style="dim")

    @cached_property
    def room(self) -> WarRoom:
        return WarRoom(
            load_integration(),
            MANIFEST,
            demo_instance(),
            simulator=self.simulator,
            context=self.context,
            sleep=self._skip,
            listener=self.listener,
        )

    @cached_property
    def arrivals(self) -> Arrivals:
        """What happens in the tenant between two fetches.

        From the first use on the tenant's clock stands still, but for `let_pass`, and the
        room goes by it.
        """
        tenant = self.simulator.tenant
        arrivals = Arrivals(tenant, self.options.seed)
        self.room.clock = arrivals.now
        return arrivals

    def let_pass(self, seconds: int) -> None:
        """Let the tenant's time jump."""
        self.arrivals.go_on(seconds)

    def watch_arrivals(self) -> dict[str, str]:
        """How each detection arrived, by its id; it grows with the fetches.

        From now on the tenant's clock stands still, but for `let_pass`.
        """
        return self.arrivals.ways

    def count_requests(self) -> dict[str, int]:
        """How many requests the tenant has had."""
        return {
            "Graph requests": len(self.simulator.graph_requests),
            "login requests": len(self.simulator.login_requests),
        }

    def waiting_codes(self) -> list[str]:
        """The codes of device code sign-ins that nobody has answered yet."""
        if "stage" not in vars(self):
            return []
        flows = self.simulator.entra.flows.values()
        return [flow.user_code for flow in flows if flow.state == "pending"]

    def close(self) -> None:
        self._opened.close()


Backend = RealTenant | SimulatedTenant


def open_backend(options: Options, console: Console) -> Backend:
    """The tenant that the options ask for."""
    if options.instance is None:
        return SimulatedTenant(options, console)
    module = load_integration()
    listener = live_line(sys.stderr)
    room = WarRoom(
        module,
        MANIFEST,
        options.instance,
        sleep=partial(wait, listener),
        listener=listener,
    )
    return RealTenant(room)
