"""Modbus RTU, over a serial port or over TCP: one request at a time, late answers recognised.

An RTU answer carries no number. A unit that was silent for its time-out may still answer, and that answer would fit the next request of
the same form: the library's client returns it as good. So every request without a usable answer is remembered as unanswered: its unit,
function and length. While a unit has an unanswered request of a function, nothing is asked of it by that function. It is first asked
something that no late answer can be mistaken for: another function, where even an exception response names the function, or another
length. A unit answers in order, so once that is answered nothing older will arrive. No waiting, no assumption about times. Only when
every such request is itself unanswered must the oldest be `LATE_ANSWER_S` old. A request is unanswered however it ended without its answer:
by the time-out, by a wrong answer, cancelled, or with the line lost under it.

What came before a request was sent is no answer to it: everything that the kernel has is read and dropped first (docs/decisions/0091).

(Modbus over Serial Line Specification V1.02, 2.4 and 2.5.1.)
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

from drivers.contract import BadReply, LinkLost, link_lost
from drivers.modbus.frames import (
    ModbusException,
    NoAnswer,
    Reply,
    Request,
    Then,
    WrongAnswer,
    crc_is_right,
    data_of,
    read_request,
    rtu_frame,
)
from drivers.modbus.line import SerialLine
from drivers.modbus.settings import Endpoint
from drivers.os_words import in_words

LATE_ANSWER_S = 30.0
_LONGEST = 256  # V1.02, 2.5.1: an ADU has at most 256 bytes
_STRAY_BYTES = 4096  # on one connection without any right frame between: this is no Modbus
_SETTLE_S = 0.03  # after the opening, a failure, or a frame that nobody asked for: no byte for so long; USB adapters deliver each 16 ms
_SHORTEST = 5  # an exception response with its address and checksum


_ECHOES = "; that is what was sent: the adapter echoes (local_echo = true)"


def _echo_taken(buffer: bytearray, sent: bytes) -> bool:
    """Take what was sent from what came; False while some of it is missing. Raises WrongAnswer if something else came."""
    if not buffer.startswith(sent[: len(buffer)]):
        raise WrongAnswer(f"no echo of what was sent, though local_echo is set: {bytes(buffer[:16]).hex(' ')}")
    if len(buffer) < len(sent):
        return False
    del buffer[: len(sent)]
    return True


def _check_no_echo(buffer: bytearray, sent: bytes) -> None:
    """Raise WrongAnswer for an answer that equals its request: nothing tells whether it is an echo (coils from 0300 hex on)."""
    if buffer.startswith(sent):
        raise WrongAnswer(f"equal to its request: {sent.hex(' ')}")


async def _read_what_came() -> None:
    """Let the loop read what the kernel has: it looks at its sockets after one turn, and their readers run in the next."""
    for _ in range(2):
        await asyncio.sleep(0)


class _Bytes(asyncio.Protocol):
    """Received bytes, bounded; nothing is interpreted here."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.lost: Exception | None = None
        self.strays = 0
        self.last_ns = time.monotonic_ns()  # what came before the opening may go on
        self._wake = asyncio.Event()
        self.transport: asyncio.Transport | SerialLine | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # what loops give is not always of that class

    def data_received(self, data: bytes) -> None:
        self.last_ns = time.monotonic_ns()
        self.buffer += data
        if len(self.buffer) > 2 * _LONGEST:
            self.strays += len(self.buffer)
            self.buffer.clear()
            if self.strays > _STRAY_BYTES:
                self.close(BadReply(f"{self.strays} bytes that are no Modbus RTU"))
        self._wake.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.close(LinkLost(f"connection lost: {in_words(exc, 'the other side') if exc else 'closed by the other side'}"))

    def write(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)

    async def more(self) -> None:
        """Return when new bytes arrived. Raises the reason when the line is gone."""
        if self.lost is not None:
            raise self.lost
        self._wake.clear()
        await self._wake.wait()
        if self.lost is not None:
            raise self.lost

    def forget(self) -> None:
        """Drop bytes that no request waits for; they are counted as strays."""
        self.strays += len(self.buffer)
        self.buffer.clear()

    def close(self, why: Exception) -> None:
        if self.lost is None:
            self.lost = why
            if self.transport is not None:
                self.transport.abort()
        self._wake.set()


class _Unanswered(NamedTuple):
    """The form of a request that may still be answered."""

    function: int
    data_bytes: int


