"""Lays out what was captured of one equipment during a fallback as a document, for the paper record. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from buffer.pages.blocks import Block, Heading, NamedValues, Table, Text
from gateway.documents import draft, local_time
from gateway.entries.fallback import LED_BY_TEXT, place_text
from gateway.validation.fallback.captured import Captured, TagSeen
from gateway.validation.fallback.rows import Row, ticks_of

KIND = "fallback-captured"
MOST_GAPS = 500
"""Rows of a table on paper; the CSV file has all."""


@dataclass(frozen=True, slots=True)
class About:
    """Which interval it is of. fallback: as `fallback list` tells it; None: an interval was typed. file: of the rows, with its digest."""

    begin: int
    end: int
    zone: str
    fallback: Mapping[str, Any] | None
    file: str
    sha256: str


def drafted(captured: Captured, about: About) -> dict[str, Any]:
    """Make the draft of the document of one equipment."""
    return draft(KIND, f"Captured during a fallback: {captured.equipment}", _blocks(captured, about), _facts(captured, about))


def _blocks(captured: Captured, about: About) -> Iterator[Block]:
    yield NamedValues(list(_head(captured, about)))
    yield Text(
        "Readings are those that the gateway took in this interval, by when it received them; the file of the rows has each of them."
    )
    yield from _gaps(captured, about)
    yield Heading(1, "Tags")
    tags = [seen for _, seen in sorted(captured.tags.items())]
    silent = frozenset(place for place, seen in enumerate(tags) if not seen.readings)
    titles = ("Tag", "Unit", "Source", "Readings", "Good", "Lowest", "Highest", "Last", "Last at")
    yield Table(titles, (3, 1, 1.6, 1, 1, 1.3, 1.3, 1.6, 2.4), [_tag(seen, about.zone) for seen in tags], silent)
    yield from _steps(captured, about.zone)
    yield from _alarms(captured)


def _head(captured: Captured, about: About) -> Iterator[tuple[str, str]]:
    told = about.fallback
    yield "Equipment", captured.equipment
    yield "From", local_time(about.begin, about.zone)
    yield "Until", local_time(about.end, about.zone) + ("" if told is None or told["until"] else " (the fallback lasts)")
    if told is not None:
        yield "Fallback", f"{told['fallback']}, of {place_text(told['equipments'])}"
        yield "Records led by", LED_BY_TEXT[told["led_by"]]
        yield "Begun by", f"{told['by']}: {told['reason']} ({told['from_basis']})"
    if told is not None and told["until"]:
        yield "Ended by", f"{told['ended_by']}: {told['ended_for']} ({told['until_basis']})"
    yield "Batches", ", ".join(captured.batches) or "none was told"
    yield "File of the rows", f"{about.file}, {captured.rows + len(captured.gaps):,} rows, SHA-256 {about.sha256}"


def _gaps(captured: Captured, about: About) -> Iterator[Block]:
    yield Heading(1, "Not observed")
    if not captured.gaps:
        yield Text("No gap of this equipment's sources reaches into this interval, and the journal holds all of it.")
        return
    yield Text("In these times nobody knows what the device had; that no value stands here does not say that nothing was.", marked=True)
    rows = [_gap(row, about.zone) for row in captured.gaps[:MOST_GAPS]]
    yield Table(("Source", "Tag", "From", "Until", "Why"), (1.6, 2.4, 2.4, 2.4, 4), rows, frozenset(range(len(rows))))
    if len(captured.gaps) > MOST_GAPS:
        yield Text(f"and {len(captured.gaps) - MOST_GAPS:,} more, in the file of the rows", marked=True)


def _gap(row: Row, zone: str) -> list[str]:
    until = "it lasts" if row.end is None else local_time(row.end, zone)
    return [row.source or "the journal", row.tag, local_time(row.begin, zone), until, row.detail]


def _tag(seen: TagSeen, zone: str) -> list[str]:
    last = "" if seen.last_at is None else local_time(seen.last_at, zone)
    numbers = ["" if number is None else format(number, "f") for number in (seen.low, seen.high)]
    told = "nothing came in this interval" if not seen.readings else "" if seen.last is None else str(seen.last)
    return [seen.tag, seen.unit or "", seen.source, f"{seen.readings:,}", f"{seen.good:,}", *numbers, told, last]


def _steps(captured: Captured, zone: str) -> Iterator[Block]:
    if not captured.steps:
        yield Text("No step of this equipment ran in this interval, as far as was observed.")
        return
    yield Heading(1, "Steps")
    for event in captured.steps.values():
        yield Heading(2, f"{event['step']}, run {event['run']}, batch {event.get('batch') or 'none'}")
        yield _ran(event, zone)
        rows = [_parameter(parameter) for parameter in event.get("parameters", [])]
        bad = frozenset(place for place, row in enumerate(rows) if row[4] != "present")
        if rows:
            yield Table(("Parameter", "EBR field", "Value", "Unit", "Status", "Result"), (3, 1.4, 1.6, 1, 1.4, 1.4), rows, bad)


def _ran(event: Mapping[str, Any], zone: str) -> Text:
    """Say from when to when a step ran. One whose end nobody told has no record yet, and no value."""
    start, end = (_instant(event.get(name), zone) for name in ("start", "end"))
    where = f", entry {event['entry']}" if event["entry"] else ", of which the journal holds no entry any more"
    if not _has_record(event):
        until = f"to {end}, by when its record was not made yet" if end else "on; its end is not known: by the newest entry it had none"
        return Text(f"{start or 'start not known'} {until}; {event['record']}{where}", marked=True)
    text = f"{start or 'start not known'} to {end}; {event.get('cause')}; {event['record']}#{event['revision']}{where}"
    return Text(text, marked=not start)


def _instant(at: Mapping[str, Any] | None, zone: str) -> str:
    """Write an instant, with how it is known where nobody saw it."""
    ticks = ticks_of(at)
    if at is None or ticks is None:
        return ""
    basis = at.get("basis") or "observed"
    return local_time(ticks, zone) + ("" if basis == "observed" else f" ({basis})")


def _has_record(event: Mapping[str, Any]) -> bool:
    return bool(event["transition"] == "end")


def _parameter(told: Mapping[str, Any]) -> list[str]:
    names = ("ebr_field", "value", "unit", "status", "result")
    return [str(told.get("name") or told["parameter"]), *("" if told.get(name) is None else str(told[name]) for name in names)]


def _alarms(captured: Captured) -> Iterator[Block]:
    if captured.alarms:
        yield Heading(1, "Alarms")
        names = ("alarm", "state", "severity", "text", "entry")
        rows = [["" if alarm.get(name) is None else str(alarm[name]) for name in names] for alarm in captured.alarms]
        yield Table(("Alarm", "State", "Severity", "Text", "Entry"), (2, 1, 1, 4, 1.4), rows)


def _facts(captured: Captured, about: About) -> dict[str, Any]:
    return {
        "equipment": captured.equipment,
        "from": local_time(about.begin, about.zone),
        "until": local_time(about.end, about.zone),
        "fallback": None if about.fallback is None else dict(about.fallback),
        "file": {"name": about.file, "rows": captured.rows + len(captured.gaps), "sha256": about.sha256},
        "gaps": len(captured.gaps),
        "tags": len(captured.tags),
        "tags_without_readings": [name for name, seen in sorted(captured.tags.items()) if not seen.readings],
        "steps": [f"{event['record']}#{event['revision']}" for event in captured.steps.values() if _has_record(event)],
        "steps_without_record": [name for name, event in captured.steps.items() if not _has_record(event)],
        "batches": captured.batches,
    }
