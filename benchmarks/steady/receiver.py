"""A receiver over MQTT that answers with receipts and writes down what came, to be looked at afterwards.

Run: python -m steady.receiver PORT BASE_TOPIC FILE. The file holds, for each entry that follows the one before, its length and its bytes.
"""

import hashlib
import re
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path

import orjson
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

HEAD = re.compile(rb'\{"schema":"[^"]*","gateway":("[^"]*"),"epoch":(\d+),"seq":(\d+),"previous":"([0-9a-f]{64})"')
EVERY_S = 0.02


class Receiver:
    """Holds a stream: its last entry's number and digest."""

    def __init__(self, topic: str, file: Path) -> None:
        self.topic, self.file = topic, file.open("wb")
        self.seq, self.digest, self.told, self.gateway, self.epoch = 0, "0" * 64, 0, "", 1

    def took(self, payload: bytes) -> None:
        """Take an entry if it is the next one."""
        match = HEAD.match(payload)
        assert match is not None, payload[:200]
        if int(match[3]) != self.seq + 1:
            return
        assert match[4].decode() == self.digest, "the chain is broken"
        self.gateway, self.epoch = orjson.loads(match[1]), int(match[2])
        self.seq, self.digest = self.seq + 1, hashlib.sha256(payload).hexdigest()
        self.file.write(struct.pack("<I", len(payload)) + payload)

    def receipt(self) -> bytes:
        """Say what is held."""
        self.file.flush()
        self.told = self.seq
        return orjson.dumps({"gateway": self.gateway, "epoch": self.epoch, "through": self.seq, "digest": self.digest})


def main(port: int, topic: str, file: Path) -> None:
    """Receive until this process is ended."""
    receiver = Receiver(topic, file)
    client = paho.Client(CallbackAPIVersion.VERSION2, "receiver", protocol=paho.MQTTv5)
    client.on_message = lambda _, __, message: receiver.took(message.payload)
    client.on_connect = lambda *_: client.subscribe(f"{topic}/entries", qos=1)
    client.on_subscribe = lambda *_: print("serving", flush=True)
    client.connect("127.0.0.1", port)
    due_s = 0.0
    while True:
        if client.loop(EVERY_S) != MQTTErrorCode.MQTT_ERR_SUCCESS:
            time.sleep(EVERY_S)
            with suppress(OSError):  # the broker is away: asked again at once, so that what is measured is the gateway's return
                client.reconnect()
        if receiver.told < receiver.seq and time.monotonic() >= due_s:
            due_s = time.monotonic() + EVERY_S
            client.publish(f"{topic}/receipts", receiver.receipt(), qos=1)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
