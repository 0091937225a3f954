"""The quick client takes whatever bytes a broker sends as paho's client takes them: the same callbacks, the same answers, the same end."""

import socket
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from paho.mqtt import client as paho
from paho.mqtt.client import _ConnectionState  # type: ignore[attr-defined]
from paho.mqtt.enums import CallbackAPIVersion

from gateway.uplink.bounded_client import BoundedClient
from gateway.uplink.quick_client import AHEAD_BYTES, QuickClient

pytestmark = pytest.mark.urs("URS-UPL-03")
MIDS = (1, 2, 3)


def packet(command: int, body: bytes) -> bytes:
    """A packet with its length before it (MQTT 5, 2.1)."""
    size, length = len(body), b""
    while True:
        size, low = divmod(size, 128)
        length += bytes([low | (0x80 if size else 0)])
        if not size:
            return bytes([command]) + length + body


SMALL = st.binary(max_size=6)
MID = st.sampled_from([*MIDS, 700]).map(lambda mid: mid.to_bytes(2, "big"))
PUBACK = st.builds(
    lambda mid, rest: packet(0x40, mid + rest),
    MID,
    st.one_of(st.sampled_from([b"", b"\x00", b"\x10", b"\x87", b"\x00\x00", b"\x10\x00"]), SMALL),
)
TOPIC = st.one_of(st.just(b"ebr/a/b/receipts"), st.just(b""), st.binary(max_size=4)).map(lambda text: len(text).to_bytes(2, "big") + text)
PUBLISH = st.builds(
    lambda flags, topic, mid, properties, payload: packet(0x30 | flags, topic + mid + properties + payload),
    st.integers(0, 15), TOPIC, st.one_of(st.just(b""), MID), st.one_of(st.sampled_from([b"\x00", b"\x02\x01\x01", b""]), SMALL),
    st.one_of(SMALL, st.sampled_from([b"{}", bytes(AHEAD_BYTES), bytes(3 * AHEAD_BYTES)])),
)  # fmt: skip
OTHER = st.one_of(st.builds(packet, st.integers(0, 255), SMALL), SMALL)


class Told:
    """A client at one end of a socket pair, and all that can be seen of it."""

    def __init__(self, kind: type[BoundedClient], version: int) -> None:
        self.ours, self.peer = socket.socketpair()
        for end in (self.ours, self.peer):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            end.setblocking(False)
        self.seen: list[Any] = []
        self.client = kind(CallbackAPIVersion.VERSION2, "a", protocol=version, reconnect_on_failure=False)  # type: ignore[arg-type]
        self.client._sock, self.client._state = self.ours, _ConnectionState.MQTT_CS_CONNECTED
        self.client.on_message = lambda _, __, of: self.seen.append(
            ("message", of._topic, of.payload, type(of.payload), of.qos, of.dup, of.retain, of.mid, _properties(of.properties))
        )
        self.client.on_publish = lambda _, __, mid, reason, properties: self.seen.append(
            ("published", mid, reason.value, reason.is_failure, str(reason), _properties(properties))
        )
        self.client.on_disconnect = lambda _, __, ___, reason, ____: self.seen.append(("ended", reason.value))
        for _ in MIDS:
            self.client.publish("entries", b"x", qos=1)
        self.client.loop_write()

    def take(self, data: bytes) -> None:
        """Have bytes come, and read them as a loop does that is told when the socket holds any."""
        if self.client._sock is None:
            return
        self.peer.sendall(data)
        for _ in range(len(data) + 2):
            if self.client._sock is None:
                return
            try:
                self.client.loop_read()
            except Exception as error:  # noqa: BLE001 - paho's parser raises all kinds: both must raise the same
                self.seen.append(("raised", type(error), str(error)))
                return
            self.client.loop_write()

    def end(self) -> list[Any]:
        """Return all that was seen, and sent."""
        self.client.loop_write()
        left = sorted(self.client._out_messages)
        self.client._reset_sockets()
        self.ours.close()
        sent = b"".join(iter(self._received, b""))
        self.peer.close()
        return [*self.seen, sent, left, self.client.oversize_bytes]

    def _received(self) -> bytes:
        try:
            return self.peer.recv(1 << 20)
        except ConnectionResetError:  # it was closed with bytes unread; what it sent is still here
            return self.peer.recv(1 << 20)


def _properties(given: Any) -> Any:
    return None if given is None else (given.packetType, given.json())


@pytest.mark.parametrize("version", [paho.MQTTv5, paho.MQTTv311])
@given(packets=st.lists(st.one_of(PUBACK, PUBLISH, OTHER), max_size=8), cuts=st.lists(st.integers(0, 200), max_size=3))
@example(packets=[packet(0x40, b"\x00\x01"), packet(0x30, b"\x00\x01a\x00" + bytes(AHEAD_BYTES))], cuts=[1, 5])
@example(packets=[packet(0x40, b"\x00\x02\x10"), b"\x30\xff\xff\xff\x7f"], cuts=[])
def test_a_quick_client_takes_bytes_as_a_plain_one(version: int, packets: list[bytes], cuts: list[int]) -> None:
    data, both = b"".join(packets), []
    for kind in (BoundedClient, QuickClient):
        told, begun = Told(kind, version), 0
        for cut in [*sorted(cuts), len(data)]:
            told.take(data[begun:cut])
            begun = max(begun, cut)
        both.append(told.end())
    assert both[0] == both[1]


def test_what_was_read_ahead_is_known_until_it_is_taken() -> None:
    told = Told(QuickClient, paho.MQTTv5)
    told.peer.sendall(packet(0x30, b"\x00\x01a\x00{}") * 5)
    client = told.client
    assert isinstance(client, QuickClient)
    assert not client.has_more
    reads = 0
    while True:
        client.loop_read()
        reads += 1
        if not client.has_more:
            break
    assert (len(told.seen), reads <= 5) == (5, True)
    told.end()
    assert not client.has_more or client._sock is not None
