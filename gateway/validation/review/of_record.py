"""Topics of the record: what the journal holds, findings, gaps, the clock, copies, certificates and room. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from buffer.pages.blocks import Block, Heading, NamedValues, Text
from gateway.alarms.periodic import WATCHED, Kept, overdue
from gateway.documents import local_time
from gateway.entries.held import Span
from gateway.entries.ticks import TICKS_PER_S
from gateway.validation.iq_machine import LEAST_DAYS
from gateway.validation.review.coverage import Month, hours
from gateway.validation.review.gathering import MOST_ROWS, Gathered
from gateway.validation.review.surroundings import Capacity, Certificate
from gateway.validation.review.topic import IN_ORDER, LOOK, NOT_CHECKED, Topic, acts_of, day, more, percent, table, utc

LEAST_COVERAGE = 0.999
"""Below it a month of a source is marked: somebody should know why."""
LEAST_DAYS_TO_FULL = 90.0


def holding(made: Gathered) -> Topic:
    """What the journal holds of the period."""
    held = made.held
    rows = [(day(hole.begin), day(hole.end), hours(hole.seconds)) for hole in held.holes]
    last = "no entry" if held.last is None else day(held.last)
    first = "no entry" if held.first is None else day(held.first)
    began = (
        "the journal began in it" if held.began and held.first is not None else "an entry before it is held" if not rows else "see below"
    )
    values = [("Entries", f"{held.entries:,}"), ("First", first), ("Last", last), ("Before the first", began)]
    blocks: list[Block] = [NamedValues(values)]
    if rows:
        told = (
            "The journal holds no entries of these times: what happened then is in none of the numbers below. The EBR and archives have it."
        )
        blocks += [
            Text(told, marked=True),
            *table(("From", "To", "Length"), (3, 3, 2), rows[:MOST_ROWS], frozenset(range(len(rows[:MOST_ROWS])))),
        ]
    away = sum(hole.seconds for hole in held.holes)
    found = f"{held.entries:,} entries" + (
        f"; {hours(away)} of the period are no longer held, in {len(rows) + held.more_holes} parts" if rows else ""
    )
    facts = {"entries": held.entries, "holes": [[day(hole.begin), day(hole.end)] for hole in held.holes], "more": held.more_holes}
    return Topic(
        "held", "What the journal holds of the period", NOT_CHECKED if rows or not held.entries else IN_ORDER, found, blocks, facts
    )


def findings(made: Gathered) -> Topic:
    """Findings by code, and alarms that were open at the end."""
    told = sorted(((key, one) for key, one in made.findings.items() if key[1] != "info"), key=lambda each: (each[0][1], -each[1].count))
    rows = [(severity, code, f"{one.count:,}", utc(one.first), utc(one.last)) for (code, severity), one in told]
    found = made.alarms.found
    open_ = [held for held in found.all() if held.severity == "alarm" and (held in found.standing or held.awaits)]
    standing = [
        (
            day(held.since),
            held.code,
            held.source or "gateway",
            held.text[:200],
            "stands" if held.cleared is None and held in found.standing else "over",
            _seen(held),
        )
        for held in open_
    ]
    blocks: list[Block] = [
        *table(("Severity", "Code", "Count", "First", "Last"), (2, 4, 2, 3, 3), rows),
        Heading(2, "Alarms that stood, or that nobody had acknowledged, at the end of the period"),
        Text("As far as the period tells of them; one from before it that was not said again is not here."),
        *table(
            ("Since", "Code", "Source", "Text", "State", "Acknowledged"),
            (3, 3, 2, 6, 1.5, 3),
            standing[:MOST_ROWS],
            frozenset(range(len(standing[:MOST_ROWS]))),
        ),
    ]
    if found.unkept or found.unacknowledged:
        blocks.append(Text(f"There was no room for {found.unkept + found.unacknowledged:,} more: alarms history has them.", marked=True))
    alarms, warnings = (sum(one.count for (_, severity), one in told if severity == name) for name in ("alarm", "warning"))
    facts = {"by_code": {f"{code}/{severity}": one.count for (code, severity), one in told}, "open": len(open_)}
    text = f"{alarms:,} alarms, {warnings:,} warnings of {len({code for (code, _), _ in told})} codes; {len(open_)} alarms open at the end"
    return Topic("findings", "Findings by code, and open alarms", LOOK if open_ or found.unkept else IN_ORDER, text, blocks, facts)


def _seen(held: Any) -> str:
    return f"{held.acknowledged.name or held.acknowledged.user}: {held.acknowledged.comment}" if held.acknowledged else "nobody"


def incidents(made: Gathered) -> Topic:
    """What befell the record, its proofs, or what recording rests on."""
    told = made.rows["incident"]
    rows = [(utc(one["time"]), str(one["what"]), one["text"][:300]) for one in told.kept]
    blocks = [*table(("When", "What", "Text"), (3, 3, 9), rows, frozenset(range(len(rows)))), *more(told)]
    return Topic("incidents", "Incidents", LOOK if told.count else IN_ORDER, f"{told.count}", blocks, {"count": told.count})


def gaps(made: Gathered, months: Sequence[Month]) -> Topic:
    """Gaps and coverage, by source and month."""
    marked = frozenset(at for at, one in enumerate(months) if one.coverage is None or one.coverage < LEAST_COVERAGE)
    known = [one for one in months if one.coverage is not None]
    verdict = NOT_CHECKED if len(known) < len(months) or made.gaps.unread or not months else LOOK if marked else IN_ORDER
    worst = min(known, key=lambda one: one.coverage or 0.0, default=None)
    least = f"least {percent(worst.coverage)}, {worst.source} in {worst.month}" if worst else "none is known"
    counted = f"{len({one.source for one in months})} sources in {len({one.month for one in months})} months"
    found = f"coverage of {counted}: {least}; {len(months) - len(known)} not checked"
    facts = {"months": [_facts_of(one) for one in months]}
    return Topic("coverage", "Gaps and coverage, by source and month", verdict, found, _coverage(made, months, marked), facts)


_COVERAGE = (
    "Coverage: share of the time that the journal holds in which no gap of the whole source was open."
    " Not checked: nothing tells of the source in that month."
)
_MONTH = (
    "Source",
    "Month",
    "Lists of readings",
    "Gaps of all tags",
    "of some tags",
    "Given by history later",
    "Not observed",
    "Longest",
    "Coverage",
)


def _coverage(made: Gathered, months: Sequence[Month], marked: frozenset[int]) -> list[Block]:
    unread = f"{made.gaps.unread} gaps closed in part whose beginning lies before what was read; what they hid is in no number here."
    causes = [(source, cause, f"{count:,}") for (source, cause), count in made.gaps.causes.most_common(MOST_ROWS)]
    return [
        Text(_COVERAGE),
        *([Text(unread, marked=True)] if made.gaps.unread else []),
        *table(_MONTH, (3, *[2] * (len(_MONTH) - 1)), [_row_of(one) for one in months], marked),
        Heading(2, "Causes"),
        *table(("Source", "Cause", "Gaps"), (4, 4, 2), causes),
    ]


def _row_of(one: Month) -> tuple[str, ...]:
    counts = (f"{one.lists:,}", str(one.gaps), str(one.partly), str(one.filled))
    return (one.source, one.month, *counts, hours(one.lost_s), hours(one.longest_s), percent(one.coverage))


def _facts_of(one: Month) -> dict[str, Any]:
    coverage = None if one.coverage is None else f"{one.coverage:.6f}"
    return {**one._asdict(), "lost_s": f"{one.lost_s:.1f}", "longest_s": f"{one.longest_s:.1f}", "coverage": coverage}


def clock(made: Gathered) -> Topic:
    """The gateway's clock: under which state entries were made, and how it was set."""
    entries = sum(made.statuses.values())
    bad = sum(count for status, count in made.statuses.items() if status not in ("synchronised", "holdover"))
    shares = [
        (f"State {status or 'not told'}", f"{count:,} entries, {100 * count / entries:.3f} %")
        for status, count in made.statuses.most_common()
    ]
    bound = "none was told" if made.worst_bound_s is None else f"{made.worst_bound_s:.6f} s"
    kinds = [(f"event {kind}", f"{count:,}") for kind, count in sorted(made.clock_kinds.items())]
    rows = [(utc(one["time"]), one["kind"], one["by"], one["text"]) for one in made.rows["clock"].kept]
    blocks = [
        NamedValues([*shares, ("Worst bound in an event", bound), *kinds]),
        *table(("When", "Kind", "By", "Reason"), (3, 2, 2, 8), rows),
        *more(made.rows["clock"]),
    ]
    found = f"{bad:,} of {entries:,} entries made by a clock that was not verified; {made.rows['clock'].count} times set or stood"
    verdict = NOT_CHECKED if not entries else LOOK if bad else IN_ORDER
    return Topic("clock", "Clock", verdict, found, blocks, {"statuses": dict(made.statuses), "set": made.rows["clock"].count})


