"""The comparison of the demo: every item of the ground truth ends in exactly one count, and nothing that is wrong passes."""

import re
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from config import Scaling, Tag
from gateway.demo.compare import Counts, normal, of_changes, of_polls, of_rows, total, unasked
from gateway.demo.received import Gap, Got, Row
from gateway.demo.truth import Item

S = 10_000_000
TAG = Tag("t", "plc", "a", "float64")


def item(at_s: float, value: object, status: int = 0) -> Item:
    return Item(round(at_s * S), value, status)


def told(at_s: float, value: object, kind: str = "change", status: int = 0, seq: int = 1) -> Got:
    return Got(value, status, kind, round(at_s * S), None, round(at_s * S) + 5, 1, seq)


def polled(requested_s: float, received_s: float, value: object, kind: str = "change", status: int = 0) -> Got:
    return Got(value, status, kind, None, round(requested_s * S), round(received_s * S), 1, 1)


def gap(start_s: float, end_s: float | None, tags: str | frozenset[str] = "all", outcome: str = "lost") -> Gap:
    return Gap("plc", tags, round(start_s * S), "link-lost", None if end_s is None else round(end_s * S), outcome)


def test_a_source_that_tells_changes_is_whole_when_each_arrived_once() -> None:
    made = [item(1, 1.0), item(2, 2.0)]
    assert of_changes(TAG, made, [told(1, 1.0, "initial"), told(2, 2.0)], [], 0) == Counts(read=2, received=2)


def test_a_change_that_neither_arrived_nor_lies_in_a_gap_is_lost() -> None:
    counts = of_changes(TAG, [item(1, 1.0), item(2, 2.0)], [told(1, 1.0)], [], 0)
    assert (counts.lost, counts.good) == (1, False)
    assert "2.0" in counts.examples[0]


@pytest.mark.parametrize(
    ("hole", "excused"),
    [
        (gap(1.5, 2.5), True),
        (gap(1.5, None), True),
        (gap(1.5, 2.5, frozenset({"t"})), True),
        (gap(1.5, 2.5, frozenset({"another"})), False),
        (gap(2.1, 2.5), False),
        (gap(1.5, 2.5, outcome="filled"), False),
    ],
)
def test_only_a_gap_of_this_tag_and_time_that_was_not_filled_excuses(hole: Gap, excused: bool) -> None:
    counts = of_changes(TAG, [item(1, 1.0), item(2, 2.0)], [told(1, 1.0)], [hole], 0)
    assert (counts.in_gaps, counts.lost) == ((1, 0) if excused else (0, 1))


def test_a_gap_that_ends_earlier_for_a_tag_excuses_nothing_of_it_afterwards() -> None:
    hole = gap(1.5, None)
    hole.ends["t"] = round(1.8 * S)
    assert of_changes(TAG, [item(1, 1.0), item(2, 2.0)], [told(1, 1.0)], [hole], 0).lost == 1


def test_the_same_change_twice_is_doubled_but_what_is_seen_again_after_a_connect_is_not() -> None:
    made = [item(1, 1.0)]
    assert of_changes(TAG, made, [told(1, 1.0), told(1, 1.0)], [], 0).doubled == 1
    assert of_changes(TAG, made, [told(1, 1.0), told(1, 1.0, "backfill")], [], 0).doubled == 1
    assert of_changes(TAG, made, [told(1, 1.0), told(1, 1.0, "initial")], [], 0).good


@pytest.mark.parametrize("got", [told(1, 1.5), told(1.1, 1.0)])
def test_a_value_or_a_time_that_the_device_never_had_is_foreign(got: Got) -> None:
    assert of_changes(TAG, [item(1, 1.0)], [told(1, 1.0), got], [], 0).foreign == 1


def test_what_was_before_anybody_read_counts_only_if_it_was_read() -> None:
    made = [item(1, 1.0), item(2, 2.0), item(4, 4.0)]
    assert of_changes(TAG, made, [told(2, 2.0, "initial"), told(4, 4.0)], [], 3 * S) == Counts(read=2, received=2)


def test_a_bad_value_is_compared_as_bad() -> None:
    bad = 0x808B0000
    assert of_changes(TAG, [item(1, None, bad)], [told(1, None, status=bad)], [], 0).good


def test_a_polled_answer_must_lie_in_the_window_of_its_reading() -> None:
    served = [item(1, 1.0), item(2, 2.0)]
    assert of_polls(TAG, served, [polled(0.9, 1.1, 1.0, "initial"), polled(1.9, 2.1, 2.0)], []).received == 2
    late = of_polls(TAG, served, [polled(0.9, 1.1, 1.0), polled(1.2, 1.4, 2.0)], [])
    assert (late.foreign, late.lost) == (1, 1)


