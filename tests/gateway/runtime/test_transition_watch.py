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
from gateway.alarms.findings import take
from gateway.alarms.stream import told
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
    said: list[Mapping[str, Any]] = []
    watch = TransitionWatch(TOLD, ZoneInfo("Europe/Paris"), Found, said.append)
    for day, clock in (("2027-01-31", "synchronised"), ("2027-01-31", "synchronised"), ("2027-02-01", "synchronised")):
        watch.look(date.fromisoformat(day), clock)
    watch.look(date(2027, 2, 2), "synchronised")
    watch.look(date(2027, 3, 1), "unsynchronised")
    assert [(one["code"], one["severity"], (one["evidence"] or {}).get("name")) for one in said] == [
        ("transition-phase", "info", None),
        ("transition-phase", "info", None),
        ("sunset-passed", "alarm", "month 1 after the sunset 2027-01-31"),
        ("sunset-passed", "alarm", "month 2 after the sunset 2027-01-31"),
    ]
    assert "record of reference: legacy MES until 2027-01-31" in said[0]["text"]
    assert "record of reference: this gateway and its EBR" in said[1]["text"]
    assert "clock" not in said[2]["text"]
    assert "by a clock that is unsynchronised" in said[3]["text"]
    assert "no phase of the transition is declared for 2026-11-30" in phase_text(TOLD, date(2026, 11, 30))


class Stood:
    """A watch, what it told, and what stands of that: as the fold of a gateway keeps it."""

    def __init__(self, transition: Transition = TOLD, before: "Stood | None" = None) -> None:
        self.told: list[Mapping[str, Any]] = []
        self.found: Found = before.found if before else Found()
        self.watch = TransitionWatch(transition, ZoneInfo("Europe/Paris"), lambda: self.found, self._tell)

    def _tell(self, event: Mapping[str, Any]) -> None:
        self.told.append(event)
        said = told(event)
        assert said is not None
        take(self.found, said, len(self.told), seq=len(self.told))

    def look(self, day: str, clock: str) -> list[str]:
        """Look at a day, and return which months stand."""
        self.watch.look(date.fromisoformat(day), clock)
        return sorted(held.subject for held in self.found.standing if held.code == "sunset-passed")


FIRST, SECOND = "month 1 after the sunset 2027-01-31", "month 2 after the sunset 2027-01-31"


@pytest.mark.urs("URS-OBS-06", "URS-TIME-05")
@pytest.mark.parametrize("clock", ["unsynchronised", "unknown"])
def test_a_clock_that_is_not_verified_ends_no_alarm_by_its_date(clock: str) -> None:
    its = Stood()
    assert its.look("2027-02-10", "synchronised") == [FIRST]
    assert its.look("1970-01-01", clock) == [FIRST], "a clock that woke up in 1970 proves no sunset that is still to come"
    assert its.look("2027-03-02", clock) == [FIRST, SECOND], "it may be so late, and then a person has to know"
    assert its.look("2027-02-11", "holdover") == [FIRST], "a clock that is verified ends what the other one said"
    assert f"{SECOND} is over: it is {FIRST}" in [one["text"] for one in its.told]


@pytest.mark.urs("URS-OBS-06", "URS-TIME-05")
def test_another_date_that_was_approved_ends_the_alarm_whatever_the_clock_is() -> None:
    its = Stood()
    its.look("2027-02-10", "synchronised")
    later = Stood(TOLD.model_copy(update={"sunset": date(2027, 6, 30)}), before=its)
    assert later.look("1970-01-01", "unsynchronised") == []
    assert [one["text"] for one in later.told][1:] == [f"{FIRST} is over: the sunset is 2027-06-30"]


@pytest.mark.urs("URS-OBS-06", "URS-TIME-05")
def test_a_phase_is_called_by_the_clock_that_says_it_and_once_more_when_that_is_proven() -> None:
    its = Stood()
    for clock in ("unknown", "unsynchronised", "synchronised", "unsynchronised", "holdover", "synchronised"):
        its.look("2027-02-10", clock)
    phases = [one["text"] for one in its.told if one["code"] == "transition-phase"]
    assert [", by a clock that is unknown" in one for one in phases] == [True, False]
    alarms = [one["text"] for one in its.told if one["code"] == "sunset-passed"]
    assert [", by a clock that is unknown" in one for one in alarms] == [True, False], "a clock that comes and goes is no alarm a minute"


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
    (alarm,) = [one.rstrip() for one in listed.splitlines() if one[:1].strip() and "alarm" in one[:20]]
    assert alarm.endswith("over, not acknowledged"), "its end was told: it is not one of which nobody knows whether it still stands"
    assert "sunset-passed" in listed
    over = [one["text"] for one in events(folder, "finding") if one["code"] == "sunset-passed" and one["severity"] == "info"]
    assert over == [f"month 2 after the sunset {sunset} is over: the sunset is {today + timedelta(days=40)}"]
