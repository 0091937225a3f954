"""From the rows of the CSV files to objects: each cell by itself. What hangs together is checked in `config.checks`."""

import re
from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any, TypeVar

from config import units
from config.line import Alarm, Code, CodeTable, Disposition, EbrField, Parameter, Step, Tag
from config.materials import MATERIALS, SAMPLES
from config.scaling import Scaling, from_pairs, scaling_of
from config.tables import Columns, Report, Row, did_you_mean, rows
from config.unsupported import SUPPORTED_VALUES, UNSUPPORTED_FILES, refusal

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bcd16", "bcd32")
FLOATS = ("float32", "float64")
NUMBERS = (*INTEGERS, *FLOATS, "decimal")
TYPES = ("bool", *INTEGERS[:8], *FLOATS, "decimal", "string", "datetime", "bytes", "bcd16", "bcd32")
AGGREGATES = ("mean", "min", "max", "sum", "median", "last", "count")
STATISTICS = (
    "value_at_start",
    "value_at_end",
    "first",
    "last",
    "min",
    "max",
    "range",
    "mean",
    "stdev",
    "integral",
    "delta",
    "total",
    "duration",
    "time_above",
    "time_below",
    "time_outside",
    "count_changes",
    "sample",
    "trend",
)

CHOICES: dict[str, tuple[str, ...]] = {
    "type": TYPES,
    "store": ("change", "all"),
    "between": ("hold", "linear"),
    "criticality": ("CPP", "CQA", "GMP", "none"),
    "time_authority": ("device", "server", "gateway"),
    "level": ("unit_procedure", "operation", "phase"),
    "occurs": ("1", "0..1", "1..n", "0..n"),
    "activity": ("production", "cleaning", "changeover", "maintenance", "qualification", "idle"),
    "kind": ("consume", "produce", "move"),
    "statistic": STATISTICS,
    "when": ("step", "run", "operation", "batch", "event"),
    "include": ("running", "all"),
    "limit_source": ("none", "map", "tag", "mes", "ebr"),
    "origin": ("automatic", "entered-at-source", "by-lims", "by-ebr"),
    "severity": ("info", "warning", "alarm"),
    "disposition": ("accepted", "manual-entry", "not-applicable", "later"),
}
"""The closed lists of words, by column; one meaning in every table."""

TAGS = Columns(
    required=("tag", "source", "address", "type"),
    optional=(
        "unit",
        "source_unit",
        "codes",
        "rate_ms",
        "max_silence_s",
        "deadband",
        "store",
        "between",
        "raw_low",
        "raw_high",
        "eu_low",
        "eu_high",
        "scale",
        "offset",
        "aggregate",
        "criticality",
        "time_authority",
        "instrument",
        "equipment",
        "description",
    ),
    numbers=frozenset({"rate_ms", "max_silence_s", "deadband", "raw_low", "raw_high", "eu_low", "eu_high", "scale", "offset"}),
    words=frozenset({"description"}),
)
STEPS = Columns(
    required=("step", "equipment", "level"),
    optional=("signal", "active", "parent", "key", "recipe", "recipe_version", "occurs", "order", "activity", "description"),
    numbers=frozenset({"order"}),
)
PARAMETERS = Columns(
    required=("parameter", "equipment", "statistic"),
    optional=(
        "ebr_field",
        "name",
        "step",
        "recipe",
        "recipe_version",
        "tag",
        "when",
        "event",
        "include",
        "skip_first_s",
        "unit",
        "decimals",
        "target",
        "low",
        "high",
        "alert_low",
        "alert_high",
        "limit_source",
        "min_covered",
        "required",
        "criticality",
        "origin",
        "description",
    ),
    numbers=frozenset({"skip_first_s", "decimals", "target", "low", "high", "alert_low", "alert_high", "min_covered"}),
    formulas=frozenset({"target", "low", "high", "alert_low", "alert_high"}),
)
CODES = Columns(required=("table", "version", "code", "text"), optional=("state",), numbers=frozenset({"code"}), words=frozenset({"text"}))
ALARMS = Columns(required=("alarm", "tag", "active"), optional=("bit", "severity", "equipment", "text"), numbers=frozenset({"bit"}))
EBR_FIELDS = Columns(required=("ebr_field",), optional=("name", "type", "unit", "required", "owner", "description"))
DISPOSITIONS = Columns(
    required=("gap", "disposition", "reason", "accepted_by", "accepted_on"), optional=(), words=frozenset({"gap", "reason", "accepted_on"})
)

