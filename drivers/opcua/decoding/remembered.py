"""Decode a data change in one step where it has the layout of one before it: the same items, in the same order, with texts as long.

A PLC that is sampled at one rate sends all its items each time, so the bytes of one data change lie as those of the last. Nothing is
assumed of them: every mask, type, text length and handle is compared, and where one differs the caller decodes record by record. By
induction from the first record on, equal kinds and lengths put each record where it is expected.
"""

import struct
import threading
from collections.abc import Callable, Mapping
from itertools import repeat
from typing import Any, NamedTuple

from drivers.contract import Reading
from drivers.opcua.session import variant as v

_MASK = v.HAS_VALUE | v.HAS_SOURCE | v.HAS_SERVER
"""The one mask that is remembered: Good, with both times, as servers send what is well."""
_HEAD = struct.Struct("<IBBi")  # client handle, mask, type, length of a text
_TIMES_BYTES = 16
_LEAST = 8
"""Records below which nothing is won."""
_MOST_LAYOUTS = 16
_MOST_SIZES = 256
_FAILURES = 8
"""So many more failures than hits, and the layout is forgotten: items that change by chance."""


class _Known(NamedTuple):
    """A layout. kinds: mask and type of each record as one number; texts: (place among the values, length as its bytes) of each text."""

    record: struct.Struct
    kinds: tuple[int, ...]
    handles: tuple[int, ...]
    tags: tuple[int, ...]
    texts: tuple[tuple[int, bytes], ...]


class RememberedLayouts:
    """The layouts that one plan's data changes had lately, by number of records and bytes. Bounded; what is forgotten is learnt again."""

    def __init__(self, tags: Mapping[int, int], types: Mapping[int, int]) -> None:
        """Take tag and built-in type by client handle, as the Decoder does."""
        self._tags, self._types = tags, types
        self._known: dict[tuple[int, int], _Known] = {}
        self._score: dict[tuple[int, int], int] = {}
        self._used = threading.Lock()

    def readings(self, body: bytes, at: int, end: int, count: int) -> tuple[list[Reading], int] | None:
        """Return the readings of so many records from `at` on, and the position after them; None if they are not as any before.

        Large messages are decoded in a thread: who comes meanwhile is not kept waiting, and decodes record by record.
        """
        if not self._used.acquire(blocking=False):
            return None
        try:
            return self._readings(body, at, end, count)
        finally:
            self._used.release()

    def _readings(self, body: bytes, at: int, end: int, count: int) -> tuple[list[Reading], int] | None:
        size = (count, end - at)
        score = self._score.get(size, 0)
        if count < _LEAST or score <= -_FAILURES:
            return None
        known = self._known.get(size)
        if known is None:
            self._look(size, score, body, at, end)
            known = self._known.get(size)
        found = None if known is None or known.record.size > end - at else _decoded(known, body, at)
        if known is not None:
            self._score[size] = min(score + 1, _FAILURES) if found is not None else score - 1
            if self._score[size] <= -_FAILURES:
                del self._known[size]
        return None if found is None or known is None else (found, at + known.record.size)

    def _look(self, size: tuple[int, int], score: int, body: bytes, at: int, end: int) -> None:
        """Learn a layout when its size comes for the second time: what comes once is not worth it."""
        if len(self._score) >= _MOST_SIZES:
            self._score.clear()
            self._known.clear()
        self._score[size] = score + 1
        if score <= 0:
            return
        known = _learnt(body, at, end, size[0], self._tags, self._types)
        if known is None:
            self._score[size] = -1  # not at each message: a null text or an odd status may stay for long
            return
        if len(self._known) >= _MOST_LAYOUTS:
            del self._known[next(iter(self._known))]
        self._known[size] = known


def _learnt(body: bytes, at: int, end: int, count: int, tags: Mapping[int, int], types: Mapping[int, int]) -> _Known | None:
    """Walk over the records; None if one of them is of another kind than its tag's, or has more than a Good value and two times."""
    letters, kinds, handles, texts = ["<"], [], [], []
    for place in range(count):
        if at + _HEAD.size > end:
            return None
        handle, mask, number, length = _HEAD.unpack_from(body, at)
        if mask != _MASK or types.get(handle) != number:
            return None
        if number == v.STRING:
            if not 0 <= length <= end - at:
                return None
            texts.append((place, body[at + 6 : at + 10]))
            value, taken = f"{4 + length}s", 4 + length
        else:
            value, taken = v.FIXED[number], struct.calcsize("<" + v.FIXED[number])
        letters.append(f"IH{value}qq")
        kinds.append(mask | number << 8)
        handles.append(handle)
        at += 6 + taken + _TIMES_BYTES
    return _Known(struct.Struct("".join(letters)), tuple(kinds), tuple(handles), tuple(tags[handle] for handle in handles), tuple(texts))


def _decoded(known: _Known, body: bytes, at: int) -> list[Reading] | None:
    members = known.record.unpack_from(body, at)
    if members[1::5] != known.kinds or members[::5] != known.handles:
        return None
    values: Any = members[2::5]
    if known.texts:
        values = list(values)
        for place, length in known.texts:
            if values[place][:4] != length:
                return None
            values[place] = values[place][4:].decode("utf-8", "backslashreplace")
    return list(zip(known.tags, values, repeat(0), _ticks(members[3::5]), _ticks(members[4::5])))


def _ticks(filetimes: tuple[int, ...]) -> Any:
    """Return the ticks of each FILETIME, None for "no time"; one that all share is looked at once."""
    if filetimes.count(filetimes[0]) == len(filetimes):
        return repeat(v.ticks_of(filetimes[0]))
    if min(filetimes) >= v.FILETIME_OF_1970 and max(filetimes) <= v.LATEST_FILETIME:
        return [filetime - v.FILETIME_OF_1970 for filetime in filetimes]
    ticks_of: Callable[[int], int | None] = v.ticks_of
    return map(ticks_of, filetimes)
