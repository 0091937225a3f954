"""Open one session with a server, and use it: a fresh client for each attempt, deadlines on every step, plain errors."""

import asyncio
import contextlib
import math
import struct
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from asyncua.ua.ua_binary import struct_from_binary
from cryptography.exceptions import InvalidSignature

from config import Source
from config.grammars.addresses import OpcUaAddress
from drivers.contract import BadReply, DriverError, DriverMisconfigured, LinkLost, link_lost
from drivers.opcua.asyncua_types import ua
from drivers.opcua.session import refusals, security, server_limits
from drivers.opcua.session.bounded import LARGEST_MESSAGE_BYTES, LEAST_SENT_BYTES, MOST_CHUNKS
from drivers.opcua.session.refusals import LATER, TOO_MUCH
from drivers.opcua.session.variant import FILETIME_OF_1970
from drivers.opcua.session.wire import BoundedProtocol
from drivers.opcua.settings import OpcUaSettings, password
from drivers.os_words import in_words

Answer = TypeVar("Answer")
Decoded = TypeVar("Decoded")
FOREIGN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
    InvalidSignature,
)
"""What asyncua and cryptography raise over certificates, nonces, signatures and answers that are not as they should be."""
EARLIEST_YEAR = 1990
"""A clock before it is none: some servers tell 1601 or 1970 where they have no time."""
LARGE_BYTES = 256 << 10
"""Messages from this size on are decoded off the event loop; a thousand usual values have a fifth of it."""
KEEP_SESSION_S = 120.0
"""How long the server shall keep a session whose connection is gone, so that a restart can take it, or its subscriptions, over."""