_SCALING_COLUMNS = frozenset({"raw_low", "raw_high", "eu_low", "eu_high", "scale", "offset"})

_TAG = re.compile(r"[A-Za-z0-9_./#-]{1,200}")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_EQUIPMENT = re.compile(r"[a-z0-9-]{1,100}")
_DEADBAND = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,12})?%?")

T = TypeVar("T")


class _Reader:
    """Cells of one row, with the problems of the row's file."""

    def __init__(self, row: Row, report: Report) -> None:
        self.row = row
        self.report = report
        self.good = True

    def error(self, column: str, message: str) -> None:
        self.report.error(self.row.line, f"{column}: {message}")
        self.good = False

    def text(self, column: str, *, pattern: re.Pattern[str] | None = None) -> str | None:
        value = self.row.cells.get(column)
        if value is not None and pattern is not None and not pattern.fullmatch(value):
            self.error(column, f"`{value[:60]}` does not match {pattern.pattern}")
            return None
        return value

    def must(self, column: str, *, pattern: re.Pattern[str] | None = None) -> str:
        value = self.text(column, pattern=pattern)
        if value is None:
            if column not in self.row.cells:
                self.error(column, "is empty")
            self.good = False
        return value or ""

    def choice(self, column: str, default: str) -> Any:
        choices = CHOICES[column]
        value = self.row.cells.get(column)
        if value is None:
            return default
        if value not in choices:
            self.error(column, f"`{value[:60]}`{did_you_mean(value, choices) or ': ' + ', '.join(choices) + ' are possible'}")
            return default
        return value

    def decimal(self, column: str) -> Decimal | None:
        value = self.row.cells.get(column)
        return None if value is None else self._decimal(column, value)

    def _decimal(self, column: str, value: str) -> Decimal | None:
        try:
            number = Decimal(value) if len(value) <= 60 and value.isascii() and "_" not in value else None
        except InvalidOperation:
            number = None
        if number is None:
            self.error(column, f"`{value[:60]}` is no number")
        elif not number.is_finite() or not (number == 0 or -300 < number.adjusted() < 300):
            self.error(column, f"`{value[:60]}` is no number that a value can have")
        else:
            return number
        return None

    def number(self, column: str, low: float, high: float) -> float | None:
        value = self.decimal(column)
        if value is not None and not low <= value <= high:
            self.error(column, f"{value} lies outside {low:g} to {high:g}")
            return None
        return None if value is None else float(value)

    def integer(self, column: str, low: int, high: int) -> int | None:
        value = self.number(column, low, high)
        if value is not None and value != int(value):
            self.error(column, f"{value} is no whole number")
            return None
        return None if value is None else int(value)

    def flag(self, column: str, *, default: bool) -> bool:
        value = self.row.cells.get(column)
        if value is None:
            return default
        meaning = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}.get(value.lower())
        if meaning is None:
            self.error(column, f"`{value[:60]}`: yes or no is meant")
        return default if meaning is None else meaning

    def limit(self, column: str) -> str | None:
        """A decimal string as written, or `=tag`."""
        value = self.row.cells.get(column)
        if value is None or (value.startswith("=") and _TAG.fullmatch(value[1:])):
            return value
        if value.startswith("="):
            self.error(column, f"`{value[:60]}`: = and the name of a tag are meant")
            return None
        return value if self._decimal(column, value) is not None else None

    def unit(self, column: str) -> str | None:
        value = self.row.cells.get(column)
        if value is None:
            return None
        try:
            warning = units.check_code(value)
        except units.UnitError as error:
            self.error(column, str(error))
            return None
        if warning:
            self.report.warning(self.row.line, f"{column}: {warning}")
        return value


