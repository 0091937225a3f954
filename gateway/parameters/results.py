"""Makes the `parameters` of a step record from the step's sums: value, status, judgement, evidence (docs: the step record)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from math import sqrt
from typing import Any

from config import Parameter, Tag
from config.sections import ValueOrigin
from config.units import units
from gateway.entries.fold_input import Json
from gateway.entries.ticks import TICKS_PER_S, rfc3339
from gateway.parameters.edges import Edges
from gateway.parameters.limits import LONGEST_TEXT, converted, exact, judge, shown
from gateway.parameters.series import QUALITIES, Cut
from gateway.parameters.sums import Sums

MILLION = 1_000_000
MOST_GAPS = 100
"""Gaps that one parameter names; further ones are only counted."""
INSTANTS = frozenset({"value_at_start", "value_at_end", "first", "last", "sample", "delta"})
"""Statistics of single readings: a gap between these readings does not affect them, one over the edge of the step does (edges.py)."""
TIMES = frozenset({"duration", "time_above", "time_below", "time_outside"})
"""Statistics that are durations, in seconds whatever the tag's unit."""
BY_THRESHOLD = TIMES - {"duration"}
"""Statistics whose limits are lines that the readings pass: in the tag's unit, and nothing is judged by them."""
DIFFERENCES = frozenset({"range", "stdev", "delta", "total"})
"""Statistics that are differences of two values: converted by the slope alone, without the offset."""
_PLACED = frozenset({"min", "max", "mean", "first", "last", "value_at_start", "value_at_end", "sample", "range", "stdev", "delta"})


@dataclass(frozen=True, slots=True)
class Limits:
    """Target and limits of a parameter as texts, `=TAG` replaced by that tag's value at the step's start.

    None: not configured, or no usable value at the step's start. `low` and `high` decide the judgement. `read`: what the tag of a limit
    itself said, in its own unit, where that had to be converted.
    """

    target: str | None
    low: str | None
    high: str | None
    alert_low: str | None
    alert_high: str | None
    read: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)


def value_of(statistic: str, sums: Sums) -> Json:
    """Return the statistic of the sums, unrounded, in the tag's unit (times in s); None if the series does not yield it."""
    match statistic:
        case "value_at_start":
            return sums.at_start
        case "value_at_end":
            return sums.at_end
        case "first":
            return sums.first
        case "last":
            return sums.last
        case "sample":
            return sums.sampled
        case "delta":
            return _difference(sums.at_start, sums.at_end)
        case "count_changes":
            return sums.changes if sums.first is not None else None
        case "trend":
            return None
        case _:
            return _number(statistic, sums)


def _number(statistic: str, sums: Sums) -> Json:
    if sums.low is None or sums.high is None:
        return None
    match statistic:
        case "min":
            return sums.low
        case "max":
            return sums.high
        case "range":
            return float(Decimal(repr(sums.high)) - Decimal(repr(sums.low)))
        case "mean":
            return sums.mean if sums.weight else sums.low
        case "stdev":
            return sqrt(max(sums.squares, 0.0) / sums.weight) if sums.weight else 0.0
        case "integral":
            return sums.area
        case "total":
            return sums.total
        case "time_above":
            return None if sums.rule.above is None else sums.above / TICKS_PER_S
        case "time_below":
            return None if sums.rule.below is None else sums.below / TICKS_PER_S
        case "time_outside":
            return None if sums.rule.above is None and sums.rule.below is None else (sums.above + sums.below) / TICKS_PER_S
    raise ValueError(f"no statistic {statistic}")


def _difference(start: Json, end: Json) -> Json:
    """Return end minus start computed in decimal, without binary rounding; a float or int start gives a float, decimals keep their text."""
    first, last = exact(start), exact(end)
    if first is None or last is None:
        return None
    both_floats = isinstance(start, float) or isinstance(end, float)
    return float(last - first) if both_floats or isinstance(start, int) else format(last - first, "f")


