"""What is kept of an observation period: the first report of each of its days by the gateway itself, and of no other period."""

from datetime import date, timedelta
from typing import Any

import pytest

from gateway.alarms.observation import MOST_DAYS, Observed, take

OWN = {"user": "system:lyon/test-1"}


def report(day: date, begin: str = "2026-10-01", until: str = "2026-10-30", **more: Any) -> dict[str, Any]:
    about = {"from": begin, "until": until, "day": str(day), "limits_sha256": "a"}
    made = {"made_at": {"time": f"{day}T23:00:00Z"}, "made_by": OWN, "who": OWN}
    return {"type": "document", "document": "observation-day", "id": f"of {day}", "result": "passed", "observation": about, **made, **more}


def kept(*events: dict[str, Any]) -> Observed:
    told = Observed()
    for event in events:
        take(told, event)
    return told


@pytest.mark.urs("URS-OBS-04")
def test_days_of_another_period_are_not_kept_beside_those_of_the_one_in_force() -> None:
    told = [report(date(2026, 10, 1) + timedelta(days=at)) for at in range(30)]
    longer = report(date(2026, 10, 31), until="2026-11-15")
    assert len(kept(*told, longer).days) == 31, "the same days, and more: their reports stand"
    next_year = report(date(2027, 2, 1), "2027-02-01", "2027-03-02")
    assert list(kept(*told, next_year).days) == ["2027-02-01"]


@pytest.mark.urs("URS-OBS-04")
def test_a_day_that_is_over_is_kept_however_many_were_before_it() -> None:
    begin = date(2020, 1, 1)
    told = kept(*(report(begin + timedelta(days=at), "2020-01-01", "2026-12-31") for at in range(1_100)))
    assert len(told.days) == MOST_DAYS
    assert str(begin + timedelta(days=1_099)) in told.days


@pytest.mark.urs("URS-OBS-04")
def test_a_report_that_a_person_records_is_not_the_gateways_whatever_it_says_of_itself() -> None:
    assert kept(report(date(2026, 10, 1), who={"user": "engineer"})).days == {}
    assert kept(report(date(2026, 10, 1), made_by={"user": "engineer"})).days == {}
    told = kept(report(date(2026, 10, 1)), report(date(2026, 10, 1), id="again"))
    assert told.days["2026-10-01"]["id"] == "of 2026-10-01"


def signed(day: date, *who: str, sha256: str | None = "f" * 64, identity: str | None = None) -> dict[str, Any]:
    """The entry of a report that persons have signed: it is theirs, and not the gateway's."""
    person = {"name": "x", "role": "qa", "meaning": "reviewed", "time": "2026-10-02T06:00:00Z", "local": "2026-10-02T08:00:00+02:00"}
    told = {**report(day, sha256=sha256), "who": {"user": "qa"}, "signatures": [{"user": user, **person, "note": "n"} for user in who]}
    return told if identity is None else {**told, "id": identity}


@pytest.mark.urs("URS-OBS-04")
def test_who_signed_a_report_is_kept_once_and_only_of_that_very_report() -> None:
    day = date(2026, 10, 1)
    first = report(day, sha256="f" * 64)
    assert kept(first).days[str(day)]["signed"] == []
    told = kept(first, signed(day, "qa"), signed(day, "qa", "engineer")).days[str(day)]
    assert [one["user"] for one in told["signed"]] == ["qa", "engineer"]
    assert "note" not in told["signed"][0]
    for other in (signed(day, "qa", sha256="0" * 64), signed(day, "qa", identity="another"), signed(day + timedelta(days=1), "qa")):
        assert kept(first, other).days[str(day)]["signed"] == []
