"""Tasks that must run as long as their group: a TaskGroup takes one that is cancelled or returns for one that ended on purpose."""

import asyncio
from collections.abc import Awaitable


class Died(Exception):
    """A task ended that nobody had stopped: it returned, or a library cancelled it."""


async def lasting(work: Awaitable[None]) -> None:
    """Run `work` in the task of a TaskGroup, until it is cancelled. Raises Died where it ends otherwise, so that the group ends with it."""
    try:
        await work
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise Died("a library cancelled a task that was to last") from None
    raise Died("a task returned that was to last")
