"""Writes what every copy of a record says in the same words: when, how much, with which result, and what is not ours to give."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from simulators.ebr.record.readings import ticks_of
from simulators.ebr.record.results import result_text

TICKS_PER_MS = 10_000
MOST_ITEMS = 20
"""Items of a list that are written; record.json has all of them."""
MOST_NAMED = 12
"""Open values that a statement names; record.json has all of them."""
FINE = ("present", "by-ebr", "not-applicable")
"""Statuses of a value that nobody has to assess."""


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


def reviewed(review: Mapping[str, Any], zone: ZoneInfo) -> str:
    """Write who reviewed the audit trail, and what came of it."""
    who, questioned = review["reviewer"], review["deviations"]
    by = f"Audit trail reviewed by {who['name']} ({who['user']}, {who['role']}), {local_time(review['signed'], zone)}"
    told = f"{review['items']} items through entry {review['through']['seq']}, {len(questioned)} questioned"
    named = f": {', '.join(questioned[:MOST_NAMED])}" if questioned else ""
    return f"{by}: {told}{named}. Document {review['id']}, SHA-256 {review['sha256']}."


def share(covered: float | None) -> str:
    """Write the share of a step that was covered, in percent with two decimals at most, rounded down: less than all is never 100 %."""
    return "" if covered is None else f"{Decimal(int(Decimal(str(covered)) * 10_000)) / 100:f} %"


def status(item: Mapping[str, Any]) -> str:
    """Write a status; of a value that is not the gateway's to give, who gives it; of one with times of an unverified clock, that."""
    if item.get("status") == "by-ebr":
        return f"open, {item.get('origin') or 'by-ebr'}"
    told = str(item.get("status") or "")
    return f"{told}, time unverified" if item.get("time_verified") is False and told != "time-unverified" else told


def environment(names: Sequence[str]) -> str:
    """Write where a record was made; whatever is no production says so."""
    told = ", ".join(names) or "not stated"
    return told if set(names) == {"production"} else f"{told} (not production)"


def reference(phases: Sequence[Mapping[str, Any]]) -> str:
    """Write whose record is the record of reference in each phase of a transition that a batch lay in; empty where none is declared."""
    if not phases:
        return ""
    return f"{'; then '.join(map(_reference, phases))}. Last day of the legacy system: {phases[-1].get('sunset')}"


def _reference(phase: Mapping[str, Any]) -> str:
    until = f" until {phase['until']}" if phase.get("until") else ""
    if not phase.get("name"):
        return f"not declared{until}" + (f" from {phase['from']}" if phase.get("from") else "")
    whose = "legacy MES" if phase.get("record_of_reference") == "legacy" else "this gateway and its EBR"
    return f"{whose}{until} (phase {phase['name']}, legacy system {phase.get('legacy')})"


def clock_effect(event: Mapping[str, Any]) -> str:
    """Write what a clock that was set does to times, and which steps ran over it; empty for any other event."""
    if not event.get("step_s"):
        return ""
    size = f"{abs(event['step_s']):.3f}".rstrip("0").rstrip(".")
    way, wrong = ("later", "long") if event["step_s"] > 0 else ("earlier", "short")
    ran = ", ".join(event.get("running") or []) or "no step of the batch"
    return (
        f"The gateway's times from entry {event['seq']} on are {size} s {way} against those before; "
        f"a length of time over it may be {size} s too {wrong}. Running then: {ran}."
    )


def missing_item(item: Mapping[str, Any]) -> str:
    """Name the missing item of a statement of completeness."""
    if item.get("parameter"):
        return str(item["parameter"])
    for kind in ("material", "sample", "lot"):
        if item.get(kind):
            return f"{'booking of material' if kind == 'material' else kind} {item[kind]}"
    return f"the step {item['step']}, required" if item.get("step") else "the stay of the batch, required"


def deed(booking: Mapping[str, Any]) -> str:
    """Write what a booking did with its material: consumed, produced, moved and where to."""
    to = booking.get("to") or "?"
    return {"consume": "consumed", "produce": "produced", "move": f"moved to {to}"}.get(booking.get("kind") or "", "")


