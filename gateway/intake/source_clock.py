"""What the lists of a source tell of its clock, and what its entries tell of it. The estimate itself is `gateway.clock.SourceClock`'s."""

from collections.abc import Iterable, Sequence
from typing import Any

from config import Source, Tag
from drivers.columns import Columns
from drivers.contract import Finding, Reading
from gateway.clock import SourceClock
from gateway.intake.findings import clock_off


class ClockWatch:
    """One source's clock against ours: an alarm when it leaves its limit, and the end of the alarm when it is back."""

    def __init__(self, source: Source, tags: Sequence[Tag]) -> None:
        self._source = source
        self.estimate = SourceClock(source.max_offset_s, longest_delay_s(source, tags))

    def asked(self, offset_s: float, bound_s: float, now: int) -> Finding | None:
        """Take what the driver measured; what is to be told, once until it turns. now: in ticks."""
        self.estimate.measured(offset_s, bound_s, now)
        return self._turned()

    def changed(self, readings: Sequence[Reading], received: int) -> Finding | None:
        """Judge by the stamps of changes whether they can come from a clock within the limit (URS-TIME-12); what is to be told."""
        if self._source.time_authority != "device" or not self.estimate.is_due(received):
            return None
        stamp = stamp_of(readings)
        if stamp is None:
            return None
        self.estimate.stamped(stamp, received)
        return self._turned()

    def member(self) -> dict[str, Any]:
        """`source_clock` of an entry: whose clock stamps, and how far it is off as now estimated."""
        now = self.estimate.now
        authority = {"authority": self._source.time_authority}
        return authority if now is None else {**authority, "offset_s": now.offset_s, "bound_s": now.bound_s}

    def _turned(self) -> Finding | None:
        offset = self.estimate.turned()
        return None if offset is None else clock_off(self._source, offset)


def stamp_of(readings: Sequence[Reading]) -> int | None:
    """Give the stamp that stands for a list of changes, None if none has one: the middle, for one tag with an absurd stamp is no clock."""
    if isinstance(readings, Columns):
        stamps = sorted(readings.source or ())
    else:
        stamps = sorted(source for _, _, _, source, _ in readings if source is not None)
    return stamps[len(stamps) // 2] if stamps else None


def longest_delay_s(source: Source, tags: Iterable[Tag]) -> float:
    """How long a fresh change may be under way: sampled, queued for publishing, sent."""
    rate_ms = max((source.rate_ms if tag.rate_ms is None else tag.rate_ms for tag in tags), default=source.rate_ms)
    publish_ms = source.options.get("publish_ms", 1000)
    return (rate_ms + (publish_ms if isinstance(publish_ms, int | float) else 1000)) / 1000 + 1.0
