"""Everything that answers for a tenant, told apart by host. No sockets."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from warroom.azure.browser import HOST as BROWSER_HOST
from warroom.azure.browser import Browser
from warroom.azure.entra import Entra
from warroom.azure.exchange import Answer, Json, Recorded, html_page
from warroom.azure.faults import NO_FAULT, Fault, Faults
from warroom.azure.graph import (
    CHALLENGE,
    LOGS,
    RISK,
    Graph,
    RefusedError,
    folder_of,
    usual_refusal,
)
from warroom.azure.identity import APP_SERVICE_HOST, IMDS_HOST, MachineIdentity
from warroom.azure.tenant import Tenant

OUTAGE = {
    "error": "temporarily_unavailable",
    "error_description": "AADSTS90033: A transient error has occurred.",
}
LOG_REQUESTS = 5  # that the logs take of a tenant in LOG_SECONDS
LOG_SECONDS = 10
LOGS_ARE_BUSY = RefusedError(
    429,
    "UnknownError",
    "This request is throttled. Please try again after the value specified in the"
    " Retry-After header.",
)


def _never(_: float) -> bool:
    return False


def _waiting() -> Callable[[float], object]:
    return threading.Event().wait


@dataclass(eq=False)
class Services:
    """Graph, sign-in and managed identity of a tenant; they record what they are asked.

    requests: as they came, in order. numbers: theirs. faults: those to come.
    throttle: ID Protection's requests a second for the tenant, refused ones counted too;
    None is unlimited, and so are the logs then.
    is_taken: whether another application has that moment's request of ID Protection.
    retry_after: seconds named on those 429s; None, as with ID Protection, names none.
    next_link_override: gives the link to hand out in place of the right one.
    sleep: waits the seconds by which a fault delays an answer. It is not time.sleep:
    that belongs to the client's waits, which tests replace.
    """

    tenant: Tenant
    requests: list[Recorded] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    faults: Faults = field(default_factory=Faults)
    throttle: float | None = None
    is_taken: Callable[[float], bool] = _never
    retry_after: int | None = None
    throttle_clock: Callable[[], float] = time.monotonic
    next_link_override: Callable[[str], str] | None = None
    sleep: Callable[[float], object] = field(default_factory=_waiting)
    _free_at: float = float("-inf")
    _log_moments: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        tenant = self.tenant
        entra = Entra(tenant)
        self.entra = entra
        self.graph = Graph(tenant, entra)
        self.identity = MachineIdentity(tenant, entra)
        self.browser = Browser(entra)
        self._lock = threading.Lock()

    # ---- what was asked

    def _requests_to(self, *hosts: str) -> list[Recorded]:
        requests = []
        for request in self.requests:
            if request.host in hosts:
                requests.append(request)
        return requests

    @property
    def graph_requests(self) -> list[Recorded]:
        return self._requests_to(self.tenant.hosts.graph)

    @property
    def login_requests(self) -> list[Recorded]:
        return self._requests_to(self.tenant.hosts.login)

    @property
    def identity_requests(self) -> list[Recorded]:
        return self._requests_to(IMDS_HOST, APP_SERVICE_HOST)

    def request_ids(self, request: Recorded) -> tuple[str, str]:
        """An answer's request-id and client-request-id."""
        return self.graph.request_ids(request)

    # ---- what shall go wrong

    def fail_next(self, status: int = 200, **how: Any) -> None:
        """Let a fault (the fields of Fault) happen to the requests to come."""
        fault = Fault(status, **how)
        self.faults.add(fault)

    def _forced_body(self, face: str, request: Recorded, status: int) -> Json | str:
        if face != "graph":
            return OUTAGE
        refusal = usual_refusal(status)
        answer = self.graph.refuse(request, refusal)
        return answer.body or ""

    def _forced(self, face: str, request: Recorded, fault: Fault) -> Answer:
        status = fault.status
        headers = fault.headers()
        if face == "graph" and status == 401:
            headers["WWW-Authenticate"] = CHALLENGE
        if fault.has_own_body:
            return Answer(status, fault.body, headers)
        body = self._forced_body(face, request, status)
        return Answer(status, body, headers)

    def _throttled_by_risk(self, request: Recorded, rate: float) -> Answer | None:
        """The refusal of a request that comes too soon after the last, answered or not."""
        now = self.throttle_clock()
        too_soon = now < self._free_at or self.is_taken(now)
        self._free_at = now + 1 / rate
        if not too_soon:
            return None
        answer = self.graph.refuse(request, usual_refusal(429))
        if self.retry_after is None:
            return answer
        headers = {"Retry-After": str(self.retry_after)}
        return answer._replace(headers=headers)

    def _throttled_by_logs(self, request: Recorded) -> Answer | None:
        """The refusal of a request too many, which counts like those before it."""
        now = self.throttle_clock()
        recent = [each for each in self._log_moments if each > now - LOG_SECONDS]
        self._log_moments = [*recent, now]
        if len(recent) < LOG_REQUESTS:
            return None
        free_at = self._log_moments[-LOG_REQUESTS] + LOG_SECONDS
        headers = {"Retry-After": str(math.ceil(free_at - now))}
        answer = self.graph.refuse(request, LOGS_ARE_BUSY)
        return answer._replace(headers=headers)

    def _throttled(self, request: Recorded) -> Answer | None:
        """The refusal of a request that is one too many; each service counts its own."""
        folder = folder_of(request.path)
        if not self.throttle:
            return None
        if folder == RISK:
            return self._throttled_by_risk(request, self.throttle)
        if folder == LOGS:
            return self._throttled_by_logs(request)
        return None

    def _relinked(self, answer: Answer) -> Answer:
        body = answer.body
        if not self.next_link_override or not isinstance(body, dict):
            return answer
        link = body.get("@odata.nextLink")
        if link is None:
            return answer
        other = {"@odata.nextLink": self.next_link_override(link)}
        return answer._replace(body=body | other)

    # ---- answers

    def face(self, request: Recorded) -> str | None:
        """Which service a request is for.

        None: none of this tenant's cloud, or not by its scheme.
        """
        hosts = self.tenant.hosts
        faces = {
            f"https://{hosts.login}": "login",
            f"https://{hosts.graph}": "graph",
            f"http://{IMDS_HOST}": "identity",
            f"http://{APP_SERVICE_HOST}": "identity",
            f"https://{BROWSER_HOST}": "browser",
        }
        return faces.get(f"{request.scheme}://{request.host}")

    def _genuine(self, face: str, request: Recorded) -> Answer:
        if face == "login":
            return self.entra.answer(request)
        if face == "identity":
            return self.identity.answer(request)
        if face == "browser":
            return self.browser.answer(request)
        return self._throttled(request) or self.graph.answer(request)

    def _answer(self, request: Recorded) -> tuple[Answer, Fault]:
        face = self.face(request)
        if face is None:
            misdirected = html_page(421, "Misdirected Request")
            return misdirected, NO_FAULT
        fault = self.faults.take(face)
        if fault.replaces_answer:
            return self._forced(face, request, fault), fault
        return self._genuine(face, request), fault

    def take(self, request: Recorded) -> tuple[Answer, Fault]:
        """Record a request and answer it, with the fault that happens to the answer."""
        with self._lock:
            self.requests.append(request)
            answer, fault = self._answer(request)
        relinked = self._relinked(answer)
        return relinked, fault
