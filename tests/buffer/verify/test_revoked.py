"""Keys that were revoked when their line was retired: what they signed afterwards is named, what they signed before stays good."""

import io
import json
import shutil
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from kit.journals import EMPTY, GATEWAY, event, opened
from kit.signed_journal import Made

from buffer import keys, read_journal
from buffer import verify as verifier
from buffer.archive import packing
from buffer.restore import backup as backups
from buffer.verify import REVOCATION_BESIDE, Revocation, read_revocation, verify

pytestmark = [pytest.mark.urs("URS-OPS-07"), pytest.mark.urs("URS-AUD-05")]

EARLY, LATE = "2026-01-01T00:00:00.12Z", "2100-01-01T00:00:00Z"


def note_of(signer: keys.Signer, epoch: int, seq: int, *others: keys.Signer, time: str = LATE) -> str:
    """A revocation as `retire` writes it."""
    named = [one.public for one in (*others, signer)]
    lines = [verifier.REVOKED, signer.name, *named, f"sign nothing after entry {seq} of epoch {epoch}", time, ""]
    return signer.note("\n".join(lines))


@dataclass
class Retired:
    """A journal whose key was revoked after its last entry; the key itself was kept by somebody."""

    folder: Path
    signer: keys.Signer
    epoch: int
    last: int

    def goes_on(self, *signers: keys.Signer, rotates_to: keys.Signer | None = None) -> None:
        """Append entries after the end, and sign them; perhaps another key is led in first."""
        journal = opened(self.folder)
        if rotates_to is not None:
            journal.append([event({"type": "audit", "who": "qa", **keys.rotation(self.signer, rotates_to)})])
        for signer in signers:
            journal.append([EMPTY] * 3, urgent=True).result()
            made = journal.checkpoint(signer)
            assert made is not None
            journal.append([event(made)], urgent=True).result()
        journal.close()

    def signed_later(self) -> str:
        return f"was signed with a key that was revoked on {LATE}, after entry {self.last} of epoch {self.epoch}"


@pytest.fixture
def retired(tmp_path: Path) -> Retired:
    folder, signer = tmp_path / "journal", keys.Signer(GATEWAY, Ed25519PrivateKey.generate())
    journal = opened(folder)
    assert journal.opened.epoch_event is not None
    journal.append([event(journal.opened.epoch_event), *[EMPTY] * 20], urgent=True).result()
    made = journal.checkpoint(signer)
    assert made is not None
    journal.append([event(made)], urgent=True).result()
    epoch, last = journal.last
    journal.close()
    (folder / REVOCATION_BESIDE).write_text(note_of(signer, epoch, last))
    return Retired(folder, signer, epoch, last)


def store_of(folder: Path, target: Path) -> Path:
    target.mkdir()
    with closing(sqlite3.connect(target / "ebr.db")) as db, db:
        db.execute("CREATE TABLE entries(gateway, epoch, seq, digest, payload, PRIMARY KEY(gateway, epoch, seq))")
        rows = [(GATEWAY, entry.epoch, entry.seq, entry.digest, entry.payload) for entry in read_journal(folder)]
        db.executemany("INSERT INTO entries VALUES (?,?,?,?,?)", rows)
    return target


def test_what_was_signed_before_the_revocation_stays_good_and_says_so(retired: Retired) -> None:
    report = verify(retired.folder, retired.signer.public)
    assert (report.exit_code, report.signatures > 0) == (0, True), list(report.lines())
    (told,) = report.revoked
    assert (told.epoch, told.seq, told.good, told.late) == (retired.epoch, retired.last, report.signatures, 0)
    assert str(told).endswith("stay good") or str(told).endswith("stays good")


def test_what_was_signed_after_the_revocation_is_named_and_proves_nothing(retired: Retired) -> None:
    before = verify(retired.folder, retired.signer.public)
    retired.goes_on(retired.signer)
    report = verify(retired.folder, retired.signer.public)
    assert report.exit_code == 1
    named = [text for text in report.problems if retired.signed_later() in text]
    assert named == report.problems
    assert f"the checkpoint of {retired.last + 3} entries of epoch {retired.epoch}" in named[0]
    assert [one.through for one in report.signed] == [one.through for one in before.signed], "what came later signs nothing"
    assert (report.revoked[0].good, report.revoked[0].late) == (before.revoked[0].good, len(named))
    (retired.folder / REVOCATION_BESIDE).unlink()
    assert verify(retired.folder, retired.signer.public).exit_code == 0, "nothing else tells"


