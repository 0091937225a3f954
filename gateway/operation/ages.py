"""Ages of things by the gateway's own clock."""

from gateway.entries.ticks import TICKS_PER_S


def age_s(then: int | None, now: int) -> float | None:
    """Give the age of something in seconds; None if there is nothing, or if it has a time to come: the clock was ahead then."""
    return None if then is None or then > now else round((now - then) / TICKS_PER_S, 1)
