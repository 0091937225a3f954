"""Keys that the [[source]] tables of every driver of rows have in common."""

from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from config import Model
from drivers.local_time import Rule, Zone

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,100}$")]
Column = Annotated[str, Field(min_length=1, max_length=200)]
DueEvery = Annotated[float, Field(ge=0.001, le=31 * 86_400)] | None
"""How often a row with a value of each tag is due, in seconds: a gap says by it how many are missing. None: nobody knows."""
_DATES = [f"{day}{year}" for day in ("dm", "db", "dB", "j") for year in "Yy"] + ["c", "x", *(f"GV{day}" for day in "uaA")]
"""Directives of strptime that name a day together; without one it would be a day of 1900."""


class RowTime(Model):
    """The column that holds the row's time, and the zone in which it is written. format: strptime, if it is not ISO 8601.

    ambiguous: what to do with a local time that happened twice (see drivers.local_time.Rule).
    """

    column: Column
    zone: str
    format: str | None = None
    ambiguous: Rule = "mark"
    disorder_s: Annotated[float, Field(ge=0, le=1800)] = 60.0

    @field_validator("format")
    @classmethod
    def _has_date(cls, form: str | None) -> str | None:
        if form is not None and not any(all(f"%{letter}" in form for letter in letters) for letters in _DATES):
            raise ValueError(f"`{form}` is no format of a date and time of strptime: as in %d.%m.%Y %H:%M:%S")
        return form

    @field_validator("zone")
    @classmethod
    def _is_zone(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (OSError, ValueError, KeyError) as error:  # ZoneInfoNotFoundError is a KeyError with its own text
            raise ValueError(f"{zone!r} is no IANA time zone, write one as Europe/Paris") from error
        return zone


def zone_of(time: RowTime | None) -> Zone | None:
    """What converts the times of these rows; None where they have none."""
    return None if time is None else Zone(time.zone, time.format, time.ambiguous, time.disorder_s)
