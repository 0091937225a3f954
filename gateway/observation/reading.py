"""Reads the days of a period from a journal's folder, beside a running gateway or without one; and where to begin."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from buffer import Entry, read_journal, read_state, segment_firsts
from config.sections import Observation
from gateway.entries.ticks import from_rfc3339
from gateway.observation.day import day_span
from gateway.observation.gap_events import Open
from gateway.observation.gathering import Gathered, Position

_TIME = b'"time":"'


def place_before(data: Path, ticks: int) -> Position:
    """Return the place after which to read: the segment before the first one that begins at an instant or later.

    Raises StorageError on damage, FileNotFoundError without a journal.
    """
    after = (0, 0)
    for first in segment_firsts(data):
        if _time(first) >= ticks:
            break
        after = (first.epoch, first.seq - 1)
    return after


def _time(entry: Entry) -> int:
    begin = entry.payload.find(_TIME) + len(_TIME)
    return from_rfc3339(entry.payload[begin : entry.payload.index(b'"', begin)].decode())


def open_before(gaps: Iterable[Mapping[str, Any]], ticks: int) -> Iterator[tuple[str, Open]]:
    """Yield the gaps that are open now and opened before an instant: nothing that is read may tell of them. gaps: of the fold's state."""
    for gap in gaps:
        if gap["start"] < ticks:
            left = None if gap["left"] is None else set(gap["left"])
            yield gap["id"], Open(gap["source"], gap["start"], gap["cause"], left)


def gathered(data: Path, told: Observation, zone: ZoneInfo, through: Position | None = None) -> Gathered:
    """Read the period, which takes minutes. through: the last entry that is looked at.

    Raises StorageError on damage, FileNotFoundError without a journal.
    """
    begin = day_span(told.begin, zone).begin
    state = read_state(data)
    gaps = orjson.loads(state).get("gaps", []) if state else []
    made = Gathered(told.begin, told.until, zone, open_before(gaps, begin), through)
    for entry in read_journal(data, place_before(data, begin)):
        made.take(entry)
    return made


def of_day(data: Path, told: Observation, zone: ZoneInfo, day: date) -> Gathered:
    """Read a period as the report of a day saw it, so that its figures are the same again; all that is held where it has none."""
    made = gathered(data, told, zone)
    report = made.kept.days.get(str(day))
    return made if report is None else gathered(data, told, zone, (report["through"][0], report["through"][1]))
