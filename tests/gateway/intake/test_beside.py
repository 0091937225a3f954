"""What stands beside readings in their entry: registers that their numbers do not give back, and the windows of aggregates."""

import json
import time
from typing import Any

import pytest
from kit.intake_line import Line, readings_of

from buffer.entry import ReadingsEntry
from config import Tag
from drivers.columns import Columns
from drivers.contract import BAD_DECODING, Kept, Window
from drivers.modbus.plan import block_of
from drivers.modbus.settings import ModbusSettings
from drivers.modbus.values import value_of
from drivers.modbus.wire import NEAR_REGISTERS, Wire, untold_of
from gateway.entries.bodies import LARGEST_BODY_BYTES, LARGEST_TABLE_BYTES, tables, turned
from gateway.entries.fold_input import ReadingsInput, from_entry
from gateway.intake.beside import of_columns, of_rows
from gateway.intake.by_column import Stored

NOON, S = 17953380000000000, 10_000_000


class Answer:
    """Registers as a device answered them, one for each tag; asked: of which tags something was asked."""

    def __init__(self, untold: set[int], **lost: bytes) -> None:
        self.untold, self._lost = frozenset(untold), {int(tag[1:]): data for tag, data in lost.items()}
        self.asked: list[dict[int, Any]] = []

    def kept(self, stored: Any) -> list[Kept]:
        self.asked.append(dict(stored))
        return [Kept((tag,), f"1/holding/{tag}", self._lost[tag]) for tag in stored if tag in self._lost]


def now() -> dict[str, Any]:
    return {"received_ns": time.monotonic_ns(), "requested_ns": time.monotonic_ns()}


def plain(port: Any, count: int) -> list[int]:
    kinds = ("float32", "float64")
    return [at for at, tag in enumerate(port.tags) if tag.type in kinds and tag.scaling is None and at not in port._signals][:count]


@pytest.mark.urs("URS-DAQ-03")
async def test_registers_are_kept_of_what_is_stored_and_of_what_no_number_tells(line: Line) -> None:
    port = line.port("dryer-plc")
    first, second = plain(port, 2)
    answer = Answer({second}, **{f"t{first}": b"\x7f\xc0\x00\x01", f"t{second}": b"\x00\xff"})
    await port([(first, None, BAD_DECODING, None, None), (second, 2.0, 0, None, None)], kind="poll", as_read=answer, **now())
    await port([(first, 3.0, 0, None, None), (second, 2.0, 0, None, None)], kind="poll", as_read=answer, **now())

    bad, good = readings_of(await line.entries())
    assert bad["registers"] == [
        {"tags": [first], "address": f"1/holding/{first}", "hex": "7fc00001"},
        {"tags": [second], "address": f"1/holding/{second}", "hex": "00ff"},
    ]
    assert answer.asked == [{first: None, second: 2.0}], "of an unchanged value that is not stored nothing is asked, nor of a number"
    assert "registers" not in good
    assert ReadingsEntry.model_validate(bad).registers[0].hex == "7fc00001"


@pytest.mark.urs("URS-DAQ-03")
async def test_a_list_by_column_is_asked_only_for_what_its_driver_says_a_value_may_not_tell(line: Line) -> None:
    port = line.port("dryer-plc")
    tags = tuple(plain(port, 2))
    told, untold = Answer(set()), Answer({tags[1]}, **{f"t{tags[1]}": b"\x12\x34"})
    await port(Columns(tags, [1.5, 2.5], None, None), kind="poll", as_read=told, **now())
    await port(Columns(tags, [3.5, 4.5], None, None), kind="poll", as_read=untold, **now())

    entries = readings_of(await line.entries())
    assert (told.asked, untold.asked) == ([], [{tags[1]: 4.5}])
    assert [entry.get("registers") for entry in entries] == [None, [{"tags": [tags[1]], "address": f"1/holding/{tags[1]}", "hex": "1234"}]]


def test_by_column_the_raw_number_is_what_has_to_tell_its_registers() -> None:
    answer = Answer({1, 2})
    beside = of_columns(answer, Stored((0, 1, 2), [1, 2.5, True], [None, 25, None], None, None))
    assert beside is not None
    beside(0, (0, 1, 2))
    assert answer.asked == [{1: 25, 2: True}]
    assert of_columns(answer, Stored((0,), [1], None, None, None)) is None
    assert of_columns(None, Stored((1,), [1], None, None, None)) is None


