"""Turns the rows of a tag map into objects: each cell by itself. `config.checks.folder` checks them against each other."""

import re
from decimal import Decimal
from fractions import Fraction

from config.csv.cells import AMOUNT, NAME, TAG, Cells, each
from config.csv.columns import AGGREGATES, INTEGERS, NUMBERS, TAGS
from config.csv.detector_cells import limits
from config.csv.tables import TableReport
from config.grammars import raw_codes
from config.grammars.raw_codes import RawCodes, RawCodesError
from config.line import Tag
from config.units import units
from config.units.raw_range import raw_range
from config.units.scaling import Scaling, decimal_of, from_pairs, scaling_of

_SCALING_COLUMNS = frozenset({"raw_low", "raw_high", "eu_low", "eu_high", "scale", "offset"})
_EQUIPMENT = re.compile(r"[a-z0-9-]{1,100}")


def tags(data: bytes, report: TableReport) -> list[Tag]:
    """Read a tag map: tags.csv, or another file of its form."""
    return list(each(data, TAGS, report, _tag))


def _tag(row: Cells) -> Tag:
    type_name = row.must_choice("type")
    unit, source_unit = _units(row)
    scaling, eu_low, eu_high = _scaling(row, type_name, source_unit, unit)
    return Tag(
        tag=row.must("tag", pattern=TAG),
        source=row.must("source"),
        address=row.must("address"),
        type=type_name,
        unit=unit,
        source_unit=source_unit,
        codes=row.text("codes", pattern=NAME),
        rate_ms=row.integer("rate_ms", 0, 86_400_000),
        max_silence_s=row.number("max_silence_s", 0.001, 31_536_000),
        deadband=_deadband(row, type_name, eu_low, eu_high),
        store=row.choice("store", "change"),
        between=row.choice("between", "hold"),
        eu_low=eu_low,
        eu_high=eu_high,
        scaling=scaling,
        not_available=_not_available(row, type_name, scaling, eu_low, eu_high),
        aggregate=_aggregate(row),
        aggregate_start=row.text("aggregate_start"),
        aggregate_end=row.text("aggregate_end"),
        aggregate_count=row.text("aggregate_count"),
        aggregate_stamp=row.choice("aggregate_stamp", "") or None,
        criticality=row.choice("criticality", "none"),
        time_authority=row.choice("time_authority", "") or None,
        instrument=row.text("instrument"),
        value_origin=row.choice("value_origin", "") or None,
        equipment=_equipment(row),
        description=row.text("description"),
        limits=limits(row, type_name, unit, eu_low, eu_high),
        criticality_given=row.text("criticality") is not None,
        place=row.place,
    )


def _units(row: Cells) -> tuple[str | None, str | None]:
    """Read (unit, source_unit); a missing unit is the UCUM code of the source's."""
    unit, source_unit = row.unit("unit"), row.text("source_unit")
    if source_unit is None:
        return unit, unit
    try:
        code = units.canonical(source_unit)
    except units.UnitError as error:
        row.error("source_unit", str(error))
        return unit, None
    return unit or code, source_unit


def _scaling(
    row: Cells, type_name: str, source_unit: str | None, unit: str | None
) -> tuple[Scaling | None, Decimal | None, Decimal | None]:
    """Read the scaling, and both ends of the instrument's range in `unit`."""
    is_integer = type_name in INTEGERS
    if not _SCALING_COLUMNS & row.row.cells.keys() and (source_unit is None or source_unit == unit):
        return None, None, None
    scaling = _written_scaling(row, is_integer=is_integer)
    low, high = row.decimal("eu_low"), row.decimal("eu_high")
    if low is not None and high is not None and low >= high:
        row.error("eu_high", f"{high} is not above eu_low {low}")
    converted = _conversion(row, source_unit, unit)
    if converted is not None:
        scaling = (scaling or scaling_of(Fraction(1), Fraction(0), is_integer=is_integer)).then(*converted, is_integer=is_integer)
        low, high = _converted(low, converted), _converted(high, converted)
    if type_name and type_name not in NUMBERS and (scaling is not None or low is not None or high is not None):
        row.error("type", f"a {type_name} can not be scaled or converted, and has no range")
    return (None if scaling is not None and scaling.is_identity else scaling), low, high


