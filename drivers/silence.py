"""When a polled tag was not asked for too long. One rule, whatever kept the process from asking. Pure.

A stopped process, a paused machine, a stalled disk, a starved core and a blocked loop look alike from within: the next question comes late.
All instants of one call are of one clock that goes on evenly, also while the machine is suspended (CLOCK_BOOTTIME), in ns.
"""

from typing import NamedTuple

PERIODS = 2
"""A busy machine asks late, and a slow answer costs the next question: up to so many periods a tag counts as asked as often as ordered."""


class Silence(NamedTuple):
    """A time in which nobody asked: from the last observation to the next question."""

    since_ns: int
    until_ns: int

    @property
    def seconds(self) -> float:
        """How long it was."""
        return (self.until_ns - self.since_ns) / 1e9


def silence(observed_ns: int | None, asked_ns: int, period_ns: int) -> Silence | None:
    """Return the silence before a question; None if it came within two periods, or if nothing was observed before it."""
    if observed_ns is None or asked_ns - observed_ns <= PERIODS * period_ns:
        return None
    return Silence(observed_ns, asked_ns)


def observed_at(requested_ns: int, received_ns: int, period_ns: int) -> int:
    """Return the instant that an answer proves: the middle of its window; of one wider than two periods, only the question's.

    An answer that lay in a buffer while the process stood still was given right after the question, not half the time later.
    """
    wide = silence(requested_ns, received_ns, period_ns) is not None
    return requested_ns if wide else (requested_ns + received_ns) // 2
