"""The EBR's MQTT side: takes `.../entries`, and answers on `.../receipts` after it has stored, never before."""

import asyncio
import logging
import ssl
from collections import deque
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import orjson
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from simulators.ebr.base import read_runs
from simulators.ebr.entry import Stream, Unreadable, read, record_id
from simulators.ebr.receive.questions import Question, Questions
from simulators.ebr.receive.receiver import Receiver
from simulators.ebr.store import Taken

log = logging.getLogger(__name__)

GATHER_S = 0.05
MAX_WAITING = 20_000
"""Messages in memory; more are dropped, and come again because they got no receipt."""
_KINDS = (("entries", 1), ("live", 0), ("online", 1), ("records/+/+", 1), ("questions", 1))


class MqttIn:
    """A client of the broker. paho's own thread receives, the event loop's thread takes and answers."""

    def __init__(
        self, url: str, receiver: Receiver, *, topics: str = "ebr/+/+", name: str = "reference-ebr", tls: Any = None, session_s: int = 0
    ) -> None:
        """session_s: time for which the broker keeps the session, and queues for it, while this client is away."""
        parts = urlsplit(url)
        self._receiver, self._topics = receiver, topics
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or (8883 if parts.scheme == "mqtts" else 1883)
        self._waiting: deque[tuple[str, bytes, bool]] = deque()
        self._came, self._ready = asyncio.Event(), asyncio.Event()
        self._answer_to: dict[Stream, str] = {}
        self._questions = Questions(receiver, lambda topic, payload, beside: self._client.publish(topic, payload, qos=1, properties=beside))
        self._client = paho.Client(CallbackAPIVersion.VERSION2, name, protocol=paho.MQTTv5)
        self._client.on_connect, self._client.on_message = self._connected, self._message
        self._client.reconnect_delay_set(1, 1)
        if parts.username is not None:
            self._client.username_pw_set(unquote(parts.username), unquote(parts.password or ""))
        if parts.scheme == "mqtts":
            self._client.tls_set_context(tls if isinstance(tls, ssl.SSLContext) else ssl.create_default_context(cafile=_text(tls)))
        self._clean, self._session = not session_s, _session(session_s)
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self) -> None:
        """Receive, store and answer until cancelled; paho connects again by itself when the broker was away."""
        self._loop = asyncio.get_running_loop()
        self._client.connect_async(self._host, self._port, keepalive=20, clean_start=self._clean, properties=self._session)
        self._client.loop_start()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._questions.run())
                tasks.create_task(self._receive())
        finally:
            self._client.disconnect()
            await asyncio.to_thread(self._client.loop_stop)

    async def _receive(self) -> None:
        while True:
            await self._came.wait()
            await asyncio.sleep(GATHER_S)
            self._came.clear()
            await self._page()

    async def ready(self) -> None:
        """Return when subscribed for the first time."""
        await self._ready.wait()

    async def _page(self) -> None:
        page = []
        while self._waiting:
            topic, payload, retained = self._waiting.popleft()
            prefix, _, kind = topic.rpartition("/")
            if kind == "entries" and not retained and not self._receiver.script.drops():
                page.append((prefix, payload))
            elif kind == "live":
                self._receiver.copy(payload)
            elif kind == "online":
                await self._hear(prefix, payload)
            elif "/records/" in topic and not self._receiver.script.drops():
                await self._record(topic.partition("/records/")[0], payload)
        if not page:
            return
        taken = await self._receiver.take([payload for _, payload in page])
        for prefix in {prefix for prefix, _ in page}:
            for stream in taken.answered:
                if prefix.endswith(stream[0]) or stream not in self._answer_to:
                    self._answer_to[stream] = prefix
        await self._answer(taken)

    async def _record(self, prefix: str, payload: bytes) -> None:
        """Take one single record, and publish its outcome after it is stored."""
        try:
            name = record_id(read(payload).item)
        except (Unreadable, KeyError) as error:
            log.warning("not a record: %s", error)
            return
        answer = await self._receiver.take_record(name, payload)
        if not self._receiver.script.drops_receipt():
            outcome = "rejected" if answer["outcome"] == "conflict" else answer["outcome"]
            self._client.publish(f"{prefix}/receipts", orjson.dumps({**answer, "outcome": outcome}), qos=1)

    async def _hear(self, prefix: str, payload: bytes) -> None:
        """Note whether a gateway is online, and what it holds; answer for the streams that go on by that."""
        try:
            told = orjson.loads(payload)
            self._receiver.online[prefix] = told.get("online") is True
        except (orjson.JSONDecodeError, AttributeError):
            log.warning("%s/online holds no JSON object", prefix)
            return
        gateway = str(told.get("gateway", ""))
        taken = await self._receiver.hear(gateway, read_runs(told.get("held")))
        for stream in taken.answered if prefix.endswith(gateway) else ():  # an uplink of records alone is online, too, and hears no receipt
            self._answer_to.setdefault(stream, prefix)
        await self._answer(taken)

    async def _answer(self, taken: Taken) -> None:
        for receipt in await self._receiver.receipts(taken):
            prefix = self._answer_to.get((str(receipt["gateway"]), int(str(receipt["epoch"]))))
            if prefix is not None:
                self._client.publish(f"{prefix}/receipts", orjson.dumps(receipt), qos=1)

    # -- paho's thread

    def _connected(self, client: paho.Client, _: Any, __: Any, reason: Any, ___: Any) -> None:
        if reason.is_failure:
            log.warning("the broker refused the connection: %s", reason)
            return
        client.subscribe([(f"{self._topics}/{kind}", SubscribeOptions(qos=qos)) for kind, qos in _KINDS])
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._ready.set)

    def _message(self, _client: paho.Client, __: Any, message: paho.MQTTMessage) -> None:
        prefix, _, kind = message.topic.rpartition("/")
        if kind == "questions":
            assert self._loop is not None
            question = Question(prefix, bytes(message.payload), getattr(message.properties, "CorrelationData", None))
            if not message.retain:
                self._loop.call_soon_threadsafe(self._questions.put, question)
            return
        if len(self._waiting) >= MAX_WAITING:
            return
        self._waiting.append((message.topic, bytes(message.payload), message.retain))
        if not self._came.is_set():
            assert self._loop is not None
            self._loop.call_soon_threadsafe(self._came.set)


def _session(session_s: int) -> Properties:
    properties: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = session_s
    return cast("Properties", properties)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
