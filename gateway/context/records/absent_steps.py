"""Steps of a batch that have not begun: those that must run, and those that may have run while nobody looked. Pure."""

from typing import Any

from gateway.context.gaps.unobserved import evidence, unobserved
from gateway.context.plan import Plan, Unit
from gateway.context.records.run_numbers import has_begun
from gateway.context.state import Batch, Identity, Instant, State


def absent(state: State, unit: Unit, who: Identity) -> list[str]:
    """Steps that must occur and have not begun in this batch."""
    counts = state.counts.get(who.batch or "", {})
    rows = unit.steps_of(who)
    return [r.row.step for r in rows if r.row.occurs in {"1", "1..n"} and not has_begun(counts, unit.name, r.row.step)]


def doubtful(unit: Unit, batch: Batch) -> list[str]:
    """Steps that must occur, and of which no run was seen to run: each was lost before it had stood for its settling time."""
    seen = {(x.step, x.seen) for x in batch.records.values() if x.equipment == unit.name}
    rows = unit.steps_of(batch.identity)
    return [r.row.step for r in rows if r.row.occurs in {"1", "1..n"} and (r.row.step, False) in seen and (r.row.step, True) not in seen]


def unseen(state: State, plan: Plan, unit: Unit, batch: Batch, start: Instant, end: int) -> dict[str, list[dict[str, Any]]]:
    """Give the steps that have not begun, and may have run all the same, with the intervals in which nobody looked. end: ticks."""
    counts = state.counts.get(batch.identity.batch or "", {})
    rows = [row for row in unit.steps_of(batch.identity) if not has_begun(counts, unit.name, row.row.step)]
    intervals = {row.row.step: unobserved(state, plan, unit, row, start, end) for row in rows}
    return {step: evidence(hidden) for step, hidden in intervals.items() if hidden}
