"""From a decoded value to what stands in an entry: scaled, exact, JSON. Pure; one function per tag, made once.

Types and forms: design, entries. A value that JSON can not hold (NaN, infinity, a text over the limit) becomes null with a Bad status and a
finding; nothing else is ever changed.
"""

import base64
import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any

import orjson

from config import CodeTable, Scaling, Tag
from config.grammars.raw_codes import RawCodes
from drivers.contract import BAD_NO_DATA, BAD_OUT_OF_RANGE, UNCERTAIN_RANGE_EXCEEDED, Value
from drivers.local_time import ticks_of
from gateway.entries import ticks

BAD_ENCODING_LIMIT = 0x80080000
BAD_TYPE = 0x80740000
UNCERTAIN = 0x40000000
OUTSIDE_RANGE = "outside-range"
LONGEST_TEXT_BYTES = 32_768  # as JSON: a control character takes six bytes

Json = bool | int | float | str | None
Normal = tuple[Json, Json, int, str | None]
"""(value, raw or None, status, code of a finding or None)"""
Normalise = Callable[[Value, int], Normal]

RANGES = {f"int{n}": (-(1 << (n - 1)), (1 << (n - 1)) - 1) for n in (8, 16, 32, 64)} | {
    f"uint{n}": (0, (1 << n) - 1) for n in (8, 16, 32, 64)
}
_NUMBERS = frozenset({int, float, Decimal})
_MOST_SINGLES = 256
"""Codes of a span that are looked up one by one; a wider span is compared."""
_FLOAT32 = struct.Struct("<f")
_TO_INTEGER = 1.5 * 2**52
"""Added to a double and taken from it again, it leaves the nearest integer, the even one of two, as writing out digits does."""


def _decimals(exponent: int) -> float:
    """10 to the power of the decimals that are still coarser than the steps of the 32-bit values with this exponent; NaN: not by column."""
    step = 2.0 ** (exponent - 150)
    found = next((n for n in range(12) if 10.0 ** -(n + 1) < step), 12)
    return 10.0**found if step <= 1 and found < 12 else float("nan")


_COARSE = [1.0, *map(_decimals, range(1, 256))]
_FINE = [10 * power for power in _COARSE]


def shortest_float32(value: float) -> float:
    """The float with the fewest digits that restores this 32-bit value: 0.1, not 0.10000000149011612."""
    packed = _FLOAT32.pack(value)
    for digits in (6, 7, 8, 9):
        short = float(f"{value:.{digits}g}")
        try:
            if _FLOAT32.pack(short) == packed:
                return short
        except OverflowError:  # rounded up past the largest float32
            continue
    return value


def shortest_float32s(values: Sequence[float]) -> list[float]:
    """`shortest_float32` of each of many. Raises OverflowError, as that does.

    A 32-bit value times 10 to the power of up to 12 is exact, so what is rounded and divided again is the decimal that writing out finds.
    Of decimals that are coarser than the steps of the values at most one restores a value; one place finer the nearest nearly always does.
    """
    count = len(values)
    form = f"<{count}f"
    packed = struct.pack(form, *values)
    if struct.unpack(form, packed) != tuple(values):  # some have more digits than 32 bits hold
        return list(map(shortest_float32, values))
    exponents = (int.from_bytes(packed, "little") << 1).to_bytes(4 * count + 1, "little")[3::4]  # without the sign each is a byte
    coarse = _rounded(values, _COARSE, exponents)
    if (coarse_packed := struct.pack(form, *coarse)) == packed:
        return coarse
    fine = _rounded(values, _FINE, exponents)
    bits = (memoryview(each).cast("I") for each in (packed, coarse_packed, struct.pack(form, *fine)))
    return [
        first if is_first == wanted else second if is_second == wanted else shortest_float32(value)
        for value, first, second, wanted, is_first, is_second in zip(values, coarse, fine, *bits, strict=True)
    ]


def _rounded(values: Sequence[float], powers: Sequence[float], exponents: bytes) -> list[float]:
    return [
        (value * power + _TO_INTEGER - _TO_INTEGER) / power for value, power in zip(values, map(powers.__getitem__, exponents), strict=True)
    ]


def normaliser(tag: Tag, codes: Mapping[str, CodeTable]) -> Normalise | None:
    """The function that normalises this tag's values: codes of no value, type, scaling, code table, range; None for a plain `float64`."""
    base = made = _by_type(tag)
    span = tag.raw_range
    if base is float64 and tag.scaling is None and tag.codes is None and tag.not_available is None and span is None:
        return None
    if tag.scaling is not None:
        made = _scaled_digits(base, tag.scaling) if tag.type == "decimal" else _scaled(base, tag.scaling.compiled())
    elif tag.codes is not None:
        made = _coded(base, frozenset(codes[tag.codes].codes))
    if span is not None:
        made = _ranged(made, *span)
    return made if tag.not_available is None else _available(made, base, tag.not_available)


def _by_type(tag: Tag) -> Normalise:
    kind = tag.type.rstrip("0123456789") if tag.type.startswith(("string", "bytes")) else tag.type
    if kind in RANGES:
        return _integer(*RANGES[kind], as_text=kind.endswith("64"))
    return {
        "bool": _bool,
        "float32": _float32,
        "float64": float64,
        "decimal": _decimal,
        "string": _text,
        "datetime": _datetime,
        "bytes": _bytes,
        "bcd16": _integer(0, 9_999, as_text=False),
        "bcd32": _integer(0, 99_999_999, as_text=False),
    }[kind]


