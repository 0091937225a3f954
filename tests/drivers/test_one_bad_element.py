"""What no rule foresaw of one element (a row, a value, a file's value, a line, a block) is that element's, and stops no other."""

import asyncio
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kit.collector import Collector, Journal, running
from kit.mes_file import TAGS, put
from kit.mes_file import source as lims
from kit.mes_sql import source as mes
from kit.modbus_driver import plc_for, tags_of
from kit.modbus_driver import running as polled
from kit.processes import DEADLINE_S
from kit.serial_cable import Cable

from config import Source, Tag
from drivers.contract import BAD_DECODING, GOOD
from drivers.lasting import Died
from drivers.mes_file import MesFileDriver
from drivers.mes_file import reader as file_reader
from drivers.mes_file import values as file_values
from drivers.mes_sql import MesSqlDriver
from drivers.mes_sql import converting as sql_converting
from drivers.mes_sql import values as sql_values
from drivers.mes_sql.reader import Reader
from drivers.modbus import ModbusDriver, decode, unit
from drivers.serial import SerialDriver, lines


class Silent(Exception):
    """An error that fails once more when it is asked what it says."""

    def __str__(self) -> str:
        raise KeyError("what")


FAULTS: list[BaseException] = [
    KeyError("column"),
    OSError(5, "Input/output error"),
    RecursionError("deep"),
    MemoryError(),
    Silent(),
    asyncio.CancelledError(),
]
faults = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
ORDERED = Tag(tag="mes.v", source="mes", address="orders.v", type="int32")
QUERY = {
    "name": "orders",
    "sql": "SELECT id, v FROM orders WHERE id > :since ORDER BY id",
    "key": "id",
    "watermark": {"column": "id", "kind": "sequence"},
}


def failing(monkeypatch: pytest.MonkeyPatch, where: Any, name: str, of: Callable[..., bool], fault: BaseException) -> None:
    """Raise the fault where a function is called with arguments of which this is true; else all is as it was."""
    real = getattr(where, name)

    def raising(*arguments: Any, **named: Any) -> Any:
        if of(*arguments):
            raise fault
        return real(*arguments, **named)

    monkeypatch.setattr(where, name, raising)


def orders(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "mes.db")) as db:
        db.executescript("CREATE TABLE orders(id INTEGER PRIMARY KEY, v INTEGER); INSERT INTO orders VALUES (1, 10), (2, 20), (3, 30);")


@pytest.mark.urs("URS-DAQ-11")
@faults
async def test_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException) -> None:
    orders(tmp_path)
    failing(monkeypatch, sql_values, "plain", lambda row: row.get("v") == 20, fault)
    journal = Journal()
    async with running(MesSqlDriver(mes(tmp_path, [QUERY]), []), journal) as task:
        await journal.until(lambda: len(journal.messages) >= 2 or task.done())
        await journal.polled(3)
        assert not task.done()
    assert [message.key for message in journal.messages] == ["1", "3"]
    (told,) = journal.findings
    assert (told.code, told.severity) == ("row-refused", "alarm")
    assert f"crashed: {type(fault).__name__}" in told.text


@pytest.mark.urs("URS-DAQ-11")
@faults
async def test_a_value_of_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException) -> None:
    orders(tmp_path)
    failing(monkeypatch, sql_converting, "typed", lambda value, _: value == 20, fault)
    tag = Tag(tag="mes.v", source="mes", address="orders.v", type="int32")
    journal = Journal()
    async with running(MesSqlDriver(mes(tmp_path, [QUERY]), [tag]), journal) as task:
        await journal.until(lambda: len(journal.messages) >= 3 or task.done())
        await journal.polled(2)
        assert not task.done()
    assert [(value, status) for _, value, status, *_ in journal.readings] == [(10, GOOD), (None, BAD_DECODING), (30, GOOD)]
    assert [finding.code for finding in journal.findings] == ["value-unreadable"]


@pytest.mark.urs("URS-DAQ-11")
@faults
async def test_a_value_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException) -> None:
    (tmp_path / "drop").mkdir()
    failing(monkeypatch, file_values, "read", lambda value, *_: value == "2", fault)
    put(tmp_path / "drop", "a.csv", b"sample_id,lod\nS1,1\nS2,2\nS3,3\n")
    journal = Journal()
    async with running(MesFileDriver(lims(tmp_path), TAGS), journal) as task:
        await journal.until(lambda: len(journal.messages) >= 3 or task.done())
        assert not task.done()
        await journal.until(lambda: journal.findings)
    assert [(value, status) for _, value, status, *_ in journal.readings] == [(1.0, GOOD), (None, BAD_DECODING), (3.0, GOOD)]
    assert f"crashed: {type(fault).__name__}" in journal.findings[0].text


@pytest.mark.urs("URS-DAQ-11")
@faults
async def test_a_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException) -> None:
    def compiled(block: Any, encoding: str) -> Any:
        def raising(_: bytes) -> Any:
            raise fault

        return raising if block.start == 100 else decode.compiled(block, encoding)

    monkeypatch.setattr(unit, "compiled", compiled)
    tags = tags_of(("1/holding/0:uint16", "uint16"), ("1/holding/100:uint16", "uint16"))
    async with plc_for(tmp_path, tags) as (plc, source), polled(source, tags) as emit:
        await plc.set({"t0": 7, "t1": 8}, 0)
        await emit.until(lambda: emit.last(0) == (7, GOOD) and emit.last(1) == (None, BAD_DECODING))
        assert [finding.tags for finding in emit.findings] == [(1,)]


