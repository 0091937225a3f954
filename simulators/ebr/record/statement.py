"""Writes what every copy of a record says in the same words: when, how much of what is required is there, and what is not ours to give."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from simulators.ebr.record.readings import ticks_of

TICKS_PER_MS = 10_000


def local_time(text: str, zone: ZoneInfo) -> str:
    """Write an RFC 3339 time as local time, rounded half up to a millisecond, with its offset from UTC; any other text as it is.

    With the offset, for in the night in which summer time ends an hour comes twice.
    """
    try:
        if datetime.fromisoformat(text).tzinfo is None:
            return text
        milliseconds = (ticks_of(text) + TICKS_PER_MS // 2) // TICKS_PER_MS
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
        return moment.astimezone(zone).isoformat(sep=" ", timespec="milliseconds")
    except (ValueError, OverflowError):
        return text


def counted(completeness: Mapping[str, Any]) -> str:
    """Write how many of the required items are present: steps, values, bookings, samples, lots."""
    required = completeness["required"]
    if not required:
        return "nothing is required"
    return f"{completeness['present']} of {required} required item{'s are' if required > 1 else ' is'} present"


def performed_by(item: Mapping[str, Any]) -> str:
    """Write who worked; where nobody is named, that and the reason."""
    people = ", ".join(person["id"] for person in item.get("performed_by") or [])
    return people or f"nobody named{': ' + item['performed_by_reason'] if item.get('performed_by_reason') else ''}"
