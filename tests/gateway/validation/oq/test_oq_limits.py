"""Of the operational qualification's judges: the verdict of a parameter must be that of the devices' own logs; each can fail."""

from typing import Any

import pytest
from kit.judged import T0, S, parameter, verdicts

from config import Line, Parameter
from gateway.demo.received import Received
from gateway.demo.truth import Item, Truth
from gateway.entries.ticks import rfc3339
from gateway.validation.oq import limits
from gateway.validation.oq.case import Told
from gateway.validation.oq.from_logs import seconds_of, verdict_of

pytestmark = pytest.mark.urs("URS-VAL-04")


def truth_of(tag: str, *values: tuple[float, float], status: int = 0) -> Truth:
    return Truth(made={tag: [Item(T0 + round(at_s * S), value, status) for at_s, value in values]})


def test_a_verdict_follows_from_the_log_only_where_it_tells(line: Line) -> None:
    row = parameter(line, "wm_temp_max")  # max of granulator.product_temp, high 45.0
    step = (T0 + 10 * S, T0 + 20 * S)
    assert verdict_of(line, row, truth_of(row.tag or "", (5, 20.0), (12, 50.0), (15, 21.0)), *step) == "above"
    assert verdict_of(line, row, truth_of(row.tag or "", (5, 20.0), (12, 40.0)), *step) == "within"
    assert verdict_of(line, row, truth_of(row.tag or "", (5, 20.0), (19.9, 50.0)), *step) is None, "at the edge nobody can say"
    assert verdict_of(line, row, truth_of(row.tag or "", (5, 20.0), (12, 45.05)), *step) is None, "the last digit decides"
    assert verdict_of(line, row, truth_of(row.tag or "", (5, 50.0), status=0x8000_0000), *step) is None
    assert verdict_of(line, row, Truth(), *step) is None


def test_seconds_beyond_a_threshold_follow_from_the_log(line: Line) -> None:
    row = parameter(line, "dry_inlet_above")
    found = seconds_of(line, row, truth_of(row.tag or "", (0, 60.0), (12, 80.0), (16, 60.0)), T0 + 10 * S, T0 + 20 * S)
    assert found is not None
    assert found[0] <= 4.0 <= found[1]


def record(row: Parameter, value: str, result: str, status: str = "present") -> dict[str, Any]:
    edges = {edge: {"time": rfc3339(T0 + at_s * S)} for edge, at_s in (("start", 10), ("end", 20))}
    said = [{"parameter": row.parameter, "value": value, "status": status, "result": result}]
    return {"equipment": row.equipment, "step": row.step, **edges, "parameters": said}


@pytest.mark.parametrize(
    ("value", "result", "status", "verdict"),
    [
        ("50.0", "above", "present", "passed"),
        ("50.0", "within", "present", "failed"),
        ("50.0", "below", "present", "failed"),
        ("50.0", "not-judged", "gap", "not checked"),
    ],
)
def test_a_limit_that_was_left_must_be_in_the_record(line: Line, value: str, result: str, status: str, verdict: str) -> None:
    row, told = parameter(line, "wm_temp_max"), Told()
    got = Received(steps={"r": record(row, value, result, status)})
    truths = {"granulator-plc": truth_of(row.tag or "", (5, 20.0), (11, 50.0), (25, 20.0))}
    limits.tell(line, told, row, list(limits.judgements(line, got, truths, [row])))
    assert verdicts(told) == [verdict]


def test_a_limit_that_no_device_left_is_not_checked(line: Line) -> None:
    row, told = parameter(line, "wm_temp_max"), Told()
    got = Received(steps={"r": record(row, "40.0", "within")})
    truths = {"granulator-plc": truth_of(row.tag or "", (5, 20.0), (11, 40.0))}
    limits.tell(line, told, row, list(limits.judgements(line, got, truths, [row])))
    assert verdicts(told) == ["not checked"]
    assert "not seen beyond high" in told.steps[0].actual
