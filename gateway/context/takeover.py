"""Another configuration takes over: what it does not declare any more ends here, told by the one that held until now (URS-CFG-04).

What was decided stays decided. A step that goes on by the same row goes on; one whose row is gone, or says by another signal when it runs,
has a record through here, because from here on nobody looks for it in that way. Where a tag means something else from here on (another
address, type, unit or scaling), what was read before is of another tag, and stands for nothing.
"""

from typing import Any

from config import Tag
from gateway.context import event_bodies
from gateway.context.materials.bookings import Bookings
from gateway.context.materials.declared import Declared
from gateway.context.plan import Plan, StepPlan, Unit
from gateway.context.records.batches import Batches
from gateway.context.records.runs import Runs
from gateway.context.state import Instant, Run, State
from gateway.parameters import Cut, Sums, Track


class Takeover:
    """Ends, in the words of the former configuration, what the next one does not declare."""

    def __init__(self, state: State, plan: Plan, emit: event_bodies.Emit, runs: Runs, batches: Batches, bookings: Bookings) -> None:
        self._state, self._plan, self._emit = state, plan, emit
        self._runs, self._batches, self._bookings = runs, batches, bookings

    def end(self, following: Plan) -> None:
        """End what `following` does not declare, and let no reading count on for a tag that it redefines."""
        redefined = {name for name in self._state.tracks if _is_redefined(self._plan.tags.get(name), following.tags.get(name))}
        self._bookings.end_undeclared(Declared(following))
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
        self._redefine(redefined)

    def _is_undeclared(self, run: Run, following: Plan) -> bool:
        unit, former = following.units.get(run.equipment), self._plan.units[run.equipment]
        if unit is None or run.kind != "step":
            return (run.equipment, run.kind, run.name) not in following.gathering
        row, before = unit.row_of(run.step, run.identity), former.row_of(run.step, run.identity)
        return row is None or (run.end is None and not _is_told_alike(former, before, unit, row))

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
            rows = [row for row in unit.steps if row.row.signal in where.settled]
            new = [row for row in rows if not any(_is_told_alike(former, before, unit, row) for before in former.steps)]
            where.sought = dict.fromkeys((row.row.step for row in new), self._state.now)

    def _redefine(self, redefined: set[str]) -> None:
        now = self._state.now
        for name in redefined:
            self._state.tracks[name] = Track(through=now, resumed=now, cuts=[Cut(0, now, "")])
        for run in self._state.runs.values():
            if run.book is not None:
                run.book.sums = _kept(run.book.sums, redefined)
                run.book.until_left = _kept(run.book.until_left, redefined)
                run.book.limits = {name: value for name, value in run.book.limits.items() if name not in redefined}


def _kept(sums: dict[str, Sums], redefined: set[str]) -> dict[str, Sums]:
    return {key: each for key, each in sums.items() if key.partition("|")[0] not in redefined}


def _is_told_alike(former: Unit, before: StepPlan | None, unit: Unit, row: StepPlan) -> bool:
    """Return whether a step is told by the same signal, key and values as before."""
    if before is None or before.row.step != row.row.step or former.from_rows != unit.from_rows:
        return False
    return unit.from_rows or (before.tags, before.row.active, before.names) == (row.tags, row.row.active, row.names)


def _is_redefined(before: Tag | None, after: Tag | None) -> bool:
    """Return whether the readings of a tag mean something else from here on. One that is gone is not read any more."""
    return before is not None and after is not None and _meaning(before) != _meaning(after)


def _meaning(tag: Tag) -> tuple[Any, ...]:
    return tag.source, tag.address, tag.type, tag.unit, tag.scaling, tag.aggregate
