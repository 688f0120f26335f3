"""No name of a person stands in the server's log when the network fails, nor in the traceback that goes there."""

from typing import Any

import pytest

from helpers import LIST
from warroom.azure.server import Simulator
from warroom.azure.tenant import CLIENT_SECRET
from warroom.xsoar.runner import WarRoom

NAME = "adele.vance@contoso.example"
COMMANDS = [
    f"{LIST} user_principal_name={NAME}",
    f"!azure-risky-user-get user={NAME}",
    f"!azure-risky-user-get id={NAME}",
    f"!azure-risky-user-history-list user={NAME}",
    f"!azure-risky-users-risk-detections-list user_principal_name={NAME}",
    f"!azure-risky-users-dismiss user={NAME}",
]
FAULTS: dict[str, dict[str, Any]] = {
    "no answer": {"drop": True},
    "half an answer": {"truncate": True},
    "a redirect": {"status": 302, "location": f"https://fabrikam.example/?{NAME}"},
    "an outage": {"status": 503},
    "too many requests": {"status": 429},
    "a refusal": {"status": 403},
    "no JSON": {"body": "<html>Sign in</html>"},
}


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("face", ["graph", "login"])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("command", COMMANDS)
def test_no_name_and_no_secret_stands_in_the_log_of_a_failure(
    war_room: WarRoom, simulator: Simulator, command: str, face: str, fault: dict[str, Any]
) -> None:
    simulator.fail_next(face=face, times=999, **fault)
    done = war_room.run(command)
    text = "\n".join(done.logs)
    assert done.failed
    assert "Traceback (most recent call last)" in text
    for hidden in ("adele.vance", "$filter", CLIENT_SECRET):
        assert hidden not in text
