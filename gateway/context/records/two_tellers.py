"""What the PLC's signals and the MES rows told of a batch's steps, compared when the batch closes; each difference is a finding."""

from collections.abc import Iterator
from typing import Any

from gateway.context import event_bodies
from gateway.context.plan import Plan, Unit
from gateway.context.records.step_comparison import MOST_DIFFERENCES, Difference, Ran, Tellers, differences
from gateway.context.state import Batch, State
from gateway.entries.ticks import TICKS_PER_S

TO_DO = "find out which is right, and explain it in the batch's record; the record keeps what {record} told"


def compare(state: State, plan: Plan, name: str, batch: Batch) -> Iterator[dict[str, Any]]:
    """Give the findings; rows that were compared are not kept."""
    for member in (member for member in batch.members if member.equipment in plan.units):
        unit, where = plan.units[member.equipment], state.where[member.equipment]
        how = unit.equipment.mes_steps
        if how is None or member.end is None:
            continue
        within = round(how.within_s * TICKS_PER_S)
        until = member.end.ticks + within
        told = [t for t in where.told if t.start <= until and (t.end is None or t.end >= member.start.ticks - within)]
        where.told = [t for t in where.told if t not in told]
        signals, rows = "the PLC's signals", f"rows of {how.row}"
        by = Tellers(rows, signals) if unit.from_rows else Tellers(signals, rows)
        other = by.other
        head = {"equipment": unit.name, "batch": name, "other": other}
        if (why := _incomparable(state, unit, how.row)) is not None:
            message = f"batch {name} in {unit.name}: its steps were not compared with {other}: {why}"
            yield event_bodies.finding("steps-not-compared", "warning", message, head)
            continue
        compared = {s.row.step for s in unit.steps if how.level in {"all", s.row.level} and (s.row.signal or not unit.from_rows)}
        ran = (r[1:] for r in batch.ran.values() if r[0] == unit.name and member.start.ticks <= r[3] <= member.end.ticks)
        told = [t for t in told if t.step in compared]
        yield from _findings(name, head, differences([Ran(*r) for r in ran if r[0] in compared], told, within, by), by)


def _findings(name: str, head: dict[str, Any], differ: list[Difference], by: Tellers) -> Iterator[dict[str, Any]]:
    to_do = TO_DO.format(record=by.record)
    for difference in differ[:MOST_DIFFERENCES]:
        message = f"batch {name}, {head['equipment']}: {difference.text}: {to_do}"
        evidence = {**head, "difference": difference.kind, **difference.evidence}
        yield event_bodies.finding("steps-differ", "warning", message, evidence)
    if len(differ) > MOST_DIFFERENCES:
        more = f"{len(differ) - MOST_DIFFERENCES} more differences between {by.record} and {by.other}"
        message = f"batch {name}, {head['equipment']}: {more}, {MOST_DIFFERENCES} are listed before this one: {to_do}"
        yield event_bodies.finding("steps-differ", "warning", message, {**head, "difference": "more", "count": len(differ)})


def _incomparable(state: State, unit: Unit, row: str) -> str | None:
    """Why the other side can not be relied on: it is not observed at present, or told more than was kept."""
    where = state.where[unit.name]
    dropped, where.untold = where.untold, 0
    if dropped:
        return f"{dropped} of its runs were too many to keep"
    others = set(unit.sources) if unit.from_rows else {row.partition(".")[0]}
    lost = sorted({gap.source for gap in state.gaps} & others)
    return f"{', '.join(lost)} is not observed" if lost else None
