"""A line of records: databases and drop folders whose rows and files are as bad as they can be, in turn."""

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from kit.databases import Server, mariadb, needs, postgres
from kit.neighbours import Disturbance, Neighbours
from kit.stands import Stand
from kit.twelve_sources import DatabaseServer

from config import Tag

ORDERS = """[[source.query]]
name = "orders"
sql = "SELECT id, changed, v, lot FROM orders WHERE id > :since ORDER BY id"
key = "id"
watermark = { column = "id", kind = "sequence", overlap_s = 600 }
time = { column = "changed", zone = "Europe/Paris" }
[[source.query]]
name = "lots"
sql = "SELECT lot, n FROM lots"
key = "lot"
watermark = { kind = "snapshot" }
[[source.query]]
name = "changes"
sql = "SELECT id, changed, n FROM changes WHERE changed > :since ORDER BY changed"
key = "id"
watermark = { column = "changed", kind = "timestamp", overlap_s = 1 }
time = { column = "changed", zone = "UTC" }
"""
FOLD = "2026-10-25 02:30:00"
"""Twice on a clock in Paris."""


class Mes(Stand):
    """A MES in SQLite, whose rows are deleted, changed and spoiled, and whose tables and columns come and go."""

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(name, "mes_sql", "orders.v", "int32")
        self._path = folder / f"{name}.db"
        self._lock: sqlite3.Connection | None = None

    def tags(self) -> list[Tag]:
        cells = (("v", "orders.v", "int32"), ("lot", "orders.lot", "string"), ("n", "lots.n", "int32"), ("change", "changes.n", "int32"))
        return [Tag(tag=f"{self.name}.{name}", source=self.name, address=address, type=kind) for name, address, kind in cells]

    def run(self, *statements: str) -> None:
        with contextlib.closing(sqlite3.connect(self._path, timeout=0.2)) as one, contextlib.suppress(sqlite3.OperationalError):
            for statement in statements:
                one.execute(statement)
            one.commit()

    def doing(self, *statements: str) -> Callable[[], None]:
        return lambda: self.run(*statements)

    async def start(self) -> None:
        self.run(
            "CREATE TABLE orders(id INTEGER PRIMARY KEY, changed, v, lot)",
            "CREATE TABLE lots(lot, n)",
            "CREATE TABLE changes(id INTEGER PRIMARY KEY, changed, n)",
            "INSERT INTO lots VALUES ('A', 1), ('B', 2)",
        )

    async def stop(self) -> None:
        """Nothing runs."""

    async def move(self) -> None:
        if self._lock is None:
            self.number += 1
            n, now = self.number, datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
            self.run(
                f"INSERT INTO orders VALUES ({10 * n}, '{now}', {n}, 'L{n}')",
                f"INSERT INTO changes VALUES ({n}, '{now}', {n})",
                f"UPDATE lots SET n = {n} WHERE lot = 'A'",
            )

    def toml(self) -> str:
        more = "timeout_s = 0.4\nwindow_rows = 100\npoll_rows = 10\nclock = \"SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now')\""
        return self.section(f"sqlite+aiosqlite:///{self._path.name}", more, ORDERS)

    def disturbances(self) -> list[Disturbance]:
        do, renamed = self.doing, "ALTER TABLE {0} RENAME TO {1}".format
        numbers = "WITH RECURSIVE c(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM c WHERE value < 150) SELECT value FROM c"
        newest = "SELECT max(id) AS last FROM changes"
        many = f"INSERT INTO changes SELECT last + value, '2027-01-01 00:00:00', value FROM ({newest}), ({numbers})"
        return [
            Disturbance(
                do("DELETE FROM orders WHERE id IN (SELECT id FROM orders ORDER BY id DESC LIMIT 2)", "DELETE FROM lots WHERE lot = 'B'")
            ),
            Disturbance(
                do("UPDATE orders SET v = 'no number' WHERE id = (SELECT max(id) FROM orders)", "INSERT INTO lots VALUES ('B', 7)")
            ),
            Disturbance(do(renamed("orders", "aside")), 0.4, do(renamed("aside", "orders"))),
            Disturbance(
                do(renamed("lots", "lots_aside"), "CREATE TABLE lots(lot)"), 0.3, do("DROP TABLE lots", renamed("lots_aside", "lots"))
            ),
            Disturbance(do(f"UPDATE orders SET changed = '{FOLD}' WHERE id = (SELECT max(id) FROM orders)")),
            Disturbance(do("UPDATE orders SET changed = 'yesterday' WHERE id = (SELECT max(id) FROM orders)")),
            Disturbance(do("INSERT INTO orders SELECT max(id) - 5, changed, -1, 'late' FROM orders WHERE id % 10 = 0")),
            Disturbance(do("INSERT INTO changes SELECT max(id) + 100000, NULL, 1 FROM changes")),
            Disturbance(do(many), 0.6, do("DELETE FROM changes WHERE changed > '2026-12-31'")),
            Disturbance(self._locked, 0.9, self._unlocked),
            Disturbance(
                do("INSERT INTO lots VALUES (x'ff00', 'odd'), (NULL, 4)"), 0.3, do("DELETE FROM lots WHERE lot IS NULL OR n = 'odd'")
            ),
            Disturbance(self._away, 0.3, self._back),
        ]

    def _locked(self) -> None:
        self._lock = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        with contextlib.suppress(sqlite3.OperationalError):
            self._lock.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._lock.execute("BEGIN EXCLUSIVE")

    def _unlocked(self) -> None:
        if self._lock is not None:
            self._lock.close()
        self._lock = None

    def _away(self) -> None:
        self._path.rename(self._path.with_suffix(".aside"))

    def _back(self) -> None:
        self._path.with_suffix(".aside").replace(self._path)


