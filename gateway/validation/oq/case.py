"""What a case of the operational qualification is, and what it says: steps, each expected and actual, with the files they rest on."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from gateway.validation.oq.stage import Stage
from gateway.validation.steps import Step, Told, evidence


class NotPlayed(Exception):
    """A case can not be played here; the text says why, and what would be needed. applies: False where the line has nothing of the kind."""

    def __init__(self, text: str, *, applies: bool = True) -> None:
        super().__init__(text)
        self.applies = applies


class Case(NamedTuple):
    """A case. play: takes the copy, what takes the steps, and how many seconds the line runs.

    faults: of the fault list (`gateway.validation.oq.fault_list`) that it plays. timed: times are judged in it, so that the site's own
    rule on a clock that is not verified holds in the copy. outside: the copy sends to the site's own EBR.
    """

    id: str
    title: str
    urs: tuple[str, ...]
    risk: str
    objective: str
    play: Callable[[Stage, Told, float], Awaitable[None]]
    faults: tuple[str, ...] = ()
    timed: bool = False
    outside: bool = False


__all__ = ["Case", "NotPlayed", "Step", "Told", "evidence"]
