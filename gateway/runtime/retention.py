"""Keeps the journal within its space: removes what may go, and raises the alarm before it is full."""

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from buffer import Usage
from gateway.entries.findings import Announcer, finding
from gateway.entries.fold_input import UNVERIFIED
from gateway.operation.parts import Parts
from gateway.operation.status import SPACE_ALARMS

LOOK_EVERY_S = 1.0
PRUNE_EVERY_S = 60.0


class Retention:
    """Prunes the journal each minute, and at once while it is full. Files go at the call after their audit entry is on disk."""

    def __init__(self, parts: Parts, event: Callable[[Mapping[str, Any]], None]) -> None:
        """Make the retention of a running line. event: appends an event, not waited for."""
        self._parts, self._announcer = parts, Announcer(event)
        self._failed = False

    async def run(self, done: Callable[[], object] = object) -> None:
        """Look at the journal's space and at other programs each second, and prune when it is due, until cancelled.

        At once if the run before ended in an error. done: called when it has pruned.
        """
        journal = self._parts.journal
        due_s = time.monotonic() + (0.0 if self._failed else PRUNE_EVERY_S)
        if not self._failed:
            done()
        self._failed = True  # as long as it was not seen to have done all
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self._report_hindrance(journal.blocked_by)
            if time.monotonic() < due_s and journal.pressure is None and not journal.space.is_low:
                continue
            due_s = time.monotonic() + PRUNE_EVERY_S
            self._report_space(await asyncio.to_thread(journal.usage))
            await self._prune()
            self._failed = False
            done()

    async def _prune(self) -> None:
        """Remove all that nothing needs. Each call names what may go; its files go at the next, when the audit entry is on disk."""
        parts = self._parts
        verified = parts.clock.stamp().status not in UNVERIFIED
        prune = partial(parts.journal.prune, clock_verified=verified, reconciled=parts.reconciled.holds)
        while (pruned := await asyncio.to_thread(prune, parts.fold.open_since())) is not None:
            await parts.audit.record("prune", pruned.audit())

    def _report_space(self, usage: Usage) -> None:
        """Raise an alarm once at 70 % and at 85 % of the space there is, and report when it is over (URS-BUF-05)."""
        level = sum(usage.fraction >= limit for limit in SPACE_ALARMS)
        days = "unknown" if usage.days_to_full is None else f"{usage.days_to_full:.1f}"
        text = f"the journal fills {usage.fraction:.0%} of its space; days to full: {days}"
        evidence = {"used_bytes": usage.used_bytes, "free_bytes": usage.free_bytes}
        self._announcer.once_until_changed("space", finding("journal-space", "alarm" if level else "info", text, evidence), state=level)

    def _report_hindrance(self, why: str | None) -> None:
        """Raise an alarm once when another program locks the journal's files or keeps a log from being emptied; report its end."""
        text = why or "no other program hinders the journal any more"
        self._announcer.once_until_changed("hindrance", finding("journal-hindered", "alarm" if why else "info", text), state=bool(why))
