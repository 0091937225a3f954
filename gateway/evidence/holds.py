"""Holds batches for QA: their entries stay in the journal, whatever retention says, until a person lets them go."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from buffer import Journal
from gateway.access import Actor
from gateway.context import Fold
from gateway.evidence.audit import AuditTrail


class Holds:
    """Holds each batch from its first entry to the last record that names it.

    What is to be held is noted at once and made durable by `run`, in order. A crash in between is made good by `resume`.
    """

    def __init__(self, journal: Journal, fold: Fold, audit: AuditTrail, *, every_batch: bool) -> None:
        """Make the holds of a journal.

        every_batch: hold each batch that begins ([buffer] hold_batches); else only those that were held before stay so.
        """
        self._journal, self._fold, self._audit, self._every_batch = journal, fold, audit, every_batch
        self._due: asyncio.Queue[tuple[Callable[[str, int], None], str, int]] = asyncio.Queue()  # as many as records of batches
        self._doing: tuple[Callable[[str, int], None], str, int] | None = None

    def caused(self, seq: int, event: Mapping[str, Any]) -> None:
        """Take note of an event that the fold made, entry `seq`: a hold begins with a batch, and ends with the last record of it."""
        batch = event.get("batch")
        if batch is None:
            return
        if event["type"] == "batch" and event["transition"] == "start" and self._every_batch:
            self._due.put_nowait((self._journal.holds.keep, str(batch), min(seq, self._fold.open_since() or seq)))
        elif (self._every_batch or batch in self._journal.holds.all()) and not self._is_open(batch):
            self._due.put_nowait((self._journal.holds.end, str(batch), seq))

    def resume(self) -> None:
        """Make good what a crash between the start or the end of a batch and its hold has left undone."""
        if not self._every_batch:
            return
        holds = self._journal.holds.all()
        for name, batch in self._fold.state.batches.items():
            if self._is_open(name) and name not in holds:
                self._due.put_nowait((self._journal.holds.keep, name, min(member.start_seq for member in batch.members)))
        for name, (_, _, last) in holds.items():
            if last is None and not self._is_open(name):
                self._due.put_nowait((self._journal.holds.end, name, self._journal.last[1]))

    async def run(self, done: Callable[[], object] = object) -> None:
        """Make durable what was noted, one after the other, until cancelled. done: called when nothing is left to do.

        In order, because a hold that ends before it begins would never end; in a thread, because the fold that notes it must not wait for
        the disk.
        """
        while True:
            if self._doing is None:
                if self._due.empty():
                    done()
                self._doing = await self._due.get()
            keep_or_end, batch, seq = self._doing
            await asyncio.to_thread(keep_or_end, batch, seq)
            self._doing = None  # not before: what raised is done at the next run

    async def release(self, batch: str, by: Actor, review: str | None) -> bool:
        """Let a held batch go; False if no batch of this name is held. The audit entry comes first: nothing goes without one.

        review: the id of the document by which its audit trail was reviewed; None: it was not, and the record says so.
        """
        if batch not in self._journal.holds.all():
            return False
        what = {"batch": batch, "audit_trail_review": review}
        await self._audit.record("release-hold", what, by, target=f"batch {batch}", old="held", new="released")
        return await asyncio.to_thread(self._journal.holds.release, batch)

    def _is_open(self, batch: str) -> bool:
        """Return True if a record of this batch may still come: it has not ended, or its end record or a revision of it is due."""
        state = self._fold.state.batches.get(batch)
        return state is not None and bool(state.members) and (state.ended is None or state.dirty is not None or not state.revision)
