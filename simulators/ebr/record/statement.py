"""Writes what every copy of a record says in the same words: when, how much of what is required is there, and what is not ours to give."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from simulators.ebr.record.readings import ticks_of

TICKS_PER_MS = 10_000
LONGEST_TEXT = 300
MOST_NAMED = 12
"""Open values that a statement names; record.json has all of them."""


def local_time(text: str, zone: ZoneInfo) -> str:
    """Write an RFC 3339 time as local time, rounded half up to a millisecond, with its offset from UTC; any other text as it is.

    With the offset, for in the night in which summer time ends an hour comes twice.
    """
    try:
        if datetime.fromisoformat(text).tzinfo is None:
            return text
        milliseconds = (ticks_of(text) + TICKS_PER_MS // 2) // TICKS_PER_MS
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
        return moment.astimezone(zone).isoformat(sep=" ", timespec="milliseconds")
    except (ValueError, OverflowError):
        return text


def counted(completeness: Mapping[str, Any]) -> str:
    """Write how many of the required items are present (steps, values, bookings, samples, lots), and which values others must give."""
    required = completeness["required"]
    counted = f"{completeness['present']} of {required} required item{'s are' if required > 1 else ' is'} present"
    return "; ".join(filter(None, (counted if required else "nothing is required", _not_ours(completeness))))


def _not_ours(completeness: Mapping[str, Any]) -> str:
    names = [item.get("name") or item["parameter"] for item in completeness.get("open") or []]
    count = max(completeness.get("open_count") or 0, len(names))
    if not count:
        return ""
    named = ", ".join(names[:MOST_NAMED]) + (f" and {count - MOST_NAMED} more" if count > MOST_NAMED else "")
    return f"{count} required value{'s are' if count > 1 else ' is'} not the gateway's to give: {named}"


def performed_by(item: Mapping[str, Any]) -> str:
    """Write who worked; where nobody is named, that and the reason."""
    people = ", ".join(person["id"] for person in item.get("performed_by") or [])
    return people or f"nobody named{f' ({reason})' if (reason := item.get('performed_by_reason')) else ''}"


def uncertainty(parameter: Mapping[str, Any]) -> str:
    """Write by how much the edges of the step that a value depends on are uncertain; "not known" where nobody looked before."""
    seconds = parameter.get("uncertain_s", 0)
    return "not known" if seconds is None else f"{seconds:g} s" if seconds else ""


def computed(parameter: Mapping[str, Any]) -> str:
    """Write how a value is computed, so that anybody can compute it again: statistic, tag, threshold in its own unit, what counts."""
    statistic = str(parameter.get("statistic") or "").replace("_", " ")
    if parameter.get("results"):
        samples = ", ".join(str(result["sample"]) for result in parameter["results"])
        of_all = statistic in {"min", "max", "mean"}
        return f"{statistic} of the laboratory's results of {samples}" if of_all else f"the laboratory's result of {samples}"
    of = f" of {parameter['tag']}" if parameter.get("tag") else ""
    if statistic.startswith("time "):
        return _joined(f"time{of} {_threshold(parameter)}", parameter)
    return _joined(f"{statistic}{of}", parameter)


def _threshold(parameter: Mapping[str, Any]) -> str:
    unit = f" {parameter['limit_unit_text'] or ''}".rstrip() if "limit_unit_text" in parameter else ""
    low, high = (f"{parameter.get(name) or '?'}{unit}" for name in ("low", "high"))
    return {"time_above": f"above {high}", "time_below": f"below {low}"}.get(parameter["statistic"], f"below {low} or above {high}")


def _joined(text: str, parameter: Mapping[str, Any]) -> str:
    skipped = f"without the first {parameter['skip_first_s']:g} s" if parameter.get("skip_first_s") else ""
    return ", ".join(filter(None, (text, *_read(parameter), "while running" if parameter.get("include") == "running" else "", skipped)))


def _read(parameter: Mapping[str, Any]) -> list[str]:
    """Name what the tags of limits held, where that was converted."""
    read = parameter.get("limits_read") or {}
    return [f"{name.replace('_', ' ')} read as {limit['value'] or '?'} {limit['unit']} from {limit['tag']}" for name, limit in read.items()]


def plain(value: Any, zone: ZoneInfo) -> str:
    """Write any value of a record for a person: instants as local time, names and values in words, never as JSON; cut if long."""
    text = _words(value, zone)
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"


def _words(value: Any, zone: ZoneInfo) -> str:
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case Mapping() if "time" in value and "basis" in value:
            return local_time(value["time"], zone)
        case Mapping():
            return "; ".join(f"{name.replace('_', ' ')} {_inner(part, zone)}" for name, part in value.items()) or "–"
        case list():
            return ", ".join(_inner(part, zone) for part in value) or "none"
        case str():
            return local_time(value, zone)
    return str(value)


def _inner(value: Any, zone: ZoneInfo) -> str:
    text = _words(value, zone)
    return f"({text})" if isinstance(value, Mapping) and not ("time" in value and "basis" in value) else text
