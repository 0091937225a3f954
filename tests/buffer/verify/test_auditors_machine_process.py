"""The verifier on an auditor's machine: one file, nothing of ours installed; a gigabyte; and thousands of forgeries."""

import hashlib
import json
import os
import random
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest
from kit.journals import GATEWAY, TIME, event, opened, resting_on

from buffer import Body, keys, read_journal, verify
from buffer.archive import packing, zipped
from buffer.entry.examples import EVENTS

BATCH = "B2026-0417"
GIGABYTE = int(os.environ.get("JOURNAL_BYTES", "1000000000"))


def readings(generator: random.Random, tags: int) -> Body:
    """A poll of so many tags, as the intake writes it: about 45 bytes a reading and 500 bytes beside them."""
    rows = [
        [tag, round(generator.gauss(200, 5), 2), generator.randrange(27_648), 180_000 + generator.randrange(99), 470_000]
        for tag in range(tags)
    ]
    head = {
        "clock": {
            "status": "synchronised",
            "bound_s": 0.0081,
            "boot": "9e0b3e0a-7c3b-4d0e-a5c1-1f0e5d7a2b11",
            "monotonic_s": generator.random() * 1e5,
        },
        "source": "granulator-plc",
        "config": {"version": 12, "sha256": "7" * 64},
        "environment": "development",
        "contexts": {"granulator": {"activity": "production", "order": "4500123456", "batch": BATCH, "steps": [["phase", "WET_MASS", 2]]}},
        "tagset": "0123456789abcdef",
        "time_base": "2026-11-22T07:15:02.400Z",
        "columns": ["tag", "value", "raw", "source_ticks", "received_ticks"],
        "constant": {"status": 0, "kind": "change"},
        "readings": rows,
    }
    return Body("ebr-gateway/readings/1", f"{TIME},{json.dumps(head, separators=(',', ':'))[1:]}".encode())


