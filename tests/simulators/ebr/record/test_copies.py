"""One batch, one end, one count, the same words: in the EBR's page, JSON and BatchML, and in the archive's HTML and PDF."""

import json
import shutil
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from kit.pages_read import seen
from kit.random_line import Recorded
from kit.record_copies import Copies

from buffer.archive import texts
from buffer.archive.record import Record
from buffer.pages.blocks import Table
from buffer.segment import Entry
from simulators.ebr.pages.batchml import NAMESPACE
from simulators.ebr.pages.page import html
from simulators.ebr.record import statement
from simulators.ebr.record.exceptions import exceptions

PARIS = ZoneInfo("Europe/Paris")
SUMMER, WINTER = "2026-10-25T00:30:00.95Z", "2026-10-25T01:30:00.95Z"
BOUNDARY = "2026-12-31T22:59:59.9996Z"


@pytest.fixture(scope="module")
def copies(recorded: Recorded, tmp_path_factory: pytest.TempPathFactory) -> Copies:
    return Copies(recorded(6).payloads, tmp_path_factory.mktemp("copies"))


@pytest.mark.urs("URS-AUD-08", "URS-TIME-01")
def test_every_copy_has_the_end_that_the_batchs_end_states_and_not_the_time_of_collection(copies: Copies) -> None:
    (end,) = copies.record["ends"]
    assert copies.record["end"]["time"] == end["end"]["time"] < copies.record["window"]["end"], "else nothing is shown here"
    shown = statement.local_time(end["end"]["time"], PARIS)
    assert f"End {shown}" in copies.page
    assert f"End {shown}" in copies.archive
    assert copies.xml.findtext(f"{{{NAMESPACE}}}TimeStamp") == end["end"]["time"]
    if shutil.which("pdftotext"):
        assert f"End {shown}" in copies.printed


@pytest.mark.urs("URS-AUD-08", "URS-CTX-08")
def test_every_copy_counts_the_same_in_the_same_words(copies: Copies) -> None:
    done = copies.record["completeness"]
    said = f"{done['present']} of {done['required']} required items are present"
    assert done["required"] > done["present"] > 0, "else nothing is shown here"
    for copy in (copies.page, copies.archive, copies.xml.findtext(f"{{{NAMESPACE}}}Description")):
        assert copy is not None
        assert said in copy
    if shutil.which("pdftotext"):
        assert said in copies.printed
    assert all("0 of 0" not in copy for copy in (copies.page, copies.archive))


def test_a_batch_that_has_not_ended_has_no_end_in_any_copy(recorded: Recorded, tmp_path: Path) -> None:
    payloads = recorded(6).payloads
    ended = next(n for n, payload in enumerate(payloads) if b'"type":"batch","transition":"end"' in payload)
    open_ = Copies(payloads[:ended], tmp_path)
    assert open_.record["end"] is None
    assert "End not ended" in open_.page
    assert "had not ended" in open_.archive


@pytest.mark.urs("URS-TIME-01")
@pytest.mark.parametrize(
    ("time", "zone", "shown"),
    [
        (SUMMER, "Europe/Paris", "2026-10-25 02:30:00.950+02:00"),
        (WINTER, "Europe/Paris", "2026-10-25 02:30:00.950+01:00"),
        (BOUNDARY, "Europe/Paris", "2027-01-01 00:00:00.000+01:00"),
        ("2026-11-22T07:05:00.1204999Z", "UTC", "2026-11-22 07:05:00.120+00:00"),
        ("2026-11-22T07:05:00.1205Z", "Asia/Kolkata", "2026-11-22 12:35:00.121+05:30"),
        ("1969-12-31T23:59:59.9999Z", "UTC", "1970-01-01 00:00:00.000+00:00"),
        ("2026-11-22 07:05:00", "UTC", "2026-11-22 07:05:00"),
        ("yesterday", "UTC", "yesterday"),
    ],
)
def test_times_are_rounded_and_bear_their_offset_in_every_copy(time: str, zone: str, shown: str) -> None:
    assert statement.local_time(time, ZoneInfo(zone)) == shown
    assert texts.local_text(time, zone) == shown


