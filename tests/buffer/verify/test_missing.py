"""What is not there: pruned and audited, lost and declared, not come yet, or taken away."""

import json
import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from kit.journals import EMPTY, GATEWAY, change, event, opened, short_segments
from kit.processes import until

from buffer import Journal, keys, read_journal
from buffer import verify as verifier
from buffer.restore import backup
from buffer.verify import uncovered, verify

ENTRIES = 64


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of 64 entries, so that many are pruned soon."""
    short_segments(monkeypatch, ENTRIES)


class Line:
    """A journal as a gateway keeps it: each epoch begins with its event, each prune has its audit entry."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.signer = keys.Signer(GATEWAY, Ed25519PrivateKey.generate())

    def run(self, entries: int, *, prune: bool = False) -> int:
        """One run, stopped cleanly. prune: after each segment all that may go goes."""
        journal = opened(self.folder)
        if journal.opened.epoch_event is not None:
            journal.append([event(journal.opened.epoch_event)], urgent=True).result()
        for number in range(entries):
            journal.append([EMPTY], urgent=number % ENTRIES == 0)
            if prune and number % ENTRIES == ENTRIES - 1:
                self.prune(journal)
        journal.append([EMPTY], urgent=True).result()
        checkpoint = journal.checkpoint(self.signer)
        assert checkpoint is not None
        journal.append([event(checkpoint)], urgent=True).result()
        journal.close()
        return journal.opened.epoch

    def prune(self, journal: Journal) -> None:
        journal.append([EMPTY], urgent=True).result()
        journal._writer.do(lambda: None).result()
        while (pruned := journal.prune(None)) is not None:
            journal.append([event({"type": "audit", "action": "prune", "what": pruned.audit()})], urgent=True).result()

    def rows(self, state: str) -> list[tuple[int, int]]:
        with closing(sqlite3.connect(self.folder / "journal.db")) as db:
            return db.execute("SELECT epoch, first FROM segments WHERE state = ? ORDER BY epoch, first", (state,)).fetchall()

    def verify(self) -> verifier.Report:
        return verify(self.folder, self.signer.public)


def call_pruned(line: Line, at: tuple[int, int]) -> verifier.Report:
    """A segment is taken away from a copy, and journal.db calls it pruned."""
    folder = line.folder.with_name("forged")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(line.folder, folder, ignore=shutil.ignore_patterns("ballast"))
    change(folder, f"UPDATE segments SET state = 'pruned' WHERE epoch = {at[0]} AND first = {at[1]}")
    (folder / "segments" / f"{at[0]}-{at[1]}.db").unlink()
    return verify(folder, line.signer.public)


@pytest.mark.urs("URS-BUF-06", "URS-AUD-06")
def test_no_closed_segment_can_be_taken_away_and_called_pruned(tmp_path: Path) -> None:
    line = Line(tmp_path / "journal")
    line.run(5 * ENTRIES)
    change(line.folder, "INSERT OR REPLACE INTO about VALUES ('restored', 1)")
    line.run(3 * ENTRIES)
    assert line.verify().exit_code == 0, list(line.verify().lines())
    closed = line.rows("closed")
    assert len({epoch for epoch, _ in closed}) == 2
    for at in closed:
        report = call_pruned(line, at)
        assert (report.exit_code, report.bad) == (1, at), list(report.lines())
        assert any("called pruned, and no audit entry says so" in one for one in report.problems)


@pytest.mark.urs("URS-BUF-06", "URS-AUD-06")
def test_after_long_retention_a_journal_is_good_and_nothing_more_can_be_called_pruned(tmp_path: Path) -> None:
    """Audit entries are pruned too in the course of time, and whole epochs."""
    line = Line(tmp_path / "journal")
    epochs = set()
    for number in range(3):
        epochs.add(line.run(4 * ENTRIES, prune=True))
        report = line.verify()
        assert report.exit_code == 0, list(report.lines())
        assert any("were pruned" in note for note in report.notes)
        if number < 2:
            change(line.folder, "INSERT OR REPLACE INTO about VALUES ('restored', 1)")
    line.run(2 * ENTRIES)
    assert line.verify().exit_code == 0
    assert min(epochs) not in {epoch for epoch, _ in line.rows("closed") + line.rows("open")}, "an epoch is gone altogether"
    for at in line.rows("closed"):
        report = call_pruned(line, at)
        assert report.exit_code == 1, list(report.lines())
        assert report.bad is not None
        assert report.bad <= at, "with its own entries go the audit entries of those before, which were pruned in truth"


