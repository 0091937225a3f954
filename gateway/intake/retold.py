"""What stands in the journal behind its source's watermark, and is told again by the source, is not stored twice.

An entry may stand without the watermark that was committed with it: a power cut tore the page of the one and not of the other, and the
salvage kept what was proved, because it may have been promised. Or the first half of a message was committed, and its second was not. Then
the source is asked from the older watermark on, and tells once more what is stored.

The same is only what can not be told apart: tag, source time, server time, status, value and raw value as they are stored; a reading
without a source time never is, and none of rows of tables and files, where equal ones may be of two rows. Each that stands takes out one.
Nothing is taken out of a tag before its source has gone on where the watermark ended (`resumed`), and nothing after `MOST_LISTS` lists:
then what is remembered is let go.
"""

import re
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import orjson

from buffer import Entry, Journal
from drivers.contract import Reading, Window
from gateway.entries.bodies import Row
from gateway.entries.stored_rows import StoredRow, stored_rows

MOST_ENTRIES = 1_000
"""The newest of the journal that are looked at: a longer tail is told twice beyond it."""
MOST_ROWS = 50_000
"""Readings of them that are remembered for a line, the newest."""
MOST_LISTS = 200
"""Lists of changes after which nobody waits any more for what has not been told again."""
_PAGE_BYTES = 1 << 20
_HEAD_BYTES = 1_024
_SOURCE = re.compile(rb'"source":"([^"\\]*)"')
_READINGS = b'"readings":['

NO_ROWS: Sequence[Row] = ()
Key = tuple[int, int | None, int | None, int, bytes]
Position = tuple[int, int]
AsStored = Callable[[Reading], tuple[Any, Any, int]]
"""Gives (value, raw, status) as a reading would be stored."""


class Retold:
    """What one source may tell again."""

    def __init__(self, standing: Counter[Key], as_stored: AsStored) -> None:
        """standing: what is stored behind its watermark, and how often."""
        self._standing, self._as_stored = standing, as_stored
        self._tags: set[int] = set()  # those that went on where the watermark ended
        self._lists = 0
        self._taken: Counter[Key] = Counter()  # by the list that is under way

    @property
    def is_over(self) -> bool:
        """Whether nothing is waited for any more."""
        return not self._standing or self._lists >= MOST_LISTS

    def resumed(self, tags: Collection[int]) -> None:
        """Hear that these tags go on where the committed watermark ended."""
        self._tags.update(tags)

    def left(
        self, readings: Sequence[Reading], alive: Sequence[int] | None, windows: Sequence[Window | None], *, resumed: bool
    ) -> tuple[Sequence[Reading], Sequence[int] | None, Sequence[Window | None], Sequence[Row]]:
        """Leave out of a list of changes what stands in the journal already; its tags were observed all the same. See `Emit`.

        Returns the list as it is to be stored, and what was left out.
        """
        if resumed:
            self.resumed({*(alive or ()), *(reading[0] for reading in readings)})
        places, standing = self.split(readings)
        if not standing:
            return readings, alive, windows, NO_ROWS
        alive = [reading[0] for reading in readings] if alive is None else alive
        return [readings[at] for at in places], alive, [windows[at] for at in places] if windows else windows, standing

    def split(self, readings: Sequence[Reading]) -> tuple[list[int], list[Row]]:
        """Part a list of changes: where in it the readings are that have to be stored, and as rows those that stand in the journal already.

        It counts when the list is `appended`.
        """
        self._taken = Counter()
        places: list[int] = []
        standing: list[Row] = []
        for place, reading in enumerate(readings):
            row = self._stands(reading) if reading[0] in self._tags else None
            if row is None:
                places.append(place)
            else:
                standing.append(row)
        return places, standing

    def _stands(self, reading: Reading) -> Row | None:
        tag, _, _, source, server = reading
        if source is None:
            return None
        value, raw, status = self._as_stored(reading)
        key = _key(StoredRow(tag, value, raw, status, source, server))
        if self._standing.get(key, 0) <= self._taken[key]:
            return None
        self._taken[key] += 1
        return tag, value, raw, status, "change", source, server

    def appended(self) -> "Retold | None":
        """Hear that the list was appended: what it told again is not waited for any more. Returns None when nothing is."""
        self._lists += 1
        self._standing -= self._taken
        return None if self.is_over else self


def told(count: int) -> str:
    """Say how many readings were not stored again."""
    what = "1 reading that the source told again stood" if count == 1 else f"{count} readings that the source told again stood"
    return f"{what} in the journal already: not stored twice"


def standing(journal: Journal, tagsets: Mapping[str, str]) -> dict[str, Counter[Key]]:
    """Read, by source, what stands behind its watermark; sources of which nothing does are left out. Reads the journal's end once.

    tagsets: by source, the digest of its tags' table: entries of another table say nothing of the present tags.
    """
    counted = {source: at for source in tagsets if (at := journal.counted(source)) is not None}
    rows: deque[tuple[str, list[Key]]] = deque()
    size = 0
    for source, entry in _behind(journal, counted):
        if entry["tagset"] != tagsets[source]:
            continue
        rows.append((source, [_key(row) for row in stored_rows(entry) if row.source is not None]))
        size += len(rows[-1][1])
        while size > MOST_ROWS:
            size -= len(rows.popleft()[1])
    found: dict[str, Counter[Key]] = {}
    for source, keys in rows:
        if keys:
            found.setdefault(source, Counter()).update(keys)
    return found


def _behind(journal: Journal, counted: Mapping[str, Position]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (source, entry) of each entry of readings behind its source's position."""
    for entry in newest(journal, min(counted.values()), MOST_ENTRIES) if counted else ():
        named = _SOURCE.search(entry.payload, 0, _HEAD_BYTES)
        source = "" if named is None else named[1].decode()
        if source in counted and counted[source] < entry[:2] and _READINGS in entry.payload:
            whole = orjson.loads(entry.payload)
            if "readings" in whole and whole.get("source") == source:
                yield source, whole


def newest(journal: Journal, after: Position, most: int) -> Iterator[Entry]:
    """Yield the entries after a position, so many of the newest at most."""
    left = most
    for epoch, first, last in reversed(journal.ranges()):
        if last - first + 1 >= left:
            after = max(after, (epoch, last - left))
            break
        left -= last - first + 1
    while page := journal.read(after, max_bytes=_PAGE_BYTES):
        yield from page
        after = page[-1][:2]


def _key(row: StoredRow) -> Key:
    return row.tag, row.source, row.server, row.status, orjson.dumps((row.value, row.raw))
