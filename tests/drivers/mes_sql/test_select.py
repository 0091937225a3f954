"""The fence in front of the database: one SELECT and nothing else."""

import pytest

from config import Source
from drivers.mes_sql import MesSqlDriver
from drivers.mes_sql.select import escaped, orders_by, problems, uses_since

GOOD = [
    "SELECT id FROM v WHERE id > :since ORDER BY id",
    'select a.id, a."update" from [dbo].[v_orders] a where a.id > :since order by a.id;',
    "WITH n AS (SELECT id, delete_flag FROM v) SELECT id FROM n WHERE id > :since ORDER BY n.id ASC",
    "SELECT id, replace(name, ';', 'insert') AS n FROM v -- drop table\nWHERE id > :since ORDER BY id",
    "SELECT id, o.comment, 'it''s; delete' AS t FROM v o WHERE id::bigint > :since ORDER BY id",
    "SELECT id FROM v /* update */ WHERE id > :since ORDER BY id",
]
BAD = [
    "",
    "DELETE FROM v",
    "SELECT 1; DROP TABLE v",
    "SELECT * INTO other FROM v",
    "WITH gone AS (DELETE FROM v RETURNING *) SELECT * FROM gone",
    "SELECT id FROM v FOR UPDATE",
    "SELECT nextval('s')",
    "SELECT pg_terminate_backend(1)",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT load_extension('x')",
    "SELECT xp_cmdshell('dir')",
    "EXEC sp_who",
    "PRAGMA query_only = OFF",
    "ATTACH 'x.db' AS x",
    "SELECT id FROM v WITH (NOLOCK) WHERE id > :since",
    "SELECT id FROM v WHERE id > :other",
    "SELECT 'a FROM v",
    "SELECT id FROM v /* open",
    "SELECT /*! SQL_NO_CACHE */ id FROM v",
    "SELECT id FROM v\0",
    "VALUES (1)",
    "SELECT id INTO OUTFILE '/tmp/x' FROM v",
    "SELECT load_file('/etc/passwd')",
    "CALL refresh()",
    "COPY v TO PROGRAM 'sh'",
    "SELECT sleep(10)",
    "SELECT dblink_exec('x', 'drop table v')",
    "SELECT id FROM v; -- \n SELECT 2",
]


@pytest.mark.parametrize("sql", GOOD)
def test_a_plain_select_passes(sql):
    assert problems(sql) == []
    assert orders_by(sql, "id")
    assert uses_since(sql)


@pytest.mark.urs("URS-DAQ-02")
@pytest.mark.bar("S14")
@pytest.mark.parametrize("sql", BAD)
def test_everything_else_is_refused(sql):
    assert problems(sql) != []


@pytest.mark.bar("S14")
def test_words_in_quotes_neither_hide_nor_accuse():
    assert problems("SELECT id FROM v WHERE a = 'x' -- ' ; DROP TABLE v\n") == []
    assert problems("SELECT id FROM v WHERE a = '--'; DROP TABLE v") != []
    assert problems("SELECT id FROM v WHERE a = '\\'; DROP TABLE v --'") != [], "databases differ in what is text here"
    assert problems("SELECT id FROM v WHERE a = '\\'") != []


@pytest.mark.parametrize(
    "sql",
    ["SELECT id FROM v ORDER BY id DESC", "SELECT id FROM v ORDER BY other, id", "SELECT id FROM v", "SELECT id FROM v ORDER BY identity"],
)
def test_reading_in_pieces_needs_the_order(sql):
    assert not orders_by(sql, "id")


@pytest.mark.bar("S14")
def test_a_colon_within_quotes_is_no_parameter():
    assert escaped("SELECT ':x' FROM v WHERE id > :since") == r"SELECT '\:x' FROM v WHERE id > :since"


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ({"sql": "DELETE FROM v"}, "single SELECT"),
        ({"sql": "SELECT id FROM v ORDER BY id"}, "does not use :since"),
        ({"sql": "SELECT id FROM v WHERE id > :since"}, "ORDER BY id"),
        ({"time": {"column": "t", "zone": "Europe/Lyon"}}, "no IANA time zone"),
        ({"time": {"column": "t", "zone": "UTC", "format": "dd.MM.yyyy HH:mm"}}, "no format of a date and time"),
        ({"time": {"column": "t", "zone": "UTC", "format": "%H:%M:%S"}}, "no format of a date and time"),
        ({"time": {"column": "t", "zone": "UTC", "format": "%d.%m. %H:%M"}}, "no format of a date and time"),
        ({"watermark": {"kind": "sequence"}}, "column belongs"),
        ({"watermark": {"kind": "guess", "column": "id"}}, "sequence"),
    ],
)
def test_settings_say_what_is_wrong(query, why):
    good = {"name": "o", "sql": GOOD[0], "key": "id", "watermark": {"column": "id", "kind": "sequence"}}
    with pytest.raises(ValueError, match=why):
        MesSqlDriver.Settings.model_validate({"query": [{**good, **query}]})


@pytest.mark.parametrize(
    ("endpoint", "why"),
    [
        ("nonsense", "no usable database URL"),
        ("mysql+asyncmy://h/d", "ebr-gateway[mysql]"),
        ("postgresql+psycopg2://h/d", "year 9999"),
        ("sqlite+aiosqlite://", "in memory"),
        ("sqlite+aiosqlite:///:memory:", "in memory"),
        ("sqlite+aiosqlite://user:secret@/mes.db", "no password"),
        (("sqlite+aiosqlite:///a.db", "sqlite+aiosqlite:///b.db"), "one endpoint"),
    ],
)
def test_the_endpoint_is_checked_without_a_network(tmp_path, endpoint, why):
    query = {"name": "o", "sql": GOOD[0], "key": "id", "watermark": {"column": "id", "kind": "sequence"}}
    one = Source(name="mes", driver="mes_sql", endpoint=endpoint, folder=tmp_path, options={"query": [query]})
    told = [str(problem) for problem in MesSqlDriver.check(one, ())]
    assert len(told) == 1
    assert why in told[0]
    assert "secret" not in told[0]
