"""The periodic review: what the journal says of a period is counted, what it no longer holds is said, and nothing unseen is in order."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from kit.audited_journal import BEGAN, STORY, act, audited_line, ended, opened, who
from kit.commands import called
from kit.drop_line import drop_line, events
from kit.persons import options, people
from kit.processes import running, until

from buffer import Body
from buffer.times import TICKS_PER_S, rfc3339
from gateway.alarms.periodic import Kept
from gateway.entries.held import Calendar, Held, Span
from gateway.validation.review.coverage import Gaps
from gateway.validation.review.gathering import MOST_ROWS, Gathered, gathered
from gateway.validation.review.of_record import reconciliation
from gateway.validation.review.requalification import Now, needed

HOUR, DAY = 3_600 * TICKS_PER_S, 86_400 * TICKS_PER_S
PARIS = ZoneInfo("Europe/Paris")
PERIOD = Span(BEGAN, BEGAN + 60 * DAY)
RUN = {"schema": "ebr-gateway/document/1", "id": "r1", "sha256": "d" * 64, "title": "Verification of lyon/test-1", "batch": None}


def gap(transition: str, start: float, end: float | None = None, **more: Any) -> dict[str, Any]:
    """An event of a gap; times in hours of the period."""
    times = {"start": rfc3339(BEGAN + round(start * HOUR)), **({} if end is None else {"end": rfc3339(BEGAN + round(end * HOUR))})}
    return {"type": "gap", "transition": transition, "gap": "plc/1", "source": "plc", "tags": "all", "cause": "link-lost", **times, **more}


def covered(*told: Mapping[str, Any], held: Iterable[Span] = (PERIOD,), heard: bool = True) -> list[tuple[str, str]]:
    """The coverage of each month by what is told in it, as a share with three decimals."""
    gaps = Gaps(PERIOD, Calendar.of(PERIOD, PARIS))
    for event in told:
        gaps.take(event, rfc3339(BEGAN + HOUR))
    for day in range(60) if heard else ():
        gaps.readings("plc", rfc3339(BEGAN + day * DAY + 1))
    rows = gaps.months(held, ["plc"], PERIOD.end)
    return [(one.month, "not checked" if one.coverage is None else f"{one.coverage:.3f}") for one in rows]


def test_months_are_those_of_the_wall_clock_of_the_line() -> None:
    calendar = Calendar.of(PERIOD, PARIS)
    assert calendar.names == ("2026-11", "2026-12", "2027-01")
    assert [calendar.month(text) for text in ("2026-11-30T22:59:59.9Z", "2026-11-30T23:00:00.0Z", "2026-10-31T22:59:59Z")] == [
        *("2026-11", "2026-12"),
        "",
    ]
    assert sum(span.seconds for _, span in calendar.spans) == PERIOD.seconds


@pytest.mark.urs("URS-DAQ-11")
@pytest.mark.parametrize(
    ("told", "november"),
    [
        ([], "1.000"),
        ([gap("open", 1), gap("close", 1, 21.8, outcome="lost")], "0.900"),
        ([gap("close", -500, 20.8, outcome="lost")], "0.900"),
        ([gap("close", 1, 21.8, outcome="filled")], "1.000"),
        ([gap("close", 1, 21.8, outcome="lost"), gap("close", 11.4, 21.8, outcome="lost", gap="plc/2")], "0.900"),
        ([gap("open", 1, tags=["a"]), gap("close", 1, 21.8, outcome="lost", tags=["a"])], "1.000"),
        ([gap("open", 1), gap("close", 1, 21.8, outcome="lost", tags=["a"])], "0.900"),
        ([gap("open", 104)], "0.500"),
    ],
)
def test_coverage_is_what_no_gap_of_the_whole_source_hid(told: list[dict[str, Any]], november: str) -> None:
    assert covered(*told)[0] == ("2026-11", november)


@pytest.mark.urs("URS-DAQ-11")
def test_a_gap_that_is_told_of_after_the_period_hides_what_it_hid_in_it() -> None:
    gaps = Gaps(PERIOD, Calendar.of(PERIOD, PARIS))
    gaps.readings("plc", rfc3339(BEGAN + 59 * DAY))
    gaps.later(gap("open", 58 * 24))
    gaps.later(gap("close", 58 * 24, 61 * 24, outcome="lost"))
    gaps.later(gap("open", 62 * 24, gap="plc/2"))
    (*_, january) = gaps.months([PERIOD], ["plc"], PERIOD.end)
    assert (january.month, january.gaps, round(january.lost_s / 3_600)) == ("2027-01", 0, 48)


@pytest.mark.urs("URS-DAQ-11")
def test_a_month_in_which_nothing_tells_of_a_source_is_not_checked_and_none_is_hidden_by_what_is_not_held() -> None:
    assert covered(heard=False) == [("2026-11", "not checked"), ("2026-12", "not checked"), ("2027-01", "not checked")]
    assert covered(held=[Span(PERIOD.begin, PERIOD.begin + 20 * DAY)])[2] == ("2027-01", "not checked")
    half = [Span(PERIOD.begin + 104 * HOUR, PERIOD.end)]
    assert covered(gap("close", 1, 104, outcome="lost"), held=half)[0] == ("2026-11", "1.000")


@pytest.mark.urs("URS-BUF-06")
def test_what_of_a_period_is_not_held_is_known_by_its_numbers() -> None:
    whole = Held(PERIOD)
    for seq, at in ((1, -1), (2, 5), (3, 40), (4, 61)):
        whole.take(7, seq, BEGAN + at * DAY)
    whole.ended()
    assert (whole.holes, whole.entries, whole.spans()) == ([], 2, [PERIOD])
    stopped = Held(PERIOD)
    for seq, at in ((1, -1), (2, 40)):
        stopped.take(7, seq, BEGAN + at * DAY)
    stopped.ended()
    assert (stopped.holes, stopped.spans()) == ([Span(BEGAN + 40 * DAY, PERIOD.end)], [Span(BEGAN, BEGAN + 40 * DAY)])
    begun = Held(PERIOD)
    begun.take(7, 1, BEGAN + 3 * DAY, {"reason": "created", "follows": None})
    begun.take(7, 2, BEGAN + 61 * DAY)
    assert (begun.holes, begun.spans()) == ([], [Span(BEGAN + 3 * DAY, PERIOD.end)])
    cut = Held(PERIOD)
    for epoch, seq, at in ((7, 4097, 3), (7, 4098, 5), (7, 8193, 9), (8, 1, 10), (9, 5, 12)):
        cut.take(epoch, seq, BEGAN + at * DAY)
    assert [(hole.begin - BEGAN, hole.end - BEGAN) for hole in cut.holes] == [
        (0, 3 * DAY),
        (5 * DAY, 9 * DAY),
        (9 * DAY, 10 * DAY),
        (10 * DAY, 12 * DAY),
    ]
    nothing = Held(PERIOD)
    nothing.ended()
    assert nothing.holes == [PERIOD]


SALVAGED = {"reason": "salvaged", "follows": 7, "last_seq": 2, "lost": [], "tail": "whole"}


@pytest.mark.urs("URS-BUF-06")
@pytest.mark.parametrize(
    ("begins", "is_whole"),
    [
        (SALVAGED, True),
        ({**SALVAGED, "tail": "unknown"}, False),
        ({name: told for name, told in SALVAGED.items() if name != "tail"}, False),
        ({**SALVAGED, "reason": "restored", "tail": "unknown"}, False),
        ({**SALVAGED, "last_seq": 5}, False),
        ({**SALVAGED, "follows": 6}, False),
        ({**SALVAGED, "lost": [[3, 9]]}, False),
        ({"reason": "created", "follows": None, "last_seq": 0, "lost": []}, False),
        (None, False),
    ],
)
def test_a_new_epoch_is_whole_only_where_it_says_how_the_one_before_ended(begins: dict[str, Any] | None, is_whole: bool) -> None:
    held = Held(PERIOD)
    for seq, at in ((1, -1), (2, 5)):
        held.take(7, seq, BEGAN + at * DAY)
    held.take(9, 1, BEGAN + 8 * DAY, begins)
    held.take(9, 2, BEGAN + 61 * DAY)
    assert held.holes == ([] if is_whole else [Span(BEGAN + 5 * DAY, BEGAN + 8 * DAY)])
    assert held.began is False


def run(result: str = "passed", standing: str | None = None, **more: Any) -> dict[str, Any]:
    told = {
        "software": {"version": "1.0", "sha256": "a" * 64},
        "configuration": {"version": 1, "sha256": "c" * 64},
        "signed": ["x: executed"],
    }
    return {**told, "made": "2026-11-01T06:00:00Z", "result": result, "standing": standing or result, **more}


IQ, OQ = "installation-qualification", "operational-qualification"


@pytest.mark.urs("URS-VAL-07", "URS-VAL-08")
@pytest.mark.parametrize(
    ("newest", "now", "answer", "says"),
    [
        ({IQ: run(), OQ: run()}, Now("1.0", "a" * 64, "c" * 64), "no", []),
        ({IQ: run(), OQ: run("not-complete", "passed-with-dispositions")}, Now("1.0", "a" * 64, "c" * 64), "no", []),
        ({IQ: run(), OQ: run("not-complete")}, Now("1.0", "a" * 64, "c" * 64), "yes", ["its deviations are not disposed of"]),
        ({IQ: run(), OQ: run("finding", "not-complete")}, Now("1.0", "a" * 64, "c" * 64), "yes", ["by its dispositions"]),
        ({IQ: run(), OQ: run()}, Now("1.1", "b" * 64, "c" * 64), "yes", ["the software is 1.1", "the software is 1.1"]),
        ({IQ: run(), OQ: run()}, Now("1.0", "a" * 64, "e" * 64), "yes", ["the configuration is eeee", "the configuration is eeee"]),
        ({IQ: run(signed=[]), OQ: run()}, Now("1.0", "a" * 64, "c" * 64), "yes", ["was signed by nobody"]),
        ({OQ: run()}, Now("1.0", "a" * 64, "c" * 64), "yes", ["no IQ is recorded since 2026-10-01"]),
        ({IQ: run(), OQ: run()}, Now("1.0", "a" * 64, None), "not known", []),
    ],
)
def test_whether_it_is_to_be_qualified_again_and_why(newest: dict[str, Any], now: Now, answer: str, says: list[str]) -> None:
    told = needed(newest, "2026-10-01", now, [], [])
    assert told.answer == answer, told
    assert len(told.reasons) == len(says)
    assert all(part in reason for part, reason in zip(says, told.reasons, strict=True)), told.reasons
    assert any("performance" in text for text in told.unknown), "what the product does not make is never counted as done"
    assert needed(newest, None, now, ["the journal was restored"], []).answer == "yes"
    assert needed(newest, None, now, [], ["baseline-differs"]).answer == "yes"


def reviewed(line: Path, to: Path, *more: str, begin: str = "2026-11-22", end: str = "2026-11-23") -> dict[str, Any]:
    told = called("review", line, "--from", begin, "--to", end, "--into", to, *more)
    assert told.returncode == 1, told.stderr
    (file,) = to.glob("*.json")
    return dict(json.loads(file.read_text()))


@pytest.mark.urs("URS-AUD-07", "URS-OPS-01", "URS-VAL-07")
def test_a_review_tells_what_happened_in_the_period_and_looks_at_what_was_not_done(tmp_path: Path) -> None:
    signed = [{"name": "Edda Bauer", "role": "engineer", "meaning": "executed"}]
    kinds = {"made_at": {"time": rfc3339(BEGAN)}, "made_by": {}, "signatures": signed, "who": who("qa", "Q", "qa")}
    more: list[dict[str, Any]] = [
        {"type": "document", "document": "verification", "result": "not-complete", **RUN, **kinds},
        {"type": "finding", "code": "disk-full", "severity": "alarm", "source": None, "text": "the disk is full", "evidence": {}},
        {"type": "finding", "code": "witness-away", "severity": "alarm", "source": None, "text": "away", "evidence": {"witness": "w"}},
        {"type": "finding", "code": "witness-back", "severity": "info", "source": None, "text": "back", "evidence": {"witness": "w"}},
        act("unclean-start", what={"software": "1.0"}),
        act("backup"),
        ended("B2"),
    ]
    line = audited_line(tmp_path / "line", [*STORY, *more])
    people(line / "data")
    facts = reviewed(line, tmp_path / "r", *options("qa", tmp_path))["facts"]
    assert (facts["configuration"]["in_force"], facts["users"]["changes"]) == (2, 1)
    assert facts["reviews"] == {"made": 0, "missing": ["B1", "B2"]}
    assert facts["findings"]["by_code"] == {"disk-full/alarm": 1, "witness-away/alarm": 1, "source-row-changed/warning": 1}
    assert (facts["findings"]["open"], facts["incidents"]["count"]) == (2, 2), "one stands; one is over, and nobody has acknowledged it"
    assert (facts["deviations"], facts["copies"]["backups"]) == ({"runs": 1, "open": 1}, 1)
    assert (facts["software"], facts["clock"]["set"]) == ({"None": 1, "1.0": 1}, 1)
    before, after = ["2026-11-21 23:00Z", "2026-11-22 07:00Z"], ["2026-11-22 07:22Z", "2026-11-22 23:00Z"]
    assert facts["held"]["holes"] == [before, after], "the first entry is not the first one of all, and after the last nobody knows"
    assert facts["requalification"]["needed"] == "yes"
    assert "in order" not in {facts["verdicts"][topic] for topic in facts["verdicts"]}, "where not all is held, nothing is in order"
    assert facts["verdicts"]["reconciliation"] == "not checked"
    page = next((tmp_path / "r").glob("*.html")).read_text()
    for said in ("Anna Berg", "moved to the shift of QA", "whose audit trail nobody has reviewed: B1, B2", "nothing was disposed of"):
        assert said in page, said


@pytest.mark.urs("URS-AUD-07")
def test_a_running_line_is_reviewed_and_a_signature_of_quality_makes_it_count(tmp_path: Path) -> None:
    line = drop_line(tmp_path / "line", "[periodic]\n")
    people(line / "data")
    with running(line):
        until(lambda: any(event["action"] == "start" for event in events(line, "audit")))
        document = reviewed(line, tmp_path / "r", *options("qa", tmp_path), begin="2026-01-01", end="2999-01-01")
        facts = document["facts"]
        assert (facts["held"]["holes"], facts["verdicts"]["held"]) == ([], "in order"), "the journal began in the period"
        assert len({row["month"] for row in facts["coverage"]["months"]}) == 1
        assert facts["software"] == {document["software"]["version"]: 1}
        (file,) = (tmp_path / "r").glob("*.json")
        assert called("document", "sign", line, file, "--meaning", "periodic review", *options("qa", tmp_path)).returncode == 0
        status = json.loads(called("status", line, "--json").stdout)
    done = {row["what"]: row["done"] for row in status["periodic"]["watched"]}
    assert done["periodic-review"] == document["made_at"]["time"]
    assert done["verification"] is None
    assert [event["document"] for event in events(line, "document")] == ["periodic-review"] * 2
    stopped = reviewed(line, tmp_path / "s", begin="2026-01-01", end="2999-01-01")["facts"]
    assert stopped["copies"]["done"] == {"periodic-review": f"{done['periodic-review'][:16].replace('T', ' ')}Z"}


@pytest.mark.urs("URS-AUD-07", "URS-BUF-06")
def test_a_long_journal_is_read_from_the_period_on_keeps_few_rows_and_says_what_retention_took(tmp_path: Path) -> None:
    """Three segments of which the first is before the period, and the second is gone."""
    folder = drop_line(tmp_path / "line")
    (folder / "data").mkdir(mode=0o700)
    journal = opened(folder)
    for part in range(3):
        bodies = [_reading(BEGAN + part * 30 * DAY + seq * TICKS_PER_S) for seq in range(4_096)]
        journal.append(bodies).result()
    bodies = [_alarm(BEGAN + 61 * DAY + seq) for seq in range(MOST_ROWS + 50)]
    journal.append(bodies).result()
    journal.close()
    (second,) = [path for path in (folder / "data" / "segments").iterdir() if path.name.endswith("-4097.db")]
    second.unlink()
    made, months = gathered(
        folder / "data", Span(BEGAN + 10 * DAY, BEGAN + 61 * DAY + HOUR), ZoneInfo("UTC"), "lyon/test-1", Kept(), ["plc"]
    )
    assert [(round((hole.begin - BEGAN) / DAY), round((hole.end - BEGAN) / DAY)) for hole in made.held.holes] == [(10, 60)]
    assert (made.held.entries, len(made.rows["incident"].kept), made.rows["incident"].count) == (
        4_096 + MOST_ROWS + 50,
        MOST_ROWS,
        MOST_ROWS + 50,
    )
    assert [(one.month, one.lists, one.coverage) for one in months] == [("2026-12", 0, None), ("2027-01", 4_096, 1.0)]
    assert made.statuses == {"synchronised": 4_096, "": MOST_ROWS + 50}


def _reading(ticks: int) -> Body:
    clock = '"clock":{"status":"synchronised","bound_s":0.01}'
    return Body("ebr-gateway/readings/1", f'"time":"{rfc3339(ticks)}",{clock},"source":"plc","readings":[]}}'.encode())


def _alarm(ticks: int) -> Body:
    event: dict[str, Any] = {
        "type": "finding",
        "code": "journal-recovered",
        "severity": "alarm",
        "source": None,
        "text": f"{ticks}",
        "evidence": {},
    }
    return Body("ebr-gateway/event/1", f'"time":"{rfc3339(ticks)}","event":{json.dumps(event, separators=(",", ":"))}}}'.encode())


def test_a_period_that_has_not_begun_is_refused(tmp_path: Path) -> None:
    line = audited_line(tmp_path / "line", STORY[:1])
    told = called("review", line, "--from", "2999-01-01", "--into", tmp_path / "r")
    assert (told.returncode, "name a time that has begun" in told.stderr) == (2, True)
    assert not (tmp_path / "r").exists()


@pytest.mark.urs("URS-UPL-05")
@pytest.mark.parametrize(
    ("result", "at", "verdict"),
    [
        ("passed", 1, "in order"),
        ("finding", 1, "look"),
        ("not-complete", 1, "not checked"),
        ("passed", -1, "not checked"),
        (None, 0, "not checked"),
    ],
)
def test_the_reconciliation_is_in_order_only_by_a_comparison_of_all_in_this_time(result: str | None, at: int, verdict: str) -> None:
    told = {"id": "c1", "sha256": "d" * 64, "result": result, "ticks": PERIOD.begin + at * DAY}
    kept = Kept(newest={} if result is None else {"reconciliation": told})
    made = Gathered(PERIOD, PARIS, "lyon/test-1", kept, Held(PERIOD), Gaps(PERIOD, Calendar.of(PERIOD, PARIS)))
    topic = reconciliation(made, kept, PERIOD.begin)
    assert (topic.id, topic.verdict) == ("reconciliation", verdict)
