"""A random table of an MES, its random history, and the SQL driver that reads it over crashes and restarts, against what was written."""

import asyncio
import random
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kit.collector import Journal, running

from config import Source
from drivers.mes_sql import MesSqlDriver

KINDS = {
    "sequence": "SELECT id, at, v FROM t WHERE id > :since ORDER BY id",
    "timestamp": "SELECT id, at, v FROM t WHERE at > :since ORDER BY at",
    "snapshot": "SELECT id, at, v FROM t",
}
ROWS = 300
"""So many rows at most: all of them are remembered, so no step of the clock of the MES may hide one."""


@dataclass
class Told:
    """What was seen of one history."""

    writes: int = 0
    steps: int = 0
    starts: int = 0
    syncs: int = 0
    versions: int = 0
    deletions: int = 0
    problems: list[str] = field(default_factory=list)


class History:
    """One table. The clock of its MES has a random grain, and is set at random."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.dice = random.Random(seed)
        self.kind = self.dice.choice(list(KINDS))
        self._grain = self.dice.choice([1, 10, 1000])
        self._clock = 10_000
        self.told = Told()
        self.rows: dict[int, int] = {}
        self.written: set[tuple[int, int]] = set()
        self.path = folder / f"mes{seed}.db"
        with closing(sqlite3.connect(self.path)) as db:
            db.executescript("PRAGMA journal_mode = WAL; CREATE TABLE t(id INTEGER PRIMARY KEY, at INTEGER, v INTEGER);")
        self._free = list(range(-20, ROWS - 20))
        column = {"sequence": "id", "timestamp": "at"}.get(self.kind)
        overlap_s = self.dice.choice([0, 0.05, 600])
        self.all_is_read_again = column is None or overlap_s == 600  # the floor does not rise meanwhile
        mark = {"kind": self.kind, **({"column": column, "overlap_s": overlap_s} if column else {})}
        options = {"poll_rows": self.dice.choice([10, 50]), "window_rows": ROWS + 10, "timeout_s": 60}
        query = {"name": "t", "sql": KINDS[self.kind], "key": "id", "watermark": mark}
        endpoint = f"sqlite+aiosqlite:///{self.path}"
        self.source = Source(
            name="mes", driver="mes_sql", endpoint=endpoint, rate_ms=5, folder=folder, options={"query": [query], **options}
        )

    def write(self) -> None:
        """One transaction of the MES: some rows come, change or go."""
        deeds = self.dice.choice([1, 1, 3, 40])
        with closing(sqlite3.connect(self.path, timeout=30)) as db, db:
            for _ in range(deeds):
                self._clock += self.dice.choice([0, 1, 7])
                if self.dice.random() < 0.03:
                    self._clock += self.dice.choice([-3_600, -90, 5_000])
                    self.told.steps += 1
                self._deed(db, self._clock // self._grain)
        self.told.writes += deeds

    def _deed(self, db: sqlite3.Connection, at: int) -> None:
        deed = self.dice.random()
        if deed < 0.55 and self._free:
            # Up to five numbers overtake each other: transactions commit late.
            key = self._free.pop(self.dice.randrange(min(5, len(self._free))))
            self.rows[key] = 0
            db.execute("INSERT INTO t VALUES (?, ?, 0)", (key, at))
        elif deed < 0.9 and self.rows:
            key = self.dice.choice(list(self.rows))
            self.rows[key] += 1
            stamp = "at" if self.dice.random() < 0.3 and self.kind != "timestamp" else "?"
            values = (self.rows[key], key) if stamp == "at" else (at, self.rows[key], key)
            db.execute(f"UPDATE t SET at = {stamp}, v = ? WHERE id = ?", values)
        elif self.rows:
            key = self.dice.choice(list(self.rows))
            del self.rows[key]
            db.execute("DELETE FROM t WHERE id = ?", (key,))
            return
        else:
            return
        self.written.add((key, self.rows[key]))

    async def play(self, rounds: int) -> Told:
        """Write, read, crash and start again; what must always hold is noted where it does not."""
        journal = Journal()
        for _ in range(rounds):
            async with running(MesSqlDriver(self.source, []), journal) as task:
                self.told.starts += 1
                journal.fail_after = self.dice.choice([None, None, 0, 1, 3])
                for _ in range(self.dice.randrange(1, 6)):
                    self.write()
                    if self.dice.random() < 0.5 and not task.done():
                        await journal.until(lambda polls=journal.polls, task=task: journal.polls > polls or task.done())
                if journal.fail_after is None and self.dice.random() < 0.6:
                    await self._is_told(journal, task)
                    self.told.syncs += 1
        journal.fail_after = None
        async with running(MesSqlDriver(self.source, []), journal) as task:
            await self._is_told(journal, task)
            await journal.polled(2)
        self._judge(journal)
        return self.told

    async def _is_told(self, journal: Journal, task: "asyncio.Task[None]") -> None:
        """Each row is told as it stands now."""
        try:
            await journal.until(lambda: task.done() or self._missing(journal) == {})
        except TimeoutError:
            self.told.problems.append(f"never told: {dict(list(self._missing(journal).items())[:5])}")
        if task.done():
            self.told.problems.append(f"the driver ended: {task.exception()!r}")

    def _missing(self, journal: Journal) -> dict[int, Any]:
        """What the newest message of a row says otherwise than its table. Of a row below the floor nothing tells that it is gone."""
        newest: dict[int, Any] = {int(m.key): None if m.change == "deleted" else m.row.get("v") for m in journal.messages}
        gone = dict.fromkeys((key for key, v in newest.items() if v is not None and key not in self.rows), "gone")
        return (gone if self.all_is_read_again else {}) | {key: v for key, v in self.rows.items() if newest.get(key) != v}

    def _judge(self, journal: Journal) -> None:
        versions = Counter((int(m.key), int(m.row["v"])) for m in journal.messages if m.change != "deleted")
        self.told.versions = len(versions)
        twice = [version for version, times in versions.items() if times > 1]
        invented = [version for version in versions if version not in self.written]
        gone = Counter(int(message.key) for message in journal.messages if message.change == "deleted")
        self.told.deletions = sum(gone.values())
        wrongly = [key for key, times in gone.items() if key in self.rows or times > 1]
        for what, which in (("told twice", twice), ("never written", invented), ("wrongly deleted", wrongly)):
            if which:
                self.told.problems.append(f"{what}: {which[:5]}")
