"""The batch record that the reference EBR makes of received entries alone. The stream is written here, from the published format."""

import hashlib
import random
import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from kit.mixing_batch import BATCH, EPOCH, GATEWAY, HEAD, TAGS, Stream, at, instant, mixing, parameter, step, stored

from simulators.ebr import Store
from simulators.ebr.builder import build, folder_of
from simulators.ebr.pages.page import html
from simulators.ebr.record.record import batch_record


@pytest.fixture
def faulty(tmp_path: Path) -> dict[str, Any]:
    return batch_record(stored(tmp_path, mixing().payloads) / "ebr.db", BATCH)[0]


@pytest.mark.urs("URS-CTX-08")
def test_everything_that_must_be_looked_at_comes_first_and_nothing_else(faulty: dict[str, Any]) -> None:
    assert [(one["kind"], one["severity"]) for one in faulty["exceptions"]] == [
        ("incomplete", "alarm"),
        ("not-present", "alarm"),
        ("limit", "alarm"),
        ("gap", "alarm"),
        ("clock", "warning"),
        ("hold", "warning"),
    ]
    assert faulty["status"] == "incomplete"
    missing = faulty["ends"][0]["completeness"]["missing"]
    assert faulty["completeness"] == {"required": 4, "present": 3, "missing": missing, "missing_count": 1}


def test_a_batch_without_faults_has_no_exceptions(tmp_path: Path) -> None:
    record, series = batch_record(stored(tmp_path, mixing(faults=False).payloads) / "ebr.db", BATCH)
    assert record["exceptions"] == []
    assert record["status"] == "complete"
    assert {tag: len(points) for (_, tag), points in series.items()} == {tag["tag"]: 300 for tag in TAGS}
    assert record["seal"] == [{"gateway": GATEWAY, "listed": 3, "held": 3, "differences": [], "merkle_root_matches": True}]


