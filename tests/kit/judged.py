"""What tests of the judges of an operational qualification share: an instant, and the verdicts of the steps that were told."""

from config import Line, Parameter
from gateway.entries.ticks import TICKS_PER_S
from gateway.validation.oq.case import Told

T0 = 1_795_330_000 * TICKS_PER_S
S = TICKS_PER_S


def verdicts(told: Told) -> list[str]:
    """Return the verdicts of the steps, in their order."""
    return [step.verdict for step in told.steps]


def parameter(line: Line, name: str) -> Parameter:
    """Return a parameter of the line by its name."""
    return next(row for row in line.parameters if row.parameter == name)
