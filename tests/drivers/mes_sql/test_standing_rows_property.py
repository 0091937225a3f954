"""Random tables, and power cuts that tear the last commit: no state of a row is lost, none stands twice, and what is gone is told.

What a salvage makes of a torn commit is modelled by `Facts`: of each key of the watermark the version of that commit, or the one before;
keys that it removed come back, those removed before it may; and the rows of the commit stand, or are gone with all of its keys.

Where a table is `troubled`, rows of it can not be read for a while after the cut, some of them not even their keys, statements fail, and a
statement misses rows, as in a database of which one statement does not see one state.
"""

import random
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing
from itertools import chain, combinations
from pathlib import Path
from typing import Any

import orjson
import pytest
from kit import mes_sql
from kit.collector import Journal, running

from drivers.contract import BadReply, Message
from drivers.mes_sql import MesSqlDriver
from drivers.mes_sql.database import Session
from drivers.restored_rows import MARK, UNSURE, Told, merged, row_mark

KINDS = {
    "sequence": ("SELECT id, k, v FROM t WHERE id > :since ORDER BY id", {"kind": "sequence", "column": "id", "overlap_s": 600}),
    "snapshot": ("SELECT id, k, v FROM t", {"kind": "snapshot"}),
}
LOW = (KINDS["sequence"][0], {"kind": "sequence", "column": "id", "overlap_s": 0})
"""Most rows are below the floor at once: there only a look from the base finds them, and does not tell that one of them is gone."""
BESIDE = {"name": "beside", "sql": "SELECT 1 AS id", "key": "id", "watermark": {"kind": "snapshot"}}
"""A query that always works: one of several that fails stops itself alone."""
State = tuple[str, Any]
"""(key, value of the row; None: deleted)"""


class Facts:
    """A watermark as a journal keeps it: each key with the commit that wrote it, and all that was ever written."""

    def __init__(self) -> None:
        self.versions: dict[str, list[tuple[int, Any]]] = {}
        self.commit = 0

    def write(self, changes: dict[str, Any]) -> None:
        self.commit += 1
        for key, value in changes.items():
            if value != self.now().get(key):
                self.versions.setdefault(key, []).append((self.commit, value))

    def now(self) -> dict[str, Any]:
        return {key: its[-1][1] for key, its in self.versions.items() if its and its[-1][1] is not None}

    def last(self) -> list[str]:
        """The keys that the last commit wrote."""
        return [key for key, its in self.versions.items() if its and its[-1][0] == self.commit]

    def tear(self, torn: set[str], back: set[str]) -> int:
        """Lose these keys of the last commit, find removed ones again; return the commit through which the watermark certainly counts."""
        for key, its in self.versions.items():
            if key in torn or its[-1:] == [(self.commit, None)]:
                its.pop()
            while key in back and its and its[-1][1] is None:
                its.pop()
        found = sorted({its[-1][0] for its in self.versions.values() if its and its[-1][1] is not None})
        return [0, 0, *found][-2]


class Recorded(Journal):
    """Keeps which commit each row stands in."""

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts.now())
        self.facts, self.rows = facts, list[tuple[int, Message]]()

    def __call__(self, readings: Any, *, messages: Any = (), watermark: Any = None, **how: Any) -> Awaitable[None]:
        done = super().__call__(readings, messages=messages, watermark=watermark, **how)
        if watermark:
            self.facts.write(orjson.loads(orjson.dumps(watermark)))
        self.rows += [(self.facts.commit, message) for message in messages]
        return done


