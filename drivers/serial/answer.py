"""An instrument's answer: fields with a status each. Common to all protocols."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from drivers.contract import BAD_OUT_OF_RANGE

DYNAMIC = 0x40930000
"""UncertainSensorNotAccurate: the weight moves, so the figure is not a weight yet."""
NOT_EXECUTABLE = 0x80AF0000
"""BadInvalidState: the instrument understood the request and can not answer it now."""
NOT_SUPPORTED = 0x803D0000
COMMUNICATION_ERROR = 0x80050000
OUT_OF_RANGE = BAD_OUT_OF_RANGE

Field = tuple[Decimal | str | bool | None, int]
"""(value, StatusCode)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: its fields by name. A field that names a unit is None where the instrument names none."""

    fields: Mapping[str, Field]


class NotAnAnswer(Exception):
    """The line is not in the protocol's form: noise, a part of a line, or another instrument."""
