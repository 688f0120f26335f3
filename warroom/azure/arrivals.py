"""Lets detections arrive in the simulated tenant in every way that a fetch has to bear, while time jumps on."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from warroom.azure.demo import SIGN_IN_EVENTS, USER_EVENTS
from warroom.azure.odata import Row
from warroom.azure.tenant import Tenant


class Arrival(NamedTuple):
    """A detection to come: how many seconds from now it was detected and will surface, and behind how many requests."""

    detected: float = 0
    surfaces: float = 0
    after_requests: int = 0


Way = Callable[
    [random.Random, float], Iterator[Arrival]
]  # takes the seconds to the next fetch


def on_time(chance: random.Random, _: float) -> Iterator[Arrival]:
    yield from (Arrival(-60 * chance.random()) for _ in range(chance.randint(0, 2)))


def late(chance: random.Random, _: float) -> Iterator[Arrival]:
    yield Arrival(0, 60 * chance.randint(5, 55))


def out_of_order(_: random.Random, every: float) -> Iterator[Arrival]:
    """The newer of two can be fetched at once, the older with the next fetch."""
    yield Arrival(-10)
    yield Arrival(-20, every)


def at_one_instant(chance: random.Random, _: float) -> Iterator[Arrival]:
    yield from (Arrival(-30) for _ in range(chance.randint(2, 4)))


def during_a_fetch(_: random.Random, __: float) -> Iterator[Arrival]:
    """The next fetch's first answer does not have it yet."""
    yield Arrival(after_requests=1)


WAYS: dict[str, Way] = {
    "on time": on_time,
    "late": late,
    "out of order": out_of_order,
    "with others at one instant": at_one_instant,
    "while a fetch was under way": during_a_fetch,
}


class Arrivals:
    """Moves a tenant's time from fetch to fetch. The same seed lets the same detections arrive.

    ways: how each detection arrived, by id.
    """

    def __init__(self, tenant: Tenant, seed: int) -> None:
        self.tenant, self.chance = tenant, random.Random(seed)
        self.began, self.passed = tenant.now(), timedelta()
        self.ways: dict[str, str] = {}
        self.tenant.clock = self.now

    def now(self) -> datetime:
        return self.began + self.passed

    def go_on(self, every: float) -> None:
        """Let so many seconds pass, and something happen in them."""
        self.passed += timedelta(seconds=every)
        for name in self.chance.sample(sorted(WAYS), 3):
            for arrival in WAYS[name](self.chance, every):
                self.ways[self._arrive(arrival)["id"]] = name

    def _arrive(self, arrival: Arrival) -> Row:
        user = self.chance.choice(list(self.tenant.users))
        fields: dict[str, Any] = {
            "riskLevel": self.chance.choice(("low", "medium", "high")),
            "riskEventType": self.chance.choice((*SIGN_IN_EVENTS, *USER_EVENTS)),
        }
        return self.tenant.arrive(
            detected=self.now() + timedelta(seconds=arrival.detected),
            surfaces_at=self.now() + timedelta(seconds=arrival.surfaces),
            after_requests=arrival.after_requests,
            userId=user,
            **fields,
        )
