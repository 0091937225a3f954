"""What is kept of when a receiver confirmed: proofs that reach farther, with the receiver's own stamp as it said it."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from kit.receipt_rig import ReceiptRig

from buffer.times import from_rfc3339
from gateway.uplink.records import reply_of

STORED = "2026-11-22T07:15:02.550786Z"


def confirmed(rig: ReceiptRig) -> list[tuple[int, int, int | None]]:
    """(after, through, the receiver's stamp in ticks) of each confirmation that was noted since this was called last."""
    return [(item.after[1], item.through[1], item.theirs_ticks) for item in rig.stamps.fresh() if item.what == "confirmed"]


@pytest.mark.urs("URS-AUD-09", "URS-TIME-02")
def test_the_first_proof_that_reaches_so_far_is_noted_and_nothing_else_is(tmp_path: Path) -> None:
    with ReceiptRig.open(tmp_path) as rig:
        rig.take(rig.receipt(5, stored_time=STORED))
        rig.take(rig.receipt(5, stored_time=STORED), rig.receipt(3), rig.receipt(9, digest="ab" * 32), b"nothing")
        rig.take(rig.receipt(8))
        assert confirmed(rig) == [(0, 5, from_rfc3339(STORED)), (5, 8, None)]


@pytest.mark.urs("URS-UPL-01", "URS-AUD-09")
@pytest.mark.parametrize(
    "stored", [None, 7, "yesterday", "", [], "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "1970-01-01T00:00:00Z", "2026-11-22 07:15"]
)
def test_a_stamp_that_is_none_takes_nothing_from_the_proof(tmp_path: Path, stored: Any) -> None:
    with ReceiptRig.open(tmp_path) as rig:
        rig.take(rig.receipt(5, stored_time=stored))
        assert rig.journal.cursor("ebr")[1] == 5
        assert confirmed(rig) == [(0, 5, None)]
        assert rig.codes() == []


@pytest.mark.urs("URS-AUD-09")
@pytest.mark.parametrize(("answer", "reference"), [({"ebr_ref": "EBR-88123"}, "EBR-88123"), ({}, None), ({"ebr_ref": 7}, None)])
def test_what_a_receiver_calls_a_record_is_read_from_its_outcome(answer: dict[str, Any], reference: str | None) -> None:
    reply = reply_of(orjson.dumps({"id": "B1#1", "outcome": "stored", **answer}), "B1#1")
    assert reply is not None
    assert reply.reference == reference
