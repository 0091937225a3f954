"""The server of the control sockets, asked by the standard library's client and by bytes that no client sends."""

import asyncio
import http.client
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.operation import local_http
from gateway.operation.local_http import Answer, Asked, serving

MOST = 100_000


class Unix(http.client.HTTPConnection):
    """The standard library's client, at a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=60)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(60)
        self.sock.connect(str(self.path))


def asked(path: Path, method: str, target: str, body: Any = None, **more: Any) -> tuple[int, bytes]:
    connection = Unix(path)
    try:
        connection.request(method, target, body, **more)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def told(path: Path, data: bytes) -> bytes:
    """What is answered to bytes, until the other side closes; it may do so before all is said."""
    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(60)
        raw.connect(str(path))
        with suppress(BrokenPipeError):
            raw.sendall(data)
            raw.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: _received(raw), b""))


async def echo(asked: Asked) -> Answer:
    if asked.path == "/breaks":
        raise ZeroDivisionError
    return Answer(f"{asked.method} {asked.path} {len(asked.body)}".encode(), 200, {"X-Of": "a test"})


@asynccontextmanager
async def served(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Serve `echo`; yields how to ask it: a function of this file, and its arguments."""
    async with serving(path := tmp_path / "s", echo, most_bytes=MOST):
        yield lambda ask, *words, **more: asyncio.to_thread(ask, path, *words, **more)


async def test_what_a_client_asks_is_answered_as_it_was_asked(tmp_path: Path) -> None:
    async with served(tmp_path) as ask:
        assert await ask(asked, "GET", "/status?x=1") == (200, b"GET /status 0")
        assert await ask(asked, "POST", "/do", b"x" * MOST) == (200, f"POST /do {MOST}".encode())
        assert await ask(asked, "POST", "/do", b"abc", headers={"Expect": "100-continue"}) == (200, b"POST /do 3")
        whole = await ask(told, b"GET /status HTTP/1.0\r\n\r\n")
        assert whole == (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nX-Of: a test\r\n"
            b"Content-Length: 13\r\nConnection: close\r\n\r\nGET /status 0"
        )


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\r\n\r\n", 400),
        (b"GET\r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\n\r\n", 400),
        (b"GET /a b HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\na : b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\na: \x00\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: \xb2\r\n\r\na", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\na", 501),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (MOST + 1, b"x" * (MOST + 1)), 413),
        (b"GET / HTTP/1.1\r\nHost: x\r\na: " + b"x" * 40_000 + b"\r\n\r\n", 431),
        (b"GET /breaks HTTP/1.1\r\nHost: x\r\n\r\n", 500),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\ncontent-length: 1\r\n\r\na", 200),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nHost: x\r\nAny: \xff\t\r\n\r\n", 200),
        (b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", 200),
    ],
)
async def test_what_is_no_request_is_refused_by_its_status_and_the_next_is_answered(tmp_path: Path, data: bytes, status: int) -> None:
    async with served(tmp_path) as ask:
        assert (await ask(told, data)).startswith(b"HTTP/1.1 %d " % status)
        assert await ask(asked, "GET", "/next") == (200, b"GET /next 0")


@settings(max_examples=60, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.builds(bytes.__add__, st.just(b"POST / HTTP/1.1\r\n"), st.binary(max_size=100))))
def test_whatever_bytes_come_the_next_request_is_answered(data: bytes) -> None:
    async def ask() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with served(Path(folder)) as ask:
                got = await ask(told, data)
                assert not got or got.startswith(b"HTTP/1.1 ")
                assert await ask(asked, "GET", "/next") == (200, b"GET /next 0")

    asyncio.run(ask())


async def test_more_connections_than_a_socket_has_are_closed_and_one_that_ends_makes_room(tmp_path: Path) -> None:
    async with served(tmp_path) as ask:
        many = [await asyncio.open_unix_connection(tmp_path / "s") for _ in range(local_http.MOST_CONNECTIONS)]
        assert await ask(told, b"GET / HTTP/1.0\r\n\r\n") == b""
        many[0][1].close()
        async with asyncio.timeout(60):
            while not await asyncio.to_thread(_answers, tmp_path / "s"):
                pass
        for _, writer in many:
            writer.close()


def _answers(path: Path) -> bool:
    try:
        return asked(path, "GET", "/next")[0] == 200
    except OSError:
        return False


async def test_at_its_end_who_says_nothing_is_left_and_a_command_that_is_under_way_is_answered(tmp_path: Path) -> None:
    begun, goes_on = asyncio.Event(), asyncio.Event()

    async def slow(_: Asked) -> Answer:
        begun.set()
        await goes_on.wait()
        return Answer(b"done")

    async with serving(path := tmp_path / "s", slow, most_bytes=MOST):
        silent_reader, silent = await asyncio.open_unix_connection(path)
        silent.write(b"GET /ha")
        under_way = asyncio.create_task(asyncio.to_thread(asked, path, "GET", "/slow"))
        await begun.wait()
        asyncio.get_running_loop().call_soon(goes_on.set)  # once the block is at its end
    assert await under_way == (200, b"done")
    assert await silent_reader.read() == b""
    silent.close()


async def test_who_does_not_take_the_answer_or_sends_half_a_request_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_http, "WITHIN_S", 0.05)

    async def large(_: Asked) -> Answer:
        return Answer(b"x" * 30_000_000)

    async with serving(path := tmp_path / "s", large, most_bytes=MOST):
        half_reader, half = await asyncio.open_unix_connection(path)
        half.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx")
        assert await half_reader.read() == b""
        half.close()
        deaf = socket.socket(socket.AF_UNIX)
        deaf.connect(str(path))
        deaf.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    with deaf:  # nothing was read of it until its connection was over
        deaf.settimeout(60)
        assert len(b"".join(iter(lambda: _received(deaf), b""))) < 30_000_000


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1 << 20)
    except ConnectionResetError:
        return b""


def test_a_line_without_a_port_loads_no_library_for_http() -> None:
    modules = (
        "gateway.cli.line, gateway.runtime.gateway, gateway.runtime.assembly, gateway.operation.server, gateway.uplink.mqtt, drivers.modbus"
    )
    told = f"import sys, {modules}\nprint('aiohttp' in sys.modules)\nimport gateway.pages.server\nprint('aiohttp' in sys.modules)"
    shown = subprocess.run([sys.executable, "-P", "-c", told], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["False", "True"]
