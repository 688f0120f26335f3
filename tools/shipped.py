"""A pytest plugin (`pytest -p tools.shipped`) that puts the code of the unified file in the integration's place.

Every test that imports the integration then runs what an administrator installs.
"""

import importlib
import sys
from types import ModuleType

from tools.package import NAME, ROOT, UNIFIED_NAME, Document


def load() -> ModuleType:
    """The shipped code as a module, in a namespace that has what the platform provides."""
    sys.path.insert(0, str(ROOT / "warroom/xsoar/standins"))
    unified = ROOT / "dist" / UNIFIED_NAME
    script = Document(UNIFIED_NAME, unified.read_text(encoding="utf-8")).value[
        "script"
    ]["script"]
    helpers = importlib.import_module("CommonServerPython")
    module = ModuleType(NAME)
    module.__file__ = str(unified)
    vars(module).update({name: getattr(helpers, name) for name in helpers.__all__})
    vars(module)["demisto"] = importlib.import_module("demistomock")
    sys.modules[NAME] = module
    # Named as the platform names it, so that a traceback does not show lines of the YAML around it.
    exec(compile(script, "<string>", "exec"), vars(module))
    return module


load()
