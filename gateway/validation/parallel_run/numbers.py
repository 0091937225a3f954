"""Reads numbers as people and old systems write them, exactly or not at all, and writes exact numbers for people. Pure."""

import re
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import lru_cache
from typing import Any

from config.units import units

MOST_DIGITS = 60
SHOWN_DIGITS = 6
"""Of a number whose decimals do not end."""
DIFFERENCES = frozenset({"range", "stdev", "delta", "total", "integral"})
"""Statistics that are a difference of two values: they are converted without the offset of a unit."""
_OPERATOR = re.compile(r"[<>≤≥~≈]|±|\+/-")
_SPACES = " \u00a0\u202f"


class NoNumber(ValueError):
    """A text is no single number; the text says why, and what to do."""


def number_of(text: str, decimal: str = ".", thousands: str | None = None, declare: str = "") -> Fraction:
    """Read a number. declare: what declares another decimal sign, for the message. Raises NoNumber."""
    plain = text.strip().strip(_SPACES)
    if found := _OPERATOR.search(plain):
        raise NoNumber(f"`{plain[:40]}` has the operator {found[0]}: it is no single number that could be compared")
    match = _grammar(decimal, thousands).fullmatch(plain)
    if match is None:
        raise NoNumber(_why(plain, decimal, thousands, declare))
    whole = re.sub(r"[^0-9]", "", match["whole"])
    power = int(match["power"] or 0)
    if len(whole) + len(match["part"] or "") > MOST_DIGITS or abs(power) > MOST_DIGITS:
        raise NoNumber(f"`{plain[:40]}` has more digits than a value has")
    return Fraction(Decimal(f"{match['sign']}{whole}.{match['part'] or 0}E{power}"))


@lru_cache(maxsize=16)
def _grammar(decimal: str, thousands: str | None) -> re.Pattern[str]:
    whole = "[0-9]+"
    if thousands is not None:
        whole = rf"[0-9]+|[0-9]{{1,3}}(?:[{re.escape(_SPACES if thousands == ' ' else thousands)}][0-9]{{3}})+"
    return re.compile(rf"(?P<sign>[+-]?)(?P<whole>{whole})(?:{re.escape(decimal)}(?P<part>[0-9]+))?(?:[eE](?P<power>[+-]?[0-9]{{1,3}}))?")


def _why(text: str, decimal: str, thousands: str | None, declare: str) -> str:
    other = "," if decimal == "." else "."
    if other in text and other != thousands and re.fullmatch(r"[+-]?[0-9., ]+", text):
        sign = "comma" if other == "," else "point"
        return f"`{text[:40]}`: decimal {sign}; {declare or f'write it with `{decimal}`'}"
    return f"`{text[:40]}` is no number"


def given(value: Any) -> Fraction | None:
    """Return a number of the record, which is a JSON value; None where it is none."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = Decimal(repr(value) if isinstance(value, float) else str(value))
    except InvalidOperation:
        return None
    return Fraction(number) if number.is_finite() else None


def plain(number: Fraction) -> str:
    """Write a number: every digit where its decimals end, else so many that people see what it is, with ~ before it."""
    power = number.denominator
    for prime in (2, 5):
        while power % prime == 0:
            power //= prime
    if power == 1:
        digits = _decimals(number.denominator)
        scaled = number * 10**digits
        text = f"{abs(scaled.numerator):0{digits + 1}d}"
        body = f"{text[:-digits]}.{text[-digits:]}" if digits else text
        return f"{'-' if number < 0 else ''}{body}"
    return f"~{float(number):.{SHOWN_DIGITS}g}"


def _decimals(denominator: int) -> int:
    digits = 0
    while 10**digits % denominator:
        digits += 1
    return digits


def converted(number: Fraction, written: str, code: str, *, is_difference: bool) -> Fraction:
    """Convert a number from a unit as people write it into a UCUM code, exactly. Raises UnitError."""
    scale, offset = units.conversion(written, code)
    return number * scale + (0 if is_difference else offset)
