"""Readings by column are the readings that they stand for, and what is remembered of a tuple of tags is of that object."""

from hypothesis import given
from hypothesis import strategies as st

from drivers.columns import MOST_REMEMBERED, Columns, OfTags, span_of
from drivers.opcua.subscription.newest import Newest

BASE = 17_953_300_000_000_000


def test_columns_are_a_sequence_of_readings() -> None:
    stamps = [BASE, BASE + 7]
    readings = Columns((4, 2), [1.5, "RUN"], stamps, stamps)

    assert list(readings) == readings.rows() == [(4, 1.5, 0, BASE, BASE), (2, "RUN", 0, BASE + 7, BASE + 7)]
    assert (len(readings), readings[1], readings[:1]) == (2, readings.rows()[1], readings.rows()[:1])
    assert readings.bounds == (BASE, BASE + 7)
    polled = Columns((0,), [7], None, None)
    assert (list(polled), polled.bounds) == ([(0, 7, 0, None, None)], None)


def test_what_follows_from_tags_is_found_once_for_each_object_and_forgotten_beyond_the_bound() -> None:
    asked: list[tuple[int, ...]] = []

    def find(tags: tuple[int, ...]) -> int:
        asked.append(tags)
        return sum(tags)

    of = OfTags(find)
    first, equal = tuple(range(4)), tuple(range(4))

    assert [of(first), of(first), of(equal), of(first)] == [6] * 4
    assert len(asked) == 2
    for number in range(2 * MOST_REMEMBERED):
        assert of((number,)) == number
    assert len(of._found) <= MOST_REMEMBERED


def test_a_span_is_that_of_tags_that_follow_each_other() -> None:
    assert (span_of((3, 4, 5)), span_of((3, 5, 4)), span_of((3, 5)), span_of(())) == (slice(3, 6), None, None, None)


@given(
    st.lists(
        st.tuples(st.sampled_from([(0, 1), (1, 2), (0, 2), (0,)]), st.lists(st.integers(0, 3), min_size=2, max_size=2), st.booleans()),
        max_size=12,
    ),
    st.lists(st.integers(0, 12), max_size=3),
)
def test_the_newest_readings_are_the_same_by_column_and_one_by_one(
    lists: list[tuple[tuple[int, ...], list[int], bool]], asked: list[int]
) -> None:
    layouts = {tags: tags for tags, _, _ in lists}
    by_column, one_by_one = Newest(3), Newest(3)
    for number, (tags, times, single) in enumerate(lists):
        source = [BASE + time for time in times[: len(tags)]]
        readings = Columns(layouts[tags], [number] * len(tags), source, source)
        for reading in readings:
            one_by_one.note(reading)
        if single:
            for reading in readings:
                by_column.note(reading)
        else:
            by_column.note_all(readings)
        if number in asked:
            assert list(by_column) == list(one_by_one)
    assert list(by_column) == list(one_by_one)
    assert [by_column.of_its_time(tag) for tag in range(3)] == [one_by_one.of_its_time(tag) for tag in range(3)]
