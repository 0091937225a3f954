"""paho's client, quicker where a packet is plain: what nearly all are, and what an entry and its receipt cost most of.

paho reads each packet in three calls of the socket, and makes an object with all properties of MQTT 5 for each, also where there are none.
Here what the socket holds is read at once, and a PUBACK or PUBLISH without properties is taken as it is. Anything else goes paho's way,
which alone says what is wrong with a packet. A property test holds the two together.
"""

import ssl
import time
from typing import Literal

from paho.mqtt.client import MQTTMessage, MQTTv5
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from gateway.uplink.bounded_client import BoundedClient

AHEAD_BYTES = 16_384
"""Read at once. A packet that is larger is read as paho reads it."""
_TAKEN = {value: ReasonCode(PacketTypes.PUBACK, identifier=value) for value in (0x00, 0x10)}  # success; nobody has subscribed
_NO_PROPERTIES = {kind: Properties(kind) for kind in (PacketTypes.PUBACK, PacketTypes.PUBLISH)}  # type: ignore[no-untyped-call]


class QuickClient(BoundedClient):
    """Reads ahead: whoever watches its socket reads on while `has_more`, for no selector sees what was read already."""

    _ahead = b""

    @property
    def has_more(self) -> bool:
        """True if bytes of the connection that stands are here, or in the TLS layer, that paho has not asked for yet."""
        sock = self._sock
        if sock is None or not self.is_connected():
            return False
        return bool(self._ahead) or (isinstance(sock, ssl.SSLSocket) and sock.pending() > 0)

    def _sock_recv(self, bufsize: int) -> bytes:
        if not self._ahead:
            if bufsize > AHEAD_BYTES:
                return super()._sock_recv(bufsize)
            self._ahead = super()._sock_recv(AHEAD_BYTES)
        elif bufsize > AHEAD_BYTES:
            self._refuse_oversize(bufsize)
        taken, self._ahead = self._ahead[:bufsize], self._ahead[bufsize:]
        return taken

    def _handle_pubackcomp(self, cmd: Literal["PUBACK", "PUBCOMP"]) -> MQTTErrorCode:
        packet = self._in_packet["packet"]
        reason = _TAKEN.get(_reason_of(packet, is_five=self._protocol == MQTTv5)) if cmd == "PUBACK" else None
        if reason is None:
            return super()._handle_pubackcomp(cmd)
        mid = packet[0] << 8 | packet[1]
        with self._out_message_mutex:
            if mid in self._out_messages:
                return self._do_on_publish(mid, reason, _NO_PROPERTIES[PacketTypes.PUBACK])
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _handle_publish(self) -> MQTTErrorCode:
        message = _message(self._in_packet["command"], self._in_packet["packet"], is_five=self._protocol == MQTTv5)
        if message is None:
            return super()._handle_publish()
        self._handle_on_message(message)
        return self._send_puback(message.mid) if message.qos else MQTTErrorCode.MQTT_ERR_SUCCESS


def _reason_of(packet: bytes | bytearray, *, is_five: bool) -> int:
    """Return the reason code of a PUBACK without properties; -1 of any other (MQTT 5, 3.4.2)."""
    size = len(packet)
    if size == 2:
        return 0
    return packet[2] if is_five and (size == 3 or (size == 4 and packet[3] == 0)) else -1


def _message(command: int, packet: bytes | bytearray, *, is_five: bool) -> MQTTMessage | None:
    """Return the message of a PUBLISH of QoS 0 or 1 without properties; None of any other (MQTT 5, 3.3)."""
    qos = (command & 0x06) >> 1
    topic_end = 2 + (packet[0] << 8 | packet[1]) if len(packet) > 2 else 0
    begin = topic_end + 2 * qos + is_five
    if qos > 1 or topic_end <= 2 or begin > len(packet) or (is_five and packet[begin - 1]):
        return None
    message = MQTTMessage(packet[topic_end] << 8 | packet[topic_end + 1] if qos else 0, bytes(packet[2:topic_end]))
    message.dup, message.qos, message.retain = bool(command & 0x08), qos, bool(command & 0x01)
    message.properties = _NO_PROPERTIES[PacketTypes.PUBLISH] if is_five else None
    message.payload, message.timestamp = bytes(packet[begin:]), time.monotonic()
    return message
