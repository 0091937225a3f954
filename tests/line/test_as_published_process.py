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
from kit.commands import called
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


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[Any]]]:
    """A batch that was run to its end and received by both uplinks: the line folder, and what went over the broker."""
    folder, port, page = tmp_path_factory.mktemp("published"), free_port(), free_port()
    line = mixing_line(folder / "line", UPLINKS.replace("PORT", str(port)))
    receiver = ("ebr", "--store", folder / "store", "--mqtt", f"mqtt://127.0.0.1:{port}", "--page", str(page))
    with broker_at(port), overheard(port) as heard, forked(*receiver, log=folder / "ebr.log", stop=signal.SIGINT):
        until(lambda: listens(page))
        with running(line):
            mixed(line)
            until(lambda: [r for r in heard["ebr/lyon/single/records/line/batch"] if r["event"]["transition"] == "end"])
            until(lambda: all(uplink["entries"] == 0 for uplink in ask(line / "data")["uplinks"]))
    return line, heard


@pytest.mark.urs("URS-VAL-01", "URS-UPL-07")
def test_everything_that_goes_over_a_broker_stands_in_its_schema(played: tuple[Path, dict[str, list[Any]]]) -> None:
    _, heard = played
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


@pytest.mark.urs("URS-AUD-05", "URS-DAQ-09")
def test_a_value_is_traced_to_its_readings_rule_limits_entries_checkpoint_and_receipts(played: tuple[Path, dict[str, list[Any]]]) -> None:
    line, heard = played
    found = json.loads(called("trace", line, "--batch", BATCH, "--step", "MIX", "--json").stdout)
    (run,) = found["runs"]
    sent = {(entry["epoch"], entry["seq"]): entry for entry in heard["ebr/lyon/test-1/entries"]}
    (end,) = (one["event"] for one in sent.values() if one.get("event", {}).get("transition") == "end" and one["event"]["type"] == "batch")
    assert [one["content_sha256"] for one in run["revisions"]][-1] == end["records"][0]["content_sha256"]
    told = {one["parameter"]: one for one in run["parameters"]}
    highest = told["t_max"]
    inside = [reading for reading in highest["readings"] if reading["in_step"]]
    assert max(float(reading["value"]) for reading in inside) == 73.25
    assert (highest["value"], highest["rule"]["statistic"], highest["rule"]["decimals"]) == ("73.3", "max", 1)
    assert (highest["limits"]["high"], highest["limits"]["limit_source"]) == ("75", "map")
    following = {(one["epoch"], one["seq"] - 1): one["previous"] for one in sent.values()}
    epoch = highest["evidence"]["epoch"]
    assert all(following[epoch, reading["seq"]] == reading["digest"] for reading in highest["readings"]), "as the chain names them"
    assert run["checkpoint"]["size"] >= run["revisions"][-1]["entries"][-1]["seq"]
    assert [(one["uplink"], one["holds"]) for one in run["receipts"]] == [("ebr", True), ("single", True)]


@pytest.mark.urs("URS-AUD-05")
def test_a_trace_is_a_page_and_a_document_and_what_is_not_there_is_said(played: tuple[Path, dict[str, list[Any]]], tmp_path: Path) -> None:
    line, _ = played
    asked = ("trace", line, "--batch", BATCH, "--step", "MIX", "--parameter", "t_mean")
    page = called(*asked).stdout
    assert "t_mean (Mean temperature)" in page
    assert "t_max" not in page
    assert "Uplink ebr has confirmed the record" in page
    made = called(*asked, "--to", tmp_path, "--form", "json")
    (file,) = tmp_path.glob("trace-*.json")
    assert (made.returncode, json.loads(file.read_text())["batch"]) == (0, BATCH)
    for words, why in (
        (("--batch", "B9", "--step", "MIX"), "no record of step MIX of batch B9 is in the journal"),
        (("--batch", BATCH, "--step", "MIX", "--parameter", "x"), f"step MIX of batch {BATCH} has no parameter x"),
    ):
        told = called("trace", line, *words)
        assert (told.returncode, told.stderr) == (2, f"{why}\n")
