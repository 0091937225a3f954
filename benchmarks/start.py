"""What a start costs: CPU seconds of each command that asks, and of a line of 1,000 tags until its first reading is in the journal.

CPU seconds are those of the user and the system, and hold on a busy machine as well; seconds that pass do not. Medians of RUNS runs.
Usage: python benchmarks/start.py [commands|lines]
"""

import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import orjson

from buffer import JournalError, read_journal
from gateway.demo.processes import COMMAND
from simulators.line.endpoints import free_ports

RUNS, TAGS, WITHIN_S = 5, 1_000, 60.0
ASKING = (["--help"], ["status"], ["status", "--json"], ["ready"], ["quarantine", "list"], ["users", "list"], ["keys", "show"])
OTHERS = (["check"], ["verify"], ["log"])


def line_of(folder: Path, driver: str) -> Path:
    """Write a line of one source with 1,000 tags, and no uplink."""
    port = next(free_ports())
    text = '[line]\nsite = "bench"\nname = "start"\ntimezone = "UTC"\n\n[[source]]\nname = "plc"\nrate_ms = 1000\n'
    if driver == "opcua":
        text += f'driver = "opcua"\nendpoint = "opc.tcp://127.0.0.1:{port}"\n'
        text += 'security = { policy = "None" }\nnamespaces = { plc = "urn:example:bench" }\n'
        addresses = [f"plc:s=t{number}" for number in range(TAGS)]
    else:
        text += f'driver = "modbus"\nendpoint = "tcp://127.0.0.1:{port}"\n'
        addresses = [f"1/holding/{2 * number}:uint32:ABCD" for number in range(TAGS)]
    folder.mkdir(parents=True)
    (folder / "line.toml").write_text(text)
    rows = [f"plc.t{number:04},plc,{address},uint32" for number, address in enumerate(addresses)]
    (folder / "tags.csv").write_text("\n".join(["tag,source,address,type", *rows]) + "\n")
    return folder


@contextmanager
def process(*words: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command for as long as the block lasts."""
    with log.open("ab") as out:
        child = subprocess.Popen([*COMMAND, *words], stdout=out, stderr=out)
    try:
        yield child
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait()


def cpu_s(pid: int) -> float:
    """Return the user and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def command_cpu_s(words: list[str]) -> float:
    """Run a command to its end; return its user and system time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*COMMAND, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def commands(line: Path) -> None:
    """Print what each command costs, beside a running gateway."""
    print(f"{'command':24}{'CPU s':>8}")
    for words in (*ASKING, *OTHERS):
        given = words if words == ["--help"] else [*words, str(line)]
        print(f"{' '.join(words):24}{statistics.median(command_cpu_s(given) for _ in range(RUNS)):8.3f}")


class Started(NamedTuple):
    """One start up to its first reading; seconds."""

    took_s: float
    cpu_s: float


def first_reading(line: Path, end: signal.Signals) -> Started:
    """Start the gateway, wait for its first reading in the journal, and end it by a signal."""
    data = line / "data"
    last = max(((entry.epoch, entry.seq) for entry in read_journal(data)), default=(0, 0)) if data.exists() else (0, 0)
    begun = time.monotonic()
    with (line.parent / "gateway.log").open("ab") as out:
        gateway = subprocess.Popen([*COMMAND, "run", str(line)], stdout=out, stderr=out)
    try:
        while True:
            with suppress(JournalError, FileNotFoundError):  # of a journal that is being made
                for entry in read_journal(data, last):
                    last = (entry.epoch, entry.seq)
                    if "readings" in orjson.loads(entry.payload):
                        return Started(time.monotonic() - begun, cpu_s(gateway.pid))
            if gateway.poll() is not None or time.monotonic() - begun > WITHIN_S:
                raise SystemExit((line.parent / "gateway.log").read_text()[-2000:])
            time.sleep(0.01)
    finally:
        gateway.send_signal(end)
        gateway.wait()


def starts(line: Path, name: str) -> None:
    """Print what starts cost: of a new journal, after a stop in order, after SIGKILL."""
    found: dict[str, list[Started]] = {"new journal": [], "after SIGTERM": [], "after SIGKILL": []}
    for run in range(RUNS):
        if (line / "data").exists():
            (line / "data").rename(line.parent / f"data-{run}")
        for kind, end in (("new journal", signal.SIGTERM), ("after SIGTERM", signal.SIGKILL), ("after SIGKILL", signal.SIGTERM)):
            found[kind].append(first_reading(line, end))
    for kind, all_of in found.items():
        took, cpu = (statistics.median(column) for column in zip(*all_of, strict=True))
        print(f"{name + ', ' + kind:34}{cpu:8.2f}{took:12.2f}")


def main() -> None:
    """Print the tables."""
    what = sys.argv[1:] or ["commands", "lines"]
    if "lines" in what:
        print(f"{f'until the first of {TAGS:,} tags':34}{'CPU s':>8}{'seconds':>12}")
    for driver in ("opcua", "modbus"):
        with tempfile.TemporaryDirectory(prefix="bench-start-") as made:
            base = Path(made)
            line = line_of(base / "line", driver)
            with process("simulate", str(line), log=base / "plant.log"):
                while "serving" not in (base / "plant.log").read_text():
                    time.sleep(0.05)
                if "lines" in what:
                    starts(line, driver)
                elif driver == "modbus":
                    first_reading(line, signal.SIGTERM)
                if "commands" in what and driver == "modbus":
                    with process("run", str(line), log=base / "gateway.log"):
                        while not (line / "data" / "control.sock").exists():
                            time.sleep(0.05)
                        commands(line)


if __name__ == "__main__":
    main()
