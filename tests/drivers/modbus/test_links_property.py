"""Whatever arrives, in whatever pieces: an answer is right in every field or it is refused in one of the declared ways."""

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import BadReply, LinkLost
from drivers.modbus.frames import ModbusException, NoAnswer, WrongAnswer, read_request
from drivers.modbus.rtu import RtuLink
from drivers.modbus.settings import Endpoint
from drivers.modbus.tcp import TcpLink
from simulators.modbus_plc.framing import crc16

REQUEST = read_request(unit=7, function=3, start=10, count=2)
DATA = bytes.fromhex("01020304")


class Wire:
    """Stands for the socket: what is written is answered by a function, in pieces."""

    def __init__(self, protocol, answer) -> None:
        self.protocol, self.answer = protocol, answer

    def get_extra_info(self, _name):
        return None

    def write(self, frame: bytes) -> None:
        loop = asyncio.get_running_loop()
        for piece in self.answer(frame):
            loop.call_soon(self.protocol.data_received, piece)

    def abort(self) -> None:
        self.answer = lambda _: ()


async def read_over(kind: str, answer, timeout_s: float = 0.01):
    """One read whose request is answered so."""
    endpoint = Endpoint("tcp" if kind == "tcp" else "rtu-tcp", "nowhere", 1)
    link = TcpLink(endpoint, timeout_s, 1) if kind == "tcp" else RtuLink(endpoint, timeout_s, 0.0, Path())

    async def create_connection(protocol, *_):
        made = protocol()
        made.connection_made(Wire(made, answer))
        return None, made

    asyncio.get_running_loop().create_connection = create_connection  # type: ignore[method-assign,assignment]
    await link.open()
    try:
        return await link.read(REQUEST)
    finally:
        link.close()


def right(kind: str, frame: bytes) -> bytes:
    """The right answer to the request's frame."""
    pdu = bytes([3, 4]) + DATA
    if kind == "tcp":
        return frame[:2] + b"\0\0" + (len(pdu) + 1).to_bytes(2, "big") + b"\x07" + pdu
    return b"\x07" + pdu + crc16(b"\x07" + pdu)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[a:b] for a, b in pairwise(bounds) if a < b]


@pytest.mark.parametrize("kind", ["tcp", "rtu"])
@given(places=st.lists(st.integers(0, 20), max_size=20))
def test_a_right_answer_is_taken_however_it_is_cut(kind, places):
    reply = asyncio.run(read_over(kind, lambda frame: cut(right(kind, frame), places), 10.0))
    assert reply.data == DATA


@pytest.mark.urs("URS-DAQ-05", "URS-DAQ-06")
@pytest.mark.parametrize("kind", ["tcp", "rtu"])
@given(noise=st.binary(max_size=300), keep=st.integers(0, 13), at=st.integers(0, 13), places=st.lists(st.integers(0, 300), max_size=4))
def test_noise_in_or_instead_of_an_answer_never_gives_other_data(kind, noise, keep, at, places):
    """The first bytes of a right answer, noise, and the rest of it from some place on."""
    sent: list[bytes] = []

    def answer(frame: bytes):
        whole = right(kind, frame)
        sent[:] = [whole, whole[:keep] + noise + whole[at:]]
        return cut(sent[1], places)

    try:
        reply = asyncio.run(read_over(kind, answer))
    except (NoAnswer, WrongAnswer, ModbusException, LinkLost, BadReply):
        return
    assert reply.data == DATA or reply.data == _data_of_a_whole_frame(kind, *sent)


def _data_of_a_whole_frame(kind: str, whole: bytes, sent: bytes) -> bytes | None:
    """Data that noise wrote between a right header and, under RTU, its right checksum: a frame like any other."""
    if kind == "tcp":
        return sent[9:13] if sent[:9] == whole[:9] else None
    return sent[3:7] if sent[:3] == whole[:3] and crc16(sent[:7]) == sent[7:9] else None


@pytest.mark.parametrize("kind", ["tcp", "rtu"])
@given(flips=st.sets(st.integers(0, 12 * 8), min_size=1, max_size=3))
def test_flipped_bits_outside_the_data_are_noticed(kind, flips):
    """Bits of header, function and count; under RTU of data and checksum too. TCP's own checksum guards the rest."""

    def answer(frame: bytes):
        whole = bytearray(right(kind, frame))
        for flip in flips:
            byte = flip // 8 % (9 if kind == "tcp" else len(whole))
            whole[byte] ^= 1 << flip % 8
        return [bytes(whole)]

    unchanged = len({(flip // 8 % 9, flip % 8) for flip in flips}) != len(flips)
    if unchanged:
        return  # two flips of one bit undo each other
    with pytest.raises((NoAnswer, WrongAnswer, ModbusException, LinkLost, BadReply)):
        asyncio.run(read_over(kind, answer))
