"""Reads the text of a TOML file: its keys, each with its line. It needs no model, so that who asks for one key has it at once."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from config.problem import Place, Problem
from config.toml.toml_positions import MOST_DEEP, TooDeep, positions

Path_ = tuple[str | int, ...]


@dataclass(slots=True)
class Document:
    """A parsed TOML file, with the problems so far."""

    file: str
    data: Mapping[str, Any] = field(default_factory=dict)
    lines: Mapping[Path_, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def place(self, path: Path_) -> Place:
        """Find the line of a key, or of the nearest key around it. Parts that are no keys (a union's tag) are skipped."""
        nearest: Path_ = ()
        for part in path:
            if (*nearest, part) in self.lines:
                nearest = (*nearest, part)
        return Place(self.file, self.lines.get(nearest))

    def error(self, path: Path_, message: str) -> None:
        """Report an error at a key."""
        self.problems.append(self.place(path).problem(message))

    def warning(self, path: Path_, message: str) -> None:
        """Report, at a key, a use that is allowed but doubtful."""
        self.problems.append(self.place(path).problem(message, "warning"))


def parse(file: str, data: bytes) -> Document:
    """Parse a TOML file; its problems report errors in the text."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return _broken(file, data.count(b"\n", 0, error.start) + 1, "not UTF-8: TOML is always UTF-8")
    try:
        return Document(file, tomllib.loads(text), positions(text))
    except tomllib.TOMLDecodeError as error:
        return _broken(file, *_syntax(str(error)))
    except TooDeep as error:
        return _broken(file, error.line, f"nested too deeply: a key has at most {MOST_DEEP} parts")
    except RecursionError:
        return _broken(file, None, "nested too deeply")
    except ValueError:  # Python reads no integer of more than 4,300 digits
        return _broken(file, None, "a number in this file is too long to be one")


parse_toml = parse
"""The same, as other packages name it: for a file of the folder that is no part of the configuration."""


def _syntax(message: str) -> tuple[int | None, str]:
    """Split tomllib's message `... (at line 3, column 7)` into line and reason."""
    head, separator, tail = message.rpartition(" (at line ")
    if not separator:
        return None, f"not TOML: {message}"
    return int(tail.split(",")[0]), f"not TOML: {head}"


def _broken(file: str, line: int | None, message: str) -> Document:
    return Document(file, problems=[Problem(file, line, message)])
