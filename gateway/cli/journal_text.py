"""Writes entries of the journal for people: one line an event, in the line's own time. Pure."""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from gateway.alarms import code_of
from gateway.entries.printable import printable
from gateway.entries.ticks import from_rfc3339

QUIET = frozenset({"readings", "heartbeat", "checkpoint", "tagset", "stamps"})
"""What is told to people only if they ask for it: there is much of it, and nothing has happened."""
LONGEST = 600
"""Characters of a line's text; the whole is in `--format jsonl`."""
NAMED = 4
"""Names of a list that are written out."""


class Lines:
    """Writes line after line. What each start and each segment of the journal state again is told once."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._stated: tuple[Any, Any] | None = None

    def of(self, entry: Mapping[str, Any]) -> str | None:
        """Return an entry's line; None if it only states again what was stated."""
        event = entry.get("event")
        if event is None:
            return self.line(entry, "readings", _readings(entry))
        if event["type"] == "config":
            stated, before = (event.get("version"), event.get("sha256")), self._stated
            self._stated = stated
            if stated == before:
                return None
        if event.get("part", 1) > 1:
            return None
        return self.line(entry, str(event["type"]), text_of(event, partial(self._near, self.local(entry["time"])[:10])))

    def reading(self, entry: Mapping[str, Any], row: Mapping[str, Any]) -> str:
        """Return the line of one reading. row: as in the CSV."""
        value = _words("null" if row["value"] is None else row["value"], row["unit"])
        of = row["source_time"] or row["server_time"] or row["received_time"]
        time = f", {self._near(self.local(entry['time'])[:10], of)}" if of else ""
        return self.line(entry, "reading", f"{row['tag']} = {value} ({quality(int(row['status'], 16))}{time})")

    def line(self, entry: Mapping[str, Any], kind: str, text: str) -> str:
        """Put a line together: local time with offset, epoch/seq, kind, text."""
        text = printable(text)
        text = text if len(text) <= LONGEST else f"{text[:LONGEST]}... (whole: --format jsonl)"
        return f"{self.local(entry['time'])}  {entry['epoch']}/{entry['seq']}  {kind:<9} {text}".rstrip()

    def local(self, time: str | None) -> str:
        """Write an instant as the wall clock of the line shows it, with its offset."""
        if time is None:
            return "?"
        instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=from_rfc3339(time) // 10)
        return instant.astimezone(self._zone).isoformat(sep=" ", timespec="milliseconds")

    def _near(self, day: str, time: str | None) -> str:
        """Write an instant that a line mentions: without the date if it is of the line's own day."""
        text = self.local(time)
        return text[11:23] if text.startswith(day) else text


def quality(status: int) -> str:
    """Name the severity of an OPC UA status code (Part 4, 7.39.1), with the code of what is not simply good."""
    name = ("Good", "Uncertain", "Bad", "Bad")[status >> 30]
    return name if status == 0 else f"{name} {status:08X}"


Local = Callable[[str | None], str]


def text_of(event: Mapping[str, Any], local: Local) -> str:
    """Return an event in words. A kind that is not known here is written with its members, as JSON."""
    write = _TEXTS.get(event["type"])
    try:
        return _plain(event) if write is None else write(event, local)
    except (KeyError, TypeError, ValueError, AttributeError):  # an entry that another release wrote, or that waited for a start
        return _plain(event)


def _plain(event: Mapping[str, Any]) -> str:
    return json.dumps({name: value for name, value in event.items() if name != "type" and value not in (None, [], {})}, ensure_ascii=False)


def _words(*parts: Any) -> str:
    return " ".join(str(part) for part in parts if part not in (None, "", [], {}))


