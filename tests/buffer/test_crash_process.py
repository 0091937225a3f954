"""A process that dies at named points, the journal alone and the whole line: what was promised is kept."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from kit import crash_points
from kit.crash_points import POINTS
from kit.journal_oracle import PHASES, Word, survived
from kit.line_rig import Rig, ended
from kit.processes import until

import buffer.segment
import buffer.verify

HARNESS = Path(crash_points.__file__)
TURNS = (1, 2, 5)
ENTRIES = 64
AFTER_DAMAGE = 4
"""The first phase whose start has something to salvage."""
APPENDS = 30
"""Enough for two calls of prune: the second removes what the first has named."""


Case = tuple[str, int, int]
"""(point, which time it is reached in a process, the first phase in which the process may die there)"""


def one_death(folder: Path, name: str, times: int, since: int) -> str:
    """Run the phases until the point is reached for the `times`th time in one of them; have it judged dead; start again, and judge."""
    buffer.segment.ENTRIES = buffer.verify.SEGMENT = ENTRIES
    shutil.rmtree(folder, ignore_errors=True)
    word, told = Word(), ""
    for phase in range(1, PHASES + 1):
        command = [sys.executable, str(HARNESS), "journal", str(folder), str(ENTRIES), str(phase), str(APPENDS)]
        armed = {"GW_CRASH_AT": f"{name}:{times}"} if phase >= since else {}
        done = subprocess.run(command, env={**os.environ, **armed, "GW_ENTRIES": str(ENTRIES)}, capture_output=True, text=True, check=False)
        word.hear(done.stdout)
        told += done.stdout
        if f"crashed at {name}" in done.stderr:
            if not damage_stands(told):
                accuses_nobody(folder)
            return survived(folder, word, None)
        assert done.returncode == (137 if phase in {1, 4} else 0), done.stderr
    return "not reached"


def damage_stands(told: str) -> bool:
    """Whether bits are flipped in the journal that no start has salvaged yet: a new epoch begins with that."""
    stands, epochs = False, set()
    for line in told.splitlines():
        if line.startswith("damage"):
            stands = True
        elif line.startswith("epoch "):
            stands = stands and line in epochs
            epochs.add(line)
    return stands


def accuses_nobody(folder: Path) -> None:
    """What a crash leaves is no problem to `verify` before the next start either: beside the dead journal, and on a copy of it."""
    copy = folder.with_name(f"{folder.name}.copy")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for dead in (copy, folder):
        report = buffer.verify.verify(dead)
        assert report.exit_code != 1, list(report.lines())
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before, "it wrote beside what it read"


def deaths(folder: Path, cases: list[Case]) -> dict[Case, str]:
    told = {}
    for case in cases:
        try:
            told[case] = one_death(folder, *case)
        except BaseException as error:
            raise AssertionError(f"killed at {case[0]}, time {case[1]}, from phase {case[2]} on: {error}") from error
    return told


def in_processes(folder: Path, cases: list[Case]) -> dict[Case, str]:
    """Segments of 64 entries stay in processes of their own."""
    jobs = int(os.environ.get("POWER_JOBS", str(os.cpu_count() or 1)))
    with ProcessPoolExecutor(jobs, mp_context=get_context("fork")) as pool:
        parts = [pool.submit(deaths, folder / str(job), cases[job::jobs]) for job in range(jobs)]
        return {case: outcome for part in parts for case, outcome in part.result().items()}


@pytest.mark.bar("F02")
@pytest.mark.urs("URS-BUF-02")
def test_a_kill_inside_a_commit_or_a_salvage_loses_nothing_promised(tmp_path: Path) -> None:
    told = in_processes(tmp_path, [("commit.inside", 5, 1), ("turn.next-known", 2, 1), ("salvage.set-aside", 1, 1)])
    assert set(told.values()) <= {"same epoch", "new epoch"}


@pytest.mark.bar("F02")
@pytest.mark.faults
@pytest.mark.timeout(3000)
@pytest.mark.urs("URS-BUF-02")
def test_a_kill_at_each_named_point_loses_nothing_promised(tmp_path: Path, figures: Callable[[str, str], None]) -> None:
    cases = [(name, times, 1) for name in POINTS for times in TURNS] + [(name, 1, AFTER_DAMAGE) for name in POINTS]
    told = in_processes(tmp_path, cases)
    reached = {case[0] for case in told if told[case] != "not reached"}
    assert reached == set(POINTS), f"never reached: {sorted(set(POINTS) - reached)}"
    outcomes = Counter(told.values())
    figures(
        "kill at a point",
        f"journal killed at {len(POINTS)} points, {len(told) - outcomes['not reached']} deaths: {dict(outcomes)}; lost 0, accused 0",
    )


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path, tmp_path / "data", buffer="retain_days = 0\nhold_batches = true")
    yield made
    made.stop()


LIFE_S = 20.0


def one_life(rig: Rig, name: str) -> bool:
    """Start the gateway, which dies at this point; a stop is asked for where only a stop gets there. False if it never did."""
    rig.start_gateway(command=[sys.executable, str(HARNESS), "gateway"], ready=False, GW_CRASH_AT=f"{name}:1", GW_ENTRIES=str(ENTRIES))
    assert rig.gateway is not None
    try:
        rig.gateway.wait(3.0 if name.startswith("stop") else LIFE_S)
    except subprocess.TimeoutExpired:
        ended(rig.gateway)
    return rig.gateway.returncode == 137


def flip(rig: Rig) -> None:
    """A bit of a closed segment that is still here, for the points of salvage."""
    closed = [path for path in sorted((rig.data / "segments").glob("*.db")) if path.stat().st_mode & 0o777 == 0o440]
    path = closed[-1]
    content = bytearray(path.read_bytes())
    content[content.rfind(bytes.fromhex("28b52ffd")) + 40] ^= 4
    path.chmod(0o600)
    path.write_bytes(content)
    path.chmod(0o440)


@pytest.mark.bar("F02")
@pytest.mark.faults
@pytest.mark.timeout(3000)
@pytest.mark.urs("URS-BUF-02", "URS-DAQ-11")
def test_a_line_whose_gateway_dies_at_each_point_of_its_normal_life_loses_nothing(rig: Rig, figures: Callable[[str, str], None]) -> None:
    rig.start_plant()
    rig.start_ebr()
    names = [name for name in POINTS if not name.startswith(("salvage", "epoch"))]
    reached = []
    for number, name in enumerate(names):
        rig.say_batch(f"B2026-{number:04d}")  # a batch begins in each life, and is held
        if one_life(rig, name):
            reached.append(name)
    rig.start_gateway(command=[sys.executable, str(HARNESS), "gateway"], GW_ENTRIES=str(ENTRIES))
    until(rig.caught_up)
    ended(rig.gateway)
    verdict = rig.judged()
    never = f" (not reached: {', '.join(sorted(set(names) - set(reached)))})"
    figures("kill at a point", f"line killed at {len(reached)} of {len(names)} points of a normal life{never}: {verdict}")
    assert len(reached) >= 15, sorted(set(names) - set(reached))
    assert verdict.good()
