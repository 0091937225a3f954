"""`probe` and `browse` against a server with engineering units, ranges and arrays that tell nothing of their size."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from asyncua import Server, ua

from config import Source, Tag
from drivers.opcua import OpcUaDriver
from drivers.opcua.commissioning.probe_report import WIDTH, ProbedTag, ProbeReport, age, shown, wrapped
from drivers.opcua.session.declared import same_unit

Unit = tuple[str, int]


class Plant:
    """asyncua's own server, at a free port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tags: list[Tag] = []

    async def start(self) -> None:
        self.server = Server()
        await self.server.init()
        self.server.set_endpoint("opc.tcp://127.0.0.1:0/")
        self.server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        self.index = await self.server.register_namespace("urn:example:lab")
        self.place = await self.server.nodes.objects.add_folder(self.index, "Granulator")
        await self.server.start()
        self.port = self.server.bserver.port

    async def add(
        self, name: str, value: Any, kind: Any, told: Unit | None = None, range_: tuple[float, float] | None = None, **mapped: Any
    ) -> None:
        node = await self.place.add_variable(ua.NodeId(name, self.index), name, value, kind)
        if told is not None:
            unit = ua.EUInformation(UnitId=told[1], DisplayName=ua.LocalizedText(told[0]))
            await node.add_property(0, "EngineeringUnits", ua.Variant(unit, ua.VariantType.ExtensionObject))
        if range_ is not None:
            await node.add_property(0, "EURange", ua.Variant(ua.Range(*range_), ua.VariantType.ExtensionObject))
        if mapped:
            self.tags.append(Tag(tag=f"plant.{name.lower()}", source="plc", address=f"lab:s={name}", **mapped))

    def driver(self, **options: Any) -> OpcUaDriver:
        its = {"security": {"policy": "None"}, "namespaces": {"lab": "urn:example:lab"}, **options}
        source = Source(
            name="plc", driver="opcua", endpoint=f"opc.tcp://127.0.0.1:{self.port}/", rate_ms=100, options=its, folder=self.folder
        )
        return OpcUaDriver(source, self.tags)


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[Plant]:
    made = Plant(tmp_path)
    await made.start()
    yield made
    await made.server.stop()


@pytest.mark.urs("URS-DAQ-10")
async def test_units_and_ranges_are_compared_with_the_map(plant: Plant) -> None:
    double, kilogram = ua.VariantType.Double, int.from_bytes(b"KGM", "big")
    await plant.add(
        "Temperature", 61.0, double, ("°C", 0), (0.0, 120.0), type="float64", unit="Cel", source_unit="°C", eu_low=0, eu_high=120
    )
    await plant.add("Speed", 250.0, double, ("rpm", 0), (0.0, 600.0), type="float64", unit="/min", eu_low=0, eu_high=500)
    await plant.add("Pressure", 1.2, double, ("bar", 0), type="float64", unit="bar{gauge}", source_unit="mbar(g)")
    await plant.add("Water", 812.0, double, ("", kilogram), (0.0, 0.0), type="float64", unit="g", eu_low=0, eu_high=1)
    await plant.add("Level", 40.0, double, ("%", 0), type="float64")
    await plant.add("Step", 4, ua.VariantType.Int16, type="int16")

    report = await plant.driver().probe(0.3)

    assert [tag.problems for tag in report.tags] == [
        [],
        ["range: the server says 0..600, the map 0..500"],
        ["unit: the server says bar, the map says mbar(g)"],
        ["value: 812.0 lies outside the instrument's range 0..1 g; stored as Uncertain", "unit: the server says kg, the map says g"],
        ["unit: the server says %, the map names none"],
        [],
    ]
    assert report.tags[1].server_range == (0.0, 600.0)
    assert "6 tags: 2 as the map says, 4 to be looked at" in report.lines()