class Lims(Stand):
    """A LIMS that drops files, some of which are cut, damaged, renamed, taken away, delivered again or written anew."""

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(name, "mes_file", "rows.v", "int32")
        self.path = folder / name
        self._odd = 0

    async def start(self) -> None:
        self.path.mkdir()

    async def stop(self) -> None:
        """Nothing runs."""

    async def move(self) -> None:
        if self.path.is_dir():
            self.number += 1
            self.put(f"{self.number}.csv", f"id,v\n{self.number},{self.number}\n")
            if self.number % 50 == 0:  # somebody takes away what was read long ago
                for path in sorted(self.path.iterdir(), key=lambda path: path.stat().st_mtime)[:-60]:
                    path.unlink(missing_ok=True)

    def put(self, name: str, text: str | bytes) -> None:
        part = self.path / f".{name}.part"
        part.write_bytes(text.encode() if isinstance(text, str) else text)
        part.rename(self.path / name)

    def toml(self) -> str:
        csv = '[[source.pattern]]\nname = "rows"\nglob = "[0-9]*.csv"\nformat = "csv"\nkey = "id"'
        timed = 'time = { column = "at", zone = "Europe/Paris" }'
        odd = f'[[source.pattern]]\nname = "odd"\nglob = "odd*.csv"\nformat = "csv"\nkey = "id"\n{timed}'
        named = '[[source.pattern]]\nname = "renamed"\nglob = "renamed*.jsonl"\nformat = "jsonl"\nwhole = "rename"'
        still = '[[source.pattern]]\nname = "still"\nglob = "still*.json"\nformat = "json"\nwhole = "quiet:1"'
        return self.section(
            f"file://{self.path.name}", "incomplete_s = 0.2\nledger_files = 100\nmax_file_bytes = 1024", csv, odd, named, still
        )

    def tags(self) -> list[Tag]:
        cells = (("n", "rows.v"), ("odd", "odd.v"), ("renamed", "renamed.v"), ("still", "still.v"))
        return [Tag(tag=f"{self.name}.{name}", source=self.name, address=address, type="int32") for name, address in cells]

    def disturbances(self) -> list[Disturbance]:
        return [
            Disturbance(lambda: self._one("odd{0}.csv", f"id,at,v\n{{0}},{FOLD},1\n{{0}}1,tomorrow,x\n{{0}}2,2026-05-01 10:00,5\n")),
            Disturbance(lambda: self.put("odd.csv", b"\x00\xff\xfe no table\n" * 5), 0.3, lambda: self._without("odd.csv")),
            Disturbance(lambda: self._one("odd{0}.csv", "id,at,v\n1,2026-05-01 10:00,{0}"), 0.7),
            Disturbance(self._again),
            Disturbance(self._anew),
            Disturbance(lambda: self._one("what{0}.txt", "nobody reads this"), 0.3),
            Disturbance(self._grown, 0.8),
            Disturbance(self._taken_away, 0.5),
            Disturbance(lambda: self._one("still{0}.json", '[{{"v": {0}}}]'), 0.5),
            Disturbance(lambda: self._one("odd{0}.csv", "id,at,v\n" + "1,2026-05-01 10:00,1\n" * 100)),
            Disturbance(lambda: os.mkfifo(self.path / "7777.csv"), 0.4, lambda: self._without("7777.csv")),
            Disturbance(
                lambda: self.path.rename(self.path.with_suffix(".aside")), 0.3, lambda: self.path.with_suffix(".aside").rename(self.path)
            ),
        ]

    def _one(self, name: str, text: str) -> None:
        self._odd += 1
        self.put(name.format(self._odd), text.format(self._odd))

    def _without(self, name: str) -> None:
        (self.path / name).unlink(missing_ok=True)

    def _again(self) -> None:
        self.put(f"{1_000_000 + self.number}.csv", (self.path / f"{self.number}.csv").read_bytes())

    async def _anew(self) -> None:
        name = f"{2_000_000 + self.number}.csv"
        self.put(name, f"id,v\n{name[:-4]},1\n5,1\n")
        await asyncio.sleep(0.8)
        self.put(name, f"id,v\n{name[:-4]},2\n6,1\n")

    async def _grown(self) -> None:
        self._odd += 1
        path = self.path / f"renamed{self._odd}.jsonl"
        for number in range(4):
            with path.open("a") as out:
                out.write(f'{{"v": {number}}}\n')
            await asyncio.sleep(0.12)

    async def _taken_away(self) -> None:
        """It stood there too short a time to be read, but was seen."""
        for number in range(6):
            self._one("still{0}.json", f'[{{{{"v": {number}}}}}]')
            await asyncio.sleep(0.15)
        for path in self.path.glob("still*.json"):
            path.unlink(missing_ok=True)


