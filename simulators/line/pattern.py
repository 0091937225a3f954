"""Makes a text that a regular expression accepts, with a count in it: so that batch numbers keep to the line's own pattern."""

import re
from re import _parser  # type: ignore[attr-defined]  # the only public reader of a pattern is the compiler itself
from typing import Any

MOST_REPEATS = 3


def sample(pattern: str, number: int) -> str:
    """Make a text that `pattern` accepts; its digits count `number`, last digit last. The number alone if that is not possible."""
    text = "".join(_texts(_parser.parse(pattern)))
    counted, rest = "", number
    for letter in reversed(text):
        counted = (str(rest % 10) if letter == "\0" else letter) + counted
        rest = rest // 10 if letter == "\0" else rest
    return counted if re.fullmatch(pattern, counted) else str(number)


def _texts(parts: Any) -> list[str]:
    """List the text of each part; a free digit is a NUL, to be filled from the right."""
    return [_text(str(name), value) for name, value in parts]


def _text(name: str, value: Any) -> str:
    if name == "LITERAL":
        return chr(value)
    if name == "IN":
        return _of_set(value)
    if name in ("MAX_REPEAT", "MIN_REPEAT"):
        low, high, inner = value
        repeats: int = max(low, min(high, MOST_REPEATS if low == 0 else low))
        return "".join(_texts(inner)) * repeats
    if name == "SUBPATTERN":
        return "".join(_texts(value[3]))
    if name == "BRANCH":
        return "".join(_texts(value[1][0]))
    return "A" if name in ("ANY", "NOT_LITERAL") else ""


def _of_set(items: Any) -> str:
    for name, value in items:
        if str(name) == "CATEGORY":
            return "\0" if "DIGIT" in str(value) or "WORD" in str(value) else " "
        if str(name) == "RANGE":
            return "\0" if value == (ord("0"), ord("9")) else chr(value[0])
        if str(name) == "LITERAL":
            return chr(value)
    return "A"


def counted(example: str, pattern: str, number: int) -> str | None:
    """Replace the longest number of the example by `number`; None if `pattern` does not accept the result."""
    numbers = sorted(re.finditer(r"[0-9]+", example), key=lambda match: len(match[0]))
    if not numbers:
        return None
    last = numbers[-1]
    digits = str(number % 10 ** len(last[0])).zfill(len(last[0])) if len(last[0]) > 1 else str(number % 10)
    text = example[: last.start()] + digits + example[last.end() :]
    return text if re.fullmatch(pattern, text) else None
