"""The runs of steps: begun, ended, recorded when their sources have shown life past the end, revised while late readings may come."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from config import Step
from gateway.context import configurations, event_bodies, waits
from gateway.context.equipment.holdtimes import HoldTimes
from gateway.context.gaps.unobserved import evidence, unobserved
from gateway.context.plan import LEVELS, Plan, StepPlan, Unit
from gateway.context.records.given_values import GivenValues
from gateway.context.records.run_edges import end_of, last_tick, start_of, tags_of
from gateway.context.records.run_memory import RunMemory
from gateway.context.records.run_numbers import begin_run, go_over, leave
from gateway.context.records.run_parameters import RunParameters
from gateway.context.records.step_order import deviations
from gateway.context.standing import gaps_of
from gateway.context.state import Identity, Instant, Run, State, stored_step
from gateway.context.texts import LONGEST_TEXT
from gateway.entries.fold_input import Json
from gateway.parameters import (
    completeness,
)


class Runs:
    """Every run that is going on, waits for its record, or may still be revised."""

    def __init__(self, state: State, plan: Plan, emit: event_bodies.Emit, holds: HoldTimes) -> None:
        self._state, self._plan, self._emit, self._holds = state, plan, emit, holds
        self.given = GivenValues(state, plan)
        self.values = RunParameters(state, plan)
        self.memory = RunMemory(state, plan, self.values, self.given)
        self.gateway = plan.line.gateway
        self.recorded_through = max((last_tick(r) for r in state.runs.values() if r.revision), default=0)

    # begin and end

    def running(self, unit: Unit) -> list[Run]:
        """The steps that run in an equipment, outermost level first."""
        mine = [r for r in self._state.runs.values() if r.equipment == unit.name and r.end is None and r.kind == "step"]
        return sorted(mine, key=lambda r: (LEVELS.index(r.level), r.start.ticks, r.id))

    def begin(self, unit: Unit, row: StepPlan, key: Json, who: Identity, at: Instant, seq: int) -> Run:
        """Begin a run of a step. Where its start deviates from what is declared, that is a finding, and it begins all the same."""
        began = _entered(self._state, unit, who.batch)

        def unseen(other: StepPlan) -> list[dict[str, Any]]:
            return evidence(unobserved(self._state, self._plan, unit, other, began, at.ticks))

        for finding in deviations(unit, who, row, self._state.counts.get(who.batch or "", {}), unseen):
            self._emit(finding)
        return self._begin(unit, row.row, key, who, at, seq)

    def go_on(self, unit: Unit, row: StepPlan, run: Run, who: Identity, at: Instant, seq: int) -> Run:
        """Begin the rest of a run that was cut, for another batch. The step itself did not start, so nothing is held against its start."""
        return self._begin(unit, row.row, run.key, who, at, seq)

    def _begin(self, unit: Unit, row: Step, key: Json, who: Identity, at: Instant, seq: int) -> Run:
        parent = next((r for r in self.running(unit) if r.step == row.parent), None)
        run = self._add(
            Run(0, unit.name, row.step, row.level, None, begin_run(self._state, who.batch, unit.name, row.step), key, who, at, seq)
        )
        run.parent = None if parent is None else f"{parent.step}/{parent.run}"
        run.people, run.operator_unseen = self._logged_in(unit, at.ticks)
        self._emit(event_bodies.step_head(run, start_of(self._state, self._plan, run), None, unit.equipment.unit_id, self._plan.zone))
        self._holds.step_began(unit.name, run.step, at)
        return run

    def begin_batch(self, unit: Unit, who: Identity, at: Instant, seq: int) -> Run:
        """A batch comes into an equipment: gather its parameters."""
        return self._add(Run(0, unit.name, stored_step("batch", ""), "batch", None, 1, None, who, at, seq))

    def begin_event(self, unit: Unit, event: str, who: Identity, at: Instant, seq: int) -> None:
        """Something happened at which parameters are taken: a run of one instant."""
        step = stored_step("event", event)
        run = self._add(Run(0, unit.name, step, "event", None, begin_run(self._state, who.batch, unit.name, step), None, who, at, seq))
        self.end(run, replace(at, ticks=at.ticks + 1), seq, "completed")

    def _add(self, run: Run) -> Run:
        run.id, self._state.next_id = self._state.next_id, self._state.next_id + 1
        self._state.runs[run.id] = run
        run.configs = configurations.since(self._state, run.start_seq)
        run.record = event_bodies.record_id(self.gateway, run)
        return run

    def end(self, run: Run, at: Instant, seq: int, cause: str | None) -> None:
        """A run ends; its record follows. cause None: as the equipment's state says then."""
        at = at if at.ticks >= run.start.ticks else replace(at, ticks=run.start.ticks)
        run.end, run.end_seq, run.entered = at, seq, self._state.now
        run.cause = "unknown" if cause is None and at.basis in {"inferred-from-gap", "told-by-row"} else cause
        self._doubt(run)
        self._holds.step_ended(run.equipment, run.step, at)

    def rebind(self, run: Run, who: Identity, reason: str) -> None:
        """A run belongs to another batch than was thought: its record gets a new name, by an event; entries stay as they are."""
        old, was = run.record, run.identity
        run.identity, run.run = who, go_over(self._state, was.batch, who.batch, run.equipment, run.step)
        run.record = event_bodies.record_id(self.gateway, run)
        self._say_rebind(run, old, reason, was)
        if run.revision:
            run.dirty, run.reason = self._state.now, "re-bound"

    def _say_rebind(self, run: Run, superseded: str, reason: str, was: Identity) -> None:
        event = {
            "type": "rebind",
            "record": run.record,
            "supersedes": superseded,
            "reason": reason,
            "equipment": run.equipment,
            "step": run.step,
            "run": run.run,
            "from": event_bodies.identity(was),
            "to": event_bodies.identity(run.identity),
            "start": event_bodies.instant(run.start, self._plan.zone),
        }
        self._emit(event)

    def go_over(self, run: Run, who: Identity) -> None:
        """Let a run that only gathers be another batch's. Nothing was said of it by itself."""
        if run.kind == "event":
            run.run = go_over(self._state, run.identity.batch, who.batch, run.equipment, run.step)
        run.identity = who
        run.record = event_bodies.record_id(self.gateway, run)

    # records

    def due(self) -> list[Run]:
        """Make the records that can be made now; returns the runs whose record is new or revised."""
        ended = [r for r in self._state.runs.values() if r.end is not None and (not r.revision or r.dirty is not None)]
        ended.sort(key=lambda r: (r.end.ticks if r.end else 0, -_depth(r), r.id))
        return [run for run in ended if self._ready(run) and self._record(run)]

    def _ready(self, run: Run) -> bool:
        unit = self._plan.units[run.equipment]
        sources = self.values.gathered(run).sources or {self._plan.places[tag].source.name for tag in unit.step_tags}
        return waits.ready(self._state, waits.of_record(unit, run, sources))

    def record_now(self, run: Run) -> bool:
        """Make the record of an ended run without waiting any longer, if one is due. Returns whether it is new or revised."""
        return run.end is not None and (not run.revision or run.dirty is not None) and self._record(run)

    def _record(self, run: Run) -> bool:
        configurations.note(run.configs, self._state)
        parameters = self.given.filled(run, self.values.parameters(run))
        run.dirty, first = None, not run.revision
        self.recorded_through = max(self.recorded_through, last_tick(run))
        unit, where = self._plan.units[run.equipment], self._state.where[run.equipment]
        if run.cause is None and run.end is not None:
            run.cause = event_bodies.cause(where.states, run.end.ticks + unit.settle_ticks)
        if run.kind != "step":
            changed = first or run.last != {"parameters": parameters}
            run.revision, run.last, run.made = run.revision + changed, {"parameters": parameters}, self._state.now
            return changed
        event = {
            **self._head(run, unit),
            "holds": event_bodies.holds(where.states, run, self._plan.zone),
            **event_bodies.performers(run.people, unit.equipment.operator, self.gateway, observed=not run.operator_unseen),
            "parameters": parameters,
            "completeness": completeness(parameters),
            "config_versions": configurations.versions(run.configs),
            "evidence": {"from_seq": run.start_seq, "to_seq": run.end_seq},
        }
        return self._publish(run, event)

    def _head(self, run: Run, unit: Unit) -> dict[str, Any]:
        """Give the head of an ended run's record. Why a step ended is known only if it was seen to end then."""
        end = end_of(self._state, self._plan, run)
        head = event_bodies.step_head(run, start_of(self._state, self._plan, run), end, unit.equipment.unit_id, self._plan.zone)
        return head if end is None or run.end is None or end.basis == run.end.basis else {**head, "cause": "unknown"}

    def _publish(self, run: Run, event: dict[str, Any]) -> bool:
        if run.last is not None:
            changed = event_bodies.changes(run.last, event)
            if not changed:
                return False
            supersedes = f"{run.last['record']}#{run.revision}"
            event |= {"revision": run.revision + 1, "supersedes": supersedes, "reason": run.reason or "late-data", "changed": changed}
        run.revision, run.made, run.reason = event["revision"], self._state.now, None
        run.last = event
        run.last["content_sha256"] = self._emit(dict(event))
        return True

    def rejoin(self, first: Run, rest: Run) -> None:
        """Let a run go on where it was cut, because the batch did not change there after all.

        `first` takes the end of `rest`, whose record counts no longer.
        """
        self.values.resume(first)
        first.end, first.end_seq, first.entered, first.cause = rest.end, rest.end_seq, rest.entered, rest.cause
        first.people, first.cut, first.unsighted = list(dict.fromkeys((*first.people, *rest.people))), rest.cut, rest.unsighted
        first.rows += [key for key in rest.rows if key not in first.rows]
        self._doubt(first)
        for run in self._state.runs.values():
            if run.equipment == first.equipment and run.parent == f"{rest.step}/{rest.run}":
                run.parent = f"{first.step}/{first.run}"
        del self._state.runs[rest.id]
        leave(self._state, rest.identity.batch, rest.equipment, rest.step)
        self._say_rebind(first, rest.record, "late-data", rest.identity)

    def reopen(self, run: Run) -> None:
        """Let a run go on that was cut, because the batch did not change there after all. A record of it is made again at its end."""
        self.values.resume(run)
        run.end, run.end_seq, run.entered, run.cause = None, None, None, None
        self._doubt(run)

    def _doubt(self, run: Run) -> None:
        """Note that a record which was made must be made again."""
        if run.revision:
            run.dirty, run.reason = self._state.now, run.reason or "late-data"

    def rename(self, run: Run) -> None:
        """Make the record of a run that went over to another batch again, under its new name; its readings need not be held any more."""
        assert run.last is not None
        kept = {name: value for name, value in run.last.items() if name not in {"content_sha256", "changed"}}
        run.dirty = None
        self._publish(run, {**kept, "record": run.record, "run": run.run, "parent": run.parent, **event_bodies.identity(run.identity)})

    def revise(self, run: Run, parameters: list[dict[str, Any]]) -> bool:
        """Make the record of a run again with other parameters; its readings need not be held any more."""
        assert run.last is not None
        if run.kind != "step":
            run.revision, run.last, run.made, run.reason = run.revision + 1, {"parameters": parameters}, self._state.now, None
            return True
        kept = {name: value for name, value in run.last.items() if name not in {"content_sha256", "changed"}}
        return self._publish(run, {**kept, "parameters": parameters, "completeness": completeness(parameters)})

    # what comes late

    def touched(self, tags: Iterable[str], start: int, end: int | None, reason: str) -> None:
        """Something about these tags in [start, end) was learned after records were made: revise them."""
        if start >= self.recorded_through:
            return
        names = set(tags)
        for run in self._state.runs.values():
            late = run.revision and start < last_tick(run) and (end is None or end >= run.start.ticks)
            if late and names & (self.values.rests_on(run) | tags_of(self._plan, run)):
                run.dirty = self._state.now if run.dirty is None else run.dirty
                run.reason = run.reason or reason

    def _logged_in(self, unit: Unit, ticks: int) -> tuple[list[str], bool]:
        """Return who stood logged in at an instant, and True if nobody saw it: the tag was never read, or was in a gap then."""
        tag = unit.equipment.operator
        if tag is None:
            return [], False
        seen = self._state.where[unit.name].seen.get(tag)
        lost = any(start < ticks and (end is None or ticks < end) for start, end in gaps_of(self._state, self._plan, tag))
        if seen is None or lost:
            return [], True
        return [str(seen.value)[:LONGEST_TEXT]] if seen.value else [], False


def _depth(run: Run) -> int:
    return LEVELS.index(run.level) if run.kind == "step" else -1


def logged_in(runs: Iterable[Run], person: str) -> None:
    """Note in what runs that another person is logged in."""
    for run in runs:
        if person not in run.people:
            run.people.append(person)


def _entered(state: State, unit: Unit, name: str | None) -> Instant | None:
    """Tell when a batch came into an equipment first."""
    batch = state.batches.get(name or "")
    return None if batch is None else next((m.start for m in batch.members if m.equipment == unit.name), None)
