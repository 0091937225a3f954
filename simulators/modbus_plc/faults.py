"""Scripted faults: wrong answers, missing ones, and spoiled frames, by request."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "delay",  # the right answer, `seconds` later
    "drop",  # no answer
    "close",  # the connection is closed instead
    "exception",  # exception `code`
    "wrong-unit",  # the right data under another unit
    "wrong-function",  # the right data as the answer to another function
    "wrong-transaction",  # the right data under another transaction number (TCP)
    "wrong-protocol",  # a protocol identifier that is not Modbus (TCP)
    "short",  # one register or byte less, consistent in itself
    "long",  # one register or byte more, consistent in itself
    "bad-count",  # the byte count contradicts the data
    "truncated",  # the frame ends in its middle
    "bad-crc",  # a bit of the checksum is wrong (RTU)
    "garbage-before",  # noise, then the right answer
    "garbage-after",  # the right answer, then noise
    "twice",  # the right answer, two times
]


@dataclass(slots=True)
class Fault:
    """A fault of the next `times` requests that it fits (None: every unit, every function), after `after` others have passed."""

    kind: Kind
    times: int = 1
    after: int = 0
    unit: int | None = None
    function: int | None = None
    seconds: float = 0.0
    code: int = 4

    def strikes(self, unit: int, function: int) -> bool:
        """True if this request meets the fault; counts it."""
        if self.times <= 0 or self.unit not in (None, unit) or self.function not in (None, function):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        self.times -= 1
        return True


def spoiled(fault: Fault, pdu: bytes) -> bytes:
    """Change the answer's PDU as the fault says."""
    function, data = pdu[0], pdu[2:]
    if fault.kind == "exception":
        return bytes([function | 0x80, fault.code])
    if fault.kind == "wrong-function":
        return bytes([{1: 2, 2: 1, 3: 4, 4: 3}.get(function, 3)]) + pdu[1:]
    step = 1 if function < 3 else 2
    if fault.kind == "short":
        return bytes([function, len(data) - step]) + data[:-step]
    if fault.kind == "long":
        return bytes([function, len(data) + step]) + data + data[:step]
    if fault.kind == "bad-count":
        return bytes([function, (pdu[1] + step) & 0xFF]) + data
    return pdu
