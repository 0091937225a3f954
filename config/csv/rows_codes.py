"""Turns the rows of codes.csv, alarms.csv, ebr-fields.csv and dispositions.csv into objects: each cell by itself."""

import re

from config.codes import BUILT_IN, STATES
from config.csv.cells import NAME, Cells, each
from config.csv.columns import ALARMS, CODES, DISPOSITIONS, EBR_FIELDS
from config.csv.tables import TableReport
from config.line import Alarm, Code, CodeTable, Disposition, EbrField
from config.problem import did_you_mean

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def codes(data: bytes, report: TableReport) -> dict[str, CodeTable]:
    """Read codes.csv: tables by name.

    One version per table: the numbers of a version never change, a new version replaces the old.
    """
    tables: dict[str, CodeTable] = {}
    for row in each(data, CODES, report, lambda row: row):
        name, version, code = row.must("table", pattern=NAME), row.must("version"), row.integer("code", -(2**31), 2**32 - 1)
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


def _add_code(row: Cells, table: CodeTable, code: Code) -> None:
    known: dict[int, Code] = table.codes  # type: ignore[assignment]  # a dict until the table is complete
    if code.code in known:
        row.error("code", f"{code.code} stands twice in table `{table.name}`")
    elif any(other.text == code.text for other in known.values()):
        row.error("text", f"`{code.text}` stands twice in table `{table.name}`")
    else:
        known[code.code] = code


def alarms(data: bytes, report: TableReport) -> list[Alarm]:
    """Read alarms.csv."""
    return list(each(data, ALARMS, report, _alarm))


def _alarm(row: Cells) -> Alarm:
    return Alarm(
        alarm=row.must("alarm", pattern=NAME),
        tag=row.must("tag"),
        active=row.must("active"),
        bit=row.integer("bit", 0, 63),
        severity=row.choice("severity", "alarm"),
        equipment=row.text("equipment"),
        text=row.text("text"),
        place=row.place,
    )


def ebr_fields(data: bytes, report: TableReport) -> list[EbrField]:
    """Read ebr-fields.csv."""
    return list(each(data, EBR_FIELDS, report, _ebr_field))


def _ebr_field(row: Cells) -> EbrField:
    return EbrField(
        ebr_field=row.must("ebr_field"),
        name=row.text("name"),
        type=row.text("type"),
        unit=row.unit("unit"),
        required=row.flag("required", default=True),
        owner=row.text("owner"),
        description=row.text("description"),
        place=row.place,
    )


def dispositions(data: bytes, report: TableReport) -> list[Disposition]:
    """Read dispositions.csv."""
    return list(each(data, DISPOSITIONS, report, _disposition))


def _disposition(row: Cells) -> Disposition:
    disposition = row.must_choice("disposition")
    date = row.must("accepted_on")
    if date and not _DATE.fullmatch(date):
        row.error("accepted_on", f"`{date[:60]}`: a date is meant, as in 2026-11-22")
    return Disposition(
        gap=row.must("gap"),
        disposition=disposition,
        reason=row.must("reason"),
        accepted_by=row.must("accepted_by"),
        accepted_on=date,
        place=row.place,
    )
