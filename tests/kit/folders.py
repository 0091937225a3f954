"""A line folder's problems, as texts."""

from pathlib import Path

import config


def errors(folder: Path) -> list[str]:
    line, problems = config.read(folder)
    found = [str(problem) for problem in problems if problem.severity == "error"]
    assert (line is None) == bool(found)
    return found


def warnings(folder: Path) -> list[str]:
    line, problems = config.read(folder)
    assert line is not None
    return [str(problem) for problem in problems]


def line_of(folder: Path, file: str, text: str) -> int:
    return next(number for number, line in enumerate((folder / file).read_text("utf-8").splitlines(), 1) if text in line)
