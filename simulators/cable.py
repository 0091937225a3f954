"""A cable between two programs: a TCP proxy that can be cut in every way in which cables, switches and peers fail.

It carries bytes unchanged and interprets none. `up` goes from the client to the server, `down` back.
"""

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self
from urllib.parse import urlsplit, urlunsplit

PIECE_BYTES = 65_536


@dataclass(slots=True)
class Way:
    """The faults of one direction. All of them may change at any time."""

    blackhole: bool = False  # taken, never passed on; the connection stays open
    latency_s: float = 0.0
    jitter_s: float = 0.0
    dribble: bool = False  # one byte at a time
    bytes_per_s: float | None = None
    truncate_after: int | None = None  # pass on so many more bytes, then close both sides
    corrupt_at: int | None = None  # flip all bits of the byte after so many more bytes, once
    carried: int = 0  # bytes passed on so far


@dataclass(frozen=True, slots=True)
class Act:
    """One line of a script: a method of the cable to call at `at_s` seconds after play began."""

    at_s: float
    do: Literal["cut", "mend", "reset", "blackhole", "lose_responses", "silent"]


class Cable:
    """Listens on a free loopback port and joins each client with `target` (host, port).

    cut(): every connection is reset and no new one is let in until mend(). reset(): connections are reset, new ones are fine.
    blackhole(): both ways swallow everything, half-open as after a pulled cable. lose_responses(): requests arrive, answers do not.
    silent(): new connections are accepted and never served.
    """

    def __init__(self, host: str, port: int, *, listen: int = 0, seed: int = 0) -> None:
        self.target = (host, port)
        self.up, self.down = Way(), Way()
        self.is_cut = self.is_silent = False
        self.port = listen
        self.accepted = 0
        self._random = random.Random(seed)
        self._server: asyncio.Server | None = None
        self._live: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    def to(cls, url: str, **options: int) -> "Cable":
        """Make a cable to the host and port of a URL."""
        parts = urlsplit(url)
        if parts.hostname is None or parts.port is None:
            raise ValueError(f"{url}: host and port are needed")
        return cls(parts.hostname, parts.port, **options)

    def url(self, url: str) -> str:
        """Rewrite a URL to lead through this cable."""
        return urlunsplit(urlsplit(url)._replace(netloc=f"127.0.0.1:{self.port}"))

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._joined, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """End every connection and the listening."""
        self.reset()
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.stop()

    def cut(self) -> None:
        """Reset every connection and refuse new ones."""
        self.is_cut = True
        self.reset()

    def mend(self) -> None:
        """Remove all faults; connections that a fault held back go on with the bytes from now on."""
        self.is_cut = self.is_silent = False
        for way in (self.up, self.down):
            way.blackhole = way.dribble = False
            way.latency_s = way.jitter_s = 0.0
            way.bytes_per_s = way.truncate_after = way.corrupt_at = None

    def reset(self) -> None:
        """Reset every connection (RST) on both sides."""
        for writer in list(self._live):
            _abort(writer)

    def blackhole(self) -> None:
        """Swallow everything in both directions."""
        self.up.blackhole = self.down.blackhole = True

    def lose_responses(self) -> None:
        """Swallow the answers only."""
        self.down.blackhole = True

    def silent(self) -> None:
        """Accept new connections and never answer them."""
        self.is_silent = True

    async def play(self, script: Sequence[Act]) -> None:
        """Run a script at its times."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for act in script:
            await asyncio.sleep(max(0.0, begun + act.at_s - loop.time()))
            getattr(self, act.do)()

    async def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._live.add(writer)
        self.accepted += 1
        far: asyncio.StreamWriter | None = None
        try:
            if self.is_cut:
                _abort(writer)
                return
            if self.is_silent:
                await self._swallow(reader)
                return
            back, far = await asyncio.open_connection(*self.target)
            self._live.add(far)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._carry(reader, far, self.up))
                group.create_task(self._carry(back, writer, self.down))
        except* OSError:
            pass
        except* asyncio.CancelledError:
            pass  # stop(): the connection ends with the cable
        finally:
            for peer in (writer, far):
                if peer is not None:
                    _abort(peer)
                    self._live.discard(peer)
            self._tasks.discard(task)

    async def _swallow(self, reader: asyncio.StreamReader) -> None:
        while await reader.read(PIECE_BYTES):
            pass

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> None:
        while piece := await reader.read(1 if way.dribble else PIECE_BYTES):
            if way.latency_s or way.jitter_s:
                await asyncio.sleep(way.latency_s + self._random.uniform(0, way.jitter_s))
            if way.bytes_per_s:
                await asyncio.sleep(len(piece) / way.bytes_per_s)
            if way.blackhole:
                continue
            piece, ends = _spoiled(piece, way)
            writer.write(piece)
            way.carried += len(piece)
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            if ends:
                raise ConnectionResetError
        raise ConnectionResetError  # one side has closed: the other must not stay half-open


def _spoiled(piece: bytes, way: Way) -> tuple[bytes, bool]:
    """Apply the faults to a piece; True if the connection ends after it."""
    if way.corrupt_at is not None:
        if way.corrupt_at < len(piece):
            at = way.corrupt_at
            piece = piece[:at] + bytes([piece[at] ^ 0xFF]) + piece[at + 1 :]
            way.corrupt_at = None
        else:
            way.corrupt_at -= len(piece)
    if way.truncate_after is not None:
        if way.truncate_after < len(piece):
            piece, way.truncate_after = piece[: way.truncate_after], None
            return piece, True
        way.truncate_after -= len(piece)
    return piece, False


def _abort(writer: asyncio.StreamWriter) -> None:
    """Close a connection with RST instead of FIN."""
    sock = writer.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
