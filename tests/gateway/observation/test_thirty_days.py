"""Thirty simulated days after go-live: a report of each, also of the one on which the gateway was down, and an end by QA alone."""

import asyncio
import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from kit.commands import called
from kit.drop_line import events
from kit.observed_line import observed_line
from kit.observed_story import BEGIN, PARIS, UNTIL, Story, at, thirty_days
from kit.persons import REASON, options, people
from kit.processes import running, until

from gateway.observation.document import day_draft
from gateway.observation.judging import judged
from gateway.observation.reading import gathered, of_day

EXCEEDED = {5: "longest_gap_s", 8: "coverage", 9: "coverage", 10: "gap_s", 14: "alarms", 22: "incomplete_batches"}


def day(number: int) -> date:
    return BEGIN + timedelta(days=number - 1)


def reports(story: Story) -> dict[str, dict[str, Any]]:
    """The documents in the folder, by day."""
    told = [json.loads(path.read_text()) for path in sorted((story.data / "observations").glob("*.json"))]
    return dict(sorted((one["facts"]["observation"]["day"], one) for one in told))


def rows(document: dict[str, Any]) -> dict[str, tuple[str | None, str]]:
    return {row["limit"]: (row["value"], row["verdict"]) for row in document["facts"]["limits"]}


@pytest.mark.urs("URS-OBS-04")
def test_each_of_thirty_days_has_its_report_and_only_qa_ends_the_period(tmp_path: Path) -> None:
    folder, files = observed_line(tmp_path / "line", BEGIN, UNTIL), tmp_path / "documents"
    people(folder / "data")
    story = Story(folder)
    asyncio.run(thirty_days(story))

    told = reports(story)
    assert list(told) == [str(day(number)) for number in range(1, 31)]
    results = {number: told[str(day(number))]["result"] for number in range(1, 31)}
    assert {number for number, result in results.items() if result == "finding"} == set(EXCEEDED)
    assert {number for number, result in results.items() if result == "not-complete"} == {20}
    for number, limit in EXCEEDED.items():
        assert rows(told[str(day(number))])[limit][1] == "exceeded", number
    down = rows(told[str(day(9))])
    assert down["coverage"] == ("0", "exceeded")
    assert down["gap_s"] == ("86400", "exceeded")
    assert [down[name][1] for name in ("alarms", "late_cycles", "incomplete_batches", "clock_bound_s")] == ["not known"] * 4
    assert rows(told[str(day(20))])["clock_bound_s"] == ("0.002", "not known")
    assert rows(told[str(day(5))])["longest_gap_s"] == ("400", "exceeded")
    assert rows(told[str(day(25))])["coverage"] == ("1", "within"), "25 October has 25 hours"
    assert told[str(day(6))]["facts"]["batches"] == [{"batch": "B6", "status": "complete", "comparison": None}]
    assert [rows(told[str(day(6))])[name][1] for name in ("duplicates", "reconciliation_differences")] == ["not judged"] * 2
    assert len(list((story.data / "observations").glob("*.html"))) == 30
    exceeded = story.findings("observation-exceeded")
    assert [(severity, text[:10]) for severity, text in exceeded] == [("alarm", str(day(number))) for number in sorted(EXCEEDED)]
    assert "longest_gap_s 400 s, limit 300 s" in exceeded[0][1]
    assert [text[:10] for _, text in story.findings("observation-not-known")] == [str(day(number)) for number in (8, 9, 20)]
    (open_,) = story.findings("observation-open")
    assert open_[0] == "alarm"
    assert "until somebody of role qa signs its summary" in open_[1]
    story.journal.close()

    for number in (5, 9, 20):
        made = of_day(story.data, story.told, PARIS, day(number))
        anew = day_draft("lyon/test-1", story.told, made, judged(made, made.by_day[day(number)], story.told.limits, []), made.kept)
        assert anew["facts"]["limits"] == told[str(day(number))]["facts"]["limits"], "who makes a report anew gets the same figures"

    by_hand = called("observation", "report", folder, "--day", str(day(9)), "--to", files, "--form", "json")
    assert by_hand.returncode == 1, by_hand.stderr
    assert "not known   alarms" in by_hand.stdout
    assert called("observation", "report", folder, "--day", str(day(6))).returncode == 0
    assert "the period is" in called("observation", "report", folder, "--day", "2026-11-05").stderr

    made_summary = called("observation", "summary", folder, "--to", files, *options("engineer", tmp_path))
    assert made_summary.returncode == 1
    assert "23 days within all limits, 6 beyond one, 1 not complete" in made_summary.stdout
    (file,) = files.glob("observation-summary-*.json")
    facts = json.loads(file.read_text())["facts"]
    assert (facts["days_without_report"], facts["is_over"], facts["batches"]["incomplete"]) == ([], True, 1)

    ends(folder, file, tmp_path)
    with running(folder):
        until(lambda: "ended by Quentin Abel" in called("status", folder).stdout)
    stands = [one for one in events(folder, "document") if one["document"] == "observation-summary" and one["signatures"]]
    assert [one.get("reason") for one in stands] == [None, REASON], "a review of the summary ends nothing"


