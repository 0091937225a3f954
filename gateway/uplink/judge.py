"""Judges what comes back from a receiver. A receipt is a proof, and moves the cursor, or it is nothing, and moves nothing."""

import asyncio
import time
from collections import deque

from buffer import Journal, ReceiptRefused
from config import Uplink
from gateway.entries.findings import Announcer
from gateway.uplink.errors import Refused, Unreachable
from gateway.uplink.quarantine import Quarantine
from gateway.uplink.receipt import Receipt, parse
from gateway.uplink.status import Status
from gateway.uplink.transport import Answer, Arrival, Delivered, Outcome, Position
from gateway.uplink.window import Window

CONTRADICTS = frozenset({"digest-mismatch", "beyond-last", "beyond-sent"})
"""Refusals of a receipt for this gateway and an epoch of this journal: whoever made it holds other entries than these."""
DURING_THE_REST = frozenset({"earlier-epoch-open", "unprovable"})
"""Nothing is wrong, and nothing is proved: a later epoch answered for in between, an entry that is not here to be compared."""
_WHO_ELSE = "; a page of HTML is a proxy's: is there a client certificate, has it expired, is the endpoint https?"


class Judge:
    """Judges the answers of one uplink's receiver, against the journal.

    behind: position of the last receipt since this was last set to None, if every one lay behind what had been confirmed. here: one has
    come that stands where the last proof stood. contradiction: why the last receipt contradicts the journal, None if it does not.
    """

    def __init__(self, journal: Journal, gateway: str, uplink: Uplink, window: Window, status: Status, announcer: Announcer) -> None:
        self._journal, self._gateway, self._uplink, self._window = journal, gateway, uplink, window
        self._status, self._announcer = status, announcer
        self.quarantine = Quarantine(journal, status, announcer)
        self.takes_delivery = not uplink.receipts or uplink.profile == "records"
        self.behind: Position | None = None
        self.here = False
        self.contradiction: str | None = None

    async def take(self, inbox: deque[Arrival]) -> None:
        """Judge everything that came in: of each epoch the receipts that reach farthest first, until one holds.

        The farthest says all that the others say; if it is refused, it must not hide a good one. The journal wants epochs in order. Where
        no receipts are agreed, what comes as one is nothing. Raises Unreachable, or Refused for an answer to a page that had to be
        a receipt.
        """
        receipts: dict[int, dict[tuple[int, str], Receipt]] = {}
        delivered: Delivered | None = None
        while inbox:
            item = inbox.popleft()
            if isinstance(item, Delivered):
                delivered = item if delivered is None else max(delivered, item)
                self._window.note_delivered(item.position)
            elif isinstance(item, Outcome):
                await self.quarantine.keep_outcome(item)
            elif not self.takes_delivery and (receipt := self._read(item)) is not None:
                receipts.setdefault(receipt.epoch, {})[receipt.through, receipt.digest] = receipt
        for _, of_epoch in sorted(receipts.items()):
            for key in sorted(of_epoch, reverse=True):
                if await self._judge(of_epoch[key]):
                    break
        if delivered is not None and self.takes_delivery:
            await self._acknowledge(delivered.position, delivered.digest)

    def _read(self, answer: Answer) -> Receipt | None:
        """Read a receipt for this gateway, or say why it is none."""
        try:
            receipt = parse(answer.payload)
        except ValueError as error:
            self._not_read(answer, error)
            return None
        if receipt.gateway != self._gateway:
            self._refuse("foreign", f"a receipt for {receipt.gateway!r}", receipt)
            return None
        return receipt

    def _not_read(self, answer: Answer, error: ValueError) -> None:
        """Say that an answer is no receipt. Raises Refused or Unreachable if it had to be one."""
        if answer.refused:
            raise Refused(
                "not-taken", f"{answer.about} holds no receipt that lists it in `rejected`: the stream stands before it ({error})"
            )
        if answer.required:
            raise Unreachable(f"{answer.about} holds no receipt: {error}") from error
        self._note_refusal(f"{answer.about} is no receipt: {error}")
        self._announcer.say("unreadable-receipt", "warning", self._status.refusal)

    async def _judge(self, receipt: Receipt) -> bool:
        """Let a receipt move the cursor and the quarantine, or say why not. True if it holds, wherever it stands."""
        position = (receipt.epoch, receipt.through)
        standing = self._window.standing(position)
        if standing == "beyond":
            known = receipt.epoch <= self._journal.last[0]
            why = f"a receipt for entry {receipt.through} of epoch {receipt.epoch}, which was never sent"
            self._refuse("beyond-sent" if known else "unknown-epoch", why, receipt)
            return False
        if not await self._acknowledge(position, receipt.digest, receipt):
            return False
        self._status.receipts += 1
        self._status.last_receipt_ticks = time.time_ns() // 100
        self.contradiction = None
        if standing == "behind":  # its list of rejected entries is as old: only the place is kept, for a resend
            self.behind = position
            return True
        self.here = True
        await self.quarantine.keep(receipt.epoch, receipt.rejected)
        return True

    async def _acknowledge(self, position: Position, digest: str, receipt: Receipt | None = None) -> bool:
        """Have the journal compare the digest and move its cursor, then move the window. False if it refuses: nothing has moved."""
        try:
            await asyncio.to_thread(self._journal.acknowledge, self._uplink.name, *position, digest)
        except ReceiptRefused as error:
            if error.code not in DURING_THE_REST:
                self._refuse(error.code, error.reason, receipt)
            elif self._window.standing(position) == "behind":
                self.behind = position  # who holds less than what is kept here can prove nothing, and is sent what is left
            else:
                self.here = True
            return False
        if position > self._window.confirmed:
            self._window.confirm(position)
            self.behind = None
        return True

    def _refuse(self, code: str, reason: str, receipt: Receipt | None) -> None:
        """Count a refused receipt, and say so. One that contradicts the journal is a question of its own: `contradiction`."""
        self._note_refusal(f"receipt refused: {reason}")
        if code in CONTRADICTS:
            self.contradiction = reason
        evidence = {} if receipt is None else {"epoch": receipt.epoch, "through": receipt.through, "digest": receipt.digest}
        self._announcer.say(f"receipt-{code}", "alarm", f"receipt refused: {reason}", **evidence)

    def _note_refusal(self, text: str) -> None:
        self._status.receipts_refused += 1
        self._status.refusal, self._status.refused_ticks = text, time.time_ns() // 100
