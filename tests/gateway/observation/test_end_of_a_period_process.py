"""A period is ended by a summary that says what is known, by the limits in force: not by an older one, nor by one of other limits."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from kit.commands import called
from kit.observed_line import observed_line
from kit.observed_story import BEGIN, UNTIL, Story, at
from kit.persons import REASON, options, people
from kit.processes import running

from gateway.operation.observing import told_of_period

AFTER = UNTIL + timedelta(days=1)
COMPARED = {
    "type": "document",
    "document": "parallel-run-comparison",
    "batch": "B1",
    "result": "finding",
    "made_at": {"time": "2026-11-01T08:00:00.000000Z"},
    "made_by": {"user": "engineer"},
}


def summary_of(story: Story, tmp: Path) -> Path:
    """A summary that an engineer makes now; by name, the newest one."""
    files = tmp / f"documents{len(list(tmp.iterdir()))}"
    story.journal.close()
    called("observation", "summary", story.line, "--to", files, "--form", "json", *options("engineer", tmp))
    story.open()
    (file,) = files.glob("observation-summary-*.json")
    return file


def end(story: Story, file: Path, tmp: Path) -> tuple[int, str]:
    story.journal.close()
    told = called("observation", "end", story.line, file, "--reason", REASON, *options("qa", tmp))
    story.open()
    return told.returncode, told.stderr


def over(tmp: Path, *, last_is_reported: bool = True) -> Story:
    """A period of which the last days have passed; reports of all days, or of all but the last."""
    folder = observed_line(tmp / "line", BEGIN, UNTIL)
    people(folder / "data")
    story = Story(folder)
    story.day(UNTIL)
    asyncio.run(story.midnight(AFTER, hours=0.4 if last_is_reported else 0.1))
    assert (str(UNTIL) in story.kept.days) is last_is_reported
    return story


@pytest.mark.urs("URS-OBS-04")
@pytest.mark.parametrize(
    ("later", "says"),
    [
        (lambda s: s.batch(at(AFTER, 5), "B1", status="incomplete", revision=2), "the record of batch B1 was revised"),
        (lambda s: s.tell(COMPARED, at(AFTER, 5)), "batch B1 was compared with the legacy record"),
        (lambda s: s.gap("lims/9", at(UNTIL, 23), at(AFTER, 5)), "a gap of lims since 2026-10-30T22:00:00"),
    ],
)
def test_a_summary_does_not_end_a_period_of_which_something_was_told_since(
    later: Callable[[Story], None], says: str, tmp_path: Path
) -> None:
    story = over(tmp_path)
    stale = summary_of(story, tmp_path)
    later(story)
    code, told = end(story, stale, tmp_path)
    assert (code, len(told.strip().splitlines())) == (2, 1), told
    assert says in told
    assert "make a new summary: observation summary LINE --to DIR" in told
    assert end(story, summary_of(story, tmp_path), tmp_path) == (0, "")


@pytest.mark.urs("URS-OBS-04")
def test_a_summary_that_was_made_before_the_last_days_report_does_not_end_the_period(tmp_path: Path) -> None:
    story = over(tmp_path, last_is_reported=False)
    stale = summary_of(story, tmp_path)
    asyncio.run(story.midnight(AFTER))
    code, told = end(story, stale, tmp_path)
    assert (code, "the report of 2026-10-30 was made" in told) == (2, True), told


@pytest.mark.urs("URS-OBS-04")
def test_a_summary_that_was_judged_by_other_limits_does_not_end_the_period(tmp_path: Path) -> None:
    story = over(tmp_path)
    soft = summary_of(story, tmp_path)
    file = story.line / "line.toml"
    file.write_text(file.read_text().replace("gaps = 4", "gaps = 0"))
    code, told = end(story, soft, tmp_path)
    assert (code, "judged by other limits than those of [observation] in force; make a new summary" in told) == (2, True), told
    assert end(story, summary_of(story, tmp_path), tmp_path) == (0, "")


@pytest.mark.urs("URS-OBS-04")
def test_a_running_gateway_refuses_what_was_made_before_and_takes_what_was_made_since(tmp_path: Path) -> None:
    story = over(tmp_path)
    stale = summary_of(story, tmp_path)
    story.batch(at(AFTER, 5), "B1", status="incomplete", revision=2)
    story.journal.close()
    with running(story.line):
        end_by = ("--reason", REASON, *options("qa", tmp_path))
        assert "the record of batch B1 was revised" in called("observation", "end", story.line, stale, *end_by).stderr
        files = tmp_path / "now"
        called("observation", "summary", story.line, "--to", files, "--form", "json", *options("engineer", tmp_path))
        (file,) = files.glob("observation-summary-*.json")
        told = called("observation", "end", story.line, file, *end_by)
        assert (told.returncode, told.stderr) == (0, "")


@pytest.mark.urs("URS-OBS-04")
def test_what_is_told_of_other_days_leaves_a_summary_as_good_as_it_was(tmp_path: Path) -> None:
    story = over(tmp_path)
    file = summary_of(story, tmp_path)
    story.gap("lims/9", at(AFTER, 2), at(AFTER, 5))
    story.batch(at(AFTER, 6), "B7")
    story.alarm(at(AFTER, 7), "of the next day")
    before = json.loads(file.read_text())["facts"]
    assert before["is_over"] is True
    assert end(story, file, tmp_path) == (0, "")


@pytest.mark.urs("URS-OBS-04")
def test_a_gap_that_lies_before_the_period_changes_none_of_its_days(tmp_path: Path) -> None:
    told = Story(observed_line(tmp_path / "line", BEGIN, UNTIL)).told
    event = {"type": "gap", "source": "lims", "start": "2026-09-29T08:00:00Z"}
    assert told_of_period({**event, "end": "2026-09-30T21:59:59Z"}, told, "Europe/Paris") == ""
    assert told_of_period({**event, "end": "2026-09-30T22:00:01Z"}, told, "Europe/Paris") != ""
    assert told_of_period(event, told, "Europe/Paris") != "", "it is open"
