"""Findings that stand and findings that only happened, gathered from events: begun, ended, bounded, and what a start leaves open."""

from typing import Any

import pytest

from gateway.alarms import Found, Gathering, Tally
from gateway.alarms.findings import MOST_RECENT, MOST_STANDING, RECENT_TICKS
from gateway.alarms.stream import MOST_TAGS
from gateway.entries.findings import finding

START = {"type": "audit", "action": "start", "who": "system:lyon/1", "what": {}}


class Line:
    """Events of a line, one a second."""

    def __init__(self) -> None:
        self.found, self.now, self.seq = Found(), 1_000 * 10_000_000, 0
        self.gathering = Gathering(self.found)

    def happen(self, event: dict[str, Any], after_ticks: int = 10_000_000) -> None:
        self.now += after_ticks
        self.seq += 1
        self.gathering.take(event, self.now, self.seq)

    def find(self, code: str, severity: Any = "alarm", **more: Any) -> None:
        evidence: dict[str, Any] = {name: more.pop(name) for name in ("query", "uplink", "gap", "part", "unit") if name in more}
        self.happen(finding(code, severity, more.pop("text", f"{code} it is"), evidence, **more))

    def standing(self) -> list[tuple[str, str, list[str]]]:
        return [(held.code, held.source, held.tags) for held in self.found.standing]

    def recent(self) -> list[str]:
        return [held.code for held in self.found.recent]


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.mark.urs("URS-OBS-03")
def test_an_alarm_stands_until_its_end_is_told(line: Line) -> None:
    line.find("query-failed", source="mes", query="orders")
    line.find("query-failed", source="mes", query="lots")
    line.find("query-failed-over", "info", source="other", query="orders")
    assert len(line.standing()) == 2, "another source's end is not this one's"
    line.find("query-failed-over", "info", source="mes", query="orders")
    assert [held.subject for held in line.found.standing] == ["lots"]


def test_the_same_code_as_information_ends_it(line: Line) -> None:
    line.find("source-clock-off", source="plc")
    line.find("source-clock-off", "info", source="plc")
    assert line.standing() == []


def test_an_end_for_some_tags_ends_it_for_those_alone(line: Line) -> None:
    line.find("address-refused", "warning", source="plc", tags=["a", "b"])
    line.find("address-refused", "info", source="plc", tags=["a"])
    assert line.standing() == [("address-refused", "plc", ["b"])]
    line.find("address-refused", "info", source="plc", tags=["b"])
    assert line.standing() == []


@pytest.mark.urs("URS-OBS-03")
def test_an_end_for_one_tag_ends_nothing_of_the_others_however_many_they_are(line: Line) -> None:
    for count in (40, MOST_TAGS, MOST_TAGS + 1):
        tags = [f"t{number}" for number in range(count)]
        line.find("address-refused", "warning", source="plc", tags=tags)
        line.find("address-refused", "info", source="plc", tags=["t7"])
        assert [code for code, *_ in line.standing()] == ["address-refused"], f"{count} tags"
        line.find("address-refused", "info", source="plc")
        assert line.standing() == []


def test_an_end_for_more_tags_than_are_kept_ends_what_was_told_of_them(line: Line) -> None:
    tags = [f"t{number}" for number in range(MOST_TAGS + 1)]
    for unit in (1, 2):
        line.find("unit-health", "warning", source="plc", tags=tags, unit=unit)
    assert len(line.standing()) == 2, "each unit's is its own"
    line.find("unit-health", "info", source="plc", tags=tags, unit=1)
    assert [held.subject for held in line.found.standing] == ["2"]


@pytest.mark.urs("URS-OBS-03")
def test_each_part_that_failed_stands_until_it_works_itself(line: Line) -> None:
    line.find("part-failed", part="page", text="page: in use")
    line.find("part-failed", part="push", text="push: no token")
    assert [held.text for held in line.found.standing] == ["page: in use", "push: no token"]
    line.find("part-works", "info", part="page")
    assert [held.subject for held in line.found.standing] == ["push"]


def test_what_is_said_again_is_counted_and_keeps_its_beginning(line: Line) -> None:
    line.find("outside-range", "warning", source="plc", tags=["a"], text="101")
    first = line.now
    line.find("outside-range", "warning", source="plc", tags=["a"], text="103")
    (held,) = line.found.standing
    assert (held.since, held.last, held.count, held.text) == (first, line.now, 2, "103")


def test_information_that_ends_nothing_is_not_shown(line: Line) -> None:
    line.find("server-identity", "info", source="plc")
    assert (line.standing(), line.recent()) == ([], [])


