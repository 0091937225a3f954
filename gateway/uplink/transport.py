"""Defines the transport: it carries stored bytes to the receiver, and receipts back. It decides nothing about the journal."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from buffer import Entry, Rejected
from gateway.uplink.tls import Remark

Position = tuple[int, int]
"""(epoch, seq): the one order of everything that is sent."""

MAX_ENTRY_BYTES = 65_536


class Room(NamedTuple):
    """How much a transport can take now without keeping it in memory. entries 0: nothing."""

    entries: int
    bytes: int


class Online(NamedTuple):
    """What the gateway says of itself: first and last entry held of the current epoch, and all runs that are held.

    held: (epoch, first, last) of each run of consecutive entries from the receiver's place on, the oldest MAX_RUNS. What lies in none of
    them will never be sent.
    """

    epoch: int
    first: int
    last: int
    held: tuple[tuple[int, int, int], ...] = ()

    @property
    def beginnings(self) -> tuple[tuple[int, int], ...]:
        """(epoch, first) of each run: with another one of these the announcement is news; ends grow with every entry."""
        return tuple((epoch, first) for epoch, first, _ in self.held)


MAX_RUNS = 100


class Answer(NamedTuple):
    """Bytes that the receiver sent, perhaps a receipt.

    about: their origin, for findings. required: this answers a page that was accepted, so that without a receipt in it the other end is not
    the receiver. refused: this answers a single entry that was not accepted, so that only a receipt which lists it lets the stream go on.
    """

    payload: bytes
    about: str
    required: bool = False
    refused: bool = False


class Delivered(NamedTuple):
    """The transport's own acknowledgement (PUBACK, HTTP 2xx) of everything sent up to this position.

    It acknowledges no entry, except where the configuration has `receipts = false`.
    """

    position: Position
    digest: str


class Outcome(NamedTuple):
    """A receiver's outcome for one single record: rejected, or (None) accepted. reference: what the receiver calls the record."""

    position: Position
    rejected: Rejected | None
    reference: str | None = None


Arrival = Answer | Delivered | Outcome


class Transport(ABC):
    """One connection to one receiver, made once and opened anew for every attempt. All methods belong to the event loop's thread.

    Answers are put into `inbox` in the order of arrival, and `wake` is called. Errors of a running connection are raised by the next
    `send`, `live` or `tick`.
    """

    def __init__(self) -> None:
        self.inbox: deque[Arrival] = deque()
        self.online = Online(0, 0, 0)
        self.wake: Callable[[], None] = lambda: None

    @abstractmethod
    async def open(self, online: Online) -> None:
        """Connect. Raises Unreachable or Refused, after closing everything that it opened."""

    def remarks(self) -> list[Remark]:
        """Return what is worth a finding before a connection is tried: a certificate that ends soon, or has ended."""
        return []

    async def announce(self, online: Online) -> None:
        """Tell the receiver what is held now: called while connected, when runs begin elsewhere than was told before."""
        self.online = online

    @abstractmethod
    async def close(self) -> None:
        """Disconnect. Never raises, returns promptly, may be called twice."""

    @abstractmethod
    def room(self) -> Room:
        """Return how much `send` may be given now."""

    @abstractmethod
    async def send(self, entries: Sequence[Entry]) -> int:
        """Hand entries over unchanged, in order. Returns how many were taken: fewer if the receiver wants smaller pages.

        Raises Unreachable or Refused; then any of them may or may not have arrived.
        """

    @abstractmethod
    async def live(self, entries: Sequence[Entry]) -> None:
        """Send copies, without any guarantee."""

    @abstractmethod
    async def tick(self) -> None:
        """Keep the connection alive, and raise the errors of an idle connection. Called about once a second."""

    @property
    @abstractmethod
    def outstanding(self) -> int:
        """Number of entries taken by `send` whose delivery the transport itself does not know yet."""

    @abstractmethod
    def stale(self) -> bool:
        """True if the connection should be made anew although it works, or can be tried again before its time: its files changed."""
