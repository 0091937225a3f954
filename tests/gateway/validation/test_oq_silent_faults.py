"""Silent errors on simulated devices of a line, Modbus and OPC UA, with limits of its own: each is found, and a clean run is quiet."""

import csv
import shutil
from pathlib import Path

import pytest
from kit.processes import command
from kit.repository import ROOT

from gateway.validation.bundle import document_of

LIMITS = {
    "granulator.impeller_speed": {
        "flat_after_s": "5",
        "zero_after_s": "3",
        "max_rate_per_s": "100",
        "unit_jumps": "10",
        "unit_jump_min": "20",
    },
    "granulator.binder_total": {"counter_after_s": "6"},
    "granulator.product_temp": {"stamp_after_s": "4", "min_good_share": "0.8", "share_over_s": "30", "unit_jumps": "[degF]"},
    "dryer.inlet_temp": {"flat_after_s": "5", "unit_jumps": "1.8;10"},
    "dryer.energy": {"counter_after_s": "6", "zero_after_s": "3"},
}
FAULTS = 13


def limited(folder: Path) -> Path:
    """Copy a bundled line and give tags of its two controllers limits, and the one that is polled time enough for a busy machine."""
    shutil.copytree(ROOT / "config" / "examples" / "granulation-2", folder)
    line = folder / "line.toml"
    line.write_text(line.read_text("utf-8").replace("rate_ms = 200\n", "rate_ms = 1000\n"), "utf-8")
    with (folder / "tags.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = list(dict.fromkeys([*rows[0], *(name for its in LIMITS.values() for name in its)]))
    with (folder / "tags.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows({**row, **LIMITS.get(row["tag"], {})} for row in rows)
    return folder


@pytest.mark.faults
@pytest.mark.timeout(1_800)
@pytest.mark.urs("URS-OBS-01", "URS-VAL-04")
def test_each_silent_error_is_found_by_the_lines_own_limits_and_a_clean_run_is_quiet(tmp_path: Path) -> None:
    told = command(
        "qualify", "oq", limited(tmp_path / "line"), "--to", tmp_path / "oq", "--case", "OQ-26", "--seconds", "40", timeout_s=1_700
    )
    (case,) = [one for one in document_of(tmp_path / "oq")["facts"]["cases"] if one["id"] == "OQ-26"]
    assert [step for step in case["steps"] if step["verdict"] != "passed"] == [], told.stdout[-2000:]
    assert case["verdict"] == "passed"
    assert sum(" have " in f" {step['action']}" and "is told" in step["expected"] for step in case["steps"]) == FAULTS
