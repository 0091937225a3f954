"""Of the operational qualification: which faults show a tag's limits at work, and the judges of what was told of them; each can fail."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from kit.judged import verdicts

from config import Source, Tag
from config.detectors import Limits, UnitJump
from gateway.validation.oq import silent
from gateway.validation.oq.case import Told
from gateway.validation.oq.silent_faults import CanNotBe, Seeded, clean_step, faults_of

pytestmark = pytest.mark.urs("URS-VAL-04", "URS-OBS-01")
PLC = Source(name="plc", driver="opcua", endpoint="opc.tcp://x", rate_ms=500)
PANEL = Source(name="plc", driver="modbus", endpoint="tcp://x", rate_ms=500)
TEN, DEGF = UnitJump("10", Fraction(10)), UnitJump("[degF]", Fraction(9, 5), Fraction(32))


def tag(limits: Limits, **more: Any) -> Tag:
    return Tag(
        **{"tag": "t", "source": "plc", "address": "a", "type": "float64", "eu_low": Decimal(0), "eu_high": Decimal(200), **more},
        limits=limits,
    )


def one(limits: Limits, source: Source = PLC, **more: Any) -> Seeded | CanNotBe:
    (fault,) = faults_of(tag(limits, **more), source, None)
    return fault


@pytest.mark.parametrize(
    ("limits", "code", "values"),
    [
        (Limits(flat_after_s=9.0), "flat-line", (60.0, 100.0, 140.0)),
        (Limits(counter_after_s=9.0), "counter-stuck", (60.0, 100.0, 140.0)),
        (Limits(zero_after_s=9.0), "zero-fill", (60.0, 0.0, 140.0)),
        (Limits(max_rate_per_s=20.0), "rate-exceeded", (10.0, 190.0, 10.0)),
        (Limits(unit_jumps=(TEN,), unit_jump_min=2.0), "unit-jump", (18.0, 180.0, 18.0)),
        (Limits(unit_jumps=(DEGF,), unit_jump_min=2.0), "unit-jump", (82.2222, 180.0, 82.2222)),
    ],
)
def test_each_limit_has_a_fault_of_its_own_within_the_range(limits: Limits, code: str, values: tuple[float, ...]) -> None:
    fault = one(limits)
    assert isinstance(fault, Seeded)
    assert fault.code == code
    assert [fault.before, fault.during, fault.after] == pytest.approx(list(values), rel=1e-4)


@pytest.mark.parametrize(
    ("limits", "source", "more"),
    [
        (Limits(flat_after_s=301.0), PLC, {}),
        (Limits(stamp_after_s=9.0), PANEL, {}),
        (Limits(min_good_share=0.9), PANEL, {}),
        (Limits(max_rate_per_s=100.0), PLC, {}),
        (Limits(unit_jumps=(TEN,), unit_jump_min=190.0), PLC, {}),
        (Limits(late_after_s=1.0, max_late_share=0.1), PLC, {}),
        (Limits(flat_after_s=9.0), PLC, {"type": "datetime"}),
    ],
)
def test_what_no_order_can_bring_about_is_named_with_its_reason(limits: Limits, source: Source, more: dict[str, Any]) -> None:
    fault = one(limits, source, **more)
    assert isinstance(fault, CanNotBe)
    assert fault.why


def test_a_clean_step_is_within_all_limits_or_there_is_none() -> None:
    step = clean_step(tag(Limits(max_rate_per_s=1.0, unit_jumps=(TEN,), unit_jump_min=0.4)))
    assert step is not None
    assert 0 < step < 0.2
    assert clean_step(tag(Limits(unit_jumps=(TEN,), unit_jump_min=1.0), type="int16")) is None, "a whole number can not go so slowly"
    assert clean_step(tag(Limits(flat_after_s=1.0))) is None


def test_a_clock_that_stands_befalls_all_tags_of_its_device_and_has_a_round_of_its_own() -> None:
    mine = [each for each in faults_of(tag(Limits(flat_after_s=9.0, stamp_after_s=9.0)), PLC, None) if isinstance(each, Seeded)]
    assert [[each.code for each in turn] for turn in silent.rounds([mine, mine[:1]])] == [["flat-line", "flat-line"], ["stamp-frozen"]]


FOUND, OVER, OTHER = ({"code": code, "tags": ["t"]} for code in ("flat-line", "flat-line-over", "rate-exceeded"))


@pytest.mark.parametrize(
    ("during", "findings", "settled", "verdict"),
    [
        ([FOUND], [FOUND, OVER], {"t"}, "passed"),
        ([FOUND, OTHER], [FOUND, OTHER, OVER], {"t"}, "passed"),
        ([], [FOUND, OVER], {"t"}, "failed"),
        ([FOUND], [FOUND], {"t"}, "failed"),
        ([OTHER], [OTHER, OVER], {"t"}, "failed"),
        ([{**FOUND, "tags": ["u"]}], [OVER], {"t"}, "failed"),
        ([FOUND], [FOUND, OVER], set(), "not checked"),
    ],
)
def test_a_fault_must_be_told_while_it_lasts_and_its_end_after_it(during: Any, findings: Any, settled: set[str], verdict: str) -> None:
    fault, told = one(Limits(flat_after_s=9.0)), Told()
    assert isinstance(fault, Seeded)
    silent.judge_seeded(told, [fault], during, findings, settled)
    assert verdicts(told) == [verdict]


@pytest.mark.parametrize(
    ("findings", "count", "stood_s", "verdict"),
    [
        ([], 20, 1.2, "passed"),
        ([OVER, {"code": "clock-unverified"}], 20, 1.2, "passed"),
        ([{**FOUND, "tags": ["u"]}], 20, 1.2, "passed"),
        ([FOUND], 20, 1.2, "failed"),
        ([], 0, 1.2, "not checked"),
        ([], 20, 9.5, "passed"),
        ([FOUND], 20, 9.5, "not checked"),
        ([FOUND, OTHER], 20, 9.5, "failed"),
    ],
)
def test_whatever_is_told_of_what_is_right_is_a_false_alarm(findings: Any, count: int, stood_s: float, verdict: str) -> None:
    """But for a number that a busy machine let stand for as long as its limit: the finding is right then, and nothing is shown."""
    fault, told = one(Limits(flat_after_s=9.0)), Told()
    silent.judge_clean(told, [fault.tag], findings, count, 20.0, stood_s)
    assert verdicts(told) == [verdict]


@pytest.mark.parametrize(
    ("findings", "stands"), [([], set()), ([FOUND], {"t"}), ([FOUND, OVER], set()), ([FOUND, OVER, FOUND, OTHER], {"t"})]
)
def test_what_stands_already_is_not_told_again_and_waited_for(findings: Any, stands: set[str]) -> None:
    fault = one(Limits(flat_after_s=9.0))
    assert isinstance(fault, Seeded)
    assert silent.standing(findings, [fault]) == stands


@pytest.mark.parametrize(("during", "verdict"), [([FOUND], "passed"), ([], "not checked")])
def test_a_fault_that_was_not_told_across_a_gap_proves_nothing(during: Any, verdict: str) -> None:
    fault, told = one(Limits(flat_after_s=9.0)), Told()
    assert isinstance(fault, Seeded)
    silent.judge_seeded(told, [fault], during, [*during, OVER], {"t"}, {"t"})
    assert verdicts(told) == [verdict]
