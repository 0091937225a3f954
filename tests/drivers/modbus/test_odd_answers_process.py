"""Answers that are right but for one field: named, and let pass only where the line folder says so. Real sockets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from config import Source, Tag
from drivers.modbus import ModbusDriver
from drivers.modbus.frames import ModbusException, WrongAnswer, read_request
from drivers.modbus.settings import Endpoint
from drivers.modbus.tcp import TcpLink

ASKED = read_request(255, 3, 7, 2)
DATA = b"\x12\x34\x56\x78"


def frame(head: bytes, *, unit: int = 255, pdu: bytes = b"\x03\x04" + DATA, more: int = 0) -> bytes:
    return head[:2] + b"\0\0" + (1 + len(pdu) + more).to_bytes(2, "big") + bytes([unit]) + pdu + b"\0" * more


@asynccontextmanager
async def linked(answer: Callable[[bytes], bytes], *odd: str) -> AsyncIterator[TcpLink]:
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                writer.write(answer(await reader.readexactly(12)))
        writer.close()
        over.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    link = TcpLink(Endpoint("tcp", "127.0.0.1", server.sockets[0].getsockname()[1]), 5.0, 1, odd=odd)
    try:
        yield link
    finally:
        link.close()
        await over.wait()
        server.close()


ANSWERS: dict[str, Callable[[bytes], bytes]] = {"unit": lambda head: frame(head, unit=1), "padding": lambda head: frame(head, more=1)}


@pytest.mark.urs("URS-DAQ-05")
@pytest.mark.parametrize("oddity", ANSWERS)
async def test_an_odd_answer_is_taken_where_it_is_declared(oddity: str) -> None:
    async with linked(ANSWERS[oddity], oddity) as link:
        for _ in range(3):
            assert (await link.read(ASKED)).data == DATA


@pytest.mark.urs("URS-DAQ-05", "URS-DAQ-06")
@pytest.mark.parametrize("oddity", ANSWERS)
async def test_an_odd_answer_that_is_not_declared_is_named(oddity: str) -> None:
    async with linked(ANSWERS[oddity], *ANSWERS.keys() - {oddity}) as link:
        with pytest.raises(WrongAnswer, match=rf'all else is right \(odd_answers = \["{oddity}"\] lets it pass\)'):
            await link.read(ASKED)


@pytest.mark.urs("URS-DAQ-05", "URS-DAQ-06")
@pytest.mark.parametrize(
    "answer",
    [
        lambda head: frame(head, more=2),
        lambda head: frame(head, pdu=b"\x03\x03" + DATA),
        lambda head: frame(head, pdu=b"\x04\x04" + DATA),
        lambda head: frame(head, pdu=b"\x03\x02" + DATA[:2], unit=1),
    ],
)
async def test_what_is_odd_in_another_way_is_refused(answer: Callable[[bytes], bytes]) -> None:
    async with linked(answer, *ANSWERS) as link:
        with pytest.raises(WrongAnswer):
            await link.read(ASKED)


async def test_an_exception_with_padding_is_one() -> None:
    async with linked(lambda head: frame(head, pdu=b"\x83\x02", more=1), "padding") as link:
        with pytest.raises(ModbusException, match="02"):
            await link.read(ASKED)


def test_odd_answers_are_of_tcp() -> None:
    tag = Tag(tag="a", source="plc", address="1/holding/7", type="uint16", unit="1")
    options: dict[str, Any] = {"odd_answers": ["unit"]}
    source = Source(name="plc", driver="modbus", endpoint="rtu:///dev/ttyUSB0", options=options)
    assert "odd_answers is a key of tcp:// alone" in str(ModbusDriver.check(source, [tag])[0])
