"""A query that can not be read: it stops itself alone, and is asked again after a while."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from drivers.contract import UNFORESEEN, BadReply, DriverError, DriverMisconfigured, crashed

FAILED_WAIT_S = (1.0, 60.0)
"""A query that failed is asked again after so long, then after twice as long, up to so long: it may have used its whole time."""


@dataclass(slots=True)
class Failure:
    """Why a query is not read now, and when it is tried again (loop's time)."""

    why: str
    wait_s: float
    due_s: float

    @classmethod
    def after(cls, before: "Failure | None", why: str) -> "Failure":
        """Return the failure of now, which follows `before`."""
        wait_s = FAILED_WAIT_S[0] if before is None else min(2 * before.wait_s, FAILED_WAIT_S[1])
        return cls(why, wait_s, asyncio.get_running_loop().time() + wait_s)


class QueryCrashed(BadReply):
    """A query ran into what no rule foresees: what is remembered of it in memory may be more than was handed over."""


@contextmanager
def of_query(name: str) -> Iterator[None]:
    """Have what no rule foresees be the failure of this query, and of no other. Raises QueryCrashed, DriverError, DriverMisconfigured.

    Nothing is handed over within it: a storage error must come out.
    """
    task = asyncio.current_task()
    asked = 0 if task is None else task.cancelling()
    try:
        yield
    except (DriverError, DriverMisconfigured):
        raise
    except UNFORESEEN as error:
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > asked:
            raise
        raise QueryCrashed(f"query {name}: {crashed(error)}") from error
