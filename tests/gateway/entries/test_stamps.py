"""When entries were committed, sent and confirmed: kept in runs, told in events that fit, read back exactly."""

import json
import random
import threading
from itertools import accumulate
from pathlib import Path
from typing import Any

import orjson
import pytest

from buffer import Entry
from buffer.entry import StampsEvent
from buffer.times import from_rfc3339
from gateway.entries import stamps as module
from gateway.entries.bodies import LARGEST_BODY_BYTES
from gateway.entries.kept_stamps import KeptStamps
from gateway.entries.stamps import Instant, Stamps, read_items

T0 = from_rfc3339("2026-11-22T07:15:02Z")


class Hand:
    """A clock that is moved by hand: monotonic nanoseconds, and what they are in UTC."""

    def __init__(self) -> None:
        self.ns, self.offset_ticks = 0, T0
        self.bound_s: float | None = 0.01

    def stamp(self, at_ns: int) -> Instant:
        return Instant(self.offset_ticks + at_ns // 100, self.bound_s)


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def stamps(hand: Hand) -> Stamps:
    return Stamps(hand.stamp, (7, 10), lambda: hand.ns)


def page(epoch: int, first: int, last: int) -> list[Entry]:
    return [Entry(epoch, seq, "", b"") for seq in range(first, last + 1)]


def read(events: list[dict[str, Any]], *positions: tuple[int, int]) -> KeptStamps:
    kept = KeptStamps()
    for position in positions:
        kept.want(position)
    for event in events:
        StampsEvent.model_validate(event)
        kept.take(orjson.loads(orjson.dumps(event)))
    return kept


@pytest.mark.urs("URS-TIME-02", "URS-AUD-09")
def test_each_instant_of_an_entry_is_a_field_of_its_own(hand: Hand, stamps: Stamps) -> None:
    hand.ns = 1_000_000
    stamps.committed((7, 12))
    hand.ns = 2_000_000
    stamps.sent("ebr", page(7, 11, 12), hand.ns)
    hand.ns = 12_000_000
    stamps.sent("ebr", page(7, 11, 12), hand.ns)
    hand.ns = 15_000_000
    stamps.confirmed("ebr", (7, 10), (7, 12), "receipt", T0 + 99_990_000)
    kept = read(stamps.take(), (7, 11)).want((7, 11))
    assert (kept.committed, kept.bound_s) == (T0 + 10_000, 0.01)
    told = kept.uplinks["ebr"]
    assert (told.sent, told.last_sent, len(told.sent_at)) == (T0 + 20_000, T0 + 120_000, 2)
    assert (told.confirmed, told.theirs, told.through, told.by) == (T0 + 150_000, T0 + 99_990_000, (7, 12), "receipt")
    assert stamps.take() == [], "told once"


@pytest.mark.urs("URS-TIME-02")
def test_thousands_of_instants_are_read_back_to_the_microsecond_from_events_that_fit_an_entry(hand: Hand, stamps: Stamps) -> None:
    chance, at = random.Random(1), dict[int, int]()
    seq = 10
    for _ in range(5_000):
        hand.ns += chance.randrange(1_000, 60_000_000_000)
        seq += chance.randrange(1, 50)
        stamps.committed((7, seq))
        stamps.confirmed("ebr", (7, 10 if not at else max(at)), (7, seq), "receipt", T0 - chance.randrange(10**10))
        stamps.referred("ebr", (7, seq), "record" * 30)
        at[seq] = T0 + hand.ns // 100
    events = stamps.take()
    assert max(len(orjson.dumps(event)) for event in events) < LARGEST_BODY_BYTES
    kept = read(events, *((7, seq) for seq in at))
    apart = [abs((kept.want((7, seq)).committed or 0) - ticks) for seq, ticks in at.items()]
    assert max(apart) <= 10
    assert max(abs((kept.want((7, seq)).uplinks["ebr"].confirmed or 0) - ticks) for seq, ticks in at.items()) <= 10
    assert kept.told_through == (7, seq)


@pytest.mark.urs("URS-TIME-02")
def test_a_resend_a_hole_and_another_epoch_each_begin_a_run_and_an_error_is_no_sending(hand: Hand, stamps: Stamps) -> None:
    stamps.sent("ebr", [*page(7, 11, 12), *page(7, 20, 21), *page(8, 1, 3)], hand.ns)
    stamps.sent("ebr", page(7, 11, 12), hand.ns, arrived=False)
    stamps.sent("ebr", [], hand.ns)
    stamps.confirmed("ebr", (7, 10), (8, 2), "delivery")
    (event,) = stamps.take()
    runs = [(run["what"], run["epoch"], run["after"], run["entries"]) for run in event["runs"]]
    assert runs == [("sent", 7, 10, [2]), ("sent", 7, 19, [2]), ("sent", 8, 0, [3]), ("tried", 7, 10, [2]), ("confirmed", 8, 0, [2])]
    kept = read([event], (7, 12), (7, 15), (8, 2))
    assert (len(kept.want((7, 12)).uplinks["ebr"].sent_at), len(kept.want((7, 12)).uplinks["ebr"].tried_at)) == (1, 1)
    assert kept.want((7, 12)).uplinks["ebr"].confirmed is None, "no receipt spoke of that epoch"
    assert kept.want((7, 15)).uplinks == {}
    assert kept.want((8, 2)).uplinks["ebr"].by == "delivery"


@pytest.mark.urs("URS-TIME-07", "URS-TIME-02")
def test_a_clock_that_is_set_back_leaves_what_was_before_as_it_was_and_one_without_a_bound_says_so(hand: Hand, stamps: Stamps) -> None:
    stamps.committed((7, 11))
    stamps.settle()
    hand.offset_ticks -= 36_000_000_000  # an hour back
    hand.ns = 1_000_000_000
    stamps.committed((7, 12))
    stamps.settle()
    hand.bound_s = None
    stamps.committed((7, 13))
    (event,) = stamps.take()
    assert [run["bound_s"] for run in event["runs"]] == [0.01, None]
    kept = read([event], (7, 11), (7, 12), (7, 13))
    assert [kept.want((7, seq)).committed for seq in (11, 12)] == [T0, T0 - 36_000_000_000 + 10_000_000]
    assert kept.want((7, 13)).bound_s is None


@pytest.mark.urs("URS-TIME-02")
def test_what_waits_is_bounded_and_what_is_not_kept_is_counted(hand: Hand, stamps: Stamps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_KEPT", 100)
    for seq in range(11, 160):
        stamps.committed((7, seq))
    events = stamps.take()
    assert (sum(sum(run["entries"]) for event in events for run in event["runs"]), events[-1]["not_kept"]) == (100, 49)
    kept = read(events, (7, 159))
    assert kept.want((7, 159)).committed is None
    stamps.committed((7, 160))
    assert "not_kept" not in stamps.take()[0]


@pytest.mark.urs("URS-AUD-09")
def test_what_a_receiver_calls_a_record_goes_with_its_confirmation_or_not_at_all(stamps: Stamps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_KEPT", 0)
    stamps.referred("ebr", (7, 11), "A-11")
    stamps.confirmed("ebr", (7, 10), (7, 11), "receipt")
    assert stamps.take() == [{"type": "stamps", "runs": [], "not_kept": 1}]
    monkeypatch.setattr(module, "MOST_KEPT", 10)
    stamps.referred("ebr", (7, 12), "A-12")
    stamps.confirmed("ebr", (7, 11), (7, 12), "receipt")
    ((run,),) = [event["runs"] for event in stamps.take()]
    assert run["references"] == {"12": "A-12"}


@pytest.mark.urs("URS-TIME-02")
def test_commits_come_from_the_writers_thread_while_others_are_told(hand: Hand, stamps: Stamps) -> None:
    events: list[dict[str, Any]] = []

    def commit() -> None:
        for seq in range(11, 5_011):
            stamps.committed((7, seq))

    writer = threading.Thread(target=commit)
    writer.start()
    while writer.is_alive():
        events += stamps.take()
    writer.join()
    events += stamps.take()
    counts = [sum(run["entries"]) for event in events for run in event["runs"]]
    afters = [run["after"] for event in events for run in event["runs"]]
    assert sum(counts) == 5_000
    assert afters == list(accumulate(counts, initial=10))[:-1], "each run goes on where the one before ended"


@pytest.mark.urs("URS-TIME-02")
def test_what_is_kept_until_it_is_told_is_read_again_and_told_twice_happened_once(hand: Hand, stamps: Stamps, tmp_path: Path) -> None:
    hand.ns = 1_234_567
    stamps.committed((7, 12))
    stamps.sent("ebr", page(7, 11, 12), hand.ns)
    first = stamps.fresh()
    hand.ns = 9_876_543
    stamps.referred("ebr", (7, 12), "EBR-88123")
    stamps.confirmed("ebr", (7, 10), (7, 12), "delivery", T0)
    kept = tmp_path / "kept.jsonl"
    kept.write_text(
        "".join(f"{json.dumps(item)}\n" for item in (*first, *stamps.fresh())) + '["committed",nu'
    )  # a crash cut the last one short
    assert stamps.fresh() == []
    again = Stamps(hand.stamp, (7, 12), lambda: hand.ns)
    again.again(read_items(kept))
    told = stamps.take()
    once = read(told, (7, 12)).want((7, 12))
    assert once.uplinks["ebr"].reference == "EBR-88123"
    assert read(again.take(), (7, 12)).want((7, 12)) == once
    again.again(read_items(kept))
    assert read([*told, *again.take()], (7, 12)).want((7, 12)) == once


@pytest.mark.urs("URS-TIME-02")
@pytest.mark.parametrize("line", ["{}", "7", '["committed",null,null,[7],[7,2],1,null]', '["x",null,null,[7,1],[7,2],1,null]', "[", "\x00"])
def test_a_line_that_is_no_instant_is_said(tmp_path: Path, line: str) -> None:
    kept = tmp_path / "kept.jsonl"
    kept.write_text(f"{line}\n")
    with pytest.raises(ValueError, match=r"."):
        read_items(kept)
    assert read_items(tmp_path / "none") == []