def _written_scaling(row: Cells, *, is_integer: bool) -> Scaling | None:
    raw = [row.decimal(column) for column in ("raw_low", "raw_high")]
    scale, offset = row.decimal("scale"), row.decimal("offset")
    if any(value is not None for value in raw):
        if scale is not None or offset is not None:
            row.error("scale", "raw_low/raw_high and scale/offset exclude each other")
            return None
        return _pairs(row, raw, is_integer=is_integer)
    if scale is None and offset is None:
        return None
    if scale == 0:
        row.error("scale", "0 would make every value the same")
        return None
    return scaling_of(Fraction(scale if scale is not None else 1), Fraction(offset or 0), is_integer=is_integer)


def _pairs(row: Cells, raw: list[Decimal | None], *, is_integer: bool) -> Scaling | None:
    eu = [row.decimal(column) for column in ("eu_low", "eu_high")]
    if None in raw or None in eu:
        row.error("raw_low", "raw_low, raw_high, eu_low and eu_high belong together")
        return None
    try:
        return from_pairs(raw[0], raw[1], eu[0], eu[1], is_integer=is_integer)
    except ValueError as error:
        row.error("raw_low", str(error))
        return None


def _conversion(row: Cells, source_unit: str | None, unit: str | None) -> tuple[Fraction, Fraction] | None:
    if source_unit is None or unit is None or source_unit == unit:
        return None
    try:
        factors = units.conversion(source_unit, unit)
    except units.UnitError as error:
        row.error("unit", str(error))
        return None
    return None if factors[0] == 1 and factors[1] == 0 else factors


def _converted(value: Decimal | None, conversion: tuple[Fraction, Fraction]) -> Decimal | None:
    return None if value is None else decimal_of(Fraction(value) * conversion[0] + conversion[1])


def _not_available(row: Cells, type_name: str, scaling: Scaling | None, low: Decimal | None, high: Decimal | None) -> RawCodes | None:
    """Read the codes by which the device says that it has no value; a warning for one that the instrument could measure."""
    value = row.text("not_available")
    if value is None:
        return None
    if type_name and type_name not in NUMBERS:
        row.error("not_available", f"a {type_name} has no such codes, numbers have")
        return None
    try:
        codes = raw_codes.parse(value, type_name or "decimal")
    except RawCodesError as error:
        row.error("not_available", str(error))
        return None
    measured = raw_range(type_name, low, high, scaling)
    if measured is not None and any(first <= measured[1] and last >= measured[0] for first, last in codes.spans):
        message = f"not_available: {value} lies in the instrument's range, so that a value of it would be taken for none"
        row.report.warning(row.row.line, message)
    return codes


def _deadband(row: Cells, type_name: str, low: Decimal | None, high: Decimal | None) -> str | None:
    value = row.text("deadband", pattern=AMOUNT)
    if value is None:
        return None
    if type_name and type_name not in NUMBERS:
        row.error("deadband", f"a {type_name} has none")
    if value.endswith("%") and (low is None or high is None):
        row.error("deadband", "a percentage needs eu_low and eu_high")
    return value


def _aggregate(row: Cells) -> tuple[str, float] | None:
    value = row.text("aggregate")
    if value is None:
        return None
    match = re.fullmatch(r"([a-z]+):([0-9]{1,6}(?:\.[0-9]{1,3})?)", value)
    if match is None or match[1] not in AGGREGATES or float(match[2]) == 0:
        row.error("aggregate", f"`{value[:60]}`: a function and its window in seconds are meant, as in mean:60 ({', '.join(AGGREGATES)})")
        return None
    return match[1], float(match[2])


def _equipment(row: Cells) -> tuple[str, ...]:
    value = row.text("equipment")
    if value is None:
        return ()
    names = tuple(name.strip() for name in value.split(";") if name.strip())
    for name in names:
        if not _EQUIPMENT.fullmatch(name):
            row.error("equipment", f"`{name[:60]}` is no name of an equipment; write one, several with ;, or line")
    if "line" in names and len(names) > 1:
        row.error("equipment", "line means every equipment and stands alone")
    return names
