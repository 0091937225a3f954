"""Rows of a source that say something else than before, or are gone: each is a finding with the old and the new values (URS-DAQ-04)."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from drivers.row_key import forms, key_parts
from gateway.context import event_bodies
from gateway.context.state import State
from gateway.context.texts import key_text, short, text

MOST_ROWS = 300
"""Rows of a query whose values are held to be compared, the newest; of an older one it is said that it changed, but not what it said."""
MOST_BYTES = 16_384
_Row = dict[str, Any]


Telling = Callable[[str, str], Mapping[str, str | None]]
"""(query, key of a row) -> the equipments for which it is in force, each with its batch."""


def compare(state: State, event: Mapping[str, Any], telling: Telling, emit: event_bodies.Emit) -> None:
    """Compare the rows of a `message` event with what is held of them, and hold them."""
    query = f"{event['source']}.{event['name']}"
    held = state.source_rows.setdefault(query, {})
    for told in event["rows"]:
        if "piece" in told:
            continue  # longer than an entry: that is a finding already
        key, row = key_text(str(told["key"])), {column: short(value) for column, value in told["row"].items()}
        former = held.pop(key) if key in held else _under_former_key(held, str(told["key"]))
        if told["change"] != "deleted":
            held[key] = row
        if told["change"] == "deleted" or (former != row if former is not None else told["change"] == "changed"):
            in_force = telling(query, str(told["key"])) if told["change"] == "deleted" else {}
            for finding in _findings(state, event, told, former, row, in_force):
                emit(finding)
    for old in list(held)[: max(len(held) - MOST_ROWS, 0)]:
        del held[old]


def _under_former_key(held: dict[str, _Row], key: str) -> _Row | None:
    """Take what is held of a row under a key of 0.1, if it is provably this row."""
    parts = {text(part) for part in key_parts(key)}
    known = (form for form in map(key_text, forms(key)[1:]) if form in held and parts <= set(map(text, held[form].values())))
    form = next(known, None)
    return None if form is None else held.pop(form)


def _findings(
    state: State, event: Mapping[str, Any], told: Mapping[str, Any], former: _Row | None, row: _Row, in_force: Mapping[str, str | None]
) -> Iterator[dict[str, Any]]:
    """Make the findings of a row, one for each batch that it concerns. in_force: of a deleted row, for whom it tells on all the same."""
    deleted = told["change"] == "deleted"
    differing = _differing(former, row, deleted=deleted)
    what = f"row {told['key']} of {event['source']}.{event['name']} {'was deleted' if deleted else 'was changed'}"
    say = "what it said is not held" if former is None else _said(differing, deleted=deleted)
    rests = {"source": event["source"], "name": event["name"], "key": told["key"], "seq": state.seq, "old_held": former is not None}
    evidence = {**rests, "changed": differing, **({} if former is not None else {"row": _fitting(row)})}
    concerned = _concerned(state, f"{event['source']}.{event['name']}", str(told["key"]), {**row, **(former or {})}, row)
    batches = sorted(concerned | {batch for batch in in_force.values() if batch is not None})
    if in_force:
        evidence["in_force"] = sorted(in_force)
        say = f"it was in force for {', '.join(sorted(in_force))}, and what it told stands until another row; {say}"
    altered = deleted or former is None or any(item["old"] not in (None, "") for item in differing)
    named: list[str | None] = [*batches] or [None]
    for batch in named:
        head = f"batch {batch}: {what}" if batch else what
        # an empty column that is filled in is no change of what was said
        severity: Any = "warning" if in_force or (batch and altered) else "info"
        code = f"source-row-{'deleted' if deleted else 'changed'}"
        yield event_bodies.finding(code, severity, f"{head}: {say}"[:2_000], {"batch": batch, **evidence}, source=event["source"])


def _said(differing: list[_Row], *, deleted: bool) -> str:
    """Write the values that a row had, and has now."""
    if deleted:
        return "it said " + ", ".join(f"{item['column']} {item['old']}" for item in differing if item["old"] not in (None, ""))
    return ", ".join(f"{item['column']} {_shown(item['old'])} to {_shown(item['new'])}" for item in differing)


def _shown(value: Any) -> str:
    return "(empty)" if value in (None, "") else str(value)


def _differing(former: _Row | None, row: _Row, *, deleted: bool) -> list[dict[str, Any]]:
    """List the columns that differ, as far as there is room; of a deleted row all that it said."""
    if former is None:
        return []
    names = former if deleted else dict.fromkeys((*former, *row))
    differing = [{"column": name, "old": former.get(name), "new": None if deleted else row.get(name)} for name in names]
    differing = [item for item in differing if deleted or item["old"] != item["new"]]
    while len(orjson.dumps(differing)) > MOST_BYTES:
        differing.pop()
    return differing


def _fitting(row: _Row) -> _Row:
    return row if len(orjson.dumps(row)) <= MOST_BYTES else {}


def _concerned(state: State, query: str, key: str, former: _Row, row: _Row) -> set[str]:
    """Name the batches that have begun here and that the row names, or whose steps, bookings or results rest on it."""
    begun = {*state.batches, *state.counts, *state.ledgers} - {"-"}
    found: set[str | None] = {text(value) for values in (former, row) for value in values.values()} & begun
    found |= {run.identity.batch for run in state.runs.values() if key in run.rows}
    for booked in state.booked.values():
        results = booked.event.get("results", ())
        if (booked.occurred.trigger, booked.occurred.key) == (query, key_text(key)) or any(
            (f"{result['source']}.{result['name']}", result["key"]) == (query, key) for result in results
        ):
            found.add(booked.event["batch"])
    return {batch for batch in found if batch is not None}
