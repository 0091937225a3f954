"""The checksum, and the ways in which a scripted fault spoils a frame; common to TCP and RTU."""

from simulators.modbus_plc.faults import Fault
from simulators.modbus_plc.memory import Served, not_served

_NOISE = b"\xff\xfe\xfd"
_ARRIVES_RIGHT = (None, "twice", "delay", "garbage-after")

Answer = tuple[Fault | None, bytes, Served]
"""The fault that a request meets, the PDU to send, and what notes it in the ground truth when it leaves."""


def crc16(data: bytes) -> bytes:
    """Compute the CRC (Modbus over Serial Line V1.02, 6.2.2), bit by bit, low byte first."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc.to_bytes(2, "little")


def spoiled_frame(fault: Fault | None, frame: bytes) -> bytes:
    """Cut the frame, send it twice or put noise around it, if the fault says so."""
    if fault is None:
        return frame
    spoiled = {"truncated": frame[:-3], "twice": frame * 2, "garbage-before": _NOISE + frame, "garbage-after": frame + _NOISE}
    return spoiled.get(fault.kind, frame)


def served_under(fault: Fault | None, served: Served) -> Served:
    """Return `served` if the client still gets the right values under this fault, else a function that notes nothing."""
    return served if (fault and fault.kind) in _ARRIVES_RIGHT else not_served
