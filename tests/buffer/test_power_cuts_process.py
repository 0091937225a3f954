"""Power cuts: every write, sync, rename and removal of a real run is recorded, and the disk rebuilt as it may have been at each instant.

What was synced is there. What was not is, sector by sector, there or not, in any order; a name is there once its folder was synced. The
run creates, appends, turns segments, acknowledges, holds, signs, prunes, is killed, recovers, and salvages two damaged files. Most cuts are
made with segments of 64 entries, so that all of that happens often; a shorter run has the real 4,096.
"""

import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest
from kit.journal_oracle import PHASES, RUN, Word, survived

import buffer.segment
import buffer.verify

SECTOR = 512
CUTS = int(os.environ.get("CUTS", "2400"))
JOBS = int(os.environ.get("POWER_JOBS", str(os.cpu_count() or 1)))


def traces() -> bool:
    """Whether strace is here and may trace: some containers forbid it."""
    strace = shutil.which("strace")
    return strace is not None and subprocess.run([strace, "-o", "/dev/null", "true"], capture_output=True, check=False).returncode == 0


STRACE = pytest.mark.skipif(not traces(), reason="needs strace")


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
QUOTED = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


def recorded(folder: Path, entries: int, appends: int) -> list[Step]:
    """Run the program under strace, return its steps in the order in which they took effect."""
    trace, journal = folder / "trace", folder / "journal"
    calls = "openat,pwrite64,write,ftruncate,fsync,fdatasync,unlink,rename,sendfile,copy_file_range"
    strace = ["strace", "-f", "-qq", "-y", "-xx", "-s", "1000000", "-A", "-o", str(trace), "-e", f"trace={calls}"]
    for phase in range(1, PHASES + 1):
        command = [*strace, sys.executable, "-c", RUN, str(journal), str(entries), str(phase), str(appends)]
        done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        assert done.returncode == (137 if phase in {1, 4} else 0), (phase, done.stderr.decode())
    return list(Parser(str(journal)).steps(trace))


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


def unhex(text: str) -> str:
    return bytes.fromhex(text.replace("\\x", "")).decode() if text.startswith("\\x") else text


