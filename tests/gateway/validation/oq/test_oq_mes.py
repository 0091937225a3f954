"""Of the operational qualification's judges: edited, late and deleted rows must be told as that; each must be able to fail."""

from typing import Any

import pytest
from kit.judged import verdicts

from config import Line
from gateway.demo.received import Received, Row
from gateway.validation.oq import mes
from gateway.validation.oq.case import Told

pytestmark = pytest.mark.urs("URS-VAL-04")


@pytest.fixture(scope="module")
def query(line: Line) -> mes.Query:
    source = next(source for source in line.sources if source.name == "mes")
    return mes.Query(source, source.options["query"][0])


def told_of(query: mes.Query, key: str, *rows: tuple[str, dict[str, Any]], code: str | None = None) -> Received:
    findings = [] if code is None else [{"code": code, "source": query.source.name, "evidence": {"name": query.name, "key": key}}]
    return Received(rows={(query.source.name, query.name, key): [Row(*row) for row in rows]}, findings=findings)


@pytest.mark.parametrize(
    ("rows", "code", "verdict"),
    [
        ([("new", {"product": "A"}), ("changed", {"product": "B"})], "source-row-changed", "passed"),
        ([("new", {"product": "A"}), ("changed", {"product": "B"})], None, "failed"),
        ([("new", {"product": "A"}), ("changed", {"product": "A"})], "source-row-changed", "failed"),
        ([("new", {"product": "A"}), ("new", {"product": "B"})], "source-row-changed", "failed"),
        ([], None, "failed"),
    ],
)
def test_an_edited_row_must_be_told_as_changed_with_its_finding(query: mes.Query, rows: Any, code: str | None, verdict: str) -> None:
    told = Told()
    mes.judge_edit(told, "edit", told_of(query, "7", *rows, code=code), query, "7", ("product", "B"))
    assert verdicts(told) == [verdict]


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [(["late"], "passed"), (["new"], "failed"), (["late", "late"], "failed"), (["late", "changed"], "failed"), ([], "failed")],
)
def test_a_late_row_must_be_told_as_late_once(query: mes.Query, rows: list[str], verdict: str) -> None:
    told = Told()
    mes.judge_late(told, "late", told_of(query, "7", *((change, {}) for change in rows)), query, "7")
    assert verdicts(told) == [verdict]


@pytest.mark.parametrize(
    ("rows", "code", "verdict"),
    [
        (["new", "deleted"], "source-row-deleted", "passed"),
        (["new", "deleted"], "source-row-changed", "failed"),
        (["new"], "source-row-deleted", "failed"),
        (["deleted", "new"], "source-row-deleted", "failed"),
    ],
)
def test_a_deleted_row_must_be_told_as_deleted(query: mes.Query, rows: list[str], code: str, verdict: str) -> None:
    told = Told()
    mes.judge_delete(told, "delete", told_of(query, "7", *((change, {}) for change in rows), code=code), query, "7")
    assert verdicts(told) == [verdict]


def test_the_odd_nights_of_a_zone_are_found_and_a_zone_without_has_none() -> None:
    from zoneinfo import ZoneInfo

    found = {name: f"{local:%m-%d %H:%M}" for name, local in mes.odd_nights(ZoneInfo("Europe/Paris"), 2025)}
    assert found == {"time-nonexistent": "03-30 02:30", "time-ambiguous": "10-26 02:30"}
    assert list(mes.odd_nights(ZoneInfo("Asia/Tokyo"), 2025)) == []