class Made:
    """A stopped journal with one batch, its archive, and an EBR's store."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.journal, self.zip, self.store = folder, folder / "journal", folder / "batch.zip", folder / "store"
        journal, generator = opened(self.journal, commit_interval_s=0.05, retain_s=1e9), random.Random(5)
        self.signer = keys.create(self.journal / "checkpoint-key", GATEWAY)
        assert journal.opened.epoch_event is not None
        journal.append([event(journal.opened.epoch_event), event(EVENTS["config"]), event(EVENTS["tagset"])])
        journal.append([event({**resting_on(4, EVENTS["batch"]), "transition": "start"})])
        journal.append([readings(generator, 2) for _ in range(120)])
        journal.append([event(resting_on(4, EVENTS["step"])), event(resting_on(4, EVENTS["batch"]))], urgent=True).result()
        journal.append([event(journal.checkpoint(self.signer, "batch-end") or {})], urgent=True).result()
        journal.close()
        packing.make(self.journal, BATCH, self.zip, [self.signer.public], self.signer.note)
        self.store.mkdir()
        with closing(sqlite3.connect(self.store / "ebr.db")) as db:
            db.execute("CREATE TABLE entries(gateway, epoch, seq, digest, payload)")
            db.executemany("INSERT INTO entries VALUES (?,?,?,?,?)", ((GATEWAY, *one) for one in read_journal(self.journal)))
            db.commit()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("made"))


@pytest.mark.faults
@pytest.mark.urs("URS-AUD-06", "URS-OPS-03")
@pytest.mark.timeout(900)
def test_the_one_file_works_where_only_cryptography_is_installed(made: Made, tmp_path: Path, figures: Callable[[str, str], None]) -> None:
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    if subprocess.run([python, "-m", "pip", "install", "-q", "cryptography"], check=False, capture_output=True).returncode:
        pytest.skip("the package registry can not be reached")
    (tmp_path / "desk").mkdir()
    with zipfile.ZipFile(made.zip) as file:
        (tmp_path / "desk" / "verify.py").write_bytes(file.read("verify.py"))
    (tmp_path / "desk" / "key.txt").write_text(made.signer.public)

    def run(target: Path) -> tuple[int, str]:
        command: list[str | Path] = [python, "-I", "verify.py", target, "--key", "key.txt"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        done = subprocess.run(command, cwd=tmp_path / "desk", env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    assert run(made.zip)[0] == run(made.store)[0] == 0, (run(made.zip), run(made.store))
    bad = bytearray(made.zip.read_bytes())
    bad[len(bad) // 2] ^= 1
    (tmp_path / "bad.zip").write_bytes(bad)
    assert run(tmp_path / "bad.zip")[0] == 1
    code, said = run(made.journal)
    assert (code, "pip install zstandard" in said) == (2, sys.version_info < (3, 14)) or code == 0
    subprocess.run([python, "-m", "pip", "install", "-q", "zstandard"], check=True, capture_output=True)
    assert run(made.journal)[0] == 0
    have = subprocess.run([python, "-m", "pip", "list", "--format=freeze"], capture_output=True, text=True, check=True).stdout.split()
    assert not any("ebr" in one for one in have)
    figures("verify", f"verify.py alone, {', '.join(have)}: archive, store and journal good, a changed archive bad")


@pytest.mark.faults
@pytest.mark.urs("URS-AUD-06")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("tags", [40, 2])
def test_a_gigabyte_of_journal_is_verified_in_under_a_minute(tmp_path: Path, figures: Callable[[str, str], None], tags: int) -> None:
    journal, generator = opened(tmp_path / "journal", commit_interval_s=0.05, retain_s=1e9), random.Random(1)
    signer = keys.create(tmp_path / "journal" / "checkpoint-key", GATEWAY)
    bodies = [readings(generator, tags) for _ in range(2_000)]
    while journal.usage().used_bytes < GIGABYTE:
        for _ in range(40):
            last = journal.append(generator.choices(bodies, k=400))
        last.result()
        journal.append([event(journal.checkpoint(signer) or {})])
    journal.append([event(journal.checkpoint(signer) or {})], urgent=True).result()
    entries, size = journal.last[1], journal.usage().used_bytes
    journal.close()
    os.sync()
    cold = "warm again"
    with suppress(OSError):
        Path("/proc/sys/vm/drop_caches").write_text("3\n")
        cold = "with cold caches"
    command = [
        sys.executable,
        "-I",
        verify.__file__,
        str(tmp_path / "journal"),
        "--key",
        str(tmp_path / "journal" / "checkpoint-key.pub"),
        "--json",
    ]
    taken = []
    for _ in range(2):
        start = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        taken.append(time.monotonic() - start)
        assert (done.returncode, json.loads(done.stdout)["entries"]) == (0, entries), done.stdout
    load = os.getloadavg()[0]
    figures(
        "verify", f"journal of {size / 1e6:.0f} MB, {entries} entries: {taken[0]:.1f} s {cold}, {taken[1]:.1f} s warm (load {load:.1f})"
    )
    assert max(taken) < 60 or load > 2 * (os.cpu_count() or 1)


@pytest.mark.bar("F11")
@pytest.mark.faults
@pytest.mark.urs("URS-AUD-06")
@pytest.mark.timeout(1800)
def test_ten_thousand_forgeries_with_all_sums_put_right_are_found(made: Made, tmp_path: Path, figures: Callable[[str, str], None]) -> None:
    """The forger has no key; he changes one byte, or one line, of one file in the archive, and puts right every sum there is."""
    with zipfile.ZipFile(made.zip) as file:
        files = {name: file.read(name) for name in file.namelist()}
    generator, missed, target = random.Random(20261122), [], tmp_path / "forged.zip"
    names = [name for name in files if name != "SHA256SUMS" and files[name]]
    for number in range(10_000):
        name = generator.choice(names)
        changed = forged(files[name], generator)
        if changed == files[name]:
            continue
        rewrite(target, files | {name: changed})
        if verify.verify(target, made.signer.public).exit_code != 1:
            missed.append((number, name))
    accused = 0
    for _ in range(100):
        rewrite(target, files)
        accused += verify.verify(target, made.signer.public).exit_code != 0
    told = f"missed {len(missed)}; 100 written anew untouched, accused {accused}"
    figures("forgeries", f"archive: 10000 forgeries of one file, all sums put right: {told}")
    assert (missed, accused) == ([], 0)


def forged(content: bytes, generator: random.Random) -> bytes:
    at, kind = (
        generator.randrange(len(content)),
        generator.choice(["flip", "drop", "add", "cut", "remove-line", "swap-lines", "double-line"]),
    )
    lines = content.split(b"\n")
    line = generator.randrange(len(lines))
    match kind:
        case "flip":
            return content[:at] + bytes([content[at] ^ 1 << generator.randrange(8)]) + content[at + 1 :]
        case "drop":
            return content[:at] + content[at + 1 :]
        case "add":
            return content[:at] + generator.randbytes(1) + content[at:]
        case "cut":
            return content[:at]
        case "remove-line":
            del lines[line]
        case "swap-lines":
            other = generator.randrange(len(lines))
            lines[line], lines[other] = lines[other], lines[line]
        case _:
            lines.insert(line, lines[line])
    return b"\n".join(lines)


def rewrite(target: Path, files: dict[str, bytes]) -> None:
    inner = {name: content for name, content in files.items() if name not in {"SHA256SUMS", verify.SUMS_NOTE}}
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in inner.items()).encode()
    target.unlink(missing_ok=True)
    zipped.write_files(target, inner | {"SHA256SUMS": sums, verify.SUMS_NOTE: files[verify.SUMS_NOTE]})
