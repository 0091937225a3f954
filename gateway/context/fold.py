"""The fold: from what was observed to what it means. Pure: the same items give the same events, live and on replay."""

from collections.abc import Iterable, Mapping
from functools import cache
from hashlib import sha256
from typing import Any

import orjson
from pydantic import TypeAdapter

from config import Line
from gateway.alarms import Gathering, without_batch
from gateway.context import event_bodies
from gateway.context.equipment.alarms import Alarms
from gateway.context.equipment.conditions import Conditions
from gateway.context.equipment.holdtimes import HoldTimes
from gateway.context.events import Events
from gateway.context.gaps import belonging
from gateway.context.gaps.gaps import Gap, Gaps
from gateway.context.gaps.silence import Silences
from gateway.context.materials.batch_materials import Ledgers
from gateway.context.materials.bookings import Bookings
from gateway.context.plan import Plan
from gateway.context.readings import Readings
from gateway.context.records.batches import Batches
from gateway.context.records.corrections import Corrections
from gateway.context.records.final_records import FinalRecords
from gateway.context.records.late_results import LateResults
from gateway.context.records.run_memory import RETIRE_EVERY_TICKS
from gateway.context.records.runs import Runs
from gateway.context.records.so_far import so_far
from gateway.context.set_clock import SetClock
from gateway.context.signals.contexts import Contexts
from gateway.context.signals.occupancy import Occupancy
from gateway.context.signals.rows import Rows
from gateway.context.signals.settle import Settling
from gateway.context.signals.sight import Sight
from gateway.context.signals.steps_from_rows import RowSteps
from gateway.context.signals.steps_from_signals import SignalSteps
from gateway.context.state import FORMAT, EquipmentState, Instant, State
from gateway.context.takeover import Takeover
from gateway.entries.fold_input import EventInput, ReadingsInput, from_entry
from gateway.entries.ticks import TICKS_PER_S, from_rfc3339
from gateway.parameters import Track, extend

MOST_DOUBTFUL = 256
"""Intervals of an unverified clock that are told apart."""


@cache
def _stored_form() -> TypeAdapter[State]:
    """Make what reads a stored state, when the first one is read: a new journal has none, and a line that runs reads none again."""
    return TypeAdapter(State)


def load_no_more() -> None:
    """Let go what `Fold.load` has made to read with: some megabytes."""
    _stored_form.cache_clear()


def left_out(stored: Any, taken: Any) -> str | None:
    """Name what a stored value holds and what was made of it does not; None if all of it was taken. Both are JSON values."""
    if isinstance(stored, dict) and isinstance(taken, dict):
        if (unknown := next((name for name in stored if name not in taken), None)) is not None:
            return str(unknown)
        pairs: Iterable[tuple[Any, Any]] = ((value, taken[name]) for name, value in stored.items())
    elif isinstance(stored, list) and isinstance(taken, list):
        pairs = zip(stored, taken, strict=False)
    else:
        return None
    return next((found for pair in pairs if (found := left_out(*pair)) is not None), None)


