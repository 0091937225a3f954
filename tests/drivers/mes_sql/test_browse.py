"""`browse` of a database: tables and views with their columns as rows of the map, and the queries that these need."""

import sqlite3
import tomllib

import pytest
from kit.mes_sql import source
from sqlalchemy import types

from drivers.contract import BadReply, Browses, LinkLost
from drivers.mes_sql import MesSqlDriver
from drivers.mes_sql.browse import Table, proposed
from drivers.mes_sql.settings import Query

TABLES = """
CREATE TABLE weighings (id INTEGER PRIMARY KEY, "batch no" TEXT, net NUMERIC(10,3), ok BOOLEAN, at DATETIME, raw BLOB);
CREATE TABLE bom (parent TEXT, child TEXT, share REAL, PRIMARY KEY (parent, child));
CREATE VIEW v_orders AS SELECT id, "batch no" AS batch_no FROM weighings;
INSERT INTO weighings VALUES (1, 'B1', 1.25, 1, '2026-11-22 10:00', x'00');
"""
QUERIES = [
    {
        "name": "orders",
        "sql": "SELECT id FROM v_orders WHERE id > :since ORDER BY id",
        "key": "id",
        "watermark": {"column": "id", "kind": "sequence"},
    }
]


@pytest.fixture
def driver(tmp_path):
    with sqlite3.connect(tmp_path / "mes.db") as database:
        database.executescript(TABLES)
    database.close()
    return MesSqlDriver(source(tmp_path, QUERIES), [])


async def test_columns_become_rows_with_types_and_tables_without_a_query_a_proposal_that_check_takes(driver):
    assert isinstance(driver, Browses)
    found = await driver.browse()
    assert {row["address"]: (row["type"], row["description"]) for row in found.rows} == {
        "bom.parent": ("string", "TEXT"),
        "bom.child": ("string", "TEXT"),
        "bom.share": ("float64", "REAL"),
        "orders.id": ("int64", "INTEGER"),
        "weighings.id": ("int64", "INTEGER"),
        "weighings.batch no": ("string", "TEXT"),
        "weighings.net": ("decimal", "NUMERIC(10, 3)"),
        "weighings.ok": ("bool", "BOOLEAN"),
        "weighings.at": ("string", "DATETIME without a zone: if it is the row's time, name it in the query's `time`"),
        "weighings.raw": ("bytes", "BLOB"),
    }
    assert {row["tag"] for row in found.rows} >= {"mes.weighings.batch_no", "mes.orders.id"}
    assert found.left_out == {"v_orders.batch_no": "query orders reads this table and does not SELECT it"}
    bom, weighings = (Query.model_validate(tomllib.loads(text)["source"]["query"][0]) for text in map(_placed, found.needs))
    assert (bom.key, bom.watermark.kind) == (("parent", "child"), "snapshot")
    assert (weighings.key, weighings.watermark.column) == ("id", "id")
    assert weighings.sql == 'SELECT id, "batch no", net, ok, at, raw FROM weighings WHERE id > :since ORDER BY id'


def _placed(text: str) -> str:
    """As a person places it: below the [[source]] that it names."""
    assert text.startswith('# in line.toml, below the [[source]] "mes":\n')
    return f"[[source]]\n{text}".replace("[[source]]\n", "", 1).replace("[[source.query]]", "[source]\n[[source.query]]")


async def test_a_proposed_query_reads_what_the_table_holds(driver, tmp_path):
    text = (await driver.browse(under="weighings")).needs[0]
    query = tomllib.loads(_placed(text))["source"]["query"][0]
    report = await MesSqlDriver(source(tmp_path, [query]), []).probe()
    assert [(tag.query, tag.state, tag.columns) for tag in report.tags] == [
        ("weighings", "ok", ["id", "batch no", "net", "ok", "at", "raw"])
    ]


async def test_a_table_a_pattern_and_what_is_known_narrow_it(driver):
    assert [row["address"] for row in (await driver.browse(under="bom")).rows] == ["bom.parent", "bom.child", "bom.share"]
    assert [row["address"] for row in (await driver.browse(under="main.bom", match="*.CHILD")).rows] == ["bom.child"]
    narrowed = await driver.browse(match="bom.*", known={"bom.parent", "bom.child", "bom.share"})
    assert (narrowed.rows, narrowed.needs) == ([], [])
    with pytest.raises(BadReply, match="no table or view in or called nowhere"):
        await driver.browse(under="nowhere")


async def test_the_query_with_which_docs_begin_is_one(tmp_path):
    sqlite3.connect(tmp_path / "mes.db").close()
    first = {"name": "first", "sql": "SELECT 1 AS id", "key": "id", "watermark": {"kind": "snapshot"}}
    driver = MesSqlDriver(source(tmp_path, [first]), [])
    assert MesSqlDriver.check(driver.source, []) == []
    assert (await driver.probe()).tags[0].state == "ok"


async def test_a_database_that_is_not_there_is_told(tmp_path):
    with pytest.raises(LinkLost, match="unable to open"):
        await MesSqlDriver(source(tmp_path, QUERIES), []).browse()


def test_a_type_without_a_single_value_is_left_out_and_a_view_is_asked_about():
    view = Table(("dbo", "V Batch"), [("ID", types.Integer()), ("place", types.NullType()), ("t", types.DateTime(timezone=True))])
    view.quoted = {"dbo": "dbo", "V Batch": "[V Batch]", "ID": "[ID]", "place": "place", "t": "t"}
    found = proposed("mes", [view], [], None, ())
    assert [(row["address"], row["type"]) for row in found.rows] == [("V_Batch.ID", "int64"), ("V_Batch.t", "datetime")]
    assert found.left_out == {"dbo.V Batch.place": "type NULL: CAST it in the SELECT"}
    assert "FROM dbo.[V Batch] WHERE [ID] > :since ORDER BY [ID]" in found.needs[0]
    assert "no primary key is declared: do these tell one row from all others?" in found.needs[0]
