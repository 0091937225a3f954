"""Gaps and coverage of each source, month by month: what was not observed of a whole source, and of some of its tags. Pure.

Coverage is the share of the time of a month that the journal holds in which no gap of the whole source was open. A month in which nothing
at all tells of a source is not checked: a source that never spoke had no gap that closed either.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gateway.entries.held import Calendar, Span, merged
from gateway.entries.ticks import from_rfc3339

MOST_GAPS = 100_000
"""Of which the times are kept; of more the times are not added up, and that is said."""


class Month(NamedTuple):
    """One source in one month. coverage: 0 to 1; None: not checked. lists: entries with its readings. longest_s: of a whole source."""

    source: str
    month: str
    lists: int
    heard: bool
    gaps: int
    partly: int
    filled: int
    lost_s: float
    longest_s: float
    coverage: float | None


@dataclass(slots=True)
class Open:
    """A gap that is open. whole: of every tag of its source, as far as it is known."""

    source: str
    start: int
    whole: bool
    cause: str


@dataclass(slots=True)
class Gaps:
    """Takes events of gaps, and what else tells of a source, in the journal's order."""

    period: Span
    calendar: Calendar
    open: dict[str, Open] = field(default_factory=dict)
    lost: dict[str, list[Span]] = field(default_factory=dict)
    counts: dict[str, Counter[tuple[str, str]]] = field(
        default_factory=lambda: {"gaps": Counter(), "partly": Counter(), "filled": Counter()}
    )
    lists: Counter[tuple[str, str]] = field(default_factory=Counter)
    heard: set[tuple[str, str]] = field(default_factory=set)
    causes: Counter[tuple[str, str]] = field(default_factory=Counter)
    kept: int = 0
    unread: int = 0
    """Gaps that closed in part, and of whose beginning nothing was read: how much of their sources they hid is not known."""

    def readings(self, source: str, text: str) -> None:
        """Take a list of readings of a source. text: time of its entry, RFC 3339 with Z."""
        self.lists[source, self.calendar.month(text)] += 1

    def take(self, event: Mapping[str, Any], text: str) -> None:
        """Take an event of type gap, source or heartbeat. text: time of its entry."""
        month = self.calendar.month(text)
        match event["type"]:
            case "gap":
                self._gap(event, month)
            case "source" if event["state"] in ("connected", "resumed"):
                self.heard.add((str(event["source"]), month))
            case "heartbeat":
                self.heard.update((source, self.calendar.month(str(observed))) for source, observed in event["observed"].items())

    def later(self, event: Mapping[str, Any]) -> None:
        """Take a gap that is told of after the period: what it hid in it, as of a gateway that did not run at its end, is of the period."""
        name, source, whole = str(event["gap"]), str(event["source"]), event.get("tags") == "all"
        if event["transition"] == "open" and whole:
            self.open.setdefault(name, Open(source, from_rfc3339(event["start"]), whole, str(event.get("cause"))))
        elif event["transition"] == "close" and event.get("outcome") != "filled":
            was = self.open.pop(name, None)
            if whole or (was is not None and was.whole):
                self._add(source, Span(from_rfc3339(event["start"]), from_rfc3339(event["end"])))
        elif event["transition"] == "close":
            self.open.pop(name, None)

    def _gap(self, event: Mapping[str, Any], month: str) -> None:
        name, source, whole = str(event["gap"]), str(event["source"]), event.get("tags") == "all"
        if event["transition"] == "open":
            self.open[name] = Open(source, from_rfc3339(event["start"]), whole, str(event.get("cause")))
            self.counts["gaps" if whole else "partly"][source, month] += 1
            self.causes[source, str(event.get("cause"))] += 1
        elif event["transition"] == "fill":
            self.counts["filled"][source, month] += 1
        elif event["transition"] == "close":
            self._close(self.open.pop(name, None), event, source, month)

    def _close(self, was: Open | None, event: Mapping[str, Any], source: str, month: str) -> None:
        """End a gap: the first tags that are heard again end that of a whole source."""
        if was is None and event.get("tags") != "all":
            self.unread += 1
            return
        if event.get("outcome") == "filled":
            self.counts["filled"][source, month] += 1
        elif was is None or was.whole:
            self._add(source, Span(from_rfc3339(event["start"]), from_rfc3339(event["end"])))

    def _add(self, source: str, span: Span) -> None:
        clipped = span.clipped(*self.period)
        if clipped is not None:
            self.kept += 1
            if self.kept <= MOST_GAPS:
                self.lost.setdefault(source, []).append(clipped)

    def months(self, held: Iterable[Span], sources: Iterable[str], end: int, began: int | None = None) -> list[Month]:
        """Return one row for each source and month. sources: of the line now. end: ticks through which entries are held.

        began: when the journal began, if it did in the period: months before it have no row.
        """
        for gap in [one for one in self.open.values() if one.whole and one.start < end]:
            self._add(gap.source, Span(gap.start, end))
        self.open.clear()
        spans = list(held)
        told = {source for source, month in {*self.lists, *self.heard, *self.counts["gaps"]} if month}
        names = sorted({*sources, *self.lost, *told})
        return [
            self._month(source, month, span, spans)
            for source in names
            for month, span in self.calendar.spans
            if began is None or span.end > began
        ]

    def _month(self, source: str, month: str, span: Span, held: list[Span]) -> Month:
        there = _within(held, span)
        spans = merged(self.lost.get(source, ()))
        lost = [each for part in there for each in _within(spans, part)]
        lost_s, held_s = sum(each.seconds for each in lost), sum(each.seconds for each in there)
        key = (source, month)
        heard = key in self.heard or bool(self.lists[key])
        known = held_s > 0 and (heard or lost_s > 0) and self.kept <= MOST_GAPS
        gaps, partly, filled = (self.counts[name][key] for name in ("gaps", "partly", "filled"))
        longest_s = max((each.seconds for each in _within(spans, span)), default=0.0)
        return Month(source, month, self.lists[key], heard, gaps, partly, filled, lost_s, longest_s, 1 - lost_s / held_s if known else None)


def _within(spans: Iterable[Span], within: Span) -> list[Span]:
    return [clipped for each in spans if (clipped := each.clipped(*within)) is not None]


def hours(seconds: float) -> str:
    """Write how long something was."""
    return f"{seconds / 3600:.2f} h" if seconds >= 360 else f"{seconds:.1f} s"