@pytest.mark.urs("URS-DAQ-08")
async def test_the_window_of_an_aggregate_stands_with_its_reading_also_when_the_list_is_put_in_time(line: Line) -> None:
    port = line.port("granulator-plc")
    signal = next(iter(port._signals))
    (mean,) = plain(port, 1)
    base = time.time_ns() // 100 - 10 * S
    told = Window(base - 60 * S, base, 58)
    readings = [(mean, 2.0, 0, base + 2 * S, None), (signal, 10, 0, base + S, None), (mean, 1.0, 0, base + 3 * S, None)]
    await port(readings, received_ns=time.monotonic_ns(), windows=[told, None, Window(None, base + 3 * S, None)])

    entries = readings_of(await line.entries())
    found = {
        row[entry["columns"].index("value")]: window
        for entry in entries
        for window in entry.get("windows", ())
        for row in [entry["readings"][window["row"]]]
    }
    assert set(found) == {2.0, 1.0}
    assert found[2.0].keys() == {"row", "start", "end", "count"}
    assert (found[2.0]["count"], found[1.0].keys()) == (58, {"row", "end"})
    assert all(ReadingsEntry.model_validate(entry) for entry in entries)


@pytest.mark.urs("URS-DAQ-08", "URS-CTX-06")
async def test_the_fold_reads_the_same_windows_live_and_from_the_journal(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    port = line.port("granulator-plc")
    (mean,) = plain(port, 1)
    base = time.time_ns() // 100 - 10 * S
    live: list[ReadingsInput] = []
    decide = line.intake.fold.decide

    def decided(item: Any) -> list[dict[str, Any]]:
        live.append(item)
        return decide(item)

    monkeypatch.setattr(line.intake.fold, "decide", decided)
    await port([(mean, 2.0, 0, base, None)], received_ns=time.monotonic_ns(), windows=[Window(base - 60 * S, base, 58)])

    (entry,) = readings_of(await line.entries())
    again = from_entry(entry, line.intake.fold.state.tagsets, line.line)
    assert isinstance(again, ReadingsInput)
    assert (
        again.windows == next(item.windows for item in live if isinstance(item, ReadingsInput)) == {(mean, base): (base - 60 * S, base, 58)}
    )


async def test_windows_without_their_readings_are_refused(line: Line) -> None:
    port = line.port("dryer-plc")
    with pytest.raises(ValueError, match="1 windows of 0 readings"):
        await port([], received_ns=time.monotonic_ns(), windows=[Window()])
    with pytest.raises(ValueError, match="of kind poll"):
        await port([(0, 1.0, 0, None, None)], kind="poll", windows=[Window()], **now())


@pytest.mark.urs("URS-DAQ-03")
def test_an_entry_is_halved_until_its_registers_fit_too_and_none_of_them_is_left_out() -> None:
    tags = [Tag(tag=f"t{at}", source="plc", address=f"1/holding/{at * (NEAR_REGISTERS + 2)}.3", type="bool") for at in range(2_000)]
    block = block_of([value_of(at, tag, ModbusSettings()) for at, tag in enumerate(tags)])
    wire = Wire([(block, b"\x12\x34" * block.count)], untold_of(block))
    rows = [(at, False, None, 0, "change", None, None) for at in range(2_000)]
    beside = of_rows(wire, rows, ())

    made = list(tables(turned(rows), NOON, NOON, beside))

    assert len(made) > 1
    assert all(len(table) + len(json.dumps(members)) <= LARGEST_TABLE_BYTES * 1.2 < LARGEST_BODY_BYTES for _, table, members in made)
    kept = [tag for _, _, members in made for run in members["registers"] for tag in run["tags"]]
    assert kept == list(range(2_000))
    assert all(set(members["registers"][0]["tags"]) <= set(columns[0]) for columns, _, members in made)


def test_runs_of_registers_that_lie_near_each_other_are_one() -> None:
    addresses = ["1/holding/4.1", "1/holding/4.2", "1/holding/7.0", "1/holding/40.0"]
    values = [value_of(at, Tag(tag=f"t{at}", source="p", address=one, type="bool"), ModbusSettings()) for at, one in enumerate(addresses)]
    block = block_of(values)
    data = b"".join(word.to_bytes(2, "big") for word in range(0x1000, 0x1000 + block.count))

    kept = Wire([(block, data)], untold_of(block)).kept({0: False, 1: False, 2: False, 3: False})

    assert kept == [Kept((0, 1, 2), "1/holding/4", data[:8]), Kept((3,), "1/holding/40", data[72:74])]
