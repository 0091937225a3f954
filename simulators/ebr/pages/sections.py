"""The sections of the record page after the steps: materials, samples, equipment, alarms, gaps, corrections, clock; empty ones left out."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

from simulators.ebr.pages.markup import marked, shown, table, when
from simulators.ebr.record.bookings import lot_of
from simulators.ebr.record.configurations import changes_text
from simulators.ebr.record.exceptions import clock_event_size, seconds_between
from simulators.ebr.record.groups import extent
from simulators.ebr.record.results import said, values_text
from simulators.ebr.record.statement import clock_effect, deed, duration, path, performed_by, plain

Rows = Iterable[Sequence[str]]


def sections(record: Mapping[str, Any], zone: ZoneInfo) -> Iterable[str]:
    """Make all of them, in the order of a review."""
    bookings = [item for item in record["materials"] if item["type"] == "material"]
    samples = [item for item in record["materials"] if item["type"] == "sample"]
    names: Sequence[str] = ("Time", "What", "Material", "Lot", "Quantity", "Target", "Limits", "Result", "Status", "Step", "By")
    yield _section("Materials", names, (_booking(item, zone) for item in bookings))
    yield from _genealogy(record)
    names = ("Written at", "Equipment", "Step", "EBR field", "Value", "Origin", "By", "Second person", "Imported by")
    yield _section("Entries by hand, beside what was measured", names, (_entered(item, zone) for item in record.get("by_hand", ())))
    yield _section("Samples", ("Taken", "Sampling", "Sample", "Step", "Status", "Results"), (_sample(item, zone) for item in samples))
    names = ("Equipment", "Stood", "From", "Until", "Time", "Limit", "Result", "Status")
    yield _section("Equipment before the batch", names, (_hold_time(item, zone) for item in record["hold_times"]))
    names = ("Raised", "Acknowledged", "Cleared", "Stood", "Equipment", "Alarm", "Text")
    yield _section("Alarms", names, (_alarm(item, zone) for item in record["alarms"]))
    yield from _gaps(record, zone)
    names = ("Version", "From", "Until", "From entry", "Changed", "Approved by", "SHA-256")
    listed = [(place, item) for end in record["ends"] for place, item in enumerate(end.get("configurations") or [])]
    yield _section("Configurations", names, (_configuration(place, item, zone) for place, item in listed))
    yield _section("Corrections", ("Record", "Rev.", "Written", "Reason", "What", "Before", "After"), _corrections(record, zone))
    yield from _clock(record, zone)


def _entered(item: Mapping[str, Any], zone: ZoneInfo) -> Sequence[str]:
    step = "/".join(str(item[name]) for name in ("step", "run") if item.get(name))
    by = item["imported_by"].get("name") or item["imported_by"].get("user")
    told = (item["equipment"], step, item["ebr_field"], f"{item['value']} {item.get('unit') or ''}".strip(), item.get("origin"))
    return [when(item["at"], zone), *map(shown, (*told, item["entered_by"], item["second_person"], by))]


def _section(title: str, names: Sequence[str], rows: Rows) -> str:
    held = list(rows)
    return f"<section><h2>{title}</h2>{table(names, held)}</section>" if held else ""


def _steps(item: Mapping[str, Any]) -> str:
    return escape(", ".join(f"{step}/{run}" for _, step, run in (item.get("steps") or [])[-1:]))


def _people(item: Mapping[str, Any]) -> str:
    return escape(performed_by(item))


def _quantity(item: Mapping[str, Any], name: str = "quantity") -> str:
    value = item.get(name)
    origin = f"({item['value_origin']})" if name == "quantity" and item.get("value_origin") else ""
    return "" if value is None else escape(" ".join(filter(None, (str(value), item.get("unit"), origin))))


def limits(low: Any, high: Any) -> str:
    """Show two limits, one, or none."""
    if low is None:
        return "" if high is None else f"≤ {high}"
    return f"≥ {low}" if high is None else f"{low} … {high}"


def _when(item: Mapping[str, Any], name: str, zone: ZoneInfo) -> str:
    """Show when something was booked or taken; where nobody knows, when it was written down."""
    at = item.get(name)
    return when(at["time"], zone) if at else f"written {when(item['entered'], zone)}"


def _lot(lot: Any) -> str:
    """Show a lot's number, and beside it the number as read if a rule changed it."""
    name = lot_of(lot)
    raw = lot.get("raw") if isinstance(lot, Mapping) else None
    return shown(name or "") + (f" <small>read {escape(str(raw))}</small>" if raw and raw != name else "")


def _booking(booking: Mapping[str, Any], zone: ZoneInfo) -> Sequence[str]:
    what = deed(booking)
    lot = " → ".join(_lot(booking[name]) for name in ("lot", "output_lot") if booking.get(name)) or "–"
    return (
        _when(booking, "at", zone), escape(what) + (f" <small>rev. {booking['revision']}</small>" if booking["revision"] > 1 else ""),
        escape(str(booking.get("material") or booking.get("booking") or "")), lot,
        _quantity(booking), escape(str(booking.get("target") or "")),
        escape(limits(booking.get("low"), booking.get("high"))),
        marked(booking["result"], bad=booking["result"] in ("below", "above")) if booking.get("result") else "–",
        _status(booking), _steps(booking), _people(booking),
    )  # fmt: skip


