"""Frozen stamps: new values come, and the time that their source gives them does not go on. Pure."""

from collections.abc import Iterable, Mapping
from operator import gt
from typing import Any

from gateway.intake.detectors.seen import Part, Seen, put, taken
from gateway.intake.detectors.standing import Stood

UNKNOWN = -1


class Stamps:
    """The latest stamp of each tag, when it came first, and the value that came with it."""

    def __init__(self, limits: Mapping[int, int]) -> None:
        """limits: tag -> ticks for which new values may bear one stamp."""
        self.tags, self._limits = list(limits), list(limits.values())
        self.slot_of = {tag: slot for slot, tag in enumerate(self.tags)}
        self._stamp = [UNKNOWN] * len(limits)
        self._came = [0] * len(limits)
        self._value: list[Any] = [None] * len(limits)
        self._told: dict[int, int] = {}  # slot -> the stamp that stood

    def take(self, part: Part, seen: Seen) -> list[Stood]:
        """Take values; return those whose stamp stands, once, and those whose stamp goes on again.

        A poll that finds the same value under the same stamp says nothing: some sources stamp a value when it changes.
        """
        if seen.stamps is None:
            return []
        stamps, values = taken(seen.stamps, part.places), taken(seen.values, part.places)
        later = list(map(gt, stamps, taken(self._stamp, part.slots)))
        if all(later) and not self._told:
            put(self._stamp, part.slots, stamps)
            put(self._value, part.slots, values)
            put(self._came, part.slots, [seen.io.received] * len(part.which))
            return []
        news = [self._taken(*one, seen) for one in zip(part.which, stamps, values, later, strict=True)]
        return [one for one in news if one is not None]

    def _taken(self, slot: int, stamp: int, value: Any, is_later: bool, seen: Seen) -> Stood | None:  # noqa: FBT001 - a column's cell
        now = seen.io.received
        if is_later:
            is_first = self._stamp[slot] == UNKNOWN
            self._stamp[slot], self._came[slot], self._value[slot] = stamp, now, value
            if slot not in self._told or (is_first and stamp <= self._told[slot]):  # behind a gap it may be the one that stood
                return None
            del self._told[slot]
            return Stood(slot, value, stamp, now, is_over=True)
        is_new = not seen.is_poll or value != self._value[slot]
        if not is_new or slot in self._told or now - self._came[slot] < self._limits[slot]:
            return None
        self._told[slot] = self._stamp[slot]
        return Stood(slot, value, self._stamp[slot], now)

    def forget(self, tags: Iterable[int]) -> None:
        """Know no more of these tags than what was told."""
        for tag in tags:
            if tag in self.slot_of:
                self._stamp[self.slot_of[tag]] = UNKNOWN
