"""What stands in the journal behind its source's watermark and is told again after a restart is stored once; all else is stored."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from kit.intake_line import Line, events_of, numeric, readings_of

from buffer import JournalBusy
from config import examples
from drivers.columns import Columns
from drivers.contract import GOOD, Look, Reading
from gateway.entries.stored_rows import stored_rows
from gateway.entries.ticks import TICKS_PER_S
from gateway.intake import retold

PLC = "granulator-plc"
BAD_STATUS = 0x80000000


class Started:
    """A line that is started again, with what its source had told: first a message that the watermark counts, then one that it does not."""

    def __init__(self, folder: Path) -> None:
        examples.copy("granulation-2", folder / "line")
        self.folder = folder / "line"
        self.line = Line(self.folder)
        self.tags = numeric(self.line.port(PLC))[:3]
        self.now = self.line.clock.stamp().ticks - TICKS_PER_S
        self.told = [(tag, 1.5 + tag, GOOD, self.now + tag, self.now + tag + 5) for tag in self.tags]

    async def again(self, *behind: Sequence[Reading]) -> None:
        """End the run with these lists behind the watermark, and begin the next one."""
        before = [(tag, -1.0, GOOD, self.now - 10, self.now - 10) for tag in self.tags]
        await self.tell(before, watermark={"expected": 7})
        for readings in behind:
            await self.tell(readings)
        await asyncio.to_thread(self.line.journal.close)
        self.line = Line(self.folder)

    async def tell(self, readings: Sequence[Reading], **how: Any) -> None:
        await self.line.port(PLC)(readings, received_ns=time.monotonic_ns(), alive=self.tags, **how)

    async def stored(self) -> list[tuple[Any, ...]]:
        """(tag, value, status, source, server) of all that the journal holds of the source."""
        whole = [entry for entry in readings_of(await self.line.entries()) if entry["source"] == PLC]
        return [(row.tag, row.value, row.status, row.source, row.server) for entry in whole for row in stored_rows(entry)]

    async def said(self) -> list[str]:
        return [event["detail"] for event in events_of(await self.line.entries(), "source") if "stored twice" in event.get("detail", "")]


def columns(readings: Sequence[Reading]) -> Columns:
    tags, values, _, source, server = zip(*readings, strict=True)
    return Columns(tags, values, source, server)


@pytest.fixture
async def started(tmp_path: Path) -> Any:
    made = Started(tmp_path)
    yield made
    await asyncio.to_thread(made.line.journal.close)


@pytest.mark.urs("URS-DAQ-11", "URS-BUF-02")
@pytest.mark.parametrize("by_column", [False, True], ids=["by rows", "by columns"])
async def test_a_message_that_is_told_again_stands_once_and_moves_the_watermark(started: Started, by_column: bool) -> None:
    form: Any = columns if by_column else list
    await started.again(form(started.told))
    await started.tell(form(started.told), watermark={"expected": 8}, resumed=True)

    stored = await started.stored()
    assert [stored.count(reading) for reading in started.told] == [1, 1, 1]
    assert started.line.port(PLC).watermark == {"expected": 8}
    assert await started.said() == ["3 readings that the source told again stood in the journal already: not stored twice"]
    assert started.line.port(PLC)._retold is None, "nothing is waited for any more"


@pytest.mark.urs("URS-DAQ-11")
async def test_after_the_first_half_of_a_message_the_whole_message_leaves_each_value_once(started: Started) -> None:
    await started.again(started.told[:1])
    await started.tell(started.told, watermark={"expected": 8}, resumed=True)

    stored = await started.stored()
    assert [stored.count(reading) for reading in started.told] == [1, 1, 1]
    assert await started.said() == ["1 reading that the source told again stood in the journal already: not stored twice"]


@pytest.mark.urs("URS-DAQ-11", "URS-BUF-02")
@pytest.mark.parametrize(
    "changed",
    [{1: 9.25}, {1: -0.0}, {2: 0x00000400}, {1: None, 2: BAD_STATUS}, {3: 1}, {4: 1}, {3: None}],
    ids=["value", "sign of zero", "status", "bad", "source time", "server time", "no source time"],
)
async def test_a_reading_that_differs_in_anything_is_stored(started: Started, changed: dict[int, Any]) -> None:
    tag, _, _, source, server = started.told[0]
    first = (tag, 0.0, GOOD, source, server)
    other: Any = tuple(
        changed.get(place, member) if place < 3 or changed.get(place, 0) is None else member + changed.get(place, 0)
        for place, member in enumerate(first)
    )
    await started.again([first])
    await started.tell([other], watermark={"expected": 8}, resumed=True)

    assert [repr(reading) for reading in (await started.stored())[-2:]] == [repr(first), repr(other)]
    assert await started.said() == []


@pytest.mark.urs("URS-DAQ-11")
async def test_one_that_stands_takes_out_one(started: Started) -> None:
    await started.again(started.told)
    twice = [started.told[0], started.told[0], *started.told[1:]]
    await started.tell(twice, watermark={"expected": 8}, resumed=True)

    stored = await started.stored()
    assert [stored.count(reading) for reading in started.told] == [2, 1, 1]


@pytest.mark.urs("URS-DAQ-11")
async def test_of_a_source_that_does_not_go_on_where_it_ended_everything_is_stored(started: Started) -> None:
    """A subscription that is new tells what stands as its first values: they end the gap."""
    await started.again(started.told)
    await started.tell(started.told, watermark={"expected": 1})

    stored = await started.stored()
    assert [stored.count(reading) for reading in started.told] == [2, 2, 2]


@pytest.mark.urs("URS-DAQ-11")
async def test_a_reading_of_a_row_is_stored_though_one_that_stands_is_equal(started: Started) -> None:
    """It may be of another row: two lots of one quantity, finished in one second."""
    await started.again(started.told)
    await started.tell([], resumed=True)
    await started.tell(started.told, watermark={"expected": 8}, look=Look("lots", None))

    stored = await started.stored()
    assert [stored.count(reading) for reading in started.told] == [2, 2, 2]
    assert await started.said() == []


@pytest.mark.urs("URS-DAQ-11")
async def test_where_the_watermark_counts_all_nothing_is_remembered(started: Started) -> None:
    await started.again()
    assert [name for name, port in started.line.intake.ports.items() if port._retold is not None] == []

    await started.tell(started.told, watermark={"expected": 8}, resumed=True)
    assert (await started.stored())[-3:] == started.told


@pytest.mark.urs("URS-DAQ-11", "URS-SEC-09")
async def test_a_list_that_is_refused_takes_nothing_out(started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    await started.again(started.told)

    def refuse(*_: Any, **__: Any) -> Any:
        raise JournalBusy("too much waits")

    port = started.line.port(PLC)
    with monkeypatch.context() as refusing:
        refusing.setattr(port, "_append", refuse)
        with pytest.raises(JournalBusy):
            port(started.told, received_ns=time.monotonic_ns(), watermark={"expected": 8}, resumed=True)
    await started.tell(started.told, watermark={"expected": 8}, resumed=True)

    stored = await started.stored()
    assert [stored.count(reading) for reading in started.told] == [1, 1, 1]


@pytest.mark.urs("URS-DAQ-11")
async def test_what_is_not_told_again_is_let_go(started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retold, "MOST_LISTS", 3)
    await started.again(started.told)
    for number in range(3):
        assert started.line.port(PLC)._retold is not None
        await started.tell([(started.tags[0], 3.5, GOOD, started.now + 100 + number, None)], watermark={"expected": number}, resumed=True)
    assert started.line.port(PLC)._retold is None


@pytest.mark.urs("URS-DAQ-11")
async def test_only_the_newest_entries_are_looked_at(started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    lists = [[(started.tags[0], float(number), GOOD, started.now + number, None)] for number in range(9)]
    monkeypatch.setattr(retold, "MOST_ENTRIES", 4)
    await started.again(*lists)
    for readings in lists:
        await started.tell(readings, watermark={"expected": 8}, resumed=True)

    stored = await started.stored()
    assert [stored.count(readings[0]) for readings in lists] == [2, 2, 2, 2, 2, 1, 1, 1, 1]


@pytest.mark.urs("URS-DAQ-11")
async def test_only_so_many_readings_are_remembered_the_newest(started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retold, "MOST_ROWS", 4)
    lists = [[(tag, float(number), GOOD, started.now + number, None) for tag in started.tags] for number in range(3)]
    await started.again(*lists)
    for readings in lists:
        await started.tell(readings, watermark={"expected": 8}, resumed=True)

    stored = await started.stored()
    assert [stored.count(readings[0]) for readings in lists] == [2, 2, 1]
