"""Modbus RTU, over a serial port or over TCP: one request at a time, late answers told apart.

An RTU answer carries no number. A unit that was silent for its time-out may still answer, and that answer would fit the next request of
the same form: the library's client returns it as good. So every request without a usable answer leaves a *ghost*: its unit, function and
length. While a unit has a ghost of a function, nothing is asked of it by that function. It is first asked something that no ghost's
answer can be mistaken for: another function, where even an exception tells which it is for, or another length. A unit answers in
order, so once that is answered nothing older will come. No waiting, no assumption about times. Only when every such request
is itself a ghost must the oldest be `GHOST_S` old.

(Modbus over Serial Line Specification V1.02, 2.4 and 2.5.1.)
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, cast

from drivers.contract import BadReply, LinkLost
from drivers.modbus.frames import NoAnswer, Refused, Reply, Request, WrongAnswer, crc_is_right, data_of, read_request, rtu_frame
from drivers.modbus.line import SerialLine
from drivers.modbus.settings import Endpoint

GHOST_S = 30.0
_LONGEST = 256  # V1.02, 2.5.1: an ADU has at most 256 bytes
_STRAY_BYTES = 4096  # on one connection without any right frame between: this is no Modbus
_SETTLE_S = 0.03  # after a failure: no byte for so long, USB adapters deliver in steps of up to 16 ms


class _Bytes(asyncio.Protocol):
    """What arrives, bounded; nothing is interpreted here."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.last_ns = 0
        self.lost: Exception | None = None
        self.strays = 0
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
        self.close(LinkLost(f"connection lost: {exc or 'closed by the other side'}"))

    def write(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)

    async def more(self) -> None:
        """Return when something new arrived; raise when nothing can any more."""
        if self.lost is not None:
            raise self.lost
        self._wake.clear()
        await self._wake.wait()
        if self.lost is not None:
            raise self.lost

    def forget(self) -> None:
        """Drop what nobody asked for."""
        self.strays += len(self.buffer)
        self.buffer.clear()

    def close(self, why: Exception) -> None:
        if self.lost is None:
            self.lost = why
            if self.transport is not None:
                self.transport.abort()
        self._wake.set()


class _Ghost(NamedTuple):
    """A request that may still be answered."""

    function: int
    data_bytes: int


LateFrames = defaultdict[int, dict[_Ghost, float]]
"""unit -> ghost -> since. Kept over a reconnect: what a bus still has to say does not know that its port was opened anew."""