@pytest.mark.urs("URS-OBS-03")
def test_after_a_start_nobody_knows_whether_it_stands_until_it_is_said_again(line: Line) -> None:
    for tag in ("a", "b"):
        line.find("unit-differs", "warning", source="scale", tags=[tag])
    line.find("simulated-in-production", tags=["c"])
    begun = line.now
    line.happen(START)
    first_start = line.now
    line.happen({**START, "action": "unclean-start"})
    assert [held.asked_anew for held in line.found.standing] == [first_start, first_start, None], "of the last the fold knows"
    line.find("unit-differs", "warning", source="scale", tags=["b"])
    again = next(held for held in line.found.standing if held.tags == ["b"])
    assert again.asked_anew is None
    assert again.since < begun
    line.happen({"type": "heartbeat", "observed": {}}, RECENT_TICKS)
    line.find("late-data", "warning", tags=["x"])
    assert [held.tags for held in line.found.standing] == [["c"], ["b"]], "what was not said again is let go after a day"


def test_all_is_bounded_and_alarms_stay_before_warnings(line: Line) -> None:
    line.find("uplink-unreachable", uplink="ebr")
    for number in range(MOST_STANDING + 5):
        line.find("outside-range", "warning", source="plc", tags=[f"t{number}"])
    assert len(line.standing()) == MOST_STANDING
    assert line.standing()[0][0] == "uplink-unreachable"
    assert line.found.unkept == 6
    line.find("file-refused", source="mes", text="first")
    for number in range(MOST_RECENT + 5):
        line.find("late-data", "warning", tags=[f"t{number}"])
    assert line.recent() == ["file-refused", *["late-data"] * MOST_RECENT], "what waits for a person takes no room of the others"


def test_what_happened_is_shown_for_a_day(line: Line) -> None:
    line.find("file-refused", "warning", source="mes")
    line.find("lot-orphan", "warning")
    line.happen(finding("row-refused", "alarm", "r", {}, source="mes"), RECENT_TICKS)
    assert line.recent() == ["lot-orphan", "row-refused"]


def test_a_clock_set_back_makes_nothing_old(line: Line) -> None:
    line.find("file-refused", source="mes")
    line.happen(finding("lot-orphan", "warning", "l", {}), -500 * 10_000_000)
    assert line.recent() == ["file-refused", "lot-orphan"]


def ended(status: str, missing: int, revision: int = 1) -> dict[str, Any]:
    one = {"equipment": "coater", "step": "COOL", "run": 1, "parameter": "bed_end", "status": "gap"}
    done = {"required": 16, "present": 16 - missing, "missing": [one] * missing}
    return {"type": "batch", "transition": "end", "batch": "B1", "status": status, "completeness": done, "revision": revision}


def test_a_batch_that_ends_incomplete_is_told_until_a_revision_is_complete(line: Line) -> None:
    line.happen(ended("incomplete", 4))
    named = "coater COOL bed_end gap"
    assert [held.text for held in line.found.recent] == [
        f"batch B1 is incomplete: 4 of 16 required are missing: {named}, {named}, {named} and 1 more"
    ]
    line.happen(ended("incomplete", 1, 2))
    assert [held.text for held in line.found.recent] == [f"batch B1 is incomplete: 1 of 16 required are missing: {named}"]
    line.happen(ended("complete", 0, 3))
    assert line.recent() == []


def test_gaps_and_the_clock_end_what_they_began(line: Line) -> None:
    line.find("tag-silent", "warning", source="plc", tags=["a"], gap="plc/silent/7/a")
    line.find("clock-unverified")
    line.happen({"type": "gap", "transition": "close", "gap": "plc/8", "source": "plc", "tags": ["a"]})
    line.happen({"type": "clock", "kind": "unknown", "status": "unknown"})
    assert len(line.standing()) == 2
    line.happen({"type": "gap", "transition": "close", "gap": "plc/silent/7/a", "source": "plc", "tags": ["a"]})
    line.happen({"type": "clock", "kind": "synchronised", "status": "synchronised"})
    assert line.standing() == []


def test_each_warning_and_alarm_is_one_line_of_the_log_and_all_are_counted(line: Line, caplog: pytest.LogCaptureFixture) -> None:
    tally = Tally()
    line.gathering.heard = tally.heard
    line.find("file-refused", source="mes", text="a.csv: no header")
    line.find("late-data", "warning")
    line.find("server-identity", "info", source="plc")
    line.happen({"type": "clock", "kind": "synchronised", "status": "synchronised"})
    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith("alarm file-refused: mes: a.csv: no header. What to do: ")
    assert second.startswith("warning late-data: ")
    assert dict(tally.counts) == {
        ("file-refused", "alarm", "mes"): 1,
        ("late-data", "warning", ""): 1,
        ("server-identity", "info", "plc"): 1,
    }


def test_an_event_of_the_clock_that_tells_no_status_ends_nothing(line: Line) -> None:
    line.find("clock-unverified")
    line.happen({"type": "clock", "kind": "suspend", "of": "process", "duration_s": 3.4})
    assert len(line.standing()) == 1
