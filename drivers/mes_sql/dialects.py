"""What databases and their drivers do each in its own way: how a transaction is made read-only and a statement is given a limit of time.

Also which of their values do not arrive as they stand: infinity, years before Christ and zero dates are no Python datetime, months no
timedelta, a text may be of no encoding. Such a value arrives as its text (or as `Undecodable`), and is refused where a time is needed.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from sqlalchemy import Engine, event
from sqlalchemy.engine import Connection

READ_ONLY: Final = {
    "postgresql": ("SET TRANSACTION READ ONLY",),
    "mysql": ("SET SESSION TRANSACTION READ ONLY",),
    "mariadb": ("SET SESSION TRANSACTION READ ONLY",),
    "oracle": ("SET TRANSACTION READ ONLY",),
}
"""SQL Server has no such statement: there the login's rights are the wall (docs/mes.md)."""
SNAPSHOTS: Final = frozenset({"sqlite", "postgresql", "mysql", "mariadb", "oracle", "firebird"})
"""Databases in which one statement sees one state. Elsewhere a row that is moved meanwhile may be missed: it has to be missing twice."""


class Undecodable(bytes):
    """A text of the database whose bytes are none in its encoding."""


class Refused:
    """A value that its driver can not give as it stands. why: for a person."""

    def __init__(self, why: str) -> None:
        self.why = why


def begun(connection: Connection, timeout_s: float) -> list[str]:
    """List the statements that begin a transaction: read-only, and ended by the server when one runs longer than this."""
    name, ms = connection.dialect.name, max(1, round(timeout_s * 1000))
    limit: dict[str, str] = {
        "postgresql": f"SET LOCAL statement_timeout = {ms}",
        "mysql": f"SET SESSION max_execution_time = {ms}",
        "mariadb": f"SET SESSION max_statement_time = {ms / 1000}",
        "mssql": f"SET LOCK_TIMEOUT {ms}",
    }
    server = "mariadb" if getattr(connection.dialect, "is_mariadb", False) else name
    return [*READ_ONLY.get(name, ()), *([limit[server]] if server in limit else [])]


def sent(driver: str, password: str | None) -> str | None:
    """Give a password as its driver needs it, so that the server is sent its UTF-8, as the server's own client sends it.

    aiomysql and pymysql send Latin-1 instead: `é` would be another password, and `€` no text at all.
    """
    return password.encode().decode("latin-1") if password is not None and driver in ("aiomysql", "pymysql") else password


def connect_args(dialect: str, driver: str, timeout_s: float, busy_s: float) -> dict[str, Any]:
    """What the driver is told when it connects."""
    if dialect == "sqlite":
        return {"timeout": busy_s}
    if driver in ("aiomysql", "pymysql"):
        return {"conv": _mysql_values(), "connect_timeout": max(1, round(timeout_s))}
    if driver == "asyncpg":  # a statement that is kept fails once after each ALTER TABLE
        return {"prepared_statement_cache_size": 0, "statement_cache_size": 0}
    if driver in ("psycopg", "psycopg_async"):
        return {"prepare_threshold": None}
    return {"timeout": max(1, round(timeout_s)), "login_timeout": max(1, round(timeout_s))} if driver == "pymssql" else {}


def prepare(engine: Engine, encoding: str, timeout_s: float) -> None:
    """Have each new connection of the engine give values as they stand."""
    made: dict[str, Callable[[Any], Any]] = {
        "sqlite": lambda raw: _sqlite(raw, encoding),
        "asyncpg": lambda raw: raw.run_async(lambda inner: _asyncpg(inner, encoding)),
        "psycopg": lambda raw: _psycopg(_inner(raw), encoding),
        "oracle": lambda raw: _oracle(_inner(raw), timeout_s),
        "aioodbc": lambda raw: setattr(_inner(raw), "timeout", max(1, round(timeout_s))),
        "pyodbc": lambda raw: setattr(_inner(raw), "timeout", max(1, round(timeout_s))),
    }
    kind = engine.dialect.name if engine.dialect.name in made else engine.dialect.driver.removesuffix("_async")
    if (prepared := made.get(kind)) is not None:
        event.listen(engine, "connect", lambda raw, _: prepared(raw))


def _inner(raw: Any) -> Any:
    return getattr(raw, "driver_connection", raw)


ZONELESS: Final = "Oracle's driver gives a TIMESTAMP WITH TIME ZONE without its zone; CAST(SYS_EXTRACT_UTC(x) AS TIMESTAMP) in the SELECT"


def _oracle(raw: Any, timeout_s: float) -> None:
    """Refuse what python-oracledb makes a naive datetime of: the same text in two zones would be one time."""
    raw.call_timeout = round(timeout_s * 1000)
    before = raw.outputtypehandler

    def handler(cursor: Any, metadata: Any) -> Any:
        if metadata.type_code.name == "DB_TYPE_TIMESTAMP_TZ":
            return cursor.var(metadata.type_code, arraysize=cursor.arraysize, outconverter=lambda _: Refused(ZONELESS))
        return None if before is None else before(cursor, metadata)

    raw.outputtypehandler = handler


def decoder(encoding: str) -> Callable[[bytes], str | Undecodable]:
    """What makes a text of bytes, and never a wrong one."""

    def decode(raw: bytes) -> str | Undecodable:
        try:
            return str(raw, encoding)
        except UnicodeDecodeError:
            return Undecodable(raw)

    return decode


