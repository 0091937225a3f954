"""A line as JSON and back: what a frozen story needs of the objects of a line folder.

An array is a tuple; an object has one key, the kind of what it holds: a class by its frozen name with the fields that differ from their
defaults, or one of the plain kinds below.
"""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from golden.product import CLASSES

_NAMES = {class_: name for name, class_ in CLASSES.items()}
_TEXTS: dict[str, tuple[type, Callable[[Any], str], Callable[[str], Any]]] = {
    "Decimal": (Decimal, str, Decimal),
    "Fraction": (Fraction, str, Fraction),
    "Path": (Path, lambda _: ".", Path),  # where a line stood when it was recorded means nothing
    "Pattern": (re.Pattern, lambda pattern: f"{pattern.flags} {pattern.pattern}", lambda text: _pattern(*text.split(" ", 1))),
    "bytes": (bytes, lambda content: base64.b64encode(content).decode(), base64.b64decode),
}


def _pattern(flags: str, text: str) -> re.Pattern[str]:
    return re.compile(text, int(flags))


def packed(value: Any) -> Any:
    """Give the JSON of a value."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if type(value) is tuple:
        return [packed(item) for item in value]
    if isinstance(value, list):
        return {"list": [packed(item) for item in value]}
    if isinstance(value, Mapping):
        return {"dict": [[packed(key), packed(item)] for key, item in value.items()]}
    for kind, (class_, text, _) in _TEXTS.items():
        if isinstance(value, class_):
            return {kind: text(value)}
    return {_NAMES[type(value)]: {name: packed(item) for name, item in _given(value).items()}}


def unpacked(value: Any) -> Any:
    """Give the value of a JSON that `packed` made."""
    if isinstance(value, list):
        return tuple(unpacked(item) for item in value)
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "list":
        return [unpacked(item) for item in content]
    if kind == "dict":
        return {unpacked(key): unpacked(item) for key, item in content}
    if kind in _TEXTS:
        return _TEXTS[kind][2](content)
    return CLASSES[kind](**{name: unpacked(item) for name, item in content.items()})


def _given(value: Any) -> dict[str, Any]:
    """Name the fields that are not what they are by default."""
    if not is_dataclass(value):
        defaults = {name: field.get_default(call_default_factory=True) for name, field in type(value).model_fields.items()}
    else:
        defaults = {field.name: _default(field) for field in fields(value)}
    return {name: getattr(value, name) for name, default in defaults.items() if getattr(value, name) != default}


def _default(field: Any) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default
