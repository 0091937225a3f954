"""Check materials.csv, samples.csv and hold times against tags, queries, steps, units and the EBR's fields."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from config.checks.parsed_folder import ParsedFolder, unknown_tag
from config.csv.columns import CHOICES, NUMBERS
from config.line import Tag
from config.materials import Booking, Occasion, Sampling, tags_of, terms_of
from config.problem import Problem, did_you_mean
from config.units import units

NUMERIC = ("quantity", "gross", "tare", "target", "tolerance")
NEEDED = {"consume": ("lot",), "produce": ("output_lot",), "move": ("lot", "to")}


def check(parts: ParsedFolder, tags: Mapping[str, Tag]) -> Iterable[Problem]:
    """Yield every contradiction of the two tables, and every hold time that nothing could ever end."""
    sql_of = dict(queries(parts))
    for row in (*parts.materials, *parts.samples):
        yield from _occasion(parts, row, tags, sql_of)
    for booking in parts.materials:
        yield from _booking(booking, tags)
    for sampling in parts.samples:
        yield from _results(parts, sampling, sql_of)
    for table in (parts.materials, parts.samples):
        yield from _twice(table)
    yield from _fields(parts)
    _holds(parts)
    _activities(parts, tags)


def queries(parts: ParsedFolder) -> Iterator[tuple[str, str | None]]:
    """Yield (`source.query`, its SQL) of all sources; None for a query that is no SQL."""
    for _, source in parts.sections.source:
        for key in ("query", "pattern"):
            for table in source.options.get(key) or ():
                if isinstance(table, Mapping):
                    yield f"{source.name}.{table.get('name')}", table.get("sql") if key == "query" else None


def _twice(rows: Iterable[Occasion]) -> Iterable[Problem]:
    seen: dict[tuple[str | None, ...], Occasion] = {}
    for row in rows:
        identity = (row.name, row.equipment, row.recipe, row.recipe_version)
        if (other := seen.setdefault(identity, row)) is not row:
            yield row.place.problem(f"`{row.name}` stands already in line {other.place.line} for the same equipment and recipe")


def _occasion(parts: ParsedFolder, row: Occasion, tags: Mapping[str, Tag], sql_of: Mapping[str, str | None]) -> Iterable[Problem]:
    if row.equipment not in parts.equipment_names:
        yield row.place.problem(f"unknown equipment `{row.equipment[:60]}`{did_you_mean(row.equipment, parts.equipment_names)}")
    if row.recipe_version is not None and row.recipe is None:
        yield row.place.problem("recipe_version needs a recipe")
    steps = [step.step for step in parts.steps if step.equipment == row.equipment]
    if row.step is not None and row.step not in steps and not parts.was_rejected("steps.csv", row.step):
        yield row.place.problem(f"step `{row.step[:60]}` is no step of {row.equipment}{did_you_mean(row.step, steps)}")
    for column, name in tags_of(row):
        yield from unknown_tag(parts, row, column, name, tags)
    yield from _trigger(parts, row, tags, sql_of)


def _trigger(parts: ParsedFolder, row: Occasion, tags: Mapping[str, Tag], sql_of: Mapping[str, str | None]) -> Iterable[Problem]:
    if row.trigger in tags and row.trigger in sql_of:
        yield row.place.problem(f"trigger: `{row.trigger}` is a tag and a query; rename one of them")
    elif row.trigger in sql_of:
        yield from _by_row(row, sql_of[row.trigger])
    elif row.trigger.partition(".")[0] in parts.source_names and row.trigger not in tags and sql_of:
        yield row.place.problem(f"trigger: no tag and no query `{row.trigger[:60]}`{did_you_mean(row.trigger, [*sql_of, *tags])}")
    else:
        yield from unknown_tag(parts, row, "trigger", row.trigger, tags)
        yield from _by_tag(parts, row, tags.get(row.trigger))


def _by_row(row: Occasion, sql: str | None) -> Iterable[Problem]:
    if row.active is not None:
        yield row.place.problem("active: speaks of a tag, but the trigger is a query; `where` says which rows count")
    columns = [("where", column) for column, _ in row.where] + [(c, term.text) for c, term in _all_terms(row) if term.kind == "row"]
    for cell, column in columns:
        if sql is not None and "*" not in sql and not re.search(rf"(?<![A-Za-z0-9_]){re.escape(column)}(?![A-Za-z0-9_])", sql):
            yield row.place.problem(f"{cell}: query `{row.trigger}` selects no column `{column[:60]}`")


def _by_tag(parts: ParsedFolder, row: Occasion, tag: Tag | None) -> Iterable[Problem]:
    from config.checks.conditions import active_problems

    if row.where:
        yield row.place.problem("where: speaks of rows, but the trigger is a tag; `active` says at which values it counts")
    for column, term in _all_terms(row):
        if term.kind == "row":
            yield row.place.problem(f"{column}: `row.{term.text[:60]}`, but the trigger is a tag and no row comes with it")
    if row.active is not None:
        yield from active_problems(row, row.active, tag, parts.codes)
    elif tag is not None and tag.type not in ("string", "datetime") and not tag.type.startswith(("int", "uint")):
        yield row.place.problem(f"active: is empty, but `{tag.tag}` is {tag.type}: say at which value it happens")


def _all_terms(row: Occasion) -> Iterator[tuple[str, Any]]:
    yield from terms_of(row)
    if isinstance(row, Booking) and row.source_unit is not None:
        yield "source_unit", row.source_unit


# ---- materials ---------------------------------------------------------------------------------------------------------------------


def _booking(row: Booking, tags: Mapping[str, Tag]) -> Iterable[Problem]:
    for column in NEEDED.get(row.kind, ()):
        if getattr(row, column) is None:
            yield row.place.problem(f"{column}: is empty, but kind {row.kind} needs it")
    if row.to is not None and row.kind != "move":
        yield row.place.problem("to: only material that is moved goes somewhere")
    if (row.gross is None) != (row.tare is None) and row.quantity is None:
        yield row.place.problem("gross and tare belong together where quantity is empty")
    has_quantity = row.quantity is not None or row.gross is not None
    if has_quantity and row.unit is None:
        yield row.place.problem("unit: is empty, but a quantity has one")
    if row.target is not None and not has_quantity:
        yield row.place.problem("target: there is no quantity that could meet it")
    if row.tolerance is not None and row.target is None:
        yield row.place.problem("tolerance: needs a target")
    rest = tags.get(row.at_rest or "")
    if rest is not None and rest.type != "bool":
        yield row.place.problem(f"at_rest: a bool is meant, but `{rest.tag}` is {rest.type}")
    yield from _numbers(row, tags)
    yield from _source_unit(row)


def _numbers(row: Booking, tags: Mapping[str, Tag]) -> Iterable[Problem]:
    for column, name in tags_of(row):
        tag = tags.get(name)
        if column not in NUMERIC or tag is None:
            continue
        if tag.type not in NUMBERS:
            yield row.place.problem(f"{column}: a number is meant, but `{tag.tag}` is {tag.type}")
        elif row.unit is not None and tag.unit is None:
            yield row.place.problem(f"{column}: unit is {row.unit}, but tag `{tag.tag}` has no unit")
        elif row.unit is not None and tag.unit is not None:
            yield from _convertible(row, column, tag.unit, row.unit)


def _source_unit(row: Booking) -> Iterable[Problem]:
    if row.source_unit is None:
        return
    if all(term is None or term.kind != "row" for term in (row.quantity, row.gross, row.tare, row.target, row.tolerance)):
        yield row.place.problem("source_unit: speaks of numbers of a row; a tag has its own unit")
    if row.source_unit.kind == "tag":
        yield row.place.problem("source_unit: a unit or row.column is meant")
    if row.source_unit.kind == "text" and row.unit is not None:
        try:
            yield from _convertible(row, "source_unit", units.canonical(row.source_unit.text), row.unit)
        except units.UnitError as error:
            yield row.place.problem(f"source_unit: {error}")


def _convertible(row: Booking, column: str, code: str, unit: str) -> Iterable[Problem]:
    try:
        units.between(code, unit)
    except units.UnitError as error:
        yield row.place.problem(f"{column}: {error}")


# ---- samples, fields, hold times ---------------------------------------------------------------------------------------------------


def _results(parts: ParsedFolder, row: Sampling, sql_of: Mapping[str, str | None]) -> Iterable[Problem]:
    if row.results is None:
        return
    if row.results not in sql_of:
        yield row.place.problem(f"results: no query `{row.results[:60]}`{did_you_mean(row.results, list(sql_of))}")
    elif (sql := sql_of[row.results]) is not None and "*" not in sql and (row.results_key or "") not in sql:
        yield row.place.problem(f"results_key: query `{row.results}` selects no column `{row.results_key}`")
    if any(other.results == row.results and other.results_key != row.results_key for other in parts.samples):
        yield row.place.problem(f"results_key: the rows of `{row.results}` name the sample in one column, here are two")


def _fields(parts: ParsedFolder) -> Iterable[Problem]:
    """Check the EBR's fields: one thing fills each, it exists, and it takes the unit."""
    owners = {row.ebr_field: (row.place.file, row.place.line, row.parameter) for row in parts.parameters if row.ebr_field is not None}
    fields = {field.ebr_field: field for field in parts.ebr_fields}
    for row in (*parts.materials, *parts.samples):
        if row.ebr_field is None:
            continue
        file, line, name = owners.setdefault(row.ebr_field, (row.place.file, row.place.line, row.name))
        if name != row.name:
            yield row.place.problem(f"ebr_field `{row.ebr_field[:60]}` is filled already by `{name}` in {file}:{line}")
        field = fields.get(row.ebr_field)
        if fields and field is None and not parts.was_rejected("ebr-fields.csv", row.ebr_field):
            yield row.place.problem(
                f"ebr_field `{row.ebr_field[:60]}` does not stand in ebr-fields.csv{did_you_mean(row.ebr_field, list(fields))}"
            )
        given = row.unit if isinstance(row, Booking) else None
        if field is not None and field.unit is not None and given is not None and field.unit != given:
            yield row.place.problem(f"unit: the EBR wants `{field.unit}` in {field.ebr_field}, not `{given}`")


