"""The batch record, made from received entries alone: the same entries in any order, once or twice, make the same record."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from simulators.ebr.record.batch_seal import checked, content_sha256, event_bytes
from simulators.ebr.record.bookings import alarms, booked, genealogy
from simulators.ebr.record.exceptions import exceptions
from simulators.ebr.record.queries import Library, library
from simulators.ebr.record.readings import TICKS_PER_S, Point, Tagset, points, tagsets, ticks_of
from simulators.ebr.record.unverified_times import Places

SCHEMA = "reference-ebr/batch-record/1"
_OF_BATCH = ("step", "batch", "material", "sample", "alarm", "rebind", "activity")
_BOOKED = ("material", "sample")
_OF_LINE = ("gap", "clock", "finding", "epoch")
STANDS_TICKS = 120 * TICKS_PER_S
"""Readings from so long before the batch are kept too: a value stood when the batch began, though it did not change in it."""
_REVISION = ("revision", "entered", "seq", "reason", "changed")
_HEADER = ("order", "product", "recipe", "recipe_version")

Series = dict[tuple[str, str], list[Point]]
"""(gateway, tag) -> readings in event-time order."""


def batch_record(path: Path, batch: str) -> tuple[dict[str, Any], Series]:
    """(record, series of its tags) of one batch in STORE/ebr.db."""
    with library(path) as books:
        events = [_event(item) for item in books.of_batch(batch, _OF_BATCH)]
        steps, ends = _steps(events), _ends(events)
        gateways = sorted({event["gateway"] for event in events} | set(books.gateways(batch)))
        window = _window(steps, events, books.named(batch))
        line = [_event(item) for item in books.of_kind(gateways, _OF_LINE)]
        places = Places(event for event in line if event["type"] == "clock")
        readings, facts = _readings(books, gateways, steps, window, places)
        bookings = booked(events, [item["event"] for item in books.of_kind(gateways, _BOOKED)])
        streams = books.streams(gateways)
    record: dict[str, Any] = {
        "schema": SCHEMA,
        "batch": batch,
        "gateways": gateways,
        "header": _header(steps, events),
        "window": window,
        "status": _status(ends, gateways),
        "completeness": _completeness(ends, steps),
        "equipment": [one for end in ends for one in end.get("equipments") or []],
        "steps": steps,
        "tags": [
            {"gateway": gateway, "tag": tag, **facts["tags"][gateway, tag], "readings": len(readings[gateway, tag])}
            for gateway, tag in sorted(readings)
        ],
        "ends": ends,
        "seal": [{"gateway": end["gateway"], **checked(end, steps, bookings)} for end in ends],
        "materials": bookings,
        "hold_times": _hold_times(events),
        "alarms": alarms(events, ends),
        "gaps": _gaps(line, window, facts),
        "clock": {
            "entries": facts["clock"],
            "worst_bound_s": facts["bound"],
            "events": _inside(line, "clock", window),
            "sources": facts["offsets"],
            "placed": places.told(),
        },
        "environments": sorted(one for one in facts["environments"] if one),
        "findings": _inside(line, "finding", window),
        "chain": _streams(streams, facts),
    }
    record["genealogy"] = genealogy(batch, record["materials"], ends)
    for event in (*steps, *ends, *record["materials"], *record["clock"]["events"], *record["findings"]):
        event.pop("payload", None)
    record["exceptions"] = exceptions(record)
    return record, readings


def _event(item: Mapping[str, Any]) -> dict[str, Any]:
    """An event with what its entry's head says about it."""
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
    books: Library, gateways: Sequence[str], steps: Sequence[Mapping[str, Any]], window: Mapping[str, str | None], places: Places
) -> tuple[Series, dict[str, Any]]:
    """Every reading of the batch's tags in its time, and the facts that the heads of their entries tell.

    By time, whatever context their entries bear: what a source had queued, and what was written before the id was known, belongs to it too.
    """
    series: Series = {}
    facts: dict[str, Any] = {"clock": {}, "bound": None, "tables": set(), "entries": {}, "environments": set(), "tags": {}, "offsets": {}}
    if window["start"] is None or window["end"] is None:
        return series, facts
    first, last = ticks_of(window["start"]), ticks_of(window["end"])
    wanted = _Wanted(steps)
    for gateway in gateways:
        tables = tagsets(entry["event"] for entry in books.of_kind([gateway], ["tagset"]))
        for table in tables.values():
            tags = {(gateway, tag["tag"]): _told_of(tag, table) for tag in table.tags if wanted(gateway, tag)}
            facts["tags"] |= tags
            facts["tables"].add((gateway, table.source))
        for item in books.told_of(gateway, first - STANDS_TICKS, last):
            found = [
                (tag, point)
                for tag, point in points(item, tables[item["tagset"]])
                if (gateway, tag) in facts["tags"] and first - STANDS_TICKS <= point.ticks <= last
            ]
            for tag, point in found:
                series.setdefault((gateway, tag), []).append(point)
            if any(point.ticks >= first for _, point in found):
                _note(item, facts)
                places.see(item)
    for line in series.values():
        line.sort(key=lambda point: (point.ticks, point.seq))
    return series, facts


