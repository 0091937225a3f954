"""A receipt is a proof, or it is nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kit.processes import until
from kit.receipt_rig import GATEWAY, ReceiptRig, bodies

NO = {"seq": 5, "code": "value-out-of-format", "retry": "never", "reason": "not a number"}
ZEROS = "0" * 64


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[ReceiptRig]:
    """Ten of twenty entries confirmed, the fifth of them rejected for good."""
    with ReceiptRig.open(tmp_path) as rig:
        rig.take(rig.receipt(10, rejected=[NO]))
        assert ([one.seq for one in rig.state[2]], rig.codes()) == ([5], ["rejected"])
        yield rig


@pytest.mark.urs("URS-UPL-03", "URS-UPL-04")
@pytest.mark.parametrize("through", [1, 5, 9, 10, 13, 20, 21, 1_000])
@pytest.mark.parametrize("rejected", [[], [{"seq": 1, "code": "x"}]])
def test_the_digest_of_nothing_proves_nothing(rig: ReceiptRig, through: int, rejected: list[dict[str, object]]) -> None:
    """Whoever may publish receipts let go with it what had been rejected, and put other entries into quarantine, without a word."""
    before, told = rig.state, rig.status.last_receipt_ticks
    rig.take(rig.receipt(through, digest=ZEROS, rejected=rejected))
    assert rig.state == before
    assert rig.status.last_receipt_ticks == told
    assert rig.status.receipts_refused == 1
    assert [(one["severity"], one["code"]) for one in rig.findings[1:]] in (
        [("alarm", "receipt-digest-mismatch")],
        [("alarm", "receipt-beyond-sent")],
    )
    assert "receipt refused" in rig.status.refusal


@pytest.mark.parametrize("epoch", [-1, 0, 1])
def test_a_receipt_for_nothing_says_nothing_of_the_quarantine(rig: ReceiptRig, epoch: int) -> None:
    before = rig.state
    rig.take(rig.receipt(0, epoch=rig.journal.last[0] + epoch))
    assert rig.state == before
    assert rig.status.receipts == 1, "the one that rejected entry 5"


def test_the_list_of_a_receipt_whose_entry_is_pruned_counts_with_the_digest_that_the_next_one_tells(tmp_path: Path) -> None:
    with ReceiptRig.open(tmp_path, 4_096) as rig:
        rig.take(rig.receipt(4_096))
        digest = rig.digest(4_096)
        rig.journal.append(bodies(10), urgent=True).result()
        until(lambda: _pruned(rig))
    with ReceiptRig.open(tmp_path) as rig:  # what was committed in this run would still be in memory
        before = rig.state
        assert before[0][1] == 4_096
        for other in (ZEROS, "ab" * 32):
            rig.take(rig.receipt(4_096, digest=other, rejected=[{"seq": 7, "code": "x"}]))
        assert rig.state == before
        assert rig.codes() == ["receipt-digest-mismatch"]
        rig.take(rig.receipt(4_096, digest=digest, rejected=[{"seq": 7, "code": "x"}]))
        assert [one.seq for one in rig.state[2]] == [7]


def _pruned(rig: ReceiptRig) -> bool:
    """Let retention do what it may; True once the first segment is gone."""
    rig.journal.prune(None)
    rig.journal.append(bodies(1), urgent=True).result()
    return rig.journal.read((0, 0), max_bytes=1)[0].seq > 4_096


def test_a_receipt_below_the_last_one_says_where_the_receiver_is_and_nothing_else(rig: ReceiptRig) -> None:
    before = rig.state
    rig.judge.forget_places()
    rig.take(rig.receipt(6))
    assert rig.state == before
    assert rig.judge.behind == (rig.journal.last[0], 6)


def test_what_was_rejected_is_let_go_by_a_proof(rig: ReceiptRig) -> None:
    rig.take(rig.receipt(10))
    assert rig.state[2] == []
    assert rig.codes() == ["rejected", "rejected-over"]


def test_a_restart_shows_what_lies_in_quarantine(rig: ReceiptRig) -> None:
    again = ReceiptRig(rig.journal)
    assert again.status.rejected == 1
    again.take(again.receipt(10, rejected=[NO]))
    assert again.codes() == [], "nothing new"
    again.take(again.receipt(10))
    assert (again.status.rejected, again.state[2]) == (0, [])


def test_a_good_receipt_beside_forged_ones_counts(rig: ReceiptRig) -> None:
    forged: list[bytes | dict[str, Any]] = [
        rig.receipt(20, digest="ab" * 32),
        rig.receipt(15, digest=ZEROS),
        rig.receipt(3, gateway=f"{GATEWAY}-2"),
        b"nonsense",
    ]
    rig.take(*forged, rig.receipt(12, rejected=[NO]))
    assert rig.journal.cursor("ebr")[1] == 12
    assert rig.status.receipts_refused == 4
    assert rig.judge.contradiction is None


def test_a_receipt_that_contradicts_is_remembered_until_one_fits(rig: ReceiptRig) -> None:
    rig.take(rig.receipt(21, digest="ab" * 32))
    assert rig.judge.contradiction is not None
    rig.take(rig.receipt(10, rejected=[NO]))
    assert rig.judge.contradiction is None
    rig.take(rig.receipt(9, digest="ab" * 32))
    assert rig.judge.contradiction is not None


@pytest.mark.urs("URS-UPL-03")
def test_a_receipt_for_what_went_out_as_a_live_copy_alone_moves_nothing_and_tells_of_no_other_history(rig: ReceiptRig) -> None:
    """A receiver that kept copies was taken for one with another history, and nothing was sent to it any more."""
    rig.journal.append(bodies(10), urgent=True).result()
    before = rig.state
    rig.take(rig.receipt(25))
    assert rig.state == before
    assert rig.codes() == ["rejected", "receipt-beyond-sent"]
    assert "as a live copy" in rig.status.refusal
    assert rig.judge.contradiction is None
    rig.take(rig.receipt(26, digest="ab" * 32))
    assert "never sent" in (rig.judge.contradiction or "")


def test_a_mere_word_that_the_receiver_stands_behind_counts_less_than_any_proof(rig: ReceiptRig) -> None:
    """Whoever may publish receipts had all of the journal sent again."""
    epoch = rig.journal.last[0]
    rig.take(rig.receipt(10, rejected=[NO]), rig.receipt(0))
    rig.take(rig.receipt(0))
    assert (rig.judge.behind, rig.judge.here) == (None, True), "the receiver has said where it is"
    rig.judge.forget_places()
    rig.take(rig.receipt(7))
    rig.take(rig.receipt(0))
    assert (rig.judge.behind, rig.judge.is_proved) == ((epoch, 7), True)
    rig.judge.forget_places()
    rig.take(rig.receipt(0))
    assert (rig.judge.behind, rig.judge.is_proved) == ((epoch, 0), False), "an empty receiver can say no more"
    rig.take(rig.receipt(12, rejected=[NO]))
    assert (rig.judge.behind, rig.judge.here) == (None, True)