def _each(data: bytes, columns: Columns, report: Report, make: Callable[[_Reader], T]) -> Iterator[T]:
    table = next(name for name, other in TABLES.items() if other is columns)
    waiting = [column for where, column in SUPPORTED_VALUES if where == table]
    if table in UNSUPPORTED_FILES:
        report.error(None, "is not supported yet: nothing in it would have an effect")
    for row in rows(data, columns, report):
        reader = _Reader(row, report)
        for column in waiting:
            if column in row.cells and (why := refusal(table, column, row.cells[column])) is not None:
                report.error(row.line, why)
                reader.good = False
        made = make(reader)
        if reader.good:
            yield made
        else:
            report.rejected.add(row.cells.get(columns.required[0], ""))


# ---- tags --------------------------------------------------------------------------------------------------------------------------


def tags(data: bytes, report: Report) -> list[Tag]:
    """tags.csv and its like."""
    return list(_each(data, TAGS, report, _tag))


def _tag(row: _Reader) -> Tag:
    type_name = row.choice("type", "")
    if not type_name:
        row.must("type")
    unit, source_unit = _units(row)
    scaling, eu_low, eu_high = _scaling(row, type_name, source_unit, unit)
    return Tag(
        tag=row.must("tag", pattern=_TAG),
        source=row.must("source"),
        address=row.must("address"),
        type=type_name,
        unit=unit,
        source_unit=source_unit,
        codes=row.text("codes", pattern=_NAME),
        rate_ms=row.integer("rate_ms", 0, 86_400_000),
        max_silence_s=row.number("max_silence_s", 0.001, 31_536_000),
        deadband=_deadband(row, type_name, eu_low, eu_high),
        store=row.choice("store", "change"),
        between=row.choice("between", "hold"),
        eu_low=eu_low,
        eu_high=eu_high,
        scaling=scaling,
        aggregate=_aggregate(row),
        criticality=row.choice("criticality", "none"),
        time_authority=row.choice("time_authority", "") or None,
        instrument=row.text("instrument"),
        equipment=_equipment(row),
        description=row.text("description"),
        criticality_given=row.text("criticality") is not None,
        place=row.row.place(row.report.file),
    )


def _units(row: _Reader) -> tuple[str | None, str | None]:
    """(unit, source_unit): a missing unit is the UCUM code of the source's."""
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
    row: _Reader, type_name: str, source_unit: str | None, unit: str | None
) -> tuple[Scaling | None, Decimal | None, Decimal | None]:
    """The scaling, and the instrument's range in `unit`."""
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
    if scaling is not None and type_name and type_name not in NUMBERS:
        row.error("type", f"a {type_name} can not be scaled or converted")
    return (None if scaling is not None and scaling.is_identity else scaling), low, high


def _written_scaling(row: _Reader, *, is_integer: bool) -> Scaling | None:
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


def _pairs(row: _Reader, raw: list[Decimal | None], *, is_integer: bool) -> Scaling | None:
    eu = [row.decimal(column) for column in ("eu_low", "eu_high")]
    if None in raw or None in eu:
        row.error("raw_low", "raw_low, raw_high, eu_low and eu_high belong together")
        return None
    try:
        return from_pairs(raw[0], raw[1], eu[0], eu[1], is_integer=is_integer)
    except ValueError as error:
        row.error("raw_low", str(error))
        return None


