"""What is left out of lists that are told again is what a plain reference leaves out: one for one, and never one that differs."""

import json
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from config import Tag
from drivers.contract import Reading
from gateway.entries.bodies import table, turned
from gateway.entries.stored_rows import StoredRow, stored_rows
from gateway.intake.poll_filter import PollFilter
from gateway.intake.retold import Retold, _key

NOW = 17_953_300_000_000_000
TYPES = ["float64", "float32", "int16", "uint64", "bool", "string"]
TAGS = [Tag(kind, "plc", "a", kind) for kind in TYPES]
VALUES: list[Any] = [0.0, -0.0, 0.1, 1, 1.0, True, False, "1", None, 1 << 63, float("nan"), 70_000]
STATUSES = [0, 0x400, 0x40000000, 0x80000000]

reading = st.tuples(
    st.integers(0, len(TAGS) - 1),
    st.sampled_from(VALUES),
    st.sampled_from(STATUSES),
    st.sampled_from([None, NOW, NOW + 1]),
    st.sampled_from([None, NOW, NOW + 2]),
)
lists = st.lists(st.lists(reading, max_size=6), max_size=4)


def entry_of(readings: list[Reading]) -> list[StoredRow]:
    """The readings as they stand in an entry, and come out of it."""
    rows = PollFilter(TAGS, frozenset(), {}).rows(readings, "change", 0.0).rows
    return list(stored_rows(json.loads(b"{" + table(turned(rows), None, NOW)))) if rows else []


def said(row: StoredRow) -> str:
    return json.dumps(row)


@given(behind=lists, again=lists, tags=st.sets(st.integers(0, len(TAGS) - 1)))
def test_one_for_one_and_nothing_that_differs(behind: list[list[Reading]], again: list[list[Reading]], tags: set[int]) -> None:
    standing = [row for readings in behind for row in entry_of(readings)]
    left = [said(row) for row in standing]
    memory = Retold(Counter(_key(row) for row in standing if row.source is not None), PollFilter(TAGS, frozenset(), {}).as_stored)
    memory.resumed(tags)
    for readings in again:
        expected = []
        for place, row in enumerate(entry_of(readings)):
            if row.tag in tags and row.source is not None and said(row) in left:
                left.remove(said(row))
            else:
                expected.append(place)
        places, rows = memory.split(readings)
        memory.appended()
        assert places == expected
        assert len(rows) == len(readings) - len(places)


@given(readings=st.lists(reading, min_size=1, max_size=8))
def test_what_an_entry_holds_comes_out_of_it_as_it_was_stored(readings: list[Reading]) -> None:
    rows = PollFilter(TAGS, frozenset(), {}).rows(readings, "change", 0.0).rows
    assert [said(row) for row in entry_of(readings)] == [json.dumps((*row[:4], *row[5:])) for row in rows]
