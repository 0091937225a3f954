"""Somebody who may publish on an uplink's receipts topic, and is not the receiver."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable

import orjson
from kit.uplink_bench import GATEWAY, Bench
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion


def receipt(gateway: str, epoch: int, through: int, digest: str = "ab" * 32) -> bytes:
    """A receipt that nobody who has the entries made."""
    return orjson.dumps({"gateway": gateway, "epoch": epoch, "through": through, "digest": digest, "rejected": []})


@contextlib.asynccontextmanager
async def stranger(bench: Bench, *messages: Callable[[], bytes], pause_s: float = 0.02) -> AsyncIterator[Callable[[], int]]:
    """Somebody who publishes these messages on the receipts topic, in turn and for ever; gives how many it has published."""
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.connect("127.0.0.1", bench.mqtt)
    client.loop_start()
    sent = 0

    async def publish() -> None:
        nonlocal sent
        for message in itertools.cycle(messages):
            client.publish(f"ebr/{GATEWAY}/receipts", message(), qos=1)
            sent += 1
            await asyncio.sleep(pause_s)

    task = asyncio.create_task(publish())
    try:
        yield lambda: sent
    finally:
        await bench.stop(task)
        client.disconnect()
        client.loop_stop()