@pytest.mark.urs("URS-BUF-06", "URS-AUD-06")
def test_a_segment_that_is_kept_for_years_accuses_nobody(tmp_path: Path) -> None:
    """The ones after it go, and with them the audit entries of the first of these."""
    line = Line(tmp_path / "journal")
    line.run(2)
    journal = opened(line.folder)
    journal.holds.keep("B1", 1, 2)
    journal.close()
    epoch = line.run(6 * ENTRIES, prune=True)
    assert (epoch, 1) in line.rows("closed")
    assert len(line.rows("pruned")) > 3
    assert line.verify().exit_code == 0, list(line.verify().lines())
    line.run(2 * ENTRIES)
    newest = line.rows("closed")[-1]
    assert newest > line.rows("pruned")[-1]
    report = call_pruned(line, newest)
    assert report.exit_code == 1, list(report.lines())


@pytest.mark.urs("URS-BUF-06", "URS-AUD-06")
def test_a_journal_that_lost_journal_db_after_pruning_is_not_accused(tmp_path: Path) -> None:
    line = Line(tmp_path / "journal")
    line.run(4 * ENTRIES, prune=True)
    change(line.folder, "INSERT OR REPLACE INTO about VALUES ('restored', 1)")
    line.run(4 * ENTRIES, prune=True)
    line.run(2 * ENTRIES)
    (line.folder / "journal.db").unlink()
    (line.folder / "SHA256SUMS").unlink()
    line.run(5)
    report = line.verify()
    assert report.exit_code in {0, 2}, list(report.lines())


@pytest.mark.urs("URS-AUD-06")
def test_losses_that_a_dead_epoch_alone_declares_are_missing_not_bad(tmp_path: Path) -> None:
    """As gateways left it that died between two salvages, when the second event did not take up the first one's losses."""
    line = Line(tmp_path / "journal")
    first = line.run(3 * ENTRIES)
    (line.folder / "segments" / f"{first}-{ENTRIES + 1}.db").unlink()
    (line.folder / "SHA256SUMS").unlink()
    died = opened(line.folder)
    died.close()
    report = line.verify()
    assert report.exit_code == 2, list(report.lines())
    journal = opened(line.folder)
    told = {"type": "epoch", "follows": died.opened.epoch, "reason": "salvaged", "last_seq": 0, "last_digest": "0" * 64, "lost": []}
    newer = journal.opened.epoch + 1
    journal.close()
    change(line.folder, f"INSERT INTO epochs VALUES ({newer}, '{json.dumps(told)}')")
    journal = opened(line.folder)
    journal.append([event(told)], urgent=True).result()
    journal.close()
    report = line.verify()
    assert report.exit_code == 2, list(report.lines())
    assert f"epoch {first}: entries {ENTRIES + 1} to {2 * ENTRIES} were lost, and declared as lost" in report.missing
    change(line.folder, f"UPDATE epochs SET event = replace(event, '[{ENTRIES + 1}', '[{ENTRIES + 2}') WHERE epoch = {died.opened.epoch}")
    assert line.verify().bad == (first, ENTRIES + 1), "what nobody declared"


@pytest.mark.urs("URS-AUD-06")
def test_an_entry_after_the_end_of_an_epoch_is_inserted(tmp_path: Path) -> None:
    line = Line(tmp_path / "journal")
    first = line.run(10)
    (line.folder / "SHA256SUMS").unlink()
    shutil.copytree(line.folder, tmp_path / "longer")
    more = Line(tmp_path / "longer")
    more.signer = line.signer
    more.run(3)
    change(line.folder, "INSERT OR REPLACE INTO about VALUES ('restored', 1)")
    line.run(10)
    report = line.verify()
    assert report.exit_code == 0
    longer = tmp_path / "longer" / "segments" / f"{first}-1.db"
    target = line.folder / "segments" / f"{first}-1.db"
    target.unlink()
    shutil.copyfile(longer, target)
    change(line.folder, f"UPDATE segments SET last = NULL, sha256 = NULL, digest = NULL, state = 'open' WHERE epoch = {first}")
    report = line.verify()
    assert report.exit_code == 2, "the end was not known when the backup was restored"
    assert any("stand after the end" in one for one in report.missing), list(report.lines())
    told = {"follows": first, "reason": "salvaged", "last_seq": 12, "last_digest": "ab" * 32, "tail": "whole"}
    apart = verifier.Report("journal", "")
    chain = verifier.Chain(apart, GATEWAY, first, verifier.Signatures(apart, []), [])
    chain.jump(16)
    chain.ended(first + 1, told)
    assert (apart.exit_code, apart.bad) == (1, (first, 13))


# ------------------------------------------------------------------ beside a running gateway


