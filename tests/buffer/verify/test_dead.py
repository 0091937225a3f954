"""A journal that a crash cut, judged before it is started again: what the next start removes is named, everything else is found."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from kit.journals import GATEWAY, numbered, opened, short_segments

from buffer import Body, chain, segment
from buffer.verify import verify

ENTRIES = 64
BEFORE, ACROSS = 40, 30
"""Entries in the segment that grows, and in the append that reaches over its end: to entry 70."""


class Dead:
    """`folder`: as a crash leaves it in the middle of an append over a segment's end, with the next segment's file or without it."""

    def __init__(self, at: Path, gateway: str = GATEWAY, before: int = BEFORE) -> None:
        journal = opened(at / "living", gateway)
        self.folder, self.epoch = at / "dead", journal.opened.epoch
        journal.append([numbered(number) for number in range(before)], urgent=True).result()
        shutil.copytree(at / "living", self.folder)
        journal.append([numbered(before + number) for number in range(ACROSS + BEFORE - before)], urgent=True).result()
        self.name = f"{self.epoch}-{ENTRIES + 1}.db"
        self.next = at / "next"
        self.next.mkdir()
        for path in (at / "living" / "segments").glob(f"{self.name}*"):
            shutil.copyfile(path, self.next / path.name)
        journal.close()

    def put(self, name: str | None = None) -> Path:
        """The next segment's file, written whole, is there."""
        for path in self.next.glob("*"):
            shutil.copyfile(path, self.folder / "segments" / path.name.replace(self.name, name or self.name))
        return self.folder / "segments" / (name or self.name)

    def row(self, sql: str, *values: object) -> None:
        """Somebody who writes into journal.db; the gateway itself does it this way too."""
        with closing(sqlite3.connect(self.folder / "journal.db")) as db:
            db.execute(sql, values)
            db.commit()

    def known(self) -> None:
        self.row("INSERT INTO segments VALUES (?, ?, NULL, 'open', 0, 0, 0, 0, ?, NULL, NULL, NULL)", self.epoch, ENTRIES + 1, b"x" * 32)


@pytest.fixture(autouse=True)
def segments_end_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    short_segments(monkeypatch, ENTRIES)


@pytest.fixture
def dead(tmp_path: Path) -> Dead:
    return Dead(tmp_path)


def starts_with(folder: Path, entries: int) -> bool:
    journal = opened(folder)
    try:
        return journal.opened.findings == [] and journal.next_seq == entries + 1
    finally:
        journal.close()


def empty(path: Path, gateway: str = GATEWAY, epoch: int = 0, first: int = 0) -> None:
    segment.create(path, {"gateway": gateway, "epoch": epoch, "first": first, "previous": chain.NO_DIGEST, "across": None}).close()


def accused(folder: Path) -> list[str]:
    report = verify(folder)
    return report.problems if report.exit_code == 1 else []


@pytest.mark.urs("URS-BUF-02", "URS-AUD-06")
@pytest.mark.parametrize("known", [False, True])
def test_an_append_over_the_end_that_was_cut_is_named_and_the_next_start_removes_it(dead: Dead, *, known: bool) -> None:
    path = dead.put()
    if known:
        dead.known()
    report = verify(dead.folder)
    assert (report.exit_code, report.entries) == (0, BEFORE), list(report.lines())
    assert any(f"{dead.name} was begun just before the crash and holds 6 entries" in note for note in report.notes)
    assert starts_with(dead.folder, BEFORE)
    assert not path.exists()
    assert (verify(dead.folder).exit_code, verify(dead.folder).notes) == (0, [])


@pytest.mark.parametrize("tables", [False, True])
def test_a_next_segment_without_an_entry_is_named_and_the_next_start_removes_it(dead: Dead, *, tables: bool) -> None:
    path = dead.folder / "segments" / dead.name
    if tables:
        empty(path, epoch=dead.epoch, first=ENTRIES + 1)
    else:
        path.touch()
    report = verify(dead.folder)
    assert report.exit_code == 0, list(report.lines())
    assert "holds no entry" in report.notes[0]
    assert starts_with(dead.folder, BEFORE)
    assert not path.exists()


def changed(sql: str) -> Callable[[Dead], None]:
    def change(dead: Dead) -> None:
        with closing(sqlite3.connect(dead.put())) as db:
            db.execute("DROP TRIGGER entries_are_not_changed")
            db.execute("DROP TRIGGER entries_are_not_removed")
            db.execute(sql)
            db.commit()

    return change


def foreign(dead: Dead) -> None:
    other = Dead(dead.folder.parent / "elsewhere", "lyon/other")
    for path in other.next.glob("*"):
        shutil.copyfile(path, dead.folder / "segments" / path.name.replace(other.name, dead.name))