class RtuLink:
    """A bus behind a serial port or behind a TCP converter that passes RTU frames on."""

    def __init__(self, endpoint: Endpoint, timeout_s: float, turnaround_s: float, folder: Path, ghosts: "LateFrames | None" = None) -> None:
        self._endpoint, self._timeout_s, self._folder = endpoint, timeout_s, folder
        bits = 1 + endpoint.bytesize + (endpoint.parity != "N") + endpoint.stopbits
        silence_s = max(3.5 * bits / endpoint.baudrate, 0.00175) if endpoint.kind == "rtu" else 0.0  # V1.02, 2.5.1.1
        self._between_s = silence_s + turnaround_s
        self._turn = asyncio.Lock()
        self._line: _Bytes | None = None
        self._unsettled = False
        self._ghosts = defaultdict(dict) if ghosts is None else ghosts
        self._answered: defaultdict[int, set[int]] = defaultdict(set)  # unit -> functions
        self.late = 0

    async def open(self) -> None:
        """Raises LinkLost if the port or the converter is not there."""
        self._line = await self._connect()

    def close(self) -> None:
        """Give the port or the connection back at once."""
        if self._line is not None:
            self._line.close(LinkLost("closed"))

    async def read(self, request: Request) -> Reply:
        """Send and wait. Raises Refused, WrongAnswer, NoAnswer; LinkLost or BadReply when the line is at fault."""
        async with self._turn:
            if any(ghost.function == request.function for ghost in self._ghosts[request.unit]):
                await self._lay(request)
            return await self._exchange(request)

    async def _lay(self, request: Request) -> None:
        """Prove that no answer of this unit is outstanding, by an answer that none of them can be."""
        ghosts, oldest_s = self._ghosts[request.unit], time.monotonic() - GHOST_S
        for ghost in [ghost for ghost, since_s in ghosts.items() if since_s < oldest_s]:
            del ghosts[ghost]
        unlike = next((other for other in self._others(request) if _Ghost(other.function, other.data_bytes) not in ghosts), None)
        if unlike is None:
            raise NoAnswer(f"silent to everything; asked again {GHOST_S:g} s after the oldest request")
        try:
            await self._exchange(unlike)
        except Refused:
            pass  # an exception is an answer; one that may be a ghost's has been dropped
        ghosts.clear()

    def _others(self, request: Request) -> Iterator[Request]:
        """Requests unlike this one, the likeliest to be answered first: functions that the unit knows, another length, other functions."""
        functions = [function for function in (3, 4, 1, 2) if function != request.function]
        known = [function for function in functions if function in self._answered[request.unit]]
        yield from (read_request(request.unit, function, 0, 1) for function in known)
        start = int.from_bytes(request.pdu[1:3], "big")
        yield from (read_request(request.unit, request.function, start, count) for count in ((1, 9) if request.function < 3 else (1, 2)))
        yield from (read_request(request.unit, function, 0, 1) for function in functions if function not in known)

    async def _exchange(self, request: Request) -> Reply:
        """One request and what came for it: its function, its length, its CRC."""
        line = self._line
        assert line is not None
        await self._silence(line)
        requested_ns = time.monotonic_ns()
        line.write(rtu_frame(request))
        try:
            async with asyncio.timeout(self._timeout_s):
                while (pdu := self._taken(line, request)) is None:
                    await line.more()
            data = data_of(pdu, request)
        except TimeoutError as error:
            self._haunt(request)
            came = f", only {bytes(line.buffer[:16]).hex(' ')}" if line.buffer else ""
            raise NoAnswer(f"no answer in {self._timeout_s:g} s{came}") from error
        except (WrongAnswer, asyncio.CancelledError):
            self._haunt(request)
            raise
        line.strays = 0
        self._answered[request.unit].add(request.function)
        return Reply(data, requested_ns, line.last_ns)

    async def _silence(self, line: _Bytes) -> None:
        """Keep the time between frames; after a failure wait until the line is quiet. What came meanwhile is nobody's answer."""
        quiet_s = max(self._between_s, _SETTLE_S if self._unsettled else 0.0)
        until_s = time.monotonic() + max(self._timeout_s, 0.2)
        while (rest_s := line.last_ns / 1e9 + quiet_s - time.monotonic()) > 0 and time.monotonic() < until_s:  # noqa: ASYNC110 - silence is no event
            await asyncio.sleep(rest_s)
        if line.lost is not None:
            raise line.lost
        line.forget()
        self._unsettled = False

    def _taken(self, line: _Bytes, request: Request) -> bytes | None:
        """The answer's PDU once it is whole; None for more bytes. Late frames are dropped. Raises WrongAnswer."""
        buffer = line.buffer
        while len(buffer) >= 5:
            unit, function, size = buffer[0], buffer[1], 5 if buffer[1] & 0x80 else 5 + buffer[2]
            ghost = self._ghost(unit, function, buffer[2], request)
            expected = unit == request.unit and function & 0x7F == request.function
            if size > _LONGEST or not (expected or ghost):
                raise WrongAnswer(f"unit {unit}, function {function}: {bytes(buffer[:16]).hex(' ')}")
            if len(buffer) < size:
                return None
            frame = bytes(buffer[:size])
            if not crc_is_right(frame):
                raise WrongAnswer(f"checksum: {frame[:16].hex(' ')}")
            if not ghost:
                return frame[1:-2]
            del buffer[:size]
            self.late += 1
            self._ghosts[unit].pop(_Ghost(function, frame[2]), None)
        return None

    def _ghost(self, unit: int, function: int, third: int, request: Request) -> bool:
        """Whether a frame that begins so may belong to an older request. Of an exception only the function is known."""
        ghosts = self._ghosts.get(unit, {})
        if function & 0x80:
            return any(ghost.function == function & 0x7F for ghost in ghosts)
        return _Ghost(function, third) in ghosts and (unit, function, third) != (request.unit, request.function, request.data_bytes)

    def _haunt(self, request: Request) -> None:
        self._unsettled = True
        self._ghosts[request.unit][_Ghost(request.function, request.data_bytes)] = time.monotonic()

    async def _connect(self) -> _Bytes:
        its, loop = self._endpoint, asyncio.get_running_loop()
        if its.kind == "rtu":
            line = _Bytes()
            line.transport = SerialLine(its, str(self._folder / its.path), line.data_received, line.close)
            return line
        try:
            async with asyncio.timeout(max(self._timeout_s, 3.0)):
                return (await loop.create_connection(_Bytes, its.host, its.port))[1]
        except (OSError, TimeoutError) as error:
            raise LinkLost(f"{its.host}:{its.port}: {error or 'no connection in time'}") from error
