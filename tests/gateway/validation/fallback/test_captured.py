"""What was captured of an equipment in an interval: each reading once, and each time that nobody watched as a gap with its reason."""

from typing import Any

import orjson
import pytest

from gateway.entries.ticks import from_rfc3339, rfc3339
from gateway.validation.fallback.captured import Captured, Gathering, Row

pytestmark = pytest.mark.urs("URS-OBS-07")
BEGIN = from_rfc3339("2026-11-22T08:00:00Z")
S = 10_000_000
TAGS = [
    {"tag": "m.temp", "unit": "Cel", "equipment": "mixer"},
    {"tag": "m.speed", "unit": "/min", "equipment": "mixer"},
    {"tag": "both", "unit": None, "equipment": "mixer;dryer"},
    {"tag": "room", "unit": "%"},
]


def at(seconds: float) -> str:
    return rfc3339(BEGIN + round(seconds * S))


class Journal:
    """Entries as they stand in a journal, by seconds since the interval began. It lasts from before it to behind it."""

    def __init__(self, first_s: float = -60) -> None:
        self.payloads: list[bytes] = []
        self.event(first_s, type="tagset", tagset="t", source="plc", first=0, tags=TAGS)

    def _entry(self, at_s: float, **members: Any) -> None:
        head = {"gateway": "lyon/1", "epoch": 1, "seq": len(self.payloads) + 1, "time": at(at_s)}
        self.payloads.append(orjson.dumps({**head, **members}))

    def event(self, at_s: float, **event: Any) -> None:
        self._entry(at_s, event=event)

    def read(self, at_s: float, tag: int, value: Any, status: int = 0) -> None:
        told = {"tagset": "t", "time_base": at(at_s), "columns": ["tag", "value", "status", "received_ticks"], "constant": {}}
        self._entry(at_s, source="plc", contexts={"mixer": {"batch": "B1"}}, **told, readings=[[tag, value, status, 0]])

    def opens(self, at_s: float, name: str, start_s: float, tags: Any = "all") -> None:
        told = {"gap": name, "source": "plc", "tags": tags, "start": at(start_s), "detected": at(at_s), "cause": "link-lost", "detail": ""}
        self.event(at_s, type="gap", transition="open", **told)

    def closes(self, at_s: float, name: str, start_s: float, end_s: float, tags: Any = "all", outcome: str = "lost") -> None:
        told = {
            "gap": name,
            "source": "plc",
            "tags": tags,
            "start": at(start_s),
            "end": at(end_s),
            "outcome": outcome,
            "cause": "link-lost",
        }
        self.event(at_s, type="gap", transition="close", **told)

    def fills(self, at_s: float, name: str, start_s: float, end_s: float) -> None:
        told = {"gap": name, "source": "plc", "tags": "all", "start": at(start_s), "end": at(end_s), "received": 3}
        self.event(at_s, type="gap", transition="fill", **told)

    def captured(self, *equipments: str, last_s: float = 200) -> tuple[dict[str, Captured], list[tuple[str, Row]]]:
        """What is captured of the first hundred seconds."""
        self.event(last_s, type="heartbeat", observed={})
        rows: list[tuple[str, Row]] = []
        gathering = Gathering(BEGIN, BEGIN + 100 * S, equipments, lambda equipment, row: rows.append((equipment, row)))
        return gathering.of(self.payloads), rows


def gaps(captured: Captured) -> list[tuple[str, float, float | None]]:
    return [(row.tag, (row.begin - BEGIN) / S, None if row.end is None else (row.end - BEGIN) / S) for row in captured.gaps]


def test_each_reading_of_the_interval_is_there_once_with_its_status_and_none_of_before_or_after() -> None:
    journal = Journal()
    for second, tag, value, status in ((-1, 0, 1.0, 0), (0, 0, 2.5, 0), (50, 0, None, 0x80310000), (99, 2, 7, 0), (100, 0, 9.0, 0)):
        journal.read(second, tag, value, status)
    found, rows = journal.captured()
    assert [(equipment, row.tag, row.value, row.status, row.batch) for equipment, row in rows] == [
        ("mixer", "m.temp", 2.5, "Good", "B1"),
        ("mixer", "m.temp", None, "BadNoCommunication", "B1"),
        ("mixer", "both", 7, "Good", "B1"),
        ("dryer", "both", 7, "Good", None),
    ]
    temp = found["mixer"].tags["m.temp"]
    assert (temp.readings, temp.good, str(temp.low), str(temp.high), temp.last) == (2, 1, "2.5", "2.5", "BadNoCommunication")
    assert found["mixer"].tags["m.speed"].readings == 0, "a tag of which nothing came is named all the same"
    assert [name for name, one in found.items() if one.gaps] == []


@pytest.mark.parametrize(
    ("story", "expected"),
    [
        (lambda j: (j.opens(5, "g", 4), j.closes(20, "g", 4, 19)), [("all", 4, 19)]),
        (lambda j: j.opens(5, "g", -30), [("all", -30, None)]),
        (lambda j: (j.opens(-5, "g", -30), j.closes(-1, "g", -30, -2)), []),
        (lambda j: (j.opens(-5, "g", -30), j.closes(150, "g", -30, 140)), [("all", -30, 140)]),
        (lambda j: j.opens(150, "g", 120), []),
        (lambda j: j.opens(150, "g", 99), [("all", 99, None)]),
        (
            lambda j: (j.opens(5, "g", 4), j.closes(9, "g", 4, 8, ["m.temp", "room"])),
            [("both", 4, None), ("m.speed", 4, None), ("m.temp", 4, 8)],
        ),
        (lambda j: (j.opens(5, "g", 4), j.closes(20, "g", 4, 19, outcome="filled")), []),
        (lambda j: (j.opens(5, "g", 4), j.closes(20, "g", 4, 19), j.fills(30, "g", 4, 19)), []),
        (lambda j: (j.opens(5, "g", 4), j.closes(20, "g", 4, 19), j.fills(30, "g", 4, 10)), [("all", 4, 19)]),
    ],
)
def test_a_gap_is_there_if_it_reaches_into_the_interval_as_far_as_nobody_watched(
    story: Any, expected: list[tuple[str, float, float | None]]
) -> None:
    journal = Journal()
    story(journal)
    found, _ = journal.captured("mixer")
    assert sorted(gaps(found["mixer"]), key=str) == expected


def test_what_the_journal_does_not_reach_is_a_gap_and_no_interval_of_a_silent_plant() -> None:
    found, _ = Journal(first_s=40).captured("mixer", last_s=70)
    told = [(row.status, (row.begin - BEGIN) / S, ((row.end or 0) - BEGIN) / S) for row in found["mixer"].gaps]
    assert told == [("not held", 0, 40), ("not held", 70, 100)]


def test_a_journal_without_any_tag_still_says_that_it_reaches_nowhere() -> None:
    found = Gathering(BEGIN, BEGIN + S, (), lambda _equipment, _row: None).of([])
    assert [row.status for row in found["line"].gaps] == ["not held"]
