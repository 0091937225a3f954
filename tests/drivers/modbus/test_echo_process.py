"""RS-485 adapters that give back what is sent: read with `local_echo`, and named without it. A real pseudo-terminal."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from kit.serial_cable import Cable

from config import Source, Tag
from drivers.modbus import ModbusDriver
from drivers.modbus.frames import NoAnswer, WrongAnswer, read_request
from drivers.modbus.rtu import RtuLink
from drivers.modbus.settings import Endpoint
from simulators.modbus_plc.framing import crc16

ASKED = read_request(1, 3, 7, 1)


def answer(request: bytes) -> bytes:
    body = request[:2] + b"\x02\x12\x34"
    return body + crc16(body)


@asynccontextmanager
async def bus(*, local_echo: bool, echoes: bool = True, answers: bool = True, timeout_s: float = 2.0) -> AsyncIterator[RtuLink]:
    cable = Cable()
    cable.answer(lambda request: (request if echoes else b"") + (answer(request) if answers else b""))
    endpoint = Endpoint("rtu", path=os.ttyname(cable.slave), baudrate=115_200)
    link = RtuLink(endpoint, timeout_s, 0.0, Path(), local_echo=local_echo)
    await link.open()
    try:
        yield link
    finally:
        link.close()
        cable.close()


@pytest.mark.urs("URS-DAQ-05")
async def test_the_answer_behind_the_echo_is_taken() -> None:
    async with bus(local_echo=True) as link:
        for _ in range(3):
            assert (await link.read(ASKED)).data == b"\x12\x34"


async def test_an_adapter_that_echoes_is_named() -> None:
    async with bus(local_echo=False) as link:
        with pytest.raises(WrongAnswer, match=r"the adapter echoes \(local_echo = true\)"):
            await link.read(ASKED)


@pytest.mark.urs("URS-DAQ-05", "URS-DAQ-06")
async def test_an_echo_is_never_an_answer() -> None:
    """Of coils an answer may be equal to its request: 03 in both the address and the byte count."""
    async with bus(local_echo=True, answers=False, timeout_s=0.1) as link:
        with pytest.raises(NoAnswer):
            await link.read(read_request(1, 1, 0x0300, 20))


@pytest.mark.urs("URS-DAQ-05", "URS-DAQ-06")
async def test_an_echo_that_reads_as_an_answer_is_none_where_no_echo_is_declared_either() -> None:
    async with bus(local_echo=False, answers=False, timeout_s=0.1) as link:
        with pytest.raises(WrongAnswer, match="the adapter echoes"):
            await link.read(read_request(1, 1, 0x0300, 20))


@pytest.mark.urs("URS-DAQ-05", "URS-DAQ-06")
async def test_without_the_echo_that_is_declared_nothing_is_taken() -> None:
    async with bus(local_echo=True, echoes=False) as link:
        with pytest.raises(WrongAnswer, match="no echo of what was sent"):
            await link.read(ASKED)


def test_local_echo_over_tcp_is_an_error() -> None:
    tag = Tag(tag="a", source="plc", address="1/holding/7", type="uint16", unit="1")
    options = {"local_echo": True}
    source = Source(name="plc", driver="modbus", endpoint="tcp://127.0.0.1:502", options=options)
    assert [str(its) for its in ModbusDriver.check(source, [tag])] == [
        "line.toml: source plc: local_echo is a key of rtu:// and rtu-tcp://"
    ]
    assert not ModbusDriver.check(Source(name="plc", driver="modbus", endpoint="rtu:///dev/ttyUSB0", options=options), [tag])
