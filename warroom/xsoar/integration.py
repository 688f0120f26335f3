"""Where the integration lies, and the two ways to load it: as modules, and as one text."""

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

PLATFORM_IMPORT = re.compile(
    r"^(?:import demistomock as demisto|from CommonServer(?:User)?Python import \*)"
    r"[ \t]*(?:#.*)?$",
    re.MULTILINE,
)


def load_integration() -> ModuleType:
    """Import the integration with the stand-ins in the platform's place."""
    for folder in (STANDINS, PROJECT):
        path = str(folder)
        if path not in sys.path:
            sys.path.insert(0, path)
    return importlib.import_module("AzureRiskyUsers")


def standin(name: str) -> str:
    """The text of one of the platform's two modules."""
    path = STANDINS / f"{name}.py"
    return path.read_text(encoding="utf-8")


def new_demisto(call: dict[str, Any]) -> ModuleType:
    """The platform's object, apart from the one that is imported, about to run this call."""
    demisto = ModuleType("demisto")
    namespace = vars(demisto)
    exec(standin("demistomock"), namespace)
    namespace["call"] = demisto.Call(**call)
    return demisto


def check_bindings(library: dict[str, Any], namespace: dict[str, Any]) -> None:
    """Raises: NameError: a name of the library means something else in the namespace."""
    rebound = []
    for name, value in library.items():
        if namespace.get(name) is not value:
            rebound.append(name)
    if rebound:
        names = ", ".join(sorted(rebound))
        problem = "the integration binds names of the platform's library anew"
        raise NameError(f"{problem}: {names}")


def run_as_one_text(source: str, **call: Any) -> ModuleType:
    """Run library and integration as the server does.

    That is one text in one namespace, without a file, under the name `builtins`.
    source: the integration's text. call: fields of the `Call` that this first run
    executes. The module returned can be given to a WarRoom. Raises: NameError: the
    integration gave a name of the library another meaning.
    """
    module = ModuleType("builtins")
    namespace = vars(module)
    namespace["demisto"] = new_demisto(call)
    library = standin("CommonServerPython")
    text = f"{library}\n_library = dict(globals())\n{source}"
    server_text = PLATFORM_IMPORT.sub("", text)
    code = compile(server_text, "<string>", "exec", dont_inherit=True)
    with contextlib.suppress(SystemExit):
        exec(code, namespace)
    check_bindings(namespace.pop("_library"), namespace)
    return module