def reconciliation(made: Gathered, kept: Kept, begin: int) -> Topic:
    """What the last comparison of all with the EBR came to, and how often it differed, or could not be made."""
    newest = kept.newest.get("reconciliation")
    differed, late = (_alarms(made, code) for code in ("reconcile-differs", "reconcile-overdue"))
    if newest is None or newest["ticks"] < begin:
        text = "No comparison of all entries with what the EBR holds is recorded in this time: `ebr-gateway reconcile LINE --to DIR`."
        return Topic("reconciliation", "Reconciliation with the EBR", NOT_CHECKED, "none was recorded", [Text(text, marked=True)], {})
    result = str(newest["result"])
    verdict = LOOK if result == "finding" or differed else IN_ORDER if result == "passed" and not late else NOT_CHECKED
    found = f"the last one, {day(newest['ticks'])}: {result}; differed {differed} times, overdue {late} times"
    values = [("Last comparison of all", day(newest["ticks"])), ("Its result", result), ("Document", str(newest["id"]))]
    values += [("Alarms reconcile-differs", str(differed)), ("Alarms reconcile-overdue", str(late))]
    facts = {"last": {name: newest[name] for name in ("id", "sha256", "result")}, "differed": differed, "overdue": late}
    return Topic("reconciliation", "Reconciliation with the EBR", verdict, found, [NamedValues(values)], facts)


