"""What the reference EBR keeps and what it refuses to believe."""

import base64
import hashlib
import json
import random
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.repository import SCHEMAS

from buffer import Body, Journal, chain
from simulators.ebr import Store
from simulators.ebr.checkpoints import Peaks, leaf
from simulators.ebr.entry import NOTHING, Refusal
from simulators.ebr.record.queries import record_queries

GATEWAY = "lyon/granulation-2"


def made(folder: Path, count: int, *, checkpoint_after: int | None = None, wrong: bool = False) -> list[bytes]:
    """Entries of a real journal, perhaps with a checkpoint over the first ones as the last entry."""
    journal = Journal.open(folder, GATEWAY, retain_s=86_400, max_bytes=2_000_000_000)
    for number in range(count):
        journal.append([body({"type": "finding", "code": "x", "number": number})], urgent=True).result()
    if checkpoint_after is not None:
        held = journal.read((0, 0), max_bytes=1 << 30)[:checkpoint_after]
        root = chain.root([chain.leaf(entry.payload) for entry in held])
        root = bytes(32) if wrong else root
        note = f"{GATEWAY}/{held[0].epoch}\n{len(held)}\n{encoded(root)}\n\n- x AAAA\n"
        journal.append([body({"type": "checkpoint", "size": len(held), "root": root.hex(), "note": note})], urgent=True).result()
    payloads = [entry.payload for entry in journal.read((0, 0), max_bytes=1 << 30)]
    journal.close()
    return payloads


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def body(event: dict[str, Any]) -> Body:
    return Body("ebr-gateway/event/1", orjson.dumps({"time": "2026-11-22T07:15:02.512345Z", "event": event})[1:])


def stream_of(payload: bytes) -> tuple[str, int]:
    head = orjson.loads(payload)
    return head["gateway"], head["epoch"]


def test_the_first_one_stays_and_another_under_the_same_name_is_kept_aside(tmp_path: Path) -> None:
    payloads = made(tmp_path / "journal", 5)
    store = Store(tmp_path / "ebr")
    store.take(payloads)
    forged = payloads[2].replace(b'"number":2', b'"number":9')
    taken = store.take([forged, payloads[2]])
    assert (taken.suspects, taken.duplicates, taken.stored) == (1, 1, 0)
    assert store.receipt(stream_of(payloads[0]))["through"] == 5
    store.close()


def test_an_entry_that_does_not_continue_the_chain_makes_room_for_the_right_one(tmp_path: Path) -> None:
    payloads = made(tmp_path / "journal", 5)
    head = orjson.loads(payloads[3])
    forged = payloads[3].replace(head["previous"].encode(), b"0" * 64)
    store = Store(tmp_path / "ebr")
    store.take([*payloads[:3], forged])
    assert store.receipt(stream_of(forged))["through"] == 3
    store.take(payloads)
    receipt = store.receipt(stream_of(forged))
    assert (receipt["through"], receipt["digest"]) == (5, hashlib.sha256(payloads[-1]).hexdigest())
    store.close()


def test_nothing_yet_is_a_receipt_too(tmp_path: Path) -> None:
    payloads = made(tmp_path / "journal", 3)
    store = Store(tmp_path / "ebr")
    taken = store.take(payloads[1:])
    (stream,) = taken.answered
    assert store.receipt(stream) == {"gateway": GATEWAY, "epoch": stream[1], "through": 0, "digest": NOTHING, "rejected": []}
    store.close()


@pytest.mark.parametrize("payload", [b"", b"null", b"[]", b"{}", b"\xff", b'{"gateway":1}', b"[" * 70_000, b'{"a":' * 2_000])
def test_bytes_that_are_no_entry_are_counted_and_answered_by_nothing(tmp_path: Path, payload: bytes) -> None:
    store = Store(tmp_path)
    taken = store.take([payload])
    assert (len(taken.unreadable), taken.answered, taken.stored) == (1, set(), 0)
    store.close()


