"""Alike exceptions and gaps are one line: how often, how long in all, how long at most; each of them stays in the record."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from simulators.ebr.pages.sections import sections
from simulators.ebr.record.exceptions import exceptions
from simulators.ebr.record.groups import Extent, extent, grouped

START = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)


def at(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def gap(
    start: float, end: float | None, source: str = "plc", cause: str = "queue-overflow", outcome: str | None = "lost"
) -> dict[str, Any]:
    told = {"gateway": "x/y", "gap": f"{source}/{start}", "source": source, "tags": ["a"], "start": at(start)}
    return {**told, "end": None if end is None else at(end), "cause": cause, "detail": "", "outcome": outcome, "closed": []}


def record(*gaps: dict[str, Any]) -> dict[str, Any]:
    nothing: dict[str, Any] = {
        name: [] for name in ("steps", "materials", "hold_times", "alarms", "findings", "chain", "ends", "seal", "corrections")
    }
    header: dict[str, list[str]] = {name: [] for name in ("order", "product", "recipe", "recipe_version")}
    clock: dict[str, Any] = {"entries": {}, "events": [], "sources": {}, "placed": [], "worst_bound_s": None}
    empty = {"status": "complete", "header": header, "completeness": {"missing": [], "missing_count": 0}, "clock": clock}
    return {**nothing, **empty, "environments": ["production"], "genealogy": {"edges": [], "orphans": []}, "gaps": list(gaps)}


@pytest.mark.urs("URS-DAQ-11", "URS-AUD-08")
def test_gaps_of_one_source_and_cause_are_one_line_with_count_total_and_longest() -> None:
    listed = exceptions(record(gap(0, 10), gap(5, 12), gap(100, 103), gap(0, 10, source="other"), gap(0, 10, cause="link-lost")))
    groups = grouped(listed)
    assert len(listed) == 5, "each stays in the record"
    assert [(group.first["where"], group.first["cause"], len(group.members)) for group in groups] == [
        ("other", "not observed, queue-overflow", 1),
        ("plc", "not observed, link-lost", 1),
        ("plc", "not observed, queue-overflow", 3),
    ]
    assert groups[-1].extent == Extent(15.0, 10.0), "what lies in two of them counts once"


def test_filled_lost_and_open_ones_are_never_one() -> None:
    groups = grouped(exceptions(record(gap(0, 10), gap(20, 30, outcome="filled"), gap(40, None, outcome=None))))
    assert [(group.first["kind"], len(group.members)) for group in groups] == [("gap", 2), ("gap-filled", 1)]
    assert groups[0].extent == Extent(10.0, 10.0), "one that is not closed has no length"
    assert extent([(at(0), None), (None, 5.0)]) == Extent(None, None)


@pytest.mark.urs("URS-AUD-08")
def test_the_section_of_gaps_begins_with_the_groups_and_lists_each_below() -> None:
    page = "".join(sections(record(gap(0, 10), gap(5, 12), gap(100, 103)), ZoneInfo("UTC")))
    text = " ".join(re.sub(r"<[^>]*>", " ", page).split())
    assert "plc queue-overflow lost 3 15 s 10 s Each time" in text
    assert page.count("<tr") == 1 + 1 + 1 + 3
