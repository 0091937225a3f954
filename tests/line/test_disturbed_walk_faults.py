"""A disturbed batch of the bundled line, from the devices to the printed page: every copy of its record tells the same."""

import asyncio
import json
import signal
import sqlite3
import time
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from kit.commands import called
from kit.copies_compared import Told
from kit.shown_clock import LIBRARIES, ShownClock
from rich.console import Console

from gateway.demo.processes import Child
from gateway.demo.run import first_batch
from gateway.demo.setting import Setting, prepare
from gateway.demo.store import Store
from gateway.demo.story import Cast, TooSlow, cast, connected, drained, started, stop_gateway, until, watch
from gateway.demo.view import View
from gateway.entries.ticks import TICKS_PER_S
from simulators.ebr.builder import build

BATCH_S = 100.0
WITHIN_S = 3 * BATCH_S
STOPPED_S = 8.0
LOCKED_S = 20.0  # a MES waits 30 s for its file, then gives up
AHEAD_S = 40.0
pytestmark = pytest.mark.skipif(not LIBRARIES, reason="needs Debian's faketime")


class Ebr:
    """What the EBR has received."""

    def __init__(self, setting: Setting) -> None:
        self._store, self._events = Store(setting.store), list[dict[str, Any]]()

    def heard(self, kind: str, **members: Any) -> bool:
        """True if it holds an event of this type with these members."""
        self._events += [event for payload in self._store.new() if (event := json.loads(payload).get("event"))]
        return any(event["type"] == kind and members.items() <= event.items() for event in self._events)

    def stepped(self, sign: int) -> bool:
        """True if it holds a step of the gateway's clock in this direction."""
        return self.heard("clock") and any(event.get("kind") == "step" and event["step_s"] * sign > 0 for event in self._events)


async def walk(setting: Setting, batch: str, clock: ShownClock) -> None:
    """Cut a link, set the clock and set it back, stop and kill the gateway, change limits, edit and delete rows, replace a result."""
    ebr = Ebr(setting)

    async def heard(kind: str, **members: Any) -> None:
        await until(lambda: ebr.heard(kind, **members), WITHIN_S, f"{kind} {members}")

    async with cast(setting, View(Console(quiet=True)), batch) as parts, asyncio.TaskGroup() as group, _shown(clock):
        watching = group.create_task(watch(parts))
        await started(parts, WITHIN_S)
        await parts.plant.say("go")
        await heard("step", step="CHARGE", transition="start")
        await _cut(parts)
        await heard("step", step="DRY_MIX", transition="start")
        clock.show(f"+{AHEAD_S:g}")
        await until(lambda: ebr.stepped(1), WITHIN_S, "a step of the clock")
        await heard("step", step="WET_MASS", transition="start")
        clock.show("+0")
        await until(lambda: ebr.stepped(-1), WITHIN_S, "a step back of the clock")
        await _stopped(parts)
        await heard("step", step="DRY", transition="start")
        await parts.gateway.kill()
        _other_limits(setting.line.folder / "parameters.csv")
        await parts.gateway.start()
        await connected(parts, WITHIN_S)
        await heard("step", step="COOL", transition="start")
        _rows(setting.line.folder / "mes.db", batch)
        await heard("finding", code="source-row-deleted")
        await heard("sample", batch=batch, reason="result")
        await heard("batch", batch=batch, transition="end")
        (setting.line.folder / "drop" / "replaced.csv").write_text(f"sample_id,lod\nS-{batch}-dryer,5.20\n")
        await heard("sample", batch=batch, reason="result-replaced")
        await heard("batch", batch=batch, transition="end", reason="result-replaced")
        await parts.plant.say("still")
        await drained(parts)
        watching.cancel()
        assert await stop_gateway(parts) == 0


