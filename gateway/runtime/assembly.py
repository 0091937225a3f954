"""Makes objects of configuration, here and nowhere else: checks a folder whole, then makes the drivers of a line."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

import config
from config import ConfigError, FromRow, Line, Problem, Source, did_you_mean
from config.sections import MesSteps
from drivers import Driver, DriverMisconfigured, driver_class
from gateway.runtime import surroundings
from gateway.runtime.isolate import plain


def check(folder: Path, given: Mapping[str, bytes] | None = None) -> tuple[Line | None, list[Problem]]:
    """Find every problem of a line folder at once, the drivers' own settings and addresses among them; no network.

    given: contents of its files, in place of those that lie there.
    Returns the line, or None if there is an error, and the problems in the order of files and lines, causes before what follows from them.
    """
    line, problems = config.read(folder, given)
    if line is not None:
        problems = problems + [problem for index, source in enumerate(line.sources) for problem in _check_source(line, index, source)]
        if not any(problem.severity == "error" for problem in problems):
            problems += _missing_columns(line)
        problems += surroundings.warnings(line)
        problems = sorted(set(problems), key=lambda problem: (problem.file, problem.line or 0, problem.message))
    return (None if any(problem.severity == "error" for problem in problems) else line), problems


def load(folder: Path) -> Line:
    """Read the line of a folder without errors, with its warnings. Raises ConfigError."""
    line, problems = check(folder)
    if line is None:
        raise ConfigError(problems)
    return replace(line, warnings=tuple(problems))


def drivers_of(line: Line) -> list[tuple[Source, Driver]]:
    """Make one driver per source. Raises DriverMisconfigured."""
    return [(source, driver_class(source.driver)(source, line.tags_of(source.name))) for source in line.sources]


def _missing_columns(line: Line) -> Iterator[Problem]:
    """Find columns that an equipment reads from a row whose query does not give them: its identity would stay empty for ever."""
    sources = {source.name: source for source in line.sources}
    for index, equipment in enumerate(line.equipment):
        for key, how in equipment:
            if not isinstance(how, FromRow | MesSteps):
                continue
            name, _, query = how.row.partition(".")
            given = driver_class(sources[name].driver).row_columns(sources[name], query)
            for member, column in how.columns():
                if given is not None and column.lower() not in (one.lower() for one in given):
                    text = f"{key}: {member}: query {how.row} gives no column `{column[:60]}`{did_you_mean(column, given)}"
                    place = config.place_of(line, ("equipment", index, key, member))
                    yield place.problem(f"{text} (its SELECT gives {', '.join(given)})")


def _check_source(line: Line, index: int, source: Source) -> list[Problem]:
    """Find what is wrong with a source: its driver's name, then its settings key by key, then what the driver itself checks."""
    place = config.place_of(line, ("source", index))
    try:
        kind = driver_class(source.driver)
    except DriverMisconfigured as error:
        return [config.place_of(line, ("source", index, "driver")).problem(str(error))]
    try:
        kind.Settings.model_validate(source.options)
    except ValidationError as error:
        return [_settings_problem(line, index, detail) for detail in error.errors()]
    try:
        return kind.check(source, line.tags_of(source.name))
    except DriverMisconfigured as error:
        return [place.problem(str(error))]
    except Exception as error:  # noqa: BLE001 - a driver's bug, or a file that its library can not read
        return [place.problem(f"source {source.name} can not be checked: {type(error).__name__}: {plain(error)}")]


def _settings_problem(line: Line, index: int, detail: ErrorDetails) -> Problem:
    """Put one error of a driver's settings at its place in line.toml."""
    path = detail["loc"]
    where = config.place_of(line, ("source", index, *path))
    name = ".".join(str(part) for part in path)
    if detail["type"] == "extra_forbidden":
        return where.problem(f"unknown key {name} for driver {line.sources[index].driver}")
    if detail["type"] == "value_error":  # a sentence of the driver's
        return where.problem(f"{name}: {detail['ctx']['error']}" if name else str(detail["ctx"]["error"]))
    if detail["type"] == "too_short":
        return where.problem(f"{name}: at least {detail['ctx']['min_length']} is needed")
    return where.problem(f"{name}: {detail['msg'][0].lower()}{detail['msg'][1:]}")
