"""What is to be said of a transition from a legacy MES on a day: which phase it is, and whether the sunset has passed. Pure."""

from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from config.sections import Phase, Transition
from gateway.entries.ticks import TICKS_PER_S


def phase_at(told: Transition, day: date) -> Phase | None:
    """Return the phase of a day; None before the first one and after the last."""
    return next((one for one in told.phases if one.begin <= day and (one.until is None or day <= one.until)), None)


def day_of(ticks: int, zone: ZoneInfo) -> date:
    """Return the day of the line's wall clock at an instant."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=ticks // TICKS_PER_S)).astimezone(zone).date()


def reference_of(phase: Phase | None) -> Literal["legacy", "gateway"] | None:
    """Say whose record is the record of reference in a phase; None: no phase is declared, and nobody said."""
    return None if phase is None else "legacy" if phase.legacy == "leading" else "gateway"


def stated(told: Transition, first: date, last: date) -> list[dict[str, Any]]:
    """State every phase of the days from `first` through `last`, for a record; days of no phase as an element without a name."""
    begin, end = told.phases[0].begin, told.phases[-1].until
    before = [_stated(told, None, None, begin - timedelta(days=1))] if first < begin else []
    after = [_stated(told, None, end + timedelta(days=1), None)] if end is not None and last > end else []
    touched = [one for one in told.phases if one.begin <= last and (one.until is None or one.until >= first)]
    return [*before, *(_stated(told, one, one.begin, one.until) for one in touched), *after]


def _stated(told: Transition, phase: Phase | None, begin: date | None, until: date | None) -> dict[str, Any]:
    return {
        "name": None if phase is None else phase.name,
        "from": None if begin is None else str(begin),
        "until": None if until is None else str(until),
        "legacy": None if phase is None else phase.legacy,
        "record_of_reference": reference_of(phase),
        "sunset": str(told.sunset),
    }


def months_after(sunset: date, day: date) -> int:
    """Return in which month after the sunset a day lies: 0 through the sunset itself, 1 from the day after it on."""
    if day <= sunset:
        return 0
    whole = (day.year - sunset.year) * 12 + day.month - sunset.month
    return whole + 1 if day.day > sunset.day else max(whole, 1)


def month_name(told: Transition, day: date) -> str | None:
    """Name the month after the sunset, and the sunset: alarms of two approved dates are two. None through the sunset itself."""
    month = months_after(told.sunset, day)
    return f"month {month} {_after(told)}" if month else None


def is_of(told: Transition, name: str) -> bool:
    """Return whether a month was named after this very sunset, and not after one that was approved before it."""
    return name.endswith(_after(told))


def _after(told: Transition) -> str:
    return f"after the sunset {told.sunset}"


def phase_text(told: Transition, day: date) -> str:
    """Say which phase it is, and whose record is the record of reference."""
    phase = phase_at(told, day)
    if phase is None:
        return f"no phase of the transition is declared for {day}; sunset of the legacy system: {told.sunset}"
    until = f" until {phase.until}" if phase.until else ""
    reference = f"legacy MES{until}" if reference_of(phase) == "legacy" else "this gateway and its EBR"
    return f"phase {phase.name}{until}, legacy system {phase.legacy}; record of reference: {reference}; sunset: {told.sunset}"


def sunset_text(told: Transition, month: int, clock: str) -> str:
    """Say that the sunset has passed, and by which clock. clock: its status."""
    return (
        f"the legacy system was to be used through {told.sunset}, month {month} after that{by_clock(clock)}: "
        "end it, or have another date approved"
    )


def by_clock(clock: str) -> str:
    """Say by which clock, where it is none that is synchronised."""
    return "" if clock == "synchronised" else f", by a clock that is {clock}"
