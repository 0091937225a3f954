"""Somebody publishes a message on the receipts topic that is larger than any receipt: it takes no memory, and the uplink goes on."""

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from kit.mosquitto_site import BROKER, Site
from kit.processes import eventually

pytestmark = [pytest.mark.mosquitto, pytest.mark.skipif(not Path(BROKER).exists(), reason="Debian's mosquitto is not installed")]

SIZE_BYTES = 100_000_000
PUBLISH = """
import sys
from paho.mqtt import publish
publish.single(sys.argv[2], bytes(int(sys.argv[3])), qos=1, port=int(sys.argv[1]))
"""


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with Site.open(tmp_path) as site:
        yield site


def memory_bytes(name: str) -> int:
    """A figure of this process (proc(5), /proc/pid/status): VmRSS now, VmHWM the most since it was set back."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def begin_memory_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins anew


def publish(site: Site) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", PUBLISH, str(site.port), "ebr/lyon/granulation-2/receipts", str(SIZE_BYTES)]
    return subprocess.Popen(command)


@pytest.mark.bar("S03")
@pytest.mark.urs("URS-UPL-03")
@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_a_message_of_100_mb_takes_no_memory_and_stops_nothing(site: Site, version: str) -> None:
    await site.broker("allow_anonymous true")
    await site.receive()
    site.append(5)
    forward = site.forward(version=version)
    site.run(forward)
    await eventually(site.delivered)
    begin_memory_peak()
    before_bytes = memory_bytes("VmRSS")
    process = publish(site)
    await eventually(lambda: process.poll() is not None)
    assert process.returncode == 0
    for _ in range(3):
        site.append(5)
        await eventually(site.delivered)
    assert memory_bytes("VmHWM") - before_bytes < SIZE_BYTES // 4
    assert site.stored_alike()
