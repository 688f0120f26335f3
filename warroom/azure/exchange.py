"""One exchange with a simulated service: the request as it came, and the answer."""

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

from requests.structures import CaseInsensitiveDict

Json = dict[str, Any]


@dataclass(frozen=True)
class Recorded:
    """A request. `path` and `target` (path and query) are raw, `query` and `form` decoded.

    repeated: the names that came more than once in the query or the form.
    """

    method: str
    host: str
    path: str
    query: dict[str, str]
    headers: CaseInsensitiveDict[str]
    body: bytes
    form: dict[str, str]
    target: str
    scheme: str
    number: int
    repeated: tuple[str, ...] = ()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Answer(NamedTuple):
    """A dict as body is sent as JSON, None as no body at all."""

    status: int
    body: Json | str | None
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed


def html_page(status: int, text: str) -> Answer:
    page = f"<!DOCTYPE html><html><body>{text}</body></html>"
    headers = {"Content-Type": "text/html"}
    return Answer(status, page, headers)
