"""MT-SICS, the command set of Mettler-Toledo balances and scales, level 0: S, SI, SIR, I4 (reference manual MT-SICS, chapter 3)."""

import re
from decimal import Decimal

from drivers.contract import GOOD
from drivers.serial.answer import COMMUNICATION_ERROR, DYNAMIC, NOT_EXECUTABLE, NOT_SUPPORTED, OUT_OF_RANGE, Answer, Field, NotAnAnswer

FIELDS = {"weight": ("decimal", "float64", "float32", "string"), "unit": ("string",), "stable": ("bool",), "status": ("string",)} | {
    "serial_number": ("string",)
}
"""The fields of an answer, with the types that a tag of each may have."""

_WEIGHT = re.compile(rb"S ([SD]) {1,10}(-?[0-9]{1,12}(?:\.[0-9]{1,8})?) ([A-Za-z%/]{1,5})")
_SERIAL = re.compile(rb'I4 A "([\x20-\x7e]{1,40})"')
_NO_SERIAL = (b"ES", b"EL", b"I4 I", b"I4 L")
_NO_WEIGHT = {
    b"S I": ("I", NOT_EXECUTABLE),
    b"S +": ("+", OUT_OF_RANGE),
    b"S -": ("-", OUT_OF_RANGE),
    b"ES": ("ES", NOT_SUPPORTED),
    b"ET": ("ET", COMMUNICATION_ERROR),
    b"EL": ("EL", NOT_EXECUTABLE),
}


def weight_of(line: bytes) -> Answer:
    """Read the answer to S, SI or SIR, without its terminator. Only `S S` is a weight at rest.

    `S D` moves: the value is Uncertain. `S +`, `S -` are over- and underload, `S I` not executable, ES, ET, EL errors: no value at all.
    Raises NotAnAnswer for everything else; nothing is stripped, completed or repaired.
    """
    match = _WEIGHT.fullmatch(line)
    if match is not None:
        at_rest = match[1] == b"S"
        unit = match[3].decode("ascii")
        fields: dict[str, Field] = {
            "weight": (Decimal(match[2].decode("ascii")), GOOD if at_rest else DYNAMIC),
            "unit": (unit, GOOD),
            "stable": (at_rest, GOOD),
            "status": (match[1].decode("ascii"), GOOD),
        }
        return Answer(fields)
    if line not in _NO_WEIGHT:
        raise NotAnAnswer(f"not an MT-SICS weight: {line[:48].hex(' ')}")
    word, status = _NO_WEIGHT[line]
    loaded = word in "+-"
    return Answer(
        {"weight": (None, status), "unit": (None, status), "stable": (False, GOOD) if loaded else (None, status), "status": (word, GOOD)}
    )


def serial_number_of(line: bytes) -> str | None:
    """Read the serial number from the answer to I4; None if the scale says that it does not tell one. Raises NotAnAnswer."""
    if line in _NO_SERIAL:
        return None
    match = _SERIAL.fullmatch(line)
    if match is None:
        raise NotAnAnswer(f"not an answer to I4: {line[:48].hex(' ')}")
    return match[1].decode("ascii")