@pytest.mark.urs("URS-CTX-02", "URS-UPL-02")
@pytest.mark.parametrize("seed", range(8))
def test_random_order_and_duplicates_make_the_same_record(tmp_path: Path, seed: int) -> None:
    payloads = mixing().payloads
    rng = random.Random(seed)
    mixed = payloads + rng.sample(payloads, len(payloads) // 5)
    rng.shuffle(mixed)
    store = Store(tmp_path / "mixed")
    while mixed:
        page, mixed = mixed[:40], mixed[40:]
        store.take(page)
    assert store.counts()["duplicates"] == len(payloads) // 5
    assert store.receipt((GATEWAY, EPOCH))["through"] == len(payloads)
    store.close()
    in_order = build(stored(tmp_path / "plain", payloads), BATCH)
    shuffled = build(tmp_path / "mixed", BATCH)
    for name in ("record.json", "record.html"):
        assert (in_order / name).read_bytes() == (shuffled / name).read_bytes()


def test_a_record_that_differs_from_the_list_in_the_batch_end_is_an_exception(tmp_path: Path) -> None:
    stream = mixing(faults=False)
    stream.event(310, step("DRY_MIX", "phase", 0, 120, [], revision=2, supersedes="x#1", reason="late-data"))
    record, _ = batch_record(stored(tmp_path, stream.payloads) / "ebr.db", BATCH)
    assert {one["kind"] for one in record["exceptions"]} == {"seal", "corrected"}
    assert "revision 2 is held, 1 is listed" in record["seal"][0]["differences"][0]


def test_a_missing_entry_keeps_everything_after_it_out_of_the_record(tmp_path: Path) -> None:
    payloads = mixing(faults=False).payloads
    record, _ = batch_record(stored(tmp_path, payloads[:200] + payloads[201:]) / "ebr.db", BATCH)
    assert record["status"] == "open"
    assert record["chain"][0]["through"] == 200
    assert any(one["kind"] == "chain" for one in record["exceptions"])


def test_the_page_is_one_file_with_every_plot_and_escapes_what_it_shows(tmp_path: Path) -> None:
    stream = mixing()
    stream.event(
        306,
        {
            "type": "finding",
            "code": "x",
            "severity": "alarm",
            "source": None,
            "tags": [],
            "text": "<script>alert(1)</script>",
            "evidence": {},
        },
    )
    stream.event(307, step("GRANULATE", "operation", 0, 306, [], revision=2, reason="late-data"))
    page = (build(stored(tmp_path, stream.payloads), BATCH) / "record.html").read_text()
    assert page.count("<svg") == 3
    assert page.count('class="gap"') == 2
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", ".", "..", "B 1", "ü", "a\nb", "%2e%2e"])
def test_a_batch_name_is_always_one_plain_folder(tmp_path: Path, name: str) -> None:
    folder = folder_of(tmp_path, name)
    assert folder.resolve().parent == (tmp_path / "batches").resolve()


@pytest.mark.parametrize("letter", ["B", "ü"])
def test_a_batch_with_a_long_name_has_its_record(tmp_path: Path, letter: str) -> None:
    names = [letter * 255 + last for last in "12"]
    stream = mixing(faults=False)
    store = stored(tmp_path, stream.payloads)
    folders = {build(store, name) for name in names}
    assert len(folders) == 2
    assert all((folder / "record.html").is_file() for folder in folders)
    assert folder_of(tmp_path, "B" * 250).name == "B" * 250  # what was short enough keeps its name


def test_an_alarm_stands_once_with_when_it_was_raised_and_cleared(tmp_path: Path) -> None:
    stream = mixing(faults=False)
    head = {"type": "alarm", "alarm": "G-HIGH", "source": "granulator-plc", "tag": "granulator.alarms", "value": 4, "severity": "warning"}
    told = {**head, "text": "Speed high", "equipment": "granulator", "batch": BATCH, "steps": [["phase", "WET_MASS", 1]]}
    stream.event(306, {**told, "state": "raised", "at": instant(130), "raised": None})
    stream.event(307, {**told, "state": "cleared", "at": instant(140), "raised": instant(130)})
    stream.event(308, {**told, "state": "raised", "at": instant(150), "raised": None})
    record, series = batch_record(stored(tmp_path, stream.payloads) / "ebr.db", BATCH)
    assert [(one["raised"], one["cleared"]) for one in record["alarms"]] == [(at(130), at(140)), (at(150), None)]
    assert [one["text"] for one in record["exceptions"]] == [
        f"Alarm G-HIGH: Speed high, until {at(140)}.",
        "Alarm G-HIGH: Speed high, not cleared.",
    ]
    assert "Speed high" in html(record, series)


def test_each_time_beyond_a_limit_stands_with_its_instants_and_the_rest_is_counted(tmp_path: Path) -> None:
    stream = mixing(faults=False)
    beyond = [{"side": "above", "start": at(40), "end": at(43.5), "duration_s": 3.5, "extreme": "212.0"}]
    one = parameter("dry_mix_speed", TAGS[0]["tag"], "148.1", low="100", high="200", result="within", excursions=beyond, excursion_count=3)
    stream.event(310, step("DRY_MIX", "phase", 0, 120, [one], revision=2, reason="late-data"))
    record, _ = batch_record(stored(tmp_path, stream.payloads) / "ebr.db", BATCH)
    assert [item["text"] for item in record["exceptions"] if item["kind"] == "excursion"] == [
        "Dry mix speed: 2 more times beyond a limit, not listed.",
        f"Dry mix speed: above the limit from {at(40)} until {at(43.5)}, 3.5 s; reached 212.0 rpm.",
    ]


def test_a_record_in_parts_is_joined_and_its_digest_is_that_of_all_parts(tmp_path: Path) -> None:
    """Each part holds a slice of one long list, the other empty; the parts come twice and in any order."""
    stream = mixing(faults=False)
    whole = step(
        "DRY_MIX", "phase", 0, 120, [parameter(f"p_{number:04d}", None, "1.0") for number in range(6)], revision=2, reason="late-data"
    )
    parts = [
        {**whole, "parameters": whole["parameters"][:3], "holds": [], "part": 1, "of": 3, "sliced": ["parameters", "holds"]},
        {**whole, "parameters": whole["parameters"][3:], "holds": [], "part": 2, "of": 3, "sliced": ["parameters", "holds"]},
        {
            **whole,
            "parameters": [],
            "holds": [{"state": "Held", "start": instant(50), "end": None}],
            "part": 3,
            "of": 3,
            "sliced": ["parameters", "holds"],
        },
    ]
    for number in (2, 0, 1):
        stream.event(310 + number, parts[number])
    record, _ = batch_record(stored(tmp_path, stream.payloads + stream.payloads[-2:]) / "ebr.db", BATCH)
    (joined,) = [one for one in record["steps"] if one["step"] == "DRY_MIX"]
    assert [one["parameter"] for one in joined["parameters"]] == [f"p_{number:04d}" for number in range(6)]
    assert len(joined["holds"]) == 1
    assert joined["content_sha256"] == hashlib.sha256(b"".join(map(orjson.dumps, parts))).hexdigest()


@pytest.mark.urs("URS-CTX-02", "URS-TIME-07")
def test_the_record_says_by_how_much_the_clock_was_set_and_how_long_it_stood(tmp_path: Path) -> None:
    head = {"type": "clock", "status": "unsynchronised", "bound_s": None, "reason": "the clock was set"}
    events: list[dict[str, Any]] = [
        {**head, "kind": "step", "step_s": 3.2, "last_seq": 7},
        {**head, "kind": "step", "step_s": -0.25, "last_seq": 7},
        {**head, "kind": "suspend", "of": "process", "duration_s": 30.149, "last_seq": 7},
        {**head, "kind": "leap", "step_s": -1.0, "last_seq": 7},
        {**head, "kind": "step"},
    ]
    stream = mixing(faults=False, before_end=[(100 + number, event) for number, event in enumerate(events)])
    stream.event(100, {**head, "kind": "step", "step_s": -200.0, "last_seq": 7})  # after the batch, though the clock shows a time in it
    record, series = batch_record(stored(tmp_path, stream.payloads) / "ebr.db", BATCH)
    told = [
        (item["severity"], item["text"].partition(" The gateway's times")[0]) for item in record["exceptions"] if item["kind"] == "clock"
    ]
    assert told == [
        ("alarm", "Clock event: step, +3.2 s."),
        ("alarm", "Clock event: step, -0.25 s."),
        ("alarm", "Clock event: suspend, 30.149 s, process."),
        ("alarm", "Clock event: step, its size is not stated."),
        ("warning", "Clock event: leap, -1 s."),
    ]
    assert "? s" not in html(record, series)
    (said,) = (item["text"] for item in record["exceptions"] if "+3.2 s" in item["text"])
    assert "3.2 s later against those before; a length of time over it may be 3.2 s too long" in said


@pytest.mark.urs("URS-AUD-08", "URS-TIME-07")
def test_a_clock_that_was_ahead_in_mid_batch_is_in_its_record_though_its_times_lie_after_the_batch(tmp_path: Path) -> None:
    """It was chosen by its time, an hour after the batch's end, and only the step back was told."""
    ahead = mixing(faults=False).payloads
    stream = Stream()
    head = {"type": "clock", "status": "unsynchronised", "bound_s": None, "reason": "the clock was set", "last_seq": 7}
    finding = {"type": "finding", "code": "disk-slow", "severity": "warning", "source": None, "tags": [], "text": "slow"}
    for number, payload in enumerate(ahead):
        body = {name: value for name, value in orjson.loads(payload).items() if name not in HEAD}
        stream.add(orjson.loads(payload)["schema"], body)
        if number == len(ahead) // 2:
            stream.event(3_700, {**head, "kind": "step", "step_s": 3_600.0})
            stream.event(3_701, finding)
            stream.event(102, {**head, "kind": "step", "step_s": -3_600.0})
    record, _ = batch_record(stored(tmp_path, stream.payloads) / "ebr.db", BATCH)
    assert [event["step_s"] for event in record["clock"]["events"] if event["kind"] == "step"] == [3_600.0, -3_600.0]
    assert [event["code"] for event in record["findings"]] == ["disk-slow"]


@pytest.mark.urs("URS-DAQ-11", "URS-AUD-08")
def test_an_equipment_in_which_no_step_of_the_batch_was_seen_is_named_and_so_are_its_gaps(tmp_path: Path) -> None:
    """The batch lay two minutes in a dryer that did not answer: neither the dryer nor the gap was in the record."""
    stream = mixing(faults=False)
    tags = [{"tag": "dryer.temp", "type": "float32", "unit": "Cel", "source_unit": None, "equipment": "dryer"}]
    stream.event(-50, {"type": "tagset", "source": "dryer-plc", "tagset": "0123456789abcdef", "first": 0, "of": 1, "tags": tags})
    gap = {"gap": "dryer-plc/1", "source": "dryer-plc", "tags": ["dryer.temp"], "start": at(-40), "end": None, "cause": "timeout"}
    stream.event(-39, {"type": "gap", "transition": "open", "detail": "", "detected": at(-39), **gap})
    stay = {"type": "batch", "transition": "start", "record": f"{GATEWAY}/{BATCH}", "equipment": "dryer", "unit_id": "FBD-202"}
    stream.event(10, {**stay, "batch": BATCH, "start": instant(10), "hold_times": []})
    record, _ = batch_record(stored(tmp_path, stream.payloads) / "ebr.db", BATCH)
    assert {"equipment": "dryer", "unit_id": "FBD-202"} in record["header"]["equipment"]
    assert [gap["gap"] for gap in record["gaps"]] == ["dryer-plc/1"]


@pytest.mark.urs("URS-CTX-09")
def test_a_result_of_the_laboratory_completes_a_record_and_a_replaced_one_corrects_it(tmp_path: Path) -> None:
    for reason, kinds in (("result", set()), ("result-replaced", {"corrected"})):
        stream = mixing(faults=False)
        changed = [{"path": "parameters/lod/value", "old": None, "new": "1.90"}]
        lod = [parameter("lod", None, "1.90", statistic="sample")]
        stream.event(310, step("DRY_MIX", "phase", 0, 120, lod, revision=2, supersedes="x#1", reason=reason, changed=changed))
        record, series = batch_record(stored(tmp_path / reason, stream.payloads) / "ebr.db", BATCH)
        assert {one["kind"] for one in record["exceptions"]} - {"seal"} == kinds
        assert "lod: value" in html(record, series), "the correction stands in its table"


@pytest.mark.urs("URS-TIME-02", "URS-AUD-08")
def test_a_result_bears_the_laboratorys_time_or_when_it_was_read(tmp_path: Path) -> None:
    stream = mixing(faults=False)
    head = {"type": "sample", "record": f"{GATEWAY}/{BATCH}/dryer/sample/S-1", "sampling": "lod", "sample": "S-1", "equipment": "dryer",
            "batch": BATCH, "steps": [], "taken": instant(290), "status": "present", "problems": []}  # fmt: skip
    result = {"source": "lims", "name": "results", "key": "S-1", "change": "new", "time": None, "seq": 999, "values": {"lod": "1.9"}}
    stream.event(306, {**head, "revision": 1, "reason": None, "results": []})
    stream.event(400, {**head, "revision": 2, "reason": "result", "results": [result], "caused_by": 999})
    record, series = batch_record(stored(tmp_path, stream.payloads) / "ebr.db", BATCH)
    page = " ".join(re.sub(r"<[^>]*>", "", html(record, series)).split())
    assert "S-1: lod 1.9 read 2026-11-22 08:06:40.000+01:00" in page


@pytest.mark.urs("URS-TIME-07", "URS-DAQ-11")
def test_a_gap_that_was_opened_by_a_clock_that_was_ahead_stands_in_the_record_where_it_was(tmp_path: Path) -> None:
    """The gateway set its clock back while the gap was open; the closing tells its start by the right clock."""
    payloads = [orjson.loads(payload) for payload in mixing().payloads]
    stream = Stream()
    for entry in payloads:
        event = entry.get("event", {})
        if (event.get("type"), event.get("transition")) == ("gap", "open"):
            event["start"] = at(179 + 3_600)
        stream.add(entry["schema"], {name: value for name, value in entry.items() if name not in HEAD})
    record = batch_record(stored(tmp_path, stream.payloads) / "ebr.db", BATCH)[0]
    (gap,) = record["gaps"]
    assert (gap["start"], gap["end"], gap["outcome"]) == (at(179), at(205), "lost")


@pytest.mark.urs("URS-CFG-07")
@pytest.mark.parametrize("environment", ["validation", "production"])
def test_a_record_of_a_simulator_says_so_and_in_production_it_must_be_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: str
) -> None:
    add = Stream.add
    for name, mark in (("plain", {}), ("simulated", {"simulated": True})):
        more = {"environment": environment, **mark}
        monkeypatch.setattr(Stream, "add", lambda stream, schema, body, more=more: add(stream, schema, {**more, **body}))
        record, series = batch_record(stored(tmp_path / name, mixing(faults=False).payloads) / "ebr.db", BATCH)
        assert record.get("simulated", False) is bool(mark)
        assert ("values of this record come from simulators" in html(record, series)) is bool(mark)
        texts = [one["text"] for one in record["exceptions"]]
        assert ("A production record with values of a simulator." in texts) is (bool(mark) and environment == "production")