class Fold:
    """Contexts, steps, batches, gaps and parameters of a line, decided entry by entry.

    Time advances only through entries. The fold's own events are never fed back to it.
    """

    def __init__(self, line: Line, state: State | None = None, former: "Fold | None" = None) -> None:
        """Begin, or go on with a state. former: the fold that decides until this one's configuration begins."""
        self.plan = Plan(line)
        self.state = state or State()
        self._former = former
        self._events: list[dict[str, Any]] = []
        self.findings: Gathering = Gathering(self.state.found) if former is None else former.findings
        if former is None:
            self._adopt()
        self._compose()

    def _compose(self) -> None:
        self._holds = HoldTimes(self.state, self.plan, self._emit)
        self._ledgers = Ledgers(self.state, self.plan, self._emit)
        self._alarms = Alarms(self.state, self.plan, self._emit)
        self._runs = Runs(self.state, self.plan, self._emit, self._holds)
        self._batches = Batches(self.state, self.plan, self._emit, self._runs, self._holds, self._alarms, self._ledgers)
        self._late_results = LateResults(self.state, self._runs, self._emit)
        self._contexts = Contexts(self.state, self.plan, self._runs)
        sight = Sight(self.state, self.plan)
        finals = FinalRecords(self.state, self.plan, self._emit, self._runs)
        corrections = Corrections(self.state, self.plan, self._emit, self._runs, self._batches, self._ledgers, finals)
        self._occupancy = Occupancy(
            self.state, self.plan, self._emit, self._runs, self._batches, corrections, finals, self._contexts, sight
        )
        steps = SignalSteps(self.state, self.plan, self._runs, self._occupancy, sight)
        self._settling = Settling(self.state, self.plan, self._emit, self._runs, self._occupancy, steps, self._holds)
        self._gaps = Gaps(self.state, self.plan)
        self._silences = Silences(self.state, self.plan, self._gaps, self._emit)
        rows = Rows(self.state, self.plan, self._emit)
        self._rowsteps = RowSteps(self.state, self.plan, self._emit, self._runs, self._occupancy)
        self._bookings = Bookings(self.state, self.plan, self._ledgers, self._emit)
        conditions = Conditions(self.state, self.plan, self._alarms.occurred)
        self._readings = Readings(
            self.state,
            self.plan,
            self._emit,
            self._gaps,
            self._silences,
            self._holds,
            self._runs,
            self._bookings,
            self._alarms,
            self._settling,
            self._contexts,
        )
        self._set_clock = SetClock(self.state, self.plan, self._readings)
        self._taken = Events(self._readings, rows, self._rowsteps, conditions, self._emit)
        self._signals = {source: frozenset(indexes) for source, indexes in self.plan.signals.items()}

    # the door

    def decide(self, item: ReadingsInput | EventInput) -> list[dict[str, Any]]:
        """Decide what an entry causes: the bodies of events, in order, each with `caused_by`: the seq of this item."""
        looked = isinstance(item, ReadingsInput) or not _starts(item.event)
        if self._former is None:
            self._begin(item, is_start=not looked)
        elif looked or (isinstance(item, EventInput) and item.event["type"] == "config"):
            self._take_over(self._former, item, is_start=not looked)
        else:
            return self._former.decide(item)
        if looked and any(where.pending for where in self.state.where.values()):
            self._settling.settle()  # time has passed before the entry tells anything
        if isinstance(item, ReadingsInput):
            self._readings.take(item)
        else:
            self.findings.take(item.event, item.ticks, item.seq)
            self._taken.take(item.event)
        if self._silences.limits:
            for name, last in self._silences.due():
                self._runs.touched([name], last, None, "late-data")
        if looked:
            self._settling.settle()
        self._rowsteps.settle()
        if self._events or isinstance(item, EventInput):
            self._bookings.rebind()
        self._bookings.settle()
        for run in (*self._late_results.due(), *self._runs.due()):
            self._batches.recorded(run)
        if self._gaps.begun:
            self._batches.hidden(self._gaps.begun)
            self._gaps.begun.clear()
        self._batches.close()
        self._retire_if_due()
        if self._events:
            self._contexts.changed()
        return self._events

    def under(self, line: Line) -> "Fold":
        """Give the fold that goes on under a configuration: from its `config` event on, before which this one still decides."""
        if line.sha256 == self.plan.line.sha256:
            return self
        return Fold(line, self.state, self._former or self)

    def signals(self, source: str) -> frozenset[int]:
        """Name the tags at which the intake cuts a list when their value changes."""
        return self._signals.get(source, frozenset())

    def contexts(self, source: str) -> dict[str, Any]:
        """Give the `contexts` of an entry of this source, after the items so far."""
        return self._contexts.of_source(source)

    def context(self, equipment: str) -> dict[str, Any]:
        """Tell where one equipment is, and what its batch lacks so far, for the status page."""
        return {**self._contexts.context(self.plan.units[equipment]), "so_far": so_far(self.state, self.plan, equipment)}

    def reviewed(self, batch: str) -> str | None:
        """Give the id of the document by which the audit trail of a batch was reviewed after its end; None if it was not, or long ago."""
        return self.state.reviewed.get(batch)

    def waiting(self) -> bool:
        """Return whether something is decided as soon as entries let time pass: a change that must stand still, the record of a step."""
        unrecorded = any(run.end is not None and (not run.revision or run.dirty is not None) for run in self.state.runs.values())
        return unrecorded or any(where.pending for where in self.state.where.values()) or self._bookings.waiting()

    def open_gaps(self, source: str) -> list[Gap]:
        """List the gaps of a source that have not closed."""
        return self._gaps.of(source)

    def last_observed(self, source: str) -> int | None:
        """Give the ticks through which a source is proved to have been observed."""
        return self.state.observed.get(source)

    def open_since(self) -> int | None:
        """Give the smallest seq that an open batch or a step without its final record still needs; None: nothing is open."""
        needed = [member.start_seq for batch in self._batches.open() for member in batch.members]
        needed += [run.start_seq for run in self.state.runs.values()]
        needed += [p.seq for where in self.state.where.values() for p in where.pending.values()]
        needed += [p.seq for where in self.state.where.values() for waiting in where.unstarted.values() for p in waiting]
        needed += [each.seq for each in self.state.occurred]
        return min(needed, default=None)

    def item(self, entry: Mapping[str, Any]) -> ReadingsInput | EventInput | None:
        """Turn a stored entry (parsed) into an item of this fold; None for an event that a fold made."""
        return from_entry(entry, self.state.tagsets, self.plan.line)

    def dump(self) -> bytes:
        """Dump the whole state as JSON."""
        return orjson.dumps(self.state, option=orjson.OPT_NON_STR_KEYS)

    @classmethod
    def load(cls, line: Line, data: bytes) -> "Fold":
        """Make a fold that goes on where `dump` was made. Raises ValueError for a dump of another format: then fold the journal anew."""
        stored = orjson.loads(data)
        if isinstance(stored, dict) and stored.get("format") != FORMAT:
            raise ValueError(f"a state of format {stored.get('format')}, this is {FORMAT}")
        state = _stored_form().validate_python(stored)
        if (unknown := left_out(stored, orjson.loads(orjson.dumps(state, option=orjson.OPT_NON_STR_KEYS)))) is not None:
            raise ValueError(f"it holds {unknown}, which a newer release remembers and this one does not know")
        return cls(line, state)

    def hand_over(self, item: ReadingsInput | EventInput, following: Plan, *, is_start: bool) -> list[dict[str, Any]]:
        """End what the configuration that begins with this item does not declare; it takes the item. Returns the events."""
        self._begin(item, is_start=is_start)
        Takeover(self.state, self.plan, self._emit, self._runs, self._batches, self._bookings).end(following)
        self._readings.close(self._gaps.end_undeclared(following))
        return self._events

    # inside

    def _begin(self, item: ReadingsInput | EventInput, *, is_start: bool) -> None:
        before, self._events, self.state.seq, self.state.now = self.state.now, [], item.seq, item.ticks
        self.state.began = self.state.began or item.ticks
        self._set_clock.take(item, before, is_start=is_start, was_verified=self._is_verified())
        self._verified(item)

    def _take_over(self, former: "Fold", item: ReadingsInput | EventInput, *, is_start: bool) -> None:
        """Let the former fold end what this one does not know, and go on with its state."""
        self._events, self._former = former.hand_over(item, self.plan, is_start=is_start), None
        self._adopt()
        self._compose()

    def _adopt(self) -> None:
        """Fit the state to the line: what is new begins empty, what the line no longer has is let go."""
        state, plan = self.state, self.plan
        state.where = {name: state.where.get(name) or EquipmentState() for name in plan.units}
        state.tracks = {name: state.tracks.get(name) or Track(through=state.now) for name in sorted(plan.tracked)}
        belonging.adopt(state, plan)
        state.booked = {record: booked for record, booked in state.booked.items() if booked.occurred.equipment in plan.units}
        state.occurred = [pending for pending in state.occurred if pending.equipment in plan.units]
        state.runs = {number: run for number, run in state.runs.items() if (run.equipment, run.kind, run.name) in plan.gathering}
        state.awaiting = {name: run for name, run in state.awaiting.items() if (run.equipment, run.kind, run.name) in plan.gathering}
        for run in state.runs.values():
            gathered = plan.gathered(run.equipment, run.kind, run.name)
            if run.book is not None:
                extend(run.book, gathered.needs, gathered.limits, state.tracks, run.start.ticks)

    def _is_verified(self) -> bool:
        """Return whether the clock was verified when the entry before this one was made."""
        doubtful = self.state.doubtful
        return not doubtful or doubtful[-1][1] is not None

    def _verified(self, item: ReadingsInput | EventInput) -> None:
        """Note from which entry to which one the clock was not verified."""
        doubtful = self.state.doubtful
        if item.verified and doubtful and doubtful[-1][1] is None:
            doubtful[-1][1] = item.seq - 1
        elif not item.verified and (not doubtful or doubtful[-1][1] is not None):
            doubtful.append([item.seq, None])
            if len(doubtful) > MOST_DOUBTFUL:  # the two that are nearest become one: more is doubted, never less
                doubtful[0:2] = [[doubtful[0][0], doubtful[1][1]]]

    def _emit(self, event: dict[str, Any]) -> str:
        self.findings.take(event, self.state.now, self.state.seq)
        if event["type"] == "step":
            self._without_batch(event)
        digest = sha256()
        for part in event_bodies.parts(event):
            part["caused_by"] = self.state.seq
            digest.update(orjson.dumps(part))
            self._events.append(part)
        if event["type"] == "sample":
            self._late_results.heard(event)
        if self.plan.events and event["type"] in {"alarm", "material", "sample"}:
            self._occurred(event)
        return digest.hexdigest()

    def _without_batch(self, event: Mapping[str, Any]) -> None:
        """Tell people of a step of production that ended and belongs to no batch; cleaning and its like have none."""
        unit = self.plan.units.get(event["equipment"])
        is_news = event["transition"] == "end" and event["revision"] == 1 and event["parent"] is None
        if unit is None or event["batch"] is not None or not is_news:
            return
        activity = dict(unit.active_steps).get(event["step"]) or self._contexts.activity(unit, batch=True)
        if activity == "production":
            self.findings.say(without_batch(event), self.state.now, self.state.seq)

    def _occurred(self, event: Mapping[str, Any]) -> None:
        """Begin a run of one instant at an alarm, a booking or a sample, where the map asks for what stands in the tags then."""
        kind = event["type"]
        name = f"{kind}:{event[{'alarm': 'alarm', 'material': 'booking', 'sample': 'sampling'}[kind]]}"
        unit = self.plan.units.get(event["equipment"] or "")
        first = event["state"] == "raised" if kind == "alarm" else event["revision"] == 1
        if unit is None or not first or (unit.name, name) not in self.plan.events:
            return
        told = event["taken" if kind == "sample" else "at"]
        window = None if told["window_s"] is None else round(told["window_s"] * TICKS_PER_S)
        at = Instant(from_rfc3339(told["time"]), window, told["basis"])
        who = self._occupancy.who(unit, at.ticks)
        if who.batch is not None and who.batch in self.state.batches:
            self._runs.begin_event(unit, name, who, at, self.state.seq)

    def _retire_if_due(self) -> None:
        state = self.state
        if state.retire_due <= state.now or state.now < state.retire_due - RETIRE_EVERY_TICKS:
            state.retire_due = state.now + RETIRE_EVERY_TICKS
            self._runs.memory.retire()
            standing = [track.standing[3] for track in state.tracks.values() if track.standing is not None]
            needed = min([*standing, *(run.start_seq for run in state.runs.values())], default=state.seq)
            state.doubtful = [span for span in state.doubtful if span[1] is None or span[1] >= needed]
            self._batches.forget()


def _starts(event: Mapping[str, Any]) -> bool:
    """Return whether a starting gateway writes this before it looks again: the time that has passed until then proves nothing.

    The gaps over its absence are among these events; when all of them stand, what waits knows for whom it waits.
    """
    match event["type"]:
        case "epoch" | "config" | "tagset":
            return True
        case "audit":
            return event["action"] in {"start", "unclean-start"}
        case "gap":
            return event["transition"] == "open" and event["cause"] in {"gateway-stopped", "gateway-crashed"}
    return False