class Story:
    """A table, a gateway that is cut off, and all that its journal holds."""

    def __init__(self, folder: Path, seed: int, kind: str, *beside: dict[str, Any]) -> None:
        self.dice = random.Random(seed)
        sql, mark = {**KINDS, "below": LOW}[kind]
        query = {"name": "t", "sql": sql, "key": "k", "watermark": mark}
        self.source = mes_sql.source(folder, (query, *beside), poll_rows=self.dice.choice([10, 100])).model_copy(update={"rate_ms": 1})
        self.path = folder / "mes.db"
        with closing(sqlite3.connect(self.path)) as db:
            db.executescript("PRAGMA journal_mode = WAL; CREATE TABLE t(id INTEGER PRIMARY KEY, k TEXT, v INTEGER);")
        self.held: list[tuple[int, Message]] = []
        self.facts = Facts()

    def write(self, times: int) -> None:
        with closing(sqlite3.connect(self.path)) as db, db:
            for _ in range(times):
                key, value = self.dice.randrange(40), self.dice.randrange(3)
                if self.dice.random() < 0.3:
                    db.execute("DELETE FROM t WHERE id = ?", (key,))
                else:
                    db.execute("INSERT INTO t VALUES(?, ?, ?) ON CONFLICT DO UPDATE SET v = excluded.v", (key, str(key), value))

    def spoil(self) -> None:
        """Some rows can not be read; of some not even the key. What they held is kept, for `mend`."""
        with closing(sqlite3.connect(self.path)) as db, db:
            db.execute("CREATE TABLE spoilt AS SELECT * FROM t")
            for (key,) in db.execute("SELECT id FROM t").fetchall():
                if self.dice.random() < 0.4:
                    db.execute("UPDATE t SET v = CAST(x'ff00fe' AS TEXT) WHERE id = ?", (key,))
            if self.dice.random() < 0.3:
                db.execute("UPDATE t SET k = NULL WHERE id IN (SELECT id FROM t ORDER BY random() LIMIT 1)")

    def keep(self) -> None:
        """Keep the table as it is, for `revert`."""
        with closing(sqlite3.connect(self.path)) as db:
            db.executescript("DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT * FROM t")

    def revert(self) -> None:
        """Rows are as they were before what the torn commit told: the watermark knows them so, and the journal does not."""
        with closing(sqlite3.connect(self.path)) as db:
            db.executescript("DELETE FROM t; INSERT INTO t SELECT * FROM kept")

    def mend(self) -> None:
        with closing(sqlite3.connect(self.path)) as db, db:
            db.execute("CREATE TABLE IF NOT EXISTS spoilt AS SELECT * FROM t")
            db.execute("INSERT OR REPLACE INTO t SELECT s.* FROM spoilt s JOIN t USING (id) WHERE t.k IS NULL OR typeof(t.v) = 'text'")
            db.execute("DROP TABLE spoilt")

    def table(self) -> dict[str, int]:
        with closing(sqlite3.connect(self.path)) as db:
            return {str(key): value for key, value in db.execute("SELECT k, v FROM t")}

    def states(self) -> list[State]:
        return [(message.key, None if message.change == "deleted" else message.row["v"]) for _, message in self.held if message.name == "t"]

    def standing(self) -> dict[str, Any]:
        return {key: value for key, value in dict(self.states()).items() if value is not None}

    def twice(self) -> list[State]:
        told: dict[str, Any] = {}
        return [(key, value) for key, value in self.states() if told.get(key, UNSURE) == value or told.update({key: value})]

    async def run(self, writes: int, *, spoilt: bool = False) -> None:
        journal = Recorded(self.facts)
        async with running(MesSqlDriver(self.source, []), journal):
            if spoilt:
                await journal.polled(self.dice.choice([2, 3, 5]))
                self.mend()
            for _ in range(writes):
                self.write(self.dice.randrange(12))
                await journal.polled(self.dice.choice([1, 2, 4]))
            await journal.polled(6)
        self.held += journal.rows

    def cut(self, torn: set[str], back: set[str], *, unsure: bool, is_whole: bool = True, most: int = 1_000) -> None:
        """The power goes in the last commit; the next start takes over what stands behind the watermark, of so many rows."""
        last = self.facts.commit
        if not is_whole:
            self.held = [(commit, message) for commit, message in self.held if commit < last]
        counted = self.facts.tear(torn if is_whole else set(self.facts.last()), back)
        tail: dict[str, Told] = {}
        for message in (message for commit, message in self.held if commit > counted and message.name == "t"):
            is_gone = message.change == "deleted"
            key, row = row_mark(message.key, None if is_gone else dict(message.row))
            tail.pop(key, None)
            proved = is_gone or not unsure or self.dice.random() < 0.7
            tail[key] = Told(message.key, row if proved else UNSURE, message.order)
        if tail:
            kept = dict(list(tail.items())[-most:])
            known = merged(self.facts.now(), {"t": kept}, {"t": 1}, {"t"} if len(tail) > most else ())
            self.facts.write({MARK: orjson.loads(orjson.dumps(known))})

    def rot(self) -> None:
        """Beside a torn commit a disk lost what had been whole for long: a piece of the watermark."""
        pieces = [key for key in self.facts.now() if key.startswith("t/")]
        for key in pieces[: self.dice.randrange(2)]:
            self.facts.versions[key] = []

    def cut_somehow(self, *, unsure: bool, most: int = 1_000) -> None:
        torn = {key for key in self.facts.last() if self.dice.random() < 0.5}
        back = {key for key in self.facts.versions if self.dice.random() < 0.5}
        self.cut(torn, back, unsure=unsure, is_whole=self.dice.random() < 0.8, most=most)


