"""Ticks: 100-ns units since 1970-01-01T00:00:00Z, and their RFC 3339 form. The one place where the program turns one into the other."""

from datetime import UTC, datetime

TICKS_PER_S = 10_000_000
TICKS_PER_MS = 10_000
EARLIEST = -62_135_596_800 * TICKS_PER_S  # 0001-01-01
LATEST = 253_402_300_800 * TICKS_PER_S - 1  # the last 100 ns of 9999

_second: tuple[int, str] = (0, "1970-01-01T00:00:00")


def rfc3339(ticks: int) -> str:
    """Write as RFC 3339 in UTC with `Z`: microseconds, or all seven digits where the ticks have them.

    Years 1 to 9999; raises ValueError outside.
    """
    global _second  # noqa: PLW0603 - the same second is asked for thousands of times
    seconds, rest = divmod(ticks, TICKS_PER_S)
    if seconds != _second[0]:
        try:
            _second = (seconds, datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S").zfill(19))
        except (OverflowError, OSError, ValueError) as error:
            raise ValueError(f"{ticks} ticks are no date") from error
    return f"{_second[1]}.{rest // 10:06d}Z" if rest % 10 == 0 else f"{_second[1]}.{rest:07d}Z"


def from_rfc3339(text: str) -> int:
    """Read an RFC 3339 time with any offset and up to seven decimals. Raises ValueError."""
    main, _, tail = text.partition(".")
    digits = tail[: len(tail) - len(tail.lstrip("0123456789"))]
    zone = tail[len(digits) :]
    moment = datetime.fromisoformat(main + zone)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} names no offset from UTC")
    return int(moment.timestamp()) * TICKS_PER_S + int(digits[:7].ljust(7, "0"))


def from_datetime(moment: datetime) -> int:
    """Ticks of an aware datetime, exact to the microsecond."""
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * TICKS_PER_S + delta.microseconds * 10
