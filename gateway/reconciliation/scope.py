"""Which entries are compared: all, all that are held, those of a day, those of a batch; never beyond what the receiver has confirmed."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import orjson

from buffer import Entry, Pieces, event_type, read_journal, segment_end, segment_firsts
from buffer.times import TICKS_PER_S, from_rfc3339, of_entry

Position = tuple[int, int]
Range = tuple[int, int, int]
"""(epoch, first, last)"""
RECORDS = frozenset({"step", "batch", "material", "sample", "alarm", "rebind"})
"""Types of the events that a batch's record consists of; readings have none."""


class Record(NamedTuple):
    """An event of a batch: its name, its revision, whether the batch's end lists it, and its entries (epoch, seq)."""

    name: str
    revision: int
    kind: str
    listed: bool
    entries: tuple[Position, ...]


class BatchScope(NamedTuple):
    """The entries of a batch from its first to its last, and its records. not_here: listed by its end, and not held here any more.

    has_ended: its end is held here.
    """

    ranges: list[Range]
    records: list[Record]
    not_here: list[str]
    has_ended: bool


def whole(pieces: Pieces, confirmed: Position, *, held_only: bool = False) -> list[Range]:
    """Return all that the receiver has confirmed. held_only: without what was pruned here."""
    ranges = []
    for epoch, known in sorted(pieces.epochs().items()):
        span = pieces.held(epoch) if held_only else known
        if span is not None:
            ranges.append((epoch, *span))
    return within(ranges, confirmed)


def within(ranges: list[Range], confirmed: Position) -> list[Range]:
    """Cut ranges at what the receiver has confirmed."""
    cut = [(epoch, first, min(last, confirmed[1]) if epoch == confirmed[0] else last) for epoch, first, last in ranges]
    return [(epoch, first, last) for epoch, first, last in cut if epoch <= confirmed[0] and first <= last]


def of_day(data: Path, day: date, zone: str) -> list[Range]:
    """Return the entries whose time lies in a day of the site, of each epoch from the first to the last of them."""
    begin = datetime.combine(day, time(), ZoneInfo(zone))
    end = datetime.combine(day + timedelta(days=1), time(), ZoneInfo(zone))
    low, high = from_rfc3339(begin.isoformat()), from_rfc3339(end.isoformat())
    spans: dict[int, tuple[int, int]] = {}
    for entry in _around(data, low, high):
        if low <= _ticks(entry) < high:
            first, last = spans.get(entry.epoch, (entry.seq, entry.seq))
            spans[entry.epoch] = min(first, entry.seq), max(last, entry.seq)
    return [(epoch, *span) for epoch, span in sorted(spans.items())]


def _around(data: Path, low: int, high: int) -> Iterator[Entry]:
    """Yield the entries of the segments that may hold a time: of a journal of years not all."""
    firsts = [(entry.epoch, entry.seq, _ticks(entry)) for entry in segment_firsts(data)]
    for number, (epoch, seq, ticks) in enumerate(firsts):
        following = firsts[number + 1][2] if number + 1 < len(firsts) else high
        if max(ticks, following) >= low and min(ticks, following) < high:
            for entry in read_journal(data, (epoch, seq - 1)):
                if (entry.epoch, entry.seq) > (epoch, segment_end(seq)):
                    break
                yield entry


def _ticks(entry: Entry) -> int:
    return of_entry(entry.payload) or 0


BEFORE_TICKS = 3_600 * TICKS_PER_S
"""By how much earlier than a batch's start its first entry may bear a time: rows wait, and clocks are set."""


def _begins(data: Path, since: int) -> Position:
    """Return the place after which the entries from a time on lie: before the last segment that began earlier."""
    earlier = [(entry.epoch, entry.seq - 1) for entry in segment_firsts(data) if _ticks(entry) <= since - BEFORE_TICKS] if since else []
    return earlier[-1] if earlier else (0, 0)


def of_batch(data: Path, batch: str, since: int = 0) -> BatchScope:
    """Find the entries of a batch in what is held, entry by entry. since: ticks of its start; 0: the whole journal is read."""
    wanted = orjson.dumps(batch)
    spans: dict[int, tuple[int, int]] = {}
    found: dict[tuple[str, int, str], list[Position]] = {}
    listed: dict[str, int] = {}
    has_ended = False
    for entry in read_journal(data, _begins(data, since)):
        if wanted not in entry.payload or (kind := event_type(entry.payload)) not in RECORDS | {""}:
            continue
        told = orjson.loads(entry.payload)
        if not _is_of(told, batch):
            continue
        first, _ = spans.get(entry.epoch, (entry.seq, entry.seq))
        spans[entry.epoch] = first, entry.seq
        event = told.get("event")
        if event and isinstance(event.get("record"), str):
            name = f"{event['record']}{_edge(event)}"
            found.setdefault((name, int(event.get("revision") or 1), kind), []).append((entry.epoch, entry.seq))
        if event and kind == "batch" and event.get("transition") == "end":
            has_ended = True
            listed |= {one["record"]: one["revision"] for one in event.get("records", ())}
    records = [Record(*key, listed.get(key[0]) == key[1], tuple(entries)) for key, entries in found.items()]
    here = {(one.name, one.revision) for one in records}
    not_here = [f"{name}#{revision}" for name, revision in listed.items() if (name, revision) not in here]
    return BatchScope([(epoch, *span) for epoch, span in sorted(spans.items())], records, not_here, has_ended)


def _is_of(told: Mapping[str, Any], batch: str) -> bool:
    """Return True if an entry is of a batch: an event that names it, or readings taken while an equipment was in it."""
    if (event := told.get("event")) is not None:
        sides = [event, *(event.get(side) or {} for side in ("from", "to"))]
        return any(batch in _names(side.get("batch")) for side in sides)
    return any(context.get("batch") == batch for context in (told.get("contexts") or {}).values())


def _names(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _edge(event: Mapping[str, Any]) -> str:
    """Tell the start of a step or batch, and one equipment's, from its end, which bears the record's own name."""
    transition = event.get("transition")
    edge = "" if transition in (None, "end") else f"/{transition}"
    return edge + (f"/{event['equipment']}" if event["type"] == "batch" and event.get("equipment") else "")
