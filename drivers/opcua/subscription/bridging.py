"""What a server's queues bridge while nobody asks it to publish, and of which items that is not proved.

A queue that ran over marks the value after the loss (Overflow, Part 4, 5.13.1.5). A queue of one has no place that could be marked: it
keeps the newest value and tells nothing of those before it.
"""

from collections.abc import Iterable
from typing import Any

from drivers.opcua.plan import MonitoredItem
from drivers.silence import silence


def untold(created: Iterable[tuple[MonitoredItem, Any]]) -> set[int]:
    """Return the tags of created items whose loss the server would not tell."""
    return {binding.tag for item, result in created if item.alarms is None and result.RevisedQueueSize <= 1 for binding in item.bindings}


class Supply:
    """Whether the server always had a PublishRequest of ours to answer. Where it had none, its items' queues had to bridge the time."""

    def __init__(self, shortest_publish_ms: int) -> None:
        self._period_ns = shortest_publish_ms * 1_000_000
        self._had_ns: int | None = None  # when it certainly had one
        self._before: int | None = None  # answers that arrived before it ran out, and are not taken yet

    def look(self, outstanding: int, arrived: int, now_ns: int) -> None:
        """Note how many requests wait at the server before new ones are sent, and how many answers here. now_ns: CLOCK_BOOTTIME."""
        if outstanding == 0 and silence(self._had_ns, now_ns, self._period_ns) is not None:
            self._before = arrived

    def sent(self, outstanding: int, now_ns: int) -> None:
        """Note how many requests wait at the server after new ones were sent."""
        if outstanding:
            self._had_ns = now_ns

    def ran_out_before_this(self) -> bool:
        """Take the next answer; True for the first that was published after the server had run out."""
        if self._before is None:
            return False
        self._before -= 1
        if self._before >= 0:
            return False
        self._before = None
        return True
