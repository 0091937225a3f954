"""Makes objects of configuration, here and nowhere else: checks a folder whole, then makes the drivers of a line."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

import config
import drivers
from config import ConfigError, FromRow, Line, Place, Problem, Source, did_you_mean
from config.sections import MesSteps
from drivers import Driver, DriverMisconfigured, driver_class
from gateway.runtime import surroundings
from gateway.runtime.isolate import plain

Path_: TypeAlias = tuple[str | int, ...]


def check(folder: Path, given: Mapping[str, bytes] | None = None) -> tuple[Line | None, list[Problem]]:
    """Find every problem of a line folder at once, the drivers' own settings and addresses among them; no network.

    given: contents of its files, in place of those that lie there.
    Returns the line, or None if there is an error, and the problems in the order of files and lines, causes before what follows from them.
    """
    line, problems = config.read(folder, given)
    if line is None:  # what is wrong with the sources' own keys is told with the rest, all at once
        problems = _beside(problems, _settings_problems(folder, given))
    else:
        problems = problems + [problem for index, source in enumerate(line.sources) for problem in _check_source(line, index, source)]
        if not any(problem.severity == "error" for problem in problems):
            problems += _missing_columns(line)
        problems += surroundings.warnings(line)
        problems = sorted(set(problems), key=lambda problem: (problem.file, problem.line or 0, problem.message))
    return (None if any(problem.severity == "error" for problem in problems) else line), problems


def _settings_problems(folder: Path, given: Mapping[str, bytes] | None) -> list[Problem]:
    """Find what is wrong with the sources' own keys, where the folder has other errors; of an unknown driver these have told already."""
    known = set(drivers.names())
    of_each = (_check_settings(source, place) for source, place in config.sources(folder, given) if source.driver in known)
    return [problem for problems in of_each for problem in problems]


def _beside(problems: list[Problem], more: list[Problem]) -> list[Problem]:
    """Put further problems of line.toml to those that there are, by line; the order of the files stays."""
    at = next((number for number, problem in enumerate(problems) if problem.file == "line.toml"), 0)
    mine = sorted({*more, *(p for p in problems if p.file == "line.toml")}, key=lambda problem: (problem.line or 0, problem.message))
    others = [problem for problem in problems if problem.file != "line.toml"]
    return [*others[:at], *mine, *others[at:]]


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
    place = partial(_place_below, line, ("source", index))
    if problems := _check_settings(source, place):
        return problems
    try:
        return driver_class(source.driver).check(source, line.tags_of(source.name))
    except DriverMisconfigured as error:
        return [place(()).problem(str(error))]
    except Exception as error:  # noqa: BLE001 - a driver's bug, or a file that its library can not read
        return [place(()).problem(f"source {source.name} can not be checked: {type(error).__name__}: {plain(error)}")]


def _place_below(line: Line, table: Path_, path: Path_) -> Place:
    """Find the place of a key below a table of line.toml."""
    return config.place_of(line, (*table, *path))


def _check_settings(source: Source, place: Callable[[Path_], Place]) -> list[Problem]:
    """Find what is wrong with a source's own keys: its driver's name, then its settings key by key."""
    try:
        kind = driver_class(source.driver)
    except DriverMisconfigured as error:
        return [place(("driver",)).problem(str(error))]
    try:
        kind.Settings.model_validate(source.options)
    except ValidationError as error:
        return [place(detail["loc"]).problem(_setting_problem(source, kind, detail)) for detail in error.errors()]
    return []


def _setting_problem(source: Source, kind: type[Driver], detail: ErrorDetails) -> str:
    """Write one error of a driver's settings for the person who wrote the file."""
    name = _name_of(source, detail["loc"])
    if detail["type"] == "extra_forbidden":
        return f"unknown key {name} for driver {source.driver}"
    if detail["type"] == "value_error":  # a sentence of the driver's
        return f"{name}: {detail['ctx']['error']}" if name else str(detail["ctx"]["error"])
    if detail["type"] == "too_short":
        return f"{name}: at least {detail['ctx']['min_length']} is needed"
    if detail["type"] == "missing":
        return f"key {name} is missing{_meant(kind, detail['loc'])}"
    return f"{name}: {detail['msg'][0].lower()}{detail['msg'][1:]}"


def _name_of(source: Source, path: Path_) -> str:
    """Name a key of a source; a table of a list by its own name, where it has one: `pattern orders: decimal`."""
    named, value = "", cast(Any, source.options)
    for part in path:
        there = part in value if isinstance(value, Mapping) else isinstance(value, list | tuple)
        value = value[part] if there else {}
        own = value.get("name") if isinstance(part, int) and isinstance(value, Mapping) else None
        named += f" {own}: " if isinstance(own, str) else f"{'.' if named and not named.endswith(' ') else ''}{part}"
    return named.strip()


def _meant(kind: type[Driver], path: Path_) -> str:
    """List the values that a key of the driver may have, where there is a list."""
    field = kind.Settings.model_fields.get(str(path[0])) if len(path) == 1 else None
    words = get_args(field.annotation) if field is not None and get_origin(field.annotation) is Literal else ()
    return f": {', '.join(map(str, words))}" if words else ""