def _sqlite(raw: Any, encoding: str) -> None:
    """The file is opened with mode=ro, and the connection refuses to write."""
    cursor = raw.cursor()
    cursor.execute("PRAGMA query_only = ON")
    cursor.close()
    _inner(raw).text_factory = decoder(encoding)


def _mysql_values() -> dict[int, Any]:
    """Take what pymysql converts, and BIT as the number that it is, TIME as its text (it goes to 838 hours)."""
    from pymysql.constants import FIELD_TYPE  # an extra: not everybody has it
    from pymysql.converters import conversions

    return {**conversions, FIELD_TYPE.BIT: lambda raw: int.from_bytes(raw, "big"), FIELD_TYPE.TIME: str}


DAY_US: Final = 86_400_000_000
YEAR_2000, INFINITE_US, INFINITE_DAYS = datetime(2000, 1, 1, tzinfo=UTC), (1 << 63) - 1, (1 << 31) - 1


async def _asyncpg(connection: Any, encoding: str) -> None:
    """Mend what asyncpg does: it makes of infinity the year 9999, of a month 30 days, and fails at a year before Christ."""
    for kind, (encode, decode) in _ASYNCPG.items():
        await connection.set_type_codec(kind, schema="pg_catalog", encoder=encode, decoder=decode, format="tuple")
    for kind in ("bit", "varbit", "json", "jsonb"):  # json as its text: its numbers may have more digits than a float
        await connection.set_type_codec(kind, schema="pg_catalog", encoder=str, decoder=str, format="text")
    if connection.get_settings().server_encoding == "SQL_ASCII":
        for kind in ("text", "varchar", "bpchar", "name"):
            codec = {"encoder": lambda text: text.encode(encoding), "decoder": decoder(encoding)}
            await connection.set_type_codec(kind, schema="pg_catalog", format="binary", **codec)


def _instant(microseconds: int, zone: Any) -> datetime | str:
    if abs(microseconds) >= INFINITE_US:
        return "infinity" if microseconds > 0 else "-infinity"
    try:
        moment = YEAR_2000 + timedelta(microseconds=microseconds)
    except OverflowError:
        return _distant(microseconds // DAY_US) + f" and {microseconds % DAY_US} us"
    return moment if zone else moment.replace(tzinfo=None)


def _day(days: int) -> date | str:
    if abs(days) >= INFINITE_DAYS:
        return "infinity" if days > 0 else "-infinity"
    try:
        return YEAR_2000.date() + timedelta(days=days)
    except OverflowError:
        return _distant(days)


def _distant(days: int) -> str:
    """A day that no calendar of Python has, counted as PostgreSQL counts it."""
    return f"2000-01-01 {days:+d} days"


def _clock(microseconds: int) -> time | str:
    """A time of day; PostgreSQL has 24:00."""
    return (YEAR_2000 + timedelta(microseconds=microseconds)).time() if microseconds < DAY_US else "24:00:00"


def _clock_us(clock: time) -> int:
    return ((clock.hour * 60 + clock.minute) * 60 + clock.second) * 1_000_000 + clock.microsecond


def _microseconds(moment: datetime) -> tuple[int]:
    since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - YEAR_2000
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds,)


def _interval(months: int, days: int, microseconds: int) -> str:
    """ISO 8601: months, days and seconds are three numbers, none of which is so many of the other."""
    return (
        f"P{months}M{days}DT{microseconds / 1_000_000:g}S"
        if microseconds % 1_000_000
        else f"P{months}M{days}DT{microseconds // 1_000_000}S"
    )


_ASYNCPG: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "timestamp": (_microseconds, lambda value: _instant(value[0], None)),
    "timestamptz": (_microseconds, lambda value: _instant(value[0], UTC)),
    "date": (lambda day: ((day - YEAR_2000.date()).days,), lambda value: _day(value[0])),
    "time": (lambda clock: (_clock_us(clock),), lambda value: _clock(value[0])),
    "interval": (lambda span: (0, span.days, span.seconds * 1_000_000 + span.microseconds), lambda value: _interval(*value)),
}


def _psycopg(connection: Any, encoding: str) -> None:
    """Mend what psycopg does: it fails at infinity and at a year before Christ, and makes of a month 30 days."""
    from psycopg import DataError  # an extra: not everybody has it
    from psycopg.adapt import Loader
    from psycopg.types import datetime as times

    base_of_all: type[Any] = Loader

    class AsText(base_of_all):  # type: ignore[misc]
        def load(self, data: Any) -> Any:
            return bytes(data).decode()

    def or_text(base: type[Any]) -> type[Any]:
        class OrText(base):  # type: ignore[misc]
            def load(self, data: Any) -> Any:
                try:
                    return super().load(data)
                except (DataError, ValueError, OverflowError):
                    return bytes(data).decode()

        return OrText

    class InEncoding(base_of_all):  # type: ignore[misc]
        def load(self, data: Any) -> Any:
            return decoder(encoding)(bytes(data))

    loaders: dict[str, type[Any]] = {
        "timestamp": or_text(times.TimestampLoader),
        "timestamptz": or_text(times.TimestamptzLoader),
        "date": or_text(times.DateLoader),
        "time": or_text(times.TimeLoader),
        "timetz": or_text(times.TimetzLoader),
        "json": AsText,
        "jsonb": AsText,
        "interval": AsText,
    }
    if connection.info.parameter_status("server_encoding") == "SQL_ASCII":
        loaders |= dict.fromkeys(("text", "varchar", "bpchar", "name"), InEncoding)
    for kind, loader in loaders.items():
        connection.adapters.register_loader(kind, loader)
