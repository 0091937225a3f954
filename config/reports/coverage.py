"""The two-way gap report: what the EBR wants and nothing gives, and what the sources give and nothing uses (URS-MAP-03).

A gap has a name that does not change with its row: `field:PM-0412`, `parameter:granulator/CHARGE/charge_lid`, `tag:granulator.vibration`,
`booking:granulator/weigh`, `sampling:dryer/lod`, `step:dryer/LOAD`, `query:mes.steps`, `code:plc_mode/3`, `operator:dryer`. So has what
production refuses unless it is accepted (`config.exceptions`): `security:granulator-plc`; the check of the folder refuses that.
dispositions.csv names who accepted it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from config import exceptions, materials
from config.line import Disposition, Line, Parameter, place_of
from config.problem import Place, Problem
from config.sections import IDENTITIES, FromRow, FromTag, Pushed, Source

SIGNALS = ("state", "mode", "operator", "activity", "batch_ends")


@dataclass(frozen=True, slots=True)
class CoverageGap:
    """One field, tag, step, query or code that has no counterpart. place: its declaration. Not a gap in observation."""

    name: str
    text: str
    place: Place
    disposition: Disposition | None = None

    @property
    def is_open(self) -> bool:
        """True until it is accepted for good: `later` is a promise, not an acceptance."""
        return self.disposition is None or self.disposition.disposition == "later"


@dataclass(frozen=True, slots=True)
class CoverageReport:
    """The gaps of both directions.

    fields: number of fields in the EBR's list, None without ebr-fields.csv. stale: dispositions of gaps that do not exist.
    """

    gaps: tuple[CoverageGap, ...]
    fields: int | None
    stale: tuple[Disposition, ...]

    @property
    def open(self) -> tuple[CoverageGap, ...]:
        """Gaps without an acceptance."""
        return tuple(gap for gap in self.gaps if gap.is_open)


def report(line: Line) -> CoverageReport:
    """Find every gap of a line; those of the EBR's fields first."""
    return _report(
        line,
        (
            *_fields(line),
            *_parameters(line),
            *_bookings(line),
            *_steps(line),
            *_tags(line),
            *_queries(line),
            *_codes(line),
            *_operators(line),
        ),
    )


def unattributed(line: Line) -> CoverageReport:
    """Find the gaps that do not depend on what the EBR wants: who works at an equipment is asked of every record."""
    return _report(line, _operators(line))


def _report(line: Line, missing: Iterable[tuple[str, str, Place]]) -> CoverageReport:
    deviations = exceptions.names(line.sources, line.web)
    accepted = {disposition.gap: disposition for disposition in line.dispositions if disposition.gap not in deviations}
    gaps = tuple(CoverageGap(name, text, place, accepted.pop(name, None)) for name, text, place in missing)
    return CoverageReport(gaps, None if line.ebr_fields is None else len(line.ebr_fields), tuple(accepted.values()))


def problems(line: Line) -> list[Problem]:
    """List the gaps as problems for `check`: errors in production, where each gap needs an acceptance; stale acceptances always."""
    gap_report = report(line)
    stale = [row.place.problem(f"gap `{row.gap[:80]}` does not exist (any more)", "warning") for row in gap_report.stale]
    if line.line.environment != "production":
        return stale
    absent = (
        []
        if line.ebr_fields is not None
        else [Problem("ebr-fields.csv", None, "is missing: production compares the map with the EBR's own list")]
    )
    open_ = [gap.place.problem(f"gap `{gap.name}`: {gap.text}; dispositions.csv has no acceptance of it") for gap in gap_report.open]
    return stale + absent + open_


