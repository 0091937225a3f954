"""The verdict of a cut-over: a decision, both ends of the overlap, and what was compared; what nobody knows is not good."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from config.sections import Transition
from gateway.documents import content_of
from gateway.entries.ticks import from_rfc3339
from gateway.validation.fallback.cutover import CutOver, First, checks, cut_over_of, first_of
from gateway.validation.fallback.cutover_document import drafted
from gateway.validation.fallback.drill import result
from gateway.validation.fallback.plan_problems import NotAPlan

pytestmark = pytest.mark.urs("URS-OBS-07")
ZONE = ZoneInfo("Europe/Paris")
NOW = from_rfc3339("2026-12-02T12:00:00Z")
DAY, TODAY = date(2026, 12, 1), date(2026, 12, 2)
TEXT = """
title = "Granulation 2"
decision = "go"
decided_by = "Q. Abel, qa"
decided_at = 2026-11-30T16:00:00
why = "three batches in a row without a difference"
at = 2026-12-01T06:00:00
last_legacy_record = "MES report B2026-0416"
last_legacy_at = 2026-12-01T05:30:00
[[open]]
what = "Archive the reports of the MES"
who = "IT"
due = 2027-01-31
"""
TRANSITION = Transition.model_validate(
    {
        "sunset": "2027-06-30",
        "phases": [
            {"name": "parallel", "from": "2026-09-01", "until": "2026-11-30", "legacy": "leading"},
            {"name": "primary", "from": "2026-12-01", "until": "2027-06-30", "legacy": "following"},
        ],
    }
)
FIRST = First("lyon/1/B2026-0417", from_rfc3339("2026-12-01T06:00:00Z"), "7/40")
ROWS = [{"batch": "B2026-0416", "document": "d", "file": "c.json", "result": "passed", "why_not": None}]
TREND = {"needed": 3, "last": 3, "may_end": True, "batches": ROWS}


@pytest.fixture
def told(tmp_path: Path) -> CutOver:
    path = tmp_path / "cutover.toml"
    path.write_text(TEXT)
    return cut_over_of(path, ZONE, NOW)


def test_a_cut_over_that_was_decided_compared_and_begun_has_passed(told: CutOver) -> None:
    listed = checks(told, FIRST, TRANSITION, TREND, TODAY, DAY, ZONE.key)
    assert ({one.verdict for one in listed}, result(listed)) == ({"passed"}, "passed")
    found = {one.what: one.found for one in listed}
    assert found["when it was decided"] == "2026-11-30T16:00:00.000+01:00", "as it was written, by the line's clock"
    assert found["the first record of the gateway"] == "lyon/1/B2026-0417, 2026-12-01T07:00:00.000+01:00, entry 7/40"
    draft = drafted(told, FIRST, TREND, listed, ZONE.key, ["broken.json: is no document"])
    shown = str(content_of(draft)["body"])
    for text in ("MES report B2026-0416", "lyon/1/B2026-0417", "Archive the reports", "c.json", "not read: broken.json"):
        assert text in shown
    assert draft["facts"]["open"] == [{"what": "Archive the reports of the MES", "who": "IT", "due": "2027-01-31"}]


@pytest.mark.parametrize(
    ("what", "changed", "verdict"),
    [
        ("the decision", {"told": {"decision": "no-go"}}, "finding"),
        ("when it was decided", {"told": {"decided_at": FIRST.start}}, "finding"),
        ("the phase that is declared", {"transition": None}, "not-complete"),
        ("the phase that is declared", {"day": date(2026, 11, 30)}, "finding"),
        ("the phase that is declared", {"day": date(2020, 1, 1)}, "not-complete"),
        ("the last record of the legacy system", {"told": {"last_legacy_at": FIRST.start + 36_000_000_000}}, "finding"),
        ("the first record of the gateway", {"first": None}, "not-complete"),
        ("the overlap of both records", {"trend": None}, "not-complete"),
        ("the overlap of both records", {"trend": {**TREND, "needed": 0, "may_end": False}}, "not-complete"),
        ("the overlap of both records", {"trend": {**TREND, "last": 2, "may_end": False}}, "finding"),
        ("open: Archive the reports of the MES", {"today": date(2027, 2, 1)}, "finding"),
    ],
)
def test_what_is_wrong_or_not_known_is_the_one_check_that_says_so(told: CutOver, what: str, changed: dict[str, Any], verdict: str) -> None:
    given = {"first": FIRST, "transition": TRANSITION, "trend": TREND, "today": TODAY, "day": DAY, "zone": ZONE.key, **changed}
    cut_over = replace(told, **given.pop("told", {}))
    listed = checks(cut_over, **given)
    assert [(one.what, one.verdict) for one in listed if one.verdict != "passed"] == [(what, verdict)]
    assert result(listed) == verdict


def test_the_first_record_is_the_earliest_that_began_at_the_cut_over_or_after_it() -> None:
    starts = [First(name, at, "7/1") for name, at in (("late", 90), ("before", 10), ("first", 50), ("second", 60))]
    assert first_of(starts, 50) == starts[2]
    assert first_of(starts, 91) is None


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ('decision = "go"', 'decision = "perhaps"', "`decision` is go or no-go"),
        ("at = 2026-12-01T06:00:00", "", "key `at` is missing"),
        ("due = 2027-01-31", 'due = "soon"', ":14: open 1: `due` is a day"),
        ("who =", "whom =", "open 1: unknown key `whom`"),
        ("[[open]]", "[open]", "`open` is a list"),
        ("decided_at = 2026-11-30T16:00:00", "decided_at = 2030-11-30T16:00:00", ":6: `decided_at` 2030-11-30 16:00:00 is still to come"),
        ("last_legacy_at = 2026-12-01", "last_legacy_at = 2030-12-01", ":10: `last_legacy_at` 2030-12-01 05:30:00 is still to come"),
    ],
)
def test_a_bad_file_is_told_with_its_place(tmp_path: Path, before: str, after: str, why: str) -> None:
    path = tmp_path / "cutover.toml"
    path.write_text(f"\n{TEXT}".replace(f"\n{before}", f"\n{after}", 1))
    with pytest.raises(NotAPlan) as told:
        cut_over_of(path, ZONE, NOW)
    assert why in str(told.value)
