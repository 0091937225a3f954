"""Gaps: opened by the intake, closed here by the first observation of a tag after them."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from gateway.context.gaps import belonging
from gateway.context.plan import Plan
from gateway.context.state import OpenGap, State
from gateway.entries.fold_input import ReadingsInput, SeenColumns
from gateway.entries.samples_due import counted, due
from gateway.entries.ticks import from_rfc3339, rfc3339
from gateway.parameters import Cut

MOST_REMEMBERED = 256
"""Lost gaps of a signal, after they closed: a late row may tell of an instant in one of them, a step may have run through them.

Of more, the two that are nearest become one: more is not observed then, never less.
"""


UNDECLARED = "the configuration that begins here does not read this any more; nothing was observed"


class Gap(NamedTuple):
    """An open gap. tags: those not observed since, or "all" of the source."""

    id: str
    tags: list[str] | str
    start_ticks: int
    cause: str


class Closed(NamedTuple):
    """Tags whose gap an entry closed: name -> (start, end) in ticks, and the events that say so."""

    tags: dict[str, tuple[int, int]]
    events: list[dict[str, Any]]


class Gaps:
    """The open gaps of a line, and the cuts that they leave in the series."""

    def __init__(self, state: State, plan: Plan) -> None:
        self._state, self._plan = state, plan
        self._signals = frozenset[str]().union(*(unit.tags for unit in plan.units.values()))
        self._watched = frozenset[str]().union(*(tags for unit in plan.units.values() for tags in unit.watched.values()))
        self._apart: dict[tuple[str, int, int], tuple[tuple[int, ...], list[str], bool]] = {}
        self.begun: list[str] = []
        """gaps that the entry which is decided told first"""

    def of(self, source: str) -> list[Gap]:
        """The gaps of a source that have not closed."""
        gaps = (gap for gap in self._state.gaps if gap.source == source)
        return [Gap(gap.id, "all" if gap.left is None else list(gap.left), gap.start, gap.cause) for gap in gaps]

    def open(self, event: Mapping[str, Any]) -> Closed:
        """Take `gap`/`open`; one that names its end is closed at once."""
        start = from_rfc3339(event["start"])
        left = None if event["tags"] == "all" else list(event["tags"])
        gap = OpenGap(event["gap"], event["source"], start, event["cause"], left)
        self._state.gaps.append(gap)
        self.begun.append(gap.id)
        names = self._names(gap)
        every_ms, gap.due = event.get("every_ms"), event.get("due")
        of_each = {name: period for name, period in zip(names, every_ms, strict=False) if period} if isinstance(every_ms, list) else None
        gap.every_ms = every_ms if of_each is None else of_each
        belonging.begins(self._state, self._plan, gap, names)
        for name in names:
            track = self._state.tracks.get(name)
            if track is not None:
                track.cuts.append(Cut(start, None, gap.id))
                track.cuts.sort(key=lambda cut: cut.start)
        if event.get("end") is None:
            return Closed({}, [])
        return self._close(gap, names, from_rfc3339(event["end"]), "lost")

    def observed(self, item: ReadingsInput) -> Closed:
        """A readings entry came: its tags have been observed, through the latest of their times (history proves nothing)."""
        gaps = [gap for gap in self._state.gaps if gap.source == item.source]
        if not gaps or self._are_apart(item, gaps):
            return Closed({}, [])
        names = self._plan.names.get(item.source, [])
        times: dict[str, int] = {}
        for index, _, _, event, kind in item.readings:
            if kind != "backfill" and index < len(names):
                old = kind == "initial" and self._plan.places[names[index]].authority == "device"
                times[names[index]] = item.ticks if old else event
        return self._seen(item.source, times, "lost")

    def _are_apart(self, item: ReadingsInput, gaps: Iterable[OpenGap]) -> bool:
        """Return True if a list in columns is known to have no tag that is in a gap.

        Found once for a tuple of tags and what is left of a gap: a part of a source may be in a gap for months, and the lists of the others
        come ten times a second.
        """
        tags = item.readings.tags if isinstance(item.readings, SeenColumns) else None
        if not isinstance(tags, tuple):
            return False
        return all(gap.left is not None and self._is_apart(item.source, tags, gap.left) for gap in gaps)

    def _is_apart(self, source: str, tags: tuple[int, ...], left: list[str]) -> bool:
        key = source, id(tags), id(left)
        known = self._apart.get(key)
        if known is None:
            if len(self._apart) >= MOST_REMEMBERED:
                self._apart.clear()
            names = self._plan.names.get(source, [])
            found = {names[tag] for tag in tags if tag < len(names)}.isdisjoint(left)
            known = self._apart[key] = tags, left, found  # held: no other gets their ids, and neither is ever changed in place
        return known[2]

    def resumed(self, event: Mapping[str, Any]) -> Closed:
        """A source went on without loss: what it had queued is still to come, so its life proves nothing beyond the gap's start yet."""
        source, end = event["source"], from_rfc3339(event["observed"])
        names = self._plan.names.get(source, []) if event["tags"] == "all" else event["tags"]
        closed, frontier = self._seen(source, dict.fromkeys(names, end), "filled"), self._state.frontier
        if source in frontier:
            frontier[source] = min([frontier[source], *(start for start, _ in closed.tags.values())])
        return closed

    def spoke(self, source: str, ticks: int) -> Closed:
        """A source without tags (rows only) gave a sign of life."""
        done = Closed({}, [])
        for gap in [gap for gap in self._state.gaps if gap.source == source and gap.start < ticks]:
            done.events.extend(self._close(gap, [], ticks, "lost").events)
        return done

    def filled(self, event: Mapping[str, Any]) -> set[str]:
        """History gave an interval: it cuts no series any more. Returns the tags."""
        source, start, end = event["source"], from_rfc3339(event["start"]), from_rfc3339(event["end"])
        names = set(self._plan.names.get(source, []) if event["tags"] == "all" else event["tags"])
        touched = set()
        for name in names & self._state.tracks.keys():
            track = self._state.tracks[name]
            kept = [piece for cut in track.cuts for piece in _without(cut, start, end)]
            if kept != track.cuts:
                track.cuts = kept
                touched.add(name)
        return touched

    def closed(self, event: Mapping[str, Any]) -> Closed:
        """Take a `gap`/`close` that somebody else wrote."""
        gap = next((gap for gap in self._state.gaps if gap.id == event["gap"]), None)
        if gap is None:
            return Closed({}, [])
        names = self._names(gap) if event["tags"] == "all" else list(event["tags"])
        return Closed(self._close(gap, names, from_rfc3339(event["end"]), event["outcome"]).tags, [])

    def end_undeclared(self, following: Plan) -> Closed:
        """End the gaps of tags that the configuration which begins now does not read from their source.

        Nobody will observe them any more, so no observation could close them. A gap of "all" goes on for what its source has then.
        """
        done = Closed({}, [])
        for gap in list(self._state.gaps):
            read = following.names.get(gap.source)
            names = [name for name in self._names(gap) if read is None or name not in read]
            if not names and read is not None:
                continue
            goes_on = gap.left is None and read is not None
            for event in self._close(gap, names, max(gap.start, self._state.now), "lost").events:
                done.events.append({**event, "detail": UNDECLARED, **({"tags": names} if goes_on else {})})
            if goes_on:
                gap.left = None
                if gap not in self._state.gaps:
                    self._state.gaps.append(gap)
        return done

    def stands_again(self, name: str, end: int) -> None:
        """Note that a signal said after a lost gap what it had said before."""
        ends = {closed for _, closed in self._state.lost.get(name, ())}
        self._state.again[name] = [known for known in (*self._state.again.get(name, ()), end) if known in ends]

    def _seen(self, source: str, times: Mapping[str, int], outcome: str) -> Closed:
        done = Closed({}, [])
        for gap in [gap for gap in self._state.gaps if gap.source == source]:
            names = list(times) if gap.left is None else [name for name in gap.left if name in times]
            if names:
                end = max(gap.start, *(times[name] for name in names))
                one = self._close(gap, names, end, outcome)
                done.tags.update(one.tags)
                done.events.extend(one.events)
        return done

    def _close(self, gap: OpenGap, names: Iterable[str], end: int, outcome: str) -> Closed:
        names = list(names)
        whole = gap.left is None and len(names) == len(self._plan.names.get(gap.source, names))
        for name in names:
            self._cut(gap, name, end, outcome)
            if outcome == "lost" and name in self._signals:
                self._state.lost[name] = _remembered([*self._state.lost.get(name, []), (gap.start, end)])
        closing = set(names)
        self._apart.clear()  # of what was left before nobody asks again
        if outcome == "filled" and closing & self._watched:
            self._state.back[gap.source] = self._state.now
        gap.left = [name for name in self._names(gap) if name not in closing]
        if not gap.left:
            self._state.gaps.remove(gap)
        belonging.ends(self._state, self._plan, gap, names, end)
        event = {
            "type": "gap",
            "transition": "close",
            "gap": gap.id,
            "source": gap.source,
            "tags": "all" if whole else names,
            "start": rfc3339(gap.start),
            "end": rfc3339(end),
            "outcome": outcome,
            "cause": gap.cause,
            **(_counted(gap, names, end) if outcome == "lost" else {}),
        }
        return Closed(dict.fromkeys(names, (gap.start, end)), [event])

    def _cut(self, gap: OpenGap, name: str, end: int, outcome: str) -> None:
        track = self._state.tracks.get(name)
        if track is None:
            return
        if outcome == "lost":
            track.resumed = max(track.resumed, end)
        else:
            track.cuts = [cut for cut in track.cuts if cut.gap != gap.id]
        for cut in track.cuts:
            if cut.gap == gap.id:
                cut.end = end

    def _names(self, gap: OpenGap) -> list[str]:
        return list(self._plan.names.get(gap.source, [])) if gap.left is None else gap.left


