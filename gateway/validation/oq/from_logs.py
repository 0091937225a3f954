"""What a parameter's verdict must be, computed from the devices' own logs alone, in a few lines that share nothing with the gateway. Pure.

A device's log says when it had a value, and the record when a step began; between the two lies how the device is read. So each statistic
is computed twice, over a window that is shorter and one that is longer by how long a reading may take: only where both give one verdict
is one expected.
"""

from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from typing import Any, Literal

from config import Line, Parameter, Tag
from config.units.units import UnitError, between
from gateway.demo.truth import Item, Truth
from gateway.entries.ticks import TICKS_PER_S

Verdict = Literal["within", "below", "above"]
BAD = 0x8000_0000
STAMPED_S = 0.3
POINTS = frozenset({"value_at_start", "value_at_end", "first", "last", "min", "max", "mean", "range"})
SPANS = frozenset({"delta", "total"})
TIMES = frozenset({"time_above", "time_below", "time_outside"})


def verdict_of(line: Line, row: Parameter, truth: Truth, start: int, end: int) -> Verdict | None:
    """Say what the logs alone make of a parameter in a step from start to end (ticks); None where they do not tell."""
    tag = next((tag for tag in line.tags if tag.tag == row.tag), None)
    if tag is None or row.statistic not in POINTS | SPANS:
        return None
    slack, skip = slack_ticks(line, tag), round(row.skip_first_s * TICKS_PER_S)
    limits = [_limit(line, row, text, truth, start) for text in (row.low, row.high)]
    if None in [limit for limit, text in zip(limits, (row.low, row.high), strict=True) if text]:
        return None
    found = set[Verdict | None]()
    for begin, until in ((start + skip + slack, end - slack), (start + skip - slack, end + slack)):
        value = statistic(row.statistic, series(truth, tag, begin, until), begin, until)
        found.add(None if value is None else judged(_in_unit(tag, row, value), row, *limits))
    return found.pop() if len(found) == 1 else None


def seconds_of(line: Line, row: Parameter, truth: Truth, start: int, end: int) -> tuple[float, float] | None:
    """Say between how many seconds a tag lay beyond its threshold; None where the log does not tell."""
    tag = next((tag for tag in line.tags if tag.tag == row.tag), None)
    low, high = (_number(text) for text in (row.low, row.high))
    if tag is None or row.statistic not in TIMES or (row.low and low is None) or (row.high and high is None):
        return None
    found, slack = [], slack_ticks(line, tag)
    for begin, until in ((start + slack, end - slack), (start - slack, end + slack)):
        items = series(truth, tag, begin, until)
        if not items or begin >= until:
            return None
        held = zip(items, _held(items, begin, until), strict=True)
        found.append(sum(ticks for item, ticks in held if _beyond(row, float(item.value), low, high)) / TICKS_PER_S)
    return min(found) - slack / TICKS_PER_S, max(found) + slack / TICKS_PER_S


def slack_ticks(line: Line, tag: Tag) -> int:
    """How far a reading's time may lie from the device's own: of a device that stamps its values a little, else three polls and more."""
    source = next(source for source in line.sources if source.name == tag.source)
    if source.driver == "opcua" and source.time_authority == "device":
        return round(STAMPED_S * TICKS_PER_S)
    return round((3 * (tag.rate_ms or source.rate_ms) / 1000 + 0.25) * TICKS_PER_S)


def series(truth: Truth, tag: Tag, start: int, end: int) -> list[Item]:
    """Return what a device had from start to end, preceded by what stood at the start; nothing where one of it was none, or no number."""
    made = truth.made.get(tag.tag, [])
    items = [*[item for item in made if item.ticks <= start][-1:], *(item for item in made if start < item.ticks < end)]
    good = all(item.status < BAD and isinstance(item.value, int | float) for item in items)
    return items if good else []


def statistic(name: str, items: Sequence[Item], start: int, end: int) -> float | None:
    """Compute a statistic of a window; None if it is not computed here, or there is nothing."""
    if not items or start >= end:
        return None
    values = [float(item.value) for item in items]
    match name:
        case "min":
            return min(values)
        case "max":
            return max(values)
        case "range":
            return max(values) - min(values)
        case "value_at_start" | "first":
            return values[0]
        case "value_at_end" | "last":
            return values[-1]
        case "delta":
            return values[-1] - values[0]
        case "total":
            return sum(max(0.0, after - before) for before, after in pairwise(values))
        case "mean":
            held = _held(items, start, end)
            return sum(value * ticks for value, ticks in zip(values, held, strict=True)) / sum(held)
    return None


def judged(value: float | None, row: Parameter, low: float | None, high: float | None) -> Verdict | None:
    """Judge a value as it is shown; None next to a limit, where the last digit decides."""
    if value is None:
        return None
    unit = Decimal(1).scaleb(-(row.decimals or 0)) if row.decimals is not None else Decimal("0.000001")
    shown = float(Decimal(str(value)).quantize(unit, ROUND_HALF_UP))
    if any(limit is not None and abs(shown - limit) <= 2 * float(unit) for limit in (low, high)):
        return None
    return "below" if low is not None and shown < low else "above" if high is not None and shown > high else "within"


def _held(items: Sequence[Item], start: int, end: int) -> list[int]:
    times = [max(item.ticks, start) for item in items] + [end]
    return [after - before for before, after in pairwise(times)]


def _beyond(row: Parameter, value: float, low: float | None, high: float | None) -> bool:
    above, below = high is not None and value > high, low is not None and value < low
    return {"time_above": above, "time_below": below, "time_outside": above or below}[row.statistic]


def _limit(line: Line, row: Parameter, text: str | None, truth: Truth, start: int) -> float | None:
    """Return a limit in the unit of the value: a number, or what its tag held when the step began."""
    if text is None or not text.startswith("="):
        return _number(text)
    tag = next((tag for tag in line.tags if tag.tag == text[1:]), None)
    items = [] if tag is None else series(truth, tag, start, start + 1)
    return None if tag is None or not items else _in_unit(tag, row, float(items[-1].value))


def _number(text: str | None) -> float | None:
    try:
        return None if not text else float(text)
    except ValueError:
        return None


def _in_unit(tag: Tag, row: Parameter, value: float) -> float | None:
    """Convert a value of a tag into the unit of the parameter; None where nothing says how."""
    if row.unit is None or tag.unit is None or row.unit == tag.unit:
        return value
    try:
        slope, intercept = between(tag.unit, row.unit)
    except UnitError:
        return None
    return float(value * float(slope) + (0.0 if row.statistic in SPANS | {"range"} else float(intercept)))


def has_limits(row: Parameter) -> bool:
    """Return whether a parameter has a limit that it is judged by."""
    return bool(row.low or row.high)


def said(record: Mapping[str, Any], row: Parameter) -> Mapping[str, Any] | None:
    """Find what a record says of a parameter."""
    return next((one for one in record.get("parameters", ()) if one["parameter"] == row.parameter), None)
