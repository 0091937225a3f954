"""What was sent and is not confirmed: when it is sent again, and from where; what is said while nothing gets on; whose history it is.

Nothing here connects, and nothing here sends but the question whose history the receiver holds.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from buffer import Entry, Journal
from config import Uplink
from gateway.entries.findings import Announcer
from gateway.uplink.doubt import WAY_OUT, Doubt
from gateway.uplink.judge import Judge
from gateway.uplink.patience import ALARM_AFTER_S, Patience, Standstill
from gateway.uplink.status import Status
from gateway.uplink.told import Told
from gateway.uplink.transport import Position, Transport
from gateway.uplink.window import Window

TELLS_ITSELF = ("refused", "held", "two-histories", "crashed", "stopped")
"""States of an uplink that were told with their cause, and in which nothing is sent."""


class Unconfirmed:
    """What stands still of one uplink, over connections. patience, standstill and doubt decide by time; clock: monotonic seconds."""

    def __init__(
        self,
        journal: Journal,
        uplink: Uplink,
        window: Window,
        judge: Judge,
        status: Status,
        announcer: Announcer,
        told: Told,
        clock: Callable[[], float],
    ) -> None:
        self._journal, self._uplink, self._window, self._judge = journal, uplink, window, judge
        self._status, self._announcer, self._told = status, announcer, told
        self.patience, self.standstill = Patience(window, uplink.resend_after_s, clock), Standstill(clock)
        self._doubt = Doubt(uplink.resend_after_s, clock)
        self._clock, self._connected_s = clock, clock()

    def connected(self) -> None:
        """Begin anew with a connection: on it nothing has been asked, and what was sent may have come before the receiver did."""
        self._judge.forget_places()
        self._doubt.connected()
        self.patience.connected()
        self._connected_s = self._clock()

    def check(self) -> None:
        """Say once that nothing has been confirmed for too long although entries wait, and why as far as it is known."""
        waiting = self._journal.cursor(self._uplink.name) < self._journal.last
        stood_s = self.standstill.seconds(self._window.advances, waiting=waiting)
        state, detail = self._status.state, self._status.detail
        if state in TELLS_ITSELF:
            self.standstill.excuse()  # what is sent after it has all its time
            return
        if stood_s <= ALARM_AFTER_S:
            return
        code = "unreachable" if state in ("unreachable", "connecting", "starting") else "no-receipts"
        if code == "no-receipts" and self._told.stands("unreachable") and self._clock() - self._connected_s <= ALARM_AFTER_S:
            return  # it is told why nothing came until now, and what was sent since may be on its way
        if state == "forwarding":
            self._status.state, self._status.detail = "stalled", f"nothing confirmed for {stood_s:.0f} s"
        if not self._told.stands(code):
            text = f"nothing confirmed for {stood_s:.0f} s: {detail or 'entries are sent, and no receipt reaches farther'}"
            self._told.alarm(code, text, confirmed=list(self._window.confirmed))

    def send_again_if_due(self) -> None:
        """Have everything sent again that should have had its receipt by now."""
        left_s = self.patience.left_s()
        if left_s is None or left_s > 0 or self._judge.takes_delivery:
            return
        if self.patience.hurries:
            self._hurry()
        else:
            self._resend()

    def _hurry(self) -> None:
        """Send again at once what a receiver that has just come back seems to lack; it says nothing about the receiver, whatever comes."""
        self.patience.sent_again()
        self._status.resends += 1
        self._window.again()

    def _resend(self) -> None:
        """Send again what got no receipt; if every receipt since the last resend lay behind that, from where the receiver says it is.

        Not at once: an old receipt may have been long on its way. When a whole resend has brought only such, the receiver was set back.
        """
        behind, is_proved, here = self._judge.behind, self._judge.is_proved, self._judge.here
        claimed = self._judge.claimed
        self._judge.forget_places()
        self._judge.unaccepted.forget_excuses()
        self.patience.sent_again()
        self._status.resends += 1
        if behind is not None and self.patience.stalls > 1:
            self._rewind(behind, is_proved=is_proved)
            return
        if claimed is not None:
            self.pass_over(claimed)
            return
        self._window.again()
        if self.patience.stalls > 1 and behind is None:
            silence_s = self.patience.stalls * self._uplink.resend_after_s
            what = f"receipts come, but none beyond entry {self._window.confirmed[1]}" if here else "delivered, but no receipt"
            self._status.state, self._status.detail = "stalled", f"{what} for {silence_s:.0f} s"
            self._told.alarm("no-receipts", self._status.detail, confirmed=list(self._window.confirmed))

    def pass_over(self, epoch: int) -> None:
        """Go on behind an ended epoch of which the receiver holds others or more: what is here of it, it would never take.

        The cursor stays before it until a later epoch is proved. Should the word be forged, the next receipt shows it, and a resend begins
        before it again.
        """
        held = ((other, last) for other, _, last in self._journal.ranges() if other <= epoch)
        self._window.pass_over(max(held, default=self._window.confirmed))

    def _rewind(self, position: Position, *, is_proved: bool) -> None:
        """Send again from `position`. The cursor stays: it was proved once, and retention may have used it.

        On a mere word one entry goes out as a question, as before, until a proof comes.
        """
        holds = "holds" if is_proved else "says that it holds"
        text = f"the receiver {holds} entries up to {position[1]} of epoch {position[0]}, but had confirmed up to {self._window.cursor}"
        self._announcer.say("receiver-went-back", "alarm", text, holds=list(position), had_confirmed=list(self._window.cursor))
        self._window.go_back(position if position[1] else (0, 0))  # who has nothing of this epoch may lack those before, too
        if is_proved:
            self.patience.begin_anew()

    def whose_is_open(self) -> bool:
        """True while it is not known whether the receiver holds the history that this journal goes on with: then nothing new is sent.

        So it is after a receipt that contradicts the journal, and at the start of a process that goes on after a cursor: the journal may
        be an older copy, or that of a cloned machine. There a receiver that does not answer in time is sent to as ever.
        """
        doubt = self._doubt.look(self._judge.contradiction)
        if doubt == "stands":
            return True
        self._judge.contradiction = None
        if doubt == "ended":
            self._status.state, self._status.detail = "forwarding", ""
            self._announcer.over("two-histories", "the receiver has answered with a receipt that fits the journal")
        answered = bool(self._status.receipts) or self._judge.here
        if answered or self._judge.takes_delivery or self._window.cursor == (0, 0):
            return False
        return self._doubt.waits

    async def ask_whose(self, transport: Transport, hand_over: Callable[[Sequence[Entry]], Awaitable[int]]) -> bool:
        """Ask with an entry that was confirmed before: whoever holds this history has it, and answers with its present receipt."""
        if self._doubt.since_s is not None:
            text = f"two histories: {self._judge.contradiction}; {WAY_OUT}"
            self._status.state, self._status.detail = "two-histories", text
            if self._doubt.has_lasted:
                self._announcer.say("two-histories", "alarm", text, confirmed=list(self._window.confirmed))
        if not self._doubt.may_ask:
            return False
        entries = await self._confirmed_entry()
        if not entries or transport.room().entries < 1:
            return False
        self._doubt.asked()
        await hand_over(entries)
        return True

    async def _confirmed_entry(self) -> list[Entry]:
        """Return the last entry that was confirmed, or where it is not held any more the next one."""
        epoch, seq = self._window.cursor
        return await asyncio.to_thread(self._journal.read, (epoch, max(0, seq - 1)), max_bytes=1, max_entries=1)
