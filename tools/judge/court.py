"""A tenant that is served, and Microsoft's clients, led to it by the environment alone."""

import os
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

from azure.identity import ClientSecretCredential
from msgraph import GraphServiceClient

from warroom.azure.demo import demo_tenant
from warroom.azure.entra import Entra
from warroom.azure.exchange import Recorded
from warroom.azure.service import Service
from warroom.azure.services import Services
from warroom.azure.tenant import CLIENT_ID, CLIENT_SECRET, TENANT_ID, App, Tenant

USERS = 40
DETECTIONS = 40
SCOPE = "https://graph.microsoft.com/.default"
OF_THIS_MACHINE = (
    "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",
    "MSI_ENDPOINT",
    "AZURE_POD_IDENTITY_AUTHORITY_HOST",
    "NO_PROXY",
    "no_proxy",
)


class Disagreement(Exception):  # noqa: N818 - whose error it is has to be found out
    """Simulator and client do not see the same."""


def same(found: object, expected: object) -> None:
    """Raises: Disagreement: the two differ."""
    if found != expected:
        raise Disagreement(f"\n  found    {found!r}\n  expected {expected!r}")


def nothing(found: Iterable[object]) -> None:
    """Raises: Disagreement: there is something."""
    same(list(found), [])


def within(part: str, whole: Iterable[str]) -> None:
    """Raises: Disagreement: the part is not in it."""
    if part not in whole:
        raise Disagreement(f"{part!r} is not in {whole!r}")


@contextmanager
def environment(changes: Mapping[str, str], without: tuple[str, ...]) -> Iterator[None]:
    """The environment of this process with other variables, for a while."""
    usual = dict(os.environ)
    for name in without:
        os.environ.pop(name, None)
    os.environ.update(changes)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(usual)


def way_to(service: Service) -> dict[str, str]:
    """The variables that lead any client to a service, and nowhere else."""
    proxy = f"http://127.0.0.1:{service.http_port}"
    ca = str(service.ca)
    led = dict.fromkeys(
        ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"), proxy
    )
    trusted = dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), ca)
    return {**led, **trusted}


class Court(NamedTuple):
    """A served tenant. services: what records the requests, and lets faults happen."""

    services: Services
    service: Service

    @property
    def tenant(self) -> Tenant:
        return self.services.tenant

    @property
    def app(self) -> App:
        """The registration of the app that the client signs in as."""
        return self.tenant.apps[CLIENT_ID]

    @property
    def last(self) -> Recorded:
        """The last request that came."""
        return self.services.requests[-1]

    @property
    def last_ids(self) -> tuple[str, str]:
        """The request-id and client-request-id of its answer."""
        return self.services.request_ids(self.last)

    @property
    def entra(self) -> Entra:
        return self.services.entra

    @property
    def grants(self) -> list[str]:
        """What the requests for tokens were based on, as far as there were any."""
        grants = []
        for request in self.services.login_requests:
            grant = request.form.get("grant_type")
            if grant:
                grants.append(grant)
        return grants


Check = Callable[[Court], Coroutine[Any, Any, None]]


@contextmanager
def court() -> Iterator[Court]:
    """A tenant of its own for each check, as checks change it."""
    tenant = demo_tenant(users=USERS, detections=DETECTIONS)
    services = Services(tenant)
    services.entra.interval = 1  # second between two polls for a device code
    with ExitStack() as opened:
        service = opened.enter_context(Service(services))
        variables = environment(way_to(service), OF_THIS_MACHINE)
        opened.enter_context(variables)
        yield Court(services, service)


def secret_credential() -> ClientSecretCredential:
    return ClientSecretCredential(TENANT_ID, CLIENT_ID, CLIENT_SECRET)


def graph_client() -> GraphServiceClient:
    """Microsoft's client with all of its defaults."""
    return GraphServiceClient(secret_credential())


async def refused(kind: type[Exception], call: Callable[[], Any]) -> Any:
    """The error of this kind that a call ends with. Raises: Disagreement: it does not."""
    try:
        await call()
    except kind as error:
        return error
    raise Disagreement(f"no {kind.__name__} came")
