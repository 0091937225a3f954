"""Zero fill: all bits of a number are zero for longer than the map allows. Pure."""

from collections.abc import Iterable, Mapping

from gateway.intake.detectors.seen import Part, Seen, Through, taken
from gateway.intake.detectors.standing import Stood


class Zeros:
    """Since when each tag is zero, as its source sends it, before any scaling: a dead module sends that, whatever it means in the unit."""

    def __init__(self, limits: Mapping[int, int]) -> None:
        """limits: tag -> ticks for which it may be zero."""
        self.tags, self._limits = list(limits), list(limits.values())
        self.slot_of = {tag: slot for slot, tag in enumerate(self.tags)}
        self._since: dict[int, int] = {}  # slot -> since when, of those that are zero
        self._told: set[int] = set()

    def take(self, part: Part, seen: Seen) -> list[Stood]:
        """Take values; return those that are zero no more."""
        values = taken(seen.values, part.places)
        sent = values if seen.raw is None else _sent(values, taken(seen.raw, part.places))
        if not (self._since or self._told) and all(sent):
            return []
        over: list[Stood] = []
        instant = seen.io.received
        for slot, raw, value in zip(part.which, sent, values, strict=True):
            if not raw:
                self._since.setdefault(slot, instant)
                continue
            self._since.pop(slot, None)
            if slot in self._told:
                self._told.discard(slot)
                over.append(Stood(slot, value, instant, instant, is_over=True))
        return over

    def look(self, through: Through) -> list[Stood]:
        """Find what has been zero for longer than its limit, as far as it has been observed."""
        found: list[Stood] = []
        for slot, since in self._since.items():
            observed = through(self.tags[slot]) or 0
            if slot not in self._told and observed - since >= self._limits[slot]:
                self._told.add(slot)
                found.append(Stood(slot, 0, since, observed))
        return found

    def forget(self, tags: Iterable[int]) -> None:
        """Know no more of these tags than what was told."""
        for tag in tags:
            self._since.pop(self.slot_of.get(tag, -1), None)


def _sent(values: Iterable[object], raws: Iterable[object]) -> list[object]:
    return [value if raw is None else raw for value, raw in zip(values, raws, strict=True)]