@cache  # one for each type, not for each tag
def _integer(low: int, high: int, *, as_text: bool) -> Normalise:
    def integer(value: Value, status: int) -> Normal:
        if value.__class__ is not int:
            return None, None, BAD_TYPE, "type-differs"
        if not low <= value <= high:
            return None, None, BAD_OUT_OF_RANGE, "value-outside-type"
        return (str(value) if as_text else value), None, status, None

    return integer


def _bool(value: Value, status: int) -> Normal:
    return (value, None, status, None) if value.__class__ is bool else (None, None, BAD_TYPE, "type-differs")


def float64(value: Value, status: int) -> Normal:
    """A number as it is; NaN and infinity are none."""
    if value.__class__ is not float and value.__class__ is not int:
        return None, None, BAD_TYPE, "type-differs"
    number = float(value)
    if number - number != 0.0:  # NaN and infinity
        return None, None, BAD_OUT_OF_RANGE, "not-a-number"
    return number, None, status, None


def _float32(value: Value, status: int) -> Normal:
    number, _, status, code = float64(value, status)
    return (number if number is None else shortest_float32(number)), None, status, code  # type: ignore[arg-type]


def _decimal(value: Value, status: int) -> Normal:
    if not isinstance(value, Decimal | int) or isinstance(value, bool):
        return None, None, BAD_TYPE, "type-differs"
    if isinstance(value, Decimal) and not value.is_finite():
        return None, None, BAD_OUT_OF_RANGE, "not-a-number"
    return str(value), None, status, None


def _text(value: Value, status: int) -> Normal:
    if value.__class__ is not str:
        return None, None, BAD_TYPE, "type-differs"
    text = value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    if len(text) * 6 > LONGEST_TEXT_BYTES and len(orjson.dumps(text)) > LONGEST_TEXT_BYTES:
        return None, None, BAD_ENCODING_LIMIT, "text-too-long"
    return text, None, status, None


def _bytes(value: Value, status: int) -> Normal:
    if value.__class__ is not bytes:
        return None, None, BAD_TYPE, "type-differs"
    if len(value) > LONGEST_TEXT_BYTES * 3 // 4:
        return None, None, BAD_ENCODING_LIMIT, "text-too-long"
    return base64.b64encode(value).decode(), None, status, None


def _datetime(value: Value, status: int) -> Normal:
    if not isinstance(value, datetime) or value.tzinfo is None:
        return None, None, BAD_TYPE, "type-differs"
    return ticks.rfc3339(ticks_of(value)), None, status, None


def _scaled(base: Normalise, apply: Callable[[Any], float | int]) -> Normalise:
    def scaled(value: Value, status: int) -> Normal:
        raw, _, status, code = base(value, status)
        if raw is None:
            return None, None, status, code
        number = apply(int(raw) if raw.__class__ is str else raw)
        if number - number != 0.0:
            return None, raw, BAD_OUT_OF_RANGE, "not-a-number"
        return number, raw, status, None

    return scaled


def _scaled_digits(base: Normalise, scaling: Scaling) -> Normalise:
    """Scale a decimal, which stands in an entry as its digits."""

    def scaled(value: Value, status: int) -> Normal:
        raw, _, status, code = base(value, status)
        return (None if raw is None else f"{scaling.apply(Decimal(raw)):f}"), raw, status, code

    return scaled


def _ranged(norm: Normalise, first: Any, last: Any) -> Normalise:
    """Call a good value Uncertain whose raw value, as decoded, lies outside the instrument's range."""

    def ranged(value: Any, status: int) -> Normal:
        normal = norm(value, status)
        if normal[0] is None or first <= value <= last:
            return normal
        number, raw, status, code = normal
        return number, raw, status if status & 0xC0000000 else UNCERTAIN_RANGE_EXCEEDED | status & 0xFFFF, code or OUTSIDE_RANGE

    return ranged


def _available(norm: Normalise, base: Normalise, none: RawCodes) -> Normalise:
    """Make of the raw values that mean "no value" what they are: null and Bad; the code stays readable as raw."""
    few = [span for span in none.spans if span[0] == span[1] or (isinstance(span[0], int) and span[1] - span[0] < _MOST_SINGLES)]
    singles = frozenset(raw for first, last in few for raw in ([first] if first == last else range(int(first), int(last) + 1)))
    wide = RawCodes(none.text, tuple(span for span in none.spans if span not in few))

    def available(value: Any, status: int) -> Normal:
        if type(value) in _NUMBERS and (value in singles or (wide.spans and value in wide)):
            raw, _, status, code = base(value, status)
            return (None, raw, BAD_NO_DATA | status & 0xFFFF, None) if code is None else (None, None, status, code)
        return norm(value, status)

    return available


def _coded(base: Normalise, known: frozenset[int]) -> Normalise:
    def coded(value: Value, status: int) -> Normal:
        number, raw, status, code = base(value, status)
        if code is None and number.__class__ is int and number not in known:
            return number, raw, status if status & 0xC0000000 else UNCERTAIN, "code-unlisted"
        return number, raw, status, code

    return coded
