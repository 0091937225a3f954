"""Decode a data change in one step where it has the layout of one before it: the same items, in the same order, with texts as long.

A PLC that is sampled at one rate sends all its items each time, so the bytes of one data change lie as those of the last. Nothing is
assumed of them: every handle, mask, type and text length is compared, as one number under a mask, and where one differs the caller decodes
record by record. By induction from the first record on, equal kinds and lengths put each record where it is expected.
"""

import struct
import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from drivers.columns import Columns, Tags
from drivers.contract import Reading
from drivers.opcua.session import variant as v

_MASK = v.HAS_VALUE | v.HAS_SOURCE | v.HAS_SERVER
"""The one mask that is remembered: Good, with both times, as servers send what is well."""
_HEAD = struct.Struct("<IBBi")  # client handle, mask, type, length of a text
_TIMES_BYTES = 16
_LEAST = 8
"""Records below which nothing is won."""
_MOST_LAYOUTS = 128
_MOST_RECORDS = 1 << 17
"""Of all layouts together: a record takes about 170 bytes here."""
_MOST_SIZES = 1024
_FAILURES = 8
"""So many more failures than hits, and the layout is forgotten: items that change by chance."""
_Key = tuple[int, int, bytes]
"""(records, bytes, handle of the first): what tells apart the layouts of subscriptions that are as large."""


class _Known(NamedTuple):
    """A layout. mask: one bits over what must be as in `fixed`; texts: places of texts among the values, None if there are none.

    tags: of the values; is_once: no tag comes twice.
    """

    record: struct.Struct
    mask: int
    fixed: int
    tags: Tags
    texts: Sequence[int] | None
    is_once: bool


class RememberedLayouts:
    """The layouts that one plan's data changes had lately, by number of records and bytes. Bounded; what is forgotten is learnt again."""

    def __init__(self, tags: Mapping[int, int], types: Mapping[int, int]) -> None:
        """Take tag and built-in type by client handle, as the Decoder does."""
        self._tags, self._types = tags, types
        self._known: dict[_Key, _Known] = {}
        self._score: dict[_Key, int] = {}
        self._used = threading.Lock()

    def readings(self, body: bytes, at: int, end: int, count: int) -> tuple[Sequence[Reading], int] | None:
        """Return the readings of so many records from `at` on, and the position after them; None if they are not as any before.

        Large messages are decoded in a thread: who comes meanwhile is not kept waiting, and decodes record by record.
        """
        if not self._used.acquire(blocking=False):
            return None
        try:
            return self._readings(body, at, end, count)
        finally:
            self._used.release()

    def _readings(self, body: bytes, at: int, end: int, count: int) -> tuple[Sequence[Reading], int] | None:
        size = (count, end - at, body[at : at + 4])
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

    def _look(self, size: _Key, score: int, body: bytes, at: int, end: int) -> None:
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
        self._known[size] = known
        while len(self._known) > _MOST_LAYOUTS or (sum(key[0] for key in self._known) > _MOST_RECORDS and len(self._known) > 1):
            del self._known[next(iter(self._known))]


def _learnt(body: bytes, at: int, end: int, count: int, tags: Mapping[int, int], types: Mapping[int, int]) -> _Known | None:
    """Walk over the records; None if one of them is of another kind than its tag's, or has more than a Good value and two times."""
    letters, mask, handles, texts, begin = ["<"], bytearray(), [], [], at
    for place in range(count):
        if at + _HEAD.size > end:
            return None
        handle, kind, number, length = _HEAD.unpack_from(body, at)
        if kind != _MASK or types.get(handle) != number:
            return None
        if number == v.STRING:
            if not 0 <= length <= end - at:
                return None
            texts.append(place)
            fixed, value, taken = _HEAD.size, f"{length}s", length
        else:
            fixed, value, taken = 6, v.FIXED[number], struct.calcsize("<" + v.FIXED[number])
        letters.append(f"{fixed}x{value}qq")
        mask += b"\xff" * fixed + bytes(taken + _TIMES_BYTES)
        handles.append(handle)
        at += fixed + taken + _TIMES_BYTES
    ones = int.from_bytes(mask, "little")
    of = tuple(tags[handle] for handle in handles)
    return _Known(
        struct.Struct("".join(letters)),
        ones,
        int.from_bytes(body[begin:at], "little") & ones,
        of,
        texts or None,
        len(set(of)) == count,
    )


def _decoded(known: _Known, body: bytes, at: int) -> Sequence[Reading] | None:
    """Return the readings; None if a record differs, or a time is none."""
    if int.from_bytes(body[at : at + known.record.size], "little") & known.mask != known.fixed:
        return None
    members: tuple[Any, ...] = known.record.unpack_from(body, at)
    values: Sequence[Any] = members[0::3]
    if known.texts is not None:
        values = _with_texts(list(values), known.texts)
    source = _ticks(members[1::3])
    server = source if members[1::3] == members[2::3] else _ticks(members[2::3])
    if source is None or server is None:
        return None
    readings = Columns(known.tags, values, source[0], server[0], source[1])
    return readings if known.is_once else readings.rows()


def _with_texts(values: list[Any], places: Sequence[int]) -> list[Any]:
    """Decode the texts among the values: together, where none of them holds a NUL."""
    octets = [values[place] for place in places]
    together = b"\0".join(octets)
    if together.count(0) == len(octets) - 1:
        texts = together.decode("utf-8", "backslashreplace").split("\0")
    else:
        texts = [each.decode("utf-8", "backslashreplace") for each in octets]
    for place, text in zip(places, texts, strict=True):
        values[place] = text
    return values


def _ticks(filetimes: Sequence[int]) -> tuple[Sequence[int], tuple[int, int]] | None:
    """Return the ticks of each FILETIME, and the earliest and the latest; None if one of them is "no time"."""
    low, high = min(filetimes), max(filetimes)
    if low < v.FILETIME_OF_1970 or high > v.LATEST_FILETIME:
        return None
    shift = v.FILETIME_OF_1970
    bounds = low - shift, high - shift
    if low == high:
        return bounds[:1] * len(filetimes), bounds
    return [filetime - shift for filetime in filetimes], bounds
