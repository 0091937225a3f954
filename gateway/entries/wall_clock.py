"""Writes an instant as people read it: the wall clock of a zone with its name, and with the offset where that clock stood so twice."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def local_text(ticks: int, zone: ZoneInfo) -> str:
    """Write the wall clock at an instant, to the second, with its offset where it stood so twice."""
    local = (_EPOCH + timedelta(microseconds=ticks // 10)).astimezone(zone).replace(microsecond=0)
    once = local.replace(fold=0).utcoffset() == local.replace(fold=1).utcoffset()
    return (local.replace(tzinfo=None) if once else local).isoformat(sep=" ")


def wall_clock(ticks: int, zone: ZoneInfo, note: str = "") -> str:
    """Write an instant as a person is told of it, with the zone. note: behind that."""
    return f"{local_text(ticks, zone)} ({zone.key}{note and f', {note}'})"
