"""Compares what a line's EBR holds with the devices' own logs, slice by slice: a run of days is no larger in memory."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import fields

from config import Line, Tag
from gateway.demo.compare import Counts, compare, normal, of_rows
from gateway.demo.received import Got, Received, Row
from gateway.demo.truth import Item, Truth

OVERLAP = 20
"""Of each tag, the readings that a slice sees again: one that comes doubled after the end of its slice is found in the next."""

MOST_KEPT = 10_000


class Judge:
    """Counts by source over all slices. offered: changes that the moved tags of a source made; answered: of a polled one, that it told."""

    def __init__(self, line: Line, moved: Iterable[str]) -> None:
        self._line, self._moved = line, frozenset(moved)
        self._tags = {tag.tag: tag for tag in line.tags}
        self._truths: dict[str, Truth] = {}
        self._got: dict[str, dict[str, list[Got]]] = {}
        self._rows: dict[str, dict[tuple[str, str], list[tuple[int, dict[str, object]]]]] = {}
        self.received = Received()
        self.counts = {source.name: Counts() for source in line.sources}
        self.offered: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()

    def take(self, truths: Mapping[str, Truth], payloads: Iterable[bytes]) -> Received:
        """Compare one slice: what the devices logged in it, and the entries of it. Returns the slice's readings."""
        self.received.readings = {}
        self.received.feed(payloads)
        fresh = self.received.readings
        self._count(truths)
        before = compare(self._line, self._truths, self._with(self._got))
        truths_now = {name: _joined(self._truths.get(name, Truth()), truth) for name, truth in truths.items()}
        got_now = {
            name: {tag: [*self._got.get(name, {}).get(tag, []), *fresh.get(name, {}).get(tag, [])] for tag in self._tags}
            for name in self.counts
        }
        got_now = {name: {tag: got for tag, got in tags.items() if got} for name, tags in got_now.items()}
        after = compare(self._line, truths_now, self._with(got_now))
        for name, counts in after.items():
            self.counts[name].add(_difference(counts, before[name]))
        self._got = {name: {tag: got[-OVERLAP:] for tag, got in tags.items()} for name, tags in got_now.items()}
        self._truths = {name: self._rest(name, truth) for name, truth in truths_now.items()}
        self.received.readings = fresh
        return self.received

    def ended(self) -> dict[str, Counts]:
        """Return the counts of all slices, with the rows, which are compared as a whole."""
        result = {}
        for name, counts in self.counts.items():
            rows: dict[tuple[str, str], list[Row]] = {(of, key): each for (by, of, key), each in self.received.rows.items() if by == name}
            wrote = {key: [row for _, row in versions] for key, versions in self._rows.get(name, {}).items()}
            whole = Counts()
            whole.add(counts)
            whole.add(of_rows(wrote, rows, name))
            result[name] = whole
        return result

    def _count(self, truths: Mapping[str, Truth]) -> None:
        for name, truth in truths.items():
            if name not in self.counts:
                continue
            self.offered[name] += sum(len(items) for tag, items in truth.made.items() if tag in self._moved)
            self.answered[name] += sum(len(items) for tag, items in truth.served.items() if tag in self._moved)
            kept = self._rows.setdefault(name, {})
            for key, versions in truth.rows.items():
                kept.setdefault(key, []).extend(versions)

    def _with(self, readings: dict[str, dict[str, list[Got]]]) -> Received:
        """Return readings with every gap so far; rows are compared at the end."""
        return Received(readings=readings, gaps=self.received.gaps)

    def _rest(self, source: str, truth: Truth) -> Truth:
        """Keep of a log what the readings that are kept may be about: from the item of the first of them on."""
        kept = self._got.get(source, {})
        return Truth(
            {tag: self._from(self._tags[tag], items, kept.get(tag, [])) for tag, items in truth.made.items() if tag in self._tags},
            {tag: self._from(self._tags[tag], items, kept.get(tag, [])) for tag, items in truth.served.items() if tag in self._tags},
        )

    @staticmethod
    def _from(tag: Tag, items: list[Item], got: list[Got]) -> list[Item]:
        if not got:
            return items[-1:]
        first = got[0]
        value = normal(tag, first.value)
        ticks = first.received if first.source_ticks is None else first.source_ticks
        place = len(items) - 1
        while place > 0 and (items[place].ticks > ticks or normal(tag, items[place].value) != value):
            place -= 1
        return items[max(place, 0) :][-MOST_KEPT:]


def _joined(one: Truth, other: Truth) -> Truth:
    return Truth(_lists(one.made, other.made), _lists(one.served, other.served))


def _lists(one: Mapping[str, list[Item]], other: Mapping[str, list[Item]]) -> dict[str, list[Item]]:
    return {tag: [*one.get(tag, []), *other.get(tag, [])] for tag in {**one, **other}}


def _difference(whole: Counts, before: Counts) -> Counts:
    result = Counts(
        **{each.name: getattr(whole, each.name) - getattr(before, each.name) for each in fields(Counts) if each.name != "examples"}
    )
    result.examples = [text for text in whole.examples if text not in before.examples]
    return result
