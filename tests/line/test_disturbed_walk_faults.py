"""A disturbed batch of the bundled line, from the devices to the printed page: every copy of its record tells the same."""

import asyncio
import json
import re
import shutil
import signal
import sqlite3
import subprocess
import time
import zipfile
from pathlib import Path

import pytest
from kit.commands import called
from rich.console import Console

from gateway.demo.run import first_batch
from gateway.demo.setting import Setting, prepare
from gateway.demo.story import STILL_S, Cast, cast, connected, drained, started, stop_gateway, until, watch
from gateway.demo.view import View
from simulators.ebr.builder import build

BATCH_S = 100.0
PDFTOTEXT = shutil.which("pdftotext")


async def walk(setting: Setting, batch: str) -> None:
    """Cut a link, stop the gateway, kill it, start it on other limits, edit and delete rows, replace a result."""
    async with cast(setting, View(Console(quiet=True)), batch) as parts, asyncio.TaskGroup() as group:
        watching = group.create_task(watch(parts))
        await started(parts)
        await parts.plant.say("go")
        began = time.monotonic()

        async def at(share: float) -> None:
            await asyncio.sleep(max(began + share * BATCH_S - time.monotonic(), 0))

        await at(0.1)
        parts.cable.cut()
        await at(0.2)
        parts.cable.mend()
        await at(0.24)
        parts.gateway.signal(signal.SIGSTOP)
        await at(0.32)
        parts.gateway.signal(signal.SIGCONT)
        await at(0.6)
        await parts.gateway.kill()
        _other_limits(setting.line.folder / "parameters.csv")
        await parts.gateway.start()
        await connected(parts)
        await at(0.85)
        _rows(setting.line.folder / "mes.db", batch)
        await _replaced(parts, batch)
        watching.cancel()
    await asyncio.sleep(0)


def _other_limits(file: Path) -> None:
    text = file.read_text("utf-8")
    edited = text.replace("=dryer.inlet_temp_sp,50.0,75.0", "=dryer.inlet_temp_sp,55.0,70.0")
    assert edited != text
    file.write_text(edited, "utf-8")


def _rows(file: Path, batch: str) -> None:
    with sqlite3.connect(file, timeout=20) as database:
        database.execute("UPDATE v_orders SET product = 'P-1183' WHERE batch_no = ?", (batch,))
        database.execute("DELETE FROM v_lots WHERE id = (SELECT min(id) FROM v_lots WHERE batch_no = ?)", (batch,))


async def _replaced(parts: Cast, batch: str) -> None:
    """Wait for the batch's end and its first result, replace that, and wait until all of it is receipted."""
    drop = parts.setting.line.folder / "drop"

    def told() -> bool:
        return any(batch in file.read_text() for file in drop.glob("*.csv"))

    await until(lambda: parts.closed and told(), BATCH_S * 3, "the end of the batch and its result")
    await asyncio.sleep(STILL_S)
    (drop / "replaced.csv").write_text(f"sample_id,lod\nS-{batch}-dryer,5.20\n")
    await asyncio.sleep(8 * STILL_S)
    await parts.plant.say("still")
    await drained(parts)
    assert await stop_gateway(parts) == 0


def words(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def printed(pdf: Path) -> str:
    """Give the words of a PDF in the order of its lines."""
    assert PDFTOTEXT is not None
    text = subprocess.run([PDFTOTEXT, "-layout", str(pdf), "-"], capture_output=True, check=True).stdout.decode()
    return re.sub(r"\s+", " ", text)


@pytest.mark.urs("URS-CTX-09", "URS-CFG-01", "URS-DAQ-04", "URS-OPS-03")
@pytest.mark.timeout(900)
async def test_every_copy_of_a_disturbed_batchs_record_tells_the_same(tmp_path: Path) -> None:
    setting = prepare(tmp_path / "walk", 3, BATCH_S, None, "https")
    batch = first_batch(setting)
    with setting.mark:
        await walk(setting, batch)
    packed = tmp_path / "batch.zip"
    done = await asyncio.to_thread(called, "archive", setting.line.folder, "--batch", batch, "--to", packed)
    assert done.returncode == 0, done.stdout + done.stderr
    built = build(setting.store, batch)
    record = json.loads((built / "record.json").read_bytes())
    page, batchml = words((built / "record.html").read_text()), (built / "record.xml").read_text()
    with zipfile.ZipFile(packed) as file:
        copy = words(file.read("record.html").decode())
        (tmp_path / "record.pdf").write_bytes(file.read("record.pdf"))
    copies = {"page": page, "archive": copy}
    if PDFTOTEXT is not None:
        copies["pdf"] = await asyncio.to_thread(printed, tmp_path / "record.pdf")
    stated = record["completeness"]
    counted = f"{stated['present']} of {stated['required']} required items are present"
    ended = record["end"]["local"][11:19]
    for name, text in copies.items():
        assert counted in text, (name, "one count, in the same words")
        assert ended in text, (name, "one end")
        assert "P-1182, P-1183" in text, (name, "both products")
        assert "2.91" not in text or "5.20" in text, (name, "both results")
        assert "to None" not in text, name
        assert re.search(r"configuration 1, 2|Configurations?", text), name
        assert "nothing but" not in text, name
    assert record["end"]["time"][:19] in batchml or ended in batchml
    assert "CIP" not in {step["step"] for step in record["steps"]}, "a cleaning after the release is not the batch's"
    kinds = {item["kind"] for item in record["exceptions"]}
    assert {"configuration", "result-replaced"} <= kinds
    changed = [item["text"] for item in record["exceptions"] if "of mes." in item["text"]]
    assert any("product P-1182 to P-1183" in text for text in changed)
    assert any("was deleted: it said" in text for text in changed)
