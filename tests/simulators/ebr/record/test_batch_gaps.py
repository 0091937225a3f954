"""A batch's gaps are those that its end lists; what happens after the batch is not the batch's, though its end is made again."""

from pathlib import Path
from typing import Any

import pytest
from kit.mixing_batch import BATCH, GATEWAY, at, mixing, stored

from simulators.ebr.record.record import batch_record


def gap(name: str, start: float, end: float | None = None) -> dict[str, Any]:
    told = {"type": "gap", "gap": name, "source": "granulator-plc", "tags": "all", "start": at(start), "cause": "link-lost"}
    return {**told, "transition": "open"} if end is None else {**told, "transition": "close", "end": at(end), "outcome": "lost"}


def record_of(folder: Path, stream: Any) -> dict[str, Any]:
    record, _ = batch_record(stored(folder, stream.payloads) / "ebr.db", BATCH)
    return record


@pytest.mark.urs("URS-CTX-09")
def test_the_gaps_are_those_that_the_end_lists_whatever_the_clock_showed(tmp_path: Path) -> None:
    """One that lies outside by the clock, which was set, one of which only the end came, and none of another batch."""
    told = [(400.0, gap("p/1", 390)), (150.0, gap("p/2", 100, 150)), (160.0, gap("p/3", 155)), (170.0, gap("p/3", 155, 170))]
    record = record_of(tmp_path, mixing(faults=False, before_end=told, gaps=["p/1", "p/2", "p/4"], gap_count=5))
    assert [(one["gap"], one["start"], one["end"], one["outcome"]) for one in record["gaps"]] == [
        ("p/1", at(390), None, None),
        ("p/2", at(100), at(150), "lost"),
    ]
    assert record["gaps_not_received"] == [
        {"gateway": GATEWAY, "gap": "p/4", "count": 1},
        {"gateway": GATEWAY, "gap": None, "count": 2},
    ]
    alarms = [one["text"] for one in record["exceptions"] if one["kind"] == "gap"]
    assert "Not observed: the batch's end names gap p/4, of which no entry was received." in alarms
    assert "Not observed: 2 more gaps than the batch's end names." in alarms


@pytest.mark.urs("URS-CTX-09")
def test_a_result_that_comes_weeks_later_draws_nothing_of_those_weeks_into_the_record(tmp_path: Path) -> None:
    stream, week_s = mixing(faults=False), 7 * 86_400.0
    finding = {"type": "finding", "code": "tag-silent", "severity": "warning", "text": "dryer.temp is silent", "evidence": {}}
    stream.event(week_s, gap("p/9", week_s - 5))
    stream.event(week_s + 1, finding)
    stream.event(week_s + 2, {**finding, "code": "late-correction", "text": "a row came late", "evidence": {"batch": BATCH}})
    before = record_of(tmp_path / "before", stream)
    end = {"type": "batch", "transition": "end", "record": f"{GATEWAY}/{BATCH}", "revision": 2, "supersedes": f"{GATEWAY}/{BATCH}#1"}
    stream.event(2 * week_s, {**end, **{name: before["ends"][0][name] for name in ("batch", "start", "end", "completeness", "records")},
                              "reason": "result-replaced", "cause": "completed", "status": "complete", "gaps": []})  # fmt: skip
    after = record_of(tmp_path / "after", stream)
    assert (after["window"], after["gaps"]) == (before["window"], [])
    assert [one["text"] for one in after["findings"]] == ["a row came late"], "the one that names the batch, whenever it came"
