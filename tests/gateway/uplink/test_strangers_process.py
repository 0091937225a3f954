"""Whoever may publish on the receipts topic stops no uplink, moves none, and hides nothing."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
import pytest
from kit.processes import eventually
from kit.uplink_bench import GATEWAY, Bench
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion


def receipt(bench: Bench, through: int, digest: str = "ab" * 32, epoch: int | None = None) -> bytes:
    return orjson.dumps({"gateway": GATEWAY, "epoch": epoch or bench.journal.last[0], "through": through, "digest": digest, "rejected": []})


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


async def grow(bench: Bench, state: Callable[[], Any]) -> None:
    def look() -> Any:
        bench.append(1)
        return state()

    await eventually(look)


@pytest.mark.urs("URS-UPL-03")
async def test_an_uplink_without_receipts_takes_none_from_anybody(bench: Bench) -> None:
    await bench.start("mqtt")
    forward = bench.forward(bench.uplink("mqtt", receipts=False, required=False))
    bench.run(forward)
    bench.append(5)
    await eventually(lambda: bench.delivered("mqtt"))
    async with stranger(bench, lambda: receipt(bench, 3), lambda: receipt(bench, 1_000), lambda: b"nonsense") as published:
        start = bench.journal.cursor("mqtt")[1]
        await grow(bench, lambda: published() > 20 and bench.journal.cursor("mqtt")[1] > start + 20)
        assert forward.status.state == "forwarding"
    await eventually(lambda: bench.delivered("mqtt"))
    assert bench.codes() == set()
    assert forward.status.receipts_refused == 0


@pytest.mark.urs("URS-UPL-03", "URS-UPL-04")
async def test_receipts_that_contradict_stop_nothing_while_the_receiver_answers(bench: Bench) -> None:
    """One now and then, while nothing was under way, held up all that came after it for a resend time."""
    await bench.start("mqtt")
    forward = bench.forward(bench.uplink("mqtt", resend_after_s=3_600.0))
    bench.run(forward)
    for _ in range(5):
        bench.append(3)
        await eventually(lambda: bench.delivered("mqtt"))
        refused = forward.status.receipts_refused
        async with stranger(bench, lambda: receipt(bench, 3)):
            await eventually(lambda: forward.status.receipts_refused > refused)  # noqa: B023 - within this turn
    assert bench.stored_alike()
    assert "uplink-receipt-digest-mismatch" in bench.codes(), "it is told all the same"
    assert "uplink-two-histories" not in bench.codes()
