"""One segment: up to 4,096 consecutive entries of one epoch in one SQLite file.

Segments begin at seq 1, 4,097, 8,193, ...: 4,096 is a power of two, so a full segment is one complete subtree of the epoch's RFC 6962 tree,
and a removed one can be replaced by its root. While a segment grows it is in WAL mode and has one writing connection. A closed one is a
single file without a log, mode 0440, never written again.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import orjson
import zstandard

from buffer import sqlite
from buffer.chain import digest as digest_of

ENTRIES = 4096
"""Entries in a full segment, and the most that a start has to check one by one."""
MOST_UNPACKED_BYTES = 1 << 20
"""Beyond it a stored payload is damaged, whatever its frame announces; an entry has 64 KiB at most."""
FORMAT = "ebr-gateway/segment/1"

SCHEMA = """
CREATE TABLE about(name TEXT PRIMARY KEY, value);
CREATE TABLE entries(seq INTEGER PRIMARY KEY, digest BLOB NOT NULL, total INTEGER NOT NULL, payload BLOB NOT NULL);
CREATE TABLE facts(name TEXT PRIMARY KEY, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, value BLOB NOT NULL);
CREATE TRIGGER entries_are_not_changed BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'entries are never changed'); END;
CREATE TRIGGER entries_are_not_removed BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'entries are never removed'); END;
"""
"""entries: digest is the entry's SHA-256, total the bytes of all entries of the epoch through this one, payload zstd of the entry.
facts: watermarks and the fold's state, with the entry they belong to.
The triggers stop mistakes of ours; that nothing was changed is proved by the digests, never by them."""

Row = tuple[int, bytes, int, bytes]
"""(seq, digest, total, compressed payload)"""


class Entry(NamedTuple):
    """One entry as stored and sent. digest: SHA-256 of the payload, hex."""

    epoch: int
    seq: int
    digest: str
    payload: bytes


_EVENT, _TYPE = b'"event":{', b'"type":"'


def type_of(payload: bytes) -> str:
    """Return the type of the event that an entry's bytes hold; "" if they hold readings.

    The first `event` is the entry's own: its head has none. A row of a source may hold members of the same names behind it.
    Nothing is parsed where the event begins with its type; one that a program wrote while no gateway ran may begin with anything.
    """
    begin = payload.find(_EVENT)
    if begin < 0:
        return ""
    begin += len(_EVENT)
    if not payload.startswith(_TYPE, begin):
        return str(orjson.loads(payload)["event"].get("type", ""))
    begin += len(_TYPE)
    return payload[begin : payload.index(b'"', begin)].decode()


class Fact(NamedTuple):
    """A value that holds after entry (epoch, seq): the watermark of a source, or the state of the fold."""

    epoch: int
    seq: int
    value: bytes


class Damaged(Exception):
    """Stored bytes are not those that were written. seq: the first entry concerned, if it is known."""

    def __init__(self, text: str, seq: int | None = None) -> None:
        super().__init__(text)
        self.seq = seq


def name_of(epoch: int, first: int) -> str:
    """Return the file name of the segment that begins with entry `first`."""
    return f"{epoch}-{first}.db"


def first_of(seq: int) -> int:
    """Return the first seq of the segment that holds entry `seq`."""
    return (seq - 1) // ENTRIES * ENTRIES + 1


def last_of(first: int) -> int:
    """Return the last seq that a segment beginning with entry `first` can hold."""
    return first + ENTRIES - 1


def create(path: Path, about: dict[str, object]) -> sqlite3.Connection:
    """Make an empty segment, durably, and return its writing connection. After an error (a full disk) the file may be made again."""
    db = sqlite.writer(path)
    try:
        # One transaction: a file that was cut short has no tables at all, and the next start knows it for what it is.
        db.executescript(f"BEGIN; {SCHEMA}")
        db.executemany("INSERT INTO about VALUES (?, ?)", [("format", FORMAT), *about.items()])
        db.execute("COMMIT")
        sqlite.sync_directory(path.parent)
    except BaseException:
        db.close()
        raise
    return db


def insert(db: sqlite3.Connection, rows: Iterable[Row], facts: Mapping[str, Fact | None]) -> None:
    """Commit rows and facts in one transaction: durable on return, nothing written after an error. None removes a fact."""
    db.execute("BEGIN IMMEDIATE")
    try:
        db.executemany("INSERT INTO entries VALUES (?, ?, ?, ?)", rows)
        if facts:
            here = [_fact_row(name, fact) for name, fact in facts.items() if fact is not None]
            db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?)", here)
            db.executemany("DELETE FROM facts WHERE name = ?", [(name,) for name, fact in facts.items() if fact is None])
        db.execute("COMMIT")
    except BaseException:
        # SQLite has rolled back by itself after some errors (a full disk), and not after others.
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def checkpoint(db: sqlite3.Connection, *, whole: bool = False) -> bool:
    """Move the log's pages into the file, and with `whole` empty the log too. Returns False if a reader kept some of it from moving."""
    busy, _, _ = db.execute(f"PRAGMA wal_checkpoint({'TRUNCATE' if whole else 'PASSIVE'})").fetchone()
    return not busy


