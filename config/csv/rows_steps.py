"""Turns the rows of steps.csv and parameters.csv into objects: each cell by itself."""

from config.csv.cells import NAME, Cells, each
from config.csv.columns import PARAMETERS, STEPS
from config.csv.tables import TableReport
from config.line import Parameter, Step


def steps(data: bytes, report: TableReport) -> list[Step]:
    """Read steps.csv."""
    return list(each(data, STEPS, report, _step))


def _step(row: Cells) -> Step:
    level = row.must_choice("level")
    return Step(
        step=row.must("step", pattern=NAME),
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
        place=row.place,
    )


def parameters(data: bytes, report: TableReport) -> list[Parameter]:
    """Read parameters.csv. Conversions are added by the checks, which have the tags."""
    return list(each(data, PARAMETERS, report, _parameter))


def _parameter(row: Cells) -> Parameter:
    statistic = row.must_choice("statistic")
    return Parameter(
        parameter=row.must("parameter", pattern=NAME),
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
        max_window_s=row.number("max_window_s", 0, 1_000_000),
        required=row.flag("required", default=True),
        criticality=row.choice("criticality", "none"),
        origin=row.choice("origin", "automatic"),
        origin_given=row.text("origin") is not None,
        given_by=row.text("given_by"),
        description=row.text("description"),
        place=row.place,
    )
