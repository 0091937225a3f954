"""Makes the draft of a periodic review."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import config
from buffer.pages.blocks import Block, Heading
from gateway.alarms.periodic import Kept
from gateway.changes import software
from gateway.documents import draft
from gateway.entries.held import Span
from gateway.entries.ticks import rfc3339
from gateway.validation.review import of_control, of_record
from gateway.validation.review.coverage import Month
from gateway.validation.review.gathering import Gathered, gathered
from gateway.validation.review.requalification import Now, needed
from gateway.validation.review.surroundings import capacity, certificates, remembered
from gateway.validation.review.topic import IN_ORDER, LOOK, Topic, day, of_held
from gateway.validation.run import sign_off

KIND = "periodic-review"
DOUBTS = ("baseline-differs", "config-not-approved", "software-not-verified", "config-emergency")
"""Alarms that, while they stand, say that what runs is not what was qualified."""


class Given(NamedTuple):
    """What is reviewed. line: None where its folder has errors. now: the running gateway's snapshot; None: none runs. at: ticks of now."""

    gateway: str
    data: Path
    zone: ZoneInfo
    line: config.Line | None
    now: Mapping[str, Any] | None
    keys: Sequence[str]
    at: int


def reviewed(given: Given, period: Span) -> dict[str, Any]:
    """Read everything and return the draft. Raises JournalError on damage, FileNotFoundError without a journal."""
    kept = remembered(given.data, given.now) or Kept()
    sources = [source.name for source in given.line.sources] if given.line else []
    made, months = gathered(given.data, period, given.zone, given.gateway, kept, sources)
    whole = not made.held.holes and bool(made.held.entries)
    days = given.line.periodic.days() if given.line and given.line.periodic else None
    topics = [
        of_record.holding(made),
        *(of_held(topic, whole=whole) for topic in _of_journal(made, months)),
        of_record.reconciliation(made, kept, period.begin),
        of_record.copies(made, kept, days, given.at),
        of_record.certificates(made, certificates(given.line) if given.line else None, given.keys),
        of_record.room(_room(given, made)),
        _requalification(given, made, kept),
    ]
    facts = {
        "period": {"from": rfc3339(period.begin), "to": rfc3339(period.end)},
        "verdicts": {topic.id: topic.verdict for topic in topics},
        **{topic.id: dict(topic.facts) for topic in topics},
    }
    title = f"Periodic review of {given.gateway}"
    return draft(KIND, title, _blocks(topics, period, given.zone.key), facts, result=result(topics))


def _of_journal(made: Gathered, months: Sequence[Month]) -> Iterator[Topic]:
    """Yield the topics that rest on the entries of the period alone."""
    yield of_control.configurations(made)
    yield of_control.software(made)
    yield of_control.users(made)
    yield of_control.reviews(made)
    yield of_record.findings(made)
    yield of_record.incidents(made)
    yield of_record.gaps(made, months)
    yield of_record.clock(made)
    yield of_control.deviations(made)


def result(topics: Sequence[Topic]) -> str:
    """Return the document's result: something to look at is a finding; else what was not checked makes it not complete."""
    verdicts = {topic.verdict for topic in topics}
    return "finding" if LOOK in verdicts else "passed" if verdicts == {IN_ORDER} else "not-complete"


def _blocks(topics: Sequence[Topic], period: Span, zone: str) -> Iterator[Block]:
    yield from of_record.overview(topics, period, zone)
    for topic in topics:
        yield Heading(1, f"{topic.title}: {topic.verdict}")
        yield from topic.blocks
    yield from sign_off(("Reviewed", "Approved"))


def _room(given: Given, made: Gathered) -> Any:
    held = (made.held.first, made.held.last)
    span = (held[0], held[1]) if held[0] is not None and held[1] is not None else None
    most = given.line.buffer.max_bytes if given.line else 0
    try:
        return capacity(given.data, most, given.now, span) if given.now or given.line else None
    except OSError:
        return None


def _requalification(given: Given, made: Gathered, kept: Kept) -> Topic:
    installed = software()
    sha256 = given.now["configuration"]["sha256"] if given.now else given.line.sha256 if given.line else None
    newest = {kind: {**told, "made": rfc3339(told["ticks"])} for kind, told in kept.newest.items()}
    since = day(kept.began) if kept.began else None
    standing = sorted({held.code for held in made.alarms.found.standing if held.code in DOUBTS})
    now = Now(str(installed["version"]), str(installed["sha256"]), sha256)
    return of_control.requalification(needed(newest, since, now, made.befell, standing))
