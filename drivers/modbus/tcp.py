"""One Modbus TCP connection: requests of different units at the same time, answers matched in every field.

(Modbus Messaging on TCP/IP Implementation Guide V1.0b, 3.1.3 and 4.)
"""

import asyncio
import secrets
import socket
import time
from struct import Struct
from typing import cast

from drivers.contract import BadReply, LinkLost
from drivers.modbus.frames import NoAnswer, Reply, Request, WrongAnswer, data_of, tcp_frame
from drivers.modbus.settings import Endpoint

_HEADER = Struct(">HHHB")  # transaction, protocol (0), bytes that follow, unit
_LONGEST = 254  # unit and PDU
_STRAYS = 100  # answers nobody waits for, on one connection, before it is given up


class _Waiting:
    """A request that waits for its answer."""

    __slots__ = ("answer", "request", "timer")

    def __init__(self, request: Request, answer: asyncio.Future[tuple[bytes, int]], timer: asyncio.Timeout) -> None:
        self.request, self.answer, self.timer = request, answer, timer


class _Connection(asyncio.Protocol):
    """Frames in and out of one socket. Bounded: a header that can not be right ends the connection."""

    def __init__(self) -> None:
        self.waiting: dict[int, _Waiting] = {}
        self.idle = asyncio.Event()
        self.idle.set()
        self.lost: Exception | None = None
        self.closed_idle = False  # while nothing was under way: devices do so after some seconds
        self.strays = 0
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # what loops give is not always of that class
        if (sock := transport.get_extra_info("socket")) is not None:
            _watch(sock)

    def data_received(self, data: bytes) -> None:
        """Take the whole answers, or none of them if the bytes behind them are no frame.

        A cut answer is completed by the first bytes of the next one: its head is right and its values are wrong. Only the remainder, which
        then does not begin with a header, gives it away.
        """
        received_ns = time.monotonic_ns()
        buffer = self._buffer
        buffer += data
        whole: list[tuple[int, int, bytes]] = []
        while len(buffer) >= _HEADER.size:
            transaction, protocol, length, unit = _HEADER.unpack_from(buffer)
            if protocol != 0 or not 3 <= length <= _LONGEST:
                self._end(BadReply(f"not a Modbus TCP frame: {bytes(buffer[:8]).hex(' ')}"))
                return
            if len(buffer) < 6 + length:
                break
            whole.append((transaction, unit, bytes(buffer[7 : 6 + length])))
            del buffer[: 6 + length]
        for transaction, unit, pdu in whole:
            self._take(transaction, unit, pdu, received_ns)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed_idle = self.lost is None and not self.waiting
        self._end(LinkLost(f"connection lost: {exc or 'closed by the device'}"))

    def send(self, transaction: int, frame: bytes, waiting: _Waiting) -> None:
        if self.lost is not None:
            raise self.lost
        assert self._transport is not None
        self.waiting[transaction] = waiting
        self.idle.clear()
        self._transport.write(frame)

    def settled(self, transaction: int, until: float) -> None:
        """End a request, and restart the time-outs of those sent after it (`until`: event loop time, s).

        A device that works in sequence begins the later ones only now: otherwise a silent unit would make its neighbours look silent. Those
        sent before it keep their time-outs: otherwise they would be extended by every request that follows.
        """
        if transaction not in self.waiting:
            return
        later = list(self.waiting)
        del self.waiting[transaction]
        for key in later[later.index(transaction) + 1 :]:
            waiting = self.waiting[key]
            if not waiting.answer.done() and not waiting.timer.expired():
                waiting.timer.reschedule(until)
        if not self.waiting:
            self.idle.set()

    def close(self) -> None:
        """Abort the connection: an answer still on its way must not reach a later request."""
        self._end(LinkLost("closed"))

    def _take(self, transaction: int, unit: int, pdu: bytes, received_ns: int) -> None:
        waiting = self.waiting.get(transaction)
        if waiting is None or waiting.answer.done():
            self.strays += 1  # an answer behind its time-out is no fault of the connection; a hundred of them are
            if self.strays > _STRAYS:
                self._end(BadReply(f"{self.strays} answers to no request"))
        elif unit != waiting.request.unit:
            waiting.answer.set_exception(WrongAnswer(f"unit {unit} for {waiting.request.unit}: {pdu[:16].hex(' ')}"))
        else:
            waiting.answer.set_result((pdu, received_ns))

    def _end(self, why: Exception) -> None:
        if self.lost is None:
            self.lost = why
            if self._transport is not None:
                self._transport.abort()
        for waiting in self.waiting.values():
            if not waiting.answer.done():
                waiting.answer.set_exception(self.lost)


