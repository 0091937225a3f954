"""Review by exception: lists everything in a batch record that a person must look at, the gravest first; nothing else."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from simulators.ebr.record.configurations import changes_in
from simulators.ebr.record.readings import TICKS_PER_S, ticks_of
from simulators.ebr.record.results import replacement_text
from simulators.ebr.record.statement import FINE, clock_effect, missing_item, reference, share, uncertainty

_ORDER = {"alarm": 0, "warning": 1, "info": 2}
_TWICE = ("step-missing", "step-not-observed", "lot-orphan", "hold-time-exceeded", "hold-time-unknown", "hold-time-unseen")
"""Findings that say again what the record itself says."""
LED_BY = {"legacy": "the legacy system", "manual": "manual recording"}
_RESULTS = ("result", "result-replaced", "result-withdrawn")
"""Reasons of revisions that only bring what the laboratory says; a result that replaces another is said by itself."""


def exceptions(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List the exceptions, each with kind, severity, time (or null), where, text. Sorted by severity, then time."""
    listed = [
        *_batch(record),
        *(item for step in record["steps"] for item in _step(step)),
        *_holds(record["steps"]),
        *_unattributed(record["steps"]),
        *(item for booking in record["materials"] for item in _booking(booking)),
        *_orphans(record["genealogy"]["orphans"]),
        *(item for hold in record["hold_times"] for item in _hold_time(hold)),
        *_gaps(record["gaps"]),
        *_gaps_not_received(record.get("gaps_not_received", ())),
        *_clock(record["clock"]),
        *(_alarm(alarm) for alarm in record["alarms"]),
        *(_finding(finding) for finding in record["findings"] if finding["severity"] != "info" and finding["code"] not in _TWICE),
        *_chain(record["chain"]),
    ]  # fmt: skip
    return sorted(listed, key=lambda item: (_ORDER[item["severity"]], item["time"] or "", item["where"], item["text"]))


def _exception(
    kind: str, severity: str, time: str | None, where: Any, text: str, cause: str | None = None, seconds: float | None = None
) -> dict[str, Any]:
    """Make an exception. cause: what those that are alike have in common; seconds: how long it lasted, if it has a length."""
    told = {"kind": kind, "severity": severity, "time": time, "where": str(where or ""), "text": text}
    return {**told, "cause": cause or text, "seconds": seconds}


def _alarm(alarm: Mapping[str, Any]) -> dict[str, Any]:
    severity = alarm["severity"] if alarm["severity"] in _ORDER else "warning"
    until = f"until {alarm['cleared']}" if alarm["cleared"] else "not cleared"
    name = f"Alarm {alarm['alarm']}: {alarm['text']}"
    return _exception("alarm", severity, alarm["raised"], alarm["equipment"] or "line", f"{name}, {until}.", name, alarm["duration_s"])


def _finding(finding: Mapping[str, Any]) -> dict[str, Any]:
    where = (finding.get("evidence") or {}).get("equipment") or finding.get("source") or "line"
    return _exception("finding", finding["severity"], finding["entered"], where, finding["text"], f"finding {finding['code']}")


