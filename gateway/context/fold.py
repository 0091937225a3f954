"""The fold: from what was observed to what it means. Pure: the same items give the same events, live and on replay."""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

import orjson
from pydantic import TypeAdapter

from config import Line
from gateway.context import event_bodies
from gateway.context.equipment.alarms import Alarms
from gateway.context.equipment.conditions import CONDITIONS, Conditions
from gateway.context.equipment.holdtimes import HoldTimes
from gateway.context.former_keys import adopt
from gateway.context.gaps.gaps import Closed, Gap, Gaps
from gateway.context.gaps.silence import Silences
from gateway.context.materials.batch_materials import Ledgers
from gateway.context.materials.bookings import Bookings
from gateway.context.plan import FIELDS, Plan, Unit
from gateway.context.records.batches import Batches
from gateway.context.records.runs import RETIRE_EVERY_TICKS, Runs
from gateway.context.signals.contexts import Contexts
from gateway.context.signals.identity import take_rows
from gateway.context.signals.occupancy import Occupancy
from gateway.context.signals.settle import Origin, Settling
from gateway.context.signals.sight import Sight
from gateway.context.signals.steps_from_rows import RowSteps
from gateway.context.signals.steps_from_signals import SignalSteps
from gateway.context.state import FORMAT, EquipmentState, Instant, State
from gateway.context.texts import text
from gateway.context.throttle import say_once
from gateway.entries.fold_input import EventInput, ReadingsInput, Seen, from_entry, learn
from gateway.entries.ticks import TICKS_PER_S, from_rfc3339, rfc3339
from gateway.parameters import Track, extend, usable

_STATE = TypeAdapter(State)
MOST_DOUBTFUL = 256
"""Intervals of an unverified clock that are told apart."""
_PROVES_NO_LIFE = frozenset({"initial", "backfill"})
"""Kinds of readings after which older ones of the same source may still come: a snapshot's other values, history."""


