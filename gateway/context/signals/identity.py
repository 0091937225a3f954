"""Who an equipment works for, read from MES rows, tags and pushed values. Nothing is guessed: an id that can not be proved is kept raw."""

import re

from config.sections import FromRow, FromTag, Pushed
from gateway.context.plan import FIELDS, Unit
from gateway.context.signals.rows import in_force, place
from gateway.context.state import EquipmentState, Identity, Row, State
from gateway.context.texts import text


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
    if how.known_in is not None and not _known(state, where, how.known_in, value):
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
        row = _row(state, unit, how, batch)
        return None if row is None else row.row.get(how.column)
    return None


def _row(state: State, unit: Unit, how: FromRow, batch: str | None) -> Row | None:
    """The row in force for the equipment; where the batch comes from elsewhere, the highest row that names this batch."""
    present, batch_how = in_force(state, unit, how.row), unit.identity["batch"]
    if batch is None or isinstance(batch_how, FromRow) or (present is not None and batch in present.row.values()):
        return present
    telling = unit.tellings[how.row]
    naming = [
        (key, row)
        for key, row in state.rows.get(how.row, {}).items()
        if row.row.get(how.key) == telling.unit_id and batch in row.row.values()
    ]
    if naming:
        return max(naming, key=lambda named: place(telling, *named))[1]
    return None if isinstance(batch_how, FromTag | Pushed) and batch_how.known_in == how.row else present


def _known(state: State, where: EquipmentState, query: str, value: str) -> bool:
    """Whether a row names an id. That of the batch which is open was known when it came, whatever became of its row."""
    rows = state.rows.get(query, {}).values()
    return value in {where.open, where.bound.batch} or any(value in row.row.values() for row in rows if not row.gone)
