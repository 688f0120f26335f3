"""The example of the README, run as it stands there."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tools.judge.court import Court, environment, same
from warroom.azure.tenant import CLIENT_ID, CLIENT_SECRET, TENANT_ID

README = Path(__file__).resolve().parents[2] / "README.md"
EXAMPLE = re.compile("^## Serve it$.*?^```$(.*?)^```$", re.MULTILINE | re.DOTALL)
PROGRAMS = Path(sys.executable).parent


def example() -> str:
    text = README.read_text(encoding="utf-8")
    match = EXAMPLE.search(text)
    assert match is not None
    return match[1]


def variables(court: Court) -> dict[str, str]:
    """What `warroom serve` says to put into the environment, beside the way to it."""
    return {
        "CURL_CA_BUNDLE": str(court.service.ca),
        "AZURE_TENANT_ID": TENANT_ID,
        "AZURE_CLIENT_ID": CLIENT_ID,
        "AZURE_CLIENT_SECRET": CLIENT_SECRET,
        "PATH": os.pathsep.join([str(PROGRAMS), os.environ["PATH"]]),
    }


async def runs_the_example(court: Court) -> None:
    """By curl and by Python the same user comes first."""
    with environment(variables(court), ()):
        command = ["bash", "-ec", example()]
        done = subprocess.run(command, capture_output=True, text=True)
    same(done.stderr, "")
    user = next(iter(court.tenant.users.values()))
    by_curl, by_python = done.stdout.strip().splitlines()
    same(json.loads(by_curl)["value"], [user])
    level = user["riskLevel"].capitalize()
    same(by_python, f"{user['userPrincipalName']} RiskLevel.{level}")


CHECKS = {"runs the example of the README": runs_the_example}
