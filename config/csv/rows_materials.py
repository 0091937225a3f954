"""Turns the rows of materials.csv and samples.csv into objects: each cell by itself."""

import re
from typing import Any

from config.csv.cells import AMOUNT, NAME, TAG, Cells, each
from config.csv.columns import MATERIALS, SAMPLES
from config.csv.tables import TableReport
from config.grammars.terms import FIELDS, Term, conditions, term
from config.materials import Booking, Sampling

_COLUMN = re.compile(r"[^\x00-\x1f]{1,100}")
_FIELD = re.compile(r"\{([^{}]*)\}")
_NUMERIC = frozenset({"quantity", "gross", "tare"})


def materials(data: bytes, report: TableReport) -> list[Booking]:
    """Read materials.csv. Conversions are added by the checks, which have the tags."""
    return list(each(data, MATERIALS, report, _booking))


def samples(data: bytes, report: TableReport) -> list[Sampling]:
    """Read samples.csv."""
    return list(each(data, SAMPLES, report, _sampling))


def _booking(row: Cells) -> Booking:
    kind = row.must_choice("kind")
    return Booking(
        **_occasion(row, "booking"),
        kind=kind,
        material=_term(row, "material"),
        lot=_term(row, "lot"),
        output_lot=_term(row, "output_lot"),
        to=_term(row, "to"),
        quantity=_term(row, "quantity"),
        gross=_term(row, "gross"),
        tare=_term(row, "tare"),
        target=_term(row, "target"),
        tolerance=_term(row, "tolerance"),
        at_rest=row.text("at_rest", pattern=TAG),
        source_unit=_term(row, "source_unit"),
        unit=row.unit("unit"),
        decimals=row.integer("decimals", 0, 15),
    )


def _sampling(row: Cells) -> Sampling:
    row.must("sample")
    results_key = row.text("results_key")
    results = row.text("results")
    if (results is None) != (results_key is None):
        row.error("results", "results and results_key belong together")
    return Sampling(**_occasion(row, "sampling"), sample=_term(row, "sample"), results=results, results_key=results_key)


def _occasion(row: Cells, name: str) -> dict[str, Any]:
    return {
        "name": row.must(name, pattern=NAME),
        "equipment": row.must("equipment"),
        "trigger": row.must("trigger"),
        "active": row.text("active"),
        "where": _where(row),
        "step": row.text("step"),
        "recipe": row.text("recipe"),
        "recipe_version": row.text("recipe_version"),
        "batch": _term(row, "batch"),
        "performed_by": _term(row, "performed_by"),
        "occurs": row.choice("occurs", "1"),
        "ebr_field": row.text("ebr_field"),
        "description": row.text("description"),
        "place": row.place,
    }


def _where(row: Cells) -> tuple[tuple[str, str], ...]:
    try:
        return tuple(conditions(row.text("where")))
    except ValueError as error:
        row.error("where", f"`{str(error)[:60]}`: column=value is meant, several with ;")
        return ()


def _term(row: Cells, column: str) -> Term | None:
    parsed = term(row.text(column))
    if parsed is None:
        return None
    if parsed.kind == "tag" and not TAG.fullmatch(parsed.text):
        row.error(column, f"`={parsed.text[:60]}`: = and the name of a tag are meant")
    elif parsed.kind == "row" and not _COLUMN.fullmatch(parsed.text):
        row.error(column, "row. and the name of a column are meant")
    elif parsed.kind == "text":
        _check_text(row, column, parsed.text)
    return parsed


def _check_text(row: Cells, column: str, text: str) -> None:
    if column in _NUMERIC:
        row.error(column, f"`{text[:60]}`: =tag or row.column is meant")
    elif column == "target":
        row.decimal("target")
    elif column == "tolerance" and not AMOUNT.fullmatch(text):
        row.error(column, f"`{text[:60]}`: a number in `unit`, or a share of the target as in 1%")
    for name in _FIELD.findall(text):
        if name not in FIELDS:
            row.error(column, f"`{{{name[:40]}}}`: {', '.join(f'{{{each}}}' for each in FIELDS)} can be filled in")
