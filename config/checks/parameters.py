"""Check parameters.csv against tags, steps and units."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from itertools import pairwise

from config.checks.materials import queries
from config.checks.parameter_units import LIMITS, limit_problems, natural_unit, value_unit, with_conversions
from config.checks.parsed_folder import ParsedFolder, unknown_tag
from config.csv.columns import NUMBERS
from config.line import Parameter, Tag
from config.problem import Problem, did_you_mean
from config.units import units

WITHOUT_TAG = frozenset({"duration"})
OF_ANY_TYPE = frozenset({"value_at_start", "value_at_end", "first", "last", "count_changes", "sample", "trend", "duration"})
SINGLE_READINGS = frozenset({"value_at_start", "value_at_end", "first", "last", "sample", "delta"})


def check(parts: ParsedFolder, tags: Mapping[str, Tag]) -> Iterable[Problem]:
    """Yield the problems of every row; give the rows their conversions."""
    equipment = parts.equipment_names
    steps = {(step.equipment, step.step): step for step in parts.steps}
    seen: dict[tuple[str | None, ...], Parameter] = {}
    columns = dict(queries(parts))
    for index, row in enumerate(parts.parameters):
        identity = (row.parameter, row.equipment, row.step, row.recipe, row.recipe_version)
        if (other := seen.setdefault(identity, row)) is not row:
            yield row.place.problem(f"parameter `{row.parameter}` stands already in line {other.place.line} for the same step and recipe")
        if row.equipment not in equipment:
            yield row.place.problem(f"unknown equipment `{row.equipment[:60]}`{did_you_mean(row.equipment, equipment)}")
        if row.step is not None and (row.equipment, row.step) not in steps and not parts.was_rejected("steps.csv", row.step):
            names = [name for of, name in steps if of == row.equipment]
            yield row.place.problem(f"`{row.step[:60]}` is no step of {row.equipment}{did_you_mean(row.step, names)}")
        if row.tag is not None:
            yield from unknown_tag(parts, row, "tag", row.tag, tags)
        yield from _scope(row)
        yield from _event(parts, row)
        yield from _statistic(row, tags)
        yield from _origin(row, tags)
        yield from _window(row)
        yield from _given(parts, row, columns)
        yield from _limits(parts, row, tags)
        yield from _unit(parts, index, row, tags)
    yield from _fields(parts)
    yield from _against_the_ebr(parts, tags)


def _fields(parts: ParsedFolder) -> Iterable[Problem]:
    """Refuse a field of the EBR that two parameters fill; several rows of one parameter may differ by recipe."""
    owners: dict[str, Parameter] = {}
    for row in parts.parameters:
        if row.ebr_field is None:
            continue
        other = owners.setdefault(row.ebr_field, row)
        if (other.parameter, other.equipment, other.step) != (row.parameter, row.equipment, row.step):
            yield row.place.problem(f"ebr_field `{row.ebr_field[:60]}` is filled already by `{other.parameter}` in line {other.place.line}")


def _against_the_ebr(parts: ParsedFolder, tags: Mapping[str, Tag]) -> Iterable[Problem]:
    """Check against the EBR's own list, if there is one: the field exists, and the value comes in the unit that it wants."""
    fields = {field.ebr_field: field for field in parts.ebr_fields}
    for row in parts.parameters if fields else ():
        field = fields.get(row.ebr_field or "")
        if field is None and row.ebr_field is not None and not parts.was_rejected("ebr-fields.csv", row.ebr_field):
            yield row.place.problem(
                f"ebr_field `{row.ebr_field[:60]}` does not stand in ebr-fields.csv{did_you_mean(row.ebr_field, list(fields))}"
            )
        elif field is not None and field.unit is not None:
            tag = tags.get(row.tag or "")
            given = value_unit(row, tag)
            if given is not None and field.unit != given:
                yield row.place.problem(_unit_of_the_ebr(field.unit, given))
            elif given is None and field.unit != "1" and tag is not None and tag.type in NUMBERS:
                yield row.place.problem(f"unit: the EBR wants `{field.unit}`, but nothing says in which unit `{tag.tag}` is")


