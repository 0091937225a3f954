"""What the journal tells of one day, as it is gathered; bounded, whatever happened on it."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from heapq import nlargest
from typing import Any
from zoneinfo import ZoneInfo

from gateway.entries.held import Span, merged

MOST_SPANS, KEPT_SPANS = 10_000, 9_000
"""Of one source. Of more that do not touch each other the longest are kept: what they come to is a lower bound, and that is said."""
MOST_BATCHES = 10_000
MOST_ROWS = 200


@dataclass(slots=True)
class SourceGaps:
    """Gaps of one source on a day. count, longest: of gaps that lost something. spans: what of the day they hid, not merged.

    is_crowded: they hid more than the spans.
    """

    count: int = 0
    filled: int = 0
    longest: int = 0
    spans: list[Span] = field(default_factory=list)
    is_crowded: bool = False

    def add(self, span: Span, *, counts: bool) -> None:
        """Add the part of a gap that lies in the day."""
        self.count += counts
        self.longest = max(self.longest, span.end - span.begin)
        self.spans.append(span)
        if len(self.spans) > MOST_SPANS:
            self.spans = merged(self.spans)
            if len(self.spans) > KEPT_SPANS:
                self.is_crowded = True
                self.spans = nlargest(KEPT_SPANS, self.spans, key=lambda one: one.end - one.begin)

    def copy(self) -> "SourceGaps":
        """Return one that can be added to."""
        return SourceGaps(self.count, self.filled, self.longest, list(self.spans), self.is_crowded)


@dataclass(slots=True)
class Day:
    """One day of the wall clock of the line.

    asked: sources of the configuration. heard: of which something tells that day. down: gaps because the gateway did not run. bounded:
    entries with a bound of the clock; worst_bound_s: of them. batches: batch -> status of its newest record. compared: title of a
    comparison of all that is held -> ticks and result of the newest. differing: comparisons with a receiver that found a difference.
    """

    day: date
    span: Span
    entries: int = 0
    verified: int = 0
    bounded: int = 0
    worst_bound_s: float | None = None
    asked: set[str] = field(default_factory=set)
    heard: set[str] = field(default_factory=set)
    gaps: dict[str, SourceGaps] = field(default_factory=dict)
    down: dict[str, SourceGaps] = field(default_factory=dict)
    causes: Counter[tuple[str, str]] = field(default_factory=Counter)
    late: int = 0
    raised: Counter[tuple[str, str]] = field(default_factory=Counter)
    over: Counter[str] = field(default_factory=Counter)
    batches: dict[str, str] = field(default_factory=dict)
    more_batches: int = 0
    compared: dict[str, tuple[int, str]] = field(default_factory=dict)
    differing: int = 0
    reconciliations: list[dict[str, Any]] = field(default_factory=list)
    more_reconciliations: int = 0


def day_span(day: date, zone: ZoneInfo) -> Span:
    """Return a day from midnight to midnight of the wall clock; 23 or 25 hours where the clock is changed."""
    return Span(_midnight(day, zone), _midnight(day + timedelta(days=1), zone))


def today(ticks: int, zone: ZoneInfo) -> date:
    """Return the day of an instant."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ticks // 10)).astimezone(zone).date()


def _midnight(day: date, zone: ZoneInfo) -> int:
    at = datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)
    return round((at - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)) * 10