def _status(booking: Mapping[str, Any]) -> str:
    status, problems = booking.get("status") or "", ", ".join(booking.get("problems") or [])
    return marked(status, bad=status != "present") + (f" <small>{escape(problems)}</small>" if problems else "") if status else ""


def _genealogy(record: Mapping[str, Any]) -> Iterable[str]:
    """Show which lot went into which, and the lots without parent or child."""
    edges, orphans = record["genealogy"]["edges"], record["genealogy"]["orphans"]
    if not edges and not orphans:
        return
    rows = [
        (
            shown(str(edge["from"] or "")),
            "→",
            shown(str(edge["to"] or "")),
            escape(str(edge["material"] or "")),
            _quantity(edge),
            escape(edge["kind"]),
        )
        for edge in edges
    ]
    yield f"<section><h2>Genealogy</h2>{table(('From lot', '', 'Into', 'Material', 'Quantity', 'By'), rows)}"
    for lot in orphans:
        text = "came from nothing that is known" if lot.get("side") == "no-parent" else "went into nothing that is known"
        yield f'<p><b class="bad">Lot {escape(str(lot.get("lot")))}</b> {text}.</p>'
    yield "</section>"


def _sample(sample: Mapping[str, Any], zone: ZoneInfo) -> Sequence[str]:
    read = {revision.get("caused_by"): revision["entered"] for revision in sample.get("revisions") or []}
    results = [_result(result, zone, read) for result in sample.get("results") or []]
    names = (escape(str(sample.get("sampling") or "")), shown(str(sample.get("sample") or "")))
    return (_when(sample, "taken", zone), *names, _steps(sample), _status(sample), "<br>".join(results) or "none yet")


def _result(result: Mapping[str, Any], zone: ZoneInfo, read: Mapping[Any, str]) -> str:
    """Show what a row of the laboratory says, and before it, marked, all that it said and was replaced."""
    *replaced, present = said(result)
    lines = [f"{_told(former, zone, read)} {marked('replaced', bad=True)}" for former in replaced] + [_told(present, zone, read)]
    left_out = (result.get("replaced_count") or len(replaced)) - len(replaced)
    more = f"<br>{marked(f'{left_out} more were replaced', bad=True)}" if left_out else ""
    source = f" <small>{escape(str(result.get('source') or ''))}</small>"
    return f"{escape(str(result.get('key') or ''))}: {'<br>'.join(lines)}{source}{more}"


def _told(result: Mapping[str, Any], zone: ZoneInfo, read: Mapping[Any, str]) -> str:
    """Show what it said, and the laboratory's own time of it; where it told none, when the gateway read it. read: by number of entry."""
    is_read = read.get(result.get("seq"))
    at = when(result["time"], zone) if result.get("time") else f"read {when(is_read, zone)}" if is_read else ""
    return f"{escape(values_text(result.get('values')))} <small>{at}</small>"


def _configuration(place: int, item: Mapping[str, Any], zone: ZoneInfo) -> Sequence[str]:
    """Show a configuration; one that came into force in mid batch is marked."""
    version = marked(str(item.get("version") or "not known"), bad=place > 0)
    changed = escape(changes_text(item)) if place else "in force when the batch began"
    times = (when(item.get("from"), zone), when(item.get("until"), zone))
    by = escape(item.get("approved_by") or "nobody known")
    return (version, *times, str(item.get("from_seq") or "–"), changed, by, f"<code>{escape(str(item.get('sha256') or '–'))}</code>")


def _hold_time(hold: Mapping[str, Any], zone: ZoneInfo) -> Sequence[str]:
    times = [when((hold.get(edge) or {}).get("time"), zone) for edge in ("start", "end")]
    edges = [
        text + (f" <small>{escape(str(hold[side]))}</small>" if hold.get(side) else "")
        for text, side in zip(times, ("after", "before"), strict=True)
    ]
    return (
        escape(str(hold["equipment"])),
        escape(str(hold["hold"])),
        *edges,
        duration(hold.get("seconds")),
        duration(hold.get("limit_s")),
        marked(str(hold["result"]), bad=hold["result"] == "above"),
        marked(str(hold["status"]), bad=hold["status"] != "present"),
    )


def _alarm(alarm: Mapping[str, Any], zone: ZoneInfo) -> Sequence[str]:
    who = f" {escape(str(alarm['acknowledged_by']))}" if alarm.get("acknowledged_by") else ""
    ended = when(alarm["cleared"], zone) if alarm["cleared"] else '<b class="bad">stands</b>'
    texts = (escape(str(alarm[key] or "")) for key in ("equipment", "alarm", "text"))
    return (when(alarm["raised"], zone), when(alarm["acknowledged"], zone) + who, ended, duration(alarm.get("duration_s")), *texts)


