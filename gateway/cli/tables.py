"""What several commands share to read times that people type, and to write tables for spreadsheets."""

import csv
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.cli.base import WRONG_INPUT, fail

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a spreadsheet takes for the beginning of a formula, or skips before one."""


def instant(text: str, zone: "ZoneInfo", *, with_time: bool = False) -> int:
    """Read a time in ISO 8601 as ticks; one without an offset is the line's wall clock, and must name one instant.

    A day alone is its midnight, for where something begins or ends; with_time: it is refused. Raises ValueError.
    """
    from drivers.local_time import candidates, ticks_of

    try:
        time = datetime.fromisoformat(text)
        found = candidates(time, zone) if time.tzinfo is None else [ticks_of(time)]
    except (ValueError, OverflowError):
        raise ValueError(f"{text[:60]} is no time: write 2026-11-22T08:15 or 2026-11-22T07:15:00Z") from None
    if with_time and _is_day(text):
        raise ValueError(f"{text[:60]} is a day: write the time with it, as {text[:60]}T08:15")
    if not found:
        raise ValueError(f"{text[:60]} never was in {zone.key}, its clocks went forward then: write the time that they showed")
    if len(found) > 1:
        both = " or ".join(time.replace(fold=fold, tzinfo=zone).isoformat() for fold in (0, 1))
        raise ValueError(f"{text[:60]} happened twice in {zone.key}: write it with its offset, {both}")
    return found[0]


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def line_of(line: Path) -> "tuple[str, ZoneInfo]":
    """Return the gateway's name and the line's time zone, also of a folder that has errors elsewhere."""
    from zoneinfo import ZoneInfo

    import config

    identity = config.identity(line)
    return identity.gateway, ZoneInfo(identity.line.timezone)


def zone_of(line: Path) -> "ZoneInfo":
    """Return the line's time zone; UTC of a folder that can not say it: its journal can be read all the same. Each time has its offset."""
    from zoneinfo import ZoneInfo

    from config import ConfigError

    try:
        return line_of(line)[1]
    except ConfigError:
        return ZoneInfo("UTC")


def instant_of(line: Path, text: str, *, with_time: bool = False) -> int:
    """Read a time that somebody typed, as ticks. with_time: as of `instant`. Ends the program if it is none."""
    try:
        return instant(text, line_of(line)[1], with_time=with_time)
    except ValueError as error:
        fail(str(error), WRONG_INPUT)


def write_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows to standard output, one after the other, so that the source may be as long as it likes."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([safe(row[name]) for name in columns] for row in rows)


def safe(value: Any) -> Any:
    """Make a cell: lists joined, and an apostrophe before a text that a spreadsheet would run as a formula, as spreadsheets do it."""
    if isinstance(value, list | tuple):
        value = "; ".join(map(str, value))
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) and not _number(value) else value


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text == text.strip()