def test_a_value_that_stands_since_before_the_window_may_be_read_again() -> None:
    served = [item(1, 1.0)]
    readings = [polled(0.9, 1.1, 1.0, "initial"), polled(60, 60.1, 1.0, "repeat"), polled(70, 70.1, 1.0, "initial")]
    assert of_polls(TAG, served, readings, []) == Counts(read=1, received=1)


def test_the_same_answer_stored_twice_as_a_change_is_doubled_unless_its_status_changed() -> None:
    served = [item(1, 1.0)]
    first = polled(0.9, 1.1, 1.0, status=0x40000000)
    assert of_polls(TAG, served, [first, polled(1.2, 1.3, 1.0)], []).good
    assert of_polls(TAG, served, [first, polled(1.2, 1.3, 1.0, status=0x40000000)], []).doubled == 1


def test_an_answer_that_was_not_stored_is_lost_or_in_a_gap() -> None:
    served = [item(1, 1.0), item(2, 2.0), item(3, 3.0)]
    readings = [polled(0.9, 1.1, 1.0), polled(2.9, 3.1, 3.0)]
    assert of_polls(TAG, served, readings, []).lost == 1
    assert of_polls(TAG, served, readings, [gap(1.5, 2.5)]) == Counts(read=3, received=2, in_gaps=1)


def test_changes_within_the_deadband_of_the_map_are_left_out_by_its_wish() -> None:
    tag = Tag("t", "plc", "a", "float64", deadband="1%", eu_low=Decimal(0), eu_high=Decimal(100))
    served = [item(1, 10.0), item(2, 10.9), item(3, 12.0)]
    counts = of_polls(tag, served, [polled(0.9, 1.1, 10.0)], [])
    assert (counts.left_out, counts.lost) == (1, 1)


def test_an_answer_that_the_same_poll_replaced_is_no_loss_but_that_of_a_dropped_poll_is() -> None:
    served = [item(1.0, 1.0), item(1.02, 2.0), item(1.2, 3.0)]
    whole = [polled(1.01, 1.03, 2.0), polled(1.19, 1.21, 3.0)]
    assert of_polls(TAG, served, whole, [], round(0.1 * S)) == Counts(read=3, received=2, left_out=1)
    assert of_polls(TAG, served, whole[1:], [], round(0.1 * S)).lost == 2


def test_an_answer_that_the_same_poll_took_back_is_no_loss_but_one_that_stood_is() -> None:
    served = [item(1.0, 48.0), item(1.2, 47.9), item(1.206, 48.0), item(1.4, 48.5)]
    got = [polled(0.99, 1.01, 48.0), polled(1.39, 1.41, 48.5)]
    assert of_polls(TAG, served, got, [], round(0.1 * S)) == Counts(read=4, received=2, left_out=2)
    stood = [item(1.0, 48.0), item(1.2, 47.9), item(1.4, 48.0), item(1.6, 48.5)]
    assert of_polls(TAG, stood, [got[0], polled(1.59, 1.61, 48.5)], [], round(0.1 * S)).lost == 2


def test_an_answer_that_was_asked_for_again_lies_in_the_window_of_the_next_reading_however_long_that_took() -> None:
    served = [item(1.0, 1.0), item(1.104, 2.0), item(1.2, 3.0)]
    again = [polled(0.999, 1.106, 2.0), polled(1.199, 1.201, 3.0)]
    assert of_polls(TAG, served, again, [], round(0.2 * S)) == Counts(read=3, received=2, left_out=1)
    proved = [polled(0.999, 1.201, 2.0)]
    assert of_polls(TAG, served, proved, [], round(0.2 * S)) == Counts(read=3, received=1, left_out=2), "the last answer proved it"
    asked_anew = [polled(1.1, 1.106, 2.0), polled(1.199, 1.201, 3.0)]
    assert of_polls(TAG, served, asked_anew, [], round(0.2 * S)).lost == 1, "the answer of a poll of its own"


@pytest.mark.parametrize(("late_s", "lost"), [(0.9, 0), (1.375, 0), (1.99, 0), (2.1, 1)])
def test_a_tag_that_is_answered_with_quicker_neighbours_must_have_been_asked_for_within_two_periods(late_s: float, lost: int) -> None:
    served = [item(1.0, 39.6), item(1.2, 39.7), item(1.2 + late_s, 39.8)]
    got = [polled(0.99, 1.01, 39.6), polled(1.2 + late_s, 1.21 + late_s, 39.8)]
    counts = of_polls(TAG, served, got, [], S, is_answered_along=True)
    assert (counts.lost, counts.left_out) == (lost, 1 - lost)
    assert of_polls(TAG, served, got, [gap(1.0, 1.2 + late_s)], S, is_answered_along=True).lost == 0


