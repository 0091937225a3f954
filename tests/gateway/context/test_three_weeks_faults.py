"""A batch of three weeks: bounded memory while it runs, and a start within 30 s after a kill in its last hour."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.repository import BENCHMARKS

SCRIPT = BENCHMARKS / "three_weeks.py"
MOST_GROWTH_MIB = 40
START_WITHIN_S = 30.0


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *map(str, words)], capture_output=True, text=True, timeout=1_500, check=False)


@pytest.mark.urs("URS-CTX-04", "URS-OPS-05", "URS-BUF-02")
@pytest.mark.timeout(1_800)
def test_three_weeks_need_bounded_memory_and_start_quickly_after_a_kill(tmp_path: Path, figures: Callable[[str, str], None]) -> None:
    made = run("make", tmp_path)
    assert made.returncode == 9, made.stdout + made.stderr
    peaks = [int(found) for found in re.findall(r"peak memory (\d+) MiB", made.stdout)]
    states = [float(found) for found in re.findall(r"state ([\d.]+) MB", made.stdout)]
    assert peaks[-1] - peaks[1] < MOST_GROWTH_MIB, made.stdout
    started = run("start", tmp_path)
    assert started.returncode == 0, started.stdout + started.stderr
    took_s = float(re.findall(r"start ([\d.]+) s", started.stdout)[0])
    assert took_s < START_WITHIN_S, started.stdout
    assert "batch B2026-0417" in started.stdout
    assert "'PRODUCE', 1]" in started.stdout, "the phase that ran since the sixth day is the same run"
    volume = made.stdout.splitlines()[-2]
    memory = f"peak memory {peaks[1]} MiB after a week, {peaks[-1]} MiB at the end, state {states[-1]:.2f} MB"
    figures("3 WEEKS", f"{volume}; {memory}; {started.stdout.splitlines()[0]}")
