"""What the gateway's clock being set does to everything that the fold remembers of time.

Order is (seq), so nothing that was decided moves. But what is remembered as a time (through when a source was observed, until when a series
is final, when a step began) is compared with times to come, and must mean an instant that is over. The arithmetic is `SetBack`'s.

Two cases can not be told apart by the times alone: the clock was ahead and is right now, or it was right and is behind now. A step that
was seen needs no answer: notes move with it. After a stop the status of both clocks answers: one that was verified is believed.
"""

from dataclasses import replace
from typing import TypeVar

from gateway.context.gaps import belonging
from gateway.context.plan import LATENESS_TICKS, Plan, Unit
from gateway.context.readings import Readings
from gateway.context.state import Batch, EquipmentState, Instant, Leap, Run, State, Unseen
from gateway.entries.fold_input import EARLIEST_TICKS, EventInput, ReadingsInput
from gateway.entries.set_back import SetBack, step_of
from gateway.entries.ticks import from_rfc3339, rfc3339
from gateway.parameters import Book, extend

_What = TypeVar("_What")
MOST_LEAPS = 8


class SetClock:
    """Takes the state along when the clock is set, back or forward."""

    def __init__(self, state: State, plan: Plan, readings: Readings) -> None:
        self._state, self._plan, self._readings = state, plan, readings

    def take(self, item: ReadingsInput | EventInput, before: int, *, is_start: bool, was_verified: bool) -> None:
        """Compare an entry's time with that of the entry before it.

        is_start: a gateway that starts has made it; a running one tells each step. was_verified: the clock was, at the entry before.
        """
        step = step_of(item.event) if isinstance(item, EventInput) else None
        if step is not None:
            self._wait_on(step)
        if step is not None and step < 0:
            self._back(SetBack(item.ticks, step), is_behind=False)
        elif step is not None:
            self._forward(before, item.ticks, step)
        elif is_start and item.ticks < before:
            is_behind = item.ticks < EARLIEST_TICKS or (was_verified and not item.verified)
            self._back(SetBack(item.ticks, None), is_behind=is_behind)
        elif before and item.ticks - before > LATENESS_TICKS:
            self._leapt(before, item.ticks)

    def _wait_on(self, step: int) -> None:
        """Let everything that waits wait on for as long as it would have: a step is no time that passed."""
        state = self._state
        for change in (change for where in state.where.values() for change in where.pending.values()):
            change.entered += step
        for pending in state.occurred:
            pending.entered += step
        for run in state.runs.values():
            run.entered, run.dirty = _later(run.entered, step), _later(run.dirty, step)
        for batch in state.batches.values():
            batch.ended, batch.dirty = _later(batch.ended, step), _later(batch.dirty, step)
        for booked in state.booked.values():
            booked.dirty = _later(booked.dirty, step)
        state.back = {source: ticks + step for source, ticks in state.back.items()}

    # forward

    def _leapt(self, before: int, landed: int) -> None:
        """Note between which two entries a long time passed, or seemed to: a stop, or a step. A stop's gap covers what was not observed."""
        state = self._state
        state.leaps = [*state.leaps, Leap(before, landed, dict(state.observed))][-MOST_LEAPS:]
        state.unseen = {source: unseen for source, unseen in state.unseen.items() if unseen.start > landed}

    def _forward(self, before: int, now: int, step: int) -> None:
        """The clock was set forward: what it had passed over before, when it was behind, was not observed by any stamp."""
        state = self._state
        for source, unseen in list(state.unseen.items()):
            if unseen.start <= now:
                del state.unseen[source]
                if unseen.start > before:
                    self._not_observed(source, unseen, now)
        for run in state.runs.values():
            if run.moved and run.end is None:
                self._begin_at(run, run.start.ticks + min(step, run.moved))
        for name in state.heard:
            if not self._ahead(self._plan.places[name].source.name):
                state.heard[name] += step  # it counts how long a tag is silent, and the clock's step is no silence
        if step > LATENESS_TICKS:
            self._leapt(before, now)
            state.landed = state.leaps[-1]

    def _not_observed(self, source: str, unseen: Unseen, now: int) -> None:
        """Say that between a stop and the clock being right again no stamp shows an observation."""
        event = {
            "type": "gap",
            "transition": "open",
            "gap": f"{source}/clock/{self._state.seq}",
            "source": source,
            "tags": "all",
            "start": rfc3339(unseen.start),
            "detected": rfc3339(now),
            "cause": "clock-behind",
            "detail": "the clock was behind after a stop: what was read until it was set has times before the gap",
        }
        readings = self._readings
        readings.emit(event)
        readings.close(readings.gaps.open({**event, "end": rfc3339(now)}))
        names = self._plan.names.get(source, [])
        for track in (self._state.tracks[name] for name in names if name in self._state.tracks):
            track.restate(now, unseen.seq)  # what was last read stands: the source was observed when the clock was set
        readings.touched(names, unseen.start, now, "late-data")

    # back

    def _back(self, back: SetBack, *, is_behind: bool) -> None:
        """The clock was set back. is_behind: it shows less than is true, and what was noted before is right."""
        state = self._state
        self._observed(back)
        state.frontier = {source: back.placed(ticks, self._ahead(source)) for source, ticks in state.frontier.items()}
        state.heard = {name: self._heard(name, ticks, back) for name, ticks in state.heard.items()}
        state.leaps = [leap for leap in state.leaps if leap.landed <= back.now]
        state.landed = None
        if is_behind:
            return
        state.began = min(state.began, back.now)
        belonging.set_back(state, self._plan, back)
        self._gaps(back)
        for name, track in state.tracks.items():
            track.set_back(back, self._ahead_of(name))
        for name, unit in self._plan.units.items():
            self._equipment(state.where[name], unit, back)
        self._records(back)
        self._occasions(back)

    def _observed(self, back: SetBack) -> None:
        """Take back through when each source is proved to have been observed.

        Where nobody saw the step, how long ago that was is not known. If the clock came to be ahead by a leap, what was proved before it is
        certain; else it is the present at the latest. Perhaps it is the clock that is behind now, so what was proved is remembered.
        """
        state = self._state
        leap = next((leap for leap in reversed(state.leaps) if leap.before <= back.now < leap.landed), None)
        for source, ticks in state.observed.items():
            ahead = self._ahead(source)
            state.observed[source] = back.moved(ticks, ahead)
            if back.step is None and ticks > back.now + ahead:
                if leap is not None:
                    state.observed[source] = min(leap.observed.get(source, leap.before), back.now)
                known = state.unseen.get(source)
                state.unseen[source] = Unseen(ticks if known is None else max(ticks, known.start), state.seq)

    def _heard(self, name: str, ticks: int, back: SetBack) -> int:
        ahead = self._ahead_of(name)
        return back.placed(ticks, ahead) if ahead else back.moved(ticks)

    def _gaps(self, back: SetBack) -> None:
        state = self._state
        for gap in state.gaps:
            gap.start = back.placed(gap.start, self._ahead(gap.source))
        for name, closed in state.lost.items():
            ahead = self._ahead_of(name)
            state.lost[name] = [(back.placed(start, ahead), back.placed(end, ahead)) for start, end in closed]
            state.again[name] = [back.placed(end, ahead) for end in state.again.get(name, ())]

    def _equipment(self, where: EquipmentState, unit: Unit, back: SetBack) -> None:
        ahead = self._ahead_in(unit)
        for tag, seen in where.seen.items():
            seen.at = _at(seen.at, back, self._ahead_of(tag))
        for change in (*where.pending.values(), *(change for waiting in where.unstarted.values() for change in waiting)):
            change.left, change.at = _at(change.left, back, ahead), _at(change.at, back, ahead)
        where.left = None if where.left is None else _at(where.left, back, ahead)
        where.states = _in_order([(back.placed(ticks, ahead), word) for ticks, word in where.states])
        where.history = _in_order([(back.placed(ticks, ahead), who) for ticks, who in where.history])
        where.sought = {step: back.placed(ticks, ahead) for step, ticks in where.sought.items()}

    def _records(self, back: SetBack) -> None:
        """Begin again what has been summed beyond the present: it holds time that has not passed, and can not be taken apart."""
        state = self._state
        for run in list(state.runs.values()):
            unit = self._plan.units[run.equipment]
            ahead = self._ahead_in(unit)
            if run.revision and run.end is not None and run.end.ticks > back.now + ahead:
                self._readings.runs.memory.close(run)  # its record is made: what comes from now on is nothing late for it
            elif (not run.revision or run.end is None) and not unit.from_rows:
                run.end = None if run.end is None else _at(run.end, back, ahead)
                run.cut = None if run.cut is None else _at(run.cut, back, ahead)
                run.unsighted = None if run.unsighted is None else back.placed(run.unsighted, ahead)
                start = back.placed(run.start.ticks, ahead)
                if start != run.start.ticks or self._is_summed_beyond(run, back):
                    self._begin_at(run, start)
        self._readings.runs.recorded_through = min(self._readings.runs.recorded_through, back.now)
        for batch in state.batches.values():
            if batch.ended is not None:
                batch.ended = min(batch.ended, back.now)
            self._of_batch(batch, back)

    def _of_batch(self, batch: Batch, back: SetBack) -> None:
        """Place what is noted of a batch's stays and of its records. What MES rows told has times of another clock."""
        for member in batch.members:
            ahead = self._ahead_in(self._plan.units.get(member.equipment))
            member.start = _at(member.start, back, ahead)
            member.end = None if member.end is None else _at(member.end, back, ahead)
        for record, listed in batch.records.items():
            unit = self._plan.units.get(listed.equipment)
            if listed.start is None or (unit is not None and unit.from_rows):
                continue
            listed.start = _at(listed.start, back, self._ahead_in(unit))
            if (ran := batch.ran.get(record)) is not None:
                ran[3:] = [back.placed(ticks, self._ahead_in(unit)) for ticks in ran[3:]]

    def _is_summed_beyond(self, run: Run, back: SetBack) -> bool:
        ahead = self._ahead_in(self._plan.units[run.equipment])
        return run.book is not None and any(sums.through > back.now + ahead for sums in run.book.sums.values())

    def _begin_at(self, run: Run, start: int) -> None:
        """Give a run the number that its start has by the clock as it is now, and sum anew what is still held of it."""
        run.moved += run.start.ticks - start
        run.start = replace(run.start, ticks=start)
        if run.book is not None:
            gathered = self._plan.gathered(run.equipment, run.kind, run.name)
            run.book = Book(limits=run.book.limits)
            extend(run.book, gathered.needs, gathered.limits, self._state.tracks, start)

    def _occasions(self, back: SetBack) -> None:
        state = self._state
        for raised in state.alarms.values():
            raised.at = _at(raised.at, back, self._longest_ahead)
        lists = (state.unlisted, *(batch.alarms for batch in state.batches.values()))
        for alarm in (alarm for listed in lists for alarm in listed if alarm["cleared"] is None):
            alarm["raised"] = rfc3339(back.placed(from_rfc3339(alarm["raised"]), self._longest_ahead))
        for condition in state.conditions.values():
            condition.at = back.placed(condition.at)
            for occurrence in (condition.occurrence, *condition.unclaimed):
                if occurrence is not None:
                    occurrence.at = _at(occurrence.at, back, self._longest_ahead)
        for log in state.logs.values():
            log.left, log.first, log.last = (
                None if at is None else _at(at, back, self._longest_ahead) for at in (log.left, log.first, log.last)
            )
        for pending in (*state.occurred, *(booked.occurred for booked in state.booked.values())):
            if pending.row is None:
                pending.at = _at(pending.at, back, self._ahead_of(pending.trigger))
        state.triggers = {name: (back.placed(ticks, self._ahead_of(name)), value) for name, (ticks, value) in state.triggers.items()}

    # by how much a note may be ahead of our clock

    def _ahead(self, source: str) -> int:
        return self._plan.ahead.get(source, 0)

    def _ahead_of(self, name: str) -> int:
        place = self._plan.places.get(name)
        return 0 if place is None else self._ahead(place.source.name)

    def _ahead_in(self, unit: Unit | None) -> int:
        return 0 if unit is None else max((self._ahead(source) for source in unit.sources), default=0)

    @property
    def _longest_ahead(self) -> int:
        return max(self._plan.ahead.values(), default=0)


def _later(since: int | None, step: int) -> int | None:
    return None if since is None else since + step


def _at(at: Instant, back: SetBack, ahead: int) -> Instant:
    ticks = back.placed(at.ticks, ahead)
    return at if ticks == at.ticks else replace(at, ticks=ticks)


def _in_order(pairs: list[tuple[int, _What]]) -> list[tuple[int, _What]]:
    """Let no time in a list be before the one ahead of it: they are what followed each other."""
    latest = 0
    ordered = []
    for ticks, what in pairs:
        latest = max(latest, ticks)
        ordered.append((latest, what))
    return ordered
