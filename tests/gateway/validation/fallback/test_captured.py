"""What was captured of an equipment in an interval: each reading once, and each time that nobody watched as a gap with its reason."""

from typing import Any

import orjson
import pytest

from gateway.entries.ticks import from_rfc3339, rfc3339
from gateway.validation.fallback.captured import Captured, Gathering
from gateway.validation.fallback.captured_document import About, drafted
from gateway.validation.fallback.rows import Row
from gateway.validation.fallback.stood import Stood

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


def instant(seconds: float | None, window_s: float | None = 0.0) -> dict[str, Any] | None:
    return None if seconds is None else {"time": at(seconds), "local": None, "window_s": window_s, "basis": "observed"}


def _step(step: str, start_s: float | None, end_s: float | None, window_s: float | None = 0.0) -> dict[str, Any]:
    named = {"record": f"lyon/1/B1/mixer/{step}/1", "revision": 1, "equipment": "mixer", "step": step, "run": 1, "batch": "B1"}
    return {**named, "cause": None, "start": instant(start_s, window_s), "end": instant(end_s), "parameters": []}


class Journal:
    """Entries as they stand in a journal, by seconds since the interval began. It lasts from before it to behind it."""

    def __init__(self, first_s: float = -60) -> None:
        self.payloads: list[bytes] = []
        self._seq = 0
        self.event(first_s, type="epoch", reason="created", follows=None, last_seq=0)
        self.event(first_s, type="tagset", tagset="t", source="plc", first=0, tags=TAGS)

    def _entry(self, at_s: float, **members: Any) -> None:
        self._seq += 1
        head = {"gateway": "lyon/1", "epoch": 1, "seq": self._seq, "time": at(at_s)}
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

    def starts(self, at_s: float, start_s: float | None, step: str = "MIX", window_s: float | None = 0.0) -> None:
        self.event(at_s, type="step", transition="start", **_step(step, start_s, None, window_s))

    def ends(self, at_s: float, start_s: float | None, end_s: float, step: str = "MIX", **more: Any) -> None:
        self.event(at_s, type="step", transition="end", **{**_step(step, start_s, end_s), **more})

    def batch(self, at_s: float, transition: str, batch: str, start_s: float, end_s: float | None = None, **more: Any) -> None:
        told = {"record": f"lyon/1/{batch}", "equipment": "mixer", "batch": batch, "start": instant(start_s), "end": instant(end_s)}
        self.event(at_s, type="batch", transition=transition, **{**told, **more})

    def captured(
        self, *equipments: str, last_s: float = 200, stood: Stood | None = None
    ) -> tuple[dict[str, Captured], list[tuple[str, Row]]]:
        """What is captured of the first hundred seconds."""
        self.event(last_s, type="heartbeat", observed={})
        rows: list[tuple[str, Row]] = []
        gathering = Gathering(BEGIN, BEGIN + 100 * S, equipments, lambda equipment, row: rows.append((equipment, row)), stood)
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


@pytest.mark.parametrize(
    ("story", "expected"),
    [
        (lambda j: j.starts(-10, -10), [("MIX", None)]),
        (lambda j: (j.starts(-10, -10), j.ends(150, -10, 140)), [("MIX", 140)]),
        (lambda j: (j.starts(-10, -10), j.ends(20, -10, 10)), [("MIX", 10)]),
        (lambda j: (j.starts(-10, -10), j.ends(5, -10, -2)), []),
        (lambda j: (j.starts(-10, -10), j.ends(5, -10, -2), j.ends(9, -10, 3)), [("MIX", 3)]),
        (lambda j: (j.starts(-10, -10), j.ends(5, -10, 3), j.ends(9, -10, -2)), []),
        (lambda j: j.starts(120, 120), []),
        (lambda j: j.starts(120, 120, window_s=30.0), [("MIX", None)]),
        (lambda j: j.starts(120, 120, window_s=None), [("MIX", None)]),
        (lambda j: j.ends(50, None, 40), [("MIX", 40)]),
        (lambda j: j.starts(99, 99), [("MIX", None)]),
    ],
)
def test_a_step_is_there_if_it_may_have_run_in_the_interval_whether_or_not_its_end_is_known(
    story: Any, expected: list[tuple[str, float | None]]
) -> None:
    journal = Journal()
    story(journal)
    found, _ = journal.captured("mixer")
    told = [
        (one["step"], None if not one["end"] else (from_rfc3339(one["end"]["time"]) - BEGIN) / S) for one in found["mixer"].steps.values()
    ]
    assert told == expected
    assert found["mixer"].batches == (["B1"] if expected else [])


def test_a_step_that_turns_out_to_be_of_another_batch_is_there_once_under_its_new_name() -> None:
    journal = Journal()
    journal.ends(20, 1, 10)
    new = "lyon/1/B2/mixer/MIX/1"
    told = {"equipment": "mixer", "step": "MIX", "run": 1, "reason": "re-bound", "start": instant(1)}
    journal.event(30, type="rebind", record=new, supersedes="lyon/1/B1/mixer/MIX/1", to={"batch": "B2"}, **told)
    found, _ = journal.captured("mixer")
    assert (list(found["mixer"].steps), found["mixer"].batches) == ([new], ["B2"])
    journal.ends(40, 1, 12, record=new, batch="B2", revision=2)
    found, _ = journal.captured("mixer")
    assert [one["revision"] for one in found["mixer"].steps.values()] == [2]


