"""Serves the simulated tenant to any client of Microsoft's, until it is interrupted."""

import json
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType
from typing import NoReturn
from urllib.parse import unquote

from warroom.azure.exchange import Recorded
from warroom.azure.service import Service
from warroom.azure.tenant import CLIENT_ID, CLIENT_SECRET, TENANT_ID
from warroom.terminal.characters import harmless
from warroom.terminal.desk import Desk, no_word

ENDS = (signal.SIGINT, signal.SIGTERM)
HANGUP = signal.SIGHUP  # A terminal that closes; `nohup` has it ignored.
# What names of the query have in them whose values nobody else may see.
SECRETS = ("secret", "token", "assertion", "password", "code")
SKIP_TOKEN = "$skiptoken"  # Despite its name it is none: it stands for a page.
HIDDEN = "***"
GLANCE = 0.2  # seconds

GUIDE = """\
Served until Ctrl-C, with a line for each request:

  hosts          {hosts}
  https          127.0.0.1:{https}, for those hosts
  http           127.0.0.1:{http}, a proxy to them, and the managed identity
  ca             {ca}
  tenant_id      {tenant_id}
  client_id      {client_id}
  client_secret  {client_secret}

Any client gets here with these variables in its environment:

  export HTTPS_PROXY=http://127.0.0.1:{http} HTTP_PROXY=http://127.0.0.1:{http}
  export SSL_CERT_FILE={ca} REQUESTS_CA_BUNDLE={ca} CURL_CA_BUNDLE={ca}

and Microsoft's own sign in with these:

  export AZURE_TENANT_ID={tenant_id}
  export AZURE_CLIENT_ID={client_id}
  export AZURE_CLIENT_SECRET={client_secret}
"""

# ---- the log


def _is_secret(name: str) -> bool:
    if name == SKIP_TOKEN:
        return False
    lowered = name.lower()
    return any(word in lowered for word in SECRETS)


def _shown_part(part: str) -> str:
    """What is between two & of a query, as it came, up to the value of a secret.

    Some part names and values with a semicolon.
    """
    for match in re.finditer("(?:^|;)([^;=]*)=", part):
        if _is_secret(unquote(match[1])):
            return part[: match.end()] + HIDDEN
    return part


def _shown_query(query: str) -> str:
    return "&".join(map(_shown_part, query.split("&")))


def _shown_host(host: str) -> str:
    """The host without the name and password that an address may have before it."""
    _, mark, name = host.rpartition("@")
    return f"{HIDDEN}@{name}" if mark else host


def log_line(request: Recorded, status: int) -> str:
    """What is shown of a request: never its headers and its body, where secrets belong."""
    path, mark, query = request.target.partition("?")
    target = path + mark + _shown_query(query)
    host = _shown_host(request.host)
    words = [request.method, host, target, str(status)]
    return harmless(" ".join(filter(None, words)))


def _log(request: Recorded, status: int) -> None:
    line = log_line(request, status)
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


# ---- until the end


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


@contextmanager
def _interruptible() -> Iterator[None]:
    """Lets each way to end a program interrupt, also where the shell had it ignored."""
    is_ignored = signal.getsignal(HANGUP) is signal.SIG_IGN
    ends = ENDS if is_ignored else (*ENDS, HANGUP)
    usual = {number: signal.signal(number, _interrupt) for number in ends}
    try:
        yield
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)


def _wait() -> NoReturn:
    """Wait for an interruption. One that comes to another thread wakes nobody, so look."""
    while True:
        time.sleep(GLANCE)


def _facts(service: Service) -> dict[str, str | int]:
    """What a client needs to know."""
    return {
        "https": service.https_port,
        "http": service.http_port,
        "ca": str(service.ca),
        "tenant_id": TENANT_ID,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
    }


def _introduce(desk: Desk, service: Service) -> None:
    facts = _facts(service)
    text = json.dumps(facts)
    if desk.options.shape != "json":
        text = GUIDE.format(**facts, hosts=", ".join(service.hosts))
    print(text, file=desk.console.file, flush=True)


def serve(desk: Desk, rest: list[str]) -> None:
    """Serve the tenant, and come back with what clients have changed in it."""
    no_word(rest)
    simulator = desk.simulator()
    with ExitStack() as opened:
        opened.enter_context(suppress(KeyboardInterrupt))
        opened.enter_context(_interruptible())
        service = opened.enter_context(Service(simulator, _log))
        _introduce(desk, service)
        _wait()
    if desk.console.is_terminal:
        # Ctrl-C is shown where it was typed, in the middle of a line.
        desk.console.print()
