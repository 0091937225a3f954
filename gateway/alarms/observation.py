"""What the journal told of an observation period after go-live: the days that were reported, and whether QA has ended it. Pure.

A day's report counts if the gateway itself made it, and the first one does: who makes it anew gets the same figures, and takes none back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from hashlib import sha256
from typing import Any, Literal

from config.sections import Observation

KIND, SUMMARY = "observation-day", "observation-summary"
ENDED = "observation ended"
"""The meaning of the signature that ends a period; nothing else does."""
MOST_DAYS = 366
"""A period has no more (config/checks/observation.py), and days of another one are not kept."""
MOST_SIGNED = 20
"""Signatures of one report that are kept."""
BY_GATEWAY = "system:"
State = Literal["to come", "runs", "over", "ended"]


@dataclass(slots=True)
class Observed:
    """days: day -> its report: id, sha256, result, limits_sha256, made, through (epoch, entry), signed. ended: `FROM/UNTIL` -> who ended.

    signed: who has signed the report, in order; not there of one that an earlier release kept: what it did not keep is not known.
    """

    days: dict[str, dict[str, Any]] = field(default_factory=dict)
    ended: dict[str, dict[str, Any]] = field(default_factory=dict)


def period_name(told: Observation) -> str:
    """Name a period: another date is another period, which wants an end of its own."""
    return f"{told.begin}/{told.until}"


def limits_sha256(told: Observation) -> str:
    """Return the digest of the limits: a day that was judged by others was judged by others."""
    return sha256(told.limits.model_dump_json().encode()).hexdigest()


def take(kept: Observed, event: Mapping[str, Any]) -> None:
    """Take an event `document`. One that is not whole tells nothing: it may come from a file."""
    about = event.get("observation")
    if not isinstance(about, Mapping):
        return
    made = event.get("made_at")
    if event.get("document") == KIND and is_own(event) and isinstance(made, Mapping):
        _keep(kept.days, str(about.get("day")), about, _report(event, about, made))
    if event.get("document") == KIND and (report := kept.days.get(str(about.get("day")))) is not None:
        _signed(report, event)
    if event.get("document") == SUMMARY:
        for one in event.get("signatures") or ():
            if isinstance(one, Mapping) and (one.get("role"), one.get("meaning")) == ("qa", ENDED):
                who = {name: one.get(name) for name in ("user", "name", "time", "local")}
                name = f"{about.get('from')}/{about.get('until')}"
                kept.ended.setdefault(name, {**who, "id": event.get("id"), "sha256": event.get("sha256"), "result": event.get("result")})


def _keep(days: dict[str, dict[str, Any]], day: str, about: Mapping[str, Any], report: dict[str, Any]) -> None:
    """Keep the first report of a day, and none of days outside of the period that it is of: that period is in force."""
    begin, until = str(about.get("from")), str(about.get("until"))
    for other in [one for one in days if not begin <= one <= until]:
        del days[other]
    days.setdefault(day, report)
    while len(days) > MOST_DAYS:  # a period longer than an earlier release took
        del days[min(days)]


def _signed(report: dict[str, Any], event: Mapping[str, Any]) -> None:
    """Keep who has signed a report. Only signatures under this very document count, which the gateway looked at as it recorded them."""
    if (event.get("id"), event.get("sha256")) != (report["id"], report["sha256"]):
        return
    for one in event.get("signatures") or ():
        if isinstance(one, Mapping):
            who = {name: one.get(name) for name in ("user", "name", "role", "meaning", "time", "local")}
            held = report.setdefault("signed", [])
            if who not in held and len(held) < MOST_SIGNED:
                held.append(who)


def is_own(event: Mapping[str, Any]) -> bool:
    """Return whether the gateway itself made a document, and recorded it: a file that a person records may say of itself what it likes."""
    named = (event.get("made_by"), event.get("who"))
    return all(isinstance(one, Mapping) and str(one.get("user")).startswith(BY_GATEWAY) for one in named)


def _report(event: Mapping[str, Any], about: Mapping[str, Any], made: Mapping[str, Any]) -> dict[str, Any]:
    ranges = event.get("journal") or [{}]
    told = {name: event.get(name) for name in ("id", "sha256", "result")}
    through = [ranges[-1].get("epoch", 0), ranges[-1].get("last", 0)]
    return {**told, "limits_sha256": about.get("limits_sha256"), "made": made.get("time"), "through": through, "signed": []}


def days_of(told: Observation) -> list[date]:
    """List the days of a period."""
    return [told.begin + timedelta(days=at) for at in range((told.until - told.begin).days + 1)]


def missing(told: Observation, kept: Observed, today: date) -> list[date]:
    """List the days that are over and have no report."""
    return [day for day in days_of(told) if day < today and str(day) not in kept.days]


def state_of(told: Observation, kept: Observed, today: date) -> State:
    """Say how far a period is. A day is never its end: that is QA's signature."""
    if period_name(told) in kept.ended:
        return "ended"
    return "to come" if today < told.begin else "runs" if today <= told.until else "over"
