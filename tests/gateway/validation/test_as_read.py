"""What a trace says of what a reading was read from: of today's entries, and of those that an earlier release wrote."""

from pathlib import Path
from typing import Any

import pytest

import config
from gateway.intake.preamble import config_events
from gateway.validation.tracing.as_read import Orders, registers_of, registers_text, said_text
from gateway.validation.tracing.pages import blocks, plain_text

LINE = """
[line]
site = "lyon"
name = "test-1"
timezone = "Europe/Paris"
[[source]]
name = "plc"
driver = "modbus"
endpoint = "tcp://127.0.0.1:502"
byte_order = "CDAB"
"""
TAGS = "tag,source,address,type,unit\nt,plc,1/holding/10:float32,float32,Cel\n"
TAGS += "own,plc,1/holding/12:int32:BADC,int32,kg\nbit,plc,1/holding/14.5,bool,\n"
SHA = "9" * 64


@pytest.fixture
def orders(tmp_path: Path) -> Orders:
    (tmp_path / "line.toml").write_text(LINE)
    (tmp_path / "tags.csv").write_text(TAGS)
    made = Orders()
    for event in config_events(config.load(tmp_path), {"version": 1, "sha256": SHA}):
        made.take(event)
    return made


def entry(**more: Any) -> dict[str, Any]:
    return {"source": "plc", "config": {"version": 1, "sha256": SHA}, **more}


@pytest.mark.urs("URS-DAQ-03")
def test_an_entry_of_an_earlier_release_shows_the_registers_that_its_number_gives_back_in_the_order_of_then(orders: Orders) -> None:
    temperature = {"tag": "t", "type": "float32", "address": "1/holding/10:float32"}
    assert registers_of(entry(), {"tag": 0, "value": 450.5}, temperature, orders) == {
        "hex": "4000 43e1",
        "byte_order": "CDAB",
        "kept": False,
    }
    own = {"tag": "own", "type": "int32", "address": "1/holding/12:int32:BADC", "scale": "0.1"}
    shown = registers_of(entry(), {"tag": 1, "value": 25.8, "raw": 258}, own, orders)
    assert shown == {"hex": "0000 0201", "byte_order": "BADC", "kept": False}


@pytest.mark.urs("URS-DAQ-03")
def test_what_an_earlier_release_did_not_keep_is_not_made_up(orders: Orders) -> None:
    bit = {"tag": "bit", "type": "bool", "address": "1/holding/14.5"}
    assert registers_of(entry(), {"tag": 2, "value": True}, bit, orders) is None, "nobody knows the other bits"
    temperature = {"tag": "t", "type": "float32", "address": "1/holding/10:float32"}
    assert registers_of(entry(), {"tag": 0, "value": None}, temperature, orders) is None
    other = {"source": "plc", "config": {"version": 2, "sha256": "8" * 64}}
    assert registers_of(other, {"tag": 0, "value": 450.5}, temperature, orders) is None, "the configuration of then is not held"
    assert registers_of(entry(), {"tag": 0, "value": 450.5}, temperature, None) is None


@pytest.mark.urs("URS-DAQ-03")
def test_what_was_kept_is_shown_as_it_came_with_a_star(orders: Orders) -> None:
    bit = {"tag": "bit", "type": "bool", "address": "1/holding/14.5", "byte_order": "CDAB"}
    kept = entry(registers=[{"tags": [2], "address": "1/holding/12", "hex": "000000010024"}])
    shown = registers_of(kept, {"tag": 2, "value": True}, bit, orders)
    assert registers_text(shown) == "0024 CDAB*"
    assert registers_text(registers_of(entry(), {"tag": 2, "value": True}, bit, orders)) == "0020 CDAB"
    assert (
        registers_text(registers_of(entry(), {"tag": 0, "value": True}, {"tag": "c", "type": "bool", "address": "1/coil/3"}, orders)) == ""
    )


@pytest.mark.urs("URS-DAQ-03")
def test_a_page_shows_it_beside_the_instants_and_nothing_where_there_is_nothing() -> None:
    times = {f"{name}_time": f"{name}" for name in ("event", "source", "requested", "received")}
    reading = {"seq": 7, **times, "raw": None, "value": 1, "status": 0, "kind": "change", "in_step": True}
    read = {"registers": {"hex": "0024", "byte_order": "CDAB", "kept": True}, "said": ["S S 12 \xb5"], "window": None}
    text = plain_text(blocks({"step": "MIX", "runs": [_run([{**reading, **read}])]}))
    assert "7 | event | requested | received | 0024 CDAB* | S S 12 \\xb5" in text
    plain = plain_text(blocks({"step": "MIX", "runs": [_run([{**reading, "registers": None, "said": None, "window": None}])]}))
    assert "What these readings were read from" not in plain
    assert said_text(["a\x01", "b"]) == "a\\x01 | b"


def _run(readings: list[dict[str, Any]]) -> dict[str, Any]:
    names = ("name", "value", "unit", "status", "result", "unrounded", "ebr_field", "covered", "aggregate")
    rest = {"rule": {}, "limits": {}, "gaps": [], "evidence": {"from_seq": None}, "not_listed": 0, "readings": readings}
    parameter = {"parameter": "p", **dict.fromkeys(names), **rest}
    run = {
        "run": 1,
        "equipment": "e",
        "record": "r",
        "cause": "completed",
        "config_versions": [1],
        "revisions": [],
        "checkpoint": None,
        "receipts": [],
    }
    return {**run, "start": {"time": "T"}, "end": {"time": "T"}, "parameters": [parameter]}
