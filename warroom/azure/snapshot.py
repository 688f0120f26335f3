"""A simulated tenant as JSON: how it was made, and what has changed since."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, NamedTuple

from warroom.azure.demo import demo_tenant
from warroom.azure.exchange import Json
from warroom.azure.server import Simulator
from warroom.azure.tenant import Tenant

# The tenant's attributes that hold its rows and their histories, by id.
STORES = (
    "users",
    "detections",
    "history",
    "sign_ins",
    "service_principals",
    "service_principal_history",
    "service_principal_detections",
    "directory",
)


def real_time() -> datetime:
    return datetime.now(timezone.utc)


class Origin(NamedTuple):
    """What a demo tenant is made from: the same makes the same.

    now: as ISO 8601.
    """

    now: str
    users: int
    detections: int
    seed: int

    def make(self) -> Tenant:
        """The tenant, whose clock stands at that moment."""
        _, *numbers = self
        return demo_tenant(datetime.fromisoformat(self.now), *numbers)


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Json:
    changed = {name: row for name, row in after.items() if before.get(name) != row}
    gone = [name for name in before if name not in after]
    return {"changed": changed, "gone": gone}


def _apply(differences: Json, rows: dict[str, Any]) -> None:
    for name in differences["gone"]:
        del rows[name]
    rows.update(differences["changed"])


def taken(simulator: Simulator, origin: Origin) -> Json:
    """The tenant of the simulator, which was made from this origin, and who is signed in."""
    tenant = simulator.tenant
    made = origin.make()
    rows = {
        name: _differences(getattr(made, name), getattr(tenant, name))
        for name in STORES
    }
    clock = tenant.clock
    stands_at = clock.isoformat() if isinstance(clock, datetime) else None
    return {
        "origin": origin._asdict(),
        "rows": rows,
        "clock": stands_at,
        "to_come": tenant.kept(),
        "signed_in": simulator.entra.kept(),
    }


def restored_tenant(snapshot: Json) -> Tenant:
    """The tenant of a snapshot; its clock is the real one unless it stood still."""
    origin = Origin(**snapshot["origin"])
    tenant = origin.make()
    for name in STORES:
        _apply(snapshot["rows"][name], getattr(tenant, name))
    stands_at = snapshot["clock"]
    tenant.clock = datetime.fromisoformat(stands_at) if stands_at else real_time
    tenant.go_on_from(snapshot["to_come"])
    return tenant