def ends(folder: Path, file: Path, tmp: Path) -> None:
    """Who can not end it, with what, and who can."""
    end = ("observation", "end", folder, file, "--reason", REASON)
    assert "qa" in (refused := called(*end, *options("engineer", tmp))).stderr
    assert refused.returncode == 2
    nobody = called(*end)
    assert nobody.returncode == 2, "nobody's word ends it"
    other = next(iter(sorted(file.parent.glob("observation-day-*.json"))))
    assert "but one of type observation-day" in called("observation", "end", folder, other, "--reason", REASON, *options("qa", tmp)).stderr
    signed = called("document", "sign", folder, file, "--meaning", "observation ended", *options("qa", tmp))
    assert "this ends the period" in signed.stderr
    assert called("document", "sign", folder, file, "--meaning", "reviewed", *options("engineer", tmp)).returncode == 0
    changed = file.with_name("changed.json")
    changed.write_text(file.read_text().replace('"finding"', '"passed"'))
    assert "was changed" in called("observation", "end", folder, changed, "--reason", REASON, *options("qa", tmp)).stderr
    done = called(*end, *options("qa", tmp))
    assert done.returncode == 0, done.stderr
    assert "the observation is ended, with a summary that says: finding" in done.stdout


@pytest.mark.urs("URS-OBS-04")
def test_a_period_that_lasts_is_not_ended_by_anybody(tmp_path: Path) -> None:
    folder, files = observed_line(tmp_path / "line", BEGIN, UNTIL), tmp_path / "documents"
    people(folder / "data")
    story = Story(folder)
    for number in range(1, 4):
        story.day(day(number))
        asyncio.run(story.midnight(day(number + 1)))
    story.journal.close()
    early = called("observation", "summary", folder, "--to", files, *options("qa", tmp_path))
    assert "The period is not over: 3 days within all limits, 0 beyond one, 0 not complete, 27 to come." in early.stdout
    (file,) = files.glob("observation-summary-*.json")
    refused = called("observation", "end", folder, file, "--reason", REASON, *options("qa", tmp_path))
    assert (refused.returncode, "the period lasts until 2026-10-30: make its summary on 2026-10-31 or later" in refused.stderr) == (2, True)
    assert "not over" in called("observation", "report", folder, "--day", str(day(4))).stderr


@pytest.mark.urs("URS-OBS-04", "URS-TIME-05")
async def test_a_clock_that_is_not_verified_reports_no_day_that_nobody_has_seen(tmp_path: Path) -> None:
    story = Story(observed_line(tmp_path / "line", BEGIN, UNTIL))
    story.day(day(1))
    await story.midnight(day(12), "unsynchronised")
    assert story.kept.days == {}, "a clock that woke up years ahead"
    await story.midnight(day(12), "synchronised", 0.5)
    assert sorted(story.kept.days) == [str(day(number)) for number in range(1, 12)]
    unseen = {one["result"] for told, one in story.kept.days.items() if told != str(day(1))}
    assert unseen == {"not-complete"}, "nothing tells of these days, and no gap either"


@pytest.mark.urs("URS-OBS-04")
async def test_a_run_reports_no_day_twice_whatever_is_kept_of_its_reports(tmp_path: Path) -> None:
    story = Story(observed_line(tmp_path / "line", BEGIN, UNTIL))
    story.day(day(1))
    await story.midnight(day(2))
    story.kept.days.clear()
    await story.midnight(day(2), hours=0.5)
    assert len(reports(story)) == len(list((story.data / "observations").glob("*.json"))) == 1


@pytest.mark.urs("URS-OBS-04")
def test_what_is_told_later_is_in_the_summary_and_what_was_exceeded_stays_so(tmp_path: Path) -> None:
    """A gap that goes over midnight belongs to both days; a record that is revised, and a gap that was open before, are known."""
    story = Story(observed_line(tmp_path / "line", BEGIN, UNTIL))
    story.gap("lims/0", at(BEGIN - timedelta(days=3)), at(day(1), 0.05))
    story.day(day(1))
    story.batch(at(day(1), 23.6), "B1", status="incomplete")
    asyncio.run(story.midnight(day(2)))
    story.batch(at(day(2), 1), "B1", status="complete", revision=2)
    story.day(day(2))
    story.gap("lims/1", at(day(2), 23.98), at(day(3), 0.02))
    asyncio.run(story.midnight(day(3)))
    story.journal.close()
    made = gathered(story.data, story.told, PARIS)
    first, second, third = (judged(made, made.days[at], story.told.limits, []) for at in range(3))
    assert (first.day.batches, first.sources[0].gaps, first.sources[0].gap_ticks) == ({"B1": "complete"}, 1, 180 * 10_000_000)
    assert (second.day.batches, second.sources[0].gap_ticks, third.sources[0].gap_ticks) == ({}, 72 * 10_000_000, 72 * 10_000_000)
    assert story.kept.days[str(day(1))]["result"] == "finding"
    told = called("observation", "summary", story.line, "--json")
    by_day = {one["day"]: one for one in json.loads(told.stdout)["days"]}
    assert (by_day[str(day(1))]["now"], by_day[str(day(1))]["result"]) == ("passed", "finding")
