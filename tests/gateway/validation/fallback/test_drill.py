"""The verdict of a drill: good is what is known to be good; what nobody wrote down, or nobody compared, is not."""

from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gateway.documents import content_of
from gateway.entries.fallback import COMMANDED, REPORTED, UNVERIFIED, Edge
from gateway.entries.ticks import TICKS_PER_S, from_rfc3339
from gateway.evidence.fallbacks import Fallback
from gateway.validation.fallback.drill import Compared, checks, result
from gateway.validation.fallback.drill_document import drafted
from gateway.validation.fallback.drill_plan import Plan, plan_of
from gateway.validation.fallback.plan_problems import NotAPlan

pytestmark = pytest.mark.urs("URS-OBS-07")
ZONE = ZoneInfo("Europe/Paris")
T0 = from_rfc3339("2026-12-01T07:00:00Z")
NOW = from_rfc3339("2026-12-01T12:00:00Z")
PLAN = """
title = "Drill of December"
planned_begin = 2026-12-01T08:00:00
planned_end = 2026-12-01T09:00:00
called = 2026-12-01T07:00:00Z
return_called = 2026-12-01T07:58:00Z
most_to_fallback_s = 300
most_to_return_s = 300
[[step]]
what = "Paper record opened"
who = "O. Bediener"
planned = 2026-12-01T08:00:00
actual = 2026-12-01T08:02:00
"""


def edge(at_s: float, basis: str = COMMANDED) -> Edge:
    return Edge("F-1", T0 + round(at_s * TICKS_PER_S), basis, "drill of December", "Otto Bediener (otto, operator)", "manual")


def over(begin_s: float = 120, end_s: float = 3_600) -> Fallback:
    return Fallback(edge(begin_s), (7, 100), (7, 99), edge(end_s), (7, 180), (7, 179))


def stream(**more: Any) -> dict[str, Any]:
    lists: dict[str, list[Any]] = {name: [] for name in ("missing", "extra", "different", "not_compared")}
    sides = {side: {"entries": 190} for side in ("ours", "theirs")}
    return {"epoch": 7, "first": 1, "last": 190, "verdict": "equal", **sides, **lists, **more}


EQUAL = Compared("passed", {"streams": [stream()]}, (7, 190))


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    path = tmp_path / "drill.toml"
    path.write_text(PLAN)
    return plan_of(path, ZONE, NOW)


def test_a_drill_in_which_everything_is_known_and_good_has_passed(plan: Plan) -> None:
    listed = checks(plan, over(), EQUAL)
    assert ({one.verdict for one in listed}, result(listed)) == ({"passed"}, "passed")
    draft = drafted(plan, over(), EQUAL, listed, ZONE.key)
    assert (draft["result"], draft["facts"]["to_fallback_s"], draft["facts"]["to_return_s"], draft["facts"]["in_fallback_s"]) == (
        "passed",
        "120",
        "120",
        "3480",
    )
    shown = str(content_of(draft)["body"])
    for text in ("O. Bediener", "2026-12-01T08:02:00.000+01:00", "120 s", "190 here, 190 at the receiver", "81", "7/99", "7/179"):
        assert text in shown


ONE = {"first": 5, "last": 6, "note": ""}


