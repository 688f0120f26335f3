"""What the server puts around each call of an integration, and takes away again."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any


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
    own = vars(owner).get(name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if own is None:
            delattr(owner, name)
        else:
            setattr(owner, name, own)


@contextlib.contextmanager
def led_to(simulator: Any, session_class: Any) -> Iterator[None]:
    """Lead the requests of these sessions to the simulator, each with the retries of the adapter it was meant for."""
    loopbacks: dict[Any, Any] = {}
    original = session_class.get_adapter

    def get_adapter(session: Any, url: str) -> Any:
        meant = original(session, url)
        if meant not in loopbacks:
            loopbacks[meant] = simulator.adapter(meant.max_retries)
        return loopbacks[meant]

    with replaced(session_class, "get_adapter", get_adapter):
        try:
            yield
        finally:
            for loopback in loopbacks.values():
                loopback.close()
