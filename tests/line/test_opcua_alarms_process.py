"""A whole gateway in front of an alarm server: from the server's event to the batch's list in the journal, and recomputed the same."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
from kit import journals
from kit.processes import DEADLINE_S, eventually

import config
from buffer import Journal
from config import examples
from gateway.clock import system_clock
from gateway.context.replay import replay
from gateway.evidence.recompute import recompute
from gateway.intake import Intake
from gateway.runtime import assembly
from simulators.device import Truth
from simulators.opcua_plc import OpcUaPlc


def with_alarms(folder: Path, equipment: str = "granulator", port: int = 4840) -> None:
    """The example's PLC hears alarms, on a port of its own."""
    text = (folder / "line.toml").read_text()
    alarms = f'driver = "opcua"\nalarms = [{{ equipment = "{equipment}" }}]\nkeep_alive_s = 0.5'
    text = re.sub(r'driver = "opcua"', alarms, text, count=1)
    text = re.sub(r"opc\.tcp://127\.0\.0\.1:\d+", f"opc.tcp://127.0.0.1:{port}", text, count=1)
    (folder / "line.toml").write_text(text)


def test_an_equipment_that_is_not_there_is_an_error_with_its_line(tmp_path: Path) -> None:
    examples.copy("granulation-2", tmp_path / "line")
    with_alarms(tmp_path / "line", "granulater")
    _, problems = config.read(tmp_path / "line")
    (problem,) = [str(one) for one in problems if "granulater" in str(one)]
    assert re.search(r"line\.toml:\d+: alarms: there is no equipment `granulater`.*granulator", problem)


@pytest.mark.urs("URS-CTX-10")
async def test_an_alarm_of_the_server_stands_in_the_journal_and_is_recomputed(tmp_path: Path) -> None:
    examples.copy("granulation-2", tmp_path / "line")
    line = config.load(tmp_path / "line")
    source = next(one for one in line.sources if one.driver == "opcua").model_copy(update={"endpoint": "opc.tcp://127.0.0.1:0"})
    truth = Truth(tmp_path / "truth.jsonl")
    plc = OpcUaPlc(source, line.tags_of(source.name), truth)
    await plc.start()
    with_alarms(tmp_path / "line", port=plc.port)
    line = config.load(tmp_path / "line")
    journal = Journal.open(line.data, line.gateway, retain_s=0, max_bytes=100_000_000)
    faults: list[BaseException] = []
    intake = Intake(line, journal, system_clock(line.clock), replay(line, journal), on_fault=faults.append)
    intake.begin()
    driver = next(driver for one, driver in assembly.drivers_of(line) if one.name == source.name)
    task = asyncio.create_task(driver.run(intake.ports[source.name]))
    try:
        await eventually(lambda: task.done() or any(one.events for one in plc.subscriptions.subscriptions.values()))
        plc.conditions.happened("Recipe R7 loaded")
        plc.conditions.raised("Overload", 900, "Motor overload")
        plc.conditions.acknowledged("Overload", "jdupont")
        plc.conditions.cleared("Overload")
        told = await _alarms(intake, journal, 3)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await plc.stop()
        truth.close()
    assert [(one["alarm"], one["state"], one["source"]) for one in told] == [
        ("Impeller/Overload", state, "granulator-plc") for state in ("raised", "acknowledged", "cleared")
    ]
    assert told[1]["by"] == "jdupont"
    assert told[0]["equipment"] == "granulator"
    payloads = [entry.payload for entry in journals.entries(journal)]
    rows = [row["row"] for payload in payloads for row in json.loads(payload).get("event", {}).get("rows", ()) if _is_of(payload, "events")]
    assert [(row["message"], row["event_type"]) for row in rows] == [("Recipe R7 loaded", "i=2041")], "kept, and no alarm"
    assert list(recompute(line, payloads)) == []
    assert not faults
    await asyncio.to_thread(journal.close)


def _is_of(payload: bytes, name: str) -> bool:
    return bool(json.loads(payload)["event"].get("name") == name)


async def _alarms(intake: Intake, journal: Journal, count: int) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    async with asyncio.timeout(DEADLINE_S):
        while len(told) < count:
            await intake.happened({"type": "heartbeat", "observed": {}})  # an alarm is decided with the first event after it
            entries = [json.loads(e.payload) for e in journals.entries(journal)]
            told = [entry["event"] for entry in entries if entry.get("event", {}).get("type") == "alarm"]
    return told