@contextlib.contextmanager
def plain_errors(doing: str, foreign: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turn what asyncua and the socket raise into a DriverError with the action that failed.

    foreign: what else may come of a server's bytes, where asyncua itself sends, decodes and judges.
    """
    try:
        yield
    except (DriverError, DriverMisconfigured):
        raise
    except TimeoutError as error:
        raise LinkLost(f"{doing}: no answer in time") from error
    except ua.UaStatusCodeError as error:
        raise BadReply(f"{doing}: {refusals.in_words(error.code)}") from error
    except OSError as error:
        raise link_lost(f"{doing}: {in_words(error, 'the server')}", error) from error
    except (ua.UaError, *foreign) as error:
        raise BadReply(f"{doing}: {error or type(error).__name__}") from error


async def off_loop(decode: Callable[..., Decoded], *of: Any, size: int | None = None) -> Decoded:
    """Decode a message, a large one in a thread: meanwhile other sources are read. size: bytes; of the first argument if not given."""
    if (len(of[0]) if size is None else size) < LARGE_BYTES:
        return decode(*of)
    return await asyncio.to_thread(decode, *of)


@dataclass(slots=True)
class KeptSession:
    """What the next connection needs to go on in the same session. In memory only: the token is a secret.

    until_s: when the server will have ended it, by the loop's clock; it is kept over attempts that fail until then.
    """

    endpoint: str
    token: Any
    nonce: bytes | None
    policies: Any
    until_s: float = math.inf


@dataclass(slots=True)
class Link:
    """An activated session with a server.

    reused: it is the session of before. namespaces, limits, server: read anew in each session. server: product, manufacturer, version,
    start_time, state. offset: (offset, bound) of the server's clock in seconds. sent: authorities that the server showed with its
    certificate. paths: browse path -> its NodeId in this session, or the status that refused it.
    """

    client: Any
    endpoint: str
    reused: bool
    timeout_s: float
    namespaces: tuple[str, ...] = ()
    limits: Mapping[str, int] = field(default_factory=dict)
    server: Mapping[str, Any] = field(default_factory=dict)  # product, manufacturer, version, start_time, state
    offset: tuple[float, float] | None = None
    sent: tuple[Any, ...] = ()  # the authorities that the server showed with its certificate
    paths: dict[OpcUaAddress, Any] = field(default_factory=dict)  # browse path -> its NodeId in this session, or the status that refused it

    @property
    def protocol(self) -> BoundedProtocol:
        """The open connection. Raises LinkLost if there is none."""
        protocol = self.client.uaclient.protocol
        if not isinstance(protocol, BoundedProtocol) or protocol.transport is None:
            made = self.client.uaclient.made
            raise LinkLost(str(made.failure or "the connection is closed"))
        return protocol

    def give_up(self, why: str) -> None:
        """End the connection; every request that waits fails with this reason."""
        made = self.client.uaclient.made
        if made is not None:
            made.give_up(why)

    def most_sent_bytes(self) -> int:
        """Return how large a message may be on the next connection; 0 if nothing is known beyond what the server states.

        A server may end the connection over a message that is within what it states, or state nothing.
        """
        failure, known = self.client.uaclient.made.failure, int(self.client.uaclient.most_sent_bytes)
        if failure is None or failure.status not in TOO_MUCH:
            return known
        return max(int(self.client.uaclient.made.largest_sent) // 2, LEAST_SENT_BYTES)

    async def raw(self, request: Any) -> bytes:
        """Send a request; return the body of the answer, type id first. A ServiceFault is left to the caller.

        Raises UaStatusCodeError where the answer was aborted or is too large, TimeoutError, OSError.
        """
        protocol = self.protocol
        async with asyncio.timeout(self.timeout_s):
            data = await protocol._send_request(request, self.timeout_s)  # noqa: SLF001 - asyncua 2.1.0 is pinned; a contract test holds it
        return bytes(data._data[data.cur_pos : data.cur_pos + len(data)])  # noqa: SLF001

    async def ask(self, request: Any, answer: type[Answer]) -> Answer:
        """Send a request and decode its answer. Raises UaStatusCodeError, TimeoutError, OSError: use it within plain_errors."""
        protocol = self.protocol
        async with asyncio.timeout(self.timeout_s):
            data = await protocol._send_request(request, self.timeout_s)  # noqa: SLF001
        protocol.check_answer(data, "")
        try:
            decoded: Answer = await off_loop(struct_from_binary, answer, data, size=len(data))
        except ua.UaError:
            raise
        except Exception as error:
            # asyncua's decoder declares nothing: what it raises over a server's bytes is the server's bad answer.
            raise BadReply(f"{answer.__name__} can not be read: {error or type(error).__name__}") from error
        decoded.ResponseHeader.ServiceResult.check()  # type: ignore[attr-defined]
        kind, expected = decoded.TypeId, answer().TypeId  # type: ignore[attr-defined]
        if (kind.NamespaceIndex, kind.Identifier) != (expected.NamespaceIndex, expected.Identifier):
            raise BadReply(f"{answer.__name__} was expected, the server sent {kind.to_string()}")
        return decoded

    async def call(self, node: Any, method: Any, *inputs: Any) -> list[Any]:
        """Call a method (Part 4, 5.11.2); return the values of its output arguments. Raises UaStatusCodeError, and what `ask` raises."""
        request = ua.CallRequest()
        asked = ua.CallMethodRequest(node, method)
        asked.InputArguments = list(inputs)
        request.Parameters.MethodsToCall = [asked]
        results = (await self.ask(request, ua.CallResponse)).Results
        if len(results) != 1:
            raise BadReply(f"Call: {len(results)} results for one method")
        if results[0].StatusCode.value & 0x80000000:
            raise ua.UaStatusCodeError(results[0].StatusCode.value)
        return [output.Value for output in results[0].OutputArguments or ()]

    async def read(self, nodes: Sequence[Any], attribute: int = ua.AttributeIds.Value) -> list[Any]:
        """Read one attribute of many nodes, within the server's limits; return their DataValues in order."""
        return await self.read_pairs([(node, attribute) for node in nodes])

    async def read_pairs(self, pairs: Sequence[tuple[Any, int]]) -> list[Any]:
        """Read (node, attribute) pairs, within the server's limits; return their DataValues in order."""

        async def some(part: Sequence[tuple[Any, int]]) -> list[Any]:
            request = ua.ReadRequest()
            request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
            request.Parameters.NodesToRead = [ua.ReadValueId(node, ua.AttributeIds(attribute)) for node, attribute in part]
            return list((await self.ask(request, ua.ReadResponse)).Results)

        return await in_chunks(pairs, self.limits.get("read", 500), some)

    def node(self, address: OpcUaAddress, short: Mapping[str, str]) -> Any | None:
        """Return the NodeId of an address in this session; None if its namespace or path is not there now.

        A namespace index is looked up by URI each time, never remembered: it may mean another namespace after a restart of the server.
        """
        if address.kind == "path":
            resolved = self.paths.get(address.node)
            return None if isinstance(resolved, int) else resolved
        uri = address.namespace_uri if address.namespace is None else short.get(address.namespace)
        if uri is None:
            index = address.namespace_index or 0
        elif uri in self.namespaces:
            index = self.namespaces.index(uri)
        else:
            return None
        kinds = {"i": ua.NodeIdType.Numeric, "s": ua.NodeIdType.String, "g": ua.NodeIdType.Guid, "b": ua.NodeIdType.ByteString}
        return ua.NodeId(address.identifier, index, kinds[address.kind])

    async def clock(self) -> tuple[float, float] | None:
        """Measure how far the server's clock is ahead of ours: (offset, bound) in seconds; None if it gives no time."""
        before = time.monotonic_ns()
        (answer,) = await self.read([ua.NodeId(ua.ObjectIds.Server_ServerStatus_CurrentTime)])
        after = time.monotonic_ns()
        when = plain(answer)
        if not isinstance(when, datetime) or when.year < EARLIEST_YEAR:
            return None
        # The server read its clock at some instant between request and answer: the middle, give or take half of the round trip.
        middle = time.time_ns() / 1e9 - (after - before) / 2e9
        filetime = ua.datetime_to_win_epoch(when)
        coarse_s = 0.5 if filetime % 10_000_000 == 0 else 0.0  # some servers give whole seconds: half of one is then uncertain
        self.offset = ((filetime - FILETIME_OF_1970) / 1e7 - middle + coarse_s, (after - before) / 2e9 + coarse_s)
        return self.offset

    def keep(self) -> KeptSession:
        """Return what the next attempt needs to take this session over."""
        client = self.client
        until_s = asyncio.get_running_loop().time() + float(client.session_timeout) / 1000
        token = client.uaclient.session.authentication_token
        return KeptSession(self.endpoint, token, client._server_nonce, client._policy_ids, until_s)  # noqa: SLF001


def local(node: Any) -> Any:
    """Return an ExpandedNodeId of this server as a NodeId."""
    return ua.NodeId(node.Identifier, node.NamespaceIndex, node.NodeIdType)


async def in_chunks(things: Sequence[Any], most: int, call: Any) -> list[Any]:
    """Call with as many as the server takes at once; halve where it answers that they were too many: not all servers state limits."""
    results: list[Any] = []
    size = max(most, 1)
    while len(results) < len(things):
        part = things[len(results) : len(results) + size]
        try:
            answers = await call(part)
        except ua.UaStatusCodeError as error:
            if error.code not in TOO_MUCH or size == 1:
                raise
            size = max(size // 2, 1)
            continue
        if len(answers) != len(part):
            raise BadReply(f"{len(answers)} results for {len(part)} operations")
        results += answers
    return results


@contextlib.asynccontextmanager
async def connected(
    source: Source, settings: OpcUaSettings, endpoint: str, kept: KeptSession | None = None, most_sent_bytes: int = 0
) -> AsyncIterator[Link]:
    """Open a session for as long as the context lasts. After a clean end its subscriptions stay on the server for the next session.

    most_sent_bytes: of one message, as `Link.most_sent_bytes` told of the connection before.
    """
    client, sent = await _client(source, settings, endpoint)
    client.uaclient.most_sent_bytes = most_sent_bytes
    clean = False
    try:
        with plain_errors(f"connecting to {endpoint}", FOREIGN):
            async with asyncio.timeout(settings.request_timeout_s * 3):
                link = await _activated(client, settings, endpoint, kept)
                link.sent = sent
                await _described(link)
                client.uaclient.has_new_session = False  # from here on it is kept, to be taken up again
        try:
            yield link
        except (asyncio.CancelledError, GeneratorExit):
            clean = True  # a planned stop: the subscriptions wait for the next start
            raise
        clean = True
    finally:
        await _closed(client, clean=clean)


async def _client(source: Source, settings: OpcUaSettings, endpoint: str) -> tuple[Any, tuple[Any, ...]]:
    """Make a client that never acts by itself (no supervisor, no reconnect, no publish loop), and return the authorities shown, too."""
    client = security.client_of(settings, endpoint)
    client.uaclient.pre_request_hook = None
    client.name = client.description = f"ebr-gateway {source.name}"
    client.application_uri = security.application_uri(source, settings)
    client.max_messagesize, client.max_chunkcount = LARGEST_MESSAGE_BYTES, MOST_CHUNKS
    client.secure_channel_timeout = int(settings.channel_lifetime_s * 1000)
    client.session_timeout = int(KEEP_SESSION_S * 1000)
    if settings.user is not None:
        client.set_user(settings.user)
        client.set_password(password(source, settings.password) or "")
    with plain_errors(f"asking {endpoint} for its endpoints", FOREIGN):
        async with asyncio.timeout(settings.request_timeout_s * 3):
            sent = await security.apply(client, source, settings, endpoint)
    return client, sent


async def _activated(client: Any, settings: OpcUaSettings, endpoint: str, kept: KeptSession | None) -> Link:
    """Open socket, channel and session: the old session if the server still has it, else a new one."""
    await client.connect_socket()
    await client.send_hello()
    await client.open_secure_channel()
    identity = {"username": client._username, "password": client._password, "certificate": client.user_certificate}  # noqa: SLF001
    if kept is not None and kept.endpoint == endpoint:
        # A session that is taken up again keeps its subscriptions: they must not be transferred to it (Part 4, 6.7).
        client.uaclient.session.restore_authentication_token(kept.token)
        client._server_nonce, client._policy_ids = kept.nonce, kept.policies  # noqa: SLF001
        try:
            await _activate(client, settings, identity)
        except ua.UaStatusCodeError as error:
            if error.code in LATER:
                raise
            client.uaclient.session.reset_authentication_token()
        else:
            return Link(client, endpoint, reused=True, timeout_s=client.uaclient._timeout)  # noqa: SLF001
    await client.create_session()
    security.choose_identity(client, settings)
    await _activate(client, settings, identity)
    return Link(client, endpoint, reused=False, timeout_s=client.uaclient._timeout)  # noqa: SLF001


async def _activate(client: Any, settings: OpcUaSettings, identity: Mapping[str, Any]) -> None:
    if settings.security.policy == "None" and settings.user is not None:
        security.show_trusted_key(client)
    await client.activate_session(**identity)


async def _described(link: Link) -> None:
    """Read namespaces, identity and limits of the server, anew in each session."""
    names = ("NamespaceArray", *server_limits.IDENTITY, *server_limits.LIMITS)
    ids = (ua.ObjectIds.Server_NamespaceArray, *server_limits.IDENTITY.values(), *server_limits.LIMITS.values())
    values = dict(zip(names, map(plain, await link.read([ua.NodeId(number) for number in ids])), strict=True))
    uris = values["NamespaceArray"]
    if not isinstance(uris, list) or not all(isinstance(uri, str) for uri in uris):
        raise BadReply("the server does not tell its NamespaceArray: no node can be named without it")
    link.namespaces = tuple(uris)
    link.server = {name: values[name] for name in server_limits.IDENTITY}
    link.limits = server_limits.limits({name: values[name] for name in server_limits.LIMITS}, link.server)
    await link.clock()


def plain(value: Any) -> Any:
    """Return what a DataValue of asyncua says; None where its status is Bad or it has no value."""
    return None if status_of(value) & 0x80000000 or value.Value is None else value.Value.Value


def status_of(value: Any) -> int:
    """Return the StatusCode of a DataValue of asyncua: an absent one is Good (Part 6, 5.2.2.17)."""
    return 0 if value.StatusCode is None else int(value.StatusCode.value)


async def _closed(client: Any, *, clean: bool) -> None:
    """End the session but keep its subscriptions (until their lifetime ends); a broken link is cut.

    A session that was made and never used (a refused password, limits that can not be read) is ended too: a small server has few of them,
    and each attempt would take another one from its other clients.
    """
    protocol = client.uaclient.protocol
    if protocol is None or protocol.transport is None:
        return
    if clean or client.uaclient.has_new_session:
        with contextlib.suppress(TimeoutError, OSError, ua.UaError):
            async with asyncio.timeout(1.0):
                await client.uaclient.close_session(False)  # noqa: FBT003 - asyncua's signature
                await client.uaclient.close_secure_channel()
    if protocol.transport is not None:
        protocol.transport.abort()


def names_of(tags: Sequence[Any], indexes: Iterable[int]) -> str:
    """List tag names for a text, five at most."""
    names = [tags[index].tag for index in indexes]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
