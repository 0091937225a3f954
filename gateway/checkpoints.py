"""Signed checkpoints while the line runs: every five minutes, after each batch end, and before the end; and who outside has them."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from buffer import Journal
from buffer.catalogue import Inconsistent
from buffer.evidence import newest_note
from gateway.keyring import Keyring
from gateway.witness import Note, Witness

log = logging.getLogger(__name__)

EVERY_S = 300.0
MOST_PLACED = 2_000
"""So many checkpoints are remembered until the receivers have them: a week's."""


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
        self._signed_s: float | None = None
        self._placed: deque[tuple[tuple[int, int], int, float]] = deque(maxlen=MOST_PLACED)

    def batch_ended(self, seq: int, event: Mapping[str, Any]) -> None:
        """A batch's end record (or a new revision of it) is entry `seq`: it deserves a signature now."""
        named = {"batch": event["batch"], "record": event["record"], "revision": event["revision"], "seq": seq}
        self._ended.append((seq, named))
        self._batch_ended.set()

    async def run(self) -> None:
        """Sign until cancelled."""
        self._hand_on(await asyncio.to_thread(newest_note, self._journal.directory))
        while True:
            cause = "batch-end"
            try:
                async with asyncio.timeout(self._every_s):
                    await self._batch_ended.wait()
            except TimeoutError:
                cause = "interval"
            self._batch_ended.clear()
            await self.sign(cause)

    async def sign(self, cause: str) -> None:
        """Sign what is committed, if anything is new, and append the event that says so.

        The journal's writer does it after what was queued before the call, so an end record that was told is in the tree. The event names
        the end records that it is the first to cover: so the batch is closed by a signature although the fold, which makes the end record,
        knows nothing of keys (docs/decisions/0020).
        """
        try:
            event = await asyncio.to_thread(self._journal.checkpoint, self._keyring.signer, cause)
        except Inconsistent as error:
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
        self._placed.append((place, event["size"], time.monotonic()))
        self.last, self._signed_s = {"size": event["size"], "root": event["root"], "cause": cause}, time.monotonic()
        self._hand_on(Note.of(event["note"]))

    async def _refused(self, why: str) -> None:
        """Nothing that contradicts an earlier signature is signed; the line runs on, and people must look."""
        if self.refused is None:
            self.refused = why
            finding: dict[str, Any] = {
                "type": "finding",
                "code": "checkpoint-refused",
                "severity": "alarm",
                "source": None,
                "tags": [],
                "text": why,
            }
            await self._append(finding | {"evidence": {}})

    def describe(self, uplinks: Iterable[str] = ()) -> dict[str, Any]:
        """For the status: the last checkpoint and its age, what each receiver and each witness has, the public key (URS-AUD-05)."""
        age_s = None if self._signed_s is None else round(time.monotonic() - self._signed_s, 1)
        return {
            "last": self.last,
            "age_s": age_s,
            "refused": self.refused,
            "key": self._keyring.signer.public,
            "accepted": [self._accepted(uplink) for uplink in uplinks],
            "witnesses": [one.describe() for one in self.witnesses],
        }

    def _accepted(self, uplink: str) -> dict[str, Any]:
        """The newest checkpoint of this run that the uplink's receiver has confirmed."""
        cursor = self._journal.cursor(uplink)
        found = next(((size, signed_s) for place, size, signed_s in reversed(self._placed) if place <= cursor), None)
        size, age_s = (None, None) if found is None else (found[0], round(time.monotonic() - found[1], 1))
        return {"uplink": uplink, "size": size, "age_s": age_s}

    def _hand_on(self, note: Note | str | None) -> None:
        if note is None:
            return
        for witness in self.witnesses:
            witness.take(Note.of(note) if isinstance(note, str) else note)
