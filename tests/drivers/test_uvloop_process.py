"""Modbus and serial drivers under uvloop, the loop that the installed program may run on."""

import asyncio
from typing import Any

import pytest
import uvloop
from kit.collector import Collector
from kit.processes import DEADLINE_S

from config import Source, Tag
from drivers.contract import LinkLost
from drivers.modbus import ModbusDriver
from drivers.serial import SerialDriver
from simulators.device import Truth
from simulators.modbus_plc import Fault, ModbusPlc
from simulators.scale import Scale


class First(Collector):
    """Takes what comes and tells when a wanted value has come."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[Any] = []

    def __call__(self, readings, **_):
        self.values += [value for _, value, status, _, _ in readings if status == 0]
        return self.done()


async def read_lose_and_read_again(device, driver, fault, value):
    """A value arrives, what is asked next meets a fault, a value arrives again, the device goes away."""
    await device.start()
    endpoint_port = getattr(device, "port", 0)
    emit = First()
    await device.set({"t": value}, 0)
    task = asyncio.create_task(driver(endpoint_port).run(emit))
    await emit.until(lambda: emit.values)
    device.faults.append(fault)
    await emit.until(lambda: emit.losses)
    before = len(emit.values)
    await emit.until(lambda: len(emit.values) > before)
    await device.stop()
    with pytest.raises(LinkLost):
        async with asyncio.timeout(DEADLINE_S):
            await task
    assert {float(v) for v in emit.values} == {value}


@pytest.mark.parametrize("transport", ["tcp", "rtu-tcp", "rtu"])
def test_modbus_under_uvloop(tmp_path, transport):
    tags = [Tag(tag="t", source="plc", address="1/holding/0:float32", type="float32")]

    def source(port: int = 0) -> Source:
        endpoint = "rtu://bus" if transport == "rtu" else f"{transport}://127.0.0.1:{port}"
        return Source(name="plc", driver="modbus", endpoint=endpoint, rate_ms=20, folder=tmp_path, options={"timeout_ms": 80})

    async def story():
        plc = ModbusPlc(source(), tags, Truth(None))
        await read_lose_and_read_again(plc, lambda port: ModbusDriver(source(port), tags), Fault("drop", times=2), 251.5)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(story())


def test_a_scale_under_uvloop(tmp_path):
    from simulators.scale import ScaleFault

    tags = [Tag(tag="t", source="scale", address="weight", type="decimal", source_unit="kg")]
    options = {"protocol": "mt-sics", "timeout_ms": 100}
    source = Source(name="scale", driver="serial", endpoint="serial://ports/s", rate_ms=50, folder=tmp_path, options=options)

    async def story():
        await read_lose_and_read_again(Scale(source, tags, Truth(None)), lambda _: SerialDriver(source, tags), ScaleFault("silent"), 12.25)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(story())
