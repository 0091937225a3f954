"""Evaluates UCUM codes exactly (fractions, no floats) by the official table `ucum-essence.xml` that the ucumvert package carries.

UCUM 2.2, case-sensitive codes. The table is read with the standard library: building ucumvert's own registry takes 1.5 s, longer than
a whole `check` may. The tests compare every official example with ucumvert.
"""

import re
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree as ET

MAX_LENGTH = 100

_EXPONENT = re.compile(r"[+-]?[1-9][0-9]?(?![0-9])")
_FACTOR = re.compile(r"[1-9][0-9]{0,11}(?![0-9*^])")
_TEN = re.compile(r"10[*^]")
_ANNOTATION = re.compile(r"\{[!-z|~]*\}")


class UcumError(ValueError):
    """Not a UCUM code; the text gives the reason."""


@dataclass(frozen=True, slots=True)
class Unit:
    """factor x base units; `offset` for Cel, [degF] and [degRe]: kelvin = (value + offset) x factor.

    dimension: base unit -> exponent, sorted. An arbitrary unit ([iU]) or one on a scale that is no factor (pH, decibel) is its own
    dimension, so that it converts to nothing but itself (UCUM 3.2, paragraph 24). annotations: the texts in braces, in order.
    """

    factor: Fraction
    dimension: tuple[tuple[str, int], ...] = ()
    offset: Fraction = Fraction(0)
    annotations: tuple[str, ...] = field(default=(), compare=False)

    def times(self, other: "Unit", sign: int = 1) -> "Unit":
        """Multiply two units, or divide them with sign -1."""
        exponents = dict(self.dimension)
        for base, power in other.dimension:
            exponents[base] = exponents.get(base, 0) + sign * power
        dimension = tuple(sorted((base, power) for base, power in exponents.items() if power))
        factor = self.factor * other.factor**sign
        return Unit(factor, dimension, annotations=(*self.annotations, *other.annotations))

    def power(self, exponent: int) -> "Unit":
        """Raise the unit to a power."""
        dimension = tuple((base, power * exponent) for base, power in self.dimension)
        return Unit(self.factor**exponent, dimension, annotations=self.annotations)


ONE = Unit(Fraction(1))


@cache
def unit(code: str) -> Unit:
    """Evaluate a code. Raises UcumError."""
    if not code.isascii() or len(code) > MAX_LENGTH or not code:
        raise UcumError(f"`{code[:40]}` is no UCUM code" + ("" if code.isascii() else ": a character beyond ASCII"))
    reader = _Reader(code)
    result = reader.main_term()
    if reader.at != len(code):
        raise UcumError(f"`{code}` is no UCUM code: stopped at `{code[reader.at :]}`")
    return result


def atoms() -> tuple[str, ...]:
    """List every unit symbol of the table, without prefixes."""
    return tuple(_table()[1])


class _Reader:
    """Recursive descent over UCUM's own grammar (The Unified Code for Units of Measure, section 2)."""

    def __init__(self, code: str, depth: int = 0) -> None:
        self.code = code
        self.at = 0
        self.depth = depth

    def main_term(self) -> Unit:
        if self._takes("/"):
            return ONE.times(_ratio(self.term()), -1)
        return self.term(is_first=True)

    def term(self, *, is_first: bool = False) -> Unit:
        first = self.component()
        if is_first and not self._peeks("./"):
            return first
        whole = _ratio(first)
        while self._peeks("./"):
            sign = -1 if self.code[self.at] == "/" else 1
            self.at += 1
            whole = whole.times(_ratio(self.component()), sign)
        return whole

    def component(self) -> Unit:
        if annotation := self._takes_match(_ANNOTATION):
            return Unit(Fraction(1), annotations=(annotation[1:-1],))
        result = self._annotatable()
        while annotation := self._takes_match(_ANNOTATION):
            result = Unit(result.factor, result.dimension, result.offset, (*result.annotations, annotation[1:-1]))
        return result

    def _annotatable(self) -> Unit:
        if self._takes("("):
            self.depth += 1
            if self.depth > 20:
                raise UcumError(f"`{self.code}` has too many brackets")
            inner = self.main_term()
            if not self._takes(")"):
                raise UcumError(f"`{self.code}`: a closing bracket is missing")
            result = inner
        elif self._peeks("0123456789") and not _TEN.match(self.code, self.at):
            result = self._factor()
        else:
            result = self._symbol()
        exponent = self._takes_match(_EXPONENT)
        return _ratio(result).power(int(exponent)) if exponent else result

    def _factor(self) -> Unit:
        digits = self._takes_match(_FACTOR)
        if digits is None:
            raise UcumError(f"`{self.code}`: a number without leading zero, of at most 12 digits, is meant")
        return Unit(Fraction(int(digits)))

    def _symbol(self) -> Unit:
        """Read the longest symbol at this place that is a unit, or a prefix and a metric unit."""
        end = self._end_of_symbol()
        text = self.code[self.at : end]
        result = _atom(text)
        if result is None:
            raise UcumError(f"`{self.code}` is no UCUM code: no unit `{text or self.code[self.at :]}`")
        self.at = end
        return result

    def _end_of_symbol(self) -> int:
        """Find the end of a symbol.

        Symbols end where an operator, bracket, exponent or annotation begins; digits inside square brackets belong to them.
        """
        if ten := _TEN.match(self.code, self.at):
            return ten.end()
        end, in_square = self.at, False
        while end < len(self.code) and (in_square or self.code[end] not in "./(){}+-0123456789"):
            in_square = (in_square or self.code[end] == "[") and self.code[end] != "]"
            end += 1
        return end

    def _peeks(self, characters: str) -> bool:
        return self.at < len(self.code) and self.code[self.at] in characters

    def _takes(self, character: str) -> bool:
        taken = self._peeks(character)
        self.at += taken
        return taken

    def _takes_match(self, pattern: re.Pattern[str]) -> str | None:
        match = pattern.match(self.code, self.at)
        if match is None:
            return None
        self.at = match.end()
        return match.group()


