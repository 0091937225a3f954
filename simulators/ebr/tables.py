"""The tables of a store, how one of an earlier version is made like those of now, and what of an entry they are found by."""

import sqlite3

from simulators.ebr.entry import Entry, facts, read
from simulators.ebr.record.readings import span

TABLES = """
CREATE TABLE IF NOT EXISTS entries(
  gateway TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, digest TEXT NOT NULL, payload BLOB NOT NULL,
  PRIMARY KEY (gateway, epoch, seq));
CREATE TABLE IF NOT EXISTS streams(
  gateway TEXT NOT NULL, epoch INTEGER NOT NULL, through INTEGER NOT NULL, digest TEXT NOT NULL,
  PRIMARY KEY (gateway, epoch)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rejected(
  gateway TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, digest TEXT NOT NULL, previous TEXT NOT NULL,
  code TEXT NOT NULL, retry TEXT NOT NULL, reason TEXT NOT NULL, leaf BLOB NOT NULL,
  PRIMARY KEY (gateway, epoch, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS suspects(
  gateway TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, digest TEXT NOT NULL, payload BLOB NOT NULL, why TEXT NOT NULL,
  PRIMARY KEY (gateway, epoch, seq, digest));
CREATE TABLE IF NOT EXISTS facts(
  gateway TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL, batch TEXT, source TEXT,
  time TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS facts_by_batch ON facts(batch, kind);
CREATE INDEX IF NOT EXISTS facts_by_kind ON facts(kind, gateway, epoch, seq);
CREATE TABLE IF NOT EXISTS spans(
  gateway TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
  PRIMARY KEY (gateway, epoch, seq)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS spans_by_time ON spans(gateway, last);
CREATE TABLE IF NOT EXISTS records(
  id TEXT PRIMARY KEY, digest TEXT NOT NULL, payload BLOB NOT NULL, gateway TEXT, epoch INTEGER, seq INTEGER);
CREATE TABLE IF NOT EXISTS refused_records(
  gateway TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, id TEXT NOT NULL, code TEXT NOT NULL,
  PRIMARY KEY (gateway, epoch, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counts(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""


def renew(db: sqlite3.Connection) -> None:
    """Migrate a store that an earlier version made."""
    if "signer" not in _columns(db, "checkpoints"):
        db.execute("ALTER TABLE checkpoints ADD COLUMN signer TEXT")
    if "seq" not in _columns(db, "records"):
        for column in ("gateway TEXT", "epoch INTEGER", "seq INTEGER"):
            db.execute(f"ALTER TABLE records ADD COLUMN {column}")
        for record_id, digest, payload in db.execute("SELECT id, digest, payload FROM records").fetchall():
            file_record(db, record_id, digest, read(payload))
    db.execute("CREATE INDEX IF NOT EXISTS records_by_entry ON records(gateway, epoch, seq)")
    missing = (
        "SELECT e.payload FROM facts f JOIN entries e USING (gateway, epoch, seq)"
        " LEFT JOIN spans s USING (gateway, epoch, seq) WHERE f.kind='readings' AND s.seq IS NULL"
    )
    for (payload,) in db.execute(missing).fetchall():
        note_times(db, read(payload))


def _columns(db: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in db.execute(f"PRAGMA table_info({table})")}


def file_record(db: sqlite3.Connection, record_id: str, digest: str, entry: Entry) -> None:
    """Store a record as the entry that it was made from; it has no chain, but is found by its batch like any other."""
    key = (entry.gateway, entry.epoch, entry.seq)
    db.execute("INSERT OR REPLACE INTO records VALUES (?,?,?,?,?,?)", (record_id, digest, entry.payload, *key))
    db.executemany("INSERT INTO facts VALUES (?,?,?,?,?,?,?)", ((*key, *fact) for fact in facts(entry.item)))


def note_times(db: sqlite3.Connection, entry: Entry) -> None:
    """Note which time the readings of an entry span, if it has any."""
    if (reach := span(entry.item)) is not None:
        db.execute("INSERT INTO spans VALUES (?,?,?,?,?)", (entry.gateway, entry.epoch, entry.seq, *reach))
