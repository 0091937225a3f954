"""Findings that would come with every reading are made once in a while: the readings themselves are all stored anyway."""

from gateway.context.waits import lasts
from gateway.entries.ticks import TICKS_PER_S

SAY_AGAIN_TICKS = 60 * TICKS_PER_S


def say_once(said: dict[str, int], key: str, now: int, every: int | None = SAY_AGAIN_TICKS) -> bool:
    """Return whether a finding about `key` is due, and remember that it is made now. every None: it is made only once.

    said: key -> time of the last one. It is part of the stored state, for whether a finding is due must not depend on when the gateway was
    last started.
    """
    last = said.get(key)
    if last is not None and (every is None or lasts(now, last, every)):
        return False
    said[key] = now
    return True
