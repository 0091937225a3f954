"""A poll whose questions follow each other as the answers come hands over what one does that waits for each answer."""

import asyncio
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.collector import Collector

from config import Source, Tag
from drivers.contract import LinkLost
from drivers.modbus import ModbusDriver
from drivers.modbus.frames import Reply, Request, Then
from drivers.modbus.settings import Endpoint
from drivers.modbus.tcp import TcpLink

ADDRESSES = ("0:uint16", "1:uint16", "2:int32", "4:uint16", "10:bcd16", "11:float32", "20:uint32", "30:uint16")
TAGS = [Tag(tag=f"t{at}", source="plc", address=f"1/holding/{its}", type=its.split(":")[1]) for at, its in enumerate(ADDRESSES)]
OUTCOMES = (
    "as before",
    "as before",
    "one more",
    "one more",
    "far off",
    "carry",
    "busy",
    "illegal",
    "silent",
    "another function",
    "too long",
)
POLLS = 4


class Device:
    """Answers each question by the next outcome of a script; at its end as before."""

    def __init__(self, script: list[str]) -> None:
        self.script: Iterator[str] = iter(script)
        self.registers = [at * 7 for at in range(64)]
        self.asked: list[bytes] = []

    def answer(self, frame: bytes) -> list[bytes]:
        transaction, _, _, unit, function, start, count = struct.unpack(">HHHBBHH", frame)
        self.asked.append(frame[7:])
        outcome = next(self.script, "as before")
        if outcome == "silent":
            return []
        if outcome in ("busy", "illegal"):
            return [struct.pack(">HHHBBB", transaction, 0, 3, unit, function | 0x80, 6 if outcome == "busy" else 2)]
        step = {"one more": 1, "far off": 0x1F31, "carry": 0xFFF0}.get(outcome, 0)
        self.registers = [(value + step) & 0xFFFF for value in self.registers]
        data = struct.pack(f">{count}H", *self.registers[start : start + count]) + (b"\0\0" if outcome == "too long" else b"")
        other = function + (outcome == "another function")
        return [struct.pack(">HHHBBB", transaction, 0, 3 + len(data), unit, other, len(data) & 0xFF) + data]


class Wire:
    """Stands for the socket."""

    def __init__(self, protocol: Any, device: Device) -> None:
        self.protocol, self.device = protocol, device

    def get_extra_info(self, _name: str) -> None:
        return None

    def write(self, frame: bytes) -> None:
        for piece in self.device.answer(frame):
            asyncio.get_running_loop().call_soon(self.protocol.data_received, piece)

    def abort(self) -> None:
        pass


class OneByOne:
    """A link that leaves the next question to who asks."""

    def __init__(self, link: TcpLink) -> None:
        self.link = link

    async def read(self, request: Request, _then: Then | None = None) -> Reply:
        return await self.link.read(request)


class Seen(Collector):
    """What was handed over, in its order."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[Any] = []

    def __call__(self, readings: Any, **told: Any) -> Any:
        self.all.append((list(readings), told["alive"]))
        return self.done()

    def lost(self, loss: Any) -> Any:
        self.all.append(loss)
        return self.done()

    def found(self, finding: Any) -> Any:
        self.all.append(finding)
        return self.done()


async def polled(script: list[str], *, in_passing: bool) -> tuple[list[Any], list[bytes]]:
    """Poll a device by script; what was handed over, and what was asked."""
    device = Device(script)

    async def create_connection(protocol: Any, *_: Any) -> tuple[None, Any]:
        made = protocol()
        made.connection_made(Wire(made, device))
        return None, made

    asyncio.get_running_loop().create_connection = create_connection  # type: ignore[method-assign,assignment]
    options = {"window_ms": 60_000, "max_registers": 6}
    source = Source(name="plc", driver="modbus", endpoint="tcp://127.0.0.1:1", rate_ms=100, options=options, folder=Path())
    link, seen = TcpLink(Endpoint("tcp", "nowhere", 1), 0.005, 4), Seen()
    (unit,) = ModbusDriver(source, TAGS)._units(link if in_passing else OneByOne(link), seen)
    try:
        for _ in range(POLLS):
            await unit._poll(unit.plans[0])
    except LinkLost as error:
        seen.all.append(str(error))
    finally:
        link.close()
    return seen.all, device.asked


@pytest.mark.urs("URS-DAQ-06")
@settings(deadline=None)
@given(script=st.lists(st.sampled_from(OUTCOMES), max_size=24))
def test_questions_that_follow_in_passing_give_what_questions_one_by_one_give(script: list[str]) -> None:
    assert asyncio.run(polled(script, in_passing=True)) == asyncio.run(polled(script, in_passing=False))


def test_the_next_question_goes_out_without_a_turn_of_the_task_that_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[Request] = []
    original = TcpLink.read

    async def read(self: TcpLink, request: Request, then: Then | None = None) -> Reply:
        reads.append(request)
        return await original(self, request, then)

    monkeypatch.setattr(TcpLink, "read", read)
    asyncio.run(polled([], in_passing=False))
    one_by_one = len(reads)
    reads.clear()
    asyncio.run(polled([], in_passing=True))
    assert one_by_one > 3 * POLLS
    assert len(reads) <= one_by_one / 2
