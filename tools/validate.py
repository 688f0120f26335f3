"""Run the vendor's own checks on the project, without a network.

The vendor's SDK works on a repository of packs, so one is made in a temporary folder: on `master` the pack without any
content at an earlier version, on a branch the pack as it is. Seen from there all content is new and the release notes
are due, which is when most of its validators run.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

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
    "approved_tags.json": {"approved_list": {"common": [], "xsoar": []}},
    "approved_usecases.json": {"approved_list": []},
    "compliant_policies.json": {"policies": []},
}

LIST_CODES = """
from demisto_sdk.commands.validate.validators.base_validator import get_all_validators
print("\\n".join(sorted({validator.error_code for validator in get_all_validators()})))
"""
PYLINT_LEVELS = (
    "base",
    "community_level",
    "partner_level",
    "certified_partner_level",
    "xsoar_level",
)
PLUGINS = "demisto_sdk/commands/pre_commit/resources/pylint_plugins"

BASE_VERSION = "0.0.1"

IDENTITY = {"NAME": "validate", "EMAIL": "validate@contoso.example"}

# An address where nobody listens: what tries to reach the network fails at once.
NOWHERE = "http://127.0.0.1:9"


def environment() -> dict[str, str]:
    return {
        **os.environ,
        "DEMISTO_SDK_IGNORE_CONTENT_WARNING": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        **{
            f"{side}_{key}": value
            for side in ("GIT_AUTHOR", "GIT_COMMITTER")
            for key, value in IDENTITY.items()
        },
        **dict.fromkeys(
            ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), NOWHERE
        ),
    }


def run(
    command: list[str], folder: Path, **extra: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env={**environment(), **extra},
        capture_output=True,
        text=True,
    )


def checked(command: list[str], folder: Path) -> str:
    """The command's output. Raises RuntimeError with what it said when it failed."""
    done = run(command, folder)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def write_tree(root: Path, tree: Path) -> None:
    """Lay the project out in tree as the vendor lays out a pack."""
    integration = tree / INTEGRATION
    integration.mkdir(parents=True)
    for file, name in INTEGRATION_FILES.items():
        shutil.copy(root / file, integration / name)
    for name, data in pack_sources(Project(root)).items():
        path = tree / PACK / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def write_base(root: Path, tree: Path) -> None:
    (tree / PACK).mkdir(parents=True)
    for name in DOT_FILES:
        shutil.copy(root / "pack" / name, tree / PACK / name)
    metadata = {**Project(root).metadata.value, "currentVersion": BASE_VERSION}
    (tree / PACK / "pack_metadata.json").write_text(
        json.dumps(metadata), encoding="utf-8"
    )
    (tree / "Config").mkdir()
    for name, value in CONFIG.items():
        (tree / "Config" / name).write_text(json.dumps(value), encoding="utf-8")


def make_repository(root: Path, tree: Path) -> None:
    """The pack as a branch, and its base as what the vendor's tools take for the published state."""
    write_base(root, tree)
    for command in (
        "init --quiet --initial-branch=master",
        "add --all",
        "commit --quiet --message=base",
    ):
        checked(["git", *command.split()], tree)
    write_tree(root, tree)
    for command in (
        "remote add origin .",
        "update-ref refs/remotes/origin/master HEAD",
        "checkout --quiet -b pack",
        "add --all",
        "commit --quiet --message=pack",
    ):
        checked(["git", *command.split()], tree)


def left_out(code: str) -> str | None:
    """Why a validator is left out, or None when it runs."""
    return LEFT_OUT.get(code) or LEFT_OUT.get(code.rstrip("0123456789"))


def codes(sdk: Path, tree: Path) -> list[str]:
    """Every validator the installed SDK knows, by its code."""
    return re.findall(
        r"^[A-Z]{2}\d{3}$",
        checked([str(sdk / "python"), "-c", LIST_CODES], tree),
        re.MULTILINE,
    )


def validators(sdk: Path, tree: Path) -> bool:
    """Run the validators; print what they found. True when they found nothing."""
    known = codes(sdk, tree)
    selected = [code for code in known if not left_out(code)]
    command = [
        str(sdk / "demisto-sdk"),
        "validate",
        "--use-git",
        "--post-commit",
        "--prev-ver",
        "origin/master",
    ]
    command += [
        "--ignore-support-level",
        "--run-specific-validations",
        ",".join(selected),
    ]
    done = run(command, tree)
    if done.returncode or "All validations passed" not in done.stdout + done.stderr:
        print(done.stdout, done.stderr, sep="\n")
        return False
    print(
        f"Validators: {len(selected)} were asked and found nothing, {len(known) - len(selected)} were left out."
    )
    for code, reason in LEFT_OUT.items():
        print(f"  {code}{'' if code[-1].isdigit() else '***'}: {reason}")
    return True


def rules(plugins: Path) -> list[str]:
    """Every rule of the vendor's pylint plugins, by its code."""
    found = (
        re.findall(r'"([EW]9\d{3})"', file.read_text(encoding="utf-8"))
        for file in plugins.glob("*.py")
    )
    return sorted({code for codes_of_file in found for code in codes_of_file})


def lint(sdk: Path, tree: Path) -> bool:
    """Run the vendor's pylint plugins on the module; print what they found. True when they found nothing."""
    site = checked(
        [
            str(sdk / "python"),
            "-c",
            "import sysconfig; print(sysconfig.get_path('purelib'))",
        ],
        tree,
    ).strip()
    plugins = Path(site, PLUGINS)
    messages = rules(plugins)
    commands = ",".join(
        command["name"]
        for command in Project(ROOT).manifest.value["script"]["commands"]
    )
    command = [
        str(sdk / "pylint"),
        "--disable=all",
        "--score=n",
        f"--enable={','.join(messages)}",
    ]
    command += [
        f"--load-plugins={','.join(f'{level}_checker' for level in PYLINT_LEVELS)}",
        f"{INTEGRATION / NAME}.py",
    ]
    done = run(
        command, tree, PYTHONPATH=str(plugins), commands=commands, is_script="False"
    )
    print(
        done.stdout
        or f"Pylint plugins: {len(messages)} rules were asked and found nothing.",
        done.stderr,
        sep="\n",
    )
    return not done.returncode


def main() -> int:
    """The one argument is the folder with the SDK's programs."""
    sdk = Path(sys.argv[1]).absolute()
    with tempfile.TemporaryDirectory() as folder:
        try:
            make_repository(ROOT, Path(folder))
            passed = [validators(sdk, Path(folder)), lint(sdk, Path(folder))]
        except (BuildError, OSError, RuntimeError) as error:
            print(error, file=sys.stderr)
            return 1
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
