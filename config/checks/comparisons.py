"""Check compare.csv against the fields of the record, their units, and [parallel_run]."""

import codecs
from collections.abc import Iterable, Iterator, Mapping
from zoneinfo import ZoneInfo

from config.checks.parameter_units import value_unit
from config.checks.parsed_folder import ParsedFolder
from config.comparisons import Comparison
from config.line import Parameter, Tag
from config.problem import Problem, did_you_mean
from config.sections import ParallelRun
from config.units import units


def check(parts: ParsedFolder, tags: Mapping[str, Tag]) -> Iterable[Problem]:
    """Yield the problems of every row, and of the table that says how the legacy record is read."""
    section = parts.sections.parallel_run
    if section is not None:
        _section(parts, section)
    if parts.comparisons and "parallel_run" not in parts.document.data:
        yield Problem("compare.csv", None, "line.toml has no [parallel_run]: it names the column with the batch, and when the run may end")
    fields = {row.ebr_field: row for row in parts.parameters if row.ebr_field is not None}
    others = {row.ebr_field for row in (*parts.materials, *parts.samples) if row.ebr_field is not None}
    seen: dict[str, Comparison] = {}
    for row in parts.comparisons:
        if (other := seen.setdefault(row.ebr_field, row)) is not row:
            yield row.place.problem(f"ebr_field `{row.ebr_field[:60]}` stands already in line {other.place.line}")
        if row.edge is not None:
            yield from _edge(parts, row)
        elif row.ebr_field not in fields and row.ebr_field not in others:
            known = did_you_mean(row.ebr_field, sorted({*fields, *others}))
            yield row.place.problem(f"ebr_field `{row.ebr_field[:60]}` is filled by no parameter, booking or sampling{known}")
        elif row.ebr_field in fields and row.rule == "number":
            yield from _unit(row, fields[row.ebr_field], tags)


def _section(parts: ParsedFolder, section: ParallelRun) -> None:
    """Report what the document itself can not know of its texts: names of encodings and zones, formats."""
    report = parts.document.error
    try:
        codecs.lookup(section.encoding)
    except LookupError:
        report(("parallel_run", "encoding"), f"`{section.encoding[:40]}` is no encoding; write one as utf-8, cp1252, iso8859-15")
    if section.zone is not None and not _is_zone(section.zone):
        report(("parallel_run", "zone"), f"`{section.zone[:40]}` is no IANA time zone, write one as Europe/Paris")
    if section.time_format is not None and not ("%" in section.time_format and "%Y" in section.time_format):
        report(("parallel_run", "time_format"), f"`{section.time_format[:40]}` is no format of a date and time: as %d.%m.%Y %H:%M:%S")
    if section.thousands == section.decimal:
        report(("parallel_run", "thousands"), "`thousands` and `decimal` are the same sign")


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        return False
    return True


def _edge(parts: ParsedFolder, row: Comparison) -> Iterator[Problem]:
    _, equipment, step = row.edge or ("", "", "")
    known = {(one.equipment, one.step) for one in parts.steps}
    if (equipment, step) not in known and not parts.was_rejected("steps.csv", step):
        names = [f"{which}:{one}/{name}" for one, name in sorted(known) for which in ("start", "end")]
        yield row.place.problem(f"ebr_field `{row.ebr_field[:60]}`: no such step{did_you_mean(row.ebr_field, names)}")


def _unit(row: Comparison, field: Parameter, tags: Mapping[str, Tag]) -> Iterator[Problem]:
    """Refuse a unit that is not told, or does not convert: a number is compared in one unit, and nobody guesses which."""
    tag = tags.get(field.tag or "")
    code = value_unit(field, tag)
    if row.unit is None:
        if code not in (None, "1"):
            yield row.place.problem(f"unit: is empty, and {row.ebr_field} is in {code}: write in which unit the legacy record has it")
        return
    if code is None:
        yield row.place.problem(f"unit is {row.unit[:40]}, and {row.ebr_field} has no unit in the record")
        return
    try:
        units.conversion(row.unit, code)
    except units.UnitError as error:
        yield row.place.problem(f"unit: {error}")
