"""A run that ended before its end goes on: what passed is not run again and still counts, what failed or never ended is run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from kit import resumed
from kit.repository import ROOT

SUITE = """
import os, pathlib, pytest
BROKEN = pathlib.Path("broken")
def ran(name):
    with open("ran", "a") as file: file.write(name + " ")
@pytest.mark.bar("S01")
@pytest.mark.parametrize("one", [1, 2])
def test_good(one, figure):
    ran(f"good-{one}")
    figure("refused", f"{one} %")
@pytest.mark.bar("S02")
def test_bad():
    ran("bad")
    assert not BROKEN.exists()
@pytest.mark.bar("S03")
def test_killed():
    ran("killed")
    if BROKEN.exists(): os._exit(9)
"""


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Pytest over one file, with nothing of this repository but the two plugins."""
    ini = "[pytest]\nmarkers =\n bar\n attack\n survival\naddopts = -p kit.bar -p kit.resumed -p no:cacheprovider\n"
    (folder / "pytest.ini").write_text(ini)
    (folder / "test_rows.py").write_text(SUITE)
    command = [sys.executable, "-m", "pytest", "--bar", "S", "--keep", "build/kept.jsonl", *options]
    return subprocess.run(command, cwd=folder, env={"PYTHONPATH": str(ROOT / "tests")}, capture_output=True, text=True, check=False)


def ran(folder: Path) -> list[str]:
    told = sorted((folder / "ran").read_text().split())
    (folder / "ran").unlink()
    return told


def rows(told: str) -> dict[str, str]:
    return {line[:3]: line.partition(":")[0][4:] for line in told.partition("fault-bar.md, S")[2].splitlines() if line[:1] == "S"}


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "over workers"])
def test_what_passed_is_not_run_again_and_counts(tmp_path: Path, workers: tuple[str, ...]) -> None:
    (tmp_path / "broken").touch()
    run(tmp_path, *workers)
    assert {"good-1", "good-2", "bad", "killed"} >= set(ran(tmp_path))
    (tmp_path / "broken").unlink()
    done = run(tmp_path, "--resume", *workers)
    assert ran(tmp_path) == ["bad", "killed"]
    assert ": 2 tests passed there and are not run again" in done.stdout
    assert [rows(done.stdout)[row] for row in ("S01", "S02", "S03", "S04")] == ["proved", "proved", "proved", "NO TEST"]
    assert done.stdout.count("refused: 1 %") == done.stdout.count("refused: 2 %") == 1


def test_without_resume_everything_is_run_again(tmp_path: Path) -> None:
    for _ in range(2):
        run(tmp_path)
        assert ran(tmp_path) == ["bad", "good-1", "good-2", "killed"]


def kept(folder: Path, *rows: dict[str, object] | str) -> Path:
    file = folder / "kept.jsonl"
    file.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows).rstrip("\n"))
    return file


HEAD = {"content": "these", "begun": "2026-11-30T10:00:00Z"}


def phase(when: str, outcome: str = "passed", name: str = "a.py::test_one") -> dict[str, object]:
    return {"nodeid": name, "when": when, "outcome": outcome, "seconds": 1.0, "why": None, "said": []}


@pytest.mark.parametrize(
    ("rows", "passed"),
    [
        ([HEAD, phase("setup"), phase("call"), phase("teardown")], {"a.py::test_one"}),
        ([HEAD, phase("setup"), phase("call")], set()),
        ([HEAD, phase("setup"), phase("call"), phase("teardown", "failed")], set()),
        ([HEAD, phase("setup"), phase("call", "skipped"), phase("teardown")], set()),
        ([HEAD, phase("setup"), phase("call"), phase("teardown"), phase("setup"), phase("call", "failed"), phase("teardown")], set()),
        ([HEAD, phase("setup"), phase("call"), phase("teardown"), '{"nodeid": "a.py::te'], {"a.py::test_one"}),
        ([{**HEAD, "content": "others"}, phase("setup"), phase("call"), phase("teardown")], set()),
        (["torn", phase("setup"), phase("call"), phase("teardown")], set()),
        ([], set()),
    ],
    ids=["passed", "never ended", "its end failed", "skipped", "failed later", "torn line", "other files", "torn head", "empty"],
)
def test_what_passed_is_what_passed_last_in_each_phase_with_these_files(
    tmp_path: Path, rows: list[dict[str, object] | str], passed: set[str]
) -> None:
    assert resumed.read(kept(tmp_path, *rows), "these").passed == passed


def test_where_nothing_was_kept_nothing_passed(tmp_path: Path) -> None:
    assert resumed.read(tmp_path / "none.jsonl", "these") == resumed.NOTHING
