"""Ids and names as texts, within bounds."""

from gateway.entries.fold_input import Json

LONGEST_TEXT = 256
"""Characters of an id or a name in a context: what a device sends beyond that is stored as a reading, and not repeated in every entry."""


def text(value: Json) -> str | None:
    """An id as a text; empty and blank are none; never longer than LONGEST_TEXT."""
    if value is None:
        return None
    return str(value).strip("\x00 \t\r\n")[:LONGEST_TEXT] or None
