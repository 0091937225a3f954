"""Bounds on what a server may send, and on what it is sent: asyncua's own limits are 0, that is none.

A chunk, a message, the number of chunks and the reads that decoding an answer takes are bounded. What we send is measured against what the
server's Acknowledge says that it takes (Part 6, 7.1.2.4): a request beyond it is refused here, before it is sent, by the status with which
a server refuses it in words, so whoever asked for many things asks for fewer at once.
"""

import struct
from dataclasses import dataclass
from typing import Any, NamedTuple

from asyncua.common.connection import MessageChunk, SecureConnection, TransportLimits
from asyncua.common.utils import Buffer
from asyncua.ua import ua_binary

from drivers.opcua.asyncua_types import ua
from drivers.opcua.session import variant as v

LARGEST_CHUNK_BYTES = 1 << 20
LARGEST_MESSAGE_BYTES = 16 << 20
MOST_CHUNKS = 512
LEAST_SENT_BYTES = 8192
"""Every peer takes a message of this size (Part 6, 7.1.2.3), whatever it states."""
MOST_READS = 1_000_000
"""Reads of asyncua's decoder in one answer: about one per member; seconds, and some hundred megabytes at worst."""
MOST_OPENING_READS = 100_000
"""The same for what opens channel and session, which is decoded on the event loop: a tenth of a second."""
_FREE_READS = 1000
_CHUNK = struct.Struct("<3scIII")  # message type, chunk type, size, channel, token
_SEQUENCE = struct.Struct("<II")  # number of the chunk, number of the request
SERVICE_FAULT = 397
_RESULT_AT = 12
"""Place of the ServiceResult in a ResponseHeader (Part 4, 7.33): after the time and the request handle."""


@dataclass
class PeerLimits(TransportLimits):
    """Limits of one connection. What the server's Acknowledge says lowers what we send, and never raises what we take in.

    most_sent_bytes, most_sent_chunks: of one message, 0 for no limit.
    """

    most_sent_bytes: int = 0
    most_sent_chunks: int = 0

    def update_client_limits(self, msg: ua.Acknowledge) -> None:
        """Take over the server's Acknowledge; called by asyncua."""
        stated = msg.ReceiveBufferSize
        self.max_send_buffer = min(self.max_send_buffer, stated) if stated >= LEAST_SENT_BYTES else self.max_send_buffer
        self.send_at_most(msg.MaxMessageSize)
        self.most_sent_chunks = msg.MaxChunkCount

    def send_at_most(self, message_bytes: int) -> None:
        """Lower the size of a message that is sent. 0 says nothing."""
        if message_bytes:
            most = max(message_bytes, LEAST_SENT_BYTES)
            self.most_sent_bytes = min(self.most_sent_bytes or most, most)


class BoundedBuffer(Buffer):
    """What asyncua decodes an answer from. It believes every length in it; here each element that it reads is counted.

    No honest answer takes more reads than it has bytes, but for some that read none.
    """

    def __init__(self, data: bytes, start_pos: int = 0, size: int = -1, left: list[int] | None = None) -> None:
        super().__init__(data, start_pos, size)
        self._left = [min(MOST_READS, len(self) + _FREE_READS)] if left is None else left

    def read(self, size: int) -> bytes:
        """Read, and count. Raises BadEncodingLimitsExceeded: whoever asked for many things asks for fewer at once."""
        self._left[0] -= 1
        if self._left[0] < 0 or size < 0:
            raise ua.UaStatusCodeError(ua.StatusCodes.BadEncodingLimitsExceeded)
        return super().read(size)

    def copy(self, size: int = -1) -> "BoundedBuffer":
        """Return a copy that counts on the same account."""
        return BoundedBuffer(self._data, self._cur_pos, self._size if size == -1 or size > self._size else size, self._left)

    def spend_at_most(self, reads: int) -> None:
        """Lower the account."""
        self._left[0] = min(self._left[0], reads)

    @classmethod
    def of(cls, buffer: Buffer) -> "BoundedBuffer":
        """Bound what is left of a buffer."""
        return cls(buffer._data, buffer.cur_pos, len(buffer))  # noqa: SLF001


def _counted_null(data: Any) -> None:
    """Decode Null, which takes no byte, by reading nothing: so an array of two thousand million of them is counted."""
    data.read(0)


setattr(ua_binary._Null, "unpack", staticmethod(_counted_null))  # noqa: B010, SLF001 - asyncua 2.1.0 is pinned; a test holds it


class ConnectionEnded(ConnectionError):
    """The connection is over. status: what the server's Error message says (Part 6, 7.1.2.5); 0 if it sent none."""

    def __init__(self, why: str, status: int = 0) -> None:
        super().__init__(why)
        self.status = status


class Aborted(NamedTuple):
    """An answer that the server began and did not end (Part 6, 6.7.3), or that is too large to be taken."""

    request: int
    status: int


