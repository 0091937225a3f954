"""An answer that was cut, with the next one right behind it: no value of it is a value."""

import asyncio
import struct
from contextlib import suppress

import pytest
from kit.processes import DEADLINE_S

from drivers.modbus.frames import Request
from drivers.modbus.settings import Endpoint
from drivers.modbus.tcp import TcpLink


def answer(transaction: bytes, value: float) -> bytes:
    return transaction + b"\0\0\0\x07\x01\x03\x04" + struct.pack(">f", value)


async def answered(missing: int, registers: int = 2) -> list[object]:
    """Two requests on one connection; the first answer lacks its last bytes, the second comes in the same segment."""

    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, second = [(await reader.readexactly(12))[:2] for _ in range(2)]
        whole = first + struct.pack(">HHBBB", 0, 3 + 2 * registers, 1, 3, 2 * registers) + struct.pack(">f", 251.5) * (registers // 2)
        writer.write(whole[: len(whole) - missing] + answer(second, 3.0))
        with suppress(ConnectionError):  # the driver aborts
            await reader.read()
        writer.close()
        over.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    link = TcpLink(Endpoint("tcp", "127.0.0.1", server.sockets[0].getsockname()[1]), 5.0, 4)
    requests = [Request(1, 3, struct.pack(">BHH", 3, at, count), 2 * count) for at, count in ((0, registers), (100, 2))]
    await link.open()
    got = await asyncio.gather(*(link.read(request) for request in requests), return_exceptions=True)
    link.close()
    async with asyncio.timeout(DEADLINE_S):
        await over.wait()
    server.close()
    await server.wait_closed()
    await asyncio.sleep(0)  # the loop drops the connection in its next turn
    return [one if isinstance(one, BaseException) else struct.unpack(">f", one.data[-4:])[0] for one in got]


@pytest.mark.urs("URS-DAQ-05")
@pytest.mark.parametrize("missing", range(1, 14))
async def test_what_the_next_answer_completes_is_no_answer(missing: int) -> None:
    """Whatever the next one leaves behind it: a wrong header, less than a header, or nothing at all."""
    assert [type(one).__name__ for one in await answered(missing, 20)] == ["BadReply", "BadReply"]


@pytest.mark.urs("URS-DAQ-05")
@pytest.mark.parametrize("missing", [1, 2, 3, 4])
async def test_nor_where_both_answers_are_of_one_length(missing: int) -> None:
    assert [type(one).__name__ for one in await answered(missing)] == ["BadReply", "BadReply"]


@pytest.mark.urs("URS-DAQ-05")
async def test_two_whole_answers_in_one_segment_are_both_taken() -> None:
    assert await answered(0) == [251.5, 3.0]
