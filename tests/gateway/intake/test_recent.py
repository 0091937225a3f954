"""What a source remembers of its latest readings: bounded, in the record's own times, and the newest of each tag whatever came since."""

from typing import Any

from gateway.entries.bodies import Row
from gateway.intake.by_column import Stored
from gateway.intake.readings import Instants
from gateway.intake.recent import LEAST, MOST, MOST_LAYOUTS, MOST_OF_LINE, Recent, share

T0 = 17_953_308_000_000_000
AT = Instants(T0, T0 + 20)


def row(tag: int, value: Any, kind: str = "change", source: int | None = None, status: int = 0) -> Row:
    return (tag, value, None, status, kind, source, None)


def test_the_newest_of_each_tag_is_remembered_beyond_the_bound_and_the_rest_is_let_go() -> None:
    recent = Recent(("gateway", "gateway"), most=100)
    recent.take([row(0, "once"), row(1, -1)], AT, "change", is_trusted=True)
    for number in range(1_000):
        recent.take([row(1, number)], AT, "change", is_trusted=True)
    assert {tag: point.value for tag, point in recent.latest().items()} == {0: "once", 1: 999}
    assert [point.value for point in recent.trend(1)] == list(range(900, 1_000))
    assert recent.trend(0) == []


def test_a_list_larger_than_the_bound_is_remembered_until_the_next_one() -> None:
    recent = Recent(("gateway",), most=10)
    recent.take([row(0, number) for number in range(50)], AT, "change", is_trusted=True)
    assert len(recent.trend(0)) == 50
    recent.take([row(0, 50)], AT, "change", is_trusted=True)
    assert [point.value for point in recent.trend(0)] == [50]


def test_times_are_those_of_the_record() -> None:
    recent = Recent(("device", "gateway"))
    recent.take([row(0, 1.0, source=T0 - 500), row(1, 2.0, source=T0 - 500)], AT, "change", is_trusted=True)
    recent.take([row(0, 3.0, source=T0 - 400)], AT, "change", is_trusted=False)
    assert [(point.ticks, point.value) for point in recent.trend(0)] == [(T0 - 500, 1.0), (T0 + 10, 3.0)], (
        "a clock that is off is not believed"
    )
    assert recent.latest()[1].ticks == T0 + 10


def test_what_history_gives_is_no_present_value() -> None:
    recent = Recent(("gateway",))
    recent.take([row(0, 1.0)], AT, "change", is_trusted=True)
    recent.take([row(0, 0.5, "backfill")], AT, "backfill", is_trusted=True)
    recent.take([], AT, "change", is_trusted=True)
    assert [point.value for point in recent.trend(0)] == [1.0]


def test_the_course_is_that_of_the_newest_readings_in_order() -> None:
    recent = Recent(("gateway", "gateway"))
    for number in range(10):
        recent.take([row(0, number), row(1, -number)], AT, "change", is_trusted=True)
    assert recent.values(6) == {0: [7, 8, 9], 1: [-7, -8, -9]}


def columns(tags: tuple[int, ...], *values: Any, at: int) -> Stored:
    return Stored(tags, values, None, [T0 + at] * len(tags), None, (T0 + at, T0 + at))


def test_lists_in_columns_are_remembered_as_rows_are_and_the_newest_of_each_tag_beyond_the_bound() -> None:
    recent = Recent(("device",) * 4, most=4)
    both, other = (0, 1), (2, 3)
    recent.take([row(0, "first", source=T0), row(3, "row", source=T0)], AT, "change", is_trusted=True)
    recent.take(columns(other, 20, 30, at=1), AT, "poll", is_trusted=True)
    for number in range(2, 9):
        recent.take(columns(both, number, -number, at=number), AT, "poll", is_trusted=True)
    recent.take([row(1, "last", source=T0 + 9), row(1, "very last", source=T0 + 10)], AT, "change", is_trusted=True)
    assert {tag: (point.value, point.ticks - T0) for tag, point in recent.latest().items()} == {
        0: (8, 8),
        1: ("very last", 10),
        2: (20, 1),
        3: (30, 1),
    }
    assert [(point.value, point.status) for point in recent.trend(0)] == [(8, 0)]


def test_however_many_tuples_of_tags_come_only_so_many_lists_are_kept_and_no_tag_is_forgotten() -> None:
    recent = Recent(("device",) * 1_000, most=2)
    for tag in range(1_000):
        recent.take(columns((tag,), tag, at=tag), AT, "poll", is_trusted=True)
    recent.take(columns((5,), "new", at=2_000), AT, "poll", is_trusted=True)
    for tag in range(100, 200):
        recent.take(columns((tag,), -tag, at=3_000), AT, "poll", is_trusted=True)
    values = {tag: point.value for tag, point in recent.latest().items()}
    assert values == {tag: "new" if tag == 5 else -tag if 100 <= tag < 200 else tag for tag in range(1_000)}
    assert len(recent._layouts) <= MOST_LAYOUTS


def test_all_sources_together_stay_within_the_line_s_bound() -> None:
    assert share(1) == MOST
    assert share(0) == MOST
    assert share(10_000) == LEAST
    assert all(share(count) * count <= MOST_OF_LINE for count in (10, 40, 200, 400))