@pytest.mark.urs("URS-UPL-04", "URS-UPL-07")
def test_a_schema_that_it_does_not_know_is_rejected_and_the_rest_goes_on(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal", GATEWAY, retain_s=86_400, max_bytes=2_000_000_000)
    known = body({"type": "finding"})
    journal.append([known, Body("ebr-gateway/event/2", known.body), known], urgent=True).result()
    payloads = [entry.payload for entry in journal.read((0, 0), max_bytes=1 << 30)]
    journal.close()
    store = Store(tmp_path / "ebr")
    store.take(payloads)
    receipt: Any = store.receipt(stream_of(payloads[0]))
    assert receipt["through"] == 3
    assert [(one["seq"], one["code"]) for one in receipt["rejected"]] == [(2, "schema-unsupported")]
    store.close()


def test_a_rejected_entry_that_is_taken_later_leaves_the_list(tmp_path: Path) -> None:
    payloads = made(tmp_path / "journal", 4)
    store = Store(tmp_path / "ebr")
    store.take(payloads, lambda entry: Refusal("busy", "later") if entry.seq == 2 else None)
    receipt: Any = store.receipt(stream_of(payloads[0]))
    assert (receipt["through"], [one["seq"] for one in receipt["rejected"]]) == (4, [2])
    store.take([payloads[1]])
    assert store.receipt(stream_of(payloads[0]))["rejected"] == []
    store.close()


# -- checkpoints


@given(st.lists(st.binary(max_size=8), max_size=70), st.integers(0, 70))
def test_the_tree_that_goes_on_from_its_peaks_is_the_tree_of_all_leaves(leaves: list[bytes], pause: int) -> None:
    peaks = Peaks()
    for number, payload in enumerate(leaves):
        if number == pause:
            peaks = Peaks(peaks.size, peaks.dump())
        peaks.add(leaf(payload))
    assert peaks.root() == chain.root([chain.leaf(payload) for payload in leaves]).hex()


@pytest.mark.urs("URS-AUD-04")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_checkpoint_that_the_entries_bear_out_is_kept_in_whatever_order_they_came(tmp_path: Path, seed: int) -> None:
    payloads = made(tmp_path / "journal", 23, checkpoint_after=23)
    random.Random(seed).shuffle(payloads)
    store = Store(tmp_path / "ebr")
    for payload in payloads:
        store.take([payload])
    assert store.receipt(stream_of(payloads[0]))["rejected"] == []
    assert store.counts()["suspects"] == 0
    store.close()


@pytest.mark.urs("URS-AUD-04")
def test_a_checkpoint_that_they_do_not_bear_out_is_refused_and_kept_as_evidence(tmp_path: Path) -> None:
    payloads = made(tmp_path / "journal", 23, checkpoint_after=23, wrong=True)
    store = Store(tmp_path / "ebr")
    store.take(payloads)
    receipt: Any = store.receipt(stream_of(payloads[0]))
    assert receipt["through"] == 24
    assert [(one["seq"], one["code"]) for one in receipt["rejected"]] == [(24, "checkpoint-inconsistent")]
    assert store.counts()["suspects"] == 1
    store.close()


def test_a_checkpoint_counts_refused_entries_by_their_bytes(tmp_path: Path) -> None:
    payloads = made(tmp_path / "journal", 9, checkpoint_after=9)
    store = Store(tmp_path / "ebr")
    store.take(payloads, lambda entry: Refusal("busy", "later") if entry.seq == 4 else None)
    receipt: Any = store.receipt(stream_of(payloads[0]))
    assert [one["seq"] for one in receipt["rejected"]] == [4]
    store.close()


@pytest.mark.urs("URS-UPL-04")
def test_a_receipt_goes_no_further_than_its_list_of_refused_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulators.ebr.store.MAX_REJECTED", 3)
    payloads = made(tmp_path / "journal", 20)
    store, stream = Store(tmp_path / "ebr"), stream_of(payloads[0])
    store.take(payloads, lambda entry: Refusal("busy", "later") if entry.seq % 4 == 0 else None)
    receipt: Any = store.receipt(stream)
    assert (receipt["through"], receipt["digest"]) == (15, hashlib.sha256(payloads[14]).hexdigest())
    assert [one["seq"] for one in receipt["rejected"]] == [4, 8, 12]
    store.take([payloads[3]])
    receipt = store.receipt(stream)
    assert (receipt["through"], [one["seq"] for one in receipt["rejected"]]) == (19, [8, 12, 16])
    store.take(payloads)
    assert (store.receipt(stream)["through"], store.receipt(stream)["rejected"]) == (20, [])
    store.close()


def again(payloads: list[bytes], epoch: int, event: dict[str, Any]) -> list[bytes]:
    """The entries of a later epoch: its event, and one more."""
    first = orjson.loads(payloads[0])
    made = [{**first, "epoch": epoch, "seq": 1, "previous": NOTHING, "event": {"type": "epoch", **event}}]
    made.append({**first, "epoch": epoch, "seq": 2, "previous": hashlib.sha256(orjson.dumps(made[0])).hexdigest()})
    return [orjson.dumps(one) for one in made]


@pytest.mark.urs("URS-UPL-03")
@pytest.mark.parametrize("told", [True, False])
def test_a_later_epoch_is_answered_for_when_the_one_before_is_whole(tmp_path: Path, told: bool) -> None:
    payloads = made(tmp_path / "journal", 6)
    gateway, epoch = stream_of(payloads[0])
    later = again(payloads, epoch + 1, {"follows": epoch, "last_seq": 6, "lost": []})
    store = Store(tmp_path / "ebr")
    if told:
        store.hear(gateway, [(epoch, 1, 6), (epoch + 1, 1, 2)])
    store.take(payloads[:4] + later)
    assert (store.receipt((gateway, epoch))["through"], store.receipt((gateway, epoch + 1))["through"]) == (4, 0)
    assert store.take(payloads[4:]).answered == {(gateway, epoch), (gateway, epoch + 1)}
    assert store.receipt((gateway, epoch + 1))["through"] == 2
    store.close()


def test_what_the_epoch_before_has_lost_is_not_waited_for(tmp_path: Path) -> None:
    payloads = made(tmp_path / "journal", 6)
    gateway, epoch = stream_of(payloads[0])
    store = Store(tmp_path / "ebr")
    store.take(payloads[:4] + again(payloads, epoch + 1, {"follows": epoch, "last_seq": 6, "lost": [[5, 6]]}))
    assert store.receipt((gateway, epoch + 1))["through"] == 2
    store.close()


@pytest.mark.urs("URS-UPL-03")
@pytest.mark.parametrize("before", [True, False])
def test_a_stream_goes_on_at_the_next_run_that_its_gateway_holds(tmp_path: Path, before: bool) -> None:
    """The digest of its base is that which the first entry of the run states; the record says what is missing."""
    payloads = made(tmp_path / "journal", 9)
    gateway, epoch = stream_of(payloads[0])
    store = Store(tmp_path / "ebr", ahead_entries=3)  # the run begins farther ahead than may be kept without a word of it
    if before:
        store.hear(gateway, [(epoch, 7, 9)])
    store.take([*payloads[:2], payloads[7], payloads[8]])
    store.hear(gateway, [(epoch, 7, 9)])
    assert store.receipt((gateway, epoch))["through"] == 2, "the first entry of the run has not come yet"
    store.take(payloads[6:])
    receipt = store.receipt((gateway, epoch))
    assert receipt["through"] == 9
    jsonschema.validate(receipt, json.loads((SCHEMAS / "uplink-receipt.json").read_text()))
    with record_queries(store.path) as books:
        assert books.streams([gateway])[gateway, epoch]["missing"] == [[3, 6]]
    store.close()


def test_what_the_gateway_can_still_send_is_waited_for(tmp_path: Path) -> None:
    payloads = made(tmp_path / "journal", 9)
    gateway, epoch = stream_of(payloads[0])
    store = Store(tmp_path / "ebr")
    store.hear(gateway, [(epoch, 1, 4), (epoch, 7, 9)])
    store.take(payloads[1:])
    assert store.receipt((gateway, epoch))["through"] == 0
    store.close()


def test_a_checkpoint_over_entries_that_were_never_here_is_neither_refused_nor_borne_out(tmp_path: Path) -> None:
    payloads = made(tmp_path / "journal", 6, checkpoint_after=6)
    gateway, epoch = stream_of(payloads[0])
    store = Store(tmp_path / "ebr")
    store.hear(gateway, [(epoch, 4, 7)])
    taken = store.take(payloads[3:])
    assert (taken.refused, taken.suspects) == (0, 0)
    assert store.receipt((gateway, epoch))["through"] == 7
    with record_queries(store.path) as books:
        assert books.streams([gateway])[gateway, epoch]["checkpoint"] is None
    store.close()
