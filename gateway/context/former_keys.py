"""Rows that a fold remembers under the keys of 0.1 go over to the keys of today (drivers.row_key), when they are told again.

For a line that is updated, and for a journal that was begun by 0.1; it can be dropped one version later.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from drivers.row_key import forms, key_parts
from gateway.context.plan import Plan
from gateway.context.state import PendingBooking, State
from gateway.context.texts import LONGEST_TEXT, key_text, text


def adopt(state: State, plan: Plan, event: Mapping[str, Any]) -> None:
    """Rename what is remembered of the rows of a `message` event. A former key that provably was another row's stays with that row."""
    query = f"{event['source']}.{event['name']}"
    for told in event["rows"]:
        key = str(told["key"])
        for former in forms(key)[1:]:
            if _may_be(state, query, former, key):
                _rename_row(state, query, former, key)
                _rename_in_steps(state, plan, query, former, key)
                _rename_results(state, event, former, key)
        for former in {form[:LONGEST_TEXT] for form in forms(key)} - {key_text(key)}:
            if _may_be(state, query, former, key):
                _rename_bookings(state, query, former, key_text(key))


def _may_be(state: State, query: str, former: str, key: str) -> bool:
    """True unless a row remembered under the former key has other columns than the key says."""
    parts = {text(part) for part in key_parts(key)}
    row = state.rows.get(query, {}).get(former)
    known = [each.row for each in _bookings(state, query, former)] + ([] if row is None else [row.row])
    return all(parts <= set(columns.values()) for columns in known if columns)


def _bookings(state: State, query: str, key: str) -> Iterator[PendingBooking]:
    for each in (*state.occurred, *(booked.occurred for booked in state.booked.values())):
        if each.trigger == query and each.key == key:
            yield each


def _rename_row(state: State, query: str, former: str, key: str) -> None:
    rows = state.rows.get(query, {})
    if former in rows and key not in rows:
        state.rows[query] = {key if known == former else known: row for known, row in rows.items()}
        for where in state.where.values():
            if where.newest.get(query) == former:
                where.newest[query] = key


def _rename_bookings(state: State, query: str, former: str, key: str) -> None:
    for each in _bookings(state, query, former):
        each.key = key
    for known in [known for known in state.told_by if known.split("/", 4)[3:] == [query, former]]:
        state.told_by.setdefault(known.removesuffix(former) + key, state.told_by.pop(known))


def _rename_in_steps(state: State, plan: Plan, query: str, former: str, key: str) -> None:
    names = {n for n, unit in plan.units.items() if unit.equipment.mes_steps is not None and unit.equipment.mes_steps.row == query}
    of_rows = [run.rows for run in state.runs.values() if run.equipment in names]
    of_rows += [told.rows for name in names for told in state.where[name].told]
    for rows in of_rows:
        rows[:] = [key if known == former else known for known in rows]
    for heard in (heard for name in names for heard in state.where[name].heard if heard.key == former):
        heard.key = key


def _rename_results(state: State, event: Mapping[str, Any], former: str, key: str) -> None:
    booked = [result for each in state.booked.values() for result in each.event.get("results", ())]
    for result in (*booked, *(each["result"] for each in state.unlinked)):
        if [result[name] for name in ("source", "name", "key")] == [event["source"], event["name"], former]:
            result["key"] = key