class BoundedConnection(SecureConnection):
    """asyncua's secure channel. largest_sent: bytes of the largest message so far."""

    largest_sent = 0
    _taken_bytes = _taken_chunks = 0  # of the message under way

    def message_to_binary(self, message: bytes, message_type: Any = ua.MessageType.SecureMessage, request_id: int = 0) -> bytes:
        """Encode a message. Raises BadRequestTooLarge if the server does not take so much; no sequence number is used up then.

        What asyncua makes an object with headers for is packed at once where it is a request: one goes out for every message that comes in.
        """
        if message_type == ua.MessageType.SecureOpen:  # one chunk, before there are keys
            return super().message_to_binary(message, message_type=message_type, request_id=request_id)
        limits, most = self._limits, len(message)
        assert isinstance(limits, PeerLimits)
        per_chunk = MessageChunk.max_body_size(self.security_policy.symmetric_cryptography, limits.max_send_buffer)
        # Headers are counted in: some servers count them, others the body alone.
        chunks = -(-most // per_chunk)
        whole = most + chunks * (limits.max_send_buffer - per_chunk)
        if 0 < limits.most_sent_bytes < whole or 0 < limits.most_sent_chunks < chunks:
            raise ua.UaStatusCodeError(ua.StatusCodes.BadRequestTooLarge)
        self.largest_sent = max(self.largest_sent, whole)
        if message_type != ua.MessageType.SecureMessage:
            return super().message_to_binary(message, message_type=message_type, request_id=request_id)
        begins = range(0, most, per_chunk)
        return b"".join(self._chunk(message[at : at + per_chunk], request_id, is_last=at == begins[-1]) for at in begins)

    def _chunk(self, part: bytes, request: int, *, is_last: bool) -> bytes:
        """Number, sign and encrypt a part of a message (Part 6, 6.7.2)."""
        self._sequence_number = self._sequence_number % 0xFFFF_FFFF + 1
        crypto: Any = self.security_policy.symmetric_cryptography  # asyncua says no types of it
        token = self.security_token
        content = _SEQUENCE.pack(self._sequence_number, request) + part
        content += crypto.padding(len(content))
        size = (len(content) + crypto.signature_size()) // crypto.plain_block_size() * crypto.encrypted_block_size()
        head = _CHUNK.pack(b"MSG", b"F" if is_last else b"C", _CHUNK.size + size, token.ChannelId, token.TokenId)
        encrypted: bytes = crypto.encrypt(content + crypto.signature(head + content))
        return head + encrypted

    def _check_sym_header(self, security_hdr: Any) -> None:
        """Check the token of a chunk. 0 is none: asyncua has it in place of the token that there is not yet, or not any more."""
        if security_hdr.TokenId == 0:
            raise ConnectionEnded("a chunk without a security token")
        super()._check_sym_header(security_hdr)

    def _receive(self, msg: MessageChunk) -> Any:
        """Take a chunk; return the message that it completes, Aborted, or None. Raises ConnectionEnded, UaError.

        A message beyond our limits is passed over, and whoever waits for it asks for less at once; beyond eight times of it nobody does.
        """
        self._check_incoming_chunk(msg)
        request, ending = msg.SequenceHeader.RequestId, msg.MessageHeader.ChunkType
        self._taken_bytes, self._taken_chunks = self._taken_bytes + len(msg.Body), self._taken_chunks + 1
        if self._taken_bytes > 8 * LARGEST_MESSAGE_BYTES or self._taken_chunks > 8 * MOST_CHUNKS:
            raise ConnectionEnded(f"a message of more than {8 * MOST_CHUNKS} chunks or {8 * LARGEST_MESSAGE_BYTES >> 20} MiB")
        is_too_large = self._taken_bytes > LARGEST_MESSAGE_BYTES or self._taken_chunks > MOST_CHUNKS
        if is_too_large and ending != ua.ChunkType.Abort:
            msg.Body, self._incoming_parts = b"", []
        self._incoming_parts.append(msg)
        if ending == ua.ChunkType.Intermediate:
            return None
        parts, self._incoming_parts = self._incoming_parts, []
        self._taken_bytes = self._taken_chunks = 0
        if ending == ua.ChunkType.Abort:
            return Aborted(request, _abort_status(msg.Body))
        if ending != ua.ChunkType.Single:
            raise ua.UaError(f"a chunk that ends in {ending!r}")
        return Aborted(request, int(ua.StatusCodes.BadResponseTooLarge)) if is_too_large else ua.Message(parts)


def _abort_status(body: bytes) -> int:
    """Return why an answer was aborted (Part 6, 6.7.3): the status before the text; some servers do not say."""
    status = int.from_bytes(body[:4], "little")
    return status if status & 0x80000000 else int(ua.StatusCodes.BadRequestInterrupted)


def fault_of(data: Buffer) -> int | None:
    """Return the status of a ServiceFault, None if the answer is none. Raises UaError."""
    body, at = data._data, data.cur_pos  # noqa: SLF001
    try:
        kind, at = v.nodeid(body, at, at + len(data))
    except (v.Undecodable, struct.error, IndexError, ValueError) as error:
        raise ua.UaError(f"an answer of no kind: {error}") from error
    if kind.NamespaceIndex != 0 or kind.Identifier != SERVICE_FAULT:
        return None
    status = int.from_bytes(body[at + _RESULT_AT : at + _RESULT_AT + 4], "little")
    if not status & 0x80000000:
        raise ua.UaError("a ServiceFault that names no fault")
    return status
