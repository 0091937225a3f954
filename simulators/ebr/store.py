"""Stores every entry once, by (gateway, epoch, seq), and knows how far each stream is whole.

A stream is whole through an entry if all entries before it are held and each names the digest of the one before. A receipt goes only so
far.
"""

import hashlib
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from simulators.ebr import base, checkpoints, signatures, tables
from simulators.ebr.ahead import MOST_AHEAD_BYTES, MOST_AHEAD_ENTRIES, Room
from simulators.ebr.entry import NOTHING, Entry, Refusal, Stream, Unreadable, facts, read

log = logging.getLogger(__name__)

MAX_REJECTED = 1_000
Rule = Callable[[Entry], Refusal | None]


@dataclass
class Taken:
    """The effects of one page. answered: streams that deserve a receipt. batches: (gateway, batch) with news."""

    received: int = 0
    stored: int = 0
    duplicates: int = 0
    refused: int = 0
    suspects: int = 0
    ahead: int = 0
    answered: set[Stream] = field(default_factory=set)
    batches: set[tuple[str, str]] = field(default_factory=set)
    unreadable: list[str] = field(default_factory=list)


class Store:
    """STORE/ebr.db. One writer at a time, in any thread; readers open the file read-only."""

    def __init__(self, folder: Path, *, ahead_entries: int = MOST_AHEAD_ENTRIES, ahead_bytes: int = MOST_AHEAD_BYTES) -> None:
        """Open or make the store. ahead_entries, ahead_bytes: how much of a stream is kept beyond its whole part."""
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "ebr.db"
        self._ahead_entries, self._ahead_bytes = ahead_entries, ahead_bytes
        self._held: dict[str, list[base.Run]] = {}  # what each gateway has said that it holds
        self._stored: dict[Stream, tuple[int, int]] = {}  # through, and when it was durable: nanoseconds of this machine's clock
        self._lock = threading.Lock()
        self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(tables.TABLES + base.TABLES + checkpoints.TABLES + signatures.TABLES)
        with self._transaction():
            tables.renew(self._db)

    def trust(self, gateway: str, key: signatures.Key) -> None:
        """Trust a key that a person has given."""
        with self._transaction():
            signatures.trust(self._db, gateway, key, "given")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def hear(self, gateway: str, runs: list[base.Run]) -> Taken:
        """Note what a gateway says that it holds. answered: its streams that go on by that, or may be answered now."""
        taken = Taken()
        with self._transaction():
            news, self._held[gateway] = runs != self._held.get(gateway), runs
            taken.answered = {(gateway, epoch) for epoch, _, _ in runs if news}
            for stream in sorted(taken.answered):
                self._advance(stream, taken)
        self._note_stored(taken)
        return taken

    def take(self, payloads: Iterable[bytes], rule: Rule = lambda _: None) -> Taken:
        """Store a page in one transaction: all of it is on disk when this returns. rule: refuses an entry; None takes it.

        What lies too far beyond the whole part is not kept: it gets no receipt, and comes again.
        """
        taken = Taken()
        with self._transaction():
            room = Room(self._db, self._ahead_entries, self._ahead_bytes)
            for payload in payloads:
                taken.received += 1
                try:
                    entry = read(payload)
                except Unreadable as error:
                    taken.unreadable.append(str(error))
                    continue
                taken.answered.add(entry.stream)
                if room.has(entry, self._place(entry.stream)):
                    self._take(entry, rule, taken)
                else:
                    taken.ahead += 1
            for stream in sorted(taken.answered):
                self._advance(stream, taken)
                later = self._db.execute("SELECT epoch FROM streams WHERE gateway=? AND epoch>? AND through>0", stream)
                taken.answered |= {(stream[0], epoch) for (epoch,) in later}  # may have waited for this one
            self._count(taken)
        self._note_stored(taken)
        return taken

    def _note_stored(self, taken: Taken) -> None:
        """Note by the clock how far streams are whole, when that is on disk."""
        now_ns = time.time_ns()
        with self._lock:
            for stream in taken.answered:
                through = self._through(stream)[0]
                if self._stored.get(stream, (0, 0))[0] != through:
                    self._stored[stream] = (through, now_ns)

    def take_record(self, record_id: str, payload: bytes) -> str:
        """Store a single record under its id.

        Returns stored, duplicate, or conflict if other bytes are held under the id. Raises Unreadable.
        """
        digest = hashlib.sha256(payload).hexdigest()
        with self._transaction():
            row = self._db.execute("SELECT digest FROM records WHERE id=?", (record_id,)).fetchone()
            if row is not None:
                return "duplicate" if row[0] == digest else "conflict"
            entry = read(payload)
            tables.file_record(self._db, record_id, digest, entry)
            self._db.execute("DELETE FROM refused_records WHERE gateway=? AND epoch=? AND seq=?", (*entry.stream, entry.seq))
        return "stored"

    def refuse_record(self, record_id: str, entry: Entry, code: str) -> None:
        """Note a single record that was not taken: who asks what is held gets to know of it."""
        with self._transaction():
            self._db.execute("REPLACE INTO refused_records VALUES (?,?,?,?,?)", (*entry.stream, entry.seq, record_id, code))

    def receipt(self, stream: Stream) -> dict[str, object]:
        """Make the current receipt of a stream.

        It says when that was stored, where this process has seen it. It goes no further than its list of refused entries can: a refusal
        is never left out; and nowhere before all of the earlier epochs is held that the gateway can still send.
        """
        with self._lock:
            through, digest = self._through(stream)
            if base.open_before(self._db, stream, self._held.get(stream[0])):
                through, digest = 0, NOTHING  # it will be answered when the epoch before is whole
            rows = self._db.execute(
                "SELECT seq, code, retry, reason, previous FROM rejected WHERE gateway=? AND epoch=? AND seq<=? ORDER BY seq LIMIT ?",
                (*stream, through, MAX_REJECTED + 1),
            ).fetchall()
        if len(rows) > MAX_REJECTED:
            through, digest = rows[-1][0] - 1, rows[-1][4]
        rejected = [{"seq": seq, "code": code, "retry": retry, "reason": reason} for seq, code, retry, reason, _ in rows[:MAX_REJECTED]]
        known, at_ns = self._stored.get(stream, (0, 0))
        stored = {"stored_time": _rfc3339(at_ns)} if through and known == through else {}
        return {"gateway": stream[0], "epoch": stream[1], "through": through, "digest": digest, "rejected": rejected, **stored}

    def counts(self) -> dict[str, int]:
        """Count received, stored, duplicates, refused and suspects since the store was made."""
        with self._lock:
            return dict(self._db.execute("SELECT name, value FROM counts"))

    def streams(self) -> dict[Stream, tuple[int, str]]:
        """Give the last whole entry and its digest of every stream."""
        with self._lock:
            return {(row[0], row[1]): (row[2], row[3]) for row in self._db.execute("SELECT * FROM streams ORDER BY gateway, epoch")}

    def forget(self, stream: Stream, beyond: int) -> None:
        """Lose everything beyond an entry, as a restored backup has: for tests of the gateway's reaction."""
        with self._transaction():
            for table in ("entries", "rejected", "facts", "spans"):
                self._db.execute(f"DELETE FROM {table} WHERE gateway=? AND epoch=? AND seq>?", (*stream, beyond))  # noqa: S608 - fixed names
            self._db.execute("DELETE FROM missing WHERE gateway=? AND epoch=? AND first>?", (*stream, beyond))
            self._db.execute("DELETE FROM checkpoints WHERE gateway=? AND epoch=? AND size>=?", (*stream, beyond))
            row = self._db.execute("SELECT digest FROM entries WHERE gateway=? AND epoch=? AND seq=?", (*stream, beyond)).fetchone()
            self._db.execute("REPLACE INTO streams VALUES (?,?,?,?)", (*stream, beyond, row[0] if row else NOTHING))

    # -- one entry

    def _take(self, entry: Entry, rule: Rule, taken: Taken) -> None:
        key = (entry.gateway, entry.epoch, entry.seq)
        held = self._db.execute("SELECT digest FROM entries WHERE gateway=? AND epoch=? AND seq=?", key).fetchone()
        if held is not None:
            if held[0] == entry.digest:
                taken.duplicates += 1
            else:
                self._suspect(entry, f"another entry {entry.seq} is held, with digest {held[0]}", taken)
            return
        through = self._through(entry.stream)[0]
        if entry.seq <= through and not _is_the_rejected(self._db, entry):
            self._suspect(entry, "the stream was whole without it, and another one was refused in its place", taken)
            return
        no = entry.unsupported() or signatures.stranger(self._db, *entry.stream) or rule(entry)
        if no is not None:
            self._reject(entry, no, taken)
            return
        self._db.execute("DELETE FROM rejected WHERE gateway=? AND epoch=? AND seq=?", key)
        self._db.execute("INSERT INTO entries VALUES (?,?,?,?,?)", (*key, entry.digest, entry.payload))
        entry_facts = facts(entry.item)
        self._db.executemany("INSERT INTO facts VALUES (?,?,?,?,?,?,?)", ((*key, *fact) for fact in entry_facts))
        tables.note_times(self._db, entry)
        taken.stored += 1
        if entry.seq <= through and not self._check(entry.stream, entry.seq, taken):
            taken.stored -= 1
            return
        taken.batches.update((entry.gateway, fact.batch) for fact in entry_facts if fact.batch is not None)

    def _reject(self, entry: Entry, no: Refusal, taken: Taken) -> None:
        values = (entry.gateway, entry.epoch, entry.seq, entry.digest, entry.item["previous"], *no, checkpoints.leaf(entry.payload))
        self._db.execute("REPLACE INTO rejected VALUES (?,?,?,?,?,?,?,?,?)", values)
        taken.refused += 1

    def _suspect(self, entry: Entry, why: str, taken: Taken) -> None:
        """Keep an entry as evidence, beside the record: a held entry is never replaced."""
        row = (entry.gateway, entry.epoch, entry.seq, entry.digest, entry.payload, why)
        self._db.execute("INSERT OR IGNORE INTO suspects VALUES (?,?,?,?,?,?)", row)
        taken.suspects += 1

    # -- the chain

    def _through(self, stream: Stream) -> tuple[int, str]:
        row = self._db.execute("SELECT through, digest FROM streams WHERE gateway=? AND epoch=?", stream).fetchone()
        return (row[0], row[1]) if row else (0, NOTHING)

    def _place(self, stream: Stream) -> int:
        """Return the entry after which the stream goes on: its whole part, or the base behind entries that nobody can send."""
        through = self._through(stream)[0]
        first = base.next_run(self._held.get(stream[0], ()), stream, through)
        return through if first is None else first - 1

    def _advance(self, stream: Stream, taken: Taken) -> None:
        """Follow the chain as far as it holds, and over what the gateway does not hold."""
        self._follow(stream, taken)
        while (first := base.next_run(self._held.get(stream[0], ()), stream, through := self._through(stream)[0])) is not None:
            if next(self._after(stream, through), (0,))[0] == through + 1:
                return  # held here, though not by the gateway: what stopped the stream is another thing
            following = next(self._after(stream, first - 1), None)
            if following is None:
                return
            log.warning("%s, epoch %d: entries %d to %d are not held by the gateway", *stream, through + 1, first - 1)
            self._db.execute("INSERT OR REPLACE INTO missing VALUES (?,?,?,?)", (*stream, through + 1, first - 1))
            self._db.execute("REPLACE INTO streams VALUES (?,?,?,?)", (*stream, first - 1, following[2]))
            self._follow(stream, taken)

    def _follow(self, stream: Stream, taken: Taken) -> None:
        """Follow the chain from entry to entry."""
        through, digest = self._through(stream)
        barred = signatures.stranger(self._db, *stream)
        for seq, own, previous in self._after(stream, through):
            if seq != through + 1:
                break
            if previous != digest:
                self._set_aside(stream, seq, taken)
                break
            through, digest = seq, own
            if not self._check(stream, seq, taken):
                barred = signatures.stranger(self._db, *stream)
            elif barred is not None:
                self._refuse_held(stream, seq, barred, taken)
        self._db.execute("REPLACE INTO streams VALUES (?,?,?,?)", (*stream, through, digest))

    def _check(self, stream: Stream, seq: int, taken: Taken) -> bool:
        """Apply what an entry states about keys; refuse a checkpoint that entries or keys contradict, as a suspect."""
        sql = (
            "SELECT kind, e.payload FROM facts JOIN entries e USING (gateway, epoch, seq)"
            " WHERE kind IN ('checkpoint', 'audit') AND gateway=? AND epoch=? AND seq=?"
        )
        row = self._db.execute(sql, (*stream, seq)).fetchone()
        if row is None:
            return True
        entry = read(row[1])
        if row[0] == "audit":
            no = signatures.meet(self._db, *stream, entry.item["event"])
            signatures.learn(self._db, stream[0], entry.item["event"])
        else:
            no = checkpoints.check(self._db, stream, seq, entry.item["event"])
        if no is None:
            return True
        log.error("%s, epoch %d, entry %d: %s", *stream, seq, no.reason)
        self._suspect(entry, no.reason, taken)
        self._refuse_held(stream, seq, no, taken)
        return False

    def _refuse_held(self, stream: Stream, seq: int, no: Refusal, taken: Taken) -> None:
        """Refuse an entry that was stored before it was known why it may not be."""
        row = self._db.execute("SELECT payload FROM entries WHERE gateway=? AND epoch=? AND seq=?", (*stream, seq)).fetchone()
        for table in ("entries", "facts", "spans"):
            self._db.execute(f"DELETE FROM {table} WHERE gateway=? AND epoch=? AND seq=?", (*stream, seq))  # noqa: S608 - fixed names
        if row is not None:
            self._reject(read(row[0]), no, taken)

    def _after(self, stream: Stream, through: int) -> Iterator[tuple[int, str, str]]:
        """Yield (seq, digest, previous) of entries held or rejected after an entry, in order."""
        sql = "SELECT seq, digest, previous FROM rejected WHERE gateway=? AND epoch=? AND seq>? ORDER BY seq"
        rejected = {row[0]: row for row in self._db.execute(sql, (*stream, through))}
        sql = "SELECT seq, digest, payload FROM entries WHERE gateway=? AND epoch=? AND seq=?"
        seq = through + 1
        while True:
            row = self._db.execute(sql, (*stream, seq)).fetchone()
            if row is not None:
                yield row[0], row[1], read(row[2]).item["previous"]
            elif seq in rejected:
                yield rejected[seq]
            else:
                return
            seq += 1

    def _set_aside(self, stream: Stream, seq: int, taken: Taken) -> None:
        """Move an entry that does not continue the chain out of the record; the right one may still arrive."""
        row = self._db.execute("SELECT payload FROM entries WHERE gateway=? AND epoch=? AND seq=?", (*stream, seq)).fetchone()
        if row is not None:
            self._suspect(read(row[0]), "does not continue the chain", taken)
        for table in ("entries", "facts", "spans", "rejected"):
            self._db.execute(f"DELETE FROM {table} WHERE gateway=? AND epoch=? AND seq=?", (*stream, seq))  # noqa: S608 - fixed names

    def _count(self, taken: Taken) -> None:
        for name in ("received", "stored", "duplicates", "refused", "suspects", "ahead"):
            self._db.execute(
                "INSERT INTO counts VALUES (?,?) ON CONFLICT(name) DO UPDATE SET value=value+excluded.value", (name, getattr(taken, name))
            )
        self._db.execute(
            "INSERT INTO counts VALUES ('unreadable',?) ON CONFLICT(name) DO UPDATE SET value=value+excluded.value",
            (len(taken.unreadable),),
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")


def _rfc3339(at_ns: int) -> str:
    """Write a time as RFC 3339, in microseconds."""
    return datetime.fromtimestamp(at_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{at_ns // 1000 % 10**6:06d}Z"


def _is_the_rejected(db: sqlite3.Connection, entry: Entry) -> bool:
    """Return True for the very entry that was refused before; the chain has gone on over its digest."""
    row = db.execute("SELECT digest FROM rejected WHERE gateway=? AND epoch=? AND seq=?", (*entry.stream, entry.seq)).fetchone()
    return row is not None and row[0] == entry.digest
