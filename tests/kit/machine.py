"""A machine of its own that boots with systemd as process 1, over a copy-on-write image of this one, with no network but loopback."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kit.processes import DEADLINE_S, until

BOOT_S = 60.0


class Machine:
    """A booted machine; commands run in it as root, with nothing of this process's environment."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._boot()

    def _boot(self) -> None:
        root = self.root
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

    def run(self, script: str, *, check: bool = True, within_s: float = 900.0) -> str:
        clean = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}
        done = subprocess.run(
            ["nsenter", "-t", str(self.leader), "-a", "bash", "-c", script],
            capture_output=True,
            text=True,
            env=clean,
            timeout=within_s,
            check=False,
        )
        assert done.returncode == 0 or not check, f"{script}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def gateway(self, words: str, *, check: bool = True) -> str:
        """As the service's own user."""
        return self.run(f"runuser -u ebr-gateway -- ebr-gateway {words}", check=check)

    def property(self, name: str, unit: str) -> str:
        return self.run(f"systemctl show -p {name} --value {unit}").strip()

    def cut_power(self) -> None:
        """End every process at once, and boot again from what lies on the disk."""
        subprocess.run(["kill", "-9", str(self.leader)], check=True)
        self.process.wait(DEADLINE_S)
        self._boot()

    def off(self) -> None:
        self.run("systemctl poweroff", check=False)
        try:
            self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def booted(ram: Path, carry: Callable[[Path], None]) -> Iterator[Machine]:
    """Boot it. ram: an empty folder; carry: fills the folder of the medium, /root/media there. Skips the test where it can not be made."""
    if os.geteuid() != 0 or shutil.which("systemd-nspawn") is None:
        pytest.skip("needs root and systemd-nspawn (Debian's systemd-container)")
    with mounted(["-t", "tmpfs", "none"], ram):
        for name in ("upper", "work", "root"):
            (ram / name).mkdir()
        overlay = ["-t", "overlay", "overlay", "-o", f"lowerdir=/,upperdir={ram / 'upper'},workdir={ram / 'work'}"]
        with mounted(overlay, ram / "root"):
            carry(ram / "root" / "root" / "media")
            machine = Machine(ram / "root")
            try:
                yield machine
            finally:
                machine.off()


class mounted:  # noqa: N801 - reads as a word where it is used
    def __init__(self, options: list[str], where: Path) -> None:
        self.options, self.where = options, where

    def __enter__(self) -> None:
        done = subprocess.run(["mount", *self.options, str(self.where)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "-l", str(self.where)], check=True)
