"""Forwards committed entries to one receiver: sends the stored bytes, advances by receipts alone, sends again what got none; for ever."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from buffer import Entry, Journal
from config import Line, Uplink
from gateway.entries.findings import Announcer, Report
from gateway.entries.stamps import Stamps
from gateway.uplink import held
from gateway.uplink.doubt import WAY_OUT
from gateway.uplink.errors import Awaited, NotAccepted, Refused, Unreachable, UplinkError
from gateway.uplink.hold import Hold
from gateway.uplink.judge import Judge
from gateway.uplink.kinds import transport_of
from gateway.uplink.live_copies import PAGE_BYTES as LIVE_BYTES
from gateway.uplink.live_copies import PAGE_ENTRIES as LIVE_ENTRIES
from gateway.uplink.live_copies import Live
from gateway.uplink.rate_limit import Pace
from gateway.uplink.replay import Replay
from gateway.uplink.status import Status
from gateway.uplink.told import Told, finding_of
from gateway.uplink.transport import MAX_ENTRY_BYTES, Position, Transport
from gateway.uplink.unaccepted import Unaccepted
from gateway.uplink.unconfirmed import Unconfirmed
from gateway.uplink.window import Window

PAGE_BYTES = 1_048_576
TICK_S = 1.0
REFUSED_WAIT_S = 30.0
ASK_AGAIN_S = 60.0
ASK_AGAIN_ENTRIES = 50
REMARK_EVERY_S = 3_600.0


class Forwarder:
    """Serves one uplink of one line: made once per process; `run` is called again after it raised, `watch` runs beside it.

    Only a receipt with the right digest moves the cursor; delivery does where no receipts are agreed. What was sent and has no receipt may
    or may not have arrived: it is sent again until a receipt speaks of it. An entry that comes twice does no harm; one wrongly taken for
    received would be lost.

    report: gets whole finding events, in the loop's thread; must not block. transport: by default the one that the configuration names.
    clock: monotonic seconds. stamps: is told when entries are sent and confirmed. Raises ValueError if the configured topic can not be
    published to.
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
        stamps: Stamps | None = None,
    ) -> None:
        self._journal, self._uplink, self._clock = journal, uplink, clock
        self._transport = transport or transport_of(uplink, line.gateway, line.folder)
        journal.uplink(uplink.name, uplink.required and uplink.receipts)
        self.status = Status(uplink.name)
        self._announcer = Announcer(report, partial(finding_of, uplink.name), clock)
        # What stands in the journal now may have been sent before a restart: a receipt for it is no surprise.
        self._window = Window(journal.cursor(uplink.name), journal.last, uplink.window_bytes)
        self.unaccepted = Unaccepted(clock)
        self._judge = Judge(journal, line.gateway, uplink, self._window, self.status, self._announcer, self.unaccepted, stamps)
        self._stamps = stamps
        self.quarantine = self._judge.quarantine
        self._pace, self._live = Pace(uplink.max_bytes_per_s, clock), Live(clock)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = asyncio.Event()
        self._looked_at = self._asked_at = self._remarked_at = clock()
        self._wait_s = 0.0
        self._told = Told(self._announcer)
        still = self._still = Unconfirmed(journal, uplink, self._window, self._judge, self.status, self._announcer, self._told, clock)
        self._hold = Hold(
            journal, self._transport, self._window, still.patience, still.standstill, self._told, self.status, self.unaccepted
        )
        self._not_held = held.NotHeld(self._announcer, clock)
        answers = not self._judge.takes_delivery
        self.replay = Replay(self._window, self.status, self._announcer, clock, uplink.resend_after_s, has_receipts=answers)
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

        At once when the files of certificate or password have changed. The supervisor's own wait runs beside it.
        """
        end_s, self._wait_s = self._clock() + self._wait_s, 0.0
        while (left_s := end_s - self._clock()) > 0 and not self._transport.stale():  # noqa: ASYNC110 - files tell nobody
            await asyncio.sleep(min(left_s, TICK_S))

    def again(self, wait_s: float) -> str:
        """Say when the next call of `run` is made, where the supervisor waits `wait_s` after `failed`."""
        files = ", or when its files change" if self._wait_s else ""
        return f"next attempt in {max(self._wait_s, wait_s):.1f} s{files}"

    def crashed(self, why: str) -> None:
        """Say that `run` raised what it may not, a fault of ours or of a library: an alarm until receipts come again.

        It is run again as a driver is, after the supervisor's own wait: nobody must do anything about it, as about a refusal.
        """
        self.status.state, self.status.detail = "crashed", why
        self._told.alarm("crashed", why)

    async def run(self) -> None:
        """Connect and forward until cancelled.

        Raises Unreachable (wait, then run again) or Refused (reported as an alarm; a person decides; running again is harmless). A storage
        error of the journal passes through: the process must end.
        """
        self._loop = asyncio.get_running_loop()
        # Nobody knows what of the last connection's entries has arrived: they are sent once more, and answered once more.
        self._transport.inbox.clear()
        self._window.again()
        self.replay.again()
        try:
            await self._connect()
            while True:
                await self._round()
        except Unreachable as error:
            self.status.state, self.status.detail = "unreachable", str(error)
            self._wait_s = error.retry_after_s or 0.0
            if isinstance(error, Awaited):
                self._still.standstill.excuse()
            raise
        except Refused as error:
            self._refused(error)
            raise
        except asyncio.CancelledError:
            self.status.state = "stopped"
            raise
        finally:
            await self._transport.close()

    async def watch(self, done: Callable[[], object] = object) -> None:
        """Look once a second, until cancelled, whether the receiver gets on; also while nothing is connected, and between two attempts.

        done: called after each look.
        """
        while True:
            self.check_standstill()
            done()
            await asyncio.sleep(TICK_S)

    def check_standstill(self) -> None:
        """Say once that nothing has been confirmed for too long although entries wait."""
        self._still.check()

    def _refused(self, error: Refused) -> None:
        self._wait_s = REFUSED_WAIT_S
        self.status.state, self.status.detail = "refused", str(error)
        if error.code == "conflict" and not self._judge.takes_delivery:  # the receiver itself says what else its receipts would show
            self._judge.contradiction = str(error)
            self.status.state, self.status.detail = "two-histories", f"{error}; {WAY_OUT}"
        self._told.alarm(error.code, str(error))

    async def _connect(self) -> None:
        self.status.state, self.status.detail = "connecting", self._uplink.endpoint
        self._remark()
        await self._transport.open(held.online(self._journal, self._window.confirmed))
        self.status.state, self.status.detail = "forwarding", ""
        self._still.connected()
        self.unaccepted.ask_now()

    def _remark(self) -> None:
        """Say what is to be said of certificates: they end under a connection that stands, too."""
        self._remarked_at = self._clock()
        self._told.remark(self._transport.remarks())

    async def _round(self) -> None:
        """Take one turn: what came in, what is overdue, what can go out; then wait for any of them."""
        self._woken.clear()  # before the look, not after it: what comes during the look wakes the next turn
        await self._take_arrivals()
        if self._still.whose_is_open():
            sent = await self._still.ask_whose(self._transport, self._hand_over)
        elif self._hold.look():
            sent = await self._hold.ask()
        else:
            self._still.send_again_if_due()
            sent = await self._send()
            await self._send_live()
            sent = await self._send_replay() or sent
        if self._clock() - self._looked_at >= TICK_S:
            await self._refresh_status()
        if not sent and not self._transport.inbox:
            await self._wait()

    # -- out

    async def _send(self) -> bool:
        """Send the next page, as far as window, transport and bandwidth have room. True if anything went, and there is more."""
        room = self._transport.room()
        size_bytes = min(self._window.room_bytes, room.bytes, PAGE_BYTES)
        if self._still.patience.stalls > 1:  # nothing answers: ask with one entry, any receipt tells the rest
            room = room._replace(entries=min(room.entries, 1 if self._window.unreceipted_bytes == 0 else 0))
        # A page holds one entry at least, however large: it would overrun a window that is nearly full; an empty one lets it pass.
        if room.entries < 1 or self._pace.wait_s() > 0 or (size_bytes < MAX_ENTRY_BYTES and self._window.unreceipted_bytes):
            return False
        if self._uplink.max_bytes_per_s is not None:
            size_bytes = min(size_bytes, self._uplink.max_bytes_per_s)
        entries = await self._read(self._window.sent, max(size_bytes, 1), room.entries)
        if not entries:
            return False
        self._not_held.note(held.missing(self._window.sent, entries[0], self._journal.receipts.ends()))
        try:
            taken = entries[: await self._hand_over(entries)]
        except NotAccepted as error:
            await self._take_arrivals()  # what had its answer before counts
            self.unaccepted.refuse(error.position, error.reason)
            return True
        except UplinkError as error:
            await self._take_arrivals()  # what had its answer before counts
            if not self._judge.is_claim(error, entries[0].epoch):
                raise
            self._told.alarm("conflict", f"{error}; epoch {entries[0].epoch} has ended here, and the sending goes on behind it")
            self._still.pass_over(entries[0].epoch)
            return True
        sent_bytes = self._window.note_sent(taken)
        self._pace.spend(sent_bytes)
        self._live.earn(sent_bytes)
        self.status.sent_entries += len(taken)
        self.status.sent_bytes += sent_bytes
        return self._window.sent < self._journal.last  # what is committed from here on wakes the next turn

    async def _hand_over(self, entries: Sequence[Entry]) -> int:
        """Send entries, and note when they went out: at the instant at which the transport was given them. Returns how many were taken."""
        begun_ns = time.monotonic_ns()
        try:
            count = await self._transport.send(entries)
        except BaseException:
            if self._stamps is not None:
                self._stamps.sent(self._uplink.name, entries, begun_ns, arrived=False)
            raise
        if self._stamps is not None:
            self._stamps.sent(self._uplink.name, entries[:count], begun_ns)
        return count

    async def _read(self, after: Position, max_bytes: int, max_entries: int) -> list[Entry]:
        """Read committed entries: from memory at once, from the disk in a thread."""
        recent = self._journal.recent(after, max_bytes=max_bytes, max_entries=max_entries)
        if recent is not None:
            return recent
        return await asyncio.to_thread(self._journal.read, after, max_bytes=max_bytes, max_entries=max_entries)

    async def _send_live(self) -> None:
        """Send copies of the newest entries while the uplink is behind. They move nothing: the window does not know of them."""
        after = self._live.start(self._journal.last)
        if after is None or self._pace.wait_s() > 0:
            return
        entries = await self._read(after, LIVE_BYTES, LIVE_ENTRIES)
        if not entries:
            return
        await self._transport.live(entries)
        copied_bytes = sum(len(entry.payload) for entry in entries)
        self._pace.spend(copied_bytes)
        self._live.spend(copied_bytes, (entries[-1].epoch, entries[-1].seq))
        self.status.live_entries += len(entries)

    async def _send_replay(self) -> bool:
        """Send the next page that a person wants again, while the receiver gets on with the ordinary entries. True if anything went."""
        if self._still.patience.stalls or self._window.confirmed < self._window.cursor or self._pace.wait_s() > 0:
            return False
        sent_bytes = await self.replay.turn(self._transport, self._hand_over, self._read, self._take_arrivals)
        self._pace.spend(sent_bytes)
        return sent_bytes > 0

    # -- in

    async def _take_arrivals(self) -> None:
        """Have everything judged that came in, and note what it means for this uplink."""
        before, repeated = self._window.advances, self._judge.repeated
        await self._judge.take(self._transport.inbox)
        if self._judge.repeated > repeated:
            self._still.patience.speaks()
        if self._window.advances > before:
            if self._judge.takes_delivery:
                self.unaccepted.accept()
            self._advanced()

    def _advanced(self) -> None:
        if self._judge.contradiction is None:
            self.status.state, self.status.detail = "forwarding", ""
        self._told.progress()
        if self._window.confirmed == self._window.cursor:
            self._announcer.over("receiver-went-back", "the receiver holds again what it had confirmed")

    def ask_again(self) -> None:
        """Have a receiver that does not accept a schema asked at once, for a person."""
        self.unaccepted.ask_now()
        self.wake()

    # -- time

    async def _wait(self) -> None:
        """Wait until something comes in or was committed, or the next look is due: bandwidth again, a resend, the status."""
        pause_s = min(TICK_S, self._pace.wait_s() or TICK_S)
        if (left_s := self._still.patience.left_s()) is not None:
            pause_s = min(pause_s, max(0.01, left_s))
        alarm = asyncio.get_running_loop().call_later(pause_s, self._woken.set)
        try:
            await self._woken.wait()
        finally:
            alarm.cancel()

    async def _refresh_status(self) -> None:
        """See once a second to the transport's health, how far behind we are, rejected entries whose turn has come, new certificates."""
        self._looked_at = self._clock()
        await self._transport.tick()
        self._not_held.tell()
        if self._clock() - self._remarked_at >= REMARK_EVERY_S:
            self._remark()
        now = held.online(self._journal, self._window.confirmed)
        if now.beginnings != self._transport.online.beginnings:  # retention has gone on: who begins now has to know where
            await self._transport.announce(now)
        depth = await asyncio.to_thread(self._journal.receipts.depth, self._uplink.name)
        self.status.entries, self.status.bytes, self.status.oldest_ticks = depth.entries, depth.bytes, depth.oldest_ticks
        age_s = None if depth.oldest_ticks is None else time.time_ns() / 1e9 - depth.oldest_ticks / 1e7
        self._live.behind(age_s, self._journal.last)
        if not self._hold.stands:
            await self._offer_rejected()
        if self._transport.stale():
            await self._transport.close()
            self._window.again()
            await self._connect()

    async def _offer_rejected(self) -> None:
        """Offer again what the receiver wanted later, and what a person wants offered."""
        if self._clock() - self._asked_at >= ASK_AGAIN_S:
            self._asked_at = self._clock()
            for position in self.quarantine.later()[:ASK_AGAIN_ENTRIES]:
                await self._offer(position)
        for _ in range(ASK_AGAIN_ENTRIES):
            if (asked := self.quarantine.next_offered()) is None or not await self._offer(asked):
                break
            self.quarantine.was_offered(asked)

    async def _offer(self, position: Position) -> bool:
        """Offer an entry once more: the answer's list tells whether the receiver took it. False if there is no room for it now."""
        epoch, seq = position
        entries = await asyncio.to_thread(self._journal.read, (epoch, seq - 1), max_bytes=1, max_entries=1)
        if not self._transport.room().entries:
            return False
        if entries and (entries[0].epoch, entries[0].seq) == position:
            with suppress(NotAccepted):  # it stays where it is; the stream has gone on behind it
                await self._hand_over(entries)
        return True
