"""Open the journal's SQLite files: one writing connection each, checked to be durable, and readers that can not write."""

import os
import sqlite3
from pathlib import Path

PAGE_BYTES = 4096
WAL_LIMIT_BYTES = 64 << 20
WAIT_FOR_LOCK_S = 5.0
"""Time that SQLite waits for a lock at a start, and for readers. A running writer waits RUNNING_WAIT_S inside SQLite and then in its own
loop, so that it can report what it waits for."""
RUNNING_WAIT_S = 0.1

TRANSIENT = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY})
"""Primary result codes that pass by themselves (space is freed, a foreign lock goes): the same bodies are written again later.
Every other one stops the journal: after a failed write or fsync the kernel may have dropped pages that it calls clean."""

CORRUPT = frozenset(
    {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, 0}
)
"""Primary result codes by which a damaged file shows itself (a damaged schema gives a plain error; 0: Python raised it without a code)."""


class NotDurable(Exception):
    """SQLite did not accept a setting on which durability rests (some file systems refuse WAL)."""


def create(path: Path) -> None:
    """Make a file for its owner alone (0600); SQLite gives its -wal and -shm the same mode."""
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))


def writer(path: Path) -> sqlite3.Connection:
    """Open the one connection that writes and checkpoints this file: WAL, synchronous=FULL, both read back. Raises NotDurable.

    Two connections that write or checkpoint can corrupt a WAL before SQLite 3.51.3 ("WAL-reset bug"), so there is one per file.
    """
    create(path)
    db = sqlite3.connect(path, isolation_level=None, timeout=WAIT_FOR_LOCK_S)
    try:
        db.execute(f"PRAGMA page_size={PAGE_BYTES}")
        _set(db, "journal_mode", "WAL", "wal")
        # With NORMAL a power cut loses the last commits of a WAL.
        _set(db, "synchronous", "FULL", 2)
        _set(db, "wal_autocheckpoint", "0", 0)  # errors of the automatic one are swallowed
        # secure_delete would overwrite with zeros what a transaction frees: more wear of the disk, for data that is kept anyway.
        # With mmap a bad sector kills the process by SIGBUS instead of raising an error.
        for pragma in ("temp_store=MEMORY", "cell_size_check=ON", "trusted_schema=OFF", "mmap_size=0", "secure_delete=OFF"):
            db.execute(f"PRAGMA {pragma}")
        db.execute(f"PRAGMA journal_size_limit={WAL_LIMIT_BYTES}")
    except BaseException:
        db.close()
        raise
    return db


def _set(db: sqlite3.Connection, name: str, value: str, expected: object) -> None:
    """Set a PRAGMA and read it back: SQLite reports a setting that it does not take by answering another value, not by an error."""
    db.execute(f"PRAGMA {name}={value}")
    (answer,) = db.execute(f"PRAGMA {name}").fetchone()
    if answer != expected:
        raise NotDurable(f"SQLite answers {answer!r} to PRAGMA {name}={value}: this file system can not hold the journal")


def reader(path: Path, *, closed: bool) -> sqlite3.Connection:
    """Open a connection that can not write. closed: the file never changes again, so it is read without any lock.

    Close it soon: a long reader keeps the WAL from being emptied.
    """
    flags = "mode=ro&immutable=1" if closed else "mode=ro"
    db = sqlite3.connect(f"{path.absolute().as_uri()}?{flags}", uri=True, isolation_level=None, timeout=WAIT_FOR_LOCK_S)
    db.execute("PRAGMA query_only=ON")
    db.execute("PRAGMA cell_size_check=ON")
    return db


def shorten_lock_wait(db: sqlite3.Connection) -> None:
    """Let this connection report a foreign lock after RUNNING_WAIT_S.

    From the end of the start on: a checkpoint that a reader hinders must not hold up commits for seconds.
    """
    db.execute(f"PRAGMA busy_timeout={int(RUNNING_WAIT_S * 1000)}")


def sync_directory(path: Path) -> None:
    """Make created, renamed and removed names in this directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def primary_code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code of an error; 0 if Python raised it without one."""
    return (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF


def is_transient(error: BaseException) -> bool:
    """Return True if waiting can cure the error (the disk is full, another program holds a lock) and nothing was written."""
    return isinstance(error, sqlite3.OperationalError) and primary_code(error) in TRANSIENT


def size_bytes(path: Path) -> int:
    """Return the size of a file; 0 if there is none, because SQLite removes its logs at any time."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
