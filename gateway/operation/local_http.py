"""HTTP at a socket of this machine: one request on a connection, whole and with its length, and one answer.

It stands in place of a library's server because the control sockets are all of HTTP that most lines serve, and a library for all of HTTP
is an eighth of such a line's memory (docs/decisions/0167). What is not needed there is refused by its status: nothing is guessed.
"""

import asyncio
import logging
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple

from drivers.contract import UNFORESEEN
from gateway.operation.control import socket_address

log = logging.getLogger(__name__)

MOST_HEAD_BYTES = 16 * 1024
WITHIN_S = 15.0
"""How long a request may take to come, and how long an answer may take to be taken: who stands still is left."""
ENDS_WITHIN_S = 60.0
"""How long a stop waits for commands that are under way. `gateway.runtime` loses patience earlier."""
_REQUEST = re.compile(r"([A-Z]{1,16}) (/[!-~]{0,2000}) HTTP/1\.[01]")
_FIELD = re.compile(
    r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\n-\x1f\x7f]*?)[ \t]*"
)  # RFC 9110, 5.6.2 and 5.5; no line may be continued (RFC 9112, 5.2)
_LENGTH = re.compile(r"[0-9]{1,12}")
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
        task = loop.create_task(_exchange(reader, writer, answering, most_bytes, begun))
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
        server = await asyncio.start_unix_server(connected, address, limit=MOST_HEAD_BYTES)
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


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answering: Answering, most_bytes: int, begun: Callable[[], None]
) -> None:
    """Take one request and answer it. Who leaves meanwhile is left."""
    try:
        with suppress(TimeoutError, asyncio.IncompleteReadError, ConnectionError):
            try:
                async with asyncio.timeout(WITHIN_S):
                    asked = await _request(reader, writer, most_bytes)
                begun()
                answer = await _answered(answering, asked)
            except Unusable as refused:
                answer = Answer(f"{int(refused.status)}: {refused}".encode(), refused.status, {"Content-Type": _KINDS["text"]})
            async with asyncio.timeout(WITHIN_S):
                await _send(writer, answer)
    finally:
        writer.transport.abort()  # all is sent, or nobody takes it


async def _request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most_bytes: int) -> Asked:
    """Read a request. Raises Unusable, and what a connection that ends raises."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        raise Unusable(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE) from None
    method, target, fields = head_of(head)
    length = _length(fields)
    if fields.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if length > most_bytes:
        await _thrown_away(reader, length)
        raise Unusable(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return Asked(method, target.partition("?")[0], await reader.readexactly(length), writer.get_extra_info("socket"))


def head_of(head: bytes) -> tuple[str, str, dict[str, str]]:
    """Return (method, target, fields by their names in small letters) of the bytes up to the empty line. Raises Unusable."""
    first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    request, fields = _REQUEST.fullmatch(first), [_FIELD.fullmatch(line) for line in lines]
    if request is None or None in fields:
        raise Unusable(HTTPStatus.BAD_REQUEST)
    named: dict[str, str] = {}
    for field in fields:
        assert field is not None
        name, value = field[1].lower(), field[2]
        if named.setdefault(name, value) != value and name in ("content-length", "transfer-encoding"):
            raise Unusable(HTTPStatus.BAD_REQUEST)  # two lengths: which one holds would be a guess
    return request[1], request[2], named


def _length(fields: Mapping[str, str]) -> int:
    """Return the length of the body. Raises Unusable."""
    if "transfer-encoding" in fields:
        raise Unusable(HTTPStatus.LENGTH_REQUIRED)  # RFC 9112, 6.1: a server may ask for a length
    text = fields.get("content-length", "0")
    if _LENGTH.fullmatch(text) is None:
        raise Unusable(HTTPStatus.BAD_REQUEST)
    return int(text)


async def _thrown_away(reader: asyncio.StreamReader, length: int) -> None:
    """Read what is not kept: who still sends hears no answer."""
    while length > 0 and (part := await reader.read(min(length, 65_536))):
        length -= len(part)


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


async def _send(writer: asyncio.StreamWriter, answer: Answer) -> None:
    """Write an answer, and wait until the other side's socket has it."""
    status = HTTPStatus(answer.status)
    fields = {"Content-Type": _KINDS["json"], **answer.headers, "Content-Length": str(len(answer.body)), "Connection": "close"}
    head = f"HTTP/1.1 {int(status)} {status.phrase}\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    writer.transport.set_write_buffer_limits(0)  # so that `drain` returns when nothing is left
    writer.write(head.encode() + b"\r\n" + answer.body)
    await writer.drain()
