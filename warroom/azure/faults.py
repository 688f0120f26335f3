"""Faults that happen to requests in the order in which they were asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from warroom.azure.exchange import Json

FACES = ("graph", "login", "identity")
JSON_TYPE = (
    "application/json;odata.metadata=minimal;odata.streaming=true;"
    "IEEE754Compatible=false;charset=utf-8"
)


@dataclass
class Fault:
    """What happens to `times` requests of a face (of FACES), after letting `after` pass.

    status: 200 without a body means that the request is carried out, only its answer
    is delayed, truncated (half-way through the body) or dropped (the connection is
    closed without one). retry_after: seconds or an HTTP date. drip_s: seconds between two
    bytes of the body, and with drips_head of what precedes it too.
    """

    status: int = 200
    times: int = 1
    after: int = 0
    face: str = "graph"
    retry_after: int | str | None = None
    body: Json | str | None = None
    content_type: str | None = None
    drop: bool = False
    truncate: bool = False
    delay_s: float = 0
    drip_s: float = 0
    drips_head: bool = False
    location: str | None = None

    @property
    def replaces_answer(self) -> bool:
        return self.status != 200 or self.body is not None

    @property
    def has_own_body(self) -> bool:
        """Whether `body` is sent as it is: a given one always, and for a redirect also None."""
        is_redirect = 300 <= self.status < 400
        return is_redirect or self.body is not None

    def headers(self) -> dict[str, str]:
        usual_type = "text/html" if isinstance(self.body, str) else JSON_TYPE
        headers = {"Content-Type": self.content_type or usual_type}
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        if self.location is not None:
            headers["Location"] = self.location
        return headers


NO_FAULT = Fault()


class Faults(list[Fault]):
    """The faults to come; those of one face happen in order.

    habits: by face, what happens to its requests while none was asked for.
    """

    def __init__(self) -> None:
        super().__init__()
        self.habits: dict[str, Iterator[Fault]] = {}

    def add(self, fault: Fault) -> None:
        if fault.face not in FACES:
            raise ValueError(fault.face)
        self.append(fault)

    def _first(self, face: str) -> Fault | None:
        for fault in self:
            if fault.face == face:
                return fault
        return None

    def _usual(self, face: str) -> Fault:
        habit = self.habits.get(face)
        return next(habit) if habit else NO_FAULT

    def take(self, face: str) -> Fault:
        """What happens to a face's next request."""
        fault = self._first(face)
        if fault is None:
            return self._usual(face)
        if fault.after:
            fault.after -= 1
            return NO_FAULT
        fault.times -= 1
        if fault.times <= 0:
            self.remove(fault)
        return fault
