"""A clock that is really set: in a kernel of its own (user-mode Linux, an ordinary process), where it is allowed and nobody else's.

The kernel's own timer tells of it (TFD_TIMER_CANCEL_ON_SET), its own leap second is inserted, its own clock starts in 1970.
"""

import shutil
from pathlib import Path
from typing import Any

import pytest
from kit.own_kernel import NEEDED, in_a_kernel_of_its_own
from kit.processes import DEADLINE_S
from kit.repository import ROOT

pytestmark = [pytest.mark.timeout(180), NEEDED]

COMMON = """
import asyncio, calendar, ctypes, sys, time
sys.path.insert(0, {repository!r})
import orjson
from gateway.clock import Clock, Limits
from gateway.clock.daemon_reading import Evidence
from gateway.clock.kernel import KernelReader, Timex, evidence_from, kernel_clock
from gateway.clock.clock_set_timer import ClockSetWatch
DEADLINE_S = {deadline_s!r}

def set_clock(utc_s):
    time.clock_settime(time.CLOCK_REALTIME, utc_s)
    return time.monotonic()

class Sure:
    name = "sure"
    async def read(self):
        now = time.monotonic_ns()
        return Evidence("sure", now, True, 0.001, updated_ns=now, update=now / 1e9, interval_s=1.0, reference="r")

class Deaf(ClockSetWatch):
    "Hears nothing of the kernel: the one-second check alone has to find the step."
    def arm(self):
        return False

class Told:
    def __init__(self):
        self.events, self.came = [], asyncio.Event()
    def __call__(self, event):
        self.events.append((time.monotonic(), event))
        self.came.set()
    async def next(self, kind, since=0):
        async with asyncio.timeout(DEADLINE_S):
            while True:
                for at, event in self.events[since:]:
                    if event.get("kind") == kind:
                        return at, event
                self.came.clear()
                await self.came.wait()

def say(what, **more):
    print("TOLD " + orjson.dumps({{"what": what, **more}}).decode(), flush=True)
"""

STEPS = """
BASE = calendar.timegm((2026, 11, 22, 12, 0, 0))

async def main(alarm, name):
    set_clock(BASE)
    told = Told()
    clock = Clock(Limits(), [Sure()], alarm=alarm, last_seq=lambda: 7)
    watch = asyncio.create_task(clock.watch(told))
    await told.next("synchronised")
    for number, step_s in enumerate((3600, -3600, 1, -1, 0.2, -0.2)):
        await asyncio.sleep(0.137 * (number + 1))  # not in step with the one-second check
        since = len(told.events)
        at = set_clock(time.time() + step_s)
        found, event = await told.next("step", since)
        say(name, step_s=step_s, found_s=event["step_s"], after_s=found - at, last_seq=event["last_seq"])
    watch.cancel()

asyncio.run(main(ClockSetWatch, "by the kernel's timer"))
asyncio.run(main(Deaf, "by the one-second check"))
"""

LEAP = """
def adjust(modes, status=0, maxerror=0):
    timex = Timex(modes=modes)
    timex.status, timex.maxerror, timex.esterror = status, maxerror, 0
    assert ctypes.CDLL(None).ntp_adjtime(ctypes.byref(timex)) >= 0

async def main():
    set_clock(calendar.timegm((2026, 12, 31, 23, 59, 54)))
    adjust(0x0010 | 0x0004 | 0x0008, status=0x0010, maxerror=1000)  # STA_INS, no STA_UNSYNC; maximum and estimated error in us
    told = Told()
    clock = Clock(Limits(max_error_s=5.0, leap_mode="step"), [KernelReader()])
    # as a start does, before anybody listens
    clock.take(evidence_from(kernel_clock(), time.monotonic_ns(), 0.0))
    clock.look()
    watch = asyncio.create_task(clock.watch(told))
    _, announced = await told.next("leap")
    at, leap = await told.next("leap", len(told.events))
    say("leap", announced=announced["leap"], by=announced["by"], step_s=leap["step_s"], time=leap["anchor"]["time"], status=leap["status"],
        reason=leap["reason"], steps=sum(event.get("kind") == "step" for _, event in told.events))
    watch.cancel()

asyncio.run(main())
"""

LEAP_BY_CHRONY = """
import subprocess
from gateway.clock.chrony import ChronyReader
from simulators.ntp import NtpResponder

async def main():
    set_clock(calendar.timegm((2026, 12, 31, 23, 59, 20)))
    servers = [NtpResponder(f"127.0.0.{number}", leap=1) for number in (2, 3, 4)]
    for server in servers:
        await server.start()
    lines = [f"server {one.host} port {one.port} iburst minpoll 0 maxpoll 0" for one in servers]
    own = ["leapsecmode system", "maxclockerror 50", "port 0", "cmdport 3323", "bindcmdaddress 127.0.0.1", "bindcmdaddress /"]
    with open("/run/chrony.conf", "w") as conf:
        conf.write("\\n".join([*lines, *own, "pidfile /run/chrony.pid", "driftfile /run/drift", ""]))
    daemon = subprocess.Popen(["chronyd", "-d", "-u", "root", "-U", "-f", "/run/chrony.conf"], stdout=2)
    told = Told()
    clock = Clock(Limits(max_error_s=5.0, leap_mode="step"), [ChronyReader(host="127.0.0.1", port=3323)])
    watch = asyncio.create_task(clock.watch(told))
    _, announced = await told.next("leap")
    status, bound_s = clock.stamp().status, clock.stamp().bound_s
    at, leap = await told.next("leap", len(told.events))
    say("leap", announced=announced["leap"], by=announced["by"], instant=announced["instant"], step_s=leap["step_s"],
        time=leap["anchor"]["time"], before=status, bound_s=bound_s, steps=sum(event.get("kind") == "step" for _, event in told.events))
    daemon.terminate()
    watch.cancel()

asyncio.run(main())
"""

