"""Runs the tests as the XSOAR image would: on its Python, with exactly its package versions.

The versions stand in `test_data/image_constraints.txt`. Where that Python is not at hand, this
says so and is content.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tools.package import ROOT

IMAGE_PYTHON = "3.12"
CONSTRAINTS = ROOT / "test_data/image_constraints.txt"
ENVIRONMENT = ROOT / ".venv-image"
INSIDE = ENVIRONMENT / "bin/python"

IS_IMAGE_PYTHON = f"""
import sys
sys.exit("%d.%d" % sys.version_info[:2] != "{IMAGE_PYTHON}")
"""
NOT_RUN = (
    "NOT RUN with the versions of the XSOAR image: "
    f"there is no Python {IMAGE_PYTHON} on this machine."
)
RAN = f"Ran with Python {IMAGE_PYTHON} and the versions of the XSOAR image."

PIP_INSTALL = "-m pip install --quiet --disable-pip-version-check --editable"
INSTALL = (*PIP_INSTALL.split(), f"{ROOT}[dev]", "--constraint", str(CONSTRAINTS))


def is_python(program: str) -> bool:
    """Whether the program is the image's Python: a name on the path may be an empty shell."""
    command = [program, "-c", IS_IMAGE_PYTHON]
    try:
        done = subprocess.run(command, capture_output=True)
    except OSError:
        return False
    return done.returncode == 0


def candidates() -> Iterator[str]:
    """Where the image's Python may be: on the path, or among those that pyenv keeps."""
    yield f"python{IMAGE_PYTHON}"
    yield "python3"
    if not shutil.which("pyenv"):
        return
    command = ["pyenv", "prefix", IMAGE_PYTHON]
    done = subprocess.run(command, capture_output=True, text=True)
    prefix = Path(done.stdout.strip())
    yield str(prefix / "bin/python3")


def steps(python: str) -> Iterator[list[str]]:
    """The commands that make the environment and run the tests in it."""
    yield [python, "-m", "venv", "--clear", str(ENVIRONMENT)]
    yield [str(INSIDE), *INSTALL]
    yield [str(INSIDE), "-m", "pytest", "-q", "-n", "auto"]


def main() -> int:
    python = next(filter(is_python, candidates()), None)
    if python is None:
        print(NOT_RUN)
        return 0
    for command in steps(python):
        done = subprocess.run(command, cwd=ROOT)
        if done.returncode:
            return done.returncode
    print(RAN)
    return 0


if __name__ == "__main__":
    sys.exit(main())
