"""A batch number that was corrected: the batch was never there, and what was done in its name is that of the right one."""

from dataclasses import replace
from typing import Any

from gateway.context import event_bodies
from gateway.context.equipment.late_alarms import is_same
from gateway.context.materials.batch_materials import Ledgers
from gateway.context.plan import Plan, Unit
from gateway.context.records.batches import Batches, stay_of
from gateway.context.records.final_records import FinalRecords
from gateway.context.records.run_numbers import go_over
from gateway.context.records.run_parameters import not_until_end
from gateway.context.records.runs import Runs
from gateway.context.state import Batch, Identity, Instant, Member, Run, State
from gateway.entries.ticks import from_rfc3339, rfc3339

MOST_NAMED = 100
"""Final records that a finding names; all of them stay listed with the wrong batch."""


class Corrections:
    """Gives what an equipment did for a batch to the one that the same order names now, from the beginning."""

    def __init__(
        self,
        state: State,
        plan: Plan,
        emit: event_bodies.Emit,
        runs: Runs,
        batches: Batches,
        ledgers: Ledgers,
        final_records: FinalRecords,
    ) -> None:
        self._state, self._plan, self._emit = state, plan, emit
        self._runs, self._batches, self._ledgers, self._final_records = runs, batches, ledgers, final_records

    def correct(self, unit: Unit, name: str, who: Identity, at: Instant) -> int:
        """Let the open stay of a batch in an equipment have been another's. Returns when it began, in ticks. at: of the correction."""
        assert who.batch is not None
        wrong = self._state.batches[name]
        stay = next(m for m in reversed(wrong.members) if m.equipment == unit.name and m.end is None)
        runs = [r for r in self._state.runs.values() if r.equipment == unit.name and r.identity.batch == name and stay_of(wrong, r) is stay]
        first = next(m for m in wrong.members if m.equipment == unit.name)  # what ran when the id came is of the first stay
        final = self._final_records.of(unit, wrong, None if stay is first else stay.start.ticks)
        self._say(unit, name, who.batch, self._staying(unit, name, {*final, *(run.record for run in runs)}))
        right = self._batches.opened(who, stay.start_seq)
        self._go_over(unit, wrong, right, stay, at)
        self._final_records.go_over(unit, wrong, right, final, "source-corrected")
        self._bind(name, who, runs, stay)
        self._alarms(unit, wrong, right, stay)
        self._ledgers.wrong.add((name, unit.name))
        return stay.start.ticks

    def left_before(self, unit: Unit, at: Instant) -> None:
        """Let stays in an equipment be over when the next batch came: its id was told after their end, and is from before it."""
        for batch in self._state.batches.values():
            for member in batch.members:
                if member.equipment == unit.name and member.end is not None and member.start.ticks < at.ticks < member.end.ticks:
                    self._left_earlier(unit, batch, member, at)

    def _left_earlier(self, unit: Unit, batch: Batch, member: Member, at: Instant) -> None:
        """Let a stay have ended at an earlier instant. Parameters that are final are those of a longer time."""
        member.end, run = at, self._state.runs.get(member.run)
        if run is not None:
            run.end, run.dirty = at, self._state.now if run.revision else None
        elif member.parameters:
            member.parameters = [not_until_end(parameter) for parameter in member.parameters]
            told = {"equipment": unit.name, "batch": batch.identity.batch, "end": rfc3339(at.ticks)}
            message = (
                f"{unit.name}: batch {batch.identity.batch} was left before its parameters ended; they are final, and of a longer time"
            )
            self._emit(event_bodies.finding("late-correction", "warning", message, told))
        batch.dirty = self._state.now if batch.revision else None
        self._batches.say_left(unit, batch, member, "unknown" if at.basis == "told-by-row" else "completed")

    def _go_over(self, unit: Unit, wrong: Batch, right: Batch, stay: Member, at: Instant) -> None:
        """Give the stay to the right batch. The wrong one is over at once where that was its last."""
        name, other = wrong.identity.batch, right.identity.batch
        assert name is not None
        assert other is not None
        wrong.members = [member for member in wrong.members if member is not stay]
        right.members.append(stay)
        self._batches.say_start(unit, right, stay)
        last = at if at.ticks >= stay.start.ticks else replace(at, ticks=stay.start.ticks)
        past = replace(stay, end=last, parameters=[], events={})
        self._batches.say_left(unit, wrong, past, "corrected", other)
        if not wrong.members:
            wrong.ended = self._state.now
            self._batches.wrong[name] = (other, [past])
        elif all(member.end is not None for member in wrong.members):
            wrong.ended, wrong.dirty = self._state.now, self._state.now if wrong.revision else None

    def _bind(self, name: str, who: Identity, runs: list[Run], stay: Member) -> None:
        """Give runs to the right batch: records by an event each, what only gathers with its stay."""
        self._events(name, who, {run.record: run for run in runs if run.kind == "event"}, stay)
        parents = dict[str | None, str]()
        for run in runs:
            record, number = run.record, run.run
            if run.kind == "step":
                self._runs.rebind(run, who, "source-corrected")
                self._batches.unlist(name, record)
                parents[f"{run.step}/{number}"] = f"{run.step}/{run.run}"
            elif run.identity is not who:
                self._runs.go_over(run, who)
        for run in runs:
            run.parent = parents.get(run.parent, run.parent)

    def _events(self, name: str, who: Identity, runs: dict[str, Run], stay: Member) -> None:
        """Count the events of a stay in the right batch, in their order. Those that are final have no run any more, but a name."""
        gateway, unit, taken = self._runs.gateway, stay.equipment, dict[str, list[dict[str, Any]]]()
        for record, parameters in stay.events.items():
            run = runs.get(record)
            if run is None:
                step = event_bodies.step_in(gateway, name, unit, record)
                number = go_over(self._state, name, who.batch, unit, step)
                new = event_bodies.record_name(gateway, who.batch, unit, step, number)
            else:
                self._runs.go_over(run, who)
                number, new = run.run, run.record
            taken[new] = [{**parameter, "occurrence": number} for parameter in parameters]
            if run is not None:
                run.last = {"parameters": taken[new]}
        stay.events = taken

    def _alarms(self, unit: Unit, wrong: Batch, right: Batch, stay: Member) -> None:
        """Give the alarms of a stay to the right batch; those of several equipments are listed in both, while both are there.

        So are those that stood when the stay began, if the equipment had been in the wrong batch before; what was over by then stays there.
        """
        came_back = any(member.equipment == unit.name for member in wrong.members)
        for alarm in list(wrong.alarms):
            raised, cleared = (None if alarm[name] is None else from_rfc3339(alarm[name]) for name in ("raised", "cleared"))
            before = came_back and raised is not None and raised < stay.start.ticks
            if wrong.members and alarm["equipment"] not in {unit.name, None}:
                continue
            if before and cleared is not None and cleared <= stay.start.ticks:
                continue
            if not wrong.members or (alarm["equipment"] == unit.name and not before):
                wrong.alarms.remove(alarm)
                wrong.alarm_count -= 1
            if not any(is_same(listed, alarm) for listed in right.alarms):
                right.alarms.append({**alarm})
                right.alarm_count += 1

    def _staying(self, unit: Unit, name: str, going: set[str]) -> list[str]:
        """Name the records that stay where they are: bookings that are no longer held, and steps of a stay before."""
        place = f"{self._runs.gateway}/{name}/{unit.name}/"
        steps = [record for record in self._state.batches[name].records if record.startswith(place) and record not in going]
        ledger = self._state.ledgers.get(name)
        lines = {} if ledger is None else {**ledger.bookings, **ledger.samples}
        booked = [r for r, line in lines.items() if line["equipment"] == unit.name and r not in self._state.booked]
        return sorted([*steps, *booked])

    def _say(self, unit: Unit, wrong: str, right: str, final: list[str]) -> None:
        where = self._state.where[unit.name]
        key = next((where.newest[query] for query in unit.tellings if query in where.newest), None)
        rest = f"; {len(final)} final records stay with {wrong}" if final else ""
        message = f"{unit.name}: row {key} was corrected: its batch is {right}, not {wrong}{rest}"
        evidence: dict[str, Any] = {"equipment": unit.name, "batch": right, "old": wrong, "new": right, "key": key}
        evidence |= {"final": final[:MOST_NAMED], "final_count": len(final)}
        self._emit(event_bodies.finding("batch-corrected", "warning", message, evidence))
