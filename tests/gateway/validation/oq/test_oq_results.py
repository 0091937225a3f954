"""Of the operational qualification's judges: a replaced result must keep what stood before; each must be able to fail."""

from typing import Any

import pytest
from kit.judged import parameter, verdicts

from config import Line
from gateway.demo.received import Received
from gateway.validation.oq import results
from gateway.validation.oq.case import Told

pytestmark = pytest.mark.urs("URS-VAL-04")

SAMPLE = {"type": "sample", "sampling": "drying", "sample": "S-1", "batch": "B1", "revision": 1, "reason": "result"}
OLD = {"key": "S-1", "values": {"lod": "2.91"}}
NEW = {"key": "S-1", "values": {"lod": "5.5"}, "replaced": [{"values": {"lod": "2.91"}}], "replaced_count": 1}


@pytest.mark.parametrize(
    ("again", "batch_reason", "verdict"),
    [
        ({"reason": "result-replaced", "revision": 2, "results": [NEW]}, "result-replaced", ["passed", "passed", "passed"]),
        ({"reason": "result", "revision": 2, "results": [NEW]}, "result-replaced", ["failed", "passed", "passed"]),
        (
            {"reason": "result-replaced", "revision": 2, "results": [{**NEW, "replaced": []}]},
            "result-replaced",
            ["failed", "passed", "passed"],
        ),
        ({"reason": "result-replaced", "revision": 2, "results": [OLD]}, "result-replaced", ["failed", "passed", "passed"]),
        ({"reason": "result-replaced", "revision": 1, "results": [NEW]}, "result-replaced", ["passed", "failed", "passed"]),
        ({"reason": "result-replaced", "revision": 2, "results": [NEW]}, "late-data", ["passed", "passed", "failed"]),
        (None, "result-replaced", ["failed"]),
    ],
)
def test_a_replaced_result_must_keep_what_stood_before(again: Any, batch_reason: str, verdict: list[str]) -> None:
    told, sample = Told(), {**SAMPLE, "results": [OLD]}
    got = Received(batches={"x": {"batch": "B1", "transition": "end", "reason": batch_reason}})
    results.judge(told, got, (sample, None if again is None else {**SAMPLE, **again}), "lod", 5.5)
    assert verdicts(told) == verdict


@pytest.mark.parametrize(
    ("value", "result", "verdict"),
    [("5.50", "above", "passed"), ("5.50", "within", "failed"), ("2.91", "within", "failed"), (None, None, "failed")],
)
def test_what_rests_on_a_replaced_result_must_be_judged_anew(line: Line, value: str | None, result: str | None, verdict: str) -> None:
    told, row = Told(), parameter(line, "dry_lod")
    said = {"equipment": "dryer", "batch": "B1", "parameters": [{"parameter": "dry_lod", "value": value, "result": result}]}
    results.judge_parameter(Received(steps={"r": said}), told, {**SAMPLE, "results": [OLD]}, row, 5.5)
    assert verdicts(told) == [verdict]


def test_a_parameter_of_a_replaced_result_that_no_record_has_is_not_checked(line: Line) -> None:
    told = Told()
    results.judge_parameter(Received(), told, {**SAMPLE, "results": [OLD]}, parameter(line, "dry_lod"), 5.5)
    assert verdicts(told) == ["not checked"]
