"""The clock of a database beside ours: how far it is off, and whether it was set back."""

import time
from collections.abc import Iterable
from datetime import UTC

from drivers.contract import BadReply, Emit
from drivers.local_time import read, ticks_of
from drivers.mes_sql import below, findings
from drivers.mes_sql.database import Database
from drivers.mes_sql.window import Window

EVERY_S = 60.0
STEP_S = 1.0
"""A clock that goes back by more than this, beyond what is not known of it, was set."""


class DatabaseClock:
    """Asks once a minute. name: the source's; select: what gives the time; None: nothing does."""

    def __init__(self, name: str, select: str | None) -> None:
        self._name, self._select = name, select
        self._due_s = 0.0
        self._known: tuple[float, float] | None = None

    async def tell(self, database: Database, windows: Iterable[Window], emit: Emit) -> None:
        """Tell the database's own time against ours, half the round trip and its resolution as bound. Raises LinkLost.

        If it was set back, what was written since may lie anywhere below: all is counted.
        """
        if self._select is None or time.monotonic() < self._due_s:
            return
        self._due_s = time.monotonic() + EVERY_S
        before = self._known
        try:
            self._known = await self.offset(database, self._select)
        except BadReply as error:
            await emit.found(findings.clock_untold(str(error)))
            return
        emit.source_offset(*self._known)
        if before is not None and self._known[0] < before[0] - before[1] - self._known[1] - STEP_S:
            for window in windows:
                below.now(window)

    async def offset(self, database: Database, select: str) -> tuple[float, float]:
        """(offset, bound) in seconds of the database's clock against ours, positive when it is ahead. Raises LinkLost, BadReply."""
        before_s = time.monotonic()
        async with database.reading() as session:
            piece = [row async for piece in session.rows(select, {}) for row in piece]
        after_s, now_s = time.monotonic(), time.time()  # the wall clock once: it may be set between question and answer
        try:
            ((told,),) = [tuple(row.values()) for row in piece]
            moment = read(told, None)
        except (ValueError, OverflowError) as error:
            raise BadReply(f"{self._name}: clock must give one time: {error}") from None
        source_s = ticks_of(moment if moment.tzinfo else moment.replace(tzinfo=UTC)) / 1e7
        resolution_s = 0.0 if moment.microsecond else 0.5
        half_s = (after_s - before_s) / 2
        return source_s + resolution_s - (now_s - half_s), half_s + resolution_s
