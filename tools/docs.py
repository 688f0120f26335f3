"""Writes the README's parameters and commands from the manifest and from real runs against the simulated tenant.

`make docs` renews what stands between the markers; `python -m tools.docs --check` tells whether it is up to date.
Every example is run: nothing in those parts is written by hand.
"""

import json
import sys
from datetime import datetime, timezone
from typing import Any

import yaml

from warroom.azure.demo import demo_tenant
from warroom.azure.server import Simulator
from warroom.azure.tenant import Tenant
from warroom.demo import demo_instance
from warroom.xsoar.entries import Run
from warroom.xsoar.integration import MANIFEST, PROJECT, load_integration
from warroom.xsoar.runner import WarRoom

README = PROJECT / "README.md"
BEGIN, END = "<!-- {}: written by make docs -->", "<!-- end of {} -->"
NOW = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
CONTEXT_LINES = 40  # of an example; longer context is cut

ADELE = "adele.vance@contoso.example"
EXAMPLES = {
    "azure-risky-users-auth-test": ["!azure-risky-users-auth-test"],
    "azure-risky-users-auth-start": ["!azure-risky-users-auth-start"],
    "azure-risky-users-auth-complete": ["!azure-risky-users-auth-complete"],
    "azure-risky-users-auth-reset": ["!azure-risky-users-auth-reset"],
    "azure-risky-users-list": [
        "!azure-risky-users-list page_size=2",
        '!azure-risky-users-list risk_level=high risk_state=atRisk updated_after="5 days" limit=3',
    ],
    "azure-risky-user-get": [
        "!azure-risky-user-get id=333",
        f"!azure-risky-user-get user_principal_name={ADELE}",
    ],
    "azure-risky-user-history-list": [
        f"!azure-risky-user-history-list user_principal_name={ADELE}"
    ],
    "azure-risky-users-risk-detections-list": [
        "!azure-risky-users-risk-detections-list limit=2",
        f"!azure-risky-users-risk-detections-list user_principal_name={ADELE}",
    ],
    "azure-risky-users-risk-detection-get": [
        "!azure-risky-users-risk-detection-get id=6565"
    ],
    "azure-risky-service-principals-list": [
        "!azure-risky-service-principals-list risk_level=high limit=2"
    ],
    "azure-risky-service-principal-get": [
        "!azure-risky-service-principal-get id={service_principal}"
    ],
    "azure-risky-service-principal-history-list": [
        "!azure-risky-service-principal-history-list id={service_principal}"
    ],
    "azure-risky-service-principal-detections-list": [
        "!azure-risky-service-principal-detections-list service_principal_id={service_principal} limit=1"
    ],
    "azure-risky-service-principal-detection-get": [
        "!azure-risky-service-principal-detection-get id={service_principal_detection}"
    ],
    "azure-risky-users-confirm-compromised": [
        f"!azure-risky-users-confirm-compromised user_principal_names={ADELE} dry_run=true",
        f"!azure-risky-users-confirm-compromised user_principal_names={ADELE}",
    ],
    "azure-risky-users-confirm-safe": ["!azure-risky-users-confirm-safe user_ids=999"],
    "azure-risky-users-dismiss": [
        "!azure-risky-users-dismiss user_ids=777,no-such-user"
    ],
    "azure-risky-service-principals-confirm-compromised": [
        "!azure-risky-service-principals-confirm-compromised service_principal_ids={service_principal}"
    ],
    "azure-risky-service-principals-dismiss": [
        "!azure-risky-service-principals-dismiss service_principal_ids={service_principal} verify=true"
    ],
    "azure-risky-users-fetch-preview": ["!azure-risky-users-fetch-preview"],
}
BY_DEVICE_CODE = (
    "azure-risky-users-auth-start",
    "azure-risky-users-auth-complete",
    "azure-risky-users-auth-reset",
)


def parameter_part(manifest: dict[str, Any]) -> str:
    """Return the table of the instance's parameters."""
    rows = [
        f"| {' / '.join(filter(None, (rule.get('display'), rule.get('displaypassword'))))} "
        f"| {in_cell(rule.get('additionalinfo', ''))} | {rule.get('defaultvalue', '')} | {need(rule)} |"
        for rule in manifest["configuration"]
    ]
    head = [
        "| **Parameter** | **Meaning** | **Default** | **Required** |",
        "| --- | --- | --- | --- |",
    ]
    return "\n".join([*head, *rows, ""])


def command_part(manifest: dict[str, Any]) -> str:
    """Return a section for each command."""
    commands = manifest["script"]["commands"]
    with Simulator(demo_tenant(NOW)) as simulator:
        rooms = {
            sign_in: room(simulator, sign_in)
            for sign_in in ("Client Credentials", "Device Code")
        }
        sections = []
        for command in commands:
            where = rooms[
                "Device Code"
                if command["name"] in BY_DEVICE_CODE
                else "Client Credentials"
            ]
            sections.append(section(command, where, simulator))
    return "\n".join(sections)


