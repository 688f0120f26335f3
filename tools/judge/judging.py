"""msgraph-sdk gives every verdict on users, service principals and sign-ins."""

from collections.abc import Iterable
from importlib import import_module
from typing import Any, NamedTuple

from tools.judge.court import Check, Court, graph_client, same
from tools.judge.reading import COLLECTIONS, attribute, capitalised
from warroom.azure.odata import Row
from warroom.azure.tenant import ACTIONS, ids_name

GENERATED = "msgraph.generated"
FOLDERS = {"signIns": "audit_logs"}
BY_NAME = {each.name: each for each in COLLECTIONS}


def ids_at_risk(rows: Iterable[Row]) -> list[str]:
    """Those of what is at risk and still there."""
    at_risk = []
    for row in rows:
        if row["riskState"] == "atRisk" and not row.get("isDeleted"):
            at_risk.append(row["id"])
    return at_risk


class Verdict(NamedTuple):
    """An action on a collection. state: what a row's risk then is."""

    collection: str
    action: str
    state: str

    @property
    def place(self) -> str:
        """Where the client has it."""
        folder = FOLDERS.get(self.collection, "identity_protection")
        collection = attribute(self.collection)
        action = attribute(self.action)
        return f"{folder}.{collection}.{action}"

    def body(self, ids: list[str]) -> Any:
        """The client's own body of the request."""
        module = f"{attribute(self.action)}_post_request_body"
        bodies = import_module(f"{GENERATED}.{self.place}.{module}")
        kind = capitalised(self.action)
        create = getattr(bodies, f"{kind}PostRequestBody")
        wire_name = ids_name(self.collection)
        name = attribute(wire_name)
        return create(**{name: ids})


VERDICTS = tuple(
    Verdict(collection, action, change.state)
    for (collection, action), change in ACTIONS.items()
)


def gives(verdict: Verdict) -> Check:
    async def check(court: Court) -> None:
        """Confirm or dismiss two at once, and see it in the rows that are read then."""
        collection = BY_NAME[verdict.collection]
        rows = collection.rows(court.tenant)
        ids = ids_at_risk(rows.values())[:2]
        client = graph_client()
        builder = collection.builder(client)
        action = getattr(builder, attribute(verdict.action))
        await action.post(verdict.body(ids))
        for row_id in ids:
            found = await collection.item(client, row_id).get()
            same(found.risk_state.value, verdict.state)

    return check


CHECKS = {
    f"gives the verdict {each.action} on {each.collection}": gives(each)
    for each in VERDICTS
}
