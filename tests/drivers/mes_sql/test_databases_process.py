"""The SQL driver against PostgreSQL and MariaDB: what their columns can hold, what can be a watermark, and statements that do not end."""

import asyncio
import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kit.collector import Journal, running
from kit.databases import Server, mariadb, needs, postgres
from kit.processes import DEADLINE_S

from config import Source, Tag
from drivers.contract import BAD_DECODING, GOOD, LinkLost
from drivers.mes_sql import MesSqlDriver

REFUSED = object()
"""The row is refused, with the reason."""
POSTGRES_DRIVERS = ["asyncpg", "psycopg_async", "psycopg"]
MARIADB_DRIVERS = ["aiomysql", "pymysql"]


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that all workers of this run share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def pg(run: Path) -> Iterator[Server]:
    needs("asyncpg", "psycopg")
    with postgres(run) as server:
        yield server


@pytest.fixture(scope="session")
def maria(run: Path) -> Iterator[Server]:
    needs("aiomysql", "pymysql")
    with mariadb(run) as server:
        yield server


def source(endpoint: str, *queries: dict[str, Any], **more: Any) -> Source:
    options = {"query": list(queries), "timeout_s": 20.0, **more}
    return Source(name="mes", driver="mes_sql", endpoint=endpoint, rate_ms=20, folder=Path("/"), options=options)


def query(column: str = "id", kind: str = "sequence", table: str = "t", order: str = "", **more: Any) -> dict[str, Any]:
    mark = {"column": column, "kind": kind, "overlap_s": 0}
    return {
        "name": table,
        "sql": f"SELECT id, {column} AS {column}, v FROM {table} WHERE {column}{order} > :since ORDER BY {column}{order}",
        "key": "id",
        "watermark": mark,
        **more,
    } | ({"sql": f"SELECT id, v FROM {table} WHERE id > :since ORDER BY id"} if column == "id" else {})


async def values_of(server: Server, driver: str, columns: list[tuple[str, list[str]]], prelude: str = "") -> list[list[Any]]:
    """What the driver makes of each value of a column of each type; REFUSED for a row that it tells and leaves."""
    tables = {f"t{number}": column for number, column in enumerate(columns)}
    for name, (kind, values) in tables.items():
        rows = ", ".join(f"({at}, {value})" for at, value in enumerate(values))
        prelude += f"DROP TABLE IF EXISTS {name}; CREATE TABLE {name}(id int PRIMARY KEY, v {kind}); INSERT INTO {name} VALUES {rows};"
    server.run(prelude)
    journal, count = Journal(), sum(len(values) for _, values in columns)
    queries = [query(table=name) for name in tables]
    async with running(MesSqlDriver(source(server.endpoint(driver), *queries), []), journal) as task:
        await journal.until(lambda: len(journal.messages) + len(journal.findings) >= count or task.done())
        assert not task.done(), task.exception()
        await journal.polled(1)
    assert {finding.code for finding in journal.findings} <= {"row-refused"}, journal.findings
    read = {(message.name, message.key): message.row["v"] for message in journal.messages}
    return [[read.get((name, str(at)), REFUSED) for at in range(len(values))] for name, (_, values) in tables.items()]


POSTGRES = [
    ("timestamp", ["'2026-11-29 10:00:00.123456'", "'infinity'", "'-infinity'"], ["2026-11-29T10:00:00.123456", "infinity", "-infinity"]),
    ("timestamptz", ["'2026-11-29 10:00:00+01'", "'infinity'"], ["2026-11-29T09:00:00+00:00", "infinity"]),
    ("date", ["'2026-11-29'", "'infinity'"], ["2026-11-29", "infinity"]),
    ("time", ["'10:00'", "'24:00'"], ["10:00:00", "24:00:00"]),
    ("uuid", ["'00000000-0000-0000-0000-000000000007'"], ["00000000-0000-0000-0000-000000000007"]),
    ("numeric", ["12.50", "'NaN'", "'Infinity'"], ["12.50", "NaN", "Infinity"]),
    ("bit(1)", ["B'1'", "B'0'"], ["1", "0"]),
    ("bytea", [r"'\x00ff'"], ["AP8="]),
    ("real", ["0.5", "'NaN'"], [0.5, "nan"]),
    ("money", ["12.5"], ["$12.50"]),
    ("json", ["'{\"kg\": 1.10}'"], ['{"kg": 1.10}']),
    ("timestamp[]", ["'{infinity}'"], [["infinity"]]),
    ("int4range", ["'[1,5)'"], [REFUSED]),
    ("inet", ["'10.0.0.1'"], ["10.0.0.1"]),
    ("boolean", ["true"], [True]),
    ("bigint", ["9007199254740993"], ["9007199254740993"]),
]


