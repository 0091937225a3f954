"""Of a receiver of single records: whatever its store has lost, changed, doubled or moved, each record is named, and no other."""

import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from kit.journals import GATEWAY
from kit.reconciled import COUNT, AsEbr, Both, damage, each, with_records

from buffer import Entry, Pieces, Quarantined
from gateway.reconciliation.answer import NotAnswered, parse_streams
from gateway.reconciliation.document import outcome
from gateway.reconciliation.reconcile import equal_segments
from gateway.uplink.records import UNREADABLE, name_of
from simulators.ebr import reconcile

pytestmark = pytest.mark.urs("URS-UPL-05")
EVERY = 5
SEQ = st.sampled_from(range(1, COUNT - 100, EVERY)) | st.sampled_from([1, 61, 66, 4_096, 4_101, 8_191, 8_196])
KIND = st.sampled_from(["drop", "alter", "double", "number"])
ACTS = {
    "drop": "DELETE FROM records WHERE seq = {0}",
    "alter": "UPDATE records SET payload = payload || ' ' WHERE seq = {0}",
    "double": "INSERT OR IGNORE INTO records SELECT id || '~', digest, payload, gateway, epoch, seq FROM records WHERE seq = {0}",
    "number": "UPDATE records SET seq = seq + 62 WHERE seq = {0}",  # among others, so that their order changes
}


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Both:
    return with_records(tmp_path_factory.mktemp("records"), every=EVERY)


def copied(sides: Both, folder: str) -> Path:
    store = Path(folder)
    with closing(sqlite3.connect(sides.store / "ebr.db")) as db, closing(sqlite3.connect(store / "ebr.db")) as to:
        db.backup(to)
    return store


def differs(sides: Both, store: Path) -> tuple[set[int], set[int], set[int]]:
    """Read from the store, row by row and without any tree: records that are missing, others, and more than there should be."""
    held: dict[int, list[bytes]] = {}
    with closing(sqlite3.connect(store / "ebr.db")) as db:
        for seq, payload in db.execute("SELECT seq, CAST(payload AS BLOB) FROM records"):
            held.setdefault(seq, []).append(payload)
    missing = {seq for seq in sides.ours if seq not in held}
    different = {seq for seq, entry in sides.ours.items() if len(held.get(seq, ())) == 1 and held[seq] != [entry.payload]}
    return missing, different, {seq for seq, copies in held.items() if seq not in sides.ours or len(copies) > 1}


@settings(
    deadline=None, max_examples=8, phases=[Phase.explicit, Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(acts=st.lists(st.tuples(KIND, SEQ), max_size=6))
def test_each_record_that_a_receiver_lost_changed_or_doubled_is_named_and_no_other(sides: Both, acts: list[tuple[str, int]]) -> None:
    with TemporaryDirectory() as folder:
        store = copied(sides, folder)
        damage(store, *(ACTS[kind].format(seq) for kind, seq in acts))
        expected = differs(sides, store)
        for found in (sides.compared(AsEbr(store, "records")), sides.by_store(store)):
            assert found.why is None
            (stream,) = found.streams
            assert (each(stream.missing), each(stream.different), each(stream.extra)) == expected
            assert outcome(found) == ("finding" if any(expected) else "passed")
            assert stream.ours == len(sides.ours)


def test_a_record_is_named_by_its_id_and_the_digest_of_its_content(sides: Both, tmp_path: Path) -> None:
    store = copied(sides, str(tmp_path))
    damage(store, ACTS["drop"].format(61), ACTS["alter"].format(4_101))
    (stream,) = sides.compared(AsEbr(store, "records")).streams
    ((missing,), (different,)) = (stream.missing.found, stream.different.found)
    assert missing == (61, 61, f"lyon/granulation-2/B60/mixer/MIX/1#1, SHA-256 {sides.ours[61].digest}")
    assert different == (4_101, 4_101, f"lyon/granulation-2/B4100/mixer/MIX/1#1, SHA-256 {sides.ours[4_101].digest}")
    assert equal_segments([stream]) == set(), "of these two segments none is equal"
    assert equal_segments(sides.compared(AsEbr(sides.store, "records")).streams) == {(sides.epoch, 1), (sides.epoch, 4_097)}


def test_a_receiver_that_answers_of_entries_when_it_is_asked_of_records_is_not_compared(sides: Both) -> None:
    of_entries, of_records = (orjson.dumps(reconcile.streams(sides.store / "ebr.db", GATEWAY, of)) for of in ("entries", "records"))
    assert [one.entries for one in parse_streams(of_records, GATEWAY, "records")] == [len(sides.ours)]
    with pytest.raises(NotAnswered, match="it answers of entries, asked was of records"):
        parse_streams(of_entries, GATEWAY, "records")
    with pytest.raises(NotAnswered, match="it answers of records, asked was of entries"):
        parse_streams(of_records, GATEWAY)


def test_a_refused_record_is_no_difference_while_it_lies_in_quarantine_and_one_that_was_never_sent_is_told(
    sides: Both, tmp_path: Path
) -> None:
    store = copied(sides, str(tmp_path))
    damage(store, "DELETE FROM records WHERE seq IN (61, 66)", "INSERT INTO refused_records SELECT gateway, epoch, 61, 'x', 'unknown-order'"
           " FROM records LIMIT 1")  # fmt: skip
    waits = [Quarantined("ebr", sides.epoch, seq, code, "", "", 0) for seq, code in ((61, "unknown-order"), (66, UNREADABLE))]
    (stream,) = sides.compared(AsEbr(store, "records"), quarantine=waits).streams
    assert [(one.first, one.code, one.quarantine) for one in stream.rejected.found] == [
        (61, "unknown-order", "held"),
        (66, UNREADABLE, "held"),
    ]
    assert (stream.verdict, equal_segments([stream])) == ("equal", {(sides.epoch, 1), (sides.epoch, 4_097)})
    (stream,) = sides.compared(AsEbr(store, "records"), quarantine=[]).streams
    assert (stream.verdict, each(stream.missing)) == ("differs", {66}), "of neither anybody here knows"


def test_closed_segments_are_read_once_and_the_open_one_each_time(sides: Both) -> None:
    roots: dict[tuple[int, int], tuple[int, bytes]] = {}
    first = list(Pieces(sides.journal, name_of, roots).cut(sides.epoch, 1, COUNT))
    assert set(roots) == {(sides.epoch, 1), (sides.epoch, 4_097)}
    read: list[int] = []

    def noted(entry: Entry) -> str | None:
        read.append(entry.seq)
        return name_of(entry)

    assert list(Pieces(sides.journal, noted, roots).cut(sides.epoch, 1, COUNT)) == first
    assert min(read) == 8_193


def test_an_entry_of_which_no_record_can_be_made_is_looked_at_all_the_same(sides: Both) -> None:
    cut = sides.ours[61]._replace(payload=sides.ours[61].payload[:-1])
    assert name_of(cut) == "no record could be made of it"
    assert name_of(cut._replace(payload=b"?")) is None