def parameter_of(
    parameter: Parameter,
    tag: Tag | None,
    sums: Sums | None,
    limits: Limits,
    cuts: Sequence[Cut],
    edges: Edges,
    *,
    included: int,
    origin: ValueOrigin | None = None,
) -> dict[str, Any]:
    """Make one element of `parameters` in a step record.

    `sums` are those finished at the step's end, None if the parameter has no tag; `cuts` are the gaps of its tag; `edges` say how exactly
    the step's start and end are known; `included` is the step's time that counts, in ticks. `origin`: how what it is made of came to be;
    None: nobody declared it, and the record claims nothing.
    """
    made = _element(parameter, tag, sums, limits, cuts, edges, included)
    return made if made["status"] == "by-ebr" else {**made, **with_origin(parameter, origin)}


def with_origin(parameter: Parameter, origin: ValueOrigin | None) -> dict[str, Any]:
    """Give the members that say how a value came to be. What a person entered is never `automatic`, whatever the row leaves out."""
    if origin is None:
        return {}
    typed = parameter.origin == "automatic" and origin in ("manual", "transcribed")
    return {**({"origin": "entered-at-source"} if typed else {}), "value_origin": origin}


def _element(
    parameter: Parameter, tag: Tag | None, sums: Sums | None, limits: Limits, cuts: Sequence[Cut], edges: Edges, included: int
) -> dict[str, Any]:
    head = {name: getattr(parameter, name) for name in ("parameter", "ebr_field", "name", "tag")}
    if parameter.origin != "automatic" and parameter.tag is None:
        return {**head, **_no_value(parameter, tag, limits, "by-ebr")}
    if parameter.statistic == "duration":
        whole = _is_enough(parameter, edges.sighted(included + edges.presumed), included + edges.presumed)
        status = "present" if edges.accepted(parameter) and whole else "gap"
        return {**head, **_valued(parameter, tag, included / TICKS_PER_S, limits, status, None, cuts, edges)}
    if sums is None:
        return {**head, **_no_value(parameter, tag, limits, "missing")}
    is_timed = parameter.statistic in BY_THRESHOLD  # beyond a line that could not be read, no time is known
    value = None if is_timed and not _read_all(parameter, limits, "low", "high") else value_of(parameter.statistic, sums)
    return {**head, **_valued(parameter, tag, value, limits, status_of(parameter, tag, sums, value, edges), sums, cuts, edges)}


def status_of(parameter: Parameter, tag: Tag | None, sums: Sums, value: Json, edges: Edges) -> str:
    """Return how far the value can be used: present, aggregate-only, missing, bad or gap.

    A parameter without `min_covered` needs all of the longest possible step that counts to be covered by good values, and the step itself
    to have been in sight.
    """
    statistic, accepted = parameter.statistic, edges.accepted(parameter)
    if value is None and not (statistic == "trend" and sums.first is not None):
        why = _why(statistic, sums)
        return "gap" if why == "missing" and not accepted else why
    if tag is not None and tag.aggregate is not None:
        return "aggregate-only"
    if not accepted:
        return "gap"
    longest = sums.included + (edges.longer or 0)
    covered = edges.sighted(longest) if statistic in INSTANTS else _usable(statistic, sums) - edges.tag_alone
    if _is_enough(parameter, covered, longest):
        return "present"
    return "bad" if statistic not in INSTANTS and sums.bad * 2 >= longest - covered else "gap"


def _usable(statistic: str, sums: Sums) -> int:
    """Give the time with a good value that the statistic can use: of a time beyond a line, that in which it was compared with this line."""
    return sums.covered - sums.unlined if statistic in BY_THRESHOLD else sums.covered


def _is_enough(parameter: Parameter, covered: int, longest: int) -> bool:
    return covered >= (1.0 if parameter.min_covered is None else parameter.min_covered) * longest


def restated(parameter: Mapping[str, Any], status: str) -> dict[str, Any]:
    """Give a parameter with another status; it stays judged only if that is present."""
    judged = {} if status == "present" else {name: "not-judged" for name in ("result", "alert") if name in parameter}
    return {**parameter, "status": status, **judged}


def _why(statistic: str, sums: Sums) -> str:
    if statistic in {"value_at_start", "delta"} and sums.at_start is None:
        return sums.why_start
    if statistic in {"value_at_end", "delta"}:
        return sums.why_end
    if sums.first is not None:
        return "missing"  # there are readings, but none that this statistic can use
    return "bad" if sums.bad else sums.why