@pytest.mark.parametrize(
    ("done", "said"),
    [
        ({"required": 0, "present": 0}, "nothing is required"),
        ({"required": 1, "present": 1}, "1 of 1 required item is present"),
        ({"required": 21, "present": 20}, "20 of 21 required items are present"),
        (
            {"required": 1, "present": 1, "open": [{"parameter": "lod", "name": "Loss on drying"}]},
            "1 of 1 required item is present; 1 required value is not the gateway's to give: Loss on drying",
        ),
        (
            {"required": 0, "present": 0, "open": [{"parameter": f"p{n}", "name": None} for n in range(14)], "open_count": 200},
            f"nothing is required; 200 required values are not the gateway's to give: {', '.join(f'p{n}' for n in range(12))} and 188 more",
        ),
    ],
)
def test_the_words_of_the_count_are_the_same(done: dict[str, Any], said: str) -> None:
    assert statement.counted(done) == texts.counted_text(done) == said


@pytest.mark.urs("URS-AUD-08", "URS-CTX-02")
@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"statistic": "mean", "include": "running", "skip_first_s": 2.0}, "mean of g.speed, while running, without the first 2 s"),
        ({"statistic": "value_at_end", "include": "all", "skip_first_s": 0.0}, "value at end of g.speed"),
        ({"statistic": "time_above", "high": "75.0", "limit_unit_text": "°C"}, "time of g.speed above 75.0 °C"),
        (
            {"statistic": "time_below", "low": "5", "limit_unit_text": None, "skip_first_s": 1.5},
            "time of g.speed below 5, without the first 1.5 s",
        ),
        ({"statistic": "time_outside", "low": "5", "high": None, "limit_unit_text": "kW"}, "time of g.speed below 5 kW or above ? kW"),
        ({"statistic": "duration", "tag": None, "include": "running"}, "duration, while running"),
        ({"statistic": "sample", "tag": None, "results": [{"sample": "S-1"}]}, "the laboratory's result of S-1"),
        (
            {"statistic": "mean", "tag": None, "results": [{"sample": "S-1"}, {"sample": "S-2"}]},
            "mean of the laboratory's results of S-1, S-2",
        ),
        (
            {"statistic": "max", "limits_read": {"high": {"tag": "m.limit", "value": "20", "unit": "/min"}}},
            "max of g.speed, high read as 20 /min from m.limit",
        ),
    ],
)
def test_every_copy_says_how_a_value_is_computed_and_a_times_threshold_in_its_own_unit(more: dict[str, Any], said: str) -> None:
    parameter = {"tag": "g.speed", **more}
    assert statement.computed(parameter) == texts.computed_text(parameter) == said


@pytest.mark.urs("URS-AUD-08")
def test_a_threshold_is_not_shown_as_a_limit_of_seconds(copies: Copies) -> None:
    reached = {"side": "above", "start": SUMMER, "end": WINTER, "duration_s": 3.0, "extreme": "76.1"}
    told = {
        "parameter": "above",
        "tag": "g.speed",
        "statistic": "time_above",
        "value": "3.0",
        "unit": "s",
        "unit_text": "s",
        "include": "all",
    }
    limits = {"low": None, "high": "75.0", "limit_unit": "Cel", "limit_unit_text": "°C", "result": "not-judged", "status": "present"}
    element = {**told, **limits, "excursions": [reached], "excursion_count": 1}
    step = {**next(step for step in copies.record["steps"] if step["transition"] == "end"), "parameters": [element]}
    page = seen(html({**copies.record, "steps": [step]}, {}))
    assert "time of g.speed above 75.0 °C" in page
    assert "≤ 75.0" not in page
    assert any("reached 76.1 °C" in item["text"] for item in exceptions({**copies.record, "steps": [step]}))
    event = json.dumps({"time": SUMMER, "event": {**step, "batch": "B1", "type": "step"}}, default=str).replace('"event": {', '"event":{')
    blocks = Record("B1", "x/y", [Entry(1, 1, "", event.encode())], []).blocks()
    (table,) = [block for block in blocks if isinstance(block, Table) and "How it is computed" in block.titles]
    shown = dict(zip(table.titles, table.rows[0], strict=True))
    assert (shown["High"], shown["How it is computed"]) == ("", "time of g.speed above 75.0 °C; origin not declared")