@pytest.mark.urs("URS-DAQ-04")
async def test_each_value_of_postgresql_comes_as_it_stands_or_is_refused(pg, figures):
    for driver in POSTGRES_DRIVERS:
        await judge_postgres(pg, driver)
    figures("SQL", f"{', '.join(POSTGRES_DRIVERS)}: {sum(len(values) for _, values, _ in POSTGRES) + 2} values, none guessed")


async def judge_postgres(pg: Server, driver: str) -> None:
    odd = [("timestamp", ["'0044-03-15 12:00:00 BC'"]), ("interval", ["'1 month 2 days 3.5 seconds'"])]
    *seen, [before_christ], [month] = await values_of(pg, driver, [(kind, values) for kind, values, _ in POSTGRES] + odd)
    assert seen == [expected for _, _, expected in POSTGRES], driver
    assert before_christ in ("0044-03-15 12:00:00 BC", "2000-01-01 -746117 days and 43200000000 us")
    assert month in ("1 mon 2 days 00:00:03.5", "P1M2DT3.5S")


MARIADB = [
    (
        "datetime",
        ["'2026-11-29 10:00:00'", "'0000-00-00 00:00:00'", "'2026-11-00 00:00:00'", "'9999-12-31 23:59:59'"],
        ["2026-11-29T10:00:00", "0000-00-00 00:00:00", "2026-11-00 00:00:00", "9999-12-31T23:59:59"],
    ),
    ("timestamp NULL", ["'0000-00-00 00:00:00'"], ["0000-00-00 00:00:00"]),
    ("date", ["'2026-11-29'", "'0000-00-00'"], ["2026-11-29", "0000-00-00"]),
    ("time", ["'838:59:59'", "'-1:00:00'"], ["838:59:59", "-01:00:00"]),
    ("year", ["2026"], [2026]),
    ("bit(1)", ["b'1'", "b'0'"], [1, 0]),
    ("decimal(30,10)", ["12.5"], ["12.5000000000"]),
    ("float", ["0.1"], [0.1]),
    ("bigint unsigned", ["18446744073709551615"], ["18446744073709551615"]),
    ("varbinary(10)", ["x'00ff'"], ["AP8="]),
    ("text CHARACTER SET latin1", ["'ä'"], ["ä"]),
    ("set('a','b')", ["'a,b'"], ["a,b"]),
    ("json", ["'{\"kg\": 1.10}'"], ['{"kg": 1.10}']),
    ("uuid", ["'00000000-0000-0000-0000-000000000007'"], ["00000000-0000-0000-0000-000000000007"]),
]


@pytest.mark.urs("URS-DAQ-04")
async def test_each_value_of_mariadb_comes_as_it_stands(maria, figures):
    for driver in MARIADB_DRIVERS:
        seen = await values_of(maria, driver, [(kind, values) for kind, values, _ in MARIADB], "SET sql_mode=''; ")
        assert seen == [expected for _, _, expected in MARIADB], driver
    figures("SQL", f"{', '.join(MARIADB_DRIVERS)}: {sum(len(values) for _, values, _ in MARIADB)} values, none guessed")


