"""Tracks which entries were sent and which are receipted: the decisions of an uplink, without any I/O."""

from collections import deque
from collections.abc import Sequence
from typing import Literal

from buffer import Entry
from gateway.uplink.transport import Position

Standing = Literal["beyond", "forward", "here", "behind"]
"""A receipt's position relative to the window: beyond what was ever sent, forward of `confirmed`, at it (here), or behind it."""


class Window:
    """The part of the stream that has no receipt yet. Each position means: everything up to and including it.

    cursor: the durable one, which only receipts move, and only forward. confirmed: what the receiver last reported to hold: equal to the
    cursor, or before it after the receiver went back. sent: the last entry sent after `confirmed`. delivered: of these, the last that the
    transport knows to have arrived; no receipt. highest: the last entry that may ever have been sent, also before this process started.
    advances: how often a receipt reached farther than any before it. What a receiver regains after it went back counts, but only once
    before the cursor moves on: whoever says again and again that it holds nothing makes no progress.
    """

    def __init__(self, cursor: Position, highest: Position, limit_bytes: int) -> None:
        self.cursor = self.confirmed = self.sent = self.delivered = cursor
        self.highest = max(highest, cursor)
        self.unreceipted_bytes = self.advances = 0
        self._reached, self._regains = cursor, False
        self._limit_bytes = limit_bytes
        self._flying: deque[tuple[Position, int]] = deque()

    @property
    def room_bytes(self) -> int:
        """Number of bytes that may be sent now."""
        return max(0, self._limit_bytes - self.unreceipted_bytes)

    def note_sent(self, entries: Sequence[Entry]) -> int:
        """Note that these entries were sent, in order. Returns their bytes."""
        size = 0
        for entry in entries:
            self._flying.append(((entry.epoch, entry.seq), len(entry.payload)))
            size += len(entry.payload)
        self.unreceipted_bytes += size
        if entries:
            self.sent = (entries[-1].epoch, entries[-1].seq)
            self.highest = max(self.highest, self.sent)
        return size

    @property
    def due(self) -> bool:
        """True if the oldest entry without a receipt has been delivered: whatever later ones do, its receipt is owed."""
        return bool(self._flying) and self._flying[0][0] <= self.delivered

    def note_delivered(self, position: Position) -> None:
        """Note that everything sent up to `position` has arrived, as the transport says."""
        self.delivered = max(self.delivered, position)

    def standing(self, position: Position) -> Standing:
        """Classify a receipt's position: beyond, forward, here or behind."""
        if position > self.highest:
            return "beyond"
        if position > self.confirmed:
            return "forward"
        return "here" if position == self.confirmed else "behind"

    def confirm(self, position: Position) -> None:
        """Advance to `position`, after a receipt for it with the right digest."""
        if position > self._reached:
            self._reached, self.advances = position, self.advances + 1
        if position > self.cursor:
            self.cursor, self._regains = position, False
        self.confirmed = max(self.confirmed, position)
        self.sent = max(self.sent, position)
        while self._flying and self._flying[0][0] <= position:
            self.unreceipted_bytes -= self._flying.popleft()[1]

    def again(self) -> None:
        """Rewind to `confirmed`, so that everything without a receipt is sent once more."""
        self._flying.clear()
        self.unreceipted_bytes, self.sent = 0, self.confirmed
        self.delivered = self.confirmed

    def go_back(self, position: Position) -> None:
        """Rewind to `position`, because the receiver holds less than it once reported. The cursor stays."""
        if not self._regains:
            self._reached, self._regains = position, True
        self.confirmed = position
        self.again()

    def pass_over(self, position: Position) -> None:
        """Go on sending behind `position`, although nothing confirms what lies before it; a resend begins before it again."""
        self.again()
        self.sent = max(self.sent, position)
