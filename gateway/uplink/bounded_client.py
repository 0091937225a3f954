"""An MQTT client that takes no packet larger than a bound: neither MQTT nor paho has one, and a message may have 256 MB."""

from paho.mqtt import client as paho

MAX_PACKET_BYTES = 2_097_152
"""Largest packet that is taken: twice the largest receipt, with its topic (MQTT 5, 3.1.2.11.4: Maximum Packet Size)."""


class BoundedClient(paho.Client):
    """Ends the connection before it reads a packet that is larger than MAX_PACKET_BYTES. oversize_bytes: the size of that packet, or 0.

    A broker of MQTT 5 is told the bound, and keeps larger messages back; one of MQTT 3.1.1 can not be told.
    """

    oversize_bytes = 0

    def _sock_recv(self, bufsize: int) -> bytes:
        """Read from the socket: paho asks for all that a packet still lacks. Raises ConnectionError for a packet that is too large."""
        self._refuse_oversize(bufsize)
        return super()._sock_recv(bufsize)  # type: ignore[no-untyped-call,no-any-return,unused-ignore]

    def _refuse_oversize(self, bufsize: int) -> None:
        if bufsize > MAX_PACKET_BYTES:
            self.oversize_bytes = bufsize
            raise ConnectionAbortedError(f"a packet of {bufsize} bytes")
