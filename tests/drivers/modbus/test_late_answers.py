"""Every way in which the bytes of one answer may come to stand for another's on a bus, whose answers carry no number.

What no receiver can know is not here: an answer of the same unit, function and length that comes unasked after the next request was sent,
and noise with a right checksum (1 of 65,536 that fit in all else).
"""

import asyncio
import os
import time
from contextlib import suppress
from pathlib import Path

import pytest
from kit.modbus_bus import Bus, frame, refusal
from kit.serial_cable import Cable

from drivers.contract import LinkLost
from drivers.modbus.frames import ModbusException, NoAnswer, Request, WrongAnswer, read_request
from drivers.modbus.rtu import RtuLink
from drivers.modbus.settings import Endpoint
from simulators.modbus_plc.framing import crc16

pytestmark = [pytest.mark.urs("URS-DAQ-05", "URS-DAQ-06")]
OLD, NEW = b"\x11\x11\x22\x22", b"\x33\x33\x44\x44"
ASKED, NEXT = read_request(1, 3, 0, 2), read_request(1, 3, 100, 2)
OTHER_UNIT = read_request(2, 3, 0, 2)


def right_data(sent: bytes, of_next: bytes = NEW) -> bytes:
    """What a right device says to any request: NEW behind register 100, zeros elsewhere."""
    unit, function, start, count = sent[0], sent[1], int.from_bytes(sent[2:4], "big"), int.from_bytes(sent[4:6], "big")
    size = (count + 7) // 8 if function < 3 else 2 * count
    body = bytes([unit, function, size]) + (of_next if start == 100 and size == len(of_next) else bytes(size))
    return body + crc16(body)


class Late:
    """Silent to the first request; says what it owes before its answer to the second. A unit answers in order."""

    def __init__(self, owed: bytes) -> None:
        self._owed = [b"", owed]
        self.bus = Bus(self)

    def __call__(self, sent: bytes) -> bytes:
        if len(self._owed) == 2:
            return self._owed.pop(0)
        return (self._owed.pop() if self._owed else b"") + right_data(sent)


async def silent(link: RtuLink, request: Request = ASKED) -> None:
    with pytest.raises(NoAnswer):
        await link.read(request)


@pytest.mark.virtual_time
async def test_a_late_answer_of_the_same_form_is_not_the_next_ones() -> None:
    device = Late(frame(ASKED, OLD))
    link = await device.bus.link()
    await silent(link)
    assert (await link.read(NEXT)).data == NEW
    assert link.late == 1


@pytest.mark.virtual_time
async def test_a_late_answer_of_another_unit_does_not_spoil_this_ones() -> None:
    device = Late(frame(ASKED, OLD))
    link = await device.bus.link()
    await silent(link)
    assert (await link.read(OTHER_UNIT)).data == bytes(4)
    assert link.late == 1


@pytest.mark.virtual_time
async def test_a_late_refusal_refuses_nothing_else() -> None:
    device = Late(refusal(ASKED, 2))
    link = await device.bus.link()
    await silent(link)
    with suppress(NoAnswer):  # of one function a refusal names nothing more: it is proof of nothing
        assert (await link.read(NEXT)).data == NEW


@pytest.mark.virtual_time
async def test_a_late_answer_that_is_cut_and_glued_to_the_next_is_no_value() -> None:
    for missing in range(1, 9):
        device = Late(frame(ASKED, OLD)[:-missing])
        link = await device.bus.link()
        await silent(link)
        with suppress(WrongAnswer, NoAnswer):
            assert (await link.read(NEXT)).data == NEW


@pytest.mark.virtual_time
async def test_an_answer_that_outlives_its_connection_is_known_on_the_next() -> None:
    """The line is lost while an answer is under way: the device knows nothing of that, and says it on the next connection."""
    device = Late(frame(ASKED, OLD))
    link = await device.bus.link()
    asks = asyncio.create_task(link.read(ASKED))
    await device.bus.heard.wait()
    device.bus.hangs_up()
    with pytest.raises(LinkLost):
        await asks
    link = await device.bus.link()
    assert (await link.read(NEXT)).data == NEW


@pytest.mark.virtual_time
async def test_nor_does_a_cancelled_request_pass_its_answer_on() -> None:
    device = Late(frame(ASKED, OLD))
    link = await device.bus.link()
    asks = asyncio.create_task(link.read(ASKED))
    await device.bus.heard.wait()
    asks.cancel()
    with suppress(asyncio.CancelledError):
        await asks
    link.close()
    link = await device.bus.link()
    assert (await link.read(NEXT)).data == NEW


@pytest.mark.virtual_time
async def test_what_comes_as_the_port_opens_is_nobodys_answer() -> None:
    """The end of a conversation of before: a converter says what it kept, a device the rest of a frame."""
    bus = Bus(right_data)
    link = await bus.link()
    asyncio.get_running_loop().call_soon(bus.comes, frame(ASKED, OLD))
    assert (await link.read(NEXT)).data == NEW


@pytest.mark.virtual_time
async def test_an_answer_that_comes_twice_is_taken_once() -> None:
    """The second copy comes while the loop works on the first: what follows a frame at once is waited for."""
    loop = asyncio.get_running_loop()

    def twice(sent: bytes) -> bytes:
        loop.call_soon(loop.call_soon, loop.call_soon, bus.comes, right_data(sent, OLD))
        return right_data(sent, OLD)

    bus = Bus(twice)
    link = await bus.link()
    await link.read(NEXT)
    bus.says = right_data
    assert (await link.read(NEXT)).data == NEW


async def test_what_waits_in_the_kernel_when_a_request_is_sent_is_not_its_answer() -> None:
    """A loop that was busy has not read it, and the pause between two frames is long over by then."""
    cable = Cable()
    cable.answer(right_data)
    link = RtuLink(Endpoint("rtu", path=os.ttyname(cable.slave), baudrate=115_200), 2.0, 0.0, Path())
    await link.open()
    reply = await link.read(ASKED)
    cable.say(frame(NEXT, OLD))
    while time.monotonic_ns() < reply.received_ns + 5_000_000 or not cable.waits():
        pass  # the loop is busy
    assert (await link.read(NEXT)).data == NEW
    link.close()
    cable.close()


@pytest.mark.virtual_time
async def test_a_refusal_answers_its_request() -> None:
    bus = Bus(lambda sent: refusal(Request(sent[0], sent[1], b"", 0), 2))
    link = await bus.link()
    for _ in range(2):
        with pytest.raises(ModbusException):
            await link.read(ASKED)
    assert len(bus.asked) == 2
