"""What no signature covers is not proved: the report says from which entry on, and it is missing evidence where it is too much."""

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from kit.journals import EVENT, GATEWAY, READINGS, change, event, opened

from buffer import Body, Entry, keys, read_journal
from buffer import verify as verifier
from buffer.verify import Signed, verify


def at(minute: int) -> Body:
    """Make readings of a minute after noon."""
    return Body(READINGS, f'"time":"2026-11-22T12:{minute:02}:00.5123456Z"}}'.encode())


def journal_of(folder: Path, signer: keys.Signer, signed: Iterable[int], unsigned: Iterable[int]) -> int:
    """Write entries of these minutes, a checkpoint over the first of them, and stop."""
    journal = opened(folder)
    if journal.opened.epoch_event is not None:
        journal.append([event(journal.opened.epoch_event)])
    if signed:
        journal.append([at(minute) for minute in signed], urgent=True).result()
        checkpoint = journal.checkpoint(signer)
        assert checkpoint is not None
        text = f'"time":"2026-11-22T12:{max(signed):02}:01Z","event":{json.dumps(checkpoint)}}}'
        journal.append([Body(EVENT, text.encode())], urgent=True).result()
    journal.append([at(minute) for minute in unsigned], urgent=True).result()
    journal.close()
    return journal.opened.epoch


@pytest.fixture
def signer() -> keys.Signer:
    return keys.Signer(GATEWAY, Ed25519PrivateKey.generate())


def store_of(entries: Iterable[Entry], folder: Path, forged: dict[int, bytes]) -> Path:
    """Make an EBR's store of these entries; some forged, and all after them chained anew, as anybody can who has no key."""
    folder.mkdir()
    previous = ""
    with closing(sqlite3.connect(folder / "ebr.db")) as db:
        db.execute("CREATE TABLE entries(gateway, epoch, seq, digest, payload, PRIMARY KEY(gateway, epoch, seq))")
        for entry in entries:
            payload = entry.payload
            if entry.seq in forged:
                payload = payload[: payload.index(b'"time"')] + forged[entry.seq]
            if previous:
                start = payload.index(b'"previous":"') + len(b'"previous":"')
                payload = payload[:start] + previous.encode() + payload[start + 64 :]
            previous = hashlib.sha256(payload).hexdigest()
            db.execute("INSERT INTO entries VALUES (?,?,?,?,?)", (GATEWAY, entry.epoch, entry.seq, previous, payload))
        db.commit()
    return folder


HEARTBEAT = b'"time":"2026-11-22T12:03:01Z","event":{"type":"heartbeat","observed":{}}}'


@pytest.mark.urs("URS-AUD-06")
def test_a_history_rewritten_without_its_checkpoints_is_not_good(tmp_path: Path, signer: keys.Signer) -> None:
    epoch = journal_of(tmp_path / "journal", signer, range(4), range(4, 6))
    entries = list(read_journal(tmp_path / "journal"))
    (place,) = [entry.seq for entry in entries if b'"checkpoint"' in entry.payload]
    whole = store_of(entries, tmp_path / "whole", {})
    assert verify(whole, signer.public).exit_code == 0
    store = store_of(entries, tmp_path / "forged", {3: at(2).body.replace(b".51", b".52"), place: HEARTBEAT})
    report = verify(store, signer.public)
    assert (report.exit_code, report.signatures) == (2, 0), list(report.lines())
    assert report.signed == [Signed(GATEWAY, epoch, 0, len(entries), len(entries), report.signed[0].since)]
    assert any("nothing of lyon/granulation-2 is signed" in text for text in report.missing)


