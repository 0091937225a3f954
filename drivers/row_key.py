"""The key of a row: one text made of the columns that identify it. Its form has this one home; docs/mes.md tells it to users.

One column: its text as it stands. Several: their texts joined by "/", and within each text "%" is written %25 and "/" is %2F. Otherwise
("4500/26", "417-A") and ("4500", "26/417-A") would be one key, and two rows one row: lot numbers with slashes are everyday. All other
characters stay, so that people can read a key, and nearly every key is what it was in 0.1.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from drivers.exact_json import exact_json


def row_key(row: Mapping[str, Any], columns: Sequence[str]) -> str:
    """Make the key of a row. Two rows of one table have the same key only if the texts of their columns are the same. Raises KeyError."""
    texts = [str(exact_json(row[column])) for column in columns]
    return texts[0] if len(texts) == 1 else "/".join(text.replace("%", "%25").replace("/", "%2F") for text in texts)


def key_parts(key: str) -> list[str]:
    """Take a key of several columns apart: their texts. A key without an escaped character is taken as it stands, in one piece."""
    return [unquote(part) for part in key.split("/")] if _is_escaped(key) else [key]


def forms(key: str) -> tuple[str, ...]:
    """List the forms under which a row may be remembered: its key, and what 0.1 made of the same columns where that differs.

    0.1 joined the texts as they were. Whoever finds a row under that form alone has to prove by its content that it is the same.
    """
    return tuple(dict.fromkeys((key, "/".join(key_parts(key)))))


def _is_escaped(key: str) -> bool:
    return "/" in key and "%" in key
