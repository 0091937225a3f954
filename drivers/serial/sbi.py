"""Sartorius SBI, the print format of Sartorius balances: lines of 16 or 22 characters with CR LF, asked for by ESC P.

    +NNNNNNNNN EEE CR LF            16 characters: sign, 9 for the value, space, 3 for the unit
    IIIIII+NNNNNNNNN EEE CR LF      22 characters: 6 in front say what the value is; N and N1 are net

The unit stands there only when the balance is at rest: a value without a unit is not a weight. A last digit in brackets is one that is
not verified; it is a digit all the same. Special lines (Stat, High, Cal.Ext., Err 54, ...) say why there is no value. A balance that prints
tare or gross values into the same line ends up as a bad reply, never as a net weight. (Entris II, Quintix, Combics: data output formats.)
"""

import re
from decimal import Decimal

from drivers.contract import GOOD
from drivers.serial.answer import DYNAMIC, NOT_EXECUTABLE, OUT_OF_RANGE, Answer, Field, NotAnAnswer

FIELDS = {"weight": ("decimal", "float64", "float32", "string"), "unit": ("string",), "stable": ("bool",), "status": ("string",)}
REQUEST = b"\x1bP\r\n"

_LINE = re.compile(rb"([+\- ])([ 0-9.\[]{9})([ \]])([A-Za-z% ]{3})")
_NUMBER = re.compile(rb"[0-9]{1,8}(?:\.[0-9]{1,6})?")
_UNVERIFIED = re.compile(rb"\[([0-9])\]$")
_LABELS = (b"", b"N     ", b"N1    ")
_STATES = {b"High": OUT_OF_RANGE, b"Low": OUT_OF_RANGE, b"H": OUT_OF_RANGE, b"L": OUT_OF_RANGE} | dict.fromkeys(
    (b"Stat", b"Off", b"Cal", b"C", b"Cal.Ext.", b"Cal.Int.", b"--", b"APP.ERR", b"DIS.ERR", b"PRT.ERR", b"APP.ER", b"DIS.ER", b"PRT.ER"),
    NOT_EXECUTABLE,
)
_ERROR = re.compile(rb"(?:Err|ERR|E) *+[0-9]{2,3}")


def weight_of(line: bytes) -> Answer:
    """Read one printed line, without its terminator. Raises NotAnAnswer unless it is a whole line in this form."""
    match = _LINE.fullmatch(line[-14:])
    if len(line) not in (14, 20) or line[:-14] not in _LABELS or match is None:
        return _special(line)
    value, letters = _number(match[2].lstrip(b" ") + match[3].rstrip(b" ")), match[4].rstrip(b" ")
    if value is None or b" " in letters:
        return _special(line)
    unit = letters.decode("ascii")
    fields: dict[str, Field] = {
        "weight": (-value if match[1] == b"-" else value, GOOD if unit else DYNAMIC),
        "unit": (unit, GOOD) if unit else (None, DYNAMIC),
        "stable": (bool(unit), GOOD),
        "status": ("stable" if unit else "moving", GOOD),
    }
    return Answer(fields)


def _number(text: bytes) -> Decimal | None:
    """Read the value; the brackets around a digit that is not verified are no part of it."""
    digits = _UNVERIFIED.sub(rb"\1", text)
    return Decimal(digits.decode("ascii")) if _NUMBER.fullmatch(digits) else None


def _special(line: bytes) -> Answer:
    word = line[-14:].strip(b" ")
    status = NOT_EXECUTABLE if _ERROR.fullmatch(word) else _STATES.get(word)
    if len(line) not in (14, 20) or status is None or line[:-14].strip(b" ") not in (b"", b"Stat", b"N", b"N1"):
        raise NotAnAnswer(f"not an SBI line, {len(line)} characters: {line[:48].hex(' ')}")
    text = " ".join(word.decode("ascii").split())
    return Answer({"weight": (None, status), "unit": (None, status), "stable": (False, GOOD), "status": (text, GOOD)})
