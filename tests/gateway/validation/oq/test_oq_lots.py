"""Of the operational qualification's judges: a lot that came twice must be there twice, and one booking too many be told."""

from dataclasses import replace
from typing import Any

import pytest
from kit.judged import verdicts

from config import Line
from config.materials import Booking
from gateway.demo.received import Received
from gateway.validation.oq import lots
from gateway.validation.oq.case import Told
from gateway.validation.oq.lots import Twice

pytestmark = pytest.mark.urs("URS-VAL-04", "URS-CTX-07")
TOLD = {"code": "booking-repeated", "text": "granules happened again, declared 1", "evidence": {"material": "granules"}}


def booking(record: str, lot: str = "26/417-A", batch: str = "B1", name: str = "granules") -> dict[str, Any]:
    own = {"raw": lot, "canonical": "L2026-0417-A", "rule": "legacy"}
    at = {"time": f"2026-11-30T08:00:0{'abcde'.index(record)}Z"}
    return {"type": "material", "at": at, "record": record, "booking": name, "batch": batch, "lot": None, "output_lot": own}


@pytest.fixture
def row(line: Line) -> Booking:
    return next(one for one in line.materials if one.name == "granules")


@pytest.mark.parametrize(
    ("events", "told", "verdict"),
    [
        ([booking("a"), booking("b")], [TOLD], ["passed", "passed"]),
        ([booking("a"), booking("b")], [], ["passed", "failed"]),
        ([booking("a")], [TOLD], ["failed"]),
        ([booking("b"), booking("c")], [TOLD], ["failed", "passed"]),
        ([], [], ["failed"]),
    ],
)
def test_each_booking_must_stand_by_itself_and_one_too_many_be_told(
    row: Booking, events: list[dict[str, Any]], told: list[dict[str, Any]], verdict: list[str]
) -> None:
    taken = Told()
    lots.judge_twice(taken, Twice(row, "26/417-A", booking("a"), events, told))
    assert verdicts(taken) == verdict


def test_what_nobody_could_see_again_is_no_failure(row: Booking) -> None:
    for events, verdict in (([booking("a")], "not checked"), ([booking("b")], "failed"), ([], "failed")):
        taken = Told()
        lots.judge_twice(taken, Twice(row, "26/417-A", booking("a"), events, [], "its source was in a gap meanwhile"))
        assert verdicts(taken) == [verdict]


def test_a_lot_of_two_batches_is_one_booking_too_many_of_neither(row: Booking) -> None:
    taken = Told()
    lots.judge_twice(taken, Twice(row, "26/417-A", booking("a"), [booking("a"), booking("b", batch="B2")], []))
    assert verdicts(taken) == ["passed"]


def test_where_the_map_allows_several_nothing_has_to_be_told(row: Booking) -> None:
    taken = Told()
    lots.judge_twice(taken, Twice(replace(row, occurs="1..n"), "26/417-A", booking("a"), [booking("a"), booking("b")], []))
    assert verdicts(taken) == ["passed"]


def test_a_booking_that_went_over_to_another_batch_is_still_the_same(row: Booking) -> None:
    taken = Told()
    lots.judge_twice(taken, Twice(row, "26/417-A", booking("a"), [booking("a") | {"record": "x", "batch": "B2"}, booking("b")], [TOLD]))
    assert verdicts(taken) == ["passed"]


def test_only_bookings_of_the_same_row_and_lot_are_those_that_came_twice(row: Booking) -> None:
    events = [booking("a"), booking("b"), booking("c", "26/418-A"), booking("d", batch="B2"), booking("e", name="weigh")]
    got = Received(materials={one["record"]: one for one in events}, findings=[TOLD, {"code": "x", "evidence": {}}])
    assert [one["record"] for one in lots.same_lot(got, row, events[0])] == ["a", "b", "d"]
    assert lots.repeated(got, row, 0) == [TOLD]
    assert lots.repeated(got, row, 1) == [], "what was told before proves nothing"