def _unit_of_the_ebr(wanted: str, given: str) -> str:
    try:
        units.between(given, wanted)
    except units.UnitError as error:
        return f"unit: {error}, which ebr-fields.csv says"
    return f"unit: the EBR wants `{wanted}`, not `{given}`; write it, and the value is converted"


def _scope(row: Parameter) -> Iterable[Problem]:
    if row.recipe_version is not None and row.recipe is None:
        yield row.place.problem("recipe_version needs a recipe")
    if row.step is None and row.when in ("step", "run", "operation"):
        yield row.place.problem(f"step is empty, but `when` is {row.when}; write a step, or when = batch")


def _event(parts: ParsedFolder, row: Parameter) -> Iterable[Problem]:
    """Check a parameter that reads a tag at an event: an alarm, a booking or a sample."""
    if row.when != "event":
        if row.event is not None:
            yield row.place.problem("event stands there, but `when` is not event")
        return
    kind, _, name = (row.event or "").partition(":")
    known = {
        "alarm": [alarm.alarm for alarm in parts.alarms],
        "material": [booking.name for booking in parts.materials],
        "sample": [sampling.name for sampling in parts.samples],
    }
    if kind not in known or not name:
        yield row.place.problem("when is event: write in `event` which one, as alarm:NAME, material:NAME or sample:NAME")
    elif name not in known[kind] and not parts.was_rejected(f"{kind}s.csv", name):
        yield row.place.problem(f"event: unknown {kind} `{name[:60]}`{did_you_mean(name, known[kind])}")
    if row.statistic != "value_at_start":
        yield row.place.problem(f"statistic {row.statistic}: at an event only value_at_start has a meaning, what stands at that instant")
    if row.step is not None or row.skip_first_s or row.include == "running":
        yield row.place.problem("step, skip_first_s and include have no meaning at an event")


def _origin(row: Parameter, tags: Mapping[str, Tag]) -> Iterable[Problem]:
    """A value is entered by a person or it is not: row and tag map must not say both."""
    tag = tags.get(row.tag or "")
    if tag is None or tag.value_origin is None:
        return
    is_typed = tag.value_origin in ("manual", "transcribed")
    if row.origin == "entered-at-source" and not is_typed:
        said = f"origin entered-at-source, and value_origin of `{tag.tag}` is {tag.value_origin} ({tag.place.file}:{tag.place.line})"
        yield row.place.problem(f"{said}: a person enters it, or none does; write the same in both")
    if row.origin_given and row.origin == "automatic" and is_typed:
        said = f"origin automatic, and value_origin of `{tag.tag}` is {tag.value_origin} ({tag.place.file}:{tag.place.line})"
        yield row.place.problem(f"{said}: write entered-at-source, or leave the cell empty")


def _statistic(row: Parameter, tags: Mapping[str, Tag]) -> Iterable[Problem]:
    if row.tag is None and row.statistic not in WITHOUT_TAG and row.origin in ("automatic", "entered-at-source"):
        yield row.place.problem(f"statistic {row.statistic} needs a tag")
    tag = tags.get(row.tag or "")
    if tag is not None and row.statistic not in OF_ANY_TYPE and tag.type not in NUMBERS:
        yield row.place.problem(f"statistic {row.statistic} needs a number, but `{tag.tag}` is {tag.type}")
    for statistic, needed in (("time_above", ("high",)), ("time_below", ("low",)), ("time_outside", ("low", "high"))):
        if row.statistic == statistic:
            for column in needed:
                if getattr(row, column) is None and row.limit_source in ("none", "map", "tag"):
                    yield row.place.problem(f"statistic {statistic} needs `{column}`: the line above or below which time counts")
    if tag is not None and tag.aggregate is not None and row.required and row.statistic not in ("value_at_end", "last", "sample"):
        yield row.place.problem(
            f"`{tag.tag}` is averaged at its source ({tag.aggregate[0]}): no {row.statistic} of a step comes from it", "warning"
        )


def _window(row: Parameter) -> Iterable[Problem]:
    """Warn of a `max_window_s` that accepts nothing: what lies in the window is not covered, and all must be."""
    over_time = row.statistic not in SINGLE_READINGS | WITHOUT_TAG
    if row.max_window_s and over_time and row.min_covered in {None, 1.0}:
        message = f"max_window_s accepts no {row.statistic} as long as all of the longest possible step must be covered; write min_covered"
        yield row.place.problem(message, "warning")


