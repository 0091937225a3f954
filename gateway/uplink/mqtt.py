"""Sends one entry per MQTT message (5 or 3.1.1): QoS 1, not retained, without expiry; receipts arrive on a topic of their own.

paho runs without a thread of its own: the event loop watches its socket, so every callback runs in the loop's thread. Only connecting,
which blocks in paho, happens in a worker thread. There is one paho client per connection, because paho would send its old messages again.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from buffer import Entry
from config import Uplink
from drivers.os_words import in_words, is_refused
from gateway.uplink import tls, topics
from gateway.uplink.bounded_client import MAX_PACKET_BYTES
from gateway.uplink.errors import NobodyListens, Refused, Unreachable, UplinkError
from gateway.uplink.pubacks import Pubacks
from gateway.uplink.quick_client import QuickClient
from gateway.uplink.records import Record, Records, Reply, reply_of
from gateway.uplink.transport import Answer, Online, Room, Transport

log = logging.getLogger(__name__)

KEEPALIVE_S = 20
CONNECT_S = 15.0
MAX_INFLIGHT = 20
"""Messages without PUBACK; the broker may allow fewer (Receive Maximum, MQTT 5, 3.2.2.3.3)."""
MIN_PACKET_BYTES = 66 * 1024
"""Size of an entry of 65,536 bytes with its topic. A broker with a smaller limit can not take every entry."""
MAX_SOCKET_QUEUE_BYTES = 4_194_304
SESSION_S = 3_600
ACK_SILENCE_S = 60.0
PUBACK_WAITS_S = 0.1
MAX_INBOX = 10_000
RETAIN_NOT_SUPPORTED = 0x9A
NOT_RETAINED = "the broker retains no messages: who subscribes later does not see whether this gateway is online"

_WAIT = {0x88, 0x89, 0x97, 0x9F, 0x8B, 0x8D, 0x8E, 0x98}
"""Reason codes that time may cure: unavailable, busy, quota, rate, shutting down, keep-alive, taken over, administrative."""
_WHO = {0x86, 0x87, 0x8A, 0x8C}


class Mqtt(Transport):
    """Transport to one broker."""

    def __init__(self, uplink: Uplink, gateway: str, folder: Path) -> None:
        super().__init__()
        self._uplink, self._gateway, self._topic = uplink, gateway, topics.base(uplink, gateway)
        url = urlsplit(uplink.endpoint)
        self._secure, self._host = url.scheme == "mqtts", url.hostname or ""
        self._port = url.port or (8883 if self._secure else 1883)
        # Some brokers take letters, digits, - and _ here and nothing else; names of sites, lines and uplinks have no _ (MQTT 5, 3.1.3.1).
        self._client_id = uplink.client_id or "_".join(("ebr-gateway", *gateway.split("/"), uplink.name))
        self._identity = tls.Identity(uplink.tls if self._secure else None, folder, uplink.password)
        self._retains = True
        self._leave_queue = False  # the broker's queue for us holds a message that is too large, and would deliver it again
        self._client: QuickClient | None = None
        self._failure: UplinkError | None = None
        self._reset()

    def _reset(self) -> None:
        self._failure = None
        self._sent, self._inflight = Pubacks(), MAX_INFLIGHT
        self._later: asyncio.TimerHandle | None = None  # when a PUBACK is looked at that nothing waits for
        self._connected: asyncio.Event = asyncio.Event()
        self._subscribed: asyncio.Event = asyncio.Event()
        self._announced: asyncio.Event = asyncio.Event()

    async def open(self, online: Online) -> None:
        """Connect, subscribe to the receipts, publish that the gateway is online; in this order, so that no receipt is missed."""
        self._reset()
        client = self._client = self._make(online)
        self.online = online
        try:
            async with asyncio.timeout(CONNECT_S):
                await asyncio.to_thread(self._dial, client)
                await self._until(self._connected)
                client.subscribe(f"{self._topic}/receipts", qos=1)
                await self._until(self._subscribed)
                client.publish(f"{self._topic}/online", announcement(self._gateway, online, up=True), qos=1, retain=self._retains)
                await self._until(self._announced)
        except TimeoutError as error:
            await self.close()
            raise Unreachable("the broker did not answer in time") from error
        except BaseException:
            await self.close()
            raise

    async def announce(self, online: Online) -> None:
        """Publish anew that the gateway is online, and what it holds."""
        self.online = online
        self.publish(f"{self._topic}/online", announcement(self._gateway, online, up=True), retain=self._retains)

    def remarks(self) -> list[tls.Remark]:
        """Return what is to be said of the certificates, and of a broker that keeps no messages."""
        told = self._identity.remarks() if self._secure else []
        return told if self._retains else [*told, tls.Remark("not-retained", "warning", NOT_RETAINED)]

    async def close(self) -> None:
        """Publish that the gateway is offline if the connection still permits it, and close the socket."""
        client, self._client = self._client, None
        if client is None:
            return
        if client.is_connected():
            client.publish(f"{self._topic}/online", announcement(self._gateway, self.online, up=False), qos=0, retain=self._retains)
            client.disconnect()
            client.loop_write()
        sock: Any = client.socket()
        if sock is not None:
            _unwatch(asyncio.get_running_loop(), sock)
            sock.close()

    def room(self) -> Room:
        """Return the free places of the in-flight window; none until half of it is free, so that lists stay lists. paho queues nothing."""
        free = self._inflight - len(self._sent)
        return Room(free if 2 * free >= self._inflight else 0, MAX_SOCKET_QUEUE_BYTES)

    async def send(self, entries: Sequence[Entry]) -> int:
        """Publish entries; `room` has limited how many may be without a PUBACK."""
        self._check()
        assert self._client is not None
        topic = f"{self._topic}/entries"
        now_s = asyncio.get_running_loop().time()
        for entry in entries:
            info = self._client.publish(topic, entry.payload, qos=1, retain=False)
            if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
                raise Unreachable(f"not sent: {paho.error_string(info.rc)}")
            self._sent.sent(info.mid, (entry.epoch, entry.seq), entry.digest, now_s)
        return len(entries)

    async def live(self, entries: Sequence[Entry]) -> None:
        """Publish copies at QoS 0 on `.../live`."""
        self._check()
        assert self._client is not None
        for entry in entries:
            self._client.publish(f"{self._topic}/live", entry.payload, qos=0, retain=False)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish one message at QoS 1, outside the window of entries."""
        self._check()
        assert self._client is not None
        self._client.publish(topic, payload, qos=1, retain=retain)

    async def tick(self) -> None:
        """Keep the connection alive, and detect a broker that takes messages but never acknowledges them."""
        self._check()
        assert self._client is not None
        if self._client.loop_misc() != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise Unreachable("the broker stopped answering")
        if self._sent.silent_s(asyncio.get_running_loop().time()) > ACK_SILENCE_S:
            raise Unreachable(f"the broker acknowledged nothing for {ACK_SILENCE_S:.0f} s")

    @property
    def outstanding(self) -> int:
        """Number of messages without PUBACK."""
        return len(self._sent)

    def stale(self) -> bool:
        """True if a file of certificate or password changed."""
        return self._identity.changed()

    # -- making the connection

    def _make(self, online: Online) -> QuickClient:
        five = self._uplink.version == "5"
        client = QuickClient(
            CallbackAPIVersion.VERSION2, self._client_id, protocol=paho.MQTTv5 if five else paho.MQTTv311,
            clean_session=None if five else self._leave_queue, reconnect_on_failure=False,
        )  # fmt: skip
        client.will_set(f"{self._topic}/online", announcement(self._gateway, online, up=False), qos=1, retain=self._retains)
        client.max_inflight_messages_set(MAX_INFLIGHT + 1)  # ours is the window that counts: `room`
        if self._uplink.user is not None:
            client.username_pw_set(self._uplink.user, self._identity.password())
        if self._secure:
            client.tls_set_context(self._identity.context())
        loop = asyncio.get_running_loop()
        client.on_socket_open = _on_socket(loop, self._opened)
        client.on_socket_close = lambda _, __, sock: _unwatch(loop, sock)
        client.on_socket_register_write = _on_socket(loop, _watch_write)
        client.on_socket_unregister_write = lambda _, __, sock: _unwatch_write(loop, sock)
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        client.on_subscribe, client.on_publish, client.on_message = self._on_subscribe, self._on_publish, self._on_message
        return client

    def _dial(self, client: paho.Client) -> None:
        """Resolve the name and connect (TCP, TLS, CONNECT), in a worker thread."""
        client.connect_timeout = 10.0
        options: dict[str, Any] = {}
        if self._uplink.version == "5":
            options["clean_start"], options["properties"] = self._leave_queue, Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            options["properties"].SessionExpiryInterval = SESSION_S
            options["properties"].MaximumPacketSize = MAX_PACKET_BYTES
        try:
            client.connect(self._host, self._port, KEEPALIVE_S, **options)
        except (OSError, ValueError) as error:
            kind = NobodyListens if is_refused(error) else Unreachable
            raise tls.failure(error) or kind(f"{self._host}:{self._port}: {in_words(error, 'the broker')}") from error

    def _opened(self, client: paho.Client, sock: Any) -> None:
        """Watch the socket of a connection that is still wanted; runs in the loop."""
        if client is not self._client or self._client is None:
            sock.close()
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, KEEPALIVE_S * 1_000)
        asyncio.get_running_loop().add_reader(sock, self._readable, self._client, sock)

    def _readable(self, client: QuickClient, sock: Any) -> None:
        """Read packets until neither client nor TLS layer hold more: both keep bytes that no selector sees."""
        try:
            client.loop_read()
            while client.has_more:
                client.loop_read()
        except Exception as error:  # paho's parser raises all kinds on bytes that are no MQTT; nothing may be lost in a callback
            log.exception("%s:%d: reading failed", self._host, self._port)
            _unwatch(asyncio.get_running_loop(), sock)
            self._fail(Unreachable(f"the broker sent something that is not MQTT: {error!r}"))

    async def _until(self, event: asyncio.Event) -> None:
        await event.wait()
        self._check()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._client is None:
            raise Unreachable("not connected")

    def _fail(self, error: UplinkError) -> None:
        """Remember the first failure and wake all waiters."""
        self._failure = self._failure or error
        for event in (self._connected, self._subscribed, self._announced):
            event.set()
        self.wake()

    # -- paho's callbacks, all in the loop's thread

    def _on_connect(self, _: paho.Client, __: Any, ___: Any, reason: ReasonCode, properties: Properties | None) -> None:
        if reason.is_failure and reason.value == RETAIN_NOT_SUPPORTED and self._retains:
            self._retains = False
            self._fail(Unreachable(f"{NOT_RETAINED}; connecting again without"))
            return
        if reason.is_failure:
            self._fail(refusal(reason, "the broker refused the connection", self._uplink.version))
            return
        largest = getattr(properties, "MaximumPacketSize", None)
        if largest is not None and largest < MIN_PACKET_BYTES:
            self._fail(Refused("too-small", f"the broker takes packets of {largest} bytes; an entry needs {MIN_PACKET_BYTES}"))
            return
        if getattr(properties, "MaximumQoS", 1) < 1:
            self._fail(Refused("protocol", "the broker offers no QoS 1"))
            return
        self._inflight = min(MAX_INFLIGHT, getattr(properties, "ReceiveMaximum", MAX_INFLIGHT))
        self._leave_queue = False
        self._connected.set()

    def _on_disconnect(self, client: paho.Client, __: Any, ___: Any, reason: ReasonCode, ____: Any) -> None:
        if isinstance(client, QuickClient) and client.oversize_bytes:
            self._leave_queue = True  # receipts alone can be in it: the receiver answers again
            text = f"a message of {client.oversize_bytes} bytes on {self._topic}/receipts: no receipt, not read"
            self._fail(Unreachable(f"{text}; connecting again without what the broker has queued"))
        elif reason.value in _WHO | {0x95}:
            self._fail(refusal(reason, "the broker closed the connection"))
        elif (broken := self._identity.broken) is not None and (why := tls.failure(broken)) is not None:
            self._fail(why)
        else:
            other = f"; another client with the client id {self._client_id} would end this connection, too"
            self._fail(Unreachable(f"disconnected: {reason}{other if reason.value in (0x80, 0x8E) else ''}"))

    def _on_subscribe(self, _: paho.Client, __: Any, ___: int, reasons: list[ReasonCode], ____: Any) -> None:
        if reasons[0].is_failure:
            self._fail(refusal(reasons[0], "the broker refused the subscription to the receipts"))
        self._subscribed.set()

    def _on_publish(self, _: paho.Client, __: Any, mid: int, reason: ReasonCode, ___: Any) -> None:
        if reason.is_failure:
            topic = f"{self._topic}/{'entries' if mid in self._sent else 'online'}"
            self._fail(refusal(reason, f"the broker refused what was published on {topic}"))
            return
        if mid not in self._sent:
            self._announced.set()
            return
        was_full = self.room().entries == 0
        loop = asyncio.get_running_loop()
        if (delivered := self._sent.came(mid, loop.time())) is not None:
            self.inbox.append(delivered)
        if was_full or not self._uplink.receipts or self._uplink.profile == "records":
            self.wake()
        elif self._later is None:  # a receipt follows as a rule: both are looked at together
            self._later = loop.call_later(PUBACK_WAITS_S, self._wake_later)

    def _wake_later(self) -> None:
        self._later = None
        if self.inbox:
            self.wake()

    def _on_message(self, _: paho.Client, __: Any, message: paho.MQTTMessage) -> None:
        if message.retain or len(self.inbox) >= MAX_INBOX:
            return  # a retained message is an old receipt; in a flood, the next receipt covers this one
        self.inbox.append(Answer(bytes(message.payload), f"a message on {message.topic}"))
        self.wake()


