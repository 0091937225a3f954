"""What one epoch says of another is held against what is there; a key speaks for its gateway; losses are told until they are written."""

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from kit.journals import EMPTY, GATEWAY, change, digest_at, event, numbered, opened, short_segments

from buffer import keys
from buffer.verify import rotated, verify


def epoch_of(folder: Path, gateway: str = GATEWAY, signer: keys.Signer | None = None) -> int:
    """One run: the epoch's event if it begins, entries, a checkpoint."""
    journal = opened(folder, gateway)
    if journal.opened.epoch_event is not None:
        journal.append([event(journal.opened.epoch_event)])
    journal.append([EMPTY] * 20, urgent=True).result()
    if signer is not None:
        made = journal.checkpoint(signer)
        assert made is not None
        journal.append([event(made)], urgent=True).result()
    journal.close()
    return journal.opened.epoch


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, int, int]:
    """A journal with two epochs, stopped."""
    folder = tmp_path / "journal"
    first = epoch_of(folder)
    change(folder, "INSERT OR REPLACE INTO about VALUES ('restored', 1)")
    return folder, first, epoch_of(folder)


@pytest.mark.urs("URS-AUD-05")
def test_an_epoch_that_was_taken_out_is_missed_by_the_one_after_it(two: tuple[Path, int, int]) -> None:
    folder, first, second = two
    assert verify(folder).exit_code == 0
    change(folder, f"DELETE FROM epochs WHERE epoch = {first}", f"DELETE FROM segments WHERE epoch = {first}")
    (folder / "segments" / f"{first}-1.db").unlink()
    report = verify(folder)
    assert (report.exit_code, report.bad) == (1, (first, 1))
    assert report.problems == [f"epoch {first}, entry 1: entries 1 to 21 are missing at the end: epoch {second} follows entry 21"]


@pytest.mark.urs("URS-AUD-05")
def test_the_end_of_an_epoch_that_was_cut_off_is_missed(two: tuple[Path, int, int]) -> None:
    folder, first, second = two
    path = folder / "segments" / f"{first}-1.db"
    path.chmod(0o600)
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TRIGGER entries_are_not_removed")
        db.execute("DELETE FROM entries WHERE seq > 15")
        db.commit()
        (digest,) = db.execute("SELECT hex(digest) FROM entries WHERE seq = 15").fetchone()
    change(folder, f"UPDATE segments SET last = 15, digest = x'{digest}', root = NULL, sha256 = NULL WHERE epoch = {first}")
    report = verify(folder)
    assert (report.exit_code, report.bad) == (1, (first, 16))
    assert report.problems == [f"epoch {first}, entry 16: entries 16 to 21 are missing at the end: epoch {second} follows entry 21"]


