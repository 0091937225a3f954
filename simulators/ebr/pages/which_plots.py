"""Chooses the plots of a step: one per tag that its parameters are computed from."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

from simulators.ebr.pages.plot import Limit, Plot, bad_times, svg
from simulators.ebr.record.readings import Point, ticks_of
from simulators.ebr.record.record import Series

_PLACED = frozenset({"min", "max", "mean", "first", "last", "value_at_start", "value_at_end", "sample", "trend"})
"""Statistics whose limits lie on the same scale as the readings."""
_LINES = (("low", "low"), ("high", "high"), ("alert_low", "alert"), ("alert_high", "alert"), ("target", "target"))


def figures(
    step: Mapping[str, Any], parameters: Sequence[Mapping[str, Any]], record: Mapping[str, Any], series: Series, zone: ZoneInfo
) -> Iterable[str]:
    """Draw the plots of a step that has ended, in the order of its parameters."""
    if not step.get("end"):
        return
    start, end = ticks_of(step["start"]["time"]), ticks_of(step["end"]["time"])
    tags = {item["tag"]: item for item in record["tags"] if item["gateway"] == step["gateway"]}
    by_tag: dict[str, list[Mapping[str, Any]]] = {}
    for parameter in parameters:
        if parameter.get("tag") in tags:
            by_tag.setdefault(parameter["tag"], []).append(parameter)
    for tag, of_tag in by_tag.items():
        placed = [parameter for parameter in of_tag if parameter.get("statistic") in _PLACED and _is_in(parameter, tags[tag]["unit"])]
        same = (parameter for parameter in of_tag if parameter.get("unit") == tags[tag]["unit"])
        unit = next((parameter.get("unit_text") or parameter.get("unit") for parameter in (*placed, *same)), tags[tag]["unit"]) or ""
        points = inside(series.get((step["gateway"], tag), []), start, end)
        gaps, tag_facts = _lost(tag, tags[tag]["source"], record["gaps"], end), tags[tag]
        plot = Plot(tag, unit, start, end, points, gaps, _limits(placed), zone, tag_facts["between"], bad_times(points, end))
        drawing = svg(plot)
        if drawing:
            yield f"<figure><figcaption>{escape(tag)} <span>{escape(unit)}</span></figcaption>{drawing}</figure>"


def inside(points: Sequence[Point], start: int, end: int) -> list[Point]:
    """Take the readings in [start, end), preceded by the last one before the start."""
    standing = [point for point in points if point.ticks < start][-1:]
    return [point._replace(ticks=start) for point in standing] + [point for point in points if start <= point.ticks < end]


def _is_in(parameter: Mapping[str, Any], unit: str | None) -> bool:
    """True if the parameter is in the unit of its tag's readings: limits in another one would be drawn at wrong heights."""
    return parameter.get("unit") is None or parameter["unit"] == unit


def _limits(parameters: Sequence[Mapping[str, Any]]) -> list[Limit]:
    by_value: dict[tuple[str, str], Limit] = {}
    for parameter in parameters:
        for name, kind in _LINES:
            try:
                value = float(parameter.get(name) or "")
            except ValueError:
                continue
            by_value[kind, parameter[name]] = Limit(kind, value, f"{kind} {parameter[name]}")
    return list(by_value.values())


def _lost(tag: str, source: str | None, gaps: Sequence[Mapping[str, Any]], end: int) -> list[tuple[int, int]]:
    """List the lost intervals of a tag: those of the gaps of its source that name it."""
    intervals = []
    for gap in gaps:
        if gap["source"] != source or (gap["tags"] != "all" and tag not in gap["tags"]):
            continue
        own = [closure for closure in gap["closed"] if closure["tags"] == "all" or tag in closure["tags"]]
        if any(closure["outcome"] == "filled" for closure in own):
            continue
        until = own[0]["end"] if own else gap["end"]
        intervals.append((ticks_of(gap["start"]), ticks_of(until) if until else end))
    return intervals
