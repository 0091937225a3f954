"""Draws one tag in one step as inline SVG: its readings, its limits, the gaps. No script, no font, no second file."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from zoneinfo import ZoneInfo

from simulators.ebr.record.readings import BAD, TICKS_PER_S, Point

WIDTH, HEIGHT = 760, 190
LEFT, RIGHT, TOP, BOTTOM = 78, 96, 14, 40
MOST_POINTS = 700
_STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800)


@dataclass(frozen=True, slots=True)
class Limit:
    """A line across the plot. kind: low, high, alert, target."""

    kind: str
    value: float
    text: str


@dataclass(frozen=True, slots=True)
class Plot:
    """The content of a plot. start, end in ticks; gaps, bad as (start, end); between: hold or linear."""

    title: str
    unit: str
    start: int
    end: int
    points: Sequence[Point]
    gaps: Sequence[tuple[int, int]]
    limits: Sequence[Limit]
    zone: ZoneInfo
    between: str = "hold"
    bad: Sequence[tuple[int, int]] = ()


def svg(plot: Plot) -> str:
    """Draw the plot; an empty text if no reading is a number."""
    numbers = [(point.ticks, float(point.value), point.status) for point in plot.points if _number(point)]
    if not numbers or plot.end <= plot.start:
        return ""
    two = all(isinstance(point.value, bool) for point in plot.points if _number(point))
    low, high, marks = (
        (-0.15, 1.15, [0.0, 1.0]) if two else _scale([value for _, value, _ in numbers] + [limit.value for limit in plot.limits])
    )
    return "".join(
        (
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(plot.title)}">',
            *_marks(low, high, marks, ("false", "true") if two else None),
            *_times(plot),
            *_gaps(plot),
            *_limits(plot, low, high),
            *_lines(plot, numbers, low, high),
            *_dots(plot, numbers, low, high),
            f'<rect class="frame" x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT - TOP - BOTTOM}"/>',
            "</svg>",
        )
    )


def _number(point: Point) -> bool:
    if point.value is None or point.status >= BAD:
        return False
    try:
        return math.isfinite(float(point.value))
    except (TypeError, ValueError):
        return False


def _x(plot: Plot, ticks: int) -> float:
    share = (min(max(ticks, plot.start), plot.end) - plot.start) / (plot.end - plot.start)
    return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)


def _y(value: float, low: float, high: float) -> float:
    return round(TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)


def _scale(values: Sequence[float]) -> tuple[float, float, list[float]]:
    """Compute (bottom, top, marks) on round numbers, with a little air around all values."""
    low, high = min(values), max(values)
    span = high - low or abs(high) * 0.1 or 1.0
    raw = span / 4
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= raw)
    bottom, top = math.floor((low - 0.05 * span) / step) * step, math.ceil((high + 0.05 * span) / step) * step
    bottom = max(bottom, 0.0) if low >= 0 else bottom
    count = round((top - bottom) / step)
    return bottom, top, [bottom + step * index for index in range(count + 1)]


def _marks(low: float, high: float, marks: Sequence[float], words: Sequence[str] | None) -> Iterable[str]:
    for index, mark in enumerate(marks):
        y, text = _y(mark, low, high), words[index] if words else f"{mark:.6g}"
        yield f'<path class="grid" d="M{LEFT} {y}H{WIDTH - RIGHT}"/><text class="y" x="{LEFT - 6}" y="{y + 3.5}">{text}</text>'


def _times(plot: Plot) -> Iterable[str]:
    step_s = next((step for step in _STEPS_S if (plot.end - plot.start) / TICKS_PER_S / step <= 7), 604_800)
    for ticks in _ticks(plot, step_s):
        x = _x(plot, ticks)
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ticks // 10)
        form = "%H:%M:%S" if step_s < 60 else "%H:%M" if step_s < 86_400 else "%d %b"
        yield f'<path class="grid" d="M{x} {TOP}V{HEIGHT - BOTTOM}"/>'
        yield f'<text class="x" x="{x}" y="{HEIGHT - BOTTOM + 14}">{moment.astimezone(plot.zone):{form}}</text>'
        yield f'<text class="x utc" x="{x}" y="{HEIGHT - BOTTOM + 27}">{moment:{form}}</text>'
    place = escape(plot.zone.key.split("/")[-1].replace("_", " "))
    yield f'<text class="axis" x="0" y="{HEIGHT - BOTTOM + 14}">{place}</text>'
    yield f'<text class="axis utc" x="0" y="{HEIGHT - BOTTOM + 27}">UTC</text>'


def _ticks(plot: Plot, step_s: float) -> Iterable[int]:
    """Yield the round instants of the local clock inside the plot."""
    first = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=plot.start // 10)
    offset = first.astimezone(plot.zone).utcoffset() or timedelta()
    shift, step = int(offset.total_seconds() * TICKS_PER_S), int(step_s * TICKS_PER_S)
    at = -(-(plot.start + shift) // step) * step - shift
    while at <= plot.end:
        yield at
        at += step


def _gaps(plot: Plot) -> Iterable[str]:
    for kind, (start, end) in (*(("gap", interval) for interval in plot.gaps), *(("bad", interval) for interval in plot.bad)):
        if end >= plot.start and start <= plot.end:
            x = _x(plot, start)
            width = max(1.5, round(_x(plot, end) - x, 1))
            yield f'<rect class="{kind}" x="{x}" y="{TOP}" width="{width}" height="{HEIGHT - TOP - BOTTOM}"/>'


def _limits(plot: Plot, low: float, high: float) -> Iterable[str]:
    used: list[float] = []
    for limit in sorted(plot.limits, key=lambda limit: -limit.value):
        y = _y(limit.value, low, high)
        yield f'<path class="{limit.kind}" d="M{LEFT} {y}H{WIDTH - RIGHT}"/>'
        text = max([y + 3.5, *(place + 12.5 for place in used)])
        used.append(text)
        yield f'<text class="limit {limit.kind}-text" x="{WIDTH - RIGHT + 6}" y="{text}">{escape(limit.text)}</text>'


def _lines(plot: Plot, numbers: Sequence[tuple[int, float, int]], low: float, high: float) -> Iterable[str]:
    """Draw one path per stretch without a gap; a value holds until the next one, or the line runs straight to it."""
    for stretch in _stretches(plot, numbers):
        path, last = [], None
        for ticks, value, _ in _thinned(stretch):
            x, y = _x(plot, ticks), _y(value, low, high)
            path.append(f"M{x} {y}" if last is None else f"H{x}V{y}" if plot.between == "hold" else f"L{x} {y}")
            last = y
        end = min((max(start, stretch[-1][0]) for start, stop in _cuts(plot) if stop > stretch[-1][0]), default=plot.end)
        if len(path) > 1 or (plot.between == "hold" and end > stretch[0][0]):
            yield f'<path class="line" d="{"".join(path)}{f"H{_x(plot, end)}" if plot.between == "hold" else ""}"/>'


def _dots(plot: Plot, numbers: Sequence[tuple[int, float, int]], low: float, high: float) -> Iterable[str]:
    """Draw each reading at its own time, if there are few."""
    if len(numbers) <= 60:
        yield "".join(f'<circle class="dot" cx="{_x(plot, ticks)}" cy="{_y(value, low, high)}" r="1.6"/>' for ticks, value, _ in numbers)


def _stretches(plot: Plot, numbers: Sequence[tuple[int, float, int]]) -> list[list[tuple[int, float, int]]]:
    """Split the readings at the gaps. A reading whose time lies in a gap arrived afterwards: it is drawn from the gap's end on."""
    stretches: list[list[tuple[int, float, int]]] = [[]]
    for ticks, value, status in numbers:
        at = max((end for start, end in _cuts(plot) if start < ticks < end), default=ticks)
        if stretches[-1] and stretches[-1][-1][0] == at != ticks:
            stretches[-1].pop()
        if stretches[-1] and any(stretches[-1][-1][0] < end <= at for _, end in _cuts(plot)):
            stretches.append([])
        stretches[-1].append((at, value, status))
    return [stretch for stretch in stretches if stretch and stretch[0][0] < plot.end]


def _cuts(plot: Plot) -> list[tuple[int, int]]:
    return [*plot.gaps, *plot.bad]


def bad_times(points: Sequence[Point], end: int) -> list[tuple[int, int]]:
    """List the intervals from each Bad reading to the next good one, or to the end: the value before is no proof in between."""
    intervals: list[tuple[int, int]] = []
    since: int | None = None
    for point in points:
        if point.status >= BAD:
            since = point.ticks if since is None else since
        elif since is not None:
            intervals.append((since, point.ticks))
            since = None
    return intervals if since is None else [*intervals, (since, end)]


def _thinned(stretch: Sequence[tuple[int, float, int]]) -> Sequence[tuple[int, float, int]]:
    """Keep the lowest and highest reading of each column if there are more than the drawing can show: no peak disappears."""
    if len(stretch) <= 2 * MOST_POINTS:
        return stretch
    size = math.ceil(len(stretch) / MOST_POINTS)
    kept: list[tuple[int, float, int]] = []
    for first in range(0, len(stretch), size):
        part = stretch[first : first + size]
        kept += sorted({min(part, key=lambda point: point[1]), max(part, key=lambda point: point[1])})
    return kept
