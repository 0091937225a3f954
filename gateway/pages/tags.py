"""The page of live values (value, unit, quality, age, latest course of each tag) and that of one tag's trend. Pure functions."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from gateway.operation import value_wording
from gateway.pages.rendering import Frame, render

PER_PAGE = 200
LISTED = 20
WIDTH, HEIGHT = 120, 28
TREND_WIDTH, TREND_HEIGHT, LEFT, FOOT = 960, 300, 70, 30


class Course(NamedTuple):
    """The course of numbers as it is drawn. paths: of SVG; low, high: what the lower and the upper edge stand for."""

    paths: Sequence[str]
    low: float
    high: float


def pages_of(count: int) -> int:
    """Return how many pages so many tags take; one at least."""
    return max(1, -(-count // PER_PAGE))


def page(now: Mapping[str, Any], frame: Frame, number: int) -> str:
    """Return the page of a line's values. number: which part of the tags, from 1."""
    tags = now["tags"][(number - 1) * PER_PAGE : number * PER_PAGE]
    rows = [(row, value_wording.quality(row), value_wording.age(row), sparkline(row["course"]), trend_address(row)) for row in tags]
    return render("tags.html", frame=frame, now=now, rows=rows, number=number, pages=pages_of(len(now["tags"])), count=len(now["tags"]))


def trend_address(row: Mapping[str, Any]) -> str:
    """Return where the trend of a tag is; "" of one whose values are no numbers."""
    return f"/trend?{urlencode({'tag': row['tag']})}" if row["course"] else ""


def sparkline(numbers: Sequence[float]) -> str:
    """Return the path of the latest values, evenly spaced, WIDTH by HEIGHT; "" for less than two. It shows the shape and has no scale."""
    if len(numbers) < 2:
        return ""
    low, high = min(numbers), max(numbers)
    step, height = (WIDTH - 4) / (len(numbers) - 1), HEIGHT - 6
    ys = [HEIGHT / 2 if high == low else 3 + height - height * ((number - low) / (high - low)) for number in numbers]
    return "M" + "L".join(f"{2 + at * step:.1f} {y:.1f}" for at, y in enumerate(ys))


def trend_page(trend: Mapping[str, Any], frame: Frame) -> str:
    """Return the page of one tag. trend: what is remembered of it."""
    row = trend["row"]
    zone = ZoneInfo(trend["timezone"])
    known = [(time, value) for time, value in zip(trend["times"], trend["values"], strict=True) if value is not None]
    latest = [(f"{datetime.fromtimestamp(time, zone):%H:%M:%S.%f}"[:-3], f"{value:.6g}") for time, value in known[-LISTED:]]
    ends = [f"{datetime.fromtimestamp(time, zone):%Y-%m-%d %H:%M:%S}" for time, _ in (known[:1] + known[-1:])]
    told = {"row": row, "quality": value_wording.quality(row), "age": value_wording.age(row), "latest": latest[::-1], "ends": ends}
    points = f"/trend.json?{urlencode({'tag': trend['tag']})}"
    return render("trend.html", frame=frame, now=trend, course=course(trend), points=points, **told)


def course(trend: Mapping[str, Any]) -> Course | None:
    """Draw what is remembered, where scripts do not run; None for less than two numbers. Nothing is drawn over a value that is Bad."""
    known = [(time, value) for time, value in zip(trend["times"], trend["values"], strict=True) if value is not None]
    if len(known) < 2:
        return None
    (begin, end), (low, high) = (known[0][0], known[-1][0]), (min(v for _, v in known), max(v for _, v in known))
    width, height = (end - begin) or 1.0, (high - low) or 1.0
    paths, is_drawing = [], False
    for time, value in zip(trend["times"], trend["values"], strict=True):
        if value is not None:
            x, y = LEFT + (TREND_WIDTH - LEFT - 10) * (time - begin) / width, 10 + (TREND_HEIGHT - FOOT - 10) * (1 - (value - low) / height)
            if not is_drawing:
                paths.append(f"M{x:.1f} {y:.1f}")
            else:
                paths[-1] += f"H{x:.1f}V{y:.1f}" if trend["between"] == "hold" else f"L{x:.1f} {y:.1f}"
        is_drawing = value is not None
    return Course(paths, low, high)
