"""Instruments behind converters in the network: raw TCP, and RFC 2217 against pyserial's own server. Real sockets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import pytest
import serial
from hypothesis import given
from hypothesis import strategies as st
from kit.collector import Collector
from kit.processes import DEADLINE_S
from serial.rfc2217 import PortManager

from config import Source, Tag
from drivers.contract import DriverMisconfigured, LinkLost
from drivers.serial import SerialDriver, wire
from drivers.serial.rfc2217 import Telnet
from drivers.serial.settings import SerialEndpoint, endpoint_of
from simulators.device import Truth
from simulators.scale import Scale

WEIGHT = Tag(tag="w", source="scale", address="weight", type="decimal", source_unit="kg")
STREAM: dict[str, Any] = {"protocol": "line", "pattern": r"(?P<weight>[0-9]++\.[0-9]++) *+(?P<unit>k?+g)", "timeout_ms": 200}


class Converter:
    """A converter with an instrument behind it: answers each request by `answer`, and says what it is told to."""

    def __init__(self, answer: Callable[[bytes], bytes] = lambda _: b"", *, rfc2217: bool = False) -> None:
        self._answer, self._rfc2217 = answer, rfc2217
        self.line = serial.serial_for_url("loop://")
        self.asked: list[bytes] = []
        self.manager: PortManager | None = None
        self.client: asyncio.StreamWriter | None = None
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.client = writer
        self.manager = PortManager(cast("Any", self.line), cast("Any", writer)) if self._rfc2217 else None
        with suppress(ConnectionError):
            while data := await reader.read(4096):
                plain = data if self.manager is None else b"".join(self.manager.filter(data))
                if plain:
                    self.asked.append(plain)
                    self.say(self._answer(plain))
        writer.close()

    def say(self, data: bytes) -> None:
        assert self.client is not None
        self.client.write(data if self.manager is None else b"".join(self.manager.escape(data)))


class Collected(Collector):
    def __call__(self, readings: Any, **_: Any) -> Any:
        self.lists.append([(value, status) for _, value, status, _, _ in readings])
        return self.done()

    @property
    def good(self) -> list[str]:
        return [str(value) for ((value, status),) in self.lists if status == 0]


@asynccontextmanager
async def reading(converter: Converter, scheme: str, query: str = "", **options: Any) -> AsyncIterator[tuple[Collected, Any]]:
    server = await asyncio.start_server(converter.serve, "127.0.0.1", 0)
    endpoint = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}{query}"
    source = Source(name="scale", driver="serial", endpoint=endpoint, rate_ms=50, options=options)
    emit = Collected()
    task = asyncio.create_task(SerialDriver(source, [WEIGHT]).run(emit))
    try:
        yield emit, task
    finally:
        task.cancel()
        server.close()
        if converter.client is not None:
            converter.client.close()
        with suppress(asyncio.CancelledError, LinkLost):
            await task


async def attached(converter: Converter) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while converter.client is None:  # noqa: ASYNC110 - the listener tells nobody
            await asyncio.sleep(0.005)


@pytest.mark.urs("URS-DAQ-05", "URS-DAQ-06")
async def test_a_talker_behind_a_converter_is_attached_within_a_line_and_nothing_of_a_burst_is_lost():
    """TCP holds back what is not read: a burst larger than the buffer of a serial port is no place where bytes may be missing."""
    converter = Converter()
    async with reading(converter, "tcp", **STREAM) as (emit, task):
        await attached(converter)
        lines = [f"{number + 1000}.50 kg\r\n" for number in range(2000)]
        converter.say(b"56 kg\r\n" + "".join(lines).encode())
        await emit.until(lambda: len(emit.lists) == 2000)
        assert emit.good == [line[:7] for line in lines]
        assert not emit.losses
        assert converter.client is not None
        converter.client.close()
        with pytest.raises(LinkLost, match="hung up"):
            await task


@pytest.mark.urs("URS-DAQ-05", "URS-DAQ-06")
@pytest.mark.parametrize("scheme", ["tcp", "rfc2217"])
async def test_a_scale_is_asked_through_a_converter(scheme):
    answers = {b"I4\r\n": b'I4 A "7"\r\n', b"SI\r\n": b"S S      12.50 kg\r\n"}
    converter = Converter(lambda request: answers.get(request, b""), rfc2217=scheme == "rfc2217")
    async with reading(converter, scheme, protocol="mt-sics") as (emit, _):
        await emit.until(lambda: len(emit.lists) > 2)
        assert set(emit.good) == {"12.50"}
        assert set(converter.asked) == set(answers)


@pytest.mark.urs("URS-DAQ-05")
async def test_rfc_2217_sets_the_line_and_passes_each_byte():
    converter = Converter(rfc2217=True)
    query = "?baudrate=4800&bytesize=7&parity=E&stopbits=2&flow=software"
    async with reading(converter, "rfc2217", query, **STREAM) as (emit, _):
        await attached(converter)
        async with asyncio.timeout(DEADLINE_S):
            while not converter.line.xonxoff:  # noqa: ASYNC110 - the last of them
                await asyncio.sleep(0.005)
        line = converter.line
        assert (line.baudrate, line.bytesize, line.parity, line.stopbits) == (4800, 7, "E", 2)
        async with asyncio.timeout(DEADLINE_S):
            while len(emit.lists) < 3:
                converter.say(b"1.00 kg\r\n\xff\xff\r\n2.00 kg\r\n")
                await asyncio.sleep(0.02)
        assert set(emit.good) == {"1.00", "2.00"}


@pytest.mark.urs("URS-DAQ-05", "URS-DAQ-11")
async def test_bytes_that_the_converter_says_were_damaged_are_a_gap():
    converter = Converter(rfc2217=True)
    async with reading(converter, "rfc2217", **STREAM) as (emit, _):
        await attached(converter)
        async with asyncio.timeout(DEADLINE_S):
            while not emit.lists:
                converter.say(b"1.00 kg\r\n")
                await asyncio.sleep(0.02)
        assert converter.client is not None
        converter.client.write(bytes([255, 250, 44, 106, 0x02, 255, 240]) + b"56 kg\r\n")
        await emit.until(lambda: emit.losses)
        assert emit.losses[0].cause == "overrun"
        await asyncio.sleep(0.6)  # until the port was found empty
        converter.say(b"4.56 kg\r\n")
        converter.say(b"7.00 kg\r\n")
        await emit.until(lambda: "7.00" in emit.good)
        assert set(emit.good) == {"1.00", "7.00"}


@pytest.mark.parametrize("talks", [True, False])
async def test_a_converter_that_does_not_speak_rfc_2217_is_named(monkeypatch, talks):
    monkeypatch.setattr(wire, "CONNECT_S", 0.3)
    converter = Converter(lambda _: b"12.50 kg\r\n" if talks else b"")
    async with reading(converter, "rfc2217", **STREAM) as (_, task):
        with pytest.raises(LinkLost, match=r"does not confirm baudrate, bytesize, parity, stopbits, flow \(RFC 2217\)"):
            await task


async def test_a_converter_that_is_not_there_is_link_lost(unused_tcp_port):
    source = Source(name="s", driver="serial", endpoint=f"tcp://127.0.0.1:{unused_tcp_port}", options=STREAM)
    with pytest.raises(LinkLost, match="nothing listens there"):
        await SerialDriver(source, [WEIGHT]).run(Collected())


def test_what_a_converter_has_kept_from_before_is_dropped():
    telnet = Telnet(SerialEndpoint("x"))
    telnet.feed(bytes([255, 253, 44]))
    assert bytes([255, 250, 44, 12, 1, 255, 240]) in telnet.replies


def test_a_converter_that_sets_another_rate_is_refused():
    telnet = Telnet(SerialEndpoint("x", baudrate=9600))
    with pytest.raises(LinkLost, match="sets baudrate 19200 where 9600 is asked"):
        telnet.feed(bytes([255, 250, 44, 101]) + (19200).to_bytes(4, "big") + bytes([255, 240]))
    with pytest.raises(LinkLost, match="is it meant by tcp"):
        telnet.feed(bytes([255, 254, 44]))


@pytest.mark.urs("URS-DAQ-06")
@given(st.lists(st.sampled_from([b"12.5 kg\r\n", b"\xff", b"\xff\xfa", b"\xff\xf0", b"\xfa", b"\x2c"])), st.data())
def test_telnet_gives_each_byte_once_however_it_is_cut(parts, data):
    """Escaped bytes among commands, in pieces: what the instrument said comes out."""
    said = b"".join(parts)
    command = bytes([255, 250, 44, 107, 255, 255, 255, 240])
    stream = command.join(bytes([byte]).replace(b"\xff", b"\xff\xff") for byte in said) + bytes([255, 241])
    telnet, got = Telnet(SerialEndpoint("x")), b""
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        got, stream = got + telnet.feed(stream[:size]), stream[size:]
    assert got == said


@pytest.mark.bar("S13")
def test_a_command_without_end_is_bounded():
    telnet = Telnet(SerialEndpoint("x"))
    with pytest.raises(LinkLost, match="no RFC 2217"):
        telnet.feed(b"\xff\xfa" + b"x" * 1000)


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("tcp://10.0.0.7:4001", SerialEndpoint("10.0.0.7:4001", kind="tcp", host="10.0.0.7", port=4001)),
        ("rfc2217://[::1]:4001?baudrate=1200", SerialEndpoint("[::1]:4001", 1200, kind="rfc2217", host="::1", port=4001)),
    ],
)
def test_a_converters_address_is_an_endpoint(tmp_path, text, endpoint):
    assert endpoint_of(text, tmp_path) == endpoint


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("tcp://10.0.0.7", "write tcp://host:port"),
        ("tcp://10.0.0.7:x", "endpoint"),
        ("tcp://10.0.0.7:4001?baudrate=9600", "the converter's own settings count"),
        ("serial://10.0.0.7:4001", "is tcp://10.0.0.7:4001 or rfc2217://10.0.0.7:4001"),
        ("socket://10.0.0.7:4001", "tcp://host:port or rfc2217://host:port"),
    ],
)
def test_what_is_no_address_of_a_converter_says_what_to_write(tmp_path, text, why):
    with pytest.raises(DriverMisconfigured, match=why):
        endpoint_of(text, tmp_path)


@pytest.mark.urs("URS-DAQ-05")
async def test_a_simulated_scale_stands_behind_a_converter(unused_tcp_port):
    source = Source(
        name="scale", driver="serial", endpoint=f"tcp://127.0.0.1:{unused_tcp_port}", rate_ms=50, options={"protocol": "mt-sics"}
    )
    scale = Scale(source, [WEIGHT], Truth(None))
    await scale.start()
    emit = Collected()
    task = asyncio.create_task(SerialDriver(source, [WEIGHT]).run(emit))
    await scale.set({"w": 12.5}, 0)
    await emit.until(lambda: "12.50" in emit.good)
    await scale.stop()
    with pytest.raises(LinkLost):
        await task
