"""Describes the present value of each tag, and its latest course, for people and programs. Made when somebody asks."""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from config import CodeTable, Tag, origin_of
from gateway.entries.status_names import severity, status_name
from gateway.entries.ticks import TICKS_PER_S, rfc3339
from gateway.intake import Point, Port
from gateway.operation.ages import age_s
from gateway.operation.parts import Parts

SPARK_POINTS = 40
SPARK_READINGS = 4_000
"""Of a source, that are looked through for the course of its tags."""
TREND_POINTS = 2_000
"""Of one tag; of more, the newest."""


def values(parts: Parts) -> dict[str, Any]:
    """Describe all tags of a line as JSON-able values, in the order of the map."""
    stamp, zone = parts.clock.stamp(), ZoneInfo(parts.line.line.timezone)
    of_source = {name: _of_source(parts, port, stamp.ticks) for name, port in parts.intake.ports.items()}
    tags = [row for rows in of_source.values() for row in rows]
    return {
        "gateway": parts.line.gateway,
        "time": rfc3339(stamp.ticks),
        "local": local(stamp.ticks, zone),
        "timezone": zone.key,
        "tags": tags,
    }


def local(ticks: int, zone: ZoneInfo) -> str:
    """Write an instant in local time, to the second."""
    return f"{datetime.fromtimestamp(ticks / TICKS_PER_S, zone):%Y-%m-%d %H:%M:%S}"


def trend(parts: Parts, name: str) -> dict[str, Any] | None:
    """Describe one tag as `values` does, and what is remembered of it; None without such a tag.

    times (seconds since 1970, UTC) and values are two lists of one length. A value that is no number, or Bad, is null.
    """
    stamp, zone = parts.clock.stamp(), ZoneInfo(parts.line.line.timezone)
    found = ((port, index) for port in parts.intake.ports.values() for index, tag in enumerate(port.tags) if tag.tag == name)
    port, index = next(found, (None, 0))
    if port is None:
        return None
    points = port.recent.trend(index)[-TREND_POINTS:]
    row = next(_of_source(parts, port, stamp.ticks, only=index))
    times, numbers = [point.ticks / TICKS_PER_S for point in points], [_good_number(point) for point in points]
    when = {"time": rfc3339(stamp.ticks), "local": local(stamp.ticks, zone), "timezone": zone.key}
    return {**when, "tag": name, "between": port.tags[index].between, "row": row, "times": times, "values": numbers}


def _of_source(parts: Parts, port: Port, now: int, only: int | None = None) -> Iterator[dict[str, Any]]:
    """Describe the tags of a source, or one of them."""
    latest, courses = port.recent.latest(), port.recent.values(SPARK_READINGS)
    gaps = parts.fold.open_gaps(port.source.name)
    hidden = {name for gap in gaps for name in gap.tags if not isinstance(gap.tags, str)}
    is_hidden = any(isinstance(gap.tags, str) for gap in gaps)
    for index, tag in enumerate(port.tags) if only is None else [(only, port.tags[only])]:
        point = latest.get(index)
        yield {
            **_of_tag(tag),
            "value_origin": origin_of(tag, port.source),
            **_value(tag, point, parts.line.codes, now),
            "observed_s": age_s(port.observed_of(index), now),
            "in_gap": is_hidden or tag.tag in hidden,
            "course": _numbers(courses.get(index, ()))[-SPARK_POINTS:],
        }


def _of_tag(tag: Tag) -> dict[str, Any]:
    return {
        "tag": tag.tag,
        "source": tag.source,
        "equipment": list(tag.equipment),
        "description": tag.description,
        "type": tag.type,
        "unit": tag.unit,
        "criticality": tag.criticality,
    }


def _value(tag: Tag, point: Point | None, codes: Mapping[str, CodeTable], now: int) -> dict[str, Any]:
    """Describe the newest reading; nothing is known of a tag that has none since this start."""
    if point is None:
        return {**dict.fromkeys(("value", "text", "raw", "status", "quality", "severity", "time", "age_s")), "quality": "no value yet"}
    return {
        "value": point.value,
        "text": _text(tag, point.value, codes),
        "raw": point.raw,
        "status": point.status,
        "quality": status_name(point.status),
        "severity": severity(point.status),
        "time": rfc3339(point.ticks),
        "age_s": age_s(point.ticks, now),
    }


def _text(tag: Tag, value: Any, codes: Mapping[str, CodeTable]) -> str | None:
    """Return what a code means; None of other values."""
    if tag.codes is None or not isinstance(value, int) or isinstance(value, bool):
        return None
    code = codes[tag.codes].codes.get(value)
    return None if code is None else code.text


def _numbers(found: Sequence[Any]) -> list[float]:
    return [number for one in found if (number := number_of(one)) is not None]


def _good_number(point: Point) -> float | None:
    return None if severity(point.status) == "bad" else number_of(point.value)


def number_of(value: Any) -> float | None:
    """Return a value as a number that can be drawn; None if it is none. Exact ones are stored as text."""
    if isinstance(value, bool):
        return float(value)
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
