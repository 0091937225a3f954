"""What a transport is: the way of stored bytes to the receiver, and of its receipts back. It decides nothing about the journal."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from buffer import Entry, Rejected

Position = tuple[int, int]
"""(epoch, seq): the one order of everything that is sent."""

MAX_ENTRY_BYTES = 65_536


class Room(NamedTuple):
    """What a transport can take now, without piling it up in memory. entries 0: nothing."""

    entries: int
    bytes: int


class Online(NamedTuple):
    """Said once per connection, where the transport has a place for it: first and last entry held of the epoch."""

    epoch: int
    first: int
    last: int


class Answer(NamedTuple):
    """Bytes that the receiver sent, perhaps a receipt.

    about: where they came from, for findings. required: the answer to a page that was taken: if it holds no receipt, whoever answered is
    not the receiver.
    """

    payload: bytes
    about: str
    required: bool = False


class Delivered(NamedTuple):
    """The transport's own acknowledgement (PUBACK, HTTP 2xx): everything sent up to this position was taken over.

    It acknowledges nothing, except where the configuration says `receipts = false`.
    """

    position: Position
    digest: str


class Outcome(NamedTuple):
    """What a receiver of single records said of one: rejected, or (None) taken."""

    position: Position
    rejected: Rejected | None


class Transport(ABC):
    """One connection to one receiver, made once and opened anew for every attempt. All methods belong to the event loop's thread.

    Arrivals go to `inbox`, and `wake` is called; the order is that of arrival. Errors of a running connection are raised by the next
    `send`, `live` or `tick`.
    """

    def __init__(self) -> None:
        self.inbox: deque[Answer | Delivered | Outcome] = deque()
        self.wake: Callable[[], None] = lambda: None

    @abstractmethod
    async def open(self, online: Online) -> list[str]:
        """Connect; return remarks worth a finding (a certificate that ends soon). Raises Unreachable or Refused; closes what it opened."""

    @abstractmethod
    async def close(self) -> None:
        """Leave; never raises, returns promptly, may be called twice."""

    @abstractmethod
    def room(self) -> Room:
        """What `send` may be given now."""

    @abstractmethod
    async def send(self, entries: Sequence[Entry]) -> int:
        """Hand entries over, in order, as they are. Returns how many were taken: fewer if the receiver wants smaller pages.

        Raises Unreachable or Refused; then any of them may or may not have arrived.
        """

    @abstractmethod
    async def live(self, entries: Sequence[Entry]) -> None:
        """Send copies without any promise."""

    @abstractmethod
    async def tick(self) -> None:
        """Called about once a second: keep-alives, and the errors of a connection that nobody is using."""

    @property
    @abstractmethod
    def outstanding(self) -> int:
        """Entries taken by `send` whose delivery the transport itself does not know yet."""

    @abstractmethod
    def stale(self) -> bool:
        """True when the connection should be made anew although it works: its certificate files changed."""
