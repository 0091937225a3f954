"""Which row of a query is in force for an equipment: the highest in the source's own order of all that count, never the one read last.

The order is the column `order_by`, else the number that the source gave the row when it made it (a watermark of kind sequence), else the
order in which rows were first read. A row that is changed keeps its place, so the closing of an older order changes nothing. A row that
counts no longer leaves the equipment to nobody, and one that is deleted goes on telling: neither gives it back to an older row.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from config.sections import FromRow
from gateway.context import event_bodies
from gateway.context.plan import Plan, Telling, Unit
from gateway.context.row_times import row_instant
from gateway.context.state import Instant, Row, State
from gateway.context.texts import text
from gateway.context.throttle import say_once
from gateway.entries.fold_input import Json
from gateway.entries.ticks import from_rfc3339

MOST_ROWS = 1_000
"""Kept of one query: those that were told last. Older orders can no longer make an id known."""
Place = tuple[int, Decimal, str]
"""Of a value in an order: none, then numbers, then texts."""


class Rows:
    """The rows of the queries that tell identities."""

    def __init__(self, state: State, plan: Plan, emit: event_bodies.Emit) -> None:
        self._state, self._plan, self._emit = state, plan, emit

    def take(self, event: Mapping[str, Any]) -> Iterator[tuple[Unit, Instant, str | None]]:
        """Take a `message` event, row by row. After each row yields the equipments that may read it, with the instant that it tells.

        With it comes the batch that the row named wrongly until now, if it was corrected.
        """
        query = f"{event['source']}.{event['name']}"
        readers = [unit for unit in self._plan.units.values() if query in unit.queries]
        if not readers:
            return
        for told in event["rows"]:
            ticks = None if told.get("time") is None else from_rfc3339(told["time"])
            before = self._state.rows.get(query, {}).get(told["key"])
            at = row_instant(self._state, self._plan, event, told)
            if before is not None and told["change"] != "deleted":
                for unit, wrong in self._renumbered(readers, query, told, before):
                    yield unit, at, wrong
            self._row(query, told, ticks, readers)
            for unit in readers:
                yield unit, at, None
        self._forget(query)

    def _row(self, query: str, told: Mapping[str, Any], ticks: int | None, readers: list[Unit]) -> None:
        rows, key = self._state.rows.setdefault(query, {}), told["key"]
        before = rows.get(key)
        if told["change"] == "deleted":
            self._deleted(query, key, readers)
            return
        columns = {column: text(value) for column, value in told["row"].items()}
        row = Row(columns, ticks, self._state.seq, self._state.now, told.get("order"), self._rank(before))
        rows.pop(key, None)
        rows[key] = row
        for unit in readers:
            if query in unit.tellings:
                self._decide(unit, query, told, before)

    def _corrected(self, unit: Unit, query: str, told: Mapping[str, Any], before: Row) -> str | None:
        """Give the batch that the order's row in force named, if it names another one for the same order now."""
        how, order = unit.identity["batch"], unit.identity["order"]
        if not isinstance(how, FromRow) or how.row != query or not unit.tellings[query].are_orders:
            return None
        if self._state.where[unit.name].newest.get(query) != told["key"] or before.gone or not unit.tellings[query].counts(before.row):
            return None
        old, new = before.row.get(how.column), text(told["row"].get(how.column))
        if None in {old, new} or old == new or text(told["row"].get(how.key)) != before.row.get(how.key):
            return None
        if isinstance(order, FromRow) and order.row == query:
            orders = {before.row.get(order.column), text(told["row"].get(order.column))} - {None}
            if len(orders) > 1:
                return None
        others = (row for row in self._state.rows[query].values() if row is not before)
        named = any(other.row.get(how.key) == before.row.get(how.key) and other.row.get(how.column) == old for other in others)
        return None if named else old

    def _renumbered(self, readers: list[Unit], query: str, told: Mapping[str, Any], before: Row) -> Iterator[tuple[Unit, str]]:
        """Let the row in force name the right batch before it says anything else: its order may be over by the same look.

        Yields each equipment for which it was corrected, with the batch that it named wrongly.
        """
        for unit in readers:
            how, wrong = unit.identity["batch"], self._corrected(unit, query, told, before)
            if wrong is not None and isinstance(how, FromRow):
                right = {**before.row, how.column: text(told["row"].get(how.column))}
                self._state.rows[query][told["key"]] = replace(before, row=right)
                yield unit, wrong

    def _rank(self, before: Row | None) -> int:
        """A row keeps the rank of its first coming."""
        if before is not None:
            return before.rank
        self._state.next_rank += 1
        return self._state.next_rank - 1

    def _decide(self, unit: Unit, query: str, told: Mapping[str, Any], before: Row | None) -> None:
        """Let a row that was told take the place of the one in force, if it stands above it."""
        rows, where, telling, key = self._state.rows[query], self._state.where[unit.name], unit.tellings[query], told["key"]
        row, present = rows[key], rows.get(where.newest.get(query, ""))
        if where.newest.get(query) == key or not telling.counts(row.row):
            return
        counted = before is not None and telling.counts(before.row)
        if told["change"] == "late" and row.order is None and present is not None and not _is_after(row, present):
            row.rank = 0
        if present is None or place(telling, key, row) > place(telling, where.newest[query], present):
            where.newest[query] = key
        elif not counted and told["change"] == "changed" and (present.gone or not telling.counts(present.row)):
            where.newest[query] = key  # it began to count after the other one had ceased to
        elif not counted:
            self._passed_over(unit, query, key, where.newest[query])

    def _deleted(self, query: str, key: str, readers: list[Unit]) -> None:
        """Keep a deleted row that is in force: its order has not ended because the MES tidied up."""
        rows = self._state.rows[query]
        newest = (self._state.where[unit.name].newest.get(query) for unit in readers if query in unit.tellings)
        if key in rows and key in newest:
            rows[key].gone = True
        else:
            rows.pop(key, None)

    def telling(self, query: str, key: str) -> dict[str, str | None]:
        """Name the equipments for which a row is in force, each with the batch that it works for by it."""
        found, told = dict[str, str | None](), (unit for unit in self._plan.units.values() if query in unit.tellings)
        for unit in told:
            where, row = self._state.where[unit.name], in_force(self._state, unit, query)
            if row is not None and not row.gone and where.newest[query] == key:
                found[unit.name] = where.read.batch
        return found

    def _passed_over(self, unit: Unit, query: str, key: str, present: str) -> None:
        """Say that a row began to count, and stands below the one in force."""
        where = self._state.where[unit.name]
        if say_once(where.noted, f"{query} passed over", self._state.now):
            message = (
                f"{unit.name}: row {key} of {query} came after row {present}, and stands before it in the source's order: {present} stays"
            )
            self._emit(
                event_bodies.finding("row-out-of-order", "warning", message, {"equipment": unit.name, "key": key, "in_force": present})
            )

    def _forget(self, query: str) -> None:
        rows = self._state.rows[query]
        for key in list(rows)[: max(len(rows) - MOST_ROWS, 0)]:
            if all(where.newest.get(query) != key for where in self._state.where.values()):
                del rows[key]


