"""Defines the command that ends an observation period, and what the snapshot says of one. Nothing else ends it: no date, and no program."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from config.sections import Observation
from gateway.access import Actor
from gateway.alarms.observation import ENDED, SUMMARY, Observed, days_of, missing, period_name, state_of
from gateway.documents import event_of, signed
from gateway.operation.command import Command, Declined
from gateway.operation.document_commands import Surroundings, by_whom, known_document, signature_of

END = "observation-end"


def observation_commands(surroundings: Callable[[], Surroundings], told: Callable[[], Observation | None]) -> dict[str, Command]:
    """Return the command by its name. told: the section in force; None: there is none."""

    async def end(arguments: Mapping[str, Any], by: Actor) -> dict[str, Any]:
        line, period = surroundings(), told()
        document = known_document(arguments.get("document"), line)
        if (wrong := _problem(document, period, line)) is not None:
            raise Declined(wrong)
        document = signed(document, await signature_of(line, document, by, ENDED))
        await line.record({**event_of(document), "reason": by.reason, **by_whom(by)})
        return {"document": document}

    return {END: end}


def _problem(document: Mapping[str, Any], period: Observation | None, line: Surroundings) -> str | None:
    """Say why this does not end the period that is in force; None: a person of role qa may sign it."""
    if period is None:
        return "line.toml has no [observation]: there is no period to be ended"
    if document["document"] != SUMMARY:
        return f"this is no {SUMMARY} but one of type {document['document']}: `observation summary LINE --to DIR` makes what is signed"
    facts = document["facts"]
    about = facts.get("observation", {})
    if f"{about.get('from')}/{about.get('until')}" != period_name(period):
        return f"this is the summary of {about.get('from')} until {about.get('until')}; in force is {period.begin} until {period.until}"
    after = period.until + timedelta(days=1)
    if facts.get("is_over") is not True or _day(line.state()["ticks"], line.zone) < after:
        return f"the period lasts until {period.until}: make its summary on {after} or later, from a journal that goes on until then"
    return None


def _day(ticks: int, zone: str) -> Any:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ticks // 10)).astimezone(ZoneInfo(zone)).date()


def described(kept: Observed, told: Observation | None, ticks: int, zone: str) -> dict[str, Any] | None:
    """Describe a period as JSON-able values; None: none is declared. day: number of today, in the period."""
    if told is None:
        return None
    today, days = _day(ticks, zone), [str(day) for day in days_of(told)]
    reported = [kept.days[day] for day in days if day in kept.days]
    return {
        "from": str(told.begin),
        "until": str(told.until),
        "state": state_of(told, kept, today),
        "day": min(max((today - told.begin).days + 1, 0), len(days)),
        "days": len(days),
        "reported": len(reported),
        "exceeded": [day for day in days if kept.days.get(day, {}).get("result") == "finding"],
        "not_complete": [day for day in days if kept.days.get(day, {}).get("result") == "not-complete"],
        "without_report": [str(day) for day in missing(told, kept, today)],
        "ended": kept.ended.get(period_name(told)),
    }
