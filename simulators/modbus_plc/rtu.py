"""The same units on a serial bus: RTU frames over a stream of bytes, each unit answering in order."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from math import inf, nextafter
from typing import TYPE_CHECKING

from simulators.modbus_plc.memory import Served, not_served

if TYPE_CHECKING:
    from simulators.modbus_plc.server import ModbusPlc

_REQUEST_BYTES = 8  # unit, function, address, count, checksum
_NOISE = b"\xff\xfe\xfd"
_RIGHT = (None, "twice", "delay", "garbage-after")


def crc16(data: bytes) -> bytes:
    """Modbus over Serial Line V1.02, 6.2.2, bit by bit, low byte first."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc.to_bytes(2, "little")


class Bus:
    """What arrives on the bus -> what the units send. `send` puts bytes on the wire."""

    def __init__(self, plc: "ModbusPlc", send: Callable[[bytes], None], close: Callable[[], None]) -> None:
        self._plc, self._send, self._close = plc, send, close
        self._input = b""
        self._busy_until: defaultdict[int, float] = defaultdict(float)
        self._timers: set[asyncio.TimerHandle] = set()

    def received(self, data: bytes) -> None:
        """Bytes from the master. What is no request is skipped."""
        self._input += data
        while len(self._input) >= _REQUEST_BYTES:
            frame = self._input[:_REQUEST_BYTES]
            if crc16(frame[:-2]) != frame[-2:]:
                self._input = self._input[1:]
                continue
            self._input = self._input[_REQUEST_BYTES:]
            self._request(frame[0], frame[1:-2])

    def stop(self) -> None:
        """Nothing more is sent."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _request(self, unit: int, pdu: bytes) -> None:
        if unit not in self._plc.memory.units:
            return  # nobody has this address
        answered = self._plc.answer(unit, pdu)
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
        elif kind == "truncated":
            frame = frame[:-3]
        elif kind in ("twice", "garbage-before", "garbage-after"):
            frame = {"twice": frame * 2, "garbage-before": _NOISE + frame}.get(kind, frame + _NOISE)
        delay_s = fault.seconds if fault is not None and kind == "delay" else 0.0
        self._in_order(unit, delay_s, frame, served if kind in _RIGHT else not_served)

    def _in_order(self, unit: int, delay_s: float, frame: bytes, served: Served) -> None:
        """A unit finishes one request before it begins the next."""
        loop = asyncio.get_running_loop()
        # strictly later than the one before: the loop keeps no order among timers of the same instant
        self._busy_until[unit] = at = max(loop.time(), nextafter(self._busy_until[unit], inf)) + delay_s

        def send() -> None:
            self._timers.discard(timer)
            served()
            self._send(frame)

        timer = loop.call_at(at, send)
        self._timers.add(timer)
