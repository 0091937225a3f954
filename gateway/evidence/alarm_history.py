"""The history of alarms of a batch or a period, read from a journal's folder."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from gateway.alarms import code_of
from gateway.alarms.history import TYPES, Raise, raises
from gateway.entries.ticks import TICKS_PER_S, from_rfc3339, rfc3339
from gateway.evidence.journal_events import events

MOST_ROWS = 100_000
COLUMNS = (
    *("id", "code", "severity", "priority", "whom", "source", "subject", "tags", "text", "batches", "seq"),
    *("raised", "raised_local", "cleared", "cleared_local", "momentary", "duration_s"),
    *("acknowledged", "acknowledged_local", "acknowledged_by", "acknowledged_name", "comment", "shelved"),
)


class NotFound(Exception):
    """The journal does not hold what is asked for; the text says what."""


def rows(data: Path, zone: ZoneInfo, batch: str | None, begin: int | None, end: int | None) -> list[dict[str, Any]]:
    """Return each alarm that stood or happened in the span, in the order of its raise. begin, end: ticks; None is open.

    batch: from its first start to its last leave, within begin and end. Raises NotFound; JournalError, FileNotFoundError.
    """
    if batch is not None:
        begin, end = _within(_span(data, batch), begin, end)
    found: list[Raise] = []
    for one in raises((stored.event, stored.ticks, stored.seq) for stored in events(data, TYPES)):
        if _is_in(one, begin, end):
            found.append(one)
        if len(found) > MOST_ROWS:
            raise NotFound(f"more than {MOST_ROWS:,} alarms: ask for a shorter time")
    return [_row(one, zone) for one in sorted(found, key=lambda one: (one.raised, one.seq))]


def _is_in(one: Raise, begin: int | None, end: int | None) -> bool:
    last = one.raised if one.momentary else one.cleared
    return (end is None or one.raised < end) and (begin is None or last is None or last >= begin)


def _within(span: tuple[int, int | None], begin: int | None, end: int | None) -> tuple[int, int | None]:
    ends = [one for one in (span[1], end) if one is not None]
    return max(span[0], begin or span[0]), min(ends) if ends else None


def _span(data: Path, batch: str) -> tuple[int, int | None]:
    """Return when a batch came into its first equipment and left its last; None while it is in one."""
    begin, end, inside = None, None, 0
    for event in _stays(data, batch):
        at = from_rfc3339((event["start"] if event["transition"] == "start" else event["end"])["time"])
        begin = at if begin is None else min(begin, at)
        end = at if end is None else max(end, at)
        inside += 1 if event["transition"] == "start" else -1
    if begin is None:
        raise NotFound(f"the journal holds no batch {batch}")
    return begin, end if inside <= 0 else None


def _stays(data: Path, batch: str) -> Iterator[Mapping[str, Any]]:
    for stored in events(data, {"batch"}):
        if stored.event["transition"] != "end" and stored.event.get("batch") == batch:
            yield stored.event


def _row(one: Raise, zone: ZoneInfo) -> dict[str, Any]:
    code, seen = code_of(one.code), one.acknowledged
    duration = None if one.cleared is None else round((one.cleared - one.raised) / TICKS_PER_S, 3)
    return {
        **{name: getattr(one, name) for name in ("id", "code", "severity", "source", "subject", "tags", "text", "batches", "momentary")},
        "priority": code.priority,
        "whom": code.whom,
        "seq": one.seq,
        **_times("raised", one.raised, zone),
        **_times("cleared", one.cleared, zone),
        "duration_s": duration,
        **_times("acknowledged", None if seen is None else seen.at, zone),
        "acknowledged_by": None if seen is None else seen.user,
        "acknowledged_name": None if seen is None else seen.name,
        "comment": None if seen is None else seen.comment,
        "shelved": [rfc3339(at) for at in one.shelved],
    }


def _times(name: str, ticks: int | None, zone: ZoneInfo) -> dict[str, str | None]:
    local = None if ticks is None else datetime.fromtimestamp(ticks / TICKS_PER_S, zone).isoformat(timespec="seconds")
    return {name: None if ticks is None else rfc3339(ticks), f"{name}_local": local}
