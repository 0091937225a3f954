"""How the journal's files are opened: one writing connection each, checked to be durable; readers that can not write."""

import os
import sqlite3
from pathlib import Path

PAGE_BYTES = 4096
WAL_LIMIT_BYTES = 64 << 20
WAIT_FOR_LOCK_S = 5.0
"""At start, and for readers. While it runs the writer waits RUNNING_WAIT_S inside SQLite, and then by itself, so that it can say so."""
RUNNING_WAIT_S = 0.1

HOLD = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY})
"""Primary result codes that pass by themselves (space is freed, a foreign lock goes): the same bodies are written again later.
Every other one stops the journal: after a failed write or fsync the kernel may have dropped pages that it calls clean."""

CORRUPT = frozenset(
    {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, 0}
)
"""Primary result codes by which a damaged file shows itself (a damaged schema gives a plain error)."""


class NotDurable(Exception):
    """SQLite did not accept a setting on which the promise rests (some file systems refuse WAL)."""


def create(path: Path) -> None:
    """Make the file for its owner alone; SQLite gives its -wal and -shm the same mode."""
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))


def writer(path: Path) -> sqlite3.Connection:
    """The one connection that writes and checkpoints this file: WAL, synchronous=FULL, both read back.

    Two connections that write or checkpoint can corrupt a WAL before SQLite 3.51.3 ("WAL-reset bug"), so there is one.
    """
    create(path)
    db = sqlite3.connect(path, isolation_level=None, timeout=WAIT_FOR_LOCK_S)
    try:
        db.execute(f"PRAGMA page_size={PAGE_BYTES}")
        _set(db, "journal_mode", "WAL", "wal")
        _set(db, "synchronous", "FULL", 2)
        _set(db, "wal_autocheckpoint", "0", 0)  # errors of the automatic one are swallowed
        for pragma in ("temp_store=MEMORY", "cell_size_check=ON", "trusted_schema=OFF", "mmap_size=0", "secure_delete=OFF"):
            db.execute(f"PRAGMA {pragma}")
        db.execute(f"PRAGMA journal_size_limit={WAL_LIMIT_BYTES}")
    except BaseException:
        db.close()
        raise
    return db


def _set(db: sqlite3.Connection, name: str, value: str, expected: object) -> None:
    db.execute(f"PRAGMA {name}={value}")
    (got,) = db.execute(f"PRAGMA {name}").fetchone()
    if got != expected:
        raise NotDurable(f"SQLite answers {got!r} to PRAGMA {name}={value}: this file system can not hold the journal")


def reader(path: Path, *, closed: bool) -> sqlite3.Connection:
    """A connection that can not write; close it soon, a long one keeps the WAL from being reset. closed: the file never changes again."""
    flags = "mode=ro&immutable=1" if closed else "mode=ro"
    db = sqlite3.connect(f"{path.absolute().as_uri()}?{flags}", uri=True, isolation_level=None, timeout=WAIT_FOR_LOCK_S)
    db.execute("PRAGMA query_only=ON")
    db.execute("PRAGMA cell_size_check=ON")
    return db


def hurry(db: sqlite3.Connection) -> None:
    """From now on a foreign lock is told after RUNNING_WAIT_S; a checkpoint that a reader hinders must not stop commits for seconds."""
    db.execute(f"PRAGMA busy_timeout={int(RUNNING_WAIT_S * 1000)}")


def sync_directory(path: Path) -> None:
    """Make created, renamed and removed names in this directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's primary result code of an error, 0 where Python raised it by itself."""
    return (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF


def passes(error: BaseException) -> bool:
    """Whether waiting can cure it (disk full, locked by somebody) and nothing was written."""
    return isinstance(error, sqlite3.OperationalError) and primary_code(error) in HOLD


def size_bytes(path: Path) -> int:
    """Size of a file, 0 if there is none: SQLite takes its logs away at any time."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
