"""docs/install.md, done: a machine of its own boots with systemd as process 1; the unit is installed, killed, frozen, misled.

The machine is systemd-nspawn over a copy-on-write image of this one, without any network but its own loopback, and without the right to set
the clock. Skipped where that can not be made (no root, no nspawn, no overlay file system, no index to download the locked wheels from).
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kit.processes import DEADLINE_S, until
from kit.repository import ROOT

LINE = "/etc/ebr-gateway/granulation-2"
UNIT = "ebr-gateway@granulation-2"
BOOT_S = 60.0

pytestmark = pytest.mark.timeout(900)


class Machine:
    """A booted machine; commands run in it as root, with nothing of this process's environment."""

    def __init__(self, root: Path) -> None:
        self.root = root
        options = ("--private-network", "--register=no", "--keep-unit", "--quiet", "--system-call-filter=adjtimex clock_adjtime")
        with (root / "console.log").open("wb") as console:
            self.process = subprocess.Popen(
                ["systemd-nspawn", "-D", str(root), "--boot", *options], stdin=subprocess.DEVNULL, stdout=console, stderr=console
            )
        self.leader = int(until(self._leader, BOOT_S))
        until(lambda: self.run("systemctl is-system-running || true").strip() in ("running", "degraded"), BOOT_S)

    def _leader(self) -> str:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return next((child for child in children if Path(f"/proc/{child}/comm").read_text() == "systemd\n"), "")

    def run(self, script: str, *, check: bool = True) -> str:
        clean = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}
        done = subprocess.run(
            ["nsenter", "-t", str(self.leader), "-a", "bash", "-c", script],
            capture_output=True,
            text=True,
            env=clean,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0 or not check, f"{script}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def gateway(self, words: str, *, check: bool = True) -> str:
        """As the service's own user."""
        return self.run(f"runuser -u ebr-gateway -- ebr-gateway {words}", check=check)

    def property(self, name: str) -> str:
        return self.run(f"systemctl show -p {name} --value {UNIT}").strip()

    def off(self) -> None:
        self.run("systemctl poweroff", check=False)
        try:
            self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    if os.geteuid() != 0 or shutil.which("systemd-nspawn") is None:
        pytest.skip("needs root and systemd-nspawn (Debian's systemd-container)")
    ram = tmp_path_factory.mktemp("machine")
    with _mounted(["-t", "tmpfs", "none"], ram):
        for name in ("upper", "work", "root"):
            (ram / name).mkdir()
        overlay = ["-t", "overlay", "overlay", "-o", f"lowerdir=/,upperdir={ram / 'upper'},workdir={ram / 'work'}"]
        with _mounted(overlay, ram / "root"):
            _carry_media(ram / "root" / "root" / "media")
            booted = Machine(ram / "root")
            try:
                yield booted
            finally:
                booted.off()


class _mounted:  # noqa: N801 - reads as a word where it is used
    def __init__(self, options: list[str], where: Path) -> None:
        self.options, self.where = options, where

    def __enter__(self) -> None:
        done = subprocess.run(["mount", *self.options, str(self.where)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "-l", str(self.where)], check=True)


def _carry_media(media: Path) -> None:
    """What docs/install.md asks for on the medium."""
    (media / "locks").mkdir(parents=True)
    shutil.copy(ROOT / "locks" / "run.txt", media / "locks")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", media], cwd=ROOT, capture_output=True, check=True)
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
    return machine


def _until_ready(machine: Machine) -> None:
    until(lambda: machine.run(f"runuser -u ebr-gateway -- ebr-gateway ready {LINE} && echo good", check=False).endswith("good\n"))


def _killed(machine: Machine, number: signal.Signals) -> tuple[str, float]:
    """Send a signal to the gateway; its new pid and how long it took until systemd had another."""
    before, begun_s = machine.property("MainPID"), time.monotonic()
    machine.run(f"kill -{number.value} {before}")
    after = until(lambda: pid if (pid := machine.property("MainPID")) not in (before, "0") else "")
    return str(after), time.monotonic() - begun_s


@pytest.mark.urs("URS-OPS-05", "URS-SEC-06", "URS-DAQ-11")
def test_it_starts_as_documented_and_comes_back_from_a_kill(installed: Machine, figures: Callable[[str, str], None]) -> None:
    assert installed.property("ActiveState") == "active"
    assert installed.run(f"ps -o user= -p {installed.property('MainPID')}").strip() == "ebr-gateway"
    _, gone_s = _killed(installed, signal.SIGKILL)
    _until_ready(installed)
    figures("systemd", f"SIGKILL: systemd starts it again after {gone_s:.1f} s")
    events = [json.loads(line).get("event", {}) for line in installed.gateway(f"log {LINE}").splitlines()]
    assert "unclean-start" in [event.get("action") for event in events]
    opened = [event["cause"] for event in events if event.get("type") == "gap" and event["transition"] == "open"]
    assert opened[-1] == "gateway-crashed"
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
    until(lambda: installed.property("ActiveState") == "failed")
    assert (installed.property("ExecMainStatus"), installed.property("NRestarts")) == ("2", "0")
    assert re.search(r"line\.toml:\d+: unknown driver", installed.run(f"journalctl --no-pager -u {UNIT}"))
    installed.run(f"cp /root/good.toml {LINE}/line.toml; systemctl reset-failed {UNIT}; systemctl start {UNIT}")
    _until_ready(installed)


@pytest.mark.urs("URS-AUD-01", "URS-SEC-06")
def test_it_stops_in_order_and_can_not_set_the_clock(installed: Machine) -> None:
    pid = installed.property("MainPID")
    assert re.search(r"CapBnd:\s+0+\n", installed.run(f"cat /proc/{pid}/status"))
    installed.run(f"systemctl stop {UNIT}")
    assert (installed.property("Result"), installed.property("ExecMainStatus")) == ("success", "0")
    last = [json.loads(line).get("event", {}) for line in installed.gateway(f"log {LINE}").splitlines()][-2:]
    assert "stop" in [event.get("action") for event in last]
    assert installed.gateway(f"verify {LINE}").startswith("GOOD")
