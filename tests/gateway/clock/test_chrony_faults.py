"""A real chronyd on loopback, without any right to set the clock, followed by the gateway's clock through all its states."""

import asyncio
import shutil
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from gateway.clock import Clock, Limits
from gateway.clock.chrony import ChronyReader
from gateway.clock.daemon_reading import Unreadable
from simulators.ntp import NtpResponder

pytestmark = [pytest.mark.chrony, pytest.mark.skipif(shutil.which("chronyd") is None, reason="needs Debian's chrony")]


class Chronyd:
    """One daemon with files and command port of its own."""

    def __init__(self, folder) -> None:
        self.folder = folder
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process: asyncio.subprocess.Process | None = None

    async def start(self, servers: list[NtpResponder], *more: str) -> None:
        lines = [f"server {one.host} port {one.port} iburst minpoll 0 maxpoll 0" for one in servers]
        own = [
            f"cmdport {self.port}",
            "bindcmdaddress 127.0.0.1",
            "bindcmdaddress /",
            "port 0",
            f"pidfile {self.folder}/pid",
            "maxclockerror 50",
        ]
        (self.folder / "chrony.conf").write_text("\n".join([*lines, *own, *more, ""]))
        with (self.folder / "log").open("wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                "chronyd", "-x", "-d", "-u", "root", "-U", "-f", str(self.folder / "chrony.conf"), stdout=log, stderr=log
            )

    async def stop(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.terminate()
            await self.process.wait()


@pytest.fixture
async def servers():
    made = [NtpResponder(f"127.0.0.{number}") for number in (2, 3, 4)]
    for server in made:
        await server.start()
    yield made
    for server in made:
        await server.stop()


@pytest.fixture
async def chronyd(tmp_path):
    tmp_path.chmod(0o755)
    daemon = Chronyd(tmp_path)
    yield daemon
    await daemon.stop()


async def follow(clock: Clock, state: Callable[[], bool], deadline_s: float) -> None:
    """Read and look as the watch does, but more often."""
    async with asyncio.timeout(deadline_s):
        while not state():
            await clock.read()
            await asyncio.sleep(0.2)  # the pace of the watch, made faster; the state is waited for


def made(daemon: Chronyd, **limits: Any) -> tuple[Clock, list[dict[str, Any]]]:
    events: list[dict[str, Any]] = []
    given = {"least_interval_s": 0.5, "longest_holdover_s": 25.0, "unreadable_after_s": 3.0, **limits}
    clock = Clock(Limits(**given), [ChronyReader(host="127.0.0.1", port=daemon.port)])
    clock._on_event = events.append
    return clock, events


def kinds(events) -> list[str]:
    return [event["kind"] for event in events if event.get("kind") != "reference-change" and event["type"] == "clock"]


@pytest.mark.urs("URS-TIME-04", "URS-TIME-05", "URS-TIME-06")
async def test_synchronised_holdover_unsynchronised_and_back(chronyd, servers, figures):
    began_s = time.monotonic()
    walk: list[str] = []

    def passed(state: str) -> None:
        bound_s = clock.stamp().bound_s
        walk.append(f"{state} at {time.monotonic() - began_s:.1f} s (bound {'none' if bound_s is None else f'{bound_s * 1000:.2f} ms'})")

    clock, events = made(chronyd)
    await chronyd.start(servers)
    await follow(clock, lambda: (clock.stamp().bound_s or 1.0) < 0.01, 30)
    assert clock.stamp().status == "synchronised"
    passed("synchronised")
    for server in servers:
        server.faults.silent = True
    passed("servers silent")
    await follow(clock, lambda: clock.stamp().status == "holdover", 30)
    passed("holdover")
    assert clock.describe()["reference"]["leap"] == "none", "chronyd itself still says that all is well"
    await follow(clock, lambda: clock.stamp().status == "unsynchronised", 60)
    passed("unsynchronised")
    for server in servers:
        server.faults.silent = False
    await follow(clock, lambda: clock.stamp().status == "synchronised", 40)
    passed("back")
    figures("clock", "real chronyd: " + ", ".join(walk))
    found = kinds(events)
    assert [kind for kind in found if kind != "recovered"][-4:] == ["synchronised", "holdover", "unsynchronised", "synchronised"]
    assert found[-1] == "recovered"
    assert abs(next(e for e in reversed(events) if e["kind"] == "recovered")["correction_s"]["start"]) < 0.05, (
        "this clock was right all the time"
    )


@pytest.mark.urs("URS-TIME-05")
async def test_a_daemon_that_dies_makes_the_state_unknown(chronyd, servers):
    clock, events = made(chronyd)
    await chronyd.start(servers)
    await follow(clock, lambda: clock.stamp().status == "synchronised", 30)
    await chronyd.stop()
    await follow(clock, lambda: clock.stamp().status == "unknown", 30)
    assert "could not be read" in clock.describe()["reason"]
    assert "unknown" in kinds(events)


async def test_a_falseticker_is_named_and_does_not_lead_astray(chronyd, servers, figures):
    clock, _ = made(chronyd)
    servers[0].faults.offset_s = 5.0
    await chronyd.start(servers)

    def right() -> bool:
        stamp = clock.stamp()
        assert stamp.status != "synchronised" or stamp.bound_s < 1.0, "never by the one that is 5 s off"
        named = "127.0.0.2 stratum 1 falseticker" in (clock.describe()["reference"] or {}).get("detail", "")
        return named and stamp.status == "synchronised"  # a false one may be named before another is chosen

    await follow(clock, right, 40)
    told = clock.describe()["reference"]
    figures("clock", f"real chronyd, one of three servers 5 s off: {told['detail']}; bound {told['bound_s'] * 1000:.2f} ms")


@pytest.mark.urs("URS-TIME-05")
async def test_a_daemon_that_follows_itself_is_not_trusted(chronyd):
    clock, _ = made(chronyd)
    await chronyd.start([], "local stratum 10")
    await follow(clock, lambda: (clock.describe()["reference"] or {}).get("local") is True, 30)
    assert clock.stamp().status == "unsynchronised"
    assert "local mode" in clock.describe()["reason"]


async def test_nobody_listens(chronyd):
    with pytest.raises(Unreadable, match="506"):
        await ChronyReader(host="127.0.0.1", port=chronyd.port).read()
