"""What a loop check decides: what a forced signal has to become, when a value stands still, and what each finding is worth. Pure (C20)."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any, NamedTuple

from buffer.times import from_rfc3339
from config import Line, Tag
from config.units.units import UnitError, conversion
from gateway.entries.status_names import severity

LOOP_MA = (4, 20)
"""The live zero loop of IEC 60381-1: 4 mA is the low end of the range, 20 mA the high one."""
TICKS_PER_S = 10_000_000


class Unfit(Exception):
    """What was given does not fit the tag; the text says what to give."""


class Loop(NamedTuple):
    """What is checked. injected: as told, with its unit. expected: in the tag's unit. tolerance: in that unit, None: none was told."""

    tag: Tag
    injected: str
    expected: Fraction
    tolerance: Fraction | None
    instrument: str | None
    calibration_due: date | None


def loop_of(tag: Tag, value: str, unit: str | None, tolerance: str | None, instrument: str | None, due: date | None) -> Loop:
    """Make a loop of what was told. unit: the tag's own where None; `mA` is a signal of 4 to 20 mA over the range of the map.

    tolerance: in the tag's unit, or of the range of the map with `%`. Raises Unfit.
    """
    if tag.type in ("string", "bytes", "datetime", "bool"):
        raise Unfit(f"--tag {tag.tag}: is a {tag.type}: only of a number is there a difference")
    number = _number("--inject", value)
    return Loop(tag, f"{value} {unit or tag.unit or ''}".strip(), _expected(tag, number, unit), _tolerance(tag, tolerance), instrument, due)


def _number(option: str, text: str) -> Fraction:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise Unfit(f"{option} {text[:20]}: is no number: as 12 or 3.75") from None
    if not number.is_finite() or abs(number) > Decimal(10) ** 15:
        raise Unfit(f"{option} {text[:20]}: is no number that a signal can have")
    return Fraction(number)


def _expected(tag: Tag, number: Fraction, unit: str | None) -> Fraction:
    if unit is None or unit == tag.unit:
        return number
    if unit == "mA":
        low, high = _range(tag, "a signal in mA")
        return low + (number - LOOP_MA[0]) / (LOOP_MA[1] - LOOP_MA[0]) * (high - low)
    try:
        scale, offset = conversion(unit, tag.unit or "")
    except UnitError as error:
        raise Unfit(f"--unit {unit[:20]}: {error}; give the value in {tag.unit or 'the unit of the map'}") from None
    return number * scale + offset


def _range(tag: Tag, whose: str) -> tuple[Fraction, Fraction]:
    if tag.eu_low is None or tag.eu_high is None:
        raise Unfit(f"{tag.place.file}:{tag.place.line}: {whose} needs eu_low and eu_high of {tag.tag}; give the value in its own unit")
    return Fraction(tag.eu_low), Fraction(tag.eu_high)


def _tolerance(tag: Tag, text: str | None) -> Fraction | None:
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?%?", text):
        raise Unfit(f"--tolerance {text[:20]}: a number in {tag.unit or 'the unit of the map'}, or of its range, as 0.5%")
    if not text.endswith("%"):
        return Fraction(text)
    low, high = _range(tag, "a tolerance in % of the range")
    return Fraction(text[:-1]) / 100 * (high - low)


def value_of(reading: Mapping[str, Any]) -> Fraction | None:
    """Return the number of a reading; None for a Bad one, or one that is no number."""
    value = reading["value"]
    if severity(reading["status"]) == "bad" or value is None or isinstance(value, bool):
        return None
    try:
        return Fraction(str(value))
    except ValueError:
        return None


def settled(readings: Sequence[Mapping[str, Any]], observed: int | None, stable_s: float, band: Fraction) -> Mapping[str, Any] | None:
    """Return the newest reading if the value has stood for so long, within a band; else None.

    readings: those that came after the command began. observed: ticks through which the source was seen: what nobody looked at did not
    stand still.
    """
    if not readings or observed is None or (last := value_of(readings[-1])) is None:
        return None
    since = from_rfc3339(readings[-1]["received_time"])
    for reading in reversed(readings):
        value = value_of(reading)
        if value is None or abs(value - last) > band:
            break
        since = from_rfc3339(reading["received_time"])
    return readings[-1] if observed - since >= stable_s * TICKS_PER_S else None


def is_near(loop: Loop, reading: Mapping[str, Any]) -> bool:
    """Return whether a reading is Good and as expected."""
    value = value_of(reading)
    return (
        value is not None
        and loop.tolerance is not None
        and severity(reading["status"]) == "good"
        and abs(value - loop.expected) <= loop.tolerance
    )


def fields_of(line: Line, tag: str) -> list[str]:
    """Name the record fields that a tag feeds: parameters whose value it is, then those whose limits it gives."""
    fed = []
    for row in line.parameters:
        where = f"{row.equipment}/{row.step or row.when}, {row.statistic}"
        if row.tag == tag:
            fed.append(f"{row.ebr_field or 'no field of the EBR'}: {row.name or row.parameter} ({where})")
        fed += [
            f"{row.ebr_field or 'no field of the EBR'}: {name} of {row.name or row.parameter} ({where})"
            for name in ("target", "low", "high", "alert_low", "alert_high")
            if getattr(row, name) == f"={tag}"
        ]
    return fed


def busy(line: Line, tag: Tag, contexts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Name the batches that a forced signal would stand in: of the equipment of the tag, or of a parameter that it feeds."""
    units = {*tag.equipment, *(row.equipment for row in line.parameters if row.tag == tag.tag)} or set(contexts)
    return [f"{contexts[name]['batch']} ({name})" for name in sorted(units & contexts.keys()) if contexts[name].get("batch")]


def in_date(due: date | None, today: date) -> tuple[str, bool | None]:
    """Judge a date of calibration: (what was found, whether that is good); None where none was told."""
    if due is None:
        return "no date was told (--calibration-due)", None
    return f"due {due.isoformat()}, today {today.isoformat()}", due >= today


def missing_cpps(line: Line, checked: Iterable[str]) -> list[str]:
    """Name the tags of critical process parameters that no loop check of the list is about."""
    done = set(checked)
    return [tag.tag for tag in line.tags if tag.criticality == "CPP" and tag.tag not in done]


def plain(number: Fraction) -> str:
    """Write a number exactly where it has few digits, else with ten."""
    return f"{float(number):.10g}"
