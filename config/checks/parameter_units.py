"""Units of a parameter: two numbers are compared in one unit, whatever units they are read in.

The value is converted into the parameter's unit, and so is each target or limit that is read from a tag. Time above or below a line is
another thing: there `low` and `high` are compared with the readings themselves, so they are wanted in the tag's unit.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from config.line import LimitConversion, Parameter, Tag
from config.problem import Problem
from config.units import units
from config.units.scaling import Scaling, scaling_of

LIMITS = ("low", "high", "target", "alert_low", "alert_high")
IN_SECONDS = frozenset({"duration", "time_above", "time_below", "time_outside"})
BY_THRESHOLD = frozenset({"time_above", "time_below", "time_outside"})
DIFFERENCES = frozenset({"range", "stdev", "delta", "total"})


def natural_unit(statistic: str, tag: Tag | None) -> tuple[str | None, bool]:
    """Give the UCUM code of a statistic as computed (None: no unit known), and True if it is a difference.

    A difference is converted without the offset of its unit: 5 K of range are 5 Cel.
    """
    if statistic in IN_SECONDS:
        return "s", False
    if statistic == "count_changes":
        return "1", False
    if tag is None or tag.unit is None:
        return None, False
    if statistic == "integral":
        return units.product(tag.unit, "s"), True
    return tag.unit, statistic in DIFFERENCES


def value_unit(row: Parameter, tag: Tag | None) -> str | None:
    """Give the UCUM code of the value in the record: the row's own, else that in which the statistic is computed."""
    return row.unit or natural_unit(row.statistic, tag)[0]


def limit_unit(row: Parameter, tag: Tag | None) -> str | None:
    """Give the UCUM code of target and limits: the value's; of a time above or below them that of the readings they are compared with."""
    if row.statistic in BY_THRESHOLD:
        return None if tag is None else tag.unit
    return value_unit(row, tag)


def with_conversions(row: Parameter, tags: Mapping[str, Tag]) -> Parameter:
    """Add to a parameter the scaling of its statistic into `unit`, and of each limit's tag into the unit of limits. Raises UnitError."""
    tag = tags.get(row.tag or "")
    code, is_difference = natural_unit(row.statistic, tag)
    conversion = _scaling(code, row.unit, is_difference=is_difference)
    read = [(column, tags[text[1:]]) for column, text in _read_limits(row) if text[1:] in tags]
    limits = [
        LimitConversion(column, limit.unit, scaling)
        for column, limit in read
        if limit.unit is not None and (scaling := _scaling(limit.unit, limit_unit(row, tag), is_difference=is_difference)) is not None
    ]
    return row if conversion is None and not limits else replace(row, conversion=conversion, limit_conversions=tuple(limits))


def limit_problems(row: Parameter, tags: Mapping[str, Tag]) -> Iterable[Problem]:
    """Yield each target and limit whose tag can not be compared with the value: another dimension, or a unit that nobody wrote."""
    tag = tags.get(row.tag or "")
    for column, text in _read_limits(row):
        limit = tags.get(text[1:])
        if limit is not None and (reason := _incomparable(limit, limit_unit(row, tag), row)) is not None:
            yield row.place.problem(f"{column}: {reason}")


def _read_limits(row: Parameter) -> list[tuple[str, str]]:
    texts = ((column, getattr(row, column)) for column in LIMITS)
    return [(column, text) for column, text in texts if text is not None and text.startswith("=")]


def _incomparable(limit: Tag, unit: str | None, row: Parameter) -> str | None:
    """Say why a limit's tag can not be compared in this unit. A bare number is compared with bare numbers alone."""
    if limit.unit is None:
        return None if unit in (None, "1") else f"tag `{limit.tag}` has no unit, but is compared in {unit}: write its unit in the tag map"
    if unit is None:
        what = f"tag `{row.tag}`" if row.tag is not None else f"parameter `{row.parameter}`"
        return None if limit.unit == "1" else f"tag `{limit.tag}` is in {limit.unit}, but {what} has no unit: write it"
    try:
        units.between(limit.unit, unit)
    except units.UnitError as error:
        return f"tag `{limit.tag}`: {error}"
    return None


def _scaling(code: str | None, unit: str | None, *, is_difference: bool) -> Scaling | None:
    """Make the scaling from one unit into another; None where there is nothing to convert."""
    if code is None or unit is None or code == unit:
        return None
    slope, intercept = units.between(code, unit)
    intercept = intercept * 0 if is_difference else intercept
    return None if slope == 1 and intercept == 0 else scaling_of(slope, intercept, is_integer=False)
