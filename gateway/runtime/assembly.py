"""Makes objects of configuration, here and nowhere else: checks a folder whole, then makes the drivers of a line."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

import config
from config import ConfigError, Credential, Line, Problem, Source, Uplink, credentials
from config.sections import Tls
from drivers import Driver, DriverMisconfigured, driver_class


def check(folder: Path) -> tuple[Line | None, list[Problem]]:
    """Find every problem of a line folder at once, the drivers' own settings and addresses among them; no network.

    Returns the line, or None if there is an error, and the problems in the order of files and lines.
    """
    line, problems = config.read(folder)
    if line is not None:
        problems = problems + [problem for index, source in enumerate(line.sources) for problem in _check_source(line, index, source)]
        problems += [problem for index, uplink in enumerate(line.uplinks) for problem in _missing_files(line, index, uplink)]
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


def _missing_files(line: Line, index: int, uplink: Uplink) -> Iterator[Problem]:
    """Warn of files that an uplink names and that are not there: it is refused until they come, and the line runs without it."""
    for key, name in (uplink.tls or Tls()).model_dump(exclude_none=True).items():
        if isinstance(name, str) and not (line.folder / name).is_file():
            text = f"{key} `{name}` is not there: uplink {uplink.name} is refused until it is"
            yield config.place_of(line, ("uplink", index, "tls")).problem(text, "warning")
    secrets = {"password": uplink.password, "tls": uplink.tls and uplink.tls.key}
    for key, secret in secrets.items():
        if isinstance(secret, Credential):
            try:
                credentials.path(secret, line.folder)
            except credentials.CredentialMissing as error:
                text = f"{error}: uplink {uplink.name} is refused until it is (systemd gives credentials to the service alone)"
                yield config.place_of(line, ("uplink", index, key)).problem(text, "warning")


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


def _settings_problem(line: Line, index: int, detail: ErrorDetails) -> Problem:
    """Put one error of a driver's settings at its place in line.toml."""
    path = detail["loc"]
    where = config.place_of(line, ("source", index, *path))
    name = ".".join(str(part) for part in path)
    if detail["type"] == "extra_forbidden":
        return where.problem(f"unknown key {name} for driver {line.sources[index].driver}")
    return where.problem(f"{name}: {detail['msg']}")
