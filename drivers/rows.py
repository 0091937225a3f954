"""Rows of a MES, in whatever way they came, as typed values for the tags that are mapped to their columns."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from config import Tag
from drivers.contract import BAD_DECODING, GOOD, Reading, Value
from drivers.exact_json import exact_json

NUMBERS = frozenset({"int", "uint", "bcd", "float", "decimal"})
TRUE, FALSE = frozenset({"1", "true", "t", "yes", "y"}), frozenset({"0", "false", "f", "no", "n"})


def typed(value: Any, kind: str) -> Value:
    """The value as the tag's declared type. Raises ValueError where it can not be one; None and "" are no value."""
    if value is None or (value == "" and kind != "string"):
        return None
    if isinstance(value, str) and "_" in value and _family(kind) in NUMBERS:
        raise ValueError(f"{value!r} is no number")  # Python alone takes it for one
    return _TYPED[_family(kind)](value)


def _family(kind: str) -> str:
    return kind.rstrip("0123456789")


def _integer(value: Any) -> int:
    if isinstance(value, float | Decimal) and value != int(value):
        raise ValueError(f"{value!r} is no integer")
    return int(value.strip() if isinstance(value, str) else value)


def _bool(value: Any) -> bool:
    text = str(value).strip().lower()
    if text in TRUE or text in FALSE:
        return text in TRUE
    raise ValueError(f"{value!r} is neither true nor false")


def _decimal(value: Any) -> Decimal:
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation as error:
        raise ValueError(f"{value!r} is no decimal number") from error
    if number.is_snan():
        raise ValueError(f"{value!r} is no number")
    return number


def _datetime(value: Any) -> datetime:
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).strip())
    if moment.tzinfo is None:
        raise ValueError(f"{value!r} names no zone: a datetime tag needs one, a local time belongs into the query's `time`")
    return moment.astimezone(UTC)


def _bytes(value: Any) -> bytes:
    return bytes(value) if isinstance(value, bytes | bytearray | memoryview) else str(value).encode()


_TYPED: dict[str, Callable[[Any], Value]] = {
    "bool": _bool,
    "int": _integer,
    "uint": _integer,
    "bcd": _integer,
    "float": float,
    "decimal": _decimal,
    "string": lambda value: value if isinstance(value, str) else str(exact_json(value)),
    "datetime": _datetime,
    "bytes": _bytes,
}


def tag_name(source: str, address: str, used: set[str]) -> str:
    """Make a tag's name of an address: allowed characters only, unlike those that are used already, upper and lower case being one."""
    name = f"{source}." + re.sub(r"[^A-Za-z0-9_./#-]+", "_", address)
    unique, number = name, 2
    while unique.lower() in used:
        unique, number = f"{name}-{number}", number + 1
    used.add(unique.lower())
    return unique


def due_every_ms(tags: Sequence[Tag], place_of: Callable[[str], tuple[str, str]], every_s: Mapping[str, float | None]) -> list[int | None]:
    """List how often a value of each tag is due: an aggregate's window, else as declared.

    every_s: what queries or patterns declare, by their names.
    """
    periods = [tag.aggregate[1] if tag.aggregate else every_s.get(place_of(tag.address)[0]) for tag in tags]
    return [None if period is None else max(round(period * 1000), 1) for period in periods]


class Mapped:
    """Which tags take which column of which query or pattern."""

    def __init__(self, tags: Sequence[Tag], place_of: Callable[[str], tuple[str, str]]) -> None:
        """place_of: a tag's address as (query or pattern, column)."""
        self._of: dict[str, list[tuple[int, str, str]]] = {}
        for index, tag in enumerate(tags):
            name, column = place_of(tag.address)
            self._of.setdefault(name, []).append((index, column, tag.type))

    def tags(self, name: str) -> tuple[int, ...]:
        """The tags of one query or pattern."""
        return tuple(index for index, _, _ in self._of.get(name, ()))

    def columns(self, name: str) -> Sequence[tuple[int, str, str]]:
        """(index, column, declared type) of each tag of one query or pattern."""
        return self._of.get(name, [])

    def readings(self, name: str, row: Mapping[str, Any], ticks: int | None) -> list[Reading]:
        """One reading per mapped tag; a value that is not of the declared type is Bad, so that it is seen and never guessed."""
        readings: list[Reading] = []
        for index, column, kind in self._of.get(name, ()):
            try:
                readings.append((index, typed(row[column], kind), GOOD, ticks, None))
            except (ValueError, KeyError, OverflowError, ArithmeticError):
                readings.append((index, None, BAD_DECODING, ticks, None))
        return readings