@pytest.mark.urs("URS-DAQ-04", "URS-DAQ-11", "URS-BUF-07")
@pytest.mark.parametrize("unsure", [False, True], ids=["all proved", "parts of lists unproved"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(6))
async def test_after_power_cuts_the_journal_says_of_each_row_what_the_table_says_and_says_it_once(
    tmp_path: Path, seed: int, kind: str, unsure: bool
) -> None:
    story = Story(tmp_path, seed, kind)
    story.write(12)
    for _ in range(6):
        await story.run(story.dice.randrange(1, 4))
        assert story.standing() == story.table()
        story.cut_somehow(unsure=unsure)
        story.write(story.dice.choice([0, 3, 30]))
    assert unsure or story.twice() == []


class Trouble:
    """Statements on the table that fail, or that miss rows. A row is missed once, and is there the next time: so one state may look."""

    def __init__(self, dice: random.Random, *, misses: bool) -> None:
        self._dice, self._misses = dice, misses
        self._missed = set[Any]()
        self._failed = self.is_over = False
        self._real = Session.rows

    def patch(self) -> Callable[..., AsyncIterator[list[Any]]]:
        """What stands in place of `Session.rows`."""

        def rows(session: Session, sql: str, *how: Any) -> AsyncIterator[list[Any]]:
            return self.rows(session, sql, *how)

        return rows

    async def rows(self, session: Session, sql: str, *how: Any) -> AsyncIterator[list[Any]]:
        is_ours = sql.startswith("SELECT id, k, v FROM t") and not self.is_over
        self._failed = is_ours and not self._failed and self._dice.random() < 0.5
        if self._failed:
            raise BadReply("lock timeout")
        missed, self._missed = self._missed, set()
        async for piece in self._real(session, sql, *how):
            if is_ours and self._misses:
                self._missed |= {row["id"] for row in piece if row["id"] not in missed and self._dice.random() < 0.5}
            yield [row for row in piece if row.get("id") not in self._missed]


@pytest.mark.urs("URS-DAQ-04", "URS-DAQ-11", "URS-BUF-07")
@pytest.mark.parametrize("misses", [False, True], ids=["one state", "rows missed"])
@pytest.mark.parametrize("kind", [*KINDS, "below"])
@pytest.mark.parametrize("seed", range(6))
async def test_rows_that_the_first_looks_can_not_read_or_do_not_show_are_told_when_they_can_be_read(
    tmp_path: Path, seed: int, kind: str, misses: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.mes_sql.failing.FAILED_WAIT_S", (0.0, 0.0))
    monkeypatch.setattr("drivers.mes_sql.reader.BELOW_ROWS_PER_S", 1)  # so what is not read from the base at once is not read from it here
    if misses:
        monkeypatch.setattr("drivers.mes_sql.dialects.SNAPSHOTS", frozenset())
    story = Story(tmp_path, seed, kind, BESIDE)
    trouble = Trouble(story.dice, misses=misses)
    monkeypatch.setattr(Session, "rows", trouble.patch())
    story.write(12)
    trouble.is_over = True
    await story.run(0)
    for _ in range(6):
        story.keep()
        await story.run(1)
        story.cut_somehow(unsure=False)
        story.revert() if story.dice.random() < 0.7 else story.write(story.dice.choice([0, 3, 30]))
        if story.dice.random() < 0.7 or not misses:
            story.spoil()
        trouble.is_over = False
        await story.run(0, spoilt=True)
        trouble.is_over = True
        await story.run(0)
        told = story.standing()
        assert {key: told.get(key) for key in story.table()} == story.table()
        assert kind == "below" or told == story.table()


@pytest.mark.urs("URS-DAQ-04", "URS-DAQ-11")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(6))
async def test_of_a_query_that_told_more_rows_than_are_taken_over_no_state_of_one_is_lost(tmp_path: Path, seed: int, kind: str) -> None:
    story = Story(tmp_path, seed, kind)
    for _ in range(6):
        story.keep()
        story.write(20)
        await story.run(0)
        told = dict(story.states())
        assert {key: told.get(key) for key in story.table()} == story.table()
        story.cut_somehow(unsure=False, most=2)
        story.revert() if story.dice.random() < 0.7 else story.write(3)


@pytest.mark.urs("URS-DAQ-04", "URS-DAQ-11", "URS-BUF-07")
@pytest.mark.parametrize("kind", KINDS)
async def test_the_end_of_a_row_that_only_the_very_first_commit_knew_is_told(tmp_path: Path, kind: str) -> None:
    story = Story(tmp_path, 1, kind)
    with closing(sqlite3.connect(story.path)) as db:
        db.executescript("INSERT INTO t VALUES(1, '1', 0), (2, '2', 0)")
    await story.run(0)
    story.cut(set(story.facts.last()), set(), unsure=False)
    assert list(story.facts.now()) == [MARK]
    with closing(sqlite3.connect(story.path)) as db:
        db.executescript("DELETE FROM t WHERE id = 2")
    await story.run(0)
    assert story.states() == [("1", 0), ("2", 0), ("2", None)]


@pytest.mark.urs("URS-DAQ-04", "URS-DAQ-11")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
async def test_where_pieces_of_a_watermark_are_gone_a_row_may_be_told_twice_and_no_state_of_one_is_lost(
    tmp_path: Path, seed: int, kind: str
) -> None:
    story = Story(tmp_path, seed, kind)
    for _ in range(6):
        await story.run(story.dice.randrange(1, 4))
        told = dict(story.states())
        assert {key: told.get(key) for key in story.table()} == story.table()
        story.cut_somehow(unsure=False)
        story.rot()
        story.write(story.dice.choice([0, 3, 30]))


def subsets(keys: list[str]) -> Iterator[set[str]]:
    return map(set, chain.from_iterable(combinations(keys, count) for count in range(len(keys) + 1)))


@pytest.mark.urs("URS-DAQ-04", "URS-DAQ-11", "URS-BUF-07")
@pytest.mark.parametrize("kind", KINDS)
async def test_whatever_keys_of_a_commit_are_torn_its_rows_stand_once(tmp_path: Path, kind: str) -> None:
    """A row changed there and back, one deleted, one new: in the torn commit, and again before the gateway reads on."""
    number = 0
    while True:
        folder = tmp_path / str(number)
        folder.mkdir()
        story = Story(folder, 1, kind)
        with closing(sqlite3.connect(story.path)) as db:
            steps = [
                "INSERT INTO t VALUES(1, '1', 0), (2, '2', 0), (3, '3', 0), (4, '4', 0)",
                "UPDATE t SET v = 1 WHERE id = 1",
                "UPDATE t SET v = 0 WHERE id = 1; INSERT INTO t VALUES(5, '5', 0), (6, '6', 0); UPDATE t SET v = 7 WHERE id = 2",
            ]
            for step in steps:
                db.executescript(step)
                await story.run(0)
        tears = list(subsets(story.facts.last()))
        if number == len(tears):
            break
        story.cut(tears[number], set(story.facts.versions), unsure=False)
        with closing(sqlite3.connect(story.path)) as db:
            db.executescript("UPDATE t SET v = 1 WHERE id = 1; DELETE FROM t WHERE id IN (3, 6); UPDATE t SET v = 0 WHERE id = 2")
        await story.run(0)
        assert story.standing() == story.table() == {"1": 1, "2": 0, "4": 0, "5": 0}
        assert story.twice() == []
        number += 1
    assert number >= 4, "a commit of several keys"
