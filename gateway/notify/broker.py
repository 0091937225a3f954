"""Publishes one message to an MQTT broker, and takes its word for nothing but what it acknowledged.

One connection for each message: alarms are rare, and a connection that nobody uses would have to be watched. paho blocks, so all of it
happens in a worker thread that ends with the task, within a fraction of a second.
"""

import asyncio
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from config.sections import Notify
from drivers.os_words import in_words
from gateway.notify.messages import Message, posted
from gateway.notify.undelivered import WITHIN_S, NotDelivered
from gateway.uplink.bounded_client import BoundedClient
from gateway.uplink.errors import UplinkError
from gateway.uplink.tls import Identity, failure
from gateway.uplink.topics import level

KEEPALIVE_S = 60
CONNECT_S = 10.0
LOOK_S = 0.2
NO_SUBSCRIBERS = 0x10
"""PUBACK of MQTT 5 (3.4.2.1): the broker took the message, and nobody is subscribed. It has thrown the message away."""


class Broker:
    """Publishes JSON at QoS 1, as a webhook is posted. A PUBACK says that it arrived, unless it says that nobody is subscribed."""

    def __init__(self, settings: Notify, folder: Path) -> None:
        url = urlsplit(settings.endpoint)
        self._settings, self._secure, self._host = settings, url.scheme == "mqtts", url.hostname or ""
        self._port = url.port or (8883 if self._secure else 1883)
        self._identity = Identity(settings.tls if self._secure else None, folder, settings.password)

    async def deliver(self, gateway: str, message: Message) -> None:
        """Publish one message. Raises NotDelivered."""
        ended = threading.Event()
        try:
            await asyncio.to_thread(self._publish, gateway, orjson.dumps(posted(gateway, message)), ended)
        except (UplinkError, OSError, ValueError) as error:
            why = failure(error) or (error if isinstance(error, UplinkError) else in_words(error, "the broker"))
            raise NotDelivered(f"{self._host}:{self._port}: {why}") from error
        finally:
            ended.set()

    def topic(self, gateway: str) -> str:
        """Return where it is published: as configured, else `ebr/<site>/<line>/alarms`."""
        return self._settings.topic or "/".join(("ebr", *map(level, gateway.split("/")), "alarms"))

    def _publish(self, gateway: str, payload: bytes, ended: threading.Event) -> None:
        """Connect, publish, wait for the PUBACK and disconnect, in a worker thread. ended: nobody waits for it any more."""
        attempt = _Attempt(self.topic(gateway), payload)
        client = self._client(gateway, attempt)
        five = self._settings.version == "5"
        options: dict[str, Any] = {"clean_start": True, "properties": Properties(PacketTypes.CONNECT)} if five else {}  # type: ignore[no-untyped-call]
        try:
            client.connect(self._host, self._port, KEEPALIVE_S, **options)
            until_s = time.monotonic() + WITHIN_S
            while attempt.outcome is None and not ended.is_set():
                if time.monotonic() > until_s:
                    raise NotDelivered(f"{self._host}:{self._port}: the broker did not acknowledge it within {WITHIN_S:.0f} s")
                if client.loop(LOOK_S) != MQTTErrorCode.MQTT_ERR_SUCCESS and attempt.outcome is None:
                    attempt.outcome = "the broker closed the connection"
        finally:
            client.disconnect()
            client.loop_write()
            if (sock := client.socket()) is not None:
                sock.close()
        if (broken := self._identity.broken) is not None and attempt.outcome != "":
            raise broken  # in TLS 1.3 a certificate that the broker refuses is heard of after the handshake
        if attempt.outcome:
            raise NotDelivered(f"{self._host}:{self._port}: {attempt.outcome}")

    def _client(self, gateway: str, attempt: "_Attempt") -> BoundedClient:
        name = "_".join(("ebr-gateway", *gateway.split("/"), "notify", self._settings.name))
        five = self._settings.version == "5"
        client = BoundedClient(
            CallbackAPIVersion.VERSION2, name, protocol=paho.MQTTv5 if five else paho.MQTTv311,
            clean_session=None if five else True, reconnect_on_failure=False,
        )  # fmt: skip
        client.connect_timeout = CONNECT_S
        if self._settings.user is not None:
            client.username_pw_set(self._settings.user, self._identity.password())
        if self._secure:
            client.tls_set_context(self._identity.context())
        client.on_connect, client.on_publish, client.on_disconnect = attempt.on_connect, attempt.on_publish, attempt.on_disconnect
        return client


class _Attempt:
    """One message on its way. outcome: None while nothing is known, "" when it arrived, else why it did not."""

    def __init__(self, topic: str, payload: bytes) -> None:
        self._topic, self._payload = topic, payload
        self.outcome: str | None = None

    def on_connect(self, client: paho.Client, _: Any, __: Any, reason: ReasonCode, properties: Properties | None) -> None:
        if reason.is_failure:
            self.outcome = f"the broker refused the connection: {reason}"
        elif getattr(properties, "MaximumQoS", 1) < 1:
            self.outcome = "the broker offers no QoS 1: nobody would say that a message arrived"
        else:
            client.publish(self._topic, self._payload, qos=1, retain=False)

    def on_publish(self, _: paho.Client, __: Any, ___: int, reason: ReasonCode, ____: Any) -> None:
        if reason.value == NO_SUBSCRIBERS:
            self.outcome = f"nobody is subscribed to {self._topic}: the broker has thrown it away"
        else:
            self.outcome = f"the broker refused what was published on {self._topic}: {reason}" if reason.is_failure else ""

    def on_disconnect(self, _: paho.Client, __: Any, ___: Any, reason: ReasonCode, ____: Any) -> None:
        if self.outcome is None:
            self.outcome = f"disconnected: {reason}"
