"""The demo's line, whole: real protocols, real processes, an uplink that is cut and a gateway that is killed at times drawn from a seed."""

import json
import subprocess
from pathlib import Path

import orjson
import pytest
from jsonschema import Draft202012Validator
from kit.repository import SCHEMAS

from buffer import read_journal
from config import load
from gateway.context import Fold
from gateway.demo.processes import COMMAND

SHORT_MINUTES = 0.4
WITHIN_S = 500  # the demo itself says what came too late, long before


def _run(folder: Path, seed: int, uplink: str) -> None:
    options = ["--seed", str(seed), "--minutes", str(SHORT_MINUTES), "--uplink", uplink]
    done = subprocess.run([*COMMAND, "demo", "--dir", str(folder), *options], capture_output=True, text=True, timeout=WITHIN_S, check=False)
    logs = "\n".join(f"== {path.name}\n{path.read_text()[-3000:]}" for path in sorted((folder / "logs").glob("*.log")))
    assert done.returncode == 0, f"seed {seed}\n{done.stdout}\n{done.stderr}\n{logs}"
    assert "lost 0, doubled 0" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("PASS: batch B2026-0417")
    assert (folder / "store" / "batches" / "B2026-0417" / "record.html").stat().st_size > 1_000


def _meets_the_schemas(folder: Path) -> None:
    """Every entry, by the published pages: its own, and that of its event."""
    pages = {path.stem: json.loads(path.read_text()) for path in SCHEMAS.glob("*.json")}
    checks = {name: Draft202012Validator(page) for name, page in pages.items()}
    entries = [json.loads(entry.payload) for entry in read_journal(folder / "line" / "data")]
    for entry in entries:
        event = entry.get("event")
        checks["entry-readings" if event is None else "entry-event"].validate(entry)
        if event is not None:
            checks[f"event-{event['type']}"].validate(event)
    assert {entry["event"]["type"] for entry in entries if "event" in entry} >= {
        "step",
        "batch",
        "gap",
        "message",
        "tagset",
        "config",
        "audit",
    }


def _folds_to_the_same_events(folder: Path) -> None:
    """What the program decided live, it decides again from what it stored: byte for byte."""
    fold, caused, compared = Fold(load(folder / "line")), list[bytes](), 0
    for stored in read_journal(folder / "line" / "data"):
        entry = orjson.loads(stored.payload)
        item = fold.item(entry)
        if item is None:
            assert orjson.dumps(entry["event"]) == caused.pop(0), f"entry {entry['seq']}"
            compared += 1
        else:
            assert not caused, f"entry {entry['seq']}: events are missing before it"
            caused = [orjson.dumps(event) for event in fold.decide(item)]
    assert compared > 20


@pytest.mark.bar("F01")
@pytest.mark.urs("URS-DAQ-06", "URS-VAL-06", "URS-CTX-02", "URS-BUF-09", "URS-UPL-02")
@pytest.mark.parametrize(
    ("seed", "uplink"), [(1, "mqtt"), pytest.param(2, "mqtt", marks=pytest.mark.faults), pytest.param(3, "https", marks=pytest.mark.faults)]
)
def test_nothing_is_lost_or_doubled_when_the_uplink_is_cut_and_the_gateway_killed(tmp_path: Path, seed: int, uplink: str) -> None:
    _run(tmp_path / "demo", seed, uplink)
    _meets_the_schemas(tmp_path / "demo")
    _folds_to_the_same_events(tmp_path / "demo")


@pytest.mark.soak
@pytest.mark.urs("URS-DAQ-06", "URS-VAL-06")
@pytest.mark.parametrize("seed", range(4, 24))
def test_nothing_is_lost_or_doubled_whenever_it_happens(tmp_path: Path, seed: int) -> None:
    _run(tmp_path / "demo", seed, "https" if seed % 4 == 0 else "mqtt")
    _folds_to_the_same_events(tmp_path / "demo")
