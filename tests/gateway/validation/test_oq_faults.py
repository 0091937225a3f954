"""The whole operational qualification of a bundled line, as a plant plays it."""

from pathlib import Path

import pytest
from kit.processes import command
from kit.repository import ROOT

from gateway.validation.bundle import document_of, problems
from gateway.validation.oq.cases import CASES


@pytest.mark.faults
@pytest.mark.timeout(7_200)
@pytest.mark.urs("URS-VAL-04", "URS-VAL-07")
def test_every_case_is_played_and_passes_on_a_bundled_line(tmp_path: Path) -> None:
    told = command(
        "qualify", "oq", ROOT / "config" / "examples" / "granulation-2", "--to", tmp_path / "oq", "--seconds", "30", timeout_s=7_000
    )
    document = document_of(tmp_path / "oq")
    counts = document["facts"]["counts"]
    print(", ".join(f"{name}: {count}" for name, count in counts.items()))  # noqa: T201 - the figures of the suite
    assert told.returncode == 1, "what is not executed keeps it from being passed"
    left = [
        f"{one['id']} {one['verdict']}: {step}"
        for one in document["facts"]["cases"]
        for step in one["steps"]
        if step["verdict"] == "failed"
    ]
    assert left == []
    assert [f"{one['id']}: {one['why']}" for one in document["facts"]["cases"] if one["verdict"] == "failed"] == []
    assert counts["passed"] >= len(CASES) // 2, "on a machine with other work some steps find nothing to look at"
    assert document["result"] == "not-complete"
    assert problems(tmp_path / "oq", document) == []
