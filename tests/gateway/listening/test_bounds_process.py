"""A port that others may reach takes a bounded share of the process: connections, requests, time."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, TCPConnector, web
from kit.processes import eventually, free_port

from gateway.listening.bounds import BURST, LAST_AFTER_S, MAX_PEERS, REQUESTS_PER_S, Bounds
from gateway.listening.pace import Pace
from gateway.listening.port import IN_ALL, PER_PEER, served
from simulators.pki import Authority


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@contextlib.asynccontextmanager
async def port(bounds: Bounds, **options: object) -> AsyncIterator[int]:
    """An application that answers `here`, at a port of its own."""

    async def here(_: web.Request) -> web.Response:
        return web.Response(text="here")

    app = web.Application(middlewares=[bounds.middleware()])
    app.add_routes([web.get("/", here)])
    number = free_port()
    async with served(app) as serving:
        await serving.at_port(f"127.0.0.1:{number}", bounds, **options)  # type: ignore[arg-type]
        yield number


@pytest.mark.bar("F44")
@pytest.mark.urs("URS-OBS-03")
async def test_who_serves_again_finds_the_address_free_whatever_came_of_ending_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    number = free_port()

    async def serve() -> None:
        async with served(web.Application()) as serving:
            await serving.at_port(f"127.0.0.1:{number}", Bounds())
            assert (await ask(number)).startswith(b"HTTP/1.1 404")

    with monkeypatch.context() as broken:
        broken.setattr(web.AppRunner, "cleanup", failing)
        with pytest.raises(OSError, match="while it ended"):
            await serve()
    await serve()


async def failing(_: web.AppRunner) -> None:
    raise OSError("while it ended")


async def ask(number: int, host: str = "127.0.0.1", source: str = "127.0.0.1") -> bytes:
    """One request on a connection of its own; empty if it is not answered."""
    reader, writer = await asyncio.open_connection(host, number, local_addr=(source, 0))
    try:
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


@contextlib.asynccontextmanager
async def silent(number: int, count: int, *sources: str) -> AsyncIterator[list[socket.socket]]:
    """Connections that say nothing, so many from each source."""
    with contextlib.ExitStack() as stack:

        def connect() -> list[socket.socket]:
            return [
                stack.enter_context(socket.create_connection(("127.0.0.1", number), 30, source_address=(source, 0)))
                for source in sources
                for _ in range(count)
            ]

        yield await asyncio.to_thread(connect)


@pytest.mark.bar("S10")
@pytest.mark.urs("URS-SEC-09")
async def test_one_peer_takes_its_share_of_connections_and_no_other_s() -> None:
    async with port(Bounds()) as number:
        async with silent(number, 3 * PER_PEER, "127.0.0.2") as held:
            await eventually(lambda: _ended(held) == 2 * PER_PEER)
            assert b"here" in await ask(number)
        await answered(number, "127.0.0.2")


@pytest.mark.urs("URS-SEC-09")
async def test_all_together_take_no_more_than_the_port_has() -> None:
    async with port(Bounds()) as number:
        async with silent(number, PER_PEER, "127.0.0.2", "127.0.0.3", "127.0.0.4") as held:
            await eventually(lambda: _ended(held) == 3 * PER_PEER - IN_ALL)
            assert await ask(number) == b""
        await answered(number, "127.0.0.1")


@pytest.mark.bar("S10")
async def test_a_tls_handshake_that_does_not_come_counts_and_has_an_end(tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue("server", ("127.0.0.1",))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.cert, pair.key)
    async with port(Bounds(), tls=context, life_s=0.5) as number, silent(number, PER_PEER + 5, "127.0.0.2") as held:
        await eventually(lambda: _ended(held) >= 5)
        await eventually(lambda: _ended(held) == PER_PEER + 5)


@pytest.mark.bar("S10")
async def test_whatever_is_kept_from_ending_ends() -> None:
    """A head that dribbles, and a reader that takes nothing."""
    async with port(Bounds(), life_s=0.5) as number:
        reader, writer = await asyncio.open_connection("127.0.0.1", number)
        writer.write(b"GET / HTTP/1.1\r\nX-")
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
        assert b"here" in await ask(number)


async def answered(number: int, source: str) -> None:
    """Wait until somebody is answered: a place is free once the other end's closing was seen."""
    async with asyncio.timeout(30):
        while b"here" not in await ask(number, source=source):
            pass


def _ended(connections: list[socket.socket]) -> int:
    """How many of them the other end has closed."""
    count = 0
    for connection in connections:
        connection.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            try:
                count += connection.recv(1) == b""
            except ConnectionError:
                count += 1
    return count


async def test_an_old_connection_ends_between_two_requests() -> None:
    clock = Clock()
    async with port(Bounds(clock)) as number, ClientSession(connector=TCPConnector(limit=1)) as session:
        for late_s, last in ((0, False), (LAST_AFTER_S - 1, False), (2, True), (0, False)):
            clock.now_s += late_s
            async with session.get(f"http://127.0.0.1:{number}/") as answer:
                assert await answer.text() == "here"
                assert (answer.headers.get("Connection") == "close") == last


def test_requests_have_a_pace_of_each_peer_and_of_all() -> None:
    clock = Clock()
    bounds = Bounds(clock)
    waits = [bounds.wait_s("a") for _ in range(BURST + 20)]
    assert waits[:BURST] == [0.0] * BURST
    assert waits[-1] == pytest.approx(20 / REQUESTS_PER_S)
    assert bounds.wait_s("b") == 0, "another one's turn is its own"
    clock.now_s += 20 / REQUESTS_PER_S
    assert bounds.wait_s("a") == pytest.approx(1 / REQUESTS_PER_S)
    for number in range(2 * MAX_PEERS):
        bounds.wait_s(f"peer {number}")
    assert len(bounds._peers) == MAX_PEERS
    assert bounds.wait_s("new") > 1, "many peers together have a pace, too"


def test_a_turn_that_was_not_used_is_no_credit_beyond_the_burst() -> None:
    pace = Pace(10.0, 5)
    assert [pace.turn(100.0) for _ in range(7)] == pytest.approx([0, 0, 0, 0, 0, 0.1, 0.2])
    assert [pace.turn(1_000.0) for _ in range(6)] == pytest.approx([0, 0, 0, 0, 0, 0.1])
