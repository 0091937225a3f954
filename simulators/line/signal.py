"""One instant of the process, and what a signal is: a pure function of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from simulators.line.plan import Situation

NOWHERE = Situation("idle")


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant: seconds since the start, the start itself, and what each equipment does."""

    at_s: float
    started: datetime
    situations: Mapping[str, Situation]

    def of(self, equipment: str | None) -> Situation:
        """What this equipment does; a tag of none sees an idle one."""
        return self.situations.get(equipment or "", NOWHERE)


Signal = Callable[[Moment], Any]