def _ratio(parsed: Unit) -> Unit:
    """Take a temperature scale inside a product as an interval: J/Cel is J/K (UCUM 21 forbids more; people write it)."""
    return Unit(parsed.factor, parsed.dimension, annotations=parsed.annotations) if parsed.offset else parsed


@cache
def _atom(text: str) -> Unit | None:
    prefixes, units = _table()
    if text in units:
        return _defined(text)
    for length in (2, 1):
        prefix, rest = text[:length], text[length:]
        if prefix in prefixes and rest in units and units[rest].is_metric:
            base = _defined(rest)
            return Unit(base.factor * prefixes[prefix], base.dimension) if not base.offset else None
    return None


@cache
def _defined(symbol: str) -> Unit:
    definition = _table()[1][symbol]
    if definition.is_own_dimension:
        return Unit(Fraction(1), ((symbol, 1),))
    base = unit(definition.of)
    return Unit(base.factor * definition.factor, base.dimension, definition.offset)


@dataclass(frozen=True, slots=True)
class _Definition:
    factor: Fraction
    of: str
    is_metric: bool
    is_own_dimension: bool = False
    offset: Fraction = Fraction(0)


_SCALES = {
    "Cel": _Definition(Fraction(1), "K", is_metric=True, offset=Fraction("273.15")),
    "[degF]": _Definition(Fraction(5, 9), "K", is_metric=False, offset=Fraction("459.67")),
    "[degRe]": _Definition(Fraction(5, 4), "K", is_metric=False, offset=Fraction("218.52")),
}
"""The affine scales, which the table gives as functions that no program can evaluate (UCUM 4.5)."""

_MOL = {"mol": _Definition(Fraction(1), "", is_metric=True, is_own_dimension=True)}
"""UCUM counts a mole as 6.02e23 without dimension. Here it is a dimension (as in the SI): mol/L that becomes 1/L is a mistake."""


@cache
def _table() -> tuple[dict[str, Fraction], dict[str, _Definition]]:
    package = find_spec("ucumvert")
    if package is None or package.origin is None:
        raise RuntimeError("the package ucumvert is not installed")
    root = ET.parse(Path(package.origin).parent / "vendor" / "ucum-essence.xml").getroot()  # noqa: S314 - of an installed package
    prefixes = {item.attrib["Code"]: Fraction(item.findall("{*}value")[0].attrib["value"]) for item in root.findall("{*}prefix")}
    units = {
        item.attrib["Code"]: _Definition(Fraction(1), "", is_metric=True, is_own_dimension=True) for item in root.findall("{*}base-unit")
    }
    for item in root.findall("{*}unit"):
        units[item.attrib["Code"]] = _definition(item)
    return prefixes, units | _SCALES | _MOL


def _definition(item: ET.Element) -> _Definition:
    is_metric = item.attrib["isMetric"] == "yes"
    value = item.find("{*}value")
    if value is None or item.attrib.get("isSpecial") == "yes" or item.attrib.get("isArbitrary") == "yes":
        return _Definition(Fraction(1), "", is_metric=is_metric, is_own_dimension=True)
    return _Definition(Fraction(value.attrib["value"]), value.attrib["Unit"], is_metric=is_metric)
