"""What has to be done from time to time: only a document that shows it counts, from when it was made, and once each interval."""

from typing import Any

import pytest

from gateway.alarms.periodic import DAY_TICKS, Kept, overdue, take
from gateway.entries.ticks import from_rfc3339, rfc3339

DAY0 = from_rfc3339("2026-11-01T06:00:00Z")
DAYS = {"verification": 7.0, "restore-test": 0.0, "access-review": 182.0, "audit-review": 92.0, "periodic-review": 365.0}


def day(number: float) -> int:
    return DAY0 + round(number * DAY_TICKS)


def document(kind: str, made: float, result: str | None = "passed", roles: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    return {
        "type": "document",
        "document": kind,
        "id": f"{kind}-{made:g}",
        "sha256": "a" * 64,
        "made_at": {"time": rfc3339(day(made))},
        "result": result,
        "batch": None,
        "signatures": [{"role": role, "name": role, "meaning": "reviewed"} for role in roles],
        **more,
    }


def disposition(kind: str, of: float, result: str, own: str = "not-complete") -> dict[str, Any]:
    disposes = {"document": kind, "id": f"{kind}-{of:g}", "made_at": rfc3339(day(of)), "result": own, "no": 1}
    return document(f"{kind}-disposition", of + 1, result, ("qa",), disposes=disposes)


def late(kept: Kept, at: float) -> list[str]:
    return [one.what for one in overdue(kept, DAYS, day(at))]


@pytest.mark.urs("URS-AUD-06", "URS-OPS-02")
@pytest.mark.parametrize(
    ("told", "counts_from"),
    [
        ([document("verification", 3)], 3),
        ([document("verification", 3, "finding")], None),
        ([document("verification", 3, "not-complete")], None),
        ([document("verification", 3, "not-complete"), disposition("verification", 3, "passed-with-dispositions")], 3),
        ([document("verification", 3, "not-complete"), disposition("verification", 3, "not-complete")], None),
        ([disposition("verification", 3, "passed-with-dispositions"), disposition("verification", 3, "finding")], None),
        ([document("verification", 3, "finding"), disposition("verification", 3, "passed-with-dispositions", "finding")], None),
        ([document("verification", 3), document("verification", 5, "finding")], 3),
        ([document("verification", 90)], 8),
        ([document("restore-test", 3)], None),
        ([{**document("verification", 3), "made_at": "then"}], None),
        ([{**document("verification", 3), "made_at": {"time": "32 November"}}], None),
        ([{**disposition("verification", 3, "passed"), "disposes": 7}], None),
    ],
)
def test_a_run_counts_from_when_it_was_made_if_it_passed_by_itself_or_with_dispositions(
    told: list[dict[str, Any]], counts_from: float | None
) -> None:
    kept = Kept(began=DAY0)
    for event in told:
        take(kept, event, day(8))
    assert kept.done.get("verification") == (None if counts_from is None else day(counts_from))


@pytest.mark.urs("URS-AUD-07", "URS-SEC-01")
def test_a_review_counts_once_somebody_of_quality_has_signed_it_and_no_longer_than_it_reaches() -> None:
    kept = Kept(began=DAY0)
    take(kept, document("access-report", 1, None), day(1))
    take(kept, document("access-report", 2, None, ("admin",)), day(2))
    take(kept, document("periodic-review", 2, "finding"), day(2))
    assert kept.done == {}
    take(kept, document("access-report", 2, None, ("admin", "qa")), day(4))
    take(kept, document("periodic-review", 2, "finding", ("qa",)), day(3))
    take(kept, document("audit-trail-review", 9, batch="B1", scope={"to": None}), day(9))
    assert kept.done == {"access-review": day(2), "periodic-review": day(2)}
    take(kept, document("audit-trail-review", 9, scope={"from": rfc3339(day(1)), "to": rfc3339(day(5))}), day(9))
    assert kept.done["audit-review"] == day(5)


@pytest.mark.urs("URS-AUD-06")
def test_what_was_not_done_is_overdue_an_interval_after_it_could_have_been_and_what_nobody_asks_for_never() -> None:
    kept = Kept(began=DAY0)
    assert late(kept, 7) == []
    assert late(kept, 7.01) == ["verification"]
    (one,) = overdue(kept, DAYS, day(8))
    assert one.text == "no verification that passed within 7 days: none is recorded since 2026-11-01 06:00 UTC"
    take(kept, document("verification", 8), day(8))
    assert late(kept, 15) == []
    (one,) = overdue(kept, DAYS, day(15.5))
    assert one.text == "no verification that passed within 7 days: the last is of 2026-11-09 06:00 UTC"
    assert late(kept, 400) == ["verification", "access-review", "audit-review", "periodic-review"]
    assert late(Kept(), 400) == [], "before the first entry nothing is known"


@pytest.mark.urs("URS-VAL-07")
def test_the_newest_of_each_kind_of_run_is_remembered_with_what_it_comes_to() -> None:
    kept, iq = Kept(began=DAY0), "installation-qualification"
    take(kept, document(iq, 1, "finding"), day(1))
    take(kept, disposition(iq, 1, "passed-with-dispositions"), day(2))
    take(kept, document(iq, 1, "finding", ("engineer",)), day(3))
    assert (kept.newest[iq]["result"], kept.newest[iq]["standing"]) == ("finding", "passed-with-dispositions")
    assert kept.newest[iq]["signed"] == ["engineer: reviewed"]
    take(kept, document(iq, 0.5), day(4))
    assert kept.newest[iq]["id"] == f"{iq}-1", "recorded later, and made before"
    take(kept, document(iq, 4), day(4))
    assert (kept.newest[iq]["id"], kept.newest[iq]["standing"]) == (f"{iq}-4", "passed")
