"""SQL in what a row holds, and statements that write: nothing but a SELECT with parameters reaches a database."""

from operator import methodcaller

import pytest
from kit.collector import Journal, running
from kit.mes_sql import NOON, QUERY, TAGS, served, source

from drivers.mes_sql import MesSqlDriver
from drivers.mes_sql.database import Database, StatementFailed
from drivers.mes_sql.reader import Reader
from drivers.mes_sql.worker import Worker


@pytest.fixture
async def mes(tmp_path):
    async with served(source(tmp_path), TAGS) as device:
        yield device


@pytest.mark.bar("S14")
async def test_what_a_row_holds_is_a_parameter_whatever_it_says(mes, tmp_path, monkeypatch):
    """The watermark of a row goes into the next statement: as a parameter, never as text of it."""
    said = ["x'; DROP TABLE v_orders; --", "' OR '1'='1", ":since", "%s", 'y"; DELETE FROM orders', "?"]
    evil = [f"{number:02}{said[number % len(said)]}" for number in range(42)]
    sql = "SELECT id, changed_at, batch_no FROM v_orders WHERE batch_no > :since ORDER BY batch_no"
    query = QUERY | {"key": "batch_no", "sql": sql, "watermark": {"column": "batch_no", "kind": "sequence", "overlap_s": 600}}
    for number, text in enumerate(evil, 1):
        await mes.insert("orders", {"id": number, "batch_no": text}, NOON)
    asked: list[object] = []
    real = Reader.asked

    def noted(self, since, most):
        asked.append(since)
        return real(self, since, most)

    monkeypatch.setattr(Reader, "asked", noted)
    journal = Journal()
    async with running(MesSqlDriver(source(tmp_path, [query], poll_rows=10), TAGS), journal):
        await journal.until(lambda: len(journal.messages) == len(evil))
        await journal.polled(3)
    assert len(set(asked) & set(evil)) >= 3, "read in pieces, each from the row before it"
    assert [(m.key, m.row["batch_no"]) for m in journal.messages] == [(text, text) for text in evil]
    assert journal.findings == []


@pytest.mark.bar("S14")
@pytest.mark.urs("URS-DAQ-02", "URS-DAQ-04")
async def test_the_connection_can_not_write(mes, tmp_path, figures):
    """Whatever passes the fence meets a connection that refuses to write."""
    driver = MesSqlDriver(source(tmp_path), TAGS)
    database = Database(driver.source, driver.settings, None, Worker("test"))
    before = (tmp_path / "mes.db").read_bytes()
    refused = 0
    for sql in (
        "DELETE FROM v_orders",
        "INSERT INTO v_orders(id) VALUES (9)",
        "CREATE TABLE x(a)",
        "DROP TABLE v_orders",
        "UPDATE v_orders SET id=2",
    ):
        with pytest.raises(StatementFailed, match=r"readonly|query_only|read-only"):
            async with database.reading() as connection:
                await connection.ask(methodcaller("exec_driver_sql", sql))
        refused += 1
    await database.close()
    figures("SQL", f"{refused} of 5 writing statements refused by the connection itself, writes 0")
    assert refused == 5
    assert (tmp_path / "mes.db").read_bytes() == before
