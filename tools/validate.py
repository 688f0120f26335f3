"""Runs the vendor's own checks on the project, without a network.

The vendor's SDK works on a repository of packs, so one is made in a temporary folder: on
`master` the pack without any content at an earlier version, on a branch the pack as it is. Seen
from there all content is new and the release notes are due, which is when most of its
validators run.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tools.package import NAME, ROOT, BuildError, Project, pack_sources

PACK = Path("Packs") / NAME
INTEGRATION = PACK / "Integrations" / NAME

# The integration's files, by their place in the project, and what they are called in the pack.
INTEGRATION_FILES = {
    f"{NAME}.py": f"{NAME}.py",
    f"{NAME}.yml": f"{NAME}.yml",
    f"{NAME}_description.md": f"{NAME}_description.md",
    f"{NAME}_image.png": f"{NAME}_image.png",
    "docs/commands.md": "README.md",
}
DOT_FILES = (".secrets-ignore", ".pack-ignore")

# The vendor's policies, each with the arguments of which a command has to name one of theirs.
POLICIES = "tools/compliant_policies.json"

# Validators that cannot judge this project, by code or by the letters it begins with, and why.
LEFT_OUT = {
    "GR": "compares with all other packs, in a graph database",
    "PA124": "compares with all other packs, in a graph database",
    "PB133": "compares with all other packs, in a graph database",
    "DO103": "asks the image registry",
    "DO105": "asks for the vendor's list of retired images",
    "DO106": "asks the image registry",
    "BC117": "fails every pack new on XSIAM: it asks for the vendor's sign-off",
}

# The vendor's lists that some validators compare with, as far as they matter here.
CONFIG: dict[str, dict[str, Any]] = {
    "approved_categories.json": {"approved_list": ["Identity and Access Management"]},
    "approved_tags.json": {
        "approved_list": {"common": ["Alerts", "IAM", "Incident Response"], "xsoar": []}
    },
    "approved_usecases.json": {
        "approved_list": ["Identity and Access Management", "Incident Response"]
    },
}

# Asked of the SDK's own Python.
PRINT_CODES = """
from demisto_sdk.commands.validate.validators.base_validator import get_all_validators
print("\\n".join(sorted({validator.error_code for validator in get_all_validators()})))
"""
PRINT_PACKAGES = "import sysconfig; print(sysconfig.get_path('purelib'))"

CODE = re.compile(r"^[A-Z]{2}\d{3}$", re.MULTILINE)
PASSED = "All validations passed"
SETTINGS = "Config/validate.toml"
VALIDATE = (
    "validate --use-git --post-commit --prev-ver origin/master --ignore-support-level"
    f" --config-path {SETTINGS}"
)

# What a file may be spared by .pack-ignore: the vendor lets these too.
SETTINGS_TEXT = 'ignorable_errors = ["IF115"]\n'

PLUGINS = "demisto_sdk/commands/pre_commit/resources/pylint_plugins"
RULE = re.compile(r'"([EW]9\d{3})"')
PYLINT_CHECKERS = (
    "base_checker",
    "community_level_checker",
    "partner_level_checker",
    "certified_partner_level_checker",
    "xsoar_level_checker",
)

BASE_VERSION = "0.0.1"
MAKE_BASE = (
    "init --quiet --initial-branch=master",
    "add --all",
    "commit --quiet --message=base",
)
MAKE_PACK = (
    "remote add origin .",
    "update-ref refs/remotes/origin/master HEAD",
    "checkout --quiet -b pack",
    "add --all",
    "commit --quiet --message=pack",
)

# An address where nobody listens: what tries to reach the network fails at once.
NOWHERE = "http://127.0.0.1:9"
ENVIRONMENT = {
    "DEMISTO_SDK_IGNORE_CONTENT_WARNING": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "validate",
    "GIT_AUTHOR_EMAIL": "validate@contoso.example",
    "GIT_COMMITTER_NAME": "validate",
    "GIT_COMMITTER_EMAIL": "validate@contoso.example",
    "HTTP_PROXY": NOWHERE,
    "HTTPS_PROXY": NOWHERE,
    "http_proxy": NOWHERE,
    "https_proxy": NOWHERE,
}

Done = subprocess.CompletedProcess[str]


# The vendor's repository


def run(command: list[str], folder: Path, **extra: str) -> Done:
    environment = {**os.environ, **ENVIRONMENT, **extra}
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )


def output_of(command: list[str], folder: Path) -> str:
    """What a command prints. Raises RuntimeError with that when it fails."""
    done = run(command, folder)
    if done.returncode:
        line = " ".join(command)
        raise RuntimeError(f"{line}\n{done.stdout}{done.stderr}")
    return done.stdout


def git(commands: tuple[str, ...], folder: Path) -> None:
    for command in commands:
        output_of(["git", *command.split()], folder)


def write_json(path: Path, value: Any) -> None:
    text = json.dumps(value)
    path.write_text(text, encoding="utf-8")


def write_base(root: Path, tree: Path) -> None:
    """The pack at an earlier version, without any content."""
    pack = tree / PACK
    pack.mkdir(parents=True)
    for name in DOT_FILES:
        shutil.copy(root / "pack" / name, pack / name)
    metadata = Project(root).metadata.value
    earlier = metadata | {"currentVersion": BASE_VERSION}
    write_json(pack / "pack_metadata.json", earlier)
    config = tree / "Config"
    config.mkdir()
    for name, value in CONFIG.items():
        write_json(config / name, value)
    shutil.copy(root / POLICIES, config)
    settings = tree / SETTINGS
    settings.write_text(SETTINGS_TEXT, encoding="utf-8")


def write_tree(root: Path, tree: Path) -> None:
    """The project as the vendor lays out a pack."""
    integration = tree / INTEGRATION
    integration.mkdir(parents=True)
    for file, name in INTEGRATION_FILES.items():
        shutil.copy(root / file, integration / name)
    sources = pack_sources(Project(root))
    for name, data in sources.items():
        path = tree / PACK / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def make_repository(root: Path, tree: Path) -> None:
    """The pack as a branch; its base is what the vendor's tools take for the published state."""
    write_base(root, tree)
    git(MAKE_BASE, tree)
    write_tree(root, tree)
    git(MAKE_PACK, tree)


