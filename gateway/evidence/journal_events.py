"""Reads the events of some types from a journal's folder, one after the other, beside a running gateway or without one.

A journal of years has many millions of entries, most of them readings: those are not parsed, and nothing is kept.
"""

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from buffer import read_journal
from buffer.times import from_rfc3339

_TYPE = re.compile(rb'"event":\{(?:"type":"([a-z-]+)")?')
"""Most events begin with their type, and are not parsed to know it; one that waited for a start may begin with anything."""


class Stored(NamedTuple):
    """An event in its entry. ticks: the entry's `time`. digest: SHA-256 of the entry's bytes, by which the chain names it."""

    epoch: int
    seq: int
    ticks: int
    event: dict[str, Any]
    entry: dict[str, Any]
    digest: str


def events(data: Path, types: Collection[str]) -> Iterator[Stored]:
    """Yield the events of these types, in the journal's order. Raises JournalError on damage, FileNotFoundError without a journal."""
    wanted = {name.encode() for name in types}
    for held in read_journal(data):
        match = _TYPE.search(held.payload)
        if match is not None and (match[1] is None or match[1] in wanted):
            entry = orjson.loads(held.payload)
            if isinstance(event := entry.get("event"), dict) and event["type"] in types:
                yield Stored(held.epoch, held.seq, from_rfc3339(entry["time"]), event, entry, held.digest)
