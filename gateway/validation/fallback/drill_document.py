"""Lays out a drill as a document: planned and actual instants, who did what, durations, entries before and after, verdict. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from buffer.pages.blocks import Block, Heading, NamedValues, Table, Text
from gateway.documents import draft, local_time
from gateway.entries.fallback import LED_BY_TEXT, place_text
from gateway.evidence.fallbacks import Fallback, Place
from gateway.validation.fallback.drill import PASSED, Check, Compared, between, result, seconds
from gateway.validation.fallback.drill_plan import Plan

KIND = "fallback-drill"


def drafted(plan: Plan, fallback: Fallback, compared: Compared, checks: Sequence[Check], zone: str) -> dict[str, Any]:
    """Make the draft of the document."""
    blocks = _blocks(plan, fallback, compared, checks, zone)
    return draft(KIND, f"Fallback drill: {plan.title}", blocks, _facts(plan, fallback, compared, checks, zone), result=result(checks))


def _blocks(plan: Plan, fallback: Fallback, compared: Compared, checks: Sequence[Check], zone: str) -> Iterator[Block]:
    yield NamedValues(list(_head(fallback)))
    yield Heading(1, "Instants")
    yield Table(("What", "Planned", "Actual", "Later by"), (3, 3, 3, 1.4), list(_instants(plan, fallback, zone)))
    yield Heading(1, "Verdict")
    rows = [[one.what, one.expected, one.found, one.verdict] for one in checks]
    marked = frozenset(place for place, one in enumerate(checks) if one.verdict != PASSED)
    yield Table(("Check", "Expected", "Found", "Verdict"), (3, 3, 3, 1.4), rows, marked)
    yield Heading(1, "Entries")
    yield NamedValues(_entries(fallback, compared))
    if compared.facts is None:
        yield Text(f"The receiver was not compared: {compared.why}", marked=True)
    for stream in () if compared.facts is None else compared.facts["streams"]:
        yield from _stream(stream)


def _head(fallback: Fallback) -> Iterator[tuple[str, str]]:
    began, ended = fallback.began, fallback.ended
    yield "Fallback", f"{fallback.id}, records of {place_text(fallback.equipments)} led by {LED_BY_TEXT[fallback.led_by]}"
    yield "Begun by", f"{began.by}: {began.reason}"
    yield "Ended by", "nobody yet" if ended is None else f"{ended.by}: {ended.reason}"


def _instants(plan: Plan, fallback: Fallback, zone: str) -> Iterator[list[str]]:
    basis = "" if fallback.ended is None else f" ({fallback.ended.basis})"
    rows = [
        ("called for the fallback", None, plan.called, ""),
        ("switch: records led elsewhere", plan.planned_begin, fallback.begin, f" ({fallback.began.basis})"),
        *((f"{step.what}; {step.who}", step.planned, step.actual, "") for step in plan.steps),
        ("called for the return", None, plan.return_called, ""),
        ("return: records led here", plan.planned_end, fallback.end, basis),
    ]
    for what, planned, actual, note in rows:
        late = seconds(planned, actual)
        yield [what, _at(planned, zone), _at(actual, zone, "not written down") + note, "" if late is None else f"{late:g} s"]


def _entries(fallback: Fallback, compared: Compared) -> list[tuple[str, str]]:
    return [
        ("Newest entry before the switch", _place(fallback.begun_after)),
        ("Entry of the switch", _place(fallback.begun_at)),
        ("Newest entry before the return", _place(fallback.ended_after)),
        ("Entry of the return", _place(fallback.ended_at)),
        ("Entries from the switch to the return", between(fallback)),
        ("Receipts of the receiver reach through", _place(compared.through)),
    ]


def _stream(stream: Mapping[str, Any]) -> Iterator[Block]:
    ours, theirs = stream["ours"]["entries"], stream["theirs"]["entries"]
    counted = f"{ours} here, {'not known' if theirs is None else theirs} at the receiver"
    told = f"Epoch {stream['epoch']}, entries {stream['first']} to {stream['last']}: {stream['verdict']}; {counted}"
    yield Text(told, marked=stream["verdict"] != "equal")
    rows = [
        [name.replace("_", " "), f"{one['first']} to {one['last']}", str(one["note"] or "")]
        for name in ("missing", "extra", "different", "not_compared")
        for one in stream[name]
    ]
    if rows:
        yield Table(("Difference", "Entries", "Note"), (1.4, 2, 4), rows, frozenset(range(len(rows))))


def _at(ticks: int | None, zone: str, lacks: str = "") -> str:
    return lacks if ticks is None else local_time(ticks, zone)


def _place(place: Place | None) -> str:
    return "not known" if place is None else f"{place[0]}/{place[1]}"


def _facts(plan: Plan, fallback: Fallback, compared: Compared, checks: Sequence[Check], zone: str) -> dict[str, Any]:
    durations = {
        "to_fallback_s": seconds(plan.called, fallback.begin),
        "in_fallback_s": seconds(fallback.begin, fallback.end),
        "to_return_s": seconds(plan.return_called, fallback.end),
    }
    return {
        "fallback": fallback.id,
        "led_by": fallback.led_by,
        "from": local_time(fallback.begin, zone),
        "until": None if fallback.end is None else local_time(fallback.end, zone),
        **{name: None if value is None else f"{value:g}" for name, value in durations.items()},
        "steps": [{"what": step.what, "who": step.who, "actual": _at(step.actual, zone) or None} for step in plan.steps],
        "checks": [one._asdict() for one in checks],
        "compared": compared.result,
    }
