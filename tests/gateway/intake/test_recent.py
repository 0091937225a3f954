"""What a source remembers of its latest readings: bounded, in the record's own times, and the newest of each tag whatever came since."""

from typing import Any

from gateway.entries.bodies import Row
from gateway.intake.readings import Instants
from gateway.intake.recent import LEAST, MOST, MOST_OF_LINE, Recent, share

T0 = 17_953_308_000_000_000
AT = Instants(T0, T0 + 20)


def row(tag: int, value: Any, kind: str = "change", source: int | None = None, status: int = 0) -> Row:
    return (tag, value, None, status, kind, source, None)


def test_the_newest_of_each_tag_is_remembered_beyond_the_bound_and_the_rest_is_let_go() -> None:
    recent = Recent(("gateway", "gateway"), most=100)
    recent.take([row(0, "once"), row(1, -1)], AT, is_trusted=True)
    for number in range(1_000):
        recent.take([row(1, number)], AT, is_trusted=True)
    assert {tag: point.value for tag, point in recent.latest().items()} == {0: "once", 1: 999}
    assert [point.value for point in recent.trend(1)] == list(range(900, 1_000))
    assert recent.trend(0) == []


def test_a_list_larger_than_the_bound_is_remembered_until_the_next_one() -> None:
    recent = Recent(("gateway",), most=10)
    recent.take([row(0, number) for number in range(50)], AT, is_trusted=True)
    assert len(recent.trend(0)) == 50
    recent.take([row(0, 50)], AT, is_trusted=True)
    assert [point.value for point in recent.trend(0)] == [50]


def test_times_are_those_of_the_record() -> None:
    recent = Recent(("device", "gateway"))
    recent.take([row(0, 1.0, source=T0 - 500), row(1, 2.0, source=T0 - 500)], AT, is_trusted=True)
    recent.take([row(0, 3.0, source=T0 - 400)], AT, is_trusted=False)
    assert [(point.ticks, point.value) for point in recent.trend(0)] == [(T0 - 500, 1.0), (T0 + 10, 3.0)], (
        "a clock that is off is not believed"
    )
    assert recent.latest()[1].ticks == T0 + 10


def test_what_history_gives_is_no_present_value() -> None:
    recent = Recent(("gateway",))
    recent.take([row(0, 1.0)], AT, is_trusted=True)
    recent.take([row(0, 0.5, "backfill")], AT, is_trusted=True)
    recent.take([], AT, is_trusted=True)
    assert [point.value for point in recent.trend(0)] == [1.0]


def test_the_course_is_that_of_the_newest_readings_in_order() -> None:
    recent = Recent(("gateway", "gateway"))
    for number in range(10):
        recent.take([row(0, number), row(1, -number)], AT, is_trusted=True)
    assert recent.values(6) == {0: [7, 8, 9], 1: [-7, -8, -9]}


def test_all_sources_together_stay_within_the_line_s_bound() -> None:
    assert share(1) == MOST
    assert share(0) == MOST
    assert share(10_000) == LEAST
    assert all(share(count) * count <= MOST_OF_LINE for count in (10, 40, 200, 400))
