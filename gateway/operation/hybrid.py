"""Describes the transition from a legacy MES for the snapshot: which phase it is today, and how far away the sunset is."""

from typing import Any
from zoneinfo import ZoneInfo

from config.sections import Transition
from gateway.alarms.transition import by_clock, day_of, months_after, phase_at, phase_text, stated, sunset_text
from gateway.clock import Stamp


def described(told: Transition | None, stamp: Stamp, zone: ZoneInfo) -> dict[str, Any] | None:
    """Describe it as JSON-able values, on the day that the clock shows; None: none is declared."""
    if told is None:
        return None
    day = day_of(stamp.ticks, zone)
    (phase,) = stated(told, day, day)
    left = (told.sunset - day).days
    return {
        **phase,
        "day": str(day),
        "clock": stamp.status,
        "days_left": left,
        "warn_days": told.warn_days,
        "state": "passed" if left < 0 else "near" if left <= told.warn_days else "ahead",
        "text": _text(told, stamp, zone),
    }


def _text(told: Transition, stamp: Stamp, zone: ZoneInfo) -> str:
    """Say which phase it is; once the sunset has passed, what is to be done besides."""
    day = day_of(stamp.ticks, zone)
    phase = phase_text(told, day)
    if (month := months_after(told.sunset, day)) == 0:
        return f"{phase}{by_clock(stamp.status)}"
    return f"{sunset_text(told, month, stamp.status)}; {'no phase is declared any more' if phase_at(told, day) is None else phase}"
