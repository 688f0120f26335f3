"""What stands behind the instance of a war room: a real tenant, or the simulated one."""

import sys
import time
from contextlib import ExitStack
from datetime import datetime
from functools import cached_property, partial

from rich.console import Console

from warroom.azure.arrivals import Arrivals
from warroom.azure.scenarios import NORMAL, Stage
from warroom.azure.server import Simulator
from warroom.azure.snapshot import Origin, real_time, restored_tenant, taken
from warroom.azure.tenant import Tenant
from warroom.demo import demo_instance
from warroom.terminal.options import Options
from warroom.terminal.progress import Listener, live_line, telling
from warroom.terminal.state import Kept, kept_room, reading, restore_room
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

    def keep(self) -> None:
        """Nothing is kept."""

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

    @property
    def kept(self) -> Kept:
        """What an earlier call has kept; empty if none has."""
        state = self.options.state
        return state.kept if state else {}

    @cached_property
    def origin(self) -> Origin:
        """What the tenant is made from."""
        if self.kept:
            return Origin(**self.kept["tenant"]["origin"])
        moment = self.now or real_time()
        options = self.options
        return Origin(
            moment.isoformat(), options.users, options.detections, options.seed
        )

    @cached_property
    def stage(self) -> Stage:
        """Where a scenario is played: that of the options or else of the earlier call, and
        those that follow it."""
        simulator = self._start()
        stage = Stage(simulator)
        with reading(self.options.state):
            stage.play(self.kept.get("scenario", NORMAL))
        if self.options.scenario:
            # After the earlier one, whose end may end the tokens that it gave.
            stage.play(self.options.scenario)
        return stage

    @property
    def simulator(self) -> Simulator:
        return self.stage.simulator

    def _announce(self) -> None:
        words = "The tenant is simulated: nothing leaves this machine."
        state = self.options.state
        if state is not None:
            words += f" It is kept in {state.path}."
        elif self.options.lines:
            words += " It is new in each call; --state FILE keeps it."
        print(words, file=sys.stderr)

    def _make(self) -> Tenant:
        if self.kept:
            return restored_tenant(self.kept["tenant"])
        tenant = self.origin.make()
        if self.now is None:
            tenant.clock = real_time
        return tenant

    def _start(self) -> Simulator:
        self._announce()
        with telling(self.listener, "making the tenant"), reading(self.options.state):
            tenant = self._make()
            tenant.processing_reads = 1
            simulator = Simulator(tenant)
            if self.kept:
                simulator.entra.go_on_from(self.kept["tenant"]["signed_in"])
        return self._opened.enter_context(simulator)

    def _skip(self, seconds: float) -> None:
        """Only say how long the platform would wait before it polls; no time passes."""
        self.console.print(f"({seconds:.0f} seconds later)", style="dim")

    @cached_property
    def room(self) -> WarRoom:
        room = WarRoom(
            load_integration(),
            MANIFEST,
            demo_instance(),
            simulator=self.simulator,
            context=self.context,
            sleep=self._skip,
            listener=self.listener,
        )
        tenant = self.simulator.tenant
        if isinstance(tenant.clock, datetime):
            room.clock = tenant.now
        if self.kept:
            with reading(self.options.state):
                restore_room(room, self.kept["room"])
        return room

    @cached_property
    def arrivals(self) -> Arrivals:
        """What happens in the tenant between two fetches.

        From the first use on the tenant's clock stands still, but for `let_pass`, and the
        room goes by it.
        """
        tenant = self.simulator.tenant
        seed = self.origin.seed
        # What an earlier call has let arrive does not arrive again.
        of_call = f"{seed} {tenant.timestamp()}" if self.kept else seed
        arrivals = Arrivals(tenant, of_call)
        arrivals.ways.update(self.kept.get("ways", {}))
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

    def keep(self) -> None:
        """Keep for a later call what this one has changed, if the options ask for it.

        Raises: OSError: the file cannot be written.
        """
        state = self.options.state
        if state is None or "stage" not in vars(self):
            return
        ways = self.kept.get("ways", {})
        if "arrivals" in vars(self):
            ways = self.arrivals.ways
        kept = {
            "tenant": taken(self.simulator, self.origin),
            "room": kept_room(self.room),
            "scenario": self.stage.name,
            "ways": ways,
        }
        state.write(kept)

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