@pytest.mark.urs("URS-DAQ-11")
@faults
async def test_a_line(monkeypatch: pytest.MonkeyPatch, fault: BaseException) -> None:
    failing(monkeypatch, lines, "_text", lambda text: text == b"2", fault)
    cable, journal = Cable(), Journal()
    options = {"protocol": "line", "pattern": "^N (?P<n>[0-9]++)$"}
    source = Source(name="p", driver="serial", endpoint=f"serial://{os.ttyname(cable.slave)}", options=options, folder=Path("/"))
    try:
        async with running(SerialDriver(source, [Tag(tag="p.n", source="p", address="n", type="decimal")]), journal) as task:
            async with asyncio.timeout(DEADLINE_S):
                while not journal.readings:  # until the port is open
                    cable.say(b"N 1\r\n")
                    await asyncio.sleep(0.02)
            cable.say(b"N 2\r\nN 3\r\n")
            await journal.until(lambda: any(str(value) == "3" for _, value, *_ in journal.readings) or task.done())
            assert not task.done()
    finally:
        os.close(cable.master)
        os.close(cable.slave)
    assert "2" not in [str(value) for _, value, *_ in journal.readings]


@pytest.mark.urs("URS-DAQ-11")
@faults
async def test_a_record_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException) -> None:
    """A file is read whole or refused: what one of its records runs into is the file's, and no other file's."""
    (tmp_path / "drop").mkdir()
    failing(monkeypatch, file_reader, "row_of", lambda record: record.get("sample_id") == "S2", fault)
    put(tmp_path / "drop", "a.csv", b"sample_id,lod\nS1,1\nS2,2\n")
    put(tmp_path / "drop", "b.csv", b"sample_id,lod\nS3,3\n")
    journal = Journal()
    async with running(MesFileDriver(lims(tmp_path), TAGS), journal) as task:
        await journal.until(lambda: "file-refused" in journal.codes and journal.messages)
        await journal.polled(3)
        assert not task.done()
    assert [message.key for message in journal.messages] == ["S3"]
    assert journal.codes == ["file-refused"], "once"
    assert type(fault).__name__ in journal.findings[0].text


@pytest.mark.urs("URS-DAQ-11")
@faults
async def test_a_query(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException) -> None:
    monkeypatch.setattr("drivers.mes_sql.failing.FAILED_WAIT_S", (0.0, 0.0))
    orders(tmp_path)
    armed = [True]
    real = Reader.look

    async def look(self: Reader, *arguments: Any) -> Any:
        if armed and self.query.name == "orders":
            raise fault
        return await real(self, *arguments)

    monkeypatch.setattr(Reader, "look", look)
    journal = Journal()
    two = [QUERY, {**QUERY, "name": "others"}]
    async with running(MesSqlDriver(mes(tmp_path, two), [ORDERED]), journal) as task:
        await journal.until(lambda: len(journal.messages) >= 3 and "query-failed" in journal.codes)
        await journal.polled(3)
        assert not task.done()
        assert {message.name for message in journal.messages} == {"others"}
        assert [(loss.cause, loss.tags) for loss in journal.losses] == [("query-failed", (0,))]
        armed.clear()
        await journal.until(lambda: len(journal.messages) == 6)
    assert journal.codes == ["query-failed", "query-failed-over"]
    assert f"crashed: {type(fault).__name__}" in journal.findings[0].text


@pytest.mark.urs("URS-DAQ-11")
@faults
async def test_what_a_query_found_counts_as_read_only_when_it_is_handed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    monkeypatch.setattr("drivers.mes_sql.failing.FAILED_WAIT_S", (0.0, 0.0))
    orders(tmp_path)
    armed = [1]
    failing(monkeypatch, sql_converting, "exact_json", lambda _: bool(armed[0]) and not armed.__setitem__(0, armed[0] - 1), fault)
    journal = Journal()
    two = [QUERY, {**QUERY, "name": "others"}]
    async with running(MesSqlDriver(mes(tmp_path, two), []), journal) as task:
        await journal.until(lambda: len(journal.messages) >= 6 or task.done())
        await journal.polled(3)
        assert not task.done()
    assert sorted((message.name, message.key) for message in journal.messages) == [
        (name, key) for name in ("orders", "others") for key in ("1", "2", "3")
    ]


@pytest.mark.bar("F44")
async def test_a_unit_whose_task_a_library_cancels_ends_the_driver_with_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A TaskGroup takes it for one that ended on purpose: its tags would never have been asked for again, without a word."""
    armed = [True]
    real = unit.UnitPoll._poll

    async def poll(self: unit.UnitPoll, *arguments: Any) -> None:
        if armed:
            armed.pop()
            raise asyncio.CancelledError
        await real(self, *arguments)

    monkeypatch.setattr(unit.UnitPoll, "_poll", poll)
    tags = tags_of(("1/holding/0:uint16", "uint16"), ("2/holding/0:uint16", "uint16"))
    async with plc_for(tmp_path, tags) as (_, source):
        with pytest.raises(Died, match="cancelled"):
            async with asyncio.timeout(DEADLINE_S):
                await ModbusDriver(source, tags).run(Collector())
