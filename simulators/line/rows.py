"""Makes the rows of the MES and of the laboratory: orders before each batch, steps as they start and end, lots, results in files."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any, Literal

from config import Equipment, FromRow, FromTag, Line, Place, Pushed, Source
from config.sections import RowColumn
from simulators.line.bands import Bands
from simulators.line.lots import Lots
from simulators.line.plan import ROLES, Plan, Run, Stay
from simulators.line.ranges import fitted, range_of
from simulators.line.weighing import MATERIALS

GRANULES = "Granules"
OPERATORS = ("mkeller", "pduval")
HANDED_OVER_S = 0.3
BEFORE_END_S = 0.6


@dataclass(frozen=True, slots=True)
class Write:
    """One row of a query, or one record of a dropped file. known: columns that the line folder gives a meaning."""

    at_s: float
    source: str
    name: str
    stay: Stay
    known: Mapping[str, Any]
    run: Run | None = None
    word: Literal["", "START", "END"] = ""
    kind: str = ""  # of a booking or a sample, which the row tells: consume, produce, move, sample

    @property
    def free(self) -> bool:
        """True for an order row that reports the unit as empty."""
        return None in self.known.values()


def writes(line: Line, plan: Plan, after_s: float, until_s: float) -> list[Write]:
    """List the rows due in (after_s, until_s], in the order of time."""
    result: list[Write] = []
    for stay in plan.stays(after_s, until_s):
        equipment = next(candidate for candidate in line.equipment if candidate.name == stay.equipment)
        result += [write for write in _of_stay(line, equipment, stay) if after_s < write.at_s <= until_s]
    return sorted(result, key=lambda write: write.at_s)


def _of_stay(line: Line, equipment: Equipment, stay: Stay) -> Iterator[Write]:
    orders = _orders(equipment, stay)
    for (by, name), columns in orders.items():
        yield Write(stay.ordered_s, by, name, stay, columns)
        free = {column: value if column == _key(equipment, f"{by}.{name}") else None for column, value in columns.items()}
        if all(free.get(column, "") is not None for column in _file_keys(line, by, name)):  # a record of a file has its key
            yield Write(stay.free_s, by, name, stay, free)
    for source in line.sources:
        for name in _names(source):
            is_other = (source.name, name) not in orders and not _is_aggregated(line, source.name, name)
            if is_other and _concerns(line, source, name, equipment):
                yield from _other(line, source, name, stay)


def _other(line: Line, source: Source, name: str, stay: Stay) -> Iterator[Write]:
    """Make the rows other than orders.

    Steps if a column names steps, results of the laboratory at the end, everything else when the batch starts.
    """
    booked = _reported_by(line, f"{source.name}.{name}", stay.equipment)
    if booked is not None:
        yield Write(_booked_s(stay, *booked), source.name, name, stay, {}, kind=booked[0])
        return
    state_rows = {
        equipment.mes_steps.row for equipment in line.equipment if equipment.mes_steps is not None and equipment.mes_steps.state is not None
    }
    if f"{source.name}.{name}" in state_rows or any("step" in column for column in _columns_read(line, source.name, name)):
        for run in stay.runs:
            yield Write(run.start_s, source.name, name, stay, {}, run, "START")
            yield Write(run.end_s, source.name, name, stay, {}, run, "END")
    else:
        yield Write(stay.end_s if source.driver == "mes_file" else stay.start_s + 1.0, source.name, name, stay, {})


def _booked_s(stay: Stay, kind: str, step: str | None) -> float:
    """Time of a booking or sample: consumption at the batch's start, production at its end, a sample just before its step ends."""
    if kind in ("consume", "produce"):
        return stay.start_s + 1.0 if kind == "consume" else stay.end_s + HANDED_OVER_S
    runs = [run for run in stay.runs if step in run.path] or [stay.runs[-1]]
    return runs[-1].end_s - BEFORE_END_S


def _reported_by(line: Line, query: str, equipment: str) -> tuple[str, str | None] | None:
    """Find the (kind, step) of the booking or sample of this equipment that rows of this query report."""
    bookings = ((row.kind, row.step) for row in line.materials if (row.trigger, row.equipment) == (query, equipment))
    samples = (("sample", row.step) for row in line.samples if (row.trigger, row.equipment) == (query, equipment))
    return next(iter([*bookings, *samples]), None)


def _orders(equipment: Equipment, stay: Stay) -> dict[tuple[str, str], dict[str, Any]]:
    """Make the order rows of a stay: (source, query) -> columns with a meaning."""
    result: dict[tuple[str, str], dict[str, Any]] = {}
    for role in ROLES:
        where = getattr(equipment, role)
        if isinstance(where, FromRow):
            source, name = where.row.split(".", 1)
            row = result.setdefault((source, name), {where.key: equipment.unit_id or equipment.name})
            row[where.column] = stay.identity[role]
    return result


def _key(equipment: Equipment, row: str) -> str | None:
    return next(
        (origin.key for origin in (getattr(equipment, role) for role in ROLES) if isinstance(origin, FromRow) and origin.row == row), None
    )