class Parser:
    """From strace's lines to steps. Where a file stands that is written on without a place is counted."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.at: Counter[str] = Counter()

    def inside(self, path: str) -> str | None:
        return "." if path == self.root else path.removeprefix(f"{self.root}/") if path.startswith(f"{self.root}/") else None

    def steps(self, trace: Path) -> Iterator[Step]:
        for line in lines(trace):
            match = CALL.match(line)
            if match is not None and int(match[4]) >= 0:
                yield from self.of_call(match[2], match[3], int(match[4]))

    def of_call(self, call: str, arguments: str, result: int) -> Iterator[Step]:
        quoted = [bytes.fromhex(text.replace("\\x", "")) for text in QUOTED.findall(arguments)]
        paths = [self.inside(unhex(name)) for name in NAME.findall(arguments)]
        path = paths[0] if paths else None
        match call:
            case "write" if arguments.startswith("1<") and quoted:
                yield Step("said", "", data=quoted[0])
            case "write" if path is not None:
                yield Step("write", path, self.at[path], quoted[0])
                self.at[path] += result
            case "pwrite64" if path is not None:
                yield Step("write", path, int(arguments.rsplit(",", 1)[1]), quoted[0])
            case "ftruncate" if path is not None:
                yield Step("truncate", path, int(arguments.rsplit(",", 1)[1]))
            case "fsync" | "fdatasync" if path is not None:
                yield Step("sync", path)
            case "sendfile" | "copy_file_range" if path is not None and result:
                yield Step("copy", paths[1] or "", self.at[path], result.to_bytes(8, "big"), path)
                self.at[path] += result
            case "unlink" | "rename" if (name := self.inside(quoted[0].decode())) is not None:
                yield Step(call, name, to=(self.inside(quoted[-1].decode()) or "") if call == "rename" else "")
            case "openat" if "O_CREAT" in arguments and (name := self.inside(quoted[-1].decode())) is not None:
                self.at[name] = 0
                yield Step("create", name)
                if "O_TRUNC" in arguments:
                    yield Step("truncate", name, 0)


@dataclass
class File:
    """A file as it is, as it was when synced, and what was done since."""

    now: bytearray = field(default_factory=bytearray)
    synced: bytes = b""
    since: list[Step] = field(default_factory=list)


@dataclass(frozen=True)
class Naming:
    """A name that comes, goes or moves: for sure once a folder it concerns was synced; a move never happens by halves."""

    file: File | None
    old: str | None
    new: str | None

    @property
    def folders(self) -> set[str]:
        return {str(Path(name).parent) for name in (self.old, self.new) if name}

    def do(self, names: dict[str, File]) -> None:
        file = names.pop(self.old, None) if self.old else self.file
        if self.new and file is not None:
            names[self.new] = file


class Disk:
    """What may be on the disk: synced contents, and names that are there for sure, may be, or may be gone."""

    def __init__(self) -> None:
        self.files: dict[str, File] = {}
        self.named: dict[str, File] = {}
        self.waiting: list[Naming] = []

    def do(self, step: Step) -> None:
        match step.what:
            case "create" if step.path not in self.files:
                self.files[step.path] = File()
                self.waiting.append(Naming(self.files[step.path], None, step.path))
            case "write" | "truncate":
                file = self.files[step.path]
                apply(file.now, step)
                file.since.append(step)
            case "copy":
                size = int.from_bytes(step.data, "big")
                self.do(Step("write", step.to, step.at, bytes(self.files[step.path].now[step.at : step.at + size])))
            case "sync" if step.path in self.files:
                file = self.files[step.path]
                file.synced, file.since = bytes(file.now), []
            case "sync":
                for naming in [one for one in self.waiting if step.path in one.folders]:
                    naming.do(self.named)
                    self.waiting.remove(naming)
            case "unlink":
                self.waiting.append(Naming(None, step.path, None))
                self.files.pop(step.path, None)
            case "rename":
                self.files[step.to] = self.files.pop(step.path)
                self.waiting.append(Naming(None, step.path, step.to))

    def suspect_tail(self) -> bool:
        return bool(self.waiting) or any(file.since for file in self.files.values())

    def cut(self, generator: random.Random | None) -> dict[str, bytes]:
        """The disk as it may be after a power cut. Without a generator: nothing that was not synced is there."""
        names = dict(self.named)
        for naming in self.waiting if generator else []:
            if generator and generator.random() < 0.5:
                naming.do(names)
        return {name: after_cut(file, generator) for name, file in sorted(names.items())}


def after_cut(file: File, generator: random.Random | None) -> bytes:
    if generator is None or not file.since:
        return file.synced
    content = bytearray(file.synced)
    for step in file.since:
        tear(content, step, generator)
    return bytes(content)


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


def one_cut(image: dict[str, bytes], folder: Path, word: Word, may_be_lost: set[tuple[int, int]]) -> str:
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "segments").mkdir(parents=True)
    for name, content in image.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    return survived(folder, word, may_be_lost)


def sum_of(image: dict[str, bytes]) -> bytes:
    total = hashlib.sha1(usedforsecurity=False)
    for name, content in image.items():
        total.update(f"{name} {len(content)}\n".encode())
        total.update(content)
    return total.digest()


def lost_for_good(trace: list[Step]) -> set[tuple[int, int]]:
    """What the two flipped bits took: the program itself declared it when it salvaged with nobody cutting the power."""
    lost, epoch, promised = set[tuple[int, int]](), 0, set[tuple[int, int]]()
    for line in (line for step in trace if step.what == "said" for line in step.data.decode().splitlines()):
        kind, _, rest = line.partition(" ")
        if kind == "lost":
            lost |= {(epoch, seq) for low, high in json.loads(rest) for seq in range(low, high + 1)}
        elif kind == "tail":  # flipped bits in the last entries of the segment that grew: where it ended is not known any more
            after = tuple(map(int, rest.split()))
            lost |= {at for at in promised if at[0] == after[0] and at > after}
        elif kind in {"offer", "promise"}:
            epoch, first, last, _ = map(int, rest.split())
            promised |= {(epoch, seq) for seq in range(first, last + 1)} if kind == "promise" else set()
    return lost


def replay(trace: list[Step], *, entries: int, torn: int, every: int = 1, part: int = 0, parts: int = 1) -> Counter[str]:
    """Cut before each step; torn: that many cuts with torn and reordered sectors instead. Each different disk is tried once."""
    buffer.segment.ENTRIES = buffer.verify.SEGMENT = entries
    disk, word, gone = Disk(), Word(), lost_for_good(trace)
    counted, seen = Counter[str](), set[bytes]()
    chance = random.Random(20261122)
    share = torn / len(trace)
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as shm:
        for number, step in enumerate(trace):
            word.hear(step.data.decode()) if step.what == "said" else disk.do(step)
            turns = int(share) + (chance.random() < share % 1) if torn else number % every == 0
            for turn in range(turns if number % parts == part and (disk.suspect_tail() or not torn) else 0):
                image = disk.cut(random.Random(number * 1000 + turn) if torn else None)
                counted["cuts"] += 1
                if (key := sum_of(image) + repr((len(word.promised), len(word.offered), word.damages)).encode()) in seen:
                    continue
                seen.add(key)
                counted["different disks"] += 1
                try:
                    counted[one_cut(image, Path(shm) / "journal", word, gone if word.damages else set())] += 1
                except BaseException as error:
                    raise AssertionError(f"cut after step {number}, turn {turn}, {'torn' if torn else 'synced only'}: {error}") from error
    return counted


def replayed(trace: list[Step], *, entries: int, torn: int, every: int = 1) -> str:
    """In as many processes as there are cores: each rebuilds every disk and tries its share."""
    with ProcessPoolExecutor(JOBS, mp_context=get_context("fork")) as pool:
        one = partial(replay, trace, entries=entries, torn=torn, every=every, parts=JOBS)
        counted = sum([future.result() for future in [pool.submit(one, part=part) for part in range(JOBS)]], Counter[str]())
    said = Counter(line.split()[0] for step in trace if step.what == "said" for line in step.data.decode().splitlines())
    run = f"{len(trace)} steps, {said['promise']} promises, {said['signed']} signatures, {said['held']} holds, {said['damage']} damages"
    return f"segments of {entries}: {dict(counted)}, promised and lost 0, chain ok; of a run of {run}"


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> list[Step]:
    return recorded(tmp_path_factory.mktemp("recorded"), 64, 110)


@pytest.fixture(scope="module")
def full_trace(tmp_path_factory: pytest.TempPathFactory) -> list[Step]:
    return recorded(tmp_path_factory.mktemp("recorded-full"), 4096, 12)


@pytest.mark.bar("F03")
@STRACE
@pytest.mark.urs("URS-BUF-02")
def test_some_power_cuts_lose_nothing_promised(tmp_path: Path) -> None:
    short = recorded(tmp_path, 64, 14)
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:  # segments of 64 entries stay in a process of their own
        counted = pool.submit(replay, short, entries=64, torn=40).result()
    assert counted["different disks"] > 20


@pytest.mark.bar("F03")
@STRACE
@pytest.mark.faults
@pytest.mark.urs("URS-BUF-02")
def test_a_power_cut_at_every_step_loses_nothing_promised(trace: list[Step], figures: Callable[[str, str], None]) -> None:
    figures("power cut", f"power cut after every step, only what was synced is there; {replayed(trace, entries=64, torn=0)}")


@pytest.mark.bar("F04")
@STRACE
@pytest.mark.faults
@pytest.mark.urs("URS-BUF-02")
def test_a_power_cut_that_tears_and_reorders_sectors_loses_nothing_promised(trace: list[Step], figures: Callable[[str, str], None]) -> None:
    figures("power cut, torn", f"power cut, unsynced sectors torn and reordered; {replayed(trace, entries=64, torn=CUTS)}")


@pytest.mark.bar("F03")
@STRACE
@pytest.mark.faults
@pytest.mark.urs("URS-BUF-02")
def test_power_cuts_with_segments_of_real_size_lose_nothing_promised(full_trace: list[Step], figures: Callable[[str, str], None]) -> None:
    figures("power cut", f"power cut, synced only; {replayed(full_trace, entries=4096, torn=0, every=8)}")
    figures("power cut, torn", f"power cut, torn and reordered; {replayed(full_trace, entries=4096, torn=150)}")
