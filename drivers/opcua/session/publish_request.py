"""Encodes a PublishRequest (Part 4, 5.13.5; Part 6, 5.2): the one request that goes out for every message that comes in."""

import struct
from collections.abc import Sequence

_TYPE = b"\x01\x00\x3a\x03"  # i=826, PublishRequest_Encoding_DefaultBinary, as a four-byte NodeId
_HEADER = struct.Struct("<qIIiI3s")  # timestamp, handle, diagnostics, null AuditEntryId, time-out hint, no AdditionalHeader


def publish_request(token: bytes, filetime: int, handle: int, acknowledgements: Sequence[tuple[int, int]]) -> bytes:
    """Encode a request that waits for as long as there is nothing to publish.

    token: the session's AuthenticationToken, an encoded NodeId. filetime: now, 100-ns units since 1601. acknowledgements: (subscription id,
    sequence number).
    """
    numbers = [number for each in acknowledgements for number in each]
    return b"".join(
        (
            _TYPE,
            token,
            _HEADER.pack(filetime, handle, 0, -1, 0, b"\x00\x00\x00"),
            struct.pack(f"<i{len(numbers)}I", len(acknowledgements), *numbers),
        )
    )
