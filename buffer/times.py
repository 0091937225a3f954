"""RFC 3339 text to ticks (100 ns since 1970-01-01T00:00:00Z) and back."""

import re
import time
from datetime import UTC, datetime

TICKS_PER_S = 10_000_000
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")
_ENTRY_TIME = re.compile(rb'"time":"([^"\\]{20,40})"')


def ticks(text: str) -> int:
    """Exact to 100 ns; finer digits are cut. ValueError if it is not RFC 3339."""
    match = _TIME.fullmatch(text)
    if not match:
        raise ValueError(f"not an RFC 3339 time: {text!r}")
    whole = datetime.fromisoformat(match[1] + match[3])
    return int(whole.timestamp()) * TICKS_PER_S + int((match[2] or "0").ljust(7, "0")[:7])


def text(at_ticks: int) -> str:
    """UTC, microseconds."""
    seconds, rest = divmod(at_ticks, TICKS_PER_S)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 10:06d}Z"


def now_ticks() -> int:
    """The system's clock."""
    return time.time_ns() // 100


def of_entry(payload: bytes) -> int | None:
    """The entry's `time`: the first key after the head, so the first match is the right one. None if there is none to be read."""
    match = _ENTRY_TIME.search(payload)
    try:
        return ticks(match[1].decode()) if match else None
    except ValueError:
        return None
