"""One bad row, time, value, column or query stops itself alone, and is told once."""

import asyncio
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kit.collector import Journal, running
from kit.mes_sql import source
from kit.processes import DEADLINE_S

from config import Tag
from drivers.contract import BAD_DECODING, GOOD, LinkLost
from drivers.mes_sql import MesSqlDriver
from drivers.mes_sql.worker import Worker


def made(folder: Path, script: str) -> None:
    with closing(sqlite3.connect(folder / "mes.db")) as db:
        db.executescript(script)


def query(name: str = "orders", **more: Any) -> dict[str, Any]:
    mark = {"column": "id", "kind": "sequence"}
    return {"name": name, "sql": f"SELECT id, at, batch FROM {name} WHERE id > :since ORDER BY id", "key": "id", "watermark": mark, **more}


async def read(folder: Path, script: str, rows: int, *queries: dict[str, Any], tags: tuple[Tag, ...] = (), **more: Any) -> Journal:
    """What is told of these tables after three polls that follow the last row."""
    made(folder, script)
    journal = Journal()
    async with running(MesSqlDriver(source(folder, queries or [query()], **more), tags), journal) as task:
        await journal.until(lambda: len(journal.messages) >= rows or task.done())
        assert not task.done(), task.exception()
        await journal.polled(3)
    assert len(journal.messages) == rows
    return journal


ORDERS = "CREATE TABLE orders(id INTEGER PRIMARY KEY, at TEXT, batch TEXT);"


@pytest.mark.urs("URS-TIME-11")
async def test_a_time_that_is_none_leaves_its_row_without_one(tmp_path):
    times = ["2026-11-29 10:00:00", "not yet", "0000-00-00 00:00:00", "9999-12-31 23:59:59", "infinity"]
    rows = ", ".join(f"({at}, '{text}', 'B')" for at, text in enumerate(times))
    one = query(time={"column": "at", "zone": "America/New_York"})
    journal = await read(tmp_path, f"{ORDERS} INSERT INTO orders VALUES {rows};", 5, one)
    assert [message.ticks is not None for message in journal.messages] == [True, False, False, False, False]
    assert journal.codes == ["time-unreadable"] * 4
    assert [message.row["at"] for message in journal.messages] == times, "the text stays"


@pytest.mark.urs("URS-SEC-09")
async def test_a_byte_of_another_encoding_refuses_its_row_until_the_encoding_is_declared(tmp_path):
    script = f"{ORDERS} INSERT INTO orders VALUES (1, '', 'B1'), (2, '', CAST(X'4241C452' AS TEXT)), (3, '', 'B3');"
    journal = await read(tmp_path, script, 2)
    assert [message.key for message in journal.messages] == ["1", "3"]
    assert [(finding.code, finding.severity) for finding in journal.findings] == [("row-refused", "alarm")], "once, not at each poll"
    assert "42 41 c4 52" in journal.findings[0].text
    declared = await read(tmp_path, "", 3, encoding="cp1252")
    assert [message.row["batch"] for message in declared.messages] == ["B1", "BAÄR", "B3"]


@pytest.mark.urs("URS-DAQ-04")
async def test_rows_without_a_place_in_the_order_are_counted_and_told_once(tmp_path):
    script = (
        "CREATE TABLE orders(id INTEGER, at TEXT, batch TEXT); INSERT INTO orders VALUES (1, '', 'B1'), (NULL, '', 'B2'), (NULL, '', 'B3');"
    )
    journal = await read(tmp_path, script, 1)
    assert [(finding.code, finding.severity, finding.evidence["rows"]) for finding in journal.findings] == [("rows-never-read", "alarm", 2)]


async def test_a_refused_row_is_read_when_it_was_mended_and_is_not_told_as_deleted(tmp_path):
    made(tmp_path, f"{ORDERS} INSERT INTO orders VALUES (1, '', 'B1');")
    journal = Journal()
    async with running(MesSqlDriver(source(tmp_path, [query()]), []), journal):
        await journal.until(lambda: journal.messages)
        made(tmp_path, "UPDATE orders SET batch = CAST(X'C4' AS TEXT);")
        await journal.until(lambda: journal.findings)
        await journal.polled(3)
        made(tmp_path, "UPDATE orders SET batch = 'B2';")
        await journal.until(lambda: len(journal.messages) > 1)
    assert [(message.change, message.row["batch"]) for message in journal.messages] == [("new", "B1"), ("changed", "B2")]


