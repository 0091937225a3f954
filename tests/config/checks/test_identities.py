"""Identities from MES rows: one row is meant, its order is told, and no row stays unseen."""

from collections.abc import Callable
from pathlib import Path

import pytest

import config

Edit = Callable[[str, str, str], None]
ORDERS = "FROM v_orders WHERE id > :since ORDER BY id"
GRANULATOR = '[[equipment]]\nname = "granulator"\nunit_id = "GRN-201"\nbatch = { row = "mes.orders", key = "unit_id", column = "batch_no" }'
ORDER = 'order = { row = "mes.orders", key = "unit_id", column = "order_no" }'


def told(folder: Path) -> list[tuple[str, str]]:
    return [(problem.severity, str(problem)) for problem in config.read(folder)[1]]


@pytest.mark.parametrize(
    ("where", "shown"),
    [
        ("status = 'RUN' AND id > :since", "`status = 'RUN'`"),
        ("id > :since AND (status IN ('RUN', 'HELD'))", "`status IN ('RUN', 'HELD'`"),
        ("id > :since /* x */ and done is null", "`done is null`"),
    ],
)
def test_a_filter_beside_a_sequence_is_told(folder: Path, edit: Edit, where: str, shown: str) -> None:
    edit("line.toml", ORDERS, f"FROM v_orders WHERE {where} ORDER BY id")
    ((severity, text),) = told(folder)
    assert severity == "warning"
    assert text.startswith("line.toml:")
    assert shown in text
    assert "kind sequence" in text


@pytest.mark.parametrize("where", ["id > :since", "(id > :since)", "id > :since -- and status = 'RUN'\n", "note <> :since"])
def test_the_watermark_alone_is_no_filter(folder: Path, edit: Edit, where: str) -> None:
    edit("line.toml", ORDERS, f"FROM v_orders WHERE {where} ORDER BY id".replace("\n", "\\n"))
    assert told(folder) == []


def test_a_filter_of_a_query_that_tells_no_identity_is_nobodys_business(folder: Path, edit: Edit) -> None:
    edit("line.toml", "FROM v_lots WHERE id > :since", "FROM v_lots WHERE plant = 1 AND id > :since")
    assert told(folder) == []


def test_a_watermark_that_is_no_order_of_orders_needs_one(folder: Path, edit: Edit) -> None:
    edit("line.toml", 'watermark = { column = "id", kind = "sequence"', 'watermark = { column = "id", kind = "timestamp"')
    assert [(severity, "`order_by`" in text) for severity, text in told(folder)] == [("warning", True)] * 2, "one for each equipment"
    for unit, column in (("GRN-201", "batch_no"), ("FBD-202", "batch_no")):
        line = f'unit_id = "{unit}"\nbatch = {{ row = "mes.orders", key = "unit_id", column = "{column}"'
        edit("line.toml", line, f'{line}, order_by = "started_at"')
    assert told(folder) == []


def test_fields_of_one_query_come_from_one_row(folder: Path, edit: Edit) -> None:
    edit("line.toml", GRANULATOR, GRANULATOR.replace(" }", ', where = "status=RUN" }'))
    assert told(folder) == [], "what one field says counts for all"
    edit("line.toml", ORDER, ORDER.replace(" }", ', where = "status=PLANNED" }'))
    ((severity, text),) = told(folder)
    assert severity == "error"
    assert "`where` is `status=RUN` in another field" in text


def test_what_is_no_condition_is_told_with_its_line(folder: Path, edit: Edit) -> None:
    edit("line.toml", GRANULATOR, GRANULATOR.replace(" }", ', where = "status in RUN" }'))
    ((severity, text),) = told(folder)
    assert severity == "error"
    assert "`status in RUN`: column=value is meant" in text
