"""One Modbus TCP connection: requests of different units at the same time, answers matched in every field.

(Modbus Messaging on TCP/IP Implementation Guide V1.0b, 3.1.3 and 4.)
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable, Collection
from typing import cast

from drivers.contract import UNFORESEEN, BadReply, LinkLost, link_lost
from drivers.keepalive import watch
from drivers.modbus.frames import ModbusException, NoAnswer, Reply, Request, Then, WrongAnswer, data_of, tcp_frame
from drivers.modbus.mbap import Frame, NotFrames, frames_in, heads_of, sole_answer, without_padding
from drivers.modbus.settings import Endpoint
from drivers.os_words import in_words

_CLOCK_S = 0.0005  # event loops count time in milliseconds
_STRAYS = 100  # answers nobody waits for, on one connection, before it is given up


class _Waiting:
    """A request that waits for its answer, at most until an instant of the event loop; with `then`, the last asked of several."""

    __slots__ = ("answer", "request", "requested_ns", "then", "transaction", "until")

    def __init__(self, answer: asyncio.Future[tuple[bytes, int]], then: Then | None) -> None:
        self.answer, self.then = answer, then
        self.request: Request
        self.transaction = self.requested_ns = 0
        self.until = 0.0


class _Connection(asyncio.Protocol):
    """Frames in and out of one socket. Bounded: what can not be a sequence of whole frames ends the connection."""

    def __init__(self, odd: Collection[str], goes_on: "Callable[[_Connection, _Waiting, bytes, int], bool]") -> None:
        """odd: what the device is known to do, see ModbusSettings.odd_answers. goes_on: takes an answer, and asks what is next."""
        self._odd, self._goes_on = odd, goes_on
        self.waiting: dict[int, _Waiting] = {}
        self.idle = asyncio.Event()
        self.idle.set()
        self.lost: Exception | None = None
        self.closed_idle = False  # while nothing was under way: devices do so after some seconds
        self.strays = 0
        self.stray = ""  # the last of them, for a person
        self.buffer = b""
        self._due: dict[int, Request] = {}  # transaction -> what was asked, until its answer has come
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None  # one for all requests: it rings when the first of them may be over

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # what loops give is not always of that class
        if (sock := transport.get_extra_info("socket")) is not None:
            watch(sock)

    def data_received(self, data: bytes) -> None:
        """Take the answers once the stream ends where a frame ends; see mbap.py."""
        received_ns = time.monotonic_ns()
        if not self.buffer and len(self._due) == 1 and not self._odd:  # nearly always: one question, and its answer whole
            ((transaction, request),) = self._due.items()
            pdu = sole_answer(data, request, transaction)
            if pdu is not None:
                self._take(Frame(transaction, data[6], pdu), received_ns)
                return
        self.buffer += data
        try:
            due = [head for transaction, request in self._due.items() for head in heads_of(request, transaction, self._odd)]
            frames = frames_in(self.buffer, due)
        except NotFrames as error:
            self._end(BadReply(str(error)))
            return
        if frames is not None:
            self.buffer = b""
            for frame in frames:
                self._take(frame, received_ns)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed_idle = self.lost is None and not self.waiting
        self._end(LinkLost(f"connection lost: {in_words(exc) if exc else 'closed by the device'}"))

    def send(self, waiting: _Waiting) -> None:
        if self.lost is not None:
            raise self.lost
        assert self._transport is not None
        transaction = waiting.transaction
        self.waiting[transaction] = waiting
        self._due[transaction] = waiting.request
        self.idle.clear()
        if self._timer is None:
            self._ring(waiting.until)
        self._transport.write(tcp_frame(waiting.request, transaction))

    def settled(self, transaction: int, until: float) -> None:
        """End a request, and restart the time-outs of those sent after it (`until`: event loop time, s).

        A device that works in sequence begins the later ones only now: otherwise a silent unit would make its neighbours look silent. Those
        sent before it keep their time-outs: otherwise they would be extended by every request that follows.
        """
        if transaction not in self.waiting:
            return
        if len(self.waiting) > 1:
            later = list(self.waiting)
            for key in later[later.index(transaction) + 1 :]:
                self.waiting[key].until = until
        del self.waiting[transaction]
        if not self.waiting:
            self.idle.set()

    def close(self) -> None:
        """Abort the connection: an answer still on its way must not reach a later request."""
        self._end(LinkLost("closed"))

    def _take(self, frame: Frame, received_ns: int) -> None:
        self._due.pop(frame.transaction, None)
        waiting = self.waiting.get(frame.transaction)
        if waiting is None or waiting.answer.done():
            self.strays += 1  # an answer behind its time-out is no fault of the connection; a hundred of them are
            self.stray = f"transaction {frame.transaction}, unit {frame.unit}: {frame.pdu[:16].hex(' ')}"
            if self.strays > _STRAYS:
                self._end(BadReply(f"{self.strays} answers to no request"))
        elif frame.unit != waiting.request.unit and "unit" not in self._odd:
            text = (
                f'unit {frame.unit} for {waiting.request.unit}, all else is right (odd_answers = ["unit"] lets it pass)'
                if _fits(frame, waiting)
                else f"unit {frame.unit}"
            )
            waiting.answer.set_exception(WrongAnswer(f"{text}: {frame.pdu[:16].hex(' ')}"))
        elif waiting.then is None or not self._goes_on(self, waiting, frame.pdu, received_ns):
            waiting.answer.set_result((frame.pdu, received_ns))

    def _ring(self, at_s: float) -> None:
        """Look for time-outs at an instant of the event loop. No request's is before it: later ones end later, and none ends earlier."""
        self._timer = asyncio.get_running_loop().call_at(at_s, self._expire)

    def _expire(self) -> None:
        """End the requests whose time is over, and look again when the next one's may be."""
        self._timer = None
        now_s = asyncio.get_running_loop().time() + _CLOCK_S
        for waiting in self.waiting.values():
            if waiting.until <= now_s and not waiting.answer.done():
                waiting.answer.set_exception(TimeoutError())
        left = [waiting.until for waiting in self.waiting.values() if not waiting.answer.done()]
        if left:
            self._ring(min(left))

    def _end(self, why: Exception) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
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

    def __init__(
        self,
        endpoint: Endpoint,
        timeout_s: float,
        in_flight: int,
        connect_delay_s: float = 0.0,
        turnaround_s: float = 0.0,
        odd: Collection[str] = (),
    ) -> None:
        """Make the link; nothing is opened.

        connect_delay_s: nothing is asked for so long after connecting. turnaround_s: nor after each answer; in_flight must be 1.
        odd: what the device is known to do, see ModbusSettings.odd_answers.
        """
        self._endpoint, self._timeout_s, self._odd = endpoint, timeout_s, odd
        self._connect_delay_s, self._turnaround_s = connect_delay_s, turnaround_s
        self._free_s = 0.0  # event loop time before which nothing is asked
        self._in_flight, self._slots = in_flight, asyncio.Semaphore(in_flight)
        self._queued = 0  # requests that wait for a slot
        self._opening = asyncio.Lock()
        self._connection: _Connection | None = None
        self._is_stale = False
        self._transaction = secrets.randbelow(0x10000)
        self.opened = 0

    async def open(self) -> None:
        """Connect. Raises LinkLost if nothing listens there."""
        async with self._opening:
            await self._usable()

    async def read(self, request: Request, then: Then | None = None) -> Reply:
        """Send a request and wait for its answer. then: see Link.

        Raises ModbusException, WrongAnswer, NoAnswer for the request; LinkLost or BadReply when the connection is at fault.
        """
        self._queued += 1
        try:
            await self._slots.acquire()
        finally:
            self._queued -= 1
        try:
            connection = self._at_once()
            if connection is None:
                async with self._opening:
                    connection = await self._ready()
            try:
                return await self._exchange(connection, request, then)
            except (NoAnswer, WrongAnswer):
                self._is_stale = True
                raise
            finally:
                if self._turnaround_s:
                    self._rest(self._turnaround_s)
        finally:
            self._slots.release()

    def close(self) -> None:
        """Close the connection at once. Requests that wait raise LinkLost."""
        if self._connection is not None:
            self._connection.close()

    async def _exchange(self, connection: _Connection, request: Request, then: Then | None) -> Reply:
        waiting = _Waiting(asyncio.get_running_loop().create_future(), then)
        try:
            self._ask(connection, waiting, request, self._until_s())
            pdu, received_ns = await waiting.answer
        except TimeoutError as error:
            raise NoAnswer(f"no answer in {self._timeout_s:g} s{_instead(connection, waiting.transaction)}") from error
        finally:
            connection.settled(waiting.transaction, self._until_s())
        request = waiting.request  # the last one of several
        if len(pdu) == 2 + request.data_bytes and pdu[0] == request.function:
            return Reply(data_of(pdu, request), waiting.requested_ns, received_ns)
        plain = without_padding(pdu, request)
        if plain != pdu and "padding" not in self._odd:
            text = 'one byte too many, all else is right (odd_answers = ["padding"] lets it pass)'
            raise WrongAnswer(f"{text}: {pdu[:16].hex(' ')}")
        return Reply(data_of(plain, request), waiting.requested_ns, received_ns)

    def _ask(self, connection: _Connection, waiting: _Waiting, request: Request, until: float) -> None:
        self._transaction = waiting.transaction = (self._transaction + 1) & 0xFFFF
        waiting.request, waiting.until = request, until
        waiting.requested_ns = time.monotonic_ns()
        connection.send(waiting)

    def _until_s(self) -> float:
        return asyncio.get_running_loop().time() + self._timeout_s

    def _goes_on(self, connection: _Connection, waiting: _Waiting, pdu: bytes, received_ns: int) -> bool:
        """Hand a right answer to who asked, and ask what is next. False, and nothing is done, for any other, or where others wait."""
        request = waiting.request
        if waiting.then is None or pdu[:2] != bytes((request.function, request.data_bytes)) or len(pdu) != 2 + request.data_bytes:
            return False
        if self._queued or self._turnaround_s or self._is_stale or connection.lost is not None:
            return False
        try:
            following = waiting.then(Reply(pdu[2:], waiting.requested_ns, received_ns))
            if following is None:
                return False
            until = self._until_s()
            connection.settled(waiting.transaction, until)
            self._ask(connection, waiting, following, until)
        except UNFORESEEN as error:  # of who asked: the connection reads on
            waiting.answer.set_exception(error)
        return True

    def _rest(self, rest_s: float) -> None:
        self._free_s = max(self._free_s, asyncio.get_running_loop().time() + rest_s)

    def _at_once(self) -> _Connection | None:
        """Return the connection if a request can go out on it now; None if something has to be waited for, see `_ready`."""
        its = self._connection
        if its is None or self._is_stale or its.lost is not None or self._opening.locked():
            return None
        return its if not self._free_s or self._free_s <= asyncio.get_running_loop().time() else None

    async def _ready(self) -> _Connection:
        """Return a connection whose device is ready for a request; one that is closed while the device rests is opened again."""
        connection = await self._usable()
        while (rest_s := self._free_s - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(rest_s)
            connection = await self._usable()
        return connection

    async def _usable(self) -> _Connection:
        if self._connection is not None and self._is_stale:
            with contextlib.suppress(TimeoutError):  # no request lasts longer: who waits on then is answered by the end of the connection
                async with asyncio.timeout(self._timeout_s * (self._in_flight + 1)):
                    await self._connection.idle.wait()  # the other units' requests are still good on it
            self._connection.close()
            self._connection, self._is_stale = None, False
        if self._connection is not None and self._connection.closed_idle:
            self._connection = None
        if self._connection is None:
            self._connection = await self._connect()
            self.opened += 1
            self._rest(self._connect_delay_s)
        if self._connection.lost is not None:
            raise self._connection.lost
        return self._connection

    async def _connect(self) -> _Connection:
        host, port = self._endpoint.host, self._endpoint.port
        try:
            async with asyncio.timeout(max(self._timeout_s, 3.0)):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: _Connection(self._odd, self._goes_on), host, port
                )
        except (OSError, TimeoutError) as error:
            raise link_lost(f"{host}:{port}: {in_words(error) if str(error) else 'no connection in time'}", error) from error
        return connection


def _fits(frame: Frame, waiting: _Waiting) -> bool:
    """True if a frame answers a request but for its unit number."""
    try:
        data_of(frame.pdu, waiting.request)
    except ModbusException:
        return True
    except WrongAnswer:
        return False
    return True


def _instead(connection: _Connection, transaction: int) -> str:
    """Say what came instead of the answer to a transaction, for a person who looks at a device that does answer."""
    if connection.buffer:
        return f", but bytes that are no whole frame: {connection.buffer[:24].hex(' ')}"
    return f", but to no request ({connection.stray}; asked with transaction {transaction})" if connection.stray else ""
