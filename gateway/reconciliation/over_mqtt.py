"""Asks a receiver by MQTT what it holds: a question on `{topic}/questions`, its answer on `{topic}/answers/{asker}` (docs/uplink.md).

On a connection of its own, beside that of the entries: whatever comes on these topics ends a comparison at the most. paho's own thread
reads, and says there already whether a message is the answer that is waited for: a flood of others never reaches the event loop.
"""

import asyncio
import logging
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from config import Uplink
from drivers.os_words import in_words
from gateway.reconciliation.answer import Answer, NotAnswered, Question, Stream, of_profile, parse_spans, parse_streams
from gateway.uplink import tls, topics
from gateway.uplink.bounded_client import MAX_PACKET_BYTES, BoundedClient
from gateway.uplink.errors import UplinkError
from gateway.uplink.https import ATTEMPT_S
from gateway.uplink.mqtt import KEEPALIVE_S
from gateway.uplink.receipt import MAX_RECEIPT_BYTES

log = logging.getLogger(__name__)

CONNECT_S = 15.0
MOST_UNASKED = 1_000
"""Messages that nobody asked for: with one more somebody floods the topic, and this comparison is given up."""
NO_SUBSCRIBERS = 0x10
"""PUBACK of MQTT 5 (3.4.2.1): the broker took the question, and knows of nobody who reads it."""


