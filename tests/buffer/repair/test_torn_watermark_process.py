"""The last transaction is torn: its entry is proved, its watermark is not. The journal says through where the watermark counts."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from kit.journals import entries, opened

from buffer.repair import wal

FRAME = 24 + 4096
LAST = 30
CRASH = """
import os, sys
from pathlib import Path
from buffer import Body, Journal
journal = Journal.open(Path(sys.argv[1]), "lyon/granulation-2", commit_interval_s=0.001, retain_s=1e9, max_bytes=1 << 40)
for number in range(1, int(sys.argv[2]) + 1):
    body = Body("ebr-gateway/readings/1", b'"time":"2026-11-22T07:15:02.5Z","n":%d,"pad":"%s"}' % (number, os.urandom(600).hex().encode()))
    marks = {"started": "once", "slots": number, "more": [number, os.urandom(1250).hex()], "most": [number, os.urandom(1250).hex()]}
    journal.append([body], watermark=("plc", marks), urgent=True).result()
os._exit(137)
"""


def last_transaction(log: bytes) -> range:
    frames = wal.read(log).frames
    ends = [number for number, frame in enumerate(frames) if frame.commit and frame.good]
    return range(ends[-2] + 1, ends[-1] + 1)


@pytest.mark.bar("F04")
@pytest.mark.urs("URS-BUF-07", "URS-DAQ-11")
def test_of_a_torn_transaction_the_entry_is_kept_and_the_watermark_never_counts_beyond_what_it_says(tmp_path: Path) -> None:
    """Each page of the last transaction in turn did not reach the disk, nor did any two of them."""
    original = tmp_path / "original"
    subprocess.run([sys.executable, "-c", CRASH, str(original), str(LAST)], check=False)
    (log,) = (original / "segments").glob("*-wal")
    frames = last_transaction(log.read_bytes())
    assert len(frames) >= 3, "pages of entries and of facts"
    outcomes = [one_tear(shutil.copytree(original, tmp_path / f"{a}-{b}"), log.name, {a, b}) for a in frames for b in frames if a <= b]
    ahead = [(last, slots, counted) for last, slots, _, _, counted in outcomes if last == LAST and slots == LAST - 1]
    assert ahead, outcomes
    assert all(counted < LAST for _, _, counted in ahead)
    assert all(counted <= min(says) for _, *says, counted in outcomes), outcomes
    behind = [(last, says) for last, *says, _ in outcomes if last == LAST - 1]
    assert behind, outcomes
    assert all(max(says) < LAST for _, says in behind), (
        "a watermark that counts an entry that is gone loses it: its source is not asked again"
    )
    assert any(len(set(says)) > 1 for _, *says, _ in outcomes), "parts of a watermark"


def without(log: bytes, torn: set[int]) -> bytes:
    """Return a log of which these frames did not reach the disk."""
    content = bytearray(log)
    for number in torn:
        place = 32 + number * FRAME + 24
        content[place : place + 4096] = b"\xa5" * 4096
    return bytes(content)


def one_tear(folder: Path, name: str, torn: set[int]) -> tuple[int, int, int, int, int]:
    """Start on a disk without these frames: (last entry, what three keys of the watermark say, through which entry it counts)."""
    path = folder / "segments" / name
    path.write_bytes(without(path.read_bytes(), torn))
    journal = opened(folder, retain_s=1e9)
    mark, at = journal.watermark("plc"), journal.counted("plc")
    last = max(entry.seq for entry in entries(journal) if entry.epoch < journal.opened.epoch)
    journal.close()
    assert at is not None
    assert journal.counted("mes") is None
    return last, mark["slots"], mark["more"][0], mark["most"][0], at[1]


SEVERAL = """
import os, sys
from pathlib import Path
from buffer import Body, Journal
journal = Journal.open(Path(sys.argv[1]), "lyon/granulation-2", commit_interval_s=0.001, retain_s=1e9, max_bytes=1 << 40)
for number in range(1, 11):
    texts = [b'"time":"2026-11-22T07:15:02.5Z","n":%d,"pad":"%s"}' % (number, os.urandom(size).hex().encode()) for size in (3000, 20, 2400)]
    bodies = [Body("ebr-gateway/readings/1", text) for text in texts]
    journal.append(bodies, watermark=("plc", {"slots": number, "more": [number, os.urandom(1250).hex()]}), urgent=True).result()
