"""How much of a stream is kept beyond the place through which it is whole."""

import sqlite3

from simulators.ebr.entry import Entry, Stream

MOST_AHEAD_ENTRIES = 32_768
MOST_AHEAD_BYTES = 67_108_864
"""Eight windows of a gateway. What lies farther is not kept, gets no receipt, and comes again."""


class Room:
    """The room beyond the whole part of each stream, while a page is taken."""

    def __init__(self, db: sqlite3.Connection, entries: int, size: int) -> None:
        self._db, self._entries, self._bytes = db, entries, size
        self._held: dict[Stream, int] = {}

    def has(self, entry: Entry, through: int) -> bool:
        """True if the entry may be kept; the next entry of the chain always may."""
        if entry.seq <= through + 1:
            return True
        if entry.seq > through + self._entries:
            return False
        if entry.stream not in self._held:
            sql = "SELECT coalesce(sum(length(payload)), 0) FROM entries WHERE gateway=? AND epoch=? AND seq>?"
            self._held[entry.stream] = self._db.execute(sql, (*entry.stream, through)).fetchone()[0]
        self._held[entry.stream] += len(entry.payload)
        return self._held[entry.stream] <= self._bytes