@pytest.mark.urs("URS-MAP-07")
async def test_what_this_user_may_write_is_told(plant: Plant) -> None:
    await plant.add("Read", 1.0, ua.VariantType.Double, type="float64")
    await plant.add("Written", 1.0, ua.VariantType.Double, type="float64")
    await plant.server.get_node(ua.NodeId("Written", plant.index)).set_writable()
    plant.tags.append(Tag(tag="plant.none", source="plc", address="lab:s=None", type="float64"))
    report = await plant.driver().probe(0.3)
    assert [tag.may_write for tag in report.tags] == [False, True, None]


async def test_browse_tells_units_ranges_and_the_elements_of_an_array(plant: Plant) -> None:
    await plant.add("Water", 812.0, ua.VariantType.Double, ("", int.from_bytes(b"KGM", "big")), (0.0, 0.0))
    await plant.add("Zones", [1.5, 2.5], ua.VariantType.Double, ("°C", 0), (0.0, 120.0))

    rows = (await plant.driver().browse()).rows

    assert [(row["tag"], row["address"], row.get("source_unit"), row.get("eu_high")) for row in rows] == [
        ("Granulator.Water", "lab:s=Water", "kg", None),
        ("Granulator.Zones-0", "lab:s=Zones#[0]", "°C", "120"),
        ("Granulator.Zones-1", "lab:s=Zones#[1]", "°C", "120"),
    ]


async def test_new_rows_are_named_as_in_a_whole_browse(plant: Plant) -> None:
    for name in ("A.B", "A_B", "A B"):
        await plant.add(name, 1.0, ua.VariantType.Double)
    whole = (await plant.driver().browse()).rows
    new = (await plant.driver().browse(known={whole[0]["address"], whole[2]["address"]})).rows
    assert [row["tag"] for row in whole] == ["Granulator.A_B", "Granulator.A_B-2", "Granulator.A_B-3"]
    assert new == [whole[1]]


def test_a_unit_is_the_same_however_it_is_written() -> None:
    assert same_unit("rpm", "1/min")
    assert same_unit("°C", "Cel")
    assert same_unit("Umdrehungen", "Umdrehungen")
    assert not same_unit("°C", "K")
    assert not same_unit("bar", "mbar")
    assert not same_unit("bar(g)", "bar{absolute}")
    assert not same_unit("Umdrehungen", "rpm")


def test_no_line_of_a_report_is_wider_than_a_terminal() -> None:
    long = "granulator.the-second-blower-of-the-fluid-bed-dryer.outlet.air.temperature.corrected"
    tags = [
        ProbedTag(long, "x", "ok", "an operator's text\nof two lines and many words", "string", "String", source_age_s=4.0, rate_ms=1000),
        ProbedTag(long + ".2", "x", "BadNodeIdUnknown", problems=["unit: " + "the server says something long " * 6]),
        ProbedTag("a", "x", "ok", -1.2345678901234e-30, "float64", "Double", "furlongs per fortnight", rate_ms=0, changes_per_s=1000.0),
    ]
    report = ProbeReport({}, "none", "anonymous", None, {}, tags, ["the server " * 20], 1, 3, 1.0, 2.5, 5.0)
    lines = report.lines()
    assert max(map(len, lines)) <= WIDTH
    assert any(line.startswith("ok ..") and "air.temperature.corrected " in line for line in lines)


@pytest.mark.bar("S09")
@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (True, "true"), (0.1, "0.1"), (b"\x01\xff", "01 ff"), ("a", "'a'"), ([1, 2], "2 elements"), (7, "7")]
)
def test_values_are_shown_on_one_line(value: Any, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "none"), (-30.0, "30 s ahead"), (0.04, "0.0 s old"), (200.0, "3 min old"), (9000.0, "2 h old"), (3e5, "3 d old")],
)
def test_ages(seconds: float | None, text: str) -> None:
    assert age(seconds) == text


def test_long_sentences_are_wrapped_at_words() -> None:
    (first, second) = wrapped(["   " + "word " * 24], "     ")
    assert first.startswith("   word")
    assert second.startswith("     word")
    assert len(first) <= WIDTH
