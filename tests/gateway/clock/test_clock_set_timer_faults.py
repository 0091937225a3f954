"""Steps of the wall clock seen by a real process: libfaketime moves its clock, SIGSTOP stops it, the kernel tells of a set clock."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from kit.repository import ROOT

from gateway.clock.clock_set_timer import ClockSetWatch

LIBRARY = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
STOPPED_S = 60.0
pytestmark = [pytest.mark.skipif(not LIBRARY.exists(), reason="needs Debian's faketime")]

WATCHER = """
import asyncio, sys, time, orjson
from gateway.clock import Clock, Limits
from gateway.clock.daemon_reading import Evidence

class Sure:
    name = "sure"
    async def read(self):
        now = time.monotonic_ns()
        return Evidence("sure", now, True, 0.001, updated_ns=now, update=now / 1e9, interval_s=1.0, reference="r")

def tell(event):
    sys.stdout.buffer.write(orjson.dumps({**event, "told_monotonic_s": time.monotonic()}) + b"\\n")
    sys.stdout.buffer.flush()

asyncio.run(Clock(Limits(), [Sure()], last_seq=lambda: 7).watch(tell))
"""


class Watcher:
    """A process that watches its clock, and the clock that it sees."""

    def __init__(self, process: asyncio.subprocess.Process, hands: Path) -> None:
        self.process, self._hands = process, hands

    async def event(self, kind: str, deadline_s: float = 20, passed: list[dict[str, Any]] | None = None) -> dict[str, Any]:
        """The next event of this kind. passed: takes what came before it."""
        assert self.process.stdout is not None
        async with asyncio.timeout(deadline_s):
            while True:
                event = orjson.loads(await self.process.stdout.readline())
                if event.get("kind") == kind:
                    return event
                if passed is not None:
                    passed.append(event)

    def move(self, offset: str) -> None:
        fresh = self._hands.with_suffix(".new")
        fresh.write_text(offset + "\n")
        fresh.rename(self._hands)


@asynccontextmanager
async def watching(folder: Path, offset: str) -> AsyncIterator[Watcher]:
    hands = folder / "faketime"
    hands.write_text(offset + "\n")
    fake = {
        "LD_PRELOAD": str(LIBRARY),
        "FAKETIME_TIMESTAMP_FILE": str(hands),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "TZ": "UTC",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WATCHER, env={**os.environ, **fake}, stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    try:
        yield Watcher(process, hands)
    finally:
        process.kill()
        await process.wait()


@pytest.mark.bar("F39", "S18")
@pytest.mark.urs("URS-TIME-07")
@pytest.mark.parametrize(("offset", "size_s"), [("+3600", 3600.0), ("-3600", -3600.0), ("+1", 1.0), ("-1", -1.0)])
async def test_a_step_is_told_within_two_seconds(tmp_path, figures, offset, size_s):
    """+-1 h and +-1 s, and back."""
    async with watching(tmp_path, "+0") as watcher:
        await watcher.event("synchronised")
        moved_s = _monotonic_s()
        watcher.move(offset)
        step = await watcher.event("step")
        assert step["step_s"] == pytest.approx(size_s, abs=0.01)
        assert step["last_seq"] == 7
        assert step["told_monotonic_s"] - moved_s < 2.0
        figures(
            "clock", f"libfaketime {offset} s: step {step['step_s']:+.6f} s found in {(step['told_monotonic_s'] - moved_s) * 1000:.0f} ms"
        )
        watcher.move("+0")
        assert (await watcher.event("step"))["step_s"] == pytest.approx(-size_s, abs=0.01)


@pytest.mark.bar("F39")
@pytest.mark.urs("URS-TIME-05", "URS-TIME-09")
async def test_a_dead_rtc_is_unsynchronised_until_it_is_set_and_the_event_places_the_stamps(tmp_path, figures):
    """The machine starts in 1970; the right time comes later. Nothing waits, nothing is rewritten, and all can be placed."""
    since_1970_s = int(datetime.now(UTC).timestamp()) - 600
    async with watching(tmp_path, f"-{since_1970_s}") as watcher:
        lost = await watcher.event("unsynchronised")
        assert lost["anchor"]["time"].startswith("1970-01-01T00:1")
        watcher.move("+0")
        step = await watcher.event("step")
        assert step["step_s"] == pytest.approx(since_1970_s, abs=1)
        recovered = await watcher.event("recovered", deadline_s=40)
        placed = datetime.fromisoformat(recovered["anchor"]["time"][:26] + "+00:00").timestamp()
        placed -= recovered["anchor"]["monotonic_s"] - lost["anchor"]["monotonic_s"]
        started = datetime.fromisoformat(lost["anchor"]["time"][:26] + "+00:00").timestamp() + since_1970_s
        assert placed == pytest.approx(started, abs=0.05)
        figures("clock", f"libfaketime 1970: first stamp placed {(placed - started) * 1000:+.1f} ms from the truth")
        assert recovered["since"]["time"].startswith("1970-01-01")


async def test_a_stopped_process_says_what_it_missed(tmp_path):
    """Stopped while the clock is set; the step is told when it goes on, before anything else."""
    async with watching(tmp_path, "+0") as watcher:
        await watcher.event("synchronised")
        watcher.process.send_signal(signal.SIGSTOP)
        watcher.move("+60")
        watcher.process.send_signal(signal.SIGCONT)
        assert (await watcher.event("step"))["step_s"] == pytest.approx(60, abs=0.01)


@pytest.mark.bar("F39")
@pytest.mark.urs("URS-TIME-07")
@pytest.mark.timeout(180)
async def test_a_process_stopped_for_a_minute_says_so_and_invents_no_step(tmp_path, figures):
    """SIGSTOP for 60 s. The clocks ran on: a `suspend` event of the process, no step, and stamps are right afterwards."""
    async with watching(tmp_path, "+0") as watcher:
        await watcher.event("synchronised")
        watcher.move("+1")
        await watcher.event("step")  # the watch has begun
        watcher.move("+0")
        await watcher.event("step")
        stopped_s = _monotonic_s()
        watcher.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(STOPPED_S)  # the fault itself: nothing happens that could be waited for
        resumed_s = _monotonic_s()
        watcher.process.send_signal(signal.SIGCONT)
        before: list[dict[str, Any]] = []
        event = await watcher.event("suspend", passed=before)
        assert event["of"] == "process"
        assert event["duration_s"] == pytest.approx(resumed_s - stopped_s, abs=1.5), "from its last look on"
        anchor = event["anchor"]
        ours_s = datetime.now(UTC).timestamp() - _monotonic_s()
        error_s = abs(datetime.fromisoformat(anchor["time"]).timestamp() - anchor["monotonic_s"] - ours_s)
        assert error_s < 0.01
        watcher.move("+60")  # a real step: the first that may be told
        step = await watcher.event("step", passed=before)
        assert step["step_s"] == pytest.approx(60, abs=0.01)
        assert "step" not in [one.get("kind") for one in before]
        after_s = event["told_monotonic_s"] - resumed_s
        assert after_s < 2.0
    told = f"told {after_s * 1000:.0f} ms after SIGCONT as {event['duration_s']:.2f} s"
    figures("clock", f"SIGSTOP {STOPPED_S:g} s: {told}, false steps 0, stamp error {error_s * 1000:.2f} ms")


async def test_the_kernel_offers_the_alarm_of_a_set_clock():
    """The timer can be armed here; setting this machine's clock to see it fire would disturb everything else on it."""
    wake = asyncio.Event()
    with ClockSetWatch(wake) as alarm:
        assert alarm.arm()
        assert not wake.is_set()


def _monotonic_s() -> float:
    import time

    return time.monotonic()
