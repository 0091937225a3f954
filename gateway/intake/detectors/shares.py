"""Shares over a time: of late readings, of readings that came twice, and of the time in which a tag was Good. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from gateway.intake.detectors.seen import Part, Seen, Through, put, taken

LEAST_READINGS = 10
"""Of fewer no share is told: one of two is no half."""
FAR = 1 << 62


class Share(NamedTuple):
    """A share beyond its limit, or back within it. of: late, duplicate, good. since, until: ticks of the time that it was taken over."""

    slot: int
    of: str
    share: float
    since: int
    until: int
    is_over: bool = False


class Rule(NamedTuple):
    """Of one tag: shares that are allowed, None for any. over, late_after: ticks."""

    over: int
    late_after: int | None = None
    max_late: float | None = None
    max_duplicate: float | None = None
    min_good: float | None = None


class Delivery:
    """How many readings of each tag came, how many of them late or for a second time, in the time that runs."""

    def __init__(self, rules: Mapping[int, Rule]) -> None:
        """rules: by tag."""
        self.tags, self._rules = list(rules), list(rules.values())
        self.slot_of = {tag: slot for slot, tag in enumerate(self.tags)}
        size = len(rules)
        self._late_after = [FAR if rule.late_after is None else rule.late_after for rule in self._rules]
        self._began, self._count, self._late, self._twice = [0] * size, [0] * size, [0] * size, [0] * size
        self._stamp, self._value = [0] * size, list[Any]([None]) * size
        self._told: set[tuple[int, str]] = set()

    def take(self, part: Part, seen: Seen) -> None:
        """Count changes that have a stamp. What is polled comes as often as it is asked for, changed or not."""
        if seen.stamps is None or seen.is_poll:
            return
        stamps, values = taken(seen.stamps, part.places), taken(seen.values, part.places)
        began = taken(self._began, part.slots)
        put(self._began, part.slots, [since or seen.io.received for since in began])
        put(self._count, part.slots, [count + 1 for count in taken(self._count, part.slots)])
        lags = zip(part.which, stamps, taken(self._late_after, part.slots), strict=True)
        arrived = seen.io.received + seen.offset
        for slot, stamp, late_after in lags:
            if arrived - stamp > late_after:
                self._late[slot] += 1
        before = zip(part.which, stamps, taken(self._stamp, part.slots), values, taken(self._value, part.slots), strict=True)
        for slot, stamp, last, value, was in before:
            if stamp == last and value == was:
                self._twice[slot] += 1
        put(self._stamp, part.slots, stamps)
        put(self._value, part.slots, values)

    def look(self, through: Through) -> list[Share]:
        """Judge each time that is over, as far as its tag has been observed."""
        found: list[Share] = []
        for slot, (began, rule) in enumerate(zip(self._began, self._rules, strict=True)):
            if began and (until := through(self.tags[slot]) or 0) - began >= rule.over:
                found += self._judged(slot, rule, began, until)
                self._restart(slot, until)
        return found

    def _judged(self, slot: int, rule: Rule, since: int, until: int) -> list[Share]:
        count = self._count[slot]
        if count < LEAST_READINGS:
            return []
        found: list[Share] = []
        for of, many, most in (("late", self._late[slot], rule.max_late), ("duplicate", self._twice[slot], rule.max_duplicate)):
            is_beyond, is_told = most is not None and many / count > most, (slot, of) in self._told
            if is_beyond is not is_told:
                self._told.symmetric_difference_update([(slot, of)])
                found.append(Share(slot, of, many / count, since, until, is_over=is_told))
        return found

    def _restart(self, slot: int, at: int) -> None:
        self._began[slot], self._count[slot], self._late[slot], self._twice[slot] = at, 0, 0, 0

    def forget(self, tags: Iterable[int]) -> None:
        """Know no more of these tags than what was told."""
        for tag in tags:
            if tag in self.slot_of:
                self._restart(self.slot_of[tag], 0)
                self._stamp[self.slot_of[tag]] = 0


class Quality:
    """For how long each tag was not Good in the time that runs. A quality stands until the next reading, as a value does."""

    def __init__(self, rules: Mapping[int, Rule]) -> None:
        """rules: by tag, each with min_good."""
        self.tags = list(rules)
        self.slot_of = {tag: slot for slot, tag in enumerate(self.tags)}
        self._over = [rule.over for rule in rules.values()]
        self._most_bad = [round((1.0 - (rule.min_good or 0.0)) * rule.over) for rule in rules.values()]
        self._began, self._bad = [0] * len(rules), [0] * len(rules)
        self._unknown = set(range(len(rules)))
        self._bad_since: dict[int, int] = {}
        self._told: set[int] = set()

    def good(self, part: Part, seen: Seen) -> None:
        """Take tags that are Good."""
        if self._unknown or self._bad_since:
            self.take(part.which, seen.io.received, is_good=True)

    def take(self, slots: Iterable[int], instant: int, *, is_good: bool) -> None:
        """Take the quality of readings that came at this instant."""
        for slot in slots:
            if slot in self._unknown:
                self._unknown.discard(slot)
                self._began[slot], self._bad[slot] = instant, 0
            since = self._bad_since.pop(slot, None)
            if since is not None:
                self._bad[slot] += max(0, instant - since)
            if not is_good:
                self._bad_since[slot] = instant

    def look(self, through: Through) -> list[Share]:
        """Judge each time that is over, and at once what can not become better in it any more."""
        found: list[Share] = []
        for slot, (began, over) in enumerate(zip(self._began, self._over, strict=True)):
            if slot in self._unknown:
                continue
            until = through(self.tags[slot]) or 0
            bad = self._bad[slot] + max(0, until - self._bad_since.get(slot, until))
            is_beyond, is_done = bad > self._most_bad[slot], until - began >= over
            if (is_beyond and slot not in self._told) or (is_done and not is_beyond and slot in self._told):
                self._told.symmetric_difference_update([slot])
                share = 1.0 - bad / max(until - began, over)
                found.append(Share(slot, "good", share, began, until, is_over=not is_beyond))
            if is_done:
                self._began[slot], self._bad[slot] = until, 0
                if slot in self._bad_since:
                    self._bad_since[slot] = until
        return found

    def forget(self, tags: Iterable[int]) -> None:
        """Know no more of these tags than what was told."""
        for tag in tags:
            if tag in self.slot_of:
                self._unknown.add(self.slot_of[tag])
                self._bad_since.pop(self.slot_of[tag], None)
