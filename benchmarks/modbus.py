"""What Modbus costs: CPU seconds per million values of the driver, beside pymodbus's client used value by value and block by block.

The device (the simulator) runs in a process of its own; only this process's CPU time counts. All values change ten times a second.
"""

import asyncio
import multiprocessing
import struct
import time
from contextlib import suppress
from multiprocessing.connection import Connection

from pymodbus.client import AsyncModbusTcpClient

from config import Source, Tag
from drivers.modbus import ModbusDriver
from drivers.modbus.decode import compiled
from drivers.modbus.plan import ReadLimits, plan
from drivers.modbus.settings import ModbusSettings
from drivers.modbus.values import value_of
from simulators.device import Truth
from simulators.modbus_plc import ModbusPlc

TAGS = 500
SECONDS = 5.0
FLOATS = [Tag(tag=f"t{at}", source="plc", address=f"1/holding/{2 * at}:float32", type="float32") for at in range(TAGS)]
ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")
MIXED = [
    Tag(tag=f"t{at}", source="plc", address=f"1/holding/{2 * at}:{k}:{ORDERS[at % 4]}", type=k)
    for at, k in enumerate(["float32", "int32"] * (TAGS // 2))
]


def source(port: int, rate_ms: int = 100) -> Source:
    return Source(name="plc", driver="modbus", endpoint=f"tcp://127.0.0.1:{port}", rate_ms=rate_ms)


def device(ports: Connection, tags: list[Tag]) -> None:
    """A PLC in its own process; tells its port, then how late its process ran at worst."""

    async def serve() -> None:
        plc = ModbusPlc(source(0), tags, Truth(None))
        await plc.start()
        ports.send(plc.port)
        number, due = 0, time.monotonic()
        while True:
            number += 1
            await plc.set({tag.tag: number % 1000 + at / 8 for at, tag in enumerate(tags)}, 0)
            due += 0.1
            await asyncio.sleep(max(due - time.monotonic(), 0))

    with suppress(KeyboardInterrupt):
        asyncio.run(serve())


class Count:
    """The gateway's side (see drivers.contract.Emit): counts."""

    def __init__(self) -> None:
        self.watermark, self.values, self.lists, self.alive, self.findings = {}, 0, 0, 0, []
        self._done = asyncio.get_running_loop().create_future()
        self._done.set_result(None)

    def __call__(self, readings, *, alive=(), **_):
        self.values += len(readings)
        self.alive += len(alive) - len(readings)  # what was listed stands in both
        self.lists += 1
        return self._done

    async def room(self):
        pass

    def lost(self, loss):
        raise SystemExit(f"lost: {loss}")

    def found(self, finding):
        self.findings.append(finding.text)
        return self._done

    def connected(self, detail=""):
        pass


async def driver_at(ports: list[int], tags: list[Tag], rate_ms: int) -> tuple[float, Count]:
    """CPU seconds and counts of one driver per port, for SECONDS."""
    count = Count()
    tasks = [asyncio.create_task(ModbusDriver(source(port, rate_ms), tags).run(count)) for port in ports]
    await asyncio.sleep(0.5)
    count.values = count.lists = count.alive = 0
    begun = time.process_time()
    await asyncio.sleep(SECONDS)
    spent = time.process_time() - begun
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    return spent, count


async def library_at(port: int, *, at_once: bool) -> tuple[float, int]:
    """CPU seconds of pymodbus's client for reads of 62 floats, converted one by one or block by block."""
    client = AsyncModbusTcpClient("127.0.0.1", port=port)
    await client.connect()
    values, begun, until = 0, time.process_time(), time.monotonic() + SECONDS
    while time.monotonic() < until:
        answer = await client.read_holding_registers(0, count=124, device_id=1)
        if at_once:
            client.convert_from_registers(answer.registers, client.DATATYPE.FLOAT32)
        else:
            for at in range(0, 124, 2):
                client.convert_from_registers(answer.registers[at : at + 2], client.DATATYPE.FLOAT32)
        values += 62
    client.close()
    return time.process_time() - begun, values


def decoding() -> None:
    limits = ReadLimits()
    for name, tags in (("500 float32 ABCD", FLOATS), ("500 float32 and int32, four orders", MIXED)):
        block = plan([value_of(at, tag, ModbusSettings()) for at, tag in enumerate(tags)], limits)[0]
        decode, data = compiled(block), struct.pack(f">{block.count}H", *range(block.count))
        begun = time.process_time()
        for _ in range(20_000):
            decode(data)
        print(f"decoding a block of {name}: {(time.process_time() - begun) / 20_000 / len(block.tags) * 1e6:.3f} us per value")
    many = [
        value_of(at, Tag(tag=f"t{at}", source="s", address=f"{1 + at % 8}/holding/{at // 8 * 3}:float32", type="float32"), ModbusSettings())
        for at in range(100_000)
    ]
    begun = time.process_time()
    blocks = plan(many, limits)
    print(f"planning 100,000 tags of 8 units: {time.process_time() - begun:.2f} s, {len(blocks)} reads")


def main() -> None:
    processes, ports = [], []
    for _ in range(2):
        ours, theirs = multiprocessing.Pipe()
        processes.append(multiprocessing.Process(target=device, args=(theirs, FLOATS), daemon=True))
        processes[-1].start()
        ports.append(ours.recv())
    print(f"{'':46}{'values/s':>10}{'lists/s':>9}{'CPU %':>7}{'CPU s per million':>19}")
    for name, used, rate_ms in (
        (f"driver, 1 source x {TAGS} tags x 10 Hz", ports[:1], 100),
        (f"driver, 2 sources x {TAGS} tags x 10 Hz", ports, 100),
        (f"driver, 1 source x {TAGS} tags x 100 Hz", ports[:1], 10),
    ):
        spent, count = asyncio.run(driver_at(used, FLOATS, rate_ms))
        read = count.values + count.alive
        print(f"{name:46}{read / SECONDS:10,.0f}{count.lists / SECONDS:9,.0f}{spent / SECONDS:7.1%}{spent / read * 1e6:19.2f}")
        for text in count.findings:
            print("   ", text)
    for name, at_once in (("pymodbus's client, converted block by block", True), ("pymodbus's client, converted value by value", False)):
        spent, read = asyncio.run(library_at(ports[0], at_once=at_once))
        print(f"{name:46}{read / SECONDS:10,.0f}{'':9}{spent / SECONDS:7.1%}{spent / read * 1e6:19.2f}")
    decoding()
    for process in processes:
        process.kill()


if __name__ == "__main__":
    main()
