"""What somebody writes in an afternoon: values read and published, kept nowhere, proved to nobody. What a gateway costs more is told by it.

Run: python -m steady.by_hand opcua | modbus PORT TAGS BROKER. Publishes [[name, value], ...] each tenth of a second.
"""

import asyncio
import struct
import sys
import time
from typing import Any

import orjson
from asyncua import Client
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

EVERY_S = 0.1
NAMESPACE = "urn:example:bench"
MOST = 125
"""Registers that one question may ask for."""


def publisher(broker: int) -> paho.Client:
    """Connect to the broker; a thread of its own sends."""
    client = paho.Client(CallbackAPIVersion.VERSION2, "by-hand", protocol=paho.MQTTv5)
    client.connect("127.0.0.1", broker)
    client.loop_start()
    return client


class Changes:
    """Gathers what changed."""

    def __init__(self) -> None:
        self.values: list[tuple[str, Any]] = []

    def datachange_notification(self, node: Any, value: Any, _: Any) -> None:
        """Take one change."""
        self.values.append((node.nodeid.Identifier, value))


async def opcua(port: int, tags: int, broker: int) -> None:
    """Subscribe to all, publish what came each tenth of a second."""
    mqtt, changes = publisher(broker), Changes()
    async with Client(f"opc.tcp://127.0.0.1:{port}") as client:
        namespace = await client.get_namespace_index(NAMESPACE)
        subscription = await client.create_subscription(EVERY_S * 1000, changes)
        nodes = [client.get_node(f"ns={namespace};s=t{number}") for number in range(tags)]
        await subscription.subscribe_data_change(nodes, queuesize=10)
        print("serving", flush=True)
        while True:
            await asyncio.sleep(EVERY_S)
            if changes.values:
                mqtt.publish("by-hand", orjson.dumps(changes.values), qos=1)
                changes.values = []


async def modbus(port: int, tags: int, broker: int) -> None:
    """Ask for all registers each tenth of a second, publish them."""
    mqtt = publisher(broker)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    print("serving", flush=True)
    due_s, transaction = time.monotonic(), 0
    while True:
        due_s += EVERY_S
        await asyncio.sleep(max(due_s - time.monotonic(), 0))
        values: list[int] = []
        for start in range(0, tags, MOST):
            count, transaction = min(MOST, tags - start), (transaction + 1) & 0xFFFF
            writer.write(struct.pack(">HHHBBHH", transaction, 0, 6, 1, 3, start, count))
            answer = await reader.readexactly(9 + 2 * count)
            values += struct.unpack_from(f">{count}H", answer, 9)
        mqtt.publish("by-hand", orjson.dumps([(f"t{place}", value) for place, value in enumerate(values)]), qos=1)


if __name__ == "__main__":
    asyncio.run({"opcua": opcua, "modbus": modbus}[sys.argv[1]](*map(int, sys.argv[2:])))
