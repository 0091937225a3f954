"""Who an equipment works for, read from MES rows, tags and pushed values. Nothing is guessed: an id that can not be proved is kept raw."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from config.sections import FromRow, FromTag, Pushed
from gateway.context.plan import FIELDS, Unit
from gateway.context.state import EquipmentState, Identity, Row, State
from gateway.context.texts import text
from gateway.entries.fold_input import EARLIEST_TICKS
from gateway.entries.ticks import from_rfc3339

MOST_ROWS = 1_000
"""Kept of one query: the newest. Older orders can no longer make an id known."""


def take_rows(state: State, event: Mapping[str, Any], units: Mapping[str, Unit], seq: int, now: int) -> Iterator[tuple[str, int]]:
    """Take a `message` event, row by row. After each row yields the equipments that may read it, with the row's time."""
    query = f"{event['source']}.{event['name']}"
    readers = [unit for unit in units.values() if query in unit.queries]
    if not readers:
        return
    rows = state.rows.setdefault(query, {})
    for told in event["rows"]:
        key, ticks = told["key"], None if told.get("time") is None else from_rfc3339(told["time"])
        row = Row({column: text(value) for column, value in told["row"].items()}, ticks, seq, now)
        rows.pop(key, None)
        if told["change"] != "deleted":
            rows[key] = row
        for unit in readers:
            _newest(state.where[unit.name], unit, query, key, told["change"], rows)
            yield unit.name, now if ticks is None or not EARLIEST_TICKS <= ticks <= now else ticks
    for key in list(rows)[: max(len(rows) - MOST_ROWS, 0)]:
        if all(where.newest.get(query) != key for where in state.where.values()):
            del rows[key]


def _newest(where: EquipmentState, unit: Unit, query: str, key: str, change: str, rows: Mapping[str, Row]) -> None:
    column = next((i.key for i in unit.identity.values() if isinstance(i, FromRow) and i.row == query), None)
    if column is None:
        return
    present = where.newest.get(query)
    if key not in rows:
        if present == key:
            mine = [k for k, row in rows.items() if text(row.row.get(column)) == unit.equipment.unit_id]
            where.newest.pop(query)
            where.newest.update({query: mine[-1]} if mine else {})
        return
    row = rows[key]
    if text(row.row.get(column)) != unit.equipment.unit_id:
        return
    before = rows.get(present) if present is not None else None
    if change == "late" and before is not None and (row.ticks is None or before.ticks is None or row.ticks <= before.ticks):
        return
    where.newest[query] = key


def read(state: State, unit: Unit, where: EquipmentState) -> Identity:
    """The identity as its sources say it now."""
    batch, raw = _batch(state, unit, where)
    if batch is not None and batch == where.done:
        return Identity()
    values = {name: _field(state, unit, where, name, batch) for name in FIELDS[1:]}
    return Identity(batch, raw=raw, **values)


def named_batch(state: State, unit: Unit, where: EquipmentState) -> str | None:
    """The batch that the id names, though a state or tag may have ended it."""
    return _batch(state, unit, where)[0]


def _batch(state: State, unit: Unit, where: EquipmentState) -> tuple[str | None, str | None]:
    """(the batch, or None; the raw id that could not be taken, or None)."""
    how = unit.identity["batch"]
    if not isinstance(how, FromTag | Pushed):
        return _field(state, unit, where, "batch", None), None
    value = _as_read(where, how)
    if value is None:
        return None, None
    if how.pattern is not None and re.fullmatch(how.pattern, value) is None:
        return None, value
    if how.known_in is not None and not _known(state, how.known_in, value):
        return None, value
    return value, None


def _as_read(where: EquipmentState, how: FromTag | Pushed, name: str = "batch") -> str | None:
    """What a tag, or whoever pushes, says; unchecked."""
    if isinstance(how, Pushed):
        return text(where.pushed.get(name))
    seen = where.seen.get(how.tag)
    return None if seen is None else text(seen.value)


def _field(state: State, unit: Unit, where: EquipmentState, name: str, batch: str | None) -> str | None:
    how = unit.identity[name]
    if isinstance(how, FromTag | Pushed):
        value = _as_read(where, how, name)
        return value if value is None or how.pattern is None or re.fullmatch(how.pattern, value) else None
    if isinstance(how, FromRow):
        row = _row(state, unit, where, how, batch)
        return None if row is None else text(row.row.get(how.column))
    return None


def _row(state: State, unit: Unit, where: EquipmentState, how: FromRow, batch: str | None) -> Row | None:
    """The newest row of the equipment; where the batch comes from elsewhere, the newest that names this batch."""
    rows = state.rows.get(how.row, {})
    key = where.newest.get(how.row)
    newest = rows.get(key) if key is not None else None
    batch_how = unit.identity["batch"]
    if batch is None or newest is None or isinstance(batch_how, FromRow) or batch in map(text, newest.row.values()):
        return newest
    mine = (row for row in reversed(rows.values()) if text(row.row.get(how.key)) == unit.equipment.unit_id)
    named = next((row for row in mine if batch in map(text, row.row.values())), None)
    proves = isinstance(batch_how, FromTag | Pushed) and batch_how.known_in == how.row
    return named if named is not None or proves else newest


def _known(state: State, query: str, value: str) -> bool:
    return any(value in map(text, row.row.values()) for row in state.rows.get(query, {}).values())