LateFrames = defaultdict[int, dict[_Unanswered, float]]
"""unit -> form of an unanswered request -> when it was sent (monotonic, s).

Kept over a reconnect: opening the port anew does not stop an answer that is still on its way over the bus.
"""


class RtuLink:
    """A bus behind a serial port, or behind a TCP converter that passes RTU frames on."""

    def __init__(
        self,
        endpoint: Endpoint,
        timeout_s: float,
        turnaround_s: float,
        folder: Path,
        unanswered: "LateFrames | None" = None,
        named: Mapping[int, Sequence[Request]] | None = None,
        *,
        local_echo: bool = False,
    ) -> None:
        """Make the link; nothing is opened.

        named: unit -> requests of what the map names. local_echo: the adapter gives back what is sent; each request must come back whole
        before its answer counts.
        """
        self._endpoint, self._timeout_s, self._folder = endpoint, timeout_s, folder
        bits = 1 + endpoint.bytesize + (endpoint.parity != "N") + endpoint.stopbits
        silence_s = max(3.5 * bits / endpoint.baudrate, 0.00175) if endpoint.kind == "rtu" else 0.0  # V1.02, 2.5.1.1
        self._between_s = silence_s + turnaround_s
        self._echoes, self._named = local_echo, named or {}
        self._turn = asyncio.Lock()
        self._line: _Bytes | None = None
        self._unsettled = True
        self._unanswered = defaultdict(dict) if unanswered is None else unanswered
        self._answered: defaultdict[int, set[int]] = defaultdict(set)  # unit -> functions
        self.late = 0

    async def open(self) -> None:
        """Open the port or connect to the converter. Raises LinkLost if it is not there."""
        self._line, self._unsettled = await self._connect(), True

    def close(self) -> None:
        """Close the port or the connection at once."""
        if self._line is not None:
            self._line.close(LinkLost("closed"))

    async def read(self, request: Request, _then: Then | None = None) -> Reply:
        """Send a request and wait for its answer. On a bus nothing follows at once: there is a silence between frames.

        Raises ModbusException, WrongAnswer, NoAnswer for this request; LinkLost or BadReply when the line is at fault.
        """
        async with self._turn:
            if any(old.function == request.function for old in self._unanswered[request.unit]):
                await self._prove_quiet(request)
            return await self._exchange(request)

    async def _prove_quiet(self, request: Request) -> None:
        """Prove that no answer of this unit is outstanding, by an answer that can not belong to any unanswered request."""
        unanswered, oldest_s = self._unanswered[request.unit], time.monotonic() - LATE_ANSWER_S
        for old in [old for old, since_s in unanswered.items() if since_s < oldest_s]:
            del unanswered[old]
        unlike = next((other for other in self._others(request) if _Unanswered(other.function, other.data_bytes) not in unanswered), None)
        if unlike is None:
            raise NoAnswer(f"silent to everything; asked again {LATE_ANSWER_S:g} s after the oldest request")
        try:
            await self._exchange(unlike)
        except ModbusException:
            pass  # an exception is an answer, too; one that may belong to an unanswered request has been dropped as late
        unanswered.clear()

    def _others(self, request: Request) -> Iterator[Request]:
        """Yield requests by which quiet may be proved, the likeliest to be answered first.

        First those of what the map names, of other functions before other lengths; where it names too little, functions that the unit has
        answered before, then another length, then other functions (docs/decisions/0082).
        """
        named = self._named.get(request.unit, ())
        yield from sorted(named, key=lambda other: other.function == request.function)  # of another one an exception counts
        functions = [function for function in (3, 4, 1, 2) if function != request.function]
        answered_before = [function for function in functions if function in self._answered[request.unit]]
        yield from (read_request(request.unit, function, 0, 1) for function in answered_before)
        start = int.from_bytes(request.pdu[1:3], "big")
        yield from (read_request(request.unit, request.function, start, count) for count in ((1, 9) if request.function < 3 else (1, 2)))
        yield from (read_request(request.unit, function, 0, 1) for function in functions if function not in answered_before)

    async def _exchange(self, request: Request) -> Reply:
        """Send one request and wait for the frame with its function, its length and a right CRC."""
        line = self._line
        assert line is not None
        await self._silence(line)
        requested_ns, sent = time.monotonic_ns(), rtu_frame(request)
        line.write(sent)
        try:
            data = data_of(await self._answer(line, request, sent), request)
        except ModbusException:
            self._came(line, request)
            raise
        except BaseException as error:  # also cancelled, or the line is lost: the request is on the bus, its answer will come
            self._note_unanswered(request)
            if isinstance(error, WrongAnswer) and not self._echoes and line.buffer.startswith(sent):
                raise WrongAnswer(f"{error}{_ECHOES}") from error
            raise
        self._came(line, request)
        return Reply(data, requested_ns, line.last_ns)

    async def _answer(self, line: _Bytes, request: Request, sent: bytes) -> bytes:
        """Wait for the PDU of an answer; it stays in the buffer. Raises NoAnswer, WrongAnswer, LinkLost, BadReply."""
        try:
            async with asyncio.timeout(self._timeout_s):
                while self._echoes and not _echo_taken(line.buffer, sent):
                    await line.more()
                while (pdu := self._taken(line, request)) is None:
                    await line.more()
        except TimeoutError as error:
            came = f", only {bytes(line.buffer[:16]).hex(' ')}" if line.buffer else ""
            came += _ECHOES if not self._echoes and line.buffer == sent else ""
            raise NoAnswer(f"no answer in {self._timeout_s:g} s{came}") from error
        if not self._echoes:
            _check_no_echo(line.buffer, sent)
        return pdu

    def _came(self, line: _Bytes, request: Request) -> None:
        """Take the answer's frame out of the buffer. A whole frame more is said by somebody whom nobody asked: let the line settle."""
        del line.buffer[: 5 if line.buffer[1] & 0x80 else 5 + line.buffer[2]]
        self._unsettled = len(line.buffer) >= _SHORTEST
        line.strays = 0
        self._answered[request.unit].add(request.function)

    async def _silence(self, line: _Bytes) -> None:
        """Keep the time between frames; while the line is unsettled wait until it is quiet. Bytes received meanwhile are dropped."""
        quiet_s = max(self._between_s, _SETTLE_S if self._unsettled else 0.0)
        until_s = time.monotonic() + max(self._timeout_s, 0.2)
        await _read_what_came()
        while (rest_s := line.last_ns / 1e9 + quiet_s - time.monotonic()) > 0 and time.monotonic() < until_s:
            await asyncio.sleep(rest_s)
            await _read_what_came()
        if line.lost is not None:
            raise line.lost
        line.forget()
        self._unsettled = False

    def _taken(self, line: _Bytes, request: Request) -> bytes | None:
        """Take the answer's PDU once it is whole; None while bytes are missing. Late frames are dropped. Raises WrongAnswer."""
        buffer = line.buffer
        while len(buffer) >= 5:
            unit, function, size = buffer[0], buffer[1], 5 if buffer[1] & 0x80 else 5 + buffer[2]
            is_late = self._is_late(unit, function, buffer[2], request)
            expected = unit == request.unit and function & 0x7F == request.function
            if size > _LONGEST or not (expected or is_late):
                raise WrongAnswer(f"unit {unit}, function {function}: {bytes(buffer[:16]).hex(' ')}")
            if len(buffer) < size:
                return None
            frame = bytes(buffer[:size])
            if not crc_is_right(frame):
                raise WrongAnswer(f"checksum: {frame[:16].hex(' ')}")
            if not is_late:
                return frame[1:-2]
            del buffer[:size]
            self.late += 1
            self._unanswered[unit].pop(_Unanswered(function, frame[2]), None)
        return None

    def _is_late(self, unit: int, function: int, third: int, request: Request) -> bool:
        """True if a frame that begins so may belong to an older request. Of an exception response only the function is known."""
        unanswered = self._unanswered.get(unit, {})
        if function & 0x80:
            return any(old.function == function & 0x7F for old in unanswered)
        return _Unanswered(function, third) in unanswered and (unit, function, third) != (
            request.unit,
            request.function,
            request.data_bytes,
        )

    def _note_unanswered(self, request: Request) -> None:
        self._unsettled = True
        self._unanswered[request.unit][_Unanswered(request.function, request.data_bytes)] = time.monotonic()

    async def _connect(self) -> _Bytes:
        endpoint, loop = self._endpoint, asyncio.get_running_loop()
        if endpoint.kind == "rtu":
            line = _Bytes()
            line.transport = SerialLine(endpoint, str(self._folder / endpoint.path), line.data_received, line.close)
            return line
        try:
            async with asyncio.timeout(max(self._timeout_s, 3.0)):
                return (await loop.create_connection(_Bytes, endpoint.host, endpoint.port))[1]
        except (OSError, TimeoutError) as error:
            why = in_words(error, "the converter") if str(error) else "no connection in time"
            raise link_lost(f"{endpoint.host}:{endpoint.port}: {why}", error) from error