def text(gap_report: CoverageReport, *, with_accepted: bool = False) -> str:
    """Format the report for people: one line per open gap (or per gap), then the counts."""
    lines = [f"{_state(gap):15} {gap.name}: {gap.text}" for gap in gap_report.gaps if with_accepted or gap.is_open]
    kinds = Counter(gap.name.partition(":")[0] for gap in gap_report.gaps)
    counted = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "none"
    wanted = "no ebr-fields.csv: what the EBR wants is not known" if gap_report.fields is None else f"{gap_report.fields} fields of the EBR"
    return "\n".join(
        [*lines, f"gaps: {counted}; {len(gap_report.gaps) - len(gap_report.open)} accepted, {len(gap_report.open)} open; {wanted}"]
    )


def as_json(gap_report: CoverageReport) -> dict[str, Any]:
    """Format the report for programs."""
    gaps = [
        {
            "gap": gap.name,
            "text": gap.text,
            "file": gap.place.file,
            "line": gap.place.line,
            "disposition": None if gap.disposition is None else gap.disposition.disposition,
            "accepted_by": None if gap.disposition is None else gap.disposition.accepted_by,
        }
        for gap in gap_report.gaps
    ]
    return {"gaps": gaps, "open": len(gap_report.open), "fields": gap_report.fields, "stale": [row.gap for row in gap_report.stale]}


def decided(line: Line) -> list[dict[str, Any]]:
    """List every gap with who decided about it, and what production does by an acceptance alone; for people who look at a version."""
    gaps = [(gap.name, gap.text, gap.disposition, gap.is_open) for gap in report(line).gaps]
    known = {name for name, _, _, _ in gaps}
    named = exceptions.names(line.sources, line.web)
    gaps += [
        (row.gap, "what production refuses without it", row, False)
        for row in line.dispositions
        if row.gap in named and row.gap not in known
    ]
    return [
        {
            "gap": name,
            "text": text,
            "open": is_open,
            "disposition": None if row is None else row.disposition,
            "accepted_by": None if row is None else row.accepted_by,
            "accepted_on": None if row is None else row.accepted_on,
            "reason": None if row is None else row.reason,
        }
        for name, text, row, is_open in gaps
    ]


def _state(gap: CoverageGap) -> str:
    return "open" if gap.disposition is None else gap.disposition.disposition


Missing = Iterator[tuple[str, str, Place]]


def _fields(line: Line) -> Missing:
    """Find fields of the EBR that no parameter, booking or sampling fills."""
    filled = {row.ebr_field for row in line.parameters} | {row.ebr_field for row in (*line.materials, *line.samples)}
    for row in line.ebr_fields or ():
        if row.ebr_field not in filled:
            need = "required" if row.required else "optional"
            yield f"field:{row.ebr_field}", f"the EBR's {need} field {row.name or row.ebr_field} has no source", row.place


def _parameters(line: Line) -> Missing:
    for row in line.parameters:
        if row.ebr_field is None:
            yield f"parameter:{name_of(row)}", f"parameter {row.name or row.parameter} has no field of the EBR", row.place


def _bookings(line: Line) -> Missing:
    for kind, rows in (("booking", line.materials), ("sampling", line.samples)):
        for row in rows:
            if row.ebr_field is None:
                what = row.description or row.name
                yield f"{kind}:{row.equipment}/{row.name}", f"{kind} {what} has no field of the EBR", row.place


def _steps(line: Line) -> Missing:
    """Find steps of which the EBR gets nothing but start and end. The children of a step cover it."""
    spoken = {(row.equipment, row.step) for row in (*line.materials, *line.samples)}
    spoken |= {(row.equipment, row.step) for row in line.parameters} | {(step.equipment, step.parent) for step in line.steps}
    for step in line.steps:
        if (step.equipment, step.step) not in spoken:
            yield f"step:{step.equipment}/{step.step}", f"no parameter of step {step.description or step.step} is asked for", step.place
            spoken.add((step.equipment, step.step))


def _tags(line: Line) -> Missing:
    """Find tags of a declared criticality that nothing uses. `none` declares that the record does not need the tag."""
    used = set(_used_tags(line))
    for tag in line.tags:
        if tag.criticality != "none" and tag.tag not in used:
            yield f"tag:{tag.tag}", f"{tag.criticality} tag {tag.description or tag.tag} is in no step, parameter or identity", tag.place


