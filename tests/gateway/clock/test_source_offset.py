"""A source whose clock is off is an alarm, once until it turns, with what was measured (URS-TIME-12)."""

import asyncio
import json
from pathlib import Path

import pytest
from kit import journals
from kit.collector import fail_on

import config
from buffer import Journal
from config import examples
from gateway.clock import system_clock
from gateway.context.replay import replay
from gateway.intake import Intake


@pytest.mark.urs("URS-TIME-12")
async def test_a_clock_that_leaves_its_limit_and_comes_back(tmp_path: Path) -> None:
    examples.copy("granulation-2", tmp_path / "line")
    line = config.load(tmp_path / "line")
    journal = Journal.open(line.data, line.gateway, retain_s=0, max_bytes=100_000_000)
    try:
        intake = Intake(line, journal, system_clock(line.clock), replay(line, journal), on_fault=fail_on)
        intake.begin()
        port = intake.ports["granulator-plc"]
        assert port.source.max_offset_s == 2.0
        for offset_s in (0.1, 1.9, 5.01, 5.02, -5.0, 0.3, 0.2, -2.5):
            port.source_offset(offset_s, 0.01)
        await intake.happened({"type": "heartbeat", "observed": {}})
        entries = [json.loads(entry.payload) for entry in journals.entries(journal)]
    finally:
        await asyncio.to_thread(journal.close)
    findings = [entry["event"] for entry in entries if entry.get("event", {}).get("code") == "source-clock-off"]
    assert [(one["severity"], one["evidence"]["offset_s"]) for one in findings] == [("alarm", 5.01), ("info", 0.3), ("alarm", -2.5)]
    assert all(one["source"] == "granulator-plc" for one in findings)
