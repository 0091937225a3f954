"""A server whose unit or range changes under a running subscription: nothing of it is Good until the map is proved right again."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from asyncua import Server, ua
from kit.opcua_bench import QUICK, Disk
from kit.processes import eventually

from config import Source, Tag
from config.units.scaling import scaling_of
from config.units.units import conversion
from drivers.contract import DriverError
from drivers.opcua import OpcUaDriver
from drivers.opcua.session.declared import compared
from drivers.opcua.subscription.semantics import Semantics

CHANGED = 0x4000
UNCERTAIN, BAD = 0x420F4000, 0x80894000
RANGE = {"eu_low": Decimal(0), "eu_high": Decimal(120)}


class Oven:
    """asyncua's own server with one temperature, and a driver that subscribes to it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.disk = folder, Disk()
        self.tag = Tag(tag="oven.t", source="plc", address="lab:s=T", type="float64", unit="Cel", source_unit="°C", **RANGE)
        self.task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.server = Server()
        await self.server.init()
        self.server.set_endpoint("opc.tcp://127.0.0.1:0/")
        self.server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        index = await self.server.register_namespace("urn:example:lab")
        self.node = await self.server.nodes.objects.add_variable(ua.NodeId("T", index), "T", 20.0, ua.VariantType.Double)
        self.unit = await self.node.add_property(0, "EngineeringUnits", ua.Variant(unit_of("°C"), ua.VariantType.ExtensionObject))
        self.range = await self.node.add_property(0, "EURange", ua.Variant(ua.Range(0.0, 120.0), ua.VariantType.ExtensionObject))
        await self.server.start()

    def run(self, **changed: Any) -> None:
        for name, value in changed.items():
            object.__setattr__(self.tag, name, value)
        options = {"security": {"policy": "None"}, "namespaces": {"lab": "urn:example:lab"}, **QUICK}
        source = Source(
            name="plc",
            driver="opcua",
            endpoint=f"opc.tcp://127.0.0.1:{self.server.bserver.port}/",
            rate_ms=50,
            options=options,
            folder=self.folder,
        )
        self.driver = OpcUaDriver(source, [self.tag])
        self.task = asyncio.create_task(self._supervised(self.driver))

    async def _supervised(self, driver: OpcUaDriver) -> None:
        while True:
            with contextlib.suppress(DriverError):  # asyncua's server answers a request of the session before, once
                await driver.run(self.disk)
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)

    async def says(self, value: float, status: int = 0) -> None:
        told = ua.DataValue(
            ua.Variant(value, ua.VariantType.Double), ua.StatusCode(status), SourceTimestamp=datetime.now(UTC).replace(tzinfo=None)
        )
        await self.server.write_attribute_value(self.node.nodeid, told)

    async def declares(self, unit: str | None = None, range_: tuple[float, float] | None = None) -> None:
        if unit is not None:
            await self.unit.write_value(ua.Variant(unit_of(unit), ua.VariantType.ExtensionObject))
        if range_ is not None:
            await self.range.write_value(ua.Variant(ua.Range(*range_), ua.VariantType.ExtensionObject))

    async def stored(self, value: float | None, status: int) -> None:
        await eventually(lambda: any(reading[1:3] == (value, status) for reading in self.disk.readings[-3:]))

    def findings(self) -> list[tuple[str, str]]:
        return [(f.code, f.severity) for f in self.disk.findings if f.code.startswith("semantics")]


def unit_of(text: str) -> Any:
    return ua.EUInformation(UnitId=0, DisplayName=ua.LocalizedText(text))


@pytest.fixture
async def oven(tmp_path: Path) -> AsyncIterator[Oven]:
    made = Oven(tmp_path)
    await made.start()
    made.run()
    await made.stored(20.0, 0)
    await eventually(lambda: made.driver.counts.get("declared-compared"))
    yield made
    await made.stop()
    await made.server.stop()


@pytest.mark.urs("URS-DAQ-10")
async def test_what_is_read_again_and_is_as_the_map_says_is_good_again_without_a_new_value(oven: Oven) -> None:
    await oven.says(21.0, CHANGED)
    await eventually(lambda: oven.findings() == [("semantics-changed", "info")])
    await eventually(lambda: (0, 21.0, UNCERTAIN) in [reading[:3] for reading in oven.disk.readings])
    assert (21.0, 0) not in [reading[1:3] for reading in oven.disk.readings], "not before it is proved"
    await oven.says(22.0)
    await oven.stored(22.0, 0)


@pytest.mark.urs("URS-DAQ-10", "URS-DAQ-05")
async def test_another_unit_makes_every_reading_bad_until_the_unit_is_the_maps_again(oven: Oven) -> None:
    await oven.declares(unit="°F")
    await oven.says(70.0, CHANGED)
    await eventually(lambda: oven.findings() == [("semantics-changed", "alarm")])
    assert "unit: the server says °F, the map says °C; its readings are Bad" in oven.disk.findings[-1].text
    await oven.says(71.0)
    await oven.stored(None, BAD)
    await oven.declares(unit="°C")
    await oven.says(22.0, CHANGED)
    await eventually(lambda: oven.findings()[-1] == ("semantics-changed-over", "info"))
    await oven.says(23.0)
    await oven.stored(23.0, 0)
    assert not {70.0, 71.0} & {reading[1] for reading in oven.disk.readings if reading[2] == 0}