def _used_tags(line: Line) -> Iterator[str]:
    for step in line.steps:
        yield from (tag for tag in (step.signal, step.key) if tag)
    for row in line.parameters:
        yield from tags_of(row)
    for equipment in line.equipment:
        yield from (name for key in SIGNALS if (name := getattr(equipment, key)) is not None)
        yield from (identity.tag for key in IDENTITIES if isinstance(identity := getattr(equipment, key), FromTag))
    yield from (alarm.tag for alarm in line.alarms)
    yield from _given_tags(line)
    for booked in (*line.materials, *line.samples):
        yield booked.trigger
        yield from (tag for _, tag in materials.tags_of(booked))


def _given_tags(line: Line) -> Iterator[str]:
    """Yield the tags of the columns that hold the laboratory's values."""
    queries = {sampling.name: sampling.results for sampling in line.samples}
    given = [row.given_by.rpartition(".") for row in line.parameters if row.given_by is not None]
    columns = {f"{queries.get(sampling)}.{column}" for sampling, _, column in given}
    yield from (tag.tag for tag in line.tags if f"{tag.source}.{tag.address}" in columns)


def tags_of(row: Parameter) -> Iterator[str]:
    """Yield every tag that a parameter is read from: its own, and those of `=tag` limits."""
    if row.tag is not None:
        yield row.tag
    for limit in (row.target, row.low, row.high, row.alert_low, row.alert_high):
        if limit is not None and limit.startswith("="):
            yield limit[1:]


def _queries(line: Line) -> Missing:
    """Find queries whose rows are read and then not used: no identity and no tag comes from them."""
    used = {value for equipment in line.equipment for key in IDENTITIES if (value := _row_of(getattr(equipment, key))) is not None}
    used |= {row.trigger for row in (*line.materials, *line.samples)} | {row.results for row in line.samples if row.results is not None}
    for index, source in enumerate(line.sources):
        heads = {tag.address.partition(".")[0] for tag in line.tags_of(source.name)}
        for path, name in _named(source):
            if f"{source.name}.{name}" not in used and name not in heads:
                place = Place("line.toml", line.places.get(("source", index, *path)))
                yield (
                    f"query:{source.name}.{name}",
                    f"rows of {source.name}.{name} are kept as messages, but no tag, identity, booking or sample comes from them",
                    place,
                )


def _row_of(identity: object) -> str | None:
    return identity.row if isinstance(identity, FromRow) else identity.known_in if isinstance(identity, FromTag | Pushed) else None


def _named(source: Source) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for key in ("query", "pattern"):
        tables = source.options.get(key, ())
        if isinstance(tables, list | tuple):
            yield from (((key, index), str(table.get("name"))) for index, table in enumerate(tables) if isinstance(table, Mapping))


def _codes(line: Line) -> Missing:
    """Find codes of an own state table without an ISA-88 state: the fold can not distinguish running from held by them."""
    for equipment in line.equipment:
        table = line.codes.get(equipment.states or "")
        if table is None or table.name in ("packml", "isa88", "phasemanager"):
            continue
        for code in table.codes.values():
            if code.state is None:
                yield f"code:{table.name}/{code.code}", f"{code.text} of {table.name} means no state", Place("codes.csv")


def _operators(line: Line) -> Missing:
    """Find equipments of which no source tells who works there: their steps name nobody."""
    for index, equipment in enumerate(line.equipment):
        if equipment.operator is None:
            place = place_of(line, ("equipment", index))
            yield f"operator:{equipment.name}", f"no source tells who works at {equipment.name}; its steps name nobody", place


def name_of(row: Parameter) -> str:
    """Name a parameter: equipment/step/parameter, with the recipe if the row is for one."""
    scope = f"[{row.recipe}{'@' + row.recipe_version if row.recipe_version else ''}]" if row.recipe else ""
    return f"{row.equipment}/{row.step or row.when}/{row.parameter}{scope}"
