"""Which plots a step gets: one per tag that its parameters speak of."""

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
    """The plots of a step that has ended, in the order of its parameters."""
    if not step.get("end"):
        return
    start, end = ticks_of(step["start"]["time"]), ticks_of(step["end"]["time"])
    tags = {one["tag"]: one for one in record["tags"] if one["gateway"] == step["gateway"]}
    by_tag: dict[str, list[Mapping[str, Any]]] = {}
    for one in parameters:
        if one.get("tag") in tags:
            by_tag.setdefault(one["tag"], []).append(one)
    for tag, of_tag in by_tag.items():
        placed = [one for one in of_tag if one.get("statistic") in _PLACED]
        unit = next((one.get("unit_text") or one.get("unit") for one in placed), tags[tag]["unit"]) or ""
        points = inside(series.get((step["gateway"], tag), []), start, end)
        gaps, told = _lost(tag, tags[tag]["source"], record["gaps"], end), tags[tag]
        plot = Plot(tag, unit, start, end, points, gaps, _limits(placed), zone, told["between"], bad_times(points, end))
        drawing = svg(plot)
        if drawing:
            yield f"<figure><figcaption>{escape(tag)} <span>{escape(unit)}</span></figcaption>{drawing}</figure>"


def inside(points: Sequence[Point], start: int, end: int) -> list[Point]:
    """Readings in [start, end), preceded by the one that stood at the start."""
    standing = [point for point in points if point.ticks < start][-1:]
    return [point._replace(ticks=start) for point in standing] + [point for point in points if start <= point.ticks < end]


def _limits(parameters: Sequence[Mapping[str, Any]]) -> list[Limit]:
    found: dict[tuple[str, str], Limit] = {}
    for one in parameters:
        for name, kind in _LINES:
            try:
                value = float(one.get(name) or "")
            except ValueError:
                continue
            found[kind, one[name]] = Limit(kind, value, f"{kind} {one[name]}")
    return list(found.values())


def _lost(tag: str, source: str | None, gaps: Sequence[Mapping[str, Any]], end: int) -> list[tuple[int, int]]:
    """Lost intervals of a tag: of the gaps of its source that are about it."""
    found = []
    for gap in gaps:
        if gap["source"] != source or (gap["tags"] != "all" and tag not in gap["tags"]):
            continue
        own = [one for one in gap["closed"] if one["tags"] == "all" or tag in one["tags"]]
        if any(one["outcome"] == "filled" for one in own):
            continue
        until = own[0]["end"] if own else gap["end"]
        found.append((ticks_of(gap["start"]), ticks_of(until) if until else end))
    return found
