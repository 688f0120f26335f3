"""Writes what the documentation says of parameters and commands, from manifest and real runs.

`make docs` renews what stands between the markers of `README.md` and `docs/commands.md`.
Every example is run against the simulated tenant: nothing in those parts is written by hand.
"""

import json
import re
from collections.abc import Callable, Iterable
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tools.showcase import ADELE, open_room, open_simulator
from warroom.azure.cases import ADELE_ID, RAVI_ID
from warroom.azure.server import Simulator
from warroom.azure.tenant import Tenant
from warroom.xsoar.entries import Run
from warroom.xsoar.integration import MANIFEST, PROJECT

README = PROJECT / "README.md"
REFERENCE = PROJECT / "docs/commands.md"
BEGIN, END = "<!-- {}: written by make docs -->", "<!-- end of {} -->"
CONTEXT_LINES = 40  # of an example; longer context is cut

Rule = dict[str, Any]  # an argument, output, parameter or command in the manifest

BY_CLIENT_CREDENTIALS, BY_DEVICE_CODE = "Client Credentials", "Device Code"
SIGN_INS = {
    "azure-risky-users-auth-start": BY_DEVICE_CODE,
    "azure-risky-users-auth-complete": BY_DEVICE_CODE,
    "azure-risky-users-auth-reset": BY_DEVICE_CODE,
}

# The examples of each command: its arguments. Ids in braces are those of `known_ids`.
EXAMPLES = {
    "azure-risky-users-auth-test": [""],
    "azure-risky-users-auth-start": [""],
    "azure-risky-users-auth-complete": [""],
    "azure-risky-users-auth-reset": [""],
    "azure-risky-users-list": [
        "page_size=2",
        'risk_level=high risk_state=atRisk updated_after="5 days" limit=3',
    ],
    "azure-risky-user-get": ["id=333", f"user={ADELE}"],
    "azure-risky-user-history-list": ["user='Adele Vance'"],
    "azure-risky-user-investigate": [f"user={ADELE}"],
    "azure-risky-users-risk-detections-list": [
        "limit=2",
        f"user_principal_name={ADELE}",
    ],
    "azure-risky-users-risk-detection-get": ["id=6565"],
    "azure-risky-service-principals-list": ["risk_level=high limit=2"],
    "azure-risky-service-principal-get": ["id={service_principal}"],
    "azure-risky-service-principal-history-list": ["id={service_principal}"],
    "azure-risky-service-principal-detections-list": [
        "service_principal_id={service_principal} limit=1"
    ],
    "azure-risky-service-principal-detection-get": ["id={service_principal_detection}"],
    "azure-risky-users-confirm-compromise": [
        f"user={ADELE} dry_run=true",
        f"user={ADELE}",
    ],
    "azure-risky-users-confirm-safe": ["user={user}"],
    "azure-risky-users-dismiss": ["user={user},00000000-0000-4000-8000-000000004711"],
    "azure-risky-service-principals-confirm-compromise": [
        "service_principal={service_principal}"
    ],
    "azure-risky-service-principals-dismiss": [
        "service_principal={service_principal} verify=true"
    ],
    "azure-risky-sign-ins-list": [
        "risk_state=atRisk created_after='3 days' limit=2",
        f"user_principal_name={ADELE}",
    ],
    "azure-risky-sign-in-get": ["id={sign_in}"],
    "azure-risky-sign-ins-confirm-compromise": [
        "sign_in={sign_in} dry_run=true",
        "sign_in={sign_in}",
    ],
    "azure-risky-sign-ins-confirm-safe": ["sign_in={other_sign_in}"],
    "azure-risky-sign-ins-dismiss": ["sign_in={sign_in}"],
    "azure-risky-users-fetch-preview": [""],
}


# Markdown

HEADING = re.compile("^### ", re.MULTILINE)
FENCED = """\
```{language}
{text}
```"""
FOLDED = """\
<details><summary>Context</summary>

{block}

</details>"""
SECTION = """\
### {name}

{description}

#### Base Command

`{name}`

#### Input

{arguments}

#### Context Output

{outputs}

#### Command example

{examples}"""


def paragraphs(*parts: str) -> str:
    return "\n\n".join(filter(None, parts))


