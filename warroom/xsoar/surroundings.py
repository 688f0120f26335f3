"""What the server puts around each call of an integration, and takes away again."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any, Protocol, cast

from requests import Session
from requests.adapters import HTTPAdapter


class Destination(Protocol):
    """Where requests are led in place of the hosts they name."""

    def adapter(self, *, carrier: HTTPAdapter) -> HTTPAdapter: ...


@contextlib.contextmanager
def restored_environment() -> Iterator[None]:
    before = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Set an attribute for a while; one that was only inherited is inherited again afterwards."""
    was_its_own = name in vars(owner)
    before = vars(owner).get(name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if was_its_own:
            setattr(owner, name, before)
        else:
            delattr(owner, name)


@contextlib.contextmanager
def led_to(destination: Destination, session_class: type[Session]) -> Iterator[None]:
    """Lead the requests of these sessions elsewhere, each by way of its own adapter."""
    adapters: dict[HTTPAdapter, HTTPAdapter] = {}
    original = session_class.get_adapter

    def get_adapter(session: Session, url: str) -> HTTPAdapter:
        own = cast(HTTPAdapter, original(session, url))
        if own not in adapters:
            adapters[own] = destination.adapter(carrier=own)
        return adapters[own]

    with replaced(session_class, "get_adapter", get_adapter):
        try:
            yield
        finally:
            for adapter in adapters.values():
                adapter.close()
