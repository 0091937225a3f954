"""Of the operational qualification's judges: another unit or type must be told, and be Good nowhere; each can fail."""

from typing import Any

import pytest
from kit.judged import T0, verdicts

from config import Line
from gateway.demo.received import Got, Received
from gateway.validation.oq import other_meaning
from gateway.validation.oq.case import Told
from gateway.validation.oq.other_meaning import Seen

pytestmark = pytest.mark.urs("URS-VAL-04", "URS-DAQ-10")
BAD, UNCERTAIN = 0x8089_4000, 0x420F_4000


def reading(status: int, value: Any = None) -> Got:
    return Got(value, status, "change", T0, None, T0, 1, 1)


@pytest.mark.parametrize(
    ("readings", "codes", "verdict"),
    [
        ([reading(UNCERTAIN, 4.5), reading(BAD)], ["semantics-changed"], "passed"),
        ([reading(BAD), reading(0, 4.5)], ["semantics-changed"], "failed"),
        ([reading(BAD, 4.5)], ["semantics-changed"], "failed"),
        ([reading(BAD)], [], "failed"),
        ([reading(UNCERTAIN, 4.5)], ["semantics-changed"], "failed"),
        ([], ["semantics-changed"], "failed"),
    ],
)
def test_what_means_something_else_must_be_told_and_hold_no_value(readings: list[Got], codes: list[str], verdict: str) -> None:
    told = Told()
    other_meaning.judge_doubted(told, "declare", Seen(readings, codes), "semantics-changed")
    assert verdicts(told) == [verdict]


@pytest.mark.parametrize(
    ("readings", "codes", "code", "verdict"),
    [
        ([reading(BAD), reading(0, 4.5)], ["semantics-changed-over"], "semantics-changed-over", "passed"),
        ([reading(0, 4.5)], [], "semantics-changed-over", "failed"),
        ([reading(BAD)], ["semantics-changed-over"], "semantics-changed-over", "failed"),
        ([reading(0, 4.5)], [], None, "passed"),
        ([], [], None, "failed"),
    ],
)
def test_what_is_as_the_map_says_again_must_be_good_and_told(readings: list[Got], codes: list[str], code: str | None, verdict: str) -> None:
    told = Told()
    other_meaning.judge_over(told, "declare", Seen(readings, codes), code)
    assert verdicts(told) == [verdict]


def test_what_came_before_an_order_or_is_of_another_tag_proves_nothing(line: Line) -> None:
    tag, other = line.tags_of("granulator-plc")[:2]
    got = Received(
        readings={tag.source: {tag.tag: [reading(BAD), reading(0, 1.5)]}},
        findings=[{"code": "early", "tags": [tag.tag]}, {"code": "late", "tags": [tag.tag]}, {"code": "other", "tags": [other.tag]}],
    )
    assert other_meaning.since(got, tag, (1, 1)) == Seen([reading(0, 1.5)], ["late"])