@pytest.mark.urs("URS-AUD-08")
def test_every_copy_bears_its_number_and_a_block_for_whoever_reviews_it(copies: Copies) -> None:
    (end,) = copies.record["ends"]
    for copy in (copies.page, copies.archive):
        assert f"{end['record']}, revision {end['revision']}" in copy
        assert "Meaning Name, printed User id and role Date and time, with UTC offset Signature" in copy
    assert f"As of {statement.local_time(max(event['entered'] for event in (*copies.record['ends'],)), PARIS)}" in copies.page


@pytest.mark.urs("URS-AUD-08")
@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "\u2013"),
        (True, "yes"),
        ([], "none"),
        (["g/1", "g/2"], "g/1, g/2"),
        ({"time": SUMMER, "basis": "observed"}, "2026-10-25 02:30:00.950+02:00"),
        ({"from_seq": 1, "of": {"batch": "B1"}}, "from seq 1; of (batch B1)"),
        (WINTER, "2026-10-25 02:30:00.950+01:00"),
    ],
)
def test_a_value_before_and_after_a_correction_is_in_words_in_every_copy(value: Any, said: str) -> None:
    assert statement.plain(value, PARIS) == texts.people_text(value, "Europe/Paris") == said


@pytest.mark.urs("URS-AUD-08")
@pytest.mark.parametrize(
    ("covered", "said"),
    [
        (None, ""),
        (0.0, "0 %"),
        (0.8845, "88.45 %"),
        (0.907692, "90.76 %"),
        (0.999999, "99.99 %"),
        (1.0, "100 %"),
        (0.5, "50 %"),
        (1e-07, "0 %"),
    ],
)
def test_a_share_of_time_is_never_more_than_it_was(covered: float | None, said: str) -> None:
    assert statement.share(covered) == texts.share_text(covered) == said


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"parameter": "lod", "step": "DRY"}, "lod"),
        ({"material": "weigh"}, "booking of material weigh"),
        ({"sample": "release", "step": None}, "sample release"),
        ({"lot": "L-9"}, "lot L-9"),
        ({"step": "DRY"}, "the step DRY, required"),
        ({"equipment": "dryer"}, "the stay of the batch, required"),
    ],
)
def test_what_is_missing_has_the_same_name(item: dict[str, Any], said: str) -> None:
    assert statement.missing_item(item) == texts.missing_text(item) == said


@pytest.mark.parametrize(
    ("booking", "said"),
    [({"kind": "consume"}, "consumed"), ({"kind": "produce"}, "produced"), ({"kind": "move", "to": "bin 7"}, "moved to bin 7"), ({}, "")],
)
def test_what_a_booking_did_is_in_the_same_words(booking: dict[str, Any], said: str) -> None:
    assert statement.deed(booking) == texts.deed_text(booking) == said


@pytest.mark.urs("URS-CTX-10")
@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"performed_by": [{"id": "a"}, {"id": "b"}]}, "a, b"),
        ({"performed_by": [], "performed_by_reason": "no source tells"}, "nobody named (no source tells)"),
        ({}, "nobody named"),
    ],
)
def test_who_performed_it_is_in_the_same_words(item: dict[str, Any], said: str) -> None:
    assert statement.performed_by(item) == texts.performed_by_text(item) == said
