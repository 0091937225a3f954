"""The rows of what was captured, and how an interval is told to lie over another. Pure."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from gateway.entries.ticks import TICKS_PER_S, from_rfc3339

OF_LINE = "line"
"""What no equipment of the map has."""
NOT_OBSERVED, NOT_HELD, NOT_KNOWN = "not observed", "not held", "not known"


class Row(NamedTuple):
    """One row of the file of an equipment: a reading, or something that was not observed. begin, end: ticks; end None: it lasts."""

    what: str
    tag: str
    value: Any
    unit: str | None
    status: str
    begin: int
    end: int | None
    source: str
    batch: str | None
    steps: str
    entry: str
    detail: str


def gap_row(status: str, begin: int, end: int | None, detail: str, *, tag: str = "", source: str = "", entry: str = "") -> Row:
    """Make a row of something that was not observed. tag "": all of the source; source "": the journal itself."""
    return Row("gap", tag, None, None, status, begin, end, source, None, "", entry, detail)


def may_overlap(start: Mapping[str, Any] | None, end: Mapping[str, Any] | None, begin: int, until: int) -> bool:
    """Say whether what ran from start to end may have run in an interval: a start may have been earlier than told, no end lasts on."""
    last = ticks_of(end)
    return (last is None or last > begin) and _earliest(start) < until


def ticks_of(at: Mapping[str, Any] | None) -> int | None:
    """Return an instant of the record as ticks; None: nobody knows it, or it has not come."""
    return None if not at else from_rfc3339(at["time"])


def _earliest(start: Mapping[str, Any] | None) -> int:
    ticks = ticks_of(start)
    window_s = None if not start else start.get("window_s", 0)
    return 0 if ticks is None or window_s is None else ticks - round(window_s * TICKS_PER_S)
