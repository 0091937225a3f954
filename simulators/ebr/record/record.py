"""Makes the batch record from received entries alone: the same entries in any order, once or twice, make the same record."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from simulators.ebr.record.batch_seal import checked, content_sha256, event_bytes
from simulators.ebr.record.bookings import alarms, booked, genealogy
from simulators.ebr.record.corrections import corrections
from simulators.ebr.record.exceptions import exceptions
from simulators.ebr.record.line_events import findings_of, gaps_not_received, gaps_of, inside
from simulators.ebr.record.moved import moved
from simulators.ebr.record.parts import joined
from simulators.ebr.record.queries import RecordQueries, record_queries
from simulators.ebr.record.readings import TICKS_PER_S, Point, Tagset, points, tagsets, ticks_of
from simulators.ebr.record.set_clocks import with_running
from simulators.ebr.record.unverified_times import UnverifiedTimes

SCHEMA = "reference-ebr/batch-record/1"
_OF_BATCH = ("step", "batch", "material", "sample", "alarm", "rebind", "activity")
BY_HAND = "manual-entry"
_BOOKED = ("material", "sample")
_OF_LINE = ("gap", "clock", "finding", "epoch")
STANDS_TICKS = 120 * TICKS_PER_S
"""Readings from so long before the batch are kept too: a value stood when the batch began, though it did not change in it."""
_REVISION = ("revision", "entered", "seq", "reason", "changed")
_HEADER = ("order", "product", "recipe", "recipe_version")

Series = dict[tuple[str, str], list[Point]]
"""(gateway, tag) -> readings in event-time order."""


def batch_record(path: Path, batch: str) -> tuple[dict[str, Any], Series]:
    """Make (record, series of its tags) of one batch from STORE/ebr.db."""
    with record_queries(path) as books:
        events = _of_batch(books, batch)
        heads = [(item.get("environment") or "", item.get("exceptions", ())) for item in books.of_batch(batch, _OF_BATCH)]
        environments = sorted({environment for environment, _ in heads} - {""})
        is_simulated = any(item.get("simulated") for item in books.of_batch(batch, _OF_BATCH))
        every_end = joined(event for event in events if event["type"] == "batch" and event["transition"] == "end")
        steps, ends = _steps(events), _ends(every_end)
        gateways = sorted({event["gateway"] for event in events} | set(books.gateways(batch)))
        window = _window(steps, events, books.named(batch))
        line = [_event(item) for item in books.of_kind(gateways, _OF_LINE)]
        unverified_times = UnverifiedTimes(event for event in line if event["type"] == "clock")
        readings, facts = _readings(books, gateways, [*steps, *_stays(events)], window, unverified_times)
        documents = joined(_event(item) for item in books.of_batch(batch, ("document",)))
        reviews = [_review(item) for item in documents if item["document"] == "audit-trail-review"]
        by_hand = [_by_hand(item) for item in books.of_batch(batch, ("audit",)) if item["event"].get("action") == BY_HAND]
        bookings = booked(events, [item["event"] for item in books.of_kind(gateways, _BOOKED)])
        streams = books.streams(gateways)
    gaps = gaps_of(line, window, facts, ends)
    record: dict[str, Any] = {
        "schema": SCHEMA,
        "batch": batch,
        "gateways": gateways,
        "header": _header(steps, events),
        **_stay(events, ends, gateways),
        "as_of": max((event["entered"] for event in events), default=window["end"], key=ticks_of),
        "window": window,
        "status": _status(ends, gateways),
        "completeness": _completeness(ends, steps),
        "equipment": [equipment for end in ends for equipment in end.get("equipments") or []],
        "steps": steps,
        "tags": [{"gateway": key[0], "tag": key[1], **facts["tags"][key], "readings": len(readings[key])} for key in sorted(readings)],
        "ends": ends,
        "seal": [{"gateway": end["gateway"], **checked(end, steps, bookings)} for end in ends],
        "materials": bookings,
        "corrections": corrections(batch, steps, every_end, bookings),
        "hold_times": _hold_times(events),
        "alarms": alarms(events, ends),
        "gaps": gaps,
        "gaps_not_received": gaps_not_received(gaps, ends),
        "clock": _clock(facts, with_running(inside(line, "clock", window, events), events), unverified_times),
        "environments": environments,
        **({"simulated": True} if is_simulated or facts["simulated"] else {}),
        **({"accepted_exceptions": accepted} if (accepted := sorted({name for _, names in heads for name in names})) else {}),
        **({"reviews": reviews} if reviews else {}),
        **({"by_hand": by_hand} if by_hand else {}),
        **({"transition_phases": phases} if (phases := _phases(ends or events)) else {}),
        "findings": findings_of([*line, *(event for event in events if event["type"] == "rebind")], window, batch, events),
        "chain": _streams(streams, facts),
    }
    return _finished(record), readings


def _clock(facts: dict[str, Any], events: list[dict[str, Any]], unverified_times: UnverifiedTimes) -> dict[str, Any]:
    """What stood in the entries' heads of the gateway's clock, and what happened to it meanwhile."""
    return {
        "entries": facts["clock"],
        "worst_bound_s": facts["bound"],
        "events": events,
        "sources": facts["offsets"],
        "placed": unverified_times.spans(),
    }


def _review(event: dict[str, Any]) -> dict[str, Any]:
    """Take what a review of the audit trail says of itself: who, when, through which entry, what was questioned."""
    told = {name: event[name] for name in ("id", "reviewer", "meaning", "sha256", "deviations", "gateway", "epoch", "seq")}
    return {**told, "through": event["scope"]["through"], "items": len(event["items"]), "signed": event["signatures"][0]["time"]}


def _by_hand(item: Mapping[str, Any]) -> dict[str, Any]:
    """Take a value that people wrote by hand: it stands beside what was measured, and in no value of a step."""
    place = {"gateway": item["gateway"], "epoch": item["epoch"], "seq": item["seq"], "entered": item["time"]}
    return {"record": item["event"].get("record"), **item["event"]["what"], **place, "imported_by": item["event"]["who"]}


def _phases(events: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Gather the phases of a transition from a legacy system that batches' ends state, or their starts as long as there is no end."""
    told = [phase for event in events if event["type"] == "batch" for phase in event.get("transition_phases") or []]
    return [phase for place, phase in enumerate(told) if phase not in told[:place]]


