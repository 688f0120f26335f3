"""Runs every check, each in a tenant of its own. Gives 1 as exit code if any failed."""

import asyncio
import logging
import sys
import time
import traceback
from collections.abc import Mapping
from importlib.metadata import version

from tools.judge import failing, judging, metadata, reading, readme, signing_in
from tools.judge.court import Check, court

CHECKS: Mapping[str, Check] = {
    **signing_in.CHECKS,
    **reading.CHECKS,
    **judging.CHECKS,
    **failing.CHECKS,
    **metadata.CHECKS,
    **readme.CHECKS,
}
CLIENTS = ("msgraph-sdk", "azure-identity")


def passes(name: str) -> bool:
    """Whether a check finds no disagreement; prints what it finds."""
    try:
        with court() as served:
            check = CHECKS[name]
            asyncio.run(check(served))
    except Exception:
        print(f"FAILED  The client {name}:", flush=True)
        traceback.print_exc()
        return False
    return True


def clients() -> str:
    known = [f"{name} {version(name)}" for name in CLIENTS]
    return " and ".join(known)


def main() -> int:
    azure = logging.getLogger("azure")
    azure.setLevel(logging.CRITICAL)  # Its errors are meant here.
    began = time.monotonic()
    failed = [name for name in CHECKS if not passes(name)]
    took = time.monotonic() - began
    number = len(CHECKS)
    print(f"{clients()}: {number} checks, {len(failed)} failed, in {took:.1f} s.")
    return min(len(failed), 1)


if __name__ == "__main__":
    sys.exit(main())