def _alarms(made: Gathered, code: str) -> int:
    tally = made.findings.get((code, "alarm"))
    return tally.count if tally else 0


def copies(made: Gathered, kept: Kept, days: Mapping[str, float] | None, now: int) -> Topic:
    """Backups, restores, their tests, verifications; and everything that has an interval."""
    times, restores = made.backups, made.rows["restore"]
    longest = max((later - before for before, later in pairwise(times)), default=None)
    failed = made.findings.get(("backup-failed", "alarm"))
    values = [
        ("Backups", f"{len(times):,}"),
        ("Longest from one to the next", "not known" if longest is None else hours(longest / TICKS_PER_S)),
        ("Alarms backup-failed", str(failed.count if failed else 0)),
        ("Restores", str(restores.count)),
    ]
    late = {one.what: one for one in overdue(kept, days or {}, now)}
    asked = days or {}
    rows = [
        (
            what,
            f"{asked[what]:g} days" if asked.get(what) else "not asked for",
            day(kept.done[what]) if what in kept.done else "none recorded",
            "overdue" if what in late else "",
        )
        for what in WATCHED
    ]
    marked = frozenset(at for at, row in enumerate(rows) if row[3] or row[2] == "none recorded")
    since = f"Remembered since {day(kept.began)}; what was done before is not known here." if kept.began else "Nothing is remembered yet."
    blocks = [
        NamedValues(values),
        *(acts_of(restores) if restores.count else ()),
        Heading(2, "Done from time to time, by now"),
        Text(since),
        *table(("What", "Interval ([periodic])", "Last done", ""), (3, 3, 3, 2), rows, marked),
    ]
    tested = day(kept.done["restore-test"]) if "restore-test" in kept.done else None
    found = f"{len(times)} backups, {restores.count} restores; test of a backup: {tested or 'none that passed is recorded'}"
    verdict = LOOK if late or failed or not times or tested is None or "verification" not in kept.done else IN_ORDER
    facts = {
        "backups": len(times),
        "restores": restores.count,
        "done": {what: day(at) for what, at in kept.done.items()},
        "overdue": sorted(late),
    }
    return Topic("copies", "Backups, restores, verifications, and their tests", verdict, found, blocks, facts)


