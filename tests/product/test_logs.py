"""No name of a person stands in the server's log when the network fails, nor in the traceback that goes there."""

from collections.abc import Callable
from typing import Any

import pytest

from helpers import LIST
from warroom.azure.server import Simulator
from warroom.azure.tenant import CLIENT_SECRET
from warroom.xsoar.runner import WarRoom

NAME = "adele.vance"
FAULTS: dict[str, dict[str, Any]] = {
    "no answer": {"drop": True},
    "half an answer": {"truncate": True},
    "a redirect": {"status": 302, "location": f"https://fabrikam.example/?{NAME}"},
    "an outage": {"status": 503},
    "too many requests": {"status": 429},
    "a refusal": {"status": 403},
    "no JSON": {"body": "<html>Sign in</html>"},
}


@pytest.fixture
def logged(war_room: WarRoom) -> Callable[[str], str]:
    """Run a line that fails; give what the server's log then holds."""

    def run(line: str) -> str:
        done = war_room.run(line)
        assert len(done.entries) == 1
        assert done.failed
        assert any("Traceback (most recent call last)" in text for text in done.logs)
        return "\n".join(done.logs)

    return run


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("face", ["graph", "login"])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_no_name_and_no_secret_stands_in_the_log_of_a_failure(
    logged: Callable[[str], str], simulator: Simulator, face: str, fault: dict[str, Any]
) -> None:
    simulator.fail_next(face=face, times=999, **fault)
    text = logged(f"{LIST} user_principal_name={NAME}@contoso.example")
    assert NAME not in text
    assert CLIENT_SECRET not in text
    assert "$filter" not in text