def close(db: sqlite3.Connection, path: Path) -> bool:
    """Turn a full segment into one read-only file without a log. Returns False, and leaves it open, if another reader holds it now."""
    try:
        # journal_mode=DELETE removes the log and marks the file as one without: only then it may be read as immutable, without any lock.
        if not checkpoint(db, whole=True) or db.execute("PRAGMA journal_mode=DELETE").fetchone()[0] != "delete":
            return False
    except sqlite3.OperationalError as error:
        if sqlite.is_transient(error):
            return False
        raise
    db.close()
    path.chmod(0o440)
    sqlite.sync_directory(path.parent)
    return True


def entries(db: sqlite3.Connection, epoch: int, after: int, through: int, limit: int = ENTRIES) -> Iterator[Entry]:
    """Yield the entries after seq `after` up to `through`, in order, each compared with its digest. Raises Damaged."""
    rows = db.execute("SELECT seq, digest, payload FROM entries WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?", (after, through, limit))
    unpack = zstandard.ZstdDecompressor()
    for seq, stored, packed in rows:
        yield Entry(epoch, seq, stored.hex(), unpacked(unpack, seq, stored, packed))


def unpacked(unpack: zstandard.ZstdDecompressor, seq: int, stored: bytes, packed: bytes) -> bytes:
    """Unpack a stored payload and compare it with its digest. Raises Damaged."""
    try:
        # A damaged length must not fill the memory: max_output_size holds only where the frame announces none.
        is_bomb = zstandard.frame_content_size(packed) > MOST_UNPACKED_BYTES
        payload = b"" if is_bomb else unpack.decompress(packed, max_output_size=MOST_UNPACKED_BYTES)
    except (zstandard.ZstdError, TypeError) as error:
        raise Damaged(f"entry {seq} can not be unpacked: {error}", seq) from error
    if is_bomb:
        raise Damaged(f"entry {seq} can not be unpacked: it is larger than an entry may be", seq)
    if digest_of(payload) != stored:
        raise Damaged(f"entry {seq} does not match its digest", seq)
    return payload


def facts(db: sqlite3.Connection) -> dict[str, Fact]:
    """Read all facts of a segment, by name. Raises Damaged if one does not match its digest."""
    facts_by_name: dict[str, Fact] = {}
    for name, epoch, seq, value in db.execute("SELECT name, epoch, seq, value FROM facts"):
        fact = fact_from(epoch, seq, value)
        if fact is None:
            raise Damaged(f"{name} does not match its digest")
        facts_by_name[name] = fact
    return facts_by_name


def fact_from(epoch: int, seq: int, stored: bytes) -> Fact | None:
    """Return the fact in a stored row; None if it does not match its digest."""
    return Fact(epoch, seq, stored[32:]) if digest_of(stored[32:] + b"%d/%d" % (epoch, seq)) == stored[:32] else None


def _fact_row(name: str, fact: Fact) -> tuple[str, int, int, bytes]:
    """Build the row of a fact, with its digest before its value.

    Entries are protected by the chain. A watermark or a state is part of no entry: without a digest, damage in it would go unnoticed.
    """
    return name, fact.epoch, fact.seq, digest_of(fact.value + b"%d/%d" % fact[:2]) + fact.value


def is_bare(db: sqlite3.Connection) -> bool:
    """Return True if the file has no tables yet: `create` makes them all in one transaction."""
    return db.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone() is None


def about(db: sqlite3.Connection) -> dict[str, object]:
    """Read the segment's own description: format, gateway, epoch, first, previous, and how it was begun."""
    return dict(db.execute("SELECT name, value FROM about"))


def totals(db: sqlite3.Connection, seq: int) -> int:
    """Return the bytes of all entries of the epoch through `seq`; 0 if this segment does not hold `seq`."""
    row = db.execute("SELECT total FROM entries WHERE seq = ?", (seq,)).fetchone()
    return int(row[0]) if row else 0
