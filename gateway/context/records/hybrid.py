"""Which phases of a transition from a legacy system a batch lay in: whose record is the record of reference, and until when."""

from typing import Any

from gateway.alarms.transition import day_of, stated
from gateway.context.plan import Plan
from gateway.context.state import Instant


def phases(plan: Plan, start: Instant, end: Instant | None = None) -> dict[str, Any]:
    """Give the member of a batch's start (no `end`) or end, by days of the wall clock; nothing where no transition is declared."""
    told = plan.line.transition
    if told is None:
        return {}
    first = day_of(start.ticks, plan.zone)
    return {"transition_phases": stated(told, first, first if end is None else max(first, day_of(end.ticks, plan.zone)))}
