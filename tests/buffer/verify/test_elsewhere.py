"""What others keep shows what is gone here: checkpoints from elsewhere, an EBR's own books, keys that were handed over."""

import itertools
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from kit.journals import EMPTY, GATEWAY, event, opened

from buffer import chain, keys, read_journal
from buffer import verify as verifier
from buffer.verify import verify


def signer() -> keys.Signer:
    return keys.Signer(GATEWAY, Ed25519PrivateKey.generate())


def grown(folder: Path, key: keys.Signer, entries: int = 20) -> dict[str, Any]:
    """Entries, and a checkpoint over them that stands in the journal. Closes the journal."""
    journal = opened(folder)
    if journal.opened.epoch_event is not None:
        journal.append([event(journal.opened.epoch_event)])
    journal.append([EMPTY] * entries, urgent=True).result()
    checkpoint = journal.checkpoint(key)
    assert checkpoint is not None
    journal.append([event(checkpoint)], urgent=True).result()
    journal.close()
    return checkpoint


def note_in(path: Path, checkpoint: dict[str, Any]) -> Path:
    path.write_text(checkpoint["note"])
    return path


# ------------------------------------------------------------------ checkpoints from elsewhere


@pytest.mark.urs("URS-AUD-05")
def test_an_epoch_that_is_gone_altogether_is_found_by_its_checkpoint(tmp_path: Path) -> None:
    key = signer()
    grown(tmp_path / "journal", key)
    shutil.copytree(tmp_path / "journal", tmp_path / "old")
    with closing(sqlite3.connect(tmp_path / "journal" / "journal.db")) as db:
        db.execute("INSERT OR REPLACE INTO about VALUES ('restored', 1)")
        db.commit()
    (tmp_path / "journal" / "SHA256SUMS").unlink()
    note = note_in(tmp_path / "newer.txt", grown(tmp_path / "journal", key))
    epoch = int(note.read_text().split("\n")[0].rpartition("/")[2])

    assert verify(tmp_path / "journal", key.public, checkpoint=note).exit_code == 0
    assert verify(tmp_path / "old", key.public).exit_code == 0
    report = verify(tmp_path / "old", key.public, checkpoint=note)
    assert (report.exit_code, report.bad) == (1, (epoch, 1)), list(report.lines())


@pytest.mark.urs("URS-AUD-05")
def test_a_folder_of_checkpoints_of_several_gateways_is_taken_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key, other = signer(), keys.Signer("lyon/other", Ed25519PrivateKey.generate())
    folder = tmp_path / "witness"
    folder.mkdir()
    first = grown(tmp_path / "journal", key)
    note_in(folder / "a.txt", first)
    second = grown(tmp_path / "journal", key)
    note_in(folder / "b.txt", second)
    (folder / "c.txt").write_text(other.note(keys.checkpoint_text("lyon/other/17", 5, bytes(32))))
    report = verify(tmp_path / "journal", key.public, checkpoint=folder)
    assert (report.exit_code, report.signatures) == (0, 6), list(report.lines())
    assert "1 checkpoints of other gateways" in report.notes[-1]

    assert verifier.main([str(tmp_path / "journal"), "--key", key.public, "--checkpoint", str(folder / "c.txt")]) == 1
    assert "nothing of lyon/other/17 is here" in capsys.readouterr().out
    assert verifier.main([str(tmp_path / "journal"), "--checkpoint", str(folder / "a.txt"), "--checkpoint", str(folder / "b.txt")]) == 0
    (folder / "d.txt").write_text("rubbish")
    assert verifier.main([str(tmp_path / "journal"), "--checkpoint", str(folder)]) == 2
    assert "d.txt" in capsys.readouterr().err


def test_a_checkpoint_of_another_tree_or_by_another_key_is_bad(tmp_path: Path) -> None:
    key, thief = signer(), signer()
    checkpoint = grown(tmp_path / "journal", key)
    origin, size = checkpoint["note"].split("\n")[0], checkpoint["size"]
    (tmp_path / "fork.txt").write_text(key.note(keys.checkpoint_text(origin, size, bytes(32))))
    (tmp_path / "thief.txt").write_text(thief.note(checkpoint["note"].rpartition("\n\n")[0] + "\n"))
    for name, told in (("fork.txt", "root that was signed"), ("thief.txt", "not signed by the key")):
        report = verify(tmp_path / "journal", key.public, checkpoint=tmp_path / name)
        assert (report.exit_code, told in report.problems[0]) == (1, True), list(report.lines())


# ------------------------------------------------------------------ keys


