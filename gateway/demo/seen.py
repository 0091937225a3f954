"""Holds the edges of steps that a receiver calls observed against the gaps of their signals. Pure.

By the format pages alone, as the rest of the judge: no such edge lies within a lost gap of its step's signal, and one that the signal
itself told was seen to stand for the settling time.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from config import Equipment, Line, Step
from gateway.demo.received import Got, Received
from gateway.entries.ticks import TICKS_PER_MS, from_rfc3339, rfc3339

Interval = tuple[int, int | None]
"""A lost gap: (start, end) in ticks; None: it is open."""


def unproved(line: Line, got: Received) -> list[str]:
    """List the edges of step records, in their latest revision, that are called observed though nobody can have seen them."""
    rows = {(row.equipment, row.step): row for row in line.steps}
    units = {unit.name: unit for unit in line.equipment if unit.steps_from != "mes"}
    sources, found = {tag.tag: tag.source for tag in line.tags}, list[str]()
    for record in got.steps.values():
        row, unit = rows.get((record["equipment"], record["step"])), units.get(record["equipment"])
        if row is not None and unit is not None and not _is_excused(got, row):
            readings = got.readings.get(sources[row.signal], {}).get(row.signal, [])
            spans = [span for gap in got.gaps_of(sources[row.signal]) if (span := gap.span(row.signal)) is not None]
            found += _of_record(record, unit, readings, spans)
    return found


def _of_record(record: Mapping[str, Any], unit: Equipment, readings: Sequence[Got], spans: Sequence[Interval]) -> Iterator[str]:
    for edge in ("start", "end"):
        told, at = record[edge], from_rfc3339(record[edge]["time"])
        is_told_by_signal = any(at in _times(reading) for reading in readings)
        last = at + (unit.settle_ms * TICKS_PER_MS if is_told_by_signal else 0)
        lost = next((start for start, end in spans if start < last and (end is None or end > at)), None)
        if told["basis"] == "observed" and lost is not None:
            yield f"{record['record']} {edge}s observed at {told['time']}: its signal was lost from {rfc3339(lost)}"


def _times(reading: Got) -> tuple[int | None, ...]:
    """Give the times of a reading of which one is its event time: the device's, the arrival, the middle of question and answer."""
    middle = None if reading.requested is None else (reading.requested + reading.received) // 2
    return reading.source_ticks, middle, reading.received


def _is_excused(got: Received, row: Step) -> bool:
    """Return whether it is said that a gap of this signal was learned of after its records were final."""
    return any(finding["code"] == "late-data" and row.signal in finding["tags"] for finding in got.findings)
