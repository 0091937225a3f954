"""The power went while rows of a table were committed: parts of the commit are on the disk. The table gives them again; they stand once."""

import asyncio
import contextlib
import os
import random
import shutil
import signal
import sqlite3
import sys
from collections import Counter
from collections.abc import Awaitable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from kit.intake_line import Line, events_of, readings_of
from kit.processes import DEADLINE_S, eventually

from buffer.repair import wal
from config import examples
from drivers.contract import Reading
from drivers.mes_sql import MesSqlDriver
from gateway.entries.stored_rows import stored_rows
from gateway.intake import Port

FRAME = 24 + 4096
NOON = "2026-11-22T10:00:00"
TABLES = [
    "v_orders(id INTEGER PRIMARY KEY, changed_at, unit_id, order_no, batch_no, product, recipe, version)",
    "v_steps(id INTEGER PRIMARY KEY, changed_at, unit_id, batch_no, step, state)",
    "v_lots(id INTEGER PRIMARY KEY, changed_at, unit_id, batch_no, material, lot_no, quantity, unit)",
    "v_produced(id INTEGER PRIMARY KEY, changed_at, unit_id, batch_no, material, lot_no, quantity, unit, booked_by)",
    "v_samples(id INTEGER PRIMARY KEY, changed_at, unit_id, batch_no, sample_id, taken_by)",
]
FIRST = {1: "L1", 2: "L2", 3: "L3", 4: "L4"}
TORN = {1: "L1", 2: "L2b", 4: "L4b", 5: "L5"}
LAST = {1: "L1", 2: "L2", 4: "L4b", 6: "L6"}
"""Lots by number: when the gateway was told first; when the power went; and when it is back: 2 as before, 5 gone, 6 new."""


def book(folder: Path, lots: dict[int, str]) -> None:
    """Have the table hold these lots, in one transaction."""
    noise = random.Random(1)
    with closing(sqlite3.connect(folder / "mes.db")) as db, db:
        db.execute(f"DELETE FROM v_lots WHERE id NOT IN ({', '.join(map(str, lots))})")
        for number, name in lots.items():
            text = noise.randbytes(1500).hex()
            row = (number, NOON, "GRN-201", None, text, name, "1.5", "kg")
            db.execute("INSERT INTO v_lots VALUES(?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET lot_no = excluded.lot_no", row)


@dataclass
class Switch:
    """A port, and who is told of each list of rows that was committed."""

    port: Port
    lists: list[list[str]] = field(default_factory=list)
    committed: asyncio.Event = field(default_factory=asyncio.Event)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.port, name)

    def __call__(self, readings: Sequence[Reading], **how: Any) -> Awaitable[None]:
        return self._told(self.port(readings, **how), [message.key for message in how.get("messages", ())])

    async def _told(self, stored: Awaitable[None], keys: list[str]) -> None:
        await stored
        if "2" in keys and self.lists:
            os.kill(os.getpid(), signal.SIGKILL)
        self.lists += [keys] if keys else []
        self.committed.set()


async def gateway(folder: Path) -> None:
    """Read the table until row 2 has changed and that is committed; then be killed."""
    port = Line(folder).port("mes")
    switch = Switch(port)
    driver = MesSqlDriver(port.source.model_copy(update={"rate_ms": 20}), port.tags)
    task = asyncio.create_task(driver.run(switch))
    await asyncio.wait([task, asyncio.create_task(switch.committed.wait())], return_when=asyncio.FIRST_COMPLETED)
    os.write(sys.stdout.fileno(), b"told\n")
    await task


async def killed(folder: Path) -> None:
    """A gateway that had the first lots, and was killed when it had committed what came then."""
    examples.copy("granulation-2", folder)
    with closing(sqlite3.connect(folder / "mes.db")) as db:
        db.executescript("".join(f"CREATE TABLE {table};" for table in TABLES))
    book(folder, FIRST)
    kit = Path(__file__).parents[2]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(kit), str(kit.parent)])}
    child = await asyncio.create_subprocess_exec(sys.executable, __file__, str(folder), stdout=asyncio.subprocess.PIPE, env=env)
    assert child.stdout is not None
    async with asyncio.timeout(DEADLINE_S):
        assert await child.stdout.readline() == b"told\n"
        book(folder, TORN)
        assert await child.wait() == -signal.SIGKILL


