"""Which batch each equipment works for, from when until when (ISA-88: unit occupancy), and whose its running steps are."""

from dataclasses import replace

from gateway.context import event_bodies, waits
from gateway.context.plan import Plan, Unit
from gateway.context.records.batches import Batches
from gateway.context.records.corrections import Corrections
from gateway.context.records.final_records import FinalRecords
from gateway.context.records.runs import Runs
from gateway.context.signals.contexts import Contexts
from gateway.context.signals.identity import read
from gateway.context.signals.sight import Sight
from gateway.context.state import EquipmentState, Identity, Instant, Pending, Proof, Run, State
from gateway.entries.ticks import rfc3339

MOST_REMEMBERED = 32
"""Occupancies of an equipment that are remembered, so that a step that is discovered late goes to the batch of its own time."""


class Occupancy:
    """Lets batches enter and leave equipments by ids that have settled, and gives runs to the batch that they belong to."""

    def __init__(
        self,
        state: State,
        plan: Plan,
        emit: event_bodies.Emit,
        runs: Runs,
        batches: Batches,
        corrections: Corrections,
        final_records: FinalRecords,
        contexts: Contexts,
        sight: Sight,
    ) -> None:
        self._state, self._plan, self._emit = state, plan, emit
        self._runs, self._batches, self._contexts, self._sight = runs, batches, contexts, sight
        self._corrections, self._final_records = corrections, final_records

    def who(self, unit: Unit, ticks: int) -> Identity:
        """Tell who the equipment worked for at an instant."""
        where = self._state.where[unit.name]
        return next((who for since, who in reversed(where.history) if since <= ticks), Identity())

    # a batch enters, goes on, leaves

    def bind(self, unit: Unit, where: EquipmentState, change: Pending) -> None:
        """Take an identity that has settled."""
        new = where.read
        if change.source is None and change.left.ticks < change.at.ticks:
            self._release(unit, where, change)
        self._become(where, new, (change.at if new.batch is not None else change.left).ticks)
        if new.batch is None:
            self._unnamed(unit, where, change, new.raw)
        elif new.batch == where.open:
            if where.left is not None:  # its id was gone for a while, which only suspended it
                self._batches.alarms_since(unit, new.batch, where.left.ticks)
            where.left = None
            self.complete(unit, where)
        elif change.passed is not None and not self._ran(unit, change.at.ticks, change.passed):
            self._pass(unit, where, new.batch, change)
        else:
            self._enter(unit, where, new, change)

    def correct(self, unit: Unit, where: EquipmentState, who: Identity, at: Instant) -> None:
        """Let the open batch have been, from its beginning here, the one that its order names now. at: of the correction."""
        assert where.open is not None
        wrong = where.open
        since = self._corrections.correct(unit, wrong, who, at)
        where.history = [(begin, who if known.batch == wrong and begin >= since else known) for begin, known in where.history]
        where.open = who.batch
        where.bound = who if where.bound.batch == wrong else where.bound

    def complete(self, unit: Unit, where: EquipmentState) -> None:
        """Take what more is known of the same batch."""
        where.bound = where.read
        where.history = [*where.history[:-1], (where.history[-1][0] if where.history else 0, where.bound)]
        self._batches.fill(where.bound)
        for run in self._state.runs.values():
            if run.equipment == unit.name and run.identity.batch == where.bound.batch and run.end is None:
                run.identity = where.bound

    def end(self, unit: Unit, where: EquipmentState, change: Pending) -> None:
        """End the batch because a state or a tag says so. Its id still stands and means nothing any more until another one comes."""
        where.done = where.open
        self._leave(unit, where, change.left, change.seq)
        where.read = read(self._state, unit, where)
        self._become(where, where.read, change.left.ticks)

    def _enter(self, unit: Unit, where: EquipmentState, new: Identity, change: Pending) -> None:
        if where.open is not None:
            self._leave(unit, where, where.left or change.left, change.seq)
        if change.source is None and _ends_by_rows(unit):
            self._corrections.left_before(unit, change.at)
        self._batches.enter(unit, new, change.at, change.seq)
        where.open, where.left = new.batch, None
        self._claim(unit, new, change.at.ticks)
        if change.source is None or change.source in self._state.back:  # only such an id is told so late that records are final by then
            self._claim_final(unit, new, change.at.ticks)

    def _ran(self, unit: Unit, since: int, until: int) -> bool:
        """Return whether a step was seen to begin between two instants."""
        mine = (run for run in self._state.runs.values() if run.equipment == unit.name and run.kind == "step")
        return any(since <= run.start.ticks < until for run in mine)

    def _pass(self, unit: Unit, where: EquipmentState, batch: str, change: Pending) -> None:
        """Let an order go by that rows alone tell, from when nobody watched: it ends the batch before it, and makes none of its own."""
        if where.open is not None:
            self._leave(unit, where, where.left or change.left, change.seq)
        where.passed = [*where.passed, batch][-MOST_REMEMBERED:]

    def witness(self, unit: Unit, who: Identity, seq: int) -> None:
        """Let a batch that went by enter after all, because something was observed that belongs to it."""
        where = self._state.where[unit.name]
        if who.batch is None or who.batch not in where.passed:
            return
        where.passed.remove(who.batch)
        at = next((n for n in reversed(range(len(where.history))) if where.history[n][1].batch == who.batch), None)
        if at is None:
            return
        later = where.history[at + 1 :]
        self._batches.enter(unit, who, Instant(where.history[at][0], None, "told-by-row"), seq)
        self._batches.alarms_since(unit, who.batch, where.history[at][0], later[0][0] if later else None)
        if later:
            self._batches.leave(unit, who.batch, Instant(later[0][0], None, "told-by-row"), "unknown")
        else:
            where.open, where.left = who.batch, None

    def _become(self, where: EquipmentState, who: Identity, ticks: int) -> None:
        """Note that the equipment works for another from `ticks` on; what was thought of later times is void."""
        where.bound = who
        where.history = [(since, known) for since, known in where.history if since < ticks][-MOST_REMEMBERED:]
        where.history.append((ticks, who))

    def _release(self, unit: Unit, where: EquipmentState, change: Pending) -> None:
        """Rows released the old batch before they named the next: between the two the equipment worked for nobody.

        Both rows settled together, because nothing that the equipment did in between had come before. What ran on through the release is
        cut there, and its rest is nobody's until the next batch's time.
        """
        going = self._runs.running(unit) if where.open is not None else []
        if where.open is not None and unit.equipment.batch_ends == "empty":
            left = where.open
            self._leave(unit, where, change.left, change.seq)
            self._disclaim(unit, left, change.left.ticks, change.at.ticks)
        self._become(where, Identity(), change.left.ticks)
        for run in going:
            row = unit.row_of(run.step, Identity())
            if run.end is not None and row is not None and not unit.from_rows:
                self._runs.go_on(unit, row, run, Identity(), _sighted(change.left), change.seq)

    def _unnamed(self, unit: Unit, where: EquipmentState, change: Pending, raw: str | None) -> None:
        """Take an id that is empty, ill-formed or not known: from now on the batch is none, and perhaps it has ended."""
        if where.open is not None and where.left is None:
            where.left = change.left
        if raw is not None:
            message = f"{unit.name}: batch id {raw!r} is ill-formed or not known; kept raw, no batch"
            evidence = {"equipment": unit.name, "raw": raw, "at": rfc3339(change.at.ticks)}
            self._emit(event_bodies.finding("batch-unknown", "alarm", message, evidence))
        elif unit.equipment.batch_ends == "empty" and where.open is not None:
            left = where.open
            self._leave(unit, where, change.left, change.seq)
            self._disclaim(unit, left, change.left.ticks)

    def _leave(self, unit: Unit, where: EquipmentState, at: Instant, seq: int) -> None:
        """End the open batch here: what still runs in it is cut off; what began since belongs to the next.

        A run whose signal nobody sees just now may have ended before: where it is cut is decided when it is seen again (`Run.cut`).
        """
        for run in reversed(self._runs.running(unit)):
            if run.identity.batch != where.open or run.start.ticks >= at.ticks or run.cut is not None:
                continue
            if self._sight.lost(unit, run) or self._sight.unseen(unit, run, at.ticks):
                run.cut = replace(at, proof=Proof())
            else:
                self._runs.end(run, _sighted(at), seq, "batch-changed")
        assert where.open is not None
        self._batches.leave(unit, where.open, at, "unknown" if at.basis == "told-by-row" else "completed")
        where.open, where.left = None, None

    # runs that began before their batch was known

    def claim_found(self, unit: Unit, where: EquipmentState, ended: int | None = None) -> None:
        """Give a step that was discovered late to the batch that counts by now, if it still ran when that one's id came.

        ended: when the step ended, if that is known; else all that the equipment did until the id came must have arrived, or the step's
        end may still be on its way.
        """
        since = where.history[-1][0] if where.history and where.bound.batch is not None else None
        loose = [run for run in self._runs.running(unit) if run.identity.batch is None and run.unsighted is None]
        if since is None or not any(run.start.ticks < since for run in loose):
            return
        arrived = (waits.arrived(self._state, need) for need in waits.signals_until(unit, since))
        if ended > since if ended is not None else all(arrived):
            self._claim(unit, where.bound, since)

    def _claim(self, unit: Unit, who: Identity, ticks: int) -> None:
        """Give a batch whose id came at `ticks` its runs: begun since, bearing this very id, or seen to run in production then.

        What stood in the equipment since, or since the first of them began, is in its list of alarms.
        """
        assert who.batch is not None
        there = ticks
        for run in list(self._state.runs.values()):
            if run.equipment != unit.name or run.kind != "step" or run.identity.batch == who.batch:
                continue
            since = run.start.ticks >= ticks
            named = run.identity.raw is not None and run.identity.raw == who.batch
            loose = run.end is None and run.identity.batch is None and self._contexts.activity(unit, batch=True) == "production"
            if loose and not since and not named and self._sight.unseen(unit, run, ticks):
                run.unsighted = ticks  # nobody saw it run when the id came: it is this batch's from when it is seen again
            elif since or (run.identity.batch is None and named) or (loose and not self._sight.changed(unit, run, ticks)):
                there = min(there, run.start.ticks)
                self._rebind(unit, run, who, "known-late" if named else "id-late")
        self._batches.alarms_since(unit, who.batch, there)
        if _ends_by_rows(unit):
            self._rejoin(unit, who, ticks)

    def _rejoin(self, unit: Unit, who: Identity, ticks: int) -> None:
        """Let runs go on that were cut inside the time of a batch whose id was told late: none changed there."""
        mine = [r for r in self._state.runs.values() if (r.equipment, r.kind, r.identity.batch) == (unit.name, "step", who.batch)]
        parts = sorted(mine, key=lambda run: (run.start.ticks, run.id))
        while parts:
            first = parts.pop(0)
            while (end := _cut_after(first, ticks)) is not None:
                rest = next((r for r in parts if (r.step, r.key, r.start.ticks) == (first.step, first.key, end)), None)
                if rest is None:
                    break
                parts.remove(rest)
                self._runs.rejoin(first, rest)
                self._batches.unlist(who.batch, rest.record)
            if end is not None and self._is_on(unit, first, who):
                self._runs.reopen(first)

    def _is_on(self, unit: Unit, run: Run, who: Identity) -> bool:
        """Return whether the signal of a run that was cut still says the same, and no other run has begun by it."""
        row, settled = unit.row_of(run.step, who), self._state.where[unit.name].settled
        if row is None or unit.from_rows or any(other.step == run.step for other in self._runs.running(unit)):
            return False
        return row.runs(settled.get(row.row.signal)) and (row.row.key is None or settled.get(row.row.key) == run.key)

    def _claim_final(self, unit: Unit, who: Identity, ticks: int) -> None:
        """Give a batch whose id was told long after it came the records of before that are final, as they stand."""
        right = self._state.batches.get(who.batch or "")
        for batch in list(self._state.batches.values()) if right is not None else ():
            if right is not None and batch is not right and (records := self._final_records.of(unit, batch, ticks)):
                self._final_records.go_over(unit, batch, right, records, "id-late")

    def _disclaim(self, unit: Unit, batch: str, since: int, until: int | None = None) -> None:
        """Take from a batch what began after its release, which was told late: nobody's until the next id. until: when that came."""
        mine = (run for run in self._state.runs.values() if run.equipment == unit.name and run.kind == "step")
        for run in [run for run in mine if run.identity.batch == batch and run.start.ticks >= since]:
            if until is None or run.start.ticks < until:
                self._rebind(unit, run, Identity(), "id-late")
        self._batches.alarms_of_nobody(unit, batch, since, until)

    def _rebind(self, unit: Unit, run: Run, who: Identity, reason: str) -> None:
        old, was = run.record, run.identity.batch
        self.witness(unit, who, run.start_seq)
        self._runs.rebind(run, who, reason)
        self._batches.unlist(was, old)


def _sighted(at: Instant) -> Instant:
    """Let an instant at which a run is cut be observed only if the run's signals were seen just then."""
    return at if at.proof is not None else replace(at, proof=Proof())


def _cut_after(run: Run, ticks: int) -> int | None:
    """Give the end of a run, if it was cut there because its batch changed, after an instant."""
    return run.end.ticks if run.end is not None and run.cause == "batch-changed" and run.end.ticks > ticks else None


def _ends_by_rows(unit: Unit) -> bool:
    """Return whether it is the ids alone that end batches here; an end that a state or a tag showed stands, whatever a row tells of it."""
    return unit.end_state is None and unit.end_tag is None
