"""Steps from one value to the next: faster than a limit, or by the factor between two units. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from config.detectors import UnitJump
from gateway.entries.ticks import TICKS_PER_S
from gateway.intake.detectors.seen import Part, Seen, Through, put, taken

NAN, FAR = float("nan"), float("inf")
QUIET = 60 * TICKS_PER_S
"""What was too fast is over after so many ticks, all of them observed, in which nothing was: gaps between them are not counted."""
TOLERANCE = 0.05
"""A value goes on while its unit changes: by how much of the step it may miss where the other unit would put it."""


class Rule(NamedTuple):
    """Of one tag. max_per_s: None for no limit. jumps from a step of min_step on. deadband: of its source. margin: ticks, see `take`."""

    max_per_s: float | None
    jumps: tuple[UnitJump, ...]
    min_step: float
    deadband: float
    margin: int


class Step(NamedTuple):
    """A step that was too fast (per_s: at least so fast), or a jump, or the end of one of these. at: ticks.

    jump: the other unit, None of a rate. over_s: the longest time that the step can have taken.
    """

    slot: int
    before: float
    value: float
    at: int
    over_s: float = 0.0
    per_s: float | None = None
    jump: UnitJump | None = None
    is_back: bool = False
    is_over: bool = False


class Quiet:
    """For how long a tag was seen to go slowly since it was too fast last. since, until: of the stretch that is observed now, ticks.

    before: ticks of earlier stretches. Where observation ends every few seconds no stretch is long enough by itself.
    """

    __slots__ = ("before", "since", "until")

    def __init__(self, since: int) -> None:
        self.before, self.since, self.until = 0, since, since

    def seen(self, until: int) -> bool:
        """Note through when the tag was observed, and return whether it has been quiet for long enough. The first time begins a stretch."""
        self.since, self.until = self.since or until, max(self.until, until)
        return self.before + self.until - self.since >= QUIET

    def not_seen(self) -> None:
        """Keep what was seen: the next stretch begins with the next reading."""
        self.before, self.since, self.until = self.before + self.until - self.since, 0, 0


class Steps:
    """The last value of each tag, and when it was made at the earliest."""

    def __init__(self, rules: Mapping[int, Rule]) -> None:
        """rules: by tag."""
        self.tags, self._rules = list(rules), list(rules.values())
        self.slot_of = {tag: slot for slot, tag in enumerate(self.tags)}
        self._per_tick = [FAR if rule.max_per_s is None else rule.max_per_s / TICKS_PER_S for rule in self._rules]
        self._least = [rule.min_step if rule.jumps else FAR for rule in self._rules]
        self._margins = [rule.margin for rule in self._rules]
        self._value = [NAN] * len(rules)  # NaN: not known, which no comparison takes for a step
        self._early = [0] * len(rules)
        self._fast: dict[int, Quiet] = {}  # slot that was too fast -> its quiet since
        self._jumped: dict[int, tuple[UnitJump, bool]] = {}

    def take(self, part: Part, seen: Seen) -> list[Step]:
        """Take values; return what is news.

        A value that was observed to stand after it was made was still that one then: on a source that tells changes alone, as of its last
        sample, which is older than the observation by up to its sampling interval (margin); of a poll, as of some instant in its window.
        """
        values, late = taken(seen.values, part.places), taken(seen.late, part.places)
        before, bases = taken(self._value, part.slots), self._bases(part, seen)
        per_tick, least = taken(self._per_tick, part.slots), taken(self._least, part.slots)
        odd = [
            place
            for place, (value, last, instant, base, rate, step) in enumerate(zip(values, before, late, bases, per_tick, least, strict=True))
            if (by := abs(value - last)) >= step or (by and by > rate * (instant - base))
        ]
        put(self._value, part.slots, values)
        put(self._early, part.slots, taken(seen.early, part.places))
        news = [self._judged(part.which[place], before[place], values[place], bases[place], late[place], seen) for place in odd]
        found = [step for steps in news for step in steps]
        return found + self._quiet(part, late) if self._fast else found

    def _bases(self, part: Part, seen: Seen) -> Sequence[int]:
        """Give the latest instant at which each tag is known to have had its last value."""
        width = seen.io.received - (seen.io.received if seen.io.requested is None else seen.io.requested)
        margins = [width] * len(part.which) if seen.is_poll else taken(self._margins, part.slots)
        early, tags, through = taken(self._early, part.slots), taken(self.tags, part.slots), seen.through
        return [max(made, (through(tag) or 0) - margin) for made, tag, margin in zip(early, tags, margins, strict=True)]

    def _judged(self, slot: int, last: float, value: float, base: int, at: int, seen: Seen) -> list[Step]:
        found, rule, took = list[Step](), self._rules[slot], at - base
        by = abs(value - last) - (0.0 if seen.is_poll else rule.deadband)
        if rule.max_per_s is not None and took > 0 and by > self._per_tick[slot] * took:
            if slot not in self._fast:
                found.append(Step(slot, last, value, at, took / TICKS_PER_S, per_s=by * TICKS_PER_S / took))
            self._fast[slot] = Quiet(at)
        if abs(value - last) >= self._least[slot]:
            found += self._jump(slot, last, value, at)
        return found

    def _jump(self, slot: int, last: float, value: float, at: int) -> list[Step]:
        jump = jump_of(self._rules[slot].jumps, last, value)
        if jump is None:
            return []
        was = self._jumped.get(slot)
        if was is not None and was[0] == jump[0] and was[1] is not jump[1]:
            del self._jumped[slot]
            return [Step(slot, last, value, at, jump=jump[0], is_back=jump[1], is_over=True)]
        self._jumped[slot] = jump
        return [Step(slot, last, value, at, jump=jump[0], is_back=jump[1])]

    def _quiet(self, part: Part, late: Sequence[int]) -> list[Step]:
        """End what has been quiet for long enough."""
        over = [(slot, at) for slot, at in zip(part.which, late, strict=True) if slot in self._fast and self._fast[slot].seen(at)]
        return [self._slow(slot, at) for slot, at in over]

    def _slow(self, slot: int, at: int) -> Step:
        del self._fast[slot]
        return Step(slot, self._value[slot], self._value[slot], at, is_over=True)

    def look(self, through: Through) -> list[Step]:
        """End what was too fast, of tags that were seen to stand since."""
        over = [
            (slot, observed)
            for slot, quiet in self._fast.items()
            if quiet.since and (observed := through(self.tags[slot]) or 0) >= quiet.since and quiet.seen(observed)
        ]
        return [self._slow(slot, observed) for slot, observed in over]

    def forget(self, tags: Iterable[int]) -> None:
        """Know no more of these tags than what was told. A jump has no end that could still be seen: which unit holds is not known."""
        for tag in tags:
            slot = self.slot_of.get(tag)
            if slot is not None:
                self._value[slot], self._early[slot] = NAN, 0
                if slot in self._fast:
                    self._fast[slot].not_seen()


def jump_of(jumps: Sequence[UnitJump], last: float, value: float) -> tuple[UnitJump, bool] | None:
    """Find the unit to which a value has jumped, and whether it jumped back from it; the nearest one, None if none is near."""
    missed: list[tuple[float, int, bool]] = []
    for number, (_, scale, offset) in enumerate((jump.name, float(jump.scale), float(jump.offset)) for jump in jumps):
        for is_back in (False, True):
            expected = (last - offset) / scale if is_back else last * scale + offset
            if abs(value - expected) <= TOLERANCE * abs(expected - last):
                missed.append((abs(value - expected) / (abs(expected - last) or 1.0), number, is_back))
    if not missed:
        return None
    _, number, is_back = min(missed)
    return jumps[number], is_back
