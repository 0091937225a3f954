"""Reads the reference EBR's store while the EBR writes it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

_LAST = "SELECT epoch, seq FROM entries ORDER BY epoch DESC, seq DESC LIMIT 1"
_LAST_OF_ONE = "SELECT epoch, seq FROM entries WHERE gateway = ? ORDER BY epoch DESC, seq DESC LIMIT 1"
_BETWEEN = """SELECT payload FROM entries WHERE gateway = ? AND (epoch, seq) > (?, ?) AND (epoch, seq) <= (?, ?)
ORDER BY epoch, seq"""


class Store:
    """Reads STORE/ebr.db; empty until the EBR has made it."""

    def __init__(self, folder: Path, gateway: str | None = None) -> None:
        """Look at a store; gateway: of which alone `last` and `between` tell, and without looking at every entry."""
        self._gateway, self._path = gateway, folder / "ebr.db"
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
        rows = self._rows(_LAST) if self._gateway is None else self._rows(_LAST_OF_ONE, self._gateway)
        return (rows[0][0], rows[0][1]) if rows else (0, 0)

    def between(self, after: tuple[int, int], through: tuple[int, int]) -> Iterator[bytes]:
        """Yield the gateway's entries after one (epoch, seq) through another, in order."""
        with closing(self._open()) as db:
            for (payload,) in db.execute(_BETWEEN, (self._gateway, *after, *through)):
                yield bytes(payload)

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
