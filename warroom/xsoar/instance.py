"""The parameters of an instance, as the server hands them to an integration."""

import json
import os
from pathlib import Path
from typing import Any

from warroom.xsoar.commandline import Args
from warroom.xsoar.integration import MANIFEST
from warroom.xsoar.manifest import Manifest


def load_instance(path: Path | str, manifest_path: Path | str = MANIFEST) -> Args:
    """The parameters of the instance that a JSON file describes; {"env": "NAME"} stands for that environment variable.

    Raises: ValueError: the file is no JSON object, a name is not the manifest's, or a variable is not set.
    """
    given = json.loads(
        Path(path).read_text(encoding="utf-8"), object_hook=_from_environment
    )
    if not isinstance(given, dict):
        raise ValueError(f"{path}: a JSON object of parameters is needed")
    return with_defaults(given, manifest_path)


def with_defaults(given: Args, manifest_path: Path | str = MANIFEST) -> Args:
    """Parameters as the server hands them over: those not given as the manifest has them."""
    defaults = Manifest.read(manifest_path).default_parameters()
    unknown = sorted(set(given) - set(defaults))
    if unknown:
        raise ValueError(
            f"unknown parameters: {', '.join(unknown)}; there are {', '.join(defaults)}"
        )
    return {**defaults, **given}


def _from_environment(value: dict[str, Any]) -> Any:
    if set(value) != {"env"}:
        return value
    if value["env"] not in os.environ:
        raise ValueError(f"the environment variable {value['env']} is not set")
    return os.environ[value["env"]]


def credentials(password: str) -> dict[str, str]:
    """A parameter of the credentials type whose user name is hidden."""
    return {"identifier": "", "password": password}