@pytest.mark.urs("URS-DAQ-04")
@pytest.mark.parametrize("password", ["clé-é", "Schlüssel €", "密码"])
async def test_mariadb_is_given_a_password_as_its_own_client_gives_it(maria, tmp_path, password):
    name = f"reader{os.getpid()}"
    rights = "".join(
        f"DROP USER IF EXISTS {who}; CREATE USER {who} IDENTIFIED BY '{password}'; GRANT SELECT ON *.* TO {who};"
        for who in (f"'{name}'@'localhost'", f"'{name}'@'127.0.0.1'")
    )
    maria.run(
        f"SET NAMES utf8mb4; DROP TABLE IF EXISTS t; CREATE TABLE t(id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 7); {rights}"
    )
    (tmp_path / "credentials").mkdir()
    secret = tmp_path / "credentials" / "mes"
    secret.write_text(password)
    secret.chmod(0o600)
    for driver in MARIADB_DRIVERS:
        endpoint = maria.endpoint(driver).replace("root@", "")
        one = source(endpoint, query(), user=name, password={"credential": "mes"}).model_copy(update={"folder": tmp_path})
        journal = Journal()
        async with running(MesSqlDriver(one, []), journal) as task:
            await journal.until(lambda journal=journal, task=task: journal.messages or task.done())
            assert not task.done(), (driver, task.exception())


async def follows(server: Server, driver: str, kind: str, values: list[str], mark: str, order: str = "") -> None:
    """Rows are read in the order of a column of this type, over a restart, once each, while the floor rises."""
    server.run(f"DROP TABLE IF EXISTS t; CREATE TABLE t(id int PRIMARY KEY, at {kind}, v int);")
    one = source(server.endpoint(driver), query("at", mark, order=order))
    journal, last = Journal(), len(values) - 1
    async with running(MesSqlDriver(one, []), journal) as task:
        for at, value in enumerate(values[:last]):
            server.run(f"INSERT INTO t VALUES ({at}, {value}, 0);")
            await journal.until(lambda at=at: len(journal.messages) > at or task.done())
            assert not task.done(), (kind, task.exception())
            await journal.polled(3)
    assert [message.key for message in journal.messages] == [str(at) for at in range(last)], f"{kind}: each row once"
    assert journal.watermark["t"]["floor"] is not None, f"{kind}: the floor rises"
    server.run(f"INSERT INTO t VALUES ({last}, {values[last]}, 0);")
    again = Journal(journal.watermark)
    async with running(MesSqlDriver(one, []), again):
        await again.until(lambda: again.messages)
        await again.polled(3)
    assert [message.key for message in again.messages] == [str(last)], f"{kind}: after a restart what is new"
    assert (journal.findings, journal.losses, again.findings) == ([], [], [])


@pytest.mark.urs("URS-DAQ-04")
async def test_columns_of_postgresql_that_can_be_a_watermark(pg):
    days = ["'2026-11-27'", "'2026-11-28'", "'2026-11-29'", "'2026-11-30'"]
    for kind in ("timestamp", "timestamptz", "date"):
        await follows(pg, "asyncpg", kind, days, "timestamp")
    for kind in ("int", "numeric"):
        await follows(pg, "asyncpg", kind, ["-5", "0", "7", "8"], "sequence")


@pytest.mark.urs("URS-DAQ-04")
async def test_columns_of_mariadb_that_can_be_a_watermark(maria):
    days = ["'2026-11-27'", "'2026-11-28'", "'2026-11-29'", "'2026-11-30'"]
    for kind in ("datetime", "date"):
        await follows(maria, "aiomysql", kind, days, "timestamp")
    for kind in ("bigint",):
        await follows(maria, "aiomysql", kind, ["-5", "0", "7", "8"], "sequence")


