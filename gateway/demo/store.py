"""Reads the reference EBR's store while the EBR writes it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path


class Store:
    """STORE/ebr.db, read-only."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "ebr.db"
        self._row = 0

    def new(self) -> list[bytes]:
        """Entries that arrived since this was last asked, in the order of arrival."""
        if not self._path.exists():
            return []
        with closing(self._open()) as db:
            rows = db.execute("SELECT rowid, payload FROM entries WHERE rowid > ? ORDER BY rowid", (self._row,)).fetchall()
        self._row = rows[-1][0] if rows else self._row
        return [bytes(payload) for _, payload in rows]

    def entries(self) -> Iterator[bytes]:
        """Every entry, in its own order."""
        with closing(self._open()) as db:
            for (payload,) in db.execute("SELECT payload FROM entries ORDER BY epoch, seq"):
                yield bytes(payload)

    def last(self) -> tuple[int, int]:
        """(epoch, seq) of the newest entry; zeros if there is none."""
        if not self._path.exists():
            return 0, 0
        with closing(self._open()) as db:
            found = db.execute("SELECT epoch, seq FROM entries ORDER BY epoch DESC, seq DESC LIMIT 1").fetchone()
        return (0, 0) if found is None else (found[0], found[1])

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=10)