@pytest.mark.urs("URS-AUD-07", "URS-CTX-08")
def test_documents_of_a_batch_leave_its_record_as_it_is_and_a_review_of_its_audit_trail_stands_in_it(tmp_path: Path) -> None:
    stream = mixing(faults=False)
    document = {"type": "document", "id": "d1", "sha256": "0" * 64, "batch": BATCH}
    stream.event(310, {**document, "document": "batch-stamps"})
    record, _ = batch_record(stored(tmp_path / "before", stream.payloads) / "ebr.db", BATCH)
    assert ("reviews" in record, record["status"]) == (False, "complete")
    through = {"epoch": EPOCH, "seq": 300}
    review = {
        "document": "audit-trail-review",
        "reviewer": {"user": "qa", "name": "Quentin Abel", "role": "qa"},
        "meaning": "audit trail reviewed",
        "deviations": [],
        "scope": {"batch": BATCH, "through": through},
        "items": [{"epoch": EPOCH, "seq": 299, "verdict": "accepted"}],
        "signatures": [{"time": at(311)}],
    }
    stream.event(311, {**document, **review})
    record, series = batch_record(stored(tmp_path / "after", stream.payloads) / "ebr.db", BATCH)
    (told,) = record["reviews"]
    assert (told["reviewer"]["name"], told["items"], told["through"], told["signed"]) == ("Quentin Abel", 1, through, at(311))
    assert "Audit trail reviewed by Quentin Abel (qa, qa)" in html(record, series)