def _activities(parts: ParsedFolder, tags: Mapping[str, Tag]) -> None:
    """Check the tag of an activity: a text, or a number whose code table holds nothing but the six activities."""
    for at, equipment in parts.sections.equipment:
        tag = tags.get(equipment.activity or "")
        if tag is None:
            continue
        if tag.type != "string" and tag.codes is None:
            parts.document.error((*at, "activity"), f"`{tag.tag}` is {tag.type}: a table of codes.csv says which activity a number means")
        elif tag.codes is not None and tag.codes in parts.codes:
            texts = [code.text for code in parts.codes[tag.codes].codes.values() if code.text.lower() not in CHOICES["activity"]]
            if texts:
                words = ", ".join(CHOICES["activity"])
                parts.document.error((*at, "activity"), f"`{texts[0][:60]}` of code table `{tag.codes}` is no activity: {words}")


def _holds(parts: ParsedFolder) -> None:
    """Check that cleaning, which ends a hold time, is reported by something."""
    for at, equipment in parts.sections.equipment:
        is_reported = equipment.activity is not None or any(s.equipment == equipment.name and s.activity == "cleaning" for s in parts.steps)
        for key in ("dirty_hold_h", "clean_hold_h"):
            if getattr(equipment, key) is not None and not is_reported:
                message = f"{key}: nothing tells when {equipment.name} is cleaned: `activity` = a tag, or a step with activity cleaning"
                parts.document.error((*at, key), message)
