"""What a laboratory row says anew, and what of the former is kept."""

import itertools
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.context.materials.results import MOST_REPLACED, MOST_REPLACED_BYTES, REPLACED, merged


def result(seq: int, value: str, key: str = "S-1") -> dict[str, Any]:
    return {"source": "lims", "name": "results", "key": key, "change": "new", "time": None, "seq": seq, "values": {"lod": value}}


@pytest.mark.urs("URS-CTX-09")
@given(st.lists(st.text(max_size=4_000), min_size=2, max_size=40))
def test_the_first_value_and_the_newest_stay_and_all_are_counted(values: list[str]) -> None:
    results, reasons = list[dict[str, Any]](), list[str]()
    for seq, value in enumerate(values, 1):
        results, reason = merged(results, result(seq, value))
        reasons.append(reason)
    (last,) = results
    changes = sum(a != b for a, b in itertools.pairwise(values))
    assert reasons.count(REPLACED) == last.get("replaced_count", 0) == changes
    replaced = last.get("replaced", [])
    assert len(replaced) <= MOST_REPLACED
    assert len(orjson.dumps(replaced)) <= MOST_REPLACED_BYTES or len(replaced) == 1
    if all(len(value) < 100 for value in values):
        assert len(replaced) == min(changes, MOST_REPLACED)
    assert last["values"]["lod"] == values[-1]
    if changes:
        assert replaced[0]["values"]["lod"] == values[0], "what the laboratory said first"


def test_rows_of_two_keys_are_two_results() -> None:
    results, _ = merged([result(1, "5.20")], result(2, "3.45", key="S-1/b"))
    assert [(r["key"], "replaced" in r) for r in results] == [("S-1", False), ("S-1/b", False)]
