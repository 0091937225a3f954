"""Batches: entered and left by equipments, closed when all of the route have ended, and what their end record proves."""

from dataclasses import replace
from typing import Any

from gateway.context import configurations, event_bodies, waits
from gateway.context.equipment import late_alarms
from gateway.context.equipment.alarms import Alarms
from gateway.context.equipment.holdtimes import HoldTimes
from gateway.context.gaps import belonging
from gateway.context.materials.batch_materials import Ledgers
from gateway.context.plan import FIELDS, Plan, Unit
from gateway.context.records import hybrid, led_elsewhere
from gateway.context.records.absent_steps import absent, unseen
from gateway.context.records.batch_end import BatchEnd
from gateway.context.records.run_edges import was_seen
from gateway.context.records.runs import Runs
from gateway.context.records.two_tellers import compare
from gateway.context.standing import known
from gateway.context.state import Batch, Identity, Instant, Listed, Member, Run, State
from gateway.entries.ticks import TICKS_PER_S

MOST_CLOSED = 32
"""Closed batches that are remembered whole: one that comes back has its end record revised, and not begun anew."""
MOST_EVENTS = 1_000
"""Events of one batch in one equipment whose parameters stand in its end record; all events stand in the journal."""
MOST_COUNTED = 200
"""Batches whose run numbers are remembered: one that comes back goes on counting."""