def _named(names: Iterable[Any]) -> str:
    listed = [str(name) for name in names]
    more = len(listed) - NAMED
    return ", ".join(listed[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _count(count: int, name: str) -> str:
    return f"{count:,} {name}{'' if count == 1 else 's'}"


def _tags(tags: Any) -> str:
    if not tags:
        return ""
    return "all tags" if tags == "*" else tags if isinstance(tags, str) else _named(tags)


def _gap(event: Mapping[str, Any], local: Local) -> str:
    what = f"{event['source']}, {_tags(event.get('tags')) or 'no tag'}"
    because = ": ".join(str(part) for part in (event.get("cause"), event.get("detail")) if part)
    span = f"{local(event['start'])} to {local(event.get('end'))}"
    match event["transition"]:
        case "open":
            return f"{what}: not observed from {local(event['start'])} on: {because}"
        case "close":
            return f"{what}: observed again; the gap was {span}" + (f", {event['outcome']}" if event.get("outcome") else "") + _due(event)
    return f"{what}: the source's history fills {span}" + (f" by {_count(event['received'], 'reading')}" if "received" in event else "")


def _due(event: Mapping[str, Any]) -> str:
    """Say how many samples were due in a gap, and how many came, where the source is asked at a rate."""
    return f"; {_count(event['expected'], 'sample')} due, {event.get('received', 0)} came" if event.get("expected") is not None else ""


def _source(event: Mapping[str, Any], local: Local) -> str:
    del local
    text = f"{event['source']}: {event['state']}"
    return f"{text}: {event['detail']}" if event.get("detail") else text


def _finding(event: Mapping[str, Any], local: Local) -> str:
    del local
    of = _words(event.get("source"), _tags(event.get("tags")))
    text = (
        f"{event['severity'].upper() if event['severity'] != 'info' else 'info'} {event['code']}{f' ({of})' if of else ''}: {event['text']}"
    )
    return text if event["severity"] == "info" else f"{text}. What to do: {code_of(event['code']).response}"


def _alarm(event: Mapping[str, Any], local: Local) -> str:
    del local
    by = f"by {event['by']}" if event.get("by") else ""
    where = _words(event.get("equipment"), event.get("batch") and f"batch {event['batch']}", *_steps(event))
    return _words(f"{event['alarm']}: {event['state']}", by, where and f"({where})", event.get("text"), event.get("comment"))


def _steps(event: Mapping[str, Any]) -> list[str]:
    return [f"{step[1]}/{step[2]}" for step in event.get("steps") or ()]


def _counted(event: Mapping[str, Any]) -> str:
    counted = event.get("completeness")
    if not counted:
        return ""
    missing = _named(each if isinstance(each, str) else _words(*each.values()) for each in counted["missing"])
    return f"{counted['present']} of {counted['required']} required values" + (f"; missing: {missing}" if missing else "")


def _again(event: Mapping[str, Any]) -> str:
    return f"revision {event['revision']}: {event.get('reason')}" if (event.get("revision") or 1) > 1 else ""


def _step(event: Mapping[str, Any], local: Local) -> str:
    del local
    what = f"{event['equipment']}: {event['step']}, run {event['run']}, {event['transition']}"
    return "; ".join(part for part in (what, f"batch {event.get('batch') or 'not known'}", _again(event), _counted(event)) if part)


def _batch(event: Mapping[str, Any], local: Local) -> str:
    del local
    what = f"{event.get('batch') or 'not known'}: {event['transition']}"
    where = event.get("equipment") or _named(each["equipment"] for each in event.get("equipments") or ())
    return "; ".join(part for part in (what, where, event.get("status"), event.get("cause"), _again(event), _counted(event)) if part)


def _activity(event: Mapping[str, Any], local: Local) -> str:
    del local
    return f"{event['equipment']}: {event.get('from') or 'not known'} -> {event.get('to') or 'not known'}"


def _audit(event: Mapping[str, Any], local: Local) -> str:
    del local
    who = event["who"]
    name = who if isinstance(who, str) else who["user"]
    why = f"because: {event['reason']}" if event.get("reason") else ""
    what = "" if event.get("reason") or not event.get("what") else _plain({"type": "", **event["what"]})
    return _words(f"{event['action']} by {name}", event.get("object"), why, what)


def _config(event: Mapping[str, Any], local: Local) -> str:
    del local
    changed = _count(event["changes"], "change") if event.get("changes") else ""
    parts = (
        f"version {event['version']}",
        event["sha256"][:16],
        event.get("state"),
        event.get("change_no"),
        changed,
        event.get("software"),
    )
    return ", ".join(str(part) for part in parts if part)


def _clock(event: Mapping[str, Any], local: Local) -> str:
    bound = f"within {event['bound_s']} s" if event.get("bound_s") is not None else ""
    step = f"by {event['step_s']} s" if event.get("step_s") is not None else ""
    instant = f"at {local(event['instant'])}" if event.get("instant") else ""
    status = event.get("status") if event.get("status") != event["kind"] else None  # an event of becoming so bears its own name twice
    return _words(event["kind"], step, status, bound, instant, event.get("reason"))


def _epoch(event: Mapping[str, Any], local: Local) -> str:
    del local
    before = f"; before it epoch {event['follows']} to entry {event['last_seq']}" if event.get("follows") else ""
    return f"{event['reason']}{before}"


def _material(event: Mapping[str, Any], local: Local) -> str:
    del local
    lot = (event.get("lot") or {}).get("canonical") or (event.get("lot") or {}).get("raw")
    amount = _words(event.get("quantity"), event.get("unit"))
    what = _words(event["kind"], event.get("material"), lot and f"lot {lot}", amount, event.get("equipment") and f"at {event['equipment']}")
    return "; ".join(part for part in (what, f"batch {event.get('batch') or 'not known'}", event.get("status"), _again(event)) if part)


def _sample(event: Mapping[str, Any], local: Local) -> str:
    del local
    what = _words(event.get("sampling"), event.get("sample"), event.get("equipment") and f"at {event['equipment']}")
    results = _count(len(event.get("results") or ()), "result")
    return "; ".join(
        part for part in (what, f"batch {event.get('batch') or 'not known'}", event.get("status"), results, _again(event)) if part
    )


def _rebind(event: Mapping[str, Any], local: Local) -> str:
    del local
    old, new = ((event.get(end) or {}).get("batch") or "no batch" for end in ("from", "to"))
    return _words(f"{event['equipment']}: {event['step']}, run {event['run']}, goes from {old} to {new}:", event.get("reason"))


def _document(event: Mapping[str, Any], local: Local) -> str:
    del local
    return _words(event["document"], event.get("id"), event.get("batch") and f"batch {event['batch']}", event.get("meaning"))


def _message(event: Mapping[str, Any], local: Local) -> str:
    del local
    rows = event["rows"]
    text = f"{event['source']}.{event['name']}: {_count(len(rows), 'row')}{', more follow' if event.get('more') else ''}"
    if not rows:
        return text
    values = ", ".join(f"{name} = {'-' if value is None else value}" for name, value in rows[0]["row"].items())
    return f"{text}; {'the first ' if len(rows) > 1 else ''}{rows[0]['change']}: {values or rows[0]['key']}"


def _context(event: Mapping[str, Any], local: Local) -> str:
    del local
    values = ", ".join(f"{name} = {value}" for name, value in event["values"].items())
    return _words(f"{event['equipment']}: {values}", event.get("who") and f"by {event['who']}")


def _checkpoint(event: Mapping[str, Any], local: Local) -> str:
    del local
    return _words(f"signed through entry {event['size']}", event.get("cause") and f"({event['cause']})")


def _tagset(event: Mapping[str, Any], local: Local) -> str:
    del local
    return f"{event['source']}: {_count(len(event['tags']), 'tag')}"


def _readings(entry: Mapping[str, Any]) -> str:
    return f"{entry['source']}: {_count(len(entry['readings']), 'reading')}"


def _uplink(run: Mapping[str, Any]) -> str:
    return "" if "uplink" not in run else f" {'by' if run['what'] == 'confirmed' else 'to'} {run['uplink']}"


def _stamps(event: Mapping[str, Any], _: Local) -> str:
    kept = [f"{sum(one['entries'])} {one['what']}{_uplink(one)}" for one in event["runs"]]
    lost = f"; {event['not_kept']} instants were not kept" if event.get("not_kept") else ""
    return f"when entries were committed, sent and confirmed: {', '.join(kept) or 'none'}{lost}"


_TEXTS: dict[str, Callable[[Mapping[str, Any], Local], str]] = {
    "gap": _gap,
    "source": _source,
    "finding": _finding,
    "alarm": _alarm,
    "step": _step,
    "batch": _batch,
    "activity": _activity,
    "audit": _audit,
    "config": _config,
    "clock": _clock,
    "epoch": _epoch,
    "material": _material,
    "sample": _sample,
    "rebind": _rebind,
    "document": _document,
    "message": _message,
    "context": _context,
    "checkpoint": _checkpoint,
    "tagset": _tagset,
    "stamps": _stamps,
}

KINDS = frozenset({*_TEXTS, "readings", "heartbeat"})
"""What `--type` selects."""
