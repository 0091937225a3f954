"""What an EBR has beyond a backup is taken over: proved, under its old identities, and refused where it contradicts the backup."""

import json
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kit.journals import GATEWAY, event, numbered, opened, short_segments

from buffer import Entry, Journal, keys, read_journal
from buffer.chain import digest as digest_of
from buffer.restore import backup
from buffer.restore.backup import RestoreRefused, restore
from buffer.verify import verify

ENTRIES = 64


@pytest.fixture(autouse=True)
def segments_end_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    short_segments(monkeypatch, ENTRIES)


class Learned:
    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []

    def take(self, entry: Entry) -> None:
        self.seen.append((entry.epoch, entry.seq))

    def facts(self) -> dict[str, dict[str, Any]]:
        return {"mes": {"seen": len(self.seen)}}


class Plant:
    """A journal with a backup in the middle, and an EBR that has more."""

    def __init__(self, at: Path) -> None:
        self.at, self.journal, self.backup, self.store = at, at / "journal", at / "backup", at / "store"
        self.signer = keys.create(at / "key.pem", GATEWAY)
        journal = opened(self.journal)
        (self.journal / "checkpoint-key.pub").write_text(self.signer.public + "\n")
        self.epoch = journal.opened.epoch
        self._begin(journal)
        self._grow(journal, 39)
        journal.append([numbered(0)], watermark=("mes", {"old": 1}), state=b"fold", urgent=True).result()
        assert backup.backup(self.journal, self.backup).exit_code == 0
        self.held = journal.last[1]
        self._grow(journal, 100)
        self._sign(journal)
        new = keys.create(at / "new.pem", GATEWAY)
        journal.append([event({"type": "audit", **keys.rotation(self.signer, new), "who": "u", "reason": "r"})], urgent=True).result()
        self.signer = new
        self._grow(journal, 120)
        self._sign(journal)
        self.last = journal.last[1]
        journal.close()
        self.received = [(one["epoch"], one["seq"], payload) for payload in self._payloads() for one in [json.loads(payload)]]

    def _payloads(self) -> Iterator[bytes]:
        return (entry.payload for entry in read_journal(self.journal))

    def _begin(self, journal: Journal) -> None:
        if journal.opened.epoch_event is not None:
            journal.append([event(journal.opened.epoch_event)], urgent=True).result()

    def _grow(self, journal: Journal, entries: int) -> None:
        for number in range(entries):
            journal.append([numbered(number)], urgent=number == entries - 1)
        journal.append([numbered(0)], urgent=True).result()

    def _sign(self, journal: Journal) -> None:
        made = journal.checkpoint(self.signer)
        assert made is not None
        journal.append([event(made)], urgent=True).result()

    def next_epoch(self) -> int:
        """The journal goes on in a second epoch, and the EBR gets that, too."""
        with closing(sqlite3.connect(self.journal / "journal.db")) as db:
            db.execute("INSERT OR REPLACE INTO about VALUES ('restored', 1)")
            db.commit()
        journal = opened(self.journal)
        self._begin(journal)
        self._grow(journal, 70)
        epoch = journal.opened.epoch
        journal.close()
        self.received = [(one["epoch"], one["seq"], payload) for payload in self._payloads() for one in [json.loads(payload)]]
        return epoch

    def books(self, gateway: str = GATEWAY, through: int | None = None, without: tuple[int, ...] = ()) -> sqlite3.Connection:
        """The EBR's store, as a connection to change it with."""
        self.store.mkdir()
        db = sqlite3.connect(self.store / "ebr.db", isolation_level=None)
        db.execute("CREATE TABLE entries(gateway, epoch, seq, digest, payload)")
        db.execute("BEGIN")
        for epoch, seq, payload in self.received:
            if seq not in without and (through is None or seq <= through):
                digest = digest_of(payload).hex()
                db.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?)", (gateway, epoch, seq, digest, payload))
        db.execute("COMMIT")
        return db

    def restored(self, to: str = "spare") -> tuple[Path, list[tuple[int, int, bytes]], list[str], Learned]:
        learned = Learned()
        _, taken = restore(self.backup, self.at / to, self.store, learned)
        report = verify(self.at / to, (self.at / "key.pem.pub").read_text())
        assert report.exit_code == (0 if report.signatures else 2), list(report.lines())
        found = [(one["epoch"], one["seq"], entry.payload) for entry in read_journal(self.at / to) for one in [json.loads(entry.payload)]]
        assert taken.entries == len(learned.seen) == len(found) - self.held
        return self.at / to, found, taken.notes, learned


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    return Plant(tmp_path)


