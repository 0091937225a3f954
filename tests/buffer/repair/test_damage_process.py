"""Bits that flip, files that vanish, ends that are cut: found, set aside, everything else kept and still delivered."""

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from kit.journals import entries, opened

from buffer import Body, Journal
from buffer.verify import verify

FLIPS = int(os.environ.get("FLIPS", "300"))

CRASH = """
import os, sys
from pathlib import Path
from buffer import Body, Journal
journal = Journal.open(Path(sys.argv[1]), "lyon/granulation-2", commit_interval_s=0.001, retain_s=1e9, max_bytes=1 << 40)
pad = os.urandom(600).hex()
journal.uplink("ebr", True)
for number in range(int(sys.argv[2])):
    pads = [os.urandom(60).hex().encode() for _ in range(37)]
    bodies = [Body("ebr-gateway/readings/1", b'"time":"2026-11-22T07:15:02.5Z","n":%d,"pad":"%s"}' % (number, pad)) for pad in pads]
    last = journal.append(bodies, watermark=("mes", {"n": number}), urgent=number % 5 == 0)
    if number == 112:
        last.result()
last.result()
os._exit(137)
"""


def crashed(folder: Path, appends: int) -> Path:
    """A journal whose process died without closing it: two closed segments, one that grows, both WALs in place."""
    subprocess.run([sys.executable, "-c", CRASH, str(folder / "original"), str(appends)], check=False)
    return folder / "original"


def held(journal: Journal) -> dict[tuple[int, int], bytes]:
    return {(entry.epoch, entry.seq): entry.payload for entry in entries(journal)}


def declared(journal: Journal, epoch: int) -> set[tuple[int, int]]:
    event = journal.opened.epoch_event
    if event is None or event["follows"] != epoch:
        return set()
    return {(epoch, seq) for low, high in event["lost"] for seq in range(low, high + 1)}


def restarted(folder: Path) -> tuple[Journal, list[str]]:
    """Start; let the patrol look at every closed segment; if it stops the journal, start again, as systemd would."""
    texts: list[str] = []
    for _ in range(4):
        journal = opened(folder, retain_s=1e9)
        texts += journal.opened.findings
        if journal.scrub.check():
            return journal, texts
        journal.close()
    raise AssertionError("it does not come to rest")