class MqttRecords(Records):
    """Sends one record per message on `{topic}/records/{equipment}/{type}`; its outcome arrives on the receipts topic."""

    def __init__(self, uplink: Uplink, gateway: str, folder: Path) -> None:
        self._way, self._topic = Mqtt(uplink, gateway, folder), topics.base(uplink, gateway)
        super().__init__(self._way)
        self._patience_s = uplink.resend_after_s
        self._came = asyncio.Event()
        self._way.wake = self._came.set

    async def deliver(self, record: Record) -> Reply:
        """Publish one record and wait for its outcome; without one in time the record is sent again."""
        self._way.inbox.clear()
        self._way.publish(f"{self._topic}/records/{topics.level(record.equipment)}/{record.type}", record.payload)
        try:
            async with asyncio.timeout(self._patience_s):
                while True:
                    self._came.clear()
                    await self._way.tick()
                    while self._way.inbox:
                        item = self._way.inbox.popleft()
                        if isinstance(item, Answer) and (reply := reply_of(item.payload, record.id)) is not None:
                            return reply
                    await self._came.wait()
        except TimeoutError as error:
            raise Unreachable(f"no outcome for {record.id} in {self._patience_s:g} s") from error


def announcement(gateway: str, online: Online, *, up: bool) -> bytes:
    """Make the message of `{topic}/online`."""
    return orjson.dumps({"online": up, "gateway": gateway, **online._asdict()})


