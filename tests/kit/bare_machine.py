"""A machine that is told apart by what a journal can see of one: its id, its files, its processes, its network. No boot, no systemd."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from kit.processes import COMMAND, DEADLINE_S, ended, until

_MADE = """
set -e
mount --make-rprivate /
mount --bind "$1" /etc/machine-id
shift
for hidden in "$@"; do mount -t tmpfs none "$hidden"; done
ip link set lo up
hostname {name}
touch {ready}
exec sleep infinity
"""


class BareMachine:
    """Runs commands in it, as root; of the network it has its own loopback alone."""

    def __init__(self, leader: int) -> None:
        self._within = ["nsenter", "-t", str(leader), "-m", "-n", "-u", "-p"]

    def run(self, *words: str | Path, timeout_s: float = 10 * DEADLINE_S) -> subprocess.CompletedProcess[str]:
        """Run `ebr-gateway` to its end."""
        line = [*self._within, str(COMMAND), *map(str, words)]
        return subprocess.run(line, capture_output=True, text=True, timeout=timeout_s, check=False)

    def shell(self, script: str) -> str:
        """Run a script, and return what it wrote."""
        return subprocess.run([*self._within, "sh", "-c", script], capture_output=True, text=True, check=True).stdout

    @contextmanager
    def process(self, *words: str | Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
        """Run `ebr-gateway` for as long as the block lasts; it is ended in order, unless the test did."""
        # nsenter with a process space forks, and a signal to it ends it alone: the command is told by the shell that it left its number to
        number = log.with_suffix(".pid")
        number.unlink(missing_ok=True)
        script = 'echo $$ > "$0"; exec "$@"'
        with log.open("ab") as out:
            child = subprocess.Popen(
                [*self._within, "sh", "-c", script, str(number), str(COMMAND), *map(str, words)], stdout=out, stderr=out
            )
        until(lambda: number.exists() and number.read_text().strip())
        try:
            yield child
        finally:
            self.signal(number, "TERM")
            with ended(child):
                until(lambda: child.poll() is not None)

    def signal(self, number: Path, name: str) -> None:
        """Send a signal to a process that `process` runs; none if it has ended."""
        self.shell(f"kill -{name} {number.read_text().strip()} 2>/dev/null || true")


@contextmanager
def bare_machine(folder: Path, name: str, machine_id: str, hidden: Sequence[Path] = ()) -> Iterator[BareMachine]:
    """Make one. folder: for its own things; hidden: folders of other machines, empty in it. Skips the test where it can not be made."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "nsenter", "ip"))) or not Path("/etc/machine-id").exists():
        pytest.skip("needs root, unshare, nsenter, ip and a machine id")
    folder.mkdir()
    (folder / "machine-id").write_text(machine_id + "\n")
    ready = folder / "ready"
    script = _MADE.format(name=name, ready=ready)
    spaces = ["unshare", "--mount", "--net", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]
    child = subprocess.Popen([*spaces, "sh", "-c", script, "sh", str(folder / "machine-id"), *map(str, hidden)], stderr=sys.stderr)
    try:
        until(lambda: ready.exists() or child.poll() is not None)
        if child.poll() is not None:
            pytest.skip("namespaces can not be made here")
        children = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
        yield BareMachine(int(children[0]))
    finally:
        child.kill()
        child.wait()