def flip(path: Path, generator: random.Random) -> int:
    bit = generator.randrange(path.stat().st_size * 8)
    mode = path.stat().st_mode
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(bit // 8)
        byte = file.read(1)[0]
        file.seek(bit // 8)
        file.write(bytes([byte ^ 1 << bit % 8]))
    path.chmod(mode)
    return bit // 8


@pytest.mark.bar("F10")
@pytest.mark.urs("URS-BUF-07")
def test_a_flipped_bit_is_found_set_aside_and_the_rest_is_delivered(tmp_path: Path) -> None:
    original = crashed(tmp_path, 118)
    pristine = opened(shutil.copytree(original, tmp_path / "pristine"), retain_s=1e9)
    whole, epoch = held(pristine), pristine.opened.epoch
    pristine.close()
    counted: Counter[str] = Counter()
    for seed in (1, 13):  # one in a log, one in a segment
        counted.update(one_flip(tmp_path, original, whole, epoch, seed))
    assert counted["found by start or patrol"] >= 1
    assert counted["silently lost"] == counted["changed"] == counted["unnoticed"] == 0
    assert list((tmp_path / "damaged" / "damaged").iterdir())


SMALL = """
import os, sys
from pathlib import Path
import buffer.segment
from buffer import Body, Journal
buffer.segment.ENTRIES = 64
journal = Journal.open(Path(sys.argv[1]), "lyon/granulation-2", commit_interval_s=0.001, retain_s=1e9, max_bytes=1 << 40)
body = Body("ebr-gateway/readings/1", b'"time":"2026-11-22T07:15:02.5Z","n":1}')
journal.append([body] * 64, urgent=True).result()
journal.append([body] * 3, urgent=True).result()
os._exit(137)
"""


FRAME = 24 + 4096
"""Of a write-ahead log, behind its 32 bytes of head (SQLite, "WAL file format")."""


@pytest.mark.bar("F04", "F10")
@pytest.mark.urs("URS-BUF-07")
def test_a_segment_of_which_nothing_is_whole_ends_where_the_one_before_it_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many frames of its log reached the disk when the power was cut; what follows them is torn."""
    monkeypatch.setattr("buffer.segment.ENTRIES", 64)
    monkeypatch.setattr("buffer.verify.SEGMENT", 64)
    original = tmp_path / "original"
    subprocess.run([sys.executable, "-c", SMALL, str(original)], check=False)
    (whole,) = (original / "segments").glob("*-65.db-wal")
    cuts = [cut_at(shutil.copytree(original, tmp_path / str(left)), whole.name, left) for left in range(whole.stat().st_size // FRAME)]
    assert {last for last, _ in cuts} == {64}, cuts
    assert sum(is_salvaged for _, is_salvaged in cuts) >= 3, "but where no frame of the torn transaction is there any more"


def cut_at(folder: Path, name: str, left: int) -> tuple[int, bool]:
    """Start on a disk with a torn log: (the last entry that is held, whether a new epoch began). Gone on with, the journal verifies."""
    log = folder / "segments" / name
    log.write_bytes(log.read_bytes()[: 32 + FRAME * left].ljust(log.stat().st_size, b"\xa5"))
    journal = opened(folder, retain_s=1e9)
    event, last = journal.opened.epoch_event, max(held(journal))[1]
    journal.append([Body("ebr-gateway/event/1", b'"time":"2026-11-22T07:15:03.5Z","event":%s}' % json.dumps(event).encode())]).result()
    journal.close()
    assert event is None or (event["reason"], event["last_seq"], event["tail"]) == ("salvaged", last, "unknown")
    assert verify(folder).bad is None, list(verify(folder).lines())
    return last, event is not None


@pytest.mark.urs("URS-BUF-07")
def test_a_vanished_segment_is_declared_lost_and_the_rest_is_kept(tmp_path: Path) -> None:
    original = crashed(tmp_path, 118)
    journal = opened(original, retain_s=1e9)
    journal.close()
    (original / "segments" / f"{journal.opened.epoch}-1.db").unlink()
    (original / "SHA256SUMS").unlink()
    assert verify(original).bad == (journal.opened.epoch, 1)
    again = opened(original, retain_s=1e9)
    event = again.opened.epoch_event
    assert event is not None
    assert (event["reason"], event["follows"], event["lost"]) == ("salvaged", journal.opened.epoch, [[1, 4096]])
    assert again.watermark("mes") == {"n": 117}
    assert min(held(again)) == (journal.opened.epoch, 4097)
    body = b'"time":"2026-11-22T07:15:02.5Z","event":%s}' % json.dumps(event, separators=(",", ":")).encode()
    again.append([Body("ebr-gateway/event/1", body)], urgent=True).result()
    again.close()
    report = verify(original)
    assert (report.exit_code, len(report.missing)) == (2, 1), list(report.lines())


def spoil(segment: Path, seq: int) -> None:
    """One bit of this entry's digest: it can not be proved any more."""
    with closing(sqlite3.connect(f"file:{segment}?mode=ro&immutable=1", uri=True)) as db:
        (digest,) = db.execute("SELECT digest FROM entries WHERE seq = ?", (seq,)).fetchone()
    content = bytearray(segment.read_bytes())
    content[content.index(digest)] ^= 1
    segment.chmod(0o600)
    segment.write_bytes(content)


@pytest.mark.urs("URS-BUF-07")
def test_after_salvage_the_fold_goes_on_from_its_state_and_not_from_the_beginning(tmp_path: Path) -> None:
    """A bit that flips in a segment of last month must not cost hours of folding at the next start."""
    journal = opened(tmp_path / "journal", retain_s=1e9)
    body = Body("ebr-gateway/readings/1", b'"time":"2026-11-22T07:15:02.5Z"}')
    for number in range(9):
        journal.append([body] * 1000, state=b"fold" if number == 6 else None, urgent=True).result()
    first = journal.opened.epoch
    journal.close()
    spoil(tmp_path / "journal" / "segments" / f"{first}-1.db", 100)
    journal, _ = restarted(tmp_path / "journal")
    assert journal.opened.epoch > first
    stored = journal.state()
    assert stored == ((first, 7000), b"fold")
    after = journal.read(stored[0], max_bytes=1 << 24, max_entries=5000)
    after += journal.read((first, 8192), max_bytes=1 << 24, max_entries=5000)
    assert [entry.seq for entry in after] == list(range(7001, 9001))
    journal.append([body], urgent=True).result()
    journal.close()
    journal = opened(tmp_path / "journal", retain_s=1e9)
    assert journal.state() == stored, "the next segment keeps it"
    journal.close()


def test_a_lost_journal_db_is_rebuilt_from_the_segments(tmp_path: Path) -> None:
    original = crashed(tmp_path, 118)
    journal = opened(original, retain_s=1e9)
    whole = held(journal)
    journal.close()
    (original / "journal.db").write_bytes(b"rubbish" * 1000)
    again = opened(original, retain_s=1e9)
    assert held(again) == whole
    assert again.opened.epoch > journal.opened.epoch
    assert "journal.db is damaged" in again.opened.findings[0]
    again.close()


@pytest.mark.bar("F10")
@pytest.mark.faults
@pytest.mark.urs("URS-BUF-07")
def test_300_flipped_bits_lose_nothing_silently_and_the_rest_is_delivered(tmp_path: Path, figures: Callable[[str, str], None]) -> None:
    original = crashed(tmp_path, 118)
    pristine = opened(shutil.copytree(original, tmp_path / "pristine"), retain_s=1e9)
    whole, epoch = held(pristine), pristine.opened.epoch
    pristine.close()
    counted: Counter[str] = Counter()
    for seed in range(FLIPS):
        counted.update(one_flip(tmp_path, original, whole, epoch, seed))
    figures("bit flips", f"{FLIPS} single bit flips over {len(whole)} entries: {dict(counted)}")
    assert counted["silently lost"] == counted["changed"] == counted["unnoticed"] == 0


def one_flip(tmp_path: Path, original: Path, whole: dict[tuple[int, int], bytes], epoch: int, seed: int) -> Counter[str]:
    generator = random.Random(seed)
    folder = tmp_path / "damaged"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(original, folder, ignore=shutil.ignore_patterns("ballast"))
    candidates = [
        path for path in sorted(folder.rglob("*")) if path.is_file() and path.stat().st_size and path.suffix in {".db", ".db-wal"}
    ]
    path = generator.choice(candidates)
    at = flip(path, generator)
    accused = verify(folder).exit_code == 1
    journal, texts = restarted(folder)
    now, lost = held(journal), declared(journal, epoch)
    if journal.opened.epoch_event:
        journal.append(
            [Body("ebr-gateway/event/1", b'"time":"2026-11-22T07:15:02.5Z","event":%s}' % json.dumps(journal.opened.epoch_event).encode())]
        )
    journal.append([Body("ebr-gateway/readings/1", b'"time":"2026-11-22T07:15:02.5Z"}')], urgent=True).result()
    journal.close()
    again = verify(folder)
    assert again.exit_code in {0, 2}, (seed, path, at, list(again.lines()))
    missing = set(whole) - set(now)
    tail = journal.opened.epoch != epoch and max(now)[0] in {0, epoch}
    silent = {one for one in missing - lost if not (tail and one[1] > max(seq for _, seq in now))}
    assert not silent, (seed, path, at, sorted(silent)[:5], texts)
    return Counter(
        {
            f"in {'wal' if path.name.endswith('-wal') else 'journal.db' if path.name == 'journal.db' else 'segment'}": 1,
            "found by start or patrol": bool(texts),
            "found by verify": accused,
            "harmless: outside of any entry": not missing and not texts,
            "entries lost, declared": len(missing),
            "silently lost": len(silent),
            "changed": sum(whole[one] != payload for one, payload in now.items() if one in whole),
            "unnoticed": bool(missing) and not texts,
        }
    )
