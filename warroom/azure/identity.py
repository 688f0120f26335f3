"""This machine's managed identities: the endpoints that give them tokens. No HTTP."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import NamedTuple

from warroom.azure.aadsts import EntraError
from warroom.azure.entra import Entra
from warroom.azure.exchange import Answer, Json, Recorded
from warroom.azure.tenant import Tenant

IMDS_HOST = "169.254.169.254"
APP_SERVICE_HOST = "127.0.0.1:41741"
# For the variables IDENTITY_ENDPOINT and IDENTITY_HEADER.
APP_SERVICE_ENDPOINT = f"http://{APP_SERVICE_HOST}/msi/token"
APP_SERVICE_HEADER = "00000000-0000-0000-0000-0000000000ad"
APP_SERVICE_ANSWER = (
    "access_token",
    "expires_on",
    "resource",
    "token_type",
    "client_id",
)


class Endpoint(NamedTuple):
    """How an endpoint is asked. selectors: the ways to name an identity, one at most."""

    path: str
    version: str
    selectors: tuple[str, ...]

    def is_asked_by(self, request: Recorded) -> bool:
        if request.method != "GET":
            return False
        return request.path == self.path


IMDS = Endpoint(
    "/metadata/identity/oauth2/token",
    "2018-02-01",
    ("client_id", "object_id", "msi_res_id"),
)
APP_SERVICE = Endpoint(
    "/msi/token", "2019-08-01", ("client_id", "object_id", "principal_id", "mi_res_id")
)


def _imds_error(error: str, text: str, status: int = 400) -> Answer:
    return Answer(status, {"error": error, "error_description": text})


def _app_service_error(status: int, text: str) -> Answer:
    return Answer(status, {"statusCode": status, "message": text})


class MachineIdentity:
    """Answers for the metadata service of a virtual machine (IMDS) and for App Service."""

    def __init__(self, tenant: Tenant, entra: Entra) -> None:
        self.tenant = tenant
        self.entra = entra

    def _problem(self, query: Mapping[str, str], endpoint: Endpoint) -> str:
        """What is wrong with a request for a token; empty if nothing is."""
        resource = query.get("resource")
        selectors = [name for name in endpoint.selectors if name in query]
        unknown = set(query) - {"api-version", "resource", *selectors}
        if unknown or len(selectors) > 1:
            return "Unknown or contradictory parameters"
        if query.get("api-version") != endpoint.version:
            return "Invalid api-version"
        if resource != f"https://{self.tenant.hosts.graph}":
            principal = f"The resource principal named {resource}"
            return f"AADSTS500011: {principal} was not found in the tenant"
        known = selectors in ([], ["client_id"])
        if not known or query.get("client_id", "") not in self.tenant.identities:
            return "Identity not found"
        return ""

    def _token(self, query: Mapping[str, str]) -> Json:
        client_id = query.get("client_id", "")
        permissions = self.tenant.identities[client_id]
        name = client_id or "system-assigned"
        answer = self.entra.issue_to_app(name, permissions)
        now = int(time.time())
        return {
            **answer,
            "expires_on": str(now + self.entra.token_lifetime),
            "not_before": str(now),
            "resource": query["resource"],
            "client_id": client_id,
        }

    def _imds(self, request: Recorded) -> Answer:
        """An IMDS answer gives its numbers as strings."""
        if not IMDS.is_asked_by(request):
            return _imds_error("not_found", "Not found", 404)
        headers = request.headers
        if headers.get("Metadata") != "true" or "X-Forwarded-For" in headers:
            text = "Required metadata header not specified"
            return _imds_error("bad_request_102", text)
        problem = self._problem(request.query, IMDS)
        if problem:
            return _imds_error("invalid_request", problem)
        token = self._token(request.query)
        lifetime = str(token["expires_in"])
        body = {
            **token,
            "refresh_token": "",
            "expires_in": lifetime,
            "ext_expires_in": lifetime,
        }
        return Answer(200, body)

    def _app_service(self, request: Recorded) -> Answer:
        if request.headers.get("X-IDENTITY-HEADER") != APP_SERVICE_HEADER:
            text = "The X-IDENTITY-HEADER is missing or wrong."
            return _app_service_error(401, text)
        problem = self._problem(request.query, APP_SERVICE)
        if problem:
            return _app_service_error(400, problem)
        if not APP_SERVICE.is_asked_by(request):
            return _app_service_error(400, "Not found")
        token = self._token(request.query)
        return Answer(200, {name: token[name] for name in APP_SERVICE_ANSWER})

    def answer(self, request: Recorded) -> Answer:
        """Answer a request to one of the endpoints."""
        if request.repeated:
            return self.entra.refuse(EntraError(9000411))
        if request.host == IMDS_HOST:
            return self._imds(request)
        return self._app_service(request)
