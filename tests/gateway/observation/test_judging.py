"""A day is judged by what the journal tells of it: what was not observed, compared, held or bounded is never within a limit."""

import json
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from buffer import Entry
from buffer.times import TICKS_PER_S, rfc3339
from config.sections import ObservationLimits
from gateway.observation.day import day_span
from gateway.observation.document import ranges_of
from gateway.observation.gathering import Gathered
from gateway.observation.judging import Row, judged, plain
from gateway.observation.reading import open_before

PARIS = ZoneInfo("Europe/Paris")
FIRST = date(2026, 10, 1)
BEGAN = day_span(FIRST, PARIS).begin
HOUR = 3_600 * TICKS_PER_S
LIMITS = ObservationLimits(
    incomplete_batches=0,
    coverage=0.9,
    gaps=2,
    gap_s=3600,
    longest_gap_s=3600,
    late_cycles=1,
    clock_bound_s=0.5,
    alarms=0,
    duplicates=0,
    reconciliation_differences=0,
    comparison_mismatches=0,
)
FILES = {
    "type": "config",
    "part": 1,
    "of": 1,
    "files": [{"name": "line.toml", "text": '[[source]]\nname = "plc"\n[[source]]\nname = "mes"\n'}],
}
TABLE = {"type": "tagset", "source": "plc", "first": 0, "of": 2, "tags": [{"tag": "a"}, {"tag": "b"}]}


def entry(seq: int, hours: float, event: Mapping[str, Any] | None, status: str = "synchronised", bound_s: float | None = 0.01) -> Entry:
    """An entry so long after the first midnight; event None: readings of the PLC."""
    clock = {"status": status, "bound_s": bound_s, "boot": "b", "monotonic_s": 1.0}
    rest = {"source": "plc", "readings": []} if event is None else {"event": event}
    told = {"time": rfc3339(BEGAN + round(hours * HOUR)), "clock": clock, **rest}
    return Entry(7, seq, "", json.dumps(told, separators=(",", ":")).encode())


def gap(transition: str, name: str, start: float, end: float | None = None, tags: Any = "all", **more: Any) -> dict[str, Any]:
    times = {"start": rfc3339(BEGAN + round(start * HOUR)), **({} if end is None else {"end": rfc3339(BEGAN + round(end * HOUR))})}
    return {"type": "gap", "transition": transition, "gap": name, "source": "plc", "tags": tags, "cause": "link-lost", **times, **more}


def compared(result: str = "passed", uplink: str = "ebr", kind: str = "reconciliation") -> dict[str, Any]:
    return {
        "type": "document",
        "document": kind,
        "id": "d",
        "title": f"Reconciliation of lyon/test-1 with {uplink}",
        "result": result,
        "batch": None,
    }


def comparison(batch: str, result: str, minute: int = 0) -> dict[str, Any]:
    made = {"time": f"2026-10-02T08:{minute:02}:00Z"}
    return {"type": "document", "document": "parallel-run-comparison", "batch": batch, "result": result, "made_at": made}


def batch(name: str, status: str = "complete", revision: int = 1) -> dict[str, Any]:
    return {"type": "batch", "transition": "end", "batch": name, "revision": revision, "status": status}


def found(code: str, severity: str = "alarm") -> dict[str, Any]:
    return {"type": "finding", "code": code, "severity": severity, "source": None, "tags": [], "text": ""}


def heard(source: str, hours: float) -> dict[str, Any]:
    return {"type": "heartbeat", "observed": {source: rfc3339(BEGAN + round(hours * HOUR))}}


GOOD: list[tuple[float, Mapping[str, Any] | None]] = [
    *[(-2.0, FILES), (-1.9, TABLE), (1.0, None), (5.0, heard("mes", 5)), (20.0, compared()), (23.9, None)],
    (24.5, None),
]