def _valued(
    parameter: Parameter,
    tag: Tag | None,
    value: Json,
    limits: Limits,
    status: str,
    sums: Sums | None,
    cuts: Sequence[Cut],
    edges: Edges | None,
) -> dict[str, Any]:
    statistic = parameter.statistic
    is_text = isinstance(value, str) and tag is not None and tag.type.startswith(("string", "bytes", "datetime"))
    plain = statistic in DIFFERENCES
    value = str(value)[:LONGEST_TEXT] if is_text else converted(value, parameter.conversion, difference=plain)
    text = shown(value, parameter.decimals, is_text=is_text)
    judged = status == "present" and not is_text and parameter.limit_source != "none" and not statistic.startswith("time_")
    return {
        "statistic": statistic,
        "value": text,
        "unrounded": value,
        **_units(parameter, tag),
        **_limits(parameter, tag, limits),
        "result": judge(text, limits.low, limits.high, is_whole=_read_all(parameter, limits, "low", "high")) if judged else "not-judged",
        **_alert(parameter, text, limits, judged=judged),
        **_excursions(parameter, sums),
        "status": status,
        **_aggregate(tag, sums),
        **_series(parameter, sums, cuts, edges),
    }


def _aggregate(tag: Tag | None, sums: Sums | None) -> dict[str, Any]:
    """Say what the source has aggregated: by which function, over which length, and what it told of the windows of the readings."""
    if tag is None or tag.aggregate is None:
        return {}
    label: dict[str, Any] = {"function": tag.aggregate[0], "window_s": tag.aggregate[1]}
    label |= {} if tag.aggregate_stamp is None else {"stamp": tag.aggregate_stamp}
    if sums is None:
        return {"aggregate": label}
    edges = {"start": sums.told_from, "end": sums.told_to}
    told = {"told": sums.told, **{name: None if at is None else rfc3339(at) for name, at in edges.items()}}
    return {"aggregate": {**label, **told, "counted": sums.counted, "count": sums.samples if sums.counted else None}}


def _no_value(parameter: Parameter, tag: Tag | None, limits: Limits, status: str) -> dict[str, Any]:
    return _valued(parameter, tag, None, limits, status, None, [], None)


def _units(parameter: Parameter, tag: Tag | None) -> dict[str, Any]:
    natural = "s" if parameter.statistic in TIMES else tag.unit if tag is not None and parameter.statistic in _PLACED else None
    unit = parameter.unit or natural or (tag.unit if tag is not None and parameter.statistic == "total" else None)
    written = _written(tag) if tag is not None and unit == tag.unit and parameter.statistic not in TIMES else None
    return {"unit": unit, "unit_text": written or unit}


def _written(tag: Tag) -> str | None:
    """Return the tag's unit as people write it; None where the source has another one, from which the readings were converted."""
    return tag.source_unit if tag.source_unit is not None and units.canonical(tag.source_unit) == tag.unit else None


def _limits(parameter: Parameter, tag: Tag | None, limits: Limits) -> dict[str, Any]:
    """Return target and limits as they are compared: with the value, in its unit; as lines of a time with the readings, in the tag's."""
    told: dict[str, Any] = {"target": limits.target, "low": limits.low, "high": limits.high, "limit_source": parameter.limit_source}
    if parameter.statistic in BY_THRESHOLD:
        told |= (
            {"limit_unit": None, "limit_unit_text": None}
            if tag is None
            else {"limit_unit": tag.unit, "limit_unit_text": _written(tag) or tag.unit}
        )
    return {**told, "limits_read": limits.read} if limits.read else told


def _read_all(parameter: Parameter, limits: Limits, *names: str) -> bool:
    """True if each of these limits that the parameter has is a number: none of them stands in a tag that could not be read."""
    return all(getattr(parameter, name) is None or exact(getattr(limits, name)) is not None for name in names)


def _alert(parameter: Parameter, text: str | None, limits: Limits, *, judged: bool) -> dict[str, Any]:
    if limits.alert_low is None and limits.alert_high is None:
        return {}
    is_whole = _read_all(parameter, limits, "alert_low", "alert_high")
    result = judge(text, limits.alert_low, limits.alert_high, is_whole=is_whole) if judged else "not-judged"
    return {"alert_low": limits.alert_low, "alert_high": limits.alert_high, "alert": result}


