"""Rows whose place in the order goes back: what is missing above the floor may lie below it, and is not gone for that."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from kit.collector import Journal, running

from config import Source
from drivers.mes_sql import MesSqlDriver, reader

QUERY = {
    "name": "t",
    "sql": "SELECT id, at, v FROM t WHERE at > :since ORDER BY at",
    "key": "id",
    "watermark": {"kind": "timestamp", "column": "at", "overlap_s": 0},
}


def table(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / "mes.db", timeout=30)) as db, db:
        for one in statements:
            db.execute(one)


def source(folder: Path) -> Source:
    endpoint = f"sqlite+aiosqlite:///{folder / 'mes.db'}"
    return Source(name="mes", driver="mes_sql", endpoint=endpoint, rate_ms=5, folder=folder, options={"query": [QUERY], "timeout_s": 60})


async def read_below(folder: Path, journal: Journal) -> None:
    """Rows 1 to 9, the floor above the first of them; a look at those below it is not due for hours."""
    for number in range(1, 10):
        table(folder, f"INSERT INTO t VALUES ({number}, {10 * number}, 0)")
        await journal.until(lambda seen=number: len(journal.messages) == seen)
        await journal.polled(2)
    assert journal.watermark["t"]["floor"] >= 30


@pytest.fixture
def seldom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table whose rows below the floor are looked at once in hours, unless something is missing above it."""
    monkeypatch.setattr(reader, "BELOW_ROWS_PER_S", 0.0001)
    monkeypatch.setattr(reader, "MISSED_S", 0.0)
    table(tmp_path, "PRAGMA journal_mode = WAL", "CREATE TABLE t(id INTEGER PRIMARY KEY, at INTEGER, v INTEGER)")
    return tmp_path


@pytest.mark.urs("URS-DAQ-04")
async def test_a_row_that_is_stamped_below_the_floor_is_changed_and_was_never_gone(seldom: Path) -> None:
    journal = Journal()
    async with running(MesSqlDriver(source(seldom), []), journal):
        await read_below(seldom, journal)
        table(seldom, "UPDATE t SET at = 5, v = 1 WHERE id = 9")
        await journal.until(lambda: len(journal.messages) == 10)
        await journal.polled(5)
    assert [(message.key, message.change) for message in journal.messages[9:]] == [("9", "changed")]


@pytest.mark.urs("URS-DAQ-04")
async def test_a_row_that_is_gone_is_told_before_the_floor_passes_its_place(seldom: Path) -> None:
    journal = Journal()
    async with running(MesSqlDriver(source(seldom), []), journal):
        await read_below(seldom, journal)
        table(seldom, "DELETE FROM t WHERE id = 9", "INSERT INTO t VALUES (10, 100, 0)", "INSERT INTO t VALUES (11, 110, 0)")
        await journal.until(lambda: len(journal.messages) == 12)
        await journal.polled(5)
    told = sorted((message.key, message.change) for message in journal.messages[9:])
    assert told == [("10", "new"), ("11", "new"), ("9", "deleted")]
