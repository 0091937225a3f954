"""The sections of the record page after the steps: materials, samples, equipment, alarms, gaps, corrections, clock. None that is empty."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from simulators.ebr.pages.markup import marked, shown, table, when
from simulators.ebr.record.bookings import lot_of

Rows = Iterable[Sequence[str]]
MOST_CHANGES = 200
"""Changes of one correction that the page prints; record.json has all of them."""


def sections(record: Mapping[str, Any], zone: ZoneInfo) -> Iterable[str]:
    """All of them, in the order in which a reviewer goes."""
    bookings = [one for one in record["materials"] if one["type"] == "material"]
    samples = [one for one in record["materials"] if one["type"] == "sample"]
    names: Sequence[str] = ("Time", "What", "Material", "Lot", "Quantity", "Target", "Limits", "Result", "Status", "Step", "By")
    yield _section("Materials", names, (_booking(one, zone) for one in bookings))
    yield from _genealogy(record)
    yield _section("Samples", ("Taken", "Sampling", "Sample", "Step", "Status", "Results"), (_sample(one, zone) for one in samples))
    names = ("Equipment", "Stood", "From", "Until", "Time", "Limit", "Result", "Status")
    yield _section("Equipment before the batch", names, (_hold_time(one, zone) for one in record["hold_times"]))
    names = ("Raised", "Acknowledged", "Cleared", "Stood", "Equipment", "Alarm", "Text")
    yield _section("Alarms", names, (_alarm(one, zone) for one in record["alarms"]))
    names = ("Source", "Tags", "From", "To", "Outcome", "Cause")
    yield _section("When something was not observed", names, (_gap(one, zone) for one in record["gaps"]))
    yield _section("Corrections", ("Record", "Rev.", "Written", "Reason", "What", "Before", "After"), _corrections(record, zone))
    yield from _clock(record, zone)


def _section(title: str, names: Sequence[str], rows: Rows) -> str:
    held = list(rows)
    return f"<section><h2>{title}</h2>{table(names, held)}</section>" if held else ""


def _steps(one: Mapping[str, Any]) -> str:
    return escape(", ".join(f"{step}/{run}" for _, step, run in (one.get("steps") or [])[-1:]))


def _people(one: Mapping[str, Any]) -> str:
    return escape(", ".join(person["id"] for person in one.get("performed_by") or []))


def _quantity(one: Mapping[str, Any], name: str = "quantity") -> str:
    value = one.get(name)
    return "" if value is None else escape(f"{value} {one.get('unit') or ''}".strip())


def limits(low: Any, high: Any) -> str:
    """Two limits, one, or none."""
    if low is None:
        return "" if high is None else f"≤ {high}"
    return f"≥ {low}" if high is None else f"{low} … {high}"


def _lot(lot: Any) -> str:
    """A lot's number; what was read beside it, where a rule has changed it."""
    name = lot_of(lot)
    raw = lot.get("raw") if isinstance(lot, Mapping) else None
    return shown(name or "") + (f" <small>read {escape(str(raw))}</small>" if raw and raw != name else "")


def _booking(one: Mapping[str, Any], zone: ZoneInfo) -> Sequence[str]:
    at = (one.get("at") or {}).get("time") or one["entered"]
    what = {"consume": "consumed", "produce": "produced", "move": f"moved to {one.get('to') or '?'}"}.get(one.get("kind") or "", "")
    lot = " → ".join(_lot(one[name]) for name in ("lot", "output_lot") if one.get(name)) or "–"
    return (
        when(at, zone), escape(what) + (f" <small>rev. {one['revision']}</small>" if one["revision"] > 1 else ""),
        escape(str(one.get("material") or one.get("booking") or "")), lot, _quantity(one), escape(str(one.get("target") or "")),
        escape(limits(one.get("low"), one.get("high"))),
        "–" if one.get("result") in (None, "not-judged") else marked(one["result"], bad=one["result"] != "within"),
        _status(one), _steps(one), _people(one),
    )  # fmt: skip


