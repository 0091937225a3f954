"""docs/install.md, done: a machine of its own boots with systemd as process 1; the unit is installed, killed, frozen, misled.

The machine is systemd-nspawn over a copy-on-write image of this one, without any network but its own loopback, and without the right to set
the clock. Skipped where that can not be made (no root, no nspawn, no overlay file system, no index to download the locked wheels from).
"""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kit.machine import Machine, booted
from kit.processes import until
from kit.repository import ROOT

LINE = "/etc/ebr-gateway/granulation-2"
UNIT = "ebr-gateway@granulation-2"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
RELEASED = """
import runpy, sys
from pathlib import Path
from buffer import keys
release = runpy.run_path("tools/release.py")
release["build"](sys.argv[1], keys.create(Path(sys.argv[2]), release["KEY_NAME"]))
"""
"""A release of the commit, signed with a key that is made for it; nothing is tagged."""

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with booted(tmp_path_factory.mktemp("machine"), _carry_media) as made:
        yield made


def _carry_media(media: Path) -> None:
    """What docs/install.md asks for on the medium."""
    tree, made = media / "tree", media / "tree" / "dist" / f"ebr-gateway-{VERSION}"
    media.mkdir(parents=True)
    subprocess.run(["git", "clone", "-q", ROOT, tree], check=True)
    subprocess.run([sys.executable, "-c", RELEASED, VERSION, media / "release.key"], cwd=tree, capture_output=True, check=True)
    shutil.move(made / "locks", media / "locks")
    shutil.move(next(made.glob("*.whl")), media)
    shutil.move(media / "release.key.pub", media / "ebr-gateway-release.pub")
    shutil.rmtree(tree)
    download: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--require-hashes",
        "-r",
        media / "locks" / "run.txt",
        "-d",
        media / "wheels",
    ]
    done = subprocess.run(download, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("the locked wheels can not be downloaded here")


def _steps(number: int) -> str:
    """The commands of a section of docs/install.md, as they are printed there."""
    text = (ROOT / "docs" / "install.md").read_text().split(f"## {number}. ")[1].split("\n## ")[0]
    return "\n".join(line[4:] for line in text.splitlines() if line.startswith("    ") and not line.startswith("     "))


@pytest.fixture(scope="module")
def installed(machine: Machine) -> Machine:
    """Sections 1 to 3 of the page, then a simulated plant and an EBR beside it, then section 6."""
    machine.run("ip link set lo up; rm -rf /etc/ebr-gateway /var/lib/ebr-gateway /opt/ebr-gateway; install -d /etc/sysusers.d")
    machine.run(f"set -e; cd /root/media; {_steps(1)}")
    machine.run(f"set -e; {_steps(2)}")
    made, told = _steps(3).split("[buffer]")
    machine.run(f"set -e; {made}")
    directory = re.search(r'directory = "(.*)"', told)
    assert directory is not None
    machine.run(f"sed -i 's|^directory = .*|{directory[0]}|' {LINE}/line.toml; ebr-gateway check {LINE}")
    machine.run(f"systemd-run -q --unit=sim ebr-gateway simulate {LINE} --truth /root/truth")
    machine.run("mkdir -p /root/store; systemd-run -q --unit=ebr ebr-gateway ebr --store /root/store --http 8443")
    machine.run(f"systemctl enable --now {UNIT}")
    _until_ready(machine)
    until(lambda: "ebr-gateway/readings/1" in machine.gateway(f"log {LINE} --format jsonl"))  # connected is not yet observed
    return machine


def _until_ready(machine: Machine) -> None:
    until(lambda: machine.run(f"runuser -u ebr-gateway -- ebr-gateway ready {LINE} && echo good", check=False).endswith("good\n"))


def _killed(machine: Machine, number: signal.Signals) -> tuple[str, float]:
    """Send a signal to the gateway; its new pid and how long it took until systemd had another."""
    before, begun_s = machine.property("MainPID", UNIT), time.monotonic()
    machine.run(f"kill -{number.value} {before}")
    after = until(lambda: pid if (pid := machine.property("MainPID", UNIT)) not in (before, "0") else "")
    return str(after), time.monotonic() - begun_s


@pytest.mark.urs("URS-OPS-05", "URS-SEC-06", "URS-DAQ-11")
def test_it_starts_as_documented_and_comes_back_from_a_kill(installed: Machine, figures: Callable[[str, str], None]) -> None:
    assert installed.property("ActiveState", UNIT) == "active"
    assert installed.run(f"ps -o user= -p {installed.property('MainPID', UNIT)}").strip() == "ebr-gateway"
    _, gone_s = _killed(installed, signal.SIGKILL)
    _until_ready(installed)
    figures("systemd", f"SIGKILL: systemd starts it again after {gone_s:.1f} s")
    events = [json.loads(line).get("event", {}) for line in installed.gateway(f"log {LINE} --format jsonl").splitlines()]
    assert "unclean-start" in [event.get("action") for event in events]
    opened = [event["cause"] for event in events if event.get("type") == "gap" and event["transition"] == "open"]
    assert "gateway-crashed" in opened  # a busy machine starts it so late that a queue has run over as well
    assert installed.gateway(f"verify {LINE}").startswith("GOOD")


@pytest.mark.bar("F43")
@pytest.mark.urs("URS-OPS-05")
def test_a_frozen_gateway_is_found_by_the_watchdog(installed: Machine, figures: Callable[[str, str], None]) -> None:
    _, frozen_s = _killed(installed, signal.SIGSTOP)
    _until_ready(installed)
    assert "Watchdog timeout" in installed.run(f"journalctl --no-pager -u {UNIT}")
    figures("systemd", f"SIGSTOP: the watchdog starts it again after {frozen_s:.1f} s")


@pytest.mark.urs("URS-MAP-02")
def test_a_folder_with_a_problem_is_told_once_and_not_tried_again(installed: Machine) -> None:
    installed.run(f"cp {LINE}/line.toml /root/good.toml; sed -i 's/^driver = .*/driver = \"opcuaa\"/' {LINE}/line.toml")
    installed.run(f"systemctl restart {UNIT}", check=False)
    until(lambda: installed.property("ActiveState", UNIT) == "failed")
    assert (installed.property("ExecMainStatus", UNIT), installed.property("NRestarts", UNIT)) == ("2", "0")
    assert re.search(r"line\.toml:\d+: unknown driver", installed.run(f"journalctl --no-pager -u {UNIT}"))
    installed.run(f"cp /root/good.toml {LINE}/line.toml; systemctl reset-failed {UNIT}; systemctl start {UNIT}")
    _until_ready(installed)


@pytest.mark.urs("URS-AUD-01", "URS-SEC-06")
def test_it_stops_in_order_and_can_not_set_the_clock(installed: Machine) -> None:
    pid = installed.property("MainPID", UNIT)
    assert re.search(r"CapBnd:\s+0+\n", installed.run(f"cat /proc/{pid}/status"))
    installed.run(f"systemctl stop {UNIT}")
    assert (installed.property("Result", UNIT), installed.property("ExecMainStatus", UNIT)) == ("success", "0")
    last = [json.loads(line).get("event", {}) for line in installed.gateway(f"log {LINE} --format jsonl").splitlines()][-2:]
    assert "stop" in [event.get("action") for event in last]
    assert installed.gateway(f"verify {LINE}").startswith("GOOD")
