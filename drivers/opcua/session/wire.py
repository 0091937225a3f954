"""asyncua's transport, bounded: limits on what a server may send before it is cut off (the library's own are 0, that is none)."""

import asyncio
import logging
from typing import Any

from asyncua.client.ua_client import UaClient, UaClientState, UASocketProtocol, UASocketState
from asyncua.common.connection import TransportLimits
from asyncua.common.utils import Buffer
from asyncua.ua import ua_binary
from asyncua.ua.ua_binary import header_from_binary, struct_from_binary, uatcp_to_binary

from drivers.opcua.asyncua_types import ua

LARGEST_CHUNK_BYTES = 1 << 20
LARGEST_MESSAGE_BYTES = 16 << 20
MOST_CHUNKS = 512
MOST_READS = 1_000_000
"""Reads of asyncua's decoder in one answer: about one per member; seconds, and some hundred megabytes at worst."""

logging.getLogger("asyncua").setLevel(logging.CRITICAL)  # every error that it logs is raised here too, in one line


class ReceiveLimits(TransportLimits):
    """Limits that the server's Acknowledge may lower for what we send, and never raises for what we take in."""

    def update_client_limits(self, msg: ua.Acknowledge) -> None:
        """Take over the server's Acknowledge; called by asyncua."""
        stated = msg.ReceiveBufferSize
        self.max_send_buffer = min(self.max_send_buffer, stated) if stated >= 8192 else self.max_send_buffer


class BoundedBuffer(Buffer):
    """What asyncua decodes an answer from. It believes every length in it; here each element that it reads is counted."""

    def __init__(self, data: bytes, start_pos: int = 0, size: int = -1, left: list[int] | None = None) -> None:
        super().__init__(data, start_pos, size)
        self._left = [MOST_READS] if left is None else left

    def read(self, size: int) -> bytes:
        """Read, and count. Raises BadEncodingLimitsExceeded: whoever asked for many things asks for fewer at once."""
        self._left[0] -= 1
        if self._left[0] < 0 or size < 0:
            raise ua.UaStatusCodeError(ua.StatusCodes.BadEncodingLimitsExceeded)
        return super().read(size)

    def copy(self, size: int = -1) -> "BoundedBuffer":
        """Return a copy that counts on the same account."""
        return BoundedBuffer(self._data, self._cur_pos, self._size if size == -1 or size > self._size else size, self._left)

    @classmethod
    def of(cls, buffer: Buffer) -> "BoundedBuffer":
        """Bound what is left of a buffer."""
        return cls(buffer._data, buffer.cur_pos, len(buffer))  # noqa: SLF001


def _counted_null(data: Any) -> None:
    """Decode Null, which takes no byte, by reading nothing: so an array of two thousand million of them is counted."""
    data.read(0)


setattr(ua_binary._Null, "unpack", staticmethod(_counted_null))  # noqa: B010, SLF001 - asyncua 2.1.0 is pinned; a test holds it


