"""A gateway that starts makes the reports of days that are over, once, and says on page and status that nobody has ended the period."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from kit.commands import called
from kit.drop_line import events
from kit.observed_line import observed_line
from kit.observed_story import Story
from kit.processes import running, until

from gateway.operation.control import ask


def made(folder: Path) -> list[str]:
    """The days that the folder beside the journal has reports of."""
    files = (folder / "data" / "observations").glob("observation-day-*.json")
    return sorted(json.loads(path.read_text())["facts"]["observation"]["day"] for path in files)


def own(folder: Path) -> list[dict[str, Any]]:
    return [one for one in events(folder, "document") if one["document"] == "observation-day"]


@pytest.mark.urs("URS-OBS-04")
def test_a_start_reports_the_days_that_are_over_once_and_the_period_stays_open(tmp_path: Path) -> None:
    begin = datetime.now(UTC).date() - timedelta(days=40)
    folder = observed_line(tmp_path / "line", begin, begin + timedelta(days=35))
    story = Story(folder)
    story.status, story.bound_s = "unknown", None  # as on a machine whose clock nobody keeps: so these days are reported by any clock
    days = [str(begin + timedelta(days=at)) for at in range(2)]
    story.day(begin)
    story.day(begin + timedelta(days=1))
    story.journal.close()
    with running(folder):
        until(lambda: made(folder)[:2] == days)
        told = ask(folder / "data")["observation"]
        assert (told["state"], told["ended"], told["days"]) == ("over", None, 36)
        assert days[0] in told["not_complete"], "nobody knows how far the clock was off"
        assert days[1] in told["exceeded"], "and from its last half hour on nobody looked"
        until(lambda: "observation-open" in [one["code"] for one in ask(folder / "data")["findings"]["standing"]])
        status = " ".join(called("status", folder).stdout.split())
        assert "it goes on until QA signs its summary" in status
    first = own(folder)
    assert [one["observation"]["day"] for one in first][:2] == days
    assert {one["made_by"]["user"] for one in first} == {"system:lyon/test-1"}
    with running(folder):
        until(lambda: ask(folder / "data")["observation"]["reported"] == len(first))
        until(lambda: len([one for one in events(folder, "finding") if one["code"] == "observation-open"]) == 2)
    assert own(folder) == first, "a day is reported once"
    by_hand = called("observation", "report", folder, "--day", days[0], "--json")
    report = next(path for path in (folder / "data" / "observations").glob("*.json") if days[0] in path.read_text()[:400])
    assert json.loads(by_hand.stdout)["limits"] == json.loads(report.read_text())["facts"]["limits"]
    was = json.loads(report.read_text())
    report.unlink()
    with running(folder):
        until(report.exists)
    assert json.loads(report.read_text()) == was, "made again, and the same to the byte"
    assert [one for one in events(folder, "finding") if one["code"] == "observation-not-written"] == []