def rows(told: Iterable[tuple[float, Mapping[str, Any] | None]], at: int = 0, **clock: Any) -> dict[str, tuple[str | None, str]]:
    """Judge a day of three; entries stand in the order of their time."""
    made = Gathered(FIRST, FIRST + timedelta(days=2), PARIS)
    for seq, (hours, event) in enumerate(sorted(told, key=lambda one: one[0]), 1):
        made.take(entry(seq, hours, event, **clock))
    return {row.limit: (row.value, row.verdict) for row in judged(made, made.days[at], LIMITS, ["ebr"]).rows}


def test_a_good_day_is_within_every_limit() -> None:
    assert {verdict for _, verdict in rows(GOOD).values()} == {"within"}


@pytest.mark.urs("URS-OBS-04")
@pytest.mark.parametrize(
    ("without", "more", "limit", "value", "verdict"),
    [
        (heard("mes", 5), [], "coverage", "1", "not known"),
        (heard("mes", 5), [], "gaps", "0", "not known"),
        (compared(), [], "reconciliation_differences", "0", "not known"),
        (compared(), [(20.0, compared("not-complete"))], "reconciliation_differences", "0", "not known"),
        (compared(), [(20.0, compared(kind="reconciliation-of-batch"))], "reconciliation_differences", "0", "not known"),
        (compared(), [(20.0, compared(uplink="other"))], "reconciliation_differences", "0", "not known"),
        (None, [(21.0, compared("finding", kind="reconciliation-of-batch"))], "reconciliation_differences", "1", "exceeded"),
        (None, [(2.0, batch("B1"))], "comparison_mismatches", "0", "not known"),
        (None, [(2.0, batch("B1")), (30.0, comparison("B1", "passed"))], "comparison_mismatches", "0", "within"),
        (None, [(2.0, batch("B1")), (30.0, comparison("B1", "finding"))], "comparison_mismatches", "1", "exceeded"),
        (None, [(2.0, batch("B1")), (30.0, comparison("B1", "not-complete"))], "comparison_mismatches", "0", "not known"),
        (None, [(2.0, batch("B1", "incomplete")), (3.0, comparison("B1", "passed"))], "incomplete_batches", "1", "exceeded"),
        (None, [(2.0, batch("B1", "incomplete")), (30.0, batch("B1", revision=2))], "incomplete_batches", "0", "within"),
        (None, [(3.0, found("duplicate-share", "warning"))], "duplicates", "1", "exceeded"),
        (None, [(3.0, found("disk-slow")), (4.0, found("observation-exceeded"))], "alarms", "1", "exceeded"),
        (None, [(4.0, found("observation-exceeded"))], "alarms", "0", "within"),
        (None, [(3.0, found("late-cycle", "warning")), (4.0, gap("open", "g", 3.9, cause="not-asked"))], "late_cycles", "2", "exceeded"),
    ],
)
def test_what_is_not_known_is_never_within_a_limit(
    without: Any, more: list[tuple[float, Any]], limit: str, value: str, verdict: str
) -> None:
    told = [one for one in GOOD if without is None or one[1] != without]
    assert rows([*told, *more])[limit] == (value, verdict)


@pytest.mark.urs("URS-OBS-04", "URS-TIME-05")
def test_a_clock_of_which_nothing_is_known_is_within_no_bound() -> None:
    assert rows(GOOD, status="unknown", bound_s=None)["clock_bound_s"] == (None, "not known")
    assert rows(GOOD, bound_s=0.7)["clock_bound_s"] == ("0.7", "exceeded")


