"""One instant of the process, and the type of a signal: a pure function of an instant."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from config import Tag
from simulators.line.plan import Situation

NOWHERE = Situation("idle")


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant: seconds since the start, the start itself, and the situation of each equipment."""

    at_s: float
    started: datetime
    situations: Mapping[str, Situation]

    def of(self, equipment: str | None) -> Situation:
        """Find the situation of an equipment; an idle one for a tag of no equipment."""
        return self.situations.get(equipment or "", NOWHERE)


Signal = Callable[[Moment], Any]

Over = Callable[[Tag, Signal], Signal]
"""Takes a tag and its signal, and returns the one to use instead."""


def as_it_is(_tag: Tag, signal: Signal) -> Signal:
    """Leave every signal as it is."""
    return signal
