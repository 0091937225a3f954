"""Forwards committed entries to one receiver: sends the stored bytes, advances by receipts alone, sends again what got none; for ever."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from buffer import Journal, ReceiptRefused, Rejected
from config import Line, Uplink
from gateway.entries.findings import Announcer, Report, Severity, finding
from gateway.uplink.errors import Refused, Unreachable, UplinkError
from gateway.uplink.https import Https, HttpsRecords
from gateway.uplink.live_copies import PAGE_BYTES as LIVE_BYTES
from gateway.uplink.live_copies import PAGE_ENTRIES as LIVE_ENTRIES
from gateway.uplink.live_copies import Live
from gateway.uplink.mqtt import Mqtt, MqttRecords
from gateway.uplink.rate_limit import Pace
from gateway.uplink.receipt import NOTHING, Receipt, parse
from gateway.uplink.transport import MAX_ENTRY_BYTES, Answer, Delivered, Online, Outcome, Position, Transport
from gateway.uplink.window import Window

PAGE_BYTES = 1_048_576
TICK_S = 1.0
REFUSED_WAIT_S = 30.0
ASK_AGAIN_S = 60.0
ASK_AGAIN_ENTRIES = 50

State = Literal["starting", "connecting", "forwarding", "stalled", "unreachable", "refused", "stopped"]


@dataclass(slots=True)
class Status:
    """What the status page shows of one uplink. entries, bytes, oldest_ticks: of what the journal holds without a receipt."""

    name: str
    state: State = "starting"
    detail: str = ""
    entries: int = 0
    bytes: int = 0
    oldest_ticks: int | None = None
    last_receipt_ticks: int | None = None
    rejected: int = 0
    sent_entries: int = 0
    sent_bytes: int = 0
    resends: int = 0
    receipts: int = 0
    receipts_refused: int = 0
    live_entries: int = 0


class Forwarder:
    """Serves one uplink of one line: made once per process; `run` is called again after it raised.

    Only a receipt with the right digest moves the cursor; delivery does where no receipts are agreed. What was sent and has no receipt may
    or may not have arrived: it is sent again until a receipt speaks of it. An entry that comes twice does no harm; one wrongly taken for
    received would be lost.

    report: gets whole finding events, in the loop's thread; must not block. transport: by default the one that the configuration names.
    clock: monotonic seconds. Raises ValueError if the configured topic can not be published to.
    """

    def __init__(
        self,
        journal: Journal,
        line: Line,
        uplink: Uplink,
        report: Report,
        *,
        transport: Transport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._journal, self._uplink, self._gateway, self._clock = journal, uplink, line.gateway, clock
        self._transport = transport or _transport(uplink, line.gateway, line.folder)
        journal.uplink(uplink.name, uplink.required and uplink.receipts)
        self.status = Status(uplink.name)
        self._announcer = Announcer(report, partial(_finding, uplink.name), clock)
        # What stands in the journal now may have been sent before a restart: a receipt for it is no surprise.
        self._window = Window(journal.cursor(uplink.name), journal.last, uplink.window_bytes)
        self._pace, self._live = Pace(uplink.max_bytes_per_s, clock), Live(clock)
        self._rejected: dict[int, tuple[Rejected, ...]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = asyncio.Event()
        self._moved_at = self._looked_at = self._asked_at = clock()
        self._stalls, self._wait_s = 0, 0.0
        self._takes_delivery = not uplink.receipts or uplink.profile == "records"
        self._behind: Position | None = None  # the last receipt since the last resend, if all lie behind
        self._transport.wake = self._woken.set

    def wake(self, _last: Position | None = None) -> None:
        """Note that something was committed. May be called in any thread, at any time."""
        loop = self._loop
        if loop is not None:
            try:
                loop.call_soon_threadsafe(self._woken.set)
            except RuntimeError:
                self._loop = None  # the loop is closed: the process is ending

    async def failed(self, _why: str) -> None:
        """Return when the next call of `run`, which has raised, makes sense by what the receiver said (Retry-After, a refusal).

        The supervisor's own wait comes on top.
        """
        wait_s, self._wait_s = self._wait_s, 0.0
        await asyncio.sleep(wait_s)

    async def run(self) -> None:
        """Connect and forward until cancelled.

        Raises Unreachable (wait, then run again) or Refused (reported as an alarm; a person decides; running again is harmless). A storage
        error of the journal passes through: the process must end.
        """
        self._loop = asyncio.get_running_loop()
        # Nobody knows what of the last connection's entries has arrived: they are sent once more, and answered once more.
        self._transport.inbox.clear()
        self._window.again()
        try:
            await self._connect()
            while True:
                await self._round()
        except Unreachable as error:
            self.status.state, self.status.detail = "unreachable", str(error)
            self._wait_s = error.retry_after_s or 0.0
            raise
        except Refused as error:
            self.status.state, self.status.detail = "refused", str(error)
            self._announcer.say(error.code, "alarm", str(error))
            self._wait_s = REFUSED_WAIT_S
            raise
        except asyncio.CancelledError:
            self.status.state = "stopped"
            raise
        finally:
            await self._transport.close()

    async def _connect(self) -> None:
        self.status.state, self.status.detail = "connecting", self._uplink.endpoint
        for remark in await self._transport.open(await self._announcement()):
            self._announcer.say("certificate-ends", "warning", remark)
        self.status.state, self.status.detail = "forwarding", ""
        self._moved_at, self._behind = self._clock(), None

    async def _round(self) -> None:
        """Take one turn: what came in, what is overdue, what can go out; then wait for any of them."""
        self._woken.clear()  # before the look, not after it: what comes during the look wakes the next turn
        await self._take_arrivals()
        if self._stalled():
            self._resend()
        sent = await self._send()
        await self._send_live()
        if self._clock() - self._looked_at >= TICK_S:
            await self._refresh_status()
        if not sent and not self._transport.inbox:
            await self._wait()

    # -- out

    async def _send(self) -> bool:
        """Send the next page, as far as window, transport and bandwidth have room. True if anything went."""
        room = self._transport.room()
        size_bytes = min(self._window.room_bytes, room.bytes, PAGE_BYTES)
        if self._stalls > 1:  # nothing answers: ask with one entry, any receipt tells the rest
            room = room._replace(entries=min(room.entries, 1 if self._window.unreceipted_bytes == 0 else 0))
        # A page holds one entry at least, however large: it would overrun a window that is nearly full; an empty one lets it pass.
        if room.entries < 1 or self._pace.wait_s() > 0 or (size_bytes < MAX_ENTRY_BYTES and self._window.unreceipted_bytes):
            return False
        if self._uplink.max_bytes_per_s is not None:
            size_bytes = min(size_bytes, self._uplink.max_bytes_per_s)
        entries = await asyncio.to_thread(self._journal.read, self._window.sent, max_bytes=max(size_bytes, 1), max_entries=room.entries)
        if not entries:
            return False
        if self._window.unreceipted_bytes == 0:  # nobody owed a receipt until now: the silence before is none
            self._moved_at = self._clock()
        try:
            taken = entries[: await self._transport.send(entries)]
        except UplinkError:
            await self._take_arrivals()  # what had its answer before counts
            raise
        sent_bytes = self._window.note_sent(taken)
        self._pace.spend(sent_bytes)
        self._live.earn(sent_bytes)
        self.status.sent_entries += len(taken)
        self.status.sent_bytes += sent_bytes
        return True

    async def _send_live(self) -> None:
        """Send copies of the newest entries while the uplink is behind. They move nothing: the window does not know of them."""
        after = self._live.start(self._journal.last)
        if after is None or self._pace.wait_s() > 0:
            return
        entries = await asyncio.to_thread(self._journal.read, after, max_bytes=LIVE_BYTES, max_entries=LIVE_ENTRIES)
        if not entries:
            return
        await self._transport.live(entries)
        copied_bytes = sum(len(entry.payload) for entry in entries)
        self._pace.spend(copied_bytes)
        self._live.spend(copied_bytes, (entries[-1].epoch, entries[-1].seq))
        self.status.live_entries += len(entries)

    def _stalled(self) -> bool:
        """True when entries were delivered, as far as the transport knows, and no receipt followed for the agreed time.

        While the transport still waits for its own acknowledgement, a resend would only queue behind what is on its way.
        """
        if self._window.unreceipted_bytes == 0 or self._transport.outstanding or self._takes_delivery:
            return False
        return self._clock() - self._moved_at > self._uplink.resend_after_s

    def _resend(self) -> None:
        """Send again what got no receipt; if every receipt since the last resend lay behind that, from where the receiver says it is.

        Not at once: an old receipt may have been long on its way. When a whole resend has brought only such, the receiver was set back.
        """
        self._stalls += 1
        self.status.resends += 1
        silence_s = self._stalls * self._uplink.resend_after_s
        if self._behind is not None and self._stalls > 1:
            self._rewind(self._behind)
        else:
            self._window.again()
            if self._stalls > 1 and self._behind is None:
                self.status.state, self.status.detail = "stalled", f"delivered, but no receipt for {silence_s:.0f} s"
                self._announcer.say("no-receipts", "alarm", self.status.detail, confirmed=list(self._window.confirmed))
        self._moved_at, self._behind = self._clock(), None

    def _rewind(self, position: Position) -> None:
        """Send again from `position`. The cursor stays: it was proved once, and retention may have used it."""
        text = f"the receiver holds entries up to {position[1]} of epoch {position[0]}, but had confirmed up to {self._window.cursor}"
        self._announcer.say("receiver-went-back", "alarm", text, holds=list(position), had_confirmed=list(self._window.cursor))
        self._window.go_back(position if position[1] else (0, 0))  # who has nothing of this epoch may lack those before, too
        self._stalls = 0

    # -- in

    async def _take_arrivals(self) -> None:
        """Judge everything that came in since the last round: of each epoch the receipts that reach farthest first, until one holds.

        The farthest says all that the others say; if it is refused, it must not hide a good one. The journal wants epochs in order.
        """
        receipts: dict[int, dict[tuple[int, str], Receipt]] = {}
        delivered: Delivered | None = None
        while self._transport.inbox:
            item = self._transport.inbox.popleft()
            if isinstance(item, Delivered):
                delivered, self._moved_at = item, self._clock()  # it has arrived just now: only from here on a receipt is due
            elif isinstance(item, Outcome):
                await self._keep_outcome(item)
            elif (receipt := self._read(item)) is not None:
                receipts.setdefault(receipt.epoch, {})[receipt.through, receipt.digest] = receipt
        for _, of_epoch in sorted(receipts.items()):
            for key in sorted(of_epoch, reverse=True):
                if await self._judge(of_epoch[key]):
                    break
        if delivered is not None and self._takes_delivery:
            await self._acknowledge(delivered.position, delivered.digest)

    def _read(self, answer: Answer) -> Receipt | None:
        """Read a receipt for this gateway, or say why it is none. Raises Unreachable if something else than the receiver took a page."""
        try:
            receipt = parse(answer.payload)
        except ValueError as error:
            if answer.required and self._uplink.receipts:
                raise Unreachable(f"{answer.about} holds no receipt: {error}") from error
            if self._uplink.receipts:
                self._announcer.say("unreadable-receipt", "warning", f"{answer.about} is no receipt: {error}")
            return None
        if receipt.gateway != self._gateway:
            self._refuse("foreign", f"a receipt for {receipt.gateway!r}", receipt)
            return None
        return receipt

    async def _judge(self, receipt: Receipt) -> bool:
        """Let a receipt move the cursor, or say why not. True if it holds, wherever it stands."""
        position = (receipt.epoch, receipt.through)
        standing = self._window.standing(position)
        if standing == "beyond":
            self._refuse("beyond-sent", f"a receipt for entry {receipt.through}, which was never sent", receipt)
            return False
        if receipt.digest != NOTHING and not await self._acknowledge(position, receipt.digest, receipt):
            return False
        self.status.receipts += 1
        self.status.last_receipt_ticks = time.time_ns() // 100
        if standing == "behind":  # its list of rejected entries is as old: only the place is kept, for `_resend`
            self._behind = position
        else:
            await self._keep_rejected(receipt)
        return True

    async def _acknowledge(self, position: Position, digest: str, receipt: Receipt | None = None) -> bool:
        """Have the journal compare the digest and move its cursor, then move the window. False if it refuses: nothing has moved."""
        try:
            await asyncio.to_thread(self._journal.acknowledge, self._uplink.name, *position, digest)
        except ReceiptRefused as error:
            if error.code != "earlier-epoch-open":  # its turn comes when the earlier epoch is done
                self._refuse(error.code, error.reason, receipt)
            return False
        if position > self._window.confirmed:  # progress, and after a rewind all below the cursor is progress
            self._window.confirm(position)
            self._moved_at, self._stalls, self._behind = self._clock(), 0, None
            self.status.state, self.status.detail = "forwarding", ""
            self._announcer.over("no-receipts", "receipts come again")
            if self._window.confirmed == self._window.cursor:
                self._announcer.over("receiver-went-back", "the receiver holds again what it had confirmed")
        return True

    def _refuse(self, code: str, reason: str, receipt: Receipt | None) -> None:
        self.status.receipts_refused += 1
        evidence = {} if receipt is None else {"epoch": receipt.epoch, "through": receipt.through, "digest": receipt.digest}
        self._announcer.say(f"receipt-{code}", "alarm", f"receipt refused: {reason}", **evidence)

    async def _keep_outcome(self, outcome: Outcome) -> None:
        """Keep the list of what the receiver does not take, record by record: one that answers for single records has no list itself."""
        (epoch, seq), rejected = outcome
        listed_before = self._rejected.get(epoch)
        if listed_before is None:  # not asked since this start: the quarantine has outlived it
            entries = [entry for entry in self._journal.receipts.quarantined(self._uplink.name) if entry.epoch == epoch]
            listed_before = tuple(Rejected(entry.seq, entry.code, entry.retry, entry.reason) for entry in entries)
            self._rejected[epoch] = listed_before
        others = tuple(entry for entry in listed_before if entry.seq != seq)
        listed = others if rejected is None else (*others, rejected)
        if set(listed) != set(listed_before):
            await self._keep_rejected(Receipt(self._gateway, epoch, seq, NOTHING, listed))

    async def _keep_rejected(self, receipt: Receipt) -> None:
        """Put the receiver's whole present list of what it does not take into quarantine; what it no longer lists leaves."""
        listed_before = self._rejected.get(receipt.epoch)
        if listed_before == receipt.rejected or (
            listed_before is None and not receipt.rejected and not self._journal.receipts.quarantined(self._uplink.name)
        ):
            return
        await asyncio.to_thread(self._journal.receipts.quarantine, self._uplink.name, receipt.epoch, list(receipt.rejected))
        new = sorted({entry.seq for entry in receipt.rejected} - {entry.seq for entry in listed_before or ()})
        self._rejected[receipt.epoch] = receipt.rejected
        self.status.rejected = sum(map(len, self._rejected.values()))
        if new:
            first = next(entry for entry in receipt.rejected if entry.seq == new[0])
            text = f"{len(new)} entries rejected, first {first.seq}: {first.code} {first.reason}".rstrip()
            self._announcer.say("rejected", "alarm", text, epoch=receipt.epoch, seqs=new[:100])
        if not self.status.rejected:
            self._announcer.over("rejected", "the receiver has taken what it had rejected")

    # -- time

    async def _wait(self) -> None:
        """Wait until something comes in or was committed, or the next look is due: bandwidth again, a resend, the status."""
        pause_s = min(TICK_S, self._pace.wait_s() or TICK_S)
        if self._window.unreceipted_bytes:
            pause_s = min(pause_s, max(0.01, self._moved_at + self._uplink.resend_after_s - self._clock()))
        try:
            async with asyncio.timeout(pause_s):
                await self._woken.wait()
        except TimeoutError:
            pass

    async def _refresh_status(self) -> None:
        """See once a second to the transport's health, how far behind we are, rejected entries whose turn has come, new certificates."""
        self._looked_at = self._clock()
        await self._transport.tick()
        depth = await asyncio.to_thread(self._journal.receipts.depth, self._uplink.name)
        self.status.entries, self.status.bytes, self.status.oldest_ticks = depth.entries, depth.bytes, depth.oldest_ticks
        age_s = None if depth.oldest_ticks is None else time.time_ns() / 1e9 - depth.oldest_ticks / 1e7
        self._live.behind(age_s, self._journal.last)
        if self._clock() - self._asked_at >= ASK_AGAIN_S:
            await self._ask_again()
        if self._transport.stale():
            await self._transport.close()
            self._window.again()
            await self._connect()

    async def _ask_again(self) -> None:
        """Offer entries once more that the receiver wanted later: the answer's list tells whether it took them."""
        self._asked_at = self._clock()
        later = [(epoch, entry.seq) for epoch, listed in self._rejected.items() for entry in listed if entry.retry == "later"]
        for epoch, seq in later[:ASK_AGAIN_ENTRIES]:
            entries = await asyncio.to_thread(self._journal.read, (epoch, seq - 1), max_bytes=1, max_entries=1)
            if entries and entries[0].seq == seq and self._transport.room().entries:
                await self._transport.send(entries)

    async def _announcement(self) -> Online:
        """Return the first and last entry that the journal holds of the current epoch."""
        epoch, last = self._journal.last
        first = await asyncio.to_thread(self._journal.read, (epoch, 0), max_bytes=1, max_entries=1)
        return Online(epoch, first[0].seq if first else last + 1, last)


def _transport(uplink: Uplink, gateway: str, folder: Path) -> Transport:
    kinds: dict[tuple[str, str], Callable[[Uplink, str, Path], Transport]] = {
        ("mqtt", "entries"): Mqtt,
        ("mqtt", "records"): MqttRecords,
        ("https", "entries"): Https,
        ("https", "records"): HttpsRecords,
    }
    return kinds[uplink.kind, uplink.profile](uplink, gateway, folder)


def _finding(uplink: str, code: str, severity: Severity, text: str, evidence: Mapping[str, Any]) -> dict[str, Any]:
    return finding(f"uplink-{code}", severity, f"uplink {uplink}: {text}", {"uplink": uplink, **evidence})
