"""The closed grammar of `active` in steps.csv: it says at which values of a signal a step runs.

    active      = alternative *( "|" alternative )
    alternative = integer | integer ".." integer | "true" | "false" | name | '"' text '"'

A name is a text of the signal's code table, or the value itself where the signal is a string.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_LENGTH = 1000

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_RANGE = re.compile(r"([+-]?[0-9]{1,18})\s*\.\.\s*([+-]?[0-9]{1,18})")
_NAME = re.compile(r"[^\W\d][\w .:/-]*")
_PART = re.compile(r'\s*("[^"]*"|[^"|]*)\s*(\||$)')


class ActiveError(ValueError):
    """Not in the grammar; the text says why."""


@dataclass(frozen=True, slots=True)
class Active:
    """A parsed `active`. ranges: inclusive; a single value is a range of one. flags: of a bool signal. names: as written."""

    ranges: tuple[tuple[int, int], ...] = ()
    flags: tuple[bool, ...] = ()
    names: tuple[str, ...] = ()

    def matches(self, value: Any, names: Mapping[str, int]) -> bool:
        """True if this value of the signal means that the step runs.

        names: text -> code, of the signal's table. A value None (a Bad reading) never matches.
        """
        if isinstance(value, bool):
            return value in self.flags
        if isinstance(value, str):
            return value in self.names
        if value is None:
            return False
        return any(low <= value <= high for low, high in self.ranges) or any(names.get(name) == value for name in self.names)


def parse(text: str) -> Active:
    """Parse `30..39|50` into an Active. Raises ActiveError."""
    if len(text) > MAX_LENGTH:
        raise ActiveError(f"longer than {MAX_LENGTH} characters")
    ranges: list[tuple[int, int]] = []
    flags: list[bool] = []
    names: list[str] = []
    for part in _parts(text):
        if part in ("true", "false"):
            flags.append(part == "true")
        elif _INTEGER.fullmatch(part):
            ranges.append((int(part), int(part)))
        elif span := _RANGE.fullmatch(part):
            ranges.append(_span(int(span[1]), int(span[2])))
        else:
            names.append(_name(part))
    return Active(tuple(ranges), tuple(flags), tuple(names))


def format(active: Active) -> str:  # noqa: A001 - the pair of parse
    """Write a condition as text that parses to an equal one."""
    parts = [str(low) if low == high else f"{low}..{high}" for low, high in active.ranges]
    parts += ["true" if flag else "false" for flag in active.flags]
    parts += [name if _is_plain(name) else f'"{name}"' for name in active.names]
    return "|".join(parts)


def _is_plain(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and name == name.strip() and name not in ("true", "false")


def _parts(text: str) -> list[str]:
    parts: list[str] = []
    at = 0
    while True:
        match = _PART.match(text, at)
        if match is None:
            raise ActiveError(f"`{text}`: a quotation mark is missing, or stands inside a name")
        parts.append(match[1].strip())
        at = match.end()
        if match[2] == "":
            return parts


def _span(low: int, high: int) -> tuple[int, int]:
    if low > high:
        raise ActiveError(f"`{low}..{high}` holds nothing, write `{high}..{low}`")
    return low, high


def _name(part: str) -> str:
    if part == "":
        raise ActiveError("a value is missing: write values, 30..39, true, names, joined by |")
    if part.startswith('"'):
        if len(part) < 3:
            raise ActiveError('`""` is no name')
        return part[1:-1]
    if not _NAME.fullmatch(part):
        raise ActiveError(f"`{part}` is neither a value, nor 30..39, nor true or false, nor a name")
    return part
