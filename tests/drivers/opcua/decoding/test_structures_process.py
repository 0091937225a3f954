"""Structures by field path: one item per node, every mapped field a reading, whatever is wrong with one of them."""

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from asyncua import Server, ua
from asyncua.common.structures104 import new_enum, new_struct, new_struct_field
from asyncua.common.type_dictionary_builder import DataTypeDictionaryBuilder
from kit.opcua_bench import QUICK, Bench, Disk
from kit.processes import eventually

from config import Source, Tag
from drivers.opcua import OpcUaDriver
from drivers.opcua.commissioning.probe_fields import compare_fields
from drivers.opcua.session.link import connected

FIELDS = [
    ("Speed", "float32"),
    ("State", "int32"),
    ("Loop/Pv", "float64"),
    ("Loop/Mode", "string"),
    ("Items[0]/Pv", "int16"),
    ("Items[2]/Pv", "int16"),
    ("Raw[1]", "uint16"),
    ("Batch", "string"),
]


def tag(number: int, address: str, kind: str, **more: Any) -> Tag:
    return Tag(tag=f"t{number}", source="plc", address=address, type=kind, **more)


def structured(path: Path, **options: Any) -> Bench:
    bench = Bench(path, count=0, **options)
    bench.tags = [tag(i, f'plc:s="DB"."Loop"#/{field}', kind) for i, (field, kind) in enumerate(FIELDS)]
    bench.tags += [tag(8, "plc:s=Array#[0]/Pv", "int32"), tag(9, "plc:s=Array#[1]/Pv", "int32")]
    return bench


@pytest.mark.urs("URS-DAQ-01")
async def test_every_field_of_a_structure_arrives_with_its_times(tmp_path: Path) -> None:
    async with structured(tmp_path) as bench:
        await bench.make()
        bench.run()
        await eventually(lambda: bench.disk.connections)
        await bench.make(10)
        bench.cable.cut()
        await bench.make(3)
        bench.cable.mend()
        await bench.make(3)
        await bench.caught_up()
        assert not bench.missing()
        assert (bench.doubled(), bench.wrong_values()) == (0, 0)
        (subscription,) = bench.plc.subscriptions.subscriptions.values()
        assert len(subscription.items) == 2, "one item for each node, not for each field"
        assert set(bench.disk.codes()) == {"server-identity"}
        assert all(status == 0 for _, _, status, _, _ in bench.disk.readings)


async def test_a_wrong_field_is_bad_and_said_and_its_neighbours_are_good(tmp_path: Path) -> None:
    async with structured(tmp_path) as bench:
        await bench.make()
        wrong = [*bench.tags, tag(10, 'plc:s="DB"."Loop"#/Sped', "float32"), tag(11, 'plc:s="DB"."Loop"#/Speed', "int16")]
        wrong += [tag(12, 'plc:s="DB"."Loop"#/Items[9]/Pv', "int16"), tag(13, 'plc:s="DB"."Loop"#/Batch/Pv', "int16")]
        bench.driver = OpcUaDriver(bench.source, wrong)
        bench.run()
        await eventually(lambda: len({reading[0] for reading in bench.disk.readings}) == len(wrong))
        last = {index: (value, status) for index, value, status, _, _ in bench.disk.readings}
        assert all(last[index][1] == 0 for index in range(10))
        assert [last[index] for index in range(10, 14)] == [(None, 0x80740000), (None, 0x80740000), (None, 0x80370000), (None, 0x80740000)]
        await eventually(lambda: len(bench.disk.findings) >= 4)
        told = {finding.tags: finding for finding in bench.disk.findings if finding.tags}
        assert told[(10,)].code == "field-missing"
        assert "it has Speed, State, Loop" in told[(10,)].text
        assert told[(11,)].text == "t11: the server sends Float, the map says int16"
        assert "String, which has no fields" in told[(13,)].text
        assert told[(12,)].text == "t12: there is no element [9] in an array of 3"


async def test_a_type_that_changed_with_the_server_is_read_anew(tmp_path: Path) -> None:
    async with structured(tmp_path) as bench:
        await bench.make()
        bench.run()
        await eventually(lambda: bench.disk.connections)
        await bench.caught_up()
        await bench.plc.stop()
        (node, _, _) = bench.plc._of_tag["t0"]
        node.shape.fields = {"Inserted": type(node.shape)("int64"), **dict(reversed(node.shape.fields.items()))}
        await bench.plc.start()
        await bench.make()
        await eventually(lambda: bench.disk.connections > 1)
        await bench.make(3)
        await bench.caught_up()
        assert bench.wrong_values() == 0


