"""When nobody saw whether a step ran: a step that was not seen is not thereby proved not to have run. Pure."""

from typing import Any

from gateway.context.plan import Plan, StepPlan, Unit
from gateway.context.standing import gaps_of
from gateway.context.state import Instant, State
from gateway.entries.ticks import rfc3339

Interval = tuple[int, int]


def unobserved(state: State, plan: Plan, unit: Unit, row: StepPlan, start: Instant | None, end: int) -> list[Interval]:
    """List the intervals between a batch's start (None: not known) and `end` (ticks) in which nobody saw the signal of a step.

    Of a signal's closed gaps the newest are remembered; those forgotten are older, so a batch that has more of them has one of these too.
    A step that MES rows tell has no signal that counts.
    """
    if unit.from_rows or row.row.signal not in plan.places:
        return []
    since = 0 if start is None or start.window is None else start.ticks - (start.window if start.basis != "observed" else 0)
    before = [(since, state.began)] if since < state.began else []
    lost = ((a, end if b is None else b) for a, b in gaps_of(state, plan, row.row.signal))
    cut = ((max(a, since), min(b, end)) for a, b in (*before, *lost))
    return [(a, b) for a, b in cut if a < b]


def evidence(intervals: list[Interval]) -> list[dict[str, Any]]:
    """Write intervals as a finding states them; a start that is not known is null."""
    return [{"start": rfc3339(a) if a else None, "end": rfc3339(b)} for a, b in intervals]