def certificates(made: Gathered, told: Sequence[Certificate] | None, keys: Sequence[str]) -> Topic:
    """Certificates and keys with their ends."""
    acts = made.rows["key"]
    rows = [(one.whose, one.file, one.why or f"ends in {one.days} days") for one in told or ()]
    marked = frozenset(at for at, one in enumerate(told or ()) if one.days is None or one.days < LEAST_DAYS)
    names = [
        ("Key that signs", "; ".join(key.rpartition("+")[0] or key for key in keys) or "none is known"),
        ("Its end", "none: it signs until it is rotated"),
    ]
    unread: list[Block] = [Text("The line folder has errors: its certificates were not looked at.", marked=True)]
    first = unread if told is None else table(("Whose", "File", "End"), (4, 4, 4), rows, marked)
    soonest = min((one.days for one in told or () if one.days is not None), default=None)
    found = (
        NOT_CHECKED
        if told is None
        else f"{len(rows)} certificates" + (f", the first ends in {soonest} days" if soonest is not None else "")
    )
    verdict = NOT_CHECKED if told is None or not keys else LOOK if marked else IN_ORDER
    facts = {"certificates": [one._asdict() for one in told or ()], "keys": list(keys), "acts": acts.count}
    return Topic(
        "certificates",
        "Certificates and keys",
        verdict,
        found,
        [*first, NamedValues(names), Heading(2, "What was done about keys"), *acts_of(acts)],
        facts,
    )


def room(told: Capacity | None) -> Topic:
    """Room of the journal, and for how long it lasts."""
    if told is None:
        return Topic("capacity", "Capacity", NOT_CHECKED, "the journal's files can not be looked at", [], {})
    days = "not known" if told.days_to_full is None else f"{told.days_to_full:,.0f}"
    grows = "not known" if told.per_day is None else f"{told.per_day / 1e6:,.1f} MB"
    values = [
        ("Used", f"{told.used / 1e6:,.1f} of {told.bound / 1e6:,.1f} MB, {100 * told.used / max(told.bound, 1):.1f} %"),
        ("Grows in a day by", grows),
        ("Days to full, if nothing is removed", days),
        ("Told by", told.by),
    ]
    verdict = NOT_CHECKED if told.days_to_full is None else LOOK if told.days_to_full < LEAST_DAYS_TO_FULL else IN_ORDER
    facts = {"used": told.used, "bound": told.bound, "days_to_full": None if told.days_to_full is None else f"{told.days_to_full:.1f}"}
    return Topic("capacity", "Capacity", verdict, f"{values[0][1]}; days to full: {days}", [NamedValues(values)], facts)


def overview(topics: Sequence[Topic], period: Span, zone: str) -> Iterator[Block]:
    """Yield the first page: the period, and each topic with its verdict."""
    told = [local_time(ticks, zone)[:16] for ticks in period]
    yield NamedValues(
        [("Period", f"{told[0]} to {told[1]}, {zone} ({day(period.begin)} to {day(period.end)}); the end does not belong to it")]
    )
    rows = [(topic.title, topic.found, topic.verdict) for topic in topics]
    marked = frozenset(at for at, topic in enumerate(topics) if topic.verdict != IN_ORDER)
    yield from table(("Topic", "Found", "Verdict"), (5, 9, 2), rows, marked)
    yield Text("look: a person has to. not checked: it could not be looked at, and is not counted as in order.")
