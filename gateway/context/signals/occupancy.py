"""Where each equipment is: its signals as read, what of them has settled, and the steps and batches that follow."""

from collections.abc import Mapping
from typing import Any

from gateway.context import event_bodies, waits
from gateway.context.equipment.holdtimes import HoldTimes
from gateway.context.plan import LEVELS, Plan, StepPlan, Unit
from gateway.context.records.batches import Batches
from gateway.context.records.runs import Runs
from gateway.context.signals.identity import read
from gateway.context.state import EquipmentState, Identity, Instant, Pending, Run, Seen, State, Told
from gateway.context.texts import LONGEST_TEXT, text
from gateway.context.throttle import say_once
from gateway.entries.fold_input import Json
from gateway.entries.ticks import rfc3339

IDENTITY, END = "", "!end"
"""Keys of `pending` and `settled` beside tag names."""
MOST_REMEMBERED = 32


class Occupancy:
    """Decides what a change of a signal means. A change counts when it has stood still; its time stays that of the reading."""

    def __init__(self, state: State, plan: Plan, emit: event_bodies.Emit, runs: Runs, batches: Batches, holds: HoldTimes) -> None:
        self._state, self._plan, self._emit = state, plan, emit
        self._runs, self._batches, self._holds = runs, batches, holds

    # signals as read

    def differs(self, unit: Unit, tag: str, value: Json) -> bool:
        """Whether this is another value than was last read."""
        before = self._state.where[unit.name].seen.get(tag)
        return before is None or before.value != value

    def signal(self, unit: Unit, tag: str, value: Json, at: Instant, seq: int) -> None:
        """A usable reading of one of the equipment's tags, that differs from the one before."""
        where, place = self._state.where[unit.name], self._plan.places[tag]
        before = where.seen.get(tag)
        if before is None:
            at = Instant(at.ticks, None, "found-at-start")
        elif at.ticks < before.at.ticks:
            at = Instant(before.at.ticks, at.window, at.basis)
        where.seen[tag] = Seen(value, at, seq)
        source, equipment = place.source.name, unit.equipment
        self._stood_until(unit, where, tag, at)
        if tag in unit.step_tags:
            self._change(unit, where, tag, value, at, seq, source)
        if tag == equipment.state:
            self._state_changed(unit, where, value, at, seq, source)
        if tag == unit.end_tag:
            self._change(unit, where, END, bool(value), at, seq, source)
        if tag == equipment.operator and value:
            self._runs.operator(unit, str(value)[:LONGEST_TEXT])
        if tag == equipment.activity:
            self._holds.activity(unit.name, self._plan.decoded(tag, None, value, state=True), at)
        if tag == equipment.activity and before is not None:
            self._activity(unit, before.value, value, at)
        if isinstance(value, str) and len(value) > LONGEST_TEXT:
            self._too_long(unit, where, tag, len(value))
        if tag in unit.identity_tags:
            self.identify(unit, at, seq, source)

    def _too_long(self, unit: Unit, where: EquipmentState, tag: str, length: int) -> None:
        if say_once(where.noted, f"{tag} too long", self._state.now, every=None):
            message = f"{tag}: {length} characters; a context holds {LONGEST_TEXT} of them"
            self._emit(event_bodies.finding("text-cut", "warning", message, {"equipment": unit.name}, tags=[tag]))

    def _stood_until(self, unit: Unit, where: EquipmentState, tag: str, at: Instant) -> None:
        """A change of this tag waits, and the next reading of it tells that it stood long enough: it counts, with what came with it."""
        waiting = where.pending.get(tag)
        if waiting is None or at.ticks < waiting.at.ticks + unit.settle_ticks:
            return
        row = where.pending.get(IDENTITY)
        if row is not None and row.source is None and row.left.ticks < waiting.left.ticks - unit.settle_ticks:
            self._at_once(unit, where, row)  # it can wait no longer: this step is after it
        self._at_once(unit, where, waiting)

    def _at_once(self, unit: Unit, where: EquipmentState, change: Pending) -> None:
        """Let a change count with those of its moment."""
        group = {key: p for key, p in where.pending.items() if abs(p.left.ticks - change.left.ticks) <= unit.settle_ticks}
        for key in group:
            del where.pending[key]
        self._apply(unit, where, group)

    def _state_changed(self, unit: Unit, where: EquipmentState, value: Json, at: Instant, seq: int, source: str) -> None:
        word = self.state_of(unit, value)
        if word is not None and (not where.states or where.states[-1][1] != word):
            where.states.append((at.ticks, word))
        if unit.end_state is not None:
            self._change(unit, where, END, word == unit.end_state, at, seq, source)

    def state_of(self, unit: Unit, value: Json) -> str | None:
        """The ISA-88 word of a state code."""
        return self._plan.decoded(unit.equipment.state, unit.equipment.states, value, state=True)

    def _activity(self, unit: Unit, before: Json, value: Json, at: Instant) -> None:
        words = [(self._plan.decoded(unit.equipment.activity, None, v, state=True) or "").lower() or None for v in (before, value)]
        event = {"type": "activity", "equipment": unit.name, "from": words[0], "to": words[1]}
        self._emit({**event, "start": event_bodies.instant(at, self._plan.zone)})

    def identify(self, unit: Unit, at: Instant, seq: int, source: str | None) -> None:
        """Something that the identity is read from has changed."""
        where = self._state.where[unit.name]
        if (
            where.done is not None
            and read(self._state, unit, EquipmentState(seen=where.seen, newest=where.newest, pushed=where.pushed)).batch != where.done
        ):
            where.done = None
        now, pending = read(self._state, unit, where), where.pending.get(IDENTITY)
        if pending is not None and pending.source is None and pending.value[0] is not None and pending.value != [now.batch, now.raw]:
            del where.pending[IDENTITY]  # a row is a fact: its batch was there, however shortly
            self._apply(unit, where, {IDENTITY: pending})
        where.read = now
        self._change(unit, where, IDENTITY, [where.read.batch, where.read.raw], at, seq, source)
        if IDENTITY not in where.pending:
            self._complete(unit, where)

    def _complete(self, unit: Unit, where: EquipmentState) -> None:
        """The batch is the same, but more is known of it."""
        where.bound = where.read
        where.history = [*where.history[:-1], (where.history[-1][0] if where.history else 0, where.bound)]
        self._batches.fill(where.bound)
        for run in self._state.runs.values():
            if run.equipment == unit.name and run.identity.batch == where.bound.batch and run.end is None:
                run.identity = where.bound

    def _change(self, unit: Unit, where: EquipmentState, key: str, value: Any, at: Instant, seq: int, source: str | None) -> None:
        settled = [where.bound.batch, where.bound.raw] if key == IDENTITY else where.settled.get(key, False if key == END else None)
        pending = where.pending.get(key)
        if value == settled:
            if pending is not None:
                del where.pending[key]
                self._unsettled(unit, where, key, pending, at)
            return
        if pending is None:
            where.pending[key] = Pending(value, at, at, seq, self._state.now, source)
        elif pending.value != value:
            if pending.source is not None:
                self._unsettled(unit, where, key, pending, at)
            where.pending[key] = Pending(value, pending.left, at, seq, self._state.now, source)

    def _unsettled(self, unit: Unit, where: EquipmentState, key: str, pending: Pending, at: Instant) -> None:
        """Report a value that did not stand still, and counts for nothing."""
        if not say_once(where.noted, key, self._state.now):
            return
        what = {IDENTITY: "batch id", END: "end of batch"}.get(key, key)
        message = f"{unit.name}: {what} did not stand still for {unit.equipment.settle_ms} ms"
        evidence = {"equipment": unit.name, "value": _short(pending.value), "from": rfc3339(pending.at.ticks), "until": rfc3339(at.ticks)}
        self._emit(event_bodies.finding("unsettled", "info", message, evidence, tags=[key] if key in self._plan.places else []))

    # what has settled

    def settle(self) -> None:
        """Let every change count that has stood still."""
        for name, where in self._state.where.items():
            unit = self._plan.units[name]
            while where.pending and (group := self._group(unit, where)):
                for key in group:
                    del where.pending[key]
                self._apply(unit, where, group)
            self._resolve(unit)
            self._id_since(unit, where)

    def _group(self, unit: Unit, where: EquipmentState) -> dict[str, Pending]:
        """The changes of one moment: those that began within the settling time of the first; empty while one of them may still move."""
        pending = {key: p for key, p in where.pending.items() if not waits.blind(self._state, unit, p)}
        first = min((p.left.ticks for p in pending.values()), default=0)
        group = {key: p for key, p in pending.items() if p.left.ticks <= first + unit.settle_ticks}
        settled = (waits.ready(self._state, waits.of_change(self._state, unit, p)) for p in group.values())
        return group if all(settled) else {}

    def _apply(self, unit: Unit, where: EquipmentState, group: Mapping[str, Pending]) -> None:
        """Steps end, the batch ends, the next begins, steps begin: in this order, whatever came first on the wire."""
        where.settled.update({key: p.value for key, p in group.items() if key != IDENTITY})
        if unit.from_rows:
            self._tell(unit, where, group)
        for run in () if unit.from_rows else reversed(self._runs.running(unit)):
            self._end_if_over(unit, where, run, group)
        if END in group and group[END].value and where.open is not None:
            self._end_batch(unit, where, group[END])
        if IDENTITY in group and [where.read.batch, where.read.raw] == group[IDENTITY].value:
            self._bind(unit, where, group[IDENTITY])
        for row in () if unit.from_rows else unit.steps_of(where.bound):
            self._begin_if_on(unit, where, row, group)

    def _tell(self, unit: Unit, where: EquipmentState, group: Mapping[str, Pending]) -> None:
        """The signals of an equipment whose steps come from rows: what they say is kept, to be compared."""
        for row in unit.steps_of(where.bound):
            changes = [group[key] for key in (row.row.signal, row.row.key) if key is not None and key in group]
            if not changes:
                continue
            going = next((told for told in reversed(where.told) if told.step == row.row.step and told.end is None), None)
            on = row.runs(where.settled.get(row.row.signal))
            if going is not None and (not on or (row.row.key or "") in group):
                going.end = max(change.left.ticks for change in changes)
                going = None
            if on and going is None:
                where.tell(Told(row.row.step, max(change.at.ticks for change in changes), None))

    def begin(self, unit: Unit, step: str, key: Json, at: Instant, seq: int) -> Run | None:
        """A step begins by a row; None if its recipe has no such step."""
        who = self.who(unit, at.ticks)
        row = unit.row_of(step, who)
        if row is None:
            return None
        self._deviations(unit, who, row)
        return self._runs.begin(unit, row.row, key, who, at, seq)

    def _end_if_over(self, unit: Unit, where: EquipmentState, run: Run, group: Mapping[str, Pending]) -> None:
        row = unit.row_of(run.step, run.identity)
        if row is None:
            return
        key = None if row.row.key is None else where.settled.get(row.row.key)
        if not row.runs(where.settled.get(row.row.signal)):
            change = group.get(row.row.signal)
            if change is not None:
                self._end(unit, row, run, change)
        elif row.row.key is not None and key != run.key and row.row.key in group:
            self._end(unit, row, run, group[row.row.key])

    def _end(self, unit: Unit, row: StepPlan, run: Run, change: Pending) -> None:
        """A run ends; one whose batch changed unseen before is cut there, and its rest is the next one's."""
        self._id_since(unit, self._state.where[unit.name], change.left.ticks)
        run = self._cut(unit, row, run, change.seq, change.left.ticks)
        self._runs.end(run, change.left, change.seq, None)

    def _resolve(self, unit: Unit) -> None:
        """Runs whose batch changed while nobody saw their signal: it is seen again, and they still run."""
        mine = (run for run in self._state.runs.values() if run.equipment == unit.name and run.end is None)
        for run in [run for run in mine if run.cut is not None or run.unsighted is not None]:
            row = unit.row_of(run.step, run.identity)
            if row is None:
                continue
            source = self._plan.places[row.row.signal].source.name
            doubt = run.cut.ticks if run.cut is not None else run.unsighted or 0
            sighted = self._sighted(row, doubt)
            since = doubt if sighted is None else sighted.ticks
            stood = waits.arrived(self._state, waits.Need(source, since + unit.settle_ticks))
            known = stood and not waits.handing_over(self._state, unit, source, since)
            if known and not self._changed(unit, run) and not self._lost(unit, run):
                self._cut(unit, row, run, self._state.seq, None)

    def _cut(self, unit: Unit, row: StepPlan, run: Run, seq: int, before: int | None) -> Run:
        """Cut a run where its batch ended unseen, and where it is first seen to run for the next; returns what runs on from there."""
        at, doubt = run.cut, run.unsighted
        run.unsighted = None
        if at is not None and (before is None or at.ticks < before):
            self._runs.end(run, at, seq, "batch-changed")
            run = self._runs.begin(unit, row.row, run.key, self.who(unit, at.ticks), at, seq)
            doubt = at.ticks if run.identity.batch is None else None
        sighted = None if doubt is None else self._sighted(row, doubt)
        if sighted is not None and (before is None or sighted.ticks < before):
            who = self.who(unit, sighted.ticks)
            if who.batch is not None:
                self._runs.end(run, sighted, seq, None)
                run = self._runs.begin(unit, row.row, run.key, who, sighted, seq)
        return run

    def _sighted(self, row: StepPlan, ticks: int) -> Instant | None:
        """When the signal of a step was first seen again, if nobody saw it at `ticks`; None: it was observed then, or is not seen yet."""
        gaps = self._state.lost.get(row.row.signal, [])
        return next((Instant(end, end - start, "inferred-from-gap") for start, end in reversed(gaps) if start < ticks < end), None)

    def _begin_if_on(self, unit: Unit, where: EquipmentState, row: StepPlan, group: Mapping[str, Pending]) -> None:
        if not row.runs(where.settled.get(row.row.signal)) or any(r.step == row.row.step for r in self._runs.running(unit)):
            return
        changes = [group[k] for k in (row.row.signal, row.row.key) if k is not None and k in group]
        if changes:
            at, seq = max(((c.at, c.seq) for c in changes), key=lambda c: c[0].ticks)
        elif IDENTITY in group or END in group:
            seen, change = where.seen[row.row.signal], group.get(IDENTITY) or group[END]
            since = (
                seen.at.ticks > change.at.ticks and row.row.signal not in where.pending
            )  # else it has stood longer than what was read last
            at, seq = (seen.at, seen.seq) if since else (change.at, change.seq)
        else:
            return
        key = None if row.row.key is None else where.settled.get(row.row.key)
        who = self.who(unit, at.ticks + unit.settle_ticks)
        self._deviations(unit, who, row)
        run = self._runs.begin(unit, row.row, key, who, at, seq)
        if who.batch is not None:  # discovered late, and the batch has changed since: cut there, once its end is known
            later = (t for t, w in where.history if t > at.ticks + unit.settle_ticks and w.batch != who.batch)
            run.cut = next((Instant(t, None) for t in later), None)

    def _deviations(self, unit: Unit, who: Identity, row: StepPlan) -> None:
        """Check a start against the declared occurrences and order: every deviation is said, none is suppressed."""
        batch = who.batch
        if batch is None:
            return
        rows = unit.steps_of(who)
        counts = self._state.counts.get(batch, {})
        begun = {r.row.step for r in rows if counts.get(f"{unit.name}/{r.row.step}")}
        step, order = row.row.step, row.row.order
        evidence = {"equipment": unit.name, "batch": batch, "step": step, "run": counts.get(f"{unit.name}/{step}", 0) + 1}
        if step in begun and row.row.occurs in {"1", "0..1"}:
            self._emit(event_bodies.finding("step-repeated", "warning", f"{step} runs again, declared {row.row.occurs}", evidence))
        siblings = [r.row for r in rows if r.row.parent == row.row.parent and r.row.order is not None and r.row.step != step]
        if order is None or step in begun:
            return
        after = [r.step for r in siblings if r.order is not None and r.order > order and r.step in begun]
        if after:
            message = f"{step} begins after {', '.join(after)}"
            self._emit(event_bodies.finding("step-out-of-order", "warning", message, {**evidence, "after": after}))
        skipped = [r for r in siblings if r.order is not None and r.order < order and r.occurs in {"1", "1..n"} and r.step not in begun]
        if skipped and not after:
            names = [r.step for r in skipped]
            message = f"{step} begins, {', '.join(names)} did not run"
            self._emit(event_bodies.finding("step-skipped", "warning", message, {**evidence, "skipped": names}))

    # batches

    def _end_batch(self, unit: Unit, where: EquipmentState, change: Pending) -> None:
        where.done = where.open
        self._leave(unit, where, change.left, change.seq)
        where.read = read(self._state, unit, where)
        self._become(where, where.read, change.left.ticks)

    def _become(self, where: EquipmentState, who: Identity, ticks: int) -> None:
        """The equipment works for another from `ticks` on; what was thought of later times is void."""
        where.bound = who
        where.history = [(t, w) for t, w in where.history if t < ticks][-MOST_REMEMBERED:]
        where.history.append((ticks, who))

    def who(self, unit: Unit, ticks: int) -> Identity:
        """Who the equipment worked for at an instant: a step that is discovered late belongs to its own time."""
        where = self._state.where[unit.name]
        return next((who for t, who in reversed(where.history) if t <= ticks), Identity())

    def _bind(self, unit: Unit, where: EquipmentState, change: Pending) -> None:
        """The identity has settled."""
        new = where.read
        if change.source is None and change.left.ticks < change.at.ticks:
            self._release(unit, where, change)
        self._become(where, new, (change.at if new.batch is not None else change.left).ticks)
        if new.batch is None:
            self._unnamed(unit, where, change, new.raw)
            return
        if new.batch == where.open:
            where.left = None
            self._complete(unit, where)
            return
        if where.open is not None:
            self._leave(unit, where, where.left or change.left, change.seq)
        self._batches.enter(unit, new, change.at, change.seq)
        where.open, where.left = new.batch, None
        self._late_id(unit, new, change.at.ticks)

    def _release(self, unit: Unit, where: EquipmentState, change: Pending) -> None:
        """Rows released the old batch before they named the next: between them the equipment worked for nobody."""
        going = self._runs.running(unit) if where.open is not None else []
        if where.open is not None and unit.equipment.batch_ends == "empty":
            self._leave(unit, where, change.left, change.seq)
        self._become(where, Identity(), change.left.ticks)
        for run in going:
            row = unit.row_of(run.step, Identity())
            if run.end is not None and row is not None and not unit.from_rows:
                self._runs.begin(unit, row.row, run.key, Identity(), change.left, change.seq)

    def _unnamed(self, unit: Unit, where: EquipmentState, change: Pending, raw: str | None) -> None:
        """The id is empty, ill-formed or not known: the batch is none."""
        if where.open is not None and where.left is None:
            where.left = change.left
        if raw is not None:
            message = f"{unit.name}: batch id {raw!r} is ill-formed or not known; kept raw, no batch"
            evidence = {"equipment": unit.name, "raw": raw, "at": rfc3339(change.at.ticks)}
            self._emit(event_bodies.finding("batch-unknown", "alarm", message, evidence))
        elif unit.equipment.batch_ends == "empty" and where.open is not None:
            self._leave(unit, where, change.left, change.seq)

    def _leave(self, unit: Unit, where: EquipmentState, at: Instant, seq: int) -> None:
        """The open batch ends here: what still runs in it is cut off; what began since belongs to the next."""
        for run in reversed(self._runs.running(unit)):
            if run.identity.batch != where.open or run.start.ticks >= at.ticks or run.cut is not None:
                continue
            if self._lost(unit, run):
                run.cut = at
            else:
                self._runs.end(run, at, seq, "batch-changed")
        assert where.open is not None
        self._batches.leave(unit, where.open, at, "completed")
        where.open, where.left = None, None

    def _late_id(self, unit: Unit, who: Identity, ticks: int) -> None:
        """Runs that began before their batch was known go over to it: begun since, running now, or bearing this very id."""
        for run in list(self._state.runs.values()):
            if run.equipment != unit.name or run.kind != "step" or run.identity.batch == who.batch:
                continue
            since = run.start.ticks >= ticks
            named = run.identity.raw is not None and run.identity.raw == who.batch
            loose = run.end is None and run.identity.batch is None and self.activity(unit, batch=True) == "production"
            if loose and not since and not named and self._unseen(unit, run, ticks):
                run.unsighted = ticks  # nobody saw it run when the id came: it is this one's from when it is seen again
            elif since or (run.identity.batch is None and named) or (loose and not self._changed(unit, run, ticks)):
                old, was = run.record, run.identity.batch
                self._runs.rebind(unit, run, who, "known-late" if named else "id-late")
                self._batches.unlist(was, old)

    def _id_since(self, unit: Unit, where: EquipmentState, ended: int | None = None) -> None:
        """A step that was discovered late began before the id that counts by now: it is that one's if it still ran when that came."""
        since = where.history[-1][0] if where.history and where.bound.batch is not None else None
        loose = [r for r in self._runs.running(unit) if r.identity.batch is None and r.unsighted is None]
        if since is None or not any(run.start.ticks < since for run in loose):
            return
        if all(waits.arrived(self._state, need) for need in waits.signals_until(unit, since)) if ended is None else ended > since:
            self._late_id(unit, where.bound, since)

    def _changed(self, unit: Unit, run: Run, ticks: int | None = None) -> bool:
        """Whether a signal of a run is known to have changed (by `ticks`), though the change must still stand."""
        row = unit.row_of(run.step, run.identity)
        pending = self._state.where[unit.name].pending
        if row is None or unit.from_rows:
            return False
        changes = [pending[key] for key in (row.row.signal, row.row.key or "") if key in pending]
        return any(ticks is None or change.left.ticks <= ticks for change in changes)

    def _unseen(self, unit: Unit, run: Run, ticks: int) -> bool:
        """Whether nobody saw the signal of a run at an instant."""
        row = unit.row_of(run.step, run.identity)
        if row is None or unit.from_rows:
            return False
        source = self._plan.places[row.row.signal].source.name
        gaps = (g for g in self._state.gaps if g.source == source and (g.left is None or row.row.signal in g.left))
        return any(gap.start < ticks for gap in gaps) or self._sighted(row, ticks) is not None

    def _lost(self, unit: Unit, run: Run) -> bool:
        """Whether the signal of a run is not observed at present."""
        row = unit.row_of(run.step, run.identity)
        if row is None or unit.from_rows:
            return False
        source = self._plan.places[row.row.signal].source.name
        return any(gap.source == source and (gap.left is None or row.row.signal in gap.left) for gap in self._state.gaps)

    # contexts

    def activity(self, unit: Unit, *, batch: bool) -> str:
        """What the equipment does; by default production inside a batch, else idle."""
        seen = self._state.where[unit.name].seen.get(unit.equipment.activity or "")
        told = None if seen is None else self._plan.decoded(unit.equipment.activity, None, seen.value, state=True)
        return (told or "").lower() or self._of_steps(unit) or ("production" if batch else "idle")

    def _of_steps(self, unit: Unit) -> str | None:
        """What the running steps say that the equipment does, by their column `activity`; the innermost one that says anything."""
        if not unit.active_steps:
            return None
        running = {run.step for run in self._runs.running(unit)}
        return next((word for step, word in reversed(unit.active_steps) if step in running), None)

    def context(self, unit: Unit) -> dict[str, Any]:
        """The context of an entry: what the signals say at this instant, settled or not."""
        where, equipment = self._state.where[unit.name], unit.equipment
        who = where.read
        state, mode, operator = (where.seen.get(tag or "") for tag in (equipment.state, equipment.mode, equipment.operator))
        told = {"activity": self.activity(unit, batch=who.batch is not None), **event_bodies.identity(who)}
        return {
            **told,
            "steps": self._steps(unit, where),
            "state": None if state is None else self.state_of(unit, state.value),
            "mode": None if mode is None else self._plan.decoded(equipment.mode, None, mode.value, state=True),
            "operator": None if operator is None else text(operator.value),
        }

    def _steps(self, unit: Unit, where: EquipmentState) -> list[list[str | int]]:
        if unit.from_rows:
            return [[run.level, run.step, run.run] for run in self._runs.running(unit)]
        running = {run.step: run for run in self._runs.running(unit)}
        found: list[list[str | int]] = []
        for row in unit.steps_of(where.read):
            seen, key = where.seen.get(row.row.signal), where.seen.get(row.row.key or "")
            if seen is None or not row.runs(seen.value):
                continue
            run = running.get(row.row.step)
            same = run is not None and run.key == (None if key is None else key.value) and run.identity.batch == where.read.batch
            number = run.run if run is not None and same else self._runs.next_run(where.read.batch, unit, row.row.step)
            found.append([row.row.level, row.row.step, number])
        return sorted(found, key=lambda s: LEVELS.index(str(s[0])))


def _short(value: Any) -> Any:
    """A value for a finding: a device's text may be as long as an entry."""
    return value[:LONGEST_TEXT] if isinstance(value, str) else value