class TcpLink:
    """A device or gateway at host:port, one connection at a time.

    After a time-out or a wrong answer the connection is given up as soon as the others' requests are over, and the next request opens
    a new one: behind gateways that reuse transaction numbers a late answer could else be taken for another. Transaction numbers run
    on over connections and begin at random, so an answer kept over a reconnect does not match either.
    """

    def __init__(self, endpoint: Endpoint, timeout_s: float, in_flight: int) -> None:
        self._endpoint, self._timeout_s = endpoint, timeout_s
        self._slots = asyncio.Semaphore(in_flight)
        self._opening = asyncio.Lock()
        self._connection: _Connection | None = None
        self._is_stale = False
        self._transaction = secrets.randbelow(0x10000)
        self.opened = 0

    async def open(self) -> None:
        """Connect. Raises LinkLost if nothing listens there."""
        async with self._opening:
            await self._usable()

    async def read(self, request: Request) -> Reply:
        """Send a request and wait for its answer.

        Raises ModbusException, WrongAnswer, NoAnswer for this request; LinkLost or BadReply when the connection is at fault.
        """
        async with self._slots:
            async with self._opening:
                connection = await self._usable()
            try:
                return await self._exchange(connection, request)
            except (NoAnswer, WrongAnswer):
                self._is_stale = True
                raise

    def close(self) -> None:
        """Close the connection at once. Requests that wait raise LinkLost."""
        if self._connection is not None:
            self._connection.close()

    async def _exchange(self, connection: _Connection, request: Request) -> Reply:
        self._transaction = transaction = (self._transaction + 1) & 0xFFFF
        answer: asyncio.Future[tuple[bytes, int]] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._timeout_s) as timer:
                requested_ns = time.monotonic_ns()
                connection.send(transaction, tcp_frame(request, transaction), _Waiting(request, answer, timer))
                pdu, received_ns = await answer
        except TimeoutError as error:
            raise NoAnswer(f"no answer in {self._timeout_s:g} s") from error
        finally:
            connection.settled(transaction, asyncio.get_running_loop().time() + self._timeout_s)
        return Reply(data_of(pdu, request), requested_ns, received_ns)

    async def _usable(self) -> _Connection:
        if self._connection is not None and self._is_stale:
            await self._connection.idle.wait()  # the other units' requests are still good on it
            self._connection.close()
            self._connection, self._is_stale = None, False
        if self._connection is not None and self._connection.closed_idle:
            self._connection = None
        if self._connection is None:
            self._connection = await self._connect()
            self.opened += 1
        if self._connection.lost is not None:
            raise self._connection.lost
        return self._connection

    async def _connect(self) -> _Connection:
        host, port = self._endpoint.host, self._endpoint.port
        try:
            async with asyncio.timeout(max(self._timeout_s, 3.0)):
                _, connection = await asyncio.get_running_loop().create_connection(_Connection, host, port)
        except (OSError, TimeoutError) as error:
            raise LinkLost(f"{host}:{port}: {error or 'no connection in time'}") from error
        return connection


def _watch(sock: socket.socket) -> None:
    """Find a dead peer within about 20 s even while nothing is sent (asyncio sets TCP_NODELAY itself)."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 3), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 10_000)):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
