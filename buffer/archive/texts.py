"""Format values, instants, lots and quantities of an event for a person."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from buffer.times import TICKS_PER_MS, from_rfc3339

MOST_ITEMS = 20
"""Items of a list that are printed; the entries have all of them."""
MOST_NAMED = 12
"""Open values that a statement names; the entries have all of them."""


def value_text(value: Any) -> str:
    """Format any JSON value: a text as it is, nothing for null."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def who_text(who: Any) -> str:
    """Format who did what an audit event tells: printed name, id and role of a person; of anybody else the account or the program."""
    if not isinstance(who, Mapping):
        return value_text(who)
    name, user, role = (value_text(who.get(key)) for key in ("name", "user", "role"))
    return f"{name} ({user}, {role})" if name and role else f"{user} ({role})" if role else user


def instant_text(at: Mapping[str, Any] | None) -> str:
    """Format an instant, local and UTC, with its basis unless it was simply observed."""
    if not at:
        return ""
    basis = "" if at.get("basis") in {None, "observed"} else f" ({at['basis']})"
    return f"{moment_text(at)} {at.get('zone') or ''}, {local_text(at['time'], None)}{basis}"


def moment_text(at: Mapping[str, Any] | None) -> str:
    """Format an instant as local time of its zone, with its offset from UTC."""
    return "" if not at else local_text(at["time"], at.get("zone"))


