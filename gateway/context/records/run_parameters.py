"""The parameters of an ended run: sums of what was observed, how exactly its edges are known, and how far its times can be trusted."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from config import Parameter
from gateway.context import event_bodies
from gateway.context.plan import Gathered, Plan
from gateway.context.records.run_edges import end_of, start_of
from gateway.context.standing import gaps_of, later
from gateway.context.state import Instant, Run, State
from gateway.entries.ticks import TICKS_PER_S, rfc3339
from gateway.parameters import (
    EDGES,
    Book,
    Edge,
    Edges,
    counted,
    finished,
    need_of,
    opened,
    parameter_of,
    presumed,
    resolved,
    restated,
    resume,
    unsighted,
)

_USABLE = frozenset({"present", "aggregate-only", "time-unverified"})


class RunParameters:
    """Makes the parameters of runs from the series of their tags."""

    def __init__(self, state: State, plan: Plan) -> None:
        self._state, self._plan = state, plan

    def parameters(self, run: Run) -> list[dict[str, Any]]:
        """The parameters of an ended run, as its record lists them."""
        assert run.end is not None
        gathered, stops = self.gathered(run), self.stops(run)
        start, end = run.start.ticks, run.end.ticks
        book = run.book or opened(gathered.needs, gathered.limits, self._state.tracks, start)
        book = finished(book, gathered.needs, self._state.tracks, stops, end)
        rows = self._plan.chosen(gathered.parameters, run.identity.recipe, run.identity.recipe_version)
        made = [self._parameter(run, row, book, stops) for row in rows]
        if run.kind == "event":
            told = {"event": run.name, "occurrence": run.run, "at": rfc3339(start)}
            made = [{**parameter, **told} for parameter in made]
        return [self._timed(run, parameter) for parameter in made] if self._state.doubtful else made

    def _timed(self, run: Run, parameter: dict[str, Any]) -> dict[str, Any]:
        """A parameter that rests on entries made while the clock was not verified: it says so, and counts as the line decides."""
        if parameter["status"] not in _USABLE:
            return parameter
        seen = [seq for name in ("from_seq", "to_seq") if (seq := parameter["evidence"][name]) is not None]
        first, last = min([run.start_seq, *seen]), max([run.end_seq or run.start_seq, *seen])
        if not any((a or 0) <= last and (b is None or b >= first) for a, b in self._state.doubtful):
            return parameter
        status = "time-unverified" if self._plan.unverified == "incomplete" and parameter["status"] == "present" else parameter["status"]
        return {**restated(parameter, status), "time_verified": False}

    def _parameter(self, run: Run, row: Parameter, book: Book, stops: Sequence[tuple[int, int | None]]) -> dict[str, Any]:
        assert run.end is not None
        start, end = run.start.ticks, run.end.ticks
        need, tag = need_of(row, self._plan.tags), self._plan.tags.get(row.tag or "")
        cuts = [] if tag is None else [cut for cut in self._state.tracks[tag.tag].cuts if cut.overlaps(start, end)]
        time = counted(start, end, round(row.skip_first_s * TICKS_PER_S), stops if row.include == "running" else ())
        stateless, span = self._state_lost(run, row), (start, end)
        last = end_of(self._state, self._plan, run) or run.end
        lost = _apart([*self._lost(run, row, last), *stateless])
        unseen, alone = (unsighted(row, lost, hidden, span, stops) for hidden in ((), cuts))
        until = replace(_edge(last), later=later(self._state, self._plan, run.end))
        first = start_of(self._state, self._plan, run)
        edges = Edges(_edge(first), until, unseen, alone, presumed(row, _apart(stateless), span, stops))
        sums, limits = None if need is None else book.sums[need.key], resolved(row, book, edges.start)
        made = parameter_of(row, tag, sums, limits, cuts, edges, included=time, origin=self._plan.origin_of(row))
        return made if sums is None or not sums.goes_beyond(end) else not_until_end(made)

    def _state_lost(self, run: Run, parameter: Parameter) -> list[tuple[int, int]]:
        """List the intervals inside a step in which nobody saw whether its equipment was Running, if a parameter rests on that."""
        tag = self._plan.units[run.equipment].equipment.state
        if parameter.include != "running" or parameter.statistic.startswith("value_at") or tag not in self._plan.places or run.end is None:
            return []
        start, end = run.start.ticks, run.end.ticks
        lost = ((a, end if b is None else b) for a, b in gaps_of(self._state, self._plan, tag))
        return [(max(a, start), min(b, end)) for a, b in lost if a < end and b > start]

    def _lost(self, run: Run, parameter: Parameter, last: Instant) -> list[tuple[int, int]]:
        """List the intervals inside a step in which nobody saw whether it still ran. Its key, if it has one, proves it afterwards."""
        unit = self._plan.units[run.equipment]
        row = None if run.kind != "step" or unit.from_rows else unit.row_of(run.step, run.identity)
        if row is None or row.row.key is not None or len(EDGES[parameter.statistic]) == 1:
            return []
        unseen = last.basis != "observed" and last.window is not None
        end = last.ticks - (last.window or 0) if unseen else last.ticks
        lost = self._state.lost.get(row.row.signal, [])
        return [(a, min(b, end)) for a, b in lost if a < end and b > run.start.ticks]

    def held(self, run: Run, start: int, end: int | None) -> bool:
        """Whether the readings are still held that a run with other ends would be made of."""
        first = run.start.ticks if run.end is None else min(run.end.ticks, run.end.ticks if end is None else end)
        first = first if start == run.start.ticks else min(start, run.start.ticks)
        return all(self._state.tracks[tag].through <= first for tag in self.gathered(run).tags)

    def resume(self, run: Run) -> None:
        """Let a run that had ended gather on."""
        if run.book is not None:
            resume(run.book, self.gathered(run).needs, self._state.tracks, self.stops(run))

    def gathered(self, run: Run) -> Gathered:
        """Give what the map asks for in a run: parameters, their tags and sources."""
        return self._plan.gathered(run.equipment, run.kind, run.name)

    def rests_on(self, run: Run) -> frozenset[str]:
        """Name the tags of which something that is learned late may change a run's parameters."""
        gathered, state = self.gathered(run), self._plan.units[run.equipment].equipment.state
        running = state is not None and any(row.include == "running" for row in gathered.parameters)
        return gathered.tags | {state} if running and state is not None else gathered.tags

    def stops(self, run: Run) -> list[tuple[int, int | None]]:
        """List the intervals in which the equipment of a run did not run."""
        return event_bodies.stops(self._state.where[run.equipment].states)


def not_until_end(parameter: dict[str, Any]) -> dict[str, Any]:
    """Give a parameter of which more was summed than until the end: sums can not be taken back. What the start alone tells stands.

    Nor can the share that was covered: it is of the longer time.
    """
    if "end" not in EDGES.get(parameter.get("statistic", ""), ()):
        return parameter
    return {**(restated(parameter, "gap") if parameter["status"] in _USABLE else parameter), "covered": None}


def _apart(intervals: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Put intervals in order, and those that touch together."""
    apart: list[tuple[int, int]] = []
    for a, b in sorted(intervals):
        if apart and a <= apart[-1][1]:
            apart[-1] = (apart[-1][0], max(b, apart[-1][1]))
        else:
            apart.append((a, b))
    return apart


def _edge(at: Instant) -> Edge:
    return Edge(at.window, seen=at.basis == "observed")
