"""What a receiver says of an epoch that has ended: a proof counts, a claim passes nothing silently, what is lost holds up nothing."""

import shutil
from pathlib import Path

import pytest
from kit.journals import EMPTY, change, digest_at, event, numbered, opened, short_segments

from buffer import Journal, ReceiptRefused
from buffer.receipts import UNPROVED

ENTRIES = 64


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    short_segments(monkeypatch, ENTRIES)


def run(folder: Path, entries: int) -> Journal:
    """One run: the epoch's event if it begins, and entries."""
    journal = opened(folder, retain_s=0.0)
    journal.uplink("ebr", True)
    if journal.opened.epoch_event is not None:
        journal.append([event(journal.opened.epoch_event)])
    for number in range(entries):
        journal.append([numbered(number)])
    journal.append([EMPTY], urgent=True).result()
    return journal


@pytest.fixture
def left(tmp_path: Path) -> tuple[Journal, int]:
    """An epoch of 152 entries, left for another history, of which ten are confirmed; and the next one."""
    folder = tmp_path / "journal"
    journal = run(folder, 150)
    first = journal.opened.epoch
    journal.acknowledge("ebr", first, 10, digest_at(journal, 10))
    journal.leave_epoch()
    journal.close()
    return run(folder, 5), first


@pytest.mark.urs("URS-UPL-03", "URS-UPL-04")
@pytest.mark.parametrize(("through", "code"), [(30, "digest-mismatch"), (10_000, "unprovable")])
def test_what_a_claim_passes_lies_in_quarantine_and_is_told(left: tuple[Journal, int], through: int, code: str) -> None:
    journal, first = left
    new = journal.opened.epoch
    with pytest.raises(ReceiptRefused, match=code):
        journal.acknowledge("ebr", first, through, "ab" * 32)
    assert journal.cursor("ebr") == (first, 10)
    journal.acknowledge("ebr", new, 3, digest_at(journal, 3))
    assert journal.cursor("ebr") == (new, 3)
    passed = journal.receipts.take_passed("ebr")
    assert [(one.epoch, one.seq, one.code, one.retry) for one in passed] == [(first, seq, UNPROVED, "never") for seq in (11, 65, 129)]
    assert [one.reason.partition(":")[0] for one in passed] == ["entries 11 to 64", "entries 65 to 128", "entries 129 to 152"]
    assert journal.receipts.take_passed("ebr") == [], "told once"
    assert journal.receipts.quarantine("ebr", first, []) == ([], []), "a receiver that was set back says nothing of these"
    journal._writer.do(lambda: None).result()
    assert journal.prune(None) is None, "what nobody is known to hold is kept"
    directory = journal.directory
    journal.close()
    journal = opened(directory, retain_s=0.0)
    assert journal.receipts.quarantined("ebr") == passed, "also after a restart"
    journal.close()


@pytest.mark.urs("URS-UPL-03")
def test_a_proof_of_the_epoch_ends_a_claim(left: tuple[Journal, int]) -> None:
    """A forged claim, and then a receiver that answers for a later epoch although it has not got the one before."""
    journal, first = left
    for through in (30, 10_000):
        with pytest.raises(ReceiptRefused):
            journal.acknowledge("ebr", first, through, "ab" * 32)
    journal.acknowledge("ebr", first, 20, digest_at(journal, 20, first))
    with pytest.raises(ReceiptRefused, match="earlier-epoch-open"):
        journal.acknowledge("ebr", journal.opened.epoch, 3, digest_at(journal, 3))
    assert journal.cursor("ebr") == (first, 20)
    assert journal.receipts.quarantined() == []
    journal.close()


def test_what_was_proved_is_claimed_by_nobody(left: tuple[Journal, int]) -> None:
    journal, first = left
    for through in (0, 9, 10):
        with pytest.raises(ReceiptRefused):
            journal.acknowledge("ebr", first, through, "ab" * 32)
    assert not journal.receipts.is_claimed("ebr", first)
    assert not journal.receipts.claim("ebr", journal.opened.epoch), "this one goes on"
    assert journal.receipts.claim("ebr", first)
    journal.close()


@pytest.mark.urs("URS-UPL-03", "URS-BUF-07")
def test_an_epoch_whose_last_segment_was_lost_does_not_hold_up_the_next_ones(tmp_path: Path) -> None:
    """Its end stands in the next epoch's event, and nobody can prove it any more."""
    folder = tmp_path / "journal"
    journal = run(folder, 150)
    first = journal.opened.epoch
    journal.close()
    change(folder, "INSERT OR REPLACE INTO about VALUES ('restored', 1)")
    run(folder, 5).close()
    (folder / "segments" / f"{first}-129.db").unlink()
    (folder / "SHA256SUMS").unlink()
    shutil.rmtree(folder / "damaged", ignore_errors=True)
    journal = run(folder, 5)
    second, third = sorted({epoch for epoch, _, _ in journal.ranges()})[1:]
    with pytest.raises(ReceiptRefused, match="earlier-epoch-open"):
        journal.acknowledge("ebr", second, 3, digest_at(journal, 3, second))
    journal.acknowledge("ebr", first, 128, digest_at(journal, 128, first))
    journal.acknowledge("ebr", second, 3, digest_at(journal, 3, second))
    journal.acknowledge("ebr", second, 7, digest_at(journal, 7, second))
    journal.acknowledge("ebr", third, 1, digest_at(journal, 1, third))
    assert journal.receipts.quarantined() == []
    journal.close()
