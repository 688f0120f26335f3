"""Run the tests as the XSOAR image would: on its Python, with exactly its package versions.

The versions stand in `test_data/image_constraints.txt`. Where that Python is not at hand, this says so and is content.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.package import ROOT

IMAGE_PYTHON = "3.12"
CONSTRAINTS = ROOT / "test_data/image_constraints.txt"
ENVIRONMENT = ROOT / ".venv-image"


def is_python(program: str) -> bool:
    """Whether the program is the image's Python: a name on the path may be an empty shell."""
    script = f"import sys; sys.exit('%d.%d' % sys.version_info[:2] != '{IMAGE_PYTHON}')"
    try:
        return not subprocess.run(
            [program, "-c", script], capture_output=True
        ).returncode
    except OSError:
        return False


def candidates() -> list[str]:
    """Where the image's Python may be: on the path, or among those that pyenv keeps."""
    found = [f"python{IMAGE_PYTHON}", "python3"]
    if shutil.which("pyenv"):
        done = subprocess.run(
            ["pyenv", "prefix", IMAGE_PYTHON], capture_output=True, text=True
        )
        found.append(str(Path(done.stdout.strip(), "bin/python3")))
    return found


def main() -> int:
    python = next(filter(is_python, candidates()), None)
    if not python:
        print(
            f"NOT RUN with the versions of the XSOAR image: there is no Python {IMAGE_PYTHON} on this machine."
        )
        return 0
    inside = str(ENVIRONMENT / "bin/python")
    install = [inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for command in (
        [python, "-m", "venv", "--clear", str(ENVIRONMENT)],
        [*install, "--constraint", str(CONSTRAINTS), "--editable", f"{ROOT}[dev]"],
        [inside, "-m", "pytest", "-q", "-n", "auto"],
    ):
        if code := subprocess.run(command, cwd=ROOT, env=os.environ).returncode:
            return code
    print(f"Ran with Python {IMAGE_PYTHON} and the versions of the XSOAR image.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