def in_force(state: State, unit: Unit, query: str) -> Row | None:
    """Give the row that tells for an equipment now; None: the last one counts no longer, or there was none."""
    row = state.rows.get(query, {}).get(state.where[unit.name].newest.get(query, ""))
    return row if row is not None and unit.tellings[query].counts(row.row) else None


def place(telling: Telling, key: str, row: Row) -> tuple[Place, Place, Place]:
    """Give the place of a row in the order of its query. Of two that the source does not tell apart, the key decides, not their coming."""
    order = row.order if telling.order_by is None else row.row.get(telling.order_by)
    return _place(order), _place(row.order), _place(row.rank if order is None else key)


def _place(value: Json) -> Place:
    if value is None:
        return 0, Decimal(0), ""
    written = str(value)
    try:
        number = Decimal(written)
        if number.is_finite():
            return 1, number, ""
    except InvalidOperation:
        pass
    return 2, Decimal(0), _utc(written)


def _utc(written: str) -> str:
    """Write a time with an offset in UTC, so that texts stand in the order of their times."""
    try:
        moment = datetime.fromisoformat(written)
        return written if moment.tzinfo is None else moment.astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        return written


def _is_after(row: Row, present: Row) -> bool:
    return row.ticks is not None and present.ticks is not None and row.ticks > present.ticks
