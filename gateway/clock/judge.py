"""Judges evidence: from it follow the clock's state and bound. Pure, so that the rules can be checked over simulated clocks.

The rules (requirements 3.1.2, after AWS ClockBound):
  unknown         no daemon could be read for 60 s, or never
  unsynchronised  the daemon says so, or follows itself; the clock was stepped and no update followed; the date is absurd;
                  the bound has grown past the limit; or holdover has lasted 24 h
  holdover        the last update is older than eight update intervals: the reach register of NTP would be empty
  synchronised    none of these
They are applied in this order, so that the worst state wins.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from gateway.clock.daemon_reading import Evidence
from gateway.clock.leap import LeapMode

Status = Literal["synchronised", "holdover", "unsynchronised", "unknown"]

READ_EVERY_S = 8.0
"""The daemon must be asked at least each 16 s (URS-TIME-04); half of it, so that one lost answer does not break the rule."""
UNREADABLE_AFTER_S = 60.0
UPDATES_MISSED = 8
LEAST_INTERVAL_S = 16.0
"""Shortest update interval assumed: an initial burst has 2 s, and eight of those would be holdover before the first regular poll."""
LONGEST_HOLDOVER_S = 24 * 3600.0
FUTURE_NS = 10**9
"""A reference time further ahead of now than this belongs to another time scale: the clock was set back."""
EARLIEST_REALTIME_NS = 1_767_225_600 * 10**9
"""2026-01-01: no gateway of this software ran earlier. A dead RTC starts in 1970, 2000 or at the build date of the system."""
LATEST_REALTIME_NS = EARLIEST_REALTIME_NS + 20 * 31_557_600 * 10**9


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits by which the clock is judged.

    max_error_s: above this bound a stamp is unverified. drift_ppm: largest frequency error of the oscillator, from its data sheet.
    leap_mode: how this machine and its servers handle a leap second.
    """

    max_error_s: float = 1.0
    drift_ppm: float = 50.0
    least_interval_s: float = LEAST_INTERVAL_S
    longest_holdover_s: float = LONGEST_HOLDOVER_S
    unreadable_after_s: float = UNREADABLE_AFTER_S
    leap_mode: LeapMode = "unknown"


class Verdict(NamedTuple):
    """The clock's state at one instant, with its reason. bound_s: None if nothing is known."""

    status: Status
    bound_s: float | None
    reason: str


def bound_s(evidence: Evidence, now_ns: int, limits: Limits, extra_s: float = 0.0) -> float:
    """Return the bound at now_ns: B(t) = B(t0) + drift * (t - t0), on the monotonic clock.

    extra_s: known disturbances since the evidence (small steps, a leap second).
    """
    return evidence.bound_s + extra_s + limits.drift_ppm * 1e-6 * max(0, now_ns - evidence.at_ns) / 1e9


def judge(
    evidence: Evidence | None,
    now_ns: int,
    realtime_ns: int,
    limits: Limits,
    *,
    stepped: bool = False,
    extra_s: float = 0.0,
    contradiction: str = "",
) -> Verdict:
    """Return the state at now_ns (monotonic); realtime_ns is the wall clock then.

    stepped: no update has been seen since the wall clock was stepped. contradiction: text of an independent check (own SNTP queries) that
    contradicts the evidence, else empty; it makes the state unknown.
    """
    if evidence is None:
        return Verdict("unknown", None, "nothing tells the state of the clock")
    age_s = (now_ns - evidence.at_ns) / 1e9
    bound = bound_s(evidence, now_ns, limits, extra_s)
    if age_s > limits.unreadable_after_s:
        return Verdict("unknown", None, f"{evidence.reader} could not be read for {age_s:.0f} s")
    if contradiction:
        return Verdict("unknown", None, contradiction)
    if reason := _unsynchronised(evidence, realtime_ns, stepped=stepped):
        return Verdict("unsynchronised", None, reason)
    if bound > limits.max_error_s:
        return Verdict("unsynchronised", bound, f"error bound {bound:.3f} s is above {limits.max_error_s:g} s")
    return _held(evidence, now_ns, bound, limits)


def _unsynchronised(evidence: Evidence, realtime_ns: int, *, stepped: bool) -> str:
    """Return why the evidence does not prove synchronisation; empty if it does."""
    if evidence.local:
        return f"{evidence.reader} follows its own oscillator (local mode): not traceable to UTC"
    if not evidence.synchronised:
        return f"{evidence.reader} says that the clock is not synchronised"
    if not EARLIEST_REALTIME_NS <= realtime_ns <= LATEST_REALTIME_NS:
        return "the date is impossible"
    if evidence.updated_ns is not None and evidence.updated_ns > evidence.at_ns + FUTURE_NS:
        return "the reference time lies in the future"
    if stepped:
        return "the clock was set or the machine slept, and the reference has not updated it since"
    return ""


def _held(evidence: Evidence, now_ns: int, bound: float, limits: Limits) -> Verdict:
    """Judge evidence of synchronisation by its age: synchronised, or holdover after eight update intervals."""
    if evidence.updated_ns is None:
        return Verdict("synchronised", bound, f"{evidence.reader}: {evidence.reference}")
    silent_s = (now_ns - evidence.updated_ns) / 1e9
    if silent_s > limits.longest_holdover_s:
        return Verdict("unsynchronised", bound, f"no update of the reference for {silent_s / 3600:.1f} h")
    if silent_s > UPDATES_MISSED * max(evidence.interval_s or 0.0, limits.least_interval_s):
        return Verdict("holdover", bound, f"no update of the reference for {silent_s:.0f} s")
    return Verdict("synchronised", bound, f"{evidence.reader}: {evidence.reference}")