def _conversion(row: _Reader, source_unit: str | None, unit: str | None) -> tuple[Fraction, Fraction] | None:
    if source_unit is None or unit is None or source_unit == unit:
        return None
    try:
        found = units.conversion(source_unit, unit)
    except units.UnitError as error:
        row.error("unit", str(error))
        return None
    return None if found[0] == 1 and found[1] == 0 else found


def _converted(value: Decimal | None, conversion: tuple[Fraction, Fraction]) -> Decimal | None:
    from config.scaling import decimal_of

    return None if value is None else decimal_of(Fraction(value) * conversion[0] + conversion[1])


def _deadband(row: _Reader, type_name: str, low: Decimal | None, high: Decimal | None) -> str | None:
    value = row.text("deadband", pattern=_DEADBAND)
    if value is None:
        return None
    if type_name and type_name not in NUMBERS:
        row.error("deadband", f"a {type_name} has none")
    if value.endswith("%") and (low is None or high is None):
        row.error("deadband", "a percentage needs eu_low and eu_high")
    return value


def _aggregate(row: _Reader) -> tuple[str, float] | None:
    value = row.text("aggregate")
    if value is None:
        return None
    match = re.fullmatch(r"([a-z]+):([0-9]{1,6}(?:\.[0-9]{1,3})?)", value)
    if match is None or match[1] not in AGGREGATES or float(match[2]) == 0:
        row.error("aggregate", f"`{value[:60]}`: a function and its window in seconds are meant, as in mean:60 ({', '.join(AGGREGATES)})")
        return None
    return match[1], float(match[2])


def _equipment(row: _Reader) -> tuple[str, ...]:
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


# ---- steps, parameters -------------------------------------------------------------------------------------------------------------


def steps(data: bytes, report: Report) -> list[Step]:
    """steps.csv."""
    return list(_each(data, STEPS, report, _step))


def _step(row: _Reader) -> Step:
    level = row.choice("level", "")
    if not level:
        row.must("level")
    return Step(
        step=row.must("step", pattern=_NAME),
        equipment=row.must("equipment"),
        level=level,
        parent=row.text("parent"),
        signal=row.text("signal") or "",
        active=row.text("active") or "",
        key=row.text("key"),
        recipe=row.text("recipe"),
        recipe_version=row.text("recipe_version"),
        occurs=row.choice("occurs", "1"),
        order=row.integer("order", 0, 1_000_000),
        activity=row.choice("activity", "") or None,
        description=row.text("description"),
        place=row.row.place(row.report.file),
    )


def parameters(data: bytes, report: Report) -> list[Parameter]:
    """parameters.csv. Conversions are added by the checks, which know the tags."""
    return list(_each(data, PARAMETERS, report, _parameter))


def _parameter(row: _Reader) -> Parameter:
    statistic = row.choice("statistic", "")
    if not statistic:
        row.must("statistic")
    return Parameter(
        parameter=row.must("parameter", pattern=_NAME),
        equipment=row.must("equipment"),
        step=row.text("step"),
        statistic=statistic,
        tag=row.text("tag"),
        ebr_field=row.text("ebr_field"),
        name=row.text("name"),
        recipe=row.text("recipe"),
        recipe_version=row.text("recipe_version"),
        when=row.choice("when", "step"),
        event=row.text("event"),
        include=row.choice("include", "all"),
        skip_first_s=row.number("skip_first_s", 0, 1_000_000) or 0.0,
        unit=row.unit("unit"),
        decimals=row.integer("decimals", 0, 15),
        target=row.limit("target"),
        low=row.limit("low"),
        high=row.limit("high"),
        alert_low=row.limit("alert_low"),
        alert_high=row.limit("alert_high"),
        limit_source=row.choice("limit_source", "none"),
        min_covered=row.number("min_covered", 0, 1),
        required=row.flag("required", default=True),
        criticality=row.choice("criticality", "none"),
        origin=row.choice("origin", "automatic"),
        description=row.text("description"),
        place=row.row.place(row.report.file),
    )


