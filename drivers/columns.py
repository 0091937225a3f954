"""Readings by column, as a driver knows them before it makes a tuple of each: the quick way of a list of which every reading is plain.

Whoever looks at single readings iterates over it as over any list of them; whoever can take a column at once, does.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from typing import Generic, TypeVar, overload

from drivers.contract import GOOD, Reading, Value

Fact = TypeVar("Fact")
MOST_REMEMBERED = 256
"""Tuples of tags of which something is remembered."""
Tags = tuple[int, ...]
"""Indexes of tags, each once. Lists of one layout share one object, so what follows from it is decided once (`OfTags`)."""


class Columns(Sequence[Reading]):
    """Readings of one I/O, all Good, of different tags.

    source, server: ticks, one for each reading, or None where the protocol has no such time. Where both are the same they are one object.
    """

    __slots__ = ("_bounds", "_rows", "server", "source", "tags", "values")

    def __init__(
        self,
        tags: Tags,
        values: Sequence[Value],
        source: Sequence[int] | None,
        server: Sequence[int] | None,
        bounds: tuple[int, int] | None = None,
    ) -> None:
        """bounds: the earliest and the latest source time, where they are known."""
        self.tags, self.values, self.source, self.server = tags, values, source, server
        self._rows: list[Reading] | None = None
        self._bounds = bounds

    @property
    def bounds(self) -> tuple[int, int] | None:
        """The earliest and the latest source time, None if there is none. Looked for once."""
        if self._bounds is None and self.source:
            self._bounds = min(self.source), max(self.source)
        return self._bounds

    def rows(self) -> list[Reading]:
        """Return the readings one by one."""
        if self._rows is None:
            self._rows = list(self)
        return self._rows

    def __len__(self) -> int:
        return len(self.tags)

    def __iter__(self) -> Iterator[Reading]:
        none = repeat(None)
        return iter(zip(self.tags, self.values, repeat(GOOD), self.source or none, self.server or none))

    @overload
    def __getitem__(self, at: int) -> Reading: ...

    @overload
    def __getitem__(self, at: slice) -> list[Reading]: ...

    def __getitem__(self, at: int | slice) -> Reading | list[Reading]:
        return self.rows()[at]


class OfTags(Generic[Fact]):
    """What follows from a tuple of tags, found once for each object and remembered. Bounded: what is forgotten is found again."""

    def __init__(self, find: Callable[[Tags], Fact]) -> None:
        self._find = find
        self._found: dict[int, tuple[Tags, Fact]] = {}

    def __call__(self, tags: Tags) -> Fact:
        """Return what follows from these tags."""
        known = self._found.get(id(tags))
        if known is not None and known[0] is tags:
            return known[1]
        if len(self._found) >= MOST_REMEMBERED:
            self._found.clear()
        fact = self._find(tags)
        self._found[id(tags)] = tags, fact  # held, so that no other object gets this id
        return fact


def span_of(tags: Tags) -> slice | None:
    """Return the slice of a list by tag that these tags are, None if they do not follow each other."""
    return slice(tags[0], tags[-1] + 1) if tags and tags == tuple(range(tags[0], tags[0] + len(tags))) else None
