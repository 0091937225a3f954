"""A MES that keeps aggregates alone: it samples values for itself, and writes one row for each window, with what it made of the samples.

Windows lie on a grid of their length since 1970; the first one, and one during which the MES stood still, has fewer samples, and says so.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from statistics import fmean, median
from typing import Any

from config import Tag
from simulators.device import TICKS_PER_S
from simulators.mes.tables import local_text

FUNCTIONS: Mapping[str, Callable[[Sequence[Any]], Any]] = {
    "mean": fmean, "min": min, "max": max, "sum": sum, "median": median, "last": lambda values: values[-1], "count": len,
}  # fmt: skip
DIGITS = 6
"""Decimals that the MES keeps of a mean."""


@dataclass(slots=True)
class _Window:
    """The window that is not over yet, of the tags of one query or pattern with one length. start: ticks."""

    name: str
    tags: tuple[Tag, ...]
    length: int
    start: int | None = None
    samples: dict[str, list[Any]] = field(default_factory=dict)


class Aggregates:
    """The windows of one MES."""

    def __init__(self, tags: Sequence[Tag], times: Mapping[str, Mapping[str, Any]]) -> None:
        """times: `time` of each query or pattern (column, zone, format)."""
        self._times = times
        grouped: dict[tuple[str, int], list[Tag]] = {}
        for tag in tags:
            if tag.aggregate is not None:
                grouped.setdefault((tag.address.partition(".")[0], round(tag.aggregate[1] * TICKS_PER_S)), []).append(tag)
        self._windows = [_Window(name, tuple(of), length) for (name, length), of in grouped.items()]

    def take(self, values: Mapping[str, Any], ticks: int) -> Iterator[tuple[str, dict[str, Any]]]:
        """Take one sample of each tag; yield (query or pattern, row) of each window that is over by then."""
        for window in self._windows:
            start = ticks - ticks % window.length
            if window.start is not None and start != window.start and window.samples:
                yield window.name, self._row(window, window.start)
            if start != window.start:
                window.start, window.samples = start, {}
            for tag in window.tags:
                if tag.tag in values:
                    window.samples.setdefault(tag.tag, []).append(values[tag.tag])

    def _row(self, window: _Window, start: int) -> dict[str, Any]:
        row: dict[str, Any] = {}
        time = self._times.get(window.name) or {}
        if time:
            row[time["column"]] = self._text(time, start + window.length, window.length)
        for tag in window.tags:
            samples = window.samples.get(tag.tag, [])
            if samples and tag.aggregate is not None:
                row[tag.address.partition(".")[2]] = as_typed(tag, FUNCTIONS[tag.aggregate[0]](samples))
            columns = tag.window_columns
            for name, at in (("aggregate_start", start), ("aggregate_end", start + window.length)):
                if name in columns:
                    row[columns[name]] = self._text(time, at, window.length)
            if "aggregate_count" in columns:
                row[columns["aggregate_count"]] = len(samples)
        return row

    def _text(self, time: Mapping[str, Any], ticks: int, length: int) -> str:
        return local_text(ticks, time.get("zone", "UTC"), time.get("format"), 0 if length % TICKS_PER_S == 0 else 6)


def as_typed(tag: Tag, value: Any) -> Any:
    """Give what was made of samples as the column holds it."""
    if tag.type.startswith(("int", "uint", "bcd")):
        return round(value)
    if tag.type == "decimal":
        return round(Decimal(str(value)), DIGITS)
    return round(value, DIGITS) if isinstance(value, float) else value