@pytest.mark.urs("URS-OPS-02", "URS-UPL-02")
def test_the_journal_goes_on_to_the_last_entry_of_the_ebr_over_segments_checkpoints_and_a_new_key(plant: Plant) -> None:
    plant.books().close()
    folder, found, notes, _ = plant.restored()
    assert (found, notes) == (plant.received, [])
    assert len(list((folder / "segments").glob("*.db"))) == plant.last // ENTRIES + 1 >= 4
    assert plant.signer.public in (folder / "checkpoint-key.pub").read_text()
    assert "key-rotation" in (folder / "key-rotations.txt").read_text()
    journal = opened(folder)
    told = journal.opened.epoch_event
    assert told is not None
    assert (told["reason"], told["follows"], told["last_seq"], told["lost"]) == ("restored", plant.epoch, plant.last, [])
    assert journal.opened.epoch > plant.epoch
    assert journal.opened.findings == []
    assert journal.watermark("mes") == {"old": 1, "seen": plant.last - plant.held}
    assert journal.state() == ((plant.epoch, plant.held), b"fold"), "what comes after it is folded at the start"
    journal.append([event(told)], urgent=True).result()
    assert journal.checkpoint(plant.signer) is not None
    assert journal.scrub.check()
    journal.close()
    assert verify(folder, plant.signer.public).exit_code == 0


def test_signed_checkpoints_come_with_the_entries(plant: Plant) -> None:
    plant.books().close()
    folder, *_ = plant.restored()
    with closing(sqlite3.connect(folder / "journal.db")) as here, closing(sqlite3.connect(plant.journal / "journal.db")) as there:
        sql = "SELECT epoch, size, root, note FROM checkpoints ORDER BY 1, 2"
        assert here.execute(sql).fetchall() == there.execute(sql).fetchall() != []


@pytest.mark.urs("URS-OPS-02")
def test_a_later_epoch_is_taken_if_it_follows(plant: Plant) -> None:
    later = plant.next_epoch()
    plant.books().close()
    folder, found, notes, _ = plant.restored()
    assert (found, notes) == (plant.received, [])
    journal = opened(folder)
    assert journal.opened.epoch_event is not None
    assert journal.opened.epoch_event["follows"] == later
    journal.close()


def test_an_epoch_that_ended_earlier_at_the_gateway_is_taken_to_there(plant: Plant) -> None:
    """An EBR may hold entries that the gateway had lost when the next epoch began: the journal's own history goes on."""
    later = plant.next_epoch()
    first = next(payload for epoch, seq, payload in plant.received if (epoch, seq) == (later, 1))
    cut = plant.last - 5
    digest = digest_of(next(payload for epoch, seq, payload in plant.received if (epoch, seq) == (plant.epoch, cut))).hex()
    stated = json.loads(first)["event"]
    changed = first.replace(b'"last_seq":%d' % plant.last, b'"last_seq":%d' % cut).replace(stated["last_digest"].encode(), digest.encode())
    plant.received = [(e, s, changed if (e, s) == (later, 1) else payload) for e, s, payload in plant.received if (e, s) <= (later, 1)]
    plant.books().close()
    _, found, _, _ = plant.restored()
    assert [(e, s) for e, s, _ in found] == [(plant.epoch, seq) for seq in range(1, cut + 1)] + [(later, 1)]


@pytest.mark.parametrize("rejected", [False, True])
def test_it_is_taken_up_to_a_hole_and_that_is_said(plant: Plant, *, rejected: bool) -> None:
    later = plant.next_epoch()
    with closing(plant.books(without=(150,))) as db:
        if rejected:
            db.execute("CREATE TABLE rejected(gateway, epoch, seq, digest, leaf)")
            db.execute("INSERT INTO rejected VALUES (?, ?, 150, '', x'00')", (GATEWAY, plant.epoch))
    folder, found, notes, _ = plant.restored()
    assert found[-1][:2] == (plant.epoch, 149)
    why = "was rejected by the EBR" if rejected else "is not in the store"
    assert f"epoch {plant.epoch}: entry 150 {why}: {len(plant.received) - 150} entries after it were not taken" in notes
    assert f"epoch {later} was not taken: it follows entry {plant.last} of epoch {plant.epoch}" in notes
    journal = opened(folder)
    assert journal.opened.epoch > later, "no epoch that the EBR knows begins anew"
    journal.close()