def local_text(time: str | None, zone: str | None) -> str:
    """Format an RFC 3339 time as local time of an IANA zone (None: UTC), rounded half up to a millisecond, with its offset from UTC.

    With the offset, for in the night in which summer time ends an hour comes twice. A text that is no time stays as it is.
    """
    if time is None:
        return ""
    try:
        milliseconds = (from_rfc3339(time) + TICKS_PER_MS // 2) // TICKS_PER_MS
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
        return moment.astimezone(_zone(zone)).isoformat(sep=" ", timespec="milliseconds")
    except (ValueError, OverflowError):
        return time


def _zone(name: str | None) -> tzinfo:
    try:
        return UTC if name is None else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def performed_by_text(event: Mapping[str, Any]) -> str:
    """Format who worked; where nobody is named, that and the reason."""
    people = ", ".join(person["id"] for person in event.get("performed_by", []))
    return people or f"nobody named{f' ({reason})' if (reason := event.get('performed_by_reason')) else ''}"


def counted_text(completeness: Mapping[str, Any]) -> str:
    """Format how many of the required items are present (steps, values, bookings, samples, lots), and which values others must give."""
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


def span_text(event: Mapping[str, Any]) -> str:
    """Format start and end, with their bases unless both were simply observed."""
    bases = [(event.get(name) or {}).get("basis") for name in ("start", "end")]
    suffix = "" if set(bases) <= {None, "observed"} else f" ({', '.join(value_text(basis) for basis in bases)})"
    return f"{moment_text(event.get('start'))} to {moment_text(event.get('end')) or 'not ended'}{suffix}"


def unit_text(event: Mapping[str, Any]) -> str:
    """Format the unit of a step in parentheses; nothing if it has none."""
    return f" ({event['unit_id']})" if event.get("unit_id") else ""


def tags_text(tags: Any) -> str:
    """Format the tags of a gap or a finding."""
    return tags if isinstance(tags, str) else ", ".join(tags or [])


def share_text(covered: float | None) -> str:
    """Format the share of a step that was covered, in percent with two decimals at most, rounded down: less than all is never 100 %."""
    return "" if covered is None else f"{Decimal(int(Decimal(str(covered)) * 10_000)) / 100:f} %"


def status_text(item: Mapping[str, Any]) -> str:
    """Format a status; of a value that is not the gateway's to give, who gives it; of one with times of an unverified clock, that."""
    if item.get("status") == "by-ebr":
        return f"open, {item.get('origin') or 'by-ebr'}"
    told = value_text(item.get("status"))
    return f"{told}, time unverified" if item.get("time_verified") is False and told != "time-unverified" else told


def missing_text(item: Mapping[str, Any]) -> str:
    """Name the missing item of a statement of completeness."""
    if item.get("parameter"):
        return str(item["parameter"])
    for kind in ("material", "sample", "lot"):
        if item.get(kind):
            return f"{'booking of material' if kind == 'material' else kind} {item[kind]}"
    return f"the step {item['step']}, required" if item.get("step") else "the stay of the batch, required"


def deed_text(booking: Mapping[str, Any]) -> str:
    """Format what a booking did with its material: consumed, produced, moved and where to."""
    to = booking.get("to") or "?"
    return {"consume": "consumed", "produce": "produced", "move": f"moved to {to}"}.get(booking.get("kind") or "", "")


def lot_text(lot: Mapping[str, Any] | None) -> str:
    """Format a lot: its canonical form, and as it was read where a rule changed it."""
    if not lot:
        return ""
    name, raw = value_text(lot.get("canonical")) or value_text(lot.get("raw")), value_text(lot.get("raw"))
    return f"{name} read {raw}" if raw and raw != name else name


def quantity_text(event: Mapping[str, Any]) -> str:
    """Format a quantity with its unit, and how it came to be where that was declared; nothing where no quantity is known."""
    if event.get("quantity") is None:
        return ""
    origin = f"({value_text(event['value_origin'])})" if event.get("value_origin") else ""
    return " ".join(part for part in (value_text(event.get("quantity")), value_text(event.get("unit")), origin) if part)


def values_text(values: Mapping[str, Any]) -> str:
    """Format names and values on one line; a row that was withdrawn has none."""
    told = {name: "\u2013" if value is None else value_text(value) for name, value in values.items()}
    return ", ".join(f"{name} {text}" for name, text in told.items()) or "withdrawn"


def result_text(result: Mapping[str, Any]) -> str:
    """Format what a row of the laboratory says, after all that it said before and was replaced."""
    told = [values_text(said.get("values") or {}) for said in (*result.get("replaced", []), result)]
    left_out = result.get("replaced_count", len(told) - 1) - (len(told) - 1)
    told[1:1] = [f"{left_out} more"] if left_out else []
    return " replaced by ".join(told)


def clock_size_text(event: Mapping[str, Any]) -> str:
    """Format by how much a clock was set, or how long it stood; nothing if the event does not say it."""
    for name, sign in (("step_s", "+"), ("duration_s", "-")):
        if event.get(name) is not None:
            seconds = f"{event[name]:{sign}.3f}".rstrip("0").rstrip(".")
            return f"{seconds} s{', ' + event['of'] if event.get('of') else ''}"
    return ""


SIMULATED = "yes: values of this record come from simulators"


def environment_text(names: Collection[str]) -> str:
    """Format where a record was made; whatever is no production says so."""
    told = ", ".join(sorted(names)) or "not stated"
    return told if set(names) == {"production"} else f"{told} (not production)"


def reference_text(phases: Sequence[Mapping[str, Any]]) -> str:
    """Format whose record is the record of reference in each phase of a transition that a batch lay in; nothing where none is declared."""
    if not phases:
        return ""
    told = "; then ".join(_reference(one) for one in phases)
    return f"{told}. Last day of the legacy system: {value_text(phases[-1].get('sunset'))}"


def _reference(phase: Mapping[str, Any]) -> str:
    until = f" until {phase['until']}" if phase.get("until") else ""
    if not phase.get("name"):
        return f"not declared{until}{f' from {since}' if (since := phase.get('from')) else ''}"
    whose = "legacy MES" if phase.get("record_of_reference") == "legacy" else "this gateway and its EBR"
    return f"{whose}{until} (phase {phase['name']}, legacy system {value_text(phase.get('legacy'))})"


def clock_effect_text(event: Mapping[str, Any], entry: int, running: Sequence[str]) -> str:
    """Format what a clock that was set does to times, and which steps ran over it; nothing for any other event."""
    if not event.get("step_s"):
        return ""
    size = f"{abs(event['step_s']):.3f}".rstrip("0").rstrip(".")
    way, wrong = ("later", "long") if event["step_s"] > 0 else ("earlier", "short")
    ran = ", ".join(running) or "no step of the batch"
    return (
        f"The gateway's times from entry {entry} on are {size} s {way} against those before; "
        f"a length of time over it may be {size} s too {wrong}. Running then: {ran}."
    )


ORIGINS = {
    "automatic": "made by a device",
    "manual": "entered by a person",
    "transcribed": "copied by a person from another record",
    "imported": "taken from another system's record",
}


def origin_text(parameter: Mapping[str, Any]) -> str:
    """Format how a value came to be; that nobody declared it, too. Nothing of one that is not there."""
    if parameter.get("status") in ("by-ebr", "missing") or not (
        parameter.get("tag") or parameter.get("results") or parameter.get("value_origin")
    ):
        return ""
    origin = parameter.get("value_origin")
    return f"origin {origin}, {ORIGINS[origin]}" if origin in ORIGINS else f"origin {origin}" if origin else "origin not declared"


def made_of_text(parameter: Mapping[str, Any]) -> str:
    """Format how a value is computed, and how what it is made of came to be."""
    return "; ".join(filter(None, (computed_text(parameter), origin_text(parameter))))


def computed_text(parameter: Mapping[str, Any]) -> str:
    """Format how a value is computed, so that anybody can compute it again: statistic, tag, threshold in its own unit, what counts."""
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
    """Format what the source has aggregated, and what it told of the windows; nothing of a tag that is no aggregate."""
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


def duration_text(seconds: float | None) -> str:
    """Format a length of time: 12.5 s, 4 min 10 s, 3 h 05 min, 2 d 4 h."""
    if seconds is None:
        return "\u2013"
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


def path_text(path: str) -> str:
    """Format which value of a record was changed."""
    return path.removeprefix("parameters/").replace("/", ": ") if path.startswith("parameters/") else path


def people_text(value: Any, zone: str | None) -> str:
    """Format any value of an event for a person: instants as local time, names and values in words, never as JSON."""
    match value:
        case None:
            return "\u2013"
        case bool():
            return "yes" if value else "no"
        case Mapping() if "time" in value and "basis" in value:
            return local_text(value["time"], zone)
        case Mapping() if "values" in value and "key" in value:
            return f"{value.get('source')}.{value.get('name')} {value['key']}: {result_text(value)}"
        case Mapping():
            return "; ".join(f"{name.replace('_', ' ')} {_inner(part, zone)}" for name, part in value.items()) or "\u2013"
        case list():
            told = ", ".join(_inner(part, zone) for part in value[:MOST_ITEMS]) or "none"
            return told if len(value) <= MOST_ITEMS else f"{told} and {len(value) - MOST_ITEMS} more"
        case str():
            return local_text(value, zone)
    return str(value)


def _inner(value: Any, zone: str | None) -> str:
    text = people_text(value, zone)
    return f"({text})" if isinstance(value, Mapping) and not ("time" in value and "basis" in value) and "values" not in value else text
