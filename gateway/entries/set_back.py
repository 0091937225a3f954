"""A clock that was set back, and what becomes of an instant that was noted before. Pure.

An instant that was noted lies in the past, whatever a clock says afterwards. So after a clock was set back, a note that names a time to
come was made by a clock that was ahead, and means an instant that is over. Where the step is known, that instant has an exact number by
the clock as it is now; where nobody saw the step (the gateway was not running), the present is the latest that it can be.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from gateway.entries.ticks import TICKS_PER_S


class SetBack(NamedTuple):
    """now: the present by the clock as it is now. step: by how much it was set, below 0; None: nobody saw it."""

    now: int
    step: int | None

    def placed(self, ticks: int, ahead: int = 0) -> int:
        """Give the number of an instant by the present clock: changed only if it would be to come by more than `ahead`.

        ahead: by how much the clock that made the note may be before ours; 0 for our own.
        """
        if ticks <= self.now + ahead:
            return ticks
        return self.now if self.step is None else min(ticks + self.step, self.now)

    def moved(self, ticks: int, ahead: int = 0) -> int:
        """Give what is left of "observed through": it moves with the clock, whether or not it is to come.

        Through a mark that moves so, nothing is ever claimed that was not observed: it was no later than the last observation, and keeps
        its distance from it. It may claim too little until the source is observed again, if it was noted by a clock behind this one.
        """
        return self.placed(ticks, ahead) if self.step is None else min(ticks + self.step, self.now)


def step_of(event: Mapping[str, Any]) -> int | None:
    """Give by how many ticks an event says that the clock was set; None if it says nothing of it."""
    if event.get("type") != "clock" or event.get("step_s") is None:
        return None
    step_s: float = event["step_s"]
    return round(step_s * TICKS_PER_S)
