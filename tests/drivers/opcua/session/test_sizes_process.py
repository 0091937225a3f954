"""Messages as large as the server takes, and as it sends: calls are cut by their encoded size, notifications by their number."""

from dataclasses import replace
from pathlib import Path

import pytest
from kit.opcua_bench import Bench
from kit.processes import eventually

from drivers.opcua import OpcUaDriver

LONG = '"' + "x" * 100


def long_named(path: Path, count: int) -> Bench:
    """A PLC whose node ids are as long as those of data blocks and OPC servers often are."""
    bench = Bench(path, count=count)
    bench.tags = [replace(tag, address=f'plc:s="DB".{LONG}{number}"') for number, tag in enumerate(bench.tags)]
    return bench


@pytest.mark.parametrize("is_told", [True, False])
async def test_calls_are_cut_to_what_a_small_server_takes_in_one_message(tmp_path: Path, is_told: bool) -> None:
    """150 kB of items in one call, 32 KiB taken: the server ends the connection over a larger one, and may not say beforehand."""
    async with long_named(tmp_path, 1000) as bench:
        bench.plc.switches.message_bytes, bench.plc.switches.tells_message_bytes = 32_768, is_told
        await bench.plc.stop()
        await bench.plc.start()
        await bench.make()
        bench.run()
        await bench.caught_up()
        assert len({reading[0] for reading in bench.disk.readings}) == 1000
        assert len(bench.plc.subscriptions.subscriptions) == 1
        assert (len(bench.failures) == 0) == is_told, bench.failures
        assert all("BadRequestTooLarge" in failure or "BadTcpMessageTooLarge" in failure for failure in bench.failures)


async def test_values_that_fill_no_message_together_come_in_several(tmp_path: Path) -> None:
    async with Bench(tmp_path, count=20, types=("string",)) as bench:
        bench.plc.switches.publish_bytes = 500
        await bench.make()
        bench.run()
        await bench.caught_up()
        await bench.make(3)
        await bench.caught_up()
        assert not bench.wrong_values()
        assert bench.driver.counts["smaller-messages"] >= 1
        assert bench.failures == []


@pytest.mark.urs("URS-SEC-09")
async def test_one_value_that_fits_into_no_message_stops_no_other(tmp_path: Path) -> None:
    """It is found by reading node by node, its item is taken out, and it is asked for again from time to time."""
    async with Bench(tmp_path, count=5, types=("string",)) as bench:
        await bench.make()
        bench.run()
        await bench.caught_up()
        bench.plc.switches.publish_bytes = 300
        bench.plc.set_variant("t3", b"\x0c\xe8\x03\x00\x00" + b"y" * 1000, 1_700_000_000 * 10**7)
        await eventually(lambda: any(loss.cause == "not-subscribed" and loss.tags == (3,) for loss in bench.disk.losses))
        known = len(bench.disk.readings)
        await bench.make(2, tags=["t0", "t1", "t2", "t4"])
        await eventually(lambda: {reading[0] for reading in bench.disk.readings[known:] if reading[2] == 0} == {0, 1, 2, 4})
        assert bench.failures == []
        bench.plc.switches.publish_bytes = 0
        await bench.make()
        await bench.caught_up()


def test_a_driver_begins_without_a_limit_of_its_own(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert OpcUaDriver(bench.source, bench.tags)._most_sent_bytes == 0