@pytest.mark.urs("URS-AUD-06")
def test_any_key_of_a_row_of_rotations_proves_all_and_a_broken_row_does_not(tmp_path: Path) -> None:
    row = [signer(), signer(), signer()]
    for old, new in itertools.pairwise(row):
        grown(tmp_path / "journal", old)
        journal = opened(tmp_path / "journal")
        journal.append([event({"type": "audit", "who": "qa", **keys.rotation(old, new)})], urgent=True).result()
        journal.close()
    grown(tmp_path / "journal", row[-1])
    for key in row:
        report = verify(tmp_path / "journal", key.public)
        assert (report.exit_code, report.signatures) == (0, 6), list(report.lines())
    assert verify(tmp_path / "journal", signer().public).exit_code == 1
    note = keys.rotation(row[0], row[1])["what"]["note"]
    half = note.rpartition("\u2014")[0]
    (tmp_path / "journal" / verifier.ROTATIONS_BESIDE).write_text(half)
    assert verify(tmp_path / "journal", row[0].public).exit_code == 1
    (tmp_path / "journal" / verifier.ROTATIONS_BESIDE).write_text(note + "x")
    assert verify(tmp_path / "journal", row[0].public).exit_code == 1


def test_a_thiefs_rotation_to_himself_is_bad_although_both_his_keys_signed(tmp_path: Path) -> None:
    key = signer()
    grown(tmp_path / "journal", key)
    (tmp_path / "journal" / verifier.ROTATIONS_BESIDE).write_text(keys.rotation(signer(), signer())["what"]["note"])
    report = verify(tmp_path / "journal", key.public)
    assert (report.exit_code, report.problems) == (1, ["a key rotation between keys of which none is trusted"])


def test_without_a_key_of_this_gateway_signatures_are_missing_not_bad(tmp_path: Path) -> None:
    grown(tmp_path / "journal", signer())
    other = keys.Signer("lyon/other", Ed25519PrivateKey.generate())
    report = verify(tmp_path / "journal", other.public)
    assert (report.exit_code, report.signatures, len(report.missing)) == (2, 0, 1)


# ------------------------------------------------------------------ an EBR's store


def store_of(journal: Path, folder: Path, refused: int | None = None) -> Path:
    folder.mkdir()
    with closing(sqlite3.connect(folder / "ebr.db")) as db:
        db.execute("CREATE TABLE entries(gateway, epoch, seq, digest, payload, PRIMARY KEY(gateway, epoch, seq))")
        db.execute("CREATE TABLE rejected(gateway, epoch, seq, digest, previous, code, retry, reason, leaf)")
        db.execute("CREATE TABLE streams(gateway, epoch, through, digest)")
        for one in read_journal(journal):
            if one.seq == refused:
                row = (GATEWAY, one.epoch, one.seq, one.digest, "", "code", "never", "", chain.leaf(one.payload))
                db.execute("INSERT INTO rejected VALUES (?,?,?,?,?,?,?,?,?)", row)
            else:
                db.execute("INSERT INTO entries VALUES (?,?,?,?,?)", (GATEWAY, one.epoch, one.seq, one.digest, one.payload))
        db.execute("INSERT INTO streams SELECT gateway, epoch, MAX(seq), '' FROM entries GROUP BY gateway, epoch")
        db.commit()
    return folder


def changed(store: Path, sql: str) -> verifier.Report:
    with closing(sqlite3.connect(store / "ebr.db")) as db:
        db.execute(sql)
        db.commit()
    return verify(store)


@pytest.mark.urs("URS-AUD-06")
def test_what_an_ebr_refused_is_incomplete_evidence_and_what_it_lost_is_bad(tmp_path: Path) -> None:
    key = signer()
    grown(tmp_path / "journal", key)
    report = verify(store_of(tmp_path / "journal", tmp_path / "whole"), key.public)
    assert (report.exit_code, report.signatures) == (0, 1), list(report.lines())
    store = store_of(tmp_path / "journal", tmp_path / "store", refused=7)
    report = verify(store, key.public)
    assert (report.exit_code, report.signatures, "entry 7" in report.missing[0]) == (2, 1, True), list(report.lines())
    forged = changed(shutil.copytree(store, tmp_path / "forged"), "UPDATE rejected SET leaf = zeroblob(32)")
    assert (forged.exit_code, "root that was signed" in forged.problems[0]) == (1, True)
    lost = changed(shutil.copytree(store, tmp_path / "lost"), "DELETE FROM rejected")
    assert (lost.exit_code, lost.bad and lost.bad[1]) == (1, 7)
    cut = changed(shutil.copytree(store, tmp_path / "cut"), "DELETE FROM entries WHERE seq > 20")
    assert (cut.exit_code, cut.bad and cut.bad[1]) == (1, 21)
    swapped = "UPDATE entries SET payload = (SELECT payload FROM entries e WHERE e.seq = entries.seq + 1) WHERE seq = 10"
    assert changed(store, swapped).bad == (int(next(iter(read_journal(tmp_path / "journal"))).epoch), 10)