@asynccontextmanager
async def _shown(clock: ShownClock) -> AsyncIterator[None]:
    """Let the processes that are started meanwhile see this clock: the gateway's. Devices and EBR, which run already, see the machine's."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in clock.environment().items():
            patch.setenv(name, value)
        yield


async def _cut(parts: Cast) -> None:
    """Cut the link to the EBR until entries wait behind it."""

    def waiting(count: int) -> bool:
        (uplink,) = (parts.view.progress.snapshot or {"uplinks": [{"state": "", "entries": 0}]})["uplinks"]
        return uplink["state"] != "forwarding" and uplink["entries"] >= count

    parts.cable.cut()
    await until(lambda: waiting(20), WITHIN_S, "entries that wait for the EBR")
    parts.cable.mend()


async def _stopped(parts: Cast) -> None:
    """Stop the gateway's process for so long as the device has made values for.

    One that is stopped while it reads the MES's file holds the file's lock, and the whole plant stands as its MES waits to write:
    it is let go and stopped again.
    """
    for _ in range(int(WITHIN_S / LOCKED_S)):
        if await _stood(parts.gateway, parts.setting.truth / "granulator-plc.jsonl"):
            return
    raise TooSlow("the device does not go on")


async def _stood(gateway: Child, log: Path) -> bool:
    """Stop the gateway's process and let it go; false if the device did not go on meanwhile."""
    enough = time.time_ns() // 100 + STOPPED_S * TICKS_PER_S
    gateway.signal(signal.SIGSTOP)
    try:
        await until(lambda: _newest(log) > enough, LOCKED_S, "the device to go on")
    except TooSlow:
        return False
    finally:
        gateway.signal(signal.SIGCONT)
    return True


def _newest(log: Path) -> int:
    lines = [line for line in log.read_bytes().splitlines() if line.endswith(b"}")]
    return int(json.loads(lines[-1])["t"])


def _other_limits(file: Path) -> None:
    text = file.read_text("utf-8")
    edited = text.replace("=dryer.inlet_temp_sp,50.0,75.0", "=dryer.inlet_temp_sp,55.0,70.0")
    assert edited != text
    file.write_text(edited, "utf-8")


def _rows(file: Path, batch: str) -> None:
    with sqlite3.connect(file, timeout=20) as database:
        database.execute("UPDATE v_orders SET product = 'P-1183' WHERE batch_no = ?", (batch,))
        database.execute("DELETE FROM v_lots WHERE id = (SELECT min(id) FROM v_lots WHERE batch_no = ?)", (batch,))


@pytest.mark.urs("URS-CTX-09", "URS-CFG-01", "URS-DAQ-04", "URS-OPS-03")
@pytest.mark.timeout(1_500)
async def test_every_copy_of_a_disturbed_batchs_record_tells_the_same(tmp_path: Path, figures: Any) -> None:
    setting = prepare(tmp_path / "walk", 3, BATCH_S, None, "https")
    batch = first_batch(setting)
    with setting.mark:
        await walk(setting, batch, ShownClock(tmp_path / "clock"))
    packed = tmp_path / "batch.zip"
    done = await asyncio.to_thread(called, "archive", setting.line.folder, "--batch", batch, "--to", packed)
    assert done.returncode == 0, done.stdout + done.stderr
    built = build(setting.store, batch)
    record = json.loads((built / "record.json").read_bytes())
    with zipfile.ZipFile(packed) as file:
        archive = file.read("record.html").decode()
        (tmp_path / "record.pdf").write_bytes(file.read("record.pdf"))
    told = Told.of(record, (built / "record.html").read_text(), archive, ET.parse(built / "record.xml").getroot(), tmp_path / "record.pdf")
    figures("COPIES", f"{sum(told.items().values())} items of a disturbed batch, in {5 if told.pdf else 4} copies: {dict(told.items())}")
    assert told.differences() == []
    products = record["header"]["product"]
    assert products in (["P-1182"], ["P-1182", "P-1183"]), "a starved gateway may read the changed row after the batch"
    assert "CIP" not in {step["step"] for step in record["steps"]}, "a cleaning after the release is not the batch's"
    steps = [event["step_s"] for event in record["clock"]["events"] if event["kind"] == "step"]
    assert [round(step_s) for step_s in steps] == [AHEAD_S, -AHEAD_S], "of the gateway's clock, in mid batch"
    kinds = {item["kind"] for item in record["exceptions"]}
    assert {"configuration", "result-replaced", "gap", "corrected", "clock"} | ({"identity"} if products[1:] else set()) <= kinds
    assert {"not-asked", "gateway-crashed"} <= {gap["cause"] for gap in record["gaps"]}, "it was stopped, and killed"
    (dry,) = [step for step in record["steps"] if step["step"] == "DRY"]
    assert dry["config_versions"] == [1, 2]
    assert [p["high"] for p in dry["parameters"] if p["parameter"] == "dry_inlet_mean"] == ["70.0"]
    (sample,) = [item for item in record["materials"] if item["type"] == "sample"]
    (result,) = sample["results"]
    assert (result["values"]["lod"], len(result["replaced"])) == ("5.20", 1)
    changed = [item["text"] for item in record["exceptions"] if "of mes." in item["text"]]
    assert len([text for text in changed if "product P-1182 to P-1183" in text]) == 2, "a row for each unit"
    assert len([text for text in changed if "was deleted: it said" in text]) == 1
