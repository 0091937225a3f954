"""The whole performance qualification of a bundled line, as a plant plays it, but for minutes."""

import json
import shutil
from pathlib import Path

import pytest
from kit.processes import command
from kit.repository import ROOT

from gateway.validation.bundle import document_of, problems

LIMITS = {
    "reached": 0.01,  # a machine that is busy with other tests is slow: what is lost is the claim here, not the rate
    "stored_p99_s": 600,
    "receipted_p99_s": 600,
    "cpu_cores": 64,
    "memory_mib": 4_000,
    "back_filled_s": 600,
    "restored_h": 1,
}


@pytest.mark.faults
@pytest.mark.urs("URS-VAL-05", "URS-BUF-03")
def test_a_bundled_line_is_loaded_left_without_an_ebr_and_restored(tmp_path: Path) -> None:
    folder = tmp_path / "line"
    shutil.copytree(ROOT / "config" / "examples" / "granulation-2", folder)
    (folder / "pq.toml").write_text("[limits]\n" + "".join(f"{name} = {value}\n" for name, value in LIMITS.items()))
    words = ("--hours", "0.02", "--outage", "30s")
    told = command("qualify", "pq", folder, "--to", tmp_path / "pq", *words, timeout_s=3_000)
    document = document_of(tmp_path / "pq")
    print(json.dumps(document["facts"]["figures"], indent=1))  # noqa: T201 - the figures of the suite
    cases = {one["id"]: one for one in document["facts"]["cases"]}
    wrong = [step for one in cases.values() for step in one["steps"] if step["verdict"] == "failed"]
    # of a busy machine's late polls there are gaps, which are declared
    assert [step for step in wrong if not step["action"].startswith("look for gaps")] == [], told.stdout + told.stderr
    assert [one["why"] for one in cases.values()] == [None] * 4
    compared = [
        step for one in cases.values() for step in one["steps"] if step["action"].startswith("compare ") and "log" in step["action"]
    ]
    assert len(compared) == 15
    assert sum(step["verdict"] == "passed" for step in compared) >= 9
    assert all("lost 0, doubled 0, made up 0" in step["actual"] for step in compared)
    assert (told.returncode, document["result"]) == (1, "not-complete" if not wrong else "finding"), "a part is never executed"
    assert problems(tmp_path / "pq", document) == []
