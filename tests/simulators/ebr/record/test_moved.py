"""A final record of a batch number that was corrected: EBR, archive and the vendors' example show it in the right batch, as it stands."""

import hashlib
import json
import runpy
from pathlib import Path
from typing import Any

import orjson
import pytest
from kit.repository import ROOT

from buffer.archive.record import Record
from buffer.chain import leaf, root
from buffer.entry.examples import EVENTS
from buffer.pages.html import html as archive_html
from buffer.segment import Entry
from simulators.ebr import Store
from simulators.ebr.pages.page import html
from simulators.ebr.record.record import batch_record

GATEWAY, WRONG, RIGHT = "lyon/granulation-2", "B2026-0471", "B2026-0417"
STEP = {**EVENTS["step"], "transition": "end", "batch": WRONG, "record": f"{GATEWAY}/{WRONG}/granulator/WET_MASS/2", "revision": 1}


def digest(event: dict[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(event)).hexdigest()


def rebind(before: str, number: int, of: str, to: str) -> dict[str, Any]:
    """Give the record of the step to another batch, as it stands."""
    return {
        **EVENTS["rebind"],
        "record": f"{GATEWAY}/{to}/granulator/WET_MASS/{number}",
        "supersedes": before,
        "reason": "source-corrected",
        "run": number,
        "from": {"batch": of},
        "to": {"batch": to},
        "final": {"revision": 1, "content_sha256": digest(STEP)},
        "evidence": STEP["evidence"],
    }


def end(batch: str, records: list[str]) -> dict[str, Any]:
    listed = [{"record": name, "revision": 1, "content_sha256": digest(STEP)} for name in records]
    merkle = root([leaf(bytes.fromhex(digest(STEP))) for _ in listed]).hex()
    return {
        **EVENTS["batch"],
        "transition": "end",
        "batch": batch,
        "record": f"{GATEWAY}/{batch}",
        "records": listed,
        "merkle_root": merkle,
    }


class Received:
    """What an EBR holds of these events."""

    def __init__(self, folder: Path, *events: dict[str, Any]) -> None:
        self.payloads: list[bytes] = []
        previous = "0" * 64
        for seq, event in enumerate(events, 1):
            head = {"schema": "ebr-gateway/event/1", "gateway": GATEWAY, "epoch": 7, "seq": seq, "previous": previous}
            clock = {"status": "synchronised", "bound_s": 0.004, "boot": "b", "monotonic_s": 1.0}
            self.payloads.append(orjson.dumps({**head, "time": "2026-11-22T07:15:02.512345Z", "clock": clock, "event": event}))
            previous = hashlib.sha256(self.payloads[-1]).hexdigest()
        self.path = folder / "ebr.db"
        store = Store(folder)
        store.take(self.payloads)
        store.close()

    def steps(self, batch: str) -> list[str]:
        return [step["record"] for step in batch_record(self.path, batch)[0]["steps"]]

    def archived(self, batch: str) -> str:
        entries = [Entry(7, seq, "", payload) for seq, payload in enumerate(self.payloads, 1)]
        return archive_html("Batch", list(Record(batch, GATEWAY, entries, []).blocks()))


@pytest.mark.urs("URS-CTX-03", "URS-CTX-09")
def test_a_final_record_is_shown_in_the_right_batch_and_no_longer_in_the_wrong_one(tmp_path: Path) -> None:
    over = rebind(STEP["record"], 1, WRONG, RIGHT)
    received = Received(tmp_path, STEP, over, end(WRONG, []), end(RIGHT, [over["record"]]))
    assert (received.steps(WRONG), received.steps(RIGHT)) == ([], [over["record"]])
    record, series = batch_record(received.path, RIGHT)
    assert [seal["differences"] for seal in record["seal"]] == [[]], "it is the record that the end lists, by its digest"
    assert record["steps"][0]["made_as"] == STEP["record"]
    assert record["steps"][0]["parameters"] == STEP["parameters"]
    assert [seal["differences"] for seal in batch_record(received.path, WRONG)[0]["seal"]] == [[]]
    for page in (html(record, series), received.archived(RIGHT)):
        assert f"{STEP['record']}" in page, "who reads it sees under which name it was made"
    assert "Wet" not in received.archived(WRONG)
    assert "WET_MASS, run" not in received.archived(WRONG)


def test_a_correction_that_is_taken_back_gives_the_record_back(tmp_path: Path) -> None:
    over = rebind(STEP["record"], 1, WRONG, RIGHT)
    back = rebind(over["record"], 3, RIGHT, WRONG)
    received = Received(tmp_path, STEP, over, back, end(RIGHT, []), end(WRONG, [back["record"]]))
    assert (received.steps(WRONG), received.steps(RIGHT)) == ([back["record"]], [])
    assert "WET_MASS, run 3" in received.archived(WRONG)


def test_a_record_with_another_digest_does_not_go_over(tmp_path: Path) -> None:
    over = rebind(STEP["record"], 1, WRONG, RIGHT)
    over["final"] = {"revision": 1, "content_sha256": "0" * 64}
    received = Received(tmp_path, STEP, over, end(RIGHT, [over["record"]]))
    assert received.steps(RIGHT) == []
    assert batch_record(received.path, RIGHT)[0]["seal"][0]["differences"] == [f"{over['record']} is listed but not held"]


def test_the_example_for_vendors_does_the_same() -> None:
    example = runpy.run_path(str(ROOT / "docs" / "examples" / "batch_from_entries.py"))
    over = rebind(STEP["record"], 1, WRONG, RIGHT)
    events = [{**json.loads(orjson.dumps(event)), "gateway": GATEWAY, "content": orjson.dumps(event)} for event in (STEP, over)]
    assert [step["record"] for step in example["steps_of"](events, RIGHT)] == [over["record"]]
    assert example["steps_of"](events, WRONG) == []
