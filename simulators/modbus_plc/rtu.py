"""The same units on a serial bus: RTU frames over a stream of bytes, each unit answering in order."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from math import inf, nextafter

from simulators.modbus_plc.framing import Answer, crc16, served_under, spoiled_frame
from simulators.modbus_plc.memory import Served

_REQUEST_BYTES = 8  # unit, function, address, count, checksum


class Bus:
    """Cuts requests out of the bytes on the bus, and sends each unit's answers in order."""

    def __init__(self, answer: Callable[[int, bytes], Answer | None], send: Callable[[bytes], None], close: Callable[[], None]) -> None:
        """answer: answers a PDU for a unit, None if it is silent. send: puts bytes on the wire. close: ends the connection."""
        self._answer, self._send, self._close = answer, send, close
        self._input = b""
        self._busy_until: defaultdict[int, float] = defaultdict(float)
        self._timers: set[asyncio.TimerHandle] = set()

    def received(self, data: bytes) -> None:
        """Take bytes from the master; skip bytes that are no request."""
        self._input += data
        while len(self._input) >= _REQUEST_BYTES:
            frame = self._input[:_REQUEST_BYTES]
            if crc16(frame[:-2]) != frame[-2:]:
                self._input = self._input[1:]
                continue
            self._input = self._input[_REQUEST_BYTES:]
            self._request(frame[0], frame[1:-2])

    def stop(self) -> None:
        """Send nothing more."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _request(self, unit: int, pdu: bytes) -> None:
        answered = self._answer(unit, pdu)
        if answered is None:
            return
        fault, answer, served = answered
        kind = None if fault is None else fault.kind
        if kind == "drop":
            return
        if kind == "close":
            self._close()
            return
        frame = bytes([unit + (kind == "wrong-unit")]) + answer
        frame += crc16(frame)
        if kind == "bad-crc":
            frame = frame[:-1] + bytes([frame[-1] ^ 0x10])
        delay_s = fault.seconds if fault is not None and kind == "delay" else 0.0
        self._in_order(unit, delay_s, spoiled_frame(fault, frame), served_under(fault, served))

    def _in_order(self, unit: int, delay_s: float, frame: bytes, served: Served) -> None:
        """Send an answer when the unit has finished all earlier requests."""
        loop = asyncio.get_running_loop()
        # strictly later than the one before: the loop keeps no order among timers of the same instant
        self._busy_until[unit] = at = max(loop.time(), nextafter(self._busy_until[unit], inf)) + delay_s

        def send() -> None:
            self._timers.discard(timer)
            served()
            self._send(frame)

        timer = loop.call_at(at, send)
        self._timers.add(timer)