# ---- codes, alarms, the EBR's fields -----------------------------------------------------------------------------------------------


def codes(data: bytes, report: Report) -> dict[str, CodeTable]:
    """codes.csv: tables by name. One version per table: the numbers of a version never change, a new version replaces the old."""
    from config.codes import BUILT_IN, STATES

    tables: dict[str, CodeTable] = {}
    for row in _each(data, CODES, report, lambda row: row):
        name, version, code = row.must("table", pattern=_NAME), row.must("version"), row.integer("code", -(2**31), 2**32 - 1)
        text, state = row.must("text"), row.text("state")
        if code is None and row.good:
            row.must("code")
        if state is not None and state not in STATES:
            row.error("state", f"`{state[:60]}`{did_you_mean(state, sorted(STATES)) or ': a state word of ISA-88 is meant'}")
        if name in BUILT_IN:
            row.error("table", f"`{name}` is built in; give yours another name")
        table = tables.setdefault(name, CodeTable(name, version, {}))
        if table.version != version:
            row.error("version", f"table `{name}` has version {table.version} above; a table has one version")
        if row.good and code is not None:
            _add_code(row, table, Code(code, text, state))
    return tables


def _add_code(row: _Reader, table: CodeTable, code: Code) -> None:
    known: dict[int, Code] = table.codes  # type: ignore[assignment]  # a dict until the table is complete
    if code.code in known:
        row.error("code", f"{code.code} stands twice in table `{table.name}`")
    elif any(other.text == code.text for other in known.values()):
        row.error("text", f"`{code.text}` stands twice in table `{table.name}`")
    else:
        known[code.code] = code


def alarms(data: bytes, report: Report) -> list[Alarm]:
    """alarms.csv."""
    return list(_each(data, ALARMS, report, _alarm))


def _alarm(row: _Reader) -> Alarm:
    return Alarm(
        alarm=row.must("alarm", pattern=_NAME),
        tag=row.must("tag"),
        active=row.must("active"),
        bit=row.integer("bit", 0, 63),
        severity=row.choice("severity", "alarm"),
        equipment=row.text("equipment"),
        text=row.text("text"),
        place=row.row.place(row.report.file),
    )


def ebr_fields(data: bytes, report: Report) -> list[EbrField]:
    """ebr-fields.csv."""
    return list(_each(data, EBR_FIELDS, report, _ebr_field))


def _ebr_field(row: _Reader) -> EbrField:
    return EbrField(
        ebr_field=row.must("ebr_field"),
        name=row.text("name"),
        type=row.text("type"),
        unit=row.unit("unit"),
        required=row.flag("required", default=True),
        owner=row.text("owner"),
        description=row.text("description"),
        place=row.row.place(row.report.file),
    )


def dispositions(data: bytes, report: Report) -> list[Disposition]:
    """dispositions.csv."""
    return list(_each(data, DISPOSITIONS, report, _disposition))


def _disposition(row: _Reader) -> Disposition:
    disposition = row.choice("disposition", "")
    if not disposition:
        row.must("disposition")
    date = row.must("accepted_on")
    if date and not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", date):
        row.error("accepted_on", f"`{date[:60]}`: a date is meant, as in 2026-11-22")
    return Disposition(
        gap=row.must("gap"),
        disposition=disposition,
        reason=row.must("reason"),
        accepted_by=row.must("accepted_by"),
        accepted_on=date,
        place=row.row.place(row.report.file),
    )


TABLES: dict[str, Columns] = {
    "tags.csv": TAGS,
    "steps.csv": STEPS,
    "parameters.csv": PARAMETERS,
    "materials.csv": MATERIALS,
    "samples.csv": SAMPLES,
    "codes.csv": CODES,
    "alarms.csv": ALARMS,
    "ebr-fields.csv": EBR_FIELDS,
    "dispositions.csv": DISPOSITIONS,
}
"""Every table of a line folder."""
