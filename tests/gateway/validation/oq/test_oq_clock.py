"""Of the operational qualification's judges: a clock that is set, and a frozen gateway, must be told; each must be able to fail."""

from pathlib import Path
from typing import Any, cast

import pytest
from kit.judged import T0, S, verdicts

from gateway.demo.received import Gap, Received
from gateway.entries.ticks import rfc3339
from gateway.validation.oq import clock
from gateway.validation.oq.case import Told

pytestmark = pytest.mark.urs("URS-VAL-04")


def entries(*steps: tuple[float, str]) -> list[dict[str, Any]]:
    """Entries of a clock that goes an hour forward and back, twice; each has readings."""
    found, offset_s = [], 0.0
    shifts = {10: 3600.0, 20: -3600.0, 30: -3600.0, 40: 3600.0}
    for number in range(50):
        offset_s += shifts.get(number, 0.0)
        wrong = offset_s != 0.0 or number in shifts
        time = rfc3339(T0 + round((number + offset_s) * S))
        status = "unsynchronised" if wrong else "synchronised"
        found.append({"epoch": 1, "seq": number + 1, "time": time, "status": status, "readings": True, "step_s": shifts.get(number)})
    return found


def test_a_clock_that_was_set_passes_as_it_is_recorded_and_fails_where_it_is_hidden() -> None:
    told = Told()
    clock.judge(told, entries())
    assert verdicts(told) == ["passed"] * 4
    for spoil, failed in (
        (lambda all_: [one for one in all_ if one["seq"] != 25], 0),
        (lambda all_: [{**one, "time": rfc3339(T0 + one["seq"] * S)} for one in all_], 1),
        (lambda all_: [{**one, "status": "synchronised"} for one in all_], 2),
        (lambda all_: [{**one, "readings": one["seq"] <= 10} for one in all_], 3),
    ):
        told = Told()
        clock.judge(told, spoil(entries()))
        assert verdicts(told)[failed] == "failed", failed
    told = Told()
    clock.judge(told, [{**one, "step_s": None} for one in entries()])
    assert verdicts(told)[1:] == ["not checked"] * 3, "without the steps nothing says where to look"


def test_a_step_of_another_size_is_not_the_one_that_was_made() -> None:
    assert clock.near([{"kind": "step", "step_s": 3600.4}], "step", "step_s", 3600.0) is not None
    assert clock.near([{"kind": "step", "step_s": -3600.0}, {"kind": "synchronised"}], "step", "step_s", 3600.0) is None


class Events:
    """Of a stage, what the EBR holds of the clock: `comes` comes once the clock was set. Nobody waits."""

    def __init__(self, there: list[dict[str, Any]], comes: list[dict[str, Any]]) -> None:
        self._there, self._comes, self._looks = there, comes, 0

    def events(self, _kind: str) -> list[dict[str, Any]]:
        self._looks += 1
        return self._there if self._looks == 1 else [*self._there, *self._comes]

    async def seen(self, look: Any, _within_s: float) -> Any:
        return look()


@pytest.mark.parametrize(("comes", "verdict"), [([], "failed"), ([{"kind": "step", "step_s": -3600.0, "last_seq": 9}], "passed")])
async def test_an_equal_step_of_before_tells_of_no_other(tmp_path: Path, comes: list[dict[str, Any]], verdict: str) -> None:
    told, before = Told(), [{"kind": "step", "step_s": -3600.0, "last_seq": 5}]
    await clock._set(cast("Any", Events(before, comes)), told, tmp_path / "shown", 0.0, -3600.0)
    assert verdicts(told) == [verdict]


@pytest.mark.parametrize(("sources", "verdict"), [(["dryer"], "passed"), ([], "failed"), (["other"], "failed")])
def test_a_frozen_gateway_must_leave_a_gap_of_each_polled_source(sources: list[str], verdict: str) -> None:
    told = Told()
    gaps = {(1, source): Gap(source, "all", T0, "not-asked") for source in sources}
    clock.judge_frozen(told, {"dryer"}, Received(gaps=gaps))
    assert verdicts(told) == [verdict]
