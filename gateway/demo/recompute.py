"""Recomputes step statistics from the devices' own logs, in a few lines that share nothing with the gateway's accumulators. Pure."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from config import Line, Parameter, Tag
from gateway.demo.received import Received
from gateway.demo.truth import Item, Truth
from gateway.entries.ticks import TICKS_PER_S, from_rfc3339

BAD = 0x8000_0000
TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class Again:
    """One parameter of one step record: the recorded value and the one from the ground truth."""

    record: str
    parameter: str
    statistic: str
    recorded: float
    computed: float

    @property
    def agrees(self) -> bool:
        """True if both are equal but for the last digits of a floating-point sum."""
        return math.isclose(self.recorded, self.computed, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def recomputed(line: Line, truths: Mapping[str, Truth], received: Received) -> list[Again]:
    """Recompute every number that follows from the log of a source that stamps its own values, in steps without gaps and holds."""
    tags = {tag.tag: tag for tag in line.tags}
    own = {source.name for source in line.sources if source.driver == "opcua" and source.time_authority == "device"}
    result: list[Again] = []
    for name, record in received.steps.items():
        for parameter, said in _parameters(line, record):
            tag = tags.get(parameter.tag or "")
            if tag is None or tag.source not in own or said.get("status") != "present" or not _whole(record, said) or tag.deadband:
                continue
            if parameter.include == "running" and record["cause"] != "completed":
                continue  # the end of running time follows from the state, not from the step's end
            start, end = (from_rfc3339(record[edge]["time"]) for edge in ("start", "end"))
            series = truths[tag.source].made.get(tag.tag, [])
            value = statistic(parameter, tag, series, start + round(parameter.skip_first_s * TICKS_PER_S), end)
            if value is not None:
                result.append(Again(name, parameter.parameter, parameter.statistic, float(said["unrounded"]), value))
    return result


def _parameters(line: Line, record: Mapping[str, Any]) -> Iterator[tuple[Parameter, Mapping[str, Any]]]:
    rows = {row.parameter: row for row in line.parameters if row.equipment == record["equipment"]}
    for said in record.get("parameters", []):
        row = rows.get(said["parameter"])
        if row is not None and said.get("unrounded") is not None and row.unit == _unit(line, row):
            yield row, said


def _unit(line: Line, row: Parameter) -> str | None:
    return next((tag.unit for tag in line.tags if tag.tag == row.tag), None)


def _whole(record: Mapping[str, Any], said: Mapping[str, Any]) -> bool:
    return not record.get("holds") and not said.get("gaps") and (said.get("covered") is None or said["covered"] == 1)


def statistic(parameter: Parameter, tag: Tag, items: Sequence[Item], start: int, end: int) -> float | None:
    """Compute a statistic by the definition of a step's series; None if it is not computed here.

    The series: readings in [start, end), preceded by the last one before the start.
    """
    standing = [item for item in items if item.ticks <= start][-1:]
    within = [item for item in items if start < item.ticks < end]
    series = standing + within
    if not series or any(item.status >= BAD or not isinstance(item.value, int | float) for item in series):
        return None
    values = [float(item.value) for item in series]
    match parameter.statistic:
        case "min":
            return min(values)
        case "max":
            return max(values)
        case "value_at_start":
            return values[0]
        case "value_at_end" | "last":
            return values[-1]
        case "mean" if tag.between == "hold":
            return _mean(series, start, end)
    return None


def _mean(series: Sequence[Item], start: int, end: int) -> float | None:
    """Return the mean, each value weighted by how long it was valid."""
    times = [max(item.ticks, start) for item in series] + [end]
    held = [after - before for before, after in pairwise(times)]
    whole = sum(held)
    return sum(float(item.value) * ticks for item, ticks in zip(series, held, strict=True)) / whole if whole else None