class Fold:
    """Contexts, steps, batches, gaps and parameters of a line, decided entry by entry.

    Time advances only through entries. The fold's own events are never fed back to it.
    """

    def __init__(self, line: Line, state: State | None = None) -> None:
        self.plan = Plan(line)
        self.state = state or State()
        self._adopt()
        self._events: list[dict[str, Any]] = []
        self._holds = HoldTimes(self.state, self.plan, self._emit)
        self._ledgers = Ledgers(self.state, self.plan, self._emit)
        self._alarms = Alarms(self.state, self.plan, self._emit)
        self._runs = Runs(self.state, self.plan, self._emit, self._holds)
        self._batches = Batches(self.state, self.plan, self._emit, self._runs, self._holds, self._alarms, self._ledgers)
        self._now = Contexts(self.state, self.plan, self._runs)
        sight = Sight(self.state, self.plan)
        self._occupancy = Occupancy(self.state, self.plan, self._emit, self._runs, self._batches, self._now, sight)
        steps = SignalSteps(self.state, self.plan, self._runs, self._occupancy, sight)
        self._settling = Settling(self.state, self.plan, self._emit, self._runs, self._occupancy, steps, self._holds)
        self._gaps = Gaps(self.state, self.plan)
        self._silences = Silences(self.state, self.plan, self._gaps, self._emit)
        self._rowsteps = RowSteps(self.state, self.plan, self._emit, self._runs, self._occupancy)
        self._occasions = Bookings(self.state, self.plan, self._ledgers, self._emit)
        self._conditions = Conditions(self.state, self.plan, self._alarms.occurred)
        self._contexts: dict[str, dict[str, Any]] = {}
        self._signals = {source: frozenset(indexes) for source, indexes in self.plan.signals.items()}

    # the door

    def decide(self, item: ReadingsInput | EventInput) -> list[dict[str, Any]]:
        """What an entry causes: the bodies of events, in order, each with `caused_by`: the seq of this item."""
        self._events, self.state.seq, self.state.now = [], item.seq, item.ticks
        self.state.began = self.state.began or item.ticks
        self._verified(item)
        looked = isinstance(item, ReadingsInput) or not _starts(item.event)
        if looked and any(where.pending for where in self.state.where.values()):
            self._settling.settle()  # time has passed before the entry tells anything
        if isinstance(item, ReadingsInput):
            self._observe(item)
        else:
            self._take(item.event)
        if self._silences.limits:
            for name, last in self._silences.due():
                self._runs.touched([name], last, None, "late-data")
        if looked:
            self._settling.settle()
        self._rowsteps.settle()
        if self._events or isinstance(item, EventInput):
            self._occasions.rebind()
        self._occasions.settle()
        for run in self._runs.due():
            self._batches.recorded(run)
        self._batches.close()
        self._retire_if_due()
        if self._events:
            self._contexts.clear()
        return self._events

    def signals(self, source: str) -> frozenset[int]:
        """Tags at which the intake cuts a list when their value changes."""
        return self._signals.get(source, frozenset())

    def contexts(self, source: str) -> dict[str, Any]:
        """The `contexts` of an entry of this source, after the items so far."""
        found = self._contexts.get(source)
        if found is None:
            found = self._contexts[source] = {unit.name: self._now.context(unit) for unit in self.plan.concerned.get(source, [])}
        return found

    def context(self, equipment: str) -> dict[str, Any]:
        """Where one equipment is, for the status page."""
        return self._now.context(self.plan.units[equipment])

    def waiting(self) -> bool:
        """Whether something is decided as soon as entries let time pass: a signal that must stand still, a record of an ended step."""
        unrecorded = any(run.end is not None and (not run.revision or run.dirty is not None) for run in self.state.runs.values())
        return unrecorded or any(where.pending for where in self.state.where.values()) or self._occasions.waiting()

    def open_gaps(self, source: str) -> list[Gap]:
        """The gaps of a source that have not closed."""
        return self._gaps.of(source)

    def last_observed(self, source: str) -> int | None:
        """Ticks through which a source is proved to have been observed."""
        return self.state.observed.get(source)

    def open_since(self) -> int | None:
        """Smallest seq that an open batch or a step without its final record still needs; None: nothing is open."""
        needed = [member.start_seq for batch in self._batches.open() for member in batch.members]
        needed += [run.start_seq for run in self.state.runs.values()]
        needed += [p.seq for where in self.state.where.values() for p in where.pending.values()]
        needed += [each.seq for each in self.state.occurred]
        return min(needed, default=None)

    def item(self, entry: Mapping[str, Any]) -> ReadingsInput | EventInput | None:
        """What a stored entry (parsed) means to this fold; None for an event that a fold made."""
        return from_entry(entry, self.state.tagsets, self.plan.line)

    def dump(self) -> bytes:
        """The whole state as JSON."""
        return orjson.dumps(self.state, option=orjson.OPT_NON_STR_KEYS)

    @classmethod
    def load(cls, line: Line, data: bytes) -> "Fold":
        """A fold that goes on where `dump` was made. Raises ValueError for a dump of another format: then fold the journal anew."""
        state = _STATE.validate_python(orjson.loads(data))
        if state.format != FORMAT:
            raise ValueError(f"a state of format {state.format}, this is {FORMAT}")
        return cls(line, state)

    # inside

    def _adopt(self) -> None:
        """Fit the state to the line: what is new begins empty, what the line no longer has is let go."""
        state, plan = self.state, self.plan
        state.where = {name: state.where.get(name) or EquipmentState() for name in plan.units}
        state.tracks = {name: state.tracks.get(name) or Track() for name in sorted(plan.tracked)}
        state.runs = {number: run for number, run in state.runs.items() if (run.equipment, run.kind, run.name) in plan.gathering}
        for run in state.runs.values():
            gathered = plan.gathered(run.equipment, run.kind, run.name)
            if run.book is not None:
                extend(run.book, gathered.needs, gathered.limits, state.tracks, run.start.ticks)

    def _configured(self, sha256: str) -> None:
        """The journal says from here on under which configuration the gateway works."""
        before, self.state.config = self.state.config, sha256
        if before not in {"", sha256}:
            self._configured_anew()

    def _configured_anew(self) -> None:
        """Records whose readings are all still held are made again under the new configuration; nothing comes of it if nothing differs."""
        state = self.state
        for run in state.runs.values():
            tags = self.plan.gathered(run.equipment, run.kind, run.name).tags
            if run.revision and all(state.tracks[tag].through <= run.start.ticks for tag in tags):
                run.book, run.dirty, run.reason = None, state.now, run.reason or "config-corrected"

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
        digest = sha256()
        for part in event_bodies.parts(event):
            part["caused_by"] = self.state.seq
            digest.update(orjson.dumps(part))
            self._events.append(part)
        if self.plan.events and event["type"] in {"alarm", "material", "sample"}:
            self._occurred(event)
        return digest.hexdigest()

    def _occurred(self, event: Mapping[str, Any]) -> None:
        """An alarm was raised, material booked, a sample taken: what stands in the tags then may be asked for."""
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

    def _observe(self, item: ReadingsInput) -> None:
        source, state = item.source, self.state
        before = state.frontier.get(source, 0)
        closed = self._gaps.observed(item) if state.gaps else Closed({}, [])
        self._say(closed)
        interest = self.plan.interest.get(source, frozenset())
        picked = [r for r in item.readings if r[0] in interest]
        if picked:
            self._pick(source, picked, closed, item.seq, before)
        if _PROVES_NO_LIFE.isdisjoint([r[4] for r in item.readings]):
            alive = observed = max([r[3] for r in item.readings], default=0)
        else:
            alive = max((r[3] for r in item.readings if r[4] not in _PROVES_NO_LIFE), default=0)
            observed = max((r[3] for r in item.readings if r[4] != "backfill"), default=0)
        state.frontier[source] = max(before, alive)
        state.observed[source] = max(state.observed.get(source, 0), observed)

    def _pick(self, source: str, picked: list[Seen], closed: Closed, seq: int, before: int) -> None:
        names, tracks, signals = self.plan.names[source], self.state.tracks, self.plan.signals[source]
        for index, value, status, event, kind in picked:
            name = names[index]
            gap = closed.tags.get(name)
            track = tracks.get(name)
            if name in self._silences.limits and kind != "backfill":
                read = self.state.now if kind == "initial" else event
                self._silences.heard(name, read if gap is None else max(read, gap[1]))
            if track is not None:
                at = event if kind == "backfill" else max(event, track.resumed)
                is_new = self._track(name, track, (at, value, status, seq))
                if is_new and name in self._occasions.triggers and value is not None and usable(status):
                    self._occasions.seen(name, (at, value, status, seq), self._instant(name, event, gap))
            if kind == "backfill" or value is None or not usable(status):
                continue
            if name in self._alarms.bells:
                self._alarms.seen(name, value, self._instant(name, event, gap))
            units = signals.get(index)
            if units is not None:
                differing = [unit for unit in units if self._settling.differs(unit, name, value)]
                if differing:
                    life = before if kind == "initial" else max(before, event)
                    self.state.frontier[source] = life  # a list is not always in order of time: nothing later counts yet
                    if not closed.tags:  # else a row that waited for the end of this gap would count before what the gap hid
                        self._settling.settle()  # what stood until this reading has settled before it counts
                    self._signal(differing, name, value, event, gap, seq)

    def _track(self, name: str, track: Track, point: tuple[int, Any, int, int]) -> bool:
        told = track.add(point)
        if told == "new" and point[0] < self._runs.recorded_through:
            self._runs.touched([name], point[0], None, "late-data")
        elif told == "too-late":
            self._too_late(name, point[0])
        if told == "new" and self.state.booked and name in self.plan.occasion_tags:
            self._occasions.touched([name], point[0], None, "late-data")
        return told == "new"

    def _touched(self, tags: Iterable[str], start: int, end: int | None, reason: str) -> None:
        """Something about these tags was learned after records were made."""
        names = list(tags)
        self._runs.touched(names, start, end, reason)
        self._occasions.touched(names, start, end, reason)

    def _too_late(self, name: str, ticks: int) -> None:
        if say_once(self.state.late, name, self.state.now):
            message = f"{name}: a reading came too late for the series of its steps; it is stored, closed records do not change"
            self._emit(event_bodies.finding("late-data", "warning", message, {"time": rfc3339(ticks), "seq": self.state.seq}, tags=[name]))

    def _signal(self, units: list[Unit], name: str, value: Any, event: int, gap: tuple[int, int] | None, seq: int) -> None:
        self._contexts.clear()
        for unit in units:
            self._settling.signal(unit, name, value, self._instant(name, event, gap), seq)

    def _instant(self, name: str, event: int, gap: tuple[int, int] | None) -> Instant:
        """When a tag changed: at most a sampling interval before it was read, or somewhere in the gap that this reading closed."""
        if gap is None:
            return Instant(event, self.plan.places[name].window_ticks)
        return Instant(max(event, gap[0]), max(event - gap[0], 0), "inferred-from-gap")

    def _say(self, closed: Closed) -> None:
        for event in closed.events:
            self._holds.gap(event)
            self._emit(event)

    def _take(self, event: Mapping[str, Any]) -> None:
        match event["type"]:
            case "message":
                self._message(event)
            case "gap":
                self._gap(event)
            case "heartbeat":
                for source, told in event["observed"].items():
                    self._alive(source, from_rfc3339(told))
            case "source" if event["state"] == "resumed":
                closed = self._gaps.resumed(event)
                told, source = from_rfc3339(event["observed"]), event["source"]
                self.state.observed[source] = max(self.state.observed.get(source, 0), told)
                self._say(closed)
                self._silences.resumed(closed.tags, told)
                for name, (start, end) in closed.tags.items():
                    self._touched([name], start, end, "late-data")
            case "config":
                self._configured(event["sha256"])
            case "tagset":
                learn(self.state.tagsets, event)
            case "context":
                self._pushed(event)

    def _alive(self, source: str, ticks: int) -> None:
        self.state.frontier[source] = max(self.state.frontier.get(source, 0), ticks)
        self.state.observed[source] = max(self.state.observed.get(source, 0), ticks)
        if not self.plan.names.get(source):
            self._say(self._gaps.spoke(source, ticks))

    def _message(self, event: Mapping[str, Any]) -> None:
        if event["name"] == CONDITIONS:
            self._conditions.take(event)
            return
        self._alive(event["source"], self.state.now)
        self._contexts.clear()
        adopt(self.state, self.plan, event)
        for name, ticks in take_rows(self.state, event, self.plan.units, self.state.seq, self.state.now):
            window = 10_000_000 if ticks % 10_000_000 == 0 else 0
            self._settling.identify(self.plan.units[name], Origin(Instant(ticks, window), self.state.seq, None))
        self._rowsteps.take(event)
        self._occasions.rows(event)

    def _pushed(self, event: Mapping[str, Any]) -> None:
        unit = self.plan.units.get(event["equipment"])
        if unit is None:
            return
        self._contexts.clear()
        values = {name: text(value) for name, value in event["values"].items() if name in FIELDS}
        self.state.where[unit.name].pushed.update(values)
        self._settling.identify(unit, Origin(Instant(self.state.now, 0), self.state.seq, None))

    def _gap(self, event: Mapping[str, Any]) -> None:
        start = from_rfc3339(event["start"])
        if event["transition"] == "open":
            self._say(self._gaps.open(event))
            tags = self.plan.names.get(event["source"], []) if event["tags"] == "all" else event["tags"]
            self._touched(tags, start, None, "late-data")
        elif event["transition"] == "fill":
            self._touched(self._gaps.filled(event), start, from_rfc3339(event["end"]), "late-data")
        elif event["transition"] == "close":
            self._holds.gap(event)
            closed = self._gaps.closed(event)
            self._silences.resumed(closed.tags, from_rfc3339(event["end"]))

    def _retire_if_due(self) -> None:
        state = self.state
        if state.retire_due <= state.now or state.now < state.retire_due - RETIRE_EVERY_TICKS:
            state.retire_due = state.now + RETIRE_EVERY_TICKS
            self._runs.retire()
            standing = [track.standing[3] for track in state.tracks.values() if track.standing is not None]
            needed = min([*standing, *(run.start_seq for run in state.runs.values())], default=state.seq)
            state.doubtful = [span for span in state.doubtful if span[1] is None or span[1] >= needed]
            self._batches.forget()


def _starts(event: Mapping[str, Any]) -> bool:
    """Whether a starting gateway writes this before it looks again: the time that has passed until then proves nothing.

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
