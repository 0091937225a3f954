"""What must stay in a journal, and what may go: receipts, age, size, open batches, quarantine, holds."""

from pathlib import Path

import pytest
from kit.journals import confirm, digest_at, filled, numbered, open_journal

from buffer import (
    Rejected,
)


@pytest.mark.urs("URS-BUF-06")
def test_only_what_every_required_uplink_has_confirmed_is_pruned_whole_segments_and_after_its_audit(tmp_path: Path) -> None:
    journal = filled(tmp_path)
    segments = tmp_path / "journal" / "segments"
    assert journal.prune(None) is None
    confirm(journal, 4095)
    assert journal.prune(None) is None
    confirm(journal, 8500)
    pruned = journal.prune(None)
    assert pruned is not None
    assert (pruned.first, pruned.last, len(pruned.roots)) == (1, 8192, 2)
    assert pruned.audit()["entries"] == 8192
    assert journal.prune(None) is None, "nothing committed since: the audit entry is not there yet"
    assert len(list(segments.glob("*-1.db"))) == 1
    journal.append([numbered(0)], urgent=True).result()
    assert journal.prune(None) is None
    assert [path.name for path in segments.glob("*.db")] == [f"{journal.opened.epoch}-8193.db"]
    assert journal.read((0, 0), max_bytes=1, max_entries=1)[0].seq == 8193
    journal.close()
    journal = open_journal(tmp_path)
    assert journal.read((0, 0), max_bytes=1, max_entries=1)[0].seq == 8193
    assert journal.append([numbered(0)], urgent=True).result() == 9003
    journal.close()


@pytest.mark.urs("URS-BUF-06")
def test_what_was_not_found_equal_at_the_receiver_stays_alone_whatever_the_space(tmp_path: Path) -> None:
    journal = filled(tmp_path, max_bytes=1)
    confirm(journal, 9000)
    assert journal.prune(None, reconciled=lambda _epoch, _first: False) is None
    assert journal.retained(None, lambda _epoch, _first: False).not_reconciled == 2
    pruned = journal.prune(None, reconciled=lambda _epoch, first: first == 4_097)
    assert pruned is not None
    assert (pruned.first, pruned.last) == (4_097, 8_192), "one that differs keeps itself, and not what comes after it"
    journal.close()


def test_retain_days_keep_and_max_bytes_overrides_them(tmp_path: Path) -> None:
    journal = filled(tmp_path, retain_s=86_400.0)
    confirm(journal, 9000)
    assert journal.prune(None) is None
    journal.close()
    journal = open_journal(tmp_path, retain_s=86_400.0, max_bytes=1)
    pruned = journal.prune(None)
    assert pruned is not None
    assert pruned.early
    assert "max_bytes" in pruned.audit()["cause"]
    journal.close()


def test_open_batches_and_quarantine_keep_their_segment(tmp_path: Path) -> None:
    journal = filled(tmp_path)
    confirm(journal, 9000)
    assert journal.prune(4096) is None
    journal.receipts.quarantine("ebr", journal.opened.epoch, [Rejected(5000, "unknown-order")])
    pruned = journal.prune(8000)
    assert pruned is not None
    assert (pruned.first, pruned.last) == (1, 4096)
    journal.receipts.dispose("ebr", journal.opened.epoch, 5000)
    pruned = journal.prune(8193)
    assert pruned is not None
    assert pruned.last == 8192
    journal.close()


def test_an_uplink_that_is_not_required_keeps_nothing(tmp_path: Path) -> None:
    journal = filled(tmp_path)
    journal.uplink("historian", False)
    confirm(journal, 9000)
    assert journal.prune(None) is not None
    journal.close()


def test_a_hold_keeps_its_entries_until_it_is_released(tmp_path: Path) -> None:
    journal = filled(tmp_path)
    confirm(journal, 9000)
    journal.holds.keep("B2026-0417", 5000, 6000)
    journal.close()
    journal = open_journal(tmp_path)
    assert journal.holds.all() == {"B2026-0417": (journal.opened.epoch, 5000, 6000)}
    pruned = journal.prune(None)
    assert pruned is not None
    assert pruned.last == 4096
    assert journal.holds.release("B2026-0417")
    assert not journal.holds.release("B2026-0417")
    pruned = journal.prune(None)
    assert pruned is not None
    assert pruned.last == 8192
    journal.close()


def test_a_second_hold_of_the_same_batch_widens_the_first(tmp_path: Path) -> None:
    """A batch that goes on from the granulator to the dryer begins there anew, and what it did before stays held."""
    journal = filled(tmp_path)
    confirm(journal, 9000)
    journal.holds.keep("B2026-0417", 100)
    journal.holds.keep("B2026-0417", 8500)
    journal.holds.keep("B2026-0418", 8500, 8600)
    journal.holds.keep("B2026-0418", 8700, 8800)
    assert journal.holds.all() == {"B2026-0417": (journal.opened.epoch, 100, None), "B2026-0418": (journal.opened.epoch, 8500, 8800)}
    assert journal.prune(None) is None
    journal.holds.release("B2026-0417")
    assert journal.prune(None) is not None
    journal.close()


def test_a_hold_without_an_end_reaches_into_the_next_epoch(tmp_path: Path) -> None:
    journal = filled(tmp_path)
    first = journal.opened.epoch
    journal.holds.keep("B2026-0417", 8193)
    journal.close()
    (tmp_path / "journal" / "segments" / f"{first}-4097.db").unlink()
    journal = open_journal(tmp_path)
    epoch = journal.opened.epoch
    assert epoch > first
    for start in range(0, 9000, 1000):
        journal.append([numbered(start + i) for i in range(1000)], urgent=True).result()
    journal.acknowledge("ebr", first, 9001, digest_at(journal, 9001, first))
    confirm(journal, 9000)
    pruned = journal.prune(None)
    assert pruned is not None
    assert (pruned.epoch, pruned.first, pruned.last) == (first, 1, 4096), "the batch needs all that comes after, in both epochs"
    journal.holds.release("B2026-0417")
    while pruned is not None:
        journal.append([numbered(0)], urgent=True).result()
        pruned, last = journal.prune(None), pruned
    assert last.epoch == epoch
    journal.close()
