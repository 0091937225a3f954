"""Ids and names as texts, within bounds."""

from hashlib import sha256

from gateway.entries.fold_input import Json

LONGEST_TEXT = 256
"""Characters of an id or a name in a context: what a device sends beyond that is stored as a reading, and not repeated in every entry."""


def text(value: Json) -> str | None:
    """An id as a text; empty and blank are none; never longer than LONGEST_TEXT."""
    if value is None:
        return None
    return str(value).strip("\x00 \t\r\n")[:LONGEST_TEXT] or None


def key_text(key: str) -> str:
    """A row's key within LONGEST_TEXT: a longer one ends in a digest of the whole, so that two rows never become one."""
    return key if len(key) <= LONGEST_TEXT else f"{key[: LONGEST_TEXT - 33]}~{sha256(key.encode()).hexdigest()[:32]}"
