"""Tries again what failed, in the only retry loop of the program: drivers and transports raise, this waits and starts them anew."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator

from gateway.runtime.isolate import leaves, plain

log = logging.getLogger(__name__)

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 10.0
QUICK_WAIT_S = 0.5
MOST_QUICK_PER_S = 20.0
SAID_AGAIN_S = 600.0
MOST_REASONS = 16


def backoff_s(first: float = FIRST_WAIT_S, longest: float = LONGEST_WAIT_S) -> Iterator[float]:
    """Yield waits in seconds: doubling up to `longest`, each drawn from its upper half.

    The random half keeps forty devices from reconnecting in step after a switch reboots.
    """
    wait = first
    while True:
        yield random.uniform(wait / 2, wait)  # noqa: S311 - spreads load, guards nothing
        wait = min(wait * 2, longest)


class Knocking:
    """Says how long parts wait that are refused at once where they knock: soon again, and all together no more often than they may.

    Alone a part waits 0.25 to 0.5 s. Of n that wait, each waits long enough that together they knock 20 times a second, at most 10 s: a
    cabinet of many sources behind one switched-off host makes no storm. Of more than 150 each knocks as often as a silent one is asked.
    """

    def __init__(self) -> None:
        self._waiting: set[str] = set()

    def wait_s(self, name: str) -> float:
        """Return the seconds until a part that was refused may knock again; it counts among those that wait until `knocks`."""
        self._waiting.add(name)
        longest_s = min(LONGEST_WAIT_S, max(QUICK_WAIT_S, len(self._waiting) / MOST_QUICK_PER_S / 0.75))  # the mean of its upper half
        return random.uniform(longest_s / 2, longest_s)  # noqa: S311 - spreads load, guards nothing

    def knocks(self, name: str) -> None:
        """Note that a part waits no more."""
        self._waiting.discard(name)


class _Reasons:
    """Which reasons are news for the log: an outage of a weekend must not fill it, nor one in which two reasons take turns."""

    def __init__(self) -> None:
        self._last = ""
        self._said_s: dict[str, float] = {}

    def is_news(self, why: str, now_s: float) -> bool:
        """Return whether this is another reason than before, and was not said of late."""
        is_other, self._last = why != self._last, why
        said_s = self._said_s.get(why)
        if not is_other or (said_s is not None and now_s - said_s < SAID_AGAIN_S):
            return False
        self._said_s[why] = now_s
        if len(self._said_s) > MOST_REASONS:
            del self._said_s[min(self._said_s, key=self._said_s.__getitem__)]
        return True


async def supervise(
    name: str,
    attempt: Callable[[], Awaitable[None]],
    on_failure: Callable[[str], Awaitable[None]],
    *,
    retry_on: type[Exception] | tuple[type[Exception], ...],
    settled_after_s: float = 30.0,
    achieved: Callable[[], object] = object,
    quick: type[Exception] | tuple[type[Exception], ...] = (),
    knocking: Knocking | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    again: Callable[[float], str] = "next attempt in {:.1f} s".format,
) -> None:
    """Run `attempt` for ever; after each `retry_on` call `on_failure` with the reason, wait longer each time, and run it again.

    The waits begin anew after an attempt that lasted `settled_after_s` and changed what `achieved` returns: one that only waited for a
    deadline has not settled anything. By default every attempt has achieved something. quick: of `retry_on`, what comes at once and costs
    nothing: after it `knocking` says the wait, and the others begin anew. again: words for the log of when the next attempt is
    made, of a wait of so many seconds that follows `on_failure`. Any other exception is a bug and goes up to the
    TaskGroup, which ends the process; of a group, what is not `retry_on` goes up.

    That an error in the moment of a stop is not taken for an attempt that failed is up to `attempt` and `on_failure`: see `contained` and
    `telling`.
    """
    loop, waits, reasons, knocking = asyncio.get_running_loop(), backoff_s(), _Reasons(), knocking or Knocking()
    while True:
        started, before, why, is_quick = loop.time(), achieved(), "", False
        knocking.knocks(name)
        try:
            await attempt()
        except* retry_on as group:
            errors = list(leaves(group))
            why, is_quick = "; ".join(map(plain, errors)), all(isinstance(error, quick) for error in errors)
        if not why:
            raise RuntimeError(f"{name}: returned, but must run until cancelled")
        if loop.time() - started > settled_after_s and achieved() != before:
            waits, reasons = backoff_s(), _Reasons()
        if is_quick:
            waits = backoff_s()  # somebody answers there
        wait_s = knocking.wait_s(name) if is_quick else next(waits)
        failed_s = loop.time()
        log.log(logging.WARNING if reasons.is_news(why, failed_s) else logging.DEBUG, "%s: %s; %s", name, why, again(wait_s))
        await on_failure(why)
        await sleep(max(0.0, wait_s - (loop.time() - failed_s)))  # who waited for a person or a receiver has waited
