"""Signs checkpoints while the line runs: every five minutes, after each batch end and before the end; and tracks who outside has them."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from buffer import CheckpointRefused, Journal
from gateway.entries.findings import finding
from gateway.entries.ticks import TICKS_PER_S
from gateway.evidence.keyring import Keyring
from gateway.evidence.witness import Note, Witness

log = logging.getLogger(__name__)

EVERY_S = 300.0
MOST_PLACED = 2_000
"""Checkpoints remembered until the receivers have them: a week's."""


class _Signed(NamedTuple):
    """A checkpoint over the first `size` entries of `epoch`.

    signed_s: when, on the monotonic clock; None if the wall clock was set back since. place: (epoch, seq) from which on a receiver's cursor
    covers its event; None for one of an earlier run.
    """

    epoch: int
    size: int
    signed_s: float | None
    place: tuple[int, int] | None


class Checkpoints:
    """Asks the journal for checkpoints, has them appended, and hands them to the witnesses."""

    def __init__(
        self,
        journal: Journal,
        keyring: Keyring,
        append: Callable[[dict[str, Any]], Awaitable[None]],
        witnesses: Sequence[Witness] = (),
        *,
        every_s: float = EVERY_S,
    ) -> None:
        self._journal, self._keyring, self._append, self.witnesses = journal, keyring, append, witnesses
        self._every_s = every_s
        self._uncovered: list[tuple[int, dict[str, Any]]] = []  # end records that no checkpoint covers: (seq, what one says of it)
        self._batch_ended = asyncio.Event()
        self._due: str | None = None  # cause of a signature that is not made yet
        self.last: dict[str, Any] | None = None
        self.refused: str | None = None
        self._signed: deque[_Signed] = deque(maxlen=MOST_PLACED)

    def batch_ended(self, seq: int, event: Mapping[str, Any]) -> None:
        """Have a batch's end record (or a new revision of it), entry `seq`, signed now and not at the next interval."""
        self._uncovered.append((seq, {"batch": event["batch"], "record": event["record"], "revision": event["revision"], "seq": seq}))
        self._batch_ended.set()

    async def run(self, done: Callable[[], object] = object) -> None:
        """Sign at each interval and after each batch end, until cancelled. What a run before failed to sign is signed at once.

        done: called after each.
        """
        await self._resume()
        if self._due is None:
            done()
        while True:
            if self._due is None:
                self._due = await self._cause()
            self._batch_ended.clear()  # before the signature: a batch that ends while it is made gets one of its own
            await self.sign(self._due)
            self._due = None
            done()

    async def _cause(self) -> str:
        """Wait for the next occasion to sign."""
        try:
            async with asyncio.timeout(self._every_s):
                await self._batch_ended.wait()
        except TimeoutError:
            return "interval"
        return "batch-end"

    async def _resume(self) -> None:
        """Hand the newest checkpoint of an earlier run to the witnesses (again): it may have been made when they were away."""
        newest = await asyncio.to_thread(self._journal.newest_checkpoint)
        if newest is None:
            return
        note = Note.of(newest.note)
        if self.last is None:  # else a signature was asked for meanwhile
            age_s = time.time() - newest.ticks / TICKS_PER_S
            self.last = {"epoch": note.epoch, "size": note.size, "root": note.root, "cause": "earlier-run"}
            self._signed.append(_Signed(note.epoch, note.size, time.monotonic() - age_s if age_s >= 0 else None, None))
        self._hand_on(note)

    async def sign(self, cause: str) -> None:
        """Sign what is committed, if anything is new, and append the event that says so.

        The journal's writer does it after what was queued before the call, so an end record that was told is in the tree. The event names
        the end records that it is the first to cover: so the batch is closed by a signature although the fold, which makes the end record,
        knows nothing of keys (docs/decisions/0020).
        """
        try:
            event = await asyncio.to_thread(self._journal.checkpoint, self._keyring.signer, cause)
        except CheckpointRefused as error:
            await self._refused(str(error))
            return
        if event is None:
            return
        covered = [end_record for seq, end_record in self._uncovered if seq <= event["size"]]
        self._uncovered = [(seq, end_record) for seq, end_record in self._uncovered if seq > event["size"]]
        if covered:
            event["batches"] = covered
        place = self._journal.opened.epoch, self._journal.next_seq  # of the event: nothing comes between this and the next line
        await self._append(event)
        note = Note.of(event["note"])
        self._signed.append(_Signed(note.epoch, note.size, time.monotonic(), place))
        self.last = {"epoch": note.epoch, "size": note.size, "root": event["root"], "cause": cause}
        self._hand_on(note)

    async def _refused(self, why: str) -> None:
        """Raise an alarm, once: to sign would contradict an earlier signature. The line runs on, and people must look."""
        if self.refused is None:
            self.refused = why
            await self._append(finding("checkpoint-refused", "alarm", why, {}))

    def describe(self, uplinks: Iterable[str] = ()) -> dict[str, Any]:
        """Describe for the status the newest checkpoint, what each receiver and each witness has, and the public key (URS-AUD-05).

        Every age_s is that of a checkpoint, since it was signed.
        """
        public = self._keyring.signer.public
        return {
            "last": self.last,
            "age_s": _age_s(self._signed[-1] if self._signed else None),
            "every_s": self._every_s,
            "refused": self.refused,
            "key": public,
            "key_name": "+".join(public.split("+", 2)[:2]),
            "accepted": [self._accepted(uplink) for uplink in uplinks],
            "witnesses": [self._kept(witness.describe()) for witness in self.witnesses],
        }

    def _accepted(self, uplink: str) -> dict[str, Any]:
        """Describe the newest checkpoint of this run that the uplink's receiver has confirmed."""
        cursor = self._journal.cursor(uplink)
        signed = next((signed for signed in reversed(self._signed) if signed.place is not None and signed.place <= cursor), None)
        return {"uplink": uplink, "epoch": signed and signed.epoch, "size": signed and signed.size, "age_s": _age_s(signed)}

    def _kept(self, described: dict[str, Any]) -> dict[str, Any]:
        """Add to a witness's own account the age of the checkpoint that it took last."""
        tree = described["epoch"], described["size"]
        signed = next((signed for signed in reversed(self._signed) if (signed.epoch, signed.size) == tree), None)
        return described | {"age_s": _age_s(signed)}

    def _hand_on(self, note: Note) -> None:
        for witness in self.witnesses:
            witness.take(note)


def _age_s(signed: _Signed | None) -> float | None:
    return None if signed is None or signed.signed_s is None else round(time.monotonic() - signed.signed_s, 1)