def fenced(text: str, language: str = "") -> str:
    return FENCED.format(language=language, text=text)


def quoted(text: str) -> str:
    """The text as a block quote, its headings below those around it."""
    lines = HEADING.sub("##### ", text).splitlines()
    quotes = [f"> {line}".rstrip() for line in lines]
    return "\n".join(quotes)


def table_line(cells: Iterable[str]) -> str:
    escaped = [cell.replace("|", "\\|") for cell in cells]
    line = " | ".join(escaped).replace("\n", " ")
    return f"| {line} |"


def table(headers: tuple[str, ...], rows: Iterable[Iterable[str]]) -> str:
    bold = [f"**{header}**" for header in headers]
    rule = ["---"] * len(headers)
    lines = [bold, rule, *rows]
    return "\n".join(map(table_line, lines))


# What the manifest says


def need(rule: Rule) -> str:
    if rule.get("required"):
        return "Required"
    return "Optional"


def parameter_row(parameter: Rule) -> list[str]:
    names = [parameter.get("display"), parameter.get("displaypassword")]
    return [
        " / ".join(filter(None, names)),
        parameter.get("additionalinfo", ""),
        parameter.get("defaultvalue", ""),
        need(parameter),
    ]


def parameter_table(manifest: Rule) -> str:
    """The instance's parameters."""
    headers = ("Parameter", "Meaning", "Default", "Required")
    rows = map(parameter_row, manifest["configuration"])
    return table(headers, rows)


def command_row(command: Rule) -> list[str]:
    """A link to the command in the reference, and the first sentence said of it."""
    name = command["name"]
    link = f"[`{name}`](docs/commands.md#{name})"
    first_sentence = command["description"].split(". ")[0]
    return [link, first_sentence.rstrip(".")]


def command_table(manifest: Rule) -> str:
    """All commands at a glance."""
    headers = ("Command", "What it does")
    rows = map(command_row, manifest["script"]["commands"])
    return table(headers, rows)


def argument_row(argument: Rule) -> list[str]:
    sentences = [argument["description"]]
    options = argument.get("predefined")
    if options:
        sentences.append(f"Options: {', '.join(options)}.")
    default = argument.get("defaultValue")
    if default:
        sentences.append(f"Default: {default}.")
    return [argument["name"], " ".join(sentences), need(argument)]


def argument_table(command: Rule) -> str:
    headers = ("Argument Name", "Description", "Required")
    rows = []
    for argument in command.get("arguments", []):
        if not argument.get("hidden"):
            rows.append(argument_row(argument))
    if not rows:
        return "This command takes no arguments."
    return table(headers, rows)


output_row = itemgetter("contextPath", "type", "description")


def output_table(command: Rule) -> str:
    headers = ("Path", "Type", "Description")
    outputs = command.get("outputs")
    if not outputs:
        return "This command writes nothing to the context."
    return table(headers, map(output_row, outputs))


# What runs show


def readable(run: Run) -> str:
    """The text that the war room shows for a run."""
    texts = []
    for entry in run.entries:
        text = entry.get("HumanReadable") or str(entry.get("Contents"))
        texts.append(text.strip())
    return paragraphs(*texts)


def last_context(run: Run) -> Any:
    """The last that a run wrote to the context, or None."""
    for entry in reversed(run.entries):
        if entry.get("EntryContext"):
            return entry["EntryContext"]
    return None


def shortened(text: str) -> str:
    lines = text.splitlines()
    rest = len(lines) - CONTEXT_LINES
    if rest <= 0:
        return text
    note = f"... ({rest} more lines)"
    return "\n".join([*lines[:CONTEXT_LINES], note])


def folded_context(run: Run) -> str:
    """The last that a run wrote to the context, as JSON that the reader unfolds."""
    context = last_context(run)
    if not context:
        return ""
    text = json.dumps(context, indent=2, ensure_ascii=False)
    block = fenced(shortened(text), "json")
    return FOLDED.format(block=block)


def approve_waiting(simulator: Simulator) -> None:
    """Plays the person at the browser, for the command that follows auth-start."""
    flows = list(simulator.entra.flows.values())
    for flow in flows:
        if flow.state == "pending":
            simulator.entra.approve(flow.user_code)