def tear(folder: Path, frames: set[int]) -> None:
    (log,) = (folder / "data").rglob("segments/*-wal")
    content = bytearray(log.read_bytes())
    for number in frames:
        place = 32 + number * FRAME + 24
        content[place : place + 4096] = b"\xa5" * 4096
    log.write_bytes(content)


def last_transaction(folder: Path) -> range:
    (log,) = (folder / "data").rglob("segments/*-wal")
    ends = [number for number, frame in enumerate(wal.read(log.read_bytes()).frames) if frame.commit and frame.good]
    return range(ends[-2] + 1, ends[-1] + 1)


@dataclass
class Record:
    """What the journal says of lots in the end."""

    told: list[tuple[str, str, str | None]]  # (key, change, lot)
    values: Counter[Any]  # of the tag of lots
    taken_over: list[str]

    @property
    def stands(self) -> dict[int, str | None]:
        last = {int(key): None if change == "deleted" else lot for key, change, lot in self.told}
        return {key: lot for key, lot in last.items() if lot is not None}


async def started(folder: Path) -> Record:
    """Start on what is there, and read on."""
    line = Line(folder)
    port = line.port("mes")
    task = asyncio.create_task(MesSqlDriver(port.source.model_copy(update={"rate_ms": 5}), port.tags).run(port))
    try:
        await eventually(lambda: port.state == "connected" or task.done())
        before = port.lists
        await eventually(lambda: port.lists > before + 3 or task.done())
        assert not task.done(), task
        entries = await line.entries()
    finally:
        task.cancel()
        with contextlib.suppress(BaseException):
            await asyncio.wait([task])
        await asyncio.to_thread(line.journal.close)
    rows = [row for event in events_of(entries, "message") if event["name"] == "lots" for row in event["rows"]]
    tag = next(index for index, one in enumerate(port.tags) if one.tag == "mes.lot_no")
    values = Counter(
        row.value for entry in readings_of(entries) if entry["source"] == "mes" for row in stored_rows(entry) if row.tag == tag
    )
    details = [event.get("detail", "") for event in events_of(entries, "source")]
    return Record(
        [(row["key"], row["change"], row["row"].get("lot_no")) for row in rows], values, [it for it in details if "behind the" in it]
    )


def twice(record: Record) -> list[tuple[str, str, str | None]]:
    """List what says of a row what was said of it just before."""
    last: dict[str, tuple[bool, str | None]] = {}
    found = []
    for key, change, lot in record.told:
        state = change == "deleted", lot
        found += [(key, change, lot)] if last.get(key) == state else []
        last[key] = state
    return found


@pytest.mark.bar("F04")
@pytest.mark.urs("URS-DAQ-11", "URS-BUF-07")
async def test_whatever_pages_of_a_commit_are_torn_its_rows_stand_once_and_the_last_state_of_each(tmp_path: Path) -> None:
    """Each page of the last transaction in turn did not reach the disk, nor did any two of them."""
    original = tmp_path / "original"
    await killed(original)
    frames = last_transaction(original)
    assert len(frames) >= 3, "pages of entries and of facts"
    taken_over = 0
    for torn in [set(), *({a, b} for a in frames for b in frames if a <= b)]:
        folder = shutil.copytree(original, tmp_path / "-".join(["torn", *map(str, sorted(torn))]))
        tear(folder, torn)
        book(folder, LAST)
        record = await started(folder)
        assert torn or record.taken_over == [], "a process that is killed leaves no doubt"
        assert record.stands == LAST, torn
        again = twice(record)
        assert again == [] or record.values["L2b"] == 0, "a row is told again where its readings are gone, and only there"
        once = Counter(lot for _, change, lot in record.told if change != "deleted") - Counter(lot for _, _, lot in again)
        if ("2", "changed", "L2b") in record.told:
            assert record.values <= once, (torn, record)
            assert all(record.values[lot] == once[lot] for lot in LAST.values()), (torn, record)
        else:
            assert all(record.values[lot] in {once[lot], once[lot] + 1} for lot in LAST.values()), "readings whose rows are gone"
        taken_over += bool(record.taken_over)
        shutil.rmtree(folder)
    assert taken_over > 0


if __name__ == "__main__":
    asyncio.run(gateway(Path(sys.argv[1])))
