"""Leads requests that are meant for Microsoft's hosts to a port of this machine."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from requests import PreparedRequest, Response
from requests.adapters import DEFAULT_RETRIES, HTTPAdapter
from requests.utils import select_proxy
from urllib3.util.retry import Retry


class LoopbackAdapter(HTTPAdapter):
    """Sends every request to one port.

    Its headers tell the host, scheme and proxy that it was meant for. carrier: the adapter
    that sends it, with its own retries and limits; without one it is sent from here.
    """

    def __init__(
        self,
        port: int,
        max_retries: Retry | int | None = DEFAULT_RETRIES,
        scheme: str = "http",
        carrier: HTTPAdapter | None = None,
    ) -> None:
        super().__init__(max_retries=max_retries)
        self.carry = carrier.send if carrier else super().send
        self.origin = f"{scheme}://127.0.0.1:{port}"

    def _led_here(self, request: PreparedRequest) -> PreparedRequest:
        meant = urlsplit(str(request.url))
        headers = {
            "Host": meant.netloc,
            "X-Forwarded-Proto": meant.scheme,
        }
        led = request.copy()
        led.url = self.origin + request.path_url
        led.headers.update(headers)
        return led

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        url = str(request.url)
        led = self._led_here(request)
        proxies = kwargs.pop("proxies", None)
        proxy = select_proxy(url, proxies)
        if proxy:
            led.headers["X-Loopback-Proxy"] = proxy
        response = self.carry(led, *args, **kwargs)
        response.request = request
        response.url = url
        return response
