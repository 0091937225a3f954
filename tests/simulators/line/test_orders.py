"""Orders to a simulated line: each does what it says, in the device's own log too, and one that can not be obeyed is refused."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import config
from simulators.device import TICKS_PER_S
from simulators.line.beyond import Beyond
from simulators.line.drive import TICK_S, Process, served
from simulators.line.endpoints import free_ports, moved
from simulators.line.place import copied

pytestmark = pytest.mark.urs("URS-VAL-06")
SITE = config.load(Path(config.__file__).parent / "examples" / "granulation-2")
STARTED = datetime(2026, 1, 5, 6, 0, tzinfo=UTC)
BASE = int(STARTED.timestamp()) * TICKS_PER_S


class Plant:
    """The bundled line, played as fast as it goes."""

    def __init__(self, process: Process, at: list[int], truth: Path) -> None:
        self.process, self._at, self._truth, self._tick = process, at, truth, 0

    async def runs(self, seconds: float) -> None:
        for _ in range(round(seconds / TICK_S)):
            now = self.process.moment(self._tick * TICK_S, STARTED)
            self._at[0] = BASE + round(now.at_s * TICKS_PER_S)
            await self.process.tick(now, (self._tick - 1) * TICK_S)
            self._tick += 1

    async def order(self, **order: Any) -> dict[str, Any]:
        return await self.process.orders.obey(order)

    def log(self, source: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self._truth / f"{source}.jsonl").read_text().splitlines()]


@asynccontextmanager
async def plant(folder: Path) -> AsyncIterator[Plant]:
    ports, at = free_ports(), [BASE]
    line = copied(SITE, folder / "line", {source.name: moved(source, next(ports)) for source in SITE.sources})
    async with served(line, folder / "truth", None) as devices:
        yield Plant(Process(line, devices, 1, 12.0, now=lambda: at[0]), at, folder / "truth")


async def test_a_parameter_leaves_its_limits_for_whole_runs_and_only_while_it_is_ordered(tmp_path: Path) -> None:
    async with plant(tmp_path) as line:
        assert await line.order(do="beyond", side="high") == {}
        await line.runs(15)
        speeds = [one["value"] for one in line.log("granulator-plc") if one["tag"] == "granulator.impeller_speed"]
        assert max(speeds) > 270, "the high limit of wet massing"
        assert await line.order(do="beyond", side=None) == {}
        assert "error" in await line.order(do="beyond", side="sideways")


def test_a_limit_is_left_within_the_range_of_the_instrument_or_not_at_all() -> None:
    beyond = Beyond(SITE)
    rows = {row.parameter: row for row in SITE.parameters}
    level = beyond.level(rows["wm_impeller_mean"], "high")
    assert level is not None
    assert level > 270
    assert beyond.level(rows["wm_temp_max"], "low") is None, "it has no lower limit"
    assert beyond.level(rows["dry_lod"], "high") is None, "no tag gives it"
    assert beyond.level(rows["cip_duration"], "high") is None, "no value makes a step longer"


async def test_rows_are_written_edited_and_deleted_and_stand_in_the_log(tmp_path: Path) -> None:
    async with plant(tmp_path) as line:
        row = (await line.order(do="insert", source="mes", name="orders", row={"product": "A"}))["row"]
        changed = (await line.order(do="change", source="mes", name="orders", key=str(row["id"]), row={"product": "B"}))["row"]
        assert (row["product"], changed["product"]) == ("A", "B")
        assert await line.order(do="delete", source="mes", name="orders", key=str(row["id"])) == {}
        assert [one["row"].get("product") for one in line.log("mes")] == ["A", "B", None]
        dropped = (await line.order(do="insert", source="lims-drop", name="results", row={"sample_id": "S-1"}))["row"]
        assert dropped["sample_id"] == "S-1"


async def test_a_device_that_is_switched_off_has_nothing_and_goes_on(tmp_path: Path) -> None:
    async with plant(tmp_path) as line:
        await line.runs(3)
        assert await line.order(do="stop", source="dryer-plc") == {}
        before = len(line.log("dryer-plc"))
        await line.runs(3)
        assert len(line.log("dryer-plc")) == before
        assert await line.order(do="start", source="dryer-plc") == {}
        await line.runs(3)
        assert len(line.log("dryer-plc")) > before


async def test_a_held_tag_keeps_its_value_until_it_is_free(tmp_path: Path) -> None:
    async with plant(tmp_path) as line:
        await line.order(do="hold", tag="granulator.impeller_speed", value=123.0)
        await line.runs(5)
        await line.order(do="free", tag="granulator.impeller_speed")
        held = len([one for one in line.log("granulator-plc") if one["tag"] == "granulator.impeller_speed"])
        await line.runs(5)
        speeds = [one["value"] for one in line.log("granulator-plc") if one["tag"] == "granulator.impeller_speed"]
        assert set(speeds[:held]) == {123.0}
        assert len(set(speeds)) > 3


async def test_an_order_that_can_not_be_obeyed_is_refused_with_its_reason(tmp_path: Path) -> None:
    async with plant(tmp_path) as line:
        for order, said in (
            ({"do": "dance"}, "dance"),
            ({"do": "stop", "source": "nobody"}, "no device nobody is served"),
            ({"do": "fault", "source": "mes", "kind": "exception"}, "for modbus and serial"),
            ({"do": "fault", "source": "dryer-plc", "colour": "red"}, "colour"),
            ({"do": "change", "source": "mes", "name": "orders", "key": "99", "row": {}}, "no row 99"),
        ):
            assert said in (await line.order(**order)).get("error", ""), order


async def test_a_devices_clock_is_put_off_and_its_own_log_has_what_it_shows(tmp_path: Path) -> None:
    async with plant(tmp_path) as line:
        await line.runs(2)
        assert await line.order(do="clock", source="granulator-plc", offset_s=-3600.0) == {}
        known = len(line.log("granulator-plc"))
        await line.runs(4)
        later = [one["t"] for one in line.log("granulator-plc")[known:]]
        assert later
        assert max(later) < BASE, "an hour behind, whatever drifts"
        assert "tells no time" in (await line.order(do="clock", source="dryer-plc", offset_s=1.0))["error"]


async def test_a_server_declares_another_unit_and_gives_a_tag_another_type(tmp_path: Path) -> None:
    import asyncua

    client_of: Any = vars(asyncua)["Client"]
    node_id: Any = asyncua.ua.NodeId
    tag = next(tag for tag in SITE.tags if tag.tag == "granulator.impeller_speed")
    async with plant(tmp_path) as line:
        await line.runs(1)
        url = config.load(tmp_path / "line").sources[0].endpoints[0]
        assert await line.order(do="unit", source=tag.source, tag=tag.tag, unit="kg") == {}
        async with client_of(url) as client:
            index = await client.get_namespace_index("urn:example:granulator")
            node = client.get_node(node_id('"DB_GRN"."Impeller"."Speed"', index))
            declared = {(await one.read_browse_name()).Name: await one.read_value() for one in await node.get_properties()}
            assert (declared["EngineeringUnits"].DisplayName.Text, declared["EURange"].Low, declared["EURange"].High) == ("kg", 0.0, 500.0)
            assert (await node.read_data_value()).StatusCode.value & 0x4000
            await line.order(do="type", source=tag.source, tag=tag.tag, value="OQ")
            assert await node.read_value() == "OQ"
        assert line.log(tag.source)[-1]["value"] == "OQ"


async def test_a_counter_that_runs_on_while_it_is_read_is_torn_and_its_log_says_what_it_had(tmp_path: Path) -> None:
    async with plant(tmp_path) as line:
        await line.runs(1)
        where = {"source": "dryer-plc", "tag": "dryer.air_total"}
        assert await line.order(do="tear", **where, start=0x2_F000, step=0x1000, first="upper") == {}
        await line.runs(1)
        memory: Any = line.process.orders._devices["dryer-plc"]
        answers = [memory.memory.answer(1, bytes((4, 0, 22, 0, 2)))[0][2:] for _ in range(8)]
        torn = (await line.order(do="whole", **where))["torn"]
        had = {one["value"] for one in line.log("dryer-plc") if one["tag"] == "dryer.air_total" and one["what"] == "made"}
        strange = [value for value in (int.from_bytes(data, "big") for data in answers) if value not in had]
        assert torn == len(strange) > 0
        assert (await line.order(do="torn", **where))["torn"] == torn, "it stands still"


async def test_exchanged_words_are_answered_the_other_way_round_and_back(tmp_path: Path) -> None:
    async with plant(tmp_path) as line:
        await line.order(do="hold", tag="dryer.air_flow", value=3000.0)
        await line.runs(1)
        device: Any = line.process.orders._devices["dryer-plc"]

        def answered() -> bytes:
            return bytes(device.memory.answer(1, bytes((4, 0, 10, 0, 2)))[0][2:])

        right = answered()
        await line.order(do="exchange", source="dryer-plc", tag="dryer.air_flow")
        assert answered() == right[2:] + right[:2] != right
        await line.order(do="exchange", source="dryer-plc", tag="dryer.air_flow")
        assert answered() == right
