"""Sends a range of confirmed entries once more, for a person who asked for it: page by page, beside the ordinary entries, after them.

The cursor, the window and the order of the ordinary entries know nothing of it. A receiver has all of it already, so its receipts prove
nothing of it. That one comes after a page says that it gets on, and the next page may go; that it confirms an ordinary entry which was sent
after a page, on the same connection, says that the page was before it.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from buffer import Entry
from gateway.entries.findings import Announcer
from gateway.uplink.errors import Awaited, Refused
from gateway.uplink.status import Status
from gateway.uplink.transport import Position, Transport
from gateway.uplink.window import Window

PAGE_BYTES = 262_144
PAGE_ENTRIES = 200
TRIES = 5
"""How often a page goes out that nothing comes back for, before the replay is given up."""

Send = Callable[[Sequence[Entry]], Awaitable[int]]
Read = Callable[[Position, int, int], Awaitable[list[Entry]]]
"""(after, most bytes, most entries) -> committed entries."""


class Range(NamedTuple):
    """Entries `first` to `last` of an epoch."""

    epoch: int
    first: int
    last: int

    def __str__(self) -> str:
        return f"entries {self.first} to {self.last} of epoch {self.epoch}"


class Replay:
    """The replay of one uplink, one at a time: a page without an answer goes out again after `resend_after_s`.

    clock: monotonic seconds. has_receipts: False where the transport's own acknowledgement is the answer.
    """

    def __init__(
        self, window: Window, status: Status, announcer: Announcer, clock: Callable[[], float], again_after_s: float, *, has_receipts: bool
    ) -> None:
        self._window, self._status, self._announcer, self._clock = window, status, announcer, clock
        self._again_after_s, self._has_receipts = again_after_s, has_receipts
        self.range: Range | None = None
        self._sure = self._done = self._through = 0  # the last entry that has arrived, that was answered for, that was sent
        self._marks: deque[tuple[Position, int]] = deque()  # the last ordinary entry sent before a page, and the last of the page
        self._tries, self._sent_s, self._receipts = 0, 0.0, 0

    def order(self, wanted: Range) -> None:
        """Have a range sent again, from its beginning."""
        self.range, self._sure, self._tries = wanted, wanted.first - 1, 0
        self.again()
        self._tell()

    def again(self) -> None:
        """Begin anew behind what has arrived for sure: of another connection's pages nobody knows it."""
        self._through = self._done = self._sure
        self._marks.clear()

    async def turn(self, transport: Transport, send: Send, read: Read, judge: Callable[[], Awaitable[None]]) -> int:
        """Send the next page if the last one has its answer and there is room. Returns the bytes sent.

        send: hands entries over to the transport. judge: takes what came in. What the receiver refuses ends the replay and nothing
        else. Raises Unreachable: the page goes out again on the next connection.
        """
        if self.range is None or not self._may_send(transport) or self._has_ended():
            return 0
        room = transport.room()
        if room.entries < 1 or self._done >= self.range.last:
            return 0
        page = await self._page(read, min(room.entries, PAGE_ENTRIES), min(room.bytes, PAGE_BYTES))
        if not page:
            self._end(f"ended: entry {self._done + 1} is held no more")
            return 0
        await judge()  # what came of the ordinary entries is none of the replay's
        self._receipts = self._status.receipts  # before it goes out: an answer by HTTPS is there when it has
        try:
            page = page[: await send(page)]
            await judge()
        except (Refused, Awaited) as error:
            self._end(f"ended behind entry {self._done}: {error}")
            return 0
        if page:
            self._through, self._tries = page[-1].seq, self._tries + 1
            self._sent_s = self._clock()
            self._marks.append((self._window.highest, self._through))
            self._may_send(transport)
        return sum(len(entry.payload) for entry in page)

    def _may_send(self, transport: Transport) -> bool:
        """Take what came back for the last page; True if the next one may go, or the same once more."""
        assert self.range is not None
        if self._through == self._done:
            return True
        answered = not self._has_receipts or self._status.receipts > self._receipts
        if answered and transport.outstanding == 0:
            self._done, self._tries = self._through, 0
            self._tell()
            return True
        return self._clock() - self._sent_s >= self._again_after_s

    def _has_ended(self) -> bool:
        """See what has arrived, and say it when that is all, or when the receiver answers nothing."""
        assert self.range is not None
        while self._marks and (not self._has_receipts or self._window.confirmed > self._marks[0][0]):
            self._sure = min(self._marks.popleft()[1], self._done)
        if self._sure >= self.range.last:
            self._end("", is_whole=True)
        elif self._tries >= TRIES:
            self._end(f"given up: nothing came back for the entries behind {self._done}, {TRIES} times")
        return self.range is None

    async def _page(self, read: Read, most_entries: int, most_bytes: int) -> list[Entry]:
        """Read the next entries of the range, without a hole: none if the next one is held no more."""
        assert self.range is not None
        epoch, _, last = self.range
        found = await read((epoch, self._done), max(most_bytes, 1), min(most_entries, last - self._done))
        wanted = range(self._done + 1, last + 1)
        return [entry for entry, seq in zip(found, wanted, strict=False) if (entry.epoch, entry.seq) == (epoch, seq)]

    def _tell(self) -> None:
        assert self.range is not None
        self._status.replay = f"{self.range}: sent again up to {self._done}" if self._done >= self.range.first else f"{self.range}"

    def _end(self, why: str, *, is_whole: bool = False) -> None:
        """Say what came of it, once, in the record."""
        assert self.range is not None
        epoch, first, last = self.range
        evidence = {"epoch": epoch, "first": first, "last": last, "through": self._sure, "whole": is_whole}
        if is_whole:
            self._announcer.say_anew("replayed", "info", f"{self.range} were sent again", **evidence)
        else:
            self._announcer.say_anew("replay-ended", "warning", f"the replay of {self.range} {why}", **evidence)
        self.range, self._status.replay = None, ""
