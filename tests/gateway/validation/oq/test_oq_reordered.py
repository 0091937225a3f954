"""Of the operational qualification's judges: what comes in another order must all come, once; each must be able to fail."""

import pytest
from kit.judged import verdicts

from gateway.validation.oq import once, reordered
from gateway.validation.oq.case import Told
from gateway.validation.oq.once import Once, differences
from gateway.validation.oq.reordered import Moved

pytestmark = pytest.mark.urs("URS-VAL-04", "URS-UPL-04")
MOVED = Moved("MQTT", 40, (1, 90), (1, 92), (1, 93), 0)


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (MOVED, "passed"),
        (MOVED._replace(confirmed=(1, 89)), "failed"),
        (MOVED._replace(held=(1, 89)), "failed"),
        (MOVED._replace(waiting=1), "failed"),
        (MOVED._replace(goal=(0, 0)), "failed"),
        (MOVED._replace(moved=3), "not checked"),
        (MOVED._replace(moved=0, confirmed=(0, 0)), "failed"),
    ],
)
def test_receipts_must_reach_everything_and_nothing_may_wait(found: Moved, verdict: str) -> None:
    told = Told()
    reordered.judge_moved(told, found)
    assert verdicts(told) == [verdict]


JOURNAL = {(1, 1): "a", (1, 2): "b"}


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (differences(JOURNAL, JOURNAL), "passed"),
        (differences(JOURNAL, {(1, 1): "a"}), "failed"),
        (differences({(1, 1): "a"}, JOURNAL), "failed"),
        (differences(JOURNAL, JOURNAL | {(1, 2): "x"}), "failed"),
        (differences(JOURNAL, JOURNAL, strange=1), "failed"),
        (Once(0, [], [], [], 0), "not checked"),
    ],
)
def test_each_entry_must_be_there_once_with_its_own_content(found: Once, verdict: str) -> None:
    told = Told()
    once.judge_once(told, found)
    assert verdicts(told) == [verdict], told.steps
