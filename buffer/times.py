"""Convert RFC 3339 text to ticks (100 ns since 1970-01-01T00:00:00Z) and back."""

import re
import time
from datetime import UTC, datetime

TICKS_PER_S = 10_000_000
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")
_ENTRY_TIME = re.compile(rb'"time":"([^"\\]{20,40})"')


def ticks(text: str) -> int:
    """Convert RFC 3339 text to ticks, exact to 100 ns; finer digits are cut. Raises ValueError if it is not RFC 3339."""
    match = _TIME.fullmatch(text)
    if not match:
        raise ValueError(f"not an RFC 3339 time: {text!r}")
    whole = datetime.fromisoformat(match[1] + match[3])
    return int(whole.timestamp()) * TICKS_PER_S + int((match[2] or "0").ljust(7, "0")[:7])


def text(at_ticks: int) -> str:
    """Format ticks as RFC 3339 text in UTC with microseconds."""
    seconds, rest = divmod(at_ticks, TICKS_PER_S)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 10:06d}Z"


def now_ticks() -> int:
    """Return the system clock's present time in ticks."""
    return time.time_ns() // 100


def of_entry(payload: bytes) -> int | None:
    """Return an entry's `time` in ticks; None if it has none that can be read.

    Found without parsing the JSON: `time` is the first key after the head, so the first match is the right one.
    """
    match = _ENTRY_TIME.search(payload)
    try:
        return ticks(match[1].decode()) if match else None
    except ValueError:
        return None
