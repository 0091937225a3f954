"""Cursors: how far each uplink's receiver has confirmed what it stores. And the quarantine: entries that a receiver refused.

A receipt moves a cursor at once, if its digest is that of the entry which it names; else it is `ReceiptRefused`, and nothing moves. The
disk follows within a second, and always before anything is pruned. A cursor lost by a crash costs a resend that the receiver recognises,
never an entry.
"""

import json
import threading
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

from buffer import segment as segments
from buffer import sqlite
from buffer.catalogue import Catalogue, End
from buffer.committed import CommittedView
from buffer.errors import ReceiptRefused
from buffer.times import now_ticks, of_entry

Position = tuple[int, int]
"""(epoch, seq)"""


class Rejected(NamedTuple):
    """One entry that the receiver was handed and did not store, as its receipt lists it."""

    seq: int
    code: str
    retry: str = "after-change"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One entry in quarantine. since_ticks: when the receiver first refused it. state: held, or disposed by a person."""

    uplink: str
    epoch: int
    seq: int
    code: str
    retry: str
    reason: str
    since_ticks: int
    state: Literal["held", "disposed"] = "held"


UNPROVED = "unproved"
"""Code of entries in quarantine that no receipt has proved, and that the receiver has gone on behind: see `Receipts.acknowledge`."""


class Depth(NamedTuple):
    """Entries and bytes that an uplink has still to confirm. oldest_ticks: `time` of the oldest such entry, None if there is none."""

    entries: int
    bytes: int
    oldest_ticks: int | None


@dataclass(frozen=True, slots=True)
class Cursor:
    """An uplink's position: everything through (epoch, seq) is confirmed. required: nothing after it is pruned."""

    required: bool
    epoch: int = 0
    seq: int = 0

    @property
    def at(self) -> tuple[int, int]:
        """(epoch, seq) of the last confirmed entry."""
        return self.epoch, self.seq


def read_cursors(directory: Path) -> dict[str, Cursor]:
    """Read each uplink's cursor from a journal's folder; that of a running gateway is up to a second old. Raises sqlite3.Error."""
    path = directory / "journal.db"
    with closing(sqlite.reader(path, closed=not path.with_name("journal.db-wal").exists())) as db:
        rows = db.execute("SELECT uplink, required, epoch, seq FROM cursors").fetchall()
    return {name: Cursor(bool(required), epoch, seq) for name, required, epoch, seq in rows}


def read_quarantine(directory: Path, uplink: str) -> list[Quarantined]:
    """Read what of an uplink lies in quarantine, held and disposed, from a journal's folder, running or not. Raises sqlite3.Error."""
    path = directory / "journal.db"
    sql = "SELECT uplink, epoch, seq, code, retry, reason, ticks, state FROM quarantine WHERE uplink = ? ORDER BY epoch, seq"
    with closing(sqlite.reader(path, closed=not path.with_name("journal.db-wal").exists())) as db:
        return [Quarantined(*row) for row in db.execute(sql, (uplink,))]


