"""Batches: entered and left by equipments, closed when all of the route have ended, and what their end record proves."""

from collections.abc import Mapping
from typing import Any

from buffer.chain import leaf, root
from gateway.context import configurations, event_bodies, waits
from gateway.context.equipment.alarms import Alarms
from gateway.context.equipment.holdtimes import HoldTimes
from gateway.context.gaps.unobserved import evidence, unobserved
from gateway.context.materials.batch_materials import Ledgers
from gateway.context.plan import FIELDS, Plan, Unit
from gateway.context.records.runs import Runs
from gateway.context.records.step_comparison import MOST_DIFFERENCES, Difference, Ran, differences
from gateway.context.state import Batch, Identity, Instant, Listed, Member, Run, State, stored_step
from gateway.entries.ticks import TICKS_PER_S
from gateway.parameters import completeness

MOST_MISSING = 100
"""Named in a batch's end record; each step's own record names all of its."""
MOST_CLOSED = 32
"""Closed batches that are remembered whole: one that comes back has its end record revised, and not begun anew."""
MOST_EVENTS = 1_000
"""Events of one batch in one equipment whose parameters stand in its end record; all events stand in the journal."""
MOST_COUNTED = 200
"""Batches whose run numbers are remembered: one that comes back goes on counting."""

_UNSEEN = "the step was not seen to run, and need not; nobody saw its signal throughout"


