"""Types and statuses of OPC UA items as the driver hands them over, beside what the map says of them."""

import time
from pathlib import Path

import pytest
from kit.opcua_bench import Bench
from kit.processes import eventually

from config import Tag
from drivers.opcua import OpcUaDriver
from simulators.opcua_plc import OpcUaPlc, encode


async def test_types_arrays_and_texts(tmp_path: Path) -> None:
    kinds = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64", "string", "bcd16"]
    async with Bench(tmp_path, count=len(kinds), types=kinds) as bench:
        extra = [Tag(tag=f"t{len(kinds) + i}", source="plc", address=f"plc:s=Array#[{i}]", type="int16") for i in range(3)]
        bench.tags += extra
        await bench.plc.stop()
        bench.plc = OpcUaPlc(bench.source.model_copy(update={"endpoint": bench.plc.url}), bench.tags, bench.log)
        await bench.plc.start()
        bench.driver = OpcUaDriver(bench.source, bench.tags)
        await bench.begun(3, every_s=0.1)
        last = {tag: value for tag, value, _, _, _ in bench.disk.readings}
        assert last[0] in (True, False)
        assert {last[i] for i in (*range(1, 11), 12, 13, 14, 15)} == {bench.number}
        assert last[11] == f"v{bench.number}"
        assert bench.disk.codes() == ["server-identity"]


@pytest.mark.urs("URS-DAQ-10")
async def test_another_type_than_the_map_says_is_a_finding(bench: Bench) -> None:
    bench.run()
    await eventually(lambda: bench.disk.connections)
    await bench.caught_up()
    bench.plc.set_variant("t4", encode.variant(6, 42), time.time_ns() // 100)
    await eventually(lambda: "source-type-differs" in bench.disk.codes())
    (finding,) = [one for one in bench.disk.findings if one.code == "source-type-differs"]
    assert finding.tags == (4,)
    assert finding.evidence["source_type"] == "Int32"


@pytest.mark.urs("URS-DAQ-10")
async def test_each_other_type_and_an_array_where_one_value_was_is_told(bench: Bench) -> None:
    """An array of the map's own type was Bad without a word; so was whatever came after the first other type."""
    bench.run()
    await eventually(lambda: bench.disk.connections)
    await bench.caught_up()

    def told() -> list[str]:
        return [one.evidence["source_type"] for one in bench.disk.findings if one.code == "source-type-differs"]

    bench.plc.set_variant("t4", encode.variant(11, [1.5, 2.5]), time.time_ns() // 100)
    await eventually(lambda: told() == ["an array of Double"])
    (finding,) = [one for one in bench.disk.findings if one.code == "source-type-differs"]
    assert finding.tags == (4,)
    assert "name one of its elements in the address" in finding.text
    assert next(r for r in reversed(bench.disk.readings) if r[0] == 4)[1:3] == (None, 0x80070000)
    bench.plc.set_variant("t4", encode.variant(12, "12.5"), time.time_ns() // 100)
    await eventually(lambda: told() == ["an array of Double", "String"])
    bench.plc.set_variant("t4", encode.variant(11, [1.5]), time.time_ns() // 100)
    await bench.make(1)
    assert told() == ["an array of Double", "String"], "each once"


@pytest.mark.urs("URS-DAQ-10")
async def test_a_value_of_another_type_is_kept_and_is_not_good_until_the_type_is_the_maps_again(bench: Bench) -> None:
    bench.run()
    await eventually(lambda: bench.disk.connections)
    await bench.caught_up()

    def told() -> list[tuple[object, int]]:
        return [(value, status) for tag, value, status, *_ in bench.disk.readings if tag == 4]

    bench.plc.set_variant("t4", encode.variant(6, 42), time.time_ns() // 100)
    await eventually(lambda: (42, 0x420F0000) in told())
    bench.plc.set_variant("t4", encode.variant(6, 43), time.time_ns() // 100, 0x40930000)
    await eventually(lambda: (43, 0x40930000) in told())
    await bench.make(1)
    await eventually(lambda: told()[-1][1] == 0)
    assert not any(value in (42, 43) and status == 0 for value, status in told())


@pytest.mark.urs("URS-DAQ-05", "URS-DAQ-01")
async def test_bad_and_uncertain_keep_their_whole_status(bench: Bench) -> None:
    bench.run()
    await eventually(lambda: bench.disk.connections)
    await bench.caught_up()
    for status in (0x40930000, 0x808C0000, 0x80060000, 0x00960000):
        bench.plc.set_status("t2", status, time.time_ns() // 100)
        await eventually(lambda status=status: any(r[0] == 2 and r[2] == status for r in bench.disk.readings))
    got = {r[2]: r[1] for r in bench.disk.readings if r[0] == 2}
    assert got[0x808C0000] is None
    assert got[0x80060000] is None
    assert got[0x40930000] is not None
