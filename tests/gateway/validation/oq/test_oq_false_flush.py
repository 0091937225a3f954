"""Of the operational qualification's judges: a disk that lied must be told of, and no identity used twice; each must be able to fail."""

import pytest
from kit.judged import verdicts

from gateway.validation.oq import false_flush
from gateway.validation.oq.case import Told
from gateway.validation.oq.false_flush import Lied

pytestmark = pytest.mark.urs("URS-VAL-04", "URS-BUF-02")
LIED = Lied(
    flushes=20,
    files=2,
    lost_bytes=4096,
    torn=False,
    promised=(1, 30),
    there=False,
    told="a new epoch, 2",
    changed=[],
    strange=0,
    goal=(2, 9),
    held=(2, 9),
)


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (LIED, ["passed", "passed", "passed"]),
        (LIED._replace(told=""), ["failed", "passed", "passed"]),
        (LIED._replace(there=True), ["not checked", "not checked", "passed"]),
        (LIED._replace(flushes=0), ["not checked", "not checked", "passed"]),
        (LIED._replace(changed=[(1, 20)]), ["passed", "failed", "passed"]),
        (LIED._replace(strange=1), ["passed", "passed", "passed"]),
        (LIED._replace(strange=1, told=""), ["failed", "failed", "passed"]),
        (LIED._replace(held=(2, 8)), ["passed", "passed", "failed"]),
        (LIED._replace(goal=(1, 30), held=(1, 30)), ["passed", "passed", "failed"]),
    ],
)
def test_what_a_disk_lost_must_be_told_and_what_the_ebr_holds_must_stay(found: Lied, verdict: list[str]) -> None:
    told = Told()
    false_flush.judge_lied(told, found)
    assert verdicts(told) == verdict


def test_a_loss_is_told_by_a_new_epoch_or_by_the_alarm() -> None:
    assert false_flush.how_told((2, 1), (1, 30), set()) == "a new epoch, 2"
    assert false_flush.how_told((1, 31), (1, 30), {"uplink-two-histories"}) == "alarm uplink-two-histories"
    assert false_flush.how_told((1, 31), (1, 30), {"uplink-unreachable"}) is None