def test_a_clock_that_is_behind_gives_no_epoch_that_the_ebr_knows(plant: Plant) -> None:
    ahead = int(time.time()) + 5000
    with closing(plant.books()) as db:
        db.execute("INSERT INTO entries VALUES (?, ?, 7, '', '')", (GATEWAY, ahead))
    folder, _, notes, _ = plant.restored()
    assert notes == [f"epoch {ahead} was not taken: its first entry is not in the store"]
    journal = opened(folder)
    assert journal.opened.epoch == ahead + 1
    journal.close()


@pytest.mark.parametrize("through", [0, 17])
def test_a_store_that_is_behind_the_backup_gives_nothing(plant: Plant, through: int) -> None:
    plant.books(through=through).close()
    _, found, _, learned = plant.restored()
    assert (len(found), learned.seen) == (plant.held, [])


CONTRADICTIONS = {
    "another entry under an identity of the backup": (
        "UPDATE entries SET digest = 'ab' WHERE seq = 7",
        "contradicts the backup: .*entry 7",
    ),
    "damaged": ("UPDATE entries SET payload = 'x' WHERE seq = 60", "entry 60 is damaged"),
    "not what its place says": (
        "UPDATE entries SET (digest, payload) = (SELECT digest, payload FROM entries WHERE seq = 61) WHERE seq = 60",
        "entry 60 is not the entry that its place says",
    ),
    "not text": ("DROP TABLE entries", "is no EBR's store"),
    "another gateway's": ("UPDATE entries SET gateway = 'lyon/other'", "holds nothing of lyon/granulation-2, only of lyon/other"),
}


@pytest.mark.urs("URS-OPS-02")
@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_a_store_that_does_not_go_with_the_backup_is_refused(plant: Plant, case: str) -> None:
    sql, text = CONTRADICTIONS[case]
    with closing(plant.books()) as db:
        db.execute(sql)
    with pytest.raises(RestoreRefused, match=text):
        restore(plant.backup, plant.at / "spare", plant.store, Learned())
    assert not (plant.at / "spare" / "journal.db").exists()
    restore(plant.backup, plant.at / "spare")
    assert verify(plant.at / "spare").entries == plant.held, "it can be restored without the store then"


def test_another_history_after_the_backup_is_refused(plant: Plant) -> None:
    restore(plant.backup, plant.at / "other")
    with closing(sqlite3.connect(plant.at / "other" / "journal.db")) as db:
        db.execute("DELETE FROM about WHERE name = 'restored'")
        db.commit()
    journal = opened(plant.at / "other")  # goes on in the same epoch, as none may
    journal.append([numbered(77)] * 3, urgent=True).result()
    journal.close()
    shutil.rmtree(plant.backup)
    assert backup.backup(plant.at / "other", plant.backup).exit_code == 0
    plant.books().close()
    with pytest.raises(RestoreRefused, match=f"contradicts the backup: epoch {plant.epoch}, entry {plant.held + 1} "):
        restore(plant.backup, plant.at / "spare", plant.store, Learned())
    with closing(sqlite3.connect(plant.store / "ebr.db")) as db:
        db.execute("DELETE FROM entries WHERE seq BETWEEN ? AND ?", (plant.held + 1, plant.held + 3))
        db.commit()
    with pytest.raises(RestoreRefused, match=f"entry {plant.held + 4} does not follow entry {plant.held + 3} here"):
        restore(plant.backup, plant.at / "spare", plant.store, Learned())


def test_a_restore_that_is_cut_short_is_done_again(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant.books().close()
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", lambda *_, **__: None)  # whoever is killed removes nothing
        patched.setattr(backup, "_put_in_place", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            restore(plant.backup, plant.at / "spare", plant.store, Learned())
    assert (plant.at / "spare" / "restoring" / "journal.db").exists()
    folder, found, _, _ = plant.restored()
    assert found == plant.received
    (folder / "journal.db").rename(plant.at / "not yet in place")
    with pytest.raises(RestoreRefused, match=r"start the gateway, it makes journal\.db anew; or of a restore cut at"):
        restore(plant.backup, folder, plant.store, Learned())
    journal = opened(folder)
    assert journal.opened.epoch > plant.epoch, "a start without journal.db goes on under no old identity"
    journal.close()
