"""What outlives a lost connection within one process. What must outlive the process is the watermark, see `handover`."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from drivers.contract import UNFORESEEN, DriverError, Reading
from drivers.opcua.plan import HistoryGap
from drivers.opcua.session.variant import Undecodable
from drivers.opcua.subscription.first_values import FirstValues
from drivers.opcua.subscription.misfits import Misfits
from drivers.opcua.subscription.newest import Newest
from drivers.opcua.subscription.semantics import Semantics
from drivers.opcua.subscription.subscribe import Subscription


@dataclass(slots=True)
class SessionState:
    """The subscriptions of a source, and what was read through them.

    Kept over a lost link, because an emitted list will be committed, in order, or the process ends. The next session takes the
    subscriptions over, waits for the lists that are not yet on disk, and knows the newest value of each tag.
    """

    semantics: Semantics
    endpoint: str = ""
    started: str = ""  # the server's own start time: after its restart subscription ids mean others
    subscriptions: list[Subscription] = field(default_factory=list)
    unfinished: list[int] = field(default_factory=list)  # ids of subscriptions that were made and have not all their items
    unsettled: deque[tuple[Awaitable[None], int, int]] = field(default_factory=deque)  # (on disk, subscription id, sequence), in order
    last: Newest = field(default_factory=Newest)  # of each tag, the newest that had a source time
    misfits: Misfits = field(default_factory=Misfits)
    first_values: FirstValues = field(default_factory=FirstValues)
    history_gaps: list[HistoryGap] = field(default_factory=list)
    before: dict[int, int] = field(default_factory=dict)  # after a restart: ticks through which a tag is certainly in the journal
    largest_bytes: int = 0  # of an answer to a PublishRequest
    through_ticks: int | None = None  # the newest publish time through which every subscription has sent what it had
    counts: dict[str, int] = field(default_factory=dict)
    spoiled: tuple[int, int] | None = None  # (subscription id, sequence) of the message over which the last session ended

    @contextmanager
    def spoiling(self, subscription: int, sequence: int) -> Iterator[None]:
        """Remember a message over which this session ends by a fault that no rule foresees."""
        try:
            yield
        except UNFORESEEN as error:
            task = asyncio.current_task()
            is_stop = isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling()
            if not is_stop and not isinstance(error, DriverError):
                self.spoiled = subscription, sequence
            raise

    def must_not_be_spoiled(self, subscription: int, sequence: int) -> None:
        """Raise Undecodable for a message that ended the last session: fetched again for ever, it would end each one."""
        if self.spoiled == (subscription, sequence):
            raise Undecodable("the session ended as its values were to be handed over")

    def count(self, event: str, times: int = 1) -> None:
        """Add to the counter of an event of the link."""
        self.counts[event] = self.counts.get(event, 0) + times


def unrepeated(
    readings: Sequence[Reading],
    last: Sequence[Reading | None],
    repeats: set[int],
    resent: dict[int, Reading | None] | None = None,
    fresh: Collection[int] = (),
) -> list[Reading]:
    """Return the readings without those that say once more what is stored.

    Equal source times alone prove nothing: many changes may bear one. A monitored item reports a change against what it reported before
    (Part 4, 7.22.2), so the same value, status and source time twice in a row are one observation, and come only where the server was
    made to send again: repeats: tags whose next reading may be their last one, because the session is activated over a new connection
    (node-opcua does so); each leaves it then. resent: tags of which one more copy is owed: of the reading given there (it was read, and may
    wait in the item's queue too), or, with None, of the one before it (ResendData). fresh: tags whose next reading is the first after a
    loss, which is an observation whatever it says.
    """
    resent = {} if resent is None else resent
    new: list[Reading] = []
    newest: dict[int, Reading] = {}
    for reading in readings:
        tag = reading[0]
        previous = newest.get(tag) or last[tag]
        if tag in repeats:
            repeats.discard(tag)
            if _is_copy(reading, previous):
                continue
        if tag in resent:
            is_first = tag in fresh and tag not in newest
            if _is_copy(reading, resent[tag] or previous):
                del resent[tag]
                if not is_first:
                    continue
            elif _is_later(reading, resent[tag]):
                del resent[tag]
        newest[tag] = reading
        new.append(reading)
    return new


def _is_copy(reading: Reading, stored: Reading | None) -> bool:
    return stored is not None and stored[3] is not None and stored[1:4] == reading[1:4]


def _is_later(reading: Reading, read: Reading | None) -> bool:
    """Whether the server sampled a reading after the one that we read: nothing that was in its queue then can follow."""
    if read is None:
        return False
    if reading[4] is not None and read[4] is not None:
        return reading[4] > read[4]
    return reading[3] is not None and read[3] is not None and reading[3] > read[3]