def of_another_history(dead: Dead) -> None:
    other = Dead(dead.folder.parent / "elsewhere", before=BEFORE - 1)
    for path in other.next.glob("*"):
        shutil.copyfile(path, dead.folder / "segments" / path.name.replace(other.name, dead.name))


def two(dead: Dead) -> None:
    dead.put()
    empty(dead.folder / "segments" / f"{dead.epoch}-{2 * ENTRIES + 1}.db")


def known_and_confirmed(dead: Dead) -> None:
    dead.put()
    dead.known()
    dead.row("INSERT INTO cursors VALUES ('ebr', 1, ?, ?)", dead.epoch, BEFORE + 5)


INSERTED = {
    "an entry that was changed": changed("UPDATE entries SET payload = x'28b52ffd' WHERE seq = 66"),
    "an entry with another digest": changed("UPDATE entries SET digest = zeroblob(32) WHERE seq = 70"),
    "an entry left out": changed("DELETE FROM entries WHERE seq = 66"),
    "an append that began elsewhere": changed("UPDATE about SET value = 42 WHERE name = 'across'"),
    "no append across": changed("UPDATE about SET value = NULL WHERE name = 'across'"),
    "another digest before": changed("UPDATE about SET value = 'ab' WHERE name = 'previous'"),
    "another gateway's": foreign,
    "another history's": of_another_history,
    "not the direct successor": lambda dead: dead.put(f"{dead.epoch}-{2 * ENTRIES + 1}.db") and None,
    "another epoch": lambda dead: dead.put(f"{dead.epoch + 1}-{ENTRIES + 1}.db") and None,
    "an earlier epoch, empty": lambda dead: empty(dead.folder / "segments" / f"{dead.epoch - 1}-{ENTRIES + 1}.db"),
    "empty, but not the successor": lambda dead: empty(dead.folder / "segments" / f"{dead.epoch}-{2 * ENTRIES + 1}.db"),
    "no segment's name": lambda dead: dead.put("more.db") and None,
    "two": two,
    "confirmed by the EBR": known_and_confirmed,
}


@pytest.mark.urs("URS-AUD-06")
@pytest.mark.parametrize("case", INSERTED)
def test_an_inserted_or_foreign_segment_is_found(dead: Dead, case: str) -> None:
    assert not accused(dead.folder)
    INSERTED[case](dead)
    assert accused(dead.folder), case


def test_a_journal_that_was_stopped_has_no_unfinished_file(dead: Dead) -> None:
    dead.put()
    dead.row("UPDATE about SET value = 1 WHERE name = 'clean'")
    assert accused(dead.folder) == [f"segments/{dead.name} is not one of this journal"]


@pytest.mark.urs("URS-BUF-06", "URS-AUD-06")
def test_what_pruning_left_is_named_only_if_it_is_what_was_closed(tmp_path: Path) -> None:
    journal = opened(tmp_path / "journal")
    for number in range(3 * ENTRIES + 5):
        journal.append([numbered(number)])
    what = {"epoch": journal.opened.epoch, "first": 1, "last": ENTRIES}
    audit = f'"time":"2026-11-22T07:15:02.5Z","event":{json.dumps({"type": "audit", "action": "prune", "what": what})}}}'
    journal.append([Body("ebr-gateway/event/1", audit.encode())], urgent=True).result()
    journal._writer.do(lambda: None).result()
    folder, first = tmp_path / "dead", f"{journal.opened.epoch}-1.db"
    shutil.copytree(tmp_path / "journal", folder)
    journal.close()
    with closing(sqlite3.connect(folder / "journal.db")) as db:
        db.execute("UPDATE segments SET state = 'pruned' WHERE first = 1")
        db.commit()
    report = verify(folder)
    assert report.exit_code == 0, list(report.lines())
    assert f"{first} was pruned just before the crash" in report.notes[0]
    path = folder / "segments" / first
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)
    assert accused(folder) == [f"segments/{first} is not one of this journal"]


def test_a_first_start_that_was_cut_is_no_journal_yet(tmp_path: Path) -> None:
    (tmp_path / "data" / "segments").mkdir(parents=True)
    (tmp_path / "data" / "lock").touch()
    assert verify(tmp_path / "data").exit_code == 2
    (tmp_path / "data" / "journal.db").touch()
    assert verify(tmp_path / "data").exit_code == 2
    (tmp_path / "data" / "damaged").mkdir()
    assert accused(tmp_path / "data"), "a journal was here"
    (tmp_path / "data" / "damaged").rmdir()
    (tmp_path / "data" / "segments" / "1-1.db").touch()
    assert accused(tmp_path / "data")