@pytest.mark.urs("URS-AUD-06")
def test_entries_lost_at_the_end_and_declared_are_missing_evidence(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    first = epoch_of(folder)
    change(folder, f"INSERT INTO cursors VALUES ('ebr', 1, {first}, 30)")
    epoch_of(folder)
    report = verify(folder)
    assert report.exit_code == 2, list(report.lines())
    assert report.missing == [f"epoch {first}: entries 22 to 30 were lost, and declared as lost"]


@pytest.mark.urs("URS-AUD-06")
def test_a_loss_is_declared_by_the_epoch_that_is_written_not_by_one_that_died_before(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    first = epoch_of(folder)
    change(folder, f"INSERT INTO cursors VALUES ('ebr', 1, {first}, 30)")
    died = opened(folder)
    died.close()  # before its first entry: nobody was told what its event says
    assert died.opened.epoch_event is not None
    assert died.opened.epoch_event["lost"] == [[22, 30]]
    change(folder, "INSERT OR REPLACE INTO about VALUES ('restored', 1)")
    journal = opened(folder)
    told = journal.opened.epoch_event
    assert told is not None
    assert (told["follows"], told["lost"]) == (died.opened.epoch, [])
    assert json.loads(json.dumps(told["lost_before"])) == {str(first): [[22, 30]]}
    journal.append([event(told)], urgent=True).result()
    journal.close()
    assert verify(folder).exit_code == 2


@pytest.mark.urs("URS-AUD-05")
def test_a_key_speaks_for_its_own_gateway_alone(tmp_path: Path) -> None:
    """Whoever verifies many lines has all their keys in one file: a thief of one signs for no other."""
    own, thief = (keys.Signer(name, Ed25519PrivateKey.generate()) for name in (GATEWAY, "lyon/other"))
    epoch_of(tmp_path / "good", signer=own)
    epoch_of(tmp_path / "forged", signer=thief)
    file = tmp_path / "keys.txt"
    file.write_text(f"{own.public}\n{thief.public}\n")
    assert (verify(tmp_path / "good", file).exit_code, verify(tmp_path / "forged", file).exit_code) == (0, 1)
    assert rotated(keys.rotation(own, thief)["what"]["note"]) is None


def made_anew(folder: Path) -> Path:
    """Let journal.db be gone, with what it knew."""
    for path in [*folder.glob("journal.db*"), folder / "SHA256SUMS"]:
        path.unlink(missing_ok=True)
    return folder


@pytest.mark.urs("URS-AUD-05", "URS-BUF-07")
def test_a_journal_db_that_was_made_anew_knows_how_each_epoch_began(two: tuple[Path, int, int]) -> None:
    folder, first, second = two
    third = epoch_of(made_anew(folder))
    report = verify(folder)
    assert report.problems == []
    with closing(sqlite3.connect(folder / "journal.db")) as db:
        events = {epoch: json.loads(text) for epoch, text in db.execute("SELECT epoch, event FROM epochs")}
    assert [events[epoch]["follows"] for epoch in (first, second, third)] == [None, first, second]
    assert events[second]["reason"] == "restored"


def test_one_that_an_earlier_release_made_anew_is_not_accused(two: tuple[Path, int, int]) -> None:
    folder, _, second = two
    epoch_of(made_anew(folder))
    stub = {"follows": None, "reason": "created", "last_seq": 0, "last_digest": "0" * 64, "lost": []}
    change(folder, f"UPDATE epochs SET event = '{json.dumps(stub)}' WHERE epoch = {second}")
    report = verify(folder)
    assert report.problems == []
    assert f"epoch {second}: journal.db, which was made anew, does not know how it began; its first entry does" in report.notes


def test_a_false_beginning_where_nothing_was_salvaged_is_bad(two: tuple[Path, int, int]) -> None:
    folder, _, second = two
    stub = {"follows": None, "reason": "created", "last_seq": 0, "last_digest": "0" * 64, "lost": []}
    change(folder, f"UPDATE epochs SET event = '{json.dumps(stub)}' WHERE epoch = {second}")
    assert verify(folder).exit_code == 1


@pytest.mark.urs("URS-UPL-03", "URS-BUF-07")
def test_receipts_for_earlier_epochs_count_after_journal_db_was_made_anew(two: tuple[Path, int, int]) -> None:
    folder, first, second = two
    journal = opened(made_anew(folder))
    journal.uplink("ebr", True)
    journal.append([EMPTY], urgent=True).result()
    for epoch, last in ((first, 21), (second, 21), (journal.opened.epoch, 1)):
        assert journal.acknowledge("ebr", epoch, last, digest_at(journal, last, epoch)) == last
    journal.close()


@pytest.mark.urs("URS-UPL-03", "URS-BUF-07")
def test_receipts_count_for_an_epoch_that_no_other_is_known_to_follow(two: tuple[Path, int, int]) -> None:
    """An earlier release made journal.db anew without what the first entries say; or a first entry can not be read."""
    folder, first, second = two
    stub = {"follows": None, "reason": "created", "last_seq": 0, "last_digest": "0" * 64, "lost": []}
    change(folder, f"UPDATE epochs SET event = '{json.dumps(stub)}' WHERE epoch = {second}")
    journal = opened(folder)
    journal.uplink("ebr", True)
    for epoch in (first, second):
        assert journal.acknowledge("ebr", epoch, 21, digest_at(journal, 21, epoch)) == 21
    journal.close()


@pytest.mark.parametrize(("first_entry", "exit_code"), [("whole", 0), ("gone", 2)])
def test_a_segment_whose_description_is_gone_accuses_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first_entry: str, exit_code: int
) -> None:
    """With journal.db gone too, only its first entry says what it follows: that one is found page by page, or nobody knows."""
    short_segments(monkeypatch, 64)
    folder = tmp_path / "journal"
    journal = opened(folder, retain_s=1e9)
    epoch = journal.opened.epoch
    for number in range(200):
        journal.append([numbered(number, os.urandom(600).hex())])
    journal.append([EMPTY], urgent=True).result()
    journal.close()
    path = made_anew(folder) / "segments" / f"{epoch}-65.db"
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as db:
        (packed,) = db.execute("SELECT payload FROM entries WHERE seq = 65").fetchone()
    data = bytearray(path.read_bytes())
    data[:100] = bytes(100)
    if first_entry == "gone":
        at = data.index(packed[-100:]) // 4096 * 4096
        data[at : at + 4096] = bytes(4096)
    path.chmod(0o600)
    path.write_bytes(data)
    journal = opened(folder, retain_s=1e9)
    journal.append([event(dict(journal.opened.epoch_event or {}))], urgent=True).result()
    journal.close()
    report = verify(folder)
    assert (report.problems, report.exit_code) == ([], exit_code)
