"""Signed checkpoints while the line runs: every five minutes, after each batch end, and before the end; and who outside has them."""

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
"""So many checkpoints are remembered until the receivers have them: a week's."""


class _Signed(NamedTuple):
    """A checkpoint: its tree, when it was signed (monotonic; None: the clock was set back since), and where its event stands.

    That place is not known of an earlier run's.
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
        self._ended: list[tuple[int, dict[str, Any]]] = []  # (seq of the end record, what the checkpoint says of it)
        self._batch_ended = asyncio.Event()
        self.last: dict[str, Any] | None = None
        self.refused: str | None = None
        self._signed: deque[_Signed] = deque(maxlen=MOST_PLACED)

    def batch_ended(self, seq: int, event: Mapping[str, Any]) -> None:
        """A batch's end record (or a new revision of it) is entry `seq`: it deserves a signature now."""
        named = {"batch": event["batch"], "record": event["record"], "revision": event["revision"], "seq": seq}
        self._ended.append((seq, named))
        self._batch_ended.set()

    async def run(self) -> None:
        """Sign until cancelled."""
        await self._resume()
        while True:
            cause = "batch-end"
            try:
                async with asyncio.timeout(self._every_s):
                    await self._batch_ended.wait()
            except TimeoutError:
                cause = "interval"
            self._batch_ended.clear()
            await self.sign(cause)

    async def _resume(self) -> None:
        """The newest checkpoint of an earlier run: the witnesses get it (again), for it may have been made when they were away."""
        found = await asyncio.to_thread(self._journal.newest_checkpoint)
        if found is None:
            return
        note = Note.of(found.note)
        if self.last is None:  # else a signature was asked for meanwhile
            age_s = time.time() - found.ticks / TICKS_PER_S
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
        covered = [named for seq, named in self._ended if seq <= event["size"]]
        self._ended = [(seq, named) for seq, named in self._ended if seq > event["size"]]
        if covered:
            event["batches"] = covered
        place = self._journal.opened.epoch, self._journal.next_seq
        await self._append(event)
        note = Note.of(event["note"])
        self._signed.append(_Signed(note.epoch, note.size, time.monotonic(), place))
        self.last = {"epoch": note.epoch, "size": note.size, "root": event["root"], "cause": cause}
        self._hand_on(note)

    async def _refused(self, why: str) -> None:
        """Nothing that contradicts an earlier signature is signed; the line runs on, and people must look."""
        if self.refused is None:
            self.refused = why
            await self._append(finding("checkpoint-refused", "alarm", why, {}))

    def describe(self, uplinks: Iterable[str] = ()) -> dict[str, Any]:
        """For the status: the newest checkpoint, what each receiver and each witness has, the public key (URS-AUD-05).

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
            "witnesses": [self._kept(one.describe()) for one in self.witnesses],
        }

    def _accepted(self, uplink: str) -> dict[str, Any]:
        """The newest checkpoint of this run that the uplink's receiver has confirmed."""
        cursor = self._journal.cursor(uplink)
        found = next((one for one in reversed(self._signed) if one.place is not None and one.place <= cursor), None)
        return {"uplink": uplink, "epoch": found and found.epoch, "size": found and found.size, "age_s": _age_s(found)}

    def _kept(self, described: dict[str, Any]) -> dict[str, Any]:
        kept = described["epoch"], described["size"]
        return described | {"age_s": _age_s(next((one for one in reversed(self._signed) if (one.epoch, one.size) == kept), None))}

    def _hand_on(self, note: Note) -> None:
        for witness in self.witnesses:
            witness.take(note)


def _age_s(one: _Signed | None) -> float | None:
    return None if one is None or one.signed_s is None else round(time.monotonic() - one.signed_s, 1)