def test_the_receivers_store_is_judged_by_a_revocation_that_is_given_or_lies_beside(retired: Retired, tmp_path: Path) -> None:
    retired.goes_on(retired.signer)
    (tmp_path / "elsewhere").mkdir()
    store = store_of(retired.folder, tmp_path / "elsewhere" / "store")
    assert verify(store, retired.signer.public).exit_code == 0
    given = verify(store, retired.signer.public, revocation=[retired.folder / REVOCATION_BESIDE])
    assert (given.exit_code, retired.signed_later() in given.problems[0]) == (1, True)
    shutil.copy(retired.folder / REVOCATION_BESIDE, tmp_path / "elsewhere")
    assert verify(store, retired.signer.public).problems == given.problems


@pytest.mark.parametrize("by_entry", [True, False])
def test_a_revoked_key_leads_no_other_key_in(retired: Retired, by_entry: bool) -> None:
    thief = keys.Signer(GATEWAY, Ed25519PrivateKey.generate())
    retired.goes_on(thief, rotates_to=thief if by_entry else None)
    if not by_entry:
        (retired.folder / "key-rotations.txt").write_text(keys.rotation(retired.signer, thief)["what"]["note"])
    report = verify(retired.folder, retired.signer.public)
    assert report.exit_code == 1
    assert any(text.endswith(f"a rotation of keys {retired.signed_later()}") for text in report.problems), report.problems
    assert any("is not signed by the key" in text for text in report.problems), "who was led in is not trusted"


def test_a_rotation_of_before_still_leads_from_the_older_to_the_newer_key(tmp_path: Path) -> None:
    old, new = (keys.Signer(GATEWAY, Ed25519PrivateKey.generate()) for _ in range(2))
    its = Retired(tmp_path / "journal", old, 0, 0)
    journal = opened(its.folder)
    assert journal.opened.epoch_event is not None
    journal.append([event(journal.opened.epoch_event)], urgent=True).result()
    journal.close()
    its.goes_on(new, rotates_to=new)
    (its.folder / "key-rotations.txt").write_text(keys.rotation(old, new)["what"]["note"])
    epoch, last = [(entry.epoch, entry.seq) for entry in read_journal(its.folder)][-1]
    (its.folder / REVOCATION_BESIDE).write_text(note_of(new, epoch, last, old))
    report = verify(its.folder, old.public)
    assert (report.exit_code, len(report.revoked[0].keys), report.revoked[0].good) == (0, 2, report.signatures), list(report.lines())


def test_a_key_made_after_a_restore_is_not_revoked_with_the_others(retired: Retired) -> None:
    """The copy of a retired line is taken into service again: its new key is its own, and nobody handed it over."""
    new = keys.Signer(GATEWAY, Ed25519PrivateKey.generate())
    retired.goes_on(new)
    report = verify(retired.folder, f"{retired.signer.public}\n{new.public}")
    assert (report.exit_code, report.revoked[0].late) == (0, 0), list(report.lines())


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda text: text.replace("entry", "entries"), "no revocation of keys as `retire` writes it"),
        (lambda text: text.replace("after entry 2", "after entry 1"), "that no trusted key of it has signed"),
        (lambda text: text.replace(LATE, "yesterday"), "'yesterday' is no time in UTC"),
        (lambda text: text.partition("\n\n")[0], "no revocation of keys"),
        (lambda text: "", "no revocation of keys"),
        (lambda text: "\udcff", "can't decode"),
    ],
)
def test_a_revocation_that_is_none_or_that_no_key_signed_is_bad_evidence(retired: Retired, damage: Callable[[str], str], says: str) -> None:
    path = retired.folder / REVOCATION_BESIDE
    before = path.read_text()
    path.write_text(damage(before), errors="surrogateescape")
    assert path.read_bytes() != before.encode()
    report = verify(retired.folder, retired.signer.public)
    assert (report.exit_code, len(report.problems)) == (1, 1), report.problems
    assert says in report.problems[0]


