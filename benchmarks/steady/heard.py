"""A receiver over MQTT that knows no gateway: it writes down whatever comes, with when it came.

Run: python -m steady.heard PORT FILE. The file holds, for each message, the ticks of 100 ns, the length of its payload, and the payload.
"""

import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

HEAD = struct.Struct("<qI")


def heard(file: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (ticks, payload) of each message."""
    with file.open("rb") as opened:
        while head := opened.read(HEAD.size):
            ticks, size = HEAD.unpack(head)
            yield ticks, opened.read(size)


def main(port: int, file: Path) -> None:
    """Receive until this process is ended."""
    client = paho.Client(CallbackAPIVersion.VERSION2, "heard", protocol=paho.MQTTv5)
    with file.open("wb") as opened:
        client.on_message = lambda _, __, message: opened.write(HEAD.pack(time.time_ns() // 100, len(message.payload)) + message.payload)
        client.connect("127.0.0.1", port)
        client.subscribe("#", qos=1)
        print("serving", flush=True)
        while client.loop(0.1) == 0:
            opened.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