def _file_keys(line: Line, source: str, name: str) -> tuple[str, ...]:
    """Find the key columns of a pattern of a drop folder; none for a query, whose keys are counted."""
    tables = next(each.options.get("pattern", ()) for each in line.sources if each.name == source)
    key = next((table.get("key", ()) for table in tables if table["name"] == name), ())
    return (key,) if isinstance(key, str) else tuple(key)


def with_batch_numbers(line: Line, source: Source) -> Source:
    """Give files in which an equipment looks up its batch number a column with it: the line folder names none, any column will do."""
    looked_up = {how.known_in for unit in line.equipment if isinstance(how := unit.batch, FromTag | Pushed) and how.known_in is not None}
    columns = dict(source.row_columns)
    for name in (name for name in _names(source) if source.driver == "mes_file" and f"{source.name}.{name}" in looked_up):
        if not any("batch" in read.column.lower() for read in columns.get(name, ())):
            columns[name] = (*columns.get(name, ()), RowColumn("batch_no", "known_in", Place("line.toml")))
    return source.model_copy(update={"row_columns": columns})


def _names(source: Source) -> list[str]:
    return [
        str(table["name"])
        for table in source.options.get("query" if source.driver == "mes_sql" else "pattern", [])
        if source.driver.startswith("mes_")
    ]


def _columns_read(line: Line, source: str, name: str) -> list[str]:
    return [tag.address.split(".", 1)[1] for tag in line.tags if tag.source == source and tag.address.startswith(f"{name}.")]


def _is_aggregated(line: Line, source: str, name: str) -> bool:
    """True if the MES writes these rows window by window, of what it samples for itself (`simulators.mes.aggregates`)."""
    return any(tag.aggregate is not None and tag.source == source and tag.address.startswith(f"{name}.") for tag in line.tags)


def _concerns(line: Line, source: Source, name: str, equipment: Equipment) -> bool:
    """True if this query is about this equipment, by the equipment of its tags; without any it is about all."""
    named = {owner for tag in line.tags if tag.source == source.name and tag.address.startswith(f"{name}.") for owner in tag.equipment}
    named |= {row.equipment for row in (*line.materials, *line.samples) if row.trigger == f"{source.name}.{name}"}
    return not named & {unit.name for unit in line.equipment} or equipment.name in named


class Filler:
    """Fills the columns of a row by the line folder, or by their names."""

    def __init__(self, line: Line, seed: int) -> None:
        self._line, self._seed, self._bands = line, seed, Bands(line)
        self._lots = Lots(line)
        self._units = {equipment.name: equipment.unit_id or equipment.name for equipment in line.equipment}
        self._roles = {
            where.column: role for equipment in line.equipment for role in ROLES if isinstance(where := getattr(equipment, role), FromRow)
        }

    def row(self, write: Write, columns: Sequence[str]) -> dict[str, Any]:
        """Make the row; unknown columns are left out, for the device to fill."""
        row = {column: self._value(write, column) for column in columns if column not in write.known}
        return {column: value for column, value in row.items() if value is not None} | {
            k: v for k, v in write.known.items() if k in columns
        }

    def _value(self, write: Write, column: str) -> Any:
        name, stay = column.lower(), write.stay
        random = Random(f"{self._seed} {write.source} {write.name} {column} {stay.equipment} {stay.number}")
        if write.free:
            return None
        for pattern, value in (
            (r"sample", f"S-{stay.identity['batch']}-{stay.equipment}"),
            (r"^lot|_lot|lot_", self._lots.text(write.source, stay.number)),
            (r"step", write.run.step if write.run else None),
            (r"stat(e|us)|event", self._word(write)),
            (r"material", GRANULES if write.kind == "produce" else random.choice(MATERIALS)),
            (r"user|_by$|person", OPERATORS[stay.number % len(OPERATORS)]),
            (r"^(unit|uom)$", "kg"),
            (r"unit|equipment|machine|asset", self._units[stay.equipment]),
        ):
            if re.search(pattern, name):
                return value
        role = self._roles.get(column) or next((role for role in ROLES if role in name), None)
        return stay.identity[role] if role else self._measured(write, column, random)

    def _word(self, write: Write) -> str | None:
        """Choose the word of a row of a step, from the line folder if it has one."""
        how = next((equipment.mes_steps for equipment in self._line.equipment if equipment.name == write.stay.equipment), None)
        if how is None or not write.word:
            return write.word or None
        return how.started if write.word == "START" else how.ended

    def _measured(self, write: Write, column: str, random: Random) -> Any:
        """Make a value for a column that a tag reads, or that is a quantity by its name."""
        tag = next(
            (
                candidate
                for candidate in self._line.tags
                if candidate.source == write.source and candidate.address == f"{write.name}.{column}"
            ),
            None,
        )
        if tag is None:
            return Decimal(random.randrange(1000, 99999)) / 100 if re.search(r"quant|qty|amount|value|result", column.lower()) else None
        if tag.type in ("string", "datetime", "bytes"):
            return None
        span = range_of(tag)
        return fitted(tag)(round(span.low + (span.high - span.low) * random.uniform(0.015, 0.03), 2))