class BoundedProtocol(UASocketProtocol):
    """Cuts the byte stream into chunks by itself: no chunk above the limit is gathered, and a slow peer costs linear time."""

    def __init__(self, timeout: float, policy: Any) -> None:
        limits = ReceiveLimits(LARGEST_CHUNK_BYTES, 65_535, MOST_CHUNKS, LARGEST_MESSAGE_BYTES)
        super().__init__(timeout, security_policy=policy, limits=limits)
        self._gathered = bytearray()
        self.failure: Exception | None = None

    def data_received(self, data: bytes) -> None:
        """Gather bytes from the socket, and take each complete chunk."""
        self._gathered += data
        while len(self._gathered) >= 8 and self.failure is None:
            size = int.from_bytes(self._gathered[4:8], "little")
            if not 8 <= size <= LARGEST_CHUNK_BYTES:
                self._fail(ValueError(f"a chunk of {size} bytes is announced"))
            elif len(self._gathered) < size:
                return
            else:
                chunk = bytes(self._gathered[:size])
                del self._gathered[:size]
                self._take(chunk)

    def _take(self, chunk: bytes) -> None:
        try:
            buffer = Buffer(chunk)
            header = header_from_binary(buffer)
            message = self._connection.receive_from_header_and_body(header, buffer)
            if isinstance(message, ua.ErrorMessage):
                raise ua.UaStatusCodeError(message.Error.value)  # noqa: TRY301 - the one place that ends a broken connection
            if isinstance(message, ua.Message):
                self._call_callback(message.request_id(), BoundedBuffer.of(message.body()))
            else:
                self._process_received_message(message)
            if header.MessageType == ua.MessageType.SecureOpen:
                self._opened(message)
        except Exception as error:  # noqa: BLE001 - whatever a hostile peer sends ends this connection, and only this
            self._fail(error)

    def _opened(self, message: Any) -> None:
        """Hand the answer over to the waiting request and take the new keys into use, as asyncua does."""
        params: Any = self._open_secure_channel_exchange
        response = struct_from_binary(ua.OpenSecureChannelResponse, BoundedBuffer.of(message.body()))
        response.ResponseHeader.ServiceResult.check()
        self._open_secure_channel_exchange = response
        self._connection.set_channel(response.Parameters, params.RequestType, params.ClientNonce)

    def _fail(self, error: Exception) -> None:
        self.failure = error
        self._gathered.clear()
        if self.transport is not None:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail every request that waits, with the reason."""
        self.failure = self.failure or exc
        self.state = UASocketState.CLOSED
        self.transport = None
        self._fail_all_pending(self.failure or ConnectionResetError("the server closed the connection"))
        if self.on_connection_lost is not None:
            self.on_connection_lost(exc)

    async def send_hello(self, url: str, max_messagesize: int = 0, max_chunkcount: int = 0) -> ua.Acknowledge:
        """Send Hello with our limits in it (Part 6, 7.1.2.3); return the Acknowledge."""
        hello = ua.Hello(0, LARGEST_CHUNK_BYTES, 65_535, max_messagesize, max_chunkcount, url)
        answer: asyncio.Future[ua.Acknowledge] = asyncio.get_running_loop().create_future()
        self._callbackmap[0] = answer
        assert self.transport is not None
        self.transport.write(uatcp_to_binary(ua.MessageType.Hello, hello))
        async with asyncio.timeout(self.timeout):
            return await answer

    async def send_request(
        self, request: Any, timeout: float | None = None, message_type: ua.MessageType = ua.MessageType.SecureMessage
    ) -> Buffer:
        """Send a request and wait for its answer, as asyncua does, but by asyncio.timeout.

        asyncua's wait_for can swallow a cancellation that arrives together with the answer.
        """
        async with asyncio.timeout(timeout or self.timeout):
            data: Buffer = await self._send_request(request, timeout or self.timeout, message_type)
        self.check_answer(data, "")
        return data

    async def open_secure_channel(self, params: Any) -> Any:
        """Issue or renew the channel (Part 4, 5.6.2), for the same reason by asyncio.timeout."""
        request = ua.OpenSecureChannelRequest()
        request.Parameters = params
        self._open_secure_channel_exchange = params
        async with asyncio.timeout(self.timeout):
            await self._send_request(request, message_type=ua.MessageType.SecureOpen)
        answer: Any = self._open_secure_channel_exchange
        self._open_secure_channel_exchange = None
        return answer.Parameters

    def publish(self, acknowledgements: list[tuple[int, int]]) -> "asyncio.Future[Buffer]":
        """Send a PublishRequest without waiting; the future is done when its answer arrives. Answers are in the order of arrival."""
        request = ua.PublishRequest()
        request.Parameters.SubscriptionAcknowledgements = [ua.SubscriptionAcknowledgement(s, n) for s, n in acknowledgements]
        return self._send_request(request, 0)


class BoundedClient(UaClient):
    """UaClient over BoundedProtocol. made: the last protocol, also when asyncua has let go of it."""

    made: BoundedProtocol | None = None
    has_new_session = False  # made over this connection: nobody else will close it

    async def create_session(self, parameters: Any) -> Any:
        """Create a session. A server that lists no endpoint of ours in its answer is asked for them over the same channel.

        Some list none, or those of the URL that they know themselves by, which need not be the one that leads to them (Part 4, 5.7.2: who
        was configured by hand need not compare them).
        """
        answer = await super().create_session(parameters)
        self.has_new_session = True
        for url in (parameters.EndpointUrl, ""):
            if any(self._is_of_this_channel(endpoint) for endpoint in answer.ServerEndpoints or ()):
                break
            answer.ServerEndpoints = await self.get_endpoints(ua.GetEndpointsParameters(EndpointUrl=url))
        return answer

    def _is_of_this_channel(self, endpoint: Any) -> bool:
        return (endpoint.SecurityMode, endpoint.SecurityPolicyUri) == (self.security_policy.Mode, self.security_policy.URI)

    async def connect_socket(self, host: str, port: int) -> None:
        """Connect within the time-out."""
        self._set_state(UaClientState.CONNECTING)
        async with asyncio.timeout(self._timeout):
            await asyncio.get_running_loop().create_connection(self._make_protocol, host, port)
        self._set_state(UaClientState.SOCKET_OPEN)

    def _make_protocol(self) -> BoundedProtocol:
        protocol = BoundedProtocol(self._timeout, self.security_policy)
        protocol.pre_request_hook = None
        protocol.on_connection_lost = self._on_transport_lost
        protocol.is_session_closing = self._is_session_closing
        self.protocol = self.made = protocol
        return protocol