@pytest.mark.parametrize(
    ("what", "changed", "verdict"),
    [
        ("the return", {"fallback": Fallback(edge(120), (7, 100), (7, 99))}, "finding"),
        ("the instant of the switch", {"fallback": replace(over(), began=edge(120, REPORTED))}, "not-complete"),
        ("the instant of the return", {"fallback": replace(over(), ended=edge(3600, UNVERIFIED))}, "not-complete"),
        ("time to fallback", {"fallback": over(begin_s=301)}, "finding"),
        ("time to fallback", {"fallback": over(begin_s=-1)}, "finding"),
        ("time to return", {"fallback": over(end_s=3_900)}, "finding"),
        ("time to fallback", {"plan": {"called": None}}, "not-complete"),
        ("time to return", {"plan": {"most_to_return_s": None}}, "not-complete"),
        ("the steps", {"plan": {"steps": []}}, "not-complete"),
        ("entries at the receiver", {"compared": Compared("not-complete", None, (7, 190), "the EBR does not answer")}, "not-complete"),
        ("entries at the receiver", {"compared": Compared("finding", {"streams": [stream(missing=[ONE])]}, (7, 190))}, "finding"),
        ("entries at the receiver", {"compared": Compared("finding", {"streams": [stream(extra=[ONE])]}, (7, 190))}, "finding"),
        ("entries at the receiver", {"compared": Compared("not-complete", {"streams": []}, (7, 190))}, "not-complete"),
        ("receipts of the receiver", {"compared": Compared("passed", {"streams": [stream()]}, (7, 179))}, "not-complete"),
        ("receipts of the receiver", {"compared": Compared("passed", {"streams": [stream()]}, None)}, "not-complete"),
    ],
)
def test_what_is_wrong_or_not_known_is_the_one_check_that_says_so(plan: Plan, what: str, changed: dict[str, Any], verdict: str) -> None:
    planned = replace(plan, **changed.get("plan", {}))
    listed = checks(planned, changed.get("fallback", over()), changed.get("compared", EQUAL))
    said = {one.what: one.verdict for one in listed}
    assert said[what] == verdict
    assert result(listed) in {"finding", verdict}


@pytest.mark.parametrize(
    ("actual", "called", "verdict"),
    [
        ("1999-12-01T07:02:00Z", "2026-12-01T07:00:00Z", "finding"),
        ("2026-12-01T08:00:01Z", "2026-12-01T07:00:00Z", "finding"),
        ("2026-12-01T07:00:09Z", "2026-12-01T07:00:10Z", "finding"),
        ("2026-12-01T07:00:00Z", "2026-12-01T07:00:10Z", "passed"),
        ("2026-12-01T08:00:00Z", "2026-12-01T07:00:10Z", "passed"),
        ("2026-12-01T07:01:01Z", None, "not-complete"),
    ],
)
def test_a_step_outside_of_call_and_return_is_none_of_this_drill(plan: Plan, actual: str, called: str | None, verdict: str) -> None:
    steps = [replace(plan.steps[0], actual=from_rfc3339(actual))]
    changed = replace(plan, steps=steps, called=None if called is None else from_rfc3339(called))
    said = {one.what: one.verdict for one in checks(changed, over(), EQUAL)}
    assert said["step: Paper record opened"] == verdict


def test_a_step_that_nobody_gave_a_time_is_not_done(plan: Plan) -> None:
    undone = replace(plan, steps=[replace(plan.steps[0], actual=None)])
    assert result(checks(undone, over(), EQUAL)) == "not-complete"


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ('title = "Drill of December"', "", "`title` is a text of one line"),
        ("called =", "caled =", "unknown key `caled`"),
        ("= 2026-12-01T07:00:00Z", '= "seven"', ":5: `called` is a time"),
        ("most_to_return_s = 300", "most_to_return_s = 0", "`most_to_return_s` is a number of seconds"),
        (
            "actual = 2026-12-01T08:02:00",
            "actual = 2026-10-25T02:30:00",
            ":13: step 1: `actual` 2026-10-25 02:30:00 names no single instant",
        ),
        ('who = "O. Bediener"', 'whom = "O. Bediener"', "step 1: unknown key `whom`"),
        ("[[step]]", "[step]", "`step` is a list"),
        ("planned_end", "planned_end =", "drill.toml: "),
        ("actual = 2026-12-01T08:02:00", "actual = 2031-01-01T08:02:00", ":13: step 1: `actual` 2031-01-01 08:02:00 is still to come"),
        ("return_called = 2026-12-01T07:58:00Z", "return_called = 2030-12-01T07:58:00Z", ":6: `return_called` 2030-12-01"),
    ],
)
def test_a_bad_plan_is_told_with_file_and_place(tmp_path: Path, before: str, after: str, why: str) -> None:
    path = tmp_path / "drill.toml"
    assert before in PLAN
    path.write_text(PLAN.replace(before, after, 1))
    with pytest.raises(NotAPlan) as told:
        plan_of(path, ZONE, NOW)
    assert why in str(told.value)
    assert str(told.value).startswith(str(path))
