"""The page for people in an archive: steps, parameters, gaps and findings of a batch. Plain HTML, no script, nothing from elsewhere."""

import json
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Any

from .segment import Entry

STYLE = """body{font:14px/1.4 sans-serif;max-width:70em;margin:2em auto;padding:0 1em}
table{border-collapse:collapse;width:100%;margin:.5em 0 1.5em}
th,td{border:1px solid #999;padding:.2em .5em;text-align:left;vertical-align:top}th{background:#eee}.bad{background:#fdd}"""
PARAMETER = ("name", "value", "unit_text", "low", "high", "result", "status", "covered", "readings")
TITLES = ("Parameter", "Value", "Unit", "Low", "High", "Result", "Status", "Covered", "Readings")


def page(batch: str, gateway: str, entries: Sequence[Entry]) -> str:
    """HTML of a batch, from the events in its entries. The latest revision of each record counts; earlier ones are named."""
    events = [(one.seq, json.loads(one.payload)["event"]) for one in entries if b'"event":{' in one.payload]
    mine = [(seq, event) for seq, event in events if event.get("batch") == batch]
    steps = {event["record"]: (seq, event) for seq, event in mine if event["type"] == "step" and event["transition"] == "end"}
    parts = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Batch {escape(batch)}</title><style>{STYLE}</style>',
        f"<h1>Batch {escape(batch)}</h1><p>{escape(gateway)}. A copy for reading, made from the entries in this archive.</p>",
        *(_batch(seq, event) for seq, event in mine if event["type"] == "batch"),
        *(_step(seq, event) for seq, event in steps.values()),
        _events("Gaps", events, "gap", ("seq", "transition", "source", "tags", "start", "end", "outcome", "cause")),
        _events("Findings", events, "finding", ("seq", "severity", "code", "text")),
        _events("Clock", events, "clock", ("seq", "kind", "status", "bound_s")),
        _events("Audit trail", events, "audit", ("seq", "action", "who", "what", "reason")),
        "</html>\n",
    ]
    return "\n".join(part for part in parts if part)


def _batch(seq: int, event: dict[str, Any]) -> str:
    complete = event.get("completeness") or {}
    stated = f": {complete.get('present')} of {complete.get('required')} required parameters present" if complete else ""
    where = f" in {escape(str(event['equipment']))}" if event.get("equipment") else ""
    return f"<p>Entry {seq}: batch {escape(event['transition'])}{where}, {_when(event)}{escape(stated)}</p>"


def _when(event: dict[str, Any]) -> str:
    times = [(event.get(name) or {}).get("local") or (event.get(name) or {}).get("time") for name in ("start", "end")]
    return " to ".join(escape(str(one)) for one in times if one)


def _step(seq: int, event: dict[str, Any]) -> str:
    title = f"{event['level']} {event['step']}, run {event['run']}, {event['equipment']}"
    revised = f", revision {event['revision']}: {event.get('reason')}" if (event.get("revision") or 1) > 1 else ""
    people = ", ".join(one["id"] for one in event.get("performed_by", []))
    rows = [[one.get(key) for key in PARAMETER] for one in event.get("parameters", [])]
    bad = [one.get("result") in {"below", "above"} or one.get("status") != "present" for one in event.get("parameters", [])]
    told = f"Entry {seq}, {_when(event)}, {escape(str(event.get('cause')))}{escape(revised)}; by {escape(people)}"
    return f"<h2>{escape(title)}</h2><p>{told}</p>{_table(TITLES, rows, bad) if rows else ''}"


def _events(title: str, events: Iterable[tuple[int, dict[str, Any]]], kind: str, names: Sequence[str]) -> str:
    rows = [[seq, *(event.get(name) for name in names[1:])] for seq, event in events if event["type"] == kind]
    return f"<h2>{title}</h2>{_table(names, rows, [False] * len(rows))}" if rows else ""


def _table(names: Sequence[str], rows: Iterable[Sequence[Any]], bad: Iterable[bool]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    return f"<table><tr>{head}</tr>{''.join(_rows(rows, bad))}</table>"


def _rows(rows: Iterable[Sequence[Any]], bad: Iterable[bool]) -> Iterator[str]:
    for row, is_bad in zip(rows, bad, strict=True):
        cells = "".join(f"<td>{escape('' if cell is None else cell if isinstance(cell, str) else json.dumps(cell))}</td>" for cell in row)
        yield f'<tr class="bad">{cells}</tr>' if is_bad else f"<tr>{cells}</tr>"
