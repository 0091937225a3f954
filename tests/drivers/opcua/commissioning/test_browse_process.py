"""Browsing and probing a simulated PLC."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from kit.opcua_bench import Bench

from config import Tag
from config.grammars.addresses import OpcUaAddress
from config.grammars.addresses import format as format_address
from drivers.contract import DriverError
from drivers.opcua import OpcUaDriver

TOO_LONG = "its identifier is too long for an address, which has at most 4096 characters"


async def test_an_identifier_that_no_cell_keeps_has_a_row_that_is_read(tmp_path: Path) -> None:
    odd = [" Blanks ", "", "two\nlines", '"DB', "\u201ccurly\u201d", "x" * 4085]
    bench = Bench(tmp_path, count=len(odd))
    for number, name in enumerate(odd):
        text = format_address("opcua", OpcUaAddress("s", name, namespace="plc"))
        bench.tags[number] = replace(bench.tags[number], address=text)
    async with bench:
        found = await bench.driver.browse()
        assert ({row["address"] for row in found.rows}, found.left_out) == ({tag.address for tag in bench.tags}, {})
        options = {"security": {"policy": "None"}}  # without short names an address has the namespace's URI, and is longer
        found = await OpcUaDriver(bench.source.model_copy(update={"options": options}), []).browse()
        assert [list(found.left_out.values()), len(found.rows)] == [[TOO_LONG], len(odd) - 1]
        await bench.begun()
        assert {reading[0] for reading in bench.disk.readings} == set(range(len(odd)))


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


def in_folders(path: Path, folders: int, each: int) -> Bench:
    bench = Bench(path, count=folders * each)
    for number, tag in enumerate(bench.tags):
        bench.tags[number] = replace(tag, address=f'plc:s="G{number // each}"."V{number % each}"')
    return bench


async def test_a_server_that_is_short_of_continuation_points_is_asked_for_fewer_lists_at_once(tmp_path: Path) -> None:
    async with in_folders(tmp_path, 12, 12) as bench:
        bench.plc.switches.browse_page, bench.plc.switches.browse_points = 5, 3
        found = await bench.driver.browse(match="G*")
        assert sorted(row["address"] for row in found.rows) == sorted(tag.address for tag in bench.tags)
        assert found.left_out == {}


async def test_a_browse_whose_connection_is_lost_goes_on_where_it_was_and_finds_the_same(tmp_path: Path) -> None:
    async with in_folders(tmp_path, 12, 12) as bench:
        whole = await bench.driver.browse()
        said: list[str] = []

        def progress(text: str) -> None:
            if not said or "seen" in text:
                bench.cable.reset()
            said.append(text)

        assert await bench.driver.browse(progress=progress) == whole
        assert said.count("the connection was lost, it is made again") >= 2


async def test_a_browse_waits_for_a_server_that_is_away_for_some_seconds(tmp_path: Path) -> None:
    async with in_folders(tmp_path, 3, 2) as bench:
        whole = await bench.driver.browse()
        said: list[str] = []

        def progress(text: str) -> None:
            if not said:
                bench.cable.cut()
                asyncio.get_running_loop().call_later(2.0, bench.cable.mend)
            said.append(text)

        assert await bench.driver.browse(progress=progress) == whole
        assert said.count("the connection was lost, it is made again") >= 2


async def test_a_folder_that_does_not_tell_what_lies_below_it_is_left_out_by_name(tmp_path: Path) -> None:
    async with in_folders(tmp_path, 3, 2) as bench:
        bench.plc.switches.browse_refused = {"G1"}
        found = await bench.driver.browse()
        assert len(found.rows) == 4
        assert found.left_out == {"G1/*": "what lies below it is not told: BadUserAccessDenied"}
        with pytest.raises(DriverError, match="what lies below 'V0' is not told: BadUserAccessDenied"):
            await bench.driver.browse(under="G1/V0")


@pytest.mark.urs("URS-MAP-07")
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
