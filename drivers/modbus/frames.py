"""Encode requests and check answers against them: pure, no I/O.

The encodings of requests and of serial frames are pymodbus's. Its client is not used to receive: it takes an answer of another function, of
another length, or one that belongs to an earlier request, and returns it as good (pymodbus 3.16.1, measured in the tests). Here an
answer must match its request in every field, or it is refused.
"""

from collections.abc import Callable
from struct import Struct
from typing import NamedTuple

from pymodbus.constants import ExcCodes
from pymodbus.framer.rtu import FramerRTU
from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.pdu.bit_message import ReadCoilsRequest, ReadDiscreteInputsRequest
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, ReadInputRegistersRequest

from drivers.modbus.plan import FUNCTION, Block

_REQUEST: dict[int, type[ModbusPDU]] = {
    1: ReadCoilsRequest,
    2: ReadDiscreteInputsRequest,
    3: ReadHoldingRegistersRequest,
    4: ReadInputRegistersRequest,
}
_HEADER = Struct(">HHHB")  # transaction, protocol 0, bytes that follow, unit
_RTU = FramerRTU(DecodePDU(is_server=False))
_CODES = {int(code): code.name.lower().replace("_", " ").replace("unaviable", "unavailable") for code in ExcCodes}


class Request(NamedTuple):
    """One read request. pdu: function code, address and count as sent; data_bytes: data bytes that a right answer carries."""

    unit: int
    function: int
    pdu: bytes
    data_bytes: int


class Reply(NamedTuple):
    """Data bytes of an answer, with the instants of request and completion (CLOCK_MONOTONIC, ns)."""

    data: bytes
    requested_ns: int
    received_ns: int


Then = Callable[[Reply], Request | None]
"""Takes an answer and gives the question that follows; None: it has not taken it, and asks nothing."""


class NoAnswer(Exception):
    """The unit was silent for the whole time-out."""


class ModbusException(Exception):
    """The device answered with an exception response (V1.1b3, 7)."""

    def __init__(self, code: int) -> None:
        super().__init__(f"modbus-exc-{code:02d} ({_CODES.get(code, 'unknown code')})")
        self.code = code


class WrongAnswer(Exception):
    """The bytes received can not be the answer to the request."""


def request_for(block: Block) -> Request:
    """Make the request that reads a block."""
    return read_request(block.unit, FUNCTION[block.table], block.start, block.count)


def read_request(unit: int, function: int, start: int, count: int) -> Request:
    """Make a read request by function 1 to 4; pymodbus checks address and count and raises ValueError."""
    pdu = _REQUEST[function](address=start, count=count, dev_id=unit)
    return Request(unit, function, bytes([function]) + pdu.encode(), (count + 7) // 8 if function < 3 else 2 * count)


def data_of(pdu: bytes, request: Request) -> bytes:
    """Extract the data bytes of an answer's PDU. Raises ModbusException for an exception response, WrongAnswer for any mismatch."""
    if len(pdu) == 2 and pdu[0] == request.function | 0x80:
        raise ModbusException(pdu[1])
    if not pdu or pdu[0] != request.function:
        raise WrongAnswer(f"function {pdu[0] if pdu else None} for {request.function}: {pdu[:16].hex(' ')}")
    if len(pdu) != 2 + request.data_bytes or pdu[1] != request.data_bytes:
        raise WrongAnswer(f"{len(pdu) - 2} data bytes, byte count {pdu[1:2].hex()}, expected {request.data_bytes}: {pdu[:16].hex(' ')}")
    return pdu[2:]


def tcp_frame(request: Request, transaction: int) -> bytes:
    """Encode the request behind an MBAP header (Messaging on TCP/IP V1.0b, 3.1.3)."""
    return _HEADER.pack(transaction, 0, 1 + len(request.pdu), request.unit) + request.pdu


def rtu_frame(request: Request) -> bytes:
    """Encode the request between unit address and CRC (Modbus over Serial Line V1.02, 2.5.1)."""
    return _RTU.encode(request.pdu, request.unit, 0)


def crc_is_right(frame: bytes) -> bool:
    """True if the last two bytes of an RTU frame are the CRC-16 of those before."""
    return len(frame) >= 4 and FramerRTU.compute_CRC(frame[:-2]) == int.from_bytes(frame[-2:], "big")
