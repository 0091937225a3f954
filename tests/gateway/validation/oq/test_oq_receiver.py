"""Of the operational qualification's judges: a receiver that tricks must get everything once; each must be able to fail."""

from typing import Any

import pytest
from kit.judged import verdicts

from gateway.validation.oq import receiver, site_ebr
from gateway.validation.oq.case import Told

pytestmark = pytest.mark.urs("URS-VAL-04")


def test_an_ebr_that_tricks_must_get_everything_in_the_end_and_be_told_of() -> None:
    silent, loud = receiver.Trick("lose", {}), receiver.Trick("lie", {}, "uplink-receipt-digest-mismatch")
    for trick, heard, came, reached, verdict in (
        (silent, True, True, ((1, 10), (1, 11)), "passed"),
        (silent, True, False, ((1, 10), (1, 9)), "failed"),
        (silent, True, True, ((1, 10), (1, 9)), "failed"),
        (silent, True, True, ((0, 0), (0, 0)), "failed"),
        (loud, True, True, ((1, 10), (1, 10)), "passed"),
        (loud, False, True, ((1, 10), (1, 10)), "failed"),
    ):
        told = Told()
        receiver.judge_trick(told, trick, heard=heard, came=came, reached=reached)
        assert verdicts(told) == [verdict]


@pytest.mark.parametrize(
    ("waiting", "went_on", "told_it", "verdict"),
    [
        ([7], True, True, "passed"),
        ([], True, True, "failed"),
        ([7, 8], True, True, "failed"),
        ([7], False, True, "failed"),
        ([7], True, False, "failed"),
    ],
)
def test_a_poisoned_entry_must_wait_alone(waiting: list[int], went_on: bool, told_it: bool, verdict: str) -> None:
    told = Told()
    receiver.judge_poisoned(told, "refuse", 7, waiting, went_on=went_on, told_it=told_it)
    assert verdicts(told) == [verdict]


@pytest.mark.urs("URS-UPL-07")
@pytest.mark.parametrize(
    ("waiting", "held", "stored_on", "stood", "told_it", "verdict"),
    [
        ([], True, True, True, True, "passed"),
        ([7], True, True, True, True, "failed"),
        ([], False, True, True, True, "failed"),
        ([], True, False, True, True, "failed"),
        ([], True, True, False, True, "failed"),
        ([], True, True, True, False, "failed"),
    ],
)
def test_an_uplink_whose_version_is_not_accepted_must_hold_as_a_whole(
    waiting: list[int], held: bool, stored_on: bool, stood: bool, told_it: bool, verdict: str
) -> None:
    told = Told()
    receiver.judge_held(told, waiting, held=held, stored_on=stored_on, stood=stood, told_it=told_it)
    assert verdicts(told) == [verdict]


NOW = {
    "journal": {"epoch": 1, "seq": 20},
    "uplinks": [{"state": "forwarding", "entries": 0, "receipts": 3, "rejected": 0, "receipts_refused": 0}],
}


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({}, ["passed", "passed", "passed"]),
        ({"state": "refused"}, ["failed", "passed", "passed"]),
        ({"entries": 9}, ["passed", "failed", "passed"]),
        ({"rejected": 1}, ["passed", "passed", "failed"]),
        ({"receipts_refused": 1}, ["passed", "passed", "failed"]),
        ({"receipts": 0}, ["passed", "failed", "not checked"]),
    ],
)
def test_the_sites_ebr_must_have_proved_that_it_holds_every_entry(change: dict[str, Any], verdict: list[str]) -> None:
    told, now = Told(), {**NOW, "uplinks": [{**NOW["uplinks"][0], **change}]}  # type: ignore[index]
    site_ebr.judge(told, now, (1, 18), "https://user@test.example/x")
    assert verdicts(told) == verdict
    assert "user" not in told.steps[0].action
    told = Told()
    site_ebr.judge(told, None, (1, 18), "https://test.example/x")
    assert "passed" not in verdicts(told)
