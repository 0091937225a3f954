"""Whoever may publish on the receipts topic moves nothing without a proof: ten thousand forgeries."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.forgeries import Forger, attack, attack_outcome
from kit.receipt_rig import GATEWAY, ReceiptRig, bodies

from gateway.uplink.records import Record

RECORD = Record(f"{GATEWAY}/B1/granulator/MIX/1#1", "step", "granulator", "4500", b"{}")


@pytest.fixture
def two_epochs(tmp_path: Path) -> Iterator[ReceiptRig]:
    """An epoch of twenty entries that was restored from a backup, and twenty of the next one."""
    with ReceiptRig.open(tmp_path, 20):
        pass
    with sqlite3.connect(tmp_path / "journal.db") as db:
        db.execute("INSERT OR REPLACE INTO about VALUES ('restored', 1)")
    db.close()
    with ReceiptRig.open(tmp_path, 20) as rig:
        assert len({epoch for epoch, _ in Forger(rig, 1).places}) == 2
        yield rig


@pytest.mark.bar("S08")
@pytest.mark.urs("URS-UPL-03", "URS-UPL-04")
def test_of_ten_thousand_forged_receipts_none_moves_the_cursor_or_the_quarantine(two_epochs: ReceiptRig) -> None:
    counts: Counter[str] = Counter()
    with asyncio.Runner() as loop:
        for seed in range(20):
            two_epochs.journal.append(bodies(5), urgent=True).result()
            rig, forger = ReceiptRig(two_epochs.journal), Forger(two_epochs, seed)
            while counts["receipts"] < (seed + 1) * 520:
                attack(rig, forger, loop, counts)
    assert counts["receipts"] - counts["proofs"] > 8_000
    assert counts["proofs"] > 100, "some are true: the judge does not refuse everything"
    assert counts["moved"] > 20


@pytest.mark.bar("S08")
def test_no_answer_counts_for_another_record_or_as_another_outcome(two_epochs: ReceiptRig) -> None:
    counts: Counter[str] = Counter()
    forger = Forger(two_epochs, 7)
    for _ in range(5_000):
        attack_outcome(forger, RECORD, counts)
    assert counts["counted"] > 500


def test_after_a_proof_the_list_is_that_of_the_proof(two_epochs: ReceiptRig) -> None:
    epoch = two_epochs.journal.last[0]
    first = min(place[0] for place in Forger(two_epochs, 1).places)
    two_epochs.take(two_epochs.receipt(20, epoch=first, digest=two_epochs.digest(20, first), rejected=[{"seq": 3, "code": "busy"}]))
    two_epochs.take(two_epochs.receipt(4, rejected=[{"seq": 2, "code": "busy"}]))
    assert [(one.epoch, one.seq) for one in two_epochs.state[2]] == [(first, 3), (epoch, 2)]
    two_epochs.journal.append(bodies(1), urgent=True).result()
    two_epochs.take(two_epochs.receipt(4))
    assert [(one.epoch, one.seq) for one in two_epochs.state[2]] == [(first, 3)]