class _Wanted:
    """Which tags belong to a batch: those of its equipments, those of the whole line, and those that its parameters speak of."""

    def __init__(self, steps: Sequence[Mapping[str, Any]]) -> None:
        self._equipments = {(step["gateway"], step["equipment"]) for step in steps}
        self._tags = {(step["gateway"], one.get("tag")) for step in steps for one in step.get("parameters") or []}

    def __call__(self, gateway: str, tag: Mapping[str, Any]) -> bool:
        """Whether the batch has to do with this row of a tag table."""
        given = tag.get("equipment") or "line"
        names = given.split(";") if isinstance(given, str) else list(given)
        return (gateway, tag["tag"]) in self._tags or "line" in names or any((gateway, name) in self._equipments for name in names)


def _told_of(tag: Mapping[str, Any], table: Tagset) -> dict[str, Any]:
    return {"source": table.source, "unit": tag.get("source_unit") or tag.get("unit"), "between": tag.get("between") or "hold"}


def _note(item: Mapping[str, Any], facts: dict[str, Any]) -> None:
    status, bound = item.get("clock", {}).get("status", "unknown"), item.get("clock", {}).get("bound_s")
    facts["clock"][status] = facts["clock"].get(status, 0) + 1
    facts["bound"] = max(filter(None, (facts["bound"], bound)), default=None)
    facts["environments"].add(item.get("environment"))
    _note_source(item, facts["offsets"])
    key = f"{item['gateway']} {item['epoch']}"
    first, _, count = facts["entries"].get(key, (item["seq"], 0, 0))
    facts["entries"][key] = (first, item["seq"], count + 1)


def _note_source(item: Mapping[str, Any], offsets: dict[str, Any]) -> None:
    """How far the source's clock was from the gateway's, where it was measured."""
    told = item.get("source_clock") or {}
    if told.get("offset_s") is None:
        return
    known = offsets.setdefault(item["source"], {"entries": 0, "least_s": told["offset_s"], "most_s": told["offset_s"], "bound_s": 0.0})
    known["entries"] += 1
    known["least_s"], known["most_s"] = min(known["least_s"], told["offset_s"]), max(known["most_s"], told["offset_s"])
    known["bound_s"] = max(known["bound_s"], told.get("bound_s") or 0.0)