def _status(one: Mapping[str, Any]) -> str:
    status, problems = one.get("status") or "", ", ".join(one.get("problems") or [])
    return marked(status, bad=status != "present") + (f" <small>{escape(problems)}</small>" if problems else "") if status else ""


def _genealogy(record: Mapping[str, Any]) -> Iterable[str]:
    """Which lot went into which, and the lots that lead nowhere."""
    edges, orphans = record["genealogy"]["edges"], record["genealogy"]["orphans"]
    if not edges and not orphans:
        return
    rows = [
        (
            shown(str(one["from"] or "")),
            "→",
            shown(str(one["to"] or "")),
            escape(str(one["material"] or "")),
            _quantity(one),
            escape(one["kind"]),
        )
        for one in edges
    ]
    yield f"<section><h2>Genealogy</h2>{table(('From lot', '', 'Into', 'Material', 'Quantity', 'By'), rows)}"
    for one in orphans:
        text = "came from nothing that is known" if one.get("side") == "no-parent" else "went into nothing that is known"
        yield f'<p><b class="bad">Lot {escape(str(one.get("lot")))}</b> {text}.</p>'
    yield "</section>"


def _sample(one: Mapping[str, Any], zone: ZoneInfo) -> Sequence[str]:
    results = [
        f"{escape(str(result.get('key') or ''))}: "
        + escape(", ".join(f"{name} {_plain(value)}" for name, value in (result.get("values") or {}).items()))
        + f" <small>{escape(str(result.get('source') or ''))}, {when(result.get('time'), zone)}</small>"
        for result in one.get("results") or []
    ]
    taken = (one.get("taken") or {}).get("time") or one["entered"]
    names = (escape(str(one.get("sampling") or "")), shown(str(one.get("sample") or "")))
    return (when(taken, zone), *names, _steps(one), _status(one), "<br>".join(results) or "none yet")


def _hold_time(one: Mapping[str, Any], zone: ZoneInfo) -> Sequence[str]:
    times = [when((one.get(edge) or {}).get("time"), zone, date=True) for edge in ("start", "end")]
    edges = [
        text + (f" <small>{escape(str(one[side]))}</small>" if one.get(side) else "")
        for text, side in zip(times, ("after", "before"), strict=True)
    ]
    return (
        escape(str(one["equipment"])),
        escape(str(one["hold"])),
        *edges,
        duration(one.get("seconds")),
        duration(one.get("limit_s")),
        marked(str(one["result"]), bad=one["result"] == "above"),
        marked(str(one["status"]), bad=one["status"] != "present"),
    )


def duration(seconds: float | None) -> str:
    """A length of time for people: 12.5 s, 4 min 10 s, 3 h 05 min, 2 d 4 h."""
    if seconds is None:
        return "–"
    if seconds < 120:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    if seconds < 7_200:
        return f"{seconds // 60:.0f} min {seconds % 60:02.0f} s"
    if seconds < 172_800:
        return f"{seconds // 3_600:.0f} h {seconds % 3_600 // 60:02.0f} min"
    return f"{seconds // 86_400:.0f} d {seconds % 86_400 // 3_600:.0f} h"


def _alarm(one: Mapping[str, Any], zone: ZoneInfo) -> Sequence[str]:
    who = f" {escape(str(one['acknowledged_by']))}" if one.get("acknowledged_by") else ""
    ended = when(one["cleared"], zone) if one["cleared"] else '<b class="bad">stands</b>'
    told = (escape(str(one[key] or "")) for key in ("equipment", "alarm", "text"))
    return (when(one["raised"], zone), when(one["acknowledged"], zone) + who, ended, duration(one.get("duration_s")), *told)


def _gap(gap: Mapping[str, Any], zone: ZoneInfo) -> Sequence[str]:
    tags = "all" if gap["tags"] == "all" else ", ".join(gap["tags"][:8])
    more = f" and {len(gap['tags']) - 8} more" if gap["tags"] != "all" and len(gap["tags"]) > 8 else ""
    times = (when(gap["start"], zone), when(gap["end"], zone) if gap["end"] else '<b class="bad">open</b>')
    outcome = marked(str(gap["outcome"] or "open"), bad=gap["outcome"] != "filled")
    return (escape(gap["source"]), escape(tags + more), *times, outcome, escape(str(gap["cause"])))


