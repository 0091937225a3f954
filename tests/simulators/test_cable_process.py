"""The cable carries bytes as they are, and fails in each way it is asked to."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from kit.processes import DEADLINE_S, eventually

from simulators.cable import Act, Cable


class Echo:
    """A server that answers every byte and remembers what came."""

    def __init__(self) -> None:
        self.got = b""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(65536):
                self.got += piece
                writer.write(piece)
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()


@pytest.fixture
async def joined() -> AsyncIterator[tuple[Cable, Echo]]:
    echo = Echo()
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with Cable("127.0.0.1", server.sockets[0].getsockname()[1]) as cable:
        yield cable, echo
    server.close()
    await server.wait_closed()


async def open_(cable: Cable) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", cable.port)


async def is_over(reader: asyncio.StreamReader) -> bool:
    async with asyncio.timeout(DEADLINE_S):
        try:
            return await reader.read(1) == b""
        except ConnectionError:
            return True


async def test_bytes_go_through_unchanged(joined: tuple[Cable, Echo]) -> None:
    cable, _ = joined
    reader, writer = await open_(cable)
    sent = bytes(range(256)) * 1000
    writer.write(sent)
    async with asyncio.timeout(DEADLINE_S):
        assert await reader.readexactly(len(sent)) == sent
    writer.close()


async def test_a_cut_cable_resets_and_lets_nobody_in_until_it_is_mended(joined: tuple[Cable, Echo]) -> None:
    cable, _ = joined
    reader, writer = await open_(cable)
    writer.write(b"x")
    await reader.readexactly(1)
    cable.cut()
    assert await is_over(reader)
    again, second = await open_(cable)
    assert await is_over(again)
    cable.mend()
    third, writer = await open_(cable)
    writer.write(b"y")
    assert await third.readexactly(1) == b"y"
    for one in (second, writer):
        one.close()


@pytest.mark.parametrize(("fault", "arrives"), [("blackhole", b""), ("lose_responses", b"abc")])
async def test_swallowed_bytes_leave_the_connection_open(joined: tuple[Cable, Echo], fault: str, arrives: bytes) -> None:
    cable, echo = joined
    reader, writer = await open_(cable)
    writer.write(b"1")
    await reader.readexactly(1)
    getattr(cable, fault)()
    writer.write(b"abc")
    await eventually(lambda: echo.got == b"1" + arrives)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await reader.read(1)
    assert echo.got == b"1" + arrives
    writer.close()


async def test_a_silent_port_accepts_and_says_nothing(joined: tuple[Cable, Echo]) -> None:
    cable, echo = joined
    cable.silent()
    reader, writer = await open_(cable)
    writer.write(b"hello")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await reader.read(1)
    assert echo.got == b""
    writer.close()


async def test_truncated_in_mid_message(joined: tuple[Cable, Echo]) -> None:
    cable, _ = joined
    cable.down.truncate_after = 3
    reader, writer = await open_(cable)
    writer.write(b"abcdef")
    async with asyncio.timeout(DEADLINE_S):
        try:
            got = await reader.read()
        except ConnectionError:
            got = b"abc"  # the reset overtook the last bytes
    assert got == b"abc"
    writer.close()


async def test_one_byte_is_corrupted_once(joined: tuple[Cable, Echo]) -> None:
    cable, _ = joined
    cable.down.corrupt_at = 2
    reader, writer = await open_(cable)
    writer.write(b"\x00" * 5)
    assert await reader.readexactly(5) == b"\x00\x00\xff\x00\x00"
    writer.write(b"\x00" * 5)
    assert await reader.readexactly(5) == b"\x00" * 5
    writer.close()


async def test_dribble_latency_and_bandwidth_slow_down_but_change_nothing(joined: tuple[Cable, Echo]) -> None:
    cable, _ = joined
    cable.up.dribble = True
    cable.down.latency_s, cable.down.jitter_s, cable.down.bytes_per_s = 0.01, 0.01, 5000
    reader, writer = await open_(cable)
    begun = asyncio.get_running_loop().time()
    writer.write(b"0123456789" * 10)
    async with asyncio.timeout(DEADLINE_S):
        assert await reader.readexactly(100) == b"0123456789" * 10
    assert asyncio.get_running_loop().time() - begun >= 0.01
    writer.close()


async def test_a_script_is_played_in_its_order(joined: tuple[Cable, Echo]) -> None:
    cable, _ = joined
    reader, _writer = await open_(cable)
    await cable.play([Act(0.0, "cut"), Act(0.02, "mend"), Act(0.03, "silent")])
    assert await is_over(reader)
    assert (cable.is_cut, cable.is_silent) == (False, True)
