"""Lets detections arrive in the simulated tenant in every way that a fetch has to bear."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from warroom.azure.demo import SIGN_IN_EVENTS, USER_EVENTS
from warroom.azure.odata import Row
from warroom.azure.tenant import Tenant

MINUTE = 60  # seconds
LEVELS = ("low", "medium", "high")
EVENT_TYPES = (*SIGN_IN_EVENTS, *USER_EVENTS)


class Arrival(NamedTuple):
    """A detection to come.

    detected, surfaces: seconds from now. after_requests: how many requests miss it.
    """

    detected: float = 0
    surfaces: float = 0
    after_requests: int = 0


# Takes the seconds to the next fetch.
Way = Callable[[random.Random, float], Iterator[Arrival]]


def on_time(chance: random.Random, _every: float) -> Iterator[Arrival]:
    number = chance.randint(0, 2)
    for _ in range(number):
        seconds_ago = MINUTE * chance.random()
        yield Arrival(detected=-seconds_ago)


def late(chance: random.Random, _every: float) -> Iterator[Arrival]:
    minutes = chance.randint(5, 55)
    yield Arrival(surfaces=minutes * MINUTE)


def out_of_order(_chance: random.Random, every: float) -> Iterator[Arrival]:
    """The newer of two can be fetched at once, the older with the next fetch."""
    yield Arrival(detected=-10)
    yield Arrival(detected=-20, surfaces=every)


def at_one_instant(chance: random.Random, _every: float) -> Iterator[Arrival]:
    number = chance.randint(2, 4)
    for _ in range(number):
        yield Arrival(detected=-30)


def during_a_fetch(_chance: random.Random, _every: float) -> Iterator[Arrival]:
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
    """Moves a tenant's time from fetch to fetch.

    The same seed lets the same detections arrive. ways: how each one did, by id.
    """

    def __init__(self, tenant: Tenant, seed: int | str) -> None:
        self.tenant = tenant
        self.chance = random.Random(seed)
        self.ways: dict[str, str] = {}
        tenant.clock = tenant.now()

    def now(self) -> datetime:
        return self.tenant.now()

    def _from_now(self, seconds: float) -> datetime:
        span = timedelta(seconds=seconds)
        return self.now() + span

    def _someones(self) -> dict[str, Any]:
        """Whose detection it is, and what was detected."""
        choice = self.chance.choice
        users = list(self.tenant.users)
        return {
            "userId": choice(users),
            "riskLevel": choice(LEVELS),
            "riskEventType": choice(EVENT_TYPES),
        }

    def _arrive(self, arrival: Arrival) -> Row:
        return self.tenant.arrive(
            detected=self._from_now(arrival.detected),
            surfaces_at=self._from_now(arrival.surfaces),
            after_requests=arrival.after_requests,
            **self._someones(),
        )

    def go_on(self, every: float) -> None:
        """Let so many seconds pass, and something happen in them."""
        chance = self.chance
        self.tenant.clock = self._from_now(every)
        for name in chance.sample(sorted(WAYS), 3):
            way = WAYS[name]
            for arrival in way(chance, every):
                row = self._arrive(arrival)
                self.ways[row["id"]] = name
