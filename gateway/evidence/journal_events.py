"""Reads the events of some types from a journal's folder, one after the other, beside a running gateway or without one.

A journal of years has many millions of entries, most of them readings: those are not parsed, and nothing is kept.
"""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from buffer import event_type, read_journal
from buffer.times import from_rfc3339


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
    for held in read_journal(data):
        if event_type(held.payload) in types:
            entry = orjson.loads(held.payload)
            yield Stored(held.epoch, held.seq, from_rfc3339(entry["time"]), entry["event"], entry, held.digest)
