"""Which values JSON carries exactly, and what stands for all others: the one rule for rows, and for the integers of readings.

Rows are compared by what they are as JSON (drivers.mes_sql.window, drivers.restored_rows), here with what was read and there with what was
stored: both must have been made by one rule, or a row that is known looks new.
"""

import base64
import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from typing import Any

EXACT = 1 << 53
"""Integers between minus and plus this are exact for every reader of JSON (RFC 8259, 6; IEEE 754 binary64); it is itself none of them:
who reads 2^53 can not know whether it was 2^53 + 1."""


def exact_json(value: Any) -> Any:
    """Make of a value what JSON holds without change: decimals, dates, other integers and what is no number as text, bytes as base64."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value if -EXACT < value < EXACT else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(bytes(value)).decode("ascii")
    if isinstance(value, Mapping):
        return {str(name): exact_json(item) for name, item in value.items()}
    if isinstance(value, Sequence):
        return [exact_json(item) for item in value]
    return str(value)
