"""Defines the fold's input, and makes it from stored entries.

Live, the intake makes the input from what it is about to append; on replay `from_entry` makes the same input from what was stored. The fold
gets nothing else, so that a replay decides as the live program did.
"""

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from itertools import repeat
from typing import Any, Literal, NamedTuple, overload

from config import Line
from gateway.entries.stored_rows import StoredColumns
from gateway.entries.ticks import TICKS_PER_S, from_rfc3339

Json = bool | int | float | str | None
"""A value as stored in an entry: 64-bit integers and decimals are strings of their digits."""

Seen = tuple[int, Json, int, int, str]
"""One reading: (tag, value, status, event_ticks, kind). tag: index into `line.tags_of(source)`. kind: as stored."""


class SeenColumns(Sequence[Seen]):
    """Readings as the fold reads them, by column: all Good and of one kind, each tag once. events: ticks, one for each, or one for all."""

    __slots__ = ("_events", "kind", "latest", "tags", "values")

    def __init__(self, tags: Sequence[int], values: Sequence[Json], events: Sequence[int] | int, latest: int, kind: str) -> None:
        """latest: of the events."""
        self.tags, self.values, self._events, self.latest, self.kind = tags, values, events, latest, kind

    def __len__(self) -> int:
        return len(self.tags)

    def __iter__(self) -> Iterator[Seen]:
        events = repeat(self._events) if isinstance(self._events, int) else self._events
        return iter(zip(self.tags, self.values, repeat(0), events, repeat(self.kind)))

    @overload
    def __getitem__(self, at: int) -> Seen: ...

    @overload
    def __getitem__(self, at: slice) -> list[Seen]: ...

    def __getitem__(self, at: int | slice) -> Seen | list[Seen]:
        return list(self)[at]

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Sequence) else NotImplemented

    __hash__ = None  # type: ignore[assignment] # as a list


Told = tuple[int | None, int | None, int | None]
"""What a source told of the window of an aggregate: (start, end, count of samples), times in ticks; None: it did not tell."""
Windows = Mapping[tuple[int, int], Told]
"""(tag, event_ticks) of a reading -> what was told of its window."""

Authority = Literal["device", "server", "gateway"]
Tagsets = MutableMapping[str, list[tuple[str, str | None]]]
"""Digest of a tag table -> (tag, its own time authority or None) by index."""

EARLIEST_TICKS = 631_152_000 * TICKS_PER_S  # 1990: before any device on the line was built; 1601 and 1970 mean "not set"
FUTURE_TICKS = 60 * TICKS_PER_S  # further ahead of our clock is not an offset but a wrong date


class ReadingsInput(NamedTuple):
    """The fold's input from a readings entry. ticks: the entry's own time; readings in the source's order."""

    seq: int
    ticks: int
    source: str
    readings: Sequence[Seen]
    verified: bool = True
    """False: the gateway's clock was unsynchronised or unknown when the entry was made."""
    windows: Windows | None = None
    """Of those readings that are aggregates, as far as their source told them."""


class EventInput(NamedTuple):
    """The fold's input from an event entry that the fold did not make itself."""

    seq: int
    ticks: int
    event: Mapping[str, Any]
    verified: bool = True


UNVERIFIED = frozenset({"unsynchronised", "unknown"})
"""States of the clock in which a time on record is not verified; a bound above the line's limit makes such a state (docs/time.md)."""


def event_ticks(
    authority: Authority, source: int | None, server: int | None, requested: int | None, received: int, *, trusted: bool
) -> int:
    """Choose the event time of a reading, in ticks (design, entries: event time).

    Source time if the device is the authority and the time is plausible; server time if the server is the authority or the device's time is
    not plausible; both only while the source's clock is within its limit (`trusted`), since only one clock per source is measured.
    Otherwise the midpoint of request and answer, or the arrival where there was no request.
    """
    if authority == "device" and trusted and _sane(source, received):
        return source  # type: ignore[return-value]
    if authority != "gateway" and trusted and _sane(server, received):
        return server  # type: ignore[return-value]
    return received if requested is None else (requested + received) // 2


