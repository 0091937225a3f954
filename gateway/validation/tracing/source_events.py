"""Finds the reading or the row of a source that told an event of a batch: where the gateway heard of it, and by whose stamp."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from buffer import Entry, event_type, read_journal, segment_of
from buffer.times import from_rfc3339, rfc3339
from config import Line
from gateway.validation.tracing.origin import readings_of

Json = dict[str, Any]
BACK = 400
"""Entries before the one that caused an event in which its signal is looked for, where its record does not say which told it."""
MOST_NAMED = 3


@dataclass(slots=True)
class Asked:
    """The question which of a source's events told an instant. seqs: the entries that may hold it, in order; tags: preferred ones.

    found: what told it; None: nothing in these entries has this time.
    """

    epoch: int
    seqs: range
    ticks: int
    tags: frozenset[str] = frozenset()
    found: Json | None = None
    weak: list[Json] = field(default_factory=list)


def find(data: Path, line: Line, asked: list[Asked]) -> None:
    """Answer all questions with one reading of the journal per epoch. Raises StorageError on damage."""
    for epoch in sorted({one.epoch for one in asked}):
        _of_epoch(data, line, epoch, [one for one in asked if one.epoch == epoch and one.seqs])


def _of_epoch(data: Path, line: Line, epoch: int, asked: list[Asked]) -> None:
    if not asked:
        return
    first, last = min(one.seqs.start for one in asked), max(one.seqs[-1] for one in asked)
    by_seq: dict[int, list[Asked]] = {}
    for one in asked:
        for seq in one.seqs:
            by_seq.setdefault(seq, []).append(one)
    tables: dict[str, dict[int, Json]] = {}
    for held in read_journal(data, (epoch, segment_of(max(first, 1)) - 1)):
        if (held.epoch, held.seq) > (epoch, last):
            return
        if event_type(held.payload) == "tagset":
            event = orjson.loads(held.payload)["event"]
            tables.setdefault(event["tagset"], {}).update(enumerate(event["tags"], event["first"]))
        elif open_ones := [one for one in by_seq.get(held.seq, ()) if one.found is None]:
            _look(held, line, tables, open_ones)
    for one in asked:
        if one.found is None and one.weak:
            one.found = joined(one.weak)


def _look(held: Entry, line: Line, tables: Mapping[str, Mapping[int, Json]], asked: list[Asked]) -> None:
    entry = orjson.loads(held.payload)
    told = list(_told(entry, held, line, tables))
    for one in asked:
        same = [each for each in told if each["event_ticks"] == one.ticks]
        preferred = [each for each in same if each["name"] in one.tags]
        if preferred or (same and same[0]["kind"] == "row") or (same and not one.tags):
            one.found = joined(preferred or same)
        elif same and not one.weak:
            one.weak = same


def _told(entry: Json, held: Entry, line: Line, tables: Mapping[str, Mapping[int, Json]]) -> Iterator[Json]:
    """Yield each row, or each reading that is news, of an entry."""
    event = entry.get("event")
    head = {"source": entry.get("source"), "entry": [held.epoch, held.seq], "bound_s": entry["clock"]["bound_s"]}
    clock = entry.get("source_clock") or {}
    offset = {"offset_s": clock.get("offset_s"), "offset_bound_s": clock.get("bound_s")}
    if event is None:
        table = tables[entry["tagset"]]
        names = {known["tag"] for known in table.values()}
        for tag, reading in readings_of(entry, held, table, line, names):
            if reading["kind"] in ("repeat", "backfill"):
                continue
            stamp = reading["source_time"] or reading["server_time"]
            by = "device" if reading["source_time"] else "server" if stamp else None
            yield {
                **head, **offset, "kind": "reading", "name": tag, "key": None, "stamp": stamp, "by": by,
                "received": reading["received_time"], "event_ticks": from_rfc3339(reading["event_time"]),
            }  # fmt: skip
    elif event["type"] == "message":
        for row in event["rows"]:
            if row.get("time") is not None:
                yield row_told(entry, held, row)


def row_told(entry: Json, held: Entry, row: Json) -> Json:
    """Describe a row of a source as what told an event."""
    event, clock, time = entry["event"], entry.get("source_clock") or {}, row.get("time")
    ticks = None if time is None else from_rfc3339(time)
    return {
        "source": event["source"], "entry": [held.epoch, held.seq], "bound_s": entry["clock"]["bound_s"],
        "offset_s": clock.get("offset_s"), "offset_bound_s": clock.get("bound_s"), "kind": "row", "name": event["name"], "key": row["key"],
        "stamp": None if ticks is None else rfc3339(ticks), "by": None if ticks is None else "source", "received": entry["time"],
        "event_ticks": ticks,
    }  # fmt: skip


def joined(told: list[Json]) -> Json:
    """Make one of several that came with the same stamp in one entry: the names of the first ones, and how many there are."""
    first = told[0]
    names = [each["name"] if each["key"] is None else f"{each['name']} {each['key']}" for each in told[:MOST_NAMED]]
    more = f" and {len(told) - MOST_NAMED} more" if len(told) > MOST_NAMED else ""
    kept = {name: value for name, value in first.items() if name not in ("event_ticks", "name", "key")}
    return {**kept, "event": ", ".join(names) + more}
