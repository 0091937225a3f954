"""Ids, names and values of rows, within bounds."""

from hashlib import sha256
from typing import Any

import orjson

from drivers.exact_json import exact_json
from gateway.entries.fold_input import Json

LONGEST_TEXT = 256
"""Characters of an id or a name in a context: what a device sends beyond that is stored as a reading, and not repeated in every entry."""


def text(value: Json) -> str | None:
    """Make an id a text; empty and blank are none; never longer than LONGEST_TEXT."""
    if value is None:
        return None
    return str(value).strip("\x00 \t\r\n")[:LONGEST_TEXT] or None


def key_text(key: str) -> str:
    """Keep a row's key within LONGEST_TEXT: a longer one ends in a digest of the whole, so that two rows never become one."""
    return key if len(key) <= LONGEST_TEXT else f"{key[: LONGEST_TEXT - 33]}~{sha256(key.encode()).hexdigest()[:32]}"


def short(value: Json) -> Json:
    """Cut a value of a reading or a row to what is kept of it: texts to LONGEST_TEXT, numbers exact."""
    if isinstance(value, list | dict):
        return _short_part(value)
    exact = exact_json(value)  # a column NUMERIC of a MES holds more than JSON's readers do
    return exact[:LONGEST_TEXT] if isinstance(exact, str) else exact


def _short_part(value: Any) -> Any:
    """Cut a column that holds JSON itself: every part of it short; all of it as a text cut short where it is long."""
    parts = [short(part) for part in value] if isinstance(value, list) else {name: short(part) for name, part in value.items()}
    dumped = orjson.dumps(parts)
    return parts if len(dumped) <= LONGEST_TEXT else dumped.decode()[:LONGEST_TEXT]