def _batch(record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if record["status"] == "open":
        yield _exception("open", "warning", None, "batch", "The batch has no end record yet.")
    elif record["status"] != "complete":
        yield _exception("incomplete", "alarm", None, "batch", f"The batch ended with status {record['status']}.")
    if record.get("simulated") and "production" in record["environments"]:
        yield _exception("identity", "alarm", None, "batch", "A production record with values of a simulator.")
    if len(record["environments"]) > 1:
        yield _exception("identity", "alarm", None, "batch", f"More than one environment: {', '.join(record['environments'])}.")
    for name in ("order", "product", "recipe", "recipe_version"):
        if len(record["header"][name]) > 1:
            yield _exception(
                "identity", "alarm", None, "batch", f"More than one {name.replace('_', ' ')}: {', '.join(record['header'][name])}."
            )
    unnamed = record["completeness"]["missing_count"] - len(record["completeness"]["missing"])
    if unnamed > 0:
        yield _exception(
            "not-present", "alarm", None, "batch", f"{unnamed} more required items are not present, not named in the batch's end."
        )
    for item in record["completeness"]["missing"]:
        if item.get("parameter") is None and not (item.get("material") and _is_told(record["materials"], item)):
            yield _exception(
                "missing", "alarm", None, item.get("equipment") or "batch", f"{_first_large(missing_item(item))}: {item['status']}."
            )
    for end in record["ends"]:
        yield from _end(end)
    yield from _led_elsewhere(record["ends"])
    yield from _not_the_reference(record.get("transition_phases", ()))
    for seal in record["seal"]:
        for text in seal["differences"]:
            yield _exception("seal", "alarm", None, seal["gateway"], f"The list of records in the batch's end does not hold: {text}.")
        if not seal["merkle_root_matches"]:
            yield _exception(
                "seal", "alarm", None, seal["gateway"], "The Merkle root in the batch's end does not follow from its list of records."
            )


def _led_elsewhere(ends: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Tell that this record was not the one that was led for a time: which one it was has to be put beside it."""
    for told in (told for end in ends for told in end.get("led_elsewhere") or []):
        until = f"until {told['until']} ({told.get('until_basis')})" if told.get("until") else "and it lasted when this record was made"
        led = f"Records of {', '.join(told['equipments'])} were led by {LED_BY.get(told['led_by'], told['led_by'])}"
        text = f"{led} from {told['from']} ({told.get('from_basis')}) {until}, begun by {told['by']}: {told['reason']}."
        yield _exception("led-elsewhere", "warning", told["from"], ", ".join(told["equipments"]), text, f"fallback {told['fallback']}")


def _not_the_reference(phases: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Tell that this record is not, or not known to be, the record of reference: the other one has to be looked at."""
    if any(phase.get("record_of_reference") != "gateway" for phase in phases):
        yield _exception("not-the-reference", "warning", None, "batch", f"Record of reference: {reference(phases)}.")


def _is_told(bookings: Iterable[Mapping[str, Any]], item: Mapping[str, Any]) -> bool:
    """True if a booking that is there, and not present, says by itself what is missing of it."""
    return any(
        booking.get("booking") == item["material"]
        and booking.get("equipment") == item.get("equipment")
        and booking.get("status") == item["status"]
        for booking in bookings
    )


def _first_large(text: str) -> str:
    return text[:1].upper() + text[1:]


def _end(end: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for equipment in end.get("equipments") or []:
        yield from _unverified(equipment.get("parameters") or [], f"{equipment['equipment']} (whole batch)", end["start"]["time"])
        for parameter in equipment.get("parameters") or []:
            yield from _parameter(parameter, f"{equipment['equipment']} (whole batch)", end["start"]["time"])
    for time, text in changes_in(end):
        yield _exception("configuration", "alarm", time, "batch", text)
    if end.get("cause") not in (None, "completed"):
        yield _exception("batch-cause", "alarm", end["entered"], "batch", f"The batch was ended by: {end['cause']}.")


def _step(step: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    where, time = f"{step['equipment']}: {step['step']}/{step['run']}", step["start"]["time"]
    if step["transition"] != "end":
        yield _exception("step-open", "warning", time, where, "The step has no end record.")
        return
    if step["cause"] != "completed":
        yield _exception(
            "step-cause", "alarm", step["end"]["time"] if step.get("end") else time, where, f"The step ended by: {step['cause']}."
        )
    for edge in ("start", "end"):
        if (step.get(edge) or {}).get("basis") not in (None, "observed"):
            yield _exception("step-edge", "warning", step[edge]["time"], where, f"The {edge} was not observed: {step[edge]['basis']}.")
    reasons = {revision["reason"] for revision in step["revisions"] if (revision["revision"] or 1) > 1}
    if step["revision"] > 1 and reasons != {"result"}:  # a result of the laboratory that comes completes a record
        yield _exception(
            "corrected", "warning", step["entered"], where, f"Corrected record, revision {step['revision']}: {step.get('reason')}."
        )
    yield from _unverified(step.get("parameters") or [], where, time)
    for parameter in step.get("parameters") or []:
        yield from _parameter(parameter, where, time)
        yield from _excursions(parameter, where)


def _unverified(parameters: Iterable[Mapping[str, Any]], where: str, time: str) -> Iterator[dict[str, Any]]:
    """Yield once for a step which of its values rest on times that were not verified; those that count as such are not present anyway."""
    doubtful = [each for each in parameters if each.get("time_verified") is False and each["status"] != "time-unverified"]
    if doubtful:
        names = ", ".join(str(each.get("name") or each["parameter"]) for each in doubtful)
        yield _exception("time-unverified", "warning", time, where, f"The gateway's clock was not verified for: {names}.")


def _holds(steps: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield each hold of an equipment once, with the steps that it interrupted."""
    held: dict[tuple[str, str, str, str], list[str]] = {}
    for step in steps:
        for hold in step.get("holds") or []:
            until = hold["end"]["time"] if hold.get("end") else "after the step's end"
            held.setdefault((hold["start"]["time"], step["equipment"], hold["state"], until), []).append(f"{step['step']}/{step['run']}")
    for (start, equipment, state, until), names in held.items():
        yield _exception(
            "hold", "warning", start, equipment, f"{state} until {until}, in {', '.join(names)}.", state, seconds_between(start, until)
        )


def _unattributed(steps: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield once for each equipment that nobody can say who worked at it, with the number of its steps."""
    counts = Counter((s["equipment"], s["performed_by_reason"]) for s in steps if s.get("performed_by_reason"))
    for (equipment, reason), count in sorted(counts.items()):
        text = f"Who performed {count} step{'s' if count > 1 else ''} is not known: {reason}."
        yield _exception("unattributed", "warning", None, equipment, text)


def _booking(booking: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Report a booking or sample that is incomplete, outside its limits, or corrected."""
    time = (booking.get("at") or booking.get("taken") or {}).get("time") or booking["entered"]
    where = f"{booking.get('equipment') or 'batch'}: {booking.get('booking') or booking.get('sampling') or booking['type']}"
    if booking.get("status") not in (None, "present"):
        problems = ", ".join(booking.get("problems") or [])
        yield _exception(
            "booking", "alarm", time, where, f"The {booking['type']} is {booking['status']}{': ' if problems else ''}{problems}."
        )
    if booking.get("result") in ("below", "above"):
        limit = booking["low"] if booking["result"] == "below" else booking["high"]
        unit = booking.get("unit") or ""
        yield _exception(
            "limit", "alarm", time, where, f"{booking.get('quantity')} {unit} is {booking['result']} the limit {limit} {unit}."
        )
    for result in booking.get("results") or []:
        if (text := replacement_text(result)) is not None:
            yield _exception(
                "result-replaced", "alarm", result.get("time") or booking["entered"], where,
                f"A laboratory result of sample {booking.get('sample')} was replaced ({result.get('key')}): {text}.",
            )  # fmt: skip
    corrected = [revision for revision in booking["revisions"] if (revision["revision"] or 1) > 1 and revision["reason"] not in _RESULTS]
    if corrected:
        newest = corrected[-1]
        yield _exception(
            "corrected", "warning", newest["entered"], where, f"Corrected record, revision {newest['revision']}: {newest['reason']}."
        )


def _orphans(orphans: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for lot in orphans:
        text = "came from nothing that is known" if lot.get("side") == "no-parent" else "went into nothing that is known"
        yield _exception("orphan", "alarm", None, "materials", f"Lot {lot.get('lot')} {text}.")


def _hold_time(hold: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Report an equipment that stood too long, or for an unknown time."""
    end = (hold.get("end") or {}).get("time")
    if hold["result"] == "above":
        limit = f"{hold['seconds']:g} s, the limit is {hold['limit_s']:g} s"
        yield _exception("hold-time", "alarm", end, hold["equipment"], f"The equipment stood {hold['hold']} too long: {limit}.")
    if hold["status"] != "present":
        what = "was not observed all the time" if hold["status"] == "gap" else "is not known"
        yield _exception("hold-time", "warning", end, hold["equipment"], f"How long the equipment stood {hold['hold']} {what}.")


def _parameter(parameter: Mapping[str, Any], where: str, time: str) -> Iterator[dict[str, Any]]:
    name, unit = parameter.get("name") or parameter["parameter"], parameter.get("unit_text") or ""
    if parameter["status"] not in FINE:
        severity = "alarm" if parameter.get("required", True) else "warning"
        yield _exception("not-present", severity, time, where, f"{name}: {parameter['status']}{_share(parameter)}.")
    if parameter["result"] in ("below", "above"):
        limit = parameter["low"] if parameter["result"] == "below" else parameter["high"]
        yield _exception(
            "limit", "alarm", time, where, f"{name}: {parameter['value']} {unit} is {parameter['result']} the limit {limit} {unit}."
        )
    elif parameter.get("alert") in ("below", "above"):
        limit = parameter["alert_low"] if parameter["alert"] == "below" else parameter["alert_high"]
        yield _exception(
            "alert", "warning", time, where, f"{name}: {parameter['value']} {unit} is {parameter['alert']} the alert limit {limit} {unit}."
        )


def _excursions(parameter: Mapping[str, Any], where: str) -> Iterator[dict[str, Any]]:
    """Report each time a reading passed a limit, whatever the statistic of the whole step is. What it reached is in the readings' unit."""
    name = parameter.get("name") or parameter["parameter"]
    unit = parameter.get("limit_unit_text" if "limit_unit_text" in parameter else "unit_text") or ""
    for excursion in parameter.get("excursions") or []:
        times = f"from {excursion['start']} until {excursion['end']}, {excursion['duration_s']:g} s"
        yield _exception(
            "excursion",
            "alarm",
            excursion["start"],
            where,
            f"{name}: {excursion['side']} the limit {times}; reached {excursion['extreme']} {unit}.",
            f"{name}: {excursion['side']} the limit",
            excursion["duration_s"],
        )
    listed, count = len(parameter.get("excursions") or []), parameter.get("excursion_count") or 0
    if count > listed:
        yield _exception("excursion", "alarm", None, where, f"{name}: {count - listed} more times beyond a limit, not listed.")


def _share(parameter: Mapping[str, Any]) -> str:
    covered, uncertain = share(parameter.get("covered")), uncertainty(parameter)
    text = f", {covered} of the time covered" if covered else ""
    return f"{text}, the edges of the step uncertain: {uncertain}" if uncertain else text


def _gaps(gaps: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for gap in gaps:
        tags = "all tags" if gap["tags"] == "all" else f"{len(gap['tags'])} tag{'s' if len(gap['tags']) > 1 else ''}"
        until = f"until {gap['end']}" if gap["end"] else "not closed"
        detail = f" ({gap['detail']})" if gap.get("detail") else ""
        seconds = seconds_between(gap["start"], gap["end"])
        if gap["outcome"] == "filled":
            text = f"Late: {tags}, {until}; the source had kept the values ({gap['cause']})."
            yield _exception("gap-filled", "info", gap["start"], gap["source"], text, f"late, {gap['cause']}", seconds)
            continue
        text = f"Not observed: {tags}, {until}; {gap['cause']}{detail}."
        yield _exception("gap", "alarm", gap["start"], gap["source"], text, f"not observed, {gap['cause']}", seconds)


def _gaps_not_received(lacking: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for one in lacking:
        if one["gap"] is not None:
            text = f"Not observed: the batch's end names gap {one['gap']}, of which no entry was received."
        else:
            text = f"Not observed: {one['count']} more gaps than the batch's end names."
        yield _exception("gap", "alarm", None, one["gateway"], text, "not observed, not received")


def seconds_between(start: str, end: str | None) -> float | None:
    """Compute the seconds from one time to another; None if the end is no time."""
    try:
        return None if end is None else (ticks_of(end) - ticks_of(start)) / TICKS_PER_S
    except ValueError:
        return None


def _clock(clock: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    total = sum(clock["entries"].values())
    for status, count in sorted(clock["entries"].items()):
        if status != "synchronised":
            yield _exception("clock", "warning", None, "clock", f"{count} of {total} entries were stamped while the clock was {status}.")
    for event in clock["events"]:
        if event.get("kind") in ("step", "suspend") or (event.get("kind") == "leap" and event.get("step_s") is not None):
            severity = "warning" if event["kind"] == "leap" else "alarm"
            told = f"Clock event: {event['kind']}, {clock_event_size(event) or 'its size is not stated'}."
            text = " ".join(filter(None, (told, clock_effect(event))))
            yield _exception(
                "clock", severity, event["entered"], "clock", text, None if event.get("step_s") else f"clock event {event['kind']}"
            )


def clock_event_size(event: Mapping[str, Any]) -> str:
    """Write by how much a clock was set (+3.2 s), or how long it stood (30.15 s, process); empty if the event does not say it."""
    if event.get("step_s") is not None:
        return f"{_short(event['step_s'], '+')} s"
    if event.get("duration_s") is not None:
        return f"{_short(event['duration_s'])} s{', ' + str(event['of']) if event.get('of') else ''}"
    return ""


def _short(seconds: float, sign: str = "-") -> str:
    return f"{seconds:{sign}.3f}".rstrip("0").rstrip(".")


def _chain(chain: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for stream in chain:
        where = f"{stream['gateway']}, epoch {stream['epoch']}"
        if stream["beyond_whole"]:
            yield _exception(
                "chain", "alarm", None, where, f"Entries after {stream['through']} are not whole yet; they are not in this record."
            )
        for first, last in stream.get("missing", ()):
            text = (
                f"Entries {first} to {last} were never here: the gateway did not hold them any more. What they said is not in this record."
            )
            yield _exception("chain", "warning", None, where, text)
        if stream["rejected"]:
            numbers = ", ".join(str(entry["seq"]) for entry in stream["rejected"][:10])
            yield _exception("rejected", "alarm", None, where, f"{len(stream['rejected'])} entries were not taken by the EBR: {numbers}.")
