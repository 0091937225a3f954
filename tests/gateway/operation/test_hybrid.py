"""What status and page say of a legacy system beside the line: always which phase it is, and as a warning where the sunset is near."""

from datetime import date, datetime
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
from kit.line_states import good
from kit.served_pages import Shown

from config.sections import Transition
from gateway.cli.terminal import status_text
from gateway.clock import Stamp, Status
from gateway.entries.ticks import TICKS_PER_S
from gateway.operation.hybrid import described
from gateway.operation.status import Status as Snapshots
from gateway.operation.views import Made
from gateway.operation.wording import beside
from gateway.pages.views import PAGES, Asked, Pages

ZONE = ZoneInfo("Europe/Paris")


def told_of(**more: Any) -> Transition:
    phases = [{"name": "parallel", "from": "2026-10-01", "until": "2027-03-31", "legacy": "leading"}]
    return Transition.model_validate({"sunset": "2027-03-31", "phases": phases, **more})


def shown(day: str, told: Transition | None = None, clock: Status = "synchronised") -> dict[str, Any]:
    ticks = round(datetime.fromisoformat(f"{day}T12:00:00").replace(tzinfo=ZONE).timestamp()) * TICKS_PER_S
    return {**good(), "transition": described(told or told_of(), Stamp(ticks, clock, 0.002, "", 0.0), ZONE)}


@pytest.mark.urs("URS-OBS-06")
@pytest.mark.parametrize(
    ("day", "state", "says"),
    [
        ("2027-02-28", "ahead", "sunset: 2027-03-31 (in 31 days)"),
        ("2027-03-01", "near", "Sunset in 30 days:"),
        ("2027-03-30", "near", "Sunset in 1 day:"),
        ("2027-03-31", "near", "Sunset is today:"),
        ("2027-04-01", "passed", "Sunset passed 1 day ago:"),
        ("2027-05-01", "passed", "Sunset passed 31 days ago:"),
    ],
)
def test_everybody_is_told_which_phase_it_is_and_warned_in_time(day: str, state: str, says: str) -> None:
    now = shown(day)
    assert (now["transition"]["state"], now["transition"]["days_left"]) == (state, (date(2027, 3, 31) - date.fromisoformat(day)).days)
    text = " ".join(status_text({**now, "problems": []}).split())
    assert says in text
    assert ("record of reference: legacy MES until 2027-03-31" in text) is (state != "passed")
    assert ("end it, or have another date approved" in text) is (state == "passed")


@pytest.mark.urs("URS-OBS-06")
@pytest.mark.parametrize("address", PAGES)
@pytest.mark.parametrize(("day", "is_warning"), [("2027-02-28", False), ("2027-03-31", True), ("2027-04-02", True)])
def test_every_page_says_it_and_as_a_warning_where_the_sunset_is_near_or_has_passed(address: str, day: str, is_warning: bool) -> None:
    now = shown(day)
    pages = Pages(cast(Snapshots, Shown(now)), "lyon/granulation-2", 0, Made(None))
    page = pages.of(Asked(address), is_personal=True).decode()
    words = " ".join(page.split())
    assert "Legacy system:" in words
    assert ('class="beside told warn"' in page) is is_warning
    assert ("<b>Sunset " in words) is is_warning


@pytest.mark.urs("URS-OBS-06")
def test_a_line_without_a_transition_says_nothing_of_it() -> None:
    assert described(None, Stamp(0, "synchronised", 0.1, "", 0.0), ZONE) is None
    assert beside(good()) is None
    assert "Legacy system" not in status_text({**good(), "problems": []})
    pages = Pages(cast(Snapshots, Shown(good())), "lyon/granulation-2", 0, Made(None))
    assert "Legacy system" not in pages.of(Asked("/"), is_personal=False).decode()


@pytest.mark.urs("URS-OBS-06", "URS-TIME-05")
def test_a_day_that_a_clock_in_doubt_shows_is_told_with_its_clock() -> None:
    for day in ("2027-02-01", "2027-03-31", "2027-04-02"):
        told = shown(day, clock="unsynchronised")["transition"]
        assert (told["clock"], "by a clock that is unsynchronised" in told["text"]) == ("unsynchronised", True)


@pytest.mark.urs("URS-OBS-06")
def test_how_long_before_everybody_is_warned_is_declared() -> None:
    assert shown("2027-03-21", told_of(warn_days=10))["transition"]["state"] == "near"
    assert shown("2027-03-20", told_of(warn_days=10))["transition"]["state"] == "ahead"
    assert shown("2027-03-31", told_of(warn_days=0))["transition"]["state"] == "near"