def test_an_error_names_source_tag_local_time_and_what_to_look_at() -> None:
    at_s = 1_795_331_660.95  # 2026-11-22T07:14:20.95Z
    counts = of_changes(TAG, [item(at_s - 1, 1.0), item(at_s, 39.7)], [told(at_s - 1, 1.0)], [], 0, ZoneInfo("Europe/Paris"))
    (text,) = counts.examples
    assert text.startswith("source plc, tag t: 39.7 of 2026-11-22 08:14:20.950 +0100 is lost: in no reading and in no gap; ")
    assert "`ebr-gateway log LINE --from 2026-11-22T07:14:18Z --to 2026-11-22T07:14:23Z`" in text
    assert not re.search(r"\d{12}", text)


def test_what_nobody_asked_for_in_a_gap_is_counted_there() -> None:
    made = [item(1, 1.0), item(2, 2.0), item(3, 3.0), item(4, 4.0)]
    assert unasked(TAG, made, [item(1, 1.0), item(4, 4.0)], [gap(1.5, 3.5)]) == Counts(read=2, in_gaps=2)
    assert unasked(TAG, made, [item(1, 1.0)], []) == Counts()


def test_rows_are_compared_by_key_and_content() -> None:
    truth = {("orders", "1"): [{"id": 1, "batch_no": "B1", "extra": "x"}], ("orders", "2"): [{"id": 2, "batch_no": "B2"}]}
    good = {("orders", "1"): [Row("new", {"id": "1", "batch_no": "B1"})], ("orders", "2"): [Row("new", {"id": 2, "batch_no": "B2"})]}
    assert of_rows(truth, good) == Counts(read=2, received=2)
    assert of_rows(truth, {("orders", "1"): good["orders", "1"]}).lost == 1
    assert of_rows(truth, good | {("orders", "2"): good["orders", "2"] * 2}).doubled == 1
    assert of_rows(truth, good | {("orders", "3"): [Row("new", {"id": 3})]}).foreign == 1
    assert of_rows(truth, good | {("orders", "2"): [Row("new", {"id": 2, "batch_no": "B9"})]}).lost == 1


def test_an_overwritten_row_may_be_missed_but_not_its_last_version() -> None:
    truth = {("orders", "1"): [{"id": 1, "n": "a"}, {"id": 1, "n": "b"}]}
    assert of_rows(truth, {("orders", "1"): [Row("new", {"id": 1, "n": "b"})]}) == Counts(read=2, received=1, left_out=1)
    assert of_rows(truth, {("orders", "1"): [Row("new", {"id": 1, "n": "a"})]}).lost == 1


@pytest.mark.parametrize(
    ("tag", "one", "other", "equal"),
    [
        (Tag("t", "s", "a", "float32"), 0.1, 0.10000000149011612, True),
        (Tag("t", "s", "a", "float32"), 0.1, 0.2, False),
        (Tag("t", "s", "a", "float64"), 0.1, 0.10000000149011612, False),
        (Tag("t", "s", "a", "int64"), "9007199254740993", 9007199254740993, True),
        (Tag("t", "s", "a", "uint64"), "9007199254740993", "9007199254740992", False),
        (Tag("t", "s", "a", "decimal"), "2.50", "2.5", True),
        (Tag("t", "s", "a", "int16", scaling=Scaling(Decimal("0.1"), Decimal(0), 1)), 251.5, Decimal("251.5"), True),
        (Tag("t", "s", "a", "datetime"), "2026-11-22T17:00:00.5Z", "2026-11-22T18:00:00.500000+01:00", True),
        (Tag("t", "s", "a", "string"), "1.0", "1", False),
        (Tag("t", "s", "a", "bool"), True, False, False),
    ],
)
def test_equal_values_compare_equal_however_they_are_written(tag: Tag, one: object, other: object, equal: bool) -> None:
    assert (normal(tag, one) == normal(tag, other)) is equal


def test_the_sum_of_all_sources_keeps_some_examples() -> None:
    bad = Counts(lost=1, examples=["x is lost"])
    assert total([Counts(read=2, received=2), bad]) == Counts(read=2, received=2, lost=1, examples=["x is lost"])


def test_a_row_that_was_deleted_before_it_was_read_is_no_loss_and_one_that_was_read_counts() -> None:
    truth = {("orders", "1"): [{"id": 1}, {}], ("orders", "2"): [{"id": 2}, {}]}
    got = {("orders", "1"): [Row("new", {"id": 1}), Row("deleted", {"id": 1})]}
    assert of_rows(truth, got) == Counts(read=2, received=1, left_out=1)
    assert of_rows({("orders", "2"): [{"id": 2}]}, {}).lost == 1