class Slow(DatabaseServer):
    """A database server whose statements hang, because somebody holds its table."""

    def toml(self) -> str:
        return super().toml().replace("timeout_s = 2.0", "timeout_s = 1.5")

    def disturbances(self) -> list[Disturbance]:
        ways = [Disturbance(begin, 0.7, end) for begin, end in self.ways.values()]
        return [*ways, Disturbance(self._held, 0.3)]

    async def _held(self) -> None:
        table = f"rows_{self.name}"
        lock = f"LOCK TABLE {table} WRITE; SELECT SLEEP(2.5); UNLOCK TABLES;"
        if self.name == "postgres":
            lock = f"BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(2.5); COMMIT;"
        await asyncio.to_thread(self._run, lock)


class Records(Neighbours):
    """A MES, a LIMS, and where they are installed a PostgreSQL and a MariaDB."""

    NAME = "records"
    CYCLE_S = 9.0

    def made(self) -> list[Stand]:
        self._troubled: list[Mes | Lims | Slow] = [Mes("mes", self.folder), Lims("lims", self.folder)]
        for name, driver, server in (("postgres", "asyncpg", postgres), ("mariadb", "aiomysql", mariadb)):
            with contextlib.suppress(pytest.skip.Exception):
                needs(driver)
                self._troubled.append(Slow(name, self.folder, self._server(server), driver))
        return list(self._troubled)

    def _server(self, server: Callable[[Path], contextlib.AbstractContextManager[Server]]) -> Server:
        return self.stack.enter_context(server(self.root))  # its own: others of this kind run beside it

    def disturbances(self) -> Sequence[Sequence[Disturbance]]:
        return [stand.disturbances() for stand in self._troubled]
