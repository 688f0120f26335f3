"""What colour a table's values have, by what they mean: bad is red, good is green."""

import re

# Styles of values, by how these begin; the first that fits counts.
Styles = dict[str, str]

LEVELS: Styles = {
    "critical": "bold red",
    "high": "red",
    "medium": "yellow",
    "low": "green",
}
STATES: Styles = {
    "confirmedCompromised": "bold red",
    "atRisk": "yellow",
    "remediated": "green",
    "dismissed": "green",
    "confirmedSafe": "green",
}
STATUSES: Styles = {
    "applied": "green",
    "submitted": "yellow",
    "unknown": "yellow",
    "refused": "red",
    "not ": "red",
    "dry run": "dim",
}
# What an attacker could do is what matters of a sign-in that is looked at.
SIGN_IN_OUTCOMES: Styles = {"Succeeded": "red", "Blocked": "green"}
ACCESS: Styles = {
    "works": "green",
    "permitted": "green",
    "unknown": "yellow",
    "": "red",  # any reason why it does not work
}

BY_HEADER: dict[str, Styles] = {
    "(Risk )?Level.*|Severity": LEVELS,
    "Risk State": STATES,
    "Status": STATUSES,
    "Outcome": SIGN_IN_OUTCOMES,
    "Result": ACCESS,
}


def styles_of(header: str) -> Styles:
    for pattern, styles in BY_HEADER.items():
        if re.fullmatch(pattern, header):
            return styles
    return {}


def style_of(header: str, cell: str) -> str:
    """The style of a value below a header; empty where it is like any other."""
    if not cell:
        return ""
    for start, style in styles_of(header).items():
        if cell.startswith(start):
            return style
    return ""
