"""Where the integration lies, and the two ways to load it: as modules and as one text."""

import contextlib
import importlib
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

STANDINS = Path(__file__).parent / "standins"


PROJECT = Path(__file__).parent.parent.parent


MANIFEST = PROJECT / "AzureRiskyUsers.yml"


def load_integration() -> ModuleType:
    """Import the integration with the stand-ins in the platform's place."""
    for folder in (str(STANDINS), str(PROJECT)):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    return importlib.import_module("AzureRiskyUsers")


PLATFORM_IMPORT = re.compile(
    r"^(?:import demistomock as demisto|from CommonServer(?:User)?Python import \*)[ \t]*(?:#.*)?$",
    re.MULTILINE,
)


def run_as_one_text(integration: str, **call: Any) -> ModuleType:
    """Run library and integration as the server does: one text, one namespace, no file, called `builtins`.

    call: fields of the `Call` that this first run executes. The module returned can be given to a WarRoom.
    Raises: NameError: the integration gave a name of the library another meaning.
    """
    module = ModuleType("builtins")
    demisto = ModuleType("demisto")
    exec((STANDINS / "demistomock.py").read_text(encoding="utf-8"), vars(demisto))
    vars(demisto)["call"] = demisto.Call(**call)
    vars(module)["demisto"] = demisto
    library = (STANDINS / "CommonServerPython.py").read_text(encoding="utf-8")
    text = f"{library}\n_library = dict(globals())\n{integration}"
    code = compile(PLATFORM_IMPORT.sub("", text), "<string>", "exec", dont_inherit=True)
    with contextlib.suppress(SystemExit):
        exec(code, vars(module))
    rebound = [
        name
        for name, value in vars(module).pop("_library").items()
        if vars(module).get(name) is not value
    ]
    if rebound:
        raise NameError(
            f"the integration binds names of the platform's library anew: {', '.join(sorted(rebound))}"
        )
    return module
