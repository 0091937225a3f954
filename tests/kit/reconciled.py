"""A journal, an EBR's store that holds the same, and the store's damage: what was done to it, and what a comparison must name for it."""

import asyncio
import shutil
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from kit.journals import GATEWAY, entries, numbered, open_journal

from buffer import Entry, Quarantined
from gateway.reconciliation.answer import Answer, Question, Stream, parse_spans, parse_streams
from gateway.reconciliation.asking import Ask, of_store
from gateway.reconciliation.compared import Compared, Ranges
from gateway.reconciliation.document import Asked, Result
from gateway.reconciliation.reconcile import Scope, reconciled
from simulators.ebr import Store, reconcile

COUNT = 8_500
"""Two segments that are closed, and one that grows."""


class AsEbr:
    """Asks the reference EBR's own code, through the bytes of its answers, without a port between."""

    unasked = 0

    def __init__(self, store: Path) -> None:
        self._path = store / "ebr.db"

    async def streams(self) -> list[Stream]:
        return parse_streams(orjson.dumps(reconcile.streams(self._path, GATEWAY)), GATEWAY)

    async def spans(self, question: Question) -> Answer:
        return parse_spans(orjson.dumps(reconcile.spans(self._path, GATEWAY, *question)), GATEWAY, question)


@dataclass
class Both:
    """The two sides. ours: entries by seq."""

    journal: Path
    store: Path
    epoch: int
    ours: dict[int, Entry] = field(default_factory=dict)

    def copied(self, to: Path) -> Path:
        """Copy the store, with a table that takes an entry twice."""
        to.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.store / "ebr.db", to / "ebr.db")
        damage(to, "CREATE TABLE again AS SELECT * FROM entries", "DROP TABLE entries", "ALTER TABLE again RENAME TO entries",
               "CREATE INDEX by_place ON entries(gateway, epoch, seq)")  # fmt: skip
        return to

    def compared(
        self, ask: Ask, scope: Scope | None = None, through: int = COUNT, quarantine: Sequence[Quarantined] | None = None
    ) -> Result:
        asked = Asked(GATEWAY, "ebr", "a store", "all", None, (self.epoch, through))
        return asyncio.run(reconciled(self.journal, "UTC", asked, scope or Scope(), ask, quarantine))

    def by_store(self, store: Path) -> Result:
        async def compared() -> Result:
            async with of_store(store, GATEWAY) as ask:
                asked = Asked(GATEWAY, "ebr", str(store), "all", None, (self.epoch, COUNT))
                return await reconciled(self.journal, "UTC", asked, Scope(), ask)

        return asyncio.run(compared())


def both(folder: Path, count: int = COUNT) -> Both:
    """Make them: the journal was closed in order, the store holds each of its entries."""
    journal = open_journal(folder)
    journal.uplink("ebr", True)
    for start in range(0, count, 500):
        journal.append([numbered(number) for number in range(start, min(start + 500, count))], urgent=True).result()
    held = entries(journal)
    epoch = journal.opened.epoch
    journal.acknowledge("ebr", epoch, held[-1].seq, held[-1].digest)
    store = Store(folder / "ebr")
    for start in range(0, len(held), 2_000):
        store.take([entry.payload for entry in held[start : start + 2_000]])
    store.close()
    journal.close()
    return Both(folder / "journal", folder / "ebr", epoch, {entry.seq: entry for entry in held})


def damage(store: Path, *statements: str) -> None:
    """Change a store as somebody with its file can."""
    with closing(sqlite3.connect(store / "ebr.db")) as db:
        for sql in statements:
            db.execute(sql)
        db.commit()


@dataclass
class Damage:
    """What must be named of the one epoch that both know."""

    missing: set[int] = field(default_factory=set)
    different: set[int] = field(default_factory=set)
    doubled: set[int] = field(default_factory=set)
    beyond: set[int] = field(default_factory=set)
    elsewhere: set[tuple[int, int]] = field(default_factory=set)


def truth(both: Both, store: Path) -> Damage:
    """Read from the damaged store, row by row and without any tree, what is not as it was."""
    found, held = Damage(), dict[int, list[bytes]]()
    with closing(sqlite3.connect(store / "ebr.db")) as db:
        for epoch, seq, payload in db.execute("SELECT epoch, seq, payload FROM entries"):
            if epoch != both.epoch:
                found.elsewhere.add((epoch, seq))
            elif seq > max(both.ours):
                found.beyond.add(seq)
            else:
                held.setdefault(seq, []).append(payload)
    for seq, entry in both.ours.items():
        copies = held.get(seq, [])
        if not copies:
            found.missing.add(seq)
        elif len(copies) > 1:
            found.doubled.add(seq)
        elif copies[0] != entry.payload:
            found.different.add(seq)
    return found


def told(both: Both, streams: Iterable[Compared]) -> Damage:
    """Put what a comparison names in the same form."""
    found = Damage()
    for stream in streams:
        if stream.epoch != both.epoch:
            found.elsewhere |= {(stream.epoch, seq) for seq in each(stream.extra)}
            continue
        found.missing |= each(stream.missing)
        found.different |= each(stream.different)
        for seq in each(stream.extra):
            (found.beyond if seq > max(both.ours) else found.doubled).add(seq)
    return found


def each(ranges: Ranges) -> set[int]:
    return {seq for one in ranges.found for seq in range(one.first, one.last + 1)}