class Batches:
    """The batches that are open on the line, and those closed ones that a late reading may still revise."""

    def __init__(
        self, state: State, plan: Plan, emit: event_bodies.Emit, runs: Runs, holds: HoldTimes, alarms: Alarms, ledgers: Ledgers
    ) -> None:
        self._state, self._plan, self._emit, self._runs = state, plan, emit, runs
        self._holds, self._alarms, self._ledgers = holds, alarms, ledgers
        self.gateway = plan.line.gateway
        self.wrong: dict[str, tuple[str, list[Member]]] = {}
        """wrong batch number -> the right one, and the stays that were thought to be of the wrong; only while an entry is decided"""

    def enter(self, unit: Unit, who: Identity, at: Instant, seq: int) -> None:
        """A batch comes into an equipment."""
        assert who.batch is not None
        batch = self.opened(who, seq)
        member = Member(unit.name, at, seq, self._runs.begin_batch(unit, who, at, seq).id)
        batch.members.append(member)
        for finding in self.say_start(unit, batch, member):
            self._emit(finding)
        self._alarms.entered(unit.name, who.batch)

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
        event = {
            "type": "batch",
            "transition": "start",
            "record": self._record(batch.identity.batch),
            "equipment": unit.name,
            "unit_id": unit.equipment.unit_id,
            **event_bodies.identity(batch.identity),
            "start": event_bodies.instant(member.start, self._plan.zone),
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
        at = at if at.ticks >= member.start.ticks else Instant(member.start.ticks, at.window, at.basis)
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
            "start": event_bodies.instant(member.start, self._plan.zone),
            "end": event_bodies.instant(member.end, self._plan.zone),
        }
        self._emit(event)

    def _missing_steps(self, unit: Unit, batch: Batch, member: Member, name: str) -> None:
        assert member.end is not None
        unseen = self._unseen_steps(unit, batch, member.start, member.end.ticks)
        member.unseen = list(unseen)
        for step in self.absent(unit, batch, name):
            told = {"equipment": unit.name, "batch": name, "step": step}
            if step in unseen:
                text = f"batch {name} ended in {unit.name}, {step} was not seen to run; nobody saw its signal throughout"
                self._emit(event_bodies.finding("step-not-observed", "warning", text, {**told, "unseen": unseen[step]}))
            else:
                text = f"batch {name} ended in {unit.name} without {step}"
                self._emit(event_bodies.finding("step-missing", "warning", text, told))

    def _unseen_steps(self, unit: Unit, batch: Batch, start: Instant, end: int) -> dict[str, list[dict[str, Any]]]:
        """Give the steps of a batch that have not begun, and may have run all the same, with the intervals in which nobody looked."""
        counts = self._state.counts.get(batch.identity.batch or "", {})
        rows = [row for row in unit.steps_of(batch.identity) if not _has_begun(counts, f"{unit.name}/{row.row.step}")]
        intervals = {row.row.step: unobserved(self._state, self._plan, unit, row, start, end) for row in rows}
        return {step: evidence(hidden) for step, hidden in intervals.items() if hidden}

    def absent(self, unit: Unit, batch: Batch, name: str) -> list[str]:
        """Steps that must occur and have not begun in this batch."""
        counts = self._state.counts.get(name, {})
        rows = unit.steps_of(batch.identity)
        return [r.row.step for r in rows if r.row.occurs in {"1", "1..n"} and not _has_begun(counts, f"{unit.name}/{r.row.step}")]

    def recorded(self, run: Run) -> None:
        """A record was made or revised: the batch lists its latest revision."""
        batch = self._state.batches.get(run.identity.batch or "")
        if batch is None or run.last is None:
            return
        batch.configs = sorted({*batch.configs, *run.configs})
        if run.kind == "step" and run.end is not None and self._plan.units[run.equipment].equipment.mes_steps is not None:
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
            batch.records[run.record] = Listed(*stands, run.equipment, run.step, run.start, [run.start_seq, run.end_seq])
            gaps = {gap for p in run.last["parameters"] for gap in p["gaps"]}
            batch.gaps = sorted(gaps.union(batch.gaps))
        if batch.revision:
            batch.revise(self._state.now, run.last.get("reason"))

    def _took(self, batch: Batch, run: Run) -> None:
        """Parameters were taken at an event: they belong to the equipment's part of the batch."""
        mine = [m for m in batch.members if m.equipment == run.equipment]
        member = next((m for m in reversed(mine) if m.start.ticks <= run.start.ticks), mine[0] if mine else None)
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
                self._emit_end(name, self._state.batches[name], "corrected", members, superseded_by)
        for name, batch in list(self._state.batches.items()):
            if not batch.members or batch.ended is None or (batch.revision and batch.dirty is None):
                continue
            if any(r.identity.batch == name and (not r.revision or r.dirty is not None) for r in self._state.runs.values()):
                continue
            if self._ledgers.awaited(name, batch):
                continue
            if batch.revision or (cause := self._complete(batch)) is not None:
                if not batch.revision and self._awaits_rows(batch):
                    continue
                if not batch.revision:
                    self._compare(name, batch)
                self._emit_end(name, batch, "completed" if batch.revision else cause or "completed", batch.members)

    def _awaits_rows(self, batch: Batch) -> bool:
        """Whether rows that tell the last steps may still come."""
        assert batch.ended is not None
        hows = (self._plan.units[member.equipment].equipment.mes_steps for member in batch.members)
        within = max((how.within_s for how in hows if how is not None), default=0.0)
        return not waits.ready(self._state, waits.of_comparison(batch.ended, within))

    def _compare(self, name: str, batch: Batch) -> None:
        """Hold what signals and MES rows told of the batch's steps against each other: each difference is a finding."""
        for member in batch.members:
            unit, where = self._plan.units[member.equipment], self._state.where[member.equipment]
            how = unit.equipment.mes_steps
            if how is None or member.end is None:
                continue
            within = round(how.within_s * TICKS_PER_S)
            until = member.end.ticks + within
            told = [t for t in where.told if t.start <= until and (t.end is None or t.end >= member.start.ticks - within)]
            where.told = [t for t in where.told if t not in told]
            other = "the PLC's signals" if unit.from_rows else f"rows of {how.row}"
            head = {"equipment": unit.name, "batch": name, "other": other}
            if (why := self._incomparable(unit, how.row)) is not None:
                message = f"batch {name} in {unit.name}: its steps were not compared with {other}: {why}"
                self._emit(event_bodies.finding("steps-not-compared", "warning", message, head))
                continue
            compared = {s.row.step for s in unit.steps if how.level in {"all", s.row.level} and (s.row.signal or not unit.from_rows)}
            mine = (r[1:] for r in batch.ran.values() if r[0] == unit.name and member.start.ticks <= r[3] <= member.end.ticks)
            told = [t for t in told if t.step in compared]
            self._differ(name, head, differences([Ran(*r) for r in mine if r[0] in compared], told, within))

    def _differ(self, name: str, head: dict[str, Any], found: list[Difference]) -> None:
        for difference in found[:MOST_DIFFERENCES]:
            message = f"batch {name}, {head['equipment']}: {difference.text} ({head['other']})"
            evidence = {**head, "difference": difference.kind, **difference.evidence}
            self._emit(event_bodies.finding("steps-differ", "warning", message, evidence))
        if len(found) > MOST_DIFFERENCES:
            message = f"batch {name}, {head['equipment']}: {len(found) - MOST_DIFFERENCES} more differences ({head['other']})"
            self._emit(event_bodies.finding("steps-differ", "warning", message, {**head, "difference": "more", "count": len(found)}))

    def _incomparable(self, unit: Unit, row: str) -> str | None:
        """Why the other side can not be relied on: it is not observed at present, or told more than was kept."""
        where = self._state.where[unit.name]
        dropped, where.untold = where.untold, 0
        if dropped:
            return f"{dropped} of its runs were too many to keep"
        others = set(unit.sources) if unit.from_rows else {row.partition(".")[0]}
        lost = sorted({gap.source for gap in self._state.gaps} & others)
        return f"{', '.join(lost)} is not observed" if lost else None

    def _complete(self, batch: Batch) -> str | None:
        """Why the batch closes; None while equipments of its route have not had it."""
        assert batch.ended is not None
        route = self._plan.route(batch.identity.recipe)
        if route is None or set(route.equipments) <= {m.equipment for m in batch.members}:
            return "completed"
        waited = self._state.now - batch.ended  # no Wait: a clock that was set back must not close a batch hours early
        return "closed-after" if waited >= route.close_after_h * 3_600 * TICKS_PER_S else None

    def _emit_end(self, name: str, batch: Batch, cause: str, members: list[Member], superseded_by: str | None = None) -> None:
        zone = self._plan.zone
        if cause == "completed" and any(m.end is not None and m.end.basis == "told-by-row" for m in members):
            cause = "unknown"  # nobody saw it end, a row alone says that it is over
        start = min((m.start for m in members), key=lambda at: at.ticks)
        end = max((m.end for m in members if m.end is not None), key=lambda at: at.ticks)
        configurations.note(batch.configs, self._state)
        stated, account = self._completeness(name, batch), self._ledgers.account(name, batch)
        listed = [{"record": r, "revision": x.revision, "content_sha256": x.sha256} for r, x in sorted(batch.records.items())]
        event = {
            "type": "batch",
            "transition": "end",
            "record": self._record(name),
            "revision": batch.revision + 1,
            "supersedes": f"{self._record(name)}#{batch.revision}" if batch.revision else None,
            "reason": (batch.reason or "late-data") if batch.revision else None,
            "cause": cause,
            **({} if superseded_by is None else {"superseded_by": superseded_by}),
            **event_bodies.identity(batch.identity),
            "start": event_bodies.instant(start, zone),
            "end": event_bodies.instant(end, zone),
            "equipments": [
                {
                    "equipment": m.equipment,
                    "unit_id": self._plan.units[m.equipment].equipment.unit_id,
                    "start": event_bodies.instant(m.start, zone),
                    "end": event_bodies.instant(m.end, zone),
                    "parameters": [*m.parameters, *(p for taken in m.events.values() for p in taken)],
                }
                for m in members
            ],
            "records": listed,
            "merkle_root": root([leaf(bytes.fromhex(x.sha256)) for _, x in sorted(batch.records.items())]).hex(),
            **account,
            "configurations": configurations.listed(self._state, batch.configs),
            "gaps": batch.gaps,
            "alarms": batch.alarms,
            "alarm_count": batch.alarm_count,
            "status": "complete" if superseded_by is None and not stated["missing"] else "incomplete",
            "completeness": stated,
        }
        batch.digest, batch.revision, batch.dirty, batch.reason = self._emit(event), batch.revision + 1, None, None

    def _completeness(self, name: str, batch: Batch) -> dict[str, Any]:
        required = sum(x.required for x in batch.records.values())
        missing = [item for _, x in sorted(batch.records.items()) for item in x.missing]
        not_ours = [item for _, x in sorted(batch.records.items()) for item in x.open]
        for member in batch.members:
            taken = [p for at_event in member.events.values() for p in at_event]
            stated = completeness([*member.parameters, *taken])
            required += stated["required"]
            head = {"equipment": member.equipment, "step": None, "run": None}
            missing += [{**head, **item} for item in stated["missing"]]
            not_ours += [{**head, **item} for item in stated.get("open", ())]
        present = required - len(missing)
        steps = [(m, s) for m in dict.fromkeys(m.equipment for m in batch.members) for s in self.absent(self._plan.units[m], batch, name)]
        route = self._plan.route(batch.identity.recipe)
        passed = {m.equipment for m in batch.members}
        absent = [] if route is None or not passed else [e for e in route.equipments if e not in passed]
        unseen = {(member.equipment, step) for member in batch.members for step in member.unseen}
        statuses = ((m, s, "not-observed" if (m, s) in unseen else "missing") for m, s in steps)
        whole = [{"equipment": m, "step": s, "run": None, "parameter": None, "status": status} for m, s, status in statuses]
        whole += [{"equipment": e, "step": None, "run": None, "parameter": None, "status": "missing"} for e in absent]
        asked, unbooked = self._ledgers.missing(name, batch)
        required, present = required + asked, present + asked - len(unbooked)
        missing = whole + missing + unbooked
        counted = {"required": required + len(whole), "present": present, "missing": missing[:MOST_MISSING]}
        if len(missing) > MOST_MISSING:
            counted["missing_count"] = len(missing)
        if not_ours:
            counted |= {"open": not_ours[:MOST_MISSING], "open_count": len(not_ours)}
        idle = [item for m in dict.fromkeys(m.equipment for m in batch.members) for item in self._idle(self._plan.units[m], batch, name)]
        counted |= {"not_applicable": idle[:MOST_MISSING]} if idle else {}
        return counted if len(idle) <= MOST_MISSING else {**counted, "not_applicable_count": len(idle)}

    def _idle(self, unit: Unit, batch: Batch, name: str) -> list[dict[str, Any]]:
        """Required parameters of the map that this batch did not call for, each with the reason."""
        who, counts = batch.identity, self._state.counts.get(name, {})
        optional = {r.row.step for r in unit.steps_of(who) if r.row.occurs in {"0..1", "0..n"}}
        found: dict[tuple[str | None, str], str] = {}
        rows = [row for row in self._plan.line.parameters if row.equipment == unit.name and row.required]
        fits = {id(row) for row in rows if row.recipe in {None, who.recipe} and row.recipe_version in {None, who.recipe_version}}
        for row in sorted(rows, key=lambda row: id(row) in fits):  # a row that fits has the last word
            found[row.step, row.parameter] = "of another recipe"
            if id(row) in fits:
                del found[row.step, row.parameter]
                if row.step in optional and not _has_begun(counts, f"{unit.name}/{row.step}"):
                    unseen = any(member.equipment == unit.name and row.step in member.unseen for member in batch.members)
                    found[row.step, row.parameter] = _UNSEEN if unseen else "the step did not run, and need not"
                if row.when == "event" and not counts.get(f"{unit.name}/{stored_step('event', row.event or '')}"):
                    found[row.step, row.parameter] = "the event did not happen"
        head = {"equipment": unit.name, "status": "not-applicable"}
        return [{**head, "step": step, "parameter": p, "reason": why} for (step, p), why in sorted(found.items(), key=str)]

    def open(self) -> list[Batch]:
        """Those that may still make an end record, or make it again."""
        return [batch for name, batch in self._state.batches.items() if not self._final(name, batch)]

    def forget(self) -> None:
        """Forget closed batches that nothing can revise any more, but the newest: one of them may come into another equipment."""
        awaited = {run.identity.batch for run in self._state.awaiting.values()}
        final = [name for name, batch in self._state.batches.items() if self._final(name, batch) and name not in awaited]
        for name in final[: max(len(final) - MOST_CLOSED, 0)]:
            del self._state.batches[name]

    def _final(self, name: str, batch: Batch) -> bool:
        closed = batch.revision > 0 and (batch.dirty is None or not batch.members) and batch.ended is not None
        return closed and all(run.identity.batch != name for run in self._state.runs.values())

    def _record(self, batch: str) -> str:
        return f"{self.gateway}/{batch}"


def gone_over(counted: str) -> str:
    """Name the count of runs of a step that went over to another batch: their numbers are not given again, but none ran here."""
    return f"{counted}!"


def _has_begun(counts: Mapping[str, int], counted: str) -> bool:
    """Return whether a step has begun in a batch, in runs that stayed with it."""
    return counts.get(counted, 0) > counts.get(gone_over(counted), 0)
