"""Cuts a stream of a Modbus TCP connection into answers, and finds the answer that lacks its end. Pure.

(Modbus Messaging on TCP/IP Implementation Guide V1.0b, 3.1.3.)

A cut answer is completed by the first bytes of the next one: its head is right and its values are wrong. What gives it away is that the
header of the next one stands where no frame begins. So nothing is taken before the stream ends where a frame ends, and nothing of it if
such a header stands elsewhere, or if the bytes behind a frame are no header.
"""

from collections.abc import Collection, Iterable
from functools import lru_cache
from struct import Struct
from typing import NamedTuple

from drivers.modbus.frames import Request

_HEADER = Struct(">HHHB")  # transaction, protocol (0), bytes that follow, unit
_LONGEST = 254  # unit and PDU
MOST_BYTES = 64 * (6 + _LONGEST)
"""So much without an end of a frame at its end is no sequence of answers: at most 16 requests are under way at once."""


class NotFrames(Exception):
    """The bytes are no sequence of whole frames: no answer among them can be trusted, nor what follows on this connection."""


class Frame(NamedTuple):
    """One frame: its transaction number, unit, and PDU."""

    transaction: int
    unit: int
    pdu: bytes


def heads_of(request: Request, transaction: int, odd: Collection[str] = ()) -> tuple[bytes, ...]:
    """Give the headers that an answer to a request may have: one with data, and an exception response.

    odd: what the device is known to do: "unit", another unit number; "padding", one byte more.
    """
    first = transaction.to_bytes(2, "big")
    return tuple([first + rest for rest in _heads_without_transaction(request.unit, request.data_bytes, "unit" in odd, "padding" in odd)])


@lru_cache(maxsize=4_096)
def _heads_without_transaction(unit: int, data_bytes: int, any_unit: bool, padded: bool) -> tuple[bytes, ...]:  # noqa: FBT001
    lengths = [3 + data_bytes, 3] + ([4 + data_bytes, 4] if padded else [])
    return tuple(_HEADER.pack(0, 0, length, unit)[2 : _HEADER.size - any_unit] for length in lengths)


def without_padding(pdu: bytes, request: Request) -> bytes:
    """Cut off the one byte behind the data, or behind an exception code, that a device adds; any other PDU is given back as it is."""
    right = 2 if pdu[:1] == bytes([request.function | 0x80]) else 2 + request.data_bytes
    return pdu[:right] if len(pdu) == right + 1 else pdu


def sole_answer(stream: bytes, request: Request, transaction: int) -> bytes | None:
    """Return the PDU where a stream is one whole answer with data to the only request under way; None in doubt: then `frames_in` decides.

    In doubt, too, where inside of it stand the five bytes with which each head of an answer to this request begins.
    """
    head = _HEADER.pack(transaction, 0, 3 + request.data_bytes, request.unit)
    if len(stream) != 9 + request.data_bytes or not stream.startswith(head):
        return None
    return stream[7:] if stream.find(head[:5], 1) < 0 else None


def frames_in(stream: bytes, due: Collection[bytes]) -> list[Frame] | None:
    """Return the frames of a stream that ends where a frame ends; None while the end of one is missing, or may be.

    due: the heads (heads_of) of the answers that are still to come. Raises NotFrames.
    """
    frames: list[Frame] = []
    starts: set[int] = set()
    at = 0
    while len(stream) - at >= _HEADER.size:
        transaction, protocol, length, unit = _HEADER.unpack_from(stream, at)
        if protocol != 0 or not 3 <= length <= _LONGEST:
            raise NotFrames(f"not a Modbus TCP frame: {stream[at : at + 8].hex(' ')}")
        starts.add(at)
        if len(stream) - at < 6 + length:
            break
        frames.append(Frame(transaction, unit, stream[at + 7 : at + 6 + length]))
        at += 6 + length
    _check_heads(stream, starts, due)
    if len(stream) > MOST_BYTES:
        raise NotFrames(f"{len(stream)} bytes, and no end of a frame at their end")
    ends = at == len(stream) and not (frames and _may_go_on(stream, frames[-1], due))
    return frames if ends else None


def _may_go_on(stream: bytes, last: Frame, due: Iterable[bytes]) -> bool:
    """True if the last frame ends as the header of another answer begins, of which the rest is still on its way."""
    others = [head for head in due if int.from_bytes(head[:2], "big") != last.transaction]
    return any(stream.endswith(head[:size]) for head in others for size in range(2, _HEADER.size))


def _check_heads(stream: bytes, starts: set[int], due: Iterable[bytes]) -> None:
    """Raise NotFrames if the head of an answer stands where no frame begins: the frame before it lacks its end."""
    for head in due:
        at = stream.find(head)
        while at >= 0:
            if at not in starts:
                raise NotFrames(f"an answer without its end, before {head.hex(' ')}")
            at = stream.find(head, at + 1)