GIVEN = frozenset({"sample", "last", "first", "min", "max", "mean"})


def _given(parts: ParsedFolder, row: Parameter, sql_of: Mapping[str, str | None]) -> Iterable[Problem]:
    """Check where the laboratory's value stands: a sampling with results, and a column of them."""
    if row.given_by is None:
        return
    sampling, _, column = row.given_by.rpartition(".")
    if row.origin != "by-lims" or row.tag is not None:
        yield row.place.problem("given_by is for a value of the laboratory: origin = by-lims, and no tag")
    if row.statistic not in GIVEN:
        yield row.place.problem(f"statistic {row.statistic}: of results of samples write one of {', '.join(sorted(GIVEN))}")
    if row.when == "event":
        yield row.place.problem("given_by: what stands at an event is no result of the laboratory")
    if not sampling or not column:
        yield row.place.problem(f"given_by `{row.given_by[:60]}`: sampling.column is meant, as drying.lod")
        return
    queries_of = {each.name: each.results for each in parts.samples}
    if sampling not in queries_of:
        if not parts.was_rejected("samples.csv", sampling):
            yield row.place.problem(f"given_by: unknown sampling `{sampling[:60]}`{did_you_mean(sampling, list(queries_of))}")
    elif (query := queries_of[sampling]) is None:
        yield row.place.problem(f"given_by: sampling `{sampling}` has no `results` in samples.csv")
    elif (sql := sql_of.get(query)) is not None and "*" not in sql and column not in sql:
        yield row.place.problem(f"given_by: query `{query}` selects no column `{column[:60]}`")


def _limits(parts: ParsedFolder, row: Parameter, tags: Mapping[str, Tag]) -> Iterable[Problem]:
    written = {column: value for column in LIMITS if (value := getattr(row, column)) is not None}
    for column, value in written.items():
        if value.startswith("="):
            tag = tags.get(value[1:])
            if tag is None and parts.was_rejected("tags.csv", value[1:]):
                continue
            if tag is None:
                yield row.place.problem(
                    f"{column}: unknown tag `{value[1:81]}`{did_you_mean(value[1:], list(tags)) if len(tags) < 2000 else ''}"
                )
            elif tag.type not in NUMBERS:
                yield row.place.problem(f"{column}: `{tag.tag}` is {tag.type}, a limit is a number")
    numbers = {column: Decimal(value) for column, value in written.items() if not value.startswith("=")}
    in_order = [column for column in ("low", "alert_low", "target", "alert_high", "high") if column in numbers]
    for one, other in pairwise(in_order):
        if numbers[one] > numbers[other]:
            yield row.place.problem(f"{one} {written[one]} is above {other} {written[other]}")
    if any(written.get(column, "").startswith("=") for column in ("low", "high")) and row.limit_source == "map":
        yield row.place.problem("limits that are read from a tag need limit_source tag")
    judged = row.statistic not in ("time_above", "time_below", "time_outside")
    if row.limit_source == "none" and judged and (row.low is not None or row.high is not None):
        yield row.place.problem("low and high stand there, but limit_source is none: nothing is judged", "warning")
    if row.limit_source in ("map", "tag") and row.low is None and row.high is None:
        yield row.place.problem(f"limit_source is {row.limit_source}, but neither low nor high stands there")


def _unit(parts: ParsedFolder, index: int, row: Parameter, tags: Mapping[str, Tag]) -> Iterable[Problem]:
    tag = tags.get(row.tag or "")
    if (
        row.unit is not None
        and tag is not None
        and tag.unit is None
        and natural_unit(row.statistic, tag)[0] is None
        and tag.type in NUMBERS
    ):
        yield row.place.problem(f"unit is {row.unit}, but tag `{tag.tag}` has no unit")
    unlike = list(limit_problems(row, tags))
    yield from unlike
    try:
        parts.parameters[index] = row if unlike else with_conversions(row, tags)
    except units.UnitError as error:
        yield row.place.problem(f"unit: {error}")
