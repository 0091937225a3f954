"""Units of measure: from the usual spellings to UCUM, and exact conversion between two units of one dimension."""

import difflib
import unicodedata
from fractions import Fraction
from functools import lru_cache

from config.units import ucum
from config.units.unit_names import AMBIGUOUS, NAMES, TRAPS, UNECE

REFERENCES = frozenset({"gauge", "absolute", "differential"})
"""Annotations that say what a pressure is measured against. They never turn into each other: that takes the air pressure of the day."""


class UnitError(ValueError):
    """An unknown unit, or two that do not convert; the text gives the reason and a suggestion."""


def normal(text: str) -> str:
    """Normalise a spelling: one blank between words, superscripts as digits, micro as u, a middle dot as a full stop."""
    text = text.replace("\u00b5", "u").replace("\u03bc", "u").replace("\u00b7", ".").replace("\u2126", "\u03a9").replace("\u207b", "-")
    text = "".join(
        unicodedata.normalize("NFKC", character) if character in "\u00b9\u00b2\u00b3\u2074\u2076" else character for character in text
    )
    return " ".join(text.split())


@lru_cache(maxsize=4096)
def canonical(source_unit: str) -> str:
    """Find the UCUM code of a usual spelling: rpm -> /min, % RH -> %{RH}. Raises UnitError with a suggestion."""
    text = normal(source_unit)
    if text in NAMES:
        return NAMES[text]
    if text in AMBIGUOUS:
        raise UnitError(f"unit `{source_unit}` has two meanings: write {AMBIGUOUS[text]}")
    try:
        ucum.unit(text)
    except ucum.UcumError:
        raise UnitError(f"unknown unit `{source_unit[:60]}`{_suggestion(text)}") from None
    return text


@lru_cache(maxsize=4096)
def check_code(code: str) -> str | None:
    """Check a UCUM code. Raises UnitError if it is none; returns a warning if it mostly means something else, else None."""
    try:
        ucum.unit(code)
    except ucum.UcumError as error:
        raise UnitError(f"{error}{_way_out(code)}") from None
    return f"`{code}` is a UCUM code, but mostly `{TRAPS[code]}` is meant" if code in TRAPS else None


@lru_cache(maxsize=4096)
def conversion(source_unit: str, unit: str) -> tuple[Fraction, Fraction]:
    """Compute (scale, offset) with value_in_unit = value_in_source_unit * scale + offset, exact. Raises UnitError."""
    return between(canonical(source_unit), unit)


def between(code: str, unit: str) -> tuple[Fraction, Fraction]:
    """Compute `conversion` of two UCUM codes. Temperatures are affine; gauge and absolute pressure are refused."""
    if code == unit:
        return Fraction(1), Fraction(0)
    source, target = _unit(code), _unit(unit)
    if source.dimension != target.dimension:
        raise UnitError(f"`{code}` ({dimension_text(code)}) does not convert to `{unit}` ({dimension_text(unit)})")
    _check_reference(code, unit)
    scale = source.factor / target.factor
    return scale, source.offset * scale - target.offset


def interval(code: str, unit: str) -> Fraction:
    """Compute the factor for a difference of two values (a range, a standard deviation): no offset. Raises UnitError."""
    return between(code, unit)[0]


def product(code: str, other: str) -> str:
    """Write the code of a product, for an integral over time: g/min and s -> (g/min).s; Cel.s counts kelvin seconds."""
    return f"({code}).{other}"


def reference(code: str) -> str | None:
    """Find the reference of a pressure: gauge, absolute, differential or None."""
    return next((note for note in _unit(code).annotations if note in REFERENCES), None)


def dimension_text(code: str) -> str:
    """Write the dimension of kg/s as `g s-1`, for messages; `1` without dimension."""
    return " ".join(base if power == 1 else f"{base}{power}" for base, power in _unit(code).dimension) or "1"


def from_unece(unit_id: int) -> str | None:
    """Find the UCUM code of an EUInformation.unitId (OPC 10000-8, 5.6.4); None if it is not in the table.

    The number holds the characters of the UN/ECE code, big-endian.
    """
    if not 0 < unit_id < 2**24:
        return None
    code = unit_id.to_bytes(3, "big").lstrip(b"\x00")
    return UNECE.get(code.decode("ascii", "replace"))


def _unit(code: str) -> ucum.Unit:
    try:
        return ucum.unit(code)
    except ucum.UcumError as error:
        raise UnitError(str(error)) from None


def _check_reference(code: str, unit: str) -> None:
    source, target = reference(code), reference(unit)
    if source != target:
        wording: dict[str | None, str] = {None: "does not say against what it is measured"}
        raise UnitError(
            f"`{code}` ({wording.get(source, str(source))}) does not convert to `{unit}` ({wording.get(target, str(target))}): "
            f"gauge and absolute differ by the air pressure of the day; write the same reference in both"
        )


def _way_out(code: str) -> str:
    text = normal(code)
    return f"; write `{NAMES[text]}`" if text in NAMES else _suggestion(text)


def _suggestion(text: str) -> str:
    folded = {name.casefold(): name for name in reversed(NAMES)}  # the first spelling of each is the usual one
    close = difflib.get_close_matches(text[:60].casefold(), folded, n=1, cutoff=0.6)
    return f"; did you mean `{folded[close[0]]}` (UCUM `{NAMES[folded[close[0]]]}`)?" if close else "; write its UCUM code"
