"""Faults of the EBR that a test injects, and may change while it runs."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from simulators.ebr.entry import Entry, Refusal


@dataclass
class InjectedFaults:
    """The faults to inject. All off: a good EBR.

    refuse: seq of entries that are not taken, and why. lose: share of messages or pages dropped before they are stored. lose_entries:
    share of entries that are lost of what came and is answered. lose_once: seq of those that are lost the first time they come.
    keep_through: nothing beyond this entry is stored, though all is answered. lose_receipts: share of answers dropped after storing.
    double_receipts: every receipt twice. answer_after_s: receipts that much later. clock_ahead_s: by how much the EBR's clock is ahead, as
    its receipts show it. wrong_digest: receipts with a digest of something else. silent: takes and stores, answers nothing.
    page_status: HTTP status (with Retry-After page_retry_after) for the next page_times pages; page_body: its body instead of a
    receipt. largest_page_bytes: answers 413 above. poison_422: a page with a refused entry is answered 422 whole, until that entry comes
    alone. refuse_types: types of single records that are not taken. unknown_orders: orders that the EBR does not know yet.
    accepts: schemas with their versions that are taken, as `ebr-gateway/event/1`; None: all that it reads.
    disorder: share of entries that are taken after those of the next page; the others of a page are taken last first. moved: so many were.
    miscounts: added to each count of an answer to what is held; reconcile_body: answered instead; reconcile_dribbles: without end, and
    by MQTT, where an answer is one message, not at all. By MQTT, too: reconcile_times: how often each is published; reconcile_after_s: so
    late; reconcile_unasked: so many to nobody's question come before each.
    """

    refuse: dict[int, Refusal] = field(default_factory=dict)
    lose: float = 0.0
    lose_entries: float = 0.0
    lose_once: set[int] = field(default_factory=set)
    keep_through: int | None = None
    lose_receipts: float = 0.0
    double_receipts: bool = False
    answer_after_s: float = 0.0
    clock_ahead_s: float = 0.0
    wrong_digest: bool = False
    silent: bool = False
    page_status: int = 0
    page_times: int = 0
    page_body: bytes | None = None
    page_retry_after: str | None = None
    largest_page_bytes: int = 16_777_216
    poison_422: bool = False
    refuse_types: dict[str, Refusal] = field(default_factory=dict)
    unknown_orders: set[str] = field(default_factory=set)
    accepts: Sequence[str] | None = None
    disorder: float = 0.0
    moved: int = 0
    miscounts: int = 0
    reconcile_body: bytes | None = None
    reconcile_dribbles: bool = False
    reconcile_times: int = 1
    reconcile_after_s: float = 0.0
    reconcile_unasked: int = 0
    seed: int = 1

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._later: list[Entry] = []

    def rule(self, entry: Entry) -> Refusal | None:
        """Refuse an entry; None to take it."""
        return self._version(entry) or self.refuse.get(entry.seq)

    def _version(self, entry: Entry) -> Refusal | None:
        schema = str(entry.item.get("schema"))
        if self.accepts is None or schema in self.accepts:
            return None
        return Refusal("schema-unsupported", "after-change", f"this EBR takes {', '.join(self.accepts) or 'nothing'}")

    def record_rule(self, entry: Entry) -> Refusal | None:
        """Refuse a single record; None to take it."""
        if (no := self._version(entry)) is not None:
            return no
        event = entry.item.get("event") or {}
        if event.get("order") in self.unknown_orders:
            return Refusal("unknown-order", "later", f"order {event['order']} is not known")
        return self.refuse_types.get(str(event.get("type")))

    def drops(self) -> bool:
        """True for a message or page that gets lost on its way in."""
        return self._random.random() < self.lose

    @property
    def disordering(self) -> bool:
        """True if entries may be taken in another order than they came."""
        return self.disorder > 0 or bool(self._later)

    def disordered(self, page: Sequence[Entry]) -> list[Entry]:
        """Return what is taken now, in another order than it came, and keep some of it until the next page comes."""
        before, later = self._later, [entry for entry in page if self._random.random() < self.disorder]
        now = [entry for entry in page if entry not in later]
        self._later = later
        self.moved += len(before) + max(len(now) - 1, 0) * (self.disorder > 0)
        return [*(reversed(now) if self.disorder > 0 else now), *before]

    @property
    def losing(self) -> bool:
        """True if single entries may get lost."""
        return bool(self.lose_once or self.lose_entries or self.keep_through is not None)

    def loses(self, seq: int) -> bool:
        """True for an entry that came and is not stored, as where a transaction failed."""
        if seq in self.lose_once:
            self.lose_once.remove(seq)
            return True
        return (self.keep_through is not None and seq > self.keep_through) or self._random.random() < self.lose_entries

    def drops_receipt(self) -> bool:
        """True for an answer that gets lost on its way out."""
        return self.silent or self._random.random() < self.lose_receipts

    async def shape(self, receipt: dict[str, object]) -> list[dict[str, object]]:
        """Return the receipts to send instead of this one, after the injected delay."""
        if self.answer_after_s:
            await asyncio.sleep(self.answer_after_s)
        if self.drops_receipt():
            return []
        if self.clock_ahead_s and "stored_time" in receipt:
            stored = datetime.fromisoformat(str(receipt["stored_time"])) + timedelta(seconds=self.clock_ahead_s)
            receipt = {**receipt, "stored_time": stored.isoformat().replace("+00:00", "Z")}
        if self.wrong_digest:
            receipt = {**receipt, "digest": "f" * 64}
        return [receipt, receipt] if self.double_receipts else [receipt]