class Receipts:
    """Cursors and quarantine in memory, for any thread. `save` belongs to the writer thread; dirty: something is to be saved."""

    def __init__(self, view: CommittedView) -> None:
        self._view = view
        self._lock = threading.Lock()
        self._cursors: dict[str, Cursor] = {}
        self._quarantine: dict[tuple[str, int, int], Quarantined] = {}
        self._ends: dict[int, End] = {}
        self._claims: set[tuple[str, int]] = set()  # (uplink, ended epoch): the receiver says that it holds others of it, or more
        self._passed: dict[str, list[Quarantined]] = {}
        self.dirty = False

    def load(self, catalogue: Catalogue) -> None:
        """Read what `save` wrote."""
        for name, required, epoch, seq in catalogue.db.execute("SELECT uplink, required, epoch, seq FROM cursors"):
            self._cursors[name] = Cursor(bool(required), epoch, seq)
        rows = catalogue.db.execute("SELECT uplink, epoch, seq, code, retry, reason, ticks, state FROM quarantine")
        self._quarantine = {(row[0], row[1], row[2]): Quarantined(*row) for row in rows}

    def know_epochs(self, ends: dict[int, End]) -> None:
        """Set the ends of every epoch but the current one.

        A receipt of the next epoch counts only after all of the one before. A receiver may hold entries of an ended epoch that were
        lost here: its receipt can then not be compared (`acknowledge`).
        """
        with self._lock:
            self._ends = ends

    def ends(self) -> dict[int, End]:
        """Return the ends of every epoch but the current one."""
        with self._lock:
            return dict(self._ends)

    def save(self, catalogue: Catalogue) -> None:
        """Write cursors and quarantine in one transaction."""
        with self._lock:
            cursors = [(name, item.required, item.epoch, item.seq) for name, item in self._cursors.items()]
            held = [
                (item.uplink, item.epoch, item.seq, item.code, item.retry, item.reason, item.since_ticks, item.state)
                for item in self._quarantine.values()
            ]
            self.dirty = False
        with catalogue.transaction() as db:
            db.execute("DELETE FROM cursors")
            db.executemany("INSERT INTO cursors VALUES (?, ?, ?, ?)", cursors)
            db.execute("DELETE FROM quarantine")
            db.executemany("INSERT INTO quarantine VALUES (?, ?, ?, ?, ?, ?, ?, ?)", held)

    def register(self, name: str, *, required: bool) -> None:
        """Register an uplink; a new one begins with the oldest entry held."""
        with self._lock:
            self._cursors[name] = replace(self._cursors.get(name, Cursor(required)), required=required)
            self.dirty = True
        self._tell_confirmed()

    def retire(self, name: str) -> None:
        """Forget an uplink that the line no longer has: its cursor no longer keeps entries."""
        with self._lock:
            self._cursors.pop(name, None)
            self._claims = {claim for claim in self._claims if claim[0] != name}
            self._quarantine = {key: item for key, item in self._quarantine.items() if key[0] != name}
            self.dirty = True
        self._tell_confirmed()

    def _tell_confirmed(self) -> None:
        with self._lock:
            positions = [cursor.at for cursor in self._cursors.values()]
        self._view.confirmed(positions)

    def cursors(self) -> dict[str, Cursor]:
        """Return the cursors of all uplinks, by name."""
        with self._lock:
            return dict(self._cursors)

    def cursor(self, name: str) -> Cursor:
        """Return one uplink's cursor. Raises ReceiptRefused (unknown-uplink)."""
        with self._lock:
            if name not in self._cursors:
                raise ReceiptRefused("unknown-uplink", f"no uplink {name!r} is registered")
            return self._cursors[name]

    def depth(self, name: str) -> Depth:
        """Count the entries that this uplink has still to confirm. May read the disk."""
        at = self.cursor(name).at
        entries, size = self._view.depth(at)
        oldest = self._view.read(at, 1, 1) if entries else []
        return Depth(entries, size, of_entry(oldest[0].payload) if oldest else None)

    def acknowledge(self, name: str, epoch: int, through: int, digest: str) -> int:
        """Move the cursor to (epoch, through) if the receipt proves it; return the cursor's seq. Raises ReceiptRefused.

        The digest of an entry that is not held any more stands in the entry after it: so a receiver that begins in the middle proves its
        base. What can not be compared proves nothing, and is refused with the code `unprovable`: a receipt for 0, or for an entry that was
        lost with the end of its epoch.

        Of an epoch that has ended a receiver may hold more than is left here, or others. No digest can show it, so its word is kept as a
        claim, until it proves an entry of that epoch after all. Its proof of a later epoch lets the cursor pass what is held here of the
        claimed one: a receiver answers for one epoch after the other. As nothing shows that it holds just these entries, they go into
        quarantine (UNPROVED, one for each segment), and `take_passed` tells of them.
        """
        cursor = self.cursor(name)
        self._check(name, cursor, epoch, through, digest)
        passed = self._between(name, cursor.at, epoch)
        with self._lock:
            self._claims.discard((name, epoch))
            if (epoch, through) > self._cursors[name].at:
                self._cursors[name] = Cursor(cursor.required, epoch, through)
                self._claims = {claim for claim in self._claims if claim[0] != name or claim[1] > epoch}
                self._quarantine.update({(item.uplink, item.epoch, item.seq): item for item in passed})
                self._passed.setdefault(name, []).extend(passed)
                self.dirty = True
            seq = self._cursors[name].seq
        self._tell_confirmed()
        return seq

    def compare(self, name: str, epoch: int, through: int, digest: str) -> None:
        """Compare a receipt as `acknowledge` does, and move nothing. Raises ReceiptRefused unless it proves what it says."""
        self._check(name, self.cursor(name), epoch, through, digest)

    def claim(self, name: str, epoch: int) -> bool:
        """Note that a receiver says it holds others or more of an epoch; return whether that one has ended, else nothing is noted."""
        with self._lock:
            if epoch in self._ends:
                self._claims.add((name, epoch))
            return epoch in self._ends

    def is_claimed(self, name: str, epoch: int) -> bool:
        """Return True if such a claim stands."""
        with self._lock:
            return (name, epoch) in self._claims

    def take_passed(self, name: str) -> list[Quarantined]:
        """Return what was passed without a proof since this was called last."""
        with self._lock:
            return self._passed.pop(name, [])

    def _check(self, name: str, cursor: Cursor, epoch: int, through: int, digest: str) -> None:
        """Compare a receipt with what is held. Raises ReceiptRefused unless its digest is that of the entry."""
        current, last = self._view.last
        end = self.ends().get(epoch)
        if epoch != current and end is None:
            raise ReceiptRefused("unknown-epoch", f"epoch {epoch} is not one of this journal")
        held = last if end is None else self._last_held().get(epoch, 0)
        new = (epoch, through) > cursor.at
        if end is not None and held < through and (through <= end.known or not end.is_certain):
            if new:
                self.claim(name, epoch)
            raise ReceiptRefused("unprovable", f"entry {through} of epoch {epoch} is not here, its digest can not be compared")
        if not 0 <= through <= held:
            raise ReceiptRefused("beyond-last", f"receipt through {through}, epoch {epoch} ends at {held}")
        known_digest = self._digest(cursor, epoch, through)
        if known_digest != digest.lower():
            if new:
                self.claim(name, epoch)
            raise ReceiptRefused(
                "digest-mismatch", f"receipt for {through} has digest {digest[:16]}..., the entry has {known_digest[:16]}..."
            )
        if epoch > cursor.epoch and not self._all_before(name, cursor, epoch):
            raise ReceiptRefused(
                "earlier-epoch-open", f"receipt of epoch {epoch}, but epoch {cursor.epoch} is confirmed to {cursor.seq} only"
            )

    def _last_held(self) -> dict[int, int]:
        """Return the last entry held of each epoch: of one whose end was lost later not that which it ended with."""
        return {epoch: last for epoch, _, last in self._view.ranges()}

    def _digest(self, cursor: Cursor, epoch: int, through: int) -> str:
        """Return the digest of an entry; of one that is not held any more, a receiver's base, as the entry after it states it.

        Raises ReceiptRefused (unprovable) where nothing states it, or where a base would pass entries that are held here: for those only
        the digest of one of them counts.
        """
        if (entry := self._view.entry(epoch, through)) is not None:
            return entry[0]
        following = self._view.read((epoch, through), 1, 1) if through else []
        if not following or (following[0].epoch, following[0].seq) != (epoch, through + 1):
            raise ReceiptRefused("unprovable", f"entry {through} of epoch {epoch} is not held, its digest can not be compared")
        if (epoch, through) > cursor.at and self._view.read(cursor.at, 1, 1) != following:
            raise ReceiptRefused("unprovable", f"entry {through} of epoch {epoch} is not held, but earlier ones are that have no receipt")
        return str(json.loads(following[0].payload)["previous"])

    def _all_before(self, name: str, cursor: Cursor, epoch: int) -> bool:
        """Return True if the cursor is past every held entry of the epochs before this one, but for those that the receiver claims."""
        return all((other, last) <= cursor.at or self.is_claimed(name, other) for other, last in self._last_held().items() if other < epoch)

    def _between(self, name: str, after: Position, epoch: int) -> list[Quarantined]:
        """Return, one for each segment, the entries of earlier epochs that a proof of this epoch passes: none but for claimed ones."""
        found: list[Quarantined] = []
        for other, low, last in self._view.ranges() if epoch > after[0] else ():
            first = max(low, after[1] + 1) if other == after[0] else low
            while after[0] <= other < epoch and first <= last:
                end = min(last, segments.last_of(segments.first_of(first)))
                reason = f"entries {first} to {end}: the receiver says that it holds others of this epoch, or more, and has gone on"
                found.append(Quarantined(name, other, first, UNPROVED, "never", reason, now_ticks()))
                first = end + 1
        return found

    def quarantine(self, name: str, epoch: int, rejected: Iterable[Rejected]) -> tuple[list[Quarantined], list[Quarantined]]:
        """Take over the receiver's whole present list for an epoch: (newly refused, no longer refused).

        Disposed ones stay disposed, and those that were passed without a proof (UNPROVED) stay: no list speaks of them.
        """
        present = {(name, epoch, entry.seq): entry for entry in rejected}
        with self._lock:
            listed = {key for key in self._quarantine if key[:2] == (name, epoch)}
            left = [key for key in sorted(listed - set(present)) if self._quarantine[key].state == "held"]
            gone = [self._quarantine.pop(key) for key in left if self._quarantine[key].code != UNPROVED]
            new = [Quarantined(*key, *present[key][1:], now_ticks()) for key in sorted(set(present) - listed)]
            self._quarantine.update({(entry.uplink, entry.epoch, entry.seq): entry for entry in new})
            self.dirty = self.dirty or bool(new or gone)
        return new, gone

    def dispose(self, name: str, epoch: int, seq: int) -> Quarantined:
        """Mark an entry as dealt with by a person: it no longer keeps its segment. Raises KeyError if it is not in quarantine."""
        with self._lock:
            key = (name, epoch, seq)
            self._quarantine[key] = replace(self._quarantine[key], state="disposed")
            self.dirty = True
            return self._quarantine[key]

    def quarantined(self, name: str | None = None) -> list[Quarantined]:
        """Return the quarantine of one uplink or of all, in order."""
        with self._lock:
            return [entry for key, entry in sorted(self._quarantine.items()) if name in (None, key[0])]