def _sane(ticks: int | None, received: int) -> bool:
    return ticks is not None and EARLIEST_TICKS <= ticks <= received + FUTURE_TICKS


def learn(tagsets: Tagsets, event: Mapping[str, Any]) -> None:
    """Add one slice of a tag table (event `tagset`) to `tagsets`."""
    table = tagsets.setdefault(event["tagset"], [])
    rows = [(row["tag"], row.get("time_authority")) for row in event["tags"]]
    table[event["first"] : event["first"] + len(rows)] = rows


def from_entry(entry: Mapping[str, Any], tagsets: Tagsets, line: Line) -> ReadingsInput | EventInput | None:
    """Make the fold's input from a stored entry (parsed JSON); None for an event that the fold made.

    tagsets: the tables recorded before this entry (see `learn`). Tags that the line no longer has are left out. Raises KeyError if the
    entry's table is unknown, ValueError if its times can not be read.
    """
    seq, ticks = entry["seq"], from_rfc3339(entry["time"])
    verified = entry.get("clock", {}).get("status") not in UNVERIFIED
    event = entry.get("event")
    if event is not None:
        return None if "caused_by" in event else EventInput(seq, ticks, event, verified)
    readings = _readings(entry, tagsets, line)
    windows = windows_of(entry["windows"], _by_row(entry, readings, tagsets, line)) if "windows" in entry else None
    return ReadingsInput(seq, ticks, entry["source"], readings, verified, windows)


def windows_of(told: Sequence[Mapping[str, Any]], by_row: Mapping[int, Seen]) -> Windows:
    """Read the windows that stand beside readings in an entry. by_row: those readings that take part, by their place in the entry."""
    return {
        (seen[0], seen[3]): (_ticks(window.get("start")), _ticks(window.get("end")), window.get("count"))
        for window in told
        if (seen := by_row.get(window["row"])) is not None
    }


def _ticks(text: str | None) -> int | None:
    return None if text is None else from_rfc3339(text)


def _by_row(entry: Mapping[str, Any], readings: Sequence[Seen], tagsets: Tagsets, line: Line) -> dict[int, Seen]:
    table, names = tagsets[entry["tagset"]], {tag.tag for tag in line.tags_of(entry["source"])}
    at = entry["columns"].index("tag")
    rows = [number for number, row in enumerate(entry["readings"]) if table[row[at]][0] in names]
    return dict(zip(rows, readings, strict=True))


def _readings(entry: Mapping[str, Any], tagsets: Tagsets, line: Line) -> list[Seen]:
    stored = StoredColumns(entry)
    table = tagsets[entry["tagset"]]
    places = {tag.tag: index for index, tag in enumerate(line.tags_of(entry["source"]))}
    default, trusted = clock_of(entry, line)
    return [
        (places[table[tag][0]], value, status, _event(table[tag][1] or default, source, server, requested, received, trusted), kind)
        for tag, value, status, kind, source, server, requested, received in zip(
            stored.column("tag"),
            stored.column("value"),
            stored.column("status"),
            stored.column("kind"),
            stored.times("source"),
            stored.times("server"),
            stored.times("requested"),
            stored.times("received"),
            strict=True,
        )
        if table[tag][0] in places
    ]


def _event(authority: Any, source: int | None, server: int | None, requested: int | None, received: int | None, trusted: bool) -> int:  # noqa: FBT001
    assert received is not None, "every reading has a received time"
    return event_ticks(authority, source, server, requested, received, trusted=trusted)


def clock_of(entry: Mapping[str, Any], line: Line) -> tuple[str, bool]:
    """Return the source's time authority when the entry was made, and True if its clock was within its limit."""
    clock = entry["source_clock"]
    limit = next((source.max_offset_s for source in line.sources if source.name == entry["source"]), None)
    offset = clock.get("offset_s")
    return clock["authority"], offset is None or limit is None or abs(offset) <= limit
