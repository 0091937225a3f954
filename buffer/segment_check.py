"""Check the segment that grows: its pages, its log, its chain."""

import sqlite3

from buffer import chain, sqlite
from buffer import segment as segments
from buffer.catalogue import Segment
from buffer.segment import Damaged


def check_pages(db: sqlite3.Connection) -> None:
    """Have SQLite check every page of a file. Raises Damaged."""
    answers = [row[0] for row in db.execute("PRAGMA quick_check(5)")]
    if answers != ["ok"]:
        raise Damaged("; ".join(answers))


def empty_wal(db: sqlite3.Connection) -> None:
    """Empty the log, so that no frames stay behind of a transaction that was killed: after the next crash they would look like damage."""
    try:
        segments.checkpoint(db, whole=True)
    except sqlite3.OperationalError as error:
        if not sqlite.is_transient(error):
            raise


def walk(db: sqlite3.Connection, segment: Segment) -> tuple[list[bytes], bytes, int, int]:
    """Follow the chain through a segment: (leaf hashes, last digest, last seq, last total). Raises Damaged where it breaks."""
    if segment.previous is None:
        raise Damaged(f"what entry {segment.first} follows can not be read", segment.first)
    previous, seq, total = segment.previous, segment.first - 1, segment.before
    leaves = []
    for entry in segments.entries(db, segment.epoch, 0, segments.last_of(segment.first)):
        if entry.seq != seq + 1 or f'"previous":"{previous.hex()}"'.encode() not in entry.payload[:600]:
            raise Damaged(f"entry {entry.seq} does not follow entry {seq}", entry.seq)
        previous, seq = bytes.fromhex(entry.digest), entry.seq
        leaves.append(chain.leaf(entry.payload))
    if leaves:
        total = segments.totals(db, seq)
    return leaves, previous, seq, total
