"""What is made of a SELECT: its columns by its text, its limit, its first literal."""

from typing import Any

import pytest
from kit.databases import needs
from pydantic import ValidationError

from drivers.mes_sql import dialects
from drivers.mes_sql.select import escaped, orders_by, problems
from drivers.mes_sql.settings import Query
from drivers.mes_sql.statement import columns, cut_without_limit, limited, lowest, never_read, unordered, uses_limit, with_since
from drivers.mes_sql.values import Unreadable, order_value, plain


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT id, o.batch_no, qty AS kg FROM orders o", ["id", "batch_no", "kg"]),
        ('SELECT DISTINCT "Id", [dbo].[x] y, (SELECT max(a) FROM b) AS top_a FROM t', ["Id", "y", "top_a"]),
        ("WITH n AS (SELECT a, b FROM c) SELECT n.a, lower(b) name FROM n UNION SELECT x, y FROM z", ["a", "name"]),
        ("SELECT CASE WHEN a = 1 THEN 'x, y' ELSE b END AS state, `c d` FROM t -- , e\n", ["state", "c d"]),
        ("SELECT CAST(a AS varchar(10)) AS a, b::text AS b FROM t", ["a", "b"]),
        ("SELECT * FROM t", None),
        ("SELECT id, o.* FROM orders o", None),
        ("SELECT id, count(*) FROM t GROUP BY id", None),
        ("SELECT id, a + 1 FROM t", None),
        ("SELECT id, CASE WHEN a = 1 THEN 2 END FROM t", None),
    ],
)
def test_the_columns_of_a_select_are_known_by_its_text_or_not_guessed(sql, expected):
    assert columns(sql) == expected


@pytest.mark.parametrize(
    ("sql", "cut"),
    [
        ("SELECT TOP 100 id FROM t WHERE id > :since ORDER BY id", "top"),
        ("SELECT id FROM t WHERE id > :since ORDER BY id LIMIT 100", "limit"),
        ("SELECT id FROM t WHERE id > :since ORDER BY id OFFSET 0 ROWS FETCH NEXT 9 ROWS ONLY", "offset"),
        ("SELECT id FROM t WHERE id > :since ORDER BY id LIMIT :limit", None),
        ("SELECT TOP (:limit) id FROM t WHERE id > :since ORDER BY id", None),
        ("SELECT id, (SELECT x FROM y ORDER BY x LIMIT 1) AS z FROM t WHERE id > :since ORDER BY id", None),
        ("SELECT id, top FROM t WHERE id > :since ORDER BY id", None),
    ],
)
def test_a_select_that_cuts_its_result_says_limit(sql, cut):
    assert cut_without_limit(sql) == cut
    assert orders_by(sql, "id")
    made = {"name": "q", "sql": sql, "key": "id", "watermark": {"column": "id", "kind": "sequence"}}
    if cut is None:
        Query.model_validate(made)
    else:
        with pytest.raises(ValidationError, match=r"would never be read; write :limit"):
            Query.model_validate(made)


def test_each_database_is_asked_for_so_many_rows_in_its_own_words():
    sql = "SELECT id FROM t WHERE id > :since ORDER BY id -- newest last\n;"
    plain = "SELECT id FROM t WHERE id > :since ORDER BY id"
    assert limited(sql, "postgresql", 7) == f"{plain}\nLIMIT 7"
    assert limited(sql, "mssql", 7) == f"{plain}\nOFFSET 0 ROWS FETCH NEXT 7 ROWS ONLY"
    assert limited(sql, "oracle", 7) == f"SELECT * FROM (\n{plain}\n) WHERE ROWNUM <= 7"
    assert limited(sql, "informix", 7) == sql, "read that far, and closed"
    assert limited("SELECT TOP (:limit) id FROM t WHERE id > :since ORDER BY id", "mssql", 7).count("OFFSET") == 0
    assert unordered("SELECT a FROM (SELECT b FROM c ORDER BY b) WHERE a > :since ORDER BY a LIMIT :limit").endswith("a > :since ")
    assert not uses_limit("SELECT ':limit' FROM t")


def test_before_the_first_row_a_literal_stands_for_since():
    sql = "SELECT id FROM t WHERE note <> ':since' AND at > :since ORDER BY at"
    assert with_since(sql, lowest("postgresql", "timestamp", None)).endswith("':since' AND at > '0001-01-01' ORDER BY at")
    assert lowest("sqlite", "sequence", None) == "-9223372036854775808"
    assert lowest("sqlite", "sequence", 7) == "7"
    assert lowest("mariadb", "sequence", "L'1") == "'L''1'"
    assert lowest("oracle", "timestamp", "2026-11-29 10:00:00") == "TIMESTAMP '2026-11-29 10:00:00'"


def test_a_cast_may_follow_the_parameter_and_a_refused_column_says_how_to_write_it():
    assert escaped("SELECT a FROM t WHERE a > :since::timestamptz") == "SELECT a FROM t WHERE a > (:since)::timestamptz"
    assert escaped("SELECT a FROM t WHERE a > :since LIMIT :limit") == "SELECT a FROM t WHERE a > :since LIMIT :limit"
    assert any('in quotes: "comment"' in problem for problem in problems("SELECT id, comment FROM t"))
    assert orders_by('SELECT a FROM t WHERE a > :since ORDER BY a COLLATE "C", b', "a")
    assert not orders_by('SELECT a FROM t WHERE a > :since ORDER BY a COLLATE "C" DESC', "a")


@pytest.mark.parametrize(
    ("where", "never"),
    [
        ("id > :since", "(id IS NULL OR id <= 0)"),
        ('plant = 7 AND t . "at" >= :since AND x = 1', 'plant = 7 AND (t . "at" IS NULL OR t . "at" <= 0) AND x = 1'),
        ("(id > :since) -- above", "((id IS NULL OR id <= 0)) -- above"),
        ("COALESCE(id, 0) > :since", None),
        ("a + id > :since", None),
        ("id > :since::int", None),
        ("id > :since OR b > :since", None),
        (":since < id", None),
    ],
)
def test_rows_that_are_never_above_since_are_asked_for_where_the_text_is_plain(where, never):
    made = never_read(f"SELECT id FROM t WHERE {where}\nORDER BY id", "0")
    assert (made if made is None else made.strip()) == (None if never is None else f"SELECT id FROM t WHERE {never}".strip())
    if never is not None:
        assert "<=" not in str(never_read(f"SELECT id FROM t WHERE {where}\nORDER BY id", None)), "start leaves rows out on purpose"


def test_a_timestamp_of_oracle_that_lost_its_zone_is_refused_with_the_way_out() -> None:
    needs("oracledb")
    import oracledb

    class Raw:
        call_timeout = 0
        outputtypehandler: Any = None

    class Cursor:
        arraysize = 1

        def var(self, _kind: Any, arraysize: int, outconverter: Any) -> Any:
            assert arraysize == self.arraysize
            return outconverter

    dialects._oracle(Raw, 1.0)
    kinds = {kind: type("Metadata", (), {"type_code": kind}) for kind in (oracledb.DB_TYPE_TIMESTAMP_TZ, oracledb.DB_TYPE_TIMESTAMP)}
    assert Raw.outputtypehandler(Cursor(), kinds[oracledb.DB_TYPE_TIMESTAMP]) is None
    value = Raw.outputtypehandler(Cursor(), kinds[oracledb.DB_TYPE_TIMESTAMP_TZ])("naive")
    for refused in (lambda: plain({"at": value}), lambda: order_value("at", value, (None, None))):
        with pytest.raises(Unreadable, match="SYS_EXTRACT_UTC"):
            refused()