async def test_a_type_that_changed_under_a_session_is_bad_then_asked_for(tmp_path: Path) -> None:
    async with structured(tmp_path) as bench:
        await bench.make()
        bench.run()
        await eventually(lambda: bench.disk.connections)
        await bench.caught_up()
        (node, _, _) = bench.plc._of_tag["t0"]
        node.shape.fields = {"Inserted": type(node.shape)("int64"), **node.shape.fields}
        from simulators.opcua_plc import shapes

        shapes.describe(bench.plc._server.iserver.aspace, node.shape, "DB.Loop", node.id.NamespaceIndex)
        await bench.make()
        await eventually(lambda: "structure-unreadable" in bench.disk.codes())
        assert any(reading[0] == 0 and reading[2] == 0x80070000 for reading in bench.disk.readings)
        newest = bench.number
        await eventually(lambda: [reading[1] for reading in bench.disk.readings if reading[0] == 0][-1] == newest)
        assert bench.wrong_values() == 0


async def foreign(path: Path, make: Any, tags: list[Tag]) -> dict[int, tuple[Any, int]]:
    """Last (value, status) by tag that a driver got from asyncua's own server, once every tag has one and after one change."""
    server = Server()
    await server.init()
    server.set_endpoint("opc.tcp://127.0.0.1:0")
    index = await server.register_namespace("urn:example:plc")
    change = await make(server, index)
    async with server:
        options = {"security": {"policy": "None"}, "namespaces": {"plc": "urn:example:plc"}, **QUICK, "keep_alive_s": 2.0}
        endpoint = f"opc.tcp://127.0.0.1:{server.bserver.port}"
        source = Source(name="plc", driver="opcua", endpoint=endpoint, options=options, folder=path, rate_ms=50, max_offset_s=60.0)
        disk = Disk()
        task = asyncio.create_task(OpcUaDriver(source, tags).run(disk))
        try:
            await eventually(lambda: task.done() or len({reading[0] for reading in disk.readings}) == len(tags))
            before = len(disk.committed)
            await change()
            await eventually(lambda: task.done() or len(disk.committed) > before)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    return {index: (value, status) for index, value, status, _, _ in disk.readings}


async def test_asyncuas_own_server_with_enumerations_optional_fields_unions_and_nesting(tmp_path: Path) -> None:
    async def make(server: Any, index: int) -> Any:
        colour = await new_enum(server, index, "Colour", ["Red", "Green"])
        inner, _ = await new_struct(server, index, "Inner", [new_struct_field("Pv", ua.VariantType.Double)])
        whole, _ = await new_struct(
            server,
            index,
            "Whole",
            [
                new_struct_field("State", colour),
                new_struct_field("Loops", inner, array=True),
                new_struct_field("Maybe", ua.VariantType.Int32, optional=True),
                new_struct_field("Other", ua.VariantType.String, optional=True),
                new_struct_field("When", ua.VariantType.DateTime),
                new_struct_field("Any", ua.VariantType.Variant),
            ],
        )
        members = [new_struct_field("A", ua.VariantType.Int16), new_struct_field("B", ua.VariantType.String)]
        choice, _ = await new_struct(server, index, "Choice", members, is_union=True)
        await server.load_data_type_definitions()
        value = ua.Whole(State=ua.Colour.Green, Loops=[ua.Inner(1.5), ua.Inner(2.5)], Other="x", Any=ua.Variant(7, ua.VariantType.Int16))
        one = await server.nodes.objects.add_variable(ua.NodeId("One", index), "One", value, datatype=whole.nodeid)
        union = ua.Choice()
        union.B = "second"
        await server.nodes.objects.add_variable(ua.NodeId("Two", index), "Two", union, datatype=choice.nodeid)

        async def change() -> None:
            value.Loops[1].Pv = 3.5
            await one.write_value(value)

        return change

    fields = ["State", "Loops[1]/Pv", "Maybe", "Other", "Any"]
    kinds = ["int32", "float64", "int32", "string", "int16"]
    tags = [tag(i, f"plc:s=One#/{field}", kind) for i, (field, kind) in enumerate(zip(fields, kinds, strict=True))]
    tags += [tag(5, "plc:s=Two#/B", "string"), tag(6, "plc:s=Two#/A", "int16")]
    got = await foreign(tmp_path, make, tags)
    assert got == {
        0: (1, 0),
        1: (3.5, 0),
        2: (None, 0x809B0000),
        3: ("x", 0),
        4: (7, 0),
        5: ("second", 0),
        6: (None, 0x809B0000),
    }