@pytest.mark.urs("URS-DAQ-10")
async def test_a_doubt_outlives_a_restart_until_somebody_writes_the_row_anew(oven: Oven) -> None:
    await oven.declares(range_=(0.0, 400.0))
    await oven.says(70.0, CHANGED)
    await eventually(lambda: oven.findings() == [("semantics-changed", "alarm")])
    assert "range: the server says 0..400, the map 0..120; its readings are Uncertain" in oven.disk.findings[-1].text
    await oven.says(71.0)
    await oven.stored(71.0, UNCERTAIN)
    await oven.stop()
    oven.disk = Disk(oven.disk)
    oven.run()
    await oven.says(72.0)
    await oven.stored(72.0, UNCERTAIN)
    await oven.stop()
    oven.disk = Disk(oven.disk)
    oven.run(eu_high=Decimal(400))
    await eventually(lambda: oven.findings() == [("semantics-changed-over", "info")])
    await oven.says(73.0)
    await oven.stored(73.0, 0)


def test_a_doubt_that_comes_while_it_is_asked_stays() -> None:
    tag = Tag("t", "s", "a", "float64", unit="Cel")
    semantics = Semantics([tag])
    semantics.doubt(0)
    assert semantics.to_ask(0.0) == [0]
    semantics.doubt(0)
    semantics.answered(0, {"source_unit": "°C"})
    assert semantics.judged([(0, 1.0, 0, None, None)]) == [(0, 1.0, UNCERTAIN, None, None)]
    assert semantics.to_ask(1.0) == [0]
    assert semantics.judged([(0, None, 0x800A0000, None, None), (0, 1.0, 0x40900000, None, None)]) == [
        (0, None, 0x800A0000, None, None),
        (0, 1.0, 0x40900000, None, None),
    ], "what the source doubts itself keeps its reason"


@pytest.mark.urs("URS-DAQ-10", "URS-MAP-06")
async def test_a_unit_that_changed_while_nobody_listened_is_found_at_the_next_start(oven: Oven) -> None:
    await oven.stop()
    await oven.declares(unit="°F")
    oven.disk = Disk(oven.disk)
    oven.run()
    await eventually(lambda: oven.findings() == [("semantics-changed", "alarm")])
    assert "declares otherwise than the map: unit: the server says °F, the map says °C; its readings are Bad" in oven.disk.findings[-1].text
    await oven.says(70.0)
    await oven.stored(None, BAD)
    await oven.stop()
    for round_ in range(2):  # who confirms it in the row is believed, also at the start after that
        oven.disk = Disk(oven.disk)
        oven.run(description="the server's unit is wrong: confirmed, °C")
        await eventually(lambda: oven.driver.counts.get("declared-compared"))
        await oven.says(71.0 + round_)
        await oven.stored(71.0 + round_, 0)
        await oven.stop()
        assert ("semantics-changed", "alarm") not in oven.findings()
    assert list(oven.disk.watermark["accepted"]) == ["oven.t"]
    await oven.declares(unit="K")
    oven.disk = Disk(oven.disk)
    oven.run()
    await eventually(lambda: oven.findings() == [("semantics-changed", "alarm")])


def test_texts_of_an_enumeration_are_compared_with_those_of_the_start() -> None:
    tag = Tag("t", "s", "a", "int32", codes="state")
    semantics, same = Semantics([tag]), {"enumeration": "0 Off; 1 On"}
    assert semantics.met(0, same) is None
    semantics.doubt(0)
    assert semantics.to_ask(0.0) == [0]
    assert semantics.answered(0, same).severity == "info"
    assert not semantics.are_doubted([0])
    semantics.doubt(0)
    finding = semantics.answered(0, {"enumeration": "0 On; 1 Off"})
    assert (finding.severity, "enumeration: the server says 0 On; 1 Off, it said 0 Off; 1 On" in finding.text) == ("alarm", True)
    assert semantics.are_doubted([0])
    never_read = Semantics([tag])
    never_read.doubt(0)
    assert never_read.answered(0, same).severity == "alarm", "nothing is known to compare with"


def test_a_map_without_a_unit_says_nothing_that_a_declared_unit_contradicts() -> None:
    tag = Tag("t", "s", "a", "float64", eu_low=Decimal(0), eu_high=Decimal(5))
    assert Semantics([tag]).met(0, {"source_unit": "bar", "eu_low": "0", "eu_high": "5"}) is None


@pytest.mark.urs("URS-MAP-06")
@pytest.mark.parametrize(
    ("stated", "differing", "unproved"),
    [
        ({"source_unit": "°F", "eu_low": "32", "eu_high": "212"}, (), ()),
        ({"source_unit": "°F", "eu_low": "320", "eu_high": "2120"}, (), ()),
        ({"source_unit": "°F", "eu_low": "0", "eu_high": "100"}, ("range: the server says 0..100, the map 0..100 Cel",), ()),
        ({"source_unit": "°C", "eu_low": "32", "eu_high": "212"}, ("unit: the server says °C, the map says °F",), ()),
        ({}, (), ("unit", "range")),
    ],
)
def test_a_range_is_compared_in_the_units_unit_or_raw_where_the_map_scales(
    stated: dict[str, str], differing: tuple[str, ...], unproved: tuple[str, ...]
) -> None:
    """Tenths of a degree Fahrenheit, kept in Celsius: 320..2120 raw are 32..212 °F are 0..100 °C."""
    slope, intercept = conversion("°F", "Cel")
    scaling = scaling_of(slope / 10, intercept, is_integer=True)
    tag = Tag("t", "s", "a", "int16", unit="Cel", source_unit="°F", eu_low=Decimal(0), eu_high=Decimal(100), scaling=scaling)
    outcome = compared(tag, stated)
    assert (outcome.differing, outcome.unproved) == (differing, unproved)
    assert outcome.unit_differs == any(text.startswith("unit") for text in differing)
