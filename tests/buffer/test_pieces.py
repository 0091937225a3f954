"""Counts and roots of pieces of a journal: of closed segments as journal.db keeps them, of all others from the entries."""

import tracemalloc
from pathlib import Path

import pytest
from kit.journals import confirm, entries, filled, numbered, open_journal

from buffer import Pieces, chain
from buffer.pieces import IN_PART, NOT_KNOWN


@pytest.mark.urs("URS-UPL-05")
def test_each_piece_has_the_count_and_the_root_of_its_entries_wherever_it_is_cut(tmp_path: Path) -> None:
    journal = filled(tmp_path)
    leaves = [chain.leaf(entry.payload) for entry in entries(journal)]
    epoch = journal.opened.epoch
    for closed in (False, True):  # also beside the running writer
        pieces = Pieces(tmp_path / "journal")
        assert pieces.epochs() == {epoch: (1, 9_001)}
        for first, last in ((1, 9_001), (17, 8_193), (4_096, 4_097), (9_001, 9_001)):
            cut = list(pieces.cut(epoch, first, last))
            assert [(one.first, one.last) for one in cut] == [
                (max(first, start), min(last, start + 4_095)) for start in range((first - 1) // 4_096 * 4_096 + 1, last + 1, 4_096)
            ]
            for one in cut:
                assert (one.entries, one.root) == (one.last - one.first + 1, chain.root(leaves[one.first - 1 : one.last]))
        if not closed:
            journal.close()


@pytest.mark.urs("URS-UPL-05")
def test_of_a_segment_that_was_pruned_the_root_of_all_of_it_stays_and_nothing_else(tmp_path: Path) -> None:
    journal = filled(tmp_path)
    confirm(journal, 9_000)
    before = next(Pieces(tmp_path / "journal").cut(journal.opened.epoch, 1, 4_096))
    assert journal.prune(None) is not None
    journal.append([numbered(0)], urgent=True).result()
    journal.prune(None)
    pieces = Pieces(tmp_path / "journal")
    assert pieces.held(journal.opened.epoch) == (8_193, 9_002)
    whole, part, unknown = (
        next(pieces.cut(*place)) for place in ((before.epoch, 1, 4_096), (before.epoch, 1, 17), (before.epoch + 1, 1, 5))
    )
    assert (whole.entries, whole.root, whole.held) == (4_096, before.root, False)
    assert (part.root, part.why) == (None, IN_PART)
    assert (unknown.root, unknown.why) == (None, NOT_KNOWN)
    journal.close()


def test_no_more_than_one_segment_is_in_memory(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    for start in range(0, 9_000, 500):
        journal.append([numbered(start + i, "x" * 2_000) for i in range(500)], urgent=True).result()
    epoch = journal.opened.epoch
    journal.close()
    pieces = Pieces(tmp_path / "journal")
    tracemalloc.start()
    for first in (2, 4_098, 8_194):  # in part, so that each entry is read
        list(pieces.cut(epoch, first, first + 800))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 4_000_000, "18 MB of entries were read"
