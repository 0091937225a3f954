"""The two example lines beside the demo, whole: `check`, `simulate`, `run` and `ebr` as a user calls them, until a batch is received.

The bioreactor's three weeks are compressed into the simulator's batch; its 200 tags, its three sources and its phases are all there.
A machine that is busy with other work starts the gateway in the middle of the first batch, or asks too late in it: then the record says
that it is incomplete, and one of the next has to be complete.
"""

import contextlib
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from kit.brokers import broker_at
from kit.processes import command, free_port, process, until

from buffer import read_journal
from config import examples, load
from gateway.evidence.recompute import recompute
from simulators.line.place import copied

BATCH_WITHIN_S = 200
MOST_BATCHES = 4


def moved(name: str, to: Path, port: int) -> None:
    """A copy of the example whose sources, ports and uplinks are free ones of this machine."""
    original = to.with_name("original")
    examples.copy(name, original)
    line = load(original)
    endpoints = {s.name: f"{s.endpoints[0].rpartition(':')[0]}:{free_port()}" for s in line.sources if s.driver in {"opcua", "modbus"}}
    uplinks = {u.name: f"{u.endpoint.rpartition(':')[0]}:{port}" for u in line.uplinks}
    copied(line, to, endpoints, uplinks)


def closed(store: Path) -> list[dict[str, Any]]:
    """The EBR's records of the batches that it has closed."""
    records = []
    for path in store.glob("batches/*/record.json"):
        with contextlib.suppress(ValueError, FileNotFoundError):
            records.append(json.loads(path.read_text()))
    return [record for record in records if record.get("status") in {"complete", "incomplete"}]


def run_line(folder: Path, name: str) -> dict[str, Any]:
    """Everything of a line started, until the EBR has closed a batch that is complete, or MOST_BATCHES; returns such a record if it can."""
    port, line = free_port(), folder / "line"
    moved(name, line, port)
    checked = command("check", line)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    receives = ["--mqtt", f"mqtt://127.0.0.1:{port}"] if load(line).uplinks[0].kind == "mqtt" else ["--http", str(port)]
    with contextlib.ExitStack() as stack:
        if "--mqtt" in receives:
            stack.enter_context(broker_at(port))
        stack.enter_context(process("ebr", "--store", folder / "store", *receives, log=folder / "ebr.log", stop=signal.SIGINT))
        stack.enter_context(process("simulate", line, "--truth", folder / "truth", log=folder / "simulate.log", stop=signal.SIGINT))
        until(lambda: "serving" in (folder / "simulate.log").read_text())
        gateway = stack.enter_context(process("run", line, log=folder / "run.log", stop=signal.SIGINT))

        def done() -> dict[str, Any] | None:
            assert gateway.poll() is None, (folder / "run.log").read_text()[-3000:]
            records = sorted(closed(folder / "store"), key=lambda record: str(record["status"]))
            return records[0] if records and (records[0]["status"] == "complete" or len(records) >= MOST_BATCHES) else None

        record: dict[str, Any] = until(done, MOST_BATCHES * BATCH_WITHIN_S)
        return record


@pytest.mark.faults
@pytest.mark.urs("URS-VAL-06", "URS-CTX-02", "URS-CTX-08")
@pytest.mark.timeout(MOST_BATCHES * BATCH_WITHIN_S + 120)
@pytest.mark.parametrize(("name", "tags", "steps"), [("bioreactor-3", 200, 6), ("tablet-press-1", 20, 3), ("tablet-coater-1", 18, 5)])
def test_an_example_line_runs_from_its_devices_to_a_closed_record(
    tmp_path: Path, figures: Callable[[str, str], None], name: str, tags: int, steps: int
) -> None:
    record = run_line(tmp_path, name)
    line = load(tmp_path / "line")
    assert len(line.tags) >= tags
    told = record["completeness"]
    assert record["status"] == "complete", told
    assert len({step["step"] for step in record["steps"]}) >= steps
    events = [orjson.loads(e.payload).get("event", {}) for e in read_journal(tmp_path / "line" / "data")]
    lost = [e for e in events if e.get("type") == "gap" and e.get("outcome") == "lost"]
    wrong = list(recompute(line, (e.payload for e in read_journal(tmp_path / "line" / "data"))))
    assert wrong == []
    verified = command("verify", tmp_path / "store", "--key", tmp_path / "line" / "data" / "checkpoint-key.pub")
    assert verified.returncode == 0, verified.stdout
    row = f"{name}: {len(line.tags)} tags, {len(record['steps'])} step records, {told['present']} of {told['required']} required, "
    figures("LINES", row + f"{record['status']}; {len(lost)} lost gaps; recompute 0 differences; the EBR's chain verifies")
