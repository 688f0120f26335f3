"""Scenarios by name: what can go wrong between an integration and the tenant, one at a time."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import NamedTuple

from warroom.azure.faults import NO_FAULT, Fault
from warroom.azure.server import Simulator
from warroom.azure.services import Services
from warroom.azure.tenant import CLIENT_ID, CLIENT_SECRET, NEW_CLIENT_SECRET

NORMAL = "normal"
ONE_A_SECOND = 1.0
SLOW_ANSWER = Fault(delay_s=4)
# What happens to one request of Graph after another, over and over.
FLAKINESS = (
    NO_FAULT,
    Fault(503),
    NO_FAULT,
    Fault(drop=True),
    Fault(504, retry_after=2),
    NO_FAULT,
    Fault(truncate=True),
)
SHARED_SECONDS, OTHERS_SECONDS = 4, 3


class Change(NamedTuple):
    """A value that an attribute of something has while a scenario is played."""

    owner: object
    attribute: str
    value: object


Changes = Iterator[Change]


def _nothing(_: Services) -> Changes:
    yield from ()


def _throttle(services: Services) -> Changes:
    yield Change(services, "throttle", ONE_A_SECOND)


def _is_others_turn(moment: float) -> bool:
    return moment % SHARED_SECONDS < OTHERS_SECONDS


def _share(services: Services) -> Changes:
    yield from _throttle(services)
    yield Change(services, "is_taken", _is_others_turn)


def _withdraw_permissions(services: Services) -> Changes:
    tenant = services.tenant
    for app in tenant.apps.values():
        yield Change(app, "application_permissions", set())
        yield Change(app, "delegated_permissions", {"User.Read"})
    without_any: dict[str, set[str]] = {name: set() for name in tenant.identities}
    yield Change(tenant, "identities", without_any)


def _withdraw_licences(services: Services) -> Changes:
    yield Change(services.tenant, "licence", "Free")
    yield Change(services.tenant, "workload_licence", False)


def _lower_licence(services: Services) -> Changes:
    yield Change(services.tenant, "licence", "P1")


def _expire_secret(services: Services) -> Changes:
    app = services.tenant.apps[CLIENT_ID]
    yield Change(app, "secrets", {NEW_CLIENT_SECRET})
    yield Change(app, "expired_secrets", {CLIENT_SECRET})


def _habit(services: Services, faults: Sequence[Fault]) -> Change:
    """Let these faults happen to Graph's answers, one after another and over again."""
    habits = {"graph": itertools.cycle(faults)}
    return Change(services.faults, "habits", habits)


def _slow_down(services: Services) -> Changes:
    yield _habit(services, [SLOW_ANSWER])


def _shake(services: Services) -> Changes:
    yield _habit(services, FLAKINESS)


class Scenario(NamedTuple):
    """What a scenario is, and what it changes.

    ends_tokens: whether it changes what access tokens bear. Those issued so far are then
    refused, which in Entra takes up to an hour.
    """

    explanation: str
    changes: Callable[[Services], Changes]
    ends_tokens: bool = False


SCENARIOS: dict[str, Scenario] = {
    NORMAL: Scenario(
        "All is well: nothing is missing, and no request is refused for coming too soon.",
        _nothing,
    ),
    "throttled": Scenario(
        "Graph takes one request a second of the whole tenant, as it really does, and"
        " refuses what comes sooner without saying how long to wait.",
        _throttle,
    ),
    "busy": Scenario(
        "Graph takes one request a second, and another application of the tenant has"
        f" {OTHERS_SECONDS} of {SHARED_SECONDS} of them.",
        _share,
    ),
    "slow": Scenario(
        f"Each answer of Graph takes {SLOW_ANSWER.delay_s} seconds.",
        _slow_down,
    ),
    "flaky": Scenario(
        "Every second or third request of Graph fails: out of order, timed out, without"
        " an answer, or with half of one.",
        _shake,
    ),
    "no-permission": Scenario(
        "Applications and managed identities have lost their permissions.",
        _withdraw_permissions,
        ends_tokens=True,
    ),
    "no-licence": Scenario(
        "The tenant has no licence of Entra ID P1 or P2, nor for workload identities.",
        _withdraw_licences,
    ),
    "p1": Scenario(
        "The tenant has Entra ID P1, not P2: there are detections with much of them"
        " hidden, and no risky users.",
        _lower_licence,
    ),
    "expired-secret": Scenario(
        "The client secret has expired. The new one that replaces it is"
        f" {NEW_CLIENT_SECRET}.",
        _expire_secret,
        ends_tokens=True,
    ),
}


class Stage:
    """Where scenarios are played on a simulated tenant, one at a time.

    name: the one that is played.
    """

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.name = NORMAL
        self._undo = ExitStack()

    def _make(self, change: Change) -> None:
        owner, attribute, value = change
        before = getattr(owner, attribute)
        self._undo.callback(setattr, owner, attribute, before)
        setattr(owner, attribute, value)

    def play(self, name: str) -> None:
        """Undo the scenario before, and play this one. Raises: KeyError: there is none."""
        scenario = SCENARIOS[name]
        before = SCENARIOS[self.name]
        self._undo.close()
        for change in scenario.changes(self.simulator):
            self._make(change)
        if scenario.ends_tokens or before.ends_tokens:
            self.simulator.entra.revoke_tokens()
        self.name = name