async def test_a_value_among_others_of_another_type_is_refused_where_it_is_the_order(tmp_path):
    script = (
        "CREATE TABLE orders(id, at TEXT, batch TEXT); INSERT INTO orders VALUES (1, '', 'a'), ('x', '', 'b'), (2, '', 'c'), (-5, '', 'd');"
    )
    journal = await read(tmp_path, script, 3)
    assert [message.key for message in journal.messages] == ["-5", "1", "2"], "numbers below zero too"
    assert journal.codes == ["row-refused"]


@pytest.mark.urs("URS-DAQ-11")
async def test_a_query_that_fails_is_alarmed_and_the_others_go_on_until_it_works_again(tmp_path, monkeypatch):
    monkeypatch.setattr("drivers.mes_sql.failing.FAILED_WAIT_S", (0.0, 0.0))
    tags = (
        Tag(tag="lot", source="mes", address="lots.batch", type="string"),
        Tag(tag="b", source="mes", address="orders.batch", type="string"),
    )
    made(tmp_path, f"{ORDERS} INSERT INTO orders VALUES (1, '', 'B1');")
    journal = Journal()
    async with running(MesSqlDriver(source(tmp_path, [query("lots"), query()]), tags), journal):
        await journal.until(lambda: journal.messages)
        await journal.polled(3)
        assert (journal.codes, journal.alive) == (["query-failed"], 1)
        assert [(loss.cause, loss.tags) for loss in journal.losses] == [("query-failed", (0,))]
        made(tmp_path, "CREATE TABLE lots(id INTEGER PRIMARY KEY, at TEXT, batch TEXT); INSERT INTO lots VALUES (1, '', 'L1');")
        await journal.until(lambda: len(journal.messages) > 1)
        await journal.polled(2)
    assert (journal.codes, journal.alive) == (["query-failed", "query-failed-over"], 2)
    assert ((0,), 1) in journal.resumed, "what came meanwhile is read: its gap is filled"


async def test_a_source_of_which_no_query_can_be_read_is_lost(tmp_path):
    made(tmp_path, "CREATE TABLE other(a);")
    journal = Journal()
    async with running(MesSqlDriver(source(tmp_path, [query("lots"), query()]), []), journal) as task:
        await journal.until(task.done)
    assert isinstance(task.exception(), LinkLost)


@pytest.mark.urs("URS-MAP-02")
async def test_a_tag_of_a_column_that_is_not_there_is_an_error_of_check_and_never_null_for_ever(tmp_path):
    good, bad = (Tag(tag=name, source="mes", address=f"orders.{name}", type="string") for name in ("batch", "batch_no"))
    (problem,) = MesSqlDriver.check(source(tmp_path, [query()]), [good, bad])
    assert "gives no column 'batch_no', did you mean `batch`?" in problem.message
    every = query(sql="SELECT * FROM orders WHERE id > :since ORDER BY id")
    assert MesSqlDriver.check(source(tmp_path, [every]), [good, bad]) == [], "the database alone knows"
    journal = await read(tmp_path, f"{ORDERS} INSERT INTO orders VALUES (1, '', 'B1');", 1, every, tags=(good, bad))
    assert [reading[:3] for reading in journal.readings] == [(0, "B1", GOOD)]
    assert (journal.codes, journal.alive) == (["column-missing"], 1)
    assert [(loss.cause, loss.tags) for loss in journal.losses] == [("column-missing", (1,))]
    probe = await MesSqlDriver(source(tmp_path, [every]), [good, bad]).probe()
    assert any("!! batch_no" in line for line in probe.lines())


async def test_a_value_that_a_tag_can_not_hold_is_bad_and_the_reason_is_told_once(tmp_path):
    tag = Tag(tag="n", source="mes", address="orders.batch", type="decimal")
    journal = await read(tmp_path, f"{ORDERS} INSERT INTO orders VALUES (1, '', '1_000'), (2, '', '12,5'), (3, '', '7');", 3, tags=(tag,))
    assert [reading[2] for reading in journal.readings] == [BAD_DECODING, BAD_DECODING, GOOD]
    assert journal.codes == ["value-unreadable"]
    comma = await read(tmp_path, "", 3, query(decimal=","), tags=(tag,))
    assert [str(reading[1]) for reading in comma.readings] == ["None", "12.5", "7"]


