"""Judges what comes back from a receiver. A receipt is a proof, and moves the cursor, or it is nothing, and moves nothing."""

import asyncio
import time
from collections import deque

import orjson

from buffer import Journal, ReceiptRefused
from config import Uplink
from gateway.entries.findings import Announcer
from gateway.entries.stamps import By, Stamps
from gateway.uplink.errors import Refused, Unreachable, UplinkError
from gateway.uplink.quarantine import Quarantine
from gateway.uplink.receipt import Receipt, parse
from gateway.uplink.status import Status
from gateway.uplink.transport import Answer, Arrival, Delivered, Outcome, Position
from gateway.uplink.unaccepted import Unaccepted
from gateway.uplink.window import Window

CONTRADICTS = frozenset({"digest-mismatch", "beyond-last", "beyond-sent"})
"""Refusals of a receipt for this gateway and this journal's epoch: whoever made it holds other entries than these."""
DURING_THE_REST = frozenset({"earlier-epoch-open", "unprovable"})
"""Nothing is wrong, and nothing is proved: a later epoch answered for in between, an entry that is not here to be compared."""
_WHO_ELSE = "; a page of HTML is a proxy's: is there a client certificate, has it expired, is the endpoint https?"


class Judge:
    """Judges the answers of one uplink's receiver, against the journal.

    here: a proof has come since `forget_places` that stands where the last one stood, or farther. behind: the position of the last
    receipt since then, if every one lay behind what had been confirmed; is_proved: whether its digest shows it. An empty receiver can
    prove nothing, so a mere word counts too, but less than any proof. claimed: an epoch that has ended, if the receiver says that it holds
    others of it, or more, and no proof has come since. contradiction: why the last receipt contradicts the journal, None if it does not.
    unaccepted: the schemas that the receiver does not accept.
    repeated: how many proofs have come that stand where the last one stood.
    """

    def __init__(
        self,
        journal: Journal,
        gateway: str,
        uplink: Uplink,
        window: Window,
        status: Status,
        announcer: Announcer,
        unaccepted: Unaccepted,
        stamps: Stamps | None = None,
    ) -> None:
        self._journal, self._gateway, self._uplink, self._window = journal, gateway, uplink, window
        self._status, self._announcer, self.unaccepted = status, announcer, unaccepted
        self._stamps = stamps
        self.quarantine = Quarantine(journal, status, announcer)
        self.takes_delivery = not uplink.receipts or uplink.profile == "records"
        self.behind: Position | None = None
        self.is_proved = self.here = False
        self.claimed: int | None = None
        self.contradiction: str | None = None
        self.repeated = 0

    def forget_places(self) -> None:
        """Begin anew to note where the receiver stands."""
        self.behind, self.is_proved, self.here, self.claimed = None, False, False, None

    def _lies_behind(self, position: Position, *, is_proved: bool) -> None:
        self.unaccepted.accept()  # another place than that before what it refused: whether it still does, the next entries show
        if not self.here and (is_proved or not self.is_proved):
            self.behind, self.is_proved = position, is_proved

    def _stands_here(self) -> None:
        self.behind, self.is_proved, self.here, self.claimed = None, False, True, None

    async def take(self, inbox: deque[Arrival]) -> None:
        """Judge everything that came in: of each epoch the receipts that reach farthest first, until one holds.

        The farthest says all that the others say; if it is refused, it must not hide a good one. The journal wants epochs in order.
        Where no receipts are agreed, what comes as one is nothing. Raises Unreachable or Refused for an answer to a page that had to be
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
                self._note_reference(item)
            elif not self.takes_delivery and (receipt := self._read(item)) is not None:
                receipts.setdefault(receipt.epoch, {})[receipt.through, receipt.digest] = receipt
        for _, of_epoch in sorted(receipts.items()):
            for key in sorted(of_epoch, reverse=True):
                if await self._judge(of_epoch[key]):
                    break
        if delivered is not None and self.takes_delivery:
            await self._acknowledge(delivered.position, delivered.digest)

    def is_claim(self, error: UplinkError, epoch: int) -> bool:
        """Return True if the receiver says by a refusal that it holds others of an epoch which has ended here."""
        is_conflict = isinstance(error, Refused) and error.code == "conflict" and not self.takes_delivery
        return is_conflict and self._journal.receipts.claim(self._uplink.name, epoch)

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
            await self._refuse_beyond(receipt)
            return False
        unaccepted = self.unaccepted.of(receipt.epoch, receipt.rejected, self._window.confirmed)
        holds = self._acknowledge_before(receipt, unaccepted[0].seq) if unaccepted else self._acknowledge(position, receipt.digest, receipt)
        if not await holds:
            return False
        self._status.receipts += 1
        self._status.last_receipt_ticks = time.time_ns() // 100
        self.contradiction = None
        if not unaccepted and standing == "behind":  # its list of rejected entries is as old: only the place is kept, for a resend
            self._lies_behind(position, is_proved=True)
            return True
        self.repeated += standing == "here"
        self._stands_here()
        self.unaccepted.look(receipt.epoch, unaccepted)
        end = unaccepted[0].seq if unaccepted else receipt.through + 1  # what lies behind comes once more, and is judged then
        await self.quarantine.keep(receipt.epoch, [one for one in receipt.rejected if one.seq < end])
        return True

    async def _refuse_beyond(self, receipt: Receipt) -> None:
        """Refuse a receipt for more than was sent. With the right digest it tells of no other history: who keeps live copies says so."""
        why = f"a receipt for entry {receipt.through} of epoch {receipt.epoch}, which was never sent"
        if receipt.epoch > self._journal.last[0]:
            self._refuse("unknown-epoch", why, receipt)
        elif (receipt.epoch, receipt.through) <= self._journal.last and await self._is_ours(receipt):
            self._refuse("beyond-sent", f"{why} but as a live copy, of which a receiver stores nothing", receipt, is_ours=True)
        else:
            self._refuse("beyond-sent", why, receipt)

    async def _is_ours(self, receipt: Receipt) -> bool:
        """Return True if the entry that a receipt names stands here with the digest that it states."""
        try:
            where = self._uplink.name, receipt.epoch, receipt.through, receipt.digest
            await asyncio.to_thread(self._journal.receipts.compare, *where)
        except ReceiptRefused:
            return False
        return True

    async def _acknowledge_before(self, receipt: Receipt, seq: int) -> bool:
        """Take a receipt that proves more than is to be confirmed: the cursor stays before entry `seq`. False if it proves nothing."""
        receipts, name, before = self._journal.receipts, self._uplink.name, (receipt.epoch, seq - 1)
        try:
            await asyncio.to_thread(receipts.compare, name, receipt.epoch, receipt.through, receipt.digest)
        except ReceiptRefused as error:
            self._not_acknowledged(error, (receipt.epoch, receipt.through), receipt)
            return False
        if before <= self._window.confirmed or seq == 1:
            return True
        held = await asyncio.to_thread(self._journal.read, before, max_bytes=1, max_entries=1)
        if not held or (held[0].epoch, held[0].seq) != (receipt.epoch, seq):
            return True  # not held here any more, so that nothing states the digest of the one before: the cursor stays where it is
        return await self._acknowledge(before, str(orjson.loads(held[0].payload)["previous"]))

    async def _acknowledge(self, position: Position, digest: str, receipt: Receipt | None = None) -> bool:
        """Have the journal compare the digest and move its cursor, then move the window. False if it refuses: nothing has moved."""
        try:
            if position[0] == self._window.cursor[0] and self._journal.is_recent(*position):
                self._journal.acknowledge(self._uplink.name, *position, digest)
            else:
                await asyncio.to_thread(self._journal.acknowledge, self._uplink.name, *position, digest)
        except ReceiptRefused as error:
            self._not_acknowledged(error, position, receipt)
            return False
        self._note_confirmed(position, receipt)
        if position > self._window.confirmed:
            self._window.confirm(position)
        self.quarantine.tell_passed(self._journal.receipts.take_passed(self._uplink.name))
        return True

    def _note_confirmed(self, position: Position, receipt: Receipt | None) -> None:
        """Note when the receiver first confirmed what lies up to here, and when it says that it stored it."""
        if self._stamps is None or position <= self._window.cursor:
            return
        by: By = "delivery" if receipt is None else "receipt"
        self._stamps.confirmed(self._uplink.name, self._window.cursor, position, by, receipt.stored_ticks if receipt else None)

    def _note_reference(self, outcome: Outcome) -> None:
        if self._stamps is not None and outcome.reference is not None:
            self._stamps.referred(self._uplink.name, outcome.position, outcome.reference)

    def _not_acknowledged(self, error: ReceiptRefused, position: Position, receipt: Receipt | None) -> None:
        """Note what a receipt tells that proves nothing: the place that it names, a claim, or a contradiction."""
        if error.code not in DURING_THE_REST:
            self._refuse(error.code, error.reason, receipt)
        elif error.code == "earlier-epoch-open":  # its digest was right
            self._stands_here()
        elif self._window.standing(position) == "behind":  # who holds less than what is kept here can prove nothing
            self._lies_behind(position, is_proved=False)
        if not self.here and self._journal.receipts.is_claimed(self._uplink.name, position[0]):
            self.claimed = position[0]

    def _refuse(self, code: str, reason: str, receipt: Receipt | None, *, is_ours: bool = False) -> None:
        """Count a refused receipt, and say so. One that contradicts the journal is a question of its own: `contradiction`.

        Of an epoch that has ended it is none: under its identities nothing new is sent by anybody. Nor is one of ours (is_ours).
        """
        self._note_refusal(f"receipt refused: {reason}")
        if code in CONTRADICTS and not is_ours and (receipt is None or receipt.epoch == self._journal.last[0]):
            self.contradiction = reason
        evidence = {} if receipt is None else {"epoch": receipt.epoch, "through": receipt.through, "digest": receipt.digest}
        self._announcer.say(f"receipt-{code}", "alarm", f"receipt refused: {reason}", **evidence)

    def _note_refusal(self, text: str) -> None:
        self._status.receipts_refused += 1
        self._status.refusal, self._status.refused_ticks = text, time.time_ns() // 100