async def test_ranges_and_units_are_known_of_a_server_that_has_cut_its_namespace_0_down(tmp_path: Path) -> None:
    async def make(server: Any, index: int) -> Any:
        ranges, units = ua.Range(0.0, 120.0), ua.EUInformation(UnitId=4408652, DisplayName=ua.LocalizedText("°C"))
        one = await server.nodes.objects.add_variable(ua.NodeId("Range", index), "Range", ranges)
        await server.nodes.objects.add_variable(ua.NodeId("Unit", index), "Unit", units)
        own = (ua.ObjectIds.Range, ua.ObjectIds.EUInformation)
        encodings = (ua.ObjectIds.Range_Encoding_DefaultBinary, ua.ObjectIds.EUInformation_Encoding_DefaultBinary)
        await server.delete_nodes([server.get_node(ua.NodeId(number)) for number in (*own, *encodings)])

        async def change() -> None:
            await one.write_value(ua.Range(0.0, 130.0))

        return change

    tags = [tag(0, "plc:s=Range#/High", "float64"), tag(1, "plc:s=Unit#/UnitId", "int32")]
    assert await foreign(tmp_path, make, tags) == {0: (130.0, 0), 1: (4408652, 0)}


async def test_a_server_from_before_1_04_is_read_by_its_type_dictionary(tmp_path: Path) -> None:
    async def make(server: Any, index: int) -> Any:
        builder = DataTypeDictionaryBuilder(server, index, "urn:example:plc", "Dictionary")
        await builder.init()
        inner = await builder.create_data_type("OldInner")
        inner.add_field("Pv", ua.VariantType.Float)
        whole = await builder.create_data_type("OldWhole")
        whole.add_field("Count", ua.VariantType.Int32)
        whole.add_field("Loops", inner, is_array=True)
        whole.add_field("Name", ua.VariantType.String)
        await builder.set_dict_byte_string()
        encoding = whole.node_ids[2]
        content = [(1, 1.5, b"one"), (2, 2.5, b"two")]

        def value(count: int, pv: float, name: bytes) -> Any:
            import struct

            body = struct.pack("<iiff", count, 2, 0.5, pv) + struct.pack("<i", len(name)) + name
            return ua.ExtensionObject(TypeId=encoding, Body=body)

        node = await server.nodes.objects.add_variable(ua.NodeId("Old", index), "Old", value(*content[0]), datatype=whole.data_type)

        async def change() -> None:
            await node.write_value(value(*content[1]))

        return change

    tags = [tag(0, "plc:s=Old#/Count", "int32"), tag(1, "plc:s=Old#/Loops[1]/Pv", "float32"), tag(2, "plc:s=Old#/Name", "string")]
    assert await foreign(tmp_path, make, tags) == {0: (2, 0), 1: (2.5, 0), 2: ("two", 0)}


async def test_a_probe_looks_at_the_fields(tmp_path: Path) -> None:
    async with structured(tmp_path) as bench:
        await bench.make()
        wrong = [*bench.tags[:4], tag(4, 'plc:s="DB"."Loop"#/Sped', "float32"), tag(5, 'plc:s="DB"."Loop"#/Speed', "int16")]
        driver = OpcUaDriver(bench.source, wrong)
        probed = [SimpleNamespace(value=None, state="", server_type="", problems=[]) for _ in wrong]
        async with connected(bench.source, driver.settings, bench.source.endpoints[0]) as link:
            await compare_fields(link, bench.source, driver.settings, wrong, probed)
        assert [one.state for one in probed] == ["ok"] * 4 + ["BadTypeMismatch"] * 2
        assert [one.server_type for one in probed] == ["Float", "Int32", "Double", "String", "unknown", "Float"]
        assert probed[0].value == bench.number
        assert probed[5].problems == ["the server sends Float, the map says int16"]


async def test_the_fastest_rate_and_the_widest_trigger_of_its_fields_hold_for_the_node(tmp_path: Path) -> None:
    from drivers.opcua.plan import plan_of

    source = Bench(tmp_path).source
    tags = [tag(0, "plc:s=X#/A", "int16", rate_ms=1000, deadband="5"), tag(1, "plc:s=X#/B", "int16", rate_ms=200, criticality="CPP")]
    driver = OpcUaDriver(source, tags)
    (item,) = plan_of(source, driver.settings, tags).groups[0].items
    assert (item.rate_ms, item.trigger, item.deadband, len(item.bindings)) == (200, 2, 0.0, 2)


async def test_a_value_whose_structure_changed_is_not_read_by_the_one_of_before(tmp_path: Path) -> None:
    """The bit StructureChanged (Part 4, 7.39.1) comes with one value. Of as many bytes, it would be Good and wrong."""
    async with structured(tmp_path) as bench:
        await bench.make()
        bench.run()
        await bench.caught_up()
        bench.plc.set_status("t0", 0x8000, time.time_ns() // 100)
        await eventually(lambda: any(reading[0] == 0 and reading[2] == 0x80110000 for reading in bench.disk.readings))
        await eventually(lambda: [r[2] & 0xC0000000 for r in bench.disk.readings if r[0] == 0][-1] == 0)
        assert bench.failures == []