@pytest.mark.urs("URS-OBS-04", "URS-DAQ-11")
@pytest.mark.parametrize(
    ("events", "gaps", "gap_s", "coverage"),
    [
        ([(2, gap("open", "g", 1)), (3, gap("close", "g", 1, 3, outcome="lost"))], "1", "7200", "0.916666"),
        ([(2, gap("open", "g", 1)), (3, gap("close", "g", 1, 3, outcome="filled"))], "0", "0", "1"),
        ([(2, gap("open", "g", 1)), (3, gap("close", "g", 1, 3, ["a"], outcome="lost"))], "1", "82800", "0.041666"),
        (
            [(2, gap("open", "g", 1)), *((at, gap("close", "g", 1, at, [tag], outcome="lost")) for at, tag in ((3, "a"), (4, "b")))],
            *("1", "10800", "0.875"),
        ),
        ([(2, gap("open", "g", 1, tags=["a"]))], "1", "82800", "0.041666"),
        (
            [(3, gap("close", "old", -9, 3, ["a"], outcome="lost")), (4, gap("close", "old", -9, 4, ["b"], outcome="lost"))],
            "1",
            "14400",
            "0.833333",
        ),
        (
            [
                (2, gap("open", "g", 1)),
                (3, gap("open", "h", 2)),
                *((4, gap("close", n, s, 4, outcome="lost")) for n, s in (("g", 1), ("h", 2))),
            ],
            "2",
            "10800",
            "0.875",
        ),
    ],
)
def test_what_one_tag_lacks_its_source_lacks_and_two_gaps_at_a_time_hide_it_once(
    events: list[tuple[float, Any]], gaps: str, gap_s: str, coverage: str
) -> None:
    told = rows([*GOOD, *events])
    assert [told[name][0] for name in ("gaps", "gap_s", "coverage")] == [gaps, gap_s, coverage]


@pytest.mark.urs("URS-OBS-04")
@pytest.mark.parametrize(
    "ends",
    [
        [(22, gap("close", "g", 3, 22, cause="gateway-crashed", outcome="filled"))],
        [(at, gap("close", "g", 3, at, [tag], cause="gateway-stopped", outcome="filled")) for at, tag in ((21, "a"), (22, "b"))],
    ],
)
@pytest.mark.parametrize("is_opened", [True, False])
def test_what_was_filled_after_the_gateway_was_down_spares_the_gaps_alone(ends: list[tuple[float, Any]], is_opened: bool) -> None:
    opens = [(21, gap("open", "g", 3, cause=ends[0][1]["cause"]))] if is_opened else []
    told = rows([*GOOD, *opens, *ends])
    assert [told[name] for name in ("gaps", "gap_s", "coverage")] == [("0", "within"), ("0", "within"), ("1", "within")]
    unseen = ("incomplete_batches", "late_cycles", "duplicates", "comparison_mismatches", "alarms")
    assert {name: told[name][1] for name in unseen} == dict.fromkeys(unseen, "not known")


@pytest.mark.urs("URS-OBS-04")
def test_a_gap_that_opened_before_what_is_read_and_of_which_nothing_is_told_since_hides_every_day() -> None:
    stored = [
        {"id": "old", "source": "plc", "start": BEGAN - 50 * HOUR, "cause": "link-lost", "left": ["b"]},
        {"id": "new", "source": "plc", "start": BEGAN + HOUR, "cause": "link-lost", "left": None},
    ]
    made = Gathered(FIRST, FIRST + timedelta(days=2), PARIS, open_before(stored, BEGAN))
    for seq, (hours, event) in enumerate(GOOD, 1):
        made.take(entry(seq, hours, event))
    told = judged(made, made.days[0], LIMITS, ["ebr"])
    assert [(row.value, row.verdict) for row in told.rows if row.limit == "coverage"] == [("0", "exceeded")]


@pytest.mark.urs("URS-OBS-04", "URS-BUF-06")
def test_a_day_of_which_entries_were_pruned_is_not_known() -> None:
    made = Gathered(FIRST, FIRST + timedelta(days=2), PARIS)
    for seq, (hours, event) in zip((1, 2, 3, 4097, 4098, 4099, 4100), GOOD, strict=True):
        made.take(entry(seq, hours, event))
    told = judged(made, made.days[0], LIMITS, ["ebr"])
    assert told.result == "not-complete"
    assert {row.verdict for row in told.rows} == {"not known", "within"}
    assert [row.limit for row in told.rows if row.verdict == "within"] == ["reconciliation_differences"], (
        "that was compared, whatever is held"
    )
    assert all("missing" in row.why for row in told.rows if row.verdict == "not known")