def test_without_a_key_and_of_another_gateway_it_is_told_as_not_checked(retired: Retired, tmp_path: Path) -> None:
    report = verify(retired.folder)
    assert (report.exit_code, report.revoked[0].good) == (0, None)
    assert f"no public key of {GATEWAY} was given" in str(report.revoked[0])
    other = keys.Signer("lyon/other", Ed25519PrivateKey.generate())
    (tmp_path / "of-other.txt").write_text(note_of(other, 1, 1))
    given = verify(retired.folder, retired.signer.public, revocation=[tmp_path / "of-other.txt"])
    assert (given.exit_code, given.missing[0][:50]) == (2, "the revocation of keys of lyon/other could not be "), given.missing
    (tmp_path / "key.pub").write_text(retired.signer.public)
    with pytest.raises(ValueError, match=r"key\.pub: no revocation of keys"):
        read_revocation(tmp_path / "key.pub")
    with pytest.raises(ValueError, match="keys of another gateway"):
        Revocation.parse(note_of(other, 1, 1, retired.signer))


@pytest.mark.parametrize(("time", "code"), [(LATE, 0), (EARLY, 1)])
def test_an_archive_is_good_that_was_made_before_and_bad_that_was_made_after(made: Made, tmp_path: Path, time: str, code: int) -> None:
    note, to = note_of(made.signer, made.epoch, made.last, time=time), tmp_path / "out" / "archives"
    to.mkdir(parents=True)
    packing.make(made.journal, "B2026-0417", to / "a.zip", [made.signer.public], made.signer.note)
    assert verify(to / "a.zip", made.signer.public).exit_code == 0
    (tmp_path / "out" / REVOCATION_BESIDE).write_text(note)
    report = verify(to / "a.zip", made.signer.public)
    assert report.exit_code == code, list(report.lines())
    if code:
        assert report.problems[0].startswith("SHA256SUMS.note, of an archive made 20"), report.problems
        assert "was signed with a key that was revoked on 2026-01-01T00:00:00.12Z" in report.problems[0]


def test_an_archive_over_entries_after_the_end_is_named(made: Made, tmp_path: Path) -> None:
    packing.make(made.journal, "B2026-0417", tmp_path / "a.zip", [made.signer.public], made.signer.note)
    (tmp_path / "note.txt").write_text(note_of(made.signer, made.epoch, 100))
    report = verify(tmp_path / "a.zip", made.signer.public, revocation=[tmp_path / "note.txt"])
    assert report.exit_code == 1
    assert f"after entry 100 of epoch {made.epoch}" in report.problems[0]


def test_backup_and_archive_carry_the_revocation_with_them(made: Made, tmp_path: Path) -> None:
    journal = shutil.copytree(made.journal, tmp_path / "journal")
    (journal / REVOCATION_BESIDE).write_text(note_of(made.signer, made.epoch, made.last))
    assert backups.backup(journal, tmp_path / "copy").revoked == verify(journal).revoked != []
    (tmp_path / "alone").mkdir()
    packing.make(journal, "B2026-0417", tmp_path / "alone" / "a.zip", [made.signer.public], made.signer.note)
    with zipfile.ZipFile(io.BytesIO((tmp_path / "alone" / "a.zip").read_bytes())) as archive:
        assert REVOCATION_BESIDE in archive.namelist()
    assert len(verify(tmp_path / "alone" / "a.zip", made.signer.public).revoked) == 1


def test_the_command_tells_it_in_words_and_as_json(retired: Retired, capsys: pytest.CaptureFixture[str]) -> None:
    retired.goes_on(retired.signer)
    assert verifier.main([str(retired.folder), "--key", retired.signer.public]) == 1
    text = capsys.readouterr().out
    assert f"revoked: {GATEWAY}: key " in text
    assert "of afterwards are not" in text
    moved = (retired.folder / REVOCATION_BESIDE).rename(retired.folder.parent / "note.txt")
    assert verifier.main([str(retired.folder), "--key", retired.signer.public, "--revocation", str(moved), "--json"]) == 1
    (told,) = json.loads(capsys.readouterr().out)["revoked"]
    assert (told["gateway"], told["seq"], told["time"]) == (GATEWAY, retired.last, LATE)
