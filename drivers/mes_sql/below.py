"""Counts the rows that are no longer remembered: more of them than before were stamped below by a clock that was set back.

As many as left meanwhile (a row that is changed gets a new time) hide as many that came: the count proves that something came, not that
nothing did. Rows between base and floor need no count; they are compared one by one, see `drivers.mes_sql.reader`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from drivers.mes_sql import statement
from drivers.mes_sql.settings import Query
from drivers.mes_sql.statement import lowest, unordered, with_since
from drivers.mes_sql.window import Window, from_json, to_json

ALL_ROWS = 2**31 - 1
NOW = -1e18


@dataclass(frozen=True, slots=True)
class Counting:
    """now: the base through which rows are counted for the next time; was: that of the last time, and how many there were."""

    now: Any
    was: Any
    rows: int | None


def due(window: Window, every_s: float) -> Counting | None:
    """What is to be counted now; None if nothing is."""
    counted = window.counted
    if window.base is None or (counted and window.watched_s - counted["at_s"] < every_s):
        return None
    return Counting(window.base, from_json(counted["base"]) if "base" in counted else None, counted.get("rows"))


def now(window: Window) -> None:
    """Have it counted at the next opportunity."""
    if window.counted:
        window.counted = {**window.counted, "at_s": NOW}


def asked(query: Query, engine: Engine, counting: Counting) -> tuple[str, dict[str, Any]]:
    """The statement and its parameters: rows through the base of now, and through that of the last time."""
    preparer = engine.dialect.identifier_preparer
    column = "gw." + preparer.quote(str(query.watermark.column))
    start = lowest(engine.dialect.name, query.watermark.kind, query.watermark.start)
    was = "0" if counting.was is None else f"SUM(CASE WHEN {column} <= :was THEN 1 ELSE 0 END)"
    sql = f"SELECT COUNT(*) AS n, {was} AS was FROM (\n{with_since(unordered(query.sql), start)}\n) gw WHERE {column} <= :now"  # noqa: S608
    return sql, {"now": counting.now, "was": counting.was, "limit": ALL_ROWS}


def never_read(query: Query, dialect: str) -> tuple[str, dict[str, Any]] | None:
    """The statement that counts the rows that no look ever gives, and its parameters; None where the query's text does not tell them."""
    mark = query.watermark
    sql = (
        None
        if mark.column is None
        else statement.never_read(query.sql, None if mark.start is not None else lowest(dialect, mark.kind, None))
    )
    return None if sql is None else (f"SELECT COUNT(*) AS n FROM (\n{sql}\n) gw", {"limit": ALL_ROWS})  # noqa: S608


def counted(window: Window, counting: Counting, rows: Sequence[Mapping[str, Any]]) -> int:
    """Note the answer; how many rows more than the last time there are."""
    number, was = (int(value or 0) for value in list(rows[0].values())[:2])
    window.counted = {"base": to_json(counting.now), "rows": number, "at_s": round(window.watched_s, 1)}
    return was - counting.rows if counting.rows is not None and counting.was is not None else 0


def not_counted(window: Window) -> None:
    """It failed: try again when it is due again."""
    window.counted = {**window.counted, "at_s": round(window.watched_s, 1)}
