"""Browsing and probing a simulated PLC."""

import asyncio
from pathlib import Path

import pytest
from kit.opcua_bench import Bench

from config import Tag
from drivers.contract import DriverError
from drivers.opcua import OpcUaDriver


@pytest.mark.parametrize("page", [0, 7])
async def test_browse_gives_rows_that_the_map_accepts_in_the_same_order(tmp_path: Path, page: int) -> None:
    kinds = ["float64", "bool", "int16", "string"]
    async with Bench(tmp_path, count=40, types=kinds) as bench:
        bench.plc.switches.browse_page = page
        bench.plc.switches.limits = {"browse": 5, "read": 13}
        seen: list[str] = []
        first = await bench.driver.browse(progress=seen.append)
        again = await bench.driver.browse()
        assert first.rows == again.rows
        assert sorted(row["address"] for row in first.rows) == sorted(tag.address for tag in bench.tags)
        assert {row["address"]: row["type"] for row in first.rows} == {tag.address: tag.type for tag in bench.tags}
        assert seen[-1] == "40 of 40 variables described"
        assert len((await bench.driver.browse(known={tag.address for tag in bench.tags[:30]})).rows) == 10
        assert len((await bench.driver.browse(under="DB", match="*t1?")).rows) == 10
        with pytest.raises(DriverError, match="no 'Nowhere'"):
            await bench.driver.browse(under="Nowhere")


async def test_probe_tells_what_differs_and_leaves_nothing_behind(tmp_path: Path) -> None:
    async with Bench(tmp_path, count=5) as bench:
        await bench.make()
        bench.plc.remove("t3")
        wrong = [*bench.tags[:4], Tag(tag="t4", source="plc", address=bench.tags[4].address, type="int16")]
        driver = OpcUaDriver(bench.source, wrong)
        moving = asyncio.create_task(bench.make(60, every_s=0.05, tags=["t0"]))
        report = await driver.probe(1.5)
        await moving
        told = {tag.tag: tag for tag in report.tags}
        assert told["t0"].changes_per_s > 2
        assert told["t0"].source_time == "moving"
        assert told["t3"].state == "BadNodeIdUnknown"
        assert told["t4"].problems == ["type: the server's is Double, the map says int16"]
        assert report.problems == 2
        assert any(line.startswith("!! t4") for line in report.lines())
        assert not bench.plc.subscriptions.subscriptions
