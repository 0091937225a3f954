"""Texts from outside on their way to a log, a terminal or a finding: characters that do something are shown, and do nothing.

A device, a server or a file may say whatever it likes: line breaks that forge a line of a log, sequences that a terminal obeys (ECMA-48),
marks that turn the direction of reading (Unicode UAX #9).
"""

import re
from typing import Any

_ACTING = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")


def printable(text: str) -> str:
    """Return the text with each character that does something as its escape: backslash, x, 1b."""
    return text if text.isascii() and text.isprintable() else _ACTING.sub(lambda found: ascii(found[0])[1:-1], text)


def printable_all(value: Any) -> Any:
    """Return what JSON holds with all its texts printable; names of members, too."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {printable_all(name): printable_all(item) for name, item in value.items()}
    return [printable_all(item) for item in value] if isinstance(value, list) else value
