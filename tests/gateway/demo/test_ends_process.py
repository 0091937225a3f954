"""Ctrl-C ends the demo cleanly, with every process that it started; a folder of something else is left alone."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from gateway.demo import run_demo
from gateway.demo.processes import COMMAND

WITHIN_S = 90.0


def _of(folder: Path) -> list[psutil.Process]:
    """Processes that work in this demo's folder."""
    return [process for process in psutil.process_iter(["cmdline"]) if any(str(folder) in part for part in process.info["cmdline"] or [])]


@pytest.mark.faults
@pytest.mark.parametrize(
    ("word", "number"), [("the simulated line", signal.SIGINT), ("the plant starts", signal.SIGINT), ("the gateway starts", signal.SIGTERM)]
)
def test_it_ends_at_any_time_and_leaves_nothing_behind(tmp_path: Path, word: str, number: signal.Signals) -> None:
    folder = tmp_path / "demo"
    with (tmp_path / "said").open("w") as said:
        demo = subprocess.Popen([*COMMAND, "demo", "--dir", str(folder)], stdout=said, stderr=said)
    try:
        deadline = time.monotonic() + WITHIN_S
        while word not in (tmp_path / "said").read_text() and demo.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        demo.send_signal(number)
        assert demo.wait(WITHIN_S) == 130, (tmp_path / "said").read_text()
    finally:
        demo.kill()
        demo.wait()
    said_all = (tmp_path / "said").read_text()
    assert "interrupted" in said_all
    assert "Traceback" not in said_all
    assert _of(folder) == []


@pytest.mark.faults
def test_a_part_that_dies_is_no_verdict(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with (tmp_path / "said").open("w") as said:
        demo = subprocess.Popen([*COMMAND, "demo", "--dir", str(folder)], stdout=said, stderr=said)
    try:
        deadline = time.monotonic() + WITHIN_S
        while "the plant starts" not in (tmp_path / "said").read_text() and demo.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        next(process for process in _of(folder) if "gateway.demo.plant" in process.cmdline()).kill()
        assert demo.wait(WITHIN_S) == 3
    finally:
        demo.kill()
        demo.wait()
    assert "NO VERDICT: the simulated line ended" in (tmp_path / "said").read_text()
    assert _of(folder) == []


@pytest.mark.faults
def test_the_plant_waits_for_a_gateway_that_is_slow_to_come_back(tmp_path: Path) -> None:
    """On a busy machine the batch would pass an equipment unseen, and never end."""
    script = (
        "import pathlib, sys; from gateway.demo import run_demo, story; story.BACK_WITHIN_S = 0.0; "
        "sys.exit(run_demo(directory=pathlib.Path(sys.argv[1]), minutes=0.4))"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "demo")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "the plant stands still until the gateway is back" in " ".join(done.stdout.split())
    assert done.stdout.splitlines()[-1].startswith("PASS: ")


def test_a_folder_that_no_demo_made_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"\xff")
    assert run_demo(directory=tmp_path) == 2
    assert "no demo made it" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


def test_a_batch_can_not_be_made_shorter_than_a_gateway_takes_to_start(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_demo(minutes=0.01) == 2
    assert "--minutes" in capsys.readouterr().out