@pytest.mark.parametrize(
    ("story", "expected"),
    [
        (lambda j: j.batch(-10, "start", "B1", -10), ["B1"]),
        (lambda j: (j.batch(-10, "start", "B1", -10), j.batch(150, "leave", "B1", -10, 140)), ["B1"]),
        (lambda j: (j.batch(-10, "start", "B1", -10), j.batch(-1, "leave", "B1", -10, -2)), []),
        (lambda j: (j.batch(-10, "start", "B1", -10), j.batch(5, "leave", "B1", -10, -2)), []),
        (lambda j: (j.batch(-9, "start", "B1", -9), j.batch(5, "leave", "B1", -9, 4), j.batch(5, "start", "B2", 4)), ["B1", "B2"]),
        (lambda j: (j.batch(5, "start", "B1", 5), j.batch(9, "leave", "B1", 5, 8, superseded_by="B2")), []),
        (lambda j: j.batch(120, "start", "B1", 120), []),
    ],
)
def test_a_batch_is_there_if_it_was_in_the_equipment_in_the_interval(story: Any, expected: list[str]) -> None:
    journal = Journal()
    story(journal)
    found, _ = journal.captured("mixer")
    assert found["mixer"].batches == expected


def texts(captured: Captured) -> str:
    about = About(BEGIN, BEGIN + 100 * S, "UTC", None, "rows.csv", "0" * 64)
    return orjson.dumps(drafted(captured, about)).decode()


ALL_OBSERVED, NO_STEP = "No gap of this equipment's sources reaches into this interval", "No step of this equipment ran"


def test_a_document_says_of_a_step_without_an_end_that_it_has_none_and_not_that_none_ran() -> None:
    journal = Journal()
    assert NO_STEP in texts(journal.captured("mixer")[0]["mixer"])
    journal.starts(5, -10)
    document = drafted(journal.captured("mixer")[0]["mixer"], About(BEGIN, BEGIN + 100 * S, "Europe/Paris", None, "rows.csv", "0" * 64))
    told = orjson.dumps(document).decode()
    assert NO_STEP not in told
    assert "on; its end is not known: by the newest entry it had none" in told
    assert (document["facts"]["steps"], document["facts"]["steps_without_record"]) == ([], ["lyon/1/B1/mixer/MIX/1"])


def pruned(journal: Journal, through: int) -> Journal:
    """Remove the oldest entries, as retention does; the table of tags stands at the head of each segment."""
    journal.payloads = journal.payloads[1:2] + journal.payloads[through:]
    journal.payloads[0] = journal.payloads[0].replace(b'"seq":2,', f'"seq":{through},'.encode())
    return journal


def test_where_the_opening_of_a_gap_may_be_pruned_the_document_does_not_say_that_there_was_none() -> None:
    def held() -> Journal:
        journal = Journal()
        journal.opens(-50, "plc/1", -55)
        for second in (-40, -30, 20):
            journal.event(second, type="heartbeat", observed={})
        return pruned(journal, 4)

    assert ALL_OBSERVED in texts(Journal().captured("mixer")[0]["mixer"]), "a journal that is held from its begin proves it"
    alone = held().captured("mixer")[0]["mixer"]
    assert [row.status for row in alone.gaps] == ["not known"]
    assert ALL_OBSERVED not in texts(alone)
    gap = {"id": "plc/1", "source": "plc", "start": BEGIN - 55 * S, "cause": "link-lost", "left": ["m.temp"]}
    told = held().captured("mixer", stood=Stood(BEGIN + 150 * S, 1_000, [gap]))[0]["mixer"]
    assert gaps(told) == [("m.temp", -55, None)]
    assert ALL_OBSERVED in texts(held().captured("mixer", stood=Stood(BEGIN + 150 * S, 1_000, []))[0]["mixer"]), (
        "a state of later proves it"
    )
    assert ALL_OBSERVED not in texts(held().captured("mixer", stood=Stood(BEGIN - 90 * S, 1, []))[0]["mixer"]), "one of before does not"


def test_a_gap_that_stood_is_told_as_the_journal_tells_it_where_that_holds_its_opening() -> None:
    journal = Journal()
    journal.opens(5, "plc/1", 4)
    journal.closes(20, "plc/1", 4, 19, ["m.temp", "both", "room"])
    gap = {"id": "plc/1", "source": "plc", "start": BEGIN + 4 * S, "cause": "link-lost", "left": ["m.speed"]}
    found, _ = journal.captured("mixer", stood=Stood(BEGIN + 150 * S, 1_000, [gap]))
    assert sorted(gaps(found["mixer"]), key=str) == [("both", 4, 19), ("m.speed", 4, None), ("m.temp", 4, 19)]


