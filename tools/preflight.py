"""Ends with what is missing when this Python cannot make the project's environments.

Any Python may run this, an old one too, so it keeps to words that all of them know.
"""

import sys

if sys.version_info < (3, 10):  # noqa: UP036 - an old Python is what is looked for
    sys.exit("Python 3.10 or newer is needed: make PYTHON=...")
try:
    import ensurepip  # noqa: F401
    import venv  # noqa: F401
except ImportError:
    sys.exit(
        "Python lacks venv or ensurepip. On Debian and Ubuntu: apt install python3-venv"
    )
