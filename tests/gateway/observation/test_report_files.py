"""The files of reports: a folder that can not be written keeps none from being written later, and a missing one is made again as it was."""

from datetime import timedelta
from pathlib import Path

import pytest
from kit.observed_line import observed_line
from kit.observed_story import BEGIN, PARIS, UNTIL, Story

from gateway.documents import read
from gateway.observation.day import today
from gateway.runtime.observation_files import put

pytestmark = pytest.mark.urs("URS-OBS-04")
CODE = "observation-not-written"


async def days(story: Story, first: int, last: int) -> None:
    """Days of the period, each with its report."""
    for number in range(first, last + 1):
        story.day(BEGIN + timedelta(days=number - 1))
        await story.midnight(BEGIN + timedelta(days=number))


async def looks(story: Story, count: int) -> None:
    """The next looks of the run that goes on."""
    for _ in range(count):
        await story.midnight(today(story.now, PARIS), hours=0.5)


def digests(story: Story) -> dict[str, str]:
    """Day -> SHA-256 of the report in the folder."""
    told = [read(path) for path in (story.data / "observations").glob("*.json")]
    return {one["facts"]["observation"]["day"]: one["sha256"] for one in told}


def recorded(story: Story) -> dict[str, str]:
    return {day: one["sha256"] for day, one in story.kept.days.items()}


async def test_reports_wait_for_a_folder_that_can_not_be_written_and_are_written_when_it_can(tmp_path: Path) -> None:
    story = Story(observed_line(tmp_path / "line", BEGIN, UNTIL))
    (story.data / "observations").write_text("in the way")
    await days(story, 1, 3)
    assert len(story.kept.days) == 3, "the journal has them"
    ((severity, text),) = story.findings(CODE)
    assert (severity, str(story.data / "observations") in text, "let the gateway's account write there" in text) == ("warning", True, True)
    (story.data / "observations").unlink()
    await looks(story, 1)
    assert digests(story) == recorded(story)
    assert [severity for severity, _ in story.findings(CODE)] == ["warning", "info"]


async def test_a_run_that_ended_before_the_file_was_written_leaves_it_to_the_next_one_which_makes_the_same(tmp_path: Path) -> None:
    story = Story(observed_line(tmp_path / "line", BEGIN, UNTIL))
    (story.data / "observations").write_text("in the way")
    await days(story, 1, 2)
    story.start()
    (story.data / "observations").unlink()
    await looks(story, 3)
    assert digests(story) == recorded(story)
    assert len(list((story.data / "observations").glob("*.html"))) == 2
    for path in (story.data / "observations").iterdir():
        path.unlink()
    story.start()
    await days(story, 3, 5)
    assert digests(story) == recorded(story), "days 3 to 5 as they were made, days 1 and 2 again"


async def test_a_report_that_does_not_come_out_the_same_is_not_written_in_its_place(tmp_path: Path) -> None:
    story = Story(observed_line(tmp_path / "line", BEGIN, UNTIL))
    await days(story, 1, 1)
    for path in (story.data / "observations").iterdir():
        path.unlink()
    story.told = story.told.model_copy(update={"limits": story.told.limits.model_copy(update={"gaps": 9})})
    story.start()
    await looks(story, 3)
    ((severity, text),) = story.findings(CODE)
    assert (severity, "can not be made again as it was" in text, "observation report LINE --day 2026-10-01" in text) == (
        "warning",
        True,
        True,
    )
    assert digests(story) == {}


async def test_a_file_that_was_written_in_part_is_written_whole(tmp_path: Path) -> None:
    story = Story(observed_line(tmp_path / "line", BEGIN, UNTIL))
    await days(story, 1, 1)
    folder = story.data / "observations"
    (json_, html) = (next(folder.glob(f"*.{form}")) for form in ("json", "html"))
    document, whole = read(json_), json_.read_bytes()
    json_.unlink()
    (folder / f"{json_.stem}.part.json").write_bytes(whole[:100])
    page = html.read_bytes()
    put(document, folder, story.now + 10_000_000)
    assert (json_.read_bytes(), html.read_bytes()) == (whole, page), "what is there is not written over"
    assert sorted(folder.iterdir()) == sorted([json_, html])
