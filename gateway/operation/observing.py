"""Defines the command that ends an observation period, and what the snapshot says of one. Nothing else ends it: no date, and no program."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from buffer import StorageError, event_type, read_journal
from config.sections import Observation
from gateway.access import Actor
from gateway.alarms.observation import ENDED, KIND, SUMMARY, Observed, days_of, is_own, limits_sha256, missing, period_name, state_of
from gateway.documents import event_of, signed
from gateway.entries.ticks import from_rfc3339
from gateway.operation.command import Command, Declined
from gateway.operation.document_commands import Surroundings, by_whom, known_document, signature_of

END = "observation-end"
COMPARISON = "parallel-run-comparison"
ANEW = "make a new summary: observation summary LINE --to DIR"
_EVIDENCE = ("batch", "gap", "document")


def observation_commands(
    surroundings: Callable[[], Surroundings], told: Callable[[], Observation | None], data: Callable[[], Path]
) -> dict[str, Command]:
    """Return the command by its name. told: the section in force; None: there is none. data: where the journal is."""

    async def end(arguments: Mapping[str, Any], by: Actor) -> dict[str, Any]:
        line, period = surroundings(), told()
        document = known_document(arguments.get("document"), line)
        if (wrong := _problem(document, period, line)) is not None:
            raise Declined(wrong)
        if period is not None and (newer := await asyncio.to_thread(_newer, document, period, line.zone, data())) is not None:
            raise Declined(newer)
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
    if about.get("limits_sha256") != limits_sha256(period):
        return f"its days were judged by other limits than those of [observation] in force; {ANEW}"
    after = period.until + timedelta(days=1)
    if facts.get("is_over") is not True or _day(line.state()["ticks"], line.zone) < after:
        return f"the period lasts until {period.until}: make its summary on {after} or later, from a journal that goes on until then"
    return None


def _newer(document: Mapping[str, Any], period: Observation, zone: str, data: Path) -> str | None:
    """Say what the journal tells of the period and this summary has not read; None: nothing. It reads on from the summary's last entry."""
    ranges = document["journal"] or [{"epoch": 0, "last": 0}]
    try:
        for entry in read_journal(data, (ranges[-1]["epoch"], ranges[-1]["last"])):
            if event_type(entry.payload) in _EVIDENCE and (told := told_of_period(orjson.loads(entry.payload)["event"], period, zone)):
                return f"{told} (entry {entry.epoch}/{entry.seq}), and this summary was made before that; {ANEW}"
    except (FileNotFoundError, StorageError) as error:
        return f"what was told after this summary can not be read: {error}; verify LINE says what the journal holds"
    return None


def told_of_period(event: Mapping[str, Any], period: Observation, zone: str) -> str:
    """Say what an event tells of the days of a period; "" if it changes none. A comparison is taken for one of them, as it names no day."""
    begin, end = (_midnight(day, zone) for day in (period.begin, period.until + timedelta(days=1)))
    match event["type"]:
        case "gap" if from_rfc3339(event["start"]) < end and ("end" not in event or from_rfc3339(event["end"]) > begin):
            return f"a gap of {event['source']} since {event['start']} was told"
        case "batch" if event["transition"] == "end" and event.get("batch") and _is_other(event):
            return f"the record of batch {event['batch']} was revised"
        case "document" if event["document"] == COMPARISON:
            return f"batch {event.get('batch')} was compared with the legacy record"
        case "document" if event["document"] == KIND and is_own(event):
            day = str((event.get("observation") or {}).get("day"))
            return f"the report of {day} was made" if str(period.begin) <= day <= str(period.until) else ""
    return ""


def _is_other(event: Mapping[str, Any]) -> bool:
    return (event.get("revision") or 1) != 1 or bool(event.get("superseded_by"))


def _midnight(day: date, zone: str) -> int:
    return round((datetime.combine(day, time(), ZoneInfo(zone)) - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)) * 10


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


def reports(kept: Observed, told: Observation | None, ticks: int, zone: str) -> list[dict[str, Any]]:
    """List the days of a period that are over, the newest first: what each one's report came to, and who has signed it. JSON-able.

    result None: it has no report. signed None: it is not known who has.
    """
    if told is None:
        return []
    today, found = _day(ticks, zone), []
    for day in reversed(days_of(told)):
        report = kept.days.get(str(day))
        if report is not None:
            found.append({"day": str(day), **{name: report.get(name) for name in ("id", "sha256", "result", "made", "signed")}})
        elif day < today:
            found.append({"day": str(day), "id": None, "sha256": None, "result": None, "made": None, "signed": None})
    return found