@pytest.mark.urs("URS-AUD-06")
def test_a_running_journal_that_grows_and_prunes_is_never_accused(tmp_path: Path) -> None:
    line = Line(tmp_path / "journal")
    journal = opened(line.folder)
    over = threading.Event()

    def grow() -> None:
        while not over.is_set():
            for _ in range(2 * ENTRIES):
                journal.append([EMPTY])
            line.prune(journal)

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        until(lambda: journal.last[1] > ENTRIES)
        reports = [verify(line.folder) for _ in range(15)]
    finally:
        over.set()
        thread.join()
        journal.close()
    assert [list(one.lines()) for one in reports if one.problems] == []
    assert reports[-1].entries
    assert verify(line.folder).exit_code == 0


@pytest.mark.urs("URS-AUD-06")
def test_a_prune_whose_audit_entry_is_pruned_while_it_is_verified_accuses_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(tmp_path / "journal")
    journal = opened(line.folder)
    for _ in range(2):  # the second time the segment goes that tells of the first
        journal.append([EMPTY] * ENTRIES).result()
        line.prune(journal)
    judge = verifier.JournalCheck._epochs

    def judge_later(check: verifier.JournalCheck, *read: Any) -> None:
        """The gateway goes on between journal.db, which has been read, and the segments that it names."""
        journal.append([EMPTY] * ENTRIES).result()
        line.prune(journal)
        judge(check, *read)

    monkeypatch.setattr(verifier.JournalCheck, "_epochs", judge_later)
    report = verify(line.folder)
    journal.close()
    assert list(report.problems) == []
    assert any("was pruned meanwhile" in note for note in report.notes)


def test_many_segments_do_not_need_as_many_open_files(tmp_path: Path) -> None:
    line = Line(tmp_path / "journal")
    line.run(20 * ENTRIES)
    before = len(list(Path("/proc/self/fd").iterdir()))
    most = 0

    def look(_done: int, _total: int) -> None:
        nonlocal most
        most = max(most, len(list(Path("/proc/self/fd").iterdir())))

    assert verify(line.folder, progress=look).exit_code == 0
    assert most - before < 10


# ------------------------------------------------------------------ an EBR's store


def store_of(journal: Path, folder: Path, through: int, without: range = range(0)) -> Path:
    folder.mkdir()
    with closing(sqlite3.connect(folder / "ebr.db")) as db:
        db.execute("CREATE TABLE entries(gateway, epoch, seq, digest, payload, PRIMARY KEY(gateway, epoch, seq))")
        db.execute("CREATE TABLE streams(gateway, epoch, through, digest)")
        held = [one for one in read_journal(journal) if one.seq not in without]
        db.executemany("INSERT INTO entries VALUES (?,?,?,?,?)", [(GATEWAY, one.epoch, one.seq, one.digest, one.payload) for one in held])
        db.execute("INSERT INTO streams VALUES (?,?,?,'')", (GATEWAY, held[0].epoch, through))
        db.commit()
    return folder


@pytest.mark.urs("URS-AUD-06")
def test_entries_that_came_early_are_no_hole_and_confirmed_ones_are(tmp_path: Path) -> None:
    line = Line(tmp_path / "journal")
    epoch = line.run(30)
    report = verify(store_of(line.folder, tmp_path / "early", 19, range(20, 25)), line.signer.public)
    assert (report.exit_code, report.bad) == (2, None), list(report.lines())
    assert any("entries 20 to 24 have not come yet" in one for one in report.missing)
    report = verify(store_of(line.folder, tmp_path / "lost", 22, range(20, 25)), line.signer.public)
    assert (report.exit_code, report.bad) == (1, (epoch, 20)), list(report.lines())


@pytest.mark.urs("URS-AUD-06")
def test_what_the_gateway_declared_lost_is_missing_in_the_store_and_not_bad(tmp_path: Path) -> None:
    line = Line(tmp_path / "journal")
    first = line.run(3 * ENTRIES)
    (line.folder / "segments" / f"{first}-{ENTRIES + 1}.db").unlink()
    line.run(5)
    report = verify(store_of(line.folder, tmp_path / "store", 3 * ENTRIES), line.signer.public)
    assert report.exit_code == 2, list(report.lines())
    assert any(f"entries {ENTRIES + 1} to {2 * ENTRIES} were lost" in one for one in report.missing)
    shutil.rmtree(tmp_path / "store")
    with closing(sqlite3.connect(store_of(line.folder, tmp_path / "store", 3 * ENTRIES) / "ebr.db")) as db:
        db.execute("DELETE FROM entries WHERE epoch = ?", (first,))
        db.execute("DELETE FROM streams")
        db.commit()
    report = verify(tmp_path / "store", line.signer.public)
    assert report.exit_code == 2, "another receiver may have the epoch before"
    assert any("are not here: epoch" in one for one in report.missing), list(report.lines())