def joined(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Events that came in numbered parts, as wholes; those of which a part is missing are left out."""
    whole: list[dict[str, Any]] = []
    waiting: dict[tuple[Any, ...], dict[int, dict[str, Any]]] = {}
    for event in events:
        if event.get("of", 1) == 1 or "part" not in event:
            whole.append(event)
            continue
        name = event.get("record") or event.get("gap")
        parts = waiting.setdefault((event["gateway"], event["type"], name, event.get("revision"), event.get("transition"), event["of"]), {})
        parts[event["part"]] = event
        if len(parts) == event["of"]:
            whole.append(_join([parts[number] for number in sorted(parts)]))
    return whole


def _join(parts: list[dict[str, Any]]) -> dict[str, Any]:
    first = parts[0]
    differing = [name for name, value in first.items() if isinstance(value, list) and any(part[name] != value for part in parts)]
    cut = first.get("sliced") or differing
    lists = {name: [one for part in parts for one in part[name]] for name in cut}
    return {**first, **lists, "content_sha256": content_sha256(event_bytes(part["payload"]) for part in parts), "part": 1, "of": 1}


def _steps(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The latest revision of every step, with its earlier ones beside it; a step without an end stands with its start."""
    runs: dict[str, list[dict[str, Any]]] = {}
    for event in joined(event for event in events if event["type"] == "step"):
        runs.setdefault(event["record"], []).append(event)
    replaced = {event["supersedes"] for event in events if event["type"] == "rebind"}
    steps = [_latest(versions) for record, versions in runs.items() if record not in replaced]
    steps.sort(key=lambda step: (step["start"]["time"], _DEPTH.get(step["level"], 3), step["record"]))
    return steps


def _latest(versions: list[dict[str, Any]]) -> dict[str, Any]:
    versions.sort(key=lambda event: (event["transition"] == "end", event["revision"], event["epoch"], event["seq"]))
    earlier = [{name: one.get(name) for name in _REVISION} for one in versions if one["transition"] == "end"]
    return {**versions[-1], "revisions": earlier}


def _ends(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The latest end of the batch, one per line that it passed."""
    ends: dict[str, dict[str, Any]] = {}
    for event in joined(event for event in events if event["type"] == "batch" and event["transition"] == "end"):
        known = ends.get(event["gateway"])
        if known is None or event.get("revision", 1) >= known.get("revision", 1):
            ends[event["gateway"]] = event
    return [ends[gateway] for gateway in sorted(ends)]


_DEPTH = {"unit_procedure": 0, "operation": 1, "phase": 2}


def _header(steps: list[dict[str, Any]], events: list[dict[str, Any]]) -> dict[str, Any]:
    """Order, product and recipe as the records say them; every different value that occurs."""
    found: dict[str, Any] = {
        name: sorted({str(one[name]) for one in (*steps, *events) if one.get(name) not in (None, "")}) for name in _HEADER
    }
    found["equipment"] = sorted({(step["equipment"], step.get("unit_id") or "") for step in steps})
    found["equipment"] = [{"equipment": name, "unit_id": unit or None} for name, unit in found["equipment"]]
    found["zone"] = next((step["start"].get("zone") for step in steps), None) or "UTC"
    return found


def _window(steps: list[dict[str, Any]], events: list[dict[str, Any]], named: tuple[str | None, str | None]) -> dict[str, str | None]:
    """From the first to the last instant that concerns the batch. named: times of the first and last entry that names it."""
    batches = [event for event in events if event["type"] == "batch"]
    starts = [one["start"]["time"] for one in (*steps, *batches) if one.get("start")]
    ends = [one["end"]["time"] for one in (*steps, *batches) if one.get("end")] + [event["entered"] for event in batches]
    if not any(event["transition"] == "end" for event in batches):
        ends += [one for one in named[1:] if one]
    first, last = min(starts, default=named[0], key=ticks_of), max(ends, default=None, key=ticks_of)
    return {"start": first, "end": last}


def _hold_times(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """How long each equipment stood dirty and clean before the batch came, as its start says."""
    return [
        {"gateway": event["gateway"], "equipment": event.get("equipment"), **hold}
        for event in events
        if event["type"] == "batch" and event["transition"] == "start"
        for hold in event.get("hold_times") or []
    ]


def _status(ends: list[dict[str, Any]], gateways: list[str]) -> str:
    """Complete or incomplete as the batch's ends say; open while a line has none."""
    if not ends or {end["gateway"] for end in ends} != set(gateways):
        return "open"
    return "complete" if all(end.get("status") == "complete" for end in ends) else "incomplete"


def _completeness(ends: list[dict[str, Any]], steps: list[dict[str, Any]]) -> dict[str, Any]:
    """The statement of the batch's end; until it is there, the sum over its step records."""
    stated = [end["completeness"] for end in ends]
    if not ends:
        stated = [
            {**one["completeness"], "missing": [_placed(one, item) for item in one["completeness"]["missing"]]}
            for one in steps
            if one.get("completeness")
        ]
    missing = [item for one in stated for item in one["missing"]]
    count = sum(one.get("missing_count") or len(one["missing"]) for one in stated)
    sums = {name: sum(one[name] for one in stated) for name in ("required", "present")}
    idle = [item for one in stated for item in one.get("not_applicable", ())]
    idle_count = sum(one.get("not_applicable_count") or len(one.get("not_applicable", ())) for one in stated)
    uncalled = {"not_applicable": idle, "not_applicable_count": idle_count} if idle else {}
    return {**sums, "missing": missing, "missing_count": count, **uncalled}


def _placed(step: Mapping[str, Any], item: Mapping[str, Any]) -> dict[str, Any]:
    return {"equipment": step["equipment"], "step": step["step"], "run": step["run"], **item}


def _gaps(line: list[dict[str, Any]], window: Mapping[str, str | None], facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The gaps of the batch's tags, and of sources of rows alone, that touch its time, with their end and outcome if known."""
    gaps: dict[tuple[str, str], dict[str, Any]] = {}
    for event in joined(event for event in line if event["type"] == "gap" and _concerns(event, facts)):
        if event["transition"] == "open":
            known = {name: event.get(name) for name in ("gateway", "gap", "source", "tags", "start", "end", "cause", "detail")}
            gaps[event["gateway"], event["gap"]] = {**known, "outcome": "lost" if event.get("end") else None, "closed": []}
        elif event["transition"] == "close" and (gap := gaps.get((event["gateway"], event["gap"]))) is not None:
            gap["closed"].append({name: event.get(name) for name in ("tags", "start", "end", "outcome")})
    return [_settled(gap) for gap in gaps.values() if _touches(gap, window)]


def _concerns(gap: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    gateway, source = gap["gateway"], gap["source"]
    if (gateway, source) not in facts["tables"]:
        return True
    own = {tag for (line, tag), told in facts["tags"].items() if (line, told["source"]) == (gateway, source)}
    return bool(own) if gap["tags"] == "all" else not own.isdisjoint(gap["tags"])


def _settled(gap: dict[str, Any]) -> dict[str, Any]:
    closed = gap["closed"]
    if closed:
        gap["end"] = max((one["end"] for one in closed), key=ticks_of)
        gap["outcome"] = "filled" if all(one["outcome"] == "filled" for one in closed) else "lost"
    return gap


def _touches(gap: dict[str, Any], window: Mapping[str, str | None]) -> bool:
    if window["start"] is None or window["end"] is None:
        return False
    ends = [one["end"] for one in gap["closed"]] or ([gap["end"]] if gap["end"] else [])
    end = max((ticks_of(one) for one in ends), default=None)
    return ticks_of(gap["start"]) <= ticks_of(window["end"]) and (end is None or end >= ticks_of(window["start"]))


def _inside(line: list[dict[str, Any]], kind: str, window: Mapping[str, str | None]) -> list[dict[str, Any]]:
    if window["start"] is None or window["end"] is None:
        return []
    first, last = ticks_of(window["start"]), ticks_of(window["end"])
    return [event for event in line if event["type"] == kind and first <= ticks_of(event["entered"]) <= last]


def _streams(streams: Mapping[tuple[str, int], Mapping[str, Any]], facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What is whole, per stream; and which entries of it hold the batch's readings."""
    found = []
    for (gateway, epoch), state in streams.items():
        first, last, count = facts["entries"].get(f"{gateway} {epoch}", (None, None, 0))
        readings = {"from_seq": first, "to_seq": last, "entries": count}
        missing = max(0, state["last_seen"] - state["through"])
        found.append({"gateway": gateway, "epoch": epoch, **state, "beyond_whole": missing, "readings": readings})
    return found