def first_id(rows: Iterable[dict[str, Any]], **values: object) -> str:
    """The id of the first row that has these values."""
    for row in rows:
        if values.items() <= row.items():
            return str(row["id"])
    raise LookupError(f"No row has {values}")


def known_ids(tenant: Tenant) -> dict[str, str]:
    """Ids for the examples: a user at high risk, a service principal at high risk, a
    detection behind it, and the risky sign-ins of two of the cases."""
    principals = tenant.service_principals.values()
    detections = tenant.service_principal_detections.values()
    principal = first_id(principals, riskLevel="high")
    detection = first_id(detections, servicePrincipalId=principal)
    user = first_id(tenant.users.values(), riskLevel="high", isDeleted=False)
    sign_ins = tenant.sign_ins.values()
    return {
        "user": user,
        "sign_in": first_id(sign_ins, userId=ADELE_ID, riskLevelAggregated="medium"),
        "other_sign_in": first_id(sign_ins, userId=RAVI_ID, riskState="atRisk"),
        "service_principal": principal,
        "service_principal_detection": detection,
    }


def examples_of(command: str) -> list[str]:
    """The arguments of a command's examples. Raises: ValueError: it has none."""
    examples = EXAMPLES.get(command)
    if not examples:
        raise ValueError(f"tools/docs.py has no example of {command}")
    return examples


class Stage:
    """A simulated tenant, with a war room for each way to sign in to it."""

    def __init__(self, simulator: Simulator):
        self.simulator = simulator
        self.ids = known_ids(simulator.tenant)
        self.rooms = {
            BY_CLIENT_CREDENTIALS: open_room(simulator, BY_CLIENT_CREDENTIALS),
            BY_DEVICE_CODE: open_room(simulator, BY_DEVICE_CODE),
        }

    def example(self, command: str, arguments: str) -> str:
        """A line as it is typed, what it showed, and what it wrote to the context."""
        given = arguments.format_map(self.ids)
        line = f"!{command} {given}".rstrip()
        sign_in = SIGN_INS.get(command, BY_CLIENT_CREDENTIALS)
        room = self.rooms[sign_in]
        run = room.run(line)
        approve_waiting(self.simulator)
        return paragraphs(
            fenced(line),
            quoted(readable(run)),
            folded_context(run),
        )

    def section(self, command: Rule) -> str:
        """One command: what it takes, what it gives, and its examples."""
        name = command["name"]
        examples = [self.example(name, arguments) for arguments in examples_of(name)]
        return SECTION.format(
            name=name,
            description=command["description"],
            arguments=argument_table(command),
            outputs=output_table(command),
            examples=paragraphs(*examples),
        )


def command_sections(manifest: Rule) -> str:
    """A section for each command, in the manifest's order, in which their examples run."""
    commands = manifest["script"]["commands"]
    with open_simulator() as simulator:
        stage = Stage(simulator)
        return paragraphs(*map(stage.section, commands))


# The pages


def with_part(text: str, name: str, part: str) -> str:
    """The text with a part between its markers. Raises: ValueError: a marker is missing."""
    begin = BEGIN.format(name)
    end = END.format(name)
    for marker in (begin, end):
        if marker not in text:
            raise ValueError(f"There is no {marker}")
    before = text.split(begin)[0]
    after = text.split(end)[1]
    return before + paragraphs(begin, part, end) + after


class Page(NamedTuple):
    """A file and those of its parts that are written here, by the names in their markers."""

    path: Path
    parts: dict[str, Callable[[Rule], str]]

    def renewed(self, manifest: Rule) -> str:
        """Its text as it should be. Raises: ValueError: a marker is missing."""
        text = self.path.read_text(encoding="utf-8")
        for name, write in self.parts.items():
            part = write(manifest)
            text = with_part(text, name, part)
        return text


PAGES = (
    Page(README, {"commands": command_table}),
    Page(REFERENCE, {"parameters": parameter_table, "commands": command_sections}),
)


def read_manifest() -> Rule:
    with MANIFEST.open(encoding="utf-8") as file:
        manifest: Rule = yaml.safe_load(file)
    return manifest


def main() -> None:
    manifest = read_manifest()
    for page in PAGES:
        text = page.renewed(manifest)
        page.path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