@pytest.mark.urs("URS-OBS-04")
def test_a_day_is_read_through_the_entry_that_its_report_named_and_no_further() -> None:
    made = Gathered(FIRST, FIRST + timedelta(days=2), PARIS, through=(7, len(GOOD)))
    later = [(25.0, batch("B1")), (26.0, found("disk-slow")), (30.0, gap("close", "old", -9, 30, outcome="lost"))]
    for seq, (hours, event) in enumerate([*GOOD, *later], 1):
        made.take(entry(seq, hours, event))
    first, second = (judged(made, made.days[at], LIMITS, ["ebr"]) for at in (0, 1))
    assert (second.day.batches, second.day.raised) == ({}, {})
    assert next(one.coverage for one in first.sources if one.source == "plc") == 0, "it was open then, as what came later tells"


def crowded(seconds_each: float, cause: str = "link-lost") -> dict[str, Row]:
    """Judge a day of 12,000 gaps of the PLC, seven seconds from one to the next; of one longer gap 720 s lie in the day."""
    made = Gathered(FIRST, FIRST + timedelta(days=2), PARIS)
    every = 7 / 3_600
    gaps = [(f"g{at}", 0.25 + at * every, 0.25 + at * every + seconds_each / 3_600) for at in range(12_000)]
    told = [gap("close", name, start, end, outcome="lost", cause=cause) for name, start, end in [*gaps, ("long", -0.8, 0.2)]]
    for seq, (hours, event) in enumerate([*GOOD[:-1], *((23.9, one) for one in told), GOOD[-1]], 1):
        made.take(entry(seq, hours, event))
    return {row.limit: row for row in judged(made, made.days[0], LIMITS, ["ebr"]).rows}


@pytest.mark.urs("URS-OBS-04")
def test_of_more_gaps_than_are_kept_what_is_known_is_a_lower_bound_and_exceeds_what_it_exceeds() -> None:
    told = crowded(0.1)
    assert (told["gaps"].value, told["gaps"].verdict) == ("12001", "exceeded")
    assert (told["longest_gap_s"].value, told["longest_gap_s"].verdict) == ("720", "within")
    assert (told["gap_s"].verdict, "too many gaps to add up" in told["gap_s"].why) == ("not known", True)
    assert 1_620 <= float(told["gap_s"].value or 0) < 720 + 12_000 * 0.1
    assert (told["coverage"].verdict, "too many gaps to add up" in told["coverage"].why) == ("not known", True)
    assert told["alarms"].verdict == "within"
    more = crowded(1)
    assert more["gap_s"].verdict == more["coverage"].verdict == "exceeded"


@pytest.mark.urs("URS-OBS-04")
def test_how_long_the_gateway_was_down_is_not_known_of_more_gaps_than_are_kept() -> None:
    told = crowded(0.1, "gateway-crashed")["alarms"]
    assert (told.verdict, "too many gaps to add up" in told.why) == ("not known", True)


@pytest.mark.urs("URS-OBS-04")
def test_the_entries_that_were_read_are_named_of_each_epoch() -> None:
    made = Gathered(FIRST, FIRST + timedelta(days=2), PARIS)
    assert ranges_of(made) == []
    for epoch, seq in ((7, 41), (7, 42), (8, 1), (8, 2), (8, 3), (11, 1)):
        made.take(entry(seq, 1.0, None)._replace(epoch=epoch))
    assert ranges_of(made) == [
        {"epoch": 7, "first": 41, "last": 42},
        {"epoch": 8, "first": 1, "last": 3},
        {"epoch": 11, "first": 1, "last": 1},
    ]


def test_what_is_written_is_never_better_than_what_is() -> None:
    from decimal import Decimal

    assert (plain(Decimal("0.0000001")), plain(Decimal("0.9999999"), up=False), plain(Decimal(3))) == ("0.000001", "0.999999", "3")
