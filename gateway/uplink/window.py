"""What was sent and what is known to have arrived: the decisions of an uplink, without any I/O."""

from collections import deque
from collections.abc import Sequence
from typing import Literal

from buffer import Entry
from gateway.uplink.transport import Position

Standing = Literal["beyond", "forward", "here", "behind"]


class Window:
    """The unreceipted part of the stream. All positions are exclusive starts: everything up to and including them is done.

    cursor: the durable one, which only receipts move, and only forward.
    confirmed: what the receiver last said to hold. Equals the cursor, except after the receiver went back; then it lies before it.
    sent: what went out after `confirmed`. highest: what may ever have gone out, also before this process started.
    """

    def __init__(self, cursor: Position, highest: Position, limit_bytes: int) -> None:
        self.cursor = self.confirmed = self.sent = cursor
        self.highest = max(highest, cursor)
        self.unreceipted_bytes = 0
        self._limit_bytes = limit_bytes
        self._flying: deque[tuple[Position, int]] = deque()

    @property
    def room_bytes(self) -> int:
        """How many bytes may go out now."""
        return max(0, self._limit_bytes - self.unreceipted_bytes)

    def note_sent(self, entries: Sequence[Entry]) -> int:
        """These entries went out, in order. Returns their bytes."""
        size = 0
        for entry in entries:
            self._flying.append(((entry.epoch, entry.seq), len(entry.payload)))
            size += len(entry.payload)
        self.unreceipted_bytes += size
        if entries:
            self.sent = (entries[-1].epoch, entries[-1].seq)
            self.highest = max(self.highest, self.sent)
        return size

    def standing(self, position: Position) -> Standing:
        """Where a receipt stands against what is known."""
        if position > self.highest:
            return "beyond"
        if position > self.confirmed:
            return "forward"
        return "here" if position == self.confirmed else "behind"

    def confirm(self, position: Position) -> None:
        """The receiver holds everything up to `position`; its digest was right."""
        self.confirmed = max(self.confirmed, position)
        self.cursor = max(self.cursor, position)
        self.sent = max(self.sent, position)
        while self._flying and self._flying[0][0] <= position:
            self.unreceipted_bytes -= self._flying.popleft()[1]

    def again(self) -> None:
        """Send once more what has no receipt."""
        self._flying.clear()
        self.unreceipted_bytes, self.sent = 0, self.confirmed

    def go_back(self, position: Position) -> None:
        """The receiver holds less than it once said: send again from there. The cursor stays."""
        self.confirmed = position
        self.again()
