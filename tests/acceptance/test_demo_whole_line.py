"""The demo's line, whole: real protocols, real processes, an uplink that is cut and a gateway that is killed at times drawn from a seed."""

import subprocess
from pathlib import Path

import pytest

from gateway.demo.processes import COMMAND

SHORT_MINUTES = 0.4
WITHIN_S = 240


def _run(folder: Path, seed: int, minutes: float) -> None:
    command = [*COMMAND, "demo", "--dir", str(folder), "--seed", str(seed), "--minutes", str(minutes)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S, check=False)
    logs = "\n".join(f"== {path.name}\n{path.read_text()[-3000:]}" for path in sorted((folder / "logs").glob("*.log")))
    assert done.returncode == 0, f"seed {seed}\n{done.stdout}\n{done.stderr}\n{logs}"
    assert "lost 0, doubled 0" in done.stdout
    assert (folder / "store" / "batches" / "B2026-0417" / "record.html").stat().st_size > 1_000


@pytest.mark.urs("URS-DAQ-06", "URS-VAL-06", "URS-CTX-02")
@pytest.mark.timeout(WITHIN_S + 20)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nothing_is_lost_or_doubled_when_the_uplink_is_cut_and_the_gateway_killed(tmp_path: Path, seed: int) -> None:
    _run(tmp_path / "demo", seed, SHORT_MINUTES)


@pytest.mark.soak
@pytest.mark.urs("URS-DAQ-06", "URS-VAL-06")
@pytest.mark.timeout(WITHIN_S + 20)
@pytest.mark.parametrize("seed", range(4, 24))
def test_nothing_is_lost_or_doubled_whenever_it_happens(tmp_path: Path, seed: int) -> None:
    _run(tmp_path / "demo", seed, SHORT_MINUTES)
