"""The newest reading of each tag, by which it is known what a server says again, and since when a tag is not known."""

from collections.abc import Sequence
from typing import overload

from drivers.columns import Columns
from drivers.contract import Reading

MOST_OF_ONE_TIME = 200
"""Readings of one tag with one source time that are remembered: some sources never move it."""
_MOST_WAITING = 128


class Newest(Sequence["Reading | None"]):
    """By tag, the newest reading that had a source time; None if there is none yet.

    What comes by column is looked at tag by tag when somebody asks, and not at all where a later list of the same tags follows it in time.
    """

    def __init__(self, tags: int = 0) -> None:
        self._last: list[Reading | None] = [None] * tags
        self._same_time: dict[int, list[Reading]] = {}  # of tags whose newest readings share it: these, in order
        self._waiting: dict[int, Columns] = {}  # by identity of their tags; in the order in which they came

    def note(self, reading: Reading) -> None:
        """Note a reading that has a source time."""
        if self._waiting:
            self._look()
        self._note(reading)

    def note_all(self, readings: Columns) -> None:
        """Note readings that all have a source time."""
        key = id(readings.tags)
        before = self._waiting.get(key)
        if before is not None and not _follows(readings, before):
            self._look()
            before = None
        if before is not None:
            del self._waiting[key]  # put behind those that came since
        elif len(self._waiting) >= _MOST_WAITING:
            self._look()
        self._waiting[key] = readings

    def of_its_time(self, tag: int) -> tuple[Reading, ...] | None:
        """Return all readings of a tag that have its newest source time; None if there is none yet."""
        last = self[tag]
        return None if last is None else tuple(self._same_time.get(tag, (last,)))

    def __len__(self) -> int:
        return len(self._last)

    @overload
    def __getitem__(self, at: int) -> Reading | None: ...

    @overload
    def __getitem__(self, at: slice) -> list[Reading | None]: ...

    def __getitem__(self, at: int | slice) -> Reading | list[Reading | None] | None:
        if self._waiting:
            self._look()
        return self._last[at]

    def _look(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for readings in waiting.values():
            for reading in readings:
                self._note(reading)

    def _note(self, reading: Reading) -> None:
        tag, before = reading[0], self._last[reading[0]]
        if before is not None and before[3] == reading[3]:
            same = self._same_time.setdefault(tag, [before])
            same.append(reading)
            del same[:-MOST_OF_ONE_TIME]
        elif self._same_time:
            self._same_time.pop(tag, None)
        self._last[tag] = reading


def _follows(readings: Columns, before: Columns) -> bool:
    """Whether each of these has a later source time than all of the others, so that none of those is the newest, or of the same time."""
    return before.bounds is not None and readings.bounds is not None and readings.bounds[0] > before.bounds[1]