def duration(seconds: float | None) -> str:
    """Write a length of time for people: 12.5 s, 4 min 10 s, 3 h 05 min, 2 d 4 h."""
    if seconds is None:
        return "–"
    if 0 < seconds < 0.05:
        return "less than 0.1 s"
    if seconds < 119.95:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    whole = round(seconds)  # first, or 179.7 s are 2 min 60 s
    if whole < 7_200:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 172_800:
        return f"{whole // 3_600} h {whole % 3_600 // 60:02} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3_600} h"


def uncertainty(parameter: Mapping[str, Any]) -> str:
    """Write by how much the edges of the step that a value depends on are uncertain; "not known" where nobody looked before."""
    seconds = parameter.get("uncertain_s", 0)
    return "not known" if seconds is None else f"{seconds:g} s" if seconds else ""


_ORIGINS = {
    "automatic": "made by a device",
    "manual": "entered by a person",
    "transcribed": "copied by a person from another record",
    "imported": "taken from another system's record",
}


def origin(parameter: Mapping[str, Any]) -> str:
    """Write how a value came to be; that nobody declared it, too. Empty for one that is not there."""
    if parameter.get("status") in ("by-ebr", "missing") or not (
        parameter.get("tag") or parameter.get("results") or parameter.get("value_origin")
    ):
        return ""
    its = parameter.get("value_origin")
    return f"origin {its}, {_ORIGINS[its]}" if its in _ORIGINS else f"origin {its}" if its else "origin not declared"


def made_of(parameter: Mapping[str, Any]) -> str:
    """Write how a value is computed, and how what it is made of came to be."""
    return "; ".join(filter(None, (computed(parameter), origin(parameter))))


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
    running = "while running" if parameter.get("include") == "running" else ""
    return ", ".join(filter(None, (text, _aggregate(parameter), *_read(parameter), running, skipped)))


def _aggregate(parameter: Mapping[str, Any]) -> str:
    """Write what the source has aggregated, and what it told of the windows; nothing of a tag that is no aggregate."""
    its = parameter.get("aggregate")
    if not its:
        return ""
    label = f"of the source's own {its['function']} over {its['window_s']:g} s"
    if its.get("told") is None:
        return label
    if not its["told"]:
        known = "window declared" if its.get("stamp") else "window not known"
        return f"{label} ({known}{_samples(its)})"
    return f"{label} ({its['told']} of {parameter.get('readings')} windows told, {its['start']} to {its['end']}{_samples(its)})"


def _samples(its: Mapping[str, Any]) -> str:
    return "; number of samples not known" if not its.get("counted") else f"; {its['count']} samples in {its['counted']} of them"


def _read(parameter: Mapping[str, Any]) -> list[str]:
    """Name what the tags of limits held, where that was converted."""
    read = parameter.get("limits_read") or {}
    return [f"{name.replace('_', ' ')} read as {limit['value'] or '?'} {limit['unit']} from {limit['tag']}" for name, limit in read.items()]


def path(name: str) -> str:
    """Write which value of a record was changed."""
    return name.removeprefix("parameters/").replace("/", ": ") if name.startswith("parameters/") else name


def plain(value: Any, zone: ZoneInfo) -> str:
    """Write any value of a record for a person: instants as local time, names and values in words, never as JSON."""
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case Mapping() if "time" in value and "basis" in value:
            return local_time(value["time"], zone)
        case Mapping() if "values" in value and "key" in value:
            return f"{value.get('source')}.{value.get('name')} {value['key']}: {result_text(value)}"
        case Mapping():
            return "; ".join(f"{name.replace('_', ' ')} {_inner(part, zone)}" for name, part in value.items()) or "–"
        case list():
            told = ", ".join(_inner(part, zone) for part in value[:MOST_ITEMS]) or "none"
            return told if len(value) <= MOST_ITEMS else f"{told} and {len(value) - MOST_ITEMS} more"
        case str():
            return local_time(value, zone)
    return str(value)


def _inner(value: Any, zone: ZoneInfo) -> str:
    text = plain(value, zone)
    return f"({text})" if isinstance(value, Mapping) and not ("time" in value and "basis" in value) and "values" not in value else text