def _counted(gap: OpenGap, names: Iterable[str], end: int) -> dict[str, Any]:
    """Count the samples that were due of these tags in the gap, by what its opening says of them; none of them came."""
    every_ms = gap.every_ms
    periods = {name: every_ms.get(name) if isinstance(every_ms, dict) else every_ms for name in names}
    if gap.due is not None:
        return counted(gap.due, periods, gap.start, end)
    if every_ms is None:  # of a release that said nothing of it
        return {}
    return {"expected": sum(due(gap.start, end, period) for period in periods.values() if period is not None), "received": 0}


def _remembered(lost: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return so many intervals as are remembered: of one too many, the two that are nearest are one."""
    if len(lost) <= MOST_REMEMBERED:
        return lost
    lost = sorted(lost)
    at = min(range(len(lost) - 1), key=lambda number: lost[number + 1][0] - lost[number][1])
    (start, one), (_, other) = lost[at : at + 2]
    return [*lost[:at], (start, max(one, other)), *lost[at + 2 :]]


def _without(cut: Cut, start: int, end: int) -> list[Cut]:
    """What is left of a cut when [start, end] of it has been filled."""
    if not cut.overlaps(start, end):
        return [cut]
    before = [Cut(cut.start, start, cut.gap)] if cut.start < start else []
    after = [Cut(end, cut.end, cut.gap)] if cut.end is None or cut.end > end else []
    return before + after
