"""Computes better times for entries stamped while the clock was not verified, from the clock's own event when it was verified again.

The stored times stay. A clock event `recovered` states its anchor (boot, time, monotonic_s); within the same boot an instant is as far
before the anchor as the monotonic clock shows (event-clock.json).
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from simulators.ebr.record.readings import TICKS_PER_S, ticks_of

UNVERIFIED = ("unsynchronised", "unknown")


class UnverifiedTimes:
    """Collects the unverified entries of a batch in spans, one per event that gives them better times."""

    def __init__(self, recovered: Iterable[Mapping[str, Any]]) -> None:
        self._events = [event for event in recovered if event.get("kind") == "recovered" and event.get("anchor") and event.get("since")]
        self._spans: dict[int, dict[str, Any]] = {}

    def see(self, item: Mapping[str, Any]) -> None:
        """Add an entry of the batch."""
        clock = item.get("clock") or {}
        if clock.get("status") not in UNVERIFIED:
            return
        for number, event in enumerate(self._events):
            if event["gateway"] == item["gateway"] and _covers(event, clock):
                edge = {"time": item["time"], "placed": placed(event["anchor"], clock["monotonic_s"])}
                span = self._spans.setdefault(number, {"entries": 0, "first": edge, "last": edge})
                span["entries"] += 1
                span["last"] = edge
                return

    def spans(self) -> list[dict[str, Any]]:
        """List {"entries", "first", "last", "bound_s", "by"}.

        Number of entries, the first and last with both times, the bound of the better times, and the event that gives them.
        """
        return [
            {
                **span,
                "bound_s": self._events[number].get("correction_bound_s"),
                "by": [self._events[number][name] for name in ("epoch", "seq")],
            }
            for number, span in sorted(self._spans.items())
        ]


def _covers(event: Mapping[str, Any], clock: Mapping[str, Any]) -> bool:
    since, anchor = event["since"], event["anchor"]
    return bool(clock.get("boot") == anchor["boot"] and since["monotonic_s"] <= clock["monotonic_s"] <= anchor["monotonic_s"])


def placed(anchor: Mapping[str, Any], monotonic_s: float) -> str:
    """Compute the UTC of a monotonic instant by an anchor, to the microsecond."""
    ticks = ticks_of(anchor["time"]) - round((anchor["monotonic_s"] - monotonic_s) * TICKS_PER_S)
    return datetime.fromtimestamp(ticks / TICKS_PER_S, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
