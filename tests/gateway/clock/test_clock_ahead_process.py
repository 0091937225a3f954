"""A gateway as a process whose clock is ahead for a while: the gap of a later stop stands where the stop was."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kit.drop_line import events, stored
from kit.processes import forked, free_port, running, until
from kit.shown_clock import LIBRARIES, ShownClock

pytestmark = pytest.mark.skipif(not LIBRARIES, reason="needs Debian's faketime")

LINE = """
[line]
site = "lyon"
name = "test-1"
timezone = "Europe/Paris"
[[source]]
name = "plc"
driver = "modbus"
endpoint = "tcp://127.0.0.1:{port}"
rate_ms = 200
"""


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Path]:
    """A line folder whose one device answers."""
    folder = tmp_path / "line"
    folder.mkdir()
    (folder / "line.toml").write_text(LINE.format(port=free_port()))
    (folder / "tags.csv").write_text("tag,source,address,type\nplc.n,plc,1/holding/0,uint16\n")
    with forked("simulate", folder, log=tmp_path / "simulate.log"):
        yield folder


def stepped(folder: Path, sign: int) -> Callable[[], Any]:
    return lambda: [event for event in events(folder, "clock") if event["kind"] == "step" and event["step_s"] * sign > 0]


def observed_again(folder: Path, after: int) -> Callable[[], Any]:
    """A reading, or a sign of life that names the source."""
    return lambda: [entry for entry in stored(folder)[after:] if "readings" in entry or "plc" in entry.get("event", {}).get("observed", {})]


@pytest.mark.process
@pytest.mark.urs("URS-TIME-07", "URS-DAQ-11")
def test_a_stop_after_the_clock_was_ahead_is_a_gap_where_it_was(line: Path, tmp_path: Path) -> None:
    clock = ShownClock(tmp_path / "faketime")
    with running(line, environment=clock.environment()):
        until(observed_again(line, 0))
        clock.show("+3600")
        until(stepped(line, 1))
        until(observed_again(line, len(stored(line))))
        clock.show("+0")
        until(stepped(line, -1))
        until(observed_again(line, len(stored(line))))
    before = stored(line)
    with running(line, environment=clock.environment()):
        until(lambda: [event for event in events(line, "gap") if (event["transition"], event["cause"]) == ("close", "gateway-stopped")])
    entries = stored(line)
    (gap,) = [event for event in events(line, "gap") if (event["transition"], event["cause"]) == ("close", "gateway-stopped")]
    first = next(entry for entry in entries if "readings" in entry)
    started = next(entry for entry in entries[len(before) :] if entry.get("event", {}).get("action") == "start")
    assert first["time"] < gap["start"] <= before[-1]["time"] < started["time"] < gap["end"]