def room(simulator: Simulator, sign_in: str) -> WarRoom:
    params = {**demo_instance(sign_in), "max_fetch": "3"}
    return WarRoom(
        load_integration(),
        MANIFEST,
        params,
        simulator=simulator,
        clock=lambda: NOW,
        sleep=lambda _: None,
    )


def section(command: dict[str, Any], where: WarRoom, simulator: Simulator) -> str:
    """Return one command's section: what it takes, what it gives, and its examples."""
    name = command["name"]
    parts = [
        f"### {name}\n",
        f"{command['description']}\n",
        arguments(command),
        outputs(command),
    ]
    parts += [
        example(line.format(**known_ids(simulator.tenant)), where, simulator)
        for line in EXAMPLES[name]
    ]
    return "\n".join(parts)


def known_ids(tenant: Tenant) -> dict[str, str]:
    """Return ids for the examples: the first service principal at high risk, and its first detection."""
    principal = next(
        row for row in tenant.service_principals.values() if row["riskLevel"] == "high"
    )
    found = (
        row
        for row in tenant.service_principal_detections.values()
        if row["servicePrincipalId"] == principal["id"]
    )
    return {
        "service_principal": principal["id"],
        "service_principal_detection": next(found)["id"],
    }


def arguments(command: dict[str, Any]) -> str:
    shown = [rule for rule in command.get("arguments", []) if not rule.get("hidden")]
    if not shown:
        return "Takes no arguments.\n"
    rows = [
        f"| {rule['name']} | {in_cell(told(rule))} | {need(rule)} |" for rule in shown
    ]
    return "\n".join(
        [
            "| **Argument** | **Description** | **Required** |",
            "| --- | --- | --- |",
            *rows,
            "",
        ]
    )


def told(rule: dict[str, Any]) -> str:
    options = (
        f" Options: {', '.join(rule['predefined'])}." if rule.get("predefined") else ""
    )
    default = f" Default: {rule['defaultValue']}." if rule.get("defaultValue") else ""
    return f"{rule['description']}{options}{default}"


def need(rule: dict[str, Any]) -> str:
    return "Required" if rule.get("required") else "Optional"


def outputs(command: dict[str, Any]) -> str:
    if not command.get("outputs"):
        return "Writes nothing to context.\n"
    rows = [
        f"| {out['contextPath']} | {out['type']} | {in_cell(out['description'])} |"
        for out in command["outputs"]
    ]
    return "\n".join(
        [
            "| **Context path** | **Type** | **Description** |",
            "| --- | --- | --- |",
            *rows,
            "",
        ]
    )


def in_cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def example(line: str, where: WarRoom, simulator: Simulator) -> str:
    """Run a line; return it with what the war room showed and what went into context."""
    run = where.run(line)
    approve_waiting(simulator)
    text = f"```\n{line}\n```\n\n{quoted(run)}\n"
    context = [
        entry["EntryContext"] for entry in run.entries if entry.get("EntryContext")
    ]
    return f"{text}\n{folded(context[-1])}" if context else text


def approve_waiting(simulator: Simulator) -> None:
    """Play the person at the browser, for the command that follows auth-start."""
    for flow in list(simulator.entra.flows.values()):
        if flow.state == "pending":
            simulator.entra.approve(flow.user_code)


def quoted(run: Run) -> str:
    """Return the readable text of the entries as block quotes."""
    shown = [
        entry.get("HumanReadable") or str(entry.get("Contents"))
        for entry in run.entries
    ]
    lines = "\n\n".join(
        text.strip().replace("\n### ", "\n#### ") for text in shown if text.strip()
    ).splitlines()
    return "\n".join(
        f"> {line}".replace("> ### ", "> #### ").rstrip() for line in lines
    )


def folded(context: Any) -> str:
    """Return context as JSON that the reader unfolds."""
    lines = json.dumps(context, indent=2, ensure_ascii=False).splitlines()
    rest = (
        [f"... ({len(lines) - CONTEXT_LINES} more lines)"]
        if len(lines) > CONTEXT_LINES
        else []
    )
    body = "\n".join(lines[:CONTEXT_LINES] + rest)
    return (
        f"<details><summary>Context</summary>\n\n```json\n{body}\n```\n\n</details>\n"
    )


PARTS = {"parameters": parameter_part, "commands": command_part}


def renewed(text: str) -> str:
    """Return the README's text with its generated parts renewed. Raises: ValueError: a marker is missing."""
    manifest = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))
    for name, part in PARTS.items():
        begin, end = BEGIN.format(name), END.format(name)
        head, tail = text.index(begin) + len(begin), text.index(end)
        text = f"{text[:head]}\n\n{part(manifest)}\n{text[tail:]}"
    return text


def main() -> int:
    before = README.read_text(encoding="utf-8")
    after = renewed(before)
    if "--check" in sys.argv[1:]:
        print(
            "README.md is up to date."
            if before == after
            else "README.md is out of date: run make docs."
        )
        return int(before != after)
    README.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
