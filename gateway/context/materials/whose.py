"""Whose a booking is: the batch, and the steps, that its instant falls into."""

from gateway.context.materials.booking_terms import Facts
from gateway.context.materials.declared import Declared
from gateway.context.plan import LEVELS, Plan
from gateway.context.state import Identity, PendingBooking, Run, State


def who(state: State, plan: Plan, declared: Declared, pending: PendingBooking) -> Identity:
    """Tell the batch that the row itself names; else that of the step in which it falls; else whom the equipment worked for then."""
    term = next((row.batch for row in declared.of(pending) if row.batch is not None), None)
    named = None if term is None else Facts(state, plan, pending, {}).word("batch", term)
    runs = inside(state, pending)
    history = state.where[pending.equipment].history
    here = runs[-1].identity if runs else next((identity for t, identity in reversed(history) if t <= pending.at.ticks), Identity())
    if named is None or named == here.batch:
        return here
    batch = state.batches.get(named)
    return batch.identity if batch is not None else Identity(named)


def inside(state: State, pending: PendingBooking) -> list[Run]:
    """List the steps that ran in the equipment at that instant, outermost level first."""
    ticks = pending.at.ticks
    mine = (r for r in state.runs.values() if r.equipment == pending.equipment and r.kind == "step" and r.start.ticks <= ticks)
    return sorted((r for r in mine if r.end is None or ticks < r.end.ticks), key=lambda r: LEVELS.index(r.level))


def steps(state: State, pending: PendingBooking) -> list[list[str | int]]:
    """List these steps as an event does: [level, step, run]."""
    return [[run.level, run.step, run.run] for run in inside(state, pending)]
