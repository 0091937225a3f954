"""Whatever a receiver's store has lost, changed, doubled or moved, each entry is named, and no other."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kit.reconciled import COUNT, AsEbr, Both, Damage, both, damage, each, told, truth

from buffer import Quarantined
from gateway.reconciliation.answer import Stream
from gateway.reconciliation.compared import MOST_NAMED, Refused
from gateway.reconciliation.document import Asked, drafted, outcome, record_rows
from gateway.reconciliation.reconcile import Scope, equal_segments
from gateway.reconciliation.scope import BatchScope, Record

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


@pytest.mark.urs("URS-UPL-05")
def test_a_segment_is_never_equal_because_more_ranges_differ_than_are_named(sides: Both, tmp_path: Path) -> None:
    """Retention prunes what is equal there: an entry that is counted and not named any more is missing all the same."""
    store = sides.copied(tmp_path)
    damage(store, "DELETE FROM entries WHERE seq <= 4096 AND seq % 2", "DELETE FROM entries WHERE seq = 5000")
    found = sides.compared(AsEbr(store))
    assert (found.streams[0].missing.entries, found.streams[0].missing.more) == (2_049, 1_049)
    assert equal_segments(found.streams) == set()


def test_what_lies_in_quarantine_is_not_held_there_because_its_range_is_not_named(sides: Both, tmp_path: Path) -> None:
    store = sides.copied(tmp_path)
    damage(store, "DELETE FROM entries WHERE seq <= 4096 AND seq % 2")
    found = sides.compared(AsEbr(store), quarantine=waiting(sides, [4_001]))
    assert [one["receiver"] for one in found.streams[0].quarantine] == ["not-compared"]


def refused(sides: Both, folder: Path, which: str) -> Path:
    """Return a store that refused some of the entries."""
    store = sides.copied(folder)
    with closing(sqlite3.connect(store / "ebr.db")) as db:
        columns = ", ".join(row[1] for row in db.execute("PRAGMA table_info(rejected)"))
    told = {"gateway": "gateway", "epoch": "epoch", "seq": "seq", "code": "'unknown-batch'"}
    values = ", ".join(told.get(name, "''") for name in columns.split(", "))
    damage(store, f"INSERT INTO rejected ({columns}) SELECT {values} FROM entries WHERE {which}", f"DELETE FROM entries WHERE {which}")
    return store


def waiting(sides: Both, seqs: Iterable[int]) -> list[Quarantined]:
    return [Quarantined("ebr", sides.epoch, seq, "unknown-batch", "", "", 0) for seq in seqs]


@pytest.mark.urs("URS-UPL-05")
def test_of_a_receiver_that_refused_everything_a_range_is_kept_and_not_each_entry(sides: Both, tmp_path: Path) -> None:
    store = refused(sides, tmp_path, "seq <= 8192")
    found = sides.compared(AsEbr(store), quarantine=waiting(sides, range(1, 8_193)))
    (stream,) = found.streams
    assert stream.rejected.found == [Refused(1, 8_192, "unknown-batch", "held")]
    assert (stream.rejected.entries, stream.verdict, equal_segments(found.streams)) == (
        8_192,
        "equal",
        {(sides.epoch, 1), (sides.epoch, 4_097)},
    )
    assert stream.plain()["counts"]["quarantine"] == {"entries": 8_192, "not_named": 7_192}
    assert len(stream.plain()["quarantine"]) == MOST_NAMED


@pytest.mark.urs("URS-UPL-05")
def test_refusals_beyond_those_that_are_named_are_counted_and_never_accounted_for(sides: Both, tmp_path: Path) -> None:
    store = refused(sides, tmp_path, "seq <= 4096 AND seq % 2 OR seq = 5000")
    seqs = [*range(1, 4_097, 2), 5_000]
    found = sides.compared(AsEbr(store), quarantine=waiting(sides, seqs))
    (stream,) = found.streams
    plain = stream.plain()
    assert plain["counts"]["rejected"] == {"entries": 2_049, "not_named": 1_049, "unknown": 0}
    assert [(one["first"], one["last"]) for one in plain["rejected"]] == [(seq, seq) for seq in seqs[:MOST_NAMED]]
    assert (stream.verdict, outcome(found)) == ("not-compared", "not-complete"), "nobody can look up what is not named"
    assert equal_segments(found.streams) == set(), "retention prunes what is equal"
    records = BatchScope([], [Record("r", 1, "step", True, ((sides.epoch, seq),)) for seq in (1, 4_001)], [], True)
    assert [row["state"] for row in record_rows(records, found.streams, {})] == ["refused", "not-compared"]
    unknown = sides.compared(AsEbr(store), quarantine=waiting(sides, seqs[:MOST_NAMED]))
    assert (unknown.streams[0].rejected.unknown, outcome(unknown)) == (1_049, "finding"), "of those nobody here knows"
    document = orjson.dumps(drafted(Asked("g", "ebr", "store", "all", None, (sides.epoch, COUNT)), found)["body"]).decode()
    assert "1049 entries more are counted alone" in document


class FarBeyond(AsEbr):
    """Says that it holds entries through the largest number there is, and answers as it should."""

    async def streams(self) -> list[Stream]:
        return [one._replace(last=2**53 - 1) for one in await super().streams()]


def test_a_receiver_that_claims_entries_far_beyond_the_end_is_asked_twice_and_no_more_is_kept(sides: Both) -> None:
    found = sides.compared(FarBeyond(sides.store))
    beyond = found.streams[-1]
    assert (beyond.first, beyond.last, outcome(found)) == (COUNT + 1, 2**53 - 1, "not-complete")
    assert [one.note for one in beyond.extra.found] == ["not searched: it lies far beyond the end of this epoch"]
