"""Values that stand: a flat line keeps its value, a stuck counter does not rise. Pure."""

from collections.abc import Callable, Iterable, Mapping
from itertools import compress
from operator import gt, ne
from typing import Any, NamedTuple

from gateway.intake.detectors.seen import Part, Seen, Through, put, taken

NEVER = object()
Moves = Callable[[Any, Any], bool]
FLAT: Moves = ne
COUNTER: Moves = gt


class Stood(NamedTuple):
    """A value that has stood for longer than its limit, or moves again. slot: of the detector. since, until: ticks."""

    slot: int
    value: Any
    since: int
    until: int
    is_over: bool = False


class Standing:
    """When the value of each tag moved last. A counter that falls has begun anew, and has not risen."""

    def __init__(self, moves: Moves, limits: Mapping[int, int]) -> None:
        """limits: tag -> ticks for which its value may stand."""
        self._moves = moves
        self.tags = list(limits)
        self.slot_of = {tag: slot for slot, tag in enumerate(self.tags)}
        self._limits = list(limits.values())
        self._value: list[Any] = [NEVER] * len(limits)
        self._since = [0] * len(limits)
        self._unknown = set(range(len(limits)))
        self._told: dict[int, Any] = {}  # slot -> the value that stood
        self._due = 0  # nothing is due before

    def take(self, part: Part, seen: Seen) -> list[Stood]:
        """Take values; return those that move again.

        A time counts from when a value came: a source whose stamps stand still would else make each new value an old one.
        """
        values, late = taken(seen.values, part.places), [seen.io.received] * len(part.which)
        if self._unknown:
            self._begin(zip(part.which, values, late, strict=True))
        moved = list(map(self._moves, values, taken(self._value, part.slots)))
        put(self._value, part.slots, values)
        if all(moved):
            put(self._since, part.slots, late)
        else:
            for slot, instant in compress(zip(part.which, late, strict=True), moved):
                self._since[slot] = instant
        return self._over(part, values, late, moved) if self._told else []

    def _begin(self, readings: Iterable[tuple[int, Any, int]]) -> None:
        for slot, value, instant in readings:
            if slot in self._unknown:
                self._unknown.discard(slot)
                self._value[slot], self._since[slot] = value, instant
                self._due = min(self._due, instant + self._limits[slot])

    def _over(self, part: Part, values: Iterable[Any], late: Iterable[int], moved: Iterable[bool]) -> list[Stood]:
        over: list[Stood] = []
        for slot, value, instant, has_moved in zip(part.which, values, late, moved, strict=True):
            if slot in self._told and (has_moved or self._moves(value, self._told[slot])):
                del self._told[slot]
                self._since[slot] = instant
                self._due = min(self._due, instant + self._limits[slot])
                over.append(Stood(slot, value, instant, instant, is_over=True))
        return over

    def look(self, now: int, through: Through) -> list[Stood]:
        """Find what has stood for longer than its limit, as far as it has been observed. now: nothing is observed beyond it."""
        if now < self._due:
            return []
        found, due = list[Stood](), now + min(self._limits, default=0)
        for slot, tag in enumerate(self.tags):
            if slot in self._unknown or slot in self._told:
                continue
            observed, since = through(tag) or 0, self._since[slot]
            if observed - since >= self._limits[slot]:
                self._told[slot] = self._value[slot]
                found.append(Stood(slot, self._value[slot], since, observed))
            else:
                due = min(due, since + self._limits[slot])
        self._due = due
        return found

    def forget(self, tags: Iterable[int]) -> None:
        """Know no more of these tags than what was told."""
        self._unknown.update(self.slot_of[tag] for tag in tags if tag in self.slot_of)