def test_entries_that_are_missing_in_the_middle_are_not_held() -> None:
    journal = Journal()
    for second in (10, 20, 30, 40):
        journal.event(second, type="heartbeat", observed={})
    del journal.payloads[3:5]
    found, _ = journal.captured("mixer")
    assert [(row.status, (row.begin - BEGIN) / S, ((row.end or 0) - BEGIN) / S) for row in found["mixer"].gaps] == [("not held", 10, 40)]
    assert ALL_OBSERVED not in texts(found["mixer"])


@pytest.mark.parametrize(("tail", "expected"), [("whole", []), ("unknown", [("not held", 10, 70)])])
def test_between_two_epochs_nothing_is_missing_only_where_the_second_says_so(tail: str, expected: list[tuple[str, float, float]]) -> None:
    journal = Journal()
    journal.event(10, type="heartbeat", observed={})
    told = {"type": "epoch", "reason": "restored", "follows": 1, "last_seq": 3, "lost": [], "tail": tail}
    journal.payloads.append(orjson.dumps({"gateway": "lyon/1", "epoch": 2, "seq": 1, "time": at(70), "event": told}))
    journal.payloads.append(orjson.dumps({"gateway": "lyon/1", "epoch": 2, "seq": 2, "time": at(200), "event": {"type": "heartbeat"}}))
    found = Gathering(BEGIN, BEGIN + 100 * S, ("mixer",), lambda _equipment, _row: None).of(journal.payloads)
    assert [(row.status, (row.begin - BEGIN) / S, ((row.end or 0) - BEGIN) / S) for row in found["mixer"].gaps] == expected


def test_gaps_that_were_over_before_the_interval_are_not_kept_and_those_of_it_are_each_found_at_once() -> None:
    rows, journal = 2_000, Journal(first_s=-1e6)
    for number in range(rows):
        journal.opens(-5e5 + number, f"old/{number}", -5e5 + number)
        journal.closes(-5e5 + number, f"old/{number}", -5e5 + number, -5e5 + number + 0.5)
        journal.opens(number / rows, f"new/{number}", number / rows)
    gathering = Gathering(BEGIN, BEGIN + 100 * S, ("mixer",), lambda _equipment, _row: None)
    found = gathering.of(journal.payloads)
    assert len([row for row in found["mixer"].gaps if row.status == "not observed"]) == rows
    assert gathering.gaps_kept == rows


def test_a_gap_of_a_tag_that_no_table_has_is_a_gap_of_all_for_nobody_knows_whose_it_was() -> None:
    journal = Journal()
    journal.opens(5, "plc/1", 4, ["former"])
    found, _ = journal.captured("mixer", "dryer")
    assert [gaps(one) for one in found.values()] == [[("former", 4, None)]] * 2


def test_a_record_that_comes_in_parts_is_whole_again() -> None:
    journal = Journal()
    for part in (1, 2):
        told: dict[str, Any] = {"part": part, "of": 2, "sliced": ["parameters"], "parameters": [{"parameter": f"p{part}"}]}
        journal.ends(20, 1, 10, **told)
        stay = {"equipment": f"mixer{part}", "start": instant(1), "end": instant(9)}
        journal.batch(21, "end", "B1", 1, 9, equipment=None, part=part, of=2, sliced=["equipments"], equipments=[stay])
    found, _ = journal.captured()
    (step,) = found["mixer"].steps.values()
    assert [one["parameter"] for one in step["parameters"]] == ["p1", "p2"]
    assert [found[name].batches for name in ("mixer1", "mixer2")] == [["B1"], ["B1"]]


def test_a_step_that_turns_out_to_go_on_where_it_was_cut_runs_still() -> None:
    journal = Journal()
    journal.ends(20, 1, 10)
    journal.starts(21, 10, step="REST")
    told = {"equipment": "mixer", "step": "MIX", "run": 1, "reason": "late-data", "start": instant(1), "to": {"batch": "B1"}}
    journal.event(30, type="rebind", record="lyon/1/B1/mixer/MIX/1", supersedes="lyon/1/B1/mixer/REST/1", **told)
    found, _ = journal.captured("mixer")
    ((name, step),) = found["mixer"].steps.items()
    assert (name, step["transition"], step["end"]) == ("lyon/1/B1/mixer/MIX/1", "start", None)


def test_steps_stand_by_when_they_began_and_one_that_stood_before_what_is_held_is_among_them() -> None:
    journal = Journal()
    journal.ends(20, 1, 10)
    journal.ends(40, 12, 30, step="HEAT")
    steps = [{"type": "step", "transition": "start", **_step(step, start_s, None)} for step, start_s in (("COOL", 50), ("HOLD", -100))]
    found, _ = journal.captured("mixer", stood=Stood(BEGIN + 150 * S, 1_000, steps=steps))
    assert [one["step"] for one in found["mixer"].steps.values()] == ["HOLD", "MIX", "HEAT", "COOL"]
    assert "of which the journal holds no entry any more" in texts(found["mixer"])