def _excursions(parameter: Parameter, sums: Sums | None) -> dict[str, Any]:
    """List the intervals in which the value was outside the limits: instants, duration and the furthest value of each."""
    if sums is None or (sums.rule.above is None and sums.rule.below is None):
        return {}
    told = [
        {
            "side": "above" if side > 0 else "below",
            "start": rfc3339(start),
            "end": rfc3339(end),
            "duration_s": (end - start) / TICKS_PER_S,
            "extreme": _extreme(parameter, furthest),
        }
        for side, start, end, furthest in sums.beyond
    ]
    listed = {"excursions": told, "excursion_count": sums.excursions}
    return listed if sums.lined_from is None else {**listed, "excursions_from": rfc3339(sums.lined_from)}


def _extreme(parameter: Parameter, furthest: float) -> str | None:
    if parameter.statistic in TIMES:
        return shown(furthest, None)
    return shown(converted(furthest, parameter.conversion), parameter.decimals)


def _series(parameter: Parameter, sums: Sums | None, cuts: Sequence[Cut], edges: Edges | None) -> dict[str, Any]:
    uncertain = {"uncertain_s": 0.0 if edges is None else edges.uncertain_s(parameter.statistic)}
    if sums is None:
        empty: dict[str, Any] = {"quality": None, "covered": None, **uncertain, "readings": 0, "min": None, "max": None, "gaps": []}
        return {**empty, "evidence": {"from_seq": None, "to_seq": None}, **_origin(parameter)}
    conversion = None if parameter.statistic in TIMES | {"integral", "count_changes"} else parameter.conversion
    low, high = (converted(v, conversion) for v in (sums.low, sums.high))
    return {
        "quality": QUALITIES[sums.worst] if sums.first is not None or sums.at_start is not None else "bad" if sums.bad else None,
        "covered": _covered(parameter, sums, edges),
        **uncertain,
        "readings": sums.readings,
        "min": shown(low, parameter.decimals),
        "max": shown(high, parameter.decimals),
        **_gaps(cuts),
        "evidence": _evidence(parameter, sums),
        **_origin(parameter),
    }


def _covered(parameter: Parameter, sums: Sums, edges: Edges | None) -> float | None:
    """Give the share of the longest possible step in which it was seen that it ran, with a good value; None: nobody knows how long that is.

    Rounded down to a millionth: a share of less than all never reads 1.
    """
    longer = 0 if edges is None else edges.longer
    if longer is None:
        return None
    tag_alone = 0 if edges is None else edges.tag_alone
    if longest := sums.included + longer:
        return max(_usable(parameter.statistic, sums) - tag_alone, 0) * MILLION // longest / MILLION
    return 1.0 if sums.first is not None or sums.at_start is not None else 0.0


def _gaps(cuts: Sequence[Cut]) -> dict[str, Any]:
    names = sorted({cut.gap for cut in cuts} - {""})
    return {"gaps": names} if len(names) <= MOST_GAPS else {"gaps": names[:MOST_GAPS], "gap_count": len(names)}


def _origin(parameter: Parameter) -> dict[str, Any]:
    told = {name: getattr(parameter, name) for name in ("criticality", "required", "origin")}
    is_computed = parameter.tag is not None or parameter.statistic == "duration"
    return {**told, "include": parameter.include, "skip_first_s": parameter.skip_first_s} if is_computed else told


def _evidence(parameter: Parameter, sums: Sums) -> dict[str, Any]:
    span: dict[str, Any] = {"from_seq": sums.from_seq, "to_seq": sums.to_seq}
    if parameter.statistic == "trend":
        times = (sums.first_ticks, sums.last_ticks)
        span |= {"count": sums.readings, **{k: None if t is None else rfc3339(t) for k, t in zip(("first", "last"), times, strict=True)}}
    return span


def completeness(parameters: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Make the statement of completeness at a step's end: each required parameter is present, or listed with its status.

    Those that are not the gateway's to give are not counted; `open` names them.
    """
    required = [p for p in parameters if p["required"] and p["status"] != "by-ebr"]
    missing = [{"parameter": p["parameter"], "status": p["status"]} for p in required if p["status"] != "present"]
    others = [{k: p.get(k) for k in ("parameter", "name", "origin")} for p in parameters if p["required"] and p["status"] == "by-ebr"]
    counted = {"required": len(required), "present": len(required) - len(missing), "missing": missing}
    return {**counted, "open": others} if others else counted