def pruned_in_the_middle(line: Line) -> int:
    """An epoch whose entries tell that some of it, 20 to 24, were pruned."""
    epoch = line.run(30)
    journal = opened(line.folder)
    what = {"epoch": epoch, "first": 20, "last": 24}
    journal.append([event({"type": "audit", "action": "prune", "what": what})], urgent=True).result()
    journal.close()
    return epoch


@pytest.mark.urs("URS-UPL-03", "URS-AUD-06")
def test_what_a_receiver_went_on_behind_is_missing_evidence_and_not_bad(tmp_path: Path) -> None:
    line = Line(tmp_path / "journal")
    epoch = line.run(30)
    store = store_of(line.folder, tmp_path / "base", 31, range(20, 25))
    with closing(sqlite3.connect(store / "ebr.db")) as db:
        db.execute("CREATE TABLE missing(gateway, epoch, first, last)")
        db.execute("INSERT INTO missing VALUES (?,?,20,23)", (GATEWAY, epoch))
        db.commit()
        report = verify(store, line.signer.public)
        assert (report.exit_code, report.bad) == (1, (epoch, 24)), "one more was taken away"
        db.execute("UPDATE missing SET last = 24")
        db.commit()
    report = verify(store, line.signer.public)
    assert (report.exit_code, report.problems) == (2, []), list(report.lines())
    assert any("entries 20 to 24 are not here: the gateway did not hold them any more" in one for one in report.missing)


@pytest.mark.urs("URS-UPL-03", "URS-AUD-06")
def test_an_audited_prune_speaks_for_a_store_that_keeps_no_list_of_what_it_went_on_behind(tmp_path: Path) -> None:
    line = Line(tmp_path / "journal")
    epoch = pruned_in_the_middle(line)
    store = store_of(line.folder, tmp_path / "without", 33, range(20, 25))
    assert verify(store, line.signer.public).problems == []
    assert verify(store, line.signer.public).exit_code == 2
    with closing(sqlite3.connect(store / "ebr.db")) as db:
        db.execute("CREATE TABLE missing(gateway, epoch, first, last)")
        db.commit()
    report = verify(store, line.signer.public)
    assert (report.exit_code, report.bad) == (1, (epoch, 20)), "what was pruned after it was confirmed has to be here"


# ------------------------------------------------------------------ what the command is given


@pytest.mark.parametrize(("content", "told"), [("", "holds no key"), ("# nothing\n", "holds no key"), (None, "no such file, and no key")])
def test_a_key_that_is_none_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, told: str) -> None:
    line = Line(tmp_path / "journal")
    line.run(5)
    if content is not None:
        (tmp_path / "key.pub").write_text(content)
    assert verifier.main([str(line.folder), "--key", str(tmp_path / "key.pub")]) == 2
    assert told in capsys.readouterr().err


def test_a_folder_without_checkpoints_and_strangers_alone_compare_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = Line(tmp_path / "journal")
    line.run(5)
    share = tmp_path / "share"
    share.mkdir()
    assert verifier.main([str(line.folder), "--checkpoint", str(share)]) == 2
    assert "holds no checkpoint" in capsys.readouterr().err
    other = keys.Signer("lyon/other", Ed25519PrivateKey.generate())
    (share / "a.txt").write_text(other.note(keys.checkpoint_text("lyon/other/17", 5, bytes(32))))
    report = verify(line.folder, line.signer.public, checkpoint=share)
    assert (report.exit_code, "nothing was compared" in report.missing[0]) == (2, True)


def test_a_backup_with_losses_is_restored(tmp_path: Path) -> None:
    line = Line(tmp_path / "journal")
    first = line.run(3 * ENTRIES)
    (line.folder / "segments" / f"{first}-{ENTRIES + 1}.db").unlink()
    line.run(5)
    assert backup.backup(line.folder, tmp_path / "backup").exit_code == 2
    backup.restore(tmp_path / "backup", tmp_path / "spare")
    spare = Line(tmp_path / "spare")
    spare.run(5)
    assert verify(spare.folder).exit_code == 2


def test_spans_that_cover_leave_the_rest() -> None:
    assert uncovered(1, 10, [(3, 4), (20, 30), (8, 12)]) == [(1, 2), (5, 7)]
    assert uncovered(1, 10, [(0, 5), (6, 10)]) == []
    assert uncovered(5, 4, []) == []
