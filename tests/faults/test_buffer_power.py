"""Power cuts: every write, sync and removal of a real run is recorded, and the disk rebuilt as it may have been at each instant.

What was synced is there. What was not is, sector by sector, there or not, in any order; a name is there once its folder was synced.
"""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from buffer import Body, Journal
from buffer.verify import verify

GATEWAY = "lyon/granulation-2"
SECTOR = 512
STRACE = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")

RUN = """
import os, sys
from pathlib import Path
from buffer import Body, Journal, keys
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
journal = Journal.open(Path(sys.argv[1]), "lyon/granulation-2", commit_interval_s=0.001, retain_s=0, max_bytes=1 << 40)
signer = keys.Signer("lyon/granulation-2", Ed25519PrivateKey.generate())
journal.uplink("ebr", True)
def say(text):
    os.write(1, text.encode())
def append(count):
    first = journal.next_seq
    bodies = [Body("ebr-gateway/readings/1", b'"time":"2026-11-22T07:15:02.5Z","n":%d}' % (first + i)) for i in range(count)]
    last = journal.append(bodies, watermark=("mes", {"n": first + count - 1}), state=b"s", urgent=True).result()
    say(f"ack {last};")
say(f"epoch {journal.opened.epoch};")
append(5)
append(4000)
for count in (40, 1, 40, 5, 9, 30, 1, 2, 3, 60, 5):
    append(count)
    if count == 5:
        entry = journal.read((journal.opened.epoch, journal.last[1] - 1), max_bytes=1)[0]
        journal.acknowledge("ebr", entry.epoch, entry.seq, entry.digest)
        journal.checkpoint(signer)
journal.prune(None)
for count in (1, 2, 20):
    append(count)
journal.close()
say("closed;")
"""


@dataclass(frozen=True)
class Step:
    """One system call: write (at, data), truncate (at), sync, unlink, rename (to), create; or `said`: what the program promised."""

    what: str
    path: str
    at: int = 0
    data: bytes = b""
    to: str = ""


CALL = re.compile(r"^(\d+) +(\w+)\((.*)\) += (-?\d+)")
NAME = re.compile(r"<([^>]*)>")


def recorded(folder: Path) -> list[Step]:
    """Run the program under strace, return its steps in the order in which they took effect."""
    trace = folder / "trace"
    calls = "openat,pwrite64,write,ftruncate,fsync,fdatasync,unlink,rename"
    command = ["strace", "-f", "-qq", "-y", "-xx", "-s", "1000000", "-o", str(trace), "-e", f"trace={calls}"]
    subprocess.run([*command, sys.executable, "-c", RUN, str(folder / "journal")], check=True, stdout=subprocess.DEVNULL)
    return [step for line in lines(trace) for step in steps(line, str(folder / "journal") + "/")]


def lines(trace: Path) -> Iterator[str]:
    """Whole calls: those that another thread interrupted put together again, where they ended."""
    begun: dict[str, str] = {}
    for line in trace.read_text().splitlines():
        process = line.split(" ", 1)[0]
        if line.endswith("<unfinished ...>"):
            begun[process] = line.removesuffix("<unfinished ...>").rstrip()
        elif " resumed>" in line:
            yield begun.pop(process) + line.partition(" resumed>")[2]
        else:
            yield line