class OverMqtt:
    """One asker, for one comparison. `open` first, `close` always. unasked: messages that were no answer to the present question.

    A broker drops what lies beside a question (response topic, correlation data) where one side speaks MQTT 3.1.1, so the question itself
    says both, and an answer may name it in either way.
    """

    def __init__(self, uplink: Uplink, gateway: str, folder: Path) -> None:
        """Make it for an uplink by MQTT. folder: the line's. Raises ValueError for a topic that is none."""
        url = urlsplit(uplink.endpoint)
        self._uplink, self._gateway, self._five = uplink, gateway, uplink.version == "5"
        self._secure, self._host = url.scheme == "mqtts", url.hostname or ""
        self._port = url.port or (8883 if self._secure else 1883)
        self._identity = tls.Identity(uplink.tls if self._secure else None, folder, uplink.password)
        self._asker, base = secrets.token_hex(8), topics.base(uplink, gateway)
        self._questions, self._answers = f"{base}/questions", f"{base}/answers/{self._asker}"
        self._client: BoundedClient | None = None
        self._closed = self._nobody = self._subscribed = False
        self._waited_for: str | None = None  # the id of the question whose answer is waited for
        self._failure: NotAnswered | None = None
        self.unasked = 0

    async def open(self) -> None:
        """Connect, and subscribe to the answers. Raises NotAnswered, with everything closed."""
        self._loop, self._came = asyncio.get_running_loop(), _awaited()
        try:
            client = self._client = self._made()
            async with asyncio.timeout(CONNECT_S):
                await asyncio.to_thread(self._dial, client)
                await self._came
        except TimeoutError as error:
            await self.close()
            raise NotAnswered(f"{self._host}:{self._port}: the broker did not answer in time") from error
        except UplinkError as error:
            await self.close()
            raise NotAnswered(str(error)) from error
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Disconnect. May be called twice."""
        self._closed, self._waited_for = True, None
        client, self._client = self._client, None
        if client is not None:
            await asyncio.to_thread(_ended, client)

    async def streams(self) -> list[Stream]:
        """Ask for the epochs. Raises NotAnswered."""
        return parse_streams(await self._ask({}), self._gateway, self._uplink.profile)

    async def spans(self, question: Question) -> Answer:
        """Ask for a range. Raises NotAnswered."""
        return parse_spans(await self._ask(question.plain()), self._gateway, question, self._uplink.profile)

    async def _ask(self, what: Mapping[str, int]) -> bytes:
        """Publish a question, and return the one answer that names it. Raises NotAnswered."""
        if self._failure is not None or self._client is None:
            raise self._failure or NotAnswered("not connected")
        self._came, self._nobody = _awaited(), False
        name = self._waited_for = secrets.token_hex(16)
        question = {"id": name, "answer_to": self._answers, "gateway": self._gateway, **of_profile(self._uplink.profile), **what}
        try:
            info = self._client.publish(self._questions, orjson.dumps(question), qos=1, properties=self._beside(name))
            if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
                raise NotAnswered(f"the question was not sent: {paho.error_string(info.rc)}")
            async with asyncio.timeout(ATTEMPT_S):
                return await self._came
        except TimeoutError as error:
            nobody = f"; the broker says that nobody has subscribed to {self._questions}" if self._nobody else ""
            raise NotAnswered(f"no answer to a question on {self._questions} within {ATTEMPT_S:g} s{nobody or self._dropped()}") from error
        finally:
            self._waited_for = None

    def _dropped(self) -> str:
        """Say what else may have become of an answer: a broker drops what is longer than we said we take, and tells nobody (MQTT 5)."""
        return f", or the broker dropped an answer longer than {MAX_PACKET_BYTES >> 20} MiB" if self._five else ""

    def _beside(self, name: str) -> Properties | None:
        """Return what MQTT 5 says beside the question: where the answer goes, what it bears, and when nobody waits for it any more."""
        if not self._five:
            return None
        made: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        made.ResponseTopic, made.CorrelationData, made.MessageExpiryInterval = self._answers, name.encode(), round(ATTEMPT_S) or 1
        return made  # type: ignore[no-any-return]

    # -- making the connection

    def _made(self) -> BoundedClient:
        name = self._uplink.client_id or "_".join(("ebr-gateway", *self._gateway.split("/"), self._uplink.name))
        client = BoundedClient(
            CallbackAPIVersion.VERSION2, f"{name}_reconcile_{self._asker}", protocol=paho.MQTTv5 if self._five else paho.MQTTv311,
            clean_session=None if self._five else True, reconnect_on_failure=False,
        )  # fmt: skip
        client.connect_timeout = 10.0
        if self._uplink.user is not None:
            client.username_pw_set(self._uplink.user, self._identity.password())
        if self._secure:
            client.tls_set_context(self._identity.context())
        client.on_connect, client.on_disconnect, client.on_subscribe = self._on_connect, self._on_disconnect, self._on_subscribe
        client.on_publish, client.on_message = self._on_publish, self._on_message
        return client

    def _dial(self, client: BoundedClient) -> None:
        """Connect, in a worker thread, and have paho's thread read from then on."""
        options: dict[str, Any] = {}
        if self._five:
            options["clean_start"], options["properties"] = True, Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            options["properties"].MaximumPacketSize = MAX_PACKET_BYTES
        try:
            client.connect(self._host, self._port, KEEPALIVE_S, **options)
        except (OSError, ValueError) as error:
            why = tls.failure(error) or f"{self._host}:{self._port}: {in_words(error, 'the broker')}"
            raise NotAnswered(str(why)) from error
        client.loop_start()
        if self._closed:  # nobody waits for it any more
            _ended(client)

    def _told(self, answer: bytes | NotAnswered) -> None:
        """Give what came to whoever waits; runs in the loop. Nothing is asked any more after a failure."""
        if isinstance(answer, NotAnswered):
            self._failure = self._failure or answer
        if self._came.done():
            return
        if isinstance(answer, NotAnswered):
            self._came.set_exception(answer)
        else:
            self._came.set_result(answer)

    # -- paho's callbacks, in paho's thread

    def _tell(self, answer: bytes | NotAnswered) -> None:
        if not self._closed:
            self._loop.call_soon_threadsafe(self._told, answer)

    def _on_connect(self, client: paho.Client, _: Any, __: Any, reason: ReasonCode, properties: Properties | None) -> None:
        if reason.is_failure:
            self._tell(NotAnswered(f"the broker refused the connection: {reason}"))
        elif getattr(properties, "MaximumQoS", 1) < 1:
            self._tell(NotAnswered("the broker offers no QoS 1: nobody would say that a question arrived"))
        else:
            client.subscribe(self._answers, qos=1)

    def _on_subscribe(self, _: paho.Client, __: Any, ___: int, reasons: list[ReasonCode], ____: Any) -> None:
        if self._subscribed:  # said once: what comes again answers no question
            return
        self._subscribed = True
        if not reasons:
            self._tell(NotAnswered(f"the broker confirmed the subscription to {self._answers} without saying whether it allows it"))
            return
        refused = f"the broker refused the subscription to {self._answers}: {reasons[0]}; its access list has to allow it"
        self._tell(NotAnswered(refused) if reasons[0].is_failure else b"")

    def _on_publish(self, _: paho.Client, __: Any, ___: int, reason: ReasonCode, ____: Any) -> None:
        self._nobody = reason.value == NO_SUBSCRIBERS
        if reason.is_failure:
            self._tell(
                NotAnswered(f"the broker refused what was published on {self._questions}: {reason}; its access list has to allow it")
            )

    def _on_message(self, client: paho.Client, _: Any, message: paho.MQTTMessage) -> None:
        """Take the answer that is waited for, once; count every other message."""
        payload = bytes(message.payload)
        if not message.retain and self._waited_for is not None and answers(payload, message.properties) == self._waited_for:
            self._waited_for = None
            is_long = len(payload) > MAX_RECEIPT_BYTES
            self._tell(NotAnswered(f"an answer of {len(payload)} bytes: longer than an answer may be") if is_long else payload)
            return
        self.unasked += 1
        if self.unasked == MOST_UNASKED + 1:
            log.warning("%s: more than %d messages that nobody asked for; given up", self._answers, MOST_UNASKED)
            self._tell(NotAnswered(f"more than {MOST_UNASKED} messages that nobody asked for came on {self._answers}"))
            client.disconnect()

    def _on_disconnect(self, client: paho.Client, __: Any, ___: Any, reason: ReasonCode, ____: Any) -> None:
        broken = self._identity.broken
        if isinstance(client, BoundedClient) and client.oversize_bytes:
            why = f"a message of {client.oversize_bytes} bytes on {self._answers}: no answer, not read"
        elif broken is not None and (refused := tls.failure(broken)) is not None:
            why = str(refused)
        else:
            why = f"the broker closed the connection: {reason}"
        self._tell(NotAnswered(why))


def answers(payload: bytes, properties: Any) -> str | None:
    """Return the id of the question that a message answers: what lies beside it (MQTT 5), else its member `id`; None if neither tells."""
    beside = getattr(properties, "CorrelationData", None)
    if isinstance(beside, bytes):
        return beside.decode("ascii", "replace")
    try:
        told = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None
    name = told.get("id") if isinstance(told, dict) else None
    return name if isinstance(name, str) else None


def _awaited() -> "asyncio.Future[bytes]":
    """Make a future whose error counts as looked at, also where nobody waits for it any more."""
    came: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    came.add_done_callback(lambda done: None if done.cancelled() else done.exception() and None)
    return came


def _ended(client: BoundedClient) -> None:
    """Disconnect, and wait for paho's thread, in a worker thread."""
    client.disconnect()
    client.loop_stop()
    if (sock := client.socket()) is not None:  # of a thread that ended by bytes that are no MQTT
        sock.close()