async def test_two_columns_of_one_name_are_no_row(tmp_path):
    made(tmp_path, f"{ORDERS} INSERT INTO orders VALUES (1, '', 'B1');")
    joined = query(sql="SELECT o.*, p.batch FROM orders o JOIN orders p ON o.id = p.id WHERE o.id > :since ORDER BY o.id")
    journal = Journal()
    async with running(MesSqlDriver(source(tmp_path, [joined]), []), journal) as task:
        await journal.until(task.done)
    assert "more than one column is named batch" in str(task.exception())


@pytest.mark.urs("URS-DAQ-04")
async def test_rows_that_come_where_nothing_is_remembered_are_counted_and_alarmed(tmp_path):
    rows = ", ".join(f"({number}, '2026-11-29', 'B')" for number in range(1000, 1500))
    made(tmp_path, f"{ORDERS} INSERT INTO orders VALUES {rows};")
    journal = Journal()
    small = source(tmp_path, [query()], window_rows=100, count_every_s=60)
    async with running(MesSqlDriver(small, []), journal):
        await journal.until(lambda: len(journal.messages) == 500 and journal.watermark["orders"]["base"] is not None)
        made(tmp_path, "INSERT INTO orders VALUES (1500, '', 'B');")
        await journal.until(lambda: journal.watermark["orders"]["counted"] != {} and len(journal.messages) == 501)
    assert journal.watermark["orders"]["counted"]["rows"] > 0
    made(tmp_path, "INSERT INTO orders VALUES (1, '', 'late'), (2, '', 'late');")
    due = {**journal.watermark["orders"]["counted"], "at_s": -1e9}
    again = Journal({**journal.watermark, "orders": {**journal.watermark["orders"], "counted": due}})
    async with running(MesSqlDriver(small, []), again):
        await again.until(lambda: again.findings)
        await again.polled(2)
    assert [(finding.code, finding.severity, finding.evidence["rows"]) for finding in again.findings] == [("rows-below-floor", "alarm", 2)]


async def test_a_driver_that_can_not_be_awaited_runs_in_a_thread_and_one_that_hangs_is_not_asked_again(tmp_path):
    made(tmp_path, f"{ORDERS} INSERT INTO orders VALUES (1, '', 'B1');")
    journal = Journal()
    one = source(tmp_path, [query()]).model_copy(update={"endpoint": "sqlite:///mes.db"})
    driver = MesSqlDriver(one, [])
    async with running(driver, journal):
        await journal.until(lambda: journal.messages)
    assert [message.key for message in journal.messages] == ["1"]
    go_on = threading.Event()
    stuck = driver._worker.post(go_on.wait)
    again = Journal()
    async with running(driver, again) as task:
        await again.until(task.done)
    assert "has not ended yet" in str(task.exception())
    go_on.set()
    await stuck
    await driver._worker.idle()  # what the refused run asked for comes after it
    async with running(driver, again):
        await again.until(lambda: again.messages)


def test_a_source_that_is_stopped_at_any_moment_of_a_poll_leaves_no_thread_that_fails(tmp_path, monkeypatch):
    failed: list[object] = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    made(tmp_path, f"{ORDERS} INSERT INTO orders VALUES (1, '', 'B1');")
    before = set(threading.enumerate())

    async def stopped(after: int) -> None:
        task = asyncio.ensure_future(MesSqlDriver(source(tmp_path, [query()]), []).run(Journal()))
        for _ in range(after):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    for after in range(60):
        asyncio.run(stopped(after))
    for thread in set(threading.enumerate()) - before:
        thread.join(DEADLINE_S)
    assert failed == []
    assert set(threading.enumerate()) <= before


async def test_what_a_call_raises_in_the_thread_is_raised_where_it_is_waited_for():
    worker = Worker("test")
    with pytest.raises(ZeroDivisionError):
        await worker.call(lambda: 1 // 0)
    assert await worker.call(lambda: 7) == 7
    worker.end()
