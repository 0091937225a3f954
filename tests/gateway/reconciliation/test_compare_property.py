"""Whatever a receiver's store has lost, changed, doubled or moved, each entry is named, and no other."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kit.reconciled import COUNT, AsEbr, Both, Damage, both, damage, each, told, truth

from gateway.reconciliation.document import outcome
from gateway.reconciliation.reconcile import Scope

SEQ = st.integers(1, COUNT) | st.sampled_from([1, 63, 64, 65, 4_095, 4_096, 4_097, 8_192, 8_193, COUNT])
KIND = st.sampled_from(["drop", "drop range", "alter", "alter digest", "double", "number", "epoch"])
ACTS = {
    "drop": "DELETE FROM entries WHERE seq = {0}",
    "drop range": "DELETE FROM entries WHERE seq BETWEEN {0} AND {0} + 200",
    "alter": "UPDATE entries SET payload = payload || ' ' WHERE seq = {0}",
    "alter digest": "UPDATE entries SET digest = 'f' WHERE seq = {0}",
    "double": "INSERT INTO entries SELECT * FROM entries WHERE seq = {0}",
    "number": "UPDATE entries SET seq = seq + 100000 WHERE seq = {0}",
    "epoch": "UPDATE entries SET epoch = epoch + 1 WHERE rowid = (SELECT min(rowid) FROM entries WHERE seq = {0})",
}


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Both:
    return both(tmp_path_factory.mktemp("sides"))


@pytest.mark.urs("URS-UPL-05")
@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=st.lists(st.tuples(KIND, SEQ), max_size=8))
def test_each_entry_that_a_receiver_lost_changed_or_doubled_is_named_and_no_other(sides: Both, acts: list[tuple[str, int]]) -> None:
    with TemporaryDirectory() as folder:
        store = sides.copied(Path(folder))
        damage(store, *(ACTS[kind].format(seq) for kind, seq in acts))
        expected = truth(sides, store)
        expected.elsewhere = range_of(expected.elsewhere)
        for found in (sides.compared(AsEbr(store)), sides.by_store(store)):
            assert found.why is None
            assert told(sides, found.streams) == expected
            assert outcome(found) == ("finding" if expected != Damage() else "passed")


def range_of(places: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """An epoch that this journal does not know is named from its first to its last entry."""
    found = set()
    for epoch in {epoch for epoch, _ in places}:
        seqs = [seq for of, seq in places if of == epoch]
        found |= {(epoch, seq) for seq in range(min(seqs), max(seqs) + 1)}
    return found


def test_an_epoch_older_than_the_journal_is_not_compared_and_concerns_no_comparison_of_what_is_held(sides: Both, tmp_path: Path) -> None:
    store = sides.copied(tmp_path)
    damage(store, "INSERT INTO entries SELECT gateway, 7, seq, digest, payload FROM entries WHERE seq < 9")
    found = sides.compared(AsEbr(store))
    assert (outcome(found), found.streams[-1].epoch, each(found.streams[-1].not_compared)) == ("not-complete", 7, set(range(1, 9)))
    assert outcome(sides.compared(AsEbr(store), Scope(held_only=True))) == "passed"
