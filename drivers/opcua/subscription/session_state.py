"""What outlives a lost connection within one process. What must outlive the process is the watermark, see `handover`."""

from collections import deque
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field

from drivers.contract import Reading
from drivers.opcua.plan import HistoryGap
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
    unsettled: deque[tuple[Awaitable[None], int, int]] = field(default_factory=deque)  # (on disk, subscription id, sequence), in order
    last: list[Reading | None] = field(default_factory=list)  # of each tag, the newest that had a source time
    history_gaps: list[HistoryGap] = field(default_factory=list)
    before: dict[int, int] = field(default_factory=dict)  # after a restart: ticks through which a tag is certainly in the journal
    through_ticks: int | None = None  # the newest publish time
    counts: dict[str, int] = field(default_factory=dict)

    def count(self, event: str, times: int = 1) -> None:
        """Add to the counter of an event of the link."""
        self.counts[event] = self.counts.get(event, 0) + times


def unrepeated(readings: Sequence[Reading], last: Sequence[Reading | None], repeats: set[int]) -> list[Reading]:
    """Return the readings without those that repeat the tag's last one. repeats: tags whose next reading may do so; each leaves it then.

    A server may send what each item holds once more, under a new number, when a session is activated over a new connection (node-opcua
    does). The same value, status and source time is the same observation; in the record it would stand twice.
    """
    new: list[Reading] = []
    for reading in readings:
        previous = last[reading[0]] if reading[0] in repeats else None
        repeats.discard(reading[0])
        if previous is None or previous[1:4] != reading[1:4]:
            new.append(reading)
    return new
