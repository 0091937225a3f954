"""Another configuration takes over: what it does not declare any more ends here, told by the one that held until now (URS-CFG-04).

What was decided stays decided. A step that goes on by the same row goes on; one whose row is gone, or says by another signal when it runs,
has a record through here, because from here on nobody looks for it in that way. Where a tag means something else from here on (another
address, type, unit, scaling or order of its bytes), what was read before is of another tag, and stands for nothing: no value, signal, id or
trigger. What it says first is found, not seen to change.
"""

from typing import Any

from config.sections import FromTag
from gateway.context import event_bodies
from gateway.context.materials.bookings import Bookings
from gateway.context.materials.declared import Declared
from gateway.context.plan import Plan, StepPlan, Unit
from gateway.context.records.batches import Batches
from gateway.context.records.runs import Runs
from gateway.context.signals.identity import read
from gateway.context.state import END, IDENTITY, EquipmentState, Instant, Run, State
from gateway.parameters import Cut, Sums, Track


class Takeover:
    """Ends, in the words of the former configuration, what the next one does not declare."""

    def __init__(self, state: State, plan: Plan, emit: event_bodies.Emit, runs: Runs, batches: Batches, bookings: Bookings) -> None:
        self._state, self._plan, self._emit = state, plan, emit
        self._runs, self._batches, self._bookings = runs, batches, bookings
        self._redefined = set[str]()
        """tags whose readings mean something else from here on"""

    def end(self, following: Plan) -> None:
        """End what `following` does not declare, and let no reading count on for a tag that it redefines."""
        self._redefined = {name for name in self._plan.tags if _is_redefined(name, self._plan, following)}
        self._bookings.end_undeclared(Declared(following), self._redefined)
        for run in sorted(self._state.runs.values(), key=lambda run: -run.start.ticks):
            if run.kind == "batch":
                continue  # ended with its equipment
            undeclared = self._is_undeclared(run, following)
            if undeclared and run.end is None:
                self._end(run)
            self._record(run)  # what has ended is judged by the configuration that held
            if undeclared:
                self._runs.memory.close(run)
        for unit in self._plan.units.values():
            if unit.name not in following.units:
                self._batches.end_undeclared(unit, self._until(unit, None))
        self._seek(following)
        self._forget_values()
        for name, where in self._state.where.items():
            self._forget_signals(following.units.get(name), where)

    def _is_undeclared(self, run: Run, following: Plan) -> bool:
        unit, former = following.units.get(run.equipment), self._plan.units[run.equipment]
        if unit is None or run.kind != "step":
            return (run.equipment, run.kind, run.name) not in following.gathering
        row, before = unit.row_of(run.step, run.identity), former.row_of(run.step, run.identity)
        return row is None or (run.end is None and not self._is_told_alike(former, before, unit, row))

    def _end(self, run: Run) -> None:
        """End a run that nobody will see end."""
        unit = self._plan.units[run.equipment]
        message = f"{run.step} runs in {run.equipment}, and the configuration that begins here does not declare it so any more"
        evidence = {"equipment": run.equipment, "batch": run.identity.batch, "step": run.step, "run": run.run, "record": run.record}
        self._emit(event_bodies.finding("step-undeclared", "warning", f"{message}: its record ends", evidence))
        self._runs.end(run, self._until(unit, run), self._state.seq, "unknown")

    def _until(self, unit: Unit, run: Run | None) -> Instant:
        """Give the instant from which nobody looks any more; it was seen last when its sources were."""
        row = None if run is None or unit.from_rows else unit.row_of(run.step, run.identity)
        sources = unit.sources if row is None else {self._plan.places[row.row.signal].source.name}
        seen = [self._state.observed[source] for source in sources if source in self._state.observed]
        return Instant(self._state.now, max(self._state.now - min(seen), 0) if seen else None, "inferred-from-gap")

    def _record(self, run: Run) -> None:
        if self._runs.record_now(run):
            self._batches.recorded(run)

    def _seek(self, following: Plan) -> None:
        """Note the steps that are declared anew for a signal that is known: one of them may run already, and nothing will change by it."""
        for unit in following.units.values():
            former, where = self._plan.units.get(unit.name), self._state.where.get(unit.name)
            if former is None or where is None or unit.from_rows:
                continue
            rows = [row for row in unit.steps if row.row.signal in where.settled and row.row.signal not in self._redefined]
            new = [row for row in rows if not any(self._is_told_alike(former, before, unit, row) for before in former.steps)]
            where.sought = dict.fromkeys((row.row.step for row in new), self._state.now)
            told_alike = {row.row.step for row in unit.steps} - {row.row.step for row in new}
            where.unstarted = {step: waiting for step, waiting in where.unstarted.items() if step in told_alike}

    def _is_told_alike(self, former: Unit, before: StepPlan | None, unit: Unit, row: StepPlan) -> bool:
        """Return whether a step is told by the same signal, key and values as before."""
        if before is None or before.row.step != row.row.step or former.from_rows != unit.from_rows:
            return False
        alike = (before.tags, before.row.active, before.names) == (row.tags, row.row.active, row.names)
        return unit.from_rows or (alike and self._redefined.isdisjoint(row.tags))

    def _forget_values(self) -> None:
        state, now, redefined = self._state, self._state.now, self._redefined
        for name in redefined & state.tracks.keys():
            state.tracks[name] = Track(through=now, resumed=now, cuts=[Cut(0, now, "")])
        for remembered in (state.triggers, state.heard):
            for name in redefined & remembered.keys():
                del remembered[name]
        state.alarm_tags = [name for name in state.alarm_tags if name not in redefined]
        for run in self._state.runs.values():
            if run.book is not None:
                run.book.sums = _kept(run.book.sums, redefined)
                run.book.until_left = _kept(run.book.until_left, redefined)
                run.book.limits = {name: value for name, value in run.book.limits.items() if name not in redefined}

    def _forget_signals(self, unit: Unit | None, where: EquipmentState) -> None:
        """Forget what the signals of an equipment said, and what waits of them: nobody will see whether it stood."""
        for name in self._redefined:
            for said in (where.seen, where.settled, where.former, where.pending):
                said.pop(name, None)
        if unit is None:
            return
        if unit.end_signal in self._redefined:
            where.pending.pop(END, None)
            where.settled.pop(END, None)
        batch, identity = unit.identity["batch"], where.pending.get(IDENTITY)
        if isinstance(batch, FromTag) and batch.tag in self._redefined and identity is not None and identity.source is not None:
            del where.pending[IDENTITY]
        if not self._redefined.isdisjoint(unit.identity_tags):
            where.read = read(self._state, unit, where)


def _kept(sums: dict[str, Sums], redefined: set[str]) -> dict[str, Sums]:
    return {key: each for key, each in sums.items() if key.partition("|")[0] not in redefined}


def _is_redefined(name: str, before: Plan, after: Plan) -> bool:
    """Return whether the readings of a tag mean something else from here on, or nothing: one that is gone is not read any more."""
    return name not in after.tags or _meaning(name, before) != _meaning(name, after)


def _meaning(name: str, plan: Plan) -> tuple[Any, ...]:
    """Return what makes a tag this one. The order of its bytes may be its own, in the address, or its source's."""
    tag = plan.tags[name]
    return tag.source, tag.address, tag.type, tag.unit, tag.scaling, tag.aggregate, plan.byte_orders.get(name)
