"""Leap seconds: announced by the leap indicator (RFC 5905, 7.3) for the end of the current month."""

from datetime import UTC, datetime

from gateway.clock.evidence import Leap

DAY_NS = 86_400 * 10**9
NO_LEAP: tuple[Leap, int] = ("none", 0)


def leap_instant_ns(realtime_ns: int) -> int:
    """00:00:00Z of the first day of the next month, in ns since 1970: after the leap second (ITU-R TF.460)."""
    now = datetime.fromtimestamp(realtime_ns / 1e9, UTC)
    year, month = (now.year + 1, 1) if now.month == 12 else (now.year, now.month + 1)
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * 10**9


def leap_extra_s(leap: tuple[Leap, int], realtime_ns: int) -> float:
    """One second from 24 h before to 24 h after (URS-TIME-10): smear, slew and step differ by as much, and no field tells which it is."""
    kind, instant_ns = leap
    return 1.0 if kind != "none" and abs(realtime_ns - instant_ns) <= DAY_NS else 0.0