def _finished(record: dict[str, Any]) -> dict[str, Any]:
    """Add what follows from the whole record: where each lot went, and what a person must look at."""
    steps, ends = record["steps"], record["ends"]
    record["genealogy"] = genealogy(record["batch"], record["materials"], ends)
    for event in (*steps, *ends, *record["materials"], *record["clock"]["events"], *record["findings"]):
        event.pop("payload", None)
    record["exceptions"] = exceptions(record)
    return record


def _of_batch(books: RecordQueries, batch: str) -> list[dict[str, Any]]:
    """List the events of a batch, and the step records that went over to it as they stand."""

    def of(name: str) -> list[dict[str, Any]]:
        return joined(_event(item) for item in books.of_batch(name, ("step", "rebind")))

    events = [_event(item) for item in books.of_batch(batch, _OF_BATCH)]
    return [*events, *moved(batch, events, of)]


def _event(item: Mapping[str, Any]) -> dict[str, Any]:
    """Take an event, with members of its entry's head added."""
    head = {"gateway": item["gateway"], "epoch": item["epoch"], "seq": item["seq"], "entered": item["time"]}
    status = item.get("clock", {}).get("status")
    return {
        **item["event"],
        **head,
        "clock_status": status,
        "content_sha256": content_sha256([event_bytes(item["payload"])]),
        "payload": item["payload"],
    }


def _readings(
    books: RecordQueries,
    gateways: Sequence[str],
    steps: Sequence[Mapping[str, Any]],
    window: Mapping[str, str | None],
    unverified_times: UnverifiedTimes,
) -> tuple[Series, dict[str, Any]]:
    """Collect every reading of the batch's tags in its time, and facts from the heads of their entries.

    By time, whatever context the entries bear: readings that a source had queued, and those from before the id was known, belong to it too.
    """
    series: Series = {}
    facts: dict[str, Any] = {"clock": {}, "bound": None, "tables": set(), "entries": {}, "tags": {}, "offsets": {}, "simulated": False}
    if window["start"] is None or window["end"] is None:
        return series, facts
    first, last = ticks_of(window["start"]), ticks_of(window["end"])
    wanted = _Wanted(steps)
    for gateway in gateways:
        tables = tagsets(entry["event"] for entry in books.of_kind([gateway], ["tagset"]))
        for table in tables.values():
            tags = {(gateway, tag["tag"]): _facts_of(tag, table) for tag in table.tags if wanted(gateway, tag)}
            facts["tags"] |= tags
            facts["tables"].add((gateway, table.source))
        for item in books.readings_about(gateway, first - STANDS_TICKS, last):
            of_entry = [
                (tag, point)
                for tag, point in points(item, tables[item["tagset"]])
                if (gateway, tag) in facts["tags"] and first - STANDS_TICKS <= point.ticks <= last
            ]
            for tag, point in of_entry:
                series.setdefault((gateway, tag), []).append(point)
            if any(point.ticks >= first for _, point in of_entry):
                _note(item, facts)
                unverified_times.see(item)
    for line in series.values():
        line.sort(key=lambda point: (point.ticks, point.seq))
    return series, facts


