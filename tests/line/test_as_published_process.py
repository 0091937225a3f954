"""What goes over a broker, in both directions, is as the published schemas say, member by member: a whole batch, entries and records."""

import json
import signal
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kit.brokers import broker_at
from kit.mixing_line import BATCH, mixed, mixing_line
from kit.processes import forked, free_port, listens, running, until
from kit.strict_schemas import wrong
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from gateway.operation.control import ask

UPLINKS = """
[[uplink]]
name = "ebr"
kind = "mqtt"
endpoint = "mqtt://127.0.0.1:PORT"
[[uplink]]
name = "single"
kind = "mqtt"
profile = "records"
topic = "ebr/lyon/single"
endpoint = "mqtt://127.0.0.1:PORT"
"""


@contextmanager
def overheard(port: int) -> Iterator[dict[str, list[Any]]]:
    """Every message on the broker, by its topic, as it comes."""
    heard: dict[str, list[Any]] = defaultdict(list)
    subscribed = threading.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.on_message = lambda _, __, message: heard[message.topic].append(json.loads(message.payload))

    def connected(*_: Any) -> None:
        client.subscribe("#", qos=1)

    client.on_connect = connected
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect("127.0.0.1", port)
    client.loop_start()
    assert subscribed.wait(60)
    try:
        yield heard
    finally:
        client.disconnect()
        client.loop_stop()


@pytest.mark.urs("URS-VAL-01", "URS-UPL-07")
def test_everything_that_goes_over_a_broker_stands_in_its_schema(tmp_path: Path) -> None:
    port, page = free_port(), free_port()
    line = mixing_line(tmp_path / "line", UPLINKS.replace("PORT", str(port)))
    receiver = ("ebr", "--store", tmp_path / "store", "--mqtt", f"mqtt://127.0.0.1:{port}", "--page", str(page))
    with broker_at(port), overheard(port) as heard, forked(*receiver, log=tmp_path / "ebr.log", stop=signal.SIGINT):
        until(lambda: listens(page))
        with running(line):
            mixed(line)
            until(lambda: [r for r in heard["ebr/lyon/single/records/line/batch"] if r["event"]["transition"] == "end"])
            until(lambda: all(uplink["entries"] == 0 for uplink in ask(line / "data")["uplinks"]))
    schemas = {"receipts": {"ebr/lyon/single": "uplink-outcome.json", "ebr/lyon/test-1": "uplink-receipt.json"}}
    for topic, messages in heard.items():
        kind = "records" if "/records/" in topic else topic.rpartition("/")[2]
        for message in messages:
            if kind in ("entries", "records", "live"):
                name = "entry-readings.json" if message["schema"] == "ebr-gateway/readings/1" else "entry-event.json"
            else:
                name = "uplink-online.json" if kind == "online" else schemas["receipts"][topic.rpartition("/")[0]]
            assert wrong(name, message) == [], topic
    told = {message["event"]["type"] for message in heard["ebr/lyon/test-1/entries"] if "event" in message}
    assert told >= {"step", "batch", "config", "tagset", "epoch", "audit"}
    assert {record["event"]["batch"] for record in heard["ebr/lyon/single/records/mixer/step"]} == {BATCH}
    assert {topic.rpartition("/")[2] for topic in heard} >= {"entries", "receipts", "online", "step", "batch"}
