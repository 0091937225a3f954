"""Lists of readings as the fold takes them: gaps that they close, series of parameters, triggers, alarms, and signals that changed."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from gateway.context import event_bodies
from gateway.context.equipment.alarms import Alarms
from gateway.context.equipment.holdtimes import HoldTimes
from gateway.context.gaps.gaps import Closed, Gaps
from gateway.context.gaps.silence import Silences
from gateway.context.materials.bookings import Bookings
from gateway.context.plan import LATENESS_TICKS, Plan, Unit
from gateway.context.records.runs import Runs
from gateway.context.signals.contexts import Contexts
from gateway.context.signals.settle import Settling
from gateway.context.state import Instant, Proof, State
from gateway.context.throttle import SAY_AGAIN_TICKS, say_once
from gateway.context.waits import lasts
from gateway.entries.fold_input import ReadingsInput, Seen, SeenColumns, Windows
from gateway.entries.ticks import rfc3339
from gateway.parameters import Track, quality, usable

_PROVES_NO_LIFE = frozenset({"initial", "backfill"})
"""Kinds of readings after which older ones of the same source may still come: a snapshot's other values, history."""
_SIMULATED = "simulated/"
"""Key of a tag that sends simulated values, among what was said."""
_BAD = 0x80000000


@dataclass(slots=True)
class Readings:
    """Takes lists of readings, and tells each of the fold's parts what concerns it."""

    state: State
    plan: Plan
    emit: event_bodies.Emit
    gaps: Gaps
    silences: Silences
    holds: HoldTimes
    runs: Runs
    bookings: Bookings
    alarms: Alarms
    settling: Settling
    contexts: Contexts
    _simulated: set[str] = field(init=False)

    def __post_init__(self) -> None:
        """Know from the state which tags send simulated values in production."""
        self._simulated = {key.removeprefix(_SIMULATED) for key in self.state.late if key.startswith(_SIMULATED)}

    def take(self, item: ReadingsInput) -> None:
        """Take one list: first the gaps that it closes, then its readings, last what it proves of its source."""
        source, state = item.source, self.state
        before = state.frontier.get(source, 0)
        closed = self.gaps.observed(item) if state.gaps else Closed({}, [])
        self.close(closed)
        interest = self.plan.interest.get(source, frozenset())
        columns = item.readings if isinstance(item.readings, SeenColumns) else None
        if interest and not (columns is not None and interest.isdisjoint(columns.tags)):
            picked = [r for r in item.readings if r[0] in interest]
            if picked:
                self._pick(source, picked, closed, item.seq, before, item.windows or {})
        if columns is not None and columns.kind not in _PROVES_NO_LIFE:
            alive = observed = columns.latest
        elif _PROVES_NO_LIFE.isdisjoint([r[4] for r in item.readings]):
            alive = observed = max([r[3] for r in item.readings], default=0)
        else:
            alive = max((r[3] for r in item.readings if r[4] not in _PROVES_NO_LIFE), default=0)
            observed = max((r[3] for r in item.readings if r[4] != "backfill"), default=0)
        state.frontier[source] = max(before, alive)
        state.observed[source] = max(state.observed.get(source, 0), observed)

    def close(self, closed: Closed) -> None:
        """Say which gaps are closed."""
        for event in closed.events:
            self.holds.gap(event)
            self.emit(event)

    def learned(self, source: str, tags: Iterable[str], start: int) -> None:
        """Say that a gap begins so long before what its source was seen to do since that records of then are final, and do not change."""
        names, since = self.plan.names.get(source, []), self.state.frontier.get(source, 0)
        interest = {names[index] for index in self.plan.interest.get(source, ()) if index < len(names)}
        late = sorted(interest.intersection(tags))
        if late and since - start > LATENESS_TICKS and say_once(self.state.late, f"gap/{source}", self.state.now):
            message = f"{source}: a gap of {', '.join(late[:3])} is learned too late; records that closed meanwhile do not change"
            evidence = {"start": rfc3339(start), "alive": rfc3339(since)}
            self.emit(event_bodies.finding("late-data", "warning", message, evidence, source=source, tags=late))

    def touched(self, tags: Iterable[str], start: int, end: int | None, reason: str) -> None:
        """Note that something about these tags in [start, end) was learned after records were made."""
        names = list(tags)
        self.runs.touched(names, start, end, reason)
        self.bookings.touched(names, start, end, reason)

    def _pick(self, source: str, picked: list[Seen], closed: Closed, seq: int, before: int, windows: Windows) -> None:
        names, tracks, signals = self.plan.names[source], self.state.tracks, self.plan.signals[source]
        is_production = self.plan.line.line.environment == "production"
        for index, value, status, event, kind in picked:
            name = names[index]
            if is_production and (status or self._simulated):
                status = self._counted(name, status)  # noqa: PLW2901 - the stored one stays as it is
            gap = closed.tags.get(name)
            track = tracks.get(name)
            if name in self.silences.limits and kind != "backfill":
                read = self.state.now if kind == "initial" else event
                self.silences.heard(name, read if gap is None else max(read, gap[1]))
            if track is not None:
                at = event if kind == "backfill" else max(event, track.resumed)
                is_new = self._track(name, track, (at, value, status, seq))
                if windows and is_new and (told := windows.get((index, event))) is not None:
                    track.windows[at] = told
                if is_new and name in self.bookings.triggers and value is not None and usable(status):
                    self.bookings.seen(name, (at, value, status, seq), self._instant(name, event, gap))
            if kind == "backfill" or value is None or not usable(status):
                continue
            if name in self.alarms.bells:
                self.alarms.seen(name, value, self._instant(name, event, gap))
            units = signals.get(index)
            if units is not None:
                differing = [unit for unit in units if self.settling.differs(unit, name, value)]
                if gap is not None and not differing:
                    self.gaps.stands_again(name, gap[1])
                if differing:
                    life = before if kind == "initial" else max(before, event)
                    self.state.frontier[source] = life  # a list is not always in order of time: nothing later counts yet
                    if not closed.tags:  # else a row that waited for the end of this gap would count before what the gap hid
                        self.settling.settle()  # what stood until this reading has settled before it counts
                    self._signal(differing, name, value, self._instant(name, event, gap), seq)

    def _counted(self, name: str, status: int) -> int:
        """Return the status as production counts it: nothing rests on a simulated value there, which is as Bad as none. Say so."""
        key, now = _SIMULATED + name, self.state.now
        if quality(status) == "simulated":
            if name not in self._simulated:
                self._simulated.add(name)
                self.state.late[key] = now
                message = f"{name}: the source simulates its values (UncertainSimulatedValue), in production; nothing counts them"
                self.emit(event_bodies.finding("simulated-in-production", "alarm", message, {"status": f"0x{status:08X}"}, tags=[name]))
            return _BAD
        if name in self._simulated and status < _BAD and not lasts(now, self.state.late[key], SAY_AGAIN_TICKS):
            self._simulated.discard(name)
            del self.state.late[key]
            self.emit(event_bodies.finding("simulated-in-production-over", "info", f"{name}: no longer simulated", {}, tags=[name]))
        return status

    def _track(self, name: str, track: Track, point: tuple[int, Any, int, int]) -> bool:
        """Put a reading into its series; True if it was not in it."""
        outcome = track.add(point)
        is_new = outcome == "new"
        if is_new and point[0] < self.runs.recorded_through:
            self.runs.touched([name], point[0], None, "late-data")
        elif outcome == "too-late":
            self._too_late(name, point[0])
        if is_new and self.state.booked and name in self.plan.occasion_tags:
            self.bookings.touched([name], point[0], None, "late-data")
        return is_new

    def _too_late(self, name: str, ticks: int) -> None:
        if say_once(self.state.late, name, self.state.now):
            message = f"{name}: a reading came too late for the series of its steps; it is stored, closed records do not change"
            self.emit(event_bodies.finding("late-data", "warning", message, {"time": rfc3339(ticks), "seq": self.state.seq}, tags=[name]))

    def _signal(self, units: list[Unit], name: str, value: Any, at: Instant, seq: int) -> None:
        self.contexts.changed()
        for unit in units:
            self.settling.signal(unit, name, value, at, seq)

    def _instant(self, name: str, event: int, gap: tuple[int, int] | None) -> Instant:
        """Tell when a tag changed: at most a sampling interval before it was read, or somewhere in the gap that this reading closed."""
        if gap is None:
            return Instant(event, self.plan.places[name].window_ticks, proof=Proof([name]))
        ticks = max(event, gap[0])
        return Instant(ticks, ticks - gap[0], "inferred-from-gap", Proof([name], min(ticks - gap[1], 0)))
