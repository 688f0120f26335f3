"""Runs the tests with what an administrator installs: `pytest -p tools.shipped`.

This plugin of pytest puts the code of the unified file in the place of the integration's
module, so that every test that imports the integration runs it.
"""

import sys
from importlib import import_module
from types import CodeType, ModuleType
from typing import Any

from tools.package import NAME, ROOT, UNIFIED_NAME, Document

UNIFIED = ROOT / "dist" / UNIFIED_NAME
STANDINS = str(ROOT / "warroom/xsoar/standins")


def shipped_code() -> CodeType:
    """The code under the platform's file name, so that tracebacks show no lines of the YAML."""
    text = UNIFIED.read_text(encoding="utf-8")
    document = Document(UNIFIED_NAME, text)
    script = document.at(("script", "script"))
    return compile(script, "<string>", "exec")


def platform_names() -> dict[str, Any]:
    """What the platform has in a script's own namespace."""
    names: dict[str, Any] = {"demisto": import_module("demistomock")}
    exec("from CommonServerPython import *", names)
    return names


def new_module() -> ModuleType:
    module = ModuleType(NAME)
    module.__file__ = str(UNIFIED)
    return module


def load() -> None:
    sys.path.insert(0, STANDINS)
    module = new_module()
    namespace = vars(module)
    namespace.update(platform_names())
    sys.modules[NAME] = module
    exec(shipped_code(), namespace)


load()
