"""Ticks, 100-ns units since 1970-01-01T00:00:00Z, and their RFC 3339 form: the one writer and the one reader of the program.

Entries are compared and decided again by their times. So the reader takes what RFC 3339 (5.6) writes, with a capital `T` and `Z`, and no
other form of ISO 8601: what it does not take is an error in what was stored, and no time.
"""

import re
import time
from datetime import UTC, date, datetime
from functools import lru_cache

TICKS_PER_S = 10_000_000
TICKS_PER_MS = 10_000
EARLIEST = -62_135_596_800 * TICKS_PER_S  # 0001-01-01
LATEST = 253_402_300_800 * TICKS_PER_S - 1  # the last 100 ns of 9999

_HOURS = {f"T{hour:02}:": hour * 3_600 * TICKS_PER_S for hour in range(24)}
_MINUTES = {f"{minute:02}:": minute * 60 * TICKS_PER_S for minute in range(60)}
_SECONDS = {f"{second:02}": second * TICKS_PER_S for second in range(60)}
_OFFSET = re.compile(r"(?:\.([0-9]{1,9}))?([+-])([01][0-9]|2[0-3]):([0-5][0-9])")
_ENTRY_TIME = re.compile(rb'"time":"([^"\\]{20,40})"')

# The last second is kept as it was written, for it is asked for thousands of times. The pair is replaced as a whole and looked at once by
# each call, because other threads write times, too.
_second: tuple[int, str] = (0, "1970-01-01T00:00:00")


def rfc3339(ticks: int) -> str:
    """Write as RFC 3339 in UTC with `Z`: microseconds, or all seven digits where the ticks have them.

    Years 1 to 9999; raises ValueError outside.
    """
    global _second  # noqa: PLW0603 - see above
    seconds, rest = divmod(ticks, TICKS_PER_S)
    written = _second
    if seconds != written[0]:
        try:
            written = (seconds, datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S").zfill(19))
        except (OverflowError, OSError, ValueError) as error:
            raise ValueError(f"{ticks} ticks are no date") from error
        _second = written
    return f"{written[1]}.{rest // 10:06d}Z" if rest % 10 == 0 else f"{written[1]}.{rest:07d}Z"


def from_rfc3339(text: str) -> int:
    """Read an RFC 3339 time with any offset and up to nine decimals; those beyond 100 ns are cut. Raises ValueError."""
    try:
        whole = _day(text[:10]) + _HOURS[text[10:14]] + _MINUTES[text[14:17]] + _SECONDS[text[17:19]]
    except (KeyError, ValueError):
        raise ValueError(f"not an RFC 3339 time: {text!r}") from None
    rest = text[19:]
    if rest == "Z":
        return whole
    digits = rest[1:-1]
    if rest[:1] == "." and rest[-1] == "Z" and digits.isdecimal() and digits.isascii() and len(digits) <= 9:
        return whole + int(digits[:7].ljust(7, "0"))
    return whole + _offset_of(rest, text)


@lru_cache(maxsize=1_024)
def _day(text: str) -> int:
    """Read YYYY-MM-DD. The other forms that Python reads, as week dates, it writes otherwise."""
    day = date.fromisoformat(text)
    if day.isoformat() != text:
        raise ValueError(f"{text!r} is no date")
    return (day - date(1970, 1, 1)).days * 86_400 * TICKS_PER_S


def _offset_of(rest: str, text: str) -> int:
    """Read the decimals of a second and an offset from UTC, as what they add in ticks."""
    match = _OFFSET.fullmatch(rest)
    if match is None:
        raise ValueError(f"not an RFC 3339 time: {text!r}")
    digits, sign, hours, minutes = match.groups()
    ahead = (int(hours) * 60 + int(minutes)) * 60 * TICKS_PER_S
    return int((digits or "0")[:7].ljust(7, "0")) - (ahead if sign == "+" else -ahead)


def now_ticks() -> int:
    """The system's clock."""
    return time.time_ns() // 100


def of_entry(payload: bytes) -> int | None:
    """The entry's `time`: the first key after the head, so the first match is the right one. None if there is none to be read."""
    match = _ENTRY_TIME.search(payload)
    try:
        return from_rfc3339(match[1].decode()) if match else None
    except ValueError:
        return None
