"""How long a run is remembered: until no reading, no filled gap and no result of the laboratory can change its record."""

from gateway.context import waits
from gateway.context.plan import LATENESS_TICKS, Plan
from gateway.context.records.given_values import GivenValues
from gateway.context.records.run_parameters import RunParameters
from gateway.context.state import Instant, Run, State
from gateway.entries.ticks import TICKS_PER_S
from gateway.parameters import (
    Track,
    advance,
    opened,
)

PATIENCE_TICKS = 120 * TICKS_PER_S
"""So long after a gap its history may still come and fill it."""
LONGEST_HELD_TICKS = 3_600 * TICKS_PER_S
"""A gap longer than this is no longer waited for."""
RETIRE_EVERY_TICKS = 5 * TICKS_PER_S
MOST_HELD = 256
"""Recorded runs held for revisions."""


class RunMemory:
    """Moves what can no longer change into sums, and lets runs go whose record is final."""

    def __init__(self, state: State, plan: Plan, values: RunParameters, given: GivenValues) -> None:
        self._state, self._plan, self._values, self._given = state, plan, values, given

    def retire(self) -> None:
        """Move what can no longer change into sums, and forget runs whose record is final."""
        tracks = self._state.tracks
        back = self._held_back(self._passed() - LATENESS_TICKS)
        until = {name: self._horizon(track, back) for name, track in tracks.items()}
        ready = {name: ticks for name, ticks in until.items() if ticks > tracks[name].through}
        for run in self._state.runs.values():
            gathered = self._values.gathered(run)
            if run.book is None and run.start.ticks < max((until[t] for t in gathered.tags), default=0):
                run.book = opened(gathered.needs, gathered.limits, tracks, run.start.ticks)
            if run.book is not None:
                end = None if run.end is None else run.end.ticks
                advance(run.book, gathered.needs, tracks, self._values.stops(run), ready, end, self._left(run))
        for name, ticks in ready.items():
            tracks[name].retire(ticks)
        self._forget(back)

    def _left(self, run: Run) -> int | None:
        """Give the instant at which a run ended, or may turn out to have ended: its batch was left then."""
        at, where = run.end or run.cut, self._state.where[run.equipment]
        if at is None and run.identity.batch is not None and run.identity.batch == where.open:
            at = where.left
        return None if at is None or at.ticks < run.start.ticks else at.ticks

    def close(self, run: Run) -> None:
        """Let no reading change a run's record any more; a result of the laboratory still may."""
        del self._state.runs[run.id]
        if run.identity.batch is not None and self._given.rows(run):
            self._state.awaiting[run.record], run.book = run, None

    def _passed(self) -> int:
        """Give the time that has passed for certain: a clock that was just set far forward may have been set wrongly, and be set back."""
        now, leap = self._state.now, self._state.landed
        return now if leap is None or not waits.lasts(now, leap.landed, LATENESS_TICKS) else leap.before

    def _held_back(self, back: int) -> int:
        """Give the time until which readings may go into sums: not beyond a change that waits, which may yet end a step or begin one.

        A gateway that was away comes back with such a change, and much time has passed at once.
        """
        waiting = (change.left.ticks for where in self._state.where.values() for change in where.pending.values())
        return min([back, *(ticks for ticks in waiting if back - ticks < LONGEST_HELD_TICKS)])

    def _horizon(self, track: Track, back: int) -> int:
        held = [
            cut.start
            for cut in track.cuts
            if (cut.end is None or back < cut.end + PATIENCE_TICKS) and (cut.end or back) - cut.start < LONGEST_HELD_TICKS
        ]
        return track.horizon(min([back, *held]))

    def _forget(self, back: int) -> None:
        tracks, runs = self._state.tracks, self._state.runs
        final = [r for r in runs.values() if r.revision and r.dirty is None and r.end is not None and _ended(r, r.end) < back]
        over = len(final) - MOST_HELD
        for number, run in enumerate(final):
            if number < over or all(tracks[tag].through >= (run.end.ticks if run.end else 0) for tag in self._values.gathered(run).tags):
                self.close(run)
        oldest = min((r.start.ticks for r in runs.values()), default=back)
        for track in tracks.values():
            track.forget_cuts(min(oldest, back))
        for where in self._state.where.values():
            while len(where.states) > 1 and where.states[1][0] <= min(oldest, back):
                del where.states[0]


def _ended(run: Run, end: Instant) -> int:
    """Give the time from which a run's end was known: what cut it late may yet be said to be none as late."""
    return max(end.ticks, run.entered or 0)
