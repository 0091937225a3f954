"""HTTP at a socket of this machine: one request on a connection, and one answer. What is HTTP is h11's.

The control sockets are all of HTTP that most lines serve, and a library that brings a server with it, and a client, is an eighth of such
a line's memory (docs/decisions/0167).
"""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple

import h11

from drivers.contract import UNFORESEEN
from gateway.operation.control import socket_address

log = logging.getLogger(__name__)

MOST_HEAD_BYTES = 16 * 1024
MOST_CONNECTIONS = 64
"""Of one socket at once; one more is closed: descriptors are shared with the journal and the sources."""
WITHIN_S = 15.0
"""How long a request may take to come, and how long an answer may take to be taken: who stands still is left."""
ENDS_WITHIN_S = 60.0
"""How long a stop waits for commands that are under way. `gateway.runtime` loses patience earlier."""
_CHUNK = 16 * 1024
_KINDS = {"json": "application/json; charset=utf-8", "text": "text/plain; charset=utf-8"}


class Asked(NamedTuple):
    """One request. path: without what follows a question mark. connection: who asks sits at its other end."""

    method: str
    path: str
    body: bytes
    connection: socket.socket


class Answer(NamedTuple):
    """What is answered."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = {}


class Unusable(Exception):
    """A request that is not taken, with its status."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


Answering = Callable[[Asked], Awaitable[Answer]]
"""Answers a request. Raises Unusable; what else it raises is answered with 500."""


@asynccontextmanager
async def serving(path: Path, answering: Answering, *, most_bytes: int) -> AsyncIterator[None]:
    """Serve a socket at a path while the block lasts. most_bytes: of a request's body. Raises OSError.

    At its end nothing listens at once; requests that are under way are answered, for a command may be what ends the gateway.
    """
    reading: set[asyncio.Task[None]] = set()
    doing: set[asyncio.Task[None]] = set()
    loop = asyncio.get_running_loop()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(reading) + len(doing) >= MOST_CONNECTIONS:
            writer.transport.abort()
            return
        task = loop.create_task(_exchange(_Connection(reader, writer), answering, most_bytes, begun))
        reading.add(task)
        task.add_done_callback(ended)

    def begun() -> None:
        task = asyncio.current_task()
        assert task is not None
        reading.discard(task)
        doing.add(task)

    def ended(task: asyncio.Task[None]) -> None:
        reading.discard(task)
        doing.discard(task)

    with socket_address(path) as address:
        server = await asyncio.start_unix_server(connected, address)
    try:
        yield
    finally:
        server.close()
        await _left(reading, doing)


async def _left(reading: set[asyncio.Task[None]], doing: set[asyncio.Task[None]]) -> None:
    """End connections on which nothing was asked yet, and wait for the others."""
    try:
        for task in reading:
            task.cancel()
        if open_ := reading | doing:
            await asyncio.wait(open_, timeout=ENDS_WITHIN_S)
    finally:
        for task in doing:
            task.cancel()


class _Connection:
    """The events of one connection (h11.Connection), read and written."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MOST_HEAD_BYTES)
        self._is_head = False  # whose answer has no body (RFC 9110, 9.3.2)

    async def request(self, most_bytes: int) -> Asked:
        """Read a request. Raises Unusable, and EOFError or what else a connection that ends raises.

        A body that is too long is read to its end and not kept: who still sends hears no answer.
        """
        request, body, length = None, bytearray(), 0
        while not isinstance(event := await self._event(), h11.EndOfMessage):
            if isinstance(event, h11.Request):
                request, self._is_head = event, event.method == b"HEAD"
            elif isinstance(event, h11.Data):
                length += len(event.data)
                body += event.data if length <= most_bytes else b""
            else:  # the connection is closed
                raise EOFError  # noqa: TRY004 - no wrong type, but the end
        assert request is not None
        if length > most_bytes:
            raise Unusable(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        path = request.target.decode("latin-1").partition("?")[0]
        return Asked(request.method.decode(), path, bytes(body), self.writer.get_extra_info("socket"))

    async def _event(self) -> object:
        """Return the next event. Raises Unusable, ConnectionError."""
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                if self._http.they_are_waiting_for_100_continue:
                    self.writer.write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
                self._http.receive_data(await self._reader.read(_CHUNK))
        except h11.RemoteProtocolError as error:
            raise Unusable(HTTPStatus(error.error_status_hint)) from error
        return event

    async def send(self, answer: Answer) -> None:
        """Write an answer, and wait until the other side's socket has it. Nothing, if nobody asked."""
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        fields = {"Content-Type": _KINDS["json"], **answer.headers, "Content-Length": str(len(answer.body)), "Connection": "close"}
        head = h11.Response(status_code=answer.status, headers=list(fields.items()), reason=HTTPStatus(answer.status).phrase)
        self.writer.transport.set_write_buffer_limits(0)  # so that `drain` returns when nothing is left
        body = [] if self._is_head else [h11.Data(data=answer.body)]
        for event in (head, *body, h11.EndOfMessage()):
            self.writer.write(self._http.send(event) or b"")
        await self.writer.drain()


async def _exchange(connection: _Connection, answering: Answering, most_bytes: int, begun: Callable[[], None]) -> None:
    """Take one request and answer it. Who leaves meanwhile is left."""
    try:
        with suppress(TimeoutError, EOFError, ConnectionError):
            try:
                async with asyncio.timeout(WITHIN_S):
                    asked = await connection.request(most_bytes)
                begun()
                answer = await _answered(answering, asked)
            except Unusable as refused:
                answer = Answer(f"{int(refused.status)}: {refused}".encode(), refused.status, {"Content-Type": _KINDS["text"]})
            async with asyncio.timeout(WITHIN_S):
                await connection.send(answer)
    finally:
        connection.writer.transport.abort()  # all is sent, or nobody takes it


async def _answered(answering: Answering, asked: Asked) -> Answer:
    """Have a request answered; what it runs into ends this request alone, and its client hears so. Raises Unusable."""
    try:
        return await answering(asked)
    except Unusable:
        raise
    except UNFORESEEN as error:
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise  # the socket closes
        log.exception("%s %s failed", asked.method, asked.path)
        return Answer(f'{{"error": "failed: {type(error).__name__}"}}'.encode(), 500)
