"""asyncua's transport over bounded chunks and messages: whatever a peer sends ends this connection at worst, with a reason in words."""

import asyncio
import logging
import time
from typing import Any

from asyncua.client.ua_client import UaClient, UaClientState, UASocketProtocol, UASocketState
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import header_from_binary, nodeid_to_binary, struct_from_binary, uatcp_to_binary

from drivers.opcua.asyncua_types import status_name, ua
from drivers.opcua.session import refusals
from drivers.opcua.session.bounded import (
    LARGEST_CHUNK_BYTES,
    LARGEST_MESSAGE_BYTES,
    MOST_CHUNKS,
    MOST_OPENING_READS,
    Aborted,
    BoundedBuffer,
    BoundedConnection,
    ConnectionEnded,
    PeerLimits,
    fault_of,
)
from drivers.opcua.session.publish_request import publish_request
from drivers.opcua.session.variant import FILETIME_OF_1970

LONGEST_REASON = 300
"""Characters of a reason that are kept: it may hold what a peer has sent."""

logging.getLogger("asyncua").setLevel(logging.CRITICAL)  # every error that it logs is raised here too, in one line


class BoundedProtocol(UASocketProtocol):
    """Cuts the byte stream into chunks by itself: no chunk above the limit is gathered, and a slow peer costs linear time."""

    def __init__(self, timeout: float, policy: Any, most_sent_bytes: int = 0) -> None:
        super().__init__(timeout, security_policy=policy)
        limits = PeerLimits(LARGEST_CHUNK_BYTES, 65_535, MOST_CHUNKS, LARGEST_MESSAGE_BYTES, most_sent_bytes)
        self._connection: BoundedConnection = BoundedConnection(policy, limits)
        self._gathered = bytearray()
        self.failure: ConnectionEnded | None = None
        self._token: tuple[Any, bytes] | None = None  # the session's, and as it is sent

    @property
    def largest_sent(self) -> int:
        """Bytes of the largest message that was sent."""
        return self._connection.largest_sent

    def data_received(self, data: bytes) -> None:
        """Gather bytes from the socket, and take each complete chunk."""
        self._gathered += data
        while len(self._gathered) >= 8 and self.failure is None:
            size = int.from_bytes(self._gathered[4:8], "little")
            if not 8 <= size <= LARGEST_CHUNK_BYTES:
                self._fail(ConnectionEnded(f"a chunk of {size} bytes is announced"))
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
            self._check_kind(header)
            message = self._connection.receive_from_header_and_body(header, buffer)
            self._deliver(message)
            if header.MessageType == ua.MessageType.SecureOpen:
                self._opened(message)
        except ConnectionEnded as ended:
            self._fail(ended)
        except Exception as error:  # noqa: BLE001 - whatever a hostile peer sends ends this connection, and only this
            self._fail(ConnectionEnded(f"what the server sent can not be taken: {str(error) or type(error).__name__}"[:LONGEST_REASON]))

    def _check_kind(self, header: ua.Header) -> None:
        """Raise ConnectionEnded for what a server does not send, or not now (Part 6, 6.7.2, 7.1.2): it closes no channel, it cuts."""
        kind, is_opening = header.MessageType, isinstance(self._open_secure_channel_exchange, ua.OpenSecureChannelParameters)
        expected = {ua.MessageType.Error, ua.MessageType.SecureMessage, ua.MessageType.Acknowledge}
        if is_opening:
            expected.add(ua.MessageType.SecureOpen)
        if kind not in expected:
            raise ConnectionEnded(f"the server sent a message of type {kind!r}")
        if kind != ua.MessageType.SecureMessage and header.ChunkType != ua.ChunkType.Single:
            raise ConnectionEnded(f"a message of type {kind!r} in several chunks")

    def _deliver(self, message: Any) -> None:
        """Give a whole message to the request that waits for it. Raises ConnectionEnded, and whatever asyncua raises."""
        if isinstance(message, ua.ErrorMessage):
            status = int(message.Error.value)
            name = status_name(status)
            reason = f" ({message.Reason})" if message.Reason and message.Reason != name else ""
            raise ConnectionEnded(f"the server ended the connection: {refusals.in_words(status)}{reason}"[:LONGEST_REASON], status)
        if isinstance(message, Aborted):
            if (waiting := self._waiting(message.request)) is not None:
                waiting.set_exception(ua.UaStatusCodeError(message.status))
        elif isinstance(message, ua.Message):
            if (waiting := self._waiting(message.request_id())) is not None:
                waiting.set_result(BoundedBuffer.of(message.body()))
        elif isinstance(message, ua.Acknowledge):
            if (waiting := self._waiting(0)) is not None:
                waiting.set_result(message)
        elif message is not None:
            raise ConnectionEnded(f"the server sent a {type(message).__name__}")

    def _waiting(self, request: int) -> "asyncio.Future[Any] | None":
        """Return what waits for an answer, None if it was given up meanwhile. Raises ConnectionEnded if nothing was asked."""
        if request not in self._callbackmap:
            raise ConnectionEnded(f"an answer to request {request}, which was not asked")
        waiting = self._callbackmap.pop(request)
        return None if waiting.done() else waiting

    def _opened(self, message: Any) -> None:
        """Hand the answer over to the waiting request and take the new keys into use, as asyncua does."""
        params: Any = self._open_secure_channel_exchange
        body = BoundedBuffer.of(message.body())
        body.spend_at_most(MOST_OPENING_READS)
        response = struct_from_binary(ua.OpenSecureChannelResponse, body)
        response.ResponseHeader.ServiceResult.check()
        self._open_secure_channel_exchange = response
        self._connection.set_channel(response.Parameters, params.RequestType, params.ClientNonce)

    def send_at_most(self, message_bytes: int) -> None:
        """Lower the size of a message that may be sent."""
        limits: Any = self._connection._limits  # noqa: SLF001
        limits.send_at_most(message_bytes)

    def give_up(self, why: str) -> None:
        """End the connection for a reason of ours."""
        self._fail(ConnectionEnded(why))

    def _fail(self, error: ConnectionEnded) -> None:
        self.failure = error
        self._gathered.clear()
        if self.transport is not None:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail every request that waits, with the reason."""
        self.failure = self.failure or ConnectionEnded(str(exc) if exc else "the server closed the connection")
        self.state = UASocketState.CLOSED
        self.transport = None
        self._gathered.clear()
        self._fail_all_pending(self.failure)
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
            data: BoundedBuffer = await self._send_request(request, timeout or self.timeout, message_type)
        self.check_answer(data, "")
        data.spend_at_most(MOST_OPENING_READS)
        return data

    def check_answer(self, data: Buffer, context: str) -> bool:
        """Return True if an answer is no ServiceFault. Raises UaStatusCodeError if it is one, UaError."""
        del context
        status = fault_of(data)
        if status is not None:
            raise ua.UaStatusCodeError(status)
        return True

    async def open_secure_channel(self, params: Any) -> Any:
        """Issue or renew the channel (Part 4, 5.6.2), for the same reason by asyncio.timeout."""
        request = ua.OpenSecureChannelRequest()
        request.Parameters = params
        self._open_secure_channel_exchange = params
        async with asyncio.timeout(self.timeout):
            await self._send_request(request, message_type=ua.MessageType.SecureOpen)
        answer: Any = self._open_secure_channel_exchange
        self._open_secure_channel_exchange = None
        if not isinstance(answer, ua.OpenSecureChannelResponse):
            raise ConnectionEnded(str(self.failure or "the server answers otherwise when it is asked for a channel"))
        return answer.Parameters

    def publish(self, acknowledgements: list[tuple[int, int]]) -> "asyncio.Future[Buffer]":
        """Send a PublishRequest without waiting; the future is done when its answer arrives. Answers are in the order of arrival."""
        if self.transport is None:
            raise ConnectionError("the connection is not open")
        if self._token is None or self._token[0] is not self.authentication_token:
            self._token = self.authentication_token, nodeid_to_binary(self.authentication_token)
        request, now = self._request_id + 1, time.time_ns() // 100 + FILETIME_OF_1970
        body = publish_request(self._token[1], now, self._request_handle + 1, acknowledgements)
        self.revolve_security_token()
        message = self._connection.message_to_binary(body, request_id=request)
        self._request_id, self._request_handle = request, self._request_handle + 1
        answer: asyncio.Future[Buffer] = asyncio.get_running_loop().create_future()
        self._callbackmap[request] = answer
        self.transport.write(message)
        return answer


class BoundedClient(UaClient):
    """UaClient over BoundedProtocol.

    made: the last protocol, also when asyncua has let go of it. most_sent_bytes: of one message, 0 for what the server states alone.
    reached_at: host and port that lead to the server, where it knows itself by another URL.
    """

    made: BoundedProtocol | None = None
    most_sent_bytes = 0
    reached_at: tuple[str, int] | None = None
    has_new_session = False  # made over this connection: nobody else will close it

    async def create_session(self, parameters: Any) -> Any:
        """Create a session. A server that lists no endpoint of ours in its answer is asked for them over the same channel.

        Some list none, or those of the URL that they know themselves by, which need not be the one that leads to them (Part 4, 5.7.2: who
        was configured by hand need not compare them).
        """
        parameters.MaxResponseMessageSize = LARGEST_MESSAGE_BYTES
        answer = await super().create_session(parameters)
        self.has_new_session = True
        if self.made is not None:
            self.made.send_at_most(answer.MaxRequestMessageSize)
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
            await asyncio.get_running_loop().create_connection(self._make_protocol, *(self.reached_at or (host, port)))
        self._set_state(UaClientState.SOCKET_OPEN)

    def _make_protocol(self) -> BoundedProtocol:
        protocol = BoundedProtocol(self._timeout, self.security_policy, self.most_sent_bytes)
        protocol.pre_request_hook = None
        protocol.on_connection_lost = self._on_transport_lost
        protocol.is_session_closing = self._is_session_closing
        self.protocol = self.made = protocol
        return protocol
