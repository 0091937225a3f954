"""Keeps the entries that a receiver was handed and did not take, as it lists them; they outlive a restart in the journal."""

import asyncio
from collections.abc import Iterable, Sequence

from buffer import Journal, Quarantined, Rejected
from gateway.entries.findings import Announcer
from gateway.uplink.status import Status
from gateway.uplink.transport import Outcome, Position


class Quarantine:
    """The quarantine of one uplink. Changed by proved receipts, and by outcomes for single records, and by nothing else."""

    def __init__(self, journal: Journal, status: Status, announcer: Announcer) -> None:
        self._receipts, self._status, self._announcer = journal.receipts, status, announcer
        self._kept: dict[int, frozenset[Rejected]] = {}  # the list taken over last, by epoch: most receipts repeat it
        self._offered: list[Position] = []  # those that a person wants offered again
        self._count()

    async def keep(self, epoch: int, rejected: Iterable[Rejected]) -> None:
        """Take over the receiver's whole present list for an epoch; what it no longer lists leaves."""
        listed = frozenset(rejected)
        if listed == (self._kept.get(epoch) if epoch in self._kept else self._listed(epoch)):
            self._kept[epoch] = listed
            return
        new, _ = await asyncio.to_thread(self._receipts.quarantine, self._status.name, epoch, sorted(listed))
        self._kept[epoch] = listed
        self._count()
        if new:
            text = f"{len(new)} entries rejected, first {new[0].seq}: {new[0].code} {new[0].reason}".rstrip()
            self._announcer.say("rejected", "alarm", text, epoch=epoch, seqs=[entry.seq for entry in new[:100]])
        if not self._status.rejected:
            self._over("the receiver has taken what it had rejected")

    def tell_passed(self, passed: Sequence[Quarantined]) -> None:
        """Tell of entries that came here because the receiver has gone on behind them without a proof that it holds them."""
        if not passed:
            return
        self._count()
        epochs = " and ".join(str(epoch) for epoch in sorted({entry.epoch for entry in passed}))
        text = (
            f"the receiver has gone on behind epoch {epochs}, of which it says that it holds others than are here, or more; no receipt"
            f" shows that it holds these: {'; '.join(entry.reason.partition(':')[0] for entry in passed[:10])}. They are kept in quarantine"
        )
        self._announcer.say("passed", "alarm", text, entries=[[entry.epoch, entry.seq] for entry in passed[:100]])

    def _over(self, text: str) -> None:
        for code in ("rejected", "passed"):
            self._announcer.over(code, text)

    async def keep_outcome(self, outcome: Outcome) -> None:
        """Keep the list record by record: a receiver that answers for single records has none itself."""
        (epoch, seq), rejected = outcome.position, outcome.rejected
        others = {entry for entry in self._listed(epoch) if entry.seq != seq}
        await self.keep(epoch, others if rejected is None else {*others, rejected})

    def later(self) -> list[Position]:
        """List the entries that the receiver wanted later, oldest first."""
        return [(entry.epoch, entry.seq) for entry in self._held() if entry.retry == "later"]

    def offer(self, positions: Iterable[Position]) -> None:
        """Have entries offered once more, whatever their retry is: a person has changed what they were refused for."""
        self._offered += [position for position in positions if position not in self._offered]

    def next_offered(self) -> Position | None:
        """Return the next entry to be offered for a person; None if there is none. One that has left the quarantine is passed over."""
        held = {(entry.epoch, entry.seq) for entry in self._held()} if self._offered else set()
        self._offered = [position for position in self._offered if position in held]
        return self._offered[0] if self._offered else None

    def was_offered(self, position: Position) -> None:
        """Note that an entry has gone out: what comes of it stands in the next receipt."""
        self._offered.remove(position)

    def dispose(self, position: Position) -> None:
        """Take an entry as dealt with by a person. Raises KeyError if it is not in quarantine."""
        self._receipts.dispose(self._status.name, *position)
        self._count()
        if not self._status.rejected:
            self._over("a person has disposed of what was rejected")

    def _held(self) -> list[Quarantined]:
        return [entry for entry in self._receipts.quarantined(self._status.name) if entry.state == "held"]

    def _listed(self, epoch: int) -> frozenset[Rejected]:
        entries = [entry for entry in self._receipts.quarantined(self._status.name) if entry.epoch == epoch]
        return frozenset(Rejected(entry.seq, entry.code, entry.retry, entry.reason) for entry in entries)

    def _count(self) -> None:
        self._status.rejected = len(self._held())
