"""A hostile server: the transport is bounded, whatever comes."""

import asyncio
import struct
from typing import Any

import pytest
from asyncua import ua as _ua
from asyncua.crypto.security_policies import SecurityPolicyNone
from asyncua.ua.ua_binary import struct_from_binary

from drivers.opcua.session.bounded import LARGEST_CHUNK_BYTES, LARGEST_MESSAGE_BYTES, BoundedBuffer, ConnectionEnded
from drivers.opcua.session.wire import BoundedProtocol

ua: Any = _ua


class Wire(asyncio.Transport):
    """The end of a connection that only knows whether it was cut."""

    cut = False

    def abort(self) -> None:
        self.cut = True

    def write(self, data: Any) -> None:
        pass


@pytest.fixture
async def protocol() -> Any:
    made = BoundedProtocol(1.0, SecurityPolicyNone())
    made.connection_made(Wire())
    made._connection.security_token = ua.ChannelSecurityToken(0, 3)
    return made


def chunk(body: bytes, kind: bytes = b"MSG", ending: bytes = b"C", sequence: int = 1) -> bytes:
    content = struct.pack("<IIII", 0, 3, sequence, 7) + body
    return kind + ending + struct.pack("<I", len(content) + 8) + content


@pytest.mark.bar("S12")
@pytest.mark.parametrize(
    "bytes_",
    [
        b"MSGF" + struct.pack("<I", LARGEST_CHUNK_BYTES + 1),
        b"MSGF" + struct.pack("<I", 0xFFFFFFFF),
        b"MSGF" + struct.pack("<I", 3),
        b"XXXX" + struct.pack("<I", 8),
        b"OPNF" + struct.pack("<I", 40) + b"\x00" * 32,
        chunk(b"", ending=b"F"),  # an answer that nobody asked for
        b"ERRF" + struct.pack("<IIi", 16, 0x80080000, -1),
    ],
)
async def test_what_no_server_may_send_ends_the_connection(protocol: Any, bytes_: bytes) -> None:
    protocol.data_received(bytes_)
    assert protocol.transport.cut
    assert protocol.failure is not None
    assert not protocol._gathered


@pytest.mark.bar("S12")
async def test_endless_chunks_end_at_the_limit_and_are_not_gathered(protocol: Any) -> None:
    sent = gathered = 0
    for sequence in range(1, 10_000):
        protocol.data_received(chunk(b"x" * 60_000, sequence=sequence))
        sent += 60_000
        gathered = max(gathered, sum(len(part.Body) for part in protocol._connection._incoming_parts))
        if protocol.transport.cut:
            break
    assert "chunks or 128 MiB" in str(protocol.failure)
    assert sent <= 8 * LARGEST_MESSAGE_BYTES + 60_000
    assert gathered <= LARGEST_MESSAGE_BYTES


async def test_who_waits_for_a_message_beyond_the_limit_is_told_to_ask_for_less(protocol: Any) -> None:
    waiting = protocol._callbackmap[7] = asyncio.get_running_loop().create_future()
    count = LARGEST_MESSAGE_BYTES // 60_000 + 2
    for sequence in range(1, count):
        protocol.data_received(chunk(b"x" * 60_000, sequence=sequence))
    protocol.data_received(chunk(b"x", ending=b"F", sequence=count))
    with pytest.raises(ua.UaStatusCodeError) as refused:
        await waiting
    assert refused.value.code == ua.StatusCodes.BadResponseTooLarge
    assert not protocol.transport.cut
    assert not protocol._connection._incoming_parts


@pytest.mark.parametrize(("said", "told"), [(0x80B90000, 0x80B90000), (0, 0x80840000)])
async def test_who_waits_for_an_answer_that_the_server_aborts_is_told(protocol: Any, said: int, told: int) -> None:
    """It was swallowed: a publish request of no time limit would have waited for ever (Part 6, 6.7.3)."""
    waiting = protocol._callbackmap[7] = asyncio.get_running_loop().create_future()
    protocol.data_received(chunk(b"first part"))
    protocol.data_received(chunk(struct.pack("<Ii", said, -1), ending=b"A", sequence=2))
    with pytest.raises(ua.UaStatusCodeError) as aborted:
        await waiting
    assert aborted.value.code == told
    assert not protocol.transport.cut


