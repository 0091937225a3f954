"""A journal or a store in which something was changed, moved, cut or removed: the first bad entry is named."""

import random
import shutil
import sqlite3
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from kit.journals import GATEWAY, event, opened
from kit.signed_journal import Made, edit, reading

from buffer import keys
from buffer.verify import verify


@pytest.mark.urs("URS-AUD-06")
def test_an_untouched_journal_is_good_with_and_without_the_key(made: Made) -> None:
    report = verify(made.journal, made.signer.public)
    assert (report.exit_code, report.entries, report.signatures) == (0, made.last, 4), list(report.lines())
    assert verify(made.journal).exit_code == 0
    other = keys.Signer(GATEWAY, Ed25519PrivateKey.generate())
    assert verify(made.journal, other.public).exit_code == 1


def test_a_running_journal_is_good(tmp_path: Path) -> None:
    journal = opened(tmp_path / "journal")
    for number in range(5000):
        journal.append([reading(number)])
    journal.append([reading(1)], urgent=True).result()
    report = verify(tmp_path / "journal")
    assert (report.exit_code, report.entries) == (0, 5001), list(report.lines())
    journal.close()


def test_any_changed_byte_of_a_stopped_journal_is_found(made: Made, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(made.journal, copy, ignore=shutil.ignore_patterns("ballast"))
    files = [path for path in sorted(copy.rglob("*")) if path.is_file() and path.stat().st_size and path.name != "lock"]
    generator = random.Random(7)
    for _ in range(25):
        path = generator.choice(files)
        content, at = path.read_bytes(), generator.randrange(path.stat().st_size)
        path.chmod(0o600)
        path.write_bytes(content[:at] + bytes([content[at] ^ 1 << generator.randrange(8)]) + content[at + 1 :])
        assert verify(copy).exit_code == 1, (path, at)
        path.write_bytes(content)
    assert verify(copy).exit_code == 0


SWAP = """UPDATE entries SET seq = -1 WHERE seq = 100; UPDATE entries SET seq = 100 WHERE seq = 101;
UPDATE entries SET seq = 101 WHERE seq = -1"""


@pytest.mark.bar("F11")
@pytest.mark.parametrize(
    ("sql", "seq"),
    [
        ("UPDATE entries SET payload = (SELECT payload FROM entries WHERE seq = 99) WHERE seq = 100", 100),
        ("DELETE FROM entries WHERE seq = 100", 100),
        (SWAP, 100),
        ("DELETE FROM entries WHERE seq > 1000", 1001),
        ("DELETE FROM entries WHERE seq < 10", 1),
    ],
)
@pytest.mark.urs("URS-AUD-06")
def test_the_first_bad_entry_is_named(made: Made, tmp_path: Path, sql: str, seq: int) -> None:
    shutil.copytree(made.journal, tmp_path / "copy", ignore=shutil.ignore_patterns("ballast"))
    edit(tmp_path / "copy", f"{made.epoch}-1.db", sql)
    report = verify(tmp_path / "copy")
    assert (report.exit_code, report.bad) == (1, (made.epoch, seq)), list(report.lines())


@pytest.mark.bar("F11", "S18")
@pytest.mark.urs("URS-AUD-05")
def test_a_cut_end_is_found_by_the_cursor_the_checkpoint_or_one_from_elsewhere(made: Made, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(made.journal, copy, ignore=shutil.ignore_patterns("ballast"))
    edit(copy, f"{made.epoch}-1025.db", "DELETE FROM entries WHERE seq > 1300")
    report = verify(copy)
    assert (report.exit_code, report.bad) == (1, (made.epoch, 1301))
    with sqlite3.connect(copy / "journal.db") as db:
        db.execute("DELETE FROM checkpoints")
    db.close()
    assert verify(copy).exit_code == 0, "nothing that is here says that there was more"
    assert made.checkpoint is not None
    (tmp_path / "note.txt").write_text(str(made.checkpoint["note"]))
    report = verify(copy, made.signer.public, checkpoint=tmp_path / "note.txt")
    assert (report.exit_code, report.bad) == (1, (made.epoch, 1301)), list(report.lines())


def test_after_pruning_the_rest_is_still_proved(made: Made, tmp_path: Path) -> None:
    shutil.copytree(made.journal, tmp_path / "copy", ignore=shutil.ignore_patterns("ballast"))
    journal = opened(tmp_path / "copy")
    pruned = journal.prune(None)
    assert pruned is not None
    journal.append([event({"type": "audit", "action": "prune", "what": pruned.audit()})], urgent=True).result()
    journal.prune(None)
    journal.append([event(journal.checkpoint(made.signer) or {})], urgent=True).result()
    journal.close()
    assert not (tmp_path / "copy" / "segments" / f"{made.epoch}-1.db").exists()
    report = verify(tmp_path / "copy", made.signer.public)
    assert (report.exit_code, report.entries) == (0, made.last + 2 - 1024), list(report.lines())
    edit(tmp_path / "copy", f"{made.epoch}-1025.db", "UPDATE entries SET digest = zeroblob(32) WHERE seq = 1300")
    assert verify(tmp_path / "copy").bad == (made.epoch, 1300)


def store_of(made: Made, folder: Path, *, text: bool = False) -> Path:
    from buffer import read_journal

    folder.mkdir()
    with sqlite3.connect(folder / "ebr.db") as db:
        db.execute("CREATE TABLE entries(gateway, epoch, seq, digest, payload, PRIMARY KEY(gateway, epoch, seq))")
        for entry in read_journal(made.journal):
            payload = entry.payload.decode() if text else entry.payload
            db.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?)", (GATEWAY, entry.epoch, entry.seq, entry.digest, payload))
    db.close()
    return folder


@pytest.mark.bar("S18")
@pytest.mark.parametrize("text", [True, False])
def test_an_ebr_store_is_verified_and_a_rolled_back_one_is_found(made: Made, tmp_path: Path, text: bool) -> None:
    store = store_of(made, tmp_path / "store", text=text)
    report = verify(store, made.signer.public)
    assert (report.exit_code, report.kind, report.signatures) == (0, "store", 2), list(report.lines())
    assert made.checkpoint is not None
    (tmp_path / "note.txt").write_text(str(made.checkpoint["note"]))
    with sqlite3.connect(store / "ebr.db") as db:
        db.execute("DELETE FROM entries WHERE seq > 1300")
    db.close()
    assert (verify(store, made.signer.public).exit_code, verify(store).exit_code) == (2, 2), "no signature is left"
    report = verify(store, made.signer.public, checkpoint=tmp_path / "note.txt")
    assert (report.exit_code, report.bad) == (1, (made.epoch, 1301))
    with sqlite3.connect(store / "ebr.db") as db:
        db.execute("UPDATE entries SET payload = replace(payload, '07:15', '07:16') WHERE seq = 1234")
    db.close()
    assert verify(store).bad == (made.epoch, 1234)
