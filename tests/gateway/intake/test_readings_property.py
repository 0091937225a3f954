"""From rows to drafts: nothing is lost or reordered by a cut, and each event time is the rule's."""

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.entries.bodies import Row, table
from gateway.entries.fold_input import EARLIEST_TICKS, FUTURE_TICKS, Authority, event_ticks
from gateway.intake.drafts import ReadingsDraft
from gateway.intake.readings import MOST_READINGS, Instants, Origin, cut, in_time, readings_drafts, seen_of

NOW = 17_953_300_000_000_000
AUTHORITIES: tuple[Authority, ...] = get_args(Authority)
TICKS = (
    st.none()
    | st.sampled_from([0, EARLIEST_TICKS - 1, EARLIEST_TICKS, NOW, NOW + FUTURE_TICKS, NOW + FUTURE_TICKS + 1])
    | st.integers(0, 2 * NOW)
)


def rows_of(values: list[float]) -> list[Row]:
    return [(0, value, None, 0, "change", NOW + at, None) for at, value in enumerate(values)]


@pytest.mark.urs("URS-TIME-08", "URS-CTX-04")
@given(
    st.integers(0, 2_500).flatmap(
        lambda count: st.tuples(st.just(count), st.lists(st.integers(0, max(count - 1, 0)), max_size=5, unique=True))
    )
)
def test_a_cut_keeps_every_row_in_order_and_begins_an_entry_at_each_turn(case: tuple[int, list[int]]) -> None:
    count, chosen = case
    turns = sorted(chosen) if count else []
    rows = rows_of([float(n) for n in range(count)])

    pieces = list(cut(rows, turns))

    assert [row for piece in pieces for row in piece] == rows
    assert all(0 < len(piece) <= MOST_READINGS for piece in pieces)
    assert {piece[0] for piece in pieces} >= {rows[turn] for turn in turns}


@pytest.mark.urs("URS-TIME-02", "URS-TIME-12")
@given(
    st.lists(st.tuples(st.integers(0, 2), TICKS, TICKS), min_size=1, max_size=20),
    st.none() | st.integers(NOW - 10_000_000, NOW),
    st.booleans(),
)
def test_the_event_time_of_each_row_is_the_rule_that_a_replay_applies(
    given_: list[tuple[int, int | None, int | None]], requested: int | None, trusted: bool
) -> None:
    rows: list[Row] = [(index, 1.0, None, 0, "change", source, server) for index, source, server in given_]

    seen = seen_of(tuple(zip(*rows, strict=True)), Instants(requested, NOW), AUTHORITIES, trusted=trusted)

    assert [row[3] for row in seen] == [
        event_ticks(AUTHORITIES[index], source, server, requested, NOW, trusted=trusted) for index, source, server in given_
    ]


@pytest.mark.urs("URS-CTX-04", "URS-TIME-08")
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(NOW, NOW + 20)), max_size=12))
def test_a_list_is_put_in_time_around_a_signal_without_reordering_a_tag(stamps: list[tuple[int, int]]) -> None:
    readings: list[Any] = [(index, at, 0, source, None) for at, (index, source) in enumerate(stamps)]
    each_in_order = all([at for i, at in stamps if i == index] == sorted(at for i, at in stamps if i == index) for index, _ in stamps)

    placed = list(in_time(readings, frozenset({0})))

    assert sorted(placed, key=lambda reading: reading[1]) == readings
    if each_in_order and any(index == 0 for index, _ in stamps):
        assert [reading[3] for reading in placed] == sorted(at for _, at in stamps)
    else:
        assert placed == readings


@pytest.mark.urs("URS-DAQ-01", "URS-TIME-12")
@pytest.mark.parametrize(("offset_s", "event"), [(None, NOW - 7), (2.0, NOW - 7), (2.1, NOW), (-2.1, NOW)])
def test_the_time_of_a_device_whose_clock_is_off_is_stored_and_not_used(offset_s: float | None, event: int) -> None:
    rows: list[Row] = [(0, 1.5, None, 0, "change", NOW - 7, NOW - 3)]
    clock: dict[str, Any] = {"authority": "device"} if offset_s is None else {"authority": "device", "offset_s": offset_s, "bound_s": 0.1}

    drafts = list(readings_drafts(rows, [0], Instants(None, NOW), Origin("plc", "0123", ["device"], 2.0), clock))

    assert drafts == [ReadingsDraft("plc", clock, "0123", [(0, 1.5, 0, event, "change")], table(tuple(zip(*rows, strict=True)), None, NOW))]


def test_no_rows_make_no_draft() -> None:
    assert list(readings_drafts([], [], Instants(None, NOW), Origin("plc", "0123", [], 2.0), {})) == []
