"""A problem of a line folder with its place: `file:line: message`."""

import difflib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One readable line: `file:line: message`. line is None where the whole file is meant."""

    file: str
    line: int | None
    message: str
    severity: Severity = "error"

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{where}: {self.message}"


@dataclass(frozen=True, slots=True)
class Place:
    """The file and line where something was written."""

    file: str
    line: int | None = None

    def problem(self, message: str, severity: Severity = "error") -> Problem:
        """Make a problem at this place."""
        return Problem(self.file, self.line, message, severity)


MAX_PROBLEMS = 1000
"""Problems of each severity that are listed of a file; the rest is counted."""


def bounded(problems: Iterable[Problem]) -> list[Problem]:
    """Keep the first MAX_PROBLEMS of each severity, and say how many more there are: as an error of errors, as a warning of warnings.

    Whoever has a thousand warnings can still start, and an error behind a thousand warnings is still seen.
    """
    kept: list[Problem] = []
    found = Counter[Severity]()
    dropped: dict[Severity, Problem] = {}
    for problem in problems:
        found[problem.severity] += 1
        if found[problem.severity] <= MAX_PROBLEMS:
            kept.append(problem)
        else:
            dropped.setdefault(problem.severity, problem)
    return kept + [rest(first.file, found[severity] - MAX_PROBLEMS, severity) for severity, first in dropped.items()]


def rest(file: str, count: int, severity: Severity) -> Problem:
    """Make the problem that stands for those that are not listed."""
    what = "problems" if severity == "error" else "warnings"
    return Problem(file, None, f"and {count} more {what} in this file", severity)


class ConfigError(Exception):
    """The folder can not be used; `problems` holds all of them, errors and warnings."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Suggest the nearest known name as `, did you mean ...?`; the empty text if none is near. One that begins the name comes first."""
    folded, typed = {other.casefold(): other for other in known}, name[:100].casefold()
    close = sorted(difflib.get_close_matches(typed, folded, cutoff=0.6), key=lambda other: not typed.startswith(other))
    return f", did you mean `{folded[close[0]]}`?" if close else ""
