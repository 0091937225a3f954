"""Tries again what failed, in the only retry loop of the program: drivers and transports raise, this waits and starts them anew."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator

from gateway.runtime.isolate import leaves, plain

log = logging.getLogger(__name__)

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 10.0


def backoff_s(first: float = FIRST_WAIT_S, longest: float = LONGEST_WAIT_S) -> Iterator[float]:
    """Yield waits in seconds: doubling up to `longest`, each drawn from its upper half.

    The random half keeps forty devices from reconnecting in step after a switch reboots.
    """
    wait = first
    while True:
        yield random.uniform(wait / 2, wait)  # noqa: S311 - spreads load, guards nothing
        wait = min(wait * 2, longest)


async def supervise(
    name: str,
    attempt: Callable[[], Awaitable[None]],
    on_failure: Callable[[str], Awaitable[None]],
    *,
    retry_on: type[Exception] | tuple[type[Exception], ...],
    settled_after_s: float = 30.0,
    achieved: Callable[[], object] = object,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    again: Callable[[float], str] = "next attempt in {:.1f} s".format,
) -> None:
    """Run `attempt` for ever; after each `retry_on` call `on_failure` with the reason, wait longer each time, and run it again.

    The waits begin anew after an attempt that lasted `settled_after_s` and changed what `achieved` returns: one that only waited for a
    deadline has not settled anything. By default every attempt has achieved something. again: words for the log of when the next attempt is
    made, of a wait of so many seconds that follows `on_failure`. Any other exception is a bug and goes up to the
    TaskGroup, which ends the process; of a group, what is not `retry_on` goes up.

    That an error in the moment of a stop is not taken for an attempt that failed is up to `attempt` and `on_failure`: see `contained` and
    `telling`.
    """
    loop, waits, logged = asyncio.get_running_loop(), backoff_s(), ""
    while True:
        started, before, why = loop.time(), achieved(), ""
        try:
            await attempt()
        except* retry_on as group:
            why = "; ".join(plain(error) for error in leaves(group))
        if not why:
            raise RuntimeError(f"{name}: returned, but must run until cancelled")
        if loop.time() - started > settled_after_s and achieved() != before:
            waits, logged = backoff_s(), ""
        wait_s = next(waits)
        # Logged once as long as the reason is the same: an outage of a weekend must not fill the log.
        log.log(logging.DEBUG if why == logged else logging.WARNING, "%s: %s; %s", name, why, again(wait_s))
        logged = why
        failed_s = loop.time()
        await on_failure(why)
        await sleep(max(0.0, wait_s - (loop.time() - failed_s)))  # who waited for a person or a receiver has waited
