"""What a batch that is under way lacks so far: gaps that its end will list, required values that final records of steps miss. Pure."""

from typing import Any

from gateway.context.gaps import belonging
from gateway.context.plan import Plan
from gateway.context.state import Batch, Member, State
from gateway.entries.ticks import rfc3339
from gateway.parameters import completeness

MOST_NAMED = 10


def so_far(state: State, plan: Plan, equipment: str) -> dict[str, Any] | None:
    """Tell of the batch that an equipment works for, as JSON-able values; None without one.

    gaps: how many belong to this stay; hidden_by: sources of which something is hidden now; missing: required values that are missing in
    records made so far, with the first of them. What is still to come is in none of these.
    """
    for name, batch in state.batches.items():
        member = next((one for one in reversed(batch.members) if one.equipment == equipment and one.end is None), None)
        if member is not None:
            return {"batch": name, "since": rfc3339(member.start.ticks), **_lacks(state, plan, batch, member)}
    return None


def _lacks(state: State, plan: Plan, batch: Batch, member: Member) -> dict[str, Any]:
    gaps = belonging.of_stay(state, plan, batch, member)
    hidden_by = {state.blind[gap].source for gap in gaps if gap in state.blind and member.equipment in state.blind[gap].going}
    records = [listed for _, listed in sorted(batch.records.items()) if listed.equipment == member.equipment]
    head = {"equipment": member.equipment, "step": None, "run": None}
    taken = completeness([parameter for parameters in member.events.values() for parameter in parameters])["missing"]
    missing = [item for listed in records for item in listed.missing] + [{**head, **item} for item in taken]
    return {
        "gaps": len(gaps) + member.gaps_dropped,
        "hidden_by": sorted(hidden_by),
        "missing": len(missing),
        "missing_items": missing[:MOST_NAMED],
    }