class Batches:
    """The batches that are open on the line, and those closed ones that a late reading may still revise."""

    def __init__(
        self, state: State, plan: Plan, emit: event_bodies.Emit, runs: Runs, holds: HoldTimes, alarms: Alarms, ledgers: Ledgers
    ) -> None:
        self._state, self._plan, self._emit, self._runs = state, plan, emit, runs
        self._holds, self._alarms, self._ledgers = holds, alarms, ledgers
        self._end = BatchEnd(state, plan, ledgers)
        self.gateway = plan.line.gateway
        self.wrong: dict[str, tuple[str, list[Member]]] = {}
        """wrong batch number -> the right one, and the stays that were thought to be of the wrong; only while an entry is decided"""

    def enter(self, unit: Unit, who: Identity, at: Instant, seq: int) -> None:
        """A batch comes into an equipment."""
        assert who.batch is not None
        batch = self.opened(who, seq)
        member = Member(
            unit.name, at, seq, self._runs.begin_batch(unit, who, at, seq).id, unit_id=unit.equipment.unit_id, entered=self._state.seq
        )
        batch.members.append(member)
        for finding in self.say_start(unit, batch, member):
            self._emit(finding)
        self._alarms.entered(unit.name, who.batch)

    def alarms_since(self, unit: Unit, name: str, since: int, until: int | None = None) -> None:
        """List with a batch that has entered the alarms of the time before that was known. since: ticks at which it came; until: left."""
        late_alarms.claim(self._state, unit.name, name, since, until)

    def alarms_of_nobody(self, unit: Unit, name: str, since: int, until: int | None) -> None:
        """Take from a batch the alarms after its release, which was told late. until: ticks of the next id."""
        late_alarms.disclaim(self._state, unit.name, name, since, until)

    def opened(self, who: Identity, seq: int) -> Batch:
        """Give the batch that an equipment works for since an entry; it is open, whatever it was before."""
        assert who.batch is not None
        batch = self._state.batches.setdefault(who.batch, Batch(Identity(who.batch)))
        self.fill(who)
        batch.configs = sorted({*batch.configs, *configurations.since(self._state, seq)})
        batch.ended, batch.dirty = None, None
        counts = self._state.counts
        counts[who.batch] = counts.pop(who.batch, {})
        for old in list(counts)[: max(len(counts) - MOST_COUNTED, 0)]:
            if old not in self._state.batches and old != "-":
                del counts[old]
        return batch

    def say_start(self, unit: Unit, batch: Batch, member: Member) -> list[dict[str, Any]]:
        """Say that a batch came into an equipment. Returns findings about how long that one stood before."""
        assert batch.identity.batch is not None
        holds, findings = self._holds.entered(unit, batch.identity.batch, member.start)
        member.gaps |= dict.fromkeys(gap for hold in holds for gap in hold["gaps"])
        event = {
            "type": "batch",
            "transition": "start",
            "record": self._record(batch.identity.batch),
            "equipment": unit.name,
            "unit_id": unit.equipment.unit_id,
            **event_bodies.identity(batch.identity),
            "start": self._instant(member.start),
            **hybrid.phases(self._plan, known(self._state, self._plan, member.start)),
            "hold_times": holds,
            "evidence": {"from_seq": member.start_seq, "to_seq": self._state.seq},
        }
        self._emit(event)
        return findings

    def fill(self, who: Identity) -> None:
        """What became known of a batch after its start."""
        batch = self._state.batches.get(who.batch or "")
        if batch is None:
            return
        for name in FIELDS:
            if getattr(batch.identity, name) is None:
                setattr(batch.identity, name, getattr(who, name))

    def leave(self, unit: Unit, name: str, at: Instant, cause: str) -> None:
        """A batch is ended in an equipment."""
        batch = self._state.batches.get(name)
        member = None if batch is None else next((m for m in reversed(batch.members) if m.equipment == unit.name and m.end is None), None)
        if batch is None or member is None:
            return
        at = at if at.ticks >= member.start.ticks else replace(at, ticks=member.start.ticks)
        member.end = at
        self._holds.left(unit.name, name, at)
        self._missing_steps(unit, batch, member, name)
        run = self._state.runs.get(member.run)
        if run is not None:
            self._runs.end(run, at, self._state.seq, cause)
        if all(m.end is not None for m in batch.members):
            batch.ended = self._state.now
            batch.dirty = self._state.now if batch.revision else None
        self.say_left(unit, batch, member, cause)

    def end_undeclared(self, unit: Unit, at: Instant) -> None:
        """End the batches in an equipment that is no longer declared: from here on nothing tells of it. What lacked by then stays said."""
        for name, batch in list(self._state.batches.items()):
            for member in [m for m in batch.members if m.equipment == unit.name]:
                if member.end is None:
                    self.leave(unit, name, at, "unknown")
                run = self._state.runs.get(member.run)
                if run is not None and self._runs.record_now(run):
                    self.recorded(run)
                member.absent, member.unit_id = absent(self._state, unit, batch.identity), unit.equipment.unit_id

    def say_left(self, unit: Unit, batch: Batch, member: Member, cause: str, superseded_by: str | None = None) -> None:
        """Say that a batch is ended in an equipment. superseded_by: whose the stay was, if the batch number was wrong."""
        assert batch.identity.batch is not None
        event = {
            "type": "batch",
            "transition": "leave",
            "record": self._record(batch.identity.batch),
            "cause": cause,
            **({} if superseded_by is None else {"superseded_by": superseded_by}),
            "equipment": unit.name,
            "unit_id": unit.equipment.unit_id,
            **event_bodies.identity(batch.identity),
            "start": self._instant(member.start),
            "end": self._instant(member.end),
        }
        self._emit(event)

    def _instant(self, at: Instant | None) -> dict[str, Any] | None:
        """Write an instant as it is known by now."""
        return event_bodies.instant(None if at is None else known(self._state, self._plan, at), self._plan.zone)

    def _missing_steps(self, unit: Unit, batch: Batch, member: Member, name: str) -> None:
        assert member.end is not None
        not_seen = unseen(self._state, self._plan, unit, batch, known(self._state, self._plan, member.start), member.end.ticks)
        member.unseen = list(not_seen)
        for step in absent(self._state, unit, batch.identity):
            told = {"equipment": unit.name, "batch": name, "step": step}
            if step in not_seen:
                text = f"batch {name} ended in {unit.name}, {step} was not seen to run; nobody saw its signal throughout"
                self._emit(event_bodies.finding("step-not-observed", "warning", text, {**told, "unseen": not_seen[step]}))
            else:
                text = f"batch {name} ended in {unit.name} without {step}"
                self._emit(event_bodies.finding("step-missing", "warning", text, told))

    def recorded(self, run: Run) -> None:
        """A record was made or revised: the batch lists its latest revision."""
        batch = self._state.batches.get(run.identity.batch or "")
        if batch is None or run.last is None:
            return
        batch.configs = sorted({*batch.configs, *run.configs})
        unit = self._plan.units.get(run.equipment)
        if run.kind == "step" and run.end is not None and unit is not None and unit.equipment.mes_steps is not None:
            batch.ran[run.record] = [run.equipment, run.step, run.run, run.start.ticks, run.end.ticks]
        if run.kind == "event":
            self._took(batch, run)
        elif run.kind == "batch":
            for member in batch.members:
                if member.run == run.id:
                    member.parameters = run.last["parameters"]
        else:
            told = run.last["completeness"]
            head = {"equipment": run.equipment, "step": run.step, "run": run.run}
            missing, not_ours = ([{**head, **item} for item in told.get(name, ())] for name in ("missing", "open"))
            stands = (run.revision, run.last["content_sha256"], told["required"], missing, not_ours)
            seqs, gaps = [run.start_seq, run.end_seq], sorted({gap for p in run.last["parameters"] for gap in p["gaps"]})
            seen = was_seen(self._state, self._plan, run)
            batch.records[run.record] = Listed(*stands, run.equipment, run.step, run.start, seqs, seen, gaps, list(run.configs))
        if batch.revision:
            batch.revise(self._state.now, run.last.get("reason"))

    def hidden(self, gaps: list[str]) -> None:
        """These gaps are told for the first time: a batch that was closed in one of them has its end made again."""
        closed = [batch for batch in self._state.batches.values() if batch.revision]
        for batch in belonging.judge(self._state, self._plan, gaps, closed):
            batch.revise(self._state.now, "late-data")

    def _took(self, batch: Batch, run: Run) -> None:
        """Parameters were taken at an event: they belong to the equipment's part of the batch."""
        member = stay_of(batch, run)
        if member is not None and run.last is not None and (run.record in member.events or len(member.events) < MOST_EVENTS):
            member.events[run.record] = run.last["parameters"]

    def unlist(self, name: str | None, record: str) -> None:
        """A record went over to another batch."""
        batch = self._state.batches.get(name or "")
        if batch is not None:
            batch.ran.pop(record, None)
        if batch is not None and batch.records.pop(record, None) is not None and batch.revision:
            batch.revise(self._state.now, "re-bound")

    def close(self) -> None:
        """Make the end records that can be made now."""
        wrong, self.wrong = self.wrong, {}
        for name, (superseded_by, members) in wrong.items():
            if not self._state.batches[name].members:  # else it came back within the entry
                self._say_end(name, self._state.batches[name], "corrected", members, superseded_by)
        for name, batch in list(self._state.batches.items()):
            if batch.members and batch.ended is not None and self._is_settled(name, batch):
                self._close(name, batch)

    def _is_settled(self, name: str, batch: Batch) -> bool:
        """Whether nothing that belongs into the end record is still to be decided, and something of it is news."""
        if batch.revision and batch.dirty is None:
            return False
        if any(r.identity.batch == name and (not r.revision or r.dirty is not None) for r in self._state.runs.values()):
            return False
        return not self._ledgers.awaited(name, batch)

    def _close(self, name: str, batch: Batch) -> None:
        if batch.revision:
            self._say_end(name, batch, "completed", batch.members)
        elif (cause := self._complete(batch)) is not None and not self._awaits_rows(batch):
            for finding in compare(self._state, self._plan, name, batch):
                self._emit(finding)
            self._say_end(name, batch, cause, batch.members)

    def _awaits_rows(self, batch: Batch) -> bool:
        """Whether rows that tell the last steps may still come."""
        assert batch.ended is not None
        units = (self._plan.units[member.equipment] for member in batch.members if member.equipment in self._plan.units)
        hows = (unit.equipment.mes_steps for unit in units)
        within = max((how.within_s for how in hows if how is not None), default=0.0)
        return not waits.ready(self._state, waits.of_comparison(batch.ended, within))

    def _complete(self, batch: Batch) -> str | None:
        """Why the batch closes; None while equipments of its route have not had it."""
        assert batch.ended is not None
        route = self._plan.route(batch.identity.recipe)
        if route is None or set(route.equipments) <= {m.equipment for m in batch.members}:
            return "completed"
        waited = self._state.now - batch.ended  # no Wait: a clock that was set back must not close a batch hours early
        return "closed-after" if waited >= route.close_after_h * 3_600 * TICKS_PER_S else None

    def _say_end(self, name: str, batch: Batch, cause: str, members: list[Member], superseded_by: str | None = None) -> None:
        event = self._end.event(name, batch, cause, members, superseded_by)
        batch.digest, batch.revision, batch.dirty, batch.reason = self._emit(event), batch.revision + 1, None, None

    def open(self) -> list[Batch]:
        """Those that may still make an end record, or make it again."""
        return [batch for name, batch in self._state.batches.items() if not self._final(name, batch)]

    def forget(self) -> None:
        """Forget closed batches that nothing can revise any more, but the newest: one of them may come into another equipment."""
        awaited = {run.identity.batch for run in self._state.awaiting.values()}
        final = [name for name, batch in self._state.batches.items() if self._final(name, batch) and name not in awaited]
        for name in final[: max(len(final) - MOST_CLOSED, 0)]:
            led_elsewhere.forget(self._state, self._state.batches.pop(name).members)

    def _final(self, name: str, batch: Batch) -> bool:
        closed = batch.revision > 0 and (batch.dirty is None or not batch.members) and batch.ended is not None
        return closed and all(run.identity.batch != name for run in self._state.runs.values())

    def _record(self, batch: str) -> str:
        return f"{self.gateway}/{batch}"


def stay_of(batch: Batch, run: Run) -> Member | None:
    """Give the stay of a batch in which a run began; one that ran when the id came is of the first."""
    mine = [member for member in batch.members if member.equipment == run.equipment]
    return next((m for m in reversed(mine) if m.start.ticks <= run.start.ticks), mine[0] if mine else None)