def unhex(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def steps(line: str, root: str) -> Iterator[Step]:
    match = CALL.match(line)
    if match is None or int(match[4]) < 0:
        return
    call, arguments = match[2], match[3]
    quoted = [unhex(text) for text in re.findall(r'"((?:\\x[0-9a-f]{2})*)"', arguments)]
    name = NAME.search(arguments)
    path = unhex(name[1]).decode() if name and name[1].startswith("\\x") else name[1] if name else ""
    inside = path.removeprefix(root) if path.startswith(root) else "." if path + "/" == root else None
    match call:
        case "write" if arguments.startswith("1<") and quoted:
            yield Step("said", "", data=quoted[0])
        case "pwrite64" if inside is not None:
            yield Step("write", inside, int(arguments.rsplit(",", 1)[1]), quoted[0])
        case "ftruncate" if inside is not None:
            yield Step("truncate", inside, int(arguments.rsplit(",", 1)[1]))
        case "fsync" | "fdatasync" if inside is not None:
            yield Step("sync", inside)
        case "unlink" if quoted[0].decode().startswith(root):
            yield Step("unlink", quoted[0].decode().removeprefix(root))
        case "openat" if "O_CREAT" in arguments and quoted[-1].decode().startswith(root):
            yield Step("create", quoted[-1].decode().removeprefix(root))


@dataclass
class File:
    """A file as it is, as it was when synced, and what was done since."""

    now: bytearray = field(default_factory=bytearray)
    synced: bytes = b""
    since: list[Step] = field(default_factory=list)


class Disk:
    """What may be on the disk: synced contents, and names that are there for sure, may be, or may be gone."""

    def __init__(self) -> None:
        self.files: dict[str, File] = {}
        self.named: dict[str, File] = {}
        self.version = 0

    def do(self, step: Step) -> None:
        match step.what:
            case "create":
                self.files.setdefault(step.path, File())
            case "write" | "truncate":
                file = self.files[step.path]
                apply(file.now, step)
                file.since.append(step)
            case "sync" if step.path in self.files:
                file = self.files[step.path]
                file.synced, file.since = bytes(file.now), []
                self.version += 1
            case "sync":
                kept = {name: file for name, file in self.named.items() if str(Path(name).parent) != step.path}
                self.named = kept | {name: file for name, file in self.files.items() if str(Path(name).parent) == step.path}
                self.version += 1
            case "unlink":
                self.files.pop(step.path, None)
                self.version += 1

    def cut(self, folder: Path, generator: random.Random | None) -> None:
        """Write the disk as it may be after a power cut. Without a generator: nothing that was not synced is there."""
        (folder / "segments").mkdir(parents=True)
        names = dict(self.named)
        if generator is not None:
            for name in set(self.files) ^ set(self.named):
                if generator.random() < 0.5:
                    names = {**names, name: self.files[name]} if name in self.files else {n: f for n, f in names.items() if n != name}
        for name, file in names.items():
            content = bytearray(file.synced)
            if generator is not None:
                for step in file.since:
                    tear(content, step, generator)
            (folder / name).write_bytes(content)


def apply(content: bytearray, step: Step) -> None:
    if step.what == "truncate":
        content[:] = content[: step.at].ljust(step.at, b"\0")
    else:
        content[:] = content.ljust(step.at, b"\0")
        content[step.at : step.at + len(step.data)] = step.data


def tear(content: bytearray, step: Step, generator: random.Random) -> None:
    """Some sectors of a write reach the disk, some do not."""
    if step.what == "truncate":
        if generator.random() < 0.5:
            apply(content, step)
        return
    at = step.at
    while at < step.at + len(step.data):
        end = min(at - at % SECTOR + SECTOR, step.at + len(step.data))
        if generator.random() < 0.5:
            apply(content, Step("write", step.path, at, step.data[at - step.at : end - step.at]))
        at = end


def survived(folder: Path, acked: int, epoch: int) -> str:
    """Start on that disk: everything promised is there, whole, under its identity, and nothing else ever gets one that was used."""
    journal = Journal.open(folder, GATEWAY, commit_interval_s=0.001, retain_s=0, max_bytes=1 << 20)
    try:
        after, seqs = (0, 0), []
        while page := journal.read(after, max_bytes=1 << 24, max_entries=5000):
            for entry in page:
                body = json.loads(entry.payload)
                assert body["n"] == entry.seq
                seqs.append(entry.seq)
            after = page[-1].epoch, page[-1].seq
        rows = journal._writer.do(journal._store.catalogue.segments).result()
        pruned = max((row.last or 0 for row in rows if row.state == "pruned"), default=0)
        # Of a transaction that was cut before it was promised some entries may be readable: they are kept, the others declared.
        event = journal.opened.epoch_event or {}
        declared = {seq for low, high in event.get("lost", []) for seq in range(low, high + 1)}
        missing = set(range(pruned + 1, max([acked, *seqs]) + 1)) - set(seqs)
        assert not {seq for seq in missing if seq <= acked}, f"{acked} were promised, {sorted(missing)[:5]} are not there"
        assert missing <= declared
        assert seqs == sorted(set(seqs))
        if acked:
            assert journal.opened.epoch >= epoch
            assert journal.watermark("mes").get("n", 0) >= acked
            assert journal.opened.epoch > epoch or journal.next_seq > acked
        body = b'"time":"2026-11-22T07:15:02.5Z","n":%d}' % journal.next_seq
        if journal.opened.epoch_event is not None:
            body = b'"time":"2026-11-22T07:15:02.5Z","event":%s}' % json.dumps(event).encode()
        journal.append([Body("ebr-gateway/event/1", body)], urgent=True).result()
    finally:
        journal.close()
    report = verify(folder)
    assert report.exit_code != 1, list(report.lines())
    return "new epoch" if acked and journal.opened.epoch > epoch else "same epoch"


def replay(trace: list[Step], *, every: int, torn: int) -> dict[str, int]:
    disk, acked, epoch = Disk(), 0, 0
    generator = random.Random(20261122)
    counted = {"steps": len(trace), "cuts": 0, "different disks": 0, "torn or reordered": 0, "new epoch": 0, "promised and lost": 0}
    seen: tuple[int, int] | None = None
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as shm:
        folder = Path(shm) / "journal"
        chosen = set(generator.sample(range(len(trace)), min(torn, len(trace)))) if torn < len(trace) else set(range(len(trace)))
        for number, step in enumerate(trace):
            if step.what == "said":
                for word in step.data.decode().split(";"):
                    kind, _, value = word.partition(" ")
                    acked, epoch = (int(value), epoch) if kind == "ack" else (acked, int(value)) if kind == "epoch" else (acked, epoch)
            else:
                disk.do(step)
            counted["cuts"] += 1
            if number % every == 0 and seen != (disk.version, acked):
                seen = disk.version, acked
                counted["different disks"] += 1
                one_cut(disk, folder, acked, epoch, None, counted, number)
            for turn in range(max(1, torn // len(trace)) if number in chosen else 0):
                counted["torn or reordered"] += 1
                one_cut(disk, folder, acked, epoch, random.Random(number * 1000 + turn), counted, number)
    return counted


def one_cut(
    disk: Disk, folder: Path, acked: int, epoch: int, generator: random.Random | None, counted: dict[str, int], number: int
) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    disk.cut(folder, generator)
    try:
        counted["new epoch"] += survived(folder, acked, epoch) == "new epoch"
    except BaseException as error:
        raise AssertionError(f"cut after step {number}, {'torn' if generator else 'synced only'}: {error}") from error


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> list[Step]:
    return recorded(tmp_path_factory.mktemp("recorded"))


@STRACE
@pytest.mark.faults
@pytest.mark.urs("URS-BUF-02")
def test_a_power_cut_at_every_step_loses_nothing_promised(trace: list[Step], figures: Callable[[str, str], None]) -> None:
    figures("F03", f"power cut, synced only: {replay(trace, every=1, torn=0)}")


@STRACE
@pytest.mark.faults
@pytest.mark.urs("URS-BUF-02")
def test_a_power_cut_that_tears_and_reorders_sectors_loses_nothing_promised(trace: list[Step], figures: Callable[[str, str], None]) -> None:
    figures("F04", f"power cut, torn and reordered: {replay(trace, every=1 << 30, torn=int(os.environ.get('CUTS', '2400')))}")