def refusal(reason: ReasonCode, what: str, version: str = "") -> UplinkError:
    """Return what a reason code of a broker means: Unreachable where time may cure it, else Refused."""
    hint = '; it may speak MQTT 3.1.1 only: version = "3.1.1"' if reason.value == 0x84 and version == "5" else ""
    text = f"{what}: {reason} (0x{reason.value:02x}){hint}"
    if reason.value in _WAIT:
        return Unreachable(text)
    if reason.value in _WHO:
        return Refused("credentials", text)
    return Refused("too-small" if reason.value == 0x95 else "protocol", text)


def _watch_write(client: paho.Client, sock: Any) -> None:
    """Write at once what paho has queued, and what the socket does not take when it does again.

    Not before the broker has taken the connection: what reaches one that has closed it already undoes what it said of the reason.
    """
    if sock.fileno() < 0 or client.socket() != sock:
        return
    if client.is_connected():
        client.loop_write()
    if client.want_write() and sock.fileno() >= 0 and client.socket() == sock:
        asyncio.get_running_loop().add_writer(sock, client.loop_write)


def _unwatch_write(loop: asyncio.AbstractEventLoop, sock: Any) -> None:
    if sock.fileno() >= 0:
        loop.remove_writer(sock)


def _unwatch(loop: asyncio.AbstractEventLoop, sock: Any) -> None:
    if sock.fileno() >= 0:
        loop.remove_reader(sock)
        loop.remove_writer(sock)


def _on_socket(loop: asyncio.AbstractEventLoop, then: Callable[[paho.Client, Any], None]) -> Callable[[paho.Client, Any, Any], None]:
    """Return a paho callback that has `then(client, socket)` run in the loop; paho calls it in the worker thread while connecting."""

    def callback(client: paho.Client, _: Any, sock: Any) -> None:
        if asyncio._get_running_loop() is loop:  # noqa: SLF001 - None in another thread, where get_running_loop raises
            loop.call_soon(then, client, sock)
        else:
            loop.call_soon_threadsafe(then, client, sock)

    return callback
