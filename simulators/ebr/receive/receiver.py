"""The only way into the EBR: stores pages of entries, each in one transaction, and passes the batches concerned to the builder."""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any

from simulators.ebr.base import Run
from simulators.ebr.entry import Stream, Unreadable, facts, read
from simulators.ebr.receive.injected_faults import InjectedFaults
from simulators.ebr.store import Store, Taken

log = logging.getLogger(__name__)

FRESH_KEPT = 1_000


class Receiver:
    """Takes everything that arrives, by MQTT and HTTP alike. Belongs to the event loop's thread; the store works in others."""

    def __init__(self, store: Store, script: InjectedFaults) -> None:
        self.store, self.script = store, script
        self.changed: set[tuple[str, str]] = set()
        self.changed_at = 0.0
        self.live: dict[str, float] = {}
        self.online: dict[str, bool] = {}
        self.last_at: dict[Stream, float] = {}
        self._order = asyncio.Lock()

    async def take(self, payloads: Sequence[bytes]) -> Taken:
        """Store a page; it is on disk when this returns."""
        kept, lost = self._lose(payloads)
        async with self._order:
            taken = await asyncio.to_thread(self.store.take, kept, self.script.rule)
        taken.answered |= lost
        for text in taken.unreadable:
            log.warning("not an entry: %s", text)
        if taken.stored:
            self.changed |= taken.batches
            self.changed_at = time.monotonic()
        for stream in taken.answered:
            self.last_at[stream] = time.time()
        return taken

    async def hear(self, gateway: str, runs: list[Run] | None) -> Taken:
        """Note what a gateway says that it holds; streams that go on by that deserve a receipt."""
        if runs is None:
            return Taken()
        async with self._order:
            taken = await asyncio.to_thread(self.store.hear, gateway, runs)
        self.changed_at = time.monotonic() if taken.answered else self.changed_at
        return taken

    def _lose(self, payloads: Sequence[bytes]) -> tuple[Sequence[bytes], set[Stream]]:
        """Lose the entries that are to be lost, or keep them for later; return the others, and the streams of all that came."""
        if not self.script.losing and not self.script.disordering:
            return payloads, set()
        came = [read(payload) for payload in payloads]
        entries = self.script.disordered(came) if self.script.disordering else came
        lost = [entry for entry in entries if self.script.loses(entry.seq)]
        return [entry.payload for entry in entries if entry not in lost], {entry.stream for entry in (*lost, *came)}

    async def receipts(self, taken: Taken) -> list[dict[str, object]]:
        """Make the receipts for a page, with the injected faults."""
        receipts = []
        for stream in sorted(taken.answered):
            receipt = await asyncio.to_thread(self.store.receipt, stream)
            receipts += await self.script.shape(receipt)
        return receipts

    async def take_record(self, record_id: str, payload: bytes) -> dict[str, str]:
        """Store a single record or refuse it; return the outcome to send back."""
        try:
            entry = read(payload)
        except Unreadable as error:
            return {"id": record_id, "outcome": "rejected", "code": "type-mismatch", "reason": str(error)}
        no = self.script.record_rule(entry) or entry.unsupported()
        if no is not None:
            async with self._order:
                await asyncio.to_thread(self.store.refuse_record, record_id, entry, no.code)
            return {"id": record_id, "outcome": "rejected", "code": no.code, "reason": no.reason}
        async with self._order:
            outcome = await asyncio.to_thread(self.store.take_record, record_id, payload)
        if outcome == "stored":
            self.changed |= {(entry.gateway, fact.batch) for fact in facts(entry.item) if fact.batch is not None}
            self.changed_at = time.monotonic()
        return {"id": record_id, "outcome": outcome}

    def copy(self, payload: bytes) -> None:
        """Note a live copy: it shows that the line is alive, and is not stored."""
        head = payload[:400].decode(errors="replace")
        gateway = head.partition('"gateway":"')[2].partition('"')[0]
        if gateway and len(self.live) < FRESH_KEPT:
            self.live[gateway] = time.time()

    def state(self) -> dict[str, Any]:
        """Return counts and streams, for the index page and for tests."""
        streams = [
            {"gateway": gateway, "epoch": epoch, "through": through, "digest": digest, "last_at": self.last_at.get((gateway, epoch))}
            for (gateway, epoch), (through, digest) in self.store.streams().items()
        ]
        return {"streams": streams, "counts": self.store.counts(), "online": self.online, "live": self.live}