def _corrections(record: Mapping[str, Any], zone: ZoneInfo) -> Rows:
    """Each revision after the first, value by value: what stood before, what stands now."""
    for one in (*record["steps"], *record["ends"], *record["materials"]):
        for revision in one.get("revisions") or []:
            if (revision.get("revision") or 1) < 2 or revision.get("reason") == "result":
                continue  # a laboratory's result that comes is no correction
            name, reason = escape(_short(one)), escape(str(revision.get("reason") or ""))
            head = (name, str(revision["revision"]), when(revision.get("entered"), zone), reason)
            changes = [change for change in revision.get("changed") or [] if not change["path"].endswith("evidence")]
            for number, change in enumerate(changes[:MOST_CHANGES]):
                told = (
                    escape(change["path"].replace("parameters/", "")),
                    escape(_plain(change.get("old"))),
                    escape(_plain(change.get("new"))),
                )
                yield (*(head if number == 0 else ("", "", "", "")), *told)
            if not changes:
                yield (*head, "nothing but its place", "", "")
            if len(changes) > MOST_CHANGES:
                yield ("", "", "", "", f"and {len(changes) - MOST_CHANGES} more, in record.json", "", "")


def _short(one: Mapping[str, Any]) -> str:
    if one.get("step"):
        return f"{one['equipment']}: {one['step']}/{one['run']}"
    return str(one.get("booking") or one.get("sampling") or "batch end")


def _plain(value: Any) -> str:
    """A value as a person would write it; a structure as JSON, cut where it gets long."""
    if value is None:
        return "–"
    if isinstance(value, dict) and "time" in value:
        return str(value["time"])
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return text if len(text) <= 160 else f"{text[:159]}…"


def _clock(record: Mapping[str, Any], zone: ZoneInfo) -> Iterable[str]:
    """How far the times of this record can be trusted."""
    clock = record["clock"]
    entries = ", ".join(f"{escape(name)} in {count} entries" for name, count in sorted(clock["entries"].items())) or "no entries"
    bound = "" if clock["worst_bound_s"] is None else f"; largest bound of the time error {clock['worst_bound_s']:.3g} s"
    yield f"<section><h2>Clock</h2><p>The gateway's clock with this batch's readings: {entries}{bound}.</p>"
    rows: Rows = [
        (escape(name), str(told["entries"]), f"{told['least_s']:+.3f} s", f"{told['most_s']:+.3f} s", f"{told['bound_s']:.3f} s")
        for name, told in sorted(clock["sources"].items())
    ]
    if clock["sources"]:
        yield table(("Clock of the source", "Entries", "Least offset", "Largest offset", "Bound"), rows)
    happened = [one for one in clock["events"] if one.get("kind") != "synchronised"]
    if happened:
        rows = [(when(one["entered"], zone), escape(str(one["kind"])), escape(_told(one))) for one in happened]
        yield table(("Time", "What happened to the gateway's clock", ""), rows)
    if clock["placed"]:
        yield "<p>Entries stamped before the clock was verified keep their times. Where they really lie, the clock has said since:</p>"
        names = ("Entries", "First: stamped", "placed", "Last: stamped", "placed", "Within", "By entry")
        yield table(names, [_placed(one, zone) for one in clock["placed"]])
    yield "</section>"


def _told(event: Mapping[str, Any]) -> str:
    size = next((f"{event[name]:+.3f} s" for name in ("step_s", "duration_s") if event.get(name) is not None), "")
    return ", ".join(filter(None, (size, str(event.get("reason") or ""))))


def _placed(one: Mapping[str, Any], zone: ZoneInfo) -> Sequence[str]:
    edges = [when(one[edge][name], zone) for edge in ("first", "last") for name in ("time", "placed")]
    bound = "–" if one["bound_s"] is None else f"± {one['bound_s']:.3g} s"
    return (f"{one['entries']}", *edges, bound, f"{one['by'][0]}/{one['by'][1]}")
