"""Reads the reference EBR's store while the EBR writes it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any


class Store:
    """Reads STORE/ebr.db; empty until the EBR has made it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "ebr.db"
        self._row = 0

    @property
    def is_made(self) -> bool:
        """True if the EBR has made its tables, and so can receive."""
        if not self._path.exists():
            return False
        with closing(self._open()) as db:
            return db.execute("SELECT 1 FROM sqlite_master WHERE name = 'entries'").fetchone() is not None

    def new(self) -> list[bytes]:
        """Return the entries that arrived since the last call, in the order of arrival."""
        rows = self._rows("SELECT rowid, payload FROM entries WHERE rowid > ? ORDER BY rowid", self._row)
        self._row = rows[-1][0] if rows else self._row
        return [bytes(payload) for _, payload in rows]

    def last(self) -> tuple[int, int]:
        """Return (epoch, seq) of the newest entry; zeros if there is none."""
        rows = self._rows("SELECT epoch, seq FROM entries ORDER BY epoch DESC, seq DESC LIMIT 1")
        return (rows[0][0], rows[0][1]) if rows else (0, 0)

    def entries(self) -> Iterator[bytes]:
        """Yield every entry, in its own order."""
        with closing(self._open()) as db:
            for (payload,) in db.execute("SELECT payload FROM entries ORDER BY epoch, seq"):
                yield bytes(payload)

    def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        if not self.is_made:
            return []
        with closing(self._open()) as db:
            return db.execute(query, values).fetchall()

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=10)
