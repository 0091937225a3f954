"""What several commands share to read times that people type, and to write tables for spreadsheets."""

import csv
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.cli.base import WRONG_INPUT, fail

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a spreadsheet takes for the beginning of a formula, or skips before one."""


def instant(text: str, zone: "ZoneInfo") -> int:
    """Read a time in ISO 8601 as ticks; one without an offset is the line's wall clock, the earlier where that stood twice.

    Raises ValueError.
    """
    from drivers.local_time import ticks_of

    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text[:60]} is no time: write 2026-11-22T08:15 or 2026-11-22T07:15:00Z") from None
    return ticks_of(time if time.tzinfo is not None else time.replace(tzinfo=zone))


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


def instant_of(line: Path, text: str) -> int:
    """Read a time that somebody typed, as ticks. Ends the program if it is none."""
    try:
        return instant(text, line_of(line)[1])
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
