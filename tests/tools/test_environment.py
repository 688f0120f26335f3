"""What a machine needs is said before anything is made on it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import install
from tools.package import ROOT

FILES = (
    "Makefile",
    "pyproject.toml",
    "pack/pack_metadata.json",
    "tools/install.py",
    "tools/preflight.py",
    "tools/version.py",
)
OLD_PYTHON = "import sys; sys.version_info = (3, 9, 18, 'final', 0)"
WITHOUT = "import sys; sys.modules[{!r}] = None"
NEEDS_VENV = "Python lacks venv or ensurepip. On Debian and Ubuntu: apt install python3-venv"
MAKING = "Making the environment in .venv, once; it takes about a minute."
NEEDS_NEWER = "Python 3.10 or newer is needed: make PYTHON=..."


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what an environment is made from."""
    for file in FILES:
        target = tmp_path / file
        target.parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / file, target)
    return tmp_path


def make(project: Path, target: str, *at_start: str) -> tuple[int, list[str]]:
    """Run make in a Python that does some lines at its start; the exit code, and what was printed."""
    (project / "sitecustomize.py").write_text("\n".join(at_start), encoding="utf-8")
    command = ["make", "--no-print-directory", f"PYTHON={sys.executable}", target]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    environment = {**inherited, "PYTHONPATH": str(project), "LC_ALL": "C"}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
    printed = (done.stdout + done.stderr).splitlines()
    return done.returncode, [line for line in printed if not line.startswith("make: ")]


@pytest.mark.parametrize("target", [".venv/installed", "demo", "test", "validate"])
@pytest.mark.parametrize("module", ["ensurepip", "venv"])
def test_a_python_that_can_make_no_environment_is_refused_with_the_packages_name(
    project: Path, target: str, module: str
) -> None:
    assert make(project, target, WITHOUT.format(module)) == (2, [NEEDS_VENV])
    assert list(project.glob(".venv*")) == []


def test_a_python_that_is_too_old_is_refused_before_what_else_it_lacks(project: Path) -> None:
    assert make(project, "demo", OLD_PYTHON, WITHOUT.format("venv")) == (2, [NEEDS_NEWER])
    assert list(project.glob(".venv*")) == []


def test_that_the_environment_is_being_made_is_said_in_one_line(project: Path) -> None:
    stop_at_venv = "import os, sys; '-m' in sys.orig_argv and os._exit(3)"
    assert make(project, "demo", stop_at_venv) == (2, [MAKING])


# What shows while packages are installed

PIP = """
import sys, time
print(*sys.argv[1:], flush=True)
time.sleep(0.5)
print("Installing collected packages: contoso", flush=True)
time.sleep(0.5)
sys.exit(int("fails" in sys.argv))
"""


def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *arguments: str) -> int:
    """Install with a program in the place of pip."""
    pip = tmp_path / "pip.py"
    pip.write_text(PIP, encoding="utf-8")
    monkeypatch.setattr(install, "PIP", (sys.executable, str(pip)))
    monkeypatch.setattr(install, "TICK", 0.1)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")
    return install.main(list(arguments))


def test_at_a_terminal_what_pip_does_shows_on_one_line_that_is_cleared(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert installed(monkeypatch, tmp_path, "contoso") == 0
    shown = capsys.readouterr().out.split("\r\x1b[K")
    lines = [re.sub(r"^\d+ s: ", "", line) for line in shown]
    assert "--progress-bar=off contoso" in lines
    assert "Installing collected packages: con" in lines  # with the seconds, 39 characters
    assert shown[-1] == ""
    assert "\n" not in "".join(shown)


def test_all_that_a_failing_pip_printed_is_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert installed(monkeypatch, tmp_path, "fails") == 1
    assert capsys.readouterr().out.endswith(
        "\r\x1b[K\n--progress-bar=off fails\nInstalling collected packages: contoso\n"
    )


def test_where_the_output_goes_to_a_file_pip_is_quiet(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert installed(monkeypatch, tmp_path, "contoso") == 0
    assert capfd.readouterr().out.splitlines()[0] == "--quiet contoso"
