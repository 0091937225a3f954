"""Devices that ignore what comes too soon: behind their answer, or behind the connection. And those whose answers name another request."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from config import Source, Tag
from drivers.modbus import ModbusDriver
from drivers.modbus.frames import NoAnswer, read_request
from drivers.modbus.settings import Endpoint
from drivers.modbus.tcp import TcpLink

PAUSE_S = 0.05


class Hasty:
    """A device that hears nothing for a while after it was connected, and for a while after each of its answers."""

    def __init__(self, after_connect_s: float = 0.0, after_answer_s: float = 0.0) -> None:
        self._after_connect_s, self._after_answer_s = after_connect_s, after_answer_s
        self.connections = self.ignored = self.open = 0
        self.over = asyncio.Event()  # no connection is open any more
        self.transaction: Callable[[bytes], bytes] = lambda number: number

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        now = asyncio.get_running_loop().time
        self.connections += 1
        self.open += 1
        self.over.clear()
        hears_s = now() + self._after_connect_s
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readexactly(12)
                if now() < hears_s:
                    self.ignored += 1
                    continue
                writer.write(self.transaction(head[:2]) + b"\0\0\0\x05" + head[6:8] + b"\x02\x12\x34")
                hears_s = now() + self._after_answer_s
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        self.open -= 1
        if not self.open:
            self.over.set()


@asynccontextmanager
async def linked(device: Hasty, timeout_s: float = 5.0, **options: Any) -> AsyncIterator[TcpLink]:
    server = await asyncio.start_server(device.serve, "127.0.0.1", 0)
    link = TcpLink(Endpoint("tcp", "127.0.0.1", server.sockets[0].getsockname()[1]), timeout_s, 1, **options)
    try:
        yield link
    finally:
        link.close()
        await device.over.wait()
        server.close()


@pytest.mark.urs("URS-DAQ-11")
async def test_nothing_is_asked_before_the_connection_is_so_old() -> None:
    device = Hasty(after_connect_s=PAUSE_S)
    async with linked(device, connect_delay_s=2 * PAUSE_S) as link:
        assert (await link.read(read_request(1, 3, 0, 1))).data == b"\x12\x34"
    assert (device.connections, device.ignored) == (1, 0)


@pytest.mark.urs("URS-DAQ-11")
async def test_nothing_is_asked_right_behind_an_answer() -> None:
    device = Hasty(after_answer_s=PAUSE_S)
    async with linked(device, turnaround_s=2 * PAUSE_S) as link:
        for at in range(5):
            await link.read(read_request(1, 3, at, 1))
    assert (device.connections, device.ignored) == (1, 0)


async def test_without_the_pause_such_a_device_answers_the_first_alone() -> None:
    device = Hasty(after_answer_s=60.0)
    async with linked(device, timeout_s=0.1) as link:
        await link.read(read_request(1, 3, 0, 1))
        with pytest.raises(NoAnswer):
            await link.read(read_request(1, 3, 1, 1))
    assert device.ignored == 1


@pytest.mark.bar("F27")
async def test_an_answer_to_another_transaction_is_no_value_and_is_told() -> None:
    device = Hasty()
    device.transaction = lambda _: b"\0\0"
    async with linked(device, timeout_s=0.3) as link:
        link._transaction = 4710
        with pytest.raises(NoAnswer, match=r"to no request \(transaction 0, unit 1: 03 02 12 34; asked with transaction 4711\)"):
            await link.read(read_request(1, 3, 0, 1))


@pytest.mark.parametrize(
    ("endpoint", "options", "want"),
    [
        ("rtu-tcp://127.0.0.1:1", {"connect_delay_ms": 5}, ["connect_delay_ms is a key of tcp:// alone"]),
        ("tcp://127.0.0.1:1", {"turnaround_ms": 5, "in_flight": 4}, ["turnaround_ms asks one after the other: in_flight must be 1"]),
        ("tcp://127.0.0.1:1", {"turnaround_ms": 5, "connect_delay_ms": 5}, []),
    ],
)
def test_a_key_without_effect_is_an_error(endpoint: str, options: dict[str, Any], want: list[str]) -> None:
    source = Source(name="plc", driver="modbus", endpoint=endpoint, options=options, folder=Path())
    tags = [Tag(tag="t", source="plc", address="1/holding/0:uint16", type="uint16")]
    assert [str(problem).partition("source plc: ")[2] for problem in ModbusDriver.check(source, tags)] == want


@pytest.mark.urs("URS-DAQ-11")
async def test_a_connection_that_never_gets_idle_is_given_up_after_the_longest_that_its_requests_may_take() -> None:
    """Whatever keeps a request from ending: who waits for the others' answers must not wait for ever."""
    device = Hasty()
    async with linked(device, timeout_s=0.05) as link:
        await link.read(read_request(1, 3, 0, 1))
        connection = link._connection
        assert connection is not None
        connection.idle.clear()
        link._is_stale = True
        assert (await link.read(read_request(1, 3, 0, 1))).data == b"\x12\x34"
    assert device.connections == 2
