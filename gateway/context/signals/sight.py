"""Whether anybody saw the signal of a run: now, at an instant, and from when on again."""

from gateway.context.plan import Plan, StepPlan, Unit
from gateway.context.state import IDENTITY, Instant, OpenGap, Run, State


class Sight:
    """Tells from gaps and from changes that wait what is known of a run's signal.

    A run that MES rows make has no signal that counts: for it nothing is ever lost or unseen.
    """

    def __init__(self, state: State, plan: Plan) -> None:
        self._state, self._plan = state, plan

    def lost(self, unit: Unit, run: Run) -> bool:
        """Return whether the signal is not observed at present."""
        row = _row(unit, run)
        return row is not None and self.is_lost(row)

    def is_lost(self, row: StepPlan) -> bool:
        """Return whether the signal of a step is not observed at present."""
        return bool(self._gaps(row))

    def was_lost(self, row: StepPlan, at: Instant) -> bool:
        """Return whether nobody saw the signal of a step when another of its tags changed, nor by the look that told of it."""
        looked = at.ticks if at.proof is None or at.basis == "observed" else at.ticks - at.proof.before
        closed = any(start < at.ticks and end > looked for start, end in self._state.lost.get(row.row.signal, []))
        return closed or any(gap.start < at.ticks for gap in self._gaps(row))

    def unseen(self, unit: Unit, run: Run, ticks: int) -> bool:
        """Return whether nobody saw the signal at an instant."""
        row = _row(unit, run)
        return row is not None and (any(gap.start < ticks for gap in self._gaps(row)) or self.seen_again(row, ticks) is not None)

    def seen_again(self, row: StepPlan, ticks: int) -> Instant | None:
        """Tell when the signal was first seen after a gap over `ticks`; None: it was observed then, or is not seen yet."""
        gaps = self._state.lost.get(row.row.signal, [])
        return next((Instant(end, end - start, "inferred-from-gap") for start, end in reversed(gaps) if start < ticks < end), None)

    def changed(self, unit: Unit, run: Run, ticks: int | None = None) -> bool:
        """Return whether the signal or the key of a run has changed (by `ticks`), though the change must still stand.

        Of a step without a key an id that waits counts as such a change: whose the run is, is about to be decided.
        """
        row, pending = _row(unit, run), self._state.where[unit.name].pending
        if row is None:
            return False
        changes = [pending[key] for key in (row.row.signal, row.row.key or IDENTITY) if key in pending]
        return any(ticks is None or change.left.ticks <= ticks for change in changes)

    def _gaps(self, row: StepPlan) -> list[OpenGap]:
        source = self._plan.places[row.row.signal].source.name
        return [gap for gap in self._state.gaps if gap.source == source and gap.covers(row.row.signal)]


def _row(unit: Unit, run: Run) -> StepPlan | None:
    return None if unit.from_rows else unit.row_of(run.step, run.identity)
