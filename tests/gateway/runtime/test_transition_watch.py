"""The sunset of a transition: an alarm each month after it, none before; the phase at a start and when it changes."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from kit.commands import called
from kit.drop_line import drop_line, events
from kit.processes import running, until

from config.sections import Transition
from gateway.alarms import Found
from gateway.alarms.transition import months_after, phase_text
from gateway.runtime.transition_watch import TransitionWatch

TOLD = Transition.model_validate(
    {
        "sunset": "2027-01-31",
        "phases": [
            {"name": "parallel", "from": "2026-12-01", "until": "2027-01-31", "legacy": "leading"},
            {"name": "retired", "from": "2027-02-01", "legacy": "off"},
        ],
    }
)


@pytest.mark.urs("URS-OBS-06")
@pytest.mark.parametrize(
    ("day", "month"),
    [("2027-01-31", 0), ("2027-02-01", 1), ("2027-02-28", 1), ("2027-03-01", 2), ("2027-03-31", 2), ("2027-04-01", 3), ("2028-02-01", 13)],
)
def test_a_month_begins_the_day_after_the_sunset(day: str, month: int) -> None:
    assert months_after(TOLD.sunset, date.fromisoformat(day)) == month


def test_no_month_is_ever_left_out_or_longer_than_31_days() -> None:
    for first in (date(2027, 1, 28) + timedelta(days=at) for at in range(5)):
        months = [months_after(first, first + timedelta(days=at)) for at in range(800)]
        assert months[0] == 0
        assert all(after - before in (0, 1) for before, after in pairwise(months)), first
        assert max(months.count(month) for month in set(months)) <= 31, first


@pytest.mark.urs("URS-OBS-06")
def test_each_month_after_the_sunset_is_an_alarm_of_its_own_and_a_bad_clock_is_said() -> None:
    told: list[Mapping[str, Any]] = []
    watch = TransitionWatch(TOLD, ZoneInfo("Europe/Paris"), Found, told.append)
    for day, clock in (("2027-01-31", "synchronised"), ("2027-01-31", "synchronised"), ("2027-02-01", "synchronised")):
        watch.look(date.fromisoformat(day), clock)
    watch.look(date(2027, 2, 2), "synchronised")
    watch.look(date(2027, 3, 1), "unsynchronised")
    assert [(one["code"], one["severity"], (one["evidence"] or {}).get("name")) for one in told] == [
        ("transition-phase", "info", None),
        ("transition-phase", "info", None),
        ("sunset-passed", "alarm", "month 1"),
        ("sunset-passed", "alarm", "month 2"),
    ]
    assert "record of reference: legacy MES until 2027-01-31" in told[0]["text"]
    assert "record of reference: this gateway and its EBR" in told[1]["text"]
    assert "clock" not in told[2]["text"]
    assert "by a clock that is unsynchronised" in told[3]["text"]
    assert "no phase of the transition is declared for 2026-11-30" in phase_text(TOLD, date(2026, 11, 30))


@pytest.mark.urs("URS-OBS-06")
def test_a_line_past_its_sunset_warns_whoever_looks_and_the_alarm_goes_with_another_date(tmp_path: Path) -> None:
    """Through a real gateway: journal, status, and a date that was changed."""
    today = datetime.now(UTC).date()
    sunset = today - timedelta(days=40)
    phases = f'phases = [{{ name = "parallel", from = {sunset - timedelta(days=60)}, until = {sunset}, legacy = "leading" }}]'
    folder = drop_line(tmp_path / "line", f"[transition]\nsunset = {sunset}\n{phases}\n")
    with running(folder):
        until(lambda: [one for one in events(folder, "finding") if one["code"] == "sunset-passed"])
        now = called("status", folder)
        assert (now.returncode, f"through {sunset}, month 2 after that" in now.stdout.replace("\n", " ")) == (1, True), now.stdout
    assert any("no phase of the transition" in one["text"] for one in events(folder, "finding"))
    text = (folder / "line.toml").read_text()
    (folder / "line.toml").write_text(text.replace(str(sunset), str(today + timedelta(days=40))))
    with running(folder):
        until(lambda: len([one for one in events(folder, "finding") if one["code"] == "transition-phase"]) == 2)
        listed = called("alarms", "list", folder).stdout
        assert [one.strip().split("  ")[-1] for one in listed.splitlines() if one.startswith("5499f016")] == [
            "stood before the start, not acknowledged"
        ]
    over = [one["text"] for one in events(folder, "finding") if one["code"] == "sunset-passed" and one["severity"] == "info"]
    assert over == [f"month 2 after the sunset is over: the sunset is {today + timedelta(days=40)}"]