os._exit(137)
"""


@pytest.mark.bar("F04")
@pytest.mark.urs("URS-BUF-07", "URS-DAQ-11")
def test_a_watermark_never_counts_an_entry_of_its_append_that_is_gone_be_it_the_first_of_several(tmp_path: Path) -> None:
    original = tmp_path / "original"
    subprocess.run([sys.executable, "-c", SEVERAL, str(original)], check=False)
    (log,) = (original / "segments").glob("*-wal")
    frames = last_transaction(log.read_bytes())
    torn = [{a, b} for a in frames for b in frames if a <= b]
    outcomes = [several(shutil.copytree(original, tmp_path / "-".join(map(str, each))), log.name, each) for each in torn]
    gone = [(says, held) for says, held in outcomes if held != {28, 29, 30}]
    assert any(30 in held for _, held in gone), "the last entry is held and one before it is not"
    assert all(max(says) == 9 for says, _ in gone), gone
    assert any(max(says) == 10 for says, held in outcomes if held == {28, 29, 30}), "what is held is counted, where that is proved"


def several(folder: Path, name: str, torn: set[int]) -> tuple[tuple[int, int], set[int]]:
    """Start on a disk without these frames: (what two keys of the watermark say, which entries of the last append are held)."""
    path = folder / "segments" / name
    path.write_bytes(without(path.read_bytes(), torn))
    journal = opened(folder, retain_s=1e9)
    mark = journal.watermark("plc")
    held = {entry.seq for entry in entries(journal) if entry.epoch < journal.opened.epoch}
    journal.close()
    assert held >= set(range(1, 28))
    return (mark["slots"], mark["more"][0]), held - set(range(1, 28))


@pytest.mark.bar("F04")
@pytest.mark.urs("URS-BUF-07")
def test_a_page_that_rots_in_the_middle_of_a_log_takes_no_watermark_back(tmp_path: Path) -> None:
    """What was promised behind it was counted; its entries are declared lost, as everywhere."""
    original = tmp_path / "original"
    subprocess.run([sys.executable, "-c", SEVERAL, str(original)], check=False)
    (log,) = (original / "segments").glob("*-wal")
    frames = wal.read(log.read_bytes()).frames
    last = len(last_transaction(log.read_bytes()))
    lost = set()
    for number in range(8, len(frames) - last):
        folder = shutil.copytree(original, tmp_path / str(number))
        says, held = rotten(folder, log.name, number)
        assert says == (10, 10)
        lost |= set(range(1, 31)) - held
    assert lost, "some page holds an entry"


def rotten(folder: Path, name: str, number: int) -> tuple[tuple[int, int], set[int]]:
    path = folder / "segments" / name
    path.write_bytes(without(path.read_bytes(), {number}))
    journal = opened(folder, retain_s=1e9)
    mark = journal.watermark("plc")
    held = {entry.seq for entry in entries(journal) if entry.epoch < journal.opened.epoch}
    journal.close()
    return (mark["slots"], mark["more"][0]), held


@pytest.mark.urs("URS-BUF-07")
def test_what_no_watermark_counts_certainly_is_counted_from_nothing(tmp_path: Path) -> None:
    """The first commit of a source was the last of its epoch: some keys of it may be missing."""
    original = tmp_path / "original"
    subprocess.run([sys.executable, "-c", CRASH, str(original), "1"], check=False)
    journal = opened(original, retain_s=1e9)
    assert journal.counted("plc") == (journal.opened.epoch, 1)
    journal.leave_epoch()
    journal.close()
    journal = opened(original, retain_s=1e9)
    assert journal.counted("plc") == (0, 0)
    journal.close()


@pytest.mark.urs("URS-BUF-07")
def test_a_watermark_of_this_epoch_counts_through_its_newest_commit(tmp_path: Path) -> None:
    original = tmp_path / "original"
    subprocess.run([sys.executable, "-c", CRASH, str(original), "5"], check=False)
    journal = opened(original, retain_s=1e9)
    assert journal.counted("plc") == (journal.opened.epoch, 5)
    journal.close()