class _Wanted:
    """The tags of a batch: those of its equipment, those of the whole line, and those that its parameters are computed from.

    steps: also where it stayed, for an equipment in which no step of it was seen is where gaps matter most.
    """

    def __init__(self, steps: Sequence[Mapping[str, Any]]) -> None:
        self._equipments = {(step["gateway"], step["equipment"]) for step in steps}
        self._tags = {(step["gateway"], parameter.get("tag")) for step in steps for parameter in step.get("parameters") or []}

    def __call__(self, gateway: str, tag: Mapping[str, Any]) -> bool:
        """True if this row of a tag table belongs to the batch."""
        given = tag.get("equipment") or "line"
        names = given.split(";") if isinstance(given, str) else list(given)
        return (gateway, tag["tag"]) in self._tags or "line" in names or any((gateway, name) in self._equipments for name in names)


def _facts_of(tag: Mapping[str, Any], table: Tagset) -> dict[str, Any]:
    return {"source": table.source, "unit": tag.get("unit") or tag.get("source_unit"), "between": tag.get("between") or "hold"}


def _note(item: Mapping[str, Any], facts: dict[str, Any]) -> None:
    status, bound = item.get("clock", {}).get("status", "unknown"), item.get("clock", {}).get("bound_s")
    facts["clock"][status] = facts["clock"].get(status, 0) + 1
    facts["simulated"] = facts["simulated"] or bool(item.get("simulated"))
    facts["bound"] = max(filter(None, (facts["bound"], bound)), default=None)
    _note_source(item, facts["offsets"])
    key = f"{item['gateway']} {item['epoch']}"
    first, _, count = facts["entries"].get(key, (item["seq"], 0, 0))
    facts["entries"][key] = (first, item["seq"], count + 1)


def _note_source(item: Mapping[str, Any], offsets: dict[str, Any]) -> None:
    """Collect the measured offset of the source's clock against the gateway's."""
    source_clock = item.get("source_clock") or {}
    if source_clock.get("offset_s") is None:
        return
    totals = offsets.setdefault(
        item["source"], {"entries": 0, "least_s": source_clock["offset_s"], "most_s": source_clock["offset_s"], "bound_s": 0.0}
    )
    totals["entries"] += 1
    totals["least_s"], totals["most_s"] = min(totals["least_s"], source_clock["offset_s"]), max(totals["most_s"], source_clock["offset_s"])
    totals["bound_s"] = max(totals["bound_s"], source_clock.get("bound_s") or 0.0)