DEAD_RTC = """
RIGHT = calendar.timegm((2026, 11, 22, 12, 0, 0))

async def main():
    began = set_clock(100.0)
    told = Told()
    clock = Clock(Limits(), [Sure()], last_seq=lambda: 42)
    watch = asyncio.create_task(clock.watch(told))
    _, lost = await told.next("unsynchronised")
    first = clock.stamp()
    await asyncio.sleep(1)
    before = time.monotonic()
    at = set_clock(RIGHT)
    found, step = await told.next("step")
    _, recovered = await told.next("recovered")
    say("rtc", first=first.ticks / 1e7, status=first.status, right=RIGHT - (at - first.monotonic_s), set_within_s=at - before,
        bound_s=recovered["correction_bound_s"], correction_s=recovered["correction_s"]["start"], step_s=step["step_s"], after_s=found - at)
    watch.cancel()

asyncio.run(main())
"""


async def in_a_kernel(folder: Path, script: str) -> list[dict[str, Any]]:
    """Run a script with a clock that it may set. What it told."""
    return await in_a_kernel_of_its_own(folder, COMMON.format(repository=str(ROOT), deadline_s=DEADLINE_S) + script)


@pytest.mark.bar("F39", "S18")
@pytest.mark.urs("URS-TIME-07")
async def test_a_really_set_clock_is_told_by_the_kernel_and_by_the_check(tmp_path, figures):
    """+-1 h, +-1 s, +-0.2 s by clock_settime."""
    told = await in_a_kernel(tmp_path, STEPS)
    assert len(told) == 12
    for one in told:
        assert one["found_s"] == pytest.approx(one["step_s"], abs=0.02)
        assert one["last_seq"] == 7
        assert one["after_s"] < 2.0
    worst = {name: max(one["after_s"] for one in told if one["what"] == name) for name in {one["what"] for one in told}}
    assert worst["by the kernel's timer"] < 0.5, "the timer tells at once; the check alone would take up to a second"
    figures(
        "clock", "; ".join(f"set clock found {name}: worst {seconds * 1000:.0f} ms of 6 steps" for name, seconds in sorted(worst.items()))
    )


@pytest.mark.bar("F39")
@pytest.mark.urs("URS-TIME-10")
async def test_a_leap_second_that_the_kernel_inserts(tmp_path, figures):
    """23:59:59 of the last day of 2026 stands twice; the step is the announced leap second and no step."""
    (leap,) = await in_a_kernel(tmp_path, LEAP)
    assert (leap["announced"], leap["by"], leap["steps"]) == ("insert", "kernel", 0)
    assert leap["step_s"] == pytest.approx(-1.0, abs=0.01)
    assert leap["status"] == "synchronised", leap["reason"]
    assert leap["time"].startswith("2026-12-31T23:59:59")
    figures("clock", f"leap second of a real kernel: told as leap at {leap['time']}, step {leap['step_s']:+.6f} s, false steps 0")


@pytest.mark.urs("URS-TIME-10")
@pytest.mark.skipif(shutil.which("chronyd") is None, reason="needs Debian's chrony")
async def test_a_leap_second_from_the_servers_by_a_real_chronyd_into_the_kernel(tmp_path, figures):
    """Three simulated servers announce it; chronyd, which may set this clock, tells us and arms the kernel; the kernel steps."""
    (leap,) = await in_a_kernel(tmp_path, LEAP_BY_CHRONY)
    assert (leap["announced"], leap["by"], leap["instant"]) == ("insert", "chrony", "2027-01-01T00:00:00.000000Z")
    assert leap["before"] == "synchronised"
    assert leap["bound_s"] < 1.0, "a second that is to be stepped widens nothing before its time"
    assert leap["step_s"] == pytest.approx(-1.0, abs=0.05)
    assert leap["steps"] == 0
    figures(
        "clock", f"leap second by a real chronyd: announced, told as leap at {leap['time']}, step {leap['step_s']:+.6f} s, false steps 0"
    )


@pytest.mark.bar("F39")
@pytest.mark.urs("URS-TIME-05", "URS-TIME-09")
async def test_a_machine_that_starts_in_1970(tmp_path, figures):
    (told,) = await in_a_kernel(tmp_path, DEAD_RTC)
    assert told["status"] == "unsynchronised"
    assert told["first"] < 200, "the stamp says 1970 and stays so"
    assert told["after_s"] < 2.0
    wrong_s = told["first"] + told["correction_s"] - told["right"]
    assert abs(wrong_s) <= told["bound_s"] + 0.001 + told["set_within_s"]  # when it was set is known no better
    found = f"step found in {told['after_s'] * 1000:.0f} ms"
    figures("clock", f"1970 boot: placed {wrong_s * 1000:+.2f} ms from the truth, bound {told['bound_s'] * 1000:.2f} ms; {found}")
