"""A list in columns closes the gaps that the same readings close one by one, however often it comes, and whatever is in a gap meanwhile."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.plant import T0, line_of, tag

from config import Source
from gateway.context import Fold
from gateway.entries.fold_input import EventInput, ReadingsInput, SeenColumns
from gateway.entries.ticks import TICKS_PER_S, rfc3339

pytestmark = pytest.mark.urs("URS-CTX-08")
NAMES = [f"p.t{number}" for number in range(6)]
LISTS = [(0, 1, 2), (3, 4), (5,), (0, 5, 9), tuple(range(6))]  # 9: of no tag of the map
LINE = replace(
    line_of(),
    sources=(Source(name="p", driver="modbus", endpoint="x", time_authority="gateway"), Source(name="q", driver="modbus", endpoint="y")),
    equipment=(),
    tags=(*(tag(name, "p", "float64") for name in NAMES), tag("q.t", "q", "float64")),
    steps=(),
    parameters=(),
    routes=(),
)
GAPS = st.one_of(st.just("all"), st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("list"), st.sampled_from(LISTS), st.sampled_from(["change", "backfill", "periodic"])),
        st.tuples(st.just("gap"), GAPS, st.sampled_from(["p", "q"])),
    ),
    max_size=25,
)


@given(STEPS)
def test_a_list_in_columns_closes_what_its_readings_close(steps: list[Any]) -> None:
    by_column, by_row = Fold(LINE), Fold(LINE)
    for seq, (what, of, kind) in enumerate(steps, 1):
        now = T0 + seq * TICKS_PER_S
        if what == "gap":
            tags = of if of == "all" or kind == "p" else ["q.t"]
            event = {
                "type": "gap",
                "transition": "open",
                "gap": f"{kind}/{seq}",
                "source": kind,
                "tags": tags,
                "cause": "timeout",
                "detail": "",
            }
            inputs: list[Any] = [EventInput(seq, now, {**event, "start": rfc3339(now - 1), "detected": rfc3339(now)})] * 2
        else:
            columns = SeenColumns(of, [1.5] * len(of), now, now, kind)
            inputs = [ReadingsInput(seq, now, "p", columns), ReadingsInput(seq, now, "p", list(columns))]
        assert by_column.decide(inputs[0]) == by_row.decide(inputs[1])
        assert by_column.open_gaps("p") == by_row.open_gaps("p")
    assert by_column.dump() == by_row.dump()
