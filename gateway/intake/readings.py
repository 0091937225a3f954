"""From rows to drafts: put in time, cut into entries, each row with its event time for the fold. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, repeat
from operator import itemgetter
from typing import Any, NamedTuple

from drivers.contract import Kind, Reading
from gateway.entries.bodies import Beside, Columns, Row, part, tables, turned
from gateway.entries.fold_input import EARLIEST_TICKS, FUTURE_TICKS, Authority, Seen, SeenColumns, event_ticks
from gateway.intake.by_column import Stored
from gateway.intake.drafts import ReadingsDraft

MOST_READINGS = 1_000
"""In one entry."""
_TAG = itemgetter(0)


class Instants(NamedTuple):
    """When an I/O was begun and complete, in ticks.

    requested: None if the source spoke without being asked; of what it then said while nobody listened, the instant after which it came.
    """

    requested: int | None
    received: int

    @property
    def middle(self) -> int:
        """Of both; of what was not asked for, when it was received."""
        return self.received if self.requested is None else (self.requested + self.received) // 2


@dataclass(frozen=True, slots=True)
class Origin:
    """Where readings come from. tagset: digest of the source's tag table. authorities: by tag, whose time is the event's."""

    source: str
    tagset: str
    authorities: Sequence[Authority]
    max_offset_s: float

    def trusts(self, source_clock: Mapping[str, Any]) -> bool:
        """Return whether the source's clock is within its limit. source_clock: as it is stored with its readings."""
        return bool(abs(source_clock.get("offset_s", 0.0)) <= self.max_offset_s)


def in_time(readings: Sequence[Reading], signals: frozenset[int]) -> Sequence[Reading]:
    """Sort by the source's time where a context signal is among readings that all have one. Each tag's own order stays.

    Queued changes come tag by tag: what came later than a signal's change would else stand in an entry before it. Where a tag's times
    go back (its clock was set), the list stays as it came.
    """
    if len(readings) < 2 or not signals or signals.isdisjoint(map(_TAG, readings)):
        return readings
    latest: dict[int, int] = {}
    for index, _, _, source, _ in readings:
        if source is None or source < latest.get(index, source):
            return readings
        latest[index] = source
    return sorted(readings, key=lambda reading: reading[3] or 0)


def readings_drafts(
    rows: Sequence[Row],
    turns: Sequence[int],
    io: Instants,
    origin: Origin,
    source_clock: Mapping[str, Any],
    beside: Beside | None = None,
) -> Iterator[ReadingsDraft]:
    """Draft the entries of a list.

    turns: rows at which a context signal changes; source_clock: as it is stored with them; beside: what else is.
    """
    trusted, first = origin.trusts(source_clock), 0
    for piece in cut(rows, turns):
        for some, table, members in tables(turned(piece), io.requested, io.received, beside, first):
            seen = seen_of(some, io, origin.authorities, trusted=trusted)
            yield ReadingsDraft(origin.source, source_clock, origin.tagset, seen, table, members)
        first += len(piece)


def column_drafts(
    stored: Stored,
    kind: Kind,
    io: Instants,
    origin: Origin,
    source_clock: Mapping[str, Any],
    authority: Authority | None,
    beside: Beside | None = None,
) -> Iterator[ReadingsDraft]:
    """Draft the entries of a list that is not cut, by column. authority: of all its tags; None if they have not one."""
    trusted = abs(source_clock.get("offset_s", 0.0)) <= origin.max_offset_s
    count = len(stored.tags)
    none = (None,) * count
    source, server = stored.source or none, stored.server or none
    whole = (stored.tags, stored.values, stored.raw or none, (0,) * count, (kind,) * count, source, server)
    for first in range(0, count, MOST_READINGS):
        piece = whole if count <= MOST_READINGS else part(whole, slice(first, first + MOST_READINGS))
        known = stored.bounds if piece is whole else None
        for some, table, members in tables(piece, io.requested, io.received, beside, first, known):
            bounds = stored.bounds if len(some[0]) == count else _bounds_of(some[5])
            seen = _seen_by_column(some, io, origin, authority, bounds, trusted=trusted)
            yield ReadingsDraft(origin.source, source_clock, origin.tagset, seen, table, members)


def _bounds_of(sources: Sequence[int | None]) -> tuple[int, int] | None:
    present = [] if sources[0] is None else [source for source in sources if source is not None]  # all or none has one
    return (min(present), max(present)) if present else None


def _seen_by_column(
    turned: Columns, io: Instants, origin: Origin, authority: Authority | None, bounds: tuple[int, int] | None, *, trusted: bool
) -> Sequence[Seen]:
    """Give turned rows, of which all or none has a source time, as the fold reads them. bounds: earliest and latest of those times."""
    tags, values, _, _, kinds, sources, servers = turned
    if authority == "gateway" or (authority is not None and sources[0] is None and servers[0] is None):
        ours = event_ticks("gateway", None, None, io.requested, io.received, trusted=True)
        return SeenColumns(tags, values, ours, ours, kinds[0])
    if authority == "device" and trusted and bounds is not None and bounds[0] >= EARLIEST_TICKS and bounds[1] <= io.received + FUTURE_TICKS:
        return SeenColumns(tags, values, sources, bounds[1], kinds[0])
    return seen_of(turned, io, origin.authorities, trusted=trusted)


def cut(rows: Sequence[Row], turns: Sequence[int]) -> Iterator[Sequence[Row]]:
    """Cut before each row at which a signal changes, so that an entry has one context, and at what one entry may hold."""
    for begin, end in pairwise([0, *(turn for turn in turns if turn), len(rows)]):
        for first in range(begin, end, MOST_READINGS):
            yield rows[first : min(first + MOST_READINGS, end)]


def seen_of(turned: Columns, io: Instants, authorities: Sequence[Authority], *, trusted: bool) -> list[Seen]:
    """Give the rows as the fold reads them, with their event times. trusted: the source's clock is within its limit.

    The common cases of `event_ticks`, a device's sane time and our own, are decided here for all rows at once, or at least without a call
    per row, which would cost more than the rest.
    """
    tags, values, _, statuses, kinds, sources, servers = turned
    latest = io.received + FUTURE_TICKS
    ours = event_ticks("gateway", None, None, io.requested, io.received, trusted=True)
    whose = [authorities[tag] for tag in tags]
    if whose.count("gateway") == len(whose) or (sources.count(None) == servers.count(None) == len(whose)):
        return list(zip(tags, values, statuses, repeat(ours), kinds))
    if (
        trusted
        and whose.count("device") == len(whose)
        and None not in sources
        and min(sources) >= EARLIEST_TICKS
        and max(sources) <= latest
    ):
        return list(zip(tags, values, statuses, sources, kinds, strict=True))
    events = [
        source
        if trusted and authority == "device" and source is not None and EARLIEST_TICKS <= source <= latest
        else event_ticks(authority, source, server, io.requested, io.received, trusted=trusted)
        for authority, source, server in zip(whose, sources, servers, strict=True)
    ]
    return list(zip(tags, values, statuses, events, kinds, strict=True))
