"""Follows gaps from their opening to the last of their tags, and tells each day what of it they hid. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.entries.held import Span
from gateway.entries.ticks import from_rfc3339
from gateway.observation.day import Day, SourceGaps

NOT_ASKED = "not-asked"
"""Cause of the gap that precedes a poll which came too late."""
DOWN = ("gateway-stopped", "gateway-crashed")


@dataclass(slots=True)
class Open:
    """A gap that has not closed. left: tags not observed since, None: all of the source.

    lost_to: how far some of its tags were lost. told_to: the last end that was told of any, lost or filled.
    """

    source: str
    start: int
    cause: str
    left: set[str] | None
    lost_to: int | None = None
    told_to: int | None = None


class GapEvents:
    """Gaps of a line over a period. A source is not observed while a gap of any of its tags is open: what a tag lacks, the record lacks."""

    def __init__(self, days: list[Day], before: Iterable[tuple[str, Open]] = ()) -> None:
        """before: gaps that opened before what is read and are open now, by id."""
        self._days = days
        self._open: dict[str, Open] = dict(before)
        self._tables: dict[str, set[str]] = {}
        self._partly: set[str] = set()

    def table(self, event: Mapping[str, Any]) -> None:
        """Take a piece of a source's tag table."""
        names = {str(row["tag"]) for row in event["tags"]}
        self._tables[event["source"]] = names if event["first"] == 0 else self._tables.get(event["source"], set()) | names

    def take(self, event: Mapping[str, Any], day: Day | None) -> None:
        """Take an event of a gap. day: that of its entry."""
        name, source = str(event["gap"]), str(event["source"])
        if day is not None:
            day.heard.add(source)
        if event["transition"] == "open":
            left = None if event["tags"] == "all" else set(event["tags"])
            self._open[name] = Open(source, from_rfc3339(event["start"]), str(event.get("cause")), left)
            if day is not None:
                day.causes[source, str(event.get("cause"))] += 1
                day.late += event.get("cause") == NOT_ASKED
        elif event["transition"] == "close":
            self._close(name, event)

    def _close(self, name: str, event: Mapping[str, Any]) -> None:
        was, is_lost = self._open.get(name), event.get("outcome") != "filled"
        start, end = from_rfc3339(event["start"]), from_rfc3339(event["end"])
        if was is None:
            self._close_unseen(name, Open(str(event["source"]), start, str(event.get("cause")), None), end, is_lost=is_lost)
            return
        was.told_to = max(end, was.told_to or end)
        if is_lost:
            was.lost_to = max(end, was.lost_to or end)
        if event["tags"] != "all":
            known = self._tables.get(was.source) if was.left is None else was.left
            was.left = None if known is None else known - set(event["tags"])
            if was.left is None or was.left:
                return
        del self._open[name]
        _add_down(self._days, was, was.told_to)
        if was.lost_to is not None:
            _add(self._days, was, was.lost_to)
        else:
            for day in self._days:
                if was.start < day.span.end and end > day.span.begin:
                    day.gaps.setdefault(was.source, SourceGaps()).filled += 1

    def _close_unseen(self, name: str, one: Open, end: int, *, is_lost: bool) -> None:
        """Take an end of a gap that opened before what is read, and is over by now: each of its ends is read."""
        _add_down(self._days, one, end)
        if is_lost:
            _add(self._days, one, end, counts=name not in self._partly)
            self._partly.add(name)

    def later(self, event: Mapping[str, Any], through: int) -> None:
        """Take a gap that closes after what is reported, and whose opening is before what is read: it was open all the time."""
        if event["transition"] == "close" and event["gap"] not in self._open and from_rfc3339(event["start"]) < self._days[0].span.begin:
            name = str(event["gap"])
            self._open[name] = Open(str(event["source"]), from_rfc3339(event["start"]), str(event.get("cause")), None, through)

    def of(self, day: Day, until: int) -> tuple[dict[str, SourceGaps], dict[str, SourceGaps]]:
        """Return the gaps of a day by source, with those open now as far as `until` (ticks); and those because the gateway did not run."""
        shown = Day(
            day.day, day.span, gaps={s: one.copy() for s, one in day.gaps.items()}, down={s: one.copy() for s, one in day.down.items()}
        )
        for one in self._open.values():
            _add([shown], one, max(until, one.lost_to or until))
            _add_down([shown], one, max(until, one.told_to or until))
        return shown.gaps, shown.down


def _add(days: Iterable[Day], one: Open, end: int, *, counts: bool = True) -> None:
    """Add a gap to the days that it hid."""
    for day in days:
        if (span := Span(one.start, end).clipped(*day.span)) is not None:
            day.gaps.setdefault(one.source, SourceGaps()).add(span, counts=counts)


def _add_down(days: Iterable[Day], one: Open, end: int) -> None:
    """Add how long no gateway ran. What a source's history filled afterwards was seen by no gateway: no alarm of it, and no late poll."""
    if one.cause in DOWN:
        for day in days:
            if (span := Span(one.start, end).clipped(*day.span)) is not None:
                day.down.setdefault(one.source, SourceGaps()).add(span, counts=True)