@pytest.mark.urs("URS-DAQ-04")
async def test_a_zero_date_as_watermark_is_told_as_never_read(maria):
    maria.run("DROP TABLE IF EXISTS t; CREATE TABLE t(id int PRIMARY KEY, at datetime, v int);")
    maria.run("SET sql_mode=''; INSERT INTO t VALUES (1, '2026-11-29', 0), (2, '0000-00-00', 0), (3, NULL, 0);")
    for driver in MARIADB_DRIVERS:
        journal = Journal()
        async with running(MesSqlDriver(source(maria.endpoint(driver), query("at", "timestamp")), []), journal):
            await journal.polled(2)
        assert [message.key for message in journal.messages] == ["1"]
        assert [(finding.code, finding.evidence["rows"]) for finding in journal.findings] == [("rows-never-read", 2)]


async def test_texts_that_a_database_orders_by_a_language_need_its_binary_collation_and_it_is_said(pg, maria):
    pg.run('DROP TABLE IF EXISTS t; CREATE TABLE t(id int PRIMARY KEY, at text COLLATE "en-x-icu", v int);')
    pg.run("INSERT INTO t VALUES (1,'a',0),(2,'B',0),(3,'c',0);")
    maria.run("DROP TABLE IF EXISTS t; CREATE TABLE t(id int PRIMARY KEY, at varchar(9), v int); INSERT INTO t VALUES (1,'a',0),(2,'B',0);")
    mark = {"column": "at", "kind": "sequence", "start": ""}
    for server, driver, collation in ((pg, "asyncpg", ' COLLATE "C"'), (maria, "aiomysql", " COLLATE utf8mb4_bin")):
        journal = Journal()
        async with running(MesSqlDriver(source(server.endpoint(driver), query("at") | {"watermark": mark}), []), journal) as task:
            await journal.until(task.done)
        assert isinstance(task.exception(), LinkLost)
        assert "COLLATE" in str(task.exception())
        await_all = Journal()
        right = query("at", order=collation) | {"watermark": mark}
        async with running(MesSqlDriver(source(server.endpoint(driver), right), []), await_all):
            await await_all.until(lambda told=await_all: len(told.messages) > 1)
        assert [message.key for message in await_all.messages][:2] == ["2", "1"]


async def test_a_bit_is_a_bool_and_a_text_with_a_comma_a_number_where_it_is_declared(maria):
    maria.run("DROP TABLE IF EXISTS t; CREATE TABLE t(id int PRIMARY KEY, at varchar(9), v bit(1)); INSERT INTO t VALUES (1,'12,5',b'1');")
    tags = [
        Tag(tag="open", source="mes", address="t.v", type="bool"),
        Tag(tag="kg", source="mes", address="t.at", type="decimal"),
        Tag(tag="text", source="mes", address="t.at", type="string"),
    ]
    sql = {"sql": "SELECT id, at, v FROM t WHERE id > :since ORDER BY id"}
    for decimal, status in ((",", GOOD), (".", BAD_DECODING)):
        journal = Journal()
        async with running(MesSqlDriver(source(maria.endpoint("aiomysql"), query() | sql | {"decimal": decimal}), tags), journal):
            await journal.until(lambda told=journal: told.messages)
            await journal.polled(1)
        assert [(index, str(value), status) for index, value, status, *_ in journal.readings] == [
            (0, "True", GOOD),
            (1, "12.5" if status == GOOD else "None", status),
            (2, "12,5", GOOD),
        ]
        assert journal.codes == ([] if status == GOOD else ["value-unreadable"])


ENDLESS = {
    "pg": "(SELECT count(*) FROM (SELECT generate_series(1, 2000000000)) AS endless)",
    "maria": "(SELECT COUNT(*) FROM seq_1_to_2000000000 a WHERE a.seq % 7 = t.id)",
}
RUNNING = {
    "pg": "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND backend_type = 'client backend'"
    " AND datname = current_database() AND pid <> pg_backend_pid();",
    "maria": "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() AND info LIKE '%seq_1_to_2000%'"
    " AND info NOT LIKE '%processlist%';",
}


async def become(server: Server, name: str, count: str) -> None:
    """So many endless statements run on the server."""
    async with asyncio.timeout(DEADLINE_S):
        while await asyncio.to_thread(server.run, RUNNING[name]) != count:
            pass


