"""Of the operational qualification's judges: a full disk must store and acknowledge nothing; each must be able to fail."""

import pytest
from kit.judged import verdicts

from gateway.validation.oq import disk
from gateway.validation.oq.case import Told

pytestmark = pytest.mark.urs("URS-VAL-04")


@pytest.mark.parametrize(
    ("stored", "alive", "reached", "verdict"),
    [
        (0, True, (1, 12), ["passed", "passed", "passed"]),
        (3, True, (1, 12), ["failed", "passed", "passed"]),
        (0, False, (1, 12), ["passed", "failed", "passed"]),
        (0, True, (1, 13), ["passed", "passed", "failed"]),
    ],
)
def test_a_full_disk_must_store_and_acknowledge_nothing(stored: int, alive: bool, reached: tuple[int, int], verdict: list[str]) -> None:
    told = Told()
    disk.judge_stood(told, disk.Stood((1, 10), (1, 12), (1, 10), reached, alive=alive), stored)
    assert verdicts(told) == verdict


def test_a_gateway_that_does_not_answer_proves_nothing_of_a_full_disk() -> None:
    told = Told()
    disk.judge_stood(told, disk.Stood((1, 10), (0, 0), (1, 10), (0, 0), alive=True), 0)
    assert verdicts(told)[0] == "not checked"


def test_entries_of_readings_are_counted_between_two_entries() -> None:
    entries = [{"epoch": 1, "seq": seq, **({"readings": []} if seq % 2 else {"event": {}})} for seq in range(1, 11)]
    assert disk.readings_between(entries, (1, 2), (1, 5)) == 2


def test_a_full_disk_must_be_told_with_its_end_and_its_gaps() -> None:
    gap = {"event": {"type": "gap", "transition": "open", "source": "plc", "cause": "held-back"}}
    for codes, gaps, verdict in (
        (["disk-full", "journal-has-room"], [gap], ["passed", "passed"]),
        (["disk-full"], [gap], ["failed", "passed"]),
        (["journal-has-room"], [gap], ["failed", "passed"]),
        (["disk-full", "journal-has-room"], [], ["passed", "failed"]),
        (["disk-full", "journal-has-room"], [{"event": {**gap["event"], "cause": "gateway-stopped"}}], ["passed", "failed"]),
    ):
        told = Told()
        disk.judge(told, [{"code": code} for code in codes], gaps)
        assert verdicts(told) == verdict


def test_an_account_that_may_not_mount_says_so_and_how_it_is_played(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "OWN_NAMESPACE", ("--no-such-namespace",))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    reason = disk.why_not()
    assert reason is not None
    assert "may not mount" in reason
    assert "as root" in reason
