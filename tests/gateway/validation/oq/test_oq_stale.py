"""Of the operational qualification's judges: a value that stands still must be told, and be a gap; each can fail."""

from typing import Any

import pytest
from kit.judged import T0, S, verdicts

from config import Tag
from gateway.demo.received import Gap, Received
from gateway.validation.oq import stale
from gateway.validation.oq.case import Told

pytestmark = pytest.mark.urs("URS-VAL-04")
TAG = Tag(tag="oven.level", source="plc", address="plc:s=L", type="float32", max_silence_s=20.0)
SILENT = {"code": "tag-silent", "tags": ["oven.level"]}
ENDED, OPEN = Gap("plc", frozenset({"oven.level"}), T0, "silence", end=T0 + 30 * S), Gap("plc", frozenset({"oven.level"}), T0, "silence")


@pytest.mark.parametrize(
    ("findings", "gaps", "verdict"),
    [
        ([SILENT], [ENDED], "passed"),
        ([SILENT], [ENDED, OPEN], "passed"),
        ([], [ENDED], "failed"),
        ([{**SILENT, "tags": ["other"]}], [ENDED], "failed"),
        ([SILENT], [], "failed"),
        ([SILENT], [OPEN], "failed"),
        ([SILENT], [Gap("plc", "all", T0, "link-lost", end=T0 + S)], "failed"),
    ],
)
def test_a_tag_that_must_change_and_stands_still_must_be_a_gap(findings: list[dict[str, Any]], gaps: list[Gap], verdict: str) -> None:
    told = Told()
    stale.judge(told, [TAG], Received(findings=findings, gaps={(1, str(number)): gap for number, gap in enumerate(gaps)}), 0)
    assert verdicts(told) == [verdict]


def test_what_was_told_before_proves_nothing() -> None:
    told = Told()
    stale.judge(told, [TAG], Received(findings=[SILENT], gaps={(1, "g"): ENDED}), 1)
    assert verdicts(told) == ["failed"]
