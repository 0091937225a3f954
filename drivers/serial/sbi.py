"""Sartorius SBI, the print format of Sartorius balances: lines of 16 or 22 characters with CR LF, asked for by ESC P.

    + NNNNNN.NN EEE CR LF           16 characters: sign, space, 8 for the value, space, 3 for the unit
    IIIIII+ NNNNNN.NN EEE CR LF     22 characters: 6 in front say what the value is; N is net

The unit stands there only when the balance is at rest: a value without a unit is not a weight. Special lines (Stat, High, Low, ...) say
why there is none. A balance that prints tare or gross values into the same line ends up as a bad reply, never as a net weight.
"""

import re
from decimal import Decimal

from drivers.contract import GOOD
from drivers.serial.answer import DYNAMIC, NOT_EXECUTABLE, OUT_OF_RANGE, Answer, Field, NotAnAnswer

FIELDS = {"weight": ("decimal", "float64", "float32", "string"), "unit": ("string",), "stable": ("bool",), "status": ("string",)}
REQUEST = b"\x1bP\r\n"

_LINE = re.compile(rb"([+\- ]) ([ 0-9.]{8}) ([A-Za-z% ]{3})")
_NUMBER = re.compile(rb"[0-9]{1,8}(?:\.[0-9]{1,6})?")
_PREFIXES = (b"", b"N     ")
_SPECIAL = {b"Stat": NOT_EXECUTABLE, b"High": OUT_OF_RANGE, b"Low": OUT_OF_RANGE, b"H": OUT_OF_RANGE, b"L": OUT_OF_RANGE} | {
    b"Off": NOT_EXECUTABLE,
    b"Cal": NOT_EXECUTABLE,
    b"--": NOT_EXECUTABLE,
}


def weight_of(line: bytes) -> Answer:
    """Read one printed line, without its terminator. Raises NotAnAnswer unless it is a whole line in this form."""
    match = _LINE.fullmatch(line[-14:])
    if len(line) not in (14, 20) or line[:-14] not in _PREFIXES or match is None:
        return _special(line)
    value, letters = match[2].lstrip(b" "), match[3].rstrip(b" ")
    if not _NUMBER.fullmatch(value) or b" " in letters:
        return _special(line)
    unit = letters.decode("ascii")
    number = Decimal(value.decode("ascii"))
    fields: dict[str, Field] = {
        "weight": (-number if match[1] == b"-" else number, GOOD if unit else DYNAMIC),
        "unit": (unit, GOOD) if unit else (None, DYNAMIC),
        "stable": (bool(unit), GOOD),
        "status": ("stable" if unit else "moving", GOOD),
    }
    return Answer(fields)


def _special(line: bytes) -> Answer:
    word = line[-14:].strip(b" ")
    if len(line) not in (14, 20) or word not in _SPECIAL or line[:-14].strip(b" ") not in (b"", b"Stat", b"N"):
        raise NotAnAnswer(f"not an SBI line, {len(line)} characters: {line[:48].hex(' ')}")
    status = _SPECIAL[word]
    return Answer({"weight": (None, status), "unit": (None, status), "stable": (False, GOOD), "status": (word.decode("ascii"), GOOD)})
