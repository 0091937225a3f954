"""What a batch never called for is shown where its completeness is: in the reference EBR's record, and in the archive's."""

import json
from pathlib import Path

import pytest

from buffer.archive.record import Record
from buffer.chain import NO_DIGEST, digest
from buffer.entry.examples import EVENTS
from buffer.pages.blocks import Table, Text
from buffer.segment import Entry
from simulators.ebr.pages.page import html
from simulators.ebr.record.record import batch_record
from simulators.ebr.store import Store

GATEWAY, BATCH = "lyon/granulation-2", "B2026-0417"
IDLE = {"equipment": "granulator", "step": "REWORK", "parameter": "rework_<time>", "status": "not-applicable", "reason": "need not run"}


def entry(seq: int, previous: str, event: object) -> bytes:
    head = {"schema": "ebr-gateway/event/1", "gateway": GATEWAY, "epoch": 7, "seq": seq, "previous": previous}
    clock = {"status": "synchronised", "bound_s": 0.001, "boot": "b", "monotonic_s": float(seq)}
    whole = {**head, "time": f"2026-11-22T07:15:{seq:02d}.000000Z", "clock": clock, "event": event}
    return json.dumps(whole, separators=(",", ":")).encode()


def payloads(completeness: dict[str, object]) -> list[bytes]:
    end = {**EVENTS["batch"], "transition": "end", "completeness": completeness}
    first = entry(1, NO_DIGEST, {**EVENTS["batch"], "transition": "start"})
    return [first, entry(2, digest(first).hex(), end)]


@pytest.mark.urs("URS-CTX-08")
@pytest.mark.parametrize("idle", [[IDLE], []])
def test_the_record_and_the_archive_list_it_with_its_reason(tmp_path: Path, idle: list[dict[str, str]]) -> None:
    completeness = {"required": 1, "present": 1, "missing": []} | ({"not_applicable": idle, "not_applicable_count": 120} if idle else {})
    made = payloads(completeness)
    store = Store(tmp_path)
    store.take(made)
    store.close()
    record, series = batch_record(tmp_path / "ebr.db", BATCH)
    page = html(record, series)
    assert record["completeness"].get("not_applicable", []) == idle
    for text in ("did not call for 120 items", "rework_&lt;time&gt;", "need not run"):
        assert (text in page) == bool(idle), text
    assert "rework_<time>" not in page

    blocks = list(Record(BATCH, GATEWAY, [Entry(7, seq, "00" * 32, one) for seq, one in enumerate(made, 1)], []).blocks())
    rows = [row for block in blocks if isinstance(block, Table) for row in block.rows]
    assert (["granulator", "REWORK", "rework_<time>", "need not run"] in rows) == bool(idle)
    assert any(isinstance(block, Text) and "120" in block.text for block in blocks) == bool(idle)