# The vendor's programs


class Sdk(NamedTuple):
    """The folder of the SDK's programs, and the repository they work on."""

    programs: Path
    tree: Path

    def program(self, name: str) -> str:
        path = self.programs / name
        return str(path)

    def answer(self, script: str) -> str:
        """What a script prints in the SDK's own Python."""
        python = self.program("python")
        return output_of([python, "-c", script], self.tree)


def left_out(code: str) -> str | None:
    """Why a validator is left out, or None when it runs."""
    letters = code.rstrip("0123456789")
    return LEFT_OUT.get(code) or LEFT_OUT.get(letters)


def print_left_out() -> None:
    for code, reason in LEFT_OUT.items():
        is_whole = code[-1].isdigit()
        pattern = code if is_whole else f"{code}***"
        print(f"  {pattern}: {reason}")


def validators_pass(sdk: Sdk) -> bool:
    """Runs the validators and prints what they found."""
    known = CODE.findall(sdk.answer(PRINT_CODES))
    selected = [code for code in known if not left_out(code)]
    command = [
        sdk.program("demisto-sdk"),
        *VALIDATE.split(),
        "--run-specific-validations",
        ",".join(selected),
    ]
    done = run(command, sdk.tree)
    if done.returncode or PASSED not in done.stdout + done.stderr:
        print(done.stdout, done.stderr, sep="\n")
        return False
    asked = len(selected)
    rest = len(known) - asked
    print(f"Validators: {asked} were asked and found nothing, {rest} were left out.")
    print_left_out()
    return True


def rules_of(plugins: Path) -> Iterator[str]:
    """Every rule of the vendor's pylint plugins, by its code."""
    for file in plugins.glob("*.py"):
        text = file.read_text(encoding="utf-8")
        yield from RULE.findall(text)


def command_names() -> str:
    """The commands as the plugins want them: what a manifest has, in a variable."""
    commands = Project(ROOT).manifest.at(("script", "commands"))
    return ",".join(command["name"] for command in commands)


def lint_passes(sdk: Sdk) -> bool:
    """Runs the vendor's pylint plugins on the module and prints what they found."""
    packages = sdk.answer(PRINT_PACKAGES).strip()
    plugins = Path(packages, PLUGINS)
    rules = sorted(set(rules_of(plugins)))
    command = [
        sdk.program("pylint"),
        "--disable=all",
        "--score=n",
        f"--enable={','.join(rules)}",
        f"--load-plugins={','.join(PYLINT_CHECKERS)}",
        str(INTEGRATION / f"{NAME}.py"),
    ]
    done = run(
        command,
        sdk.tree,
        PYTHONPATH=str(plugins),
        commands=command_names(),
        is_script="False",
    )
    nothing = f"Pylint plugins: {len(rules)} rules were asked and found nothing."
    print(done.stdout or nothing, done.stderr, sep="\n")
    return done.returncode == 0


def passes(sdk: Sdk) -> bool:
    """Whether neither the validators nor the plugins find anything; both run."""
    make_repository(ROOT, sdk.tree)
    passed = [validators_pass(sdk), lint_passes(sdk)]
    return all(passed)


def main(programs: str) -> int:
    """The argument is the folder with the SDK's programs."""
    path = Path(programs).absolute()
    with tempfile.TemporaryDirectory() as folder:
        sdk = Sdk(path, Path(folder))
        try:
            return 0 if passes(sdk) else 1
        except (BuildError, OSError, RuntimeError) as error:
            print(error, file=sys.stderr)
            return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
