"""The parameters of an instance, as the server hands them to an integration."""

import json
import os
from pathlib import Path
from typing import Any

from warroom.xsoar.commandline import Args
from warroom.xsoar.integration import MANIFEST
from warroom.xsoar.manifest import Manifest


def credentials(password: str) -> dict[str, str]:
    """A parameter of the credentials type whose user name is hidden."""
    return {"identifier": "", "password": password}


def with_defaults(given: Args, manifest_path: Path = MANIFEST) -> Args:
    """The parameters given, and the manifest's defaults for the others.

    Raises: ValueError: a name is not the manifest's.
    """
    manifest = Manifest.read(manifest_path)
    defaults = manifest.default_parameters()
    unknown = set(given) - set(defaults)
    if unknown:
        names = ", ".join(sorted(unknown))
        known = ", ".join(defaults)
        raise ValueError(f"unknown parameters: {names}; there are {known}")
    return defaults | given


def _from_environment(value: dict[str, Any]) -> Any:
    if set(value) != {"env"}:
        return value
    name = value["env"]
    if not isinstance(name, str):
        raise ValueError(f"env takes the name of an environment variable, not {name!r}")
    content = os.environ.get(name)
    if content is None:
        raise ValueError(f"the environment variable {name} is not set")
    return content


def load_instance(path: Path, manifest_path: Path = MANIFEST) -> Args:
    """The parameters in a JSON file; {"env": "NAME"} stands for that environment variable.

    Raises: ValueError: the file is no JSON object, a name is not the manifest's, or a
    variable is not set or not named by text.
    """
    text = path.read_text(encoding="utf-8")
    given = json.loads(text, object_hook=_from_environment)
    if not isinstance(given, dict):
        raise ValueError(f"{path}: a JSON object of parameters is needed")
    return with_defaults(given, manifest_path)