def _gaps(record: Mapping[str, Any], zone: ZoneInfo) -> Iterable[str]:
    """Show by source and cause how often and how long something was not observed, and below each time."""
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for gap in record["gaps"]:
        groups.setdefault((gap["source"], str(gap["cause"]), str(gap["outcome"] or "open")), []).append(gap)
    if not groups:
        return
    yield "<section><h2>When something was not observed</h2>"
    names = ("Source", "Cause", "Outcome", "Times", "In all", "Longest")
    yield table(names, [_alike(*key, gaps) for key, gaps in sorted(groups.items())])
    names = ("Gap", "Tags", "From", "To", "Outcome", "Cause")
    yield f"<h3>Each time</h3>{table(names, [_gap(gap, zone) for gap in record['gaps']])}</section>"


def _alike(source: str, cause: str, outcome: str, gaps: Sequence[Mapping[str, Any]]) -> Sequence[str]:
    total_s, longest_s = extent((gap["start"], seconds_between(gap["start"], gap["end"])) for gap in gaps)
    told = marked(outcome, bad=outcome != "filled")
    return (escape(source), escape(cause), told, str(len(gaps)), duration(total_s), duration(longest_s))


def _gap(gap: Mapping[str, Any], zone: ZoneInfo) -> Sequence[str]:
    tags = "all" if gap["tags"] == "all" else ", ".join(gap["tags"][:8])
    more = f" and {len(gap['tags']) - 8} more" if gap["tags"] != "all" and len(gap["tags"]) > 8 else ""
    times = (when(gap["start"], zone), when(gap["end"], zone) if gap["end"] else '<b class="bad">open</b>')
    outcome = marked(str(gap["outcome"] or "open"), bad=gap["outcome"] != "filled")
    return (escape(str(gap["gap"])), escape(tags + more), *times, outcome, escape(str(gap["cause"])))


def _corrections(record: Mapping[str, Any], zone: ZoneInfo) -> Rows:
    """List each correction, value by value: what stood before, what stands now."""
    for one in record["corrections"]:
        name = one["record"].removeprefix(f"{one['gateway']}/{record['batch']}/")
        head = (escape(name), str(one["revision"]), when(one["entered"], zone), escape(str(one["reason"] or "")))
        for number, change in enumerate(one["changed"]):
            values = (escape(plain(change.get(side), zone)) for side in ("old", "new"))
            yield (*(head if number == 0 else ("", "", "", "")), escape(path(change["path"])), *values)
        if not one["changed"]:
            yield (*head, "nothing but its evidence", "", "")


def _clock(record: Mapping[str, Any], zone: ZoneInfo) -> Iterable[str]:
    """Show how far the times of this record can be trusted."""
    clock = record["clock"]
    entries = ", ".join(f"{escape(name)} in {count} entries" for name, count in sorted(clock["entries"].items())) or "no entries"
    bound = "" if clock["worst_bound_s"] is None else f"; largest bound of the time error {clock['worst_bound_s']:.3g} s"
    yield f"<section><h2>Clock</h2><p>The gateway's clock with this batch's readings: {entries}{bound}.</p>"
    rows: Rows = [
        (escape(name), str(offset["entries"]), f"{offset['least_s']:+.3f} s", f"{offset['most_s']:+.3f} s", f"{offset['bound_s']:.3f} s")
        for name, offset in sorted(clock["sources"].items())
    ]
    if clock["sources"]:
        yield table(("Clock of the source", "Entries", "Least offset", "Largest offset", "Bound"), rows)
    happened = [event for event in clock["events"] if event.get("kind") != "synchronised"]
    if happened:
        yield table(("Time", "Kind", "By", "Status", "Reason", "Effect on times"), [_clock_event(event, zone) for event in happened])
    if clock["placed"]:
        yield "<p>Entries stamped before the clock was verified keep their times. Where they really lie, the clock has said since:</p>"
        names = ("Entries", "First: stamped", "placed", "Last: stamped", "placed", "Within", "By entry")
        yield table(names, [_placed(span, zone) for span in clock["placed"]])
    yield "</section>"


def _clock_event(event: Mapping[str, Any], zone: ZoneInfo) -> Sequence[str]:
    told = (event["kind"], clock_event_size(event), event.get("status") or "", event.get("reason") or "", clock_effect(event))
    return (when(event["entered"], zone), *(escape(str(text)) for text in told))


def _placed(span: Mapping[str, Any], zone: ZoneInfo) -> Sequence[str]:
    edges = [when(span[edge][name], zone) for edge in ("first", "last") for name in ("time", "placed")]
    bound = "–" if span["bound_s"] is None else f"± {span['bound_s']:.3g} s"
    return (f"{span['entries']}", *edges, bound, f"{span['by'][0]}/{span['by'][1]}")
