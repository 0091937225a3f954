"""A Modbus PLC, or a gateway or bus with units behind it: own frames, own encodings, scripted faults, ground truth."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from config import Source, Tag
from simulators.device import Truth
from simulators.modbus_plc.faults import Fault, spoiled
from simulators.modbus_plc.framing import Answer, served_under, spoiled_frame
from simulators.modbus_plc.memory import TABLE, Memory, Served, not_served
from simulators.modbus_plc.rtu import Bus
from simulators.terminal import Terminal


def now_ticks() -> int:
    """Read the machine's clock: 100-ns units since 1970."""
    return time.time_ns() // 100


class ModbusPlc:
    """Serves the tags of one source at its endpoint, tcp://, rtu-tcp:// or rtu:// (a pseudo-terminal with a link to it at that path).

    Port 0 takes a free port, told by `port` after start and kept over a restart. faults: each request meets the first that fits.
    dead: units that never answer. deaf: (unit, table, offset) of places of which no read is answered. longest: reads of more places are
    not answered rightly, but as `beyond` says.
    """

    def __init__(self, source: Source, tags: Sequence[Tag], truth: Truth) -> None:
        options = source.options
        self.memory = Memory(
            tags, truth, byte_order=str(options.get("byte_order", "ABCD")), encoding=str(options.get("encoding", "ascii")), now=now_ticks
        )
        self.faults: list[Fault] = []
        self.dead: set[int] = set()
        self.deaf: set[tuple[int, str, int]] = set()
        self.longest = 2000
        self.beyond: Literal["zeros", "silence", "exception"] = "silence"
        parts = urlsplit(source.endpoints[0])
        self._scheme, self.path = parts.scheme, source.folder / (parts.netloc + parts.path)
        self.host, self.port = (
            ("", 0) if parts.scheme == "rtu" else (parts.hostname or "127.0.0.1", 502 if parts.port is None else parts.port)
        )
        self.connections: set[_Connection] = set()
        self.accepted = 0
        self._server: asyncio.Server | None = None
        self._terminal: _BusAtTerminal | None = None
        self._begun = False

    async def start(self) -> None:
        """See Device."""
        if not self._begun:
            self.memory.begin()
            self._begun = True
        if self._scheme == "rtu":
            self._terminal = _BusAtTerminal(self)
            return
        serve = _Served if self._scheme == "tcp" else _BusServed
        self._server = await asyncio.get_running_loop().create_server(lambda: serve(self), self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """See Device."""
        if self._terminal is not None:
            self._terminal.close()
            self._terminal = None
        server, self._server = self._server, None
        for connection in list(self.connections):
            connection.abort()
        if server is not None:
            server.close()
            await server.wait_closed()

    async def set(self, values: Mapping[str, Any], ticks: int) -> None:
        """See Device."""
        self.memory.set(values, ticks)

    def answer(self, unit: int, pdu: bytes) -> Answer | None:
        """Answer a request under the first fault that it meets; None for a dead unit."""
        start, count = int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big")
        is_deaf = any((unit, TABLE.get(pdu[0], ""), at) in self.deaf for at in range(start, start + count)) if self.deaf else False
        if unit in self.dead or is_deaf or (count > self.longest and self.beyond == "silence"):
            self.memory.requests[pdu[0]] += 1
            return None
        if count > self.longest:
            data = bytes(2 * count if pdu[0] > 2 else (count + 7) // 8)
            wrong = bytes([pdu[0] | 0x80, 4]) if self.beyond == "exception" else bytes([pdu[0], len(data)]) + data
            self.memory.requests[pdu[0]] += 1
            return None, wrong, not_served
        fault = next((fault for fault in self.faults if fault.strikes(unit, pdu[0])), None)
        right, served = self.memory.answer(unit, pdu)
        return fault, right if fault is None else spoiled(fault, right), served

    def answer_on_bus(self, unit: int, pdu: bytes) -> Answer | None:
        """Answer as `answer` does; None also for an address without a unit: on a bus nothing can refuse it."""
        return self.answer(unit, pdu) if unit in self.memory.units else None


class _Connection(asyncio.Protocol):
    """One client's connection, counted by the PLC while it is open."""

    def __init__(self, plc: ModbusPlc) -> None:
        self._plc = plc
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # what loops give is not always of that class
        self._plc.connections.add(self)
        self._plc.accepted += 1

    def connection_lost(self, _exc: Exception | None) -> None:
        self._plc.connections.discard(self)

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def _write(self, data: bytes, served: Served = not_served) -> None:
        if self._transport is not None and not self._transport.is_closing():
            served()
            self._transport.write(data)


class _Served(_Connection):
    """Modbus TCP (Messaging on TCP/IP V1.0b, 3.1.3)."""

    def __init__(self, plc: ModbusPlc) -> None:
        super().__init__(plc)
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= 8:
            size = 6 + int.from_bytes(self._buffer[4:6], "big")
            if len(self._buffer) < size:
                return
            frame, self._buffer = self._buffer[:size], self._buffer[size:]
            self._request(frame[:2], frame[6], frame[7:])

    def _request(self, transaction: bytes, unit: int, pdu: bytes) -> None:
        answered = self._plc.answer(unit, pdu)
        if answered is None:
            return
        fault, answer, served = answered
        kind = None if fault is None else fault.kind
        if kind == "drop":
            return
        if kind == "close":
            self.abort()
            return
        if kind == "wrong-transaction":
            transaction = ((int.from_bytes(transaction, "big") + 7) & 0xFFFF).to_bytes(2, "big")
        if kind == "wrong-unit":
            unit = (unit + 1) & 0xFF
        protocol = b"\x12\x34" if kind == "wrong-protocol" else b"\0\0"
        frame = transaction + protocol + (len(answer) + 1).to_bytes(2, "big") + bytes([unit]) + answer
        frame, served = spoiled_frame(fault, frame), served_under(fault, served)
        if kind == "delay" and fault is not None:
            asyncio.get_running_loop().call_later(fault.seconds, self._write, frame, served)
        else:
            self._write(frame, served)


class _BusServed(_Connection):
    """A converter that passes RTU frames on over TCP."""

    def __init__(self, plc: ModbusPlc) -> None:
        super().__init__(plc)
        self._bus = Bus(plc.answer_on_bus, self._write, self.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._bus.stop()

    def data_received(self, data: bytes) -> None:
        self._bus.received(data)


class _BusAtTerminal:
    """A bus at a pseudo-terminal; closing it simulates a pulled adapter."""

    def __init__(self, plc: ModbusPlc) -> None:
        self._bus = Bus(plc.answer_on_bus, self._send, self.close)
        self._terminal = Terminal(plc.path, self._bus.received)
        self._terminal.open()

    def _send(self, data: bytes) -> None:
        self._terminal.send(data)

    def close(self) -> None:
        self._bus.stop()
        self._terminal.close()
