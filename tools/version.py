"""The product's version, which stands in the pack's metadata and nowhere else.

The build of the Python package asks here for it (see `pyproject.toml`).
"""

import json
from pathlib import Path

METADATA = Path(__file__).resolve().parent.parent / "pack/pack_metadata.json"
VERSION = str(json.loads(METADATA.read_text(encoding="utf-8"))["currentVersion"])