@pytest.mark.parametrize(("name", "drivers"), [("pg", ["asyncpg", "psycopg"]), ("maria", ["aiomysql", "pymysql"])])
async def test_a_statement_that_ran_into_its_time_or_was_stopped_is_ended_on_the_server(request, name, drivers, figures):
    server: Server = request.getfixturevalue(name)
    server.run("DROP TABLE IF EXISTS t; CREATE TABLE t(id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 0);")
    endless = query() | {"sql": f"SELECT id, {ENDLESS[name]} AS v FROM t WHERE id > :since ORDER BY id"}
    for driver in drivers:
        impatient = MesSqlDriver(source(server.endpoint(driver), endless, timeout_s=0.5), [])
        for _ in range(2):
            journal = Journal()
            async with running(impatient, journal) as task:
                await journal.until(task.done)
            assert isinstance(task.exception(), LinkLost), task.exception()
        await become(server, name, "0\n")
        async with running(MesSqlDriver(source(server.endpoint(driver), endless, timeout_s=600), []), Journal()):
            await become(server, name, "1\n")
        await become(server, name, "0\n")
    figures("SQL", f"{', '.join(drivers)}: statements left on the server after two that ran into timeout_s: 0; after a stop: 0")


@pytest.mark.urs("URS-DAQ-11")
@pytest.mark.filterwarnings("ignore:.*ServerCursor.*was deleted while still open:ResourceWarning")  # its connection is closed
@pytest.mark.parametrize("driver", POSTGRES_DRIVERS)
async def test_a_poll_that_is_cancelled_at_any_point_leaves_no_connection_on_the_server(pg: Server, driver: str) -> None:
    pg.run(
        "DROP TABLE IF EXISTS c; CREATE TABLE c(id int PRIMARY KEY, v int); INSERT INTO c SELECT i, i FROM generate_series(1, 2000) AS i;"
    )
    its = source(pg.endpoint(driver), query(table="c"))
    gc.collect()
    gc.disable()  # what it alone would close stays open in a running gateway until it comes by
    try:
        for after in range(40):
            reading = asyncio.create_task(MesSqlDriver(its, []).run(Journal()))
            for _ in range(after):
                await asyncio.sleep(0.0001)
            reading.cancel()
            await asyncio.wait([reading])
        async with asyncio.timeout(DEADLINE_S):
            while await asyncio.to_thread(_connections, pg):  # noqa: ASYNC110 - the state is the server's
                await asyncio.sleep(0.05)
    finally:
        gc.enable()


def _connections(server: Server) -> int:
    """How many connections of this driver the server has in the test's database."""
    sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    return int(server.run(f"COPY ({sql}) TO STDOUT").split()[-1])


@pytest.mark.urs("URS-DAQ-04")
@pytest.mark.parametrize("driver", POSTGRES_DRIVERS)
async def test_a_column_that_changes_its_type_is_read_on_without_a_failure(pg: Server, driver: str) -> None:
    """A statement that was prepared before fails once after each ALTER TABLE: an alarm and a gap, and nothing was wrong."""
    pg.run("DROP TABLE IF EXISTS t; CREATE TABLE t(id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 7);")
    journal = Journal()
    async with running(MesSqlDriver(source(pg.endpoint(driver), query()), []), journal):
        await journal.until(lambda: journal.messages != [])
        await journal.polled(8)
        pg.run("ALTER TABLE t ALTER COLUMN v TYPE text USING v::text; INSERT INTO t VALUES (2, 'seven');")
        await journal.until(lambda: journal.messages[-1].key == "2")
        pg.run("ALTER TABLE t ADD COLUMN w int; INSERT INTO t VALUES (3, 'eight', 1);")
        await journal.until(lambda: journal.messages[-1].key == "3")
    assert "query-failed" not in journal.codes, journal.findings
    assert [message.row["v"] for message in journal.messages if message.change == "new"] == [7, "seven", "eight"]