def _steps(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """List the latest revision of every step, with the earlier ones in it; a step without an end by its start."""
    runs: dict[str, list[dict[str, Any]]] = {}
    for event in joined(event for event in events if event["type"] == "step"):
        runs.setdefault(event["record"], []).append(event)
    replaced = {event["supersedes"] for event in events if event["type"] == "rebind"}
    steps = [_latest(versions) for record, versions in runs.items() if record not in replaced]
    steps.sort(key=lambda step: (step["start"]["time"], _DEPTH.get(step["level"], 3), step["record"]))
    return steps


def _latest(versions: list[dict[str, Any]]) -> dict[str, Any]:
    versions.sort(key=lambda event: (event["transition"] == "end", event["revision"], event["epoch"], event["seq"]))
    earlier = [{name: version.get(name) for name in _REVISION} for version in versions if version["transition"] == "end"]
    return {**versions[-1], "revisions": earlier}


def _ends(every_end: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """List the latest end of the batch, one per line that it passed."""
    ends: dict[str, dict[str, Any]] = {}
    for event in every_end:
        latest = ends.get(event["gateway"])
        if latest is None or event.get("revision", 1) >= latest.get("revision", 1):
            ends[event["gateway"]] = event
    return [ends[gateway] for gateway in sorted(ends)]


_DEPTH = {"unit_procedure": 0, "operation": 1, "phase": 2}


def _stays(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """List where the batch was, as its own events state it: equipments with their unit."""
    told = [
        {**place, "gateway": event["gateway"]}
        for event in events
        if event["type"] == "batch"
        for place in (event, *(event.get("equipments") or []))
    ]
    return [{name: place.get(name) for name in ("gateway", "equipment", "unit_id")} for place in told if place.get("equipment")]


def _header(steps: list[dict[str, Any]], events: list[dict[str, Any]]) -> dict[str, Any]:
    """Collect order, product and recipe from the records, with every different value."""
    header: dict[str, Any] = {
        name: sorted({str(event[name]) for event in (*steps, *events) if event.get(name) not in (None, "")}) for name in _HEADER
    }
    header["equipment"] = sorted({(place["equipment"], place.get("unit_id") or "") for place in (*steps, *_stays(events))})
    header["equipment"] = [{"equipment": name, "unit_id": unit or None} for name, unit in header["equipment"]]
    header["zone"] = next((step["start"].get("zone") for step in steps), None) or "UTC"
    return header


def _stay(events: list[dict[str, Any]], ends: list[dict[str, Any]], gateways: list[str]) -> dict[str, Any]:
    """Find start and end of the batch as its own events state them; end null while a line has not ended it.

    Not to be confused with the window: the time from which readings are collected, which goes on to the entry that closed the batch.
    """
    starts = [event["start"] for event in events if event["type"] == "batch" and event.get("start")]
    last = [end["end"] for end in ends if end.get("end")]
    ended = bool(ends) and {end["gateway"] for end in ends} == set(gateways)
    return {"start": min(starts, default=None, key=_instant), "end": max(last, default=None, key=_instant) if ended else None}


def _instant(at: Mapping[str, Any]) -> int:
    return ticks_of(at["time"])


def _window(steps: list[dict[str, Any]], events: list[dict[str, Any]], named: tuple[str | None, str | None]) -> dict[str, str | None]:
    """Find the first and the last instant that concern the batch. named: times of the first and last entry that names it.

    An end that is made again says nothing of when the batch was: a result of the laboratory may come weeks later.
    """
    batches = [event for event in events if event["type"] == "batch"]
    starts = [item["start"]["time"] for item in (*steps, *batches) if item.get("start")]
    entered = [event["entered"] for event in batches if event["transition"] != "end" or (event.get("revision") or 1) == 1]
    ends = [item["end"]["time"] for item in (*steps, *batches) if item.get("end")] + entered
    if not any(event["transition"] == "end" for event in batches):
        ends += [time for time in named[1:] if time]
    first, last = min(starts, default=named[0], key=ticks_of), max(ends, default=None, key=ticks_of)
    return {"start": first, "end": last}


def _hold_times(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """List how long each equipment stood dirty and clean before the batch entered, as the batch's start states it."""
    return [
        {"gateway": event["gateway"], "equipment": event.get("equipment"), **hold}
        for event in events
        if event["type"] == "batch" and event["transition"] == "start"
        for hold in event.get("hold_times") or []
    ]


def _status(ends: list[dict[str, Any]], gateways: list[str]) -> str:
    """Take complete or incomplete from the batch's ends; open while a line has none."""
    if not ends or {end["gateway"] for end in ends} != set(gateways):
        return "open"
    return "complete" if all(end.get("status") == "complete" for end in ends) else "incomplete"


def _completeness(ends: list[dict[str, Any]], steps: list[dict[str, Any]]) -> dict[str, Any]:
    """Take the statement of the batch's end; without one, sum the statements of its step records."""
    stated = [end["completeness"] for end in ends]
    if not ends:
        stated = [
            {**done, **{name: [_placed(step, item) for item in done.get(name, ())] for name in ("missing", "open")}}
            for step in steps
            if (done := step.get("completeness"))
        ]
    missing = [item for statement in stated for item in statement["missing"]]
    count = sum(statement.get("missing_count") or len(statement["missing"]) for statement in stated)
    sums = {name: sum(statement[name] for statement in stated) for name in ("required", "present")}
    idle = [item for statement in stated for item in statement.get("not_applicable", ())]
    idle_count = sum(statement.get("not_applicable_count") or len(statement.get("not_applicable", ())) for statement in stated)
    uncalled = {"not_applicable": idle, "not_applicable_count": idle_count} if idle else {}
    others = [item for statement in stated for item in statement.get("open", ())]
    others_count = sum(statement.get("open_count") or len(statement.get("open", ())) for statement in stated)
    not_ours = {"open": others, "open_count": others_count} if others else {}
    return {**sums, "missing": missing, "missing_count": count, **not_ours, **uncalled}


def _placed(step: Mapping[str, Any], item: Mapping[str, Any]) -> dict[str, Any]:
    return {"equipment": step["equipment"], "step": step["step"], "run": step["run"], **item}


def _streams(streams: Mapping[tuple[str, int], Mapping[str, Any]], facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List the whole part of each stream, and its entries with the batch's readings."""
    result = []
    for (gateway, epoch), state in streams.items():
        first, last, count = facts["entries"].get(f"{gateway} {epoch}", (None, None, 0))
        readings = {"from_seq": first, "to_seq": last, "entries": count}
        missing = max(0, state["last_seen"] - state["through"])
        result.append({"gateway": gateway, "epoch": epoch, **state, "beyond_whole": missing, "readings": readings})
    return result