@pytest.mark.urs("URS-AUD-06")
def test_a_journal_without_a_signature_is_good_without_a_key_alone(tmp_path: Path, signer: keys.Signer) -> None:
    epoch = journal_of(tmp_path / "journal", signer, [], range(3))
    assert verify(tmp_path / "journal").exit_code == 0
    report = verify(tmp_path / "journal", signer.public)
    assert report.exit_code == 2, list(report.lines())
    other = keys.Signer("lyon/other", Ed25519PrivateKey.generate())
    report = verify(tmp_path / "journal", other.public)
    assert (report.exit_code, report.missing) == (2, [verifier.no_key_of(GATEWAY)]), "a key of another gateway proves nothing here"
    (tmp_path / "journal" / verifier.KEY_BESIDE).write_text(signer.public)
    report = verify(tmp_path / "journal")
    assert (report.exit_code, any("is signed" in note for note in report.notes)) == (0, True)
    assert report.signed[0].epoch == epoch


@pytest.mark.urs("URS-AUD-06")
@pytest.mark.parametrize(("last", "exit_code"), [(13, 0), (14, 2)])
def test_entries_after_the_newest_checkpoint_may_span_ten_minutes(
    tmp_path: Path, signer: keys.Signer, last: int, exit_code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    epoch = journal_of(tmp_path / "journal", signer, range(4), range(4, last + 1))
    entries = list(read_journal(tmp_path / "journal"))
    store = store_of(entries, tmp_path / "store", {})
    for path in (tmp_path / "journal", store):
        report = verify(path, signer.public)
        assert report.exit_code == exit_code, list(report.lines())
        unsigned = last + 1 - 4 + 1
        assert report.signed == [Signed(GATEWAY, epoch, 5, len(entries), unsigned, "2026-11-22T12:03:01Z")]
        told = f"epoch {epoch}: signed through entry 5 of {len(entries)}; the last {unsigned} entries since 2026-11-22T12:03:01Z are not"
        assert any(told in line for line in report.lines())
        assert verify(path, signer.public, max_unsigned_s=700).exit_code == 0
        assert verifier.main([str(path), "--key", signer.public, "--unsigned-s", "60", "--json"]) == 2
        (signed,) = json.loads(capsys.readouterr().out)["signed"]
        assert (signed["through"], signed["last"], signed["unsigned"]) == (5, len(entries), unsigned)


@pytest.mark.urs("URS-AUD-06")
def test_an_epoch_whose_end_a_signed_one_names_is_signed(tmp_path: Path, signer: keys.Signer) -> None:
    """A gateway that died signed nothing of its last minutes; the epoch after names the last entry, and by the chain all before."""
    folder = tmp_path / "journal"
    first = journal_of(folder, signer, range(4), range(4, 40))
    assert verify(folder, signer.public).exit_code == 2
    change(folder, "INSERT OR REPLACE INTO about VALUES ('restored', 1)")
    second = journal_of(folder, signer, range(40, 43), [])
    report = verify(folder, signer.public)
    assert report.exit_code == 0, list(report.lines())
    assert [(signed.epoch, signed.last - signed.through) for signed in report.signed] == [(first, 0), (second, 1)]


@pytest.mark.urs("URS-AUD-06")
def test_checkpoints_that_were_taken_out_of_journal_db_are_missed(tmp_path: Path, signer: keys.Signer) -> None:
    folder = tmp_path / "journal"
    journal_of(folder, signer, range(4), range(4, 6))
    assert verify(folder, signer.public).exit_code == 0
    change(folder, "DELETE FROM checkpoints")
    report = verify(folder, signer.public)
    assert (report.exit_code, report.missing[0].startswith("journal.db holds no checkpoint")) == (2, True), list(report.lines())


@pytest.mark.urs("URS-AUD-06")
def test_an_entry_without_a_readable_time_is_of_an_unknown_age(tmp_path: Path, signer: keys.Signer) -> None:
    journal_of(tmp_path / "journal", signer, range(4), range(4, 6))
    entries = list(read_journal(tmp_path / "journal"))
    store = store_of(entries, tmp_path / "store", {len(entries): b'"time":"now"}'})
    assert verify(store, signer.public).exit_code == 2
    shutil.rmtree(store)
