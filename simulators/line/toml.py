"""Changes single values of a TOML text and leaves everything else as it was written, comments included."""

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any

Place = tuple[str, int | None]
"""A table: ("line", None) is [line], ("source", 2) the third [[source]]."""

Setting = str | int | list[str] | dict[str, str] | None
"""A new value; None takes the key away."""

_HEADER = re.compile(r"^\s*(\[\[?)\s*([A-Za-z0-9_.-]+)\s*\]\]?\s*(#.*)?$")


class NotEditable(Exception):
    """The text writes a table in a way that this editor can not change."""


def edited(text: str, changes: Mapping[Place, Mapping[str, Setting]]) -> str:
    """Set keys of tables to new values in the text. Raises NotEditable if the result would not mean exactly that."""
    lines, result = text.removesuffix("\n").split("\n"), list[str]()
    counts: dict[str, int] = {}
    pending: dict[str, Setting] = {}
    at = 0
    while at < len(lines):
        if header := _HEADER.match(lines[at]):
            result += _added(pending)
            place = _place(header, counts)
            pending = dict(changes.get(place, {}))
        key = next((key for key in pending if re.match(rf"^\s*\"?{re.escape(key)}\"?\s*=", lines[at])), None)
        if key is None:
            result.append(lines[at])
            at += 1
        else:
            value = pending.pop(key)
            result += [] if value is None else [_assignment(key, value)]
            at = _after_value(lines, at)
    result += _added(pending)
    changed = "\n".join(result) + "\n"
    _verify(text, changed, changes)
    return changed


def _place(header: re.Match[str], counts: dict[str, int]) -> Place:
    name = header[2]
    if header[1] == "[":
        return name, None
    counts[name] = counts.get(name, -1) + 1
    return name, counts[name]


def _added(pending: Mapping[str, Setting]) -> list[str]:
    return [_assignment(key, value) for key, value in pending.items() if value is not None]


def _assignment(key: str, value: Setting) -> str:
    if isinstance(value, dict):
        return f"{key} = {{ {', '.join(_assignment(name, inner) for name, inner in value.items())} }}"
    return f"{key} = " + json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # TOML wants what JSON lets through escaped


def _after_value(lines: list[str], at: int) -> int:
    """Find the line after a value that may go on over several lines."""
    for end in range(at + 1, len(lines) + 1):
        try:
            tomllib.loads("\n".join(lines[at:end]))
        except tomllib.TOMLDecodeError:
            continue
        return end
    raise NotEditable(f"line {at + 1}: the value does not end")


def _verify(before: str, after: str, changes: Mapping[Place, Mapping[str, Setting]]) -> None:
    expected: dict[str, Any] = tomllib.loads(before)
    try:
        for (name, index), values in changes.items():
            table = expected[name] if index is None else expected[name][index]
            table.update(values)
            for key in [key for key, value in values.items() if value is None]:
                del table[key]
        if tomllib.loads(after) == expected:
            return
    except (KeyError, IndexError, TypeError, AttributeError, tomllib.TOMLDecodeError) as error:
        raise NotEditable(f"a table is written in a way that can not be changed here: {error}") from error
    raise NotEditable(f"the tables {sorted({name for name, _ in changes})} are written in a way that can not be changed here")