async def test_an_error_message_ends_the_connection_with_its_status(protocol: Any) -> None:
    waiting = protocol._callbackmap[7] = asyncio.get_running_loop().create_future()
    protocol.data_received(b"ERRF" + struct.pack("<IIi", 16, 0x80800000, -1))
    protocol.connection_lost(None)
    with pytest.raises(ConnectionEnded, match="BadTcpMessageTooLarge") as ended:
        await waiting
    assert ended.value.status == ua.StatusCodes.BadTcpMessageTooLarge


async def test_a_dribble_is_gathered_in_linear_time(protocol: Any) -> None:
    waiting = asyncio.get_running_loop().create_future()
    protocol._callbackmap[7] = waiting
    for one in chunk(b"y" * 50_000, ending=b"F"):
        protocol.data_received(bytes([one]))
    assert waiting.done()
    assert not protocol.transport.cut


async def test_everybody_who_waits_is_told_why(protocol: Any) -> None:
    waiting = asyncio.get_running_loop().create_future()
    protocol._callbackmap[9] = waiting
    protocol.data_received(b"MSGF" + struct.pack("<I", 0xFFFFFFFF))
    protocol.connection_lost(None)
    with pytest.raises(ConnectionEnded, match="4294967295 bytes"):
        await waiting


@pytest.mark.bar("S12")
def test_the_server_can_not_raise_our_limits() -> None:
    from asyncua import ua

    made = BoundedProtocol(1.0, SecurityPolicyNone())
    limits = made._connection._limits
    limits.update_client_limits(ua.Acknowledge(0, 8192, 2**31, 0, 0))
    assert (limits.max_send_buffer, limits.max_message_size) == (8192, LARGEST_MESSAGE_BYTES)


def test_a_request_beyond_the_servers_limits_is_refused_before_it_is_sent() -> None:
    made = BoundedProtocol(1.0, SecurityPolicyNone())
    connection: Any = made._connection
    connection._limits.update_client_limits(ua.Acknowledge(0, 8192, 8192, 20_000, 0))
    assert len(connection.message_to_binary(b"x" * 19_000)) <= 20_000
    used = connection._sequence_number
    with pytest.raises(ua.UaStatusCodeError) as refused:
        connection.message_to_binary(b"x" * 20_000)
    assert refused.value.code == ua.StatusCodes.BadRequestTooLarge
    connection._limits.update_client_limits(ua.Acknowledge(0, 8192, 8192, 0, 2))
    with pytest.raises(ua.UaStatusCodeError):
        connection.message_to_binary(b"x" * 17_000)
    assert connection._sequence_number == used, "no number is missing in what follows"


def test_the_parts_of_asyncua_that_the_driver_holds_on_to() -> None:
    """Names with an underscore are nobody's promise: a newer asyncua must be looked at before it is used."""
    from importlib.metadata import version

    from asyncua import Client, ua
    from asyncua.client.ua_client import UaClient, UASocketProtocol

    assert version("asyncua") == "2.1.0"
    client = Client("opc.tcp://127.0.0.1:1")
    assert {"_server_nonce", "_policy_ids", "_username", "_password"} <= set(vars(client))
    made = UASocketProtocol(1.0)
    assert {"_callbackmap", "_connection", "_open_secure_channel_exchange"} <= set(vars(made))
    assert all(
        hasattr(UASocketProtocol, name) for name in ("_send_request", "_process_received_message", "_fail_all_pending", "check_answer")
    )
    assert all(hasattr(UaClient, name) for name in ("_make_protocol", "_on_transport_lost", "_is_session_closing", "_set_state"))
    assert all(hasattr(ua.ObjectIds, name) for name in ("Server_ResendData", "Server_GetMonitoredItems"))


@pytest.mark.urs("URS-SEC-09")
@pytest.mark.parametrize("variant", [b"\x80\xff\xff\xff\x7f", b"\x98" + struct.pack("<i", 2_000_000) + b"\x00" * 2_000_000])
def test_asyncuas_decoder_is_counted_too(variant: bytes) -> None:
    """It believes each length, also of arrays whose elements take no byte."""
    with pytest.raises(ua.UaStatusCodeError) as refused:
        struct_from_binary(ua.DataValue, BoundedBuffer(b"\x01" + variant))
    assert refused.value.code == ua.StatusCodes.BadEncodingLimitsExceeded


def test_the_count_of_a_part_is_that_of_its_message() -> None:
    whole = BoundedBuffer(b"\x00" * 100)
    part = whole.copy(10)
    (before,) = whole._left
    part.read(1)
    assert whole._left == part._left == [before - 1]
